/*
 * api_verbs: what is done to calls. Each verb is an event for the core, the same that a phone or
 * seguectl would cause; the core's reply becomes the answer.
 */
#include "app/api_internal.h"

#include <stdlib.h>
#include <sys/random.h>

/* What a request waits with. */
struct command {
	call_id call;
	uuid transfer; /* that was the call's last before the command */
	bool makes_transfer;
};

static enum origin origin_of(const struct api_request *q)
{
	return q->by_panel ? ORIGIN_PANEL : ORIGIN_API;
}

/* The leg of the call that the viewer speaks on; ID_NONE: somebody else's call, or none. */
static leg_id own_leg(const struct api_request *q, const struct live_call *k)
{
	struct call_view v;

	if (q->viewer.user[0] == '\0' || !core_view(api_core(q->api), k->id, &v))
		return ID_NONE;
	for (unsigned i = 0; i < v.nlegs; i++)
		if (str_eq(v.legs[i].user, q->viewer.user) &&
			(str_eq(v.legs[i].role, "owner") || str_eq(v.legs[i].role, "kept")))
			return v.legs[i].id;
	return ID_NONE;
}

/* ---- the core's answer ----------------------------------------------------------------------- */

static const char *code_of(int status)
{
	switch (status) {
	case 403:
	case 603:
		return "refused";
	case 404:
		return "no_target";
	case 409:
		return "conflict";
	case 488:
		return "media_busy";
	default:
		return "failed";
	}
}

/* Commands are answered with SIP's numbers; HTTP has no 603 or 488. */
static unsigned http_status(int status)
{
	return status == 403 || status == 404 || status == 409	 ? (unsigned)status
	       : status == 603					 ? 403
	       : status == 486 || status == 488 || status == 491 ? 409
	       : status >= 500					 ? 503
								 : 409;
}

/* A refusal tells how the call stands, so that whoever asked sees what has changed meanwhile. */
static void refuse(struct api_request *q, const struct command *c, int status, const char *text)
{
	struct live_call *k = live_call(q->api->live, c->call);
	json_t *more = json_object(), *row;

	row = k ? api_call_json(q->api, k, q->viewer.masked) : NULL;
	json_object_set_new(more, "state",
		row ? json_incref(json_object_get(row, "state")) : jo_string("ended"));
	if (row != NULL)
		json_object_set_new(more, "call", row);
	api_fail_with(q, http_status(status), code_of(status), text, more);
}

static void reply_transfer(struct api_request *q, const struct live_transfer *t)
{
	char id[UUID_STRLEN], url[64 + UUID_STRLEN];

	snprintf(url, sizeof(url), "/api/v1/transfers/%s", uuid_str(&t->id, id));
	api_reply_created(q, url, api_transfer_json(t, q->viewer.masked));
}

/* The call as it is after a command: it may have ended by it. */
static json_t *call_now(const struct api_request *q, call_id id)
{
	struct live_call *k = live_call(q->api->live, id);
	json_t *o = k ? api_call_json(q->api, k, q->viewer.masked) : NULL;

	if (o != NULL)
		return o;
	o = json_object();
	jo_id(o, "id", id);
	jo_text(o, "state", "ended");
	return o;
}

static void on_reply(void *arg, int status, const char *text)
{
	struct api_request *q = arg;
	const struct command *c = q->own;
	struct live_call *k = live_call(q->api->live, c->call);
	struct live_transfer *t = k ? live_transfer(q->api->live, &k->transfer) : NULL;

	if (status >= 300) {
		refuse(q, c, status, text);
		return;
	}
	if (c->makes_transfer && t != NULL && !uuid_eq(&t->id, &c->transfer)) {
		reply_transfer(q, t);
		return;
	}
	api_reply(q, 200, call_now(q, c->call));
}

/* Gives the core an event about the request's call. */
static void command(struct api_request *q, struct live_call *k, struct event *ev, bool transfer)
{
	struct command *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		api_fail(q, 503, "no_memory", "out of memory");
		return;
	}
	c->call = k->id;
	c->transfer = k->transfer;
	c->makes_transfer = transfer;
	q->own = c;
	q->own_free = free;
	runner_command(q->api->parts.runner, ev, on_reply, q);
}

/* ---- verbs ----------------------------------------------------------------------------------- */

