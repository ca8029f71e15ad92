/* bench-data: what a SET costs in src/data alone, without network and consensus.
 *
 *     build/bench-data DIRECTORY NAMES PUTS [CACHE_MB]
 *
 * Writes NAMES keys of 200 bytes one after the other, then PUTS keys drawn from the first 100,000
 * of them, then PUTS drawn from all, and prints microseconds a put for each: on the clock, of the
 * thread that applies, and of all threads of the process (checkpoints, compaction).  DIRECTORY is
 * made, and must not be there.  One put is one entry, as in the server. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "data/db.h"

enum { VALUE_SIZE = 200, HOT_NAMES = 100000, CHECKPOINT_BYTES = 64 << 20 };

struct bench {
    struct db *db;
    uint64_t index;
    uint64_t dice;
};

static void wake(void *context)
{
    (void)context; /* the loop below asks by itself */
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void put(struct bench *bench, uint64_t name)
{
    char key[32], value[VALUE_SIZE];
    int size = snprintf(key, sizeof key, "key:%012llu", (unsigned long long)name);
    for (size_t i = 0; i < sizeof value; i += sizeof name) {
        uint64_t noise = prng_next(&bench->dice); /* nothing to compress */
        memcpy(value + i, &noise, sizeof noise);
    }
#ifndef BENCH_OLD
    db_begin(bench->db, 1);
    db_put(bench->db, 0, bytes_of(key, (size_t)size), DB_STRING, bytes_of(value, sizeof value), 0);
#else /* the interface of before, to compare: -DBENCH_OLD, with the libraries of then */
    db_put(bench->db, bytes_of(key, (size_t)size), DB_STRING, bytes_of(value, sizeof value));
#endif
    bench->index++;
    db_applied(bench->db, bench->index, 1, 1);
    if (bench->index % 100 == 0)
        db_poll(bench->db);
    while (!db_ready(bench->db)) {
        struct timespec pause = {.tv_nsec = 1000000};
        nanosleep(&pause, NULL);
        db_poll(bench->db);
    }
}

/* names 0: in order; else drawn from so many. */
static void phase(struct bench *bench, const char *what, uint64_t puts, uint64_t names)
{
    double clock = seconds(CLOCK_MONOTONIC), loop = seconds(CLOCK_THREAD_CPUTIME_ID),
           all = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < puts; i++)
        put(bench, names ? prng_below(&bench->dice, names) : i);
    double each = 1e6 / (double)(puts ? puts : 1);
    printf("%-24s %9.0f puts/s  us a put: %6.2f clock %6.2f loop %6.2f all threads\n", what,
           (double)puts / (seconds(CLOCK_MONOTONIC) - clock),
           (seconds(CLOCK_MONOTONIC) - clock) * each,
           (seconds(CLOCK_THREAD_CPUTIME_ID) - loop) * each,
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - all) * each);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: bench-data DIRECTORY NAMES PUTS [CACHE_MB]\n");
        return 1;
    }
    uint64_t names = strtoull(argv[2], NULL, 10), puts = strtoull(argv[3], NULL, 10);
    uint64_t cache = argc > 4 ? strtoull(argv[4], NULL, 10) : 256;
    const struct kv_options kv_options = {
        .cache_bytes = cache << 20, .log_memtable_bytes = 64 << 20, .wal_bytes_max = 256 << 20};
    char error[512];
    struct kv *kv = kv_rocksdb_open(argv[1], &kv_options, error, sizeof error);
    if (!kv) {
        fprintf(stderr, "bench-data: %s\n", error);
        return 1;
    }
    struct db_options options = {.checkpoint_bytes = CHECKPOINT_BYTES, .wake = wake};
    struct bench bench = {.db = db_open(kv, &options), .dice = 1};
    phase(&bench, "new names, in order", names, 0);
    phase(&bench, "100,000 names", puts, HOT_NAMES);
    phase(&bench, "all names", puts, names);
    db_close(bench.db);
    kv->ops->close(kv);
    return 0;
}
