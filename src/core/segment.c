/*
 * segment: what is on record about a conversation: one segment per visit of one participant, its
 * time cut into contiguous intervals, and the timeline. Which interval a segment is in is a pure
 * function of the call (segment_state_of), compared after every step; so the intervals are disjoint,
 * without gaps, and every duration is a sum of them (records.md).
 */
#include "core/inner.h"

#include <stdlib.h>
#include <string.h>

/* ---- timeline and audit ---------------------------------------------------------------------- */

static bool is_headline(const char *type)
{
	return strncmp(type, "transfer_", 9) == 0 || strcmp(type, "conversation_started") == 0;
}

void timeline(struct core *c, struct call *k, const struct timeline_note *n)
{
	struct fact *f = fact_add(c, k, FACT_TIMELINE);

	f->timeline.conv = k->conv;
	f->timeline.seq = ++k->seq;
	str_set(f->timeline.type, n->type);
	str_set(f->timeline.actor, n->actor);
	str_set(f->timeline.via, origin_name((int)n->via));
	if (n->leg)
		f->timeline.seg = n->leg->seg_id;
	if (n->seg)
		f->timeline.seg = *n->seg;
	f->timeline.xfer = k->xfer.id;
	f->timeline.headline = is_headline(n->type);
	if (!str_empty(n->value1)) {
		str_set(f->timeline.key1, n->key1);
		str_set(f->timeline.value1, n->value1);
	}
	if (!str_empty(n->value2)) {
		str_set(f->timeline.key2, n->key2);
		str_set(f->timeline.value2, n->value2);
	}
}

void audit(struct core *c, struct call *k, const char *who, enum origin via, const char *action,
	const char *object, const char *result, const char *why)
{
	struct fact *f = fact_add(c, k, FACT_AUDIT);

	str_set(f->audit.who, who);
	str_set(f->audit.via, origin_name((int)via));
	str_set(f->audit.action, action);
	str_set(f->audit.object, object);
	str_set(f->audit.result, result);
	str_set(f->audit.why, why);
	if (k)
		f->audit.conv = k->conv;
}

/* ---- the conversation ------------------------------------------------------------------------ */

static const char *customer_number(const struct call *k)
{
	return k->kind == CALL_OUTBOUND ? k->dialled : k->from.number;
}

static struct fact *opened_fact(struct core *c, struct call *k)
{
	struct fact *f = fact_add(c, k, FACT_CONVERSATION_OPENED);

	f->conversation_opened.conv = k->conv;
	str_set(f->conversation_opened.kind, call_kind_name(k->kind));
	if (k->kind != CALL_INTERNAL)
		str_set(f->conversation_opened.customer_number, customer_number(k));
	if (k->kind == CALL_INBOUND)
		str_set(f->conversation_opened.customer_name, k->from.name);
	str_set(f->conversation_opened.dialled, k->dialled);
	str_set(f->conversation_opened.source, k->source);
	id_str(k->id, f->conversation_opened.call);
	return f;
}

void record_open(struct core *c, struct call *k)
{
	const struct ev_invite *e = c->ev->type == EV_INVITE ? &c->ev->invite : NULL;
	const struct ev_dial *d = c->ev->type == EV_DIAL ? &c->ev->dial : NULL;
	struct fact *f = opened_fact(c, k);

	k->open = RECORD_OPEN;
	str_set(f->conversation_opened.case_key, e ? e->case_key : d ? d->case_key : "");
	str_set(f->conversation_opened.sip_call_id, e ? e->sip_call_id : "");
	timeline(c, k, &(struct timeline_note){.type = "conversation_started",
		.actor = k->kind == CALL_INBOUND ? "customer" : d ? d->asker : k->source,
		.via = d ? d->origin : ORIGIN_SIP, .key1 = "from",
		.value1 = k->from.number, .key2 = "to", .value2 = k->dialled});
}

/* Somebody is there who has answered, other than a queue. */
static bool is_connected(enum interval state)
{
	return state == IV_TALKING || state == IV_CONFERENCE || state == IV_HOLDING ||
	       state == IV_HELD || state == IV_MENU || state == IV_CONSULTING;
}

