/*
 * refer_out: ACT_REFER, a REFER that is passed on to the other side of the call. What names
 * our dialogs in it is written anew as that side knows them: the Refer-To, and a Replaces inside it.
 * Referred-By stays as it was. The subscription is ours, whatever the sender wanted: we have
 * to know how it ends. Its NOTIFYs become EV_REFER_NOTIFY.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/refer.h"
#include "sip/referto.h"

#define REFER_TO_MAX (2 * URI_MAX + REPLACES_CALLID_MAX * 3)

/* One REFER of ours that this leg's peer has. */
struct referral {
	uint64_t cmd;
	uint32_t id; /* its CSeq: id parameter of the Event of its NOTIFYs */
	enum { REFERRAL_ASKED, REFERRAL_ACTIVE, REFERRAL_ENDED } state;
	struct referral *next;
};

/* ---- life --------------------------------------------------------------------------------- */

void refer_pass_abandon(struct sip_leg *l)
{
	while (l->referrals != NULL) {
		struct referral *r = l->referrals;

		l->referrals = r->next;
		free(r);
	}
}

static struct referral *find(struct sip_leg *l, uint64_t cmd)
{
	struct referral *r = l->referrals;

	while (r != NULL && r->cmd != cmd)
		r = r->next;
	return r;
}

static void emit(struct sip_leg *l, enum ev type, const struct referral *r, uint16_t status, bool final)
{
	struct event ev = {.type = type};

	ev.referred.cmd = r->cmd;
	ev.referred.status = status;
	ev.referred.final = final;
	sip_emit(l, &ev);
}

/* ---- what it asks for --------------------------------------------------------------------- */

/* The dialog of leg l as its peer would have it in a Replaces: the peer's tag is the to-tag. */
static int print_replaces(const struct sip_leg *l, char *buf, size_t size)
{
	char plain[REPLACES_CALLID_MAX + 2 * REPLACES_TAG_MAX + 32];
	struct replaces name = {.early_only = false};

	if (l->dialog.remote->a_tag == NULL)
		return -1;
	str_set(name.call_id, l->dialog.call_id->i_id);
	str_set(name.to_tag, l->dialog.remote->a_tag);
	str_set(name.from_tag, l->dialog.tag);
	if (replaces_print(plain, sizeof(plain), &name) != 0)
		return -1;
	return uri_escape(buf, size, plain, strlen(plain), URI_PART_HEADER);
}

static int to_peer(struct sip *s, const struct act_refer *to, char *uri, size_t size)
{
	const struct sip_peer *p = peer_by_name(s, to->peer);
	struct stack_dest d;
	struct uri u;

	if (p == NULL || peer_dest(s, p, 0, &d) != 0 || uri_parse_str(d.uri, &u) != URI_OK)
		return -1;
	return uri_build(uri, size, to->number, u.host, u.port, NULL);
}

/* Here, as the leg knows us. */
static int to_us(const struct sip_leg *l, const struct act_refer *to, char *uri, size_t size)
{
	const url_t *own = l->dialog.contact != NULL ? l->dialog.contact->m_url : NULL;

	if (own == NULL || own->url_host == NULL)
		return -1;
	return uri_build(uri, size, to->number, own->url_host,
		own->url_port != NULL ? (uint16_t)atoi(own->url_port) : 0, NULL);
}

/* The remote target of the dialog that is to be replaced: no other address leads there for sure. */
static int to_leg(struct sip *s, const struct act_refer *to, char *uri, size_t size, char *header,
	size_t header_size)
{
	struct sip_leg *l = sip_leg_find(s, to->replaces);

	if (l == NULL || l->dialog.target == NULL || print_replaces(l, header, header_size) != 0)
		return -1;
	return url_e(uri, (isize_t)size, l->dialog.target) < (issize_t)size ? 0 : -1;
}

