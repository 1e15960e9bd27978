/*
 * transfer: interprets transfer.tbl. The table is compiled in as it stands; the graph, the docs,
 * the panel's enabled buttons and the table test are all read from the same rows.
 */
#include "core/inner.h"
#include "core/verbs.h"

#include <assert.h>
#include <string.h>

#define VERBS_MAX 12

enum row_kind { CELL_EMPTY, CELL_ROW, CELL_IGNORE, CELL_NEVER };

struct row {
	uint8_t kind, state, word, next;
	uint8_t verbs[VERBS_MAX]; /* enum verb, ended by VERB_END */
	uint16_t line;
	const char *why, *verb_names;
};

static const struct row rows[] = {
#define ROW(s, w, n, text, ...)                                                                    \
	{CELL_ROW, s, w, n, {__VA_ARGS__, VERB_END}, __LINE__, text, #__VA_ARGS__},
#define IGN(s, w, text) {CELL_IGNORE, s, w, s, {VERB_END}, __LINE__, text, ""},
#define NVR(s, w, text) {CELL_NEVER, s, w, s, {VERB_END}, __LINE__, text, ""},
#include "core/transfer.tbl"
#undef ROW
#undef IGN
#undef NVR
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

static uint64_t hits[NROWS];
static uint16_t cells[call_state_count_][word_count_]; /* index into rows + 1; 0: empty */
static int indexed;

static void index_rows(void)
{
	for (unsigned i = 0; i < NROWS; i++)
		cells[rows[i].state][rows[i].word] = (uint16_t)(i + 1);
	indexed = 1;
}

static const struct row *find_row(unsigned state, unsigned word)
{
	unsigned i;

	if (!indexed)
		index_rows();
	i = cells[state][word];
	return i ? &rows[i - 1] : NULL;
}

/* Takes one word in the call's present state: finds the row, changes state, runs the verbs. */
void table_step(struct core *c, struct call *k, enum word w)
{
	const struct row *r = find_row(k->state, w);

	assert(r != NULL && r->kind != CELL_NEVER);
	if (r == NULL || r->kind == CELL_NEVER)
		return;
	hits[r - rows]++;
	if (r->kind == CELL_IGNORE)
		return;
	k->word = (uint8_t)w;
	call_set_state(c, k, (enum call_state)r->next);
	if (r->next == END)
		timer_stop(c, k->id, TIMER_STATE, &k->timer);
	for (unsigned i = 0; r->verbs[i] != VERB_END; i++)
		verb_run(c, k, (enum verb)r->verbs[i]);
}

/* Does this state let a transfer begin? Drives the panel's buttons (M2). */
bool table_admits(enum call_state state)
{
	const struct row *r = find_row(state, XFER_REQ);

	return r && r->kind == CELL_ROW && (r->verbs[0] == ADMIT || r->verbs[0] == ADMIT_RETRY);
}

/* Is there a row for this word that does not refuse it? */
bool table_allows(enum call_state state, enum word w)
{
	const struct row *r = find_row(state, w);

	return r && r->kind == CELL_ROW && strncmp(r->verb_names, "REFUSE_", 7) != 0;
}

unsigned core_table_size(void)
{
	return NROWS;
}

void core_table_row(unsigned i, struct table_row *out)
{
	const struct row *r = &rows[i];

	*out = (struct table_row){
		.state = call_state_name(r->state),
		.event = word_name(r->word),
		.next = r->kind == CELL_ROW ? call_state_name(r->next) : NULL,
		.actions = r->kind == CELL_ROW ? r->verb_names : r->why,
		.why = r->why,
		.never = r->kind == CELL_NEVER,
		.line = r->line,
	};
}

uint64_t core_table_hits(unsigned i)
{
	return hits[i];
}

void core_table_reset_hits(void)
{
	memset(hits, 0, sizeof(hits));
}
