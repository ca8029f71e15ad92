/* Ticks of a replica: proposed when something is due by log time, by the leader alone, and before
 * the reads that came since. */
#include "test_replica.h"

/* It leads, and its clock and node 1's say so. */
static void lead_at(int64_t clock_ms)
{
    lead();
    world.clock_ms = clock_ms;
    acknowledge();
    replica_tick(world.replica, world.now_ms += TICK_MS, clock_ms);
    run();
    assert_int_equal(world.replica->log_time_ms, clock_ms);
}

static void nothing_is_proposed_before_its_time(void **state)
{
    static struct result read;
    (void)state;
    world.due_ms = 9000001;
    lead_at(9000000);
    acknowledge();
    assert_string_equal(world.applied, "");
    ask_and_commit(&read, REQUEST_READ, 1, "r");
    assert_ended(read, REQUEST_DONE);
    assert_int_equal(world.read_ms, 9000000);
    assert_string_equal(world.all_appended, "");
}

static void reads_wait_for_a_tick(void **state)
{
    static struct result read, later;
    (void)state;
    lead_at(9000000);
    world.due_ms = 9000000;
    ask_now(&read, REQUEST_READ, 1, "r");
    assert_string_equal(world.all_appended, "T");
    receive(matched(1, (struct raft_pos){0, 0})); /* confirmed, and not committed */
    assert_int_equal(read.calls, 0);
    assert_string_equal(world.applied, "");
    acknowledge();
    assert_string_equal(world.applied, "T");
    assert_ended(read, REQUEST_DONE);
    assert_int_equal(world.time_ms, 9000000);
    /* What is left has a tick of its own, and nobody waits for that. */
    assert_string_equal(world.all_appended, "TT");
    ask_now(&later, REQUEST_READ, 1, "r");
    receive(matched(1, (struct raft_pos){0, 0}));
    assert_ended(later, REQUEST_DONE);
    assert_int_equal(world.read_ms, 9000000);
}

/* Reads are served at a time at which that is not due yet. */
static void what_becomes_due_later_is_not_waited_for(void **state)
{
    static struct result read;
    (void)state;
    lead_at(9000000);
    ask_now(&read, REQUEST_READ, 1, "r");
    world.due_ms = 9000005;
    world.now_ms += TICK_MS;
    replica_tick(world.replica, world.now_ms, 9000000 + TICK_MS);
    assert_int_equal(world.replica->log_time_ms, 9000000 + TICK_MS);
    receive(matched(1, (struct raft_pos){0, 0}));
    assert_ended(read, REQUEST_DONE);
    assert_int_equal(world.read_ms, 9000004);
}

/* One is enough, until log time has moved on. */
static void ticks_are_few(void **state)
{
    (void)state;
    lead_at(9000000);
    world.due_ms = 9000000;
    for (int i = 0; i < 10; i++)
        run();
    assert_string_equal(world.all_appended, "T");
    pass(TICK_MS);
    run();
    assert_string_equal(world.all_appended, "TT");
}

static void a_follower_proposes_none(void **state)
{
    (void)state;
    follow(2, 1);
    world.due_ms = 1;
    pass(TICK_MS);
    assert_string_equal(world.all_appended, "");
    assert_int_equal(status().last.index, 0);
}

/* A read before a write of its client has the time of that write, which is decided. */
static void a_read_between_writes_has_a_time_too(void **state)
{
    static struct result read, write;
    (void)state;
    lead_at(9000000);
    ask(&read, REQUEST_READ, 1, "r");
    ask_now(&write, REQUEST_WRITE, 1, "w");
    world.due_ms = 9000000;
    acknowledge();
    assert_ended(write, REQUEST_DONE);
    assert_ended(read, REQUEST_DONE);
    assert_int_equal(world.read_ms, 9000000);
}

/* The next leader has overwritten it, and when this node leads again its clock may be behind what
 * it was. */
static void a_tick_that_was_lost_is_not_waited_for(void **state)
{
    static struct result writes[3];
    struct raft_entry noop = {.pos = {.term = 9, .index = 2}, .type = RAFT_ENTRY_NOOP};
    (void)state;
    lead_at(9000000);
    struct raft_message message = heartbeat(1, 9);
    message.append_request.prev = status().last;
    message.append_request.count = 1;
    message.append_request.entries = &noop;
    message.append_request.commit = noop.pos.index;
    assert_int_equal(status().last.index, 1);
    for (int i = 0; i < 3; i++)
        ask_now(&writes[i], REQUEST_WRITE, 1, "w");
    world.due_ms = 9000000;
    run();
    assert_string_equal(world.all_appended, "wwwT");
    receive(message);
    persist();
    assert_int_equal(status().last.index, 2);
    world.clock_ms = 8000000;
    world.due_ms = 7000000;
    lead();
    replica_tick(world.replica, world.now_ms += TICK_MS, 8000000);
    acknowledge();
    assert_in_range(world.replica->log_time_ms, 7000000, 8999999);
    assert_true(status().applied < 5);
    assert_string_equal(world.all_appended, "wwwTT");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_proposed_before_its_time),      TEST(reads_wait_for_a_tick),
        TEST(what_becomes_due_later_is_not_waited_for), TEST(ticks_are_few),
        TEST(a_tick_that_was_lost_is_not_waited_for),   TEST(a_follower_proposes_none),
        TEST(a_read_between_writes_has_a_time_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
