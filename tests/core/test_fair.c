/*
 * test_fair: nobody starves. Thousands of callers for queues that share their agents, with phones
 * that answer after the same time, go through the core; the same arrivals go through a reference
 * that looks at everybody every time. Each caller must wait exactly as long as there.
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
#define CALLERS 2000
#define RING_MS 2000

struct caller {
	int64_t comes, talks; /* ms */
	unsigned queue;
	int64_t wait; /* until an agent answers; -1: nobody has */
	leg_id leg;
};

struct setting {
	bool member[QUEUES][AGENTS];
	uint32_t weight[QUEUES];
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

/* Arrivals at odd and ends of talks at even milliseconds, so that no two things that matter happen
 * at once in an order that neither side promises. */
static void invent(struct setting *s)
{
	int64_t now = 1001;

	memset(s, 0, sizeof(*s));
	for (unsigned a = 0; a < AGENTS; a++) {
		s->member[a % QUEUES][a] = true; /* everybody serves somebody */
		for (unsigned n = below(4); n > 0; n--)
			s->member[below(QUEUES)][a] = true;
	}
	for (unsigned q = 0; q < QUEUES; q++)
		s->weight[q] = below(3);
	for (unsigned i = 0; i < CALLERS; i++) {
		now += 2 * (1 + (int64_t)below(800));
		s->caller[i] = (struct caller){.comes = now,
			.queue = below(QUEUES),
			.wait = -1,
			.talks = 1 + 2 * (int64_t)below(45000)};
	}
}

/* ---- the reference --------------------------------------------------------------------------- */

struct reference {
	const struct setting *s;
	bool waits[CALLERS];
	int64_t busy_until[AGENTS]; /* 0: free */
	int64_t idle_since[AGENTS];
	int64_t wait[CALLERS];
};

static void give(struct reference *r, unsigned i, unsigned a, int64_t now)
{
	r->waits[i] = false;
	r->wait[i] = now + RING_MS - r->s->caller[i].comes;
	r->busy_until[a] = now + RING_MS + r->s->caller[i].talks;
}

static void reference_arrival(struct reference *r, unsigned i, int64_t now)
{
	unsigned best = AGENTS;

	for (unsigned a = 0; a < AGENTS; a++)
		if (r->s->member[r->s->caller[i].queue][a] && r->busy_until[a] == 0 &&
			(best == AGENTS || r->idle_since[a] < r->idle_since[best]))
			best = a;
	r->waits[i] = true;
	if (best < AGENTS)
		give(r, i, best, now);
}

static void reference_free(struct reference *r, unsigned a, unsigned known, int64_t now)
{
	unsigned best = CALLERS;

	r->busy_until[a] = 0;
	r->idle_since[a] = now;
	for (unsigned i = 0; i < known; i++) {
		unsigned q = r->s->caller[i].queue;

		if (!r->waits[i] || !r->s->member[q][a])
			continue;
		if (best == CALLERS || r->s->weight[q] > r->s->weight[r->s->caller[best].queue])
			best = i; /* callers are in order of arrival */
	}
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

static void run_reference(struct reference *r)
{
	unsigned come = 0, a;

	for (;;) {
		a = next_free(r);
		if (come < CALLERS &&
			(a == AGENTS || r->s->caller[come].comes < r->busy_until[a])) {
			reference_arrival(r, come, r->s->caller[come].comes);
			come++;
		} else if (a < AGENTS) {
			reference_free(r, a, come, r->busy_until[a]);
		} else {
			return;
		}
	}
}

/* ---- the core, with phones that do what they should -------------------------------------------
 */

struct todo {
	int64_t at;
	enum ev type; /* INVITE, ANSWER, BYE */
	leg_id leg;
	unsigned caller;
};

struct lab {
	struct core *core;
	struct core_out out;
	struct setting *s;
	struct todo todo[2 * CALLERS + AGENTS];
	unsigned n;
};

static void plan(struct lab *lab, int64_t at, enum ev type, leg_id leg, unsigned caller)
{
	lab->todo[lab->n++] = (struct todo){at, type, leg, caller};
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
	plan(lab, now + lab->s->caller[i].talks, EV_BYE, leg, i);
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
	}
	free(a);
}

static void furnish(struct lab *lab)
{
	for (unsigned q = 0; q < QUEUES; q++) {
		struct event ev = {.type = EV_DIR_QUEUE};

		snprintf(ev.queue.queue, USER_MAX, "queue%u", q);
		snprintf(ev.queue.number, NUM_MAX, "3%02u", q);
		ev.queue.weight = lab->s->weight[q];
		step(lab, 0, &ev);
	}
	for (unsigned a = 0; a < AGENTS; a++) {
		struct event ev = {.type = EV_DIR_USER};

		snprintf(ev.user.user, USER_MAX, "agent%u", a);
		snprintf(ev.user.number, NUM_MAX, "2%02u", a);
		ev.user.enabled = true;
		step(lab, 0, &ev);
		ev = (struct event){.type = EV_CONTACTS, .contacts = {.n = 1, .contact = {a + 1}}};
		snprintf(ev.contacts.user, USER_MAX, "agent%u", a);
		step(lab, 0, &ev);
		for (unsigned q = 0; q < QUEUES; q++) {
			ev = (struct event){.type = EV_DIR_MEMBER};
			snprintf(ev.member.queue, USER_MAX, "queue%u", q);
			snprintf(ev.member.user, USER_MAX, "agent%u", a);
			if (lab->s->member[q][a])
				step(lab, 0, &ev);
		}
	}
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
		assert_null(core_check(lab->core));
	}
}

/* ---- side by side ---------------------------------------------------------------------------- */

static void compare(uint64_t with)
{
	struct core_config *cfg = calloc(1, sizeof(*cfg));
	struct setting *s = calloc(1, sizeof(*s));
	struct reference *r = calloc(1, sizeof(*r));
	struct lab *lab = calloc(1, sizeof(*lab));
	int64_t longest = 0;

	seed = with;
	invent(s);
	r->s = s;
	run_reference(r);
	core_config_default(cfg);
	cfg->queue_wait_ms = INT64_C(1000000000);
	lab->s = s;
	lab->core = core_create(cfg, 0);
	core_out_init(&lab->out);
	furnish(lab);
	run_core(lab);
	assert_int_equal(core_call_count(lab->core), 0);
	for (unsigned i = 0; i < CALLERS; i++) {
		if (s->caller[i].wait != r->wait[i])
			fail_msg("seed %u: caller %u waits %lld ms, by the reference %lld ms",
				(unsigned)with, i, (long long)s->caller[i].wait,
				(long long)r->wait[i]);
		if (r->wait[i] > longest)
			longest = r->wait[i];
	}
	assert_true(
		longest > RING_MS + 1000); /* there were not agents enough, so there was a choice */
	core_destroy(lab->core);
	core_out_done(&lab->out);
	free(lab);
	free(r);
	free(s);
	free(cfg);
}

static void test_waits_are_those_of_the_reference(void **state)
{
	(void)state;
	for (uint64_t with = 1; with <= 4; with++)
		compare(with);
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
		cmocka_unit_test(test_a_crowd_is_rung_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
