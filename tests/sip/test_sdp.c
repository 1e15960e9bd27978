/*
 * test_sdp: the scanner and the rewriter, case by case and with hostile bodies. The bodies under
 * "looping" made a widely used parser loop for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "sip/sdp.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define HEAD "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"
#define CONN "c=IN IP4 192.0.2.1\r\n"
#define TIME "t=0 0\r\n"
#define BASE HEAD CONN TIME
#define AUDIO                                                                                      \
	"m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
#define VIDEO "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
#define IMAGE "m=image 4004 udptl t38\r\na=T38FaxVersion:0\r\n"

static enum sdp_error scan(const char *text, struct sdp *sdp)
{
	return sdp_scan(text, strlen(text), sdp);
}

static void assert_slice(struct slice s, const char *expected)
{
	if (!slice_is(s, expected))
		fail_msg("'%.*s', expected '%s'", (int)s.n, s.p, expected);
}

/* ---- scanner ------------------------------------------------------------------------------- */

static void test_scan(void **state)
{
	struct sdp sdp;

	assert_int_equal(scan(BASE AUDIO "a=sendonly\r\n" VIDEO "a=mid:v\r\n", &sdp), SDP_OK);
	assert_int_equal(sdp.n, 2);
	assert_slice(sdp.session, BASE);
	assert_slice(sdp.session_id, "1");
	assert_slice(sdp.origin_address, "192.0.2.1");
	assert_slice(sdp.stream[0].media, "audio");
	assert_slice(sdp.stream[0].proto, "RTP/AVP");
	assert_slice(sdp.stream[0].formats, "0 8 101");
	assert_slice(sdp.stream[0].address, "192.0.2.1");
	assert_int_equal(sdp.stream[0].port, 4000);
	assert_int_equal(sdp.stream[0].dir, DIR_SENDONLY);
	assert_int_equal(sdp.stream[1].dir, DIR_SENDRECV);
	assert_slice(sdp.stream[1].mid, "v");
}

static void test_scan_lf(void **state)
{
	struct sdp sdp;

	assert_int_equal(scan("v=0\no=- 1 1 IN IP6 ::1\ns=-\nc=IN IP6 ::1\nt=0 0\nm=audio 9/2 RTP/AVP 0\n"
			      "a=inactive",
				 &sdp),
		SDP_OK);
	assert_int_equal(sdp.stream[0].nports, 2);
	assert_int_equal(sdp.stream[0].dir, DIR_INACTIVE);
	assert_slice(sdp.stream[0].text, "a=inactive");
}

static const struct {
	const char *body;
	enum dir dir;
	bool usable, image;
} notes[] = {
	{BASE AUDIO, DIR_SENDRECV, true, false},
	{BASE "a=sendonly\r\n" AUDIO, DIR_SENDONLY, true, false},
	{BASE "a=sendonly\r\n" AUDIO "a=sendrecv\r\n", DIR_SENDRECV, true, false},
	{BASE AUDIO "a=inactive \r\n", DIR_INACTIVE, true, false},
	/* hold of the old kind, RFC 2543: nothing may be sent there */
	{HEAD "c=IN IP4 0.0.0.0\r\n" TIME AUDIO, DIR_SENDONLY, true, false},
	{BASE AUDIO "c=IN IP4 0.0.0.0\r\na=recvonly\r\n", DIR_INACTIVE, true, false},
	{HEAD "c=IN IP6 ::\r\n" TIME AUDIO, DIR_SENDONLY, true, false},
	{BASE "m=audio 0 RTP/AVP 0\r\n", DIR_INACTIVE, false, false},
	{BASE, DIR_INACTIVE, false, false},
	{BASE IMAGE, DIR_SENDRECV, true, true},
	{BASE VIDEO "a=recvonly\r\n" AUDIO, DIR_SENDRECV, true, false},
	{BASE "m=audio 0 RTP/AVP 0\r\n" VIDEO "a=recvonly\r\n", DIR_RECVONLY, true, false},
	{BASE "m=video 0 RTP/AVP 96\r\na=bundle-only\r\n", DIR_SENDRECV, true, false},
};

static void test_notes(void **state)
{
	for (size_t i = 0; i < COUNT(notes); i++) {
		struct sdp_note note;

		sdp_take_note(SDP_OFFER, notes[i].body, strlen(notes[i].body), NULL, 0, &note);
		if (note.what != SDP_OFFER || note.dir != notes[i].dir || note.same ||
			note.usable != notes[i].usable || note.image != notes[i].image)
			fail_msg("note %zu: %s usable %d image %d", i, dir_name(note.dir),
				note.usable, note.image);
	}
}

