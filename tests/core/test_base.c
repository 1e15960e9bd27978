/*
 * test_base: ids, bounded strings, UUIDs and the log keep the promises of their headers.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/id.h"
#include "base/log.h"
#include "base/str.h"
#include "base/uuid.h"

/* ---- id ------------------------------------------------------------------------------------ */

static void id_keeps_its_parts(void **state)
{
	call_id call = id_make_call(3, 17, 2);
	leg_id leg = id_make_leg(call, 65535);

	assert_int_equal(id_node(leg), 3);
	assert_int_equal(id_slot(leg), 17);
	assert_int_equal(id_gen(leg), 2);
	assert_int_equal(id_legno(leg), 65535);
	assert_int_equal(id_call(leg), call);
	assert_int_equal(id_call(call), call);
	assert_int_equal(id_legno(call), 0);
}

static void id_parts_do_not_spill(void **state)
{
	call_id big = id_make_call(255, ID_SLOTS_MAX - 1, (1u << ID_GEN_BITS) - 1);

	assert_int_equal(id_slot(id_make_call(0, ID_SLOTS_MAX, 1)), 0);
	assert_int_equal(id_node(id_make_call(0, ID_SLOTS_MAX, 1)), 0);
	assert_int_equal(id_slot(big), ID_SLOTS_MAX - 1);
	assert_int_equal(id_gen(big), (1u << ID_GEN_BITS) - 1);
	assert_int_equal(id_legno(big), 0);
	assert_int_equal(id_make_leg(big, 65536 + 5), id_make_leg(big, 5));
}

static void id_text_goes_round(void **state)
{
	static const struct {
		unsigned node, slot, gen, leg;
		const char *text;
	} rows[] = {
		{0, 17, 2, 0, "17.2"},
		{0, 17, 2, 3, "17.2.3"},
		{9, 0, 1, 1, "9:0.1.1"},
		{255, 1048575, 1048575, 65535, "255:1048575.1048575.65535"},
	};
	char buf[ID_STRLEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t id = id_make_leg(
			id_make_call(rows[i].node, rows[i].slot, rows[i].gen), rows[i].leg);
		uint64_t back = 0;

		assert_string_equal(id_str(id, buf), rows[i].text);
		assert_true(id_parse(rows[i].text, &back));
		assert_int_equal(back, id);
	}
	assert_string_equal(id_str(ID_NONE, buf), "-");
}

static void id_parse_refuses_what_is_no_id(void **state)
{
	static const char *const bad[] = {"", "-", "17", "17.", ".2", "17.0", "17.2.", "17.2.0",
		"17.2.3.4", "17.2 ", " 17.2", "+17.2", "-1.2", "17.2.65536", "1048576.1",
		"1.1048576", "256:1.1", ":1.1", "1:", "1:2:3.4", "0x11.2", "99999999999999999999.1",
		"17.2.3x"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t id = 42;

		if (id_parse(bad[i], &id))
			fail_msg("\"%s\" was taken for an id", bad[i]);
		assert_int_equal(id, 42);
	}
}

/* ---- str ----------------------------------------------------------------------------------- */

static void str_copy_is_bounded(void **state)
{
	char five[5];

	assert_true(str_set(five, "abcd"));
	assert_string_equal(five, "abcd");
	assert_false(str_set(five, "abcde"));
	assert_string_equal(five, "abcd");
	assert_true(str_set(five, NULL));
	assert_string_equal(five, "");
	assert_true(str_copy_n(five, sizeof(five), "abcdef", 3));
	assert_string_equal(five, "abc");
}

static void str_copy_cuts_between_characters(void **state)
{
	char five[5];

	assert_false(str_set(five, "abc\xc3\xa9")); /* the two bytes of e-acute do not fit */
	assert_string_equal(five, "abc");
	assert_false(str_set(five, "a\xf0\x9f\x93\x9e!"));
	assert_string_equal(five, "a");
	assert_true(str_set(five, "ab\xc3\xa9"));
	assert_string_equal(five, "ab\xc3\xa9");
}

#define FOOBAR 0x34524ba7168a2c15u /* 0x85944171f73967e8, which is in everybody's tables, and the end */

static void str_hash_is_the_same_everywhere(void **state)
{
	(void)state;
	assert_true(str_hash(STR_HASH, NULL) == str_hash(STR_HASH, ""));
	assert_true(str_hash(STR_HASH, "foobar") == FOOBAR);
	assert_true(str_hash(str_hash(STR_HASH, "foo"), "bar") != FOOBAR);
	assert_true(str_hash(str_hash(STR_HASH, "foo"), "bar") !=
		    str_hash(str_hash(STR_HASH, "fo"), "obar"));
}

