/*
 * test_referto: what phones write into Refer-To, what they should not, and Replaces (E-060 to
 * E-064, E-075, R-050, R-055), and Target-Dialog.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sip/referto.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static enum referto_error parse(const char *value, struct referto *r)
{
	return referto_parse(value, value ? strlen(value) : 0, r);
}

static const struct {
	const char *value, *uri, *user, *host, *name;
	unsigned port;
} good[] = {
	{"<sip:bob@example.com>", "sip:bob@example.com", "bob", "example.com", "", 0},
	{"sip:bob@example.com:5080", "sip:bob@example.com:5080", "bob", "example.com", "", 5080},
	{"\"Bob, B\" <sip:200@h;user=phone>;x=y", "sip:200@h;user=phone", "200", "h", "Bob, B", 0},
	{"<sip:bob@h;method=INVITE>", "sip:bob@h", "bob", "h", "", 0},
	{"<sip:bob@h;a;method=INVITE;b=c>", "sip:bob@h;a;b=c", "bob", "h", "", 0},
	{"sip:bob@h;method=INVITE", "sip:bob@h", "bob", "h", "", 0},
	{"<tel:+49-711-555>", "tel:+49-711-555", "+49711555", "", "", 0},
	{"<sips:bob@[::1]:5061>", "sips:bob@[::1]:5061", "bob", "[::1]", "", 5061},
	{"<sip:example.com>", "sip:example.com", "", "example.com", "", 0}, /* E-063: the core's choice */
	{"<sip:%23%2A@h>", "sip:%23%2A@h", "#*", "h", "", 0},
};

static void test_good(void **state)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		struct referto r;
		enum referto_error e = parse(good[i].value, &r);

		if (e)
			fail_msg("%s: %s", good[i].value, referto_error_text(e));
		assert_string_equal(r.uri, good[i].uri);
		assert_string_equal(r.user, good[i].user);
		assert_string_equal(r.host, good[i].host);
		assert_string_equal(r.name, good[i].name);
		assert_int_equal(r.port, good[i].port);
		assert_string_equal(r.replaces.call_id, "");
		assert_int_equal(r.nheaders, 0);
	}
}

