/*
 * policy: who may move which call where. Default deny: a transfer is admitted only if its sender
 * is a party of the call with the right to, and the target is one that it may reach.
 */
#include "core/acd.h"
#include "core/presence.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* May this party ask for transfers at all? */
struct verdict policy_ask(struct core *c, const struct leg *transferor)
{
	return may_ask(c, transferor, &c->ev->transfer);
}

/* A number that means something on the other side only: this peer's REFERs go there as they are. */
static struct verdict elsewhere(const struct ev_transfer *e, struct target *t)
{
	*t = (struct target){.kind = TARGET_NONE, .may_transfer = true};
	str_set(t->number, e->number);
	return ALLOW;
}

static struct verdict may_reach(struct core *c, const struct leg *transferor,
	const struct ev_transfer *e, struct target *t)
{
	bool passes = e->origin == ORIGIN_REFER && transferor && passing_transparent(c, transferor);

	if (str_empty(e->number))
		return deny(404, "invalid_target", "The target has no user part"); /* E-063 */
	if (!e->own_host && passes)
		return elsewhere(e, t);
	if (!e->own_host && !c->cfg.refer_foreign)
		return deny(403, "not_permitted", "The target is in a foreign domain"); /* E-064 */
	switch (target_resolve(c, e->number, DIALPLAN_USERS, t)) {
	case 0:
		break;
	case EACCES:
		return deny(403, "not_permitted", "The dial plan refuses this number");
	default:
		return passes ? elsewhere(e, t)
			      : deny(404, "invalid_target", "Nobody has this number");
	}
	if (!t->may_transfer)
		return deny(403, "not_permitted", "Calls may not be transferred to this number");
	return ALLOW;
}

/* ---- outside numbers ------------------------------------------------------------------------- */

/* Is name one of the names in a list with commas? */
static bool is_listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
			return true;
	return false;
}

const char *policy_denied_class(const struct core *c, const struct dir_user *u, const struct target *t)
{
	static const uint8_t everybody = (1u << user_role_count_) - 1;
	struct number_class class;
	bool may;

	if (t->kind != TARGET_EXTERNAL)
		return NULL;
	class = classes_find(&c->classes, &c->cfg.numbering, t->dial);
	if (u == NULL)
		may = class.roles == everybody;
	else if (u->row.may_dial[0])
		may = is_listed(u->row.may_dial, class.name);
	else
		may = class.roles >> u->row.role & 1;
	return may ? NULL : class.name;
}

/* A command may come from somebody who is not on the call: then it is his right that counts. */
static struct verdict may_dial(struct core *c, const struct leg *transferor, const struct target *t)
{
	const struct ev_transfer *e = &c->ev->transfer;
	struct dir_user *u = e->origin == ORIGIN_REFER ? NULL : directory_user(c, e->asker);
	const char *denied;

	if (u == NULL && transferor)
		u = directory_user(c, transferor->user);
	denied = policy_denied_class(c, u, t);
	if (denied == NULL)
		return ALLOW;
	snprintf(c->said, sizeof(c->said), "Not allowed to dial %s numbers", denied);
	return deny(403, "not_permitted", c->said);
}

/* ---- people ---------------------------------------------------------------------------------- */

/* Is this person on a call, or being rung? */
static bool is_busy(const struct core *c, const char *user)
{
	for (const struct leg *l = presence_first(c, user); l; l = l->user_next)
		if (leg_is_live(l))
			return true;
	return false;
}

/* Nobody is sent to where nobody comes at this hour: the customer stays with who has them. What a queue
 * that is full or deserted does with callers is its own rule. */
static struct verdict is_open(const struct core *c, const struct target *t)
{
	const struct dir_queue *q = t->kind == TARGET_QUEUE ? directory_queue(c, t->name) : NULL;

	return q && queue_is_closed(q, c->ev->wall) ? deny(480, "closed", "The queue is closed") : ALLOW;
}

/* Somebody who could not take the call anyway is refused at once, if so configured; else he is rung. */
static struct verdict is_there(struct core *c, const struct target *t)
{
	const struct dir_user *u = t->kind == TARGET_USER ? directory_user(c, t->name) : NULL;
	struct agent_view v;

