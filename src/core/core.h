/*
 * core: the only door to call control.
 *
 * core_step() takes one event and appends actions and facts to `out`. It does no I/O, reads no
 * clock, rolls no dice, calls no library: same events, same actions and facts, always. Adapters
 * turn the world into events and carry the actions out; the simulator does the same with a world
 * that it invents.
 *
 *	runner: event -> core_step() -> facts to the store (one transaction) -> actions, in order
 */
#ifndef SEGUE_CORE_CORE_H
#define SEGUE_CORE_CORE_H

#include "core/action.h"
#include "core/config.h"
#include "core/event.h"
#include "core/fact.h"

struct core;

/* What a step produced. Owned by the caller, reused from step to step. */
struct core_out {
	struct action *actions;
	unsigned nactions, actions_cap;
	struct fact *facts;
	unsigned nfacts, facts_cap;
	leg_id leg; /* EV_INVITE: the new leg, ID_NONE when the core is full (answer 503).
		     * EV_DIAL: the first of those being rung, ID_NONE when it was refused */
};

void core_out_init(struct core_out *out);
void core_out_done(struct core_out *out);

/* Creates an empty core. cfg is copied. Returns NULL without memory. */
struct core *core_create(const struct core_config *cfg, unsigned node);
void core_destroy(struct core *c);

/* New policy from now on; running guards keep the times they were started with, but for what EV_CONFIG
 * starts anew. */
void core_reconfigure(struct core *c, const struct core_config *cfg);

/* Takes one event. Empties out first. Events about unknown or freed ids do nothing, except that a
 * request that needs an answer (OFFER, INFO, TRANSFER, commands) is answered 481 or 404. */
void core_step(struct core *c, const struct event *ev, struct core_out *out);

/* ---- looking in: the control socket, the panel, tests ---------------------------------------- */

#define VIEW_LEGS_MAX 24

struct leg_view {
	leg_id id;
	const char *state, *role; /* names */
	const char *oa;           /* offer/answer state, name */
	bool outbound;
	char user[USER_MAX];      /* "" for a peer's */
	char peer[USER_MAX];
	struct party party;
	int64_t since;            /* monotonic ms of the last state change */
};

struct call_view {
	call_id id;
	uuid conv, xfer;          /* xfer nil: none is running */
	const char *state;        /* name of the table state */
	const char *kind;         /* inbound outbound internal */
	char customer_number[NUM_MAX], customer_name[NAME_MAX_];
	char with[USER_MAX];      /* who talks with the customer now, "" for nobody */
	char target[USER_MAX];    /* of the running transfer */
	int64_t started, since;   /* monotonic ms */
	const char *interval;     /* talking, holding, held, ringing, limbo ... of `with` */
	bool can_transfer, can_cancel, can_hangup; /* what the table would do with these now */
	bool can_complete, can_swap, can_hold, can_unhold, can_resume;
	bool can_move;            /* can_transfer of a caller who waits, whom nobody speaks for yet */
	const char *why_not;      /* reason if can_transfer is false, or can_move true; else NULL */
	char queue[USER_MAX];     /* waits in this queue, "" for none */
	unsigned position;        /* there; 1: next to be served */
	int64_t estimate_ms;      /* until an agent answers; -1: nobody knows */
	unsigned nlegs;
	struct leg_view legs[VIEW_LEGS_MAX];
};

/* What would come of a transfer to somebody. */
struct target_view {
	uint16_t status;      /* 0: it would be admitted */
	const char *cause;    /* word of the ledger, NULL if admitted: busy, unregistered, self ... */
	char text[TEXT_MAX];  /* for people */
	enum target_kind kind;
	char name[USER_MAX];  /* user, queue, ivr or peer */
	char number[NUM_MAX]; /* as it would be sent */
	const char *class;    /* of an outside number: local, national ...; NULL: it is none */
};

/* Judges a transfer as if the EV_TRANSFER came now, by the same policy, and changes nothing. The
 * state of the call is not judged: see call_view.can_transfer. */
void core_try_transfer(struct core *c, const struct event *ev, struct target_view *out);

unsigned core_call_count(const struct core *c);
/* The words that a view may have for a call's state, kind and interval, a leg's role and state: the i-th,
 * NULL behind the last. */
enum core_words { WORDS_STATE, WORDS_KIND, WORDS_INTERVAL, WORDS_ROLE, WORDS_LEG };
const char *core_word(enum core_words of, unsigned i);
/* Fills *v; false if there is no such call. */
bool core_view(const struct core *c, call_id id, struct call_view *v);
/* The next call after id in slot order (ID_NONE: the first); ID_NONE at the end. */
call_id core_next_call(const struct core *c, call_id after);

/* ---- queues and agents ------------------------------------------------------------------------ */

struct queue_view {
	struct ev_dir_queue row;            /* its rules, as the directory has them */
	unsigned waiting;
	int64_t longest_ms;                 /* the longest wait of those who wait, 0 if none does */
	int64_t estimate_ms;                /* for who would come now; -1: nobody knows */
	int64_t limit_ms;                   /* so long a caller waits, then he overflows */
	int64_t ring_ms;                    /* so long an offer rings */
	unsigned members, agents[agent_state_count_];
	/* callers since the process began */
	uint64_t entered, answered, in_time, abandoned, overflowed;
};
/* Fills *v for a queue by name; false if there is none. */
bool core_queue_view(const struct core *c, const char *queue, int64_t now, struct queue_view *v);

