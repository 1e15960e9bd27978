/*
 * roster: who serves which queue, and what they can do, as the directory says now. A change takes
 * effect at once: a member who is added is asked with the next caller, one who is removed finishes
 * what he has.
 */
#include "core/acd.h"

#include <stdlib.h>
#include <string.h>

#define FIND(hh, head, key, out) HASH_FIND(hh, head, key, strlen(key), out)

struct dir_queue *directory_queue(const struct core *c, const char *key)
{
	struct dir_queue *q = NULL;

	if (str_empty(key))
		return NULL;
	FIND(by_name, c->queues, key, q);
	if (q == NULL)
		FIND(by_number, c->queues_by_number, key, q);
	return q;
}

static struct dir_queue *queue_by_name(const struct core *c, const char *name)
{
	struct dir_queue *q = NULL;

	if (!str_empty(name))
		FIND(by_name, c->queues, name, q);
	return q;
}

/* ---- what they can do ------------------------------------------------------------------------ */

static uint32_t level_of(const struct agent *a, const char *skill)
{
	for (const struct skill *s = a->skills; s; s = s->next)
		if (strcmp(s->name, skill) == 0)
			return s->level;
	return 0;
}

static void weigh(struct member *m)
{
	const struct dir_queue *q = m->queue;
	uint32_t has[NEEDS_MAX];

	m->skill = 0;
	for (unsigned i = 0; i < q->nneeds; i++)
		m->skill += has[i] = level_of(m->agent, q->need[i].skill);
	m->deficit = strategy_deficit(q->need, has, q->nneeds);
}

void member_free(struct core *c, struct member *m)
{
	const struct agent *a = m->agent;
	struct candidate cand = {m->no, m->level, m->order, m->weight, m->deficit, m->skill,
		a->idle_since, m->offered_at, a->answered, a->talk_ms};

	if (order_has(&m->free) || m->deficit == DEFICIT_NEVER)
		return;
	strategy_rank(m->queue->row.strategy, &cand,
		m->queue->row.strategy == STRATEGY_RANDOM ? core_random(c) : 0, m->queue->drum,
		m->free.key);
	order_insert(&m->queue->free, &m->free);
}

void member_busy(struct member *m)
{
	order_remove(&m->queue->free, &m->free);
}

/* Something that his place depends on changes: out, and back when his agent is looked at again. */
static void member_moves(struct core *c, struct member *m)
{
	member_busy(m);
	agent_touch(c, m->agent->user);
}

/* ---- members --------------------------------------------------------------------------------- */

static struct member *member_find(const struct dir_queue *q, const char *user)
{
	struct member *m = NULL;

	if (!str_empty(user))
		HASH_FIND(hh, q->members, user, strlen(user), m);
	return m;
}

static struct member *member_add(struct core *c, struct dir_queue *q, const char *user)
{
	struct agent *a = agent_get(c, user);
	struct member *m = a ? calloc(1, sizeof(*m)) : NULL;

	if (m == NULL)
		return NULL;
	m->queue = q;
	m->agent = a;
	m->no = ++c->acd.serial;
	m->next = a->members;
	a->members = m;
	q->count[a->state]++;
	HASH_ADD_KEYPTR(hh, q->members, a->user, strlen(a->user), m);
	return m;
}

static void member_remove(struct core *c, struct member *m)
{
	struct dir_queue *q = m->queue;
	struct member **p = &m->agent->members;

	member_busy(m);
	while (*p != m)
		p = &(*p)->next;
	*p = m->next;
	q->count[m->agent->state]--;
	q->present -= m->present;
	q->taking -= m->taking;
	HASH_DEL(q->members, m);
	if (m->present || m->taking)
		queue_note_emptied(c, q);
	free(m);
}

static void member_row(struct core *c, const struct ev_dir_member *row)
{
	struct dir_queue *q = queue_by_name(c, row->queue);
	struct member *m = q ? member_find(q, row->user) : NULL;

	if (q == NULL)
		return;
	if (row->gone) {
		if (m)
			member_remove(c, m);
		return;
	}
	if (m == NULL && (m = member_add(c, q, row->user)) == NULL)
		return;
	m->level = row->level;
	m->order = row->order;
	m->weight = row->weight;
	weigh(m);
	member_moves(c, m);
}

/* ---- skills and needs ------------------------------------------------------------------------ */

static void skill_row(struct core *c, const struct ev_dir_skill *row)
{
	struct agent *a = row->gone ? agent_find(c, row->user) : agent_get(c, row->user);
	struct skill **p, *s;

	if (a == NULL || str_empty(row->skill))
		return;
	for (p = &a->skills; *p && strcmp((*p)->name, row->skill) != 0; p = &(*p)->next)
		;
	if (*p == NULL && !row->gone && (*p = calloc(1, sizeof(**p))) != NULL)
		str_set((*p)->name, row->skill);
	s = *p;
	if (s && row->gone) {
		*p = s->next;
		free(s);
	} else if (s) {
		s->level = row->level;
	}
	for (struct member *m = a->members; m; m = m->next) {
		weigh(m);
		member_moves(c, m);
	}
}

static void need_row(struct core *c, const struct ev_dir_need *row)
{
	struct dir_queue *q = queue_by_name(c, row->queue);
	struct member *m, *next;
	unsigned i;

	if (q == NULL)
		return;
	for (i = 0; i < q->nneeds && strcmp(q->need[i].skill, row->skill) != 0; i++)
		;
	if (row->gone && i < q->nneeds)
		q->need[i] = q->need[--q->nneeds];
	else if (!row->gone && i < NEEDS_MAX) {
		q->need[i] = *row;
		q->nneeds += i == q->nneeds;
	}
	HASH_ITER (hh, q->members, m, next) {
		weigh(m);
		member_moves(c, m);
	}
	queue_ask_all(c, q);
}

