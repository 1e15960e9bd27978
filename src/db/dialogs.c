/* dialogs: see dialogs.h. */
#include "db/dialogs.h"

#include "base/log.h"
#include "base/str.h"
#include "db/pg.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#define CONNECT_MS  5000
#define QUERY_MS    10000
#define RETRY_MS    1000
#define SEEN_MS     10000 /* rows of a node that was silent for 30 s count no more: history_sql.c */
#define COMPLAIN_MS 60000
#define TAKEN_MS    5000 /* then it is tried again whether the number is free */
#define GRACE_MS    5000 /* at the end, for saying goodbye to a busy database */
#define BATCH	    500 /* rows per statement */

enum entry_state {
	ENTRY_NEW,     /* to be written */
	ENTRY_WRITTEN, /* in the table */
	ENTRY_OVER,    /* to be taken out of the table */
};

struct entry {
	enum entry_state state;
	char *tag; /* the four texts are one block */
	const char *remote_tag, *call_id, *user;
	struct entry *prev, *next; /* of those that have changed: NEW and OVER */
	UT_hash_handle hh;
};

struct dialogs {
	char *conninfo, *address;
	unsigned node;
	char identity[UUID_STRLEN];
	struct pg_waker waker;
	pthread_t thread;
	PGconn *conn;
	int64_t seen_at, complained_at;

	pthread_mutex_t mutex; /* guards what follows */
	struct entry *entries, *changed;
	char taken_by[128]; /* address of the segued that has the number; "": it is ours, or nobody knows */
};

/* ---- the loop's side ------------------------------------------------------------------------- */

static char *put(char *at, const char *text)
{
	size_t n = strlen(text) + 1;

	memcpy(at, text, n);
	return at + n;
}

static struct entry *entry_new(
	const char *id, const char *local_tag, const char *remote_tag, const char *user)
{
	struct entry *e = calloc(1, sizeof(*e));
	char *at;

	if (e == NULL)
		return NULL;
	e->tag = malloc(strlen(id) + strlen(local_tag) + strlen(remote_tag) + strlen(user) + 4);
	if (e->tag == NULL) {
		free(e);
		return NULL;
	}
	e->remote_tag = at = put(e->tag, local_tag);
	e->call_id = at = put(at, remote_tag);
	e->user = at = put(at, id);
	put(at, user);
	return e;
}

static void entry_free(struct dialogs *d, struct entry *e)
{
	if (e->state != ENTRY_WRITTEN)
		DL_DELETE(d->changed, e);
	HASH_DEL(d->entries, e);
	free(e->tag);
	free(e);
}

void dialogs_add(struct dialogs *d, const char *id, const char *local_tag, const char *remote_tag,
	const char *user)
{
	struct entry *e = entry_new(id, local_tag, remote_tag, user), *old;

	if (e == NULL)
		return;
	pthread_mutex_lock(&d->mutex);
	HASH_FIND_STR(d->entries, e->tag, old);
	if (old == NULL) {
		HASH_ADD_KEYPTR(hh, d->entries, e->tag, strlen(e->tag), e);
		DL_APPEND(d->changed, e);
	}
	pthread_mutex_unlock(&d->mutex);
	if (old != NULL) { /* tags are never used twice: it is there already */
		free(e->tag);
		free(e);
		return;
	}
	pg_wake(&d->waker);
}

void dialogs_remove(struct dialogs *d, const char *local_tag)
{
	struct entry *e;

	pthread_mutex_lock(&d->mutex);
	HASH_FIND_STR(d->entries, local_tag, e);
	if (e != NULL && e->state == ENTRY_WRITTEN) {
		e->state = ENTRY_OVER;
		DL_APPEND(d->changed, e);
	} else if (e != NULL && e->state == ENTRY_NEW) { /* nobody has heard of it */
		entry_free(d, e);
	}
	pthread_mutex_unlock(&d->mutex);
	pg_wake(&d->waker);
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* A PostgreSQL array of texts that grows. */
struct array {
	char *text;
	size_t n, cap;
	bool failed;
};

static void array_put(struct array *a, const char *s, size_t n)
{
	if (a->n + n + 1 > a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 4096;
		char *bigger;

		while (cap < a->n + n + 1)
			cap *= 2;
		bigger = realloc(a->text, cap);
		if (bigger == NULL) {
			a->failed = true;
			return;
		}
		a->text = bigger;
		a->cap = cap;
	}
	memcpy(a->text + a->n, s, n);
	a->n += n;
	a->text[a->n] = '\0';
}

static void array_add(struct array *a, const char *value)
{
	array_put(a, a->n == 0 ? "{\"" : ",\"", 2);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			array_put(a, "\\", 1);
		array_put(a, value, 1);
	}
	array_put(a, "\"", 1);
}

