/* stack on sofia-sip's NTA: the only file that knows it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <uthash.h>

struct stack;
#define NTA_AGENT_MAGIC_T    struct stack
#define NTA_LEG_MAGIC_T	     struct stack
#define NTA_OUTGOING_MAGIC_T struct stack_client_sink
#define NTA_INCOMING_MAGIC_T struct stack_server_sink
#define NTA_RELIABLE_MAGIC_T nta_incoming_t

#include "sip/stack.h"

#include <sofia-sip/hostdomain.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/msg_mclass.h>
#include <sofia-sip/nta.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/nta_stateless.h>
#include <sofia-sip/nta_tport.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/sip_util.h>
#include <sofia-sip/su_log.h>
#include <sofia-sip/tport.h>
#include <sofia-sip/tport_tag.h>

#include "base/log.h"
#include "base/str.h"
#include "sip/print.h"

#define LISTEN_MAX  16
#define MESSAGE_MAX 65536
#define BACKLOG_MAX (1u << 20) /* bytes that may wait in a connection */
#define MAGIC	    "z9hG4bK" /* before each branch that is unique */

struct listener {
	char proto[8];
	char host[STACK_HOST_MAX]; /* bare; IPv6 without brackets */
	char hostport[STACK_HOST_MAX + 10];
	char ident[STACK_HOST_MAX + 10]; /* shared by UDP and TCP of one address */
	unsigned port;
	int family;
	bool loopback;
};

/* A request without To tag that came not long ago. */
struct heard {
	uint64_t key; /* of Call-ID, From tag, CSeq */
	int64_t until; /* monotonic milliseconds */
	struct heard *newer;
	UT_hash_handle hh;
};

struct stack {
	struct heard *heard, *oldest, *newest;
	unsigned heard_ms; /* that long */
	nta_agent_t *agent;
	msg_mclass_t *mclass; /* SIP, with our look at Via and status */
	nta_leg_t *leg; /* the default leg: every new request comes here */
	nta_outgoing_t *stray; /* the default transaction: every response that is no other's comes here */
	struct stack_hooks hooks;
	struct listener listener[LISTEN_MAX];
	unsigned nlistener;
};

static nta_incoming_t *irq_of(struct stack_server *t)
{
	return (nta_incoming_t *)t;
}

static nta_outgoing_t *orq_of(struct stack_client *t)
{
	return (nta_outgoing_t *)t;
}

/* ---- listeners -------------------------------------------------------------------------- */

static bool host_is_loopback(const char *host)
{
	return str_starts(host, "127.") || str_eq(host, "::1") || str_ieq(host, "localhost");
}

static int host_family(const char *host)
{
	return strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
}

/* "udp:127.0.0.1:5060" -> l. */
static bool listener_parse(const char *text, struct listener *l)
{
	const char *host = strchr(text, ':'), *port = strrchr(text, ':');
	size_t n;
	char *end;

	if (host == NULL || port == host || (size_t)(host - text) >= sizeof(l->proto))
		return false;
	str_copy_n(l->proto, sizeof(l->proto), text, (size_t)(host - text));
	if (strcmp(l->proto, "udp") != 0 && strcmp(l->proto, "tcp") != 0)
		return false;
	host++;
	n = (size_t)(port - host);
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']')
		host++, n -= 2;
	if (n == 0 || n >= sizeof(l->host))
		return false;
	str_copy_n(l->host, sizeof(l->host), host, n);
	l->port = (unsigned)strtoul(port + 1, &end, 10);
	if (*end != '\0' || end == port + 1 || l->port == 0 || l->port > 65535)
		return false;
	l->family = host_family(l->host);
	l->loopback = host_is_loopback(l->host);
	snprintf(l->hostport, sizeof(l->hostport), l->family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		l->host, l->port);
	str_set(l->ident, l->hostport);
	return true;
}

/* A listener on every address is announced under the first address that sofia found. */
static void listener_learn_host(struct stack *s, struct listener *l)
{
	tport_t *tp;
	const tp_name_t *n;

	if (strcmp(l->host, "0.0.0.0") != 0 && strcmp(l->host, "::") != 0)
		return;
	for (tp = tport_primaries(nta_agent_tports(s->agent)); tp != NULL; tp = tport_next(tp)) {
		n = tport_name(tp);
		if (n->tpn_ident == NULL || strcmp(n->tpn_ident, l->ident) != 0)
			continue;
		snprintf(l->hostport, sizeof(l->hostport), "%s:%s", n->tpn_host, n->tpn_port);
		return;
	}
}

