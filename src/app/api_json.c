/* api_json: how calls, transfers, people and queues look in JSON. */
#include "app/api_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- numbers --------------------------------------------------------------------------------- */

#define SHOWN_FIRST 3
#define SHOWN_LAST  4

/* +442079460132 -> +44 **** 0132; what is as short as an extension stays. */
void api_mask(const char *number, char *buf, size_t size)
{
	size_t n = strlen(number);

	if (n <= SHOWN_FIRST + SHOWN_LAST)
		str_copy(buf, size, number);
	else
		snprintf(buf, size, "%.*s****%s", SHOWN_FIRST, number, number + n - SHOWN_LAST);
}

void api_show_number(const char *number, bool masked, char *buf, size_t size)
{
	if (masked)
		api_mask(number, buf, size);
	else
		str_copy(buf, size, number);
}

static void put_number(json_t *o, const char *key, const char *number, bool masked)
{
	char buf[NUM_MAX + 8];

	if (!masked) {
		jo_text_or_null(o, key, number);
		return;
	}
	api_mask(number, buf, sizeof(buf));
	jo_text_or_null(o, key, buf);
}

/* Many carriers send the number as the caller's name, too. */
static void put_outside_name(json_t *o, const char *name, bool masked)
{
	unsigned digits = 0;

	for (const char *p = name; *p != '\0'; p++)
		digits += isdigit((unsigned char)*p) != 0;
	jo_text_or_null(o, "name", masked && digits > SHOWN_FIRST + SHOWN_LAST ? NULL : name);
}

/* ---- transfers ------------------------------------------------------------------------------- */

