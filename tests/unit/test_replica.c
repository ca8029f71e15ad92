/* What becomes of requests, see test_replica.h. */
#include "test_replica.h"

#include "base/prng.h"
#include "replica/stamp.h"

#include <sys/wait.h>
#include <unistd.h>

/* ---- leading --------------------------------------------------------------------------------- */

static void a_write_is_answered_when_it_is_applied(void **state)
{
    static struct result a;
    (void)state;
    lead();
    ask_now(&a, REQUEST_WRITE, 1, "a");
    persist(); /* on our disk alone */
    assert_int_equal(a.calls, 0);
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "a");
    assert_string_equal(world.applied, "a");
    assert_true(world.seed != 0);
    assert_true(world.seed == world.appended_seed);
}

/* Not the configuration of the node that executes it. */
static void the_limit_of_values_is_the_leaders(void **state)
{
    static struct result a, b;
    (void)state;
    replica_set_value_max(world.replica, 1 << 29);
    win_election();
    ask_now(&a, REQUEST_WRITE, 1, "a");
    replica_set_value_max(world.replica, 1 << 20); /* CONFIG SET: for what comes from now on */
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(world.value_max, 1 << 29);
    ask_and_commit(&b, REQUEST_WRITE, 1, "b");
    assert_int_equal(world.value_max, 1 << 20);
}

/* By a node of the version before: without a limit. */
static void an_entry_of_the_first_version_is_understood(void **state)
{
    unsigned char bytes[] = {1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0,  0,
                             0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 'x'};
    struct apply_context context;
    struct bytes command;
    (void)state;
    assert_true(entry_unstamp(bytes_of(bytes, sizeof bytes), &context, &command));
    assert_int_equal(context.now_ms, 5);
    assert_int_equal(context.seed, 7);
    assert_int_equal(context.value_max, 0);
    assert_int_equal(context.meaning, 1);
    assert_int_equal(context.database, 0);
    assert_int_equal(command.size, 1);
    bytes[0] = 2;
    assert_true(entry_unstamp(bytes_of(bytes, sizeof bytes), &context, &command));
    bytes[1] = 1; /* what an old version cannot have written */
    assert_false(entry_unstamp(bytes_of(bytes, sizeof bytes), &context, &command));
    bytes[0] = 3;
    bytes[1] = 0; /* no meaning */
    assert_false(entry_unstamp(bytes_of(bytes, sizeof bytes), &context, &command));
    bytes[0] = 4;
    bytes[1] = 1;
    assert_false(entry_unstamp(bytes_of(bytes, sizeof bytes), &context, &command));
    bytes[0] = 0;
    assert_false(entry_unstamp(bytes_of(bytes, sizeof bytes), &context, &command));
}

static struct forward forward_to_us(uint64_t id, const char *command)
{
    return (struct forward){.run_id = 5,
                            .id = id,
                            .term = status().term,
                            .kind = REQUEST_WRITE,
                            .protocol = 2,
                            .database = 3,
                            .client = 9,
                            .command = blob_copy(bytes_from_string(command))};
}

static void receive_command(uint64_t id, const char *command)
{
    struct forward forward = forward_to_us(id, command);
    replica_receive_forward(world.replica, 2, 0, &forward);
    blob_release(forward.command);
    run();
    acknowledge();
}

static void a_leader_stamps_what_all_members_know(void **state)
{
    static struct result a;
    (void)state;
    lead();
    acknowledge();
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
    acknowledge();
    assert_int_equal(world.meaning, 1);
    replica_announced(world.replica, 1, 2);
    ask(&a, REQUEST_WRITE, 1, "b");
    run();
    acknowledge();
    assert_int_equal(world.database, 5);
    assert_int_equal(world.meaning, 1); /* node 2 was not heard of */
    replica_announced(world.replica, 2, 3);
    ask(&a, REQUEST_WRITE, 1, "c");
    run();
    acknowledge();
    assert_int_equal(world.meaning, 2); /* this node knows no more */
    replica_announced(world.replica, 2, 1);
    ask(&a, REQUEST_WRITE, 1, "d");
    run();
    acknowledge();
    assert_int_equal(world.meaning, 2); /* it was agreed on once */
    assert_int_equal(world.highest_meaning, 2);
}

static void what_the_members_meaning_lacks_is_not_proposed(void **state)
{
    static struct result a;
    (void)state;
    lead();
    acknowledge();
    raft_index last = status().last.index;
    receive_command(1, "$");
    assert_int_equal(world.replies_count, 1);
    assert_false(world.replies[0].refused); /* nobody else would take it either */
    assert_int_equal(world.replies[0].outcome, REQUEST_DONE);
    ask(&a, REQUEST_WRITE, 1, "$");
    run();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "refused");
    ask(&a, REQUEST_READ, 1, "$");
    run();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "refused");
    assert_int_equal(status().last.index, last);
    replica_announced(world.replica, 1, 2);
    replica_announced(world.replica, 2, 2);
    receive_command(2, "$");
    assert_int_equal(status().last.index, last + 1);
    assert_int_equal(world.replies_count, 2);
    assert_int_equal(world.database, 3);
}

/* What was agreed on before may stand in entries that it has not applied yet. */
static void a_new_leader_refuses_nothing_before_it_knows(void **state)
{
    (void)state;
    win_election();
    persist();
    raft_index last = status().last.index;
    struct forward one = forward_to_us(1, "$");
    struct forward other = forward_to_us(2, "y"); /* of the same client: it has to keep its place */
    replica_receive_forward(world.replica, 2, 0, &one);
    replica_receive_forward(world.replica, 2, 0, &other);
    blob_release(one.command);
    blob_release(other.command);
    run();
    assert_int_equal(world.replies_count, 0);
    assert_int_equal(status().last.index, last);
    world.highest_meaning = 2;
    acknowledge();
    run();
    acknowledge();
    assert_int_equal(status().last.index, last + 2);
    assert_int_equal(world.replies_count, 2);
}

/* A node that went back to the build before. */
static void an_entry_of_a_higher_meaning_ends_the_process(void **state)
{
    int how;
    (void)state;
    lead();
    acknowledge();
    replica_announced(world.replica, 1, 2);
    replica_announced(world.replica, 2, 2);
    receive_command(1, "$");
    pid_t child = fork();
    if (child == 0) {
        close(STDOUT_FILENO); /* where the log goes */
        receive_command(2, "y");
        world.meaning_known = 1;
        receive_command(3, "z");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 1);
}

static void a_read_waits_for_confirmation_and_for_the_noop(void **state)
{
    static struct result a;
    (void)state;
    win_election();
    ask_now(&a, REQUEST_READ, 1, "a");
    receive(matched(1, (struct raft_pos){0, 0}));
    assert_int_equal(a.calls, 0); /* confirmed, but the no-op is not committed */
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "read at 1");
    assert_int_equal(world.until_ms, 0); /* no entry is half done */
}

/* Read a needs three slices, write b is committed after the first. */
static void begin_long_read(struct result *a, struct result *b)
{
    lead();
    ask(a, REQUEST_READ, 1, "a");
    replica_run(world.replica);
    ask(b, REQUEST_WRITE, 1, "b");
    replica_run(world.replica);
    persist();
    world.read_slices = 3;
    receive_without_running(matched(1, (struct raft_pos){1, 1}));
    /* One slice, and more to do; or no room, and the loop does not turn for it. */
    assert_int_equal(replica_run(world.replica), !world.read_not_now);
    receive_without_running(matched(1, status().last));
}

static void a_long_read_sees_one_state_and_holds_up_nobody(void **state)
{
    static struct result a, b, c;
    (void)state;
    begin_long_read(&a, &b);
    assert_true(replica_run(world.replica));
    assert_int_equal(a.calls, 0);
    assert_ended(b, REQUEST_DONE); /* of the same client: its reply waits for its turn elsewhere */
    assert_string_equal(world.applied, "b");
    assert_ptr_equal(world.replica->reading->context, &a);
    ask(&c, REQUEST_READ, 2, "c");
    run();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "read at 1");
    acknowledge();
    assert_ended(c, REQUEST_DONE);
    assert_string_equal(c.reply, "read at 2");
    assert_int_equal(world.reads_dropped, 0);
}

