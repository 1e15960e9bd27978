/*
 * access: who may do what over HTTP. Users with a password and a role, the departments of
 * supervisors, API tokens with their scopes: read from PostgreSQL whenever the directory changes,
 * kept in a file for starts without a database. Sessions of people who are logged in, kept in a
 * file so that they survive a restart.
 *
 *	password -> session (cookie)          token (Authorization: Bearer)
 *	                  \                  /
 *	                   struct viewer: who, role, what they may, whose calls they see
 */
#ifndef SEGUE_APP_ACCESS_H
#define SEGUE_APP_ACCESS_H

#include "app/loop.h"
#include "base/names.h"
#include "core/types.h"
#include "db/history.h"

/* What may be allowed; the scopes of tokens have the same names. */
#define PERM_LIST(X)                                                                               \
	X(PERM_VIEW, "view")                                                                       \
	X(PERM_TRANSFER, "transfer")                                                               \
	X(PERM_HANGUP, "hangup")                                                                   \
	X(PERM_DIAL, "dial") /* click-to-dial */                                                   \
	X(PERM_CONTROL, "control") /* hold, notes, recording */                                    \
	X(PERM_AGENTS, "agents") /* set the state of agents */                                     \
	X(PERM_HISTORY, "history")                                                                 \
	X(PERM_RECORDINGS, "recordings")                                                           \
	X(PERM_METRICS, "metrics")
ENUM_DECLARE(perm, PERM_LIST);

#define ROLE_OF_LIST(X)                                                                            \
	X(VIEWER_AGENT, "agent")                                                                   \
	X(VIEWER_SUPERVISOR, "supervisor")                                                         \
	X(VIEWER_ADMIN, "admin")
ENUM_DECLARE(viewer_role, ROLE_OF_LIST);

#define VIEWER_DEPARTMENTS_MAX 32
#define TOKEN_TEXT_MAX	       64 /* of a session or an API token, with NUL */

/* Somebody who has shown who they are. Plain data, good for one request or one stream. */
struct viewer {
	enum viewer_role role;
	unsigned perms;         /* bit per enum perm */
	bool masked;            /* sees numbers without their middle */
	bool by_token;
	char user[USER_MAX];    /* "" for a token that stands for nobody */
	char name[KEY_MAX];     /* for audit and ledger: the user, or token:NAME */
	char department[VIEWER_DEPARTMENTS_MAX][USER_MAX];
	unsigned ndepartments;
	char session[TOKEN_TEXT_MAX + 8]; /* key of the session, "" for a token */
};

bool viewer_may(const struct viewer *v, enum perm p);

struct access;

struct access_config {
	char sessions[256];  /* file, "" keeps none */
	char copy[256];      /* file of the last good copy, "" keeps none */
	unsigned session_ms; /* a session ends when it was not used for so long */
	bool masked[viewer_role_count_];
	unsigned long_call_ms, long_away_ms; /* the panel marks who is so for longer */
};

struct access *access_create(const struct access_config *cfg);
void access_destroy(struct access *a);
void access_reconfigure(struct access *a, const struct access_config *cfg);
/* What it was told last. */
const struct access_config *access_config(const struct access *a);

/* Takes the document that ASK_ACCESS gives. 0 or EBADMSG. */
int access_load(struct access *a, const char *text, size_t len);
/* Has anything been loaded yet, from the database or the file? */
bool access_ready(const struct access *a);

/* The crypt(3) hash to compare a password of this user with: one that fits nothing if there is no
 * such user or no password, so that both take the same time. */
void access_password_hash(const struct access *a, const char *user, char *buf, size_t size);

/* Begins a session; writes its secret. False without memory or if the user is unknown. */
bool access_login(struct access *a, const char *user, int64_t now_us, char secret[TOKEN_TEXT_MAX]);
void access_logout(struct access *a, const struct viewer *v);

/* Who is behind a session's or a token's secret? False: nobody, or not any more. */
bool access_by_session(
	struct access *a, const char *secret, int64_t now_us, struct viewer *out);
bool access_by_token(struct access *a, const char *secret, int64_t now_us, struct viewer *out);
/* The same viewer as things stand now; false if they may not come in any more. For streams. */
bool access_again(struct access *a, const struct viewer *v, int64_t now_us, struct viewer *out);
unsigned access_sessions(const struct access *a);

/* Writes a new secret: 256 random bits as text. */
bool access_secret(char secret[TOKEN_TEXT_MAX]);
/* hex sha256, as api_tokens stores it. */
void access_hash(const char *secret, char hex[65]);

#endif
