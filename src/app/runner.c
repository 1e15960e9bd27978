/* runner: see runner.h. */
#include "app/runner.h"

#include "app/anchor.h"
#include "app/story.h"
#include "app/timers.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include <uthash.h>

/* Commands of this process; the names of REFERs are made by sip/ and never come back here. */
#define CMD_BASE (UINT64_C(1) << 62)

struct pending {
	uint64_t cmd;
	runner_reply_fn *fn;
	void *arg;
	UT_hash_handle hh;
};

struct observer {
	runner_fact_fn *fn;
	void *arg;
	struct observer *next;
};

/* Events waiting for their step, oldest at `first`. */
struct queue {
	struct event *ring;
	unsigned first, n, cap, n_max;
};

struct runner {
	struct core *core;
	struct ledger *ledger;
	struct keeper *keeper; /* may be NULL */
	struct recorder *recorder;
	struct story *story;
	struct sip *sip;
	struct loop *loop;
	struct core_out out;
	struct queue queue;
	struct anchor *anchor; /* NULL: no media engines */
	unsigned depth;	       /* of steps and their actions on the stack: 1 at most, or 0; 2 if media
				* that nobody needs any more gives way within a step */
	struct timers *timers;
	int timer_fd;
	int64_t armed; /* when timer_fd fires, -1 never */
	struct loop_watch *timer_watch;
	struct pending *pending;
	struct observer *observers;
	uint64_t last_cmd;
	uint64_t random[64];
	unsigned random_left;
	struct runner_stats stats;
	runner_step_fn *watcher; /* may be NULL */
	void *watcher_arg;
	runner_locate_fn *locate; /* may be NULL */
	void *locate_arg;
	int drain_fd; /* -1 while not draining */
	struct loop_watch *drain_watch;
	void (*drained)(void *arg);
	void *drained_arg;
};

struct runner *runner_create(struct core *core, struct ledger *ledger, struct recorder *recorder)
{
	struct runner *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->core = core;
	r->ledger = ledger;
	r->recorder = recorder;
	r->timer_fd = r->drain_fd = -1;
	r->armed = -1;
	core_out_init(&r->out);
	r->timers = timers_create();
	r->story = story_create();
	if (r->timers != NULL && r->story != NULL)
		return r;
	runner_destroy(r);
	return NULL;
}

void runner_destroy(struct runner *r)
{
	struct pending *p, *next;

	if (r == NULL)
		return;
	HASH_ITER(hh, r->pending, p, next)
	{
		HASH_DEL(r->pending, p);
		free(p);
	}
	while (r->observers != NULL) {
		struct observer *o = r->observers;

		r->observers = o->next;
		free(o);
	}
	anchor_close(r->anchor);
	loop_unwatch(r->timer_watch);
	loop_unwatch(r->drain_watch);
	if (r->timer_fd >= 0)
		close(r->timer_fd);
	if (r->drain_fd >= 0)
		close(r->drain_fd);
	timers_destroy(r->timers);
	story_destroy(r->story);
	core_out_done(&r->out);
	free(r->queue.ring);
	free(r);
}

/* ---- queue --------------------------------------------------------------------------------- */

static int queue_grow(struct queue *q)
{
	unsigned cap = q->cap ? q->cap * 2 : 16;
	struct event *ring = malloc(cap * sizeof(ring[0]));

	if (ring == NULL)
		return ENOMEM;
	for (unsigned i = 0; i < q->n; i++)
		ring[i] = q->ring[(q->first + i) % q->cap];
	free(q->ring);
	q->ring = ring;
	q->first = 0;
	q->cap = cap;
	return 0;
}

static void queue_put(struct queue *q, const struct event *ev)
{
	if (q->n == q->cap && queue_grow(q)) {
		/* Going on without it would leave a call in a state that its phones do not share.
		 */
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "out_of_memory", NULL);
		abort();
	}
	q->ring[(q->first + q->n++) % q->cap] = *ev;
	if (q->n > q->n_max)
		q->n_max = q->n;
}