/* That a write of its client was applied behind it. */
static void a_long_read_is_told_what_may_be_behind_it(void **state)
{
    static struct result a, b;
    (void)state;
    begin_long_read(&a, &b);
    assert_false(world.is_followed);
    while (a.calls == 0)
        replica_run(world.replica);
    assert_true(world.is_followed);
}

static void a_long_read_outlives_the_office(void **state)
{
    static struct result a;
    (void)state;
    lead();
    ask(&a, REQUEST_READ, 1, "a");
    replica_run(world.replica);
    world.read_slices = 5;
    receive_without_running(matched(1, (struct raft_pos){1, 1}));
    replica_run(world.replica);
    assert_false(world.is_followed);
    receive_without_running(heartbeat(1, status().term + 1));
    for (int i = 0; i < 5 && a.calls == 0; i++)
        replica_run(world.replica);
    assert_ended(a, REQUEST_DONE);
    assert_true(world.is_followed);
}

static void a_long_read_of_a_client_that_left_is_dropped(void **state)
{
    static struct result a, b;
    (void)state;
    begin_long_read(&a, &b);
    replica_abandon(world.replica, 1);
    assert_int_equal(world.reads_dropped, 1);
    assert_null(world.replica->reading);
    run();
    assert_int_equal(a.calls, 0);
    assert_string_equal(world.applied, "b");
}

/* It waits for no leader and no majority any more. */
static void a_long_read_goes_on_after_its_deadline(void **state)
{
    static struct result a, b;
    (void)state;
    begin_long_read(&a, &b);
    world.now_ms += DEADLINE_MS;
    replica_tick(world.replica, world.now_ms, world.now_ms);
    assert_int_equal(a.calls, 0);
    run();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "read at 1");
    assert_int_equal(world.reads_dropped, 0);
}

/* What cannot be kept for later begins again; what its client wrote behind it waits. */
static void a_long_read_without_room_begins_again(void **state)
{
    static struct result a, b;
    (void)state;
    world.read_not_now = true;
    begin_long_read(&a, &b);
    assert_false(replica_run(world.replica));
    assert_string_equal(world.applied, "");
    world.read_not_now = false;
    run();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "read at 1");
    assert_ended(b, REQUEST_DONE);
}

/* However small the entries are. */
static void a_turn_ends_by_the_work_done(void **state)
{
    enum { WRITES = 20 };
    static struct result writes[WRITES];
    (void)state;
    lead();
    for (int i = 0; i < WRITES; i++)
        ask(&writes[i], REQUEST_WRITE, 1, "w");
    replica_run(world.replica);
    persist();
    world.work_each = 3 << 20;
    receive_without_running(matched(1, status().last));
    raft_index before = status().applied;
    assert_true(replica_run(world.replica));
    assert_in_range(status().applied - before, 1, 3); /* 8 MB, in however many looks */
    run();
    for (int i = 0; i < WRITES; i++)
        assert_ended(writes[i], REQUEST_DONE);
}

/* Nobody sees a state between two, and time and messages go on meanwhile. */
static void nothing_comes_between_the_slices_of_a_write(void **state)
{
    static struct result a, b, c;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&c, REQUEST_READ, 3, "c");
    replica_run(world.replica);
    acknowledge_without_running();
    world.apply_slices = 6;
    assert_true(replica_run(world.replica));
    ask(&b, REQUEST_WRITE, 2, "b");
    assert_true(replica_run(world.replica));
    acknowledge_without_running();
    uint32_t appends = world.appends;
    for (int i = 0; i < 3; i++) {
        world.now_ms += TICK_MS;
        replica_tick(world.replica, world.now_ms, world.now_ms);
    }
    assert_true(world.appends > appends); /* heartbeats */
    assert_true(world.apply_slices > 0);
    assert_int_equal(a.calls + b.calls + c.calls, 0);
    assert_int_equal(status().applied, 1);
    run();
    assert_string_equal(world.applied, "ab");
    assert_ended(a, REQUEST_DONE);
    assert_ended(b, REQUEST_DONE);
    assert_ended(c, REQUEST_DONE);
    assert_true(strcmp(c.reply, "read at 2") == 0 || strcmp(c.reply, "read at 3") == 0);
}

/* The state machine goes on with what it has begun; nobody is told of it here any more. */
static void a_long_write_outlives_the_leadership(void **state)
{
    static struct result a;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    replica_run(world.replica);
    acknowledge_without_running();
    world.apply_slices = 6;
    assert_true(replica_run(world.replica));
    receive_without_running(heartbeat(1, status().term + 1));
    replica_run(world.replica);
    assert_ended(a, REQUEST_UNKNOWN);
    run();
    assert_int_equal(a.calls, 1);
    assert_string_equal(world.applied, "a");
    assert_int_equal(status().applied, 2);
}

static void a_reply_larger_than_wanted_is_not_given(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    ask(&a, REQUEST_READ, 1, "a");
    world.replica->waiting->prev->reply_max = 8;
    ask(&b, REQUEST_READ, 2, "b");
    world.replica->waiting->prev->reply_max = 9;
    run();
    acknowledge();
    assert_ended(a, REQUEST_TOO_LARGE);
    assert_string_equal(a.reply, "");
    assert_ended(b, REQUEST_DONE);
    assert_string_equal(b.reply, "read at 1");
    world.rest = "!"; /* counts too */
    ask(&b, REQUEST_READ, 2, "b");
    world.replica->waiting->prev->reply_max = 9;
    run();
    acknowledge();
    assert_ended(b, REQUEST_TOO_LARGE);
}

/* Of five reads a turn serves two. */
static void serve_two_a_turn(void)
{
    static struct result reads[5];
    for (int i = 0; i < 5; i++)
        ask(&reads[i], REQUEST_READ, 1 + (uint64_t)i, "r");
    run();
    receive_without_running(matched(1, status().last));
    assert_true(replica_run(world.replica));
    assert_int_equal(reads[1].calls, 1);
    assert_int_equal(reads[2].calls, 0);
    assert_true(replica_run(world.replica));
    assert_int_equal(reads[3].calls, 1);
    assert_int_equal(reads[4].calls, 0);
    run();
    for (int i = 0; i < 5; i++)
        assert_ended(reads[i], REQUEST_DONE);
}

/* The rest goes on in the next turn, when heartbeats were sent. */
static void large_replies_are_spread_over_turns(void **state)
{
    (void)state;
    lead();
    world.padding = 2 << 20;
    serve_two_a_turn();
}

/* However small their replies are. */
static void reads_that_are_much_work_are_spread_over_turns(void **state)
{
    (void)state;
    lead();
    world.work_of_read = TURN_WORK_MAX / 2;
    serve_two_a_turn();
}

/* Each is copied for the log, and heartbeats have to be sent meanwhile. */
static void large_writes_are_spread_over_turns(void **state)
{
    enum { WRITES = 5, SIZE = 3 << 20 };
    static struct result writes[WRITES];
    (void)state;
    lead();
    raft_index before = status().last.index;
    for (int i = 0; i < WRITES; i++) {
        struct blob *command = blob_new(SIZE);
        memset(command->data, 0, SIZE);
        struct request *request = request_new(REQUEST_WRITE, 2, 1, command, on_done, &writes[i]);
        request->deadline_ms = world.now_ms + DEADLINE_MS;
        replica_submit(world.replica, request);
    }
    assert_true(replica_run(world.replica));
    assert_int_equal(status().last.index, before + 3);
    assert_false(replica_run(world.replica));
    assert_int_equal(status().last.index, before + WRITES);
}

/* Its copy for the log is made before it is proposed, so much in a turn for all; others' writes go
 * on meanwhile, and what it says is what was said. */
