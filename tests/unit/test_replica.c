/* What becomes of requests: one replica, whose peers, disk and state machine are played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "replica/replica_internal.h"
#include "storage/kv.h"

enum { TICK_MS = 10, ELECTION_TICKS = 10, FORWARDS_MAX = 64, DEADLINE_MS = 500, TEXT_MAX = 4096 };
enum { LOG_ENTRIES_MAX = 12, LOG_ENTRIES_MIN = 4, LOG_BYTES_MAX = 4000 };

struct world {
    struct kv *kv;
    struct raft_log *log;
    struct raft_log_writer writer;
    struct transport transport;
    struct state_machine machine;
    struct replica *replica;
    int64_t now_ms;
    uint64_t written; /* last seq */

    char applied[TEXT_MAX]; /* the commands, one after the other */
    raft_index applied_index, persisted_index;
    int64_t time_ms; /* of the last command applied, and the highest */
    int64_t highest_ms, read_ms;
    uint64_t seed, appended_seed; /* of the last command applied, and of the last one sent */
    int read_slices;              /* calls that the next read takes */
    int apply_slices;             /* calls that the next write takes */
    int room;                     /* entries that the state machine takes before it asks to wait */
    bool disk_hangs;              /* nothing more reaches the log */
    char appended[TEXT_MAX];      /* the commands in the last append request */

    struct forward forwards[FORWARDS_MAX];
    char forwarded[TEXT_MAX]; /* their commands */
    raft_node_id forwarded_to;
    uint32_t forwards_count;
    bool connected;
    struct forward_reply replies[FORWARDS_MAX];
    uint32_t replies_count;
    uint64_t round;
    uint32_t appends;   /* requests sent, heartbeats among them */
    uint32_t value_max; /* of the entry applied last */
    bool full;          /* the connection to the other nodes */
    size_t padding;     /* of the replies to reads */
};

static struct world world;

/* ---- the parts played ------------------------------------------------------------- */

static void submit(struct raft_log_writer *writer, const struct raft_write *write)
{
    (void)writer;
    if (world.disk_hangs)
        return;
    raft_log_write(world.log, write, 1);
    world.written = write->seq;
}

static void send_message(struct transport *transport, const struct raft_message *message,
                         const struct raft_entry *entries)
{
    (void)transport;
    if (message->type != RAFT_APPEND_REQUEST)
        return;
    world.round = message->append_request.round;
    world.appends++;
    world.appended[0] = '\0';
    for (uint32_t i = 0; i < message->append_request.count; i++) {
        struct apply_context context;
        struct bytes command;
        if (!entries[i].payload ||
            !entry_unstamp(blob_bytes(entries[i].payload), &context, &command))
            continue;
        strncat(world.appended, command.data, command.size);
        world.appended_seed = context.seed;
    }
}

static bool send_forward(struct transport *transport, raft_node_id to,
                         const struct forward *forward)
{
    (void)transport;
    if (!world.connected)
        return false;
    world.forwards[world.forwards_count++] = *forward;
    strncat(world.forwarded, (const char *)forward->command->data, forward->command->size);
    world.forwarded_to = to;
    return true;
}

static void send_reply(struct transport *transport, raft_node_id to,
                       const struct forward_reply *reply)
{
    (void)transport;
    (void)to;
    world.replies[world.replies_count++] = *reply;
}

static bool has_room(struct transport *transport, raft_node_id to)
{
    (void)transport;
    (void)to;
    return !world.full;
}

static bool apply(struct state_machine *machine, const struct apply_context *context,
                  struct bytes command, int protocol, struct buffer *reply)
{
    (void)machine;
    (void)protocol;
    world.time_ms = context->now_ms;
    world.seed = context->seed;
    world.value_max = context->value_max;
    if (world.apply_slices > 0 && --world.apply_slices > 0)
        return false;
    strncat(world.applied, command.data, command.size);
    if (reply)
        buffer_append_bytes(reply, command);
    return true;
}

static void applied(struct state_machine *machine, struct raft_pos pos, int64_t now_ms)
{
    (void)machine;
    if (now_ms > world.highest_ms)
        world.highest_ms = now_ms;
    world.applied_index = pos.index;
    world.room--;
}