/* ---- queues ---------------------------------------------------------------------------------- */

static void claim_number(struct core *c, struct dir_queue *q)
{
	struct dir_queue *old = NULL;

	if (str_empty(q->row.number))
		return;
	FIND(by_number, c->queues_by_number, q->row.number, old);
	if (old)
		HASH_DELETE(by_number, c->queues_by_number, old);
	HASH_ADD(by_number, c->queues_by_number, row.number, strlen(q->row.number), q);
}

static void drop_number(struct core *c, struct dir_queue *q)
{
	struct dir_queue *old = NULL;

	if (!str_empty(q->row.number))
		FIND(by_number, c->queues_by_number, q->row.number, old);
	if (old == q)
		HASH_DELETE(by_number, c->queues_by_number, q);
}

struct dir_queue *roster_queue(struct core *c, const char *name)
{
	struct dir_queue *q = queue_by_name(c, name);

	if (q || str_empty(name))
		return q;
	if ((q = calloc(1, sizeof(*q))) == NULL)
		abort();
	str_set(q->row.queue, name);
	q->tag = str_hash(STR_HASH, name);
	q->hours.gone = true;
	HASH_ADD(by_name, c->queues, row.queue, strlen(q->row.queue), q);
	return q;
}

void roster_forget(struct core *c, struct dir_queue *q)
{
	if (q->known || q->members || q->emptied || order_count(&q->waiting))
		return;
	drop_number(c, q);
	HASH_DELETE(by_name, c->queues, q);
	free(q);
}

/* All of them are told, and of their members who is there. */
void roster_recovered(struct core *c)
{
	struct dir_queue *q, *next;

	HASH_ITER (by_name, c->queues, q, next)
		if (q->known)
			queue_note_emptied(c, q);
}

static void queue_free(struct core *c, struct dir_queue *q)
{
	struct member *m, *next;

	HASH_ITER (hh, q->members, m, next)
		member_remove(c, m);
	drop_number(c, q);
	HASH_DELETE(by_name, c->queues, q);
	free(q);
}

static void queue_row(struct core *c, const struct ev_dir_queue *row)
{
	struct dir_queue *q =
		row->gone ? queue_by_name(c, row->queue) : roster_queue(c, row->queue);
	struct member *m, *next;
	bool other_wait, other_leave, rings_otherwise, other_retry, says_otherwise;

	if (q == NULL)
		return;
	if (row->gone) {
		queue_clear(c, q);
		queue_free(c, q);
		return;
	}
	drop_number(c, q);
	other_wait = !q->known || q->row.max_wait_ms != row->max_wait_ms;
	other_leave = q->known && q->row.leave_empty != row->leave_empty; /* else its members are to come */
	q->known = 1;
	rings_otherwise = q->row.ring_ms != row->ring_ms;
	other_retry = q->row.retry_ms != row->retry_ms;
	says_otherwise = !str_eq(q->row.announce, row->announce) ||
			 q->row.announce_after_ms != row->announce_after_ms ||
			 q->row.announce_every_ms != row->announce_every_ms;
	q->row = *row;
	claim_number(c, q);
	HASH_ITER (hh, q->members, m, next) {
		agent_rules_changed(c, m->agent, q);
		member_moves(c, m);
	}
	if (other_wait)
		queue_limit_changed(c, q);
	if (other_leave)
		queue_note_emptied(c, q);
	if (rings_otherwise)
		offers_ring_changed(c, q);
	if (says_otherwise)
		queue_announce_changed(c, q);
	if (other_retry)
		queue_retry_changed(c, q);
	queue_ask_all(c, q);
}

/* Who waits already stays, whatever the hours are now. */
static void hours_row(struct core *c, const struct ev_dir_hours *row)
{
	struct dir_queue *q = queue_by_name(c, row->queue);

	if (q == NULL)
		return;
	q->hours = row->gone ? (struct ev_dir_hours){.gone = true} : *row;
	if (q->hours.n > OPENINGS_MAX)
		q->hours.n = OPENINGS_MAX;
}

static void retry_reconfigured(struct core *c, struct dir_queue *q)
{
	struct member *m, *next;

	HASH_ITER (hh, q->members, m, next)
		agent_rules_changed(c, m->agent, q);
	queue_retry_changed(c, q);
}

/* What the queues do not say themselves. */
void roster_reconfigured(struct core *c)
{
	struct dir_queue *q, *next;

	HASH_ITER (by_name, c->queues, q, next) {
		if (q->row.max_wait_ms == 0)
			queue_limit_changed(c, q);
		if (q->row.ring_ms == 0)
			offers_ring_changed(c, q);
		if (q->row.retry_ms == 0)
			retry_reconfigured(c, q);
	}
}

void roster_event(struct core *c)
{
	const struct event *ev = c->ev;

	switch (ev->type) {
	case EV_DIR_QUEUE:
		queue_row(c, &ev->queue);
		break;
	case EV_DIR_MEMBER:
		member_row(c, &ev->member);
		break;
	case EV_DIR_SKILL:
		skill_row(c, &ev->skill);
		break;
	case EV_DIR_HOURS:
		hours_row(c, &ev->hours);
		break;
	default:
		need_row(c, &ev->need);
		break;
	}
}

void roster_free(struct core *c)
{
	struct dir_queue *q, *next;

	HASH_ITER (by_name, c->queues, q, next) {
		struct member *m, *mnext;

		HASH_ITER (hh, q->members, m, mnext) {
			HASH_DEL(q->members, m);
			free(m);
		}
		HASH_CLEAR(by_number, c->queues_by_number);
		HASH_DELETE(by_name, c->queues, q);
		free(q);
	}
	agents_free(c);
}
