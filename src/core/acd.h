/*
 * acd: what the files of core/ that find agents for callers share: roster.c (who serves which
 * queue), agent.c (what is true of an agent), queue.c (who waits), offer.c (who is asked for whom).
 * Nobody else includes it.
 *
 * An agent's state is derived, never set: from the directory, his phones and the legs that he has
 * in any call. Whatever changes one of these calls agent_touch(); once the event's own call is
 * done, acd_run() looks at those who were touched, and offers to who has become free the caller who
 * waits for him. What reserves an agent is the leg that rings at his phone, and nothing else: a
 * reservation that outlives it cannot be written down.
 */
#ifndef SEGUE_CORE_ACD_H
#define SEGUE_CORE_ACD_H

#include "core/inner.h"
#include "core/order.h"
#include "core/strategy.h"

/* ---- who ------------------------------------------------------------------------------------- */

/* Why an offer was not taken; counted apart. Offers that were cancelled are in none of these. */
#define MISSED_LIST(X)                                                                             \
	X(MISSED_NO_ANSWER, "no_answer")                                                           \
	X(MISSED_BUSY, "busy")                                                                     \
	X(MISSED_DECLINED, "declined")                                                             \
	X(MISSED_UNREACHABLE, "unreachable")
ENUM_DECLARE(missed, MISSED_LIST);

struct skill {
	char name[SKILL_MAX];
	uint32_t level;
	struct skill *next;
};

struct agent {
	char user[USER_MAX];
	uint8_t state;	/* enum agent_state, as it was derived last */
	uint8_t intent; /* enum agent_intent */
	uint8_t via;	/* enum origin: how the intent was chosen */
	bool silent;	/* its phones do not answer OPTIONS */
	char reason[REASON_MAX], by[KEY_MAX];
	int64_t since, intent_since; /* monotonic ms */
	int64_t idle_since;
	int64_t wrapup_from, wrapup_until; /* 0: none */
	int64_t rest_from, rest_until; /* after an offer that was not taken; 0: asked again any time */
	char rest_queue[USER_MAX];     /* whose offer that was */
	char wrapup_queue[USER_MAX];   /* whose caller left something to do .. */
	uuid conv;		     /* .. and in which conversation; while on a call, that one */
	uint16_t missed[missed_count_]; /* in a row */
	uint64_t answered;
	int64_t talk_ms;
	struct skill *skills;
	struct member *members; /* of queues, by ->next */
	struct order_node due;	/* in acd.due while a wrap-up or a rest runs */
	uint32_t no;
	uint8_t touched, fresh; /* 1: in that list */
	struct agent *next_touched, *next_fresh;
	UT_hash_handle hh;
};

/* A user as one of those who serve a queue. */
struct member {
	struct dir_queue *queue;
	struct agent *agent;
	uint32_t level, order, weight;
	uint32_t deficit, skill; /* by what the queue needs */
	uint8_t present, taking; /* as it is counted in the queue */
	uint32_t no;
	int64_t offered_at;
	struct order_node free; /* in queue->free while the agent is */
	struct member *next;	/* the agent's other queues */
	UT_hash_handle hh;	/* in queue->members */
};

/* ---- for whom -------------------------------------------------------------------------------- */

struct dir_queue {
	struct ev_dir_queue row;
	struct member *members; /* by user name */
	struct ev_dir_need need[NEEDS_MAX];
	unsigned nneeds;
	struct ev_dir_hours hours; /* gone: it has none, and is always open */
	struct order free;     /* members who are free, in the order in which they are asked */
	struct order waiting;  /* callers, in the order in which they are served */
	struct order unserved; /* those of them for whom nobody rings */
	struct order arrived;  /* all of them, by when they came here */
	int64_t drum;	       /* of the strategy */
	unsigned count[agent_state_count_], present,
		taking;	   /* members: by state, logged in, available */
	int64_t handle_ms; /* what a caller takes of an agent's time, a moving average; 0: unknown
			    */
	uint64_t entered, answered, in_time, abandoned, overflowed;
	uint64_t tag;	 /* of its name, for calls that have been here: the next process reads it, too */
	uint8_t emptied; /* 1: in that list */
	uint8_t known;	 /* 1: the directory has told its rules; else a restored call waits in it */
	struct dir_queue *next_emptied;
	UT_hash_handle by_name, by_number;
};