static const char *array_end(struct array *a)
{
	array_put(a, a->n == 0 ? "{}" : "}", a->n == 0 ? 2 : 1);
	return a->failed ? NULL : a->text;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void complain(struct dialogs *d, const PGresult *res, const char *why)
{
	char text[256];

	if (why == NULL) {
		pg_reason(d->conn, res, text, sizeof(text));
		why = text;
	}
	if (d->complained_at != 0 && pg_now() - d->complained_at < COMPLAIN_MS)
		return;
	d->complained_at = pg_now();
	log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "dialogs_not_shared", "why", why, "then",
		"other nodes do not see the dialogs of this one", NULL);
}

static void disconnect(struct dialogs *d)
{
	PQfinish(d->conn);
	d->conn = NULL;
}

/* Runs one statement; false, the connection closed, if it failed. rows, which may be NULL: how many it
 * changed. */
static bool change(struct dialogs *d, const char *sql, int n, const char *const *params, long *rows)
{
	int64_t until = pg_now() + QUERY_MS;
	PGresult *res, *last = NULL;
	bool lost = !PQsendQueryParams(d->conn, sql, n, NULL, params, NULL, NULL, 0), ok;

	while (!lost && (res = pg_result(&d->waker, d->conn, until, &lost)) != NULL) {
		PQclear(last);
		last = res;
	}
	ok = !lost && PQresultStatus(last) == PGRES_COMMAND_OK;
	if (ok && rows != NULL)
		*rows = strtol(PQcmdTuples(last), NULL, 10);
	if (!ok)
		complain(d, lost ? NULL : last, NULL);
	PQclear(last);
	if (!ok)
		disconnect(d);
	return ok;
}

static bool run(struct dialogs *d, const char *sql, int n, const char *const *params)
{
	return change(d, sql, n, params, NULL);
}

static void set_taken(struct dialogs *d, const char *by)
{
	pthread_mutex_lock(&d->mutex);
	str_set(d->taken_by, by);
	pthread_mutex_unlock(&d->mutex);
}

/* The number is another one's: its rows are not touched, and nothing of ours is shared. */
static void note_taken(struct dialogs *d)
{
	char node[12], by[sizeof(d->taken_by)] = "unknown";
	const char *params[] = {node};
	int64_t until = pg_now() + QUERY_MS;
	bool lost;
	PGresult *res;

	snprintf(node, sizeof(node), "%u", d->node);
	lost = !PQsendQueryParams(d->conn, "SELECT coalesce(address, 'unknown') FROM segue.nodes WHERE node"
		" = $1::integer", 1, NULL, params, NULL, NULL, 0);
	while (!lost && (res = pg_result(&d->waker, d->conn, until, &lost)) != NULL) {
		if (PQntuples(res) == 1)
			str_set(by, PQgetvalue(res, 0, 0));
		PQclear(res);
	}
	set_taken(d, by);
	if (d->complained_at != 0 && pg_now() - d->complained_at < COMPLAIN_MS)
		return;
	d->complained_at = pg_now();
	log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "node_number_taken", "control.node", node, "by", by,
		"then", "other nodes do not see the dialogs of this one: each segued on a database needs a"
		" number of its own", NULL);
}

