/* strategy, order: each strategy with its table of examples, and the ordered set that it fills. */
#include "core/strategy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AGENTS_MAX 6
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

/* One example: agents as candidates, and the order in which they are asked, by their numbers. */
struct example {
	const char *what;
	struct candidate
		agent[AGENTS_MAX]; /* no 1, 2, 3 .. by place; weight and the like default to 0 */
	unsigned n;
	const char *order;
};

struct ranked {
	struct order_node node;
	char name;
};

static void check_order(enum strategy s, const struct example *e)
{
	struct ranked r[AGENTS_MAX];
	struct order o = {0};
	char got[AGENTS_MAX + 1] = "";
	unsigned n = 0;

	memset(r, 0, sizeof(r));
	for (unsigned i = 0; i < e->n; i++) {
		struct candidate c = e->agent[i];

		c.no = i + 1;
		r[i].name = (char)('a' + i);
		strategy_rank(s, &c, 0, 0, r[i].node.key);
		order_insert(&o, &r[i].node);
	}
	for (struct order_node *x = order_first(&o); x; x = order_next(&o, x))
		got[n++] = ORDER_OF(x, struct ranked, node)->name;
	if (strcmp(got, e->order) != 0)
		fail_msg("%s, %s: asked %s, expected %s", strategy_name((int)s), e->what, got,
			e->order);
}

static void check_all(enum strategy s, const struct example *e, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		check_order(s, &e[i]);
}

static void test_longest_idle(void **state)
{
	static const struct example table[] = {
		{"who is idle since earlier",
			{{.idle_since = 300}, {.idle_since = 100}, {.idle_since = 200}}, 3, "bca"},
		{"a lower level first",
			{{.idle_since = 1, .level = 2}, {.idle_since = 9, .level = 1}}, 2, "ba"},
		{"equal: by order", {{.idle_since = 5, .order = 2}, {.idle_since = 5, .order = 1}},
			2, "ba"},
		{"equal in all: who was a member first", {{.idle_since = 5}, {.idle_since = 5}}, 2,
			"ab"},
	};

	(void)state;
	check_all(STRATEGY_LONGEST_IDLE, table, COUNT(table));
}

static void test_round_robin(void **state)
{
	static const struct example table[] = {
		{"who was asked least recently",
			{{.offered_at = 50}, {.offered_at = 70}, {.offered_at = 60}}, 3, "acb"},
		{"who was never asked is first", {{.offered_at = 50}, {0}}, 2, "ba"},
		{"idle time does not count",
			{{.offered_at = 50, .idle_since = 1}, {.offered_at = 40, .idle_since = 9}},
			2, "ba"},
	};

	(void)state;
	check_all(STRATEGY_ROUND_ROBIN, table, COUNT(table));
}

static void test_fewest_calls(void **state)
{
	static const struct example table[] = {
		{"by number of callers", {{.answered = 3}, {.answered = 1}, {.answered = 2}}, 3,
			"bca"},
		{"equal: the longest idle",
			{{.answered = 3, .idle_since = 9}, {.answered = 3, .idle_since = 4}}, 2,
			"ba"},
		{"a level goes before", {{.answered = 0, .level = 1}, {.answered = 9}}, 2, "ba"},
	};

	(void)state;
	check_all(STRATEGY_FEWEST_CALLS, table, COUNT(table));
}

static void test_least_talk(void **state)
{
	static const struct example table[] = {
		{"by time with callers",
			{{.talk_ms = 30000}, {.talk_ms = 10000}, {.talk_ms = 20000}}, 3, "bca"},
		{"one long call weighs more than many short ones",
			{{.talk_ms = 30000, .answered = 1}, {.talk_ms = 20000, .answered = 9}}, 2,
			"ba"},
		{"equal: the longest idle", {{.idle_since = 9}, {.idle_since = 4}}, 2, "ba"},
	};

	(void)state;
	check_all(STRATEGY_LEAST_TALK, table, COUNT(table));
}

static void test_linear(void **state)
{
	static const struct example table[] = {
		{"by order, always from the start",
			{{.order = 3, .idle_since = 1}, {.order = 1, .idle_since = 9},
				{.order = 2, .idle_since = 5}},
			3, "bca"},
		{"equal: who was a member first", {{.order = 1}, {.order = 1}}, 2, "ab"},
	};

	(void)state;
	check_all(STRATEGY_LINEAR, table, COUNT(table));
}