static bool serve(struct state_machine *machine, int64_t now_ms, struct bytes command, int protocol,
                  struct buffer *reply)
{
    (void)machine;
    (void)command;
    (void)protocol;
    world.read_ms = now_ms;
    if (world.read_slices > 0 && --world.read_slices > 0)
        return false;
    buffer_printf(reply, "read at %llu", (unsigned long long)world.applied_index);
    buffer_reserve(reply, world.padding);
    memset(reply->data + reply->size, '.', world.padding);
    reply->size += world.padding;
    return true;
}

static bool ready(struct state_machine *machine)
{
    (void)machine;
    return world.room > 0;
}

static raft_index applied_index(struct state_machine *machine)
{
    (void)machine;
    return world.applied_index;
}

/* As long as the test does not say what is stored, everything applied is. */
static raft_index persisted_index(struct state_machine *machine)
{
    (void)machine;
    return world.persisted_index ? world.persisted_index : world.applied_index;
}

static int64_t time_ms(struct state_machine *machine)
{
    (void)machine;
    return world.highest_ms;
}

static const struct raft_log_writer_ops writer_ops = {submit};
static const struct transport_ops transport_ops = {send_message, send_forward, send_reply,
                                                   has_room};
static const struct state_machine_ops machine_ops = {apply,         applied,         serve,  ready,
                                                     applied_index, persisted_index, time_ms};

static void start(void)
{
    world.log = raft_log_open(world.kv);
    struct replica_options options = {
        .raft = {.id = 0,
                 .election_ticks = ELECTION_TICKS,
                 .heartbeat_ticks = 2,
                 .inflight_max = 8,
                 .append_entries_max = 64,
                 .append_bytes_max = 1 << 20,
                 .uncommitted_bytes_max = 64 << 20,
                 .seed = 1},
        .members = {.count = 3,
                    .list = {{.id = 0, .voter = true},
                             {.id = 1, .voter = true},
                             {.id = 2, .voter = true}}},
        .tick_ms = TICK_MS,
        .run_id = 77,
        .log_bytes_max = LOG_BYTES_MAX,
        .log_entries_max = LOG_ENTRIES_MAX,
        .log_entries_min = LOG_ENTRIES_MIN,
        .log = world.log,
        .writer = &world.writer,
        .transport = &world.transport,
        .machine = &world.machine,
    };
    world.replica = replica_new(&options, world.now_ms, world.now_ms);
}

static void stop(void)
{
    replica_free(world.replica);
    raft_log_close(world.log);
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.kv = kv_memory_open();
    world.writer.ops = &writer_ops;
    world.transport.ops = &transport_ops;
    world.machine.ops = &machine_ops;
    world.connected = true;
    world.room = INT_MAX;
    start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop();
    world.kv->ops->close(world.kv);
    return 0;
}

/* ---- verbs ----------------------------------------------------------------------------- */

static void run(void)
{
    while (replica_run(world.replica))
        ;
}

static void persist_without_running(void)
{
    replica_persisted(world.replica, world.written);
}

static void persist(void)
{
    persist_without_running();
    run();
}

static void receive_without_running(struct raft_message message)
{
    message.to = 0;
    replica_receive(world.replica, &message);
}

static void receive(struct raft_message message)
{
    receive_without_running(message);
    run();
}

static void pass(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += TICK_MS) {
        world.now_ms += TICK_MS;
        replica_tick(world.replica, world.now_ms, world.now_ms);
        run();
    }
}

static struct raft_status status(void)
{
    struct replica_status now;
    replica_status(world.replica, &now);
    return now.raft;
}

/* Node `leader` leads `term`, and says so. */
static void follow(raft_node_id leader, raft_term term)
{
    receive((struct raft_message){
        .type = RAFT_APPEND_REQUEST, .from = leader, .term = term, .append_request = {.count = 0}});
    persist();
    assert_int_equal(status().leader, leader);
}

