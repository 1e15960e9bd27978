/*
 * dialplan: see dialplan.h. A pattern is matched element by element; one element is a literal, a
 * class (X Z N), a set ([...]) or one of the two wildcards that may end a pattern.
 */
#include "core/dialplan.h"

#include <errno.h>
#include <stdio.h>

/* Routes are at most ROUTES_MAX, so a set of them is a few words of bits. */
#define WORD_BITS 64
_Static_assert(ROUTES_MAX % WORD_BITS == 0, "a route set is whole words");

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_literal(int c)
{
	return is_digit(c) || is_letter(c) || c == '+' || c == '*' || c == '#' || c == '-' ||
	       c == '_';
}

/* ---- sets: [0-9*] ---------------------------------------------------------------------------- */

static bool is_range(int from, int to)
{
	return from <= to &&
	       ((is_digit(from) && is_digit(to)) || (is_letter(from) && is_letter(to)));
}

/* The character after the set that begins at p ('['), or NULL if the set is empty, not closed, or
 * has a range that runs backwards or joins unlike things. *bad is then where. */
static const char *set_end(const char *p, const char **bad)
{
	const char *s = p + 1;

	if (*s == ']') {
		*bad = s;
		return NULL;
	}
	while (*s != '\0' && *s != ']') {
		*bad = s;
		if (!is_literal(*s) || *s == '-')
			return NULL;
		if (s[1] == '-') {
			if (!is_range(s[0], s[2]))
				return NULL;
			s += 2;
		}
		s++;
	}
	*bad = p;
	return *s == ']' ? s + 1 : NULL;
}

static bool set_has(const char *p, int c)
{
	for (p++; *p != ']'; p++) {
		if (p[1] == '-') {
			if (c >= p[0] && c <= p[2])
				return true;
			p += 2;
		} else if (c == *p) {
			return true;
		}
	}
	return false;
}

/* ---- one element ----------------------------------------------------------------------------- */

static bool is_wildcard(const char *p)
{
	return (*p == '.' || *p == '!') && p[1] == '\0';
}

/* Does the element at p admit character c? Sets *next to the element after it, NULL if the
 * pattern is malformed here. */
static bool element_admits(const char *p, int c, const char **next)
{
	const char *bad;

	*next = p + 1;
	switch (*p) {
	case 'X':
		return is_digit(c);
	case 'Z':
		return c >= '1' && c <= '9';
	case 'N':
		return c >= '2' && c <= '9';
	case '[':
		*next = set_end(p, &bad);
		return *next != NULL && set_has(p, c);
	default:
		if (!is_literal(*p))
			*next = NULL;
		return *p == c;
	}
}

bool dialplan_pattern_match(const char *pattern, const char *number)
{
	const char *p = pattern, *next;

	if (*p == '\0')
		return false;
	for (; *p != '\0'; p = next, number++) {
		if (is_wildcard(p))
			return *p == '!' || *number != '\0';
		if (*number == '\0' || !element_admits(p, (unsigned char)*number, &next))
			return false;
		if (next == NULL)
			return false;
	}
	return *number == '\0';
}

/* ---- checking -------------------------------------------------------------------------------- */

static int complain(const char *pattern, const char *at, const char *what, char *err, size_t size)
{
	snprintf(err, size, "pattern \"%s\", character %d: %s", pattern, (int)(at - pattern) + 1,
		what);
	return EINVAL;
}

static const char *what_is_wrong(const char *p)
{
	switch (*p) {
	case '.':
	case '!':
		return "\".\" and \"!\" may only end a pattern";
	case ']':
		return "\"]\" without \"[\" before it";
	default:
		return "expected a digit, a letter, + * # - _, X Z N, or a set such as [1-5]";
	}
}

