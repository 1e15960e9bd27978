/*
 * policy: who may move which call where. Default deny: a transfer is admitted only if its sender
 * is a party of the call with the right to, and the target is one that it may reach.
 */
#include "core/inner.h"

#include <errno.h>

#define ALLOW ((struct verdict){0, NULL, NULL})

static struct verdict deny(uint16_t status, const char *cause, const char *text)
{
	return (struct verdict){status, cause, text};
}

/* The sender: trunk-side REFER is refused unless its peer may (E-070). */
static struct verdict may_ask(struct core *c, const struct leg *transferor, const struct ev_transfer *e)
{
	struct dir_user *u = transferor ? directory_user(c, transferor->user) : NULL;

	if (e->origin == ORIGIN_REFER && !e->may_refer)
		return deny(603, "not_permitted", "REFER is not allowed from here");
	if (u && !u->row.may_transfer)
		return deny(603, "not_permitted", "This user may not transfer calls");
	return ALLOW;
}

static struct verdict may_reach(struct core *c, const struct ev_transfer *e, struct target *t)
{
	if (str_empty(e->number))
		return deny(404, "invalid_target", "The target has no user part"); /* E-063 */
	if (!e->own_host && !c->cfg.refer_foreign)
		return deny(403, "not_permitted", "The target is in a foreign domain"); /* E-064 */
	switch (target_resolve(c, e->number, DIALPLAN_USERS, t)) {
	case 0:
		break;
	case EACCES:
		return deny(403, "not_permitted", "The dial plan refuses this number");
	default:
		return deny(404, "invalid_target", "Nobody has this number");
	}
	if (!t->may_transfer)
		return deny(403, "not_permitted", "Calls may not be transferred to this number");
	return ALLOW;
}

/* E-071: a call moves to somebody new, or not at all. */
static struct verdict is_new_party(const struct leg *transferor, const struct leg *kept,
	const struct target *t)
{
	if (transferor && t->kind == TARGET_USER && str_eq(t->name, transferor->user))
		return deny(403, "self", "The target is who transfers");
	if (t->kind == TARGET_USER && str_eq(t->name, kept->user))
		return deny(403, "already_party", "The target is on this call already");
	if (t->kind != TARGET_USER && (str_eq(t->number, kept->party.number) ||
					      str_eq(t->dial, kept->party.number)))
		return deny(403, "already_party", "The target is on this call already");
	return ALLOW;
}

/* Judges the EV_TRANSFER of the step; transferor NULL: it has left. On ALLOW *t is who is to be rung. */
struct verdict policy_transfer(struct core *c, struct call *k, const struct leg *transferor,
	const struct leg *kept, struct target *t)
{
	const struct ev_transfer *e = &c->ev->transfer;
	struct verdict v = may_ask(c, transferor, e);

	if (v.status == 0)
		v = may_reach(c, e, t);
	if (v.status == 0)
		v = is_new_party(transferor, kept, t);
	if (v.status == 0 && ((transferor && transferor->image) || kept->image))
		v = deny(488, "media_busy", "A fax is being sent on this call"); /* E-053 */
	return v;
}

enum cause cause_of(uint16_t status)
{
	switch (status) {
	case 0:
		return CAUSE_NONE;
	case 486:
	case 600:
		return CAUSE_BUSY;
	case 408:
		return CAUSE_NO_ANSWER;
	case 487:
		return CAUSE_CANCELLED;
	case 603:
	case 403:
		return CAUSE_DECLINED;
	case 404:
	case 410:
	case 484:
	case 604:
		return CAUSE_INVALID_TARGET;
	case 401:
	case 407:
		return CAUSE_AUTH;
	case 415:
	case 488:
	case 606:
		return CAUSE_MEDIA;
	case 482:
	case 483:
		return CAUSE_LOOP;
	case 500:
		return CAUSE_INTERNAL;
	default:
		return CAUSE_UNREACHABLE;
	}
}

/* The ledger's word for it. */
const char *cause_of_status(uint16_t status)
{
	return cause_name((int)cause_of(status));
}
