/* Reads and writes of one client, under way together: each read sees every write that its client
 * sent before it, and none that it sent after it.  See test_replica.h and the head of
 * replica/routing.c. */
#include "test_replica.h"

#include <stdio.h>

#include "base/prng.h"

static const struct raft_pos noop = {1, 1};
enum { LIFE = 76, OTHER_LIFE };

static unsigned long place_of(const struct result *read)
{
    unsigned long place = 0;
    assert_ended(*read, REQUEST_DONE);
    assert_int_equal(sscanf(read->reply, "read at %lu", &place), 1);
    return place;
}

/* ---- leading --------------------------------------------------------------------------- */

static void a_read_sees_the_writes_before_it_and_none_behind(void **state)
{
    static struct result reads[3], a, b;
    (void)state;
    lead();
    ask(&reads[0], REQUEST_READ, 1, "r");
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&reads[1], REQUEST_READ, 1, "r");
    ask(&b, REQUEST_WRITE, 1, "b");
    ask(&reads[2], REQUEST_READ, 1, "r");
    run();
    assert_int_equal(status().last.index, noop.index + 2); /* in one turn */
    acknowledge_without_running();
    replica_run(world.replica);
    assert_ended(a, REQUEST_DONE);
    assert_ended(b, REQUEST_DONE);
    for (unsigned long i = 0; i < 3; i++)
        assert_int_equal(place_of(&reads[i]), noop.index + i);
}

/* Of eight requests ahead at a time, however many writes there are between them. */
static void reads_between_writes_are_foreseen_once(void **state)
{
    static struct result reads[20], writes[20];
    (void)state;
    lead();
    for (unsigned i = 0; i < 20; i++) {
        ask(&reads[i], REQUEST_READ, 1, "r");
        ask(&writes[i], REQUEST_WRITE, 1, "a");
    }
    run();
    acknowledge();
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(place_of(&reads[i]), noop.index + i);
    assert_int_equal(world.reads_foreseen, 16 + 4);
    ask(&reads[0], REQUEST_READ, 1, "r");
    ask(&writes[0], REQUEST_WRITE, 1, "a");
    run();
    acknowledge();
    assert_int_equal(world.reads_foreseen, 20); /* one alone is served as soon */
}

static void a_read_before_a_write_waits_for_no_disk(void **state)
{
    static struct result read, a, other;
    (void)state;
    lead();
    ask(&read, REQUEST_READ, 1, "r");
    ask(&a, REQUEST_WRITE, 1, "a");
    ask_now(&other, REQUEST_READ, 2, "r");
    receive(matched(1, noop));
    assert_int_equal(place_of(&read), 1);
    assert_int_equal(place_of(&other), 1);
    assert_int_equal(a.calls, 0);
}

static void a_confirmed_read_waits_for_the_write_before_it(void **state)
{
    static struct result read, a, other;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&read, REQUEST_READ, 1, "r");
    ask_now(&other, REQUEST_READ, 2, "r");
    receive(matched(1, noop)); /* the round, not the entry */
    assert_int_equal(read.calls, 0);
    assert_int_equal(place_of(&other), 1);
    acknowledge();
    assert_int_equal(place_of(&read), 2);
}

static void an_applied_write_does_not_confirm_the_read_behind_it(void **state)
{
    static struct result read, a;
    (void)state;
    lead();
    ask_now(&a, REQUEST_WRITE, 1, "a");
    struct raft_message answer = matched(1, status().last); /* of before the read came */
    ask_now(&read, REQUEST_READ, 1, "r");
    persist();
    receive(answer);
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(read.calls, 0);
    receive(matched(1, status().last));
    assert_int_equal(place_of(&read), 2);
}

/* Whatever the rounds do. */
static void the_next_write_confirms_the_read_before_it(void **state)
{
    static struct result read, a, b;
    (void)state;
    lead();
    uint64_t round = world.round;
    ask_now(&a, REQUEST_WRITE, 1, "a");
    ask_now(&read, REQUEST_READ, 1, "r");
    ask_now(&b, REQUEST_WRITE, 1, "b");
    persist();
    struct raft_message answer = matched(1, status().last);
    answer.append_response.round = round;
    receive_without_running(answer);
    replica_run(world.replica);
    assert_ended(b, REQUEST_DONE);
    assert_int_equal(place_of(&read), 2);
}

