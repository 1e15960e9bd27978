/*
 * api_metrics: /metrics for Prometheus, /healthz, /readyz. Counters are fed by facts, gauges are read
 * when somebody asks.
 */
#include "app/api_internal.h"
#include "app/nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STUCK_MS 5000 /* a guard that is late by so much has not fired */

/* Upper bounds in milliseconds. */
static const int64_t join_bounds[] = {10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000};
static const int64_t wait_bounds[] = {1000, 5000, 10000, 20000, 30000, 60000, 120000, 300000, 600000};
#define BOUNDS_MAX 10
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct histogram {
	uint64_t bucket[BOUNDS_MAX + 1];
	int64_t sum_ms;
};

/* A counter for each pair of words that came up, such as kind and outcome. */
struct pair {
	char key[64];
	char a[24], b[24];
	uint64_t n;
	UT_hash_handle hh;
};

struct api_metrics {
	struct pair *transfers, *conversations;
	struct histogram join, wait;
};

struct api_metrics *api_metrics_create(void)
{
	return calloc(1, sizeof(struct api_metrics));
}

static void drop_pairs(struct pair **set)
{
	struct pair *p, *next;

	HASH_ITER(hh, *set, p, next)
	{
		HASH_DEL(*set, p);
		free(p);
	}
}

void api_metrics_destroy(struct api_metrics *m)
{
	if (m == NULL)
		return;
	drop_pairs(&m->transfers);
	drop_pairs(&m->conversations);
	free(m);
}

/* ---- counting -------------------------------------------------------------------------------- */

static void count_pair(struct pair **set, const char *a, const char *b)
{
	struct pair *p;
	char key[64];

	snprintf(key, sizeof(key), "%.24s %.24s", a, b);
	HASH_FIND_STR(*set, key, p);
	if (p == NULL) {
		p = calloc(1, sizeof(*p));
		if (p == NULL)
			return;
		str_set(p->key, key);
		str_set(p->a, a);
		str_set(p->b, b);
		HASH_ADD_STR(*set, key, p);
	}
	p->n++;
}

static void observe(struct histogram *h, const int64_t *bounds, size_t n, int64_t ms)
{
	size_t i;

	for (i = 0; i < n && ms > bounds[i]; i++)
		;
	h->bucket[i]++;
	h->sum_ms += ms;
}

static void on_transfer_closed(struct api *a, const struct fact_transfer_closed *c)
{
	const struct live_transfer *t = live_transfer(a->live, &c->xfer);

	count_pair(&a->metrics->transfers, t ? t->kind : "blind",
		str_eq(c->outcome, "failed") && c->cause[0] ? c->cause : c->outcome);
}

/* The model has seen the fact already: when the target answered is known. */
static void on_transfer_marked(struct api *a, const struct fact *f)
{
	const struct live_transfer *t = live_transfer(a->live, &f->transfer_marked.xfer);

	if (t != NULL && t->answered != 0 && str_eq(f->transfer_marked.mark, "joined"))
		observe(&a->metrics->join, join_bounds, COUNT(join_bounds),
			(f->at - t->answered) / 1000);
}

void api_metrics_fact(struct api *a, const struct live_call *k, const struct fact *f)
{
	switch (f->type) {
	case FACT_TRANSFER_CLOSED:
		on_transfer_closed(a, &f->transfer_closed);
		break;
	case FACT_TRANSFER_MARKED:
		on_transfer_marked(a, f);
		break;
	case FACT_CONVERSATION_CLOSED:
		if (k == NULL) /* it goes on as part of another */
			break;
		count_pair(&a->metrics->conversations, k->kind, f->conversation_closed.outcome);
		if (f->conversation_closed.wait_ms > 0)
			observe(&a->metrics->wait, wait_bounds, COUNT(wait_bounds),
				f->conversation_closed.wait_ms);
		break;
	default:
		break;
	}
}

/* ---- printing -------------------------------------------------------------------------------- */

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP segue_%s %s\n# TYPE segue_%s %s\n", name, help, name, type);
}

static void one(FILE *f, const char *name, const char *type, const char *help, double v)
{
	head(f, name, type, help);
	fprintf(f, "segue_%s %.15g\n", name, v);
}

static void print_pairs(FILE *f, const char *name, const char *label_a, const char *label_b,
	const struct pair *set)
{
	for (const struct pair *p = set; p != NULL; p = p->hh.next)
		fprintf(f, "segue_%s{%s=\"%s\",%s=\"%s\"} %llu\n", name, label_a, p->a, label_b, p->b,
			(unsigned long long)p->n);
}

