/* books: see books.h. Rules are those of records.md, "Invariants" and "Durations". */
#include "sim/books.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TALKS_GROW 8

/* ---- small change ---------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void fail(
	struct books *b, const char *rule, const char *fmt, ...)
{
	va_list ap;

	if (b->failed)
		return;
	b->failed = true;
	str_set(b->rule, rule);
	va_start(ap, fmt);
	vsnprintf(b->text, sizeof(b->text), fmt, ap);
	va_end(ap);
}

static void fail_fact(struct books *b, const char *rule, const struct fact *f, const char *why)
{
	char line[360];

	fact_print(f, line, sizeof(line));
	fail(b, rule, "%s: %s", why, line);
}

static void *must_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (p == NULL)
		abort();
	return p;
}

struct bk_conv *books_conv(struct books *b, const uuid *id)
{
	struct bk_conv *c;

	HASH_FIND(hh, b->convs, id, sizeof(*id), c);
	return c;
}

static struct bk_seg *find_seg(struct books *b, const uuid *id)
{
	struct bk_seg *s;

	HASH_FIND(hh, b->segs, id, sizeof(*id), s);
	return s;
}

static struct bk_xfer *find_xfer(struct books *b, const uuid *id)
{
	struct bk_xfer *x;

	HASH_FIND(hh, b->xfers, id, sizeof(*id), x);
	return x;
}

void books_init(struct books *b)
{
	memset(b, 0, sizeof(*b));
}

void books_done(struct books *b)
{
	struct bk_conv *c, *ct;
	struct bk_seg *s, *st;
	struct bk_xfer *x, *xt;

	HASH_ITER (hh, b->convs, c, ct) {
		HASH_DEL(b->convs, c);
		free(c->talks);
		free(c);
	}
	HASH_ITER (hh, b->segs, s, st) {
		HASH_DEL(b->segs, s);
		free(s);
	}
	HASH_ITER (hh, b->xfers, x, xt) {
		HASH_DEL(b->xfers, x);
		free(x);
	}
	books_init(b);
}

/* The conversation a fact is about; complains if there is none or it was closed in an earlier
 * step. */
static struct bk_conv *open_conv(struct books *b, const struct fact *f, const uuid *id)
{
	struct bk_conv *c = books_conv(b, id);

	if (c == NULL)
		fail_fact(b, "fact-of-no-conversation", f, "its conversation was never opened");
	else if (c->closed != 0 && c->closed_step != b->step)
		fail_fact(b, "fact-after-close", f, "its conversation is closed");
	return b->failed ? NULL : c;
}

/* ---- conversations --------------------------------------------------------------------------- */

static void conversation_opened(struct books *b, const struct fact *f)
{
	const struct fact_conversation_opened *o = &f->conversation_opened;
	struct bk_conv *c;

	if (uuid_is_nil(&o->conv) || books_conv(b, &o->conv) != NULL) {
		fail_fact(b, "conversation-opened-twice", f, "no new id");
		return;
	}
	c = must_alloc(sizeof(*c));
	c->id = o->conv;
	c->call = f->call;
	c->order = ++b->nconvs;
	c->opened = f->at;
	str_set(c->kind, o->kind);
	HASH_ADD(hh, b->convs, id, sizeof(c->id), c);
}

