/*
 * notify: the subscription that a REFER creates. Every accepted REFER ends with exactly one
 * EV_NOTIFY_DONE for its final ACT_NOTIFY, whatever the phone does. One NOTIFY is under way at a
 * time, so they arrive in order; of what waits only the newest is sent.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/refer.h"

/* A NOTIFY must not follow a BYE into the ended usage of a call (E-001); a dialog of its own lives as
 * long as the leg is here. */
static bool may_notify(const struct refer *r)
{
	return r->own != NULL ? r->leg->state != SIDE_OVER : r->leg->state == SIDE_UP;
}

/* ---- NOTIFY ------------------------------------------------------------------------------- */

static void notify_done(struct refer *r, uint16_t status)
{
	struct event ev = {.type = EV_NOTIFY_DONE};

	ev.notify.cmd = r->cmd;
	ev.notify.status = status;
	r->state = REFER_FINISHED;
	sip_emit(r->leg, &ev);
}

static void notify_send(struct refer *r, bool final, const char *reason);
static void notify_final(struct refer *r);
static void notify_goodbye(struct refer *r, const char *reason);

static void on_notify_response(struct request *q, const sip_t *response)
{
	struct sip *s = q->leg->sip;
	struct refer *r = refer_find(s, q->ref);
	int status = response->sip_status->st_status;
	enum refer_waits waits;

	if (r == NULL || status < 200)
		return;
	r->notify = NULL;
	waits = r->waits;
	r->waits = NOTHING_WAITS;
	if (r->state == REFER_FINAL) {
		notify_done(r, stack_is_internal(response) ? 0 : (uint16_t)status);
		return;
	}
	if (status >= 300 && r->state == REFER_ACTIVE)
		r->state = REFER_SILENT; /* they want no more; the transfer goes on (E-006) */
	if (waits == GOODBYE_WAITS)
		notify_goodbye(r, r->reason);
	else if (waits == NOTIFY_WAITS && r->state == REFER_ACTIVE && may_notify(r))
		notify_send(r, false, "");
	else if (waits == FINAL_WAITS && r->state == REFER_ACTIVE && may_notify(r))
		notify_final(r);
	else if (waits == FINAL_WAITS)
		notify_done(r, (uint16_t)status);
}

static void notify_add_headers(msg_t *msg, struct refer *r, bool final, const char *reason)
{
	char value[64], body[TEXT_MAX + 32];
	sip_t *sip = sip_object(msg);
	sip_payload_t *pl;
	const char *phrase = r->text[0] != '\0' ? r->text : sip_status_phrase(r->status);

	snprintf(value, sizeof(value), "refer;id=%u", r->id);
	message_add_line(msg, "Event", value);
	if (final)
		snprintf(value, sizeof(value), "terminated;reason=%s", reason);
	else
		snprintf(value, sizeof(value), "active;expires=%u", SUBSCRIPTION_S);
	message_add_line(msg, "Subscription-State", value);
	sip_add_dup(msg, sip, (sip_header_t *)refer_dialog(r)->contact);
	sip_add_dup(msg, sip, (sip_header_t *)r->leg->sip->user_agent);
	sip_add_dup(msg, sip, (sip_header_t *)r->leg->sip->type_sipfrag);
	snprintf(body, sizeof(body), "SIP/2.0 %u %s\r\n", r->status, phrase != NULL ? phrase : "");
	pl = sip_payload_create(msg_home(msg), body, (isize_t)strlen(body));
	if (pl != NULL)
		msg_header_insert(msg, (msg_pub_t *)sip, (msg_header_t *)pl);
}

static void notify_send(struct refer *r, bool final, const char *reason)
{
	struct sip_leg *l = r->leg;
	struct dialog *dialog = refer_dialog(r);
	msg_t *msg = dialog_request(dialog, l->sip->stack, SIP_METHOD_NOTIFY);
	struct stack_dest d;

	if (msg != NULL) {
		notify_add_headers(msg, r, final, reason);
		dialog_dest(dialog, &d);
		r->notify = request_send(l, msg, &d, on_notify_response);
	}
	if (r->notify != NULL)
		r->notify->ref = r->cmd, r->notify->dialog = dialog;
}

/* The outcome; EV_NOTIFY_DONE follows. */
static void notify_final(struct refer *r)
{
	r->state = REFER_FINAL;
	notify_send(r, true, "noresource");
	if (r->notify == NULL)
		notify_done(r, 0);
}

/* Ends the subscription for the peer; the transfer goes on. */
static void notify_goodbye(struct refer *r, const char *reason)
{
	if (r->waits == FINAL_WAITS)
		return; /* says it as well */
	if (r->state == REFER_ACTIVE)
		r->state = REFER_SILENT;
	if (r->notify != NULL) {
		r->waits = GOODBYE_WAITS;
		r->reason = reason;
	} else if (may_notify(r)) {
		notify_send(r, true, reason);
	}
}

