/* See histogram.h. */
#include "server/histogram.h"

static uint32_t bucket_of(uint64_t value)
{
    const uint64_t largest = ((uint64_t)1 << (HISTOGRAM_POWERS + 5)) - 1;
    if (value > largest)
        value = largest;
    if (value < HISTOGRAM_STEPS)
        return (uint32_t)value;
    uint32_t power = 63 - (uint32_t)__builtin_clzll(value); /* of two, from 6 on */
    return (power - 5) * HISTOGRAM_STEPS + (uint32_t)(value >> (power - 6)) - HISTOGRAM_STEPS;
}

static uint64_t upper_end(uint32_t bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
    return (((uint64_t)(bucket % HISTOGRAM_STEPS) + HISTOGRAM_STEPS + 1) << shift) - 1;
}

void server_histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->total++;
    histogram->counts[bucket_of(value)]++;
}

uint64_t server_histogram_percentile(const struct histogram *histogram, double percent)
{
    uint64_t wanted = (uint64_t)(percent / 100 * (double)histogram->total + 0.5);
    uint64_t below = 0;
    if (wanted == 0)
        wanted = 1;
    for (uint32_t i = 0; i < HISTOGRAM_POWERS * HISTOGRAM_STEPS; i++) {
        below += histogram->counts[i];
        if (below >= wanted)
            return upper_end(i);
    }
    return 0;
}

uint64_t server_histogram_upto(const struct histogram *histogram, uint64_t value)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i <= bucket_of(value); i++)
        count += histogram->counts[i];
    return count;
}
