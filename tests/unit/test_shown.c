/* Reads while the leader is at a long entry, and members that execute nothing before it has. */
#include <stdio.h>

#include "replica/stamp.h"
#include "test_replica.h"

enum { SLICES = 20 };

static int set_up_new(void **state)
{
    set_up(state);
    world.meaning_known = STAMP_MEANING_SHOWN;
    replica_announced(world.replica, 1, STAMP_MEANING_SHOWN);
    replica_announced(world.replica, 2, STAMP_MEANING_SHOWN);
    return 0;
}

/* ---- at the leader ---------------------------------------------------------------------- */

/* A turn, or some: what was asked is confirmed, if node 1 hears of it. */
static void turn(void)
{
    replica_run(world.replica);
    receive_without_running(matched(1, status().last));
    assert_true(replica_run(world.replica));
    assert_true(world.apply_slices > 0); /* the entry is half done yet */
}

/* The leader has begun the entry of a long write. */
static void begin_long(struct result *write)
{
    world.slow = "long";
    world.is_parted = true;
    ask(write, REQUEST_WRITE, 1, "long");
    replica_run(world.replica);
    world.apply_slices = SLICES;
    acknowledge_without_running();
    assert_true(replica_run(world.replica));
    assert_int_equal(write->calls, 0);
}

static void others_read_what_was_before_it(void **state)
{
    static struct result write, before, local, read;
    (void)state;
    lead();
    ask_and_commit(&before, REQUEST_WRITE, 2, "b");
    raft_index applied = status().applied;
    char expected[32];
    snprintf(expected, sizeof expected, "read at %llu", (unsigned long long)applied);
    begin_long(&write);
    assert_true(world.wants_parted);
    ask(&read, REQUEST_READ, 3, "r");
    turn();
    assert_ended(read, REQUEST_DONE);
    assert_string_equal(read.reply, expected);
    assert_int_equal(status().commit, applied + 1);
    assert_int_equal(world.shown[1], applied);
    ask(&local, REQUEST_READ, 1, "r"); /* behind the write of its own client */
    turn();
    assert_int_equal(local.calls + write.calls, 0);
    run();
    acknowledge();
    assert_ended(write, REQUEST_DONE);
    assert_ended(local, REQUEST_DONE);
    assert_string_not_equal(local.reply, expected);
}

/* The round begins behind the read: without an answer there is none. */
static void such_a_read_is_confirmed_like_any(void **state)
{
    static struct result write, read;
    (void)state;
    lead();
    begin_long(&write);
    ask(&read, REQUEST_READ, 3, "r");
    assert_true(replica_run(world.replica));
    assert_true(replica_run(world.replica));
    assert_int_equal(read.calls, 0);
    turn();
    assert_ended(read, REQUEST_DONE);
    run();
}

static void what_cannot_be_read_before_waits_for_the_end(void **state)
{
    static struct result write, never, behind, other;
    (void)state;
    lead();
    begin_long(&write);
    world.never_before = "n";
    ask(&never, REQUEST_READ, 3, "n");
    ask(&behind, REQUEST_READ, 3, "r");
    ask(&other, REQUEST_READ, 4, "r");
    turn();
    assert_ended(other, REQUEST_DONE);
    assert_int_equal(never.calls + behind.calls, 0);
    turn();
    assert_int_equal(world.tries, 1); /* not in every turn */
    run();
    acknowledge();
    assert_ended(never, REQUEST_DONE);
    assert_ended(behind, REQUEST_DONE);
}

static void nothing_is_read_where_the_state_before_is_not_kept(void **state)
{
    static struct result write, read;
    (void)state;
    lead();
    begin_long(&write);
    world.is_parted = false;
    ask(&read, REQUEST_READ, 3, "r");
    turn();
    assert_int_equal(read.calls, 0);
    run();
    assert_ended(read, REQUEST_DONE);
}

/* What waits for a key would miss that the entry touches it. */
static void who_may_wait_waits_for_the_end(void **state)
{
    static struct result write, read;
    (void)state;
    lead();
    begin_long(&write);
    struct request *request =
        request_new(REQUEST_READ, 2, 3, blob_copy(bytes_from_string("rk")), on_done, &read);
    read = (struct result){0};
    request->may_wait = true;
    world.stock['k' % STOCK_KINDS] = 1;
    replica_submit(world.replica, request);
    turn();
    assert_int_equal(read.calls, 0);
    run();
    acknowledge();
    assert_ended(read, REQUEST_DONE);
}

