/*
 * directory: see directory.h.
 *
 * The thread reads all tables in one snapshot whenever one of them changes, and hands the rows that
 * differ to the loop. Reading everything is simple and never wrong; with ten thousand users it
 * takes some 50 ms of this thread.
 */
#include "db/directory.h"

#include "base/log.h"
#include "db/pg.h"
#include "db/rows.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#define TIMEOUT_MS   15000 /* for connecting, and for reading everything */
#define RETRY_MS     1000
#define SETTLE_MS    50 /* several changes in a row are read together */
#define REREAD_MS    3600000 /* the opening hours of the coming days, and zones that have changed */
#define COMPLAIN_MS  60000
#define DISPATCH_MAX 256 /* rows delivered in one go, so that the loop is back soon */

/* What the loop is to be told: a row, or that a whole copy has been delivered. */
#define NOTE_LIST(X)                                                                               \
	X(NOTE_ROW, "row")                                                                         \
	X(NOTE_SYNCED_FILE, "synced_file")                                                         \
	X(NOTE_SYNCED, "synced")
enum note_kind { NOTE_LIST(ENUM_ITEM_) };

struct note {
	struct note *next;
	enum note_kind kind;
	struct row row;
};

/* A complaint about a row, kept so that it is logged once and not with every reading. */
struct complaint {
	char text[320];
	UT_hash_handle hh;
};

struct directory {
	char *conninfo, *copy_path;
	struct directory_hooks hooks;
	pthread_t thread;
	struct pg_waker waker;
	atomic_bool refresh; /* directory_refresh() */
	int fd;		     /* eventfd: notes wait */

	/* the thread's own */
	PGconn *conn;
	struct rows *have; /* what has been told; NULL: nothing yet */
	unsigned changes;  /* rows told since the copy was written */
	struct complaint *complaints;
	struct note *ready, **ready_end; /* not yet handed over */
	int64_t complained_at;
	size_t hours_over; /* queues that have been complained of */
	char error[256];

	pthread_mutex_t mutex;	   /* guards what follows */
	struct note *first, **end; /* to be delivered */
	char trouble[256];	   /* "" if connected */

	char trouble_out[256]; /* the loop thread's copy */
};

/* ---- towards the loop -------------------------------------------------------------------- */

static void add_note(struct directory *d, enum note_kind kind, const struct row *row)
{
	struct note *n = calloc(1, sizeof(*n));

	if (!n)
		return;
	n->kind = kind;
	if (row)
		rows_copy(&n->row, row);
	*d->ready_end = n;
	d->ready_end = &n->next;
}

