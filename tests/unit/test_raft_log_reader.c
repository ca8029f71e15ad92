/* The reading thread: what is asked for comes back in order, what is not there comes back empty,
 * and stop leaves nothing behind. */
#include "kv_memory.h"
#include "test_raft_log_model.h"

#include <semaphore.h>
#include <time.h>

#include "storage/raft_log_reader.h"

enum { PATIENCE_S = 20, ENTRIES = 20 };

static struct {
    struct kv *kv;
    struct raft_log *log;
    struct raft_log_reader *reader;
    sem_t woken;
} world;

static void wake(void *context)
{
    (void)context;
    sem_post(&world.woken);
}

static int set_up(void **state)
{
    struct raft_entry entries[ENTRIES];
    (void)state;
    world.kv = kv_memory_open();
    world.log = raft_log_open(world.kv);
    for (uint32_t i = 0; i < ENTRIES; i++)
        entries[i] =
            (struct raft_entry){.pos = {1, i + 1},
                                .size = 1,
                                .payload = blob_copy(bytes_of("abcdefghijklmnopqrst" + i, 1))};
    struct raft_write write = {.term = 1, .voted_for = 1, .entries = entries, .count = ENTRIES};
    raft_log_write(world.log, &write, 1);
    for (uint32_t i = 0; i < ENTRIES; i++)
        blob_release(entries[i].payload);
    sem_init(&world.woken, 0, 0);
    world.reader = raft_log_reader_start(world.log, wake, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    raft_log_reader_stop(world.reader);
    raft_log_close(world.log);
    world.kv->ops->close(world.kv);
    sem_destroy(&world.woken);
    return 0;
}

static void ask(raft_node_id owner, raft_index first, uint32_t count, uint64_t bytes)
{
    world.reader->ops->submit(world.reader, raft_log_reading_new(owner, first, count, bytes));
}

static struct raft_log_reading *next(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    assert_int_equal(sem_timedwait(&world.woken, &until), 0);
    struct raft_log_reading *reading = raft_log_reader_poll(world.reader);
    assert_non_null(reading);
    return reading;
}

static void readings_come_back_in_order(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        ask(i, 1 + i, 1 + i, 100);
    for (uint32_t i = 0; i < 10; i++) {
        struct raft_log_reading *reading = next();
        assert_int_equal(reading->owner, i);
        assert_int_equal(reading->first, 1 + i);
        assert_int_equal(reading->done, 1 + i);
        for (uint32_t j = 0; j < reading->done; j++) {
            const struct blob *payload = reading->entries[j].payload;
            assert_int_equal(reading->entries[j].pos.index, 1 + i + j);
            assert_int_equal(payload->data[0], 'a' + i + j);
        }
        raft_log_reading_free(reading);
    }
    assert_null(raft_log_reader_poll(world.reader));
}

static void a_reading_is_bounded_by_its_bytes(void **state)
{
    (void)state;
    ask(0, 1, 10, 3);
    struct raft_log_reading *reading = next();
    assert_int_equal(reading->done, 3);
    raft_log_reading_free(reading);
}

static void what_was_trimmed_comes_back_empty(void **state)
{
    (void)state;
    raft_log_trim(world.log, (struct raft_pos){1, 5}, NULL);
    ask(0, 5, 3, 100);
    ask(0, 6, 3, 100);
    struct raft_log_reading *reading = next();
    assert_int_equal(reading->done, 0);
    raft_log_reading_free(reading);
    reading = next();
    assert_int_equal(reading->done, 3);
    raft_log_reading_free(reading);
}

/* For the sanitizer: nothing leaks, whether it was read or not. */
static void stop_frees_what_is_left(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        ask(i, 1, ENTRIES, 1000);
    raft_log_reading_free(next());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(readings_come_back_in_order),
        TEST(a_reading_is_bounded_by_its_bytes),
        TEST(what_was_trimmed_comes_back_empty),
        TEST(stop_frees_what_is_left),
    };
    return cmocka_run_group_tests_name("log reader", tests, NULL, NULL);
}
