/*
 * config: segue.conf as plain data. Every option is declared once, in the table of options.c; from
 * it come the parser, the defaults, the shipped conf/segue.conf, segue.conf(5) and
 * docs/options.md.
 *
 *	segue.conf -> libconfig tree -> config_load(): each value checked against its option,
 *	then what belongs together -> struct app_config, or every problem in one go
 */
#ifndef SEGUE_APP_CONFIG_H
#define SEGUE_APP_CONFIG_H

#include "app/access.h"
#include "app/webhooks.h"
#include "base/log.h"
#include "core/config.h"
#include "db/shipper.h"
#include "http/server.h"
#include "media/media.h"
#include "sip/sip.h"

#include <stdio.h>

#define APP_PATH_MAX 256
#define APP_SOCKET_MAX 108 /* sun_path of unix(7) */

struct app_config {
	char file[APP_PATH_MAX]; /* where it was read from */
	unsigned node;           /* number of this process in a cluster, part of every id */

	struct sip_config sip;
	struct core_config core;
	struct media_config media;

	struct shipper_config shipper;
	char database_at[APP_PATH_MAX + 16]; /* FILE:LINE of ledger.database; FILE: if it is not there */
	char outbox[APP_PATH_MAX];         /* directory of the LMDB outbox */
	unsigned outbox_mb;                /* its bound on disk */
	char directory_copy[APP_PATH_MAX]; /* file of the last good directory, "" none */
	bool recover;    /* calls outlive the process */
	bool keep_calls; /* and its orderly end */
	unsigned ship_grace_ms;            /* at the end: facts still shipped within this time */

	char socket[APP_SOCKET_MAX]; /* control socket */
	unsigned socket_mode;        /* its permissions */
	unsigned drain_ms;           /* SIGTERM: live calls have this long to end */

	struct http_config http; /* nlisten 0: there is no HTTP */
	struct access_config access;
	char panel_dir[APP_PATH_MAX]; /* the panel's files, "" none */
	char http_answers[APP_PATH_MAX]; /* of requests with an Idempotency-Key, "" none */
	unsigned http_db_threads, http_query_ms, http_events;

	struct webhook_config webhooks[WEBHOOKS_MAX];
	unsigned nwebhooks;
	char webhook_state[APP_PATH_MAX]; /* file of their cursors, "" none */

	enum log_target log_target;
	enum log_level log_level;

	unsigned recorder_events;          /* events that the flight recorder keeps */
	char recorder_file[APP_PATH_MAX];  /* where it goes on a crash, "" nowhere */
};

/* Told each problem as one line: "segue.conf:12: transfer.ring = `abc': expected a time ..." */
typedef void config_problem_fn(void *arg, const char *line);

/* Everything at its default. */
void config_default(struct app_config *cfg);

/* Reads and checks a file. 0 and *out (caller frees with free()); or EINVAL after having told every
 * problem, ENOMEM. *out is untouched on failure. */
int config_load(const char *path, config_problem_fn *fn, void *arg, struct app_config **out);

/* For a reload: puts the options that cannot change in a running daemon back to what `old` says,
 * and tells the path of each one that differed. */
void config_keep_fixed(struct app_config *new_cfg, const struct app_config *old,
	void (*fn)(void *arg, const char *path), void *arg);

/* Checks one value as it would stand in the file, without quotes; path as "transfer.ring" or
 * "peers.name". 0; ENOENT: no such option; EINVAL with "expected ..." in err. For the fuzzer and
 * tests. */
int config_parse_value(const char *path, const char *text, char *err, size_t size);

/* The option table as conf/segue.conf, as segue.conf(5), and as docs/options.md. */
void config_print_conf(FILE *out);
void config_print_man(FILE *out);
void config_print_markdown(FILE *out);

#endif
