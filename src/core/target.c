/*
 * target: turns a number into whom to ring, and rings them. The dial plan is asked first; a number
 * that it does not know may be a user, a queue or an IVR of the directory.
 */
#include "core/acd.h"
#include "core/presence.h"

#include <errno.h>
#include <string.h>

static void fill_user(const struct dir_user *u, struct target *t)
{
	t->kind = TARGET_USER;
	str_set(t->name, u->row.user);
	str_set(t->dial, u->row.number[0] ? u->row.number : u->row.user);
}

static int resolve_user(struct core *c, const char *key, struct target *t)
{
	struct dir_user *u = directory_user(c, key);

	if (u == NULL)
		u = directory_user_by_number(c, key);
	if (u == NULL)
		return ENOENT;
	fill_user(u, t);
	return 0;
}

/* Fills t for a user by name, past the dial plan. False: there is none, or he is disabled. */
bool target_user(struct core *c, const char *name, struct target *t)
{
	struct dir_user *u = directory_user(c, name);

	memset(t, 0, sizeof(*t));
	if (u == NULL || !u->row.enabled)
		return false;
	t->may_transfer = true;
	fill_user(u, t);
	str_set(t->number, t->dial);
	return true;
}

static int resolve_queue(struct core *c, const char *key, struct target *t)
{
	struct dir_queue *q = directory_queue(c, key);

	if (q == NULL)
		return ENOENT;
	t->kind = TARGET_QUEUE;
	str_set(t->name, q->row.queue);
	str_set(t->dial, q->row.number);
	return 0;
}

/* The same for a queue. */
bool target_queue(struct core *c, const char *name, struct target *t)
{
	memset(t, 0, sizeof(*t));
	if (resolve_queue(c, name, t) != 0)
		return false;
	t->may_transfer = true;
	str_set(t->number, t->dial);
	return true;
}

static int resolve_ivr(struct core *c, const char *key, struct target *t)
{
	struct dir_ivr *i = directory_ivr(c, key);

	if (i == NULL)
		return ENOENT;
	t->kind = TARGET_IVR;
	str_set(t->name, i->row.ivr);
	str_set(t->peer, i->row.peer);
	str_set(t->dial, i->row.dial[0] ? i->row.dial : i->row.number);
	if (t->digits[0] == '\0')
		str_set(t->digits, i->row.digits);
	return 0;
}

static int resolve_directory(struct core *c, const char *key, struct target *t)
{
	if (resolve_user(c, key, t) == 0 || resolve_queue(c, key, t) == 0)
		return 0;
	return resolve_ivr(c, key, t);
}

const struct peer_policy *target_peer_policy(const struct core *c, const char *name)
{
	for (unsigned i = 0; i < c->cfg.npeer; i++)
		if (str_eq(c->cfg.peer[i].name, name))
			return &c->cfg.peer[i].policy;
	return NULL;
}

static int resolve_peer(const struct dialplan_result *r, struct target *t)
{
	t->kind = (uint8_t)r->kind;
	str_set(t->name, r->target);
	str_set(t->peer, r->target);
	str_set(t->dial, r->number);
	return 0;
}

static int resolve_route(struct core *c, const struct dialplan_result *r, struct target *t)
{
	const char *key = str_empty(r->target) ? r->number : r->target;

	t->may_transfer = r->route->transfer;
	switch (r->kind) {
	case TARGET_USER:
		return resolve_user(c, key, t);
	case TARGET_QUEUE:
		return resolve_queue(c, key, t);
	case TARGET_IVR: /* of the directory, or any number of a platform for menus */
		return target_peer_policy(c, r->target) ? resolve_peer(r, t) : resolve_ivr(c, key, t);
	default:
		return resolve_peer(r, t);
	}
}

static int resolve(struct core *c, const char *number, const char *source, struct target *t)
{
	struct dialplan_result r;
	int err = dialplan_match(&c->cfg, number, source, &r);

	if (err == 0)
		return resolve_route(c, &r, t);
	if (err == ENOENT)
		return resolve_directory(c, r.number, t);
	return err == EACCES ? EACCES : EINVAL;
}

