/*
 * test_fair: nobody starves. Thousands of callers for queues that share their agents, with phones
 * that answer after the same time, go through the core; the same arrivals go through a reference
 * that looks at everybody every time. Each caller must wait exactly as long as there. The queues have
 * weights and strategies, their members levels and skills, and what they ask for is lowered over time.
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
#define CALLERS 2000
#define RING_MS 20000
#define FAR_MS	INT64_C(1000000000)

#define CHECK_EACH 16 /* steps */

/* Each caller has moments of his own: what he does, and when more agents may be asked for him, is at
 * other milliseconds of a stride than anything else. So no two things that matter happen at once in an
 * order that neither side promises. */
#define STRIDE_MS     4096
#define HIS_MOMENT(i) (2 * (int64_t)(i) + 1)
#define HIS_END(i)    (2 * (int64_t)(i))

struct caller {
	int64_t comes, talks; /* ms */
	unsigned queue;
	int64_t wait; /* until an agent answers; -1: nobody has */
	leg_id leg;
};

struct needed {
	uint32_t level, floor; /* level 0: not needed */
};

struct setting {
	bool member[QUEUES][AGENTS];
	uint32_t level[QUEUES][AGENTS], order[QUEUES][AGENTS];
	uint32_t weight[QUEUES], widen[QUEUES];
	enum strategy strategy[QUEUES];
	struct needed need[QUEUES][SKILLS];
	uint32_t skill[AGENTS][SKILLS];
	struct caller caller[CALLERS];
};

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(((z ^ (z >> 31)) >> 32) * n >> 32);
}

/* The first time from `at` on that is at this moment of the stride. */
static int64_t at_moment(int64_t at, int64_t moment)
{
	int64_t past = (at - moment) % STRIDE_MS;

	return past == 0 ? at : at + STRIDE_MS - past;
}

static int64_t end_of_talk(const struct setting *s, unsigned i, int64_t answered)
{
	return at_moment(answered + s->caller[i].talks, HIS_END(i));
}