/* Hands the notes that are ready over to the loop. */
static void deliver_notes(struct directory *d)
{
	const uint64_t one = 1;

	if (!d->ready)
		return;
	pthread_mutex_lock(&d->mutex);
	*d->end = d->ready;
	d->end = d->ready_end;
	pthread_mutex_unlock(&d->mutex);
	d->ready = NULL;
	d->ready_end = &d->ready;
	while (write(d->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void tell_row(void *arg, const struct row *row)
{
	struct directory *d = arg;

	d->changes++;
	add_note(d, NOTE_ROW, row);
}

/* Takes r over as the present state and tells the loop what changed. */
static void adopt(struct directory *d, struct rows *r, enum note_kind synced)
{
	rows_sort(r);
	rows_diff(d->have, r, tell_row, d);
	add_note(d, synced, NULL);
	deliver_notes(d);
	rows_destroy(d->have);
	d->have = r;
}

static void set_trouble(struct directory *d, const char *why)
{
	pthread_mutex_lock(&d->mutex);
	str_set(d->trouble, why);
	pthread_mutex_unlock(&d->mutex);
}

/* ---- complaints -------------------------------------------------------------------------- */

static void free_complaints(struct complaint **set)
{
	struct complaint *c, *tmp;

	HASH_ITER(hh, *set, c, tmp)
	{
		HASH_DEL(*set, c);
		free(c);
	}
}

static void complain(struct directory *d, struct complaint **now, enum row_kind kind,
	const char *const *v, const char *why)
{
	struct complaint *c = calloc(1, sizeof(*c)), *known;

	if (!c)
		return;
	snprintf(c->text, sizeof(c->text), "%s \"%s\" is left out: %s", row_kind_name(kind), v[0],
		why);
	HASH_FIND_STR(d->complaints, c->text, known);
	if (!known)
		log_msg(LOG_LEVEL_WARN, (struct log_ref){0}, "directory_row", "%s", c->text);
	HASH_FIND_STR(*now, c->text, known);
	if (known)
		free(c);
	else
		HASH_ADD_STR(*now, text, c);
}

/* ---- reading ----------------------------------------------------------------------------- */

static void take_result(struct directory *d, struct rows *r, enum row_kind kind,
	const PGresult *res, struct complaint **complaints)
{
	for (int i = 0; i < PQntuples(res); i++) {
		const char *v[ROW_COLUMNS_MAX], *why;

		for (unsigned k = 0; k < rows_columns(kind); k++)
			v[k] = PQgetvalue(res, i, (int)k); /* "" for a NULL */
		why = rows_take(r, kind, v);
		if (why)
			complain(d, complaints, kind, v, why);
	}
}

static void keep_error(struct directory *d, const PGresult *res)
{
	pg_reason(d->conn, res, d->error, sizeof(d->error));
}

/* All tables, as they were at one instant. */
static bool send_queries(struct directory *d)
{
	char sql[8192] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

	for (int k = 0; k < row_kind_count_; k++) {
		str_append(sql, sizeof(sql), "; ");
		str_append(sql, sizeof(sql), rows_query(k));
	}
	str_append(sql, sizeof(sql), "; COMMIT");
	return PQsendQuery(d->conn, sql);
}

static bool read_all(struct directory *d, struct rows *r, struct complaint **complaints)
{
	int64_t until = pg_now() + TIMEOUT_MS;
	bool ok = send_queries(d), lost = !ok;
	PGresult *res;
	int kind = 0;

	while (!lost && (res = pg_result(&d->waker, d->conn, until, &lost)) != NULL) {
		if (PQresultStatus(res) == PGRES_TUPLES_OK && kind < row_kind_count_)
			take_result(d, r, kind++, res, complaints);
		else if (PQresultStatus(res) != PGRES_COMMAND_OK) {
			ok = false;
			keep_error(d, res);
		}
		PQclear(res);
	}
	if (lost)
		keep_error(d, NULL);
	return ok && !lost && kind == row_kind_count_;
}

static void save_copy(struct directory *d)
{
	int rc;

	if (d->changes == 0 || d->copy_path[0] == '\0')
		return;
	rc = rows_save(d->have, d->copy_path);
	d->changes = 0;
	if (rc)
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "directory_copy", "file", d->copy_path,
			"why", strerror(rc), NULL);
}

static bool reload(struct directory *d)
{
	struct complaint *complaints = NULL;
	struct rows *r = rows_create();

	if (!r || !read_all(d, r, &complaints)) {
		rows_destroy(r);
		free_complaints(&complaints);
		return false;
	}
	free_complaints(&d->complaints);
	d->complaints = complaints;
	d->complained_at = 0;
	d->hours_over = 0;
	set_trouble(d, ""); /* before anybody hears of the rows */
	adopt(d, r, NOTE_SYNCED);
	save_copy(d);
	return true;
}

static void load_copy(struct directory *d)
{
	struct rows *r = d->copy_path[0] ? rows_create() : NULL;
	int rc = r ? rows_load(r, d->copy_path) : ENOENT;

	if (rc == 0) {
		adopt(d, r, NOTE_SYNCED_FILE);
		d->changes = 0;
		return;
	}
	rows_destroy(r);
	if (rc != ENOENT)
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "directory_copy", "file", d->copy_path,
			"why", rc == EBADMSG ? "is no whole copy of a directory" : strerror(rc),
			NULL);
}

/* ---- the thread -------------------------------------------------------------------------- */

static bool connect_db(struct directory *d)
{
	PGresult *res;
	bool ok;

	d->conn = pg_open(&d->waker, d->conninfo, TIMEOUT_MS, d->error, sizeof(d->error));
	if (!d->conn)
		return false;
	/* all is read in some ms; to compile a query would take longer */
	res = pg_query(&d->waker, d->conn, "SET jit = off; LISTEN segue_directory", TIMEOUT_MS);
	ok = PQresultStatus(res) == PGRES_COMMAND_OK;
	if (!ok)
		keep_error(d, res);
	PQclear(res);
	return ok;
}

static bool notified(struct directory *d)
{
	bool any = false;
	PGnotify *n;

	while ((n = PQnotifies(d->conn)) != NULL) {
		PQfreemem(n);
		any = true;
	}
	return atomic_exchange(&d->refresh, false) || any;
}

/* Waits until there is something to read, or to stop; false if the connection is gone. */
static bool wait_for_change(struct directory *d)
{
	int64_t until = pg_now() + REREAD_MS;
	enum pg_waited how = PG_WOKEN;

	while (how != PG_LATE && !notified(d) && !pg_stopping(&d->waker)) {
		how = pg_wait(&d->waker, d->conn, POLLIN, until);
		if (how == PG_READY && !PQconsumeInput(d->conn)) {
			keep_error(d, NULL);
			return false;
		}
	}
	pg_nap(&d->waker, SETTLE_MS);
	if (PQconsumeInput(d->conn))
		notified(d);
	return true;
}

/* The hours that were worked out ahead have come to their end. */
static void note_hours_over(struct directory *d)
{
	char names[256] = "";
	struct timespec ts;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	n = d->have ? rows_hours_over(d->have, ts.tv_sec * INT64_C(1000000), names, sizeof(names)) : 0;
	if (n > d->hours_over)
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "queue_hours_over", "queues", names, "why",
			"no later ones could be read", "then", "they count as open", NULL);
	d->hours_over = n;
}

static void note_trouble(struct directory *d)
{
	int64_t now = pg_now();

	set_trouble(d, d->error);
	if (d->complained_at && now - d->complained_at < COMPLAIN_MS)
		return;
	d->complained_at = now;
	log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "directory_away", "why", d->error, "then",
		"the last copy stays in use", NULL);
}

