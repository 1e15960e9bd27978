/*
 * test_policy: steps of a fallback chain as text, what a final response says about why, and when a queue
 * is open.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/core.h"

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
	{"voicemail?closed", FALLBACK_VOICEMAIL, "", 1 << CAUSE_CLOSED},
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

/* Two openings, and from 100 on nothing is known. */
static void hours(void **state)
{
	static const struct {
		int64_t at;
		bool known, closed;
		int64_t opens_at, closes_at;
	} rows[] = {{-5, true, true, 10, 0}, {9, true, true, 10, 0}, {10, true, false, 30, 20},
		{19, true, false, 30, 20}, {20, true, true, 30, 0}, {30, true, false, 0, 40},
		{40, true, true, 0, 0}, {99, true, true, 0, 0}, {100, false, false, 0, 0}};
	struct core_config cfg;
	struct core_out out;
	struct event queue = {.type = EV_DIR_QUEUE, .queue = {.queue = "support", .number = "300"}};
	struct event ev = {.type = EV_DIR_HOURS,
		.hours = {.queue = "support", .known_until = 100, .n = 2, .open = {{10, 20}, {30, 40}}}};
	struct core *c;
	struct hours_view v;

	core_config_default(&cfg);
	core_out_init(&out);
	c = core_create(&cfg, 1);
	core_step(c, &ev, &out); /* of a queue that nobody knows: nothing comes of it */
	core_step(c, &queue, &out);
	assert_false(core_queue_hours(c, "support", 15, &v));
	assert_int_equal(v.known_until, 0);
	core_step(c, &ev, &out);
	for (unsigned i = 0; i < COUNT(rows); i++) {
		assert_int_equal(core_queue_hours(c, "support", rows[i].at, &v), rows[i].known);
		assert_int_equal(v.known_until, 100); /* also when that is over */
		assert_int_equal(v.closed, rows[i].closed);
		assert_int_equal(v.opens_at, rows[i].opens_at);
		assert_int_equal(v.closes_at, rows[i].closes_at);
	}
	ev.hours.open[1].until = 100; /* it does not close: nothing is known of that */
	core_step(c, &ev, &out);
	core_queue_hours(c, "300", 35, &v);
	assert_int_equal(v.closes_at, 0);
	ev.hours.gone = true;
	core_step(c, &ev, &out);
	assert_false(core_queue_hours(c, "support", 50, &v));
	assert_false(v.closed);
	core_out_done(&out);
	core_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hours),
		cmocka_unit_test(fallback_steps),
		cmocka_unit_test(causes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