static int listener_open(struct stack *s, const char *text, const struct stack_config *cfg)
{
	struct listener *l = &s->listener[s->nlistener];
	char uri[160];

	if (s->nlistener >= LISTEN_MAX || !listener_parse(text, l)) {
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "listen_bad", "value", text,
			"expected", "udp:ADDRESS:PORT or tcp:ADDRESS:PORT", NULL);
		return EINVAL;
	}
	snprintf(uri, sizeof(uri), "sip:%s;transport=%s", l->hostport, l->proto);
	if (nta_agent_add_tport(s->agent, (url_string_t *)uri, TPTAG_IDENT(l->ident),
		    TPTAG_UDP_RMEM(cfg->udp_rmem), TPTAG_SERVER(1), TPTAG_PONG2PING(1),
		    TAG_END()) < 0) {
		int err = su_errno();

		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "listen_failed", "value", text,
			"error", su_strerror(err), NULL);
		return err != 0 ? err : EADDRNOTAVAIL;
	}
	listener_learn_host(s, l);
	s->nlistener++;
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "listening", "on", text, NULL);
	return 0;
}

/* Protocol and host (bare) that a next hop "sip:[user@]host[:port][;params]" wants. It was checked
 * when it came in, and is looked at for every request: no parser is started for it. */
static void dest_wants(const char *uri, char *proto, size_t size, char *host, size_t hsize)
{
	static const char transport[] = ";transport=";
	const char *h = strchr(uri, ':'), *at = strchr(uri, '@'), *param;
	size_t n;

	str_copy(proto, size, "udp");
	host[0] = '\0';
	if (h == NULL)
		return;
	h = at != NULL ? at + 1 : h + 1;
	n = *h == '[' ? strcspn(++h, "]") : strcspn(h, ":;?");
	str_copy_n(host, hsize, h, n);
	param = strcasestr(h + n, transport);
	if (param != NULL) {
		param += sizeof(transport) - 1;
		str_copy_n(proto, size, param, strcspn(param, ";?"));
	}
}

static const struct listener *listener_for(const struct stack *s, const struct stack_dest *d)
{
	char proto[8], host[256];
	const struct listener *best = NULL;
	int best_score = 0;

	if (d->listener >= 0 && (unsigned)d->listener < s->nlistener)
		return &s->listener[d->listener];
	dest_wants(d->uri, proto, sizeof(proto), host, sizeof(host));
	for (unsigned i = 0; i < s->nlistener; i++) {
		const struct listener *l = &s->listener[i];
		int score;

		if (l->family != host_family(host))
			continue;
		score = 1 + (strcasecmp(l->proto, proto) == 0 ? 2 : 0) +
			(l->loopback == host_is_loopback(host) ? 1 : 0);
		if (score > best_score)
			best = l, best_score = score;
	}
	return best;
}

const char *stack_local(const struct stack *s, const struct stack_dest *d, const char **proto)
{
	const struct listener *l = listener_for(s, d);

	if (l == NULL)
		return NULL;
	*proto = l->proto;
	return l->hostport;
}

bool stack_is_local(const struct stack *s, const char *host, unsigned port)
{
	size_t n = strlen(host);
	char bare[STACK_HOST_MAX];

	if (n >= 2 && host[0] == '[')
		str_copy_n(bare, sizeof(bare), host + 1, n - 2);
	else
		str_set(bare, host);
	for (unsigned i = 0; i < s->nlistener; i++)
		if (strcasecmp(s->listener[i].host, bare) == 0 &&
			(port == 0 || port == s->listener[i].port))
			return true;
	return false;
}

uint64_t stack_malformed(const struct stack *s)
{
	usize_t n = 0;

	nta_agent_get_stats(s->agent, NTATAG_S_BAD_MESSAGE_REF(n), TAG_END());
	return n;
}

/* ---- server transactions ------------------------------------------------------------------ */

static void heard_forget(struct stack *s, int64_t now)
{
	while (s->oldest != NULL && s->oldest->until <= now) {
		struct heard *h = s->oldest;

		s->oldest = h->newer;
		HASH_DEL(s->heard, h);
		free(h);
	}
	if (s->oldest == NULL)
		s->newest = NULL;
}

/* The same request again in a transaction of its own: it came by another path (RFC 3261 section 8.2.2.2).
 * The library would refuse it by itself, but where its refusal cannot be sent (it may be larger than a
 * datagram) an ACK for that would end us. */
