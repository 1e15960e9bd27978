/*
 * seguectl: the operator's hand on a running segued, over its control socket; and what needs no
 * daemon: the transfer table as a graph, and the database schema.
 */
#include <config.h>

#include "app/config.h"
#include "app/ctl.h"
#include "app/keys.h"
#include "core/graph.h"
#include "db/migrate.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef SEGUE_CONF
#define SEGUE_CONF "/etc/segue/segue.conf"
#endif
#ifndef SEGUE_SQL
#define SEGUE_SQL "/usr/share/segue/sql"
#endif

static const char usage[] =
	"usage: seguectl [-c FILE] [-s SOCKET] [--json] COMMAND ...\n"
	"\n"
	"Looking at a running segued:\n"
	"  calls                     the calls that live now\n"
	"  call CALL                 one call: its legs, what happened, its SIP messages, its log\n"
	"  registrations             phones that are registered\n"
	"  queues                    queues: who waits, who is free, what became of callers\n"
	"  queue QUEUE               one queue: its callers in the order in which they are served\n"
	"  agents                    what the members of queues are doing\n"
	"  status                    counters, ledger, directory\n"
	"\n"
	"Acting on it:\n"
	"  transfer CALL NUMBER [--leg LEG]   transfer a call, on behalf of whoever talks with "
	"the\n"
	"                            customer, or of LEG\n"
	"           [--stay]         to a queue: they keep the line until somebody answers there\n"
	"  consult CALL NUMBER [--leg LEG]    the same, but the two talk first; the customer "
	"hears music\n"
	"  dial USER NUMBER [--auto] ring the user's phone, then the number, and join them; --auto: "
	"the phone\n"
	"                            is asked to answer by itself\n"
	"  complete CALL             after consult: the customer goes to the target\n"
	"  swap CALL                 after consult: talk with the other of the two\n"
	"  cancel CALL               call off a transfer or a consultation that is under way\n"
	"  resume CALL               the transferor takes the customer back, now\n"
	"  hold CALL, unhold CALL    let both wait, with music for the customer; and talk again\n"
	"  hangup CALL               end a call\n"
	"  record CALL start|pause|stop|config\n"
	"                            keep it as sound, or not; config: as segue.conf says\n"
	"  agent USER available|away [REASON]|logout    set what an agent wants to be\n"
	"  trace CALL on|off         log whole SIP messages of one call\n"
	"  trace --peer NAME on|off  the same for a peer\n"
	"  reload                    read the configuration again, as SIGHUP does\n"
	"  recorder FILE             write the flight recorder to a new file\n"
	"\n"
	"Without a daemon:\n"
	"  graph [--text|--dot|--markdown]    the transfer table\n"
	"  db init                   create the schema; harmless if it is there\n"
	"  db upgrade                apply what is new\n"
	"  db version                what the database is at\n"
	"  passwd USER               set the password for the panel (from stdin or the terminal)\n"
	"  token create NAME SCOPES [USER]    make a token for the HTTP interface; SCOPES are\n"
	"                            names of permissions with commas between\n"
	"  token list                the tokens\n"
	"  token delete NAME         take one back\n"
	"\n"
	"  -c, --config FILE   where socket and database are named (default " SEGUE_CONF ")\n"
	"  -s, --socket PATH   control socket, instead of the one in the configuration\n"
	"      --db CONNINFO   database, instead of the one in the configuration\n"
	"      --sql DIR       migrations (default " SEGUE_SQL ")\n"
	"      --json          the daemon's answer as it is\n"
	"      --version\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 done, 1 refused or failed, 2 wrong usage. See seguectl(1).\n";

enum {
	OPT_DB = 256,
	OPT_SQL,
	OPT_JSON,
	OPT_LEG,
	OPT_AUTO,
	OPT_STAY,
	OPT_PEER,
	OPT_TEXT,
	OPT_DOT,
	OPT_MARKDOWN,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"socket", required_argument, NULL, 's'},
	{"db", required_argument, NULL, OPT_DB},
	{"sql", required_argument, NULL, OPT_SQL},
	{"json", no_argument, NULL, OPT_JSON},
	{"leg", required_argument, NULL, OPT_LEG},
	{"auto", no_argument, NULL, OPT_AUTO},
	{"stay", no_argument, NULL, OPT_STAY},
	{"peer", required_argument, NULL, OPT_PEER},
	{"text", no_argument, NULL, OPT_TEXT},
	{"dot", no_argument, NULL, OPT_DOT},
	{"markdown", no_argument, NULL, OPT_MARKDOWN},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

