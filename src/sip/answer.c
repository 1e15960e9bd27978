/* answer: final responses to an INVITE in both directions, and the ACK. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"
#include "sip/print.h"

/* ---- ours --------------------------------------------------------------------------------- */

void answer_send(struct sip_leg *l, const struct action *a)
{
	const char *sdp = NULL;
	size_t len = 0;
	msg_t *msg, *asked;

	if (l->state != SIDE_INCOMING || l->invite == NULL)
		return;
	if (a->from != ID_NONE)
		sdp = sip_leg_make_sdp(l,
			l->first_offer == INVITE_OFFERS ? SDP_ROLE_ANSWER : SDP_ROLE_OFFER, a->from,
			a->dir, &len);
	msg = stack_response(l->invite, a->status != 0 ? a->status : 200, a->text);
	asked = stack_server_message(l->invite);
	if (msg == NULL || asked == NULL)
		return;
	message_add_capabilities(msg, l);
	session_timer_answer(l, msg, sip_object(asked));
	msg_destroy(asked);
	message_pass_headers(msg, l, sip_leg_find(l->sip, a->from), HEADER_TRIP_DIALOG);
	if (sdp != NULL)
		message_add_sdp(msg, l->sip, sdp, len);
	print_add_constant(msg, l->sip->server);
	trace_message_out(l->sip, l, msg);
	l->state = SIDE_ANSWERED;
	stack_reply(l->invite, msg);
	if (l->first_offer == INVITE_OFFERS)
		sip_leg_commit(l);
}

/* What a target told us about our own request is not for the caller: his would be another. */
static int passable_status(int status)
{
	switch (status) {
	case 401:
	case 407:
		return 403;
	case 420:
	case 421:
	case 422:
	case 423:
	case 494:
		return 500;
	default:
		return status >= 300 ? status : 480;
	}
}

void answer_reject(struct sip_leg *l, const struct action *a)
{
	msg_t *msg;
	char value[16];
	int status;

	if (l->state != SIDE_INCOMING || l->invite == NULL)
		return;
	status = passable_status(a->status);
	msg = stack_response(l->invite, status, status == a->status ? a->text : NULL);
	if (msg != NULL && a->retry_after != 0) {
		snprintf(value, sizeof(value), "%u", a->retry_after);
		message_add_line(msg, "Retry-After", value);
	}
	if (msg != NULL && a->q850 != 0)
		message_add_reason(msg, 0, a->q850, NULL);
	if (msg != NULL && a->from != ID_NONE)
		message_pass_headers(msg, l, sip_leg_find(l->sip, a->from), HEADER_TRIP_DIALOG);
	reply_final(l->sip, l, l->invite, msg);
	l->invite = NULL;
	sip_leg_end(l);
}

void answer_got_ack(struct sip_leg *l, const sip_t *ack)
{
	struct event ev = {.type = EV_ACK};
	bool leaving = l->state == SIDE_LEAVING;

	trace_request_in(l->sip, l, NULL, ack);
	stack_server_release(l->invite);
	l->invite = NULL;
	if (l->state != SIDE_ANSWERED && !leaving) {
		sip_leg_check(l);
		return;
	}
	l->state = SIDE_UP;
	if (leaving) {
		bye_send(l, l->bye_status, l->bye_q850, NULL);
		return;
	}
	named_known(l);
	if (l->first_offer == INVITE_LATE)
		sip_leg_take_sdp(l, ack, SDP_ANSWER, &ev.offer.sdp);
	sip_emit(l, &ev);
	if (l->state == SIDE_UP)
		offer_next(l);
}

void answer_no_ack(struct sip_leg *l)
{
	bool answered = l->state == SIDE_ANSWERED, leaving = l->state == SIDE_LEAVING;

	stack_server_bind(l->invite, NULL);
	stack_server_release(l->invite); /* before a final answer: a 503 goes out by itself */
	l->invite = NULL;
	if (answered || leaving) {
		l->state = SIDE_UP;
		if (leaving)
			bye_send(l, l->bye_status, l->bye_q850, NULL);
		else
			sip_emit_simple(l, EV_NO_ACK, 0, NULL);
		return;
	}
	if (l->state == SIDE_INCOMING) { /* our reliable 1xx was never acknowledged */
		l->state = SIDE_ENDING;
		sip_emit_simple(l, EV_CANCEL, 408, "No PRACK");
	}
	sip_leg_end(l);
}

/* ---- theirs ------------------------------------------------------------------------------- */

void answer_send_ack(struct sip_leg *l, const char *sdp, size_t len)
{
	msg_t *msg = dialog_request(&l->dialog, l->sip->stack, SIP_METHOD_ACK);
	struct stack_dest d;

	if (msg == NULL)
		return;
	if (sdp != NULL)
		message_add_sdp(msg, l->sip, sdp, len);
	dialog_dest(&l->dialog, &d);
	trace_message_out(l->sip, l, msg);
	stack_send_ack(l->sip->stack, msg, &d);
}

void answer_ack(struct sip_leg *l, const struct action *a)
{
	const char *sdp;
	size_t len = 0;

	if (l->state != SIDE_LATE)
		return;
	sdp = sip_leg_make_sdp(l, SDP_ROLE_ANSWER, a->from, a->dir, &len);
	answer_send_ack(l, sdp, len);
	sip_leg_commit(l);
	l->state = SIDE_UP;
	if (l->calling != NULL)
		request_forget(l->calling);
	offer_next(l);
}

