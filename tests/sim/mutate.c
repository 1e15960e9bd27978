/* mutate: see mutate.h. A mutator changes the output of one step, once, and sets s->mutated. */
#include "sim/mutate.h"

#include <stdlib.h>

/* ---- tools ----------------------------------------------------------------------------------- */

static struct action *find(struct core_out *out, enum act type)
{
	for (unsigned i = 0; i < out->nactions; i++)
		if (out->actions[i].type == type)
			return &out->actions[i];
	return NULL;
}

static struct fact *find_fact(struct core_out *out, enum fact_type type)
{
	for (unsigned i = 0; i < out->nfacts; i++)
		if (out->facts[i].type == type)
			return &out->facts[i];
	return NULL;
}

static void drop(struct sim *s, struct core_out *out, struct action *a)
{
	unsigned i;

	if (a == NULL)
		return;
	i = (unsigned)(a - out->actions);
	memmove(a, a + 1, (--out->nactions - i) * sizeof(*a));
	s->mutated = true;
}

static void twice(struct sim *s, struct core_out *out, const struct action *a)
{
	struct action copy;

	if (a == NULL)
		return;
	copy = *a;
	if (out->nactions == out->actions_cap) {
		out->actions_cap *= 2;
		out->actions = realloc(out->actions, out->actions_cap * sizeof(copy));
		if (out->actions == NULL)
			abort();
	}
	out->actions[out->nactions++] = copy;
	s->mutated = true;
}

static void drop_fact(struct sim *s, struct core_out *out, struct fact *f)
{
	unsigned i;

	if (f == NULL)
		return;
	i = (unsigned)(f - out->facts);
	memmove(f, f + 1, (--out->nfacts - i) * sizeof(*f));
	s->mutated = true;
}

#define MUTATOR(name) static void name(struct sim *s, const struct event *ev, struct core_out *out)

#define DROPS(name, type)                                                                          \
	MUTATOR(name)                                                                              \
	{                                                                                          \
		drop(s, out, find(out, type));                                                     \
	}

#define DOUBLES(name, type)                                                                        \
	MUTATOR(name)                                                                              \
	{                                                                                          \
		twice(s, out, find(out, type));                                                    \
	}

#define LOSES(name, type)                                                                          \
	MUTATOR(name)                                                                              \
	{                                                                                          \
		drop_fact(s, out, find_fact(out, type));                                           \
	}

/* ---- actions --------------------------------------------------------------------------------- */

DOUBLES(answer_twice, ACT_ANSWER)
DOUBLES(hangup_twice, ACT_HANGUP)
DOUBLES(offer_twice, ACT_OFFER)
DOUBLES(offer_answer_twice, ACT_OFFER_ANSWER)
DOUBLES(reply_twice, ACT_REPLY)
DOUBLES(accept_twice, ACT_REFER_ACCEPT)
DOUBLES(dial_twice, ACT_DIAL)
DOUBLES(info_twice, ACT_INFO)
DOUBLES(free_twice, ACT_LEG_FREE)
DROPS(no_reply, ACT_REPLY)
DROPS(no_accept, ACT_REFER_ACCEPT)
DROPS(no_reject, ACT_REFER_REJECT)
DROPS(no_info, ACT_INFO)
DROPS(no_hangup, ACT_HANGUP)
DROPS(no_answer, ACT_ANSWER)
DROPS(no_offer, ACT_OFFER)
DROPS(no_offer_answer, ACT_OFFER_ANSWER)
DROPS(no_leg_free, ACT_LEG_FREE)
DROPS(no_call_free, ACT_CALL_FREE)
DROPS(no_media, ACT_MEDIA)
DROPS(no_record, ACT_RECORD)

MUTATOR(final_notify_twice)
{
	struct action *a = find(out, ACT_NOTIFY);

	if (a != NULL && a->notify.final)
		twice(s, out, a);
}

MUTATOR(final_notify_lost)
{
	struct action *a = find(out, ACT_NOTIFY);

	if (a != NULL && a->notify.final)
		drop(s, out, a);
}