/* Books the time since the last change under the present state of the conversation. */
static void account(struct core *c, struct call *k, enum interval next)
{
	k->acc[k->acc_state] += c->ev->now - k->acc_since;
	k->acc_since = c->ev->now;
	k->acc_state = (uint8_t)next;
	k->answered = k->answered || is_connected(next);
}

static const char *conversation_outcome(const struct call *k)
{
	if (k->answered)
		return "answered";
	return str_eq(k->ended_by, "customer") || str_eq(k->ended_by, "agent") ? "abandoned" : "failed";
}

void record_close(struct core *c, struct call *k, const char *by)
{
	struct fact *f;

	queue_record_close(c, k, by);
	for (unsigned i = 0; i < k->nlegs; i++)
		segment_close(c, k, k->legs[i], "completed", by, 0, NULL);
	account(c, k, IV_LIMBO);
	timeline(c, k, &(struct timeline_note){.type = "conversation_ended", .actor = by,
		.key1 = "estimated", .value1 = c->late ? "true" : NULL});
	f = fact_add(c, k, FACT_CONVERSATION_CLOSED);
	k->open = RECORD_CLOSED;
	f->conversation_closed.conv = k->conv;
	str_set(f->conversation_closed.ended_by, by);
	str_set(f->conversation_closed.outcome, conversation_outcome(k));
	f->conversation_closed.sip_cause = k->status;
	f->conversation_closed.estimated = c->late;
	f->conversation_closed.total_ms = c->ev->now - k->mono0;
	f->conversation_closed.ring_ms = k->acc[IV_RINGING];
	f->conversation_closed.wait_ms = k->acc[IV_QUEUED];
	f->conversation_closed.talk_ms = k->acc[IV_TALKING] + k->acc[IV_CONFERENCE];
	f->conversation_closed.agent_talk_ms = k->agent_talk;
	f->conversation_closed.hold_ms = k->acc[IV_HOLDING];
	f->conversation_closed.held_ms = k->acc[IV_HELD];
	f->conversation_closed.consult_ms = k->acc[IV_CONSULTING];
	f->conversation_closed.limbo_ms = k->acc[IV_LIMBO];
	f->conversation_closed.ivr_ms = k->acc[IV_MENU];
	f->conversation_closed.n_requested = k->n_requested;
	f->conversation_closed.n_failed = k->n_failed;
	f->conversation_closed.n_blind = k->n_blind;
	f->conversation_closed.n_consult = k->n_consult;
	f->conversation_closed.n_semi = k->n_semi;
}

/* ---- conversations that begin anew, or meet -------------------------------------------------- */

static void cut_intervals(struct core *c, struct call *k);

void record_begin(struct core *c, struct call *k, const struct leg *from, const struct leg *to,
	enum call_kind kind)
{
	k->came_by[0] = '\0';
	k->wall0 = call_stamp(k, c->ev->now);
	k->mono0 = k->acc_since = c->ev->now;
	memset(k->acc, 0, sizeof(k->acc));
	k->acc_state = IV_LIMBO;
	k->answered = false;
	k->agent_talk = 0;
	k->seq = k->nsegs_total = 0;
	k->n_requested = k->n_failed = k->n_blind = k->n_consult = k->n_semi = 0;
	k->status = 0;
	k->ended_by[0] = '\0';
	k->kind = (uint8_t)kind;
	k->conv = core_uuid(c, k);
	k->from = from->party;
	str_set(k->source, from->user[0] ? from->user : from->peer);
	if (to)
		str_set(k->dialled, to->party.number);
	record_open(c, k);
}

/* The present conversation ends; the same call goes on in a new one, of `from` with `to`. */
void record_restart(struct core *c, struct call *k, const struct leg *from, const struct leg *to)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		recording_end(c, k, k->legs[i], "end"); /* a recording is of one visit */
	record_close(c, k, "customer");
	if (k->record != WISH_STOP)
		k->record = WISH_CONFIG;
	record_begin(c, k, from, to, CALL_INTERNAL);
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i] == from || k->legs[i] == to) {
			segment_open(c, k, k->legs[i], NULL);
			segment_answered(c, k, k->legs[i]);
		}
}

