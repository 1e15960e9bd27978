/*
 * log: one line per event, logfmt, to stderr or syslog. A person who tails it can tell the story
 * of a transfer (product.md M19).
 *
 *	2026-11-21T14:02:11.123Z info call=17.2 leg=17.2.3 xfer=0193... transfer_requested target=bob
 *
 * Values with blanks, quotes or control bytes are quoted and escaped, so a hostile header cannot
 * forge a line. Not for use in core/: the core's story is its facts.
 */
#ifndef SEGUE_BASE_LOG_H
#define SEGUE_BASE_LOG_H

#include "base/id.h"
#include "base/names.h"
#include "base/uuid.h"

#define LOG_LEVEL_LIST(X)                                                                          \
	X(LOG_LEVEL_DEBUG, "debug")                                                                \
	X(LOG_LEVEL_INFO, "info")                                                                  \
	X(LOG_LEVEL_NOTICE, "notice")                                                              \
	X(LOG_LEVEL_WARN, "warn")                                                                  \
	X(LOG_LEVEL_ERROR, "error")
ENUM_DECLARE(log_level, LOG_LEVEL_LIST);

#define LOG_TARGET_LIST(X)                                                                         \
	X(LOG_TARGET_STDERR, "stderr")                                                             \
	X(LOG_TARGET_SYSLOG, "syslog")                                                             \
	X(LOG_TARGET_NONE, "none")
ENUM_DECLARE(log_target, LOG_TARGET_LIST);

/* What a line is about; any part may be 0/NULL. A leg id implies its call. */
struct log_ref {
	uint64_t id;      /* call_id or leg_id */
	const uuid *xfer; /* running transfer */
};

/* Where lines go and from which level on. May be called again at any time (SIGHUP). */
void log_open(enum log_target target, enum log_level min);
enum log_level log_min(void);

/* Writes one line: event is one lower_case word, the rest are key, value pairs ended by NULL:
 *	log_kv(LOG_LEVEL_INFO, (struct log_ref){leg}, "refer", "target", num, "from", host, NULL);
 * A NULL or empty value drops its pair. Safe from any thread. */
void log_kv(enum log_level level, struct log_ref ref, const char *event, ...)
	__attribute__((sentinel));

/* Same with the pairs in an array: key, value, key, value; n counts both. */
void log_pairs(enum log_level level, struct log_ref ref, const char *event,
	const char *const *pairs, unsigned n);

/* Same with one printf-formatted "msg" value. */
void log_msg(enum log_level level, struct log_ref ref, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Between the two, lines are gathered and written in one go: for the few lines of one step. Not
 * nested; from one thread at a time. */
void log_hold(void);
void log_release(void);

/* Last lines about one call (the newest 64 of each call that is alive, from a bounded ring):
 * calls fn for each, oldest first; fn must not log. */
void log_each_of_call(call_id call, void (*fn)(void *arg, const char *line), void *arg);

#endif
