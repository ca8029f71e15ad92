/* One process: the same parts that main.c puts together, on simulated ports. */
#include <inttypes.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "kv_memory.h"
#include "raft/trace.h"
#include "sim.h"

enum { SLOW_PACE = 100000 };
enum { CHECKPOINT_BYTES = 9000, ROWS_BYTES = 200000, LOG_BYTES_MAX = 64 << 20, CACHE_BYTES = 8192 };
enum { FIRST_LIFE = 1 };       /* of the directories that there are at the start */
enum { PREPARE_ELEMENTS = 1 }; /* whatever can be is prepared */
/* Which scripts a node runs before their entries: those that were long, all, or that it saw. */
enum { LONG_FROMS = 3 };
static const unsigned long_from[LONG_FROMS] = {2, 0, 1};
enum { TURNS_MAX = 1000, TURNS_LATER_US = 1000 };
enum {
    SLICES_APART_OF_1000 = 300,
    SLICES_APART_US = 20000,
    PREPARING_APART_US = 200000,
    IDLE_SLICES_OF_1000 = 993
};

static int64_t monotonic_us(const struct sim_node *node)
{
    int64_t passed_us = sim.now_us - node->clock_at_us;
    return node->clock_base_us + passed_us + passed_us / 1000 * node->clock_ppm / 1000;
}

int64_t sim_node_now_ms(const struct sim_node *node)
{
    return monotonic_us(node) / 1000 + 1000;
}

void sim_node_set_rate(struct sim_node *node, int64_t ppm)
{
    node->clock_base_us = monotonic_us(node);
    node->clock_at_us = sim.now_us;
    node->clock_ppm = ppm;
}

int64_t sim_true_ms(void)
{
    return 1700000000000 + sim.now_us / 1000;
}

int64_t sim_node_unix_ms(const struct sim_node *node)
{
    return sim_true_ms() + node->clock_skew_us / 1000;
}

/* ---- our state machine in front of the shipped one: sees what is applied -------------- */

static struct sim_node *node_of(struct state_machine *port)
{
    return (struct sim_node *)((char *)port - offsetof(struct sim_node, port));
}

static bool machine_apply(struct state_machine *port, const struct apply_context *context,
                          struct bytes command, int protocol, struct buffer *reply)
{
    static struct buffer unasked; /* every node has to come to the same reply */
    struct sim_node *node = node_of(port);
    struct buffer *out = reply ? reply : &unasked;
    buffer_clear(out);
    node->is_half_done = !node->machine->ops->apply(node->machine, context, command, protocol, out);
    if (node->is_half_done)
        return false;
    struct buffer whole = {0};
    buffer_append_bytes(&whole, buffer_bytes(out));
    if (context->rest && context->rest->size > 0) {
        buffer_reserve(&whole, context->rest->size);
        rope_copy_to(context->rest, whole.data + whole.size);
        whole.size += context->rest->size;
    }
    sim_check_applied(node, context, command, buffer_bytes(&whole));
    buffer_deinit(&whole);
    return true;
}

static void machine_foresee(struct state_machine *port, const struct foreseen *entries,
                            uint32_t count)
{
    node_of(port)->machine->ops->foresee(node_of(port)->machine, entries, count);
}

static void machine_applied(struct state_machine *port, struct raft_pos pos, int64_t now_ms,
                            uint8_t meaning)
{
    struct sim_node *node = node_of(port);
    if (pos.index > node->applied_seen)
        node->applied_seen = pos.index;
    sim.coverage.applied_beside_checkpoints += sim_checkpoint_is_under_way(node);
    node->machine->ops->applied(node->machine, pos, now_ms, meaning);
    uint64_t prepared = command_machine_prepared(node->machine);
    sim.coverage.prepared += prepared - node->prepared;
    node->has_preparation &= prepared == node->prepared;
    node->prepared = prepared;
    sim_check_data(node, pos, now_ms);
}

static bool machine_read(struct state_machine *port, void **reading,
                         const struct apply_context *context, struct bytes command, int protocol,
                         struct buffer *reply, struct rope *rest)
{
    struct sim_node *node = node_of(port);
    (void)rest; /* the clients here take a reply in one piece */
    sim.coverage.read_beside_checkpoints += sim_checkpoint_is_under_way(node);
    bool begins_before = node->is_half_done && !*reading;
    bool is_done =
        node->machine->ops->read(node->machine, reading, context, command, protocol, reply, NULL);
    if (begins_before && (is_done || *reading)) {
        sim.coverage.read_before_the_end++;
        sim_check_read_before(node);
    }
    sim.coverage.not_read_before_the_end += begins_before && !is_done && !*reading;
    return is_done;
}

