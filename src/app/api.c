/* api: see api.h. This file takes a request from its bytes to its handler. */
#include "app/api_internal.h"

#include "app/files.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define SESSION_COOKIE "segue_session"
#define AUDITS_A_MINUTE 600
#define HOURS_MS	60000 /* so late a clock that was set is noticed, for the hours of queues */

struct core *api_core(const struct api *a)
{
	return live_core(a->live);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void count(struct api *a, unsigned status)
{
	if (status / 100 < sizeof(a->counters.requests) / sizeof(a->counters.requests[0]))
		a->counters.requests[status / 100]++;
}

void api_reply_text(
	struct api_request *q, unsigned status, const char *type, const char *text, size_t len)
{
	count(q->api, status);
	http_reply(q->http, status, type, text, len);
}

static void reply(struct api_request *q, unsigned status, const char *location, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;

	json_decref(body);
	if (location != NULL)
		http_add_header(q->http, "Location", location);
	if (q->idempotency[0] != '\0')
		api_memory_keep(q, status, location, text ? text : "", len);
	api_reply_text(q, status, text ? "application/json" : NULL, text, len);
	free(text);
}

void api_reply(struct api_request *q, unsigned status, json_t *body)
{
	reply(q, status, NULL, body);
}

void api_reply_created(struct api_request *q, const char *location, json_t *body)
{
	reply(q, 201, location, body);
}

void api_fail_with(struct api_request *q, unsigned status, const char *code, const char *message,
	json_t *more)
{
	json_t *o = json_object();

	jo_text(more, "code", code);
	jo_text(more, "message", message);
	json_object_set_new(o, "error", more);
	api_reply(q, status, o);
}

void api_fail(struct api_request *q, unsigned status, const char *code, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	api_fail_with(q, status, code, text, json_object());
}

void api_fail_field(struct api_request *q, const char *field, const char *fmt, ...)
{
	json_t *more = json_object();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	jo_text(more, "field", field);
	api_fail_with(q, 400, "bad_field", text, more);
}

void api_fail_permission(struct api_request *q, enum perm p)
{
	json_t *more = json_object();
	char text[200];

	snprintf(text, sizeof(text), "%s may not do this: the permission \"%s\" is missing",
		q->viewer.by_token ? "This token" : "Your role", perm_name(p));
	jo_text(more, "permission", perm_name(p));
	api_audit(q->api, &q->viewer, q->by_panel ? ORIGIN_PANEL : ORIGIN_API, q->route->path,
		q->param[0], text);
	api_fail_with(q, 403, "not_permitted", text, more);
}

/* Somebody tries hard: the rest of the minute shall not fill the outbox, and nobody be left to wonder. */
static void log_left_out(const char *who, const char *action)
{
	char most[16];

	snprintf(most, sizeof(most), "%d", AUDITS_A_MINUTE);
	log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "refusals_not_on_record", "a_minute", most, "who", who,
		"action", action, "then", "more of this minute are counted in segue_http_refused_total only",
		NULL);
}

void api_audit(struct api *a, const struct viewer *v, enum origin via, const char *action,
	const char *object, const char *why)
{
	struct event ev = {.type = EV_AUDIT};
	const char *verb = strrchr(action, '/'), *who = v && v->name[0] ? v->name : "nobody";

	a->counters.refused++;
	if (loop_now_ms() - a->audit_since > 60000) {
		a->audit_since = loop_now_ms();
		a->audits = 0;
	}
	if (++a->audits > AUDITS_A_MINUTE) {
		if (a->audits == AUDITS_A_MINUTE + 1)
			log_left_out(who, action);
		return;
	}
	str_set(ev.audit.who, who);
	str_set(ev.audit.action, verb ? verb + 1 : action);
	str_set(ev.audit.object, object);
	str_set(ev.audit.why, why);
	ev.audit.via = via;
	runner_emit(a->parts.runner, &ev);
}

