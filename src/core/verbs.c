/*
 * verbs: the hands of transfer.tbl. Each verb does one thing to the call of the step; the row says
 * which, in which order and why. None of them looks at the call's state: that is the table's job.
 */
#include "core/verbs.h"

#include "core/consult.h"
#include "core/undo.h"

#include <stdio.h>
#include <string.h>

/* How a party that is dropped now ends, by what has happened. */
struct ending {
	const char *outcome, *by;
};

static struct ending ending_of(const struct call *k)
{
	switch ((enum word)k->word) {
	case K_GONE:
		return (struct ending){"cancelled_caller_left", "customer"};
	case GUARD:
		if (k->wait.seg != NO_SEG) /* the queue's time is over, not the agent's */
			return (struct ending){"cancelled", "system"};
		return (struct ending){"no_answer", "system"};
	case Q_EMPTY:
	case XFER_OK:
		return (struct ending){"cancelled", "system"};
	case XFER_CANCEL:
	case XFER_RESUME:
		return (struct ending){"cancelled", "transferor"};
	case HANGUP_REQ:
		return (struct ending){"cancelled", "command"};
	default:
		return (struct ending){"failed", "system"};
	}
}

/* The same for a party that was talking, or that called and has reached nobody. */
static struct ending farewell_of(const struct call *k, const struct leg *l)
{
	bool reached = l->seg == NO_SEG || k->segs[l->seg].answered;

	switch ((enum word)k->word) {
	case K_GONE:
	case O_GONE:
		return (struct ending){"completed", k->ended_by};
	case HANGUP_REQ:
		return (struct ending){"completed", "command"};
	case R_DONE:
		return (struct ending){"transferred", "transfer"};
	case GUARD:
		return (struct ending){reached ? "no_resume" : "no_answer", "system"};
	default:
		return (struct ending){"failed", "system"};
	}
}

/* ---- first call ------------------------------------------------------------------------------ */

/* Early media goes back only if one phone alone rings: of several, nobody could say whose. */
static void v_progress_kept(struct core *c, struct call *k)
{
	const struct ev_progress *e = &c->ev->progress;
	struct leg *l = kept(k), *t = call_leg(k, c->ev->leg);
	unsigned ringing = 0;
	struct action *a;
	bool early;

	for (unsigned i = 0; i < k->nlegs; i++)
		ringing += k->legs[i]->role == ROLE_TARGET;
	if (l == NULL || t == NULL)
		return;
	early = ringing == 1 && e->sdp.what == SDP_ANSWER && e->sdp.usable;
	if (l->state == LEG_UP && early) /* click-to-dial: his phone is up, and can only be asked anew */
		bridge_hear(k, l, t);
	if (l->state != LEG_NEW && l->state != LEG_EARLY)
		return;
	a = act_add(c, ACT_PROGRESS, l->id);
	a->status = e->status;
	leg_set_state(c, l, LEG_EARLY);
	if (!early)
		return;
	if (l->rel_required && l->oa != OA_RECV)
		return; /* it has its answer */
	a->from = t->id;
	if (l->rel_required && l->oa == OA_RECV) { /* sent reliably: this is the answer */
		l->oa = OA_IDLE;
		l->given = (struct given){t->id, t->rv, (uint8_t)e->sdp.dir, GIVEN_CONNECT};
	}
}

/* ---- who is there ---------------------------------------------------------------------------- */

/* Who has answered, or has come by himself to take over (RFC 3891). */
static struct leg *answered_target(const struct call *k)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i]->role == ROLE_TARGET &&
			(k->legs[i]->state == LEG_UP || !k->legs[i]->outbound))
			return k->legs[i];
	return NULL;
}

static struct leg *ringing_target(const struct call *k)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i]->role == ROLE_TARGET && k->legs[i]->state != LEG_UP &&
			k->legs[i]->outbound)
			return k->legs[i];
	return NULL;
}

/* The first who answered stays; the others stop ringing and see no missed call (R-061, E-115). */
static void v_win(struct core *c, struct call *k)
{
	struct leg *l;

	while ((l = ringing_target(k)) != NULL) {
		l->fail_status = 200;
		leg_drop(c, k, l, 200, "answered_elsewhere", "system");
	}
}

static void assign_case(struct core *c, struct call *k, const struct leg *agent)
{
	struct fact *f;

	if (k->kind == CALL_INTERNAL || str_empty(agent->user))
		return;
	f = fact_add(c, k, FACT_CASE_OWNER);
	f->case_owner.conv = k->conv;
	str_set(f->case_owner.user, agent->user);
	timeline(c, k, &(struct timeline_note){.type = "case_assigned", .actor = agent->user,
		.leg = agent, .key1 = "owner", .value1 = agent->user});
}

