/* credentials: see credentials.h. */
#include "db/credentials.h"

#include "base/str.h"
#include "db/pg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Runs one statement; *out (may be NULL) gets its rows. */
static int run(const char *conninfo, const char *sql, int n, const char *const *params,
	PGresult **out, char *why, size_t size)
{
	PGconn *conn = PQconnectdb(conninfo);
	PGresult *res = NULL;
	int rc = EIO;

	if (PQstatus(conn) == CONNECTION_OK)
		res = PQexecParams(conn, sql, n, NULL, params, NULL, NULL, 0);
	if (PQresultStatus(res) == PGRES_TUPLES_OK)
		rc = PQntuples(res) > 0 || out != NULL ? 0 : ENOENT;
	else
		pg_reason(conn, res, why, size);
	if (rc == 0 && out != NULL)
		*out = res;
	else
		PQclear(res);
	PQfinish(conn);
	return rc;
}

int credentials_set_password(
	const char *conninfo, const char *user, const char *hash, char *why, size_t size)
{
	const char *params[] = {user, hash};
	int rc = run(conninfo,
		"UPDATE segue.users SET password = $2 WHERE name = $1 RETURNING name", 2, params,
		NULL, why, size);

	if (rc == ENOENT)
		snprintf(why, size, "user `%s' does not exist: expected a name in segue.users", user);
	return rc;
}

int credentials_add_token(const char *conninfo, const char *name, const char *sha256,
	const char *scopes, const char *user, char *why, size_t size)
{
	const char *params[] = {name, sha256, scopes, user};

	return run(conninfo,
		"INSERT INTO segue.api_tokens (name, token_sha256, scopes, user_name)"
		" VALUES ($1, $2, $3::text[], $4) RETURNING name",
		4, params, NULL, why, size);
}

int credentials_drop_token(const char *conninfo, const char *name, char *why, size_t size)
{
	const char *params[] = {name};
	int rc = run(conninfo, "DELETE FROM segue.api_tokens WHERE name = $1 RETURNING name", 1,
		params, NULL, why, size);

	if (rc == ENOENT)
		snprintf(why, size, "token `%s' does not exist: see seguectl token list", name);
	return rc;
}

int credentials_each_token(const char *conninfo,
	void (*fn)(void *arg, const char *name, const char *scopes, const char *user,
		const char *expires),
	void *arg, char *why, size_t size)
{
	PGresult *res;
	int rc = run(conninfo,
		"SELECT name, array_to_string(scopes, ','), coalesce(user_name, ''),"
		" coalesce(expires_at::text, '') FROM segue.api_tokens ORDER BY 1",
		0, NULL, &res, why, size);

	if (rc)
		return rc;
	for (int i = 0; i < PQntuples(res); i++)
		fn(arg, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1), PQgetvalue(res, i, 2),
			PQgetvalue(res, i, 3));
	PQclear(res);
	return 0;
}
