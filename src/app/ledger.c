/* ledger: see ledger.h. */
#include "app/ledger.h"

#include "app/files.h"
#include "db/shipper.h"
#include "store/store.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define COMPLAIN_MS 60000

struct ledger {
	struct store *store;
	struct shipper *shipper;
	struct webhooks *webhooks;
	int notify; /* eventfd: the shipper committed something, or a webhook came further */
	struct loop_watch *watch;
	uint64_t appended, lost, lost_told;
	_Atomic uint64_t newest, trimmed; /* for the webhooks' threads */
	int64_t told_ms;
};

int ledger_open(const struct app_config *cfg, struct ledger **out)
{
	struct ledger *l = calloc(1, sizeof(*l));
	int rc = l ? files_make_directory(cfg->outbox) : ENOMEM;

	if (rc == 0)
		rc = store_open(cfg->outbox, cfg->outbox_mb, &l->store);
	if (rc) {
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "outbox_unusable", "ledger.outbox",
			cfg->outbox, "why", strerror(rc), NULL);
		free(l);
		return rc;
	}
	l->notify = -1;
	*out = l;
	return 0;
}

static int read_outbox(void *arg, uint64_t after, unsigned max,
	bool (*fn)(void *arg, uint64_t seq, const unsigned char *bytes, size_t len), void *fnarg)
{
	struct ledger *l = arg;

	return store_read(l->store, after, max, fn, fnarg);
}

static uint64_t newest_fact(void *arg)
{
	return ((struct ledger *)arg)->newest;
}

static uint64_t oldest_fact(void *arg)
{
	return ((struct ledger *)arg)->trimmed + 1;
}

/* Facts have arrived in PostgreSQL and at every webhook: they leave the outbox. */
static void on_shipped(void *arg, int events)
{
	struct ledger *l = arg;
	struct shipper_status st = {0};
	uint64_t n, done = webhooks_done(l->webhooks);
	int rc;

	if (read(l->notify, &n, sizeof(n)) != (ssize_t)sizeof(n) || l->shipper == NULL)
		return;
	shipper_status(l->shipper, &st);
	done = st.shipped < done ? st.shipped : done;
	rc = store_trim(l->store, done);
	if (rc == 0 && done > l->trimmed)
		l->trimmed = done;
	if (rc)
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "outbox_trim_failed", "why",
			strerror(rc), NULL);
}

void ledger_identity(const struct ledger *l, uuid *id)
{
	store_identity(l->store, id);
}

static int start_shipper(struct ledger *l, const struct app_config *cfg)
{
	struct shipper_source src = {.arg = l, .read = read_outbox};
	int rc;

	if (cfg->shipper.conninfo[0] == '\0') {
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "ledger_not_shipped", "why",
			"ledger.database is empty: facts stay in the outbox", NULL);
		return 0;
	}
	store_identity(l->store, &src.identity);
	rc = shipper_start(&cfg->shipper, &src, l->notify, &l->shipper);
	if (rc)
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "shipper_not_started", "why",
			strerror(rc), NULL);
	return rc;
}

static int start_webhooks(struct ledger *l, const struct app_config *cfg)
{
	struct webhook_source src = {
		.arg = l, .read = read_outbox, .newest = newest_fact, .oldest = oldest_fact,
		.behind_max = webhook_behind_max(cfg->outbox_mb)};
	uint64_t first, last;
	int rc = store_range(l->store, &first, &last);

	l->newest = last;
	l->trimmed = first ? first - 1 : last;
	store_identity(l->store, &src.identity);
	if (rc == 0 && cfg->nwebhooks > 0 && cfg->webhook_state[0] != '\0')
		files_make_parent(cfg->webhook_state);
	if (rc == 0)
		rc = webhooks_start(cfg->webhooks, cfg->nwebhooks, cfg->webhook_state, &src,
			l->notify, &l->webhooks);
	if (rc)
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "webhooks_not_started", "why",
			strerror(rc), NULL);
	return rc;
}