static const struct {
	const char *body;
	enum sdp_error error;
} bad[] = {
	{"", SDP_EMPTY},
	{"hello", SDP_NO_VERSION},
	{"v=1\r\n", SDP_NO_VERSION},
	{"\r\nv=0\r\n", SDP_NO_VERSION},
	{"v=0\r\ns=-\r\n", SDP_BAD_ORIGIN},
	{"v=0\r\no=- 1 1 IN IP4\r\n", SDP_BAD_ORIGIN},
	{"v=0\r\no=- 1 1 IN IP4 a b\r\n", SDP_BAD_ORIGIN},
	{BASE "o=- 1 1 IN IP4 a\r\n", SDP_BAD_ORIGIN},
	{BASE AUDIO "o=- 1 1 IN IP4 a\r\n", SDP_BAD_ORIGIN},
	{HEAD "c=IN IP4\r\n", SDP_BAD_CONNECTION},
	{HEAD "c=IN IP4 \x01\r\n", SDP_BAD_CONNECTION},
	{HEAD TIME AUDIO, SDP_NO_CONNECTION},
	{BASE "nonsense\r\n", SDP_BAD_LINE},
	{BASE "A=x\r\n", SDP_BAD_LINE},
	{BASE "a\r\n", SDP_BAD_LINE},
	{BASE " a=x\r\n", SDP_BAD_LINE},
	{BASE "m=\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 4000\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 4000 RTP/AVP\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 4000 RTP/AVP \r\n", SDP_BAD_MEDIA},
	{BASE "m=audio x RTP/AVP 0\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio -1 RTP/AVP 0\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 65536 RTP/AVP 0\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 99999999999999999999 RTP/AVP 0\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 4000/0 RTP/AVP 0\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 4000/ RTP/AVP 0\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 4000 RTP/ 0\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 4000 /AVP 0\r\n", SDP_BAD_MEDIA},
	/* looping */
	{BASE "m=audio 100 UDP \x99\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 100 UDP (\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 100 UDP \"\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 5 UDP/TLS/RTP/SAVPF 111 ;\r\n", SDP_BAD_MEDIA},
	{BASE "m=audio 5 RTP/AVP 0 ,\r\n", SDP_BAD_MEDIA},
	{BASE "m=image 5 udptl t38 \x80\xff\r\n", SDP_BAD_MEDIA},
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct sdp sdp;
		struct sdp_note note;
		enum sdp_error e = scan(bad[i].body, &sdp);

		if (e != bad[i].error)
			fail_msg("%zu: %s, expected %s", i, sdp_error_name(e),
				sdp_error_name(bad[i].error));
		sdp_take_note(SDP_OFFER, bad[i].body, strlen(bad[i].body), NULL, 0, &note);
		assert_int_equal(note.what, bad[i].error == SDP_EMPTY ? SDP_NONE : SDP_BAD);
	}
}

static void repeat(char *buf, size_t size, const char *head, const char *line, unsigned n)
{
	buf[0] = '\0';
	str_append(buf, size, head);
	while (n-- > 0)
		str_append(buf, size, line);
}

static void test_bounds(void **state)
{
	static char buf[4 * SDP_MAX];
	struct sdp sdp;

	repeat(buf, sizeof(buf), BASE, "m=audio 1 RTP/AVP 0\r\n", SDP_STREAMS_MAX);
	assert_int_equal(scan(buf, &sdp), SDP_OK);
	repeat(buf, sizeof(buf), BASE, "m=audio 1 RTP/AVP 0\r\n", SDP_STREAMS_MAX + 1);
	assert_int_equal(scan(buf, &sdp), SDP_MANY);
	repeat(buf, sizeof(buf), BASE, "a=x\r\n", SDP_LINES_MAX);
	assert_int_equal(scan(buf, &sdp), SDP_MANY);
	repeat(buf, sizeof(buf), BASE, "a=x\r\n", SDP_LINES_MAX - 5);
	assert_int_equal(scan(buf, &sdp), SDP_OK);
	repeat(buf, sizeof(buf), BASE "m=audio 1 RTP/AVP", " 0", SDP_FORMATS_MAX);
	assert_int_equal(scan(buf, &sdp), SDP_OK);
	repeat(buf, sizeof(buf), BASE "m=audio 1 RTP/AVP", " 0", SDP_FORMATS_MAX + 1);
	assert_int_equal(scan(buf, &sdp), SDP_MANY);
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(sdp_scan(buf, SDP_MAX + 1, &sdp), SDP_LONG);
	assert_int_equal(sdp_scan("v=0\0\r\n", 6, &sdp), SDP_NUL);
}

/* ---- same ---------------------------------------------------------------------------------- */

static bool same(enum sdp_what what, const char *now, const char *prev)
{
	struct sdp_note note;

	sdp_take_note(what, now, strlen(now), prev, strlen(prev), &note);
	return note.same;
}

#define STREAM(formats, lines) BASE "m=audio 4000 RTP/AVP " formats "\r\n" lines

