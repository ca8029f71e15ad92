/* What INFO keyspace tells of deadlines: from how many keys, how old it may be, and for how long
 * others wait for it. */
#include <stdio.h>

#include "kv_memory.h"
#include "test_db.h"

#include "server/deadlines.h"

enum { SECOND_MS = 1000, FAR_MS = 100000 };

static struct {
    struct kv *kv;
    struct db *db;
    uint64_t index;
    struct server_deadlines_seen seen;
    struct server_deadlines told[DB_DATABASES];
} world;

/* Each look at the clock takes a while. */
static struct {
    int64_t ns, step_ns;
} now;

static int64_t read_clock(void)
{
    return now.ns += now.step_ns;
}

static int open_world(void **state)
{
    static const struct db_options options = {.cluster = 7, .checkpoint_bytes = UINT64_MAX};
    (void)state;
    memset(&world, 0, sizeof world);
    now.ns = 5 * (int64_t)1000000000;
    now.step_ns = 0;
    world.kv = kv_memory_open();
    world.db = db_open(world.kv, &options);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    db_close(world.db);
    world.kv->ops->close(world.kv);
    return 0;
}

static void begin(void)
{
    db_begin(world.db, 1);
    db_at(world.db, 1, true);
    db_effects_name(world.db, "set");
}

static void end(void)
{
    world.index++;
    db_applied(world.db, world.index, 1, 1);
}

static void put(unsigned database, unsigned number, struct bytes value, int64_t deadline_ms)
{
    char key[32];
    int size = snprintf(key, sizeof key, "{tag}%u", number);
    db_put(world.db, database, bytes_of(key, (size_t)size), DB_STRING, value, deadline_ms);
}

/* Keys of one slot. */
static void put_many(unsigned count, size_t value_size, unsigned every, int64_t deadline_ms)
{
    char value[1000];
    memset(value, 'v', sizeof value);
    begin();
    for (unsigned i = 0; i < count; i++)
        put(0, i, bytes_of(value, value_size), i % every ? 0 : deadline_ms);
    end();
}

static void put_one(unsigned database, unsigned number)
{
    begin();
    put(database, number, bytes_of("v", 1), 1 + FAR_MS);
    end();
}

/* As INFO does, some time later. */
static void ask(int64_t later_ms)
{
    now.ns += later_ms * 1000000;
    server_deadlines_look(&world.seen, world.db, read_clock);
    server_deadlines_describe(&world.seen, world.db, world.told);
}

static void test_once_a_second(void **state)
{
    (void)state;
    ask(0);
    assert_int_equal(world.told[3].keys, 0);
    put_one(3, 0);
    ask(0); /* the first keys are told of at once */
    assert_int_equal(world.told[3].keys, 1);
    assert_int_equal(world.told[3].avg_ttl_ms, FAR_MS);
    put_one(3, 1);
    ask(SECOND_MS - 1);
    assert_int_equal(world.told[3].keys, 1);
    ask(1);
    assert_int_equal(world.told[3].keys, 2);
    begin();
    assert_true(db_delete(world.db, 3, bytes_of("{tag}0", 6)));
    end();
    ask(0); /* no more than there are keys */
    assert_int_equal(world.told[3].keys, 1);
    begin();
    db_flush(world.db, 3);
    end();
    ask(0);
    assert_int_equal(world.told[3].keys, 0);
    assert_int_equal(world.told[3].avg_ttl_ms, 0);
    put_one(3, 0);
    ask(0);
    assert_int_equal(world.told[3].keys, 1);
}

static unsigned databases_told(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < DB_DATABASES; i++)
        count += world.told[i].keys > 0;
    return count;
}

/* Where one takes long, the next is asked another time; all have their turn. */
static void test_some_at_a_time(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DB_DATABASES; i++)
        put_one(i, 0);
    now.step_ns = 1500000;
    for (unsigned asked = 1; asked <= DB_DATABASES / 2; asked++) {
        ask(0);
        assert_int_equal(databases_told(), 2 * asked);
    }
    for (unsigned i = 0; i < DB_DATABASES; i++)
        put_one(i, 1);
    now.step_ns = 1000000000; /* one at least */
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        ask(SECOND_MS);
        assert_int_equal(world.told[i].keys, 2);
    }
    now.step_ns = 0; /* all */
    begin();
    db_flush_all(world.db);
    end();
    for (unsigned i = 0; i < DB_DATABASES; i++)
        put_one(i, 0);
    ask(SECOND_MS);
    assert_int_equal(databases_told(), DB_DATABASES);
}

static void test_large_ones(void **state)
{
    (void)state;
    put_many(800, 1000, 1, 1 + FAR_MS);
    ask(0);
    assert_int_equal(world.told[0].keys, 800);
    assert_int_equal(world.told[0].avg_ttl_ms, FAR_MS);
}

static void test_many(void **state)
{
    (void)state;
    put_many(5000, 1, 2, 1 + FAR_MS);
    for (unsigned i = 0; i < 200; i++) {
        ask(SECOND_MS);
        assert_in_range(world.told[0].keys, 2000, 3000);
        assert_int_equal(world.told[0].avg_ttl_ms, FAR_MS);
    }
}

/* Of deleted keys, which many samples meet first, nothing follows. */
static void test_deleted_ones(void **state)
{
    (void)state;
    put_many(9000, 1, 1, 1 + FAR_MS);
    ask(SECOND_MS);
    assert_int_equal(world.told[0].keys, 9000);
    db_checkpoint(world.db);
    begin();
    for (unsigned i = 0; i < 9000; i++) {
        char key[32];
        int size = snprintf(key, sizeof key, "{tag}%u", i);
        db_delete(world.db, 0, bytes_of(key, (size_t)size));
    }
    db_put(world.db, 0, bytes_of("other", 5), DB_STRING, bytes_of("v", 1), 1 + FAR_MS);
    end();
    for (unsigned i = 0; i < 50; i++) {
        ask(SECOND_MS);
        assert_int_equal(world.told[0].keys, 1);
        assert_int_equal(world.told[0].avg_ttl_ms, FAR_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_once_a_second, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_some_at_a_time, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_large_ones, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_many, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_deleted_ones, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
