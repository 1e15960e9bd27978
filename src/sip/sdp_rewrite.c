/* sdp_rewrite: the rewriter of sdp.h. A plan is made first, one entry per m-line of the result;
 * then the text is written from the source's lines. */
#include <inttypes.h>
#include <stdio.h>

#include "sip/sdp.h"

#define SESSION_BITS 62

/* One m-line of the result. */
struct line_plan {
	const struct sdp_stream *src;   /* what is passed on; NULL: port 0 */
	const struct sdp_stream *model; /* port 0: whose m-line to repeat; NULL: use media, proto */
	struct slice media, proto;
	struct slice mid;
	enum dir dir;
};

struct plan {
	const struct sdp_job *job;
	const struct sdp *source;
	const struct sdp *offer;        /* NULL unless we answer */
	unsigned n;
	struct line_plan line[SDP_STREAMS_MAX];
	bool used[SDP_STREAMS_MAX];     /* streams of the source that have their place */
};

void sdp_local_init(struct sdp_local *me, uint64_t session, const char *address)
{
	memset(me, 0, sizeof(*me));
	me->session = session & ((UINT64_C(1) << SESSION_BITS) - 1);
	str_set(me->address, str_empty(address) ? "0.0.0.0" : address);
}

static void slot_set(struct sdp_slot *slot, struct slice media, struct slice proto)
{
	str_copy_n(slot->media, sizeof(slot->media), media.p, media.n);
	str_copy_n(slot->proto, sizeof(slot->proto), proto.p, proto.n);
}

/* ---- planning ------------------------------------------------------------------------------ */

/* How alike a stream and an m-line must be; tried in this order. */
enum likeness { LIKE_MEDIA_AND_PROTO, LIKE_MEDIA, LIKE_FAX, LIKE_ANY };

static int is_fax_pair(struct slice a, struct slice b)
{
	return (slice_is(a, "audio") && slice_is(b, "image")) ||
	       (slice_is(a, "image") && slice_is(b, "audio"));
}

static int is_like(const struct line_plan *line, const struct sdp_stream *st, enum likeness how)
{
	switch (how) {
	case LIKE_MEDIA_AND_PROTO:
		return slice_eq(line->media, st->media) && slice_eq(line->proto, st->proto);
	case LIKE_MEDIA:
		return slice_eq(line->media, st->media);
	case LIKE_FAX:
		return is_fax_pair(line->media, st->media);
	default:
		return 1;
	}
}

static enum dir wanted_dir(const struct plan *plan, const struct sdp_stream *st)
{
	switch (plan->job->dir) {
	case SDP_DIR_INACTIVE:
		return DIR_INACTIVE;
	case SDP_DIR_RECVONLY:
		return DIR_RECVONLY;
	case SDP_DIR_SENDONLY:
		return DIR_SENDONLY;
	case SDP_DIR_SENDRECV:
		return DIR_SENDRECV;
	default:
		return st->dir;
	}
}

/* Gives stream s of the source its place in the result. */
static void place(struct plan *plan, struct line_plan *line, unsigned s)
{
	const struct sdp_stream *st = &plan->source->stream[s];

	plan->used[s] = true;
	line->media = st->media;
	line->proto = st->proto;
	line->model = st;
	line->mid = st->mid;
	line->dir = wanted_dir(plan, st);
	if (st->active)
		line->src = st;
}

/* Places active streams that have no place yet on lines that have no stream yet. */
static void place_all(struct plan *plan, enum likeness how)
{
	for (unsigned s = 0; s < plan->source->n; s++) {
		const struct sdp_stream *st = &plan->source->stream[s];

		if (plan->used[s] || !st->active)
			continue;
		for (unsigned i = 0; i < plan->n; i++) {
			struct line_plan *line = &plan->line[i];

			if (!line->model && is_like(line, st, how)) {
				place(plan, line, s);
				break;
			}
		}
	}
}

static void append_rest(struct plan *plan)
{
	for (unsigned s = 0; s < plan->source->n && plan->n < SDP_STREAMS_MAX; s++)
		if (!plan->used[s] && plan->source->stream[s].active)
			place(plan, &plan->line[plan->n++], s);
}

/* An offer: every slot the leg ever had, then what is new (RFC 3264 section 8). */
static void plan_offer(struct plan *plan, const struct sdp_local *me)
{
	plan->n = me->nslots;
	for (unsigned i = 0; i < plan->n; i++) {
		struct line_plan *line = &plan->line[i];

		line->media = slice_str(me->slot[i].media);
		line->proto = slice_str(me->slot[i].proto);
		if (i < plan->source->n && is_like(line, &plan->source->stream[i], LIKE_MEDIA))
			place(plan, line, i);
	}
	place_all(plan, LIKE_MEDIA_AND_PROTO);
	place_all(plan, LIKE_MEDIA);
	place_all(plan, LIKE_FAX);
	append_rest(plan);
	place_all(plan, LIKE_ANY); /* no line is left to append: use one that is off */
}

