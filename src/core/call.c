/*
 * call: owns legs, one bridge and at most one running transfer; takes in new calls and commands,
 * and runs the words of a step through the table until nothing moves any more.
 */
#include "core/consult.h"
#include "core/presence.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEGS_FIRST 4
#define SEGS_FIRST 2

/* ---- slots ----------------------------------------------------------------------------------- */

static bool slots_grow(struct core *c)
{
	uint32_t cap = c->slots_cap ? c->slots_cap * 2 : 64;
	struct slot *s;

	if (c->nslots < c->slots_cap)
		return true;
	if (cap > ID_SLOTS_MAX)
		cap = ID_SLOTS_MAX;
	if (c->nslots == cap || (s = realloc(c->slots, cap * sizeof(*s))) == NULL)
		return false;
	c->slots = s;
	c->slots_cap = cap;
	return true;
}

static bool slot_take(struct core *c, uint32_t *index)
{
	if (c->free_slot != UINT32_MAX) {
		*index = c->free_slot;
		c->free_slot = c->slots[*index].next_free;
	} else if (slots_grow(c)) {
		*index = c->nslots++;
		c->slots[*index].gen = c->cfg.first_gen;
	} else {
		return false;
	}
	if ((++c->slots[*index].gen & ((1u << ID_GEN_BITS) - 1)) == 0)
		c->slots[*index].gen = 1;
	return true;
}

struct call *call_new(struct core *c)
{
	struct call *k = calloc(1, sizeof(*k));
	uint32_t i;

	if (k == NULL || !slot_take(c, &i)) {
		free(k);
		return NULL;
	}
	k->wait.seg = NO_SEG;
	k->id = id_make_call(c->node, i, c->slots[i].gen);
	c->slots[i].call = k;
	c->live++;
	return k;
}

struct call *call_find(const struct core *c, uint64_t id)
{
	uint32_t i = id_slot(id);
	struct call *k = i < c->nslots ? c->slots[i].call : NULL;

	return k && k->id == id_call(id) ? k : NULL;
}

struct call *call_of(const struct core *c, uint64_t id)
{
	struct call *k = call_find(c, id);

	while (k && k->merged_into != ID_NONE)
		k = call_find(c, k->merged_into);
	return k;
}

void call_free_memory(struct call *k)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		free(k->legs[i]);
	free(k->legs);
	free(k->segs);
	free(k->waiter);
	free(k);
}

void call_free(struct core *c, struct call *k)
{
	struct slot *s = &c->slots[id_slot(k->id)];

	timer_stop(c, k->id, TIMER_STATE, &k->timer);
	act_add(c, ACT_CALL_FREE, ID_NONE)->call = k->id;
	s->call = NULL;
	s->next_free = c->free_slot;
	c->free_slot = id_slot(k->id);
	if (k->merged_into == ID_NONE)
		c->live--;
	call_free_memory(k);
}

/* ---- legs of a call -------------------------------------------------------------------------- */

struct leg *call_leg(const struct call *k, leg_id id)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i]->id == id)
			return k->legs[i];
	return NULL;
}

struct leg *call_role(const struct call *k, enum role role)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i]->role == role)
			return k->legs[i];
	return NULL;
}

/* ---- the step -------------------------------------------------------------------------------- */

void call_post(struct call *k, enum word w)
{
	assert(k->nwords < WORDS_MAX);
	k->words[k->nwords++] = (uint8_t)w;
}

void call_set_state(struct core *c, struct call *k, enum call_state next)
{
	if (k->state == next)
		return;
	k->state = (uint8_t)next;
	k->since = c->ev->now;
}

static enum word take_word(struct call *k)
{
	enum word w = k->words[0];

	memmove(k->words, k->words + 1, --k->nwords);
	return w;
}

/* The transferor has the caller back when its media is settled and it holds no longer (E-008), which
 * may be at once: many phones send REFER without a hold. */
static void look_for_resume(struct call *k)
{
	struct leg *owner = call_role(k, ROLE_OWNER);

	if (k->state == RESUME && owner && k->bridge.state == BRIDGE_SETTLED &&
		!dir_holds(owner->will))
		call_post(k, RESUMED);
}

/* The transferor's second dialog has no purpose any more once its transfer is over. */
static void release_aide(struct core *c, struct call *k)
{
	struct leg *l = call_role(k, ROLE_AIDE);

	if (l && k->xfer.step != STEP_TARGET) {
		leg_part(c, k, l); /* somebody else is asked now: who was to be reached is not */
		return;
	}
	if (l && k->state != RING && k->state != JOIN && k->state != ALONE &&
		k->state != ALONE_JOIN && k->state != FIND && k->state != ALONE_FIND)
		leg_part(c, k, l);
}

