/* presence: see presence.h. A doubly linked list of legs per user name, found by hash. */
#include "core/presence.h"

#include <stdlib.h>
#include <string.h>

struct presence {
	char user[USER_MAX];
	struct leg *first;
	UT_hash_handle hh;
};

static struct presence *find(const struct core *c, const char *user)
{
	struct presence *p = NULL;

	if (!str_empty(user))
		HASH_FIND(hh, c->presence, user, strlen(user), p);
	return p;
}

static struct presence *get(struct core *c, const char *user)
{
	struct presence *p = find(c, user);

	if (p)
		return p;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		abort(); /* as in core.c: no honest way to go on without memory */
	str_set(p->user, user);
	HASH_ADD(hh, c->presence, user, strlen(p->user), p);
	return p;
}

void presence_restore(struct core *c, struct leg *l)
{
	struct presence *p;

	l->user_next = l->user_prev = NULL;
	if (str_empty(l->user))
		return;
	p = get(c, l->user);
	l->user_next = p->first;
	if (p->first)
		p->first->user_prev = l;
	p->first = l;
	agent_touch(c, l->user);
}

void presence_add(struct core *c, struct leg *l, const char *user)
{
	str_set(l->user, user);
	presence_restore(c, l);
}

void presence_remove(struct core *c, struct leg *l)
{
	struct presence *p = find(c, l->user);

	if (p == NULL)
		return;
	agent_touch(c, l->user);
	if (l->user_next)
		l->user_next->user_prev = l->user_prev;
	if (l->user_prev)
		l->user_prev->user_next = l->user_next;
	else if (p->first == l)
		p->first = l->user_next;
	l->user_next = l->user_prev = NULL;
	if (p->first == NULL) {
		HASH_DEL(c->presence, p);
		free(p);
	}
}

struct leg *presence_first(const struct core *c, const char *user)
{
	struct presence *p = find(c, user);

	return p ? p->first : NULL;
}

void presence_free(struct core *c)
{
	struct presence *p, *next;

	HASH_ITER(hh, c->presence, p, next)
	{
		HASH_DEL(c->presence, p);
		free(p);
	}
}
