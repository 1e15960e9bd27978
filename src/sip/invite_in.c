/* invite_in: a new call comes in. Who is it, may he, what does he bring; then EV_INVITE. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"
#include "sip/referto.h"

/* ---- what --------------------------------------------------------------------------------- */

/* Who the caller says he is: the asserted identity of a trusted peer before From. */
static void party_of_peer(const sip_t *request, const struct sip_peer *peer, struct party *p)
{
	const char *asserted =
		peer->trusted ? message_header(request, "P-Asserted-Identity") : NULL;
	const char *text = asserted;
	size_t len = asserted != NULL ? strlen(asserted) : 0;
	struct slice first;
	struct addr a;
	char from[URI_MAX];
	const url_t *url = request->sip_from->a_url;

	p->anonymous = message_is_private(request) || str_ieq(url->url_user, "anonymous") ||
		       str_ieq(url->url_host, "anonymous.invalid");
	if (asserted != NULL && addr_next(&text, &len, &first) &&
		addr_parse(first.p, first.n, &a) == URI_OK) {
		number_clean(p->number, sizeof(p->number), a.uri.user);
		str_set(p->name, a.name);
		return;
	}
	if (p->anonymous)
		return;
	if (sip_header_field_e(from, sizeof(from), (sip_header_t *)request->sip_from, 0) >=
			(issize_t)sizeof(from) ||
		addr_parse(from, strlen(from), &a) != URI_OK)
		return;
	number_clean(p->number, sizeof(p->number), a.uri.user);
	str_set(p->name, a.name);
}

static void party_of_user(const sip_t *request, const struct sip_user *u, struct party *p)
{
	str_set(p->number, u->number[0] != '\0' ? u->number : u->name);
	str_set(p->name, u->display);
	p->anonymous = message_is_private(request);
}

/* Checks that need no knowledge of the caller. False: it has been answered. */
static bool invite_check(
	struct sip *s, struct stack_server *t, const sip_t *request, struct uri *target)
{
	const url_t *url = request->sip_request->rq_url;
	char text[URI_MAX];
	enum uri_error err;

	if (request->sip_max_forwards != NULL && request->sip_max_forwards->mf_count == 0) {
		reply_simple(s, NULL, t, 483, NULL);
		return false;
	}
	err = url_e(text, sizeof(text), url) < (issize_t)sizeof(text) ? uri_parse_str(text, target)
								      : URI_LONG;
	if (err != URI_OK) {
		reply_simple(s, NULL, t, err == URI_BAD_SCHEME ? 416 : 400,
			err == URI_BAD_SCHEME ? NULL : uri_error_name(err));
		return false;
	}
	if (request->sip_contact == NULL || request->sip_contact->m_url->url_host == NULL) {
		reply_simple(s, NULL, t, 400, "Missing Contact");
		return false;
	}
	return true;
}

/* Finds the leg that the INVITE comes in the place of. What must be refused whatever the state of
 * that leg's call is refused here, and the leg stays untouched (RFC 3891 section 3, R-051); the
 * rest is the core's to judge. False: it has been answered. */
static bool replaces_check(struct sip *s, struct stack_server *t, const sip_t *request,
	const struct caller *c, struct event *ev)
{
	unsigned n = message_count(request, sip_replaces_class, "Replaces");
	char value[REFERTO_VALUE_MAX] = "";
	struct replaces name;
	struct sip_leg *l;
	uint16_t status;

	if (n == 0)
		return true;
	if (request->sip_replaces != NULL)
		message_raw_value((const sip_header_t *)request->sip_replaces, value, sizeof(value));
	if (n > 1 || message_header(request, "Join") != NULL ||
		replaces_parse(value, strlen(value), &name) != 0) {
		reply_simple(s, NULL, t, 400, n > 1 ? "More Than One Replaces" : "Bad Replaces");
		return false;
	}
	l = named_find(s, &name, &status);
	if (l == NULL) {
		reply_simple(s, NULL, t, status, NULL);
		return false;
	}
	if (c->peer != NULL && !c->peer->may_replace && c->peer->policy.node == 0) {
		sip_emit_audit(s, c->peer->name, "replace", l->user, "not permitted to this peer");
		reply_simple(s, NULL, t, 403, NULL);
		return false;
	}
	ev->invite.replaces = l->id;
	ev->invite.early_only = name.early_only;
	return true;
}

static void fill_event(struct sip_leg *l, const sip_t *request, const struct caller *c,
	const struct uri *target, struct event *ev)
{
	struct ev_invite *in = &ev->invite;
	const char *key;

	ev->type = EV_INVITE;
	in->handle = l->handle;
	number_clean(in->number, sizeof(in->number), target->user);
	str_set(in->sip_call_id, request->sip_call_id->i_id);
	in->rel_required = l->rel == REL_REQUIRED;
	in->immediate = device_is_immediate(l->sip, l);
	in->bye = device_bye_policy(l->sip, l);
	if (c->peer != NULL) {
		in->source = SOURCE_PEER;
		str_set(in->peer, c->peer->name);
		in->may_refer = c->peer->policy.refer != REFER_REJECT;
		party_of_peer(request, c->peer, &in->from);
		key = message_header(request, "X-Case-ID");
		if (c->peer->trust_case_id && key != NULL)
			str_set(in->case_key, key);
		key = message_header(request, CONVERSATION_HEADER);
		if (c->peer->policy.node != 0 && key != NULL)
			uuid_parse(key, &in->linked);
	} else {
		in->source = SOURCE_USER;
		str_set(in->user, c->user.name);
		in->may_refer = true;
		party_of_user(request, &c->user, &in->from);
	}
}

/* ---- the leg ------------------------------------------------------------------------------ */