static void queue_take(struct queue *q, struct event *ev)
{
	*ev = q->ring[q->first];
	q->first = (q->first + 1) % q->cap;
	q->n--;
}

int runner_observe(struct runner *r, runner_fact_fn *fn, void *arg)
{
	struct observer *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return ENOMEM;
	*o = (struct observer){.fn = fn, .arg = arg, .next = r->observers};
	r->observers = o;
	return 0;
}

/* ---- time and chance ----------------------------------------------------------------------- */

static uint64_t random_bits(struct runner *r)
{
	if (r->random_left == 0) {
		ssize_t got = getrandom(r->random, sizeof(r->random), 0);

		r->random_left = got > 0 ? (unsigned)got / sizeof(r->random[0]) : 0;
		if (r->random_left == 0)
			return (uint64_t)loop_wall_us() * UINT64_C(0x9e3779b97f4a7c15);
	}
	return r->random[--r->random_left];
}

static void stamp(struct runner *r, struct event *ev)
{
	ev->now = loop_now_ms();
	ev->wall = loop_wall_us();
	ev->rnd = random_bits(r);
}

/* ---- actions ------------------------------------------------------------------------------- */

static void arm(struct runner *r)
{
	int64_t next = timers_next(r->timers), now;

	if (next < 0 || (r->armed >= 0 && r->armed <= next))
		return; /* an early wake-up finds nothing due, and arms again */
	now = loop_now_ms();
	loop_timer_set(r->timer_fd, next > now ? next - now : 0);
	r->armed = next;
}

static void act_timer(struct runner *r, const struct act_timer *t)
{
	char id[ID_STRLEN];

	if (t->ms < 0) {
		timers_stop(r->timers, t->id, t->kind);
		return;
	}
	if (timers_set(r->timers, t->id, t->kind, t->serial, loop_now_ms() + t->ms))
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){t->id}, "guard_not_started", "guard",
			timer_kind_name(t->kind), "id", id_str(t->id, id), NULL);
	arm(r);
}

static void act_reply(struct runner *r, const struct action *a)
{
	struct pending *p;

	HASH_FIND(hh, r->pending, &a->cmd, sizeof(a->cmd), p);
	if (p == NULL)
		return; /* who asked has gone */
	HASH_DEL(r->pending, p);
	p->fn(p->arg, a->status, a->text);
	free(p);
}

static void debug_action(const struct action *a)
{
	char from[ID_STRLEN], status[8] = "";

	if (log_min() > LOG_LEVEL_DEBUG)
		return;
	if (a->status != 0)
		snprintf(status, sizeof(status), "%u", a->status);
	log_kv(LOG_LEVEL_DEBUG, (struct log_ref){a->leg ? a->leg : a->call}, "action", "type",
		act_name(a->type), "from", a->from ? id_str(a->from, from) : NULL, "status", status,
		"text", a->text, NULL);
}

/* Nobody plays music here; the core may know of a server that does (RFC 7088). */
static void act_without_engine(struct runner *r, const struct action *a)
{
	struct event ev = {.type = EV_UNPLAYED, .leg = a->leg, .call = id_call(a->leg)};

	if (anchor_is_music(a) || anchor_unpressed(a, &ev))
		runner_emit(r, &ev);
	else if (a->type != ACT_MEDIA && a->type != ACT_RECORD)
		anchor_act_without(r->sip, a);
}

static void carry_out(struct runner *r, const struct action *a)
{
	r->stats.actions++;
	debug_action(a);
	switch (a->type) {
	case ACT_TIMER:
		act_timer(r, &a->timer);
		break;
	case ACT_REPLY:
		act_reply(r, a);
		break;
	case ACT_LOCATE:
		if (r->locate != NULL)
			r->locate(r->locate_arg, a);
		break;
	case ACT_CALL_FREE:
		story_forget(r->story, a->call);
		break;
	default:
		if (r->anchor != NULL)
			anchor_act(r->anchor, a);
		else
			act_without_engine(r, a);
	}
}

