/*
 * store: the outbox of facts, in LMDB. Facts of one step are appended in one transaction before
 * the step's actions are carried out; the shipper reads them from its own thread and they are
 * trimmed once PostgreSQL has them. Survives kill -9 of the process; it is synced to disk in the
 * background, so that the loop never waits for a disk.
 */
#ifndef SEGUE_STORE_STORE_H
#define SEGUE_STORE_STORE_H

#include "core/fact.h"

struct store;

/* Opens or creates the outbox in directory dir (made if its parent exists); its size_mb on disk are
 * reserved now. A damaged file is renamed, logged and replaced; a child process looks for damage, so
 * call this before there are threads. 0 or an errno: EBUSY if another process has it open, ENOSPC if
 * the disk has no room for it. */
int store_open(const char *dir, unsigned size_mb, struct store **out);
void store_close(struct store *s);

/* Appends n facts in one transaction. On success *last is the sequence number of the newest; numbers
 * go up by one, except that after a reboot of the machine they go on at k * 2^32 + 1. 0 or
 * an errno; ENOSPC when the outbox is full (the caller logs and goes on: a call is never dropped
 * for the ledger's sake, and the loss is counted and shown). */
int store_append(struct store *s, const struct fact *facts, unsigned n, uint64_t *last);

/* Reads facts with sequence numbers > after, at most max, in order. Any thread. fn's pointers are
 * valid during the call only; it returns false to stop early. Room that is freed meanwhile is not
 * used again before the call returns: do not dawdle in fn. Returns how many were given, or -errno. */
int store_read(struct store *s, uint64_t after, unsigned max,
	bool (*fn)(void *arg, uint64_t seq, const unsigned char *bytes, size_t len), void *arg);

/* Removes everything up to and including upto, at most some thousands per call: what is left goes
 * with the next call. Loop thread only. 0 or an errno. */
int store_trim(struct store *s, uint64_t upto);

/* First and last sequence number held (0, 0 when empty; last also counts what was trimmed). */
int store_range(struct store *s, uint64_t *first, uint64_t *last);
/* The newest sequence number; looks nothing up. Loop thread only. */
uint64_t store_last(const struct store *s);

/* Identity of this outbox, made when it was created: sequence numbers mean something only
 * together with it. */
void store_identity(const struct store *s, uuid *id);

#endif
