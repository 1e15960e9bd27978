/*
 * keep: a dialog that is up, as bytes and back, so that the process after this one can go on with the
 * call (E-124). Kept is what RFC 3261 section 12 calls the state of a dialog, the newest session
 * descriptions of both sides, the session timer, and the subscriptions of its REFERs. Transactions are
 * not: whatever was under way is lost, and whoever waits for it asks again.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sip/internal.h"
#include "sip/refer.h"

#define KEEP_VERSION 1u

/* The other side may have seen more of us than was kept: requests and session versions after that. */
#define CSEQ_GAP 100
#define VERSION_GAP 16

struct kept {
	uint32_t version, size; /* of this struct: another layout is refused, not misread */
	leg_id id;
	uint32_t contact, cseq, remote_cseq, invite_cseq;
	uint32_t max_forwards, session_expires, min_se;
	uint8_t side, refresher, peer_timer, peer_update;
	char tag[DIALOG_TAG_MAX], user[USER_MAX], peer[USER_MAX], user_agent[64];
	struct stack_dest next;
};

struct kept_refer {
	uint64_t cmd;
	uint32_t id, asked; /* asked: it waits for its answer */
};

/* ---- writing ------------------------------------------------------------------------------ */

static int grow(struct sip_kept *out, size_t more)
{
	size_t cap = out->cap ? out->cap : 4096;
	unsigned char *p;

	while (cap < out->len + more)
		cap *= 2;
	if (cap == out->cap)
		return 0;
	if ((p = realloc(out->bytes, cap)) == NULL)
		return ENOMEM;
	out->bytes = p;
	out->cap = cap;
	return 0;
}

static int put(struct sip_kept *out, const void *p, size_t n)
{
	uint32_t len = (uint32_t)n;

	if (grow(out, sizeof(len) + n) != 0)
		return ENOMEM;
	memcpy(out->bytes + out->len, &len, sizeof(len));
	if (n > 0)
		memcpy(out->bytes + out->len + sizeof(len), p, n);
	out->len += sizeof(len) + n;
	return 0;
}

static int put_texts(struct sip_kept *out, const struct sip_leg *l)
{
	const struct text *texts[] = {&l->local, &l->remote, &l->given, &l->headers};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (put(out, texts[i]->p, texts[i]->n) != 0)
			return ENOMEM;
	return 0;
}

static int put_refers(struct sip_kept *out, const struct sip_leg *l)
{
	for (const struct refer *r = l->refers; r != NULL; r = r->next) {
		struct kept_refer k = {r->cmd, r->id, r->state == REFER_ASKED};

		if (refer_keeps(r) && put(out, &k, sizeof(k)) != 0)
			return ENOMEM;
	}
	return put(out, NULL, 0);
}

/* Up, or our ACK makes it so in this step; or our BYE is under way, and is to be said again by whoever comes
 * after. */
static bool has_dialog(const struct sip_leg *l)
{
	const struct request *r = l->state == SIDE_ENDING ? l->requests : NULL;

	while (r != NULL && r->method != sip_method_bye)
		r = r->next;
	return r != NULL || l->state == SIDE_UP || l->state == SIDE_LATE;
}

int sip_keep(struct sip *s, leg_id id, struct sip_kept *out)
{
	struct sip_leg *l = sip_leg_find(s, id);
	struct kept k = {.version = KEEP_VERSION, .size = sizeof(k), .id = id};
	size_t was = out->len;

	if (l == NULL || !has_dialog(l) || l->life != LEG_OWNED)
		return ENOENT;
	k.contact = l->contact;
	k.cseq = l->dialog.cseq;
	k.remote_cseq = l->dialog.remote_cseq;
	k.invite_cseq = l->dialog.invite_cseq;
	k.max_forwards = l->max_forwards;
	k.session_expires = l->session_expires;
	k.min_se = l->min_se;
	k.side = (uint8_t)l->side;
	k.refresher = (uint8_t)l->refresher;
	k.peer_timer = (uint8_t)l->peer_timer;
	k.peer_update = (uint8_t)l->peer_update;
	str_set(k.tag, l->dialog.tag);
	str_set(k.user, l->user);
	str_set(k.peer, l->peer);
	str_set(k.user_agent, l->user_agent);
	str_set(k.next.uri, l->dialog.next);
	k.next.listener = l->dialog.next_listener;
	if (put(out, &k, sizeof(k)) == 0 && put_texts(out, l) == 0 && put_refers(out, l) == 0 &&
		dialog_keep(&l->dialog, out, put) == 0)
		return 0;
	out->len = was;
	return ENOMEM;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* The next piece of *in; p NULL at a damaged end. */
static struct slice take(struct slice *in)
{
	struct slice piece = {NULL, 0};
	uint32_t len;

	if (in->n < sizeof(len))
		return piece;
	memcpy(&len, in->p, sizeof(len));
	if (in->n - sizeof(len) < len)
		return piece;
	piece = slice_of(in->p + sizeof(len), len);
	*in = slice_skip(*in, sizeof(len) + len);
	return piece;
}

static int take_texts(struct sip_leg *l, struct slice *in)
{
	struct text *texts[] = {&l->local, &l->remote, &l->given, &l->headers};
	struct slice piece;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		piece = take(in);
		if (piece.p == NULL || (piece.n > 0 && text_set(texts[i], piece.p, piece.n) != 0))
			return EINVAL;
	}
	return 0;
}

