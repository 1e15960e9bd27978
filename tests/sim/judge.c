/* judge: see judge.h. */
#include "sim/judge.h"

#include <stdio.h>

/* Longer than any guard plus the exchange it guards, ms. */
#define TRANSIENT_MAX_MS 130000

/* So many offers in a row, each answered with something new, and the last answers may stand. */
#define ROUNDS_MAX 6

/* ---- actions --------------------------------------------------------------------------------- */

/* Did this event end the leg, or does its sender want it to end? */
static bool ends_leg(const struct event *ev, leg_id leg)
{
	if (ev->leg != leg)
		return false;
	return ev->type == EV_BYE || ev->type == EV_GONE || ev->type == EV_NO_ACK ||
	       ev->type == EV_CLOSED || ev->type == EV_REJECT || ev->type == EV_OA_DONE ||
	       ev->type == EV_CANCEL || ev->type == EV_ACK || ev->type == EV_ANSWER;
}

static bool hangs_up(const struct core_out *out, leg_id leg)
{
	for (unsigned i = 0; i < out->nactions; i++)
		if ((out->actions[i].type == ACT_HANGUP || out->actions[i].type == ACT_REJECT) &&
			out->actions[i].leg == leg)
			return true;
	return false;
}

/* Somebody who is not let go again in the same step, as a music server is when a queue is emptied. */
static bool dials_in_call(const struct core_out *out, call_id call)
{
	for (unsigned i = 0; i < out->nactions; i++)
		if (out->actions[i].type == ACT_DIAL && out->actions[i].call == call &&
			!hangs_up(out, out->actions[i].leg))
			return true;
	return false;
}

/* Whoever transfers may be either party: the other one has just got its place in a queue. */
static bool other_is_queued(const struct core_out *out, const struct action *a)
{
	for (unsigned i = 0; i < out->nactions; i++)
		if (out->actions[i].type == ACT_POSITION && out->actions[i].leg != a->leg &&
			out->actions[i].call == a->call)
			return true;
	for (unsigned i = 0; i < out->nfacts; i++) /* far behind, where nobody is told his place */
		if (out->facts[i].type == FACT_TIMELINE && out->facts[i].call == a->call &&
			str_eq(out->facts[i].timeline.type, "queue_entered"))
			return true;
	return false;
}

/* A leg that was answered, was not let go by a final NOTIFY, and is not ending. */
static bool still_there(struct contract *ct, const struct ct_leg *l)
{
	struct ct_req *r = l->refer ? contract_req(ct, l->refer) : NULL;

	return (l->state == CT_UP || l->state == CT_ANSWERED) && !(r != NULL && r->final) &&
	       !l->parted && l->plays_to == ID_NONE;
}

/* It is let go in this step: as soon as a NOTIFY has its answer it is hung up. */
static bool is_let_go(const struct core_out *out, leg_id leg)
{
	for (unsigned i = 0; i < out->nactions; i++)
		if (out->actions[i].leg == leg && out->actions[i].type == ACT_TIMER &&
			out->actions[i].timer.kind == TIMER_PART)
			return true;
	return false;
}

/* Its legs went into another call in this step; whoever had both ends here, on purpose. */
static bool has_merged(const struct core_out *out, call_id call)
{
	for (unsigned i = 0; i < out->nfacts; i++)
		if (out->facts[i].type == FACT_CONVERSATION_MERGED && out->facts[i].call == call)
			return true;
	return false;
}

/* It had come from another call, and a join failed: it is in a call of its own again. */
static bool has_parted(const struct core_out *out, const struct ct_leg *l)
{
	for (unsigned i = 0; i < out->nfacts; i++)
		if (out->facts[i].type == FACT_CONVERSATION_OPENED && out->facts[i].call != l->call)
			return id_call(l->id) != l->call;
	return false;
}

/* The second dialog of a transferor who has left with the first one hears how it ended (E-093). */
static bool is_aide_told(const struct core_out *out, const struct ct_leg *l)
{
	for (unsigned i = 0; i < out->nactions; i++)
		if (out->actions[i].type == ACT_NOTIFY && out->actions[i].notify.final &&
			out->actions[i].leg == l->id)
			return id_call(l->id) != l->call;
	return false;
}

/* It says that it has another call in the place of this one: a REFER was passed on to it. */
static bool has_moved_on(const struct event *ev, leg_id leg)
{
	return ev->type == EV_REFER_NOTIFY && ev->leg == leg && ev->referred.status >= 200 &&
	       ev->referred.status < 300;
}

/* Another node has somebody to come in its place (E-090). */
static bool is_taken_over(const struct event *ev, leg_id leg)
{
	return ev->type == EV_INVITE && ev->invite.replaces == leg && ev->invite.source == SOURCE_PEER &&
	       !uuid_is_nil(&ev->invite.linked);
}

/* Somebody is to be kept in every call. If the core ends that leg, it must have been over: the
 * party itself left, or everybody it could talk to did. */
