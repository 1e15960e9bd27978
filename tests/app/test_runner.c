/*
 * test_runner: the real core, outbox and event loop under the runner and the control socket; SIP
 * and PostgreSQL are played by this file. What counts: steps are never nested, facts are in the
 * outbox before the first action goes out, guards fire, commands get one reply, draining ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include <sofia-sip/su_wait.h>

#include "app/control.h"
#include "app/people.h"
#include "app/runner.h"
#include "app/story.h"
#include "store/store.h"

/* ---- the world that is played ---------------------------------------------------------------- */

struct sip {
	int unused;
};

static struct sip the_sip;
static su_root_t *root;
static struct world {
	struct loop *loop;
	struct ledger *ledger;
	struct core *core;
	struct recorder *recorder;
	struct runner *runner;
	struct people *people;
	struct control *control;
	struct app_config cfg;
	struct action done[256]; /* actions that reached SIP */
	unsigned ndone;
	unsigned depth;	     /* of sip_act() calls on the stack */
	bool answer_at_once; /* phones ring and answer inside sip_act() */
	bool close_at_once;  /* a leg is CLOSED inside sip_act() */
	bool facts_were_late;
	uint64_t facts_expected;
	leg_id caller, bound;
	unsigned binds;
	bool drained;
	int reloads;
	char traced[64];
} w;

static void emit_leg(enum ev type, leg_id leg)
{
	struct event ev = {.type = type, .leg = leg};

	if (type == EV_ANSWER) {
		ev.answer.status = 200;
		ev.answer.sdp = (struct sdp_note){SDP_ANSWER, DIR_SENDRECV, .usable = true};
	}
	if (type == EV_PROGRESS)
		ev.progress.status = 180;
	runner_emit(w.runner, &ev);
}

void sip_act(struct sip *s, const struct action *a)
{
	struct ledger_status st;

	assert_ptr_equal(s, &the_sip);
	assert_int_equal(w.depth, 0);
	w.depth++;
	ledger_status(w.ledger, &st);
	if (a->type == ACT_DIAL && st.last == 0)
		w.facts_were_late = true;
	assert_true(w.ndone < 256);
	w.done[w.ndone++] = *a;
	if (a->type == ACT_DIAL && w.answer_at_once) {
		emit_leg(EV_PROGRESS, a->leg);
		emit_leg(EV_ANSWER, a->leg);
	}
	if (a->type == ACT_ANSWER && w.answer_at_once)
		emit_leg(EV_ACK, a->leg);
	if ((a->type == ACT_HANGUP || a->type == ACT_REJECT) && w.close_at_once)
		emit_leg(EV_CLOSED, a->leg);
	w.depth--;
}

bool sip_source(struct sip *s, const struct action *a, struct sip_source *out)
{
	return false;
}

void sip_act_with(struct sip *s, const struct action *a, const char *sdp, size_t len)
{
	sip_act(s, a);
}

const char *sip_remote(struct sip *s, leg_id leg, size_t *len)
{
	*len = 0;
	return NULL;
}

/* Nothing is kept of these calls, and none is restored. */
void sip_refer_taken(struct sip *s, uint64_t cmd)
{
}

bool sip_has(struct sip *s, leg_id leg)
{
	return false;
}

int sip_keep(struct sip *s, leg_id leg, struct sip_kept *out)
{
	return ENOENT;
}

leg_id sip_restore(struct sip *s, const void *bytes, size_t len, size_t *used)
{
	return ID_NONE;
}

void sip_farewell(struct sip *s, leg_id leg, uint16_t status, const char *text)
{
}

void sip_bind(struct sip *s, uint64_t handle, leg_id leg)
{
	assert_int_equal(handle, 99);
	w.bound = leg;
	w.binds++;
}

void sip_user_changed(struct sip *s, const char *user)
{
	assert_non_null(user);
}

int sip_trace(struct sip *s, call_id call, const char *peer, int on)
{
	if (peer != NULL && !str_eq(peer, "trunk"))
		return ENOENT;
	snprintf(w.traced, sizeof(w.traced), "%s %d", peer ? peer : "call", on);
	return 0;
}

