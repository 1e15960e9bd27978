/* centre: see centre.h. */
#include "sim/centre.h"

#include <stdio.h>
#include <stdlib.h>

#define AGENTS 50
#define QUEUES 10
#define SKILLS 3

#define RETRY_MAX_MS  3000
#define WRAPUP_MAX_MS 4000
#define SLACK_MS      250 /* a new core looks again after 100 ms */
#define RINGS_ON_MS   1000 /* what rings on in another call does so for so long at least */
#define PLACES_TOLD   20

struct person {
	char user[USER_MAX], number[NUM_MAX];
	unsigned phones;
	bool known, silent;
	enum agent_intent intent;
	bool member[QUEUES];
	uint32_t skill[SKILLS];
	unsigned legs;	/* that live, in this step */
	call_id call;	/* of one of them */
	bool two_calls; /* they are in more than one */
	call_id wanted; /* a caller for whom he could be asked, and is not .. */
	int64_t since;	/* .. since then */
};

struct queue {
	struct ev_dir_queue row;
	struct ev_dir_need need[SKILLS];
	unsigned nneeds;
	bool known;
};

struct told { /* the place in a queue that a caller was told last */
	call_id call;
	unsigned place;
	UT_hash_handle hh;
};

struct centre {
	struct told *told;
	struct rng *rng;
	centre_teller *tell;
	void *arg;
	uint32_t contact;
	struct person person[AGENTS];
	struct queue queue[QUEUES];
};

static const char *const skills[SKILLS] = {"german", "french", "billing"};

struct centre *centre_create(struct rng *rng, centre_teller *tell, void *arg)
{
	struct centre *ce = calloc(1, sizeof(*ce));

	if (ce == NULL)
		abort();
	ce->rng = rng;
	ce->tell = tell;
	ce->arg = arg;
	return ce;
}

void centre_destroy(struct centre *ce)
{
	struct told *t, *next;

	HASH_ITER (hh, ce->told, t, next) {
		HASH_DEL(ce->told, t);
		free(t);
	}
	free(ce);
}

static uint32_t below(struct centre *ce, uint32_t n)
{
	return rng_below(ce->rng, n);
}

static bool chance(struct centre *ce, unsigned percent)
{
	return rng_chance(ce->rng, percent);
}

const char *centre_queue_number(struct centre *ce)
{
	return ce->queue[below(ce, QUEUES)].row.number;
}

void centre_agent(struct centre *ce, const char **user, const char **number)
{
	struct person *p = &ce->person[below(ce, AGENTS)];

	*user = p->user;
	*number = p->number;
}

/* ---- the directory --------------------------------------------------------------------------- */

static void tell_user(struct centre *ce, struct person *p)
{
	struct event ev = {.type = EV_DIR_USER};

	str_set(ev.user.user, p->user);
	str_set(ev.user.number, p->number);
	ev.user.enabled = ev.user.may_transfer = true;
	p->known = true;
	ce->tell(ce->arg, &ev);
}

static void tell_phones(struct centre *ce, struct person *p, unsigned n)
{
	struct event ev = {.type = EV_CONTACTS};

	p->phones = n;
	str_set(ev.contacts.user, p->user);
	ev.contacts.n = n;
	for (unsigned i = 0; i < n; i++)
		ev.contacts.contact[i] = ++ce->contact;
	ce->tell(ce->arg, &ev);
}

static void tell_silent(struct centre *ce, struct person *p, bool silent)
{
	struct event ev = {.type = EV_AGENT_REACH};

	p->silent = silent;
	str_set(ev.reach.user, p->user);
	ev.reach.reachable = !silent;
	ce->tell(ce->arg, &ev);
}

static void tell_intent(struct centre *ce, struct person *p, enum agent_intent intent)
{
	struct event ev = {.type = EV_AGENT};

	p->intent = intent;
	str_set(ev.agent.user, p->user);
	ev.agent.intent = intent;
	ev.agent.origin = ORIGIN_DTMF;
	str_set(ev.agent.asker, p->user);
	str_set(ev.agent.reason, intent == INTENT_AWAY ? "lunch" : "");
	ce->tell(ce->arg, &ev);
}