static bool is_merged(struct stack *s, const sip_t *r)
{
	char number[STR_NUMBER_MAX];
	struct timespec ts;
	struct heard *h;
	uint64_t key;
	int64_t now;

	key = str_hash(STR_HASH, r->sip_call_id->i_id);
	key = str_hash(key, r->sip_from->a_tag);
	key = str_hash(key, str_number((unsigned)r->sip_cseq->cs_seq, number));
	key = str_hash(key, r->sip_cseq->cs_method_name);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
	heard_forget(s, now);
	HASH_FIND(hh, s->heard, &key, sizeof(key), h);
	if (h != NULL || (h = calloc(1, sizeof(*h))) == NULL)
		return h != NULL;
	h->key = key;
	h->until = now + s->heard_ms;
	HASH_ADD(hh, s->heard, key, sizeof(h->key), h);
	*(s->newest != NULL ? &s->newest->newer : &s->oldest) = h;
	s->newest = h;
	return false;
}

/* Over TCP a transaction that is no INVITE has ended with its answer, and so has what it could be merged
 * with. */
static bool may_merge(struct stack *s, nta_incoming_t *irq, const sip_t *r)
{
	sip_method_t method = r->sip_request->rq_method;
	tport_t *tp = nta_incoming_transport(s->agent, irq, NULL);
	bool datagram = tp != NULL && !tport_is_reliable(tp);

	tport_unref(tp);
	return r->sip_to->a_tag == NULL && method != sip_method_cancel &&
	       (method == sip_method_invite || datagram);
}

static int on_request(struct stack *s, nta_leg_t *leg, nta_incoming_t *irq, const sip_t *sip)
{
	struct stack_server *t = (struct stack_server *)irq;
	msg_t *refusal;

	if (sip->sip_request->rq_method == sip_method_ack) {
		nta_incoming_destroy(irq); /* of a 2xx that is long forgotten */
	} else if (may_merge(s, irq, sip) && is_merged(s, sip)) {
		refusal = stack_response(t, 482, "Request Merged");
		if (refusal != NULL)
			stack_reply(t, refusal);
		stack_server_release(t);
	} else {
		s->hooks.request(s->hooks.arg, t, sip);
	}
	return 0;
}

static int on_ack_cancel(struct stack_server_sink *sink, nta_incoming_t *irq, const sip_t *sip)
{
	struct stack_server *t = (struct stack_server *)irq;

	if (sip == NULL)
		sink->ops->silence(sink, t);
	else if (sip->sip_request->rq_method == sip_method_cancel)
		sink->ops->cancel(sink, t, sip);
	else if (sip->sip_request->rq_method == sip_method_ack && nta_incoming_status(irq) < 300)
		sink->ops->ack(sink, t, sip);
	return 0;
}

static struct stack_server_sink *sink_of(nta_incoming_t *irq)
{
	return nta_incoming_magic(irq, on_ack_cancel);
}

static void hold_end(struct stack_server_sink *sink)
{
	if (sink == NULL)
		return;
	if (sink->held != NULL)
		msg_destroy(sink->held);
	sink->held = NULL;
	sink->unacked = 0;
	sink->settles = false;
}

/* prack NULL: it never came, or our final response has made it needless. */
static int on_prack(nta_incoming_t *irq, nta_reliable_t *rel, nta_incoming_t *prack, const sip_t *sip)
{
	struct stack_server_sink *sink = sink_of(irq);
	msg_t *held;

	nta_reliable_destroy(rel);
	if (prack == NULL || sink == NULL || sink->unacked == 0 || --sink->unacked > 0) {
		if (prack == NULL)
			hold_end(sink);
		return prack != NULL ? 200 : 0;
	}
	held = sink->held;
	sink->held = NULL;
	hold_end(sink);
	if (held == NULL)
		return 200;
	nta_incoming_treply(prack, SIP_200_OK, TAG_END());
	nta_incoming_destroy(prack);
	stack_reply((struct stack_server *)irq, held);
	return 0;
}

static int listener_of(struct stack *s, tport_t *tp)
{
	const tp_name_t *n = tp != NULL ? tport_name(tport_parent(tp)) : NULL;

	if (n == NULL || n->tpn_ident == NULL)
		return -1;
	for (unsigned i = 0; i < s->nlistener; i++)
		if (strcmp(s->listener[i].ident, n->tpn_ident) == 0 &&
			strcasecmp(s->listener[i].proto, n->tpn_proto) == 0)
			return (int)i;
	return -1;
}

