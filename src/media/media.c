/* media: see media.h. */
#include "media/media.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#include "base/log.h"
#include "media/inner.h"

ENUM_DEFINE(media_role, MEDIA_ROLE_LIST)

int64_t media_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- legs ---------------------------------------------------------------------------------- */

static struct mleg *mleg_find(const struct media *m, leg_id id)
{
	struct mleg *l;

	HASH_FIND(hh, m->legs, &id, sizeof(id), l);
	return l;
}

struct mleg *mleg_get(struct media *m, leg_id id)
{
	struct mleg *l = mleg_find(m, id);

	if (l != NULL)
		return l;
	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){id}, "out_of_memory", NULL);
		abort();
	}
	l->id = id;
	HASH_ADD(hh, m->legs, id, sizeof(l->id), l);
	return l;
}

/* Where its audio runs now: an offer moves it when it is agreed. */
struct pair *mleg_current(const struct mleg *l)
{
	return l->given == GIVEN_OFFERED ? l->was : l->pair;
}

static void moved(struct mleg *l, struct pair *left)
{
	hearing_sync_leg(l);
	if (left != NULL && left != l->pair)
		pair_review(left);
}

void mleg_give(struct mleg *l, struct pair *p, enum media_role role)
{
	struct pair *left = l->pair;

	if (role == MEDIA_OFFER) {
		if (l->given == GIVEN_AGREED)
			l->was = l->pair;
		l->given = GIVEN_OFFERED;
	} else {
		l->given = GIVEN_AGREED;
		l->was = NULL;
	}
	l->pair = p;
	moved(l, l->was == left ? NULL : left);
}

/* The engine hears the answer of side `me`: to the other's offer if that is open, else on its own. */
static void tell_answer(struct pair *p, unsigned me, const char *sdp, size_t len)
{
	const struct text *mine = &p->side[me].sdp, *peer = &p->side[1 - me].sdp;

	if (p->open == (int)(1 - me)) {
		pair_exchange(p, OP_ANSWER, me, sdp, len, "", ID_NONE);
	} else if (mine->n != len || memcmp(mine->p, sdp, len) != 0) {
		pair_exchange(p, OP_OFFER, me, sdp, len, "", ID_NONE);
		if (peer->n > 0)
			pair_exchange(p, OP_ANSWER, 1 - me, peer->p, peer->n, "", ID_NONE);
	}
}

void media_settled(struct media *m, leg_id leg, const char *sdp, size_t len)
{
	struct mleg *l = mleg_find(m, leg);
	struct pair *left;

	if (l == NULL)
		return;
	left = l->was;
	l->given = GIVEN_AGREED;
	l->was = NULL;
	if (l->pair != NULL && len > 0 && l->pair->state == PAIR_ANCHORED)
		tell_answer(l->pair, pair_side(l->pair, leg), sdp, len);
	moved(l, left); /* after it: what is played is in the codec that was answered */
}

void media_refused(struct media *m, leg_id leg)
{
	struct mleg *l = mleg_find(m, leg);
	struct pair *left;

	if (l == NULL || l->given == GIVEN_AGREED)
		return;
	left = l->pair;
	l->pair = l->was;
	l->was = NULL;
	l->given = GIVEN_AGREED;
	moved(l, left);
}

bool media_plays(const struct media *m, leg_id leg)
{
	const struct mleg *l = mleg_find(m, leg);
	const struct pair *p = l != NULL ? mleg_current(l) : NULL;

	return p != NULL && (p->state == PAIR_ANCHORED || (p->state == PAIR_NEW && p->ops != NULL));
}

bool media_fell_silent(struct media *m, leg_id leg)
{
	struct mleg *l = mleg_find(m, leg);

	if (l == NULL || !l->played || media_plays(m, leg))
		return false;
	l->played = false;
	return true;
}

void media_hear(struct media *m, leg_id leg, const struct act_media *what)
{
	struct mleg *l = mleg_get(m, leg);

	l->hears = what->what;
	l->played = hearing_is_played(what->what) && media_plays(m, leg);
	if (what->what != HEARS_PLACE)
		str_set(l->music, what->music);
	hearing_speak(m, l, what);
	hearing_sync_leg(l);
}

void media_record(struct media *m, leg_id leg, const struct act_record *what)
{
	struct mleg *l = mleg_get(m, leg);

	if (uuid_is_nil(&what->recording))
		l->recording[0] = '\0';
	else
		uuid_str(&what->recording, l->recording);
	hearing_sync_leg(l);
}

