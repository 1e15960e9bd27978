/* strategy: see strategy.h. */
#include "core/strategy.h"

/* What is missed comes before all else, so that a widening opens the ordered set from its start. */
#define LEVEL_MAX		 0x7fffffffu
#define RANK_FIT(deficit, level) ((int64_t)((uint64_t)(deficit) << 31 | ((level)&LEVEL_MAX)))
#define FIT_DEFICIT(rank)	 ((uint32_t)((uint64_t)(rank) >> 31))

uint32_t strategy_deficit(const struct ev_dir_need *need, const uint32_t *has, unsigned n)
{
	uint32_t deficit = 0;

	for (unsigned i = 0; i < n; i++) {
		if (has[i] >= need[i].level)
			continue;
		if (has[i] < need[i].floor)
			return DEFICIT_NEVER;
		if (need[i].level - has[i] > deficit)
			deficit = need[i].level - has[i];
	}
	return deficit;
}

uint32_t strategy_steps(int64_t waited_ms, uint32_t widen_ms)
{
	int64_t steps = widen_ms && waited_ms > 0 ? waited_ms / widen_ms : 0;

	return steps < DEFICIT_NEVER - 1 ? (uint32_t)steps : DEFICIT_NEVER - 1;
}

#define LOT_BITS 24

/* -log2(r / 2^64) in units of 2^-24: an exponentially distributed number from an even one. */
static int64_t exponential(uint64_t r)
{
	unsigned whole = 0;
	int64_t part = 0;

	r |= 1;
	while (!(r >> 63)) {
		r <<= 1;
		whole++;
	}
	for (unsigned i = 0; i < LOT_BITS; i++) { /* log2 of the mantissa, bit by bit */
		uint64_t m = r >> 32;
		uint64_t square = m * m;

		part <<= 1;
		if (square >> 63) {
			part |= 1;
			r = square;
		} else {
			r = square << 1;
		}
	}
	return ((int64_t)(whole + 1) << LOT_BITS) - part;
}

/* Lots run a race: with rates in proportion to the weights, who comes first is in proportion, too;
 * and since the race has no memory, whoever joins later starts where the last winner arrived. */
static int64_t lot(const struct candidate *m, uint64_t rnd, int64_t drum)
{
	return drum + (exponential(rnd) << 8) / (m->weight ? m->weight : 1);
}

void strategy_rank(enum strategy s, const struct candidate *m, uint64_t rnd, int64_t drum,
	int64_t rank[ORDER_KEYS])
{
	rank[0] = RANK_FIT(m->deficit, m->level);
	rank[1] = m->idle_since;
	rank[2] = m->order;
	rank[3] = m->no;
	switch (s) {
	case STRATEGY_ROUND_ROBIN:
		rank[1] = m->offered_at;
		break;
	case STRATEGY_FEWEST_CALLS:
		rank[1] = (int64_t)m->answered;
		rank[2] = m->idle_since;
		break;
	case STRATEGY_LEAST_TALK:
		rank[1] = m->talk_ms;
		rank[2] = m->idle_since;
		break;
	case STRATEGY_LINEAR:
		rank[1] = m->order;
		rank[2] = 0;
		break;
	case STRATEGY_RANDOM:
		rank[1] = lot(m, rnd, drum);
		break;
	case STRATEGY_SKILLS:
		rank[1] = -(int64_t)m->skill;
		rank[2] = m->idle_since;
		break;
	default:
		break;
	}
}

int64_t strategy_drawn(enum strategy s, const int64_t rank[ORDER_KEYS], int64_t drum)
{
	return s == STRATEGY_RANDOM && rank[1] > drum ? rank[1] : drum;
}

bool strategy_admits(const int64_t rank[ORDER_KEYS], uint32_t steps)
{
	return FIT_DEFICIT(rank[0]) <= steps;
}

bool strategy_same_level(const int64_t a[ORDER_KEYS], const int64_t b[ORDER_KEYS])
{
	return a[0] == b[0];
}

bool strategy_asks_all(enum strategy s)
{
	return s == STRATEGY_RING_ALL;
}

bool strategy_asks_more(enum strategy s)
{
	return s == STRATEGY_PROGRESSIVE;
}
