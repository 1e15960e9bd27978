/*
 * api_memory: answers to requests with an Idempotency-Key: the second gets what the first got. They are
 * written to a file as they come, so that they outlive kill -9: a program that did not hear the answer
 * because of that asks again. Lines are only added; a file that is full becomes FILE.old, and what was
 * there before is forgotten.
 */
#include "app/api_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define KEPT_MAX 10000
#define KEPT_US	 (INT64_C(24) * 3600 * 1000000)
#define ANSWERS_BYTES (16 << 20)

struct kept {
	char key[200];
	char what[65]; /* hash of route and body: the same key for something else is a mistake */
	enum {
		KEPT_ASKED,    /* the first is not answered yet */
		KEPT_ANSWERED, /* status and what follows are set */
		KEPT_CUT,      /* it was cut off: nobody knows what became of it */
	} state;
	unsigned status;
	char *location, *body;
	size_t len;
	int64_t until; /* UTC us */
	UT_hash_handle hh;
};

struct api_memory {
	struct kept *kept; /* oldest first */
	char path[APP_PATH_MAX]; /* "": nothing outlives the process */
	int fd;
	off_t size;
};

/* ---- the file -------------------------------------------------------------------------------- */

static void open_file(struct api_memory *m, int flags)
{
	m->fd = open(m->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0600);
	m->size = m->fd < 0 ? 0 : lseek(m->fd, 0, SEEK_END);
	if (m->fd < 0)
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "answers_not_kept", "file", m->path, "why",
			strerror(errno), NULL);
}

static void begin_new_file(struct api_memory *m)
{
	char old[APP_PATH_MAX + 8];

	snprintf(old, sizeof(old), "%s.old", m->path);
	close(m->fd);
	if (rename(m->path, old) < 0)
		unlink(m->path);
	open_file(m, O_TRUNC);
}

