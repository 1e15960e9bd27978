/*
 * batch: facts on their way into SQL: for each fact type one set of columns, each a PostgreSQL
 * array in binary form, so that one statement stores all facts of a type.
 */
#ifndef SEGUE_DB_BATCH_H
#define SEGUE_DB_BATCH_H

#include "core/fact.h"

/* The groups of a batch: one per fact type, and one for what cannot be stored as fact. */
#define GROUP_REJECTED ((unsigned)fact_type_count_)
#define GROUPS	       ((unsigned)fact_type_count_ + 1)

#define GROUP_COLUMNS_MAX 32

struct batch;

/* NULL without memory. */
struct batch *batch_create(void);
void batch_destroy(struct batch *b);
void batch_clear(struct batch *b);

/* Adds one fact of the outbox; one that cannot be read goes to the rejected. False without
 * memory. */
bool batch_add(struct batch *b, uint64_t seq, const unsigned char *bytes, size_t len);
/* Adds one fact to the rejected, with the reason. False without memory. */
bool batch_reject(
	struct batch *b, uint64_t seq, const unsigned char *bytes, size_t len, const char *error);

unsigned batch_rows(const struct batch *b, unsigned group);

/* Writes the types of a group's columns into oids (GROUP_COLUMNS_MAX), returns how many. */
unsigned batch_types(unsigned group, unsigned *oids);
/* Name of a column: "fact_id", "at", then the fields of the fact. */
const char *batch_column(unsigned group, unsigned column);
/* Points values and lengths at the finished columns; they are valid until the batch changes. */
void batch_columns(struct batch *b, unsigned group, const char **values, int *lengths);

#endif
