/* contract: see contract.h. */
#include "sim/contract.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A final NOTIFY that is not answered in this time is given up (E-005). */
#define NOTIFY_CAP_MS 4000

void contract_init(struct contract *ct)
{
	memset(ct, 0, sizeof(*ct));
}

void contract_done(struct contract *ct)
{
	struct ct_leg *l, *lt;
	struct ct_call *k, *kt;
	struct ct_req *r, *rt;

	HASH_ITER (hh, ct->legs, l, lt) {
		HASH_DEL(ct->legs, l);
		free(l);
	}
	HASH_ITER (hh, ct->calls, k, kt) {
		HASH_DEL(ct->calls, k);
		free(k);
	}
	HASH_ITER (hh, ct->reqs, r, rt) {
		HASH_DEL(ct->reqs, r);
		free(r);
	}
	contract_init(ct);
}

void contract_fail(struct contract *ct, const char *rule, const char *fmt, ...)
{
	va_list ap;

	if (ct->failed || ct->lenient)
		return;
	ct->failed = true;
	str_set(ct->rule, rule);
	va_start(ap, fmt);
	vsnprintf(ct->text, sizeof(ct->text), fmt, ap);
	va_end(ap);
}

struct ct_leg *contract_leg(struct contract *ct, leg_id id)
{
	struct ct_leg *l;

	HASH_FIND(hh, ct->legs, &id, sizeof(id), l);
	return l;
}

struct ct_call *contract_call(struct contract *ct, call_id id)
{
	struct ct_call *k;

	id = id_call(id);
	HASH_FIND(hh, ct->calls, &id, sizeof(id), k);
	return k;
}

struct ct_req *contract_req(struct contract *ct, uint64_t cmd)
{
	struct ct_req *r;

	HASH_FIND(hh, ct->reqs, &cmd, sizeof(cmd), r);
	return r;
}

static void *must_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (p == NULL)
		abort();
	return p;
}

static struct ct_leg *leg_new(struct contract *ct, leg_id id)
{
	struct ct_leg *l = must_alloc(sizeof(*l));
	struct ct_call *k = contract_call(ct, id);
	call_id cid = id_call(id);

	l->id = id;
	l->call = cid;
	l->since = ct->now;
	HASH_ADD(hh, ct->legs, id, sizeof(l->id), l);
	if (k == NULL) {
		k = must_alloc(sizeof(*k));
		k->id = cid;
		k->born = ct->now;
		HASH_ADD(hh, ct->calls, id, sizeof(k->id), k);
	}
	k->nlegs++;
	return l;
}

static struct ct_req *req_new(struct contract *ct, uint64_t cmd, enum ct_req_kind kind, leg_id leg)
{
	struct ct_req *r = must_alloc(sizeof(*r));

	r->cmd = cmd;
	r->kind = kind;
	r->leg = leg;
	HASH_ADD(hh, ct->reqs, cmd, sizeof(r->cmd), r);
	return r;
}

/* ---- directions ------------------------------------------------------------------------------ */

enum { SENDS = 1, RECVS = 2 };

static int dir_bits(enum dir d)
{
	return (d == DIR_SENDONLY || d == DIR_SENDRECV ? SENDS : 0) |
	       (d == DIR_RECVONLY || d == DIR_SENDRECV ? RECVS : 0);
}

static enum dir dir_of_bits(int bits)
{
	static const enum dir dirs[] = {DIR_INACTIVE, DIR_SENDONLY, DIR_RECVONLY, DIR_SENDRECV};

	return dirs[bits];
}

enum dir dir_reverse(enum dir d)
{
	int b = dir_bits(d);

	return dir_of_bits((b & SENDS ? RECVS : 0) | (b & RECVS ? SENDS : 0));
}

enum dir dir_and(enum dir a, enum dir b)
{
	return dir_of_bits(dir_bits(a) & dir_bits(b));
}

/* ---- which events can come ------------------------------------------------------------------- */

static bool in_dialog(const struct ct_leg *l)
{
	return l->state == CT_UP || l->state == CT_ANSWERED;
}

static bool offer_pending(const struct ct_leg *l)
{
	return l->offer_in || l->none_in || l->ack_due || l->owes_ack;
}

/* An early UPDATE needs an answered offer (RFC 3311 section 5.1). */
static bool may_offer(const struct ct_leg *l)
{
	if (offer_pending(l) || (l->state == CT_ANSWERED && l->late))
		return false;
	return in_dialog(l) || (l->state == CT_DIALING && l->sdp_in_1xx);
}

static bool allows_leg(struct contract *ct, const struct event *ev)
{
	struct ct_leg *l = contract_leg(ct, ev->leg);
	struct ct_req *r;

	if (ev->type == EV_RECOVERED)
		return l != NULL && l->untold;
	if (l != NULL && l->lost)
		return false;
	if (l == NULL) /* of a dialog that the core has forgotten */
		return ev->type == EV_TRANSFER || ev->type == EV_OFFER ||
		       ev->type == EV_OFFER_NONE || ev->type == EV_INFO;
	switch (ev->type) {
	case EV_PROGRESS:
		return l->state == CT_DIALING;
	case EV_ANSWER:
		return l->state == CT_DIALING || (l->state == CT_ENDING && l->cancelling);
	case EV_REJECT:
	case EV_REDIRECT:
		return l->state == CT_DIALING || (l->state == CT_ENDING && l->cancelling);
	case EV_CANCEL:
		return l->state == CT_INCOMING;
	case EV_ACK:
	case EV_NO_ACK:
		return l->state == CT_ANSWERED && !l->must_hang_up;
	case EV_OFFER:
	case EV_OFFER_NONE:
		return may_offer(l);
	case EV_OFFER_WITHDRAWN:
		return l->offer_in || l->none_in || l->ack_due;
	case EV_OA_DONE:
		return (l->offer_out || l->ack_due) && l->state != CT_CLOSED;
	case EV_REFRESH:
	case EV_INFO:
	case EV_MEDIA_LOST:
	case EV_UNPLAYED:
	case EV_UNPRESSED:
		return in_dialog(l);
	case EV_PLAYED: /* late, too: it was cut short by the core */
		return true;
	case EV_BYE:
		return in_dialog(l) || (l->state == CT_ENDING && l->ever_up && !l->peer_ended);
	case EV_GONE:
		return in_dialog(l);
	case EV_CLOSED:
		return l->state == CT_ENDING && !l->crossed;
	case EV_REFERRED:
		return l->refer_out && l->referred == ev->referred.cmd && l->state != CT_CLOSED;
	case EV_REFER_NOTIFY: /* may come before the 202, and after the BYE (RFC 3515, RFC 5057) */
		return l->referred != 0 && l->referred == ev->referred.cmd && !l->refer_told &&
		       l->state != CT_CLOSED;
	case EV_NOTIFY_DONE:
		r = contract_req(ct, ev->notify.cmd);
		return r != NULL && r->final && !r->notified;
	case EV_TRANSFER:
		return true;
	default:
		return false;
	}
}