/* If we die before it is on record, the 2xx comes again, to nobody (stray.c, E-124). */
void answer_ack_owed(struct sip *s)
{
	struct sip_leg *l = s->unacked;

	s->unacked = NULL;
	if (l != NULL)
		answer_send_ack(l, NULL, 0);
}

static void answered(struct sip_leg *l, const sip_t *response)
{
	struct event ev = {.type = EV_ANSWER};

	dialog_take_response(&l->dialog, response);
	l->peer_update = message_allows(response, "UPDATE") ? PEER_UPDATE : PEER_NO_UPDATE;
	message_note_refer(l, response);
	if (response->sip_user_agent != NULL)
		str_set(l->user_agent, response->sip_user_agent->g_string);
	else if (response->sip_server != NULL)
		str_set(l->user_agent, response->sip_server->g_string);
	message_keep_headers(l, response);
	ev.answer.status = response->sip_status->st_status;
	ev.answer.immediate = device_is_immediate(l->sip, l);
	ev.answer.bye = device_bye_policy(l->sip, l);
	l->state = SIDE_UP;
	if (l->first_offer == INVITE_LATE) {
		sip_leg_take_sdp(l, response, SDP_OFFER, &ev.answer.sdp);
		if (ev.answer.sdp.what == SDP_OFFER)
			l->state = SIDE_LATE;
	} else if (l->first_answer == SDP_OPEN) {
		sip_leg_take_sdp(l, response, SDP_ANSWER, &ev.answer.sdp);
		sip_leg_commit(l);
	}
	named_known(l);
	if (l->state == SIDE_UP)
		l->sip->unacked = l;
	session_timer_confirm(l, response);
	sip_emit(l, &ev);
	answer_ack_owed(l->sip);
}

/* Nobody wants it any more: ACK and BYE. */
static void answered_too_late(struct sip_leg *l, const sip_t *response)
{
	dialog_take_response(&l->dialog, response);
	answer_send_ack(l, NULL, 0);
	bye_send(l, 0, 0, NULL);
}

static void redirected(struct sip_leg *l, const sip_t *response)
{
	struct event ev = {.type = EV_REDIRECT};
	const sip_contact_t *m;
	char text[URI_MAX];
	struct uri u;

	ev.reject.status = response->sip_status->st_status;
	str_set(ev.reject.text, response->sip_status->st_phrase);
	for (m = response->sip_contact; m != NULL; m = m->m_next) {
		if (url_e(text, sizeof(text), m->m_url) >= (issize_t)sizeof(text) ||
			uri_parse_str(text, &u) != URI_OK || u.user[0] == '\0')
			continue;
		number_clean(ev.reject.number, sizeof(ev.reject.number), u.user);
		ev.reject.own_host =
			u.scheme == URI_TEL || peer_is_own_host(l->sip, u.host, u.port);
		break;
	}
	sip_emit(l, &ev);
}

static void rejected(struct sip_leg *l, const sip_t *response)
{
	struct event ev = {.type = EV_REJECT};

	ev.reject.status = response->sip_status->st_status;
	ev.reject.q850 = message_q850(response);
	str_set(ev.reject.text, response->sip_status->st_phrase);
	sip_emit(l, &ev);
}

/* 422: once more with what they want (RFC 4028 section 7.3, E-034). */
static bool retry_interval(struct request *r, const sip_t *response)
{
	struct sip_leg *l = r->leg;
	unsigned min = response->sip_min_se != NULL ? response->sip_min_se->min_delta : 0;

	if (min <= l->min_se || min > 86400)
		return false;
	l->min_se = min;
	return session_timer_repeat(r) == 0;
}

static void drop_options(msg_t *msg, void *arg)
{
	sip_t *sip = sip_object(msg);
	msg_pub_t *pub = (msg_pub_t *)sip;

	if (sip->sip_supported != NULL)
		msg_header_remove(msg, pub, (msg_header_t *)sip->sip_supported);
	if (sip->sip_session_expires != NULL)
		msg_header_remove(msg, pub, (msg_header_t *)sip->sip_session_expires);
	if (sip->sip_min_se != NULL)
		msg_header_remove(msg, pub, (msg_header_t *)sip->sip_min_se);
}

/* 420: once more without the options that we added (E-034). */
static bool retry_plain(struct request *r)
{
	if (r->tried & TRIED_PLAIN)
		return false;
	r->tried |= TRIED_PLAIN;
	return request_repeat(r, NULL, drop_options, NULL) == 0;
}

void answer_receive(struct request *r, const sip_t *response)
{
	struct sip_leg *l = r->leg;
	int status = response->sip_status->st_status;

	if (status < 200) {
		progress_receive(r, response);
		return;
	}
	if (status < 300) {
		if (l->state == SIDE_ENDING || l->state == SIDE_OVER)
			answered_too_late(l, response);
		else
			answered(l, response);
		return;
	}
	if (l->state == SIDE_CALLING) {
		if (status == 422 && retry_interval(r, response))
			return;
		if (status == 420 && retry_plain(r))
			return;
		if (invite_failover(l, response) == 0)
			return;
	}
	if (l->state == SIDE_ENDING || l->state == SIDE_OVER)
		return;
	l->state = SIDE_ENDING;
	if (status < 400)
		redirected(l, response);
	else
		rejected(l, response);
	sip_leg_end(l);
}
