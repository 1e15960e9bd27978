/*
 * consult: see consult.h. A phone that consults makes a second call, and nothing in it says that the
 * two belong together until a REFER names the one inside the other. Then the legs of the second call
 * move into the first. Their ids stay: the second call remains as an empty shell that leads to the
 * first one until its last leg is gone, so adapters and timers notice nothing.
 */
#include "core/consult.h"

#include "core/presence.h"
#include "core/verbs.h"

static void on_timeline(struct core *c, struct call *k, const char *type, const struct leg *l,
	const char *with)
{
	timeline(c, k, &(struct timeline_note){.type = type, .leg = l,
		.actor = l ? l->user : "", .key1 = "with", .value1 = with});
}

/* ---- within one call ------------------------------------------------------------------------- */

static void talk(struct core *c, struct call *k, struct leg *a, struct leg *b, struct leg *held)
{
	if (a == NULL || b == NULL)
		return;
	bridge_connect(c, k, a, b);
	k->bridge.held = held ? held->id : ID_NONE;
}

void consult_connect(struct core *c, struct call *k)
{
	talk(c, k, owner(k), target(k), kept(k));
}

void consult_aside(struct core *c, struct call *k)
{
	talk(c, k, kept(k), owner(k), target(k));
}

void consult_note(struct core *c, struct call *k)
{
	const struct leg *t = target(k);

	on_timeline(c, k, "consult_answered", owner(k),
		k->xfer.target.kind == TARGET_QUEUE && t ? t->user : target_word(&k->xfer.target));
}

static void mark_semi(struct core *c, struct call *k)
{
	struct fact *f = fact_add(c, k, FACT_TRANSFER_MARKED);

	k->xfer.kind = XFER_SEMI;
	f->transfer_marked.xfer = k->xfer.id;
	str_set(f->transfer_marked.mark, "semi");
}

/* Who was to be consulted is being rung for the kept party from now on. */
void consult_make_semi(struct core *c, struct call *k)
{
	mark_semi(c, k);
	for (unsigned i = 0; i < k->nsegs; i++)
		if (k->segs[i].state != IV_FREE && k->segs[i].consult)
			segment_change(c, k, &k->segs[i]);
}

/* One hung up; the other two talk on. Without the customer they do in a conversation of their own; of a
 * customer for whom somebody was consulted (by command) the conversation is the same, with that one. */
void consult_regroup(struct core *c, struct call *k)
{
	struct leg *a = owner(k), *b = target(k);

	if (a == NULL || b == NULL)
		return;
	if (a->id == k->customer) {
		a->role = ROLE_KEPT;
		verb_run(c, k, PROMOTE);
	} else {
		record_restart(c, k, a, b);
		k->customer = ID_NONE;
		a->role = ROLE_KEPT;
		b->role = ROLE_OWNER;
	}
	bridge_connect(c, k, a, b);
}

/* ---- a second call of the same person -------------------------------------------------------- */

static bool is_held_call(const struct call *k, const struct leg *l)
{
	if (k->state != TALK || k->consult != ID_NONE || k->consult_of != ID_NONE)
		return false;
	if (l->state != LEG_UP || (l->role != ROLE_KEPT && l->role != ROLE_OWNER))
		return false;
	return dir_holds((enum dir)l->will) || k->bridge.state == BRIDGE_HOLD;
}

void consult_find(struct core *c, struct call *k, const char *user)
{
	for (struct leg *l = presence_first(c, user); l; l = l->user_next) {
		struct call *first = call_of(c, l->id);

		if (first == NULL || first == k || !is_held_call(first, l))
			continue;
		first->consult = k->id;
		str_set(first->consulter, user);
		k->consult_of = first->id;
		on_timeline(c, first, "consult_started", l, k->dialled);
		return;
	}
}

/* The user's own leg in the call that his consultation is for. */
static struct leg *consulter(const struct call *first, const struct call *second)
{
	for (unsigned i = 0; i < first->nlegs; i++) {
		struct leg *l = first->legs[i];

		if ((l->role == ROLE_KEPT || l->role == ROLE_OWNER) && str_eq(l->user, second->source))
			return l;
	}
	return NULL;
}

static void unlink_calls(struct call *first, struct call *second)
{
	if (first) {
		first->consult = ID_NONE;
		first->consulting = false;
	}
	if (second)
		second->consult_of = ID_NONE;
}

