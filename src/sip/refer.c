/*
 * refer: REFER inside a dialog and the subscription that it creates (RFC 3515). Every accepted
 * REFER ends with exactly one EV_NOTIFY_DONE for its final ACT_NOTIFY, whatever the phone does.
 * One NOTIFY is under way at a time, so they arrive in order; of what waits only the newest is
 * sent.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sofia-sip/sip_extra.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"
#include "sip/referto.h"

#define REFER_CMD      (1ull << 63) /* our commands, apart from those of the control socket */
#define SUBSCRIPTION_S 300

enum refer_state {
	REFER_ASKED,	/* the request waits for its answer */
	REFER_ACTIVE,	/* 202 was sent, NOTIFYs flow */
	REFER_SILENT,	/* Refer-Sub: false, or the subscription was ended by the peer */
	REFER_FINISHED, /* the final NOTIFY is out or done */
};

struct refer {
	uint64_t cmd;
	struct sip_leg *leg;
	enum refer_state state;
	enum { SUB_WANTED, SUB_REFUSED } sub;
	struct stack_server *t;	 /* REFER_ASKED */
	uint32_t id;		 /* CSeq of the REFER: id parameter of its Event */
	struct text referred_by; /* header value for the INVITE */
	struct text headers;	 /* allow-listed headers of the Refer-To, as lines */
	struct request *notify;	 /* under way */
	uint16_t status;	 /* newest status told or to be told */
	char text[TEXT_MAX];
	enum {
		NOTHING_WAITS,
		NOTIFY_WAITS,
		FINAL_WAITS,
		GOODBYE_WAITS, /* the peer unsubscribed */
	} waits;
	struct refer *next; /* of the same leg */
	UT_hash_handle hh;
};

/* ---- life --------------------------------------------------------------------------------- */

static struct refer *refer_find(struct sip *s, uint64_t cmd)
{
	struct refer *r;

	HASH_FIND(hh, s->refers, &cmd, sizeof(cmd), r);
	return r;
}

static struct refer *refer_new(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	struct refer *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->cmd = REFER_CMD | ++l->sip->serial;
	r->leg = l;
	r->t = t;
	r->id = request->sip_cseq->cs_seq;
	r->status = 100;
	r->next = l->refers;
	l->refers = r;
	HASH_ADD(hh, l->sip->refers, cmd, sizeof(r->cmd), r);
	return r;
}

static void refer_free(struct refer *r)
{
	struct refer **p = &r->leg->refers;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	HASH_DELETE(hh, r->leg->sip->refers, r);
	text_clear(&r->referred_by);
	text_clear(&r->headers);
	free(r);
}

void refer_abandon(struct sip_leg *l)
{
	while (l->refers != NULL) {
		if (l->refers->t != NULL)
			reply_simple(l->sip, l, l->refers->t, 481, NULL);
		refer_free(l->refers);
	}
}

/* ---- the request -------------------------------------------------------------------------- */

/* How often a header stands in a request, good or bad. */
static unsigned count_header(const sip_t *request, msg_hclass_t *hc, const char *name)
{
	unsigned n = 0;
	const sip_header_t *h;

	for (h = (const sip_header_t *)request->sip_request; h != NULL;
		h = (const sip_header_t *)h->sh_succ)
		if (h->sh_class == hc)
			n++;
		else if (h->sh_class == sip_error_class && h->sh_error->er_name != NULL &&
			 strcasecmp(h->sh_error->er_name, name) == 0)
			n++;
	return n;
}

static enum referto_error read_refer_to(const sip_t *request, struct referto *to)
{
	char value[4096];
	unsigned n = count_header(request, sip_refer_to_class, "Refer-To");

	if (n > 1 || (request->sip_refer_to != NULL && n == 0))
		return n > 1 ? REFERTO_SEVERAL : REFERTO_SYNTAX;
	if (request->sip_refer_to == NULL)
		return n == 1 ? REFERTO_SYNTAX : REFERTO_MISSING;
	message_raw_value((const sip_header_t *)request->sip_refer_to, value, sizeof(value));
	if (value[0] == '\0')
		return REFERTO_LONG;
	return referto_parse(value, strlen(value), to);
}

static void refuse(
	struct sip_leg *l, struct stack_server *t, int status, const char *why, const char *object)
{
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){l->id}, "refer_refused", "target", object, "why",
		why, NULL);
	sip_emit_audit(l->sip, l->user[0] != '\0' ? l->user : l->peer, "refer", object, why);
	reply_simple(l->sip, l, t, status, why);
}

/* Not from where this phone's dialog lives: somebody may have learnt its tags (E-078). */
static bool comes_from_elsewhere(struct sip_leg *l, struct stack_server *t)
{
	struct stack_addr from;
	struct stack_dest d;
	char source[SOURCE_MAX];

	if (l->dialog.next.uri[0] == '\0' || l->dialog.route != NULL)
		return false;
	stack_server_source(l->sip->stack, t, &from);
	source_print(&from, source, sizeof(source));
	return source_parse(source, &d) && strcmp(d.uri, l->dialog.next.uri) != 0;
}

