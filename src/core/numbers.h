/*
 * numbers: what a dialled number is: its international form, and its class, which decides who may
 * dial it. Pure functions of the numbering plan of the configuration and of the class rows of the
 * directory.
 */
#ifndef SEGUE_CORE_NUMBERS_H
#define SEGUE_CORE_NUMBERS_H

#include "core/config.h"
#include "core/event.h"

/* Writes number as "+" and digits (ITU-T E.164) if the plan can tell, else as it is without visual
 * separators: names, numbers with * or #, and local numbers where no area is known. Returns 0, or
 * EINVAL or ENAMETOOLONG as dialplan_normalize(). */
int number_e164(const struct numbering *plan, const char *number, char *out, size_t size);

/* How much a pattern says: its elements before a final wildcard. */
unsigned number_weight(const char *pattern);

/* The classes that need no row, and who may dial them. */
#define CLASS_LOCAL "local"
#define CLASS_NATIONAL "national"
#define CLASS_INTERNATIONAL "international"

/* Rows of the directory, the weightiest first. */
struct number_classes {
	struct ev_dir_class *row;
	unsigned n, cap;
};

/* Puts a row in, replaces it or takes it out. */
void classes_change(struct number_classes *k, const struct ev_dir_class *row);
void classes_free(struct number_classes *k);

/* What is known about a number: its class, and which roles may dial that (a bit for each enum
 * user_role). The weightiest pattern that fits the number as it is sent or its international form
 * decides; a row has precedence over the built-in classes, which are: numbers of the own country,
 * all other international ones, and the rest (local). */
struct number_class {
	const char *name; /* of a row, or static */
	uint8_t roles;
};
struct number_class classes_find(const struct number_classes *k, const struct numbering *plan,
	const char *number);

#endif
