/*
 * verbs: what the rows of transfer.tbl can do. Each verb is one small function in verbs.c.
 */
#ifndef SEGUE_CORE_VERBS_H
#define SEGUE_CORE_VERBS_H

#include "core/inner.h"

#define VERB_LIST(X)                                                                               \
	/* first call; click-to-dial: originate.c */                                               \
	X(PROGRESS_KEPT) X(SEAT_CALLER) X(DIAL_NUMBER)                                             \
	/* who is there */                                                                         \
	X(WIN) X(PROMOTE) X(DROP_TARGETS) X(DROP_KEPT) X(DROP_OWNER) X(PART_OWNER) X(STAY)         \
	/* who hears whom */                                                                       \
	X(CONNECT_TARGET) X(CONNECT_CONSULT) X(TALK_ASIDE) X(RECONNECT) X(HOLD_KEPT)               \
	X(HOLD_BOTH) X(HOLD_IF_COMMAND)                                                            \
	/* what the transferor is told */                                                          \
	X(ADMIT) X(ACCEPT) X(TELL_TRYING) X(TELL_RINGING) X(TELL_OK) X(TELL_FAILED)                \
	X(REFUSE_EARLY) X(REFUSE_BUSY) X(REFUSE_ENDED) X(REFUSE_CANCEL) X(REFUSE_NOW)              \
	X(REPLY_DONE) X(ADMIT_RETRY) X(ASK_RECALL)                                                 \
	/* why it failed */                                                                        \
	X(SET_NO_ANSWER) X(SET_LEFT) X(SET_CANCELLED) X(SET_UNREACHABLE) X(SET_DECLINED)           \
	X(SET_INTERNAL) X(SET_UNKNOWN)                                                             \
	/* what is on record */                                                                    \
	X(OPEN_XFER) X(OPEN_RETRY) X(OPEN_RECALL) X(FALL_BACK) X(NOTE_RINGING)                     \
	X(NOTE_ANSWERED) X(CLOSE_COMPLETED) X(CLOSE_FAILED) X(CLOSE_ABANDONED)                     \
	X(CLOSE_CANCELLED) X(FORGET_XFER)                                                          \
	/* consultation, and calls that meet */                                                    \
	X(NOTE_CONSULT) X(MAKE_SEMI) X(REGROUP) X(ASK_ONHOOK) X(OPEN_ONHOOK) X(ADOPT)              \
	X(OPEN_PICKUP) X(SEAT_TAKER) X(ASK_UNDO) X(NOTE_UNDONE) X(PART_AGAIN) X(LOCATE)            \
	/* a REFER that the other side carries out: passing.c */                                   \
	X(PASS_ON) X(DO_OURSELVES) X(TELL_PROGRESS) X(CLOSE_RELEASED)                              \
	/* whom to ring */                                                                         \
	X(DIAL_TARGET) X(DIAL_RECALL) X(NEXT_STEP)                                                 \
	/* waiting in a queue: queue.c, offer.c */                                                 \
	X(WELCOME) X(GUARD_WAIT) X(ASK) X(ASK_ON) X(LEAVE_PLACE) X(TAKE_PLACE)                     \
	X(ANSWERED_IN_QUEUE) X(LEAVE_QUEUE) X(QUIT_QUEUE) X(CLOSE_QUEUED) X(WAIT_TOGETHER)         \
	/* how long */                                                                             \
	X(GUARD_JOIN) X(GUARD_RING) X(GUARD_REST) X(GUARD_RECALL) X(GUARD_RESUME)                  \
	X(GUARD_BYE) X(GUARD_LOCATE) X(GUARD_SETUP) X(GUARD_PASSED) X(UNGUARD)

#define VERB_ENUM_(v) v,
enum verb { VERB_END, VERB_LIST(VERB_ENUM_) verb_count_ };
#undef VERB_ENUM_

void verb_run(struct core *c, struct call *k, enum verb v);

static inline struct leg *kept(const struct call *k)
{
	return call_role(k, ROLE_KEPT);
}

static inline struct leg *owner(const struct call *k)
{
	return call_role(k, ROLE_OWNER);
}

static inline struct leg *target(const struct call *k)
{
	return call_role(k, ROLE_TARGET);
}

/* The row of the running transfer in the ledger, and its line in the timeline. `to` is the segment
 * that the transfer led to, NULL for none. */
void xfer_open_row(struct core *c, struct call *k);
void xfer_retell(struct core *c, struct call *k); /* the fact of the row that is open */
void xfer_close_row(struct core *c, struct call *k, const char *outcome, const char *cause,
	const uuid *to);
void xfer_timeline(struct core *c, struct call *k, const char *type, const char *key2,
	const char *value2);
/* The transfer has led to this segment; everybody is told so. */
void xfer_close_completed(struct core *c, struct call *k, const uuid *to);
/* How people call the target: by name if it has one, else by the number that was asked for. */
const char *target_word(const struct target *t);

/* originate.c */
void originate_seat_caller(struct core *c, struct call *k);
void originate_dial_number(struct core *c, struct call *k);
/* Who took the call in the queue to which a transfer led: for that transfer's row. */
void queue_answered_by(struct core *c, struct call *k, const struct leg *l);

/* chain.c: verbs of the fallback chain. */
void chain_next_step(struct core *c, struct call *k);
void chain_open_recall(struct core *c, struct call *k);
void chain_fall_back(struct core *c, struct call *k);

/* passing.c: verbs of a REFER that is passed on. */
void passing_on(struct core *c, struct call *k);
void passing_back(struct core *c, struct call *k);
void passing_close_released(struct core *c, struct call *k);

/* queue.c, offer.c: verbs of a caller who waits. */
void v_welcome(struct core *c, struct call *k);
void v_guard_wait(struct core *c, struct call *k);
void v_ask(struct core *c, struct call *k);
void v_ask_on(struct core *c, struct call *k);
void v_leave_place(struct core *c, struct call *k);
void v_take_place(struct core *c, struct call *k);
void v_answered_in_queue(struct core *c, struct call *k);
void v_leave_queue(struct core *c, struct call *k);
void v_quit_queue(struct core *c, struct call *k);
void v_close_queued(struct core *c, struct call *k);

#endif
