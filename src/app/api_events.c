/*
 * api_events: GET /api/v1/events, a stream of server-sent events: a snapshot, then numbered
 * changes. Each change is rendered once and put into a ring that all listeners read at their own
 * pace; one that falls off its end is cut, and begins again with a snapshot.
 *
 * Listeners are woken in rounds, some tens of times a second at most, so that a thousand of them cost
 * as many wake-ups a second at any rate of calls. News after a rest are told at once, and those that
 * follow wait for the next round. A round goes by slices, with a turn of the loop
 * after each, so that a SIP message waits for one slice at most. What a listener is sent is written by
 * a thread (http/push.h). With many listeners a call that
 * changes several times in one round is told once, as it is then: most of what a listener is sent are
 * rows of calls.
 */
#include "app/api_internal.h"

#include <stdlib.h>
#include <unistd.h>

#include <utlist.h>

#define RING_BYTES    (32 << 20)
#define ROUND_MS      20 /* from the beginning of a round to that of the next, at least */
#define ROUND_MANY_MS 50 /* with so many listeners: */
#define MANY	      200
#define SLICE	      16 /* listeners that are looked at in one go; one or two us each */
#define PING_MS	      10000
#define PAST_MS	      (10 * 60 * 1000) /* who was away for longer begins anew */
#define SHARED_MS     500 /* estimates of waiting go on by themselves */
#define LINGER_MS     (2 * 60 * 1000) /* changes are kept for those who come back, so long */


/* Who is told of a change: viewers who see one of these users, or the queue; everybody if there are
 * neither. `except`: not those who see one of these. */
struct change {
	uint64_t seq;
	char *text[2]; /* with numbers, and masked: NULL if that is the same */
	size_t len[2];
	char *users, *except; /* names, each ended by NUL, an empty one at the end; NULL none */
	char queue[USER_MAX];
	enum { TO_SOME, TO_ALL } to;
};

/* Text shared by listeners who begin at the same moment. */
struct blob {
	unsigned refs;
	uint64_t seq, touches; /* live_touches() then */
	size_t len;
	char *text;
};

struct listener {
	struct api_request *q;
	struct viewer viewer;
	struct blob *snapshot; /* still to be sent; NULL: done */
	size_t sent;           /* of the snapshot, or of change `next` */
	uint64_t next;
	enum {
		LISTENING,
		STALE, /* sees other things than it did: begins anew with a snapshot */
		CUT,
	} state;
	struct listener *prev, *following;
};

/* What somebody saw who has left: whoever comes back and sees other calls begins anew. */
struct past {
	char session[sizeof(((struct viewer *)0)->session)];
	uint64_t view;
	int64_t left_at; /* monotonic ms */
	UT_hash_handle hh;
};

struct api_events {
	struct api *api;
	char boot[20]; /* part of every id: numbers of another run mean nothing here */
	uint64_t seq;  /* of the newest change */
	uint64_t first; /* of the oldest in the ring; seq + 1: it is empty */
	struct change **ring; /* the newest `size` changes */
	unsigned size;
	size_t bytes;
	struct listener *listeners;
	unsigned nlisteners;
	int64_t left_at; /* monotonic ms: when the last listener left */
	struct blob *all[2]; /* snapshot of everything, of the present seq */
	char *shared;        /* what all snapshots have */
	enum { SHARED_OLD, SHARED_NEW } shared_is;
	int64_t shared_at; /* monotonic ms: when it was rendered */
	int timer, bell;
	struct loop_watch *watch, *bell_watch;
	enum { IDLE, ROUND, SLICES } armed; /* what comes next: a ping (by the timer), a round (by the bell
					     * if it may begin now, else by the timer), the rest of one
					     * (by the bell) */
	int64_t round_at;                   /* monotonic ms: when the last round began */
	enum { ENOUGH, AGAIN } then;        /* something came while a round went on */
	unsigned left;                      /* listeners to be woken in this round */
	call_id *later; /* calls that are told of when the next round begins */
	unsigned nlater, later_cap;
	int64_t ping_at;
	unsigned moves; /* live_moves(), as of the last look */
	uint64_t moved; /* seq: from then on supervisors may see what they see now */
	struct past *past; /* the longest gone first */
};

/* ---- the ring -------------------------------------------------------------------------------- */

