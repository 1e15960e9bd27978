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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(g711_is_chosen),
		cmocka_unit_test(without_g711_the_first_is_chosen),
		cmocka_unit_test(audio_without_a_key_is_chosen),
		cmocka_unit_test(other_streams_are_refused),
		cmocka_unit_test(nonsense_is_survived),
		cmocka_unit_test(the_offer_has_both_kinds_of_g711),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