static const struct {
	const char *answer;
	bool good;
} answers[] = {
	{STREAM("0", ""), true},
	{STREAM("8 101", "a=rtpmap:101 telephone-event/8000\r\n"), true},
	{STREAM("18", ""), false},
	{STREAM("101", "a=rtpmap:101 telephone-event/8000\r\n"), false}, /* keys carry no speech */
	{STREAM("13", ""), false},
	{STREAM("97", "a=rtpmap:97 opus/48000/2\r\n"), true}, /* the same codec by another number */
	{STREAM("96", "a=rtpmap:96 speex/8000\r\n"), false},  /* another codec by the same number */
	{STREAM("100", "a=rtpmap:100 pcmu/8000/1\r\n"), true},
	{BASE "m=audio 0 RTP/AVP 0\r\n" VIDEO, false}, /* the offer had no video */
};

static void test_answers(void **state)
{
	const char *offer = STREAM("0 8 96 101",
		"a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n");

	for (size_t i = 0; i < COUNT(answers); i++)
		if (sdp_answers(slice_str(answers[i].answer), slice_str(offer)) != answers[i].good)
			fail_msg("answer %zu", i);
	assert_true(sdp_answers(slice_str(BASE IMAGE), slice_str(BASE IMAGE)));
	assert_true(sdp_answers(slice_str("rubbish"), slice_str(offer)));
}

/* As many formats and names as there is room for: names of the last are still found. */
static void test_answers_bounds(void **state)
{
	static char body[SDP_MAX];
	size_t n = (size_t)snprintf(body, sizeof(body), BASE "m=audio 4000 RTP/AVP");

	for (int i = 0; i < SDP_FORMATS_MAX; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, " %d", i);
	n += (size_t)snprintf(body + n, sizeof(body) - n, "\r\n");
	for (int i = 0; i < 400; i++)
		n += (size_t)snprintf(
			body + n, sizeof(body) - n, "a=rtpmap:%d c%d/8000\r\n", i % 128, i % 128);
	assert_true(sdp_answers(
		slice_str(STREAM("96", "a=rtpmap:96 C127/8000\r\n")), slice_of(body, n)));
	assert_false(sdp_answers(
		slice_str(STREAM("96", "a=rtpmap:96 c128/8000\r\n")), slice_of(body, n)));
}

static void test_same_offer(void **state)
{
	assert_true(same(SDP_OFFER, BASE AUDIO, BASE AUDIO));
	assert_true(same(SDP_OFFER, "v=0\no=- 1 77 IN IP4 192.0.2.1\ns=-\n" CONN TIME AUDIO "\r\n",
		BASE AUDIO)); /* o= version and line ends do not count */
	assert_false(same(SDP_OFFER, "v=0\r\no=- 2 1 IN IP4 192.0.2.1\r\ns=-\r\n" CONN TIME AUDIO,
		BASE AUDIO));
	assert_false(same(SDP_OFFER, BASE AUDIO "a=sendonly\r\n", BASE AUDIO));
	assert_false(same(SDP_OFFER, BASE AUDIO, BASE AUDIO VIDEO));
	assert_false(same(SDP_OFFER, BASE AUDIO, ""));
	assert_false(same(SDP_OFFER, BASE "m=audio 4000 RTP/AVP 0\r\n", BASE AUDIO));
}

static void test_same_answer(void **state)
{
	const char *prev = BASE AUDIO VIDEO;

	assert_true(same(SDP_ANSWER, prev, prev));
	/* picks one codec, refuses video, another session */
	assert_true(same(SDP_ANSWER,
		"v=0\r\no=x 9 9 IN IP4 192.0.2.1\r\ns=other\r\n" CONN TIME
		"m=audio 4000 RTP/AVP 8\r\nm=video 0 RTP/AVP 96\r\n",
		prev));
	/* c= moved into the stream */
	assert_true(same(SDP_ANSWER, HEAD TIME "m=audio 4000 RTP/AVP 8\r\n" CONN, prev));
	assert_true(same(SDP_ANSWER, BASE "m=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n", prev));
	/* a direction alone says nothing new about where to send what */
	assert_true(same(SDP_ANSWER, BASE "m=audio 4000 RTP/AVP 0\r\na=recvonly\r\n", prev));
	/* another port, address, codec, key, protocol */
	assert_false(same(SDP_ANSWER, BASE "m=audio 4100 RTP/AVP 0\r\n", prev));
	assert_false(same(SDP_ANSWER, HEAD "c=IN IP4 192.0.2.9\r\n" TIME "m=audio 4000 RTP/AVP 0\r\n",
		prev));
	assert_false(same(SDP_ANSWER, BASE "m=audio 4000 RTP/AVP 18\r\n", prev));
	assert_false(same(SDP_ANSWER, BASE "m=audio 4000 RTP/AVP 0\r\na=crypto:1 x y\r\n", prev));
	assert_false(same(SDP_ANSWER, BASE "m=audio 4000 RTP/SAVP 0\r\n", prev));
	assert_false(same(SDP_ANSWER, BASE "m=video 4000 RTP/AVP 0\r\n", prev));
	/* a stream that was off comes on */
	assert_false(same(SDP_ANSWER, BASE AUDIO VIDEO, BASE AUDIO "m=video 0 RTP/AVP 96\r\n"));
	assert_false(same(SDP_ANSWER, BASE AUDIO VIDEO, BASE AUDIO));
	/* an offer that drops a codec is not the same */
	assert_false(same(SDP_OFFER, BASE "m=audio 4000 RTP/AVP 8\r\nm=video 0 RTP/AVP 96\r\n", prev));
}

