/* A leader that prepares long writes before it proposes them: who waits meanwhile, and who does
 * not. */
#include "test_replica.h"

#include "replica/stamp.h"

enum { SLICES = 20 };

static int set_up_long(void **state)
{
    set_up(state);
    world.long_write = "long";
    world.prepare_gives = PREPARING_ENDED;
    return 0;
}

/* A turn in which something is left to do. */
static void turn(void)
{
    assert_true(replica_run(world.replica));
}

/* It is under way, and has SLICES turns left. */
static void begin_long(struct result *write)
{
    ask(write, REQUEST_WRITE, 1, "long");
    world.prepare_slices = SLICES;
    turn();
    turn();
    assert_true(world.is_preparing);
    assert_int_equal(write->calls, 0);
}

static bool is_applied(const char *commands)
{
    return strcmp(world.applied, commands) == 0;
}

/* ---- who waits -------------------------------------------------------------------------- */

static void others_write_and_read_meanwhile(void **state)
{
    static struct result write, small, read;
    (void)state;
    lead();
    begin_long(&write);
    raft_index last = status().last.index;
    ask(&small, REQUEST_WRITE, 2, "s");
    turn();
    assert_int_equal(status().last.index, last + 1); /* without the long one */
    acknowledge_without_running();
    turn();
    assert_ended(small, REQUEST_DONE);
    ask(&read, REQUEST_READ, 3, "r");
    turn();
    receive_without_running(matched(1, status().last));
    turn();
    assert_ended(read, REQUEST_DONE);
    assert_true(world.is_preparing);
    run();
    assert_false(world.prepare_slices > 0);
    assert_int_equal(status().last.index, last + 2);
    assert_int_equal(write.calls, 0);
    acknowledge();
    assert_ended(write, REQUEST_DONE);
    assert_true(is_applied("slong"));
    assert_int_equal(world.prepare_calls, SLICES);
    assert_int_equal(world.prepare_drops, 1);  /* with the request */
    assert_int_equal(world.prepares_asked, 2); /* of each write once, and of no read */
}

static void its_own_client_keeps_its_order(void **state)
{
    static struct result before, write, behind, read;
    (void)state;
    lead();
    ask(&before, REQUEST_WRITE, 1, "b");
    begin_long(&write);
    ask(&behind, REQUEST_WRITE, 1, "c");
    ask(&read, REQUEST_READ, 1, "r");
    turn();
    acknowledge_without_running();
    turn();
    assert_ended(before, REQUEST_DONE);
    assert_int_equal(behind.calls + read.calls, 0);
    assert_true(is_applied("b"));
    run();
    acknowledge();
    assert_true(is_applied("blongc"));
    assert_ended(read, REQUEST_DONE);
}

/* What is in the log already may change what it looks at, and be its client's. */
static void it_begins_behind_what_was_proposed(void **state)
{
    static struct result before, write;
    (void)state;
    lead();
    ask_now(&before, REQUEST_WRITE, 1, "b");
    ask_now(&write, REQUEST_WRITE, 1, "long"); /* the turn ends: nothing can be done */
    assert_int_equal(world.prepare_calls, 0);
    acknowledge();
    assert_ended(before, REQUEST_DONE);
    assert_int_equal(world.prepare_calls, 1);
    acknowledge();
    assert_ended(write, REQUEST_DONE);
}

static void one_is_prepared_at_a_time(void **state)
{
    static struct result first, second, small;
    (void)state;
    lead();
    begin_long(&first);
    ask(&second, REQUEST_WRITE, 2, "long");
    ask(&small, REQUEST_WRITE, 3, "s");
    run();
    assert_int_equal(world.prepare_calls, SLICES);
    world.prepare_slices = SLICES;
    run(); /* what is prepared is kept for its entry */
    assert_int_equal(world.prepare_calls, SLICES);
    acknowledge();
    assert_ended(first, REQUEST_DONE);
    assert_ended(small, REQUEST_DONE);
    run();
    assert_int_equal(world.prepare_calls, 2 * SLICES);
    acknowledge();
    assert_ended(second, REQUEST_DONE);
    assert_true(is_applied("slonglong") || is_applied("longslong"));
}

