/* sip: see sip.h. Life of the adapter, its dispatch of actions, its clock. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/su.h>

#include "sip/internal.h"
#include "sip/print.h"

#define TICK_MS		1000
#define OPTIONS_OF_OURS "replaces, timer, norefersub, tdialog"

/* ---- clock, dice, turns -------------------------------------------------------------------- */

int64_t sip_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t sip_random(struct sip *s)
{
	if (s->npool == 0) {
		if (getrandom(s->pool, sizeof(s->pool), 0) != (ssize_t)sizeof(s->pool))
			abort(); /* tags that can be guessed are no tags */
		s->npool = sizeof(s->pool) / sizeof(s->pool[0]);
	}
	return s->pool[--s->npool];
}

void sip_enter(struct sip *s)
{
	s->depth++;
}

void sip_leave(struct sip *s)
{
	if (--s->depth > 0)
		return;
	request_bury(s);
	sip_leg_bury(s);
}

/* ---- events that no leg has ---------------------------------------------------------------- */

void sip_emit_contacts(struct sip *s, const char *user)
{
	struct event ev = {.type = EV_CONTACTS};

	str_set(ev.contacts.user, user);
	ev.contacts.n = registrar_contacts(s->registrar, user, ev.contacts.contact);
	s->hooks.emit(s->hooks.arg, &ev);
	qualify_contacts(s, user);
}

void sip_emit_reach(struct sip *s, const char *user)
{
	struct event ev = {.type = EV_AGENT_REACH};

	str_set(ev.reach.user, user);
	ev.reach.reachable = qualify_reaches(s, user);
	s->hooks.emit(s->hooks.arg, &ev);
}

void sip_emit_audit(
	struct sip *s, const char *who, const char *action, const char *object, const char *why)
{
	struct event ev = {.type = EV_AUDIT};

	str_set(ev.audit.who, who);
	str_set(ev.audit.action, action);
	str_set(ev.audit.object, object);
	str_set(ev.audit.why, why);
	s->hooks.emit(s->hooks.arg, &ev);
}

/* ---- actions ------------------------------------------------------------------------------ */

static void act_on_leg(struct sip *s, const struct action *a)
{
	struct sip_leg *l = sip_leg_find(s, a->leg);

	if (l == NULL)
		return; /* it died meanwhile; its last event is on the way or was seen */
	switch (a->type) {
	case ACT_PROGRESS:
		progress_send(l, a);
		break;
	case ACT_ANSWER:
		answer_send(l, a);
		break;
	case ACT_ACK:
		answer_ack(l, a);
		break;
	case ACT_REJECT:
		answer_reject(l, a);
		break;
	case ACT_HANGUP:
		bye_hangup(l, a);
		break;
	case ACT_OFFER:
		offer_send(l, a);
		break;
	case ACT_OFFER_ANSWER:
		offer_answer(l, a);
		break;
	case ACT_OFFER_REJECT:
		offer_reject(l, a);
		break;
	case ACT_DIGITS:
		digits_send(l, a);
		break;
	case ACT_LEG_FREE:
		sip_leg_release(l);
		break;
	default:
		break;
	}
}

void sip_act(struct sip *s, const struct action *a)
{
	sip_enter(s);
	answer_ack_owed(s);
	switch (a->type) {
	case ACT_DIAL:
		invite_dial(s, a);
		break;
	case ACT_INFO:
		info_pass(s, a);
		break;
	case ACT_REFER_ACCEPT:
		refer_accept(s, a);
		break;
	case ACT_REFER_REJECT:
		refer_reject(s, a);
		break;
	case ACT_NOTIFY:
		refer_notify(s, a);
		break;
	case ACT_REFER:
		refer_pass(s, a);
		break;
	default:
		act_on_leg(s, a);
		break;
	}
	sip_leave(s);
}

/* ---- directory and registrations ------------------------------------------------------------ */

void sip_user_changed(struct sip *s, const char *user)
{
	struct sip_user u;
	uint32_t known[CONTACTS_MAX];
	int err;

	sip_enter(s);
	if (!s->hooks.find_user(s->hooks.arg, user, &u) || !u.enabled) {
		registrar_drop_user(s->registrar, user);
	} else {
		if (registrar_contacts(s->registrar, user, known) > 0)
			sip_emit_contacts(s, user); /* the phone may be older than the user's row */
		err = registrar_set_static(s->registrar, user, u.contact);
		if (err != 0)
			log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "contact_bad", "user", user,
				"contact", u.contact, "error", strerror(err), NULL);
	}
	sip_leave(s);
}

