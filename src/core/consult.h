/*
 * consult: the transferor talks with the target first. Within one call, by command: the caller is
 * held while owner and target talk. By phone: a second call of the same person, which is found when
 * it begins, and becomes part of the first when both meet (RFC 5589 section 7, E-085 to E-099).
 */
#ifndef SEGUE_CORE_CONSULT_H
#define SEGUE_CORE_CONSULT_H

#include "core/inner.h"

/* ---- verbs ------------------------------------------------------------------------------------ */
void consult_connect(struct core *c, struct call *k);  /* owner and target talk, kept is held */
void consult_aside(struct core *c, struct call *k);    /* owner and kept talk, target is held */
void consult_note(struct core *c, struct call *k);     /* for the record: they talk */
void consult_make_semi(struct core *c, struct call *k); /* handed over while the target rings */
void consult_regroup(struct core *c, struct call *k);  /* the caller left: the two talk on (E-018) */
void consult_ask_onhook(struct core *c, struct call *k); /* hung up in mid-consult: what now? */
void consult_open_onhook(struct core *c, struct call *k);
void consult_locate(struct core *c, struct call *k);   /* asks which node has what is replaced */
void consult_adopt(struct core *c, struct call *k);    /* the met call's other party joins this one */

/* ---- a second call of the same person ---------------------------------------------------------- */

/* A user begins call k: if he has the other side of a call on hold, k is a consultation for it. */
void consult_find(struct core *c, struct call *k, const char *user);
/* After each step of k: what its state means for the call that it is a consultation for, and the
 * other way round. */
void consult_sync(struct core *c, struct call *k);
/* k goes its own way: whatever it is a consultation for, or has one, is no longer. */
void consult_part(struct core *c, struct call *k);
/* After a restart: a call that was not kept, because it only rang, is no consultation of k any more. Its id
 * may be another call's by now. */
void consult_recovered(struct core *c, struct call *k);
/* Somebody leaves k with a consultation under way, or did: his customer is not dropped (E-097). Makes
 * him the owner; false: it is an ordinary hang-up. */
bool consult_is_left(struct core *c, struct call *k, struct leg *l);

/* ---- two calls that meet ----------------------------------------------------------------------- */

/* Who is with leg l in its call: a party, or whoever is being rung for it. NULL: nobody. */
const struct leg *consult_other_side(const struct call *k, const struct leg *l);
/* The REFER of the step, on leg l of k, replaces a leg: finds the call that keeps the customer and
 * its transferor's leg, which may be the other one (E-093). */
struct call *consult_keeper(struct core *c, struct call *k, struct leg **l);
/* What the REFER of the step replaces is not there, and its target is called anew instead: by
 * configuration, unless another node has to be asked first (E-089). */
bool consult_dials_instead(const struct core *c);
/* Judges the request and posts MEET_UP, MEET_RINGING, MEET_QUEUED, MEET_FAR or MEET_NONE. A refusal
 * is returned. */
struct verdict consult_meet(struct core *c, struct call *k, struct leg *l, struct leg *kept);
/* EV_LOCATED: posts FOUND and aims the transfer at the node that has the dialog (or leaves it at the
 * target, which is called anew, by configuration), or FOUND_NOT. An
 * answer that nobody waits for any more changes nothing. */
void consult_located(struct core *c, struct call *k);
/* An INVITE that replaces a leg (RFC 3891 section 3): 0, the call, and PICKUP or TAKEN for it; or the status
 * that says why not. */
uint16_t consult_pickup(struct core *c, struct call **k, enum word *w);
void consult_open_pickup(struct core *c, struct call *k);
/* TAKEN: the leg of the INVITE is the caller from now on. */
void consult_seat_taker(struct core *c, struct call *k);
/* The target of the transfer rings: a consultation that another node has is none, then. */
void consult_note_ringing(struct core *c, struct call *k);

#endif
