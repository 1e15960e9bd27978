/*
 * shipper: see shipper.h.
 *
 * One turn: read up to a batch of facts after the cursor, send one pipeline that moves the cursor
 * and stores them (one statement per fact type, the facts as arrays), wait for its end. All of it
 * is one transaction: libpq's pipeline up to a sync. If the database refuses the data, the batch is
 * halved until the one fact that it refuses stands alone, and that one goes to rejected_facts.
 */
#include "db/shipper.h"

#include "base/log.h"
#include "base/str.h"
#include "db/batch.h"
#include "db/pg.h"
#include "db/statements.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 10000
#define BATCH_TIMEOUT_MS   60000 /* then the connection counts as dead */
#define COMPLAIN_MS	   60000

#define OID_INT4 23
#define OID_INT8 20

/* How a batch ended. */
enum shipped {
	SHIPPED,
	EMPTY,	 /* there was nothing to ship */
	REFUSED, /* the database does not take one of these facts */
	TROUBLE, /* connection, schema, disk ...: try again later */
};

struct shipper {
	struct shipper_config cfg;
	struct shipper_source src;
	int notify_fd;
	pthread_t thread;
	struct pg_waker waker;
	atomic_bool idle; /* the thread waits for a kick */

	/* the thread's own */
	PGconn *conn;
	int32_t outbox;	 /* segue.outboxes.id */
	uint64_t cursor; /* stored up to here */
	struct batch *batch;
	uint64_t batch_last; /* newest fact in the batch */
	unsigned batch_n;
	bool batch_failed;     /* no memory while filling */
	char error[256];       /* what went wrong last */
	int64_t complained_at; /* last log line about TROUBLE */
	int64_t rejected_at;   /* last log line about a refused fact */

	pthread_mutex_t mutex; /* guards status */
	struct shipper_status status;
};

/* ---- telling ----------------------------------------------------------------------------- */

static void note_trouble(struct shipper *s)
{
	int64_t now = pg_now();

	pthread_mutex_lock(&s->mutex);
	s->status.connected = false;
	s->status.failures++;
	str_set(s->status.last_error, s->error);
	pthread_mutex_unlock(&s->mutex);
	if (s->complained_at && now - s->complained_at < COMPLAIN_MS)
		return;
	s->complained_at = now;
	log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "database_away", "why", s->error, "then",
		"calls go on, facts wait in the outbox", NULL);
}

static void note_connected(struct shipper *s)
{
	char cursor[24];

	pthread_mutex_lock(&s->mutex);
	s->status.connected = true;
	s->status.shipped = s->cursor;
	pthread_mutex_unlock(&s->mutex);
	snprintf(cursor, sizeof(cursor), "%" PRIu64, s->cursor);
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "database_connected", "shipped", cursor,
		NULL);
	s->complained_at = 0;
}

