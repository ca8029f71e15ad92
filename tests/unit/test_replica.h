/* One replica whose peers, disk and state machine are played by the test, and what a test says to
 * it.
 *
 * `world` is what happened so far; a test is a story in the verbs below, and looks at it.  The
 * replica is node 0 of three.  Verbs with `_without_running` leave the turn to the test. */
#ifndef TEST_REPLICA_H
#define TEST_REPLICA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <limits.h>
#include <string.h>
#include <utlist.h>

#include "base/memory.h"
#include "kv_memory.h"
#include "replica/replica_internal.h"
#include "storage/kv.h"

enum {
    TICK_MS = 10,
    ELECTION_TICKS = 10,
    STOCK_KINDS = 128,
    FORWARDS_MAX = 64,
    DEADLINE_MS = 500,
    TEXT_MAX = 4096
};
enum { READS_MAX = 8 }; /* of the log, under way */
enum { APPEND_ENTRIES = 64 };
enum { LOG_ENTRIES_MAX = 12, LOG_ENTRIES_MIN = 4, LOG_BYTES_MAX = 4000 };

struct world {
    struct kv *kv;
    struct raft_log *log;
    struct raft_log_writer writer;
    struct raft_log_reader reader;
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
    bool is_followed;             /* what the last one was told */
    raft_index read_index;        /* what the last read saw in its first slice */
    bool read_finds;              /* and whether there was anything */
    bool read_not_now;            /* a read cannot go on */
    uint32_t reads_dropped;
    void (*executed)(struct bytes command); /* hears of each that did not wait in vain; or NULL */
    uint64_t work, work_each;               /* done, and by each entry */
    uint64_t work_of_read;                  /* by each read */
    int apply_slices;                       /* calls that the next write takes */
    const char *slow;                       /* the write that they are for; NULL: any */
    int room;               /* entries that the state machine takes before it asks to wait */
    bool no_room_for_large; /* only what is prepared has to wait */
    bool disk_hangs;        /* nothing more reaches the log */
    char all_appended[2 * TEXT_MAX]; /* in all, to everybody, as far as it fits */
    char appended[TEXT_MAX];         /* the commands in the last append request */

    struct forward forwards[FORWARDS_MAX];
    char forwarded[TEXT_MAX]; /* their commands */
    raft_node_id forwarded_to;
    uint32_t forwards_count;
    bool connected;
    struct forward_reply replies[FORWARDS_MAX];
    size_t rests[FORWARDS_MAX]; /* of them, in bytes */
    uint32_t replies_count;
    struct forward_cancel cancel; /* the last one */
    uint32_t cancels_count;
    uint32_t stock[STOCK_KINDS];
    bool found_nothing;
    uint32_t looks;   /* at what there is of a key */
    uint32_t holders; /* of the read served last */
    state_machine_touched *touched;
    void *touched_context;
    struct request_owner owner; /* of the entry applied last */
    uint64_t round;
    uint32_t appends; /* requests sent, heartbeats among them */
    raft_index
        said[RAFT_MEMBERS_MAX]; /* by node: up to where one that was sent says what is committed */
    uint32_t value_max;         /* of the entry applied last */
    uint8_t meaning, database;  /* likewise */
    uint8_t highest_meaning, meaning_known;
    unsigned reads_foreseen;                   /* "r" */
    bool tells;                                /* what every entry does, if it finds something */
    bool full;                                 /* the connection to the other nodes */
    bool entries_full;                         /* the same, for entries */
    bool reader_hangs;                         /* nothing comes back from it */
    struct raft_log_reading *reads[READS_MAX]; /* asked for, in order */
    uint32_t reads_count, reads_done;
    size_t padding;                     /* of the replies to reads */
    int64_t due_ms;                     /* of the state machine; 0: nothing is due */
    bool is_parted;                     /* likewise: what is half done can be read without */
    const char *never_before;           /* a read that cannot look at what was before an entry */
    uint32_t tries;                     /* of it */
    bool wants_parted;                  /* of the entry applied last */
    int64_t until_ms;                   /* of the read served last */
    raft_index shown[RAFT_MEMBERS_MAX]; /* in the append sent last to each */
    const char *long_write;             /* the write that is prepared; NULL: none is */
    int prepare_slices;                 /* calls that it takes */
    const struct blob *decoding;  /* what was to be taken apart last; NULL: nothing any more */
    int decode_slices;            /* calls that are not enough for it */
    enum preparing prepare_gives; /* what the last of them gives */
    uint32_t prepares_asked;      /* writes that it was asked of */
    uint32_t prepare_calls, prepare_drops;
    const char *long_write_as; /* what was prepared is proposed as this; or NULL */
    int64_t prepare_asked_ms;  /* when, as the replica says when it proposes it */
    uint64_t prepare_seed;     /* of the last slice */
    bool is_preparing;
    struct raft_member self;         /* what node 0 says of itself */
    struct replica_change change;    /* that "!" asks for */
    const char *rest;                /* what comes behind them; NULL: nothing */
    int64_t clock_ms;                /* what the other nodes' answers say; 0: nothing */
    bool is_to_join;                 /* the list of members is none */
    uint64_t other_life;             /* of who speaks; 0: the one that the member has */
    uint64_t life;                   /* of node 2, as the first list has it; 0: not known */
    struct snapshot_port *snapshots; /* NULL: none */
    /* Of answers to appends: sent, promised and behind which write, taken back, said before. */
    int answers, promises, taken_back;
    uint64_t promised_behind;
    struct raft_message promised;
    bool takes_promises, has_said;
    void (*on_snapshot)(const struct snapshot_message *message);
};

