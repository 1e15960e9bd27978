/* history: see history.h. */
#include "db/history.h"

#include "base/log.h"
#include "base/str.h"
#include "db/history_sql.h"
#include "db/pg.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utlist.h>

ENUM_DEFINE(history_topic, HISTORY_TOPIC_LIST)
ENUM_DEFINE(history_result, HISTORY_RESULT_LIST)

#define THREADS_MAX 8
#define PARAMS_MAX  16
#define WAITING_MAX 512
#define CONNECT_MS  3000
#define AWAY_MS     1000 /* after a failed connection, questions are answered AWAY for this long */

struct question {
	enum history_topic what;
	unsigned nparams;
	char *param[PARAMS_MAX];
	history_fn *fn; /* NULL: nobody waits any more */
	void *arg;
	enum history_result result;
	struct worker *worker; /* who asks it; NULL: it waits, or is answered */
	PGresult *rows; /* holds the text */
	struct question *prev, *next;
};

struct worker {
	struct history *history;
	struct pg_waker waker;
	pthread_t thread;
	PGconn *conn;
	int64_t away_until;
};

struct history {
	char *conninfo;
	unsigned timeout_ms, nworkers;
	struct worker worker[THREADS_MAX];
	int fd; /* eventfd: answers wait */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t asked;
	struct question *waiting, *asking, *answered;
	unsigned nwaiting; /* waiting and asking */
	bool stopping;
};

static void question_free(struct question *q)
{
	for (unsigned i = 0; i < q->nparams; i++)
		free(q->param[i]);
	PQclear(q->rows);
	free(q);
}

/* ---- the threads ----------------------------------------------------------------------------- */

/* A value that cannot be read as its type: the asker's fault, not ours. */
static bool is_bad_value(const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	return state != NULL && str_starts(state, "22");
}

static bool is_wanted(struct worker *w, const struct question *q)
{
	bool wanted;

	pthread_mutex_lock(&w->history->mutex);
	wanted = q->fn != NULL;
	pthread_mutex_unlock(&w->history->mutex);
	return wanted;
}

static void note_failure(struct worker *w, const struct question *q, const PGresult *res)
{
	char why[256];

	if (!is_wanted(w, q))
		return; /* it was cut off because who asked has left */

	pg_reason(w->conn, res, why, sizeof(why));
	log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "history_failed", "question",
		history_topic_name(q->what), "why", why, NULL);
}

/* A query whose connection is closed, because it took too long or nobody waits for it any more, is to end
 * on the server, too; by itself that looks at the connection when it has something to send. */
static void watch_client(struct worker *w)
{
	if (w->conn != NULL)
		PQclear(pg_query(&w->waker, w->conn, "SET client_connection_check_interval = 500",
			CONNECT_MS));
}

static bool worker_connect(struct worker *w)
{
	char why[256];

	if (w->conn != NULL)
		return true;
	if (pg_now() < w->away_until)
		return false;
	w->conn = pg_open(&w->waker, w->history->conninfo, CONNECT_MS, why, sizeof(why));
	watch_client(w);
	if (w->conn != NULL)
		return true;
	w->away_until = pg_now() + AWAY_MS;
	log_kv(LOG_LEVEL_DEBUG, (struct log_ref){0}, "history_away", "why", why, NULL);
	return false;
}

static void worker_disconnect(struct worker *w)
{
	PQfinish(w->conn);
	w->conn = NULL;
}

/* The one result of a question; *lost if the connection has to go. */
static PGresult *run_query(struct worker *w, const struct question *q, bool *lost)
{
	int64_t until = pg_now() + w->history->timeout_ms;
	PGresult *res, *last = NULL;

	*lost = !PQsendQueryParams(w->conn, history_sql(q->what), (int)q->nparams, NULL,
		(const char *const *)q->param, NULL, NULL, 0);
	while (!*lost && (res = pg_result(&w->waker, w->conn, until, lost)) != NULL) {
		PQclear(last);
		last = res;
	}
	return last;
}

static void judge(struct worker *w, struct question *q, PGresult *res)
{
	switch (PQresultStatus(res)) {
	case PGRES_TUPLES_OK:
		q->rows = res;
		q->result = PQntuples(res) > 0 && !PQgetisnull(res, 0, 0) ? HISTORY_OK
									  : HISTORY_NOTHING;
		return;
	case PGRES_COMMAND_OK:
		q->result = HISTORY_NOTHING;
		break;
	default:
		q->result = is_bad_value(res) ? HISTORY_BAD : HISTORY_FAILED;
		if (q->result == HISTORY_FAILED)
			note_failure(w, q, res);
	}
	PQclear(res);
}

/* Asks; a connection that turns out to be dead is opened again, once. */
static void answer(struct worker *w, struct question *q)
{
	q->result = HISTORY_AWAY;
	for (int i = 0; i < 2 && worker_connect(w); i++) {
		bool lost;
		PGresult *res = run_query(w, q, &lost);

		if (!lost) {
			judge(w, q, res);
			return;
		}
		PQclear(res);
		note_failure(w, q, NULL);
		worker_disconnect(w);
		if (pg_stopping(&w->waker))
			return;
	}
}

static struct question *take_question(struct worker *w)
{
	struct history *h = w->history;
	struct question *q = NULL;

	pthread_mutex_lock(&h->mutex);
	while (!h->stopping && h->waiting == NULL)
		pthread_cond_wait(&h->asked, &h->mutex);
	if (!h->stopping) {
		q = h->waiting;
		DL_DELETE(h->waiting, q);
		DL_APPEND(h->asking, q);
		q->worker = w;
		w->waker.stop_at = PG_FOREVER; /* what cut off the one before is over */
	}
	pthread_mutex_unlock(&h->mutex);
	return q;
}