/* ---- fields ---------------------------------------------------------------------------------- */

static const struct api_field *find_field(const struct api_route *r, const char *name, enum api_in in)
{
	for (unsigned i = 0; i < r->nfields; i++)
		if (r->fields[i].in == in && str_eq(r->fields[i].name, name))
			return &r->fields[i];
	return NULL;
}

static json_t *body_value(const struct api_request *q, const char *name)
{
	json_t *v = json_object_get(q->body, name);

	return json_is_null(v) ? NULL : v;
}

const char *api_text(const struct api_request *q, const char *name)
{
	const char *v = find_field(q->route, name, IN_QUERY) ? http_query(q->http, name)
							     : json_string_value(body_value(q, name));

	return str_empty(v) ? NULL : v;
}

int64_t api_int(const struct api_request *q, const char *name, int64_t otherwise)
{
	const char *text = find_field(q->route, name, IN_QUERY) ? http_query(q->http, name) : NULL;
	json_t *v = body_value(q, name);

	if (!str_empty(text))
		return strtoll(text, NULL, 10);
	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool api_yes(const struct api_request *q, const char *name)
{
	return json_is_true(body_value(q, name));
}

/* ---- checking fields ------------------------------------------------------------------------- */

static bool is_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = list; n > 0 && *s != '\0'; s += strspn(s, " ")) {
		size_t len = strcspn(s, " ");

		if (len == n && strncmp(s, word, n) == 0)
			return true;
		s += len;
	}
	return false;
}

/* 2026-11-21, or 2026-11-21T14:02:11[.123](Z|+01:00): as PostgreSQL reads it. */
static bool is_time(const char *s)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	size_t i;

	for (i = 0; shape[i] != '\0' && s[i] != '\0'; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != shape[i])
			return false;
	if (s[i] == '\0')
		return i == 10;
	if (s[i] == '.')
		i += 1 + strspn(s + i + 1, "0123456789");
	if (str_eq(s + i, "Z"))
		return true;
	return (s[i] == '+' || s[i] == '-') && strlen(s + i) == 6 && s[i + 3] == ':' &&
	       strspn(s + i + 1, "0123456789:") == 5;
}

static bool is_integer(const char *s)
{
	size_t digits = strspn(s + (*s == '-'), "0123456789");

	return digits > 0 && digits < 18 && s[digits + (*s == '-')] == '\0';
}

/* Writes what is expected of a field. */
static void expected(const struct api_field *f, char *buf, size_t size)
{
	switch (f->type) {
	case API_TEXT:
		snprintf(buf, size, "a text of %lld to %lld bytes", (long long)f->min,
			(long long)f->max);
		break;
	case API_INT:
		snprintf(buf, size, "a number from %lld to %lld", (long long)f->min,
			(long long)f->max);
		break;
	case API_TIME:
		snprintf(buf, size, "a time such as 2026-11-21T14:02:11Z, or a date");
		break;
	case API_UUID:
		snprintf(buf, size, "a UUID");
		break;
	case API_CALL:
		snprintf(buf, size, "the id of a call such as 17.2");
		break;
	case API_WORD:
		snprintf(buf, size, "one of: %s", f->choice);
		break;
	case API_BOOL:
		snprintf(buf, size, "true or false");
		break;
	}
}

static bool fits(const struct api_field *f, const char *text)
{
	uuid u;
	uint64_t id;

	switch (f->type) {
	case API_TEXT:
		return strlen(text) >= (size_t)f->min && strlen(text) <= (size_t)f->max;
	case API_INT:
		return is_integer(text) && strtoll(text, NULL, 10) >= f->min &&
		       strtoll(text, NULL, 10) <= f->max;
	case API_TIME:
		return is_time(text);
	case API_UUID:
		return uuid_parse(text, &u);
	case API_CALL:
		return id_parse(text, &id);
	case API_WORD:
		return is_word(f->choice, text);
	case API_BOOL: /* is no text */
		break;
	}
	return false;
}

