/*
 * leg: one SIP dialog seen from above. Takes the events of the dialog in, absorbs what is late or
 * doubled, and tells the call in words of the table what its party did. A leg outlives its role: a
 * transferor is released by the table and then ends here in its own time (E-003, E-005).
 */
#include "core/consult.h"
#include "core/presence.h"

#include <stdlib.h>
#include <string.h>

void leg_append(struct call *k, struct leg *l)
{
	if (k->nlegs == k->legs_cap) {
		k->legs_cap = k->legs_cap ? (uint16_t)(k->legs_cap * 2) : 2;
		k->legs = realloc(k->legs, k->legs_cap * sizeof(*k->legs));
		if (k->legs == NULL)
			abort(); /* as in core.c: no honest way to go on without memory */
	}
	k->legs[k->nlegs++] = l;
}

struct leg *leg_add(struct core *c, struct call *k)
{
	struct leg *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	if (++k->legno == 0)
		k->legno = 1;
	l->id = id_make_leg(k->id, k->legno);
	l->since = c->ev->now;
	l->will = DIR_SENDRECV;
	l->seg = NO_SEG;
	leg_append(k, l);
	return l;
}

void leg_set_state(struct core *c, struct leg *l, enum leg_state next)
{
	if (l->state == next)
		return;
	l->state = (uint8_t)next;
	l->since = c->ev->now;
	agent_touch(c, l->user);
}

bool leg_is_live(const struct leg *l)
{
	return l->state < LEG_NOTIFYING;
}

/* The call in which a leg that has moved began is needed only to lead to it. */
static void leave_shell(struct core *c, const struct call *k, const struct leg *l)
{
	struct call *shell = id_call(l->id) == k->id ? NULL : call_find(c, l->id);

	if (shell && --shell->moved == 0)
		call_free(c, shell);
}

void leg_free(struct core *c, struct call *k, struct leg *l)
{
	unsigned i;

	for (int t = 0; t < timer_kind_count_; t++)
		timer_stop(c, l->id, (enum timer_kind)t, &l->timer[t]);
	recording_end(c, k, l, "end");
	recover_told(c, l);
	act_add(c, ACT_LEG_FREE, l->id)->call = k->id; /* its own call may only have led here, and goes */
	presence_remove(c, l);
	for (i = 0; k->legs[i] != l; i++)
		;
	memmove(&k->legs[i], &k->legs[i + 1], (--k->nlegs - i) * sizeof(*k->legs));
	leave_shell(c, k, l);
	free(l);
}

/* ---- the ways out ---------------------------------------------------------------------------- */

/* From here on only CLOSED matters; a guard waits for it. */
static void closing(struct core *c, struct call *k, struct leg *l)
{
	agent_leaves(c, k, l);
	recover_told(c, l);
	l->role = ROLE_PAST;
	bridge_forget(c, k, l);
	timer_stop(c, l->id, TIMER_PART, &l->timer[TIMER_PART]);
	timer_stop(c, l->id, TIMER_GLARE, &l->timer[TIMER_GLARE]);
	timer_stop(c, l->id, TIMER_MUSIC, &l->timer[TIMER_MUSIC]);
	leg_set_state(c, l, LEG_CLOSING);
	timer_start(c, l->id, TIMER_CLOSE, &l->timer[TIMER_CLOSE], c->cfg.close_ms);
}

/* A request of the peer that waits for our answer is not left hanging when its leg ends. */
static void refuse_pending_offer(struct core *c, struct leg *l)
{
	if ((l->oa != OA_RECV && l->oa != OA_RECV_NONE) || l->state < LEG_UP)
		return;
	act_add(c, ACT_OFFER_REJECT, l->id)->status = 487;
	l->oa = OA_IDLE;
}

int64_t leg_bye_ms(const struct core *c, const struct leg *l)
{
	return l->bye == BYE_NOW ? 0 : c->cfg.bye_ms;
}

/* Out of the conversation, and its dialog lives on for a moment. */
static void let_go(struct core *c, struct call *k, struct leg *l)
{
	enum leg_state next = l->notify ? LEG_NOTIFYING : LEG_PARTING;

	refuse_pending_offer(c, l);
	agent_leaves(c, k, l);
	l->role = ROLE_PAST;
	bridge_forget(c, k, l);
	timer_stop(c, l->id, TIMER_GLARE, &l->timer[TIMER_GLARE]);
	if (l->oa == OA_GLARE)
		l->oa = OA_IDLE;
	leg_set_state(c, l, next);
	timer_start(c, l->id, TIMER_PART, &l->timer[TIMER_PART],
		next == LEG_NOTIFYING ? c->cfg.notify_ms : leg_bye_ms(c, l));
}