static void a_run_that_ends_with_a_write_needs_no_round(void **state)
{
    static struct result read, a, b;
    (void)state;
    lead();
    uint64_t round = world.round;
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&read, REQUEST_READ, 1, "r");
    ask_now(&b, REQUEST_WRITE, 1, "b");
    assert_int_equal(world.round, round);
    acknowledge();
    assert_int_equal(place_of(&read), 2);
}

static void a_read_behind_a_write_of_its_turn_needs_no_round(void **state)
{
    static struct result read, a, later;
    (void)state;
    lead();
    uint64_t round = world.round;
    ask(&a, REQUEST_WRITE, 1, "a");
    ask_now(&read, REQUEST_READ, 1, "r");
    assert_int_equal(world.round, round);
    ask_now(&later, REQUEST_READ, 1, "r"); /* the write was proposed before it came */
    assert_int_equal(world.round, round + 1);
    persist();
    struct raft_message answer = matched(1, status().last);
    answer.append_response.round = round;
    receive(answer);
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(place_of(&read), 2);
    assert_int_equal(later.calls, 0);
    acknowledge();
    assert_int_equal(place_of(&later), 2);
}

/* "a" of client 1 is behind the no-op and a read of it behind that; what comes next is the other
 * read's, and then a write of client 2 that both could see.  So much is read that one turn serves
 * one of them, and what is applied meanwhile is that write. */
static void assert_in_order(const struct result *first, const struct result *second)
{
    static struct result x;
    struct raft_pos a = {1, noop.index + 1};
    ask_now(&x, REQUEST_WRITE, 2, "x");
    world.padding = 4 << 20;
    persist_without_running();
    receive_without_running(matched(1, a));
    assert_true(replica_run(world.replica));
    assert_int_equal(first->calls + second->calls, 1);
    receive_without_running(matched(1, status().last));
    run();
    assert_ended(x, REQUEST_DONE);
    assert_true(place_of(first) <= place_of(second));
}

static void a_read_of_a_later_turn_is_served_later(void **state)
{
    static struct result a, first, second;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask_now(&first, REQUEST_READ, 1, "r"); /* asks for no round */
    ask_now(&second, REQUEST_READ, 1, "r");
    assert_in_order(&first, &second);
}

static void a_read_whose_round_came_early_is_served_first(void **state)
{
    static struct result a, first, second;
    (void)state;
    lead();
    ask_now(&a, REQUEST_WRITE, 1, "a");
    ask_now(&first, REQUEST_READ, 1, "r");
    receive(matched(1, noop)); /* its round; it waits for the write */
    ask_now(&second, REQUEST_READ, 1, "r");
    assert_in_order(&first, &second);
}

static void a_read_that_may_wait_is_served_behind_those_before_it(void **state)
{
    static struct result a, first, second;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&first, REQUEST_READ, 1, "r");
    struct request *request =
        request_new(REQUEST_READ, 2, 1, blob_copy(bytes_from_string("r")), on_done, &second);
    second = (struct result){0};
    request->may_wait = true;
    replica_submit(world.replica, request);
    run();
    assert_in_order(&first, &second);
}

/* Decided by the next leader: only that one knows the state of now. */
static void a_read_behind_a_write_that_the_next_leader_commits_is_asked_again(void **state)
{
    static struct result read, a;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask_now(&read, REQUEST_READ, 1, "r");
    persist();
    struct raft_message message = heartbeat(1, status().term + 1);
    message.append_request.prev = status().last;
    message.append_request.commit = status().last.index;
    receive_without_running(message);
    persist();
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(read.calls, 0);
    run();
    assert_string_equal(world.forwarded, "r");
}

/* Its state is kept for it: the one before the write. */
static void a_long_read_does_not_hold_the_write_behind_it(void **state)
{
    static struct result read, a, b;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&read, REQUEST_READ, 1, "r");
    ask_now(&b, REQUEST_WRITE, 1, "b");
    world.read_slices = 3;
    acknowledge_without_running();
    assert_true(replica_run(world.replica));
    assert_string_equal(world.applied, "ab");
    assert_ended(b, REQUEST_DONE);
    assert_int_equal(read.calls, 0);
    run();
    assert_int_equal(place_of(&read), 2);
}

