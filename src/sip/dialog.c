/* dialog: see dialog.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sofia-sip/msg_addr.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/sip_util.h>

#include "base/str.h"
#include "sip/dialog.h"
#include "sip/uri.h"

#define MAX_FORWARDS 70

/* A URI from the network that we may send to: what uri_parse() accepts as sip or sips. */
static bool url_is_usable(const url_t *url)
{
	char text[URI_MAX];
	struct uri u;

	if (url == NULL || (url->url_type != url_sip && url->url_type != url_sips))
		return false;
	if (url_e(text, sizeof(text), url) >= (issize_t)sizeof(text))
		return false;
	return uri_parse_str(text, &u) == URI_OK;
}

void dialog_take_target(struct dialog *d, const sip_t *sip)
{
	const sip_contact_t *m = sip->sip_contact;
	sip_contact_t *fresh;
	url_t url;

	if (m == NULL)
		return;
	if (d->target != NULL && url_cmp_all(d->target->m_url, m->m_url) == 0)
		return; /* the usual case, so it comes first */
	if (!url_is_usable(m->m_url))
		return;
	url = *m->m_url;
	url.url_headers = NULL;
	fresh = sip_contact_create(d->home, (url_string_t *)&url, NULL);
	if (fresh == NULL)
		return;
	if (d->target != NULL)
		su_free(d->home, d->target);
	d->target = fresh;
}

int dialog_init_uas(
	struct dialog *d, struct stack *s, const sip_t *invite, const struct stack_dest *flow)
{
	d->call_id = sip_call_id_dup(d->home, invite->sip_call_id);
	d->local = sip_from_dup(d->home, (sip_from_t *)invite->sip_to);
	d->remote = sip_to_dup(d->home, (sip_to_t *)invite->sip_from);
	if (d->call_id == NULL || d->local == NULL || d->remote == NULL)
		return ENOMEM;
	if (sip_from_tag(d->home, d->local, d->tag) < 0)
		return ENOMEM;
	if (invite->sip_record_route != NULL)
		d->route = sip_route_fixdup(d->home, invite->sip_record_route);
	dialog_take_target(d, invite);
	d->remote_cseq = invite->sip_cseq->cs_seq;
	d->next = *flow;
	return 0;
}

int dialog_init_uac(struct dialog *d, struct stack *s, const char *id, const char *from,
	const char *to, const struct stack_dest *next)
{
	d->call_id = sip_call_id_make(d->home, id);
	d->local = sip_from_make(d->home, from);
	d->remote = sip_to_make(d->home, to);
	if (d->call_id == NULL || d->local == NULL || d->remote == NULL)
		return EINVAL;
	if (sip_from_tag(d->home, d->local, d->tag) < 0)
		return ENOMEM;
	d->next = *next;
	return 0;
}

void dialog_make_tag(struct dialog *d, uint64_t random)
{
	snprintf(d->tag, sizeof(d->tag), "s%016llx", (unsigned long long)random);
}

int dialog_set_contact(struct dialog *d, struct stack *s, const struct stack_dest *dest)
{
	const char *proto, *hostport = stack_local(s, dest, &proto);
	char uri[160];

	if (hostport == NULL)
		return EHOSTUNREACH;
	snprintf(uri, sizeof(uri), "<sip:%s@%s%s>", d->tag, hostport,
		strcmp(proto, "tcp") == 0 ? ";transport=tcp" : "");
	d->contact = sip_contact_make(d->home, uri);
	return d->contact != NULL ? 0 : ENOMEM;
}

void dialog_done(struct dialog *d)
{
	su_home_deinit(d->home);
}

void dialog_take_response(struct dialog *d, const sip_t *response)
{
	const char *tag = response->sip_to->a_tag;

	if (tag == NULL)
		return;
	if (!str_eq(d->remote->a_tag, tag)) {
		sip_to_t bare = *d->remote;
		sip_to_t *fresh;

		bare.a_params = NULL, bare.a_tag = NULL;
		fresh = sip_to_dup(d->home, &bare);
		if (fresh == NULL || sip_to_tag(d->home, fresh, tag) < 0)
			return;
		su_free(d->home, d->remote);
		d->remote = fresh;
	}
	if (response->sip_record_route != NULL) {
		if (d->route != NULL)
			msg_header_free_all(d->home, (msg_header_t *)d->route);
		d->route = sip_route_reverse(d->home, response->sip_record_route);
	}
	dialog_take_target(d, response);
}