static void print_histogram(FILE *f, const char *name, const struct histogram *h,
	const int64_t *bounds, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		sum += h->bucket[i];
		fprintf(f, "segue_%s_bucket{le=\"%g\"} %llu\n", name, (double)bounds[i] / 1000,
			(unsigned long long)sum);
	}
	sum += h->bucket[n];
	fprintf(f, "segue_%s_bucket{le=\"+Inf\"} %llu\nsegue_%s_sum %.3f\nsegue_%s_count %llu\n", name,
		(unsigned long long)sum, name, (double)h->sum_ms / 1000, name,
		(unsigned long long)sum);
}

static void print_calls(const struct api *a, FILE *f)
{
	unsigned by_state[16] = {0}, stuck = 0;
	static const char *const states[] = {"ringing", "queued", "talking", "held", "menu",
		"consulting", "transferring", "ended"};
	int64_t now = loop_now_ms();
	struct live_call *k, *next;
	struct call_view v;

	HASH_ITER(hh, live_calls(a->live), k, next)
	{
		if (!core_view(api_core(a), k->id, &v))
			continue;
		for (size_t i = 0; i < COUNT(states); i++)
			by_state[i] += str_eq(states[i], api_shown_state(&v));
		stuck += k->deadline != 0 && now > k->deadline + STUCK_MS;
	}
	head(f, "calls_live", "gauge", "Calls that live now, by state.");
	for (size_t i = 0; i < COUNT(states); i++)
		fprintf(f, "segue_calls_live{state=\"%s\"} %u\n", states[i], by_state[i]);
	one(f, "calls_stuck", "gauge", "Calls whose guard should have fired; 0, or there is a bug.",
		stuck);
}

static void print_queues(const struct api *a, FILE *f)
{
	struct live_queue *q, *next;
	struct queue_view v;

	head(f, "queue_waiting", "gauge", "Callers who wait.");
	HASH_ITER(hh, live_queues(a->live), q, next)
	if (core_queue_view(api_core(a), q->row.queue, loop_now_ms(), &v))
		fprintf(f, "segue_queue_waiting{queue=\"%s\"} %u\n", q->row.queue, v.waiting);
	head(f, "queue_longest_wait_seconds", "gauge", "Of the callers who wait.");
	HASH_ITER(hh, live_queues(a->live), q, next)
	if (core_queue_view(api_core(a), q->row.queue, loop_now_ms(), &v))
		fprintf(f, "segue_queue_longest_wait_seconds{queue=\"%s\"} %.3f\n", q->row.queue,
			(double)v.longest_ms / 1000);
	head(f, "queue_agents", "gauge", "Agents of a queue, by state.");
	HASH_ITER(hh, live_queues(a->live), q, next)
	for (int s = 0; s < agent_state_count_; s++)
		if (core_queue_view(api_core(a), q->row.queue, loop_now_ms(), &v))
			fprintf(f, "segue_queue_agents{queue=\"%s\",state=\"%s\"} %u\n", q->row.queue,
				agent_state_name(s), v.agents[s]);
}

static void print_ledger(const struct api *a, FILE *f)
{
	struct ledger_status st;

	ledger_status(a->parts.ledger, &st);
	one(f, "outbox_facts", "gauge", "Facts that are not in PostgreSQL yet.", (double)st.waiting);
	one(f, "facts_total", "counter", "Facts put on record.", (double)st.appended);
	one(f, "facts_lost_total", "counter", "Facts lost because the outbox was full or broken.",
		(double)st.lost);
	one(f, "facts_rejected_total", "counter", "Facts that PostgreSQL refused.",
		(double)st.shipper.rejected);
	one(f, "database_connected", "gauge", "1: facts can be shipped.", st.shipper.connected);
	one(f, "database_lag_seconds", "gauge",
		"Since the last commit while facts wait; 0 if none waits.",
		st.waiting > 0 && st.shipper.last_ok_ms != 0
			? (double)(loop_now_ms() - st.shipper.last_ok_ms) / 1000
			: 0);
}

static void print_webhooks(const struct api *a, FILE *f)
{
	static const char *const names[][2] = {
		{"webhook_facts_total", "Facts that arrived."},
		{"webhook_failures_total", "Posts that failed, and were tried again."},
		{"webhook_facts_lost_total", "Facts given up: the other side was away too long."},
		{"webhook_facts_behind", "Facts that are still to be sent."},
	};
	const struct webhooks *w = ledger_webhooks(a->parts.ledger);
	struct webhook_status st;

	for (size_t n = 0; webhooks_count(w) > 0 && n < COUNT(names); n++) {
		head(f, names[n][0], n == 3 ? "gauge" : "counter", names[n][1]);
		for (unsigned i = 0; i < webhooks_count(w); i++) {
			webhooks_status(w, i, &st);
			fprintf(f, "segue_%s{webhook=\"%s\"} %llu\n", names[n][0], st.name,
				(unsigned long long)(n == 0   ? st.sent
						     : n == 1 ? st.failures
						     : n == 2 ? st.lost
							      : st.behind));
		}
	}
}

