/* live: see live.h. */
#include "app/live.h"

#include <stdlib.h>

#include <utlist.h>

#define TRANSFERS_KEPT 4096 /* that have ended */

struct live {
	struct core *core;
	struct live_hooks hooks;
	struct live_call *calls;
	struct live_transfer *transfers;
	unsigned nended, moves;
	uint64_t ncalls, directory; /* calls that came; changes of names */
	uint64_t touches;
	struct live_user *users;
	struct live_queue *queues;
	struct live_ivr *ivrs, *ivrs_by_number;
};

/* ---- signatures ------------------------------------------------------------------------------ */

/* FNV-1a: to see whether something looks different, not to tell friend from foe. */
static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return h;
}

static uint64_t mix_int(uint64_t h, int64_t v)
{
	return mix(h, &v, sizeof(v));
}

static uint64_t mix_text(uint64_t h, const char *s)
{
	return s ? mix(h, s, strlen(s) + 1) : mix_int(h, 0);
}

#define MIX_START UINT64_C(14695981039346656037)

bool live_leg_changes(const struct leg_view *l)
{
	return str_eq(l->state, "up") && !str_eq(l->oa, "idle");
}

static uint64_t leg_signature(uint64_t h, const struct leg_view *l)
{
	h = mix_int(h, (int64_t)l->id);
	h = mix_text(mix_text(h, l->state), l->role);
	h = mix_text(mix_text(h, l->user), l->party.number);
	return mix_int(mix_int(h, live_leg_changes(l)), l->since);
}

static uint64_t call_signature(const struct live_call *k, const struct call_view *v)
{
	uint64_t h = mix_text(mix_text(MIX_START, v->state), v->interval);

	h = mix(h, &v->xfer, sizeof(v->xfer));
	h = mix_text(mix_text(h, v->with), v->why_not);
	h = mix_int(mix_int(h, v->since), v->nlegs);
	h = mix_int(mix_text(h, v->queue), v->position);
	h = mix_int(mix_text(mix_text(h, k->recording), k->case_key), k->recovered);
	h = mix_int(h, k->deadline);
	for (unsigned i = 0; i < v->nlegs; i++)
		h = leg_signature(h, &v->legs[i]);
	return h;
}

uint64_t live_touches(const struct live *l)
{
	return l->touches + l->directory;
}

uint64_t live_steps(const struct live *l, const struct live_call *k)
{
	return k->touched + l->directory; /* both only grow */
}

uint64_t live_look(const struct live *l, const struct live_call *k, const struct call_view *v)
{
	uint64_t h = mix_int(call_signature(k, v), (int64_t)live_steps(l, k));

	return v->queue[0] != '\0' ? 0 : h | 1;
}

uint64_t live_user_look(const struct live_user *u, const struct agent_view *v)
{
	uint64_t h = mix_text(mix_text(mix_text(MIX_START, u->row.user), u->row.name), u->row.number);

	h = mix_int(mix_int(mix_int(h, u->row.role), u->row.enabled), u->ncontacts);
	for (unsigned i = 0; i < u->nqueues; i++)
		h = mix_text(h, u->queue[i]);
	h = mix_int(mix_int(mix_int(h, v->state), v->since), v->until);
	h = mix_int(mix_text(mix_text(mix_int(h, v->intent), v->reason), v->intent_by), (int64_t)v->call);
	return mix_int(mix_int(h, (int64_t)v->answered), v->talk_ms) | 1;
}

/* ---- calls ----------------------------------------------------------------------------------- */

unsigned live_moves(const struct live *l)
{
	return l->moves;
}

struct live_call *live_call(const struct live *l, call_id id)
{
	struct live_call *k;

	id = id_call(id);
	HASH_FIND(hh, l->calls, &id, sizeof(id), k);
	return k;
}

static struct live_call *call_get(struct live *l, call_id id)
{
	struct live_call *k = live_call(l, id);

