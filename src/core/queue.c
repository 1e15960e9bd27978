/*
 * queue: callers who wait. A caller enters if the queue takes him, keeps his place whoever is asked
 * for him, and leaves in one way, which is the outcome of the queue's segment. A queue that does
 * not take him, or not any longer, sends him to the next of its overflow targets (E-110).
 */
#include "core/acd.h"
#include "core/verbs.h"

#include <stdlib.h>
#include <string.h>

/* Callers further back learn their place when somebody asks for it (core_waiting_view). */
#define PLACES_TOLD 20

/* ---- rules ----------------------------------------------------------------------------------- */

bool queue_is_empty(const struct dir_queue *q, enum empty_rule rule)
{
	if (rule == EMPTY_NEVER)
		return false;
	return rule == EMPTY_AWAY ? q->taking == 0 : q->present == 0;
}

/* Overflow goes round in a circle: this queue has sent him on already. */
static bool was_there(const struct call *k, const struct dir_queue *q)
{
	for (unsigned i = 0; i < k->wait.nhops; i++)
		if (k->wait.hops[i] == q->no)
			return true;
	return k->wait.nhops == HOPS_MAX;
}

/* Why a caller is not taken; NULL: he is. */
static const char *refusal(const struct dir_queue *q)
{
	if (q->row.max_length && order_count(&q->waiting) >= q->row.max_length)
		return "full";
	return queue_is_empty(q, q->row.join_empty) ? "empty" : NULL;
}

int64_t queue_estimate(const struct dir_queue *q, unsigned position)
{
	if (q->handle_ms == 0 || q->taking == 0)
		return -1;
	return q->handle_ms * position / q->taking;
}

static int64_t wait_limit(const struct core *c, const struct dir_queue *q)
{
	return q && q->row.max_wait_ms ? q->row.max_wait_ms : c->cfg.queue_wait_ms;
}

/* ---- places ---------------------------------------------------------------------------------- */

/* Everybody from this place on has a new one (E-112). */
static void tell_places(struct core *c, const struct dir_queue *q, unsigned place)
{
	unsigned n = order_count(&q->waiting);

	for (; place < n && place < PLACES_TOLD; place++) {
		struct waiter *w = ORDER_OF(order_at(&q->waiting, place), struct waiter, waiting);
		struct leg *l = call_role(w->call, ROLE_KEPT);
		struct action *a = l ? act_add(c, ACT_POSITION, l->id) : NULL;

		if (a == NULL)
			continue;
		str_set(a->position.queue, q->row.queue);
		a->position.position = place + 1;
		a->position.waiting = n;
		a->position.estimate_ms = queue_estimate(q, place + 1);
	}
}

static void waiter_add(struct core *c, struct call *k, struct dir_queue *q)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->call = k;
	w->queue = q;
	w->waiting.key[0] = k->wait.entered - k->wait.credit;
	w->waiting.key[1] = k->wait.ticket;
	w->waiting.key[3] = (int64_t)k->id;
	memcpy(w->unserved.key, w->waiting.key, sizeof(w->unserved.key));
	memcpy(w->arrived.key, w->waiting.key, sizeof(w->arrived.key));
	w->arrived.key[0] = k->wait.entered;
	order_insert(&q->arrived, &w->arrived);
	order_insert(&q->waiting, &w->waiting);
	order_insert(&q->unserved, &w->unserved);
	k->waiter = w;
	tell_places(c, q, order_place(&q->waiting, &w->waiting));
}

static void waiter_drop(struct core *c, struct call *k)
{
	struct waiter *w = k->waiter;
	unsigned place;

	if (w == NULL)
		return;
	timer_stop(c, k->id, TIMER_QUEUE, &k->wait.timer);
	place = order_place(&w->queue->waiting, &w->waiting);
	order_remove(&w->queue->waiting, &w->waiting);
	order_remove(&w->queue->unserved, &w->unserved);
	order_remove(&w->queue->arrived, &w->arrived);
	tell_places(c, w->queue, place);
	free(w);
	k->waiter = NULL;
}