static struct world world;

/* ---- the parts played ------------------------------------------------------------- */

static inline void submit(struct raft_log_writer *writer, const struct raft_write *write)
{
    (void)writer;
    assert_true(write->count <= APPEND_ENTRIES);
    if (world.disk_hangs)
        return;
    raft_log_write(world.log, write, 1);
    world.written = write->seq;
}

static inline void send_message(struct transport *transport, const struct raft_message *message,
                                const struct raft_entry *entries)
{
    (void)transport;
    world.answers += message->type == RAFT_APPEND_RESPONSE;
    if (message->type != RAFT_APPEND_REQUEST)
        return;
    world.round = message->append_request.round;
    world.shown[message->to] = message->shown;
    world.appends++;
    raft_index end = message->append_request.prev.index + message->append_request.count;
    world.said[message->to] =
        end < message->append_request.commit ? end : message->append_request.commit;
    world.appended[0] = '\0';
    for (uint32_t i = 0; i < message->append_request.count; i++) {
        struct apply_context context;
        struct bytes command;
        if (!entries[i].payload ||
            !entry_unstamp(blob_bytes(entries[i].payload), &context, &command))
            continue;
        if (strlen(world.appended) + command.size < sizeof world.appended)
            strncat(world.appended, command.data, command.size);
        if (strlen(world.all_appended) + command.size < sizeof world.all_appended)
            strncat(world.all_appended, command.data, command.size);
        world.appended_seed = context.seed;
    }
}

static inline bool promise(struct transport *transport, const struct raft_message *message,
                           uint64_t seq)
{
    (void)transport;
    if (!world.takes_promises)
        return false;
    world.promises++;
    world.promised = *message;
    world.promised_behind = seq;
    return true;
}

static inline void take_back(struct transport *transport)
{
    (void)transport;
    world.taken_back++;
}

static inline bool has_said(struct transport *transport, const struct raft_message *message)
{
    (void)transport;
    return world.has_said && raft_answer_covers(&world.promised, message);
}

static inline bool send_forward(struct transport *transport, raft_node_id to,
                                const struct forward *forward)
{
    (void)transport;
    if (!world.connected)
        return false;
    world.forwarded_to = to;
    if (world.forwards_count++ >= FORWARDS_MAX)
        return true; /* it counts them */
    world.forwards[world.forwards_count - 1] = *forward;
    strncat(world.forwarded, (const char *)forward->command->data, forward->command->size);
    return true;
}

static inline void send_reply(struct transport *transport, raft_node_id to,
                              const struct forward_reply *reply)
{
    (void)transport;
    (void)to;
    world.rests[world.replies_count] = reply->rest ? reply->rest->size : 0;
    world.replies[world.replies_count++] = *reply;
}

static inline void send_cancel(struct transport *transport, raft_node_id to,
                               const struct forward_cancel *cancel)
{
    (void)transport;
    (void)to;
    world.cancel = *cancel;
    world.cancels_count++;
}