/* A long read goes on meanwhile, whatever the entry is: it has its state. */
static void a_long_read_goes_on(void **state)
{
    static struct result write, read;
    (void)state;
    lead();
    world.read_slices = 6;
    ask(&read, REQUEST_READ, 3, "r");
    replica_run(world.replica);
    receive_without_running(matched(1, status().last));
    replica_run(world.replica);
    assert_int_equal(read.calls, 0);
    assert_in_range(world.read_slices, 1, 5);
    begin_long(&write);
    world.is_parted = false;
    for (int i = 0; i < 3; i++)
        turn();
    assert_ended(read, REQUEST_DONE);
    run();
}

/* An old leader may have shown it. */
static void not_before_an_entry_of_an_earlier_term(void **state)
{
    static struct result write, read;
    (void)state;
    lead();
    ask_now(&write, REQUEST_WRITE, 1, "long");
    persist();
    follow(1, status().term + 1);
    win_election();
    world.slow = "long";
    world.is_parted = true;
    world.apply_slices = SLICES;
    acknowledge_without_running();
    assert_true(replica_run(world.replica));
    assert_false(world.wants_parted);
    ask(&read, REQUEST_READ, 3, "r");
    turn();
    assert_int_equal(read.calls, 0);
    run();
    acknowledge();
    assert_ended(read, REQUEST_DONE);
}

static void not_where_a_member_does_not_know_the_rule(void **state)
{
    static struct result write, read;
    (void)state;
    replica_announced(world.replica, 2, STAMP_MEANING_SHOWN - 1);
    lead();
    begin_long(&write);
    assert_false(world.wants_parted);
    ask(&read, REQUEST_READ, 3, "r");
    turn();
    assert_int_equal(read.calls, 0);
    assert_int_equal(world.shown[2], 0);
    assert_true(world.shown[1] > 0);
    run();
}

/* It leads no more, and then again: the entry is none of this term. */
static void not_when_it_leads_again(void **state)
{
    static struct result write, read;
    (void)state;
    lead();
    begin_long(&write);
    receive_without_running(heartbeat(1, status().term + 1));
    replica_run(world.replica);
    persist_without_running();
    for (int i = 0; i < 100 && status().role != RAFT_PRE_CANDIDATE; i++) {
        world.apply_slices = SLICES;
        world.now_ms += TICK_MS;
        replica_tick(world.replica, world.now_ms, world.now_ms);
        replica_run(world.replica);
    }
    receive_without_running(vote(1, status().term + 1, true));
    persist_without_running();
    receive_without_running(vote(1, status().term, false));
    assert_int_equal(status().role, RAFT_LEADER);
    acknowledge_without_running();
    world.apply_slices = SLICES;
    ask(&read, REQUEST_READ, 3, "r");
    turn();
    assert_int_equal(read.calls, 0);
    run();
    acknowledge();
    assert_ended(read, REQUEST_DONE);
}

/* Deadlines that pass meanwhile are left to the state machine. */
static void a_read_has_to_be_right_at_its_own_time(void **state)
{
    static struct result write, read;
    (void)state;
    lead();
    world.clock_ms = 9000000;
    acknowledge();
    replica_tick(world.replica, world.now_ms += TICK_MS, world.clock_ms);
    run();
    begin_long(&write);
    ask(&read, REQUEST_READ, 3, "r");
    turn();
    assert_ended(read, REQUEST_DONE);
    assert_int_equal(world.until_ms, 0);
    world.due_ms = 8999999;
    ask(&read, REQUEST_READ, 3, "r");
    turn();
    assert_ended(read, REQUEST_DONE);
    assert_int_equal(world.until_ms, 9000000);
    assert_true(world.read_ms < 9000000);
    world.due_ms = 0;
    run();
}

/* ---- at the others ------------------------------------------------------------------------ */

/* The leader of `term` appends a command; all of it is committed. */
static void append(raft_node_id leader, raft_term term, const char *text, uint8_t meaning,
                   raft_index shown)
{
    struct blob *command = blob_copy(bytes_from_string(text));
    struct apply_context context = {.meaning = meaning, .now_ms = 1, .seed = 2};
    struct blob *payload = entry_stamp(&context, command);
    struct raft_entry entry = {.pos = {term, status().last.index + 1},
                               .type = RAFT_ENTRY_COMMAND,
                               .size = (uint32_t)payload->size,
                               .payload = payload};
    struct raft_message message = {
        .type = RAFT_APPEND_REQUEST,
        .from = leader,
        .to = 0,
        .term = term,
        .shown = shown,
        .append_request = {
            .prev = status().last, .commit = entry.pos.index, .count = 1, .entries = &entry}};
    receive(message);
    persist();
    blob_release(command);
    blob_release(payload);
}

