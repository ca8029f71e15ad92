/* What runs came by, one number a line. */
#include <inttypes.h>

#include "sim.h"

void sim_coverage_add(struct sim_coverage *sum, const struct sim_coverage *more)
{
#define X(name) sum->name += more->name;
    SIM_COUNTERS(X)
#undef X
}

void sim_coverage_print(const struct sim_coverage *coverage)
{
#define X(name) printf("%-22s %" PRIu64 "\n", #name, coverage->name);
    SIM_COUNTERS(X)
#undef X
}

uint32_t sim_coverage_zeros(const struct sim_coverage *coverage)
{
    uint32_t zeros = 0;
#define X(name)                                                                                    \
    if (coverage->name == 0) {                                                                     \
        printf("FAILED: no run came by this: %s\n", #name);                                        \
        zeros++;                                                                                   \
    }
    SIM_COUNTERS(X)
#undef X
    return zeros;
}