static void machine_read_drop(struct state_machine *port, void *reading)
{
    node_of(port)->machine->ops->read_drop(node_of(port)->machine, reading);
}

static uint64_t machine_work(struct state_machine *port)
{
    return node_of(port)->machine->ops->work(node_of(port)->machine);
}

static bool machine_decode(struct state_machine *port, struct blob *command)
{
    struct sim_node *node = node_of(port);
    return node->machine->ops->decode(node->machine, command);
}

static bool machine_admit(struct state_machine *port, const struct apply_context *context,
                          struct bytes command, int protocol, struct buffer *reply)
{
    struct sim_node *node = node_of(port);
    return node->machine->ops->admit(node->machine, context, command, protocol, reply);
}

static bool machine_ready(struct state_machine *port)
{
    sim_checkpoint_look(node_of(port)); /* it depends on how far that is */
    return node_of(port)->machine->ops->ready(node_of(port)->machine);
}

static bool machine_ready_for_large(struct state_machine *port)
{
    sim_checkpoint_look(node_of(port));
    return node_of(port)->machine->ops->ready_for_large(node_of(port)->machine);
}

static raft_index machine_applied_index(struct state_machine *port)
{
    return node_of(port)->machine->ops->applied_index(node_of(port)->machine);
}

/* Where members are not to fall off the log, its bounds may be small all the same: nodes say less
 * than they have stored while another lacks it.  What a node applied in an earlier life is on its
 * disk.  (The build before knows no snapshots, so it is so where there are upgrades.) */
static raft_index machine_persisted_index(struct state_machine *port)
{
    struct sim_node *node = node_of(port);
    raft_index index = node->machine->ops->persisted_index(node->machine);
    for (uint32_t i = 0; i < sim.options.nodes && !sim.falls_off; i++)
        if (sim.nodes[i].applied_seen < index)
            index = sim.nodes[i].applied_seen;
    return index;
}

static int64_t machine_time_ms(struct state_machine *port)
{
    return node_of(port)->machine->ops->time_ms(node_of(port)->machine);
}

static bool machine_is_read_before(struct state_machine *port)
{
    return node_of(port)->machine->ops->is_read_before(node_of(port)->machine);
}

static int64_t machine_due_ms(struct state_machine *port)
{
    return node_of(port)->machine->ops->due_ms(node_of(port)->machine);
}

static struct blob *machine_tick(struct state_machine *port)
{
    return node_of(port)->machine->ops->tick(node_of(port)->machine);
}

static uint8_t machine_meaning(struct state_machine *port)
{
    return node_of(port)->machine->ops->meaning(node_of(port)->machine);
}

static uint8_t machine_meaning_known(struct state_machine *port)
{
    return node_of(port)->machine->ops->meaning_known(node_of(port)->machine);
}

static bool machine_told(struct state_machine *port)
{
    return node_of(port)->machine->ops->told(node_of(port)->machine);
}

static bool machine_found_nothing(struct state_machine *port)
{
    return node_of(port)->machine->ops->found_nothing(node_of(port)->machine);
}

static bool machine_would_wait(struct state_machine *port, const struct apply_context *context,
                               struct bytes command)
{
    return node_of(port)->machine->ops->would_wait(node_of(port)->machine, context, command);
}

static void machine_wait_keys(struct state_machine *port, struct bytes command,
                              void (*each)(void *context, struct bytes key), void *context)
{
    node_of(port)->machine->ops->wait_keys(node_of(port)->machine, command, each, context);
}

static uint64_t machine_wait_kind(struct state_machine *port, struct bytes command)
{
    return node_of(port)->machine->ops->wait_kind(node_of(port)->machine, command);
}

static uint64_t machine_feeds(struct state_machine *port, struct bytes command, struct bytes *key)
{
    return node_of(port)->machine->ops->feeds(node_of(port)->machine, command, key);
}

static uint64_t machine_wait_count(struct state_machine *port, const struct apply_context *context,
                                   struct bytes command, struct bytes key)
{
    return node_of(port)->machine->ops->wait_count(node_of(port)->machine, context, command, key);
}

static void machine_listen(struct state_machine *port, state_machine_touched *touched,
                           void *context)
{
    node_of(port)->machine->ops->listen(node_of(port)->machine, touched, context);
}