/* Click-to-dial: of several that rang one is left, and it plays something. Who calls hears that now. */
static void look_for_early(struct call *k)
{
	struct leg *l = k->state == SETUP ? call_role(k, ROLE_KEPT) : NULL, *t = NULL;

	if (l == NULL || l->state != LEG_UP || k->bridge.state == BRIDGE_EARLY)
		return;
	for (unsigned i = 0; i < k->nlegs; i++) {
		if (k->legs[i]->role != ROLE_TARGET)
			continue;
		if (t)
			return; /* nobody could say whose it is */
		t = k->legs[i];
	}
	if (t && t->rv != 0)
		bridge_hear(k, l, t);
}

void call_run(struct core *c, struct call *k)
{
	do {
		while (k->nwords)
			table_step(c, k, take_word(k));
		look_for_early(k);
		while (bridge_run(c, k))
			;
		if (k->nwords == 0)
			look_for_resume(k);
	} while (k->nwords);
	ears_sync(c, k);
	release_aide(c, k);
	moh_sync(c, k);
	segment_sync(c, k);
	recording_sync(c, k);
	consult_sync(c, k);
	if (k->state == END && k->open == RECORD_OPEN)
		record_close(c, k, k->ended_by[0] ? k->ended_by : "system");
	if (k->state == END && k->nlegs == 0)
		call_free(c, k);
}

/* ---- a new call ------------------------------------------------------------------------------ */

static struct leg *caller_leg(struct core *c, struct call *k, const struct ev_invite *e,
	enum role role)
{
	struct leg *l = leg_add(c, k);

	l->state = LEG_NEW;
	l->role = (uint8_t)role;
	l->source = (uint8_t)e->source;
	l->kind = e->source == SOURCE_USER ? TARGET_USER : TARGET_EXTERNAL;
	l->rel_required = e->rel_required;
	l->immediate = e->immediate;
	l->bye = (uint8_t)e->bye;
	l->may_refer = e->may_refer;
	l->party = e->from;
	presence_add(c, l, e->user);
	str_set(l->peer, e->peer);
	l->oa = e->sdp.what == SDP_OFFER ? OA_RECV : OA_RECV_NONE;
	if (e->sdp.what == SDP_OFFER) {
		l->rv = l->rv_top = 1;
		l->will = (uint8_t)e->sdp.dir;
		l->image = e->sdp.image;
	}
	c->out->leg = l->id;
	return l;
}

/* Who of the two is the customer decides what is on record about whom (records.md). */
static enum call_kind kind_of(const struct ev_invite *e, const struct target *t, int err)
{
	if (e->source == SOURCE_PEER)
		return CALL_INBOUND;
	return err == 0 && t->kind == TARGET_EXTERNAL ? CALL_OUTBOUND : CALL_INTERNAL;
}

static uint16_t status_of_resolve(int err)
{
	return err == 0 ? 0 : err == EACCES ? 403 : 404;
}

/* Who is called, and whether this caller may: 0 or an errno as of target_resolve(). Calls between
 * peers are the dial plan's business alone. */
static int find_target(struct core *c, struct call *k)
{
	const struct ev_invite *e = &c->ev->invite;
	bool user = e->source == SOURCE_USER;
	int err = target_resolve(c, e->number, user ? DIALPLAN_USERS : e->peer, &k->target);
	const char *denied;

	if (err || !user)
		return err;
	denied = policy_denied_class(c, directory_user(c, e->user), &k->target);
	if (denied == NULL)
		return 0;
	audit(c, k, e->user, ORIGIN_SIP, "invite", e->number, "refused", denied);
	return EACCES;
}

/* Another phone takes over a leg of a call that exists (RFC 3891, E-096). */
static void pick_up(struct core *c, struct call *k, enum word w)
{
	struct leg *l = caller_leg(c, k, &c->ev->invite, ROLE_TARGET);

	segment_open(c, k, l, uuid_is_nil(&k->xfer.id) ? NULL : &k->xfer.id);
	call_post(k, w);
	call_run(c, k);
}