/* ---- rewriter ------------------------------------------------------------------------------ */

/* A leg under test. */
struct leg {
	struct sdp_local me;
	char last[SDP_MAX];
	size_t last_len;
};

static void leg_init(struct leg *leg)
{
	memset(leg, 0, sizeof(*leg));
	sdp_local_init(&leg->me, 4711, "198.51.100.1");
}

static enum sdp_error give(struct leg *leg, enum sdp_role role, enum sdp_dir dir,
	const char *source, const char *offer)
{
	char buf[SDP_MAX];
	size_t len;
	struct sdp_job job = {.role = role, .dir = dir, .source = slice_str(source),
		.offer = slice_str(offer), .last = {leg->last, leg->last_len}};
	enum sdp_error e = sdp_rewrite(&leg->me, &job, buf, sizeof(buf), &len);

	if (e == SDP_OK || e == SDP_MISMATCH) {
		memcpy(leg->last, buf, len + 1);
		leg->last_len = len;
	}
	return e;
}

static void assert_offer(struct leg *leg, enum sdp_dir dir, const char *source,
	const char *expected)
{
	assert_int_equal(give(leg, SDP_ROLE_OFFER, dir, source, NULL), SDP_OK);
	assert_string_equal(leg->last, expected);
}

static void assert_answer(struct leg *leg, enum sdp_dir dir, const char *source, const char *offer,
	const char *expected)
{
	assert_int_equal(give(leg, SDP_ROLE_ANSWER, dir, source, offer), SDP_OK);
	assert_string_equal(leg->last, expected);
}

#define OWN(version) "v=0\r\no=segue 4711 " version " IN IP4 198.51.100.1\r\ns=-\r\n" CONN TIME

static void test_offer_passes(void **state)
{
	struct leg leg;

	leg_init(&leg);
	assert_offer(&leg, SDP_DIR_AS_IS, BASE AUDIO, OWN("1") AUDIO);
	/* the same again: the version stays */
	assert_offer(&leg, SDP_DIR_AS_IS, BASE AUDIO, OWN("1") AUDIO);
	/* from another party, with another payload number: kept, and the version rises (E-054) */
	assert_offer(&leg, SDP_DIR_AS_IS,
		BASE "m=audio 6000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n",
		OWN("2") "m=audio 6000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n");
	assert_int_equal(leg.me.nslots, 1);
}

/* What the leg was last given, with another direction: hold and resume. */
static void test_hold_and_resume(void **state)
{
	struct leg leg;
	char last[SDP_MAX];

	leg_init(&leg);
	assert_offer(&leg, SDP_DIR_AS_IS, BASE AUDIO VIDEO, OWN("1") AUDIO VIDEO);
	str_set(last, leg.last);
	assert_offer(&leg, SDP_DIR_INACTIVE, last,
		OWN("2") AUDIO "a=inactive\r\n" VIDEO "a=inactive\r\n");
	str_set(last, leg.last);
	assert_offer(&leg, SDP_DIR_SENDONLY, last,
		OWN("3") AUDIO "a=sendonly\r\n" VIDEO "a=sendonly\r\n");
	str_set(last, leg.last);
	assert_offer(&leg, SDP_DIR_SENDRECV, last,
		OWN("4") AUDIO "a=sendrecv\r\n" VIDEO "a=sendrecv\r\n");
	str_set(last, leg.last);
	assert_offer(&leg, SDP_DIR_AS_IS, last,
		OWN("4") AUDIO "a=sendrecv\r\n" VIDEO "a=sendrecv\r\n");
}

/* A direction of the session level moves into the streams. */
static void test_session_direction(void **state)
{
	struct leg leg;

	leg_init(&leg);
	assert_offer(&leg, SDP_DIR_AS_IS, BASE "a=sendonly\r\n" AUDIO, OWN("1") AUDIO "a=sendonly\r\n");
	assert_offer(&leg, SDP_DIR_SENDRECV, BASE "a=sendonly\r\n" AUDIO,
		OWN("2") AUDIO "a=sendrecv\r\n");
	/* old-style hold is said in words too, the address stays */
	leg_init(&leg);
	assert_offer(&leg, SDP_DIR_AS_IS, BASE "m=audio 1 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n",
		OWN("1") "m=audio 1 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=sendonly\r\n");
	/* two direction lines become one, where the first was */
	leg_init(&leg);
	assert_offer(&leg, SDP_DIR_INACTIVE,
		BASE "m=audio 1 RTP/AVP 0\r\na=sendonly\r\na=ptime:20\r\na=recvonly\r\n",
		OWN("1") "m=audio 1 RTP/AVP 0\r\na=inactive\r\na=ptime:20\r\n");
}

