/* batch and statements: facts become the arrays that PostgreSQL expects, and every fact type has
 * its place. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "db/batch.h"
#include "db/statements.h"

static bool add(struct batch *b, uint64_t seq, const struct fact *f)
{
	unsigned char buf[FACT_ENCODED_MAX];

	return batch_add(b, seq, buf, fact_encode(f, buf));
}

static void test_arrays(void **state)
{
	static const char who[] = "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\2\0\0\0\1" /* 2 texts, NULLs */
				  "\0\0\0\4m\xc3\xbcx"
				  "\xff\xff\xff\xff";
	static const char at[] = "\0\0\0\1\0\0\0\0\0\0\x04\xa0\0\0\0\2\0\0\0\1"
				 "\0\0\0\x08\0\0\0\0\0\0\0\1"
				 "\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff";
	struct fact f = {.type = FACT_AUDIT, .at = 946684800000001};
	struct batch *b = batch_create();
	const char *values[GROUP_COLUMNS_MAX];
	int lengths[GROUP_COLUMNS_MAX];
	unsigned oids[GROUP_COLUMNS_MAX];

	assert_int_equal(batch_types(FACT_AUDIT, oids), 10);
	assert_int_equal(oids[0], 1016);
	assert_int_equal(oids[1], 1185);
	assert_int_equal(oids[2], 1009);
	assert_int_equal(oids[8], 2951);
	assert_string_equal(batch_column(FACT_AUDIT, 2), "who");
	for (unsigned round = 0; round < 2; round++) { /* used again after a clear */
		batch_clear(b);
		str_set(f.audit.who, "m\xc3\xbcx");
		f.at = 946684800000001;
		assert_true(add(b, 5, &f));
		f.audit.who[0] = '\0';
		f.at = 946684799999999;
		assert_true(add(b, 6, &f));
		assert_int_equal(batch_rows(b, FACT_AUDIT), 2);
		assert_int_equal(batch_rows(b, FACT_TIMELINE), 0);
		batch_columns(b, FACT_AUDIT, values, lengths);
		assert_int_equal(lengths[2], sizeof(who) - 1);
		assert_memory_equal(values[2], who, sizeof(who) - 1);
		assert_int_equal(lengths[1], sizeof(at) - 1);
		assert_memory_equal(values[1], at, sizeof(at) - 1);
	}
	batch_destroy(b);
}

/* What the database would refuse as text never reaches it. */
static void test_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain", "plain"},
		{"\xe2\x82\xac", "\xe2\x82\xac"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"a\xff"
		 "b",
			"a?b"},
		{"\xc0\xaf", "??"}, /* overlong */
		{"\xe0\x80\xaf", "???"},
		{"\xed\xa0\x80", "???"},      /* surrogate */
		{"\xf4\x90\x80\x80", "????"}, /* beyond U+10FFFF */
		{"\xe2\x82", "??"},	      /* cut */
		{"\xe2\x82z", "??z"},
		{"\x80", "?"},
	};
	const char *values[GROUP_COLUMNS_MAX];
	int lengths[GROUP_COLUMNS_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fact f = {.type = FACT_CASE_OWNER};
		struct batch *b = batch_create();
		size_t n = strlen(cases[i].out);

		str_set(f.case_owner.user, cases[i].in);
		assert_true(add(b, 1, &f));
		batch_columns(b, FACT_CASE_OWNER, values, lengths);
		assert_int_equal(lengths[3], 24 + n);
		assert_memory_equal(values[3] + 24, cases[i].out, n);
		batch_destroy(b);
	}
}

static void test_unreadable_facts_are_put_aside(void **state)
{
	const char *values[GROUP_COLUMNS_MAX];
	int lengths[GROUP_COLUMNS_MAX];
	struct batch *b = batch_create();

	assert_true(batch_add(b, 9, (const unsigned char *)"\xff\x01 from the future", 18));
	assert_int_equal(batch_rows(b, GROUP_REJECTED), 1);
	for (unsigned g = 0; g < GROUP_REJECTED; g++)
		assert_int_equal(batch_rows(b, g), 0);
	batch_columns(b, GROUP_REJECTED, values, lengths);
	assert_int_equal(lengths[2], 24 + 18);
	assert_memory_equal(values[2] + 26, " from the future", 16);
	batch_destroy(b);
	batch_destroy(NULL);
}

/* Every group is stored by a statement that reads all its columns by their names. */
static void test_statements(void **state)
{
	char text[STATEMENT_MAX];

	for (unsigned g = 0; g < GROUPS; g++) {
		unsigned oids[GROUP_COLUMNS_MAX], n = batch_types(g, oids), found = 0;

		assert_in_range(n, 1, GROUP_COLUMNS_MAX);
		for (unsigned i = 0; i < statement_count(); i++) {
			if (statement_group(i) != g)
				continue;
			found++;
			statement_text(i, text);
			assert_in_range(strlen(text), 1, STATEMENT_MAX - 2);
			assert_null(strchr(text, '@'));
			assert_non_null(strstr(text, "unnest($2, $3"));
			assert_non_null(strstr(text, "AS f(\"fact_id\", \""));
		}
		assert_true(found > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_unreadable_facts_are_put_aside),
		cmocka_unit_test(test_statements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