/* An INVITE that an adapter has authenticated: route it and ring, or say why not. */
void call_invite(struct core *c)
{
	const struct ev_invite *e = &c->ev->invite;
	struct call *k = NULL;
	enum word w = PICKUP;
	uint16_t refused = 0;
	char text[TEXT_MAX];
	struct leg *l;
	int err;

	if (e->replaces != ID_NONE && (refused = consult_pickup(c, &k, &w)) == 0) {
		pick_up(c, k, w);
		return;
	}
	k = call_new(c);
	if (k == NULL)
		return; /* full: the runner sees no leg and answers 503 */
	k->mono0 = k->since = k->acc_since = c->ev->now;
	k->wall0 = c->ev->wall;
	k->acc_state = IV_RINGING;
	k->conv = core_uuid(c, k);
	k->from = e->from;
	str_set(k->source, e->source == SOURCE_USER ? e->user : e->peer);
	str_set(k->dialled, e->number);
	if (agent_code(c, text, sizeof(text))) {
		l = caller_leg(c, k, e, ROLE_KEPT);
		leg_refuse(c, k, l, 480, text); /* no call, and no conversation */
		call_set_state(c, k, END);
		return;
	}
	err = find_target(c, k);
	if (e->source == SOURCE_USER && err == 0)
		consult_find(c, k, e->user);
	k->kind = (uint8_t)(k->consult_of ? CALL_INTERNAL : kind_of(e, &k->target, err));
	l = caller_leg(c, k, e, ROLE_KEPT);
	k->customer = k->kind == CALL_INBOUND ? l->id : ID_NONE;
	record_open(c, k);
	if (k->kind != CALL_INBOUND && k->consult_of == ID_NONE)
		segment_open(c, k, l, NULL);
	if (refused) {
		if (refused == 403)
			audit(c, k, e->user, ORIGIN_SIP, "replace", e->number, "refused",
				"not_permitted");
		k->status = refused;
		call_post(k, T_REFUSED);
	} else if (e->sdp.what == SDP_BAD || (e->sdp.what == SDP_OFFER && !e->sdp.usable)) {
		k->status = 488;
		call_post(k, T_REFUSED);
	} else if ((k->status = status_of_resolve(err)) != 0) {
		call_post(k, T_REFUSED);
	} else {
		timer_start(c, k->id, TIMER_STATE, &k->timer, c->cfg.setup_ms);
		target_dial(c, k, &k->target, ID_NONE);
	}
	call_run(c, k);
}

/* ---- commands -------------------------------------------------------------------------------- */

/* The party that a command speaks for: the agent of the call, or the leg that it names. */
struct leg *call_speaker(struct core *c, struct call *k)
{
	struct leg *kept = call_role(k, ROLE_KEPT), *owner = call_role(k, ROLE_OWNER);

	if (c->ev->leg)
		return call_leg(k, c->ev->leg);
	if (owner && owner->id == k->customer)
		return kept;
	return owner ? owner : kept;
}

static enum word word_of_command(enum ev type)
{
	switch (type) {
	case EV_COMPLETE:
		return COMPLETE_REQ;
	case EV_SWAP:
		return SWAP_REQ;
	case EV_HOLD:
		return HOLD_REQ;
	case EV_UNHOLD:
		return UNHOLD_REQ;
	case EV_RESUME:
		return XFER_RESUME;
	default:
		return XFER_CANCEL;
	}
}

/* A remark for the record. It changes nothing, so no table is asked. */
static void note(struct core *c, struct call *k)
{
	const struct ev_note *e = &c->ev->note;
	struct action *a = act_add(c, ACT_REPLY, ID_NONE);
	struct fact *f;

	a->cmd = e->cmd;
	a->status = k->open == RECORD_OPEN ? 200 : 409;
	str_set(a->text, k->open == RECORD_OPEN ? "Done" : "The conversation is closed");
	if (k->open != RECORD_OPEN)
		return;
	f = fact_add(c, k, FACT_NOTE);
	f->note.note = e->note;
	f->note.conv = k->conv;
	f->note.part = e->part;
	str_set(f->note.author, e->asker);
	str_set(f->note.text, e->text);
	if (e->part == 0)
		timeline(c, k, &(struct timeline_note){.type = "note", .actor = e->asker,
			.via = e->origin, .key1 = "text", .value1 = e->text});
}

void call_command(struct core *c, struct call *k)
{
	switch (c->ev->type) {
	case EV_TRANSFER:
		transfer_request(c, k, call_speaker(c, k));
		break;
	case EV_NOTE:
		note(c, k);
		break;
	case EV_RECORD:
		recording_command(c, k);
		break;
	case EV_HANGUP:
		str_set(k->ended_by, "command");
		call_post(k, HANGUP_REQ);
		break;
	default:
		call_post(k, word_of_command(c->ev->type));
		break;
	}
}