static void note_shipped(struct shipper *s)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&s->mutex);
	s->status.shipped = s->cursor;
	s->status.facts += s->batch_n;
	s->status.batches++;
	s->status.last_ok_ms = pg_now();
	pthread_mutex_unlock(&s->mutex);
	if (s->notify_fd >= 0 && write(s->notify_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_msg(LOG_LEVEL_ERROR, (struct log_ref){0}, "shipper_notify", "%s",
			strerror(errno));
}

static void note_rejected(struct shipper *s, uint64_t seq)
{
	int64_t now = pg_now();
	uint64_t total;

	pthread_mutex_lock(&s->mutex);
	total = ++s->status.rejected;
	pthread_mutex_unlock(&s->mutex);
	if (s->rejected_at && now - s->rejected_at < 1000)
		return; /* the table has them all */
	s->rejected_at = now;
	log_msg(LOG_LEVEL_ERROR, (struct log_ref){0}, "fact_rejected",
		"fact %" PRIu64 " is in segue.rejected_facts (%" PRIu64 " since start): %s", seq,
		total, s->error);
}

/* ---- connecting -------------------------------------------------------------------------- */

static void disconnect(struct shipper *s)
{
	PQfinish(s->conn);
	s->conn = NULL;
}

/* Keeps the reason that res gives, or the connection. */
static void keep_error(struct shipper *s, const PGresult *res)
{
	pg_reason(s->conn, res, s->error, sizeof(s->error));
}

static bool run(struct shipper *s, const char *sql)
{
	PGresult *res = pg_query(&s->waker, s->conn, sql, CONNECT_TIMEOUT_MS);
	ExecStatusType st = PQresultStatus(res);
	bool ok = st == PGRES_COMMAND_OK || st == PGRES_TUPLES_OK;

	if (!ok)
		keep_error(s, res);
	PQclear(res);
	return ok;
}

/* Reads where the tables stand. */
static bool load_cursor(struct shipper *s)
{
	char id[UUID_STRLEN], sql[256];
	PGresult *res;
	bool ok;

	uuid_str(&s->src.identity, id);
	snprintf(sql, sizeof(sql),
		"INSERT INTO segue.outboxes (identity) VALUES ('%s') ON CONFLICT DO NOTHING", id);
	if (!run(s, sql))
		return false;
	snprintf(sql, sizeof(sql), "SELECT id, shipped FROM segue.outboxes WHERE identity = '%s'",
		id);
	res = pg_query(&s->waker, s->conn, sql, CONNECT_TIMEOUT_MS);
	ok = PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1;
	if (ok) {
		s->outbox = (int32_t)strtol(PQgetvalue(res, 0, 0), NULL, 10);
		s->cursor = strtoull(PQgetvalue(res, 0, 1), NULL, 10);
	} else {
		keep_error(s, res);
	}
	PQclear(res);
	return ok;
}

/* Waits for the results of a pipeline; the first that failed decides. Returns false, with the
 * reason kept and sqlstate filled ("" if the connection is lost). */
static bool collect(struct shipper *s, char sqlstate[6])
{
	int64_t until = pg_now() + BATCH_TIMEOUT_MS;
	bool ok = true, lost = false;

	sqlstate[0] = '\0';
	for (;;) {
		PGresult *res = pg_result(&s->waker, s->conn, until, &lost);
		ExecStatusType st = PQresultStatus(res);

		if (lost) {
			keep_error(s, NULL);
			sqlstate[0] = '\0';
			return false;
		}
		if (ok && st == PGRES_FATAL_ERROR && res) {
			const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

			ok = false;
			keep_error(s, res);
			str_copy(sqlstate, 6, state);
		}
		PQclear(res);
		if (res && st == PGRES_PIPELINE_SYNC)
			return ok;
	}
}

static bool prepare_all(struct shipper *s)
{
	static const unsigned advance_types[] = {OID_INT4, OID_INT8, OID_INT8};
	char text[STATEMENT_MAX], name[16], sqlstate[6];
	unsigned types[1 + GROUP_COLUMNS_MAX];

	if (!PQsendPrepare(s->conn, "advance", "SELECT segue.advance_outbox($1, $2, $3)", 3,
		    advance_types))
		return false;
	for (unsigned i = 0; i < statement_count(); i++) {
		unsigned n = batch_types(statement_group(i), types + 1);

		types[0] = OID_INT4;
		statement_text(i, text);
		snprintf(name, sizeof(name), "s%u", i);
		if (!PQsendPrepare(s->conn, name, text, (int)n + 1, types))
			return false;
	}
	return PQpipelineSync(s->conn) && collect(s, sqlstate);
}

/* The plans are made once, and must not depend on how small the tables were then. */
static const char session_setup[] =
	"SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
	" SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;"
	" SET synchronous_commit = on; SET client_encoding = 'UTF8'";

static bool connect_db(struct shipper *s)
{
	s->conn =
		pg_open(&s->waker, s->cfg.conninfo, CONNECT_TIMEOUT_MS, s->error, sizeof(s->error));
	if (!s->conn)
		return false;
	if (!run(s, session_setup) || !load_cursor(s) || !PQenterPipelineMode(s->conn) ||
		!prepare_all(s)) {
		if (s->error[0] == '\0')
			keep_error(s, NULL);
		disconnect(s);
		return false;
	}
	note_connected(s);
	return true;
}

/* ---- one batch --------------------------------------------------------------------------- */

/* Facts that should be there and are not: a database that was restored from a backup is behind the
 * outbox, which has been trimmed meanwhile. */
static void check_gap(struct shipper *s, uint64_t seq)
{
	if (seq != s->batch_last + 1 && (uint32_t)(seq - 1) != 0)
		log_msg(LOG_LEVEL_ERROR, (struct log_ref){0}, "outbox_gap",
			"the tables have facts up to %" PRIu64 ", the outbox goes on at %" PRIu64
			": was the database restored from a backup?",
			s->batch_last, seq);
}

static bool take_fact(void *arg, uint64_t seq, const unsigned char *bytes, size_t len)
{
	struct shipper *s = arg;

	check_gap(s, seq);
	s->batch_failed = !batch_add(s->batch, seq, bytes, len);
	s->batch_last = seq;
	s->batch_n++;
	return !s->batch_failed;
}

/* One fact, straight to the rejected. */
static bool take_rejected(void *arg, uint64_t seq, const unsigned char *bytes, size_t len)
{
	struct shipper *s = arg;

	s->batch_failed = !batch_reject(s->batch, seq, bytes, len, s->error);
	s->batch_last = seq;
	s->batch_n++;
	return !s->batch_failed;
}

/* Fills the batch with at most max facts after the cursor; SHIPPED stands for "filled". */
static enum shipped fill(struct shipper *s, unsigned max,
	bool (*take)(void *, uint64_t, const unsigned char *, size_t))
{
	int n;

	batch_clear(s->batch);
	s->batch_n = 0;
	s->batch_last = s->cursor;
	s->batch_failed = false;
	n = s->src.read(s->src.arg, s->cursor, max, take, s);
	if (n < 0 || s->batch_failed) {
		snprintf(s->error, sizeof(s->error), "outbox: %s", strerror(n < 0 ? -n : ENOMEM));
		return TROUBLE;
	}
	return n == 0 ? EMPTY : SHIPPED;
}

static bool send_advance(struct shipper *s)
{
	const uint32_t outbox = htobe32((uint32_t)s->outbox);
	const uint64_t from = htobe64(s->cursor), to = htobe64(s->batch_last);
	const char *const values[] = {
		(const char *)&outbox, (const char *)&from, (const char *)&to};
	static const int lengths[] = {4, 8, 8}, formats[] = {1, 1, 1};

	return PQsendQueryPrepared(s->conn, "advance", 3, values, lengths, formats, 1);
}

static bool send_statement(struct shipper *s, unsigned i)
{
	const uint32_t outbox = htobe32((uint32_t)s->outbox);
	const char *values[1 + GROUP_COLUMNS_MAX] = {(const char *)&outbox};
	int lengths[1 + GROUP_COLUMNS_MAX] = {4}, formats[1 + GROUP_COLUMNS_MAX];
	unsigned oids[GROUP_COLUMNS_MAX], group = statement_group(i), n = batch_types(group, oids);
	char name[STR_NUMBER_MAX + 1], number[STR_NUMBER_MAX];

	for (unsigned k = 0; k <= n; k++)
		formats[k] = 1;
	batch_columns(s->batch, group, values + 1, lengths + 1);
	str_put(name, "s", str_number(i, number));
	return PQsendQueryPrepared(s->conn, name, (int)n + 1, values, lengths, formats, 1);
}

static bool send_batch(struct shipper *s)
{
	if (!send_advance(s))
		return false;
	for (unsigned i = 0; i < statement_count(); i++)
		if (batch_rows(s->batch, statement_group(i)) && !send_statement(s, i))
			return false;
	return PQpipelineSync(s->conn);
}

/* Does the error mean that the data cannot be stored, now or ever (SQLSTATE classes: data
 * exception, constraint violation, check option, limit exceeded, raised by a trigger)? */
static bool is_refusal(const char *sqlstate)
{
	static const char *const classes[] = {"22", "23", "44", "54", "P0"};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (str_starts(sqlstate, classes[i]))
			return true;
	return false;
}

static enum shipped store_batch(struct shipper *s)
{
	char sqlstate[6];

	if (!send_batch(s)) {
		keep_error(s, NULL);
		return TROUBLE;
	}
	if (!collect(s, sqlstate))
		return is_refusal(sqlstate) ? REFUSED : TROUBLE;
	s->cursor = s->batch_last;
	note_shipped(s);
	return SHIPPED;
}

/* The fact after the cursor is refused: put it aside, with s->error as the reason. */
static enum shipped reject_one(struct shipper *s)
{
	enum shipped r = fill(s, 1, take_rejected);

	if (r == SHIPPED)
		r = store_batch(s);
	if (r == SHIPPED)
		note_rejected(s, s->cursor);
	return r == REFUSED ? TROUBLE : r;
}

/* Ships at most max facts; *n is how many there were. */
static enum shipped ship(struct shipper *s, unsigned max, unsigned *n)
{
	enum shipped r = fill(s, max, take_fact);
	unsigned half, ignored;

	*n = s->batch_n;
	if (r != SHIPPED)
		return r;
	r = store_batch(s);
	if (r != REFUSED)
		return r;
	if (*n == 1)
		return reject_one(s);
	half = *n / 2;
	r = ship(s, half, &ignored);
	return r == SHIPPED ? ship(s, *n - half, &ignored) : r;
}

/* ---- the thread -------------------------------------------------------------------------- */

static bool something_seen(void *arg, uint64_t seq, const unsigned char *bytes, size_t len)
{
	return false;
}

/* Waits for a kick. A connection that the server closes meanwhile is noticed. */
static void wait_for_facts(struct shipper *s)
{
	atomic_store(&s->idle, true);
	if (s->src.read(s->src.arg, s->cursor, 1, something_seen, NULL) == 0 &&
		!pg_stopping(&s->waker) &&
		pg_wait(&s->waker, s->conn, POLLIN, PG_FOREVER) == PG_READY &&
		!PQconsumeInput(s->conn)) {
		keep_error(s, NULL);
		note_trouble(s);
		disconnect(s);
	}
	atomic_store(&s->idle, false);
}

/* One turn with a connection; false if it is to be given up. */
static bool turn(struct shipper *s)
{
	unsigned n = 0;
	enum shipped r = ship(s, s->cfg.batch, &n);

	if (r == TROUBLE)
		return false;
	if (r == EMPTY && !pg_stopping(&s->waker))
		wait_for_facts(s);
	if (n < s->cfg.batch) /* let the next batch fill */
		pg_nap(&s->waker, s->cfg.linger_ms);
	return true;
}

/* Nothing left to do, or no time left to do it. */
static bool is_over(struct shipper *s)
{
	if (!pg_stopping(&s->waker))
		return false;
	return pg_now() >= atomic_load(&s->waker.stop_at) || !s->conn ||
	       s->src.read(s->src.arg, s->cursor, 1, something_seen, NULL) <= 0;
}

static void *shipper_main(void *arg)
{
	struct shipper *s = arg;

	pthread_setname_np(pthread_self(), "shipper");
	while (!is_over(s)) {
		s->error[0] = '\0';
		if (s->conn ? turn(s) : connect_db(s))
			continue;
		note_trouble(s);
		disconnect(s);
		pg_nap(&s->waker, s->cfg.retry_ms);
	}
	disconnect(s);
	return NULL;
}

/* ---- public ------------------------------------------------------------------------------ */

static void destroy(struct shipper *s)
{
	batch_destroy(s->batch);
	pg_waker_done(&s->waker);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

int shipper_start(const struct shipper_config *cfg, const struct shipper_source *src, int notify_fd,
	struct shipper **out)
{
	struct shipper *s = calloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (!s)
		return ENOMEM;
	s->cfg = *cfg;
	s->cfg.batch = cfg->batch ? cfg->batch : 1000;
	s->cfg.linger_ms = cfg->linger_ms ? cfg->linger_ms : 50;
	s->cfg.retry_ms = cfg->retry_ms ? cfg->retry_ms : 1000;
	s->src = *src;
	s->notify_fd = notify_fd;
	pthread_mutex_init(&s->mutex, NULL);
	rc = pg_waker_init(&s->waker);
	s->batch = batch_create();
	if (rc == 0 && !s->batch)
		rc = ENOMEM;
	if (rc == 0)
		rc = pthread_create(&s->thread, NULL, shipper_main, s);
	if (rc) {
		destroy(s);
		return rc;
	}
	*out = s;
	return 0;
}

void shipper_kick(struct shipper *s)
{
	/* Under load the thread is not idle, and a kick costs no system call. The fence: either we
	 * see that it is idle, or it sees our facts when it looks once more (wait_for_facts()). */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&s->idle) && atomic_exchange(&s->idle, false))
		pg_wake(&s->waker);
}

