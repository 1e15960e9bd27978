/*
 * commands: what can be asked over the control socket. Each command reads its arguments from the
 * request, looks or acts, and answers; wrong arguments are quoted back with what was expected.
 */
#include "app/control_internal.h"

#include "app/jo.h"
#include "app/story.h"

#include <errno.h>
#include <stdarg.h>
#include <time.h>

#define CALLS_SHOWN 1000

/* ---- building answers ---------------------------------------------------------------------- */

/* The control socket says "" where HTTP says null. */
static void put_id(json_t *o, const char *key, uint64_t id)
{
	char buf[ID_STRLEN];

	jo_text(o, key, id == ID_NONE ? "" : id_str(id, buf));
}

static void put_uuid(json_t *o, const char *key, const uuid *u)
{
	char buf[UUID_STRLEN];

	jo_text(o, key, uuid_is_nil(u) ? "" : uuid_str(u, buf));
}

static json_t *fine(void)
{
	json_t *o = json_object();

	jo_bool(o, "ok", true);
	return o;
}

static void add_line(void *arg, const char *line)
{
	json_array_append_new(arg, jo_string(line));
}

/* ---- reading requests ---------------------------------------------------------------------- */

/* A text argument; NULL after having failed the request. */
const char *command_text(struct conn *c, json_t *req, const char *key, const char *expected)
{
	json_t *v = json_object_get(req, key);

	if (json_is_string(v) && json_string_length(v) > 0)
		return json_string_value(v);
	conn_fail(c, "%s \"%s\": expected %s", v ? "bad" : "missing", key, expected);
	return NULL;
}

/* The id of a call that lives; ID_NONE after having failed the request. */
static call_id arg_call(struct conn *c, json_t *req, struct call_view *view)
{
	const char *text = command_text(c, req, "call", "the id of a call such as 17.2");
	uint64_t id;

	if (text == NULL)
		return ID_NONE;
	if (!id_parse(text, &id)) {
		conn_fail(c, "call `%s': expected the id of a call such as 17.2", text);
		return ID_NONE;
	}
	if (!core_view(runner_core(conn_parts(c)->runner), id_call(id), view)) {
		conn_fail(c,
			"no call %s: it has ended or never was; `seguectl calls` shows those that "
			"live",
			text);
		return ID_NONE;
	}
	return id_call(id);
}

/* ---- looking ------------------------------------------------------------------------------- */

static json_t *leg_json(const struct leg_view *l, int64_t now)
{
	json_t *o = json_object();

	put_id(o, "leg", l->id);
	jo_text(o, "state", l->state);
	jo_text(o, "role", l->role);
	jo_text(o, "offer_answer", l->oa);
	jo_text(o, "direction", l->outbound ? "out" : "in");
	jo_text(o, "user", l->user);
	jo_text(o, "peer", l->peer);
	jo_text(o, "number", l->party.number);
	jo_text(o, "name", l->party.name);
	jo_int(o, "since_ms", now - l->since);
	return o;
}

static json_t *call_json(const struct call_view *v, int64_t now)
{
	json_t *o = json_object();

	put_id(o, "call", v->id);
	put_uuid(o, "conversation", &v->conv);
	put_uuid(o, "transfer", &v->xfer);
	jo_text(o, "state", v->state);
	jo_text(o, "kind", v->kind);
	jo_text(o, "customer_number", v->customer_number);
	jo_text(o, "customer_name", v->customer_name);
	jo_text(o, "with", v->with);
	jo_text(o, "target", v->target);
	jo_text(o, "interval", v->interval);
	jo_int(o, "duration_ms", now - v->started);
	jo_int(o, "since_ms", now - v->since);
	jo_bool(o, "can_transfer", v->can_transfer);
	jo_bool(o, "can_cancel", v->can_cancel);
	jo_bool(o, "can_hangup", v->can_hangup);
	jo_text(o, "why_not", v->why_not);
	return o;
}

static void cmd_calls(struct conn *c, json_t *req)
{
	struct core *core = runner_core(conn_parts(c)->runner);
	json_t *o = fine(), *list = json_array();
	int64_t now = loop_now_ms();
	struct call_view v;
	call_id id = core_next_call(core, ID_NONE);

	for (unsigned n = 0; id != ID_NONE && n < CALLS_SHOWN; id = core_next_call(core, id))
		if (core_view(core, id, &v)) {
			json_array_append_new(list, call_json(&v, now));
			n++;
		}
	jo_int(o, "total", core_call_count(core));
	json_object_set_new(o, "calls", list);
	conn_answer(c, o);
}

