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

/* The opening that is not over yet at this time; NULL: none is known. */
static const struct opening *opening_at(const struct ev_dir_hours *h, int64_t wall)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (wall < h->open[i].until)
			return &h->open[i];
	return NULL;
}

bool queue_is_closed(const struct dir_queue *q, int64_t wall)
{
	const struct opening *o = opening_at(&q->hours, wall);

	if (q->hours.gone || wall >= q->hours.known_until)
		return false;
	return o == NULL || wall < o->from;
}

bool core_queue_hours(const struct core *c, const char *queue, int64_t wall, struct hours_view *v)
{
	const struct dir_queue *q = directory_queue(c, queue);
	const struct opening *o;

	*v = (struct hours_view){.closed = false};
	if (q == NULL || q->hours.gone)
		return false;
	v->known_until = q->hours.known_until;
	if (wall >= q->hours.known_until)
		return false;
	o = opening_at(&q->hours, wall);
	str_set(v->zone, q->hours.zone);
	v->closed = queue_is_closed(q, wall);
	if (o && !v->closed) { /* the next one is of interest as soon as it has closed */
		v->closes_at = o->until < q->hours.known_until ? o->until : 0;
		o = opening_at(&q->hours, o->until);
	}
	v->opens_at = o ? o->from : 0;
	return true;
}

/* Overflow goes round in a circle: this queue has sent him on already. */
static bool was_there(const struct call *k, const struct dir_queue *q)
{
	for (unsigned i = 0; i < k->wait.nhops; i++)
		if (k->wait.hops[i] == q->tag)
			return true;
	return k->wait.nhops == HOPS_MAX;
}

/* Why a caller is not taken; NULL: he is. */
static const char *refusal(const struct core *c, const struct dir_queue *q)
{
	if (queue_is_closed(q, c->ev->wall))
		return "closed";
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

int64_t queue_retry_ms(const struct core *c, const struct dir_queue *q)
{
	return q->row.retry_ms ? q->row.retry_ms : c->cfg.queue_retry_ms;
}

int64_t queue_wait_limit(const struct core *c, const struct dir_queue *q)
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

/* ---- announcements --------------------------------------------------------------------------- */

#define SPEECH_MAX_MS 20000 /* longer than any; then there is music again, whoever says nothing */

/* Of two calls that meet, both may have had the same one: the same tune. FNV-1a. */
static uint32_t tune_of(const char *music)
{
	uint32_t h = str_empty(music) ? 0 : UINT32_C(2166136261);

	for (; *music; music++)
		h = (h ^ (unsigned char)*music) * UINT32_C(16777619);
	return h;
}

static void set_music(struct call *k, const char *music)
{
	str_set(k->music, music);
	k->tune = tune_of(music);
}

static void hush(struct core *c, struct call *k)
{
	timer_stop(c, k->id, TIMER_PLACE, &k->wait.place_timer);
	k->wait.speech = SPEECH_NONE;
}

static void plan_speech(struct core *c, struct call *k, uint32_t ms)
{
	const struct dir_queue *q = directory_queue(c, k->wait.queue);

	if (c->cfg.can_play && q && q->row.announce[0] && ms)
		timer_start(c, k->id, TIMER_PLACE, &k->wait.place_timer, ms);
}

/* Only over music that is heard: somebody whose session is being changed hears it the next time. */
void queue_place_due(struct core *c, struct call *k)
{
	const struct leg *l = call_role(k, ROLE_KEPT);

	if (k->waiter == NULL)
		return;
	if (k->wait.speech == SPEECH_RUNS) {
		queue_played(c, k);
	} else if (l && l->hears == HEARS_MUSIC) {
		k->wait.speech = SPEECH_RUNS;
		timer_start(c, k->id, TIMER_PLACE, &k->wait.place_timer, SPEECH_MAX_MS);
	} else {
		plan_speech(c, k, k->waiter->queue->row.announce_every_ms);
	}
}

void queue_played(struct core *c, struct call *k)
{
	if (k->waiter == NULL || k->wait.speech != SPEECH_RUNS)
		return;
	hush(c, k);
	plan_speech(c, k, k->waiter->queue->row.announce_every_ms);
}

void queue_speak(const struct call *k, struct act_media *m)
{
	const struct dir_queue *q = k->waiter->queue;
	int64_t estimate;

	str_set(m->music, q->row.announce);
	m->position = order_place(&q->waiting, &k->waiter->waiting) + 1;
	estimate = queue_estimate(q, m->position);
	m->minutes = estimate > 0 ? (uint32_t)((estimate + 59999) / 60000) : 0;
}

/* ---- places again ------------------------------------------------------------------------------ */

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
	hush(c, k);
	place = order_place(&w->queue->waiting, &w->waiting);
	order_remove(&w->queue->waiting, &w->waiting);
	order_remove(&w->queue->unserved, &w->unserved);
	order_remove(&w->queue->arrived, &w->arrived);
	tell_places(c, w->queue, place);
	roster_forget(c, w->queue);
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
	w->hops[w->nhops++] = q->tag; /* was_there() said that there is room */
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
	k->status = str_eq(why, "full") ? 486 : 480;
	k->wait.refused = str_eq(why, "closed") ? CAUSE_CLOSED : CAUSE_NONE;
	open_visit(c, k, q);
	queue_note(c, k, "queue_overflow", "cause", why);
	close_visit(c, k, why, "system");
}

