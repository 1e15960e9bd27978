/*
 * test_headers: the header policy: every row is found, no name is given twice, and what must never
 * pass never does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <cmocka.h>

#include "sip/headers.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BOTH (HEADER_TRUST_IDENTITY | HEADER_TRUST_CASE)

static const struct header_rule *find(const char *name)
{
	return headers_find(name, strlen(name));
}

static void test_every_row_is_found(void **state)
{
	for (unsigned i = 0; i < headers_count(); i++) {
		const struct header_rule *rule = headers_at(i);
		char upper[64];

		str_set(upper, rule->name);
		for (char *p = upper; *p; p++)
			*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
		if (strchr(rule->name, '*'))
			continue;
		assert_ptr_equal(find(rule->name), rule);
		assert_ptr_equal(find(upper), rule);
		if (rule->compact)
			assert_ptr_equal(find(rule->compact), rule);
	}
}

static void test_table_is_sound(void **state)
{
	for (unsigned i = 0; i < headers_count(); i++) {
		const struct header_rule *a = headers_at(i);
		size_t n = strlen(a->why);

		assert_true(n > 10 && a->why[n - 1] == '.');
		/* what is ours or never passes has no trip; the rest has one */
		assert_int_equal(a->trips == 0, a->class == HEADER_OWN || a->class == HEADER_NEVER);
		for (unsigned k = i + 1; k < headers_count(); k++) {
			const struct header_rule *b = headers_at(k);

			assert_int_not_equal(strcasecmp(a->name, b->name), 0);
			if (a->compact && b->compact)
				assert_int_not_equal(strcasecmp(a->compact, b->compact), 0);
		}
	}
}

static void test_unknown(void **state)
{
	assert_string_equal(find("X-Anything")->name, "X-*");
	assert_string_equal(find("x-a")->name, "X-*");
	assert_string_equal(find("X-")->name, "*");
	assert_string_equal(find("Unheard-Of")->name, "*");
	assert_string_equal(find("")->name, "*");
	assert_string_equal(find("Via2")->name, "*");
	assert_ptr_equal(headers_find("Subjective", 7), find("Subject"));
}

static const struct {
	const char *name;
	enum header_trip trip;
	unsigned trust;
	int pass;
} cases[] = {
	{"Subject", HEADER_TRIP_CALL, 0, 1},
	{"s", HEADER_TRIP_TRANSFER, 0, 1},
	{"X-Account", HEADER_TRIP_TRANSFER, 0, 1},
	{"X-Account", HEADER_TRIP_REFERTO, 0, 1},
	{"User-to-User", HEADER_TRIP_REFERTO, 0, 1},
	{"Alert-Info", HEADER_TRIP_CALL, 0, 1},
	{"Alert-Info", HEADER_TRIP_TRANSFER, 0, 0},
	{"Reason", HEADER_TRIP_DIALOG, 0, 1},
	{"Diversion", HEADER_TRIP_TRANSFER, 0, 1},
	{"History-Info", HEADER_TRIP_CALL, 0, 1},
	{"P-Asserted-Identity", HEADER_TRIP_CALL, 0, 0},
	{"P-Asserted-Identity", HEADER_TRIP_CALL, HEADER_TRUST_CASE, 0},
	{"P-Asserted-Identity", HEADER_TRIP_CALL, HEADER_TRUST_IDENTITY, 1},
	{"P-Asserted-Identity", HEADER_TRIP_REFERTO, BOTH, 0},
	{"X-Case-ID", HEADER_TRIP_CALL, 0, 0},
	{"x-case-id", HEADER_TRIP_CALL, HEADER_TRUST_IDENTITY, 0},
	{"X-Case-ID", HEADER_TRIP_CALL, HEADER_TRUST_CASE, 1},
	{"X-Case-ID", HEADER_TRIP_REFERTO, BOTH, 0},
	{"Via", HEADER_TRIP_CALL, BOTH, 0},
	{"v", HEADER_TRIP_DIALOG, BOTH, 0},
	{"Route", HEADER_TRIP_CALL, BOTH, 0},
	{"Record-Route", HEADER_TRIP_CALL, BOTH, 0},
	{"Contact", HEADER_TRIP_CALL, BOTH, 0},
	{"Authorization", HEADER_TRIP_CALL, BOTH, 0},
	{"Proxy-Authorization", HEADER_TRIP_TRANSFER, BOTH, 0},
	{"Replaces", HEADER_TRIP_REFERTO, BOTH, 0},
	{"Refer-To", HEADER_TRIP_DIALOG, BOTH, 0},
	{"Max-Forwards", HEADER_TRIP_CALL, BOTH, 0},
	{"P-Preferred-Identity", HEADER_TRIP_CALL, BOTH, 0},
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++)
		if (headers_may_pass(cases[i].name, cases[i].trip, cases[i].trust) != cases[i].pass)
			fail_msg("%s on %s with trust %u", cases[i].name,
				header_trip_name((int)cases[i].trip), cases[i].trust);
}

static void test_markdown(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	headers_print_markdown(f);
	fclose(f);
	for (unsigned i = 0; i < headers_count(); i++) {
		char cell[80];

		snprintf(cell, sizeof(cell), "| `%s`", headers_at(i)->name);
		assert_non_null(strstr(text, cell));
		assert_non_null(strstr(text, headers_at(i)->why));
	}
	assert_non_null(strstr(text, "| `Subject` (`s`) | yes | yes | | yes |"));
	free(text);
}

/* docs/headers.md is what the table prints; `make regenerate-headers` writes it. */
static void test_docs_are_fresh(void **state)
{
	const char *src = getenv("SEGUE_SRC");
	char path[4096], *text = NULL, *on_disk;
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/docs/headers.md", src ? src : ".");
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s cannot be read", path);
	on_disk = calloc(1, 65536);
	assert_non_null(on_disk);
	assert_true(fread(on_disk, 1, 65535, f) > 0);
	fclose(f);
	f = open_memstream(&text, &len);
	assert_non_null(f);
	headers_print_markdown(f);
	fclose(f);
	assert_string_equal(on_disk, text);
	free(on_disk);
	free(text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_found), cmocka_unit_test(test_table_is_sound),
		cmocka_unit_test(test_unknown),		   cmocka_unit_test(test_cases),
		cmocka_unit_test(test_markdown),	   cmocka_unit_test(test_docs_are_fresh),
	};

	if (argc > 1 && str_eq(argv[1], "print")) {
		headers_print_markdown(stdout);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
