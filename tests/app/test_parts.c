/*
 * test_parts: the guards' heap, the flight recorder and the story, each by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "app/recorder.h"
#include "app/story.h"
#include "app/timers.h"
#include "app/webhooks.h"
#include "base/log.h"

/* ---- timers --------------------------------------------------------------------------------- */

static void timers_come_in_order(void **state)
{
	static const int64_t at[] = {50, 10, 30, 10, 90, 20};
	struct timers *t = timers_create();
	int64_t last = 0;
	struct ev_timer ev;
	uint64_t id;

	assert_int_equal(timers_next(t), -1);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(timers_set(t, i + 1, TIMER_STATE, i, at[i]), 0);
	assert_int_equal(timers_next(t), 10);
	assert_false(timers_pop(t, 9, &id, &ev));
	for (unsigned n = 0; n < 6; n++) {
		assert_true(timers_pop(t, 100, &id, &ev));
		assert_int_equal(ev.serial, id - 1);
		assert_true(at[id - 1] >= last);
		last = at[id - 1];
	}
	assert_false(timers_pop(t, 1000, &id, &ev));
	timers_destroy(t);
}

static void a_restarted_timer_has_one_deadline(void **state)
{
	struct timers *t = timers_create();
	struct ev_timer ev;
	uint64_t id;

	timers_set(t, 7, TIMER_STATE, 1, 10);
	timers_set(t, 7, TIMER_STATE, 2, 50);
	timers_set(t, 7, TIMER_PART, 3, 20); /* another kind is another timer */
	assert_int_equal(timers_count(t), 2);
	assert_true(timers_pop(t, 100, &id, &ev));
	assert_int_equal(ev.kind, TIMER_PART);
	assert_true(timers_pop(t, 100, &id, &ev));
	assert_int_equal(ev.kind, TIMER_STATE);
	assert_int_equal(ev.serial, 2);
	assert_int_equal(timers_count(t), 0);
	timers_destroy(t);
}

static void stopping_what_does_not_run_is_harmless(void **state)
{
	struct timers *t = timers_create();

	timers_stop(t, 1, TIMER_STATE);
	timers_set(t, 1, TIMER_STATE, 1, 10);
	timers_stop(t, 1, TIMER_PART);
	assert_int_equal(timers_next(t), 10);
	timers_stop(t, 1, TIMER_STATE);
	timers_stop(t, 1, TIMER_STATE);
	assert_int_equal(timers_next(t), -1);
	timers_destroy(t);
}

/* The heap against a plain array, through a long random life. */
static void timers_agree_with_an_array(void **state)
{
	enum { IDS = 200 };
	static int64_t at[IDS]; /* 0: not running */
	struct timers *t = timers_create();
	unsigned rnd = 12345, running = 0;
	struct ev_timer ev;
	uint64_t id;

	for (int64_t now = 1; now < 20000; now++) {
		unsigned i;

		rnd = rnd * 1103515245 + 12345;
		i = (rnd >> 8) % IDS;
		running -= at[i] != 0;
		at[i] = rnd >> 30 == 0 ? 0 : now + 1 + (rnd >> 20) % 300;
		running += at[i] != 0;
		if (at[i] == 0)
			timers_stop(t, i + 1, TIMER_STATE);
		else
			timers_set(t, i + 1, TIMER_STATE, (uint32_t)now, at[i]);
		while (timers_pop(t, now, &id, &ev)) {
			assert_in_range(at[id - 1], 1, now);
			at[id - 1] = 0;
			running--;
		}
		for (unsigned k = 0; k < IDS; k++)
			assert_true(at[k] == 0 || at[k] > now);
		assert_int_equal(timers_count(t), running);
	}
	timers_destroy(t);
}

/* ---- recorder -------------------------------------------------------------------------------- */

static char path[] = "/tmp/segue-rec-XXXXXX";

struct dump {
	struct recorder_head head;
	struct core_config cfg;
	struct event ev[64];
};

static void read_dump(struct dump *d)
{
	FILE *f = fopen(path, "r");
	struct stat st;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(fread(&d->head, sizeof(d->head), 1, f), 1);
	assert_string_equal(d->head.magic, RECORDER_MAGIC);
	assert_int_equal(d->head.event_size, sizeof(struct event));
	assert_int_equal(d->head.config_size, sizeof(struct core_config));
	assert_in_range(d->head.count, 0, 64);
	assert_int_equal(fread(&d->cfg, sizeof(d->cfg), 1, f), 1);
	assert_int_equal(fread(d->ev, sizeof(d->ev[0]), d->head.count, f), d->head.count);
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	unlink(path);
}

static struct recorder *make_recorder(unsigned size)
{
	static struct core_config cfg;

	cfg.ring_ms = 4711;
	unlink(path);
	return recorder_create(size, &cfg, 3);
}

static void add(struct recorder *r, enum ev type, int64_t now)
{
	struct event ev = {.type = type, .now = now};

	recorder_add(r, &ev);
}

