/*
 * test_print: what print.c writes by hand is what the library would write, byte for byte; what it
 * leaves alone has no text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sofia-sip/msg_header.h>
#include <sofia-sip/msg_mclass.h>
#include <sofia-sip/sip_header.h>

#include "sip/print.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define REST                                                                                       \
	"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"                                           \
	"From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: 1@example.com\r\n"

/* A message whose headers have no text yet, as those that we build. */
static msg_t *message(const char *text)
{
	msg_t *parsed = msg_make(sip_default_mclass(), 0, text, (ssize_t)strlen(text)), *msg;

	assert_non_null(parsed);
	assert_true(sip_object(parsed)->sip_error == NULL);
	msg = msg_dup(parsed);
	assert_non_null(msg);
	msg_destroy(parsed);
	return msg;
}

/* The text of a header is what the library prints for it. */
static void assert_text(const void *header)
{
	const msg_common_t *h = header;
	char expected[4096];
	issize_t n;

	assert_non_null(h);
	assert_non_null(h->h_data);
	n = msg_header_e(expected, sizeof(expected), header, 0);
	assert_in_range(n, 1, sizeof(expected) - 1);
	assert_int_equal(h->h_len, n);
	assert_memory_equal(h->h_data, expected, (size_t)n);
}

static void test_requests(void **state)
{
	static const char *const lines[] = {
		"INVITE sip:bob@192.0.2.2 SIP/2.0",
		"INVITE sip:bob@192.0.2.2:5070;transport=tcp;x=%20y SIP/2.0",
		"INVITE sips:bob:secret@[2001:db8::1]:5061 SIP/2.0",
		"BYE sip:192.0.2.2 SIP/2.0",
		"REFER sip:+49301000%23;phone-context=x@example.com;user=phone SIP/2.0",
		"OPTIONS sip:bob@example.com?Subject=x&Priority=y SIP/2.0",
		"PUBLISH sip:;lr@example.com;lr SIP/2.0",
		"FOO sip:bob@example.com SIP/2.0",
	};

	for (unsigned i = 0; i < COUNT(lines); i++) {
		const char *method_end = strchr(lines[i], ' ');
		char text[1024];
		msg_t *msg;
		sip_t *sip;

		snprintf(text, sizeof(text), "%s\r\n" REST "CSeq: %u %.*s\r\nMax-Forwards: %u\r\n\r\n",
			lines[i], i * 613566757u, (int)(method_end - lines[i]), lines[i], i * 9);
		msg = message(text);
		sip = sip_object(msg);
		print_parts(msg);
		assert_text(sip->sip_request);
		assert_memory_equal(sip->sip_request->rq_common->h_data, lines[i], strlen(lines[i]));
		assert_text(sip->sip_cseq);
		assert_text(sip->sip_max_forwards);
		assert_text(sip->sip_content_length);
		assert_int_equal(sip->sip_content_length->l_length, 0);
		msg_destroy(msg);
	}
}

static void test_responses(void **state)
{
	static const char *const lines[] = {
		"SIP/2.0 100 Trying", "SIP/2.0 200 OK", "SIP/2.0 699 Nobody: is \"there\""};

	for (unsigned i = 0; i < COUNT(lines); i++) {
		char text[1024];
		msg_t *msg;
		sip_t *sip;

		snprintf(text, sizeof(text),
			"%s\r\n" REST "CSeq: 4294967295 INVITE\r\nContent-Length: 4\r\n\r\nbody",
			lines[i]);
		msg = message(text);
		sip = sip_object(msg);
		print_parts(msg);
		assert_text(sip->sip_status);
		assert_text(sip->sip_cseq);
		assert_text(sip->sip_content_length);
		assert_int_equal(sip->sip_content_length->l_length, 4);
		assert_null(sip->sip_max_forwards);
		msg_destroy(msg);
	}
}

/* What it does not know, and what does not fit, is left to the library. */
static void test_the_unusual_is_left_alone(void **state)
{
	char uri[1500], text[2500];
	const char *const uris[] = {"tel:+49301000", "http://example.com/x", "urn:service:sos", uri};

	snprintf(uri, sizeof(uri), "sip:%0*d@example.com", 1400, 7);
	for (unsigned i = 0; i < COUNT(uris); i++) {
		msg_t *msg;
		sip_t *sip;

		snprintf(text, sizeof(text), "INVITE %s SIP/2.0\r\n" REST "CSeq: 1 INVITE\r\n\r\n",
			uris[i]);
		msg = message(text);
		sip = sip_object(msg);
		print_parts(msg);
		assert_null(sip->sip_request->rq_common->h_data);
		assert_text(sip->sip_cseq);
		assert_text(sip->sip_content_length);
		msg_destroy(msg);
	}
}

/* Text that a header has already is not touched. */
static void test_twice_is_once(void **state)
{
	msg_t *msg = message("INVITE sip:b@example.com SIP/2.0\r\n" REST "CSeq: 1 INVITE\r\n\r\n");
	sip_t *sip = sip_object(msg);
	const void *was;

	print_parts(msg);
	was = sip->sip_cseq->cs_common->h_data;
	print_parts(msg);
	assert_ptr_equal(sip->sip_cseq->cs_common->h_data, was);
	msg_destroy(msg);
}

static void test_constants(void **state)
{
	su_home_t home[1] = {{0}};
	msg_t *a, *b;
	void *constant[4];

	su_home_init(home);
	constant[0] = sip_allow_make(home, "INVITE, ACK, BYE");
	constant[1] = sip_supported_make(home, "replaces, timer");
	constant[2] = sip_server_make(home, "segue/1.0 (test)");
	constant[3] = sip_content_type_make(home, "application/sdp");
	a = message("SIP/2.0 200 OK\r\n" REST "CSeq: 1 INVITE\r\n\r\n");
	b = message("SIP/2.0 200 OK\r\n" REST "CSeq: 1 INVITE\r\n\r\n");
	for (unsigned i = 0; i < COUNT(constant); i++) {
		print_constant(home, constant[i]);
		assert_text(constant[i]);
		print_add_constant(a, constant[i]);
		print_add_constant(b, constant[i]); /* each message has a header of its own */
	}
	for (int n = 0; n < 2; n++) {
		sip_t *sip = sip_object(n == 0 ? a : b);

		assert_text(sip->sip_allow);
		assert_text(sip->sip_supported);
		assert_text(sip->sip_server);
		assert_text(sip->sip_content_type);
		assert_string_equal(sip->sip_content_type->c_type, "application/sdp");
		assert_null(sip->sip_allow->k_next);
	}
	msg_destroy(a);
	msg_destroy(b);
	su_home_deinit(home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_the_unusual_is_left_alone),
		cmocka_unit_test(test_twice_is_once),
		cmocka_unit_test(test_constants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
