/* api_history: what has been. Each request is one question to PostgreSQL, which builds the answer. */
#include "app/api_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PARAMS_MAX 13
#define PAGE	   50

/* Parameters of a question; the first three say who asks (see db/history_sql.c). */
struct params {
	const char *p[PARAMS_MAX];
	unsigned n;
	char departments[VIEWER_DEPARTMENTS_MAX * (USER_MAX + 3) + 3];
	char limit[12];
};

static void add(struct params *ps, const char *value)
{
	ps->p[ps->n++] = value;
}

/* Names need no escape: the schema allows letters, digits and . _ + - alone. */
static void add_viewer(struct params *ps, const struct viewer *v)
{
	char *list = ps->departments;
	size_t size = sizeof(ps->departments);

	str_copy(list, size, "{");
	for (unsigned i = 0; v->role == VIEWER_SUPERVISOR && i < v->ndepartments; i++) {
		str_append(list, size, i ? ",\"" : "\"");
		str_append(list, size, v->department[i]);
		str_append(list, size, "\"");
	}
	str_append(list, size, "}");
	ps->n = 0;
	add(ps, v->role == VIEWER_ADMIN ? NULL : v->user);
	add(ps, list);
	add(ps, v->masked ? "true" : "false");
}

/* ---- answers --------------------------------------------------------------------------------- */

void api_fail_history(struct api_request *q, enum history_result result)
{
	switch (result) {
	case HISTORY_NOTHING:
		api_fail(q, 404, "not_found", "there is no %s, or it is not one of yours",
			http_path(q->http));
		break;
	case HISTORY_BAD:
		api_fail(q, 400, "bad_value", "the database cannot read one of these values");
		break;
	case HISTORY_AWAY:
		api_fail(q, 503, "away", "the database is away: calls go on, history comes back");
		break;
	default:
		api_fail(q, 503, "failed", "the database could not answer; the log says why");
	}
}

static void on_json(void *arg, enum history_result result, const char *text, size_t len)
{
	struct api_request *q = arg;

	if (result == HISTORY_OK)
		api_reply_text(q, 200, "application/json", text, len);
	else
		api_fail_history(q, result);
}

static void ask(struct api_request *q, enum history_topic what, const struct params *ps,
	history_fn *fn)
{
	if (q->api->history == NULL)
		api_fail(q, 503, "away", "no database is configured (ledger.database)");
	else
		history_ask(q->api->history, what, ps->n, ps->p, fn, q);
}

bool api_may_ask_number(struct api_request *q, const char *field)
{
	json_t *more;
	char text[300];

	if (!q->viewer.masked)
		return true;
	snprintf(text, sizeof(text),
		"%s: you are shown numbers without their middle (http.mask_agents, "
		"http.mask_supervisors), and find nothing by a whole one; the filter `number' looks for "
		"what is shown",
		field);
	more = json_object();
	jo_text(more, "field", field);
	api_audit(q->api, &q->viewer, q->by_panel ? ORIGIN_PANEL : ORIGIN_API, q->route->path,
		q->param[0], text);
	api_fail_with(q, 403, "masked", text, more);
	return false;
}

/* ---- conversations ----------------------------------------------------------------------------- */

static void add_filters(struct params *ps, const struct api_request *q, const char *cursor, int64_t limit)
{
	static const char *const names[] = {"from", "to", "agent", "queue", "number", "contact",
		"case", "outcome"};

	add_viewer(ps, &q->viewer);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		add(ps, api_text(q, names[i]));
	add(ps, cursor);
	snprintf(ps->limit, sizeof(ps->limit), "%lld", (long long)limit);
	add(ps, ps->limit);
}

void api_ask_conversations(struct api_request *q, enum history_topic what, const char *cursor,
	int64_t limit, history_fn *fn)
{
	struct params ps;

	add_filters(&ps, q, cursor ? cursor : api_text(q, "cursor"), limit);
	ask(q, what, &ps, fn);
}

void api_run_conversations(struct api_request *q)
{
	if (api_text(q, "contact") != NULL && !api_may_ask_number(q, "contact"))
		return;
	api_ask_conversations(q, ASK_CONVERSATIONS, NULL, api_int(q, "limit", PAGE), on_json);
}

static void ask_about(struct api_request *q, enum history_topic what, history_fn *fn)
{
	struct params ps;

	add_viewer(&ps, &q->viewer);
	add(&ps, q->param[0]);
	ask(q, what, &ps, fn);
}

void api_run_conversation(struct api_request *q)
{
	ask_about(q, ASK_CONVERSATION, on_json);
}

void api_run_case(struct api_request *q)
{
	ask_about(q, ASK_CASE, on_json);
}

void api_run_contact(struct api_request *q)
{
	if (api_may_ask_number(q, "number"))
		ask_about(q, ASK_CONTACT, on_json);
}

void api_ask_transfer(struct api_request *q)
{
	ask_about(q, ASK_TRANSFER, on_json);
}

/* ---- reports --------------------------------------------------------------------------------- */

static void ask_report(struct api_request *q, enum history_topic what, const char *whose)
{
	struct params ps;

	add_viewer(&ps, &q->viewer);
	add(&ps, api_text(q, "from"));
	add(&ps, api_text(q, "to"));
	add(&ps, api_text(q, whose));
	ask(q, what, &ps, on_json);
}