/* Who runs a timer of this kind under this id; NULL: nobody. */
static struct ct_timer *timer_of(struct contract *ct, uint64_t id, enum timer_kind kind)
{
	struct ct_leg *l = id_legno(id) != 0 ? contract_leg(ct, id) : NULL;
	struct ct_call *k = contract_call(ct, id);

	if (kind == TIMER_AGENT)
		return id == ID_NONE ? &ct->agents : NULL;
	if (id_legno(id) != 0)
		return l != NULL ? &l->timer[kind] : NULL;
	if (k == NULL)
		return NULL;
	return kind == TIMER_STATE   ? &k->timer
	       : kind == TIMER_QUEUE ? &k->queue
	       : kind == TIMER_PLACE ? &k->place
				     : NULL;
}

static bool timer_is_due(struct contract *ct, const struct event *ev)
{
	const struct ct_timer *t =
		timer_of(ct, ev->leg != ID_NONE ? ev->leg : ev->call, ev->timer.kind);

	if (t == NULL || !t->armed || t->serial != ev->timer.serial)
		return true; /* a stale one can always arrive */
	return t->due <= ev->now;
}

bool contract_allows(struct contract *ct, const struct event *ev)
{
	switch (ev->type) {
	case EV_INVITE:
	case EV_DIAL:
	case EV_XFER_CANCEL:
	case EV_HANGUP:
	case EV_COMPLETE:
	case EV_SWAP:
	case EV_HOLD:
	case EV_UNHOLD:
	case EV_RESUME:
	case EV_NOTE:
	case EV_RECORD:
	case EV_DIR_USER:
	case EV_DIR_QUEUE:
	case EV_DIR_MEMBER:
	case EV_DIR_IVR:
	case EV_DIR_CLASS:
	case EV_DIR_SKILL:
	case EV_DIR_NEED:
	case EV_DIR_HOURS:
	case EV_AGENT:
	case EV_AGENT_REACH:
	case EV_CONTACTS:
	case EV_AUDIT:
	case EV_CONFIG:
	case EV_LOCATED: /* a late one changes nothing */
		return true;
	case EV_TIMER:
		return timer_is_due(ct, ev);
	case EV_TRANSFER:
		return ev->transfer.origin != ORIGIN_REFER || allows_leg(ct, ev);
	default:
		return allows_leg(ct, ev);
	}
}

/* ---- events ---------------------------------------------------------------------------------- */

static void leg_ends(struct contract *ct, struct ct_leg *l)
{
	l->state = CT_ENDING;
	l->peer_ended = true;
	l->since = ct->now;
}

/* The leg's own SDP is now this. An answer that only takes what it was left with says nothing about
 * what its party wants. */
static void leg_says(struct ct_leg *l, const struct sdp_note *sdp)
{
	bool forced = sdp->what == SDP_ANSWER &&
		      sdp->dir == dir_and(l->intent, dir_reverse(l->offered.dir)) &&
		      l->offered.dir != DIR_SENDRECV;

	if (sdp->what != SDP_OFFER && sdp->what != SDP_ANSWER)
		return;
	l->dir_prev = l->dir;
	l->ver_prev = l->ver;
	l->intent_prev = l->intent;
	l->dir = sdp->dir;
	l->intent = forced ? l->intent : sdp->dir;
	if (!sdp->same || l->ver == 0)
		l->ver = ++l->ver_top;
}

static void leg_unsays(struct ct_leg *l)
{
	l->ver = l->ver_prev;
	l->dir = l->dir_prev;
	l->intent = l->intent_prev;
}

static void ev_invite(struct contract *ct, const struct event *ev, leg_id id)
{
	struct ct_leg *l;

	if (id == ID_NONE)
		return;
	if (contract_call(ct, id) != NULL && ev->invite.replaces == ID_NONE)
		contract_fail(ct, "call-id-reused", "INVITE got the id of a call that lives");
	if (ct->failed || contract_leg(ct, id) != NULL)
		return;
	l = leg_new(ct, id);
	l->state = CT_INCOMING;
	l->from_outside = ev->invite.source == SOURCE_PEER && ev->invite.replaces == ID_NONE;
	l->late = ev->invite.sdp.what == SDP_NONE;
	l->rel_required = ev->invite.rel_required;
	l->immediate = ev->invite.immediate;
	l->numbered = ev->invite.from.number[0] != '\0';
	leg_says(l, &ev->invite.sdp);
}

static void ev_answer(struct contract *ct, const struct event *ev, struct ct_leg *l)
{
	if (l->state == CT_ENDING) { /* crossed our CANCEL */
		l->cancelling = false;
		l->crossed = true;
		l->hangup_sent = false;
		l->ever_up = true;
		return;
	}
	l->state = CT_UP;
	l->ever_up = true;
	l->immediate = ev->answer.immediate;
	l->since = ct->now;
	leg_says(l, &ev->answer.sdp);
	if (l->late)
		l->owes_ack = true;
	else
		l->given = l->offered;
	l->offer_out = false;
}

static void ev_oa_done(struct contract *ct, const struct event *ev, struct ct_leg *l)
{
	bool good = ev->offer.status >= 200 && ev->offer.status < 300;

	l->offer_out = l->ack_due = false;
	l->unknown = !good && (l->unknown || l->unsure);
	l->hold_failed = l->unsure = false;
	l->oa_failed = !good || (ev->offer.sdp.what == SDP_ANSWER && !ev->offer.sdp.usable);
	if (!good)
		return;
	leg_says(l, &ev->offer.sdp);
	l->given = l->offered;
}

