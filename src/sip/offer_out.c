/* offer_out: our offers inside a dialog (ACT_OFFER) and our session refreshes: re-INVITE, or UPDATE
 * where there is no confirmed dialog yet. One exchange at a time; the rest waits. */
#include "config.h"

#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "base/str.h"
#include "sip/internal.h"

#define REFRESH_AGAIN_MS 3000 /* after 491 to a refresh */

/* May an exchange start, and by which request? sip_method_unknown: not now. */
static sip_method_t way(const struct sip_leg *l)
{
	if (l->oa != OA_IDLE)
		return sip_method_unknown;
	if (l->state == SIDE_UP)
		return sip_method_invite;
	if ((l->state == SIDE_CALLING || l->state == SIDE_INCOMING) &&
		l->first_answer == SDP_SETTLED && l->peer_update == PEER_UPDATE)
		return sip_method_update;
	return sip_method_unknown;
}

static void offer_done(struct sip_leg *l, const sip_t *response)
{
	struct event ev = {.type = EV_OA_DONE};

	sip_leg_take_sdp(l, response, SDP_ANSWER, &ev.offer.sdp);
	ev.offer.status = 200;
	sip_leg_commit(l);
	l->oa = OA_IDLE;
	sip_emit(l, &ev);
}

static void offer_failed(struct sip_leg *l, const sip_t *response)
{
	int status = response->sip_status->st_status;
	bool refresh = l->oa == OA_REFRESH;
	bool lost =
		status == 481 || status == 408 ||
		(status == 503 && stack_is_internal(response)); /* no way to the peer any more */

	sip_leg_rollback(l);
	l->oa = OA_IDLE;
	if (lost)
		sip_leg_gone(l, (uint16_t)status, NULL);
	else if (!refresh)
		sip_emit_simple(l, EV_OA_DONE, (uint16_t)status, NULL);
	else if (status == 491)
		session_timer_again(l, REFRESH_AGAIN_MS);
}

static void on_offer_response(struct request *r, const sip_t *response)
{
	struct sip_leg *l = r->leg;
	int status = response->sip_status->st_status;

	if (status < 200)
		return;
	if (status < 300 && r->method == sip_method_invite)
		answer_send_ack(l, NULL, 0);
	if (l->state == SIDE_ENDING || l->state == SIDE_OVER)
		return;
	if (status == 422 && response->sip_min_se != NULL &&
		response->sip_min_se->min_delta > l->min_se) {
		l->min_se = (unsigned)response->sip_min_se->min_delta;
		if (session_timer_repeat(r) == 0)
			return;
	}
	if (status >= 300) {
		offer_failed(l, response);
		return;
	}
	dialog_take_target(&l->dialog, response);
	session_timer_confirm(l, response);
	if (l->oa == OA_SENT) {
		offer_done(l, response);
		return;
	}
	if (r->method == sip_method_invite) {
		struct sdp_note note;

		sip_leg_take_sdp(l, response, SDP_ANSWER, &note);
	}
	sip_leg_commit(l);
	l->oa = OA_IDLE;
}

/* Connected line: the peer is told whom it is with from now on, if it may know: users' phones and
 * trusted peers may (RFC 5876 section 3, R-062). */
static void note_connected(struct sip_leg *l, const struct party *party)
{
	const struct sip_peer *p = peer_by_name(l->sip, l->peer);
	char value[URI_MAX + 2 * NAME_MAX_];

	text_clear(&l->connected);
	if (party->number[0] == '\0' || party->anonymous || (p != NULL && !p->trusted))
		return;
	if (identity_address(l->sip, party, value, sizeof(value)) == 0)
		text_set(&l->connected, value, strlen(value));
}