/* Is this REFER one that we can carry out at all? False: it has been answered. */
static bool refer_check(
	struct sip_leg *l, struct stack_server *t, const sip_t *request, struct referto *to)
{
	enum referto_error err = read_refer_to(request, to);
	struct sip_user u;

	if (err != REFERTO_OK) {
		refuse(l, t, referto_error_status(err), referto_error_text(err), "");
		return false;
	}
	if (l->state != SIDE_UP) {
		refuse(l, t, 403, "Dialog Is Not Confirmed", to->user);
		return false;
	}
	if (l->user[0] != '\0' && (l->sip->cfg.auth_refer || comes_from_elsewhere(l, t)) &&
		!challenge_check(l->sip, t, request, l->user, &u))
		return false;
	if (to->replaces.call_id[0] != '\0') {
		if (strcmp(to->replaces.call_id, l->dialog.call_id->i_id) == 0)
			refuse(l, t, 400, "Replaces Names This Dialog", to->user);
		else
			refuse(l, t, 501, "Attended Transfer Is Not Served", to->user);
		return false;
	}
	if (to->user[0] == '\0') {
		refuse(l, t, 404, "Refer-To Names Nobody", to->host);
		return false;
	}
	return true;
}

/* Keeps what the INVITE to the target will carry: Referred-By as written, allowed headers. */
static void keep_headers(struct refer *r, const sip_t *request, const struct referto *to)
{
	char value[2048], uri[URI_MAX];
	size_t n = 0;
	const struct sip *s = r->leg->sip;

	value[0] = '\0';
	if (request->sip_referred_by != NULL)
		message_raw_value(
			(const sip_header_t *)request->sip_referred_by, value, sizeof(value));
	if (value[0] == '\0' && r->leg->user[0] != '\0' &&
		uri_build(uri, sizeof(uri), r->leg->user,
			s->cfg.ndomains > 0 ? s->cfg.domains[0] : s->cfg.realm, 0, NULL) == 0)
		snprintf(value, sizeof(value), "<%s>", uri);
	if (value[0] != '\0')
		text_set(&r->referred_by, value, strlen(value));
	for (unsigned i = 0; i < to->nheaders; i++) {
		int len = snprintf(value + n, sizeof(value) - n, "%s: %s\r\n", to->headers[i].name,
			to->headers[i].value);

		if (len < 0 || (size_t)len >= sizeof(value) - n)
			break;
		n += (size_t)len;
	}
	if (n > 0)
		text_set(&r->headers, value, n);
}

static bool wants_no_subscription(const sip_t *request)
{
	const sip_refer_sub_t *rs = sip_refer_sub(request);

	return rs != NULL && rs->rs_value != NULL && strcasecmp(rs->rs_value, "false") == 0;
}

void refer_receive(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	struct event ev = {.type = EV_TRANSFER};
	struct referto to;
	struct refer *r;
	const struct sip_peer *peer;

	if (!refer_check(l, t, request, &to))
		return;
	r = refer_new(l, t, request);
	if (r == NULL) {
		reply_simple(l->sip, l, t, 500, NULL);
		return;
	}
	r->sub = wants_no_subscription(request) ? SUB_REFUSED : SUB_WANTED;
	keep_headers(r, request, &to);
	peer = peer_by_name(l->sip, l->peer);
	ev.transfer.cmd = r->cmd;
	ev.transfer.origin = ORIGIN_REFER;
	str_set(ev.transfer.asker, l->user[0] != '\0' ? l->user : l->peer);
	number_clean(ev.transfer.number, sizeof(ev.transfer.number), to.user);
	ev.transfer.own_host = to.scheme == URI_TEL || peer_is_own_host(l->sip, to.host, to.port);
	ev.transfer.no_sub = r->sub == SUB_REFUSED;
	ev.transfer.immediate = device_is_immediate(l->sip, l);
	ev.transfer.may_refer = peer != NULL ? peer->may_refer : l->user[0] != '\0';
	sip_emit(l, &ev);
}

void refer_accept(struct sip *s, const struct action *a)
{
	struct refer *r = refer_find(s, a->cmd);
	msg_t *msg;

	if (r == NULL || r->t == NULL)
		return;
	msg = stack_response(r->t, 202, NULL);
	if (msg != NULL) {
		sip_add_dup(msg, sip_object(msg), (sip_header_t *)r->leg->dialog.contact);
		if (r->sub == SUB_REFUSED) /* */
			message_add_line(msg, "Refer-Sub", "false");
	}
	reply_final(s, r->leg, r->t, msg);
	r->t = NULL;
	r->state = r->sub == SUB_REFUSED ? REFER_SILENT : REFER_ACTIVE;
}

