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

#endif