static void ev_leg(struct contract *ct, const struct event *ev, struct ct_leg *l)
{
	switch (ev->type) {
	case EV_PROGRESS:
		if (ev->progress.sdp.what == SDP_ANSWER && ev->progress.sdp.usable)
			leg_says(l, &ev->progress.sdp);
		if (ev->progress.sdp.what == SDP_ANSWER && ev->progress.reliable && !l->late) {
			l->sdp_in_1xx = true;
			l->given = l->offered;
		}
		break;
	case EV_ANSWER:
		ev_answer(ct, ev, l);
		break;
	case EV_CANCEL:
		l->must_reject = true;
		break;
	case EV_REJECT:
	case EV_REDIRECT:
	case EV_GONE:
		leg_ends(ct, l);
		l->cancelling = false;
		break;
	case EV_BYE:
		if (l->state == CT_ENDING)
			l->peer_ended = true;
		else
			leg_ends(ct, l);
		break;
	case EV_ACK:
		l->state = CT_UP;
		leg_says(l, &ev->offer.sdp);
		if (ev->offer.sdp.what == SDP_ANSWER)
			l->given = l->offered;
		l->since = ct->now;
		break;
	case EV_NO_ACK:
		l->must_hang_up = true;
		break;
	case EV_OFFER:
		l->offer_in = true;
		leg_says(l, &ev->offer.sdp);
		break;
	case EV_OFFER_NONE:
		l->none_in = true;
		l->ver_prev = l->ver;
		l->dir_prev = l->dir;
		l->intent_prev = l->intent;
		break;
	case EV_OFFER_WITHDRAWN:
		l->offer_in = l->none_in = l->ack_due = false;
		leg_unsays(l);
		break;
	case EV_OA_DONE:
		ev_oa_done(ct, ev, l);
		break;
	case EV_REFERRED:
		l->refer_out = false;
		l->refer_taken = ev->referred.status < 300;
		l->refer_told = l->refer_told || ev->referred.status >= 300;
		break;
	case EV_REFER_NOTIFY:
		l->refer_told = ev->referred.final;
		l->refer_heard = true;
		break;
	case EV_RECOVERED:
		l->untold = false;
		break;
	case EV_UNPLAYED:
	case EV_MEDIA_LOST: /* its engine is gone, with what it played */
		l->unplayed = true;
		break;
	case EV_CLOSED:
		l->state = CT_CLOSED;
		l->closed_at = ct->now;
		break;
	default:
		break;
	}
}

static void ev_timer(struct contract *ct, const struct event *ev)
{
	struct ct_leg *l = contract_leg(ct, ev->leg);
	struct ct_timer *t = timer_of(ct, ev->leg != ID_NONE ? ev->leg : ev->call, ev->timer.kind);

	if (t == NULL || t->serial != ev->timer.serial)
		return;
	t->armed = false;
	if (l == NULL)
		return;
	if (ev->timer.kind == TIMER_CLOSE && l->state == CT_ENDING)
		l->state = CT_CLOSED;
}

static void take_event(struct contract *ct, const struct event *ev, leg_id new_leg)
{
	struct ct_leg *l = contract_leg(ct, ev->leg);
	struct ct_call *k;
	struct ct_req *r;

	ct->now = ev->now;
	ct->stray = ID_NONE;
	ct->located = ev->type == EV_LOCATED && ev->located.node != 0;
	ct->calls_for[0] = '\0';
	ct->originated = ID_NONE;
	switch (ev->type) {
	case EV_INVITE:
		ev_invite(ct, ev, new_leg);
		break;
	case EV_TRANSFER:
		r = req_new(ct, ev->transfer.cmd,
			ev->transfer.origin == ORIGIN_REFER ? CT_REFER : CT_COMMAND, ev->leg);
		r->no_sub = ev->transfer.no_sub;
		r->in_advance = ev->transfer.immediate || (l != NULL && l->immediate);
		break;
	case EV_XFER_CANCEL:
	case EV_HANGUP:
	case EV_COMPLETE:
	case EV_SWAP:
	case EV_HOLD:
	case EV_UNHOLD:
	case EV_RESUME:
		req_new(ct, ev->command.cmd, CT_COMMAND, ev->leg);
		k = contract_call(ct, ev->call);
		if (k != NULL && ev->type == EV_HANGUP)
			k->commanded = true;
		break;
	case EV_DIAL:
		req_new(ct, ev->dial.cmd, CT_COMMAND, ID_NONE);
		str_set(ct->calls_for, ev->dial.user);
		break;
	case EV_AGENT:
		if (ev->agent.cmd != 0)
			req_new(ct, ev->agent.cmd, CT_COMMAND, ID_NONE);
		break;
	case EV_NOTE:
	case EV_RECORD:
		req_new(ct, ev->note.cmd, CT_COMMAND, ev->leg);
		break;
	case EV_INFO:
		req_new(ct, ev->info.ref, CT_INFO, ev->leg);
		break;
	case EV_NOTIFY_DONE:
		r = contract_req(ct, ev->notify.cmd);
		if (r != NULL)
			r->notified = true;
		break;
	case EV_TIMER:
		ev_timer(ct, ev);
		break;
	default:
		if (l != NULL)
			ev_leg(ct, ev, l);
		else if (ev->type == EV_OFFER || ev->type == EV_OFFER_NONE)
			ct->stray = ev->leg;
		break;
	}
}

/* ---- actions --------------------------------------------------------------------------------- */

static void leg_fail(struct contract *ct, const struct action *a, const char *rule, const char *why)
{
	char id[ID_STRLEN];

	contract_fail(ct, rule, "%s on leg %s: %s", act_name(a->type), id_str(a->leg, id), why);
}

/* Resolves the SDP an action passes; false after a complaint. `offer` is false for an answer,
 * which may not say more than the offer permits (RFC 3264 section 6.1). */
static bool sdp_passed(struct contract *ct, const struct action *a, struct ct_leg *l, bool offer,
	struct ct_sdp *out)
{
	static const enum dir forced[] = {[SDP_DIR_INACTIVE] = DIR_INACTIVE,
		[SDP_DIR_RECVONLY] = DIR_RECVONLY,
		[SDP_DIR_SENDONLY] = DIR_SENDONLY,
		[SDP_DIR_SENDRECV] = DIR_SENDRECV};
	struct ct_leg *from;

	*out = l->given;
	if (a->from == ID_MUSIC) {
		*out = (struct ct_sdp){ID_MUSIC, 1, DIR_SENDRECV};
	} else if (a->from != ID_NONE) {
		from = contract_leg(ct, a->from);
		if (from == NULL || from->ver == 0) {
			leg_fail(ct, a, "sdp-of-nobody",
				from == NULL ? "`from` is no living leg" : "`from` has no SDP");
			return false;
		}
		if (from == l) {
			leg_fail(ct, a, "sdp-echo", "is passed its own SDP");
			return false;
		}
		if (from->plays_to != ID_NONE && from->plays_to != l->id) {
			leg_fail(ct, a, "music-to-others", "is given music that another one hears");
			return false;
		}
		*out = (struct ct_sdp){from->id, from->ver, from->dir, from->plays_to != ID_NONE};
	}
	if (a->dir != SDP_DIR_AS_IS)
		out->dir = forced[a->dir];
	if (!offer)
		out->dir = dir_and(out->dir, dir_reverse(l->dir));
	return true;
}

bool contract_hears_music(const struct ct_leg *l)
{
	return l->hears == HEARS_MUSIC || l->hears == HEARS_RINGBACK || l->hears == HEARS_PLACE;
}

