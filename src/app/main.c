/*
 * segued: the daemon. parts[] is the tour: every part in the order in which each needs the ones
 * before it; stop() goes the same way back.
 */
#include <config.h>

#include "app/anchor.h"
#include "app/api.h"
#include "app/config.h"
#include "app/control.h"
#include "app/ledger.h"
#include "app/loop.h"
#include "app/nodes.h"
#include "app/people.h"
#include "app/recorder.h"
#include "app/runner.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#ifndef SEGUE_CONF
#define SEGUE_CONF "/etc/segue/segue.conf"
#endif

#define KNOWN_MS 3000 /* calls of the run before wait so long for the directory */
#define GEN_US 62500  /* no slot has calls more often than that, and no start takes less */

struct daemon {
	const char *path; /* of the configuration */
	struct app_config *cfg;
	struct ledger *ledger;
	struct core *core;
	struct recorder *recorder;
	struct runner *runner;
	struct keeper *keeper; /* NULL: calls are not kept */
	struct people *people;
	struct nodes *nodes; /* NULL: this one is alone */
	struct sip *sip;
	struct loop *loop;
	struct control *control;
	struct api *api; /* NULL: http.listen is empty */
	int signals;
	struct loop_watch *signal_watch;
	uint32_t first_gen; /* of call ids: by the time, which is ahead of all that were given before */
	call_id *recovered; /* of the run before; NULL: none, or the core knows what they have lost */
	unsigned nrecovered;
	int known_fd; /* -1: nobody waits for the directory */
	struct loop_watch *known_watch;
	bool stopping;
};

/* ---- reload -------------------------------------------------------------------------------- */

struct notes {
	config_problem_fn *fn; /* may be NULL */
	void *arg;
};

static void log_problem(void *arg, const char *line)
{
	struct notes *n = arg;

	log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "config_problem", "msg", line, NULL);
	if (n->fn != NULL)
		n->fn(n->arg, line);
}

static void note_restart(void *arg, const char *path)
{
	struct notes *n = arg;
	char line[160];

	log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "config_needs_restart", "option", path, NULL);
	snprintf(line, sizeof(line), "%s takes effect at the next start", path);
	if (n->fn != NULL)
		n->fn(n->arg, line);
}

static int reload(void *arg, config_problem_fn *fn, void *fn_arg)
{
	struct daemon *d = arg;
	struct notes notes = {fn, fn_arg};
	const struct event changed = {.type = EV_CONFIG};
	struct app_config *cfg;
	int rc = config_load(d->path, log_problem, &notes, &cfg);

	if (rc) {
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "reload_refused", "file", d->path,
			NULL);
		return rc;
	}
	config_keep_fixed(cfg, d->cfg, note_restart, &notes);
	free(d->cfg);
	d->cfg = cfg;
	cfg->core.first_gen = d->first_gen;
	log_open(cfg->log_target, cfg->log_level);
	core_reconfigure(d->core, &cfg->core);
	recorder_reconfigure(d->recorder, &cfg->core);
	rc = sip_reconfigure(d->sip, &cfg->sip);
	if (runner_media(d->runner) != NULL)
		anchor_reconfigure(runner_media(d->runner), cfg);
	people_refresh(d->people);
	api_reconfigure(d->api, cfg);
	runner_emit(d->runner, &changed); /* for those who wait, too */
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "reloaded", "file", d->path, NULL);
	return rc;
}

/* ---- signals ------------------------------------------------------------------------------- */

static void on_drained(void *arg)
{
	struct daemon *d = arg;

	loop_stop(d->loop);
}

static void on_signal(void *arg, int events)
{
	struct daemon *d = arg;
	struct signalfd_siginfo si;

	if (read(d->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo == SIGHUP) {
		reload(d, NULL, NULL);
		return;
	}
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "stopping", "signal",
		strsignal((int)si.ssi_signo), NULL);
	if (d->stopping)
		loop_stop(d->loop); /* asked twice: at once */
	d->stopping = true;
	if (d->cfg->keep_calls && d->cfg->recover && d->keeper != NULL) {
		keeper_all(d->keeper, d->sip);
		loop_stop(d->loop); /* they wait for the next segued */
		return;
	}
	runner_drain(d->runner, d->cfg->drain_ms, on_drained, d);
}

