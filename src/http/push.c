/* push: see push.h. */
#include "http/push.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define GIVE_WAY   10 /* nice: who talks comes before who listens */
#define TELL_EVERY 64 /* jobs, if there are more to do: a wake-up of the loop for each would cost more */

/* For one that puts and one that takes. It never overflows: no more jobs than slots are under way. */
struct ring {
	struct push_job *slot;
	unsigned mask;
	atomic_uint first, end;
};

struct push {
	struct ring jobs, done;
	sem_t todo;
	int fd;
	atomic_bool stopping;
	pthread_t thread;
};

static bool ring_make(struct ring *r, unsigned n)
{
	unsigned size = 1;

	while (size < n)
		size *= 2;
	r->mask = size - 1;
	r->slot = calloc(size, sizeof(r->slot[0]));
	return r->slot != NULL;
}

static void ring_put(struct ring *r, const struct push_job *job)
{
	unsigned end = atomic_load_explicit(&r->end, memory_order_relaxed);

	r->slot[end & r->mask] = *job;
	atomic_store_explicit(&r->end, end + 1, memory_order_release);
}

static bool ring_is_empty(struct ring *r)
{
	return atomic_load_explicit(&r->first, memory_order_relaxed) ==
	       atomic_load_explicit(&r->end, memory_order_acquire);
}

static bool ring_take(struct ring *r, struct push_job *out)
{
	unsigned first = atomic_load_explicit(&r->first, memory_order_relaxed);

	if (ring_is_empty(r))
		return false;
	*out = r->slot[first & r->mask];
	atomic_store_explicit(&r->first, first + 1, memory_order_release);
	return true;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void write_out(struct push_job *job)
{
	ssize_t n;

	do
		n = send(job->fd, job->text, job->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	job->written = n > 0 ? (size_t)n : 0;
}

static void tell(struct push *p)
{
	static const uint64_t one = 1;
	ssize_t n = write(p->fd, &one, sizeof(one));

	(void)n; /* EAGAIN: it has been told often enough */
}

static void *push_main(void *arg)
{
	struct push *p = arg;
	struct push_job job;
	unsigned untold = 0;

	pthread_setname_np(pthread_self(), "pusher");
	setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + GIVE_WAY);
	for (;;) {
		while (sem_wait(&p->todo) < 0)
			; /* EINTR */
		if (atomic_load(&p->stopping) || !ring_take(&p->jobs, &job))
			return NULL;
		write_out(&job);
		ring_put(&p->done, &job);
		if (++untold < TELL_EVERY && !ring_is_empty(&p->jobs))
			continue;
		untold = 0;
		tell(p);
	}
}

/* ---- public ---------------------------------------------------------------------------------- */

static void destroy(struct push *p)
{
	if (p->fd >= 0)
		close(p->fd);
	sem_destroy(&p->todo);
	free(p->jobs.slot);
	free(p->done.slot);
	free(p);
}

int push_open(unsigned jobs_max, struct push **out)
{
	struct push *p = calloc(1, sizeof(*p));
	int rc = ENOMEM;

	*out = NULL;
	if (p == NULL)
		return rc;
	sem_init(&p->todo, 0, 0);
	p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (p->fd < 0)
		rc = errno;
	else if (ring_make(&p->jobs, jobs_max) && ring_make(&p->done, jobs_max))
		rc = pthread_create(&p->thread, NULL, push_main, p);
	if (rc)
		destroy(p);
	else
		*out = p;
	return rc;
}

void push_close(struct push *p)
{
	if (p == NULL)
		return;
	atomic_store(&p->stopping, true);
	sem_post(&p->todo);
	pthread_join(p->thread, NULL);
	destroy(p);
}

int push_fd(const struct push *p)
{
	return p->fd;
}

void push_heard(struct push *p)
{
	uint64_t n;
	ssize_t got = read(p->fd, &n, sizeof(n));

	(void)got; /* EAGAIN: heard already */
}

void push_give(struct push *p, const struct push_job *job)
{
	ring_put(&p->jobs, job);
	sem_post(&p->todo);
}

bool push_take(struct push *p, struct push_job *out)
{
	return ring_take(&p->done, out);
}