static void change_free(struct change *c)
{
	if (c == NULL)
		return;
	free(c->text[0]);
	free(c->text[1]);
	free(c->users);
	free(c->except);
	free(c);
}

static void drop_first(struct api_events *e)
{
	struct change **slot = &e->ring[e->first % e->size];

	if (*slot != NULL)
		e->bytes -= (*slot)->len[0] + (*slot)->len[1];
	change_free(*slot);
	*slot = NULL;
	e->first++;
}

static void drop_all(struct api_events *e)
{
	while (e->first <= e->seq)
		drop_first(e);
}

/* Does anybody listen, or did so until a moment ago? If not, changes are only counted. */
static bool is_heard(struct api_events *e)
{
	if (e->nlisteners > 0)
		return true;
	if (e->left_at != 0 && loop_now_ms() - e->left_at < LINGER_MS)
		return true;
	drop_all(e);
	e->seq++;
	e->first = e->seq + 1;
	return false;
}

/* How long until the next round may begin, ms; 0: now. */
static int64_t until_round(const struct api_events *e)
{
	int64_t at = e->round_at + (e->nlisteners > MANY ? ROUND_MANY_MS : ROUND_MS), now = loop_now_ms();

	return at > now ? at - now : 0;
}

static void arm(struct api_events *e)
{
	int64_t now = loop_now_ms(), wait = e->armed == ROUND ? until_round(e) : 0;

	if (e->nlisteners == 0)
		loop_timer_set(e->timer, -1);
	else if (e->armed == IDLE)
		loop_timer_set(e->timer, e->ping_at > now ? e->ping_at - now : 0);
	else if (wait > 0)
		loop_timer_set(e->timer, wait);
	else
		loop_bell_ring(e->bell); /* whatever else the loop has to do comes first */
}

/* There is something to tell. */
static void want_round(struct api_events *e)
{
	if (e->nlisteners == 0)
		return;
	if (e->armed == SLICES)
		e->then = AGAIN;
	if (e->armed != IDLE)
		return;
	e->armed = ROUND;
	arm(e);
}

static void put(struct api_events *e, struct change *c)
{
	if (e->seq + 1 - e->first == e->size)
		drop_first(e);
	c->seq = ++e->seq;
	e->ring[c->seq % e->size] = c;
	e->bytes += c->len[0] + c->len[1];
	while (e->bytes > RING_BYTES && e->first < e->seq)
		drop_first(e);
	want_round(e);
}

/* Renders "id: ..\nevent: ..\ndata: ..\n\n". The text of the data is taken over. */
static char *render(const struct api_events *e, uint64_t seq, const char *name, char *body, size_t *len)
{
	char *text = NULL;
	int n = -1;

	if (body != NULL && seq != 0)
		n = asprintf(&text, "id: %s-%llu\nevent: %s\ndata: %s\n\n", e->boot,
			(unsigned long long)seq, name, body);
	else if (body != NULL)
		n = asprintf(&text, "event: %s\ndata: %s\n\n", name, body);
	free(body);
	*len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? NULL : text;
}

/* A change with its text; masked may be NULL. Both are taken over. */
static struct change *change_of(struct api_events *e, const char *name, char *plain, char *masked)
{
	struct change *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		free(plain);
		free(masked);
		return NULL;
	}
	c->text[0] = render(e, e->seq + 1, name, plain, &c->len[0]);
	if (masked != NULL)
		c->text[1] = render(e, e->seq + 1, name, masked, &c->len[1]);
	if (c->text[0] != NULL && (masked == NULL || c->text[1] != NULL))
		return c;
	change_free(c);
	return NULL;
}

/* The same of JSON. */
static struct change *change_new(
	struct api_events *e, const char *name, json_t *plain, json_t *masked)
{
	char *text = json_dumps(plain, JSON_COMPACT);
	char *hidden = masked ? json_dumps(masked, JSON_COMPACT) : NULL;
	bool ok = masked == NULL || hidden != NULL;

	json_decref(plain);
	json_decref(masked);
	if (ok)
		return change_of(e, name, text, hidden);
	free(text);
	return NULL;
}

/* ---- who is told ----------------------------------------------------------------------------- */

