/* api_memory: answers to requests with an Idempotency-Key: the second gets what the first got. */
#include "app/api_internal.h"

#include <stdlib.h>

#define KEPT_MAX 10000
#define KEPT_MS  (24 * 3600 * 1000LL)

struct kept {
	char key[200];
	char what[65]; /* hash of route and body: the same key for something else is a mistake */
	unsigned status; /* 0: the first is not answered yet */
	char *location, *body;
	size_t len;
	int64_t until; /* monotonic ms */
	UT_hash_handle hh;
};

struct api_memory {
	struct kept *kept; /* oldest first */
};

struct api_memory *api_memory_create(void)
{
	return calloc(1, sizeof(struct api_memory));
}

static void drop(struct api_memory *m, struct kept *k)
{
	HASH_DEL(m->kept, k);
	free(k->location);
	free(k->body);
	free(k);
}

static void drop_old(struct api_memory *m)
{
	int64_t now = loop_now_ms();

	while (m->kept != NULL && (m->kept->until <= now || HASH_COUNT(m->kept) >= KEPT_MAX))
		drop(m, m->kept);
}

void api_memory_destroy(struct api_memory *m)
{
	if (m == NULL)
		return;
	while (m->kept != NULL)
		drop(m, m->kept);
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
	} else if (k->status == 0) {
		http_add_header(q->http, "Retry-After", "1");
		api_fail(q, 409, "in_progress", "the first request with this key is being served");
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
	HASH_FIND_STR(m->kept, q->idempotency, k);
	if (k != NULL) {
		replay(q, k, what);
		return true;
	}
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return false;
	str_set(k->key, q->idempotency);
	str_set(k->what, what);
	k->until = loop_now_ms() + KEPT_MS;
	HASH_ADD_STR(m->kept, key, k);
	return false;
}

void api_memory_forget(struct api_request *q)
{
	struct api_memory *m = q->api->memory;
	struct kept *k = NULL;

	if (q->idempotency[0] != '\0')
		HASH_FIND_STR(m->kept, q->idempotency, k);
	if (k != NULL && k->status == 0)
		drop(m, k);
}

/* Trouble of our own is not kept: the next try may do better. */
void api_memory_keep(struct api_request *q, unsigned status, const char *location,
	const char *body, size_t len)
{
	struct api_memory *m = q->api->memory;
	struct kept *k;

	HASH_FIND_STR(m->kept, q->idempotency, k);
	if (k == NULL || k->status != 0)
		return;
	if (status >= 500) {
		drop(m, k);
		return;
	}
	k->status = status;
	k->location = location ? strdup(location) : NULL;
	k->body = len ? strndup(body, len) : NULL;
	k->len = k->body ? len : 0;
}