static bool has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' && *s != '\n' && *s != '\t')
			return true;
	return false;
}

/* What is no UTF-8 is refused here, before the database does it in its own way. */
static bool is_utf8(const char *s)
{
	json_t *j = json_string(s);

	json_decref(j);
	return j != NULL;
}

static bool fail_value(struct api_request *q, const struct api_field *f, const char *got)
{
	char what[160];

	expected(f, what, sizeof(what));
	if (got == NULL)
		api_fail_field(q, f->name, "%s is not given: expected %s", f->name, what);
	else
		api_fail_field(q, f->name, "%s: `%.100s': expected %s", f->name, got, what);
	return false;
}

/* A + in a query is a blank, unless it is written %2B: who forgets that would find nobody. */
static bool is_lost_plus(const struct api_field *f, const char *text)
{
	if (text == NULL)
		return false;
	return f->type == API_TIME ? strchr(text, ' ') != NULL
				   : text[0] == ' ' && isdigit((unsigned char)text[1]);
}

static bool check_text(struct api_request *q, const struct api_field *f, const char *text)
{
	if (text == NULL || text[0] == '\0') {
		if (f->need == OPTIONAL)
			return true;
		return fail_value(q, f, text);
	}
	return fits(f, text) && !has_control(text) && is_utf8(text) ? true : fail_value(q, f, text);
}

static bool check_query(struct api_request *q, const struct api_field *f, const char *text)
{
	if (!is_lost_plus(f, text))
		return check_text(q, f, text);
	api_fail_field(q, f->name, "%s: `%.100s': a + is written %%2B in a query", f->name, text);
	return false;
}

/* A value of the body has the JSON type that its field wants. */
static bool check_json(struct api_request *q, const struct api_field *f)
{
	json_t *v = body_value(q, f->name);
	bool right = f->type == API_INT	   ? json_is_integer(v)
		     : f->type == API_BOOL ? false
					   : json_is_string(v);
	char *got;

	if (f->type == API_BOOL && json_is_boolean(v))
		return true;
	if (v == NULL && f->need == OPTIONAL)
		return true;
	if (v != NULL && right && f->type == API_INT && json_integer_value(v) >= f->min &&
		json_integer_value(v) <= f->max)
		return true;
	if (right && f->type != API_INT && strlen(json_string_value(v)) == json_string_length(v))
		return check_text(q, f, json_string_value(v));
	got = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	fail_value(q, f, got);
	free(got);
	return false;
}

static bool check_field(struct api_request *q, const struct api_field *f, unsigned *nth)
{
	switch (f->in) {
	case IN_PATH:
		return check_text(q, f, q->param[(*nth)++]);
	case IN_QUERY:
		return check_query(q, f, http_query(q->http, f->name));
	default:
		return check_json(q, f);
	}
}

struct names {
	const struct api_route *route;
	uint64_t seen; /* a bit for each field of the route */
	char unknown[64], twice[64];
};

static void look_at_name(void *arg, const char *name, const char *value)
{
	struct names *n = arg;
	const struct api_field *f = find_field(n->route, name, IN_QUERY);
	uint64_t bit = f ? UINT64_C(1) << (f - n->route->fields) : 0;

	if (f == NULL && n->unknown[0] == '\0')
		str_set(n->unknown, name[0] ? name : "?");
	if (n->seen & bit)
		str_set(n->twice, name);
	n->seen |= bit;
}

static void fail_unknown(struct api_request *q, const char *name, enum api_in in)
{
	char list[400] = "";

	for (unsigned i = 0; i < q->route->nfields; i++)
		if (q->route->fields[i].in == in) {
			str_append(list, sizeof(list), list[0] ? ", " : "");
			str_append(list, sizeof(list), q->route->fields[i].name);
		}
	api_fail_field(q, name, "unknown %s `%.60s': expected %s%s",
		in == IN_QUERY ? "parameter" : "field", name, list[0] ? "one of: " : "none",
		list);
}

