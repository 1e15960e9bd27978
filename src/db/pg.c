/* pg: see pg.h. */
#include "db/pg.h"

#include "base/log.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int64_t pg_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* ---- waking ------------------------------------------------------------------------------ */

int pg_waker_init(struct pg_waker *w)
{
	atomic_init(&w->stop_at, PG_FOREVER);
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return w->fd < 0 ? errno : 0;
}

void pg_waker_done(struct pg_waker *w)
{
	close(w->fd);
}

void pg_wake(struct pg_waker *w)
{
	const uint64_t one = 1;

	while (write(w->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void pg_waker_stop(struct pg_waker *w, unsigned grace_ms)
{
	atomic_store(&w->stop_at, pg_now() + grace_ms);
	pg_wake(w);
}

bool pg_stopping(struct pg_waker *w)
{
	return atomic_load(&w->stop_at) != PG_FOREVER;
}

static void drain(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

/* Milliseconds from now until the earlier of `until` and stop_at; -1 for ever, 0 passed. */
static int remaining(struct pg_waker *w, int64_t until)
{
	int64_t stop_at = atomic_load(&w->stop_at), left;

	if (stop_at < until)
		until = stop_at;
	if (until == PG_FOREVER)
		return -1;
	left = until - pg_now();
	return left <= 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

enum pg_waited pg_wait(struct pg_waker *w, PGconn *conn, short events, int64_t until)
{
	struct pollfd fds[] = {{w->fd, POLLIN, 0}, {conn ? PQsocket(conn) : -1, events, 0}};
	int left = remaining(w, until);
	int n;

	if (left == 0)
		return PG_LATE;
	n = poll(fds, 2, left);
	if (n == 0)
		return PG_LATE;
	if (n > 0 && fds[0].revents)
		drain(w->fd);
	return n > 0 && fds[1].revents ? PG_READY : PG_WOKEN;
}

void pg_nap(struct pg_waker *w, unsigned ms)
{
	int64_t until = pg_now() + ms;

	while (!pg_stopping(w) && pg_wait(w, NULL, 0, until) != PG_LATE)
		;
}

/* ---- connecting -------------------------------------------------------------------------- */

static void copy_plain(const char *msg, char *why, size_t size)
{
	str_copy(why, size, msg);
	for (size_t n = strlen(why); n > 0 && isspace((unsigned char)why[n - 1]); n--)
		why[n - 1] = '\0';
	for (char *p = why; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
}

static bool poll_connection(struct pg_waker *w, PGconn *conn, int64_t until)
{
	PostgresPollingStatusType st = PGRES_POLLING_WRITING;

	while (st == PGRES_POLLING_READING || st == PGRES_POLLING_WRITING) {
		enum pg_waited r =
			pg_wait(w, conn, st == PGRES_POLLING_READING ? POLLIN : POLLOUT, until);

		if (r == PG_LATE)
			return false;
		if (r == PG_READY)
			st = PQconnectPoll(conn);
	}
	return st == PGRES_POLLING_OK;
}

/* Errors that mean that the tables are not there, or older than this program. */
static bool is_schema_error(const PGresult *res)
{
	static const char *const states[] = {"3F000", "42P01", "42703", "42883"};
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;

	for (size_t i = 0; state && i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(state, states[i]) == 0)
			return true;
	return false;
}

void pg_reason(const PGconn *conn, const PGresult *res, char *why, size_t size)
{
	const char *msg = res ? PQresultErrorMessage(res) : "";

	copy_plain(msg[0] ? msg : PQerrorMessage(conn), why, size);
	if (why[0] == '\0')
		str_copy(why, size, "no answer from the database in time");
	if (is_schema_error(res))
		str_append(why, size, " (seguectl db upgrade makes the tables)");
}

/* What the server says beside the point belongs in our log, not raw on stderr. */
static void on_notice(void *arg, const PGresult *res)
{
	char text[256];

	copy_plain(PQresultErrorMessage(res), text, sizeof(text));
	log_kv(LOG_LEVEL_DEBUG, (struct log_ref){0}, "database_notice", "text", text, NULL);
}

PGconn *pg_open(
	struct pg_waker *w, const char *conninfo, unsigned timeout_ms, char *why, size_t size)
{
	/* What stands before dbname are defaults: the connection string may overrule them. */
	static const char *const keys[] = {"application_name", "keepalives_idle",
		"keepalives_interval", "keepalives_count", "tcp_user_timeout", "dbname", NULL};
	const char *values[] = {"segued", "20", "5", "3", "35000", conninfo, NULL};
	PGconn *conn = PQconnectStartParams(keys, values, 1);

	if (conn)
		PQsetNoticeReceiver(conn, on_notice, NULL);
	if (conn && PQstatus(conn) != CONNECTION_BAD &&
		poll_connection(w, conn, pg_now() + timeout_ms) && PQsetnonblocking(conn, 1) == 0)
		return conn;
	copy_plain(conn ? PQerrorMessage(conn) : "out of memory", why, size);
	if (why[0] == '\0')
		str_copy(why, size, "no answer in time");
	PQfinish(conn);
	return NULL;
}

/* ---- results ----------------------------------------------------------------------------- */

PGresult *pg_result(struct pg_waker *w, PGconn *conn, int64_t until, bool *lost)
{
	int unsent = 1;

	for (;;) {
		enum pg_waited r;

		if (unsent)
			unsent = PQflush(conn);
		if (unsent < 0 || PQstatus(conn) == CONNECTION_BAD)
			break;
		if (!PQisBusy(conn))
			return PQgetResult(conn);
		r = pg_wait(w, conn, unsent ? POLLIN | POLLOUT : POLLIN, until);
		if (r == PG_LATE || (r == PG_READY && !PQconsumeInput(conn)))
			break;
	}
	*lost = true;
	return NULL;
}

PGresult *pg_query(struct pg_waker *w, PGconn *conn, const char *sql, unsigned timeout_ms)
{
	int64_t until = pg_now() + timeout_ms;
	PGresult *res, *last = NULL;
	bool lost = false;

	if (!PQsendQuery(conn, sql))
		return NULL;
	while ((res = pg_result(w, conn, until, &lost)) != NULL) {
		PQclear(last);
		last = res;
	}
	if (lost) {
		PQclear(last);
		return NULL;
	}
	return last;
}
