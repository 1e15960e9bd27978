/*
 * keys: ACT_DIGITS where an engine carries what the leg hears. The engine speaks in the place of the
 * leg's peer: telephone events (RFC 4733) if the leg has asked for them, else tones. It can do so only
 * in a call whose every offer and answer said inject-DTMF, and where it has heard the peer before;
 * until then it refuses, and is asked again for a while. Between what the two have agreed anew and the
 * peer's next packet it says that it has pressed a key, and does not: so the first one is not pressed
 * at once (measured with rtpengine 10.5).
 */
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>

#include <utlist.h>

#include "base/log.h"
#include "media/inner.h"

#define FIRST_MS    300 /* see above */
#define STEP_MS	    (KEYS_TONE_MS + 100) /* a tone and a gap */
#define PAUSE_MS    1000
#define AGAIN_MS    100
#define PATIENCE_MS 2000

/* ---- time ------------------------------------------------------------------------------------- */

static void arm(struct media *m)
{
	struct itimerspec t = {0};

	if (m->pressing != NULL) {
		t.it_value.tv_sec = m->pressing->due / 1000;
		t.it_value.tv_nsec = m->pressing->due % 1000 * 1000000 + 1;
	}
	timerfd_settime(m->finger, TFD_TIMER_ABSTIME, &t, NULL);
}

static int by_due(const struct keys *a, const struct keys *b)
{
	return a->due < b->due ? -1 : a->due > b->due;
}

static void rest(struct media *m, struct keys *k)
{
	if (k->state != KEYS_NONE)
		DL_DELETE(m->pressing, k);
	k->state = KEYS_NONE;
}

static void wait_for(struct media *m, struct mleg *l, enum keys_state state, int64_t ms)
{
	struct keys *k = &l->keys;

	rest(m, k);
	k->leg = l;
	k->due = media_now_ms() + ms;
	k->state = state;
	DL_INSERT_INORDER(m->pressing, k, by_due);
	arm(m);
}

void keys_forget(struct media *m, struct mleg *l)
{
	rest(m, &l->keys);
	l->keys.pair = NULL;
	arm(m);
}

/* ---- one key ------------------------------------------------------------------------------------ */

static void give_up(struct media *m, struct mleg *l)
{
	char left[DIGITS_MAX];

	log_kv(LOG_LEVEL_WARN, (struct log_ref){l->id}, "digits_not_in_audio", "why", l->keys.why,
		NULL);
	str_set(left, l->keys.left);
	keys_forget(m, l);
	m->hooks.unpressed(m->hooks.arg, l->id, left);
}

static void shift(struct keys *k)
{
	memmove(k->left, k->left + 1, strlen(k->left));
	k->since = media_now_ms();
}

/* The first key is due. */
static void press(struct media *m, struct mleg *l)
{
	struct keys *k = &l->keys;
	char key[2] = {k->left[0], '\0'};

	if (key[0] == '\0' || mleg_current(l) != k->pair) { /* done; or it hears somebody else now */
		keys_forget(m, l);
	} else if (k->pair->state != PAIR_ANCHORED) {
		str_set(k->why, "the engine is gone");
		give_up(m, l);
	} else if (key[0] == ',') {
		shift(k);
		wait_for(m, l, KEYS_DUE, PAUSE_MS);
	} else {
		str_set(k->why, "the engine does not answer");
		wait_for(m, l, KEYS_ASKED, PATIENCE_MS + m->cfg.timeout_ms);
		pair_do(k->pair, OP_PRESS, 1 - pair_side(k->pair, l->id), key);
	}
}

void keys_next(struct media *m)
{
	int64_t now = media_now_ms();

	while (m->pressing != NULL && m->pressing->due <= now) {
		struct mleg *l = m->pressing->leg;

		if (l->keys.state == KEYS_DUE)
			press(m, l);
		else
			give_up(m, l);
	}
	arm(m);
}

/* ---- what becomes of it -------------------------------------------------------------------------- */

static struct mleg *asked_for(struct side *presser)
{
	struct mleg *l = presser->pair->side[1 - pair_side(presser->pair, presser->id)].leg;

	return l != NULL && l->keys.state == KEYS_ASKED && l->keys.pair == presser->pair ? l : NULL;
}

void keys_pressed(struct side *presser)
{
	struct mleg *l = asked_for(presser);

	if (l == NULL)
		return;
	shift(&l->keys);
	wait_for(presser->pair->media, l, KEYS_DUE, STEP_MS);
}

void keys_refused(struct side *presser, const char *why)
{
	struct media *m = presser->pair->media;
	struct mleg *l = asked_for(presser);

	if (l == NULL)
		return;
	str_set(l->keys.why, why);
	if (media_now_ms() - l->keys.since < PATIENCE_MS)
		wait_for(m, l, KEYS_DUE, AGAIN_MS);
	else
		wait_for(m, l, KEYS_FAILED, 0); /* not from in here: the pair is in use */
}

void keys_lost(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		struct mleg *l = p->side[i].leg;

		if (l != NULL && l->keys.pair == p && l->keys.state == KEYS_ASKED)
			wait_for(p->media, l, KEYS_DUE, 0);
	}
}

/* ---- the door ------------------------------------------------------------------------------------ */

void media_expect_keys(struct media *m, leg_id leg)
{
	mleg_get(m, leg)->keyed = true;
}

bool media_press(struct media *m, leg_id leg, const char *keys)
{
	struct mleg *l = mleg_get(m, leg);
	struct pair *p = mleg_current(l);

	if (!l->keyed || p == NULL || p->state != PAIR_ANCHORED)
		return false;
	str_set(l->keys.left, keys);
	l->keys.pair = p;
	l->keys.since = media_now_ms() + FIRST_MS;
	wait_for(m, l, KEYS_DUE, FIRST_MS);
	return true;
}
