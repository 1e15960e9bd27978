/*
 * test_fair: nobody starves. Thousands of callers for queues that share their agents, with phones
 * that answer or decline, and with callers who are transferred on to a second queue, go through the
 * core; the same arrivals go through a reference that looks at everybody every time. Each caller
 * must wait exactly as long as there, so the longest wait is that of the reference, too. The queues
 * have weights, strategies, rules for who was transferred, their members levels, lots and skills,
 * and what they ask for is lowered over time.
 *
 * What the strategies promise differs:
 * - longest idle, round robin, fewest calls, least talk, linear and skills choose by what is known:
 * the reference chooses as they do, and members may serve several queues.
 * - random chooses by lot. Where members serve one queue each it is of no matter to callers who is
 * asked: the waits must be those of a reference that asks the longest idle. Where they are shared a
 * lot decides who is missing elsewhere, and no single wait is bounded by another choice; there the
 * longest is compared, and only roughly.
 * - ring all and progressive let several phones ring for one caller, and those behind wait for
 * these phones. A bound from a reference that rings one at a time would be meaningless: theirs
 * rings as many. Several agents come free at the same moment, and who of them is looked at first is
 * not promised; it is of no matter where members serve one queue each, so they do.
 */
#include "core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AGENTS	50
#define QUEUES	10
#define SKILLS	3
#define LEVELS	5 /* of a skill */
#define CALLERS 1000
#define FAR_MS	INT64_C(1000000000)

#define CHECK_EACH 16 /* steps */

/* Each caller has moments of his own: what he does, what phones that ring for him do, and when more
 * agents may be asked for him, is at other milliseconds of a stride than anything else. So no two
 * things that matter happen at once in an order that neither side promises. */
#define STRIDE_MS	(1 << 17)
#define SLOTS		(2 + 2 * AGENTS)
#define SLOT_END	0
#define SLOT_COMES	1
#define SLOT_PHONE(x)	(2 + 2 * (x))
#define MOMENT(i, slot) ((int64_t)(i)*SLOTS + (slot))
#define RETRY_MS	(3 * STRIDE_MS + 1) /* a rest ends beside what began it */
#define MORE_MS		(2 * STRIDE_MS)	    /* progressive: one more is asked */

struct visit {
	unsigned queue;
	int64_t talks; /* ms, once an agent has answered */
	int64_t wait;  /* until that; -1: nobody has */
};

struct caller {
	int64_t comes;
	unsigned nvisits; /* the second by transfer */
	struct visit visit[2];
	leg_id leg;
};

struct needed {
	uint32_t level, floor; /* level 0: not needed */
};

struct setting {
	uint64_t seed;
	uint32_t declines; /* of 100 offers */
	bool member[QUEUES][AGENTS];
	uint32_t level[QUEUES][AGENTS], order[QUEUES][AGENTS], lots[QUEUES][AGENTS];
	uint32_t weight[QUEUES], widen[QUEUES], boost[QUEUES];
	bool keep[QUEUES];
	enum strategy strategy[QUEUES];
	struct needed need[QUEUES][SKILLS];
	uint32_t skill[AGENTS][SKILLS];
	struct caller caller[CALLERS];
};

static uint64_t seed;

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)((mix(seed += UINT64_C(0x9e3779b97f4a7c15)) >> 32) * n >> 32);
}

/* The first time from `at` on that is at this moment of the stride. */
static int64_t at_moment(int64_t at, int64_t moment)
{
	int64_t past = (at - moment) % STRIDE_MS;

	return past == 0 ? at : at + STRIDE_MS - past;
}

static int64_t end_of_talk(const struct setting *s, unsigned i, unsigned visit, int64_t answered)
{
	return at_moment(answered + s->caller[i].visit[visit].talks, MOMENT(i, SLOT_END));
}

static bool rings_many(enum strategy s)
{
	return s == STRATEGY_RING_ALL || s == STRATEGY_PROGRESSIVE;
}

/* What the phone of agent a does that is asked at `now` for caller i, and when: by how often that
 * was. Where one phone rings at a time it is the same whoever is asked. */
static int64_t phone_acts(const struct setting *s, uint16_t nth[CALLERS][AGENTS], unsigned i,
	unsigned q, unsigned a, int64_t now, bool *declines)
{
	unsigned x = rings_many(s->strategy[q]) ? a : 0;
	uint64_t h = mix(s->seed * 31 + ((uint64_t)i << 32 | (uint64_t)x << 16 | nth[i][x]++));

	*declines = h % 100 < s->declines;
	return at_moment(now + (int64_t)(1 + (h >> 20) % 5) * STRIDE_MS, MOMENT(i, SLOT_PHONE(x)));
}

/* ---- settings -------------------------------------------------------------------------------- */

static void invent_callers(struct setting *s, bool transfers)
{
	int64_t now = 10 * STRIDE_MS;

	for (unsigned i = 0; i < CALLERS; i++) {
		struct caller *c = &s->caller[i];

		now = at_moment(now + 1 + below(6 * STRIDE_MS), MOMENT(i, SLOT_COMES));
		c->comes = now;
		c->nvisits = transfers && below(3) == 0 ? 2 : 1;
		for (unsigned v = 0; v < 2; v++)
			c->visit[v] = (struct visit){
				below(QUEUES), 1 + below((transfers ? 260 : 340) * STRIDE_MS), -1};
	}
}

