/*
 * migrate: applies the numbered files of sql/ to a database, each once, each in a transaction.
 * Serves `seguectl db init` and `seguectl db upgrade`.
 */
#ifndef SEGUE_DB_MIGRATE_H
#define SEGUE_DB_MIGRATE_H

/* Applies what is missing from directory sql_dir (files NNN-name.sql in order), prints one line per
 * file to stdout. Safe to run twice, and by two at once (advisory lock). 0, or an errno after
 * having printed what went wrong and in which file to stderr. */
int migrate_run(const char *conninfo, const char *sql_dir);

/* The version the database is at, -1 if it has no segue schema, or -errno-like < -1 with the
 * reason in why. */
int migrate_version(const char *conninfo, char *why, unsigned size);

#endif