static inline void submit_read(struct raft_log_reader *reader, struct raft_log_reading *reading)
{
    (void)reader;
    assert_true(world.reads_count < READS_MAX);
    assert_true(reading->first + reading->count <= world.replica->cache.first); /* not in memory */
    world.reads[world.reads_count++] = reading;
}

static inline bool has_room_for_entries(struct transport *transport, raft_node_id to)
{
    (void)transport;
    (void)to;
    return !world.entries_full;
}

static inline bool has_room(struct transport *transport, raft_node_id to)
{
    (void)transport;
    (void)to;
    return !world.full;
}

/* "+k" puts one of k into the stock, "*k" too, but its words do not say so (a script); "pk" takes
 * one or waits for it, "pjk" takes one of j or else of k, "rk" reads whether there are any of k, or
 * waits; "w2" waits for two other members.  Behind a '#' stands what tells one from others. */
static inline struct bytes words_of(struct bytes command)
{
    const char *mark = memchr(command.data, '#', command.size);
    return mark ? bytes_of(command.data, (size_t)(mark - (const char *)command.data)) : command;
}

static inline unsigned stock_of(struct bytes whole)
{
    struct bytes command = words_of(whole);
    const unsigned char *text = command.data;
    if (command.size < 2)
        return 0;
    unsigned first = text[1] % STOCK_KINDS;
    return command.size > 2 && world.stock[first] == 0 ? text[2] % STOCK_KINDS : first;
}

static inline void change_stock(struct bytes whole, bool may_wait)
{
    struct bytes command = words_of(whole);
    const char *text = command.data;
    world.found_nothing = false;
    if (command.size < 2 || command.size > 3 ||
        (text[0] != '+' && text[0] != '*' && text[0] != 'p'))
        return;
    char kind = text[stock_of(command) == (unsigned char)text[1] % STOCK_KINDS ? 1 : 2];
    uint32_t *stock = &world.stock[stock_of(command)];
    world.found_nothing = may_wait && text[0] == 'p' && *stock == 0;
    if (text[0] != 'p')
        ++*stock;
    else if (*stock > 0)
        --*stock;
    world.touched(world.touched_context, world.database, bytes_of(&kind, 1));
}

static inline bool found_nothing(struct state_machine *machine)
{
    (void)machine;
    return world.found_nothing;
}

static inline bool would_wait(struct state_machine *machine, const struct apply_context *context,
                              struct bytes command)
{
    (void)machine;
    (void)context;
    return world.stock[stock_of(command)] == 0;
}

static inline void wait_keys(struct state_machine *machine, struct bytes command,
                             void (*each)(void *context, struct bytes key), void *context)
{
    (void)machine;
    size_t size = words_of(command).size;
    for (size_t i = 1; i < size && *(const char *)command.data != 'w'; i++)
        each(context, bytes_of((const char *)command.data + i, 1));
}

static inline uint64_t wait_kind(struct state_machine *machine, struct bytes command)
{
    (void)machine;
    bool is_z = command.size > 1 && *((const char *)command.data + 1) == 'z';
    return is_z ? 2 : 1; /* of z another type is wanted */
}

static inline uint64_t feeds(struct state_machine *machine, struct bytes command, struct bytes *key)
{
    (void)machine;
    *key = bytes_of((const char *)command.data + 1, command.size > 1 ? 1 : 0);
    return words_of(command).size == 2 && *(const char *)command.data == '+' ? 1 : 0;
}

static inline uint64_t wait_count(struct state_machine *machine,
                                  const struct apply_context *context, struct bytes command,
                                  struct bytes key)
{
    (void)machine;
    (void)context;
    (void)command;
    world.looks++;
    return world.stock[*(const unsigned char *)key.data % STOCK_KINDS];
}

static inline void listen_for_keys(struct state_machine *machine, state_machine_touched *touched,
                                   void *context)
{
    (void)machine;
    world.touched = touched;
    world.touched_context = context;
}

static inline bool is_slow(struct bytes command)
{
    return !world.slow || bytes_equal(command, bytes_from_string(world.slow));
}