/* Before any thread is made, so that all of them leave the signals to the loop. */
static int signals_open(struct daemon *d)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return d->signals < 0 ? errno : 0;
}

static int signals_watch(struct daemon *d)
{
	d->signal_watch = loop_watch(d->loop, d->signals, LOOP_IN, on_signal, d);
	return d->signal_watch ? 0 : ENOMEM;
}

/* ---- start and stop ------------------------------------------------------------------------ */

static int outbox_open(struct daemon *d)
{
	return ledger_open(d->cfg, &d->ledger);
}

static int shipper_open(struct daemon *d)
{
	return ledger_start(d->ledger, d->cfg, d->loop);
}

static int directory_open(struct daemon *d)
{
	ledger_each(d->ledger, people_recall, d->people);
	return people_start(d->people, d->cfg, d->loop);
}

static int core_open(struct daemon *d)
{
	d->first_gen = (uint32_t)(loop_wall_us() / GEN_US) & ((1u << ID_GEN_BITS) - 1);
	d->cfg->core.first_gen = d->first_gen;
	d->core = core_create(&d->cfg->core, d->cfg->node);
	d->recorder = recorder_create(d->cfg->recorder_events, &d->cfg->core, d->cfg->node);
	if (d->core == NULL || d->recorder == NULL)
		return ENOMEM;
	if (d->cfg->recorder_file[0] != '\0')
		recorder_dump_on_crash(d->recorder, d->cfg->recorder_file);
	return 0;
}

static int runner_open(struct daemon *d)
{
	d->runner = runner_create(d->core, d->ledger, d->recorder);
	d->people = d->runner ? people_create(d->runner) : NULL;
	if (d->people == NULL)
		return ENOMEM;
	return 0;
}

/* The directory is known, or does not come. */
static void on_known(void *arg)
{
	struct daemon *d = arg;

	if (d->recovered != NULL)
		runner_go_on(d->runner, d->recovered, d->nrecovered, keeper_seen(d->keeper));
	free(d->recovered);
	d->recovered = NULL;
}

static void on_known_late(void *arg, int events)
{
	struct daemon *d = arg;

	loop_timer_ack(d->known_fd);
	on_known(d);
}

static int wait_for_directory(struct daemon *d)
{
	people_on_known(d->people, on_known, d);
	d->known_fd = loop_timer_open();
	if (d->known_fd < 0)
		return errno;
	d->known_watch = loop_watch(d->loop, d->known_fd, LOOP_IN, on_known_late, d);
	loop_timer_set(d->known_fd, d->cfg->shipper.conninfo[0] != '\0' ? KNOWN_MS : 1);
	return d->known_watch != NULL ? 0 : ENOMEM;
}

/* What an earlier run had to do with, before the first message is read. */
static int calls_go_on(struct daemon *d)
{
	char count[16];
	int rc = keeper_open(d->cfg, d->ledger, d->core, &d->keeper);

	if (rc)
		return rc;
	d->nrecovered = keeper_restore(d->keeper, d->sip, &d->recovered);
	runner_keep(d->runner, d->keeper);
	if ((rc = keeper_start(d->keeper, d->loop)) != 0)
		return rc;
	runner_begin(d->runner, d->cfg->node, PACKAGE_VERSION, d->recovered, d->nrecovered);
	if (d->nrecovered == 0)
		return 0;
	snprintf(count, sizeof(count), "%u", d->nrecovered);
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "calls_recovered", "count", count, NULL);
	return wait_for_directory(d);
}

/* While the daemon stops, SIP may still have something to say when nobody listens any more. */
static void on_emit(void *arg, struct event *ev)
{
	struct daemon *d = arg;

	if (d->runner != NULL)
		runner_emit(d->runner, ev);
}

static bool on_find_user(void *arg, const char *name, struct sip_user *u)
{
	struct daemon *d = arg;

	return d->people != NULL && people_find(d->people, name, u);
}

static void on_dialog_up(void *arg, const struct sip_named *dialog)
{
	nodes_dialog_up(((struct daemon *)arg)->nodes, dialog);
}

static void on_dialog_over(void *arg, const char *local_tag)
{
	nodes_dialog_over(((struct daemon *)arg)->nodes, local_tag);
}