static const struct {
	const char *value;
	enum referto_error error;
	unsigned status;
} bad[] = {
	{NULL, REFERTO_MISSING, 400},
	{"", REFERTO_MISSING, 400},
	{" , ", REFERTO_MISSING, 400},
	{"<sip:a@h>, <sip:b@h>", REFERTO_SEVERAL, 400},
	{"<http://example.com/>", REFERTO_SCHEME, 416},
	{"<mailto:a@b>", REFERTO_SCHEME, 416},
	{"<sip:a@h", REFERTO_SYNTAX, 400},
	{"<sip:a b@h>", REFERTO_SYNTAX, 400},
	{"<sip:a@b@h>", REFERTO_SYNTAX, 400},
	{"<sip:a%00@h>", REFERTO_SYNTAX, 400},
	{"\"a <sip:a@h>", REFERTO_SYNTAX, 400},
	{"<sip:a@h;method=BYE>", REFERTO_METHOD, 403},
	{"<sip:a@h;METHOD=SUBSCRIBE>", REFERTO_METHOD, 403},
	{"<sip:a@h;method=invite>", REFERTO_METHOD, 403}, /* methods are case-sensitive */
	{"sip:a@h;method=BYE", REFERTO_METHOD, 403}, /* lands in the header parameters */
	{"<sip:a@h?>", REFERTO_HEADERS, 400},
	{"<sip:a@h?X-A>", REFERTO_HEADERS, 400},
	{"<sip:a@h?=x>", REFERTO_HEADERS, 400},
	{"<sip:a@h?X-A=1&>", REFERTO_HEADERS, 400},
	{"<sip:a@h?X-A=1&&X-B=2>", REFERTO_HEADERS, 400},
	{"<sip:a@h?X%20A=1>", REFERTO_HEADERS, 400},
	{"<sip:a@h?X-A=%0d%0aVia%3a%20x>", REFERTO_HEADERS, 400},
	{"<sip:a@h?X-A=%zz>", REFERTO_SYNTAX, 400},
	{"<sip:a@h?Replaces=>", REFERTO_REPLACES, 400},
	{"<sip:a@h?Replaces=id>", REFERTO_REPLACES, 400},
	{"<sip:a@h?Replaces=id%3Bto-tag%3D1>", REFERTO_REPLACES, 400},
	{"<sip:a@h?Replaces=id%3Bfrom-tag%3D1>", REFERTO_REPLACES, 400},
	{"<sip:a@h?Replaces=id%3Bto-tag%3D%3Bfrom-tag%3D1>", REFERTO_REPLACES, 400},
	{"<sip:a@h?Replaces=id%3Bto-tag%3D1%3Bto-tag%3D2%3Bfrom-tag%3D1>", REFERTO_REPLACES, 400},
	{"<sip:a@h?Replaces=id%3Bto-tag%3D%3D1%3Bfrom-tag%3D1>", REFERTO_REPLACES, 400},
	{"<sip:a@h;Replaces=i@d;to-tag=1>", REFERTO_REPLACES, 400},
	{"<sip:a@h;Replaces=i@d;to-tag=1;from-tag=2?Subject=x>", REFERTO_REPLACES, 400},
	{"<sip:a@b@h;Replaces=i@d;to-tag=1;from-tag=2>", REFERTO_SYNTAX, 400},
	{"<sip:a@h;Replaces=i@d;to-tag=1;from-tag=2", REFERTO_SYNTAX, 400},
	{"<sip:a@h?Replaces=id%3B%3Bto-tag%3D1%3Bfrom-tag%3D1>", REFERTO_REPLACES, 400},
	{"<sip:a@h?Replaces=i%0Ad%3Bto-tag%3D1%3Bfrom-tag%3D1>", REFERTO_REPLACES, 400},
	{"<sip:a@h?Replaces=id%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=id%3Bto-tag%3D1%3Bfrom-tag%3D2>",
		REFERTO_TWO_REPLACES, 400},
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct referto r;
		enum referto_error e = parse(bad[i].value, &r);

		if (e != bad[i].error)
			fail_msg("%s: %s, expected %s", bad[i].value, referto_error_text(e),
				referto_error_text(bad[i].error));
		assert_int_equal(referto_error_status(e), bad[i].status);
	}
	assert_string_equal(referto_error_text((enum referto_error)99), "?");
	assert_int_equal(referto_error_status((enum referto_error)99), 400);
}

/* As Linphone, Twinkle, Snom, Yealink and others write it. */
static const char *const replaces_styles[] = {
	"<sip:c@h?Replaces=id%40host%3Bto-tag%3Dt1%3Bfrom-tag%3Df1>",
	"<sip:c@h?Replaces=id%40host%3bfrom-tag%3df1%3bto-tag%3dt1>",
	"<sip:c@h:5083?replaces=id%40host;to-tag=t1;from-tag=f1>",
	"<sip:c@h?Replaces=id@host;to-tag=t1;from-tag=f1>",
	"<sip:c@h?X-A=1&Replaces=id%40host%3Bto-tag%3Dt1%3Bfrom-tag%3Df1&Subject=x>",
	"<sip:c@h?Replaces=id%40host%3Bto-tag%3Dt1%3Bfrom-tag%3Df1%3Bx-y%3Dz>",
	"<sip:c@h;Replaces=id%40host%3Bto-tag%3Dt1%3Bfrom-tag%3Df1>",
	"<sip:c@h;transport=udp;Replaces=id%40host;to-tag=t1;from-tag=f1>",
	"sip:c@h?Replaces=id%40host%3Bto-tag%3Dt1%3Bfrom-tag%3Df1",
	"sip:c@h:5083?Replaces=id%40host%3bfrom-tag%3df1%3bto-tag%3dt1",
	"sip:c@h;Replaces=id%40host;from-tag=f1;to-tag=t1",
	"<sip:c@h;transport=udp;Replaces=id@host;to-tag=t1;from-tag=f1>",
	"\"C\" <sip:c@h:5060;replaces=id@host;from-tag=f1;to-tag=t1>;x=y",
	"sip:c@h;Replaces=id@host;to-tag=t1;from-tag=f1",
	"\"C\" <sip:c@h?method=INVITE&Replaces=id%40host%3Bfrom-tag%3Df1%3Bto-tag%3Dt1>",
};

