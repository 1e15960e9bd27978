/* invite_out: ACT_DIAL. Finds where to, writes the INVITE, tries a peer's next address when one is
 * silent (E-036). The responses are read in answer.c and progress.c. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_util.h>

#include "sip/internal.h"

#define MAX_FORWARDS 70

struct outbound {
	char ruri[URI_MAX];
	char to[URI_MAX + 8];
	char from[URI_MAX + 2 * NAME_MAX_];
	char path[REGISTRAR_TEXT_MAX];
	struct stack_dest dest; /* of the first INVITE */
	struct stack_dest next; /* of what follows: a phone's own flow, or empty */
};

/* ---- where to ----------------------------------------------------------------------------- */

/* Next hop toward a URI: "sip:host:port;transport=x". */
static void dest_of_uri(const char *text, struct stack_dest *d)
{
	struct uri u;
	char transport[16];

	d->listener = -1;
	d->uri[0] = '\0';
	if (uri_parse_str(text, &u) != URI_OK || u.scheme == URI_TEL)
		return;
	if (!uri_param(u.params, "transport", transport, sizeof(transport)))
		transport[0] = '\0';
	snprintf(d->uri, sizeof(d->uri), "%s:%s", u.scheme == URI_SIPS ? "sips" : "sip", u.host);
	if (u.port != 0)
		snprintf(d->uri + strlen(d->uri), sizeof(d->uri) - strlen(d->uri), ":%u", u.port);
	if (transport[0] != '\0' && strlen(transport) < 8) {
		str_append(d->uri, sizeof(d->uri), ";transport=");
		str_append(d->uri, sizeof(d->uri), transport);
	}
}

static int to_contact(struct sip_leg *l, const struct dest *dest, struct outbound *o)
{
	const struct binding *b = registrar_find(l->sip->registrar, dest->contact);
	const char *path;
	size_t len;
	struct slice first;
	struct addr a;
	char uri[URI_MAX];

	if (b == NULL || !str_eq(b->user, dest->user))
		return ENOENT;
	str_set(l->user, b->user);
	str_set(l->user_agent, b->user_agent);
	l->contact = b->id;
	str_set(o->ruri, b->uri);
	str_set(o->path, b->path);
	path = b->path, len = strlen(b->path);
	if (len > 0 && addr_next(&path, &len, &first) &&
		addr_parse(first.p, first.n, &a) == URI_OK &&
		uri_print(&a.uri, uri, sizeof(uri)) == 0)
		dest_of_uri(uri, &o->dest);
	else if (b->source[0] == '\0' || !source_parse(b->source, &o->dest))
		dest_of_uri(b->uri, &o->dest);
	else
		o->next = o->dest;
	identity_uri(l->sip, dest->number[0] != '\0' ? dest->number : b->user, uri, sizeof(uri));
	snprintf(o->to, sizeof(o->to), "<%s>", uri);
	return 0;
}

static int to_peer(struct sip_leg *l, const struct act_dial *dial, struct outbound *o)
{
	const struct dest *dest = &dial->dest;
	const struct sip_peer *p = peer_by_name(l->sip, dest->peer);
	const char *referral = dial->cmd != 0 ? refer_target(l->sip, dial->cmd) : NULL;
	struct uri u;

	if (p == NULL || peer_dest(l->sip, p, 0, &o->dest) != 0 ||
		uri_parse_str(o->dest.uri, &u) != URI_OK)
		return ENOENT;
	str_set(l->peer, p->name);
	if (p->verbatim_referral && referral != NULL && uri_parse_str(referral, &u) == URI_OK &&
		u.scheme != URI_TEL)
		str_set(o->ruri, referral);
	else if (uri_build(o->ruri, sizeof(o->ruri), dest->number, u.host, u.port, NULL) != 0)
		return EINVAL;
	snprintf(o->to, sizeof(o->to), "<%s>", o->ruri);
	return 0;
}

/* ---- the INVITE --------------------------------------------------------------------------- */

