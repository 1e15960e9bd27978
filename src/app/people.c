/* people: see people.h. */
#include "app/people.h"

#include <errno.h>
#include <stdlib.h>

#include <uthash.h>

struct person {
	struct sip_user user;
	int64_t chose; /* UTC microseconds of the newest known choice of intent, 0 none */
	UT_hash_handle hh;
};

/* What an agent had chosen when the run before ended, until the user's row arrives. */
struct recalled {
	struct ev_agent choice;
	int64_t at;
	UT_hash_handle hh;
};

struct people {
	struct runner *runner;
	struct directory *directory;
	struct loop_watch *watch;
	struct person *by_name;
	struct recalled *recalled;
	bool synced, from_file;
	void (*on_synced)(void *arg); /* may be NULL */
	void *on_synced_arg;
	void (*on_known)(void *arg); /* may be NULL */
	void *on_known_arg;
};

static void on_fact(void *people, const struct fact *f);

struct people *people_create(struct runner *runner)
{
	struct people *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->runner = runner;
	if (runner_observe(runner, on_fact, p) == 0)
		return p;
	free(p);
	return NULL;
}

static struct person *find(const struct people *p, const char *name)
{
	struct person *x;

	HASH_FIND_STR(p->by_name, name, x);
	return x;
}

bool people_find(const struct people *p, const char *name, struct sip_user *u)
{
	struct person *x = find(p, name);

	if (x != NULL)
		*u = x->user;
	return x != NULL;
}

static void forget(struct people *p, const char *name)
{
	struct person *x = find(p, name);

	if (x == NULL)
		return;
	HASH_DEL(p->by_name, x);
	free(x);
}

static void keep(struct people *p, const struct directory_user *row)
{
	struct person *x = find(p, row->core.user);

	if (x == NULL) {
		x = calloc(1, sizeof(*x));
		if (x == NULL)
			return;
		str_set(x->user.name, row->core.user);
		HASH_ADD_STR(p->by_name, user.name, x);
	}
	str_set(x->user.number, row->core.number);
	str_set(x->user.display, row->core.name);
	str_set(x->user.ha1_md5, row->ha1_md5);
	str_set(x->user.ha1_sha256, row->ha1_sha256);
	str_set(x->user.contact, row->contact);
	x->user.enabled = row->core.enabled;
}

/* ---- what agents chose ---------------------------------------------------------------------- */

static void on_fact(void *people, const struct fact *f)
{
	struct person *x;

	if (f->type != FACT_AGENT_STATE)
		return;
	x = find(people, f->agent_state.user);
	if (x != NULL)
		x->chose = f->at;
}

void people_recall(void *people, const struct fact *f)
{
	const struct fact_agent_state *s = &f->agent_state;
	struct people *p = people;
	struct recalled *r;
	int intent;

	if (f->type != FACT_AGENT_STATE || (intent = agent_intent_parse(s->intent)) < 0)
		return;
	HASH_FIND_STR(p->recalled, s->user, r);
	if (r == NULL) {
		r = calloc(1, sizeof(*r));
		if (r == NULL)
			return; /* what the database knows will do */
		str_set(r->choice.user, s->user);
		HASH_ADD_STR(p->recalled, choice.user, r);
	}
	r->at = f->at;
	r->choice.intent = intent;
	r->choice.origin = ORIGIN_SYSTEM;
	str_set(r->choice.reason, s->reason);
	str_set(r->choice.asker, s->asker);
}

static void emit_recalled(struct people *p, const char *user)
{
	struct person *x = find(p, user);
	struct event ev = {.type = EV_AGENT};
	struct recalled *r;

	HASH_FIND_STR(p->recalled, user, r);
	if (r == NULL || x == NULL)
		return;
	x->chose = r->at;
	ev.agent = r->choice;
	HASH_DEL(p->recalled, r);
	free(r);
	runner_emit(p->runner, &ev);
}

/* ---- rows ------------------------------------------------------------------------------------- */

static void on_user(void *arg, const struct directory_user *row)
{
	struct people *p = arg;
	struct event ev = {.type = EV_DIR_USER, .user = row->core};

	if (row->core.gone)
		forget(p, row->core.user);
	else
		keep(p, row);
	runner_emit(p->runner, &ev);
	emit_recalled(p, row->core.user);
	sip_user_changed(runner_sip(p->runner), row->core.user);
}

static void on_queue(void *arg, const struct ev_dir_queue *row)
{
	struct people *p = arg;
	struct event ev = {.type = EV_DIR_QUEUE, .queue = *row};

	runner_emit(p->runner, &ev);
}

static void on_member(void *arg, const struct ev_dir_member *row)
{
	struct people *p = arg;
	struct event ev = {.type = EV_DIR_MEMBER, .member = *row};

	runner_emit(p->runner, &ev);
}