static inline bool apply(struct state_machine *machine, const struct apply_context *context,
                         struct bytes command, int protocol, struct buffer *reply)
{
    (void)machine;
    (void)protocol;
    world.time_ms = context->now_ms;
    world.seed = context->seed;
    world.wants_parted = context->is_read_before;
    world.value_max = context->value_max;
    world.meaning = context->meaning;
    world.database = context->database;
    world.owner = context->owner;
    if (is_slow(command) && world.apply_slices > 0 && --world.apply_slices > 0)
        return false;
    change_stock(command, context->owner.run_id != 0);
    strncat(world.applied, command.data, command.size);
    if (world.executed && !world.found_nothing)
        world.executed(command);
    if (reply)
        buffer_append_bytes(reply, command);
    return true;
}

static inline void applied(struct state_machine *machine, struct raft_pos pos, int64_t now_ms,
                           uint8_t meaning)
{
    (void)machine;
    if (meaning > world.highest_meaning)
        world.highest_meaning = meaning;
    if (now_ms > world.highest_ms)
        world.highest_ms = now_ms;
    world.applied_index = pos.index;
    world.work += world.work_each;
    world.room--;
}

/* Commands with a $ are of meaning 2. */
static inline bool decode(struct state_machine *machine, struct blob *command)
{
    (void)machine;
    if (command && bytes_equal(blob_bytes(command), bytes_from_string("s")))
        return true; /* a short one */
    world.decoding = command;
    if (!command || world.decode_slices == 0)
        return true;
    world.decode_slices--;
    return false;
}

static inline bool admit(struct state_machine *machine, const struct apply_context *context,
                         struct bytes command, int protocol, struct buffer *reply)
{
    (void)machine;
    (void)protocol;
    if (context->meaning > 1 || !memchr(command.data, '$', command.size))
        return true;
    buffer_printf(reply, "refused");
    return false;
}

static inline bool serve(struct state_machine *machine, void **reading,
                         const struct apply_context *context, struct bytes command, int protocol,
                         struct buffer *reply, struct rope *rest)
{
    (void)machine;
    (void)protocol;
    world.read_ms = context->now_ms;
    world.until_ms = context->until_ms;
    const char *text = command.data;
    world.found_nothing = false;
    world.holders = context->holders;
    if (world.read_not_now)
        return false;
    if (world.never_before && world.apply_slices > 0 &&
        bytes_equal(command, bytes_from_string(world.never_before))) {
        world.tries++;
        return false;
    }
    if (!*reading) {
        world.read_index = world.applied_index;
        world.read_finds = text[0] == 'w' ? context->holders >= (uint32_t)(text[1] - '0')
                                          : world.stock[stock_of(command)] > 0;
    }
    world.is_followed = context->is_followed;
    if (world.read_slices > 0 && --world.read_slices > 0) {
        *reading = &world.read_index;
        return false;
    }
    *reading = NULL;
    world.found_nothing = context->may_wait && !world.read_finds;
    world.work += world.work_of_read;
    buffer_printf(reply, "read at %llu", (unsigned long long)world.read_index);
    buffer_reserve(reply, world.padding);
    memset(reply->data + reply->size, '.', world.padding);
    reply->size += world.padding;
    if (world.rest)
        rope_append(rest, bytes_from_string(world.rest));
    return true;
}

static inline void serve_no_more(struct state_machine *machine, void *reading)
{
    (void)machine;
    assert_ptr_equal(reading, &world.read_index);
    world.reads_dropped++;
}

static inline uint64_t work(struct state_machine *machine)
{
    (void)machine;
    return world.work;
}

static inline bool ready(struct state_machine *machine)
{
    (void)machine;
    return world.room > 0;
}

static inline bool ready_for_large(struct state_machine *machine)
{
    return ready(machine) && !world.no_room_for_large;
}

static inline raft_index applied_index(struct state_machine *machine)
{
    (void)machine;
    return world.applied_index;
}

/* As long as the test does not say what is stored, everything applied is. */
static inline raft_index persisted_index(struct state_machine *machine)
{
    (void)machine;
    return world.persisted_index ? world.persisted_index : world.applied_index;
}

static inline int64_t time_ms(struct state_machine *machine)
{
    (void)machine;
    return world.highest_ms;
}

static inline uint8_t meaning(struct state_machine *machine)
{
    (void)machine;
    return world.highest_meaning ? world.highest_meaning : 1;
}

