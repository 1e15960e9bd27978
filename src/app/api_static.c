/* api_static: the panel's files, from a directory. Pages are all index.html, told apart by script. */
#include "app/api_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_SIZE_MAX (1 << 20)

static const struct {
	const char *suffix, *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".mjs", "text/javascript; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".ico", "image/x-icon"},
	{".json", "application/json"},
	{".webmanifest", "application/manifest+json"},
	{".txt", "text/plain; charset=utf-8"},
	{".wav", "audio/wav"},
};

static const char *type_of(const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t len = strlen(types[i].suffix);

		if (n > len && str_eq(path + n - len, types[i].suffix))
			return types[i].type;
	}
	return NULL;
}

/* Plain names only: no dot at the start of any of them, so no way up and nothing hidden. */
static bool is_plain(const char *path)
{
	for (const char *s = path; *s != '\0'; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			     (*s >= '0' && *s <= '9') || strchr("-_./", *s) != NULL;

		if (!plain || (*s == '.' && (s == path || s[-1] == '/')))
			return false;
	}
	return true;
}

/* A path that names no file is a place of the panel. */
static int open_file(const struct api *a, const char *path, const char **type, struct stat *st)
{
	char name[600];
	int fd;

	*type = type_of(path);
	if (*type == NULL) {
		path = "/index.html";
		*type = types[0].type;
	}
	snprintf(name, sizeof(name), "%s%s", a->panel_dir, path);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* A text is read, so that it can be sent as gzip; anything else goes out as it lies there. */
static void send_file(struct api_request *q, const char *type, int fd, size_t size)
{
	bool text = !str_starts(type, "image/png") && !str_starts(type, "audio/");
	char *body = text && size <= TEXT_SIZE_MAX ? malloc(size + 1) : NULL;

	if (body != NULL && pread(fd, body, size, 0) == (ssize_t)size) {
		close(fd);
		api_reply_text(q, 200, type, body, size);
	} else {
		q->api->counters.requests[2]++;
		http_reply_file(q->http, 200, type, fd, 0, size);
	}
	free(body);
}

void api_run_file(struct api_request *q)
{
	const char *path = http_path(q->http), *type, *have = http_header(q->http, "If-None-Match");
	char tag[64];
	struct stat st;
	int fd = -1;

	if (q->api->panel_dir[0] != '\0' && strlen(path) < 300 && is_plain(path))
		fd = open_file(q->api, path, &type, &st);
	if (fd < 0) {
		api_fail(q, 404, "no_file", "there is no %.200s", path);
		return;
	}
	snprintf(tag, sizeof(tag), "W/\"%llx-%llx\"", (unsigned long long)st.st_size,
		(unsigned long long)st.st_mtim.tv_sec * 1000000000ull +
			(unsigned long long)st.st_mtim.tv_nsec);
	http_add_header(q->http, "ETag", tag);
	http_add_header(q->http, "Cache-Control", "no-cache"); /* ask, and be told 304 */
	/* compared weakly: RFC 9110 section 13.1.2 */
	if (have != NULL && (str_eq(have, "*") || strstr(have, tag + 2) != NULL)) {
		close(fd);
		api_reply_text(q, 304, NULL, "", 0);
		return;
	}
	send_file(q, type, fd, (size_t)st.st_size);
}
