/* Members that fell off the log: what a leader sends, keeps and gives up, and what a member asks
 * for, takes and adopts.  The port that reads and stages is played by the test. */
#include "test_replica.h"

enum { SENT_MAX = 256, CHUNK_SIZE = 100, SECOND_MS = 1000 };

static struct {
    struct snapshot_port port; /* first */
    struct snapshot_message sent[SENT_MAX];
    uint32_t sent_count;

    /* a leader's */
    int sources[8];
    uint32_t opened, closed, reads_wanted; /* reads: asked for and not given */
    void *reading;                         /* the source of the last one */
    bool not_now;
    size_t chunk_size;

    /* a member's */
    uint64_t begun; /* session */
    uint32_t begins, drops, taken;
} played;

static void *open_source(struct snapshot_port *port, struct raft_pos *pos, uint64_t *bytes)
{
    (void)port;
    if (played.not_now)
        return NULL;
    *pos = (struct raft_pos){raft_term_at(world.replica->raft, world.applied_index),
                             world.applied_index};
    *bytes = 12345;
    return &played.sources[played.opened++];
}

static void read_source(struct snapshot_port *port, void *source)
{
    (void)port;
    played.reads_wanted++;
    played.reading = source;
}

static void close_source(struct snapshot_port *port, void *source)
{
    (void)port;
    assert_in_range((int *)source - played.sources, 0, played.opened - 1);
    played.closed++;
}

static void begin_stage(struct snapshot_port *port, uint64_t id)
{
    (void)port;
    played.begun = id;
    played.begins++;
    played.taken = 0;
}

static void take_chunk(struct snapshot_port *port, struct blob *chunk)
{
    (void)port;
    assert_non_null(chunk);
    played.taken++;
}

static void drop_stage(struct snapshot_port *port)
{
    (void)port;
    played.drops++;
}

static const struct snapshot_port_ops played_ops = {open_source, read_source, close_source,
                                                    begin_stage, take_chunk,  drop_stage};

static void on_snapshot(const struct snapshot_message *message)
{
    assert_true(played.sent_count < SENT_MAX);
    played.sent[played.sent_count++] = *message;
}

static int begin(void **state)
{
    set_up(state);
    stop();
    memset(&played, 0, sizeof played);
    played.port.ops = &played_ops;
    played.chunk_size = CHUNK_SIZE;
    world.snapshots = &played.port;
    world.on_snapshot = on_snapshot;
    start();
    return 0;
}

/* ---- verbs ------------------------------------------------------------------------- */

static void forget_sent(void)
{
    played.sent_count = 0;
}

/* How many of the kind were sent since. */
static uint32_t sent(enum snapshot_message_type type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < played.sent_count; i++)
        count += played.sent[i].type == type;
    return count;
}

static const struct snapshot_message *last_sent(enum snapshot_message_type type)
{
    for (uint32_t i = played.sent_count; i > 0; i--)
        if (played.sent[i - 1].type == type)
            return &played.sent[i - 1];
    fail_msg("none of kind %d was sent", type);
    return NULL;
}

static void hear(struct snapshot_message message)
{
    message.to = 0;
    replica_receive_snapshot(world.replica, &message);
    blob_release(message.payload);
    run();
}

static struct snapshot_message said_by(raft_node_id from, enum snapshot_message_type type,
                                       uint64_t id, uint64_t number)
{
    return (struct snapshot_message){
        .type = type, .from = from, .term = status().term, .id = id, .number = number};
}

static struct replica_status all(void)
{
    struct replica_status now;
    replica_status(world.replica, &now);
    return now;
}

/* ---- a leader ---------------------------------------------------------------------- */

static struct raft_message rejected(raft_node_id from, struct raft_pos hint)
{
    struct raft_message message = matched(from, hint);
    message.append_response.matched = false;
    return message;
}

static void write_some(int count)
{
    struct result result;
    for (int i = 0; i < count; i++)
        ask_and_commit(&result, REQUEST_WRITE, 1, "w");
}

/* Time, in which nodes 1 and 2 answer. */
static void pass_with_answers(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += 5 * TICK_MS) {
        pass(5 * TICK_MS);
        receive(matched(1, status().last));
        receive(rejected(2, (struct raft_pos){0, 0}));
    }
}

/* Node 0 leads, its log was cut, and node 2 has nothing. */
static void lead_without_node_2(void)
{
    lead();
    write_some(3 * LOG_ENTRIES_MAX);
    pass_with_answers(SECOND_MS);
    assert_true(status().first.index > 0);
}

static void lead_and_know(uint8_t meaning)
{
    lead_without_node_2();
    replica_announced(world.replica, 2, meaning);
}

/* The port has read what it was asked for. */
static void give_chunk(bool is_last)
{
    assert_int_equal(played.reads_wanted, 1);
    played.reads_wanted = 0;
    replica_snapshot_read(world.replica, played.reading, blob_new(played.chunk_size), is_last);
    run();
}

static uint64_t session_with(raft_node_id node)
{
    hear(said_by(node, SNAPSHOT_FETCH, 0, 0));
    const struct snapshot_message *message = last_sent(SNAPSHOT_BEGIN);
    assert_int_equal(message->to, node);
    return message->id;
}

static void test_offer(void **state)
{
    (void)state;
    lead_without_node_2();
    pass_with_answers(2 * SECOND_MS);
    assert_int_equal(played.sent_count, 0); /* nobody knows what its build knows */
    replica_announced(world.replica, 2, 4);
    pass_with_answers(2 * SECOND_MS);
    assert_int_equal(played.sent_count, 0);
    replica_announced(world.replica, 2, 5);
    pass_with_answers(SECOND_MS);
    assert_in_range(sent(SNAPSHOT_OFFER), 1, 3);
    assert_int_equal(last_sent(SNAPSHOT_OFFER)->to, 2);
    assert_int_equal(last_sent(SNAPSHOT_OFFER)->pos.index, status().first.index);
    assert_int_equal(last_sent(SNAPSHOT_OFFER)->pos.term, status().first.term);
    forget_sent();
    for (int i = 0; i < 40; i++) { /* it is silent */
        pass(5 * TICK_MS);
        receive(matched(1, status().last));
    }
    forget_sent();
    for (int i = 0; i < 40; i++) {
        pass(5 * TICK_MS);
        receive(matched(1, status().last));
    }
    assert_int_equal(sent(SNAPSHOT_OFFER), 0);
}