/* As su_inet_ntop(), which prints IPv4 by sprintf(): every request has its source written out. */
static const char *address_text(const su_sockaddr_t *su, char *buf, size_t size)
{
	const uint8_t *b = (const uint8_t *)SU_ADDR(su);
	char n[4][STR_NUMBER_MAX];

	if (su->su_family != AF_INET)
		return su_inet_ntop(su->su_family, SU_ADDR(su), buf, size);
	str_join(buf, size, (const char *const[]){str_number(b[0], n[0]), ".", str_number(b[1], n[1]), ".",
				    str_number(b[2], n[2]), ".", str_number(b[3], n[3]), NULL});
	return buf;
}

static void source_of(struct stack *s, msg_t *msg, tport_t *tp, struct stack_addr *from)
{
	su_sockaddr_t *su = msg_addr(msg);

	memset(from, 0, sizeof(*from));
	from->listener = listener_of(s, tp);
	str_set(from->proto, from->listener >= 0 ? s->listener[from->listener].proto : "udp");
	address_text(su, from->host, sizeof(from->host));
	from->port = ntohs(su->su_port);
}

void stack_server_source(struct stack *s, struct stack_server *t, struct stack_addr *from)
{
	msg_t *msg = nta_incoming_getrequest(irq_of(t));
	tport_t *tp = nta_incoming_transport(s->agent, irq_of(t), msg);

	source_of(s, msg, tp, from);
	tport_unref(tp);
	msg_destroy(msg);
}

msg_t *stack_server_message(struct stack_server *t)
{
	return nta_incoming_getrequest(irq_of(t));
}

void stack_server_tag(struct stack_server *t, const char *tag)
{
	nta_incoming_tag(irq_of(t), tag);
}

void stack_server_bind(struct stack_server *t, struct stack_server_sink *sink)
{
	hold_end(sink_of(irq_of(t)));
	if (sink != NULL)
		sink->held = NULL, sink->unacked = 0, sink->settles = false;
	nta_incoming_bind(irq_of(t), sink != NULL ? on_ack_cancel : NULL, sink);
}

/* Record-Route goes back in what can create a dialog (RFC 3261 section 12.1.1). */
static void add_record_route(nta_incoming_t *irq, msg_t *msg)
{
	msg_t *asked = nta_incoming_getrequest(irq);
	const sip_t *request = sip_object(asked);

	if (request->sip_record_route != NULL)
		sip_add_dup(msg, sip_object(msg), (sip_header_t *)request->sip_record_route);
	msg_destroy(asked);
}

msg_t *stack_response(struct stack_server *t, int status, const char *phrase)
{
	msg_t *msg;
	sip_t *sip;

	if (status < 100 || status > 699) /* of these the library makes a message without a status */
		status = 500;
	if (phrase == NULL || phrase[0] == '\0')
		phrase = sip_status_phrase(status);
	if (phrase == NULL)
		phrase = "Status";
	msg = nta_incoming_create_response(irq_of(t), status, phrase);
	sip = msg != NULL ? sip_object(msg) : NULL;
	/* the library adds the tag to what it builds itself only (RFC 3261 section 8.2.6.2) */
	if (sip != NULL && status > 100 && sip->sip_to != NULL && sip->sip_to->a_tag == NULL)
		sip_to_tag(msg_home(msg), sip->sip_to, nta_incoming_tag(irq_of(t), NULL));
	if (sip != NULL && status > 100 && status < 300)
		add_record_route(irq_of(t), msg);
	return msg;
}

/* Does it tell transactions apart by itself (RFC 3261 section 8.1.1.7)? */
static bool branch_is_magic(const sip_via_t *v)
{
	return v->v_branch != NULL && strncasecmp(v->v_branch, MAGIC, strlen(MAGIC)) == 0 &&
	       v->v_branch[strlen(MAGIC)] != '\0';
}

/*
 * A final response that could not be sent (the connection is gone, no route) leaves the INVITE in a
 * queue where the library does not expect its ACK: it would abort the process. So nothing may
 * match that transaction any more. Its strings are those of the request, and no other parser looks
 * at them again. A repeated INVITE is still known as merged.
 */