/* ---- steps --------------------------------------------------------------------------------- */

static void debug_event(const struct event *ev)
{
	if (log_min() <= LOG_LEVEL_DEBUG)
		log_kv(LOG_LEVEL_DEBUG, (struct log_ref){ev->leg ? ev->leg : ev->call}, "event",
			"type", ev_name(ev->type), "timer",
			ev->type == EV_TIMER ? timer_kind_name(ev->timer.kind) : NULL, NULL);
}

static void put_on_record(struct runner *r, const struct event *ev)
{
	const struct core_out *out = &r->out;

	ledger_append(r->ledger, out->facts, out->nfacts);
	r->stats.facts += out->nfacts;
	if (out->nfacts == 0)
		return;
	log_hold();
	for (unsigned i = 0; i < out->nfacts; i++) {
		const struct fact *f = &out->facts[i];
		leg_id leg = ev->type == EV_INVITE ? out->leg : ev->leg;

		story_log(f, leg != ID_NONE && id_call(leg) == f->call ? leg : f->call);
		story_add(r->story, f);
		for (struct observer *o = r->observers; o != NULL; o = o->next)
			o->fn(o->arg, f);
	}
	log_release();
}

static void step(struct runner *r, struct event *ev)
{
	r->stats.events++;
	stamp(r, ev);
	debug_event(ev);
	recorder_add(r->recorder, ev);
	core_step(r->core, ev, &r->out);
	keeper_step(r->keeper, r->sip, ev, &r->out); /* promises the facts: the two are never apart */
	put_on_record(r, ev);
	if (r->watcher != NULL)
		r->watcher(r->watcher_arg, ev, &r->out);
	if (ev->type == EV_INVITE) {
		r->stats.invites++;
		recorder_note_leg(r->recorder, r->out.leg);
		sip_bind(r->sip, ev->invite.handle, r->out.leg);
	}
	if (ev->type == EV_DIAL)
		recorder_note_leg(r->recorder, r->out.leg);
	if (r->anchor != NULL)
		anchor_before(r->anchor, ev);
	for (unsigned i = 0; i < r->out.nactions; i++)
		carry_out(r, &r->out.actions[i]);
	if (r->anchor != NULL)
		anchor_after(r->anchor, ev);
}

static void finish_drain(struct runner *r)
{
	void (*done)(void *arg) = r->drained;

	if (done == NULL)
		return;
	r->drained = NULL;
	done(r->drained_arg);
}

static bool draining(const struct runner *r)
{
	return r->drain_fd >= 0;
}

static void take(struct runner *r, struct event *ev)
{
	if (draining(r) && ev->type == EV_INVITE) {
		r->stats.refused++;
		sip_bind(r->sip, ev->invite.handle, ID_NONE);
		return;
	}
	step(r, ev);
}

/* Between the two, events wait. */
static void turn_begin(void *arg)
{
	struct runner *r = arg;

	r->depth++;
}

static void turn_end(void *arg)
{
	struct runner *r = arg;
	struct event next;

	while (r->depth == 1 && r->queue.n > 0) {
		queue_take(&r->queue, &next);
		take(r, &next);
	}
	if (--r->depth == 0 && draining(r) && core_call_count(r->core) == 0)
		finish_drain(r);
}

void runner_emit(struct runner *r, const struct event *ev)
{
	queue_put(&r->queue, ev);
	turn_begin(r);
	turn_end(r);
}

/* ---- timers -------------------------------------------------------------------------------- */

static void on_timer(void *arg, int events)
{
	struct runner *r = arg;
	struct event ev = {.type = EV_TIMER};
	int64_t now = loop_now_ms();
	uint64_t id;

	loop_timer_ack(r->timer_fd);
	r->armed = -1;
	while (timers_pop(r->timers, now, &id, &ev.timer)) {
		ev.leg = id_legno(id) ? id : ID_NONE;
		ev.call = id_call(id);
		runner_emit(r, &ev);
	}
	arm(r);
}