void media_leg_free(struct media *m, leg_id leg)
{
	struct mleg *l = mleg_find(m, leg);
	struct side *s, *next;

	if (l == NULL)
		return;
	hearing_hush(m, l);
	keys_forget(m, l);
	HASH_DEL(m->legs, l);
	DL_FOREACH_SAFE(l->sides, s, next)
	{
		DL_DELETE(l->sides, s);
		s->leg = NULL;
		pair_review(s->pair);
	}
	free(l);
}

/* ---- jobs ---------------------------------------------------------------------------------- */

/* The leg made a new offer while nobody is with it: the engine learns where the leg is now, and it is
 * answered with what it had (E-056). */
static enum media_verdict pass_again(struct media *m, const struct media_job *job)
{
	struct mleg *l = mleg_find(m, job->leg);
	struct pair *p = l != NULL ? l->pair : NULL;
	unsigned me, peer;

	if (p == NULL || p->state != PAIR_ANCHORED)
		return MEDIA_DIRECT;
	me = pair_side(p, job->leg);
	peer = 1 - me;
	if (p->side[peer].sdp.n == 0 ||
		!pair_exchange(p, OP_OFFER, me, job->sdp, job->len, "", ID_NONE))
		return MEDIA_DIRECT;
	pair_exchange(p, OP_ANSWER, peer, p->side[peer].sdp.p, p->side[peer].sdp.n, "",
		job->call);
	return MEDIA_WAIT;
}

/* The other end of the leg's session is music. */
static enum media_verdict pass_music(struct media *m, const struct media_job *job)
{
	struct pair *p = pair_get(m, job->leg, ID_MUSIC);
	unsigned me = pair_side(p, job->leg);
	char own[SDP_ROOM];
	size_t n = media_own_sdp(job, own, sizeof(own));

	if (job->role == MEDIA_OFFER)
		return pair_exchange(p, OP_OFFER, 1 - me, own, n, "", job->call)
			       ? MEDIA_WAIT
			       : MEDIA_DIRECT;
	if (!pair_exchange(p, OP_OFFER, me, job->sdp, job->len, "RTP/AVP", ID_NONE))
		return MEDIA_DIRECT;
	pair_exchange(p, OP_ANSWER, 1 - me, own, n, "", job->call);
	return MEDIA_WAIT;
}

static bool is_secure(const char *proto)
{
	return strstr(proto, "SAVP") != NULL;
}

/* What the leg is to be offered instead of what `from` speaks: plain for secure, or the other way
 * round (E-057). A leg that is new is offered what there is. */
static const char *proto_for(const struct media_job *job)
{
	const char *m = memmem(job->sdp, job->len, "m=audio ", 8);
	char line[128];

	if (job->role != MEDIA_OFFER || job->proto[0] == '\0' || m == NULL)
		return "";
	str_copy_n(line, sizeof(line), m, (size_t)(job->sdp + job->len - m));
	line[strcspn(line, "\r\n")] = '\0';
	return is_secure(line) != is_secure(job->proto) ? job->proto : "";
}

static bool is_wanted(const struct media *m, const struct media_job *job)
{
	return m->cfg.anchor == ANCHOR_ALWAYS || (m->cfg.anchor == ANCHOR_PEER && job->asked);
}

static enum media_verdict pass_between(struct media *m, const struct media_job *job, struct pair *p)
{
	enum op_kind kind = job->role == MEDIA_OFFER ? OP_OFFER : OP_ANSWER;

	return pair_exchange(p, kind, pair_side(p, job->from), job->sdp, job->len, proto_for(job),
		       job->call)
		       ? MEDIA_WAIT
		       : MEDIA_DIRECT;
}

enum media_verdict media_pass(struct media *m, const struct media_job *job)
{
	enum media_verdict v = MEDIA_DIRECT;
	struct pair *p;
	struct mleg *l;

	if (job->from == ID_NONE)
		return pass_again(m, job);
	p = pair_find(m, job->leg, job->from);
	if (job->from == ID_MUSIC) {
		v = pass_music(m, job);
		p = pair_find(m, job->leg, ID_MUSIC);
	} else if (p != NULL) {
		v = pass_between(m, job, p);
	} else if (job->role == MEDIA_OFFER && is_wanted(m, job)) {
		p = pair_get(m, job->leg, job->from);
		v = pass_between(m, job, p);
	}
	l = v == MEDIA_DIRECT ? mleg_find(m, job->leg) : NULL;
	if (l != NULL)
		mleg_give(l, p, job->role);
	return v;
}