/* A music server is called for one who is to hear music, and is to hear nothing (RFC 7088). */
static bool serves_somebody(struct contract *ct, const struct action *a)
{
	struct ct_leg *ear = contract_leg(ct, a->from);

	if (a->dial.dest.kind != DEST_MUSIC)
		return true;
	if (ear == NULL || ear->state != CT_UP || !contract_hears_music(ear))
		leg_fail(ct, a, "music-for-nobody", "nobody waits for music");
	else if (a->dir != SDP_DIR_RECVONLY)
		leg_fail(ct, a, "music-hears", "a music server is to send, and not to listen");
	else if (a->dial.dest.number[0] == '\0')
		leg_fail(ct, a, "music-nowhere", "no URI");
	else if (!ear->unplayed)
		leg_fail(ct, a, "music-uncalled-for", "no engine has said that it does not play");
	return !ct->failed;
}

/* EV_DIAL makes one call, and rings only the user who is to call in it. Queues may ask others in
 * the same step, for callers of theirs. */
static bool originated(struct contract *ct, const struct action *a)
{
	if (ct->originated == ID_NONE && ct->calls_for[0] != '\0' &&
		contract_call(ct, a->leg) == NULL)
		ct->originated = id_call(a->leg);
	return ct->originated != ID_NONE && ct->originated == id_call(a->leg);
}

static void act_dial(struct contract *ct, const struct action *a)
{
	struct ct_leg *l;

	if (originated(ct, a)) {
		if (strcmp(a->dial.dest.user, ct->calls_for) != 0) {
			leg_fail(ct, a, "dial-too-early", "who is to call is not there yet");
			return;
		}
	} else if (contract_call(ct, a->leg) == NULL) {
		leg_fail(ct, a, "dial-without-call", "there is no such call");
		return;
	}
	if (contract_leg(ct, a->leg) != NULL) {
		leg_fail(ct, a, "leg-id-reused", "this leg exists");
		return;
	}
	if (a->dial.like != ID_NONE && contract_leg(ct, a->dial.like) == NULL) {
		leg_fail(ct, a, "dial-like-nobody", "`like` is no living leg");
		return;
	}
	if (!serves_somebody(ct, a))
		return;
	if (a->dial.dest.kind == DEST_PEER && a->dial.dest.number[0] == '\0') {
		leg_fail(ct, a, "dial-no-number", "no number for the peer");
		return;
	}
	if (a->dial.replaces[0] != '\0' && !ct->located) {
		leg_fail(ct, a, "dial-replaces-nothing", "no node said that it has a dialog");
		return;
	}
	l = leg_new(ct, a->leg);
	l->outbound = true;
	l->state = CT_DIALING;
	l->late = a->from == ID_NONE;
	l->intent = DIR_SENDRECV;
	l->dest = a->dial.dest;
	l->numbered = a->dial.dest.number[0] != '\0';
	l->plays_to = a->dial.dest.kind == DEST_MUSIC ? a->from : ID_NONE;
	if (!l->late && sdp_passed(ct, a, l, true, &l->offered))
		return;
}

static void act_progress(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	if (l->state != CT_INCOMING)
		leg_fail(ct, a, "progress-state", "the INVITE has its final response");
	else if (a->status < 101 || a->status > 199)
		leg_fail(ct, a, "progress-status", "not a provisional status");
	else if (a->from != ID_NONE && sdp_passed(ct, a, l, false, &l->offered))
		l->sdp_in_1xx = l->rel_required; /* else it is but a preview */
	l->music_in_1xx = l->music_in_1xx || a->from == ID_MUSIC;
}

static void act_answer(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	if (l->state != CT_INCOMING)
		leg_fail(ct, a, "answer-twice", "the INVITE has its final response");
	else if (a->status < 200 || a->status > 299)
		leg_fail(ct, a, "answer-status", "not a 2xx");
	else if (a->from == ID_NONE && !l->sdp_in_1xx)
		leg_fail(ct, a, "answer-no-sdp", "no SDP, and no 1xx carried it");
	else if (l->music_in_1xx && !l->sdp_in_1xx && a->from != ID_MUSIC)
		leg_fail(ct, a, "answer-differs", "a 1xx carried another answer (RFC 3261 13.2.1)");
	if (ct->failed)
		return;
	l->state = CT_ANSWERED;
	l->ever_up = true;
	l->since = ct->now;
	if (a->from != ID_NONE && !sdp_passed(ct, a, l, l->late, &l->offered))
		return;
	if (!l->late)
		l->given = l->offered;
}

static void act_ack(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	if (!l->owes_ack) {
		leg_fail(ct, a, "ack-twice", "no late offer waits for its ACK");
		return;
	}
	if (a->from == ID_NONE)
		leg_fail(ct, a, "ack-no-sdp", "needs the answer to the late offer");
	else if (sdp_passed(ct, a, l, false, &l->given))
		l->owes_ack = false;
}

static void act_reject(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	if (l->state != CT_INCOMING) {
		leg_fail(ct, a, "reject-state", "the INVITE has its final response");
		return;
	}
	if (a->status < 300 || a->status > 699) {
		leg_fail(ct, a, "reject-status", "not a final failure status");
		return;
	}
	l->state = CT_ENDING;
	l->hangup_sent = true;
	l->must_reject = false;
	l->since = ct->now;
}

/* The transferor's dialog carries the refer subscription: its final NOTIFY goes first, and is
 * answered or given up (E-005, R-045). */
static void check_subscription(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	struct ct_call *k = contract_call(ct, l->id);
	struct ct_req *r = l->refer ? contract_req(ct, l->refer) : NULL;

	if (r == NULL || r->no_sub || l->must_hang_up || !in_dialog(l))
		return;
	if (!r->final && !(k && k->commanded))
		leg_fail(ct, a, "hangup-before-final-notify", "its REFER has had no final NOTIFY");
	else if (r->final && !r->notified && ct->now - r->final_at < NOTIFY_CAP_MS &&
		 !(k && k->commanded))
		leg_fail(ct, a, "hangup-before-notify-done", "its final NOTIFY is unanswered");
}

static void act_hangup(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	if (l->hangup_sent && !l->crossed) {
		leg_fail(ct, a, "hangup-twice", "was told already");
		return;
	}
	if (l->state == CT_CLOSED || (l->state == CT_ENDING && !l->crossed)) {
		leg_fail(ct, a, "hangup-ended", "has ended by itself");
		return;
	}
	if (l->state == CT_UP && (l->offer_in || l->none_in))
		leg_fail(ct, a, "offer-left", "its offer has no answer (E-044)");
	check_subscription(ct, a, l);
	l->cancelling = l->state == CT_DIALING;
	l->crossed = l->must_hang_up = false;
	l->hangup_sent = true;
	l->state = CT_ENDING;
	l->since = ct->now;
}

/* With somebody else's session a phone is told who that is (E-058). Who calls without a number has none. So
 * it is with whoever it had before, if a process died while an offer that named somebody was under way. */
