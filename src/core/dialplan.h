/*
 * dialplan: which number leads where. Pure functions of the configuration and a number: the first
 * route in the order of the configuration whose pattern and source fit decides, then its strip and
 * prefix rewrite the number. The pattern language is defined at struct route in config.h.
 */
#ifndef SEGUE_CORE_DIALPLAN_H
#define SEGUE_CORE_DIALPLAN_H

#include "core/config.h"

/* Source of calls from registered users, as struct route names it. */
#define DIALPLAN_USERS "users"

struct dialplan_result {
	const struct route *route; /* inside the configuration that was asked */
	enum target_kind kind;
	const char *target;   /* inside route; "" means: look `number` up in the directory */
	char number[NUM_MAX]; /* normalised, stripped and prefixed */
};

/* Sorts the routes by their first character into cfg->route_index, so that dialplan_match() looks
 * only at routes that can begin like the number. To be called again whenever routes change; a
 * configuration that never saw it works too, only slower. */
void dialplan_index(struct core_config *cfg);

/* Finds the route of `number`. source is the peer's name, or DIALPLAN_USERS. Returns
 *	0             out is filled
 *	ENOENT        no route fits; out->number is the normalised number, for the directory
 *	EACCES        the route that fits refuses (kind NONE); out is filled
 *	EINVAL        the number is empty
 *	ENAMETOOLONG  it does not fit NUM_MAX before or after rewriting */
int dialplan_match(const struct core_config *cfg, const char *number, const char *source,
	struct dialplan_result *out);

/* Does the whole number fit the pattern? A pattern that dialplan_pattern_check() refuses fits
 * nothing. */
bool dialplan_pattern_match(const char *pattern, const char *number);

/* Returns 0, or EINVAL with a sentence in err that quotes the pattern and says what is wrong with
 * it, where, and what was expected. */
int dialplan_pattern_check(const char *pattern, char *err, size_t size);

/* Writes the number without its visual separators (blank - . ( ) of RFC 3966 section 5.1.1) and
 * without parameters after ";" into out; + * # stay. A user part with a letter in it is a name,
 * not a number, and is kept as it is. Returns 0, EINVAL if nothing is left, ENAMETOOLONG. */
int dialplan_normalize(const char *number, char *out, size_t size);

#endif
