/* graph: see graph.h. */
#include "core/graph.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/core.h"

ENUM_DEFINE(graph_format, GRAPH_FORMAT_LIST)

/* ---- a growing text -------------------------------------------------------------------------- */

struct text {
	char *buf;
	size_t len, cap;
	int err; /* first failure; everything after it is dropped */
};

static bool text_reserve(struct text *t, size_t more)
{
	size_t cap = t->cap ? t->cap : 4096;
	char *buf;

	while (cap < t->len + more + 1)
		cap *= 2;
	if (cap == t->cap)
		return true;
	buf = realloc(t->buf, cap);
	if (buf == NULL) {
		t->err = ENOMEM;
		return false;
	}
	t->buf = buf;
	t->cap = cap;
	return true;
}

static void put(struct text *t, const char *s)
{
	size_t n = strlen(s);

	if (t->err != 0 || !text_reserve(t, n))
		return;
	memcpy(t->buf + t->len, s, n + 1);
	t->len += n;
}

__attribute__((format(printf, 2, 3))) static void putf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (t->err != 0 || n < 0 || !text_reserve(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(t->buf + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

/* s with every character of `special` escaped by a backslash, line breaks as blanks. */
static void put_escaped(struct text *t, const char *s, const char *special)
{
	char c[3] = "\\";

	for (; *s != '\0'; s++) {
		bool escape = strchr(special, *s) != NULL;

		c[escape ? 1 : 0] = *s == '\n' ? ' ' : *s;
		c[escape ? 2 : 1] = '\0';
		put(t, c);
		c[0] = '\\';
	}
}

/* ---- the table ------------------------------------------------------------------------------- */

enum row_kind { ROW_MOVE, ROW_IGNORE, ROW_NEVER };

static enum row_kind row_kind(const struct table_row *r)
{
	if (r->never)
		return ROW_NEVER;
	return r->next == NULL ? ROW_IGNORE : ROW_MOVE;
}

static const char *or_dash(const char *s)
{
	return s == NULL || s[0] == '\0' ? "-" : s;
}

/* The reason of an IGNORE or a NEVER; what a row is for otherwise. */
static const char *row_reason(const struct table_row *r)
{
	if (row_kind(r) != ROW_MOVE && r->actions != NULL && r->actions[0] != '\0')
		return r->actions;
	return r->why == NULL ? "" : r->why;
}

/* Is this the first row of its state? */
static bool opens_state(unsigned i)
{
	struct table_row r, other;

	core_table_row(i, &r);
	for (unsigned j = 0; j < i; j++) {
		core_table_row(j, &other);
		if (strcmp(other.state, r.state) == 0)
			return false;
	}
	return true;
}

/* Calls fn for each row of this state and kind, in the order of the table; returns how many. */
static unsigned each_row(struct text *t, const char *state, enum row_kind kind,
	void (*fn)(struct text *t, const struct table_row *r))
{
	struct table_row r;
	unsigned n = 0;

	for (unsigned i = 0; i < core_table_size(); i++) {
		core_table_row(i, &r);
		if (strcmp(r.state, state) != 0 || row_kind(&r) != kind)
			continue;
		if (fn != NULL)
			fn(t, &r);
		n++;
	}
	return n;
}

/* Calls fn for each state, in the order of the table. */
static void each_state(struct text *t, void (*fn)(struct text *t, const char *state))
{
	struct table_row r;

	for (unsigned i = 0; i < core_table_size(); i++) {
		if (!opens_state(i))
			continue;
		core_table_row(i, &r);
		fn(t, r.state);
	}
}

/* ---- text ------------------------------------------------------------------------------------ */

static void text_move(struct text *t, const struct table_row *r)
{
	putf(t, "  %-20s -> %-10s  %s\n", r->event, r->next, or_dash(r->actions));
	if (row_reason(r)[0] != '\0')
		putf(t, "  %-20s    %s\n", "", row_reason(r));
}

static void text_ignore(struct text *t, const struct table_row *r)
{
	putf(t, "  %-20s    ignored: %s\n", r->event, row_reason(r));
}

static void text_never(struct text *t, const struct table_row *r)
{
	putf(t, "  %-20s    never: %s\n", r->event, row_reason(r));
}

static void text_state(struct text *t, const char *state)
{
	putf(t, "%s\n", state);
	each_row(t, state, ROW_MOVE, text_move);
	each_row(t, state, ROW_IGNORE, text_ignore);
	each_row(t, state, ROW_NEVER, text_never);
	put(t, "\n");
}

/* ---- dot ------------------------------------------------------------------------------------- */

static void dot_node(struct text *t, const char *state)
{
	putf(t, "\t\"%s\";\n", state);
}

/* Is row i the first that leads from its state to its next? */
static bool opens_edge(unsigned i, const struct table_row *r)
{
	struct table_row other;

	for (unsigned j = 0; j < i; j++) {
		core_table_row(j, &other);
		if (row_kind(&other) == ROW_MOVE && strcmp(other.state, r->state) == 0 &&
			strcmp(other.next, r->next) == 0)
			return false;
	}
	return true;
}

static void dot_edge(struct text *t, unsigned first, const struct table_row *edge)
{
	struct table_row r;
	const char *sep = "";

	putf(t, "\t\"%s\" -> \"%s\" [label=\"", edge->state, edge->next);
	for (unsigned i = first; i < core_table_size(); i++) {
		core_table_row(i, &r);
		if (row_kind(&r) != ROW_MOVE || strcmp(r.state, edge->state) != 0 ||
			strcmp(r.next, edge->next) != 0)
			continue;
		put(t, sep);
		put_escaped(t, r.event, "\"\\");
		sep = "\\n";
	}
	put(t, "\"];\n");
}

static void render_dot(struct text *t)
{
	struct table_row r;

	put(t, "digraph transfers {\n\trankdir=LR;\n\tnode [shape=box, style=rounded];\n"
	       "\tedge [fontsize=10];\n");
	each_state(t, dot_node);
	for (unsigned i = 0; i < core_table_size(); i++) {
		core_table_row(i, &r);
		if (row_kind(&r) == ROW_MOVE && opens_edge(i, &r))
			dot_edge(t, i, &r);
	}
	put(t, "}\n");
}

/* ---- markdown -------------------------------------------------------------------------------- */

static void put_cell(struct text *t, const char *s)
{
	put(t, " ");
	put_escaped(t, s, "|");
	put(t, " |");
}

static void md_state_line(struct text *t, const char *state)
{
	putf(t, "| [%s](#%s) | %u | %u | %u |\n", state, state, each_row(t, state, ROW_MOVE, NULL),
		each_row(t, state, ROW_IGNORE, NULL), each_row(t, state, ROW_NEVER, NULL));
}

static void md_move(struct text *t, const struct table_row *r)
{
	put(t, "|");
	put_cell(t, r->event);
	put_cell(t, strcmp(r->next, r->state) == 0 ? "(stays)" : r->next);
	put_cell(t, or_dash(r->actions));
	put_cell(t, row_reason(r));
	put(t, "\n");
}

static void md_reason(struct text *t, const struct table_row *r)
{
	put(t, "|");
	put_cell(t, r->event);
	put_cell(t, row_reason(r));
	put(t, "\n");
}

static void md_state(struct text *t, const char *state)
{
	putf(t, "\n## %s\n\n", state);
	if (each_row(t, state, ROW_MOVE, NULL) > 0) {
		put(t, "| Event | Next | Actions | Why |\n|---|---|---|---|\n");
		each_row(t, state, ROW_MOVE, md_move);
	}
	if (each_row(t, state, ROW_IGNORE, NULL) > 0) {
		put(t, "\n| Ignored | because |\n|---|---|\n");
		each_row(t, state, ROW_IGNORE, md_reason);
	}
	if (each_row(t, state, ROW_NEVER, NULL) > 0) {
		put(t, "\n| Never happens | because |\n|---|---|\n");
		each_row(t, state, ROW_NEVER, md_reason);
	}
}

static void render_markdown(struct text *t)
{
	put(t, "# How a call is transferred\n\n"
	       "Every call that segue carries is in exactly one of the states below, and this "
	       "page\n"
	       "lists what it does about everything that can happen to it there. The page is "
	       "printed\n"
	       "from `src/core/transfer.tbl`, the table that the program itself runs, by\n"
	       "`seguectl graph --markdown`; `make check` fails when the two differ, so do not "
	       "edit it\n"
	       "by hand.\n\n"
	       "An event that a state has no use for is listed as ignored, with the reason. One "
	       "that\n"
	       "cannot reach a state is listed as never happening; the program asserts it.\n\n"
	       "| State | Rows | Ignored | Never |\n|---|---|---|---|\n");
	each_state(t, md_state_line);
	each_state(t, md_state);
}

int graph_render(enum graph_format format, char **text, size_t *len)
{
	struct text t = {0};

	switch (format) {
	case GRAPH_TEXT:
		each_state(&t, text_state);
		break;
	case GRAPH_DOT:
		render_dot(&t);
		break;
	case GRAPH_MARKDOWN:
		render_markdown(&t);
		break;
	default:
		return EINVAL;
	}
	if (t.err != 0) {
		free(t.buf);
		return t.err;
	}
	*text = t.buf;
	*len = t.len;
	return 0;
}
