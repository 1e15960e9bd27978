/*
 * api_login: passwords become sessions. The hash is computed on the worker's thread: yescrypt takes
 * some 40 ms. Who guesses is slowed down per user and per address, and put on record.
 */
#include "app/api_internal.h"

#include <crypt.h>
#include <stdlib.h>

#define WINDOW_MS   (5 * 60 * 1000)
#define USER_TRIES  5  /* failures in a window, then 429 */
#define ADDR_TRIES  30
#define TRACKED_MAX 10000

/* Failures of a user or an address. */
struct tries {
	char key[96];
	unsigned failed;
	int64_t until; /* monotonic ms: when they are forgotten */
	UT_hash_handle hh;
};

struct api_login {
	struct tries *tries;
};

struct attempt {
	struct api_request *q; /* NULL: who asked has gone */
	char user[USER_MAX], hash[128], password[256];
	bool right;
};

struct api_login *api_login_create(void)
{
	return calloc(1, sizeof(struct api_login));
}

static void drop_tries(struct api_login *l, int64_t until)
{
	struct tries *t, *next;

	HASH_ITER(hh, l->tries, t, next)
	{
		if (t->until > until)
			continue;
		HASH_DEL(l->tries, t);
		free(t);
	}
}

void api_login_destroy(struct api_login *l)
{
	if (l == NULL)
		return;
	drop_tries(l, INT64_MAX);
	free(l);
}

static struct tries *find_tries(struct api_login *l, char kind, const char *who)
{
	struct tries *t;
	char key[96];

	snprintf(key, sizeof(key), "%c %s", kind, who);
	HASH_FIND_STR(l->tries, key, t);
	return t;
}

static bool too_many(struct api_login *l, char kind, const char *who, unsigned most, int64_t *wait)
{
	const struct tries *t = find_tries(l, kind, who);
	int64_t now = loop_now_ms();

	if (t == NULL || t->until <= now || t->failed < most)
		return false;
	*wait = t->until - now;
	return true;
}

static void count_failure(struct api_login *l, char kind, const char *who)
{
	struct tries *t = find_tries(l, kind, who);
	int64_t now = loop_now_ms();

	if (HASH_COUNT(l->tries) >= TRACKED_MAX)
		drop_tries(l, now);
	if (t == NULL && HASH_COUNT(l->tries) < TRACKED_MAX && (t = calloc(1, sizeof(*t)))) {
		snprintf(t->key, sizeof(t->key), "%c %s", kind, who);
		HASH_ADD_STR(l->tries, key, t);
	}
	if (t == NULL)
		return;
	if (t->until <= now) {
		t->failed = 0;
		t->until = now + WINDOW_MS;
	}
	t->failed++;
}

static void forgive(struct api_login *l, const char *user)
{
	struct tries *t = find_tries(l, 'u', user);

	if (t == NULL)
		return;
	HASH_DEL(l->tries, t);
	free(t);
}

/* ---- an attempt ------------------------------------------------------------------------------ */

static void attempt_free(void *arg)
{
	struct attempt *t = arg;

	explicit_bzero(t, sizeof(*t));
	free(t);
}

/* The request is over before its attempt: the attempt is freed by the worker's end of it. */
static void attempt_orphan(void *arg)
{
	struct attempt *t = arg;

	t->q = NULL;
}

static bool same_text(const char *a, const char *b)
{
	size_t n = strlen(a);
	unsigned char d = n != strlen(b);

	for (size_t i = 0; d == 0 && i < n; i++)
		d |= (unsigned char)(a[i] ^ b[i]);
	return d == 0;
}

/* On the worker's thread. */
static void compute(void *arg)
{
	struct attempt *t = arg;
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *got = data ? crypt_r(t->password, t->hash, data) : NULL;

	t->right = got != NULL && got[0] != '*' && same_text(got, t->hash);
	if (data != NULL)
		explicit_bzero(data, sizeof(*data));
	free(data);
	explicit_bzero(t->password, sizeof(t->password));
}

static void set_cookie(struct api_request *q, const char *secret, unsigned age_s)
{
	char text[256];

	snprintf(text, sizeof(text),
		"segue_session=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%u%s", secret, age_s,
		http_is_secure(q->http) ? "; Secure" : "");
	http_add_header(q->http, "Set-Cookie", text);
}