static void hide_if_unsent(nta_incoming_t *irq)
{
	msg_t *msg;
	const sip_t *request;
	char *name;

	if (nta_incoming_method(irq) != sip_method_invite || nta_incoming_status(irq) >= 200)
		return;
	msg = nta_incoming_getrequest(irq);
	request = sip_object(msg);
	name = (char *)(branch_is_magic(request->sip_via) ? request->sip_via->v_branch
							  : request->sip_call_id->i_id);
	for (; *name != '\0'; name++)
		*name = ' '; /* no message can say that */
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "response_unsent", "via",
		request->sip_via->v_host, NULL);
	msg_destroy(msg);
}

void stack_reply(struct stack_server *t, msg_t *response)
{
	struct stack_server_sink *sink = sink_of(irq_of(t));
	int status = sip_object(response)->sip_status->st_status;

	/* The library would wait too, but then send it without a look at whether it can be sent, and once
	 * only. */
	if (status / 100 == 2 && sink != NULL && sink->unacked > 0 && sink->settles &&
		sink->held == NULL) {
		sink->held = response;
		return;
	}
	print_parts(response);
	nta_incoming_mreply(irq_of(t), response);
	if (status >= 200)
		hide_if_unsent(irq_of(t));
}

int stack_reply_reliable(struct stack_server *t, msg_t *response)
{
	struct stack_server_sink *sink = sink_of(irq_of(t));
	bool settles = sip_object(response)->sip_payload != NULL;

	print_parts(response);
	if (nta_reliable_mreply(irq_of(t), on_prack, irq_of(t), response) == NULL)
		return EPROTO;
	if (sink != NULL)
		sink->unacked++, sink->settles |= settles;
	return 0;
}

bool stack_server_answered(struct stack_server *t)
{
	return nta_incoming_status(irq_of(t)) >= 200;
}

void stack_server_release(struct stack_server *t)
{
	hold_end(sink_of(irq_of(t)));
	nta_incoming_destroy(irq_of(t));
}

/* ---- client transactions ------------------------------------------------------------------ */

static void cancel_send(nta_outgoing_t *orq, const char *reason);

static int on_response(struct stack_client_sink *sink, nta_outgoing_t *orq, const sip_t *sip)
{
	if (sip == NULL)
		return 0;
	if (sink->cancel == STACK_CANCEL_WAITS && sip->sip_status->st_status < 200) {
		sink->cancel = STACK_CANCEL_NONE;
		cancel_send(orq, sink->reason);
	}
	sink->response(sink, (struct stack_client *)orq, sip);
	return 0;
}

msg_t *stack_request(struct stack *s)
{
	return nta_msg_create(s->agent, 0);
}

static nta_outgoing_t *send_msg(struct stack *s, msg_t *msg, const struct stack_dest *d,
	nta_response_f *fn, struct stack_client_sink *sink)
{
	const struct listener *l = listener_for(s, d);
	const char *ident = l != NULL ? l->ident : NULL;
	url_t *route = NULL;
	nta_outgoing_t *orq;

	if (d->uri[0] != '\0') {
		route = url_make(msg_home(msg), d->uri);
		if (route == NULL || route->url_host == NULL || route->url_host[0] == '\0') {
			msg_destroy(msg);
			return NULL;
		}
	}
	print_parts(msg);
	orq = nta_outgoing_mcreate(s->agent, fn, sink, (url_string_t *)route, msg,
		TAG_IF(ident != NULL, TPTAG_IDENT(ident)), TAG_END());
	if (orq == NULL)
		msg_destroy(msg);
	return orq;
}

struct stack_client *stack_send(
	struct stack *s, msg_t *request, const struct stack_dest *d, struct stack_client_sink *sink)
{
	return (struct stack_client *)send_msg(s, request, d, on_response, sink);
}

void stack_send_alone(struct stack *s, msg_t *request, const struct stack_dest *d)
{
	nta_outgoing_t *orq = send_msg(s, request, d, NULL, NULL);

	if (orq != NULL)
		nta_outgoing_destroy(orq); /* goes on until there is a response, then frees itself */
}

/* Not by way of a transaction: the library insists on the INVITE for it. */
void stack_send_late_ack(struct stack *s, msg_t *ack, const struct stack_dest *d)
{
	const struct listener *l = listener_for(s, d);
	url_t *route = d->uri[0] != '\0' ? url_make(msg_home(ack), d->uri) : NULL;

	print_parts(ack);
	nta_msg_tsend(s->agent, ack, (url_string_t *)route,
		TAG_IF(l != NULL, TPTAG_IDENT(l != NULL ? l->ident : NULL)), TAG_END());
}

