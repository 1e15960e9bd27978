/*
 * view: what can be seen of calls, queues and agents from outside: for the control socket, the panel,
 * and tests.
 */
#include "core/acd.h"

#include "core/presence.h"

#include <string.h>

unsigned core_call_count(const struct core *c)
{
	return c->live;
}

call_id core_next_call(const struct core *c, call_id after)
{
	uint32_t i = after == ID_NONE ? 0 : id_slot(after) + 1;

	for (; i < c->nslots; i++)
		if (c->slots[i].call && c->slots[i].call->merged_into == ID_NONE)
			return c->slots[i].call->id;
	return ID_NONE;
}

const char *core_word(enum core_words of, unsigned i)
{
	static const struct {
		const char *(*name)(int value);
		unsigned n;
	} words[] = {
		[WORDS_STATE] = {call_state_name, call_state_count_},
		[WORDS_KIND] = {call_kind_name, call_kind_count_},
		[WORDS_INTERVAL] = {interval_name, interval_count_},
		[WORDS_ROLE] = {role_name, role_count_},
		[WORDS_LEG] = {leg_state_name, leg_state_count_},
	};

	return i < words[of].n ? words[of].name((int)i) : NULL;
}

/* The reasons of panel.md: why the Transfer button is off. */
static const char *why_not(const struct call *k)
{
	switch ((enum call_state)k->state) {
	case SETUP:
	case ORIGINATE:
	case ANSWERING:
		return "not_answered";
	case TALK:
	case RESUME:
	case BACK:
	case ALONE:
		return policy_movable(k).cause;
	case WAIT:
		return "no_agent";
	case QUEUE_JOIN:
		return "not_answered";
	case CONSULT_RING:
	case CONSULT_JOIN:
	case CONSULT_WAIT:
	case CONSULT_QUEUE_JOIN:
	case CONSULT:
	case ASIDE:
		return "consulting";
	case END:
		return "ended";
	default:
		return "transfer_running";
	}
}

static void view_leg(const struct leg *l, struct leg_view *v)
{
	v->id = l->id;
	v->state = leg_state_name(l->state);
	v->role = role_name(l->role);
	v->oa = oa_name(l->oa);
	v->outbound = l->outbound;
	str_set(v->user, l->user);
	str_set(v->peer, l->peer);
	v->party = l->party;
	v->since = l->since;
}

/* Who asks for a transfer becomes the owner, and may be the customer, or the one who consults: he has
 * no segment in that conversation (records.md), whom he talks to has. */
static void view_with(const struct call *k, struct call_view *v)
{
	struct leg *l = call_role(k, ROLE_OWNER), *other = call_role(k, ROLE_KEPT);

	if (l && (l->id == k->customer || (l->seg == NO_SEG && other && other->seg != NO_SEG)))
		l = other;
	if (l == NULL)
		return;
	str_set(v->with, l->user[0] ? l->user : l->party.number);
	if (l->seg != NO_SEG)
		v->interval = interval_name(k->segs[l->seg].state);
}

static unsigned position_of(const struct waiter *w)
{
	return order_place(&w->queue->waiting, &w->waiting) + 1;
}

static void view_place(const struct call *k, struct call_view *v)
{
	const struct waiter *w = k->waiter;

	v->estimate_ms = -1;
	if (w == NULL)
		return;
	str_set(v->queue, w->queue->row.queue);
	v->position = position_of(w);
	v->estimate_ms = queue_estimate(w->queue, v->position);
}

/* Whoever is in the call before those who have left it, if there is not room for all. */
static void view_legs(const struct call *k, struct call_view *v)
{
	bool all = k->nlegs <= VIEW_LEGS_MAX;

	for (unsigned i = 0; i < k->nlegs && v->nlegs < VIEW_LEGS_MAX; i++)
		if (all || k->legs[i]->role != ROLE_PAST)
			view_leg(k->legs[i], &v->legs[v->nlegs++]);
	for (unsigned i = 0; i < k->nlegs && v->nlegs < VIEW_LEGS_MAX && !all; i++)
		if (k->legs[i]->role == ROLE_PAST)
			view_leg(k->legs[i], &v->legs[v->nlegs++]);
}

bool core_view(const struct core *c, call_id id, struct call_view *v)
{
	const struct call *k = call_of(c, id);

	if (k == NULL)
		return false;
	memset(v, 0, sizeof(*v));
	v->id = k->id;
	v->conv = k->conv;
	v->xfer = k->xfer.id;
	v->state = call_state_name(k->state);
	v->kind = call_kind_name(k->kind);
	str_set(v->customer_number, k->kind == CALL_OUTBOUND ? k->dialled : k->from.number);
	if (k->kind != CALL_OUTBOUND)
		str_set(v->customer_name, k->from.name);
	v->interval = interval_name(k->acc_state);
	view_with(k, v);
	if (!uuid_is_nil(&k->xfer.id))
		str_set(v->target, k->xfer.target.name[0] ? k->xfer.target.name : k->xfer.target.number);
	v->started = k->mono0;
	v->since = k->since;
	v->why_not = why_not(k);
	v->can_move = k->state == WAIT && table_admits(WAIT);
	v->can_transfer = table_admits((enum call_state)k->state) && (v->can_move || v->why_not == NULL);
	v->can_cancel = table_allows((enum call_state)k->state, XFER_CANCEL);
	v->can_hangup = k->state != END;
	v->can_complete = table_allows((enum call_state)k->state, COMPLETE_REQ);
	v->can_swap = table_allows((enum call_state)k->state, SWAP_REQ);
	v->can_hold = table_allows((enum call_state)k->state, HOLD_REQ) &&
		      k->bridge.state != BRIDGE_HOLD;
	v->can_unhold = table_allows((enum call_state)k->state, UNHOLD_REQ) &&
			k->bridge.state == BRIDGE_HOLD;
	v->can_resume = table_allows((enum call_state)k->state, XFER_RESUME);
	view_place(k, v);
	view_legs(k, v);
	return true;
}