static void a_larger_write_is_copied_some_in_each_turn(void **state)
{
    enum { WRITES = 2, SOME = ENTRY_MADE_BYTES_MAX, SIZE = 2 * SOME + 1 };
    static struct result writes[WRITES], small;
    (void)state;
    lead();
    raft_index before = status().last.index;
    struct blob *said = blob_new(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        said->data[i] = i > 0 ? (unsigned char)(i / 1000 | 128) : 0; /* no text of the world's */
    for (uint64_t i = 0; i < WRITES; i++) {
        struct request *request =
            request_new(REQUEST_WRITE, 2, 1 + i, blob_take(said), on_done, &writes[i]);
        request->deadline_ms = world.now_ms + DEADLINE_MS;
        replica_submit(world.replica, request);
    }
    assert_true(replica_run(world.replica)); /* 4 of 8 MB and a byte */
    assert_int_equal(world.replica->made_bytes, 2 * SIZE);
    assert_int_equal(status().last.index, before);
    ask(&small, REQUEST_WRITE, 3, "s");
    assert_true(replica_run(world.replica)); /* 8 */
    assert_int_equal(status().last.index, before + 1);
    assert_true(replica_run(world.replica)); /* all of it, and nearly 4 of the other */
    assert_int_equal(status().last.index, before + 2);
    assert_int_equal(world.replica->made_bytes, SIZE);
    const struct raft_entry *entry = entry_cache_get(&world.replica->cache, before + 2);
    assert_int_equal(entry->size, STAMP_SIZE + SIZE);
    const struct blob *payload = entry->payload;
    assert_memory_equal(payload->data + STAMP_SIZE, said->data, SIZE);
    assert_true(replica_run(world.replica));
    assert_int_equal(status().last.index, before + 2);
    replica_run(world.replica);
    assert_int_equal(status().last.index, before + 3);
    assert_int_equal(world.replica->made_bytes, 0);
    blob_release(said);
}

/* What another node's client sent is looked at here, its words some in each turn; others' writes go
 * on. */
static void a_forward_of_many_words_is_taken_apart_some_in_each_turn(void **state)
{
    static struct result small;
    (void)state;
    lead();
    raft_index before = status().last.index;
    struct forward forward = forward_of(REQUEST_WRITE, 1, 9, "many");
    world.decode_slices = 3;
    replica_receive_forward(world.replica, 2, 0, &forward);
    assert_true(replica_run(world.replica));
    assert_int_equal(world.decode_slices, 2);
    ask(&small, REQUEST_WRITE, 3, "s");
    assert_true(replica_run(world.replica));
    assert_int_equal(status().last.index, before + 1);
    assert_true(replica_run(world.replica));
    assert_int_equal(status().last.index, before + 1);
    replica_run(world.replica);
    assert_int_equal(status().last.index, before + 2);
    assert_null(world.replica->decoding);
    /* It ends half-way: the machine is told. */
    world.decode_slices = 100;
    forward.id = 2;
    replica_receive_forward(world.replica, 2, 0, &forward);
    assert_true(replica_run(world.replica));
    assert_ptr_equal(world.decoding, forward.command);
    follow(1, status().term + 1);
    assert_null(world.decoding);
    assert_null(world.replica->decoding);
    blob_release(forward.command);
}

static void a_node_that_takes_its_replies_slowly_waits_alone(void **state)
{
    static struct result a;
    (void)state;
    lead();
    struct forward forward = forward_of(REQUEST_READ, 1, 9, "f");
    world.full = true;
    replica_receive_forward(world.replica, 2, 0, &forward);
    forward.id = 2;
    replica_receive_forward(world.replica, 2, 0, &forward);
    ask_and_commit(&a, REQUEST_READ, 1, "a");
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(world.replies_count, 0);
    world.full = false;
    run();
    assert_int_equal(world.replies_count, 2);
    assert_int_equal(world.replies[0].id, 1);
    assert_int_equal(world.replies[0].outcome, REQUEST_DONE);
    assert_int_equal(world.replies[1].id, 2);
    blob_release(forward.command);
}

static void a_deposed_leader_does_not_know(void **state)
{
    static struct result appended, waiting, reading;
    (void)state;
    lead();
    ask(&appended, REQUEST_WRITE, 1, "a");
    ask_now(&reading, REQUEST_READ, 2, "r");
    ask(&waiting, REQUEST_WRITE, 3, "w");
    /* In one turn: the news of the next leader, and a write that was not yet proposed. */
    struct raft_message news = heartbeat(2, status().term + 1);
    news.append_request.prev = (struct raft_pos){1, 1};
    receive(news);
    assert_ended(appended, REQUEST_UNKNOWN);
    assert_int_equal(waiting.calls, 0);
    assert_int_equal(reading.calls, 0);
    assert_int_equal(world.forwarded_to, 2); /* at once, not at the next tick */
    assert_int_equal(world.forwards[0].database, 5);
    assert_string_equal(world.forwarded, "rw");
    persist();
    answer(0, false, "from 2");
    answer(1, false, "from 2");
    assert_ended(reading, REQUEST_DONE);
    assert_ended(waiting, REQUEST_DONE);
}

static void replies_meet_their_requests(void **state)
{
    static struct result a, b, c;
    (void)state;
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask_now(&b, REQUEST_WRITE, 2, "b");
    ask_and_commit(&c, REQUEST_WRITE, 3, "c");
    assert_string_equal(a.reply, "a");
    assert_string_equal(b.reply, "b");
    assert_string_equal(c.reply, "c");
}

/* Who waits on another node for what an entry tells does not wait for the next heartbeat, also
 * where that node has the entry later than those that made it committed. */
static void a_commit_that_tells_is_said_at_once(void **state)
{
    static struct result a;
    (void)state;
    lead();
    receive(matched(2, status().last));
    world.tells = true;
    ask_now(&a, REQUEST_WRITE, 1, "a");
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(world.said[1], status().last.index);
    assert_int_equal(world.said[2], status().last.index - 1);
    receive(matched(1, status().last)); /* the round is over */
    receive(matched(2, status().last));
    assert_int_equal(world.said[2], status().last.index);
    uint32_t appends = world.appends;
    receive(matched(1, status().last));
    receive(matched(2, status().last));
    assert_int_equal(world.appends, appends); /* and that is all */
}

static void a_forward_of_another_term_is_refused(void **state)
{
    (void)state;
    win_election();
    struct forward forward = forward_of(REQUEST_WRITE, 9, 1, "x");
    forward.term--;
    replica_receive_forward(world.replica, 1, 0, &forward);
    run();
    assert_int_equal(world.replies_count, 1);
    assert_true(world.replies[0].refused);
    assert_int_equal(world.replies[0].id, 9);
    assert_int_equal(world.replies[0].run_id, 5);
    assert_int_equal(status().last.index, 1); /* nothing but the no-op */
    forward.term = status().term;
    replica_receive_forward(world.replica, 1, 0, &forward);
    blob_release(forward.command);
    run();
    acknowledge();
    assert_int_equal(world.replies_count, 2);
    assert_false(world.replies[1].refused);
    assert_string_equal(world.applied, "x");
}

/* Where that node has it not yet, it keeps the reply back until it has. */
static void a_forward_hears_which_entry_tells(void **state)
{
    (void)state;
    lead();
    struct forward forward = forward_of(REQUEST_WRITE, 9, 1, "x");
    for (uint32_t i = 0; i < 2; i++) {
        world.tells = i == 1;
        replica_receive_forward(world.replica, 1, 0, &forward);
        run();
        acknowledge();
        assert_int_equal(world.replies_count, i + 1);
        assert_int_equal(world.replies[i].outcome, REQUEST_DONE);
        assert_int_equal(world.replies[i].told, world.tells ? status().applied : 0);
    }
    blob_release(forward.command);
}

/* What a long reply has in a rope goes with it, and nowhere where the reply does not. */
static void a_forward_is_answered_with_all_of_its_reply(void **state)
{
    (void)state;
    lead();
    struct forward forward = forward_of(REQUEST_READ, 9, 1, "r");
    world.rest = "the rest of it";
    replica_receive_forward(world.replica, 1, 0, &forward);
    forward.reply_max = 5;
    replica_receive_forward(world.replica, 1, 0, &forward);
    run();
    acknowledge();
    assert_int_equal(world.replies_count, 2);
    assert_int_equal(world.replies[0].outcome, REQUEST_DONE);
    assert_int_equal(world.rests[0], strlen(world.rest));
    assert_int_equal(world.replies[1].outcome, REQUEST_TOO_LARGE);
    assert_int_equal(world.rests[1], 0);
    blob_release(forward.command);
}

/* INFO shows them, and reads and entries tell whether the node is idle. */
static void what_is_done_is_counted(void **state)
{
    static struct result a, b, c;
    struct replica_status now;
    (void)state;
    lead();
    ask(&a, REQUEST_READ, 1, "a");
    ask(&b, REQUEST_READ, 2, "b");
    ask(&c, REQUEST_WRITE, 3, "c");
    replica_status(world.replica, &now);
    assert_int_equal(now.requests_waiting, 3);
    assert_int_equal(now.requests_under_way, 3);
    run();
    replica_status(world.replica, &now);
    assert_int_equal(now.requests_waiting, 0);
    assert_int_equal(now.requests_under_way, 3);
    acknowledge();
    replica_status(world.replica, &now);
    assert_int_equal(now.requests_under_way, 0);
    assert_int_equal(now.reads_done, 2);
    assert_int_equal(now.elections, 1);
    assert_int_equal(now.requests_forwarded, 0);
    follow(2, now.raft.term + 1);
    ask(&a, REQUEST_READ, 1, "a");
    ask_now(&b, REQUEST_WRITE, 2, "b");
    answer(0, false, "of node 2");
    replica_status(world.replica, &now);
    assert_int_equal(now.requests_forwarded, 2);
    assert_int_equal(now.requests_under_way, 1);
    assert_int_equal(now.reads_done, 2); /* that one was served elsewhere */
}

/* ---- following ------------------------------------------------------------------------------- */

static void a_forward_is_answered_by_its_number(void **state)
{
    static struct result a, b;
    (void)state;
    follow(1, 1);
    ask(&a, REQUEST_WRITE, 1, "a");
    ask_now(&b, REQUEST_WRITE, 2, "b");
    answer(1, false, "for b");
    assert_int_equal(a.calls, 0);
    assert_string_equal(b.reply, "for b");
    answer(0, false, "for a");
    assert_string_equal(a.reply, "for a");
    answer(0, false, "again"); /* nobody waits for it any more */
    assert_int_equal(a.calls, 1);
}

/* What the entry told has to be with the clients of this node before its reply is. */
static void a_reply_waits_for_what_its_entry_tells(void **state)
{
    static struct result a, b, c;
    (void)state;
    follow(1, 1);
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&b, REQUEST_WRITE, 2, "b");
    ask_now(&c, REQUEST_WRITE, 3, "c");
    raft_index next = status().applied + 1;
    for (uint32_t i = 0; i < 2; i++) {
        struct forward_reply reply = {.run_id = world.forwards[i].run_id,
                                      .id = world.forwards[i].id,
                                      .outcome = REQUEST_DONE,
                                      .told = next + 50 * i,
                                      .reply = bytes_from_string("told")};
        replica_receive_forward_reply(world.replica, world.forwarded_to, &reply);
    }
    answer(2, false, "at once");
    assert_int_equal(c.calls, 1);
    assert_int_equal(a.calls, 0);
    struct raft_entry entry = {.pos = {1, next}, .type = RAFT_ENTRY_COMMAND};
    struct apply_context context = {.meaning = 2, .now_ms = 1};
    struct blob *command = blob_copy(bytes_from_string("x"));
    struct blob *payload = entry_stamp(&context, command);
    entry.payload = payload;
    entry.size = (uint32_t)payload->size;
    struct raft_message append = heartbeat(1, 1);
    append.append_request.prev = status().last;
    append.append_request.entries = &entry;
    append.append_request.count = 1;
    append.append_request.commit = next;
    receive(append);
    assert_int_equal(a.calls, 0); /* committed, but not applied: it is not durable here */
    persist();
    assert_string_equal(a.reply, "told");
    assert_int_equal(b.calls, 0);
    pass(6000); /* that one's never comes: nobody knows here */
    assert_int_equal(b.calls, 1);
    assert_int_equal(b.outcome, REQUEST_UNKNOWN);
    blob_release(payload);
    blob_release(command);
}