	if (k != NULL || id == ID_NONE || (k = calloc(1, sizeof(*k))) == NULL)
		return k;
	k->id = id_call(id);
	str_set(k->recording, "off");
	k->n = ++l->ncalls;
	HASH_ADD(hh, l->calls, id, sizeof(k->id), k);
	return k;
}

static void party_free(struct live *l, struct live_party *p)
{
	struct live_user *u = live_user(l, p->user);

	if (u != NULL && p->prev != NULL)
		DL_DELETE(u->parties, p);
	free(p);
}

static void call_free(struct live *l, struct live_call *k)
{
	HASH_DEL(l->calls, k);
	for (unsigned i = 0; i < k->nparties; i++)
		party_free(l, k->party[i]);
	free(k->party);
	free(k->segments);
	free(k->text[0].text);
	free(k->text[1].text);
	free(k);
}

/* ---- parties --------------------------------------------------------------------------------- */

struct parties {
	struct live_party list[VIEW_LEGS_MAX + 1];
	unsigned n;
};

static struct live_party *note_party(struct parties *ps, const char *user)
{
	if (str_empty(user))
		return NULL;
	for (unsigned i = 0; i < ps->n; i++)
		if (str_eq(ps->list[i].user, user))
			return &ps->list[i];
	if (ps->n == VIEW_LEGS_MAX + 1)
		return NULL;
	str_set(ps->list[ps->n].user, user);
	return &ps->list[ps->n++];
}

static bool is_talking(const struct leg_view *v)
{
	return str_eq(v->state, "up") || str_eq(v->state, "answered");
}

static void find_parties(struct live *l, const struct live_call *k, const struct call_view *v,
	struct parties *ps)
{
	const struct live_transfer *t = live_transfer(l, &k->transfer);

	memset(ps, 0, sizeof(*ps));
	for (unsigned i = 0; i < v->nlegs; i++) {
		const struct leg_view *leg = &v->legs[i];
		struct live_party *p = str_eq(leg->role, "past") || str_eq(leg->state, "closing")
					       ? NULL
					       : note_party(ps, leg->user);

		if (p == NULL)
			continue;
		p->talking = p->talking || is_talking(leg);
		p->ringing = p->ringing || !is_talking(leg);
		p->since = leg->since;
	}
	if (t != NULL && t->ended == 0)
		note_party(ps, t->asker);
}

static struct live_party *party_of(const struct live_call *k, const char *user)
{
	for (unsigned i = 0; i < k->nparties; i++)
		if (str_eq(k->party[i]->user, user))
			return k->party[i];
	return NULL;
}

static bool adds_party(struct live *l, struct live_call *k, const struct live_party *model)
{
	struct live_party *p = malloc(sizeof(*p));
	struct live_party **list = realloc(k->party, (k->nparties + 1) * sizeof(*list));
	struct live_user *u = live_user(l, model->user);

	if (list != NULL)
		k->party = list;
	if (p == NULL || list == NULL) {
		free(p);
		return false;
	}
	*p = *model;
	p->call = k;
	p->prev = p->next = NULL;
	k->party[k->nparties++] = p;
	if (u != NULL)
		DL_APPEND(u->parties, p);
	return true;
}

static void drop_party(struct live *l, struct live_call *k, unsigned i)
{
	struct live_party *p = k->party[i];
	struct live_user *u;
	char user[USER_MAX];

	str_set(user, p->user);
	k->party[i] = k->party[--k->nparties];
	party_free(l, p);
	l->hooks.call_left(l->hooks.arg, k, user);
	u = live_user(l, user);
	if (u != NULL)
		l->hooks.user(l->hooks.arg, u);
}

static bool in_parties(const struct parties *ps, const char *user)
{
	for (unsigned i = 0; i < ps->n; i++)
		if (str_eq(ps->list[i].user, user))
			return true;
	return false;
}