void sip_ladder(struct sip *s, call_id call, void (*fn)(void *arg, const char *line), void *arg)
{
	fn(arg, "17:02:11.123 <- INVITE \x1b[2J\xff");
}

void sip_registrations(struct sip *s,
	void (*fn)(void *arg, const char *user, const char *uri, int expires_s), void *arg)
{
	fn(arg, "alice", "sip:alice@127.0.0.1:5070", 59);
}

int shipper_start(const struct shipper_config *cfg, const struct shipper_source *src, int notify_fd,
	struct shipper **out)
{
	return ENOTSUP;
}

void shipper_kick(struct shipper *s)
{
}

void shipper_status(struct shipper *s, struct shipper_status *out)
{
}

void shipper_stop(struct shipper *s, unsigned grace_ms)
{
}

int directory_start(const char *conninfo, const char *copy_path,
	const struct directory_hooks *hooks, struct directory **out)
{
	return ENOTSUP;
}

int directory_fd(const struct directory *d)
{
	return -1;
}

void directory_dispatch(struct directory *d)
{
}

void directory_refresh(struct directory *d)
{
}

const char *directory_trouble(const struct directory *d)
{
	return NULL;
}

void directory_stop(struct directory *d)
{
}

/* ---- set-up -----------------------------------------------------------------------------------
 */

static char dir[] = "/tmp/segue-run-XXXXXX";

static int fake_reload(void *arg, config_problem_fn *fn, void *fn_arg)
{
	w.reloads++;
	fn(fn_arg, "segue.conf:1: transfer.ring = `x': expected a time such as 20s or 1500ms");
	return w.reloads == 1 ? EINVAL : 0;
}

static void emit_user(const char *name, const char *number, uint32_t contact)
{
	struct event ev = {.type = EV_DIR_USER, .user = {.enabled = true, .may_transfer = true}};

	str_set(ev.user.user, name);
	str_set(ev.user.number, number);
	str_set(ev.user.name, name);
	runner_emit(w.runner, &ev);
	ev = (struct event){.type = EV_CONTACTS, .contacts = {.n = 1, .contact = {contact}}};
	str_set(ev.contacts.user, name);
	runner_emit(w.runner, &ev);
}

static int set_up(void **state)
{
	struct control_parts parts;

	memset(&w, 0, sizeof(w));
	log_open(LOG_TARGET_NONE, LOG_LEVEL_DEBUG);
	config_default(&w.cfg);
	w.cfg.shipper.conninfo[0] = '\0';
	snprintf(w.cfg.outbox, sizeof(w.cfg.outbox), "%s/a/b/outbox", dir);
	w.cfg.outbox_mb = 16;
	snprintf(w.cfg.socket, sizeof(w.cfg.socket), "%s/run/ctl.sock", dir);
	w.cfg.socket_mode = 0600;
	w.cfg.core.setup_ms = 40;
	w.cfg.core.close_ms = 60000;
	w.loop = loop_create(root);
	w.core = core_create(&w.cfg.core, 0);
	w.recorder = recorder_create(64, &w.cfg.core, 0);
	if (ledger_open(&w.cfg, &w.ledger) || w.core == NULL || w.recorder == NULL)
		return -1;
	w.runner = runner_create(w.core, w.ledger, w.recorder);
	w.people = people_create(w.runner);
	if (runner_start(w.runner, w.loop, &the_sip) || ledger_start(w.ledger, &w.cfg, w.loop) ||
		people_start(w.people, &w.cfg, w.loop))
		return -1;
	parts = (struct control_parts){
		w.loop, w.runner, w.ledger, w.people, w.recorder, fake_reload};
	if (control_open(&w.cfg, &parts, &w.control))
		return -1;
	emit_user("alice", "1001", 1);
	emit_user("bob", "1002", 2);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	control_close(w.control);
	people_destroy(w.people);
	runner_destroy(w.runner);
	ledger_close(w.ledger, 0);
	loop_destroy(w.loop);
	core_destroy(w.core);
	recorder_destroy(w.recorder);
	snprintf(command, sizeof(command), "rm -rf '%s'/a '%s'/run", dir, dir);
	return system(command);
}

