/* message: what all messages have in common: our headers, the headers that pass, bodies; and the
 * client transactions of a leg. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sofia-sip/msg_header.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_util.h>

#include "sip/internal.h"
#include "sip/print.h"

#define KEEP_MAX 4096 /* bytes of headers that one message may pass on */
#define SESSION_UUID 32 /* lower-case hex digits (RFC 7989 section 5) */

/* ---- headers of ours ----------------------------------------------------------------------- */

static void add(msg_t *msg, const void *header)
{
	if (header != NULL)
		sip_add_dup(msg, sip_object(msg), (const sip_header_t *)header);
}

void message_add_capabilities(msg_t *msg, struct sip_leg *l)
{
	sip_t *sip = sip_object(msg);

	add(msg, l->dialog.contact);
	print_add_constant(msg, l->sip->allow);
	if (sip->sip_request != NULL) {
		/* 100rel is offered only where its answer can be an answer */
		print_add_constant(msg, sip->sip_request->rq_method == sip_method_invite &&
							sip->sip_to->a_tag == NULL &&
							l->first_offer == INVITE_OFFERS
						? l->sip->supported_rel
						: l->sip->supported);
		print_add_constant(msg, l->sip->user_agent);
	} else {
		print_add_constant(msg, l->sip->supported);
		print_add_constant(msg, l->sip->server);
	}
}

void message_add_sdp(msg_t *msg, struct sip *s, const char *sdp, size_t len)
{
	sip_payload_t *body = sip_payload_create(msg_home(msg), sdp, (isize_t)len);

	if (body == NULL)
		return;
	print_add_constant(msg, s->type_sdp);
	msg_header_insert(msg, (msg_pub_t *)sip_object(msg), (msg_header_t *)body);
}