/* Brings the parties of k in line; tells of users whose state is another now. */
static void update_parties(struct live *l, struct live_call *k, const struct call_view *v)
{
	struct parties ps;

	find_parties(l, k, v, &ps);
	for (unsigned i = k->nparties; i-- > 0;)
		if (!in_parties(&ps, k->party[i]->user))
			drop_party(l, k, i);
	for (unsigned i = 0; i < ps.n; i++) {
		const struct live_party *now = &ps.list[i];
		struct live_party *p = party_of(k, now->user);
		struct live_user *u = live_user(l, now->user);
		bool same = p && p->talking == now->talking && p->ringing == now->ringing;

		if (same || (p == NULL && !adds_party(l, k, now)))
			continue;
		if (p != NULL) {
			p->talking = now->talking;
			p->ringing = now->ringing;
			p->since = now->since;
		}
		if (u != NULL)
			l->hooks.user(l->hooks.arg, u);
	}
}

void live_busy(const struct live *l, const char *user, struct live_busy *out)
{
	const struct live_user *u = live_user(l, user);
	const struct live_party *p;

	memset(out, 0, sizeof(*out));
	if (u == NULL)
		return;
	DL_FOREACH(u->parties, p)
	{
		bool better = p->talking ? out->talking == 0 : out->talking + out->ringing == 0;

		if ((p->talking || p->ringing) && better) {
			out->call = p->call->id;
			out->since = p->since;
		}
		out->talking += p->talking;
		out->ringing += !p->talking && p->ringing;
	}
}

/* ---- facts ----------------------------------------------------------------------------------- */

static struct live_segment *find_segment(const struct live_call *k, const uuid *id)
{
	for (unsigned i = k ? k->nsegments : 0; i-- > 0;)
		if (uuid_eq(&k->segments[i].id, id))
			return &k->segments[i];
	return NULL;
}

static void on_opened(struct live *l, const struct fact *f)
{
	const struct fact_conversation_opened *o = &f->conversation_opened;
	struct live_call *k = call_get(l, f->call);

	if (k == NULL)
		return;
	k->conv = o->conv;
	k->started = f->at;
	str_set(k->kind, o->kind);
	str_set(k->case_key, o->case_key);
	str_set(k->dialled, o->dialled);
	str_set(k->source, o->source);
	str_set(k->customer_number, o->customer_number);
	str_set(k->customer_name, o->customer_name);
	str_set(k->sip_call_id, o->sip_call_id);
}

static void queue_changed(struct live *l, const char *name)
{
	struct live_queue *q = live_queue(l, name);

	if (q != NULL)
		l->hooks.queue(l->hooks.arg, q);
}

static void forget_call(struct live *l, struct live_call *k, call_id into)
{
	l->hooks.call_gone(l->hooks.arg, k, into);
	call_free(l, k);
}

static struct live_segment *add_segment(struct live_call *k)
{
	unsigned cap = k->segments_cap ? 2 * k->segments_cap : 2;
	struct live_segment *p;

	if (k->nsegments == k->segments_cap) {
		p = realloc(k->segments, cap * sizeof(*p));
		if (p == NULL)
			return NULL;
		k->segments = p;
		k->segments_cap = cap;
	}
	return &k->segments[k->nsegments++];
}

static void on_segment_opened(struct live *l, const struct fact *f)
{
	const struct fact_segment_opened *o = &f->segment_opened;
	struct live_call *k = live_call(l, f->call);
	struct live_segment *s = k ? add_segment(k) : NULL;

	if (s == NULL)
		return;
	*s = (struct live_segment){.id = o->seg, .transfer_in = o->transfer_in, .n = (int)o->n,
		.offered = f->at,
		.open = f->at};
	str_set(s->kind, o->kind);
	str_set(s->who, o->who);
	str_set(s->number, o->number);
	if (!str_eq(o->kind, "queue"))
		return;
	str_set(k->queue, o->who);
	queue_changed(l, o->who);
}

