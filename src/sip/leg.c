/* leg: what sip/ keeps of one dialog that the core knows; its life, its events, its SDP texts. */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sofia-sip/sip_header.h>

#include "sip/internal.h"

ENUM_DEFINE(sip_leg_state, SIP_LEG_STATE_LIST)
ENUM_DEFINE(sip_oa, SIP_OA_LIST)
ENUM_DEFINE(sip_refresher, SIP_REFRESHER_LIST)
ENUM_DEFINE(sip_queued, SIP_QUEUED_LIST)

/* ---- text -------------------------------------------------------------------------------- */

/* ---- life -------------------------------------------------------------------------------- */

struct sip_leg *sip_leg_new(struct sip *s, enum leg_side side)
{
	struct sip_leg *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->sip = s;
	l->side = side;
	l->state = side == SIDE_UAS ? SIDE_INCOMING : SIDE_CALLING;
	l->min_se = s->cfg.min_se_s;
	dialog_make_tag(&l->dialog, sip_random(s));
	return l;
}

void sip_leg_index(struct sip_leg *l)
{
	HASH_ADD(hh_tag, l->sip->by_tag, dialog.tag, strlen(l->dialog.tag), l);
}

int sip_leg_bind(struct sip_leg *l, leg_id id)
{
	l->id = id;
	l->call = sip_call_get(l->sip, id_call(id));
	if (l->call == NULL)
		return ENOMEM;
	HASH_ADD(hh_id, l->sip->by_id, id, sizeof(l->id), l);
	return 0;
}

struct sip_leg *sip_leg_find(struct sip *s, leg_id id)
{
	struct sip_leg *l;

	HASH_FIND(hh_id, s->by_id, &id, sizeof(id), l);
	return l;
}

struct sip_leg *sip_leg_by_tag(struct sip *s, const char *tag)
{
	struct sip_leg *l;

	HASH_FIND(hh_tag, s->by_tag, tag, strlen(tag), l);
	return l;
}

/* What the rewriter remembers of a leg is mostly room for m-lines that never come: kept without. */
static void local_get(const struct sip_leg *l, struct sdp_local *me)
{
	memset(me, 0, sizeof(*me));
	memcpy(me, l->local.p, l->local.n);
}

static int local_put(struct sip_leg *l, const struct sdp_local *me)
{
	return text_set(&l->local, (const char *)me,
		offsetof(struct sdp_local, slot) + me->nslots * sizeof(me->slot[0]));
}

int sip_leg_set_local(struct sip_leg *l, const struct stack_dest *d)
{
	const char *proto, *hostport = stack_local(l->sip->stack, d, &proto);
	char host[STACK_HOST_MAX];
	const char *colon;
	struct sdp_local me;
	int err = dialog_set_contact(&l->dialog, l->sip->stack, d);

	if (err != 0)
		return err;
	colon = strrchr(hostport, ':');
	if (hostport[0] == '[')
		str_copy_n(host, sizeof(host), hostport + 1, (size_t)(colon - hostport) - 2);
	else
		str_copy_n(host, sizeof(host), hostport, (size_t)(colon - hostport));
	sdp_local_init(&me, sip_random(l->sip), host);
	return local_put(l, &me);
}

void sip_leg_take_flow(struct sip_leg *l, struct stack_server *t)
{
	struct stack_addr from;
	char source[SOURCE_MAX];
	struct stack_dest flow;

	if (l->user[0] == '\0' || l->dialog.next == NULL)
		return;
	stack_server_source(l->sip->stack, t, &from);
	source_print(&from, source, sizeof(source));
	if (source_parse(source, &flow))
		dialog_set_next(&l->dialog, &flow);
}

static void leg_unindex(struct sip_leg *l)
{
	struct sip *s = l->sip;

	if (l->hh_id.tbl != NULL) {
		HASH_DELETE(hh_id, s->by_id, l);
		l->hh_id.tbl = NULL;
	}
	if (l->hh_tag.tbl != NULL) {
		HASH_DELETE(hh_tag, s->by_tag, l);
		l->hh_tag.tbl = NULL;
	}
	if (l->hh_handle.tbl != NULL) {
		HASH_DELETE(hh_handle, s->by_handle, l);
		l->hh_handle.tbl = NULL;
	}
}

void sip_leg_drop(struct sip_leg *l)
{
	leg_unindex(l);
	session_timer_stop(l);
	if (l->failover != NULL)
		su_timer_destroy(l->failover);
	progress_stop(l);
	digits_abandon(l);
	while (l->requests != NULL)
		request_forget(l->requests);
	offer_abandon(l);
	info_abandon(l);
	refer_abandon(l);
	refer_pass_abandon(l);
	if (l->invite != NULL)
		stack_server_bind(l->invite, NULL), stack_server_release(l->invite);
	text_clear(&l->local);
	text_clear(&l->remote);
	text_clear(&l->remote_was);
	text_clear(&l->given);
	text_clear(&l->given_was);
	text_clear(&l->headers);
	text_clear(&l->connected);
	text_clear(&l->queued_sdp);
	free(l->rseq);
	if (l->call != NULL)
		sip_call_put(l->sip, l->call);
	dialog_done(&l->dialog);
	free(l);
}

void sip_leg_bury(struct sip *s)
{
	while (s->dead != NULL) {
		struct sip_leg *l = s->dead;

		s->dead = l->next_dead;
		sip_leg_drop(l);
	}
}

/* Unreachable from now on; memory goes at the end of the turn. */
static void leg_die(struct sip_leg *l)
{
	if (l->life == LEG_DEAD)
		return;
	l->life = LEG_DEAD;
	leg_unindex(l);
	named_remember(l);
	l->next_dead = l->sip->dead;
	l->sip->dead = l;
}