static bool check_names(struct api_request *q)
{
	struct names n = {.route = q->route};
	const char *name;
	json_t *v;

	http_each_query(q->http, look_at_name, &n);
	if (n.unknown[0] != '\0') {
		fail_unknown(q, n.unknown, IN_QUERY);
		return false;
	}
	if (n.twice[0] != '\0') {
		api_fail_field(q, n.twice, "%s is given twice: expected one value", n.twice);
		return false;
	}
	json_object_foreach(q->body, name, v) {
		if (find_field(q->route, name, IN_BODY) == NULL) {
			fail_unknown(q, name, IN_BODY);
			return false;
		}
	}
	return true;
}

static bool check_fields(struct api_request *q)
{
	unsigned nth = 0;

	if (!check_names(q))
		return false;
	for (unsigned i = 0; i < q->route->nfields; i++)
		if (!check_field(q, &q->route->fields[i], &nth))
			return false;
	return true;
}

/* ---- who asks -------------------------------------------------------------------------------- */

static bool by_token(struct api_request *q, const char *header)
{
	const char *secret = header + strspn(header + 6, " ") + 6;

	if (strncasecmp(header, "Bearer ", 7) != 0)
		return false;
	return strlen(secret) < TOKEN_TEXT_MAX &&
	       access_by_token(q->api->access, secret, loop_wall_us(), &q->viewer);
}

static void find_viewer(struct api_request *q)
{
	const char *header = http_header(q->http, "Authorization");
	char secret[TOKEN_TEXT_MAX];

	if (header != NULL)
		q->known = by_token(q, header);
	else if (http_cookie(q->http, SESSION_COOKIE, secret, sizeof(secret)))
		q->known = access_by_session(
			q->api->access, secret, loop_wall_us(), &q->viewer);
}

/* A page of another site can make the browser send a request with our cookie, but not with a header
 * of its own; and browsers say from where a request comes. The header that says so; NULL: none does. */
static const char *cross_site(const struct api_request *q)
{
	const char *origin = http_header(q->http, "Origin"), *host = http_header(q->http, "Host");
	const char *from = origin ? strstr(origin, "://") : NULL;

	if (str_eq(q->route->method, "GET") || http_header(q->http, "Authorization") != NULL)
		return NULL;
	if (http_header(q->http, "X-Segue") == NULL)
		return "X-Segue";
	return origin != NULL && (from == NULL || host == NULL || !str_ieq(from + 3, host)) ? "Origin"
											     : NULL;
}

static void fail_cross_site(struct api_request *q, const char *header)
{
	const char *origin = http_header(q->http, "Origin"), *host = http_header(q->http, "Host");
	json_t *more = json_object();
	char text[512];

	if (str_eq(header, "Origin"))
		snprintf(text, sizeof(text), "Origin: `%s': expected this site, %s", origin,
			host ? host : "which Host is to name");
	else
		snprintf(text, sizeof(text), "a request with a session, and a login, need the header "
					     "X-Segue; a token needs none");
	jo_text(more, "field", header);
	api_audit(q->api, &q->viewer, ORIGIN_PANEL, q->route->path, q->param[0],
		"the request comes from another site");
	api_fail_with(q, 403, "cross_site", text, more);
}

static bool may_come_in(struct api_request *q)
{
	const char *header;

	find_viewer(q);
	q->by_panel = http_header(q->http, "Authorization") == NULL;
	if (q->route->who != OPEN && !q->known) {
		bool token = http_header(q->http, "Authorization") != NULL;

		http_add_header(q->http, "WWW-Authenticate", "Bearer realm=\"segue\"");
		if (token)
			api_audit(q->api, NULL, ORIGIN_API, q->route->path, http_client(q->http),
				"unknown or expired token");
		api_fail(q, 401, "not_logged_in", "%s",
			token ? "This token is unknown or has expired" : "Log in first");
		return false;
	}
	header = cross_site(q);
	if (header != NULL) {
		fail_cross_site(q, header);
		return false;
	}
	if (q->route->who == PERMITTED && !viewer_may(&q->viewer, q->route->perm)) {
		api_fail_permission(q, q->route->perm);
		return false;
	}
	return true;
}

