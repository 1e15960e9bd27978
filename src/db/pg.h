/*
 * pg: what the threads of db/ share: a connection to PostgreSQL that is opened and waited for
 * without ever being deaf to a wake-up from another thread.
 */
#ifndef SEGUE_DB_PG_H
#define SEGUE_DB_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_FOREVER INT64_MAX

/* Monotonic milliseconds. */
int64_t pg_now(void);

/* How a thread can be called while it waits. */
struct pg_waker {
	int fd; /* eventfd; the owner closes it */
	/* Monotonic ms after which every wait gives up, PG_FOREVER while nobody has asked to stop.
	 */
	_Atomic int64_t stop_at;
};

/* 0 or an errno. */
int pg_waker_init(struct pg_waker *w);
void pg_waker_done(struct pg_waker *w);
void pg_wake(struct pg_waker *w);
/* Asks for the end within grace_ms. */
void pg_waker_stop(struct pg_waker *w, unsigned grace_ms);
bool pg_stopping(struct pg_waker *w);

/* What a wait came back with. */
enum pg_waited {
	PG_READY, /* the socket can be used */
	PG_WOKEN, /* pg_wake(), or somebody wants us to stop */
	PG_LATE,  /* until has passed, or stop_at */
};

/* Waits for events (POLLIN, POLLOUT) on the connection (NULL: none) until a monotonic ms. */
enum pg_waited pg_wait(struct pg_waker *w, PGconn *conn, short events, int64_t until);

/* Does nothing until then; cut short only by stop_at. */
void pg_nap(struct pg_waker *w, unsigned ms);

/* Opens a connection within timeout_ms. Returns NULL, and the reason in why, on failure. */
PGconn *pg_open(
	struct pg_waker *w, const char *conninfo, unsigned timeout_ms, char *why, size_t size);

/* The next result of what was sent, or NULL at the end of a query; *lost is set if the connection
 * is gone or `until` has passed (then close it). Flushes what is still to be sent. */
PGresult *pg_result(struct pg_waker *w, PGconn *conn, int64_t until, bool *lost);

/* Sends a query without parameters and returns its last result (PQclear it), NULL if lost. */
PGresult *pg_query(struct pg_waker *w, PGconn *conn, const char *sql, unsigned timeout_ms);

/* Says in one line what went wrong: what res tells (NULL: nothing), else what the connection tells,
 * and what to do if the tables are not there. */
void pg_reason(const PGconn *conn, const PGresult *res, char *why, size_t size);

#endif