static void test_replaces(void **state)
{
	for (size_t i = 0; i < COUNT(replaces_styles); i++) {
		struct referto r;
		enum referto_error e = parse(replaces_styles[i], &r);

		if (e)
			fail_msg("%s: %s", replaces_styles[i], referto_error_text(e));
		assert_string_equal(r.replaces.call_id, "id@host");
		assert_string_equal(r.replaces.to_tag, "t1");
		assert_string_equal(r.replaces.from_tag, "f1");
		assert_false(r.replaces.early_only);
		assert_null(strstr(r.uri, "eplaces"));
		assert_string_equal(r.user, "c");
	}
}

static void test_early_only(void **state)
{
	struct replaces r;
	char text[64];

	assert_int_equal(replaces_parse("a;to-tag=1;from-tag=2;early-only", 32, &r), 0);
	assert_true(r.early_only);
	assert_int_equal(replaces_print(text, sizeof(text), &r), 0);
	assert_string_equal(text, "a;to-tag=1;from-tag=2;early-only");
	assert_int_equal(replaces_print(text, 20, &r), ENOSPC);
	assert_int_equal(replaces_parse("a;to-tag=1;from-tag=2;early-only=1", 34, &r), EINVAL);
	assert_string_equal(r.call_id, "");
	/* blanks around are tolerated, tags keep their case */
	assert_int_equal(replaces_parse(" A@b ; from-tag = X ; To-Tag = yZ ", 34, &r), 0);
	assert_string_equal(r.call_id, "A@b");
	assert_string_equal(r.from_tag, "X");
	assert_string_equal(r.to_tag, "yZ");
}

/* RFC 4538: its tags are named from the receiver's side; nothing in it is a flag. */
static void test_target_dialog(void **state)
{
	static const char *const none[] = {"", "id", "id;local-tag=1", "id;remote-tag=1",
		"id;local-tag=;remote-tag=1", "id;local-tag=1;local-tag=1;remote-tag=2",
		"id;to-tag=1;from-tag=2", ";local-tag=1;remote-tag=2", "id;;local-tag=1;remote-tag=2",
		"i d;local-tag=1;remote-tag=2", "id,b;local-tag=1;remote-tag=2"};
	static const char good_one[] = "iD@h;remote-tag=Xy;early-only=1;Local-Tag=Zz";
	struct replaces r;

	assert_int_equal(target_dialog_parse(good_one, strlen(good_one), &r), 0);
	assert_string_equal(r.call_id, "iD@h");
	assert_string_equal(r.to_tag, "Zz");
	assert_string_equal(r.from_tag, "Xy");
	assert_false(r.early_only);
	for (size_t i = 0; i < COUNT(none); i++) {
		assert_int_equal(target_dialog_parse(none[i], strlen(none[i]), &r), EINVAL);
		assert_string_equal(r.call_id, "");
	}
}

/* To a queue: the transferor stays until somebody answers. It is no part of what is called. */
static void test_stay(void **state)
{
	static const struct {
		const char *text;
		bool stay;
	} cases[] = {{"<sip:501@h;stay>", true}, {"<sip:501@h;transport=udp;STAY=yes?X-Case=1>", true},
		{"sip:501@h;stay", true}, {"<sip:501@h;stay=no>", false}, {"<sip:501@h>", false},
		{"<sip:stay@h;staying>", false}};
	struct referto r;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(parse(cases[i].text, &r), REFERTO_OK);
		assert_int_equal(r.stay, cases[i].stay);
		assert_null(strstr(r.uri, "501@h;stay"));
		assert_null(strstr(r.uri, "STAY"));
	}
}