/* Lets the loop run for a moment at a time until cond or 5 s have passed. */
#define RUN_UNTIL(cond)                                                                            \
	for (int64_t end_ = loop_now_ms() + 5000; !(cond) && loop_now_ms() < end_;)                \
	su_root_step(root, 10)

static void invite(const char *number)
{
	struct event ev = {.type = EV_INVITE,
		.invite = {.handle = 99,
			.source = SOURCE_PEER,
			.peer = "pbx",
			.sdp = {SDP_OFFER, DIR_SENDRECV, .usable = true}}};

	str_set(ev.invite.number, number);
	str_set(ev.invite.from.number, "+493012345");
	runner_emit(w.runner, &ev);
	w.caller = w.bound;
}

static unsigned count(enum act type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w.ndone; i++)
		n += w.done[i].type == type;
	return n;
}

static call_id talking(void)
{
	struct call_view v;

	w.answer_at_once = true;
	invite("1001");
	assert_true(core_view(w.core, id_call(w.caller), &v));
	assert_string_equal(v.state, "TALK");
	return v.id;
}

/* ---- steps ------------------------------------------------------------------------------------
 */

static void a_call_is_set_up_without_nested_steps(void **state)
{
	struct runner_stats st;

	talking();
	assert_int_equal(w.binds, 1);
	assert_int_not_equal(w.bound, ID_NONE);
	assert_int_equal(count(ACT_DIAL), 1);
	assert_int_equal(count(ACT_ANSWER), 1);
	assert_false(w.facts_were_late);
	runner_stats(w.runner, &st);
	assert_true(st.queued_max >= 2); /* 180 and 200 came while DIAL was carried out */
	assert_int_equal(st.invites, 1);
	assert_int_equal(st.calls, 1);
	assert_true(st.facts > 3);
	assert_null(core_check(w.core));
}

static void a_guard_ends_a_call_that_nobody_answers(void **state)
{
	w.close_at_once = true;
	invite("1001");
	assert_int_equal(count(ACT_REJECT), 0);
	RUN_UNTIL(core_call_count(w.core) == 0);
	assert_int_equal(count(ACT_REJECT), 1);
	assert_int_equal(core_call_count(w.core), 0);
}

static void a_number_that_leads_nowhere_is_refused(void **state)
{
	w.close_at_once = true;
	invite("9999");
	assert_int_equal(count(ACT_DIAL), 0);
	assert_int_equal(count(ACT_REJECT), 1);
}

/* What the flight recorder wrote brings a fresh core to the same place (architecture: events are
 * plain data). */
static void a_dump_replays_to_the_same_call(void **state)
{
	char path[128];
	struct recorder_head head;
	struct core_config cfg;
	struct call_view then, now;
	struct core_out out;
	struct core *fresh;
	struct event ev;
	call_id call = talking();
	FILE *f;

	assert_true(core_view(w.core, call, &then));
	snprintf(path, sizeof(path), "%s/a/dump", dir);
	assert_int_equal(recorder_dump(w.recorder, path), 0);
	f = fopen(path, "r");
	assert_int_equal(fread(&head, sizeof(head), 1, f), 1);
	assert_int_equal(fread(&cfg, sizeof(cfg), 1, f), 1);
	fresh = core_create(&cfg, head.node);
	core_out_init(&out);
	for (uint64_t i = 0; i < head.count; i++) {
		assert_int_equal(fread(&ev, sizeof(ev), 1, f), 1);
		core_step(fresh, &ev, &out);
	}
	fclose(f);
	assert_true(core_view(fresh, call, &now));
	assert_string_equal(now.state, then.state);
	assert_string_equal(now.with, "alice");
	assert_true(uuid_eq(&now.conv, &then.conv));
	assert_int_equal(now.started, then.started);
	assert_int_equal(now.nlegs, then.nlegs);
	core_out_done(&out);
	core_destroy(fresh);
}

/* ---- commands ---------------------------------------------------------------------------------
 */

struct reply {
	unsigned n;
	int status;
};

static void on_reply(void *arg, int status, const char *text)
{
	struct reply *r = arg;

	r->n++;
	r->status = status;
}

