/*
 * worker: a thread for what takes long to compute. Jobs run one after the other; each is finished
 * on the loop thread.
 */
#ifndef SEGUE_APP_WORKER_H
#define SEGUE_APP_WORKER_H

#include "app/loop.h"

#include <stdbool.h>

struct worker;

/* NULL on failure. Destroying drops the jobs that wait, after having finished the present one;
 * done() is called for none of them. */
struct worker *worker_create(struct loop *loop);
void worker_destroy(struct worker *w);

/* Runs work(arg) on the thread, then done(arg) on the loop. False if too many jobs wait already, or
 * without memory. drop(arg) instead of done(arg) when the worker is destroyed before that. */
bool worker_run(struct worker *w, void (*work)(void *arg), void (*done)(void *arg),
	void (*drop)(void *arg), void *arg);

#endif