/* E-062: allow-listed headers are carried, others are dropped. */
static void test_headers(void **state)
{
	struct referto r;

	assert_int_equal(parse("<sip:a@h?X-Case=1&Subject=a%26b%3D=c&Via=x&X-Case-ID=7&From=y&"
			       "User-to-User=00ab%3Bencoding%3Dhex&Authorization=z&body=q&X-E=>",
				 &r),
		REFERTO_OK);
	assert_int_equal(r.nheaders, 3);
	assert_string_equal(r.headers[0].name, "X-Case");
	assert_string_equal(r.headers[0].value, "1");
	assert_string_equal(r.headers[1].name, "Subject");
	assert_string_equal(r.headers[1].value, "a&b==c");
	assert_string_equal(r.headers[2].value, "00ab;encoding=hex");
	assert_int_equal(r.ndropped, 6);
}

static void test_bounds(void **state)
{
	static char text[16384];
	struct referto r;

	memset(text, 'a', sizeof(text));
	memcpy(text, "<sip:", 5);
	assert_int_equal(referto_parse(text, 10240, &r), REFERTO_LONG);
	assert_int_equal(referto_parse(text, 2048, &r), REFERTO_SYNTAX); /* no > */
	text[2047] = '>';
	assert_int_equal(referto_parse(text, 2048, &r), REFERTO_LONG);
	/* more headers than we keep */
	str_copy(text, sizeof(text), "<sip:a@h?X-A=1");
	for (int i = 0; i < REFERTO_HEADERS_MAX + 2; i++)
		str_append(text, sizeof(text), "&X-B=2");
	str_append(text, sizeof(text), ">");
	assert_int_equal(parse(text, &r), REFERTO_OK);
	assert_int_equal(r.nheaders, REFERTO_HEADERS_MAX);
	assert_int_equal(r.ndropped, 3);
}

/* Replaces survives printing, escaping into a URI and being read from there. */
static void test_round_trip(void **state)
{
	static const char alphabet[] = "abcXYZ019.-_@!%*'`~<>/=:[]?";

	srand(5);
	for (int i = 0; i < 20000; i++) {
		struct replaces a = {.early_only = rand() & 1};
		char plain[512], escaped[1024], value[1200];
		struct referto r;

		for (int k = rand() % 12; k >= 0; k--) {
			str_append(a.call_id, sizeof(a.call_id),
				(char[]){alphabet[(size_t)rand() % (sizeof(alphabet) - 1)], 0});
			str_append(a.to_tag, sizeof(a.to_tag), (char[]){alphabet[rand() % 9], 0});
			str_append(a.from_tag, sizeof(a.from_tag), (char[]){alphabet[rand() % 9], 0});
		}
		assert_int_equal(replaces_print(plain, sizeof(plain), &a), 0);
		assert_int_equal(uri_escape(escaped, sizeof(escaped), plain, strlen(plain),
					 URI_PART_HEADER),
			0);
		snprintf(value, sizeof(value), "<sip:a@h?Replaces=%s>", escaped);
		if (parse(value, &r))
			fail_msg("%s", value);
		assert_memory_equal(&r.replaces, &a, sizeof(a));
	}
}

static void test_mutations(void **state)
{
	srand(6);
	for (int i = 0; i < 200000; i++) {
		const char *base = replaces_styles[(size_t)rand() % COUNT(replaces_styles)];
		size_t n = strlen(base);
		char text[256];
		struct referto r;
		struct uri u;

		str_set(text, base);
		for (int k = rand() % 4; k >= 0; k--)
			text[(size_t)rand() % n] = (char)(rand() % 256);
		if (referto_parse(text, n, &r) != REFERTO_OK)
			continue;
		assert_int_equal(uri_parse_str(r.uri, &u), URI_OK);
		assert_string_equal(u.user, r.user);
		if (r.replaces.call_id[0])
			assert_true(r.replaces.to_tag[0] && r.replaces.from_tag[0]);
		for (unsigned h = 0; h < r.nheaders; h++)
			assert_null(strpbrk(r.headers[h].value, "\r\n"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	   cmocka_unit_test(test_bad),
		cmocka_unit_test(test_replaces),   cmocka_unit_test(test_early_only),
		cmocka_unit_test(test_target_dialog),
		cmocka_unit_test(test_stay),
		cmocka_unit_test(test_headers),	   cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