static void on_ivr(void *arg, const struct ev_dir_ivr *row)
{
	struct people *p = arg;
	struct event ev = {.type = EV_DIR_IVR, .ivr = *row};

	runner_emit(p->runner, &ev);
}

static void on_class(void *arg, const struct ev_dir_class *row)
{
	struct people *p = arg;
	struct event ev = {.type = EV_DIR_CLASS, .class = *row};

	runner_emit(p->runner, &ev);
}

static void on_skill(void *arg, const struct ev_dir_skill *row)
{
	struct people *p = arg;
	struct event ev = {.type = EV_DIR_SKILL, .skill = *row};

	runner_emit(p->runner, &ev);
}

static void on_need(void *arg, const struct ev_dir_need *row)
{
	struct people *p = arg;
	struct event ev = {.type = EV_DIR_NEED, .need = *row};

	runner_emit(p->runner, &ev);
}

static void on_hours(void *arg, const struct ev_dir_hours *row)
{
	struct people *p = arg;
	struct event ev = {.type = EV_DIR_HOURS, .hours = *row};

	runner_emit(p->runner, &ev);
}

/* A row that segue wrote itself is an echo of what the core knows, or of less: it counts only when
 * nothing newer is known, which is after a restart. One written by hand always counts. */
static void on_agent(void *arg, const struct directory_agent *row)
{
	struct people *p = arg;
	struct person *x = find(p, row->core.user);
	struct event ev = {.type = EV_AGENT, .agent = row->core};

	if (x == NULL || row->gone || (!row->by_hand && row->since <= x->chose))
		return;
	x->chose = row->since;
	ev.agent.origin = ORIGIN_SYSTEM;
	runner_emit(p->runner, &ev);
}

static void on_synced(void *arg, int from_file)
{
	struct people *p = arg;
	char n[16];

	p->synced = true;
	p->from_file = from_file != 0;
	snprintf(n, sizeof(n), "%u", HASH_COUNT(p->by_name));
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "directory_read", "from",
		from_file ? "file" : "database", "users", n, NULL);
	if (p->on_synced != NULL)
		p->on_synced(p->on_synced_arg);
	if (p->on_known != NULL) {
		void (*fn)(void *) = p->on_known;

		p->on_known = NULL;
		fn(p->on_known_arg);
	}
}

static void on_readable(void *arg, int events)
{
	struct people *p = arg;

	directory_dispatch(p->directory);
}

int people_start(struct people *p, const struct app_config *cfg, struct loop *loop)
{
	struct directory_hooks hooks = {.arg = p,
		.user = on_user,
		.queue = on_queue,
		.member = on_member,
		.ivr = on_ivr,
		.class = on_class,
		.skill = on_skill,
		.need = on_need,
		.hours = on_hours,
		.agent = on_agent,
		.synced = on_synced};
	int rc;

	if (cfg->shipper.conninfo[0] == '\0')
		return 0; /* told by the ledger */
	rc = directory_start(cfg->shipper.conninfo, cfg->directory_copy, &hooks, &p->directory);
	if (rc == 0) {
		p->watch = loop_watch(loop, directory_fd(p->directory), LOOP_IN, on_readable, p);
		rc = p->watch ? 0 : ENOMEM;
	}
	if (rc)
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "directory_not_started", "why",
			strerror(rc), NULL);
	return rc;
}

void people_refresh(struct people *p)
{
	if (p->directory != NULL)
		directory_refresh(p->directory);
}

void people_on_known(struct people *p, void (*fn)(void *arg), void *arg)
{
	p->on_known = fn;
	p->on_known_arg = arg;
}

void people_on_synced(struct people *p, void (*fn)(void *arg), void *arg)
{
	p->on_synced = fn;
	p->on_synced_arg = arg;
}

void people_destroy(struct people *p)
{
	struct person *x, *next;
	struct recalled *r, *r_next;

	if (p == NULL)
		return;
	loop_unwatch(p->watch);
	if (p->directory != NULL)
		directory_stop(p->directory);
	HASH_ITER(hh, p->by_name, x, next)
	{
		HASH_DEL(p->by_name, x);
		free(x);
	}
	HASH_ITER(hh, p->recalled, r, r_next)
	{
		HASH_DEL(p->recalled, r);
		free(r);
	}
	free(p);
}

void people_status(const struct people *p, struct people_status *out)
{
	*out = (struct people_status){
		.configured = p->directory != NULL,
		.from_file = p->from_file,
		.synced = p->synced,
		.users = HASH_COUNT(p->by_name),
		.trouble = p->directory ? directory_trouble(p->directory) : NULL,
	};
}
