/* Latency spikes by event, a sample a second at most: what LATENCY shows (Redis 7.2 latency.c).
 * Filled from where there is a clock (server/). */
#ifndef COMMAND_LATENCY_H
#define COMMAND_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { LATENCY_SAMPLES = 160 };

struct latency_sample {
    int64_t at_s; /* Unix time; 0: there is none */
    uint32_t ms;  /* the longest of that second */
};

struct latency_event {
    const char *name; /* static */
    uint32_t next;    /* in samples, where the next comes */
    uint32_t max_ms;  /* of all times */
    struct latency_sample samples[LATENCY_SAMPLES];
};

/* By name, as LATENCY LATEST lists them. */
enum latency_kind {
    LATENCY_COMMAND,      /* "command" */
    LATENCY_FAST_COMMAND, /* "fast-command": one of O(1) or O(log N) */
    LATENCY_KINDS
};

struct latency {
    struct latency_event events[LATENCY_KINDS]; /* one with max_ms 0 was never seen */
};

void command_latency_init(struct latency *latency);
void command_latency_add(struct latency *latency, enum latency_kind kind, int64_t at_s, int64_t ms);
/* NULL: no such event was seen. */
struct latency_event *command_latency_find(struct latency *latency, struct bytes name);
void command_latency_forget(struct latency_event *event);

/* The i-th sample, oldest first; NULL: there is none. */
const struct latency_sample *command_latency_sample(const struct latency_event *event, uint32_t i);

#endif
