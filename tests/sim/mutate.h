/*
 * mutate: a list of lies that a broken core could tell, to prove that the watchers see through
 * each of them.
 */
#ifndef SEGUE_SIM_MUTATE_H
#define SEGUE_SIM_MUTATE_H

#include "sim/sim.h"

struct mutation {
	const char *name; /* what the core does wrong */
	sim_mutator *apply;
};

extern const struct mutation mutations[];
extern const unsigned nmutations;

#endif