/* It has been told here already, or concerns nobody. */
static void a_reply_does_not_wait_for_what_is_applied(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    raft_index applied = status().applied;
    follow(1, 2);
    ask(&a, REQUEST_WRITE, 1, "a");
    ask_now(&b, REQUEST_READ, 2, "b");
    for (uint32_t i = 0; i < 2; i++) {
        struct forward_reply reply = {.run_id = world.forwards[i].run_id,
                                      .id = world.forwards[i].id,
                                      .outcome = REQUEST_DONE,
                                      .told = applied + 50 * i, /* a read tells nothing */
                                      .reply = bytes_from_string("done")};
        replica_receive_forward_reply(world.replica, world.forwarded_to, &reply);
    }
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "done");
    assert_ended(b, REQUEST_DONE);
}

static void replies_to_an_earlier_life_are_dropped(void **state)
{
    static struct result a;
    (void)state;
    follow(1, 1);
    ask_now(&a, REQUEST_WRITE, 1, "a");
    world.forwards[0].run_id++;
    answer(0, false, "not ours");
    assert_int_equal(a.calls, 0);
    world.forwards[0].run_id--;
    world.forwarded_to = 2;
    answer(0, false, "not from whom we asked");
    assert_int_equal(a.calls, 0);
}

static void what_is_refused_goes_on_in_order(void **state)
{
    static struct result a, b, c;
    (void)state;
    follow(1, 1);
    ask(&a, REQUEST_WRITE, 1, "a");
    ask_now(&b, REQUEST_WRITE, 1, "b");
    follow(2, 2);
    ask_now(&c, REQUEST_WRITE, 1, "c");
    assert_string_equal(world.forwarded, "ab"); /* c would overtake */
    world.forwarded_to = 1;
    answer(0, true, "");
    assert_string_equal(world.forwarded, "ab"); /* b is still out */
    answer(1, true, "");
    assert_string_equal(world.forwarded, "ababc");
    assert_int_equal(world.forwards[4].term, 2);
}

/* Whatever comes back first. */
static void what_comes_back_waits_by_its_age(void **state)
{
    static struct result a, b, c;
    (void)state;
    follow(1, 1);
    ask_now(&a, REQUEST_WRITE, 1, "a");
    ask_now(&b, REQUEST_WRITE, 1, "b");
    world.connected = false;
    ask_now(&c, REQUEST_WRITE, 1, "c");
    answer_without_running(1, true, "");
    answer_without_running(0, true, "");
    run();
    world.connected = true;
    world.forwarded[0] = '\0';
    follow(2, 2);
    pass(TICK_MS);
    assert_string_equal(world.forwarded, "abc");
}

static void another_client_does_not_wait(void **state)
{
    static struct result a, b;
    (void)state;
    follow(1, 1);
    ask_now(&a, REQUEST_WRITE, 1, "a");
    follow(2, 2);
    ask_now(&b, REQUEST_WRITE, 2, "b");
    assert_string_equal(world.forwarded, "ab");
}

static void a_broken_connection_leaves_writes_unknown(void **state)
{
    static struct result write, read;
    (void)state;
    follow(1, 1);
    ask(&write, REQUEST_WRITE, 1, "w");
    ask_now(&read, REQUEST_READ, 2, "r");
    world.connected = false;
    replica_disconnected(world.replica, 1, false, true);
    run();
    assert_ended(write, REQUEST_UNKNOWN);
    assert_int_equal(read.calls, 0); /* a read may be asked again */
    world.connected = true;
    pass(TICK_MS);
    assert_string_equal(world.forwarded, "wrr");
}

