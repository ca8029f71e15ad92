/* What is deleted stays in the store until RocksDB merges it away, and whoever looks for the next
 * row passes over it.  So a walk ends with its space, a draw with its buckets, and where a space
 * has little but what is deleted, a walk stops within it.  Counted by RocksDB, not timed. */
#include "kv_memory.h"
#include "test_passed.h"
#include "test_storage.h"

#include "base/memory.h"
#include "data/db.h"
#include "data/snapshot.h"

enum { CLUSTER = 7, SLICE = 2000 };

struct fixture {
    char *directory;
    struct kv *kv;
    struct db *db;
    uint64_t index;
};

static int setup(void **state)
{
    struct db_options options = {
        .cluster = CLUSTER, .checkpoint_bytes = 1 << 30, .cache_bytes = 1 << 20};
    struct fixture *f = memory_new(sizeof *f);
    f->directory = temporary_new();
    f->kv = open_rocksdb(f->directory);
    f->db = db_open(f->kv, &options);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    db_close(f->db);
    f->kv->ops->close(f->kv);
    temporary_remove(f->directory);
    memory_free(f);
    return 0;
}

static void applied(struct fixture *f)
{
    f->index++;
    db_applied(f->db, f->index, 1, 1);
}

static void store(struct fixture *f)
{
    applied(f);
    db_checkpoint(f->db);
    assert_int_equal(db_persisted_index(f->db), f->index);
}

/* Rows over all words of a hash, the same distance from each other. */
static uint64_t word_of(unsigned row, unsigned rows)
{
    return UINT64_MAX / rows * row;
}

static void put_rows(struct fixture *f, uint64_t space, unsigned rows)
{
    for (unsigned i = 0; i < rows; i++)
        db_row_put(f->db, space, word_of(i, rows), bytes_of("row", 3), bytes_of("value", 5));
}

static void delete_rows(struct fixture *f, uint64_t space, unsigned from, unsigned to,
                        unsigned rows)
{
    for (unsigned i = from; i < to; i++)
        assert_true(db_row_delete(f->db, space, word_of(i, rows), bytes_of("row", 3)));
}

static uint64_t make(struct fixture *f, const char *key, unsigned rows)
{
    uint64_t space = db_space_new(f->db, 0);
    struct db_record record = {.type = DB_HASH, .space = space};
    put_rows(f, space, rows);
    db_put_collection(f->db, 0, bytes_from_string(key), &record, bytes_of("payload", 7));
    return space;
}

static void count(void *context, struct bytes name, struct bytes value)
{
    ++*(unsigned *)context;
    assert_int_equal(name.size, 3);
    assert_int_equal(value.size, 5);
}

struct walked {
    unsigned rows, slices;
    uint64_t passed; /* at most, in a slice */
};

static struct walked walk(struct fixture *f, struct db_view *view, uint64_t space)
{
    struct db_scan_limit limit = {.keys = SLICE, .rows = SLICE};
    struct walked walked = {0};
    uint64_t cursor = 0;
    do {
        passed_begin();
        cursor = db_row_scan(f->db, view, space, cursor, limit, count, &walked.rows);
        if (passed_rows() > walked.passed)
            walked.passed = passed_rows();
        walked.slices++;
    } while (cursor != 0);
    return walked;
}

/* Behind a small space lies one that is deleted, or that a view does not see. */
static void test_a_walk_ends_with_its_space(void **state)
{
    enum { FEW = 10, MANY = 20000 };
    struct fixture *f = *state;
    uint64_t seed = 1, small = make(f, "small", FEW), large = make(f, "large", MANY);
    store(f);
    delete_rows(f, large, 0, MANY, MANY);
    store(f);
    struct walked walked = walk(f, NULL, small);
    assert_int_equal(walked.rows, FEW);
    assert_in_range(walked.passed, 0, 4 * FEW);

    passed_begin();
    for (unsigned i = 0; i < 100; i++) {
        unsigned drawn = 0;
        db_row_random(f->db, NULL, small, FEW, &seed, count, &drawn);
        assert_int_equal(drawn, 1);
    }
    assert_in_range(passed_rows(), 0, 100 * 4 * FEW);

    struct db_view *view = db_view_new(f->db);
    put_rows(f, large, MANY);
    store(f);
    walked = walk(f, view, small);
    assert_int_equal(walked.rows, FEW);
    assert_in_range(walked.passed, 0, 4 * FEW);
    passed_begin();
    for (unsigned i = 0; i < 100; i++) {
        unsigned drawn = 0;
        db_row_random(f->db, view, small, FEW, &seed, count, &drawn);
    }
    assert_in_range(passed_rows(), 0, 100 * 4 * FEW);
    db_view_release(view);
}