static void invent_members(struct setting *s, bool shared)
{
	for (unsigned a = 0; a < AGENTS; a++) {
		s->member[a % QUEUES][a] = true; /* everybody serves somebody */
		for (unsigned n = shared ? below(4) : 0; n > 0; n--)
			s->member[below(QUEUES)][a] = true;
	}
	for (unsigned q = 0; q < QUEUES; q++) {
		s->weight[q] = below(3);
		s->keep[q] = below(2);
		s->boost[q] = below(2) ? below(40) * STRIDE_MS : 0;
		for (unsigned a = 0; a < AGENTS; a++) {
			s->level[q][a] = below(3);
			s->order[q][a] = below(4);
			s->lots[q][a] = below(10);
		}
	}
}

static void invent_needs(struct setting *s, unsigned q)
{
	s->widen[q] = below(5) ? STRIDE_MS * (1 + below(20)) : 0;
	for (unsigned k = 0; k < SKILLS; k++)
		if (below(2)) {
			s->need[q][k].level = 1 + below(LEVELS);
			s->need[q][k].floor = below(s->need[q][k].level + 1);
		}
}

/* The first agent of each queue knows everything: there is always somebody who would do. */
static void invent_skills(struct setting *s)
{
	for (unsigned q = 0; q < QUEUES; q++)
		invent_needs(s, q);
	for (unsigned a = 0; a < AGENTS; a++)
		for (unsigned k = 0; k < SKILLS; k++)
			s->skill[a][k] = a < QUEUES ? LEVELS : below(LEVELS + 1);
}

#define WITH_SHARED    1
#define WITH_SKILLS    2
#define WITH_DECLINES  4
#define WITH_TRANSFERS 8

static const enum strategy by_what_is_known[] = {STRATEGY_LONGEST_IDLE, STRATEGY_SKILLS,
	STRATEGY_LINEAR, STRATEGY_ROUND_ROBIN, STRATEGY_FEWEST_CALLS, STRATEGY_LEAST_TALK};

/* strategy_count_: the queues have those that choose by what is known, one after the other. */
static struct setting *setting_of(uint64_t with, unsigned what, enum strategy strategy)
{
	struct setting *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->seed = seed = with;
	s->declines = what & WITH_DECLINES ? 30 : 0;
	invent_members(s, what & WITH_SHARED);
	invent_callers(s, what & WITH_TRANSFERS);
	if (what & WITH_SKILLS)
		invent_skills(s);
	for (unsigned q = 0; q < QUEUES; q++)
		s->strategy[q] =
			strategy != strategy_count_ ? strategy : by_what_is_known[(q + with) % 6];
	return s;
}

/* ---- the reference --------------------------------------------------------------------------- */

/* A rule that it leaves out, to show that the rule makes a difference. */
enum rule {
	RULE_NONE,
	RULE_WEIGHT,
	RULE_LEVEL,
	RULE_SKILL,
	RULE_FLOOR,
	RULE_WIDEN,
	RULE_ARRIVAL,
	RULE_STRATEGY,
	RULE_REST,   /* who has declined is left alone */
	RULE_KEEP,   /* what was waited before counts */
	RULE_BOOST,  /* who was transferred is placed before */
	RULE_EXCEPT, /* nobody is asked for the call that he has transferred */
	rule_count_
};

enum does { IS_FREE, RINGS, TALKS };

struct his { /* an agent's */
	enum does does;
	unsigned caller; /* for or with whom */
	int64_t until;	 /* RINGS: what his phone does it does then; TALKS: the end */
	bool declines;
	int64_t rest_until, idle_since, answered, talk_ms, talks_since;
	int64_t offered_at[QUEUES];
	bool fresh, rests;
};

struct stay { /* a caller's, in a queue */
	unsigned visit, ringing;
	bool waits;
	int64_t entered, credit, before;
	unsigned except; /* not this agent .. */
	int64_t except_until;
	int64_t more_at; /* progressive */
};

struct reference {
	const struct setting *s;
	enum rule without;
	unsigned come;
	int64_t now;
	struct his his[AGENTS];
	struct stay stay[CALLERS];
	uint16_t nth[CALLERS][AGENTS];
	int64_t wait[CALLERS][2];
};

static unsigned queue_of(const struct reference *r, unsigned i)
{
	return r->s->caller[i].visit[r->stay[i].visit].queue;
}

/* Levels that he misses of what the queue asks for; more than LEVELS if he is never asked. */
static int64_t misses(const struct reference *r, unsigned q, unsigned a)
{
	int64_t worst = 0;

	for (unsigned k = 0; k < SKILLS; k++) {
		const struct needed *n = &r->s->need[q][k];
		int64_t short_by = (int64_t)n->level - r->s->skill[a][k];

		if (short_by > 0 && r->s->skill[a][k] < n->floor && r->without != RULE_FLOOR)
			return LEVELS + 1;
		if (short_by > worst)
			worst = short_by;
	}
	return r->without == RULE_SKILL && worst <= LEVELS ? 0 : worst;
}

static int64_t placed_at(const struct reference *r, unsigned i)
{
	return r->stay[i].entered - r->stay[i].credit;
}

/* How many levels less are asked for this caller by now. */
static int64_t lowered(const struct reference *r, unsigned i)
{
	uint32_t widen = r->s->widen[queue_of(r, i)];

	return widen && r->without != RULE_WIDEN ? (r->now - placed_at(r, i)) / widen : 0;
}