struct hours_view {
	bool closed;
	int64_t opens_at;  /* UTC microseconds: when it opens next; 0: not known */
	int64_t closes_at; /* when it closes, if it is open; 0: not known */
	int64_t known_until; /* nothing is known from then on; 0: it has no hours */
	char zone[ZONE_MAX]; /* the time zone in which they have been set; "": it has none */
};
/* Fills *v with the opening hours of a queue as they are at that time (UTC microseconds); false if it
 * has none, or none that is known: it is open. */
bool core_queue_hours(const struct core *c, const char *queue, int64_t wall, struct hours_view *v);

/* Name of the queue after that one ("": the first) in the order in which they were made known; NULL
 * at the end. */
const char *core_next_queue(const struct core *c, const char *after);

struct waiting_view {
	call_id call;
	unsigned position;
	int64_t waited_ms;   /* in this queue */
	int64_t credit_ms;   /* placed as if it had waited this much longer */
	int64_t estimate_ms; /* -1: nobody knows */
	char number[NUM_MAX], name[NAME_MAX_];
	char offered[USER_MAX]; /* whose phone rings for it, "" for nobody's */
};
/* Who waits at this position (1: next to be served); false beyond the end. */
bool core_waiting_view(const struct core *c, const char *queue, unsigned position, int64_t now,
	struct waiting_view *v);

struct agent_view {
	char user[USER_MAX], name[NAME_MAX_];
	enum agent_state state;
	int64_t since;              /* monotonic ms of the last change of state */
	int64_t until;              /* of the end of AGENT_WRAPUP, 0 in other states */
	enum agent_intent intent;
	int64_t intent_since;
	char reason[REASON_MAX];
	enum origin intent_via;
	char intent_by[KEY_MAX];
	call_id call;               /* that rings or talks, ID_NONE for none */
	unsigned nqueues, missed;   /* offers unanswered in a row */
	uint64_t answered;          /* queue callers, since the process began */
	int64_t talk_ms;            /* with them */
};
/* An agent is a user who is a member of a queue. */
bool core_agent_view(const struct core *c, const char *user, struct agent_view *v);
const char *core_next_agent(const struct core *c, const char *after); /* as core_next_queue() */
/* Name of the queue after that one of which the user is a member; NULL at the end. */
const char *core_agent_queue(const struct core *c, const char *user, const char *after);

/* ---- snapshots ------------------------------------------------------------------------------- */

/* Writes the whole call as plain bytes into *buf (malloc'd, caller frees). 0, or ENOENT/ENOMEM. */
int core_snapshot(const struct core *c, call_id id, void **buf, size_t *len);
/* Puts a call back under its old id. 0, EINVAL for bytes that are no snapshot of this version,
 * EEXIST if the slot is taken. Timers are not part of it: the caller steps EV_TIMER or lets
 * core_restored() say which guards to start. */
int core_restore(struct core *c, const void *buf, size_t len);
/* Emits the timers that the restored call needs into out. */
void core_restored(struct core *c, call_id id, int64_t now, struct core_out *out);
/* The same in a process that knows nothing of what went before (E-124): the timeline says so, nobody
 * records or plays music, and no exchange is under way. The caller then steps EV_RECOVERED for each leg, of
 * all such calls first for those whose dialog is lost. */
void core_recovered(struct core *c, call_id id, int64_t now, struct core_out *out);
/* The REFERs (their commands) of this call that were accepted, as far as they matter still: that of
 * the transfer that runs, and those whose final NOTIFY may not have arrived. Fills at most cap;
 * returns how many. */
unsigned core_refers(const struct core *c, call_id id, uint64_t *cmds, unsigned cap);
/* The facts that tell who knows nothing of this call what is open of it: the conversation, its visits,
 * the transfer that runs. They are on record already. */
void core_retell(struct core *c, call_id id, int64_t now, struct core_out *out);
/* A call that is worth a snapshot: it has not ended, and who is not to be lost has answered and can be
 * kept. */
bool core_keeps(const struct core *c, call_id id);
/* A call that has ended, but not for all: the next process is to hang up the legs that core_keeps_leg(), if
 * they are still there. */
bool core_parts(const struct core *c, call_id id);
/* A leg whose dialog the next process is to have. Of the others it is told that they are lost. */
bool core_keeps_leg(const struct core *c, leg_id id);
/* Fills legs[cap] with the legs of the call: all of them, where a view has room for VIEW_LEGS_MAX (a ring-all
 * queue rings more phones than that). How many there are, which may be more than cap. */
unsigned core_legs(const struct core *c, call_id id, leg_id *legs, unsigned cap);
/* The calls whose snapshot is out of date after this step: calls fn with each, with some twice. One that
 * core_keeps() no longer, and of which core_parts() neither, is to be forgotten. */
void core_each_changed(const struct core *c, const struct event *ev, const struct core_out *out,
	void (*fn)(void *arg, call_id id), void *arg);
/* Where a call is now, or the call of a leg: itself, or what it has become part of; ID_NONE: nowhere. */
call_id core_call_of(const struct core *c, uint64_t id);

/* Checks every invariant that can be seen from inside. Returns NULL, or what is wrong (static or
 * in a buffer that lives until the next call). */
const char *core_check(const struct core *c);

/* ---- the table, for docs, graph and tests ---------------------------------------------------- */

struct table_row {
	const char *state, *event, *next; /* next NULL: an IGNORE */
	const char *actions;              /* verbs, blank separated; or the IGNORE's reason */
	const char *why;                  /* the row's comment: E-id or sentence */
	bool never;                       /* cannot happen by construction; asserted */
	unsigned line;                    /* in transfer.tbl */
};
unsigned core_table_size(void);
void core_table_row(unsigned i, struct table_row *row);
/* How often row i was taken since the last reset, for the simulator's coverage. */
uint64_t core_table_hits(unsigned i);
void core_table_reset_hits(void);

#endif
