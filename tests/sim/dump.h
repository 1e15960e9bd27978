/*
 * dump: reads what the flight recorder of a running segued wrote (app/recorder.h), so that an
 * incident can be replayed and looked at step by step.
 */
#ifndef SEGUE_SIM_DUMP_H
#define SEGUE_SIM_DUMP_H

#include "sim/sim.h"

/* Fills *cfg and *r, which the caller frees with sim_record_free(). Returns 0, or EINVAL with a
 * sentence in err. */
int dump_read(
	const char *path, struct core_config *cfg, struct sim_record *r, char *err, size_t size);

#endif