/* Time passes until node 0 campaigns; node 1 votes for it. */
static void lead(void)
{
    for (int i = 0; i < 100 && status().role != RAFT_PRE_CANDIDATE; i++)
        pass(TICK_MS);
    receive((struct raft_message){.type = RAFT_VOTE_RESPONSE,
                                  .from = 1,
                                  .term = status().term + 1,
                                  .vote_response = {.granted = true, .pre_vote = true}});
    persist();
    receive((struct raft_message){.type = RAFT_VOTE_RESPONSE,
                                  .from = 1,
                                  .term = status().term,
                                  .vote_response = {.granted = true}});
    assert_int_equal(status().role, RAFT_LEADER);
}

/* Node 1 has everything, and answers the present round. */
static void acknowledge(void)
{
    persist();
    receive((struct raft_message){
        .type = RAFT_APPEND_RESPONSE,
        .from = 1,
        .term = status().term,
        .append_response = {.matched = true, .hint = status().last, .round = world.round}});
}

struct result {
    int calls;
    enum request_outcome outcome;
    char reply[TEXT_MAX];
};

static void on_done(void *context, struct request *request, enum request_outcome outcome,
                    struct bytes reply)
{
    struct result *result = context;
    (void)request;
    result->calls++;
    result->outcome = outcome;
    size_t kept = reply.size < sizeof result->reply ? reply.size : sizeof result->reply - 1;
    memcpy(result->reply, reply.data ? reply.data : "", kept);
    result->reply[kept] = '\0';
}

static void ask_within(struct result *result, enum request_kind kind, uint64_t client,
                       const char *command, int64_t ms)
{
    *result = (struct result){0};
    struct request *request =
        request_new(kind, 2, client, blob_copy(bytes_from_string(command)), on_done, result);
    request->deadline_ms = world.now_ms + ms;
    replica_submit(world.replica, request);
}

static void ask(struct result *result, enum request_kind kind, uint64_t client, const char *command)
{
    ask_within(result, kind, client, command, DEADLINE_MS);
}

static void answer(uint32_t forward, bool refused, const char *reply)
{
    struct forward_reply message = {.run_id = world.forwards[forward].run_id,
                                    .id = world.forwards[forward].id,
                                    .refused = refused,
                                    .outcome = REQUEST_DONE,
                                    .reply = bytes_from_string(reply)};
    replica_receive_forward_reply(world.replica, world.forwarded_to, &message);
    run();
}

#define assert_ended(result, how)                                                                  \
    do {                                                                                           \
        assert_int_equal((result).calls, 1);                                                       \
        assert_int_equal((result).outcome, how);                                                   \
    } while (0)

/* ---- leading --------------------------------------------------------------------------------- */

static void a_write_is_answered_when_it_is_applied(void **state)
{
    static struct result a;
    (void)state;
    lead();
    acknowledge();
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
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
    lead();
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
    replica_set_value_max(world.replica, 1 << 20); /* CONFIG SET: for what comes from now on */
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(world.value_max, 1 << 29);
    ask(&b, REQUEST_WRITE, 1, "b");
    run();
    acknowledge();
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
    assert_int_equal(command.size, 1);
    bytes[0] = 3;
    assert_false(entry_unstamp(bytes_of(bytes, sizeof bytes), &context, &command));
    bytes[0] = 0;
    assert_false(entry_unstamp(bytes_of(bytes, sizeof bytes), &context, &command));
}

static void a_read_waits_for_confirmation_and_for_the_noop(void **state)
{
    static struct result a;
    (void)state;
    lead();
    ask(&a, REQUEST_READ, 1, "a");
    run();
    receive((struct raft_message){
        .type = RAFT_APPEND_RESPONSE,
        .from = 1,
        .term = status().term,
        .append_response = {.matched = true, .hint = {0, 0}, .round = world.round}});
    assert_int_equal(a.calls, 0); /* confirmed, but the no-op is not committed */
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "read at 1");
}

