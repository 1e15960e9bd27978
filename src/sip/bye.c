/* bye: ends legs, ours and theirs. */
#include "config.h"

#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"

void bye_send(struct sip_leg *l, uint16_t status, uint16_t q850, const char *text)
{
	msg_t *msg;
	struct stack_dest d;

	l->state = SIDE_ENDING;
	session_timer_stop(l);
	offer_abandon(l);
	msg = dialog_request(&l->dialog, l->sip->stack, SIP_METHOD_BYE);
	if (msg != NULL) {
		if (status != 0 || q850 != 0)
			message_add_reason(msg, status, q850, text);
		dialog_dest(&l->dialog, &d);
		request_send(l, msg, &d, NULL);
	}
	sip_leg_end(l);
}

void bye_hangup(struct sip_leg *l, const struct action *a)
{
	switch (l->state) {
	case SIDE_CALLING:
		if (l->calling != NULL)
			invite_cancel(l, a);
		break;
	case SIDE_INCOMING:
		answer_reject(l, a);
		break;
	case SIDE_ANSWERED: /* no BYE before the ACK */
		l->state = SIDE_LEAVING;
		l->bye_status = a->status;
		l->bye_q850 = a->q850;
		break;
	case SIDE_LATE:
		answer_send_ack(l, NULL, 0);
		if (l->calling != NULL)
			request_forget(l->calling);
		bye_send(l, a->status, a->q850, a->text);
		break;
	case SIDE_UP:
		bye_send(l, a->status, a->q850, a->text);
		break;
	case SIDE_CANCELLING:
	case SIDE_LEAVING:
	case SIDE_ENDING:
	case SIDE_OVER:
	default:
		break; /* CLOSED follows or was reported */
	}
}

/* The caller left before our final answer, or before his ACK. */
static void close_invite(struct sip_leg *l)
{
	if (l->invite == NULL)
		return;
	stack_server_bind(l->invite, NULL);
	/* a 2xx that waits for a PRACK is no answer yet (RFC 3261 section 15.1.2) */
	if (l->state == SIDE_INCOMING || !stack_server_answered(l->invite))
		reply_simple(l->sip, l, l->invite, 487, NULL);
	else
		stack_server_release(l->invite);
	l->invite = NULL;
}

void bye_receive(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	struct event ev = {.type = l->state == SIDE_INCOMING ? EV_CANCEL : EV_BYE};

	if (l->state == SIDE_CALLING || l->state == SIDE_CANCELLING) {
		reply_simple(l->sip, l, t, 481, NULL); /* a callee has nothing to say BYE to yet */
		return;
	}
	if (l->state == SIDE_ENDING || l->state == SIDE_OVER) {
		reply_simple(l->sip, l, t, 200, NULL); /* it crossed ours (E-004) */
		return;
	}
	if (l->state == SIDE_LATE) {
		answer_send_ack(l, NULL, 0);
		if (l->calling != NULL)
			request_forget(l->calling);
	}
	close_invite(l);
	ev.reject.q850 = message_q850(request);
	if (request->sip_reason != NULL && request->sip_reason->re_text != NULL)
		str_set(ev.reject.text, request->sip_reason->re_text);
	l->state = SIDE_ENDING;
	offer_abandon(l);
	sip_emit(l, &ev);
	reply_simple(l->sip, l, t, 200, NULL); /* on record: without that it had better come again */
	sip_leg_end(l);
}
