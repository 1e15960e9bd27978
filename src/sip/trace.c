/* trace: the ladder of every call (one line per message) and, when asked for, whole messages in
 * the log, with credentials masked. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sofia-sip/sip_header.h>

#include "sip/internal.h"

/* ---- calls -------------------------------------------------------------------------------- */

struct sip_call *sip_call_get(struct sip *s, call_id id)
{
	struct sip_call *c;

	HASH_FIND(hh, s->calls, &id, sizeof(id), c);
	if (c == NULL) {
		c = calloc(1, sizeof(*c));
		if (c == NULL)
			return NULL;
		c->id = id;
		HASH_ADD(hh, s->calls, id, sizeof(c->id), c);
	}
	c->nlegs++;
	return c;
}

void sip_call_put(struct sip *s, struct sip_call *c)
{
	if (--c->nlegs > 0)
		return;
	HASH_DELETE(hh, s->calls, c);
	free(c->ladder);
	free(c);
}

/* ---- ladder ------------------------------------------------------------------------------- */

static size_t ladder_size(const char *at)
{
	struct ladder_entry e;

	memcpy(&e, at, sizeof(e));
	return sizeof(e) + e.len;
}

/* Room for so many bytes behind the last line; NULL without memory. */
static char *ladder_room(struct sip_call *c, size_t bytes)
{
	unsigned cap = c->cap < 1024 ? c->cap + 192 : 2 * c->cap;
	char *grown;

	if (c->n == LADDER_MAX) { /* the oldest goes */
		size_t oldest = ladder_size(c->ladder);

		c->used -= (unsigned)oldest;
		c->n--;
		memmove(c->ladder, c->ladder + oldest, c->used);
	}
	if (c->used + bytes <= c->cap)
		return c->ladder + c->used;
	grown = realloc(c->ladder, cap);
	if (grown == NULL)
		return NULL;
	c->ladder = grown;
	c->cap = cap;
	return c->ladder + c->used;
}

static void ladder_add(struct sip_leg *l, char dir, const char *text)
{
	struct ladder_entry e = {.dir = dir, .len = (uint8_t)strnlen(text, LADDER_TEXT)};
	struct timespec ts;
	char *at = l->call != NULL ? ladder_room(l->call, sizeof(e) + e.len) : NULL;

	if (at == NULL)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	e.wall = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	e.legno = (uint16_t)id_legno(l->id);
	memcpy(at, &e, sizeof(e));
	memcpy(at + sizeof(e), text, e.len);
	l->call->used += (unsigned)sizeof(e) + e.len;
	l->call->n++;
}

/* Appends at most max characters of text (NULL: none). By hand, since every message comes by. */
static char *put(char *p, const char *end, const char *text, size_t max)
{
	while (text != NULL && *text != '\0' && max-- > 0 && p + 1 < end)
		*p++ = *text++;
	*p = '\0';
	return p;
}

static char *put_status(char *p, const char *end, int status)
{
	const char digits[] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
		(char)('0' + status % 10), ' ', '\0'};

	return put(p, end, digits, sizeof(digits));
}

/* "INVITE bob@host +body", "200 OK (INVITE) +body" */
static void describe(const sip_t *sip, char *buf, size_t size)
{
	const char *end = buf + size;
	char *p = buf;

	if (sip->sip_status != NULL) {
		p = put_status(p, end, sip->sip_status->st_status);
		p = put(p, end, sip->sip_status->st_phrase, 24);
		p = put(p, end, " (", size);
		p = put(p, end, sip->sip_cseq != NULL ? sip->sip_cseq->cs_method_name : "?", size);
		p = put(p, end, ")", size);
	} else {
		p = put(p, end, sip->sip_request->rq_method_name, size);
		p = put(p, end, " ", size);
		p = put(p, end, sip->sip_request->rq_url->url_user, 30);
		p = put(p, end, "@", size);
		p = put(p, end, sip->sip_request->rq_url->url_host, 30);
	}
	if (sip->sip_payload != NULL && sip->sip_payload->pl_len > 0)
		put(p, end, " +body", size);
}

/* ---- whole messages ------------------------------------------------------------------------ */

static bool is_traced(const struct sip *s, const struct sip_leg *l)
{
	if (l == NULL)
		return false;
	if (l->call != NULL && l->call->traced)
		return true;
	for (unsigned i = 0; l->peer[0] != '\0' && i < s->cfg.npeers; i++)
		if (strcmp(s->cfg.peers[i].name, l->peer) == 0)
			return s->peer_traced[i] != 0;
	return false;
}

