/*
 * ledgertool: store and shipper as a program, for the tests in Python.
 *
 *	ledgertool append DIR            facts from stdin into the outbox: one per line, printed
 *form "AT type key=value ...", AT in UTC microseconds, %XX for a byte ledgertool ship DIR CONNINFO
 *MS  ships until the tables have everything, at most MS ledgertool run DIR CONNINFO CALLS RATE
 *[BATCH] makes up whole calls, with a transfer each, at so many calls per second (0: all at once),
 *and ships them meanwhile
 *
 *	ledgertool migrate SQLDIR CONNINFO
 *	                                 what seguectl db upgrade does
 *
 * Prints what happened as key=value; exits 0 only if the tables have everything.
 */
#include "base/log.h"
#include "db/migrate.h"
#include "db/shipper.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MAP_MB 64

static struct store *store;

static void die(const char *what, int err)
{
	fprintf(stderr, "ledgertool: %s: %s\n", what, strerror(err));
	exit(2);
}

static int64_t now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

/* ---- append ------------------------------------------------------------------------------ */

static const struct fact_field *find_field(enum fact_type type, const char *name)
{
	const struct fact_desc *d = fact_describe(type);

	for (unsigned i = 0; i < d->nfields; i++)
		if (strcmp(d->fields[i].name, name) == 0)
			return &d->fields[i];
	fprintf(stderr, "ledgertool: fact %s has no field \"%s\"\n", d->name, name);
	exit(2);
}

static void set_field(struct fact *f, const struct fact_field *d, const char *value)
{
	char *at = (char *)f + d->offset;
	int64_t v;

	if (d->kind == FIELD_TEXT) {
		str_copy(at, d->size, value);
		return;
	}
	if (d->kind == FIELD_UUID) {
		if (!uuid_parse(value, (uuid *)at))
			die(value, EINVAL);
		return;
	}
	v = strtoll(value, NULL, 10);
	memcpy(at, &v, sizeof(v));
}

static enum fact_type find_type(const char *name)
{
	for (int t = 0; t < fact_type_count_; t++)
		if (strcmp(fact_describe(t)->name, name) == 0)
			return t;
	die(name, EINVAL);
	return 0;
}

/* %XX stands for a byte, so that values may have blanks and worse. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		unsigned byte;

		if (*s == '%' && sscanf(s + 1, "%2x", &byte) == 1) {
			*to++ = (char)byte;
			s += 3;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

static void parse_fact(char *line, struct fact *f)
{
	char *save, *word = strtok_r(line, " \n", &save), *type = strtok_r(NULL, " \n", &save);

	memset(f, 0, sizeof(*f));
	if (!word || !type)
		die("line without time and type", EINVAL);
	f->type = find_type(type);
	f->at = strtoll(word, NULL, 10);
	while ((word = strtok_r(NULL, " \n", &save)) != NULL) {
		char *value = strchr(word, '=');

		if (!value)
			die(word, EINVAL);
		*value++ = '\0';
		unescape(value);
		set_field(f, find_field(f->type, word), value);
	}
}

static int append_main(void)
{
	char line[4096];
	uint64_t last = 0;
	struct fact f;
	int rc;

	while (fgets(line, sizeof(line), stdin)) {
		parse_fact(line, &f);
		rc = store_append(store, &f, 1, &last);
		if (rc)
			die("append", rc);
	}
	printf("last=%llu\n", (unsigned long long)last);
	return 0;
}

/* ---- shipping ---------------------------------------------------------------------------- */

static int read_store(void *arg, uint64_t after, unsigned max,
	bool (*fn)(void *arg, uint64_t seq, const unsigned char *bytes, size_t len), void *fnarg)
{
	return store_read(arg, after, max, fn, fnarg);
}

static struct shipper *start(const char *conninfo, int fd, unsigned batch)
{
	struct shipper_config cfg = {.batch = batch, .retry_ms = 100};
	struct shipper_source src = {store, .read = read_store};
	struct shipper *sh;
	int rc;

	str_set(cfg.conninfo, conninfo);
	store_identity(store, &src.identity);
	rc = shipper_start(&cfg, &src, fd, &sh);
	if (rc)
		die("shipper", rc);
	return sh;
}

/* Trims what has been shipped. */
static void trim(struct shipper *sh, int fd)
{
	struct shipper_status st;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return;
	shipper_status(sh, &st);
	store_trim(store, st.shipped);
}

/* Waits until everything is in the tables. */
static bool finish(struct shipper *sh, int fd, int64_t until)
{
	struct shipper_status st;
	uint64_t first, last;
	bool done = false;

	store_range(store, &first, &last);
	while (!done && now_us(CLOCK_MONOTONIC) < until) {
		const struct timespec nap = {0, 2000000};

		trim(sh, fd);
		shipper_status(sh, &st);
		done = st.connected && st.shipped >= last;
		nanosleep(&nap, NULL);
	}
	printf("last=%llu shipped=%llu facts=%llu batches=%llu failures=%llu rejected=%llu\n",
		(unsigned long long)last, (unsigned long long)st.shipped,
		(unsigned long long)st.facts, (unsigned long long)st.batches,
		(unsigned long long)st.failures, (unsigned long long)st.rejected);
	return done;
}

