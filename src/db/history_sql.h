/*
 * history_sql: the SQL of each question of history.h.
 */
#ifndef SEGUE_DB_HISTORY_SQL_H
#define SEGUE_DB_HISTORY_SQL_H

#include "db/history.h"

/* The statement; never NULL. */
const char *history_sql(enum history_topic what);

#endif