static void large_replies_between_writes_are_spread_over_turns(void **state)
{
    static struct result reads[6], writes[6];
    (void)state;
    lead();
    world.padding = 2 << 20;
    for (int i = 0; i < 6; i++) {
        ask(&reads[i], REQUEST_READ, 1, "r");
        ask(&writes[i], REQUEST_WRITE, 1, "w");
    }
    run();
    acknowledge_without_running();
    assert_true(replica_run(world.replica));
    assert_int_equal(reads[1].calls, 1);
    assert_int_equal(reads[2].calls, 0);
    assert_int_equal(writes[2].calls, 0);
    assert_true(replica_run(world.replica));
    assert_int_equal(reads[3].calls, 1);
    assert_int_equal(reads[4].calls, 0);
    run();
    for (unsigned long i = 0; i < 6; i++)
        assert_int_equal(place_of(&reads[i]), 1 + i);
}

/* What the core does not take now holds up what its client sent behind it, and nobody else. */
static void a_write_that_waits_holds_the_read_behind_it(void **state)
{
    static struct result first, before, write, behind, other;
    (void)state;
    lead();
    ask_now(&first, REQUEST_WRITE, 3, "f"); /* node 1 does not take it: it is never ready */
    replica_transfer(world.replica);
    ask(&before, REQUEST_READ, 1, "r");
    ask(&write, REQUEST_WRITE, 1, "w");
    ask(&behind, REQUEST_READ, 1, "r");
    ask_now(&other, REQUEST_READ, 2, "r");
    receive(matched(1, noop)); /* its word for the round */
    assert_int_equal(place_of(&before), 1);
    assert_int_equal(place_of(&other), 1);
    assert_int_equal(write.calls + behind.calls, 0);
    for (int i = 0; i < ELECTION_TICKS; i++) {
        assert_true(status().transferring);
        pass(TICK_MS);
        persist();
        receive(matched(1, noop));
    }
    acknowledge();
    assert_ended(write, REQUEST_DONE);
    assert_int_equal(place_of(&behind), 3);
}

static void reads_among_writes_end_in_time(void **state)
{
    static struct result read, last, a, b;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&read, REQUEST_READ, 1, "r");
    ask(&b, REQUEST_WRITE, 1, "b");
    ask_now(&last, REQUEST_READ, 1, "r");
    world.now_ms += DEADLINE_MS;
    replica_tick(world.replica, world.now_ms, world.now_ms);
    assert_ended(a, REQUEST_UNKNOWN);
    assert_ended(read, REQUEST_NOT_DONE);
    assert_ended(b, REQUEST_UNKNOWN);
    assert_ended(last, REQUEST_NOT_DONE);
    acknowledge();
    assert_string_equal(world.applied, "ab");
    assert_int_equal(read.calls + last.calls, 2);
}

static void a_client_that_left_is_not_read_for(void **state)
{
    static struct result reads[3], a, b;
    (void)state;
    lead();
    ask(&reads[0], REQUEST_READ, 1, "r");
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&reads[1], REQUEST_READ, 1, "r");
    ask(&b, REQUEST_WRITE, 1, "b");
    ask_now(&reads[2], REQUEST_READ, 1, "r");
    replica_abandon(world.replica, 1);
    acknowledge();
    assert_string_equal(world.applied, "ab");
    assert_int_equal(a.calls + b.calls + reads[0].calls + reads[1].calls + reads[2].calls, 0);
    assert_int_equal(world.read_ms, 0);
    assert_null(world.replica->lines);
    assert_null(world.replica->batches);
}

/* ---- other nodes' clients ------------------------------------------------------------------ */