static void close_file(struct api_memory *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

static void write_line(struct api_memory *m, json_t *line)
{
	char *text = m->fd >= 0 ? json_dumps(line, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;

	json_decref(line);
	if (text == NULL)
		return;
	text[len++] = '\n'; /* in the place of its NUL */
	if (m->size + (off_t)len > ANSWERS_BYTES)
		begin_new_file(m);
	if (m->fd >= 0 && write(m->fd, text, len) != (ssize_t)len) {
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "answers_not_kept", "file", m->path, "why",
			strerror(errno ? errno : ENOSPC), NULL);
		close_file(m);
	}
	m->size += (off_t)len;
	free(text);
}

static void write_kept(struct api_memory *m, const struct kept *k)
{
	json_t *line = json_pack("{s:s, s:s, s:I}", "key", k->key, "what", k->what, "until",
		(json_int_t)k->until);

	if (k->state == KEPT_ANSWERED) {
		jo_int(line, "status", k->status);
		if (k->location != NULL)
			jo_text(line, "location", k->location);
		if (k->body != NULL)
			json_object_set_new(line, "body", json_stringn(k->body, k->len));
	}
	write_line(m, line);
}

/* ---- keeping --------------------------------------------------------------------------------- */

static void drop(struct api_memory *m, struct kept *k)
{
	HASH_DEL(m->kept, k);
	free(k->location);
	free(k->body);
	free(k);
}

static void drop_old(struct api_memory *m)
{
	int64_t now = loop_wall_us();

	while (m->kept != NULL && (m->kept->until <= now || HASH_COUNT(m->kept) >= KEPT_MAX))
		drop(m, m->kept);
}

static struct kept *find(struct api_memory *m, const char *key)
{
	struct kept *k;

	HASH_FIND_STR(m->kept, key, k);
	return k;
}

static struct kept *add(struct api_memory *m, const char *key, const char *what, int64_t until)
{
	struct kept *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	str_set(k->key, key);
	str_set(k->what, what);
	k->until = until;
	HASH_ADD_STR(m->kept, key, k);
	return k;
}

static void set_answer(struct kept *k, unsigned status, const char *location, const char *body, size_t len)
{
	k->state = KEPT_ANSWERED;
	k->status = status;
	k->location = location ? strdup(location) : NULL;
	k->body = len ? strndup(body, len) : NULL;
	k->len = k->body ? len : 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

static const char *text_of(const json_t *line, const char *key)
{
	const char *s = json_string_value(json_object_get(line, key));

	return s ? s : "";
}

/* One with a status answers an earlier one without; "dropped": that may be asked again. */
static void take_line(struct api_memory *m, const json_t *line)
{
	const char *key = text_of(line, "key"), *body = text_of(line, "body");
	const json_t *location = json_object_get(line, "location");
	int64_t status = json_integer_value(json_object_get(line, "status"));
	struct kept *k = find(m, key);

	if (k != NULL)
		drop(m, k);
	if (key[0] == '\0' || json_is_true(json_object_get(line, "dropped")))
		return;
	drop_old(m);
	k = add(m, key, text_of(line, "what"), json_integer_value(json_object_get(line, "until")));
	if (k != NULL && status != 0)
		set_answer(k, (unsigned)status, json_string_value(location), body, strlen(body));
	else if (k != NULL)
		k->state = KEPT_CUT; /* unless its answer follows */
}

static void read_file(struct api_memory *m, const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;
	ssize_t len;

	while (f != NULL && (len = getline(&text, &cap, f)) > 0) {
		json_t *line = json_loadb(text, (size_t)len, 0, NULL);

		if (line != NULL) /* else it was cut off, with segued */
			take_line(m, line);
		json_decref(line);
	}
	free(text);
	if (f != NULL)
		fclose(f);
}

/* ---- public ---------------------------------------------------------------------------------- */

struct api_memory *api_memory_create(const char *path)
{
	struct api_memory *m = calloc(1, sizeof(*m));
	char old[APP_PATH_MAX + 8];

	if (m == NULL)
		return NULL;
	m->fd = -1;
	str_set(m->path, path);
	if (path[0] == '\0')
		return m;
	snprintf(old, sizeof(old), "%s.old", path);
	read_file(m, old);
	read_file(m, path);
	open_file(m, 0);
	write_line(m, json_object()); /* the line that was cut off, if one was, ends here */
	return m;
}

void api_memory_destroy(struct api_memory *m)
{
	if (m == NULL)
		return;
	while (m->kept != NULL)
		drop(m, m->kept);
	close_file(m);
	free(m);
}

static void hash_request(const struct api_request *q, char hex[65])
{
	char *body = q->body ? json_dumps(q->body, JSON_COMPACT | JSON_SORT_KEYS) : NULL, *text;

	if (asprintf(&text, "%s %s %s", q->route->method, http_path(q->http), body ? body : "") < 0)
		text = NULL;
	access_hash(text ? text : "", hex);
	free(text);
	free(body);
}

static void replay(struct api_request *q, const struct kept *k, const char *what)
{
	q->idempotency[0] = '\0'; /* what follows is not to be kept */
	if (!str_eq(k->what, what)) {
		api_fail_field(q, "Idempotency-Key",
			"this Idempotency-Key was used for another request");
	} else if (k->state == KEPT_ASKED) {
		http_add_header(q->http, "Retry-After", "1");
		api_fail(q, 409, "in_progress", "the first request with this key is being served");
	} else if (k->state == KEPT_CUT) {
		api_fail(q, 409, "cut_off",
			"the first request with this key was cut off before its answer, and may have "
			"been carried out: see how things stand, then ask with another key");
	} else {
		http_add_header(q->http, "Idempotency-Replayed", "true");
		if (k->location != NULL)
			http_add_header(q->http, "Location", k->location);
		api_reply_text(q, k->status, k->len ? "application/json" : NULL, k->body, k->len);
	}
}

bool api_memory_replay(struct api_request *q)
{
	struct api_memory *m = q->api->memory;
	struct kept *k;
	char what[65];

	drop_old(m);
	hash_request(q, what);
	k = find(m, q->idempotency);
	if (k != NULL) {
		replay(q, k, what);
		return true;
	}
	k = add(m, q->idempotency, what, loop_wall_us() + KEPT_US);
	if (k != NULL)
		write_kept(m, k);
	return false;
}

void api_memory_forget(struct api_request *q)
{
	struct kept *k = q->idempotency[0] != '\0' ? find(q->api->memory, q->idempotency) : NULL;

	if (k != NULL && k->state == KEPT_ASKED)
		k->state = KEPT_CUT; /* who asked has gone; what was asked for goes on */
}

/* Trouble of our own is not kept: the next try may do better. */
void api_memory_keep(struct api_request *q, unsigned status, const char *location,
	const char *body, size_t len)
{
	struct api_memory *m = q->api->memory;
	struct kept *k = find(m, q->idempotency);

	if (k == NULL || k->state != KEPT_ASKED)
		return;
	if (status >= 500) {
		write_line(m, json_pack("{s:s, s:b}", "key", k->key, "dropped", 1));
		drop(m, k);
		return;
	}
	set_answer(k, status, location, body, len);
	write_kept(m, k);
}