static bool sees_one(const struct api *a, const struct viewer *v, const char *users)
{
	for (const char *u = users; u != NULL && *u != '\0'; u += strlen(u) + 1)
		if (api_sees_user(a, v, u))
			return true;
	return false;
}

static bool is_told(const struct api *a, const struct viewer *v, const struct change *c)
{
	if (c->to == TO_ALL)
		return true;
	if (c->except != NULL)
		return v->role != VIEWER_ADMIN && !sees_one(a, v, c->except) &&
		       !(c->queue[0] && api_sees_queue(v, c->queue)) && sees_one(a, v, c->users);
	return v->role == VIEWER_ADMIN || sees_one(a, v, c->users) ||
	       (c->queue[0] && api_sees_queue(v, c->queue));
}

static char *names_of(const struct live_call *k, const char *more)
{
	size_t size = 1 + (more ? strlen(more) + 1 : 0);
	char *names, *p;

	for (unsigned i = 0; i < k->nparties; i++)
		size += strlen(k->party[i]->user) + 1;
	names = p = malloc(size);
	if (names == NULL)
		return NULL;
	for (unsigned i = 0; i < k->nparties; i++)
		p = stpcpy(p, k->party[i]->user) + 1;
	if (more != NULL)
		p = stpcpy(p, more) + 1;
	*p = '\0';
	return names;
}

static char *one_name(const char *user)
{
	char *names = calloc(1, strlen(user) + 2);

	if (names != NULL)
		strcpy(names, user);
	return names;
}

static void put_for_call(struct api_events *e, struct change *c, const struct live_call *k,
	const char *more)
{
	if (c == NULL)
		return;
	c->users = names_of(k, more);
	str_set(c->queue, k->queue);
	put(e, c);
}

static bool any_masked(const struct api_events *e)
{
	const struct access_config *cfg = access_config(e->api->access);

	for (int i = 0; i < viewer_role_count_; i++)
		if (cfg->masked[i])
			return true;
	return false;
}

/* ---- what changes ---------------------------------------------------------------------------- */

static void tell_call(struct api_events *e, const struct live_call *k)
{
	const struct api *a = e->api;

	put_for_call(e,
		change_of(e, "call", api_call_text(a, k, false),
			any_masked(e) ? api_call_text(a, k, true) : NULL),
		k, NULL);
}

/* The call is told of when the next round begins. False without memory. */
static bool tell_later(struct api_events *e, struct live_call *k)
{
	unsigned cap = e->later_cap ? 2 * e->later_cap : 64;
	call_id *p;

	if (e->nlater == e->later_cap) {
		p = realloc(e->later, cap * sizeof(*p));
		if (p == NULL)
			return false;
		e->later = p;
		e->later_cap = cap;
	}
	e->later[e->nlater++] = k->id;
	k->told = CALL_CHANGED;
	want_round(e);
	return true;
}

void api_events_call(void *arg, const struct live_call *k)
{
	struct api *a = arg;
	struct api_events *e = a->events;
	struct live_call *own = live_call(a->live, k->id);

	if (!is_heard(e) || (own != NULL && own->told == CALL_CHANGED))
		return;
	if (e->nlisteners <= MANY || own == NULL || !tell_later(e, own))
		tell_call(e, k);
}

/* Those that have ended meanwhile were told of at once. */
static void tell_calls(struct api_events *e)
{
	struct live_call *k;

	for (unsigned i = 0; i < e->nlater; i++) {
		k = live_call(e->api->live, e->later[i]);
		if (k == NULL)
			continue;
		k->told = CALL_SAME;
		tell_call(e, k);
	}
	e->nlater = 0;
}

static json_t *gone_json(const struct live_call *k, const char *why, call_id into)
{
	json_t *o = json_object();

	jo_id(o, "id", k->id);
	jo_uuid(o, "conversation", &k->conv);
	jo_text(o, "why", why);
	jo_id(o, "into", into);
	jo_time(o, "at", loop_wall_us());
	return o;
}

/* Goes to those who saw the call through this user alone. */
void api_events_call_left(void *arg, const struct live_call *k, const char *user)
{
	struct api *a = arg;
	struct api_events *e = a->events;
	struct change *c = is_heard(e) ? change_new(e, "call_gone",
						 gone_json(k, "left", ID_NONE), NULL)
				       : NULL;

	if (c == NULL)
		return;
	c->users = one_name(user);
	c->except = names_of(k, NULL);
	str_set(c->queue, k->queue);
	put(e, c);
}

