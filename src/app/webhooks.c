/* webhooks: see webhooks.h. */
#include "app/webhooks.h"

#include "app/jo.h"
#include "base/log.h"
#include "core/fact.h"
#include "http/post.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/hmac.h>

#define BATCH	    100
#define TIMEOUT_MS  10000
#define SAVE_EVERY  20     /* batches */

struct hook {
	struct webhooks *webhooks;
	struct webhook_config cfg;
	pthread_t thread;
	bool running; /* the thread was made */
	_Atomic uint64_t cursor, sent, failures, lost;
	unsigned failed; /* in a row; the thread's own */
};

struct webhooks {
	struct webhook_source src;
	struct hook hook[WEBHOOKS_MAX];
	unsigned n;
	char state[256];
	int notify;
	_Atomic int stop;
	pthread_mutex_t mutex; /* guards kicks, and the state's file */
	pthread_cond_t kicked;
	uint64_t kicks;
};

/* ---- facts as JSON --------------------------------------------------------------------------- */

static int64_t read_int(const char *at, size_t size)
{
	int64_t v = 0;

	memcpy(&v, at, size < sizeof(v) ? size : sizeof(v));
	return v;
}

static void put_field(json_t *o, const struct fact *f, const struct fact_field *fd)
{
	const char *at = (const char *)f + fd->offset;
	uuid u;

	switch (fd->kind) {
	case FIELD_UUID:
		memcpy(&u, at, sizeof(u));
		jo_uuid(o, fd->name, &u);
		break;
	case FIELD_TEXT:
		jo_text_or_null(o, fd->name, at);
		break;
	case FIELD_TIME:
		jo_time(o, fd->name, read_int(at, fd->size));
		break;
	default:
		jo_int(o, fd->name, read_int(at, fd->size));
	}
}

static json_t *fact_json(uint64_t seq, const struct fact *f)
{
	const struct fact_desc *d = fact_describe(f->type);
	json_t *o = json_object(), *data = json_object();

	jo_int(o, "id", (int64_t)seq);
	jo_text(o, "type", d->name);
	jo_time(o, "at", f->at);
	for (unsigned i = 0; i < d->nfields; i++)
		put_field(data, f, &d->fields[i]);
	json_object_set_new(o, "data", data);
	return o;
}

/* ---- a batch --------------------------------------------------------------------------------- */

struct batch {
	const struct hook *hook;
	json_t *facts;
	uint64_t last; /* number of the last that was read, wanted or not */
};

static bool is_wanted(const struct webhook_config *cfg, const char *type)
{
	for (unsigned i = 0; i < cfg->nfacts; i++)
		if (str_eq(cfg->facts[i], type))
			return true;
	return cfg->nfacts == 0;
}

static bool take_fact(void *arg, uint64_t seq, const unsigned char *bytes, size_t len)
{
	struct batch *b = arg;
	struct fact f;

	b->last = seq;
	if (fact_decode(bytes, len, &f) && is_wanted(&b->hook->cfg, fact_describe(f.type)->name))
		json_array_append_new(b->facts, fact_json(seq, &f));
	return true;
}

static void sign(const struct hook *h, const char *stamp, const char *body, size_t len, char *line,
	size_t size)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	size_t head = strlen(stamp) + 1;
	char *text = malloc(head + len);

	str_copy(line, size, "X-Segue-Signature: sha256=");
	if (text == NULL)
		return;
	memcpy(text, stamp, head - 1);
	text[head - 1] = '.';
	memcpy(text + head, body, len);
	HMAC(EVP_sha256(), h->cfg.secret, (int)strlen(h->cfg.secret), (unsigned char *)text,
		head + len, sum, &n);
	free(text);
	for (unsigned i = 0; i < n; i++) {
		char hex[3];

		snprintf(hex, sizeof(hex), "%02x", sum[i]);
		str_append(line, size, hex);
	}
}

static void note_failure(struct hook *h, unsigned status, const char *why)
{
	char code[16];

	h->failures++;
	if (h->failed++ != 0)
		return; /* told once, until it works again */
	snprintf(code, sizeof(code), "%u", status);
	log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "webhook_failed", "webhook", h->cfg.name,
		"status", status ? code : NULL, "why", why, "then", "it is tried again", NULL);
}