static bool machine_change(struct state_machine *port, struct bytes command,
                           struct replica_change *change)
{
    return node_of(port)->machine->ops->change(node_of(port)->machine, command, change);
}

static bool machine_may_prepare(struct state_machine *port, struct bytes command)
{
    return node_of(port)->machine->ops->may_prepare(node_of(port)->machine, command);
}

static bool machine_prepares(struct state_machine *port, const struct apply_context *context,
                             struct bytes command)
{
    return node_of(port)->machine->ops->prepares(node_of(port)->machine, context, command);
}

/* There are slices in which nothing is done, so that it takes long. */
static enum preparing machine_prepare(struct state_machine *port,
                                      const struct apply_context *context, struct blob *command)
{
    struct sim_node *node = node_of(port);
    if (node->is_preparing && sim_chance(IDLE_SLICES_OF_1000))
        return PREPARING_MORE;
    blob_release(node->prepared_command);
    node->prepared_command = blob_take(command);
    enum preparing step = node->machine->ops->prepare(node->machine, context, command);
    node->is_preparing = step == PREPARING_MORE;
    node->has_preparation = step == PREPARING_MORE || step == PREPARING_ENDED;
    sim.coverage.preparations += step == PREPARING_ENDED;
    sim.coverage.preparations_changed += step == PREPARING_CHANGED;
    return step;
}

static bool machine_prepared_as(struct state_machine *port, int64_t asked_ms, int64_t now_ms,
                                struct command_parts *parts)
{
    struct sim_node *node = node_of(port);
    struct buffer whole = {0};
    if (!node->machine->ops->prepared_as(node->machine, asked_ms, now_ms, parts))
        return false;
    for (uint32_t i = 0; i < parts->count; i++)
        buffer_append_bytes(&whole, parts->list[i]);
    sim_note_restated(blob_bytes(node->prepared_command), buffer_bytes(&whole));
    buffer_deinit(&whole);
    sim.coverage.preparations_restated++;
    return true;
}

static void machine_prepare_drop(struct state_machine *port)
{
    struct sim_node *node = node_of(port);
    sim.coverage.preparations_unused += node->has_preparation;
    node->is_preparing = node->has_preparation = false;
    node->machine->ops->prepare_drop(node->machine);
}

static const struct state_machine_ops machine_ops = {
    .may_prepare = machine_may_prepare,
    .prepares = machine_prepares,
    .prepare = machine_prepare,
    .prepared_as = machine_prepared_as,
    .prepare_drop = machine_prepare_drop,
    .found_nothing = machine_found_nothing,
    .would_wait = machine_would_wait,
    .wait_keys = machine_wait_keys,
    .wait_kind = machine_wait_kind,
    .feeds = machine_feeds,
    .wait_count = machine_wait_count,
    .listen = machine_listen,
    .apply = machine_apply,
    .foresee = machine_foresee,
    .applied = machine_applied,
    .told = machine_told,
    .read = machine_read,
    .read_drop = machine_read_drop,
    .work = machine_work,
    .ready = machine_ready,
    .ready_for_large = machine_ready_for_large,
    .applied_index = machine_applied_index,
    .persisted_index = machine_persisted_index,
    .time_ms = machine_time_ms,
    .decode = machine_decode,
    .admit = machine_admit,
    .change = machine_change,
    .due_ms = machine_due_ms,
    .is_read_before = machine_is_read_before,
    .tick = machine_tick,
    .meaning = machine_meaning,
    .meaning_known = machine_meaning_known,
};

/* ---- life ------------------------------------------------------------------------------- */

static void run_later(struct sim_node *node, void *data)
{
    if (node->paused)
        sim_schedule(SIM_PAUSED_US, node, run_later, data);
    else
        sim_node_run(node);
}

/* What waits for a checkpoint would turn for ever; where an entry is half done, or something is
 * prepared, others come between the slices. */
static int64_t pause_us(const struct sim_node *node, int turns)
{
    if (turns >= TURNS_MAX && sim_checkpoint_is_under_way(node))
        return TURNS_LATER_US;
    if (node->is_preparing)
        return (int64_t)sim_below(PREPARING_APART_US);
    return node->is_half_done && sim_chance(SLICES_APART_OF_1000)
               ? 1 + (int64_t)sim_below(SLICES_APART_US)
               : 0;
}

static void count_acknowledged(struct sim_node *node)
{
    uint64_t acknowledged = sim_reads_acknowledged(node->replica);
    sim.coverage.reads_acknowledged += acknowledged - node->acknowledged;
    node->acknowledged = acknowledged;
}