/* E-052: never fewer m-lines, order kept, reuse by media type, new ones behind. */
static void test_offer_slots(void **state)
{
	struct leg leg;

	leg_init(&leg);
	assert_offer(&leg, SDP_DIR_AS_IS, BASE AUDIO VIDEO, OWN("1") AUDIO VIDEO);
	assert_offer(&leg, SDP_DIR_AS_IS, BASE AUDIO, OWN("2") AUDIO "m=video 0 RTP/AVP 0\r\n");
	assert_offer(&leg, SDP_DIR_AS_IS, BASE VIDEO AUDIO, OWN("3") AUDIO VIDEO);
	assert_offer(&leg, SDP_DIR_AS_IS,
		BASE "m=message 9 TCP/MSRP *\r\n" AUDIO, OWN("4") AUDIO
		"m=video 0 RTP/AVP 0\r\nm=message 9 TCP/MSRP *\r\n");
	assert_offer(&leg, SDP_DIR_AS_IS, BASE AUDIO,
		OWN("5") AUDIO "m=video 0 RTP/AVP 0\r\nm=message 0 TCP/MSRP *\r\n");
	assert_int_equal(leg.me.nslots, 3);
	/* two streams of one type, and the source's own order of protocols */
	leg_init(&leg);
	assert_offer(&leg, SDP_DIR_AS_IS,
		BASE "m=audio 1 RTP/SAVP 0\r\nm=audio 2 RTP/AVP 0\r\n",
		OWN("1") "m=audio 1 RTP/SAVP 0\r\nm=audio 2 RTP/AVP 0\r\n");
	assert_offer(&leg, SDP_DIR_AS_IS, BASE VIDEO "m=audio 3 RTP/AVP 0\r\n",
		OWN("2") "m=audio 0 RTP/SAVP 0\r\nm=audio 3 RTP/AVP 0\r\n" VIDEO);
}

/* A stream that is off needs a c= line of its own if the session has none. */
static void test_off_has_connection(void **state)
{
	struct leg leg;

	leg_init(&leg);
	assert_offer(&leg, SDP_DIR_AS_IS, HEAD TIME AUDIO CONN VIDEO CONN,
		"v=0\r\no=segue 4711 1 IN IP4 198.51.100.1\r\ns=-\r\n" TIME AUDIO CONN VIDEO CONN);
	assert_offer(&leg, SDP_DIR_AS_IS, HEAD TIME AUDIO CONN,
		"v=0\r\no=segue 4711 2 IN IP4 198.51.100.1\r\ns=-\r\n" TIME AUDIO CONN
		"m=video 0 RTP/AVP 0\r\nc=IN IP4 198.51.100.1\r\n");
}

/* E-053: a fax takes the place of the voice, and gives it back. */
static void test_fax_in_place(void **state)
{
	struct leg leg;

	leg_init(&leg);
	assert_offer(&leg, SDP_DIR_AS_IS, BASE AUDIO, OWN("1") AUDIO);
	assert_offer(&leg, SDP_DIR_AS_IS, BASE IMAGE, OWN("2") IMAGE);
	assert_string_equal(leg.me.slot[0].media, "image");
	assert_offer(&leg, SDP_DIR_AS_IS, BASE AUDIO, OWN("3") AUDIO);
	/* or beside it, if the source does so */
	assert_offer(&leg, SDP_DIR_AS_IS, BASE "m=audio 0 RTP/AVP 0\r\n" IMAGE,
		OWN("4") "m=audio 0 RTP/AVP 0\r\n" IMAGE);
	assert_int_equal(leg.me.nslots, 2);
}

static void test_slots_full(void **state)
{
	static char body[SDP_MAX];
	struct leg leg;

	leg_init(&leg);
	repeat(body, sizeof(body), BASE, VIDEO, SDP_STREAMS_MAX);
	assert_int_equal(give(&leg, SDP_ROLE_OFFER, SDP_DIR_AS_IS, body, NULL), SDP_OK);
	assert_int_equal(give(&leg, SDP_ROLE_OFFER, SDP_DIR_AS_IS, BASE AUDIO, NULL), SDP_OK);
	assert_int_equal(leg.me.nslots, SDP_STREAMS_MAX);
	assert_string_equal(leg.me.slot[0].media, "audio"); /* took a line that is off */
}

