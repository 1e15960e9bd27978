/*
 * bridge: who should hear whom. Rows say CONNECT or HOLD; this file alone turns that into offers
 * and answers: it compares what each leg was given with what it should have, asks one side at a
 * time, passes an offer of one side to the other, settles glare (RFC 3264, RFC 3261 section 14,
 * RFC 3725) and says SETTLED when both have each other's newest session.
 */
#include "core/inner.h"

/* Offers on our own account until media are settled. Two phones that answer every offer with something
 * new would otherwise be asked for ever; after this many the last answers stand. */
#define ROUNDS_MAX 6

/* RFC 3261 section 14.1: who made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, by 10 ms. */
#define GLARE_OWNER_MS 2100
#define GLARE_OWNER_STEPS 190
#define GLARE_OTHER_STEPS 200

bool dir_holds(enum dir d)
{
	return d == DIR_SENDONLY || d == DIR_INACTIVE;
}

enum sdp_dir dir_forced(enum dir d)
{
	static const enum sdp_dir map[] = {
		[DIR_INACTIVE] = SDP_DIR_INACTIVE,
		[DIR_RECVONLY] = SDP_DIR_RECVONLY,
		[DIR_SENDONLY] = SDP_DIR_SENDONLY,
		[DIR_SENDRECV] = SDP_DIR_SENDRECV,
	};

	return map[d];
}

struct leg *bridge_peer(const struct call *k, const struct leg *l)
{
	const struct bridge *b = &k->bridge;

	if (b->state != BRIDGE_SETTLED && b->state != BRIDGE_UNSETTLED)
		return NULL;
	if (l->id == b->a)
		return call_leg(k, b->b);
	return l->id == b->b ? call_leg(k, b->a) : NULL;
}

/* ---- what the rows say ----------------------------------------------------------------------- */

/* Music is being agreed with it, or waits for its turn. */
static bool is_about_music(const struct leg *l)
{
	return (l->oa == OA_SENT || l->oa == OA_GLARE) && l->offered.mode == GIVEN_MUSIC;
}

/* What it was given last, or is about to be, is not what `given` says: music, or nothing for its sake. Whom
 * it may show stays in doubt. */
static void forget_music(struct leg *l)
{
	if ((l->music_rv != 0 || is_about_music(l)) && l->given.rv != RV_UNSURE)
		l->given.rv = 0;
}

void bridge_connect(struct core *c, struct call *k, struct leg *a, struct leg *b)
{
	(void)c;
	k->bridge = (struct bridge){BRIDGE_UNSETTLED, 0, a->id, b->id, ID_NONE};
	a->reoffers = b->reoffers = 0;
	a->refused = b->refused = (struct given){0};
	forget_music(a);
	forget_music(b);
}

void bridge_hear(struct call *k, struct leg *l, const struct leg *early)
{
	struct bridge *b = &k->bridge;

	if (b->state == BRIDGE_EARLY && b->a == l->id && b->b == early->id)
		return;
	*b = (struct bridge){BRIDGE_EARLY, 0, l->id, early->id, ID_NONE};
	l->refused = (struct given){0};
}

void bridge_hold(struct core *c, struct call *k, struct leg *a, struct leg *b)
{
	(void)c;
	k->bridge = (struct bridge){BRIDGE_HOLD, 0, a ? a->id : ID_NONE, b ? b->id : ID_NONE, ID_NONE};
}

/* What l has is said to it once more. While that is music, it is not what `given` says, and whoever it is
 * with next is told to it. */
static struct given as_it_has(const struct leg *l)
{
	struct given g = l->given;

	if (l->music_rv != 0)
		g.rv = RV_UNSURE;
	return g;
}

/* The other side waits for an answer that would have come from a leg that is gone: it is given what
 * it had (E-056). */
static void answer_alone(struct core *c, struct leg *l)
{
	if (l->oa != OA_RECV && l->oa != OA_RECV_NONE)
		return;
	if (l->state != LEG_UP || l->given.rv == 0)
		return;
	act_add(c, ACT_OFFER_ANSWER, l->id)->dir = dir_forced(l->given.told);
	if (l->oa == OA_RECV_NONE)
		l->offered = as_it_has(l);
	l->oa = l->oa == OA_RECV ? OA_IDLE : OA_GIVEN;
}

