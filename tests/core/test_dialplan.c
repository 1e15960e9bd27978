/*
 * test_dialplan: the pattern language, number normalisation and routing, as tables of examples.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/dialplan.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *pattern, *number;
	bool fits;
} patterns[] = {
	{"200", "200", true},
	{"200", "20", false},
	{"200", "2000", false},
	{"2XX", "299", true},
	{"2XX", "2a9", false},
	{"Z", "0", false},
	{"Z", "1", true},
	{"N", "1", false},
	{"N", "2", true},
	{"N", "9", true},
	{"[1-5]0", "30", true},
	{"[1-5]0", "60", false},
	{"[135]0", "30", true},
	{"[135]0", "20", false},
	{"[1-39]", "9", true},
	{"[1-39]", "5", false},
	{"[*#]1", "#1", true},
	{"[a-c]x", "bx", true},
	{"0.", "0", false},
	{"0.", "01", true},
	{"0.", "0049891234", true},
	{"0!", "0", true},
	{"0!", "01", true},
	{".", "", false},
	{".", "anything", true},
	{"!", "", true},
	{"!", "1", true},
	{"+49.", "+4989", true},
	{"+49.", "004989", false},
	{"*98", "*98", true},
	{"#1", "#1", true},
	{"alice", "alice", true},
	{"alice", "Alice", false},
	{"", "", false},
	{"[5", "5", false},
	{"[]", "", false},
	{"1.2", "1.2", false},
	{"[5-1]", "3", false},
};

static void test_patterns(void **state)
{
	for (size_t i = 0; i < COUNT(patterns); i++)
		if (dialplan_pattern_match(patterns[i].pattern, patterns[i].number) !=
			patterns[i].fits)
			fail_msg("pattern \"%s\" and number \"%s\": expected %s",
				patterns[i].pattern, patterns[i].number,
				patterns[i].fits ? "a match" : "no match");
}

static const struct {
	const char *pattern, *complaint; /* NULL: the pattern is good */
} checks[] = {
	{"200", NULL},
	{"[1-5]X.", NULL},
	{"+49!", NULL},
	{"bob_w", NULL},
	{"", "pattern \"\", character 1: is empty"},
	{"1.2", "character 2: \".\" and \"!\" may only end a pattern"},
	{"1!2", "character 2: \".\" and \"!\" may only end a pattern"},
	{"12]", "character 3: \"]\" without \"[\""},
	{"1[]", "character 3: not a set"},
	{"1[2", "character 2: not a set"},
	{"1[5-2]", "character 3: not a set"},
	{"1[a-5]", "character 3: not a set"},
	{"1[2-]", "character 3: not a set"},
	{"1 2", "character 2: expected a digit"},
	{"1/2", "pattern \"1/2\", character 2: expected a digit"},
	{"1234567890123456789012345678901234567890123456789012345678901234",
		"character 64: is too long"},
};

static void test_checks(void **state)
{
	for (size_t i = 0; i < COUNT(checks); i++) {
		char err[256] = "";
		int rc = dialplan_pattern_check(checks[i].pattern, err, sizeof(err));

		assert_int_equal(rc, checks[i].complaint == NULL ? 0 : EINVAL);
		if (checks[i].complaint != NULL && strstr(err, checks[i].complaint) == NULL)
			fail_msg("\"%s\": got <%s>, expected <%s>", checks[i].pattern, err,
				checks[i].complaint);
	}
}

static const struct {
	const char *number, *plain;
	int err;
} numbers[] = {
	{"200", "200", 0},
	{"+49 (89) 123-45.67", "+49891234567", 0},
	{"(030) 12 34", "0301234", 0},
	{"*98#", "*98#", 0},
	{"+4989;phone-context=example.com", "+4989", 0},
	{"alice.b-c", "alice.b-c", 0}, /* a name keeps its dots */
	{"j\xc3\xb6rg.x", "j\xc3\xb6rg.x", 0},
	{"", "", EINVAL},
	{" -.()", "", EINVAL},
	{";x=1", "", EINVAL},
	{"1234567890123456789012345678901234567890123456789012345678901234", NULL, ENAMETOOLONG},
};

static void test_normalize(void **state)
{
	for (size_t i = 0; i < COUNT(numbers); i++) {
		char plain[NUM_MAX];

		assert_int_equal(dialplan_normalize(numbers[i].number, plain, sizeof(plain)),
			numbers[i].err);
		if (numbers[i].plain != NULL)
			assert_string_equal(plain, numbers[i].plain);
	}
}