/* The target becomes the owner: they talk. The case follows whoever answered (M13). */
static void v_promote(struct core *c, struct call *k)
{
	struct leg *t = answered_target(k), *agent = t;

	if (t == NULL)
		return;
	t->role = ROLE_OWNER;
	if (t->id == k->customer)
		agent = kept(k);
	if (t->seg != NO_SEG && k->segs[t->seg].consult && k->consult_of == ID_NONE)
		segment_turn(c, k, t, "completed", "transfer");
	else if (t->seg == NO_SEG && t->id != k->customer)
		segment_begin(c, k, t);
	else if (!t->outbound) /* it came by itself, to take over */
		segment_answered(c, k, t);
	segment_answered(c, k, kept(k));
	target_press_keys(c, k, t);
	timeline(c, k, &(struct timeline_note){.type = "answered", .leg = t,
		.actor = t->user[0] ? t->user : t->party.number});
	if (agent)
		assign_case(c, k, agent);
	k->wait.next_overflow = OVERFLOW_MAX; /* the queue is not to blame for what comes now */
}

static void v_drop_targets(struct core *c, struct call *k)
{
	struct ending e = ending_of(k);
	struct leg *l;

	while ((l = call_role(k, ROLE_TARGET)) != NULL) {
		l->fail_status = k->status;
		leg_drop(c, k, l, k->status ? k->status : 487, e.outcome, e.by);
	}
}

/* An unanswered caller hears the reason as a final response, anybody else a BYE. */
static void v_drop_kept(struct core *c, struct call *k)
{
	struct leg *l = kept(k);
	uint16_t status = k->word == O_GONE ? 0 : k->status;
	struct ending e;

	if (l == NULL)
		return;
	e = farewell_of(k, l);
	if (status == 0 && (l->state == LEG_NEW || l->state == LEG_EARLY))
		status = 480;
	leg_drop(c, k, l, status, e.outcome, e.by);
}

static void v_drop_owner(struct core *c, struct call *k)
{
	struct leg *l = owner(k);
	struct ending e;

	if (l == NULL)
		return;
	e = farewell_of(k, l);
	leg_drop(c, k, l, k->word == K_GONE ? 0 : k->status, e.outcome, e.by);
}

static void v_part_owner(struct core *c, struct call *k)
{
	struct leg *l = owner(k);

	if (l)
		leg_part(c, k, l);
}

static void v_stay(struct core *c, struct call *k)
{
	(void)c;
	(void)k;
}

/* ---- who hears whom -------------------------------------------------------------------------- */

static void v_connect_target(struct core *c, struct call *k)
{
	struct leg *l = kept(k), *t = answered_target(k);

	if (l && t)
		bridge_connect(c, k, l, t);
}

static void v_reconnect(struct core *c, struct call *k)
{
	struct leg *l = kept(k), *o = owner(k);

	if (l && o)
		bridge_connect(c, k, l, o);
}

static void v_hold_kept(struct core *c, struct call *k)
{
	bridge_hold(c, k, kept(k), NULL);
}

static void v_hold_both(struct core *c, struct call *k)
{
	bridge_hold(c, k, kept(k), owner(k));
}

/* A click holds the caller while the target rings; a phone that sends REFER has held by itself. */
static void v_hold_if_command(struct core *c, struct call *k)
{
	if (k->xfer.origin != ORIGIN_REFER)
		bridge_hold(c, k, kept(k), owner(k));
}

/* An agent of the queue answered in vain: the two wait on as they did before. */
static void v_wait_together(struct core *c, struct call *k)
{
	if (k->xfer.origin == ORIGIN_REFER)
		v_reconnect(c, k);
	else
		v_hold_both(c, k);
}

/* ---- what the transferor is told ------------------------------------------------------------- */

static void reply(struct core *c, uint64_t cmd, uint16_t status, const char *text)
{
	struct action *a = act_add(c, ACT_REPLY, ID_NONE);

	a->cmd = cmd;
	a->status = status;
	str_set(a->text, text);
}

/* Refuses the transfer request of the step in the way that it was asked. */
static void refuse(struct core *c, struct call *k, uint16_t refer_status, uint16_t cmd_status,
	const char *cause, const char *text)
{
	const struct ev_transfer *e = &c->ev->transfer;
	struct action *a;

	if (e->origin == ORIGIN_REFER) {
		a = act_add(c, ACT_REFER_REJECT, c->ev->leg);
		a->cmd = e->cmd;
		a->status = refer_status;
		str_set(a->text, text);
	} else {
		reply(c, e->cmd, cmd_status, text);
	}
	audit(c, k, e->asker, e->origin, "transfer", e->number, "refused", cause);
	if (k->open == RECORD_OPEN)
		timeline(c, k, &(struct timeline_note){.type = "transfer_refused", .actor = e->asker,
			.via = e->origin, .leg = call_leg(k, k->request), .key1 = "target",
			.value1 = e->number, .key2 = "cause", .value2 = cause});
}

/* REFER with Replaces, whether what it names is there or not. */
static bool names_dialog(const struct ev_transfer *e)
{
	return e->replaces != ID_NONE || e->replaces_status != 0;
}