static void a_long_read_sees_one_state(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    acknowledge();
    ask(&a, REQUEST_READ, 1, "a");
    replica_run(world.replica);
    ask(&b, REQUEST_WRITE, 2, "b");
    replica_run(world.replica);
    persist();
    world.read_slices = 3;
    struct raft_message answer = {
        .type = RAFT_APPEND_RESPONSE,
        .from = 1,
        .to = 0,
        .term = status().term,
        .append_response = {.matched = true, .hint = {1, 1}, .round = world.round}};
    replica_receive(world.replica, &answer);
    assert_true(replica_run(world.replica)); /* one slice: there is more to do */
    answer.append_response.hint = status().last;
    replica_receive(world.replica, &answer); /* b is committed */
    assert_true(replica_run(world.replica));
    assert_int_equal(a.calls + b.calls, 0);
    assert_string_equal(world.applied, "");
    run();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "read at 1");
    assert_ended(b, REQUEST_DONE);
}

static void receive_acknowledgement(void)
{
    persist_without_running();
    receive_without_running((struct raft_message){
        .type = RAFT_APPEND_RESPONSE,
        .from = 1,
        .term = status().term,
        .append_response = {.matched = true, .hint = status().last, .round = world.round}});
}

/* Nobody sees a state between two, and time and messages go on meanwhile. */
static void nothing_comes_between_the_slices_of_a_write(void **state)
{
    static struct result a, b, c;
    (void)state;
    lead();
    acknowledge();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&c, REQUEST_READ, 3, "c");
    replica_run(world.replica);
    receive_acknowledgement();
    world.apply_slices = 6;
    assert_true(replica_run(world.replica));
    ask(&b, REQUEST_WRITE, 2, "b");
    assert_true(replica_run(world.replica));
    receive_acknowledgement();
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
    acknowledge();
    ask(&a, REQUEST_WRITE, 1, "a");
    replica_run(world.replica);
    receive_acknowledgement();
    world.apply_slices = 6;
    assert_true(replica_run(world.replica));
    receive_without_running((struct raft_message){.type = RAFT_APPEND_REQUEST,
                                                  .from = 1,
                                                  .term = status().term + 1,
                                                  .append_request = {.count = 0}});
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
    acknowledge();
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
}

/* The rest goes on in the next turn, when heartbeats were sent. */
static void large_replies_are_spread_over_turns(void **state)
{
    static struct result reads[5];
    (void)state;
    lead();
    acknowledge();
    world.padding = 2 << 20;
    for (int i = 0; i < 5; i++)
        ask(&reads[i], REQUEST_READ, 1 + (uint64_t)i, "r");
    run();
    receive_without_running((struct raft_message){
        .type = RAFT_APPEND_RESPONSE,
        .from = 1,
        .term = status().term,
        .append_response = {.matched = true, .hint = status().last, .round = world.round}});
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

/* Each is copied for the log, and heartbeats have to be sent meanwhile. */
static void large_writes_are_spread_over_turns(void **state)
{
    enum { WRITES = 5, SIZE = 5 << 20 };
    static struct result writes[WRITES];
    (void)state;
    lead();
    acknowledge();
    raft_index before = status().last.index;
    for (int i = 0; i < WRITES; i++) {
        struct blob *command = blob_new(SIZE);
        memset(command->data, 0, SIZE);
        struct request *request = request_new(REQUEST_WRITE, 2, 1, command, on_done, &writes[i]);
        request->deadline_ms = world.now_ms + DEADLINE_MS;
        replica_submit(world.replica, request);
    }
    assert_true(replica_run(world.replica));
    assert_int_equal(status().last.index, before + 2);
    assert_true(replica_run(world.replica));
    assert_int_equal(status().last.index, before + 4);
    assert_false(replica_run(world.replica));
    assert_int_equal(status().last.index, before + WRITES);
}

static void a_node_that_takes_its_replies_slowly_waits_alone(void **state)
{
    static struct result a;
    struct forward forward = {.run_id = 5,
                              .id = 1,
                              .kind = REQUEST_READ,
                              .protocol = 2,
                              .client = 9,
                              .command = blob_copy(bytes_from_string("f"))};
    (void)state;
    lead();
    acknowledge();
    forward.term = status().term;
    world.full = true;
    replica_receive_forward(world.replica, 2, &forward);
    forward.id = 2;
    replica_receive_forward(world.replica, 2, &forward);
    ask(&a, REQUEST_READ, 1, "a");
    run();
    acknowledge();
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
    acknowledge();
    ask(&appended, REQUEST_WRITE, 1, "a");
    ask(&reading, REQUEST_READ, 2, "r");
    run();
    ask(&waiting, REQUEST_WRITE, 3, "w");
    /* In one turn: the news of the next leader, and a write that was not yet proposed. */
    receive((struct raft_message){.type = RAFT_APPEND_REQUEST,
                                  .from = 2,
                                  .term = status().term + 1,
                                  .append_request = {.prev = {1, 1}}});
    assert_ended(appended, REQUEST_UNKNOWN);
    assert_int_equal(waiting.calls, 0);
    assert_int_equal(reading.calls, 0);
    persist();
    assert_int_equal(world.forwarded_to, 2);
    assert_string_equal(world.forwarded, "rw");
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
    acknowledge();
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&b, REQUEST_WRITE, 2, "b");
    run();
    ask(&c, REQUEST_WRITE, 3, "c");
    run();
    acknowledge();
    assert_string_equal(a.reply, "a");
    assert_string_equal(b.reply, "b");
    assert_string_equal(c.reply, "c");
}

