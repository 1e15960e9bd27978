/* fuzz_sdp: input is a body, or two bodies (what was said before, what is said now) with a line
 * "=" between. */
#include "fuzz.h"
#include "sip/sdp.h"

static struct slice first_body(struct slice *rest)
{
	struct slice all = *rest, line;

	while (slice_line(rest, &line))
		if (slice_is(line, "="))
			return slice_of(all.p, (size_t)(line.p - all.p));
	*rest = slice_of(all.p, 0);
	return all;
}

/* What we write reads back, and has the m-lines that were asked for. */
static void check_rewrite(struct slice source, struct slice offer, enum sdp_role role)
{
	static char out[2 * SDP_MAX];
	struct sdp_local me;
	struct sdp in, made;
	size_t len;

	for (int dir = 0; dir < (int)sdp_dir_count_; dir++) {
		struct sdp_job job = {.role = role, .dir = (enum sdp_dir)dir, .source = source,
			.offer = offer};
		enum sdp_error e;

		sdp_local_init(&me, 1, "192.0.2.1");
		e = sdp_rewrite(&me, &job, out, sizeof(out), &len);
		if ((e && e != SDP_MISMATCH) || len > SDP_MAX)
			continue;
		e = sdp_scan(out, len, &made);
		must(e == SDP_OK || e == SDP_MANY); /* lines may be added */
		if (e == SDP_OK && role == SDP_ROLE_ANSWER && !sdp_scan(offer.p, offer.n, &in))
			must(in.n == made.n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice now = slice_of((const char *)data, size);
	struct slice before = first_body(&now), body;
	struct sdp_note note;
	struct sdp sdp;

	sdp_take_note(SDP_ANSWER, now.p, now.n, before.p, before.n, &note);
	must(note.what == SDP_NONE || (note.what == SDP_BAD) == (sdp_scan(now.p, now.n, &sdp) != 0));
	sdp_take_note(SDP_OFFER, before.p, before.n, before.p, before.n, &note);
	must(note.what != SDP_OFFER || note.same);
	must(sdp_answers(now, before) == sdp_answers(now, before));
	check_rewrite(before, now, SDP_ROLE_OFFER);
	check_rewrite(before, now, SDP_ROLE_ANSWER);
	sdp_in_body("multipart/mixed;boundary=b", before.p, before.n, &body);
	return 0;
}