static void test_window(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2);
    struct raft_members members;
    const struct snapshot_message *message = last_sent(SNAPSHOT_BEGIN);
    assert_int_not_equal(id, 0);
    assert_int_equal(message->pos.index, status().applied);
    assert_int_equal(message->bytes, 12345);
    assert_true(raft_members_decode(&members, blob_bytes(message->payload)));
    assert_int_equal(members.count, 3);
    for (unsigned i = 0; i < SENDING_CHUNKS_MAX; i++) {
        give_chunk(false);
        assert_int_equal(last_sent(SNAPSHOT_CHUNK)->number, i);
        assert_int_equal(last_sent(SNAPSHOT_CHUNK)->id, id);
    }
    assert_int_equal(played.reads_wanted, 0); /* no more ahead of what it has staged */
    hear(said_by(2, SNAPSHOT_FETCH, id, 2));
    give_chunk(false);
    give_chunk(true);
    assert_int_equal(played.reads_wanted, 0);
    assert_int_equal(sent(SNAPSHOT_CHUNK), SENDING_CHUNKS_MAX + 2);
    assert_int_equal(played.closed, 0);
    hear(said_by(2, SNAPSHOT_FETCH, id, SENDING_CHUNKS_MAX + 2));
    assert_int_equal(played.closed, 1); /* all is there: the view is not needed any more */
    assert_true(all().sendings[0].is_delivered);
}

/* What INFO shows of a sending. */
static void test_sending_is_told(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2);
    raft_index at = status().applied;
    for (int i = 0; i < 3; i++)
        give_chunk(false);
    hear(said_by(2, SNAPSHOT_FETCH, id, 2));
    write_some(1);
    struct replica_status now = all();
    assert_int_equal(now.sendings_count, 1);
    assert_int_equal(now.sendings[0].to, 2);
    assert_int_equal(now.sendings[0].index, at);
    assert_int_equal(now.sendings[0].chunks, 2); /* that it has staged */
    assert_int_equal(now.sendings[0].bytes, 2 * CHUNK_SIZE);
    assert_int_equal(now.sendings[0].bytes_expected, 12345);
    assert_false(now.sendings[0].is_delivered);
    assert_false(now.install.is_under_way);
}

static void test_large_chunks(void **state)
{
    (void)state;
    lead_and_know(5);
    played.chunk_size = SENDING_BYTES_MAX;
    uint64_t id = session_with(2);
    give_chunk(false);
    assert_int_equal(played.reads_wanted, 0);
    hear(said_by(2, SNAPSHOT_FETCH, id, 1));
    give_chunk(false);
}

static void test_room_and_pace(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2);
    world.entries_full = true;
    give_chunk(false);
    assert_int_equal(sent(SNAPSHOT_CHUNK), 0);
    world.entries_full = false;
    run();
    assert_int_equal(sent(SNAPSHOT_CHUNK), 1);
    replica_set_snapshot_pace(world.replica, 10 * CHUNK_SIZE);
    hear(said_by(2, SNAPSHOT_FETCH, id, 1));
    forget_sent();
    for (int i = 0; i < 200; i++) { /* two seconds */
        if (played.reads_wanted)
            give_chunk(false);
        pass(TICK_MS);
        receive(matched(1, status().last));
        if (sent(SNAPSHOT_CHUNK))
            hear(said_by(2, SNAPSHOT_FETCH, id, last_sent(SNAPSHOT_CHUNK)->number + 1));
    }
    assert_in_range(sent(SNAPSHOT_CHUNK), 18, 23);
}

/* Where nothing was sent for long, no more goes at once than else. */
static void test_pace_is_not_saved_up(void **state)
{
    (void)state;
    lead_and_know(5);
    replica_set_snapshot_pace(world.replica, 10 * CHUNK_SIZE);
    pass_with_answers(10 * SECOND_MS);
    uint64_t id = session_with(2);
    for (int i = 0; i < 100; i++) { /* a second */
        while (played.reads_wanted)
            give_chunk(false);
        hear(said_by(2, SNAPSHOT_FETCH, id, sent(SNAPSHOT_CHUNK)));
        pass(TICK_MS);
        receive(matched(1, status().last));
    }
    assert_in_range(sent(SNAPSHOT_CHUNK), 9, 13);
}

/* What went while there was none is not held against it. */
static void test_pace_begins_when_it_is_set(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2), number = 0;
    for (; number < 200; number++) { /* 20 seconds' worth */
        give_chunk(false);
        hear(said_by(2, SNAPSHOT_FETCH, id, number + 1));
        forget_sent();
    }
    replica_set_snapshot_pace(world.replica, 10 * CHUNK_SIZE);
    for (int i = 0; i < 100; i++) { /* a second */
        while (played.reads_wanted)
            give_chunk(false);
        hear(said_by(2, SNAPSHOT_FETCH, id, number + sent(SNAPSHOT_CHUNK)));
        pass(TICK_MS);
        receive(matched(1, status().last));
    }
    assert_in_range(sent(SNAPSHOT_CHUNK), 9, 13);
}

