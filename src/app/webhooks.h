/*
 * webhooks: facts go out to other programs as they happen, over HTTP. One thread for each webhook
 * reads the outbox after its own cursor and posts what it finds, in order; an answer of 2xx moves
 * the cursor, anything else is tried again, later and later. The outbox keeps facts until every
 * webhook has them, but not for ever: one that falls too far behind loses the oldest, and the log
 * says so.
 *
 *	POST {"facts": [{"id": 4711, "type": "transfer_closed", "at": .., "data": {..}}, ...]}
 *	X-Segue-Timestamp: 1763712131
 *	X-Segue-Signature: sha256=HEX      of HMAC-SHA256(secret, timestamp "." body)
 *
 * A fact may come twice (a crash between answer and cursor): `outbox` and `id` tell.
 */
#ifndef SEGUE_APP_WEBHOOKS_H
#define SEGUE_APP_WEBHOOKS_H

#include "base/str.h"
#include "base/uuid.h"

#include <stdint.h>

#define WEBHOOKS_MAX	  4
#define WEBHOOK_FACTS_MAX 20

/* After so many failures in a row the next attempt waits so long, in ms: 1, 2, 4, 8, 15, 15 .. s. Not more:
 * whoever was away for hours has what was missed within seconds of coming back. */
#define WEBHOOK_WAIT_MAX_MS 15000
static inline unsigned webhook_wait_ms(unsigned failed)
{
	unsigned ms = 1000;

	for (unsigned i = 1; i < failed && ms < WEBHOOK_WAIT_MAX_MS; i++)
		ms *= 2;
	return ms < WEBHOOK_WAIT_MAX_MS ? ms : WEBHOOK_WAIT_MAX_MS;
}

/* So many facts a webhook may be behind; then the oldest are given up. With 1 KB for each, which is more
 * than one takes, that is half of the outbox at most: a program that is gone for good costs the
 * ledger nothing. */
static inline uint64_t webhook_behind_max(unsigned outbox_mb)
{
	uint64_t half = (uint64_t)outbox_mb * 512;

	return half < 500000 ? half : 500000;
}

struct webhook_config {
	char name[64];
	char url[400];
	char secret[128];
	char facts[WEBHOOK_FACTS_MAX][32]; /* types that it gets */
	unsigned nfacts;                   /* 0: all */
};

/* Where facts come from: reads those after a number, as the shipper does. Any thread. */
struct webhook_source {
	void *arg;
	uuid identity;
	int (*read)(void *arg, uint64_t after, unsigned max,
		bool (*fn)(void *arg, uint64_t seq, const unsigned char *bytes, size_t len),
		void *fnarg);
	uint64_t (*newest)(void *arg);
	uint64_t (*oldest)(void *arg); /* older ones are gone */
	uint64_t behind_max;           /* facts; then the oldest are given up */
};

struct webhook_status {
	const char *name;
	uint64_t sent, failures, lost, behind;
};

struct webhooks;

/* Starts the threads. state is the file of the cursors, "" keeps none: then each begins with what
 * comes. Writes notify_fd (an eventfd) when a cursor has moved. 0 or an errno. */
int webhooks_start(const struct webhook_config *cfg, unsigned n, const char *state,
	const struct webhook_source *src, int notify_fd, struct webhooks **out);
void webhooks_stop(struct webhooks *w);

/* Facts were appended. Never blocks. */
void webhooks_kick(struct webhooks *w);
/* Every webhook has the facts up to here; UINT64_MAX if there is no webhook. */
uint64_t webhooks_done(const struct webhooks *w);
unsigned webhooks_count(const struct webhooks *w);
void webhooks_status(const struct webhooks *w, unsigned i, struct webhook_status *out);

#endif