/* Through us alone, and to where we listen. */
static bool is_to_us(const struct stack *s, const sip_via_t *v)
{
	const char *port = v != NULL && v->v_port != NULL ? v->v_port : SIP_DEFAULT_SERV;

	return v != NULL && v->v_next == NULL &&
	       stack_is_local(s, v->v_host, (unsigned)strtoul(port, NULL, 10));
}

static int on_stray(nta_outgoing_magic_t *magic, nta_outgoing_t *orq, const sip_t *sip)
{
	struct stack *s = (struct stack *)magic;
	msg_t *msg = nta_outgoing_getresponse(orq);
	struct stack_addr from;

	if (msg != NULL && sip != NULL && sip->sip_cseq->cs_method == sip_method_invite &&
		sip->sip_status->st_status / 100 == 2 && is_to_us(s, sip->sip_via)) {
		source_of(s, msg, tport_delivered_by(nta_agent_tports(s->agent), msg), &from);
		s->hooks.stray(s->hooks.arg, sip, &from);
	}
	if (msg != NULL)
		msg_destroy(msg);
	return 0;
}

void stack_send_ack(struct stack *s, msg_t *ack, const struct stack_dest *d)
{
	stack_send_alone(s, ack, d); /* stays in the tables until timer F */
}

static void cancel_send(nta_outgoing_t *orq, const char *reason)
{
	nta_outgoing_tcancel(orq, NULL, NULL, TAG_IF(reason[0] != '\0', SIPTAG_REASON_STR(reason)),
		TAG_END());
}

/* Before a 1xx no CANCEL may be sent (RFC 3261 section 9.1). The library would make one and keep it, but
 * an answer to what was not sent yet would end us by an assertion. So it waits here, except where the
 * INVITE itself still waits for the DNS: that one is forgotten below. */
void stack_cancel(struct stack_client *t, const char *reason)
{
	struct stack_client_sink *sink = nta_outgoing_magic(orq_of(t), on_response);
	tport_t *sent_by = nta_outgoing_transport(orq_of(t));

	if (nta_outgoing_status(orq_of(t)) >= 100 || sent_by == NULL || sink == NULL) {
		cancel_send(orq_of(t), reason);
	} else {
		sink->cancel = STACK_CANCEL_WAITS;
		str_set(sink->reason, reason);
	}
	tport_unref(sent_by);
}

msg_t *stack_client_message(struct stack_client *t)
{
	return nta_outgoing_getresponse(orq_of(t));
}

msg_t *stack_client_request(struct stack_client *t)
{
	return nta_outgoing_getrequest(orq_of(t));
}

void stack_client_release(struct stack_client *t)
{
	nta_outgoing_destroy(orq_of(t));
}

bool stack_is_internal(const sip_t *sip)
{
	return nta_sip_is_internal((sip_t *)sip) != 0;
}

/* ---- life ------------------------------------------------------------------------------- */

/* Exported by the library, declared in none of its installed headers. */
extern su_log_t nta_log[], tport_log[];

/* What the library says becomes lines of our log: the first line of each message, at debug. A lost
 * datagram is reported by its transaction; here it would only alarm. */
__attribute__((format(printf, 2, 0)))
static void library_says(void *arg, const char *fmt, va_list ap)
{
	char text[200];

	(void)arg;
	if (log_min() > LOG_LEVEL_DEBUG)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\r\n")] = '\0';
	if (text[0])
		log_kv(LOG_LEVEL_DEBUG, (struct log_ref){0}, "stack", "says", text, NULL);
}

static void redirect_library_log(void)
{
	su_log_redirect(su_log_default, library_says, NULL);
	su_log_redirect(nta_log, library_says, NULL);
	su_log_redirect(tport_log, library_says, NULL);
}

/* Exported too: called with each reading of the library's clock, which it may change. */
extern __attribute__((weak)) void (*_su_time)(su_time_t *tv);

static void whole_milliseconds(su_time_t *tv)
{
	if (tv != NULL)
		tv->tv_usec -= tv->tv_usec % 1000;
}

/* The library rounds the time to its next timer down to milliseconds and then polls, without
 * sleeping, through the rest of the last one: a third of the daemon's CPU at 150 calls/s. With a
 * clock of whole milliseconds there is no rest. */
static void calm_library_clock(void)
{
	if (&_su_time != NULL)
		_su_time = whole_milliseconds;
}