static int is_secure(struct slice proto)
{
	for (; proto.n >= 4; proto = slice_skip(proto, 1))
		if (slice_starts(proto, "SAVP"))
			return 1;
	return 0;
}

/* May this stream of the source answer that stream of the offer? */
static int can_answer(const struct plan *plan, unsigned s, const struct sdp_stream *offered,
	int any_proto)
{
	const struct sdp_stream *st = &plan->source->stream[s];

	if (plan->used[s] || !st->active || !slice_eq(st->media, offered->media))
		return 0;
	if (is_secure(st->proto) != is_secure(offered->proto))
		return 0; /* E-057: never plain for secure, nor the other way round */
	return any_proto || slice_eq(st->proto, offered->proto);
}

/* The stream of the source that answers line i of the offer, or its count for none. */
static unsigned find_answer(const struct plan *plan, unsigned i)
{
	const struct sdp_stream *offered = &plan->offer->stream[i];

	if (!offered->active)
		return plan->source->n;
	if (i < plan->source->n && can_answer(plan, i, offered, 1))
		return i;
	for (int any_proto = 0; any_proto < 2; any_proto++)
		for (unsigned s = 0; s < plan->source->n; s++)
			if (can_answer(plan, s, offered, any_proto))
				return s;
	return plan->source->n;
}

/* An answer: the lines of the offer, no more, no fewer (RFC 3264 section 6). */
static enum sdp_error plan_answer(struct plan *plan)
{
	unsigned placed = 0;

	plan->n = plan->offer->n;
	for (unsigned i = 0; i < plan->n; i++) {
		const struct sdp_stream *offered = &plan->offer->stream[i];
		struct line_plan *line = &plan->line[i];
		unsigned s = find_answer(plan, i);

		if (s < plan->source->n) {
			place(plan, line, s);
			line->dir = sdp_dir_clamp(line->dir, offered->dir);
			placed++;
		} else {
			line->model = offered;
			line->media = offered->media;
			line->proto = offered->proto;
		}
		line->mid = offered->mid;
	}
	return placed > 0 ? SDP_OK : SDP_MISMATCH;
}

/* ---- writing ------------------------------------------------------------------------------- */

static void out_line(struct out *o, struct slice line)
{
	out_slice(o, line);
	out_str(o, "\r\n");
}

static void out_origin(struct out *o, const struct sdp_local *me, uint64_t version)
{
	char number[STR_NUMBER_MAX];

	out_str(o, "o=segue ");
	out_str(o, str_number(me->session, number));
	out_str(o, " ");
	out_str(o, str_number(version, number));
	out_str(o, strchr(me->address, ':') ? " IN IP6 " : " IN IP4 ");
	out_str(o, me->address);
	out_str(o, "\r\n");
}

static int is_dir_line(struct slice line)
{
	if (line.n < 3 || line.p[0] != 'a' || line.p[1] != '=' || !strchr("sri", line.p[2]))
		return 0; /* most lines */
	for (int i = 0; i < (int)dir_count_; i++)
		if (slice_is(slice_trim(slice_skip(line, 2)), dir_name(i)))
			return 1;
	return 0;
}

static void out_dir(struct out *o, enum dir dir)
{
	out_str(o, "a=");
	out_str(o, dir_name((int)dir));
	out_str(o, "\r\n");
}

/* The mid that the result has for a stream of the source; n 0 if it has none. */
static struct slice mid_in_result(const struct plan *plan, struct slice mid)
{
	for (unsigned i = 0; i < plan->n; i++)
		if (plan->line[i].src && slice_eq(plan->line[i].src->mid, mid))
			return plan->line[i].mid;
	return slice_of(NULL, 0);
}

/* a=group: only the streams that are still there (RFC 5888 section 9.2, RFC 8843). */
static void out_group(struct out *o, const struct plan *plan, struct slice line)
{
	struct slice words = line, word;
	struct out before = *o;
	unsigned n = 0;

	out_slice(o, slice_word(&words));
	while ((word = slice_word(&words)).n > 0) {
		struct slice mid = mid_in_result(plan, word);

		if (mid.n == 0)
			continue;
		out_str(o, " ");
		out_slice(o, mid);
		n++;
	}
	out_str(o, "\r\n");
	if (n == 0 && !o->failed)
		*o = before;
}

static int is_time_line(struct slice line)
{
	return slice_starts(line, "t=") || slice_starts(line, "r=") || slice_starts(line, "z=");
}

/* RFC 3264 section 6: the t= line of an answer equals that of the offer. */
static void out_times(struct out *o, const struct sdp *sdp)
{
	struct slice rest = sdp->session, line;

	while (slice_line(&rest, &line))
		if (is_time_line(line))
			out_line(o, line);
}

static void out_session(struct out *o, const struct plan *plan, const struct sdp_local *me,
	uint64_t version)
{
	struct slice rest = plan->source->session, line;
	int times = 0;

	while (slice_line(&rest, &line)) {
		if (line.n == 0 || is_dir_line(line))
			continue;
		if (slice_starts(line, "o=")) {
			out_origin(o, me, version);
		} else if (slice_starts(line, "a=group:")) {
			out_group(o, plan, line);
		} else if (plan->offer && is_time_line(line)) {
			if (!times++)
				out_times(o, plan->offer);
		} else {
			out_line(o, line);
		}
	}
}