void sim_node_run(struct sim_node *node)
{
    sim.touched = node;
    for (int turns = 1; replica_run(node->replica); turns++) {
        sim_checkpoint_look(node);
        int64_t later_us = pause_us(node, turns);
        if (later_us == 0)
            continue;
        sim_schedule(later_us, node, run_later, NULL);
        return;
    }
    sim.coverage.held_back += sim_is_held_back(node->replica);
    count_acknowledged(node);
    sim_checkpoint_look(node);
    sim_snapshots_look(node);
    sim_disk_look(node);
}

static void tick(struct sim_node *node, void *data)
{
    (void)data;
    if (!node->paused) {
        sim_links_tick(node);
        replica_tick(node->replica, sim_node_now_ms(node), sim_node_unix_ms(node));
        sim_node_run(node);
    }
    sim_schedule(SIM_TICK_US, node, tick, NULL);
}

/* As the lines of a configuration say it: who the voters are, not which directories they have.  A
 * learner cannot be configured; the one that there is at the start has been taken in. */
static struct raft_members all_members(void)
{
    struct raft_members members = {.count = sim.options.nodes};
    for (uint32_t i = 0; i < members.count; i++) {
        struct raft_member *member = &members.list[i];
        *member = (struct raft_member){.id = i, .voter = i < sim_first_voters()};
        if (!member->voter && (sim.options.faults & SIM_CHANGES) != 0)
            member->life = FIRST_LIFE + i;
        sim_address(i, false, member->address);
    }
    return members;
}

static struct raft_log_members members_at_start(struct sim_node *node)
{
    struct raft_log_members members;
    if (!raft_log_members(&node->store->base, &members))
        members = (struct raft_log_members){.list = all_members()};
    return members;
}

/* What it says of itself. */
static struct raft_member self_of(const struct sim_node *node)
{
    struct raft_member self = {.id = node->name, .life = node->disk_life.life};
    sim_address((uint32_t)node->id, false, self.address);
    sim_address((uint32_t)node->id, true, self.client);
    return self;
}

/* Half of all runs begin with the build before, and nodes are upgraded as they start again.  That
 * build knows no learners that were taken in. */
static void choose_build(struct sim_node *node)
{
    bool is_voter = node->id < sim_first_voters();
    if (node->meaning_known == 0)
        node->meaning_known = sim.upgrades && is_voter ? 1 : command_meaning_newest;
    else if (sim.upgrades && sim_chance(500))
        node->meaning_known = command_meaning_newest;
}

static void open_disk(struct sim_node *node)
{
    struct db_options options = {.cluster = SIM_HASH_SEED,
                                 .checkpoint_bytes = CHECKPOINT_BYTES,
                                 .cache_bytes = ROWS_BYTES,
                                 .wake = sim_checkpoint_wake,
                                 .wake_context = node};
    sim_checkpoint_init(node);
    if (!node->store) {
        node->store = sim_store_new(node);
        node->image.voted_for = RAFT_NOBODY;
        node->directory = sim_directory_new(node->name, FIRST_LIFE + node->id, (uint32_t)node->id);
    }
    node->disk_life = raft_log_start(&node->store->base, sim_directory(node->directory)->life);
    if ((sim.options.faults & SIM_CHANGES) == 0)
        node->disk_life = (struct raft_log_life){0};
    node->log = raft_log_open(&node->store->base);
    node->db = db_open(&node->store->base, &options);
    node->machine = command_machine_new(node->db, node->meaning_known);
    command_machine_prepare_from(node->machine, PREPARE_ELEMENTS);
    command_machine_long_from(node->machine, long_from[node->id % LONG_FROMS]);
    node->prepared = node->acknowledged = 0;
    sim_effects_listen(&node->effects, node->machine);
    sim_messages_node_started(node);
    node->applied_last = db_applied_index(node->db);
    node->log_time_ms = db_time_ms(node->db);
    sim_disk_init(&node->disk, node);
}

static void write_trace(void *context, struct bytes line)
{
    (void)context;
    check(fwrite(line.data, 1, line.size, sim.trace) == line.size);
}

void sim_trace_promised(const struct raft_message *answer, uint64_t durable)
{
    struct buffer line = {0};
    if (!sim.trace)
        return;
    raft_trace_promised(&line, answer, durable);
    write_trace(NULL, buffer_bytes(&line));
    buffer_deinit(&line);
}