static void forwarded_reads_and_writes_keep_their_order(void **state)
{
    static const enum request_kind kinds[] = {REQUEST_READ, REQUEST_WRITE, REQUEST_READ,
                                              REQUEST_WRITE, REQUEST_READ};
    static struct result same_number;
    (void)state;
    lead();
    for (uint64_t i = 0; i < 5; i++) {
        struct forward forward = forward_of(kinds[i], i, 1, "f");
        replica_receive_forward(world.replica, 2, 0, &forward);
        blob_release(forward.command);
    }
    ask_now(&same_number, REQUEST_READ, 1, "r"); /* a client of this node */
    receive(matched(1, noop));
    assert_int_equal(place_of(&same_number), 1);
    acknowledge();
    assert_int_equal(world.replies_count, 5);
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(world.replies[i].id, i);
        assert_int_equal(world.replies[i].outcome, REQUEST_DONE);
    }
    assert_string_equal(world.applied, "ff");
}

/* The list says of which life node 2 is. */
static void lead_a_life(void)
{
    stop();
    world.life = LIFE;
    start();
    lead();
}

/* To be looked at with those that came before. */
static void forward_one(enum request_kind kind, uint64_t id, uint64_t life)
{
    struct forward forward = forward_of(kind, id, 1, kind == REQUEST_READ ? "r" : "w");
    replica_receive_forward(world.replica, 2, life, &forward);
    blob_release(forward.command);
}

static void forward_read(uint64_t id, uint64_t life)
{
    forward_one(REQUEST_READ, id, life);
    run();
}

/* From 1 on, each once and done. */
static void assert_replies(uint32_t count)
{
    assert_int_equal(world.replies_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(world.replies[i].id, i + 1);
        assert_int_equal(world.replies[i].outcome, REQUEST_DONE);
    }
}

/* Node 2 was in this term when it sent it, and is a majority with this one. */
static void a_forwarded_read_asks_nobody(void **state)
{
    (void)state;
    lead_a_life();
    uint32_t appends = world.appends;
    forward_read(1, LIFE);
    assert_int_equal(world.replies_count, 1);
    assert_int_equal(world.replies[0].outcome, REQUEST_DONE);
    assert_int_equal(world.appends, appends);
    assert_int_equal(world.replica->reads_acknowledged, 1);
}

/* Nor do those behind it that came with it. */
static void a_pipeline_of_forwarded_reads_asks_nobody(void **state)
{
    (void)state;
    lead_a_life();
    uint32_t appends = world.appends;
    for (uint64_t id = 1; id <= 3; id++)
        forward_one(REQUEST_READ, id, LIFE);
    run();
    assert_int_equal(world.appends, appends);
    assert_int_equal(world.replica->reads_acknowledged, 3);
    assert_replies(3);
}

/* Two before a write and two behind it, which its commit confirms. */
static void a_pipeline_of_forwarded_reads_keeps_its_order_around_a_write(void **state)
{
    (void)state;
    lead_a_life();
    for (uint64_t id = 1; id <= 5; id++)
        forward_one(id == 3 ? REQUEST_WRITE : REQUEST_READ, id, LIFE);
    run();
    assert_int_equal(world.replica->reads_acknowledged, 2);
    assert_replies(2);
    acknowledge();
    assert_replies(5);
    assert_string_equal(world.applied, "w");
}

/* And two that come behind a write which is under way: they wait for it, and for nothing else. */
static void a_pipeline_of_forwarded_reads_waits_for_the_write_alone(void **state)
{
    (void)state;
    lead_a_life();
    forward_one(REQUEST_WRITE, 1, LIFE);
    run();
    uint32_t appends = world.appends;
    forward_one(REQUEST_READ, 2, LIFE);
    forward_one(REQUEST_READ, 3, LIFE);
    run();
    assert_int_equal(world.appends, appends);
    assert_int_equal(world.replica->reads_acknowledged, 2);
    assert_replies(0);
    struct raft_message answer = matched(1, (struct raft_pos){1, 2});
    answer.append_response.round = 0; /* of no round */
    receive(answer);
    persist();
    assert_replies(3);
}

/* But one among them that needs a round holds those behind it, in one look as in several. */
static void a_pipeline_of_forwarded_reads_stays_behind_one_that_asks(void **state)
{
    (void)state;
    lead_a_life();
    for (uint64_t id = 1; id <= 3; id++)
        forward_one(REQUEST_READ, id, id == 2 ? OTHER_LIFE : LIFE);
    run();
    assert_int_equal(world.replica->reads_acknowledged, 1);
    assert_replies(1);
    acknowledge();
    assert_replies(3);
}

