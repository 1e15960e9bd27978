/*
 * test_uri: URIs and name-addrs as tables of examples, hostile input, round trips.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sip/uri.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *text;
	enum uri_scheme scheme;
	const char *user, *host;
	unsigned port;
	const char *params, *headers;
} good[] = {
	{"sip:alice@example.com", URI_SIP, "alice", "example.com", 0, "", ""},
	{"SIPS:alice@Example.COM:5061", URI_SIPS, "alice", "example.com", 5061, "", ""},
	{"sip:192.0.2.7", URI_SIP, "", "192.0.2.7", 0, "", ""},
	{"sip:bob@[2001:db8::1]:5060;transport=tcp", URI_SIP, "bob", "[2001:db8::1]", 5060,
		"transport=tcp", ""},
	{"sip:+49711555@pbx.example.;lr;x=y?Subject=a%20b", URI_SIP, "+49711555", "pbx.example.", 0,
		"lr;x=y", "Subject=a%20b"},
	{"sip:a%40b:secret@host", URI_SIP, "a@b", "host", 0, "", ""},
	{"sip:200;ext=7@host;p", URI_SIP, "200", "host", 0, "p", ""},
	{"sip:%23%2A21@host", URI_SIP, "#*21", "host", 0, "", ""},
	{"sip:j%C3%BCrgen@host", URI_SIP, "j\xc3\xbcrgen", "host", 0, "", ""},
	/* RFC 4475, 3.1.1.2 and 3.1.1.3 */
	{"sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too."
	 "(doesn't-it)@example.com",
		URI_SIP, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/", "example.com", 0, "", ""},
	{"sip:sips%3Auser%40example.com@example.net", URI_SIP, "sips:user@example.com",
		"example.net", 0, "", ""},
	{"tel:+1-201-555-0123", URI_TEL, "+12015550123", "", 0, "", ""},
	{"tel:7042;phone-context=example.com", URI_TEL, "7042", "", 0, "phone-context=example.com",
		""},
	{"tel:*72#", URI_TEL, "*72#", "", 0, "", ""},
	{"sip:carol@h?Replaces=id%40h;to-tag=1;from-tag=2", URI_SIP, "carol", "h", 0, "",
		"Replaces=id%40h;to-tag=1;from-tag=2"},
};

static void test_good(void **state)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		struct uri u;

		if (uri_parse_str(good[i].text, &u) != URI_OK)
			fail_msg("refused: %s", good[i].text);
		assert_int_equal(u.scheme, good[i].scheme);
		assert_string_equal(u.user, good[i].user);
		assert_string_equal(u.host, good[i].host);
		assert_int_equal(u.port, good[i].port);
		assert_true(slice_is(u.params, good[i].params));
		assert_true(slice_is(u.headers, good[i].headers));
	}
}

static const struct {
	const char *text;
	enum uri_error error;
} bad[] = {
	{"", URI_EMPTY},
	{"sip:", URI_BAD_HOST},
	{"sip", URI_BAD_SCHEME},
	{"http://example.com/", URI_BAD_SCHEME},
	{"mailto:a@b", URI_BAD_SCHEME},
	{"200", URI_BAD_SCHEME},
	{"sip:a b@host", URI_BAD_CHAR},
	{"sip:a@ho st", URI_BAD_HOST},
	{"sip:a@b@c", URI_BAD_HOST},
	{"sip:a@", URI_BAD_HOST},
	{"sip:@host", URI_BAD_USER},
	{"sip::secret@host", URI_BAD_USER},
	{"sip:a@host:", URI_BAD_PORT},
	{"sip:a@host:0", URI_BAD_PORT},
	{"sip:a@host:65536", URI_BAD_PORT},
	{"sip:a@host:5o60", URI_BAD_PORT},
	{"sip:a@host:-1", URI_BAD_PORT},
	{"sip:a@[2001:db8::1", URI_BAD_HOST},
	{"sip:a@[2001:db8::x]", URI_BAD_HOST},
	{"sip:a@[::1]x", URI_BAD_HOST},
	{"sip:a@2001:db8::1", URI_BAD_HOST},
	{"sip:a@1.2.3", URI_BAD_HOST},
	{"sip:a@1.2.3.256", URI_BAD_HOST},
	{"sip:a@host..example", URI_BAD_HOST},
	{"sip:a@.", URI_BAD_HOST},
	{"sip:a@-host", URI_BAD_HOST},
	{"sip:a%00b@host", URI_BAD_ESCAPE},
	{"sip:a%0@host", URI_BAD_ESCAPE},
	{"sip:a%zz@host", URI_BAD_ESCAPE},
	{"sip:a%0d%0aVia:x@host", URI_BAD_USER},
	{"sip:a%FF@host", URI_BAD_USER},
	{"sip:a%ED%A0%80@host", URI_BAD_USER}, /* a surrogate */
	{"sip:a\"b@host", URI_BAD_CHAR},
	{"sip:<a@host", URI_BAD_CHAR},
	{"sip:a@host;;x", URI_BAD_PARAM},
	{"sip:a@host;=x", URI_BAD_PARAM},
	{"sip:a@host;x=", URI_BAD_PARAM},
	{"sip:a@host;x=a b", URI_BAD_PARAM},
	{"sip:a@host;x=%0", URI_BAD_ESCAPE},
	{"sip:a@host?", URI_BAD_HEADER},
	{"sip:a@host?X=a b", URI_BAD_CHAR},
	{"sip:a@host\r\nVia: x", URI_BAD_HOST},
	{"tel:", URI_BAD_NUMBER},
	{"tel:+", URI_BAD_NUMBER},
	{"tel:--", URI_BAD_NUMBER},
	{"tel:+12ab", URI_BAD_NUMBER},
	{"tel:alice", URI_BAD_NUMBER},
	{"tel:12?Subject=x", URI_BAD_NUMBER},
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct uri u;
		enum uri_error e = uri_parse_str(bad[i].text, &u);

		if (e != bad[i].error)
			fail_msg("%s: %s, expected %s", bad[i].text, uri_error_name(e),
				uri_error_name(bad[i].error));
	}
}