static void on_ack(struct stack_server_sink *sink, struct stack_server *t, const sip_t *ack)
{
	struct sip_leg *l =
		(struct sip_leg *)((char *)sink - offsetof(struct sip_leg, invite_sink));

	sip_enter(l->sip);
	answer_got_ack(l, ack);
	sip_leave(l->sip);
}

static void on_cancel(struct stack_server_sink *sink, struct stack_server *t, const sip_t *cancel)
{
	struct sip_leg *l =
		(struct sip_leg *)((char *)sink - offsetof(struct sip_leg, invite_sink));
	struct event ev = {.type = EV_CANCEL};

	sip_enter(l->sip);
	trace_request_in(l->sip, l, NULL, cancel);
	ev.reject.q850 = message_q850(cancel);
	reply_simple(l->sip, l, t, 487, NULL);
	l->invite = NULL;
	l->state = SIDE_ENDING;
	sip_emit(l, &ev);
	sip_leg_end(l);
	sip_leave(l->sip);
}

static void on_silence(struct stack_server_sink *sink, struct stack_server *t)
{
	struct sip_leg *l =
		(struct sip_leg *)((char *)sink - offsetof(struct sip_leg, invite_sink));

	sip_enter(l->sip);
	answer_no_ack(l);
	sip_leave(l->sip);
}

const struct stack_server_ops invite_server_ops = {on_ack, on_cancel, on_silence};

static struct sip_leg *leg_create(
	struct sip *s, struct stack_server *t, const sip_t *request, const struct caller *c)
{
	struct sip_leg *l = sip_leg_new(s, SIDE_UAS);
	struct stack_dest flow = {.listener = c->from.listener};

	if (l == NULL)
		return NULL;
	if (c->peer != NULL)
		str_set(l->peer, c->peer->name);
	else
		str_set(l->user, c->user.name);
	if (c->peer == NULL || strcmp(c->from.proto, "udp") != 0)
		source_print(&c->from, flow.uri, sizeof(flow.uri));
	if (flow.uri[0] != '\0')
		source_parse(flow.uri, &flow);
	if (dialog_init_uas(&l->dialog, s->stack, request, &flow) != 0 ||
		sip_leg_set_local(l, &flow) != 0 || l->dialog.target == NULL) {
		sip_leg_drop(l);
		return NULL;
	}
	l->max_forwards =
		request->sip_max_forwards != NULL ? request->sip_max_forwards->mf_count : 70;
	if (request->sip_user_agent != NULL)
		str_set(l->user_agent, request->sip_user_agent->g_string);
	l->rel = sip_has_feature(request->sip_require, "100rel")     ? REL_REQUIRED
		 : sip_has_feature(request->sip_supported, "100rel") ? REL_SUPPORTED
								     : REL_NO;
	l->peer_update = message_allows(request, "UPDATE") ? PEER_UPDATE : PEER_NO_UPDATE;
	message_note_refer(l, request);
	return l;
}

void invite_receive(struct sip *s, struct stack_server *t, const sip_t *request)
{
	struct caller c;
	struct uri target;
	struct event ev = {0};
	struct sip_leg *l;

	memset(&c, 0, sizeof(c));
	if (!invite_check(s, t, request, &target) || !caller_identify(s, t, request, "invite", &c) ||
		!replaces_check(s, t, request, &c, &ev) || !message_check_body(s, NULL, t, request))
		return;
	l = leg_create(s, t, request, &c);
	if (l == NULL) {
		reply_simple(s, NULL, t, 400, "Bad Contact");
		return;
	}
	if (!session_timer_check(l, t, request)) {
		sip_leg_drop(l);
		return;
	}
	stack_server_tag(t, l->dialog.tag);
	l->invite = t;
	l->invite_sink.ops = &invite_server_ops;
	stack_server_bind(t, &l->invite_sink);
	l->handle = ++s->serial;
	HASH_ADD(hh_handle, s->by_handle, handle, sizeof(l->handle), l);
	sip_leg_index(l);
	message_keep_headers(l, request);
	sip_leg_take_sdp(l, request, SDP_OFFER, &ev.invite.sdp);
	l->first_offer = ev.invite.sdp.what == SDP_NONE ? INVITE_LATE : INVITE_OFFERS;
	fill_event(l, request, &c, &target, &ev);
	s->hooks.emit(s->hooks.arg, &ev);
}

/* ---- binding ------------------------------------------------------------------------------ */

/* The INVITE that made the call: before it was bound there was no ladder to put it into. */
static void trace_first_invite(struct sip *s, struct sip_leg *l)
{
	msg_t *msg = l->invite != NULL ? stack_server_message(l->invite) : NULL;

	if (msg == NULL)
		return;
	trace_request_in(s, l, l->invite, sip_object(msg));
	msg_destroy(msg);
}

void sip_bind(struct sip *s, uint64_t handle, leg_id id)
{
	struct sip_leg *l;

	HASH_FIND(hh_handle, s->by_handle, &handle, sizeof(handle), l);
	if (l == NULL || l->id != ID_NONE)
		return;
	sip_enter(s);
	HASH_DELETE(hh_handle, s->by_handle, l);
	l->hh_handle.tbl = NULL;
	if (id == ID_NONE || sip_leg_bind(l, id) != 0) {
		if (l->invite != NULL)
			reply_retry(s, l, l->invite, 503, 5), l->invite = NULL;
		sip_leg_release(l);
	} else if (l->state == SIDE_OVER) { /* cancelled before the core knew of it */
		sip_emit_simple(l, EV_CANCEL, 0, NULL);
		sip_emit_simple(l, EV_CLOSED, 0, NULL);
	} else {
		trace_first_invite(s, l);
	}
	sip_leave(s);
}
