/* offer_in: re-INVITE and UPDATE from the peer. What changes nothing is answered here (E-055); what
 * collides is refused as the RFCs say; the rest is the core's to answer. */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"

static struct sip_leg *leg_of(struct stack_server_sink *sink)
{
	return (struct sip_leg *)((char *)sink - offsetof(struct sip_leg, reinvite_sink));
}

static bool is_invite(const sip_t *request)
{
	return request->sip_request->rq_method == sip_method_invite;
}

/* ---- ACK, CANCEL, silence ------------------------------------------------------------------ */

static void on_ack(struct stack_server_sink *sink, struct stack_server *t, const sip_t *ack)
{
	struct sip_leg *l = leg_of(sink);
	struct event ev = {.type = EV_OA_DONE};
	bool answer = l->oa == OA_ACK_ANSWER;

	sip_enter(l->sip);
	trace_request_in(l->sip, l, NULL, ack);
	stack_server_bind(t, NULL);
	stack_server_release(t);
	l->reinvite = NULL;
	if (answer) {
		sip_leg_take_sdp(l, ack, SDP_ANSWER, &ev.offer.sdp);
		ev.offer.status = 200;
		if (ev.offer.sdp.what != SDP_ANSWER) {
			ev.type = EV_OFFER_WITHDRAWN;
			sip_leg_rollback(l);
		}
		sip_leg_commit(l);
	}
	l->oa = OA_IDLE;
	if (answer && l->state == SIDE_UP)
		sip_emit(l, &ev);
	sip_leg_check(l);
	if (l->state == SIDE_UP)
		offer_next(l);
	sip_leave(l->sip);
}

static void on_cancel(struct stack_server_sink *sink, struct stack_server *t, const sip_t *cancel)
{
	struct sip_leg *l = leg_of(sink);

	sip_enter(l->sip);
	trace_request_in(l->sip, l, NULL, cancel);
	stack_server_bind(t, NULL);
	reply_simple(l->sip, l, t, 487, NULL);
	l->reinvite = NULL;
	sip_leg_rollback(l);
	l->oa = OA_IDLE;
	sip_emit_simple(l, EV_OFFER_WITHDRAWN, 0, NULL);
	sip_leg_check(l);
	if (l->state == SIDE_UP)
		offer_next(l);
	sip_leave(l->sip);
}

static void on_silence(struct stack_server_sink *sink, struct stack_server *t)
{
	struct sip_leg *l = leg_of(sink);
	bool answer = l->oa == OA_ACK_ANSWER;

	sip_enter(l->sip);
	stack_server_bind(t, NULL);
	stack_server_release(t);
	l->reinvite = NULL;
	if (answer)
		sip_leg_rollback(l);
	l->oa = OA_IDLE;
	if (answer) {
		sip_emit_simple(l, EV_OFFER_WITHDRAWN, 0, NULL);
	} else if (l->state == SIDE_UP) { /* */
		sip_emit_simple(l, EV_GONE, 408, "No ACK");
		if (l->state == SIDE_UP)
			bye_send(l, 408, 0, "No ACK");
	}
	sip_leg_check(l);
	sip_leave(l->sip);
}

static const struct stack_server_ops reinvite_ops = {on_ack, on_cancel, on_silence};

void offer_abandon(struct sip_leg *l)
{
	if (l->reinvite == NULL)
		return;
	stack_server_bind(l->reinvite, NULL);
	if (l->oa == OA_RECEIVED || l->oa == OA_WANTED)
		reply_simple(l->sip, l, l->reinvite, 487, NULL);
	else
		stack_server_release(l->reinvite);
	l->reinvite = NULL;
	l->oa = OA_IDLE;
}

/* ---- answers ------------------------------------------------------------------------------ */

/* 2xx to the pending request, with or without a body. */
static void accept_pending(struct sip_leg *l, const char *sdp, size_t len, enum sip_oa after)
{
	msg_t *asked = stack_server_message(l->reinvite);
	msg_t *msg = stack_response(l->reinvite, 200, NULL);
	const sip_t *request = sip_object(asked);
	bool invite = is_invite(request);

	dialog_take_target(&l->dialog, request);
	sip_leg_take_flow(l, l->reinvite);
	if (msg != NULL) {
		message_add_capabilities(msg, l);
		session_timer_answer(l, msg, request);
		if (sdp != NULL)
			message_add_sdp(msg, l->sip, sdp, len);
		trace_message_out(l->sip, l, msg);
		stack_reply(l->reinvite, msg);
	}
	msg_destroy(asked);
	l->oa = after;
	if (!invite) {
		stack_server_release(l->reinvite);
		l->reinvite = NULL;
		l->oa = OA_IDLE;
	}
}