static inline int64_t due_ms(struct state_machine *machine)
{
    (void)machine;
    return world.due_ms ? world.due_ms : INT64_MAX;
}

static inline bool is_read_before(struct state_machine *machine)
{
    (void)machine;
    return world.is_parted;
}

static inline struct blob *tick(struct state_machine *machine)
{
    (void)machine;
    return blob_copy(bytes_from_string("T"));
}

static inline uint8_t meaning_known(struct state_machine *machine)
{
    (void)machine;
    return world.meaning_known;
}

static inline bool told(struct state_machine *machine)
{
    (void)machine;
    return world.tells && !world.found_nothing;
}

/* A command of one '!' is the change that the test has in mind. */
static inline bool change(struct state_machine *machine, struct bytes command,
                          struct replica_change *asked)
{
    (void)machine;
    *asked = world.change;
    return bytes_equal(command, bytes_from_string("!"));
}

static inline bool may_prepare(struct state_machine *machine, struct bytes command)
{
    (void)machine;
    (void)command;
    return true;
}

static inline bool prepares(struct state_machine *machine, const struct apply_context *context,
                            struct bytes command)
{
    (void)machine;
    (void)context;
    world.prepares_asked++;
    return world.long_write && bytes_equal(command, bytes_from_string(world.long_write));
}

static inline enum preparing prepare(struct state_machine *machine,
                                     const struct apply_context *context, struct blob *command)
{
    (void)machine;
    assert_int_equal(context->protocol, 2);
    world.prepare_seed = context->seed;
    assert_true(context->now_ms >= world.highest_ms);
    assert_true(bytes_equal(blob_bytes(command), bytes_from_string(world.long_write)));
    world.prepare_calls++;
    world.is_preparing = true;
    if (world.prepare_slices > 0 && --world.prepare_slices > 0)
        return PREPARING_MORE;
    world.is_preparing = world.prepare_gives == PREPARING_ENDED;
    return world.prepare_gives;
}

static inline bool prepared_as(struct state_machine *machine, int64_t asked_ms, int64_t now_ms,
                               struct command_parts *parts)
{
    (void)machine;
    world.prepare_asked_ms = asked_ms;
    assert_true(asked_ms <= now_ms);
    assert_true(now_ms >= world.highest_ms);
    if (world.is_preparing && world.long_write_as)
        *parts = (struct command_parts){
            .list = {bytes_of(world.long_write_as, 1), bytes_from_string(world.long_write_as + 1)},
            .count = 2};
    return world.is_preparing && world.long_write_as;
}

static inline void prepare_drop(struct state_machine *machine)
{
    (void)machine;
    world.prepare_drops++;
    world.is_preparing = false;
}

static inline void send_snapshot(struct transport *transport,
                                 const struct snapshot_message *message)
{
    (void)transport;
    assert_non_null(world.on_snapshot);
    world.on_snapshot(message);
}

static void foresee(struct state_machine *machine, const struct foreseen *entries, uint32_t count)
{
    (void)machine;
    assert_true(count <= FORESEEN_MAX);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(entries[i].command.size > 0);
        world.reads_foreseen += bytes_is(entries[i].command, "r");
    }
}

static const struct raft_log_writer_ops writer_ops = {submit};
static const struct raft_log_reader_ops reader_ops = {submit_read};
static const struct transport_ops transport_ops = {.send = send_message,
                                                   .promise = promise,
                                                   .take_back = take_back,
                                                   .has_said = has_said,
                                                   .forward = send_forward,
                                                   .forward_reply = send_reply,
                                                   .cancel = send_cancel,
                                                   .snapshot = send_snapshot,
                                                   .has_room_for_entries = has_room_for_entries,
                                                   .has_room = has_room};
