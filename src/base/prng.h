/* SplitMix64 (Steele, Lea, Flood 2014): a seed in, the same sequence out, on every machine. */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdint.h>

static inline uint64_t prng_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform enough for timeouts and samples: 0 <= result < bound; bound > 0. */
static inline uint64_t prng_below(uint64_t *state, uint64_t bound)
{
    return prng_next(state) % bound;
}

#endif