int dialplan_pattern_check(const char *pattern, char *err, size_t size)
{
	const char *p = pattern, *bad;

	if (*p == '\0')
		return complain(pattern, p, "is empty; expected at least one character", err, size);
	if (strlen(pattern) >= PATTERN_MAX)
		return complain(
			pattern, pattern + PATTERN_MAX - 1, "is too long (at most 63)", err, size);
	while (*p != '\0' && !is_wildcard(p)) {
		if (*p == '[') {
			p = set_end(p, &bad);
			if (p == NULL)
				return complain(pattern, bad,
					"not a set; expected characters or rising ranges in "
					"brackets, such as [1-5] or [135]",
					err, size);
		} else if (is_literal(*p)) {
			p++;
		} else {
			return complain(pattern, p, what_is_wrong(p), err, size);
		}
	}
	return 0;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static bool is_name(const char *s)
{
	for (; *s != '\0' && *s != ';'; s++)
		if (is_letter((unsigned char)*s) || *s == '_' || (unsigned char)*s >= 0x80)
			return true;
	return false;
}

int dialplan_normalize(const char *number, char *out, size_t size)
{
	bool name = is_name(number);
	size_t n = 0;

	for (const char *s = number; *s != '\0' && *s != ';'; s++) {
		if (!name && strchr(" -.()", *s) != NULL)
			continue;
		if (n + 1 >= size)
			return ENAMETOOLONG;
		out[n++] = *s;
	}
	out[n] = '\0';
	return n > 0 ? 0 : EINVAL;
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* Can a number that begins with c fit this pattern? */
static bool may_begin(const char *pattern, int c)
{
	const char *next;

	return is_wildcard(pattern) || element_admits(pattern, c, &next);
}

void dialplan_index(struct core_config *cfg)
{
	memset(&cfg->route_index, 0, sizeof(cfg->route_index));
	for (unsigned i = 0; i < cfg->nroute; i++)
		for (int c = 1; c < ROUTE_INDEX_CHARS; c++)
			if (may_begin(cfg->route[i].pattern, c))
				cfg->route_index.of[c][i / WORD_BITS] |= 1ull << (i % WORD_BITS);
	cfg->route_index.nroute = cfg->nroute;
}

static bool fits(const struct route *r, const char *number, const char *source)
{
	return (r->source[0] == '\0' || str_eq(r->source, source)) &&
	       dialplan_pattern_match(r->pattern, number);
}

static const struct route *find_indexed(
	const struct core_config *cfg, const char *number, const char *source)
{
	const uint64_t *words = cfg->route_index.of[(unsigned char)number[0]];

	for (unsigned w = 0; w < ROUTES_MAX / WORD_BITS; w++)
		for (uint64_t bits = words[w]; bits != 0; bits &= bits - 1) {
			const struct route *r =
				&cfg->route[w * WORD_BITS + (unsigned)__builtin_ctzll(bits)];

			if (fits(r, number, source))
				return r;
		}
	return NULL;
}

static const struct route *find(
	const struct core_config *cfg, const char *number, const char *source)
{
	bool plain = (unsigned char)number[0] < ROUTE_INDEX_CHARS;

	if (plain && cfg->route_index.nroute == cfg->nroute)
		return find_indexed(cfg, number, source);
	for (unsigned i = 0; i < cfg->nroute; i++)
		if (fits(&cfg->route[i], number, source))
			return &cfg->route[i];
	return NULL;
}

int dialplan_match(const struct core_config *cfg, const char *number, const char *source,
	struct dialplan_result *out)
{
	char plain[NUM_MAX];
	size_t strip;
	int err;

	memset(out, 0, sizeof(*out));
	out->target = "";
	err = dialplan_normalize(number, plain, sizeof(plain));
	if (err != 0)
		return err;
	str_set(out->number, plain);
	out->route = find(cfg, plain, source);
	if (out->route == NULL)
		return ENOENT;
	strip = strlen(plain) < out->route->strip ? strlen(plain) : out->route->strip;
	str_set(out->number, out->route->prefix);
	if (!str_append(out->number, sizeof(out->number), plain + strip))
		return ENAMETOOLONG;
	out->kind = out->route->kind;
	out->target = out->route->target;
	return out->kind == TARGET_NONE ? EACCES : 0;
}
