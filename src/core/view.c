/*
 * view: what can be seen of a call from outside: for the control socket, the panel, and tests.
 */
#include "core/inner.h"

#include <string.h>

unsigned core_call_count(const struct core *c)
{
	return c->live;
}

call_id core_next_call(const struct core *c, call_id after)
{
	uint32_t i = after == ID_NONE ? 0 : id_slot(after) + 1;

	for (; i < c->nslots; i++)
		if (c->slots[i].call)
			return c->slots[i].call->id;
	return ID_NONE;
}

/* The reasons of panel.md: why the Transfer button is off. */
static const char *why_not(const struct call *k)
{
	switch ((enum call_state)k->state) {
	case SETUP:
	case ANSWERING:
		return "not_answered";
	case TALK:
	case RESUME:
	case BACK:
	case ALONE:
		return NULL;
	case END:
		return "ended";
	default:
		return "transfer_running";
	}
}

static void view_leg(const struct leg *l, struct leg_view *v)
{
	v->id = l->id;
	v->state = leg_state_name(l->state);
	v->role = role_name(l->role);
	v->oa = oa_name(l->oa);
	v->outbound = l->outbound;
	str_set(v->user, l->user);
	str_set(v->peer, l->peer);
	v->party = l->party;
	v->since = l->since;
}

static void view_with(const struct call *k, struct call_view *v)
{
	struct leg *l = call_role(k, ROLE_OWNER);

	if (l && l->id == k->customer)
		l = call_role(k, ROLE_KEPT);
	if (l == NULL)
		return;
	str_set(v->with, l->user[0] ? l->user : l->party.number);
	if (l->seg != NO_SEG)
		v->interval = interval_name(k->segs[l->seg].state);
}

bool core_view(const struct core *c, call_id id, struct call_view *v)
{
	const struct call *k = call_find(c, id);

	if (k == NULL)
		return false;
	memset(v, 0, sizeof(*v));
	v->id = k->id;
	v->conv = k->conv;
	v->xfer = k->xfer.id;
	v->state = call_state_name(k->state);
	v->kind = call_kind_name(k->kind);
	str_set(v->customer_number, k->kind == CALL_OUTBOUND ? k->dialled : k->from.number);
	if (k->kind != CALL_OUTBOUND)
		str_set(v->customer_name, k->from.name);
	v->interval = interval_name(k->acc_state);
	view_with(k, v);
	if (!uuid_is_nil(&k->xfer.id))
		str_set(v->target, k->xfer.target.name[0] ? k->xfer.target.name : k->xfer.target.number);
	v->started = k->mono0;
	v->since = k->since;
	v->can_transfer = table_admits((enum call_state)k->state);
	v->can_cancel = table_allows((enum call_state)k->state, XFER_CANCEL);
	v->can_hangup = k->state != END;
	v->can_complete = table_allows((enum call_state)k->state, COMPLETE_REQ);
	v->can_swap = table_allows((enum call_state)k->state, SWAP_REQ);
	v->can_hold = table_allows((enum call_state)k->state, HOLD_REQ) &&
		      k->bridge.state != BRIDGE_HOLD;
	v->can_unhold = table_allows((enum call_state)k->state, UNHOLD_REQ) &&
			k->bridge.state == BRIDGE_HOLD;
	v->can_resume = table_allows((enum call_state)k->state, XFER_RESUME);
	v->why_not = why_not(k);
	for (unsigned i = 0; i < k->nlegs && i < VIEW_LEGS_MAX; i++)
		view_leg(k->legs[i], &v->legs[v->nlegs++]);
	return true;
}
