/*
 * corpus: runs a target over its corpus, then over a few thousand damaged copies of it, and prints
 * TAP. FUZZ_NAME is the folder.
 */
#include <dirent.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX 65536
#define DAMAGED 200 /* copies of each input */

static uint8_t *read_file(const char *name, size_t *len)
{
	uint8_t *data = malloc(INPUT_MAX);
	FILE *f = fopen(name, "rb");

	must(data && f);
	*len = fread(data, 1, INPUT_MAX, f);
	fclose(f);
	return data;
}

/* On memory of exactly the right size, so that a sanitizer sees every byte too far. */
static void run(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	must(copy);
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void run_damaged(uint8_t *data, size_t len)
{
	for (int i = 0; i < DAMAGED && len > 0; i++) {
		size_t at = (size_t)rand() % len, cut = (size_t)rand() % len;
		uint8_t saved = data[at];

		data[at] = (uint8_t)rand();
		run(data, i % 4 ? len : cut);
		if (i % 3)
			data[at] = saved;
	}
}

int main(void)
{
	const char *src = getenv("SEGUE_SRC");
	char dir[4096];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", src ? src : ".", FUZZ_NAME);
	d = chdir(dir) == 0 ? opendir(".") : NULL;
	if (!d) {
		printf("Bail out! %s: cannot be read\n", dir);
		return 1;
	}
	srand(1);
	while ((e = readdir(d))) {
		size_t len;
		uint8_t *data;

		if (e->d_name[0] == '.')
			continue;
		data = read_file(e->d_name, &len);
		run(data, len);
		run_damaged(data, len);
		free(data);
		printf("ok %u - %s %s\n", ++n, FUZZ_NAME, e->d_name);
	}
	closedir(d);
	if (n == 0)
		printf("not ok 1 - %s is empty\n", dir);
	printf("1..%u\n", n ? n : 1);
	return n == 0;
}