static void check_kept_kept(struct contract *ct, const struct event *ev, const struct core_out *out,
	const struct action *a)
{
	struct ct_leg *l, *lt, *kept = contract_leg(ct, a->leg);
	call_id call = kept ? kept->call : ID_NONE;
	struct ct_call *k = contract_call(ct, call);
	char id[ID_STRLEN];

	if (kept == NULL || k == NULL || k->commanded || has_merged(out, call) || ends_leg(ev, a->leg) ||
		!still_there(ct, kept) || has_moved_on(ev, a->leg) || is_taken_over(ev, a->leg) ||
		ev->type == EV_HANGUP ||
		(ev->type == EV_TRANSFER && other_is_queued(out, a)))
		return;
	HASH_ITER (hh, ct->legs, l, lt) {
		if (l->call != call || l == kept || !still_there(ct, l))
			continue;
		if (ends_leg(ev, l->id) || hangs_up(out, l->id) ||
			is_aide_told(out, l) || is_let_go(out, l->id) || has_parted(out, l))
			continue;
		contract_fail(ct, "kept-dropped",
			"leg %s was hung up while somebody else "
			"of the call was still on the phone",
			id_str(a->leg, id));
	}
	if (dials_in_call(out, call))
		contract_fail(ct, "kept-dropped",
			"leg %s was hung up while somebody was being dialled for it",
			id_str(a->leg, id));
}

/* Make before break: whoever asked for a transfer and is still there is not hung up while that
 * transfer runs, unless the other party left or a command ends the call. */
static void check_transferor_kept(struct contract *ct, struct books *books, const struct event *ev,
	const struct core_out *out, const struct action *a)
{
	struct ct_call *k = contract_call(ct, a->leg);
	struct ct_leg *l = contract_leg(ct, a->leg);
	struct ct_req *r = l && l->refer ? contract_req(ct, l->refer) : NULL;
	struct bk_conv *c, *cc;
	char id[ID_STRLEN];

	if (r == NULL || r->closed || k == NULL || k->commanded || !still_there(ct, l) ||
		ends_leg(ev, a->leg) || ev->type == EV_COMPLETE)
		return;
	HASH_ITER (hh, books->convs, c, cc)
		if (c->call == a->call && c->closed == 0 && c->open_xfers != 0 &&
			c->xfer_step != books->step) /* not the chain's next step */
			contract_fail(ct, "break-before-make",
				"leg %s was hung up while its transfer runs", id_str(a->leg, id));
	(void)out;
}

/* It was a call of its own again in this step, and nobody was found for it. */
static bool found_nobody(const struct core_out *out, call_id call)
{
	bool opened = false, closed = false;

	for (unsigned i = 0; i < out->nfacts; i++) {
		const struct fact *f = &out->facts[i];

		opened = opened || (f->type == FACT_CONVERSATION_OPENED && f->call == call);
		closed = closed || (opened && f->type == FACT_CONVERSATION_CLOSED && f->call == call);
	}
	return closed;
}

/* Two calls are put together, and what was the second has a caller, too. Whatever goes wrong with the
 * join, he is not pushed out: his dialog ends when he wants it, or on a command, or when the fallback chain
 * leads nowhere. */
static void check_met_stays(struct contract *ct, const struct event *ev, const struct core_out *out,
	const struct action *a)
{
	struct ct_leg *l = contract_leg(ct, a->leg);
	struct ct_call *k = contract_call(ct, a->leg);
	char id[ID_STRLEN];

	if (l == NULL || !l->met || !still_there(ct, l) || ends_leg(ev, a->leg) ||
		(ev->type != EV_OA_DONE && ev->type != EV_TIMER) || (k && k->commanded) ||
		(!ct->chain_leads && found_nobody(out, id_call(a->leg))))
		return;
	contract_fail(ct, "caller-let-go", "caller %s was hung up, because a join failed",
		id_str(a->leg, id));
}

/* The call that an id leads to: itself, or the one that its last leg has moved to. */
static struct ct_call *call_led_to(struct contract *ct, call_id id)
{
	struct ct_leg *l, *next;

	HASH_ITER (hh, ct->legs, l, next)
		if (id_call(l->id) == id && l->call != id && l->state < CT_ENDING)
			return contract_call(ct, l->call);
	return contract_call(ct, id);
}

static bool accepts_refer(const struct core_out *out)
{
	for (unsigned i = 0; i < out->nactions; i++)
		if (out->actions[i].type == ACT_REFER_ACCEPT)
			return true;
	return false;
}

/* A REFER that fails in the step in which it is taken ends a hold by command, and they talk again. What was
 * held and is led elsewhere is held as it was if it comes back. */
static void refer_ends_hold(struct contract *ct, const struct event *ev, const struct core_out *out)
{
	struct ct_leg *l = ev->leg != ID_NONE ? contract_leg(ct, ev->leg) : NULL;
	struct ct_call *k = l ? contract_call(ct, l->call) : NULL;
	bool closed = false;

	for (unsigned i = 0; i < out->nfacts; i++)
		closed = closed || out->facts[i].type == FACT_TRANSFER_CLOSED;
	if (k && closed && accepts_refer(out))
		k->held = false;
}