static void a_forward_of_another_term_is_refused(void **state)
{
    (void)state;
    lead();
    struct forward forward = {.run_id = 5,
                              .id = 9,
                              .term = status().term - 1,
                              .kind = REQUEST_WRITE,
                              .protocol = 2,
                              .client = 1,
                              .command = blob_copy(bytes_from_string("x"))};
    replica_receive_forward(world.replica, 1, &forward);
    run();
    assert_int_equal(world.replies_count, 1);
    assert_true(world.replies[0].refused);
    assert_int_equal(world.replies[0].id, 9);
    assert_int_equal(world.replies[0].run_id, 5);
    assert_int_equal(status().last.index, 1); /* nothing but the no-op */
    forward.term = status().term;
    replica_receive_forward(world.replica, 1, &forward);
    blob_release(forward.command);
    run();
    acknowledge();
    assert_int_equal(world.replies_count, 2);
    assert_false(world.replies[1].refused);
    assert_string_equal(world.applied, "x");
}

/* ---- following --------------------------------------------------------------------------------- */

static void a_forward_is_answered_by_its_number(void **state)
{
    static struct result a, b;
    (void)state;
    follow(1, 1);
    ask(&a, REQUEST_WRITE, 1, "a");
    ask(&b, REQUEST_WRITE, 2, "b");
    run();
    answer(1, false, "for b");
    assert_int_equal(a.calls, 0);
    assert_string_equal(b.reply, "for b");
    answer(0, false, "for a");
    assert_string_equal(a.reply, "for a");
    answer(0, false, "again"); /* nobody waits for it any more */
    assert_int_equal(a.calls, 1);
}

static void replies_to_an_earlier_life_are_dropped(void **state)
{
    static struct result a;
    (void)state;
    follow(1, 1);
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
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
    ask(&b, REQUEST_WRITE, 1, "b");
    run();
    follow(2, 2);
    ask(&c, REQUEST_WRITE, 1, "c");
    run();
    assert_string_equal(world.forwarded, "ab"); /* c would overtake */
    world.forwarded_to = 1;
    answer(0, true, "");
    assert_string_equal(world.forwarded, "ab"); /* b is still out */
    answer(1, true, "");
    assert_string_equal(world.forwarded, "ababc");
    assert_int_equal(world.forwards[4].term, 2);
}

static void another_client_does_not_wait(void **state)
{
    static struct result a, b;
    (void)state;
    follow(1, 1);
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
    follow(2, 2);
    ask(&b, REQUEST_WRITE, 2, "b");
    run();
    assert_string_equal(world.forwarded, "ab");
}

static void a_broken_connection_leaves_writes_unknown(void **state)
{
    static struct result write, read;
    (void)state;
    follow(1, 1);
    ask(&write, REQUEST_WRITE, 1, "w");
    ask(&read, REQUEST_READ, 2, "r");
    run();
    world.connected = false;
    replica_disconnected(world.replica, 1, false, true);
    run();
    assert_ended(write, REQUEST_UNKNOWN);
    assert_int_equal(read.calls, 0); /* a read may be asked again */
    world.connected = true;
    pass(TICK_MS);
    assert_string_equal(world.forwarded, "wrr");
}

