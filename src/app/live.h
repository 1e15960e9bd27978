/*
 * live: what can be seen of the calls, people and queues that live now. It watches every step of
 * the runner: events of the directory make its people, facts make what is on record about a call,
 * and the core's view says what state it is in. It decides nothing and is only read by api*.c.
 */
#ifndef SEGUE_APP_LIVE_H
#define SEGUE_APP_LIVE_H

#include "core/core.h"

#include <uthash.h>

struct live;

/* A visit of a party, as far as it has come. Times are UTC microseconds, 0: not yet. */
struct live_segment {
	uuid id, transfer_in;
	int n;
	char kind[12], who[USER_MAX], number[NUM_MAX];
	int64_t offered, answered, ended;
	char outcome[24];
	int64_t ring_ms, talk_ms, hold_ms, held_ms, consult_ms, wait_ms; /* of closed intervals */
	int64_t open;     /* since when its present interval runs */
};

#define LIVE_PAST_MAX 48

/* A closed interval of one of a call's segments, in UTC microseconds. */
struct live_interval {
	char state[12];
	int64_t from, to;
};

/* A transfer; kept for a while after its end, so that who asked for it can read how it ended. */
struct live_transfer {
	uuid id, conv, prev, next, to_segment;
	call_id call;
	char kind[8], via[12], asker[KEY_MAX];
	char target_kind[12], target[USER_MAX], number[NUM_MAX];
	int attempt, sip_status;
	char stage[16];   /* asked, accepted, ringing, answered, joined, ended */
	char outcome[16], cause[24];
	int64_t asked, ringing, answered, ended;
	UT_hash_handle hh;
};

/* A text that is kept for as long as what it shows looks the same: see live_look(). */
struct live_text {
	char *text;
	size_t len;
	uint64_t look, steps; /* live_look() and live_steps() then */
};

struct live_call;

/* A user who has to do with a call now: a party of it, or who asked for its running transfer. */
struct live_party {
	struct live_call *call;
	char user[USER_MAX];
	bool talking, ringing; /* neither: asked only */
	int64_t since;         /* monotonic ms */
	struct live_party *prev, *next; /* of the same user */
};

struct live_call {
	call_id id;
	uuid conv;
	char kind[12], case_key[KEY_MAX], dialled[NUM_MAX], source[USER_MAX];
	char customer_number[NUM_MAX], customer_name[NAME_MAX_], sip_call_id[TEXT_MAX];
	char recording[12];        /* off, on, paused */
	bool recovered;            /* it began under the segued before this one (E-124) */
	int64_t deadline;          /* monotonic ms: end of the guard of the present state, 0 none */
	int64_t started;           /* UTC us */
	struct live_segment *segments;
	unsigned nsegments, segments_cap;
	struct live_interval past[LIVE_PAST_MAX]; /* the latest, oldest first */
	unsigned npast;
	uuid transfer;             /* the last that was opened */
	uint64_t signature;        /* of what is shown of it */
	struct live_party **party;
	unsigned nparties;
	char queue[USER_MAX];      /* department it is in: waits there, or came through it */
	enum { CALL_SAME, CALL_CHANGED } told; /* of whoever tells of changes in rounds */
	uint64_t n;		   /* calls are numbered as they come, from 1 */
	uint64_t touched;	   /* steps that had to do with it */
	struct live_text text[2];  /* in JSON, with numbers, and masked: of whoever renders it */
	UT_hash_handle hh;
};

#define LIVE_QUEUES_MAX 32

struct live_user {
	struct ev_dir_user row;
	unsigned ncontacts;
	char queue[LIVE_QUEUES_MAX][USER_MAX]; /* those that the user is a member of */
	unsigned nqueues;
	struct live_party *parties; /* what the user has to do with now */
	struct live_text text;	    /* in JSON: of whoever renders it */
	UT_hash_handle hh;
};

struct live_queue {
	struct ev_dir_queue row;
	struct hours_view hours; /* as live_hours() found them last */
	enum { QUEUE_SAME, QUEUE_CHANGED } told; /* of whoever tells of changes in rounds */
	UT_hash_handle hh;
};

struct live_ivr {
	struct ev_dir_ivr row;
	UT_hash_handle hh, by_number;
};

/* Told in a step, for each thing that looks different now. call_left: that user has to do with the
 * call no longer. None may be NULL. */
struct live_hooks {
	void *arg;
	void (*call)(void *arg, const struct live_call *k);
	void (*call_left)(void *arg, const struct live_call *k, const char *user);
	/* It has ended, or became part of the call `into`. */
	void (*call_gone)(void *arg, const struct live_call *k, call_id into);
	void (*transfer)(void *arg, const struct live_call *k, const struct live_transfer *t);
	void (*user)(void *arg, const struct live_user *u);
	void (*queue)(void *arg, const struct live_queue *q);
	void (*ivr)(void *arg, const struct live_ivr *i);
	/* Each fact, once what it says is in the model; k is NULL for those about no call. */
	void (*fact)(void *arg, const struct live_call *k, const struct fact *f);
};

/* NULL without memory. The core must outlive it. */
struct live *live_create(struct core *core, const struct live_hooks *hooks);
void live_destroy(struct live *l);
/* Looks for calls of which it has not heard: those that segued goes on with after a restart. */
void live_adopt(struct live *l, int64_t now);
/* A step was taken, its facts are on record, its actions not yet carried out. */
void live_step(struct live *l, const struct event *ev, const struct core_out *out);

/* Queues whose hours are not what they were look different. Returns when that will be so again, as far as
 * it is known (UTC microseconds), else INT64_MAX; wall is the time now. */
int64_t live_hours(struct live *l, int64_t wall);

struct core *live_core(const struct live *l);
/* How often somebody with a call has come to a queue's members or left them: whoever supervises the
 * queue sees other calls then. */
unsigned live_moves(const struct live *l);
struct live_call *live_call(const struct live *l, call_id id);
/* Another number whenever a step had to do with the call, or a name has changed; and of all calls. */
uint64_t live_steps(const struct live *l, const struct live_call *k);
uint64_t live_touches(const struct live *l);
/* Likewise, whatever the core says of it now. 0: it may look different at any time, since it waits in a
 * queue. */
uint64_t live_look(const struct live *l, const struct live_call *k, const struct call_view *v);
/* The same of a user: it differs if the user looks different. */
uint64_t live_user_look(const struct live_user *u, const struct agent_view *v);
struct live_transfer *live_transfer(const struct live *l, const uuid *id);
struct live_user *live_user(const struct live *l, const char *name);
struct live_queue *live_queue(const struct live *l, const char *name);
/* Iterate with HASH_ITER or ->hh.next. */
struct live_call *live_calls(const struct live *l);
struct live_user *live_users(const struct live *l);
struct live_queue *live_queues(const struct live *l);
struct live_ivr *live_ivrs(const struct live *l);
struct live_ivr *live_ivr_at(const struct live *l, const char *number); /* NULL: none */

/* The calls of a user, counted by what they do. */
struct live_busy {
	unsigned talking, ringing;
	call_id call;  /* one of them, the talking before the ringing */
	int64_t since; /* monotonic ms */
};
void live_busy(const struct live *l, const char *user, struct live_busy *out);

/* Whether the media of that leg is being changed: until it has agreed it hears what it heard. */
bool live_leg_changes(const struct leg_view *l);
/* UTC microseconds of a monotonic time of this call; view.started is the other end of the base. */
int64_t live_stamp(const struct live_call *k, int64_t mono_ms, int64_t mono_started);

#endif