static void check_party_told(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	const struct ct_leg *from = contract_leg(ct, a->from);

	if (from == NULL || from->plays_to != ID_NONE)
		return;
	if (from->numbered && (l->unnamed || a->from != l->given.from) && l->given.from != ID_NONE &&
		!l->given.music && a->offer.party.number[0] == '\0')
		leg_fail(ct, a, "party-untold", "is not told who it hears");
	l->unnamed = false;
}

static void act_offer(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	if (l->offer_out)
		leg_fail(ct, a, "offer-twice", "our offer is unanswered");
	else if (offer_pending(l))
		leg_fail(ct, a, "offer-glare", "their offer is unanswered (RFC 3261 14.1)");
	else if (!(l->state == CT_UP || (l->state == CT_DIALING && l->sdp_in_1xx)))
		leg_fail(ct, a, "offer-state", "is not up");
	else if (a->from == ID_NONE && l->given.from == ID_NONE)
		leg_fail(ct, a, "offer-no-sdp", "nothing was given before");
	else if (sdp_passed(ct, a, l, true, &l->offered)) {
		check_party_told(ct, a, l);
		l->offer_out = true;
		l->named = a->offer.party.number[0] != '\0';
		l->asked++;
	}
}

static void act_offer_answer(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	bool gives = l->none_in;

	if (!l->offer_in && !l->none_in) {
		leg_fail(ct, a, "offer-answer-twice", "no offer waits");
		return;
	}
	if (a->from == ID_NONE && l->given.from == ID_NONE && !gives)
		leg_fail(ct, a, "offer-no-sdp", "nothing was given before");
	if (!sdp_passed(ct, a, l, gives, gives ? &l->offered : &l->given))
		return;
	l->unsure = l->unknown = false;
	l->unnamed = l->unnamed && a->from == ID_NONE; /* an answer names nobody */
	l->offer_in = l->none_in = false;
	l->ack_due = gives;
}

static void act_offer_reject(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	if (!l->offer_in && !l->none_in) {
		leg_fail(ct, a, "offer-answer-twice", "no offer waits");
		return;
	}
	if (a->status < 300 || a->status > 699)
		leg_fail(ct, a, "offer-reject-status", "not a final failure status");
	l->offer_in = l->none_in = false;
	leg_unsays(l);
}

static void act_info(struct contract *ct, const struct action *a)
{
	struct ct_req *r = contract_req(ct, a->cmd);

	if (r == NULL || r->kind != CT_INFO)
		leg_fail(ct, a, "info-unknown", "no INFO has this ref");
	else if (r->answered)
		leg_fail(ct, a, "info-twice", "was answered already");
	else if (contract_leg(ct, r->leg) != NULL && a->from != r->leg)
		leg_fail(ct, a, "info-from", "is passed on as somebody else's");
	else if (a->leg == ID_NONE && (a->status < 200 || a->status > 699))
		leg_fail(ct, a, "info-status", "not a final status");
	else
		r->answered = true;
}

static void act_refer(struct contract *ct, const struct action *a)
{
	struct ct_req *r = contract_req(ct, a->cmd);
	struct ct_leg *l;

	if (r == NULL || r->kind != CT_REFER) {
		leg_fail(ct, a, "refer-unknown", "no REFER has this cmd");
		return;
	}
	if (r->answered) {
		leg_fail(ct, a, "refer-answered-twice", "was answered already");
		return;
	}
	r->answered = true;
	r->accepted = a->type == ACT_REFER_ACCEPT;
	l = contract_leg(ct, r->leg);
	if (!r->accepted && (a->status < 300 || a->status > 699))
		leg_fail(ct, a, "refer-status", "not a final failure status");
	if (r->accepted && (l == NULL || !in_dialog(l)))
		leg_fail(ct, a, "refer-accepted-dead", "its dialog is over");
	else if (r->accepted)
		l->refer = r->cmd;
}

/* What an accepted REFER replaces is looked for, at most once. */
static void act_locate(struct contract *ct, const struct action *a)
{
	struct ct_req *r = contract_req(ct, a->cmd);

	if (r == NULL || r->kind != CT_REFER || !r->accepted)
		leg_fail(ct, a, "locate-unknown", "no accepted REFER has this cmd");
	else if (r->sought)
		leg_fail(ct, a, "locate-twice", "was asked already");
	else
		r->sought = true;
}

static void act_notify(struct contract *ct, const struct action *a)
{
	struct ct_req *r = contract_req(ct, a->notify.cmd);
	struct ct_leg *l = contract_leg(ct, a->leg);

	if (r != NULL)
		r->notified_once = true;
	if (r != NULL && r->lost && a->notify.final)
		r->final = r->notified = true; /* once more, for who did not hear it */
	else if (r != NULL && r->lost && !r->final)
		return;
	else if (r == NULL || r->kind != CT_REFER || !r->accepted)
		leg_fail(ct, a, "notify-unknown", "no accepted REFER has this cmd");
	else if (r->no_sub)
		leg_fail(ct, a, "notify-no-sub", "Refer-Sub was false (E-076)");
	else if (r->final)
		leg_fail(ct, a, "notify-after-final", "the final NOTIFY was sent");
	else if (r->leg != a->leg || l == NULL || !in_dialog(l))
		leg_fail(
			ct, a, "notify-dead", "not the dialog of the REFER, or it is over (E-001)");
	else if (a->status < 100 || a->status > 699 || (a->status < 200 && a->notify.final))
		leg_fail(ct, a, "notify-status", "sipfrag status and finality disagree");
	else if (a->notify.final) {
		r->final = true;
		r->final_at = ct->now;
		r->said = a->status;
		r->said_in = ct->step;
	}
}

static void act_reply(struct contract *ct, const struct action *a)
{
	struct ct_req *r = contract_req(ct, a->cmd);

	if (r == NULL || r->kind != CT_COMMAND)
		leg_fail(ct, a, "reply-unknown", "no command has this cmd");
	else if (r->answered)
		leg_fail(ct, a, "reply-twice", "was answered already");
	else if (a->status < 200)
		leg_fail(ct, a, "reply-status", "not a final status");
	else
		r->answered = true;
}

static void act_timer(struct contract *ct, const struct action *a)
{
	struct ct_timer *t = timer_of(ct, a->timer.id, a->timer.kind);

	if (t == NULL) {
		leg_fail(ct, a, "timer-of-nobody", "no such leg or call");
		return;
	}
	t->armed = a->timer.ms >= 0;
	t->serial = a->timer.serial;
	t->due = ct->now + a->timer.ms;
}

