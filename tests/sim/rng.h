/* rng: the simulator's dice; splitmix64, so that a seed means the same world everywhere. */
#ifndef SEGUE_SIM_RNG_H
#define SEGUE_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 .. n-1 */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

/* from .. to */
static inline int64_t rng_range(struct rng *r, int64_t from, int64_t to)
{
	return from + (int64_t)rng_below(r, (uint32_t)(to - from + 1));
}

/* true with a chance of `percent` in 100 */
static inline bool rng_chance(struct rng *r, unsigned percent)
{
	return rng_below(r, 100) < percent;
}

#endif