	if (u == NULL)
		return ALLOW;
	if (!u->row.enabled)
		return deny(480, "disabled", "The target is disabled");
	if (!c->cfg.ring_unregistered && u->ncontacts == 0)
		return deny(480, "unregistered", "The target has no phone registered");
	if (!c->cfg.ring_away && core_agent_view(c, t->name, &v) && v.intent == INTENT_AWAY)
		return deny(480, "away", "The target is away");
	if (!c->cfg.ring_busy && is_busy(c, t->name))
		return deny(486, "busy", "The target is on another call");
	return ALLOW;
}

static bool same_number(const struct core *c, const char *a, const char *b)
{
	char ea[NUM_MAX], eb[NUM_MAX];

	return number_e164(&c->cfg.numbering, a, ea, sizeof(ea)) == 0 &&
	       number_e164(&c->cfg.numbering, b, eb, sizeof(eb)) == 0 && str_eq(ea, eb);
}

/* E-071: a call moves to somebody new, or not at all. */
static struct verdict is_new_party(const struct core *c, const struct leg *transferor,
	const struct leg *kept, const struct target *t)
{
	if (transferor && t->kind == TARGET_USER && str_eq(t->name, transferor->user))
		return deny(403, "self", "The target is who transfers");
	if (t->kind == TARGET_USER && str_eq(t->name, kept->user))
		return deny(403, "already_party", "The target is on this call already");
	if (t->kind != TARGET_USER && (same_number(c, t->number, kept->party.number) ||
					      same_number(c, t->dial, kept->party.number)))
		return deny(403, "already_party", "The target is on this call already");
	return ALLOW;
}

/* Who is shown numbers without their middle is not told either that a guess is right: the transfer is
 * admitted, as one to any other number, and nobody is rung. */
static struct verdict hide_party(const struct ev_transfer *e, struct target *t, struct verdict v)
{
	if (!e->masked || t->kind != TARGET_EXTERNAL || !str_eq(v.cause, "already_party"))
		return v;
	t->peer[0] = '\0';
	return ALLOW;
}

bool policy_hides(const struct target *t)
{
	return t->kind == TARGET_EXTERNAL && t->peer[0] == '\0';
}

struct verdict policy_movable(const struct call *k)
{
	static const enum role roles[] = {ROLE_OWNER, ROLE_KEPT};
	struct verdict v = ALLOW;

	for (unsigned i = 0; i < 2 && v.status == 0; i++) {
		const struct leg *l = call_role(k, roles[i]);

		if (l == NULL)
			continue;
		if (l->kind == TARGET_IVR && l->outbound)
			v = deny(409, "in_menu", "The caller is choosing in a menu");
		else if (l->kind == TARGET_VOICEMAIL && l->outbound)
			v = deny(409, "voicemail", "The caller is speaking to voicemail");
		else if (l->image)
			v = deny(409, "fax", "A fax is being sent on this call");
	}
	return v;
}

/* Judges the EV_TRANSFER of the step; transferor NULL: it has left. On ALLOW *t is who is to be rung. */
struct verdict policy_transfer(struct core *c, struct call *k, const struct leg *transferor,
	const struct leg *kept, struct target *t)
{
	const struct ev_transfer *e = &c->ev->transfer;
	struct verdict v = e->origin == ORIGIN_REFER ? ALLOW : policy_movable(k);

	if (v.status == 0)
		v = may_ask(c, transferor, e);
	if (v.status == 0)
		v = may_reach(c, transferor, e, t);
	if (v.status == 0)
		v = hide_party(e, t, is_new_party(c, transferor, kept, t));
	if (v.status == 0)
		v = may_dial(c, transferor, t);
	if (v.status == 0)
		v = is_there(c, t);
	if (v.status == 0)
		v = is_open(c, t);
	if (v.status == 0 && ((transferor && transferor->image) || kept->image))
		v = deny(488, "media_busy", "A fax is being sent on this call"); /* E-053 */
	return v;
}

/* ---- click-to-dial --------------------------------------------------------------------------- */