void api_events_call_gone(void *arg, const struct live_call *k, call_id into)
{
	const char *why = into == ID_NONE ? "ended" : "merged";
	struct api *a = arg;
	struct api_events *e = a->events;

	if (is_heard(e))
		put_for_call(e, change_new(e, "call_gone", gone_json(k, why, into), NULL), k, NULL);
}

void api_events_transfer(void *arg, const struct live_call *k, const struct live_transfer *t)
{
	struct api *a = arg;
	struct api_events *e = a->events;

	if (is_heard(e))
		put_for_call(e,
			change_new(e, "transfer", api_transfer_json(t, false),
				any_masked(e) ? api_transfer_json(t, true) : NULL),
			k, t->asker);
}

void api_events_user(void *arg, const struct live_user *u)
{
	struct api *a = arg;
	struct api_events *e = a->events;
	struct change *c;

	e->shared_is = SHARED_OLD;
	c = is_heard(e) ? change_new(e, "agent", api_user_json(a, u), NULL) : NULL;

	if (c == NULL)
		return;
	c->to = TO_ALL;
	put(e, c);
}

void api_events_ivr(void *arg, const struct live_ivr *i)
{
	struct api *a = arg;
	struct api_events *e = a->events;
	struct change *c;

	e->shared_is = SHARED_OLD;
	c = is_heard(e) ? change_new(e, "menu", api_menu_json(i), NULL) : NULL;

	if (c == NULL)
		return;
	c->to = TO_ALL;
	put(e, c);
}

/* Queues change with every agent: they are told in rounds. */
void api_events_queue(void *arg, const struct live_queue *q)
{
	struct api *a = arg;
	struct live_queue *own = live_queue(a->live, q->row.queue);

	if (own != NULL)
		own->told = QUEUE_CHANGED;
	a->events->shared_is = SHARED_OLD;
	want_round(a->events);
}

static void tell_queues(struct api_events *e)
{
	struct live_queue *q, *next;
	struct change *c;

	HASH_ITER(hh, live_queues(e->api->live), q, next)
	{
		if (q->told == QUEUE_SAME)
			continue;
		q->told = QUEUE_SAME;
		c = change_new(e, "queue", api_queue_json(e->api, q), NULL);
		if (c == NULL)
			continue;
		c->to = TO_ALL;
		put(e, c);
	}
}

static json_t *timeline_json(const struct live_call *k, const struct fact *f)
{
	const struct fact_timeline *t = &f->timeline;
	json_t *o = json_object(), *data = json_object();

	jo_id(o, "call", k->id);
	jo_uuid(o, "conversation", &t->conv);
	jo_int(o, "seq", t->seq);
	jo_time(o, "at", f->at);
	jo_text(o, "type", t->type);
	jo_text_or_null(o, "actor", t->actor);
	jo_text(o, "via", t->via);
	jo_uuid(o, "segment", &t->seg);
	jo_uuid(o, "transfer", &t->xfer);
	if (t->key1[0] != '\0')
		jo_text(data, t->key1, t->value1);
	if (t->key2[0] != '\0')
		jo_text(data, t->key2, t->value2);
	json_object_set_new(o, "data", data);
	return o;
}

/* What an entry says may be a number, and so may be who did it: somebody outside. */
static void mask_entry(json_t *o, const char *actor)
{
	char buf[NUM_MAX + 8];

	json_object_clear(json_object_get(o, "data"));
	if (actor[0] == '\0' || actor[strspn(actor, "+0123456789")] != '\0')
		return;
	api_mask(actor, buf, sizeof(buf));
	jo_text(o, "actor", buf);
}