static void test_answer(void **state)
{
	struct leg leg;

	leg_init(&leg);
	assert_answer(&leg, SDP_DIR_AS_IS, BASE "m=audio 5000 RTP/AVP 0\r\n", BASE AUDIO,
		OWN("1") "m=audio 5000 RTP/AVP 0\r\n");
	assert_int_equal(leg.me.nslots, 1);
	/* video refused, order of the offer, time of the offer */
	leg_init(&leg);
	assert_answer(&leg, SDP_DIR_AS_IS, BASE AUDIO, HEAD CONN "t=5 6\r\n" VIDEO "a=mid:9\r\n" AUDIO,
		"v=0\r\no=segue 4711 1 IN IP4 198.51.100.1\r\ns=-\r\n" CONN "t=5 6\r\n"
		"m=video 0 RTP/AVP 96\r\na=mid:9\r\n" AUDIO);
	assert_int_equal(leg.me.nslots, 2);
	/* more streams than were offered are left out */
	leg_init(&leg);
	assert_answer(&leg, SDP_DIR_AS_IS, BASE AUDIO VIDEO, BASE AUDIO, OWN("1") AUDIO);
	/* what the offer has off stays off */
	leg_init(&leg);
	assert_answer(&leg, SDP_DIR_AS_IS, BASE AUDIO VIDEO, BASE "m=video 0 RTP/AVP 96\r\n" AUDIO,
		OWN("1") "m=video 0 RTP/AVP 96\r\n" AUDIO);
	/* and an offer afterwards has all lines of it */
	assert_offer(&leg, SDP_DIR_AS_IS, BASE AUDIO,
		OWN("2") "m=video 0 RTP/AVP 0\r\n" AUDIO);
}

/* RFC 3264 section 6.1, E-051a: sendonly is answered recvonly or inactive, never more. */
static void test_answer_direction(void **state)
{
	static const enum dir allowed[][4] = {
		/* wanted:      inactive      recvonly      sendonly      sendrecv */
		[DIR_INACTIVE] = {DIR_INACTIVE, DIR_INACTIVE, DIR_INACTIVE, DIR_INACTIVE},
		[DIR_RECVONLY] = {DIR_INACTIVE, DIR_INACTIVE, DIR_SENDONLY, DIR_SENDONLY},
		[DIR_SENDONLY] = {DIR_INACTIVE, DIR_RECVONLY, DIR_INACTIVE, DIR_RECVONLY},
		[DIR_SENDRECV] = {DIR_INACTIVE, DIR_RECVONLY, DIR_SENDONLY, DIR_SENDRECV},
	};

	for (int offered = 0; offered < 4; offered++) {
		for (int wanted = 0; wanted < 4; wanted++) {
			char offer[512], source[512];
			struct leg leg;
			struct sdp sdp;

			assert_int_equal(sdp_dir_clamp((enum dir)wanted, (enum dir)offered),
				allowed[offered][wanted]);
			snprintf(offer, sizeof(offer), BASE AUDIO "a=%s\r\n", dir_name(offered));
			snprintf(source, sizeof(source), BASE AUDIO "a=%s\r\n", dir_name(wanted));
			leg_init(&leg);
			assert_int_equal(give(&leg, SDP_ROLE_ANSWER, SDP_DIR_AS_IS, source, offer), 0);
			assert_int_equal(scan(leg.last, &sdp), SDP_OK);
			assert_int_equal(sdp.stream[0].dir, allowed[offered][wanted]);
			leg_init(&leg);
			assert_int_equal(give(&leg, SDP_ROLE_ANSWER,
						 (enum sdp_dir)(SDP_DIR_INACTIVE + wanted),
						 BASE AUDIO, offer),
				0);
			assert_int_equal(scan(leg.last, &sdp), SDP_OK);
			assert_int_equal(sdp.stream[0].dir, allowed[offered][wanted]);
		}
	}
	/* old-style hold permits nothing back */
	assert_int_equal(sdp_dir_mirror(DIR_SENDONLY), DIR_RECVONLY);
	assert_int_equal(sdp_dir_mirror(DIR_SENDRECV), DIR_SENDRECV);
	assert_int_equal(sdp_dir_mirror(DIR_INACTIVE), DIR_INACTIVE);
}