void bridge_forget(struct core *c, struct call *k, struct leg *l)
{
	struct bridge *b = &k->bridge;
	struct leg *p = bridge_peer(k, l);

	if (b->state == BRIDGE_EARLY && (b->a == l->id || b->b == l->id))
		b->state = BRIDGE_HOLD; /* who has heard him waits for somebody else */
	if (b->held == l->id)
		b->held = ID_NONE;
	if (b->a == l->id)
		b->a = ID_NONE;
	if (b->b == l->id)
		b->b = ID_NONE;
	else if (p == NULL)
		return;
	if (b->state == BRIDGE_SETTLED || b->state == BRIDGE_UNSETTLED)
		b->state = BRIDGE_NONE;
	if (p)
		answer_alone(c, p);
}

/* ---- offers from a party --------------------------------------------------------------------- */

static void reject_offer(struct core *c, struct leg *l, uint16_t status)
{
	struct action *a = act_add(c, ACT_OFFER_REJECT, l->id);

	a->status = status;
	if (status == 500)
		a->retry_after = (uint32_t)(core_random(c) % 11); /* 0 to 10 s */
}

/* Puts a party's session back to what it was before the offer that failed. */
static void roll_back(struct leg *l)
{
	if (l->oa == OA_RECV) {
		l->rv = l->rv_prev;
		l->will = l->will_prev;
	}
	l->oa = OA_IDLE;
}

/* The status that an offer meets when it comes at the wrong moment, 0 if it may be served
 * (R-010, R-023, E-040, E-042). */
static uint16_t glare_status(const struct leg *l, const struct leg *p)
{
	switch (l->oa) {
	case OA_SENT:
	case OA_GIVEN:
	case OA_OWED:
	case OA_ASKED:
		return 491;
	case OA_RECV:
	case OA_RECV_NONE:
		return 500;
	default:
		break;
	}
	if (p && p->state == LEG_UP && (p->oa == OA_RECV || p->oa == OA_RECV_NONE))
		return 491; /* the other side's offer is on its way to this one */
	return 0;
}

/* EV_OFFER, EV_OFFER_NONE: a party wants to change its session. */
void bridge_offer(struct core *c, struct call *k, struct leg *l)
{
	const struct sdp_note *n = &c->ev->offer.sdp;
	bool none = c->ev->type == EV_OFFER_NONE;
	struct leg *p = bridge_peer(k, l);
	uint16_t status = n->what == SDP_BAD ? 488 : glare_status(l, p);

	if (l->state == LEG_CLOSING || l->state < LEG_ANSWERED)
		status = l->outbound && l->state == LEG_RINGING && status == 0 ? 0 : 481;
	if (status) {
		reject_offer(c, l, status);
		return;
	}
	timer_stop(c, l->id, TIMER_GLARE, &l->timer[TIMER_GLARE]);
	l->oa = none ? OA_RECV_NONE : OA_RECV;
	l->refused = (struct given){0};
	if (!none) {
		l->rv_prev = l->rv;
		l->will_prev = l->will;
		l->rv = ++l->rv_top;
		l->will = (uint8_t)n->dir;
		l->image = n->image;
	}
	if (k->bridge.state == BRIDGE_SETTLED && p)
		k->bridge.state = BRIDGE_UNSETTLED;
	if (p)
		return;
	if (l->given.rv == 0) {
		roll_back(l);
		reject_offer(c, l, 500);
		return;
	}
	act_add(c, ACT_OFFER_ANSWER, l->id)->dir = dir_forced(l->given.told);
	l->offered = as_it_has(l);
	l->oa = none ? OA_GIVEN : OA_IDLE;
}