static void show(raft_node_id leader, raft_term term, raft_index shown)
{
    struct raft_message message = heartbeat(leader, term);
    message.append_request.prev = status().last;
    message.append_request.commit = status().last.index;
    message.shown = shown;
    receive(message);
}

static void a_member_executes_what_its_leader_has(void **state)
{
    (void)state;
    follow(1, 3);
    append(1, 3, "a", STAMP_MEANING_SHOWN, 0);
    append(1, 3, "b", STAMP_MEANING_SHOWN, 0);
    assert_string_equal(world.applied, "");
    assert_int_equal(status().commit, 2);
    show(1, 3, 1);
    assert_string_equal(world.applied, "a");
    show(1, 3, 0); /* an older message */
    show(1, 3, 2);
    assert_string_equal(world.applied, "ab");
}

/* Who does not know the rule leads as ever. */
static void what_has_an_earlier_meaning_is_executed_at_once(void **state)
{
    (void)state;
    follow(1, 3);
    append(1, 3, "a", STAMP_MEANING_SHOWN - 1, 0);
    assert_string_equal(world.applied, "a");
}

/* What it has executed itself as the leader says nothing of what the next one has. */
static void who_led_before_waits_for_the_next_leader(void **state)
{
    (void)state;
    lead();
    raft_term term = status().term + 1;
    append(1, term, "a", STAMP_MEANING_SHOWN, 0);
    assert_int_equal(status().commit, status().last.index);
    assert_string_equal(world.applied, "");
    show(1, term, status().last.index);
    assert_string_equal(world.applied, "a");
}

/* Neither does what the one before had. */
static void what_an_earlier_leader_has_executed_says_nothing(void **state)
{
    (void)state;
    follow(1, 3);
    append(1, 3, "a", STAMP_MEANING_SHOWN, 1);
    show(1, 3, 9); /* of what was never committed */
    append(2, 4, "b", STAMP_MEANING_SHOWN, 1);
    assert_string_equal(world.applied, "a");
    show(2, 4, 2);
    assert_string_equal(world.applied, "ab");
}

/* A vote is no leader: the old one may yet serve reads by a majority without this node. */
static void a_later_term_without_a_leader_frees_nothing(void **state)
{
    (void)state;
    follow(1, 3);
    append(1, 3, "a", STAMP_MEANING_SHOWN, 0);
    receive((struct raft_message){.type = RAFT_VOTE_REQUEST,
                                  .from = 2,
                                  .term = 4,
                                  .vote_request = {.last = status().last, .transfer = true}});
    persist();
    assert_int_equal(status().term, 4);
    assert_string_equal(world.applied, "");
    show(2, 4, 0);
    assert_string_equal(world.applied, "a");
}

static void who_leads_waits_for_nobody(void **state)
{
    (void)state;
    follow(1, 3);
    append(1, 3, "a", STAMP_MEANING_SHOWN, 0);
    win_election();
    acknowledge();
    assert_string_equal(world.applied, "a");
}

/* Each life hears it anew. */
static void what_was_shown_is_heard_again_after_a_restart(void **state)
{
    (void)state;
    follow(1, 3);
    append(1, 3, "a", STAMP_MEANING_SHOWN, 1);
    assert_string_equal(world.applied, "a");
    restart_without_data();
    show(1, 3, 0);
    assert_string_equal(world.applied, "");
    show(1, 3, 1);
    assert_string_equal(world.applied, "a");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up_new, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(others_read_what_was_before_it),
        test(such_a_read_is_confirmed_like_any),
        test(what_cannot_be_read_before_waits_for_the_end),
        test(nothing_is_read_where_the_state_before_is_not_kept),
        test(who_may_wait_waits_for_the_end),
        test(a_long_read_goes_on),
        test(not_before_an_entry_of_an_earlier_term),
        test(not_where_a_member_does_not_know_the_rule),
        test(not_when_it_leads_again),
        test(a_read_has_to_be_right_at_its_own_time),
        test(a_member_executes_what_its_leader_has),
        test(what_has_an_earlier_meaning_is_executed_at_once),
        test(who_led_before_waits_for_the_next_leader),
        test(what_an_earlier_leader_has_executed_says_nothing),
        test(a_later_term_without_a_leader_frees_nothing),
        test(who_leads_waits_for_nobody),
        test(what_was_shown_is_heard_again_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