/* It takes longer in all than anybody waits for a single chunk. */
static void test_slow_and_steady(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2);
    for (uint64_t i = 1; i <= 6; i++) {
        give_chunk(false);
        forget_sent();
        pass_with_answers(20 * SECOND_MS);
        hear(said_by(2, SNAPSHOT_FETCH, id, i));
    }
    assert_int_equal(all().sendings_count, 1);
    assert_int_equal(all().sendings[0].chunks, 6);
    assert_int_equal(played.closed, 0);
    give_chunk(false);
    forget_sent();
    pass_with_answers(70 * SECOND_MS); /* now it takes nothing */
    assert_int_equal(played.closed, 1);
    assert_int_equal(all().sendings_count, 0);
}

static void test_lost_connection(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2);
    for (int i = 0; i < 4; i++)
        give_chunk(false);
    hear(said_by(2, SNAPSHOT_FETCH, id, 2));
    forget_sent();
    replica_disconnected(world.replica, 2, true, false);
    run();
    assert_int_equal(sent(SNAPSHOT_CHUNK), 2); /* what it has not staged, again */
    assert_int_equal(played.sent[0].number, 2);
    assert_int_equal(sent(SNAPSHOT_BEGIN), 0);
    forget_sent();
    struct snapshot_message again = said_by(2, SNAPSHOT_FETCH, id, 3);
    again.again = true;
    hear(again);
    assert_int_equal(sent(SNAPSHOT_CHUNK), 1);
    assert_int_equal(played.sent[0].number, 3);
    assert_int_equal(played.opened, 1);
}

static void test_first_answer_lost(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2);
    give_chunk(false);
    forget_sent();
    assert_int_equal(session_with(2), id); /* the same one, from its beginning */
    assert_int_equal(sent(SNAPSHOT_CHUNK), 1);
    assert_int_equal(played.opened, 1);
    hear(said_by(2, SNAPSHOT_FETCH, id, 1));
    assert_int_not_equal(session_with(2), id); /* it has forgotten what it had */
    assert_int_equal(played.opened, 2);
    assert_int_equal(played.closed, 1);
}

static void test_gone(void **state)
{
    (void)state;
    lead_and_know(5);
    hear(said_by(2, SNAPSHOT_FETCH, 99, 0));
    assert_int_equal(last_sent(SNAPSHOT_GONE)->id, 99);
    uint64_t id = session_with(2);
    forget_sent();
    hear(said_by(1, SNAPSHOT_FETCH, id, 0)); /* another's */
    assert_int_equal(last_sent(SNAPSHOT_GONE)->to, 1);
    assert_int_equal(played.closed, 0);
    hear(said_by(2, SNAPSHOT_FETCH, id, 1)); /* it cannot have that */
    assert_int_equal(played.closed, 1);
    assert_int_equal(all().sendings_count, 0);
    struct snapshot_message old = said_by(2, SNAPSHOT_FETCH, 0, 0);
    old.term--;
    hear(old);
    assert_int_equal(all().sendings_count, 0);
}

static void test_bounded(void **state)
{
    (void)state;
    lead_and_know(5);
    played.not_now = true;
    hear(said_by(2, SNAPSHOT_FETCH, 0, 0));
    assert_int_equal(all().sendings_count, 0);
    played.not_now = false;
    session_with(2);
    session_with(1);
    forget_sent();
    hear(said_by(3, SNAPSHOT_FETCH, 0, 0)); /* no member */
    assert_int_equal(sent(SNAPSHOT_BEGIN), 0);
    assert_int_equal(played.opened, SENDINGS_MAX);
    pass_with_answers(59 * SECOND_MS);
    assert_int_equal(played.closed, 1); /* node 1 has all there is */
    pass_with_answers(2 * SECOND_MS);
    assert_int_equal(played.closed, 2); /* node 2 took nothing */
}

/* Nothing of it is staged: the next leader may as well begin. */
static void test_office_lost_at_the_beginning(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2);
    follow(1, status().term + 1);
    assert_int_equal(played.closed, 1);
    forget_sent();
    hear(said_by(2, SNAPSHOT_FETCH, 0, 0)); /* that is asked of who leads */
    assert_int_equal(played.sent_count, 0);
    hear(said_by(2, SNAPSHOT_FETCH, id, 0));
    assert_int_equal(last_sent(SNAPSHOT_GONE)->id, id);
    assert_int_equal(played.opened, 1);
}

/* What is staged there counts, whoever leads. */
static void test_office_lost_in_the_midst(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2);
    give_chunk(false);
    hear(said_by(2, SNAPSHOT_FETCH, id, 1));
    follow(1, status().term + 1);
    assert_int_equal(played.closed, 0);
    forget_sent();
    give_chunk(false);
    assert_int_equal(last_sent(SNAPSHOT_CHUNK)->number, 1);
    assert_int_equal(last_sent(SNAPSHOT_CHUNK)->term, status().term);
    hear(said_by(2, SNAPSHOT_FETCH, id, 2));
    give_chunk(true);
    assert_int_equal(last_sent(SNAPSHOT_CHUNK)->number, 2);
    hear(said_by(2, SNAPSHOT_FETCH, id, 3));
    assert_int_equal(played.closed, 1); /* nothing more is to be done here */
    assert_int_equal(all().sendings_count, 0);
    assert_int_equal(sent(SNAPSHOT_GONE), 0);
}

static void test_office_lost_and_silence(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2);
    give_chunk(false);
    hear(said_by(2, SNAPSHOT_FETCH, id, 1));
    follow(1, status().term + 1);
    raft_term term = status().term;
    int passed = 0;
    for (; all().sendings_count > 0 && passed < 300; passed++) {
        pass(5 * TICK_MS);
        receive(heartbeat(1, term));
    }
    assert_in_range(passed, 195, 215); /* ten seconds */
    assert_int_equal(played.closed, 1);
}

