/*
 * originate: click-to-dial (RFC 5359 section 2.18, by third-party call control as in RFC 3725). Somebody
 * asks in the panel or over the API that a user calls a number: his own phone rings first; once he has
 * it in his hand the number is dialled for him, and from then on it is a call like any that he would
 * have dialled.
 *
 *	his phone		segue			number
 *	     |<-- INVITE, no SDP --|			  |
 *	     |--- 200 (offer) ---->|			  |
 *	     |<-- ACK (ours) ------|-- INVITE (his offer) ->|
 *	     |			   |<- 183 (early media) ---|
 *	     |<-- re-INVITE (183) -|			  |
 *	     |--- 200 ------------>|<------ 200 ----------|
 *
 * That is flow III of RFC 3725 with an answer of ours in the place of a black hole: no offer may wait
 * for as long as somebody rings, and his phone is to name all that it can, so that the two may
 * agree on a codec that we know nothing of.
 */
#include "core/inner.h"
#include "core/verbs.h"

#include <string.h>

static void reply(struct core *c, uint16_t status, const char *text)
{
	struct action *a = act_add(c, ACT_REPLY, ID_NONE);

	a->cmd = c->ev->dial.cmd;
	a->status = status;
	str_set(a->text, text);
}

static void refuse(struct core *c, const struct verdict *v)
{
	const struct ev_dial *e = &c->ev->dial;

	audit(c, NULL, e->asker, e->origin, "dial", e->number, "refused", v->cause);
	reply(c, v->status, v->text);
}

/* The call as it would be if he had dialled: he is its source. */
static struct call *new_call(struct core *c, const struct dir_user *u, const struct target *t)
{
	const struct ev_dial *e = &c->ev->dial;
	struct call *k = call_new(c);

	if (k == NULL)
		return NULL;
	k->state = ORIGINATE;
	k->mono0 = k->since = k->acc_since = c->ev->now;
	k->wall0 = c->ev->wall;
	k->acc_state = IV_RINGING;
	k->conv = core_uuid(c, k);
	k->kind = t->kind == TARGET_EXTERNAL ? CALL_OUTBOUND : CALL_INTERNAL;
	k->target = *t;
	str_set(k->from.number, u->row.number);
	str_set(k->from.name, u->row.name);
	str_set(k->source, u->row.user);
	str_set(k->dialled, e->number);
	return k;
}

void originate(struct core *c)
{
	const struct ev_dial *e = &c->ev->dial;
	struct target t = {.kind = TARGET_NONE}, self;
	struct verdict v = policy_originate(c, &t);
	struct call *k;
	char id[ID_STRLEN];

	if (v.status) {
		refuse(c, &v);
		return;
	}
	k = new_call(c, directory_user(c, e->user), &t);
	if (k == NULL) {
		reply(c, 503, "There is no room for another call");
		return;
	}
	record_open(c, k);
	audit(c, k, e->asker, e->origin, "dial", e->number, "done", "");
	reply(c, 202, id_str(k->id, id));
	if (target_user(c, e->user, &self))
		target_dial(c, k, &self, ID_NONE);
	timer_start(c, k->id, TIMER_STATE, &k->timer, c->cfg.ring_ms);
	c->out->leg = k->nlegs ? k->legs[0]->id : ID_NONE;
	call_run(c, k);
}

/* He has his phone in his hand: from now on he is who called. */
void originate_seat_caller(struct core *c, struct call *k)
{
	struct leg *l = call_role(k, ROLE_TARGET);

	if (l == NULL)
		return;
	l->role = ROLE_KEPT;
	bridge_play_owed(c, l);
	bridge_hold(c, k, l, NULL);
}

void originate_dial_number(struct core *c, struct call *k)
{
	k->status = 0;
	target_dial(c, k, &k->target, ID_NONE);
}

/* His phone shows whom he is going to call, and makes the offer. */
void originate_fill_dial(const struct core *c, const struct call *k, struct leg *l, struct action *a)
{
	str_set(a->dial.caller.number, k->dialled);
	a->dial.answering = c->ev->dial.answering;
	l->oa = OA_ASKED;
}
