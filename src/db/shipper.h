/*
 * shipper: the thread that carries facts from the outbox to PostgreSQL, exactly once: batches go
 * as one pipelined transaction together with the cursor (outbox identity, last sequence number),
 * so after any crash on either side it goes on where the tables stand. Waits patiently for a
 * database that is away; says so once a minute.
 */
#ifndef SEGUE_DB_SHIPPER_H
#define SEGUE_DB_SHIPPER_H

#include "core/fact.h"

/* Where facts come from; app/ ties this to the store. Called on the shipper's thread. Their numbers
 * go up by one; a fact k * 2^32 + 1 may follow any smaller number. */
struct shipper_source {
	void *arg;
	uuid identity;
	int (*read)(void *arg, uint64_t after, unsigned max,
		bool (*fn)(void *arg, uint64_t seq, const unsigned char *bytes, size_t len),
		void *fnarg);
};

struct shipper_config {
	char conninfo[512]; /* libpq connection string */
	unsigned batch;	    /* facts per transaction at most, default 1000 */
	unsigned linger_ms; /* waits this long for a batch to fill, default 50 */
	unsigned retry_ms;  /* between attempts to reach the database, default 1000 */
};

struct shipper_status {
	bool connected;
	uint64_t shipped; /* sequence number known to be in the tables */
	uint64_t facts, batches, failures;
	uint64_t rejected;  /* facts that the database refused, now in segue.rejected_facts */
	int64_t last_ok_ms; /* monotonic ms of the last commit, 0 never */
	char last_error[256];
};

struct shipper;

/* Can libpq read this connection string? If not, why says what was expected; it quotes nothing that
 * could be a password. */
bool shipper_conninfo_good(const char *conninfo, char *why, size_t size);

/* Starts the thread. notify_fd (an eventfd, owned by the caller) is written after each commit, so
 * that the loop trims the outbox. 0 or an errno. */
int shipper_start(const struct shipper_config *cfg, const struct shipper_source *src, int notify_fd,
	struct shipper **out);
/* Tells the thread that facts were appended. Any thread, never blocks. */
void shipper_kick(struct shipper *s);
void shipper_status(struct shipper *s, struct shipper_status *out);
/* Ships what can be shipped within grace_ms, then stops the thread and frees s. */
void shipper_stop(struct shipper *s, unsigned grace_ms);

#endif
