/*
 * chain: who is asked next for a caller whose transfer failed and whose transferor has left. Each
 * kind of target has its steps; they are tried in order, each at most once. A step that waits for
 * another cause, or that leads to nobody, is passed over. Every step is a row of its own in the
 * ledger, linked to the one before.
 */
#include "core/verbs.h"

#include <errno.h>
#include <string.h>

/* ---- reading --------------------------------------------------------------------------------- */

static int parse_causes(const char *text, uint16_t *causes)
{
	char word[24];
	size_t n;
	int cause;

	for (const char *p = text;; p += n + 1) {
		n = strcspn(p, ",");
		if (n == 0 || !str_copy_n(word, sizeof(word), p, n) || (cause = cause_parse(word)) < 0)
			return EINVAL;
		*causes |= (uint16_t)(1u << cause);
		if (p[n] == '\0')
			return 0;
	}
}

static bool is_target_text(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.+*#";

	return s[0] != '\0' && s[strspn(s, allowed)] == '\0';
}

static bool wants_target(int kind)
{
	return kind == FALLBACK_USER || kind == FALLBACK_QUEUE || kind == FALLBACK_ANNOUNCE;
}

int fallback_parse(const char *text, struct fallback *f)
{
	char copy[USER_MAX + 160], *colon, *mark;
	int kind;

	memset(f, 0, sizeof(*f));
	if (!str_set(copy, text))
		return EINVAL;
	if ((mark = strchr(copy, '?')) != NULL)
		*mark++ = '\0';
	if ((colon = strchr(copy, ':')) != NULL)
		*colon++ = '\0';
	kind = fallback_kind_parse(copy);
	if (kind < 0 || (wants_target(kind) && colon == NULL))
		return EINVAL;
	if (colon && !wants_target(kind) && kind != FALLBACK_VOICEMAIL)
		return EINVAL;
	if (colon && (!is_target_text(colon) || !str_set(f->target, colon)))
		return EINVAL;
	f->kind = (enum fallback_kind)kind;
	return mark ? parse_causes(mark, &f->causes) : 0;
}

/* ---- choosing -------------------------------------------------------------------------------- */

/* Whom the transfer was to reach; a caller who was never transferred wanted the queue that he is in. */
struct asked {
	enum target_kind kind;
	const char *name;
};

static struct asked asked_for(const struct call *k)
{
	if (k->xfer.asked_kind == TARGET_NONE && k->wait.queue[0])
		return (struct asked){TARGET_QUEUE, k->wait.queue};
	return (struct asked){(enum target_kind)k->xfer.asked_kind, k->xfer.asked};
}

/* What was asked for decides which chain; a target that the request redirected does not. */
static const struct chain *chain_of(const struct core *c, const struct call *k)
{
	const struct chain *ch = &c->cfg.fallback[asked_for(k).kind];

	return ch->n ? ch : &c->cfg.fallback[TARGET_NONE];
}

/* Does the step wait for what has happened? */
static bool cause_fits(const struct fallback *f, const struct xfer *x)
{
	return f->causes == 0 || (f->causes & 1u << xfer_cause(x)) != 0;
}

/* The mailbox of this step: of the user it names, else of who was asked for. */
static bool voicemail_of(struct core *c, const struct call *k, const struct fallback *f,
	struct target *t)
{
	struct asked asked = asked_for(k);

	if (f->target[0])
		return target_voicemail(c, TARGET_USER, f->target, t);
	return target_voicemail(c, asked.kind, asked.name, t);
}

/* Was it this one that could not be reached? Then ringing it again leads nowhere. */
static bool was_asked(const struct call *k, enum target_kind kind, const char *name)
{
	struct asked asked = asked_for(k);

	return asked.kind == kind && str_eq(asked.name, name);
}

/* Fills t with whom this step rings. False: there is nobody, or it is the kept party itself. */
static bool step_leads(struct core *c, const struct call *k, const struct fallback *f,
	struct target *t)
{
	const struct leg *l = call_role(k, ROLE_KEPT);