static void test_bounds(void **state)
{
	struct uri u;
	char text[2 * URI_MAX];

	memset(text, 'a', sizeof(text));
	memcpy(text, "sip:", 4);
	assert_int_equal(uri_parse(text, URI_MAX, &u), URI_LONG);
	assert_int_equal(uri_parse(text, URI_MAX - 1, &u), URI_BAD_HOST); /* host too long */
	text[4 + NUM_MAX] = '@';
	assert_int_equal(uri_parse(text, 4 + NUM_MAX + 5, &u), URI_BAD_USER);
	text[4 + NUM_MAX - 1] = '@';
	text[4 + NUM_MAX] = 'h';
	assert_int_equal(uri_parse(text, 4 + NUM_MAX + 5, &u), URI_OK);
	assert_int_equal(strlen(u.user), NUM_MAX - 1);
	assert_int_equal(uri_parse("sip:a\0b@h", 9, &u), URI_BAD_CHAR);
}

/* What was parsed prints as something that parses to the same. */
static void test_round_trip(void **state)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		struct uri u, again;
		char text[URI_MAX];

		uri_parse_str(good[i].text, &u);
		assert_int_equal(uri_print(&u, text, sizeof(text)), 0);
		assert_int_equal(uri_parse_str(text, &again), URI_OK);
		assert_true(uri_equal(&u, &again));
		assert_true(slice_eq(u.params, again.params));
		assert_int_equal(again.headers.n, 0);
	}
}

static void test_print_small(void **state)
{
	struct uri u;
	char text[10];

	uri_parse_str("sip:alice@example.com", &u);
	assert_int_equal(uri_print(&u, text, sizeof(text)), ENOSPC);
	assert_string_equal(text, "");
}

static void test_build(void **state)
{
	char text[URI_MAX];
	struct uri u;

	assert_int_equal(uri_build(text, sizeof(text), "200", "host", 0, NULL), 0);
	assert_string_equal(text, "sip:200@host");
	assert_int_equal(uri_build(text, sizeof(text), "a;b@c d?", "[::1]", 5070, "transport=tcp"), 0);
	assert_string_equal(text, "sip:a%3Bb%40c%20d%3F@[::1]:5070;transport=tcp");
	assert_int_equal(uri_parse_str(text, &u), URI_OK);
	assert_string_equal(u.user, "a;b@c d?");
	assert_int_equal(uri_build(text, sizeof(text), "", "host", 0, ""), 0);
	assert_string_equal(text, "sip:host");
	assert_int_equal(uri_build(text, sizeof(text), "a", "ho st", 0, ""), EINVAL);
	assert_int_equal(uri_build(text, sizeof(text), "a", NULL, 0, ""), EINVAL);
	assert_int_equal(uri_build(text, 12, "alice", "host", 0, ""), ENOSPC);
}