/* Is he there, and free, to make a call? Who has said that he is away may still make his own. */
static struct verdict can_call(struct core *c, const struct dir_user *u)
{
	const struct ev_dial *e = &c->ev->dial;
	struct agent_view v;

	if (u == NULL)
		return deny(404, "invalid_target", "There is no such user");
	if (!u->row.enabled)
		return deny(409, "disabled", "The user is disabled");
	if (u->ncontacts == 0)
		return deny(409, "unregistered", "The user has no phone registered");
	if (is_busy(c, u->row.user))
		return deny(409, "busy", "The user is on a call");
	if (!str_eq(e->asker, u->row.user) && core_agent_view(c, u->row.user, &v) &&
		v.intent != INTENT_AVAILABLE)
		return deny(409, "away", "The user is away");
	return ALLOW;
}

/* He is the one who calls: his right counts, and that of whoever asks if he is one of ours. */
static struct verdict may_call(struct core *c, const struct dir_user *u, const struct target *t)
{
	const struct dir_user *asker = directory_user(c, c->ev->dial.asker);
	const char *denied = policy_denied_class(c, u, t);

	if (denied == NULL && asker)
		denied = policy_denied_class(c, asker, t);
	if (denied == NULL)
		return ALLOW;
	snprintf(c->said, sizeof(c->said), "Not allowed to dial %s numbers", denied);
	return deny(403, "not_permitted", c->said);
}

struct verdict policy_originate(struct core *c, struct target *t)
{
	const struct ev_dial *e = &c->ev->dial;
	const struct dir_user *u = directory_user(c, e->user);
	struct verdict v = can_call(c, u);

	if (v.status)
		return v;
	switch (target_resolve(c, e->number, DIALPLAN_USERS, t)) {
	case 0:
		break;
	case EACCES:
		return deny(403, "not_permitted", "The dial plan refuses this number");
	default:
		return deny(404, "invalid_target", "Nobody has this number");
	}
	if (t->kind == TARGET_USER && str_eq(t->name, u->row.user))
		return deny(403, "self", "That is the user's own number");
	return may_call(c, u, t);
}

void core_try_transfer(struct core *c, const struct event *ev, struct target_view *out)
{
	struct call *k = call_of(c, ev->leg ? ev->leg : ev->call);
	struct verdict v = deny(404, "no_call", "No such call");
	struct leg *l, *other;
	struct target t = {.kind = TARGET_NONE};

	memset(out, 0, sizeof(*out));
	c->ev = ev;
	if (k != NULL) {
		l = call_speaker(c, k);
		if (l && l->role != ROLE_KEPT && l->role != ROLE_OWNER)
			l = NULL;
		if (l && l->role == ROLE_KEPT && call_role(k, ROLE_OWNER) == NULL)
			l = NULL; /* nobody is with the kept party: see v_admit_retry() */
		other = call_role(k, l && l->role == ROLE_KEPT ? ROLE_OWNER : ROLE_KEPT);
		v = other ? policy_transfer(c, k, l, other, &t)
			  : deny(409, "no_party", "There is nobody to transfer");
	}
	c->ev = NULL;
	out->status = v.status;
	out->cause = v.cause;
	str_set(out->text, v.text);
	out->kind = (enum target_kind)t.kind;
	str_set(out->name, t.name);
	str_set(out->number, t.dial);
	if (t.kind == TARGET_EXTERNAL)
		out->class = classes_find(&c->classes, &c->cfg.numbering, t.dial).name;
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

enum cause xfer_cause(const struct xfer *x)
{
	return x->refused == CAUSE_CLOSED && x->status == 480 ? CAUSE_CLOSED : cause_of(x->status);
}

void xfer_note_status(struct call *k)
{
	k->xfer.status = k->status;
	k->xfer.refused = k->wait.refused;
}

bool xfer_is_recall(const struct xfer *x)
{
	return x->step == STEP_RECALL || x->step == STEP_OWN_RECALL;
}

/* The ledger's word for it. */
const char *cause_of_status(uint16_t status)
{
	return cause_name((int)cause_of(status));
}