/* A REFER goes on to the other side: never to where it came from, one at a time. */
static void act_pass(struct contract *ct, const struct action *a)
{
	struct ct_req *r = contract_req(ct, a->cmd);
	struct ct_leg *l = contract_leg(ct, a->leg);

	if (r == NULL || r->kind != CT_REFER || !r->accepted)
		leg_fail(ct, a, "pass-unknown", "no accepted REFER has this cmd");
	else if (r->leg == a->leg)
		leg_fail(ct, a, "pass-back", "it came from here (E-070)");
	else if (l == NULL || l->state != CT_UP)
		leg_fail(ct, a, "pass-dead", "is not up");
	else if (l->refer_out)
		leg_fail(ct, a, "pass-twice", "has one that is not answered");
	else if (a->refer.to == REFER_TO_LEG && contract_leg(ct, a->refer.replaces) == NULL)
		leg_fail(ct, a, "pass-names-nobody", "the dialog that it names is gone");
	else if (a->refer.to == REFER_TO_PEER && (!a->refer.peer[0] || !a->refer.number[0]))
		leg_fail(ct, a, "pass-no-number", "to a peer without a number");
	if (ct->failed)
		return;
	l->referred = a->cmd;
	l->refer_out = true;
	l->refer_told = l->refer_taken = l->refer_heard = false;
}

/* An INFO or REFER of a leg that is gone needs no answer any more. */
static void act_leg_free(struct contract *ct, const struct action *a, struct ct_leg *l)
{
	struct ct_call *k = contract_call(ct, l->id);

	if (l->state != CT_CLOSED)
		leg_fail(ct, a, "leg-dropped", "is not closed");
	if (l->recorded)
		leg_fail(ct, a, "record-left", "is still recorded");
	if (k == NULL)
		return;
	k->nlegs--;
	k->empty_since = ct->now;
	HASH_DEL(ct->legs, l);
	free(l);
}

static void act_call_free(struct contract *ct, const struct action *a)
{
	struct ct_call *k = contract_call(ct, a->call);

	if (k == NULL || k->nlegs > 0) {
		contract_fail(ct, "call-free",
			k == NULL ? "CALL_FREE of an unknown call" : "CALL_FREE with legs alive");
		return;
	}
	HASH_DEL(ct->calls, k);
	free(k);
}

/* An OFFER_REJECT about a leg that was freed before is the polite answer to a late offer, and all
 * there is to it. */
static void act_on_leg(struct contract *ct, const struct action *a)
{
	struct ct_leg *l = contract_leg(ct, a->leg);

	if (l == NULL && a->type == ACT_OFFER_REJECT && a->leg == ct->stray) {
		ct->stray = ID_NONE;
		return;
	}
	if (l == NULL) {
		leg_fail(ct, a, "leg-unknown", "no such leg, or it was freed");
		return;
	}
	if (l->lost && a->type != ACT_LEG_FREE)
		return;
	switch (a->type) {
	case ACT_PROGRESS:
		act_progress(ct, a, l);
		break;
	case ACT_ANSWER:
		act_answer(ct, a, l);
		break;
	case ACT_ACK:
		act_ack(ct, a, l);
		break;
	case ACT_REJECT:
		act_reject(ct, a, l);
		break;
	case ACT_HANGUP:
		act_hangup(ct, a, l);
		break;
	case ACT_OFFER:
		act_offer(ct, a, l);
		break;
	case ACT_OFFER_ANSWER:
		act_offer_answer(ct, a, l);
		break;
	case ACT_OFFER_REJECT:
		act_offer_reject(ct, a, l);
		break;
	case ACT_LEG_FREE:
		act_leg_free(ct, a, l);
		break;
	case ACT_POSITION:
		if (l->state != CT_INCOMING && l->state != CT_ANSWERED && l->state != CT_UP)
			leg_fail(ct, a, "position-of-nobody", "is told its place, and is not there");
		break;
	default:
		leg_fail(ct, a, "action-unknown", "no such action");
		break;
	}
}

/* What a party hears is said when it changes, of one that has a session. */
static void act_media(struct contract *ct, const struct action *a)
{
	struct ct_leg *l = contract_leg(ct, a->leg);

	bool early = l != NULL && l->state == CT_INCOMING && l->music_in_1xx;

	if (l == NULL || (l->state != CT_UP && !early))
		leg_fail(ct, a, "media-no-session", "nobody who could hear");
	else if (l->hears == a->media.what &&
		 (l->hears != HEARS_MUSIC || strcmp(l->music, a->media.music) == 0))
		leg_fail(ct, a, "media-twice", "it hears that already");
	else if (a->media.what == HEARS_PLACE && (l->hears != HEARS_MUSIC || a->media.position == 0))
		leg_fail(ct, a, "place-unheard", "a place is announced to who hears music");
	else
		l->hears = a->media.what;
	if (l != NULL && !contract_hears_music(l))
		l->unplayed = false; /* the next time its engine is asked again */
	if (l != NULL)
		str_set(l->music, a->media.music);
}

/* Keys are pressed for somebody who has answered and can hear them. */
static void act_digits(struct contract *ct, const struct action *a)
{
	struct ct_leg *l = contract_leg(ct, a->leg);

	if (l == NULL || l->state != CT_UP)
		leg_fail(ct, a, "digits-no-session", "nobody who could hear them");
	else if (a->text[0] == '\0' || a->text[strspn(a->text, "0123456789*#ABCD,")] != '\0')
		leg_fail(ct, a, "digits-unknown", "no keys of a phone");
	else if (a->digits.way == DTMF_AUTO)
		leg_fail(ct, a, "digits-no-way", "the core has to say how they are pressed");
}

/* A recording ends before its leg is freed, and before another begins. */
static void act_record(struct contract *ct, const struct action *a)
{
	struct ct_leg *l = contract_leg(ct, a->leg);
	bool on = !uuid_is_nil(&a->record.recording);

	if (l == NULL || (on && l->state != CT_UP))
		leg_fail(ct, a, "record-no-session", "nobody who could be recorded");
	else if (l->recorded == on)
		leg_fail(ct, a, "record-twice", "that is so already");
	else
		l->recorded = on;
}

/* Its dialog is gone with the process that had it: the adapters know no such leg. */
static bool goes_nowhere(struct contract *ct, const struct action *a)
{
	const struct ct_leg *l = contract_leg(ct, a->leg);

	return l != NULL && l->lost &&
	       (a->type == ACT_MEDIA || a->type == ACT_RECORD || a->type == ACT_DIGITS);
}

static void take_action(struct contract *ct, const struct action *a)
{
	if (goes_nowhere(ct, a))
		return;
	switch (a->type) {
	case ACT_DIAL:
		act_dial(ct, a);
		break;
	case ACT_INFO:
		act_info(ct, a);
		break;
	case ACT_REFER_ACCEPT:
	case ACT_REFER_REJECT:
		act_refer(ct, a);
		break;
	case ACT_LOCATE:
		act_locate(ct, a);
		break;
	case ACT_NOTIFY:
		act_notify(ct, a);
		break;
	case ACT_REFER:
		act_pass(ct, a);
		break;
	case ACT_MEDIA:
		act_media(ct, a);
		break;
	case ACT_RECORD:
		act_record(ct, a);
		break;
	case ACT_DIGITS:
		act_digits(ct, a);
		break;
	case ACT_REPLY:
		act_reply(ct, a);
		break;
	case ACT_TIMER:
		act_timer(ct, a);
		break;
	case ACT_CALL_FREE:
		act_call_free(ct, a);
		break;
	default:
		act_on_leg(ct, a);
		break;
	}
}

