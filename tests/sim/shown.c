/* shown: see shown.h. */
#include "sim/shown.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/sim.h"

__attribute__((format(printf, 3, 4))) static void fail(
	struct sim *s, const char *rule, const char *fmt, ...)
{
	char text[BK_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sim_fail(s, rule, text);
}

/* ---- may this call go there? ----------------------------------------------------------------- */

void shown_before(struct sim *s, const struct event *ev)
{
	struct shown *sh = &s->shown;
	const struct ct_call *k = contract_call(&s->ct, ev->call);

	sh->tried = ev->type == EV_TRANSFER && ev->transfer.origin != ORIGIN_REFER &&
		    ev->leg == ID_NONE && k != NULL && k->may_transfer && !s->ct.lenient;
	if (sh->tried)
		core_try_transfer(s->core, ev, &sh->view);
}

/* .. and for the same reason, to the same target: what whoever asks is shown is what is on record. */
static void check_told(struct sim *s, const struct target_view *v)
{
	const char *why = NULL;
	bool meant = v->status != 0;

	for (unsigned i = 0; i < s->out.nfacts; i++) {
		const struct fact *f = &s->out.facts[i];

		if (f->type == FACT_AUDIT && str_eq(f->audit.action, "transfer"))
			why = f->audit.why;
		if (f->type == FACT_TRANSFER_OPENED && v->status == 0 && !meant) {
			meant = true; /* what follows is the chain's */
			if (!str_eq(f->transfer_opened.target_kind, target_kind_name((int)v->kind)) ||
				!str_eq(f->transfer_opened.target, v->name))
				fail(s, "shown-otherwise", "shown was %s %s, and it went to %s %s",
					target_kind_name((int)v->kind), v->name,
					f->transfer_opened.target_kind, f->transfer_opened.target);
		}
	}
	if (v->status != 0 && why != NULL && !str_eq(why, v->cause))
		fail(s, "shown-otherwise", "shown was %s, and it was refused as %s", v->cause, why);
}

static void check_tried(struct sim *s, const struct event *ev)
{
	const struct target_view *v = &s->shown.view;
	bool plain = ev->transfer.kind == XFER_BLIND && !ev->transfer.stay;

	for (unsigned i = 0; i < s->out.nactions; i++) {
		const struct action *a = &s->out.actions[i];

		if (a->type != ACT_REPLY || a->cmd != ev->transfer.cmd)
			continue;
		if (v->status != 0 && a->status < 300)
			fail(s, "shown-refused",
				"a transfer to \"%s\" was said to be refused (%s), and worked",
				ev->transfer.number, v->cause);
		else if (v->status == 0 && a->status >= 300 && plain)
			fail(s, "shown-allowed",
				"a transfer to \"%s\" was said to be allowed, and got %u %s",
				ev->transfer.number, a->status, a->text);
	}
	if (plain) /* nobody to consult first is no matter of whom */
		check_told(s, v);
}

/* ---- how many callers? ----------------------------------------------------------------------- */

static struct shown_queue *find_queue(struct shown *sh, const char *queue)
{
	struct shown_queue *q;

