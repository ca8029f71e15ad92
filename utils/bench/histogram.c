/* See histogram.h.  Values below 64 have a bucket each; above, the bucket is the exponent and the
 * six bits after the leading one. */
#include "bench/histogram.h"

#include <math.h>

static uint32_t bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (uint32_t)value;
    uint32_t exponent = 63 - (uint32_t)__builtin_clzll(value); /* 6..63 */
    uint32_t step = (uint32_t)(value >> (exponent - 6)) - HISTOGRAM_STEPS;
    return HISTOGRAM_STEPS * (exponent - 5) + step;
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_top(uint32_t bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    uint32_t exponent = bucket / HISTOGRAM_STEPS + 5;
    uint64_t step = bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS;
    return ((step + 1) << (exponent - 6)) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value_ns)
{
    histogram->counts[bucket_of(value_ns)]++;
    histogram->count++;
    histogram->sum_ns += value_ns;
    if (value_ns > histogram->max_ns)
        histogram->max_ns = value_ns;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->counts[i] += other->counts[i];
    histogram->count += other->count;
    histogram->sum_ns += other->sum_ns;
    if (other->max_ns > histogram->max_ns)
        histogram->max_ns = other->max_ns;
}

uint64_t histogram_percentile_ns(const struct histogram *histogram, double percent)
{
    uint64_t wanted = (uint64_t)ceil((double)histogram->count * percent / 100.0);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted && seen > 0) {
            uint64_t top = bucket_top(i);
            return top < histogram->max_ns ? top : histogram->max_ns;
        }
    }
    return 0;
}

double histogram_mean_ns(const struct histogram *histogram)
{
    return histogram->count > 0 ? (double)histogram->sum_ns / (double)histogram->count : 0.0;
}
