/*
 * core: the door. One event comes in; core.c finds what it is about and hands it to the file that
 * knows (call, leg, directory, transfer), collects what they append to the step's output, and
 * keeps the table of calls. See core.h for the promise, inner.h for the way of an event.
 */
#include "core/consult.h"
#include "core/presence.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

ENUM_DEFINE(call_state, CALL_STATE_LIST)
ENUM_DEFINE(word, WORD_LIST)
ENUM_DEFINE(leg_state, LEG_STATE_LIST)
ENUM_DEFINE(role, ROLE_LIST)
ENUM_DEFINE(oa, OA_LIST)
ENUM_DEFINE(moh, MOH_LIST)
ENUM_DEFINE(interval, INTERVAL_LIST)
ENUM_DEFINE(sub, SUB_LIST)
ENUM_DEFINE(step, STEP_LIST)
ENUM_DEFINE(bridge_state, BRIDGE_LIST)
ENUM_DEFINE(call_kind, CALL_KIND_LIST)

/* ---- the step's output ----------------------------------------------------------------------- */

void core_out_init(struct core_out *out)
{
	memset(out, 0, sizeof(*out));
}

void core_out_done(struct core_out *out)
{
	free(out->actions);
	free(out->facts);
	core_out_init(out);
}

/* Makes room for one more element of an output array. Memory for a step is a precondition of
 * running at all: without it there is no honest way to go on. */
static void *grow(void *array, unsigned *cap, unsigned need, size_t size)
{
	unsigned want = *cap ? *cap * 2 : 16;

	if (need < *cap)
		return array;
	array = realloc(array, want * size);
	if (array == NULL)
		abort();
	*cap = want;
	return array;
}

struct action *act_add(struct core *c, enum act type, leg_id leg)
{
	struct core_out *o = c->out;
	struct action *a;

	o->actions = grow(o->actions, &o->actions_cap, o->nactions, sizeof(*o->actions));
	a = &o->actions[o->nactions++];
	memset(a, 0, sizeof(*a));
	a->type = type;
	a->leg = leg;
	a->call = id_call(leg);
	return a;
}

struct fact *fact_add(struct core *c, struct call *k, enum fact_type type)
{
	struct core_out *o = c->out;
	struct fact *f;

	o->facts = grow(o->facts, &o->facts_cap, o->nfacts, sizeof(*o->facts));
	f = &o->facts[o->nfacts++];
	memset(f, 0, sizeof(*f));
	f->type = type;
	f->call = k ? k->id : ID_NONE;
	f->at = k ? call_stamp(k, c->ev->now) : c->ev->wall;
	return f;
}

