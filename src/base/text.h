/*
 * text: a string of any length that its holder owns, terminated by a NUL that does not count.
 */
#ifndef SEGUE_BASE_TEXT_H
#define SEGUE_BASE_TEXT_H

#include <stddef.h>

struct text {
	char *p; /* NULL: empty */
	size_t n;
};

/* Copies n bytes. 0, or ENOMEM: t is as it was. */
int text_set(struct text *t, const char *p, size_t n);
void text_clear(struct text *t);
/* What `from` held belongs to `to` then, and `from` is empty. */
void text_move(struct text *to, struct text *from);

#endif