/* ---- time ----------------------------------------------------------------------------------------- */

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

static void a_late_commit_answers_nobody(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    acknowledge();
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
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
    ask(&b, REQUEST_WRITE, 1, "b");
    run();
    acknowledge();
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
    acknowledge();
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
    replica_abandon(world.replica, &a);
    acknowledge();
    assert_int_equal(a.calls, 0);
    assert_string_equal(world.applied, "a");
}

static void the_log_knows_no_earlier_time(void **state)
{
    static struct result a, b, c;
    (void)state;
    lead();
    acknowledge();
    replica_tick(world.replica, world.now_ms, 9000000);
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
    acknowledge();
    assert_int_equal(world.time_ms, 9000000);
    replica_tick(world.replica, world.now_ms, 1000); /* the clock is set back */
    ask(&b, REQUEST_WRITE, 1, "b");
    ask(&c, REQUEST_READ, 2, "c");
    run();
    acknowledge();
    assert_ended(b, REQUEST_DONE);
    assert_int_equal(world.time_ms, 9000000);
    assert_ended(c, REQUEST_DONE);
    assert_int_equal(world.read_ms, 9000000);
}

/* What it applied is lost with it, and read back from the log. */
static void restart_without_data(void)
{
    stop();
    memset(world.applied, 0, sizeof world.applied);
    world.applied_index = 0;
    start();
}

/* A new leader has the same log, and all of it is committed. */
static void follow_and_commit_all(raft_node_id leader, raft_term term)
{
    receive((struct raft_message){
        .type = RAFT_APPEND_REQUEST,
        .from = leader,
        .term = term,
        .append_request = {.prev = status().last, .commit = status().last.index}});
    persist();
    assert_int_equal(status().commit, status().last.index);
}

static void a_replay_waits_for_the_state_machine(void **state)
{
    static struct result a[4];
    (void)state;
    lead();
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
    lead();
    world.room = 1; /* the no-op */
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
    acknowledge();
    ask(&b, REQUEST_READ, 2, "b");
    run();
    acknowledge();
    assert_int_equal(status().commit, 2);
    assert_int_equal(status().applied, 1);
    assert_int_equal(b.calls, 0);
    world.room = INT_MAX;
    pass(TICK_MS);
    assert_ended(b, REQUEST_DONE);
    assert_string_equal(b.reply, "read at 2");
}

/* The memory of entries is bounded, but what the disk does not have yet can come from nowhere else. */
static void what_is_not_on_disk_is_sent_from_memory(void **state)
{
    static struct result a;
    (void)state;
    lead();
    acknowledge();
    struct raft_pos noop = status().last;
    world.disk_hangs = true;
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
    assert_string_equal(world.appended, "a");
    replica_disconnected(world.replica, 1, true, false);
    run();
    receive((struct raft_message){
        .type = RAFT_APPEND_RESPONSE,
        .from = 1,
        .term = status().term,
        .append_response = {.matched = true, .hint = noop, .round = world.round}});
    assert_string_equal(world.appended, "a");
}

/* In one turn of the loop: another leader's entry takes the place, and is committed there. */
static void an_entry_of_another_leader_answers_nobody(void **state)
{
    static struct result a;
    (void)state;
    lead();
    acknowledge();
    ask(&a, REQUEST_WRITE, 1, "a");
    run();
    struct blob *command = blob_copy(bytes_from_string("b"));
    struct blob *payload = entry_stamp(&(struct apply_context){.now_ms = 1, .seed = 2}, command);
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
    replica_receive(world.replica, &message);
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
    acknowledge();
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
    static struct result a;
    (void)state;
    lead();
    acknowledge();
    replica_transfer(world.replica);
    ask(&a, REQUEST_WRITE, 1, "a");
    for (int i = 0; i < 2 * ELECTION_TICKS; i++) {
        assert_true(status().transferring == (i < ELECTION_TICKS));
        pass(TICK_MS);
        acknowledge();
    }
    assert_ended(a, REQUEST_DONE);
}