static void test_params(void **state)
{
	struct slice p = slice_str("transport=TCP;lr;+sip.instance=\"<urn:uuid:1;2>\" ; q = 0.5;e=a%41");
	char v[64];

	assert_int_equal(uri_param(p, "TRANSPORT", v, sizeof(v)), 1);
	assert_string_equal(v, "TCP");
	assert_int_equal(uri_param(p, "lr", v, sizeof(v)), 1);
	assert_string_equal(v, "");
	assert_int_equal(uri_param(p, "+sip.instance", v, sizeof(v)), 1);
	assert_string_equal(v, "<urn:uuid:1;2>");
	assert_int_equal(uri_param(p, "q", v, sizeof(v)), 1);
	assert_string_equal(v, "0.5");
	assert_int_equal(uri_param(p, "e", v, sizeof(v)), 1);
	assert_string_equal(v, "aA");
	assert_int_equal(uri_param(p, "tra", v, sizeof(v)), 0);
	assert_int_equal(uri_param(slice_str(""), "x", v, sizeof(v)), 0);
	assert_int_equal(uri_param(slice_str("x=\"never closed"), "x", v, sizeof(v)), 1);
	assert_string_equal(v, "never closed");
}

static void test_equal(void **state)
{
	static const struct {
		const char *a, *b;
		int equal;
	} pairs[] = {
		{"sip:a@h", "sip:a@H", 1},
		{"sip:%61@h", "sip:a@h", 1},
		{"sip:A@h", "sip:a@h", 0},
		{"sip:a@h", "sips:a@h", 0},
		{"sip:a@h", "sip:a@h:5060", 0}, /* RFC 3261 19.1.4 */
		{"sip:a@h;transport=tcp", "sip:a@h;transport=TCP", 1},
		{"sip:a@h;transport=tcp", "sip:a@h", 0},
		{"sip:a@h;ob", "sip:a@h", 1},
		{"sip:a@[2001:db8:0:0::1]", "sip:a@[2001:db8::1]", 1},
		{"sip:a@h.", "sip:a@h", 1},
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct uri a, b;

		assert_int_equal(uri_parse_str(pairs[i].a, &a), URI_OK);
		assert_int_equal(uri_parse_str(pairs[i].b, &b), URI_OK);
		if (uri_equal(&a, &b) != pairs[i].equal)
			fail_msg("%s and %s", pairs[i].a, pairs[i].b);
	}
	assert_true(uri_host_equal("[::1]", "::0001"));
	assert_false(uri_host_equal("::1", "::2"));
}

static void test_numbers(void **state)
{
	static const struct {
		const char *in, *out;
	} numbers[] = {
		{"+49 (711) 555-01", "+4971155501"},
		{"0711.555", "0711555"},
		{"*72#", "*72#"},
		{"alice.smith", "alice.smith"},
		{"4-ever", "4-ever"},
		{"--", "--"},
		{"", ""},
		{"+1234567890123456", "+1234567890123456"},
		{"+", "+"},
		{"1+2", "1+2"},
	};
	char out[NUM_MAX];

	for (size_t i = 0; i < COUNT(numbers); i++) {
		assert_true(number_clean(out, sizeof(out), numbers[i].in));
		assert_string_equal(out, numbers[i].out);
	}
	assert_false(number_clean(out, 4, "123-456"));
	assert_string_equal(out, "123");
}

/* Any bytes survive escape and unescape, in every part, and the URI stays whole. */
static void test_escape_round_trip(void **state)
{
	srand(1);
	for (int i = 0; i < 20000; i++) {
		char raw[24], text[80], back[24];
		size_t n = (size_t)(rand() % 20) + 1;

		for (size_t k = 0; k < n; k++)
			raw[k] = (char)(rand() % 255 + 1);
		raw[n] = '\0';
		for (int part = 0; part < (int)uri_part_count_; part++) {
			assert_int_equal(uri_escape(text, sizeof(text), raw, n, (enum uri_part)part), 0);
			assert_null(strpbrk(text, " @;<>\"\r\n"));
			assert_int_equal(uri_unescape(back, sizeof(back), text, strlen(text)), 0);
			assert_string_equal(back, raw);
		}
	}
}

static void test_unescape_bad(void **state)
{
	char out[8];

	assert_int_equal(uri_unescape(out, sizeof(out), "a%00", 4), EINVAL);
	assert_int_equal(uri_unescape(out, sizeof(out), "a%4", 3), EINVAL);
	assert_int_equal(uri_unescape(out, sizeof(out), "%", 1), EINVAL);
	assert_int_equal(uri_unescape(out, sizeof(out), "12345678", 8), ENOSPC);
	assert_int_equal(uri_unescape(out, sizeof(out), "1234567", 7), 0);
	assert_int_equal(uri_escape(out, sizeof(out), "   ", 3, URI_PART_USER), ENOSPC);
	assert_string_equal(out, "");
}