/* Takes the parameter away, however often it is there: the library looks at one, and a copy of the header
 * would show it the next. */
static void param_drop(sip_via_t *v, const char *name)
{
	while (msg_header_remove_param(v->v_common, name) > 0)
		;
}

/* Where our responses go is for the source address to say, not for the sender: a maddr could name
 * anybody, or a host that the library would ask the DNS for while all else waits. */
static void via_tame(sip_via_t *v)
{
	unsigned long port = v->v_port != NULL ? strtoul(v->v_port, NULL, 10) : 5060;

	if (v->v_maddr != NULL)
		param_drop(v, "maddr");
	if (v->v_comp != NULL)
		param_drop(v, "comp");
	v->v_maddr = v->v_comp = NULL;
	if (port == 0 || port > 65535)
		v->v_port = NULL;
}

/* The same for the host and a "received": the library sees to both, but not before it answers another
 * version of SIP (505), or what is broken and names the wrong transport (400). */
static void via_set_source(su_home_t *home, sip_via_t *v)
{
	const su_sockaddr_t *su = msg_addr((msg_t *)home);
	bool v6 = su->su_family == AF_INET6;
	char ip[64], host[sizeof(ip) + 2];

	if (v->v_received != NULL)
		param_drop(v, "received");
	if ((!v6 && su->su_family != AF_INET) || address_text(su, ip, sizeof(ip)) == NULL)
		return;
	if (su->su_port == 0) /* nothing can be sent there */
		param_drop(v, "rport");
	str_put(host, v6 ? "[" : "", ip, v6 ? "]" : "");
	if (!str_ieq(host, v->v_host))
		msg_header_replace_param(home, v->v_common, su_sprintf(home, "received=%s", ip));
}

/* The library compares what comes after the first seven characters of a branch, also of one that is
 * shorter: it gets room. */
static void via_pad_branch(su_home_t *home, sip_via_t *v)
{
	size_t n = v->v_branch != NULL ? strlen(v->v_branch) : strlen(MAGIC);
	char *text = n < strlen(MAGIC) ? su_zalloc(home, sizeof("branch=" MAGIC MAGIC)) : NULL;

	if (text == NULL)
		return;
	strcpy(text, "branch=");
	memcpy(text + strlen(text), v->v_branch, n);
	param_drop(v, "branch");
	msg_header_replace_param(home, v->v_common, text);
}

/* A status that does not exist (SIP/2.0 700) is taken for a failure of the server that sent it: it
 * could not be passed on, the library makes no response of it. Of a number of more than 16 bits the
 * library would remember others for its transaction, and end us by an assertion at the next response.
 * What is too small is no more than a sign of life. */
static void status_tame(sip_status_t *line)
{
	if (line->st_status < 100)
		line->st_status = 100;
	else if (line->st_status > 699)
		line->st_status = 500;
}

/* The library limits the first message of a connection, and forgets to limit those that follow it in what
 * is read at once: to one with a Content-Length of 4294967295 it would write far outside of its memory.
 * The limit is also that for what can be read at once behind the beginning of a message, and there it
 * must not be that of one message: the connection would be closed, and all that waits in it lost. */
static issize_t (*extract_body)(msg_t *, msg_pub_t *, char[], isize_t, int);

static issize_t extract_limited(msg_t *msg, msg_pub_t *pub, char b[], isize_t size, int eos)
{
	issize_t n;

	msg_maxsize(msg, MESSAGE_MAX);
	n = extract_body(msg, pub, b, size, eos);
	msg_maxsize(msg, BACKLOG_MAX);
	return n;
}

static void limit(su_home_t *home)
{
	msg_maxsize((msg_t *)home, BACKLOG_MAX);
}

static issize_t request_read(su_home_t *home, msg_header_t *h, char *text, isize_t size)
{
	limit(home);
	h->sh_class = sip_request_class;
	return sip_request_class->hc_parse(home, h, text, size);
}

/*
 * The library's parser of a status line and of a Via, and our look at what they read. It must come with
 * the parsing: the headers of a datagram need not end with an empty line, and nothing else is called
 * between the last one and the transaction. Outside of the parser the classes are those of the library.
 */
static issize_t status_read(su_home_t *home, msg_header_t *h, char *text, isize_t size)
{
	issize_t n = sip_status_class->hc_parse(home, h, text, size);

	limit(home);
	h->sh_class = sip_status_class;
	if (n >= 0)
		status_tame((sip_status_t *)h);
	return n;
}