int ledger_start(struct ledger *l, const struct app_config *cfg, struct loop *loop)
{
	int rc;

	l->notify = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->notify < 0)
		return errno;
	l->watch = loop_watch(loop, l->notify, LOOP_IN, on_shipped, l);
	if (l->watch == NULL)
		return ENOMEM;
	rc = start_webhooks(l, cfg);
	return rc ? rc : start_shipper(l, cfg);
}

const struct webhooks *ledger_webhooks(const struct ledger *l)
{
	return l->webhooks;
}

void ledger_close(struct ledger *l, unsigned grace_ms)
{
	if (l == NULL)
		return;
	loop_unwatch(l->watch);
	webhooks_stop(l->webhooks);
	if (l->shipper != NULL)
		shipper_stop(l->shipper, grace_ms);
	if (l->notify >= 0)
		close(l->notify);
	store_close(l->store);
	free(l);
}

static void complain(struct ledger *l, int rc)
{
	int64_t now = loop_now_ms();
	char n[24];

	if (l->told_ms != 0 && now - l->told_ms < COMPLAIN_MS)
		return;
	snprintf(n, sizeof(n), "%llu", (unsigned long long)(l->lost - l->lost_told));
	log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "facts_lost", "count", n, "why", strerror(rc),
		"hint", rc == ENOSPC ? "the outbox is full: is PostgreSQL away?" : NULL, NULL);
	l->told_ms = now;
	l->lost_told = l->lost;
}

void ledger_append(struct ledger *l, const struct fact *facts, unsigned n)
{
	uint64_t last;
	int rc;

	if (n == 0)
		return;
	rc = store_append(l->store, facts, n, &last);
	if (rc) {
		l->lost += n;
		complain(l, rc);
		return;
	}
	l->appended += n;
	l->newest = last;
	webhooks_kick(l->webhooks);
	if (l->shipper != NULL)
		shipper_kick(l->shipper);
}

#define EACH_BATCH 4096

struct each {
	void (*fn)(void *arg, const struct fact *f);
	void (*fn_seq)(void *arg, uint64_t seq, const struct fact *f);
	void *arg;
	uint64_t last;
};

static bool each_fact(void *arg, uint64_t seq, const unsigned char *bytes, size_t len)
{
	struct each *e = arg;
	struct fact f;

	e->last = seq;
	if (!fact_decode(bytes, len, &f))
		return true;
	if (e->fn != NULL)
		e->fn(e->arg, &f);
	else
		e->fn_seq(e->arg, seq, &f);
	return true;
}

static int each(struct ledger *l, struct each *e)
{
	int n;

	do
		n = store_read(l->store, e->last, EACH_BATCH, each_fact, e);
	while (n > 0);
	if (n < 0)
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "outbox_unread", "why", strerror(-n),
			NULL);
	return -n;
}

int ledger_each(struct ledger *l, void (*fn)(void *arg, const struct fact *f), void *arg)
{
	struct each e = {.fn = fn, .arg = arg};

	return each(l, &e);
}

int ledger_each_seq(
	struct ledger *l, void (*fn)(void *arg, uint64_t seq, const struct fact *f), void *arg)
{
	struct each e = {.fn_seq = fn, .arg = arg};

	return each(l, &e);
}

uint64_t ledger_newest(const struct ledger *l)
{
	return store_last(l->store);
}

void ledger_status(struct ledger *l, struct ledger_status *out)
{
	memset(out, 0, sizeof(*out));
	out->appended = l->appended;
	out->lost = l->lost;
	if (store_range(l->store, &out->first, &out->last))
		out->first = out->last = 0;
	out->shipping = l->shipper != NULL;
	if (out->shipping)
		shipper_status(l->shipper, &out->shipper);
	out->waiting = out->last > out->shipper.shipped ? out->last - out->shipper.shipped : 0;
}