static int sip_open(struct daemon *d)
{
	struct sip_hooks hooks = {.arg = d,
		.emit = on_emit,
		.find_user = on_find_user,
		.dialog_up = on_dialog_up,
		.dialog_over = on_dialog_over};

	d->sip = sip_create(&d->cfg->sip, &hooks);
	d->loop = d->sip ? loop_create(sip_loop(d->sip)) : NULL;
	if (d->loop == NULL)
		return EADDRNOTAVAIL; /* what exactly was logged by sip */
	return runner_start(d->runner, d->loop, d->sip);
}

static int media_open(struct daemon *d)
{
	return runner_anchor(d->runner, d->cfg);
}

static int nodes_start(struct daemon *d)
{
	return nodes_open(d->cfg, d->loop, d->runner, d->ledger, &d->nodes);
}

static int http_start(struct daemon *d)
{
	struct api_parts p = {
		.loop = d->loop, .runner = d->runner, .ledger = d->ledger, .people = d->people,
		.nodes = d->nodes};

	return api_open(d->cfg, &p, &d->api);
}

static int control_start(struct daemon *d)
{
	struct control_parts parts = {.loop = d->loop,
		.runner = d->runner,
		.ledger = d->ledger,
		.people = d->people,
		.recorder = d->recorder,
		.reload = reload,
		.reload_arg = d};

	return control_open(d->cfg, &parts, &d->control);
}

/* The parts in the order in which each needs those before it. */
static const struct part {
	const char *name;
	int (*open)(struct daemon *d);
} parts[] = {
	{"signals", signals_open},     /* before any thread */
	{"outbox", outbox_open},       /* facts have a place to go */
	{"core", core_open},           /* decides; remembers its last events */
	{"runner", runner_open},       /* gives it events, carries its actions out */
	{"sip", sip_open},             /* opens the transports and the loop */
	{"media", media_open},         /* puts media engines into the path of the audio */
	{"calls", calls_go_on},        /* those of the run before */
	{"signals", signals_watch},
	{"shipper", shipper_open},     /* outbox to PostgreSQL */
	{"nodes", nodes_start},        /* other segued on the same database */
	{"http", http_start},          /* panel and API; sees the directory from its first row */
	{"directory", directory_open}, /* users, queues and IVRs from PostgreSQL */
	{"control", control_start},    /* seguectl may come */
};

/* Opens part after part; at the first that fails says which, and stops there. */
static int start(struct daemon *d)
{
	log_open(d->cfg->log_target, d->cfg->log_level);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int rc = parts[i].open(d);

		if (rc == 0)
			continue;
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "not_started", "part", parts[i].name,
			"why", strerror(rc), NULL);
		return rc;
	}
	return 0;
}

static void stop(struct daemon *d)
{
	control_close(d->control);
	api_close(d->api);
	nodes_close(d->nodes);
	d->nodes = NULL;
	people_destroy(d->people);
	d->people = NULL;
	ledger_close(d->ledger, d->cfg->ship_grace_ms);
	loop_unwatch(d->signal_watch);
	loop_unwatch(d->known_watch);
	if (d->known_fd >= 0)
		close(d->known_fd);
	free(d->recovered);
	runner_destroy(d->runner);
	d->runner = NULL;
	keeper_close(d->keeper);
	loop_destroy(d->loop);
	if (d->sip != NULL)
		sip_destroy(d->sip);
	if (d->core != NULL)
		core_destroy(d->core);
	recorder_destroy(d->recorder);
	if (d->signals >= 0)
		close(d->signals);
	free(d->cfg);
}

static int run(const char *path, struct app_config *cfg)
{
	struct daemon d = {.path = path, .cfg = cfg, .signals = -1, .known_fd = -1};
	int rc = start(&d);

	if (rc == 0) {
		log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "started", "version", PACKAGE_VERSION,
			"config", path, "listen", cfg->sip.listen[0], "control", cfg->socket, NULL);
		loop_run(d.loop);
		log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "stopped", NULL);
	}
	stop(&d);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- command line -------------------------------------------------------------------------- */