static void str_append_is_bounded(void **state)
{
	char six[6] = "ab";

	assert_true(str_append(six, sizeof(six), "cd"));
	assert_false(str_append(six, sizeof(six), "ef"));
	assert_string_equal(six, "abcde");
	assert_false(str_append(six, sizeof(six), "x"));
	assert_string_equal(six, "abcde");
}

static void str_compares(void **state)
{
	assert_true(str_eq(NULL, ""));
	assert_true(str_eq("a", "a"));
	assert_false(str_eq("a", "A"));
	assert_true(str_ieq("Bob", "bOB"));
	assert_false(str_ieq("Bob", NULL));
	assert_true(str_starts("prefix-x", "prefix"));
	assert_false(str_starts("pre", "prefix"));
	assert_false(str_starts(NULL, "p"));
	assert_true(str_empty(NULL));
	assert_true(str_empty(""));
	assert_false(str_empty(" "));
}

/* ---- uuid ---------------------------------------------------------------------------------- */

static void uuid_is_version_7(void **state)
{
	/* RFC 9562 appendix A.6: this time in milliseconds is 017f22e2-79b0. */
	uuid u = uuid_v7(INT64_C(1645557742000000), UINT64_MAX, UINT64_MAX);
	char buf[UUID_STRLEN];

	assert_string_equal(uuid_str(&u, buf), "017f22e2-79b0-7fff-bfff-ffffffffffff");
	u = uuid_v7(INT64_C(1645557742000000), 0, 0);
	assert_string_equal(uuid_str(&u, buf), "017f22e2-79b0-7000-8000-000000000000");
}

static void uuid_sorts_by_time(void **state)
{
	uuid early = uuid_v7(INT64_C(1700000000000000), UINT64_MAX, UINT64_MAX);
	uuid late = uuid_v7(INT64_C(1700000000001000), 0, 0);

	assert_true(memcmp(early.b, late.b, sizeof(early.b)) < 0);
}

static void uuid_text_goes_round(void **state)
{
	static const char text[] = "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
	uuid u, v = {{0}};
	char buf[UUID_STRLEN];

	assert_true(uuid_is_nil(&v));
	assert_true(uuid_parse(text, &u));
	assert_false(uuid_is_nil(&u));
	assert_string_equal(uuid_str(&u, buf), text);
	assert_true(uuid_parse("0193A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B", &v));
	assert_true(uuid_eq(&u, &v));
}

static void uuid_parse_refuses_what_is_no_uuid(void **state)
{
	static const char *const bad[] = {"", "0193a1b2", "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5",
		"0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5bc", "0193a1b2c3d4-7e5f-8a9b-0c1d2e3f4a5b",
		"0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5g", "0193a1b2-c3d4-7e5f-8a9b 0c1d2e3f4a5b"};
	uuid u = {{7}}, kept = u;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (uuid_parse(bad[i], &u))
			fail_msg("\"%s\" was taken for a UUID", bad[i]);
		assert_true(uuid_eq(&u, &kept));
	}
}

/* ---- log ----------------------------------------------------------------------------------- */

struct lines {
	unsigned n;
	char first[2048], last[2048];
};

static void count_line(void *arg, const char *line)
{
	struct lines *l = arg;

	if (l->n++ == 0)
		str_set(l->first, line);
	str_set(l->last, line);
}

/* The part of a line after its time stamp. */
static const char *body(const char *line)
{
	assert_int_equal(strlen(line) > 25, 1);
	assert_int_equal(line[10], 'T');
	assert_int_equal(line[23], 'Z');
	return line + 25;
}

/* The newest kept line of a call of its own, without its head. */
static const char *line_of(call_id call)
{
	static struct lines l;
	const char *s;

	memset(&l, 0, sizeof(l));
	log_each_of_call(call, count_line, &l);
	assert_true(l.n > 0);
	s = strstr(body(l.last), " said");
	assert_non_null(s);
	return s + 1;
}

static void say(call_id call, const char *value)
{
	log_kv(LOG_LEVEL_INFO, (struct log_ref){call}, "said", "v", value, NULL);
}

static void log_names_call_leg_and_transfer(void **state)
{
	call_id call = id_make_call(0, 17, 2);
	uuid xfer;
	struct lines l = {0};

	assert_true(uuid_parse("0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", &xfer));
	log_open(LOG_TARGET_NONE, LOG_LEVEL_INFO);
	log_kv(LOG_LEVEL_WARN, (struct log_ref){id_make_leg(call, 3), &xfer}, "transfer_requested",
		"target", "bob", "empty", "", "null", NULL, "number", "1002", NULL);
	log_each_of_call(call, count_line, &l);
	assert_int_equal(l.n, 1);
	/* "null" has a NULL value: it drops out and ends nothing. */
	assert_string_equal(body(l.last),
		"warn call=17.2 leg=17.2.3 xfer=0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b "
		"transfer_requested target=bob number=1002");
}