static bool may_be_asked(const struct reference *r, unsigned i, unsigned a)
{
	const struct stay *st = &r->stay[i];
	unsigned q = queue_of(r, i);
	int64_t miss = misses(r, q, a);

	return r->his[a].does == IS_FREE && !r->his[a].rests && r->s->member[q][a] &&
	       miss <= LEVELS && miss <= lowered(r, i) &&
	       !(st->except == a && st->except_until > r->now);
}

static int64_t abilities(const struct setting *s, unsigned q, unsigned a)
{
	int64_t sum = 0;

	for (unsigned k = 0; k < SKILLS; k++)
		sum += s->need[q][k].level ? s->skill[a][k] : 0;
	return sum;
}

/* By what the strategy goes, and what decides between equals. */
static void preference(const struct reference *r, unsigned q, unsigned a, int64_t rank[2])
{
	const struct his *h = &r->his[a];
	enum strategy s = r->without == RULE_STRATEGY ? STRATEGY_LONGEST_IDLE : r->s->strategy[q];

	rank[0] = rank[1] = h->idle_since;
	if (s == STRATEGY_SKILLS)
		rank[0] = -abilities(r->s, q, a);
	else if (s == STRATEGY_FEWEST_CALLS)
		rank[0] = h->answered;
	else if (s == STRATEGY_LEAST_TALK)
		rank[0] = h->talk_ms;
	else if (s == STRATEGY_LINEAR)
		rank[0] = rank[1] = r->s->order[q][a];
	else
		rank[1] = r->s->order[q][a];
	if (s == STRATEGY_ROUND_ROBIN)
		rank[0] = h->offered_at[q];
}

static int64_t level_of(const struct reference *r, unsigned q, unsigned a)
{
	return r->without == RULE_LEVEL ? 0 : r->s->level[q][a];
}

static bool is_asked_before(const struct reference *r, unsigned q, unsigned a, unsigned b)
{
	unsigned who[2] = {a, b};
	int64_t rank[2][5];

	for (unsigned i = 0; i < 2; i++) {
		rank[i][0] = misses(r, q, who[i]);
		rank[i][1] = level_of(r, q, who[i]);
		preference(r, q, who[i], &rank[i][2]);
		rank[i][4] = who[i];
	}
	for (unsigned k = 0; k < 5; k++)
		if (rank[0][k] != rank[1][k])
			return rank[0][k] < rank[1][k];
	return false;
}

static void ring_one(struct reference *r, unsigned i, unsigned a)
{
	struct his *h = &r->his[a];
	unsigned q = queue_of(r, i);

	h->does = RINGS;
	h->caller = i;
	h->offered_at[q] = r->now;
	h->until = phone_acts(r->s, r->nth, i, q, a, r->now, &h->declines);
	r->stay[i].ringing++;
}

static unsigned first_to_ask(const struct reference *r, unsigned i)
{
	unsigned best = AGENTS;

	for (unsigned a = 0; a < AGENTS; a++)
		if (may_be_asked(r, i, a) &&
			(best == AGENTS || is_asked_before(r, queue_of(r, i), a, best)))
			best = a;
	return best;
}

/* Somebody more for this caller, or everybody of the first level. Returns how many. */
static unsigned ask(struct reference *r, unsigned i)
{
	unsigned q = queue_of(r, i), best = first_to_ask(r, i), n = 0;

	if (best == AGENTS)
		return 0;
	for (unsigned a = 0; a < AGENTS; a++)
		if (a == best || (r->s->strategy[q] == STRATEGY_RING_ALL && may_be_asked(r, i, a) &&
					 level_of(r, q, a) == level_of(r, q, best) &&
					 misses(r, q, a) == misses(r, q, best))) {
			ring_one(r, i, a);
			n++;
		}
	r->stay[i].more_at = r->now + MORE_MS;
	return n;
}

static bool is_served_before(const struct reference *r, unsigned i, unsigned best)
{
	unsigned p = queue_of(r, i), q = queue_of(r, best);

	if (r->s->weight[p] != r->s->weight[q] && r->without != RULE_WEIGHT)
		return r->s->weight[p] > r->s->weight[q];
	return r->without == RULE_ARRIVAL ? placed_at(r, i) > placed_at(r, best)
					  : placed_at(r, i) < placed_at(r, best);
}

static unsigned first_to_serve(const struct reference *r, unsigned a)
{
	unsigned best = CALLERS;

	for (unsigned i = 0; i < r->come; i++)
		if (r->stay[i].waits && r->stay[i].ringing == 0 && may_be_asked(r, i, a) &&
			(best == CALLERS || is_served_before(r, i, best)))
			best = i;
	return best;
}

static void serve_fresh(struct reference *r)
{
	for (unsigned a = 0; a < AGENTS; a++) {
		unsigned i;

		while (r->his[a].fresh && (i = first_to_serve(r, a)) < CALLERS)
			ask(r, i);
		r->his[a].fresh = false;
	}
}

static void be_free(struct reference *r, unsigned a)
{
	r->his[a].does = IS_FREE;
	r->his[a].fresh = true;
}

static void enter(struct reference *r, unsigned i)
{
	struct stay *st = &r->stay[i];

	st->entered = r->now;
	st->waits = true;
	st->more_at = INT64_MAX;
	ask(r, i);
}

/* ---- what happens in it ---------------------------------------------------------------------- */

