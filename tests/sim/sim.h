/*
 * sim: one core under test with everything that watches it. A step takes an event in, lets the
 * core work, and asks each watcher:
 *
 *	contract  what core and adapters promise each other
 *	books     what the facts add up to
 *	judge     what people on the phone are owed
 *	shown     what the core shows of itself
 *	core_check() and core_view()
 *
 * sim knows no random world: world.c invents one, replay.c plays a recording, tests/trace plays a
 * written scenario.
 */
#ifndef SEGUE_SIM_SIM_H
#define SEGUE_SIM_SIM_H

#include "sim/books.h"
#include "sim/contract.h"
#include "sim/death.h"
#include "sim/shown.h"

#define SIM_WALL0 INT64_C(1767225600000000) /* 2026-01-01, when simulated time begins */

struct sim;

/* Tampers with the core's output before the watchers see it; for the test of the watchers. */
typedef void sim_mutator(struct sim *s, const struct event *ev, struct core_out *out);

/* What was done, so that it can be done again. */
struct sim_item {
	enum { SIM_EVENT, SIM_SNAPSHOT, SIM_DOOM, SIM_DEATH, SIM_FATES, SIM_CONFIG } kind;
	struct event ev; /* in rnd: enum doom; enum lore, and in call enum ending; how to configure */
};

struct sim_record {
	struct sim_item *items;
	unsigned n, cap;
	bool lenient; /* of broken adapters: events are replayed whether or not they could come */
};

struct sim {
	struct core *core;
	struct core_config cfg;
	struct core_out out;
	struct contract ct;
	struct books books;
	struct death death;
	struct shown shown;
	uint64_t steps, hash;
	struct event *dir; /* the directory as last told, for a new core */
	unsigned ndir, dir_cap;
	struct sim_record *record; /* NULL: not recorded */
	sim_mutator *mutator;
	bool mutated;
	bool failed;
	char rule[CT_RULE_MAX], text[BK_TEXT_MAX];
};

/* Creates the core. Both are for the caller to undo with sim_done(). */
void sim_init(struct sim *s, const struct core_config *cfg);
void sim_done(struct sim *s);

/* One event. Returns false if no adapter could send it now (nothing happens), or after a failure.
 */
bool sim_step(struct sim *s, const struct event *ev);

/* One event, whether or not an adapter could send it now. Only sensible with ct.lenient set. */
void sim_shove(struct sim *s, const struct event *ev);

/* Snapshots every call, starts a new core and puts the calls back. */
void sim_snapshot(struct sim *s, int64_t now);

/* The process is killed in the middle of the next step: then death.dead is set, and sim_die() is due. */
void sim_doom(struct sim *s, enum doom doom, int64_t now);

/* The configuration is read again, with other limits for queues. */
void sim_configure(struct sim *s, uint64_t how, int64_t now);

/* For death.c. */
void sim_new_core(struct sim *s, enum lore lore);
void sim_record_death(struct sim *s, int64_t now, enum ending how, enum lore lore);
void sim_record_fates(struct sim *s, int64_t now);
void sim_collect(struct sim *s);

/* Fires the timers that are due up to and including `until`; after each, calls fn. */
void sim_timers(
	struct sim *s, int64_t until, void (*fn)(void *arg, const struct event *ev), void *arg);

/* Everything must be over now. */
void sim_end(struct sim *s);

void sim_fail(struct sim *s, const char *rule, const char *text);
void sim_record_free(struct sim_record *r);

#endif