/* A node that has its name, and another directory: it may have been what it likes before. */
static void what_another_life_forwards_needs_a_round(void **state)
{
    (void)state;
    lead_a_life();
    uint32_t appends = world.appends;
    forward_read(1, OTHER_LIFE);
    assert_int_equal(world.replies_count, 0);
    assert_true(world.appends > appends);
    acknowledge();
    assert_int_equal(world.replies_count, 1);
    assert_int_equal(world.replica->reads_acknowledged, 0);
}

/* It waits for what has not been committed when an earlier leader may have committed more. */
static void a_forwarded_read_waits_for_the_leaders_own_entry(void **state)
{
    (void)state;
    win_election();
    forward_read(1, 0);
    assert_int_equal(world.replies_count, 0);
    acknowledge();
    assert_int_equal(world.replies_count, 1);
}

/* What its client asked before needs a round: the later one does not come before it. */
static void a_forwarded_read_stays_behind_one_that_asks(void **state)
{
    static struct result other;
    (void)state;
    lead_a_life();
    ask_now(&other, REQUEST_READ, 9, "r"); /* so that the round of the first is not under way */
    forward_read(1, OTHER_LIFE);
    forward_read(2, LIFE);
    forward_read(3, LIFE);
    assert_int_equal(world.replies_count, 0);
    acknowledge();
    acknowledge();
    acknowledge();
    assert_int_equal(world.replies_count, 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(world.replies[i].id, i + 1);
}

/* The same where a write of the client stands before all of them. */
static void a_forwarded_read_behind_a_write_stays_behind_one_that_asks(void **state)
{
    struct forward write;
    (void)state;
    lead_a_life();
    write = forward_of(REQUEST_WRITE, 1, 1, "a");
    replica_receive_forward(world.replica, 2, 0, &write);
    blob_release(write.command);
    run();
    forward_read(2, OTHER_LIFE);
    forward_read(3, LIFE);
    struct raft_message answer = matched(1, (struct raft_pos){1, 2});
    answer.append_response.round = 0; /* the write is committed, the read not confirmed */
    receive(answer);
    persist();
    assert_int_equal(world.replies_count, 1);
    acknowledge();
    acknowledge();
    assert_int_equal(world.replies_count, 3);
    assert_int_equal(world.replies[1].id, 2);
    assert_int_equal(world.replies[2].id, 3);
}

static void forward_large(uint64_t id, enum request_kind kind)
{
    struct forward forward = forward_of(kind, id, 1, "f");
    replica_receive_forward(world.replica, 2, 0, &forward);
    blob_release(forward.command);
}

/* Reads before writes cannot wait for room; they end as not done before the node is given more than
 * it can take. */
static void a_node_without_room_is_not_sent_everything(void **state)
{
    enum { PAIRS = 12, FIT = 6 };
    (void)state;
    lead();
    world.full = true;
    world.padding = 10 << 20;
    for (uint64_t i = 0; i < PAIRS; i++) {
        forward_large(2 * i, REQUEST_READ);
        forward_large(2 * i + 1, REQUEST_WRITE);
    }
    run();
    acknowledge();
    assert_int_equal(world.replies_count, 2 * PAIRS);
    for (uint64_t i = 0; i < PAIRS; i++) {
        assert_int_equal(world.replies[2 * i].id, 2 * i);
        assert_int_equal(world.replies[2 * i].outcome, i < FIT ? REQUEST_DONE : REQUEST_NOT_DONE);
        assert_int_equal(world.replies[2 * i + 1].outcome, REQUEST_DONE);
    }
}

/* What a node was owed, and took, does not count the next time. */
static void what_was_taken_is_owed_no_more(void **state)
{
    enum { TIMES = 3, PAIRS = 4 };
    (void)state;
    lead();
    world.padding = 10 << 20;
    for (uint64_t id = 0; id < TIMES * 2 * (PAIRS + 1);) {
        for (int i = 0; i < PAIRS; i++, id += 2) {
            world.full = true;
            forward_large(id, REQUEST_READ);
            forward_large(id + 1, REQUEST_WRITE);
        }
        run();
        acknowledge();
        world.full = false;
        forward_large(id++, REQUEST_READ);
        forward_large(id++, REQUEST_WRITE);
        run();
        acknowledge();
        assert_int_equal(world.replies_count, id);
    }
    for (uint32_t i = 0; i < world.replies_count; i++)
        assert_int_equal(world.replies[i].outcome, REQUEST_DONE);
}

/* With a leader there may be so much of one node, and no more. */
static void only_so_much_is_forwarded_at_a_time(void **state)
{
    enum { WRITES = 10, SIZE = 16 << 20, FIT = 4 };
    static struct result writes[WRITES], small;
    (void)state;
    follow(1, 1);
    for (int i = 0; i < WRITES; i++) {
        struct blob *command = blob_new(SIZE);
        memset(command->data, 0, SIZE);
        struct request *request = request_new(REQUEST_WRITE, 2, 1, command, on_done, &writes[i]);
        request->deadline_ms = world.now_ms + DEADLINE_MS;
        replica_submit(world.replica, request);
    }
    ask_now(&small, REQUEST_READ, 2, "r");
    assert_int_equal(world.forwards_count, FIT);
    answer(0, false, "done");
    assert_int_equal(world.forwards_count, FIT + 1);
    for (uint32_t i = 1; i < WRITES; i++)
        answer(i, false, "done");
    assert_int_equal(world.forwards_count, WRITES + 1);
    for (int i = 0; i < WRITES; i++)
        assert_ended(writes[i], REQUEST_DONE);
}

/* However small. */
static void only_so_many_are_forwarded_at_a_time(void **state)
{
    static struct result result;
    (void)state;
    follow(1, 1);
    for (uint32_t i = 0; i < FORWARDED_COUNT_MAX + 10; i++)
        ask(&result, REQUEST_WRITE, i + 1, "a");
    run();
    assert_int_equal(world.forwards_count, FORWARDED_COUNT_MAX);
    answer(0, false, "done");
    assert_int_equal(world.forwards_count, FORWARDED_COUNT_MAX + 1);
}

/* ---- elections ------------------------------------------------------------------------------- */

static void a_read_before_an_unknown_write_is_not_asked_again(void **state)
{
    static struct result first, between, last, a, b;
    (void)state;
    lead();
    ask(&first, REQUEST_READ, 1, "1");
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&between, REQUEST_READ, 1, "2");
    ask(&b, REQUEST_WRITE, 1, "b");
    ask_now(&last, REQUEST_READ, 1, "3");
    follow(2, status().term + 1);
    assert_ended(a, REQUEST_UNKNOWN);
    assert_ended(b, REQUEST_UNKNOWN);
    assert_ended(first, REQUEST_NOT_DONE);
    assert_ended(between, REQUEST_NOT_DONE);
    assert_int_equal(last.calls, 0);
    assert_string_equal(world.forwarded, "3");
    answer(0, false, "from 2");
    assert_ended(last, REQUEST_DONE);
}