/* A button that was shown works, and one that was not is refused (M2). */
static void check_buttons(struct contract *ct, const struct event *ev, const struct core_out *out)
{
	struct ct_call *k = contract_call(ct, ev->call);
	bool good = false;

	refer_ends_hold(ct, ev, out);
	if (k == NULL || ev->leg != ID_NONE)
		return;
	for (unsigned i = 0; i < out->nactions; i++)
		if (out->actions[i].type == ACT_REPLY)
			good = out->actions[i].status < 300;
	if (good && (ev->type == EV_HOLD || ev->type == EV_UNHOLD))
		call_led_to(ct, ev->call)->held = ev->type == EV_HOLD;
	if (good && ev->type == EV_TRANSFER) { /* also one that fails in the same step */
		call_led_to(ct, ev->call)->held = false;
		call_led_to(ct, ev->call)->rung_by_command = true;
	}
	if (ev->type == EV_COMPLETE && good != k->may_complete)
		contract_fail(ct, "button-complete", "can_complete was %d", k->may_complete);
	if (ev->type == EV_SWAP && good != k->may_swap)
		contract_fail(ct, "button-swap", "can_swap was %d", k->may_swap);
	if (ev->type == EV_RESUME && good && !k->may_resume)
		contract_fail(ct, "button-resume", "can_resume was false, the command worked");
	if (ev->type == EV_XFER_CANCEL && good != k->may_cancel)
		contract_fail(ct, "button-cancel", "can_cancel was %d, the command %s",
			k->may_cancel, good ? "worked" : "was refused");
	if (ev->type == EV_TRANSFER && good && !k->may_transfer)
		contract_fail(ct, "button-transfer", "can_transfer was false, the command worked");
}

/* Who is rung from now on is rung for the REFER, also in the other one of two calls that have met. */
static void note_refer(struct contract *ct, const struct core_out *out)
{
	for (unsigned i = 0; accepts_refer(out) && i < out->nactions; i++) {
		const struct action *a = &out->actions[i];
		uint64_t id = a->type == ACT_TIMER ? a->timer.id : a->leg;
		struct ct_call *k = contract_call(ct, id_call(id));

		if (k != NULL)
			k->rung_by_command = false;
	}
}

/* Who is refused a dialog that is somebody else's is on record with it (M6). */
static void check_refusal_audited(struct contract *ct, const struct event *ev, const struct core_out *out)
{
	bool refused = false, audited = false;

	if (ev->type != EV_INVITE || ev->invite.replaces == ID_NONE)
		return;
	for (unsigned i = 0; i < out->nactions; i++)
		refused = refused || (out->actions[i].type == ACT_REJECT && out->actions[i].status == 403);
	for (unsigned i = 0; i < out->nfacts; i++)
		audited = audited || (out->facts[i].type == FACT_AUDIT &&
					     str_eq(out->facts[i].audit.result, "refused"));
	if (refused && !audited)
		contract_fail(ct, "refusal-unaudited", "an INVITE with Replaces got 403: no audit");
}

void judge_actions(struct contract *ct, struct books *books, const struct event *ev,
	const struct core_out *out)
{
	check_buttons(ct, ev, out);
	check_refusal_audited(ct, ev, out);
	note_refer(ct, out);
	for (unsigned i = 0; i < out->nactions; i++) {
		const struct action *a = &out->actions[i];
		struct ct_call *k;

		if (a->type != ACT_HANGUP)
			continue;
		k = contract_call(ct, a->leg);
		if (k != NULL && k->kept == a->leg)
			check_kept_kept(ct, ev, out, a);
		check_transferor_kept(ct, books, ev, out, a);
		check_met_stays(ct, ev, out, a);
	}
}

/* ---- the call as it stands ------------------------------------------------------------------- */

static const struct leg_view *with_role(const struct call_view *v, const char *role)
{
	for (unsigned i = 0; i < v->nlegs; i++)
		if (strcmp(v->legs[i].role, role) == 0)
			return &v->legs[i];
	return NULL;
}

/* No exchange runs on the leg, and its last one succeeded. */
static bool is_quiet(const struct ct_leg *l, const struct leg_view *v)
{
	return l->state == CT_UP && !l->untold && !l->offer_in && !l->none_in &&
	       !l->offer_out && !l->ack_due &&
	       !l->owes_ack && !l->timer[TIMER_GLARE].armed && !l->oa_failed &&
	       strcmp(v->oa, "idle") == 0;
}

/* No exchange runs on any leg that is up, and none has failed; nobody's ACK, with an answer in it, is
 * still to come. */
static bool is_still(struct contract *ct, const struct call_view *v)
{
	for (unsigned i = 0; i < v->nlegs; i++) {
		const struct ct_leg *l = contract_leg(ct, v->legs[i].id);

		if (l != NULL && (l->state == CT_ANSWERED ||
					 (l->state == CT_UP && !is_quiet(l, &v->legs[i]))))
			return false;
	}
	return true;
}

static void check_hears(struct contract *ct, const struct ct_leg *ear, const struct ct_leg *mouth)
{
	char a[ID_STRLEN], b[ID_STRLEN];

	id_str(ear->id, a);
	id_str(mouth->id, b);
	if (ear->given.from != mouth->id)
		contract_fail(ct, "wrong-media",
			"leg %s should hear %s and was given another's SDP", a, b);
	else if (ear->given.ver != mouth->ver)
		contract_fail(ct, "stale-media",
			"leg %s was given version %u of %s, whose SDP is %u", a, ear->given.ver, b,
			mouth->ver);
}

