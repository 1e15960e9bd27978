/* control: see control.h. This file is the socket; commands.c is what is said over it. */
#include "app/control_internal.h"

#include "app/files.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utlist.h>

#define LINE_MAX_ 8192
#define CONNS_MAX 64

struct conn {
	struct control *control;
	int fd;
	struct loop_watch *watch;
	char in[LINE_MAX_];
	size_t nin;
	char *out;
	size_t nout, sent;
	enum { CONN_READING, CONN_WAITING, CONN_WRITING } state;
	struct conn *prev, *next;
};

struct control {
	struct control_parts parts;
	int fd;
	struct loop_watch *watch;
	struct conn *conns;
	unsigned nconns;
	char path[APP_SOCKET_MAX];
};

struct control_parts *conn_parts(struct conn *c)
{
	return &c->control->parts;
}

static void conn_close(struct conn *c)
{
	runner_forget(c->control->parts.runner, c);
	loop_unwatch(c->watch);
	close(c->fd);
	free(c->out);
	DL_DELETE(c->control->conns, c);
	c->control->nconns--;
	free(c);
}

/* ---- writing ------------------------------------------------------------------------------- */

/* Returns false if the connection broke. */
static bool conn_flush(struct conn *c)
{
	while (c->sent < c->nout) {
		ssize_t n = send(c->fd, c->out + c->sent, c->nout - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		c->sent += (size_t)n;
	}
	free(c->out);
	c->out = NULL;
	c->nout = c->sent = 0;
	c->state = CONN_READING;
	return true;
}

void conn_answer(struct conn *c, json_t *answer)
{
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	if (text == NULL)
		text = strdup("{\"ok\":false,\"error\":\"out of memory\"}");
	c->nout = text ? strlen(text) : 0;
	c->out = text;
	if (text != NULL)
		c->out[c->nout++] = '\n'; /* in place of the NUL */
	c->state = CONN_WRITING;
	loop_watch_for(c->watch, LOOP_OUT);
}

void conn_fail(struct conn *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conn_answer(c, json_pack("{s:b, s:s}", "ok", 0, "error", text));
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Carries out the first whole line of the input, if there is one and nothing is being answered. */
static void conn_next(struct conn *c)
{
	char *end = memchr(c->in, '\n', c->nin), line[LINE_MAX_];
	size_t len;

	if (c->state != CONN_READING)
		return;
	if (end == NULL) {
		if (c->nin == sizeof(c->in)) {
			c->nin = 0;
			conn_fail(c, "request too long: expected at most %d bytes in a line",
				LINE_MAX_ - 1);
		}
		return;
	}
	len = (size_t)(end - c->in);
	memcpy(line, c->in, len);
	c->nin -= len + 1;
	memmove(c->in, end + 1, c->nin);
	c->state = CONN_WAITING;
	loop_watch_for(c->watch, 0);
	command_run(c, line, len);
}

/* Returns false at the end of the input. */
static bool conn_read(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->nin, sizeof(c->in) - c->nin, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return false;
	if (n > 0)
		c->nin += (size_t)n;
	return true;
}

static void on_conn(void *arg, int events)
{
	struct conn *c = arg;
	bool alive = true;

	if (c->state == CONN_WRITING)
		alive = conn_flush(c);
	else if (c->state == CONN_WAITING && (events & LOOP_IN))
		alive = false; /* nobody is there any more to be answered */
	else if (events & LOOP_IN)
		alive = conn_read(c);
	if (!alive) {
		conn_close(c);
		return;
	}
	if (c->state == CONN_READING)
		loop_watch_for(c->watch, LOOP_IN);
	conn_next(c);
}

static void conn_add(struct control *ctl, int fd)
{
	struct conn *c = ctl->nconns < CONNS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (c != NULL) {
		c->control = ctl;
		c->fd = fd;
		c->watch = loop_watch(ctl->parts.loop, fd, LOOP_IN, on_conn, c);
	}
	if (c == NULL || c->watch == NULL) {
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "control_refused", "why",
			"too many connections", NULL);
		close(fd);
		free(c);
		return;
	}
	DL_APPEND(ctl->conns, c);
	ctl->nconns++;
}

static void on_accept(void *arg, int events)
{
	struct control *ctl = arg;
	int fd;

	while ((fd = accept4(ctl->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		conn_add(ctl, fd);
}

/* ---- the socket ---------------------------------------------------------------------------- */

/* A socket file that nobody listens on is left over from a crash and goes. */
static int clear_way(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = 0;
	struct stat st;

	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		rc = EADDRINUSE;
	else if (errno == ECONNREFUSED && lstat(addr->sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(addr->sun_path);
	close(fd);
	return rc;
}

static int listen_on(struct control *c, unsigned mode)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t old;
	int rc;

	str_set(addr.sun_path, c->path);
	rc = files_make_parent(c->path);
	if (rc == 0)
		rc = clear_way(&addr);
	if (rc)
		return rc;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return errno;
	old = umask(0177); /* nobody gets in between bind() and chmod() */
	rc = bind(c->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? errno : 0;
	umask(old);
	if (rc == 0 && (chmod(c->path, mode) < 0 || listen(c->fd, SOMAXCONN) < 0))
		rc = errno;
	return rc;
}

int control_open(
	const struct app_config *cfg, const struct control_parts *parts, struct control **out)
{
	struct control *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return ENOMEM;
	c->parts = *parts;
	c->fd = -1;
	str_set(c->path, cfg->socket);
	rc = listen_on(c, cfg->socket_mode);
	if (rc == 0) {
		c->watch = loop_watch(parts->loop, c->fd, LOOP_IN, on_accept, c);
		rc = c->watch ? 0 : ENOMEM;
	}
	if (rc == 0) {
		*out = c;
		return 0;
	}
	log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "control_not_opened", "control.socket",
		c->path, "why", rc == EADDRINUSE ? "another segued is running on it" : strerror(rc),
		NULL);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
	return rc;
}

void control_close(struct control *c)
{
	struct conn *x, *next;

	if (c == NULL)
		return;
	DL_FOREACH_SAFE(c->conns, x, next)
	conn_close(x);
	loop_unwatch(c->watch);
	close(c->fd);
	unlink(c->path);
	free(c);
}