static json_t *viewer_json(const struct api_request *q)
{
	const struct viewer *v = &q->viewer;
	const struct live_user *u = live_user(q->api->live, v->user);
	json_t *o = json_object(), *perms = json_array(), *departments = json_array();

	jo_text_or_null(o, "user", v->user);
	jo_text(o, "name", u && u->row.name[0] ? u->row.name : v->name);
	jo_text_or_null(o, "number", u ? u->row.number : NULL);
	jo_text(o, "role", viewer_role_name(v->role));
	for (int p = 0; p < perm_count_; p++)
		if (viewer_may(v, (enum perm)p))
			json_array_append_new(perms, jo_string(perm_name(p)));
	json_object_set_new(o, "permissions", perms);
	for (unsigned i = 0; i < v->ndepartments; i++)
		json_array_append_new(departments, jo_string(v->department[i]));
	json_object_set_new(o, "departments", departments);
	jo_bool(o, "numbers_masked", v->masked);
	json_object_set_new(o, "limits",
		json_pack("{s:I, s:I}", "long_call_ms", (json_int_t)q->api->cfg->access.long_call_ms,
			"long_away_ms", (json_int_t)q->api->cfg->access.long_away_ms));
	jo_time(o, "now", loop_wall_us());
	return o;
}

static void refuse(struct api_request *q, const char *user)
{
	struct api *a = q->api;
	char who[KEY_MAX];

	count_failure(a->login, 'u', user);
	count_failure(a->login, 'a', http_client(q->http));
	a->counters.login_failed++;
	snprintf(who, sizeof(who), "%.60s", user);
	str_set(q->viewer.name, who);
	api_audit(a, &q->viewer, ORIGIN_PANEL, "login", http_client(q->http), "wrong user or password");
	api_fail(q, 401, "bad_login", "User or password is wrong");
}

static void finish(void *arg)
{
	struct attempt *t = arg;
	struct api_request *q = t->q;
	char secret[TOKEN_TEXT_MAX];

	if (q == NULL) {
		attempt_free(t);
		return;
	}
	q->own = NULL;
	if (!t->right) {
		refuse(q, t->user);
	} else if (!access_login(q->api->access, t->user, loop_wall_us(), secret) ||
		   !access_by_session(q->api->access, secret, loop_wall_us(), &q->viewer)) {
		api_fail(q, 503, "no_session", "no session could be begun, try again later");
	} else {
		forgive(q->api->login, t->user);
		set_cookie(q, secret, q->api->session_s);
		log_kv(LOG_LEVEL_INFO, (struct log_ref){0}, "login", "user", t->user, "from",
			http_client(q->http), NULL);
		api_reply(q, 200, viewer_json(q));
		explicit_bzero(secret, sizeof(secret));
	}
	attempt_free(t);
}

static void dropped(void *arg)
{
	struct attempt *t = arg;

	if (t->q != NULL)
		t->q->own = NULL;
	attempt_free(t);
}

static bool may_try(struct api_request *q, const char *user)
{
	char seconds[24];
	int64_t wait;

	if (!access_ready(q->api->access)) {
		api_fail(q, 503, "no_directory",
			"users have not been read from the database yet, try again soon");
		return false;
	}
	if (!too_many(q->api->login, 'u', user, USER_TRIES, &wait) &&
		!too_many(q->api->login, 'a', http_client(q->http), ADDR_TRIES, &wait))
		return true;
	snprintf(seconds, sizeof(seconds), "%lld", (long long)(wait / 1000 + 1));
	http_add_header(q->http, "Retry-After", seconds);
	api_audit(q->api, NULL, ORIGIN_PANEL, "login", user, "too many failed attempts");
	api_fail(q, 429, "too_many_attempts", "Too many failed attempts: try again in %s seconds",
		seconds);
	return false;
}

void api_run_login(struct api_request *q)
{
	const char *user = api_text(q, "user"), *password = api_text(q, "password");
	struct attempt *t;

	if (!may_try(q, user))
		return;
	t = calloc(1, sizeof(*t));
	if (t != NULL) {
		t->q = q;
		str_set(t->user, user);
		str_set(t->password, password);
		access_password_hash(q->api->access, user, t->hash, sizeof(t->hash));
	}
	if (t == NULL || !worker_run(q->api->worker, compute, finish, dropped, t)) {
		free(t);
		api_fail(q, 503, "busy", "too many people log in at once, try again soon");
		return;
	}
	q->own = t;
	q->own_free = attempt_orphan;
}

void api_run_logout(struct api_request *q)
{
	access_logout(q->api->access, &q->viewer);
	api_events_access(q->api->events); /* what happens from now on is not told to its streams */
	set_cookie(q, "", 0);
	api_reply(q, 204, NULL);
}

void api_run_me(struct api_request *q)
{
	api_reply(q, 200, viewer_json(q));
}
