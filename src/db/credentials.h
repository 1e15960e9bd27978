/*
 * credentials: passwords and API tokens written to the directory. For seguectl: each call opens a
 * connection and waits.
 */
#ifndef SEGUE_DB_CREDENTIALS_H
#define SEGUE_DB_CREDENTIALS_H

#include <stddef.h>

/* All give 0; ENOENT if there is no such user or token; or EIO. why says what is wrong. */

/* Stores the crypt(3) hash of a user's password; NULL takes it away. */
int credentials_set_password(
	const char *conninfo, const char *user, const char *hash, char *why, size_t size);
/* Stores a token by its hex sha256. scopes: an array as PostgreSQL writes it; user may be NULL. */
int credentials_add_token(const char *conninfo, const char *name, const char *sha256,
	const char *scopes, const char *user, char *why, size_t size);
int credentials_drop_token(const char *conninfo, const char *name, char *why, size_t size);
/* Calls fn for each token: name, scopes, user or "", expiry or "". */
int credentials_each_token(const char *conninfo,
	void (*fn)(void *arg, const char *name, const char *scopes, const char *user,
		const char *expires),
	void *arg, char *why, size_t size);

#endif