/* Of a large one only the first, the middle and the last are left. */
static void test_a_walk_stops_among_what_is_deleted(void **state)
{
    enum { MANY = 200000, AT_ONCE = 16000 };
    struct fixture *f = *state;
    uint64_t space = make(f, "large", MANY);
    store(f);
    assert_int_equal(walk(f, NULL, space).rows, MANY);
    delete_rows(f, space, 1, MANY / 2, MANY);
    delete_rows(f, space, MANY / 2 + 1, MANY - 1, MANY);
    store(f);
    make(f, "other", 1);
    store(f); /* nothing of it is in memory any more */
    struct walked walked = walk(f, NULL, space);
    assert_int_equal(walked.rows, 3);
    assert_in_range(walked.passed, KV_PASSED_MAX, AT_ONCE);
    assert_in_range(walked.slices, 10, 1000);
    struct db_view *view = db_view_new(f->db);
    walked = walk(f, view, space);
    assert_int_equal(walked.rows, 3);
    assert_in_range(walked.passed, KV_PASSED_MAX, AT_ONCE);
    db_view_release(view);

    uint64_t copy = db_space_new(f->db, 0), word = 0;
    struct db_scan_limit limit = {.rows = SLICE, .bytes = 1 << 20};
    bool has_more = true;
    while (has_more) {
        passed_begin();
        has_more = db_space_copy(f->db, NULL, space, copy, false, &word, limit);
        assert_in_range(passed_rows(), 0, AT_ONCE);
    }
    assert_int_equal(walk(f, NULL, copy).rows, 3);
    db_space_drop(f->db, 0, copy);
    applied(f);
}

/* Pages have numbers, side by side: all of them lie where a share of all words would be one. */
static void test_a_copy_of_pages_stops_among_what_is_deleted(void **state)
{
    enum { PAGES = 20000, AT_ONCE = 10000 };
    struct fixture *f = *state;
    uint64_t space = make(f, "pages", 1), copy = db_space_new(f->db, 0), word = 0;
    struct bytes page;
    for (uint64_t i = 0; i < PAGES; i++)
        db_page_put(f->db, space, i, bytes_of("page", 4));
    store(f);
    for (uint64_t i = 0; i < PAGES - 1; i++)
        assert_true(db_page_delete(f->db, space, i));
    store(f);
    unsigned slices = 0;
    bool has_more = true;
    for (; has_more; slices++) {
        struct db_scan_limit limit = {.rows = SLICE, .bytes = 1 << 20};
        passed_begin();
        has_more = db_space_copy(f->db, NULL, space, copy, true, &word, limit);
        assert_in_range(passed_rows(), 0, AT_ONCE);
    }
    assert_in_range(slices, 2, 50);
    assert_true(db_page_get(f->db, NULL, copy, PAGES - 1, &page));
    applied(f);
}

/* A backup of it, too: what one turn has of it is bounded. */
static void test_a_backup_stops_among_what_is_deleted(void **state)
{
    enum { MANY = 200000, WORK = 100000, AT_ONCE = 20000 };
    struct fixture *f = *state;
    uint64_t space = make(f, "large", MANY);
    store(f);
    delete_rows(f, space, 1, MANY / 2, MANY);
    delete_rows(f, space, MANY / 2 + 1, MANY - 1, MANY);
    store(f);
    struct db_snapshot *snapshot = db_snapshot_new(f->db, 1 << 20);
    unsigned turns = 0;
    for (; !db_snapshot_is_end(snapshot); turns++) {
        passed_begin();
        db_snapshot_next(snapshot, WORK);
        assert_in_range(passed_rows(), 0, AT_ONCE);
    }
    assert_in_range(turns, 10, 1000);
    struct db_snapshot_about about;
    db_snapshot_about(snapshot, &about);
    assert_in_range(about.rows, 3, 10); /* of them three */
    db_snapshot_free(snapshot);
}