static void add_sentence(void *arg, int64_t at, const char *text)
{
	json_t *o = json_object();
	time_t s = (time_t)(at / 1000000);
	char stamp[16];
	struct tm tm;

	localtime_r(&s, &tm);
	strftime(stamp, sizeof(stamp), "%H:%M:%S", &tm);
	jo_text(o, "at", stamp);
	jo_text(o, "text", text);
	json_array_append_new(arg, o);
}

static void cmd_call(struct conn *c, json_t *req)
{
	struct control_parts *parts = conn_parts(c);
	json_t *o, *legs = json_array(), *log = json_array(), *ladder = json_array(),
		   *story = json_array();
	int64_t now = loop_now_ms();
	struct call_view v;
	call_id id = arg_call(c, req, &v);

	if (id == ID_NONE) {
		json_decref(legs);
		json_decref(log);
		json_decref(ladder);
		json_decref(story);
		return;
	}
	o = fine();
	for (unsigned i = 0; i < v.nlegs; i++)
		json_array_append_new(legs, leg_json(&v.legs[i], now));
	log_each_of_call(id, add_line, log);
	sip_ladder(runner_sip(parts->runner), id, add_line, ladder);
	story_each(runner_story(parts->runner), id, add_sentence, story);
	json_object_set_new(o, "call", call_json(&v, now));
	json_object_set_new(o, "legs", legs);
	json_object_set_new(o, "log", log);
	json_object_set_new(o, "ladder", ladder);
	json_object_set_new(o, "story", story);
	conn_answer(c, o);
}

static void add_registration(void *arg, const char *user, const char *uri, int expires_s)
{
	json_t *o = json_object();

	jo_text(o, "user", user);
	jo_text(o, "contact", uri);
	jo_int(o, "expires_s", expires_s);
	json_array_append_new(arg, o);
}

static void cmd_registrations(struct conn *c, json_t *req)
{
	json_t *o = fine(), *list = json_array();

	sip_registrations(runner_sip(conn_parts(c)->runner), add_registration, list);
	json_object_set_new(o, "registrations", list);
	conn_answer(c, o);
}

static json_t *ledger_json(struct ledger *l)
{
	struct ledger_status st;
	json_t *o = json_object();

	ledger_status(l, &st);
	jo_bool(o, "shipping", st.shipping);
	jo_bool(o, "connected", st.shipper.connected);
	jo_int(o, "waiting", (int64_t)st.waiting);
	jo_int(o, "appended", (int64_t)st.appended);
	jo_int(o, "lost", (int64_t)st.lost);
	jo_int(o, "shipped", (int64_t)st.shipper.facts);
	jo_int(o, "batches", (int64_t)st.shipper.batches);
	jo_int(o, "failures", (int64_t)st.shipper.failures);
	jo_int(o, "last_ok_ms",
		st.shipper.last_ok_ms ? loop_now_ms() - st.shipper.last_ok_ms : -1);
	jo_text(o, "last_error", st.shipper.connected ? "" : st.shipper.last_error);
	return o;
}

static json_t *people_json(const struct people *p)
{
	struct people_status st;
	json_t *o = json_object();

	people_status(p, &st);
	jo_bool(o, "configured", st.configured);
	jo_bool(o, "synced", st.synced);
	jo_text(o, "from", !st.synced ? "" : st.from_file ? "file" : "database");
	jo_int(o, "users", st.users);
	jo_text(o, "trouble", st.trouble);
	return o;
}

static void cmd_status(struct conn *c, json_t *req)
{
	struct control_parts *parts = conn_parts(c);
	struct runner_stats st;
	json_t *o = fine();

	runner_stats(parts->runner, &st);
	jo_int(o, "calls", st.calls);
	jo_int(o, "invites", (int64_t)st.invites);
	jo_int(o, "refused_while_stopping", (int64_t)st.refused);
	jo_int(o, "events", (int64_t)st.events);
	jo_int(o, "actions", (int64_t)st.actions);
	jo_int(o, "facts", (int64_t)st.facts);
	jo_int(o, "guards", st.timers);
	jo_int(o, "longest_queue", st.queued_max);
	jo_int(o, "recorded", (int64_t)recorder_total(parts->recorder));
	json_object_set_new(o, "ledger", ledger_json(parts->ledger));
	json_object_set_new(o, "directory", people_json(parts->people));
	conn_answer(c, o);
}

