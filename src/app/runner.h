/*
 * runner: the one place where the world meets the core. It takes events from every side, one at a
 * time, and for each:
 *
 *	give it its time and random bits -> recorder -> core_step()
 *	-> facts to the ledger -> facts to the log -> actions, in order
 *
 * Events that come up while actions are carried out wait in a queue: steps are never nested.
 */
#ifndef SEGUE_APP_RUNNER_H
#define SEGUE_APP_RUNNER_H

#include "app/keeper.h"
#include "app/ledger.h"
#include "app/loop.h"
#include "app/recorder.h"
#include "core/core.h"
#include "sip/sip.h"

struct runner;
struct story;

struct runner_stats {
	uint64_t events, facts, actions, invites, refused; /* refused: INVITEs while draining */
	unsigned calls, timers, queued_max;
	bool draining;
};

/* core, ledger and recorder stay the caller's and must outlive the runner. NULL without memory. */
struct runner *runner_create(struct core *core, struct ledger *ledger, struct recorder *recorder);
/* Calls are written down by it from now on; it stays the caller's. NULL: they are not. */
void runner_keep(struct runner *r, struct keeper *k);
/* Puts on record that this run begins: what an earlier one left open was cut off, except these n calls,
 * which the core and sip have been given back and which now go on (E-124). After runner_start() and
 * before the first event. */
void runner_begin(
	struct runner *r, unsigned node, const char *version, const call_id *ids, unsigned n);
/* Tells the core which dialogs of these calls are there again, and that the run before lived until `seen`
 * (monotonic ms, 0: unknown). As soon as the directory is known: who is to be called back, or asked next, has
 * phones again. */
void runner_go_on(struct runner *r, const call_id *ids, unsigned n, int64_t seen);
/* Ties the loop and the SIP side to it, after which events may come. 0 or an errno (logged). */
int runner_start(struct runner *r, struct loop *loop, struct sip *sip);
/* Puts the media engines of the configuration, if there are any, into the path of the audio. To be
 * called after runner_start() and before the first event. 0 or an errno (logged). */
int runner_anchor(struct runner *r, const struct app_config *cfg);
/* NULL: there are no engines. */
struct anchor *runner_media(struct runner *r);
void runner_destroy(struct runner *r);

/* One event; type, leg or call, and the union are set. */
void runner_emit(struct runner *r, const struct event *ev);

/* One command (EV_TRANSFER, EV_XFER_CANCEL, EV_HANGUP): fn is called exactly once, with the core's
 * answer, unless runner_forget(arg) comes before it. Fills the command's cmd. */
typedef void runner_reply_fn(void *arg, int status, const char *text);
void runner_command(struct runner *r, struct event *ev, runner_reply_fn *fn, void *arg);
void runner_forget(struct runner *r, void *arg);

/* Calls fn with every fact once it is on record, for as long as the runner lives. 0 or ENOMEM. */
typedef void runner_fact_fn(void *arg, const struct fact *f);
int runner_observe(struct runner *r, runner_fact_fn *fn, void *arg);

/* Refuses new calls with 503 and hangs up those that live; done is called once, when they are gone
 * or after grace_ms. */
void runner_drain(struct runner *r, unsigned grace_ms, void (*done)(void *arg), void *arg);

/* Calls fn after each step, when its facts are on record and its actions not yet carried out. NULL
 * ends that. */
typedef void runner_step_fn(void *arg, const struct event *ev, const struct core_out *out);
void runner_watch(struct runner *r, runner_step_fn *fn, void *arg);

/* Who carries out ACT_LOCATE; NULL: nobody, and no EV_LOCATED comes. */
typedef void runner_locate_fn(void *arg, const struct action *a);
void runner_locator(struct runner *r, runner_locate_fn *fn, void *arg);

struct core *runner_core(struct runner *r);
struct sip *runner_sip(struct runner *r);
struct story *runner_story(struct runner *r);
void runner_stats(const struct runner *r, struct runner_stats *out);

#endif