/* ---- made-up calls ----------------------------------------------------------------------- */

struct maker {
	struct fact f[40];
	unsigned n;
	int64_t at;
	uint64_t rnd;
	uuid conv;
	unsigned timeline;
};

static uuid make_id(struct maker *m)
{
	m->rnd = m->rnd * 6364136223846793005u + 1442695040888963407u;
	return uuid_v7(m->at, m->rnd >> 8, m->rnd * 0x9e3779b97f4a7c15u);
}

static struct fact *make(struct maker *m, enum fact_type type)
{
	struct fact *f = &m->f[m->n++];

	memset(f, 0, sizeof(*f));
	f->type = type;
	f->at = m->at;
	return f;
}

static void make_timeline(struct maker *m, const char *type, const char *actor, uuid seg, uuid xfer)
{
	struct fact_timeline *t = &make(m, FACT_TIMELINE)->timeline;

	t->conv = m->conv;
	t->seq = m->timeline++;
	str_set(t->type, type);
	str_set(t->actor, actor);
	str_set(t->key1, "number");
	str_set(t->value1, "102");
	t->seg = seg;
	t->xfer = xfer;
	t->headline = 1;
}

static uuid make_offer(struct maker *m, unsigned n, const char *who, uuid xfer, uuid prev)
{
	struct fact_segment_opened *s = &make(m, FACT_SEGMENT_OPENED)->segment_opened;

	s->seg = make_id(m);
	s->conv = m->conv;
	s->n = n;
	str_set(s->kind, "agent");
	str_set(s->who, who);
	str_set(s->number, "101");
	s->transfer_in = xfer;
	s->prev = prev;
	make_timeline(m, "offered", who, s->seg, xfer);
	return s->seg;
}

static void make_interval(struct maker *m, uuid seg, unsigned n, const char *state, unsigned ms)
{
	struct fact_interval *i = &make(m, FACT_INTERVAL)->interval;

	i->seg = seg;
	i->n = n;
	str_set(i->state, state);
	i->from = m->at - ms * 1000LL;
	i->to = m->at;
	i->ms = ms;
}

/* Rings for 2 s, then is answered. */
static void make_answer(struct maker *m, uuid seg, const char *who)
{
	struct fact_case_owner *o;

	m->at += 2000000;
	make_interval(m, seg, 0, "ringing", 2000);
	make(m, FACT_SEGMENT_ANSWERED)->segment_answered.seg = seg;
	make_timeline(m, "answered", who, seg, (uuid){{0}});
	o = &make(m, FACT_CASE_OWNER)->case_owner;
	o->conv = m->conv;
	str_set(o->user, who);
}

/* Has talked since the answer; released. */
static void make_release(struct maker *m, uuid seg, unsigned talk_ms, const char *outcome)
{
	struct fact_segment_closed *s;

	make_interval(m, seg, 1, "talking", talk_ms);
	s = &make(m, FACT_SEGMENT_CLOSED)->segment_closed;
	s->seg = seg;
	s->ring_ms = 2000;
	s->talk_ms = talk_ms;
	str_set(s->outcome, outcome);
}

static void make_mark(struct maker *m, uuid xfer, const char *mark, uuid to)
{
	struct fact_transfer_marked *t = &make(m, FACT_TRANSFER_MARKED)->transfer_marked;

	t->xfer = xfer;
	str_set(t->mark, mark);
	t->to_seg = to;
}

static uuid make_transfer(struct maker *m, uuid from)
{
	struct fact_transfer_opened *t = &make(m, FACT_TRANSFER_OPENED)->transfer_opened;

	t->xfer = make_id(m);
	t->conv = m->conv;
	str_set(t->kind, "blind");
	str_set(t->via, "sip_refer");
	str_set(t->asker, "alice");
	str_set(t->target_kind, "user");
	str_set(t->target, "bob");
	str_set(t->number, "102");
	t->from_seg = from;
	t->attempt = 1;
	make_mark(m, t->xfer, "accepted", (uuid){{0}});
	make_timeline(m, "transfer_requested", "alice", from, t->xfer);
	return t->xfer;
}

static void make_joined(struct maker *m, uuid xfer, uuid to)
{
	struct fact_transfer_closed *t;

	make_mark(m, xfer, "answered", to);
	make_mark(m, xfer, "joined", to);
	t = &make(m, FACT_TRANSFER_CLOSED)->transfer_closed;
	t->xfer = xfer;
	str_set(t->outcome, "completed");
	t->to_seg = to;
	make_timeline(m, "transfer_completed", "alice", to, xfer);
}

static void make_end(struct maker *m)
{
	struct fact_conversation_closed *c;

	make_timeline(m, "conversation_ended", "customer", (uuid){{0}}, (uuid){{0}});
	c = &make(m, FACT_CONVERSATION_CLOSED)->conversation_closed;
	c->conv = m->conv;
	str_set(c->ended_by, "customer");
	str_set(c->outcome, "answered");
	c->total_ms = 19000;
	c->ring_ms = 2000;
	c->talk_ms = c->agent_talk_ms = 15000;
	c->limbo_ms = 2000;
	c->n_requested = c->n_blind = 1;
}