/* A request that policy refuses is a transfer too, with its outcome, in the ledger. */
static void record_refusal(struct core *c, struct call *k, const struct leg *l,
	const struct target *t, const struct verdict *v)
{
	const struct ev_transfer *e = &c->ev->transfer;
	struct fact *f = fact_add(c, k, FACT_TRANSFER_OPENED);
	uuid id = core_uuid(c, k);

	f->transfer_opened.xfer = id;
	f->transfer_opened.conv = k->conv;
	str_set(f->transfer_opened.kind, xfer_kind_name(names_dialog(e) ? XFER_CONSULT : e->kind));
	str_set(f->transfer_opened.via, origin_name(e->origin));
	str_set(f->transfer_opened.asker, e->asker);
	str_set(f->transfer_opened.target_kind, target_kind_name(t->kind));
	str_set(f->transfer_opened.target, t->name);
	str_set(f->transfer_opened.number, e->number);
	f->transfer_opened.from_seg = l->seg_id;
	f->transfer_opened.attempt = 1;
	f = fact_add(c, k, FACT_TRANSFER_CLOSED);
	f->transfer_closed.xfer = id;
	str_set(f->transfer_closed.outcome, "failed");
	str_set(f->transfer_closed.cause, v->cause);
	f->transfer_closed.sip_status = v->status;
	k->n_requested++;
	k->n_failed++;
}

/* A guess at the number of who is on the call is on record, though the asker is not told. */
static void audit_hidden(struct core *c, struct call *k, const struct target *t)
{
	const struct ev_transfer *e = &c->ev->transfer;

	if (policy_hides(t))
		audit(c, k, e->asker, e->origin, "transfer", e->number, "refused", "already_party");
}

static void v_admit(struct core *c, struct call *k)
{
	struct leg *l = call_leg(k, k->request), *other;
	struct target t = {.kind = TARGET_NONE};
	struct verdict v;

	other = l && l->role == ROLE_KEPT ? owner(k) : kept(k);
	if (l == NULL || other == NULL) {
		refuse(c, k, 481, 409, "no_party", "There is nobody to transfer");
		return;
	}
	if (names_dialog(&c->ev->transfer) && !consult_dials_instead(c)) {
		v = consult_meet(c, k, l, other);
		if (v.status) {
			if (v.status != 400 && v.status != 491) /* not judged: it makes no sense */
				record_refusal(c, k, l, &t, &v);
			refuse(c, k, v.status, 403, v.cause, v.text);
		}
		return;
	}
	v = policy_transfer(c, k, l, other, &t);
	if (v.status == 409) { /* not who or whither: the call itself cannot move now */
		refuse(c, k, 491, 409, v.cause, v.text);
		return;
	}
	if (v.status) {
		record_refusal(c, k, l, &t, &v);
		refuse(c, k, v.status, v.status == 404 ? 404 : 403, v.cause, v.text);
		return;
	}
	audit_hidden(c, k, &t);
	leg_take_roles(k, l);
	k->xfer.target = t;
	if (passing_wanted(c, l, other))
		call_post(k, PASS_OK);
	else
		call_post(k, c->ev->transfer.kind == XFER_CONSULT ? CONSULT_OK : XFER_OK);
}

/* Nobody is with the kept party: whoever asks speaks for the transferor. */
static void v_admit_retry(struct core *c, struct call *k)
{
	struct target t = {.kind = TARGET_NONE};
	struct verdict v;

	if (c->ev->transfer.origin == ORIGIN_REFER) { /* the kept party's own: one at a time */
		refuse(c, k, 491, 409, "transfer_running", "A transfer is running already");
		return;
	}
	if (c->ev->transfer.kind == XFER_CONSULT) { /* not made a blind one in silence */
		refuse(c, k, 481, 409, "no_party", "Nobody is with the caller who could ask first");
		return;
	}
	if (c->ev->transfer.stay) {
		refuse(c, k, 481, 409, "no_party",
			"stay: nobody is with the caller who could keep the line");
		return;
	}
	v = policy_transfer(c, k, NULL, kept(k), &t);
	if (v.status) {
		refuse(c, k, v.status, v.status == 404 || v.status == 409 ? v.status : 403, v.cause,
			v.text);
		return;
	}
	audit_hidden(c, k, &t);
	k->target = t;
	call_post(k, XFER_OK);
}

/* What the command of the step asks for, as the audit calls it; NULL: the step is no command. */
static const char *command_name(const struct event *e)
{
	switch (e->type) {
	case EV_XFER_CANCEL:
		return "cancel";
	case EV_HANGUP:
		return "hangup";
	case EV_COMPLETE:
		return "complete";
	case EV_SWAP:
		return "swap";
	case EV_HOLD:
		return "hold";
	case EV_UNHOLD:
		return "unhold";
	case EV_RESUME:
		return "resume";
	default:
		return NULL;
	}
}

