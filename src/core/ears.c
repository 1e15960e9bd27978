/*
 * ears: what each party hears while it is not with its peer. Derived after each step from what the
 * party was last given and agreed to, so nobody has to remember to start or stop anything: held by
 * an agent's phone or by us, it hears music; given to somebody again, it hears that one. Only the
 * difference to what was said before goes out, as ACT_MEDIA.
 */
#include "core/inner.h"

static bool in_bridge(const struct bridge *b, const struct leg *l)
{
	return b->a == l->id || b->b == l->id;
}

/* By us, with the session that it has; also one who was on hold already, by whom he talked with: that one
 * talks with somebody else now. */
static bool held_by_us(const struct call *k, const struct leg *l)
{
	return (k->bridge.state == BRIDGE_HOLD && in_bridge(&k->bridge, l)) || k->bridge.held == l->id ||
	       l->given.mode == GIVEN_HOLD || l->given.from == ID_MUSIC;
}

/* By the phone of a user. A PBX or a carrier that holds brings its own music. */
static bool held_by_phone(const struct call *k, const struct leg *l)
{
	const struct leg *by = call_leg(k, l->given.from);

	return by && by->source == SOURCE_USER && dir_holds(l->given.told);
}

static bool somebody_rings(const struct call *k)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i]->role == ROLE_TARGET && k->legs[i]->state == LEG_RINGING)
			return true;
	return false;
}

static enum hears hears_now(const struct core *c, const struct call *k, const struct leg *l)
{
	if (held_by_us(k, l) && l->role != ROLE_KEPT && l->role != ROLE_TARGET &&
		k->state != CONSULT_WAIT)
		return HEARS_NOTHING; /* whoever holds by a click listens to nobody */
	if (!held_by_us(k, l) && !held_by_phone(k, l))
		return HEARS_PEER;
	if (k->state == SETUP || k->state == ANSWERING) /* he calls, and is answered already */
		return somebody_rings(k) ? HEARS_RINGBACK : HEARS_NOTHING;
	if (k->waiter && k->wait.speech == SPEECH_RUNS && l->role == ROLE_KEPT)
		return HEARS_PLACE;
	if (k->waiter)
		return HEARS_MUSIC; /* that an agent is being rung says nothing yet */
	return somebody_rings(k) ? c->cfg.ring_hears : HEARS_MUSIC;
}

/* A leg whose session is being changed hears what it heard until that is settled. */
static bool has_ears(const struct leg *l)
{
	bool early = l->state == LEG_EARLY && l->given.from == ID_MUSIC;

	return (l->state == LEG_UP || early) && l->oa == OA_IDLE && l->role != ROLE_MUSIC;
}

void ears_sync(struct core *c, struct call *k)
{
	for (unsigned i = 0; i < k->nlegs; i++) {
		struct leg *l = k->legs[i];
		enum hears now;
		struct action *a;

		if (!has_ears(l))
			continue;
		now = hears_now(c, k, l);
		if (now == l->hears && (now != HEARS_MUSIC || l->tune == k->tune))
			continue;
		l->hears = (uint8_t)now;
		l->tune = k->tune;
		a = act_add(c, ACT_MEDIA, l->id);
		a->media.what = now;
		if (now == HEARS_MUSIC)
			str_set(a->media.music, k->music);
		if (now == HEARS_PLACE)
			queue_speak(k, &a->media);
	}
}