/* ---- time ------------------------------------------------------------------------------------ */

/* What is sent over the next connection was not lost with the one before. */
static void what_is_lost_is_lost_once(void **state)
{
    static struct result a, b;
    (void)state;
    follow(1, 1);
    ask_now(&a, REQUEST_WRITE, 1, "a");
    replica_disconnected(world.replica, 1, false, true);
    run();
    assert_ended(a, REQUEST_UNKNOWN);
    ask_now(&b, REQUEST_WRITE, 1, "b");
    run();
    assert_int_equal(b.calls, 0);
    answer(1, false, "done");
    assert_ended(b, REQUEST_DONE);
}

static void nobody_leads(void **state)
{
    static struct result write, read;
    (void)state;
    ask(&write, REQUEST_WRITE, 1, "w");
    ask(&read, REQUEST_READ, 2, "r");
    pass(DEADLINE_MS - TICK_MS);
    assert_int_equal(write.calls, 0);
    pass(2 * TICK_MS);
    assert_ended(write, REQUEST_NOT_DONE);
    assert_ended(read, REQUEST_NOT_DONE);
}

/* Clients are not heard any more until some of it is gone. */
static void what_waits_is_bounded(void **state)
{
    static struct result a[3], large;
    (void)state;
    world.replica->options.waiting_max = 3;
    for (int i = 0; i < 3; i++) {
        assert_false(replica_congested(world.replica));
        ask(&a[i], i == 0 ? REQUEST_READ : REQUEST_WRITE, 1, "a");
    }
    assert_true(replica_congested(world.replica));
    replica_abandon(world.replica, 1); /* it reads no more */
    assert_false(replica_congested(world.replica));
    struct request *request = request_new(
        REQUEST_WRITE, 2, 2, blob_new(WAITING_BYTES_MAX - 2 * strlen("a")), on_done, &large);
    memset(request->command->data, 0, request->command->size);
    request->deadline_ms = world.now_ms + DEADLINE_MS;
    world.replica->options.waiting_max = 100;
    replica_submit(world.replica, request);
    assert_true(replica_congested(world.replica));
    pass(DEADLINE_MS + TICK_MS);
    assert_false(replica_congested(world.replica));
}

static void the_leader_is_silent(void **state)
{
    static struct result write, read;
    (void)state;
    follow(1, 1);
    ask(&write, REQUEST_WRITE, 1, "w");
    ask(&read, REQUEST_READ, 2, "r");
    pass(DEADLINE_MS + TICK_MS);
    assert_ended(write, REQUEST_UNKNOWN);
    assert_ended(read, REQUEST_NOT_DONE);
}

/* Nobody waits out a timer for a leader whose process has ended; another's end concerns nobody. */
static void the_leader_is_gone(void **state)
{
    (void)state;
    follow(2, 1);
    replica_gone(world.replica, 1);
    pass(2 * TICK_MS);
    assert_int_equal(status().role, RAFT_FOLLOWER);
    assert_int_equal(status().leader, 2);
    replica_gone(world.replica, 2);
    pass(2 * TICK_MS);
    assert_int_equal(status().role, RAFT_PRE_CANDIDATE);
}

static void a_late_commit_answers_nobody(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    ask_now(&a, REQUEST_WRITE, 1, "a");
    persist();
    for (int i = 0; i < DEADLINE_MS / TICK_MS + 1; i++) { /* node 2 keeps it in office */
        pass(TICK_MS);
        receive((struct raft_message){.type = RAFT_APPEND_RESPONSE,
                                      .from = 2,
                                      .term = status().term,
                                      .append_response = {.matched = true, .round = 0}});
    }
    assert_int_equal(status().role, RAFT_LEADER);
    assert_ended(a, REQUEST_UNKNOWN);
    ask_and_commit(&b, REQUEST_WRITE, 1, "b");
    assert_int_equal(a.calls, 1);
    assert_ended(b, REQUEST_DONE);
    assert_string_equal(b.reply, "b");
    assert_string_equal(world.applied, "ab");
}

static void an_abandoned_request_runs_on(void **state)
{
    static struct result a;
    (void)state;
    lead();
    ask_now(&a, REQUEST_WRITE, 1, "a");
    replica_abandon(world.replica, 1);
    acknowledge();
    assert_int_equal(a.calls, 0);
    assert_string_equal(world.applied, "a");
}

static void the_log_knows_no_earlier_time(void **state)
{
    static struct result a, b, c;
    (void)state;
    lead();
    world.clock_ms = 9000000;
    acknowledge();
    replica_tick(world.replica, world.now_ms += TICK_MS, 9000000);
    ask_and_commit(&a, REQUEST_WRITE, 1, "a");
    assert_int_equal(world.time_ms, 9000000);
    world.clock_ms = 1000;
    replica_tick(world.replica, world.now_ms, 1000); /* the clocks are set back */
    ask(&b, REQUEST_WRITE, 1, "b");
    ask_and_commit(&c, REQUEST_READ, 2, "c");
    assert_ended(b, REQUEST_DONE);
    assert_int_equal(world.time_ms, 9000000);
    assert_ended(c, REQUEST_DONE);
    assert_int_equal(world.read_ms, 9000000);
}

static void a_replay_waits_for_the_state_machine(void **state)
{
    static struct result a[4];
    (void)state;
    win_election();
    for (int i = 0; i < 4; i++)
        ask(&a[i], REQUEST_WRITE, 1, (char[]){(char)('a' + i), '\0'});
    run();
    acknowledge();
    assert_string_equal(world.applied, "abcd");
    restart_without_data();
    world.room = 3; /* the no-op, a and b */
    follow_and_commit_all(1, 2);
    assert_string_equal(world.applied, "ab");
    world.room = 1;
    pass(TICK_MS);
    assert_string_equal(world.applied, "abc");
    world.room = INT_MAX;
    pass(TICK_MS);
    assert_string_equal(world.applied, "abcd");
    assert_int_equal(status().applied, 5);
}

static void a_read_waits_until_its_index_is_applied(void **state)
{
    static struct result a, b;
    (void)state;
    win_election();
    world.room = 1; /* the no-op */
    ask_and_commit(&a, REQUEST_WRITE, 1, "a");
    ask_and_commit(&b, REQUEST_READ, 2, "b");
    assert_int_equal(status().commit, 2);
    assert_int_equal(status().applied, 1);
    assert_int_equal(b.calls, 0);
    world.room = INT_MAX;
    pass(TICK_MS);
    assert_ended(b, REQUEST_DONE);
    assert_string_equal(b.reply, "read at 2");
}

/* The memory of entries is bounded, but what the disk does not have yet can come from nowhere
 * else. */
static void what_is_not_on_disk_is_sent_from_memory(void **state)
{
    static struct result a;
    (void)state;
    lead();
    struct raft_pos noop = status().last;
    world.replica->options.cache_bytes = 0;
    world.disk_hangs = true;
    ask_now(&a, REQUEST_WRITE, 1, "a");
    assert_string_equal(world.appended, "a");
    replica_disconnected(world.replica, 1, true, false);
    run();
    receive(matched(1, noop));
    assert_string_equal(world.appended, "a");
}

/* Not given to the transport, nor read from disk, nor lost. */
static void what_there_is_no_room_for_waits(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    world.replica->options.cache_bytes = 0;
    world.entries_full = true;
    ask_now(&a, REQUEST_WRITE, 1, "a");
    persist(); /* and out of the cache */
    ask_now(&b, REQUEST_WRITE, 1, "b");
    persist();
    assert_string_equal(world.appended, "");
    assert_int_equal(world.reads_done, 0);
    world.entries_full = false;
    run();
    assert_string_equal(world.all_appended, "ab");
    assert_int_equal(world.reads_done, 2); /* one after the other */
    acknowledge();
    assert_ended(b, REQUEST_DONE);
}