/* Node 2 gets the state of an earlier leader: what it will need is kept, and no longer. */
static void test_log_is_held_for_anothers(void **state)
{
    (void)state;
    lead_and_know(5);
    raft_index at = status().applied;
    struct snapshot_message message = said_by(2, SNAPSHOT_FETCH, 99, 3);
    message.pos = status().last;
    forget_sent();
    hear(message);
    assert_int_equal(sent(SNAPSHOT_GONE), 0);
    write_some(3 * LOG_ENTRIES_MAX);
    pass_with_answers(SECOND_MS);
    assert_int_equal(status().first.index, at);
    pass_with_answers(58 * SECOND_MS);
    assert_int_equal(status().first.index, at);
    pass_with_answers(3 * SECOND_MS); /* it is not heard of any more */
    assert_true(status().first.index > at);
    at = status().first.index;
    hear(message); /* that is gone */
    write_some(3 * LOG_ENTRIES_MAX);
    pass_with_answers(SECOND_MS);
    assert_true(status().first.index > at);
    message.pos = status().last;
    hear(message);
    at = status().last.index;
    write_some((SENDING_LOG_FACTOR + 1) * LOG_ENTRIES_MAX); /* not without end */
    pass_with_answers(SECOND_MS);
    assert_true(status().first.index > at);
}

/* Of nodes 0 to 2; in force at once. */
static void propose_members_without(raft_node_id gone)
{
    struct raft_members members = {0};
    for (raft_node_id id = 0; id < 3; id++)
        if (id != gone)
            members.list[members.count++] = (struct raft_member){.id = id, .voter = true};
    struct buffer bytes = {0};
    raft_members_encode(&bytes, &members);
    struct raft_entry entry = {.type = RAFT_ENTRY_MEMBERS,
                               .size = (uint32_t)bytes.size,
                               .payload = blob_copy(buffer_bytes(&bytes))};
    struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {&entry, 1}};
    assert_int_equal(replica_step(world.replica, &input), RAFT_OK);
    assert_int_equal(raft_members(world.replica->raft)->count, 2);
    blob_release(entry.payload);
    buffer_deinit(&bytes);
}

/* Node 2 is taken out while it is sent a state. */
static void test_removed(void **state)
{
    (void)state;
    lead_and_know(5);
    session_with(2);
    propose_members_without(2);
    acknowledge();
    for (int i = 0; i < 20; i++) {
        pass(5 * TICK_MS);
        receive(matched(1, status().last));
    }
    assert_int_equal(played.closed, 1);
    assert_int_equal(all().sendings_count, 0);
}

/* What the port still has for a sending that is over. */
static void test_late_chunk(void **state)
{
    (void)state;
    lead_and_know(5);
    session_with(2);
    void *source = played.reading;
    follow(1, status().term + 1); /* nothing is staged: it ends */
    replica_snapshot_read(world.replica, source, blob_new(9), false);
    run();
    assert_int_equal(sent(SNAPSHOT_CHUNK), 0);
}

static void test_log_is_kept(void **state)
{
    (void)state;
    lead_and_know(5);
    session_with(2);
    raft_index at = status().applied;
    write_some(3 * LOG_ENTRIES_MAX);
    pass_with_answers(SECOND_MS);
    assert_int_equal(status().first.index, at);
    assert_true(status().last.index - at >= 3 * LOG_ENTRIES_MAX);
    write_some(SENDING_LOG_FACTOR * LOG_ENTRIES_MAX);
    pass_with_answers(SECOND_MS);
    assert_true(status().first.index > at); /* not for ever */
    assert_int_equal(all().sendings_count, 0);
    assert_int_equal(played.closed, 1);
}

/* However long the log is: nothing of it could be cut, it only waits for the member. */
static void test_nothing_could_be_cut(void **state)
{
    (void)state;
    lead_and_know(5);
    session_with(2);
    write_some(3 * LOG_ENTRIES_MAX);
    pass_with_answers(SECOND_MS); /* its log begins where the state is */
    world.persisted_index = status().first.index;
    write_some(2 * SENDING_LOG_FACTOR * LOG_ENTRIES_MAX);
    pass_with_answers(SECOND_MS);
    assert_int_equal(all().sendings_count, 1);
    world.persisted_index = 0;
    pass_with_answers(SECOND_MS);
    assert_int_equal(all().sendings_count, 0);
}

/* What node 2 has is what its answers say: here and in what follows. */
static void pass_with_match(int64_t ms, struct raft_pos match)
{
    for (int64_t i = 0; i < ms; i += 5 * TICK_MS) {
        pass(5 * TICK_MS);
        receive(matched(1, status().last));
        receive(matched(2, match));
    }
}

static struct raft_pos at_entry(raft_index index)
{
    return (struct raft_pos){raft_term_at(world.replica->raft, index), index};
}

/* Node 2 has adopted a state behind which more was written than the log's bounds allow.  Returns
 * its position. */
static raft_index go_on_behind(int count)
{
    lead_and_know(5);
    uint64_t id = session_with(2);
    raft_index at = status().applied;
    give_chunk(true);
    hear(said_by(2, SNAPSHOT_FETCH, id, 1));
    write_some(count);
    pass_with_answers(SECOND_MS); /* it starts again */
    assert_int_equal(status().first.index, at);
    assert_int_equal(all().sendings_count, 1);
    pass_with_match(SECOND_MS, at_entry(at));
    assert_int_equal(all().sendings_count, 0);
    return at;
}

static void test_it_goes_on(void **state)
{
    (void)state;
    raft_index at = go_on_behind(3 * LOG_ENTRIES_MAX);
    assert_int_equal(status().first.index, at); /* it lacks all of that yet */
    for (raft_index match = at; match < status().last.index; match += 4) {
        pass_with_match(SECOND_MS, at_entry(match));
        assert_int_equal(status().first.index, match <= status().last.index - LOG_ENTRIES_MAX
                                                   ? match
                                                   : status().last.index - LOG_ENTRIES_MAX);
    }
    pass_with_match(SECOND_MS, status().last);
    write_some(3 * LOG_ENTRIES_MAX); /* now it is a member like any other */
    pass(SECOND_MS);
    assert_int_equal(status().first.index, status().last.index - LOG_ENTRIES_MAX);
}