/* The network's cause of the end that the present event is (RFC 3326, R-061); 0: none. */
static uint16_t told_cause(const struct core *c, const struct call *k, uint16_t status)
{
	if (call_of(c, c->ev->leg) != k)
		return 0; /* another call's event has made an agent free or busy */
	switch (c->ev->type) {
	case EV_BYE:
	case EV_GONE:
		return c->ev->reject.q850;
	case EV_REJECT: /* of several refusals one is passed on */
		return c->ev->reject.status == status ? c->ev->reject.q850 : 0;
	default:
		return 0;
	}
}

void leg_drop(struct core *c, struct call *k, struct leg *l, uint16_t status, const char *outcome,
	const char *by)
{
	struct action *a;

	if (l->state == LEG_CLOSING)
		return;
	segment_close(c, k, l, outcome, by, status, NULL);
	if (l->state == LEG_UP && l->notify) {
		let_go(c, k, l); /* no BYE overtakes the final NOTIFY (E-005, R-045) */
		return;
	}
	refuse_pending_offer(c, l);
	a = act_add(c, l->state == LEG_NEW || l->state == LEG_EARLY ? ACT_REJECT : ACT_HANGUP, l->id);
	a->status = status;
	a->q850 = told_cause(c, k, status);
	closing(c, k, l);
}

void leg_refuse(struct core *c, struct call *k, struct leg *l, uint16_t status, const char *text)
{
	struct action *a = act_add(c, ACT_REJECT, l->id);

	a->status = status;
	str_set(a->text, text);
	closing(c, k, l);
}

/* The transferor is done: its phone hangs up by itself, or is hung up after T_bye, never before its
 * final NOTIFY is answered. */
void leg_part(struct core *c, struct call *k, struct leg *l)
{
	const struct xfer *x = &k->xfer;
	/* otherwise the call ended while the target rang */
	bool moved = k->word == SETTLED || k->word == Q_IN || k->word == COMPLETE_REQ ||
		     k->word == R_DONE || k->word == MEET_QUEUED;

	segment_close(c, k, l, moved ? "transferred" : "completed",
		moved ? "transfer" : k->ended_by, 0, moved ? &x->id : NULL);
	if (x->refer_leg == l->id)
		let_go(c, k, l);
	else
		leg_drop(c, k, l, moved ? 200 : 0, "", "");
}

/* The sender of a request becomes the owner, the other side is kept: either may transfer. */
void leg_take_roles(struct call *k, struct leg *transferor)
{
	struct leg *o = call_role(k, ROLE_OWNER);

	if (transferor->role != ROLE_KEPT || o == NULL)
		return;
	transferor->role = ROLE_OWNER;
	o->role = ROLE_KEPT;
}

/* ---- those being rung ------------------------------------------------------------------------ */

/* Which of two refusals says more about why (RFC 3261 section 16.7 step 6, in spirit). */
static uint16_t better_status(uint16_t a, uint16_t b)
{
	static const uint16_t telling[] = {600, 603, 604, 606, 486, 488, 403, 404, 401, 407};

	for (unsigned i = 0; i < sizeof(telling) / sizeof(telling[0]); i++) {
		if (a == telling[i])
			return a;
		if (b == telling[i])
			return b;
	}
	return b ? b : a;
}

static bool others_ring(const struct call *k)
{
	return call_role(k, ROLE_TARGET) != NULL;
}

/* Another phone of the same person, if one rings. */
static struct leg *sibling(const struct call *k, const struct leg *l)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i]->role == ROLE_TARGET &&
			(k->waiter == NULL || str_eq(k->legs[i]->user, l->user)))
			return k->legs[i];
	return NULL;
}

/* A global refusal speaks for all of a person's phones (RFC 3261 section 21.6), and in a queue for
 * no other agent. */
static void drop_siblings(struct core *c, struct call *k, const struct leg *l, uint16_t status)
{
	struct leg *s;

	while (status >= 600 && (s = sibling(k, l)) != NULL)
		leg_drop(c, k, s, status, "declined", "self");
}

static const char *outcome_of_status(uint16_t status)
{
	switch (status) {
	case 486:
	case 600:
		return "busy";
	case 603:
	case 403:
		return "declined";
	case 408:
		return "no_answer";
	case 488:
	case 606:
		return "media_incompatible";
	default:
		return "unreachable";
	}
}