/* ---- acting -------------------------------------------------------------------------------- */

void command_reply(void *arg, int status, const char *text)
{
	struct conn *c = arg;
	json_t *o = json_object();

	jo_bool(o, "ok", status < 300);
	jo_int(o, "status", status);
	jo_text(o, status < 300 ? "text" : "error", text);
	conn_answer(c, o);
}

/* The leg of a request, ID_NONE if it names none. False after having failed the request. */
static bool arg_leg(struct conn *c, json_t *req, call_id call, leg_id *leg)
{
	const char *text;
	uint64_t id;

	*leg = ID_NONE;
	if (json_object_get(req, "leg") == NULL)
		return true;
	text = command_text(c, req, "leg", "the id of a leg such as 17.2.3");
	if (text == NULL)
		return false;
	if (id_parse(text, &id) && id_legno(id) != 0 && id_call(id) == call) {
		*leg = id;
		return true;
	}
	conn_fail(c, "leg `%s': expected a leg of that call", text);
	return false;
}

static void ask_transfer(struct conn *c, json_t *req, enum xfer_kind kind)
{
	const char *number;
	struct event ev = {.type = EV_TRANSFER,
		.transfer = {
			.kind = kind, .origin = ORIGIN_CTL, .asker = "ctl",
			.own_host = true, .may_refer = true}};
	struct call_view v;

	ev.call = arg_call(c, req, &v);
	if (ev.call == ID_NONE || !arg_leg(c, req, ev.call, &ev.leg))
		return;
	number = command_text(c, req, "number", "the number to transfer to");
	if (number == NULL)
		return;
	if (!str_set(ev.transfer.number, number)) {
		conn_fail(c, "number `%s': expected at most %d characters", number, NUM_MAX - 1);
		return;
	}
	ev.transfer.stay = json_is_true(json_object_get(req, "stay"));
	runner_command(conn_parts(c)->runner, &ev, command_reply, c);
}

static void cmd_transfer(struct conn *c, json_t *req)
{
	ask_transfer(c, req, XFER_BLIND);
}

static void cmd_consult(struct conn *c, json_t *req)
{
	ask_transfer(c, req, XFER_CONSULT);
}

static void cmd_dial(struct conn *c, json_t *req)
{
	struct event ev = {.type = EV_DIAL, .dial = {.origin = ORIGIN_CTL, .asker = "ctl"}};
	const char *user = command_text(c, req, "user", "the name of a user");
	const char *number = user ? command_text(c, req, "number", "the number to call") : NULL;

	if (number == NULL)
		return;
	if (!str_set(ev.dial.user, user) || !str_set(ev.dial.number, number)) {
		conn_fail(c, "user `%.80s', number `%.80s': one of them is too long", user, number);
		return;
	}
	if (json_is_true(json_object_get(req, "auto")))
		ev.dial.answering = ANSWER_AUTO;
	runner_command(conn_parts(c)->runner, &ev, command_reply, c);
}

static void command_on_call(struct conn *c, json_t *req, enum ev type)
{
	struct event ev = {.type = type, .command = {.origin = ORIGIN_CTL, .asker = "ctl"}};
	struct call_view v;

	ev.call = arg_call(c, req, &v);
	if (ev.call != ID_NONE)
		runner_command(conn_parts(c)->runner, &ev, command_reply, c);
}

#define ON_CALL(name, type)                                                                        \
	static void cmd_##name(struct conn *c, json_t *req)                                        \
	{                                                                                          \
		command_on_call(c, req, type);                                                     \
	}
ON_CALL(cancel, EV_XFER_CANCEL)
ON_CALL(complete, EV_COMPLETE)
ON_CALL(swap, EV_SWAP)
ON_CALL(hold, EV_HOLD)
ON_CALL(unhold, EV_UNHOLD)
ON_CALL(resume, EV_RESUME)
#undef ON_CALL

static void cmd_hangup(struct conn *c, json_t *req)
{
	command_on_call(c, req, EV_HANGUP);
}