/* "8100;postd=pp12": keys to be pressed after the answer, "p" is a pause (RFC 3966 section 3). Anything
 * else after a number is no part of it. */
static void take_post_dial(struct target *t)
{
	char *at = strstr(t->number, ";postd=");
	size_t n = 0;

	if (at == NULL)
		return;
	for (const char *p = at + strlen(";postd="); *p && *p != ';' && n + 1 < DIGITS_MAX; p++)
		if (strchr("0123456789*#ABCD", *p))
			t->digits[n++] = *p;
		else if (*p == 'p' || *p == ',')
			t->digits[n++] = ',';
	*at = '\0';
}

/* Fills t for a number dialled from source (a peer's name or "users"). A number that nobody has as
 * it was dialled is looked up in its international form. 0; ENOENT nobody has it; EACCES the dial
 * plan refuses it; EINVAL no number. */
int target_resolve(struct core *c, const char *number, const char *source, struct target *t)
{
	char e164[NUM_MAX];
	int err;

	memset(t, 0, sizeof(*t));
	t->may_transfer = true;
	str_set(t->number, number);
	take_post_dial(t);
	err = resolve(c, t->number, source, t);
	if (err == ENOENT && number_e164(&c->cfg.numbering, t->number, e164, sizeof(e164)) == 0 &&
		!str_eq(e164, t->number))
		err = resolve(c, e164, source, t);
	return err;
}

/* The number of a mailbox: its own, or the prefix and the number of whose it is. */
static bool mailbox_number(const struct core *c, enum target_kind kind, const char *name, char *out,
	size_t size)
{
	const struct dir_user *u = kind == TARGET_USER ? directory_user(c, name) : NULL;
	const struct dir_queue *q = kind == TARGET_QUEUE ? directory_queue(c, name) : NULL;
	const char *set = u ? u->row.voicemail : q ? q->row.voicemail : "";
	const char *number = u ? u->row.number : q ? q->row.number : "";

	if (set[0])
		return str_copy(out, size, set);
	if (c->cfg.voicemail_prefix[0] == '\0' || number[0] == '\0')
		return false;
	return str_copy(out, size, c->cfg.voicemail_prefix) && str_append(out, size, number);
}

/* Fills t for the voicemail of a user or a queue. False: it has none, or its number leads to no
 * peer. */
bool target_voicemail(struct core *c, enum target_kind kind, const char *name, struct target *t)
{
	char number[NUM_MAX];

	if (!mailbox_number(c, kind, name, number, sizeof(number)) ||
		target_resolve(c, number, DIALPLAN_USERS, t) != 0 || t->peer[0] == '\0')
		return false;
	t->kind = TARGET_VOICEMAIL;
	str_set(t->name, name);
	return true;
}

/* Fills t for a queue's overflow target. False: it leads nowhere. */
bool target_overflow(struct core *c, const struct overflow *o, struct target *t)
{
	switch (o->kind) {
	case OVERFLOW_QUEUE:
		return target_queue(c, o->target, t);
	case OVERFLOW_USER:
		return target_user(c, o->target, t);
	case OVERFLOW_IVR:
		memset(t, 0, sizeof(*t));
		str_set(t->number, o->target);
		return resolve_ivr(c, o->target, t) == 0;
	default:
		if (target_resolve(c, o->target, DIALPLAN_USERS, t) != 0 || t->peer[0] == '\0')
			return false;
		if (o->kind == OVERFLOW_VOICEMAIL)
			t->kind = TARGET_VOICEMAIL;
		return true;
	}
}

/* ---- ringing --------------------------------------------------------------------------------- */

/* Who the leg is, for what time with it means. An announcement is nobody. */
static enum target_kind leg_kind_of(const struct call *k, const struct target *t)
{
	if (k->xfer.step == STEP_ANNOUNCE && !uuid_is_nil(&k->xfer.id))
		return TARGET_NONE;
	return t->kind == TARGET_QUEUE ? TARGET_USER : (enum target_kind)t->kind;
}