static void on_segment_closed(struct live *l, const struct fact *f)
{
	const struct fact_segment_closed *c = &f->segment_closed;
	struct live_segment *s = find_segment(live_call(l, f->call), &c->seg);

	if (s == NULL)
		return;
	s->ended = f->at;
	str_set(s->outcome, c->outcome);
	s->ring_ms = c->ring_ms;
	s->talk_ms = c->talk_ms;
	s->hold_ms = c->hold_ms;
	s->held_ms = c->held_ms;
	s->consult_ms = c->consult_ms;
	s->wait_ms = c->wait_ms;
	if (str_eq(s->kind, "queue"))
		queue_changed(l, s->who);
}

/* The oldest makes room: what is long past is in the ledger. */
static void remember_interval(struct live_call *k, const struct fact_interval *i)
{
	struct live_interval *x;

	if (k->npast == LIVE_PAST_MAX)
		memmove(k->past, k->past + 1, --k->npast * sizeof(k->past[0]));
	x = &k->past[k->npast++];
	str_set(x->state, i->state);
	x->from = i->from;
	x->to = i->to;
}

static void on_interval(struct live *l, const struct fact *f)
{
	const struct fact_interval *i = &f->interval;
	struct live_call *k = live_call(l, f->call);
	struct live_segment *s = find_segment(k, &i->seg);
	int64_t *sum;

	if (s == NULL)
		return;
	remember_interval(k, i);
	s->open = i->to;
	sum = str_eq(i->state, "ringing")      ? &s->ring_ms
	      : str_eq(i->state, "talking")    ? &s->talk_ms
	      : str_eq(i->state, "conference") ? &s->talk_ms
	      : str_eq(i->state, "holding")    ? &s->hold_ms
	      : str_eq(i->state, "held")       ? &s->held_ms
	      : str_eq(i->state, "consulting") ? &s->consult_ms
	      : str_eq(i->state, "queued")     ? &s->wait_ms
					       : NULL;
	if (sum != NULL && s->ended == 0)
		*sum += i->ms;
}

struct live_transfer *live_transfer(const struct live *l, const uuid *id)
{
	struct live_transfer *t;

	HASH_FIND(hh, l->transfers, id, sizeof(*id), t);
	return t;
}

static void on_transfer_opened(struct live *l, const struct fact *f)
{
	const struct fact_transfer_opened *o = &f->transfer_opened;
	struct live_transfer *t = calloc(1, sizeof(*t)), *prev;
	struct live_call *k = live_call(l, f->call);

	if (t == NULL)
		return;
	t->id = o->xfer;
	t->conv = o->conv;
	t->prev = o->prev;
	t->call = f->call;
	t->attempt = (int)o->attempt;
	t->asked = f->at;
	str_set(t->kind, o->kind);
	str_set(t->via, o->via);
	str_set(t->asker, o->asker);
	str_set(t->target_kind, o->target_kind);
	str_set(t->target, o->target);
	str_set(t->number, o->number);
	str_set(t->stage, "asked");
	HASH_ADD(hh, l->transfers, id, sizeof(t->id), t);
	prev = live_transfer(l, &o->prev);
	if (prev != NULL)
		prev->next = t->id;
	if (k == NULL)
		return;
	k->transfer = t->id;
	l->hooks.transfer(l->hooks.arg, k, t);
}

static void on_transfer_marked(struct live *l, const struct fact *f)
{
	const struct fact_transfer_marked *m = &f->transfer_marked;
	struct live_transfer *t = live_transfer(l, &m->xfer);
	struct live_call *k = live_call(l, f->call);

	if (t == NULL)
		return;
	if (str_eq(m->mark, "semi")) /* no stage: completed while the target rings */
		str_set(t->kind, "semi");
	else if (t->ended == 0 && !str_eq(m->mark, "answered_by"))
		str_set(t->stage, m->mark);
	if (str_eq(m->mark, "ringing"))
		t->ringing = f->at;
	if (str_eq(m->mark, "answered") || str_eq(m->mark, "answered_by"))
		t->answered = f->at;
	if (!uuid_is_nil(&m->to_seg))
		t->to_segment = m->to_seg;
	if (k != NULL)
		l->hooks.transfer(l->hooks.arg, k, t);
}