static void tell_skill(struct centre *ce, struct person *p, unsigned skill, uint32_t level)
{
	struct event ev = {.type = EV_DIR_SKILL};

	p->skill[skill] = level;
	str_set(ev.skill.user, p->user);
	str_set(ev.skill.skill, skills[skill]);
	ev.skill.level = level;
	ev.skill.gone = level == 0;
	ce->tell(ce->arg, &ev);
}

static void tell_member(struct centre *ce, struct person *p, unsigned q, bool gone)
{
	struct event ev = {.type = EV_DIR_MEMBER};

	p->member[q] = !gone && ce->queue[q].known;
	str_set(ev.member.queue, ce->queue[q].row.queue);
	str_set(ev.member.user, p->user);
	ev.member.gone = gone;
	ev.member.level = below(ce, 3);
	ev.member.order = below(ce, 10);
	ev.member.weight = below(ce, 4);
	ce->tell(ce->arg, &ev);
}

static void add_overflow(struct centre *ce, struct ev_dir_queue *row)
{
	struct overflow *o = &row->overflow[row->noverflow++];

	o->kind = chance(ce, 60)   ? OVERFLOW_QUEUE
		  : chance(ce, 60) ? OVERFLOW_USER
				   : OVERFLOW_ANNOUNCE;
	if (o->kind == OVERFLOW_QUEUE)
		str_set(o->target, ce->queue[below(ce, QUEUES)].row.queue);
	else
		str_set(o->target,
			o->kind == OVERFLOW_USER ? ce->person[below(ce, AGENTS)].user : "0777");
}

/* A queue with new rules. */
static void tell_queue(struct centre *ce, unsigned i, bool gone)
{
	struct queue *q = &ce->queue[i];
	struct event ev = {.type = EV_DIR_QUEUE};
	struct ev_dir_queue *row = &ev.queue;

	str_set(row->queue, q->row.queue);
	str_set(row->number, q->row.number);
	row->gone = gone;
	row->strategy = (enum strategy)below(ce, strategy_count_);
	row->ring_ms = 2000 + below(ce, 5000);
	row->retry_ms = 500 + below(ce, RETRY_MAX_MS - 500);
	row->wrapup_ms = chance(ce, 50) ? below(ce, WRAPUP_MAX_MS) : 0;
	row->max_wait_ms = chance(ce, 70) ? 10000 + below(ce, 50000) : 0;
	row->max_length = chance(ce, 30) ? 3 + below(ce, 10) : 0;
	row->weight = below(ce, 3);
	row->service_ms = 20000;
	row->widen_ms = chance(ce, 70) ? 1000 + below(ce, 5000) : 0;
	row->boost_ms = chance(ce, 30) ? 5000 : 0;
	row->keep_wait = chance(ce, 50);
	row->join_empty = (enum empty_rule)below(ce, empty_rule_count_);
	row->leave_empty = (enum empty_rule)below(ce, empty_rule_count_);
	row->entry = (enum queue_entry)below(ce, queue_entry_count_);
	str_set(row->announce, chance(ce, 40) ? "en" : "");
	row->announce_after_ms = 1000 + below(ce, 7000); /* the table takes no less */
	row->announce_every_ms = chance(ce, 70) ? 2000 + below(ce, 8000) : 0;
	str_set(row->music, chance(ce, 40) ? "jazz" : "");
	while (row->noverflow < 3 && chance(ce, 50))
		add_overflow(ce, row);
	q->row = *row;
	q->known = !gone;
	if (gone)
		q->nneeds = 0;
	for (unsigned a = 0; gone && a < AGENTS; a++)
		ce->person[a].member[i] = false;
	ce->tell(ce->arg, &ev);
}

static void tell_need(struct centre *ce, unsigned i, unsigned skill)
{
	struct queue *q = &ce->queue[i];
	struct event ev = {.type = EV_DIR_NEED};
	unsigned k = 0;

	if (!q->known)
		return;
	while (k < q->nneeds && strcmp(q->need[k].skill, skills[skill]) != 0)
		k++;
	ev.need.gone = k < q->nneeds && chance(ce, 50);
	str_set(ev.need.queue, q->row.queue);
	str_set(ev.need.skill, skills[skill]);
	ev.need.level = 1 + below(ce, 5);
	ev.need.floor = below(ce, ev.need.level + 1);
	if (ev.need.gone)
		q->need[k] = q->need[--q->nneeds];
	else
		q->need[k] = ev.need;
	q->nneeds += !ev.need.gone && k == q->nneeds;
	ce->tell(ce->arg, &ev);
}

