/* How large the first level of the data is, below level 0: the choice, and that RocksDB hears of
 * it. */
#include "test_storage.h"

#include <dlfcn.h>

#include "base/memory.h"
#include "storage/level_size.h"

struct fixture {
    char *directory;
    struct kv *kv;
};

static int setup(void **state)
{
    struct fixture *fixture = memory_new(sizeof *fixture);
    fixture->directory = temporary_new();
    fixture->kv = open_rocksdb(fixture->directory);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fixture->kv->ops->close(fixture->kv);
    temporary_remove(fixture->directory);
    memory_free(fixture);
    return 0;
}

static void reopen(void **state)
{
    struct fixture *fixture = *state;
    fixture->kv->ops->close(fixture->kv);
    fixture->kv = open_rocksdb(fixture->directory);
}

static struct kv *kv_of(void **state)
{
    return ((struct fixture *)*state)->kv;
}

static struct bytes text(const char *string)
{
    return bytes_of(string, strlen(string));
}

static void assert_value(struct kv *kv, const char *key, const char *expected)
{
    struct buffer value = {0};
    assert_true(kv->ops->get(kv, KV_DATA, text(key), &value));
    assert_true(bytes_equal(buffer_bytes(&value), text(expected)));
    buffer_deinit(&value);
}

/* From a to z, so that any two overlap. */
static void run_of(struct kv *kv, const char *value)
{
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    kv->ops->bulk_put(bulk, text("a"), text(value));
    kv->ops->bulk_put(bulk, text("z"), text(value));
    kv->ops->bulk_commit(bulk);
}

/* It is as large as the runs that come into it at a time, within bounds, and is said anew where it
 * is wrong by more than a quarter. */
static void test_level_size(void **state)
{
    const uint64_t mb = 1 << 20;
    struct level_size size;
    (void)state;
    assert_int_equal(kv_level_size_begin(&size, 0), LEVEL_SIZE_LEAST);
    for (int i = 0; i < 100; i++) /* runs that are small */
        assert_int_equal(kv_level_size_after(&size, i), LEVEL_SIZE_LEAST);
    for (int i = 0; i < LEVEL_SIZE_RUNS; i++)
        kv_level_size_after(&size, 100 * mb);
    assert_int_equal(size.target, 800 * mb);
    for (int i = 0; i < LEVEL_SIZE_RUNS; i++)
        assert_int_equal(kv_level_size_after(&size, 80 * mb), 800 * mb);
    for (int i = 0; i < LEVEL_SIZE_RUNS; i++)
        assert_int_equal(kv_level_size_after(&size, 120 * mb), 800 * mb);
    kv_level_size_after(&size, 161 * mb);
    assert_int_equal(size.target, 1001 * mb);
    for (int i = 0; i < LEVEL_SIZE_RUNS; i++)
        kv_level_size_after(&size, UINT64_MAX);
    assert_int_equal(size.target, LEVEL_SIZE_MOST);
    for (int i = 0; i < LEVEL_SIZE_RUNS; i++)
        kv_level_size_after(&size, 1 * mb);
    assert_int_equal(size.target, LEVEL_SIZE_LEAST);
}

/* What a level has at a start is kept until eight runs have come. */
static void test_level_size_of_before(void **state)
{
    const uint64_t mb = 1 << 20;
    struct level_size size;
    (void)state;
    assert_int_equal(kv_level_size_begin(&size, 1600 * mb), 1600 * mb);
    assert_int_equal(kv_level_size_after(&size, 150 * mb), 1600 * mb);
    kv_level_size_after(&size, 0);
    kv_level_size_after(&size, 0);
    kv_level_size_after(&size, 0);
    assert_int_equal(size.target, 1150 * mb);
    assert_int_equal(kv_level_size_begin(&size, UINT64_MAX), LEVEL_SIZE_MOST);
}

static uint64_t told_level_size; /* to RocksDB; 0: nothing */
static uint64_t seeming_bytes;   /* of a sorted file, instead of what it has */