void runner_keep(struct runner *r, struct keeper *k)
{
	r->keeper = k;
}

/* Before the first message is read: a REFER that had no answer comes again at once. */
static void say_what_was_taken(struct runner *r, call_id id)
{
	uint64_t cmds[8];
	unsigned n = core_refers(r->core, id, cmds, sizeof(cmds) / sizeof(cmds[0]));

	for (unsigned i = 0; i < n; i++)
		sip_refer_taken(r->sip, cmds[i]);
}

/* Its guards run again, and its timeline says what has happened. */
static unsigned bring_back(struct runner *r, call_id id, struct fact *facts)
{
	unsigned n = 0;

	say_what_was_taken(r, id);
	core_recovered(r->core, id, loop_now_ms(), &r->out);
	for (unsigned i = 0; i < r->out.nactions; i++)
		carry_out(r, &r->out.actions[i]);
	for (unsigned i = 0; i < r->out.nfacts; i++) {
		story_log(&r->out.facts[i], id);
		story_add(r->story, &r->out.facts[i]);
		facts[n++] = r->out.facts[i];
	}
	return n;
}

#define RECOVERED_FACTS 4 /* of one call at most */

void runner_begin(
	struct runner *r, unsigned node, const char *version, const call_id *ids, unsigned n)
{
	struct fact *facts = calloc((size_t)n * RECOVERED_FACTS + 1, sizeof(*facts)), *f;
	unsigned nfacts = 0;

	if (facts == NULL) {
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "out_of_memory", NULL);
		abort();
	}
	for (unsigned i = 0; i < n; i++)
		nfacts += bring_back(r, ids[i], facts + nfacts);
	f = &facts[nfacts];
	*f = (struct fact){.type = FACT_STARTED, .at = loop_wall_us(), .started = {.node = node}};
	f->started.kept = (int64_t)nfacts;
	str_set(f->started.version, version);
	if (n > 0)
		keeper_began(r->keeper, r->sip, ids, n, facts, nfacts + 1);
	ledger_append(r->ledger, facts, nfacts + 1);
	free(facts);
}

static void tell_fate(
	struct runner *r, call_id id, leg_id leg, enum dialog_fate fate, int64_t seen)
{
	struct event ev = {.type = EV_RECOVERED, .leg = leg, .call = id};

	ev.recovered.fate = sip_has(r->sip, leg) ? DIALOG_KEPT : DIALOG_LOST;
	ev.recovered.seen = seen;
	if (ev.recovered.fate == fate)
		runner_emit(r, &ev);
}

static void tell_fates(
	struct runner *r, const call_id *ids, unsigned n, enum dialog_fate fate, int64_t seen)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned nlegs = core_legs(r->core, ids[i], NULL, 0);
		leg_id *legs = calloc(nlegs + 1, sizeof(*legs));

		if (legs == NULL) {
			log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "out_of_memory", NULL);
			abort();
		}
		core_legs(r->core, ids[i], legs, nlegs);
		for (unsigned j = 0; j < nlegs; j++)
			tell_fate(r, ids[i], legs[j], fate, seen);
		free(legs);
	}
}

void runner_go_on(struct runner *r, const call_id *ids, unsigned n, int64_t seen)
{
	tell_fates(r, ids, n, DIALOG_LOST, seen);
	tell_fates(r, ids, n, DIALOG_KEPT, seen);
}

int runner_start(struct runner *r, struct loop *loop, struct sip *sip)
{
	r->loop = loop;
	r->sip = sip;
	r->timer_fd = loop_timer_open();
	if (r->timer_fd >= 0)
		r->timer_watch = loop_watch(loop, r->timer_fd, LOOP_IN, on_timer, r);
	if (r->timer_watch != NULL)
		return 0;
	log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "no_timers", "why", strerror(ENOMEM), NULL);
	return ENOMEM;
}

