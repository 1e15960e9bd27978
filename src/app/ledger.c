/* ledger: see ledger.h. */
#include "app/ledger.h"

#include "app/files.h"
#include "db/shipper.h"
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define COMPLAIN_MS 60000

struct ledger {
	struct store *store;
	struct shipper *shipper;
	int notify; /* eventfd: the shipper committed something */
	struct loop_watch *watch;
	uint64_t appended, lost, lost_told;
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

/* Facts have arrived in PostgreSQL: they leave the outbox. */
static void on_shipped(void *arg, int events)
{
	struct ledger *l = arg;
	struct shipper_status st;
	uint64_t n;
	int rc;

	if (read(l->notify, &n, sizeof(n)) != (ssize_t)sizeof(n))
		return;
	shipper_status(l->shipper, &st);
	rc = store_trim(l->store, st.shipped);
	if (rc)
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "outbox_trim_failed", "why",
			strerror(rc), NULL);
}

int ledger_start(struct ledger *l, const struct app_config *cfg, struct loop *loop)
{
	struct shipper_source src = {.arg = l, .read = read_outbox};
	int rc = 0;

	if (cfg->shipper.conninfo[0] == '\0') {
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "ledger_not_shipped", "why",
			"ledger.database is empty: facts stay in the outbox", NULL);
		return 0;
	}
	l->notify = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->notify < 0)
		rc = errno;
	if (rc == 0 && (l->watch = loop_watch(loop, l->notify, LOOP_IN, on_shipped, l)) == NULL)
		rc = ENOMEM;
	store_identity(l->store, &src.identity);
	if (rc == 0)
		rc = shipper_start(&cfg->shipper, &src, l->notify, &l->shipper);
	if (rc)
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "shipper_not_started", "why",
			strerror(rc), NULL);
	return rc;
}

void ledger_close(struct ledger *l, unsigned grace_ms)
{
	if (l == NULL)
		return;
	loop_unwatch(l->watch);
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
	if (l->shipper != NULL)
		shipper_kick(l->shipper);
}

#define EACH_BATCH 4096

struct each {
	void (*fn)(void *arg, const struct fact *f);
	void *arg;
	uint64_t last;
};

static bool each_fact(void *arg, uint64_t seq, const unsigned char *bytes, size_t len)
{
	struct each *e = arg;
	struct fact f;

	e->last = seq;
	if (fact_decode(bytes, len, &f))
		e->fn(e->arg, &f);
	return true;
}

int ledger_each(struct ledger *l, void (*fn)(void *arg, const struct fact *f), void *arg)
{
	struct each e = {.fn = fn, .arg = arg};
	int n;

	do
		n = store_read(l->store, e.last, EACH_BATCH, each_fact, &e);
	while (n > 0);
	if (n < 0)
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "outbox_unread", "why", strerror(-n),
			NULL);
	return -n;
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
