/*
 * stray: a 2xx to an INVITE that nothing here waits for. The process before sent that INVITE, and has died
 * (E-124). If the dialog was kept it gets its ACK, or its peer would hang up after 64*T1; if not, who has
 * picked up is told at once that nobody is there (RFC 3261 section 13.2.2.4: ACK, then BYE). Both go to
 * where the 2xx came from, and nowhere else, whatever it says.
 */
#include "config.h"

#include <stdio.h>

#include <sofia-sip/sip_header.h>

#include "sip/internal.h"

/* An ACK for the INVITE with that CSeq, whichever was the last. */
static void acknowledge(struct sip *s, struct sip_leg *l, struct dialog *d, uint32_t cseq,
	const struct stack_dest *to)
{
	uint32_t newest = d->invite_cseq;
	msg_t *msg;

	d->invite_cseq = cseq;
	msg = dialog_request(d, s->stack, SIP_METHOD_ACK);
	d->invite_cseq = newest;
	if (msg == NULL)
		return;
	trace_message_out(s, l, msg);
	stack_send_late_ack(s->stack, msg, to);
}

static void hang_up(struct sip *s, struct dialog *d, const struct stack_dest *to)
{
	msg_t *msg = dialog_request(d, s->stack, SIP_METHOD_BYE);

	if (msg == NULL)
		return;
	trace_message_out(s, NULL, msg);
	stack_send_alone(s->stack, msg, to);
}

static bool is_peer(const struct dialog *d, const sip_t *response)
{
	return str_eq(d->call_id->i_id, response->sip_call_id->i_id) &&
	       str_eq(d->remote->a_tag, response->sip_to->a_tag);
}

static void source_dest(const struct stack_addr *from, struct stack_dest *d)
{
	bool v6 = strchr(from->host, ':') != NULL;

	snprintf(d->uri, sizeof(d->uri), "sip:%s%s%s:%u;transport=%s", v6 ? "[" : "", from->host,
		v6 ? "]" : "", from->port, from->proto);
	d->listener = from->listener;
}

static void decline(struct sip *s, const sip_t *response, const struct stack_addr *from,
	const struct stack_dest *to)
{
	struct dialog d = {.next_listener = -1};

	if (dialog_init_answered(&d, response) == 0) {
		log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "answer_to_nobody", "source", from->host,
			"sip_call_id", response->sip_call_id->i_id, NULL);
		acknowledge(s, NULL, &d, d.invite_cseq, to);
		hang_up(s, &d, to);
	}
	dialog_done(&d);
}

void stray_receive(void *sip, const sip_t *response, const struct stack_addr *from)
{
	struct sip *s = sip;
	const char *ours = response->sip_from->a_tag;
	struct stack_dest to;
	struct sip_leg *l;

	if (ours == NULL || response->sip_to->a_tag == NULL)
		return;
	sip_enter(s);
	source_dest(from, &to);
	l = sip_leg_by_tag(s, ours);
	if (l == NULL)
		decline(s, response, from, &to);
	else if (l->state == SIDE_UP && is_peer(&l->dialog, response))
		acknowledge(s, l, &l->dialog, response->sip_cseq->cs_seq, &to);
	sip_leave(s);
}
