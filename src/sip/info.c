/* info: INFO passes from leg to leg, and its answer back (RFC 6086, DTMF). */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"

struct pending_info {
	uint64_t ref;
	struct stack_server *t;
	struct pending_info *next;
};

/* Takes the INFO out of its leg's list; NULL if it is gone. */
static struct stack_server *take(struct sip_leg *l, uint64_t ref)
{
	struct pending_info **p, *found;
	struct stack_server *t;

	for (p = &l->infos; *p != NULL; p = &(*p)->next)
		if ((*p)->ref == ref)
			break;
	found = *p;
	if (found == NULL)
		return NULL;
	*p = found->next;
	t = found->t;
	free(found);
	return t;
}

void info_abandon(struct sip_leg *l)
{
	while (l->infos != NULL) {
		struct stack_server *t = take(l, l->infos->ref);

		reply_simple(l->sip, l, t, 487, NULL);
	}
}

void info_receive(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	struct event ev = {.type = EV_INFO};
	struct pending_info *p;

	if (message_header(request, "Info-Package") !=
		NULL) { /* we announced no package (RFC 6086 section 4.2.2) */
		msg_t *msg = stack_response(t, 469, "Bad Info Package");

		if (msg != NULL)
			message_add_line(msg, "Recv-Info", "");
		reply_final(l->sip, l, t, msg);
		return;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		reply_simple(l->sip, l, t, 500, NULL);
		return;
	}
	p->ref = ++l->sip->serial;
	p->t = t;
	p->next = l->infos;
	l->infos = p;
	ev.info.ref = p->ref;
	sip_emit(l, &ev);
}

static void on_answer(struct request *r, const sip_t *response)
{
	struct sip *s = r->leg->sip;
	struct sip_leg *from;
	struct stack_server *t;

	if (response->sip_status->st_status < 200)
		return;
	from = sip_leg_find(s, r->other);
	t = from != NULL ? take(from, r->ref) : NULL;
	if (t == NULL)
		return;
	if (response->sip_status->st_status == 408) /* no 408 but to INVITE (RFC 4320, R-016) */
		reply_simple(s, from, t, 500, NULL);
	else
		reply_simple(s, from, t, response->sip_status->st_status,
			response->sip_status->st_phrase);
}

static msg_t *copy_info(struct sip_leg *to, struct sip_leg *from, struct stack_server *t)
{
	msg_t *asked = stack_server_message(t);
	const sip_t *request = sip_object(asked);
	msg_t *msg = dialog_request(&to->dialog, to->sip->stack, SIP_METHOD_INFO);
	sip_t *sip = sip_object(msg);

	if (msg != NULL) {
		message_pass_headers_of(msg, to, from, request);
		if (request->sip_content_type != NULL)
			sip_add_dup(msg, sip, (sip_header_t *)request->sip_content_type);
		if (request->sip_content_disposition != NULL)
			sip_add_dup(msg, sip, (sip_header_t *)request->sip_content_disposition);
		if (request->sip_payload != NULL)
			sip_add_dup(msg, sip, (sip_header_t *)request->sip_payload);
	}
	msg_destroy(asked);
	return msg;
}

static struct pending_info *find(struct sip_leg *l, uint64_t ref)
{
	struct pending_info *p = l->infos;

	while (p != NULL && p->ref != ref)
		p = p->next;
	return p;
}

void info_pass(struct sip *s, const struct action *a)
{
	struct sip_leg *from = sip_leg_find(s, a->from);
	struct sip_leg *to = sip_leg_find(s, a->leg);
	struct pending_info *p = from != NULL ? find(from, a->cmd) : NULL;
	struct request *r;
	struct stack_dest d;

	if (p == NULL)
		return;
	if (to == NULL || to->dialog.target == NULL || to->dialog.remote->a_tag == NULL ||
		to->state == SIDE_ENDING || to->state == SIDE_OVER) {
		reply_simple(s, from, take(from, a->cmd), a->leg == ID_NONE ? 200 : 481, NULL);
		return;
	}
	dialog_dest(&to->dialog, &d);
	r = request_send(to, copy_info(to, from, p->t), &d, on_answer);
	if (r == NULL) {
		reply_simple(s, from, take(from, a->cmd), 500, NULL);
		return;
	}
	r->ref = a->cmd;
	r->other = a->from;
}