/* ---- what became of a REFER ------------------------------------------------------------------ */

static struct ct_req *req_of_xfer(struct contract *ct, const uuid *xfer)
{
	struct ct_req *r, *rt;

	HASH_ITER (hh, ct->reqs, r, rt)
		if (uuid_eq(&r->xfer, xfer))
			return r;
	return NULL;
}

/* The transfer of an accepted REFER ends on record, and with what its phone was told (promise 3). */
static void refer_closed(struct contract *ct, const struct fact_transfer_closed *f)
{
	struct ct_req *r = req_of_xfer(ct, &f->xfer);
	const struct ct_leg *l = r ? contract_leg(ct, r->leg) : NULL;
	bool done = str_eq(f->outcome, "completed");
	bool given_up = str_eq(f->outcome, "abandoned") || str_eq(f->outcome, "cancelled");

	if (r != NULL)
		r->closed = true;
	if (r == NULL || r->no_sub || r->lost || l == NULL || !in_dialog(l))
		return;
	if (!r->final)
		contract_fail(ct, "closed-untold", "transfer is %s, and its REFER had no final NOTIFY",
			f->outcome);
	else if (r->said_in == ct->step && !r->in_advance &&
		 (done != (r->said == 200) || (given_up && r->said != 487)))
		contract_fail(ct, "told-otherwise", "transfer is %s, and the final NOTIFY says %u",
			f->outcome, r->said);
}

/* Does the step close this transfer as completed? */
static bool completes(const struct core_out *out, const uuid *xfer)
{
	for (unsigned i = 0; i < out->nfacts; i++)
		if (out->facts[i].type == FACT_TRANSFER_CLOSED &&
			uuid_eq(&out->facts[i].transfer_closed.xfer, xfer))
			return str_eq(out->facts[i].transfer_closed.outcome, "completed");
	return false;
}

/* 200 is said when it is true, in the step that makes it true. */
static void check_success_told(struct contract *ct, const struct action *a, const struct core_out *out)
{
	const struct ct_req *r = contract_req(ct, a->notify.cmd);

	if (r == NULL || r->lost || r->said_in != ct->step || r->said >= 300 || r->in_advance)
		return;
	if (!completes(out, &r->xfer))
		leg_fail(ct, a, "success-untrue", "says 200, and the transfer is not completed");
}

/* The call is with somebody elsewhere: the side that has the REFER says so, or it took the REFER, never said
 * anything, and has hung up. */
static void check_released(struct contract *ct, const struct event *ev)
{
	const struct ct_leg *l = contract_leg(ct, ev->leg);
	bool said = ev->type == EV_REFER_NOTIFY && ev->referred.status >= 200 && ev->referred.status < 300;
	bool left = ev->type == EV_BYE || ev->type == EV_GONE || ev->type == EV_RECOVERED;

	if (!said && !(left && l != NULL && l->refer_taken && !l->refer_heard))
		contract_fail(ct, "released-untrue", "nobody has said that the call is elsewhere");
}

static void take_outcomes(struct contract *ct, const struct event *ev, const struct core_out *out)
{
	struct ct_req *r = ev->type == EV_TRANSFER ? contract_req(ct, ev->transfer.cmd) : NULL;

	for (unsigned i = 0; i < out->nfacts && !ct->failed; i++) {
		const struct fact *f = &out->facts[i];

		if (f->type == FACT_TRANSFER_OPENED && r && r->kind == CT_REFER && r->accepted &&
			uuid_is_nil(&r->xfer))
			r->xfer = f->transfer_opened.xfer;
		else if (f->type == FACT_TRANSFER_CLOSED)
			refer_closed(ct, &f->transfer_closed);
		else if (f->type == FACT_SEGMENT_CLOSED &&
			 str_eq(f->segment_closed.outcome, "path_released"))
			check_released(ct, ev);
	}
	for (unsigned i = 0; i < out->nactions && !ct->failed; i++)
		if (out->actions[i].type == ACT_NOTIFY && out->actions[i].notify.final)
			check_success_told(ct, &out->actions[i], out);
}

/* ---- after a step ---------------------------------------------------------------------------- */

/* What the event demanded was done in the same step. */
static void check_demands(struct contract *ct, const struct event *ev)
{
	struct ct_leg *l = contract_leg(ct, ev->leg);
	struct ct_req *r = NULL;

	if (ev->type == EV_TRANSFER)
		r = contract_req(ct, ev->transfer.cmd);
	else if (ev->type >= EV_XFER_CANCEL && ev->type <= EV_RESUME)
		r = contract_req(ct, ev->command.cmd);
	else if (ev->type == EV_AGENT)
		r = contract_req(ct, ev->agent.cmd);
	else if (ev->type == EV_DIAL)
		r = contract_req(ct, ev->dial.cmd);
	else if (ev->type == EV_NOTE)
		r = contract_req(ct, ev->note.cmd);
	else if (ev->type == EV_INFO)
		r = contract_req(ct, ev->info.ref);
	if (r != NULL && r->accepted && !r->no_sub && !r->notified_once)
		contract_fail(ct, "refer-unnotified", "a REFER was accepted without a NOTIFY (R-042)");
	if (ct->stray != ID_NONE)
		contract_fail(ct, "stray-offer-unanswered", "an offer of a leg that is gone");
	if (r != NULL && !r->answered)
		contract_fail(ct, "request-unanswered", "%s got no answer in its step",
			ev_name(ev->type));
	if (l == NULL)
		return;
	if (l->lost && ev->type == EV_RECOVERED)
		contract_fail(ct, "lost-leg-kept", "its dialog is lost, and it was not freed");
	if (l->crossed)
		contract_fail(ct, "late-answer-kept",
			"the 2xx that crossed our CANCEL was not hung up (R-004)");
	if (l->must_hang_up)
		contract_fail(ct, "no-ack-kept", "a leg without ACK was not hung up (R-008)");
	if (l->must_reject)
		contract_fail(ct, "cancel-ignored", "a cancelled INVITE was not answered (R-003)");
	if (l->state == CT_CLOSED && ev->type == EV_CLOSED)
		contract_fail(ct, "leg-not-freed", "CLOSED came and the leg was not freed");
}

static bool is_guarded(const struct ct_leg *l)
{
	return l->state != CT_ENDING || l->timer[TIMER_CLOSE].armed;
}