/* One of those being rung says no; the last one speaks for the target. */
static void refused(struct core *c, struct call *k, struct leg *l, uint16_t status)
{
	if (l->role == ROLE_MUSIC) { /* nobody was rung: it plays, or it does not */
		closing(c, k, l);
		return;
	}
	segment_close(c, k, l, outcome_of_status(status), "self", status, NULL);
	closing(c, k, l);
	k->status = better_status(k->status, status);
	drop_siblings(c, k, l, status);
	queue_offer_failed(c, k, l, status);
	if (!others_ring(k))
		call_post(k, T_REFUSED);
}

/* It answered with media that nobody can use: hang up on it, count it as a refusal (E-033). */
static void refuse_answer(struct core *c, struct call *k, struct leg *l)
{
	act_add(c, ACT_HANGUP, l->id)->status = 488;
	refused(c, k, l, 488);
}

/* This user redirects, or is a party of the call already. */
static bool is_here(const struct call *k, const struct leg *l, const char *user)
{
	const struct leg *kept = call_role(k, ROLE_KEPT), *owner = call_role(k, ROLE_OWNER);

	return str_eq(l->user, user) || (kept && str_eq(kept->user, user)) ||
	       (owner && str_eq(owner->user, user));
}

/* E-028: a 3xx is followed to one of our own numbers, a limited number of times, never back. */
static bool redirect(struct core *c, struct call *k, struct leg *l)
{
	const struct ev_reject *e = &c->ev->reject;
	struct target t;

	if (!c->cfg.redirect || !e->own_host || k->redirects >= c->cfg.redirect_max ||
		k->redirects >= 5 || l->role != ROLE_TARGET)
		return false;
	if (k->waiter || k->state == ORIGINATE)
		return false; /* the queue decides who answers its callers; nobody else can call for him */
	if (target_resolve(c, e->number, DIALPLAN_USERS, &t) != 0 || !t.may_transfer ||
		(t.kind == TARGET_USER && is_here(k, l, t.name)) ||
		policy_denied_class(c, directory_user(c, l->user), &t) != NULL)
		return false;
	k->redirects++;
	if (k->customer == l->id)
		k->customer = ID_NONE; /* whoever is rung next is */
	segment_close(c, k, l, "redirected", "self", e->status, NULL);
	closing(c, k, l);
	target_dial(c, k, &t, ID_NONE);
	return true;
}

static void on_reject(struct core *c, struct call *k, struct leg *l)
{
	uint16_t status = c->ev->reject.status;

	if (l->state != LEG_DIALING && l->state != LEG_RINGING)
		return; /* the 487 of our own CANCEL, or a stray */
	if (c->ev->type == EV_REDIRECT && redirect(c, k, l))
		return;
	if (target_failover(c, k, l, status)) {
		closing(c, k, l);
		return;
	}
	refused(c, k, l, status >= 300 && status < 400 ? 480 : status ? status : 480);
}

static void note_remote(struct leg *l, const struct sdp_note *n)
{
	if (l->rv == 0 || !n->same)
		l->rv = ++l->rv_top;
	l->image = n->image;
}

/* What a party wants itself can be read from its answer only if it was free to choose. */
static void note_will(struct leg *l, const struct sdp_note *n)
{
	l->will = (uint8_t)(l->offered.told == DIR_SENDRECV ? n->dir : DIR_SENDRECV);
}

static void on_progress(struct core *c, struct call *k, struct leg *l)
{
	const struct ev_progress *e = &c->ev->progress;

	if (l->state != LEG_DIALING && l->state != LEG_RINGING)
		return;
	leg_set_state(c, l, LEG_RINGING);
	if (e->sdp.what == SDP_ANSWER && e->sdp.usable) {
		note_remote(l, &e->sdp);
		if (e->reliable && l->oa == OA_SENT) {
			l->oa = OA_IDLE;
			l->given = l->offered;
			note_will(l, &e->sdp);
		}
	}
	if (l->role == ROLE_TARGET)
		call_post(k, T_PROGRESS);
}

/* Takes the SDP of a 2xx in. False: there is none that can be used. */
static bool take_answer(struct leg *l, const struct sdp_note *n)
{
	switch (n->what) {
	case SDP_ANSWER:
		if (!n->usable || l->oa == OA_ASKED)
			return false;
		note_remote(l, n);
		if (l->oa == OA_SENT) {
			l->given = l->offered;
			l->oa = OA_IDLE;
		}
		note_will(l, n);
		return true;
	case SDP_OFFER:
		if (!n->usable || l->oa != OA_ASKED)
			return false;
		note_remote(l, n);
		l->will = (uint8_t)n->dir;
		l->oa = OA_OWED;
		return true;
	case SDP_NONE:
		if (l->oa != OA_IDLE && l->oa != OA_RECV)
			return false;
		/* An early UPDATE that held does not hold the answered call (E-031): ask again. */
		if (dir_holds(l->will)) {
			l->will = DIR_SENDRECV;
			l->given.rv = 0;
		}
		return true;
	default:
		return false;
	}
}

