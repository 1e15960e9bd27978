/* dialog: see dialog.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sofia-sip/msg_addr.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/sip_util.h>

#include "base/str.h"
#include "sip/dialog.h"
#include "sip/uri.h"

#define MAX_FORWARDS 70

/* ---- parts that the dialog owns ------------------------------------------------------------- */

/* A copy under class hc with that tag in place of its own, in one block; NULL without memory. */
static sip_addr_t *with_tag(const sip_addr_t *a, msg_hclass_t *hc, const char *tag)
{
	char param[DIALOG_TAG_MAX + 4];
	size_t n = 0, size = strlen(tag) + sizeof("tag=");
	const char **params = NULL;
	char *text = size <= sizeof(param) ? param : malloc(size);
	sip_addr_t copy = *a, *made = NULL;

	while (a->a_params != NULL && a->a_params[n] != NULL)
		n++;
	params = malloc((n + 2) * sizeof(params[0]));
	if (text == NULL || params == NULL)
		goto out;
	memcpy(text, "tag=", 4);
	memcpy(text + 4, tag, size - 4);
	n = 0;
	for (size_t i = 0; a->a_params != NULL && a->a_params[i] != NULL; i++)
		if (strncasecmp(a->a_params[i], "tag=", 4) != 0)
			params[n++] = a->a_params[i];
	params[n++] = text;
	params[n] = NULL;
	copy.a_params = (msg_param_t *)params;
	copy.a_next = NULL;
	made = (sip_addr_t *)msg_header_dup_as(NULL, hc, (const msg_header_t *)&copy);
out:
	free(params);
	if (text != param)
		free(text);
	return made;
}

static void drop(const void *part)
{
	su_free(NULL, (void *)(uintptr_t)part);
}

/* A header value of ours as an address with that tag (NULL: without). */
static sip_addr_t *make_addr(const char *value, msg_hclass_t *hc, const char *tag)
{
	sip_addr_t *parsed = (sip_addr_t *)msg_header_make(NULL, hc, value), *made;

	if (parsed == NULL || (parsed->a_params == NULL && tag == NULL))
		return parsed;
	made = tag != NULL ? with_tag(parsed, hc, tag)
			   : (sip_addr_t *)msg_header_dup_as(NULL, hc, (msg_header_t *)parsed);
	drop(parsed->a_params);
	drop(parsed);
	return made;
}

/* Room for a new route set; the old one is forgotten. */
static su_home_t *fresh_routes(struct dialog *d)
{
	if (d->routes != NULL)
		su_home_unref(d->routes);
	d->route = NULL;
	d->routes = su_home_new(sizeof(*d->routes));
	return d->routes;
}

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

/* The same text, as far as we send it: the usual case of a Contact that comes again. */
static bool url_same(const url_t *a, const url_t *b)
{
	return a->url_type == b->url_type && str_eq(a->url_user, b->url_user) &&
	       str_eq(a->url_password, b->url_password) && str_eq(a->url_host, b->url_host) &&
	       str_eq(a->url_port, b->url_port) && str_eq(a->url_params, b->url_params);
}

void dialog_take_target(struct dialog *d, const sip_t *sip)
{
	const sip_contact_t *m = sip->sip_contact;
	url_t url, *fresh;

	if (m == NULL || (d->target != NULL && url_same(d->target, m->m_url)) ||
		!url_is_usable(m->m_url))
		return;
	url = *m->m_url;
	url.url_headers = NULL;
	fresh = url_hdup(NULL, &url);
	if (fresh == NULL)
		return;
	drop(d->target);
	d->target = fresh;
}

int dialog_set_target(struct dialog *d, const char *uri)
{
	url_t *fresh = url_hdup(NULL, (const url_t *)uri);

	if (fresh == NULL)
		return ENOMEM;
	if (fresh->url_host == NULL) {
		drop(fresh);
		return EINVAL;
	}
	drop(d->target);
	d->target = fresh;
	return 0;
}

/* ---- life ---------------------------------------------------------------------------------- */

