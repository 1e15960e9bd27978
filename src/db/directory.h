/*
 * directory: users, queues and their hours, members, skills, IVRs, classes of numbers and what agents have
 * chosen, read
 * from PostgreSQL by a thread of its own and
 * refreshed by LISTEN/NOTIFY. Each change arrives on the loop as a row that is new, changed or
 * gone. The last good copy is kept in a file, so segued starts and routes while the database is
 * away. Rows that make no sense are skipped with one log line that quotes them.
 */
#ifndef SEGUE_DB_DIRECTORY_H
#define SEGUE_DB_DIRECTORY_H

#include "core/event.h"

/* A user with what the SIP side needs beyond the core's event. */
struct directory_user {
	struct ev_dir_user core;
	char ha1_md5[33], ha1_sha256[65]; /* hex, "" not set */
	char contact[256];		  /* static contact URI, "" registers */
};

/* What an agent has chosen, as it is stored. */
struct directory_agent {
	bool gone;		/* the row is: nothing is stored any more */
	struct ev_agent core;	/* origin: how it was chosen */
	int64_t since;		/* UTC microseconds */
	bool by_hand;		/* not written by a segued */
};

/* Called on the loop thread, from directory_start() and directory_dispatch(). */
struct directory_hooks {
	void *arg;
	void (*user)(void *arg, const struct directory_user *row);
	void (*queue)(void *arg, const struct ev_dir_queue *row);
	void (*member)(void *arg, const struct ev_dir_member *row);
	void (*ivr)(void *arg, const struct ev_dir_ivr *row);
	void (*class)(void *arg, const struct ev_dir_class *row);
	void (*skill)(void *arg, const struct ev_dir_skill *row);
	void (*need)(void *arg, const struct ev_dir_need *row);
	void (*hours)(void *arg, const struct ev_dir_hours *row);
	void (*agent)(void *arg, const struct directory_agent *row);
	void (*synced)(void *arg, int from_file); /* a whole copy has been delivered */
};

struct directory;

/* Starts the thread; copy_path is the file of the last good copy ("" keeps none). What it holds has been
 * delivered when this returns: who calls in the next moment is known. 0 or errno. */
int directory_start(const char *conninfo, const char *copy_path,
	const struct directory_hooks *hooks, struct directory **out);
/* Becomes readable when directory_dispatch() has something to deliver. */
int directory_fd(const struct directory *d);
void directory_dispatch(struct directory *d);
/* Forces a full re-read soon (SIGHUP). */
void directory_refresh(struct directory *d);
/* NULL if connected, else why not. */
const char *directory_trouble(const struct directory *d);
void directory_stop(struct directory *d);

#endif