void waiter_serve(struct waiter *w)
{
	order_remove(&w->queue->unserved, &w->unserved);
}

void waiter_unserve(struct waiter *w)
{
	w->asked = 0;
	if (!order_has(&w->unserved))
		order_insert(&w->queue->unserved, &w->unserved);
}

/* ---- in -------------------------------------------------------------------------------------- */

static void open_visit(struct core *c, struct call *k, const struct dir_queue *q)
{
	struct waiting *w = &k->wait;

	str_set(w->queue, q->row.queue);
	w->next_overflow = 0;
	w->hops[w->nhops++] = q->no; /* was_there() said that there is room */
	w->entered = c->ev->now;
	w->ticket = ++c->acd.serial;
	w->seg = (int16_t)segment_open_queue(c, k, q->row.queue, q->row.number, &w->seg_id);
}

static void close_visit(struct core *c, struct call *k, const char *outcome, const char *by)
{
	if (k->wait.seg == NO_SEG)
		return;
	segment_close_slot(c, k, k->wait.seg, outcome, by);
	k->wait.seg = NO_SEG;
}

static void queue_note(
	struct core *c, struct call *k, const char *type, const char *key, const char *value)
{
	timeline(c, k,
		&(struct timeline_note){.type = type,
			.actor = k->wait.queue,
			.seg = &k->wait.seg_id,
			.via = ORIGIN_SYSTEM,
			.key1 = key,
			.value1 = value});
}

/* Not taken: on record as a visit that took no time. */
static void turn_away(struct core *c, struct call *k, struct dir_queue *q, const char *why)
{
	q->overflowed++;
	open_visit(c, k, q);
	queue_note(c, k, "queue_overflow", "cause", why);
	close_visit(c, k, why, "system");
}

static void join(struct core *c, struct call *k, struct dir_queue *q, const char *except)
{
	struct waiting *w = &k->wait;
	bool transferred = !uuid_is_nil(&k->xfer.id);

	q->entered++;
	open_visit(c, k, q);
	w->credit = (q->row.keep_wait ? w->before : 0) + (transferred ? q->row.boost_ms : 0);
	str_set(w->except, except ? except : "");
	w->except_until = c->ev->now + (q->row.retry_ms ? q->row.retry_ms : c->cfg.queue_retry_ms);
	w->xfer = k->xfer.id;
	str_set(k->music, q->row.music);
	str_set(k->came_by, q->row.queue);
	queue_note(c, k, "queue_entered", "number", q->row.number);
	waiter_add(c, k, q);
	call_post(k, Q_IN);
}

/* Puts the call into queue t, or where that queue sends it; posts Q_IN when it is in one, rings who
 * else it is sent to, or posts T_REFUSED. Who transferred it there is not asked at first (E-072).
 */
void queue_enter(struct core *c, struct call *k, const struct target *t, const char *except)
{
	struct dir_queue *q = directory_queue(c, t->name);
	enum overflow_kind kind = OVERFLOW_QUEUE;
	struct target next = *t;
	const char *why;

	if (!table_allows((enum call_state)k->state, Q_IN)) { /* only callers wait in queues */
		k->status = 403;
		call_post(k, T_REFUSED);
		return;
	}
	agents_settle(c);
	if (k->state != ALONE)
		k->wait.nhops = 0;
	while (next.kind == TARGET_QUEUE && q) {
		if (!was_there(k, q)) {
			if ((why = refusal(q)) == NULL) {
				join(c, k, q, except);
				return;
			}
			turn_away(c, k, q, why);
			k->status = str_eq(why, "full") ? 486 : 480;
		}
		if (!queue_overflow(c, k, &next, &kind)) {
			next.kind = TARGET_QUEUE; /* whatever was tried last leads nowhere */
			break;
		}
		q = directory_queue(c, next.name);
	}
	if (next.kind != TARGET_QUEUE) {
		if (kind == OVERFLOW_ANNOUNCE)
			next.kind = TARGET_NONE; /* time with it is nobody's talk */
		k->status = 0;
		target_dial(c, k, &next, ID_NONE);
	} else if (call_role(k, ROLE_TARGET) == NULL) {
		k->status = k->status ? k->status : 480;
		call_post(k, T_REFUSED);
	}
}