static void log_quotes_hostile_values(void **state)
{
	static const struct {
		const char *value, *line;
	} rows[] = {
		{"plain", "said v=plain"},
		{"two words", "said v=\"two words\""},
		{"a=b", "said v=\"a=b\""},
		{"say \"hi\"", "said v=\"say \\\"hi\\\"\""},
		{"back\\slash", "said v=\"back\\\\slash\""},
		{"x\r\n2026-11-21T00:00:00.000Z error forged",
			"said v=\"x\\r\\n2026-11-21T00:00:00.000Z error forged\""},
		{"tab\there", "said v=\"tab\\there\""},
		{"\x1b[2J", "said v=\"\\x1b[2J\""},
		{"\x7f", "said v=\"\\x7f\""},
		{"caf\xc3\xa9", "said v=caf\xc3\xa9"},
		{"\xc2\x9b"
		 "31m",
			"said v=\"\\xc2\\x9b31m\""},   /* C1 control: a terminal obeys it */
		{"\xc0\xaf", "said v=\"\\xc0\\xaf\""}, /* overlong "/" */
		{"\xed\xa0\x80", "said v=\"\\xed\\xa0\\x80\""}, /* surrogate */
		{"\xff", "said v=\"\\xff\""},
		{"cut\xe2\x82", "said v=\"cut\\xe2\\x82\""},
	};
	call_id call = id_make_call(0, 18, 1);

	log_open(LOG_TARGET_NONE, LOG_LEVEL_INFO);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		say(call, rows[i].value);
		assert_string_equal(line_of(call), rows[i].line);
	}
}

static void log_masks_secrets(void **state)
{
	call_id call = id_make_call(0, 19, 1);

	log_open(LOG_TARGET_NONE, LOG_LEVEL_INFO);
	log_kv(LOG_LEVEL_INFO, (struct log_ref){call}, "said", "password", "hunter2", "ha1_md5",
		"0123", "Proxy-Authorization", "Digest x", NULL);
	assert_string_equal(line_of(call), "said password=*** ha1_md5=*** Proxy-Authorization=***");
}

static void log_drops_lines_below_the_level(void **state)
{
	call_id call = id_make_call(0, 20, 1);
	struct lines l = {0};

	log_open(LOG_TARGET_NONE, LOG_LEVEL_WARN);
	assert_int_equal(log_min(), LOG_LEVEL_WARN);
	say(call, "quiet");
	log_each_of_call(call, count_line, &l);
	assert_int_equal(l.n, 0);
	log_open(LOG_TARGET_NONE, LOG_LEVEL_INFO);
}

static void log_keeps_the_newest_64_of_a_call(void **state)
{
	call_id call = id_make_call(0, 21, 1);
	struct lines l = {0};
	char n[16];

	log_open(LOG_TARGET_NONE, LOG_LEVEL_INFO);
	for (int i = 1; i <= 100; i++) {
		snprintf(n, sizeof(n), "%d", i);
		say(call, n);
	}
	log_each_of_call(id_make_leg(call, 2), count_line, &l);
	assert_int_equal(l.n, 64);
	assert_string_equal(strstr(l.first, "said"), "said v=37");
	assert_string_equal(strstr(l.last, "said"), "said v=100");
}

static void log_bounds_all_calls_together(void **state)
{
	call_id first = id_make_call(0, 1000, 1), last = 0;
	struct lines l = {0};
	char big[1500];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_open(LOG_TARGET_NONE, LOG_LEVEL_INFO);
	for (unsigned i = 0; i < 4000; i++) {
		last = id_make_call(0, 1000 + i, 1);
		say(last, big);
	}
	log_each_of_call(first, count_line, &l);
	assert_int_equal(l.n, 0);
	log_each_of_call(last, count_line, &l);
	assert_int_equal(l.n, 1);
}

static void log_cuts_a_giant_line(void **state)
{
	call_id call = id_make_call(0, 22, 1);
	static char big[10000];
	struct lines l = {0};

	memset(big, '"', sizeof(big) - 1);
	log_open(LOG_TARGET_NONE, LOG_LEVEL_INFO);
	say(call, big);
	log_each_of_call(call, count_line, &l);
	assert_int_equal(l.n, 1);
	assert_in_range(strlen(l.last), 1900, 2047);
}

static void *talk(void *arg)
{
	call_id call = *(call_id *)arg;

	for (int i = 0; i < 200; i++)
		log_msg(LOG_LEVEL_INFO, (struct log_ref){call}, "said", "line %d of thread", i);
	return NULL;
}