static int find_uri(struct sip_leg *l, const struct refer *r, const struct act_refer *to, char *uri,
	size_t size, char *replaces, size_t replaces_size)
{
	const struct sip_peer *p = peer_by_name(l->sip, l->peer);
	bool verbatim = p != NULL && p->verbatim_referral && to->to != REFER_TO_LEG;

	replaces[0] = '\0';
	switch (verbatim ? REFER_TO_AS_WRITTEN : to->to) {
	case REFER_TO_PEER:
		return to_peer(l->sip, to, uri, size);
	case REFER_TO_US:
		return to_us(l, to, uri, size);
	case REFER_TO_LEG:
		return to_leg(l->sip, to, uri, size, replaces, replaces_size);
	default:
		return str_copy_n(uri, size, r->target.p, r->target.n) ? 0 : -1;
	}
}

/* One more header inside the Refer-To. */
static bool add_header(char *buf, size_t size, const char *name, const char *escaped)
{
	return str_append(buf, size, strchr(buf, '?') == NULL ? "?" : "&") &&
	       str_append(buf, size, name) && str_append(buf, size, "=") &&
	       str_append(buf, size, escaped);
}

/* The allow-listed headers that the Refer-To had. */
static bool add_kept(char *buf, size_t size, const struct refer *r)
{
	char line[REFERTO_NAME_MAX + REFERTO_VALUE_MAX + 4], value[3 * REFERTO_VALUE_MAX];
	const char *p = r->headers.p, *end, *colon;

	for (; r->headers.n > 0 && p != NULL && *p != '\0'; p = end + 2) {
		end = strstr(p, "\r\n");
		if (end == NULL || !str_copy_n(line, sizeof(line), p, (size_t)(end - p)))
			return false;
		colon = strstr(line, ": ");
		if (colon == NULL || uri_escape(value, sizeof(value), colon + 2, strlen(colon + 2),
					     URI_PART_HEADER) != 0)
			return false;
		line[colon - line] = '\0';
		if (!add_header(buf, size, line, value))
			return false;
	}
	return true;
}

/* "<sip:..?..>". 0, or -1: it cannot be said. */
static int write_refer_to(struct sip_leg *l, const struct refer *r, const struct act_refer *to,
	char *buf, size_t size)
{
	char uri[URI_MAX], replaces[3 * (REPLACES_CALLID_MAX + 2 * REPLACES_TAG_MAX)];

	if (find_uri(l, r, to, uri, sizeof(uri), replaces, sizeof(replaces)) != 0)
		return -1;
	str_copy(buf, size, "<");
	if (!str_append(buf, size, uri) ||
		(replaces[0] != '\0' && !add_header(buf, size, "Replaces", replaces)) ||
		!add_kept(buf, size, r) || !str_append(buf, size, ">"))
		return -1;
	return 0;
}

/* ---- sending ------------------------------------------------------------------------------ */

static void on_response(struct request *q, const sip_t *response)
{
	struct sip_leg *l = q->leg;
	struct referral *r = find(l, q->ref);
	int status = response->sip_status->st_status;

	if (r == NULL || status < 200)
		return;
	r->id = response->sip_cseq->cs_seq;
	if (status >= 300)
		r->state = REFERRAL_ENDED;
	else if (r->state == REFERRAL_ASKED)
		r->state = REFERRAL_ACTIVE;
	emit(l, EV_REFERRED, r, (uint16_t)status, false);
}

static msg_t *write_refer(struct sip_leg *l, const struct refer *asked, const struct act_refer *to)
{
	char value[REFER_TO_MAX];
	msg_t *msg;
	sip_t *sip;

	if (write_refer_to(l, asked, to, value, sizeof(value)) != 0)
		return NULL;
	msg = dialog_request(&l->dialog, l->sip->stack, SIP_METHOD_REFER);
	sip = sip_object(msg);
	if (msg == NULL)
		return NULL;
	sip->sip_max_forwards->mf_count = asked->max_forwards - 1;
	sip_add_dup(msg, sip, (sip_header_t *)l->dialog.contact);
	sip_add_dup(msg, sip, (sip_header_t *)l->sip->user_agent);
	sip_add_dup(msg, sip, (sip_header_t *)l->sip->supported);
	if (asked->referred_by.n > 0)
		message_add_line(msg, "Referred-By", asked->referred_by.p);
	if (!message_add_line(msg, "Refer-To", value)) {
		msg_destroy(msg);
		return NULL;
	}
	return msg;
}

