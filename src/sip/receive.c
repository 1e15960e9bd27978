/* receive: takes every new request, finds its leg and its verb, refuses what is nobody's. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"

/* Options that a Require of a peer may name. */
static const char *const understood[] = {"100rel", "timer", "replaces", "norefersub", "nosub",
	"tdialog", "path", "outbound", "gruu", NULL};

static bool option_is_understood(const char *option)
{
	for (unsigned i = 0; understood[i] != NULL; i++)
		if (strcasecmp(understood[i], option) == 0)
			return true;
	return false;
}

/* 420 with the options that we lack (RFC 3261 section 8.2.2.3). */
static bool require_check(
	struct sip *s, struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	char lacking[256] = "";
	msg_t *msg;

	for (const sip_require_t *k = request->sip_require; k != NULL; k = k->k_next)
		for (unsigned i = 0; k->k_items != NULL && k->k_items[i] != NULL; i++)
			if (!option_is_understood(k->k_items[i])) {
				if (lacking[0] != '\0')
					str_append(lacking, sizeof(lacking), ", ");
				str_append(lacking, sizeof(lacking), k->k_items[i]);
			}
	if (lacking[0] == '\0')
		return true;
	msg = stack_response(t, 420, NULL);
	if (msg != NULL)
		message_add_line(msg, "Unsupported", lacking);
	reply_final(s, l, t, msg);
	return false;
}

static void receive_in_dialog(
	struct sip *s, struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	uint32_t cseq = request->sip_cseq->cs_seq;

	trace_request_in(s, l, t, request);
	if (cseq < l->dialog.remote_cseq) {
		reply_simple(s, l, t, 500, "CSeq Out of Order");
		return;
	}
	l->dialog.remote_cseq = cseq;
	if (request->sip_request->rq_method == sip_method_bye) {
		bye_receive(l, t, request);
		return;
	}
	if (l->state == SIDE_ENDING || l->state == SIDE_OVER || l->state == SIDE_LEAVING) {
		if (request->sip_request->rq_method == sip_method_subscribe)
			refer_subscribe(l, t, request);
		else if (request->sip_request->rq_method == sip_method_notify)
			refer_notified(l, t, request); /* the usage goes on */
		else
			reply_simple(s, l, t, 481, NULL);
		return;
	}
	if (!require_check(s, l, t, request))
		return;
	switch (request->sip_request->rq_method) {
	case sip_method_invite:
	case sip_method_update:
		offer_receive(l, t, request);
		break;
	case sip_method_info:
		info_receive(l, t, request);
		break;
	case sip_method_refer:
		refer_receive(l, t, request);
		break;
	case sip_method_subscribe:
		refer_subscribe(l, t, request);
		break;
	case sip_method_options:
		other_options(s, t, request);
		break;
	case sip_method_notify:
		refer_notified(l, t, request);
		break;
	case sip_method_cancel: /* of nothing that is pending */
	case sip_method_prack:
		reply_simple(s, l, t, 481, NULL);
		break;
	default:
		other_unknown(s, l, t, request);
		break;
	}
}

static void receive_out_of_dialog(struct sip *s, struct stack_server *t, const sip_t *request)
{
	if (!require_check(s, NULL, t, request))
		return;
	switch (request->sip_request->rq_method) {
	case sip_method_invite:
		invite_receive(s, t, request);
		break;
	case sip_method_register:
		register_receive(s, t, request);
		break;
	case sip_method_options:
		other_options(s, t, request);
		break;
	case sip_method_refer:
		refer_receive_outside(s, t, request);
		break;
	case sip_method_cancel:
	case sip_method_bye:
	case sip_method_update:
	case sip_method_info:
	case sip_method_prack:
	case sip_method_notify:
		reply_simple(s, NULL, t, 481, NULL);
		break;
	default:
		other_unknown(s, NULL, t, request);
		break;
	}
}

/* Replaces asks for a dialog in the place of another: only INVITE can (RFC 3891 section 3, R-051).
 * What ends something is not refused for what else it says. */
static bool replaces_misplaced(struct sip *s, struct stack_server *t, const sip_t *request)
{
	sip_method_t method = request->sip_request->rq_method;

	if (request->sip_replaces == NULL || method == sip_method_invite ||
		method == sip_method_bye || method == sip_method_cancel)
		return false;
	reply_simple(s, NULL, t, 400, "Replaces Needs INVITE");
	return true;
}

void receive_request(void *sip, struct stack_server *t, const sip_t *request)
{
	struct sip *s = sip;
	const char *tag = request->sip_to->a_tag;
	struct sip_leg *l;

	sip_enter(s);
	if (replaces_misplaced(s, t, request))
		goto out;
	if (tag == NULL) {
		trace_request_in(s, NULL, t, request);
		receive_out_of_dialog(s, t, request);
		goto out;
	}
	l = sip_leg_by_tag(s, tag);
	if (l != NULL && dialog_matches(&l->dialog, request))
		receive_in_dialog(s, l, t, request);
	else if (!refer_receive_own(s, t, request))
		reply_simple(s, NULL, t, 481, NULL);
out:
	sip_leave(s);
}