/* In place of RocksDB's. */
void rocksdb_set_options_cf(void *db, void *family, int count, const char *const keys[],
                            const char *const values[], char **error);
void rocksdb_set_options_cf(void *db, void *family, int count, const char *const keys[],
                            const char *const values[], char **error)
{
    void (*real)(void *, void *, int, const char *const[], const char *const[], char **);
    *(void **)&real = dlsym(RTLD_NEXT, "rocksdb_set_options_cf");
    assert_int_equal(count, 1);
    assert_string_equal(keys[0], "max_bytes_for_level_base");
    told_level_size = strtoull(values[0], NULL, 10);
    real(db, family, count, keys, values, error);
}

void rocksdb_sstfilewriter_file_size(void *writer, uint64_t *bytes);
void rocksdb_sstfilewriter_file_size(void *writer, uint64_t *bytes)
{
    void (*real)(void *, uint64_t *);
    *(void **)&real = dlsym(RTLD_NEXT, "rocksdb_sstfilewriter_file_size");
    real(writer, bytes);
    if (seeming_bytes)
        *bytes = seeming_bytes;
}

static uint64_t seeming_table_bytes; /* of a file that RocksDB has, instead of its size */

uint64_t rocksdb_livefiles_size(const void *files, int index);
uint64_t rocksdb_livefiles_size(const void *files, int index)
{
    uint64_t (*real)(const void *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "rocksdb_livefiles_size");
    return seeming_table_bytes ? seeming_table_bytes : real(files, index);
}

/* RocksDB hears of it; not of what is staged, and anew when that becomes the data. */
static void test_level_size_is_told(void **state)
{
    const uint64_t mb = 1 << 20;
    struct kv *kv = kv_of(state);
    told_level_size = 0;
    run_of(kv, "1");
    assert_int_equal(told_level_size, 0);
    seeming_bytes = 200 * mb;
    kv->ops->stage_clear(kv);
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_STAGE);
    kv->ops->bulk_put(bulk, text("b"), text("staged"));
    kv->ops->bulk_commit(bulk);
    assert_int_equal(told_level_size, 0);
    for (int i = 0; i < LEVEL_SIZE_RUNS; i++)
        run_of(kv, "2");
    assert_in_range(told_level_size, 1200 * mb, 1600 * mb);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_adopt(batch);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    told_level_size = 0;
    for (int i = 0; i < LEVEL_SIZE_RUNS; i++)
        run_of(kv, "3");
    seeming_bytes = 0;
    assert_in_range(told_level_size, 1200 * mb, 1600 * mb);
    assert_value(kv, "b", "staged");
    assert_value(kv, "z", "3");
}

/* Of the first level alone: what waits to be merged is none. */
static void test_level_size_is_kept_at_a_start(void **state)
{
    const uint64_t mb = 1 << 20;
    for (int i = 0; i < 3; i++)
        run_of(kv_of(state), "1");
    told_level_size = 0;
    seeming_table_bytes = 700 * mb;
    reopen(state);
    seeming_table_bytes = 0;
    assert_int_equal(told_level_size, 700 * mb);
    assert_value(kv_of(state), "a", "1");
}

/* Runs of the same names: none but the first finds a level of its own, where each look would ask
 * it. */
static void test_runs_share_levels(void **state)
{
    enum { DEEPEST = 6 };
    struct kv *kv = kv_of(state);
    for (int i = 0; i < LEVEL_SIZE_RUNS - 1; i++)
        run_of(kv, "1");
    assert_int_equal(kv->ops->property(kv, KV_DATA, "rocksdb.base-level"), DEEPEST);
}

#define ROCKSDB(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_level_size), cmocka_unit_test(test_level_size_of_before),
        ROCKSDB(test_level_size_is_told),  ROCKSDB(test_level_size_is_kept_at_a_start),
        ROCKSDB(test_runs_share_levels),
    };
    return cmocka_run_group_tests_name("level_size", tests, NULL, NULL);
}