/* Four threads write at once to a pipe: every line arrives whole. */
static void log_lines_are_never_torn(void **state)
{
	call_id ids[4];
	pthread_t t[4];
	int fd[2], saved = dup(STDERR_FILENO), n = 0;
	char line[512];
	FILE *in;

	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	close(fd[1]);
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_INFO);
	for (unsigned i = 0; i < 4; i++) {
		ids[i] = id_make_call(0, 30 + i, 1);
		assert_int_equal(pthread_create(&t[i], NULL, talk, &ids[i]), 0);
	}
	in = fdopen(fd[0], "r");
	while (n < 800 && fgets(line, sizeof(line), in)) {
		assert_int_equal(strncmp(body(line), "info call=3", 11), 0);
		assert_non_null(strstr(line, " of thread\"\n"));
		n++;
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	fclose(in);
	log_open(LOG_TARGET_NONE, LOG_LEVEL_INFO);
	assert_int_equal(n, 800);
}

/* Held lines come in one piece when they are released, in order; a line in between is no later. */
static void log_holds_lines_back(void **state)
{
	char text[16384];
	int fd[2], saved = dup(STDERR_FILENO);
	ssize_t n;
	char *at = text;

	assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
	dup2(fd[1], STDERR_FILENO);
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_INFO);
	log_hold();
	for (int i = 0; i < 3; i++)
		log_msg(LOG_LEVEL_INFO, (struct log_ref){0}, "held", "%d", i);
	assert_int_equal(read(fd[0], text, sizeof(text)), -1);
	log_release();
	n = read(fd[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	for (int i = 0; i < 3; i++) {
		char part[32];

		snprintf(part, sizeof(part), "info held msg=%d\n", i);
		at = strstr(at, part);
		assert_non_null(at);
	}
	log_hold(); /* more than there is room for goes out by itself */
	for (int i = 0; i < 200; i++)
		log_msg(LOG_LEVEL_INFO, (struct log_ref){0}, "held", "%063d", i);
	assert_true(read(fd[0], text, sizeof(text)) > 0);
	log_release();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[0]);
	close(fd[1]);
	log_open(LOG_TARGET_NONE, LOG_LEVEL_INFO);
}

static void log_names_parse(void **state)
{
	assert_int_equal(log_level_parse("notice"), LOG_LEVEL_NOTICE);
	assert_int_equal(log_level_parse("loud"), -1);
	assert_string_equal(log_target_name(LOG_TARGET_SYSLOG), "syslog");
	assert_string_equal(log_target_name(99), "?");
	assert_string_equal(log_target_name(-1), "?");
}

static void test_str_join(void **state)
{
	char buf[8], number[STR_NUMBER_MAX], hex[17];

	assert_true(str_put(buf, "ab", "", "cd", str_number(12, number)));
	assert_string_equal(buf, "abcd12");
	assert_true(str_put(buf, "abcdefg"));
	assert_string_equal(buf, "abcdefg");
	assert_false(str_put(buf, "abcd", "efgh", "i"));
	assert_string_equal(buf, "abcdefg");
	assert_false(str_put(buf, "abcdef", "\xc3\xa4")); /* never half a character */
	assert_string_equal(buf, "abcdef");
	assert_true(str_join(buf, sizeof(buf), (const char *const[]){NULL}));
	assert_string_equal(buf, "");
	assert_string_equal(str_number(0, number), "0");
	assert_string_equal(str_number(UINT64_MAX, number), "18446744073709551615");
	str_hex(0x0123456789abcdefu, hex);
	assert_string_equal(hex, "0123456789abcdef");
	str_hex(10, hex);
	assert_string_equal(hex, "000000000000000a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str_join),
		cmocka_unit_test(id_keeps_its_parts),
		cmocka_unit_test(id_parts_do_not_spill),
		cmocka_unit_test(id_text_goes_round),
		cmocka_unit_test(id_parse_refuses_what_is_no_id),
		cmocka_unit_test(str_copy_is_bounded),
		cmocka_unit_test(str_copy_cuts_between_characters),
		cmocka_unit_test(str_hash_is_the_same_everywhere),
		cmocka_unit_test(str_append_is_bounded),
		cmocka_unit_test(str_compares),
		cmocka_unit_test(uuid_is_version_7),
		cmocka_unit_test(uuid_sorts_by_time),
		cmocka_unit_test(uuid_text_goes_round),
		cmocka_unit_test(uuid_parse_refuses_what_is_no_uuid),
		cmocka_unit_test(log_names_call_leg_and_transfer),
		cmocka_unit_test(log_quotes_hostile_values),
		cmocka_unit_test(log_masks_secrets),
		cmocka_unit_test(log_drops_lines_below_the_level),
		cmocka_unit_test(log_keeps_the_newest_64_of_a_call),
		cmocka_unit_test(log_bounds_all_calls_together),
		cmocka_unit_test(log_cuts_a_giant_line),
		cmocka_unit_test(log_lines_are_never_torn),
		cmocka_unit_test(log_holds_lines_back),
		cmocka_unit_test(log_names_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
