/* order: see order.h. */
#include "core/order.h"

static int compare(const struct order_node *a, const struct order_node *b)
{
	for (unsigned i = 0; i < ORDER_KEYS; i++)
		if (a->key[i] != b->key[i])
			return a->key[i] < b->key[i] ? -1 : 1;
	return 0;
}

static uint32_t size_of(const struct order_node *n)
{
	return n ? n->size : 0;
}

static void measure(struct order_node *n)
{
	n->size = 1 + size_of(n->left) + size_of(n->right);
}

/* xorshift32: the shape of the tree depends on it, what is found does not. */
static uint32_t roll(struct order *o)
{
	uint32_t x = o->dice ? o->dice : 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return o->dice = x;
}

/* Parts the tree t into what comes before n and what comes after it. */
static void split(struct order_node *t, const struct order_node *n, struct order_node **before,
	struct order_node **after)
{
	if (t == NULL) {
		*before = *after = NULL;
	} else if (compare(t, n) < 0) {
		split(t->right, n, &t->right, after);
		*before = t;
		measure(t);
	} else {
		split(t->left, n, before, &t->left);
		*after = t;
		measure(t);
	}
}

/* All of a come before all of b. */
static struct order_node *merge(struct order_node *a, struct order_node *b)
{
	if (a == NULL || b == NULL)
		return a ? a : b;
	if (a->heap >= b->heap) {
		a->right = merge(a->right, b);
		measure(a);
		return a;
	}
	b->left = merge(a, b->left);
	measure(b);
	return b;
}

void order_insert(struct order *o, struct order_node *n)
{
	struct order_node **p = &o->root;

	n->heap = roll(o);
	while (*p && (*p)->heap >= n->heap) {
		(*p)->size++;
		p = compare(n, *p) < 0 ? &(*p)->left : &(*p)->right;
	}
	split(*p, n, &n->left, &n->right);
	measure(n);
	*p = n;
}

void order_remove(struct order *o, struct order_node *n)
{
	struct order_node **p = &o->root;

	if (!order_has(n))
		return;
	while (*p != n) {
		(*p)->size--;
		p = compare(n, *p) < 0 ? &(*p)->left : &(*p)->right;
	}
	*p = merge(n->left, n->right);
	n->left = n->right = NULL;
	n->size = 0;
}

struct order_node *order_first(const struct order *o)
{
	struct order_node *n = o->root;

	while (n && n->left)
		n = n->left;
	return n;
}

struct order_node *order_next(const struct order *o, const struct order_node *n)
{
	struct order_node *t = o->root, *best = NULL;

	while (t) {
		if (compare(n, t) < 0) {
			best = t;
			t = t->left;
		} else {
			t = t->right;
		}
	}
	return best;
}

unsigned order_place(const struct order *o, const struct order_node *n)
{
	const struct order_node *t = o->root;
	unsigned place = 0;

	while (t != n) {
		if (compare(n, t) < 0) {
			t = t->left;
		} else {
			place += size_of(t->left) + 1;
			t = t->right;
		}
	}
	return place + size_of(n->left);
}

struct order_node *order_at(const struct order *o, unsigned place)
{
	struct order_node *t = o->root;

	while (t && place != size_of(t->left)) {
		if (place < size_of(t->left)) {
			t = t->left;
		} else {
			place -= size_of(t->left) + 1;
			t = t->right;
		}
	}
	return t;
}
