/*
 * presence: which live legs does a person have, over all calls? Kept up to date by leg.c, asked by
 * whoever must know without looking through all calls: is this agent busy, has it another call held.
 */
#ifndef SEGUE_CORE_PRESENCE_H
#define SEGUE_CORE_PRESENCE_H

#include "core/inner.h"

/* l becomes a leg of `user` ("" : of nobody). Call it once, when the leg is made. */
void presence_add(struct core *c, struct leg *l, const char *user);
/* The same for a leg that knows its user already, out of a snapshot. */
void presence_restore(struct core *c, struct leg *l);
/* l is over; of no effect if it belongs to nobody. */
void presence_remove(struct core *c, struct leg *l);
/* The newest leg of a user that is not removed yet, NULL: none. Go on with leg->user_next. */
struct leg *presence_first(const struct core *c, const char *user);
/* Forgets everything; the legs are about to be freed. */
void presence_free(struct core *c);

#endif