static void join(struct core *c, struct call *k, struct dir_queue *q, const char *except)
{
	struct waiting *w = &k->wait;
	bool transferred = !uuid_is_nil(&k->xfer.id);

	q->entered++;
	w->refused = CAUSE_NONE;
	open_visit(c, k, q);
	w->credit = (q->row.keep_wait ? w->before : 0) + (transferred ? q->row.boost_ms : 0);
	str_set(w->except, except ? except : "");
	w->except_until = c->ev->now + queue_retry_ms(c, q);
	w->xfer = k->xfer.id;
	set_music(k, q->row.music);
	str_set(k->came_by, q->row.queue);
	queue_note(c, k, "queue_entered", "number", q->row.number);
	waiter_add(c, k, q);
	call_post(k, k->xfer.stay && table_allows((enum call_state)k->state, Q_STAY) ? Q_STAY : Q_IN);
}

/* Puts the call into queue t, or where that queue sends it; posts Q_IN or Q_STAY when it is in one,
 * rings who else it is sent to, or posts T_REFUSED. Who transferred it there is not asked at first (E-072).
 */
void queue_enter(struct core *c, struct call *k, const struct target *t, const char *except)
{
	struct dir_queue *q = directory_queue(c, t->name);
	enum overflow_kind kind = OVERFLOW_QUEUE;
	struct target next = *t;
	const char *why;

	k->wait.refused = CAUSE_NONE;
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
			if ((why = refusal(c, q)) == NULL) {
				join(c, k, q, except);
				return;
			}
			turn_away(c, k, q, why);
		}
		if (!queue_overflow(c, k, &next, &kind)) {
			next.kind = TARGET_QUEUE; /* whatever was tried last leads nowhere */
			break;
		}
		q = directory_queue(c, next.name);
	}
	if (next.kind != TARGET_QUEUE) {
		k->status = 0;
		k->wait.refused = CAUSE_NONE;
		if (kind == OVERFLOW_ANNOUNCE)
			target_announce(c, k, &next);
		else
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

/* The caller is with the transferor again, and the queue's overflow is nobody's business any more. */
void v_quit_queue(struct core *c, struct call *k)
{
	v_leave_queue(c, k);
	k->wait.next_overflow = OVERFLOW_MAX;
}

void queue_answered_by(struct core *c, struct call *k, const struct leg *l)
{
	struct fact *f = fact_add(c, k, FACT_TRANSFER_MARKED);

	f->transfer_marked.xfer = k->wait.xfer;
	str_set(f->transfer_marked.mark, "answered_by");
	f->transfer_marked.to_seg = l->seg_id;
	k->wait.xfer = (uuid){{0}};
}

/* An agent of the queue talks with the caller, or with the owner who consults; the transfer that was
 * complete with the queue learns who it is. */
void v_answered_in_queue(struct core *c, struct call *k)
{
	struct leg *l = call_role(k, ROLE_TARGET);

	if (l == NULL)
		l = call_role(k, ROLE_OWNER);
	leave(c, k, "answered", "system");
	if (l == NULL)
		return;
	str_set(l->queue, k->wait.queue);
	agent_answered(c, l->user);
	if (!uuid_is_nil(&k->wait.xfer) && !uuid_eq(&k->wait.xfer, &k->xfer.id))
		queue_answered_by(c, k, l);
}

/* An agent has answered: nobody else is asked, and the place is kept in mind. */
void v_leave_place(struct core *c, struct call *k)
{
	waiter_drop(c, k);
}

/* He hung up before the join: back to the place, with all that was waited; unless the queue was removed
 * meanwhile, which sends away whoever waits there. */
void v_take_place(struct core *c, struct call *k)
{
	bool removed = directory_queue(c, k->wait.queue) == NULL;

	waiter_add(c, k, roster_queue(c, k->wait.queue));
	if (removed)
		call_post(k, Q_EMPTY);
}

bool queue_waits(unsigned state)
{
	return state == WAIT || state == STAY_WAIT || state == CONSULT_WAIT;
}

void queue_inherit(struct core *c, struct call *from, struct call *k)
{
	struct waiter *w = from->waiter;
	struct waiting *wait = &k->wait;
	int64_t before = wait->before;

	timer_stop(c, from->id, TIMER_QUEUE, &from->wait.timer);
	hush(c, from);
	*wait = from->wait;
	wait->before = before;
	wait->timer = 0;
	wait->xfer = k->xfer.id;
	wait->seg = segment_move_slot(from, wait->seg, k);
	str_set(wait->except, k->xfer.recall_user);
	wait->except_until = c->ev->now + queue_retry_ms(c, w->queue);
	set_music(k, from->music);
	str_set(k->came_by, from->came_by);
	from->wait.seg = NO_SEG;
	from->waiter = NULL;
	k->waiter = w;
	w->call = k;
	tell_places(c, w->queue, order_place(&w->queue->waiting, &w->waiting));
	offers_go_on(c, w, from);
}

/* The queue has accepted the caller: that is what the transfer was for. */
void v_close_queued(struct core *c, struct call *k)
{
	xfer_close_completed(c, k, &k->wait.seg_id);
}

/* Early media and its music need an engine; a caller who is answered can hear a music server. */
static enum queue_entry entry_of(const struct core *c, const struct call *k, const struct dir_queue *q)
{
	if (q == NULL)
		return ENTRY_RING;
	if (c->cfg.can_play)
		return q->row.entry;
	return q->row.entry == ENTRY_ANSWER && moh_source(c, k)[0] ? ENTRY_ANSWER : ENTRY_RING;
}

/* A caller who has not been answered yet is answered into music, or hears it ring: never silence.
 */
void v_welcome(struct core *c, struct call *k)
{
	struct leg *l = call_role(k, ROLE_KEPT);
	const struct dir_queue *q = directory_queue(c, k->wait.queue);
	enum queue_entry entry = entry_of(c, k, q);

	bridge_hold(c, k, l, NULL);
	if (q)
		plan_speech(c, k, q->row.announce_after_ms);
	if (l == NULL || (l->state != LEG_NEW && l->state != LEG_EARLY))
		return;
	if (entry == ENTRY_EARLY && target_no_early(c, l->peer))
		entry = ENTRY_ANSWER;
	if (entry == ENTRY_ANSWER) {
		bridge_play(c, l);
	} else if (entry == ENTRY_EARLY && l->oa == OA_RECV) {
		bridge_play_early(c, l);
	} else if (l->state == LEG_NEW) {
		act_add(c, ACT_PROGRESS, l->id)->status = 180;
		leg_set_state(c, l, LEG_EARLY);
	}
}

void v_guard_wait(struct core *c, struct call *k)
{
	int64_t until = k->wait.entered + queue_wait_limit(c, directory_queue(c, k->wait.queue));
	int64_t ms = until - c->ev->now;

	timer_start(c, k->id, TIMER_STATE, &k->timer, ms > 1 ? ms : 1);
}

/* What is left of the longest wait after a restart. While its rules are not known nobody is sent away by
 * what is but the configuration's. */
int64_t queue_guard_ms(const struct core *c, const struct call *k)
{
	const struct dir_queue *q = directory_queue(c, k->wait.queue);
	int64_t limit = queue_wait_limit(c, q), left = k->wait.entered + limit - c->ev->now;

	return q == NULL || !q->known ? limit : left > 1 ? left : 1;
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

/* The longest wait counts from when each caller came. */
void queue_limit_changed(struct core *c, struct dir_queue *q)
{
	for (struct order_node *n = order_first(&q->waiting); n; n = order_next(&q->waiting, n)) {
		struct call *k = ORDER_OF(n, struct waiter, waiting)->call;

		if (queue_waits(k->state))
			v_guard_wait(c, k);
	}
}

/* What is being said is said to its end. Nobody knows any more when the places were told last: who waits
 * hears the next as if just come. */
void queue_announce_changed(struct core *c, struct dir_queue *q)
{
	for (struct order_node *n = order_first(&q->waiting); n; n = order_next(&q->waiting, n)) {
		struct call *k = ORDER_OF(n, struct waiter, waiting)->call;

		if (k->state != WAIT || k->wait.speech == SPEECH_RUNS)
			continue;
		hush(c, k);
		plan_speech(c, k, q->row.announce_after_ms);
	}
}

void queue_retry_changed(struct core *c, struct dir_queue *q)
{
	int64_t latest = c->ev->now + queue_retry_ms(c, q);

	for (struct order_node *n = order_first(&q->waiting); n; n = order_next(&q->waiting, n)) {
		struct waiting *w = &ORDER_OF(n, struct waiter, waiting)->call->wait;

		if (w->except_until > latest)
			w->except_until = latest;
	}
}

/* A queue without a row goes with the last who waits in it: not while they are sent away. */
static void send_away_all(struct core *c, struct dir_queue *q)
{
	uint8_t known = q->known;
	struct order_node *n;

	q->known = 1;
	while ((n = order_first(&q->waiting)) != NULL) {
		struct call *k = ORDER_OF(n, struct waiter, waiting)->call;

		call_post(k, Q_EMPTY);
		call_run(c, k);
	}
	q->known = known;
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

	if (q == NULL || c->untold > 0) /* after a restart agents come back one by one */
		return false;
	c->acd.emptied = q->next_emptied;
	q->emptied = 0;
	if (queue_is_empty(q, q->row.leave_empty))
		send_away_all(c, q);
	roster_forget(c, q);
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

	if (!queue_waits(k->state))
		return;
	waiter_add(c, k, roster_queue(c, k->wait.queue));
	if (rings)
		waiter_serve(k->waiter);
	k->wait.place_timer = 0;
	k->wait.speech = SPEECH_NONE;
	if (k->state == WAIT)
		plan_speech(c, k, k->waiter->queue->row.announce_after_ms);
	timer_start(c, k->id, TIMER_QUEUE, &k->wait.timer,
		rings ? offer_ring_ms(c, k->waiter->queue) : RESTORE_MS);
}
