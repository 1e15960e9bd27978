/* numbers: see numbers.h. */
#include "core/numbers.h"

#include "core/dialplan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVERYBODY ((1u << USER_AGENT) | (1u << USER_SUPERVISOR) | (1u << USER_ADMIN))
#define NOBODY	  0

/* ---- the international form ------------------------------------------------------------------ */

static bool only_digits(const char *s)
{
	return *s != '\0' && s[strspn(s, "0123456789")] == '\0';
}

/* "+" prefix rest; false if it does not fit, or there is no rest. */
static bool compose(char *out, size_t size, const char *country, const char *area, const char *rest)
{
	return *rest != '\0' && str_copy(out, size, "+") && str_append(out, size, country) &&
	       str_append(out, size, area) && str_append(out, size, rest);
}

int number_e164(const struct numbering *plan, const char *number, char *out, size_t size)
{
	char plain[NUM_MAX];
	size_t len;
	int err = dialplan_normalize(number, plain, sizeof(plain));
	bool done = false;

	if (err)
		return err;
	len = strlen(plain);
	if (!only_digits(plain))
		; /* "+..", a name, a service code */
	else if (plan->international[0] && str_starts(plain, plan->international))
		done = compose(out, size, "", "", plain + strlen(plan->international));
	else if (plan->country[0] == '\0')
		;
	else if (plan->trunk[0] && str_starts(plain, plan->trunk))
		done = compose(out, size, plan->country, "", plain + strlen(plan->trunk));
	else if (plan->national_digits && len >= plan->national_digits)
		done = compose(out, size, plan->country, "", plain);
	else if (plan->area[0] && len > NUMBER_SHORT_MAX)
		done = compose(out, size, plan->country, plan->area, plain);
	return done || str_copy(out, size, plain) ? 0 : ENAMETOOLONG;
}

/* ---- classes --------------------------------------------------------------------------------- */

unsigned number_weight(const char *pattern)
{
	unsigned n = 0;

	for (const char *p = pattern; *p != '\0'; p++) {
		if ((*p == '.' || *p == '!') && p[1] == '\0')
			break;
		if (*p == '[')
			p += strcspn(p, "]");
		n++;
		if (*p == '\0')
			break;
	}
	return n;
}

static bool same_row(const struct ev_dir_class *a, const struct ev_dir_class *b)
{
	return str_eq(a->name, b->name) && str_eq(a->pattern, b->pattern);
}

static void take_out(struct number_classes *k, const struct ev_dir_class *row)
{
	for (unsigned i = 0; i < k->n; i++)
		if (same_row(&k->row[i], row)) {
			memmove(&k->row[i], &k->row[i + 1], (--k->n - i) * sizeof(*k->row));
			return;
		}
}

void classes_change(struct number_classes *k, const struct ev_dir_class *row)
{
	unsigned at = 0;

	take_out(k, row);
	if (row->gone)
		return;
	if (k->n == k->cap) {
		unsigned cap = k->cap ? 2 * k->cap : 16;
		struct ev_dir_class *grown = realloc(k->row, cap * sizeof(*grown));

		if (grown == NULL)
			return;
		k->row = grown;
		k->cap = cap;
	}
	while (at < k->n && number_weight(k->row[at].pattern) >= number_weight(row->pattern))
		at++;
	memmove(&k->row[at + 1], &k->row[at], (k->n++ - at) * sizeof(*k->row));
	k->row[at] = *row;
}

void classes_free(struct number_classes *k)
{
	free(k->row);
	memset(k, 0, sizeof(*k));
}

/* What a class means where its row names no roles: whatever may be dear is for nobody. */
static uint8_t roles_by_name(const char *name)
{
	static const char *const open[] = {CLASS_LOCAL, CLASS_NATIONAL, "mobile", "emergency", "free"};

	for (unsigned i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		if (str_eq(open[i], name))
			return EVERYBODY;
	return NOBODY;
}

/* The class of a number that no row knows; *weight as if it were the pattern of a row. */
static struct number_class built_in(const struct numbering *plan, const char *e164, unsigned *weight)
{
	size_t n = strlen(plan->country);

	*weight = 0;
	if (e164[0] != '+')
		return (struct number_class){CLASS_LOCAL, EVERYBODY};
	*weight = 1;
	if (n == 0 || strncmp(e164 + 1, plan->country, n) != 0)
		return (struct number_class){CLASS_INTERNATIONAL, NOBODY};
	*weight = 1 + (unsigned)n;
	return (struct number_class){CLASS_NATIONAL, EVERYBODY};
}

struct number_class classes_find(const struct number_classes *k, const struct numbering *plan,
	const char *number)
{
	struct number_class found;
	char e164[NUM_MAX];
	unsigned weight;

	if (number_e164(plan, number, e164, sizeof(e164)) != 0)
		str_set(e164, number);
	found = built_in(plan, e164, &weight);
	for (unsigned i = 0; i < k->n && number_weight(k->row[i].pattern) >= weight; i++) {
		const struct ev_dir_class *row = &k->row[i];

		if (!dialplan_pattern_match(row->pattern, e164) &&
			!dialplan_pattern_match(row->pattern, number))
			continue;
		found.name = row->name;
		found.roles = row->by_name ? roles_by_name(row->name) : row->roles;
		break;
	}
	return found;
}