static void a_forwarded_one_is_prepared_too(void **state)
{
    (void)state;
    lead();
    struct forward forward = forward_of(REQUEST_WRITE, 7, 1, "long");
    world.prepare_slices = SLICES;
    replica_receive_forward(world.replica, 2, 0, &forward);
    blob_release(forward.command);
    run();
    assert_int_equal(world.prepare_calls, SLICES);
    assert_int_equal(world.replies_count, 0);
    acknowledge();
    assert_int_equal(world.replies_count, 1);
    assert_int_equal(world.replies[0].id, 7);
    assert_int_equal(world.replies[0].outcome, REQUEST_DONE);
}

/* ---- what becomes of it ------------------------------------------------------------------ */

static void what_changes_under_it_is_begun_again(void **state)
{
    static struct result write;
    (void)state;
    lead();
    begin_long(&write);
    world.prepare_gives = PREPARING_CHANGED;
    run();
    assert_int_equal(world.prepare_calls, SLICES + 2); /* three times in all */
    acknowledge();
    assert_ended(write, REQUEST_DONE);
    ask_now(&write, REQUEST_WRITE, 1, "long"); /* each anew */
    assert_int_equal(world.prepare_calls, SLICES + 2 + 3);
}

/* There is room with the next checkpoint; until then the loop sleeps. */
static void without_room_for_a_view_it_waits(void **state)
{
    static struct result write, small;
    (void)state;
    lead();
    world.prepare_gives = PREPARING_NOT_NOW;
    ask_now(&write, REQUEST_WRITE, 1, "long");
    uint32_t calls = world.prepare_calls;
    assert_in_range(calls, 1, 2);
    ask_and_commit(&small, REQUEST_WRITE, 2, "s");
    assert_ended(small, REQUEST_DONE);
    world.prepare_gives = PREPARING_ENDED;
    run();
    acknowledge();
    assert_ended(write, REQUEST_DONE);
}

/* As entries do, while the changes in memory are at their bound. */
static void it_waits_for_room_in_memory(void **state)
{
    static struct result write;
    (void)state;
    lead();
    begin_long(&write);
    uint32_t calls = world.prepare_calls;
    world.room = 0;
    run();
    assert_int_equal(world.prepare_calls, calls);
    world.room = INT_MAX;
    run();
    assert_int_equal(world.prepare_calls, SLICES);
}

/* What the one before made is no reason for small ones to wait. */
static void it_waits_until_the_last_large_one_is_stored(void **state)
{
    static struct result write, small;
    (void)state;
    lead();
    begin_long(&write);
    uint32_t calls = world.prepare_calls;
    world.no_room_for_large = true;
    ask(&small, REQUEST_WRITE, 2, "s");
    run();
    acknowledge();
    assert_ended(small, REQUEST_DONE);
    assert_int_equal(world.prepare_calls, calls);
    world.no_room_for_large = false;
    run();
    assert_int_equal(world.prepare_calls, SLICES);
    acknowledge();
    assert_ended(write, REQUEST_DONE);
}

static void it_waits_for_an_entry_that_is_half_done(void **state)
{
    static struct result write, other;
    (void)state;
    lead();
    world.slow = "slow";
    ask(&other, REQUEST_WRITE, 2, "slow");
    replica_run(world.replica);
    world.apply_slices = SLICES;
    acknowledge_without_running();
    turn();
    ask(&write, REQUEST_WRITE, 1, "long");
    turn();
    assert_true(world.apply_slices > 0);
    assert_int_equal(world.prepare_calls, 0);
    run();
    assert_int_equal(world.prepare_calls, 1);
    acknowledge();
    assert_ended(write, REQUEST_DONE);
}

/* Time passes, a turn a tick; node 1 answers, but takes nothing new. */
static void wait_at(struct raft_pos matched_to, int64_t ms)
{
    for (int64_t i = 0; i < ms; i += TICK_MS) {
        world.now_ms += TICK_MS;
        replica_tick(world.replica, world.now_ms, world.now_ms);
        receive_without_running(matched(1, matched_to));
        replica_run(world.replica);
    }
    assert_int_equal(status().role, RAFT_LEADER);
}