void api_transfer_event(const struct api_request *q, const struct live_call *k, const char *number,
	enum xfer_kind kind, struct event *ev)
{
	*ev = (struct event){.type = EV_TRANSFER,
		.call = k->id,
		.leg = own_leg(q, k),
		.wall = loop_wall_us(), /* to be judged at once, by the hours of a queue too */
		.transfer = {.origin = origin_of(q), .kind = kind, .own_host = true,
			.may_refer = true, .masked = q->viewer.masked}};
	str_set(ev->transfer.asker, q->viewer.name);
	str_set(ev->transfer.number, number);
}

static void transfer(struct api_request *q, struct live_call *k)
{
	const char *kind = api_text(q, "kind");
	struct event ev;

	api_transfer_event(q, k, api_text(q, "number"),
		kind && str_eq(kind, "consult") ? XFER_CONSULT : XFER_BLIND, &ev);
	ev.transfer.stay = api_yes(q, "stay");
	command(q, k, &ev, true);
}

void api_run_transfer(struct api_request *q)
{
	struct live_call *k = api_call(q);

	if (k != NULL)
		transfer(q, k);
}

/* The transfer that was running has been called off, or was over: now the other target. */
static void on_cancelled(void *arg, int status, const char *text)
{
	struct api_request *q = arg;
	const struct command *c = q->own;
	struct live_call *k = live_call(q->api->live, c->call);

	if (k == NULL || status >= 500) {
		refuse(q, c, status, text);
		return;
	}
	free(q->own);
	q->own = NULL;
	transfer(q, k);
}

/* Would the policy let the call go there? What could not is refused before anything is called off. */
static bool may_go_there(struct api_request *q, const struct live_call *k)
{
	const struct command c = {.call = k->id};
	struct target_view t;
	struct event ev;

	api_transfer_event(q, k, api_text(q, "number"), XFER_BLIND, &ev);
	core_try_transfer(api_core(q->api), &ev, &t);
	if (t.status == 0)
		return true;
	api_audit(q->api, &q->viewer, origin_of(q), "retry", api_text(q, "number"), t.text);
	refuse(q, &c, t.status == 404 ? 404 : 403, t.text);
	return false;
}

/* Elsewhere: what runs is called off first. Whether the call then may be transferred the core says. */
void api_run_retry(struct api_request *q)
{
	struct live_call *k = api_call(q);
	struct event ev = {.type = EV_XFER_CANCEL, .command = {.origin = origin_of(q)}};
	struct call_view v;
	struct command *c;

	if (k == NULL)
		return;
	if (!core_view(api_core(q->api), k->id, &v) || !v.can_cancel || v.can_transfer) {
		transfer(q, k);
		return;
	}
	if (!may_go_there(q, k))
		return;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		api_fail(q, 503, "no_memory", "out of memory");
		return;
	}
	c->call = ev.call = k->id;
	q->own = c;
	q->own_free = free;
	str_set(ev.command.asker, q->viewer.name);
	runner_command(q->api->parts.runner, &ev, on_cancelled, q);
}

static void simple(struct api_request *q, enum ev type)
{
	struct live_call *k = api_call(q);
	struct event ev = {.type = type, .command = {.origin = origin_of(q)}};

	if (k == NULL)
		return;
	ev.call = k->id;
	str_set(ev.command.asker, q->viewer.name);
	command(q, k, &ev, false);
}

void api_run_complete(struct api_request *q)
{
	simple(q, EV_COMPLETE);
}

void api_run_swap(struct api_request *q)
{
	simple(q, EV_SWAP);
}

void api_run_resume(struct api_request *q)
{
	simple(q, EV_RESUME);
}

void api_run_hold(struct api_request *q)
{
	simple(q, EV_HOLD);
}

void api_run_unhold(struct api_request *q)
{
	simple(q, EV_UNHOLD);
}

void api_run_cancel(struct api_request *q)
{
	simple(q, EV_XFER_CANCEL);
}

void api_run_hangup(struct api_request *q)
{
	simple(q, EV_HANGUP);
}

/* ---- notes ----------------------------------------------------------------------------------- */

