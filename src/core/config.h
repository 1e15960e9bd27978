/*
 * config: the part of the configuration that decides: times, fallback chain, dial plan, policy.
 * Plain data; app/ fills it from segue.conf, tests by hand.
 */
#ifndef SEGUE_CORE_CONFIG_H
#define SEGUE_CORE_CONFIG_H

#include "core/types.h"

#define ROUTES_MAX 256
#define FALLBACK_MAX 8
#define PATTERN_MAX 64

/* One line of the dial plan. First match wins.
 *
 * A pattern is matched against the whole number, left to right: a digit, +, * or # or letter
 * stands for itself, X for any digit, Z for 1-9, N for 2-9, [1-5] for one of a set, a final "."
 * for one or more of anything, a final "!" for zero or more.
 * `strip` characters are cut off the front, `prefix` is put before the rest. */
struct route {
	char pattern[PATTERN_MAX];
	enum target_kind kind;   /* NONE: refuse with 403 */
	char target[USER_MAX];   /* user, queue, ivr or peer name; "" for USER/QUEUE/IVR: look the
				  * (rewritten) number up in the directory */
	unsigned strip;
	char prefix[NUM_MAX];
	char source[USER_MAX];   /* only for calls from this peer; "" any; "users": from users */
	bool transfer;           /* may also be the target of a transfer */
};

#define ROUTE_INDEX_CHARS 128

/* For each first character the set of routes that can fit; see dialplan_index(). */
struct route_index {
	uint64_t of[ROUTE_INDEX_CHARS][ROUTES_MAX / 64];
	unsigned nroute; /* as many routes were indexed; another count: not to be used */
};

#define FALLBACK_KIND_LIST(X)                                                                      \
	X(FALLBACK_RECALL, "recall")     /* ring the transferor again */                           \
	X(FALLBACK_USER, "user")         /* ring this user */                                      \
	X(FALLBACK_ANNOUNCE, "announce") /* dial this number (an announcement); hang up after it */\
	X(FALLBACK_HANGUP, "hangup")
ENUM_DECLARE(fallback_kind, FALLBACK_KIND_LIST);

struct fallback {
	enum fallback_kind kind;
	char target[USER_MAX]; /* user name, or the number to dial for an announcement */
};

struct core_config {
	/* guards, milliseconds */
	int64_t setup_ms;    /* a first call rings this long before 408/480 goes back */
	int64_t ring_ms;     /* T_ring: a transfer target rings this long (E-026) */
	int64_t recall_ms;   /* a recalled transferor rings this long */
	int64_t join_ms;     /* from the target's answer to joined media */
	int64_t resume_ms;   /* T_resume: a transferor has this long to take the caller back (E-009) */
	int64_t bye_ms;      /* T_bye: after the final NOTIFY's answer (E-003) */
	int64_t notify_ms;   /* the final NOTIFY waits this long for its answer (E-005) */
	int64_t close_ms;    /* CLOSED must come within this; 64*T1 plus a margin */

	int64_t queue_ring_ms;  /* an offer of a queue rings this long, unless the queue says */
	int64_t queue_retry_ms; /* between offers that nobody took, unless the queue says */
	int64_t queue_wait_ms;  /* longest wait in a queue, unless the queue says */

	/* agents */
	unsigned away_after;  /* so many offers unanswered in a row set an agent away; 0: never */
	bool withdraw_away;   /* an offer that rings is withdrawn when its agent sets away (E-113) */

	/* policy */
	uint16_t no_answer_status; /* sipfrag when the target did not answer: 408 or 480 */
	bool refer_foreign;        /* follow a Refer-To to a foreign domain as a number (E-064) */
	bool redirect;             /* follow 3xx to own numbers (E-028) */
	unsigned redirect_max;     /* at most 5 */

	struct fallback fallback[FALLBACK_MAX];
	unsigned nfallback;

	struct route route[ROUTES_MAX];
	unsigned nroute;
	struct route_index route_index; /* derived from route[]: dialplan_index() */
};

/* Sensible defaults, no routes: every number is looked up in the directory. */
void core_config_default(struct core_config *cfg);

#endif