void api_run_agent_report(struct api_request *q)
{
	ask_report(q, ASK_AGENT_REPORT, "agent");
}

void api_run_queue_report(struct api_request *q)
{
	const char *by = api_text(q, "by");

	ask_report(q,
		str_eq(by, "half_hour")       ? ASK_HALF_HOURS
			: str_eq(by, "recent") ? ASK_RECENT
					       : ASK_QUEUE_REPORT,
		"queue");
}

/* ---- recordings ------------------------------------------------------------------------------ */

/* Reads "bytes=a-b", "bytes=a-" or "bytes=-n". 0, or EINVAL for another form, which is as if there
 * were none; ERANGE if the file is too short. */
static int parse_range(const char *text, uint64_t size, uint64_t *from, uint64_t *to)
{
	char *end;
	uint64_t v;

	if (strncmp(text, "bytes=", 6) != 0 || strchr(text, ',') != NULL)
		return EINVAL;
	text += 6;
	if (*text == '-') {
		v = strtoull(text + 1, &end, 10);
		if (end == text + 1 || *end != '\0')
			return EINVAL;
		*from = v < size ? size - v : 0;
		*to = size - 1;
		return v == 0 || size == 0 ? ERANGE : 0;
	}
	*from = strtoull(text, &end, 10);
	if (end == text || *end++ != '-')
		return EINVAL;
	*to = size - 1;
	if (*end != '\0') {
		v = strtoull(end, &end, 10);
		if (*end != '\0' || v < *from)
			return EINVAL;
		*to = v < size ? v : size - 1;
	}
	return *from < size ? 0 : ERANGE;
}

static const char *audio_type(const char *file)
{
	const char *dot = strrchr(file, '.');

	if (dot != NULL && str_eq(dot, ".mp3"))
		return "audio/mpeg";
	return dot != NULL && str_eq(dot, ".ogg") ? "audio/ogg" : "audio/wav";
}

/* What tells this file from one that is made in its place later. */
static void add_validators(struct api_request *q, const struct stat *st, char tag[64], char date[64])
{
	struct tm tm;
	char text[API_VALUE_MAX + 40];

	snprintf(tag, 64, "\"%llx-%llx\"", (unsigned long long)st->st_size,
		(unsigned long long)st->st_mtim.tv_sec * 1000000000ull +
			(unsigned long long)st->st_mtim.tv_nsec);
	strftime(date, 64, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&st->st_mtim.tv_sec, &tm));
	http_add_header(q->http, "ETag", tag);
	http_add_header(q->http, "Last-Modified", date);
	http_add_header(q->http, "Accept-Ranges", "bytes");
	snprintf(text, sizeof(text), "inline; filename=\"%s\"", q->param[0]);
	http_add_header(q->http, "Content-Disposition", text);
}

/* A part is for who has the rest of this very file (RFC 9110 section 13.1.5). */
static bool is_same_file(const struct api_request *q, const char *tag, const char *date)
{
	const char *have = http_header(q->http, "If-Range");

	return have == NULL || str_eq(have, tag) || str_eq(have, date);
}

static bool has_it(const struct api_request *q, const char *tag)
{
	const char *have = http_header(q->http, "If-None-Match");

	return have != NULL && (str_eq(have, "*") || strstr(have, tag) != NULL);
}

/* Of several parts the whole file is sent, as one may (RFC 9110 section 14.2). */
static void send_file(struct api_request *q, const char *file, int fd, const struct stat *st)
{
	const char *range = http_header(q->http, "Range");
	uint64_t size = (uint64_t)st->st_size, from = 0, to = size ? size - 1 : 0;
	char text[80], tag[64], date[64];
	int rc;

	add_validators(q, st, tag, date);
	if (has_it(q, tag)) {
		close(fd);
		api_reply_text(q, 304, NULL, "", 0);
		return;
	}
	rc = range && is_same_file(q, tag, date) ? parse_range(range, size, &from, &to) : EINVAL;
	if (rc == ERANGE) {
		close(fd);
		snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)size);
		http_add_header(q->http, "Content-Range", text);
		api_fail(q, 416, "bad_range", "Range `%.60s': the recording has %llu bytes", range,
			(unsigned long long)size);
		return;
	}
	if (rc != 0) {
		http_reply_file(q->http, 200, audio_type(file), fd, 0, size);
		return;
	}
	snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)from,
		(unsigned long long)to, (unsigned long long)size);
	http_add_header(q->http, "Content-Range", text);
	http_reply_file(q->http, 206, audio_type(file), fd, from, to - from + 1);
}

static void on_recording(void *arg, enum history_result result, const char *text, size_t len)
{
	struct api_request *q = arg;
	struct stat st;
	int fd;

	if (result != HISTORY_OK) {
		api_fail_history(q, result);
		return;
	}
	fd = open(text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		send_file(q, text, fd, &st);
		return;
	}
	if (fd >= 0)
		close(fd);
	log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "recording_missing", "file", text, NULL);
	api_fail(q, 404, "no_file", "the recording is on record, but its file is not there");
}

void api_run_recording(struct api_request *q)
{
	ask_about(q, ASK_RECORDING, on_recording);
}
