/* fact: what goes in comes out, from older and newer writers too, and damage is noticed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/fact.h"

static char *field_at(struct fact *f, const struct fact_field *d)
{
	return (char *)f + d->offset;
}

/* Fills every field with its largest value, or with bytes that depend on i. */
static void fill(struct fact *f, enum fact_type type, int64_t value)
{
	const struct fact_desc *d = fact_describe(type);

	memset(f, 0, sizeof(*f));
	f->type = type;
	f->at = value;
	for (unsigned i = 0; i < d->nfields; i++) {
		char *p = field_at(f, &d->fields[i]);

		if (d->fields[i].kind == FIELD_UUID)
			memset(p, (int)i + 1, sizeof(uuid));
		else if (d->fields[i].kind == FIELD_TEXT)
			memset(p, 'a' + (int)i, d->fields[i].size - 1u);
		else
			memcpy(p, &value, sizeof(value));
	}
}

static void test_descriptors(void **state)
{
	for (int t = 0; t < fact_type_count_; t++) {
		const struct fact_desc *d = fact_describe(t);
		size_t end = offsetof(struct fact, audit);

		assert_non_null(d->name);
		assert_true(d->nfields > 0 && d->nfields < 256);
		for (unsigned i = 0; i < d->nfields; i++) {
			assert_true(d->fields[i].offset >= end);
			end = d->fields[i].offset + d->fields[i].size;
			assert_true(d->fields[i].size <= 256); /* its length fits in a byte */
		}
		assert_true(end <= sizeof(struct fact));
	}
	assert_string_equal(fact_describe(FACT_INTERVAL)->name, "interval");
	assert_string_equal(fact_describe(FACT_INTERVAL)->fields[3].name, "from");
	assert_int_equal(fact_describe(FACT_INTERVAL)->fields[3].kind, FIELD_TIME);
	assert_int_equal(fact_describe(FACT_INTERVAL)->fields[3].offset,
		offsetof(struct fact, interval.from));
}

static void test_round_trip(void **state)
{
	static const int64_t values[] = {
		0, 1, -1, 255, -256, 1234567890123456, INT64_MAX, INT64_MIN};
	unsigned char buf[FACT_ENCODED_MAX];

	for (int t = 0; t < fact_type_count_; t++) {
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			struct fact a, b;
			size_t n;

			fill(&a, t, values[i]);
			n = fact_encode(&a, buf);
			assert_in_range(n, 1, FACT_ENCODED_MAX);
			memset(&b, 0x55, sizeof(b));
			assert_true(fact_decode(buf, n, &b));
			assert_memory_equal(&a, &b, sizeof(a));
		}
	}
}

static void test_empty_is_small(void **state)
{
	struct fact a = {.type = FACT_TIMELINE}, b;
	unsigned char buf[FACT_ENCODED_MAX];
	size_t n = fact_encode(&a, buf);

	assert_int_equal(n, 10 + fact_describe(FACT_TIMELINE)->nfields);
	assert_true(fact_decode(buf, n, &b));
	assert_memory_equal(&a, &b, sizeof(a));
}

/* A record of an older version has fewer fields, one of a newer has more. */
static void test_versions(void **state)
{
	unsigned char buf[FACT_ENCODED_MAX + 8];
	struct fact a, b;
	size_t n;

	fill(&a, FACT_SEGMENT_ANSWERED, 7);
	n = fact_encode(&a, buf);
	memcpy(buf + n, "\x03new\x00", 5);
	buf[1] += 2;
	assert_true(fact_decode(buf, n + 5, &b));
	assert_memory_equal(&a, &b, sizeof(a));

	fill(&a, FACT_INTERVAL, 9);
	n = fact_encode(&a, buf);
	buf[1] -= 1; /* without ms, its last field: a length byte and one byte */
	assert_true(fact_decode(buf, n - 2, &b));
	assert_int_equal(b.interval.to, 9);
	assert_int_equal(b.interval.ms, 0);
}

/* Text of a writer with longer fields is cut, never at half a character. */
static void test_longer_text_is_cut(void **state)
{
	unsigned char buf[FACT_ENCODED_MAX];
	struct fact a = {.type = FACT_CASE_OWNER}, b;
	size_t n = fact_encode(&a, buf);

	buf[n - 1] = 100;
	memset(buf + n, 'x', 100);
	memcpy(buf + n + 62, "\xc3\xa9", 2); /* bytes 62 and 63 of 63 that fit */
	assert_true(fact_decode(buf, n + 100, &b));
	assert_int_equal(strlen(b.case_owner.user), 62);
}

static void test_damage(void **state)
{
	unsigned char buf[FACT_ENCODED_MAX];
	struct fact a, b;
	size_t n;

	fill(&a, FACT_TRANSFER_CLOSED, 77);
	n = fact_encode(&a, buf);
	for (size_t cut = 0; cut < n; cut++) {
		unsigned char *exact = malloc(cut ? cut : 1); /* ASan sees any read beyond it */

		memcpy(exact, buf, cut);
		assert_false(fact_decode(exact, cut, &b));
		free(exact);
	}
	buf[n] = 0;
	assert_false(fact_decode(buf, n + 1, &b)); /* something behind it */
	buf[0] = fact_type_count_;
	assert_false(fact_decode(buf, n, &b));
	buf[0] = FACT_TRANSFER_CLOSED;
	buf[10] = 15; /* a uuid of 15 bytes */
	assert_false(fact_decode(buf, n, &b));
}

/* Whatever the bytes: no crash, and what is accepted can be encoded again. */
static void test_noise(void **state)
{
	unsigned char buf[FACT_ENCODED_MAX], again[FACT_ENCODED_MAX];
	unsigned accepted = 0;
	uint64_t r = 12345;
	struct fact a, b;

	for (unsigned round = 0; round < 20000; round++) {
		size_t n;

		fill(&a, (enum fact_type)(round % fact_type_count_), (int64_t)r);
		n = fact_encode(&a, buf);
		for (unsigned k = 0; k < 3; k++) {
			r = r * 6364136223846793005u + 1442695040888963407u;
			buf[(r >> 20) % n] ^= (unsigned char)(1u << (r >> 60 & 7));
		}
		if (!fact_decode(buf, n, &b))
			continue;
		accepted++;
		assert_true(fact_decode(again, fact_encode(&b, again), &a));
	}
	assert_in_range(accepted, 1, 19999);
}

static void test_print(void **state)
{
	struct fact f = {.type = FACT_INTERVAL};
	char buf[300], small[12];

	f.interval.n = 2;
	str_set(f.interval.state, "talking");
	f.interval.from = 1795269731123456;
	f.interval.ms = -5;
	memset(&f.interval.seg, 0xab, sizeof(uuid));
	fact_print(&f, buf, sizeof(buf));
	assert_string_equal(buf, "interval seg=abababab-abab-abab-abab-abababababab n=2 "
				 "state=talking from=2026-11-21T14:02:11.123456Z ms=-5");
	fact_print(&f, small, sizeof(small));
	assert_string_equal(small, "interval se");

	f = (struct fact){.type = FACT_AUDIT};
	str_set(f.audit.who, "a \"b\"\n");
	str_set(f.audit.why, "x=1");
	fact_print(&f, buf, sizeof(buf));
	assert_string_equal(buf, "audit who=\"a \\\"b\\\"\\x0a\" why=\"x=1\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty_is_small),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_longer_text_is_cut),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