void refer_reject(struct sip *s, const struct action *a)
{
	struct refer *r = refer_find(s, a->cmd);
	int status = a->status >= 300 ? a->status : 603;

	if (r == NULL || r->t == NULL)
		return;
	if (a->retry_after != 0)
		reply_retry(s, r->leg, r->t, status, a->retry_after);
	else
		reply_simple(s, r->leg, r->t, status, a->text);
	r->t = NULL;
	refer_free(r);
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
static void notify_goodbye(struct refer *r);

static void on_notify_response(struct request *q, const sip_t *response)
{
	struct sip *s = q->leg->sip;
	struct refer *r = refer_find(s, q->ref);
	int status = response->sip_status->st_status;

	if (r == NULL || status < 200)
		return;
	r->notify = NULL;
	if (r->state == REFER_FINISHED) {
		notify_done(r, stack_is_internal(response) ? 0 : (uint16_t)status);
		return;
	}
	if (status >= 300)
		r->state = REFER_SILENT; /* they want no more; the transfer goes on (E-006) */
	if (r->waits == NOTHING_WAITS)
		return;
	if (r->waits == GOODBYE_WAITS)
		notify_goodbye(r);
	else if (r->state == REFER_ACTIVE && r->leg->state == SIDE_UP)
		notify_send(r, r->waits == FINAL_WAITS, "noresource");
	else if (r->waits == FINAL_WAITS)
		notify_done(r, (uint16_t)status);
	r->waits = NOTHING_WAITS;
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
	sip_add_dup(msg, sip, (sip_header_t *)r->leg->dialog.contact);
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
	msg_t *msg = dialog_request(&l->dialog, l->sip->stack, SIP_METHOD_NOTIFY);
	struct stack_dest d;

	if (msg != NULL) {
		notify_add_headers(msg, r, final, reason);
		dialog_dest(&l->dialog, &d);
		r->notify = request_send(l, msg, &d, on_notify_response);
	}
	if (final)
		r->state = REFER_FINISHED;
	if (r->notify != NULL)
		r->notify->ref = r->cmd;
	else if (final)
		notify_done(r, 0);
}

/* Ends the subscription for the peer; the transfer goes on. */
static void notify_goodbye(struct refer *r)
{
	if (r->leg->state == SIDE_UP)
		notify_send(r, true, "timeout");
	r->state = REFER_SILENT;
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

	if (r == NULL || r->state == REFER_FINISHED) {
		notify_unknown(s, a);
		return;
	}
	r->status = a->status;
	str_set(r->text, a->text);
	if (r->state != REFER_ACTIVE || r->leg->state != SIDE_UP) {
		if (a->notify.final)
			notify_done(r, 0);
		return;
	}
	if (r->notify == NULL)
		notify_send(r, a->notify.final, "noresource");
	else
		r->waits = a->notify.final ? FINAL_WAITS : NOTIFY_WAITS;
}

/* ---- SUBSCRIBE ---------------------------------------------------------------------------- */

static struct refer *refer_of_event(struct sip_leg *l, const sip_event_t *o)
{
	struct refer *r = l->refers;

	for (; r != NULL; r = r->next)
		if (r->state == REFER_ACTIVE &&
			(o->o_id == NULL || strtoul(o->o_id, NULL, 10) == r->id))
			return r;
	return NULL;
}

/* Refresh or end of a refer subscription; nothing else can be subscribed to (R-042, E-077). */
void refer_subscribe(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	const sip_event_t *o = request->sip_event;
	unsigned long expires =
		request->sip_expires != NULL ? request->sip_expires->ex_delta : SUBSCRIPTION_S;
	struct refer *r;
	msg_t *msg;
	char value[16];

	if (o == NULL || o->o_type == NULL || strcasecmp(o->o_type, "refer") != 0) {
		msg = stack_response(t, 489, NULL);
		if (msg != NULL)
			message_add_line(msg, "Allow-Events", "refer");
		reply_final(l->sip, l, t, msg);
		return;
	}
	r = refer_of_event(l, o);
	if (r == NULL || l->state != SIDE_UP) {
		reply_simple(l->sip, l, t, 403, NULL);
		return;
	}
	msg = stack_response(t, 200, NULL);
	snprintf(value, sizeof(value), "%lu", expires > SUBSCRIPTION_S ? SUBSCRIPTION_S : expires);
	if (msg != NULL) {
		message_add_line(msg, "Expires", value);
		sip_add_dup(msg, sip_object(msg), (sip_header_t *)l->dialog.contact);
	}
	reply_final(l->sip, l, t, msg);
	if (expires == 0 && r->notify == NULL)
		notify_goodbye(r);
	else if (expires == 0)
		r->waits = GOODBYE_WAITS, r->state = REFER_SILENT;
	else if (r->notify == NULL)
		notify_send(r, false, "");
}

/* ---- the INVITE that it causes ------------------------------------------------------------- */

void refer_add_headers(struct sip *s, uint64_t cmd, msg_t *msg)
{
	struct refer *r = refer_find(s, cmd);
	char *lines, *line, *end, *colon;

	if (r == NULL)
		return;
	if (r->referred_by.n > 0)
		message_add_line(msg, "Referred-By", r->referred_by.p);
	if (r->headers.n == 0)
		return;
	lines = su_strdup(msg_home(msg), r->headers.p);
	for (line = lines; line != NULL && *line != '\0'; line = end + 2) {
		end = strstr(line, "\r\n");
		if (end == NULL)
			return;
		*end = '\0';
		colon = strchr(line, ':');
		if (colon != NULL) {
			*colon = '\0';
			message_add_line(msg, line, colon + 2);
		}
	}
}
