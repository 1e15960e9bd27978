/*
 * history: questions to PostgreSQL that are asked from the loop and answered later. A few threads
 * with a connection each take them in order; the answer comes back on the loop thread, from
 * history_dispatch(). Nothing here makes the loop wait, whatever the database does.
 *
 * The questions are a fixed list (history_sql.c). Each takes text parameters and gives one text,
 * as a rule a JSON document that PostgreSQL has built.
 */
#ifndef SEGUE_DB_HISTORY_H
#define SEGUE_DB_HISTORY_H

#include "base/names.h"

#include <stdbool.h>
#include <stddef.h>

/* What can be asked. The parameters of each are told beside its SQL. */
#define HISTORY_TOPIC_LIST(X)                                                                      \
	X(ASK_ACCESS, "access") /* logins, departments and tokens */                               \
	X(ASK_CONVERSATIONS, "conversations")                                                      \
	X(ASK_CONVERSATIONS_CSV, "conversations_csv") /* a page: see its SQL */                    \
	X(ASK_CONVERSATIONS_NTH, "conversations_nth")                                              \
	X(ASK_CONVERSATION, "conversation")                                                        \
	X(ASK_CASE, "case")                                                                        \
	X(ASK_CONTACT, "contact")                                                                  \
	X(ASK_AGENT_REPORT, "agent_report")                                                        \
	X(ASK_QUEUE_REPORT, "queue_report")                                                        \
	X(ASK_HALF_HOURS, "half_hours")                                                            \
	X(ASK_RECENT, "recent")                                                                    \
	X(ASK_DIALOG, "dialog") /* which other node has it */                                      \
	X(ASK_RECORDING, "recording")                                                              \
	X(ASK_TRANSFER, "transfer")
ENUM_DECLARE(history_topic, HISTORY_TOPIC_LIST);

#define HISTORY_RESULT_LIST(X)                                                                     \
	X(HISTORY_OK, "ok")                                                                        \
	X(HISTORY_NOTHING, "nothing") /* no row, or NULL */                                        \
	X(HISTORY_BAD, "bad")         /* a parameter is not what its type wants */                 \
	X(HISTORY_AWAY, "away")       /* no connection, or too many questions wait */              \
	X(HISTORY_FAILED, "failed")   /* the database said something else; logged */
ENUM_DECLARE(history_result, HISTORY_RESULT_LIST);

struct history;

/* Starts `threads` threads (1..8). 0 or an errno. */
int history_start(
	const char *conninfo, unsigned threads, unsigned timeout_ms, struct history **out);
void history_stop(struct history *h);
/* Readable: call history_dispatch(). */
int history_fd(const struct history *h);
void history_dispatch(struct history *h);

/* Asks. The parameters are copied; NULL is SQL's NULL. fn is called exactly once, unless
 * history_forget(arg) comes before it; text lives during the call only, and is NULL unless the
 * result is HISTORY_OK. */
typedef void history_fn(void *arg, enum history_result result, const char *text, size_t len);
void history_ask(struct history *h, enum history_topic what, unsigned nparams, const char *const *params,
	history_fn *fn, void *arg);
/* Whoever asked with this arg is gone: what is being asked is cut off, also on the server. */
void history_forget(struct history *h, void *arg);
/* Questions that wait or are being answered. */
unsigned history_waiting(const struct history *h);

#endif