/* ---- queues ---------------------------------------------------------------------------------- */

static struct dir_queue *queue_named(const struct core *c, const char *name)
{
	struct dir_queue *q = directory_queue(c, name);

	return q && str_eq(q->row.queue, name) ? q : NULL;
}

/* Not always of the first in line: who was transferred may be placed before him. */
static int64_t longest_wait(const struct dir_queue *q, int64_t now)
{
	const struct order_node *n = order_first(&q->arrived);

	return n ? now - n->key[0] : 0;
}

bool core_queue_view(const struct core *c, const char *queue, int64_t now, struct queue_view *v)
{
	const struct dir_queue *q = queue_named(c, queue);

	if (q == NULL)
		return false;
	memset(v, 0, sizeof(*v));
	v->row = q->row;
	v->waiting = order_count(&q->waiting);
	v->longest_ms = longest_wait(q, now);
	v->estimate_ms = order_count(&q->free) ? 0 : queue_estimate(q, v->waiting + 1);
	v->limit_ms = queue_wait_limit(c, q);
	v->ring_ms = offer_ring_ms(c, q);
	v->members = HASH_COUNT(q->members);
	memcpy(v->agents, q->count, sizeof(v->agents));
	v->entered = q->entered;
	v->answered = q->answered;
	v->in_time = q->in_time;
	v->abandoned = q->abandoned;
	v->overflowed = q->overflowed;
	return true;
}

const char *core_next_queue(const struct core *c, const char *after)
{
	const struct dir_queue *q = str_empty(after) ? c->queues : queue_named(c, after);

	if (q && !str_empty(after))
		q = q->by_name.next;
	return q ? q->row.queue : NULL;
}

bool core_waiting_view(const struct core *c, const char *queue, unsigned position, int64_t now,
	struct waiting_view *v)
{
	const struct dir_queue *q = queue_named(c, queue);
	struct order_node *n = q && position ? order_at(&q->waiting, position - 1) : NULL;
	const struct call *k = n ? ORDER_OF(n, struct waiter, waiting)->call : NULL;
	const struct leg *l = k ? call_role(k, ROLE_KEPT) : NULL, *t;

	if (k == NULL)
		return false;
	memset(v, 0, sizeof(*v));
	v->call = k->id;
	v->position = position;
	v->waited_ms = now - k->wait.entered;
	v->credit_ms = k->wait.credit;
	v->estimate_ms = queue_estimate(q, position);
	if (l) {
		str_set(v->number, l->party.number);
		str_set(v->name, l->party.name);
	}
	if ((t = call_role(k, ROLE_TARGET)) != NULL)
		str_set(v->offered, t->user);
	return true;
}

/* ---- agents ---------------------------------------------------------------------------------- */

static unsigned missed_of(const struct agent *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < missed_count_; i++)
		n += a->missed[i];
	return n;
}

static call_id call_with(const struct core *c, const char *user)
{
	call_id best = ID_NONE;

	for (const struct leg *l = presence_first(c, user); l; l = l->user_next) {
		if (l->state == LEG_UP || l->state == LEG_ANSWERED)
			return call_of(c, l->id)->id;
		if (leg_is_live(l))
			best = call_of(c, l->id)->id;
	}
	return best;
}

bool core_agent_view(const struct core *c, const char *user, struct agent_view *v)
{
	const struct agent *a = agent_find(c, user);
	const struct dir_user *u = directory_user(c, user);

	if (a == NULL || a->members == NULL)
		return false;
	memset(v, 0, sizeof(*v));
	str_set(v->user, a->user);
	if (u)
		str_set(v->name, u->row.name);
	v->state = (enum agent_state)a->state;
	v->since = a->since;
	v->until = a->state == AGENT_WRAPUP ? a->wrapup_until : 0;
	v->intent = (enum agent_intent)a->intent;
	v->intent_since = a->intent_since;
	str_set(v->reason, a->reason);
	v->intent_via = (enum origin)a->via;
	str_set(v->intent_by, a->by);
	v->call = call_with(c, user);
	v->missed = missed_of(a);
	v->answered = a->answered;
	v->talk_ms = a->talk_ms;
	for (const struct member *m = a->members; m; m = m->next)
		v->nqueues++;
	return true;
}

const char *core_next_agent(const struct core *c, const char *after)
{
	const struct agent *a = str_empty(after) ? c->acd.agents : agent_find(c, after);

	if (a && !str_empty(after))
		a = a->hh.next;
	while (a && a->members == NULL)
		a = a->hh.next;
	return a ? a->user : NULL;
}

const char *core_agent_queue(const struct core *c, const char *user, const char *after)
{
	const struct agent *a = agent_find(c, user);
	const struct member *m = a ? a->members : NULL;

	if (str_empty(after))
		return m ? m->queue->row.queue : NULL;
	while (m && !str_eq(m->queue->row.queue, after))
		m = m->next;
	return m && m->next ? m->next->queue->row.queue : NULL;
}