static void check_directions(struct contract *ct, const struct ct_leg *a, const struct ct_leg *b)
{
	char id[ID_STRLEN];

	if (a->intent != DIR_SENDRECV || b->intent != DIR_SENDRECV)
		return;
	if (a->given.dir != DIR_SENDRECV || a->dir != DIR_SENDRECV)
		contract_fail(ct, "stuck-on-hold",
			"nobody holds, and leg %s was told %s and says %s", id_str(a->id, id),
			dir_name(a->given.dir), dir_name(a->dir));
}

/* Who is given a music server's session is on hold. */
static void check_music_given(struct contract *ct, const struct ct_leg *l)
{
	char id[ID_STRLEN];

	if (l->given.music && !contract_hears_music(l))
		contract_fail(ct, "music-stays", "leg %s is not held, and has a music server's SDP",
			id_str(l->id, id));
}

/* Who is to talk with whom in this state; false: nobody. */
static bool are_to_talk(const struct call_view *v, const struct leg_view **a, const struct leg_view **b)
{
	static const struct {
		const char *state, *a, *b;
	} pairs[] = {{"TALK", "kept", "owner"}, {"BACK", "kept", "owner"}, {"RESUME", "kept", "owner"},
		{"ASIDE", "kept", "owner"}, {"CONSULT", "owner", "target"}};

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (strcmp(pairs[i].state, v->state) == 0) {
			*a = with_role(v, pairs[i].a);
			*b = with_role(v, pairs[i].b);
			return true;
		}
	return false;
}

static void check_talk(struct contract *ct, const struct call_view *v)
{
	const struct leg_view *kept = NULL, *owner = NULL;
	struct ct_leg *a, *b;
	char id[ID_STRLEN];

	if (!are_to_talk(v, &kept, &owner))
		return;
	a = kept ? contract_leg(ct, kept->id) : NULL;
	b = owner ? contract_leg(ct, owner->id) : NULL;
	if ((a && a->untold) || (b && b->untold))
		return;
	if (a == NULL || b == NULL || a->state >= CT_ENDING || b->state >= CT_ENDING) {
		contract_fail(ct, "dead-line", "call %s is in %s without two living parties",
			id_str(v->id, id), v->state);
		return;
	}
	if (!is_quiet(a, kept) || !is_quiet(b, owner))
		return;
	if (contract_call(ct, v->id) && contract_call(ct, v->id)->held) {
		a->unsure = b->unsure = false; /* who is held is asked when that ends, if then */
		if (a->given.dir == DIR_SENDRECV && !a->hold_failed)
			contract_fail(ct, "not-held", "leg %s is held by command, and was not told",
				id_str(a->id, id));
		return;
	}
	if (a->given.music || b->given.music) {
		check_music_given(ct, a);
		check_music_given(ct, b);
		return;
	}
	if (a->unsure || b->unsure)
		contract_fail(ct, "not-asked-anew",
			"leg %s talks since before the restart, and was not asked",
			id_str(a->unsure ? a->id : b->id, id));
	if (a->asked + b->asked >= ROUNDS_MAX)
		return; /* two phones that never stop changing were let be */
	check_hears(ct, a, b);
	check_hears(ct, b, a);
	check_directions(ct, a, b);
	check_directions(ct, b, a);
	a->asked = b->asked = 0;
}

/* Somebody has answered and media is being agreed: there is always somebody who has been asked. */
static void check_join(struct contract *ct, const struct call_view *v)
{
	static const struct {
		const char *state, *a;
	} joins[] = {{"ANSWERING", "kept"}, {"JOIN", "kept"}, {"ALONE_JOIN", "kept"}, {"QUEUE_JOIN", "kept"},
		{"STAY_JOIN", "kept"}, {"CONSULT_JOIN", "owner"}, {"CONSULT_QUEUE_JOIN", "owner"}};
	const struct leg_view *one = NULL, *target = with_role(v, "target");
	const struct ct_leg *a, *b;
	char id[ID_STRLEN];

	for (unsigned i = 0; i < sizeof(joins) / sizeof(joins[0]) && one == NULL; i++)
		if (strcmp(joins[i].state, v->state) == 0)
			one = with_role(v, joins[i].a);
	a = one ? contract_leg(ct, one->id) : NULL;
	b = target ? contract_leg(ct, target->id) : NULL;
	if (a != NULL && b != NULL && is_quiet(a, one) && is_quiet(b, target))
		contract_fail(ct, "join-at-rest", "call %s is in %s, and nobody is asked for anything",
			id_str(v->id, id), v->state);
}

