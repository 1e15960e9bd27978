/*
 * calls: the live calls as bytes, in LMDB beside the outbox, so that a process that starts after
 * another one has ended, however it ended, finds them. Like the outbox it survives kill -9, and
 * nothing in it waits for a disk. What the bytes mean is the caller's business.
 */
#ifndef SEGUE_STORE_CALLS_H
#define SEGUE_STORE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calls;

/* Opens or makes dir/calls.mdb, size_mb on disk at most; dir must exist and be locked by its owner, see
 * store_open(). What was written before a reboot of the machine is forgotten: nobody is in those calls
 * any more. A file that cannot be used is made anew. 0 or an errno. */
int calls_open(const char *dir, unsigned size_mb, struct calls **out);
void calls_close(struct calls *c);

/* A change: what is put, forgotten and noted until calls_commit() is there whole, or not at all, whenever the
 * process ends. One at a time; only calls_put(), calls_forget(), calls_note() and its end may come within.
 * 0 or an errno. */
int calls_begin(struct calls *c);
/* Keeps these bytes for the call, in place of older ones. 0 or an errno, ENOSPC when there is no room: then
 * nothing can be done but calls_abort(). */
int calls_put(struct calls *c, uint64_t id, const void *bytes, size_t len);
int calls_forget(struct calls *c, uint64_t id);
/* What else belongs to this change, in place of the older note. Errors as of calls_put(). */
int calls_note(struct calls *c, const void *bytes, size_t len);
/* 0, or an errno: nothing has changed then. */
int calls_commit(struct calls *c);
void calls_abort(struct calls *c);

/* Shows the note of the newest change that had one; fn's pointer is valid during the call only. 0, ENOENT
 * or an errno. */
int calls_noted(struct calls *c, void (*fn)(void *arg, const unsigned char *bytes, size_t len), void *arg);

/* Its owner lives; now_ms monotonic. To be said every second or so. */
void calls_alive(struct calls *c, int64_t now_ms);
/* When that was said last, by whomever; 0: never in this boot of the machine. */
int64_t calls_last_alive(const struct calls *c);

/* Shows each call; fn must not change anything, its pointers are valid during the call only. 0 or an
 * errno. */
int calls_each(struct calls *c,
	void (*fn)(void *arg, uint64_t id, const unsigned char *bytes, size_t len), void *arg);

#endif
