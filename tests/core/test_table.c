/*
 * test_table: transfer.tbl is complete. Every (state, event) cell says what happens, or why nothing
 * does, or why it cannot be; nothing transient is without a guard; docs/transfers.md is what the
 * table prints.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/core.h"
#include "core/graph.h"

#define NAMES_MAX 64

struct names {
	const char *name[NAMES_MAX];
	unsigned n;
};

static void add_name(struct names *set, const char *name)
{
	for (unsigned i = 0; i < set->n; i++)
		if (strcmp(set->name[i], name) == 0)
			return;
	assert_true(set->n < NAMES_MAX);
	set->name[set->n++] = name;
}

static bool has_name(const struct names *set, const char *name)
{
	for (unsigned i = 0; i < set->n; i++)
		if (strcmp(set->name[i], name) == 0)
			return true;
	return false;
}

static void collect(struct names *states, struct names *events)
{
	struct table_row r;

	for (unsigned i = 0; i < core_table_size(); i++) {
		core_table_row(i, &r);
		add_name(states, r.state);
		add_name(events, r.event);
	}
}

/* Finds the row of a cell; returns how many there are. */
static unsigned cell(const char *state, const char *event, struct table_row *found)
{
	struct table_row r;
	unsigned n = 0;

	for (unsigned i = 0; i < core_table_size(); i++) {
		core_table_row(i, &r);
		if (strcmp(r.state, state) == 0 && strcmp(r.event, event) == 0) {
			*found = r;
			n++;
		}
	}
	return n;
}

static void test_every_cell_once(void **state)
{
	struct names states = {0}, events = {0};
	struct table_row r;

	collect(&states, &events);
	assert_int_equal(core_table_size(), states.n * events.n);
	for (unsigned s = 0; s < states.n; s++)
		for (unsigned e = 0; e < events.n; e++) {
			unsigned n = cell(states.name[s], events.name[e], &r);

			if (n != 1)
				fail_msg("(%s, %s) is there %u times, expected once",
					states.name[s], events.name[e], n);
		}
}

static void test_every_row_says_why(void **state)
{
	struct table_row r;

	for (unsigned i = 0; i < core_table_size(); i++) {
		core_table_row(i, &r);
		if (r.actions == NULL || r.actions[0] == '\0' || r.why == NULL || r.why[0] == '\0')
			fail_msg("(%s, %s) at transfer.tbl:%u has no actions or no reason", r.state,
				r.event, r.line);
		assert_false(r.never && r.next != NULL);
	}
}

/* Marks everything that rows lead to from the states in the set. */
static void spread(struct names *reached)
{
	struct table_row r;

	for (unsigned before = 0; before != reached->n;) {
		before = reached->n;
		for (unsigned i = 0; i < core_table_size(); i++) {
			core_table_row(i, &r);
			if (r.next != NULL && has_name(reached, r.state))
				add_name(reached, r.next);
		}
	}
}

static void test_every_state_is_reached_and_left(void **state)
{
	struct names states = {0}, events = {0}, reached = {{"SETUP", "ORIGINATE"}, 2};

	collect(&states, &events);
	spread(&reached);
	for (unsigned s = 0; s < states.n; s++) {
		struct names from = {{states.name[s]}, 1};

		if (!has_name(&reached, states.name[s]))
			fail_msg("%s cannot be reached from SETUP or ORIGINATE", states.name[s]);
		spread(&from);
		if (!has_name(&from, "END"))
			fail_msg("there is no way from %s to END", states.name[s]);
	}
}

/* People talk as long as they like. */
static bool is_talk(const char *s)
{
	return strcmp(s, "TALK") == 0 || strcmp(s, "CONSULT") == 0 || strcmp(s, "ASIDE") == 0;
}

static bool may_last(const char *s)
{
	return is_talk(s) || strcmp(s, "END") == 0 || strcmp(s, "CHAIN") == 0 ||
	       strcmp(s, "UNDO") == 0;
}

static void test_transient_states_have_a_guard(void **state)
{
	struct names states = {0}, events = {0};
	struct table_row r;

	collect(&states, &events);
	assert_true(has_name(&events, "guard expires"));
	for (unsigned s = 0; s < states.n; s++) {
		cell(states.name[s], "guard expires", &r);
		if (may_last(states.name[s]))
			assert_true(r.never);
		else if (r.next == NULL || strcmp(r.next, r.state) == 0)
			fail_msg("%s is transient, and its guard does not end it", states.name[s]);
	}
}

/* Whoever begins to talk stops the guard of the state before; only who talked already need not. */
static void test_talk_is_unguarded(void **state)
{
	struct table_row r;

	for (unsigned i = 0; i < core_table_size(); i++) {
		core_table_row(i, &r);
		if (r.next != NULL && is_talk(r.next) && !is_talk(r.state) &&
			strstr(r.actions, "UNGUARD") == NULL)
			fail_msg("(%s, %s) leads to %s with its guard running", r.state, r.event,
				r.next);
	}
}

/* ---- what is printed from it ----------------------------------------------------------------- */

static char *render(enum graph_format format)
{
	char *text = NULL;
	size_t len = 0;

	assert_int_equal(graph_render(format, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	return text;
}

static void test_prints_every_state(void **state)
{
	struct names states = {0}, events = {0};

	collect(&states, &events);
	for (int f = 0; f < (int)graph_format_count_; f++) {
		char *text = render((enum graph_format)f);

		for (unsigned s = 0; s < states.n; s++)
			if (strstr(text, states.name[s]) == NULL)
				fail_msg("%s does not show %s", graph_format_name(f),
					states.name[s]);
		free(text);
	}
}

static void test_prints_every_row(void **state)
{
	char *text = render(GRAPH_MARKDOWN);
	struct table_row r;

	for (unsigned i = 0; i < core_table_size(); i++) {
		core_table_row(i, &r);
		if (strstr(text, r.why) == NULL)
			fail_msg("the Markdown lacks \"%s\" of (%s, %s)", r.why, r.state, r.event);
	}
	free(text);
}

static void test_refuses_unknown_format(void **state)
{
	char *text;
	size_t len;

	assert_int_not_equal(graph_render(graph_format_count_, &text, &len), 0);
}

static void test_docs_are_current(void **state)
{
	const char *src = getenv("SEGUE_SRC");
	char *text, path[4096], *have;
	bool same;
	long len;
	FILE *f;

	if (src == NULL)
		fail_msg("SEGUE_SRC is not set: it names the source tree, as `make check` does");
	text = render(GRAPH_MARKDOWN);
	snprintf(path, sizeof(path), "%s/docs/transfers.md", src);
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("docs/transfers.md: cannot be read");
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	len = ftell(f);
	rewind(f);
	have = calloc(1, (size_t)len + 1);
	assert_non_null(have);
	assert_int_equal(fread(have, 1, (size_t)len, f), len);
	fclose(f);
	same = strcmp(have, text) == 0;
	free(have);
	free(text);
	if (!same)
		fail_msg("docs/transfers.md is not what the table says; run: "
			 "seguectl graph --markdown > docs/transfers.md");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cell_once),
		cmocka_unit_test(test_every_row_says_why),
		cmocka_unit_test(test_every_state_is_reached_and_left),
		cmocka_unit_test(test_transient_states_have_a_guard),
		cmocka_unit_test(test_talk_is_unguarded),
		cmocka_unit_test(test_prints_every_state),
		cmocka_unit_test(test_prints_every_row),
		cmocka_unit_test(test_refuses_unknown_format),
		cmocka_unit_test(test_docs_are_current),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