static void add_route(msg_t *msg, const char *path)
{
	size_t len = strlen(path);
	struct slice element;
	char value[URI_MAX];

	while (addr_next(&path, &len, &element)) {
		str_copy_n(value, sizeof(value), element.p, element.n);
		message_add_line(msg, "Route", value);
	}
}

/* The phone may ring differently, and other systems can tell which transfer came back. */
static void add_recall(msg_t *msg, const struct act_dial *dial)
{
	char id[UUID_STRLEN];

	if (!dial->recall)
		return;
	/* RFC 7462 section 8.2.2 */
	message_add_line(msg, "Alert-Info", "<urn:alert:service:recall:transfer>");
	if (!uuid_is_nil(&dial->xfer))
		message_add_line(msg, "X-Segue-Transfer", uuid_str(&dial->xfer, id));
}

static msg_t *write_invite(struct sip_leg *l, const struct action *a, const struct outbound *o)
{
	const struct act_dial *dial = &a->dial;
	struct sip_leg *like = sip_leg_find(l->sip, dial->like);
	bool transfer = dial->cmd != 0 || dial->referred_by[0] != '\0' || dial->recall;
	const char *sdp = NULL;
	size_t len = 0;
	msg_t *msg = dialog_request(&l->dialog, l->sip->stack, SIP_METHOD_INVITE);
	sip_t *sip = sip_object(msg);

	if (msg == NULL)
		return NULL;
	l->max_forwards =
		like != NULL && like->max_forwards > 0 ? like->max_forwards - 1 : MAX_FORWARDS;
	sip->sip_max_forwards->mf_count = l->max_forwards;
	if (a->from != ID_NONE)
		sdp = sip_leg_make_sdp(l, SDP_ROLE_OFFER, a->from, a->dir, &len);
	l->first_offer = sdp != NULL ? INVITE_OFFERS : INVITE_LATE;
	if (o->path[0] != '\0')
		add_route(msg, o->path);
	message_add_capabilities(msg, l);
	session_timer_offer(l, msg);
	identity_add_diversion(msg, l, dial);
	message_pass_headers(msg, l, like, transfer ? HEADER_TRIP_TRANSFER : HEADER_TRIP_CALL);
	identity_add(msg, l, dial);
	add_recall(msg, dial);
	if (sdp != NULL)
		message_add_sdp(msg, l->sip, sdp, len);
	return msg;
}

/* ---- failover ----------------------------------------------------------------------------- */

static void failover_arm(struct sip_leg *l);

struct hop {
	const char *from, *to; /* URIs of the peer's addresses */
};

/* The Request-URI names the host that is asked; one that was given verbatim stays. */
static void edit_host(msg_t *msg, void *arg)
{
	const struct hop *hop = arg;
	sip_request_t *rq = sip_object(msg)->sip_request;
	url_t *last = url_make(msg_home(msg), hop->from), *next = url_make(msg_home(msg), hop->to);

	if (last == NULL || next == NULL || !str_eq(last->url_host, rq->rq_url->url_host))
		return;
	rq->rq_url->url_host = next->url_host;
	rq->rq_url->url_port = next->url_port;
	msg_fragment_clear(rq->rq_common);
}

/* Tries the peer's next address. 0, ENOENT when there is none. */
static int failover_next(struct sip_leg *l)
{
	const struct sip_peer *p = peer_by_name(l->sip, l->peer);
	struct stack_dest d;

	if (p == NULL || l->calling == NULL || l->state != SIDE_CALLING)
		return ENOENT;
	while (peer_dest(l->sip, p, ++l->address, &d) == 0) {
		struct hop hop = {p->address[l->address - 1], d.uri};

		log_kv(LOG_LEVEL_NOTICE, (struct log_ref){l->id}, "failover", "peer", p->name, "to",
			d.uri, NULL);
		if (request_repeat(l->calling, &d, edit_host, &hop) == 0) {
			failover_arm(l);
			return 0;
		}
	}
	return ENOENT;
}