/* It waits for nobody but this node, which needs the time; then for the others, as long as any. */
static void its_deadline_is_put_off(void **state)
{
    static struct result write, small, late;
    (void)state;
    lead();
    struct raft_pos last = status().last;
    begin_long(&write);
    world.prepare_slices = DEADLINE_MS;                           /* more than there are ticks */
    ask_within(&late, REQUEST_WRITE, 3, "long", DEADLINE_MS / 2); /* this one does not begin */
    ask(&small, REQUEST_WRITE, 2, "s");
    wait_at(last, 2 * DEADLINE_MS);
    assert_ended(small, REQUEST_UNKNOWN);
    assert_ended(late, REQUEST_NOT_DONE);
    assert_int_equal(write.calls, 0);
    assert_true(world.is_preparing);
    world.prepare_slices = 1;
    wait_at(last, DEADLINE_MS / 2);
    assert_int_equal(status().last.index, last.index + 2);
    assert_int_equal(write.calls, 0);
    wait_at(last, DEADLINE_MS);
    assert_ended(write, REQUEST_UNKNOWN);
    acknowledge();
    assert_true(is_applied("slong"));
}

/* Nobody waits for ever for room that there never is: it goes the way of all writes then, and
 * nothing comes of what was prepared. */
static void expect_starved(struct result *write)
{
    enum { STARVED_MS = 10000 };
    struct raft_pos last = status().last;
    raft_index before = last.index;
    uint32_t drops = world.prepare_drops;
    wait_at(last, STARVED_MS - 5 * TICK_MS);
    assert_int_equal(status().last.index, before);
    assert_int_equal(world.prepare_drops, drops);
    wait_at(last, 10 * TICK_MS);
    assert_int_equal(status().last.index, before + 1);
    assert_int_equal(world.prepare_drops, drops + 1);
    assert_int_equal(write->calls, 0);
    acknowledge();
    assert_ended(*write, REQUEST_DONE);
    assert_int_equal(world.prepare_drops, drops + 2); /* with the request, as ever */
}

static void without_room_for_long_it_is_proposed(void **state)
{
    static struct result write, other;
    (void)state;
    lead();
    begin_long(&write);
    uint32_t calls = world.prepare_calls;
    world.no_room_for_large = true;
    expect_starved(&write);
    assert_int_equal(world.prepare_calls, calls);
    ask(&other, REQUEST_WRITE, 2, "long"); /* each has its time */
    run();
    expect_starved(&other);
    assert_true(is_applied("longlong"));
}

/* It has been starved only as long as it had no slice. */
static void what_goes_on_is_not_starved(void **state)
{
    static struct result write;
    (void)state;
    lead();
    begin_long(&write);
    for (int i = 0; i < SLICES / 2; i++) {
        world.no_room_for_large = true;
        wait_at(status().last, 5000);
        world.no_room_for_large = false;
        turn();
        assert_true(world.is_preparing);
    }
    assert_int_equal(write.calls, 0);
    assert_int_equal(world.prepare_drops, 0);
    world.no_room_for_large = true;
    expect_starved(&write);
}

static void without_a_view_for_long_it_is_proposed(void **state)
{
    static struct result write;
    (void)state;
    lead();
    world.prepare_gives = PREPARING_NOT_NOW;
    ask_now(&write, REQUEST_WRITE, 1, "long");
    expect_starved(&write);
}

/* As other words, where they are those that were prepared; with the seed that it was prepared
 * with. */
static void it_is_proposed_as_it_was_prepared(void **state)
{
    static struct result write;
    (void)state;
    lead();
    world.long_write_as = "other";
    pass(10);
    begin_long(&write);
    int64_t from_ms = world.replica->log_time_ms;
    pass(10);
    uint64_t seed = world.prepare_seed;
    run();
    assert_int_equal(world.prepare_seed, seed);
    assert_int_equal(world.prepare_asked_ms, from_ms);
    assert_true(from_ms > 0);
    acknowledge();
    assert_ended(write, REQUEST_DONE);
    assert_string_equal(write.reply, "other");
    assert_true(is_applied("other"));
    assert_int_equal(world.seed, seed);
    ask_and_commit(&write, REQUEST_WRITE, 1, "s");
    assert_true(is_applied("others"));
    world.prepare_gives = PREPARING_CHANGED; /* every time */
    ask_now(&write, REQUEST_WRITE, 1, "long");
    acknowledge();
    assert_true(is_applied("otherslong"));
}

static void assert_entry(raft_index at, const char *words, size_t size)
{
    const struct raft_entry *entry = entry_cache_get(&world.replica->cache, at);
    const struct blob *payload = entry->payload;
    assert_int_equal(payload->size, STAMP_SIZE + size);
    assert_memory_equal(payload->data + STAMP_SIZE, words, size);
}

