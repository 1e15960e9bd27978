/*
 * offer: who is asked for whom. A caller is offered to the first of the free members of his queue;
 * an agent who becomes free is offered the caller who waits for him the longest in the heaviest of
 * his queues. An offer is a leg that rings; when it ends, in whatever way, both are free again. See
 * acd.h.
 */
#include "core/acd.h"
#include "core/presence.h"
#include "core/verbs.h"

/* So many callers who must not be offered to an agent yet are passed over in search of one who may.
 */
#define PASS_OVER_MAX 16

static bool is_except(const struct core *c, const struct call *k, const char *user)
{
	return k->wait.except_until > c->ev->now && str_eq(k->wait.except, user);
}

/* How often what is asked of the agents has been lowered for this caller. */
static uint32_t steps_of(const struct core *c, const struct waiter *w)
{
	return strategy_steps(c->acd.now - w->waiting.key[0], w->queue->row.widen_ms);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool ring(struct core *c, struct waiter *w, struct member *m)
{
	struct dir_queue *q = w->queue;

	if (!target_dial_agent(c, w->call, m->agent->user))
		return false;
	m->offered_at = c->ev->now;
	q->drum = strategy_drawn(q->row.strategy, m->free.key, q->drum);
	w->asked++;
	return true;
}

/* Rings the next of the free members, or all of the first level. Returns how many. */
static unsigned ring_some(struct core *c, struct waiter *w)
{
	const struct dir_queue *q = w->queue;
	const struct order_node *first = NULL, *n;
	unsigned rung = 0;

	agents_settle(c);
	for (n = order_first(&q->free); n; n = order_next(&q->free, n)) {
		struct member *m = ORDER_OF(n, struct member, free);

		if (!strategy_admits(n->key, steps_of(c, w)) ||
			(first && !strategy_same_level(first->key, n->key)))
			break;
		if (is_except(c, w->call, m->agent->user) || !ring(c, w, m))
			continue;
		first = n;
		rung++;
		if (!strategy_asks_all(q->row.strategy))
			break;
	}
	return rung;
}

/* The next time at which a caller for whom nobody rings may be offered to more agents. */
static int64_t next_chance(const struct core *c, const struct waiter *w)
{
	const struct waiting *k = &w->call->wait;
	int64_t now = c->ev->now, at = 0, widen = w->queue->row.widen_ms;

	if (k->except[0] && k->except_until > now)
		at = k->except_until;
	if (widen && w->queue->nneeds) {
		int64_t next = w->waiting.key[0] + (steps_of(c, w) + 1) * widen;

		if (next > now && (at == 0 || next < at))
			at = next;
	}
	return at;
}

static void arm(struct core *c, struct waiter *w, int64_t ms)
{
	struct call *k = w->call;

	if (ms > 0)
		timer_start(c, k->id, TIMER_QUEUE, &k->wait.timer, ms);
	else
		timer_stop(c, k->id, TIMER_QUEUE, &k->wait.timer);
}

int64_t offer_ring_ms(const struct core *c, const struct dir_queue *q)
{
	return q->row.ring_ms ? q->row.ring_ms : c->cfg.queue_ring_ms;
}

/* Nobody rings for this caller (any more): who is next? */
void v_ask(struct core *c, struct call *k)
{
	struct waiter *w = k->waiter;
	int64_t at;

	if (w == NULL || call_role(k, ROLE_TARGET))
		return;
	k->status = 0;
	waiter_unserve(w);
	if (ring_some(c, w)) {
		waiter_serve(w);
		arm(c, w, offer_ring_ms(c, w->queue));
		return;
	}
	at = next_chance(c, w);
	arm(c, w, at ? at - c->ev->now : 0);
}

/* How long the newest of those who ring for this caller has rung. */
static int64_t rung_ms(const struct core *c, const struct call *k)
{
	int64_t ms = INT64_MAX;

	for (unsigned i = 0; i < k->nlegs; i++) {
		const struct leg *l = k->legs[i];

		if (l->role == ROLE_TARGET && l->seg != NO_SEG &&
			c->ev->now - k->segs[l->seg].opened < ms)
			ms = c->ev->now - k->segs[l->seg].opened;
	}
	return ms < INT64_MAX ? ms : 0;
}

void offers_go_on(struct core *c, struct waiter *w, const struct call *from)
{
	int64_t left = offer_ring_ms(c, w->queue) - rung_ms(c, from);

	if (order_has(&w->unserved))
		arm(c, w, 1000); /* nobody rings: looks again, as after a restart */
	else
		arm(c, w, left > 1000 ? left : 1000);
}

void offers_ring_changed(struct core *c, struct dir_queue *q)
{
	for (struct order_node *n = order_first(&q->waiting); n; n = order_next(&q->waiting, n)) {
		struct waiter *w = ORDER_OF(n, struct waiter, waiting);
		int64_t left = offer_ring_ms(c, q) - rung_ms(c, w->call);

		if (!order_has(&w->unserved))
			arm(c, w, left > 1 ? left : 1);
	}
}

static bool rings_elsewhere(const struct call *k, const struct leg *l)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i] != l && k->legs[i]->role == ROLE_TARGET &&
			str_eq(k->legs[i]->user, l->user))
			return true;
	return false;
}

/* A phone was asked for the queue and said no; the last one speaks for its agent. */
void queue_offer_failed(struct core *c, struct call *k, const struct leg *l, uint16_t status)
{
	if (k->waiter && l->user[0] && !rings_elsewhere(k, l))
		agent_missed(c, l->user, k->waiter->queue, status);
}