/* What was counted in `from` is counted in `into` from now on: its segments and transfers move. */
static void take_counts(struct call *into, struct call *from)
{
	into->nsegs_total += from->nsegs_total;
	into->agent_talk += from->agent_talk;
	into->n_requested += from->n_requested;
	into->n_failed += from->n_failed;
	into->n_blind += from->n_blind;
	into->n_consult += from->n_consult;
	into->n_semi += from->n_semi;
	from->agent_talk = 0;
	from->n_requested = from->n_failed = from->n_blind = from->n_consult = from->n_semi = 0;
}

/* `from` ends, and was a part of `into`. */
void record_fold(struct core *c, struct call *from, struct call *into)
{
	uint16_t shift = into->nsegs_total;
	struct fact *f;

	for (unsigned i = 0; i < from->nlegs; i++)
		segment_close(c, from, from->legs[i], "completed", "transfer", 0, NULL);
	f = fact_add(c, from, FACT_CONVERSATION_MERGED);
	f->conversation_merged.conv = from->conv;
	f->conversation_merged.into = into->conv;
	f->conversation_merged.shift = shift;
	take_counts(into, from);
	record_close(c, from, from->ended_by[0] ? from->ended_by : "transfer");
}

#define SWAP(a, b)                                                                                 \
	do {                                                                                       \
		__typeof__(a) swap_ = (a);                                                         \
		(a) = (b);                                                                         \
		(b) = swap_;                                                                       \
	} while (0)

/* Each call goes on under the other's conversation. */
static void swap_records(struct call *a, struct call *b)
{
	SWAP(a->conv, b->conv);
	SWAP(a->mono0, b->mono0);
	SWAP(a->wall0, b->wall0);
	SWAP(a->kind, b->kind);
	SWAP(a->seq, b->seq);
	SWAP(a->nsegs_total, b->nsegs_total);
	SWAP(a->n_requested, b->n_requested);
	SWAP(a->n_failed, b->n_failed);
	SWAP(a->n_blind, b->n_blind);
	SWAP(a->n_consult, b->n_consult);
	SWAP(a->n_semi, b->n_semi);
	SWAP(a->acc_state, b->acc_state);
	SWAP(a->acc_since, b->acc_since);
	SWAP(a->answered, b->answered);
	SWAP(a->agent_talk, b->agent_talk);
	SWAP(a->from, b->from);
	for (int i = 0; i < interval_count_; i++)
		SWAP(a->acc[i], b->acc[i]);
	for (unsigned i = 0; i < sizeof(a->dialled); i++)
		SWAP(a->dialled[i], b->dialled[i]);
	for (unsigned i = 0; i < sizeof(a->source); i++)
		SWAP(a->source[i], b->source[i]);
}

/* Two conversations become one while their people talk: the older id wins (records.md). The legs of
 * `from` are about to move; their open segments go with them. */
void record_merge(struct core *c, struct call *from, struct call *into)
{
	uint16_t nlegs = from->nlegs;

	cut_intervals(c, from);
	cut_intervals(c, into);
	if (from->mono0 < into->mono0)
		swap_records(from, into);
	from->nlegs = 0; /* they are nobody's for the moment */
	record_fold(c, from, into);
	from->nlegs = nlegs;
}

/* ---- segments -------------------------------------------------------------------------------- */

static int segment_slot(struct call *k)
{
	for (int i = 0; i < k->nsegs; i++)
		if (k->segs[i].state == IV_FREE)
			return i;
	if (k->nsegs == k->segs_cap) {
		k->segs_cap = k->segs_cap ? (uint16_t)(k->segs_cap * 2) : 1;
		k->segs = realloc(k->segs, k->segs_cap * sizeof(*k->segs));
		if (k->segs == NULL)
			abort();
	}
	return k->nsegs++;
}

static bool leg_is_up(const struct leg *l)
{
	return l->state == LEG_UP;
}

