/*
 * test_ng: the client of the control protocol against engines that this file plays on loopback. They
 * answer, refuse, lose a datagram, fall silent, go away and come back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "media/ng.h"

#define ENGINES 2
#define TIMEOUT_MS 60

struct engine {
	int fd;
	struct sockaddr_in at;
	char last[2048]; /* datagram */
	char cookies[4][64];
	unsigned ncookies; /* of requests that are no ping */
	enum { ANSWERS, REFUSES, SILENT, LOSES_ONE, LIES } mood;
};

static struct engine engine[ENGINES];
static struct ng *ng;
static struct told {
	unsigned n;
	int err;
	char text[64];
} told;
static unsigned deaths, births;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void engine_open(struct engine *e)
{
	socklen_t n = sizeof(e->at);

	e->at.sin_family = AF_INET;
	e->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	e->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_return_code(bind(e->fd, (struct sockaddr *)&e->at, sizeof(e->at)), errno);
	getsockname(e->fd, (struct sockaddr *)&e->at, &n);
}

static void engine_reply(struct engine *e, const struct sockaddr_in *to, const char *cookie,
	const char *body)
{
	char out[256];
	int n = snprintf(out, sizeof(out), "%s %s", cookie, body);

	sendto(e->fd, out, (size_t)n, 0, (const struct sockaddr *)to, sizeof(*to));
}

static void engine_take(struct engine *e)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(e->fd, e->last, sizeof(e->last) - 1, 0, (struct sockaddr *)&from,
			&len)) > 0) {
		char *body, cookie[64];

		e->last[n] = '\0';
		body = strchr(e->last, ' ');
		assert_non_null(body);
		snprintf(cookie, sizeof(cookie), "%.*s", (int)(body - e->last), e->last);
		if (strstr(body, "\"ping\"") == NULL && e->ncookies < 4)
			snprintf(e->cookies[e->ncookies++], sizeof(cookie), "%s", cookie);
		if (e->mood == LOSES_ONE) {
			e->mood = ANSWERS;
			continue;
		}
		if (e->mood == LIES) {
			engine_reply(e, &from, "0123456789abcdef_1", "{\"result\":\"ok\"}");
			engine_reply(e, &from, "", "{\"result\":\"ok\"}");
			engine_reply(e, &from, cookie, "");
			e->mood = SILENT;
		}
		if (e->mood == ANSWERS)
			engine_reply(e, &from, cookie, "{\"result\":\"ok\",\"sdp\":\"v=0\"}");
		if (e->mood == REFUSES)
			engine_reply(e, &from, cookie,
				"{\"result\":\"error\",\"error-reason\":\"Unknown call-id\"}");
	}
}

/* Until fn() says so; the test fails if that takes long. */
static void run_until(bool (*fn)(void))
{
	int64_t end = now_ms() + 5000;

	while (!fn()) {
		struct pollfd p[ENGINES + 1] = {{ng_fd(ng), POLLIN, 0}};

		for (unsigned i = 0; i < ENGINES; i++)
			p[i + 1] = (struct pollfd){engine[i].fd, POLLIN, 0};
		poll(p, ENGINES + 1, 20);
		for (unsigned i = 0; i < ENGINES; i++)
			if (engine[i].fd >= 0)
				engine_take(&engine[i]);
		ng_dispatch(ng);
		assert_true(now_ms() < end);
	}
}

static void on_reply(void *arg, int err, const json_t *reply)
{
	const char *s = json_string_value(json_object_get(reply, err ? "error-reason" : "sdp"));

	assert_ptr_equal(arg, &told);
	told.n++;
	told.err = err;
	snprintf(told.text, sizeof(told.text), "%s", s != NULL ? s : "");
}

static void on_changed(void *arg, unsigned i, bool alive)
{
	if (alive)
		births++;
	else
		deaths++;
}

static bool was_told(void)
{
	return told.n > 0;
}

static bool was_born(void)
{
	return births > 0;
}

static uint64_t ask(unsigned i)
{
	return ng_request(ng, i, json_pack("{ss}", "command", "query"), on_reply, &told);
}

static int setup(void **state)
{
	struct ng_config cfg = {.nengine = ENGINES, .timeout_ms = TIMEOUT_MS, .ping_ms = 50};
	struct ng_hooks hooks = {.changed = on_changed};

	log_open(LOG_TARGET_NONE, LOG_LEVEL_ERROR);
	memset(engine, 0, sizeof(engine));
	memset(&told, 0, sizeof(told));
	deaths = births = 0;
	for (unsigned i = 0; i < ENGINES; i++) {
		engine_open(&engine[i]);
		snprintf(cfg.engine[i], sizeof(cfg.engine[i]), "127.0.0.1:%u",
			ntohs(engine[i].at.sin_port));
	}
	return ng_create(&cfg, &hooks, &ng);
}