static void missed(struct reference *r, unsigned a)
{
	struct his *h = &r->his[a];

	h->does = IS_FREE;
	h->idle_since = r->now;
	h->rests = r->without != RULE_REST;
	h->rest_until = r->now + RETRY_MS;
	r->stay[h->caller].ringing--;
}

static void answers(struct reference *r, unsigned a)
{
	struct his *h = &r->his[a];
	unsigned i = h->caller;
	struct stay *st = &r->stay[i];

	for (unsigned b = 0; b < AGENTS; b++)
		if (b != a && r->his[b].does == RINGS && r->his[b].caller == i)
			be_free(r, b);
	st->waits = false;
	st->ringing = 0;
	st->before += r->now - st->entered;
	r->wait[i][st->visit] = r->now - st->entered;
	h->does = TALKS;
	h->answered++;
	h->talks_since = r->now;
	h->until = end_of_talk(r->s, i, st->visit, r->now);
}

static void phone_does(struct reference *r, unsigned a)
{
	unsigned i = r->his[a].caller;

	if (!r->his[a].declines) {
		answers(r, a);
		return;
	}
	missed(r, a);
	if (r->without == RULE_REST)
		be_free(r, a);
	if (r->stay[i].ringing == 0)
		ask(r, i);
}

/* He is transferred on, or goes. */
static void talk_ends(struct reference *r, unsigned a)
{
	struct his *h = &r->his[a];
	struct stay *st = &r->stay[h->caller];
	unsigned q;

	if (st->visit + 1 < r->s->caller[h->caller].nvisits) {
		st->visit++;
		q = queue_of(r, h->caller);
		st->credit = (r->s->keep[q] && r->without != RULE_KEEP ? st->before : 0) +
			     (r->without != RULE_BOOST ? r->s->boost[q] : 0);
		st->except = a;
		st->except_until = r->without == RULE_EXCEPT ? 0 : r->now + RETRY_MS;
		enter(r, h->caller);
	}
	h->talk_ms += r->now - h->talks_since;
	h->idle_since = r->now;
	be_free(r, a);
}

static void more_or_none(struct reference *r, unsigned i)
{
	if (ask(r, i))
		return;
	for (unsigned a = 0; a < AGENTS; a++)
		if (r->his[a].does == RINGS && r->his[a].caller == i)
			missed(r, a);
	ask(r, i);
}

/* ---- when it happens ------------------------------------------------------------------------- */

/* When more agents may be asked for this caller, for whom nobody rings. */
static int64_t next_chance(const struct reference *r, unsigned i)
{
	const struct stay *st = &r->stay[i];
	uint32_t widen = r->s->widen[queue_of(r, i)];
	int64_t at = st->except_until > r->now ? st->except_until : INT64_MAX;
	int64_t steps = lowered(r, i) + 1;

	if (widen && r->without != RULE_WIDEN && steps <= LEVELS &&
		placed_at(r, i) + steps * widen < at)
		at = placed_at(r, i) + steps * widen;
	return at;
}

static int64_t next_of_caller(const struct reference *r, unsigned i)
{
	if (!r->stay[i].waits)
		return INT64_MAX;
	if (r->stay[i].ringing == 0)
		return next_chance(r, i);
	return r->s->strategy[queue_of(r, i)] == STRATEGY_PROGRESSIVE ? r->stay[i].more_at
								      : INT64_MAX;
}

static int64_t next_of_agent(const struct reference *r, unsigned a)
{
	if (r->his[a].does != IS_FREE)
		return r->his[a].until;
	return r->his[a].rests ? r->his[a].rest_until : INT64_MAX;
}

static int64_t next_of_all(const struct reference *r)
{
	int64_t at = r->come < CALLERS ? r->s->caller[r->come].comes : INT64_MAX;

	for (unsigned a = 0; a < AGENTS; a++)
		if (next_of_agent(r, a) < at)
			at = next_of_agent(r, a);
	for (unsigned i = 0; i < r->come; i++)
		if (next_of_caller(r, i) < at)
			at = next_of_caller(r, i);
	return at;
}

/* What phones do is before what is only time, as in the core. */
static void agents_at(struct reference *r, const bool *due)
{
	for (unsigned a = 0; a < AGENTS; a++) {
		if (due[a] && r->his[a].does == RINGS)
			phone_does(r, a);
		else if (due[a] && r->his[a].does == TALKS)
			talk_ends(r, a);
		serve_fresh(r);
	}
	for (unsigned a = 0; a < AGENTS; a++)
		if (r->his[a].rests && r->his[a].rest_until == r->now) {
			r->his[a].rests = false;
			be_free(r, a);
		}
	serve_fresh(r);
}

static void run_reference(struct reference *r)
{
	int64_t at;

	while ((at = next_of_all(r)) < INT64_MAX) {
		bool due[AGENTS], other[CALLERS];

		for (unsigned a = 0; a < AGENTS; a++)
			due[a] = next_of_agent(r, a) == at;
		for (unsigned i = 0; i < r->come; i++)
			other[i] = next_of_caller(r, i) == at;
		r->now = at;
		agents_at(r, due);
		for (unsigned i = 0; i < r->come; i++)
			if (other[i] && r->stay[i].waits && r->stay[i].ringing)
				more_or_none(r, i);
			else if (other[i] && r->stay[i].waits)
				ask(r, i);
		if (r->come < CALLERS && r->s->caller[r->come].comes == at)
			enter(r, r->come++);
	}
}

/* ---- the core, with phones that do what they should -------------------------------------------
 */