/* EV_OFFER_WITHDRAWN: it thought better of it (E-045). Whoever was told already is told again. */
void bridge_withdrawn(struct core *c, struct call *k, struct leg *l)
{
	(void)c;
	(void)k;
	if (l->oa == OA_RECV || l->oa == OA_RECV_NONE || l->oa == OA_GIVEN)
		roll_back(l);
}

void bridge_unsettle(struct call *k)
{
	k->bridge.rounds = 0;
	if (k->bridge.state == BRIDGE_SETTLED)
		k->bridge.state = BRIDGE_UNSETTLED;
}

/* What it has is no version that anybody ever said: whatever it is to have next, to be held too, it is
 * told. So it is of who was to be given something else anyway: it may show somebody else by now. */
void bridge_doubt(struct leg *l)
{
	if (l->given.from == ID_NONE || l->given.from == ID_MUSIC)
		return;
	l->given.rv = RV_UNSURE;
	l->given.told = DIR_SENDRECV;
	l->given.mode = GIVEN_CONNECT;
}

/* EV_MEDIA_LOST: what it was given leads nowhere. Both sides of a bridge are asked anew; somebody who is
 * held hears nothing until somebody is there for him. */
void bridge_media_lost(struct call *k, struct leg *l)
{
	if (bridge_peer(k, l) == NULL || l->state != LEG_UP)
		return;
	if (l->given.from == ID_MUSIC)
		l->given.rv = 0;
	bridge_doubt(l);
	bridge_unsettle(k);
}

/* ---- answers to our offers ------------------------------------------------------------------- */

/* The answer holds although nothing that we know of asked for it: once more, unless that was the last
 * round, then it stands (R-032, E-051). */
static bool holds_without_reason(const struct call *k, const struct leg *l, enum dir answer)
{
	return k->bridge.rounds < ROUNDS_MAX && l->reoffers == 0 && l->offered.mode == GIVEN_CONNECT &&
	       l->offered.told == DIR_SENDRECV && answer != DIR_SENDRECV && !dir_holds(l->will);
}

static void answered(struct core *c, struct call *k, struct leg *l, const struct sdp_note *n)
{
	struct leg *p = bridge_peer(k, l);
	bool relayed = p && (p->oa == OA_RECV || p->oa == OA_OWED);

	(void)c;
	l->oa = OA_IDLE;
	l->given = l->offered;
	l->refused = (struct given){0};
	l->music_rv = 0;
	if (n->what == SDP_ANSWER && (l->rv == 0 || !n->same || l->unsaid))
		l->rv = ++l->rv_top;
	l->unsaid = 0;
	l->image = n->image;
	if (l->offered.told != DIR_SENDRECV || l->offered.mode == GIVEN_HOLD)
		return;
	if (!relayed && k->bridge.state != BRIDGE_EARLY && holds_without_reason(k, l, n->dir)) {
		bridge_doubt(l); /* without a peer it is asked when it has one, the same one too */
		l->reoffers += p != NULL;
		return;
	}
	l->will = (uint8_t)n->dir;
}

static int64_t glare_wait(struct core *c, const struct leg *l)
{
	uint64_t r = core_random(c);

	if (l->outbound)
		return GLARE_OWNER_MS + (int64_t)(r % (GLARE_OWNER_STEPS + 1)) * 10;
	return (int64_t)(r % (GLARE_OTHER_STEPS + 1)) * 10;
}

void bridge_glare(struct core *c, struct leg *l)
{
	l->oa = OA_GLARE;
	timer_start(c, l->id, TIMER_GLARE, &l->timer[TIMER_GLARE], glare_wait(c, l));
}

/* Our offer failed and nobody waits for its answer: the session of that leg stays as it was. */
static void own_offer_failed(struct core *c, struct call *k, struct leg *l, uint16_t status)
{
	if (status == 491 && k->bridge.rounds < ROUNDS_MAX) {
		bridge_glare(c, l);
		return;
	}
	l->oa = OA_IDLE; /* also of one who says 491 for ever */
	l->refused = l->offered;
	if (k->bridge.state == BRIDGE_UNSETTLED) {
		k->status = status;
		call_post(k, JOIN_FAILED);
	}
}