/* splitmix64: spreads the event's 64 random bits over as many values as the step needs. */
uint64_t core_random(struct core *c)
{
	uint64_t z = (c->rnd += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uuid core_uuid(struct core *c, const struct call *k)
{
	uint64_t r1 = core_random(c), r2 = core_random(c);

	return uuid_v7(call_stamp(k, c->ev->now), r1, r2);
}

/* One base per conversation: a clock that is set while people talk cannot bend their durations. */
int64_t call_stamp(const struct call *k, int64_t mono)
{
	return k->wall0 + (mono - k->mono0) * 1000;
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void timer_emit(struct core *c, uint64_t id, enum timer_kind kind, uint32_t serial, int64_t ms)
{
	struct action *a = act_add(c, ACT_TIMER, id_legno(id) ? id : ID_NONE);

	a->call = id_call(id);
	a->timer = (struct act_timer){.id = id, .kind = kind, .serial = serial, .ms = ms};
}

void timer_start(struct core *c, uint64_t id, enum timer_kind kind, uint32_t *serial, int64_t ms)
{
	if (++c->serial == 0)
		c->serial = 1;
	*serial = c->serial;
	timer_emit(c, id, kind, *serial, ms);
}

void timer_stop(struct core *c, uint64_t id, enum timer_kind kind, uint32_t *serial)
{
	if (*serial == 0)
		return;
	timer_emit(c, id, kind, *serial, -1);
	*serial = 0;
}

/* ---- create, destroy ------------------------------------------------------------------------- */

struct core *core_create(const struct core_config *cfg, unsigned node)
{
	struct core *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->node = node;
	c->free_slot = UINT32_MAX;
	core_reconfigure(c, cfg);
	return c;
}

void core_destroy(struct core *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->nslots; i++)
		if (c->slots[i].call)
			call_free_memory(c->slots[i].call);
	roster_free(c);
	directory_free(c);
	presence_free(c);
	classes_free(&c->classes);
	free(c->slots);
	free(c);
}

void core_reconfigure(struct core *c, const struct core_config *cfg)
{
	c->cfg = *cfg;
	dialplan_index(&c->cfg);
}

void core_config_default(struct core_config *cfg)
{
	*cfg = (struct core_config){
		.setup_ms = 60000,
		.ring_ms = 20000,
		.recall_ms = 20000,
		.join_ms = 34000,
		.resume_ms = 32000,
		.bye_ms = 2000,
		.notify_ms = 4000,
		.close_ms = 36000, /* within INV-1: 64*T1 + 5 s */
		.queue_ring_ms = 20000,
		.queue_retry_ms = 5000,
		.queue_wait_ms = 1800000,
		.away_after = 3,
		.record_dir = "/var/lib/segue/recordings",
		.ring_hears = HEARS_MUSIC,
		.no_answer_status = 408,
		.ring_busy = true,
		.ring_away = true,
		.ring_unregistered = true,
		.consult_belongs = true,
		.redirect = true,
		.redirect_max = 5,
		.failover_code = {408, 500, 502, 503, 504},
		.nfailover_code = 5,
		.fallback = {[TARGET_NONE] = {.n = 1, .step = {{.kind = FALLBACK_RECALL}}}},
		.recall_prefix = "Recall: ",
		.numbering = {.trunk = "0", .international = "00"},
	};
}

/* ---- the step -------------------------------------------------------------------------------- */

/* Whoever waits for an answer about something that is not there any more gets one. */
static void answer_unknown(struct core *c)
{
	const struct event *ev = c->ev;
	struct action *a;

	switch (ev->type) {
	case EV_OFFER:
	case EV_OFFER_NONE:
		act_add(c, ACT_OFFER_REJECT, ev->leg)->status = 481;
		break;
	case EV_INFO:
		a = act_add(c, ACT_INFO, ID_NONE);
		a->from = ev->leg;
		a->cmd = ev->info.ref;
		a->status = 481;
		break;
	case EV_TRANSFER:
		a = act_add(c, ev->transfer.origin == ORIGIN_REFER ? ACT_REFER_REJECT : ACT_REPLY, ev->leg);
		a->cmd = ev->transfer.cmd;
		a->status = ev->transfer.origin == ORIGIN_REFER ? 481 : 404;
		str_set(a->text, "No such call");
		break;
	case EV_XFER_CANCEL:
	case EV_HANGUP:
	case EV_COMPLETE:
	case EV_SWAP:
	case EV_HOLD:
	case EV_UNHOLD:
	case EV_RESUME:
	case EV_RECORD:
		a = act_add(c, ACT_REPLY, ID_NONE);
		a->cmd = ev->command.cmd;
		a->status = 404;
		str_set(a->text, "No such call");
		break;
	case EV_NOTE:
		a = act_add(c, ACT_REPLY, ID_NONE);
		a->cmd = ev->note.cmd;
		a->status = 404;
		str_set(a->text, "No such call");
		break;
	default:
		break;
	}
}

/* A leg of a call: alive, or the answer for something unknown. */
static void step_leg(struct core *c, uint64_t id)
{
	struct call *k = call_of(c, id);
	struct leg *l = k ? call_leg(k, id) : NULL;
	const struct event *now = c->ev;
	struct event then;
	call_id call;

	if (l == NULL) {
		answer_unknown(c);
		return;
	}
	call = k->id;
	then = *c->ev;
	then.now = recover_moment(k, l, c->ev);
	c->late = then.now < now->now;
	if (c->late)
		c->ev = &then;
	leg_event(c, k, l);
	if ((k = call_of(c, call)) != NULL) /* the event may have merged it into another */
		call_run(c, k);
	c->ev = now;
	c->late = false;
}

static void step_timer(struct core *c)
{
	const struct event *ev = c->ev;
	struct call *k;

	if (ev->leg) {
		step_leg(c, ev->leg);
		return;
	}
	if (ev->timer.kind == TIMER_AGENT) {
		agent_timer(c);
		return;
	}
	k = call_find(c, ev->call);
	if (k && ev->timer.kind == TIMER_QUEUE && k->wait.timer && k->wait.timer == ev->timer.serial) {
		k->wait.timer = 0;
		call_post(k, Q_TIME);
		call_run(c, k);
		return;
	}
	if (k && ev->timer.kind == TIMER_PLACE && k->wait.place_timer &&
		k->wait.place_timer == ev->timer.serial) {
		k->wait.place_timer = 0;
		queue_place_due(c, k);
		call_run(c, k);
		return;
	}
	if (k == NULL || ev->timer.kind != TIMER_STATE || k->timer != ev->timer.serial || k->timer == 0)
		return;
	k->timer = 0;
	call_post(k, GUARD);
	call_run(c, k);
}

static void step_command(struct core *c)
{
	struct call *k = call_of(c, c->ev->leg ? c->ev->leg : c->ev->call);

	if (k == NULL) {
		answer_unknown(c);
		return;
	}
	call_command(c, k);
	call_run(c, k);
}

static void step_located(struct core *c)
{
	struct call *k = call_of(c, c->ev->call);

	if (k == NULL)
		return;
	consult_located(c, k);
	call_run(c, k);
}

static void step_audit(struct core *c)
{
	const struct ev_audit *e = &c->ev->audit;

	audit(c, NULL, e->who, e->via == ORIGIN_SIP ? ORIGIN_SYSTEM : e->via, e->action,
		e->object, "refused", e->why);
}

/* A leg that has moved acts for the call in which it is now. */
void core_name_calls(const struct core *c, struct core_out *out)
{
	for (unsigned i = 0; i < out->nactions; i++) {
		struct action *a = &out->actions[i];
		const struct call *k = a->leg ? call_of(c, a->leg) : NULL;

		if (k)
			a->call = k->id;
	}
}

void core_step(struct core *c, const struct event *ev, struct core_out *out)
{
	out->nactions = out->nfacts = 0;
	out->leg = ID_NONE;
	c->ev = ev;
	c->out = out;
	c->rnd = ev->rnd;
	c->acd.now = ev->now;
	switch (ev->type) {
	case EV_INVITE:
		call_invite(c);
		break;
	case EV_TRANSFER:
		if (ev->transfer.origin == ORIGIN_REFER)
			step_leg(c, ev->leg);
		else
			step_command(c);
		break;
	case EV_DIAL:
		originate(c);
		break;
	case EV_XFER_CANCEL:
	case EV_HANGUP:
	case EV_COMPLETE:
	case EV_SWAP:
	case EV_HOLD:
	case EV_UNHOLD:
	case EV_RESUME:
	case EV_NOTE:
	case EV_RECORD:
		step_command(c);
		break;
	case EV_LOCATED:
		step_located(c);
		break;
	case EV_TIMER:
		step_timer(c);
		break;
	case EV_DIR_USER:
	case EV_DIR_IVR:
	case EV_CONTACTS:
		directory_event(c);
		break;
	case EV_DIR_CLASS:
		classes_change(&c->classes, &ev->class);
		break;
	case EV_DIR_QUEUE:
	case EV_DIR_MEMBER:
	case EV_DIR_SKILL:
	case EV_DIR_NEED:
	case EV_DIR_HOURS:
		roster_event(c);
		break;
	case EV_AGENT:
	case EV_AGENT_REACH:
		agent_event(c);
		break;
	case EV_AUDIT:
		step_audit(c);
		break;
	case EV_CONFIG:
		roster_reconfigured(c);
		break;
	default:
		step_leg(c, ev->leg);
		break;
	}
	acd_run(c);
	core_name_calls(c, out);
	c->ev = NULL;
	c->out = NULL;
}
