/*
 * keeper: live calls outlive the process (E-124). After each step that puts something on record or
 * settles a session it writes the call down: the core's snapshot, what sip/ needs to make the dialogs
 * again, and the facts of the step (app/pledge.h), all or nothing. Only then is anything sent. The next
 * process gives all of it back before it reads its first message, and tells the core which dialogs are
 * there again (EV_RECOVERED), and until when the run before lived. Which calls are kept, and what becomes
 * of them, is the core's business (core/recover.c).
 *
 * Calls that only ring are not kept. What cannot be restored is hung up on all sides, and the ledger
 * closes its conversation at the last that is known.
 */
#ifndef SEGUE_APP_KEEPER_H
#define SEGUE_APP_KEEPER_H

#include "app/config.h"
#include "app/ledger.h"
#include "core/core.h"
#include "sip/sip.h"

struct keeper;

/* The outbox must be open. 0, or an errno after having logged why; *out NULL: calls are not kept. */
int keeper_open(const struct app_config *cfg, struct ledger *ledger, struct core *core,
	struct keeper **out);
void keeper_close(struct keeper *k);
/* The facts of the step go on record next, and then its actions are carried out. */
void keeper_step(struct keeper *k, struct sip *sip, const struct event *ev, const struct core_out *out);
/* The calls that were given back begin with these facts, which go on record next. */
void keeper_began(struct keeper *k, struct sip *sip, const call_id *ids, unsigned n,
	const struct fact *facts, unsigned nfacts);
/* Writes every call down as it stands: this run ends, and leaves them to the next. */
void keeper_all(struct keeper *k, struct sip *sip);

/* From now on it says every second that this run lives. Call after keeper_restore(). 0 or an errno. */
int keeper_start(struct keeper *k, struct loop *loop);
/* Until when the run before is known to have lived, monotonic ms; 0: nobody knows. */
int64_t keeper_seen(const struct keeper *k);

/* Gives back what the last run kept: core and sip then have these calls and dialogs, and nothing has
 * happened yet. Writes their ids, *ids malloc'd for the caller. Returns how many. */
unsigned keeper_restore(struct keeper *k, struct sip *sip, call_id **ids);

#endif