/* A call that comes back looks like one: the phone may ring differently and shows the prefix. */
static void mark_recall(const struct core *c, const struct call *k, struct act_dial *d)
{
	char name[NAME_MAX_];

	d->recall = true;
	d->xfer = k->xfer.first;
	if (d->caller.anonymous || c->cfg.recall_prefix[0] == '\0')
		return;
	str_set(name, d->caller.name[0] ? d->caller.name : d->caller.number);
	str_set(d->caller.name, c->cfg.recall_prefix);
	str_append(d->caller.name, sizeof(d->caller.name), name);
}

/* The target may be told whose call it is taking over. */
static void mark_transfer(struct core *c, const struct call *k, struct act_dial *d)
{
	const struct dir_user *u = directory_user(c, k->xfer.recall_user);

	d->cmd = k->xfer.step == STEP_TARGET ? k->xfer.cmd : 0;
	str_set(d->referred_by, k->xfer.recall_user);
	if (xfer_is_recall(&k->xfer)) {
		mark_recall(c, k, d);
	} else if (u) {
		str_set(d->diverter.number, u->row.number);
		str_set(d->diverter.name, u->row.name);
	}
}

/* Many trunks refuse numbers that are not the customer's: they are shown the one that may call. */
static void choose_caller(const struct core *c, const struct dest *dest, struct act_dial *d)
{
	const struct peer_policy *p =
		dest->kind == DEST_PEER ? target_peer_policy(c, dest->peer) : NULL;

	if (p == NULL)
		return;
	if (p->caller_id == CALLER_ID_TRANSFEROR && d->diverter.number[0])
		d->caller = d->diverter;
	else if (p->caller_id == CALLER_ID_BUSINESS && p->business.number[0])
		d->caller = p->business;
}

bool target_no_early(const struct core *c, const char *peer)
{
	const struct peer_policy *p = target_peer_policy(c, peer);

	return p && !p->early_media;
}

static bool wants_to_offer(const struct core *c, const struct dest *dest)
{
	const struct peer_policy *p =
		dest->kind == DEST_PEER ? target_peer_policy(c, dest->peer) : NULL;

	return p && p->late_sdp;
}

/* For whom somebody is rung: for the kept party, or for the owner who wants to consult. */
static bool rung_to_consult(const struct call *k)
{
	return k->state == CONSULT_RING || k->state == CONSULT_WAIT;
}

static struct leg *rung_for(const struct call *k)
{
	return call_role(k, rung_to_consult(k) ? ROLE_OWNER : ROLE_KEPT);
}

static enum dtmf dtmf_of(const struct core *c, const struct leg *l)
{
	const struct peer_policy *p = target_peer_policy(c, l->peer);

	return p ? p->dtmf : DTMF_AUTO;
}

/* What is to be pressed for that leg when it has answered; "": nothing. */
static const char *keys_for(const struct call *k, const struct leg *l)
{
	const struct target *t = uuid_is_nil(&k->xfer.id) ? &k->target : &k->xfer.target;

	return l->source == SOURCE_PEER && str_eq(l->party.number, t->number) ? t->digits : "";
}

/* The INVITE: with that party's latest SDP, or as a late offer if it has shown none yet or the peer is
 * to make the offer. */
static void dial(struct core *c, struct call *k, struct leg *l, const struct dest *dest)
{
	struct leg *who = rung_for(k);
	struct action *a = act_add(c, ACT_DIAL, l->id);

	a->dial.dest = *dest;
	if (k->state == ORIGINATE) {
		originate_fill_dial(c, k, l, a);
		return;
	}
	if (who) {
		a->dial.caller = who->party;
		a->dial.like = who->id;
	}
	if (!rung_to_consult(k) && (!uuid_is_nil(&k->xfer.id) || k->xfer.recall_user[0]))
		mark_transfer(c, k, &a->dial);
	choose_caller(c, dest, &a->dial);
	a->dial.keys = keys_for(k, l)[0] && dtmf_of(c, l) != DTMF_INFO;
	if (k->xfer.target.there && c->ev->type == EV_LOCATED) {
		str_set(a->dial.replaces, c->ev->located.replaces);
		a->dial.conv = k->conv;
	}
	if (who && who->rv && !wants_to_offer(c, dest)) {
		a->from = who->id;
		a->dir = dir_forced(who->will); /* not as its transferor made it write (E-049) */
		l->oa = OA_SENT;
		l->offered = (struct given){who->id, who->rv, who->will, GIVEN_CONNECT};
	} else {
		l->oa = OA_ASKED;
	}
}