/* One shift follows the other within seconds, so that many a caller comes at the moment of change. */
static void tell_hours(struct centre *ce, unsigned i, int64_t wall)
{
	struct event ev = {.type = EV_DIR_HOURS};
	struct ev_dir_hours *h = &ev.hours;
	int64_t at = wall - (int64_t)below(ce, 20000) * 1000;

	if (!ce->queue[i].known)
		return;
	str_set(h->queue, ce->queue[i].row.queue);
	h->gone = chance(ce, 20);
	h->n = below(ce, 5);
	for (unsigned k = 0; k < h->n; k++) {
		h->open[k].from = at += (int64_t)(1 + below(ce, 15000)) * 1000;
		h->open[k].until = at += (int64_t)(1 + below(ce, 30000)) * 1000;
	}
	h->known_until = at + (int64_t)below(ce, 30000) * 1000;
	ce->tell(ce->arg, &ev);
}

static void hire(struct centre *ce, unsigned i)
{
	struct person *p = &ce->person[i];

	snprintf(p->user, sizeof(p->user), "agent%u", i);
	snprintf(p->number, sizeof(p->number), "2%03u", i);
	tell_user(ce, p);
	tell_phones(ce, p, 1 + (i % 5 == 0));
	for (unsigned s = 0; s < SKILLS; s++)
		if (chance(ce, 60))
			tell_skill(ce, p, s, 1 + below(ce, 5));
	for (unsigned n = 1 + below(ce, 4); n > 0; n--)
		tell_member(ce, p, below(ce, QUEUES), false);
}

void centre_open(struct centre *ce)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		snprintf(ce->queue[i].row.queue, USER_MAX, "queue%u", i);
		snprintf(ce->queue[i].row.number, NUM_MAX, "3%03u", i);
		tell_queue(ce, i, false);
	}
	for (unsigned i = 0; i < 3; i++)
		tell_need(ce, i, i);
	for (unsigned i = 0; i < AGENTS; i++)
		hire(ce, i);
}

void centre_change(struct centre *ce, int64_t wall)
{
	struct person *p = &ce->person[below(ce, AGENTS)];
	unsigned q = below(ce, QUEUES), what = below(ce, 100);

	if (what < 25)
		tell_intent(ce, p,
			chance(ce, 60)	 ? INTENT_AVAILABLE
			: chance(ce, 60) ? INTENT_AWAY
					 : INTENT_LOGGED_OUT);
	else if (what < 45)
		tell_phones(ce, p, chance(ce, 80) ? 1 + below(ce, 2) : 0);
	else if (what < 55)
		tell_silent(ce, p, chance(ce, 40));
	else if (what < 75)
		tell_member(ce, p, q, chance(ce, 40));
	else if (what < 85)
		tell_skill(ce, p, below(ce, SKILLS), below(ce, 6));
	else if (what < 88)
		tell_need(ce, q, below(ce, SKILLS));
	else if (what < 93)
		tell_hours(ce, q, wall);
	else if (what < 97)
		tell_queue(ce, q, false);
	else
		tell_queue(ce, q, ce->queue[q].known);
}

/* ---- what must be true ----------------------------------------------------------------------- */

static struct person *person_of(struct centre *ce, const char *user)
{
	for (unsigned i = 0; i < AGENTS; i++)
		if (strcmp(ce->person[i].user, user) == 0)
			return &ce->person[i];
	return NULL;
}

void centre_begin(struct centre *ce)
{
	for (unsigned i = 0; i < AGENTS; i++) {
		ce->person[i].legs = 0;
		ce->person[i].two_calls = false;
		ce->person[i].call = ID_NONE;
	}
}

void centre_reborn(struct centre *ce)
{
	for (unsigned i = 0; i < AGENTS; i++)
		ce->person[i].wanted = ID_NONE;
}

