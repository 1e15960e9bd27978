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
	struct contact_route to;
	char from[URI_MAX + 2 * NAME_MAX_];
};

/* ---- where to ----------------------------------------------------------------------------- */

static int to_contact(struct sip_leg *l, const struct dest *dest, struct outbound *o)
{
	const struct binding *b = registrar_find(l->sip->registrar, dest->contact);

	if (b == NULL || !str_eq(b->user, dest->user))
		return ENOENT;
	str_set(l->user, b->user);
	str_set(l->user_agent, b->user_agent);
	l->contact = b->id;
	contact_route(l->sip, b, dest->number[0] != '\0' ? dest->number : b->user, &o->to);
	return 0;
}

static int to_peer(struct sip_leg *l, const struct act_dial *dial, struct outbound *o)
{
	const struct dest *dest = &dial->dest;
	const struct sip_peer *p = peer_by_name(l->sip, dest->peer);
	const char *referral = dial->cmd != 0 ? refer_target(l->sip, dial->cmd) : NULL;
	struct uri u;

	if (p == NULL || peer_dest(l->sip, p, 0, &o->to.dest) != 0 ||
		uri_parse_str(o->to.dest.uri, &u) != URI_OK)
		return ENOENT;
	str_set(l->peer, p->name);
	if (p->verbatim_referral && referral != NULL && uri_parse_str(referral, &u) == URI_OK &&
		u.scheme != URI_TEL)
		str_set(o->to.ruri, referral);
	else if (uri_build(o->to.ruri, sizeof(o->to.ruri), dest->number, u.host, u.port, NULL) != 0)
		return EINVAL;
	str_put(o->to.to, "<", o->to.ruri, ">");
	return 0;
}

/* A music server is nobody's phone and no peer: it is told nothing about who hears it (RFC 7088). */
static int to_music(const struct dest *dest, struct outbound *o)
{
	contact_dest(dest->number, &o->to.dest);
	if (o->to.dest.uri[0] == '\0')
		return EINVAL;
	str_set(o->to.ruri, dest->number);
	str_put(o->to.to, "<", o->to.ruri, ">");
	return 0;
}

static int find_outbound(struct sip_leg *l, const struct act_dial *dial, struct outbound *o)
{
	switch (dial->dest.kind) {
	case DEST_PEER:
		return to_peer(l, dial, o);
	case DEST_MUSIC:
		return to_music(&dial->dest, o);
	default:
		return to_contact(l, &dial->dest, o);
	}
}

/* ---- the INVITE --------------------------------------------------------------------------- */

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

/* The dialog that the call comes in the place of is on another node (E-090). Whoever does not know
 * Replaces must not take it for a new call. */
static void add_replaces(msg_t *msg, const struct act_dial *dial)
{
	char id[UUID_STRLEN];

	if (dial->replaces[0] == '\0')
		return;
	message_add_line(msg, "Replaces", dial->replaces);
	message_add_line(msg, "Require", "replaces");
	if (!uuid_is_nil(&dial->conv))
		message_add_line(msg, CONVERSATION_HEADER, uuid_str(&dial->conv, id));
}

/* Click-to-dial: the phone is asked to answer by itself, in the standard's words (RFC 5373) and in those
 * that phones had before. One that does not know or not want any of them rings. */
static void add_answer_mode(msg_t *msg, const struct act_dial *dial)
{
	if (dial->answering != ANSWER_AUTO)
		return;
	message_add_line(msg, "Answer-Mode", "Auto");
	message_add_line(msg, "Call-Info", "<sip:127.0.0.1>;answer-after=0");
	message_add_line(msg, "Alert-Info", "<http://127.0.0.1>;info=alert-autoanswer;delay=0");
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
	if (o->to.path[0] != '\0')
		contact_add_route(msg, o->to.path);
	message_add_capabilities(msg, l);
	session_timer_offer(l, msg);
	identity_add_diversion(msg, l, dial);
	message_pass_headers(msg, l, like, transfer ? HEADER_TRIP_TRANSFER : HEADER_TRIP_CALL);
	identity_add(msg, l, dial);
	add_recall(msg, dial);
	add_replaces(msg, dial);
	add_answer_mode(msg, dial);
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
	int err;

	o->to.dest.listener = o->to.next.listener = -1;
	err = find_outbound(l, &a->dial, o);
	if (err != 0)
		return err;
	identity_from(l->sip, &a->dial.caller, o->from, sizeof(o->from));
	str_hex(sip_random(l->sip), id);
	str_hex(sip_random(l->sip), id + 16);
	err = dialog_init_uac(&l->dialog, l->sip->stack, id, o->from, o->to.to, &o->to.next);
	if (err != 0)
		return err;
	err = dialog_set_target(&l->dialog, o->to.ruri);
	if (err != 0)
		return err;
	return sip_leg_set_local(l, &o->to.dest);
}

void invite_dial(struct sip *s, const struct action *a)
{
	struct sip_leg *l = sip_leg_new(s, SIDE_UAC);
	struct outbound o = {.from = ""};
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
	l->calling = request_send(l, write_invite(l, a, &o), &o.to.dest, answer_receive);
	if (l->calling == NULL) {
		dial_failed(l, 503, "cannot send INVITE");
		return;
	}
	failover_arm(l);
}

/* CANCEL, or not even that before a 1xx came; the final response ends the leg. */
void invite_cancel(struct sip_leg *l, const struct action *a)
{
	char reason[STACK_REASON_MAX] = "";

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
