/* story: see story.h. */
#include "app/story.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#include <uthash.h>

#define SENTENCES_MAX 64 /* of one call; of a longer one the newest are kept */
#define SENTENCE_MAX  320

/* ---- log lines ----------------------------------------------------------------------------- */

#define PAIRS_MAX   64
#define NUMBERS_MAX 24
#define NUMBER_SIZE (STR_NUMBER_MAX + 1)

/* Key, value pairs of a fact; numbers are printed into a store of their own. */
struct pairs {
	const char *p[PAIRS_MAX];
	unsigned n;
	char number[NUMBERS_MAX][NUMBER_SIZE];
	unsigned nnumber;
	const uuid *xfer;
};

static void add_pair(struct pairs *ps, const char *key, const char *value)
{
	if (str_empty(value) || ps->n + 2 > PAIRS_MAX)
		return;
	ps->p[ps->n++] = key;
	ps->p[ps->n++] = value;
}

static int64_t read_int(const struct fact_field *fd, const char *at)
{
	int64_t v = 0;

	memcpy(&v, at, fd->size < sizeof(v) ? fd->size : sizeof(v));
	return v;
}

static const char *print_int(int64_t v, char buf[NUMBER_SIZE])
{
	char *p;

	if (v >= 0)
		return str_number((uint64_t)v, buf);
	p = (char *)str_number(-(uint64_t)v, buf + 1);
	*--p = '-';
	return p;
}

static void add_field(struct pairs *ps, const struct fact *f, const struct fact_field *fd)
{
	const char *at = (const char *)f + fd->offset;
	int64_t v;

	switch (fd->kind) {
	case FIELD_TEXT:
		add_pair(ps, fd->name, at);
		break;
	case FIELD_INT:
	case FIELD_MS:
		v = read_int(fd, at);
		if (v == 0 || ps->nnumber == NUMBERS_MAX)
			break;
		add_pair(ps, fd->name, print_int(v, ps->number[ps->nnumber++]));
		break;
	case FIELD_UUID:
		if (str_eq(fd->name, "xfer"))
			ps->xfer = (const uuid *)at;
		break;
	case FIELD_TIME:
		break; /* the line has its own */
	}
}

static enum log_level level_of(const struct fact *f)
{
	switch (f->type) {
	case FACT_TIMELINE:
	case FACT_CONVERSATION_OPENED:
	case FACT_CONVERSATION_CLOSED:
		return LOG_LEVEL_INFO;
	case FACT_AUDIT:
		return LOG_LEVEL_NOTICE;
	default:
		return LOG_LEVEL_DEBUG;
	}
}

/* A timeline entry is a line of its own name: "transfer_requested actor=alice target=bob". */
static void log_timeline(const struct fact *f, uint64_t id)
{
	const struct fact_timeline *t = &f->timeline;
	const char *pairs[] = {
		"actor", t->actor, "via", t->via, t->key1, t->value1, t->key2, t->value2};

	log_pairs(LOG_LEVEL_INFO, (struct log_ref){id, &t->xfer}, t->type, pairs, 8);
}

void story_log(const struct fact *f, uint64_t id)
{
	const struct fact_desc *d = fact_describe(f->type);
	struct pairs ps = {.n = 0};

	if (level_of(f) < log_min())
		return;
	if (f->type == FACT_TIMELINE) {
		log_timeline(f, id);
		return;
	}
	for (unsigned i = 0; i < d->nfields; i++)
		if (!str_eq(d->fields[i].name, "call")) /* every line says it already */
			add_field(&ps, f, &d->fields[i]);
	log_pairs(level_of(f), (struct log_ref){id, ps.xfer}, d->name, ps.p, ps.n);
}

/* ---- sentences ----------------------------------------------------------------------------- */

/* Which value a sentence names: {a} who did it, {1} and {2} the entry's own values. */
static const struct {
	const char *type, *text;
} sentences[] = {
	{"conversation_started", "{1} called {2}."},
	{"ivr_entered", "The caller reached the menu {a}."},
	{"queue_entered", "The caller is waiting in the queue {a}."},
	{"offered", "{a} is being called."},
	{"offer_failed", "{a} could not be reached ({1})."},
	{"answered", "{a} answered."},
	{"hold_on", "{a} put the call on hold."},
	{"hold_off", "{a} took the call off hold."},
	{"case_assigned", "The case now belongs to {1}."},
	{"transfer_requested", "{a} asked to transfer the call to {1}."},
	{"transfer_refused", "The transfer to {1} that {a} asked for was refused ({2})."},
	{"transfer_target_ringing", "The phone of {1} is ringing."},
	{"transfer_completed", "The transfer is complete: the call is with {1}."},
	{"transfer_failed", "The transfer to {1} failed ({2})."},
	{"transfer_cancelled", "The transfer to {1} was called off."},
	{"transfer_abandoned", "The caller hung up before {1} answered."},
	{"transfer_recalled", "The call went back to {1}."},
	{"transfer_fell_back", "{1} could not be reached; the call went on to {2}."},
	{"customer_left", "The caller hung up."},
	{"recovered", "segued was restarted; the call went on."},
	{"conversation_ended", "The call is over."},
};