static void on_media_event(void *arg, const struct event *ev)
{
	runner_emit(arg, ev);
}

int runner_anchor(struct runner *r, const struct app_config *cfg)
{
	struct anchor_hooks hooks = {
		.arg = r, .begin = turn_begin, .end = turn_end, .emit = on_media_event};

	if (cfg->media.nengine == 0)
		return 0;
	return anchor_open(cfg, r->loop, r->sip, &hooks, &r->anchor);
}

/* ---- commands ------------------------------------------------------------------------------ */

static void set_cmd(struct event *ev, uint64_t cmd)
{
	if (ev->type == EV_TRANSFER)
		ev->transfer.cmd = cmd;
	else if (ev->type == EV_NOTE)
		ev->note.cmd = cmd;
	else if (ev->type == EV_AGENT)
		ev->agent.cmd = cmd;
	else if (ev->type == EV_DIAL)
		ev->dial.cmd = cmd;
	else
		ev->command.cmd = cmd;
}

void runner_command(struct runner *r, struct event *ev, runner_reply_fn *fn, void *arg)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		fn(arg, 500, "out of memory");
		return;
	}
	p->cmd = CMD_BASE + ++r->last_cmd;
	p->fn = fn;
	p->arg = arg;
	HASH_ADD(hh, r->pending, cmd, sizeof(p->cmd), p);
	set_cmd(ev, p->cmd);
	runner_emit(r, ev);
}

void runner_forget(struct runner *r, void *arg)
{
	struct pending *p, *next;

	HASH_ITER(hh, r->pending, p, next)
	{
		if (p->arg != arg)
			continue;
		HASH_DEL(r->pending, p);
		free(p);
	}
}

/* ---- end ----------------------------------------------------------------------------------- */

static void on_drain_over(void *arg, int events)
{
	struct runner *r = arg;
	char n[16];

	loop_timer_ack(r->drain_fd);
	snprintf(n, sizeof(n), "%u", core_call_count(r->core));
	log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "drain_cut_short", "calls_left", n, NULL);
	finish_drain(r);
}

static void hang_up_all(struct runner *r)
{
	call_id id = core_next_call(r->core, ID_NONE);

	while (id != ID_NONE) {
		call_id next = core_next_call(r->core, id);
		struct event ev = {.type = EV_HANGUP,
			.call = id,
			.command = {.origin = ORIGIN_SYSTEM, .asker = "segued"}};

		runner_emit(r, &ev);
		id = next;
	}
}

void runner_drain(struct runner *r, unsigned grace_ms, void (*done)(void *arg), void *arg)
{
	if (draining(r))
		return;
	r->drained = done;
	r->drained_arg = arg;
	r->drain_fd = loop_timer_open();
	if (r->drain_fd < 0) {
		finish_drain(r);
		return;
	}
	r->drain_watch = loop_watch(r->loop, r->drain_fd, LOOP_IN, on_drain_over, r);
	loop_timer_set(r->drain_fd, grace_ms);
	hang_up_all(r);
	if (core_call_count(r->core) == 0)
		finish_drain(r);
}

void runner_watch(struct runner *r, runner_step_fn *fn, void *arg)
{
	r->watcher = fn;
	r->watcher_arg = arg;
}

void runner_locator(struct runner *r, runner_locate_fn *fn, void *arg)
{
	r->locate = fn;
	r->locate_arg = arg;
}

struct core *runner_core(struct runner *r)
{
	return r->core;
}

struct anchor *runner_media(struct runner *r)
{
	return r->anchor;
}

struct sip *runner_sip(struct runner *r)
{
	return r->sip;
}

struct story *runner_story(struct runner *r)
{
	return r->story;
}

void runner_stats(const struct runner *r, struct runner_stats *out)
{
	*out = r->stats;
	out->calls = core_call_count(r->core);
	out->timers = timers_count(r->timers);
	out->queued_max = r->queue.n_max;
	out->draining = draining(r);
}