static void test_skills(void **state)
{
	static const struct example table[] = {
		{"who misses nothing first",
			{{.deficit = 1, .skill = 9}, {.deficit = 0, .skill = 5}}, 2, "ba"},
		{"then who can do most", {{.skill = 4}, {.skill = 7}, {.skill = 5}}, 3, "bca"},
		{"equal: the longest idle",
			{{.skill = 4, .idle_since = 9}, {.skill = 4, .idle_since = 2}}, 2, "ba"},
		{"what is missed goes before the level",
			{{.deficit = 2, .level = 0}, {.deficit = 1, .level = 3}}, 2, "ba"},
	};

	(void)state;
	check_all(STRATEGY_SKILLS, table, COUNT(table));
}

static void test_ring_all_and_progressive(void **state)
{
	static const struct example table[] = {
		{"levels, then the longest idle",
			{{.level = 2}, {.level = 1, .idle_since = 9},
				{.level = 1, .idle_since = 4}},
			3, "cba"},
	};
	struct candidate near = {.level = 1}, far = {.level = 2};
	int64_t a[ORDER_KEYS], b[ORDER_KEYS], c[ORDER_KEYS];

	(void)state;
	check_all(STRATEGY_RING_ALL, table, COUNT(table));
	check_all(STRATEGY_PROGRESSIVE, table, COUNT(table));
	assert_true(strategy_asks_all(STRATEGY_RING_ALL));
	assert_false(strategy_asks_all(STRATEGY_PROGRESSIVE));
	assert_true(strategy_asks_more(STRATEGY_PROGRESSIVE));
	assert_false(strategy_asks_more(STRATEGY_LONGEST_IDLE));
	strategy_rank(STRATEGY_RING_ALL, &near, 0, 0, a);
	near.idle_since = 77;
	strategy_rank(STRATEGY_RING_ALL, &near, 0, 0, b);
	strategy_rank(STRATEGY_RING_ALL, &far, 0, 0, c);
	assert_true(strategy_same_level(a, b)); /* ring together */
	assert_false(strategy_same_level(a, c));
}

/* ---- by lot ---------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *s)
{
	uint64_t z = (*s += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Draws `rounds` times; whoever is drawn comes back into the race at once. */
static void draw(const uint32_t *weight, unsigned n, unsigned rounds, unsigned *drawn)
{
	struct ranked r[AGENTS_MAX];
	struct order o = {0};
	uint64_t seed = 7;
	int64_t drum = 0;

	memset(r, 0, sizeof(r));
	for (unsigned i = 0; i < n; i++)
		drawn[i] = 0;
	for (unsigned round = 0; round < rounds + n; round++) {
		unsigned i = round;

		if (round >= n) {
			struct order_node *first = order_first(&o);

			i = (unsigned)(ORDER_OF(first, struct ranked, node) - r);
			drawn[i]++;
			drum = strategy_drawn(STRATEGY_RANDOM, first->key, drum);
			order_remove(&o, first);
		}
		struct candidate c = {.no = i + 1, .weight = weight[i]};

		strategy_rank(STRATEGY_RANDOM, &c, next_random(&seed), drum, r[i].node.key);
		order_insert(&o, &r[i].node);
	}
}

static void test_random_is_weighted(void **state)
{
	static const struct {
		uint32_t weight[3];
		unsigned share[3]; /* of 20000 draws, to 3 per cent of them */
	} table[] = {
		{{1, 1, 2}, {5000, 5000, 10000}}, {{1, 1, 1}, {6667, 6667, 6667}},
		{{0, 9, 0}, {1818, 16364, 1818}}, /* none given: one lot */
	};
	unsigned drawn[3];

	(void)state;
	for (unsigned t = 0; t < COUNT(table); t++) {
		draw(table[t].weight, 3, 20000, drawn);
		for (unsigned i = 0; i < 3; i++)
			assert_in_range(drawn[i], table[t].share[i] - 600, table[t].share[i] + 600);
	}
}

static void test_random_keeps_levels(void **state)
{
	struct candidate low = {.no = 1, .level = 1}, high = {.no = 2, .level = 2, .weight = 1000};
	int64_t a[ORDER_KEYS], b[ORDER_KEYS];

	(void)state;
	strategy_rank(STRATEGY_RANDOM, &low, 1, 0, a);
	strategy_rank(STRATEGY_RANDOM, &high, UINT64_MAX, 0, b);
	assert_true(a[0] < b[0]);
}

/* ---- skills ---------------------------------------------------------------------------------- */