/* ---- the body -------------------------------------------------------------------------------- */

static bool takes_body(const struct api_route *r)
{
	return str_eq(r->method, "POST") || str_eq(r->method, "PUT") ||
	       str_eq(r->method, "PATCH") || str_eq(r->method, "DELETE");
}

static bool parse_body(struct api_request *q)
{
	size_t len;
	const char *text = http_body(q->http, &len), *type = http_header(q->http, "Content-Type");
	json_error_t err;

	if (len == 0)
		return true;
	if (!takes_body(q->route)) {
		api_fail(q, 400, "bad_body", "expected no body");
		return false;
	}
	if (type == NULL || strncasecmp(type, "application/json", 16) != 0) {
		api_fail(q, 415, "bad_type", "Content-Type `%.60s': expected application/json",
			type ? type : "");
		return false;
	}
	q->body = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err);
	if (q->body == NULL) {
		api_fail(q, 400, "bad_json", "the body is no JSON: %s (at byte %d)", err.text,
			err.position);
		return false;
	}
	if (json_is_object(q->body))
		return true;
	api_fail(q, 400, "bad_json", "expected a JSON object");
	return false;
}

static bool take_key(struct api_request *q)
{
	const char *key = http_header(q->http, "Idempotency-Key");

	if (key == NULL || !str_eq(q->route->method, "POST") || !q->known)
		return true;
	if (key[0] != '\0' && strlen(key) <= 100) {
		snprintf(q->idempotency, sizeof(q->idempotency), "%s %s", q->viewer.name, key);
		return true;
	}
	api_fail_field(q, "Idempotency-Key", "Idempotency-Key: expected 1 to 100 characters");
	return false;
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static void no_route(struct api_request *q, bool other_method)
{
	char allowed[80];

	if (other_method) {
		api_allowed(http_path(q->http), allowed, sizeof(allowed));
		http_add_header(q->http, "Allow", allowed);
		api_fail(q, 405, "bad_method", "%s is not for %s: expected one of %s",
			http_method(q->http), http_path(q->http), allowed);
	} else {
		api_fail(q, 404, "no_route", "there is no %s: see /api/v1/openapi.json",
			http_path(q->http));
	}
}

static void dispatch(struct api_request *q)
{
	if (!may_come_in(q) || !parse_body(q) || !check_fields(q) || !take_key(q))
		return;
	if (q->idempotency[0] != '\0' && api_memory_replay(q))
		return;
	q->route->run(q);
}

static void on_request(void *arg, struct http_request *r)
{
	struct api *a = arg;
	struct api_request *q = calloc(1, sizeof(*q));
	const char *path = http_path(r);
	bool other_method = false;

	if (q == NULL) {
		http_reply(r, 503, NULL, "", 0);
		return;
	}
	q->api = a;
	q->http = r;
	http_set_context(r, q);
	q->route = api_find_route(http_method(r), path, q->param, &other_method);
	if (q->route != NULL)
		dispatch(q);
	else if (str_starts(path, "/api/") || other_method || !str_eq(http_method(r), "GET"))
		no_route(q, other_method);
	else
		api_run_file(q);
}

static void on_over(void *arg, struct http_request *r)
{
	struct api *a = arg;
	struct api_request *q = http_context(r);

	if (q == NULL)
		return;
	api_events_over(q);
	api_warm_over(q);
	api_memory_forget(q);
	runner_forget(a->parts.runner, q);
	if (a->history != NULL)
		history_forget(a->history, q);
	if (q->own != NULL)
		q->own_free(q->own);
	json_decref(q->body);
	free(q);
}

/* ---- who sees what --------------------------------------------------------------------------- */

bool api_sees_queue(const struct viewer *v, const char *queue)
{
	if (v->role == VIEWER_ADMIN)
		return true;
	for (unsigned i = 0; v->role == VIEWER_SUPERVISOR && i < v->ndepartments; i++)
		if (str_eq(v->department[i], queue))
			return true;
	return false;
}

bool api_sees_user(const struct api *a, const struct viewer *v, const char *user)
{
	const struct live_user *u;

	if (v->role == VIEWER_ADMIN || (v->user[0] && str_eq(v->user, user)))
		return true;
	u = v->role == VIEWER_SUPERVISOR ? live_user(a->live, user) : NULL;
	for (unsigned i = 0; u != NULL && i < u->nqueues; i++)
		if (api_sees_queue(v, u->queue[i]))
			return true;
	return false;
}

bool api_sees_call(const struct api *a, const struct viewer *v, const struct live_call *k)
{
	if (v->role == VIEWER_ADMIN || (k->queue[0] && api_sees_queue(v, k->queue)))
		return true;
	for (unsigned i = 0; i < k->nparties; i++)
		if (api_sees_user(a, v, k->party[i]->user))
			return true;
	return false;
}

static const char *name_of_queue(const struct api *a, const char *queue)
{
	const struct live_queue *q = live_queue(a->live, queue);

	return q != NULL && q->row.name[0] != '\0' ? q->row.name : queue;
}

/* "Support, Parts and Sales" */
static void list_departments(const struct api *a, const struct viewer *v, char *buf, size_t size)
{
	buf[0] = '\0';
	for (unsigned i = 0; i < v->ndepartments; i++) {
		const char *before = i == 0 ? "" : i + 1 < v->ndepartments ? ", " : " and ";

		str_append(buf, size, before);
		str_append(buf, size, name_of_queue(a, v->department[i]));
	}
}

void api_fail_not_yours(struct api_request *q, const char *action, const char *object, const char *what,
	const char *department)
{
	json_t *more = json_object();
	char text[400], mine[200];

	if (q->viewer.role == VIEWER_SUPERVISOR) {
		list_departments(q->api, &q->viewer, mine, sizeof(mine));
		snprintf(text, sizeof(text), "%s belongs to %s; you supervise %s", what,
			department[0] ? name_of_queue(q->api, department) : "no department",
			mine[0] ? mine : "none");
		jo_text_or_null(more, "department", department);
	} else { /* an agent is not told whose it is */
		snprintf(text, sizeof(text), "%s is not yours", object);
	}
	api_audit(q->api, &q->viewer, q->by_panel ? ORIGIN_PANEL : ORIGIN_API, action, object, text);
	api_fail_with(q, 403, "not_yours", text, more);
}

void api_fail_not_your_user(struct api_request *q, const char *action, const char *user)
{
	const struct live_user *u = live_user(q->api->live, user);

	api_fail_not_yours(q, action, user, u != NULL && u->row.name[0] ? u->row.name : user,
		u != NULL && u->nqueues > 0 ? u->queue[0] : "");
}

/* Whose call it is: who talks with the customer. */
static void whose_call(const struct api *a, const struct live_call *k, char *buf, size_t size)
{
	const struct live_user *u = NULL;
	char id[ID_STRLEN];
	struct call_view v;

	if (core_view(live_core(a->live), k->id, &v))
		u = live_user(a->live, v.with);
	if (u != NULL)
		snprintf(buf, size, "%s's call", u->row.name[0] ? u->row.name : u->row.user);
	else
		snprintf(buf, size, "Call %s", id_str(k->id, id));
}

/* Through which department it came, else a department of who is on it. */
static const char *department_of(const struct api *a, const struct live_call *k)
{
	if (k->queue[0] != '\0')
		return k->queue;
	for (unsigned i = 0; i < k->nparties; i++) {
		const struct live_user *u = live_user(a->live, k->party[i]->user);

		if (u != NULL && u->nqueues > 0)
			return u->queue[0];
	}
	return "";
}

struct live_call *api_call(struct api_request *q)
{
	char what[NAME_MAX_ + 16];
	struct live_call *k;
	uint64_t id = ID_NONE;

	id_parse(q->param[0], &id);
	k = live_call(q->api->live, id_call(id));
	if (k == NULL) {
		api_fail(q, 404, "no_call", "there is no call %s: it has ended or never was",
			q->param[0]);
		return NULL;
	}
	if (api_sees_call(q->api, &q->viewer, k))
		return k;
	whose_call(q->api, k, what, sizeof(what));
	api_fail_not_yours(q, q->route->path, q->param[0], what, department_of(q->api, k));
	return NULL;
}

/* ---- database -------------------------------------------------------------------------------- */

static void on_access(void *arg, enum history_result result, const char *text, size_t len)
{
	struct api *a = arg;

	if (result == HISTORY_OK && access_load(a->access, text, len) == 0) {
		api_events_access(a->events);
		return;
	}
	log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "access_not_read", "why",
		history_result_name(result), "then", "the last copy stays in use", NULL);
}

