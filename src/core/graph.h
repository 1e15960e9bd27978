/*
 * graph: prints the transfer table for people. What it prints comes from the table that the core
 * runs (core_table_row()), so text, picture and documentation cannot drift from the code.
 */
#ifndef SEGUE_CORE_GRAPH_H
#define SEGUE_CORE_GRAPH_H

#include <stddef.h>

#include "base/names.h"

#define GRAPH_FORMAT_LIST(X)                                                                       \
	X(GRAPH_TEXT, "text")	      /* one line per row, grouped by state, for a terminal */     \
	X(GRAPH_DOT, "dot")	      /* Graphviz; rows between the same states share an edge */   \
	X(GRAPH_MARKDOWN, "markdown") /* docs/transfers.md */
ENUM_DECLARE(graph_format, GRAPH_FORMAT_LIST);

/* Renders the table into *text (malloc'd, terminated, caller frees), its length into *len.
 * Returns 0, ENOMEM, or EINVAL for a format that does not exist. */
int graph_render(enum graph_format format, char **text, size_t *len);

#endif
