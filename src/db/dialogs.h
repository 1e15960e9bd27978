/*
 * dialogs: tells other nodes, through segue.dialogs, which dialogs users have here (E-090). A thread
 * with a connection of its own writes what has changed; nothing waits for it. What the table holds
 * for this node is what is live: a connection that was lost, and a restart, begin by writing all of it
 * anew.
 */
#ifndef SEGUE_DB_DIALOGS_H
#define SEGUE_DB_DIALOGS_H

struct dialogs;

/* Starts the thread. address: where this node listens, for people. 0 or an errno. */
int dialogs_start(const char *conninfo, unsigned node, const char *address, struct dialogs **out);
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