static void out_media(struct out *o, struct slice media, uint32_t port, uint32_t nports,
	struct slice proto, struct slice formats)
{
	char number[STR_NUMBER_MAX];

	out_str(o, "m=");
	out_slice(o, media);
	out_str(o, " ");
	out_str(o, str_number(port, number));
	if (nports > 1) {
		out_str(o, "/");
		out_str(o, str_number(nports, number));
	}
	out_str(o, " ");
	out_slice(o, proto);
	out_str(o, " ");
	out_line(o, formats);
}

/* Some format that may stand in an m-line which is off. */
static struct slice any_format(const struct line_plan *line)
{
	if (line->model)
		return line->model->formats;
	if (slice_is(line->media, "image"))
		return slice_str("t38");
	for (struct slice p = line->proto; p.n >= 7; p = slice_skip(p, 1))
		if (slice_starts(p, "RTP/"))
			return slice_str("0");
	return slice_str("*");
}

static void out_off(struct out *o, const struct plan *plan, const struct sdp_local *me,
	const struct line_plan *line)
{
	struct slice rest = plan->source->session, s;
	int connection = 0;

	out_media(o, line->media, 0, 1, line->proto, any_format(line));
	while (slice_line(&rest, &s))
		connection |= slice_starts(s, "c=");
	if (!connection) {
		out_str(o, strchr(me->address, ':') ? "c=IN IP6 " : "c=IN IP4 ");
		out_line(o, slice_str(me->address));
	}
	if (plan->offer && line->mid.n > 0) {
		out_str(o, "a=mid:");
		out_line(o, line->mid);
	}
}

static void out_stream(struct out *o, const struct plan *plan, const struct line_plan *line)
{
	const struct sdp_stream *st = line->src;
	struct slice rest = st->text, s;
	int said = 0;

	out_media(o, st->media, st->port, st->nports, st->proto, st->formats);
	while (slice_line(&rest, &s)) {
		if (s.n == 0)
			continue;
		if (is_dir_line(s)) {
			if (!said++)
				out_dir(o, line->dir);
		} else if (plan->offer && slice_starts(s, "a=mid:")) {
			if (line->mid.n > 0) {
				out_str(o, "a=mid:");
				out_line(o, line->mid);
			}
		} else {
			out_line(o, s);
		}
	}
	if (!said && (line->dir != DIR_SENDRECV || plan->source->dir_given))
		out_dir(o, line->dir);
}

static enum sdp_error write_body(const struct plan *plan, const struct sdp_local *me,
	uint64_t version, struct out *o)
{
	o->at = 0;
	o->failed = o->size == 0;
	out_session(o, plan, me, version);
	for (unsigned i = 0; i < plan->n; i++) {
		if (plan->line[i].src)
			out_stream(o, plan, &plan->line[i]);
		else
			out_off(o, plan, me, &plan->line[i]);
	}
	return out_end(o) ? SDP_NO_ROOM : SDP_OK;
}

/* The o= version rises if, and only if, anything else did change (RFC 3264 section 8). */
static enum sdp_error write_version(const struct plan *plan, struct sdp_local *me, struct out *o)
{
	enum sdp_error e = write_body(plan, me, me->version + 1, o);

	if (e)
		return e;
	if (plan->job->last.n == 0 || !sdp_same(slice_of(o->buf, o->at), plan->job->last)) {
		me->version++;
		return SDP_OK;
	}
	return write_body(plan, me, me->version, o);
}

static void keep_slots(struct sdp_local *me, const struct plan *plan)
{
	struct sdp_slot slot[SDP_STREAMS_MAX];

	/* the plan may point into the very slots that change */
	memcpy(slot, me->slot, sizeof(slot));
	for (unsigned i = 0; i < plan->n; i++)
		slot_set(&slot[i], plan->line[i].media, plan->line[i].proto);
	memcpy(me->slot, slot, sizeof(slot));
	me->nslots = plan->n;
}

enum sdp_error sdp_rewrite(struct sdp_local *me, const struct sdp_job *job, char *buf, size_t size,
	size_t *len)
{
	struct sdp source, offer;
	struct plan plan = {.job = job, .source = &source};
	struct out o = {buf, size, 0, 0};
	enum sdp_error e = sdp_scan(job->source.p, job->source.n, &source), fit = SDP_OK;

	*len = 0;
	if (e)
		return e;
	if (job->role == SDP_ROLE_ANSWER) {
		e = sdp_scan(job->offer.p, job->offer.n, &offer);
		if (e)
			return e;
		plan.offer = &offer;
		fit = plan_answer(&plan);
	} else {
		plan_offer(&plan, me);
	}
	e = write_version(&plan, me, &o);
	if (e)
		return e;
	keep_slots(me, &plan);
	*len = o.at;
	return fit;
}