static void hand_back(struct history *h, struct question *q)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&h->mutex);
	DL_DELETE(h->asking, q);
	DL_APPEND(h->answered, q);
	q->worker = NULL;
	pthread_mutex_unlock(&h->mutex);
	while (write(h->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct question *q;

	pthread_setname_np(pthread_self(), "history");
	while ((q = take_question(w)) != NULL) {
		answer(w, q);
		hand_back(w->history, q);
	}
	worker_disconnect(w);
	return NULL;
}

/* ---- the loop's side ------------------------------------------------------------------------- */

static struct question *question_new(enum history_topic what, unsigned n, const char *const *params)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL || n > PARAMS_MAX) {
		free(q);
		return NULL;
	}
	q->what = what;
	q->nparams = n;
	for (unsigned i = 0; i < n; i++)
		q->param[i] = params[i] ? strdup(params[i]) : NULL;
	return q;
}

void history_ask(struct history *h, enum history_topic what, unsigned nparams, const char *const *params,
	history_fn *fn, void *arg)
{
	struct question *q = question_new(what, nparams, params);
	bool full = true;

	if (q != NULL) {
		q->fn = fn;
		q->arg = arg;
		pthread_mutex_lock(&h->mutex);
		full = h->nwaiting >= WAITING_MAX;
		if (!full) {
			h->nwaiting++;
			DL_APPEND(h->waiting, q);
			pthread_cond_signal(&h->asked);
		}
		pthread_mutex_unlock(&h->mutex);
	}
	if (!full)
		return;
	if (q != NULL)
		question_free(q);
	fn(arg, HISTORY_AWAY, NULL, 0);
}

static void forget_in(struct question *list, const void *arg)
{
	struct question *q;

	DL_FOREACH(list, q)
	{
		if (q->arg != arg)
			continue;
		q->fn = NULL;
		if (q->worker != NULL)
			pg_waker_stop(&q->worker->waker, 0);
	}
}

void history_forget(struct history *h, void *arg)
{
	pthread_mutex_lock(&h->mutex);
	forget_in(h->waiting, arg);
	forget_in(h->asking, arg);
	forget_in(h->answered, arg);
	pthread_mutex_unlock(&h->mutex);
}

static struct question *next_answer(struct history *h)
{
	struct question *q;

	pthread_mutex_lock(&h->mutex);
	q = h->answered;
	if (q != NULL) {
		DL_DELETE(h->answered, q);
		h->nwaiting--;
	}
	pthread_mutex_unlock(&h->mutex);
	return q;
}

void history_dispatch(struct history *h)
{
	struct question *q;
	uint64_t n;

	if (read(h->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_msg(LOG_LEVEL_ERROR, (struct log_ref){0}, "history", "%s", strerror(errno));
	while ((q = next_answer(h)) != NULL) {
		bool ok = q->result == HISTORY_OK;

		if (q->fn != NULL)
			q->fn(q->arg, q->result, ok ? PQgetvalue(q->rows, 0, 0) : NULL,
				ok ? (size_t)PQgetlength(q->rows, 0, 0) : 0);
		question_free(q);
	}
}

int history_fd(const struct history *h)
{
	return h->fd;
}

unsigned history_waiting(const struct history *h)
{
	struct history *own = (struct history *)(uintptr_t)h; /* the mutex is no state */
	unsigned n;

	pthread_mutex_lock(&own->mutex);
	n = own->nwaiting;
	pthread_mutex_unlock(&own->mutex);
	return n;
}

/* ---- start and stop -------------------------------------------------------------------------- */

static int start_worker(struct history *h)
{
	struct worker *w = &h->worker[h->nworkers];
	int rc = pg_waker_init(&w->waker);

	w->history = h;
	if (rc == 0) {
		rc = pthread_create(&w->thread, NULL, worker_main, w);
		if (rc)
			pg_waker_done(&w->waker);
	}
	if (rc == 0)
		h->nworkers++;
	return rc;
}

int history_start(
	const char *conninfo, unsigned threads, unsigned timeout_ms, struct history **out)
{
	struct history *h = calloc(1, sizeof(*h));
	int rc = 0;

	if (h == NULL)
		return ENOMEM;
	pthread_mutex_init(&h->mutex, NULL);
	pthread_cond_init(&h->asked, NULL);
	h->timeout_ms = timeout_ms;
	h->conninfo = strdup(conninfo);
	h->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->fd < 0)
		rc = errno;
	else if (h->conninfo == NULL)
		rc = ENOMEM;
	while (rc == 0 && h->nworkers < threads && h->nworkers < THREADS_MAX)
		rc = start_worker(h);
	if (rc) {
		history_stop(h);
		return rc;
	}
	*out = h;
	return 0;
}

static void free_list(struct question *list)
{
	struct question *q, *next;

	DL_FOREACH_SAFE(list, q, next)
	question_free(q);
}

void history_stop(struct history *h)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->mutex);
	h->stopping = true;
	pthread_cond_broadcast(&h->asked);
	pthread_mutex_unlock(&h->mutex);
	for (unsigned i = 0; i < h->nworkers; i++)
		pg_waker_stop(&h->worker[i].waker, 0);
	for (unsigned i = 0; i < h->nworkers; i++) {
		pthread_join(h->worker[i].thread, NULL);
		pg_waker_done(&h->worker[i].waker);
	}
	free_list(h->waiting);
	free_list(h->answered);
	if (h->fd >= 0)
		close(h->fd);
	pthread_cond_destroy(&h->asked);
	pthread_mutex_destroy(&h->mutex);
	free(h->conninfo);
	free(h);
}
