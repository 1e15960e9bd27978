/* access: see access.h. */
#include "app/access.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/sha.h>
#include <uthash.h>

ENUM_DEFINE(perm, PERM_LIST)
ENUM_DEFINE(viewer_role, ROLE_OF_LIST)

#define SESSIONS_MAX 20000
#define DAY_US	     (INT64_C(86400) * 1000000)
#define SESSION_LIFE (30 * DAY_US) /* then one has to log in again, used or not */
#define SAVE_EVERY   (INT64_C(600) * 1000000)
/* yescrypt of nothing anybody has: crypt() takes as long as for a true one. */
#define NO_HASH "$y$j9T$nq8ySDz1t7kZCzfmUKz5P1$3K77K3vC2MQ0R0hDD5x2ktcKggipH0Mn4Vcsdpgxha3"
#define HASH_MAX 128

#define BIT(p) (1u << (p))
#define EVERY  (BIT(perm_count_) - 1)

/* What each role may, before a user's own may_transfer. */
static const unsigned role_perms[viewer_role_count_] = {
	[VIEWER_AGENT] = EVERY & ~BIT(PERM_METRICS),
	[VIEWER_SUPERVISOR] = EVERY & ~BIT(PERM_METRICS),
	[VIEWER_ADMIN] = EVERY,
};

struct login {
	char user[USER_MAX];
	char hash[HASH_MAX];
	enum viewer_role role;
	bool enabled, may_transfer;
	char department[VIEWER_DEPARTMENTS_MAX][USER_MAX];
	unsigned ndepartments;
	UT_hash_handle hh;
};

struct token {
	char key[65]; /* hex sha256 */
	char name[USER_MAX], user[USER_MAX];
	unsigned perms;
	int64_t expires; /* UTC us, 0 never */
	UT_hash_handle hh;
};

struct session {
	char key[65]; /* hex sha256 of the secret */
	char user[USER_MAX];
	int64_t begun, used; /* UTC us */
	UT_hash_handle hh;
};

struct access {
	struct access_config cfg;
	struct login *logins;
	struct token *tokens;
	struct session *sessions;
	bool ready;
	int64_t saved; /* when the sessions' file was written */
};

bool viewer_may(const struct viewer *v, enum perm p)
{
	return (v->perms & BIT(p)) != 0;
}

/* ---- secrets --------------------------------------------------------------------------------- */

bool access_secret(char secret[TOKEN_TEXT_MAX])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char random[43];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	for (size_t i = 0; i < sizeof(random); i++)
		secret[i] = digits[random[i] % 64];
	secret[sizeof(random)] = '\0';
	return true;
}

void access_hash(const char *secret, char hex[65])
{
	unsigned char sum[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)secret, strlen(secret), sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Whole or not at all, 0600. */
static int write_file(const char *path, const char *text, size_t len)
{
	char tmp[300];
	int fd, rc = 0;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	if (write(fd, text, len) != (ssize_t)len)
		rc = errno ? errno : ENOSPC;
	close(fd);
	if (rc == 0 && rename(tmp, path) < 0)
		rc = errno;
	if (rc)
		unlink(tmp);
	return rc;
}

static void keep_file(const char *what, const char *path, json_t *doc)
{
	char *text = path[0] ? json_dumps(doc, JSON_COMPACT) : NULL;
	int rc = text ? write_file(path, text, strlen(text)) : 0;

	free(text);
	if (rc)
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, what, "file", path, "why",
			strerror(rc), NULL);
}

/* ---- logins and tokens ----------------------------------------------------------------------- */

static void drop_logins(struct access *a)
{
	struct login *l, *next;
	struct token *t, *tnext;

	HASH_ITER(hh, a->logins, l, next)
	{
		HASH_DEL(a->logins, l);
		explicit_bzero(l->hash, sizeof(l->hash));
		free(l);
	}
	HASH_ITER(hh, a->tokens, t, tnext)
	{
		HASH_DEL(a->tokens, t);
		free(t);
	}
}

static struct login *find_login(const struct access *a, const char *user)
{
	struct login *l;