struct todo {
	int64_t at;
	enum ev type; /* INVITE, ANSWER, REJECT, BYE, TRANSFER, TIMER */
	leg_id leg;
	unsigned caller;
	struct act_timer timer;
};

struct lab {
	struct core *core;
	struct core_out out;
	struct setting *s;
	unsigned visit[CALLERS], rung;
	int64_t entered[CALLERS];
	uint16_t nth[CALLERS][AGENTS];
	struct todo todo[20 * CALLERS + AGENTS];
	unsigned n;
};

static void plan(struct lab *lab, int64_t at, enum ev type, leg_id leg, unsigned caller)
{
	assert_true(lab->n < sizeof(lab->todo) / sizeof(lab->todo[0]));
	lab->todo[lab->n++] = (struct todo){.at = at, .type = type, .leg = leg, .caller = caller};
}

static unsigned caller_of(const struct lab *lab, leg_id leg)
{
	for (unsigned i = 0; i < CALLERS; i++)
		if (id_call(lab->s->caller[i].leg) == id_call(leg))
			return i;
	return CALLERS;
}

/* Of the timers only those by which a queue looks again: nothing else is late here. */
static void plan_timer(struct lab *lab, int64_t now, const struct act_timer *t)
{
	if (t->kind != TIMER_QUEUE && t->kind != TIMER_AGENT)
		return;
	for (unsigned i = 0; i < lab->n; i++) /* one of each */
		if (lab->todo[i].type == EV_TIMER && lab->todo[i].timer.kind == t->kind &&
			lab->todo[i].timer.id == t->id) {
			lab->todo[i] = lab->todo[--lab->n];
			break;
		}
	if (t->ms < 0 || t->ms >= FAR_MS)
		return;
	plan(lab, now + t->ms, EV_TIMER, ID_NONE, t->id ? caller_of(lab, t->id) : 0);
	lab->todo[lab->n - 1].timer = *t;
}

static void react(struct lab *lab, int64_t now);

static void step(struct lab *lab, int64_t now, struct event *ev)
{
	ev->now = now;
	ev->rnd = (uint64_t)now * UINT64_C(0x9e3779b97f4a7c15);
	core_step(lab->core, ev, &lab->out);
	react(lab, now);
}

static void send(struct lab *lab, int64_t now, enum ev type, leg_id leg)
{
	struct event ev = {.type = type, .leg = leg};

	step(lab, now, &ev);
}

static void dialled(struct lab *lab, int64_t now, const struct action *a)
{
	unsigned i = caller_of(lab, a->leg), agent = AGENTS;
	bool declines;
	int64_t at;

	assert_true(i < CALLERS);
	assert_int_equal(sscanf(a->dial.dest.user, "agent%u", &agent), 1);
	lab->rung++;
	if (agent >= AGENTS) /* of the crowd, below: rings on */
		return;
	at = phone_acts(lab->s, lab->nth, i, lab->s->caller[i].visit[lab->visit[i]].queue, agent,
		now, &declines);
	plan(lab, at, declines ? EV_REJECT : EV_ANSWER, a->leg, i);
}

/* Nothing comes from it any more. */
static void hung_up(struct lab *lab, int64_t now, leg_id leg)
{
	for (unsigned i = 0; i < lab->n; i++)
		if (lab->todo[i].leg == leg)
			lab->todo[i--] = lab->todo[--lab->n];
	send(lab, now, EV_CLOSED, leg);
}

static void offered(struct lab *lab, int64_t now, const struct action *a)
{
	struct event ev = {.type = EV_OA_DONE, .leg = a->leg};

	ev.offer.status = 200;
	ev.offer.sdp = (struct sdp_note){.what = SDP_ANSWER,
		.dir = a->dir == SDP_DIR_SENDONLY   ? DIR_RECVONLY
		       : a->dir == SDP_DIR_INACTIVE ? DIR_INACTIVE
						    : DIR_SENDRECV,
		.usable = true};
	step(lab, now, &ev);
}

static void react(struct lab *lab, int64_t now)
{
	unsigned n = lab->out.nactions;
	struct action *a = malloc((n + 1) * sizeof(*a)); /* steps that follow use the same output */

	assert_non_null(a);
	if (n > 0)
		memcpy(a, lab->out.actions, n * sizeof(*a));
	for (unsigned i = 0; i < n; i++) {
		if (a[i].type == ACT_DIAL)
			dialled(lab, now, &a[i]);
		else if (a[i].type == ACT_ANSWER)
			send(lab, now, EV_ACK, a[i].leg);
		else if (a[i].type == ACT_OFFER)
			offered(lab, now, &a[i]);
		else if (a[i].type == ACT_HANGUP || a[i].type == ACT_REJECT)
			hung_up(lab, now, a[i].leg);
		else if (a[i].type == ACT_TIMER)
			plan_timer(lab, now, &a[i].timer);
		else if (a[i].type == ACT_REPLY && a[i].status >= 300)
			fail_msg("a transfer was refused: %u %s", a[i].status, a[i].text);
	}
	free(a);
}