/* Nobody talks with its caller yet. */
static bool is_beginning(const struct call *k)
{
	return k->state == SETUP || k->state == ANSWERING || k->state == WAIT ||
	       k->state == QUEUE_JOIN;
}

/* A consultation that serves no other call any more is a call like any other from now on (E-018). */
static void set_free(struct core *c, struct call *k, const char *outcome, const char *by)
{
	for (unsigned i = 0; i < k->nlegs; i++) {
		struct leg *l = k->legs[i];
		bool party = l->role == ROLE_KEPT || l->role == ROLE_OWNER;

		if (l->seg != NO_SEG && k->segs[l->seg].consult && l->role == ROLE_TARGET)
			segment_change(c, k, &k->segs[l->seg]);
		else if (l->seg != NO_SEG && k->segs[l->seg].consult)
			segment_turn(c, k, l, outcome, by);
		else if (party && l->seg == NO_SEG && l->id != k->customer)
			segment_open(c, k, l, NULL);
		if (party && !is_beginning(k))
			segment_answered(c, k, l);
	}
	segment_sync(c, k);
}

/* The other one of two calls that belong together; NULL: it is not there, or its id is that of a call which
 * has nothing to do with this one. */
static struct call *still_linked(const struct core *c, const struct call *k, call_id to)
{
	struct call *other = to ? call_of(c, to) : NULL;
	call_id back = other == NULL ? ID_NONE : to == k->consult ? other->consult_of : other->consult;

	return back && call_of(c, back) == k ? other : NULL;
}

void consult_recovered(struct core *c, struct call *k)
{
	if (k->consult && still_linked(c, k, k->consult) == NULL) {
		unlink_calls(k, NULL);
		if (k->open == RECORD_OPEN)
			on_timeline(c, k, "consult_ended", NULL, NULL);
	}
	if (k->consult_of && still_linked(c, k, k->consult_of) == NULL) {
		unlink_calls(NULL, k);
		if (k->open == RECORD_OPEN)
			set_free(c, k, "completed", "system");
	}
}

void consult_part(struct core *c, struct call *k)
{
	struct call *first, *second;

	consult_recovered(c, k); /* it may not have been told yet; what has its id now is another call */
	first = k->consult_of ? call_of(c, k->consult_of) : NULL;
	second = k->consult ? call_of(c, k->consult) : NULL;
	if (first) {
		unlink_calls(first, k);
		set_free(c, k, "completed", "transfer");
	}
	if (second == NULL)
		return;
	unlink_calls(k, second);
	if (k->word == R_DONE) /* it goes on elsewhere, and so does the customer */
		set_free(c, second, "transferred", "transfer");
	else
		set_free(c, second, "customer_left", "customer");
	recording_sync(c, second); /* no step of its own comes for it */
}

/* The consultation is over. It led to nothing, and is on record with the conversation that it was
 * for if that one still waited for it. */
static void consult_over(struct core *c, struct call *first, struct call *second)
{
	struct leg *l = consulter(first, second);
	bool waits = l && (dir_holds((enum dir)l->will) || first->bridge.state == BRIDGE_HOLD);

	unlink_calls(first, second);
	on_timeline(c, first, "consult_ended", l, second->dialled);
	segment_sync(c, first);
	if (waits && c->cfg.consult_belongs && second->open == RECORD_OPEN)
		record_fold(c, second, first);
}

/* It has ended before it was told that the other call did not outlive a restart; that one's id is another
 * call's soon. */
static void forget_lost(const struct core *c, struct call *k)
{
	if (k->consult && still_linked(c, k, k->consult) == NULL)
		unlink_calls(k, NULL);
	if (k->consult_of && still_linked(c, k, k->consult_of) == NULL)
		unlink_calls(NULL, k);
}

void consult_sync(struct core *c, struct call *k)
{
	struct call *first;

	if (k->state == END)
		forget_lost(c, k);
	if (k->state == END && k->consult)
		consult_part(c, k);
	first = k->consult_of ? call_of(c, k->consult_of) : NULL;
	if (first == NULL)
		return;
	if (k->state == END) {
		consult_over(c, first, k);
		return;
	}
	if (k->state == TALK && !first->consulting) {
		first->consulting = true;
		on_timeline(c, first, "consult_answered", consulter(first, k), k->dialled);
	}
	segment_sync(c, first);
}