static const struct route routes[] = {
	{.pattern = "00.",
		.kind = TARGET_EXTERNAL,
		.target = "trunk",
		.strip = 2,
		.prefix = "+",
		.source = "users",
		.transfer = true},
	{.pattern = "0900.", .kind = TARGET_NONE},
	{.pattern = "0ZX.",
		.kind = TARGET_EXTERNAL,
		.target = "trunk",
		.strip = 1,
		.prefix = "+49"},
	{.pattern = "555", .kind = TARGET_IVR, .target = "menu"},
	{.pattern = "+49891234XX", .kind = TARGET_USER, .strip = 9, .source = "trunk"},
	{.pattern = "support", .kind = TARGET_QUEUE, .target = "support"},
	{.pattern = "7X", .kind = TARGET_EXTERNAL, .target = "pbx", .strip = 9, .prefix = "100"},
	{.pattern = "8.",
		.kind = TARGET_EXTERNAL,
		.target = "pbx",
		.prefix = "123456789012345678901234567890123456789012345678901234567890"},
	{.pattern = "!", .kind = TARGET_USER, .source = "pbx"},
};

static const struct {
	const char *number, *source;
	int err;
	int route; /* -1: none */
	const char *rewritten;
} wanted[] = {
	{"0044 20 7946", "users", 0, 0, "+44207946"},
	{"0044207946", "trunk", ENOENT, -1, "0044207946"},
	{"0900123", "users", EACCES, 1, "0900123"},
	{"0891234", "users", 0, 2, "+49891234"},
	{"555", "trunk", 0, 3, "555"},
	{"+4989123456", "trunk", 0, 4, "56"},
	{"+4989123456", "users", ENOENT, -1, "+4989123456"},
	{"support", "users", 0, 5, "support"},
	{"71", "users", 0, 6, "100"}, /* strip beyond the end leaves the prefix */
	{"8123456789", "users", ENAMETOOLONG, 7, NULL},
	{"anything", "pbx", 0, 8, "anything"},
	{"\xc3\xb6", "pbx", 0, 8, "\xc3\xb6"},
	{"201", "users", ENOENT, -1, "201"},
	{"", "pbx", EINVAL, -1, ""},
};

static void check_routing(const struct core_config *cfg)
{
	for (size_t i = 0; i < COUNT(wanted); i++) {
		struct dialplan_result r;

		assert_int_equal(
			dialplan_match(cfg, wanted[i].number, wanted[i].source, &r), wanted[i].err);
		if (wanted[i].route < 0)
			assert_null(r.route);
		else
			assert_ptr_equal(r.route, &cfg->route[wanted[i].route]);
		if (wanted[i].rewritten != NULL)
			assert_string_equal(r.number, wanted[i].rewritten);
		if (wanted[i].err == 0) {
			assert_int_equal(r.kind, r.route->kind);
			assert_string_equal(r.target, r.route->target);
		}
	}
}

static void test_routing(void **state)
{
	static struct core_config cfg;

	memcpy(cfg.route, routes, sizeof(routes));
	cfg.nroute = COUNT(routes);
	check_routing(&cfg); /* without an index */
	dialplan_index(&cfg);
	check_routing(&cfg);
}

/* The index must never change the answer: every number of up to three characters, both ways,
 * against a full plan. */
static void test_index_agrees(void **state)
{
	static struct core_config plain, indexed;
	static const char alphabet[] = "0123456789+*#ab";
	char number[4] = "";

	plain.nroute = ROUTES_MAX;
	for (unsigned i = 0; i < ROUTES_MAX; i++) {
		static const char *const before[] = {"", "", "X", "[3-7]", "+", "Z"};
		static const char *const after[] = {"", ".", "", "!", "", ""};

		snprintf(plain.route[i].pattern, PATTERN_MAX, "%s%u%s", before[i % COUNT(before)],
			i % 97, after[i % COUNT(after)]);
		plain.route[i].kind = TARGET_USER;
	}
	indexed = plain;
	dialplan_index(&indexed);
	plain.route_index.nroute = ROUTES_MAX + 1;
	for (unsigned n = 0; n < 15 * 15 * 15; n++) {
		struct dialplan_result a, b;

		number[0] = alphabet[n % 15];
		number[1] = alphabet[n / 15 % 15];
		number[2] = alphabet[n / 225 % 15];
		assert_int_equal(dialplan_match(&plain, number, "users", &a),
			dialplan_match(&indexed, number, "users", &b));
		assert_int_equal(a.route ? a.route - plain.route : -1,
			b.route ? b.route - indexed.route : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_routing),
		cmocka_unit_test(test_index_agrees),
	};

	return cmocka_run_group_tests_name("dialplan", tests, NULL, NULL);
}
