/*
 * commands_acd: queues and agents over the control socket: who waits where and why in that order, who
 * is free, and what agents choose to be.
 */
#include "app/control_internal.h"

#include "app/jo.h"

#define CALLERS_SHOWN 200

static struct core *core_of(struct conn *c)
{
	return runner_core(conn_parts(c)->runner);
}

static json_t *fine(const char *key, json_t *value)
{
	json_t *o = json_object();

	jo_bool(o, "ok", true);
	json_object_set_new(o, key, value);
	return o;
}

/* Where it sends callers on to, in the order in which that is tried. */
static json_t *overflow_json(const struct ev_dir_queue *row)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < row->noverflow && i < OVERFLOW_MAX; i++) {
		json_t *o = json_object();

		jo_text(o, "kind", overflow_kind_name((int)row->overflow[i].kind));
		jo_text(o, "target", row->overflow[i].target);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *hours_json(const struct core *core, const char *queue)
{
	struct hours_view v;
	json_t *o;

	if (!core_queue_hours(core, queue, loop_wall_us(), &v) && v.known_until == 0)
		return json_null();
	o = json_object();
	jo_bool(o, "closed", v.closed);
	jo_int(o, "opens_at", v.opens_at / 1000000);
	jo_int(o, "closes_at", v.closes_at / 1000000);
	jo_int(o, "known_until", v.known_until / 1000000);
	return o;
}

static json_t *queue_json(const struct core *core, const struct queue_view *v)
{
	json_t *o = json_object(), *agents = json_object();

	jo_text(o, "queue", v->row.queue);
	jo_text(o, "number", v->row.number);
	jo_text(o, "name", v->row.name);
	jo_text(o, "strategy", strategy_name((int)v->row.strategy));
	jo_int(o, "waiting", v->waiting);
	jo_int(o, "longest_ms", v->longest_ms);
	jo_int(o, "estimate_ms", v->estimate_ms);
	jo_int(o, "members", v->members);
	for (int i = 0; i < (int)agent_state_count_; i++)
		jo_int(agents, agent_state_name(i), v->agents[i]);
	json_object_set_new(o, "agents", agents);
	jo_int(o, "entered", (int64_t)v->entered);
	jo_int(o, "answered", (int64_t)v->answered);
	jo_int(o, "in_time", (int64_t)v->in_time);
	jo_int(o, "abandoned", (int64_t)v->abandoned);
	jo_int(o, "overflowed", (int64_t)v->overflowed);
	jo_int(o, "service_ms", v->row.service_ms);
	jo_bool(o, "keep_wait", v->row.keep_wait);
	jo_int(o, "boost_ms", v->row.boost_ms);
	jo_int(o, "limit_ms", v->limit_ms);
	jo_int(o, "max_length", v->row.max_length);
	json_object_set_new(o, "overflow", overflow_json(&v->row));
	json_object_set_new(o, "hours", hours_json(core, v->row.queue));
	return o;
}

void command_queues(struct conn *c, json_t *req)
{
	struct core *core = core_of(c);
	json_t *list = json_array();
	struct queue_view v;

	for (const char *q = core_next_queue(core, ""); q; q = core_next_queue(core, q))
		if (core_queue_view(core, q, loop_now_ms(), &v))
			json_array_append_new(list, queue_json(core, &v));
	conn_answer(c, fine("queues", list));
}

static json_t *waiting_json(const struct waiting_view *v)
{
	json_t *o = json_object();

	jo_int(o, "position", v->position);
	jo_id(o, "call", v->call);
	jo_text(o, "number", v->number);
	jo_text(o, "name", v->name);
	jo_int(o, "waited_ms", v->waited_ms);
	jo_int(o, "credit_ms", v->credit_ms);
	jo_int(o, "estimate_ms", v->estimate_ms);
	jo_text(o, "offered", v->offered);
	return o;
}

void command_queue(struct conn *c, json_t *req)
{
	const char *name = command_text(c, req, "queue", "the name of a queue");
	struct core *core = core_of(c);
	struct waiting_view w;
	struct queue_view v;
	json_t *o, *list;

	if (name == NULL)
		return;
	if (!core_queue_view(core, name, loop_now_ms(), &v)) {
		conn_fail(c, "no queue `%.63s': `seguectl queues' shows those that there are", name);
		return;
	}
	o = fine("queue", queue_json(core, &v));
	list = json_array();
	for (unsigned i = 1; i <= CALLERS_SHOWN; i++) {
		if (!core_waiting_view(core, name, i, loop_now_ms(), &w))
			break;
		json_array_append_new(list, waiting_json(&w));
	}
	json_object_set_new(o, "callers", list);
	conn_answer(c, o);
}

static json_t *agent_json(const struct core *core, const struct agent_view *v)
{
	json_t *o = json_object(), *queues = json_array();
	int64_t now = loop_now_ms();

	jo_text(o, "user", v->user);
	jo_text(o, "name", v->name);
	jo_text(o, "state", agent_state_name((int)v->state));
	jo_int(o, "since_ms", now - v->since);
	jo_text(o, "intent", agent_intent_name((int)v->intent));
	jo_int(o, "intent_since_ms", now - v->intent_since);
	jo_text(o, "reason", v->reason);
	jo_text(o, "intent_by", v->intent_by);
	jo_id(o, "call", v->call);
	jo_int(o, "missed", v->missed);
	jo_int(o, "answered", (int64_t)v->answered);
	jo_int(o, "talk_ms", v->talk_ms);
	for (const char *q = core_agent_queue(core, v->user, ""); q != NULL;
		q = core_agent_queue(core, v->user, q))
		json_array_append_new(queues, jo_string(q));
	json_object_set_new(o, "queues", queues);
	return o;
}

void command_agents(struct conn *c, json_t *req)
{
	struct core *core = core_of(c);
	json_t *list = json_array();
	struct agent_view v;

	for (const char *a = core_next_agent(core, ""); a; a = core_next_agent(core, a))
		if (core_agent_view(core, a, &v))
			json_array_append_new(list, agent_json(core, &v));
	conn_answer(c, fine("agents", list));
}

void command_agent(struct conn *c, json_t *req)
{
	const char *user = command_text(c, req, "user", "the name of a user"), *intent;
	const char *reason = json_string_value(json_object_get(req, "reason"));
	struct event ev = {.type = EV_AGENT, .agent = {.origin = ORIGIN_CTL, .asker = "ctl"}};
	int parsed;

	if (user == NULL)
		return;
	intent = command_text(c, req, "intent", "available, away or logged_out");
	if (intent == NULL)
		return;
	parsed = agent_intent_parse(intent);
	if (parsed < 0) {
		conn_fail(c, "intent `%.40s': expected available, away or logged_out", intent);
		return;
	}
	if (!str_set(ev.agent.reason, reason)) {
		conn_fail(c, "reason `%.60s': expected at most %d bytes", reason, REASON_MAX - 1);
		return;
	}
	if (!str_set(ev.agent.user, user)) {
		conn_fail(c, "no user `%.63s'", user);
		return;
	}
	ev.agent.intent = (enum agent_intent)parsed;
	runner_command(conn_parts(c)->runner, &ev, command_reply, c);
}