/* The hash keeps the order of insertion: the oldest that has ended goes. */
static void forget_old_transfers(struct live *l)
{
	struct live_transfer *t, *next;

	HASH_ITER(hh, l->transfers, t, next)
	{
		if (l->nended <= TRANSFERS_KEPT)
			return;
		if (t->ended == 0)
			continue;
		HASH_DEL(l->transfers, t);
		free(t);
		l->nended--;
	}
}

static void on_transfer_closed(struct live *l, const struct fact *f)
{
	const struct fact_transfer_closed *c = &f->transfer_closed;
	struct live_transfer *t = live_transfer(l, &c->xfer);
	struct live_call *k = live_call(l, f->call);

	if (t == NULL || t->ended != 0)
		return;
	t->ended = f->at;
	t->sip_status = (int)c->sip_status;
	str_set(t->stage, "ended");
	str_set(t->outcome, c->outcome);
	str_set(t->cause, c->cause);
	if (!uuid_is_nil(&c->to_seg))
		t->to_segment = c->to_seg;
	if (!uuid_is_nil(&c->next))
		t->next = c->next;
	l->nended++;
	if (k != NULL)
		l->hooks.transfer(l->hooks.arg, k, t);
	forget_old_transfers(l);
}

/* A consulted party that was still ringing became somebody else. */
static void on_segment_changed(struct live *l, const struct fact *f)
{
	struct live_segment *s = find_segment(live_call(l, f->call), &f->segment_changed.seg);

	if (s == NULL)
		return;
	str_set(s->kind, f->segment_changed.kind);
	s->transfer_in = f->segment_changed.transfer_in;
}

#define SWAP(a, b)                                                                                 \
	do {                                                                                       \
		__typeof__(a) swap_ = (a);                                                         \
		(a) = (b);                                                                         \
		(b) = swap_;                                                                       \
	} while (0)

/* The older conversation goes on, whichever of the two calls it was. */
static void swap_records(struct live_call *a, struct live_call *b)
{
	struct live_call keep_a = *a, keep_b = *b;

	*a = keep_b;
	*b = keep_a;
	/* but these are the calls' own */
	SWAP(a->id, b->id);
	SWAP(a->deadline, b->deadline);
	SWAP(a->signature, b->signature);
	SWAP(a->party, b->party);
	SWAP(a->nparties, b->nparties);
	SWAP(a->transfer, b->transfer);
	SWAP(a->hh, b->hh);
}

/* k has become part of another call, which has its visits from now on. */
static void on_merged(struct live *l, const struct fact *f)
{
	struct live_call *k = live_call(l, f->call), *to = NULL;
	struct call_view v;
	int shift;

	if (k != NULL && core_view(l->core, k->id, &v) && v.id != k->id)
		to = live_call(l, v.id);
	if (to == NULL)
		return;
	if (uuid_eq(&k->conv, &v.conv))
		swap_records(k, to);
	shift = to->nsegments ? to->segments[to->nsegments - 1].n : 0;
	for (unsigned i = 0; i < k->nsegments; i++) {
		struct live_segment *s = add_segment(to);

		if (s == NULL)
			break;
		*s = k->segments[i];
		s->n += shift;
	}
	forget_call(l, k, to->id);
}

static void on_timeline(struct live *l, const struct fact *f)
{
	struct live_call *k = live_call(l, f->call);
	const char *type = f->timeline.type;

	if (k == NULL)
		return;
	if (str_eq(type, "recording_on"))
		str_set(k->recording, "on");
	else if (str_eq(type, "recording_off"))
		str_set(k->recording, "off");
	else if (str_eq(type, "recording_paused"))
		str_set(k->recording, "paused");
}

/* An agent's state counts in all of his queues. */
static void on_agent_state(struct live *l, const struct fact *f)
{
	struct live_user *u = live_user(l, f->agent_state.user);

	if (u == NULL)
		return;
	for (unsigned i = 0; i < u->nqueues; i++)
		queue_changed(l, u->queue[i]);
	l->hooks.user(l->hooks.arg, u);
}