/* The command line, taken apart. */
struct args {
	const char *config, *socket, *db, *sql, *leg, *peer;
	int json, answer_auto;
	int stay; /* transfer --stay */
	enum graph_format format;
	char **word; /* the command and its words */
	int words;
};

/* ---- configuration ------------------------------------------------------------------------- */

static void print_problem(void *arg, const char *line)
{
	fprintf(stderr, "%s\n", line);
}

static void keep_quiet(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

/* The configuration that was asked for; the default one only if it can be read. Defaults else. */
static int get_config(const struct args *a, struct app_config **cfg)
{
	const char *path = a->config ? a->config : SEGUE_CONF;

	if (config_load(path, a->config ? print_problem : keep_quiet, NULL, cfg) == 0)
		return 0;
	if (a->config != NULL)
		return EINVAL;
	*cfg = malloc(sizeof(**cfg));
	if (*cfg == NULL)
		return ENOMEM;
	config_default(*cfg);
	return 0;
}

/* ---- commands that talk to the daemon ------------------------------------------------------- */

static int ask(const struct args *a, json_t *request, ctl_print_fn *print)
{
	struct app_config *cfg;
	int rc;

	if (a->socket != NULL) {
		rc = ctl_ask(a->socket, request, a->json, print);
	} else if (get_config(a, &cfg) == 0) {
		rc = ctl_ask(cfg->socket, request, a->json, print);
		free(cfg);
	} else {
		rc = EXIT_FAILURE;
	}
	json_decref(request);
	return rc;
}

static int cmd_calls(const struct args *a)
{
	return ask(a, json_pack("{s:s}", "cmd", "calls"), ctl_print_calls);
}

static int cmd_call(const struct args *a)
{
	return ask(a, json_pack("{s:s, s:s}", "cmd", "call", "call", a->word[1]), ctl_print_call);
}

static int cmd_registrations(const struct args *a)
{
	return ask(a, json_pack("{s:s}", "cmd", "registrations"), ctl_print_registrations);
}

static int cmd_queues(const struct args *a)
{
	return ask(a, json_pack("{s:s}", "cmd", "queues"), ctl_print_queues);
}

static int cmd_queue(const struct args *a)
{
	return ask(
		a, json_pack("{s:s, s:s}", "cmd", "queue", "queue", a->word[1]), ctl_print_queue);
}

static int cmd_agents(const struct args *a)
{
	return ask(a, json_pack("{s:s}", "cmd", "agents"), ctl_print_agents);
}

static int cmd_status(const struct args *a)
{
	return ask(a, json_pack("{s:s}", "cmd", "status"), ctl_print_status);
}

static int cmd_dial(const struct args *a)
{
	return ask(a,
		json_pack("{s:s, s:s, s:s, s:b}", "cmd", "dial", "user", a->word[1], "number", a->word[2],
			"auto", a->answer_auto),
		ctl_print_reply);
}

static int cmd_transfer(const struct args *a)
{
	return ask(a,
		json_pack("{s:s, s:s, s:s, s:s*, s:b}", "cmd", a->word[0], "call", a->word[1],
			"number", a->word[2], "leg", a->leg, "stay", a->stay),
		ctl_print_transfer);
}

/* The commands that name a call and nothing else are called alike on both sides. */
static int cmd_on_call(const struct args *a)
{
	return ask(
		a, json_pack("{s:s, s:s}", "cmd", a->word[0], "call", a->word[1]), ctl_print_reply);
}

static int cmd_record(const struct args *a)
{
	return ask(a,
		json_pack("{s:s, s:s, s:s}", "cmd", "record", "call", a->word[1], "what",
			a->word[2]),
		ctl_print_reply);
}

static int wrong(const char *word, const char *expected)
{
	fprintf(stderr, "seguectl: `%s': expected %s; see seguectl --help\n", word, expected);
	return 2;
}

static int cmd_agent(const struct args *a)
{
	const char *what = a->word[2], *reason = a->words > 3 ? a->word[3] : NULL;

	if (str_eq(what, "logout"))
		what = "logged_out";
	if (!str_eq(what, "available") && !str_eq(what, "away") && !str_eq(what, "logged_out"))
		return wrong(what, "available, away or logout");
	if (reason != NULL && !str_eq(what, "away"))
		return wrong(reason, "no reason: only away has one");
	return ask(a,
		json_pack("{s:s, s:s, s:s, s:s*}", "cmd", "agent", "user", a->word[1], "intent", what,
			"reason", reason),
		ctl_print_reply);
}

static int cmd_trace(const struct args *a)
{
	const char *what = a->peer ? a->peer : a->word[1], *on = a->word[a->words - 1];

	if (a->words != (a->peer ? 2 : 3)) {
		fprintf(stderr,
			"seguectl: expected trace CALL on|off, or trace --peer NAME on|off\n");
		return 2;
	}
	if (!str_eq(on, "on") && !str_eq(on, "off"))
		return wrong(on, "on or off");
	return ask(a,
		json_pack("{s:s, s:s, s:b}", "cmd", "trace", a->peer ? "peer" : "call", what, "on",
			str_eq(on, "on")),
		ctl_print_reply);
}

static int cmd_reload(const struct args *a)
{
	return ask(a, json_pack("{s:s}", "cmd", "reload"), ctl_print_reload);
}

/* The daemon does not share our working directory. */
static int cmd_recorder(const struct args *a)
{
	char path[2 * APP_PATH_MAX], cwd[APP_PATH_MAX] = "";

	if (a->word[1][0] != '/' && getcwd(cwd, sizeof(cwd) - 1) == NULL)
		return wrong(a->word[1], "an absolute path");
	snprintf(path, sizeof(path), "%s%s%s", cwd, cwd[0] ? "/" : "", a->word[1]);
	return ask(a, json_pack("{s:s, s:s}", "cmd", "recorder", "file", path), ctl_print_recorder);
}

/* ---- commands that need no daemon ------------------------------------------------------------ */

static int cmd_graph(const struct args *a)
{
	char *text;
	size_t len;
	int rc = graph_render(a->format, &text, &len);

	if (rc) {
		fprintf(stderr, "seguectl: graph: %s\n", strerror(rc));
		return EXIT_FAILURE;
	}
	rc = fwrite(text, 1, len, stdout) == len && fflush(stdout) == 0 ? EXIT_SUCCESS
									: EXIT_FAILURE;
	free(text);
	return rc;
}

static int db_version(const char *conninfo)
{
	char why[256] = "";
	int v = migrate_version(conninfo, why, sizeof(why));

	if (v >= 0)
		printf("%d\n", v);
	else if (v == -1)
		fprintf(stderr,
			"seguectl: the database has no segue schema yet: seguectl db init makes "
			"it\n");
	else
		fprintf(stderr, "seguectl: %s\n", why);
	return v >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int db_run(const struct args *a, const char *conninfo)
{
	const char *what = a->word[1];

	if (str_eq(what, "version"))
		return db_version(conninfo);
	return migrate_run(conninfo, a->sql) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Runs fn with the database that is named on the command line, or in the configuration. */
static int with_db(const struct args *a, int (*fn)(const struct args *a, const char *conninfo))
{
	struct app_config *cfg;
	int rc = EXIT_FAILURE;

	if (a->db != NULL)
		return fn(a, a->db);
	if (get_config(a, &cfg))
		return EXIT_FAILURE;
	if (cfg->shipper.conninfo[0] != '\0')
		rc = fn(a, cfg->shipper.conninfo);
	else
		fprintf(stderr,
			"seguectl: ledger.database is empty in the configuration: name a database "
			"there, or with --db\n");
	free(cfg);
	return rc;
}

static int cmd_db(const struct args *a)
{
	const char *what = a->word[1];

	if (!str_eq(what, "init") && !str_eq(what, "upgrade") && !str_eq(what, "version"))
		return wrong(what, "init, upgrade or version");
	return with_db(a, db_run);
}

static int passwd_run(const struct args *a, const char *conninfo)
{
	return keys_passwd(conninfo, a->word[1]);
}

static int cmd_passwd(const struct args *a)
{
	return with_db(a, passwd_run);
}

static int token_run(const struct args *a, const char *conninfo)
{
	return keys_token(conninfo, a->word + 1, a->words - 1);
}

static int cmd_token(const struct args *a)
{
	return with_db(a, token_run);
}

/* ---- command line ---------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int least, most; /* words, the command itself included */
	const char *form;
	int (*run)(const struct args *a);
} commands[] = {
	{"calls", 1, 1, "calls", cmd_calls},
	{"call", 2, 2, "call CALL", cmd_call},
	{"registrations", 1, 1, "registrations", cmd_registrations},
	{"queues", 1, 1, "queues", cmd_queues},
	{"queue", 2, 2, "queue QUEUE", cmd_queue},
	{"agents", 1, 1, "agents", cmd_agents},
	{"agent", 3, 4, "agent USER available|away [REASON]|logout", cmd_agent},
	{"status", 1, 1, "status", cmd_status},
	{"transfer", 3, 3, "transfer CALL NUMBER [--leg LEG] [--stay]", cmd_transfer},
	{"consult", 3, 3, "consult CALL NUMBER [--leg LEG]", cmd_transfer},
	{"dial", 3, 3, "dial USER NUMBER [--auto]", cmd_dial},
	{"complete", 2, 2, "complete CALL", cmd_on_call},
	{"swap", 2, 2, "swap CALL", cmd_on_call},
	{"cancel", 2, 2, "cancel CALL", cmd_on_call},
	{"resume", 2, 2, "resume CALL", cmd_on_call},
	{"hold", 2, 2, "hold CALL", cmd_on_call},
	{"unhold", 2, 2, "unhold CALL", cmd_on_call},
	{"hangup", 2, 2, "hangup CALL", cmd_on_call},
	{"record", 3, 3, "record CALL start|pause|stop|config", cmd_record},
	{"trace", 2, 3, "trace CALL on|off, or trace --peer NAME on|off", cmd_trace},
	{"reload", 1, 1, "reload", cmd_reload},
	{"recorder", 2, 2, "recorder FILE", cmd_recorder},
	{"graph", 1, 1, "graph [--text|--dot|--markdown]", cmd_graph},
	{"db", 2, 2, "db init|upgrade|version", cmd_db},
	{"passwd", 2, 2, "passwd USER", cmd_passwd},
	{"token", 2, 5, "token create NAME SCOPES [USER], token list or token delete NAME", cmd_token},
};

/* An option that is given and that the command does not know, NULL: none. Left aside in silence it would
 * let somebody believe that `hangup CALL --leg LEG' ends a leg. */
static const char *foreign_option(const struct args *a, const char *form)
{
	const struct {
		const char *name;
		int given;
	} options[] = {{"--leg", a->leg != NULL}, {"--stay", a->stay}, {"--auto", a->answer_auto},
		{"--peer", a->peer != NULL}};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].given && strstr(form, options[i].name) == NULL)
			return options[i].name;
	return NULL;
}