/* M6: who did it, or would have liked to. */
static void audit_command(struct core *c, struct call *k, const char *result, const char *why)
{
	const struct ev_command *e = &c->ev->command;
	const char *name = command_name(c->ev);
	char id[ID_STRLEN];

	if (name)
		audit(c, k, e->asker, e->origin, name, id_str(k->id, id), result, why);
}

/* A command that cannot be carried out now. */
static void refuse_command(struct core *c, struct call *k, const char *cause, const char *text)
{
	reply(c, c->ev->command.cmd, 409, text);
	audit_command(c, k, "refused", cause);
}

static void v_ask_recall(struct core *c, struct call *k)
{
	struct target t;

	if (xfer_is_recall(&k->xfer)) {
		refuse_command(c, k, "transfer_running", "The transferor is being rung already");
	} else if (!target_user(c, k->xfer.recall_user, &t)) {
		refuse_command(c, k, "no_party", "There is no transferor who could be rung");
	} else {
		k->target = t;
		call_post(k, RESUME_OK);
	}
}

static void v_refuse_early(struct core *c, struct call *k)
{
	refuse(c, k, 403, 409, "not_connected", "The call is not answered yet");
}

static void v_refuse_busy(struct core *c, struct call *k)
{
	refuse(c, k, 491, 409, "transfer_running", "A transfer is running already");
}

static void v_refuse_ended(struct core *c, struct call *k)
{
	refuse(c, k, 481, 409, "ended", "The call has ended");
}

static void v_refuse_cancel(struct core *c, struct call *k)
{
	refuse_command(c, k, "no_transfer", "There is no transfer that could be cancelled now");
}

/* A command that this state has no use for: who asked hears which state that is. */
static void v_refuse_now(struct core *c, struct call *k)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "Not possible in state %s", call_state_name(k->state));
	refuse_command(c, k, "not_now", text);
}

/* Answers a command that succeeded at once. Only commands have a reply waiting. */
static void v_reply_done(struct core *c, struct call *k)
{
	reply(c, c->ev->command.cmd, 200, "Done");
	audit_command(c, k, "done", "");
}

static void mark_fact(struct core *c, struct call *k, const char *mark, const uuid *to)
{
	struct fact *f = fact_add(c, k, FACT_TRANSFER_MARKED);

	f->transfer_marked.xfer = k->xfer.id;
	str_set(f->transfer_marked.mark, mark);
	if (to)
		f->transfer_marked.to_seg = *to;
}

static void v_accept(struct core *c, struct call *k)
{
	struct xfer *x = &k->xfer;
	struct action *a;

	if (x->origin == ORIGIN_REFER) {
		a = act_add(c, ACT_REFER_ACCEPT, x->refer_leg);
		a->cmd = x->cmd;
		a->status = 202;
		x->sub = x->no_sub ? SUB_NONE : SUB_ACTIVE;
	} else {
		char id[UUID_STRLEN];

		reply(c, x->reply, 202, uuid_str(&x->id, id));
	}
	mark_fact(c, k, "accepted", NULL);
}

static void notify(struct core *c, struct call *k, uint16_t status, const char *text, enum sub after)
{
	const struct call *at = call_of(c, k->xfer.refer_leg); /* a call that is not met yet (E-093) */
	struct leg *l = at ? call_leg(at, k->xfer.refer_leg) : NULL;
	struct action *a;

	if (k->xfer.sub != SUB_ACTIVE)
		return;
	a = act_add(c, ACT_NOTIFY, k->xfer.refer_leg);
	a->status = status;
	a->cmd = k->xfer.cmd;
	str_set(a->text, text);
	a->notify.cmd = k->xfer.cmd;
	a->notify.final = after == SUB_FINAL;
	k->xfer.sub = (uint8_t)after;
	if (after == SUB_FINAL && l) {
		l->notify = k->xfer.cmd;
		l->notify_status = status;
	}
}

/* Some phones keep the line until they hear 200: they hear it at once; the ledger keeps the truth
 * (E-011). */
static void v_tell_trying(struct core *c, struct call *k)
{
	notify(c, k, 100, "Trying", SUB_ACTIVE);
	if (k->xfer.immediate)
		notify(c, k, 200, "OK", SUB_FINAL);
}

static void v_tell_ringing(struct core *c, struct call *k)
{
	if (k->xfer.mark == MARK_NONE) /* once; NOTE_RINGING comes after this */
		notify(c, k, 180, "Ringing", SUB_ACTIVE);
}

/* What the other side says about a call that is its own. */
static void v_tell_progress(struct core *c, struct call *k)
{
	notify(c, k, c->ev->referred.status, "", SUB_ACTIVE);
}

static void v_tell_ok(struct core *c, struct call *k)
{
	notify(c, k, 200, "OK", SUB_FINAL);
}

static void v_tell_failed(struct core *c, struct call *k)
{
	notify(c, k, k->status ? k->status : 480, "", SUB_FINAL);
}

