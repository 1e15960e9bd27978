/*
 * test_policy: steps of a fallback chain as text, and what a final response says about why.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/config.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *text;
	enum fallback_kind kind;
	const char *target;
	unsigned causes;
} steps[] = {
	{"recall", FALLBACK_RECALL, "", 0},
	{"user:bob", FALLBACK_USER, "bob", 0},
	{"user:bob?busy", FALLBACK_USER, "bob", 1 << CAUSE_BUSY},
	{"queue:support?no_answer,busy", FALLBACK_QUEUE, "support",
		1 << CAUSE_NO_ANSWER | 1 << CAUSE_BUSY},
	{"voicemail", FALLBACK_VOICEMAIL, "", 0},
	{"voicemail:carol?declined", FALLBACK_VOICEMAIL, "carol", 1 << CAUSE_DECLINED},
	{"announce:*98#", FALLBACK_ANNOUNCE, "*98#", 0},
	{"hangup?auth,loop", FALLBACK_HANGUP, "", 1 << CAUSE_AUTH | 1 << CAUSE_LOOP},
};

static const char *const no_steps[] = {"", "user", "user:", "queue", "announce", "announce:",
	"recall:bob", "hangup:now", "voicemail:", "mailbox", "recall?", "recall?tired",
	"recall?busy,", "recall?,busy", "user:b ob", "user:<bob>", "?busy"};

static void fallback_steps(void **state)
{
	struct fallback f;

	for (unsigned i = 0; i < COUNT(steps); i++) {
		assert_int_equal(fallback_parse(steps[i].text, &f), 0);
		assert_int_equal(f.kind, steps[i].kind);
		assert_string_equal(f.target, steps[i].target);
		assert_int_equal(f.causes, steps[i].causes);
	}
	for (unsigned i = 0; i < COUNT(no_steps); i++)
		if (fallback_parse(no_steps[i], &f) != EINVAL)
			fail_msg("\"%s\" was taken for a step", no_steps[i]);
}

static void causes(void **state)
{
	static const struct {
		uint16_t status;
		enum cause cause;
	} rows[] = {{0, CAUSE_NONE}, {486, CAUSE_BUSY}, {600, CAUSE_BUSY}, {408, CAUSE_NO_ANSWER},
		{487, CAUSE_CANCELLED}, {603, CAUSE_DECLINED}, {404, CAUSE_INVALID_TARGET},
		{480, CAUSE_UNREACHABLE}, {503, CAUSE_UNREACHABLE}, {407, CAUSE_AUTH},
		{488, CAUSE_MEDIA}, {483, CAUSE_LOOP}, {500, CAUSE_INTERNAL}};

	for (unsigned i = 0; i < COUNT(rows); i++)
		assert_int_equal(cause_of(rows[i].status), rows[i].cause);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fallback_steps),
		cmocka_unit_test(causes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