/* Commands of `size` bytes, each in an entry of its own, applied. */
static void write_entries(int count, size_t size)
{
    static struct result result;
    char command[TEXT_MAX] = "";
    assert_true(size < sizeof command);
    memset(command, 'x', size);
    for (int i = 0; i < count; i++) {
        world.applied[0] = '\0';
        ask(&result, REQUEST_WRITE, 1, command);
        run();
        acknowledge();
    }
    pass(TICK_MS);
}

static void the_log_is_cut_to_its_bounds(void **state)
{
    (void)state;
    lead();
    acknowledge();
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

static void data_and_log_that_do_not_meet(void **state)
{
    enum { EXIT_FATAL = 70 };
    (void)state;
    lead();
    acknowledge();
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
    acknowledge();
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
    lead();
    ask(&appended, REQUEST_WRITE, 1, "a");
    ask(&read, REQUEST_READ, 2, "r");
    run();
    ask(&waiting, REQUEST_WRITE, 3, "w");
    stop();
    assert_ended(appended, REQUEST_UNKNOWN);
    assert_ended(read, REQUEST_NOT_DONE);
    assert_ended(waiting, REQUEST_NOT_DONE);
    start();
    follow(1, 2);
    ask(&forwarded, REQUEST_WRITE, 1, "f");
    run();
    assert_int_equal(world.forwards_count, 1);
    stop();
    assert_ended(forwarded, REQUEST_UNKNOWN);
    start();
}

static void a_process_that_slept_listens_first(void **state)
{
    (void)state;
    follow(1, 1);
    world.now_ms += 100 * ELECTION_TICKS * TICK_MS;
    replica_tick(world.replica, world.now_ms, world.now_ms);
    assert_int_equal(status().role, RAFT_FOLLOWER);
    pass(3 * ELECTION_TICKS * TICK_MS);
    assert_int_equal(status().role, RAFT_PRE_CANDIDATE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_write_is_answered_when_it_is_applied),
        TEST(the_limit_of_values_is_the_leaders),
        TEST(an_entry_of_the_first_version_is_understood),
        TEST(a_read_waits_for_confirmation_and_for_the_noop),
        TEST(a_long_read_sees_one_state),
        TEST(nothing_comes_between_the_slices_of_a_write),
        TEST(a_long_write_outlives_the_leadership),
        TEST(a_reply_larger_than_wanted_is_not_given),
        TEST(large_replies_are_spread_over_turns),
        TEST(large_writes_are_spread_over_turns),
        TEST(a_node_that_takes_its_replies_slowly_waits_alone),
        TEST(a_deposed_leader_does_not_know),
        TEST(replies_meet_their_requests),
        TEST(a_forward_of_another_term_is_refused),
        TEST(a_forward_is_answered_by_its_number),
        TEST(replies_to_an_earlier_life_are_dropped),
        TEST(what_is_refused_goes_on_in_order),
        TEST(another_client_does_not_wait),
        TEST(a_broken_connection_leaves_writes_unknown),
        TEST(nobody_leads),
        TEST(the_leader_is_silent),
        TEST(a_late_commit_answers_nobody),
        TEST(an_abandoned_request_runs_on),
        TEST(the_log_knows_no_earlier_time),
        TEST(a_replay_waits_for_the_state_machine),
        TEST(a_read_waits_until_its_index_is_applied),
        TEST(what_is_not_on_disk_is_sent_from_memory),
        TEST(an_entry_of_another_leader_answers_nobody),
        TEST(a_read_that_nobody_confirms_ends_in_time),
        TEST(what_the_core_has_no_room_for_waits),
        TEST(the_log_is_cut_to_its_bounds),
        TEST(data_and_log_that_do_not_meet),
        TEST(a_log_of_large_entries_is_cut_by_its_bytes),
        TEST(a_stop_says_what_it_knows),
        TEST(a_process_that_slept_listens_first),
    };
    return cmocka_run_group_tests_name("replica", tests, NULL, NULL);
}