/* The directory has been read; logins and tokens change with it. */
static void on_directory(void *arg)
{
	struct api *a = arg;

	live_adopt(a->live, loop_now_ms()); /* its users are known now */
	if (a->history != NULL)
		history_ask(a->history, ASK_ACCESS, 0, NULL, on_access, a);
}

static void on_history(void *arg, int events)
{
	struct api *a = arg;

	history_dispatch(a->history);
}

static int open_history(struct api *a, const struct app_config *cfg)
{
	int rc;

	if (cfg->shipper.conninfo[0] == '\0')
		return 0; /* told by the ledger */
	rc = history_start(
		cfg->shipper.conninfo, cfg->http_db_threads, cfg->http_query_ms, &a->history);
	if (rc)
		return rc;
	a->history_watch = loop_watch(
		a->parts.loop, history_fd(a->history), LOOP_IN, on_history, a);
	return a->history_watch ? 0 : ENOMEM;
}

/* ---- open and close -------------------------------------------------------------------------- */

static void on_http(void *arg, int events)
{
	struct api *a = arg;

	http_run(a->http);
}

static void on_step(void *arg, const struct event *ev, const struct core_out *out)
{
	struct api *a = arg;

	live_step(a->live, ev, out);
	if (ev->type == EV_DIR_HOURS)
		loop_timer_set(a->hours_fd, 0); /* others may come with it */
}