	HASH_FIND_STR(a->logins, user, l);
	return l;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void take_login(struct access *a, const json_t *row)
{
	int role = viewer_role_parse(text_of(row, "role"));
	const json_t *list = json_object_get(row, "departments"), *d;
	struct login *l = role < 0 ? NULL : calloc(1, sizeof(*l));
	size_t i;

	if (l == NULL)
		return;
	str_set(l->user, text_of(row, "name"));
	str_set(l->hash, text_of(row, "password"));
	l->role = (enum viewer_role)role;
	l->enabled = json_is_true(json_object_get(row, "enabled"));
	l->may_transfer = json_is_true(json_object_get(row, "may_transfer"));
	json_array_foreach(list, i, d)
		if (l->ndepartments < VIEWER_DEPARTMENTS_MAX)
			str_set(l->department[l->ndepartments++], json_string_value(d));
	HASH_ADD_STR(a->logins, user, l);
}

static void take_token(struct access *a, const json_t *row)
{
	const json_t *list = json_object_get(row, "scopes"), *s;
	struct token *t = calloc(1, sizeof(*t));
	size_t i;

	if (t == NULL)
		return;
	str_set(t->key, text_of(row, "sha256"));
	str_set(t->name, text_of(row, "name"));
	str_set(t->user, text_of(row, "user"));
	t->expires = json_integer_value(json_object_get(row, "expires"));
	json_array_foreach(list, i, s) {
		int p = json_is_string(s) ? perm_parse(json_string_value(s)) : -1;

		if (p >= 0)
			t->perms |= BIT(p);
	}
	HASH_ADD_STR(a->tokens, key, t);
}

static int take_document(struct access *a, const json_t *doc)
{
	const json_t *users = json_object_get(doc, "users"), *row;
	const json_t *tokens = json_object_get(doc, "tokens");
	size_t i;

	if (!json_is_array(users) || !json_is_array(tokens))
		return EBADMSG;
	drop_logins(a);
	json_array_foreach(users, i, row)
		take_login(a, row);
	json_array_foreach(tokens, i, row)
		take_token(a, row);
	a->ready = true;
	return 0;
}

int access_load(struct access *a, const char *text, size_t len)
{
	json_t *doc = json_loadb(text, len, 0, NULL);
	int rc = doc ? take_document(a, doc) : EBADMSG;

	if (rc == 0)
		keep_file("access_copy", a->cfg.copy, doc);
	json_decref(doc);
	return rc;
}

bool access_ready(const struct access *a)
{
	return a->ready;
}

void access_password_hash(const struct access *a, const char *user, char *buf, size_t size)
{
	const struct login *l = find_login(a, user);

	str_copy(buf, size, l && l->enabled && l->hash[0] ? l->hash : NO_HASH);
}

/* ---- viewers --------------------------------------------------------------------------------- */

static bool viewer_of_user(const struct access *a, const char *user, struct viewer *v)
{
	const struct login *l = find_login(a, user);

	if (l == NULL || !l->enabled)
		return false;
	v->role = l->role;
	v->perms = role_perms[l->role] & ~(l->may_transfer ? 0 : BIT(PERM_TRANSFER));
	v->masked = a->cfg.masked[l->role];
	str_set(v->user, l->user);
	str_set(v->name, l->user);
	memcpy(v->department, l->department, sizeof(v->department));
	v->ndepartments = l->ndepartments;
	return true;
}

static bool viewer_of_token(const struct access *a, const struct token *t, int64_t now_us,
	struct viewer *v)
{
	memset(v, 0, sizeof(*v));
	if (t->expires != 0 && t->expires <= now_us)
		return false;
	if (t->user[0] == '\0') {
		v->role = VIEWER_ADMIN;
		v->perms = EVERY;
	} else if (!viewer_of_user(a, t->user, v)) {
		return false;
	}
	v->perms &= t->perms;
	v->by_token = true;
	snprintf(v->name, sizeof(v->name), "token:%s", t->name);
	return true;
}

bool access_by_token(struct access *a, const char *secret, int64_t now_us, struct viewer *out)
{
	char key[65];
	struct token *t;

	access_hash(secret, key);
	HASH_FIND_STR(a->tokens, key, t);
	if (t == NULL || !viewer_of_token(a, t, now_us, out))
		return false;
	str_set(out->session, key);
	return true;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static bool is_over(const struct access *a, const struct session *s, int64_t now_us)
{
	return now_us - s->used > (int64_t)a->cfg.session_ms * 1000 ||
	       now_us - s->begun > SESSION_LIFE;
}

static void drop_session(struct access *a, struct session *s)
{
	HASH_DEL(a->sessions, s);
	free(s);
}

static void drop_old_sessions(struct access *a, int64_t now_us)
{
	struct session *s, *next;

	HASH_ITER(hh, a->sessions, s, next)
	if (is_over(a, s, now_us))
		drop_session(a, s);
}

static void save_sessions(struct access *a, int64_t now_us)
{
	json_t *doc = json_array();
	struct session *s, *next;

	HASH_ITER(hh, a->sessions, s, next)
	json_array_append_new(doc, json_pack("{s:s, s:s, s:I, s:I}", "key", s->key, "user", s->user,
				     "begun", (json_int_t)s->begun, "used", (json_int_t)s->used));
	keep_file("sessions_not_kept", a->cfg.sessions, doc);
	json_decref(doc);
	a->saved = now_us;
}

static struct session *add_session(
	struct access *a, const char *key, const char *user, int64_t begun, int64_t used)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	str_set(s->key, key);
	str_set(s->user, user);
	s->begun = begun;
	s->used = used;
	HASH_ADD_STR(a->sessions, key, s);
	return s;
}

bool access_login(struct access *a, const char *user, int64_t now_us, char secret[TOKEN_TEXT_MAX])
{
	char key[65];

	drop_old_sessions(a, now_us);
	if (find_login(a, user) == NULL || HASH_COUNT(a->sessions) >= SESSIONS_MAX ||
		!access_secret(secret))
		return false;
	access_hash(secret, key);
	if (add_session(a, key, user, now_us, now_us) == NULL)
		return false;
	save_sessions(a, now_us);
	return true;
}

void access_logout(struct access *a, const struct viewer *v)
{
	struct session *s = NULL;

	if (!v->by_token)
		HASH_FIND_STR(a->sessions, v->session, s);
	if (s == NULL)
		return;
	drop_session(a, s);
	save_sessions(a, a->saved);
}

static bool viewer_of_session(
	struct access *a, const char *key, int64_t now_us, struct viewer *out)
{
	struct session *s;

