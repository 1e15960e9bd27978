/* test_own: the session description that we make for music: one codec, G.711 if it is offered, as many
 * m-lines as the offer has, and nothing that a hostile offer could break. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "media/inner.h"

#define HEAD "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

static char answer[4096];

static const char *answer_to(const char *offer)
{
	size_t n = own_answer(offer, strlen(offer), answer, sizeof(answer));

	assert_int_equal(n, strlen(answer));
	return answer;
}

static void g711_is_chosen(void **state)
{
	const char *sdp = answer_to(HEAD "m=audio 4000 RTP/AVP 96 9 8 0 101\r\n"
					 "a=rtpmap:96 opus/48000/2\r\na=rtpmap:8 PCMA/8000\r\n");

	assert_non_null(strstr(sdp, "\r\nm=audio 9 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"));
	assert_non_null(strstr(sdp, "a=sendonly\r\n"));
	assert_null(strstr(sdp, "opus"));
}

static void without_g711_the_first_is_chosen(void **state)
{
	const char *sdp = answer_to(HEAD "m=audio 4000 RTP/SAVP 96 101\r\n"
					 "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n");

	assert_non_null(strstr(sdp, "\r\nm=audio 9 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n"
				    "a=fmtp:96 useinbandfec=1\r\n"));
}

static void audio_without_a_key_is_chosen(void **state)
{
	const char *sdp = answer_to(HEAD "m=audio 4000 RTP/SAVP 8\r\nm=audio 4002 RTP/AVP 9 8\r\n");

	assert_non_null(strstr(sdp, "\r\nm=audio 0 RTP/SAVP 8\r\nm=audio 9 RTP/AVP 8\r\na=sendonly\r\n"));
}

static void other_streams_are_refused(void **state)
{
	const char *sdp = answer_to(HEAD "m=video 5000 RTP/AVP 34\r\nm=audio 0 RTP/AVP 0\r\n"
					 "m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 8\r\n");

	assert_non_null(strstr(sdp, "\r\nm=video 0 RTP/AVP 34\r\nm=audio 0 RTP/AVP 0\r\n"
				    "m=audio 9 RTP/AVP 0\r\na=sendonly\r\nm=audio 0 RTP/AVP 8\r\n"));
}

static void nonsense_is_survived(void **state)
{
	static const char *const bad[] = {"", "m=", "m=audio", "m=audio 1", "m=audio 1 RTP/AVP",
		"m=audio 1 RTP/AVP ", "m= 1 2 3\n\n\nm=\r\r\r", "\n\n\n", "m=audio 4000 RTP/AVP  \r\n"};
	char *big = malloc(60000);

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		answer_to(bad[i]);
	memset(big, 'm', 59999);
	big[59999] = '\0';
	memcpy(big, "m=audio 4000 RTP/AVP ", 21);
	answer_to(big);
	for (unsigned i = 0; i + 22 < 59999; i += 22) /* thousands of m-lines: cut, not overrun */
		memcpy(big + i, "m=audio 1 RTP/AVP 8\r\n ", 22);
	answer_to(big);
	free(big);
}

static void the_offer_has_both_kinds_of_g711(void **state)
{
	size_t n = own_offer(answer, sizeof(answer));

	assert_int_equal(n, strlen(answer));
	assert_non_null(strstr(answer, "m=audio 9 RTP/AVP 8 0 101\r\n"));
	assert_non_null(strstr(answer, "a=sendonly\r\n"));
	own_offer(answer, 10); /* no room: nothing is overrun */
}

static const char *renumbered(const char *sdp, int want)
{
	size_t n = events_renumber(sdp, strlen(sdp), want, answer, sizeof(answer) - 1);

	answer[n] = '\0';
	return answer;
}

static void events_have_a_number(void **state)
{
	const char *sdp = HEAD "m=audio 101 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n"
			       "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";

	assert_int_equal(events_number(sdp, strlen(sdp)), 101);
	assert_string_equal(renumbered(sdp, 96),
		HEAD "m=audio 101 RTP/AVP 0 8 96\r\na=rtpmap:0 PCMU/8000\r\n"
		     "a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\na=sendrecv\r\n");
	assert_string_equal(renumbered(sdp, 101), "");
	assert_string_equal(renumbered(sdp, 8), "");  /* stands for something else */
	assert_string_equal(renumbered(sdp, -1), ""); /* the other side has none */
	assert_int_equal(events_renumber(sdp, strlen(sdp), 96, answer, strlen(sdp) - 20), 0);
}

static void events_of_strange_descriptions(void **state)
{
	static const char *const strange[] = {"", "a=rtpmap:", "a=rtpmap:101", "m=audio ", "m=audio 1",
		"a=rtpmap:1011 telephone-event/8000\n", "a=rtpmap:x telephone-event/8000\n",
		"a=rtpmap:101 opus/48000\r\n", "m=audio 1 RTP/AVP ", "\r\n\r\n"};

	for (unsigned i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		assert_int_equal(events_number(strange[i], strlen(strange[i])), -1);
		assert_string_equal(renumbered(strange[i], 96), "");
	}
	/* lines that end in LF alone or not at all, and numbers that only look like it */
	assert_string_equal(renumbered("m=audio 9 RTP/AVP 101 1010 x101\n"
				       "a=rtpmap:101 telephone-event/8000", 96),
		"m=audio 9 RTP/AVP 96 1010 x101\na=rtpmap:96 telephone-event/8000");
}

static bool sends(const char *sdp)
{
	return own_sends(sdp, strlen(sdp));
}

static void who_sends_by_its_description(void **state)
{
	assert_true(sends(HEAD "m=audio 4000 RTP/AVP 0\r\n"));
	assert_true(sends(HEAD "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n"));
	assert_false(sends(HEAD "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=recvonly\r\n"));
	assert_false(sends(HEAD "m=audio 4000 RTP/AVP 0\na=inactive"));
	assert_false(sends(HEAD "a=recvonly\r\nm=audio 4000 RTP/AVP 0\r\n"));
	assert_true(sends(HEAD "a=recvonly\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n"));
	assert_true(sends(HEAD "m=audio 4000 RTP/AVP 0\r\nm=video 5000 RTP/AVP 34\r\na=inactive\r\n"));
	assert_true(sends(HEAD "m=video 5000 RTP/AVP 34\r\na=inactive\r\nm=audio 4000 RTP/AVP 0\r\n"));
	assert_false(sends(HEAD "m=audio 0 RTP/AVP 0\r\na=sendrecv\r\nm=audio 4000 RTP/AVP 0\r\n"
				"a=recvonly\r\n"));
	assert_true(sends(""));
	assert_true(sends("m=audio"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(g711_is_chosen),
		cmocka_unit_test(without_g711_the_first_is_chosen),
		cmocka_unit_test(audio_without_a_key_is_chosen),
		cmocka_unit_test(other_streams_are_refused),
		cmocka_unit_test(nonsense_is_survived),
		cmocka_unit_test(the_offer_has_both_kinds_of_g711),
		cmocka_unit_test(events_have_a_number),
		cmocka_unit_test(events_of_strange_descriptions),
		cmocka_unit_test(who_sends_by_its_description),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
