/* loop: see loop.h. */
#include "app/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SU_ROOT_MAGIC_T struct loop
#define SU_WAKEUP_ARG_T struct loop_watch
#include <sofia-sip/su_wait.h>

struct loop {
	su_root_t *root;
};

struct loop_watch {
	struct loop *loop;
	int fd, index;
	loop_ready_fn *fn;
	void *arg;
};

struct loop *loop_create(void *root)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l != NULL)
		l->root = root;
	return l;
}

void loop_destroy(struct loop *l)
{
	free(l);
}

void loop_run(struct loop *l)
{
	su_root_run(l->root);
}

void loop_stop(struct loop *l)
{
	su_root_break(l->root);
}

static int su_events(int events)
{
	return (events & LOOP_IN ? SU_WAIT_IN : 0) | (events & LOOP_OUT ? SU_WAIT_OUT : 0);
}

static int on_ready(struct loop *l, su_wait_t *wait, struct loop_watch *w)
{
	int su = su_wait_events(wait, w->fd), events = 0;

	if (su & (SU_WAIT_IN | SU_WAIT_HUP | SU_WAIT_ERR))
		events |= LOOP_IN;
	if (su & SU_WAIT_OUT)
		events |= LOOP_OUT;
	if (events != 0)
		w->fn(w->arg, events);
	return 0;
}

struct loop_watch *loop_watch(struct loop *l, int fd, int events, loop_ready_fn *fn, void *arg)
{
	struct loop_watch *w = calloc(1, sizeof(*w));
	su_wait_t wait[1] = {SU_WAIT_INIT};

	if (w == NULL)
		return NULL;
	*w = (struct loop_watch){.loop = l, .fd = fd, .fn = fn, .arg = arg};
	if (su_wait_create(wait, fd, su_events(events)) == -1)
		goto out;
	w->index = su_root_register(l->root, wait, on_ready, w, 0);
	if (w->index == -1)
		goto out;
	return w;
out:
	free(w);
	return NULL;
}

void loop_watch_for(struct loop_watch *w, int events)
{
	su_root_eventmask(w->loop->root, w->index, w->fd, su_events(events));
}

void loop_unwatch(struct loop_watch *w)
{
	if (w == NULL)
		return;
	su_root_deregister(w->loop->root, w->index);
	free(w);
}

int loop_timer_open(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void loop_timer_set(int fd, int64_t ms)
{
	struct itimerspec spec = {{0}};

	if (ms == 0)
		spec.it_value.tv_nsec = 1; /* all zero would stop it */
	if (ms > 0) {
		spec.it_value.tv_sec = ms / 1000;
		spec.it_value.tv_nsec = ms % 1000 * 1000000;
	}
	timerfd_settime(fd, 0, &spec, NULL);
}

void loop_timer_ack(int fd)
{
	uint64_t n;
	ssize_t got = read(fd, &n, sizeof(n));

	(void)got; /* EAGAIN: set anew between the wake-up and now */
}

int loop_bell_open(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void loop_bell_ring(int fd)
{
	static const uint64_t one = 1;
	ssize_t put = write(fd, &one, sizeof(one));

	(void)put; /* EAGAIN: it rings already */
}

void loop_bell_ack(int fd)
{
	loop_timer_ack(fd); /* it counts, as a timer does */
}

int64_t loop_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t loop_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