	HASH_FIND_STR(a->sessions, key, s);
	memset(out, 0, sizeof(*out));
	if (s == NULL)
		return false;
	if (is_over(a, s, now_us)) {
		drop_session(a, s);
		return false;
	}
	str_set(out->session, s->key);
	s->used = now_us;
	if (now_us - a->saved > SAVE_EVERY)
		save_sessions(a, now_us);
	return viewer_of_user(a, s->user, out);
}

bool access_by_session(struct access *a, const char *secret, int64_t now_us, struct viewer *out)
{
	char key[65];

	access_hash(secret, key);
	return viewer_of_session(a, key, now_us, out);
}

bool access_again(struct access *a, const struct viewer *v, int64_t now_us, struct viewer *out)
{
	struct token *t;
	char key[65];

	str_set(key, v->session);
	if (!v->by_token)
		return viewer_of_session(a, key, now_us, out);
	HASH_FIND_STR(a->tokens, key, t);
	if (t == NULL || !viewer_of_token(a, t, now_us, out))
		return false;
	str_set(out->session, key);
	return true;
}

unsigned access_sessions(const struct access *a)
{
	return HASH_COUNT(a->sessions);
}

/* ---- open and close -------------------------------------------------------------------------- */

static void read_sessions(struct access *a)
{
	json_t *doc = a->cfg.sessions[0] ? json_load_file(a->cfg.sessions, 0, NULL) : NULL, *row;
	size_t i;

	json_array_foreach(doc, i, row)
		if (strlen(text_of(row, "key")) == 64)
			add_session(a, text_of(row, "key"), text_of(row, "user"),
				json_integer_value(json_object_get(row, "begun")),
				json_integer_value(json_object_get(row, "used")));
	json_decref(doc);
}

static void read_copy(struct access *a)
{
	json_t *doc = a->cfg.copy[0] ? json_load_file(a->cfg.copy, 0, NULL) : NULL;

	if (doc != NULL && take_document(a, doc))
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "access_copy", "file", a->cfg.copy,
			"why", "is no copy of logins", NULL);
	json_decref(doc);
}

struct access *access_create(const struct access_config *cfg)
{
	struct access *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->cfg = *cfg;
	read_copy(a);
	read_sessions(a);
	return a;
}

void access_reconfigure(struct access *a, const struct access_config *cfg)
{
	a->cfg = *cfg;
}

const struct access_config *access_config(const struct access *a)
{
	return &a->cfg;
}

void access_destroy(struct access *a)
{
	struct session *s, *next;

	if (a == NULL)
		return;
	if (a->sessions != NULL)
		save_sessions(a, 0);
	HASH_ITER(hh, a->sessions, s, next)
	drop_session(a, s);
	drop_logins(a);
	free(a);
}
