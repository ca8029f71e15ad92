/* Levels of the data: of which kind they are; and how large the first is, below level 0: the
 * choice, and that RocksDB hears of it. */
#include "test_kv.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>

#include "base/memory.h"
#include "storage/level_size.h"

enum { DEEPEST = 6 };

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

static void adopt(struct kv *kv)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_adopt(batch);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
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
static bool telling_fails;
static uint64_t seeming_bytes; /* of a sorted file, instead of what it has */

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
    if (telling_fails)
        *error = strdup("it is said to have failed");
    else
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

static uint64_t seeming_table_bytes; /* of a file that RocksDB has, instead of its size; */
                                     /* of the last level but one, a quarter */
static bool seem_below;              /* files of level 0, instead: in the last level but one, */
static bool seem_last;               /* or in the last, and those of the last in that */

int rocksdb_livefiles_level(const void *files, int index);
int rocksdb_livefiles_level(const void *files, int index)
{
    int (*real)(const void *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "rocksdb_livefiles_level");
    int level = real(files, index);
    if (seem_last)
        return level == 0 ? DEEPEST : level - 1;
    return seem_below && level == 0 ? DEEPEST - 1 : level;
}

uint64_t rocksdb_livefiles_size(const void *files, int index);
uint64_t rocksdb_livefiles_size(const void *files, int index)
{
    uint64_t (*real)(const void *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "rocksdb_livefiles_size");
    if (seeming_table_bytes == 0)
        return real(files, index);
    return seeming_table_bytes / (rocksdb_livefiles_level(files, index) == DEEPEST - 1 ? 4 : 1);
}

static bool makes_fixed; /* as a build of before, whatever is asked for */

void rocksdb_options_set_level_compaction_dynamic_level_bytes(void *options, unsigned char dynamic);
void rocksdb_options_set_level_compaction_dynamic_level_bytes(void *options, unsigned char dynamic)
{
    void (*real)(void *, unsigned char);
    *(void **)&real = dlsym(RTLD_NEXT, "rocksdb_options_set_level_compaction_dynamic_level_bytes");
    real(options, makes_fixed ? 0 : dynamic);
}

static const char *unseen[2]; /* the next look whether files of these names are there fails */

int access(const char *path, int how)
{
    int (*real)(const char *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "access");
    const char *slash = strrchr(path, '/');
    for (unsigned i = 0; i < 2; i++)
        if (unseen[i] && slash && strcmp(slash + 1, unseen[i]) == 0) {
            unseen[i] = NULL;
            errno = EIO;
            return -1;
        }
    return real(path, how);
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
    adopt(kv);
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

static uint64_t told_at_a_start(void **state, bool *seem)
{
    told_level_size = 0;
    seeming_table_bytes = 1600ull << 20;
    *seem = true;
    reopen(state);
    *seem = false;
    seeming_table_bytes = 0;
    return told_level_size;
}

/* All that the first has, and nothing of one below, in whatever order files are named. */
static void test_first_of_two_levels(void **state)
{
    for (int i = 0; i < 3; i++) /* one in the last level, two in level 0 */
        run_of(kv_of(state), "1");
    assert_int_equal(told_at_a_start(state, &seem_below), 800 << 20);
    assert_int_equal(told_at_a_start(state, &seem_last), 400 << 20);
}

/* What was staged and becomes the data has a level of its own size. */
static void test_level_size_begins_with_what_is_adopted(void **state)
{
    const uint64_t mb = 1 << 20;
    struct kv *kv = kv_of(state);
    kv->ops->stage_clear(kv);
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_STAGE);
    kv->ops->bulk_put(bulk, text("b"), text("staged"));
    kv->ops->bulk_commit(bulk);
    told_level_size = 0;
    seeming_table_bytes = 700 * mb;
    adopt(kv);
    seeming_table_bytes = 0;
    assert_int_equal(told_level_size, 700 * mb);
}

static void tell_in_vain(void *directory)
{
    struct kv *kv = open_rocksdb(directory);
    telling_fails = true;
    seeming_bytes = 200 << 20;
    for (int i = 0; i < LEVEL_SIZE_RUNS; i++)
        run_of(kv, "1");
}

static void test_who_cannot_tell_stops(void **state)
{
    char *directory = temporary_new();
    (void)state;
    assert_fatal(tell_in_vain, directory, "it is said to have failed");
    temporary_remove(directory);
}

/* Runs of the same names: none but the first finds a level of its own, where each look would ask
 * it. */
static void test_runs_share_levels(void **state)
{
    struct kv *kv = kv_of(state);
    for (int i = 0; i < LEVEL_SIZE_RUNS - 1; i++)
        run_of(kv, "1");
    assert_int_equal(kv->ops->property(kv, KV_DATA, "rocksdb.base-level"), DEEPEST);
}

/* ---- the kind of levels --------------------------------------------------------------------- */