/* A member that stands before it in the list is removed. */
static void test_it_moves_in_the_list(void **state)
{
    (void)state;
    raft_index at = go_on_behind(3 * LOG_ENTRIES_MAX);
    assert_int_equal(all().held[2], at);
    propose_members_without(1);
    pass_with_match(SECOND_MS, at_entry(at));
    assert_int_equal(status().first.index, at);
    assert_int_equal(all().held[1], at);
    assert_int_equal(all().held[2], 0);
    pass_with_match(SECOND_MS, at_entry(at + 3));
    assert_int_equal(status().first.index, at + 3);
}

/* It takes all that the log held when it was looked at, but there is more by then. */
static void test_it_runs_after_the_log(void **state)
{
    (void)state;
    raft_index at = go_on_behind(3 * LOG_ENTRIES_MAX);
    for (int i = 0; i < 6; i++) {
        at = status().last.index;
        write_some(2 * LOG_ENTRIES_MAX);
        pass_with_match(SECOND_MS, at_entry(at));
        assert_int_equal(status().first.index, at);
    }
}

/* It lacks no more than the bounds, but has not caught up: meanwhile more is written. */
static void test_it_is_near(void **state)
{
    (void)state;
    go_on_behind(3 * LOG_ENTRIES_MAX);
    raft_index match = status().last.index - LOG_ENTRIES_MAX / 2;
    pass_with_match(SECOND_MS, at_entry(match));
    write_some(2 * LOG_ENTRIES_MAX);
    pass_with_match(SECOND_MS, at_entry(match));
    assert_int_equal(status().first.index, match);
}

/* What went on dies: it is waited for, for a while. */
static void test_it_goes_no_further(void **state)
{
    (void)state;
    raft_index at = go_on_behind(3 * LOG_ENTRIES_MAX);
    pass_with_match(50 * SECOND_MS, at_entry(at + 1));
    assert_int_equal(status().first.index, at + 1);
    pass_with_match(20 * SECOND_MS, at_entry(at + 1));
    assert_int_equal(status().first.index, status().last.index - LOG_ENTRIES_MAX);
    write_some(3 * LOG_ENTRIES_MAX);
    pass(SECOND_MS);
    assert_int_equal(status().first.index, status().last.index - LOG_ENTRIES_MAX);
}

/* It takes less than is written: not for ever. */
static void test_it_is_too_slow(void **state)
{
    (void)state;
    raft_index at = go_on_behind(3 * LOG_ENTRIES_MAX);
    raft_index kept = 0;
    for (raft_index match = at; status().first.index <= match; match++) {
        kept = status().last.index - status().first.index;
        write_some(LOG_ENTRIES_MAX);
        pass_with_match(SECOND_MS, at_entry(match));
    }
    assert_in_range(kept, (SENDING_LOG_FACTOR - 2) * LOG_ENTRIES_MAX,
                    (SENDING_LOG_FACTOR + 1) * LOG_ENTRIES_MAX);
    assert_int_equal(status().first.index, status().last.index - LOG_ENTRIES_MAX);
}

/* Node 1, whose state is newer, is not given up for node 2.  (It has all of the log as well, since
 * one of the two has to: that is seen at the next look at the members.) */
static void test_the_slower_one_is_given_up(void **state)
{
    (void)state;
    raft_index at = go_on_behind(3 * LOG_ENTRIES_MAX);
    raft_index newer = status().applied;
    session_with(1);
    write_some((SENDING_LOG_FACTOR - 3) * LOG_ENTRIES_MAX);
    pass(TICK_MS);
    assert_int_equal(status().first.index, at);
    write_some(2 * LOG_ENTRIES_MAX);
    pass(TICK_MS);
    assert_int_equal(status().first.index, newer);
    assert_int_equal(all().sendings_count, 1);
    assert_int_equal(all().sendings[0].to, 1);
}

/* The same node leads again at once: what it kept is still there. */
static void test_office_lost_and_won(void **state)
{
    (void)state;
    raft_index at = go_on_behind(3 * LOG_ENTRIES_MAX);
    follow(1, status().term + 1);
    pass(50 * TICK_MS);
    assert_int_equal(status().first.index, at);
    win_election();
    acknowledge();
    pass_with_match(5 * SECOND_MS, at_entry(at));
    assert_int_equal(status().first.index, at);
    pass_with_match(SECOND_MS, status().last);
    assert_int_equal(status().first.index, status().last.index - LOG_ENTRIES_MAX);
}

/* Another leads, who has cut its log: what is kept here is soon of no use. */
static void test_office_lost_while_it_goes_on(void **state)
{
    (void)state;
    raft_index at = go_on_behind(3 * LOG_ENTRIES_MAX);
    follow(1, status().term + 1);
    pass(9 * SECOND_MS);
    assert_int_equal(status().first.index, at);
    pass(2 * SECOND_MS);
    assert_int_equal(status().first.index, status().last.index - LOG_ENTRIES_MAX);
}

/* It has it all, and was not heard with it yet. */
static void test_office_lost_behind_the_end(void **state)
{
    (void)state;
    lead_and_know(5);
    uint64_t id = session_with(2);
    raft_index at = status().applied;
    give_chunk(true);
    hear(said_by(2, SNAPSHOT_FETCH, id, 1));
    write_some(3 * LOG_ENTRIES_MAX);
    follow(1, status().term + 1);
    pass(50 * TICK_MS);
    assert_int_equal(all().sendings_count, 0);
    assert_int_equal(status().first.index, at);
    pass(11 * SECOND_MS);
    assert_int_equal(status().first.index, status().last.index - LOG_ENTRIES_MAX);
}

