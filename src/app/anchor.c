/* anchor: see anchor.h. */
#include "app/anchor.h"

#include <errno.h>
#include <stdlib.h>

#include <uthash.h>
#include <utlist.h>

#include "base/log.h"

#define OWN_SDP_ROOM 4096

struct waiting {
	struct action action;
	struct waiting *prev, *next;
};

/* The actions of one call; the first waits for an engine. */
struct lane {
	call_id call;
	struct waiting *list;
	UT_hash_handle hh;
};

struct anchor {
	struct media *media;
	struct sip *sip;
	struct anchor_hooks hooks;
	struct loop_watch *watch;
	struct lane *lanes;
};

static struct lane *lane_find(const struct anchor *an, call_id call)
{
	struct lane *lane;

	HASH_FIND(hh, an->lanes, &call, sizeof(call), lane);
	return lane;
}

static void *need(void *p)
{
	if (p == NULL) {
		/* As in the runner: a call whose actions are lost cannot go on. */
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "out_of_memory", NULL);
		abort();
	}
	return p;
}

static void lane_add(struct anchor *an, const struct action *a)
{
	struct lane *lane = lane_find(an, a->call);
	struct waiting *w = need(malloc(sizeof(*w)));

	if (lane == NULL) {
		lane = need(calloc(1, sizeof(*lane)));
		lane->call = a->call;
		HASH_ADD(hh, an->lanes, call, sizeof(lane->call), lane);
	}
	w->action = *a;
	DL_APPEND(lane->list, w);
}

static void lane_pop(struct lane *lane)
{
	struct waiting *w = lane->list;

	DL_DELETE(lane->list, w);
	free(w);
}

static void lane_free(struct anchor *an, struct lane *lane)
{
	while (lane->list != NULL)
		lane_pop(lane);
	HASH_DEL(an->lanes, lane);
	free(lane);
}

/* ---- one action ---------------------------------------------------------------------------- */

static void fill_job(const struct action *a, const struct sip_source *src, struct media_job *job)
{
	*job = (struct media_job){
		.call = a->call,
		.leg = a->leg,
		.from = a->from,
		.role = src->role == SDP_ROLE_OFFER ? MEDIA_OFFER : MEDIA_ANSWER,
		.sdp = src->sdp,
		.len = src->len,
		.proto = src->proto,
		.asked = src->anchor,
	};
}

/* The session passes as it is; that of music is made up. */
static void act_directly(struct sip *sip, const struct action *a, const struct media_job *job)
{
	char own[OWN_SDP_ROOM];
	size_t n;

	if (a->from != ID_MUSIC) {
		sip_act(sip, a);
		return;
	}
	n = media_own_sdp(job, own, sizeof(own));
	sip_act_with(sip, a, own, n);
}

void anchor_act_without(struct sip *sip, const struct action *a)
{
	struct sip_source src;
	struct media_job job;

	if (a->from != ID_MUSIC || !sip_source(sip, a, &src)) {
		sip_act(sip, a);
		return;
	}
	fill_job(a, &src, &job);
	act_directly(sip, a, &job);
}

bool anchor_is_music(const struct action *a)
{
	return a->type == ACT_MEDIA && (a->media.what == HEARS_MUSIC ||
		a->media.what == HEARS_RINGBACK || a->media.what == HEARS_PLACE);
}

static void unplayed(struct anchor *an, leg_id leg)
{
	struct event ev = {.type = EV_UNPLAYED, .leg = leg, .call = id_call(leg)};

	an->hooks.emit(an->hooks.arg, &ev);
}

static void hear(struct anchor *an, const struct action *a)
{
	media_hear(an->media, a->leg, &a->media);
	if (anchor_is_music(a) && !media_plays(an->media, a->leg))
		unplayed(an, a->leg);
}

bool anchor_unpressed(const struct action *a, struct event *ev)
{
	if (a->type != ACT_DIGITS || a->digits.way != DTMF_RTP)
		return false;
	*ev = (struct event){.type = EV_UNPRESSED, .leg = a->leg, .call = id_call(a->leg)};
	str_set(ev->unpressed.left, a->text);
	return true;
}

static void press(struct anchor *an, const struct action *a)
{
	struct event ev;

	if (!anchor_unpressed(a, &ev))
		sip_act(an->sip, a);
	else if (!media_press(an->media, a->leg, a->text))
		an->hooks.emit(an->hooks.arg, &ev);
}

enum outcome { DONE, WAITS };

static enum outcome act_with_session(struct anchor *an, const struct action *a)
{
	struct sip_source src;
	struct media_job job;

	if (!sip_source(an->sip, a, &src)) {
		sip_act(an->sip, a);
		return DONE;
	}
	fill_job(a, &src, &job);
	if (media_pass(an->media, &job) == MEDIA_WAIT)
		return WAITS;
	act_directly(an->sip, a, &job);
	return DONE;
}

