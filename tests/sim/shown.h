/*
 * shown: what the core shows to the panel and to metrics, against what it does. A transfer that is said
 * to be allowed is not refused, and one that is refused was said to be; a queue counts its callers as
 * they are on record; and an offer rings as long as its queue says.
 */
#ifndef SEGUE_SIM_SHOWN_H
#define SEGUE_SIM_SHOWN_H

#include <uthash.h>

#include "core/core.h"

struct shown_queue { /* its callers, as it showed them last */
	char queue[USER_MAX];
	uint64_t entered, answered, in_time, abandoned, overflowed;
	UT_hash_handle hh;
};

struct shown {
	struct shown_queue *queues;
	bool tried;              /* the step's transfer was judged before */
	struct target_view view; /* .. and this is what whoever asked would have been shown */
};

struct sim;

/* Before the core takes the step in. */
void shown_before(struct sim *s, const struct event *ev);

/* After contract and books took it in. */
void shown_after(struct sim *s, const struct event *ev);

/* Another core counts anew. */
void shown_forget(struct shown *sh);

#endif