struct each {
	void (*fn)(void *arg, const char *user, const char *uri, int expires_s);
	void *arg;
	int64_t now;
};

static void each_binding(void *arg, const struct binding *b)
{
	const struct each *e = arg;

	e->fn(e->arg, b->user, b->uri,
		b->kind == BINDING_STATIC ? -1 : (int)((b->expires - e->now) / 1000));
}

void sip_registrations(struct sip *s,
	void (*fn)(void *arg, const char *user, const char *uri, int expires_s), void *arg)
{
	struct each e = {fn, arg, sip_clock()};

	registrar_each(s->registrar, each_binding, &e);
}

/* One line a second at most, however hard somebody tries. */
static void tell_malformed(struct sip *s)
{
	uint64_t n = stack_malformed(s->stack);
	char count[24];

	if (n == s->malformed)
		return;
	snprintf(count, sizeof(count), "%llu", (unsigned long long)(n - s->malformed));
	s->malformed = n;
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "malformed_messages", "count", count, NULL);
}

/* Registrations outlive a process that is killed, too. The more there are the longer it takes, and the
 * seldomer it is done. */
static void note_registrations(struct sip *s)
{
	const char *path = s->cfg.registrations;
	int64_t now = sip_clock();

	if (!s->unsaved || path[0] == '\0' || now < s->save_at)
		return;
	s->unsaved = false;
	s->save_at = now + TICK_MS + registrar_count(s->registrar);
	registrar_note(s->registrar, path, now, time(NULL)); /* what is wrong is said at the end */
}

static void on_tick(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
	struct sip *s = arg;

	sip_enter(s);
	registrar_expire(s->registrar, sip_clock());
	digest_server_tick(s->digest, sip_clock());
	named_expire(s, sip_clock());
	qualify_tick(s);
	note_registrations(s);
	tell_malformed(s);
	sip_leave(s);
}

/* ---- life --------------------------------------------------------------------------------- */

void sip_config_default(struct sip_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	str_set(cfg->realm, "segue");
	str_set(cfg->user_agent, "segue");
	cfg->nonce_ms = 300000;
	cfg->expires_min_s = 60;
	cfg->expires_max_s = 3600;
	cfg->session_expires_s = 1800;
	cfg->min_se_s = 90;
	cfg->t1_ms = 500;
	cfg->progress_ms = 60000;
	cfg->udp_rmem = 4 << 20;
}

static int make_headers(struct sip *s)
{
	s->allow = sip_allow_make(s->home,
		"INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY, SUBSCRIBE, "
		"REGISTER");
	s->supported = sip_supported_make(s->home, OPTIONS_OF_OURS);
	s->supported_rel = sip_supported_make(s->home, OPTIONS_OF_OURS ", 100rel");
	s->user_agent = sip_user_agent_make(s->home, s->cfg.user_agent);
	s->server = sip_server_make(s->home, s->cfg.user_agent);
	s->accept = sip_accept_make(s->home, "application/sdp");
	s->type_sdp = sip_content_type_make(s->home, "application/sdp");
	s->type_sipfrag = sip_content_type_make(s->home, "message/sipfrag;version=2.0");
	print_constant(s->home, s->allow);
	print_constant(s->home, s->supported);
	print_constant(s->home, s->supported_rel);
	print_constant(s->home, s->user_agent);
	print_constant(s->home, s->server);
	print_constant(s->home, s->accept);
	print_constant(s->home, s->type_sdp);
	return s->allow != NULL && s->supported != NULL && s->supported_rel != NULL &&
			       s->user_agent != NULL && s->server != NULL && s->accept != NULL &&
			       s->type_sdp != NULL && s->type_sipfrag != NULL
		       ? 0
		       : ENOMEM;
}

static struct registrar_config registrar_settings(struct sip *s)
{
	return (struct registrar_config){.expires_min_s = s->cfg.expires_min_s,
		.expires_max_s = s->cfg.expires_max_s,
		.expires_default_s = s->cfg.expires_max_s,
		.changed = register_changed,
		.arg = s};
}