/* It begins again: it needs a state, and no log. */
static void test_it_begins_again(void **state)
{
    (void)state;
    raft_index at = go_on_behind(3 * LOG_ENTRIES_MAX);
    raft_index newer = status().applied;
    session_with(2);
    pass_with_match(SECOND_MS, at_entry(at));
    assert_int_equal(status().first.index, status().last.index - LOG_ENTRIES_MAX);
    assert_true(newer >= status().first.index);
}

/* ---- a member ---------------------------------------------------------------------- */

enum { TERM = 7, LEADER = 1, SESSION = 42, MEMBERS_AT = 77 };

static struct raft_pos place(raft_term term, raft_index index)
{
    return (struct raft_pos){term, index};
}

static struct snapshot_message offer(void)
{
    struct snapshot_message message = said_by(LEADER, SNAPSHOT_OFFER, 0, 0);
    message.pos = place(TERM, 100);
    return message;
}

static struct blob *members_blob(uint32_t count)
{
    struct raft_members members = {.count = count};
    for (uint32_t i = 0; i < count; i++)
        members.list[i] = (struct raft_member){.id = i, .voter = true, .address = "h:1"};
    return raft_members_blob(&members);
}

static struct snapshot_message beginning(uint64_t id)
{
    struct snapshot_message message = said_by(LEADER, SNAPSHOT_BEGIN, id, 0);
    message.pos = place(TERM, 120);
    message.bytes = 1000;
    message.number = MEMBERS_AT;
    message.payload = members_blob(4); /* one was taken in meanwhile */
    return message;
}

static struct snapshot_message chunk(uint64_t id, uint64_t number)
{
    struct snapshot_message message = said_by(LEADER, SNAPSHOT_CHUNK, id, number);
    message.payload = blob_new(CHUNK_SIZE);
    return message;
}

/* Node 1 leads, and has entries here up to 20, of term 3, ten of them committed. */
static void follow_with_old_entries(void)
{
    struct raft_entry entries[20];
    for (unsigned i = 0; i < 20; i++)
        entries[i] = (struct raft_entry){.pos = {3, i + 1}, .type = RAFT_ENTRY_NOOP};
    struct raft_message message = heartbeat(LEADER, 3);
    message.append_request.count = 20;
    message.append_request.entries = entries;
    message.append_request.commit = 10;
    receive(message);
    persist();
    follow(LEADER, TERM);
}

static void begin_taking(void)
{
    follow_with_old_entries();
    hear(offer());
    hear(beginning(SESSION));
    assert_int_equal(played.begun, SESSION);
}

static void stage(uint64_t chunks, bool is_whole)
{
    struct snapshot_staged staged = {.id = SESSION,
                                     .chunks = chunks,
                                     .bytes = chunks * CHUNK_SIZE,
                                     .is_whole = is_whole,
                                     .pos = place(TERM, 120)};
    replica_snapshot_staged(world.replica, &staged);
    run();
}

static bool may_adopt(void)
{
    struct snapshot_adoption adoption;
    bool may = replica_may_adopt(world.replica, &adoption);
    if (may) {
        assert_int_equal(adoption.pos.index, 120);
        assert_int_equal(adoption.members.index, MEMBERS_AT);
        assert_int_equal(adoption.members.list.count, 4);
    }
    return may;
}

static void test_asks(void **state)
{
    (void)state;
    follow_with_old_entries();
    struct snapshot_message message = offer();
    message.from = 2;
    hear(message); /* who does not lead */
    message = offer();
    message.term--;
    hear(message);
    message = offer();
    message.pos = place(3, 15);
    hear(message); /* what it needs begins behind what this node has */
    message.pos = place(2, 5);
    hear(message); /* and before what it knows to be committed */
    assert_int_equal(played.sent_count, 0);
    hear(offer());
    assert_int_equal(played.sent_count, 1);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->id, 0);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->to, LEADER);
    hear(offer());
    assert_int_equal(played.sent_count, 1);
    pass(50 * TICK_MS);
}

static void test_takes_in_order(void **state)
{
    (void)state;
    begin_taking();
    forget_sent();
    hear(chunk(SESSION, 1)); /* the one before it is missing */
    hear(chunk(SESSION + 1, 0));
    assert_int_equal(played.taken, 0);
    hear(chunk(SESSION, 0));
    hear(chunk(SESSION, 0));
    hear(chunk(SESSION, 1));
    assert_int_equal(played.taken, 2);
    hear(beginning(SESSION + 1)); /* nobody asked */
    assert_int_equal(played.begins, 1);
    assert_int_equal(played.sent_count, 0);
    stage(1, false);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->number, 1);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->id, SESSION);
    assert_false(last_sent(SNAPSHOT_FETCH)->again);
    assert_false(may_adopt());
    struct replica_install_status install = all().install;
    assert_true(install.is_under_way);
    assert_false(install.is_whole);
    assert_int_equal(install.from, LEADER);
    assert_int_equal(install.index, 120);
    assert_int_equal(install.chunks, 1);
    assert_int_equal(install.bytes, CHUNK_SIZE);
    assert_int_equal(install.bytes_expected, 1000);
    stage(2, true);
    assert_true(may_adopt());
    assert_true(all().install.is_whole);
    assert_int_equal(all().install.bytes, 2 * CHUNK_SIZE);
    assert_int_equal(status().first.index, 0); /* nothing is changed yet */
    assert_int_equal(status().last.index, 20);
}

/* No more than a sender may send ahead. */
static void test_takes_what_was_asked_for(void **state)
{
    (void)state;
    begin_taking();
    for (uint64_t number = 0; number < 2 * SENDING_CHUNKS_MAX; number++)
        hear(chunk(SESSION, number));
    assert_int_equal(played.taken, SENDING_CHUNKS_MAX);
    stage(1, false);
    hear(chunk(SESSION, SENDING_CHUNKS_MAX));
    assert_int_equal(played.taken, SENDING_CHUNKS_MAX + 1);
}