/* E-057: a secure stream is not answered with a plain one, and keys are never stripped. */
static void test_srtp(void **state)
{
	const char *secure = BASE "m=audio 1 RTP/SAVP 0\r\n"
				  "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:k\r\n";
	struct leg leg;

	leg_init(&leg);
	assert_int_equal(give(&leg, SDP_ROLE_OFFER, SDP_DIR_AS_IS, secure, NULL), SDP_OK);
	assert_non_null(strstr(leg.last, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:k\r\n"));
	leg_init(&leg);
	assert_int_equal(give(&leg, SDP_ROLE_ANSWER, SDP_DIR_AS_IS, BASE AUDIO, secure), SDP_MISMATCH);
	assert_string_equal(leg.last, OWN("1") "m=audio 0 RTP/SAVP 0\r\n");
	leg_init(&leg);
	assert_int_equal(give(&leg, SDP_ROLE_ANSWER, SDP_DIR_AS_IS, secure, BASE AUDIO), SDP_MISMATCH);
	/* feedback profiles do not make a difference */
	leg_init(&leg);
	assert_int_equal(give(&leg, SDP_ROLE_ANSWER, SDP_DIR_AS_IS, BASE AUDIO,
				 BASE "m=audio 1 RTP/AVPF 0\r\n"),
		SDP_OK);
}

static void test_bundle(void **state)
{
	const char *web = HEAD TIME "a=group:BUNDLE 0 1\r\n"
			       "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" CONN "a=mid:0\r\n"
			       "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n" CONN "a=bundle-only\r\na=mid:1\r\n";
	struct leg leg;
	struct sdp sdp;

	leg_init(&leg);
	assert_int_equal(give(&leg, SDP_ROLE_OFFER, SDP_DIR_AS_IS, web, NULL), SDP_OK);
	assert_non_null(strstr(leg.last, "a=group:BUNDLE 0 1\r\n"));
	assert_int_equal(scan(leg.last, &sdp), SDP_OK);
	assert_true(sdp.stream[1].active);
	/* an answer without video; its mids become those of the offer */
	leg_init(&leg);
	assert_int_equal(
		give(&leg, SDP_ROLE_ANSWER, SDP_DIR_AS_IS,
			HEAD TIME "a=group:BUNDLE a v\r\n"
				  "m=audio 7 UDP/TLS/RTP/SAVPF 111\r\n" CONN "a=mid:a\r\n"
				  "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\n",
			web),
		SDP_OK);
	assert_non_null(strstr(leg.last, "a=group:BUNDLE 0\r\n"));
	assert_non_null(strstr(leg.last, "a=mid:0\r\n"));
	assert_null(strstr(leg.last, "a=mid:a"));
	/* a source whose group is gone altogether */
	leg_init(&leg);
	assert_int_equal(give(&leg, SDP_ROLE_OFFER, SDP_DIR_AS_IS,
				 BASE "a=group:LS x y\r\n" AUDIO, NULL),
		SDP_OK);
	assert_null(strstr(leg.last, "a=group"));
}

static void test_errors_change_nothing(void **state)
{
	struct leg leg;
	struct sdp_local before;
	char small[64];
	size_t len;
	struct sdp_job job = {.role = SDP_ROLE_OFFER, .source = slice_str(BASE AUDIO)};

	leg_init(&leg);
	before = leg.me;
	assert_int_equal(give(&leg, SDP_ROLE_OFFER, SDP_DIR_AS_IS, "", NULL), SDP_EMPTY);
	assert_int_equal(give(&leg, SDP_ROLE_OFFER, SDP_DIR_AS_IS, "v=0\r\nrubbish", NULL), SDP_BAD_LINE);
	assert_int_equal(give(&leg, SDP_ROLE_ANSWER, SDP_DIR_AS_IS, BASE AUDIO, "rubbish"),
		SDP_NO_VERSION);
	for (size_t size = 0; size < sizeof(small); size++)
		assert_int_equal(sdp_rewrite(&leg.me, &job, small, size, &len), SDP_NO_ROOM);
	assert_memory_equal(&before, &leg.me, sizeof(before));
}

static void test_ipv6_origin(void **state)
{
	struct leg leg;

	leg_init(&leg);
	sdp_local_init(&leg.me, UINT64_MAX, "2001:db8::1");
	assert_int_equal(give(&leg, SDP_ROLE_OFFER, SDP_DIR_AS_IS, BASE AUDIO, NULL), SDP_OK);
	assert_non_null(strstr(leg.last, "o=segue 4611686018427387903 1 IN IP6 2001:db8::1\r\n"));
	sdp_local_init(&leg.me, 1, NULL);
	assert_string_equal(leg.me.address, "0.0.0.0");
}

/* ---- bodies -------------------------------------------------------------------------------- */

static void test_in_body(void **state)
{
	const char *multi = "preamble\r\n--b1\r\nContent-Type: application/isup\r\n\r\nxx\r\n"
			    "--b1\r\ncontent-type : Application/SDP;x=y\r\n\r\n" BASE "\r\n--b1--\r\n";
	struct slice s;
	struct sdp sdp;

	assert_int_equal(sdp_in_body("application/sdp", BASE, strlen(BASE), &s), 1);
	assert_slice(s, BASE);
	assert_int_equal(sdp_in_body("", BASE, strlen(BASE), &s), 1);
	assert_int_equal(sdp_in_body("Application/SDP ; charset=utf-8", BASE, strlen(BASE), &s), 1);
	assert_int_equal(sdp_in_body("text/plain", BASE, strlen(BASE), &s), 0);
	assert_int_equal(sdp_in_body("application/sdp", "", 0, &s), 0);
	assert_int_equal(sdp_in_body("multipart/mixed;boundary=\"b1\"", multi, strlen(multi), &s), 1);
	assert_int_equal(sdp_scan(s.p, s.n, &sdp), SDP_OK);
	assert_int_equal(sdp_in_body("multipart/mixed;boundary=b2", multi, strlen(multi), &s), 0);
	assert_int_equal(sdp_in_body("multipart/mixed", multi, strlen(multi), &s), 0);
	assert_int_equal(sdp_in_body("multipart/mixed;boundary=b1", "--b1\r\n", 6, &s), 0);
	assert_int_equal(sdp_in_body("multipart/mixed;boundary=b1", "--b1", 4, &s), 0);
}

/* ---- properties ---------------------------------------------------------------------------- */

static const char *const pieces[] = {AUDIO, VIDEO, IMAGE, "m=audio 0 RTP/AVP 0\r\n",
	"m=message 9 TCP/MSRP *\r\n", "m=audio 7 RTP/SAVP 0\r\na=sendonly\r\n",
	"m=video 0 RTP/AVP 96\r\n", AUDIO "a=inactive\r\n"};

static void random_body(char *buf, size_t size)
{
	int n = rand() % 5;

	str_copy(buf, size, BASE);
	for (int i = 0; i < n; i++)
		str_append(buf, size, pieces[(size_t)rand() % COUNT(pieces)]);
}

/* RFC 3264 sections 6 and 8, whatever the order of offers and answers on a leg. */
static void test_random_sessions(void **state)
{
	srand(7);
	for (int round = 0; round < 3000; round++) {
		struct leg leg;

		leg_init(&leg);
		for (int step = 0; step < 8; step++) {
			struct sdp_local before = leg.me;
			char source[2048], offer[2048];
			struct sdp in, out;
			int answer = rand() % 3 == 0;
			enum sdp_error e;

			random_body(source, sizeof(source));
			random_body(offer, sizeof(offer));
			e = give(&leg, answer ? SDP_ROLE_ANSWER : SDP_ROLE_OFFER,
				(enum sdp_dir)(rand() % (int)sdp_dir_count_), source, offer);
			assert_true(e == SDP_OK || (answer && e == SDP_MISMATCH));
			assert_int_equal(scan(leg.last, &out), SDP_OK);
			assert_int_equal(out.n, leg.me.nslots);
			assert_true(leg.me.version >= before.version &&
				    leg.me.version <= before.version + 1);
			for (unsigned i = 0; answer && i < out.n; i++) {
				assert_int_equal(scan(offer, &in), SDP_OK);
				assert_int_equal(out.n, in.n);
				assert_true(slice_eq(out.stream[i].media, in.stream[i].media));
				assert_true(!out.stream[i].active || in.stream[i].active);
				assert_true(!out.stream[i].active ||
					    !(out.stream[i].dir & ~sdp_dir_mirror(in.stream[i].dir)));
			}
			if (!answer)
				assert_true(out.n >= before.nslots);
		}
	}
}

/* Any bytes: an answer in time, nothing read or written out of bounds (ASan watches). */
static void test_mutations(void **state)
{
	const char *base = BASE "a=group:BUNDLE 0\r\n" AUDIO "a=mid:0\r\n" VIDEO IMAGE;
	clock_t start = clock();

	srand(11);
	for (int i = 0; i < 100000; i++) {
		char text[1024], out[SDP_MAX];
		struct sdp_local me;
		struct sdp_note note;
		size_t n = strlen(base), len;
		struct sdp_job job = {.role = (enum sdp_role)(i & 1),
			.offer = slice_str(BASE AUDIO VIDEO)};

		str_set(text, base);
		for (int k = rand() % 6; k >= 0; k--)
			text[(size_t)rand() % n] = (char)(rand() % 256);
		n -= (size_t)rand() % 40;
		sdp_take_note(SDP_ANSWER, text, n, base, strlen(base), &note);
		sdp_local_init(&me, 1, "192.0.2.9");
		job.source = slice_of(text, n);
		if (sdp_rewrite(&me, &job, out, sizeof(out), &len) == SDP_OK) {
			struct sdp again;

			assert_int_equal(sdp_scan(out, len, &again), SDP_OK);
			assert_int_equal(note.what, SDP_ANSWER);
		}
	}
	assert_true((clock() - start) / CLOCKS_PER_SEC < 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_scan_lf),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_answers_bounds),
		cmocka_unit_test(test_same_offer),
		cmocka_unit_test(test_same_answer),
		cmocka_unit_test(test_offer_passes),
		cmocka_unit_test(test_hold_and_resume),
		cmocka_unit_test(test_session_direction),
		cmocka_unit_test(test_offer_slots),
		cmocka_unit_test(test_off_has_connection),
		cmocka_unit_test(test_fax_in_place),
		cmocka_unit_test(test_slots_full),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_answer_direction),
		cmocka_unit_test(test_srtp),
		cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_errors_change_nothing),
		cmocka_unit_test(test_ipv6_origin),
		cmocka_unit_test(test_in_body),
		cmocka_unit_test(test_random_sessions),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