void sim_trace_open(const char *path)
{
    struct buffer line = {0};
    if (strcmp(path, "-") == 0) {
        printf("# ");
        sim_print_command(&sim.options);
        printf(" --trace - | build/trace-check\n");
        fflush(stdout);
        sim.trace = fdopen(dup(STDOUT_FILENO), "w");
        check(dup2(STDERR_FILENO, STDOUT_FILENO) >= 0);
    } else {
        sim.trace = fopen(path, "w");
    }
    if (!sim.trace)
        fatal("cannot open the trace %s", path);
    setvbuf(sim.trace, NULL, _IOLBF, BUFSIZ); /* a dying core leaves whole lines */
    raft_trace_world(&line, RAFT_TRACE_CLOSED);
    write_trace(NULL, buffer_bytes(&line));
    buffer_deinit(&line);
}

/* Its process asks, and is no node yet. */
static void start_to_ask(struct sim_node *node)
{
    choose_build(node);
    node->disk_life = raft_log_start(&node->store->base, sim_directory(node->directory)->life);
    sim_say("node %" PRIu64 " asks to be taken in", node->id);
    sim_members_node_asks(node);
}

void sim_node_start(struct sim_node *node)
{
    if (node->asks) {
        if (node->disk_life.life != sim_directory(node->directory)->life)
            start_to_ask(node);
        return;
    }
    if (!sim_members_may_start(node))
        return;
    node->life++;
    node->alive = true;
    node->paused = node->is_half_done = node->is_preparing = node->has_preparation = false;
    blob_release(node->prepared_command);
    node->prepared_command = NULL;
    choose_build(node);
    node->port.ops = &machine_ops;
    open_disk(node);
    sim_network_init(node);
    struct replica_options options = {
        .raft =
            {
                .id = node->name,
                .election_ticks = sim.election_ticks,
                .heartbeat_ticks = sim.election_ticks / 8 + 1,
                .inflight_max = 8,
                .inflight_bytes_max = 6000,
                .append_entries_max = 64,
                .append_bytes_max = 2000,
                .uncommitted_bytes_max = 20000,
                .seed = prng_next(&sim.prng),
            },
        .members = members_at_start(node),
        .self = self_of(node),
        .tick_ms = SIM_TICK_US / 1000,
        .run_id = prng_next(&sim.prng),
        .seed = prng_next(&sim.prng),
        .secret = 0x5ec4e7,
        .cache_bytes = CACHE_BYTES,
        .cache_calm_bytes = CACHE_BYTES / 4,
        .log_bytes_max = LOG_BYTES_MAX,
        .log_entries_max = sim.log_entries_max,
        .log_entries_min = 4,
        .log = node->log,
        .writer = &node->disk.port,
        .reader = &node->disk.reader,
        .transport = &node->transport,
        .machine = &node->port,
        .snapshots = sim_snapshots_new(node),
        .trace = sim.trace ? write_trace : NULL,
    };
    node->replica = replica_new(&options, sim_node_now_ms(node), sim_node_unix_ms(node));
    sim_links_start(node);
    replica_set_snapshot_pace(node->replica, sim_chance(300) && !sim.healing ? SLOW_PACE : 0);
    sim_check_recovered(node);
    sim_say("node %" PRIu64 " starts, applied %" PRIu64, node->id, db_applied_index(node->db));
    sim_schedule((int64_t)sim_below(SIM_TICK_US), node, tick, NULL);
}

/* ---- its disk ------------------------------------------------------------------------------ */

/* What a process that died has left in its store may not be closed. */
static void put_disk(struct sim_node *node, struct kv *kv, const struct sim_image *image)
{
    (void)sim_store_exchange(node->store, kv);
    node->image = *image;
    node->applied_seen = node->stored_seen = 0;
}

void sim_node_lose_disk(struct sim_node *node, bool joins)
{
    const struct sim_image nothing = {.voted_for = RAFT_NOBODY};
    struct sim_directory *lost = sim_directory(node->directory);
    lost->image = *sim_directory_image(node->directory);
    lost->is_lost = true;
    put_disk(node, kv_memory_open(), &nothing);
    node->is_new = !joins;
    node->asks = joins;
    if (joins)
        node->name = RAFT_NOBODY;
    node->directory = sim_directory_new(node->name, prng_next(&sim.prng) | 1, (uint32_t)node->id);
    if (sim.upgrades) /* from here on members need what the log may not hold any more */
        sim.falls_off = true;
}