/* A queue opens or closes, or the clock was set. */
static void on_hours(void *arg, int events)
{
	struct api *a = arg;
	int64_t wall = loop_wall_us(), next = live_hours(a->live, wall);
	int64_t ms = (next - wall) / 1000 + 1;

	loop_timer_ack(a->hours_fd);
	loop_timer_set(a->hours_fd, ms < HOURS_MS ? ms : HOURS_MS);
}

static int watch_hours(struct api *a)
{
	if (a->hours_fd < 0)
		return -a->hours_fd;
	a->hours_watch = loop_watch(a->parts.loop, a->hours_fd, LOOP_IN, on_hours, a);
	loop_timer_set(a->hours_fd, 0);
	return a->hours_watch ? 0 : ENOMEM;
}

static void on_fact(void *arg, const struct live_call *k, const struct fact *f)
{
	struct api *a = arg;

	api_metrics_fact(a, k, f);
	api_events_fact(a, k, f);
}

static int open_parts(struct api *a, const struct app_config *cfg)
{
	struct live_hooks live = {.arg = a,
		.call = api_events_call,
		.call_left = api_events_call_left,
		.call_gone = api_events_call_gone,
		.transfer = api_events_transfer,
		.user = api_events_user,
		.queue = api_events_queue,
		.ivr = api_events_ivr,
		.fact = on_fact};

	if (cfg->access.sessions[0] != '\0')
		files_make_parent(cfg->access.sessions);
	if (cfg->http_answers[0] != '\0')
		files_make_parent(cfg->http_answers);
	a->access = access_create(&cfg->access);
	a->live = live_create(runner_core(a->parts.runner), &live);
	a->worker = worker_create(a->parts.loop);
	a->events = api_events_create(a, cfg->http_events);
	a->warm = api_warm_create(a);
	a->login = api_login_create();
	a->memory = api_memory_create(cfg->http_answers);
	a->metrics = api_metrics_create();
	if (a->access == NULL || a->live == NULL || a->worker == NULL || a->events == NULL ||
		a->warm == NULL || a->login == NULL || a->memory == NULL || a->metrics == NULL)
		return ENOMEM;
	return open_history(a, cfg);
}

