/*
 * death: segued dies and comes back (E-124). Beside the core under test this keeps what app/keeper.c
 * keeps of its calls, by the core's own word on which they are, and when. sim_die() is the end of one process
 * and the begin of the next: a new core with what was kept, and adapters that have lost every transaction.
 */
#ifndef SEGUE_SIM_DEATH_H
#define SEGUE_SIM_DEATH_H

#include <uthash.h>

#include "core/core.h"

struct sim;

#define BRIEF_MAX 512

/* Where in a step the process is killed. */
enum doom {
	DOOM_NONE,
	DOOM_BEFORE, /* nothing of it is on record, nor kept: the two are one change */
	DOOM_AFTER   /* that change is there, and none of its actions is carried out */
};

/* How a process ends: killed, or stopped in order with control.keep_calls. Then it ends between two steps,
 * and what it leaves is whole. */
enum ending { ENDING_KILLED, ENDING_STOPPED };

/* When the next process knows the directory. */
enum lore { LORE_AT_ONCE, LORE_LATE };

#define DEATH_LEGS_MAX 512 /* of one call; a test that needs more fails */

struct death_call { /* as it was kept last */
	call_id id;
	void *bytes;
	size_t len;
	uint64_t facts; /* the newest fact then */
	leg_id legs[DEATH_LEGS_MAX];
	unsigned nlegs;
	char shown[BRIEF_MAX]; /* in an orderly end: as it was shown last; else "" */
	UT_hash_handle hh;
};

struct death_fact { /* the newest fact of a call */
	call_id call;
	uint64_t seq;
	UT_hash_handle hh;
};

struct death {
	struct death_call *kept;
	struct death_fact *newest;
	uint64_t nfacts;
	enum doom doom;  /* of the next step */
	enum lore lore;
	bool dead;       /* the step was taken: sim_die() is due */
	int64_t died_at;
	call_id *ids;    /* that came back, and of which the core does not know yet what they have lost */
	unsigned nids;
	uint64_t deaths, recovered, told; /* for the tally */
};

void death_done(struct death *d);
/* The facts of a step are on record. */
void death_facts(struct death *d, const struct core_out *out);
/* Keeps, or forgets, what the step has changed. */
void death_keep(struct sim *s, const struct event *ev);

/* The process ends, and another one starts at `now`. fn as in sim_timers(), for each call that comes back. */
void sim_die(struct sim *s, int64_t now, enum ending how, enum lore lore,
	void (*fn)(void *arg, const struct event *ev), void *arg);
/* Its adapters say which dialogs are there again; before that the directory, if it came late. */
void sim_fates(struct sim *s, int64_t now, void (*fn)(void *arg, const struct event *ev), void *arg);

#endif