static const char usage[] =
	"usage: segued [-c FILE]           run in the foreground\n"
	"       segued [-c FILE] --check   tell everything that is wrong in the configuration\n"
	"\n"
	"  -c, --config FILE   configuration (default " SEGUE_CONF ")\n"
	"      --check         exit 0 if the configuration is good, 1 if not\n"
	"      --print-config  every option with its default and meaning, as a configuration\n"
	"      --print-man     the same as the manual page segue.conf(5)\n"
	"      --print-markdown  the same as docs/options.md\n"
	"      --print-api       the HTTP interface, as docs/api.md\n"
	"      --print-openapi   the same as OpenAPI 3.1\n"
	"      --version\n"
	"  -h, --help\n"
	"\n"
	"Signals: HUP reads the configuration again; TERM and INT hang up the live calls, ship "
	"the\n"
	"ledger and end. See segued(8), segue.conf(5), seguectl(1).\n";

enum {
	OPT_CHECK = 256,
	OPT_PRINT_CONFIG,
	OPT_PRINT_MAN,
	OPT_PRINT_MARKDOWN,
	OPT_PRINT_API,
	OPT_PRINT_OPENAPI,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check", no_argument, NULL, OPT_CHECK},
	{"print-config", no_argument, NULL, OPT_PRINT_CONFIG},
	{"print-man", no_argument, NULL, OPT_PRINT_MAN},
	{"print-markdown", no_argument, NULL, OPT_PRINT_MARKDOWN},
	{"print-api", no_argument, NULL, OPT_PRINT_API},
	{"print-openapi", no_argument, NULL, OPT_PRINT_OPENAPI},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

static void print_problem(void *arg, const char *line)
{
	fprintf(stderr, "%s\n", line);
}

static int print_and_exit(int what)
{
	switch (what) {
	case OPT_PRINT_CONFIG:
		config_print_conf(stdout);
		break;
	case OPT_PRINT_MAN:
		config_print_man(stdout);
		break;
	case OPT_PRINT_MARKDOWN:
		config_print_markdown(stdout);
		break;
	case OPT_PRINT_API:
		api_print_markdown(stdout);
		break;
	case OPT_PRINT_OPENAPI:
		api_print_openapi(stdout);
		break;
	case OPT_VERSION:
		printf("segued %s\n", PACKAGE_VERSION);
		break;
	default:
		fputs(usage, stdout);
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* libpq knows what it understands, and config/ does not know libpq. */
static bool database_good(const struct app_config *cfg)
{
	char why[160];

	if (cfg->shipper.conninfo[0] == '\0' ||
		shipper_conninfo_good(cfg->shipper.conninfo, why, sizeof(why)))
		return true;
	fprintf(stderr, "%s: ledger.database: %s\n", cfg->database_at, why);
	return false;
}

#define HEAP_KEEP (64 << 20) /* bytes free at the top that are kept */
#define HEAP_STEP (1 << 20)  /* by which it grows at least */

/* What a wave of calls leaves, the next one needs: transactions alone are 15 KB a call for half a
 * minute. The C library would give 128 KB back at once and take them again page by page, which is a
 * sixth of the CPU at 300 calls/s. */
static void keep_heap(void)
{
#ifdef M_TRIM_THRESHOLD
	mallopt(M_TRIM_THRESHOLD, HEAP_KEEP);
	mallopt(M_TOP_PAD, HEAP_STEP);
#endif
}

int main(int argc, char **argv)
{
	const char *path = SEGUE_CONF;
	struct app_config *cfg;
	bool check = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1)
		switch (opt) {
		case 'c':
			path = optarg;
			break;
		case OPT_CHECK:
			check = true;
			break;
		case '?':
			fprintf(stderr, "segued --help shows what can be said\n");
			return 2;
		default:
			return print_and_exit(opt);
		}
	if (optind < argc) {
		fprintf(stderr, "segued: `%s': expected options only, see segued --help\n",
			argv[optind]);
		return 2;
	}
	keep_heap();
	if (config_load(path, print_problem, NULL, &cfg))
		return EXIT_FAILURE;
	if (!database_good(cfg)) {
		free(cfg);
		return EXIT_FAILURE;
	}
	if (!check)
		return run(path, cfg);
	printf("%s is good: %u listeners, %u peers, %u routes\n", path, cfg->sip.nlisten,
		cfg->sip.npeers, cfg->core.nroute);
	free(cfg);
	return EXIT_SUCCESS;
}