bool message_add_line(msg_t *msg, const char *name, const char *value)
{
	char *line;

	for (const char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' && *p != '\t')
			return false;
	line = su_sprintf(msg_home(msg), "%s: %s\r\n", name, value);
	return line != NULL && msg_header_parse_str(msg, (msg_pub_t *)sip_object(msg), line) >= 0 &&
	       sip_object(msg)->sip_error == NULL;
}

void message_add_reason(msg_t *msg, uint16_t status, uint16_t q850, const char *text)
{
	char value[TEXT_MAX + 64];
	const char *phrase = str_empty(text) ? NULL : text;

	if (status == 200 && phrase == NULL)
		phrase = "Call completed elsewhere";
	if (phrase == NULL && status != 0)
		phrase = sip_status_phrase(status);
	if (status != 0) {
		int n = snprintf(value, sizeof(value), "SIP;cause=%u", status);

		if (phrase != NULL && strpbrk(phrase, "\"\\") == NULL)
			snprintf(value + n, sizeof(value) - (size_t)n, ";text=\"%s\"", phrase);
		message_add_line(msg, "Reason", value);
	}
	if (q850 != 0) {
		snprintf(value, sizeof(value), "Q.850;cause=%u", q850);
		message_add_line(msg, "Reason", value);
	}
}

uint16_t message_q850(const sip_t *sip)
{
	for (const sip_reason_t *re = sip->sip_reason; re != NULL; re = re->re_next)
		if (re->re_protocol != NULL && strcasecmp(re->re_protocol, "Q.850") == 0 &&
			re->re_cause != NULL) {
			unsigned long cause = strtoul(re->re_cause, NULL, 10);

			return cause <= 127 ? (uint16_t)cause : 0;
		}
	return 0;
}

bool message_has_option(const sip_t *sip, const char *option)
{
	return sip_has_feature(sip->sip_supported, option) ||
	       sip_has_feature(sip->sip_require, option);
}

static const char *header_name(const msg_header_t *h)
{
	if (h->sh_class == (msg_hclass_t *)sip_unknown_class)
		return ((const sip_unknown_t *)h)->un_name;
	return h->sh_class->hc_name;
}

const char *message_header(const sip_t *sip, const char *name)
{
	for (const sip_unknown_t *u = sip->sip_unknown; u != NULL; u = u->un_next)
		if (u->un_name != NULL && strcasecmp(u->un_name, name) == 0)
			return u->un_value;
	return NULL;
}

void message_remove(msg_t *msg, const char *name)
{
	sip_t *sip = sip_object(msg);
	sip_unknown_t *u, *next;

	for (u = sip->sip_unknown; u != NULL; u = next) {
		next = u->un_next;
		if (u->un_name != NULL && strcasecmp(u->un_name, name) == 0)
			msg_header_remove(msg, (msg_pub_t *)sip, (msg_header_t *)u);
	}
}

void message_raw_value(const sip_header_t *h, char *buf, size_t size)
{
	const char *p = h->sh_data, *colon;
	size_t n = h->sh_len;

	buf[0] = '\0';
	colon = p != NULL ? memchr(p, ':', n) : NULL;
	if (colon == NULL) {
		if (sip_header_field_e(buf, (isize_t)size, h, 0) >= (issize_t)size)
			buf[0] = '\0';
		return;
	}
	n -= (size_t)(colon + 1 - p);
	p = colon + 1;
	while (n > 0 && (*p == ' ' || *p == '\t'))
		p++, n--;
	while (n > 0 && (unsigned char)p[n - 1] <= ' ')
		n--;
	if (n < size)
		str_copy_n(buf, size, p, n);
}

unsigned message_count(const sip_t *request, msg_hclass_t *hc, const char *name)
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

bool message_is_private(const sip_t *sip)
{
	const sip_privacy_t *p = sip->sip_privacy;

	for (unsigned i = 0; p != NULL && p->priv_values != NULL && p->priv_values[i] != NULL; i++)
		if (strcasecmp(p->priv_values[i], "none") != 0)
			return true;
	return false;
}

bool message_allows(const sip_t *sip, const char *method)
{
	for (const msg_list_t *k = (const msg_list_t *)sip->sip_allow; k != NULL; k = k->k_next)
		for (unsigned i = 0; k->k_items != NULL && k->k_items[i] != NULL; i++)
			if (strcasecmp(k->k_items[i], method) == 0)
				return true;
	return false;
}

void message_note_refer(struct sip_leg *l, const sip_t *sip)
{
	if (sip->sip_allow != NULL)
		l->peer_refer = message_allows(sip, "REFER") ? PEER_REFER_UNKNOWN : PEER_NO_REFER;
}

/* ---- headers that pass ------------------------------------------------------------------- */

/* Prints the value; returns its length. Of a header that the parser does not know, its printer
 * would repeat the name. */
static issize_t header_value(char *buf, size_t size, const msg_header_t *h)
{
	if (h->sh_class == (msg_hclass_t *)sip_unknown_class)
		return snprintf(buf, size, "%s", ((const sip_unknown_t *)h)->un_value);
	return msg_header_field_e(buf, (isize_t)size, h, 0);
}

static bool header_may_leave(const char *name)
{
	enum header_class c = headers_find(name, strlen(name))->class;

	return c != HEADER_OWN && c != HEADER_NEVER;
}

/* Writes the headers of sip that may leave at all as lines; returns the length. */
static size_t headers_collect(const sip_t *sip, char *kept, size_t size)
{
	char value[1024];
	size_t n = 0;
	const msg_header_t *h = sip->sip_request != NULL ? (const msg_header_t *)sip->sip_request
							 : (const msg_header_t *)sip->sip_status;

	kept[0] = '\0';
	for (; h != NULL; h = h->sh_succ) {
		const char *name = header_name(h);
		issize_t len;

		if (name == NULL || name[0] == '\0' || !header_may_leave(name))
			continue;
		len = header_value(value, sizeof(value), h);
		if (len <= 0 || len >= (issize_t)sizeof(value) ||
			n + strlen(name) + (size_t)len + 5 > size)
			continue;
		for (char *p = value; *p != '\0'; p++)
			if ((unsigned char)*p < ' ')
				*p = ' ';
		n += (size_t)snprintf(kept + n, size - n, "%s: %s\r\n", name, value);
	}
	return n;
}

void message_keep_headers(struct sip_leg *l, const sip_t *sip)
{
	char kept[KEEP_MAX];
	size_t n = headers_collect(sip, kept, sizeof(kept));

	if (n > 0)
		text_set(&l->headers, kept, n);
	else
		text_clear(&l->headers);
}

/* What both sides may be trusted with; a phone may be told, but not believed. */
static unsigned trust_between(struct sip_leg *to, struct sip_leg *from)
{
	const struct sip_peer *f = peer_by_name(from->sip, from->peer);
	const struct sip_peer *t = peer_by_name(to->sip, to->peer);
	unsigned trust = 0;

	if (f != NULL && f->trusted && (t == NULL || t->trusted))
		trust |= HEADER_TRUST_IDENTITY;
	if (f != NULL && f->trust_case_id && (t == NULL || t->trust_case_id))
		trust |= HEADER_TRUST_CASE;
	return trust;
}

/* The sender's half of a Session-ID value; NULL when it is malformed. */
static const char *session_uuid(const char *value)
{
	size_t n = strspn(value, "0123456789abcdef");

	return n == SESSION_UUID && strchr("; \t\r", value[n]) != NULL ? value : NULL;
}

/* What the peer of that leg calls itself; zeros while it is not known. */
static const char *session_uuid_of(const struct sip_leg *l)
{
	static const char name[] = "Session-ID: ";
	const char *line = l->headers.n > 0 ? l->headers.p : NULL, *half = NULL;

	for (; line != NULL && half == NULL; line = strstr(line, "\r\n")) {
		line += strspn(line, "\r\n");
		if (strncasecmp(line, name, sizeof(name) - 1) == 0)
			half = session_uuid(line + sizeof(name) - 1);
	}
	return half != NULL ? half : "00000000000000000000000000000000";
}

/* The half of who speaks passes; the other is of whom it speaks with now, not of whom it was put
 * through to first (RFC 7989 section 7, R-067). */
static void pass_session_id(msg_t *msg, const struct sip_leg *to, const char *value)
{
	char both[2 * SESSION_UUID + sizeof(";remote=")];

	if (session_uuid(value) == NULL)
		return;
	snprintf(both, sizeof(both), "%.*s;remote=%.*s", SESSION_UUID, value, SESSION_UUID,
		session_uuid_of(to));
	message_add_line(msg, "Session-ID", both);
}

static void pass_lines(
	msg_t *msg, struct sip_leg *to, struct sip_leg *from, char *lines, enum header_trip trip)
{
	unsigned trust = trust_between(to, from);
	char *line, *next;

	for (line = lines; *line != '\0'; line = next) {
		char *end = strstr(line, "\r\n"), *colon;

		if (end == NULL)
			return;
		*end = '\0';
		next = end + 2;
		colon = strchr(line, ':');
		if (colon == NULL)
			continue;
		*colon = '\0';
		if (!headers_may_pass(line, trip, trust))
			continue;
		if (strcasecmp(line, "Session-ID") == 0)
			pass_session_id(msg, to, colon + 2);
		else
			message_add_line(msg, line, colon + 2);
	}
}

void message_pass_headers(
	msg_t *msg, struct sip_leg *to, struct sip_leg *from, enum header_trip trip)
{
	char lines[KEEP_MAX];

	if (from == NULL || from->headers.n == 0)
		return;
	str_copy_n(lines, sizeof(lines), from->headers.p, from->headers.n);
	pass_lines(msg, to, from, lines, trip);
}

void message_pass_headers_of(msg_t *msg, struct sip_leg *to, struct sip_leg *from, const sip_t *sip)
{
	char lines[KEEP_MAX];

	if (headers_collect(sip, lines, sizeof(lines)) > 0)
		pass_lines(msg, to, from, lines, HEADER_TRIP_DIALOG);
}

/* ---- client transactions ------------------------------------------------------------------ */

static void request_unlink(struct request *r)
{
	*r->prev = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	if (r->leg->calling == r)
		r->leg->calling = NULL;
	if (r->leg->offering == r)
		r->leg->offering = NULL;
}

void request_forget(struct request *r)
{
	struct sip *s = r->leg->sip;

	if (r->t != NULL)
		stack_client_release(r->t);
	r->t = NULL;
	request_unlink(r);
	r->next = s->dead_requests;
	s->dead_requests = r;
	if (s->depth == 0)
		request_bury(s);
}

void request_bury(struct sip *s)
{
	while (s->dead_requests != NULL) {
		struct request *r = s->dead_requests;

		s->dead_requests = r->next;
		free(r);
	}
}

/* The phone's own flow is gone (its connection broke): once more to where its Contact points. */
static int retry_by_target(struct request *r)
{
	struct dialog *d = r->dialog;
	struct stack_dest dest;

	if ((r->tried & TRIED_TARGET) || d->next == NULL || d->route != NULL ||
		d->remote->a_tag == NULL)
		return ENOENT;
	r->tried |= TRIED_TARGET;
	dialog_set_next(d, &(struct stack_dest){.listener = -1});
	dialog_dest(d, &dest);
	return request_repeat(r, &dest, NULL, NULL);
}

/* Deals with responses that ask for another attempt. True: it is under way. */
static bool retry(struct request *r, const sip_t *response)
{
	int status = response->sip_status->st_status;

	if (status == 401 || status == 407)
		return challenge_answer(r, response) == 0;
	return status == 503 && stack_is_internal(response) && retry_by_target(r) == 0;
}

static void on_response(struct stack_client_sink *sink, struct stack_client *t, const sip_t *sip)
{
	struct request *r = (struct request *)sink;
	struct sip_leg *l = r->leg;
	struct sip *s = l->sip;
	int status = sip->sip_status->st_status;

	sip_enter(s);
	if (!stack_is_internal(sip))
		r->heard = HEARD_SOMETHING;
	trace_response_in(l, t, sip);
	if (!retry(r, sip) && r->fn != NULL && status > 100)
		r->fn(r, sip);
	if (status >= 200 && r->t == t && !(l->state == SIDE_LATE && l->calling == r))
		request_forget(r);
	sip_leg_check(l);
	if (status >= 200 && l->state == SIDE_UP)
		offer_next(l);
	sip_leave(s);
}

struct request *request_send(
	struct sip_leg *l, msg_t *msg, const struct stack_dest *d, request_fn *fn)
{
	struct request *r;

	if (msg == NULL)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		msg_destroy(msg);
		return NULL;
	}
	r->sink.response = on_response;
	r->leg = l;
	r->dialog = &l->dialog;
	r->fn = fn;
	r->dest = *d;
	r->method = sip_object(msg)->sip_request->rq_method;
	trace_message_out(l->sip, l, msg);
	r->t = stack_send(l->sip->stack, msg, d, &r->sink);
	if (r->t == NULL) {
		log_kv(LOG_LEVEL_WARN, (struct log_ref){l->id}, "send_failed", "to", d->uri, NULL);
		free(r);
		return NULL;
	}
	r->next = l->requests;
	r->prev = &l->requests;
	if (r->next != NULL)
		r->next->prev = &r->next;
	l->requests = r;
	return r;
}