	switch (f->kind) {
	case FALLBACK_RECALL:
		return target_user(c, k->xfer.recall_user, t);
	case FALLBACK_USER:
		return target_user(c, f->target, t) && !(l && str_eq(l->user, t->name)) &&
		       !was_asked(k, TARGET_USER, t->name);
	case FALLBACK_QUEUE:
		return target_queue(c, f->target, t) && !was_asked(k, TARGET_QUEUE, t->name);
	case FALLBACK_VOICEMAIL:
		return voicemail_of(c, k, f, t);
	case FALLBACK_ANNOUNCE:
		return target_resolve(c, f->target, DIALPLAN_USERS, t) == 0;
	default:
		return true;
	}
}

/* What a step means for the table and for the record. */
static const struct {
	enum word word;
	enum step step;
} meanings[fallback_kind_count_] = {
	[FALLBACK_RECALL] = {FB_RECALL, STEP_RECALL},
	[FALLBACK_USER] = {FB_USER, STEP_USER},
	[FALLBACK_QUEUE] = {FB_QUEUE, STEP_QUEUE},
	[FALLBACK_VOICEMAIL] = {FB_VOICEMAIL, STEP_VOICEMAIL},
	[FALLBACK_ANNOUNCE] = {FB_ANNOUNCE, STEP_ANNOUNCE},
	[FALLBACK_HANGUP] = {FB_END, STEP_TARGET},
};

/* Overflow targets are steps, too: they come before those of the chain. */
static const enum fallback_kind fallback_of[overflow_kind_count_] = {
	[OVERFLOW_QUEUE] = FALLBACK_QUEUE, [OVERFLOW_USER] = FALLBACK_USER,
	[OVERFLOW_IVR] = FALLBACK_USER, [OVERFLOW_VOICEMAIL] = FALLBACK_VOICEMAIL,
	[OVERFLOW_EXTERNAL] = FALLBACK_USER, [OVERFLOW_ANNOUNCE] = FALLBACK_ANNOUNCE,
};

/* Says which step of the chain is next. Why the last one failed is what steps wait for; that a
 * transferor could not be reached either is no news about the target. */
void chain_next_step(struct core *c, struct call *k)
{
	struct xfer *x = &k->xfer;
	const struct chain *ch = chain_of(c, k);
	enum overflow_kind kind;

	if (!xfer_is_recall(x) && k->status)
		xfer_note_status(k);
	if (queue_overflow(c, k, &k->target, &kind)) {
		call_post(k, meanings[fallback_of[kind]].word);
		return;
	}
	while (x->next_fallback < ch->n) {
		const struct fallback *f = &ch->step[x->next_fallback++];

		if (!cause_fits(f, x) || !step_leads(c, k, f, &k->target))
			continue;
		if (f->kind == FALLBACK_HANGUP)
			break;
		call_post(k, meanings[f->kind].word);
		return;
	}
	str_set(k->ended_by, "system");
	call_post(k, FB_END);
}

/* ---- carrying out ---------------------------------------------------------------------------- */

/* A recall after the transfer's row was closed as failed is a transfer of its own, by the system;
 * before that it is how this one ends: recalled. */
void chain_open_recall(struct core *c, struct call *k)
{
	struct xfer *x = &k->xfer;

	x->step = uuid_is_nil(&x->id) ? STEP_OWN_RECALL : STEP_RECALL;
	x->target = k->target;
	if (x->step == STEP_RECALL)
		return;
	x->origin = ORIGIN_SYSTEM;
	xfer_open_row(c, k);
}

static enum step step_of_word(enum word w)
{
	unsigned i = 0;

	while (meanings[i].word != w)
		i++;
	return meanings[i].step;
}

void chain_fall_back(struct core *c, struct call *k)
{
	struct xfer *x = &k->xfer;
	enum step step = step_of_word((enum word)k->word);
	unsigned closed = c->out->nfacts;
	struct fact *f = NULL;

	if (!uuid_is_nil(&x->id)) {
		xfer_close_row(c, k, "fell_back", step_name((int)step), NULL);
		xfer_timeline(c, k, "transfer_fell_back", "to", target_word(&k->target));
	}
	x->target = k->target;
	x->step = (uint8_t)step;
	x->origin = ORIGIN_SYSTEM;
	xfer_open_row(c, k);
	if (closed < c->out->nfacts)
		f = &c->out->facts[closed];
	if (f && f->type == FACT_TRANSFER_CLOSED)
		f->transfer_closed.next = x->id;
}