static void commands_get_one_reply(void **state)
{
	struct event ev = {.type = EV_HANGUP, .command = {.origin = ORIGIN_CTL, .asker = "ctl"}};
	struct reply gone = {0}, fine = {0};

	ev.call = id_make_call(0, 900, 1);
	runner_command(w.runner, &ev, on_reply, &gone);
	assert_int_equal(gone.n, 1);
	assert_in_range(gone.status, 404, 481);
	ev.call = talking();
	w.close_at_once = true;
	runner_command(w.runner, &ev, on_reply, &fine);
	assert_int_equal(fine.n, 1);
	assert_in_range(fine.status, 200, 202);
	assert_int_equal(count(ACT_HANGUP), 2);
	assert_int_equal(core_call_count(w.core), 0);
}

static void who_is_forgotten_gets_no_reply(void **state)
{
	struct event ev = {.type = EV_TRANSFER,
		.transfer = {.origin = ORIGIN_CTL,
			.asker = "ctl",
			.number = "1002",
			.own_host = true,
			.may_refer = true}};
	struct reply r = {0};

	ev.call = talking();
	w.answer_at_once = false; /* bob lets it ring */
	runner_command(w.runner, &ev, on_reply, &r);
	r.n = 0;
	runner_forget(w.runner, &r);
	runner_forget(w.runner, &r);
	w.close_at_once = true;
	ev.type = EV_HANGUP;
	ev.command = (struct ev_command){.origin = ORIGIN_CTL};
	runner_emit(w.runner, &ev);
	assert_int_equal(r.n, 0);
}

static void on_drained(void *arg)
{
	w.drained = true;
}

static void draining_hangs_up_and_refuses(void **state)
{
	talking();
	w.close_at_once = true;
	runner_drain(w.runner, 60000, on_drained, NULL);
	assert_true(w.drained);
	assert_int_equal(core_call_count(w.core), 0);
	w.binds = 0;
	invite("1001");
	assert_int_equal(w.binds, 1);
	assert_int_equal(w.bound, ID_NONE);
}

static void draining_ends_in_time(void **state)
{
	int64_t start = loop_now_ms();

	talking(); /* and its legs never report CLOSED */
	runner_drain(w.runner, 50, on_drained, NULL);
	assert_false(w.drained);
	RUN_UNTIL(w.drained);
	assert_true(w.drained);
	assert_in_range(loop_now_ms() - start, 40, 4000);
}