int request_repeat(struct request *r, const struct stack_dest *d,
	void (*edit)(msg_t *msg, void *arg), void *arg)
{
	struct sip_leg *l = r->leg;
	msg_t *sent = stack_client_request(r->t), *msg;
	struct stack_client *t;

	msg = dialog_repeat(r->dialog, sent);
	msg_destroy(sent);
	if (msg == NULL)
		return ENOMEM;
	if (edit != NULL)
		edit(msg, arg);
	if (d != NULL)
		r->dest = *d;
	trace_message_out(l->sip, l, msg);
	t = stack_send(l->sip->stack, msg, &r->dest, &r->sink);
	if (t == NULL)
		return EHOSTUNREACH;
	stack_client_release(r->t);
	r->t = t;
	r->heard = HEARD_NOTHING;
	return 0;
}

/* ---- answers ------------------------------------------------------------------------------ */

void reply_final(struct sip *s, struct sip_leg *l, struct stack_server *t, msg_t *msg)
{
	if (msg != NULL) {
		print_add_constant(msg, s->server);
		trace_message_out(s, l, msg);
		stack_reply(t, msg);
	}
	stack_server_release(t);
}

void reply_simple(
	struct sip *s, struct sip_leg *l, struct stack_server *t, int status, const char *phrase)
{
	reply_final(s, l, t, stack_response(t, status, phrase));
}

bool message_check_body(
	struct sip *s, struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	const sip_content_disposition_t *cd = request->sip_content_disposition;
	struct slice sdp;
	msg_t *msg;

	if (request->sip_payload == NULL || request->sip_payload->pl_len == 0 ||
		sip_leg_sdp_of(request, &sdp))
		return true;
	if (cd != NULL && cd->cd_handling != NULL && strcasecmp(cd->cd_handling, "optional") == 0)
		return true;
	msg = stack_response(t, 415, NULL);
	if (msg != NULL)
		print_add_constant(msg, s->accept);
	reply_final(s, l, t, msg);
	return false;
}

void reply_retry(
	struct sip *s, struct sip_leg *l, struct stack_server *t, int status, unsigned retry_after)
{
	msg_t *msg = stack_response(t, status, NULL);
	char value[16];

	snprintf(value, sizeof(value), "%u", retry_after);
	if (msg != NULL)
		message_add_line(msg, "Retry-After", value);
	reply_final(s, l, t, msg);
}
