/* api_live: what lives now: calls, transfers, agents, queues. */
#include "app/api_internal.h"

#include <stdio.h>
#include <stdlib.h>

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

/* ---- lists --------------------------------------------------------------------------------------- */

/* A list that is written as it is sent, a few rows each time, so that a long one never keeps the loop:
 * each row as it is then, and those that have gone meanwhile are not in it. */
struct list {
	struct api_request *q;
	/* Text of the n-th row, freed by the caller; NULL: it has gone. */
	char *(*row)(const struct list *l, unsigned n);
	void *names; /* of the rows: what row() wants */
	unsigned n, next;
	char head[200], *text; /* of the row that is being sent */
	size_t len, sent;
	enum { HEAD, FIRST, OTHERS, TAIL } at;
};

#define LIST_AT_ONCE 20 /* so many are sent in one piece, which can be gzip */

static void list_free(void *arg)
{
	struct list *l = arg;

	free(l->names);
	free(l->text);
	free(l);
}

static struct list *list_new(struct api_request *q, char *(*row)(const struct list *l, unsigned n),
	size_t max, size_t size)
{
	struct list *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->q = q;
	l->row = row;
	l->names = calloc(max + 1, size);
	if (l->names != NULL)
		return l;
	list_free(l);
	return NULL;
}

/* The next piece of the text; false at its end. */
static bool list_piece(struct list *l)
{
	const char *before = l->at == OTHERS ? "," : "";
	char *row = NULL;
	int n;

	free(l->text);
	l->text = NULL;
	l->sent = l->len = 0;
	if (l->at == TAIL)
		return false;
	if (l->at == HEAD) {
		l->text = strdup(l->head);
		l->at = FIRST;
	} else {
		while (row == NULL && l->next < l->n)
			row = l->row(l, l->next++);
		n = asprintf(&l->text, "%s%s", row ? before : "", row ? row : "]}");
		l->text = n < 0 ? NULL : l->text;
		l->at = row ? OTHERS : TAIL;
		free(row);
	}
	l->len = l->text ? strlen(l->text) : 0;
	return l->text != NULL;
}

static ssize_t list_feed(void *arg, char *buf, size_t max)
{
	struct list *l = arg;
	size_t n = 0, some;

	while (n < max) {
		if (l->sent == l->len && !list_piece(l))
			break;
		some = l->len - l->sent < max - n ? l->len - l->sent : max - n;
		memcpy(buf + n, l->text + l->sent, some);
		l->sent += some;
		n += some;
	}
	return n > 0 ? (ssize_t)n : l->at == TAIL ? HTTP_WHOLE : -1;
}

static void list_at_once(struct list *l)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	while (f != NULL && list_piece(l))
		fwrite(l->text, 1, l->len, f);
	if (f == NULL || fclose(f) != 0 || l->at != TAIL)
		api_fail(l->q, 503, "no_memory", "out of memory");
	else
		api_reply_text(l->q, 200, "application/json", text, len);
	free(text);
}

/* Answers with it, and takes it over; NULL: there was no memory for it. */
static void list_reply(struct api_request *q, struct list *l)
{
	if (l == NULL) {
		api_fail(q, 503, "no_memory", "out of memory");
		return;
	}
	if (l->n <= LIST_AT_ONCE) {
		list_at_once(l);
		list_free(l);
		return;
	}
	q->own = l;
	q->own_free = list_free;
	http_reply_stream(q->http, "application/json", list_feed, l);
}

/* ---- calls --------------------------------------------------------------------------------------- */

static char *call_row(const struct list *l, unsigned n)
{
	const struct live_call *k = live_call(l->q->api->live, ((const call_id *)l->names)[n]);

	return k ? api_call_text(l->q->api, k, l->q->viewer.masked) : NULL;
}

void api_run_calls(struct api_request *q)
{
	unsigned limit = (unsigned)api_int(q, "limit", API_CALLS_MAX), total = 0;
	uint64_t cursor = (uint64_t)api_int(q, "cursor", 0), last = 0;
	struct list *l = list_new(q, call_row, limit, sizeof(call_id));
	struct live_call *k, *next;
	char at[JO_TIME_MAX], more[24] = "null";

	HASH_ITER(hh, live_calls(q->api->live), k, next)
	{
		if (l == NULL || !call_fits(q, k))
			continue;
		total++;
		if (k->n > cursor && l->n < limit) {
			((call_id *)l->names)[l->n++] = k->id;
			last = k->n;
		} else if (k->n > cursor) {
			snprintf(more, sizeof(more), "%llu", (unsigned long long)last);
		}
	}
	if (l != NULL)
		snprintf(l->head, sizeof(l->head), "{\"at\":\"%s\",\"total\":%u,\"next\":%s,\"calls\":[",
			jo_time_str(loop_wall_us(), at), total, more);
	list_reply(q, l);
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

static char *agent_row(const struct list *l, unsigned n)
{
	const struct live_user *u = live_user(l->q->api->live, (const char *)l->names + n * USER_MAX);
	json_t *o = u ? api_user_json(l->q->api, u) : NULL;
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return text;
}

static bool is_member(const struct live_user *u, const char *queue)
{
	for (unsigned i = 0; i < u->nqueues; i++)
		if (str_eq(u->queue[i], queue))
			return true;
	return false;
}

void api_run_agents(struct api_request *q)
{
	struct live_user *u, *next, *all = live_users(q->api->live);
	struct list *l = list_new(q, agent_row, HASH_COUNT(all), USER_MAX);
	const char *queue = api_text(q, "queue");
	char at[JO_TIME_MAX];

	HASH_ITER(hh, all, u, next)
	if (l != NULL && (queue == NULL || is_member(u, queue)))
		str_copy((char *)l->names + l->n++ * USER_MAX, USER_MAX, u->row.user);
	if (l != NULL)
		snprintf(l->head, sizeof(l->head), "{\"at\":\"%s\",\"agents\":[",
			jo_time_str(loop_wall_us(), at));
	list_reply(q, l);
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