int dialog_init_uas(
	struct dialog *d, struct stack *s, const sip_t *invite, const struct stack_dest *flow)
{
	d->call_id = sip_call_id_dup(NULL, invite->sip_call_id);
	d->local = with_tag(invite->sip_to, sip_from_class, d->tag);
	d->remote = sip_to_dup(NULL, (sip_to_t *)invite->sip_from);
	if (d->call_id == NULL || d->local == NULL || d->remote == NULL)
		return ENOMEM;
	if (invite->sip_record_route != NULL && fresh_routes(d) != NULL)
		d->route = sip_route_fixdup(d->routes, invite->sip_record_route);
	dialog_take_target(d, invite);
	d->remote_cseq = invite->sip_cseq->cs_seq;
	dialog_set_next(d, flow);
	return 0;
}

int dialog_init_uac(struct dialog *d, struct stack *s, const char *id, const char *from,
	const char *to, const struct stack_dest *next)
{
	d->call_id = sip_call_id_make(NULL, id);
	d->local = make_addr(from, sip_from_class, d->tag);
	d->remote = make_addr(to, sip_to_class, NULL);
	if (d->call_id == NULL || d->local == NULL || d->remote == NULL)
		return EINVAL;
	dialog_set_next(d, next);
	return 0;
}

int dialog_init_answered(struct dialog *d, const sip_t *response)
{
	d->call_id = sip_call_id_dup(NULL, response->sip_call_id);
	d->local = sip_from_dup(NULL, response->sip_from);
	d->remote = sip_to_dup(NULL, response->sip_to);
	if (d->call_id == NULL || d->local == NULL || d->remote == NULL)
		return ENOMEM;
	dialog_take_response(d, response);
	d->cseq = d->invite_cseq = response->sip_cseq->cs_seq;
	return d->target != NULL ? 0 : EINVAL;
}

void dialog_make_tag(struct dialog *d, uint64_t random)
{
	d->tag[0] = 's';
	str_hex(random, d->tag + 1);
}

int dialog_set_contact(struct dialog *d, struct stack *s, const struct stack_dest *dest)
{
	const char *proto, *hostport = stack_local(s, dest, &proto);
	char uri[160];

	if (hostport == NULL)
		return EHOSTUNREACH;
	str_put(uri, "<sip:", d->tag, "@", hostport,
		strcmp(proto, "tcp") == 0 ? ";transport=tcp>" : ">");
	drop(d->contact);
	d->contact = sip_contact_make(NULL, uri);
	return d->contact != NULL ? 0 : ENOMEM;
}

void dialog_set_next(struct dialog *d, const struct stack_dest *next)
{
	char *uri = next->uri[0] != '\0' ? strdup(next->uri) : NULL;

	if (uri == NULL && next->uri[0] != '\0')
		return;
	free(d->next);
	d->next = uri;
	d->next_listener = next->listener;
}

void dialog_done(struct dialog *d)
{
	free(d->next);
	d->next = NULL;
	drop(d->call_id);
	drop(d->local);
	drop(d->remote);
	drop(d->target);
	drop(d->contact);
	if (d->routes != NULL)
		su_home_unref(d->routes);
	d->call_id = NULL, d->local = NULL, d->remote = NULL, d->target = NULL, d->contact = NULL;
	d->routes = NULL, d->route = NULL;
}

void dialog_take_response(struct dialog *d, const sip_t *response)
{
	const char *tag = response->sip_to->a_tag;

	if (tag == NULL)
		return;
	if (!str_eq(d->remote->a_tag, tag)) {
		sip_to_t *fresh = with_tag(d->remote, sip_to_class, tag);

		if (fresh == NULL)
			return;
		drop(d->remote);
		d->remote = fresh;
	}
	if (response->sip_record_route != NULL && fresh_routes(d) != NULL)
		d->route = sip_route_reverse(d->routes, response->sip_record_route);
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
		return d->target;
	if (url_has_param(d->route->r_url, "lr")) {
		sip_add_dup(msg, sip, (sip_header_t *)d->route);
		return d->target;
	}
	if (d->route->r_next != NULL)
		sip_add_dup(msg, sip, (sip_header_t *)d->route->r_next);
	last = sip_route_create(home, d->target, NULL);
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

	str_set(dest->uri, d->next);
	dest->listener = d->next_listener;
	if (d->route != NULL)
		u = d->route->r_url;
	else if (d->next == NULL && d->target != NULL)
		u = d->target;
	if (u == NULL || u->url_host == NULL)
		return;
	url_param(u->url_params, "transport", transport, sizeof(transport));
	str_put(dest->uri, u->url_type == url_sips ? "sips:" : "sip:", u->url_host,
		u->url_port != NULL && u->url_port[0] != '\0' ? ":" : "",
		u->url_port != NULL ? u->url_port : "", transport[0] != '\0' ? ";transport=" : "",
		transport);
}