static void test_deficit(void **state)
{
	static const struct {
		const char *what;
		struct ev_dir_need need[2];
		unsigned n;
		uint32_t has[2], deficit;
	} table[] = {
		{"nothing is needed", {{0}}, 0, {0, 0}, 0},
		{"has it", {{.level = 3}}, 1, {3, 0}, 0},
		{"has more", {{.level = 3}}, 1, {7, 0}, 0},
		{"two levels too few", {{.level = 5}}, 1, {3, 0}, 2},
		{"the worst of two counts", {{.level = 5}, {.level = 2}}, 2, {4, 0}, 2},
		{"below the floor", {{.level = 5, .floor = 3}}, 1, {2, 0}, DEFICIT_NEVER},
		{"on the floor", {{.level = 5, .floor = 3}}, 1, {3, 0}, 2},
		{"cannot do it at all", {{.level = 1, .floor = 1}}, 1, {0, 0}, DEFICIT_NEVER},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(table); i++)
		if (strategy_deficit(table[i].need, table[i].has, table[i].n) != table[i].deficit)
			fail_msg("%s", table[i].what);
}

static void test_widening(void **state)
{
	static const struct {
		int64_t waited;
		uint32_t widen, deficit;
		bool admits;
	} table[] = {
		{0, 10000, 0, true},
		{9999, 10000, 1, false},
		{10000, 10000, 1, true},
		{25000, 10000, 3, false},
		{30000, 10000, 3, true},
		{3600000, 0, 1, false}, /* never widened */
		{-5, 10000, 0, true},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(table); i++) {
		struct candidate c = {.no = 1, .deficit = table[i].deficit, .level = 5};
		int64_t rank[ORDER_KEYS];

		strategy_rank(STRATEGY_SKILLS, &c, 0, 0, rank);
		assert_int_equal(
			strategy_admits(rank, strategy_steps(table[i].waited, table[i].widen)),
			table[i].admits);
	}
}

/* ---- the ordered set ------------------------------------------------------------------------- */

#define NODES 500

/* Against a sorted array: place, at-place, next, first, through inserts and removals at random. */
static void test_order_agrees_with_an_array(void **state)
{
	static struct order_node node[NODES];
	struct order o = {0};
	uint64_t seed = 3;
	unsigned count = 0;

	(void)state;
	for (unsigned i = 0; i < NODES; i++)
		node[i].key[3] = i;
	for (unsigned round = 0; round < 20000; round++) {
		struct order_node *n = &node[next_random(&seed) % NODES];
		unsigned before = 0;

		if (order_has(n)) {
			order_remove(&o, n);
			count--;
		} else {
			n->key[0] = (int64_t)(next_random(&seed) % 50) - 25;
			order_insert(&o, n);
			count++;
		}
		assert_int_equal(order_count(&o), count);
		if (round % 97 || !order_has(n))
			continue;
		for (unsigned i = 0; i < NODES; i++)
			before +=
				order_has(&node[i]) &&
				(node[i].key[0] < n->key[0] || (node[i].key[0] == n->key[0] &&
								       node[i].key[3] < n->key[3]));
		assert_int_equal(order_place(&o, n), before);
		assert_ptr_equal(order_at(&o, before), n);
		assert_ptr_equal(order_next(&o, n), order_at(&o, before + 1));
		assert_ptr_equal(order_first(&o), order_at(&o, 0));
		assert_null(order_at(&o, count));
	}
}

/* The depth that a search goes down grows with the logarithm, also when keys come in order. */
static void test_order_stays_flat(void **state)
{
	static struct order_node node[1 << 14];
	struct order o = {0};
	unsigned depth = 0;

	(void)state;
	for (unsigned i = 0; i < COUNT(node); i++) {
		node[i].key[0] = i;
		order_insert(&o, &node[i]);
	}
	for (struct order_node *n = o.root; n; n = n->left)
		depth++;
	assert_in_range(depth, 1, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_idle),
		cmocka_unit_test(test_round_robin),
		cmocka_unit_test(test_fewest_calls),
		cmocka_unit_test(test_least_talk),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_skills),
		cmocka_unit_test(test_ring_all_and_progressive),
		cmocka_unit_test(test_random_is_weighted),
		cmocka_unit_test(test_random_keeps_levels),
		cmocka_unit_test(test_deficit),
		cmocka_unit_test(test_widening),
		cmocka_unit_test(test_order_agrees_with_an_array),
		cmocka_unit_test(test_order_stays_flat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
