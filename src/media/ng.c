/* ng: see ng.h. */
#include "media/ng.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <uthash.h>
#include <utlist.h>

#include "base/log.h"
#include "base/str.h"

#define DATAGRAM_MAX 65535
#define COOKIE_MAX 48
#define PREFIX_LEN 16

enum engine_state { ENGINE_ALIVE, ENGINE_DEAD };

struct engine {
	char name[NG_ENGINE_LEN];
	int fd; /* connected: a port where nobody listens is told by the kernel */
	enum engine_state state;
};

struct request {
	uint64_t serial;
	unsigned engine;
	char *text; /* the datagram */
	size_t len;
	int64_t due; /* when it is asked again, or given up */
	enum { ASKED_ONCE, ASKED_TWICE } asked;
	ng_reply_fn *fn;
	void *arg;
	struct request *prev, *next; /* by due: all wait equally long */
	UT_hash_handle hh;
};

struct ng {
	struct ng_config cfg;
	struct ng_hooks hooks;
	struct engine engine[NG_ENGINES_MAX];
	char prefix[PREFIX_LEN + 1]; /* of cookies: engines remember those of an earlier run */
	uint64_t serial;
	unsigned turn;
	int epoll, timer;
	int64_t ping_at;
	struct request *requests, *waiting;
	char *buf;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- requests ------------------------------------------------------------------------------ */

static void request_free(struct ng *ng, struct request *r)
{
	HASH_DEL(ng->requests, r);
	free(r->text);
	free(r);
}

/* Of one that waits no more. Its function may do anything to this client but destroy it. */
static void request_end(struct ng *ng, struct request *r, int err, const json_t *reply)
{
	ng_reply_fn *fn = r->fn;
	void *arg = r->arg;

	request_free(ng, r);
	if (fn != NULL)
		fn(arg, err, reply);
}

static void arm(struct ng *ng)
{
	int64_t due = ng->ping_at, left;
	struct itimerspec t = {0};

	if (ng->waiting != NULL && ng->waiting->due < due)
		due = ng->waiting->due;
	left = due - now_ms();
	if (left < 1)
		left = 1;
	t.it_value.tv_sec = left / 1000;
	t.it_value.tv_nsec = left % 1000 * 1000000;
	timerfd_settime(ng->timer, 0, &t, NULL);
}

static void send_request(struct ng *ng, struct request *r)
{
	/* What cannot be sent is lost like a datagram on its way: asked again, then given up. */
	if (send(ng->engine[r->engine].fd, r->text, r->len, MSG_DONTWAIT) < 0 &&
		errno == ECONNREFUSED)
		(void)!send(ng->engine[r->engine].fd, r->text, r->len, MSG_DONTWAIT);
	r->due = now_ms() + (ng->cfg.timeout_ms + 1) / 2;
	DL_APPEND(ng->waiting, r);
	if (ng->waiting == r)
		arm(ng);
}

/* "COOKIE JSON" */
static int write_request(struct ng *ng, struct request *r, json_t *dict)
{
	char *body = json_dumps(dict, JSON_COMPACT);
	int n;

	if (body == NULL)
		return ENOMEM;
	n = asprintf(&r->text, "%s_%llu %s", ng->prefix, (unsigned long long)r->serial, body);
	free(body);
	if (n < 0) {
		r->text = NULL;
		return ENOMEM;
	}
	r->len = (size_t)n;
	return 0;
}

uint64_t ng_request(struct ng *ng, unsigned engine, json_t *dict, ng_reply_fn *fn, void *arg)
{
	struct request *r = calloc(1, sizeof(*r));
	int err = ENOMEM;

	if (r != NULL && dict != NULL) {
		*r = (struct request){
			.serial = ++ng->serial, .engine = engine, .fn = fn, .arg = arg};
		err = write_request(ng, r, dict);
	}
	json_decref(dict);
	if (err != 0) {
		free(r);
		return 0;
	}
	HASH_ADD(hh, ng->requests, serial, sizeof(r->serial), r);
	send_request(ng, r);
	return r->serial;
}

void ng_forget(struct ng *ng, uint64_t request)
{
	struct request *r;

	HASH_FIND(hh, ng->requests, &request, sizeof(request), r);
	if (r != NULL)
		r->fn = NULL;
}

/* ---- engines ------------------------------------------------------------------------------- */

static void set_state(struct ng *ng, unsigned i, enum engine_state next, const char *why)
{
	struct engine *e = &ng->engine[i];

	if (e->state == next)
		return;
	e->state = next;
	log_kv(next == ENGINE_ALIVE ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARN, (struct log_ref){0},
		next == ENGINE_ALIVE ? "media_engine_back" : "media_engine_lost", "engine", e->name,
		"why", why, NULL);
	if (ng->hooks.changed != NULL)
		ng->hooks.changed(ng->hooks.arg, i, next == ENGINE_ALIVE);
}

/* Everything that was asked of it fails at once. */
static void engine_failed(struct ng *ng, unsigned i, int err)
{
	struct request *r, *next, *failed = NULL;

	DL_FOREACH_SAFE (ng->waiting, r, next)
		if (r->engine == i) {
			DL_DELETE(ng->waiting, r);
			DL_APPEND(failed, r);
		}
	set_state(ng, i, ENGINE_DEAD, strerror(err));
	while ((r = failed) != NULL) {
		DL_DELETE(failed, r);
		request_end(ng, r, err, NULL);
	}
}

int ng_pick(struct ng *ng)
{
	for (unsigned i = 0; i < ng->cfg.nengine; i++) {
		unsigned at = ng->turn++ % ng->cfg.nengine;

		if (ng->engine[at].state == ENGINE_ALIVE)
			return (int)at;
	}
	return -1;
}

bool ng_alive(const struct ng *ng, unsigned engine)
{
	return ng->engine[engine].state == ENGINE_ALIVE;
}

const char *ng_name(const struct ng *ng, unsigned engine)
{
	return ng->engine[engine].name;
}

static void ping_all(struct ng *ng)
{
	ng->ping_at = now_ms() + ng->cfg.ping_ms;
	for (unsigned i = 0; i < ng->cfg.nengine; i++)
		ng_request(ng, i, json_pack("{ss}", "command", "ping"), NULL, NULL);
}

/* ---- what comes in ------------------------------------------------------------------------- */

/* The request that a datagram answers, and where its JSON begins; NULL for anything else. */
static struct request *find_request(struct ng *ng, unsigned engine, const char *text, size_t len,
	size_t *body)
{
	struct request *r;
	uint64_t serial = 0;
	size_t i = PREFIX_LEN + 1;

	if (len <= i || memcmp(text, ng->prefix, PREFIX_LEN) != 0 || text[PREFIX_LEN] != '_')
		return NULL;
	for (; i < len && i < COOKIE_MAX && text[i] >= '0' && text[i] <= '9'; i++)
		serial = serial * 10 + (uint64_t)(text[i] - '0');
	if (i >= len || text[i] != ' ')
		return NULL;
	*body = i + 1;
	HASH_FIND(hh, ng->requests, &serial, sizeof(serial), r);
	return r != NULL && r->engine == engine ? r : NULL;
}

static void take_reply(struct ng *ng, unsigned engine, const char *text, size_t len)
{
	size_t body = 0;
	struct request *r = find_request(ng, engine, text, len, &body);
	json_t *reply;
	const char *result;

	if (r == NULL)
		return; /* an answer that came too late, or a stranger's datagram */
	reply = json_loadb(text + body, len - body, JSON_REJECT_DUPLICATES, NULL);
	result = json_string_value(json_object_get(reply, "result"));
	set_state(ng, engine, ENGINE_ALIVE, "it answers");
	DL_DELETE(ng->waiting, r);
	request_end(ng, r, result != NULL && strcmp(result, "error") != 0 ? 0 : EPROTO, reply);
	json_decref(reply);
}

static void receive(struct ng *ng, unsigned engine)
{
	for (;;) {
		ssize_t n = recv(ng->engine[engine].fd, ng->buf, DATAGRAM_MAX, MSG_DONTWAIT);

		if (n < 0) {
			if (errno == ECONNREFUSED)
				engine_failed(ng, engine, ECONNREFUSED);
			return;
		}
		take_reply(ng, engine, ng->buf, (size_t)n);
	}
}

static void expire(struct ng *ng)
{
	int64_t now = now_ms();
	uint64_t ticks;

	(void)!read(ng->timer, &ticks, sizeof(ticks));
	while (ng->waiting != NULL && ng->waiting->due <= now) {
		struct request *r = ng->waiting;

		if (r->asked == ASKED_ONCE) {
			r->asked = ASKED_TWICE;
			DL_DELETE(ng->waiting, r);
			send_request(ng, r);
		} else {
			engine_failed(ng, r->engine, ETIMEDOUT);
		}
	}
	if (ng->ping_at <= now)
		ping_all(ng);
	arm(ng);
}

void ng_dispatch(struct ng *ng)
{
	struct epoll_event ev[NG_ENGINES_MAX + 1];
	int n = epoll_wait(ng->epoll, ev, NG_ENGINES_MAX + 1, 0);

	for (int i = 0; i < n; i++) {
		if (ev[i].data.u32 == NG_ENGINES_MAX)
			expire(ng);
		else
			receive(ng, ev[i].data.u32);
	}
}

/* ---- life ---------------------------------------------------------------------------------- */

/* "HOST:PORT" with a numeric host; IPv6 in brackets. */
static int resolve(const char *text, struct addrinfo **out)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	char host[NG_ENGINE_LEN];
	const char *colon = strrchr(text, ':');
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;