/* Fills t with the next overflow target of the queue in which the call waited last. False: none. */
bool queue_overflow(struct core *c, struct call *k, struct target *t, enum overflow_kind *kind)
{
	const struct dir_queue *q = directory_queue(c, k->wait.queue);
	const struct leg *l = call_role(k, ROLE_KEPT);

	while (q && k->wait.next_overflow < q->row.noverflow &&
		k->wait.next_overflow < OVERFLOW_MAX) {
		const struct overflow *o = &q->row.overflow[k->wait.next_overflow++];

		*kind = o->kind;
		if (target_overflow(c, o, t) &&
			!(t->kind == TARGET_USER && l && str_eq(l->user, t->name)))
			return true;
	}
	return false;
}

/* ---- out ------------------------------------------------------------------------------------- */

static void count_leaving(struct core *c, const struct call *k, const char *outcome)
{
	struct dir_queue *q = directory_queue(c, k->wait.queue);

	if (q == NULL)
		return;
	if (str_eq(outcome, "answered")) {
		q->answered++;
		q->in_time += c->ev->now - k->wait.entered <= q->row.service_ms;
	} else if (str_eq(outcome, "abandoned")) {
		q->abandoned++;
	} else {
		q->overflowed += str_eq(outcome, "timeout") || str_eq(outcome, "empty");
	}
}

static void leave(struct core *c, struct call *k, const char *outcome, const char *by)
{
	if (k->wait.seg == NO_SEG)
		return;
	waiter_drop(c, k);
	k->wait.before += c->ev->now - k->wait.entered;
	count_leaving(c, k, outcome);
	close_visit(c, k, outcome, by);
}

void v_leave_queue(struct core *c, struct call *k)
{
	switch ((enum word)k->word) {
	case K_GONE:
		leave(c, k, "abandoned", "customer");
		break;
	case GUARD:
		queue_note(c, k, "queue_overflow", "cause", "timeout");
		leave(c, k, "timeout", "system");
		break;
	case Q_EMPTY:
		queue_note(c, k, "queue_overflow", "cause", "empty");
		leave(c, k, "empty", "system");
		break;
	case XFER_OK:
		leave(c, k, "moved", "command");
		break;
	default:
		leave(c, k, "cancelled", "command");
		break;
	}
}

/* The record ends whatever happened: a queue's segment does not outlive its conversation. */
void queue_record_close(struct core *c, struct call *k, const char *by)
{
	leave(c, k, "cancelled", by);
}

/* An agent of the queue talks with the caller; the transfer that brought him learns who it is. */
void v_answered_in_queue(struct core *c, struct call *k)
{
	struct leg *l = call_role(k, ROLE_OWNER);
	struct fact *f;

	leave(c, k, "answered", "system");
	if (l == NULL)
		return;
	str_set(l->queue, k->wait.queue);
	agent_answered(c, l->user);
	if (uuid_is_nil(&k->wait.xfer))
		return;
	f = fact_add(c, k, FACT_TRANSFER_MARKED);
	f->transfer_marked.xfer = k->wait.xfer;
	str_set(f->transfer_marked.mark, "answered_by");
	f->transfer_marked.to_seg = l->seg_id;
	k->wait.xfer = (uuid){{0}};
}

/* An agent has answered: nobody else is asked, and the place is kept in mind. */
void v_leave_place(struct core *c, struct call *k)
{
	waiter_drop(c, k);
}

