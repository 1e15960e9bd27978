/* progress: 1xx in both directions, with and without 100rel (RFC 3262). */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"

/* ---- to the caller ------------------------------------------------------------------------ */

/* Proxies give up an INVITE of which they hear nothing for three minutes (RFC 3261 section 13.3.1.1). An
 * unreliable 1xx is repeated by the stack; a reliable one is acknowledged, and takes a new one without
 * a session description: what was settled stays (RFC 3262 section 3). */
static void on_progress(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
	struct sip_leg *l = arg;
	const struct action again = {.type = ACT_PROGRESS, .status = l->progress_status};

	sip_enter(l->sip);
	progress_send(l, &again);
	sip_leave(l->sip);
}

static void progress_arm(struct sip_leg *l, uint16_t status)
{
	l->progress_status = status;
	if (l->progress == NULL)
		l->progress = su_timer_create(su_root_task(l->sip->root), 1000);
	if (l->progress != NULL)
		su_timer_set_interval(l->progress, on_progress, l,
			(su_duration_t)l->sip->cfg.progress_ms);
}

void progress_stop(struct sip_leg *l)
{
	if (l->progress != NULL)
		su_timer_destroy(l->progress);
	l->progress = NULL;
}

void progress_send(struct sip_leg *l, const struct action *a)
{
	const char *sdp = NULL;
	size_t len = 0;
	msg_t *msg;

	if (l->state != SIDE_INCOMING || l->invite == NULL)
		return;
	msg = stack_response(l->invite, a->status != 0 ? a->status : 180, a->text);
	if (msg == NULL)
		return;
	if (a->from != ID_NONE && l->first_offer == INVITE_OFFERS)
		sdp = sip_leg_make_sdp(l, SDP_ROLE_ANSWER, a->from, a->dir, &len);
	message_add_capabilities(msg, l);
	message_pass_headers(msg, l, sip_leg_find(l->sip, a->from), HEADER_TRIP_DIALOG);
	if (sdp != NULL)
		message_add_sdp(msg, l->sip, sdp, len);
	trace_message_out(l->sip, l, msg);
	named_known(l);
	if (l->rel != REL_REQUIRED) {
		stack_reply(l->invite, msg);
		return;
	}
	if (stack_reply_reliable(l->invite, msg) == 0 && sdp != NULL)
		l->first_answer = SDP_SETTLED;
	progress_arm(l, a->status);
}

/* ---- from the target ---------------------------------------------------------------------- */

static uint32_t hash_tag(const char *tag)
{
	uint32_t h = 2166136261u;

	for (; tag != NULL && *tag != '\0'; tag++)
		h = (h ^ (uint8_t)*tag) * 16777619u;
	return h;
}

/* Is this reliable 1xx the next of its fork? Repeats and gaps are not. */
static bool reliable_is_next(struct sip_leg *l, const sip_t *response)
{
	uint32_t tag = hash_tag(response->sip_to->a_tag), rseq = response->sip_rseq->rs_response;
	struct reliable *grown;

	for (unsigned i = 0; i < l->nrseq; i++)
		if (l->rseq[i].tag_hash == tag) {
			if (rseq != l->rseq[i].rseq + 1)
				return false;
			l->rseq[i].rseq = rseq;
			return true;
		}
	grown = l->nrseq < RELIABLES_MAX
			? realloc(l->rseq, (l->nrseq + 1) * sizeof(l->rseq[0]))
			: NULL;
	if (grown == NULL)
		return false;
	l->rseq = grown;
	l->rseq[l->nrseq++] = (struct reliable){tag, rseq};
	return true;
}

static void prack_send(struct sip_leg *l, const sip_t *response)
{
	struct stack_dest d;
	sip_rack_t rack[1];
	msg_t *msg = dialog_request(&l->dialog, l->sip->stack, SIP_METHOD_PRACK);

	if (msg == NULL)
		return;
	sip_rack_init(rack);
	rack->ra_response = response->sip_rseq->rs_response;
	rack->ra_cseq = response->sip_cseq->cs_seq;
	rack->ra_method = sip_method_invite;
	rack->ra_method_name = "INVITE";
	sip_add_dup(msg, sip_object(msg), (sip_header_t *)rack);
	dialog_dest(&l->dialog, &d);
	request_send(l, msg, &d, NULL);
}

void progress_receive(struct request *r, const sip_t *response)
{
	struct sip_leg *l = r->leg;
	struct event ev = {.type = EV_PROGRESS};
	bool reliable = response->sip_rseq != NULL && response->sip_to->a_tag != NULL &&
			sip_has_feature(response->sip_require, "100rel");

	if (reliable && !reliable_is_next(l, response))
		return;
	dialog_take_response(&l->dialog, response);
	if (message_allows(response, "UPDATE"))
		l->peer_update = PEER_UPDATE;
	if (reliable)
		prack_send(l, response);
	if (l->state == SIDE_CANCELLING)
		return;
	ev.progress.status = response->sip_status->st_status;
	ev.progress.reliable = reliable;
	message_keep_headers(l, response);
	if (l->first_offer == INVITE_OFFERS && l->first_answer == SDP_OPEN) {
		sip_leg_take_sdp(l, response, SDP_ANSWER, &ev.progress.sdp);
		if (reliable && ev.progress.sdp.what == SDP_ANSWER)
			l->first_answer = SDP_SETTLED;
	}
	sip_emit(l, &ev);
}