bool consult_is_left(struct core *c, struct call *k, struct leg *l)
{
	struct call *second = k->consult ? call_of(c, k->consult) : NULL;

	if (second == NULL || k->state != TALK || !str_eq(l->user, second->source))
		return false;
	leg_take_roles(k, l);
	return l->role == ROLE_OWNER;
}

/* ---- hung up in mid-consult ------------------------------------------------------------------ */

static bool is_ringing_call(const struct call *k)
{
	return k->state == SETUP && target(k) != NULL;
}

/* The leg of the one who has hung up is in the event; his other dialog may still be there. */
void consult_ask_onhook(struct core *c, struct call *k)
{
	struct call *second = k->consult ? call_of(c, k->consult) : NULL;
	struct leg *gone = call_leg(k, c->ev->leg), *aide = NULL;
	struct xfer *x = &k->xfer;

	if (uuid_is_nil(&x->id)) {
		*x = (struct xfer){.origin = ORIGIN_SIP, .kind = XFER_CONSULT, .step = STEP_TARGET};
		str_set(x->asker, gone ? gone->user : "");
		str_set(x->recall_user, gone ? gone->user : "");
		x->from_seg = gone ? gone->seg_id : (uuid){{0}};
	}
	k->meet = ID_NONE;
	if (second && (aide = kept(second)) != NULL)
		k->meet = aide->id;
	if (second && aide && (is_ringing_call(second) || second->state == WAIT)) {
		x->target = second->target;
		call_post(k, second->state == WAIT ? MEET_QUEUED : MEET_RINGING);
	} else if (c->cfg.onhook_join && (second == NULL || second->state == TALK)) {
		if (second)
			x->target = second->target;
		call_post(k, MEET_UP);
	} else {
		k->meet = ID_NONE;
		consult_part(c, k);
		call_post(k, ONHOOK);
	}
}

void consult_open_onhook(struct core *c, struct call *k)
{
	if (uuid_is_nil(&k->xfer.id))
		xfer_open_row(c, k);
}

/* ---- two calls that meet --------------------------------------------------------------------- */

static struct verdict deny(uint16_t status, const char *cause, const char *text)
{
	return (struct verdict){status, cause, text};
}

/* Which of two calls holds who must not be lost: what is consulted for, else the one with a customer,
 * else the older. */
static bool keeps_better(const struct call *a, const struct call *b)
{
	bool ca = a->kind != CALL_INTERNAL, cb = b->kind != CALL_INTERNAL;

	if (a->consult == b->id || b->consult == a->id)
		return a->consult == b->id;
	return ca != cb ? ca : a->mono0 < b->mono0;
}

struct call *consult_keeper(struct core *c, struct call *k, struct leg **l)
{
	leg_id named = c->ev->transfer.replaces;
	struct call *other = named ? call_of(c, named) : NULL;
	struct leg *m = other ? call_leg(other, named) : NULL;

	k->meet = named;
	if (m == NULL || other == k || (*l)->state != LEG_UP || other->state == WAIT ||
		!table_admits((enum call_state)other->state) ||
		!(k->state == WAIT || keeps_better(other, k)))
		return k;
	other->meet = (*l)->id;
	*l = m;
	return other;
}

/* The same person, or the same trusted platform that speaks for its phones (E-095). */
static bool same_party(const struct leg *a, const struct leg *b)
{
	if (a->user[0] || b->user[0])
		return str_eq(a->user, b->user);
	return str_eq(a->peer, b->peer);
}

const struct leg *consult_other_side(const struct call *k, const struct leg *l)
{
	if (l == NULL)
		return NULL;
	if (k->state == SETUP)
		return l->role == ROLE_KEPT ? target(k) : NULL;
	if (k->state != TALK && k->state != BACK && k->state != RESUME)
		return NULL;
	return l->role == ROLE_KEPT ? owner(k) : l->role == ROLE_OWNER ? kept(k) : NULL;
}

static void describe_target(struct core *c, const struct call *k, const struct leg *p, struct target *t)
{
	if (k->state == WAIT && target_queue(c, k->wait.queue, t))
		return;
	if (k->state == SETUP || k->state == WAIT) {
		*t = k->target;
		return;
	}
	*t = (struct target){.kind = p->kind, .may_transfer = true};
	str_set(t->name, p->user[0] ? p->user : p->peer);
	str_set(t->number, p->party.number);
	str_set(t->dial, p->party.number);
	str_set(t->peer, p->peer);
}