/* As RocksDB itself wrote it behind an open or a change of families. */
static bool is_option(void **state, const char *name, const char *value)
{
    static const char family[] = "[CFOptions \"data";
    char path[300], options[40000];
    glob_t found;
    snprintf(path, sizeof path, "%s/OPTIONS-*", ((struct fixture *)*state)->directory);
    assert_int_equal(glob(path, 0, NULL, &found), 0);
    FILE *file = fopen(found.gl_pathv[found.gl_pathc - 1], "r");
    globfree(&found);
    assert_non_null(file);
    options[fread(options, 1, sizeof options - 1, file)] = '\0';
    fclose(file);
    const char *data = strstr(options, family);
    assert_non_null(data);
    assert_null(strstr(data + 1, family));
    const char *said = strstr(data, name);
    assert_non_null(said);
    said += strlen(name);
    return *said == '=' && strncmp(said + 1, value, strlen(value)) == 0 &&
           strcspn(said + 1, "\n") == strlen(value);
}

static bool are_dynamic(void **state)
{
    return is_option(state, "level_compaction_dynamic_level_bytes", "true");
}

/* Nothing that is still to be merged holds up the log, which has the same writers. */
static void test_backlog_holds_nobody_up(void **state)
{
    for (int i = 0; i < 2; i++) {
        assert_true(is_option(state, "soft_pending_compaction_bytes_limit", "0"));
        assert_true(is_option(state, "hard_pending_compaction_bytes_limit", "0"));
        reopen(state);
    }
}

/* Instead of the one that there is, a directory as a build of before makes it. */
static void begin_fixed(void **state)
{
    struct fixture *fixture = *state;
    fixture->kv->ops->close(fixture->kv);
    remove_tree(fixture->directory);
    makes_fixed = true;
    fixture->kv = open_rocksdb(fixture->directory);
    makes_fixed = false;
    assert_false(are_dynamic(state));
}

enum { KEYS = 50 };

static struct bytes key_of(unsigned i, char *buffer)
{
    sprintf(buffer, "m%02u", i);
    return text(buffer);
}

/* What there must be. */
struct rows {
    char values[KEYS][8]; /* "": none */
};

/* One key in three, so that any two overlap; one in five of those is deleted. */
static void put_rows(struct kv *kv, struct rows *rows, unsigned run)
{
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    char key[8];
    for (unsigned i = run % 3; i < KEYS; i += 3) {
        bool is_deleted = (i + run) % 5 == 0;
        sprintf(rows->values[i], is_deleted ? "" : "%u", run);
        if (is_deleted)
            kv->ops->bulk_delete(bulk, key_of(i, key));
        else
            kv->ops->bulk_put(bulk, key_of(i, key), text(rows->values[i]));
    }
    kv->ops->bulk_commit(bulk);
}

static void assert_rows(struct kv *kv, const struct rows *rows)
{
    struct buffer value = {0};
    char key[8];
    for (unsigned i = 0; i < KEYS; i++) {
        struct bytes expected = text(rows->values[i]);
        buffer_clear(&value);
        bool is_there = kv->ops->get(kv, KV_DATA, key_of(i, key), &value);
        assert_int_equal(is_there, expected.size > 0);
        assert_true(!is_there || bytes_equal(buffer_bytes(&value), expected));
    }
    buffer_deinit(&value);
}

/* More than are merged at a time, a range of deletes among them, and all merged by hand. */
static void change_rows(struct kv *kv, struct rows *rows)
{
    char from[8], to[8];
    for (unsigned run = 1; run <= LEVEL_SIZE_RUNS + 4; run++)
        put_rows(kv, rows, run);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_delete_range(batch, KV_DATA, key_of(10, from), key_of(20, to));
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    memset(rows->values[10], 0, 10 * sizeof rows->values[0]);
    assert_rows(kv, rows);
    kv->ops->reclaim(kv, KV_DATA, text("a"), text("z"));
    put_rows(kv, rows, 99);
    assert_rows(kv, rows);
}

static void test_new_directory_is_dynamic(void **state)
{
    struct rows rows = {0};
    assert_true(are_dynamic(state));
    change_rows(kv_of(state), &rows);
    for (int i = 0; i < 2; i++) {
        reopen(state);
        assert_true(are_dynamic(state));
        assert_rows(kv_of(state), &rows);
    }
}

/* Nor is it told of sizes, which are other things there. */
static void test_fixed_directory_stays_fixed(void **state)
{
    struct rows rows = {0};
    begin_fixed(state);
    put_rows(kv_of(state), &rows, 3);
    for (int i = 0; i < 2; i++) {
        told_level_size = 0;
        seeming_table_bytes = seeming_bytes = 200 << 20;
        reopen(state);
        assert_false(are_dynamic(state));
        assert_rows(kv_of(state), &rows);
        change_rows(kv_of(state), &rows);
        seeming_table_bytes = seeming_bytes = 0;
        assert_int_equal(told_level_size, 0);
    }
}