/* A call in a queue. */
struct waiter {
	struct call *call;
	struct dir_queue *queue;
	struct order_node waiting, unserved, arrived;
	unsigned asked; /* agents asked in this round, for strategies that ask several */
};

/* ---- roster.c -------------------------------------------------------------------------------- */

/* The queue of that name, made with default rules if there is none: a restored call waits in it. */
struct dir_queue *roster_queue(struct core *c, const char *name);
/* If it is none of the directory's, and nobody waits in it any more. */
void roster_forget(struct core *c, struct dir_queue *q);
/* Puts a member to its place among the free ones, or takes it away. */
void member_free(struct core *c, struct member *m);
void member_busy(struct member *m);

/* ---- agent.c --------------------------------------------------------------------------------- */

struct agent *agent_find(const struct core *c, const char *user);
struct agent *agent_get(struct core *c, const char *user); /* made if there is none; NULL for "" */
/* An offer of q was not taken: status says why. */
void agent_missed(struct core *c, const char *user, const struct dir_queue *q, uint16_t status);
/* A queue's caller is connected with him. */
void agent_answered(struct core *c, const char *user);
/* The rules of q are others: who is left alone by them is so for as long as they say now. */
void agent_rules_changed(struct core *c, struct agent *a, const struct dir_queue *q);
/* Derives the states of all that were touched; afterwards acd.fresh are those who became free. */
void agents_settle(struct core *c);
void agents_arm(struct core *c);
void agents_free(struct core *c);
/* Is he logged in, with a phone that can be reached; and does he take calls? */
bool agent_present(const struct core *c, const struct agent *a);
bool agent_taking(const struct core *c, const struct agent *a);

/* ---- queue.c --------------------------------------------------------------------------------- */

bool queue_is_empty(const struct dir_queue *q, enum empty_rule rule);
/* Is it outside of its opening hours at that time of the calendar (UTC microseconds)? */
bool queue_is_closed(const struct dir_queue *q, int64_t wall);
/* How long a caller who is placed so (1: next) will wait in ms, -1: nobody knows. */
int64_t queue_estimate(const struct dir_queue *q, unsigned position);
/* Somebody has left: those who wait may have to leave, too. That a queue was empty when they came
 * was its rule for joining. */
void queue_note_emptied(struct core *c, struct dir_queue *q);
/* Its rules have changed: perhaps more agents may be asked for those who wait. */
void queue_ask_all(struct core *c, struct dir_queue *q);
/* So is what is announced, and when. */
void queue_announce_changed(struct core *c, struct dir_queue *q);
/* So is the retry delay: transferors are not offered their own call for no longer than that. */
void queue_retry_changed(struct core *c, struct dir_queue *q);
/* How long a phone that was not picked up is left alone in ms. */
int64_t queue_retry_ms(const struct core *c, const struct dir_queue *q);
/* The longest wait is another: for those who wait already, too. */
void queue_limit_changed(struct core *c, struct dir_queue *q);
/* How long a caller may wait here in ms. */
int64_t queue_wait_limit(const struct core *c, const struct dir_queue *q);
/* Sends all who wait away: the queue is removed. */
void queue_clear(struct core *c, struct dir_queue *q);
/* Somebody rings for this caller; nobody does. */
void waiter_serve(struct waiter *w);
void waiter_unserve(struct waiter *w);
/* Empties a queue whose last agent has left. True if there was one. */
bool queues_clear_emptied(struct core *c);

/* ---- offer.c --------------------------------------------------------------------------------- */

/* The waiter's call was `from` until now: whoever rings for him rings out his time. */
void offers_go_on(struct core *c, struct waiter *w, const struct call *from);

/* How long an offer of this queue rings in ms. */
int64_t offer_ring_ms(const struct core *c, const struct dir_queue *q);
/* That is another now: what rings already rings for what is left of it. */
void offers_ring_changed(struct core *c, struct dir_queue *q);

/* Offers of queues that ring at this user's phones are withdrawn (E-113). */
void offers_withdraw(struct core *c, const char *user);

#endif
