/*
 * pledge: facts that are about to be put on record, as bytes that are kept together with what their step
 * made of the calls. If the process ends before they are in the outbox, the next one puts them there: a
 * call and its facts agree whenever that was (E-124).
 */
#ifndef SEGUE_APP_PLEDGE_H
#define SEGUE_APP_PLEDGE_H

#include "app/ledger.h"

struct pledge {
	unsigned char *bytes; /* malloc'd, free() it; used again by the next one */
	size_t len, cap;
};

/* Writes down that these facts come next in this outbox. 0 or ENOMEM. */
int pledge_make(struct pledge *p, const struct ledger *l, const struct fact *facts, unsigned n);

/* Appends the facts of a pledge, if they come next in this outbox: if not, they are in it, or it is another
 * one. Says so in the log if it does. */
void pledge_keep(struct ledger *l, const unsigned char *bytes, size_t len);

#endif