static void furnish_queue(struct lab *lab, unsigned q)
{
	struct event ev = {.type = EV_DIR_QUEUE};

	snprintf(ev.queue.queue, USER_MAX, "queue%u", q);
	snprintf(ev.queue.number, NUM_MAX, "3%02u", q);
	ev.queue.weight = lab->s->weight[q];
	ev.queue.widen_ms = lab->s->widen[q];
	ev.queue.boost_ms = lab->s->boost[q];
	ev.queue.keep_wait = lab->s->keep[q];
	ev.queue.strategy = lab->s->strategy[q];
	ev.queue.retry_ms = RETRY_MS;
	ev.queue.ring_ms = lab->s->strategy[q] == STRATEGY_PROGRESSIVE ? MORE_MS : 0;
	step(lab, 0, &ev);
	for (unsigned k = 0; k < SKILLS; k++) {
		ev = (struct event){.type = EV_DIR_NEED};
		snprintf(ev.need.queue, USER_MAX, "queue%u", q);
		snprintf(ev.need.skill, SKILL_MAX, "skill%u", k);
		ev.need.level = lab->s->need[q][k].level;
		ev.need.floor = lab->s->need[q][k].floor;
		if (ev.need.level)
			step(lab, 0, &ev);
	}
}

static void furnish_member(struct lab *lab, unsigned q, unsigned a)
{
	struct event ev = {.type = EV_DIR_MEMBER};

	snprintf(ev.member.queue, USER_MAX, "queue%u", q);
	snprintf(ev.member.user, USER_MAX, "agent%u", a);
	ev.member.level = lab->s->level[q][a];
	ev.member.order = lab->s->order[q][a];
	ev.member.weight = lab->s->lots[q][a];
	if (lab->s->member[q][a])
		step(lab, 0, &ev);
}

static void furnish_agent(struct lab *lab, unsigned a)
{
	struct event ev = {.type = EV_DIR_USER};

	snprintf(ev.user.user, USER_MAX, "agent%u", a);
	snprintf(ev.user.number, NUM_MAX, "2%02u", a);
	ev.user.enabled = ev.user.may_transfer = true;
	step(lab, 0, &ev);
	ev = (struct event){.type = EV_CONTACTS, .contacts = {.n = 1, .contact = {a + 1}}};
	snprintf(ev.contacts.user, USER_MAX, "agent%u", a);
	step(lab, 0, &ev);
	for (unsigned k = 0; k < SKILLS; k++) {
		ev = (struct event){.type = EV_DIR_SKILL};
		snprintf(ev.skill.user, USER_MAX, "agent%u", a);
		snprintf(ev.skill.skill, SKILL_MAX, "skill%u", k);
		ev.skill.level = lab->s->skill[a][k];
		if (ev.skill.level)
			step(lab, 0, &ev);
	}
	for (unsigned q = 0; q < QUEUES; q++)
		furnish_member(lab, q, a);
}

static void furnish(struct lab *lab)
{
	for (unsigned q = 0; q < QUEUES; q++)
		furnish_queue(lab, q);
	for (unsigned a = 0; a < AGENTS; a++)
		furnish_agent(lab, a);
}

static void come(struct lab *lab, int64_t now, unsigned i)
{
	struct event ev = {.type = EV_INVITE};
	unsigned n;

	ev.invite.source = SOURCE_PEER;
	str_set(ev.invite.peer, "trunk");
	snprintf(ev.invite.number, NUM_MAX, "3%02u", lab->s->caller[i].visit[0].queue);
	ev.invite.sdp = (struct sdp_note){.what = SDP_OFFER, .dir = DIR_SENDRECV, .usable = true};
	ev.now = now;
	core_step(lab->core, &ev, &lab->out);
	lab->s->caller[i].leg = lab->out.leg;
	lab->entered[i] = now;
	n = lab->out.nactions;
	assert_true(n > 0);
	react(lab, now);
}

static void answer(struct lab *lab, const struct todo *t)
{
	struct event ev = {.type = EV_ANSWER, .leg = t->leg};
	unsigned i = t->caller, v = lab->visit[i];

	lab->s->caller[i].visit[v].wait = t->at - lab->entered[i];
	plan(lab, end_of_talk(lab->s, i, v, t->at),
		v + 1 < lab->s->caller[i].nvisits ? EV_TRANSFER : EV_BYE, lab->s->caller[i].leg, i);
	ev.answer = (struct ev_answer){
		.status = 200, .sdp = {.what = SDP_ANSWER, .dir = DIR_SENDRECV, .usable = true}};
	step(lab, t->at, &ev);
}

static void transfer(struct lab *lab, const struct todo *t)
{
	struct event ev = {.type = EV_TRANSFER, .call = id_call(t->leg)};
	unsigned i = t->caller;

	lab->visit[i]++;
	lab->entered[i] = t->at;
	ev.transfer.cmd = 1;
	ev.transfer.origin = ORIGIN_CTL;
	ev.transfer.own_host = true;
	str_set(ev.transfer.asker, "ctl");
	snprintf(
		ev.transfer.number, NUM_MAX, "3%02u", lab->s->caller[i].visit[lab->visit[i]].queue);
	step(lab, t->at, &ev);
}

static void do_todo(struct lab *lab, const struct todo *t)
{
	struct event ev = {.type = t->type, .leg = t->leg};

	if (t->type == EV_INVITE) {
		come(lab, t->at, t->caller);
	} else if (t->type == EV_ANSWER) {
		answer(lab, t);
	} else if (t->type == EV_TRANSFER) {
		transfer(lab, t);
	} else if (t->type == EV_TIMER) {
		ev.call = t->timer.id;
		ev.timer = (struct ev_timer){.kind = t->timer.kind, .serial = t->timer.serial};
		step(lab, t->at, &ev);
	} else {
		ev.reject.status = t->type == EV_REJECT ? 603 : 0;
		step(lab, t->at, &ev);
		send(lab, t->at, EV_CLOSED, t->leg);
	}
}