static int by_start(const void *a, const void *b)
{
	const struct bk_span *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

/* Time in which at least one segment talked, ms. */
static int64_t talk_union(struct bk_conv *c)
{
	int64_t sum = 0, until = INT64_MIN;

	if (c->ntalks > 1)
		qsort(c->talks, c->ntalks, sizeof(*c->talks), by_start);
	for (unsigned i = 0; i < c->ntalks; i++) {
		int64_t from = c->talks[i].from > until ? c->talks[i].from : until;

		if (c->talks[i].to <= from)
			continue;
		sum += c->talks[i].to - from;
		until = c->talks[i].to;
	}
	return sum / 1000;
}

static void check_sums(struct books *b, const struct fact *f, struct bk_conv *c)
{
	const struct fact_conversation_closed *o = &f->conversation_closed;
	int64_t parts = o->ring_ms + o->wait_ms + o->talk_ms + o->hold_ms + o->held_ms +
			o->consult_ms + o->limbo_ms + o->ivr_ms;

	if (o->total_ms * 1000 != f->at - c->opened)
		fail_fact(b, "total-is-not-the-length", f, "total_ms is not end minus start");
	else if (parts != o->total_ms)
		fail_fact(b, "total-is-not-the-sum", f, "total_ms is not the sum of its parts");
	else if (!c->mixed && o->talk_ms != talk_union(c))
		fail_fact(
			b, "talk-is-not-the-union", f, "talk_ms is not the union of the segments'");
	else if (o->agent_talk_ms != c->agent_talk)
		fail_fact(b, "agent-talk-sum", f, "agent_talk_ms is not the sum of the segments'");
	else if (o->n_requested != c->requested || o->n_failed != c->failed || o->n_blind != c->blind ||
		 o->n_consult != c->consult || o->n_semi != c->semi)
		fail_fact(b, "transfer-counters", f, "the counters are not those of the transfers");
}

static void conversation_closed(struct books *b, const struct fact *f)
{
	const struct fact_conversation_closed *o = &f->conversation_closed;
	struct bk_conv *c = books_conv(b, &o->conv);

	if (c == NULL || c->closed != 0) {
		fail_fact(b, "conversation-closed-twice", f, "it is not open");
		return;
	}
	if (c->open_segs != 0 || c->open_xfers != 0) {
		fail_fact(b, "closed-over-open", f, "a segment or a transfer is still open");
		return;
	}
	if (strcmp(o->outcome, "answered") != 0 && strcmp(o->outcome, "abandoned") != 0 &&
		strcmp(o->outcome, "failed") != 0)
		fail_fact(b, "conversation-outcome", f, "no such outcome");
	c->closed = f->at;
	c->closed_step = b->step;
	check_sums(b, f, c);
}

/* What belonged to one belongs to the other from now on; what was talked in it stays its own. */
static void conversation_merged(struct books *b, const struct fact *f)
{
	const struct fact_conversation_merged *m = &f->conversation_merged;
	struct bk_conv *from = open_conv(b, f, &m->conv), *into = open_conv(b, f, &m->into);
	struct bk_xfer *x, *tmp;
	struct bk_seg *s;

	if (from == NULL || into == NULL)
		return;
	if (from == into || (from->order < into->order && from->opened != into->opened))
		fail_fact(b, "merged-into-younger", f, "the older conversation has to win");
	if (m->shift != into->nsegs)
		fail_fact(b, "merge-shift", f, "the numbers of its segments do not follow on");
	while ((s = from->first) != NULL) {
		from->first = s->next;
		s->next = into->first;
		into->first = s;
		s->conv = into->id;
	}
	if (from->requested > 0)
		HASH_ITER (hh, b->xfers, x, tmp)
			if (uuid_eq(&x->conv, &from->id))
				x->conv = into->id;
	into->mixed = true; /* each call has its own base of time (E-125) */
	into->nsegs += from->nsegs;
	into->open_segs += from->open_segs;
	if (from->open_xfers != 0)
		into->call = from->call; /* the call that meets keeps its id, whichever is older */
	into->open_xfers += from->open_xfers;
	into->agent_talk += from->agent_talk;
	into->requested += from->requested;
	into->completed += from->completed;
	into->failed += from->failed;
	into->blind += from->blind;
	into->consult += from->consult;
	into->semi += from->semi;
	from->nsegs = from->open_segs = from->open_xfers = from->agent_talk = 0;
	from->requested = from->completed = from->failed = 0;
	from->blind = from->consult = from->semi = 0;
}

/* ---- segments -------------------------------------------------------------------------------- */

static void segment_opened(struct books *b, const struct fact *f)
{
	const struct fact_segment_opened *o = &f->segment_opened;
	struct bk_conv *c = open_conv(b, f, &o->conv);
	struct bk_xfer *x;
	struct bk_seg *s;

	if (c == NULL)
		return;
	if (uuid_is_nil(&o->seg) || find_seg(b, &o->seg) != NULL) {
		fail_fact(b, "segment-opened-twice", f, "no new id");
		return;
	}
	if (o->n != ++c->nsegs)
		fail_fact(b, "segment-number-gap", f, "n does not follow on the one before");
	if (!uuid_is_nil(&o->transfer_in) && find_xfer(b, &o->transfer_in) == NULL)
		fail_fact(b, "segment-of-no-transfer", f, "transfer_in does not exist");
	if (!uuid_is_nil(&o->prev) && find_seg(b, &o->prev) == NULL)
		fail_fact(b, "segment-after-nobody", f, "prev does not exist");
	s = must_alloc(sizeof(*s));
	s->id = o->seg;
	s->conv = o->conv;
	s->opened = s->until = f->at;
	str_set(s->who, o->who);
	str_set(s->number, o->number);
	str_set(s->kind, o->kind);
	s->transfer_in = o->transfer_in;
	x = find_xfer(b, &o->transfer_in);
	if (x != NULL && x->rung++ == 0)
		x->recalls = strcmp(o->kind, "recall") == 0;
	s->opened_step = b->step;
	c->open_segs++;
	s->next = c->first;
	c->first = s;
	HASH_ADD(hh, b->segs, id, sizeof(s->id), s);
}

/* An answer that crossed the CANCEL is put on record after the segment was closed (E-016); it may
 * not make anybody talk. */
static void segment_answered(struct books *b, const struct fact *f)
{
	struct bk_seg *s = find_seg(b, &f->segment_answered.seg);

	if (s == NULL)
		fail_fact(b, "answer-of-no-segment", f, "no such segment");
	else if (s->answered == 0) {
		s->answered = f->at;
		s->answered_step = b->step;
	} else if (s->closed == 0)
		fail_fact(b, "segment-answered-twice", f, "it was answered already");
}

static void segment_changed(struct books *b, const struct fact *f)
{
	struct bk_seg *s = find_seg(b, &f->segment_changed.seg);

	if (s == NULL) {
		fail_fact(b, "change-of-no-segment", f, "no such segment");
		return;
	}
	s->transfer_in = f->segment_changed.transfer_in;
	str_set(s->kind, f->segment_changed.kind);
}

static int64_t *sum_of(struct bk_seg *s, const char *state)
{
	const struct {
		const char *name;
		int64_t *sum;
	} sums[] = {{"queued", &s->wait}, {"ringing", &s->ring}, {"talking", &s->talk},
		{"conference", &s->talk}, {"holding", &s->hold}, {"held", &s->held},
		{"consulting", &s->consult}, {"limbo", &s->limbo}, {"wrapup", &s->other},
		{"menu", &s->other}};

	for (unsigned i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		if (strcmp(sums[i].name, state) == 0)
			return sums[i].sum;
	return NULL;
}

static void add_talk(struct bk_conv *c, int64_t from, int64_t to)
{
	if (c->ntalks == c->talks_cap) {
		c->talks_cap += TALKS_GROW;
		c->talks = realloc(c->talks, c->talks_cap * sizeof(*c->talks));
		if (c->talks == NULL)
			abort();
	}
	c->talks[c->ntalks++] = (struct bk_span){from, to};
}

static void interval(struct books *b, const struct fact *f)
{
	const struct fact_interval *i = &f->interval;
	struct bk_seg *s = find_seg(b, &i->seg);
	struct bk_conv *c = s ? books_conv(b, &s->conv) : NULL;
	int64_t *sum = s ? sum_of(s, i->state) : NULL;

	if (s == NULL || c == NULL || s->closed != 0) {
		fail_fact(b, "interval-of-no-segment", f, "its segment is not open");
		return;
	}
	if (sum == NULL)
		fail_fact(b, "interval-state", f, "no such state");
	if (i->from != s->until)
		fail_fact(b, "interval-gap", f, "it does not begin where the last one ended");
	if (i->to < i->from || i->to > f->at)
		fail_fact(b, "interval-backwards", f, "it ends before it begins, or in the future");
	if (i->ms * 1000 != i->to - i->from)
		fail_fact(b, "interval-length", f, "ms is not to minus from");
	if (i->n != ++s->nint)
		fail_fact(b, "interval-number-gap", f, "n does not follow on the one before");
	if (b->failed)
		return;
	*sum += i->ms;
	s->until = i->to;
	str_set(s->last_state, i->state);
	if (sum == &s->talk) {
		add_talk(c, i->from, i->to);
		if (s->answered == 0)
			fail_fact(b, "talk-unanswered", f, "the segment was never answered");
	}
}

static void segment_closed(struct books *b, const struct fact *f)
{
	const struct fact_segment_closed *o = &f->segment_closed;
	struct bk_seg *s = find_seg(b, &o->seg);
	struct bk_conv *c = s ? books_conv(b, &s->conv) : NULL;

	if (s == NULL || c == NULL || s->closed != 0) {
		fail_fact(b, "segment-closed-twice", f, "it is not open");
		return;
	}
	if (s->until != f->at)
		fail_fact(b, "segment-not-covered", f, "its intervals do not reach its end");
	if (o->ring_ms != s->ring || o->talk_ms != s->talk || o->hold_ms != s->hold ||
		o->held_ms != s->held || o->consult_ms != s->consult || o->wait_ms != s->wait ||
		o->limbo_ms != s->limbo)
		fail_fact(b, "segment-sums", f, "its durations are not the sums of its intervals");
	if (!uuid_is_nil(&o->transfer_out) && find_xfer(b, &o->transfer_out) == NULL)
		fail_fact(b, "segment-of-no-transfer", f, "transfer_out does not exist");
	if (o->outcome[0] == '\0')
		fail_fact(b, "segment-outcome", f, "it has no outcome");
	s->closed = f->at;
	c->open_segs--;
	c->agent_talk += s->talk;
}

/* ---- transfers ------------------------------------------------------------------------------- */

static void transfer_opened(struct books *b, const struct fact *f)
{
	const struct fact_transfer_opened *o = &f->transfer_opened;
	struct bk_conv *c = open_conv(b, f, &o->conv);
	struct bk_xfer *x;

	if (c == NULL)
		return;
	if (uuid_is_nil(&o->xfer) || find_xfer(b, &o->xfer) != NULL) {
		fail_fact(b, "transfer-opened-twice", f, "no new id");
		return;
	}
	if (!uuid_is_nil(&o->prev) && find_xfer(b, &o->prev) == NULL)
		fail_fact(b, "transfer-after-nothing", f, "prev does not exist");
	if (!uuid_is_nil(&o->from_seg) && find_seg(b, &o->from_seg) == NULL)
		fail_fact(b, "transfer-from-nowhere", f, "from_seg does not exist");
	x = must_alloc(sizeof(*x));
	x->id = o->xfer;
	x->conv = o->conv;
	str_set(x->kind, o->kind);
	x->opened = f->at;
	x->opened_step = b->step;
	c->open_xfers++;
	c->xfer_step = b->step;
	c->requested++;
	HASH_ADD(hh, b->xfers, id, sizeof(x->id), x);
}

static void transfer_marked(struct books *b, const struct fact *f)
{
	static const char *const marks[] = {"", "accepted", "ringing", "answered", "joined"};
	const struct fact_transfer_marked *m = &f->transfer_marked;
	struct bk_xfer *x = find_xfer(b, &m->xfer);
	int at = 4;

	while (at > 0 && strcmp(marks[at], m->mark) != 0)
		at--;
	if (x != NULL && strcmp(m->mark, "answered_by") == 0) {
		if (x->closed == 0 || find_seg(b, &m->to_seg) == NULL)
			fail_fact(b, "mark-order", f, "who answered in the queue comes after the transfer");
		return;
	}
	if (strcmp(m->mark, "semi") == 0) { /* what kind it is, not how far it came */
		if (x != NULL)
			str_set(x->kind, "semi");
		return;
	}
	if (x == NULL || x->closed != 0)
		fail_fact(b, "mark-of-no-transfer", f, "its transfer is not open");
	else if (at == 0)
		fail_fact(b, "mark-unknown", f, "no such mark");
	else if (at <= x->marks && at != 2)
		fail_fact(b, "mark-order", f, "marks go accepted, ringing, answered, joined");
	else if (!uuid_is_nil(&m->to_seg) && find_seg(b, &m->to_seg) == NULL)
		fail_fact(b, "transfer-to-nowhere", f, "to_seg does not exist");
	else if (at > x->marks)
		x->marks = at;
	if (x != NULL)
		x->answered = x->answered || at == 3;
}

static bool is_outcome(const char *s)
{
	static const char *const outcomes[] = {
		"completed", "failed", "cancelled", "abandoned", "recalled", "fell_back"};

	for (unsigned i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		if (strcmp(outcomes[i], s) == 0)
			return true;
	return false;
}

/* A transfer is completed with somebody who is there for it: who came by it, or the queue that took the
 * caller. A person has answered before, and the case is his from then on (M13). */
static void check_completed(struct books *b, const struct fact *f, const struct bk_xfer *x)
{
	const struct bk_seg *s = find_seg(b, &f->transfer_closed.to_seg);

	if (s == NULL || x->marks < 4)
		fail_fact(b, "completed-unjoined", f, "completed without a join or a to_seg");
	else if (!uuid_eq(&s->conv, &x->conv))
		fail_fact(b, "completed-elsewhere", f, "to_seg is of another conversation");
	else if (s->answered_step > x->opened_step && s->answered_step > s->opened_step &&
		 !uuid_eq(&s->transfer_in, &x->id)) /* else he was there before, in another call */
		fail_fact(b, "completed-unjoined", f, "to_seg did not come by this transfer");
	else if (s->closed == 0 && strcmp(s->kind, "queue") != 0 && !x->answered)
		fail_fact(b, "completed-unanswered", f, "nobody is marked as having answered");
	else if (strcmp(s->kind, "recall") == 0 && x->rung && !x->recalls)
		fail_fact(b, "completed-by-recall", f, "who was asked for has not come: it is recalled");
}

/* The caller is back with the transferor, who was rung for him, or where that phone sends its calls. */
static void check_recalled(struct books *b, const struct fact *f, const struct bk_xfer *x)
{
	const struct bk_seg *s = find_seg(b, &f->transfer_closed.to_seg);

	if (s == NULL || !uuid_eq(&s->transfer_in, &x->id))
		fail_fact(b, "recalled-by-nobody", f, "to_seg did not come by this transfer");
}

static void transfer_closed(struct books *b, const struct fact *f)
{
	const struct fact_transfer_closed *o = &f->transfer_closed;
	struct bk_xfer *x = find_xfer(b, &o->xfer);
	struct bk_conv *c = x ? books_conv(b, &x->conv) : NULL;

	if (x == NULL || c == NULL || x->closed != 0) {
		fail_fact(b, "transfer-closed-twice", f, "it is not open (INV-2)");
		return;
	}
	if (!is_outcome(o->outcome))
		fail_fact(b, "transfer-outcome", f, "no such outcome");
	if (!uuid_is_nil(&o->to_seg) && find_seg(b, &o->to_seg) == NULL)
		fail_fact(b, "transfer-to-nowhere", f, "to_seg does not exist");
	if (strcmp(o->outcome, "completed") == 0)
		check_completed(b, f, x);
	if (strcmp(o->outcome, "recalled") == 0)
		check_recalled(b, f, x);
	if (strcmp(o->outcome, "failed") == 0 && o->cause[0] == '\0')
		fail_fact(b, "failed-without-cause", f, "failed, and no cause says why");
	x->closed = f->at;
	x->next = o->next;
	b->follows = uuid_is_nil(&o->next) ? b->follows : x;
	if ((strcmp(o->outcome, "fell_back") == 0) == uuid_is_nil(&o->next))
		fail_fact(b, "fell-back-to-nothing", f, "fell_back and next disagree");
	str_set(x->outcome, o->outcome);
	c->open_xfers--;
	if (strcmp(o->outcome, "completed") == 0) {
		c->completed++;
		*(strcmp(x->kind, "semi") == 0	      ? &c->semi
			: strcmp(x->kind, "consult") == 0 ? &c->consult
							  : &c->blind) += 1;
	}
	if (strcmp(o->outcome, "failed") == 0)
		c->failed++;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void timeline_entry(struct books *b, const struct fact *f)
{
	const struct fact_timeline *t = &f->timeline;
	struct bk_conv *c = open_conv(b, f, &t->conv);

	if (c == NULL)
		return;
	if (t->seq != ++c->seq)
		fail_fact(b, "timeline-gap", f, "seq does not follow on the one before");
	if (!uuid_is_nil(&t->seg) && find_seg(b, &t->seg) == NULL)
		fail_fact(b, "timeline-of-no-segment", f, "its segment does not exist");
	if (!uuid_is_nil(&t->xfer) && find_xfer(b, &t->xfer) == NULL)
		fail_fact(b, "timeline-of-no-transfer", f, "its transfer does not exist");
}

/* What somebody did to a call is on record with its conversation. */
static void audit_entry(struct books *b, const struct fact *f)
{
	if (f->call != ID_NONE && uuid_is_nil(&f->audit.conv))
		fail_fact(b, "audit-of-nothing", f, "it names no conversation");
}

static void take_fact(struct books *b, const struct fact *f)
{
	switch (f->type) {
	case FACT_CONVERSATION_OPENED:
		conversation_opened(b, f);
		break;
	case FACT_CONVERSATION_CLOSED:
		conversation_closed(b, f);
		break;
	case FACT_SEGMENT_OPENED:
		segment_opened(b, f);
		break;
	case FACT_SEGMENT_ANSWERED:
		segment_answered(b, f);
		break;
	case FACT_SEGMENT_CLOSED:
		segment_closed(b, f);
		break;
	case FACT_INTERVAL:
		interval(b, f);
		break;
	case FACT_TRANSFER_OPENED:
		transfer_opened(b, f);
		break;
	case FACT_TRANSFER_MARKED:
		transfer_marked(b, f);
		break;
	case FACT_TRANSFER_CLOSED:
		transfer_closed(b, f);
		break;
	case FACT_TIMELINE:
		timeline_entry(b, f);
		break;
	case FACT_CONVERSATION_MERGED:
		conversation_merged(b, f);
		break;
	case FACT_SEGMENT_CHANGED:
		segment_changed(b, f);
		break;
	case FACT_AUDIT:
		audit_entry(b, f);
		break;
	case FACT_NOTE:
		open_conv(b, f, &f->note.conv);
		break;
	case FACT_CASE_OWNER:
		open_conv(b, f, &f->case_owner.conv);
		break;
	default:
		break;
	}
}

/* The timeline tells of every transfer that begins or ends (M12), in the same step. */
static bool is_told(const struct core_out *out, const uuid *xfer, const char *type, const char *outcome)
{
	char word[24];

	snprintf(word, sizeof(word), "%s%s", type, outcome);
	for (unsigned i = 0; i < out->nfacts; i++) {
		const struct fact_timeline *t = &out->facts[i].timeline;

		if (out->facts[i].type == FACT_TIMELINE &&
			((uuid_eq(&t->xfer, xfer) && strcmp(t->type, word) == 0) ||
				strcmp(t->type, "transfer_refused") == 0))
			return true;
	}
	return false;
}

static void check_timeline(struct books *b, const struct core_out *out)
{
	for (unsigned i = 0; i < out->nfacts && !b->failed; i++) {
		const struct fact *f = &out->facts[i];

		if (f->type == FACT_TRANSFER_OPENED  &&
			!is_told(out, &f->transfer_opened.xfer, "transfer_requested", ""))
			fail_fact(b, "timeline-silent", f, "the timeline does not tell of it");
		if (f->type == FACT_TRANSFER_CLOSED &&
			!is_told(out, &f->transfer_closed.xfer, "transfer_", f->transfer_closed.outcome))
			fail_fact(b, "timeline-silent", f, "the timeline does not tell of it");
	}
}

void books_step(struct books *b, const struct core_out *out)
{
	b->step++;
	b->nfacts += out->nfacts;
	b->follows = NULL;
	for (unsigned i = 0; i < out->nfacts && !b->failed; i++)
		take_fact(b, &out->facts[i]);
	check_timeline(b, out);
	if (b->follows != NULL && find_xfer(b, &b->follows->next) == NULL)
		fail(b, "fell-back-to-nothing", "the transfer that follows was not opened");
}

/* ---- live state ------------------------------------------------------------------------------ */

/* Is there an open, answered segment of this person in the conversation? */
static bool is_with(const struct bk_conv *c, const char *who)
{
	for (const struct bk_seg *s = c->first; s != NULL; s = s->next)
		if (s->closed == 0 && s->answered != 0 &&
			(strcmp(s->who, who) == 0 || strcmp(s->number, who) == 0))
			return true;
	return false;
}

void books_compare(struct books *b, const struct call_view *v)
{
	struct bk_conv *c = books_conv(b, &v->conv);
	struct bk_xfer *x = uuid_is_nil(&v->xfer) ? NULL : find_xfer(b, &v->xfer);
	char id[ID_STRLEN];

	id_str(v->id, id);
	if (c == NULL)
		fail(b, "view-of-no-conversation",
			"call %s has a conversation that is not on record", id);
	else if (!uuid_is_nil(&v->xfer) && (x == NULL || x->closed != 0))
		fail(b, "view-transfer", "call %s shows a transfer that is not open on record", id);
	else if (uuid_is_nil(&v->xfer) && c->open_xfers != 0)
		fail(b, "view-transfer", "call %s shows no transfer, the record has one open", id);
	else if (v->with[0] != '\0' && !is_with(c, v->with))
		fail(b, "view-with", "call %s shows %s with the customer, the record does not", id,
			v->with);
}

/* Closed conversations need no longer be remembered. */
static void forget(struct books *b, struct bk_conv *c)
{
	struct bk_seg *s, *st;
	struct bk_xfer *x, *xt;

	HASH_ITER (hh, b->segs, s, st)
		if (uuid_eq(&s->conv, &c->id)) {
			HASH_DEL(b->segs, s);
			free(s);
		}
	HASH_ITER (hh, b->xfers, x, xt)
		if (uuid_eq(&x->conv, &c->id)) {
			HASH_DEL(b->xfers, x);
			free(x);
		}
	HASH_DEL(b->convs, c);
	free(c->talks);
	free(c);
}

void books_cut(struct books *b, bool (*is_back)(void *arg, const uuid *conv), void *arg)
{
	struct bk_conv *c, *ct;

	HASH_ITER (hh, b->convs, c, ct)
		if (c->closed == 0 && !c->lives)
			fail(b, "conversation-left", "a conversation was never closed (call %llx)",
				(unsigned long long)c->call);
		else if (c->closed == 0 && !is_back(arg, &c->id))
			forget(b, c);
		else
			c->lives = false;
}

void books_end(struct books *b)
{
	struct bk_conv *c, *ct;

	HASH_ITER (hh, b->convs, c, ct) {
		if (c->closed == 0)
			fail(b, "conversation-left", "a conversation was never closed (call %llx)",
				(unsigned long long)c->call);
		else if (c->open_segs != 0 || c->open_xfers != 0)
			fail(b, "closed-over-open", "a segment or transfer was left open");
		if (!b->failed)
			forget(b, c);
	}
}