static void refuse_pending(struct sip_leg *l, int status, unsigned retry_after)
{
	stack_server_bind(l->reinvite, NULL);
	if (retry_after != 0)
		reply_retry(l->sip, l, l->reinvite, status, retry_after);
	else
		reply_simple(l->sip, l, l->reinvite, status, NULL);
	l->reinvite = NULL;
	sip_leg_rollback(l);
	l->oa = OA_IDLE;
	if (l->state == SIDE_UP)
		offer_next(l);
}

void offer_answer(struct sip_leg *l, const struct action *a)
{
	enum sdp_role role = l->oa == OA_WANTED ? SDP_ROLE_OFFER : SDP_ROLE_ANSWER;
	const char *sdp;
	size_t len = 0;

	if (l->reinvite == NULL || (l->oa != OA_RECEIVED && l->oa != OA_WANTED))
		return;
	sdp = sip_leg_make_sdp(l, role, a->from, a->dir, &len);
	if (sdp == NULL) {
		refuse_pending(l, 488, 0);
		return;
	}
	accept_pending(l, sdp, len, role == SDP_ROLE_OFFER ? OA_ACK_ANSWER : OA_ACK);
	if (role == SDP_ROLE_ANSWER)
		sip_leg_commit(l);
	if (l->state == SIDE_UP)
		offer_next(l);
}

void offer_reject(struct sip_leg *l, const struct action *a)
{
	if (l->reinvite == NULL || (l->oa != OA_RECEIVED && l->oa != OA_WANTED))
		return;
	refuse_pending(l, a->status >= 300 ? a->status : 488, a->retry_after);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* Refuses what may not come now: 0 if it may, else the status (500: with Retry-After). */
static int collision(const struct sip_leg *l, const sip_t *request, bool offers)
{
	bool settled = l->first_answer == SDP_SETTLED;

	if (is_invite(request) && l->state != SIDE_UP)
		return l->state == SIDE_INCOMING ? 500 : 491;
	if (offers && l->state == SIDE_INCOMING && !settled)
		return 500;
	if (offers && l->state == SIDE_CALLING && !settled)
		return 491;
	switch (l->oa) {
	case OA_RECEIVED:
	case OA_WANTED:
		return 500;
	case OA_SENT:
	case OA_REFRESH:
	case OA_ACK:
	case OA_ACK_ANSWER:
		return offers || is_invite(request) ? 491 : 0;
	case OA_IDLE:
	default:
		return 0;
	}
}

/* UPDATE without an offer: target and timer, no matter what else goes on. */
static void refresh_by_update(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	msg_t *msg = stack_response(t, 200, NULL);

	dialog_take_target(&l->dialog, request);
	sip_leg_take_flow(l, t);
	if (msg != NULL) {
		message_add_capabilities(msg, l);
		session_timer_answer(l, msg, request);
	}
	reply_final(l->sip, l, t, msg);
	sip_emit_simple(l, EV_REFRESH, 0, NULL);
}

/* Says nothing new: answered with what we said last. */
static bool refresh_by_offer(struct sip_leg *l, const sip_t *request)
{
	size_t len = 0;
	const char *sdp = sip_leg_make_sdp(l, SDP_ROLE_ANSWER, ID_NONE, SDP_DIR_AS_IS, &len);

	if (sdp == NULL)
		return false;
	accept_pending(l, sdp, len, OA_ACK);
	sip_leg_commit(l);
	sip_emit_simple(l, EV_REFRESH, 0, NULL);
	return true;
}

static void take_pending(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	l->reinvite = t;
	l->reinvite_sink.ops = &reinvite_ops;
	if (is_invite(request))
		stack_server_bind(t, &l->reinvite_sink);
}

void offer_receive(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	struct event ev = {.type = EV_OFFER};
	struct slice sdp;
	bool offers = sip_leg_sdp_of(request, &sdp) != 0;
	int status = collision(l, request, offers);

	if (is_invite(request) && request->sip_replaces != NULL)
		status = 488; /* */
	if (status == 500)
		reply_retry(l->sip, l, t, 500, 1 + (unsigned)(sip_random(l->sip) % 9));
	else if (status != 0)
		reply_simple(l->sip, l, t, status, NULL);
	if (status != 0 || !message_check_body(l->sip, l, t, request) ||
		!session_timer_check(l, t, request))
		return;
	if (!offers && !is_invite(request)) {
		refresh_by_update(l, t, request);
		return;
	}
	take_pending(l, t, request);
	if (!offers) {
		l->oa = OA_WANTED;
		ev.type = EV_OFFER_NONE;
		sip_emit(l, &ev);
		return;
	}
	sip_leg_take_sdp(l, request, SDP_OFFER, &ev.offer.sdp);
	if (ev.offer.sdp.what != SDP_OFFER) {
		l->oa = OA_WANTED; /* nothing to roll back */
		refuse_pending(l, 488, 0);
		return;
	}
	l->oa = OA_RECEIVED;
	if (ev.offer.sdp.same && refresh_by_offer(l, request))
		return;
	sip_emit(l, &ev);
}