void contract_step(struct contract *ct, const struct event *ev, const struct core_out *out)
{
	struct ct_leg *l;

	ct->step++;
	take_event(ct, ev, out->leg);
	for (unsigned i = 0; i < out->nactions && !ct->failed; i++)
		take_action(ct, &out->actions[i]);
	if (!ct->failed)
		take_outcomes(ct, ev, out);
	if (ct->failed)
		return;
	check_demands(ct, ev);
	for (unsigned i = 0; i < out->nactions && !ct->failed; i++) {
		l = contract_leg(ct, out->actions[i].leg);
		if (l != NULL && !is_guarded(l))
			contract_fail(ct, "close-unguarded", "a closing leg has no guard");
	}
	l = contract_leg(ct, ev->leg);
	if (l != NULL && !is_guarded(l))
		contract_fail(ct, "close-unguarded", "a leg that ended has no guard");
}

/* ---- another process -------------------------------------------------------------------------- */

void contract_missed(struct contract *ct, const struct event *ev, const struct core_out *out)
{
	take_event(ct, ev, out->leg);
}

static bool is_one_of(call_id id, const call_id *ids, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static void leg_gone(struct contract *ct, struct ct_leg *l)
{
	struct ct_call *k = contract_call(ct, l->id);

	if (k != NULL)
		k->nlegs--;
	HASH_DEL(ct->legs, l);
	free(l);
}

/* What was under way in its dialog is lost; who it was with has what it had before. A hold that it has
 * refused it has refused until it is asked again; whom it hears it is asked anew. */
static void forget_exchange(struct ct_leg *l)
{
	if (l->offer_in || l->none_in || l->ack_due)
		leg_unsays(l);
	l->unnamed = l->unnamed || (l->offer_out && l->named);
	l->offer_in = l->none_in = l->ack_due = l->offer_out = l->owes_ack = false;
	l->peer_ended = l->hangup_sent = l->cancelling = l->crossed = false;
	l->must_hang_up = l->must_reject = l->refer_out = l->recorded = false;
	l->hold_failed = l->hold_failed || l->oa_failed;
	l->oa_failed = false;
	l->refer_lost = l->refer_lost || l->referred != 0;
	l->referred = 0;
	l->asked = 0;
	l->hears = HEARS_PEER;
	l->music[0] = '\0';
	memset(l->timer, 0, sizeof(l->timer));
}

static void leg_reborn(struct ct_leg *l)
{
	forget_exchange(l);
	l->lost = !l->kept;
	l->unsure = l->kept;
	l->untold = false;
	l->state = l->lost ? CT_CLOSED : CT_UP;
}

void contract_died(struct contract *ct, int64_t now, const call_id *ids, unsigned n)
{
	struct ct_leg *l, *lt;
	struct ct_call *k, *kt;
	struct ct_req *r, *rt;

	ct->now = ct->restored_at = now;
	ct->agents = (struct ct_timer){0};
	HASH_ITER (hh, ct->reqs, r, rt)
		r->answered = r->lost = true;
	HASH_ITER (hh, ct->legs, l, lt) {
		if (!l->kept && !is_one_of(l->call, ids, n))
			leg_gone(ct, l);
		else
			leg_reborn(l);
	}
	HASH_ITER (hh, ct->calls, k, kt) {
		k->timer = k->queue = k->place = (struct ct_timer){0};
		if (k->nlegs > 0 || is_one_of(k->id, ids, n))
			continue;
		HASH_DEL(ct->calls, k);
		free(k);
	}
}

static bool is_past(const struct call_view *v, leg_id id)
{
	for (unsigned i = 0; i < v->nlegs; i++)
		if (v->legs[i].id == id)
			return strcmp(v->legs[i].role, "past") == 0;
	return true; /* who is in the call comes first */
}

void contract_reborn(
	struct contract *ct, const struct call_view *v, const leg_id *legs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct ct_leg *l = contract_leg(ct, legs[i]);

		if (l == NULL) { /* made in the step in which it died */
			l = leg_new(ct, legs[i]);
			leg_reborn(l);
		}
		l->call = v->id;
		l->kept = false;
		l->untold = true;
		l->parted = l->parted || is_past(v, l->id);
	}
}

void contract_forget(struct contract *ct, const call_id *ids, unsigned n)
{
	struct ct_leg *l, *lt;
	struct ct_call *k, *kt;

	HASH_ITER (hh, ct->legs, l, lt)
		if (!l->untold)
			leg_gone(ct, l);
	HASH_ITER (hh, ct->calls, k, kt) /* such as a shell whose last leg was freed in the step in which
					  * the process died */
		if (k->nlegs == 0 && !is_one_of(k->id, ids, n)) {
			HASH_DEL(ct->calls, k);
			free(k);
		}
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void sooner(const struct ct_timer *t, uint64_t id, enum timer_kind kind, int64_t *best,
	struct event *ev)
{
	if (!t->armed || t->due > *best || (t->due == *best && ev->type == EV_TIMER))
		return;
	*best = t->due;
	ev->type = EV_TIMER;
	ev->leg = id_legno(id) != 0 ? id : ID_NONE;
	ev->call = id_call(id);
	ev->timer = (struct ev_timer){.kind = kind, .serial = t->serial};
}

bool contract_next_timer(struct contract *ct, int64_t until, struct event *ev)
{
	struct ct_leg *l, *lt;
	struct ct_call *k, *kt;
	int64_t best = until;

	ev->type = EV_AUDIT;
	sooner(&ct->agents, ID_NONE, TIMER_AGENT, &best, ev);
	HASH_ITER (hh, ct->calls, k, kt) {
		sooner(&k->timer, k->id, TIMER_STATE, &best, ev);
		sooner(&k->queue, k->id, TIMER_QUEUE, &best, ev);
		sooner(&k->place, k->id, TIMER_PLACE, &best, ev);
	}
	HASH_ITER (hh, ct->legs, l, lt)
		for (int i = 0; i < (int)timer_kind_count_; i++)
			sooner(&l->timer[i], l->id, (enum timer_kind)i, &best, ev);
	if (ev->type != EV_TIMER)
		return false;
	ev->now = best;
	return true;
}

/* ---- the end --------------------------------------------------------------------------------- */

void contract_end(struct contract *ct)
{
	struct ct_req *r, *rt;
	char id[ID_STRLEN];

	if (ct->legs != NULL)
		contract_fail(
			ct, "leg-left", "leg %s is still there (INV-1)", id_str(ct->legs->id, id));
	if (ct->calls != NULL)
		contract_fail(ct, "call-left", "call %s is still there (INV-1)",
			id_str(ct->calls->id, id));
	HASH_ITER (hh, ct->reqs, r, rt)
		if (!r->answered)
			contract_fail(ct, "request-unanswered", "request %llu was never answered",
				(unsigned long long)r->cmd);
}
