/*
 * chain: who is asked next for a caller whose transfer failed and whose transferor has left. The
 * steps are tried in order, each at most once; a step that leads to nobody is passed over. Every
 * step is a row of its own in the ledger, linked to the one before.
 */
#include "core/verbs.h"

#include <string.h>

/* Fills t with whom this step rings. False: there is nobody, or it is the kept party itself. */
static bool fallback_usable(struct core *c, const struct call *k, const struct fallback *f,
	struct target *t)
{
	const struct leg *l = call_role(k, ROLE_KEPT);

	switch (f->kind) {
	case FALLBACK_RECALL:
		return target_user(c, k->xfer.recall_user, t);
	case FALLBACK_USER:
		return target_user(c, f->target, t) && !(l && str_eq(l->user, t->name));
	case FALLBACK_ANNOUNCE:
		return target_resolve(c, f->target, DIALPLAN_USERS, t) == 0;
	default:
		return true;
	}
}

/* Says which step of the chain is next. A step that cannot be taken (no such user, nobody to
 * recall) is passed over. */
void chain_next_step(struct core *c, struct call *k)
{
	static const uint8_t word_of[] = {[FALLBACK_RECALL] = FB_RECALL, [FALLBACK_USER] = FB_USER,
		[FALLBACK_ANNOUNCE] = FB_ANNOUNCE};

	if (k->xfer.step != STEP_RECALL && k->status)
		k->xfer.status = k->status;
	while (k->xfer.next_fallback < c->cfg.nfallback) {
		const struct fallback *f = &c->cfg.fallback[k->xfer.next_fallback++];

		if (!fallback_usable(c, k, f, &k->target))
			continue;
		if (f->kind == FALLBACK_HANGUP)
			break;
		call_post(k, (enum word)word_of[f->kind]);
		return;
	}
	str_set(k->ended_by, "system");
	call_post(k, FB_END);
}

/* A recall after the transfer's row was closed as failed is a transfer of its own, by the system;
 * before that it is how this one ends: recalled. */
void chain_open_recall(struct core *c, struct call *k)
{
	struct xfer *x = &k->xfer;

	x->step = STEP_RECALL;
	x->target = k->target;
	if (!uuid_is_nil(&x->id))
		return;
	x->origin = ORIGIN_SYSTEM;
	xfer_open_row(c, k);
}

void chain_fall_back(struct core *c, struct call *k)
{
	struct xfer *x = &k->xfer;
	bool announce = k->word == FB_ANNOUNCE;
	const char *what = announce ? "announcement" : "user";
	struct fact *f = NULL;
	unsigned closed;

	closed = c->out->nfacts;
	if (!uuid_is_nil(&x->id)) {
		xfer_close_row(c, k, "fell_back", what, NULL);
		xfer_timeline(c, k, "transfer_fell_back", "to", target_word(&k->target));
	}
	x->target = k->target;
	x->step = announce ? STEP_ANNOUNCE : STEP_USER;
	x->origin = ORIGIN_SYSTEM;
	xfer_open_row(c, k);
	if (closed < c->out->nfacts)
		f = &c->out->facts[closed];
	if (f && f->type == FACT_TRANSFER_CLOSED)
		f->transfer_closed.next = x->id;
}