	HASH_FIND(hh, sh->queues, queue, strlen(queue), q);
	return q;
}

static void forget_queue(struct shown *sh, struct shown_queue *q)
{
	if (q == NULL)
		return;
	HASH_DEL(sh->queues, q);
	free(q);
}

void shown_forget(struct shown *sh)
{
	struct shown_queue *q, *next;

	HASH_ITER (hh, sh->queues, q, next)
		forget_queue(sh, q);
}

/* Of a queue that is known already: what the fact adds to its counts. */
static void count_visit(struct sim *s, struct shown_queue *q, const struct fact *f, int64_t in_time_ms)
{
	const struct bk_seg *seg;
	const char *outcome = f->segment_closed.outcome;

	if (f->type == FACT_TIMELINE) {
		q->entered++;
		return;
	}
	HASH_FIND(hh, s->books.segs, &f->segment_closed.seg, sizeof(uuid), seg);
	if (seg != NULL && strcmp(outcome, "answered") == 0) {
		q->answered++;
		q->in_time += seg->closed - seg->opened <= in_time_ms * 1000;
	} else if (strcmp(outcome, "abandoned") == 0) {
		q->abandoned++;
	} else if (strcmp(outcome, "timeout") == 0 || strcmp(outcome, "empty") == 0 ||
		   strcmp(outcome, "full") == 0 || strcmp(outcome, "closed") == 0) {
		q->overflowed++;
	}
}

/* The queue that a fact is about; NULL: it is about none. */
static const char *queue_of(struct sim *s, const struct fact *f)
{
	const struct bk_seg *seg = NULL;

	if (f->type == FACT_TIMELINE && strcmp(f->timeline.type, "queue_entered") == 0)
		return f->timeline.actor;
	if (f->type == FACT_SEGMENT_CLOSED)
		HASH_FIND(hh, s->books.segs, &f->segment_closed.seg, sizeof(uuid), seg);
	return seg != NULL && strcmp(seg->kind, "queue") == 0 ? seg->who : NULL;
}

static void note_queue(struct shown *sh, const char *queue, const struct queue_view *v)
{
	struct shown_queue *q = find_queue(sh, queue);

	if (q == NULL) {
		q = calloc(1, sizeof(*q));
		if (q == NULL)
			abort();
		str_set(q->queue, queue);
		HASH_ADD(hh, sh->queues, queue[0], strlen(q->queue), q);
	}
	q->entered = v->entered;
	q->answered = v->answered;
	q->in_time = v->in_time;
	q->abandoned = v->abandoned;
	q->overflowed = v->overflowed;
}

static void compare_counts(struct sim *s, const char *queue, int64_t now)
{
	struct shown_queue *q = find_queue(&s->shown, queue);
	struct queue_view v;

	if (!core_queue_view(s->core, queue, now, &v)) {
		forget_queue(&s->shown, q);
		return;
	}
	if (q != NULL && (q->entered != v.entered || q->answered != v.answered ||
				 q->in_time != v.in_time || q->abandoned != v.abandoned ||
				 q->overflowed != v.overflowed))
		fail(s, "queue-counts",
			"queue %s shows %llu entered, %llu answered, %llu in time, %llu abandoned, %llu"
			" overflowed; on record are %llu, %llu, %llu, %llu, %llu",
			queue, (unsigned long long)v.entered, (unsigned long long)v.answered,
			(unsigned long long)v.in_time, (unsigned long long)v.abandoned,
			(unsigned long long)v.overflowed, (unsigned long long)q->entered,
			(unsigned long long)q->answered, (unsigned long long)q->in_time,
			(unsigned long long)q->abandoned, (unsigned long long)q->overflowed);
	note_queue(&s->shown, queue, &v);
}

/* Who waits is shown in the order in which they are served, and the longest wait is somebody's. */
static void check_line(struct sim *s, const char *queue, int64_t now)
{
	struct queue_view v;
	struct waiting_view w, before = {.waited_ms = INT64_MAX / 2};
	int64_t longest = 0;
	unsigned n = 0;

	if (!core_queue_view(s->core, queue, now, &v))
		return;
	while (core_waiting_view(s->core, queue, n + 1, now, &w)) {
		if (w.waited_ms + w.credit_ms > before.waited_ms + before.credit_ms)
			fail(s, "queue-order", "queue %s serves %lld ms before %lld ms", queue,
				(long long)before.waited_ms, (long long)w.waited_ms);
		longest = w.waited_ms > longest ? w.waited_ms : longest;
		before = w;
		n++;
	}
	if (n != v.waiting || longest != v.longest_ms)
		fail(s, "queue-line", "queue %s shows %u who wait for up to %lld ms, and there are %u, %lld",
			queue, v.waiting, (long long)v.longest_ms, n, (long long)longest);
}

static void check_counts(struct sim *s, const struct event *ev)
{
	struct queue_view v;

	if (ev->type == EV_DIR_QUEUE) /* counts anew, if it was gone */
		forget_queue(&s->shown, find_queue(&s->shown, ev->queue.queue));
	for (unsigned i = 0; i < s->out.nfacts; i++) {
		const char *queue = queue_of(s, &s->out.facts[i]);
		struct shown_queue *q = queue ? find_queue(&s->shown, queue) : NULL;

		if (q != NULL && core_queue_view(s->core, queue, ev->now, &v))
			count_visit(s, q, &s->out.facts[i], v.row.service_ms);
	}
	for (unsigned i = 0; i < s->out.nfacts; i++) {
		const char *queue = queue_of(s, &s->out.facts[i]);

		if (queue != NULL) {
			compare_counts(s, queue, ev->now);
			check_line(s, queue, ev->now);
		}
	}
}

/* Of a queue that is removed, whoever waits there is sent away. */
static void check_removed(struct sim *s, const struct event *ev)
{
	struct call_view v;
	char id[ID_STRLEN];

	if (ev->type != EV_DIR_QUEUE || !ev->queue.gone)
		return;
	for (call_id k = core_next_call(s->core, ID_NONE); k != ID_NONE; k = core_next_call(s->core, k))
		if (core_view(s->core, k, &v) && str_eq(v.queue, ev->queue.queue))
			fail(s, "waits-in-no-queue", "call %s waits in %s, which is no more", id_str(k, id),
				v.queue);
}

/* ---- how long does it ring? ------------------------------------------------------------------ */

#define INHERITED_MS 1000 /* who takes over a place hears it ring for at least so long */

/* Since when does the newest of those ring who are asked for this caller? INT64_MIN: nobody does. */
static int64_t newest_offer(struct sim *s, const struct call_view *v)
{
	int64_t newest = INT64_MIN;

	for (unsigned i = 0; i < v->nlegs; i++) {
		const struct ct_leg *l = contract_leg(&s->ct, v->legs[i].id);

		if (l != NULL && l->state == CT_DIALING && strcmp(v->legs[i].role, "target") == 0 &&
			l->since > newest)
			newest = l->since;
	}
	return newest;
}

/* An agent's phone rings as long as the queue says: no longer, or the caller is stuck with somebody who is
 * not there; and not shorter, or nobody can get to it. */
static void check_ring(struct sim *s, call_id call, int64_t now)
{
	const struct ct_call *k = contract_call(&s->ct, call);
	struct call_view v;
	struct queue_view q;
	int64_t newest, left;

	if (k == NULL || !k->queue.armed || !core_view(s->core, call, &v) ||
		!core_queue_view(s->core, v.queue, now, &q) ||
		(newest = newest_offer(s, &v)) == INT64_MIN)
		return;
	left = k->queue.due - now;
	if (left > q.ring_ms && left > INHERITED_MS)
		fail(s, "offer-rings-on", "queue %s rings for %lld ms, and an offer of it for %lld more",
			v.queue, (long long)q.ring_ms, (long long)left);
	else if (newest + q.ring_ms > now && k->queue.due < newest + q.ring_ms)
		fail(s, "offer-cut-short", "queue %s rings for %lld ms, and an offer of it for %lld",
			v.queue, (long long)q.ring_ms, (long long)(k->queue.due - newest));
}

void shown_after(struct sim *s, const struct event *ev)
{
	if (s->ct.lenient)
		return;
	if (s->shown.tried)
		check_tried(s, ev);
	check_counts(s, ev);
	check_removed(s, ev);
	for (unsigned i = 0; i < s->out.nactions && !s->failed; i++)
		if (s->out.actions[i].type == ACT_TIMER &&
			s->out.actions[i].timer.kind == TIMER_QUEUE && s->out.actions[i].timer.ms > 0)
			check_ring(s, s->out.actions[i].timer.id, ev->now);
}
