/*
 * run: plays the scenarios and compares each trace with the golden one beside it. Prints TAP.
 *
 *	run [--update] [--show] [FILE.scn ...]
 *
 * Without files: all of tests/trace/scenarios. --update writes the golden traces anew; read the
 * difference before you commit it.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/script.h"

#define FILES_MAX 512
#define PATH_SIZE 4096

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_scenario(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && strcmp(name + n - 4, ".scn") == 0;
}

static unsigned list_scenarios(char **files)
{
	const char *src = getenv("SEGUE_SRC");
	char dir[PATH_SIZE], path[PATH_SIZE + 256];
	unsigned n = 0;
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/tests/trace/scenarios", src ? src : ".");
	d = opendir(dir);
	if (d == NULL) {
		perror(dir);
		exit(1);
	}
	while ((e = readdir(d)) != NULL && n < FILES_MAX)
		if (is_scenario(e->d_name)) {
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
			files[n++] = strdup(path);
		}
	closedir(d);
	qsort(files, n, sizeof(*files), by_name);
	return n;
}

static char *read_all(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t len = 0, got;
	FILE *mem;
	char buf[4096];

	if (f == NULL)
		return NULL;
	mem = open_memstream(&text, &len);
	while ((got = fread(buf, 1, sizeof(buf), f)) > 0)
		fwrite(buf, 1, got, mem);
	fclose(mem);
	fclose(f);
	return text;
}

static void golden_path(const char *scenario, char *buf, size_t size)
{
	snprintf(buf, size, "%.*s.golden", (int)(strlen(scenario) - 4), scenario);
}

/* Prints the first lines in which the two differ. */
static void print_difference(const char *want, const char *have)
{
	unsigned line = 1;

	while (*want != '\0' && *have != '\0') {
		size_t w = strcspn(want, "\n"), h = strcspn(have, "\n");

		if (w != h || strncmp(want, have, w) != 0)
			break;
		want += w + (want[w] == '\n');
		have += h + (have[h] == '\n');
		line++;
	}
	printf("# first difference in line %u\n#  expected: %.*s\n#  got:      %.*s\n", line,
		(int)strcspn(want, "\n"), want, (int)strcspn(have, "\n"), have);
}

static bool write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL) {
		perror(path);
		return false;
	}
	fputs(text, f);
	return fclose(f) == 0;
}

static bool run_one(const char *path, bool update, bool show)
{
	char err[1024] = "", golden[PATH_SIZE + 256], *text = NULL, *want;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool good = script_play(path, out, err, sizeof(err)) == 0;

	fclose(out);
	golden_path(path, golden, sizeof(golden));
	want = read_all(golden);
	if (show || !good)
		for (char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n')
			printf("# %.*s\n", (int)strcspn(p, "\n"), p);
	if (!good) {
		printf("# %s\n", err);
	} else if (update) {
		good = write_file(golden, text);
	} else if (want == NULL || strcmp(want, text) != 0) {
		good = false;
		print_difference(want ? want : "(no golden trace)", text);
	}
	free(want);
	free(text);
	return good;
}

int main(int argc, char **argv)
{
	char *files[FILES_MAX];
	bool update = false, show = false, all = true;
	unsigned n = 0;

	for (int i = 1; i < argc && n < FILES_MAX; i++) {
		if (strcmp(argv[i], "--update") == 0)
			update = true;
		else if (strcmp(argv[i], "--show") == 0)
			show = true;
		else
			files[n++] = strdup(argv[i]);
	}
	if (n == 0)
		n = list_scenarios(files);
	printf("1..%u\n", n);
	for (unsigned i = 0; i < n; i++) {
		const char *base = strrchr(files[i], '/');
		bool good = run_one(files[i], update, show);

		printf("%s %u - %s\n", good ? "ok" : "not ok", i + 1, base ? base + 1 : files[i]);
		fflush(stdout);
		all = all && good;
		free(files[i]);
	}
	return all && n > 0 ? 0 : 1;
}