static bool post(struct hook *h, struct http_poster *poster, const char *body, size_t len)
{
	char stamp[24], stamp_line[64], signature[128], why[256] = "";
	const char *headers[] = {"Content-Type: application/json", stamp_line, signature, NULL};
	unsigned status;

	snprintf(stamp, sizeof(stamp), "%lld", (long long)time(NULL));
	snprintf(stamp_line, sizeof(stamp_line), "X-Segue-Timestamp: %s", stamp);
	sign(h, stamp, body, len, signature, sizeof(signature));
	status = http_post(poster, headers, body, len, TIMEOUT_MS, why, sizeof(why));
	if (status >= 200 && status < 300) {
		if (h->failed != 0)
			log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "webhook_works_again",
				"webhook", h->cfg.name, NULL);
		h->failed = 0;
		return true;
	}
	if (h->webhooks->stop == 0)
		note_failure(h, status, why);
	return false;
}

/* Sends what the batch holds; true if it has arrived, or there was nothing to send. */
static bool send_batch(struct hook *h, struct http_poster *poster, const struct batch *b)
{
	size_t n = json_array_size(b->facts);
	json_t *doc;
	char *body;
	bool ok;

	if (n == 0)
		return true;
	doc = json_object();
	jo_text(doc, "webhook", h->cfg.name);
	jo_uuid(doc, "outbox", &h->webhooks->src.identity);
	json_object_set(doc, "facts", b->facts);
	body = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	ok = body != NULL && post(h, poster, body, strlen(body));
	free(body);
	if (ok)
		h->sent += n;
	return ok;
}

/* ---- cursors --------------------------------------------------------------------------------- */

static void save_state(struct webhooks *w)
{
	char tmp[300], key[UUID_STRLEN];
	json_t *doc = json_object();

	if (w->state[0] != '\0') {
		jo_text(doc, "outbox", uuid_str(&w->src.identity, key));
		for (unsigned i = 0; i < w->n; i++)
			jo_int(doc, w->hook[i].cfg.name, (int64_t)w->hook[i].cursor);
		snprintf(tmp, sizeof(tmp), "%s.new", w->state);
		pthread_mutex_lock(&w->mutex);
		if (json_dump_file(doc, tmp, 0) == 0 && rename(tmp, w->state) < 0)
			unlink(tmp);
		pthread_mutex_unlock(&w->mutex);
	}
	json_decref(doc);
}

/* Cursors of another outbox mean nothing in this one. */
static void load_state(struct webhooks *w)
{
	json_t *doc = w->state[0] ? json_load_file(w->state, 0, NULL) : NULL, *v;
	const char *of = json_string_value(json_object_get(doc, "outbox"));
	uint64_t newest = w->src.newest(w->src.arg);
	char key[UUID_STRLEN];

	if (of == NULL || !str_eq(of, uuid_str(&w->src.identity, key))) {
		json_decref(doc);
		doc = NULL;
	}
	for (unsigned i = 0; i < w->n; i++) {
		v = json_object_get(doc, w->hook[i].cfg.name);
		w->hook[i].cursor = json_is_integer(v) ? (uint64_t)json_integer_value(v) : newest;
	}
	json_decref(doc);
}