static int listen_http(struct api *a, const struct app_config *cfg)
{
	struct http_hooks hooks = {.arg = a, .request = on_request, .over = on_over};
	int rc = http_open(&cfg->http, &hooks, &a->http);

	if (rc)
		return rc;
	a->http_watch = loop_watch(a->parts.loop, http_fd(a->http), LOOP_IN, on_http, a);
	return a->http_watch ? 0 : ENOMEM;
}

void api_reconfigure(struct api *a, const struct app_config *cfg)
{
	if (a == NULL)
		return;
	a->cfg = cfg;
	str_set(a->panel_dir, cfg->panel_dir);
	a->session_s = cfg->access.session_ms / 1000;
	access_reconfigure(a->access, &cfg->access);
	api_events_access(a->events);
}

/* Without its files the panel is a page that is not found: said once, to who starts the daemon. */
static void look_at_panel(const char *dir)
{
	char file[APP_PATH_MAX + 16];

	snprintf(file, sizeof(file), "%s/index.html", dir);
	if (dir[0] != '\0' && access(file, R_OK) != 0)
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "panel_missing", "http.panel_dir", dir,
			"why", strerror(errno), NULL);
}

int api_open(const struct app_config *cfg, const struct api_parts *parts, struct api **out)
{
	struct api *a;
	int rc;

	*out = NULL;
	if (cfg->http.nlisten == 0)
		return 0;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return ENOMEM;
	a->parts = *parts;
	a->started_us = loop_wall_us();
	a->hours_fd = loop_timer_open();
	a->openapi = api_openapi_text(); /* now, when it holds up nobody: it takes some milliseconds */
	rc = open_parts(a, cfg);
	if (rc == 0)
		rc = watch_hours(a);
	if (rc == 0)
		rc = listen_http(a, cfg);
	if (rc) {
		api_close(a);
		return rc;
	}
	api_reconfigure(a, cfg);
	live_adopt(a->live, loop_now_ms());
	runner_watch(parts->runner, on_step, a);
	people_on_synced(parts->people, on_directory, a);
	look_at_panel(cfg->panel_dir);
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "http_open", "listen", cfg->http.listen[0],
		"tls", cfg->http.tls_cert[0] ? "yes" : "no", "panel", cfg->panel_dir, NULL);
	*out = a;
	return 0;
}

void api_close(struct api *a)
{
	if (a == NULL)
		return;
	runner_watch(a->parts.runner, NULL, NULL);
	people_on_synced(a->parts.people, NULL, NULL);
	loop_unwatch(a->http_watch);
	loop_unwatch(a->hours_watch);
	if (a->hours_fd >= 0)
		close(a->hours_fd);
	worker_destroy(a->worker); /* its jobs hold requests */
	http_close(a->http);
	loop_unwatch(a->history_watch);
	history_stop(a->history);
	api_events_destroy(a->events);
	api_warm_destroy(a->warm);
	api_login_destroy(a->login);
	api_memory_destroy(a->memory);
	api_metrics_destroy(a->metrics);
	live_destroy(a->live);
	access_destroy(a->access);
	free(a->openapi);
	free(a);
}
