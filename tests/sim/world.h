/*
 * world: an invented telephone network. Customers behind a trunk, users with several phones, an
 * operator at the control socket, a directory that changes: all of it from one seed, on virtual
 * time. It sends events as the adapters would and reacts to actions as networks and phones do,
 * which is: mostly well.
 */
#ifndef SEGUE_SIM_WORLD_H
#define SEGUE_SIM_WORLD_H

#include "sim/rng.h"
#include "sim/sim.h"

struct world;

enum world_mode {
	WORLD_ORDERLY, /* adapters keep their promises; every watcher looks on */
	WORLD_CENTRE,  /* the same in a call centre: 50 agents, 10 queues, many callers */
	WORLD_CHAOTIC  /* they do not: nothing asserted, core_check() and the books are looked at */
};

/* A world of its own configuration; the caller destroys it. mutator and record may be NULL. */
struct world *world_create(
	uint64_t seed, enum world_mode mode, sim_mutator *mutator, struct sim_record *record);
void world_destroy(struct world *w);

/* Lives until `steps` events were taken, then everybody leaves; checks that nothing remains.
 * Returns the simulator with its verdict, owned by the world. */
struct sim *world_run(struct world *w, uint64_t steps);

/* The configuration of the world with this seed, for replaying a recording. */
void world_config(uint64_t seed, struct core_config *cfg);

#endif