/* The third party of a consultation waits: held, with music for its ears. */
static void check_third(struct contract *ct, const struct call_view *v)
{
	bool aside = strcmp(v->state, "ASIDE") == 0;
	const struct leg_view *third = with_role(v, aside ? "target" : "kept");
	const struct ct_leg *l = third ? contract_leg(ct, third->id) : NULL;
	char id[ID_STRLEN];

	if ((!aside && strcmp(v->state, "CONSULT") != 0) || l == NULL || !is_quiet(l, third))
		return;
	if (l->given.dir == DIR_SENDRECV && !l->hold_failed)
		contract_fail(ct, "third-not-held", "leg %s waits in %s, and was not told",
			id_str(l->id, id), v->state);
	else if (!contract_hears_music(l))
		contract_fail(ct, "silence", "leg %s waits in %s and hears %s", id_str(l->id, id),
			v->state, hears_name(l->hears));
}

/* A click holds the caller while somebody is rung for him (M3); a phone that sends REFER holds by itself. */
static void check_clicked(struct contract *ct, const struct call_view *v)
{
	const struct ct_call *k = contract_call(ct, v->id);
	const struct leg_view *kept = with_role(v, "kept");
	const struct ct_leg *l = kept ? contract_leg(ct, kept->id) : NULL;
	char id[ID_STRLEN];

	if (strcmp(v->state, "RING") == 0 && k != NULL && k->rung_by_command && l != NULL &&
		is_quiet(l, kept) && !l->hold_failed && l->given.dir == DIR_SENDRECV)
		contract_fail(ct, "not-held",
			"somebody is rung for leg %s by a click, and it is not held",
			id_str(l->id, id));
}

static const struct leg_view *only_target(const struct call_view *v)
{
	const struct leg_view *found = NULL;

	for (unsigned i = 0; i < v->nlegs; i++) {
		if (strcmp(v->legs[i].role, "target") != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = &v->legs[i];
	}
	return found;
}

/* Click-to-dial: the phone of who calls is up while the number is called. It hears what that plays before
 * it answers, and never somebody who has gone. */
static void check_early(struct contract *ct, const struct call_view *v)
{
	const struct leg_view *kept = with_role(v, "kept"), *target = only_target(v);
	const struct ct_leg *a = kept ? contract_leg(ct, kept->id) : NULL, *b;
	char id[ID_STRLEN];

	if (strcmp(v->state, "SETUP") != 0 || a == NULL || !is_quiet(a, kept) || a->given.music ||
		a->asked >= ROUNDS_MAX)
		return;
	b = target ? contract_leg(ct, target->id) : NULL;
	if (b != NULL && b->state == CT_DIALING && b->ver != 0 && b->dest.kind == DEST_PEER &&
		(a->given.from != b->id || a->given.ver != b->ver))
		contract_fail(ct, "early-media-unheard",
			"leg %s is up, and was not given what rings and plays for it", id_str(a->id, id));
	if (a->given.from == ID_MUSIC || a->given.dir != DIR_SENDRECV)
		return;
	b = contract_leg(ct, a->given.from);
	if (b == NULL || b->state >= CT_ENDING)
		contract_fail(ct, "early-media-of-nobody", "leg %s hears somebody who has gone",
			id_str(a->id, id));
}

static bool keeps_waiting(enum dir d)
{
	return d == DIR_SENDONLY || d == DIR_INACTIVE;
}

static bool is_known(const struct ct_leg *l)
{
	return l == NULL || (!l->untold && !l->unsure && !l->unknown);
}

/* Time is booked as talk only while two living dialogs have each other's media. After a restart nobody knows
 * what they have until they are asked: the answer that made it talk may have died with the process. */
static void check_booking(struct contract *ct, const struct call_view *v)
{
	const struct leg_view *kept = with_role(v, "kept"), *owner = with_role(v, "owner");
	struct ct_leg *a = kept ? contract_leg(ct, kept->id) : NULL;
	struct ct_leg *b = owner ? contract_leg(ct, owner->id) : NULL;
	char id[ID_STRLEN];

	if (v->interval == NULL || strcmp(v->interval, "talking") != 0 ||
		strcmp(v->state, "END") == 0 || !is_known(a) || !is_known(b))
		return;
	if (a == NULL || b == NULL || a->state != CT_UP || b->state != CT_UP ||
		a->given.from != b->id || b->given.from != a->id)
		contract_fail(ct, "talk-without-media",
			"call %s books talk, and its two parties do not hear each other",
			id_str(v->id, id));
}

/* .. and is booked as talk while they do; who holds is booked as holding, on both sides. */
static void check_booked(struct contract *ct, const struct call_view *v)
{
	const struct leg_view *kept = with_role(v, "kept"), *owner = with_role(v, "owner");
	const struct ct_leg *a = kept ? contract_leg(ct, kept->id) : NULL;
	const struct ct_leg *b = owner ? contract_leg(ct, owner->id) : NULL;
	bool holds;
	char id[ID_STRLEN];

	if (strcmp(v->state, "TALK") != 0 || v->interval == NULL || a == NULL || b == NULL ||
		!is_quiet(a, kept) || !is_quiet(b, owner) || a->unsure || b->unsure ||
		(a->intent != DIR_SENDRECV && b->intent != DIR_SENDRECV) ||
		a->intent == DIR_RECVONLY || b->intent == DIR_RECVONLY)
		return; /* who holds whom is not plain */
	holds = contract_call(ct, v->id)->held || keeps_waiting(a->intent) || keeps_waiting(b->intent);
	if (strcmp(v->interval, "ringing") == 0 || strcmp(v->interval, "queued") == 0 ||
		(holds && strcmp(v->interval, "talking") == 0) ||
		(!holds && (strcmp(v->interval, "holding") == 0 || strcmp(v->interval, "held") == 0)))
		contract_fail(ct, "booked-otherwise", "call %s books %s, and %s holds",
			id_str(v->id, id), v->interval, holds ? "somebody" : "nobody");
}

/* Nobody is there for the kept party. */
static bool waits_for_somebody(const char *state)
{
	static const char *const states[] = {"ALONE", "ALONE_FIND", "PASSED_ALONE", "WAIT", "CONSULT_RING",
		"CONSULT_WAIT"};

	for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(states[i], state) == 0)
			return true;
	return false;
}