/* ---- why it failed --------------------------------------------------------------------------- */

static void v_set_no_answer(struct core *c, struct call *k)
{
	k->status = c->cfg.no_answer_status;
}

static void v_set_left(struct core *c, struct call *k)
{
	(void)c;
	k->status = 487;
}

static void v_set_cancelled(struct core *c, struct call *k)
{
	(void)c;
	k->status = 487;
}

static void v_set_unreachable(struct core *c, struct call *k)
{
	(void)c;
	k->status = 480;
}

static void v_set_declined(struct core *c, struct call *k)
{
	(void)c;
	k->status = 603;
}

static void v_set_internal(struct core *c, struct call *k)
{
	(void)c;
	k->status = 500;
}

/* What is to be replaced is nowhere. */
static void v_set_unknown(struct core *c, struct call *k)
{
	(void)c;
	k->status = 481;
}

/* ---- what is on record ----------------------------------------------------------------------- */

const char *target_word(const struct target *t)
{
	bool outside = t->kind == TARGET_EXTERNAL || t->kind == TARGET_VOICEMAIL;

	return outside || t->name[0] == '\0' ? t->number : t->name;
}

void xfer_timeline(struct core *c, struct call *k, const char *type, const char *key2,
	const char *value2)
{
	const struct xfer *x = &k->xfer;
	const char *who = x->step == STEP_TARGET ? x->asker : "segue";

	timeline(c, k, &(struct timeline_note){.type = type, .actor = who,
		.via = x->step == STEP_TARGET ? (enum origin)x->origin : ORIGIN_SYSTEM,
		.key1 = "target", .value1 = target_word(&x->target), .key2 = key2, .value2 = value2});
}

/* What somebody asked for, for the chain that may have to follow. */
static void note_asked(struct xfer *x)
{
	x->first = x->id;
	x->next_fallback = 0;
	x->asked_kind = x->target.kind;
	str_set(x->asked, x->target.name);
}

void xfer_retell(struct core *c, struct call *k)
{
	const struct xfer *x = &k->xfer;
	struct fact *f;

	f = fact_add(c, k, FACT_TRANSFER_OPENED);
	f->transfer_opened.xfer = x->id;
	f->transfer_opened.conv = k->conv;
	str_set(f->transfer_opened.kind, xfer_kind_name(x->kind));
	str_set(f->transfer_opened.via,
		x->step == STEP_TARGET ? origin_name(x->origin) : origin_name(ORIGIN_SYSTEM));
	str_set(f->transfer_opened.asker, x->asker);
	str_set(f->transfer_opened.target_kind, target_kind_name(x->target.kind));
	str_set(f->transfer_opened.target, x->target.name);
	str_set(f->transfer_opened.number, x->target.number);
	f->transfer_opened.from_seg = x->from_seg;
	f->transfer_opened.attempt = x->attempt;
	f->transfer_opened.prev = x->prev;
}

void xfer_open_row(struct core *c, struct call *k)
{
	struct xfer *x = &k->xfer;

	x->id = core_uuid(c, k);
	if (x->step == STEP_TARGET)
		note_asked(x);
	x->attempt++;
	x->mark = MARK_NONE;
	x->status = 0;
	x->refused = k->wait.refused = CAUSE_NONE;
	k->n_requested++;
	xfer_retell(c, k);
	xfer_timeline(c, k, "transfer_requested", "number", x->target.number);
}

void xfer_close_row(struct core *c, struct call *k, const char *outcome, const char *cause,
	const uuid *to)
{
	struct xfer *x = &k->xfer;
	struct fact *f;

	if (uuid_is_nil(&x->id))
		return;
	f = fact_add(c, k, FACT_TRANSFER_CLOSED);
	f->transfer_closed.xfer = x->id;
	str_set(f->transfer_closed.outcome, outcome);
	str_set(f->transfer_closed.cause, cause);
	f->transfer_closed.sip_status = x->status;
	if (to)
		f->transfer_closed.to_seg = *to;
	x->prev = x->id;
}

/* Does the phone that sent the REFER keep the line until it hears 200? The dialog may be one of another
 * call, with another phone of the transferor (E-093, E-095). */
static bool wants_200_at_once(const struct core *c)
{
	const struct ev_transfer *e = &c->ev->transfer;
	const struct call *at = e->origin == ORIGIN_REFER ? call_of(c, c->ev->leg) : NULL;
	const struct leg *l = at ? call_leg(at, c->ev->leg) : NULL;

	return e->immediate || (l && l->immediate);
}