static struct verdict judge_meeting(const struct call *k, const struct leg *l,
	const struct leg *with, const struct call *other, const struct leg *m)
{
	const struct leg *p = consult_other_side(other, m);

	if (m == l)
		return deny(400, "self", "Replaces names the dialog of the REFER itself"); /* E-091 */
	if (other == k)
		return deny(403, "already_party", "That dialog is in this call already");
	if (!same_party(m, l))
		return deny(403, "not_permitted", "That dialog is somebody else's"); /* E-078, E-095 */
	if (p == NULL && !(other->state == WAIT && m->role == ROLE_KEPT))
		return deny(491, "transfer_running", "That call is in the middle of a change");
	if (p && p->user[0] && str_eq(p->user, with->user))
		return deny(403, "already_party", "The target is on this call already");
	if (l->image || with->image || (p && p->image))
		return deny(488, "media_busy", "A fax is being sent on this call");
	return (struct verdict){0, NULL, NULL};
}

/* Whom the REFER names beside the dialog: for the record, or to be called if no node has it. */
static bool is_known(struct core *c, struct call *k, struct leg *l, const struct leg *with,
	struct target *t)
{
	if (c->cfg.dial_unknown)
		return policy_transfer(c, k, l, with, t).status == 0;
	return target_resolve(c, c->ev->transfer.number, DIALPLAN_USERS, t) == 0;
}

bool consult_dials_instead(const struct core *c)
{
	const struct ev_transfer *e = &c->ev->transfer;

	return c->cfg.dial_unknown && c->cfg.locate_ms == 0 && e->replaces == ID_NONE &&
	       e->replaces_status == 481;
}

/* What was named is not here: it has ended, or another node may have it. */
static struct verdict meet_nobody(struct core *c, struct call *k, struct leg *l,
	const struct leg *with, const struct leg *m)
{
	const struct ev_transfer *e = &c->ev->transfer;
	bool far = m == NULL && e->replaces_status == 481 && c->cfg.locate_ms > 0;
	struct target *t = &k->xfer.target;

	if (far && (l->image || with->image))
		return deny(488, "media_busy", "A fax is being sent on this call");
	k->status = e->replaces_status ? e->replaces_status : m ? 603 : 481;
	k->meet = ID_NONE;
	leg_take_roles(k, l);
	if (!far || !is_known(c, k, l, with, t))
		*t = (struct target){.kind = TARGET_NONE};
	str_set(t->number, e->number);
	call_post(k, far ? MEET_FAR : MEET_NONE);
	return (struct verdict){0, NULL, NULL};
}

struct verdict consult_meet(struct core *c, struct call *k, struct leg *l, struct leg *with)
{
	struct call *other = k->meet ? call_of(c, k->meet) : NULL;
	struct leg *m = other ? call_leg(other, k->meet) : NULL;
	struct verdict v;

	v = policy_ask(c, l); /* who may not ask is not told either what there is */
	if (v.status == 0 && (m == NULL || !leg_is_live(m) || m->role == ROLE_PAST))
		return meet_nobody(c, k, l, with, m);
	if (v.status == 0)
		v = judge_meeting(k, l, with, other, m);
	if (v.status)
		return v;
	leg_take_roles(k, l);
	describe_target(c, other, consult_other_side(other, m), &k->xfer.target);
	if (other->state != WAIT && passing_wanted(c, l, with)) {
		k->meet = ID_NONE; /* not yet */
		call_post(k, PASS_OK);
		return v;
	}
	call_post(k, other->state == WAIT    ? MEET_QUEUED
			     : other->state == SETUP ? MEET_RINGING
						     : MEET_UP);
	return v;
}

/* ---- a dialog that another node has (E-090) --------------------------------------------------- */

void consult_locate(struct core *c, struct call *k)
{
	struct action *a = act_add(c, ACT_LOCATE, k->xfer.refer_leg);

	a->call = k->id;
	a->cmd = k->xfer.cmd;
}

/* The peer that is this node; NULL: none is known, and nobody else is trusted to be it. */
static const struct core_peer *peer_of_node(const struct core *c, uint32_t node)
{
	for (unsigned i = 0; i < c->cfg.npeer && node != 0; i++)
		if (c->cfg.peer[i].policy.node == node)
			return &c->cfg.peer[i];
	return NULL;
}

