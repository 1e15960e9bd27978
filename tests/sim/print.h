/*
 * print: events and actions as one readable line each, for failing seeds and golden traces.
 */
#ifndef SEGUE_SIM_PRINT_H
#define SEGUE_SIM_PRINT_H

#include "core/core.h"

#define PRINT_MAX 768

/* How ids are shown; name() writes into buf (ID_STRLEN bytes) and returns it. NULL: id_str(). */
struct print_names {
	const char *(*name)(void *arg, uint64_t id, char *buf);
	void *arg;
};

/* Both write into buf (PRINT_MAX bytes) and return it. Only what was said is printed. */
const char *print_event(const struct event *ev, const struct print_names *names, char *buf);
const char *print_action(const struct action *a, const struct print_names *names, char *buf);

#endif