json_t *api_transfer_json(const struct live_transfer *t, bool masked)
{
	json_t *o = json_object(), *to = json_object();
	bool outside = str_eq(t->target_kind, "external");

	jo_uuid(o, "id", &t->id);
	jo_id(o, "call", t->call);
	jo_uuid(o, "conversation", &t->conv);
	jo_text(o, "kind", t->kind);
	jo_text(o, "via", t->via);
	jo_text_or_null(o, "asker", t->asker);
	jo_text(to, "kind", t->target_kind);
	jo_text_or_null(to, "name", t->target);
	put_number(to, "number", t->number, masked && outside);
	json_object_set_new(o, "target", to);
	jo_int(o, "attempt", t->attempt);
	jo_text(o, "stage", t->stage);
	jo_text_or_null(o, "outcome", t->outcome);
	jo_text_or_null(o, "cause", t->cause);
	jo_int(o, "sip_status", t->sip_status);
	jo_time(o, "asked_at", t->asked);
	jo_time(o, "ringing_at", t->ringing);
	jo_time(o, "answered_at", t->answered);
	jo_time(o, "ended_at", t->ended);
	jo_uuid(o, "previous", &t->prev);
	jo_uuid(o, "next", &t->next);
	return o;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* What a state of the table is for people; what is not listed moves the call to somebody else. */
static const struct {
	const char *state, *shown;
} shown_states[] = {
	{"SETUP", "ringing"},
	{"ORIGINATE", "ringing"},
	{"ANSWERING", "ringing"},
	{"WAIT", "queued"},
	{"QUEUE_JOIN", "queued"},
	{"CONSULT_WAIT", "consulting"},
	{"CONSULT_QUEUE_JOIN", "consulting"},
	{"CONSULT_RING", "consulting"},
	{"CONSULT_JOIN", "consulting"},
	{"CONSULT", "consulting"},
	{"ASIDE", "consulting"},
	{"TALK", "talking"},
	{"BACK", "talking"},
	{"END", "ended"},
};

const char *api_shown_state(const struct call_view *v)
{
	for (size_t i = 0; i < sizeof(shown_states) / sizeof(shown_states[0]); i++) {
		if (!str_eq(shown_states[i].state, v->state))
			continue;
		if (!str_eq(shown_states[i].shown, "talking"))
			return shown_states[i].shown;
		if (str_eq(v->interval, "holding") || str_eq(v->interval, "held"))
			return "held";
		if (!str_eq(v->interval, "menu"))
			return "talking";
		return str_eq(v->why_not, "voicemail") ? "voicemail" : "menu";
	}
	return "transferring";
}

static const char *name_of(const struct api *a, const char *user)
{
	const struct live_user *u = live_user(a->live, user);

	return u ? u->row.name : "";
}

/* Who talks with the customer: a user, a menu, or a number. */
static json_t *with_json(const struct api *a, const struct call_view *v, bool masked)
{
	const struct live_user *u = live_user(a->live, v->with);
	const struct live_ivr *i = u ? NULL : live_ivr_at(a->live, v->with);
	json_t *o;

	if (v->with[0] == '\0')
		return json_null();
	o = json_object();
	jo_text_or_null(o, "user", u ? v->with : NULL);
	jo_text_or_null(o, "name", u ? u->row.name : i ? i->row.name : NULL);
	put_number(o, "number", u ? u->row.number : v->with, masked && u == NULL && i == NULL);
	return o;
}

static json_t *party_json(const struct api *a, const struct live_call *k,
	const struct call_view *v, const struct leg_view *l, bool masked)
{
	json_t *o = json_object();

	jo_id(o, "leg", l->id);
	jo_text(o, "role", l->role);
	jo_text(o, "state", l->state);
	jo_text(o, "direction", l->outbound ? "out" : "in");
	jo_text_or_null(o, "user", l->user);
	if (l->user[0] != '\0')
		jo_text_or_null(o, "name", name_of(a, l->user));
	else
		put_outside_name(o, l->party.name, masked);
	put_number(o, "number", l->party.number, masked && l->user[0] == '\0');
	jo_text_or_null(o, "peer", l->peer);
	jo_bool(o, "changing", live_leg_changes(l));
	jo_time(o, "since", live_stamp(k, l->since, v->started));
	return o;
}

static void put_can(json_t *o, const char *verb, bool can, const char *why_not)
{
	json_object_set_new(o, verb, can ? json_true() : jo_string(why_not));
}

/* verb -> true, or the code of the reason why not. */
static json_t *can_json(const struct call_view *v)
{
	const char *why_not = v->why_not ? v->why_not : "not_now";
	bool ended = !v->can_hangup;
	json_t *o = json_object();

	put_can(o, "transfer", v->can_transfer && !v->can_move, why_not);
	put_can(o, "move", v->can_move, ended ? "ended" : "not_waiting");
	put_can(o, "consult", v->can_transfer && v->with[0] != '\0', why_not);
	put_can(o, "complete", v->can_complete, ended ? "ended" : "no_consultation");
	put_can(o, "swap", v->can_swap, ended ? "ended" : "no_consultation");
	put_can(o, "cancel", v->can_cancel, ended ? "ended" : "no_transfer");
	put_can(o, "resume", v->can_resume, ended ? "ended" : "not_alone");
	put_can(o, "hold", v->can_hold, ended ? "ended" : v->can_unhold ? "held" : why_not);
	put_can(o, "unhold", v->can_unhold, ended ? "ended" : "not_held");
	put_can(o, "hangup", v->can_hangup, "ended");
	return o;
}

static json_t *queue_place_json(const struct call_view *v)
{
	json_t *o;

	if (v->queue[0] == '\0')
		return json_null();
	o = json_object();
	jo_text(o, "name", v->queue);
	jo_int(o, "position", v->position);
	jo_int(o, "estimate_ms", v->estimate_ms);
	return o;
}

static void add_interval(json_t *list, const char *state, int64_t from, int64_t to)
{
	json_t *o = json_object();

	jo_text(o, "state", state);
	jo_time(o, "from", from);
	jo_time(o, "to", to);
	json_array_append_new(list, o);
}

/* What the parties besides the customer have been doing, interval by interval; those that go on
 * have no end. */
static json_t *so_far_json(const struct live_call *k, const struct call_view *v)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < k->npast; i++)
		add_interval(list, k->past[i].state, k->past[i].from, k->past[i].to);
	for (unsigned i = 0; i < k->nsegments; i++) {
		const struct live_segment *s = &k->segments[i];
		bool talks = s->answered != 0 && v->interval != NULL;

		if (s->ended == 0)
			add_interval(list,
				str_eq(s->kind, "queue") ? "queued" : talks ? v->interval : "ringing",
				s->open, 0);
	}
	return list;
}

static json_t *call_json(const struct api *a, const struct live_call *k, const struct call_view *v,
	bool masked)
{
	const struct live_transfer *t = live_transfer(a->live, &k->transfer);
	json_t *o = json_object(), *customer = json_object(), *parties = json_array();

	jo_id(o, "id", k->id);
	jo_uuid(o, "conversation", &k->conv);
	jo_text(o, "kind", k->kind);
	jo_text(o, "state", api_shown_state(v));
	jo_text(o, "table_state", v->state);
	jo_text_or_null(o, "interval", v->interval);
	put_number(customer, "number",
		k->customer_number[0] ? k->customer_number : v->customer_number, masked);
	put_outside_name(customer, k->customer_name, masked);
	json_object_set_new(o, "customer", customer);
	put_number(o, "dialled", k->dialled, masked && str_eq(k->kind, "outbound"));
	jo_text_or_null(o, "source", k->source);
	json_object_set_new(o, "with", with_json(a, v, masked));
	jo_time(o, "started_at", k->started);
	jo_time(o, "since", live_stamp(k, v->since, v->started));
	jo_time(o, "deadline", k->deadline ? live_stamp(k, k->deadline, v->started) : 0);
	json_object_set_new(o, "queue", queue_place_json(v));
	jo_text_or_null(o, "department", k->queue);
	json_object_set_new(o, "transfer",
		t && t->ended == 0 ? api_transfer_json(t, masked) : json_null());
	jo_text(o, "recording", k->recording);
	jo_text_or_null(o, "case", k->case_key);
	jo_bool(o, "recovered", k->recovered);
	for (unsigned i = 0; i < v->nlegs; i++)
		if (!str_eq(v->legs[i].role, "music")) /* a server that plays is no party */
			json_array_append_new(parties, party_json(a, k, v, &v->legs[i], masked));
	json_object_set_new(o, "parties", parties);
	json_object_set_new(o, "so_far", so_far_json(k, v));
	json_object_set_new(o, "can", can_json(v));
	return o;
}

