/* migrate: see migrate.h. Blocking on purpose: it runs in seguectl, never on the loop. */
#include "db/migrate.h"

#include "base/str.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_KEY  "7305808869229538" /* any number, the same for all who migrate */
#define NO_SCHEMA (-1)
#define FAILED	  (-2)

/* libpq's messages end with a line feed, ours do not. */
static void copy_error(const char *msg, char *why, size_t size)
{
	str_copy(why, size, msg);
	for (size_t n = strlen(why); n > 0 && isspace((unsigned char)why[n - 1]); n--)
		why[n - 1] = '\0';
}

static PGconn *connect_db(const char *conninfo, char *why, size_t size)
{
	PGconn *conn = PQconnectdb(conninfo);

	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	copy_error(PQerrorMessage(conn), why, size);
	PQfinish(conn);
	return NULL;
}

/* Runs a query that gives one value; NULL (and the reason) if it fails. The caller clears it. */
static PGresult *query(PGconn *conn, const char *sql, char *why, size_t size)
{
	PGresult *res = PQexec(conn, sql);

	if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1)
		return res;
	copy_error(PQerrorMessage(conn), why, size);
	PQclear(res);
	return NULL;
}

static int read_version(PGconn *conn, char *why, size_t size)
{
	PGresult *res = query(conn, "SELECT to_regclass('segue.migrations') IS NULL", why, size);
	bool missing;
	int version;

	if (!res)
		return FAILED;
	missing = PQgetvalue(res, 0, 0)[0] == 't';
	PQclear(res);
	if (missing)
		return NO_SCHEMA;
	res = query(conn, "SELECT coalesce(max(version), 0) FROM segue.migrations", why, size);
	if (!res)
		return FAILED;
	version = atoi(PQgetvalue(res, 0, 0));
	PQclear(res);
	return version;
}

int migrate_version(const char *conninfo, char *why, unsigned size)
{
	PGconn *conn = connect_db(conninfo, why, size);
	int version;

	if (!conn)
		return FAILED;
	version = read_version(conn, why, size);
	PQfinish(conn);
	return version;
}

/* ---- the files --------------------------------------------------------------------------- */

/* NNN-name.sql */
static int is_migration(const struct dirent *e)
{
	const unsigned char *n = (const unsigned char *)e->d_name;
	size_t len = strlen(e->d_name);

	return len > 8 && isdigit(n[0]) && isdigit(n[1]) && isdigit(n[2]) && n[3] == '-' &&
	       strcmp(e->d_name + len - 4, ".sql") == 0;
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t len = 0, cap = 0;
	char *text = NULL;
	int err;

	if (!f)
		return NULL;
	if (getdelim(&text, &cap, '\0', f) < 0) {
		err = ferror(f) ? errno : 0;
		free(text);
		text = err ? NULL : strdup("");
		errno = err ? err : ENOMEM;
	}
	len = text ? strlen(text) : 0;
	if (text && fgetc(f) != EOF) { /* a NUL byte and more behind it: this is no SQL */
		fprintf(stderr, "%s: NUL byte after %zu characters\n", path, len);
		free(text);
		text = NULL;
		errno = EILSEQ;
	}
	fclose(f);
	return text;
}

/* Says what the database did not like, with the line of the file if it told. */
static void print_failure(const char *path, const char *text, const PGresult *res)
{
	const char *pos = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
	const char *msg = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	int line = 1;

	for (int i = pos ? atoi(pos) - 1 : 0; i > 0 && *text; i--, text++)
		line += *text == '\n';
	if (pos)
		fprintf(stderr, "%s:%d: %s\n", path, line, msg);
	else
		fprintf(stderr, "%s: %s\n", path, msg ? msg : PQresultErrorMessage(res));
}

/* Runs one step of a migration; false after having said what went wrong. */
static bool run(PGconn *conn, const char *path, const char *sql)
{
	PGresult *res = PQexec(conn, sql);
	bool ok = PQresultStatus(res) == PGRES_COMMAND_OK ||
		  PQresultStatus(res) == PGRES_TUPLES_OK ||
		  PQresultStatus(res) == PGRES_EMPTY_QUERY;

	if (!ok)
		print_failure(path, sql, res);
	PQclear(res);
	return ok;
}

static bool record(PGconn *conn, const char *path, const char *name)
{
	const char *params[] = {name};
	PGresult *res = PQexecParams(conn,
		"INSERT INTO segue.migrations (version, name) VALUES (substr($1, 1, 3)::int, $1)",
		1, NULL, params, NULL, NULL, 0);
	bool ok = PQresultStatus(res) == PGRES_COMMAND_OK;

	if (!ok)
		print_failure(path, "", res);
	PQclear(res);
	return ok;
}

static int apply(PGconn *conn, const char *sql_dir, const char *name)
{
	char path[PATH_MAX];
	char *text;
	bool ok;
	int err;

	snprintf(path, sizeof(path), "%s/%s", sql_dir, name);
	text = read_file(path);
	if (!text) {
		err = errno;
		fprintf(stderr, "%s: %s\n", path, strerror(err));
		return err;
	}
	ok = run(conn, path, "BEGIN") && run(conn, path, text) && record(conn, path, name) &&
	     run(conn, path, "COMMIT");
	free(text);
	if (!ok) {
		PQclear(PQexec(conn, "ROLLBACK"));
		return EINVAL;
	}
	printf("%s: applied\n", name);
	return 0;
}

static int apply_all(PGconn *conn, const char *sql_dir, struct dirent **files, int n)
{
	char why[512];
	int version, err;

	version = read_version(conn, why, sizeof(why));
	if (version == FAILED) {
		fprintf(stderr, "database: %s\n", why);
		return EIO;
	}
	for (int i = 0; i < n; i++) {
		if (atoi(files[i]->d_name) <= version) {
			printf("%s: in place\n", files[i]->d_name);
			continue;
		}
		err = apply(conn, sql_dir, files[i]->d_name);
		if (err)
			return err;
	}
	return 0;
}

static int lock_and_apply(PGconn *conn, const char *sql_dir, struct dirent **files, int n)
{
	char why[512];
	PGresult *res = query(conn, "SELECT pg_advisory_lock(" LOCK_KEY ")", why, sizeof(why));
	int err;

	if (!res) {
		fprintf(stderr, "database: %s\n", why);
		return EIO;
	}
	PQclear(res);
	err = apply_all(conn, sql_dir, files, n);
	return err; /* the lock ends with the session */
}

static void quiet(void *arg, const PGresult *res)
{
}

int migrate_run(const char *conninfo, const char *sql_dir)
{
	struct dirent **files;
	char why[512];
	PGconn *conn;
	int n, err;

	n = scandir(sql_dir, &files, is_migration, alphasort);
	if (n < 0) {
		err = errno;
		fprintf(stderr, "%s: %s\n", sql_dir, strerror(err));
		return err;
	}
	conn = n > 0 ? connect_db(conninfo, why, sizeof(why)) : NULL;
	if (conn) {
		PQsetNoticeReceiver(conn, quiet, NULL);
		err = lock_and_apply(conn, sql_dir, files, n);
		PQfinish(conn);
	} else if (n > 0) {
		fprintf(stderr, "database: %s\n", why);
		err = ECONNREFUSED;
	} else {
		fprintf(stderr, "%s: no files NNN-name.sql here\n", sql_dir);
		err = ENOENT;
	}
	for (int i = 0; i < n; i++)
		free(files[i]);
	free(files);
	return err;
}
