/*
 * control: the unix socket that seguectl talks to. One JSON object a line each way:
 *
 *	{"cmd": "transfer", "call": "17.2", "number": "1002"}
 *	{"ok": true, "status": 202, "text": "Accepted"}
 *	{"ok": false, "error": "no call 17.3"}
 *
 * A connection's requests are answered in order; the next one is read when the answer to the last
 * is gone, so a client that does not read costs one answer. Whoever may open the socket may do
 * everything: its permissions are the access control (control.mode).
 */
#ifndef SEGUE_APP_CONTROL_H
#define SEGUE_APP_CONTROL_H

#include "app/config.h"
#include "app/ledger.h"
#include "app/people.h"
#include "app/recorder.h"
#include "app/runner.h"

struct control;

/* What commands look at. All of it outlives the control socket. */
struct control_parts {
	struct loop *loop;
	struct runner *runner;
	struct ledger *ledger;
	struct people *people;
	struct recorder *recorder;
	/* Reads the configuration again; tells problems, and options that take a restart, through
	 * fn. 0 or an errno. */
	int (*reload)(void *arg, config_problem_fn *fn, void *fn_arg);
	void *reload_arg;
};

/* Opens the socket, creating its directory. 0, or an errno after having logged why. */
int control_open(
	const struct app_config *cfg, const struct control_parts *parts, struct control **out);
/* Closes it and all connections, removes the socket. NULL does nothing. */
void control_close(struct control *c);

#endif
