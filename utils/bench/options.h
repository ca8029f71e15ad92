/* The benchmark's command line.  --service, --cluster, --keys, --threads, --requests and
 * --put-percentage mean what they mean in vard's own benchmark (verdi-raft, bench.py), with its
 * defaults; --requests counts all threads together, as there. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench/service.h"

enum target { TARGET_LEADER, TARGET_FOLLOWER, TARGET_ALL };

struct options {
    const struct service *service;
    struct node_address nodes[NODES_MAX];
    uint32_t nodes_count;
    const char *password; /* NULL: none */
    enum target target;
    uint64_t keys;
    uint64_t requests;
    double seconds; /* 0: count requests instead */
    double rate;    /* requests per second; 0: as many as are answered */
    uint32_t threads;
    uint32_t connections; /* per thread */
    uint32_t pipeline;
    uint32_t put_percentage;
    uint32_t value_size;
    uint64_t seed;
    pid_t pids[NODES_MAX];
    uint32_t pids_count; /* 0: find them */
    bool is_preloaded;   /* write every key before the measurement */
    bool keeps_going;
    bool is_json;
};

/* Exits with 64 and an explanation when something is wrong. */
void options_parse(struct options *options, int argc, char **argv);

#endif
