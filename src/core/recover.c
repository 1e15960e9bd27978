/*
 * recover: a call outlives the process (E-124). What is kept of it, and what becomes of it in the next
 * process: transactions are lost, and with them every exchange that was under way; dialogs that were up
 * are there again; who was only being rung is not. The adapters say for each leg which of the two it is
 * (EV_RECOVERED), and from there on rows decide, as they do when a phone is lost.
 */
#include "core/inner.h"

#include <errno.h>

/* ---- what is kept ---------------------------------------------------------------------------- */

bool core_keeps_leg(const struct core *c, leg_id id)
{
	const struct call *k = call_of(c, id);
	const struct leg *l = k ? call_leg(k, id) : NULL;

	return l && l->state >= LEG_UP && l->oa != OA_OWED && l->oa != OA_ASKED;
}

unsigned core_legs(const struct core *c, call_id id, leg_id *legs, unsigned cap)
{
	const struct call *k = call_of(c, id);

	for (unsigned i = 0; k && i < k->nlegs && i < cap; i++)
		legs[i] = k->legs[i]->id;
	return k ? k->nlegs : 0;
}

/* The one who is not to be lost has a dialog that can be kept: a caller who was answered, or a user
 * whose phone is up while the number that he dialled by a click rings. While an ACK is all that is waited
 * for nothing is kept: that is a moment in each call, and would be written down in each call. */
bool core_keeps(const struct core *c, call_id id)
{
	const struct call *k = call_find(c, id);
	const struct leg *kept = k ? call_role(k, ROLE_KEPT) : NULL;

	return kept && k->merged_into == ID_NONE && k->state != END && k->open == RECORD_OPEN &&
	       core_keeps_leg(c, kept->id);
}

bool core_parts(const struct core *c, call_id id)
{
	const struct call *k = call_find(c, id);

	for (unsigned i = 0; k && k->state == END && i < k->nlegs; i++)
		if (core_keeps_leg(c, k->legs[i]->id))
			return true;
	return false;
}

call_id core_call_of(const struct core *c, uint64_t id)
{
	const struct call *k = call_of(c, id);

	return k != NULL ? k->id : ID_NONE;
}

/* The consultation of this call, or the call that it is a consultation for. */
static call_id partner_of(const struct call *k)
{
	return k->consult != ID_NONE ? k->consult : k->consult_of;
}

/* A step without facts changes nothing that is worth it, except that dialogs do (a caller who was answered
 * into a queue has one with the ACK) and sessions (who is held may have another one, of which nobody else is
 * told yet), what somebody was told that it is done, that who has our REFER has said something, and that a
 * phone is being told whom it is with: it may show that one from now on (E-058). */
static bool changes(const struct event *ev, const struct core_out *out)
{
	for (unsigned i = 0; i < out->nactions; i++)
		if (out->actions[i].type == ACT_LEG_FREE || out->actions[i].type == ACT_OFFER_ANSWER ||
			(out->actions[i].type == ACT_OFFER && out->actions[i].offer.party.number[0]))
			return true;
	return out->nfacts > 0 || ev->type == EV_ANSWER || ev->type == EV_ACK || ev->type == EV_OA_DONE ||
	       ev->type == EV_REFER_NOTIFY ||
	       (ev->type >= EV_XFER_CANCEL && ev->type <= EV_RECORD);
}