static void invent(struct setting *s)
{
	int64_t now = 10 * STRIDE_MS;

	memset(s, 0, sizeof(*s));
	for (unsigned a = 0; a < AGENTS; a++) {
		s->member[a % QUEUES][a] = true; /* everybody serves somebody */
		for (unsigned n = below(4); n > 0; n--)
			s->member[below(QUEUES)][a] = true;
	}
	for (unsigned q = 0; q < QUEUES; q++)
		s->weight[q] = below(3);
	for (unsigned i = 0; i < CALLERS; i++) {
		now = at_moment(now + 1 + below(26000), HIS_MOMENT(i));
		s->caller[i] = (struct caller){.comes = now,
			.queue = below(QUEUES),
			.wait = -1,
			.talks = 1 + below(1400000)};
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
	static const enum strategy strategies[] = {
		STRATEGY_LONGEST_IDLE, STRATEGY_SKILLS, STRATEGY_LINEAR};

	for (unsigned q = 0; q < QUEUES; q++) {
		s->strategy[q] = strategies[below(3)];
		invent_needs(s, q);
		for (unsigned a = 0; a < AGENTS; a++) {
			s->level[q][a] = below(3);
			s->order[q][a] = below(4);
		}
	}
	for (unsigned a = 0; a < AGENTS; a++)
		for (unsigned k = 0; k < SKILLS; k++)
			s->skill[a][k] = a < QUEUES ? LEVELS : below(LEVELS + 1);
}

/* ---- the reference --------------------------------------------------------------------------- */

/* A rule that it leaves out, to show that the rule makes a difference. */
enum rule { RULE_NONE, RULE_WEIGHT, RULE_LEVEL, RULE_SKILL, RULE_FLOOR, RULE_WIDEN, RULE_ARRIVAL };

struct reference {
	const struct setting *s;
	enum rule without;
	bool waits[CALLERS];
	int64_t busy_until[AGENTS]; /* 0: free */
	int64_t idle_since[AGENTS];
	int64_t wait[CALLERS];
};

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

/* How many levels less are asked for this caller by now. */
static int64_t lowered(const struct reference *r, unsigned i, int64_t now)
{
	uint32_t widen = r->s->widen[r->s->caller[i].queue];

	return widen && r->without != RULE_WIDEN ? (now - r->s->caller[i].comes) / widen : 0;
}

static bool would_do(const struct reference *r, unsigned i, unsigned a, int64_t now)
{
	unsigned q = r->s->caller[i].queue;
	int64_t miss = misses(r, q, a);

	return r->s->member[q][a] && miss <= LEVELS && miss <= lowered(r, i, now);
}

static int64_t abilities(const struct setting *s, unsigned q, unsigned a)
{
	int64_t sum = 0;

	for (unsigned k = 0; k < SKILLS; k++)
		sum += s->need[q][k].level ? s->skill[a][k] : 0;
	return sum;
}

static bool is_asked_before(const struct reference *r, unsigned q, unsigned a, unsigned b)
{
	const struct setting *s = r->s;
	unsigned who[2] = {a, b};
	int64_t rank[2][5];

	for (unsigned i = 0; i < 2; i++) {
		int64_t order = s->order[q][who[i]], idle = r->idle_since[who[i]];
		int64_t can = abilities(s, q, who[i]);
		bool linear = s->strategy[q] == STRATEGY_LINEAR;
		bool skills = s->strategy[q] == STRATEGY_SKILLS;

		rank[i][0] = misses(r, q, who[i]);
		rank[i][1] = r->without == RULE_LEVEL ? 0 : s->level[q][who[i]];
		rank[i][2] = linear ? order : skills ? -can : idle;
		rank[i][3] = linear ? 0 : skills ? idle : order;
		rank[i][4] = who[i];
	}
	for (unsigned k = 0; k < 5; k++)
		if (rank[0][k] != rank[1][k])
			return rank[0][k] < rank[1][k];
	return false;
}

static void give(struct reference *r, unsigned i, unsigned a, int64_t now)
{
	r->waits[i] = false;
	r->wait[i] = now + RING_MS - r->s->caller[i].comes;
	r->busy_until[a] = end_of_talk(r->s, i, now + RING_MS);
}

/* He has come, or more agents may be asked for him than before. */
static void reference_ask(struct reference *r, unsigned i, int64_t now)
{
	unsigned best = AGENTS;

	for (unsigned a = 0; a < AGENTS; a++)
		if (r->busy_until[a] == 0 && would_do(r, i, a, now) &&
			(best == AGENTS || is_asked_before(r, r->s->caller[i].queue, a, best)))
			best = a;
	r->waits[i] = true;
	if (best < AGENTS)
		give(r, i, best, now);
}

static bool is_served_before(const struct reference *r, unsigned i, unsigned best)
{
	const struct caller *a = &r->s->caller[i], *b = &r->s->caller[best];

	if (r->s->weight[a->queue] != r->s->weight[b->queue] && r->without != RULE_WEIGHT)
		return r->s->weight[a->queue] > r->s->weight[b->queue];
	return r->without == RULE_ARRIVAL ? a->comes > b->comes : a->comes < b->comes;
}

static void reference_free(struct reference *r, unsigned a, unsigned known, int64_t now)
{
	unsigned best = CALLERS;

	r->busy_until[a] = 0;
	r->idle_since[a] = now;
	for (unsigned i = 0; i < known; i++)
		if (r->waits[i] && would_do(r, i, a, now) &&
			(best == CALLERS || is_served_before(r, i, best)))
			best = i;
	if (best < CALLERS)
		give(r, best, a, now);
}

static unsigned next_free(const struct reference *r)
{
	unsigned best = AGENTS;

	for (unsigned a = 0; a < AGENTS; a++)
		if (r->busy_until[a] && (best == AGENTS || r->busy_until[a] < r->busy_until[best]))
			best = a;
	return best;
}

/* When more agents may be asked for this caller than now. */
static int64_t next_lowering(const struct reference *r, unsigned i, int64_t now)
{
	const struct caller *c = &r->s->caller[i];
	uint32_t widen = r->s->widen[c->queue];
	int64_t steps = lowered(r, i, now) + 1;

	return !r->waits[i] || widen == 0 || r->without == RULE_WIDEN || steps > LEVELS
		       ? INT64_MAX
		       : c->comes + steps * widen;
}

static unsigned next_lowered(const struct reference *r, unsigned known, int64_t now)
{
	unsigned best = CALLERS;

	for (unsigned i = 0; i < known; i++)
		if (next_lowering(r, i, now) < INT64_MAX &&
			(best == CALLERS || next_lowering(r, i, now) < next_lowering(r, best, now)))
			best = i;
	return best;
}

static void run_reference(struct reference *r)
{
	unsigned come = 0, a, i;
	int64_t now = 0, at[3];

	for (;;) {
		a = next_free(r);
		i = next_lowered(r, come, now);
		at[0] = come < CALLERS ? r->s->caller[come].comes : INT64_MAX;
		at[1] = a < AGENTS ? r->busy_until[a] : INT64_MAX;
		at[2] = i < CALLERS ? next_lowering(r, i, now) : INT64_MAX;
		now = at[0] < at[1] ? at[0] : at[1];
		now = at[2] < now ? at[2] : now;
		if (now == INT64_MAX)
			return;
		if (now == at[0])
			reference_ask(r, come++, now);
		else if (now == at[1])
			reference_free(r, a, come, now);
		else
			reference_ask(r, i, now);
	}
}

/* ---- the core, with phones that do what they should -------------------------------------------
 */

struct todo {
	int64_t at;
	enum ev type; /* INVITE, ANSWER, BYE, TIMER */
	leg_id leg;
	unsigned caller;
	struct act_timer timer;
};

struct lab {
	struct core *core;
	struct core_out out;
	struct setting *s;
	struct todo todo[4 * CALLERS + AGENTS];
	unsigned n;
};

static void plan(struct lab *lab, int64_t at, enum ev type, leg_id leg, unsigned caller)
{
	assert_true(lab->n < sizeof(lab->todo) / sizeof(lab->todo[0]));
	lab->todo[lab->n++] = (struct todo){.at = at, .type = type, .leg = leg, .caller = caller};
}

/* Of the timers only those by which a queue looks again: nothing else is late here. One that was
 * stopped is told all the same, and changes nothing. */
static void plan_timer(struct lab *lab, int64_t now, const struct act_timer *t)
{
	if (t->kind != TIMER_QUEUE || t->ms < 0 || t->ms >= FAR_MS)
		return;
	plan(lab, now + t->ms, EV_TIMER, ID_NONE, 0);
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

static unsigned caller_of(const struct lab *lab, leg_id leg)
{
	for (unsigned i = 0; i < CALLERS; i++)
		if (id_call(lab->s->caller[i].leg) == id_call(leg))
			return i;
	return CALLERS;
}

static void answered(struct lab *lab, int64_t now, leg_id leg)
{
	unsigned i = caller_of(lab, leg);

	assert_true(i < CALLERS);
	lab->s->caller[i].wait = now - lab->s->caller[i].comes;
	plan(lab, end_of_talk(lab->s, i, now), EV_BYE, leg, i);
	send(lab, now, EV_ACK, leg);
}

static void react(struct lab *lab, int64_t now)
{
	unsigned n = lab->out.nactions;
	struct action *a = malloc((n + 1) * sizeof(*a)); /* steps that follow use the same output */

	if (n > 0)
		memcpy(a, lab->out.actions, n * sizeof(*a));
	for (unsigned i = 0; i < n; i++) {
		if (a[i].type == ACT_DIAL)
			plan(lab, now + RING_MS, EV_ANSWER, a[i].leg, 0);
		else if (a[i].type == ACT_ANSWER)
			answered(lab, now, a[i].leg);
		else if (a[i].type == ACT_HANGUP || a[i].type == ACT_REJECT)
			send(lab, now, EV_CLOSED, a[i].leg);
		else if (a[i].type == ACT_TIMER)
			plan_timer(lab, now, &a[i].timer);
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
	ev.queue.strategy = lab->s->strategy[q];
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
	if (lab->s->member[q][a])
		step(lab, 0, &ev);
}

static void furnish_agent(struct lab *lab, unsigned a)
{
	struct event ev = {.type = EV_DIR_USER};

	snprintf(ev.user.user, USER_MAX, "agent%u", a);
	snprintf(ev.user.number, NUM_MAX, "2%02u", a);
	ev.user.enabled = true;
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
	snprintf(ev.invite.number, NUM_MAX, "3%02u", lab->s->caller[i].queue);
	ev.invite.sdp = (struct sdp_note){.what = SDP_OFFER, .dir = DIR_SENDRECV, .usable = true};
	ev.now = now;
	core_step(lab->core, &ev, &lab->out);
	lab->s->caller[i].leg = lab->out.leg;
	n = lab->out.nactions;
	assert_true(n > 0);
	react(lab, now);
}

static void do_todo(struct lab *lab, const struct todo *t)
{
	struct event ev = {.type = t->type, .leg = t->leg};

	if (t->type == EV_INVITE) {
		come(lab, t->at, t->caller);
		return;
	}
	if (t->type == EV_ANSWER)
		ev.answer = (struct ev_answer){.status = 200,
			.sdp = {.what = SDP_ANSWER, .dir = DIR_SENDRECV, .usable = true}};
	if (t->type == EV_TIMER) {
		ev.call = t->timer.id;
		ev.timer = (struct ev_timer){.kind = t->timer.kind, .serial = t->timer.serial};
	}
	step(lab, t->at, &ev);
	if (t->type == EV_BYE)
		send(lab, t->at, EV_CLOSED, t->leg);
}

static void run_core(struct lab *lab)
{
	for (unsigned i = 0; i < CALLERS; i++)
		plan(lab, lab->s->caller[i].comes, EV_INVITE, ID_NONE, i);
	while (lab->n) {
		unsigned first = 0;
		struct todo t;

		for (unsigned i = 1; i < lab->n; i++)
			if (lab->todo[i].at < lab->todo[first].at)
				first = i;
		t = lab->todo[first];
		lab->todo[first] = lab->todo[--lab->n];
		do_todo(lab, &t);
		if (lab->n % CHECK_EACH == 0) /* it looks at everybody */
			assert_null(core_check(lab->core));
	}
}

/* ---- side by side ---------------------------------------------------------------------------- */

static struct setting *setting_of(uint64_t with, bool skilled)
{
	struct setting *s = calloc(1, sizeof(*s));

	seed = with;
	invent(s);
	if (skilled)
		invent_skills(s);
	return s;
}

static struct reference *reckon(const struct setting *s, enum rule without)
{
	struct reference *r = calloc(1, sizeof(*r));

	r->s = s;
	r->without = without;
	for (unsigned i = 0; i < CALLERS; i++)
		r->wait[i] = -1;
	run_reference(r);
	return r;
}

static void run_in_core(struct setting *s)
{
	struct core_config *cfg = calloc(1, sizeof(*cfg));
	struct lab *lab = calloc(1, sizeof(*lab));

	core_config_default(cfg);
	cfg->queue_wait_ms = cfg->queue_ring_ms = FAR_MS;
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

static void compare(uint64_t with, bool skilled)
{
	struct setting *s = setting_of(with, skilled);
	struct reference *r = reckon(s, RULE_NONE);
	int64_t longest = 0;

	run_in_core(s);
	for (unsigned i = 0; i < CALLERS; i++) {
		if (s->caller[i].wait != r->wait[i])
			fail_msg("seed %u: caller %u of queue%u waits %lld ms, by the reference %lld ms",
				(unsigned)with, i, s->caller[i].queue, (long long)s->caller[i].wait,
				(long long)r->wait[i]);
		assert_true(r->wait[i] >= RING_MS); /* everybody was answered */
		if (r->wait[i] > longest)
			longest = r->wait[i];
	}
	assert_true(longest > RING_MS + STRIDE_MS); /* there were not agents enough: there was a choice */
	free(r);
	free(s);
}

static void test_waits_are_those_of_the_reference(void **state)
{
	(void)state;
	for (uint64_t with = 1; with <= 4; with++)
		compare(with, false);
}

/* Skills with levels and floors, widening, several strategies, members of several queues. */
static void test_so_they_are_with_skills(void **state)
{
	(void)state;
	for (uint64_t with = 1; with <= 6; with++)
		compare(with, true);
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
	struct setting *s = setting_of(1, true);
	struct reference *whole = reckon(s, RULE_NONE);

	(void)state;
	assert_false(differs(s, whole, RULE_NONE));
	for (enum rule without = RULE_WEIGHT; without <= RULE_ARRIVAL; without++)
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

/* More phones ring for one caller than a small number could count: each has a segment of its own. */
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
	assert_int_equal(lab->n, CROWD);
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
		cmocka_unit_test(test_each_rule_shows_in_the_waits),
		cmocka_unit_test(test_a_crowd_is_rung_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