/* The write may still be decided by the next leader: only that one knows the state behind it. */
static void a_confirmed_read_behind_an_unknown_write_is_asked_again(void **state)
{
    static struct result read, a;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask_now(&read, REQUEST_READ, 1, "r");
    receive(matched(1, noop));
    follow(2, status().term + 1);
    assert_ended(a, REQUEST_UNKNOWN);
    assert_int_equal(read.calls, 0);
    assert_string_equal(world.forwarded, "r");
}

/* The core takes so many rounds and no more: the write behind the read does not wait for that. */
static void a_read_that_gets_no_round_keeps_its_place(void **state)
{
    enum { ROUNDS = 1024 }; /* RAFT_READS_MAX */
    static struct result others[ROUNDS + 1], read, a, last;
    (void)state;
    lead();
    for (uint64_t i = 0; i <= ROUNDS; i++)
        ask_now(&others[i], REQUEST_READ, 100 + i, "r");
    ask(&read, REQUEST_READ, 1, "r");
    ask(&a, REQUEST_WRITE, 1, "a");
    ask_now(&last, REQUEST_READ, 1, "r");
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(place_of(&read), 1);
    acknowledge();
    pass(TICK_MS);
    acknowledge();
    acknowledge();
    assert_int_equal(place_of(&last), 2);
    for (int i = 0; i <= ROUNDS; i++)
        assert_ended(others[i], REQUEST_DONE);
}