/* Rings 2 s, alice 5 s, transferred (2 s), bob 10 s: 19 s. */
static void make_call(struct maker *m, unsigned i)
{
	const uuid nil = {{0}};
	struct fact_conversation_opened *c;
	uuid a, b, x;

	m->n = m->timeline = 0;
	m->at = now_us(CLOCK_REALTIME) / 1000 * 1000;
	m->conv = make_id(m);
	c = &make(m, FACT_CONVERSATION_OPENED)->conversation_opened;
	c->conv = m->conv;
	str_set(c->kind, "inbound");
	snprintf(c->customer_number, sizeof(c->customer_number), "+4930%05u", i % 5000);
	str_set(c->customer_name, "Customer");
	str_set(c->dialled, "101");
	str_set(c->source, "pbx");
	snprintf(c->sip_call_id, sizeof(c->sip_call_id), "%u-8f2c1d@192.0.2.7", i);
	make_timeline(m, "conversation_started", "customer", nil, nil);
	a = make_offer(m, 0, "alice", nil, nil);
	make_answer(m, a, "alice");
	m->at += 5000000;
	x = make_transfer(m, a);
	make_release(m, a, 5000, "transferred");
	b = make_offer(m, 1, "bob", x, a);
	make_mark(m, x, "ringing", b);
	make_answer(m, b, "bob");
	make_joined(m, x, b);
	m->at += 10000000;
	make_release(m, b, 10000, "released");
	make_end(m);
}

/* Appends a call in steps of three facts, as the runner would. */
static void append_call(struct maker *m, unsigned i, struct shipper *sh, int fd)
{
	uint64_t last;

	make_call(m, i);
	for (unsigned k = 0; k < m->n; k += 3) {
		unsigned n = m->n - k < 3 ? m->n - k : 3;
		int rc;

		while ((rc = store_append(store, m->f + k, n, &last)) == ENOSPC) {
			const struct timespec nap = {0, 1000000};

			trim(sh, fd);
			nanosleep(&nap, NULL);
		}
		if (rc)
			die("append", rc);
		shipper_kick(sh);
	}
	trim(sh, fd);
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int run_main(const char *conninfo, unsigned calls, unsigned rate, unsigned batch)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct shipper *sh = start(conninfo, fd, batch);
	struct maker m = {.rnd = (uint64_t)now_us(CLOCK_REALTIME)};
	int64_t begin = now_us(CLOCK_MONOTONIC);
	uint64_t facts = 0;
	bool done;

	for (unsigned i = 0; i < calls; i++) {
		int64_t due = rate ? begin + i * 1000000LL / rate : 0;

		while (now_us(CLOCK_MONOTONIC) < due) {
			const struct timespec nap = {0, 500000};

			nanosleep(&nap, NULL);
		}
		append_call(&m, i, sh, fd);
		facts += m.n;
	}
	done = finish(sh, fd, now_us(CLOCK_MONOTONIC) + 60 * 1000000LL);
	begin = now_us(CLOCK_MONOTONIC) - begin;
	printf("calls=%u facts_per_call=%u seconds=%.2f facts_per_s=%.0f cpu_s=%.2f\n", calls, m.n,
		(double)begin / 1e6, (double)facts / ((double)begin / 1e6), cpu_s());
	shipper_stop(sh, 1000);
	close(fd);
	return !done;
}

static int ship_main(const char *conninfo, unsigned ms)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct shipper *sh = start(conninfo, fd, 0);
	bool done = finish(sh, fd, now_us(CLOCK_MONOTONIC) + ms * 1000LL);

	shipper_stop(sh, 0);
	close(fd);
	return !done;
}

static int migrate_main(const char *conninfo, const char *sql_dir)
{
	char why[256] = "";
	int rc = migrate_run(conninfo, sql_dir);

	printf("version=%d %s\n", migrate_version(conninfo, why, sizeof(why)), why);
	return rc != 0;
}

int main(int argc, char **argv)
{
	int rc;

	log_open(LOG_TARGET_STDERR, LOG_LEVEL_INFO);
	if (argc < 3)
		die("usage: append DIR | ship DIR CONNINFO MS | run DIR CONNINFO CALLS RATE",
			EINVAL);
	if (strcmp(argv[1], "migrate") == 0 && argc == 4)
		return migrate_main(argv[3], argv[2]);
	rc = store_open(argv[2], MAP_MB, &store);
	if (rc)
		die(argv[2], rc);
	if (strcmp(argv[1], "append") == 0)
		rc = append_main();
	else if (strcmp(argv[1], "ship") == 0 && argc == 5)
		rc = ship_main(argv[3], (unsigned)atoi(argv[4]));
	else if (strcmp(argv[1], "run") == 0 && argc >= 6)
		rc = run_main(argv[3], (unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]),
			argc > 6 ? (unsigned)atoi(argv[6]) : 0);
	else
		die(argv[1], EINVAL);
	store_close(store);
	return rc;
}
