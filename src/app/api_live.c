/* api_live: what lives now: calls, transfers, agents, queues. */
#include "app/api_internal.h"

static bool is_party(const struct live_call *k, const char *user)
{
	for (unsigned i = 0; i < k->nparties; i++)
		if (str_eq(k->party[i]->user, user))
			return true;
	return false;
}

static bool call_fits(const struct api_request *q, const struct live_call *k)
{
	const char *state = api_text(q, "state"), *agent = api_text(q, "agent");
	const char *queue = api_text(q, "queue"), *number = api_text(q, "number");
	char shown[NUM_MAX + 8];
	struct call_view v;

	if (!api_sees_call(q->api, &q->viewer, k) || (agent != NULL && !is_party(k, agent)))
		return false;
	if (queue != NULL && !str_eq(k->queue, queue))
		return false;
	api_show_number(k->customer_number, q->viewer.masked, shown, sizeof(shown));
	if (number != NULL && strstr(shown, number) == NULL)
		return false;
	return state == NULL || (core_view(api_core(q->api), k->id, &v) &&
					str_eq(api_shown_state(&v), state));
}

void api_run_calls(struct api_request *q)
{
	json_t *o = json_object(), *list = json_array(), *row;
	struct live_call *k, *next;
	unsigned n = 0;

	HASH_ITER(hh, live_calls(q->api->live), k, next)
	{
		if (!call_fits(q, k) || n++ >= API_CALLS_MAX)
			continue;
		row = api_call_json(q->api, k, q->viewer.masked);
		if (row != NULL)
			json_array_append_new(list, row);
	}
	jo_time(o, "at", loop_wall_us());
	jo_int(o, "total", n);
	json_object_set_new(o, "calls", list);
	api_reply(q, 200, o);
}

void api_run_call(struct api_request *q)
{
	struct live_call *k = api_call(q);

	if (k != NULL)
		api_reply(q, 200, api_call_detail_json(q->api, k, q->viewer.masked));
}

/* A transfer is seen by who asked for it, and by who sees its call or its target. */
static bool sees_transfer(const struct api_request *q, const struct live_transfer *t)
{
	const struct live_call *k = live_call(q->api->live, t->call);

	return api_sees_user(q->api, &q->viewer, t->asker) ||
	       (k != NULL && api_sees_call(q->api, &q->viewer, k)) ||
	       (q->viewer.name[0] && str_eq(q->viewer.name, t->asker));
}

void api_run_transfer_get(struct api_request *q)
{
	struct live_transfer *t;
	uuid id = {{0}};

	uuid_parse(q->param[0], &id);
	t = live_transfer(q->api->live, &id);
	if (t == NULL)
		api_ask_transfer(q);
	else if (!sees_transfer(q, t))
		api_fail(q, 403, "not_yours", "Transfer %s is not one of yours", q->param[0]);
	else
		api_reply(q, 200, api_transfer_json(t, q->viewer.masked));
}

void api_run_agents(struct api_request *q)
{
	json_t *o = json_object(), *list = json_array();
	const char *queue = api_text(q, "queue");
	struct live_user *u, *next;

	HASH_ITER(hh, live_users(q->api->live), u, next)
	{
		bool in = queue == NULL;

		for (unsigned i = 0; !in && i < u->nqueues; i++)
			in = str_eq(u->queue[i], queue);
		if (in)
			json_array_append_new(list, api_user_json(q->api, u));
	}
	jo_time(o, "at", loop_wall_us());
	json_object_set_new(o, "agents", list);
	api_reply(q, 200, o);
}

void api_run_queues(struct api_request *q)
{
	json_t *o = json_object(), *list = json_array();
	struct live_queue *x, *next;

	HASH_ITER(hh, live_queues(q->api->live), x, next)
	json_array_append_new(list, api_queue_json(q->api, x));
	jo_time(o, "at", loop_wall_us());
	json_object_set_new(o, "queues", list);
	api_reply(q, 200, o);
}