/* The core goes back to where the member is, and asks for all from there. */
static void what_waits_is_given_up_where_the_member_lacks_more(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    world.entries_full = true;
    ask_now(&a, REQUEST_WRITE, 1, "a");
    ask_now(&b, REQUEST_WRITE, 1, "b");
    persist();
    receive((struct raft_message){.type = RAFT_APPEND_RESPONSE,
                                  .from = 1,
                                  .term = status().term,
                                  .append_response = {.hint = {1, 1}, .round = world.round}});
    receive(matched(1, (struct raft_pos){1, 1}));
    assert_string_equal(world.all_appended, "");
    world.entries_full = false;
    run();
    assert_string_equal(world.all_appended, "ab"); /* each once */
}

/* The disk takes its time: heartbeats go out, and a member that is not behind is served. */
static void a_member_is_fed_from_disk_beside_all_else(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    ask_and_commit(&a, REQUEST_WRITE, 1, "a");
    world.replica->options.cache_bytes = 0;
    run();
    world.replica->options.cache_bytes = 1 << 20; /* for what comes */
    world.reader_hangs = true;
    struct raft_message behind = matched(2, (struct raft_pos){1, 1});
    world.all_appended[0] = '\0';
    replica_disconnected(world.replica, 2, true, false);
    run();
    receive(behind);
    assert_int_equal(world.reads_count, 1);
    uint32_t appends = world.appends;
    pass(5 * TICK_MS);
    assert_true(world.appends > appends);
    ask_now(&b, REQUEST_WRITE, 1, "b");
    assert_string_equal(world.all_appended, "b"); /* to node 1 */
    acknowledge();
    assert_ended(b, REQUEST_DONE);
    world.reader_hangs = false;
    run();
    assert_string_equal(world.all_appended, "bab");
}

/* Of one request the first entries are on disk alone, the last one is in memory. */
static void what_memory_has_is_not_read(void **state)
{
    static struct result a, b, c;
    (void)state;
    lead();
    ask_and_commit(&a, REQUEST_WRITE, 1, "a");
    ask_and_commit(&b, REQUEST_WRITE, 1, "b");
    world.replica->options.cache_bytes = 0;
    run();
    world.replica->options.cache_bytes = 1 << 20;
    ask_and_commit(&c, REQUEST_WRITE, 1, "c");
    world.reader_hangs = true;
    world.all_appended[0] = '\0';
    replica_disconnected(world.replica, 2, true, false);
    run();
    receive(matched(2, (struct raft_pos){1, 1}));
    assert_int_equal(world.reads_count, 1);
    assert_int_equal(world.reads[0]->count, 2);
    world.reader_hangs = false;
    run();
    assert_string_equal(world.all_appended, "abc");
}

/* What was read does not matter any more: another leads, and the log was cut. */
static void what_is_read_too_late_is_dropped(void **state)
{
    static struct result a;
    (void)state;
    lead();
    ask_and_commit(&a, REQUEST_WRITE, 1, "a");
    world.replica->options.cache_bytes = 0;
    run();
    world.reader_hangs = true;
    replica_disconnected(world.replica, 2, true, false);
    run();
    receive(matched(2, (struct raft_pos){1, 1}));
    assert_int_equal(world.reads_count, 1);
    world.all_appended[0] = '\0';
    follow(1, status().term + 1);
    world.reader_hangs = false;
    run();
    assert_string_equal(world.all_appended, "");
}

/* What is durable can be read back: a state machine that is slow costs no memory. */
static void applying_slowly_holds_no_more_than_the_cache(void **state)
{
    enum { CACHE = 2000, WRITES = 40 };
    static struct result a[WRITES];
    char text[101];
    (void)state;
    lead();
    world.replica->options.cache_bytes = CACHE;
    world.room = 0;
    memset(text, 'x', 100);
    text[100] = '\0';
    for (int i = 0; i < WRITES; i++) {
        ask_now(&a[i], REQUEST_WRITE, 1, text);
        acknowledge();
        assert_true(world.replica->cache.bytes <= CACHE);
    }
    assert_int_equal(a[0].calls, 0);
    world.room = INT_MAX;
    run();
    assert_ended(a[0], REQUEST_DONE);
    assert_ended(a[WRITES - 1], REQUEST_DONE);
    assert_int_equal(strlen(world.applied), WRITES * 100);
    assert_true(world.reads_done > 0);
}

enum { LACKED = 10 };

/* Held against a list without a window: appended and overwritten, above the window and below, and
 * dropped from the front, never what has to be kept. */
static void the_cache_has_what_was_put_into_it(void **state)
{
    enum { ENTRIES_MAX = 5000, STEPS = 20000, SIZE_MAX_HERE = 3 };
    static uint64_t terms[ENTRIES_MAX + 2];
    struct entry_cache cache;
    uint64_t chance = 1;
    raft_index first = 1, last = 0;
    (void)state;
    entry_cache_init(&cache, 0);
    for (uint64_t step = 1; step <= STEPS; step++) {
        bool overwrites = prng_next(&chance) % 2000 == 0 || last == ENTRIES_MAX;
        raft_index index = overwrites ? 1 + prng_next(&chance) % last : last + 1;
        struct blob *payload = blob_new(index % SIZE_MAX_HERE);
        memset(payload->data, 0, payload->size);
        entry_cache_put(&cache, &(struct raft_entry){.pos = {step, index},
                                                     .type = RAFT_ENTRY_COMMAND,
                                                     .size = (uint32_t)payload->size,
                                                     .payload = payload});
        blob_release(payload);
        terms[index] = step;
        last = index;
        first = index < first ? index : first;
        if (prng_next(&chance) % 3000 == 0) {
            raft_index keep_after = prng_next(&chance) % (last + 1);
            uint64_t bytes_max = cache.bytes / 2;
            entry_cache_shrink(&cache, keep_after, bytes_max);
            assert_true(cache.bytes <= bytes_max || cache.first == keep_after + 1 ||
                        keep_after < first);
            assert_true(cache.first <= keep_after + 1 || cache.first == first);
            first = cache.first;
        }
        assert_int_equal(cache.last, last);
        assert_int_equal(cache.first, first);
        assert_null(entry_cache_get(&cache, first - 1));
        assert_null(entry_cache_get(&cache, last + 1));
        for (raft_index at = step % 100 ? last : first; at <= last; at++) {
            const struct raft_entry *entry = entry_cache_get(&cache, at);
            assert_int_equal(entry->pos.index, at);
            assert_int_equal(entry->pos.term, terms[at]);
            assert_int_equal(entry->size, at % SIZE_MAX_HERE);
        }
        if (step % 100 == 0)
            check_cache(&cache);
    }
    assert_true(cache.capacity >= 4096); /* it grew more than once */
    entry_cache_deinit(&cache);
}

/* So many writes that node 2 does not have; what all have is not kept. */
static void lead_and_write(struct result a[LACKED])
{
    lead();
    world.replica->options.cache_calm_bytes = 0;
    for (int i = 0; i < LACKED; i++)
        ask_now(&a[i], REQUEST_WRITE, 1, "a");
    persist();
    receive(matched(1, status().last));
    run();
}

/* For a member that is a moment behind; one turn later it is known to have them. */
static void what_all_have_leaves_memory(void **state)
{
    static struct result a[LACKED];
    (void)state;
    lead_and_write(a);
    assert_ended(a[LACKED - 1], REQUEST_DONE);
    assert_true(world.replica->cache.last - world.replica->cache.first + 1 >= LACKED);
    receive(matched(2, status().last));
    run();
    assert_int_equal(world.replica->cache.bytes, 0);
}

/* It would be kept for as long as the member is away. */
static void for_who_lacks_more_memory_keeps_nothing(void **state)
{
    static struct result a[LACKED];
    (void)state;
    lead_and_write(a);
    raft_index first = world.replica->cache.first;
    assert_true(first <= status().last.index - LACKED + 1);
    world.replica->options.cache_bytes = world.replica->cache.bytes - 1;
    run(); /* now node 2 lacks what is not here any more */
    run();
    assert_true(world.replica->cache.first > first);
    assert_int_equal(world.replica->cache.bytes, 0);
}

