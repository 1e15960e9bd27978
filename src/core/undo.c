/*
 * undo: see undo.h. A call whose legs moved into another one when they met remains as a shell that leads
 * there; as long as it does, it can be a call again, with the party that came from it.
 */
#include "core/undo.h"

#include "core/verbs.h"

/* Who has answered, and is not joined yet. */
static struct leg *answered(const struct call *k)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i]->role == ROLE_TARGET && k->legs[i]->state == LEG_UP)
			return k->legs[i];
	return NULL;
}

/* The transferor's second dialog, while it stands. */
static struct leg *standing_aide(const struct call *k)
{
	struct leg *aide = call_role(k, ROLE_AIDE);

	return aide && aide->state == LEG_UP ? aide : NULL;
}

static bool has_called_in(const struct leg *l)
{
	return !l->outbound && l->user[0] == '\0';
}

/* What is left of the call from which the target came: the shell of that call, or if all who began there are
 * gone, of the one in which the target began. Who has picked the call up here came from nowhere. */
static struct call *shell_of(struct core *c, const struct call *k, const struct leg *b)
{
	struct call *from = k->xfer.met ? call_find(c, k->xfer.met) : NULL;
	struct call *own = call_find(c, b->id);

	if (k->xfer.met == ID_NONE || own == NULL || own == k)
		return NULL;
	return from && from->merged_into == k->id ? from : own;
}

/* That shell, if it could be a call again: the target still stands, and so does the transferor's second
 * dialog; or the target called in from outside, and is not let go because the transferor has hung up. */
static struct call *shell_of_met(struct core *c, const struct call *k)
{
	const struct leg *b = answered(k);

	if (b == NULL || !(standing_aide(k) || has_called_in(b)))
		return NULL;
	return shell_of(c, k, b);
}

void undo_ask(struct core *c, struct call *k)
{
	const struct xfer *x = &k->xfer;

	if (shell_of_met(c, k))
		call_post(k, owner(k) ? UNDO_MEET : UNDO_PART);
	else if (owner(k) == NULL)
		call_post(k, UNDO_ALONE);
	else if (x->kind == XFER_CONSULT && x->met == ID_NONE && x->origin != ORIGIN_REFER &&
		 answered(k)) /* by command: whom REFER brings from elsewhere is not here */
		call_post(k, UNDO_CONSULT);
	else
		call_post(k, UNDO_BLIND);
}

/* The transfer is not over: who consults may swap, try again or give up. */
void undo_note(struct core *c, struct call *k)
{
	timeline(c, k,
		&(struct timeline_note){.type = "join_failed",
			.leg = owner(k),
			.actor = owner(k)->user,
			.key1 = "with",
			.value1 = target_word(&k->xfer.target),
			.key2 = "cause",
			.value2 = cause_of_status(k->status)});
	k->status = 0;
}

/* The legs that came from the shell `from`, or through it from the shells of earlier meetings; aide
 * may be NULL. */
static bool came_along(struct core *c, const struct call *from, const struct leg *l,
	const struct leg *aide, const struct leg *target)
{
	const struct call *shell = call_find(c, l->id);

	return shell && (shell == from || (aide && shell == call_find(c, aide->id)) ||
				shell == call_find(c, target->id));
}

static void take_back(struct core *c, struct call *k, struct call *from, const struct leg *aide,
	const struct leg *target)
{
	unsigned kept_legs = 0;

	for (unsigned i = 0; i < k->nlegs; i++) {
		struct leg *l = k->legs[i];
		struct call *shell = call_find(c, l->id);

		if (!came_along(c, from, l, aide, target)) {
			k->legs[kept_legs++] = l;
			continue;
		}
		leg_append(from, l);
		if (shell == from)
			from->moved--;
		else
			shell->merged_into = from->id;
	}
	k->nlegs = (uint16_t)kept_legs;
}

/* What the two talk about is on record as it was: as a consultation for this call while its
 * transferor is there, or as a call of their own. With one of them alone, as a call of his. */