void consult_located(struct core *c, struct call *k)
{
	const struct ev_located *e = &c->ev->located;
	const struct core_peer *p = peer_of_node(c, e->node);
	struct xfer *x = &k->xfer;
	struct target t = {.kind = TARGET_EXTERNAL, .there = true, .may_transfer = true};

	if ((k->state != FIND && k->state != ALONE_FIND) || x->cmd != e->cmd)
		return; /* the guard was first */
	if (p == NULL || e->replaces[0] == '\0') {
		call_post(k, c->cfg.dial_unknown && x->target.kind != TARGET_NONE ? FOUND : FOUND_NOT);
		return;
	}
	str_set(t.name, p->name);
	str_set(t.peer, p->name);
	/* Replaces says what is meant; a phone that named nobody still needs somebody in the URI. */
	str_set(t.number, x->target.number[0] ? x->target.number : x->recall_user);
	str_set(t.dial, t.number[0] ? t.number : p->name);
	x->target = t;
	call_post(k, FOUND);
}

/* The transferor's second dialog: over at once if it only rang, else when all is settled. */
static void make_aide(struct core *c, struct call *from, struct call *k, struct leg *l)
{
	segment_close(c, from, l, "transferred", "transfer", 0, &k->xfer.id);
	if (l->state == LEG_UP) {
		bridge_forget(c, from, l);
		l->role = ROLE_AIDE;
	} else {
		leg_drop(c, from, l, 487, "", "");
	}
}

/* What it had agreed with the one who leaves does not count any more: it is asked anew, open
 * (E-098). What it asks for at this moment does. */
static void make_target(struct leg *l)
{
	l->role = ROLE_TARGET;
	l->given.rv = 0;
	if (dir_holds((enum dir)l->will) && l->oa != OA_RECV)
		l->will = DIR_SENDRECV;
}

static void move_leg(struct core *c, struct call *from, struct call *to, struct leg *l)
{
	struct call *shell = call_find(c, l->id);

	if (l->seg != NO_SEG)
		segment_move(from, l, to);
	leg_append(to, l);
	if (shell == from)
		from->moved++;
	else if (shell)
		shell->merged_into = to->id;
}

/* All its legs are elsewhere; it only leads there, until the last of them is gone. */
static void make_shell(struct core *c, struct call *from, struct call *to)
{
	timer_stop(c, from->id, TIMER_STATE, &from->timer);
	if (from->state != TALK && from->state != BACK)
		from->bridge = (struct bridge){.state = BRIDGE_NONE}; /* no hold that a command asked for */
	from->state = END;
	from->nlegs = from->nsegs = 0;
	from->nwords = 0;
	from->merged_into = to->id;
	c->live--;
	if (from->moved == 0)
		call_free(c, from);
}

/* Who is being rung is rung for the kept party from now on, whatever the call was that he is rung in. Several
 * phones of one person are one visit. */
static void come_by_transfer(struct core *c, struct call *k)
{
	for (unsigned i = 0; i < k->nlegs; i++) {
		const struct leg *l = k->legs[i];
		struct segment *s = l->seg != NO_SEG ? &k->segs[l->seg] : NULL;

		if (s && l->role == ROLE_TARGET && (s->consult || !uuid_eq(&s->transfer_in, &k->xfer.id)))
			segment_change(c, k, s);
	}
}

void consult_adopt(struct core *c, struct call *k)
{
	struct call *from = k->meet ? call_of(c, k->meet) : NULL;
	struct leg *aide = from && from != k ? call_leg(from, k->meet) : NULL;

	if (aide == NULL)
		return; /* the target is in this call already */
	if (k->xfer.kind == XFER_CONSULT && (from->state == SETUP || from->state == WAIT))
		mark_semi(c, k);
	k->xfer.met = from->id;
	k->xfer.met_as = k->consult == from->id ? MET_CONSULTATION : MET_BY_CHANCE;
	if (k->consult == from->id) {
		on_timeline(c, k, "consult_ended", owner(k), target_word(&k->xfer.target));
		unlink_calls(k, from);
	} else if (from->consult == k->id) {
		unlink_calls(from, k);
	}
	consult_part(c, k);
	consult_part(c, from);
	moh_leave(c, from);
	make_aide(c, from, k, aide);
	for (unsigned i = 0; i < from->nlegs; i++)
		if (from->legs[i]->role != ROLE_PAST && from->legs[i]->role != ROLE_AIDE)
			make_target(from->legs[i]);
	if (from->waiter)
		queue_inherit(c, from, k);
	record_merge(c, from, k);
	for (unsigned i = 0; i < from->nlegs; i++)
		move_leg(c, from, k, from->legs[i]);
	if (k->xfer.kind == XFER_SEMI)
		come_by_transfer(c, k);
	make_shell(c, from, k);
}

