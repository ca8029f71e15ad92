/* Latencies, counted in buckets whose width grows with the value (the idea of HdrHistogram, which
 * Debian packages for other languages only): 64 buckets for every power of two, so that a
 * percentile is at most 1.6 % above the true value, whatever its size, in 30 KB.  The maximum and
 * the mean are exact.
 *
 * Not shared: each load thread fills its own, the main thread adds them up after joining it. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 64, HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * 59 };

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns;
};

void histogram_add(struct histogram *histogram, uint64_t value_ns);
void histogram_merge(struct histogram *histogram, const struct histogram *other);
/* The smallest value that `percent` (0..100) of all values do not exceed; 0 when empty. */
uint64_t histogram_percentile_ns(const struct histogram *histogram, double percent);
double histogram_mean_ns(const struct histogram *histogram);

#endif