/* What `from` said last and may say inside a call, and who it is. */
static void add_connected(msg_t *msg, struct sip_leg *l, struct sip_leg *from)
{
	char value[URI_MAX + 2 * NAME_MAX_];

	message_pass_headers(msg, l, from, HEADER_TRIP_DIALOG);
	if (l->connected.n == 0)
		return;
	str_copy_n(value, sizeof(value), l->connected.p, l->connected.n);
	if (message_header(sip_object(msg), "P-Asserted-Identity") == NULL)
		message_add_line(msg, "P-Asserted-Identity", value);
	text_clear(&l->connected);
}

/* from: whose session description it is; NULL: nobody's. */
static int send_offer(struct sip_leg *l, sip_method_t method, struct sip_leg *from, const char *sdp,
	size_t len, enum sip_oa oa)
{
	msg_t *msg = dialog_request(&l->dialog, l->sip->stack, method,
		method == sip_method_invite ? "INVITE" : "UPDATE");
	struct stack_dest d;

	if (msg == NULL)
		return -1;
	message_add_capabilities(msg, l);
	session_timer_offer(l, msg);
	add_connected(msg, l, from);
	if (sdp != NULL)
		message_add_sdp(msg, l->sip, sdp, len);
	dialog_dest(&l->dialog, &d);
	l->oa = oa;
	l->offering = request_send(l, msg, &d, on_offer_response);
	return l->offering != NULL ? 0 : -1;
}

/* The body of the queued offer, once. */
static const char *queued_sdp(struct sip_leg *l, size_t *len)
{
	struct slice before = l->sip->instead;
	const char *sdp;

	l->sip->instead = (struct slice){l->queued_sdp.p, l->queued_sdp.n};
	sdp = sip_leg_make_sdp(l, SDP_ROLE_OFFER, l->queued_from, l->queued_dir, len);
	l->sip->instead = before;
	text_clear(&l->queued_sdp);
	return sdp;
}

static void send_queued_offer(struct sip_leg *l, sip_method_t method)
{
	size_t len = 0;
	const char *sdp = queued_sdp(l, &len);
	struct sip_leg *from = sip_leg_find(l->sip, l->queued_from);

	l->queued = QUEUED_NOTHING;
	if (sdp != NULL && send_offer(l, method, from, sdp, len, OA_SENT) == 0)
		return;
	if (sdp != NULL)
		sip_leg_rollback(l);
	l->oa = OA_IDLE;
	sip_emit_simple(l, EV_OA_DONE, 500, NULL);
}

static void send_refresh(struct sip_leg *l)
{
	size_t len = 0;
	const char *sdp;
	int err;

	l->queued = QUEUED_NOTHING;
	if (l->peer_update == PEER_UPDATE) {
		err = send_offer(l, sip_method_update, NULL, NULL, 0, OA_REFRESH);
	} else {
		sdp = sip_leg_make_sdp(l, SDP_ROLE_OFFER, ID_NONE, SDP_DIR_AS_IS, &len);
		err = send_offer(l, sip_method_invite, NULL, sdp, len, OA_REFRESH);
	}
	if (err != 0)
		l->oa = OA_IDLE;
}

void offer_next(struct sip_leg *l)
{
	sip_method_t method;

	if (l->queued == QUEUED_NOTHING)
		return;
	method = way(l);
	if (method == sip_method_unknown)
		return;
	if (l->queued == QUEUED_OFFER)
		send_queued_offer(l, method);
	else
		send_refresh(l);
}

void offer_send(struct sip_leg *l, const struct action *a)
{
	if (l->state == SIDE_ENDING || l->state == SIDE_OVER || l->state == SIDE_LEAVING)
		return;
	l->queued = QUEUED_OFFER; /* does what a refresh does, too */
	l->queued_from = a->from;
	l->queued_dir = a->dir;
	text_clear(&l->queued_sdp);
	if (l->sip->instead.n > 0)
		text_set(&l->queued_sdp, l->sip->instead.p, l->sip->instead.n);
	note_connected(l, &a->offer.party);
	offer_next(l);
}

void offer_refresh(struct sip_leg *l)
{
	if (l->queued == QUEUED_NOTHING)
		l->queued = QUEUED_REFRESH;
	offer_next(l);
}