/* Node 1 leads, and says what follows `prev`. */
static void receive_entry(struct raft_pos prev, raft_term term, const char *text)
{
    struct blob *command = blob_copy(bytes_from_string(text));
    struct blob *payload = entry_stamp(&(struct apply_context){.meaning = 1}, command);
    struct raft_entry entry = {.pos = {term, prev.index + 1},
                               .type = RAFT_ENTRY_COMMAND,
                               .size = (uint32_t)payload->size,
                               .payload = payload};
    struct raft_message message = heartbeat(1, term);
    message.append_request.prev = prev;
    message.append_request.entries = &entry;
    message.append_request.count = 1;
    receive(message);
    persist();
    blob_release(command);
    blob_release(payload);
}

/* Asked for in an earlier office, and read before another leader put its own into the place of the
 * last: none of it is sent. */
static void what_was_overwritten_since_it_was_read_is_not_sent(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    ask_and_commit(&a, REQUEST_WRITE, 1, "a");
    ask_now(&b, REQUEST_WRITE, 1, "b");
    persist();
    world.replica->options.cache_bytes = 0;
    run();
    world.reader_hangs = true;
    replica_disconnected(world.replica, 2, true, false);
    run();
    receive(matched(2, (struct raft_pos){1, 1}));
    assert_int_equal(world.reads_count, 1);
    struct raft_log_reading *reading = world.reads[0];
    world.reads_count = 0;
    reading->done = raft_log_read(world.log, reading->first, reading->count, reading->bytes_max,
                                  reading->entries);
    assert_int_equal(reading->done, 2);
    receive_entry((struct raft_pos){1, 2}, 2, "c");
    win_election();
    persist();
    replica_disconnected(world.replica, 2, true, false);
    run();
    receive(matched(2, (struct raft_pos){1, 1}));
    world.all_appended[0] = '\0';
    world.reader_hangs = false;
    replica_log_read(world.replica, reading);
    run();
    assert_string_equal(world.all_appended, "ac");
}

/* In one turn of the loop: another leader's entry takes the place, and is committed there. */
static void an_entry_of_another_leader_answers_nobody(void **state)
{
    static struct result a;
    (void)state;
    lead();
    ask_now(&a, REQUEST_WRITE, 1, "a");
    struct blob *command = blob_copy(bytes_from_string("b"));
    struct blob *payload =
        entry_stamp(&(struct apply_context){.meaning = 1, .now_ms = 1, .seed = 2}, command);
    struct raft_entry entry = {.pos = {status().term + 1, status().last.index},
                               .type = RAFT_ENTRY_COMMAND,
                               .size = (uint32_t)payload->size,
                               .payload = payload};
    struct raft_message message = {.type = RAFT_APPEND_REQUEST,
                                   .from = 1,
                                   .to = 0,
                                   .term = entry.pos.term,
                                   .append_request = {.prev = {1, entry.pos.index - 1},
                                                      .commit = entry.pos.index,
                                                      .count = 1,
                                                      .entries = &entry}};
    replica_receive(world.replica, &message, 0, world.clock_ms);
    replica_persisted(world.replica, world.written);
    run();
    assert_string_equal(world.applied, "b");
    assert_ended(a, REQUEST_UNKNOWN);
    blob_release(command);
    blob_release(payload);
}

static void a_read_that_nobody_confirms_ends_in_time(void **state)
{
    static struct result a;
    (void)state;
    lead();
    ask_within(&a, REQUEST_READ, 1, "a", 3 * TICK_MS);
    run();
    pass(2 * TICK_MS);
    assert_int_equal(a.calls, 0);
    pass(2 * TICK_MS);
    assert_int_equal(status().role, RAFT_LEADER);
    assert_ended(a, REQUEST_NOT_DONE);
    acknowledge(); /* the answer that came too late */
    assert_int_equal(a.calls, 1);
}

/* While the leadership is being handed over the core takes nothing. */
static void what_the_core_has_no_room_for_waits(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    struct raft_pos known = status().last;
    ask(&a, REQUEST_WRITE, 1, "a"); /* the other does not take it: it is never ready */
    run();
    replica_transfer(world.replica);
    ask(&b, REQUEST_WRITE, 2, "b");
    for (int i = 0; i < ELECTION_TICKS; i++) {
        assert_true(status().transferring);
        pass(TICK_MS);
        persist();
        receive(matched(1, known));
    }
    assert_int_equal(status().last.index, known.index + 2);
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_ended(b, REQUEST_DONE);
}

/* In one turn: the core gets them in parts. */
static void more_writes_than_a_proposal_holds(void **state)
{
    static struct result results[3 * APPEND_ENTRIES + 1];
    (void)state;
    lead();
    for (int i = 0; i <= 3 * APPEND_ENTRIES; i++)
        ask(&results[i], REQUEST_WRITE, 1, "a");
    raft_index before = status().last.index;
    run();
    assert_int_equal(status().last.index, before + 3 * APPEND_ENTRIES + 1);
    acknowledge();
    for (int i = 0; i <= 3 * APPEND_ENTRIES; i++)
        assert_ended(results[i], REQUEST_DONE);
}

/* So many writes are with the disk that the core takes no more: the first that is durable makes
 * room, and who waits for it does not wait for the next tick as well. */
static void room_in_the_core_is_used_at_once(void **state)
{
    static struct result results[RAFT_WRITES_MAX / 2], last;
    (void)state;
    lead();
    for (int i = 0; i < RAFT_WRITES_MAX / 2; i++)
        ask_now(&results[i], REQUEST_WRITE, 1, "a");
    raft_index before = status().last.index;
    ask_now(&last, REQUEST_WRITE, 1, "z");
    assert_int_equal(status().last.index, before);
    persist();
    assert_int_equal(status().last.index, before + 1);
    acknowledge();
    assert_ended(last, REQUEST_DONE);
}

static void the_log_is_cut_to_its_bounds(void **state)
{
    (void)state;
    lead();
    write_entries(LOG_ENTRIES_MAX - 1, 1);
    assert_int_equal(status().first.index, 0); /* it just fits */
    write_entries(3, 1);
    assert_int_equal(status().first.index, 3);
    assert_int_equal(status().last.index, LOG_ENTRIES_MAX + 3);
    world.persisted_index = 5;
    write_entries(5, 1);
    assert_int_equal(status().first.index, 5); /* a restart reads the rest again */
    world.persisted_index = 0;
    write_entries(1, 1);
    assert_int_equal(status().first.index, 9);
    stop();
    start();
    assert_int_equal(status().first.index, 9);
}

