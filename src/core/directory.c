/*
 * directory: who and what can be called, as the core knows it: users with their contacts, IVRs (and
 * queues, in roster.c). Filled by events, looked up by name or number in O(1).
 */
#include "core/inner.h"

#include <stdlib.h>
#include <string.h>

#define FIND(hh, head, key, out) HASH_FIND(hh, head, key, strlen(key), out)

struct dir_user *directory_user(const struct core *c, const char *name)
{
	struct dir_user *u = NULL;

	if (!str_empty(name))
		FIND(by_name, c->users, name, u);
	return u;
}

struct dir_user *directory_user_by_number(const struct core *c, const char *number)
{
	struct dir_user *u = NULL;

	if (!str_empty(number))
		FIND(by_number, c->users_by_number, number, u);
	return u;
}

struct dir_ivr *directory_ivr(const struct core *c, const char *key)
{
	struct dir_ivr *i = NULL;

	if (str_empty(key))
		return NULL;
	FIND(by_name, c->ivrs, key, i);
	if (i == NULL)
		FIND(by_number, c->ivrs_by_number, key, i);
	return i;
}

/* A number leads to one entry: the newest row that claims it wins. */
#define CLAIM_NUMBER(head, entry)                                                                  \
	do {                                                                                       \
		__typeof__(entry) old_ = NULL;                                                     \
		if (str_empty((entry)->row.number))                                                \
			break;                                                                     \
		FIND(by_number, head, (entry)->row.number, old_);                                  \
		if (old_)                                                                          \
			HASH_DELETE(by_number, head, old_);                                        \
		HASH_ADD(by_number, head, row.number, strlen((entry)->row.number), entry);         \
	} while (0)

#define DROP_NUMBER(head, entry)                                                                   \
	do {                                                                                       \
		__typeof__(entry) old_ = NULL;                                                     \
		if (!str_empty((entry)->row.number))                                               \
			FIND(by_number, head, (entry)->row.number, old_);                          \
		if (old_ == (entry))                                                               \
			HASH_DELETE(by_number, head, old_);                                        \
	} while (0)

static struct dir_user *user_get(struct core *c, const char *name)
{
	struct dir_user *u = directory_user(c, name);

	if (u || str_empty(name) || (u = calloc(1, sizeof(*u))) == NULL)
		return u;
	str_set(u->row.user, name);
	HASH_ADD(by_name, c->users, row.user, strlen(u->row.user), u);
	return u;
}

static void user_remove(struct core *c, struct dir_user *u)
{
	DROP_NUMBER(c->users_by_number, u);
	HASH_DELETE(by_name, c->users, u);
	free(u);
}

static void user_row(struct core *c, const struct ev_dir_user *row)
{
	struct dir_user *u = row->gone ? directory_user(c, row->user) : user_get(c, row->user);

	if (u == NULL)
		return;
	if (row->gone) {
		user_remove(c, u);
		agent_touch(c, row->user);
		return;
	}
	agent_touch(c, row->user);
	DROP_NUMBER(c->users_by_number, u);
	u->row = *row;
	CLAIM_NUMBER(c->users_by_number, u);
}

static void contacts_row(struct core *c, const struct ev_contacts *e)
{
	struct dir_user *u = directory_user(c, e->user);

	if (u == NULL)
		return;
	u->ncontacts = e->n < CONTACTS_MAX ? e->n : CONTACTS_MAX;
	memcpy(u->contact, e->contact, u->ncontacts * sizeof(u->contact[0]));
	agent_touch(c, e->user);
}

static void ivr_remove(struct core *c, struct dir_ivr *i)
{
	DROP_NUMBER(c->ivrs_by_number, i);
	HASH_DELETE(by_name, c->ivrs, i);
	free(i);
}

static void ivr_row(struct core *c, const struct ev_dir_ivr *row)
{
	struct dir_ivr *i = NULL;

	if (!str_empty(row->ivr))
		FIND(by_name, c->ivrs, row->ivr, i);
	if (i)
		ivr_remove(c, i);
	if (row->gone || str_empty(row->ivr) || (i = calloc(1, sizeof(*i))) == NULL)
		return;
	i->row = *row;
	HASH_ADD(by_name, c->ivrs, row.ivr, strlen(i->row.ivr), i);
	CLAIM_NUMBER(c->ivrs_by_number, i);
}

void directory_event(struct core *c)
{
	const struct event *ev = c->ev;

	switch (ev->type) {
	case EV_DIR_USER:
		user_row(c, &ev->user);
		break;
	case EV_DIR_IVR:
		ivr_row(c, &ev->ivr);
		break;
	default:
		contacts_row(c, &ev->contacts);
		break;
	}
}

void directory_free(struct core *c)
{
	struct dir_user *u, *nu;
	struct dir_ivr *i, *ni;

	HASH_ITER(by_name, c->users, u, nu)
		user_remove(c, u);
	HASH_ITER(by_name, c->ivrs, i, ni)
		ivr_remove(c, i);
}