size_t media_own_sdp(const struct media_job *job, char *buf, size_t size)
{
	if (job->role == MEDIA_OFFER)
		return own_offer(buf, size);
	return own_answer(job->sdp, job->len, buf, size);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void on_engine(void *arg, unsigned engine, bool alive)
{
	struct media *m = arg;

	if (!alive)
		pair_engine_lost(m, engine);
}

static void fill_ng_config(const struct media_config *cfg, struct ng_config *nc)
{
	memset(nc, 0, sizeof(*nc));
	for (unsigned i = 0; i < cfg->nengine && i < NG_ENGINES_MAX; i++)
		str_set(nc->engine[i], cfg->engine[i]);
	nc->nengine = cfg->nengine;
	nc->timeout_ms = cfg->timeout_ms;
	nc->ping_ms = cfg->ping_ms;
}

static int open_all(struct media *m)
{
	struct ng_hooks hooks = {.arg = m, .changed = on_engine};
	struct epoll_event ev = {.events = EPOLLIN};
	struct ng_config nc;
	int err;

	fill_ng_config(&m->cfg, &nc);
	err = ng_create(&nc, &hooks, &m->ng);
	if (err != 0)
		return err;
	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	m->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	m->speech = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	m->finger = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (m->epoll < 0 || m->timer < 0 || m->speech < 0 || m->finger < 0 ||
		epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->speech, &ev) != 0 ||
		epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->finger, &ev) != 0 ||
		epoll_ctl(m->epoll, EPOLL_CTL_ADD, ng_fd(m->ng), &ev) != 0 ||
		epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->timer, &ev) != 0)
		return errno;
	return 0;
}

int media_create(const struct media_config *cfg, uint64_t stamp, const struct media_hooks *hooks,
	struct media **out)
{
	struct media *m = calloc(1, sizeof(*m));
	int err;

	if (m == NULL)
		return ENOMEM;
	m->cfg = *cfg;
	m->hooks = *hooks;
	m->stamp = stamp;
	m->epoll = m->timer = m->speech = m->finger = -1;
	err = open_all(m);
	if (err == 0) {
		*out = m;
		return 0;
	}
	log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "media_failed", "engine", cfg->engine[0], "why",
		strerror(err), NULL);
	media_destroy(m);
	return err;
}

static void no_ready(void *arg, call_id call, const char *sdp, size_t len)
{
}

void media_destroy(struct media *m)
{
	struct mleg *l, *next_leg;
	struct pair *p, *next_pair;

	if (m == NULL)
		return;
	m->hooks.ready = no_ready;
	HASH_ITER(hh, m->pairs, p, next_pair)
	pair_destroy(p); /* the engine is told, once */
	HASH_ITER(hh, m->legs, l, next_leg)
	{
		HASH_DEL(m->legs, l);
		free(l);
	}
	ng_destroy(m->ng);
	if (m->epoll >= 0)
		close(m->epoll);
	if (m->timer >= 0)
		close(m->timer);
	if (m->speech >= 0)
		close(m->speech);
	if (m->finger >= 0)
		close(m->finger);
	free(m);
}

void media_reconfigure(struct media *m, const struct media_config *cfg)
{
	m->cfg.anchor = cfg->anchor;
	str_set(m->cfg.music_dir, cfg->music_dir);
}

int media_fd(const struct media *m)
{
	return m->epoll;
}

void media_dispatch(struct media *m)
{
	uint64_t ticks;

	ng_dispatch(m->ng);
	if (read(m->timer, &ticks, sizeof(ticks)) == (ssize_t)sizeof(ticks))
		pair_heal_some(m);
	if (read(m->speech, &ticks, sizeof(ticks)) == (ssize_t)sizeof(ticks))
		hearing_next_sounds(m);
	if (read(m->finger, &ticks, sizeof(ticks)) == (ssize_t)sizeof(ticks))
		keys_next(m);
}

void media_status(const struct media *m, struct media_status *out)
{
	*out = m->status;
	out->engines = m->cfg.nengine;
	out->alive = 0;
	for (unsigned i = 0; i < m->cfg.nengine; i++)
		out->alive += ng_alive(m->ng, i);
}