static void tell(struct webhooks *w)
{
	const uint64_t one = 1;

	while (write(w->notify, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* Waits until facts were appended after `kicks`, at most so long; returns the newest count. */
static uint64_t wait_for_kick(struct webhooks *w, uint64_t kicks, unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&w->mutex);
	while (w->stop == 0 && w->kicks == kicks)
		if (pthread_cond_timedwait(&w->kicked, &w->mutex, &until) != 0)
			break;
	kicks = w->kicks;
	pthread_mutex_unlock(&w->mutex);
	return kicks;
}

/* After a reboot of the machine the outbox counts on from far above: a gap in which there is nothing. */
static bool same_count(uint64_t a, uint64_t b)
{
	return a >> 32 == b >> 32;
}

static void give_up_old(struct hook *h)
{
	const struct webhook_source *src = &h->webhooks->src;
	uint64_t newest = src->newest(src->arg), oldest = src->oldest(src->arg), to = h->cursor;
	char n[24];

	if (same_count(newest, to) && newest > to &&
		newest - to > src->behind_max + src->behind_max / 8) /* many at once: a line each */
		to = newest - src->behind_max;
	if (same_count(oldest, to) && oldest > to + 1)
		to = oldest - 1; /* they are gone from the outbox */
	if (to == h->cursor)
		return;
	snprintf(n, sizeof(n), "%llu", (unsigned long long)(to - h->cursor));
	log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "webhook_facts_lost", "webhook", h->cfg.name,
		"count", n, "why", "it was too far behind", NULL);
	h->lost += to - h->cursor;
	h->cursor = to;
	tell(h->webhooks);
}

/* After a failure nothing but time, or the end, goes on. */
static void back_off(struct hook *h)
{
	unsigned ms = webhook_wait_ms(h->failed);

	for (struct webhooks *w = h->webhooks; w->stop == 0 && ms > 0; ms -= ms < 100 ? ms : 100) {
		usleep((ms < 100 ? ms : 100) * 1000);
		give_up_old(h); /* the outbox fills meanwhile */
	}
}

/* One batch. True if there was one and it has arrived. */
static bool step(struct hook *h, struct http_poster *poster)
{
	struct webhooks *w = h->webhooks;
	struct batch b = {.hook = h, .facts = json_array(), .last = h->cursor};
	bool some;

	give_up_old(h);
	b.last = h->cursor;
	w->src.read(w->src.arg, h->cursor, BATCH, take_fact, &b);
	some = b.last != h->cursor;
	if (some && !send_batch(h, poster, &b)) {
		json_decref(b.facts);
		back_off(h);
		return true; /* the same again */
	}
	json_decref(b.facts);
	if (some) {
		h->cursor = b.last;
		tell(w);
	}
	return some;
}

static void *hook_main(void *arg)
{
	struct hook *h = arg;
	struct webhooks *w = h->webhooks;
	struct http_poster *poster = http_poster_create(h->cfg.url, &w->stop);
	uint64_t kicks = 0;
	unsigned unsaved = 0;

	pthread_setname_np(pthread_self(), "webhook");
	while (poster != NULL && w->stop == 0) {
		if (step(h, poster)) {
			unsaved++;
			if (unsaved % SAVE_EVERY != 0)
				continue;
		} else {
			kicks = wait_for_kick(w, kicks, 1000);
		}
		if (unsaved != 0)
			save_state(w);
		unsaved = 0;
	}
	http_poster_destroy(poster);
	return NULL;
}

/* ---- public ---------------------------------------------------------------------------------- */

int webhooks_start(const struct webhook_config *cfg, unsigned n, const char *state,
	const struct webhook_source *src, int notify_fd, struct webhooks **out)
{
	struct webhooks *w = n ? calloc(1, sizeof(*w)) : NULL;
	int rc = 0;

	*out = NULL;
	if (n == 0)
		return 0;
	if (w == NULL || http_post_init()) {
		free(w);
		return ENOMEM;
	}
	w->src = *src;
	w->notify = notify_fd;
	w->n = n;
	str_set(w->state, state);
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->kicked, NULL);
	for (unsigned i = 0; i < n; i++) {
		w->hook[i].webhooks = w;
		w->hook[i].cfg = cfg[i];
	}
	load_state(w);
	save_state(w); /* else a kill before the first success would forget where it began */
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		rc = pthread_create(&w->hook[i].thread, NULL, hook_main, &w->hook[i]);
		w->hook[i].running = rc == 0;
	}
	if (rc)
		webhooks_stop(w);
	else
		*out = w;
	return rc;
}

void webhooks_stop(struct webhooks *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->mutex);
	w->stop = 1;
	pthread_cond_broadcast(&w->kicked);
	pthread_mutex_unlock(&w->mutex);
	for (unsigned i = 0; i < w->n; i++)
		if (w->hook[i].running)
			pthread_join(w->hook[i].thread, NULL);
	save_state(w);
	pthread_cond_destroy(&w->kicked);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}

void webhooks_kick(struct webhooks *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->mutex);
	w->kicks++;
	pthread_cond_broadcast(&w->kicked);
	pthread_mutex_unlock(&w->mutex);
}

uint64_t webhooks_done(const struct webhooks *w)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; w != NULL && i < w->n; i++)
		if (w->hook[i].cursor < least)
			least = w->hook[i].cursor;
	return least;
}

unsigned webhooks_count(const struct webhooks *w)
{
	return w ? w->n : 0;
}

void webhooks_status(const struct webhooks *w, unsigned i, struct webhook_status *out)
{
	const struct hook *h = &w->hook[i];
	uint64_t newest = w->src.newest(w->src.arg), cursor = h->cursor;

	*out = (struct webhook_status){
		.name = h->cfg.name,
		.sent = h->sent,
		.failures = h->failures,
		.lost = h->lost,
		.behind = newest > cursor && same_count(newest, cursor) ? newest - cursor : 0,
	};
}