static int run_command(const struct args *a)
{
	const char *foreign;

	if (a->words == 0) {
		fputs(usage, stderr);
		return 2;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!str_eq(commands[i].name, a->word[0]))
			continue;
		if ((foreign = foreign_option(a, commands[i].form)) != NULL)
			return wrong(foreign, commands[i].form);
		if (a->words >= commands[i].least && a->words <= commands[i].most)
			return commands[i].run(a);
		fprintf(stderr, "seguectl: expected %s\n", commands[i].form);
		return 2;
	}
	return wrong(a->word[0], "a command");
}

/* Takes one option; returns -1 to go on, else the exit status. */
static int take_option(struct args *a, int opt)
{
	switch (opt) {
	case 'c':
		a->config = optarg;
		return -1;
	case 's':
		a->socket = optarg;
		return -1;
	case OPT_DB:
		a->db = optarg;
		return -1;
	case OPT_SQL:
		a->sql = optarg;
		return -1;
	case OPT_LEG:
		a->leg = optarg;
		return -1;
	case OPT_AUTO:
		a->answer_auto = 1;
		return -1;
	case OPT_PEER:
		a->peer = optarg;
		return -1;
	case OPT_STAY:
		a->stay = 1;
		return -1;
	case OPT_JSON:
		a->json = 1;
		return -1;
	case OPT_TEXT:
		a->format = GRAPH_TEXT;
		return -1;
	case OPT_DOT:
		a->format = GRAPH_DOT;
		return -1;
	case OPT_MARKDOWN:
		a->format = GRAPH_MARKDOWN;
		return -1;
	case OPT_VERSION:
		printf("seguectl %s\n", PACKAGE_VERSION);
		return EXIT_SUCCESS;
	case 'h':
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	default:
		fprintf(stderr, "seguectl --help shows what can be said\n");
		return 2;
	}
}

int main(int argc, char **argv)
{
	struct args a = {.sql = SEGUE_SQL, .format = GRAPH_TEXT};
	int opt, rc = -1;

	while (rc < 0 && (opt = getopt_long(argc, argv, "c:s:h", long_options, NULL)) != -1)
		rc = take_option(&a, opt);
	if (rc >= 0)
		return rc;
	a.word = argv + optind;
	a.words = argc - optind;
	return run_command(&a);
}