/* Who must see all of it goes over what is deleted once, however much that is. */
static void test_who_must_come_to_a_row_does_not_stop(void **state)
{
    enum { MANY = 50000 };
    struct fixture *f = *state;
    uint64_t space = make(f, "large", MANY);
    store(f);
    delete_rows(f, space, 1, MANY - 1, MANY);
    store(f);
    passed_begin();
    db_hash(f->db);
    assert_in_range(passed_rows(), MANY, 2 * MANY + 100); /* what was deleted, and that it was */
}

static unsigned copy_all(struct db *db, uint64_t space, uint64_t rows)
{
    struct db_scan_limit limit = {.rows = rows, .bytes = 1 << 20};
    uint64_t copy = db_space_new(db, 0), word = 0;
    unsigned copied = 0;
    while (db_space_copy(db, NULL, space, copy, false, &word, limit))
        ;
    struct db_scan_limit all = {.keys = UINT64_MAX, .rows = UINT64_MAX};
    assert_int_equal(db_row_scan(db, NULL, copy, 0, all, count, &copied), 0);
    return copied;
}

/* Wherever it gives up, and whatever it looks at next, each word is met. */
static void test_a_walk_leaves_no_word_out(void **state)
{
    enum { ROWS = 500, PATIENCE_MOST = 7 };
    struct db_options options = {.cluster = CLUSTER, .checkpoint_bytes = 1 << 30};
    (void)state;
    for (unsigned patience = 2; patience <= PATIENCE_MOST; patience++) {
        struct kv *kv = kv_memory_open();
        struct fixture f = {.kv = kv, .db = db_open(kv, &options)};
        uint64_t space = make(&f, "dense", 1);
        for (uint64_t word = 1; word < ROWS; word++)
            db_row_put(f.db, space, word, bytes_of("row", 3), bytes_of("value", 5));
        store(&f);
        db_close(f.db);
        f.db = db_open(kv, &options); /* nothing of it is in memory */
        kv_memory_gives_up(kv, patience);
        assert_int_equal(copy_all(f.db, space, 100), ROWS);
        assert_int_equal(copy_all(f.db, space, SLICE), ROWS);
        applied(&f);
        db_close(f.db);
        kv->ops->close(kv);
    }
}

/* What a sample tried in vain is not what it has looked at. */
static void test_a_sample_counts_what_it_came_past(void **state)
{
    enum { MANY = 500, WANTED = 1000, PATIENCE = 3 };
    struct db_options options = {.cluster = CLUSTER, .checkpoint_bytes = 1 << 30};
    struct kv *kv = kv_memory_open();
    struct fixture f = {.kv = kv, .db = db_open(kv, &options)};
    struct db_sample sample;
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%u", i);
        db_put(f.db, 0, bytes_from_string(key), DB_STRING, bytes_of("v", 1), 0);
    }
    store(&f);
    db_close(f.db);
    f.db = db_open(kv, &options); /* nothing of it is in memory */
    kv_memory_gives_up(kv, PATIENCE);
    db_sample(f.db, 0, 0, WANTED, 1, &sample);
    assert_in_range(sample.keys, 5 * PATIENCE, MANY);
    db_close(f.db);
    kv->ops->close(kv);
}

/* Those of a receipt that ended are deleted one behind the other. */
static void test_receipts_that_ended_are_not_passed(void **state)
{
    enum { MANY = 5000, AT_ONCE = 100 };
    struct fixture *f = *state;
    for (unsigned i = 0; i < MANY; i++) {
        char client[16];
        snprintf(client, sizeof client, "client%u", i);
        db_receipt_put(f->db, bytes_from_string(client), 1, bytes_of("reply", 5),
                       (int64_t)1000 + i);
    }
    store(f);
    while (db_receipt_expire(f->db, 1000 + MANY - AT_ONCE, AT_ONCE) > 0)
        ;
    store(f);
    passed_begin();
    assert_int_equal(db_receipt_expire(f->db, 1000 + MANY, AT_ONCE), AT_ONCE);
    assert_in_range(passed_rows(), 0, 4 * AT_ONCE);
    applied(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_walk_ends_with_its_space, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_walk_stops_among_what_is_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_copy_of_pages_stops_among_what_is_deleted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_backup_stops_among_what_is_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_must_come_to_a_row_does_not_stop, setup, teardown),
        cmocka_unit_test(test_a_walk_leaves_no_word_out),
        cmocka_unit_test(test_a_sample_counts_what_it_came_past),
        cmocka_unit_test_setup_teardown(test_receipts_that_ended_are_not_passed, setup, teardown),
    };
    return cmocka_run_group_tests_name("db_passed", tests, NULL, NULL);
}