static void another_nodes_read_before_an_unknown_write_neither(void **state)
{
    (void)state;
    lead_a_life();
    for (uint64_t i = 0; i < 3; i++) {
        struct forward forward = forward_of(i == 1 ? REQUEST_WRITE : REQUEST_READ, i, 1, "f");
        replica_receive_forward(world.replica, 2, OTHER_LIFE, &forward); /* they need a round */
        blob_release(forward.command);
    }
    run();
    follow(1, status().term + 1);
    assert_int_equal(world.replies_count, 3);
    for (uint64_t i = 0; i < 3; i++) {
        const struct forward_reply *reply = &world.replies[i];
        assert_int_equal(reply->refused, reply->id == 2); /* that one may be asked elsewhere */
        assert_int_equal(reply->outcome, reply->id == 1 ? REQUEST_UNKNOWN : REQUEST_NOT_DONE);
    }
}

/* Decided by the next leader: what stands before the write was still read before it. */
static void a_write_that_the_next_leader_commits_confirms_too(void **state)
{
    static struct result read, a, b;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&read, REQUEST_READ, 1, "r");
    ask_now(&b, REQUEST_WRITE, 1, "b");
    persist();
    struct raft_message message = heartbeat(1, status().term + 1);
    message.append_request.prev = status().last;
    message.append_request.commit = status().last.index;
    receive_without_running(message);
    persist();
    assert_ended(b, REQUEST_DONE);
    assert_int_equal(place_of(&read), 2);
}

static void a_lost_forward_of_a_read_does_not_pass_its_clients_write(void **state)
{
    static struct result before, write, behind, other;
    (void)state;
    follow(1, 1);
    ask(&before, REQUEST_READ, 1, "1");
    ask(&write, REQUEST_WRITE, 1, "w");
    ask(&behind, REQUEST_READ, 1, "2");
    ask_now(&other, REQUEST_READ, 2, "3");
    assert_string_equal(world.forwarded, "1w23");
    replica_disconnected(world.replica, 1, false, true);
    run();
    assert_ended(before, REQUEST_NOT_DONE);
    assert_ended(write, REQUEST_UNKNOWN);
    assert_int_equal(behind.calls + other.calls, 0);
    assert_string_equal(world.forwarded, "1w2323");
}

static void a_mixed_run_that_is_refused_goes_on_in_order(void **state)
{
    static struct result run_of[4];
    (void)state;
    follow(1, 1);
    for (int i = 0; i < 4; i++)
        ask(&run_of[i], i % 2 ? REQUEST_WRITE : REQUEST_READ, 1, i % 2 ? "w" : "r");
    run();
    assert_string_equal(world.forwarded, "rwrw");
    follow(2, 2);
    world.forwarded_to = 1;
    for (uint32_t i = 0; i < 4; i++)
        answer(i, true, "");
    for (int i = 0; i < 4; i++)
        assert_int_equal(run_of[i].calls, 0);
    assert_string_equal(world.forwarded, "rwrwrwrw");
    assert_int_equal(world.forwards[7].term, 2);
}