/* It is rung to be consulted: in this call, or in a call that is a consultation as a whole. */
static bool is_consulted(const struct call *k, const struct leg *l)
{
	bool begins = k->state == SETUP || k->state == WAIT;

	return l->role == ROLE_TARGET && !leg_is_up(l) &&
	       (k->state == CONSULT_RING || k->state == CONSULT_WAIT ||
		       (begins && k->consult_of != ID_NONE));
}

static const char *segment_kind(const struct call *k, const struct leg *l, const struct segment *s)
{
	if (xfer_is_recall(&k->xfer) && l->role == ROLE_TARGET && !uuid_is_nil(&k->xfer.id))
		return "recall";
	if (s->consult)
		return "consult";
	switch (l->kind) {
	case TARGET_IVR:
		return "ivr";
	case TARGET_VOICEMAIL:
		return "voicemail";
	case TARGET_USER:
		return "agent";
	default:
		return "external";
	}
}

static const char *who_is(const struct leg *l)
{
	return l->user[0] ? l->user : l->peer;
}

/* How the timeline calls this party: a person by name, an outside line by its number. */
static const char *actor_of(const struct leg *l)
{
	bool outside = l->kind == TARGET_EXTERNAL || l->kind == TARGET_NONE;

	return outside && l->party.number[0] ? l->party.number : who_is(l);
}

enum purpose { FOR_THE_CUSTOMER, FOR_CONSULTATION };

static void open_for(struct core *c, struct call *k, struct leg *l, const uuid *transfer_in,
	enum purpose purpose)
{
	int i = segment_slot(k);
	struct segment *s = &k->segs[i];
	struct fact *f;

	memset(s, 0, sizeof(*s));
	s->id = core_uuid(c, k);
	s->state = IV_RINGING;
	s->kind = l->kind;
	s->n = ++k->nsegs_total;
	s->opened = s->since = c->ev->now;
	s->base = k->wall0 - k->mono0 * 1000;
	s->consult = purpose == FOR_CONSULTATION;
	if (transfer_in)
		s->transfer_in = *transfer_in;
	str_set(s->who, who_is(l));
	l->seg = (int16_t)i;
	l->seg_id = s->id;
	f = fact_add(c, k, FACT_SEGMENT_OPENED);
	f->segment_opened.seg = s->id;
	f->segment_opened.conv = k->conv;
	f->segment_opened.n = s->n;
	str_set(f->segment_opened.kind, segment_kind(k, l, s));
	str_set(f->segment_opened.who, s->who);
	str_set(f->segment_opened.number, l->party.number);
	f->segment_opened.transfer_in = s->transfer_in;
	if (transfer_in)
		f->segment_opened.prev = k->xfer.from_seg;
	if (l->outbound && !leg_is_up(l))
		timeline(c, k, &(struct timeline_note){.type = "offered", .leg = l, .actor = actor_of(l),
			.via = ORIGIN_SYSTEM, .key1 = "number", .value1 = l->party.number});
}

void segment_open(struct core *c, struct call *k, struct leg *l, const uuid *transfer_in)
{
	open_for(c, k, l, transfer_in, is_consulted(k, l) ? FOR_CONSULTATION : FOR_THE_CUSTOMER);
}

/* Who is consulted is connected already: a visit without ringing. */
void segment_consults(struct core *c, struct call *k, struct leg *l)
{
	open_for(c, k, l, NULL, FOR_CONSULTATION);
	segment_answered(c, k, l);
}

/* The visit of a queue: a segment that no leg speaks for. Returns its slot, and its id in *id. */
int segment_open_queue(struct core *c, struct call *k, const char *queue, const char *number, uuid *id)
{
	int i = segment_slot(k);
	struct segment *s = &k->segs[i];
	struct fact *f;

	memset(s, 0, sizeof(*s));
	s->id = *id = core_uuid(c, k);
	s->state = IV_QUEUED;
	s->kind = TARGET_QUEUE;
	s->n = ++k->nsegs_total;
	s->opened = s->since = c->ev->now;
	s->base = k->wall0 - k->mono0 * 1000;
	s->transfer_in = k->xfer.id;
	str_set(s->who, queue);
	f = fact_add(c, k, FACT_SEGMENT_OPENED);
	f->segment_opened.seg = s->id;
	f->segment_opened.conv = k->conv;
	f->segment_opened.n = s->n;
	str_set(f->segment_opened.kind, "queue");
	str_set(f->segment_opened.who, queue);
	str_set(f->segment_opened.number, number);
	f->segment_opened.transfer_in = s->transfer_in;
	if (!uuid_is_nil(&s->transfer_in))
		f->segment_opened.prev = k->xfer.from_seg;
	return i;
}