void sim_node_put_old_disk(struct sim_node *node, struct kv *copy, const struct sim_image *image)
{
    struct buffer line = {0};
    sim_directory(node->directory)->image = node->image;
    node->is_old = true;
    if (sim.trace) {
        raft_trace_old_disk(&line, node->name);
        write_trace(NULL, buffer_bytes(&line));
    }
    buffer_deinit(&line);
    put_disk(node, copy, image);
}

/* ---- who is let in ------------------------------------------------------------------------ */

void sim_node_turns_away(struct sim_node *node, uint32_t directory, const char *why)
{
    sim.coverage.old_disks_refused += sim.nodes[sim_directory(directory)->machine].is_old;
    sim_say("node %" PRIu64 " turns node %u away: %s", node->id, sim_directory(directory)->machine,
            why);
}

void sim_node_lets_in(struct sim_node *node, uint32_t directory)
{
    const struct sim_node *other = &sim.nodes[sim_directory(directory)->machine];
    if (other->directory != directory || node->is_old || node->is_new)
        return;
    if (other->is_old)
        sim_fail("node %" PRIu64 " lets node %" PRIu64 " in, which has an old copy of its disk",
                 node->id, other->id);
    struct raft_status status;
    raft_status(sim_raft_of(node->replica), &status);
    /* By an older list it may be a guest. */
    if (other->is_new && sim_members_are_known_at(status.commit))
        sim_fail("node %" PRIu64 " lets node %" PRIu64
                 " in, which has a new disk under the old name",
                 node->id, other->id);
}

void sim_node_refused(struct sim_node *node, bool is_disowned)
{
    sim.failing = node;
    if (is_disowned)
        replica_disowned(node->replica);
    sim.failing = NULL;
}

/* ---- the end of one ----------------------------------------------------------------------- */

/* Their connections break first: nothing is answered.  What the end of the replica says is heard by
 * nobody. */
static void fall_silent(struct sim_node *node)
{
    sim_streams_node_gone(node);
    sim_types_node_gone(node);
    sim_transactions_node_gone(node);
    sim_scripts_node_gone(node);
    sim_queues_node_gone(node);
    sim_readers_node_gone(node);
    sim_messages_node_gone(node);
    sim_clients_node_gone(node);
    sim_network_node_gone(node);
    node->alive = false;
}

static void close_db(struct sim_node *node)
{
    db_close(node->db);
    node->db = NULL;
}

void sim_node_crash(struct sim_node *node)
{
    sim_say("node %" PRIu64 " crashes", node->id);
    sim.coverage.crashes++;
    fall_silent(node);
    replica_free(node->replica);
    node->replica = NULL;
    sim_snapshots_stop(node);
    sim_disk_crash(&node->disk);
    command_machine_free(node->machine);
    sim_checkpoint_kill(node);
    close_db(node);
    sim_snapshots_free(node);
    raft_log_close(node->log);
    sim_store_crash(node->store);
}

/* As server/node.c does it.  The disk may fail at each of its writes. */
void sim_node_adopt(struct sim_node *node, const struct snapshot_adoption *adoption)
{
    struct raft_pos pos = adoption->pos;
    sim_say("node %" PRIu64 " adopts the state of entry %" PRIu64, node->id, pos.index);
    fall_silent(node);
    replica_free(node->replica);
    node->replica = NULL;
    sim_snapshots_stop(node);
    sim_disk_drain(&node->disk);
    command_machine_free(node->machine);
    node->alive = true;
    sim.coverage.checkpoints_before_adoption += sim_checkpoint_is_under_way(node);
    sim_checkpoint_hurry(node);
    close_db(node);
    node->adopting = true;
    sim_disk_expect(&node->disk, pos);
    sim_snapshots_adopt(node, &adoption->members);
    node->adopting = node->alive = false;
    if (pos.index > node->applied_seen)
        node->applied_seen = pos.index;
    sim.coverage.installs++;
    sim_check_goes_on(node, pos.index);
    sim_snapshots_free(node);
    raft_log_close(node->log);
    sim_node_start(node);
    sim_check_adopted(node, pos);
}

void sim_node_died(struct sim_node *node)
{
    sim.coverage.crashes++;
    if (node->replica) /* what it learned in its last moments may be on its disk */
        sim_check_commit(node);
    fall_silent(node);
    sim_disk_crash(&node->disk);
    sim_checkpoint_leave(node);
    node->db = NULL;
    sim_store_crash(node->store);
    node->replica = NULL;
    node->adopting = false;
    sim_restart_later(node);
}