/* Of what is at the same time: what phones do, rests that are over, the queue's second looks, who
 * comes. Only with progressive that happens, when several were dropped together. */
static unsigned turn_of(const struct todo *t)
{
	if (t->type == EV_INVITE)
		return 3;
	return t->type != EV_TIMER ? 0 : t->timer.kind == TIMER_AGENT ? 1 : 2;
}

static bool is_sooner(const struct todo *a, const struct todo *b)
{
	if (a->at != b->at)
		return a->at < b->at;
	return turn_of(a) != turn_of(b) ? turn_of(a) < turn_of(b) : a->caller < b->caller;
}

static void run_core(struct lab *lab)
{
	for (unsigned i = 0; i < CALLERS; i++)
		plan(lab, lab->s->caller[i].comes, EV_INVITE, ID_NONE, i);
	while (lab->n) {
		unsigned first = 0;
		struct todo t;

		for (unsigned i = 1; i < lab->n; i++)
			if (is_sooner(&lab->todo[i], &lab->todo[first]))
				first = i;
		t = lab->todo[first];
		lab->todo[first] = lab->todo[--lab->n];
		do_todo(lab, &t);
		if (lab->n % CHECK_EACH == 0) /* it looks at everybody */
			assert_null(core_check(lab->core));
	}
}

/* ---- side by side ---------------------------------------------------------------------------- */

static struct reference *reckon(const struct setting *s, enum rule without)
{
	struct reference *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->s = s;
	r->without = without;
	memset(r->wait, -1, sizeof(r->wait));
	for (unsigned i = 0; i < CALLERS; i++)
		r->stay[i].except = AGENTS;
	run_reference(r);
	return r;
}

static void run_in_core(struct setting *s)
{
	struct core_config *cfg = calloc(1, sizeof(*cfg));
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_true(cfg && lab);
	core_config_default(cfg);
	cfg->queue_wait_ms = cfg->queue_ring_ms = FAR_MS;
	cfg->away_after = 0;
	lab->s = s;
	lab->core = core_create(cfg, 0);
	core_out_init(&lab->out);
	furnish(lab);
	run_core(lab);
	assert_int_equal(core_call_count(lab->core), 0);
	core_destroy(lab->core);
	core_out_done(&lab->out);
	free(lab);
	free(cfg);
}

static int64_t longest_of(const struct setting *s)
{
	int64_t longest = 0;

	for (unsigned i = 0; i < CALLERS; i++)
		for (unsigned v = 0; v < s->caller[i].nvisits; v++) {
			assert_true(s->caller[i].visit[v].wait >= 0); /* everybody was answered */
			if (s->caller[i].visit[v].wait > longest)
				longest = s->caller[i].visit[v].wait;
		}
	return longest;
}

static void expect_waits(const struct setting *s, const struct reference *r)
{
	for (unsigned i = 0; i < CALLERS; i++)
		for (unsigned v = 0; v < s->caller[i].nvisits; v++)
			if (s->caller[i].visit[v].wait != r->wait[i][v])
				fail_msg("seed %u: caller %u waits %lld ms in visit %u of queue%u "
					 "(%s), by the "
					 "reference %lld ms",
					(unsigned)s->seed, i, (long long)s->caller[i].visit[v].wait,
					v, s->caller[i].visit[v].queue,
					strategy_name(
						(int)s->strategy[s->caller[i].visit[v].queue]),
					(long long)r->wait[i][v]);
	assert_true(longest_of(s) >
		    20 * STRIDE_MS); /* there were not agents enough: there was a choice */
}

static void compare(uint64_t with, unsigned what, enum strategy strategy)
{
	struct setting *s = setting_of(with, what, strategy);
	struct reference *r = reckon(s, RULE_NONE);

	run_in_core(s);
	expect_waits(s, r);
	free(r);
	free(s);
}

static void test_waits_are_those_of_the_reference(void **state)
{
	(void)state;
	for (uint64_t with = 1; with <= 2; with++)
		compare(with, WITH_SHARED, strategy_count_);
	for (unsigned i = 0; i < sizeof(by_what_is_known) / sizeof(by_what_is_known[0]); i++)
		compare(3 + i, WITH_SHARED, by_what_is_known[i]);
}

/* Skills with levels and floors, widening, members of several queues. */
static void test_so_they_are_with_skills(void **state)
{
	(void)state;
	for (uint64_t with = 1; with <= 3; with++)
		compare(with, WITH_SHARED | WITH_SKILLS, strategy_count_);
}

/* Phones that decline, and callers who are transferred on, with what they have waited and a boost.
 */
static void test_so_they_are_with_declines_and_transfers(void **state)
{
	(void)state;
	for (uint64_t with = 11; with <= 12; with++) {
		compare(with, WITH_SHARED | WITH_DECLINES | WITH_TRANSFERS, strategy_count_);
		compare(with, WITH_SHARED | WITH_SKILLS | WITH_DECLINES | WITH_TRANSFERS,
			strategy_count_);
	}
}

static void test_so_they_are_where_many_ring(void **state)
{
	(void)state;
	compare(21, WITH_DECLINES | WITH_TRANSFERS, STRATEGY_RING_ALL);
	compare(22, WITH_DECLINES | WITH_TRANSFERS, STRATEGY_PROGRESSIVE);
	compare(23, WITH_SKILLS | WITH_DECLINES, STRATEGY_RING_ALL);
	compare(24, WITH_SKILLS | WITH_DECLINES, STRATEGY_PROGRESSIVE);
}