/* Who was registered when the last run ended. Told when the user's row arrives. */
static void load_registrations(struct sip *s)
{
	const char *path = s->cfg.registrations;
	struct registrar_config rc = registrar_settings(s);
	char count[16], skipped[16];
	unsigned bad = 0;
	int err;

	if (path[0] == '\0')
		return;
	rc.changed = NULL;
	registrar_configure(s->registrar, &rc);
	err = registrar_load(s->registrar, path, sip_clock(), time(NULL), &bad);
	rc.changed = register_changed;
	registrar_configure(s->registrar, &rc);
	if (err == ENOENT)
		return;
	snprintf(count, sizeof(count), "%u", registrar_count(s->registrar));
	snprintf(skipped, sizeof(skipped), "%u", bad);
	log_kv(err != 0 || bad > 0 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, (struct log_ref){0},
		"registrations_read", "file", path, "count", count, "skipped", skipped, "error",
		err != 0 ? strerror(err) : NULL, NULL);
}

static void save_registrations(struct sip *s)
{
	const char *path = s->cfg.registrations;
	int err;

	if (path[0] == '\0')
		return;
	err = registrar_save(s->registrar, path, sip_clock(), time(NULL));
	if (err != 0)
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "registrations_not_saved", "file", path,
			"error", strerror(err), NULL);
}

static int open_stack(struct sip *s)
{
	struct stack_config sc = {.listen = s->cfg.listen,
		.nlisten = s->cfg.nlisten,
		.t1_ms = s->cfg.t1_ms,
		.progress_ms = s->cfg.progress_ms,
		.udp_rmem = s->cfg.udp_rmem};
	struct stack_hooks hooks = {.arg = s, .request = receive_request, .stray = stray_receive};

	s->stack = stack_create(s->root, &sc, &hooks);
	return s->stack != NULL ? 0 : EADDRNOTAVAIL;
}

struct sip *sip_create(const struct sip_config *cfg, const struct sip_hooks *hooks)
{
	struct sip *s = calloc(1, sizeof(*s));
	struct registrar_config rc;

	if (s == NULL)
		return NULL;
	s->cfg = *cfg;
	s->hooks = *hooks;
	su_init();
	su_home_init(s->home);
	s->root = su_root_create(NULL);
	rc = registrar_settings(s);
	s->registrar = registrar_create(&rc);
	s->digest = digest_server_create(cfg->realm, cfg->nonce_ms);
	if (s->root == NULL || s->registrar == NULL || s->digest == NULL || make_headers(s) != 0) {
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "sip_failed", "error", "no memory",
			NULL);
		goto fail;
	}
	if (peer_compile(s) != 0 || open_stack(s) != 0)
		goto fail;
	load_registrations(s);
	s->tick = su_timer_create(su_root_task(s->root), TICK_MS);
	if (s->tick == NULL || su_timer_set_for_ever(s->tick, on_tick, s) < 0)
		goto fail;
	return s;
fail:
	sip_destroy(s);
	return NULL;
}

static void drop_all_legs(struct sip *s)
{
	struct sip_leg *l, *next;

	HASH_ITER(hh_tag, s->by_tag, l, next)
	sip_leg_drop(l);
	sip_leg_bury(s);
	request_bury(s);
}

void sip_destroy(struct sip *s)
{
	if (s == NULL)
		return;
	s->depth++; /* nobody buries anything while we do */
	drop_all_legs(s);
	named_forget(s);
	qualify_stop(s);
	if (s->tick != NULL) { /* what never began has nothing to save */
		save_registrations(s);
		su_timer_destroy(s->tick);
	}
	stack_destroy(s->stack);
	registrar_destroy(s->registrar);
	digest_server_destroy(s->digest);
	if (s->root != NULL)
		su_root_destroy(s->root);
	su_home_deinit(s->home);
	su_deinit();
	free(s);
}

int sip_reconfigure(struct sip *s, const struct sip_config *cfg)
{
	struct sip_config old = s->cfg;
	struct registrar_config rc;
	int err;

	s->cfg = *cfg;
	memcpy(s->cfg.listen, old.listen, sizeof(old.listen));
	s->cfg.nlisten = old.nlisten;
	memset(s->peer_traced, 0, sizeof(s->peer_traced));
	err = peer_compile(s);
	if (err != 0) {
		s->cfg = old;
		peer_compile(s);
		return err;
	}
	rc = registrar_settings(s);
	registrar_configure(s->registrar, &rc);
	digest_server_configure(s->digest, s->cfg.realm, s->cfg.nonce_ms);
	return 0;
}

void *sip_loop(struct sip *s)
{
	return s->root;
}