static const struct state_machine_ops machine_ops = {.apply = apply,
                                                     .foresee = foresee,
                                                     .applied = applied,
                                                     .decode = decode,
                                                     .admit = admit,
                                                     .read = serve,
                                                     .read_drop = serve_no_more,
                                                     .work = work,
                                                     .ready = ready,
                                                     .ready_for_large = ready_for_large,
                                                     .applied_index = applied_index,
                                                     .persisted_index = persisted_index,
                                                     .time_ms = time_ms,
                                                     .due_ms = due_ms,
                                                     .is_read_before = is_read_before,
                                                     .tick = tick,
                                                     .meaning = meaning,
                                                     .meaning_known = meaning_known,
                                                     .found_nothing = found_nothing,
                                                     .would_wait = would_wait,
                                                     .wait_keys = wait_keys,
                                                     .wait_kind = wait_kind,
                                                     .feeds = feeds,
                                                     .wait_count = wait_count,
                                                     .listen = listen_for_keys,
                                                     .change = change,
                                                     .may_prepare = may_prepare,
                                                     .prepares = prepares,
                                                     .prepare = prepare,
                                                     .prepared_as = prepared_as,
                                                     .prepare_drop = prepare_drop,
                                                     .told = told};

static inline void start(void)
{
    world.log = raft_log_open(world.kv);
    struct replica_options options = {
        .raft = {.id = 0,
                 .election_ticks = ELECTION_TICKS,
                 .heartbeat_ticks = 2,
                 .inflight_max = 8,
                 .inflight_bytes_max = 64 << 20,
                 .append_entries_max = APPEND_ENTRIES,
                 .append_bytes_max = 1 << 20,
                 .uncommitted_bytes_max = 64 << 20,
                 .seed = 1},
        .members.list = {.count = world.is_to_join ? 0 : 3,
                         .list = {{.id = 0, .voter = true},
                                  {.id = 1, .voter = true},
                                  {.id = 2, .life = world.life, .voter = true}}},
        .self = world.self,
        .tick_ms = TICK_MS,
        .run_id = 77,
        .secret = 0x5ec4e7,
        .cache_bytes = 16 << 20,
        .cache_calm_bytes = 16 << 20,
        .log_bytes_max = LOG_BYTES_MAX,
        .log_entries_max = LOG_ENTRIES_MAX,
        .log_entries_min = LOG_ENTRIES_MIN,
        .log = world.log,
        .writer = &world.writer,
        .reader = &world.reader,
        .transport = &world.transport,
        .machine = &world.machine,
        .snapshots = world.snapshots,
    };
    world.replica = replica_new(&options, world.now_ms, world.now_ms);
}

static inline void stop(void)
{
    replica_free(world.replica);
    for (uint32_t i = 0; i < world.reads_count; i++)
        raft_log_reading_free(world.reads[i]);
    world.reads_count = 0;
    raft_log_close(world.log);
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.kv = kv_memory_open();
    world.writer.ops = &writer_ops;
    world.reader.ops = &reader_ops;
    world.transport.ops = &transport_ops;
    world.machine.ops = &machine_ops;
    world.connected = true;
    world.meaning_known = 2;
    world.room = INT_MAX;
    start();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    stop();
    world.kv->ops->close(world.kv);
    return 0;
}

/* ---- bookkeeping ------------------------------------------------------------------------ */

struct counts {
    uint64_t waiting, waiting_bytes, reads, foreign;
};

static inline void count_queue(const struct request *queue, struct counts *counts)
{
    for (const struct request *request = queue; request; request = request->next) {
        counts->waiting++;
        counts->waiting_bytes += request->command->size;
        counts->reads += request->kind == REQUEST_READ;
        counts->foreign += request->origin != RAFT_NOBODY;
    }
}

/* Requests of a line. */
static inline uint64_t check_line(const struct request_line *line)
{
    uint64_t requests = 0, out = 0;
    bool has_last_write = line->last_write == NULL;
    for (const struct request *request = line->requests; request; request = request->line_next) {
        requests++;
        out += request->place == REQUEST_FORWARDED;
        has_last_write |= request == line->last_write;
    }
    assert_int_equal(line->out_count, out);
    assert_true(has_last_write);
    assert_true(requests > 0);
    return requests;
}

static inline void check_cache(const struct entry_cache *cache)
{
    uint64_t bytes = 0;
    for (raft_index index = cache->first; index <= cache->last; index++)
        bytes += entry_cache_get(cache, index)->size + ENTRY_OVERHEAD_BYTES;
    assert_int_equal(cache->bytes, bytes);
}

/* Of who waits, and so has a share of the room for all of them. */
static inline void check_parked(const struct replica *replica)
{
    uint64_t count = 0, bytes = 0, places = 0;
    for (const struct request *request = replica->parked; request; request = request->next) {
        count++;
        bytes += request->command->size;
        places += request->waiter->places_count;
    }
    assert_int_equal(replica->parked_count, count);
    assert_int_equal(replica->parked_bytes, bytes);
    assert_int_equal(replica->parked_places, places);
}

