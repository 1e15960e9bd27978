/*
 * api_targets: to whom a call could be transferred. Everybody is listed; whom it could not go to has
 * the reason. What is allowed is judged by the core, with the policy that a transfer would meet.
 */
#include "app/api_internal.h"

/* What is said about a target that the policy admits all the same, by what the person does. */
static const struct {
	const char *code, *text;
} remarks[agent_state_count_] = {
	[AGENT_TALKING] = {"busy", "is on a call"},
	[AGENT_RINGING] = {"ringing", "is being rung"},
	[AGENT_LOGGED_OUT] = {"logged_out", "is logged out"},
	[AGENT_UNREACHABLE] = {"unregistered", "has no phone that can be reached"},
	[AGENT_AWAY] = {"away", "is away"},
	[AGENT_WRAPUP] = {"wrapup", "finishes the last call"},
};

/* Judges the number for this call; fills what the policy says. */
static void judge(const struct api_request *q, const char *number, json_t *o)
{
	struct target_view t;
	struct event ev;

	api_transfer_event(q, q->call, number, XFER_BLIND, &ev);
	core_try_transfer(api_core(q->api), &ev, &t);
	jo_text(o, "dial", number);
	jo_bool(o, "selectable", t.status == 0);
	jo_text_or_null(o, "reason", t.cause);
	jo_text_or_null(o, "text", t.text);
}

static bool is_selectable(const json_t *o)
{
	return json_is_true(json_object_get(o, "selectable"));
}

static json_t *person_json(const struct api_request *q, const struct live_user *u)
{
	json_t *o = api_user_json(q->api, u);
	struct agent_view v;

	jo_text(o, "kind", "user");
	api_person_state(q->api, u, &v);
	judge(q, u->row.number[0] ? u->row.number : u->row.user, o);
	if (!u->row.enabled) {
		jo_bool(o, "selectable", false);
		jo_text(o, "reason", "disabled");
		jo_text(o, "text", "is switched off by an admin");
	} else if (u->row.number[0] == '\0' && u->ncontacts == 0) {
		jo_bool(o, "selectable", false);
		jo_text(o, "reason", "not_provisioned");
		jo_text(o, "text", "has no phone set up");
	} else if (is_selectable(o) && remarks[v.state].code != NULL) {
		jo_text(o, "reason", remarks[v.state].code);
		jo_text(o, "text", remarks[v.state].text);
	} else if (is_selectable(o) && q->viewer.role == VIEWER_SUPERVISOR &&
		   !api_sees_user(q->api, &q->viewer, u->row.user)) {
		jo_text(o, "reason", "outside");
		jo_text(o, "text", "is outside your departments");
	}
	return o;
}

static json_t *queue_target_json(const struct api_request *q, const struct live_queue *x)
{
	json_t *o = api_queue_json(q->api, x);
	struct queue_view v;

	jo_text(o, "kind", "queue");
	judge(q, x->row.number[0] ? x->row.number : x->row.queue, o);
	if (!is_selectable(o) || !core_queue_view(api_core(q->api), x->row.queue, loop_now_ms(), &v))
		return o;
	if (x->row.max_length != 0 && v.waiting >= x->row.max_length) {
		jo_text(o, "reason", "full");
		jo_text(o, "text", "is full: callers go on to where it overflows");
	} else if (v.agents[AGENT_LOGGED_OUT] + v.agents[AGENT_UNREACHABLE] == v.members) {
		jo_text(o, "reason", "empty");
		jo_text(o, "text", "has nobody logged in");
	} else if (q->viewer.role == VIEWER_SUPERVISOR && !api_sees_queue(&q->viewer, x->row.queue)) {
		jo_text(o, "reason", "outside");
		jo_text(o, "text", "is outside your departments");
	}
	return o;
}

static json_t *ivr_json(const struct api_request *q, const struct live_ivr *i)
{
	json_t *o = api_menu_json(i);

	jo_text(o, "kind", "ivr");
	judge(q, i->row.number, o);
	return o;
}

/* Somebody types a number: what it is, and whether it may be dialled. */
static json_t *number_json(const struct api_request *q, const char *number)
{
	json_t *o = json_object();
	struct target_view t;
	struct event ev;

	api_transfer_event(q, q->call, number, XFER_BLIND, &ev);
	core_try_transfer(api_core(q->api), &ev, &t);
	jo_text(o, "kind", target_kind_name(t.kind));
	jo_text_or_null(o, "name", t.name);
	jo_text(o, "number", number);
	jo_text_or_null(o, "class", t.class);
	judge(q, number, o);
	return o;
}

/* The fallback chain of each kind of target, as it would be walked. */
static json_t *chains_json(const struct core_config *cfg)
{
	json_t *o = json_object();

	for (int kind = TARGET_NONE + 1; kind < target_kind_count_; kind++) {
		const struct chain *c = &cfg->fallback[cfg->fallback[kind].n ? kind : TARGET_NONE];
		json_t *list = json_array();

		for (unsigned i = 0; i < c->n; i++)
			json_array_append_new(list,
				json_pack("{s:s, s:o}", "kind", fallback_kind_name(c->step[i].kind),
					"target", jo_string(c->step[i].target)));
		json_object_set_new(o, target_kind_name(kind), list);
	}
	return o;
}

/* Who may be chosen, and of whom nothing is to be said first, can take the call now. */
static void add(json_t *list, json_t *o)
{
	jo_bool(o, "available", is_selectable(o) && json_is_null(json_object_get(o, "reason")));
	json_array_append_new(list, o);
}

static json_t *everybody_json(const struct api_request *q)
{
	json_t *list = json_array();
	struct live_user *u, *unext;
	struct live_queue *x, *xnext;
	struct live_ivr *i, *inext;

	HASH_ITER(hh, live_users(q->api->live), u, unext)
	add(list, person_json(q, u));
	HASH_ITER(hh, live_queues(q->api->live), x, xnext)
	add(list, queue_target_json(q, x));
	HASH_ITER(hh, live_ivrs(q->api->live), i, inext)
	add(list, ivr_json(q, i));
	return list;
}

void api_run_targets(struct api_request *q)
{
	const char *number = api_text(q, "number");
	json_t *o, *list;

	q->call = api_call(q);
	if (q->call == NULL)
		return;
	o = json_object();
	jo_time(o, "at", loop_wall_us());
	jo_id(o, "call", q->call->id);
	if (number == NULL) {
		list = everybody_json(q);
	} else {
		list = json_array();
		add(list, number_json(q, number));
	}
	json_object_set_new(o, "targets", list);
	jo_int(o, "ring_ms", q->api->cfg->core.ring_ms);
	json_object_set_new(o, "fallback", chains_json(&q->api->cfg->core));
	api_reply(q, 200, o);
}
