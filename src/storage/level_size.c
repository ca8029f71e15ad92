#include "storage/level_size.h"

static uint64_t within_bounds(uint64_t bytes)
{
    if (bytes < LEVEL_SIZE_LEAST)
        return LEVEL_SIZE_LEAST;
    return bytes < LEVEL_SIZE_MOST ? bytes : LEVEL_SIZE_MOST;
}

static uint64_t runs_together(const struct level_size *size)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < LEVEL_SIZE_RUNS; i++)
        bytes += size->runs[i];
    return bytes;
}

uint64_t kv_level_size_begin(struct level_size *size, uint64_t level_bytes)
{
    size->next = 0;
    size->target = within_bounds(level_bytes);
    for (unsigned i = 0; i < LEVEL_SIZE_RUNS; i++)
        size->runs[i] = size->target / LEVEL_SIZE_RUNS;
    return size->target;
}

uint64_t kv_level_size_after(struct level_size *size, uint64_t run_bytes)
{
    size->runs[size->next] = within_bounds(run_bytes) < run_bytes ? LEVEL_SIZE_MOST : run_bytes;
    size->next = (size->next + 1) % LEVEL_SIZE_RUNS;
    uint64_t wanted = within_bounds(runs_together(size));
    if (wanted < size->target - size->target / 4 || wanted > size->target + size->target / 4)
        size->target = wanted;
    return size->target;
}