/* Where a later list is cut again, it would come into force. */
static void test_list_without_voters(void **state)
{
    struct raft_members members = {.count = 1, .list = {{.id = 1}}};
    (void)state;
    follow_with_old_entries();
    hear(offer());
    struct snapshot_message message = beginning(SESSION);
    blob_release(message.payload);
    message.payload = raft_members_blob(&members);
    hear(message);
    assert_false(all().install.is_under_way);
    assert_int_equal(played.begins, 0);
}

/* Heartbeats go on meanwhile. */
static void wait_with_leader(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += 5 * TICK_MS) {
        pass(5 * TICK_MS);
        receive(heartbeat(LEADER, TERM));
    }
}

static void test_asks_again(void **state)
{
    (void)state;
    begin_taking();
    hear(chunk(SESSION, 0));
    forget_sent();
    wait_with_leader(5 * SECOND_MS);
    assert_int_equal(played.sent_count, 0); /* our own disk is slow */
    stage(1, false);
    forget_sent();
    wait_with_leader(3 * SECOND_MS);
    assert_in_range(sent(SNAPSHOT_FETCH), 2, 3);
    assert_true(last_sent(SNAPSHOT_FETCH)->again);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->number, 1);
    assert_int_equal(played.drops, 0);
    wait_with_leader(60 * SECOND_MS);
    assert_int_equal(played.drops, 1);
    assert_false(all().install.is_under_way);
    forget_sent();
    hear(offer());
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->id, 0);
}

static void test_damaged(void **state)
{
    (void)state;
    begin_taking();
    hear(chunk(SESSION, 0));
    struct snapshot_staged other = {.id = SESSION - 1, .error = "damaged"};
    replica_snapshot_staged(world.replica, &other); /* of one that was given up before */
    run();
    assert_int_equal(played.drops, 0);
    struct snapshot_staged staged = {.id = SESSION, .error = "damaged"};
    replica_snapshot_staged(world.replica, &staged);
    run();
    assert_int_equal(played.drops, 1);
    assert_false(all().install.is_under_way);
    hear(chunk(SESSION, 1));
    stage(2, true);
    assert_false(may_adopt());
}

static void test_gone_at_the_leader(void **state)
{
    (void)state;
    begin_taking();
    hear(said_by(LEADER, SNAPSHOT_GONE, SESSION - 1, 0));
    assert_int_equal(played.drops, 0);
    hear(said_by(LEADER, SNAPSHOT_GONE, SESSION, 0));
    assert_int_equal(played.drops, 1);
}

static void test_of_another_position(void **state)
{
    (void)state;
    begin_taking();
    hear(chunk(SESSION, 0));
    struct snapshot_staged staged = {
        .id = SESSION, .chunks = 1, .is_whole = true, .pos = place(TERM, 119)};
    replica_snapshot_staged(world.replica, &staged);
    run();
    assert_false(may_adopt());
    assert_int_equal(played.drops, 1);
}

static void test_impossible_members(void **state)
{
    (void)state;
    follow_with_old_entries();
    hear(offer());
    struct snapshot_message message = beginning(SESSION);
    message.number = 121; /* behind the state */
    hear(message);
    assert_int_equal(played.begins, 0);
    assert_false(all().install.is_under_way);
    hear(offer());
    message = beginning(SESSION);
    message.payload->data[0] ^= 0xff;
    hear(message);
    assert_int_equal(played.begins, 0);
    assert_false(all().install.is_under_way);
}

static void test_another_leader_while_it_asks(void **state)
{
    (void)state;
    follow_with_old_entries();
    hear(offer());
    follow(2, TERM + 1);
    pass(TICK_MS);
    assert_false(all().install.is_under_way);
    struct snapshot_message message = beginning(SESSION);
    hear(message); /* too late: it does not lead */
    assert_int_equal(played.begins, 0);
}

static struct snapshot_message offer_of_2(raft_index index)
{
    struct snapshot_message message = offer();
    message.from = 2;
    message.pos = place(TERM, index);
    return message;
}

/* Its log reaches back to the state: who began goes on, and who leads is told of it. */
static void test_another_leader(void **state)
{
    (void)state;
    begin_taking();
    hear(chunk(SESSION, 0));
    stage(1, false);
    follow(2, TERM + 1);
    pass(TICK_MS);
    assert_int_equal(played.drops, 0);
    struct snapshot_message message = chunk(SESSION, 1);
    message.from = 2;
    hear(message); /* he has nothing to do with it */
    message = said_by(2, SNAPSHOT_GONE, SESSION, 0);
    hear(message);
    assert_int_equal(played.taken, 1);
    forget_sent();
    hear(offer_of_2(120));
    assert_int_equal(played.sent_count, 1);
    assert_int_equal(played.sent[0].to, 2);
    assert_int_equal(played.sent[0].id, SESSION);
    assert_int_equal(played.sent[0].pos.index, 120);
    hear(chunk(SESSION, 1));
    assert_int_equal(played.taken, 2);
    stage(2, true);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->to, LEADER);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->term, TERM + 1);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->pos.index, 0);
    assert_true(may_adopt());
    hear(offer_of_2(121));
    assert_true(may_adopt()); /* it is nearer to that than what this node has */
}

/* His log begins behind it, so what is on its way is of no use. */
static void test_another_leader_with_a_short_log(void **state)
{
    (void)state;
    begin_taking();
    hear(chunk(SESSION, 0));
    stage(1, false);
    follow(2, TERM + 1);
    forget_sent();
    hear(offer_of_2(121));
    assert_int_equal(played.drops, 1);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->to, 2);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->id, 0);
    hear(chunk(SESSION, 1));
    stage(2, true);
    assert_int_equal(played.taken, 1);
    assert_false(may_adopt());
}