/* He hung up before the join: back to the place, with all that was waited. */
void v_take_place(struct core *c, struct call *k)
{
	waiter_add(c, k, roster_queue(c, k->wait.queue));
}

/* The queue has accepted the caller: that is what the transfer was for. */
void v_close_queued(struct core *c, struct call *k)
{
	xfer_close_completed(c, k, &k->wait.seg_id);
}

/* A caller who has not been answered yet is answered into music, or hears it ring: never silence.
 */
void v_welcome(struct core *c, struct call *k)
{
	struct leg *l = call_role(k, ROLE_KEPT);

	const struct dir_queue *q = directory_queue(c, k->wait.queue);

	bridge_hold(c, k, l, NULL);
	if (l == NULL || (l->state != LEG_NEW && l->state != LEG_EARLY))
		return;
	if (c->cfg.can_play && q && q->row.entry == ENTRY_ANSWER) {
		bridge_play(c, l);
	} else if (l->state == LEG_NEW) {
		act_add(c, ACT_PROGRESS, l->id)->status = 180;
		leg_set_state(c, l, LEG_EARLY);
	}
}

void v_guard_wait(struct core *c, struct call *k)
{
	int64_t until = k->wait.entered + wait_limit(c, directory_queue(c, k->wait.queue));
	int64_t ms = until - c->ev->now;

	timer_start(c, k->id, TIMER_STATE, &k->timer, ms > 1 ? ms : 1);
}

int64_t queue_guard_ms(const struct core *c, const struct call *k)
{
	return wait_limit(c, directory_queue(c, k->wait.queue));
}

/* ---- nobody is there any more ---------------------------------------------------------------- */

void queue_note_emptied(struct core *c, struct dir_queue *q)
{
	if (q->emptied || order_count(&q->waiting) == 0 || !queue_is_empty(q, q->row.leave_empty))
		return;
	q->emptied = 1;
	q->next_emptied = c->acd.emptied;
	c->acd.emptied = q;
}

static void send_away_all(struct core *c, struct dir_queue *q)
{
	struct order_node *n;

	while ((n = order_first(&q->waiting)) != NULL) {
		struct call *k = ORDER_OF(n, struct waiter, waiting)->call;

		call_post(k, Q_EMPTY);
		call_run(c, k);
	}
}

void queue_ask_all(struct core *c, struct dir_queue *q)
{
	struct order_node *n, *next;

	for (n = order_first(&q->waiting); n; n = next) {
		struct waiter *w = ORDER_OF(n, struct waiter, waiting);

		next = order_next(&q->waiting, n);
		if (!order_has(&w->unserved))
			continue;
		call_post(w->call, Q_OFFER);
		call_run(c, w->call);
	}
}

/* True if it did something. */
bool queues_clear_emptied(struct core *c)
{
	struct dir_queue *q = c->acd.emptied;

	if (q == NULL)
		return false;
	c->acd.emptied = q->next_emptied;
	q->emptied = 0;
	if (queue_is_empty(q, q->row.leave_empty))
		send_away_all(c, q);
	return true;
}

void queue_clear(struct core *c, struct dir_queue *q)
{
	struct dir_queue **p = &c->acd.emptied;

	send_away_all(c, q);
	while (*p && *p != q)
		p = &(*p)->next_emptied;
	if (*p)
		*p = q->next_emptied;
}

/* ---- after a restart ------------------------------------------------------------------------- */

/* Calls come back one by one: only when all are there can it be said who is free. */
#define RESTORE_MS 100

void queue_restore(struct core *c, struct call *k)
{
	bool rings = call_role(k, ROLE_TARGET) != NULL;

	if (k->state != WAIT)
		return;
	waiter_add(c, k, roster_queue(c, k->wait.queue));
	if (rings)
		waiter_serve(k->waiter);
	timer_start(
		c, k->id, TIMER_QUEUE, &k->wait.timer, rings ? c->cfg.queue_ring_ms : RESTORE_MS);
}
