/* The load: threads, each with an event loop and some connections, in a closed circle: a
 * connection sends a batch of `pipeline` requests, waits for all answers, sends the next.  With a
 * rate the circle is open: each batch has a moment at which it is due, and its latency runs from
 * there, also where it could not be sent yet because the one before was not answered: what a slow
 * answer costs those behind it is counted (no "coordinated omission").
 *
 * load_run() starts the threads, waits for them and adds up what they measured.  Nothing is shared
 * while they run but one atomic counter, from which each batch takes its requests, so that fast
 * connections do more and no thread is left over at the end. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/histogram.h"
#include "bench/service.h"

enum load_kind {
    LOAD_FILL, /* PUT every key once */
    LOAD_MIX   /* random keys, `put_percentage` of them PUT */
};

struct load {
    const struct service *service;
    const struct node_address *nodes; /* connections go to these in turn; borrowed */
    uint32_t nodes_count;
    const char *password; /* NULL: none */
    enum load_kind kind;
    uint64_t keys;
    uint64_t requests; /* how many in all; with `seconds` > 0: no limit */
    double seconds;    /* how long, or 0 */
    double rate;       /* requests per second of all together, or 0: as many as are answered */
    uint32_t threads;
    uint32_t connections; /* per thread */
    uint32_t pipeline;
    uint32_t put_percentage;
    uint32_t value_size;
    uint64_t seed;
    bool keeps_going; /* lost connections are made anew, to the next node, and counted */
};

enum { LOAD_ERROR_SIZE = 320 };

struct load_result {
    double seconds;
    struct histogram puts, gets; /* answered without error */
    uint64_t misses;             /* GETs that found nothing; in `gets` too */
    uint64_t errors;             /* error replies */
    uint64_t lost;               /* requests without an answer */
    uint64_t reconnects;
    uint64_t unsent;                   /* with a rate: were due, and the time was over before */
    char first_error[LOAD_ERROR_SIZE]; /* "" if there was none */
    bool is_complete;                  /* false: ended early because of first_error */
};

void load_run(const struct load *load, struct load_result *result);

#endif