void centre_leg(struct centre *ce, const char *user, const struct ct_leg *l)
{
	struct person *p = person_of(ce, user);

	if (p == NULL || l->state >= CT_ENDING || l->cancelling || l->parted)
		return;
	p->legs++;
	p->two_calls = p->two_calls || (p->call != ID_NONE && p->call != id_call(l->id));
	p->call = id_call(l->id);
}

static void complain(struct sim *s, const char *rule, const struct person *p, const char *text)
{
	char line[BK_TEXT_MAX];

	snprintf(line, sizeof(line), "%s %s", p->user, text);
	sim_fail(s, rule, line);
}

/* What the core set by itself is known from its facts: that is what is stored. */
static void read_intents(struct centre *ce, const struct core_out *out)
{
	for (unsigned i = 0; i < out->nfacts; i++) {
		const struct fact *f = &out->facts[i];
		struct person *p =
			f->type == FACT_AGENT_STATE ? person_of(ce, f->agent_state.user) : NULL;

		if (p != NULL)
			p->intent = (enum agent_intent)agent_intent_parse(f->agent_state.intent);
	}
}

/* Nobody is asked for a queue while he has anything to do with another call (E-106). */
static void check_offers(struct centre *ce, struct sim *s)
{
	for (unsigned i = 0; i < s->out.nactions; i++) {
		const struct action *a = &s->out.actions[i];
		struct person *p = a->type == ACT_DIAL ? person_of(ce, a->dial.dest.user) : NULL;
		struct call_view v;

		if (p == NULL || !core_view(s->core, id_call(a->leg), &v) ||
			strcmp(v.state, "WAIT") != 0)
			continue;
		if (p->two_calls)
			complain(s, "offered-twice", p,
				"was offered a caller and is on another call");
	}
}

static struct told *told_of(struct centre *ce, call_id call)
{
	struct told *t;

	HASH_FIND(hh, ce->told, &call, sizeof(call), t);
	return t;
}

void centre_hear(struct centre *ce, const struct core_out *out)
{
	for (unsigned i = 0; i < out->nactions; i++) {
		const struct action *a = &out->actions[i];
		struct told *t = told_of(ce, a->call);

		if (a->type != ACT_POSITION)
			continue;
		if (t == NULL) {
			if ((t = calloc(1, sizeof(*t))) == NULL)
				abort();
			t->call = a->call;
			HASH_ADD(hh, ce->told, call, sizeof(t->call), t);
		}
		t->place = a->position.position;
	}
}

/* A guard sees to it that nobody waits longer than he may, and that no offer rings longer than it may, by
 * the rules of now. */
static void check_limits(struct sim *s, const struct ev_dir_queue *row, const struct waiting_view *v)
{
	int64_t limit = row->max_wait_ms ? row->max_wait_ms : s->cfg.queue_wait_ms;
	int64_t ring = row->ring_ms ? row->ring_ms : s->cfg.queue_ring_ms;
	int64_t until = s->ct.now - v->waited_ms + limit;
	const struct ct_call *k = contract_call(&s->ct, v->call);

	if (until <= s->ct.now)
		until = s->ct.now + 1; /* who comes back after that, as his agent has hung up at once */
	if (k != NULL && (!k->timer.armed || k->timer.due > until))
		sim_fail(s, "waits-too-long", row->queue);
	if (ring < RINGS_ON_MS)
		ring = RINGS_ON_MS;
	if (k != NULL && v->offered[0] && (!k->queue.armed || k->queue.due > s->ct.now + ring))
		sim_fail(s, "rings-too-long", row->queue);
}

/* Where places are announced again and again, nobody waits who will not hear of it, by the rules of now. */
static void check_announced(struct sim *s, const struct ev_dir_queue *row, const struct waiting_view *w)
{
	const struct ct_call *k = contract_call(&s->ct, w->call);
	struct call_view v;

	if (!s->cfg.can_play || row->announce[0] == '\0' || row->announce_every_ms == 0 || k == NULL ||
		k->place.armed || !core_view(s->core, w->call, &v) || strcmp(v.state, "WAIT") != 0)
		return;
	sim_fail(s, "place-not-announced", row->queue);
}

