/*
 * rows: the directory as a set of checked rows: taken from strings (a query's or the copy file's),
 * compared with an older set, written to the copy file.
 */
#ifndef SEGUE_DB_ROWS_H
#define SEGUE_DB_ROWS_H

#include "db/directory.h"

/* In the order in which they must be taken: a member needs its user and queue, a
 * queue's overflow is part of the queue. */
#define ROW_KIND_LIST(X)                                                                           \
	X(ROW_USER, "user")                                                                        \
	X(ROW_AGENT, "agent")                                                                      \
	X(ROW_QUEUE, "queue")                                                                      \
	X(ROW_HOURS, "hours")                                                                      \
	X(ROW_IVR, "ivr")                                                                          \
	X(ROW_CLASS, "class")                                                                      \
	X(ROW_MEMBER, "member")                                                                    \
	X(ROW_SKILL, "skill")                                                                      \
	X(ROW_NEED, "need")
ENUM_DECLARE(row_kind, ROW_KIND_LIST);

#define ROW_COLUMNS_MAX 24

struct row {
	enum row_kind kind;
	union {
		struct directory_user user;
		struct ev_dir_queue queue;
		struct ev_dir_ivr ivr;
		struct ev_dir_class class;
		struct ev_dir_member member;
		struct ev_dir_skill skill;
		struct ev_dir_need need;
		struct ev_dir_hours hours;
		struct directory_agent agent;
	};
};

struct rows;

struct rows *rows_create(void);
void rows_destroy(struct rows *r);
size_t rows_count(const struct rows *r, enum row_kind kind);

/* How many columns a row of this kind has, and the query that gives them, in the order that
 * rows_take() wants. */
unsigned rows_columns(enum row_kind kind);
const char *rows_query(enum row_kind kind);

/* Takes one row. Returns NULL, or what is wrong with it (in a buffer that lives until the next
 * call): the row is then left out. */
const char *rows_take(struct rows *r, enum row_kind kind, const char *const *values);

/* Copies a row that may have been allocated no larger than its kind needs. */
void rows_copy(struct row *to, const struct row *from);

/* To be called once after the last row. */
void rows_sort(struct rows *r);

/* Calls fn for every row of `to` that is new or differs from `from` (NULL: empty), and for every
 * row that is gone (with gone set), in an order that can be followed row by row. */
void rows_diff(const struct rows *from, const struct rows *to,
	void (*fn)(void *arg, const struct row *row), void *arg);

/* Queues whose opening hours are not known any more at that time (UTC microseconds): how many; names has
 * their names, as many as fit, with a blank between them. */
size_t rows_hours_over(const struct rows *r, int64_t wall, char *names, size_t size);

/* Writes the copy file (0600: it has digests in it), whole or not at all. 0 or an errno. */
int rows_save(const struct rows *r, const char *path);
/* Reads it. 0 or an errno; EBADMSG if it is no whole copy. */
int rows_load(struct rows *r, const char *path);

#endif