/* Its 200 crossed our CANCEL: it is on record, and hung up (E-016, E-027, E-029). */
static void late_answer(struct core *c, struct call *k, struct leg *l)
{
	if (k->customer != l->id)
		segment_answered_late(c, k, l);
	act_add(c, ACT_HANGUP, l->id)->status = l->fail_status ? l->fail_status : 487;
}

static void on_answer(struct core *c, struct call *k, struct leg *l)
{
	const struct ev_answer *e = &c->ev->answer;

	if (l->state == LEG_CLOSING) {
		late_answer(c, k, l);
		return;
	}
	if (l->state != LEG_DIALING && l->state != LEG_RINGING)
		return;
	l->immediate = e->immediate;
	l->bye = (uint8_t)e->bye;
	if (!take_answer(l, &e->sdp)) {
		refuse_answer(c, k, l);
		return;
	}
	leg_set_state(c, l, LEG_UP);
	if (l->role == ROLE_MUSIC) { /* nobody has answered a call: moh.c passes on what it plays */
		timer_stop(c, l->id, TIMER_MUSIC, &l->timer[TIMER_MUSIC]);
		return;
	}
	if (k->state == ORIGINATE) /* who calls has not reached anybody yet */
		segment_is_of(k, l);
	else
		segment_answered(c, k, l);
	call_post(k, T_ANSWER);
}

/* ---- the other side leaves ------------------------------------------------------------------- */

static const char *party_word(const struct call *k, const struct leg *l)
{
	if (l->id == k->customer)
		return "customer";
	if (l->kind == TARGET_NONE)
		return "system";
	return l->kind == TARGET_USER ? "agent" : "external";
}

/* The dialog is over from the far side. `status` 0: it simply hung up. */
static void gone(struct core *c, struct call *k, struct leg *l, uint16_t status, const char *outcome)
{
	static const int word_of[role_count_] = {
		[ROLE_KEPT] = K_GONE, [ROLE_OWNER] = O_GONE, [ROLE_TARGET] = T_GONE};
	bool consults = l->state == LEG_UP && consult_is_left(c, k, l);
	enum role role = l->role;
	bool moving = role == ROLE_OWNER && !uuid_is_nil(&k->xfer.id) && k->state != RESUME;
	bool silent;

	if (l->state == LEG_CLOSING) {
		recover_told(c, l); /* after a restart, too: our BYE need not be said again */
		return;
	}
	if (l->state == LEG_DIALING || l->state == LEG_RINGING) {
		refused(c, k, l, status ? status : 480);
		return;
	}
	segment_close(c, k, l, moving ? "transferred" : outcome, "self", status,
		moving ? &k->xfer.id : NULL);
	if (role == ROLE_KEPT || role == ROLE_OWNER)
		str_set(k->ended_by, party_word(k, l));
	if (k->xfer.refer_leg == l->id)
		k->xfer.sub = SUB_NONE; /* no NOTIFY into a usage that ended (E-001) */
	if (l->id == k->customer && role != ROLE_PAST)
		timeline(c, k, &(struct timeline_note){.type = "customer_left", .actor = "customer"});
	silent = role == ROLE_KEPT && passing_is_silent(k, l);
	closing(c, k, l);
	if (role == ROLE_KEPT || role == ROLE_OWNER || role == ROLE_TARGET)
		call_post(k, consults ? O_LEFT : silent ? R_DONE : (enum word)word_of[role]);
}

static void on_cancel(struct core *c, struct call *k, struct leg *l)
{
	if (l->state != LEG_NEW && l->state != LEG_EARLY)
		return; /* our 200 was first; the caller will BYE */
	act_add(c, ACT_REJECT, l->id)->status = 487;
	gone(c, k, l, 487, "cancelled");
}

static void on_no_ack(struct core *c, struct call *k, struct leg *l)
{
	if (l->state != LEG_ANSWERED)
		return;
	act_add(c, ACT_HANGUP, l->id)->status = 408;
	gone(c, k, l, 408, "lost");
}