/* A build of before makes fixed levels of dynamic ones; they stay. */
static void test_back_and_forth(void **state)
{
    struct rows rows = {0};
    change_rows(kv_of(state), &rows);
    makes_fixed = true;
    reopen(state);
    makes_fixed = false;
    assert_false(are_dynamic(state));
    change_rows(kv_of(state), &rows);
    reopen(state);
    assert_false(are_dynamic(state));
    assert_rows(kv_of(state), &rows);
}

/* Families that are made anew, one of each name. */
static void test_adopted_is_dynamic(void **state)
{
    begin_fixed(state);
    run_of(kv_of(state), "1");
    for (int i = 0; i < 2; i++) {
        struct rows rows = {0};
        struct kv *kv = kv_of(state);
        kv->ops->stage_clear(kv);
        reopen(state); /* what was staged is gone */
        kv = kv_of(state);
        assert_int_equal(are_dynamic(state), i > 0);
        kv->ops->stage_clear(kv);
        adopt(kv);
        assert_true(are_dynamic(state));
        change_rows(kv, &rows);
        reopen(state);
        assert_true(are_dynamic(state));
        assert_rows(kv_of(state), &rows);
    }
}

/* Each file of options there is. */
static void spoil_options(const char *directory, void (*spoil)(const char *path))
{
    char pattern[300];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/OPTIONS-*", directory);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        spoil(found.gl_pathv[i]);
    globfree(&found);
}

static void remove_file(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void empty_file(const char *path)
{
    assert_int_equal(truncate(path, 0), 0);
}

static void cut_file(const char *path)
{
    assert_int_equal(truncate(path, 9000), 0);
}

static void fill_file(const char *path)
{
    char bytes[5000];
    memset(bytes, 0xf7, sizeof bytes);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, bytes, sizeof bytes, 100) == sizeof bytes);
    close(fd);
}

static void make_directory(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* Of one that was dynamic, too. */
static void test_options_that_cannot_be_read(void **state)
{
    void (*const spoilt[])(const char *) = {remove_file, empty_file, cut_file, fill_file,
                                            make_directory};
    for (unsigned i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        struct fixture fixture = {.directory = temporary_new()};
        void *own = &fixture;
        struct rows rows = {0};
        fixture.kv = open_rocksdb(fixture.directory);
        assert_true(are_dynamic(&own));
        change_rows(fixture.kv, &rows);
        fixture.kv->ops->close(fixture.kv);
        spoil_options(fixture.directory, spoilt[i]);
        fixture.kv = open_rocksdb(fixture.directory);
        for (int j = 0; j < 2; j++) {
            assert_false(are_dynamic(&own));
            assert_rows(fixture.kv, &rows);
            put_rows(fixture.kv, &rows, 100);
            reopen(&own);
        }
        fixture.kv->ops->close(fixture.kv);
        temporary_remove(fixture.directory);
    }
    (void)state;
}

/* What looks new then is a database of before. */
static void test_look_that_fails_finds_nothing_new(void **state)
{
    struct rows rows = {0};
    begin_fixed(state);
    change_rows(kv_of(state), &rows);
    for (int i = 1; i <= 2; i++) {
        struct fixture *fixture = *state;
        fixture->kv->ops->close(fixture->kv);
        unseen[0] = "SYNCED";
        unseen[1] = i == 2 ? "CURRENT" : NULL;
        fixture->kv = open_rocksdb(fixture->directory);
        assert_true(!unseen[0] && !unseen[1]);
        assert_false(are_dynamic(state));
        assert_rows(kv_of(state), &rows);
    }
}

#define ROCKSDB(test) cmocka_unit_test_setup_teardown(test, setup_rocksdb, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* The first: a child has no threads of a RocksDB that this process had. */
        cmocka_unit_test(test_who_cannot_tell_stops),
        cmocka_unit_test(test_level_size),
        cmocka_unit_test(test_level_size_of_before),
        ROCKSDB(test_level_size_is_told),
        ROCKSDB(test_level_size_is_kept_at_a_start),
        ROCKSDB(test_runs_share_levels),
        ROCKSDB(test_first_of_two_levels),
        ROCKSDB(test_level_size_begins_with_what_is_adopted),
        ROCKSDB(test_backlog_holds_nobody_up),
        ROCKSDB(test_new_directory_is_dynamic),
        ROCKSDB(test_fixed_directory_stays_fixed),
        ROCKSDB(test_back_and_forth),
        ROCKSDB(test_adopted_is_dynamic),
        cmocka_unit_test(test_options_that_cannot_be_read),
        ROCKSDB(test_look_that_fails_finds_nothing_new),
    };
    return cmocka_run_group_tests_name("level_size", tests, NULL, NULL);
}