void shipper_status(struct shipper *s, struct shipper_status *out)
{
	pthread_mutex_lock(&s->mutex);
	*out = s->status;
	pthread_mutex_unlock(&s->mutex);
}

void shipper_stop(struct shipper *s, unsigned grace_ms)
{
	if (!s)
		return;
	pg_waker_stop(&s->waker, grace_ms);
	pthread_join(s->thread, NULL);
	destroy(s);
}

/* "invalid connection option "hots"": a word is told, anything else of the string is not. */
static void option_of(const char *message, char *why, size_t size)
{
	static const char known[] = "invalid connection option \"";
	const char *word = strstr(message, known), *end = word;

	str_copy(why, size, "expected KEYWORD=VALUE ... or postgresql://...");
	if (word == NULL)
		return;
	word += sizeof(known) - 1;
	for (end = word; isalnum((unsigned char)*end) || *end == '_';)
		end++;
	if (*end == '"' && end - word < 40)
		snprintf(why, size, "`%.*s': expected a keyword of libpq such as host, dbname or user",
			(int)(end - word), word);
}

bool shipper_conninfo_good(const char *conninfo, char *why, size_t size)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);

	why[0] = '\0';
	if (options == NULL)
		option_of(message != NULL ? message : "", why, size);
	PQfreemem(message);
	PQconninfoFree(options);
	return options != NULL;
}