static const char *kind_of_target(const struct target *t)
{
	static const char *const kinds[target_kind_count_] = {[TARGET_USER] = "agent",
		[TARGET_QUEUE] = "queue", [TARGET_IVR] = "ivr", [TARGET_VOICEMAIL] = "voicemail"};

	return kinds[t->kind] ? kinds[t->kind] : "external";
}

void segment_released(struct core *c, struct call *k, const struct target *t, uuid *id)
{
	struct fact *f = fact_add(c, k, FACT_SEGMENT_OPENED);

	*id = core_uuid(c, k);
	f->segment_opened.seg = *id;
	f->segment_opened.conv = k->conv;
	f->segment_opened.n = ++k->nsegs_total;
	str_set(f->segment_opened.kind, kind_of_target(t));
	str_set(f->segment_opened.who, t->name);
	str_set(f->segment_opened.number, t->number);
	f->segment_opened.transfer_in = k->xfer.id;
	f->segment_opened.prev = k->xfer.from_seg;
	f = fact_add(c, k, FACT_SEGMENT_CLOSED);
	f->segment_closed.seg = *id;
	str_set(f->segment_closed.outcome, "path_released");
	str_set(f->segment_closed.released_by, "transfer");
	str_set(f->segment_closed.tracking, "lost");
}

/* An open visit as it was put on record. */
static void retell(struct core *c, struct call *k, struct leg *l)
{
	const struct segment *s = &k->segs[l->seg];
	struct fact *f = fact_add(c, k, FACT_SEGMENT_OPENED);

	f->at = call_stamp(k, s->opened);
	f->segment_opened.seg = s->id;
	f->segment_opened.conv = k->conv;
	f->segment_opened.n = s->n;
	str_set(f->segment_opened.kind, segment_kind(k, l, s));
	str_set(f->segment_opened.who, s->who);
	str_set(f->segment_opened.number, l->party.number);
	f->segment_opened.transfer_in = s->transfer_in;
	if (s->answered == 0)
		return;
	f = fact_add(c, k, FACT_SEGMENT_ANSWERED);
	f->at = call_stamp(k, s->answered);
	f->segment_answered.seg = s->id;
}

void record_retell(struct core *c, struct call *k)
{
	opened_fact(c, k)->at = call_stamp(k, k->mono0);
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i]->seg != NO_SEG)
			retell(c, k, k->legs[i]);
}

/* Its own time base, wherever it has moved since (E-125). */
static int64_t segment_stamp(const struct segment *s, int64_t mono)
{
	return s->base + mono * 1000;
}

void segment_is_of(struct call *k, const struct leg *l)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i] != l && uuid_eq(&k->legs[i]->seg_id, &l->seg_id))
			k->legs[i]->seg_id = (uuid){{0}};
}

/* l may be NULL, have no segment (the customer) or be answered already: then nothing happens. */
void segment_answered(struct core *c, struct call *k, struct leg *l)
{
	struct segment *s = l && l->seg != NO_SEG ? &k->segs[l->seg] : NULL;
	struct fact *f;

	if (s == NULL || s->answered)
		return;
	s->answered = c->ev->now;
	f = fact_add(c, k, FACT_SEGMENT_ANSWERED);
	f->at = segment_stamp(s, c->ev->now);
	f->segment_answered.seg = s->id;
	segment_is_of(k, l);
}

