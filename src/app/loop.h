/*
 * loop: the one thread's event loop as app/ sees it. It is the su_root of the SIP stack; loop.c is
 * the only file of this folder that knows so.
 */
#ifndef SEGUE_APP_LOOP_H
#define SEGUE_APP_LOOP_H

#include <stdint.h>

struct loop;
struct loop_watch;

enum { LOOP_IN = 1, LOOP_OUT = 2 };

/* Around the root that sip_loop() gave. NULL without memory. The root is not owned. */
struct loop *loop_create(void *root);
void loop_destroy(struct loop *l);

/* Runs until loop_stop(), which may be called from any callback. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* Calls fn with the events (LOOP_IN, LOOP_OUT) that fd is ready for; hang-ups count as LOOP_IN. The
 * fd stays the caller's, who closes it after loop_unwatch(). NULL on failure. */
typedef void loop_ready_fn(void *arg, int events);
struct loop_watch *loop_watch(struct loop *l, int fd, int events, loop_ready_fn *fn, void *arg);
void loop_watch_for(struct loop_watch *w, int events);
/* May be called from the watch's own callback. NULL does nothing. */
void loop_unwatch(struct loop_watch *w);

/* A timer of its own fd, on the monotonic clock. ms < 0 stops it. Returns an fd to be watched and
 * closed by the caller, or -errno. */
int loop_timer_open(void);
void loop_timer_set(int fd, int64_t ms);
/* To be called when the fd is ready. */
void loop_timer_ack(int fd);

/* A bell of its own fd: ready once it was rung, until it is acknowledged. For what is to go on after a turn
 * of the loop: ringing is one write, where a timer of no time costs an interrupt as well. Returns an fd
 * to be watched and closed by the caller, or -errno. */
int loop_bell_open(void);
void loop_bell_ring(int fd);
void loop_bell_ack(int fd);

/* Monotonic milliseconds, and UTC microseconds. */
int64_t loop_now_ms(void);
int64_t loop_wall_us(void);

#endif