static void v_open_xfer(struct core *c, struct call *k)
{
	const struct ev_transfer *e = &c->ev->transfer;
	struct xfer *x = &k->xfer;
	struct leg *l = call_leg(k, k->request);
	struct target t = x->target;
	bool refer = e->origin == ORIGIN_REFER;

	if (k->meet == ID_NONE && !(k->word == PASS_OK && e->replaces != ID_NONE))
		consult_part(c, k);
	*x = (struct xfer){.origin = (uint8_t)e->origin, .step = STEP_TARGET, .target = t,
		.kind = names_dialog(e) && k->word != XFER_OK ? XFER_CONSULT : e->kind,
		.cmd = refer ? e->cmd : 0, .reply = refer ? 0 : e->cmd,
		.refer_leg = refer ? c->ev->leg : ID_NONE, .no_sub = e->no_sub,
		.immediate = wants_200_at_once(c), .replaces = e->replaces, .stay = e->stay};
	str_set(x->asker, e->asker);
	if (l) {
		str_set(x->recall_user, l->user);
		x->from_seg = l->seg_id;
	}
	xfer_open_row(c, k);
	if (x->kind == XFER_CONSULT && !names_dialog(e))
		timeline(c, k, &(struct timeline_note){.type = "consult_started", .leg = l,
			.actor = l ? l->user : "", .key1 = "with", .value1 = target_word(&x->target)});
}

/* The next attempt of the same transferor; the row before it is linked. */
static void v_open_retry(struct core *c, struct call *k)
{
	const struct ev_transfer *e = &c->ev->transfer;
	struct xfer *x = &k->xfer;

	x->step = STEP_TARGET;
	x->origin = (uint8_t)e->origin;
	x->kind = XFER_BLIND;
	x->cmd = 0;
	x->reply = e->cmd;
	x->next_fallback = 0;
	str_set(x->asker, e->asker);
	x->target = k->target;
	xfer_open_row(c, k);
}

/* Is the open row about the one who is being rung? While who asked is rung back it is still about the target
 * that he asked for; unless that row was closed before, and the recall has its own. */
static bool is_about_target(const struct xfer *x)
{
	return !uuid_is_nil(&x->id) && x->step != STEP_RECALL;
}

static void v_note_ringing(struct core *c, struct call *k)
{
	struct leg *t = call_leg(k, c->ev->leg);

	if (t && t->role != ROLE_TARGET)
		t = NULL; /* a call that is not ours rings */
	if (k->xfer.mark != MARK_NONE || !is_about_target(&k->xfer))
		return;
	k->xfer.mark = MARK_RINGING;
	consult_note_ringing(c, k);
	mark_fact(c, k, "ringing", t ? &t->seg_id : NULL);
	xfer_timeline(c, k, "transfer_target_ringing", NULL, NULL);
}

static void v_note_answered(struct core *c, struct call *k)
{
	struct leg *t = answered_target(k);
	bool again = k->xfer.mark == MARK_ANSWERED; /* in a queue: somebody before was gone at once */

	k->xfer.mark = MARK_ANSWERED;
	if (!again && is_about_target(&k->xfer))
		mark_fact(c, k, "answered", t ? &t->seg_id : NULL);
}

static void forget(struct call *k)
{
	k->xfer.id = (uuid){{0}};
}

static void count_completed(struct call *k)
{
	switch ((enum xfer_kind)k->xfer.kind) {
	case XFER_CONSULT:
		k->n_consult++;
		break;
	case XFER_SEMI:
		k->n_semi++;
		break;
	default:
		k->n_blind++;
	}
}

void xfer_close_completed(struct core *c, struct call *k, const uuid *to)
{
	struct xfer *x = &k->xfer;
	bool recalled = x->step == STEP_RECALL;

	if (uuid_is_nil(&x->id))
		return; /* another phone of the same person took over: no transfer */
	if (!recalled) {
		x->status = 200;
		mark_fact(c, k, "joined", to);
		count_completed(k);
	}
	xfer_close_row(c, k, recalled ? "recalled" : "completed",
		recalled ? cause_name((int)xfer_cause(x)) : "", to);
	xfer_timeline(c, k, recalled ? "transfer_recalled" : "transfer_completed", NULL, NULL);
}

static void v_close_completed(struct core *c, struct call *k)
{
	struct leg *o = owner(k);

	xfer_close_completed(c, k, o ? &o->seg_id : NULL);
	if (o && !uuid_is_nil(&k->xfer.id) && uuid_eq(&k->xfer.id, &k->wait.xfer))
		queue_answered_by(c, k, o); /* it led through a queue */
}

static void v_close_failed(struct core *c, struct call *k)
{
	struct xfer *x = &k->xfer;

	if (!xfer_is_recall(x) || x->status == 0)
		xfer_note_status(k);
	if (!uuid_is_nil(&x->id)) {
		k->n_failed++;
		xfer_close_row(c, k, "failed", cause_name((int)xfer_cause(x)), NULL);
		xfer_timeline(c, k, "transfer_failed", "cause", cause_name((int)xfer_cause(x)));
	}
	forget(k);
}

static void v_close_abandoned(struct core *c, struct call *k)
{
	if (!uuid_is_nil(&k->xfer.id)) {
		k->xfer.status = 487;
		xfer_close_row(c, k, "abandoned", "caller_left", NULL);
		xfer_timeline(c, k, "transfer_abandoned", NULL, NULL);
	}
	forget(k);
}