/* Who waits hears music, and nobody hears it who talks. */
static void check_ears(struct contract *ct, const struct call_view *v)
{
	const struct leg_view *kept = with_role(v, "kept"), *owner = with_role(v, "owner");
	struct ct_leg *a = kept ? contract_leg(ct, kept->id) : NULL;
	struct ct_leg *b = owner ? contract_leg(ct, owner->id) : NULL;
	bool talking = v->interval != NULL && strcmp(v->interval, "talking") == 0;
	char id[ID_STRLEN];

	if (a == NULL || !is_quiet(a, kept))
		return;
	if (talking && b != NULL && is_quiet(b, owner) &&
		(a->hears != HEARS_PEER || b->hears != HEARS_PEER))
		contract_fail(ct, "music-in-talk", "call %s books talk, and hears %s and %s",
			id_str(v->id, id), hears_name(a->hears), hears_name(b->hears));
	if (a->hears == HEARS_PLACE && strcmp(v->state, "WAIT") != 0)
		contract_fail(ct, "place-of-nobody", "leg %s is told a place, and waits in no queue",
			id_str(a->id, id));
	if (waits_for_somebody(v->state) && (a->hears == HEARS_PEER || a->hears == HEARS_NOTHING))
		contract_fail(ct, "silence", "leg %s waits in %s and hears nobody", id_str(a->id, id),
			v->state);
}

/* Music is for who is held. */
static void check_held_ears(struct contract *ct, const struct call_view *v)
{
	char id[ID_STRLEN];

	const struct leg_view *one = NULL, *other = NULL;
	const struct ct_leg *a, *b;

	if (!are_to_talk(v, &one, &other))
		return; /* he hears it ring; or nobody is there who could be heard */
	a = one ? contract_leg(ct, one->id) : NULL;
	b = other ? contract_leg(ct, other->id) : NULL;
	if (a == NULL || b == NULL || a->asked + b->asked >= ROUNDS_MAX)
		return;
	for (unsigned i = 0; i < v->nlegs; i++) {
		const struct ct_leg *l = contract_leg(ct, v->legs[i].id);

		if (l != NULL && !l->parted && is_quiet(l, &v->legs[i]) && contract_hears_music(l) &&
			!l->hold_failed && !l->given.music && l->given.from != ID_MUSIC &&
			l->given.dir == DIR_SENDRECV)
			contract_fail(ct, "music-in-talk", "leg %s in %s is not held, and hears %s",
				id_str(l->id, id), v->state, hears_name(l->hears));
	}
}

/* A music server plays to one who is held, to nobody else, and no longer than that (RFC 7088). */
static void check_music(struct contract *ct, const struct call_view *v)
{
	char id[ID_STRLEN], server[ID_STRLEN];

	for (unsigned i = 0; i < v->nlegs; i++) {
		const struct leg_view *lv = &v->legs[i];
		struct ct_leg *m = contract_leg(ct, lv->id), *ear;

		if (strcmp(lv->role, "music") != 0 || m == NULL || m->untold)
			continue;
		id_str(m->id, server);
		id_str(m->plays_to, id);
		ear = contract_leg(ct, m->plays_to);
		if (ear == NULL || ear->state != CT_UP || ear->parted || !contract_hears_music(ear))
			contract_fail(ct, "music-outlives-hold",
				"leg %s plays, and %s does not hear music any more", server, id);
		else if (ear->call != v->id)
			contract_fail(ct, "music-elsewhere", "leg %s plays to %s of another call",
				server, id);
		else if (m->state == CT_UP && is_still(ct, v) && ear->given.from != m->id)
			contract_fail(ct, "music-unheard", "leg %s plays, and %s was not told",
				server, id);
	}
}

