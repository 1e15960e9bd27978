/* nodes: see nodes.h. */
#include "app/nodes.h"

#include "db/dialogs.h"
#include "db/history.h"
#include "sip/referto.h"

#include <errno.h>
#include <stdlib.h>

struct nodes {
	struct runner *runner;
	struct dialogs *dialogs;
	struct history *history;
	struct loop_watch *watch;
	struct seek *seeks; /* questions that wait for their answer */
	unsigned node;
};

/* A dialog that is looked for. */
struct seek {
	struct nodes *nodes;
	call_id call;
	uint64_t cmd;
	char replaces[REPLACES_MAX];
	struct seek *prev, *next;
};

static void tell(struct nodes *n, const struct seek *s, unsigned node)
{
	struct event ev = {.type = EV_LOCATED, .call = s->call};
	char text[12] = "none";

	ev.located.cmd = s->cmd;
	ev.located.node = node;
	if (node != 0) {
		str_set(ev.located.replaces, s->replaces);
		snprintf(text, sizeof(text), "%u", node);
	}
	log_kv(LOG_LEVEL_INFO, (struct log_ref){s->call}, "dialog_located", "node", text, NULL);
	runner_emit(n->runner, &ev);
}

static void on_answer(void *arg, enum history_result result, const char *text, size_t len)
{
	struct seek *s = arg;
	struct nodes *n = s->nodes;
	struct seek found = *s;
	unsigned node = result == HISTORY_OK ? (unsigned)strtoul(text, NULL, 10) : 0;

	(void)len;
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		n->seeks = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	free(s);
	if (result != HISTORY_OK && result != HISTORY_NOTHING)
		log_kv(LOG_LEVEL_NOTICE, (struct log_ref){found.call}, "dialog_not_located", "why",
			history_result_name((int)result), NULL);
	tell(n, &found, node);
}

static struct seek *seek_new(struct nodes *n, const struct action *a)
{
	struct seek *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	*s = (struct seek){.nodes = n, .call = a->call, .cmd = a->cmd, .next = n->seeks};
	if (n->seeks != NULL)
		n->seeks->prev = s;
	n->seeks = s;
	return s;
}

/* ACT_LOCATE: without an answer the core's guard says that there is none. */
static void locate(void *arg, const struct action *a)
{
	struct nodes *n = arg;
	struct replaces name;
	char node[12];
	const char *params[] = {node, name.call_id, name.to_tag, name.from_tag,
		sip_refer_user(runner_sip(n->runner), a->cmd)};
	struct seek *s = seek_new(n, a);

	if (s == NULL)
		return;
	snprintf(node, sizeof(node), "%u", n->node);
	if (!sip_refer_replaces(runner_sip(n->runner), a->cmd, s->replaces, sizeof(s->replaces)) ||
		replaces_parse(s->replaces, strlen(s->replaces), &name) != 0)
		on_answer(s, HISTORY_BAD, NULL, 0); /* too long to be carried */
	else
		history_ask(n->history, ASK_DIALOG, 5, params, on_answer, s);
}

static void on_history(void *arg, int events)
{
	struct nodes *n = arg;

	(void)events;
	history_dispatch(n->history);
}

int nodes_open(const struct app_config *cfg, struct loop *loop, struct runner *r, struct ledger *ledger,
	struct nodes **out)
{
	struct dialogs_config dialogs = {
		.conninfo = cfg->shipper.conninfo, .node = cfg->node, .address = cfg->sip.listen[0]};
	struct nodes *n;
	int rc;

	*out = NULL;
	if (cfg->core.locate_ms == 0)
		return 0;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return ENOMEM;
	n->runner = r;
	n->node = cfg->node;
	ledger_identity(ledger, &dialogs.identity);
	rc = history_start(cfg->shipper.conninfo, 1, (unsigned)cfg->core.locate_ms, &n->history);
	if (rc == 0 && (n->watch = loop_watch(loop, history_fd(n->history), LOOP_IN, on_history, n)) ==
			       NULL)
		rc = ENOMEM;
	if (rc == 0)
		rc = dialogs_start(&dialogs, &n->dialogs);
	if (rc) {
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "dialogs_not_shared", "why",
			strerror(rc), NULL);
		nodes_close(n);
		return rc;
	}
	runner_locator(r, locate, n);
	*out = n;
	return 0;
}

void nodes_close(struct nodes *n)
{
	struct seek *s;

	if (n == NULL)
		return;
	runner_locator(n->runner, NULL, NULL);
	dialogs_stop(n->dialogs);
	loop_unwatch(n->watch);
	history_stop(n->history); /* answers nobody any more */
	while ((s = n->seeks) != NULL) {
		n->seeks = s->next;
		free(s);
	}
	free(n);
}

bool nodes_taken(struct nodes *n, char *by, size_t size)
{
	return n != NULL && dialogs_taken(n->dialogs, by, size);
}

void nodes_dialog_up(struct nodes *n, const struct sip_named *d)
{
	if (n != NULL)
		dialogs_add(n->dialogs, d->call_id, d->local_tag, d->remote_tag, d->user);
}

void nodes_dialog_over(struct nodes *n, const char *local_tag)
{
	if (n != NULL)
		dialogs_remove(n->dialogs, local_tag);
}