/* The leg's 200 came after its segment was closed: it was answered, and nobody talked (E-016). */
void segment_answered_late(struct core *c, struct call *k, struct leg *l)
{
	if (uuid_is_nil(&l->seg_id))
		return;
	fact_add(c, k, FACT_SEGMENT_ANSWERED)->segment_answered.seg = l->seg_id;
	segment_is_of(k, l);
	l->seg_id = (uuid){{0}};
}

static void interval_end(struct core *c, struct call *k, struct segment *s)
{
	int64_t ms = c->ev->now - s->since;
	struct fact *f;

	if (ms > 0) {
		f = fact_add(c, k, FACT_INTERVAL);
		f->interval.seg = s->id;
		f->interval.n = ++s->nint;
		str_set(f->interval.state, interval_name(s->state));
		f->at = segment_stamp(s, c->ev->now);
		f->interval.from = segment_stamp(s, s->since);
		f->interval.to = segment_stamp(s, c->ev->now);
		f->interval.ms = ms;
		s->sum[s->state] += ms;
	}
	s->since = c->ev->now;
}

/* Time up to now is booked in the conversation in which it was spent. */
static void cut_intervals(struct core *c, struct call *k)
{
	for (unsigned i = 0; i < k->nsegs; i++)
		if (k->segs[i].state != IV_FREE)
			interval_end(c, k, &k->segs[i]);
}

static bool shared(const struct call *k, const struct leg *l)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i] != l && k->legs[i]->seg == l->seg)
			return true;
	return false;
}

