/*
 * api_verbs: what is done to calls. Each verb is an event for the core, the same that a phone or
 * seguectl would cause; the core's reply becomes the answer.
 */
#include "app/api_internal.h"

#include <stdlib.h>

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

static void on_reply(void *arg, int status, const char *text)
{
	struct api_request *q = arg;
	const struct command *c = q->own;
	struct live_call *k = live_call(q->api->live, c->call);
	struct live_transfer *t = k ? live_transfer(q->api->live, &k->transfer) : NULL;
	json_t *o;

	if (status >= 300) {
		refuse(q, c, status, text);
		return;
	}
	if (c->makes_transfer && t != NULL && !uuid_eq(&t->id, &c->transfer)) {
		reply_transfer(q, t);
		return;
	}
	o = k ? api_call_json(q->api, k, q->viewer.masked) : NULL;
	api_reply(q, 200, o ? o : json_object());
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

void api_run_transfer(struct api_request *q)
{
	struct live_call *k = api_call(q);
	struct event ev = {.type = EV_TRANSFER,
		.transfer = {.origin = origin_of(q), .own_host = true, .may_refer = true}};

	if (k == NULL)
		return;
	ev.call = k->id;
	ev.leg = own_leg(q, k);
	str_set(ev.transfer.asker, q->viewer.name);
	str_set(ev.transfer.number, api_text(q, "number"));
	command(q, k, &ev, true);
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

void api_run_cancel(struct api_request *q)
{
	simple(q, EV_XFER_CANCEL);
}

void api_run_hangup(struct api_request *q)
{
	simple(q, EV_HANGUP);
}
