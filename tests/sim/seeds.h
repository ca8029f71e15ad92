/* Runs in processes of their own: many seeds, and smaller runs for one that fails. */
#ifndef TESTS_SIM_SEEDS_H
#define TESTS_SIM_SEEDS_H

#include "sim.h"

enum { SEEDS_JOBS_MAX = 256 };

struct seeds {
    struct sim_options options; /* nodes 0: as the seed says */
    uint64_t from, to;
    uint64_t seconds; /* go on for so long; 0: up to `to` */
    uint32_t jobs;
    bool many, brief, covers, shrink;
    const char *trace; /* of one run; NULL: nobody asked */
};

/* Each returns the exit status. */
int seeds_run_one(const struct seeds *seeds);
int seeds_run(const struct seeds *seeds);
int seeds_shrink(const struct seeds *seeds);

#endif