static const struct {
	const char *text;
	enum uri_error error;
	const char *name, *uri, *params;
	enum addr_form form;
} addrs[] = {
	{"<sip:a@h>;tag=1", URI_OK, "", "sip:a@h", "tag=1", ADDR_BRACKET},
	{" \"Alice \\\"A\\\" <x>\" <sip:a@h;lr> ; tag=1", URI_OK, "Alice \"A\" <x>", "sip:a@h;lr",
		" tag=1", ADDR_BRACKET},
	{"Alice Smith <sip:a@h>", URI_OK, "Alice Smith", "sip:a@h", "", ADDR_BRACKET},
	{"sip:a@h;tag=1", URI_OK, "", "sip:a@h", "tag=1", ADDR_BARE},
	{"\"\xff\x01\" <sip:a@h>", URI_OK, "??", "sip:a@h", "", ADDR_BRACKET},
	{"\"Alice <sip:a@h>", URI_BAD_QUOTE, "", "", "", ADDR_BARE},
	{"\"Alice\" sip:a@h", URI_EMPTY, "", "", "", ADDR_BARE},
	{"<sip:a@h", URI_BAD_BRACKET, "", "", "", ADDR_BARE},
	{"<sip:a@h> x", URI_TRAILING, "", "", "", ADDR_BARE},
	{"<>", URI_EMPTY, "", "", "", ADDR_BARE},
	{"", URI_EMPTY, "", "", "", ADDR_BARE},
	{"\"", URI_BAD_QUOTE, "", "", "", ADDR_BARE},
	{"\"\\", URI_BAD_QUOTE, "", "", "", ADDR_BARE},
};

static void test_addr(void **state)
{
	for (size_t i = 0; i < COUNT(addrs); i++) {
		struct addr a;
		enum uri_error e = addr_parse(addrs[i].text, strlen(addrs[i].text), &a);

		if (e != addrs[i].error)
			fail_msg("%s: %s", addrs[i].text, uri_error_name(e));
		if (e)
			continue;
		assert_string_equal(a.name, addrs[i].name);
		assert_true(slice_is(a.uri_text, addrs[i].uri));
		assert_true(slice_is(a.params, addrs[i].params));
		assert_int_equal(a.form, addrs[i].form);
	}
}

static void test_addr_list(void **state)
{
	const char *text = "\"a, b\" <sip:a@h?x=1,2> ,, sip:b@h;q=1,<sip:c@h>,";
	size_t len = strlen(text);
	struct slice s;

	assert_int_equal(addr_next(&text, &len, &s), 1);
	assert_true(slice_is(s, "\"a, b\" <sip:a@h?x=1,2>"));
	assert_int_equal(addr_next(&text, &len, &s), 1);
	assert_true(slice_is(s, "sip:b@h;q=1"));
	assert_int_equal(addr_next(&text, &len, &s), 1);
	assert_true(slice_is(s, "<sip:c@h>"));
	assert_int_equal(addr_next(&text, &len, &s), 0);
}

/* Whatever a name holds, what is printed parses back to it. */
static void test_addr_round_trip(void **state)
{
	static const char alphabet[] = "ab \"\\<>,;@\xc3\xbc";

	srand(2);
	for (int i = 0; i < 20000; i++) {
		char name[12] = "", text[128];
		struct addr a;
		int n = rand() % 8;

		for (int k = 0; k < n; k++) {
			size_t c = (size_t)rand() % (sizeof(alphabet) - 2);

			str_append(name, sizeof(name),
				c >= sizeof(alphabet) - 3 ? "\xc3\xbc" :
							    (char[]){alphabet[c], 0});
		}
		assert_int_equal(addr_print(text, sizeof(text), name, "sip:a@h"), 0);
		assert_int_equal(addr_parse(text, strlen(text), &a), URI_OK);
		assert_string_equal(a.name, name);
	}
}

/* Mutated URIs never break a promise: what is accepted prints and parses again. */
static void test_mutations(void **state)
{
	srand(3);
	for (int i = 0; i < 200000; i++) {
		const char *base = good[(size_t)rand() % COUNT(good)].text;
		char text[256], printed[URI_MAX];
		struct uri u, again;
		size_t n = strlen(base);

		str_set(text, base);
		for (int k = rand() % 3; k >= 0; k--)
			text[(size_t)rand() % n] = (char)(rand() % 256);
		if (uri_parse(text, n, &u) != URI_OK)
			continue;
		assert_int_equal(uri_print(&u, printed, sizeof(printed)), 0);
		assert_null(strpbrk(printed, " \t\r\n<>\""));
		if (uri_parse_str(printed, &again) != URI_OK)
			fail_msg("%s", printed);
		assert_true(uri_equal(&u, &again));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	      cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds),	      cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_print_small),   cmocka_unit_test(test_build),
		cmocka_unit_test(test_params),	      cmocka_unit_test(test_equal),
		cmocka_unit_test(test_numbers),	      cmocka_unit_test(test_escape_round_trip),
		cmocka_unit_test(test_unescape_bad),  cmocka_unit_test(test_addr),
		cmocka_unit_test(test_addr_list),     cmocka_unit_test(test_addr_round_trip),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
