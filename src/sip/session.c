/* session: descriptions as seen from outside: what an action would pass on, and the way for a text
 * that a media relay has put itself into. */
#include "config.h"

#include <string.h>

#include "sip/internal.h"

/* What the description would be for the leg. False: now, or ever, the action carries none. */
static bool role_of(const struct sip_leg *l, const struct action *a, enum sdp_role *role)
{
	*role = SDP_ROLE_ANSWER;
	switch (a->type) {
	case ACT_PROGRESS:
		return a->from != ID_NONE && l->state == SIDE_INCOMING &&
		       l->first_offer == INVITE_OFFERS;
	case ACT_ANSWER:
		if (l->first_offer != INVITE_OFFERS)
			*role = SDP_ROLE_OFFER;
		return a->from != ID_NONE && l->state == SIDE_INCOMING;
	case ACT_ACK:
		return l->state == SIDE_LATE;
	case ACT_OFFER:
		*role = SDP_ROLE_OFFER;
		return a->from != ID_NONE;
	case ACT_OFFER_ANSWER:
		if (l->oa == OA_WANTED)
			*role = SDP_ROLE_OFFER;
		return l->oa == OA_RECEIVED || (l->oa == OA_WANTED && a->from != ID_NONE);
	default:
		return false;
	}
}

static bool asks(const struct sip *s, const char *peer)
{
	const struct sip_peer *p = peer_by_name(s, peer);

	return p != NULL && p->anchor_media;
}

static void note_proto(const struct sip_leg *l, struct sip_source *out)
{
	struct sdp sdp;

	if (l->remote.n == 0 || sdp_scan(l->remote.p, l->remote.n, &sdp) != SDP_OK)
		return;
	for (unsigned i = 0; i < sdp.n; i++)
		if (sdp.stream[i].active) {
			str_copy_n(out->proto, sizeof(out->proto), sdp.stream[i].proto.p,
				sdp.stream[i].proto.n);
			return;
		}
}

bool sip_source(struct sip *s, const struct action *a, struct sip_source *out)
{
	const struct sip_leg *l = sip_leg_find(s, a->leg), *from = sip_leg_find(s, a->from);
	const struct sip_leg *says = from;

	*out = (struct sip_source){.role = SDP_ROLE_OFFER};
	if (a->type == ACT_DIAL && a->from == ID_MUSIC)
		return true; /* an offer of ours, to a leg that is not there yet */
	if (a->type == ACT_DIAL) {
		out->anchor = asks(s, a->dial.dest.peer);
	} else {
		if (l == NULL || !role_of(l, a, &out->role))
			return false;
		if (a->from == ID_NONE || a->from == ID_MUSIC)
			says = l;
		out->anchor = asks(s, l->peer);
		note_proto(l, out);
	}
	if (says == NULL || (says->remote.n == 0 && a->from != ID_MUSIC))
		return false;
	out->anchor = out->anchor || asks(s, says->peer);
	out->sdp = says->remote.p;
	out->len = says->remote.n;
	return true;
}

void sip_act_with(struct sip *s, const struct action *a, const char *sdp, size_t len)
{
	s->instead = (struct slice){sdp, len};
	sip_act(s, a);
	s->instead = (struct slice){NULL, 0};
}

const char *sip_remote(struct sip *s, leg_id leg, size_t *len)
{
	const struct sip_leg *l = sip_leg_find(s, leg);

	*len = l != NULL ? l->remote.n : 0;
	return l != NULL ? l->remote.p : NULL;
}