static void note_fact(struct live *l, const struct fact *f)
{
	struct live_segment *s;

	switch (f->type) {
	case FACT_CONVERSATION_OPENED:
		on_opened(l, f);
		break;
	case FACT_SEGMENT_OPENED:
		on_segment_opened(l, f);
		break;
	case FACT_SEGMENT_ANSWERED:
		s = find_segment(live_call(l, f->call), &f->segment_answered.seg);
		if (s != NULL)
			s->answered = f->at;
		break;
	case FACT_SEGMENT_CLOSED:
		on_segment_closed(l, f);
		break;
	case FACT_INTERVAL:
		on_interval(l, f);
		break;
	case FACT_TRANSFER_OPENED:
		on_transfer_opened(l, f);
		break;
	case FACT_TRANSFER_MARKED:
		on_transfer_marked(l, f);
		break;
	case FACT_TRANSFER_CLOSED:
		on_transfer_closed(l, f);
		break;
	case FACT_TIMELINE:
		on_timeline(l, f);
		break;
	case FACT_SEGMENT_CHANGED:
		on_segment_changed(l, f);
		break;
	case FACT_CONVERSATION_MERGED:
		on_merged(l, f);
		break;
	case FACT_AGENT_STATE:
		on_agent_state(l, f);
		break;
	default:
		break;
	}
}

static void take_fact(struct live *l, const struct fact *f)
{
	note_fact(l, f);
	l->hooks.fact(l->hooks.arg, live_call(l, f->call), f);
}

/* ---- directory ------------------------------------------------------------------------------- */

struct live_user *live_user(const struct live *l, const char *name)
{
	struct live_user *u;

	HASH_FIND_STR(l->users, name, u);
	return u;
}

struct live_queue *live_queue(const struct live *l, const char *name)
{
	struct live_queue *q;

	HASH_FIND_STR(l->queues, name, q);
	return q;
}

static void user_free(struct live *l, struct live_user *u)
{
	HASH_DEL(l->users, u);
	free(u->text.text);
	free(u);
}

static void user_gone(struct live *l, struct live_user *u)
{
	while (u->parties != NULL) {
		struct live_party *p = u->parties;

		DL_DELETE(u->parties, p);
		p->prev = p->next = NULL;
	}
	user_free(l, u);
}

static void on_user(struct live *l, const struct ev_dir_user *row)
{
	struct live_user *u = live_user(l, row->user);

	if (row->gone) {
		if (u != NULL)
			user_gone(l, u);
		return;
	}
	if (u == NULL) {
		u = calloc(1, sizeof(*u));
		if (u == NULL)
			return;
		u->row = *row;
		HASH_ADD_STR(l->users, row.user, u);
	}
	u->row = *row;
	l->hooks.user(l->hooks.arg, u);
}

static void on_queue(struct live *l, const struct ev_dir_queue *row)
{
	struct live_queue *q = live_queue(l, row->queue);

	if (row->gone) {
		if (q == NULL)
			return;
		HASH_DEL(l->queues, q);
		free(q);
		return;
	}
	if (q == NULL) {
		q = calloc(1, sizeof(*q));
		if (q == NULL)
			return;
		q->row = *row;
		HASH_ADD_STR(l->queues, row.queue, q);
	}
	q->row = *row;
	l->hooks.queue(l->hooks.arg, q);
}

static void on_ivr(struct live *l, const struct ev_dir_ivr *row)
{
	struct live_ivr *i;

	HASH_FIND_STR(l->ivrs, row->ivr, i);
	if (i != NULL) {
		HASH_DEL(l->ivrs, i);
		HASH_DELETE(by_number, l->ivrs_by_number, i);
		free(i);
	}
	i = row->gone ? NULL : calloc(1, sizeof(*i));
	if (i == NULL)
		return;
	i->row = *row;
	HASH_ADD_STR(l->ivrs, row.ivr, i);
	HASH_ADD(by_number, l->ivrs_by_number, row.number, strlen(i->row.number), i);
	l->hooks.ivr(l->hooks.arg, i);
}

