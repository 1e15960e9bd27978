/*
 * moh: music on hold from a SIP server, where no media engine plays it (RFC 7088). Whoever is held
 * and should hear music is given the session of a server that we call for him, as if he called it:
 *
 *	held party		segue			music server
 *	     |			  |-- INVITE (his, recvonly) ->|
 *	     |			  |<---- 200 (the server's) ---|
 *	     |<- re-INVITE (the server's, sendonly) -|
 *	     |-- 200 ----------->|
 *
 * A phone that holds may go on sending (a=sendonly), to where the music goes: it is told a=inactive
 * while that plays. The server gets what the party has said last, so it can only choose from his
 * payload types and none is used for another codec in that dialog (section 2.8.1).
 *
 * That leg is no party of the call: nothing about it is on record, no row of the table knows it, and
 * what the two parties have agreed with each other stays as it is noted in `given`. So the next thing
 * that the bridge wants for the held party simply replaces the music, and the server is hung up on as
 * soon as nobody hears it. If it refuses, is silent or leaves, the party stays on hold, and hears
 * nothing.
 */
#include "core/inner.h"

/* A server whose answers change each time, and a phone likewise, are told of each other so often. */
#define ROUNDS_MAX 3

/* It was given the session of a server that has gone since. No session of one server has so many versions. */
#define MUSIC_RV_OLD UINT16_MAX

bool moh_is_played(const struct leg *l)
{
	return l->hears == HEARS_MUSIC || l->hears == HEARS_RINGBACK || l->hears == HEARS_PLACE;
}

static bool is_heard(const struct call *k, const struct leg *l)
{
	bool party = l->role == ROLE_KEPT || l->role == ROLE_OWNER || l->role == ROLE_TARGET;

	return k->state != END && party && l->state == LEG_UP && moh_is_played(l);
}

const char *moh_source(const struct core *c, const struct call *k)
{
	bool uri = strncmp(k->music, "sip:", 4) == 0 || strncmp(k->music, "sips:", 5) == 0;

	return uri ? k->music : c->cfg.music_uri;
}

static struct leg *server_of(const struct call *k, const struct leg *l)
{
	struct leg *m = l->music != ID_NONE ? call_leg(k, l->music) : NULL;

	return m && m->role == ROLE_MUSIC ? m : NULL;
}

/* Its leg is hung up where it is seen that nobody hears it. */
static void set_moh(struct leg *l, enum moh next)
{
	l->moh = (uint8_t)next;
	if (next != MOH_CALLED)
		l->music = ID_NONE;
}

void moh_unplayed(struct core *c, struct call *k, struct leg *l)
{
	const struct leg *m = server_of(k, l);
	const char *uri = moh_source(c, k);

	if (uri[0] == '\0' || !is_heard(k, l))
		return;
	if (l->moh == MOH_NONE || (m && !str_eq(m->party.number, uri)))
		set_moh(l, MOH_WANTED);
}

/* ---- the two sides --------------------------------------------------------------------------- */

static void call_server(struct core *c, struct call *k, struct leg *l)
{
	struct leg *m = leg_add(c, k);
	struct action *a = act_add(c, ACT_DIAL, m->id);

	m->outbound = true;
	m->state = LEG_DIALING;
	m->role = ROLE_MUSIC;
	m->source = SOURCE_PEER;
	m->music = l->id;
	str_set(m->party.number, moh_source(c, k));
	a->dial.dest.kind = DEST_MUSIC;
	str_set(a->dial.dest.number, m->party.number);
	a->from = l->id;
	a->dir = SDP_DIR_RECVONLY;
	m->oa = OA_SENT;
	m->offered = (struct given){l->id, l->rv, DIR_RECVONLY, GIVEN_MUSIC};
	timer_start(c, m->id, TIMER_MUSIC, &m->timer[TIMER_MUSIC], MUSIC_ANSWER_MS);
	l->music = m->id;
	if (l->music_rv != 0)
		l->music_rv = MUSIC_RV_OLD;
	set_moh(l, MOH_CALLED);
}

static void offer(struct core *c, struct leg *to, const struct leg *of, enum dir dir)
{
	struct action *a = act_add(c, ACT_OFFER, to->id);

	a->from = of->id;
	a->dir = dir_forced(dir);
	to->oa = OA_SENT;
	to->offered = (struct given){of->id, of->rv, (uint8_t)dir, GIVEN_MUSIC};
}

/* The phone that holds sends something of its own, which would be heard too. */
static void mute(struct core *c, const struct call *k, const struct leg *l)
{
	struct leg *p = bridge_peer(k, l);

	if (p == NULL || p->state != LEG_UP || p->oa != OA_IDLE || p->music_rv != 0 ||
		p->moh != MOH_NONE || p->given.rv == 0 || p->will != DIR_SENDONLY)
		return;
	act_add(c, ACT_OFFER, p->id)->dir = SDP_DIR_INACTIVE;
	p->oa = OA_SENT;
	p->offered = (struct given){p->given.from, p->given.rv, DIR_INACTIVE, GIVEN_MUSIC};
}

static void bring_in_line(struct core *c, const struct call *k, struct leg *l, struct leg *m)
{
	if (m->oa != OA_IDLE || l->oa != OA_IDLE)
		return;
	if (m->given.rv != l->rv && m->reoffers < ROUNDS_MAX) {
		m->reoffers++;
		offer(c, m, l, DIR_RECVONLY);
	} else if (l->music_rv != m->rv) {
		offer(c, l, m, DIR_SENDONLY);
	} else {
		mute(c, k, l);
	}
}