/* Its entry is made of the words as they are to be proposed, some in each turn, of no others. */
static void a_large_one_is_made_as_it_was_prepared(void **state)
{
    enum { SOME = ENTRY_MADE_BYTES_MAX, SIZE = 2 * SOME + 9, OTHER_SIZE = 2 * SOME + 3 };
    static char large[SIZE + 1], other[OTHER_SIZE + 1];
    static struct result write;
    (void)state;
    lead();
    raft_index before = status().last.index;
    memset(large, 'l', SIZE);
    for (size_t i = 0; i < OTHER_SIZE; i++)
        other[i] = (char)('a' + i / 1000 % 26);
    world.long_write = large;
    world.long_write_as = other;
    ask(&write, REQUEST_WRITE, 1, large);
    world.prepare_slices = 3;
    while (world.prepare_slices > 0) { /* nobody knows yet of which words */
        assert_int_equal(world.replica->made_bytes, 0);
        turn();
    }
    const struct request *request = world.replica->waiting;
    unsigned turns = 0;
    for (size_t made = request->payload_made; status().last.index == before; turns++) {
        assert_true(turns < 8);
        size_t already = made;
        replica_run(world.replica);
        made = status().last.index == before ? request->payload_made : OTHER_SIZE;
        assert_in_range(made - already, 0, SOME);
    }
    assert_in_range(turns, 2, 4);
    assert_entry(before + 1, other, OTHER_SIZE);
    assert_int_equal(world.replica->made_bytes, 0);
}

/* While it is made, the time comes at which it is not to be restated any more. */
static void what_is_half_made_of_other_words_is_dropped(void **state)
{
    enum { SIZE = 2 * ENTRY_MADE_BYTES_MAX + 9 };
    static char large[SIZE + 1], other[SIZE + 1];
    static struct result write;
    (void)state;
    lead();
    raft_index before = status().last.index;
    memset(large, 'l', SIZE);
    memset(other, 'o', SIZE);
    world.long_write = large;
    world.long_write_as = other;
    ask(&write, REQUEST_WRITE, 1, large);
    const struct request *request = world.replica->waiting;
    for (unsigned i = 0; request->payload_made == 0; i++) {
        assert_true(i < 8);
        turn();
    }
    world.long_write_as = NULL;
    for (unsigned i = 0; status().last.index == before; i++) {
        assert_true(i < 8);
        replica_run(world.replica);
    }
    assert_entry(before + 1, large, SIZE);
    assert_int_equal(world.replica->made_bytes, 0);
}

static void it_is_done_though_its_client_left(void **state)
{
    static struct result write;
    (void)state;
    lead();
    begin_long(&write);
    replica_abandon(world.replica, 1);
    run();
    acknowledge();
    assert_true(is_applied("long"));
    assert_int_equal(write.calls, 0);
}

/* ---- the end of a leadership --------------------------------------------------------------- */

/* It was not proposed: the next leader gets it. */
static void it_goes_to_the_next_leader(void **state)
{
    static struct result write;
    (void)state;
    lead();
    begin_long(&write);
    follow(1, status().term + 1);
    assert_int_equal(world.prepare_drops, 1);
    assert_false(world.is_preparing);
    assert_int_equal(write.calls, 0);
    assert_string_equal(world.forwarded, "long");
    answer(0, false, "done");
    assert_ended(write, REQUEST_DONE);
    assert_string_equal(write.reply, "done");
    assert_int_equal(world.prepare_drops, 1);
}

/* What was prepared and is in the log is of no use any more; and that of another's client. */
/* What it was prepared for in vain is not of its time either. */
static void the_next_leader_has_its_time_too(void **state)
{
    static struct result write;
    (void)state;
    lead();
    struct raft_pos last = status().last;
    begin_long(&write);
    world.prepare_slices = DEADLINE_MS;
    wait_at(last, 2 * DEADLINE_MS);
    follow(1, status().term + 1);
    assert_string_equal(world.forwarded, "long");
    pass(DEADLINE_MS / 2);
    assert_int_equal(write.calls, 0);
    pass(DEADLINE_MS);
    assert_ended(write, REQUEST_UNKNOWN);
}