/* Somebody was rung and did not take the call, for a reason of his own or of the network's. */
static bool is_failed_offer(const struct leg *l, const struct segment *s, const char *outcome)
{
	static const char *const failures[] = {
		"busy", "declined", "no_answer", "unreachable", "media_incompatible"};

	if (!l->outbound || s->answered || l->role == ROLE_KEPT)
		return false;
	for (unsigned i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (str_eq(failures[i], outcome))
			return true;
	return false;
}

static void put_closed(struct core *c, struct call *k, struct segment *s, const char *outcome,
	const char *by, uint16_t status, const uuid *transfer_out)
{
	struct fact *f;

	interval_end(c, k, s);
	f = fact_add(c, k, FACT_SEGMENT_CLOSED);
	f->at = segment_stamp(s, c->ev->now);
	f->segment_closed.seg = s->id;
	f->segment_closed.estimated = c->late;
	str_set(f->segment_closed.outcome, outcome);
	f->segment_closed.sip_cause = status;
	str_set(f->segment_closed.released_by, by);
	if (transfer_out)
		f->segment_closed.transfer_out = *transfer_out;
	f->segment_closed.ring_ms = s->sum[IV_RINGING];
	f->segment_closed.talk_ms = s->sum[IV_TALKING] + s->sum[IV_CONFERENCE];
	f->segment_closed.hold_ms = s->sum[IV_HOLDING];
	f->segment_closed.held_ms = s->sum[IV_HELD];
	f->segment_closed.consult_ms = s->sum[IV_CONSULTING];
	f->segment_closed.wait_ms = s->sum[IV_QUEUED];
	f->segment_closed.limbo_ms = s->sum[IV_LIMBO];
	f->segment_closed.acw_ms = s->sum[IV_WRAPUP];
	k->agent_talk += s->sum[IV_TALKING] + s->sum[IV_CONFERENCE];
}

void segment_close_slot(struct core *c, struct call *k, int slot, const char *outcome, const char *by)
{
	put_closed(c, k, &k->segs[slot], outcome, by, 0, NULL);
	k->segs[slot].state = IV_FREE;
}

/* Closes the leg's segment, unless another phone of the same person still rings or talks in it. */
void segment_close(struct core *c, struct call *k, struct leg *l, const char *outcome,
	const char *by, uint16_t status, const uuid *transfer_out)
{
	struct segment *s;
	bool keep;

	if (l->seg == NO_SEG)
		return;
	s = &k->segs[l->seg];
	keep = shared(k, l);
	l->seg = NO_SEG;
	if (keep)
		return;
	put_closed(c, k, s, outcome, by, status, transfer_out);
	if (l->queue[0])
		l->served += s->sum[IV_TALKING];
	if (is_failed_offer(l, s, outcome))
		timeline(c, k, &(struct timeline_note){.type = "offer_failed", .leg = l,
			.actor = actor_of(l), .via = ORIGIN_SYSTEM, .key1 = "cause", .value1 = outcome});
	s->state = IV_FREE;
}

/* A visit that begins with talk: nobody was rung for it. */
void segment_begin(struct core *c, struct call *k, struct leg *l)
{
	segment_open(c, k, l, uuid_is_nil(&k->xfer.id) ? NULL : &k->xfer.id);
	segment_answered(c, k, l);
}

/* Who was consulted becomes who has the call: one visit ends, the next one begins, in one instant. */
void segment_turn(struct core *c, struct call *k, struct leg *l, const char *outcome, const char *by)
{
	segment_close(c, k, l, outcome, by, 0, NULL);
	segment_begin(c, k, l);
}

/* Who was to be consulted is rung for the kept party from now on: the same visit under its new name. */
void segment_change(struct core *c, struct call *k, struct segment *s)
{
	struct fact *f = fact_add(c, k, FACT_SEGMENT_CHANGED);

	s->consult = false;
	s->transfer_in = k->xfer.id;
	f->segment_changed.seg = s->id;
	f->segment_changed.transfer_in = k->xfer.id;
	str_set(f->segment_changed.kind, s->kind == TARGET_USER ? "agent" : "external");
}

/* The segment of a leg that changes calls. The slot in the old call is free from then on; several
 * phones of one person find theirs by its id. */
void segment_move(struct call *from, struct leg *l, struct call *to)
{
	struct segment moved = from->segs[l->seg];
	int i;

	for (i = 0; i < to->nsegs; i++)
		if (to->segs[i].state != IV_FREE && uuid_eq(&to->segs[i].id, &moved.id))
			break;
	if (i == to->nsegs) {
		i = segment_slot(to);
		to->segs[i] = moved;
	}
	l->seg = (int16_t)i;
}

/* The same for one that no leg speaks for. Returns its slot in the new call. */
int16_t segment_move_slot(struct call *from, int16_t slot, struct call *to)
{
	int i = segment_slot(to);

	to->segs[i] = from->segs[slot];
	from->segs[slot].state = IV_FREE;
	return (int16_t)i;
}

/* ---- which interval -------------------------------------------------------------------------- */

/* Two parties who are connected and agree: who of them holds? */
static enum interval talk_state(const struct leg *l, const struct leg *p)
{
	if (l->kind == TARGET_IVR || l->kind == TARGET_VOICEMAIL)
		return IV_MENU;
	if (l->kind == TARGET_NONE)
		return IV_LIMBO; /* an announcement: nobody's talk */
	if (dir_holds(l->will))
		return IV_HOLDING;
	if (p && dir_holds(p->will))
		return IV_HELD;
	return IV_TALKING;
}

/* No phone holds, the call itself does: the kept party is held, by who has it. Of a customer whom the kept
 * one has called it is the kept one who holds. */
static enum interval held_state(const struct call *k, const struct leg *l)
{
	const struct leg *o = call_role(k, ROLE_OWNER);

	return l->role == ROLE_KEPT && (o == NULL || o->id != k->customer) ? IV_HELD : IV_HOLDING;
}

static enum interval pair_state(const struct call *k, const struct leg *l, enum interval now)
{
	if (k->bridge.state == BRIDGE_SETTLED)
		return talk_state(l, bridge_peer(k, l));
	if (k->bridge.state == BRIDGE_HOLD)
		return held_state(k, l);
	return now == IV_RINGING ? IV_LIMBO : now; /* what it was, until media says otherwise */
}

/* It holds the other side while its second call, a consultation, is connected. */
static bool consulting_elsewhere(const struct call *k, const struct leg *l)
{
	bool there = k->state == TALK || k->state == BACK || k->state == PASSED;

	return k->consulting && there && str_eq(l->user, k->consulter) &&
	       (dir_holds((enum dir)l->will) || k->bridge.state == BRIDGE_HOLD);
}

static enum interval target_state(const struct call *k, const struct leg *l)
{
	if (l->state != LEG_UP)
		return IV_RINGING;
	if (k->state == CONSULT)
		return IV_CONSULTING;
	return k->state == ASIDE ? IV_HELD : IV_LIMBO;
}

/* The kept party's side waits; the owner waits too until the target has answered. */
static enum interval consult_state(const struct call *k, const struct leg *l)
{
	if (l->role == ROLE_KEPT)
		return IV_HELD;
	return k->state == CONSULT ? IV_CONSULTING : IV_HOLDING;
}

static bool owner_consults(unsigned state)
{
	return state == CONSULT_RING || state == CONSULT_JOIN || state == CONSULT ||
	       state == CONSULT_WAIT || state == CONSULT_QUEUE_JOIN;
}

enum interval segment_state_of(const struct call *k, const struct leg *l)
{
	enum interval now = k->segs[l->seg].state;
	bool first = k->state == SETUP || k->state == ANSWERING;

	if (l->role == ROLE_TARGET)
		return target_state(k, l);
	if (first)
		return IV_RINGING; /* the calling agent hears it ring */
	if (k->state == WAIT || k->state == QUEUE_JOIN)
		return IV_QUEUED;
	if (k->state == ALONE || k->state == ALONE_JOIN || k->state == ALONE_FIND ||
		k->state == PASSED_ALONE)
		return IV_LIMBO;
	if (k->state == JOIN || k->state == STAY_JOIN)
		return held_state(k, l); /* media is moving away from it, or to it */
	if (owner_consults(k->state))
		return consult_state(k, l);
	if (k->segs[l->seg].consult) /* of a call that is a consultation as a whole */
		return pair_state(k, l, now) == IV_HELD ? IV_HELD : IV_CONSULTING;
	return consulting_elsewhere(k, l) ? IV_CONSULTING : pair_state(k, l, now);
}

/* What the conversation's time is booked under: what the best-off participant is in. */
static enum interval conversation_state(const struct call *k)
{
	static const enum interval order[] = {IV_TALKING, IV_CONFERENCE, IV_CONSULTING, IV_HELD,
		IV_HOLDING, IV_MENU};

	if (k->state == WAIT || k->state == QUEUE_JOIN)
		return IV_QUEUED;
	if (k->state == SETUP || k->state == ORIGINATE || k->state == ANSWERING)
		return IV_RINGING;
	for (unsigned o = 0; o < sizeof(order) / sizeof(order[0]); o++)
		for (unsigned i = 0; i < k->nsegs; i++)
			if (k->segs[i].state == order[o])
				return order[o];
	return IV_LIMBO;
}

static void hold_timeline(struct core *c, struct call *k, const struct leg *l, enum interval from,
	enum interval to)
{
	const char *type = NULL;

	if (from == IV_TALKING && (to == IV_HOLDING || to == IV_HELD))
		type = "hold_on";
	else if ((from == IV_HOLDING || from == IV_HELD) && to == IV_TALKING)
		type = "hold_off";
	if (type == NULL || (k->state != TALK && k->state != BACK))
		return;
	timeline(c, k, &(struct timeline_note){.type = type, .leg = l,
		.actor = to == IV_HELD || from == IV_HELD ? "customer" : actor_of(l)});
}

static void sync_leg(struct core *c, struct call *k, struct leg *l)
{
	struct segment *s = &k->segs[l->seg];
	enum interval want = segment_state_of(k, l), from = s->state;

	if (want == from)
		return;
	interval_end(c, k, s);
	s->state = (uint8_t)want;
	hold_timeline(c, k, l, from, want);
}

/* After every step: cuts the intervals where the call has changed. */
void segment_sync(struct core *c, struct call *k)
{
	enum interval want;

	if (k->open != RECORD_OPEN || k->state == END)
		return;
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i]->seg != NO_SEG && k->legs[i]->role != ROLE_PAST)
			sync_leg(c, k, k->legs[i]);
	want = conversation_state(k);
	if (want != k->acc_state)
		account(c, k, want);
}