/* EV_OA_DONE. */
void bridge_done(struct core *c, struct call *k, struct leg *l)
{
	const struct ev_offer *e = &c->ev->offer;
	struct leg *p = bridge_peer(k, l);

	if ((l->oa != OA_SENT && l->oa != OA_GIVEN) || moh_done(c, k, l))
		return;
	if (e->status >= 200 && e->status < 300) {
		answered(c, k, l, &e->sdp);
		if (e->sdp.what == SDP_ANSWER && !e->sdp.usable && !(p && p->oa == OA_RECV))
			own_offer_failed(c, k, l, 488); /* every stream refused (E-033) */
		return;
	}
	if (p && p->oa == OA_RECV && p->state == LEG_UP && l->offered.rv == p->rv) {
		/* Its offer was passed on and refused: it hears so, nothing has changed (E-047). */
		l->oa = OA_IDLE;
		roll_back(p);
		reject_offer(c, p, e->status);
		return;
	}
	own_offer_failed(c, k, l, e->status);
}

/* ---- nobody but music ------------------------------------------------------------------------ */

/* A 200 after a 183 with music: the same answer, unless that was a reliable one. */
static void say_again(const struct leg *l, struct action *a)
{
	if (l->given.from == ID_MUSIC && !l->rel_required)
		a->from = ID_MUSIC;
}

/* Answers a caller whom nobody has answered yet; a media engine is at the other end. A reliable 1xx
 * may have settled the session: then a bare 200, and the caller is held as anybody else is. */
void bridge_play(struct core *c, struct leg *l)
{
	bool wants_offer = l->oa == OA_RECV_NONE;
	struct action *a = act_add(c, ACT_ANSWER, l->id);

	a->status = 200;
	leg_set_state(c, l, LEG_ANSWERED);
	if (l->oa != OA_RECV && !wants_offer) {
		say_again(l, a);
		return;
	}
	a->from = ID_MUSIC;
	a->dir = wants_offer ? SDP_DIR_SENDRECV : SDP_DIR_AS_IS;
	l->offered = (struct given){ID_MUSIC, 1, DIR_SENDRECV, GIVEN_HOLD};
	l->oa = wants_offer ? OA_GIVEN : OA_IDLE;
	if (!wants_offer)
		l->given = l->offered;
}

/* The same, and the call is not answered yet (RFC 3261 section 13.2.1): what an unreliable 1xx said is
 * said again in the 200, and only a re-INVITE after it brings the agent. */
void bridge_play_early(struct core *c, struct leg *l)
{
	struct action *a = act_add(c, ACT_PROGRESS, l->id);

	a->status = 183;
	a->from = ID_MUSIC;
	leg_set_state(c, l, LEG_EARLY);
	l->given = (struct given){ID_MUSIC, 1, DIR_SENDRECV, GIVEN_HOLD};
	l->oa = OA_IDLE;
}

/* Answers a phone of ours that was asked for the offer: nobody is there for it yet, which is no hold. */
void bridge_play_owed(struct core *c, struct leg *l)
{
	struct action *a;

	if (l->oa != OA_OWED)
		return;
	a = act_add(c, ACT_ACK, l->id);
	a->from = ID_MUSIC;
	a->dir = SDP_DIR_SENDRECV;
	l->oa = OA_IDLE;
	l->given = (struct given){ID_MUSIC, 1, DIR_SENDRECV, GIVEN_HOLD};
}

/* ---- the reconciler -------------------------------------------------------------------------- */

static bool is_connected(const struct given *g)
{
	return g->mode == GIVEN_CONNECT || g->mode == GIVEN_STANDS;
}

/* l was given what p said last, in the direction that p wants. */
static bool has_newest(const struct leg *l, const struct leg *p)
{
	return l->given.from == p->id && l->given.rv == p->rv && l->given.told == p->will &&
	       is_connected(&l->given);
}

/* The leg said no to just this, and nothing has changed since. */
static bool was_refused(const struct leg *l, const struct given *g)
{
	return l->refused.rv != 0 && l->refused.from == g->from && l->refused.rv == g->rv &&
	       l->refused.told == g->told && l->refused.mode == g->mode;
}