bool dialog_matches(const struct dialog *d, const sip_t *request)
{
	return strcmp(d->call_id->i_id, request->sip_call_id->i_id) == 0 &&
	       str_eq(d->remote->a_tag, request->sip_from->a_tag);
}

/* Strict routers want themselves in the Request-URI (RFC 3261 section 12.2.1.1). */
static url_t *route_request(struct dialog *d, msg_t *msg, sip_t *sip)
{
	su_home_t *home = msg_home(msg);
	sip_route_t *last;

	if (d->route == NULL)
		return d->target->m_url;
	if (url_has_param(d->route->r_url, "lr")) {
		sip_add_dup(msg, sip, (sip_header_t *)d->route);
		return d->target->m_url;
	}
	if (d->route->r_next != NULL)
		sip_add_dup(msg, sip, (sip_header_t *)d->route->r_next);
	last = sip_route_create(home, d->target->m_url, NULL);
	if (last != NULL)
		msg_header_insert(msg, (msg_pub_t *)sip, (msg_header_t *)last);
	return d->route->r_url;
}

msg_t *dialog_request(
	struct dialog *d, struct stack *s, sip_method_t method, const char *method_name)
{
	msg_t *msg = stack_request(s);
	sip_t *sip = sip_object(msg);
	sip_request_t *rq;
	sip_cseq_t *cseq;
	sip_max_forwards_t mf[1];
	uint32_t seq;

	if (msg == NULL || d->target == NULL)
		goto fail;
	seq = method == sip_method_ack ? d->invite_cseq : ++d->cseq;
	if (method == sip_method_invite)
		d->invite_cseq = seq;
	rq = sip_request_create(msg_home(msg), method, method_name,
		(url_string_t *)route_request(d, msg, sip), NULL);
	cseq = sip_cseq_create(msg_home(msg), seq, method, method_name);
	sip_max_forwards_init(mf)->mf_count = MAX_FORWARDS;
	if (rq == NULL || cseq == NULL ||
		msg_header_insert(msg, (msg_pub_t *)sip, (msg_header_t *)rq) < 0 ||
		msg_header_insert(msg, (msg_pub_t *)sip, (msg_header_t *)cseq) < 0 ||
		sip_add_dup(msg, sip, (sip_header_t *)mf) < 0 ||
		sip_add_dup(msg, sip, (sip_header_t *)d->local) < 0 ||
		sip_add_dup(msg, sip, (sip_header_t *)d->remote) < 0 ||
		sip_add_dup(msg, sip, (sip_header_t *)d->call_id) < 0)
		goto fail;
	return msg;
fail:
	if (msg != NULL)
		msg_destroy(msg);
	return NULL;
}

msg_t *dialog_repeat(struct dialog *d, msg_t *sent)
{
	msg_t *msg = msg_dup(sent);
	sip_t *sip = sip_object(msg);

	if (msg == NULL)
		return NULL;
	while (sip->sip_via != NULL)
		if (msg_header_remove(msg, (msg_pub_t *)sip, (msg_header_t *)sip->sip_via) < 0)
			break;
	sip->sip_cseq->cs_seq = ++d->cseq;
	msg_fragment_clear(sip->sip_cseq->cs_common);
	if (sip->sip_cseq->cs_method == sip_method_invite)
		d->invite_cseq = d->cseq;
	return msg;
}

void dialog_dest(const struct dialog *d, struct stack_dest *dest)
{
	const url_t *u = NULL;
	char transport[8] = "";

	*dest = d->next;
	if (d->route != NULL)
		u = d->route->r_url;
	else if (d->next.uri[0] == '\0' && d->target != NULL)
		u = d->target->m_url;
	if (u == NULL || u->url_host == NULL)
		return;
	url_param(u->url_params, "transport", transport, sizeof(transport));
	snprintf(dest->uri, sizeof(dest->uri), "%s:%s%s%s%s%s",
		u->url_type == url_sips ? "sips" : "sip", u->url_host,
		u->url_port != NULL && u->url_port[0] != '\0' ? ":" : "",
		u->url_port != NULL ? u->url_port : "", transport[0] != '\0' ? ";transport=" : "",
		transport);
}
