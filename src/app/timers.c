/* timers: see timers.h. A binary heap of pointers; each timer knows its place in it. */
#include "app/timers.h"

#include <errno.h>
#include <stdlib.h>

#include <uthash.h>

struct key {
	uint64_t id;
	uint64_t kind;
};

struct timer {
	struct key key;
	int64_t at;
	uint32_t serial;
	unsigned place;
	UT_hash_handle hh;
};

struct timers {
	struct timer *by_key;
	struct timer **heap;
	unsigned n, cap;
};

struct timers *timers_create(void)
{
	return calloc(1, sizeof(struct timers));
}

void timers_destroy(struct timers *t)
{
	struct timer *x, *next;

	if (t == NULL)
		return;
	HASH_ITER(hh, t->by_key, x, next)
	{
		HASH_DEL(t->by_key, x);
		free(x);
	}
	free(t->heap);
	free(t);
}

static void put(struct timers *t, struct timer *x, unsigned place)
{
	t->heap[place] = x;
	x->place = place;
}

static void sift_up(struct timers *t, struct timer *x)
{
	unsigned i = x->place;

	while (i > 0 && t->heap[(i - 1) / 2]->at > x->at) {
		put(t, t->heap[(i - 1) / 2], i);
		i = (i - 1) / 2;
	}
	put(t, x, i);
}

static void sift_down(struct timers *t, struct timer *x)
{
	unsigned i = x->place;

	for (;;) {
		unsigned child = 2 * i + 1;

		if (child + 1 < t->n && t->heap[child + 1]->at < t->heap[child]->at)
			child++;
		if (child >= t->n || t->heap[child]->at >= x->at)
			break;
		put(t, t->heap[child], i);
		i = child;
	}
	put(t, x, i);
}

static void settle(struct timers *t, struct timer *x)
{
	sift_up(t, x);
	sift_down(t, x);
}

static int grow(struct timers *t)
{
	unsigned cap = t->cap ? t->cap * 2 : 64;
	struct timer **heap = realloc(t->heap, cap * sizeof(heap[0]));

	if (heap == NULL)
		return ENOMEM;
	t->heap = heap;
	t->cap = cap;
	return 0;
}

static struct timer *find(const struct timers *t, uint64_t id, enum timer_kind kind)
{
	struct key key = {id, kind};
	struct timer *x;

	HASH_FIND(hh, t->by_key, &key, sizeof(key), x);
	return x;
}

static struct timer *add(struct timers *t, uint64_t id, enum timer_kind kind)
{
	struct timer *x;

	if (t->n == t->cap && grow(t))
		return NULL;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return NULL;
	x->key = (struct key){id, kind};
	HASH_ADD(hh, t->by_key, key, sizeof(x->key), x);
	put(t, x, t->n++);
	return x;
}

static void take_out(struct timers *t, struct timer *x)
{
	struct timer *last = t->heap[--t->n];

	if (last != x) {
		put(t, last, x->place);
		settle(t, last);
	}
	HASH_DEL(t->by_key, x);
	free(x);
}

int timers_set(struct timers *t, uint64_t id, enum timer_kind kind, uint32_t serial, int64_t at)
{
	struct timer *x = find(t, id, kind);

	if (x == NULL)
		x = add(t, id, kind);
	if (x == NULL)
		return ENOMEM;
	x->serial = serial;
	x->at = at;
	settle(t, x);
	return 0;
}

void timers_stop(struct timers *t, uint64_t id, enum timer_kind kind)
{
	struct timer *x = find(t, id, kind);

	if (x != NULL)
		take_out(t, x);
}

int64_t timers_next(const struct timers *t)
{
	return t->n ? t->heap[0]->at : -1;
}

unsigned timers_count(const struct timers *t)
{
	return t->n;
}

bool timers_pop(struct timers *t, int64_t now, uint64_t *id, struct ev_timer *out)
{
	struct timer *x = t->n ? t->heap[0] : NULL;

	if (x == NULL || x->at > now)
		return false;
	*id = x->key.id;
	out->kind = (enum timer_kind)x->key.kind;
	out->serial = x->serial;
	take_out(t, x);
	return true;
}