/* 0, or the status that this REFER would have met. */
static uint16_t pass(struct sip_leg *l, struct referral *r, const struct refer *asked,
	const struct act_refer *to)
{
	struct stack_dest d;
	struct request *q;
	msg_t *msg;

	if (l->peer_refer == PEER_NO_REFER)
		return 405; /* its Allow says so */
	if (asked == NULL || l->state != SIDE_UP)
		return 481;
	if (asked->max_forwards == 0)
		return 483; /* it goes round in circles (E-070) */
	msg = write_refer(l, asked, to);
	if (msg == NULL)
		return 500;
	r->id = l->dialog.cseq;
	dialog_dest(&l->dialog, &d);
	q = request_send(l, msg, &d, on_response);
	if (q == NULL)
		return 503;
	q->ref = r->cmd;
	return 0;
}

void refer_pass(struct sip *s, const struct action *a)
{
	struct sip_leg *l = sip_leg_find(s, a->leg);
	struct referral *r = l != NULL ? calloc(1, sizeof(*r)) : NULL;
	uint16_t status;

	if (r == NULL)
		return; /* its last event is on the way */
	r->cmd = a->cmd;
	r->next = l->referrals;
	l->referrals = r;
	status = pass(l, r, refer_find(s, a->cmd), &a->refer);
	if (status == 0)
		return;
	r->state = REFERRAL_ENDED;
	emit(l, EV_REFERRED, r, status, false);
}

/* ---- NOTIFY ------------------------------------------------------------------------------- */

/* While it is unanswered its CSeq may still change (401): the NOTIFY may be there first. */
static bool is_about(const struct referral *r, const sip_event_t *o)
{
	return r->state != REFERRAL_ENDED && (o->o_id == NULL || r->state == REFERRAL_ASKED ||
						     strtoul(o->o_id, NULL, 10) == r->id);
}

/* The one that it is about; without an id there may be only one. */
static struct referral *of_event(struct sip_leg *l, const sip_event_t *o)
{
	struct referral *r = l->referrals;

	if (o == NULL || o->o_type == NULL || strcasecmp(o->o_type, "refer") != 0)
		return NULL;
	while (r != NULL && !is_about(r, o))
		r = r->next;
	return r;
}

/* The status in "SIP/2.0 180 Ringing"; 0: there is none. */
static uint16_t sipfrag_status(const sip_t *request)
{
	char line[16] = "";
	unsigned status = 0;

	if (request->sip_payload == NULL || request->sip_payload->pl_len < 11)
		return 0;
	memcpy(line, request->sip_payload->pl_data, 11);
	if (sscanf(line, "SIP/2.0 %3u", &status) != 1 || status < 100 || status > 699)
		return 0;
	return (uint16_t)status;
}

void refer_notified(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	struct referral *r = of_event(l, request->sip_event);
	const sip_subscription_state_t *ss = request->sip_subscription_state;
	bool final = ss != NULL && ss->ss_substate != NULL &&
		     strcasecmp(ss->ss_substate, "terminated") == 0;
	uint16_t status = sipfrag_status(request);

	if (r == NULL) {
		reply_simple(l->sip, l, t, 481, NULL);
		return;
	}
	reply_simple(l->sip, l, t, 200, NULL);
	if (final || status >= 200)
		r->state = REFERRAL_ENDED;
	emit(l, EV_REFER_NOTIFY, r, status, final || status >= 200);
}