/* All that is live is to be written anew. */
static void begin_anew(struct dialogs *d)
{
	struct entry *e, *next;

	pthread_mutex_lock(&d->mutex);
	HASH_ITER (hh, d->entries, e, next)
		if (e->state == ENTRY_OVER) {
			entry_free(d, e);
		} else if (e->state == ENTRY_WRITTEN) {
			e->state = ENTRY_NEW;
			DL_APPEND(d->changed, e);
		}
	pthread_mutex_unlock(&d->mutex);
}

/* Takes the number, if it is free or ours: an outbox outlives the process. */
static bool claim(struct dialogs *d, const char *node)
{
	const char *params[] = {node, d->address, d->identity};
	long rows = 0;

	if (!change(d,
		    "INSERT INTO segue.nodes AS n (node, address, identity, started_at, seen_at)"
		    " VALUES ($1::integer, $2, $3::uuid, now(), now()) ON CONFLICT (node) DO UPDATE"
		    " SET address = excluded.address, identity = excluded.identity,"
		    " started_at = excluded.started_at, seen_at = excluded.seen_at"
		    " WHERE n.identity IS NULL OR n.identity = excluded.identity"
		    " OR n.seen_at < now() - interval '30 s'",
		    3, params, &rows))
		return false;
	if (rows == 0)
		note_taken(d);
	else
		set_taken(d, "");
	return rows > 0;
}

static bool say_hello(struct dialogs *d)
{
	char node[12];
	const char *params[] = {node};

	snprintf(node, sizeof(node), "%u", d->node);
	return run(d, "SET synchronous_commit = off", 0, NULL) && claim(d, node) &&
	       run(d, "DELETE FROM segue.dialogs WHERE node = $1::integer", 1, params);
}

static bool connect_to(struct dialogs *d)
{
	char why[256];

	d->conn = pg_open(&d->waker, d->conninfo, CONNECT_MS, why, sizeof(why));
	if (d->conn == NULL) {
		if (!pg_stopping(&d->waker))
			complain(d, NULL, why);
		return false;
	}
	if (!say_hello(d))
		return false;
	begin_anew(d);
	d->seen_at = pg_now();
	d->complained_at = 0;
	log_kv(LOG_LEVEL_INFO, (struct log_ref){0}, "dialogs_shared", NULL);
	return true;
}

/* Up to BATCH entries that are to be written, and as many that are to go. Both count as done: if that
 * fails, everything is written anew. */
static unsigned take_changes(struct dialogs *d, struct array in[4], struct array *out)
{
	struct entry *e;
	unsigned n;

	pthread_mutex_lock(&d->mutex);
	for (n = 0; n < BATCH && (e = d->changed) != NULL; n++) {
		if (e->state == ENTRY_OVER) {
			array_add(out, e->tag);
			entry_free(d, e);
			continue;
		}
		DL_DELETE(d->changed, e);
		e->state = ENTRY_WRITTEN;
		array_add(&in[0], e->tag);
		array_add(&in[1], e->remote_tag);
		array_add(&in[2], e->call_id);
		array_add(&in[3], e->user);
	}
	pthread_mutex_unlock(&d->mutex);
	return n;
}

static bool write_changes(struct dialogs *d)
{
	struct array in[4] = {{0}}, out = {0};
	unsigned n = take_changes(d, in, &out);
	char node[12];
	const char *params[] = {node, array_end(&in[0]), array_end(&in[1]), array_end(&in[2]),
		array_end(&in[3])};
	const char *gone[] = {node, array_end(&out)};
	bool ok = true;

	snprintf(node, sizeof(node), "%u", d->node);
	if (n > 0)
		ok = run(d,
			     "DELETE FROM segue.dialogs WHERE node = $1::integer"
			     " AND local_tag = ANY ($2::text[])",
			     2, gone) &&
		     run(d,
			     "INSERT INTO segue.dialogs (node, local_tag, remote_tag, call_id, user_name)"
			     " SELECT $1::integer, f.* FROM unnest($2::text[], $3::text[], $4::text[],"
			     " $5::text[]) f ON CONFLICT DO NOTHING",
			     5, params);
	for (int i = 0; i < 4; i++)
		free(in[i].text);
	free(out.text);
	return ok;
}