static void on_member(struct live *l, const struct ev_dir_member *row)
{
	struct live_user *u = live_user(l, row->user);
	unsigned i, had;

	if (u == NULL)
		return;
	had = u->nqueues;
	for (i = 0; i < u->nqueues && !str_eq(u->queue[i], row->queue); i++)
		;
	if (row->gone && i < u->nqueues)
		memmove(u->queue[i], u->queue[i + 1], (--u->nqueues - i) * sizeof(u->queue[0]));
	else if (!row->gone && i == u->nqueues && i < LIVE_QUEUES_MAX)
		str_set(u->queue[u->nqueues++], row->queue);
	if (u->nqueues != had && u->parties != NULL)
		l->moves++;
	l->hooks.user(l->hooks.arg, u);
}

static void on_contacts(struct live *l, const struct ev_contacts *e)
{
	struct live_user *u = live_user(l, e->user);

	if (u == NULL || u->ncontacts == e->n)
		return;
	u->ncontacts = e->n;
	l->hooks.user(l->hooks.arg, u);
}

static void directory_step(struct live *l, const struct event *ev)
{
	switch (ev->type) {
	case EV_DIR_USER:
		l->directory++;
		on_user(l, &ev->user);
		break;
	case EV_DIR_QUEUE:
		on_queue(l, &ev->queue);
		break;
	case EV_DIR_IVR:
		l->directory++;
		on_ivr(l, &ev->ivr);
		break;
	case EV_DIR_MEMBER:
		on_member(l, &ev->member);
		break;
	case EV_CONTACTS:
		on_contacts(l, &ev->contacts);
		break;
	default:
		break;
	}
}

static bool same_hours(const struct hours_view *a, const struct hours_view *b)
{
	return a->closed == b->closed && a->opens_at == b->opens_at && a->closes_at == b->closes_at &&
	       str_eq(a->zone, b->zone);
}

int64_t live_hours(struct live *l, int64_t wall)
{
	int64_t next = INT64_MAX, at;
	struct live_queue *q, *qnext;
	struct hours_view v;

	HASH_ITER (hh, l->queues, q, qnext) {
		core_queue_hours(l->core, q->row.queue, wall, &v);
		at = v.closed ? v.opens_at : v.closes_at;
		if (at && at < next)
			next = at;
		if (same_hours(&v, &q->hours))
			continue;
		q->hours = v;
		l->hooks.queue(l->hooks.arg, q);
	}
	return next;
}

/* ---- the step -------------------------------------------------------------------------------- */

/* The call looks different: who has to do with it, and what it shows. */
static void update_call(struct live *l, call_id id)
{
	struct live_call *k = live_call(l, id);
	struct call_view v;
	uint64_t signature;

	if (!core_view(l->core, id, &v)) {
		if (k != NULL)
			forget_call(l, k, ID_NONE);
		return;
	}
	if (v.id != id) /* it is part of that one now */
		k = live_call(l, v.id);
	if (k == NULL)
		return;
	signature = call_signature(k, &v);
	if (signature == k->signature)
		return;
	k->signature = signature;
	update_parties(l, k, &v);
	l->hooks.call(l->hooks.arg, k);
}

static void touch(struct live *l, call_id id)
{
	struct live_call *k = id != ID_NONE ? live_call(l, id) : NULL;

	if (k != NULL)
		k->touched++;
	l->touches++;
}

static void take_action(struct live *l, const struct event *ev, const struct action *a)
{
	struct live_call *k;

	if (a->type == ACT_POSITION)
		queue_changed(l, a->position.queue);
	if (a->type != ACT_TIMER || a->timer.kind != TIMER_STATE)
		return;
	k = live_call(l, a->timer.id);
	if (k != NULL)
		k->deadline = a->timer.ms < 0 ? 0 : ev->now + a->timer.ms;
}

/* A guard that has fired is none any more, unless the step sets another. */
static void take_timer(struct live *l, const struct event *ev, call_id call)
{
	struct live_call *k = ev->type == EV_TIMER && ev->timer.kind == TIMER_STATE ? live_call(l, call)
										    : NULL;

	if (k != NULL && k->deadline <= ev->now) /* else it was an old one */
		k->deadline = 0;
}