/* What is counted is what is there. */
static inline void check_bookkeeping(void)
{
    const struct replica *replica = world.replica;
    struct counts waiting = {0}, forwarded = {0};
    const struct request_line *line;
    uint64_t under_way = 0;
    count_queue(replica->waiting, &waiting);
    count_queue(replica->returned, &waiting);
    count_queue(replica->forwarded, &forwarded);
    DL_FOREACH(replica->lines, line)
    {
        under_way += check_line(line);
    }
    assert_true(!replica->lines == (replica->lines_by_key.count == 0));
    assert_int_equal(replica->waiting_count, waiting.waiting);
    assert_int_equal(replica->waiting_bytes, waiting.waiting_bytes);
    assert_int_equal(replica->waiting_reads, waiting.reads);
    assert_int_equal(replica->waiting_foreign, waiting.foreign);
    assert_int_equal(replica->forwarded_bytes, forwarded.waiting_bytes);
    assert_int_equal(HASH_COUNT(replica->forwarded_by_id), forwarded.waiting);
    assert_int_equal(replica->under_way_count, under_way);
    check_parked(replica);
    check_cache(&replica->cache);
}

/* ---- verbs ----------------------------------------------------------------------------- */

/* What was asked of the reader comes back. */
static inline bool give_reads(void)
{
    if (world.reads_count == 0 || world.reader_hangs)
        return false;
    struct raft_log_reading *reading = world.reads[0];
    memmove(world.reads, world.reads + 1, --world.reads_count * sizeof world.reads[0]);
    reading->done = raft_log_read(world.log, reading->first, reading->count, reading->bytes_max,
                                  reading->entries);
    world.reads_done++;
    replica_log_read(world.replica, reading);
    return true;
}

static inline void run(void)
{
    do {
        while (replica_run(world.replica))
            ;
    } while (give_reads());
    check_bookkeeping();
}

static inline void persist_without_running(void)
{
    replica_persisted(world.replica, world.written);
}

static inline void persist(void)
{
    persist_without_running();
    run();
}

/* Of the member that the list has, or of another one. */
static inline uint64_t life_of(raft_node_id node)
{
    const struct raft_members *members = replica_members(world.replica, NULL);
    uint32_t place = raft_members_place(members, node);
    return world.other_life || place == members->count ? world.other_life
                                                       : members->list[place].life;
}

static inline void receive_without_running(struct raft_message message)
{
    message.to = 0;
    replica_receive(world.replica, &message, life_of(message.from), world.clock_ms);
}

static inline void receive(struct raft_message message)
{
    receive_without_running(message);
    run();
}

static inline void pass(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += TICK_MS) {
        world.now_ms += TICK_MS;
        replica_tick(world.replica, world.now_ms, world.now_ms);
        run();
    }
}

static inline struct raft_status status(void)
{
    struct replica_status now;
    replica_status(world.replica, &now);
    return now.raft;
}

/* ---- what other nodes say ---------------------------------------------------------------- */

/* Node `from` has the log up to `hint`, and answers the present round. */
static inline struct raft_message matched(raft_node_id from, struct raft_pos hint)
{
    return (struct raft_message){
        .type = RAFT_APPEND_RESPONSE,
        .from = from,
        .term = status().term,
        .append_response = {.matched = true, .hint = hint, .round = world.round}};
}

static inline struct raft_message heartbeat(raft_node_id leader, raft_term term)
{
    return (struct raft_message){.type = RAFT_APPEND_REQUEST, .from = leader, .term = term};
}

static inline struct raft_message vote(raft_node_id from, raft_term term, bool pre_vote)
{
    return (struct raft_message){.type = RAFT_VOTE_RESPONSE,
                                 .from = from,
                                 .term = term,
                                 .vote_response = {.granted = true, .pre_vote = pre_vote}};
}

/* Another node's client `client` asks; the command is released with blob_release(). */
static inline struct forward forward_of(enum request_kind kind, uint64_t id, uint64_t client,
                                        const char *command)
{
    return (struct forward){.run_id = 5,
                            .id = id,
                            .term = status().term,
                            .kind = kind,
                            .protocol = 2,
                            .client = client,
                            .command = blob_copy(bytes_from_string(command))};
}

