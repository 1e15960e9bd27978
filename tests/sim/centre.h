/*
 * centre: a call centre for the simulated world: 50 agents, 10 queues that share them, skills, and
 * a directory that changes all the time. It keeps its own account of who could be asked for whom,
 * and compares that with what the core makes of it after every step.
 */
#ifndef SEGUE_SIM_CENTRE_H
#define SEGUE_SIM_CENTRE_H

#include "sim/rng.h"
#include "sim/sim.h"

struct centre;

/* Takes an event that the world is to send. */
typedef void centre_teller(void *arg, struct event *ev);

struct centre *centre_create(struct rng *rng, centre_teller *tell, void *arg);
void centre_destroy(struct centre *ce);

/* The whole directory; then one change of it. */
void centre_open(struct centre *ce);
/* wall: the time of the calendar now, UTC microseconds */
void centre_change(struct centre *ce, int64_t wall);

const char *centre_queue_number(struct centre *ce);
void centre_agent(struct centre *ce, const char **user, const char **number);

/* Another process begins: whom it could ask since when is another question. */
void centre_reborn(struct centre *ce);

/* What the core said in a step. */
void centre_hear(struct centre *ce, const struct core_out *out);

/* A leg of a user, while it is watched. */
void centre_begin(struct centre *ce);
void centre_leg(struct centre *ce, const char *user, const struct ct_leg *l);
/* Every leg was shown: compares, and complains with sim_fail(). */
void centre_judge(struct centre *ce, struct sim *s);

#endif