static bool say_alive(struct dialogs *d)
{
	char node[12];
	const char *params[] = {node, d->identity};
	long rows = 0;

	if (pg_now() - d->seen_at < SEEN_MS)
		return true;
	d->seen_at = pg_now();
	snprintf(node, sizeof(node), "%u", d->node);
	if (!change(d,
		    "UPDATE segue.nodes SET seen_at = now() WHERE node = $1::integer"
		    " AND identity = $2::uuid",
		    2, params, &rows))
		return false;
	if (rows == 0) /* we were silent for too long: somebody else has the number now, perhaps */
		disconnect(d);
	return rows > 0;
}

static bool has_changes(struct dialogs *d)
{
	bool any;

	pthread_mutex_lock(&d->mutex);
	any = d->changed != NULL;
	pthread_mutex_unlock(&d->mutex);
	return any;
}

/* Until something changes, it is time to be seen, or the server hangs up. */
static void rest(struct dialogs *d)
{
	if (pg_wait(&d->waker, d->conn, POLLIN, d->seen_at + SEEN_MS) == PG_READY &&
		!PQconsumeInput(d->conn))
		disconnect(d);
}

/* An orderly end: nobody is to look for anything here. */
static void say_goodbye(struct dialogs *d)
{
	char node[12];
	const char *params[] = {node, d->identity};

	snprintf(node, sizeof(node), "%u", d->node);
	if (run(d,
		    "DELETE FROM segue.dialogs d USING segue.nodes n WHERE d.node = $1::integer"
		    " AND n.node = d.node AND n.identity = $2::uuid",
		    2, params))
		run(d,
			"DELETE FROM segue.nodes WHERE node = $1::integer"
			" AND identity = $2::uuid",
			2, params);
}

static void *thread_main(void *arg)
{
	struct dialogs *d = arg;

	pthread_setname_np(pthread_self(), "dialogs");
	while (!pg_stopping(&d->waker)) {
		if (d->conn == NULL && !connect_to(d)) {
			disconnect(d);
			pg_nap(&d->waker, d->taken_by[0] ? TAKEN_MS : RETRY_MS); /* written here alone */
			continue;
		}
		if (!say_alive(d) || !write_changes(d))
			continue;
		if (!has_changes(d))
			rest(d);
	}
	if (d->conn != NULL)
		say_goodbye(d);
	disconnect(d);
	return NULL;
}

/* ---- start and stop -------------------------------------------------------------------------- */

static void dialogs_free(struct dialogs *d)
{
	struct entry *e, *next;

	HASH_ITER (hh, d->entries, e, next)
		entry_free(d, e);
	pthread_mutex_destroy(&d->mutex);
	free(d->conninfo);
	free(d->address);
	free(d);
}

int dialogs_start(const struct dialogs_config *cfg, struct dialogs **out)
{
	struct dialogs *d = calloc(1, sizeof(*d));
	int rc;

	if (d == NULL)
		return ENOMEM;
	pthread_mutex_init(&d->mutex, NULL);
	d->node = cfg->node;
	uuid_str(&cfg->identity, d->identity);
	d->conninfo = strdup(cfg->conninfo);
	d->address = strdup(cfg->address);
	rc = d->conninfo == NULL || d->address == NULL ? ENOMEM : pg_waker_init(&d->waker);
	if (rc == 0 && (rc = pthread_create(&d->thread, NULL, thread_main, d)) != 0)
		pg_waker_done(&d->waker);
	if (rc) {
		dialogs_free(d);
		return rc;
	}
	*out = d;
	return 0;
}

bool dialogs_taken(struct dialogs *d, char *by, size_t size)
{
	pthread_mutex_lock(&d->mutex);
	str_copy(by, size, d->taken_by);
	pthread_mutex_unlock(&d->mutex);
	return by[0] != '\0';
}

void dialogs_stop(struct dialogs *d)
{
	if (d == NULL)
		return;
	pg_waker_stop(&d->waker, GRACE_MS);
	pthread_join(d->thread, NULL);
	pg_waker_done(&d->waker);
	dialogs_free(d);
}