static char *text_of(json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text;
}

json_t *api_call_json(const struct api *a, const struct live_call *k, bool masked)
{
	struct call_view v;

	return core_view(api_core(a), k->id, &v) ? call_json(a, k, &v, masked) : NULL;
}

const char *api_call_row(const struct api *a, struct live_call *k, bool masked)
{
	struct live_text *kept = &k->text[masked];
	struct call_view v;
	uint64_t look;

	if (!core_view(api_core(a), k->id, &v))
		return NULL;
	look = live_look(a->live, k, &v);
	if (kept->text != NULL && look != 0 && kept->look == look)
		return kept->text;
	free(kept->text);
	kept->text = text_of(call_json(a, k, &v, masked));
	kept->len = kept->text ? strlen(kept->text) : 0;
	kept->look = look;
	kept->steps = live_steps(a->live, k);
	return kept->text;
}

const struct live_text *api_call_told(const struct api *a, struct live_call *k, bool masked)
{
	const struct live_text *kept = &k->text[masked];

	if (kept->text != NULL && kept->look != 0 && kept->steps == live_steps(a->live, k))
		return kept;
	return api_call_row(a, k, masked) ? kept : NULL;
}

char *api_call_text(const struct api *a, const struct live_call *k, bool masked)
{
	struct live_call *own = live_call(a->live, k->id);
	const char *row = own == k ? api_call_row(a, own, masked) : NULL;
	json_t *o;

	if (own == k)
		return row ? strdup(row) : NULL;
	o = api_call_json(a, k, masked); /* it is leaving */
	return o ? text_of(o) : NULL;
}

/* Somebody who is none of ours; `who` is the peer then, or nothing. */
static bool is_outside(const struct api *a, const struct live_segment *s)
{
	return !str_eq(s->kind, "queue") && !str_eq(s->kind, "ivr") && !str_eq(s->kind, "voicemail") &&
	       live_user(a->live, s->who) == NULL;
}

static json_t *segment_json(const struct api *a, const struct live_segment *s, bool masked)
{
	json_t *o = json_object();

	jo_uuid(o, "id", &s->id);
	jo_int(o, "seq", s->n);
	jo_text(o, "kind", s->kind);
	jo_text_or_null(o, "who", s->who);
	jo_text_or_null(o, "name", name_of(a, s->who));
	put_number(o, "number", s->number, masked && is_outside(a, s));
	jo_time(o, "offered_at", s->offered);
	jo_time(o, "answered_at", s->answered);
	jo_time(o, "ended_at", s->ended);
	jo_text_or_null(o, "outcome", s->outcome);
	jo_uuid(o, "transfer_in", &s->transfer_in);
	jo_int(o, "ring_ms", s->ring_ms);
	jo_int(o, "talk_ms", s->talk_ms);
	jo_int(o, "hold_ms", s->hold_ms);
	jo_int(o, "held_ms", s->held_ms);
	jo_int(o, "consult_ms", s->consult_ms);
	jo_int(o, "wait_ms", s->wait_ms);
	return o;
}

static void add_sentence(void *arg, int64_t at, const char *text)
{
	json_t *o = json_object();

	jo_time(o, "at", at);
	jo_text(o, "text", text);
	json_array_append_new(arg, o);
}

json_t *api_call_detail_json(const struct api *a, const struct live_call *k, bool masked)
{
	json_t *o = api_call_json(a, k, masked), *segments = json_array(), *story = json_array();

	for (unsigned i = 0; i < k->nsegments; i++)
		json_array_append_new(segments, segment_json(a, &k->segments[i], masked));
	json_object_set_new(o, "segments", segments);
	if (!masked) /* its sentences have numbers in them */
		story_each(runner_story(a->parts.runner), k->id, add_sentence, story);
	json_object_set_new(o, "story", story);
	jo_text(o, "sip_call_id", k->sip_call_id);
	return o;
}

/* ---- people and queues ----------------------------------------------------------------------- */