void sip_leg_release(struct sip_leg *l)
{
	static const struct action nothing;

	if (l->life != LEG_OWNED)
		return;
	l->life = LEG_FREED;
	if (l->state == SIDE_OVER)
		leg_die(l);
	else if (l->state == SIDE_ENDING)
		sip_leg_check(l);
	else
		bye_hangup(l, &nothing);
}

void sip_leg_check(struct sip_leg *l)
{
	if (l->state != SIDE_ENDING || l->requests != NULL || l->invite != NULL ||
		l->reinvite != NULL)
		return;
	l->state = SIDE_OVER;
	if (l->life == LEG_FREED)
		leg_die(l);
	else
		sip_emit_simple(l, EV_CLOSED, 0, NULL); /* its step may free the leg */
}

void sip_leg_end(struct sip_leg *l)
{
	if (l->state == SIDE_OVER)
		return;
	l->state = SIDE_ENDING;
	l->queued = QUEUED_NOTHING;
	session_timer_stop(l);
	offer_abandon(l);
	info_abandon(l);
	refer_leg_ends(l);
	sip_leg_check(l);
}

void sip_leg_gone(struct sip_leg *l, uint16_t status, const char *text)
{
	if (l->state == SIDE_ENDING || l->state == SIDE_OVER)
		return;
	l->state = SIDE_ENDING;
	sip_emit_simple(l, EV_GONE, status, text);
	sip_leg_end(l);
}

/* ---- events ------------------------------------------------------------------------------ */

void sip_emit(struct sip_leg *l, struct event *ev)
{
	if (l->id == ID_NONE || l->life != LEG_OWNED)
		return;
	ev->leg = l->id;
	ev->call = id_call(l->id);
	l->sip->hooks.emit(l->sip->hooks.arg, ev);
}

void sip_emit_simple(struct sip_leg *l, enum ev type, uint16_t status, const char *text)
{
	struct event ev = {.type = type};

	if (type == EV_OA_DONE)
		ev.offer.status = status;
	else
		ev.reject.status = status, str_set(ev.reject.text, text);
	sip_emit(l, &ev);
}

/* ---- session descriptions ---------------------------------------------------------------- */

int sip_leg_sdp_of(const sip_t *sip, struct slice *sdp)
{
	const sip_content_type_t *c = sip->sip_content_type;
	char type[512];

	if (sip->sip_payload == NULL || sip->sip_payload->pl_len == 0)
		return 0;
	type[0] = '\0';
	if (c != NULL && sip_header_field_e(type, sizeof(type), (sip_header_t *)c, 0) >=
				 (issize_t)sizeof(type))
		return 0;
	return sdp_in_body(type, sip->sip_payload->pl_data, sip->sip_payload->pl_len, sdp);
}

void sip_leg_take_sdp(
	struct sip_leg *l, const sip_t *sip, enum sdp_what what, struct sdp_note *note)
{
	struct slice sdp;

	memset(note, 0, sizeof(*note));
	note->what = SDP_NONE;
	if (!sip_leg_sdp_of(sip, &sdp))
		return;
	sdp_take_note(what, sdp.p, sdp.n, l->remote.p, l->remote.n, note);
	if (note->what == SDP_BAD || note->what == SDP_NONE)
		return;
	if (what == SDP_ANSWER && note->usable && l->given.n > 0)
		note->usable = sdp_answers(sdp, (struct slice){l->given.p, l->given.n});
	if (what == SDP_OFFER)
		text_move(&l->remote_was, &l->remote);
	if (text_set(&l->remote, sdp.p, sdp.n) != 0)
		note->what = SDP_BAD;
}

void sip_leg_rollback(struct sip_leg *l)
{
	if (l->oa == OA_RECEIVED)
		text_move(&l->remote, &l->remote_was);
	else if (l->given_was.p != NULL)
		text_move(&l->given, &l->given_was);
}

void sip_leg_commit(struct sip_leg *l)
{
	text_clear(&l->remote_was);
	text_clear(&l->given_was);
}

const char *sip_leg_make_sdp(
	struct sip_leg *l, enum sdp_role role, leg_id from, enum sdp_dir dir, size_t *len)
{
	static char body[SDP_MAX];
	struct sip_leg *f = from != ID_NONE ? sip_leg_find(l->sip, from) : NULL;
	const struct text *source = f != NULL && f->remote.n > 0 ? &f->remote : &l->given;
	struct sdp_job job = {.role = role, .dir = dir};
	struct sdp_local me;
	enum sdp_error err;

	job.source = l->sip->instead;
	if (job.source.n == 0)
		job.source = (struct slice){source->p, source->n};
	if (job.source.n == 0)
		return NULL;
	job.last = (struct slice){l->given.p, l->given.n};
	if (role == SDP_ROLE_ANSWER)
		job.offer = (struct slice){l->remote.p, l->remote.n};
	local_get(l, &me);
	err = sdp_rewrite(&me, &job, body, sizeof(body), len);
	if (err != SDP_OK)
		log_kv(LOG_LEVEL_NOTICE, (struct log_ref){l->id}, "sdp_rewrite", "role",
			sdp_role_name(role), "why", sdp_error_name(err), NULL);
	if (err != SDP_OK && err != SDP_MISMATCH)
		return NULL;
	if (local_put(l, &me) != 0)
		return NULL;
	if (role == SDP_ROLE_OFFER)
		text_move(&l->given_was, &l->given);
	return text_set(&l->given, body, *len) == 0 ? body : NULL;
}