static issize_t via_read(su_home_t *home, msg_header_t *h, char *text, isize_t size)
{
	const sip_t *sip = sip_object((msg_t *)home); /* every header's home is its message */
	issize_t n;

	h->sh_class = sip_via_class; /* before: those after a comma are not for us to touch */
	n = sip_via_class->hc_parse(home, h, text, size);
	if (n < 0 || sip->sip_via != NULL)
		return n;
	via_tame((sip_via_t *)h);
	if (sip->sip_request != NULL) {
		via_set_source(home, (sip_via_t *)h);
		via_pad_branch(home, (sip_via_t *)h);
	}
	return n;
}

static struct msg_hclass_s request_checked, status_checked, via_checked;

/* Finds the Via's place by its name for the parser, by its class for whoever adds one. */
static int watch_via(msg_mclass_t *mc)
{
	msg_href_t *by_letter = (msg_href_t *)mc->mc_short;
	msg_href_t *by_name = (msg_href_t *)msg_find_hclass(mc, "Via:", NULL);
	msg_href_t real = *by_name;

	if (real.hr_class != sip_via_class)
		return -1;
	via_checked = *sip_via_class;
	via_checked.hc_parse = via_read;
	by_name->hr_class = &via_checked;
	if (msg_mclass_insert(mc, &real) < 0)
		return -1;
	by_letter['v' - 'a'].hr_class = &via_checked;
	return 0;
}

static msg_mclass_t *make_message_class(void)
{
	msg_mclass_t *mc = msg_mclass_clone(sip_default_mclass(), 0, msg_mclass_copy);

	if (mc == NULL)
		return NULL;
	extract_body = mc->mc_extract_body;
	mc->mc_extract_body = extract_limited;
	request_checked = *sip_request_class;
	request_checked.hc_parse = request_read;
	mc->mc_request->hr_class = &request_checked;
	status_checked = *sip_status_class;
	status_checked.hc_parse = status_read;
	mc->mc_status->hr_class = &status_checked;
	if (watch_via(mc) != 0) {
		free(mc);
		return NULL;
	}
	return mc;
}

struct stack *stack_create(
	su_root_t *root, const struct stack_config *cfg, const struct stack_hooks *hooks)
{
	struct stack *s = calloc(1, sizeof(*s));
	unsigned t1 = cfg->t1_ms != 0 ? cfg->t1_ms : 500;

	if (s == NULL)
		return NULL;
	s->hooks = *hooks;
	s->heard_ms = 64 * t1;
	redirect_library_log();
	calm_library_clock();
	s->mclass = make_message_class();
	if (s->mclass == NULL) {
		free(s);
		return NULL;
	}
	s->agent = nta_agent_create(root, (url_string_t *)-1, NULL, s, NTATAG_UA(1),
		NTATAG_MCLASS(s->mclass), NTATAG_MERGE_482(0), NTATAG_SERVER_RPORT(1),
		NTATAG_CLIENT_RPORT(1), NTATAG_CANCEL_487(0), NTATAG_PASS_100(1),
		NTATAG_TIMEOUT_408(1), NTATAG_SIP_T1(t1),
		NTATAG_SIP_T1X64(64 * t1), NTATAG_PROGRESS(cfg->progress_ms),
		NTATAG_PRELOAD(2048), NTATAG_MAXSIZE(MESSAGE_MAX),
		NTATAG_SIPFLAGS(MSG_FLG_EXTRACT_COPY), TAG_END());
	if (s->agent == NULL) {
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "stack_failed", "error",
			su_strerror(su_errno()), NULL);
		free(s->mclass);
		free(s);
		return NULL;
	}
	s->leg = nta_leg_tcreate(s->agent, on_request, s, NTATAG_NO_DIALOG(1), TAG_END());
	s->stray = nta_outgoing_default(s->agent, on_stray, (nta_outgoing_magic_t *)s);
	if (s->leg == NULL || s->stray == NULL)
		goto fail;
	for (unsigned i = 0; i < cfg->nlisten; i++)
		if (listener_open(s, cfg->listen[i], cfg) != 0)
			goto fail;
	return s;
fail:
	stack_destroy(s);
	return NULL;
}

void stack_destroy(struct stack *s)
{
	if (s == NULL)
		return;
	nta_agent_destroy(s->agent);
	heard_forget(s, INT64_MAX);
	free(s->mclass);
	free(s);
}