static void the_recorder_keeps_the_newest(void **state)
{
	static struct dump d;

	for (unsigned n = 0; n < 30; n++) {
		struct recorder *r = make_recorder(8);

		for (unsigned i = 1; i <= n; i++)
			add(r, EV_BYE, i);
		assert_int_equal(recorder_total(r), n);
		assert_int_equal(recorder_dump(r, path), 0);
		read_dump(&d);
		assert_int_equal(d.head.count, n < 8 ? n : 8);
		assert_int_equal(d.head.missed, n < 8 ? 0 : n - 8);
		assert_int_equal(d.head.node, 3);
		assert_int_equal(d.cfg.ring_ms, 4711);
		for (unsigned i = 0; i < d.head.count; i++)
			assert_int_equal(d.ev[i].now, d.head.missed + i + 1);
		recorder_destroy(r);
	}
}

static void user(struct recorder *r, const char *name, const char *number, bool gone)
{
	struct event ev = {.type = EV_DIR_USER, .user = {.gone = gone, .enabled = true}};

	str_set(ev.user.user, name);
	str_set(ev.user.number, number);
	recorder_add(r, &ev);
}

static void the_recorder_knows_the_directory(void **state)
{
	struct recorder *r = make_recorder(4);
	static struct dump d;

	for (unsigned i = 0; i < 30; i++) {
		char name[16];

		snprintf(name, sizeof(name), "u%u", i);
		user(r, name, "1", false);
	}
	user(r, "u7", "2", false);
	for (unsigned i = 0; i < 29; i++)
		if (i != 7) {
			char name[16];

			snprintf(name, sizeof(name), "u%u", i);
			user(r, name, "", true);
		}
	user(r, "nobody", "", true);
	assert_int_equal(recorder_dump(r, path), 0);
	read_dump(&d);
	assert_int_equal(d.head.directory, 2);
	assert_int_equal(d.head.count, 2 + 4);
	for (unsigned i = 0; i < 2; i++)
		if (str_eq(d.ev[i].user.user, "u7"))
			assert_string_equal(d.ev[i].user.number, "2");
		else
			assert_string_equal(d.ev[i].user.user, "u29");
	recorder_destroy(r);
}

static void a_recorder_of_no_events_is_empty(void **state)
{
	struct recorder *r = make_recorder(0);
	static struct dump d;

	add(r, EV_BYE, 1);
	assert_int_equal(recorder_dump(r, path), 0);
	read_dump(&d);
	assert_int_equal(d.head.count, 0);
	recorder_destroy(r);
}

static void a_dump_replaces_no_file(void **state)
{
	struct recorder *r = make_recorder(2);

	assert_int_equal(recorder_dump(r, path), 0);
	assert_int_equal(recorder_dump(r, path), EEXIST);
	unlink(path);
	assert_int_equal(recorder_dump(r, "/nonexistent/x"), ENOENT);
	recorder_destroy(r);
}

static void a_crash_leaves_a_dump(void **state)
{
	struct recorder *r = make_recorder(4);
	static struct dump d;
	pid_t pid;
	int status;

	assert_int_equal(recorder_dump(r, path), 0); /* an older one gives way */
	add(r, EV_CANCEL, 42);
	pid = fork();
	if (pid == 0) {
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL);
		recorder_dump_on_crash(r, path);
		raise(SIGBUS);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	read_dump(&d);
	assert_int_equal(d.head.count, 1);
	assert_int_equal(d.ev[0].now, 42);
	recorder_destroy(r);
}

/* ---- story ----------------------------------------------------------------------------------- */

static struct fact entry(const char *type, const char *actor, const char *v1, const char *v2)
{
	struct fact f = {.type = FACT_TIMELINE, .call = id_make_call(0, 5, 1)};

	str_set(f.timeline.type, type);
	str_set(f.timeline.actor, actor);
	str_set(f.timeline.key1, "target");
	str_set(f.timeline.value1, v1);
	str_set(f.timeline.key2, "cause");
	str_set(f.timeline.value2, v2);
	return f;
}

static void sentences_are_plain(void **state)
{
	static const struct {
		const char *type, *actor, *v1, *v2, *text;
	} rows[] = {
		{"conversation_started", "customer", "+493012345", "1001",
			"+493012345 called 1001."},
		{"offered", "alice", "1001", "", "alice is being called."},
		{"answered", "alice", "", "", "alice answered."},
		{"hold_on", "customer", "", "", "The caller put the call on hold."},
		{"transfer_requested", "alice", "bob", "1002",
			"alice asked to transfer the call to bob."},
		{"transfer_refused", "alice", "0900", "not_permitted",
			"The transfer to 0900 that alice asked for was refused (not_permitted)."},
		{"transfer_failed", "alice", "bob", "busy", "The transfer to bob failed (busy)."},
		{"transfer_failed", "alice", "", "",
			"The transfer to somebody failed (no reason was given)."},
		{"transfer_completed", "alice", "bob", "",
			"The transfer is complete: the call is with bob."},
		{"customer_left", "customer", "", "", "The caller hung up."},
		{"offered", "{2}{a}{", "", "", "{2}{a}{ is being called."},
	};
	char buf[320];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fact f = entry(rows[i].type, rows[i].actor, rows[i].v1, rows[i].v2);

		assert_true(story_sentence(&f, buf, sizeof(buf)));
		assert_string_equal(buf, rows[i].text);
	}
}