/* Hides what follows the scheme in Authorization headers. */
static void mask(char *text)
{
	char *line = text;

	while (line != NULL && *line != '\0') {
		char *end = strstr(line, "\r\n");
		char *colon = strchr(line, ':');

		if (colon != NULL && (end == NULL || colon < end) &&
			(strncasecmp(line, "Authorization", 13) == 0 ||
				strncasecmp(line, "Proxy-Authorization", 19) == 0))
			for (char *p = colon + 1; *p != '\0' && p != end; p++)
				*p = '*';
		line = end != NULL ? end + 2 : NULL;
	}
}

static void log_message(struct sip_leg *l, const char *dir, msg_t *msg)
{
	size_t len = 0;
	char *text;

	if (msg == NULL)
		return;
	text = msg_as_string(msg_home(msg), msg, NULL, 0, &len);
	if (text == NULL)
		return;
	mask(text);
	log_kv(LOG_LEVEL_INFO, (struct log_ref){l->id}, "sip_message", "dir", dir, "text", text,
		NULL);
	su_free(msg_home(msg), text);
}

/* ---- what the verbs call ------------------------------------------------------------------- */

void trace_request_in(struct sip *s, struct sip_leg *l, struct stack_server *t, const sip_t *sip)
{
	char text[160];

	if (l == NULL)
		return;
	describe(sip, text, sizeof(text));
	ladder_add(l, '<', text);
	if (t != NULL && is_traced(s, l)) {
		msg_t *msg = stack_server_message(t);

		log_message(l, "in", msg);
		msg_destroy(msg);
	}
}

void trace_text_out(struct sip *s, struct sip_leg *l, const char *text)
{
	ladder_add(l, '>', text);
}

void trace_message_out(struct sip *s, struct sip_leg *l, msg_t *msg)
{
	char text[160];

	if (l == NULL)
		return;
	describe(sip_object(msg), text, sizeof(text));
	ladder_add(l, '>', text);
	if (is_traced(s, l))
		log_message(l, "out", msg);
}

void trace_response_in(struct sip_leg *l, struct stack_client *t, const sip_t *sip)
{
	char text[160];

	describe(sip, text, sizeof(text));
	if (stack_is_internal(sip))
		str_append(text, sizeof(text), " no answer");
	ladder_add(l, '<', text);
	if (is_traced(l->sip, l)) {
		msg_t *msg = stack_client_message(t);

		log_message(l, "in", msg);
		if (msg != NULL)
			msg_destroy(msg);
	}
}

/* ---- public ------------------------------------------------------------------------------- */

int sip_trace(struct sip *s, call_id call, const char *peer, int on)
{
	struct sip_call *c;

	if (call != ID_NONE) {
		HASH_FIND(hh, s->calls, &call, sizeof(call), c);
		if (c == NULL)
			return ENOENT;
		c->traced = on;
		return 0;
	}
	for (unsigned i = 0; i < s->cfg.npeers; i++)
		if (str_eq(s->cfg.peers[i].name, peer)) {
			s->peer_traced[i] = on != 0;
			return 0;
		}
	return ENOENT;
}

static void print_entry(call_id call, const char *at, char *line, size_t size)
{
	char id[ID_STRLEN];
	struct ladder_entry e;
	struct tm tm;
	time_t sec;

	memcpy(&e, at, sizeof(e));
	sec = (time_t)(e.wall / 1000000);
	gmtime_r(&sec, &tm);
	snprintf(line, size, "%02d:%02d:%02d.%03d %s %s %.*s", tm.tm_hour, tm.tm_min, tm.tm_sec,
		(int)(e.wall / 1000 % 1000), id_str(id_make_leg(call, e.legno), id),
		e.dir == '<' ? "<-" : "->", e.len, at + sizeof(e));
}

void sip_ladder(struct sip *s, call_id call, void (*fn)(void *arg, const char *line), void *arg)
{
	struct sip_call *c;
	const char *at;
	char line[160];

	HASH_FIND(hh, s->calls, &call, sizeof(call), c);
	if (c == NULL || c->n == 0)
		return;
	for (at = c->ladder; at < c->ladder + c->used; at += ladder_size(at)) {
		print_entry(call, at, line, sizeof(line));
		fn(arg, line);
	}
}