/* The subscription of a command that we no longer know: the core still waits for the end. */
static void notify_unknown(struct sip *s, const struct action *a)
{
	struct event ev = {.type = EV_NOTIFY_DONE, .leg = a->leg, .call = id_call(a->leg)};

	if (!a->notify.final)
		return;
	ev.notify.cmd = a->notify.cmd;
	s->hooks.emit(s->hooks.arg, &ev);
}

void refer_notify(struct sip *s, const struct action *a)
{
	struct refer *r = refer_find(s, a->notify.cmd);

	if (r == NULL || r->state == REFER_FINAL || r->state == REFER_FINISHED) {
		notify_unknown(s, a);
		return;
	}
	r->status = a->status;
	str_set(r->text, a->text);
	if (r->state == REFER_ASKED && r->t == NULL)
		r->state = REFER_ACTIVE; /* it was accepted, in the process before */
	if (r->state != REFER_ACTIVE || !may_notify(r)) {
		if (a->notify.final)
			notify_done(r, 0);
		return;
	}
	if (r->notify != NULL)
		r->waits = a->notify.final ? FINAL_WAITS : NOTIFY_WAITS;
	else if (a->notify.final)
		notify_final(r);
	else
		notify_send(r, false, "");
}

/* ---- SUBSCRIBE ---------------------------------------------------------------------------- */

static bool is_of(const struct refer *r, const sip_event_t *o)
{
	return r->state == REFER_ACTIVE &&
	       (o->o_id == NULL || strtoul(o->o_id, NULL, 10) == r->id);
}

static struct refer *refer_of_event(struct sip_leg *l, const sip_event_t *o)
{
	struct refer *r = l->refers;

	while (r != NULL && (r->own != NULL || !is_of(r, o)))
		r = r->next;
	return r;
}

/* Nothing but a REFER can be subscribed to. False: it has been answered. */
static bool event_check(
	struct sip *s, struct sip_leg *l, struct stack_server *t, const sip_event_t *o)
{
	msg_t *msg;

	if (o != NULL && o->o_type != NULL && strcasecmp(o->o_type, "refer") == 0)
		return true;
	msg = stack_response(t, 489, NULL);
	if (msg != NULL)
		message_add_line(msg, "Allow-Events", "refer");
	reply_final(s, l, t, msg);
	return false;
}

/* Refresh or end of the subscription (E-077). */
static void subscription_take(struct refer *r, struct stack_server *t, const sip_t *request)
{
	unsigned long expires =
		request->sip_expires != NULL ? request->sip_expires->ex_delta : SUBSCRIPTION_S;
	msg_t *msg = stack_response(t, 200, NULL);
	char value[16];

	snprintf(value, sizeof(value), "%lu", expires > SUBSCRIPTION_S ? SUBSCRIPTION_S : expires);
	if (msg != NULL) {
		message_add_line(msg, "Expires", value);
		sip_add_dup(msg, sip_object(msg), (sip_header_t *)refer_dialog(r)->contact);
	}
	reply_final(r->leg->sip, r->leg, t, msg);
	if (expires == 0)
		notify_goodbye(r, "timeout");
	else if (r->notify == NULL)
		notify_send(r, false, "");
}

void refer_subscribe(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	struct refer *r;

	if (!event_check(l->sip, l, t, request->sip_event))
		return;
	r = refer_of_event(l, request->sip_event);
	if (r == NULL || l->state != SIDE_UP)
		reply_simple(l->sip, l, t, 403, NULL); /* */
	else
		subscription_take(r, t, request);
}

bool refer_receive_own(struct sip *s, struct stack_server *t, const sip_t *request)
{
	struct refer *r = refer_by_tag(s, request->sip_to->a_tag);
	uint32_t cseq = request->sip_cseq->cs_seq;

	if (r == NULL || !dialog_matches(r->own, request))
		return false;
	trace_request_in(s, r->leg, t, request);
	if (cseq < r->own->remote_cseq) {
		reply_simple(s, r->leg, t, 500, "CSeq Out of Order");
		return true;
	}
	r->own->remote_cseq = cseq;
	if (request->sip_request->rq_method != sip_method_subscribe)
		reply_simple(s, r->leg, t, 481, NULL);
	else if (!event_check(s, r->leg, t, request->sip_event))
		return true;
	else if (is_of(r, request->sip_event))
		subscription_take(r, t, request);
	else
		reply_simple(s, r->leg, t, 403, NULL);
	return true;
}

void refer_leg_ends(struct sip_leg *l)
{
	for (struct refer *r = l->refers; r != NULL; r = r->next)
		if (r->own != NULL && r->state == REFER_ACTIVE)
			notify_goodbye(r, "noresource");
}
