/*
 * api: HTTP for people and programs: the panel's files, REST under /api/v1, live events, metrics.
 *
 *	http/server -> api.c: who asks, which route, are the fields right -> handler (api_*.c)
 *	-> looks at live, or gives the core a command, or asks history -> answer
 *
 * The routes are one table (api_routes.c); the OpenAPI document and docs/api.md are printed from it.
 */
#ifndef SEGUE_APP_API_H
#define SEGUE_APP_API_H

#include "app/config.h"
#include "app/ledger.h"
#include "app/people.h"
#include "app/runner.h"

#include <stdio.h>

struct api;

/* What the handlers look at. All of it outlives the api. */
struct api_parts {
	struct loop *loop;
	struct runner *runner;
	struct ledger *ledger;
	struct people *people;
	struct nodes *nodes; /* may be NULL */
};

/* Opens it; *out is NULL if http.listen is empty. 0, or an errno after having logged why. */
int api_open(const struct app_config *cfg, const struct api_parts *parts, struct api **out);
void api_reconfigure(struct api *a, const struct app_config *cfg);
/* NULL does nothing. */
void api_close(struct api *a);

/* Writes the OpenAPI document, and docs/api.md. */
void api_print_openapi(FILE *f);
void api_print_markdown(FILE *f);

#endif
