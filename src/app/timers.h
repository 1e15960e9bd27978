/*
 * timers: the guards that the core asks for, one per (id, kind), in a heap by deadline. Starting,
 * restarting and stopping cost O(log n), finding the earliest nothing.
 */
#ifndef SEGUE_APP_TIMERS_H
#define SEGUE_APP_TIMERS_H

#include "core/event.h"

struct timers;

/* NULL without memory. */
struct timers *timers_create(void);
void timers_destroy(struct timers *t);

/* Starts or restarts the timer of (id, kind) for the time `at`, monotonic ms. 0, or ENOMEM. */
int timers_set(struct timers *t, uint64_t id, enum timer_kind kind, uint32_t serial, int64_t at);
void timers_stop(struct timers *t, uint64_t id, enum timer_kind kind);

/* Deadline of the earliest, or -1. */
int64_t timers_next(const struct timers *t);
unsigned timers_count(const struct timers *t);

/* Takes the earliest out if it is due at `now`. */
bool timers_pop(struct timers *t, int64_t now, uint64_t *id, struct ev_timer *out);

#endif