/* ---- another phone takes over a leg ---------------------------------------------------------- */

/* A node has REFER from somebody whose call waits here: for everybody else the nodes are one user agent, and
 * what RFC 3891 section 3 says of early dialogs is about others. */
static bool is_taken(const struct call *k, const struct leg *l, const struct ev_invite *e)
{
	return e->source == SOURCE_PEER && !uuid_is_nil(&e->linked) && l->role == ROLE_KEPT && l->user[0] &&
	       l->id != k->customer && table_allows((enum call_state)k->state, TAKEN);
}

/* RFC 3891 section 3: who may, and whether the leg is in a condition to be replaced. */
static uint16_t judge_pickup(struct core *c, struct call *k, const struct leg *l)
{
	const struct ev_invite *e = &c->ev->invite;

	if (l == NULL || l->role == ROLE_MUSIC)
		return 481;
	if (!leg_is_live(l) || l->role == ROLE_PAST || l->role == ROLE_AIDE)
		return 603;
	if (e->sdp.what == SDP_BAD || (e->sdp.what == SDP_OFFER && !e->sdp.usable))
		return 488; /* what cannot be accepted replaces nothing */
	if (e->source == SOURCE_USER && !str_eq(l->user, e->user))
		return 403;
	if (e->early_only && l->state == LEG_UP)
		return 486;
	if (is_taken(k, l, e))
		return 0;
	if (l->state == LEG_NEW || l->state == LEG_EARLY)
		return 481; /* early, and not begun by us */
	return table_allows((enum call_state)k->state, PICKUP) &&
			       (l->role == ROLE_TARGET) == (k->state != TALK)
		       ? 0
		       : 491;
}

uint16_t consult_pickup(struct core *c, struct call **k, enum word *w)
{
	leg_id named = c->ev->invite.replaces;
	struct leg *l;
	uint16_t status;

	*k = call_of(c, named);
	l = *k ? call_leg(*k, named) : NULL;
	status = judge_pickup(c, *k, l);
	*w = status == 0 && is_taken(*k, l, &c->ev->invite) ? TAKEN : PICKUP;
	if (status == 0 && (*k)->state == TALK)
		leg_take_roles(*k, l);
	return status;
}

/* Whoever takes over comes from another node, where his conversation has a name of its own. */
static void link_conversation(struct core *c, struct call *k)
{
	const uuid *to = &c->ev->invite.linked;
	struct fact *f;

	if (c->ev->type != EV_INVITE || uuid_is_nil(to) || k->open != RECORD_OPEN)
		return;
	f = fact_add(c, k, FACT_CONVERSATION_LINKED);
	f->conversation_linked.conv = k->conv;
	f->conversation_linked.to = *to;
}

/* If the new phone's media do not fit, everything stays as it was. */
void consult_open_pickup(struct core *c, struct call *k)
{
	struct leg *o = owner(k);

	link_conversation(c, k);
	consult_part(c, k);
	k->xfer = (struct xfer){.origin = ORIGIN_SIP, .step = STEP_TARGET};
	str_set(k->xfer.recall_user, o ? o->user : "");
}

/* The new caller, for whom those who are being rung ring on: their sessions he is given when they answer. */
void consult_seat_taker(struct core *c, struct call *k)
{
	struct leg *old = kept(k), *l = call_leg(k, c->out->leg);

	if (l == NULL || old == NULL)
		return;
	link_conversation(c, k);
	consult_part(c, k);
	leg_drop(c, k, old, old->state == LEG_UP ? 200 : 487, "transferred", "transfer");
	l->role = ROLE_KEPT;
	k->from = l->party;
	k->wait.speech = SPEECH_NONE; /* it was for the one who has left */
	if (k->state != SETUP)
		return; /* a queue welcomes him */
	act_add(c, ACT_PROGRESS, l->id)->status = 180;
	leg_set_state(c, l, LEG_EARLY);
}

/* Another node says so: what is replaced there has not been answered, and the transferor did not talk. */
void consult_note_ringing(struct core *c, struct call *k)
{
	if (k->xfer.target.there && k->xfer.kind == XFER_CONSULT)
		mark_semi(c, k);
}
