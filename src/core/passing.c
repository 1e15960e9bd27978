/*
 * passing: a REFER that is not carried out here but passed on to the other side of the call, where a
 * peer's profile wants that (refer_mode = "transparent"; R-056). What we accepted is our promise: if
 * the other side knows no REFER, we do it ourselves (RFC 5589 section 7.4), and if its call fails,
 * the transferor has the caller back. Where the call goes then, we do not see (records.md, 6).
 */
#include "core/consult.h"
#include "core/verbs.h"

bool passing_transparent(const struct core *c, const struct leg *l)
{
	const struct peer_policy *p =
		l->source == SOURCE_PEER ? target_peer_policy(c, l->peer) : NULL;

	return p && p->refer == REFER_TRANSPARENT;
}

/* Never back to where it came from (E-070), and nothing that only we can reach: a phone of ours that
 * is to be replaced stands behind us. */
static bool leads_there(struct core *c, const struct leg *l, const struct leg *other)
{
	const struct ev_transfer *e = &c->ev->transfer;
	struct call *k = e->replaces ? call_of(c, e->replaces) : NULL;
	const struct leg *p = k ? consult_other_side(k, call_leg(k, e->replaces)) : NULL;

	if (l->peer[0] && str_eq(l->peer, other->peer))
		return false;
	if (l->id != c->ev->leg)
		return false; /* it came in the other one of two dialogs (E-093) */
	if (e->replaces == ID_NONE)
		return true;
	return p && p->state == LEG_UP && p->peer[0] && str_eq(p->peer, other->peer);
}

bool passing_wanted(struct core *c, const struct leg *l, const struct leg *other)
{
	if (c->ev->transfer.origin != ORIGIN_REFER || other->state != LEG_UP ||
		other->referred)
		return false;
	return (passing_transparent(c, l) || passing_transparent(c, other)) && leads_there(c, l, other);
}

/* Where to, as the other side can reach it. */
static void choose_target(struct core *c, const struct call *k, struct act_refer *r)
{
	const struct xfer *x = &k->xfer;
	struct call *met = x->replaces ? call_of(c, x->replaces) : NULL;
	const struct leg *p = met ? consult_other_side(met, call_leg(met, x->replaces)) : NULL;

	if (p) {
		r->to = REFER_TO_LEG;
		r->replaces = p->id;
	} else if (x->target.peer[0]) {
		r->to = REFER_TO_PEER;
		str_set(r->peer, x->target.peer);
		str_set(r->number, x->target.dial);
	} else if (x->target.kind == TARGET_NONE) {
		r->to = REFER_TO_AS_WRITTEN;
	} else {
		r->to = REFER_TO_US;
		str_set(r->number, x->target.number);
	}
}

void passing_on(struct core *c, struct call *k)
{
	struct leg *l = call_role(k, ROLE_KEPT);
	struct action *a;

	if (l == NULL)
		return;
	l->referred = k->xfer.cmd;
	k->xfer.passed = PASSED_SENT;
	k->xfer.passed_to = l->id;
	a = act_add(c, ACT_REFER, l->id);
	a->cmd = k->xfer.cmd;
	choose_target(c, k, &a->refer);
}

/* ---- what comes of it ------------------------------------------------------------------------ */

/* RFC 5589 section 7.4: it does not know the method, or an extension of it. */
static bool is_unable(uint16_t status)
{
	return status == 405 || status == 501 || status == 420;
}

static enum word word_of(const struct core *c)
{
	const struct ev_referred *e = &c->ev->referred;

	if (c->ev->type == EV_REFERRED && e->status < 300)
		return R_TAKEN;
	if (c->ev->type == EV_REFERRED)
		return is_unable(e->status) ? R_UNABLE : R_FAILED;
	if (e->status >= 300)
		return R_FAILED;
	if (e->status >= 200)
		return R_DONE;
	if (e->final)
		return R_FAILED; /* ended without having said how */
	return e->status > 100 ? R_PROGRESS : R_TAKEN; /* 100 says no more than the 202 did */
}

void passing_event(struct core *c, struct call *k, struct leg *l)
{
	const struct ev_referred *e = &c->ev->referred;
	enum word w = word_of(c);

	if (c->ev->type == EV_REFERRED && l->referred == e->cmd)
		l->referred = 0;
	if ((k->state != PASSED && k->state != PASSED_ALONE) || e->cmd != k->xfer.cmd ||
		l->id != k->xfer.passed_to)
		return;
	if (c->ev->type == EV_REFER_NOTIFY)
		k->xfer.passed = PASSED_TOLD;
	else if (w == R_TAKEN && k->xfer.passed == PASSED_SENT)
		k->xfer.passed = PASSED_TAKEN;
	if (w == R_FAILED)
		k->status = e->status >= 300 ? e->status : 480;
	call_post(k, w);
}

bool passing_is_silent(const struct call *k, const struct leg *l)
{
	return (k->state == PASSED || k->state == PASSED_ALONE) && k->xfer.passed_to == l->id &&
	       k->xfer.passed == PASSED_TAKEN;
}

/* It is ours after all. The dialog that it names may have ended meanwhile. */
void passing_back(struct core *c, struct call *k)
{
	struct xfer *x = &k->xfer;
	struct call *met = x->replaces ? call_of(c, x->replaces) : NULL;
	struct leg *m = met ? call_leg(met, x->replaces) : NULL;

	x->passed_to = ID_NONE;
	if (x->replaces == ID_NONE) {
		call_post(k, XFER_OK);
	} else if (m == NULL || consult_other_side(met, m) == NULL) {
		k->status = 603; /* as in consult_meet() */
		call_post(k, MEET_NONE);
	} else {
		k->meet = m->id;
		call_post(k, MEET_UP);
	}
}

void passing_close_released(struct core *c, struct call *k)
{
	uuid seg;

	segment_released(c, k, &k->xfer.target, &seg);
	xfer_close_completed(c, k, &seg);
	str_set(k->ended_by, "transfer");
}
