/*
 * statements: how each fact is stored. One table: fact type -> SQL, which reads the facts of a
 * batch from "@", a row source with the columns fact_id, at and the fields of the fact. $1 is the
 * outbox.
 *
 * Every statement may see the same fact again and then changes nothing.
 */
#ifndef SEGUE_DB_STATEMENTS_H
#define SEGUE_DB_STATEMENTS_H

#include <stddef.h>

/* Number of statements; in the order of their numbers they store a batch. */
unsigned statement_count(void);
/* The group of a batch (batch.h) that statement i stores. */
unsigned statement_group(unsigned i);
/* Writes its text, "@" filled in, into buf (at least STATEMENT_MAX bytes). */
#define STATEMENT_MAX 6000
void statement_text(unsigned i, char *buf);

#endif