/* ---- roles and what is decided ------------------------------------------------------------- */

/* Node `leader` leads `term`, and says so. */
static inline void follow(raft_node_id leader, raft_term term)
{
    receive(heartbeat(leader, term));
    persist();
    assert_int_equal(status().leader, leader);
}

/* A new leader has the same log, and all of it is committed. */
static inline void follow_and_commit_all(raft_node_id leader, raft_term term)
{
    struct raft_message message = heartbeat(leader, term);
    message.append_request.prev = status().last;
    message.append_request.commit = status().last.index;
    receive(message);
    persist();
    assert_int_equal(status().commit, status().last.index);
}

/* Time passes until node 0 campaigns; node 1 votes for it.  Its no-op is not committed yet. */
static inline void win_election(void)
{
    for (int i = 0; i < 100 && status().role != RAFT_PRE_CANDIDATE; i++)
        pass(TICK_MS);
    receive(vote(1, status().term + 1, true));
    persist();
    receive(vote(1, status().term, false));
    assert_int_equal(status().role, RAFT_LEADER);
}

/* Node 1 has everything, and answers the present round. */
static inline void acknowledge_without_running(void)
{
    persist_without_running();
    receive_without_running(matched(1, status().last));
}

static inline void acknowledge(void)
{
    persist();
    receive(matched(1, status().last));
}

static inline void lead(void)
{
    win_election();
    acknowledge();
    assert_int_equal(status().commit, status().last.index);
}

/* ---- requests ---------------------------------------------------------------------------- */

struct result {
    int calls;
    enum request_outcome outcome;
    char reply[TEXT_MAX];
};

static inline void on_done(void *context, struct request *request, enum request_outcome outcome,
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

static inline void ask_within(struct result *result, enum request_kind kind, uint64_t client,
                              const char *command, int64_t ms)
{
    *result = (struct result){0};
    struct request *request =
        request_new(kind, 2, client, blob_copy(bytes_from_string(command)), on_done, result);
    request->database = 5;
    request->deadline_ms = world.now_ms + ms;
    replica_submit(world.replica, request);
}

static inline void ask(struct result *result, enum request_kind kind, uint64_t client,
                       const char *command)
{
    ask_within(result, kind, client, command, DEADLINE_MS);
}

/* `ask`, and the turn that takes it. */
static inline void ask_now(struct result *result, enum request_kind kind, uint64_t client,
                           const char *command)
{
    ask(result, kind, client, command);
    run();
}

/* The same, and node 1 agrees. */
static inline void ask_and_commit(struct result *result, enum request_kind kind, uint64_t client,
                                  const char *command)
{
    ask_now(result, kind, client, command);
    acknowledge();
}

static inline void answer_without_running(uint32_t forward, bool refused, const char *reply)
{
    struct forward_reply message = {.run_id = world.forwards[forward].run_id,
                                    .id = world.forwards[forward].id,
                                    .refused = refused,
                                    .outcome = REQUEST_DONE,
                                    .reply = bytes_from_string(reply)};
    replica_receive_forward_reply(world.replica, world.forwarded_to, &message);
}

static inline void answer(uint32_t forward, bool refused, const char *reply)
{
    answer_without_running(forward, refused, reply);
    run();
}

#define assert_ended(result, how)                                                                  \
    do {                                                                                           \
        assert_int_equal((result).calls, 1);                                                       \
        assert_int_equal((result).outcome, how);                                                   \
    } while (0)

/* Commands of `size` bytes, each in an entry of its own, applied. */
static inline void write_entries(int count, size_t size)
{
    static struct result result;
    char command[TEXT_MAX] = "";
    assert_true(size < sizeof command);
    memset(command, 'x', size);
    for (int i = 0; i < count; i++) {
        world.applied[0] = '\0';
        ask_and_commit(&result, REQUEST_WRITE, 1, command);
    }
    pass(TICK_MS);
}

/* What it applied is lost with it, and read back from the log. */
static inline void restart_without_data(void)
{
    stop();
    memset(world.applied, 0, sizeof world.applied);
    world.applied_index = 0;
    start();
}

#endif