/* ---- the control socket -----------------------------------------------------------------------
 */

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	str_set(addr.sun_path, w.cfg.socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Sends a request and lets the loop run until one line of answer is there. */
static const char *ask_on(int fd, const char *request)
{
	static char answer[65536];
	size_t n = 0;

	assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
	for (int64_t end = loop_now_ms() + 5000; loop_now_ms() < end;) {
		ssize_t got;

		su_root_step(root, 5);
		got = recv(fd, answer + n, sizeof(answer) - 1 - n, MSG_DONTWAIT);
		if (got == 0)
			break;
		n += got > 0 ? (size_t)got : 0;
		answer[n] = '\0';
		if (n > 0 && answer[n - 1] == '\n')
			return answer;
	}
	fail_msg("no answer to %s", request);
	return "";
}

static const char *ask(const char *request)
{
	int fd = dial();
	const char *answer = ask_on(fd, request);

	close(fd);
	su_root_step(root, 5);
	return answer;
}

static void expect(const char *request, const char *part)
{
	const char *answer = ask(request);

	if (strstr(answer, part) == NULL)
		fail_msg("to %s\nexpected %s\ngot      %s", request, part, answer);
}

static void malformed_requests_are_explained(void **state)
{
	static const struct {
		const char *request, *answer;
	} rows[] = {
		{"\n", "\"ok\":false,\"error\":\"not a JSON object"},
		{"hello\n", "not a JSON object: "},
		{"[1]\n", "expected {\\\"cmd\\\": ...}"},
		{"{}\n", "missing \\\"cmd\\\": expected the name of a command"},
		{"{\"cmd\":5}\n", "bad \\\"cmd\\\": expected the name of a command"},
		{"{\"cmd\":\"dance\"}\n",
			"no command `dance': expected one of calls, call, transfer"},
		{"{\"cmd\":\"calls\",\"cmd\":\"status\"}\n", "duplicate"},
		{"{\"cmd\":\"call\"}\n",
			"missing \\\"call\\\": expected the id of a call such as 17.2"},
		{"{\"cmd\":\"call\",\"call\":\"x\"}\n", "call `x': expected the id of a call"},
		{"{\"cmd\":\"call\",\"call\":\"900.1\"}\n",
			"no call 900.1: it has ended or never was"},
		{"{\"cmd\":\"hangup\",\"call\":\"900.1\"}\n", "no call 900.1"},
		{"{\"cmd\":\"transfer\",\"call\":\"900.1\",\"number\":\"1\"}\n", "no call 900.1"},
		{"{\"cmd\":\"trace\",\"peer\":\"trunk\"}\n",
			"missing \\\"on\\\": expected true or false"},
		{"{\"cmd\":\"trace\",\"peer\":\"x\",\"on\":true}\n", "no peer `x'"},
		{"{\"cmd\":\"recorder\"}\n", "missing \\\"file\\\""},
		{"{\"cmd\":\"recorder\",\"file\":\"x\"}\n", "file `x': expected an absolute path"},
		{"{\"cmd\":\"recorder\",\"file\":\"/nonexistent/x\"}\n",
			"No such file or directory"},
		{"\xff\xfe\n", "not a JSON object"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i].request, rows[i].answer);
}

static void a_giant_request_is_refused(void **state)
{
	static char big[20000];
	int fd = dial();

	memset(big, 'x', sizeof(big) - 2);
	big[8192] = '\0';
	assert_non_null(strstr(ask_on(fd, big), "request too long"));
	close(fd);
	su_root_step(root, 5);
}

static void requests_on_one_connection_are_answered_in_order(void **state)
{
	int fd = dial();
	const char *answer = ask_on(fd, "{\"cmd\":\"calls\"}\n{\"cmd\":\"dance\"}\n");

	for (int i = 0; i < 100 && strstr(answer, "dance") == NULL; i++)
		answer = ask_on(fd, "");
	assert_non_null(strstr(answer, "dance"));
	close(fd);
	su_root_step(root, 5);
}

static void calls_are_shown_and_commanded(void **state)
{
	char request[160], id[ID_STRLEN];
	call_id call;

	expect("{\"cmd\":\"calls\"}\n", "\"total\":0,\"calls\":[]");
	call = talking();
	id_str(call, id);
	expect("{\"cmd\":\"calls\"}\n", "\"with\":\"alice\"");
	snprintf(request, sizeof(request), "{\"cmd\":\"call\",\"call\":\"%s\"}\n", id);
	expect(request, "+493012345 called 1001.");
	expect(request, "\"ladder\":[\"17:02:11.123 <- INVITE \\u001B[2J?\"]");
	expect(request, "conversation_started");
	snprintf(request, sizeof(request),
		"{\"cmd\":\"transfer\",\"call\":\"%s\",\"number\":\"1002\",\"leg\":\"1.1.1\"}\n",
		id);
	expect(request, "leg `1.1.1': expected a leg of that call");
	snprintf(request, sizeof(request), "{\"cmd\":\"transfer\",\"call\":\"%s\"}\n", id);
	expect(request, "missing \\\"number\\\": expected the number to transfer to");
	w.answer_at_once = false;
	snprintf(request, sizeof(request),
		"{\"cmd\":\"transfer\",\"call\":\"%s\",\"number\":\"1002\"}\n", id);
	expect(request, "\"ok\":true,\"status\":202");
	snprintf(request, sizeof(request), "{\"cmd\":\"call\",\"call\":\"%s\"}\n", id);
	expect(request, "\"target\":\"bob\"");
	snprintf(request, sizeof(request), "{\"cmd\":\"cancel\",\"call\":\"%s\"}\n", id);
	expect(request, "\"ok\":true");
	snprintf(request, sizeof(request), "{\"cmd\":\"trace\",\"call\":\"%s\",\"on\":true}\n", id);
	expect(request, "\"ok\":true");
	assert_string_equal(w.traced, "call 1");
	w.close_at_once = true;
	snprintf(request, sizeof(request), "{\"cmd\":\"hangup\",\"call\":\"%s\"}\n", id);
	expect(request, "\"ok\":true");
}

static void the_story_is_kept_until_the_call_is_gone(void **state)
{
	char request[160], id[ID_STRLEN];

	id_str(talking(), id);
	w.close_at_once = true;
	snprintf(request, sizeof(request), "{\"cmd\":\"hangup\",\"call\":\"%s\"}\n", id);
	expect(request, "\"ok\":true");
	emit_leg(EV_CLOSED, w.caller);
	snprintf(request, sizeof(request), "{\"cmd\":\"call\",\"call\":\"%s\"}\n", id);
	expect(request, "it has ended or never was");
}

static void the_rest_is_answered(void **state)
{
	char request[160];

	expect("{\"cmd\":\"status\"}\n", "\"ledger\":{\"shipping\":false");
	expect("{\"cmd\":\"status\"}\n", "\"directory\":{\"configured\":false");
	expect("{\"cmd\":\"registrations\"}\n", "\"user\":\"alice\",\"contact\":"
						"\"sip:alice@127.0.0.1:5070\",\"expires_s\":59");
	expect("{\"cmd\":\"trace\",\"peer\":\"trunk\",\"on\":false}\n", "\"ok\":true");
	assert_string_equal(w.traced, "trunk 0");
	expect("{\"cmd\":\"reload\"}\n", "\"ok\":false,\"error\":\"the configuration has problems");
	expect("{\"cmd\":\"reload\"}\n", "\"ok\":true,\"notes\":[\"segue.conf:1: ");
	snprintf(request, sizeof(request), "{\"cmd\":\"recorder\",\"file\":\"%s/a/rec\"}\n", dir);
	expect(request, "\"ok\":true,\"recorded\":4");
	expect(request, "File exists");
}

/* A client that leaves while its transfer is being decided, and one that never reads. */
static void clients_may_leave_at_any_moment(void **state)
{
	int fd = dial(), idle = dial();

	assert_int_equal(send(fd, "{\"cmd\":\"sta", 10, 0), 10);
	su_root_step(root, 5);
	close(fd);
	assert_int_equal(send(idle, "{\"cmd\":\"status\"}\n", 17, 0), 17);
	su_root_step(root, 5);
	close(idle);
	for (int i = 0; i < 5; i++)
		su_root_step(root, 5);
	expect("{\"cmd\":\"status\"}\n", "\"ok\":true");
}

static void the_socket_is_private_and_exclusive(void **state)
{
	struct control_parts parts = {.loop = w.loop, .runner = w.runner};
	struct control *second = NULL;
	struct stat st;

	assert_int_equal(stat(w.cfg.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(control_open(&w.cfg, &parts, &second), EADDRINUSE);
	assert_null(second);
	expect("{\"cmd\":\"status\"}\n", "\"ok\":true");
}

/* ---- main --------------------------------------------------------------------------------------
 */

static int start_all(void **state)
{
	su_init();
	root = su_root_create(NULL);
	return root != NULL && mkdtemp(dir) != NULL ? 0 : -1;
}

static int stop_all(void **state)
{
	su_root_destroy(root);
	su_deinit();
	return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_is_set_up_without_nested_steps),
		TEST(a_guard_ends_a_call_that_nobody_answers),
		TEST(a_number_that_leads_nowhere_is_refused),
		TEST(a_dump_replays_to_the_same_call),
		TEST(commands_get_one_reply),
		TEST(who_is_forgotten_gets_no_reply),
		TEST(draining_hangs_up_and_refuses),
		TEST(draining_ends_in_time),
		TEST(malformed_requests_are_explained),
		TEST(a_giant_request_is_refused),
		TEST(requests_on_one_connection_are_answered_in_order),
		TEST(calls_are_shown_and_commanded),
		TEST(the_story_is_kept_until_the_call_is_gone),
		TEST(the_rest_is_answered),
		TEST(clients_may_leave_at_any_moment),
		TEST(the_socket_is_private_and_exclusive),
	};

	return cmocka_run_group_tests(tests, start_all, stop_all);
}