void core_each_changed(const struct core *c, const struct event *ev, const struct core_out *out,
	void (*fn)(void *arg, call_id id), void *arg)
{
	const struct call *k = call_of(c, ev->leg != ID_NONE ? ev->leg : ev->call);
	call_id partner = k ? partner_of(k) : ID_NONE, last = ID_NONE;

	if (!changes(ev, out))
		return;
	if (k)
		fn(arg, k->id);
	if (partner != ID_NONE)
		fn(arg, partner);
	for (unsigned i = 0; i < out->nfacts; i++) { /* several are about one call, mostly */
		if (out->facts[i].call != ID_NONE && out->facts[i].call != last)
			fn(arg, out->facts[i].call);
		last = out->facts[i].call;
	}
	/* of one that came from another call, that call's place is free now, for one that may be kept */
	for (unsigned i = 0; i < out->nactions; i++)
		if (out->actions[i].type == ACT_LEG_FREE && (k == NULL || out->actions[i].call != k->id))
			fn(arg, out->actions[i].call);
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

/* Offers and answers that were under way are lost on both sides: what was offered to us is forgotten. */
static void forget_exchange(struct core *c, struct leg *l)
{
	if (l->oa == OA_SENT || l->oa == OA_GIVEN)
		bridge_doubt(l); /* whether our offer, or our answer, has arrived nobody knows */
	if (l->oa == OA_RECV) {
		l->rv = l->rv_prev;
		l->will = l->will_prev;
	}
	timer_stop(c, l->id, TIMER_GLARE, &l->timer[TIMER_GLARE]);
	if (l->oa != OA_OWED && l->oa != OA_ASKED)
		l->oa = OA_IDLE;
	l->refused = (struct given){0};
}

/* Nobody plays music or records any more. */
static void forget_leg(struct core *c, struct leg *l)
{
	forget_exchange(c, l);
	l->recording = (uuid){{0}};
	l->hears = HEARS_PEER;
	l->tune = 0;
	l->unheard = l->notify;
	if (l->fate == FATE_KNOWN)
		c->untold++;
	l->fate = FATE_UNTOLD;
}

void core_recovered(struct core *c, call_id id, int64_t now, struct core_out *out)
{
	struct event ev = {.type = EV_TIMER, .now = now, .call = id};
	struct call *k = call_find(c, id);

	core_restored(c, id, now, out);
	if (k == NULL)
		return;
	c->ev = &ev;
	c->out = out;
	for (unsigned i = 0; i < k->nlegs; i++)
		forget_leg(c, k->legs[i]);
	timeline(c, k, &(struct timeline_note){
			       .type = "recovered", .actor = "system", .via = ORIGIN_SYSTEM});
	c->ev = NULL;
	c->out = NULL;
}

unsigned core_refers(const struct core *c, call_id id, uint64_t *cmds, unsigned cap)
{
	const struct call *k = call_find(c, id);
	unsigned n = 0;

	if (k && n < cap && k->xfer.sub != SUB_NONE)
		cmds[n++] = k->xfer.cmd;
	for (unsigned i = 0; k && i < k->nlegs && n < cap; i++)
		if (k->legs[i]->notify)
			cmds[n++] = k->legs[i]->notify;
	return n;
}

void recover_told(struct core *c, struct leg *l)
{
	bool last = l->fate == FATE_UNTOLD && --c->untold == 0;

	l->fate = FATE_KNOWN;
	if (last)
		roster_recovered(c);
}

/* Whether it has arrived nobody knows; a phone that has it refuses the second one. */
static void say_final_again(struct core *c, const struct leg *l)
{
	struct action *a = act_add(c, ACT_NOTIFY, l->id);

	a->status = l->notify_status;
	a->cmd = l->notify;
	a->notify.cmd = l->notify;
	a->notify.final = true;
}

/* Music from a server (RFC 7088): it is called anew, by the rules of any hold. */
static void drop_server(struct core *c, struct call *k, struct leg *m)
{
	struct leg *l = call_leg(k, m->music);

	leg_drop(c, k, m, 200, "completed", "system");
	if (l == NULL || l->music != m->id)
		return;
	l->moh = MOH_WANTED;
	l->music = ID_NONE;
}

/* Its BYE may never have arrived, nor its final NOTIFY, nor what it was given last. */
static void on_dialog_kept(struct core *c, struct call *k, struct leg *l)
{
	if (l->state == LEG_CLOSING) {
		act_add(c, ACT_HANGUP, l->id)->status = l->fail_status;
		return;
	}
	if (l->role == ROLE_MUSIC) {
		drop_server(c, k, l);
		return;
	}
	if (l->notify && l->notify == l->unheard)
		say_final_again(c, l);
	if (l->state != LEG_UP)
		return;
	l->unseen_since = c->ev->recovered.seen;
	if (bridge_peer(k, l) == NULL)
		return;
	bridge_doubt(l); /* and whoever holds it before it has answered can say so, with what it has */
	bridge_unsettle(k);
}

void recover_leg(struct core *c, struct call *k, struct leg *l)
{
	bool untold = l->fate == FATE_UNTOLD;

	recover_told(c, l);
	if (c->ev->recovered.fate == DIALOG_LOST)
		leg_lost(c, k, l);
	else if (untold) /* else it is younger than this process, or was hung up by it */
		on_dialog_kept(c, k, l);
}

/* ---- ends that nobody saw -------------------------------------------------------------------- */

/* An answer of any kind, or a request that only who is in the dialog can send. */
static bool shows_life(const struct event *ev)
{
	switch (ev->type) {
	case EV_OA_DONE:
		return ev->offer.status != 408 && ev->offer.status != 481 && ev->offer.status != 491;
	case EV_OFFER:
	case EV_OFFER_NONE:
	case EV_REFRESH:
	case EV_INFO:
	case EV_TRANSFER:
		return true;
	default:
		return false;
	}
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The newest moment that is on record of the call. */
static int64_t last_entry(const struct call *k)
{
	int64_t at = later(k->acc_since, k->mono0);

	for (unsigned i = 0; i < k->nsegs; i++)
		if (k->segs[i].state != IV_FREE)
			at = later(at, k->segs[i].since);
	return at;
}

int64_t recover_moment(struct call *k, struct leg *l, const struct event *ev)
{
	bool leaves = ev->type == EV_BYE || ev->type == EV_GONE;
	int64_t seen = l->unseen_since;

	if (seen != 0 && (shows_life(ev) || leaves))
		l->unseen_since = 0;
	if (seen == 0 || !leaves || k->state != TALK || !uuid_is_nil(&k->xfer.id) ||
		partner_of(k) != ID_NONE || (l->role != ROLE_KEPT && l->role != ROLE_OWNER))
		return ev->now;
	seen = later(seen, last_entry(k));
	return seen < ev->now ? seen : ev->now;
}