static void draw_lots(struct setting *s)
{
	for (unsigned q = 0; q < QUEUES; q++)
		s->strategy[q] = STRATEGY_RANDOM;
}

/* By lot the longest idle is as good as any other: see above. */
static void test_lots_make_nobody_wait(void **state)
{
	(void)state;
	for (uint64_t with = 31; with <= 32; with++) {
		struct setting *s =
			setting_of(with, WITH_DECLINES | WITH_TRANSFERS, STRATEGY_LONGEST_IDLE);
		struct reference *r = reckon(s, RULE_NONE);

		draw_lots(s);
		run_in_core(s);
		expect_waits(s, r);
		free(r);
		free(s);
	}
}

static int64_t longest_by(const struct reference *r)
{
	int64_t longest = 0;

	for (unsigned i = 0; i < CALLERS; i++)
		for (unsigned v = 0; v < 2; v++)
			if (r->wait[i][v] > longest)
				longest = r->wait[i][v];
	return longest;
}

/* Shared members: the longest wait is not twice that of the reference. */
static void test_lots_starve_nobody(void **state)
{
	(void)state;
	for (uint64_t with = 41; with <= 42; with++) {
		struct setting *s =
			setting_of(with, WITH_SHARED | WITH_DECLINES, STRATEGY_LONGEST_IDLE);
		struct reference *r = reckon(s, RULE_NONE);

		draw_lots(s);
		run_in_core(s);
		print_message("longest wait by lot %lld s, by the reference %lld s\n",
			(long long)longest_of(s) / 1000, (long long)longest_by(r) / 1000);
		assert_true(longest_of(s) < 2 * longest_by(r));
		free(r);
		free(s);
	}
}

static bool differs(const struct setting *s, const struct reference *whole, enum rule without)
{
	struct reference *r = reckon(s, without);
	bool same = memcmp(r->wait, whole->wait, sizeof(r->wait)) == 0;

	free(r);
	return !same;
}

/* Were a rule not kept to, somebody would wait longer or shorter: so the comparison can fail. */
static void test_each_rule_shows_in_the_waits(void **state)
{
	struct setting *s = setting_of(
		1, WITH_SHARED | WITH_SKILLS | WITH_DECLINES | WITH_TRANSFERS, strategy_count_);
	struct reference *whole = reckon(s, RULE_NONE);

	(void)state;
	assert_false(differs(s, whole, RULE_NONE));
	for (enum rule without = RULE_WEIGHT; without < rule_count_; without++)
		if (!differs(s, whole, without))
			fail_msg("nobody notices that rule %d is left out", (int)without);
	free(whole);
	free(s);
}

/* ---- many at once ---------------------------------------------------------------------------- */

#define CROWD 200

static void furnish_crowd(struct lab *lab)
{
	struct event ev = {.type = EV_DIR_QUEUE};

	str_set(ev.queue.queue, "queue0");
	str_set(ev.queue.number, "300");
	ev.queue.strategy = STRATEGY_RING_ALL;
	step(lab, 0, &ev);
	for (unsigned a = 0; a < CROWD; a++) {
		ev = (struct event){.type = EV_DIR_USER};
		snprintf(ev.user.user, USER_MAX, "agent%u", a);
		snprintf(ev.user.number, NUM_MAX, "2%03u", a);
		ev.user.enabled = true;
		step(lab, 0, &ev);
		ev = (struct event){.type = EV_CONTACTS, .contacts = {.n = 1, .contact = {a + 1}}};
		snprintf(ev.contacts.user, USER_MAX, "agent%u", a);
		step(lab, 0, &ev);
		ev = (struct event){.type = EV_DIR_MEMBER};
		str_set(ev.member.queue, "queue0");
		snprintf(ev.member.user, USER_MAX, "agent%u", a);
		step(lab, 0, &ev);
	}
}

/* More phones ring for one caller than a small number could count: each has a segment of its own.
 */
static void test_a_crowd_is_rung_at_once(void **state)
{
	struct core_config *cfg = calloc(1, sizeof(*cfg));
	struct setting *s = calloc(1, sizeof(*s));
	struct lab *lab = calloc(1, sizeof(*lab));

	(void)state;
	core_config_default(cfg);
	cfg->queue_ring_ms = FAR_MS;
	lab->s = s;
	lab->core = core_create(cfg, 0);
	core_out_init(&lab->out);
	furnish_crowd(lab);
	come(lab, 1001, 0);
	assert_int_equal(lab->rung, CROWD);
	assert_null(core_check(lab->core));
	send(lab, 2000, EV_CANCEL, s->caller[0].leg);
	assert_null(core_check(lab->core));
	core_destroy(lab->core);
	core_out_done(&lab->out);
	free(lab);
	free(s);
	free(cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_are_those_of_the_reference),
		cmocka_unit_test(test_so_they_are_with_skills),
		cmocka_unit_test(test_so_they_are_with_declines_and_transfers),
		cmocka_unit_test(test_so_they_are_where_many_ring),
		cmocka_unit_test(test_lots_make_nobody_wait),
		cmocka_unit_test(test_lots_starve_nobody),
		cmocka_unit_test(test_each_rule_shows_in_the_waits),
		cmocka_unit_test(test_a_crowd_is_rung_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
