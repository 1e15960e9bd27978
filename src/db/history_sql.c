/*
 * history_sql: see history_sql.h. PostgreSQL builds the JSON: what comes back is passed on as it is.
 */
#include "db/history_sql.h"

static const char *const sql[history_topic_count_] = {
	[ASK_ACCESS] =
		"SELECT jsonb_build_object("
		"'users', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', u.name, 'role', u.role,"
		" 'enabled', u.enabled, 'may_transfer', u.may_transfer, 'password', u.password,"
		" 'departments', (SELECT coalesce(jsonb_agg(s.queue ORDER BY s.queue), '[]')"
		"  FROM segue.queue_supervisors s WHERE s.user_name = u.name))), '[]')"
		" FROM segue.users u),"
		"'tokens', (SELECT coalesce(jsonb_agg(jsonb_build_object('sha256', token_sha256,"
		" 'name', name, 'user', user_name, 'scopes', scopes,"
		" 'expires', (extract(epoch FROM expires_at) * 1000000)::bigint)), '[]')"
		" FROM segue.api_tokens))::text",
};

const char *history_sql(enum history_topic what)
{
	return sql[what];
}