static int take_refers(struct sip_leg *l, struct slice *in)
{
	struct kept_refer k;
	struct slice piece;

	for (;;) {
		piece = take(in);
		if (piece.p == NULL)
			return EINVAL;
		if (piece.n == 0)
			return 0;
		if (piece.n != sizeof(k))
			return EINVAL;
		memcpy(&k, piece.p, sizeof(k));
		if (refer_restore(l, k.cmd, k.id, k.asked) != 0)
			return ENOMEM;
	}
}

/* Our o= version goes on above whatever the other side has seen. */
static void raise_version(struct sip_leg *l)
{
	uint64_t version;
	size_t at = offsetof(struct sdp_local, version);

	if (l->local.n < at + sizeof(version))
		return;
	memcpy(&version, l->local.p + at, sizeof(version));
	version += VERSION_GAP;
	memcpy(l->local.p + at, &version, sizeof(version));
}

static void apply(struct sip_leg *l, const struct kept *k)
{
	l->state = SIDE_UP;
	l->first_answer = SDP_SETTLED;
	l->contact = k->contact;
	l->dialog.cseq = k->cseq + CSEQ_GAP;
	l->dialog.remote_cseq = k->remote_cseq;
	l->dialog.invite_cseq = k->invite_cseq;
	l->max_forwards = k->max_forwards;
	l->session_expires = k->session_expires;
	l->min_se = k->min_se;
	l->refresher = (enum sip_refresher)k->refresher;
	l->peer_timer = k->peer_timer;
	l->peer_update = k->peer_update;
	str_set(l->dialog.tag, k->tag);
	str_set(l->user, k->user);
	str_set(l->peer, k->peer);
	str_set(l->user_agent, k->user_agent);
	dialog_set_next(&l->dialog, &k->next);
}

static bool fits(struct slice piece, struct kept *k)
{
	if (piece.p == NULL || piece.n != sizeof(*k))
		return false;
	memcpy(k, piece.p, sizeof(*k));
	k->tag[sizeof(k->tag) - 1] = k->user[sizeof(k->user) - 1] = '\0';
	k->peer[sizeof(k->peer) - 1] = k->user_agent[sizeof(k->user_agent) - 1] = '\0';
	k->next.uri[sizeof(k->next.uri) - 1] = '\0';
	return k->version == KEEP_VERSION && k->size == sizeof(*k) && k->id != ID_NONE &&
	       k->tag[0] != '\0' && k->side <= SIDE_UAC && k->refresher <= REFRESHER_THEM;
}

leg_id sip_restore(struct sip *s, const void *bytes, size_t len, size_t *used)
{
	struct slice in = slice_of(bytes, len);
	struct sip_leg *l;
	struct kept k;

	if (!fits(take(&in), &k) || sip_leg_find(s, k.id) != NULL || sip_leg_by_tag(s, k.tag) != NULL)
		return ID_NONE;
	l = sip_leg_new(s, (enum leg_side)k.side);
	if (l == NULL)
		return ID_NONE;
	apply(l, &k);
	if (take_texts(l, &in) != 0 || take_refers(l, &in) != 0 ||
		dialog_restore(&l->dialog, &in, take) != 0 || sip_leg_bind(l, k.id) != 0) {
		sip_leg_drop(l);
		return ID_NONE;
	}
	*used = len - in.n;
	sip_leg_index(l);
	raise_version(l);
	session_timer_restart(l);
	return k.id;
}

void sip_farewell(struct sip *s, leg_id id, uint16_t status, const char *text)
{
	struct sip_leg *l = sip_leg_find(s, id);

	if (l == NULL || l->state != SIDE_UP)
		return;
	sip_enter(s);
	/* a new call may get the old one's id */
	HASH_DELETE(hh_id, s->by_id, l);
	l->hh_id.tbl = NULL;
	sip_call_put(s, l->call);
	l->call = NULL;
	l->id = ID_NONE;
	l->life = LEG_FREED;
	bye_send(l, status, 0, text);
	sip_leave(s);
}

bool sip_has(struct sip *s, leg_id id)
{
	return sip_leg_find(s, id) != NULL;
}