static enum outcome act_now(struct anchor *an, const struct action *a)
{
	if (a->type == ACT_DIAL && a->dial.keys)
		media_expect_keys(an->media, a->leg);
	switch (a->type) {
	case ACT_DIAL:
	case ACT_PROGRESS:
	case ACT_ANSWER:
	case ACT_ACK:
	case ACT_OFFER:
	case ACT_OFFER_ANSWER:
		return act_with_session(an, a);
	case ACT_MEDIA:
		hear(an, a);
		return DONE;
	case ACT_DIGITS:
		press(an, a);
		return DONE;
	case ACT_RECORD:
		media_record(an->media, a->leg, &a->record);
		return DONE;
	case ACT_LEG_FREE:
		sip_act(an->sip, a);
		media_leg_free(an->media, a->leg);
		return DONE;
	default:
		sip_act(an->sip, a);
		return DONE;
	}
}

void anchor_act(struct anchor *an, const struct action *a)
{
	if (lane_find(an, a->call) != NULL || act_now(an, a) == WAITS)
		lane_add(an, a);
}

/* ---- going on ------------------------------------------------------------------------------ */

/* The first action of the lane has what it waited for. */
static void act_ready(struct anchor *an, const struct action *a, const char *sdp, size_t len)
{
	struct sip_source src;
	struct media_job job;

	if (sdp != NULL) {
		sip_act_with(an->sip, a, sdp, len);
		return;
	}
	if (!sip_source(an->sip, a, &src)) {
		sip_act(an->sip, a);
		return;
	}
	fill_job(a, &src, &job);
	act_directly(an->sip, a, &job);
}

static void on_ready(void *arg, call_id call, const char *sdp, size_t len)
{
	struct anchor *an = arg;
	struct lane *lane = lane_find(an, call);

	if (lane == NULL)
		return;
	an->hooks.begin(an->hooks.arg);
	act_ready(an, &lane->list->action, sdp, len);
	lane_pop(lane);
	while (lane->list != NULL && act_now(an, &lane->list->action) == DONE)
		lane_pop(lane);
	if (lane->list == NULL)
		lane_free(an, lane);
	an->hooks.end(an->hooks.arg);
}

static void on_lost(void *arg, leg_id leg)
{
	struct anchor *an = arg;
	struct event ev = {.type = EV_MEDIA_LOST, .leg = leg, .call = id_call(leg)};

	an->hooks.emit(an->hooks.arg, &ev);
}

static void on_played(void *arg, leg_id leg)
{
	struct anchor *an = arg;
	struct event ev = {.type = EV_PLAYED, .leg = leg, .call = id_call(leg)};

	an->hooks.emit(an->hooks.arg, &ev);
}

static void on_unpressed(void *arg, leg_id leg, const char *left)
{
	struct anchor *an = arg;
	struct event ev = {.type = EV_UNPRESSED, .leg = leg, .call = id_call(leg)};

	str_set(ev.unpressed.left, left);
	an->hooks.emit(an->hooks.arg, &ev);
}

static bool is_agreed(const struct event *ev)
{
	if (ev->type == EV_OA_DONE)
		return ev->offer.status >= 200 && ev->offer.status < 300;
	return ev->type == EV_ACK || ev->type == EV_ANSWER;
}

void anchor_before(struct anchor *an, const struct event *ev)
{
	if (ev->type == EV_OA_DONE && !is_agreed(ev))
		media_refused(an->media, ev->leg);
}

void anchor_after(struct anchor *an, const struct event *ev)
{
	const char *sdp;
	size_t len;

	if (!is_agreed(ev))
		return;
	sdp = sip_remote(an->sip, ev->leg, &len);
	media_settled(an->media, ev->leg, sdp, len);
	if (media_fell_silent(an->media, ev->leg))
		unplayed(an, ev->leg);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void on_readable(void *arg, int events)
{
	struct anchor *an = arg;

	media_dispatch(an->media);
}

int anchor_open(const struct app_config *cfg, struct loop *loop, struct sip *sip,
	const struct anchor_hooks *hooks, struct anchor **out)
{
	struct anchor *an = calloc(1, sizeof(*an));
	struct media_hooks mh = {.arg = an, .ready = on_ready, .lost = on_lost, .played = on_played,
		.unpressed = on_unpressed};
	int err;

	if (an == NULL)
		return ENOMEM;
	an->sip = sip;
	an->hooks = *hooks;
	err = media_create(&cfg->media, (uint64_t)loop_wall_us() / 1000, &mh, &an->media);
	if (err == 0) {
		an->watch = loop_watch(loop, media_fd(an->media), LOOP_IN, on_readable, an);
		err = an->watch != NULL ? 0 : ENOMEM;
	}
	if (err == 0)
		*out = an;
	else
		anchor_close(an);
	return err;
}

void anchor_reconfigure(struct anchor *an, const struct app_config *cfg)
{
	media_reconfigure(an->media, &cfg->media);
}

void anchor_close(struct anchor *an)
{
	struct lane *lane, *next;

	if (an == NULL)
		return;
	HASH_ITER(hh, an->lanes, lane, next)
	lane_free(an, lane);
	loop_unwatch(an->watch);
	media_destroy(an->media);
	free(an);
}

void anchor_status(const struct anchor *an, struct media_status *out)
{
	media_status(an->media, out);
}