static struct leg *add_target(struct core *c, struct call *k, enum target_kind kind)
{
	struct leg *l = leg_add(c, k);

	l->outbound = true;
	l->state = LEG_DIALING;
	l->role = ROLE_TARGET;
	l->kind = (uint8_t)kind;
	return l;
}

/* Rings every contact of a user; they share one segment: one offer of one person. */
static void dial_user(struct core *c, struct call *k, const char *user, const struct target *t)
{
	struct dir_user *u = directory_user(c, user);
	struct leg *first = NULL;

	if (u == NULL || !u->row.enabled)
		return;
	for (uint32_t i = 0; i < u->ncontacts; i++) {
		struct dest d = {.kind = DEST_CONTACT, .contact = u->contact[i]};
		struct leg *l = add_target(c, k, TARGET_USER);

		l->source = SOURCE_USER;
		l->may_refer = true;
		presence_add(c, l, u->row.user);
		str_set(l->party.number, u->row.number);
		str_set(l->party.name, u->row.name);
		str_set(d.user, u->row.user);
		str_set(d.number, t->kind == TARGET_USER ? t->dial : u->row.number);
		if (first == NULL) {
			first = l;
			segment_open(c, k, l, &k->xfer.id);
		} else {
			l->seg = first->seg;
			l->seg_id = first->seg_id;
		}
		dial(c, k, l, &d);
	}
}

static void dial_peer(struct core *c, struct call *k, const struct target *t, enum target_kind kind)
{
	struct dest d = {.kind = DEST_PEER};
	struct leg *l;

	if (policy_hides(t))
		return;
	l = add_target(c, k, kind);
	l->source = SOURCE_PEER;
	str_set(l->peer, t->peer);
	str_set(l->party.number, t->number);
	str_set(d.peer, t->peer);
	str_set(d.number, t->dial);
	if (k->customer == ID_NONE && k->kind == CALL_OUTBOUND && k->state == SETUP)
		k->customer = l->id;
	else
		segment_open(c, k, l, &k->xfer.id);
	dial(c, k, l, &d);
}

/* Rings all phones of an agent for the kept party. False: he has none. */
bool target_dial_agent(struct core *c, struct call *k, const char *user)
{
	const struct target t = {.kind = TARGET_QUEUE};
	unsigned n = k->nlegs;

	dial_user(c, k, user, &t);
	return k->nlegs > n;
}

/* Rings t for the kept party, or lets it wait there if t is a queue; the user of leg `except` is not
 * asked there at first (E-072). Nobody to ring (not registered, disabled, policy_hides()) is the same as
 * being refused: 480. */
void target_dial(struct core *c, struct call *k, const struct target *t, leg_id except)
{
	const struct leg *x = except ? call_leg(k, except) : NULL;

	k->wait.refused = CAUSE_NONE;
	if (t->kind == TARGET_QUEUE) {
		queue_enter(c, k, t, x ? x->user : NULL);
		return;
	}
	if (t->kind == TARGET_NONE) { /* a REFER was to be passed on, and cannot be */
		k->status = 404;
		call_post(k, T_REFUSED);
		return;
	}
	if (t->kind == TARGET_USER) {
		dial_user(c, k, t->name, t);
	} else {
		dial_peer(c, k, t, leg_kind_of(k, t));
	}
	if (call_role(k, ROLE_TARGET) == NULL) {
		k->status = 480;
		call_post(k, T_REFUSED);
	}
}

void target_announce(struct core *c, struct call *k, const struct target *t)
{
	dial_peer(c, k, t, TARGET_NONE);
}

