/*
 * stage: where a written scenario is played. It names the legs, lets the network and the phones do
 * what goes without saying (ACKs, answers to offers and NOTIFYs, CLOSED), and writes down what
 * happens as a ladder with the facts between its rungs.
 */
#ifndef SEGUE_TRACE_STAGE_H
#define SEGUE_TRACE_STAGE_H

#include <stdio.h>

#include "sim/sim.h"

#define STAGE_LEGS_MAX	64
#define STAGE_AUTO_MAX	64
#define STAGE_IDS_MAX	128
#define STAGE_NAME_MAX	24
#define STAGE_ERROR_MAX 640

/* What happens by itself, unless the scenario says "manual" for it. */
enum stage_habit {
	HABIT_ACK = 1,	  /* our 200 is ACKed */
	HABIT_OFFER = 2,  /* our offers are answered 200, our 2xx with an offer is ACKed */
	HABIT_NOTIFY = 4, /* the final NOTIFY is answered 200 */
	HABIT_CLOSE = 8,  /* what ended is reported CLOSED */
	HABIT_CANCEL = 16 /* our CANCEL is answered with 487 */
};

struct stage_leg {
	char name[STAGE_NAME_MAX];
	leg_id id;	 /* ID_NONE: not yet there, only "manual" was said */
	unsigned column; /* in the ladder, by order of appearance */
	enum dir wants;	 /* sendrecv, or how its phone holds */
	unsigned manual; /* habits it does not have */
	uint64_t refer;	 /* cmd of its last REFER */
};

struct stage_auto {
	int64_t at;
	struct event ev;
};

struct stage_id { /* short names for uuids, in order of appearance */
	uuid id;
	char name[16];
};

struct stage {
	struct sim sim;
	int64_t now;
	struct stage_leg legs[STAGE_LEGS_MAX];
	unsigned nlegs, ncolumns;
	struct stage_auto autos[STAGE_AUTO_MAX];
	unsigned nautos;
	struct stage_id ids[STAGE_IDS_MAX];
	unsigned nids, nconvs, nsegs, nxfers;
	struct fact *facts; /* everything on record, for "expect" */
	unsigned nfacts, facts_cap;
	uint64_t cmd;
	int64_t skew_us; /* how far the clock was set */
	uint64_t sought; /* REFER whose replaced dialog is looked for */
	unsigned contact;
	FILE *out;
	char error[STAGE_ERROR_MAX];
};

void stage_init(struct stage *st, const struct core_config *cfg, FILE *out);
void stage_done(struct stage *st);

/* The leg of this name; creates the name if there is none. */
struct stage_leg *stage_leg(struct stage *st, const char *name);
const char *stage_leg_name(struct stage *st, uint64_t id);

/* Lets everything happen that is due up to `until`, then makes it that time. */
void stage_until(struct stage *st, int64_t until);

/* One event at st->now. False if no adapter could send it now. name: of a new INVITE's leg. */
bool stage_send(struct stage *st, struct event *ev, const char *name);

void stage_snapshot(struct stage *st);
/* The process is killed now, and another one starts so much later (E-124). */
void stage_kill(struct stage *st, int64_t down_ms);
/* It is stopped in order and leaves the calls to the next one (control.keep_calls). */
void stage_stop(struct stage *st, int64_t down_ms);
/* The adapters of the new one say which dialogs are there again. */
void stage_tell_fates(struct stage *st);
/* The configuration is read again. */
void stage_reload(struct stage *st, const struct core_config *cfg);

/* What leg l would write as answer to what it was offered last. */
struct sdp_note stage_answer(struct stage *st, const struct stage_leg *l);

/* Runs until nothing is left to happen, then checks that nothing remains. */
void stage_end(struct stage *st);

/* Writes the names of the ladder's columns to out. */
void stage_title(struct stage *st, FILE *out);

const char *stage_uuid(struct stage *st, const uuid *id);

#endif