MUTATOR(wrong_sdp)
{
	struct action *a = find(out, ACT_OFFER);
	struct ct_leg *l, *lt;

	if (a == NULL || a->from == ID_NONE || s->mutated)
		return;
	HASH_ITER (hh, s->ct.legs, l, lt)
		if (l->id != a->from && l->id != a->leg && l->ver != 0) {
			a->from = l->id;
			s->mutated = true;
			return;
		}
}

MUTATOR(guard_forgotten)
{
	struct action *a = find(out, ACT_TIMER);

	if (a != NULL && a->timer.kind == TIMER_STATE && a->timer.ms >= 0)
		drop(s, out, a);
}

MUTATOR(close_guard_forgotten)
{
	for (unsigned i = 0; i < out->nactions && !s->mutated; i++)
		if (out->actions[i].type == ACT_TIMER &&
			out->actions[i].timer.kind == TIMER_CLOSE && out->actions[i].timer.ms >= 0)
			drop(s, out, &out->actions[i]);
}

/* The caller of a call in which two people talk is hung up for no reason. */
MUTATOR(caller_dropped)
{
	struct action *a = find(out, ACT_NOTIFY);
	struct ct_leg *l;

	if (a == NULL || a->notify.final || id_legno(a->leg) == 1)
		return;
	l = contract_leg(&s->ct, id_make_leg(id_call(a->leg), 1));
	if (l == NULL || l->state != CT_UP)
		return;
	twice(s, out, a);
	out->actions[out->nactions - 1] =
		(struct action){.type = ACT_HANGUP, .leg = l->id, .call = id_call(l->id)};
}

/* ---- facts ----------------------------------------------------------------------------------- */

LOSES(interval_lost, FACT_INTERVAL)
LOSES(segment_close_lost, FACT_SEGMENT_CLOSED)
LOSES(segment_open_lost, FACT_SEGMENT_OPENED)
LOSES(transfer_close_lost, FACT_TRANSFER_CLOSED)
LOSES(timeline_lost, FACT_TIMELINE)
LOSES(conversation_close_lost, FACT_CONVERSATION_CLOSED)

MUTATOR(answer_fact_lost)
{
	struct fact *f = find_fact(out, FACT_SEGMENT_ANSWERED);

	if (f != NULL && ev->type != EV_ANSWER)
		drop_fact(s, out, f);
}

MUTATOR(second_too_long)
{
	struct fact *f = find_fact(out, FACT_INTERVAL);

	if (f != NULL) {
		f->interval.ms += 1;
		s->mutated = true;
	}
}

MUTATOR(talk_wrong)
{
	struct fact *f = find_fact(out, FACT_SEGMENT_CLOSED);

	if (f != NULL && f->segment_closed.talk_ms > 0) {
		f->segment_closed.talk_ms -= 1;
		s->mutated = true;
	}
}

MUTATOR(total_wrong)
{
	struct fact *f = find_fact(out, FACT_CONVERSATION_CLOSED);

	if (f != NULL) {
		f->conversation_closed.total_ms += 1;
		s->mutated = true;
	}
}

MUTATOR(to_seg_invented)
{
	struct fact *f = find_fact(out, FACT_TRANSFER_CLOSED);

	if (f != NULL) {
		memset(&f->transfer_closed.to_seg, 0x5a, sizeof(uuid));
		s->mutated = true;
	}
}

/* clang-format off */
#define M(fn) {#fn, fn}
/* clang-format on */
const struct mutation mutations[] = {M(answer_twice), M(hangup_twice), M(offer_twice),
	M(offer_answer_twice), M(reply_twice), M(accept_twice), M(dial_twice), M(info_twice),
	M(free_twice), M(no_reply), M(no_accept), M(no_reject), M(no_info), M(no_hangup),
	M(no_answer), M(no_offer), M(no_offer_answer), M(no_leg_free), M(no_call_free), M(no_media),
	M(no_record),
	M(final_notify_twice), M(final_notify_lost), M(wrong_sdp), M(guard_forgotten),
	M(close_guard_forgotten), M(caller_dropped), M(interval_lost), M(segment_close_lost),
	M(segment_open_lost), M(transfer_close_lost), M(timeline_lost), M(conversation_close_lost),
	M(answer_fact_lost), M(second_too_long), M(talk_wrong), M(total_wrong), M(to_seg_invented)};
const unsigned nmutations = sizeof(mutations) / sizeof(mutations[0]);
