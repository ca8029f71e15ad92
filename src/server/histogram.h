/* How often something took how long, in ticks: counts in buckets whose width is a 64th of their
 * value. */
#ifndef SERVER_HISTOGRAM_H
#define SERVER_HISTOGRAM_H

#include <stdint.h>

/* Up to 64 each have a bucket; above, each power of two has 64; at most 2^40 (minutes). */
enum { HISTOGRAM_STEPS = 64, HISTOGRAM_POWERS = 35 };

struct histogram {
    uint64_t total;
    uint32_t counts[HISTOGRAM_POWERS * HISTOGRAM_STEPS];
};

void server_histogram_add(struct histogram *histogram, uint64_t value);
/* The upper end of the bucket below which `percent` of the values are; 0 if there are none. */
uint64_t server_histogram_percentile(const struct histogram *histogram, double percent);
/* How many values are in buckets up to that of `value`, it included. */
uint64_t server_histogram_upto(const struct histogram *histogram, uint64_t value);

#endif