static call_id call_of_event(const struct event *ev, const struct core_out *out)
{
	return ev->type == EV_INVITE ? out->leg : ev->leg ? ev->leg : ev->call;
}

void live_step(struct live *l, const struct event *ev, const struct core_out *out)
{
	call_id own = id_call(call_of_event(ev, out)), last = ID_NONE;

	directory_step(l, ev);
	take_timer(l, ev, own);
	for (unsigned i = 0; i < out->nfacts; i++)
		take_fact(l, &out->facts[i]);
	for (unsigned i = 0; i < out->nactions; i++)
		take_action(l, ev, &out->actions[i]);
	touch(l, own);
	if (own != ID_NONE)
		update_call(l, own);
	for (unsigned i = 0; i < out->nfacts; i++) { /* a step may touch others: queues, joins */
		call_id other = id_call(out->facts[i].call);

		touch(l, other);
		if (other != own && other != last && other != ID_NONE)
			update_call(l, other);
		last = other;
	}
	for (unsigned i = 0; i < out->nactions; i++) /* and who moves up has no fact of it (E-112) */
		if (out->actions[i].type == ACT_POSITION) {
			touch(l, id_call(out->actions[i].leg));
			update_call(l, id_call(out->actions[i].leg));
		}
}

void live_adopt(struct live *l, int64_t now)
{
	struct core_out out;
	call_id id;

	core_out_init(&out);
	for (id = core_next_call(l->core, ID_NONE); id != ID_NONE; id = core_next_call(l->core, id)) {
		if (live_call(l, id) != NULL)
			continue;
		core_retell(l->core, id, now, &out);
		for (unsigned i = 0; i < out.nfacts; i++)
			note_fact(l, &out.facts[i]);
		if (live_call(l, id) != NULL)
			live_call(l, id)->recovered = true;
		update_call(l, id);
	}
	core_out_done(&out);
}

/* ---- looking --------------------------------------------------------------------------------- */

struct core *live_core(const struct live *l)
{
	return l->core;
}

struct live_call *live_calls(const struct live *l)
{
	return l->calls;
}

struct live_user *live_users(const struct live *l)
{
	return l->users;
}

struct live_queue *live_queues(const struct live *l)
{
	return l->queues;
}

struct live_ivr *live_ivr_at(const struct live *l, const char *number)
{
	struct live_ivr *i;

	HASH_FIND(by_number, l->ivrs_by_number, number, strlen(number), i);
	return i;
}

struct live_ivr *live_ivrs(const struct live *l)
{
	return l->ivrs;
}

int64_t live_stamp(const struct live_call *k, int64_t mono_ms, int64_t mono_started)
{
	return k->started + (mono_ms - mono_started) * 1000;
}

/* ---- create and destroy ---------------------------------------------------------------------- */

struct live *live_create(struct core *core, const struct live_hooks *hooks)
{
	struct live *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->core = core;
	l->hooks = *hooks;
	return l;
}

#define FREE_ALL(type, head)                                                                       \
	do {                                                                                       \
		struct type *x_, *next_;                                                           \
		HASH_ITER(hh, head, x_, next_)                                                     \
		{                                                                                  \
			HASH_DEL(head, x_);                                                        \
			free(x_);                                                                  \
		}                                                                                  \
	} while (0)

void live_destroy(struct live *l)
{
	struct live_call *k, *next;
	struct live_user *u, *unext;

	if (l == NULL)
		return;
	HASH_ITER(hh, l->calls, k, next)
	call_free(l, k);
	FREE_ALL(live_transfer, l->transfers);
	HASH_ITER(hh, l->users, u, unext)
	user_free(l, u);
	FREE_ALL(live_queue, l->queues);
	HASH_CLEAR(by_number, l->ivrs_by_number);
	FREE_ALL(live_ivr, l->ivrs);
	free(l);
}
