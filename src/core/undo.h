/*
 * undo: a join that failed. Everybody goes back to where he was before: two calls that were
 * put together are two again, a consultation by command goes on, and who has called in is not let go
 * because the transferor has hung up meanwhile (E-002).
 */
#ifndef SEGUE_CORE_UNDO_H
#define SEGUE_CORE_UNDO_H

#include "core/inner.h"

/* Verbs. */
void undo_ask(struct core *c, struct call *k);  /* posts UNDO_ and how they came together */
void undo_note(struct core *c, struct call *k); /* for the record; the consultation goes on */
void undo_part_again(struct core *c, struct call *k); /* what ADOPT has done, the other way round */

#endif
