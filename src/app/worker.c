/* worker: see worker.h. */
#include "app/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utlist.h>

#define JOBS_MAX 64

struct job {
	void (*work)(void *arg), (*done)(void *arg), (*drop)(void *arg);
	void *arg;
	struct job *prev, *next;
};

struct worker {
	pthread_t thread;
	int fd; /* eventfd: jobs are done */
	struct loop_watch *watch;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t asked;
	struct job *waiting, *finished;
	unsigned njobs;
	bool stopping;
};

static struct job *take_job(struct worker *w)
{
	struct job *j = NULL;

	pthread_mutex_lock(&w->mutex);
	while (!w->stopping && w->waiting == NULL)
		pthread_cond_wait(&w->asked, &w->mutex);
	if (!w->stopping) {
		j = w->waiting;
		DL_DELETE(w->waiting, j);
	}
	pthread_mutex_unlock(&w->mutex);
	return j;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct job *j;

	pthread_setname_np(pthread_self(), "worker");
	while ((j = take_job(w)) != NULL) {
		const uint64_t one = 1;

		j->work(j->arg);
		pthread_mutex_lock(&w->mutex);
		DL_APPEND(w->finished, j);
		pthread_mutex_unlock(&w->mutex);
		while (write(w->fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
	return NULL;
}

static struct job *take_finished(struct worker *w)
{
	struct job *j;

	pthread_mutex_lock(&w->mutex);
	j = w->finished;
	if (j != NULL) {
		DL_DELETE(w->finished, j);
		w->njobs--;
	}
	pthread_mutex_unlock(&w->mutex);
	return j;
}

static void on_finished(void *arg, int events)
{
	struct worker *w = arg;
	struct job *j;
	uint64_t n;
	ssize_t got = read(w->fd, &n, sizeof(n));

	(void)got;
	while ((j = take_finished(w)) != NULL) {
		j->done(j->arg);
		free(j);
	}
}

bool worker_run(struct worker *w, void (*work)(void *arg), void (*done)(void *arg),
	void (*drop)(void *arg), void *arg)
{
	struct job *j = calloc(1, sizeof(*j));
	bool room;

	if (j == NULL)
		return false;
	*j = (struct job){.work = work, .done = done, .drop = drop, .arg = arg};
	pthread_mutex_lock(&w->mutex);
	room = w->njobs < JOBS_MAX;
	if (room) {
		w->njobs++;
		DL_APPEND(w->waiting, j);
		pthread_cond_signal(&w->asked);
	}
	pthread_mutex_unlock(&w->mutex);
	if (!room)
		free(j);
	return room;
}

struct worker *worker_create(struct loop *loop)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->fd >= 0)
		w->watch = loop_watch(loop, w->fd, LOOP_IN, on_finished, w);
	if (w->watch == NULL)
		goto out;
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->asked, NULL);
	if (pthread_create(&w->thread, NULL, worker_main, w) == 0)
		return w;
out:
	loop_unwatch(w->watch);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
	return NULL;
}

static void drop_all(struct job *list)
{
	struct job *j, *next;

	DL_FOREACH_SAFE(list, j, next)
	{
		j->drop(j->arg);
		free(j);
	}
}

void worker_destroy(struct worker *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->mutex);
	w->stopping = true;
	pthread_cond_signal(&w->asked);
	pthread_mutex_unlock(&w->mutex);
	pthread_join(w->thread, NULL);
	drop_all(w->waiting);
	drop_all(w->finished);
	loop_unwatch(w->watch);
	close(w->fd);
	pthread_cond_destroy(&w->asked);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}