static const char *value_of(const struct fact_timeline *t, char which)
{
	const char *v = which == 'a' ? t->actor : which == '1' ? t->value1 : t->value2;

	if (which == 'a' && str_eq(v, "customer"))
		return "the caller";
	if (str_empty(v))
		return which == '2' ? "no reason was given" : "somebody";
	return v;
}

static void fill_in(const char *text, const struct fact_timeline *t, char *buf, size_t size)
{
	buf[0] = '\0';
	while (*text != '\0') {
		const char *brace = strchr(text, '{');
		size_t n = brace ? (size_t)(brace - text) : strlen(text);
		char part[128];

		str_copy_n(part, sizeof(part), text, n);
		str_append(buf, size, part);
		if (brace == NULL)
			break;
		str_append(buf, size, value_of(t, brace[1]));
		text = brace + 3;
	}
	if (buf[0] >= 'a' && buf[0] <= 'z' && str_starts(buf, "the caller"))
		buf[0] = (char)(buf[0] - 'a' + 'A');
}

bool story_sentence(const struct fact *f, char *buf, size_t size)
{
	if (f->type != FACT_TIMELINE)
		return false;
	if (str_eq(f->timeline.type, "answered") && !uuid_is_nil(&f->timeline.xfer))
		return false; /* the end of the transfer says it already */
	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
		if (str_eq(sentences[i].type, f->timeline.type)) {
			fill_in(sentences[i].text, &f->timeline, buf, size);
			return true;
		}
	return false;
}

/* ---- kept sentences ------------------------------------------------------------------------ */

struct sentence {
	int64_t at;
	char *text;
};

struct told {
	call_id call;
	struct sentence *list; /* a ring once it is full */
	unsigned n, cap, first;
	UT_hash_handle hh;
};

struct story {
	struct told *calls;
};

struct story *story_create(void)
{
	return calloc(1, sizeof(struct story));
}

static void free_told(struct story *s, struct told *t)
{
	HASH_DEL(s->calls, t);
	for (unsigned i = 0; i < t->n; i++)
		free(t->list[i].text);
	free(t->list);
	free(t);
}

void story_destroy(struct story *s)
{
	struct told *t, *next;

	if (s == NULL)
		return;
	HASH_ITER(hh, s->calls, t, next)
	free_told(s, t);
	free(s);
}

static struct told *find(struct story *s, call_id call)
{
	struct told *t;

	HASH_FIND(hh, s->calls, &call, sizeof(call), t);
	return t;
}

static struct told *find_or_add(struct story *s, call_id call)
{
	struct told *t = find(s, call);

	if (t != NULL)
		return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->call = call;
	HASH_ADD(hh, s->calls, call, sizeof(t->call), t);
	return t;
}

/* Where the next sentence goes; NULL without memory. */
static struct sentence *next_place(struct told *t)
{
	struct sentence *list, *oldest;
	unsigned cap = t->cap ? t->cap * 2 : 4;

	if (t->n == SENTENCES_MAX) {
		oldest = &t->list[t->first++ % SENTENCES_MAX];
		free(oldest->text);
		return oldest;
	}
	if (t->n == t->cap) {
		list = realloc(t->list, cap * sizeof(list[0]));
		if (list == NULL)
			return NULL;
		t->list = list;
		t->cap = cap;
	}
	return &t->list[t->n++];
}

void story_add(struct story *s, const struct fact *f)
{
	char text[SENTENCE_MAX];
	struct sentence *place;
	struct told *t;
	char *copy;

	if (f->call == ID_NONE || !story_sentence(f, text, sizeof(text)))
		return;
	t = find_or_add(s, id_call(f->call));
	copy = strdup(text);
	place = t && copy ? next_place(t) : NULL;
	if (place == NULL) {
		free(copy);
		return;
	}
	*place = (struct sentence){f->at, copy};
}

void story_forget(struct story *s, call_id call)
{
	struct told *t = find(s, id_call(call));

	if (t != NULL)
		free_told(s, t);
}

void story_each(struct story *s, call_id call, void (*fn)(void *arg, int64_t at, const char *text),
	void *arg)
{
	struct told *t = find(s, id_call(call));

	for (unsigned i = 0; t != NULL && i < t->n; i++) {
		const struct sentence *x = &t->list[(t->first + i) % t->n];

		fn(arg, x->at, x->text);
	}
}