static void facts_without_a_sentence_are_silent(void **state)
{
	struct fact f = entry("note", "alice", "", "");
	char buf[320];

	assert_false(story_sentence(&f, buf, sizeof(buf)));
	f = entry("answered", "bob", "", "");
	f.timeline.xfer.b[0] = 1;
	assert_false(story_sentence(&f, buf, sizeof(buf)));
	f.type = FACT_INTERVAL;
	assert_false(story_sentence(&f, buf, sizeof(buf)));
}

struct told {
	unsigned n;
	char first[320], last[320];
};

static void collect(void *arg, int64_t at, const char *text)
{
	struct told *t = arg;

	if (t->n++ == 0)
		str_set(t->first, text);
	str_set(t->last, text);
}

static void a_call_keeps_its_newest_sentences(void **state)
{
	struct story *s = story_create();
	struct told t = {0};
	struct fact f;

	for (int i = 1; i <= 100; i++) {
		char who[16];

		snprintf(who, sizeof(who), "u%d", i);
		f = entry("answered", who, "", "");
		story_add(s, &f);
	}
	story_each(s, f.call, collect, &t);
	assert_int_equal(t.n, 64);
	assert_string_equal(t.first, "u37 answered.");
	assert_string_equal(t.last, "u100 answered.");
	story_forget(s, f.call);
	t.n = 0;
	story_each(s, f.call, collect, &t);
	assert_int_equal(t.n, 0);
	story_forget(s, f.call);
	story_add(s, &f);
	story_destroy(s);
}

static char logged[2048];

static void keep_line(void *arg, const char *line)
{
	str_set(logged, strchr(line, ' ') + 1);
}

static void facts_become_log_lines(void **state)
{
	struct fact f = entry("transfer_requested", "alice", "bob", "1002");
	leg_id leg = id_make_leg(f.call, 2);

	log_open(LOG_TARGET_NONE, LOG_LEVEL_DEBUG);
	assert_true(uuid_parse("0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", &f.timeline.xfer));
	str_set(f.timeline.via, "sip_refer");
	story_log(&f, leg);
	log_each_of_call(f.call, keep_line, NULL);
	assert_string_equal(logged,
		"info call=5.1 leg=5.1.2 "
		"xfer=0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b transfer_requested actor=alice "
		"via=sip_refer target=bob cause=1002");
	f = (struct fact){.type = FACT_CONVERSATION_CLOSED,
		.call = f.call,
		.conversation_closed = {
			.ended_by = "customer", .talk_ms = 1500, .outcome = "answered"}};
	story_log(&f, f.call);
	log_each_of_call(f.call, keep_line, NULL);
	assert_string_equal(logged, "info call=5.1 conversation_closed ended_by=customer "
				    "talk_ms=1500 outcome=answered");
	log_open(LOG_TARGET_NONE, LOG_LEVEL_INFO);
}

static int make_path(void **state)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return -1;
	close(fd);
	return unlink(path);
}

/* ---- webhooks ------------------------------------------------------------------------------- */

static void a_webhook_is_never_left_alone_for_long(void **state)
{
	static const unsigned want[] = {1000, 1000, 2000, 4000, 8000, 15000, 15000};

	for (unsigned failed = 0; failed < sizeof(want) / sizeof(want[0]); failed++)
		assert_int_equal(webhook_wait_ms(failed), want[failed]);
	assert_int_equal(webhook_wait_ms(1000), 15000);
	assert_int_equal(webhook_wait_ms(UINT32_MAX), 15000);
}

static void a_webhook_takes_half_of_the_outbox_at_most(void **state)
{
	assert_int_equal(webhook_behind_max(16), 8192);
	assert_int_equal(webhook_behind_max(64), 32768);
	assert_int_equal(webhook_behind_max(1024), 500000);
	assert_int_equal(webhook_behind_max(UINT32_MAX), 500000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_come_in_order),
		cmocka_unit_test(a_restarted_timer_has_one_deadline),
		cmocka_unit_test(stopping_what_does_not_run_is_harmless),
		cmocka_unit_test(timers_agree_with_an_array),
		cmocka_unit_test(the_recorder_keeps_the_newest),
		cmocka_unit_test(the_recorder_knows_the_directory),
		cmocka_unit_test(a_recorder_of_no_events_is_empty),
		cmocka_unit_test(a_dump_replaces_no_file),
		cmocka_unit_test(a_crash_leaves_a_dump),
		cmocka_unit_test(sentences_are_plain),
		cmocka_unit_test(facts_without_a_sentence_are_silent),
		cmocka_unit_test(a_call_keeps_its_newest_sentences),
		cmocka_unit_test(facts_become_log_lines),
		cmocka_unit_test(a_webhook_is_never_left_alone_for_long),
		cmocka_unit_test(a_webhook_takes_half_of_the_outbox_at_most),
	};

	return cmocka_run_group_tests(tests, make_path, NULL);
}