static void cmd_record(struct conn *c, json_t *req)
{
	struct event ev = {.type = EV_RECORD, .record = {.origin = ORIGIN_CTL, .asker = "ctl"}};
	const char *what = json_string_value(json_object_get(req, "what"));
	int wish = record_wish_parse(what != NULL ? what : "");
	struct call_view v;

	if (wish < 0) {
		conn_fail(c, "`%s': expected start, pause, stop or config", what != NULL ? what : "");
		return;
	}
	ev.record.wish = (enum record_wish)wish;
	ev.call = arg_call(c, req, &v);
	if (ev.call != ID_NONE)
		runner_command(conn_parts(c)->runner, &ev, command_reply, c);
}

static void cmd_trace(struct conn *c, json_t *req)
{
	struct sip *sip = runner_sip(conn_parts(c)->runner);
	json_t *on = json_object_get(req, "on");
	const char *peer = NULL;
	call_id id = ID_NONE;
	struct call_view v;
	int rc;

	if (!json_is_boolean(on)) {
		conn_fail(c, "%s \"on\": expected true or false", on ? "bad" : "missing");
		return;
	}
	if (json_object_get(req, "peer") != NULL)
		peer = command_text(c, req, "peer", "the name of a peer");
	else
		id = arg_call(c, req, &v);
	if (peer == NULL && id == ID_NONE)
		return;
	rc = sip_trace(sip, id, peer, json_is_true(on));
	if (rc == ENOENT && peer != NULL)
		conn_fail(c, "no peer `%s': expected the name of one in the configuration", peer);
	else if (rc)
		conn_fail(c, "trace: %s", strerror(rc));
	else
		conn_answer(c, fine());
}

static void cmd_reload(struct conn *c, json_t *req)
{
	struct control_parts *parts = conn_parts(c);
	json_t *notes = json_array(), *o = json_object();
	int rc = parts->reload(parts->reload_arg, add_line, notes);

	jo_bool(o, "ok", rc == 0);
	if (rc)
		jo_text(o, "error", "the configuration has problems; the old one stays");
	json_object_set_new(o, "notes", notes);
	conn_answer(c, o);
}

static void cmd_recorder(struct conn *c, json_t *req)
{
	const char *path = command_text(c, req, "file", "the absolute path of a new file");
	json_t *o;
	int rc;

	if (path == NULL)
		return;
	if (path[0] != '/') {
		conn_fail(c, "file `%s': expected an absolute path", path);
		return;
	}
	rc = recorder_dump(conn_parts(c)->recorder, path);
	if (rc) {
		conn_fail(c, "%s: segued cannot write it: %s", path, strerror(rc));
		return;
	}
	o = fine();
	jo_int(o, "recorded", (int64_t)recorder_total(conn_parts(c)->recorder));
	conn_answer(c, o);
}

/* ---- dispatch ------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	void (*run)(struct conn *c, json_t *req);
} commands[] = {
	{"calls", cmd_calls},
	{"call", cmd_call},
	{"transfer", cmd_transfer},
	{"consult", cmd_consult},
	{"dial", cmd_dial},
	{"cancel", cmd_cancel},
	{"complete", cmd_complete},
	{"swap", cmd_swap},
	{"hold", cmd_hold},
	{"unhold", cmd_unhold},
	{"resume", cmd_resume},
	{"hangup", cmd_hangup},
	{"record", cmd_record},
	{"trace", cmd_trace},
	{"registrations", cmd_registrations},
	{"queues", command_queues},
	{"queue", command_queue},
	{"agents", command_agents},
	{"agent", command_agent},
	{"status", cmd_status},
	{"reload", cmd_reload},
	{"recorder", cmd_recorder},
};

static void unknown_command(struct conn *c, const char *name)
{
	char names[256] = "";

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		str_append(names, sizeof(names), i ? ", " : "");
		str_append(names, sizeof(names), commands[i].name);
	}
	conn_fail(c, "no command `%.40s': expected one of %s", name, names);
}

static void dispatch(struct conn *c, json_t *req)
{
	const char *name = command_text(c, req, "cmd", "the name of a command");

	if (name == NULL)
		return;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (str_eq(commands[i].name, name)) {
			commands[i].run(c, req);
			return;
		}
	unknown_command(c, name);
}

void command_run(struct conn *c, const char *line, size_t len)
{
	json_error_t err;
	json_t *req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &err);

	if (req == NULL)
		conn_fail(c, "not a JSON object: %s (at byte %d)", err.text, err.position);
	else if (!json_is_object(req))
		conn_fail(c, "not a JSON object: expected {\"cmd\": ...}");
	else
		dispatch(c, req);
	json_decref(req);
}