/* A long note travels in parts, under one id; the first is the command. */
void api_run_note(struct api_request *q)
{
	struct live_call *k = api_call(q);
	struct event ev = {.type = EV_NOTE, .note = {.origin = origin_of(q)}};
	struct runner *runner = q->api->parts.runner;
	const char *rest = api_text(q, "text");
	uint64_t random[2];
	char text[2048];

	if (k == NULL)
		return;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		api_fail(q, 503, "no_random", "the system has no random numbers");
		return;
	}
	ev.call = k->id;
	ev.note.note = uuid_v7(loop_wall_us(), random[0], random[1]);
	str_set(ev.note.asker, q->viewer.name);
	str_set(text, rest); /* the request may be over when its command is */
	rest = text;
	str_set(ev.note.text, rest);
	command(q, k, &ev, false);
	ev.note.cmd = 0;
	for (rest += strlen(ev.note.text); *rest != '\0'; rest += strlen(ev.note.text)) {
		ev.note.part++;
		str_set(ev.note.text, rest);
		runner_emit(runner, &ev);
	}
}

/* ---- recording --------------------------------------------------------------------------------- */

void api_run_record(struct api_request *q)
{
	struct live_call *k = api_call(q);
	struct event ev = {.type = EV_RECORD, .record = {.origin = origin_of(q)}};

	if (k == NULL)
		return;
	ev.call = k->id;
	ev.record.wish = (enum record_wish)record_wish_parse(api_text(q, "action"));
	str_set(ev.record.asker, q->viewer.name);
	command(q, k, &ev, false);
}

/* ---- click-to-dial ----------------------------------------------------------------------------- */

static void on_dialled(void *arg, int status, const char *text)
{
	struct api_request *q = arg;
	uint64_t id = ID_NONE;
	char url[64];

	if (status >= 300) {
		api_fail(q, http_status(status), code_of(status), "%s", text);
		return;
	}
	id_parse(text, &id);
	snprintf(url, sizeof(url), "/api/v1/calls/%s", text);
	api_reply_created(q, url, call_now(q, id));
}

/* Whose phone: the viewer's own, if no other is named. False after having failed the request. */
static bool who_dials(struct api_request *q, char *user, size_t size)
{
	const char *named = api_text(q, "user");

	if (named == NULL && q->viewer.user[0] == '\0') {
		api_fail_field(q, "user", "user: expected the name of a user; this token is nobody");
		return false;
	}
	str_copy(user, size, named ? named : q->viewer.user);
	if (api_sees_user(q->api, &q->viewer, user))
		return true;
	api_fail_not_your_user(q, "dial", user);
	return false;
}

void api_run_dial(struct api_request *q)
{
	struct event ev = {.type = EV_DIAL, .dial = {.origin = origin_of(q)}};
	const char *answer = api_text(q, "answer");

	if (!who_dials(q, ev.dial.user, sizeof(ev.dial.user)))
		return;
	str_set(ev.dial.asker, q->viewer.name);
	str_set(ev.dial.number, api_text(q, "number"));
	str_set(ev.dial.case_key, api_text(q, "case"));
	if (answer != NULL)
		ev.dial.answering = (enum answering)answering_parse(answer);
	runner_command(q->api->parts.runner, &ev, on_dialled, q);
}

/* ---- agents ---------------------------------------------------------------------------------- */

static void on_agent_reply(void *arg, int status, const char *text)
{
	struct api_request *q = arg;
	struct live_user *u = live_user(q->api->live, q->param[0]);

	if (status >= 300 || u == NULL)
		api_fail(q, http_status(status), code_of(status), "%s", text);
	else
		api_reply(q, 200, api_user_json(q->api, u));
}

void api_run_agent_state(struct api_request *q)
{
	struct event ev = {.type = EV_AGENT, .agent = {.origin = origin_of(q)}};
	const struct live_user *u = live_user(q->api->live, q->param[0]);

	if (u == NULL) {
		api_fail(q, 404, "no_user", "there is no user %s", q->param[0]);
		return;
	}
	if (!api_sees_user(q->api, &q->viewer, u->row.user)) {
		api_fail_not_your_user(q, "agent_state", u->row.user);
		return;
	}
	str_set(ev.agent.user, u->row.user);
	str_set(ev.agent.asker, q->viewer.name);
	str_set(ev.agent.reason, api_text(q, "reason"));
	ev.agent.intent = (enum agent_intent)agent_intent_parse(api_text(q, "state"));
	runner_command(q->api->parts.runner, &ev, on_agent_reply, q);
}

/* ---- what would need more ---------------------------------------------------------------------- */

void api_run_mixer(struct api_request *q)
{
	api_fail(q, 501, "needs_mixer",
		"This would need a mixer: a media server that adds up the voices of three parties. "
		"segue joins two");
}
