/*
 * control_internal: between the socket (control.c) and the commands (commands.c).
 */
#ifndef SEGUE_APP_CONTROL_INTERNAL_H
#define SEGUE_APP_CONTROL_INTERNAL_H

#include "app/control.h"

#include <jansson.h>

struct conn;

struct control_parts *conn_parts(struct conn *c);
/* Sends the answer and takes it over; the request is done. */
void conn_answer(struct conn *c, json_t *answer);
void __attribute__((format(printf, 2, 3))) conn_fail(struct conn *c, const char *fmt, ...);

/* Carries out one request: calls conn_answer() or conn_fail() exactly once, now or later. */
void command_run(struct conn *c, const char *line, size_t len);

/* A text argument of a request; NULL after having failed the request. */
const char *command_text(struct conn *c, json_t *req, const char *key, const char *expected);
/* Answers with what the core replied: a runner_reply_fn. */
void command_reply(void *conn, int status, const char *text);

/* commands_acd.c */
void command_queues(struct conn *c, json_t *req);
void command_queue(struct conn *c, json_t *req);
void command_agents(struct conn *c, json_t *req);
void command_agent(struct conn *c, json_t *req);

#endif