static void on_ack(struct core *c, struct call *k, struct leg *l)
{
	const struct sdp_note *n = &c->ev->offer.sdp;

	if (l->state != LEG_ANSWERED)
		return;
	leg_set_state(c, l, LEG_UP);
	if (l->oa != OA_GIVEN)
		return;
	if (n->what != SDP_ANSWER || !n->usable) {
		act_add(c, ACT_HANGUP, l->id)->status = 488; /* our offer stays unanswered */
		gone(c, k, l, 488, "media_incompatible");
		return;
	}
	note_remote(l, n);
	l->will = (uint8_t)n->dir;
	l->given = l->offered;
	l->oa = OA_IDLE;
}

/* ---- INFO, NOTIFY, timers -------------------------------------------------------------------- */

static void on_info(struct core *c, struct call *k, struct leg *l)
{
	struct leg *p = bridge_peer(k, l);
	struct action *a = act_add(c, ACT_INFO, p && leg_is_live(p) ? p->id : ID_NONE);

	a->call = k->id;
	a->from = l->id;
	a->cmd = c->ev->info.ref;
	a->status = 200; /* with nobody there it is taken and dropped: digits into music */
}

static void on_notify_done(struct core *c, struct leg *l)
{
	if (l->notify == c->ev->notify.cmd)
		l->notify = 0;
	if (l->state != LEG_NOTIFYING || l->notify)
		return;
	leg_set_state(c, l, LEG_PARTING);
	timer_start(c, l->id, TIMER_PART, &l->timer[TIMER_PART], leg_bye_ms(c, l));
}

static void on_timer(struct core *c, struct call *k, struct leg *l)
{
	const struct ev_timer *e = &c->ev->timer;

	if ((unsigned)e->kind >= timer_kind_count_ || e->serial == 0 || l->timer[e->kind] != e->serial)
		return;
	l->timer[e->kind] = 0;
	switch (e->kind) {
	case TIMER_PART:
		leg_drop(c, k, l, 200, "transferred", "transfer");
		break;
	case TIMER_GLARE:
		l->oa = OA_IDLE; /* bridge_run() asks again */
		break;
	case TIMER_CLOSE:
		leg_free(c, k, l);
		break;
	case TIMER_MUSIC:
		leg_drop(c, k, l, 0, "", "");
		break;
	default:
		break;
	}
}

void leg_lost(struct core *c, struct call *k, struct leg *l)
{
	gone(c, k, l, 0, "lost");
	leg_free(c, k, l);
}

void leg_event(struct core *c, struct call *k, struct leg *l)
{
	switch (c->ev->type) {
	case EV_PROGRESS:
		on_progress(c, k, l);
		break;
	case EV_ANSWER:
		on_answer(c, k, l);
		break;
	case EV_REJECT:
	case EV_REDIRECT:
		on_reject(c, k, l);
		break;
	case EV_CANCEL:
		on_cancel(c, k, l);
		break;
	case EV_ACK:
		on_ack(c, k, l);
		break;
	case EV_NO_ACK:
		on_no_ack(c, k, l);
		break;
	case EV_OFFER:
	case EV_OFFER_NONE:
		bridge_offer(c, k, l);
		break;
	case EV_OFFER_WITHDRAWN:
		bridge_withdrawn(c, k, l);
		break;
	case EV_OA_DONE:
		bridge_done(c, k, l);
		break;
	case EV_PLAYED:
		if (l->role == ROLE_KEPT)
			queue_played(c, k);
		break;
	case EV_UNPLAYED:
		moh_unplayed(c, k, l);
		break;
	case EV_UNPRESSED:
		target_unpressed(c, l);
		break;
	case EV_MEDIA_LOST:
		bridge_media_lost(k, l);
		if (bridge_peer(k, l) == NULL)
			moh_unplayed(c, k, l);
		break;
	case EV_RECOVERED:
		consult_recovered(c, k);
		recover_leg(c, k, l);
		break;
	case EV_INFO:
		on_info(c, k, l);
		break;
	case EV_BYE:
		gone(c, k, l, 0, "completed");
		break;
	case EV_GONE:
		gone(c, k, l, c->ev->reject.status, "lost");
		break;
	case EV_CLOSED:
		leg_lost(c, k, l);
		break;
	case EV_TRANSFER:
		transfer_request(c, k, l);
		break;
	case EV_NOTIFY_DONE:
		on_notify_done(c, l);
		break;
	case EV_REFERRED:
	case EV_REFER_NOTIFY:
		passing_event(c, k, l);
		break;
	case EV_TIMER:
		on_timer(c, k, l);
		break;
	default:
		break; /* REFRESH: only a sign of life */
	}
}
