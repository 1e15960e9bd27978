/*
 * ledger: the way of facts from a step to PostgreSQL, as the runner sees it: the outbox, the thread
 * that ships from it, and the trimming of what has arrived.
 */
#ifndef SEGUE_APP_LEDGER_H
#define SEGUE_APP_LEDGER_H

#include "app/config.h"
#include "app/loop.h"
#include "app/webhooks.h"
#include "core/fact.h"

struct ledger;

struct ledger_status {
	bool shipping; /* a database is configured */
	struct shipper_status shipper;
	uint64_t first, last;	 /* sequence numbers in the outbox */
	uint64_t waiting;	 /* facts not yet in PostgreSQL */
	uint64_t appended, lost; /* since the start; lost: the outbox was full or broken */
};

/* Opens the outbox, creating its directory. 0, or an errno after having logged why. */
int ledger_open(const struct app_config *cfg, struct ledger **out);
/* Starts shipping. 0, or an errno after having logged why. */
int ledger_start(struct ledger *l, const struct app_config *cfg, struct loop *loop);
/* The webhooks; NULL if there are none. */
const struct webhooks *ledger_webhooks(const struct ledger *l);
/* Ships what can be shipped within grace_ms, closes, frees. NULL does nothing. */
void ledger_close(struct ledger *l, unsigned grace_ms);

/* Puts the facts of one step on record, in one transaction. A failure is counted, and logged at
 * most once a minute: no call is dropped for the ledger's sake. */
void ledger_append(struct ledger *l, const struct fact *facts, unsigned n);

/* Calls fn with every fact that is still in the outbox, in order: what the database may not know yet.
 * 0 or an errno (logged). */
int ledger_each(struct ledger *l, void (*fn)(void *arg, const struct fact *f), void *arg);

/* The same with the facts' numbers. */
int ledger_each_seq(
	struct ledger *l, void (*fn)(void *arg, uint64_t seq, const struct fact *f), void *arg);
/* Of the outbox: it outlives the process. */
void ledger_identity(const struct ledger *l, uuid *id);
/* Number of the newest fact. */
uint64_t ledger_newest(const struct ledger *l);

void ledger_status(struct ledger *l, struct ledger_status *out);

#endif
