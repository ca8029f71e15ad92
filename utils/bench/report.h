/* What a run found out, as text for people and as JSON for utils/bench/run. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>

#include "bench/load.h"
#include "bench/options.h"

struct report {
    const struct options *options;
    const struct load_result *result;
    struct node_address leader;
    bool has_servers_cpu; /* false: their processes are not on this machine, or not to be found */
    double servers_cpu_seconds;
    double client_cpu_seconds;
};

void report_print(const struct report *report);

#endif