static void on_failover(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
	struct sip_leg *l = arg;

	sip_enter(l->sip);
	if (l->calling != NULL && l->calling->heard == HEARD_NOTHING)
		failover_next(l);
	sip_leave(l->sip);
}

static void failover_arm(struct sip_leg *l)
{
	const struct sip_peer *p = peer_by_name(l->sip, l->peer);

	if (p == NULL || p->failover_ms == 0 || l->address + 1 >= p->naddress)
		return;
	if (l->failover == NULL)
		l->failover = su_timer_create(su_root_task(l->sip->root), p->failover_ms);
	if (l->failover != NULL)
		su_timer_set(l->failover, on_failover, l);
}

int invite_failover(struct sip_leg *l, const sip_t *response)
{
	int status = response->sip_status->st_status;

	if (status != 503 && !(status == 408 && stack_is_internal(response)))
		return ENOENT;
	return failover_next(l);
}

/* ---- ACT_DIAL ------------------------------------------------------------------------------ */

static void dial_failed(struct sip_leg *l, uint16_t status, const char *why)
{
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){l->id}, "dial_failed", "why", why, NULL);
	l->state = SIDE_ENDING;
	sip_emit_simple(l, EV_REJECT, status, NULL);
	sip_leg_end(l);
}

static int prepare(struct sip_leg *l, const struct action *a, struct outbound *o)
{
	char id[40];
	sip_contact_t *target;
	url_t *url;
	int err;

	o->dest.listener = o->next.listener = -1;
	err = a->dial.dest.kind == DEST_PEER ? to_peer(l, &a->dial, o)
					     : to_contact(l, &a->dial.dest, o);
	if (err != 0)
		return err;
	identity_from(l->sip, &a->dial.caller, o->from, sizeof(o->from));
	snprintf(id, sizeof(id), "%016llx%016llx", (unsigned long long)sip_random(l->sip),
		(unsigned long long)sip_random(l->sip));
	err = dialog_init_uac(&l->dialog, l->sip->stack, id, o->from, o->to, &o->next);
	if (err != 0)
		return err;
	url = url_make(l->dialog.home, o->ruri);
	target = url != NULL ? sip_contact_create(l->dialog.home, (url_string_t *)url, NULL) : NULL;
	if (target == NULL)
		return EINVAL;
	l->dialog.target = target;
	return sip_leg_set_local(l, &o->dest);
}

void invite_dial(struct sip *s, const struct action *a)
{
	struct sip_leg *l = sip_leg_new(s, SIDE_UAC);
	struct outbound o = {.ruri = ""};
	int err;

	if (l == NULL || sip_leg_bind(l, a->leg) != 0) {
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){a->leg}, "out_of_memory", NULL);
		if (l != NULL)
			sip_leg_drop(l);
		return;
	}
	err = prepare(l, a, &o);
	sip_leg_index(l);
	if (err != 0) {
		dial_failed(l, err == ENOENT ? 480 : 503,
			err == ENOENT ? "contact or peer is gone" : strerror(err));
		return;
	}
	l->calling = request_send(l, write_invite(l, a, &o), &o.dest, answer_receive);
	if (l->calling == NULL) {
		dial_failed(l, 503, "cannot send INVITE");
		return;
	}
	failover_arm(l);
}

/* CANCEL, or not even that before a 1xx came; the final response ends the leg. */
void invite_cancel(struct sip_leg *l, const struct action *a)
{
	char reason[96] = "";

	if (a->status == 200)
		str_set(reason, "SIP;cause=200;text=\"Call completed elsewhere\"");
	else if (a->status != 0)
		snprintf(reason, sizeof(reason), "SIP;cause=%u", a->status);
	else if (a->q850 != 0)
		snprintf(reason, sizeof(reason), "Q.850;cause=%u", a->q850);
	l->state = SIDE_CANCELLING;
	trace_text_out(l->sip, l, "CANCEL");
	stack_cancel(l->calling->t, reason);
}