static bool is_unanswered(const struct leg *l)
{
	return l->state == LEG_NEW || l->state == LEG_EARLY;
}

static void offer(struct core *c, struct leg *l, const struct leg *p, enum sdp_dir dir)
{
	struct action *a = act_add(c, ACT_OFFER, l->id);

	timer_stop(c, l->id, TIMER_GLARE, &l->timer[TIMER_GLARE]);
	a->from = p->id;
	a->dir = dir;
	if (l->given.from != p->id || l->given.rv == RV_UNSURE)
		a->offer.party = p->party; /* somebody else, or who knows: also after a 491 (E-058) */
	l->oa = OA_SENT;
	l->offered = (struct given){p->id, p->rv, p->will, GIVEN_CONNECT};
}

/* Gives l the session of p as the answer it waits for, or as the offer it asked for. */
static void answer(struct core *c, struct leg *l, const struct leg *p)
{
	bool wants_offer = l->oa == OA_RECV_NONE;
	bool initial = is_unanswered(l);
	struct action *a = act_add(c, initial ? ACT_ANSWER : ACT_OFFER_ANSWER, l->id);

	a->from = p->id;
	a->status = 200;
	a->dir = wants_offer ? dir_forced(p->will) : SDP_DIR_AS_IS;
	l->offered = (struct given){p->id, p->rv, p->will, GIVEN_CONNECT};
	l->oa = wants_offer ? OA_GIVEN : OA_IDLE;
	if (!wants_offer) {
		l->given = l->offered;
		l->music_rv = 0;
	}
	if (initial)
		leg_set_state(c, l, LEG_ANSWERED);
}

/* It may be asked something: also if it is only music that waits for its turn. */
static bool is_free(const struct leg *l)
{
	return l->oa == OA_IDLE || (l->oa == OA_GLARE && l->offered.mode == GIVEN_MUSIC);
}

/* l waits for an answer (OA_RECV) or owes one (OA_OWED): p has to see l's offer first. */
static bool serve_offer(struct core *c, struct leg *l, struct leg *p)
{
	struct action *a;

	if (!is_free(p) || p->rv == 0)
		return false;
	if (!has_newest(p, l)) {
		if (p->state != LEG_UP)
			return false;
		offer(c, p, l, SDP_DIR_AS_IS);
		return true;
	}
	if (l->oa == OA_RECV) {
		answer(c, l, p);
		return true;
	}
	a = act_add(c, ACT_ACK, l->id);
	a->from = p->id;
	l->oa = OA_IDLE;
	l->given = (struct given){p->id, p->rv, p->will, GIVEN_CONNECT};
	return true;
}

/* l asked for an offer: p's own session, open as p itself wants it. */
static bool serve_asking(struct core *c, struct leg *l, struct leg *p)
{
	if (p->rv == 0 || (!is_free(p) && p->oa != OA_OWED))
		return false;
	answer(c, l, p);
	return true;
}

/* l is at rest: does it have what it should? */
static bool bring_up_to_date(struct core *c, struct call *k, struct leg *l, struct leg *p)
{
	if (is_unanswered(l)) { /* a reliable 1xx has settled its session: a bare 200 */
		struct action *a = act_add(c, ACT_ANSWER, l->id);

		a->status = 200;
		say_again(l, a);
		leg_set_state(c, l, LEG_ANSWERED);
		return true;
	}
	if (l->state != LEG_UP || p->oa != OA_IDLE || p->rv == 0 || has_newest(l, p) ||
		was_refused(l, &(struct given){p->id, p->rv, p->will, GIVEN_CONNECT}))
		return false;
	if (k->bridge.rounds >= ROUNDS_MAX) {
		l->given = (struct given){p->id, p->rv, p->will, GIVEN_STANDS};
		return true;
	}
	k->bridge.rounds++;
	offer(c, l, p, dir_forced(p->will));
	return true;
}

