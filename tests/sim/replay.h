/*
 * replay: plays a recording again, and cuts it down to what a failure needs.
 */
#ifndef SEGUE_SIM_REPLAY_H
#define SEGUE_SIM_REPLAY_H

#include <stdio.h>

#include "sim/sim.h"

/* Plays the items for which keep[i] is set (NULL: all) against a fresh core; timers fire when due.
 * Events that no adapter could send any more, because what led to them was cut, are skipped.
 * Fills *s, which the caller gives back with sim_done(). story: prints what happens, or NULL. */
void replay(struct sim *s, const struct core_config *cfg, const struct sim_record *r,
	const bool *keep, sim_mutator *mutator, FILE *story);

/* Cuts the recording down to a minimal one that still breaks the same rule, and prints it. */
void replay_shrink(const struct core_config *cfg, const struct sim_record *r, sim_mutator *mutator,
	const char *rule, FILE *out);

#endif
