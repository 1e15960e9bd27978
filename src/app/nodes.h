/*
 * nodes: several segued on one database (E-090). Tells the others which dialogs users have here, and
 * asks the database which node has one that is not here. What is done with the answer is the core's
 * business.
 */
#ifndef SEGUE_APP_NODES_H
#define SEGUE_APP_NODES_H

#include "app/config.h"
#include "app/ledger.h"
#include "app/loop.h"
#include "app/runner.h"

struct nodes;

/* Begins to share; the runner's ACT_LOCATE is answered from then on. *out is NULL where
 * control.locate is 0. 0 or an errno (logged). */
int nodes_open(const struct app_config *cfg, struct loop *loop, struct runner *r, struct ledger *ledger,
	struct nodes **out);
/* NULL does nothing. To be called before runner and loop go. */
void nodes_close(struct nodes *n);
/* Has another segued the number of this node? Then its address is in by. n may be NULL: nobody has. */
bool nodes_taken(struct nodes *n, char *by, size_t size);

/* For sip's hooks: a user's dialog was answered, or is over. n may be NULL. */
void nodes_dialog_up(struct nodes *n, const struct sip_named *d);
void nodes_dialog_over(struct nodes *n, const char *local_tag);

#endif