void api_events_fact(void *arg, const struct live_call *k, const struct fact *f)
{
	struct api *a = arg;
	struct api_events *e = a->events;
	json_t *masked = NULL;

	if (k == NULL || f->type != FACT_TIMELINE || !is_heard(e))
		return;
	if (any_masked(e)) {
		masked = timeline_json(k, f);
		mask_entry(masked, f->timeline.actor);
	}
	put_for_call(e, change_new(e, "timeline", timeline_json(k, f), masked), k, NULL);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

/* The calls that a viewer sees, as a list in JSON, and how many there are. */
static void write_calls(FILE *f, const struct api *a, const struct viewer *v, unsigned *total)
{
	const char *comma = "";
	struct live_call *k, *next;
	const struct live_text *row;

	*total = 0;
	fputc('[', f);
	HASH_ITER(hh, live_calls(a->live), k, next)
	{
		if (!api_sees_call(a, v, k) || (*total)++ >= API_CALLS_MAX)
			continue;
		row = api_call_told(a, k, v->masked);
		if (row == NULL)
			continue;
		fputs(comma, f);
		fwrite(row->text, 1, row->len, f);
		comma = ",";
	}
	fputc(']', f);
}

static void write_users(FILE *f, const struct api *a)
{
	const char *comma = "";
	struct live_user *u, *next;
	const struct live_text *row;

	HASH_ITER(hh, live_users(a->live), u, next)
	{
		row = api_user_row(a, u);
		if (row == NULL)
			continue;
		fputs(comma, f);
		fwrite(row->text, 1, row->len, f);
		comma = ",";
	}
}

/* `"name":[...]`; the list is taken over. */
static void write_list(FILE *f, const char *name, json_t *list)
{
	fprintf(f, ",\"%s\":", name);
	json_dumpf(list, f, JSON_COMPACT);
	json_decref(list);
}

/* People, queues and menus are the same for everybody: rendered once, however many come at one moment, as
 * they do after a restart. Text of JSON behind its first brace; NULL without memory. */
static const char *shared_text(struct api_events *e)
{
	const struct api *a = e->api;
	json_t *queues, *menus;
	struct live_queue *x, *xnext;
	struct live_ivr *i, *inext;
	size_t len;
	FILE *f;

	if (e->shared != NULL && e->shared_is == SHARED_NEW &&
		loop_now_ms() - e->shared_at < SHARED_MS)
		return e->shared;
	free(e->shared);
	e->shared = NULL;
	f = open_memstream(&e->shared, &len);
	if (f == NULL)
		return NULL;
	queues = json_array();
	menus = json_array();
	HASH_ITER(hh, live_queues(a->live), x, xnext)
	json_array_append_new(queues, api_queue_json(a, x));
	HASH_ITER(hh, live_ivrs(a->live), i, inext)
	json_array_append_new(menus, api_menu_json(i));
	fputs("\"agents\":[", f);
	write_users(f, a);
	fputc(']', f);
	write_list(f, "queues", queues);
	write_list(f, "menus", menus);
	fputc('}', f);
	e->shared_is = SHARED_NEW;
	e->shared_at = loop_now_ms();
	if (fclose(f) == 0)
		return e->shared;
	free(e->shared);
	e->shared = NULL;
	return NULL;
}

/* The text of a snapshot. NULL without memory. */
static char *snapshot_text(struct api_events *e, const struct viewer *v, size_t *len)
{
	char *text = NULL, at[JO_TIME_MAX];
	const char *shared = shared_text(e);
	FILE *f = shared ? open_memstream(&text, len) : NULL;
	unsigned total;

	if (f == NULL)
		return NULL;
	fprintf(f, "id: %s-%llu\nevent: snapshot\ndata: {\"at\":\"%s\",\"seq\":%llu,\"calls\":", e->boot,
		(unsigned long long)e->seq, jo_time_str(loop_wall_us(), at), (unsigned long long)e->seq);
	write_calls(f, e->api, v, &total);
	fprintf(f, ",\"total\":%u,%s\n\n", total, shared);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static struct blob *blob_new(struct api_events *e, const struct viewer *v)
{
	struct blob *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->refs = 1;
	b->seq = e->seq;
	b->touches = live_touches(e->api->live);
	b->text = snapshot_text(e, v, &b->len);
	if (b->text != NULL)
		return b;
	free(b);
	return NULL;
}

static void blob_drop(struct blob **b)
{
	if (*b != NULL && --(*b)->refs == 0) {
		free((*b)->text);
		free(*b);
	}
	*b = NULL;
}

/* Of those who see everything, all who come at one moment share one. */
static struct blob *snapshot_for(struct api_events *e, const struct viewer *v)
{
	struct blob **all = &e->all[v->masked];

	if (v->role != VIEWER_ADMIN)
		return blob_new(e, v);
	if (*all != NULL && ((*all)->seq != e->seq || (*all)->touches != live_touches(e->api->live)))
		blob_drop(all);
	if (*all == NULL)
		*all = blob_new(e, v);
	if (*all != NULL)
		(*all)->refs++;
	return *all;
}

/* ---- listeners ------------------------------------------------------------------------------- */

static size_t copy(struct listener *l, const char *text, size_t len, char *buf, size_t max)
{
	size_t n = len - l->sent < max ? len - l->sent : max;

	memcpy(buf, text + l->sent, n);
	l->sent += n;
	return n;
}

static size_t copy_snapshot(struct listener *l, char *buf, size_t max)
{
	size_t n = copy(l, l->snapshot->text, l->snapshot->len, buf, max);

	if (l->sent == l->snapshot->len) {
		l->next = l->snapshot->seq + 1;
		l->sent = 0;
		blob_drop(&l->snapshot);
	}
	return n;
}

static size_t copy_change(
	const struct api_events *e, struct listener *l, char *buf, size_t max)
{
	const struct change *c = e->ring[l->next % e->size];
	int m = l->viewer.masked && c->text[1] != NULL;
	size_t n;

	if (l->sent == 0 && !is_told(e->api, &l->viewer, c)) {
		l->next++;
		return 0;
	}
	n = copy(l, c->text[m], c->len[m], buf, max);
	if (l->sent == c->len[m]) {
		l->next++;
		l->sent = 0;
	}
	return n;
}

/* What it saw may be hidden now, or the other way round: a snapshot replaces everything. */
static bool begin_anew(struct api_events *e, struct listener *l)
{
	if (!access_again(e->api->access, &l->viewer, loop_wall_us(), &l->viewer))
		return false;
	l->snapshot = snapshot_for(e, &l->viewer);
	l->state = LISTENING;
	return l->snapshot != NULL;
}

static ssize_t feed(void *arg, char *buf, size_t max)
{
	struct listener *l = arg;
	struct api_events *e = l->q->api->events;
	size_t n = 0;

	if (l->state == CUT)
		return -1;
	if (l->state == STALE && l->snapshot == NULL && l->sent == 0 && !begin_anew(e, l))
		return -1;
	if (l->snapshot != NULL)
		return (ssize_t)copy_snapshot(l, buf, max);
	if (l->next < e->first)
		return -1; /* too slow: it comes again and gets a snapshot */
	while (n < max && l->next <= e->seq && (l->state != STALE || l->sent > 0))
		n += copy_change(e, l, buf + n, max - n);
	return (ssize_t)n;
}

static uint64_t mix(uint64_t h, const char *text)
{
	do
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3); /* FNV-1a */
	while (*text++ != '\0');
	return h;
}

/* A number that stands for whose calls, and how, somebody sees. */
static uint64_t view_of(const struct viewer *v)
{
	uint64_t h = mix(mix(UINT64_C(0xcbf29ce484222325), v->user), v->masked ? "masked" : "plain");

	h = mix(h, viewer_role_name(v->role));
	for (unsigned i = 0; i < v->ndepartments; i++)
		h = mix(h, v->department[i]);
	return h;
}

static void drop_past(struct api_events *e, int64_t before)
{
	struct past *p;

	while ((p = e->past) != NULL && p->left_at < before) {
		HASH_DEL(e->past, p);
		free(p);
	}
}

static void remember_view(struct api_events *e, const struct viewer *v)
{
	int64_t now = loop_now_ms();
	struct past *p;

	drop_past(e, now - PAST_MS);
	HASH_FIND_STR(e->past, v->session, p);
	if (p != NULL)
		HASH_DEL(e->past, p);
	else
		p = calloc(1, sizeof(*p));
	if (p == NULL)
		return;
	str_set(p->session, v->session);
	p->view = view_of(v);
	p->left_at = now;
	HASH_ADD_STR(e->past, session, p);
}

/* Somebody of this session listened a while ago, or listens, and saw what it would see now. */
static bool saw_the_same(const struct api_events *e, const struct viewer *v)
{
	const struct listener *l;
	struct past *p;

	HASH_FIND_STR(e->past, v->session, p);
	if (p != NULL)
		return p->view == view_of(v);
	DL_FOREACH2(e->listeners, l, following)
	if (str_eq(l->viewer.session, v->session)) /* the old connection is not known to be dead yet */
		return l->state == LISTENING && view_of(&l->viewer) == view_of(v);
	return false;
}

/* The number that the listener has seen last, if it is of this run, nothing is missing since, and it sees
 * the calls that it saw then. */
static bool can_resume(
	const struct api_events *e, const struct viewer *v, const char *id, uint64_t *seq)
{
	size_t n = strlen(e->boot);
	char *end;

	if (id == NULL || strncmp(id, e->boot, n) != 0 || id[n] != '-')
		return false;
	*seq = strtoull(id + n + 1, &end, 10);
	return *end == '\0' && *seq <= e->seq && *seq + 1 >= e->first &&
	       (v->role != VIEWER_SUPERVISOR || *seq >= e->moved) && saw_the_same(e, v);
}

static void set_prelude(struct listener *l, struct api_events *e, uint64_t seq)
{
	static const char text[] = "retry: 2000\nevent: resumed\ndata: {}\n\n";

	l->snapshot = calloc(1, sizeof(*l->snapshot));
	l->next = seq + 1;
	if (l->snapshot == NULL)
		return;
	l->snapshot->refs = 1;
	l->snapshot->seq = seq;
	l->snapshot->text = strdup(text);
	l->snapshot->len = l->snapshot->text ? sizeof(text) - 1 : 0;
	if (l->snapshot->text == NULL)
		blob_drop(&l->snapshot);
}

/* Who supervises a queue sees other calls once somebody who is on one comes to it or leaves it. */
static void look_at_moves(struct api_events *e)
{
	unsigned moves = live_moves(e->api->live);
	struct listener *l;

	if (moves == e->moves)
		return;
	e->moves = moves;
	e->moved = e->seq;
	DL_FOREACH2(e->listeners, l, following)
	if (l->viewer.role == VIEWER_SUPERVISOR && l->state == LISTENING)
		l->state = STALE;
}

static void begin_listening(struct api_request *q)
{
	struct api_events *e = q->api->events;
	struct listener *l = calloc(1, sizeof(*l));
	const char *id = http_header(q->http, "Last-Event-ID");
	uint64_t seq;

	if (id == NULL)
		id = api_text(q, "last_event_id");
	look_at_moves(e);
	tell_calls(e); /* what has changed is in what this listener begins with */
	tell_queues(e);
	if (l != NULL) {
		l->q = q;
		l->viewer = q->viewer;
		if (can_resume(e, &q->viewer, id, &seq))
			set_prelude(l, e, seq);
		else
			l->snapshot = snapshot_for(e, &q->viewer);
	}
	if (l == NULL || l->snapshot == NULL) {
		free(l);
		api_fail(q, 503, "no_memory", "out of memory");
		return;
	}
	q->own = l;
	q->own_free = free;
	DL_APPEND2(e->listeners, l, prev, following);
	if (e->nlisteners++ == 0)
		e->ping_at = loop_now_ms() + PING_MS;
	http_add_header(q->http, "X-Accel-Buffering", "no"); /* a proxy must not gather it */
	http_reply_events(q->http, "text/event-stream", feed, l);
	arm(e);
}

void api_run_events(struct api_request *q)
{
	api_warm(q, begin_listening);
}

void api_events_over(struct api_request *q)
{
	struct api_events *e = q->api->events;
	struct listener *l = q->own;

	if (l == NULL || q->route == NULL || q->route->run != api_run_events)
		return;
	DL_DELETE2(e->listeners, l, prev, following);
	remember_view(e, &l->viewer);
	blob_drop(&l->snapshot);
	if (--e->nlisteners == 0) {
		e->armed = IDLE;
		e->left_at = loop_now_ms();
	}
}

unsigned api_events_listeners(const struct api_events *e)
{
	return e->nlisteners;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void look_again(struct api_events *e, struct listener *l)
{
	struct viewer now;

	if (!access_again(e->api->access, &l->viewer, loop_wall_us(), &now) ||
		!viewer_may(&now, PERM_VIEW))
		l->state = CUT;
	else if (view_of(&now) != view_of(&l->viewer) && l->state == LISTENING)
		l->state = STALE;
}

void api_events_access(struct api_events *e)
{
	struct listener *l;

	DL_FOREACH2(e->listeners, l, following)
	look_again(e, l);
	want_round(e);
}

/* Whoever may not listen any more (logged out, disabled, a token that has expired) is cut; the
 * others hear that the line is alive. */
static void ping(struct api_events *e)
{
	json_t *data = json_object();
	struct change *c;
	struct listener *l;

	jo_time(data, "at", loop_wall_us());
	c = change_new(e, "ping", data, NULL);
	if (c != NULL) {
		c->to = TO_ALL;
		put(e, c);
	}
	DL_FOREACH2(e->listeners, l, following)
	look_again(e, l);
	e->ping_at = loop_now_ms() + PING_MS;
}

static void begin_round(struct api_events *e)
{
	e->round_at = loop_now_ms();
	if (e->round_at >= e->ping_at)
		ping(e);
	look_at_moves(e);
	tell_calls(e);
	tell_queues(e);
	e->armed = SLICES;
	e->then = ENOUGH;
	e->left = e->nlisteners;
}

/* Steps over what this listener is not told of. */
static bool has_news(const struct api_events *e, struct listener *l)
{
	if (l->snapshot != NULL || l->state != LISTENING || l->next < e->first)
		return true;
	while (l->sent == 0 && l->next <= e->seq &&
		!is_told(e->api, &l->viewer, e->ring[l->next % e->size]))
		l->next++;
	return l->next <= e->seq;
}

/* Those who were woken stand behind the others. */
static void wake_slice(struct api_events *e)
{
	for (unsigned i = 0; i < SLICE && e->left > 0 && e->listeners != NULL; i++, e->left--) {
		struct listener *l = e->listeners;

		DL_DELETE2(e->listeners, l, prev, following);
		DL_APPEND2(e->listeners, l, prev, following);
		if (l->state == CUT || (l->snapshot == NULL && l->next < e->first))
			http_cut(l->q->http);
		else if (has_news(e, l))
			http_stream_wake(l->q->http);
	}
}

static void go_round(struct api_events *e)
{
	wake_slice(e);
	if (e->left == 0)
		e->armed = e->then == AGAIN ? ROUND : IDLE;
	arm(e);
}

static void on_timer(void *arg, int events)
{
	struct api_events *e = arg;

	loop_timer_ack(e->timer);
	if (e->armed == SLICES)
		return; /* the bell goes on, and sets it again */
	begin_round(e);
	go_round(e);
}

static void on_bell(void *arg, int events)
{
	struct api_events *e = arg;

	loop_bell_ack(e->bell);
	if (e->armed == ROUND && until_round(e) == 0)
		begin_round(e);
	if (e->armed == SLICES)
		go_round(e);
}

/* ---- create and destroy ---------------------------------------------------------------------- */

struct api_events *api_events_create(struct api *a, unsigned size)
{
	struct api_events *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->api = a;
	e->size = size;
	e->ring = calloc(size, sizeof(struct change *));
	e->seq = 1;
	e->first = 2;
	snprintf(e->boot, sizeof(e->boot), "%llx", (unsigned long long)loop_wall_us());
	e->timer = loop_timer_open();
	e->bell = loop_bell_open();
	if (e->timer >= 0 && e->bell >= 0 && e->ring != NULL) {
		e->watch = loop_watch(a->parts.loop, e->timer, LOOP_IN, on_timer, e);
		e->bell_watch = loop_watch(a->parts.loop, e->bell, LOOP_IN, on_bell, e);
	}
	if (e->watch != NULL && e->bell_watch != NULL)
		return e;
	api_events_destroy(e);
	return NULL;
}

void api_events_destroy(struct api_events *e)
{
	if (e == NULL)
		return;
	drop_all(e);
	drop_past(e, INT64_MAX);
	free(e->ring);
	free(e->shared);
	free(e->later);
	blob_drop(&e->all[0]);
	blob_drop(&e->all[1]);
	loop_unwatch(e->watch);
	loop_unwatch(e->bell_watch);
	if (e->timer >= 0)
		close(e->timer);
	if (e->bell >= 0)
		close(e->bell);
	free(e);
}
