/* How many rows RocksDB passed over for scans of this thread: deletes, what they hide, what came
 * after a snapshot; and each that it gave, once more. */
#ifndef TEST_PASSED_H
#define TEST_PASSED_H

#include <rocksdb/c.h>
#include <stdint.h>

static inline void passed_begin(void)
{
    enum { COUNTS = 2 };
    rocksdb_perfcontext_t *counts = rocksdb_perfcontext_create();
    rocksdb_set_perf_level(COUNTS);
    rocksdb_perfcontext_reset(counts);
    rocksdb_perfcontext_destroy(counts);
}

static inline uint64_t passed_rows(void)
{
    rocksdb_perfcontext_t *counts = rocksdb_perfcontext_create();
    uint64_t rows = rocksdb_perfcontext_metric(counts, rocksdb_internal_key_skipped_count) +
                    rocksdb_perfcontext_metric(counts, rocksdb_internal_delete_skipped_count) +
                    rocksdb_perfcontext_metric(counts, rocksdb_internal_recent_skipped_count);
    rocksdb_perfcontext_destroy(counts);
    return rows;
}

#endif
