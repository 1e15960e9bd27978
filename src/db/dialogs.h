/*
 * dialogs: tells other nodes, through segue.dialogs, which dialogs users have here (E-090). A thread
 * with a connection of its own writes what has changed; nothing waits for it. What the table holds
 * for this node is what is live: a connection that was lost, and a restart, begin by writing all of it
 * anew. A number of a node belongs to one segued: while another one has it, nothing is written.
 */
#ifndef SEGUE_DB_DIALOGS_H
#define SEGUE_DB_DIALOGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/uuid.h"

struct dialogs;

struct dialogs_config {
	const char *conninfo;
	unsigned node;
	const char *address; /* where this node listens, for people */
	uuid identity;       /* of the outbox: the same after a restart, and nobody else's */
};

/* Starts the thread; cfg is copied. 0 or an errno. */
int dialogs_start(const struct dialogs_config *cfg, struct dialogs **out);
/* Has another segued the number of this node, as far as is known? Then its address is in by. */
bool dialogs_taken(struct dialogs *d, char *by, size_t size);
/* Takes this node's rows out if the database answers within half a second, and stops. NULL does
 * nothing. */
void dialogs_stop(struct dialogs *d);

/* A user's dialog was answered; id is its Call-ID, texts are copied. Without memory other nodes do
 * not see it. */
void dialogs_add(struct dialogs *d, const char *id, const char *local_tag,
	const char *remote_tag, const char *user);
/* It has ended; one that was never added does no harm. */
void dialogs_remove(struct dialogs *d, const char *local_tag);

#endif
