/*
 * judge: what people on the phone are owed, whatever the protocol says: nobody listens to a dead
 * line, nobody is dropped while somebody could still talk to him, and a transferor is let go only
 * when the next person is there.
 */
#ifndef SEGUE_SIM_JUDGE_H
#define SEGUE_SIM_JUDGE_H

#include "sim/books.h"
#include "sim/contract.h"

/* Before the contract takes the step in: the actions of this step against the state before it. */
void judge_actions(struct contract *ct, struct books *books, const struct event *ev,
	const struct core_out *out);

/* After it: the call as the core shows it. */
void judge_call(struct contract *ct, const struct call_view *v);

#endif
