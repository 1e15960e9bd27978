/* text: see text.h. */
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int text_set(struct text *t, const char *p, size_t n)
{
	char *copy = malloc(n + 1);

	if (copy == NULL)
		return ENOMEM;
	memcpy(copy, p, n);
	copy[n] = '\0';
	free(t->p);
	t->p = copy;
	t->n = n;
	return 0;
}

void text_clear(struct text *t)
{
	free(t->p);
	t->p = NULL;
	t->n = 0;
}

void text_move(struct text *to, struct text *from)
{
	free(to->p);
	*to = *from;
	from->p = NULL;
	from->n = 0;
}