static void print_process(const struct api *a, FILE *f)
{
	struct runner_stats st;
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "re");

	if (statm != NULL) {
		if (fscanf(statm, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(statm);
	}
	runner_stats(a->parts.runner, &st);
	one(f, "events_total", "counter", "Events taken by the core.", (double)st.events);
	one(f, "invites_total", "counter", "New calls.", (double)st.invites);
	one(f, "guards", "gauge", "Guard timers that run.", st.timers);
	one(f, "start_time_seconds", "gauge", "When the interface was opened, UTC.",
		(double)a->started_us / 1e6);
	one(f, "resident_memory_bytes", "gauge", "Memory of the process.",
		(double)pages * (double)sysconf(_SC_PAGESIZE));
}

static void print_http(const struct api *a, FILE *f)
{
	head(f, "http_requests_total", "counter", "Requests, by class of their status.");
	for (int i = 2; i < 6; i++)
		fprintf(f, "segue_http_requests_total{code=\"%dxx\"} %llu\n", i,
			(unsigned long long)a->counters.requests[i]);
	one(f, "http_connections", "gauge", "Connections.", http_connections(a->http));
	one(f, "http_listeners", "gauge", "Listeners of the event stream.",
		api_events_listeners(a->events));
	one(f, "history_questions", "gauge", "Questions to the database that are not answered yet.",
		a->history ? history_waiting(a->history) : 0);
	one(f, "http_sessions", "gauge", "People who are logged in.", access_sessions(a->access));
	one(f, "http_refused_total", "counter", "Requests refused for want of a right.",
		(double)a->counters.refused);
	one(f, "http_logins_failed_total", "counter", "Wrong user or password.",
		(double)a->counters.login_failed);
}

static void print_all(const struct api *a, FILE *f)
{
	const struct api_metrics *m = a->metrics;

	print_calls(a, f);
	head(f, "conversations_total", "counter", "Conversations that have ended.");
	print_pairs(f, "conversations_total", "kind", "outcome", m->conversations);
	head(f, "transfers_total", "counter",
		"Transfers that have ended; of failed ones the outcome is the cause.");
	print_pairs(f, "transfers_total", "kind", "outcome", m->transfers);
	head(f, "transfer_join_seconds", "histogram",
		"From the target's answer until both hear each other.");
	print_histogram(f, "transfer_join_seconds", &m->join, join_bounds, COUNT(join_bounds));
	head(f, "queue_wait_seconds", "histogram", "Time that callers waited in queues.");
	print_histogram(f, "queue_wait_seconds", &m->wait, wait_bounds, COUNT(wait_bounds));
	print_queues(a, f);
	print_ledger(a, f);
	print_webhooks(a, f);
	print_http(a, f);
	print_process(a, f);
}

void api_run_metrics(struct api_request *q)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL) {
		api_fail(q, 503, "no_memory", "out of memory");
		return;
	}
	print_all(q->api, f);
	fclose(f);
	api_reply_text(q, 200, "text/plain; version=0.0.4; charset=utf-8", text, len);
	free(text);
}

/* ---- health ---------------------------------------------------------------------------------- */

/* Whoever reads this answer has been served by the loop: it is alive. */
void api_run_healthz(struct api_request *q)
{
	json_t *o = json_object();

	jo_bool(o, "ok", true);
	api_reply(q, 200, o);
}

/* Calls can be routed: the directory has been read. A database that is away now is told, and is no
 * reason to send calls elsewhere. */
void api_run_readyz(struct api_request *q)
{
	json_t *o = json_object();
	struct people_status people;
	struct ledger_status ledger;
	struct runner_stats st;
	char by[128];
	bool ready;

	people_status(q->api->parts.people, &people);
	ledger_status(q->api->parts.ledger, &ledger);
	runner_stats(q->api->parts.runner, &st);
	ready = (people.synced || !people.configured) && !st.draining;
	jo_bool(o, "ok", ready);
	jo_bool(o, "directory", people.synced);
	jo_bool(o, "stopping", st.draining);
	jo_bool(o, "database", ledger.shipper.connected);
	jo_int(o, "outbox_facts", (int64_t)ledger.waiting);
	if (nodes_taken(q->api->parts.nodes, by, sizeof(by)))
		jo_text(o, "node_taken_by", by);
	api_reply(q, ready ? 200 : 503, o);
}
