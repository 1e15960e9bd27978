/*
 * order: a set that is kept sorted, and in which anybody's place can be asked for. Insert, remove,
 * first, place and at-place take O(log n): a treap whose nodes know the size of their subtree.
 *
 * Nodes are part of what they order (no allocation); a node is in one set at most. Keys are
 * compared number by number; the last number must be unique in the set. A key must not change while
 * its node is in a set.
 */
#ifndef SEGUE_CORE_ORDER_H
#define SEGUE_CORE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORDER_KEYS 4

struct order_node {
	int64_t key[ORDER_KEYS];
	struct order_node *left, *right;
	uint32_t size; /* of the subtree; 0: not in a set */
	uint32_t heap; /* random: a parent's is not smaller than its children's */
};

/* All zero is an empty set. */
struct order {
	struct order_node *root;
	uint32_t dice;
};

#define ORDER_OF(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

void order_insert(struct order *o, struct order_node *n);
/* Of no effect if n is in no set. */
void order_remove(struct order *o, struct order_node *n);

static inline bool order_has(const struct order_node *n)
{
	return n->size != 0;
}

static inline unsigned order_count(const struct order *o)
{
	return o->root ? o->root->size : 0;
}

/* The first of all; NULL if the set is empty. */
struct order_node *order_first(const struct order *o);
/* The one after n, NULL if n is the last. */
struct order_node *order_next(const struct order *o, const struct order_node *n);
/* How many are before n, which is in the set. */
unsigned order_place(const struct order *o, const struct order_node *n);
/* Who has `place` others before it; NULL beyond the end. */
struct order_node *order_at(const struct order *o, unsigned place);

#endif