/* ---- from one process to the next ------------------------------------------------------------- */

static int keep_header(const void *h, struct sip_kept *out,
	int (*put)(struct sip_kept *out, const void *p, size_t n))
{
	char text[4096];
	issize_t n = h != NULL ? sip_header_field_e(text, sizeof(text), h, 0) : 0;

	return n < 0 || n >= (issize_t)sizeof(text) ? EMSGSIZE : put(out, text, (size_t)n);
}

static int keep_target(const url_t *url, struct sip_kept *out,
	int (*put)(struct sip_kept *out, const void *p, size_t n))
{
	char text[URI_MAX];
	issize_t n = url != NULL ? url_e(text, sizeof(text), url) : 0;

	return n < 0 || n >= (issize_t)sizeof(text) ? EMSGSIZE : put(out, text, (size_t)n);
}

/* Each route by itself: they are a list of headers. */
static int keep_route(const sip_route_t *route, struct sip_kept *out,
	int (*put)(struct sip_kept *out, const void *p, size_t n))
{
	int err = 0;

	for (; route != NULL && err == 0; route = route->r_next)
		err = keep_header(route, out, put);
	return err ? err : put(out, NULL, 0);
}

int dialog_keep(const struct dialog *d, struct sip_kept *out,
	int (*put)(struct sip_kept *out, const void *p, size_t n))
{
	int err = keep_header(d->call_id, out, put);

	if (err == 0)
		err = keep_header(d->local, out, put);
	if (err == 0)
		err = keep_header(d->remote, out, put);
	if (err == 0)
		err = keep_header(d->contact, out, put);
	if (err == 0)
		err = keep_target(d->target, out, put);
	return err ? err : keep_route(d->route, out, put);
}

/* The next piece, parsed as a header of that class, in one block; NULL if it is none. */
static void *take_header(
	su_home_t *home, msg_hclass_t *hc, struct slice *in, struct slice (*take)(struct slice *in))
{
	struct slice piece = take(in);
	char *text = piece.p != NULL && piece.n > 0 ? su_strndup(home, piece.p, (isize_t)piece.n) : NULL;
	msg_header_t *h = text != NULL ? msg_header_make(home, hc, text) : NULL;

	return h != NULL ? msg_header_dup_as(NULL, hc, h) : NULL;
}

static int restore_route(struct dialog *d, struct slice *in, struct slice (*take)(struct slice *in))
{
	sip_route_t **end = &d->route;

	for (;;) {
		struct slice piece = take(in);
		su_home_t *home;
		char *text;

		if (piece.p == NULL)
			return EINVAL;
		if (piece.n == 0)
			return 0;
		home = d->routes != NULL ? d->routes : fresh_routes(d);
		text = home != NULL ? su_strndup(home, piece.p, (isize_t)piece.n) : NULL;
		*end = text != NULL ? sip_route_make(home, text) : NULL;
		if (*end == NULL)
			return EINVAL;
		end = &(*end)->r_next;
	}
}

static int restore_headers(struct dialog *d, su_home_t *home, struct slice *in,
	struct slice (*take)(struct slice *in))
{
	char target[URI_MAX];
	struct slice piece;

	d->call_id = take_header(home, sip_call_id_class, in, take);
	d->local = take_header(home, sip_from_class, in, take);
	d->remote = take_header(home, sip_to_class, in, take);
	d->contact = take_header(home, sip_contact_class, in, take);
	piece = take(in);
	if (d->call_id == NULL || d->local == NULL || d->remote == NULL || d->contact == NULL ||
		piece.p == NULL || piece.n == 0 || piece.n >= sizeof(target))
		return EINVAL;
	memcpy(target, piece.p, piece.n);
	target[piece.n] = '\0';
	if (dialog_set_target(d, target) != 0 || !url_is_usable(d->target))
		return EINVAL;
	return 0;
}

int dialog_restore(struct dialog *d, struct slice *in, struct slice (*take)(struct slice *in))
{
	su_home_t home[1] = {SU_HOME_INIT(home)};
	int err = restore_headers(d, home, in, take);

	su_home_deinit(home);
	return err ? err : restore_route(d, in, take);
}