static void what_is_prepared_ends_with_the_office(void **state)
{
    static struct result write;
    (void)state;
    lead();
    begin_long(&write);
    run();
    assert_true(world.is_preparing);
    follow(1, status().term + 1);
    assert_ended(write, REQUEST_UNKNOWN);
    assert_false(world.is_preparing);
    lead();
    struct forward forward = forward_of(REQUEST_WRITE, 7, 1, "long");
    world.prepare_slices = SLICES;
    replica_receive_forward(world.replica, 2, 0, &forward);
    blob_release(forward.command);
    turn();
    turn();
    assert_true(world.is_preparing);
    follow(1, status().term + 1);
    assert_false(world.is_preparing);
    assert_int_equal(world.replies_count, 1);
    assert_true(world.replies[0].refused);
}

/* A new office, a new preparation, if it is long by then. */
static void it_is_prepared_again_by_who_leads_again(void **state)
{
    static struct result write;
    (void)state;
    lead();
    begin_long(&write);
    world.connected = false; /* it cannot go anywhere */
    follow(1, status().term + 1);
    assert_int_equal(write.calls, 0);
    world.prepare_slices = SLICES;
    uint32_t calls = world.prepare_calls;
    request_put_off(world.replica, world.replica->waiting, 100 * DEADLINE_MS);
    win_election();
    acknowledge();
    assert_int_equal(world.prepare_calls, calls + SLICES);
    acknowledge();
    assert_ended(write, REQUEST_DONE);
}

/* Of the words that were found for it then: another time, other words, of another size. */
static void what_was_made_ends_with_the_office(void **state)
{
    enum { SIZE = 2 * ENTRY_MADE_BYTES_MAX + 9, AGAIN_SIZE = SIZE + 3 };
    static char large[SIZE + 1], first[SIZE + 1], again[AGAIN_SIZE + 1];
    static struct result write;
    (void)state;
    lead();
    memset(large, 'l', SIZE);
    memset(first, 'f', SIZE);
    memset(again, 'a', AGAIN_SIZE);
    world.long_write = large;
    world.long_write_as = first;
    ask(&write, REQUEST_WRITE, 1, large);
    const struct request *request = world.replica->waiting;
    for (unsigned i = 0; request->payload_made == 0; i++) {
        assert_true(i < 8);
        turn();
    }
    world.connected = false; /* it cannot go anywhere */
    follow(1, status().term + 1);
    assert_int_equal(world.replica->made_bytes, 0);
    world.long_write_as = again;
    request_put_off(world.replica, world.replica->waiting, 100 * DEADLINE_MS);
    win_election();
    raft_index before = status().last.index;
    acknowledge();
    run();
    assert_int_equal(status().last.index, before + 1);
    assert_entry(before + 1, again, AGAIN_SIZE);
}

static void a_node_that_stops_drops_it(void **state)
{
    static struct result write;
    (void)state;
    lead();
    begin_long(&write);
    stop();
    assert_ended(write, REQUEST_NOT_DONE);
    assert_int_equal(world.prepare_drops, 1);
    start();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_long, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(others_write_and_read_meanwhile),
        TEST(its_own_client_keeps_its_order),
        TEST(it_begins_behind_what_was_proposed),
        TEST(one_is_prepared_at_a_time),
        TEST(a_forwarded_one_is_prepared_too),
        TEST(what_changes_under_it_is_begun_again),
        TEST(without_room_for_a_view_it_waits),
        TEST(it_waits_for_room_in_memory),
        TEST(it_waits_until_the_last_large_one_is_stored),
        TEST(it_waits_for_an_entry_that_is_half_done),
        TEST(its_deadline_is_put_off),
        TEST(without_room_for_long_it_is_proposed),
        TEST(what_goes_on_is_not_starved),
        TEST(without_a_view_for_long_it_is_proposed),
        TEST(it_is_proposed_as_it_was_prepared),
        TEST(a_large_one_is_made_as_it_was_prepared),
        TEST(what_is_half_made_of_other_words_is_dropped),
        TEST(it_is_done_though_its_client_left),
        TEST(it_goes_to_the_next_leader),
        TEST(the_next_leader_has_its_time_too),
        TEST(what_is_prepared_ends_with_the_office),
        TEST(it_is_prepared_again_by_who_leads_again),
        TEST(what_was_made_ends_with_the_office),
        TEST(a_node_that_stops_drops_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