/* ---- after each step -------------------------------------------------------------------------- */

/* Two people are being brought together: music waits, or goes on. */
static bool is_in_the_way(const struct call *k, const struct leg *l)
{
	return k->bridge.state == BRIDGE_UNSETTLED && bridge_peer(k, l) != NULL;
}

static void sync_heard(struct core *c, struct call *k, struct leg *l)
{
	struct leg *m = server_of(k, l);

	if (l->moh == MOH_CALLED && m == NULL) /* lost with the process, or it does not play */
		set_moh(l, call_leg(k, l->music) == NULL ? MOH_WANTED : MOH_FAILED);
	if (is_in_the_way(k, l))
		return;
	if (l->moh == MOH_WANTED && l->oa == OA_IDLE && l->rv != 0 && moh_source(c, k)[0])
		call_server(c, k, l);
	else if (m && m->state == LEG_UP)
		bring_in_line(c, k, l, m);
}

void moh_sync(struct core *c, struct call *k)
{
	unsigned n = k->nlegs;

	for (unsigned i = 0; i < n; i++) {
		struct leg *l = k->legs[i];

		if (is_heard(k, l))
			sync_heard(c, k, l);
		else if (l->moh != MOH_NONE && l->role != ROLE_MUSIC)
			set_moh(l, MOH_NONE);
	}
	for (unsigned i = 0; i < n; i++) {
		struct leg *m = k->legs[i], *l;

		if (m->role != ROLE_MUSIC)
			continue;
		l = call_leg(k, m->music);
		if (l == NULL || l->music != m->id)
			leg_drop(c, k, m, 0, "", "");
	}
}

void moh_leave(struct core *c, struct call *k)
{
	for (unsigned i = 0; i < k->nlegs; i++) {
		struct leg *l = k->legs[i];

		if (l->role == ROLE_MUSIC)
			leg_drop(c, k, l, 0, "", "");
		else if (l->moh == MOH_CALLED)
			set_moh(l, MOH_WANTED);
	}
}

/* ---- answers ---------------------------------------------------------------------------------- */

/* The party changed its session with its answer: the server is to know now, others when the music is
 * over. */
static void note_change(struct leg *l, struct leg *m)
{
	l->unsaid++;
	if (m)
		m->given.rv = 0;
}

/* Plain hold for who is held; and who holds is not asked again. */
static void party_refused(struct leg *l)
{
	if (l->moh == MOH_NONE)
		l->music_rv = l->offered.rv;
	else if (l->offered.from == l->music)
		set_moh(l, MOH_FAILED);
}

static void party_answered(struct call *k, struct leg *l, const struct ev_offer *e)
{
	l->refused = (struct given){0};
	if (e->sdp.what == SDP_ANSWER && !e->sdp.same)
		note_change(l, server_of(k, l)); /* a refusal of every stream is its newest session, too */
	if (e->sdp.what == SDP_ANSWER && !e->sdp.usable) {
		party_refused(l);
		if (l->music_rv == 0)
			l->music_rv = MUSIC_RV_OLD; /* it has the server's session, if without a stream */
		return;
	}
	l->music_rv = l->moh == MOH_NONE || l->offered.from == l->music ? l->offered.rv : MUSIC_RV_OLD;
	l->image = e->sdp.image;
}

static void server_answered(struct core *c, struct call *k, struct leg *m, const struct ev_offer *e)
{
	m->given = m->offered;
	if (e->sdp.what == SDP_ANSWER && !e->sdp.usable)
		leg_drop(c, k, m, 0, "", "");
	else if (e->sdp.what == SDP_ANSWER && (m->rv == 0 || !e->sdp.same))
		m->rv = ++m->rv_top;
}

bool moh_done(struct core *c, struct call *k, struct leg *l)
{
	const struct ev_offer *e = &c->ev->offer;
	bool good = e->status >= 200 && e->status < 300;

	if (l->role != ROLE_MUSIC && (l->oa != OA_SENT || l->offered.mode != GIVEN_MUSIC))
		return false;
	l->oa = OA_IDLE;
	if (e->status == 491)
		bridge_glare(c, l);
	else if (l->role == ROLE_MUSIC && good)
		server_answered(c, k, l, e);
	else if (l->role == ROLE_MUSIC)
		leg_drop(c, k, l, 0, "", "");
	else if (good)
		party_answered(k, l, e);
	else
		party_refused(l);
	return true;
}

const char *moh_check(const struct call *k)
{
	for (unsigned i = 0; i < k->nlegs; i++) {
		const struct leg *l = k->legs[i];
		const struct leg *other = l->music != ID_NONE ? call_leg(k, l->music) : NULL;

		if (l->role == ROLE_MUSIC && (other == NULL || other->music != l->id))
			return "music that nobody hears";
		if (l->role == ROLE_MUSIC && (l->state == LEG_UP) != (l->timer[TIMER_MUSIC] == 0))
			return "music server and its guard disagree";
		if (l->role == ROLE_MUSIC && l->seg != NO_SEG)
			return "music is on record as a party";
		if (l->role != ROLE_MUSIC && l->moh == MOH_CALLED && other == NULL)
			return "a music server that is gone";
	}
	return NULL;
}