static void press(struct core *c, const struct leg *l, const char *keys, enum dtmf way)
{
	struct action *a = act_add(c, ACT_DIGITS, l->id);

	str_set(a->text, keys);
	a->digits.way = way;
}

void target_press_keys(struct core *c, const struct call *k, const struct leg *l)
{
	const char *keys = keys_for(k, l);

	if (keys[0])
		press(c, l, keys, dtmf_of(c, l) == DTMF_INFO ? DTMF_INFO : DTMF_RTP);
}

void target_unpressed(struct core *c, const struct leg *l)
{
	if (l->state == LEG_UP && l->source == SOURCE_PEER && dtmf_of(c, l) != DTMF_RTP &&
		c->ev->unpressed.left[0])
		press(c, l, c->ev->unpressed.left, DTMF_INFO);
}

/* ---- the next trunk -------------------------------------------------------------------------- */

/* A trunk that has rung has reached somebody: that nobody took the call is not its fault. */
static bool would_mend(const struct core *c, const struct leg *l, uint16_t status)
{
	if (status == 408 && l->state == LEG_RINGING)
		return false;
	for (unsigned i = 0; i < c->cfg.nfailover_code; i++)
		if (c->cfg.failover_code[i] == status)
			return true;
	return false;
}

/* The peer of the route that comes after this one; NULL: none. */
static const char *next_peer(const struct route *r, const char *peer)
{
	if (r->nfailover && str_eq(r->target, peer))
		return r->failover[0];
	for (unsigned i = 0; i + 1 < r->nfailover; i++)
		if (str_eq(r->failover[i], peer))
			return r->failover[i + 1];
	return NULL;
}

/* Who dialled the number that this leg was rung for, as the dial plan sees it. */
static const char *source_of(const struct call *k)
{
	return k->state == SETUP && k->kind == CALL_INBOUND ? k->source : DIALPLAN_USERS;
}

/* The new leg takes the place of the old one: the same visit of the same person. */
static void take_over(struct call *k, struct leg *l, struct leg *old, const char *peer)
{
	l->role = old->role;
	l->source = SOURCE_PEER;
	l->party = old->party;
	l->seg = old->seg;
	l->seg_id = old->seg_id;
	old->seg = NO_SEG;
	old->seg_id = (uuid){{0}};
	str_set(l->peer, peer);
	if (k->customer == old->id)
		k->customer = l->id;
}

/* The route that the leg was dialled by. */
static bool find_route(const struct core *c, const struct call *k, const struct leg *l,
	struct dialplan_result *r)
{
	const char *source = source_of(k);
	char e164[NUM_MAX];

	return dialplan_match(&c->cfg, l->party.number, source, r) == 0 ||
	       (number_e164(&c->cfg.numbering, l->party.number, e164, sizeof(e164)) == 0 &&
		       dialplan_match(&c->cfg, e164, source, r) == 0);
}

bool target_failover(struct core *c, struct call *k, struct leg *l, uint16_t status)
{
	struct dest d = {.kind = DEST_PEER};
	struct dialplan_result r;
	const char *peer;
	struct leg *next;

	if (l->peer[0] == '\0' || k->xfer.target.there || !would_mend(c, l, status) ||
		!find_route(c, k, l, &r) || (peer = next_peer(r.route, l->peer)) == NULL)
		return false;
	next = add_target(c, k, (enum target_kind)l->kind);
	timeline(c, k, &(struct timeline_note){.type = "offer_failed", .leg = l,
		.actor = l->party.number, .via = ORIGIN_SYSTEM, .key1 = "cause",
		.value1 = cause_of_status(status), .key2 = "trunk", .value2 = l->peer});
	take_over(k, next, l, peer);
	timeline(c, k, &(struct timeline_note){.type = "offered", .leg = next,
		.actor = next->party.number, .via = ORIGIN_SYSTEM, .key1 = "number",
		.value1 = next->party.number, .key2 = "trunk", .value2 = peer});
	str_set(d.peer, peer);
	str_set(d.number, r.number);
	dial(c, k, next, &d);
	return true;
}