/* How a process ends that starts on data which were applied up to there. */
static int end_of_a_start(raft_index applied)
{
    int status = -1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        world.applied_index = applied;
        start();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A long log is cut in pieces, a tick each: the loop does other things between. */
static void a_long_log_is_cut_in_pieces(void **state)
{
    enum { PIECE = 1 << 16, ENTRIES = PIECE + 2000 };
    static struct result result;
    (void)state;
    lead();
    world.replica->options.log_entries_max = UINT32_MAX;
    world.replica->options.log_bytes_max = UINT32_MAX;
    world.replica->options.cache_bytes = 0;
    while (status().last.index < ENTRIES) {
        for (int i = 0; i < APPEND_ENTRIES; i++)
            ask(&result, REQUEST_WRITE, 1, "x");
        run();
        acknowledge();
        world.applied[0] = '\0';
    }
    raft_index first = status().first.index, last = status().last.index;
    world.replica->options.log_entries_max = LOG_ENTRIES_MAX;
    pass(TICK_MS);
    assert_int_equal(status().first.index, first + PIECE);
    pass(TICK_MS);
    assert_int_equal(last - status().first.index, LOG_ENTRIES_MAX);
}

static void data_and_log_that_do_not_meet(void **state)
{
    enum { EXIT_FATAL = 70 };
    (void)state;
    lead();
    write_entries(LOG_ENTRIES_MAX + 3, 1);
    raft_index first = status().first.index, last = status().last.index;
    assert_true(first > 1);
    stop();
    assert_int_equal(end_of_a_start(first), 0);
    assert_int_equal(end_of_a_start(last), 0);
    assert_int_equal(end_of_a_start(first - 1), EXIT_FATAL);
    assert_int_equal(end_of_a_start(last + 1), EXIT_FATAL);
    start();
}

/* An entry counts with its stamp and about what it costs beside it. */
static void a_log_of_large_entries_is_cut_by_its_bytes(void **state)
{
    const size_t entry = 1000, command = entry - 24 - ENTRY_OVERHEAD_BYTES;
    (void)state;
    lead();
    write_entries(3, command);
    assert_int_equal(status().first.index, 0);
    write_entries(1, command); /* and the no-op is too much */
    assert_int_equal(status().first.index, 1);
    write_entries(2, command);
    assert_int_equal(status().first.index, 3);
    write_entries(3, 2 * entry); /* over the bound, but so many are kept whatever they weigh */
    assert_int_equal(status().last.index - status().first.index, LOG_ENTRIES_MIN);
}

/* At a stop everything ends: what was appended may yet commit, what waited was never executed. */
static void a_stop_says_what_it_knows(void **state)
{
    static struct result appended, read, waiting, forwarded;
    (void)state;
    win_election();
    ask(&appended, REQUEST_WRITE, 1, "a");
    ask_now(&read, REQUEST_READ, 2, "r");
    ask(&waiting, REQUEST_WRITE, 3, "w");
    stop();
    assert_ended(appended, REQUEST_UNKNOWN);
    assert_ended(read, REQUEST_NOT_DONE);
    assert_ended(waiting, REQUEST_NOT_DONE);
    start();
    follow(1, 2);
    ask_now(&forwarded, REQUEST_WRITE, 1, "f");
    assert_int_equal(world.forwards_count, 1);
    stop();
    assert_ended(forwarded, REQUEST_UNKNOWN);
    start();
}

/* A loop that comes round every tick and a half: half of them is no less time. */
static void parts_of_ticks_add_up(void **state)
{
    enum { ROUNDS = 20, HEARTBEAT_TICKS = 2, FOLLOWERS = 2 };
    (void)state;
    lead();
    uint32_t before = world.appends;
    for (int i = 0; i < ROUNDS; i++) {
        world.now_ms += TICK_MS * 3 / 2;
        replica_tick(world.replica, world.now_ms, world.now_ms);
        run();
        receive(matched(1, status().last));
    }
    assert_in_range(world.appends - before, FOLLOWERS * (ROUNDS * 3 / 2 / HEARTBEAT_TICKS - 1),
                    FOLLOWERS * (ROUNDS * 3 / 2 / HEARTBEAT_TICKS + 1));
}

static void a_process_that_slept_listens_first(void **state)
{
    (void)state;
    follow(1, 1);
    world.now_ms += 100 * ELECTION_TICKS * TICK_MS;
    for (int i = 0; i < 2 * ELECTION_TICKS; i++) { /* what it slept is not made up for later */
        replica_tick(world.replica, world.now_ms, world.now_ms);
        run();
    }
    assert_int_equal(status().role, RAFT_FOLLOWER);
    assert_int_equal(status().leader, 1);
    pass(3 * ELECTION_TICKS * TICK_MS);
    assert_int_equal(status().role, RAFT_PRE_CANDIDATE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int run_leading(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_is_answered_when_it_is_applied),
        TEST(the_limit_of_values_is_the_leaders),
        TEST(an_entry_of_the_first_version_is_understood),
        TEST(a_leader_stamps_what_all_members_know),
        TEST(what_the_members_meaning_lacks_is_not_proposed),
        TEST(a_new_leader_refuses_nothing_before_it_knows),
        TEST(an_entry_of_a_higher_meaning_ends_the_process),
        TEST(a_read_waits_for_confirmation_and_for_the_noop),
        TEST(a_long_read_sees_one_state_and_holds_up_nobody),
        TEST(a_long_read_is_told_what_may_be_behind_it),
        TEST(a_long_read_outlives_the_office),
        TEST(a_long_read_of_a_client_that_left_is_dropped),
        TEST(a_long_read_goes_on_after_its_deadline),
        TEST(a_long_read_without_room_begins_again),
        TEST(a_turn_ends_by_the_work_done),
        TEST(nothing_comes_between_the_slices_of_a_write),
        TEST(a_long_write_outlives_the_leadership),
        TEST(a_reply_larger_than_wanted_is_not_given),
        TEST(large_replies_are_spread_over_turns),
        TEST(reads_that_are_much_work_are_spread_over_turns),
        TEST(large_writes_are_spread_over_turns),
        TEST(a_larger_write_is_copied_some_in_each_turn),
        TEST(a_forward_of_many_words_is_taken_apart_some_in_each_turn),
        TEST(a_node_that_takes_its_replies_slowly_waits_alone),
        TEST(a_deposed_leader_does_not_know),
        TEST(replies_meet_their_requests),
        TEST(a_commit_that_tells_is_said_at_once),
        TEST(a_forward_of_another_term_is_refused),
        TEST(a_forward_hears_which_entry_tells),
        TEST(a_forward_is_answered_with_all_of_its_reply),
        TEST(what_is_done_is_counted),
    };
    return cmocka_run_group_tests_name("replica, leading", tests, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_forward_is_answered_by_its_number),
        TEST(a_reply_waits_for_what_its_entry_tells),
        TEST(a_reply_does_not_wait_for_what_is_applied),
        TEST(replies_to_an_earlier_life_are_dropped),
        TEST(what_is_refused_goes_on_in_order),
        TEST(what_comes_back_waits_by_its_age),
        TEST(another_client_does_not_wait),
        TEST(a_broken_connection_leaves_writes_unknown),
        TEST(what_is_lost_is_lost_once),
        TEST(nobody_leads),
        TEST(what_waits_is_bounded),
        TEST(the_leader_is_silent),
        TEST(the_leader_is_gone),
        TEST(a_late_commit_answers_nobody),
        TEST(an_abandoned_request_runs_on),
        TEST(the_log_knows_no_earlier_time),
        TEST(a_replay_waits_for_the_state_machine),
        TEST(a_read_waits_until_its_index_is_applied),
        TEST(what_is_not_on_disk_is_sent_from_memory),
        TEST(what_there_is_no_room_for_waits),
        TEST(what_waits_is_given_up_where_the_member_lacks_more),
        TEST(a_member_is_fed_from_disk_beside_all_else),
        TEST(what_is_read_too_late_is_dropped),
        TEST(the_cache_has_what_was_put_into_it),
        TEST(what_all_have_leaves_memory),
        TEST(for_who_lacks_more_memory_keeps_nothing),
        TEST(applying_slowly_holds_no_more_than_the_cache),
        TEST(what_was_overwritten_since_it_was_read_is_not_sent),
        TEST(an_entry_of_another_leader_answers_nobody),
        TEST(a_read_that_nobody_confirms_ends_in_time),
        TEST(what_the_core_has_no_room_for_waits),
        TEST(room_in_the_core_is_used_at_once),
        TEST(more_writes_than_a_proposal_holds),
        TEST(what_memory_has_is_not_read),
        TEST(the_log_is_cut_to_its_bounds),
        TEST(a_long_log_is_cut_in_pieces),
        TEST(data_and_log_that_do_not_meet),
        TEST(a_log_of_large_entries_is_cut_by_its_bytes),
        TEST(a_stop_says_what_it_knows),
        TEST(parts_of_ticks_add_up),
        TEST(a_process_that_slept_listens_first),
    };
    int failed = run_leading();
    return failed + cmocka_run_group_tests_name("replica", tests, NULL, NULL);
}
