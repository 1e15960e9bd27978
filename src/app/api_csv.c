/*
 * api_csv: the call log as a table for spreadsheets, however long. It is asked for a page at a time, the
 * next one when the one before has been read: no more than a page is in memory, nobody waits in the
 * database for a slow reader, and who leaves is asked for no more.
 *
 *	the first page -> 200 and a stream -> feed(): it has been read -> the next page -> ... -> the last
 */
#include "app/api_internal.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_LINES 500

static const char head[] =
	"id,started_at,ended_at,kind,outcome,customer_number,customer_name,case,case_owner,path,"
	"total_ms,wait_ms,talk_ms,hold_ms,transfers_asked,transfers_failed\r\n";

struct export {
	struct api_request *q;
	char *text; /* a page */
	size_t len, sent;
	char cursor[UUID_STRLEN]; /* id of its last line */
	int64_t left;             /* lines that may follow it */
	enum {
		BEGINS, /* the first page is asked for: how to answer is not known yet */
		ASKING,
		READ,  /* a page is being read, others follow */
		LAST,  /* the last one is */
		BROKEN, /* the rest cannot be had: who reads is to know */
	} state;
};

static void export_free(void *arg)
{
	struct export *x = arg;

	free(x->text);
	free(x);
}

static void on_page(void *arg, enum history_result result, const char *text, size_t len);

static int64_t lines_of_page(const struct export *x)
{
	return x->left < PAGE_LINES ? x->left : PAGE_LINES;
}

static void ask_page(struct export *x)
{
	api_ask_conversations(x->q, ASK_CONVERSATIONS_CSV, x->cursor[0] ? x->cursor : NULL,
		lines_of_page(x), on_page);
}

/* How many lines, the id of the last, and where they begin. False: it is none of that. */
static bool read_page(const char *text, int64_t *n, char cursor[UUID_STRLEN], const char **lines)
{
	char *id;

	*n = strtoll(text, &id, 10);
	*lines = *id == ' ' ? strchr(id, '\n') : NULL;
	if (*lines == NULL || *lines - (id + 1) >= UUID_STRLEN)
		return false;
	str_copy_n(cursor, UUID_STRLEN, id + 1, (size_t)(*lines - (id + 1)));
	(*lines)++;
	return true;
}

/* Takes a page over; the first one comes with the names of the columns. 0 or an errno. */
static int take_page(struct export *x, const char *text, size_t len)
{
	size_t nhead = x->state == BEGINS ? sizeof(head) - 1 : 0, nlines;
	const char *lines;
	int64_t n;

	if (!read_page(text, &n, x->cursor, &lines))
		return EINVAL;
	nlines = len - (size_t)(lines - text);
	free(x->text);
	x->text = malloc(nhead + nlines + 1);
	if (x->text == NULL)
		return ENOMEM;
	memcpy(x->text, head, nhead);
	memcpy(x->text + nhead, lines, nlines);
	x->len = nhead + nlines;
	x->sent = 0;
	x->state = n < lines_of_page(x) || n == x->left ? LAST : READ;
	x->left -= n;
	return 0;
}

/* A login may end, or see less, while its export goes on. */
static bool may_go_on(struct api_request *q)
{
	struct viewer now;

	if (!access_again(q->api->access, &q->viewer, loop_wall_us(), &now) ||
		!viewer_may(&now, PERM_HISTORY))
		return false;
	q->viewer = now;
	return true;
}

static ssize_t feed(void *arg, char *buf, size_t max)
{
	struct export *x = arg;
	size_t n = x->len - x->sent < max ? x->len - x->sent : max;

	if (n > 0) {
		memcpy(buf, x->text + x->sent, n);
		x->sent += n;
		return (ssize_t)n;
	}
	if (x->state == LAST)
		return HTTP_WHOLE;
	if (x->state == READ) {
		x->state = may_go_on(x->q) ? ASKING : BROKEN;
		if (x->state == ASKING)
			ask_page(x);
	}
	return x->state == BROKEN ? -1 : 0;
}

static void begin(struct export *x)
{
	http_add_header(
		x->q->http, "Content-Disposition", "attachment; filename=\"conversations.csv\"");
	http_add_header(x->q->http, "X-Accel-Buffering", "no"); /* a proxy must not gather it */
	http_reply_stream(x->q->http, "text/csv; charset=utf-8", feed, x);
}

static void log_cut_off(enum history_result result, int rc)
{
	log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "export_cut_off", "why",
		rc == EINVAL ? "the database's answer is no page"
		: rc         ? strerror(rc)
			     : history_result_name(result),
		NULL);
}

static void on_page(void *arg, enum history_result result, const char *text, size_t len)
{
	struct api_request *q = arg;
	struct export *x = q->own;
	bool first = x->state == BEGINS;
	int rc = result == HISTORY_OK ? take_page(x, text, len) : 0;

	if (rc != 0 || (!first && result != HISTORY_OK))
		log_cut_off(result, rc);
	if (first && rc == ENOMEM) {
		api_fail(q, 503, "no_memory", "out of memory");
	} else if (first && (result != HISTORY_OK || rc != 0)) {
		api_fail_history(q, rc ? HISTORY_FAILED : result);
	} else if (first) {
		begin(x);
	} else {
		if (result != HISTORY_OK || rc != 0)
			x->state = BROKEN;
		http_stream_wake(q->http);
	}
}

/* ---- where the next ones are ------------------------------------------------------------------- */

struct link {
	char text[2000];
};

static void add_to_link(void *arg, const char *name, const char *value)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	struct link *l = arg;
	char c[4];

	if (str_eq(name, "cursor"))
		return;
	str_append(l->text, sizeof(l->text), name);
	str_append(l->text, sizeof(l->text), "=");
	for (; *value != '\0'; value++) {
		snprintf(c, sizeof(c), strchr(plain, *value) ? "%c" : "%%%02X", (unsigned char)*value);
		str_append(l->text, sizeof(l->text), c);
	}
	str_append(l->text, sizeof(l->text), "&");
}

/* There are as many lines as were asked for: the next ones are behind the last. */
static void on_nth(void *arg, enum history_result result, const char *text, size_t len)
{
	struct link l = {.text = "</api/v1/conversations.csv?"};
	struct api_request *q = arg;

	if (result == HISTORY_OK) {
		http_each_query(q->http, add_to_link, &l);
		str_append(l.text, sizeof(l.text), "cursor=");
		str_append(l.text, sizeof(l.text), text);
		str_append(l.text, sizeof(l.text), ">; rel=\"next\"");
		http_add_header(q->http, "Link", l.text);
	} else if (result != HISTORY_NOTHING) {
		api_fail_history(q, result);
		return;
	}
	ask_page(q->own);
}

void api_run_conversations_csv(struct api_request *q)
{
	int64_t limit = api_int(q, "limit", 0);
	struct export *x;

	if (api_text(q, "contact") != NULL && !api_may_ask_number(q, "contact"))
		return;
	x = calloc(1, sizeof(*x));
	if (x == NULL) {
		api_fail(q, 503, "no_memory", "out of memory");
		return;
	}
	x->q = q;
	x->left = limit ? limit : INT64_MAX;
	q->own = x;
	q->own_free = export_free;
	if (limit != 0)
		api_ask_conversations(q, ASK_CONVERSATIONS_NTH, NULL, limit, on_nth);
	else
		ask_page(x);
}