/* The entry names who called it off, which need not be who asked for it (M6). */
static void cancelled_timeline(struct core *c, struct call *k)
{
	const struct event *e = c->ev;

	if (e->type < EV_XFER_CANCEL || e->type > EV_RESUME || str_empty(e->command.asker)) {
		xfer_timeline(c, k, "transfer_cancelled", NULL, NULL);
		return;
	}
	timeline(c, k, &(struct timeline_note){.type = "transfer_cancelled",
		.actor = e->command.asker, .via = e->command.origin,
		.key1 = "target", .value1 = target_word(&k->xfer.target)});
}

static void v_close_cancelled(struct core *c, struct call *k)
{
	if (!uuid_is_nil(&k->xfer.id)) {
		k->xfer.status = 487;
		xfer_close_row(c, k, "cancelled", "", NULL);
		cancelled_timeline(c, k);
	}
	forget(k);
}

/* Nothing of the transfer is left to decide; a NOTIFY under way is its leg's business. Why it failed
 * is on record and is not how the call will end. */
static void v_forget_xfer(struct core *c, struct call *k)
{
	(void)c;
	forget(k);
	k->status = 0;
	k->xfer.recall_user[0] = '\0';
	k->xfer.refer_leg = ID_NONE;
}

/* ---- whom to ring ---------------------------------------------------------------------------- */

static void v_dial_target(struct core *c, struct call *k)
{
	struct leg *o = owner(k);

	k->status = 0;
	k->redirects = 0;
	target_dial(c, k, &k->xfer.target, o ? o->id : ID_NONE);
}

static void v_dial_recall(struct core *c, struct call *k)
{
	k->status = 0;
	target_dial(c, k, &k->xfer.target, ID_NONE);
}

/* ---- how long -------------------------------------------------------------------------------- */

static void guard(struct core *c, struct call *k, int64_t ms)
{
	timer_start(c, k->id, TIMER_STATE, &k->timer, ms);
}

static void v_guard_join(struct core *c, struct call *k)
{
	guard(c, k, c->cfg.join_ms);
}

static void v_guard_ring(struct core *c, struct call *k)
{
	guard(c, k, c->cfg.ring_ms);
}

/* A target that rings already has the rest of its time (E-086). */
static void v_guard_rest(struct core *c, struct call *k)
{
	const struct leg *t = call_role(k, ROLE_TARGET);
	int64_t began = t && t->seg != NO_SEG ? k->segs[t->seg].opened : t ? t->since : c->ev->now;
	int64_t rung = c->ev->now - began;

	guard(c, k, rung < c->cfg.ring_ms - 1000 ? c->cfg.ring_ms - rung : 1000);
}

static void v_guard_recall(struct core *c, struct call *k)
{
	guard(c, k, c->cfg.recall_ms);
}

static void v_guard_resume(struct core *c, struct call *k)
{
	guard(c, k, c->cfg.resume_ms);
}

static void v_guard_locate(struct core *c, struct call *k)
{
	guard(c, k, c->cfg.locate_ms);
}

static void v_guard_bye(struct core *c, struct call *k)
{
	guard(c, k, c->cfg.bye_ms);
}

static void v_guard_setup(struct core *c, struct call *k)
{
	guard(c, k, c->cfg.setup_ms);
}

/* The other side rings the target, and we cannot see how long; to join is its business, too. */
static void v_guard_passed(struct core *c, struct call *k)
{
	guard(c, k, c->cfg.ring_ms + c->cfg.join_ms);
}

static void v_unguard(struct core *c, struct call *k)
{
	timer_stop(c, k->id, TIMER_STATE, &k->timer);
}

/* ---- the list -------------------------------------------------------------------------------- */