static void *directory_main(void *arg)
{
	struct directory *d = arg;

	pthread_setname_np(pthread_self(), "directory");
	while (!pg_stopping(&d->waker)) {
		bool ok = d->conn || connect_db(d);

		if (ok && (ok = reload(d)))
			ok = wait_for_change(d);
		if (ok || pg_stopping(&d->waker))
			continue;
		note_trouble(d);
		note_hours_over(d);
		PQfinish(d->conn);
		d->conn = NULL;
		pg_nap(&d->waker, RETRY_MS);
	}
	PQfinish(d->conn);
	return NULL;
}

/* ---- public ------------------------------------------------------------------------------ */

static void destroy(struct directory *d)
{
	while (d->first) {
		struct note *n = d->first;

		d->first = n->next;
		free(n);
	}
	rows_destroy(d->have);
	free_complaints(&d->complaints);
	if (d->fd >= 0)
		close(d->fd);
	if (d->waker.fd >= 0)
		pg_waker_done(&d->waker);
	pthread_mutex_destroy(&d->mutex);
	free(d->conninfo);
	free(d->copy_path);
	free(d);
}

int directory_fd(const struct directory *d)
{
	return d->fd;
}

static void deliver(const struct directory_hooks *h, const struct note *n)
{
	if (n->kind != NOTE_ROW) {
		h->synced(h->arg, n->kind == NOTE_SYNCED_FILE);
		return;
	}
	switch (n->row.kind) {
	case ROW_USER:
		h->user(h->arg, &n->row.user);
		break;
	case ROW_QUEUE:
		h->queue(h->arg, &n->row.queue);
		break;
	case ROW_IVR:
		h->ivr(h->arg, &n->row.ivr);
		break;
	case ROW_CLASS:
		h->class(h->arg, &n->row.class);
		break;
	case ROW_MEMBER:
		h->member(h->arg, &n->row.member);
		break;
	case ROW_SKILL:
		h->skill(h->arg, &n->row.skill);
		break;
	case ROW_NEED:
		h->need(h->arg, &n->row.need);
		break;
	case ROW_HOURS:
		h->hours(h->arg, &n->row.hours);
		break;
	default:
		h->agent(h->arg, &n->row.agent);
	}
}

/* The oldest note, or NULL; then the fd is quiet until there is another. */
static struct note *next_note(struct directory *d)
{
	struct note *n;
	uint64_t count;

	pthread_mutex_lock(&d->mutex);
	n = d->first;
	if (n) {
		d->first = n->next;
		if (!d->first)
			d->end = &d->first;
	} else if (read(d->fd, &count, sizeof(count)) < 0 && errno != EAGAIN) {
		log_msg(LOG_LEVEL_ERROR, (struct log_ref){0}, "directory", "%s", strerror(errno));
	}
	pthread_mutex_unlock(&d->mutex);
	return n;
}

/* False: there is none. */
static bool deliver_next(struct directory *d)
{
	struct note *n = next_note(d);

	if (!n)
		return false;
	deliver(&d->hooks, n);
	free(n);
	return true;
}

int directory_start(const char *conninfo, const char *copy_path,
	const struct directory_hooks *hooks, struct directory **out)
{
	struct directory *d = calloc(1, sizeof(*d));
	int rc;

	*out = NULL;
	if (!d)
		return ENOMEM;
	pthread_mutex_init(&d->mutex, NULL);
	d->end = &d->first;
	d->ready_end = &d->ready;
	d->hooks = *hooks;
	d->conninfo = strdup(conninfo);
	d->copy_path = strdup(copy_path ? copy_path : "");
	str_set(d->trouble, "not connected yet");
	rc = pg_waker_init(&d->waker);
	d->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (rc == 0 && d->fd < 0)
		rc = errno;
	if (rc == 0 && (!d->conninfo || !d->copy_path))
		rc = ENOMEM;
	if (rc == 0) {
		load_copy(d);
		while (deliver_next(d))
			;
		rc = pthread_create(&d->thread, NULL, directory_main, d);
	}
	if (rc) {
		destroy(d);
		return rc;
	}
	*out = d;
	return 0;
}

void directory_dispatch(struct directory *d)
{
	for (unsigned i = 0; i < DISPATCH_MAX && deliver_next(d); i++)
		;
}

void directory_refresh(struct directory *d)
{
	atomic_store(&d->refresh, true);
	pg_wake(&d->waker);
}

const char *directory_trouble(const struct directory *d)
{
	struct directory *own = (struct directory *)(uintptr_t)d; /* the mutex is no state */

	pthread_mutex_lock(&own->mutex);
	str_set(own->trouble_out, own->trouble);
	pthread_mutex_unlock(&own->mutex);
	return own->trouble_out[0] ? own->trouble_out : NULL;
}

void directory_stop(struct directory *d)
{
	if (!d)
		return;
	pg_waker_stop(&d->waker, 0);
	pthread_join(d->thread, NULL);
	destroy(d);
}