/* Two callers, each with an offer that waits: each gets the other's as its answer (a phone picks up a
 * call that has not been answered yet). */
static bool answer_both(struct core *c, struct leg *a, struct leg *b)
{
	if (a->oa != OA_RECV || b->oa != OA_RECV || !is_unanswered(a) || !is_unanswered(b))
		return false;
	answer(c, a, b);
	answer(c, b, a);
	return true;
}

static bool reconcile(struct core *c, struct call *k, struct leg *l, struct leg *p)
{
	switch (l->oa) {
	case OA_RECV:
	case OA_OWED:
		return serve_offer(c, l, p);
	case OA_RECV_NONE:
		return serve_asking(c, l, p);
	case OA_IDLE:
		return bring_up_to_date(c, k, l, p);
	default:
		return false; /* under way, or waiting out a glare */
	}
}

/* l is up and hears p, who has not answered: an offer of what p said last, whatever direction that has,
 * since nobody is held before he has answered (E-031). p hears of the answer once it is up itself. */
static bool hear_early(struct core *c, struct call *k, struct leg *l, const struct leg *p)
{
	const struct given early = {p->id, p->rv, DIR_SENDRECV, GIVEN_CONNECT};

	if (l->state != LEG_UP || !is_free(l) || p->rv == 0 || was_refused(l, &early) ||
		(l->given.from == p->id && l->given.rv == p->rv && is_connected(&l->given)))
		return false;
	if (k->bridge.rounds >= ROUNDS_MAX)
		return false;
	k->bridge.rounds++;
	offer(c, l, p, SDP_DIR_SENDRECV);
	l->offered = early;
	return true;
}

/* It was told that nobody listens to it. What only stands it was not told. */
static bool knows_hold(const struct leg *l)
{
	return l->given.mode == GIVEN_HOLD || (l->given.mode != GIVEN_STANDS && dir_holds(l->given.told));
}

/* Held by us: told so with the session it has. The row that holds it says for whom. */
static bool hold(struct core *c, struct leg *l)
{
	struct given held;

	if (l == NULL || l->state != LEG_UP || l->oa != OA_IDLE || l->given.rv == 0 || knows_hold(l))
		return false;
	held = (struct given){l->given.from, l->given.rv, DIR_SENDONLY, GIVEN_HOLD};
	if (was_refused(l, &held))
		return false;
	act_add(c, ACT_OFFER, l->id)->dir = SDP_DIR_SENDONLY;
	l->oa = OA_SENT;
	l->offered = held;
	return true;
}

/* What is being agreed about music, if anything, is no matter of the two. */
static bool at_rest(const struct leg *l)
{
	return l->state == LEG_UP && (l->oa == OA_IDLE || is_about_music(l));
}

static bool agree(const struct leg *a, const struct leg *b)
{
	return at_rest(a) && at_rest(b) &&
	       has_newest(a, b) && has_newest(b, a) && !was_refused(a, &a->given) &&
	       !was_refused(b, &b->given);
}

bool bridge_run(struct core *c, struct call *k)
{
	struct bridge *b = &k->bridge;
	struct leg *x = call_leg(k, b->a), *y = call_leg(k, b->b);

	if (b->state == BRIDGE_HOLD)
		return hold(c, x) || hold(c, y);
	if (b->state == BRIDGE_EARLY)
		return x && y && hear_early(c, k, x, y);
	if (b->held != ID_NONE && hold(c, call_leg(k, b->held)))
		return true;
	if ((b->state != BRIDGE_UNSETTLED && b->state != BRIDGE_SETTLED) || x == NULL || y == NULL)
		return false;
	if (answer_both(c, x, y) || reconcile(c, k, x, y) || reconcile(c, k, y, x))
		return true;
	if (agree(x, y) == (b->state == BRIDGE_SETTLED))
		return false;
	b->state = b->state == BRIDGE_SETTLED ? BRIDGE_UNSETTLED : BRIDGE_SETTLED;
	if (b->state == BRIDGE_SETTLED) {
		b->rounds = 0;
		call_post(k, SETTLED);
	}
	return false;
}