void verb_run(struct core *c, struct call *k, enum verb v)
{
	static void (*const run[verb_count_])(struct core *, struct call *) = {
		[PROGRESS_KEPT] = v_progress_kept, [WIN] = v_win, [PROMOTE] = v_promote,
		[DROP_TARGETS] = v_drop_targets, [DROP_KEPT] = v_drop_kept,
		[DROP_OWNER] = v_drop_owner, [PART_OWNER] = v_part_owner, [STAY] = v_stay,
		[CONNECT_TARGET] = v_connect_target, [CONNECT_CONSULT] = consult_connect,
		[TALK_ASIDE] = consult_aside, [RECONNECT] = v_reconnect,
		[HOLD_KEPT] = v_hold_kept, [HOLD_BOTH] = v_hold_both,
		[HOLD_IF_COMMAND] = v_hold_if_command,
		[ADMIT] = v_admit, [ACCEPT] = v_accept, [TELL_TRYING] = v_tell_trying,
		[TELL_RINGING] = v_tell_ringing, [TELL_OK] = v_tell_ok,
		[TELL_FAILED] = v_tell_failed, [REFUSE_EARLY] = v_refuse_early,
		[REFUSE_BUSY] = v_refuse_busy, [REFUSE_ENDED] = v_refuse_ended,
		[REFUSE_CANCEL] = v_refuse_cancel, [REFUSE_NOW] = v_refuse_now,
		[ADMIT_RETRY] = v_admit_retry, [ASK_RECALL] = v_ask_recall,
		[REPLY_DONE] = v_reply_done,
		[SET_NO_ANSWER] = v_set_no_answer, [SET_LEFT] = v_set_left,
		[SET_CANCELLED] = v_set_cancelled, [SET_UNREACHABLE] = v_set_unreachable,
		[SET_DECLINED] = v_set_declined, [SET_INTERNAL] = v_set_internal,
		[SET_UNKNOWN] = v_set_unknown, [LOCATE] = consult_locate,
		[NOTE_CONSULT] = consult_note, [MAKE_SEMI] = consult_make_semi,
		[REGROUP] = consult_regroup, [ASK_ONHOOK] = consult_ask_onhook,
		[OPEN_ONHOOK] = consult_open_onhook, [ADOPT] = consult_adopt,
		[OPEN_PICKUP] = consult_open_pickup, [SEAT_TAKER] = consult_seat_taker,
		[ASK_UNDO] = undo_ask,
		[NOTE_UNDONE] = undo_note, [PART_AGAIN] = undo_part_again,
		[PASS_ON] = passing_on, [DO_OURSELVES] = passing_back,
		[TELL_PROGRESS] = v_tell_progress, [CLOSE_RELEASED] = passing_close_released,
		[OPEN_XFER] = v_open_xfer,
		[OPEN_RETRY] = v_open_retry,
		[OPEN_RECALL] = chain_open_recall, [FALL_BACK] = chain_fall_back,
		[NOTE_RINGING] = v_note_ringing, [NOTE_ANSWERED] = v_note_answered,
		[CLOSE_COMPLETED] = v_close_completed, [CLOSE_FAILED] = v_close_failed,
		[CLOSE_ABANDONED] = v_close_abandoned, [CLOSE_CANCELLED] = v_close_cancelled,
		[FORGET_XFER] = v_forget_xfer, [DIAL_TARGET] = v_dial_target,
		[DIAL_RECALL] = v_dial_recall, [NEXT_STEP] = chain_next_step,
		[GUARD_JOIN] = v_guard_join, [GUARD_RING] = v_guard_ring, [GUARD_REST] = v_guard_rest,
		[GUARD_RECALL] = v_guard_recall, [GUARD_RESUME] = v_guard_resume,
		[GUARD_BYE] = v_guard_bye, [GUARD_LOCATE] = v_guard_locate,
		[GUARD_SETUP] = v_guard_setup, [GUARD_PASSED] = v_guard_passed, [UNGUARD] = v_unguard,
		[SEAT_CALLER] = originate_seat_caller, [DIAL_NUMBER] = originate_dial_number,
		[WELCOME] = v_welcome, [GUARD_WAIT] = v_guard_wait, [ASK] = v_ask,
		[ASK_ON] = v_ask_on, [LEAVE_PLACE] = v_leave_place, [TAKE_PLACE] = v_take_place,
		[ANSWERED_IN_QUEUE] = v_answered_in_queue, [LEAVE_QUEUE] = v_leave_queue,
		[QUIT_QUEUE] = v_quit_queue, [CLOSE_QUEUED] = v_close_queued,
		[WAIT_TOGETHER] = v_wait_together,
	};

	run[v](c, k);
}

/* ---- the request itself ---------------------------------------------------------------------- */

/* EV_TRANSFER on leg l (NULL: the call has nobody to speak for). A leg that is not a party of the
 * call any more is told so; anybody else is judged by the table and by policy. Who has just answered
 * is a party in a moment: a 481 would end its dialog. */
void transfer_request(struct core *c, struct call *k, struct leg *l)
{
	bool party = l && (l->role == ROLE_KEPT || l->role == ROLE_OWNER ||
				  (l->role == ROLE_TARGET && l->state == LEG_UP));

	k->request = l ? l->id : ID_NONE;
	if (l && l->role == ROLE_AIDE && c->ev->transfer.origin == ORIGIN_REFER) {
		v_refuse_busy(c, k); /* the transfer that it serves still runs (E-067) */
		return;
	}
	if (!party && c->ev->transfer.origin == ORIGIN_REFER) {
		refuse(c, k, 481, 409, "no_party", "This dialog is not a party of the call");
		return;
	}
	k->meet = ID_NONE;
	if (c->ev->transfer.replaces != ID_NONE && l) {
		struct call *keeper = consult_keeper(c, k, &l);

		keeper->request = l->id;
		call_post(keeper, XFER_REQ);
		if (keeper != k)
			call_run(c, keeper);
		return;
	}
	call_post(k, XFER_REQ);
}