/* Whoever waits knows his place, whoever left before him (E-112). */
static void check_places(struct centre *ce, struct sim *s)
{
	struct waiting_view v;

	for (unsigned q = 0; q < QUEUES; q++)
		for (unsigned i = 1; i <= PLACES_TOLD; i++) {
			struct told *t;

			if (!core_waiting_view(s->core, ce->queue[q].row.queue, i, s->ct.now, &v))
				break;
			t = told_of(ce, v.call);
			if (t == NULL || t->place != i)
				sim_fail(s, "place-not-told", ce->queue[q].row.queue);
			check_limits(s, &ce->queue[q].row, &v);
			check_announced(s, &ce->queue[q].row, &v);
		}
}

static void check_state(struct sim *s, const struct person *p, const struct agent_view *v)
{
	bool busy = v->state == AGENT_TALKING || v->state == AGENT_RINGING;

	if (busy && p->legs == 0)
		complain(s, "agent-stuck", p, "is busy, and no phone of his rings or talks");
	if (!busy && p->legs != 0)
		complain(s, "agent-not-busy", p, "has a call, and is not busy");
	if (v->state == AGENT_FREE &&
		(p->intent != INTENT_AVAILABLE || p->phones == 0 || p->silent || !p->known))
		complain(s, "agent-not-free", p,
			"is free, and does not want to or cannot be reached");
	if (v->state == AGENT_WRAPUP && s->ct.now - v->since > WRAPUP_MAX_MS)
		complain(s, "wrapup-for-ever", p, "is in wrap-up for longer than any queue allows");
}

/* How many levels he misses, UINT32_MAX if he is never asked. */
static uint32_t missing(const struct queue *q, const struct person *p)
{
	uint32_t worst = 0;

	for (unsigned i = 0; i < q->nneeds; i++)
		for (unsigned s = 0; s < SKILLS; s++) {
			if (strcmp(skills[s], q->need[i].skill) != 0 ||
				p->skill[s] >= q->need[i].level)
				continue;
			if (p->skill[s] < q->need[i].floor)
				return UINT32_MAX;
			if (q->need[i].level - p->skill[s] > worst)
				worst = q->need[i].level - p->skill[s];
		}
	return worst;
}

/* The first caller of this queue for whom nobody rings and he would do. */
static call_id wants(struct sim *s, const struct queue *q, const struct person *p)
{
	uint32_t miss = missing(q, p);
	struct waiting_view v;

	for (unsigned i = 1; core_waiting_view(s->core, q->row.queue, i, s->ct.now, &v); i++) {
		int64_t waited = v.waited_ms + v.credit_ms;

		if (v.offered[0] != '\0')
			continue;
		if (miss == 0 ||
			(miss != UINT32_MAX && q->row.widen_ms && waited / q->row.widen_ms >= miss))
			return v.call;
		return ID_NONE;
	}
	return ID_NONE;
}

/* Idle while a caller for whom he would do waits, longer than the retry delay. An offer that failed in the
 * step in which it was made has made him another for no step that could be looked at, but he rests anew. */
static void check_idle(
	struct centre *ce, struct sim *s, struct person *p, const struct agent_view *v)
{
	call_id call = ID_NONE;

	for (unsigned q = 0; q < QUEUES && call == ID_NONE; q++)
		if (p->member[q] && ce->queue[q].known)
			call = wants(s, &ce->queue[q], p);
	if (call == ID_NONE || call != p->wanted) {
		p->wanted = call;
		p->since = s->ct.now;
	} else if (v->since > p->since) {
		p->since = v->since;
	} else if (s->ct.now - p->since > RETRY_MAX_MS + SLACK_MS) {
		complain(s, "idle-agent", p,
			"is free while a caller waits longer than the retry delay");
	}
}

void centre_judge(struct centre *ce, struct sim *s)
{
	struct agent_view v;

	read_intents(ce, &s->out);
	check_offers(ce, s);
	check_places(ce, s);
	for (unsigned i = 0; i < AGENTS; i++) {
		struct person *p = &ce->person[i];

		if (!core_agent_view(s->core, p->user, &v))
			continue;
		check_state(s, p, &v);
		if (v.state == AGENT_FREE)
			check_idle(ce, s, p, &v);
		else
			p->wanted = ID_NONE;
	}
}