static int teardown(void **state)
{
	ng_destroy(ng);
	for (unsigned i = 0; i < ENGINES; i++)
		if (engine[i].fd >= 0)
			close(engine[i].fd);
	return 0;
}

static void an_answer_arrives(void **state)
{
	assert_true(ask(0) != 0);
	assert_int_equal(told.n, 0); /* never before it returns */
	run_until(was_told);
	assert_int_equal(told.err, 0);
	assert_string_equal(told.text, "v=0");
	assert_int_equal(deaths, 0);
}

static void a_refusal_says_why(void **state)
{
	engine[0].mood = REFUSES;
	ask(0);
	run_until(was_told);
	assert_int_equal(told.err, EPROTO);
	assert_string_equal(told.text, "Unknown call-id");
	assert_int_equal(deaths, 0); /* who refuses is alive */
}

static void a_lost_datagram_is_sent_again(void **state)
{
	ask(0);
	engine[0].mood = LOSES_ONE;
	run_until(was_told);
	assert_int_equal(told.err, 0);
	assert_int_equal(deaths, 0);
	if (engine[0].ncookies == 2) /* 1: what was lost was the ping that came with it */
		assert_string_equal(engine[0].cookies[0], engine[0].cookies[1]);
}

static void silence_is_death(void **state)
{
	int64_t asked = now_ms();

	engine[0].mood = SILENT;
	ask(0);
	run_until(was_told);
	assert_int_equal(told.err, ETIMEDOUT);
	assert_in_range(now_ms() - asked, TIMEOUT_MS / 2, TIMEOUT_MS * 20);
	assert_int_equal(deaths, 1);
	assert_false(ng_alive(ng, 0));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ng_pick(ng), 1);
}

static void it_lives_again_when_it_answers(void **state)
{
	engine[0].mood = SILENT;
	ask(0);
	run_until(was_told);
	engine[0].mood = ANSWERS;
	run_until(was_born);
	assert_true(ng_alive(ng, 0));
}

static void a_closed_port_is_noticed_at_once(void **state)
{
	close(engine[1].fd);
	engine[1].fd = -1;
	ask(1);
	run_until(was_told);
	assert_int_equal(told.err, ECONNREFUSED);
	assert_false(ng_alive(ng, 1));
	assert_int_equal(ng_pick(ng), 0);
}

static void with_all_dead_nobody_is_picked(void **state)
{
	engine[0].mood = engine[1].mood = SILENT;
	ask(0);
	run_until(was_told);
	memset(&told, 0, sizeof(told));
	ask(1);
	run_until(was_told);
	assert_int_equal(ng_pick(ng), -1);
}

static void what_nobody_asked_for_is_ignored(void **state)
{
	engine[0].mood = LIES;
	ask(0);
	run_until(was_told);
	assert_true(told.err == EPROTO || told.err == ETIMEDOUT); /* an answer without JSON is one */
	assert_int_equal(told.n, 1);
}

static void what_is_forgotten_is_not_told(void **state)
{
	ng_forget(ng, ask(0));
	ng_forget(ng, 0);
	ng_forget(ng, UINT64_MAX);
	ask(1);
	run_until(was_told);
	assert_int_equal(told.n, 1);
}

static void bad_addresses_are_refused(void **state)
{
	static const char *const bad[] = {"", "127.0.0.1", "127.0.0.1:x", "localhost:2223", ":2223",
		"[::1:2223"};
	struct ng_hooks hooks = {0};
	struct ng *none = NULL;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ng_config cfg = {.nengine = 1, .timeout_ms = 50, .ping_ms = 50};

		snprintf(cfg.engine[0], sizeof(cfg.engine[0]), "%s", bad[i]);
		assert_int_not_equal(ng_create(&cfg, &hooks, &none), 0);
		assert_null(none);
	}
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_answer_arrives),
		CASE(a_refusal_says_why),
		CASE(a_lost_datagram_is_sent_again),
		CASE(silence_is_death),
		CASE(it_lives_again_when_it_answers),
		CASE(a_closed_port_is_noticed_at_once),
		CASE(with_all_dead_nobody_is_picked),
		CASE(what_nobody_asked_for_is_ignored),
		CASE(what_is_forgotten_is_not_told),
		CASE(bad_addresses_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