static void record_again(
	struct core *c, struct call *k, struct call *from, struct leg *a, struct leg *b)
{
	bool consults = k->xfer.met_as == MET_CONSULTATION && owner(k) && a;
	struct leg *who = kept(from), *with = owner(from);

	record_begin(c, from, who, with,
		consults || from->customer == ID_NONE ? CALL_INTERNAL
		: from->customer == who->id	      ? CALL_INBOUND
						      : CALL_OUTBOUND);
	if (consults) {
		k->consult = from->id;
		k->consulting = false; /* consult_sync() says so */
		str_set(k->consulter, a->user);
		from->consult_of = k->id;
		timeline(c, k, &(struct timeline_note){.type = "consult_started", .leg = owner(k),
			.actor = owner(k)->user, .key1 = "with", .value1 = from->dialled});
		segment_consults(c, from, b);
		return;
	}
	for (unsigned i = 0; i < from->nlegs; i++)
		if ((from->legs[i] == a || from->legs[i] == b) &&
			from->legs[i]->id != from->customer) {
			segment_open(c, from, from->legs[i], NULL);
			segment_answered(c, from, from->legs[i]);
		}
}

/* The shell is a call again. What is to be known about the transfer that brought its caller here is
 * whom to ring for him, and why it failed. */
static void begin_again(struct core *c, struct call *k, struct call *from)
{
	from->merged_into = ID_NONE;
	from->xfer = (struct xfer){.id = {{0}}, .origin = ORIGIN_SYSTEM,
		.status = k->status, .first = k->xfer.first};
	str_set(from->xfer.recall_user, k->xfer.recall_user);
	from->wait = (struct waiting){.seg = NO_SEG};
	from->wall0 = call_stamp(k, c->ev->now);
	from->mono0 = c->ev->now;
	c->live++;
}

/* What the target had agreed with whom it is with again it has still: who holds it before it is asked anew
 * can tell it so, with what it has. */
static void counts_again(struct leg *l)
{
	if (l->given.rv == 0 && l->given.from != ID_NONE)
		l->given.rv = RV_UNSURE;
}

/* The two talk again. A phone may take the failed transfer for the end of this call, too, and hang up
 * within milliseconds: a caller from outside is not lost then (E-002). Who has called somebody may go. */
static void talk_again(struct core *c, struct call *from)
{
	if (from->customer == kept(from)->id) {
		call_set_state(c, from, BACK);
		timer_start(c, from->id, TIMER_STATE, &from->timer, c->cfg.bye_ms);
	} else {
		call_set_state(c, from, TALK);
		from->xfer = (struct xfer){.id = {{0}}};
	}
	if (from->bridge.state == BRIDGE_HOLD) /* somebody held them by command */
		bridge_hold(c, from, kept(from), owner(from));
	else
		bridge_connect(c, from, kept(from), owner(from));
}

/* Whose call it was: the one of the two who has called; if both were called, a click's. */
static bool has_called(const struct leg *a, const struct leg *b)
{
	return !a->outbound || b->outbound;
}

void undo_part_again(struct core *c, struct call *k)
{
	struct call *from = shell_of_met(c, k);
	struct leg *a = standing_aide(k), *b = answered(k);

	if (from == NULL)
		return;
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i] == a || k->legs[i] == b) {
			recording_end(c, k, k->legs[i], "end");
			segment_close(c, k, k->legs[i], "join_failed", "system", k->status, NULL);
		}
	bridge_forget(c, k, b);
	take_back(c, k, from, a, b);
	b->role = a && has_called(a, b) ? ROLE_OWNER : ROLE_KEPT;
	if (a)
		a->role = has_called(a, b) ? ROLE_KEPT : ROLE_OWNER;
	begin_again(c, k, from);
	counts_again(b);
	if (a) {
		talk_again(c, from);
	} else {
		from->customer = b->id;
		call_set_state(c, from, UNDO);
		call_post(from, UNDO_LEFT);
	}
	record_again(c, k, from, a, b);
	if (owner(k))
		k->status = 0; /* the transfer is over; else it goes on, and this is why */
	call_run(c, from);
}
