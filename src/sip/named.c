/*
 * named: which of our dialogs a peer means when it names one (Replaces, RFC 3891; Target-Dialog,
 * RFC 4538). All three parts must fit, byte by byte: a Call-ID alone is known to too many (R-050,
 * E-092). Dialogs that ended are remembered for 64*T1, so that who comes a moment late hears that
 * (603), and not that it was never there (481).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <sofia-sip/sip_header.h>

#include "sip/internal.h"
#include "sip/referto.h"

struct ended {
	char tag[DIALOG_TAG_MAX]; /* ours */
	uint64_t rest;		  /* of Call-ID and their tag, hashed: it is asked rarely, and a
				   * false match costs one 603 instead of a 481 */
	int64_t until;
	UT_hash_handle hh;
};

static uint64_t hash_rest(const char *id, const char *tag)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *id != '\0'; id++)
		h = (h ^ (uint8_t)*id) * 1099511628211u;
	h = (h ^ ';') * 1099511628211u;
	for (; *tag != '\0'; tag++)
		h = (h ^ (uint8_t)*tag) * 1099511628211u;
	return h;
}

static void ended_free(struct sip *s, struct ended *e)
{
	HASH_DELETE(hh, s->ended, e);
	free(e);
}

void named_known(struct sip_leg *l)
{
	struct sip_named d = {.call_id = l->dialog.call_id->i_id,
		.local_tag = l->dialog.tag,
		.remote_tag = l->dialog.remote->a_tag,
		.user = l->user};

	if (l->sip->hooks.dialog_up != NULL && l->user[0] != '\0' && d.remote_tag != NULL)
		l->sip->hooks.dialog_up(l->sip->hooks.arg, &d);
}

void named_remember(struct sip_leg *l)
{
	const char *theirs = l->dialog.remote != NULL ? l->dialog.remote->a_tag : NULL;
	struct sip *s = l->sip;
	struct ended *e;

	if (theirs == NULL)
		return; /* never was a dialog */
	if (s->hooks.dialog_over != NULL && l->user[0] != '\0')
		s->hooks.dialog_over(s->hooks.arg, l->dialog.tag);
	HASH_FIND_STR(s->ended, l->dialog.tag, e);
	if (e != NULL)
		return;
	e = malloc(sizeof(*e));
	if (e == NULL)
		return;
	str_set(e->tag, l->dialog.tag);
	e->rest = hash_rest(l->dialog.call_id->i_id, theirs);
	e->until = sip_clock() + 64 * (int64_t)s->cfg.t1_ms;
	HASH_ADD_STR(s->ended, tag, e);
}

void named_expire(struct sip *s, int64_t now)
{
	while (s->ended != NULL && s->ended->until <= now) /* the first one added is the head */
		ended_free(s, s->ended);
}

void named_forget(struct sip *s)
{
	while (s->ended != NULL)
		ended_free(s, s->ended);
}

static bool is_leg(const struct sip_leg *l, const struct replaces *name)
{
	return strcmp(l->dialog.call_id->i_id, name->call_id) == 0 &&
	       str_eq(l->dialog.remote->a_tag, name->from_tag);
}

struct sip_leg *named_find(struct sip *s, const struct replaces *name, uint16_t *status)
{
	struct sip_leg *l = sip_leg_by_tag(s, name->to_tag);
	struct ended *e;

	*status = 481;
	if (l != NULL && is_leg(l, name)) {
		*status = l->state == SIDE_ENDING || l->state == SIDE_OVER ||
					  l->state == SIDE_LEAVING || l->state == SIDE_CANCELLING
				  ? 603
				  : 0;
		return *status == 0 ? l : NULL;
	}
	HASH_FIND_STR(s->ended, name->to_tag, e);
	if (e != NULL && e->rest == hash_rest(name->call_id, name->from_tag))
		*status = 603;
	return NULL;
}