static bool is_transient(const char *state)
{
	static const char *const lasting[] = {"TALK", "CONSULT", "ASIDE", "END"};

	for (unsigned i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
		if (strcmp(lasting[i], state) == 0)
			return false;
	return true;
}

/* How long a call may be in a state without anything happening, by what the state waits for; 0: its queue
 * says. */
static int64_t time_for(const struct core_config *cfg, const char *state)
{
	const int64_t ring = cfg->ring_ms > cfg->recall_ms ? cfg->ring_ms : cfg->recall_ms;
	const struct {
		const char *state;
		int64_t ms;
	} times[] = {{"SETUP", cfg->setup_ms}, {"ORIGINATE", ring}, {"ANSWERING", cfg->join_ms},
		{"RING", cfg->ring_ms}, {"JOIN", cfg->join_ms}, {"RESUME", cfg->resume_ms},
		{"BACK", cfg->bye_ms}, {"ALONE", ring}, {"ALONE_JOIN", cfg->join_ms},
		{"QUEUE_JOIN", cfg->join_ms}, {"STAY_JOIN", cfg->join_ms},
		{"PASSED", cfg->ring_ms + cfg->join_ms},
		{"PASSED_ALONE", cfg->ring_ms + cfg->join_ms}, {"CONSULT_RING", cfg->ring_ms},
		{"CONSULT_JOIN", cfg->join_ms}, {"CONSULT_QUEUE_JOIN", cfg->join_ms},
		{"FIND", cfg->locate_ms}, {"ALONE_FIND", cfg->locate_ms}};

	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (strcmp(times[i].state, state) == 0)
			return times[i].ms;
	return 0;
}

/* The guard that runs is that of the state. */
static void check_guard_time(struct contract *ct, const struct call_view *v)
{
	const struct ct_call *k = contract_call(ct, v->id);
	int64_t ms = time_for(ct->cfg, v->state);
	char id[ID_STRLEN];

	if (ms != 0 && k != NULL && k->timer.armed && k->timer.due - ct->now > ms)
		contract_fail(ct, "guard-of-another-state",
			"call %s is in %s, whose time is %lld ms, and its guard runs for %lld",
			id_str(v->id, id), v->state, (long long)ms, (long long)(k->timer.due - ct->now));
}

static void check_guard(struct contract *ct, const struct call_view *v)
{
	struct ct_call *k = contract_call(ct, v->id);
	int64_t since = v->since > ct->restored_at ? v->since : ct->restored_at;
	char id[ID_STRLEN];

	id_str(v->id, id);
	if (!is_transient(v->state))
		return;
	if (k != NULL && !k->timer.armed)
		contract_fail(
			ct, "state-unguarded", "call %s is in %s and no guard runs", id, v->state);
	if (ct->now - since > TRANSIENT_MAX_MS)
		contract_fail(ct, "state-outlives-guard", "call %s is in %s for %lld ms", id,
			v->state, (long long)(ct->now - since));
	check_guard_time(ct, v);
}

/* What a state of the core's leg means for its dialog. */
static enum ct_leg_state dialog_of(const char *state)
{
	static const struct {
		const char *state;
		enum ct_leg_state dialog;
	} map[] = {{"new", CT_INCOMING}, {"early", CT_INCOMING}, {"answered", CT_ANSWERED},
		{"dialing", CT_DIALING}, {"ringing", CT_DIALING}, {"up", CT_UP},
		{"notifying", CT_UP}, {"parting", CT_UP}};

	for (unsigned i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (strcmp(map[i].state, state) == 0)
			return map[i].dialog;
	return CT_ENDING;
}

/* Adapter and core must agree about each dialog and the exchange on it. */
static void check_leg(struct contract *ct, const struct ct_leg *l, const struct leg_view *v)
{
	static const char *const dialogs[] = {
		"incoming", "answered", "dialing", "up", "ending", "closed"};
	bool lives = l->state == CT_UP || l->state == CT_ANSWERED;
	char id[ID_STRLEN];

	id_str(l->id, id);
	if (l->lost || l->untold)
		return;
	if (l->state != dialog_of(v->state))
		contract_fail(ct, "leg-state", "leg %s is %s in the core, and its dialog is %s", id,
			v->state, dialogs[l->state]);
	if (!lives)
		return;
	if (l->offer_out != (strcmp(v->oa, "sent") == 0) && l->state == CT_UP)
		contract_fail(ct, "leg-offer", "leg %s has oa %s in the core, and %s", id, v->oa,
			l->offer_out ? "an offer is out" : "no offer is out");
	if (l->offer_in != (strcmp(v->oa, "recv") == 0) ||
		l->none_in != (strcmp(v->oa, "recv_none") == 0))
		contract_fail(ct, "leg-offer", "leg %s has oa %s in the core, and %s", id, v->oa,
			l->offer_in || l->none_in ? "its offer waits" : "no offer of its waits");
}

/* What a dialog waits for comes, or its timer does; and no timer of a leg outlives that. */
static void check_leg_timers(struct contract *ct, const struct ct_leg *l, const struct leg_view *v)
{
	bool parts = strcmp(v->state, "parting") == 0 || strcmp(v->state, "notifying") == 0;
	char id[ID_STRLEN];

	id_str(l->id, id);
	if (parts != l->timer[TIMER_PART].armed)
		contract_fail(ct, "part-unguarded", "leg %s is %s, and its timer %s", id, v->state,
			parts ? "does not run" : "runs");
	if (parts && (l->offer_in || l->none_in))
		contract_fail(ct, "offer-left", "leg %s is %s, and its offer has no answer", id,
			v->state);
	if (strcmp(v->state, "closing") != 0 &&
		(strcmp(v->oa, "glare") == 0) != l->timer[TIMER_GLARE].armed)
		contract_fail(ct, "glare-unguarded", "leg %s has oa %s, and its timer %s", id, v->oa,
			l->timer[TIMER_GLARE].armed ? "runs" : "does not run");
}

static void check_legs(struct contract *ct, const struct call_view *v)
{
	char id[ID_STRLEN];

	for (unsigned i = 0; i < v->nlegs; i++) {
		const struct leg_view *lv = &v->legs[i];
		struct ct_leg *l = contract_leg(ct, lv->id);

		if (l == NULL)
			contract_fail(ct, "leg-ghost", "the core shows leg %s, which was freed",
				id_str(lv->id, id));
		else
			check_leg(ct, l, lv);
		if (l != NULL)
			check_leg_timers(ct, l, lv);
		if (l != NULL && strcmp(v->state, "TALK") != 0)
			l->unsure = false; /* whom it will hear it is told when that is known */
		if (l != NULL &&
			(strcmp(lv->state, "parting") == 0 || strcmp(lv->state, "notifying") == 0))
			l->parted = true;
	}
}

static bool is_one_of(const char *word, const char *const *words, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

static bool waits_in_queue(const char *state)
{
	static const char *const states[] = {"WAIT", "STAY_WAIT", "CONSULT_WAIT"};

	return is_one_of(state, states, sizeof(states) / sizeof(states[0]));
}

/* Who has a place in a queue waits there, and who does not wait has none. Agents ring for a caller while he
 * waits, and for nothing else that becomes of him. */
static void check_place(struct contract *ct, const struct call_view *v)
{
	const struct ct_call *k = contract_call(ct, v->id);
	bool waits = waits_in_queue(v->state);
	char id[ID_STRLEN];

	if (waits != (v->queue[0] != '\0'))
		contract_fail(ct, "place-of-nobody", "call %s is in %s, and its queue is \"%s\"",
			id_str(v->id, id), v->state, v->queue);
	for (unsigned i = 0; i < v->nlegs; i++) {
		struct ct_leg *l = contract_leg(ct, v->legs[i].id);

		if (l == NULL || l->state != CT_DIALING || strcmp(v->legs[i].role, "target") != 0)
			continue;
		if (waits)
			l->offered_to = true;
		if (waits && k != NULL && !k->queue.armed)
			contract_fail(ct, "offer-unguarded", "leg %s of an agent rings, and no timer runs",
				id_str(l->id, id));
		if (!waits && l->offered_to)
			contract_fail(ct, "rings-for-nobody",
				"leg %s of an agent rings, and call %s is in %s", id_str(l->id, id),
				v->queue, v->state);
	}
}

/* While another side is to act, it has been asked to; unless the process that was to ask has died. */
static void check_asked(struct contract *ct, const struct call_view *v)
{
	bool asked = false; /* each leg is looked at: who knows of a lost REFER may be the one who stays */
	struct ct_leg *l, *lt;
	char id[ID_STRLEN];

	if (strncmp(v->state, "PASSED", 6) != 0)
		return;
	HASH_ITER (hh, ct->legs, l, lt) {
		if (l->call != v->id)
			continue;
		if (l->untold || l->lost || v->since <= ct->restored_at)
			l->refer_lost = true;
		asked = asked || l->refer_lost || (l->referred != 0 && !l->refer_told);
	}
	if (!asked)
		contract_fail(ct, "passed-to-nobody", "call %s is in %s, and nobody has the REFER",
			id_str(v->id, id), v->state);
}

static void note_view(struct contract *ct, const struct call_view *v)
{
	const struct leg_view *kept = with_role(v, "kept");
	struct ct_call *k = contract_call(ct, v->id);

	if (k == NULL)
		return;
	for (unsigned i = 0; i < v->nlegs; i++) {
		struct ct_leg *l = contract_leg(ct, v->legs[i].id);

		if (l == NULL)
			continue;
		l->call = v->id;
		l->met = l->from_outside && strcmp(v->legs[i].role, "target") == 0;
		if (id_call(v->legs[i].id) != v->id && contract_call(ct, v->legs[i].id) != NULL) {
			contract_call(ct, v->legs[i].id)->kept = ID_NONE; /* an empty shell: held as it
									   * was, if it parts again */
		}
	}
	k->kept = kept ? kept->id : ID_NONE;
	k->may_transfer = v->can_transfer;
	k->may_cancel = v->can_cancel;
	k->may_complete = v->can_complete;
	k->may_swap = v->can_swap;
	k->may_resume = v->can_resume;
	if (strcmp(v->state, "TALK") != 0 && strcmp(v->state, "BACK") != 0)
		k->held = false;
}

void judge_call(struct contract *ct, const struct call_view *v)
{
	note_view(ct, v);
	if (strcmp(v->state, "CHAIN") == 0 || strcmp(v->state, "UNDO") == 0)
		contract_fail(ct, "instant-state", "a step ended in %s", v->state);
	check_legs(ct, v);
	if (!ct->failed)
		check_talk(ct, v);
	check_join(ct, v);
	check_third(ct, v);
	check_clicked(ct, v);
	check_booking(ct, v);
	check_booked(ct, v);
	check_early(ct, v);
	check_ears(ct, v);
	check_place(ct, v);
	check_asked(ct, v);
	check_held_ears(ct, v);
	check_music(ct, v);
	check_guard(ct, v);
}