/* UTC microseconds of a monotonic time. */
static int64_t wall_of(int64_t mono_ms)
{
	return mono_ms ? loop_wall_us() - (loop_now_ms() - mono_ms) * 1000 : 0;
}

/* Who answers no queue has no agent's state; what the phones do says as much. */
void api_person_state(const struct api *a, const struct live_user *u, struct agent_view *v)
{
	struct live_busy busy;

	if (core_agent_view(api_core(a), u->row.user, v))
		return;
	memset(v, 0, sizeof(*v));
	live_busy(a->live, u->row.user, &busy);
	v->call = busy.call;
	v->since = busy.since;
	v->state = busy.talking	       ? AGENT_TALKING
		   : busy.ringing      ? AGENT_RINGING
		   : u->ncontacts == 0 ? AGENT_UNREACHABLE
				       : AGENT_FREE;
}

json_t *api_user_json(const struct api *a, const struct live_user *u)
{
	json_t *o = json_object(), *queues = json_array();
	bool agent = u->nqueues > 0;
	struct agent_view v;

	api_person_state(a, u, &v);
	jo_text(o, "user", u->row.user);
	jo_text_or_null(o, "name", u->row.name);
	jo_text_or_null(o, "number", u->row.number);
	jo_text(o, "role", user_role_name(u->row.role));
	jo_bool(o, "enabled", u->row.enabled);
	jo_bool(o, "registered", u->ncontacts > 0);
	jo_text(o, "state", agent_state_name(v.state));
	jo_time(o, "since", wall_of(v.since));
	jo_time(o, "until", wall_of(v.until));
	jo_text_or_null(o, "intent", agent ? agent_intent_name(v.intent) : NULL);
	jo_text_or_null(o, "reason", v.reason);
	jo_text_or_null(o, "intent_by", v.intent_by);
	jo_id(o, "call", v.call);
	for (unsigned i = 0; i < u->nqueues; i++)
		json_array_append_new(queues, jo_string(u->queue[i]));
	json_object_set_new(o, "queues", queues);
	jo_int(o, "answered", (int64_t)v.answered);
	jo_int(o, "talk_ms", v.talk_ms);
	return o;
}

const struct live_text *api_user_row(const struct api *a, struct live_user *u)
{
	struct live_text *kept = &u->text;
	struct agent_view v;
	uint64_t look;

	api_person_state(a, u, &v);
	look = live_user_look(u, &v);
	if (kept->text != NULL && kept->look == look)
		return kept;
	free(kept->text);
	kept->text = text_of(api_user_json(a, u));
	kept->len = kept->text ? strlen(kept->text) : 0;
	kept->look = look;
	return kept->text ? kept : NULL;
}

json_t *api_menu_json(const struct live_ivr *i)
{
	json_t *o = json_object();

	jo_text(o, "ivr", i->row.ivr);
	jo_text_or_null(o, "name", i->row.name);
	jo_text(o, "number", i->row.number);
	return o;
}

static void add_hours(const struct api *a, const struct live_queue *q, json_t *o)
{
	struct hours_view v;

	core_queue_hours(api_core(a), q->row.queue, loop_wall_us(), &v);
	jo_bool(o, "closed", v.closed);
	jo_time(o, "opens_at", v.opens_at);
	jo_time(o, "closes_at", v.closes_at);
	jo_text_or_null(o, "time_zone", v.zone);
}

json_t *api_queue_json(const struct api *a, const struct live_queue *q)
{
	json_t *o = json_object(), *agents = json_object();
	struct queue_view v;

	memset(&v, 0, sizeof(v));
	core_queue_view(api_core(a), q->row.queue, loop_now_ms(), &v);
	jo_text(o, "queue", q->row.queue);
	jo_text_or_null(o, "name", q->row.name);
	jo_text_or_null(o, "number", q->row.number);
	jo_int(o, "waiting", v.waiting);
	jo_time(o, "longest_since", v.waiting ? wall_of(loop_now_ms() - v.longest_ms) : 0);
	jo_int(o, "estimate_ms", v.estimate_ms);
	jo_int(o, "members", v.members);
	for (int i = 0; i < agent_state_count_; i++)
		jo_int(agents, agent_state_name(i), v.agents[i]);
	json_object_set_new(o, "agents", agents);
	add_hours(a, q, o);
	jo_int(o, "service_ms", q->row.service_ms);
	jo_int(o, "service_goal", q->row.service_goal);
	jo_int(o, "max_length", q->row.max_length);
	jo_int(o, "entered", (int64_t)v.entered);
	jo_int(o, "answered", (int64_t)v.answered);
	jo_int(o, "in_time", (int64_t)v.in_time);
	jo_int(o, "abandoned", (int64_t)v.abandoned);
	jo_int(o, "overflowed", (int64_t)v.overflowed);
	return o;
}