/* Any answers, some of them lost, of any age: who reads sees what it should. */
static void any_course_keeps_the_order(void **state)
{
    enum { ROUNDS = 60, REQUESTS = 60, CLIENTS = 3 };
    static struct result results[REQUESTS];
    uint64_t prng = 5;
    (void)state;
    lead();
    for (int round = 0; round < ROUNDS; round++) {
        enum request_kind kinds[REQUESTS];
        unsigned long lowest[REQUESTS], highest[REQUESTS], written = status().last.index;
        uint64_t clients[REQUESTS];
        unsigned long last[CLIENTS] = {0};
        world.applied[0] = '\0';
        world.forwards_count = world.replies_count = 0;
        for (int i = 0; i < REQUESTS; i++) {
            uint64_t client = prng_below(&prng, CLIENTS);
            clients[i] = client;
            kinds[i] = prng_below(&prng, 2) ? REQUEST_READ : REQUEST_WRITE;
            ask_within(&results[i], kinds[i], 1 + client, "x", 1000 * DEADLINE_MS);
            if (kinds[i] == REQUEST_WRITE)
                last[client] = ++written;
            lowest[i] = last[client];
            highest[i] = ULONG_MAX;
            for (int j = 0; j < i && kinds[i] == REQUEST_WRITE; j++)
                if (clients[j] == client && highest[j] == ULONG_MAX)
                    highest[j] = written - 1;
            if (prng_below(&prng, 4) == 0)
                run();
            if (prng_below(&prng, 8) == 0)
                persist();
            if (prng_below(&prng, 8) == 0)
                receive(
                    matched(1, (struct raft_pos){status().term,
                                                 status().durable - prng_below(&prng, 3) *
                                                                        (status().durable > 9)}));
        }
        run();
        acknowledge();
        acknowledge();
        for (int i = 0; i < REQUESTS; i++) {
            assert_ended(results[i], REQUEST_DONE);
            if (kinds[i] == REQUEST_WRITE)
                continue;
            assert_true(place_of(&results[i]) >= lowest[i]);
            assert_true(place_of(&results[i]) <= highest[i]);
        }
        pass(TICK_MS);
        acknowledge();
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_read_sees_the_writes_before_it_and_none_behind),
        TEST(reads_between_writes_are_foreseen_once),
        TEST(a_read_before_a_write_waits_for_no_disk),
        TEST(a_confirmed_read_waits_for_the_write_before_it),
        TEST(an_applied_write_does_not_confirm_the_read_behind_it),
        TEST(the_next_write_confirms_the_read_before_it),
        TEST(a_run_that_ends_with_a_write_needs_no_round),
        TEST(a_read_behind_a_write_of_its_turn_needs_no_round),
        TEST(a_read_of_a_later_turn_is_served_later),
        TEST(a_read_whose_round_came_early_is_served_first),
        TEST(a_read_that_may_wait_is_served_behind_those_before_it),
        TEST(a_read_behind_a_write_that_the_next_leader_commits_is_asked_again),
        TEST(a_long_read_does_not_hold_the_write_behind_it),
        TEST(large_replies_between_writes_are_spread_over_turns),
        TEST(a_write_that_waits_holds_the_read_behind_it),
        TEST(reads_among_writes_end_in_time),
        TEST(a_client_that_left_is_not_read_for),
        TEST(forwarded_reads_and_writes_keep_their_order),
        TEST(a_forwarded_read_asks_nobody),
        TEST(a_pipeline_of_forwarded_reads_asks_nobody),
        TEST(a_pipeline_of_forwarded_reads_keeps_its_order_around_a_write),
        TEST(a_pipeline_of_forwarded_reads_waits_for_the_write_alone),
        TEST(a_pipeline_of_forwarded_reads_stays_behind_one_that_asks),
        TEST(what_another_life_forwards_needs_a_round),
        TEST(a_forwarded_read_waits_for_the_leaders_own_entry),
        TEST(a_forwarded_read_stays_behind_one_that_asks),
        TEST(a_forwarded_read_behind_a_write_stays_behind_one_that_asks),
        TEST(a_node_without_room_is_not_sent_everything),
        TEST(what_was_taken_is_owed_no_more),
        TEST(only_so_much_is_forwarded_at_a_time),
        TEST(only_so_many_are_forwarded_at_a_time),
        TEST(a_read_before_an_unknown_write_is_not_asked_again),
        TEST(a_confirmed_read_behind_an_unknown_write_is_asked_again),
        TEST(a_read_that_gets_no_round_keeps_its_place),
        TEST(another_nodes_read_before_an_unknown_write_neither),
        TEST(a_write_that_the_next_leader_commits_confirms_too),
        TEST(a_lost_forward_of_a_read_does_not_pass_its_clients_write),
        TEST(a_mixed_run_that_is_refused_goes_on_in_order),
        TEST(any_course_keeps_the_order),
    };
    return cmocka_run_group_tests_name("request order", tests, NULL, NULL);
}