/* TIMER_QUEUE: an offer has rung long enough, or more agents may be asked than before. */
void v_ask_on(struct core *c, struct call *k)
{
	struct waiter *w = k->waiter;
	struct leg *l;

	if (w && call_role(k, ROLE_TARGET) && strategy_asks_more(w->queue->row.strategy) &&
		ring_some(c, w)) {
		arm(c, w, offer_ring_ms(c, w->queue));
		return;
	}
	while ((l = call_role(k, ROLE_TARGET)) != NULL) {
		leg_drop(c, k, l, 408, "no_answer", "system");
		queue_offer_failed(c, k, l, 408);
	}
	v_ask(c, k);
}

/* ---- agents who become free ------------------------------------------------------------------ */

static struct waiter *first_for(const struct core *c, const struct member *m)
{
	const struct order *o = &m->queue->unserved;
	struct order_node *n = order_first(o);

	for (unsigned i = 0; n && i < PASS_OVER_MAX; i++, n = order_next(o, n)) {
		struct waiter *w = ORDER_OF(n, struct waiter, unserved);

		if (!strategy_admits(m->free.key, steps_of(c, w)))
			return NULL; /* those behind have waited less */
		if (!is_except(c, w->call, m->agent->user))
			return w;
	}
	return NULL;
}

static bool goes_before(const struct waiter *a, const struct waiter *b)
{
	if (a->queue->row.weight != b->queue->row.weight)
		return a->queue->row.weight > b->queue->row.weight;
	return a->waiting.key[0] < b->waiting.key[0];
}

static struct waiter *waiter_for(const struct core *c, const struct agent *a)
{
	struct waiter *best = NULL, *w;

	for (const struct member *m = a->members; m; m = m->next)
		if (order_has(&m->free) && (w = first_for(c, m)) != NULL &&
			(best == NULL || goes_before(w, best)))
			best = w;
	return best;
}

/* Finds a caller for one of those who became free. True if somebody was asked: then look again. */
static bool serve_fresh(struct core *c)
{
	while (c->acd.fresh) {
		struct agent *a = c->acd.fresh;
		struct waiter *w = waiter_for(c, a);
		struct call *k = w ? w->call : NULL;

		if (k) {
			call_post(k, Q_OFFER);
			call_run(c, k);
		}
		if (k && k->waiter && !order_has(&k->waiter->unserved))
			return true; /* perhaps to somebody before him: he is looked at again */
		c->acd.fresh = a->next_fresh;
		a->fresh = 0;
	}
	return false;
}

void acd_run(struct core *c)
{
	do
		agents_settle(c);
	while (queues_clear_emptied(c) || serve_fresh(c));
	agents_arm(c);
}

/* ---- invariants ------------------------------------------------------------------------------ */

static const char *check_agent(const struct core *c, const struct agent *a)
{
	bool busy = false;

	for (const struct leg *l = presence_first(c, a->user); l; l = l->user_next)
		busy = busy || leg_is_live(l);
	if (busy != (a->state == AGENT_TALKING || a->state == AGENT_RINGING))
		return busy ? "an agent has a live leg and is not busy"
			    : "an agent is busy and has no live leg";
	for (const struct member *m = a->members; m; m = m->next) {
		if (order_has(&m->free) && a->state != AGENT_FREE)
			return "an agent who is not free may be asked";
		if (m->present != agent_present(c, a) || m->taking != agent_taking(c, a))
			return "an agent is counted for what he is not";
	}
	return NULL;
}

static const char *check_queue(const struct core *c, const struct dir_queue *q)
{
	unsigned n = 0;

	for (unsigned i = 0; i < agent_state_count_; i++)
		n += q->count[i];
	if (n != HASH_COUNT(q->members))
		return "a queue does not count its members";
	if (order_count(&q->unserved) > order_count(&q->waiting))
		return "more callers are to be served than wait";
	for (struct order_node *x = order_first(&q->waiting); x; x = order_next(&q->waiting, x)) {
		const struct waiter *w = ORDER_OF(x, struct waiter, waiting);

		if ((call_role(w->call, ROLE_TARGET) != NULL) == order_has(&w->unserved))
			return "a caller is served and nobody rings, or the other way about";
		if (order_has(&w->unserved) && w->call->wait.timer == 0 && order_count(&q->free) &&
			strategy_admits(order_first(&q->free)->key, steps_of(c, w)))
			return "a caller waits, and an agent who may be asked is free";
	}
	return NULL;
}

/* What can be seen of agents and queues from inside, at the end of a step. NULL, or what is wrong.
 */
const char *acd_check(const struct core *c)
{
	const char *why = NULL;

	if (c->acd.touched)
		return NULL; /* restored, and no step was taken yet */
	for (const struct agent *a = c->acd.agents; a && why == NULL; a = a->hh.next)
		why = check_agent(c, a);
	for (const struct dir_queue *q = c->queues; q && why == NULL; q = q->by_name.next)
		why = check_queue(c, q);
	return why;
}

/* ---- second thoughts ------------------------------------------------------------------------- */

static struct leg *ringing_offer(const struct core *c, const char *user)
{
	for (struct leg *l = presence_first(c, user); l; l = l->user_next) {
		const struct call *k = call_of(c, l->id);

		if (k && k->waiter && l->role == ROLE_TARGET && l->state != LEG_UP)
			return l;
	}
	return NULL;
}

void offers_withdraw(struct core *c, const char *user)
{
	struct leg *l;

	while ((l = ringing_offer(c, user)) != NULL) {
		struct call *k = call_of(c, l->id);

		leg_drop(c, k, l, 487, "cancelled", "agent");
		if (call_role(k, ROLE_TARGET) == NULL)
			call_post(k, T_REFUSED);
		call_run(c, k);
	}
}
