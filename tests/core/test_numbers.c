/*
 * test_numbers: the international form of what people dial in several countries, and the class of a
 * number, as tables of examples.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/numbers.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define EVERYBODY ((1u << user_role_count_) - 1)

static const struct numbering germany = {"49", "89", "0", "00", 0};
static const struct numbering germany_anywhere = {"49", "", "0", "00", 0};
static const struct numbering britain = {"44", "", "0", "00", 0};
static const struct numbering us = {"1", "", "1", "011", 10};
static const struct numbering spain = {"34", "", "", "00", 9};
static const struct numbering hungary = {"36", "1", "06", "00", 0};
static const struct numbering russia = {"7", "", "8", "810", 0};
static const struct numbering nowhere = {"", "", "0", "00", 0};

static const struct {
	const struct numbering *plan;
	const char *number, *e164;
} forms[] = {
	{&germany, "0891234567", "+49891234567"},
	{&germany, "089/1234567", "089/1234567"}, /* a slash is no separator of RFC 3966 */
	{&germany, "(089) 123 45-67", "+49891234567"},
	{&germany, "0044 20 7946 0123", "+442079460123"},
	{&germany, "+49891234567", "+49891234567"},
	{&germany, "1234567", "+49891234567"},
	{&germany, "112", "112"},
	{&germany, "*97101", "*97101"},
	{&germany, "alice", "alice"},
	{&germany, "0", "0"},
	{&germany_anywhere, "1234567", "1234567"},
	{&britain, "02079460123", "+442079460123"},
	{&britain, "999", "999"},
	{&us, "2125550123", "+12125550123"},
	{&us, "12125550123", "+12125550123"},
	{&us, "011442079460123", "+442079460123"},
	{&us, "5550123", "5550123"},
	{&us, "911", "911"},
	{&spain, "912345678", "+34912345678"},
	{&spain, "00498912345", "+498912345"},
	{&spain, "112", "112"},
	{&hungary, "06301234567", "+36301234567"},
	{&hungary, "2345678", "+3612345678"},
	{&russia, "84951234567", "+74951234567"},
	{&russia, "81049891234567", "+49891234567"},
	{&nowhere, "0891234567", "0891234567"},
	{&nowhere, "00498912345", "+498912345"},
};

static void international_form(void **state)
{
	char out[NUM_MAX];

	for (unsigned i = 0; i < COUNT(forms); i++) {
		assert_int_equal(number_e164(forms[i].plan, forms[i].number, out, sizeof(out)), 0);
		if (!str_eq(out, forms[i].e164))
			fail_msg("%s is %s, expected %s", forms[i].number, out, forms[i].e164);
	}
	assert_int_equal(number_e164(&germany, "", out, sizeof(out)), EINVAL);
	assert_int_equal(number_e164(&germany, "0891234567", out, 6), ENAMETOOLONG);
}

static void weights(void **state)
{
	static const struct {
		const char *pattern;
		unsigned weight;
	} rows[] = {{".", 0}, {"+.", 1}, {"+49.", 3}, {"+4916X.", 6}, {"112", 3}, {"+49[0-9]1!", 5}};

	for (unsigned i = 0; i < COUNT(rows); i++)
		assert_int_equal(number_weight(rows[i].pattern), rows[i].weight);
}

static void put(struct number_classes *k, const char *name, const char *pattern, int roles)
{
	struct ev_dir_class row = {.by_name = roles < 0, .roles = roles < 0 ? 0 : (uint8_t)roles};

	str_set(row.name, name);
	str_set(row.pattern, pattern);
	classes_change(k, &row);
}

static void expect_class(const struct number_classes *k, const struct numbering *plan,
	const char *number, const char *name, unsigned roles)
{
	struct number_class c = classes_find(k, plan, number);

	if (!str_eq(c.name, name) || c.roles != roles)
		fail_msg("%s is %s for roles %u, expected %s for %u", number, c.name, c.roles, name,
			roles);
}

static void classes_without_rows(void **state)
{
	const struct number_classes none = {0};

	expect_class(&none, &germany_anywhere, "0891234567", "national", EVERYBODY);
	expect_class(&none, &germany_anywhere, "+49891234567", "national", EVERYBODY);
	expect_class(&none, &germany_anywhere, "5551234", "local", EVERYBODY);
	expect_class(&none, &germany_anywhere, "00442079460123", "international", 0);
	expect_class(&none, &germany_anywhere, "+442079460123", "international", 0);
	expect_class(&none, &us, "+442079460123", "international", 0);
	expect_class(&none, &us, "2125550123", "national", EVERYBODY);
	/* Who does not say where he is cannot tell what is abroad: all of it, then. */
	expect_class(&none, &nowhere, "+49891234567", "international", 0);
	expect_class(&none, &nowhere, "00442079460123", "international", 0);
}

static void classes_of_rows(void **state)
{
	const unsigned bosses = 1u << USER_SUPERVISOR | 1u << USER_ADMIN;
	struct number_classes k = {0};
	struct ev_dir_class gone = {.gone = true, .name = "premium", .pattern = "+49900."};

	put(&k, "premium", "+49900.", -1);
	put(&k, "premium", "118XX", -1);
	put(&k, "mobile", "+491[567].", -1);
	put(&k, "emergency", "11[02]", -1);
	put(&k, "international", "+.", (int)bosses);
	put(&k, "neighbours", "+43.", EVERYBODY);
	put(&k, "odd", "+49666.", -1);

	expect_class(&k, &germany_anywhere, "0900123456", "premium", 0);
	expect_class(&k, &germany_anywhere, "11833", "premium", 0);
	expect_class(&k, &germany_anywhere, "01701234567", "mobile", EVERYBODY);
	expect_class(&k, &germany_anywhere, "112", "emergency", EVERYBODY);
	expect_class(&k, &germany_anywhere, "0891234567", "national", EVERYBODY);
	expect_class(&k, &germany_anywhere, "0044201234", "international", bosses);
	expect_class(&k, &germany_anywhere, "0043201234", "neighbours", EVERYBODY);
	expect_class(&k, &germany_anywhere, "0666123", "odd", 0);

	put(&k, "premium", "+49900.", 1 << USER_ADMIN); /* the same row, changed */
	expect_class(&k, &germany_anywhere, "0900123456", "premium", 1 << USER_ADMIN);
	classes_change(&k, &gone);
	classes_change(&k, &gone);
	expect_class(&k, &germany_anywhere, "0900123456", "national", EVERYBODY);
	classes_free(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(international_form),
		cmocka_unit_test(weights),
		cmocka_unit_test(classes_without_rows),
		cmocka_unit_test(classes_of_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
