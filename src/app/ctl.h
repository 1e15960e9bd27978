/*
 * ctl: the client's side of the control socket, and how its answers look to people.
 */
#ifndef SEGUE_APP_CTL_H
#define SEGUE_APP_CTL_H

#include <jansson.h>

typedef void ctl_print_fn(const json_t *answer);

/* Sends one request, prints the answer (as it is, if raw) or what went wrong. Returns the exit
 * status. The request stays the caller's. */
int ctl_ask(const char *socket_path, const json_t *request, int raw, ctl_print_fn *print);

ctl_print_fn ctl_print_calls, ctl_print_call, ctl_print_registrations, ctl_print_status,
	ctl_print_transfer, ctl_print_reply, ctl_print_reload, ctl_print_recorder, ctl_print_queues,
	ctl_print_queue, ctl_print_agents;

#endif