	if (n >= 2 && text[0] == '[' && text[n - 1] == ']')
		str_copy_n(host, sizeof(host), text + 1, n - 2);
	else
		str_copy_n(host, sizeof(host), text, n);
	if (n == 0 || getaddrinfo(host, colon + 1, &hints, out) != 0)
		return EINVAL;
	return 0;
}

static int watch(struct ng *ng, int fd, unsigned id)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = id};

	return epoll_ctl(ng->epoll, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : errno;
}

static int engine_open(struct ng *ng, unsigned i)
{
	struct engine *e = &ng->engine[i];
	struct addrinfo *a = NULL;
	int err = resolve(ng->cfg.engine[i], &a);

	if (err != 0)
		return err;
	str_set(e->name, ng->cfg.engine[i]);
	e->fd = socket(a->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (e->fd < 0 || connect(e->fd, a->ai_addr, a->ai_addrlen) != 0)
		err = errno;
	freeaddrinfo(a);
	return err != 0 ? err : watch(ng, e->fd, i);
}

static int make_prefix(struct ng *ng)
{
	uint64_t bits;

	if (getrandom(&bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		return EIO;
	snprintf(ng->prefix, sizeof(ng->prefix), "%016llx", (unsigned long long)bits);
	return 0;
}

static int open_all(struct ng *ng)
{
	int err = make_prefix(ng);

	ng->epoll = epoll_create1(EPOLL_CLOEXEC);
	ng->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	ng->buf = malloc(DATAGRAM_MAX);
	if (ng->epoll < 0 || ng->timer < 0 || ng->buf == NULL)
		return errno;
	if (err == 0)
		err = watch(ng, ng->timer, NG_ENGINES_MAX);
	for (unsigned i = 0; i < ng->cfg.nengine && err == 0; i++)
		err = engine_open(ng, i);
	return err;
}

int ng_create(const struct ng_config *cfg, const struct ng_hooks *hooks, struct ng **out)
{
	struct ng *ng = calloc(1, sizeof(*ng));
	int err;

	if (ng == NULL)
		return ENOMEM;
	ng->cfg = *cfg;
	ng->hooks = *hooks;
	ng->epoll = ng->timer = -1;
	for (unsigned i = 0; i < NG_ENGINES_MAX; i++)
		ng->engine[i].fd = -1;
	err = open_all(ng);
	if (err != 0) {
		ng_destroy(ng);
		return err;
	}
	ping_all(ng);
	arm(ng);
	*out = ng;
	return 0;
}

void ng_destroy(struct ng *ng)
{
	if (ng == NULL)
		return;
	while (ng->waiting != NULL) {
		struct request *r = ng->waiting;

		DL_DELETE(ng->waiting, r);
		request_free(ng, r);
	}
	for (unsigned i = 0; i < NG_ENGINES_MAX; i++)
		if (ng->engine[i].fd >= 0)
			close(ng->engine[i].fd);
	if (ng->epoll >= 0)
		close(ng->epoll);
	if (ng->timer >= 0)
		close(ng->timer);
	free(ng->buf);
	free(ng);
}

int ng_fd(const struct ng *ng)
{
	return ng->epoll;
}
