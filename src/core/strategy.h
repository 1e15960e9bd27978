/*
 * strategy: in which order are free agents asked? Pure functions of what is known about a member of
 * a queue: each strategy gives him a rank, four numbers compared from the left, and the lowest rank
 * is asked first. So the free agents of a queue are an ordered set, and a choice costs O(log n).
 */
#ifndef SEGUE_CORE_STRATEGY_H
#define SEGUE_CORE_STRATEGY_H

#include "core/event.h"
#include "core/order.h"

/* What a strategy may weigh. */
struct candidate {
	uint32_t no;	/* unique in the queue: decides between equals */
	uint32_t level; /* of the member; lower ones are asked first */
	uint32_t order, weight;
	uint32_t deficit;   /* strategy_deficit() */
	uint32_t skill;	    /* sum of the levels that he has of what the queue needs */
	int64_t idle_since; /* monotonic ms */
	int64_t offered_at; /* last offer of this queue, 0: none yet */
	uint64_t answered;  /* callers */
	int64_t talk_ms;    /* with them */
};

/* Levels that an agent lacks are asked for no longer once the caller has waited. */
#define DEFICIT_NEVER UINT32_MAX

/* How many times what is asked has to be lowered until an agent will do: 0 if he has all that is
 * needed, DEFICIT_NEVER if he has less than a floor. has[i] is his level of need[i], 0 for none. */
uint32_t strategy_deficit(const struct ev_dir_need *need, const uint32_t *has, unsigned n);

/* How many times that has been done for a caller who has waited so long. */
uint32_t strategy_steps(int64_t waited_ms, uint32_t widen_ms);

/* Writes the rank of m. For `random` rnd is the lot that he draws, and *drum the state of the
 * queue's lottery: the lot that was drawn last (strategy_drawn()), so that the chances of those who
 * wait and of those who join later are in proportion to their weights. */
void strategy_rank(enum strategy s, const struct candidate *m, uint64_t rnd, int64_t drum,
	int64_t rank[ORDER_KEYS]);
int64_t strategy_drawn(enum strategy s, const int64_t rank[ORDER_KEYS], int64_t drum);

/* Does this rank admit a caller for whom what is asked was lowered so many times? If the first does
 * not, nobody behind him does. */
bool strategy_admits(const int64_t rank[ORDER_KEYS], uint32_t steps);

/* Are both asked at the same time, when all are asked at once? */
bool strategy_same_level(const int64_t a[ORDER_KEYS], const int64_t b[ORDER_KEYS]);

/* Is everybody asked at once; and is one more asked whenever an offer has rung its time? */
bool strategy_asks_all(enum strategy s);
bool strategy_asks_more(enum strategy s);

#endif
