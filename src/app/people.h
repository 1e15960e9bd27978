/*
 * people: the directory's way into the program. Each row becomes an event for the core; users are
 * also kept here for the SIP side, found by name.
 */
#ifndef SEGUE_APP_PEOPLE_H
#define SEGUE_APP_PEOPLE_H

#include "app/config.h"
#include "app/loop.h"
#include "app/runner.h"
#include "db/directory.h"

struct people;

struct people_status {
	bool configured;     /* there is a database to read from */
	bool from_file;      /* the last whole copy came from the file, not the database */
	bool synced;         /* a whole copy has been delivered */
	unsigned users;
	const char *trouble; /* NULL, or why the database is not connected */
};

/* NULL without memory. */
struct people *people_create(struct runner *runner);
/* Starts to read. 0, or an errno after having logged why. */
int people_start(struct people *p, const struct app_config *cfg, struct loop *loop);
/* A fact that an earlier run has left behind, in order; to be called before people_start(): what an
 * agent chose last counts even if the database does not know of it yet. */
void people_recall(void *people, const struct fact *f);
/* Reads everything again, soon. */
void people_refresh(struct people *p);
void people_destroy(struct people *p);

/* Calls fn whenever a whole copy has been delivered. NULL ends that. */
/* Calls fn once, as soon as the directory has been read for the first time, from wherever. */
void people_on_known(struct people *p, void (*fn)(void *arg), void *arg);
void people_on_synced(struct people *p, void (*fn)(void *arg), void *arg);

/* Fills *u and returns true if there is such a user. O(1). */
bool people_find(const struct people *p, const char *name, struct sip_user *u);

void people_status(const struct people *p, struct people_status *out);

#endif