/* The one that began died: another is asked before long. */
static void test_another_leader_and_silence(void **state)
{
    (void)state;
    begin_taking();
    hear(chunk(SESSION, 0));
    stage(1, false);
    follow(2, TERM + 1);
    forget_sent();
    int passed = 0;
    for (; played.drops == 0 && passed < 300; passed++) {
        pass(5 * TICK_MS);
        receive(heartbeat(2, TERM + 1));
    }
    assert_in_range(passed, 95, 105); /* five seconds */
    assert_true(sent(SNAPSHOT_FETCH) >= 3);
    assert_true(last_sent(SNAPSHOT_FETCH)->again);
    assert_int_equal(played.drops, 1);
    hear(offer_of_2(100));
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->to, 2);
    assert_int_equal(last_sent(SNAPSHOT_FETCH)->id, 0);
}

/* What is whole is true whoever leads. */
static void test_whole_and_another_leader(void **state)
{
    (void)state;
    begin_taking();
    hear(chunk(SESSION, 0));
    stage(1, true);
    follow(2, TERM + 1);
    pass(TICK_MS);
    assert_true(may_adopt());
}

/* The log comes to hold the position: what follows there may count for a majority. */
static void test_log_is_as_far(void **state)
{
    (void)state;
    begin_taking();
    hear(chunk(SESSION, 0));
    stage(1, true);
    assert_true(may_adopt());
    struct raft_entry entries[50];
    for (raft_index done = 20; done < 120; done += 50) {
        struct raft_message message = heartbeat(LEADER, TERM);
        for (unsigned i = 0; i < 50; i++)
            entries[i] = (struct raft_entry){.pos = {TERM, done + i + 1}, .type = RAFT_ENTRY_NOOP};
        message.append_request.prev = place(done > 20 ? TERM : 3, done);
        message.append_request.count = 50;
        message.append_request.entries = entries;
        receive(message);
        persist();
    }
    assert_int_equal(status().last.index, 120);
    assert_true(status().commit < 120);
    assert_false(may_adopt());
    pass(TICK_MS);
    assert_int_equal(played.drops, 1);
}

/* The log is longer, but of another history: nothing of it can be committed. */
static void test_log_is_another(void **state)
{
    (void)state;
    struct raft_entry entries[60];
    for (raft_index done = 0; done < 180; done += 60) {
        struct raft_message message = heartbeat(LEADER, 3);
        for (unsigned i = 0; i < 60; i++)
            entries[i] = (struct raft_entry){.pos = {3, done + i + 1}, .type = RAFT_ENTRY_NOOP};
        message.append_request.prev = place(done ? 3 : 0, done);
        message.append_request.count = 60;
        message.append_request.entries = entries;
        receive(message);
        persist();
    }
    follow(LEADER, TERM);
    assert_int_equal(status().last.index, 180);
    hear(offer());
    hear(beginning(SESSION));
    hear(chunk(SESSION, 0));
    stage(1, true);
    assert_true(may_adopt());
    win_election(); /* a leader has its entries counted on */
    assert_false(may_adopt());
}

static void test_committed_beyond(void **state)
{
    (void)state;
    follow_with_old_entries();
    struct raft *raft = world.replica->raft;
    assert_int_equal(status().commit, 10);
    assert_false(raft_may_adopt(raft, place(3, 10)));
    assert_false(raft_may_adopt(raft, place(4, 10)));
    assert_true(raft_may_adopt(raft, place(4, 11)));
    assert_false(raft_may_adopt(raft, place(3, 20)));
    assert_true(raft_may_adopt(raft, place(3, 21)));
    assert_false(raft_may_adopt(raft, place(2, 21))); /* behind what is committed of 3 */
    assert_true(raft_may_adopt(raft, place(TERM, 21)));
    assert_false(raft_may_adopt(raft, place(TERM + 1, 21)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_offer),
        TEST(test_window),
        TEST(test_sending_is_told),
        TEST(test_large_chunks),
        TEST(test_room_and_pace),
        TEST(test_pace_is_not_saved_up),
        TEST(test_pace_begins_when_it_is_set),
        TEST(test_slow_and_steady),
        TEST(test_lost_connection),
        TEST(test_first_answer_lost),
        TEST(test_gone),
        TEST(test_bounded),
        TEST(test_office_lost_at_the_beginning),
        TEST(test_office_lost_in_the_midst),
        TEST(test_office_lost_and_silence),
        TEST(test_log_is_held_for_anothers),
        TEST(test_removed),
        TEST(test_late_chunk),
        TEST(test_log_is_kept),
        TEST(test_nothing_could_be_cut),
        TEST(test_it_goes_on),
        TEST(test_it_runs_after_the_log),
        TEST(test_it_is_near),
        TEST(test_it_goes_no_further),
        TEST(test_it_moves_in_the_list),
        TEST(test_it_is_too_slow),
        TEST(test_the_slower_one_is_given_up),
        TEST(test_office_lost_and_won),
        TEST(test_office_lost_while_it_goes_on),
        TEST(test_office_lost_behind_the_end),
        TEST(test_it_begins_again),
        TEST(test_asks),
        TEST(test_takes_in_order),
        TEST(test_takes_what_was_asked_for),
        TEST(test_list_without_voters),
        TEST(test_asks_again),
        TEST(test_damaged),
        TEST(test_gone_at_the_leader),
        TEST(test_of_another_position),
        TEST(test_impossible_members),
        TEST(test_another_leader_while_it_asks),
        TEST(test_another_leader),
        TEST(test_another_leader_with_a_short_log),
        TEST(test_another_leader_and_silence),
        TEST(test_whole_and_another_leader),
        TEST(test_log_is_as_far),
        TEST(test_log_is_another),
        TEST(test_committed_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
