/* The snapshot port without its thread: chunks are read and staged after a while, and a process
 * that dies has staged what it has.  And the adoption of what was staged, which ends one life of
 * the process and begins the next. */
#include <inttypes.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "data/snapshot.h"
#include "sim.h"

enum { CHUNK_BYTES = 3000, RUN_BYTES = 8000, WORK = 20000 };
/* In which a power cut comes. */
enum { WRITES_OF_ADOPTION = 4, WRITES_STAGED = 3, WRITES_TO_END = 12 };
enum { WORK_US_MIN = 30, WORK_US_SPREAD = 3000, LEAVE_US = 20000 };

struct source {
    struct db_snapshot *snapshot; /* NULL: a free place */
    bool is_closed;               /* while something is read of it */
    bool is_busy;
};

struct staged {         /* what is asked of it, in order */
    struct blob *chunk; /* NULL: a session begins, or ends */
    uint64_t id;        /* 0: it ends */
};

enum { SOURCES_MAX = 2 * SENDINGS_MAX, STAGED_MAX = 64 };

struct sim_snapshots {
    struct snapshot_port port; /* first */
    struct sim_node *node;
    struct source sources[SOURCES_MAX];
    struct db_install *install;
    uint64_t id;
    struct staged queue[STAGED_MAX];
    uint32_t queued;
    bool is_leaving;
};

static struct sim_snapshots *snapshots_of(struct snapshot_port *port)
{
    return (struct sim_snapshots *)port;
}

static int64_t some_time(void)
{
    return WORK_US_MIN + (int64_t)sim_below(WORK_US_SPREAD);
}

/* ---- a leader's -------------------------------------------------------------------- */

static void forget(struct source *source)
{
    db_snapshot_free(source->snapshot);
    *source = (struct source){0};
}

static void *open_source(struct snapshot_port *port, struct raft_pos *pos, uint64_t *bytes)
{
    struct sim_snapshots *snapshots = snapshots_of(port);
    struct source *source = snapshots->sources;
    struct db_snapshot_about about;
    while (source < snapshots->sources + SOURCES_MAX && source->snapshot)
        source++;
    if (source == snapshots->sources + SOURCES_MAX)
        return NULL;
    source->snapshot = db_snapshot_new(snapshots->node->db, CHUNK_BYTES);
    if (!source->snapshot)
        return NULL;
    db_snapshot_about(source->snapshot, &about);
    *pos = (struct raft_pos){about.term, about.index};
    *bytes = 0;
    sim_say("node %" PRIu64 " sends its state of entry %" PRIu64, snapshots->node->id, pos->index);
    sim.coverage.snapshots_begun++;
    return source;
}

static void read_done(struct sim_node *node, void *data)
{
    struct source *source = &node->snapshots->sources[*(uint32_t *)data];
    uint64_t number;
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, read_done, data);
        return;
    }
    memory_free(data);
    source->is_busy = false;
    if (source->is_closed) {
        forget(source);
        return;
    }
    while (!db_snapshot_next(source->snapshot, WORK))
        ;
    replica_snapshot_read(node->replica, source,
                          blob_copy(db_snapshot_chunk(source->snapshot, &number)),
                          db_snapshot_is_end(source->snapshot));
    sim_node_run(node);
}

static void read_source(struct snapshot_port *port, void *source)
{
    struct sim_snapshots *snapshots = snapshots_of(port);
    struct source *read = source;
    uint32_t *place = memory_new(sizeof *place);
    check(!read->is_busy && !read->is_closed);
    read->is_busy = true;
    *place = (uint32_t)(read - snapshots->sources);
    sim_schedule(some_time(), snapshots->node, read_done, place);
}

static void close_source(struct snapshot_port *port, void *source)
{
    struct source *closed = source;
    (void)port;
    if (closed->is_busy)
        closed->is_closed = true;
    else
        forget(closed);
}

/* ---- a member's -------------------------------------------------------------------- */

static void take_chunk(struct sim_snapshots *snapshots, const struct staged *next)
{
    struct db_install *install = snapshots->install;
    struct db_snapshot_about about;
    enum db_install_result result = db_install_take(install, blob_bytes(next->chunk));
    db_install_about(install, &about);
    sim.coverage.snapshot_chunks++;
    sim_say("node %" PRIu64 " stages chunk %" PRIu64, snapshots->node->id, about.chunks);
    struct snapshot_staged staged = {.id = next->id,
                                     .chunks = about.chunks,
                                     .rows = about.rows,
                                     .bytes = about.bytes,
                                     .is_whole = db_install_is_whole(install),
                                     .pos = {about.term, about.index}};
    if (result != DB_INSTALL_OK)
        sim_fail("a chunk is refused: %s", db_install_text(result));
    replica_snapshot_staged(snapshots->node->replica, &staged);
}

static void stage_done(struct sim_node *node, void *data)
{
    struct sim_snapshots *snapshots = node->snapshots;
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, stage_done, data);
        return;
    }
    check(snapshots->queued > 0);
    struct staged next = snapshots->queue[0];
    memmove(snapshots->queue, snapshots->queue + 1, --snapshots->queued * sizeof next);
    if (next.chunk) {
        take_chunk(snapshots, &next);
        blob_release(next.chunk);
    } else {
        db_install_free(snapshots->install);
        snapshots->install = next.id ? db_install_new(&node->store->base, RUN_BYTES) : NULL;
    }
    sim_node_run(node);
}

static void submit(struct sim_snapshots *snapshots, struct blob *chunk, uint64_t id)
{
    check(snapshots->queued < STAGED_MAX);
    snapshots->queue[snapshots->queued++] = (struct staged){chunk, id};
    sim_schedule(some_time(), snapshots->node, stage_done, NULL);
}

static void begin(struct snapshot_port *port, uint64_t id)
{
    if (sim_fault_on(FAULT_CRASH) && sim_chance(200)) {
        struct sim_store *store = snapshots_of(port)->node->store;
        bool is_of_staged = sim_chance(500);
        sim_store_break(store, BREAK_POWER,
                        1 + sim_below(is_of_staged ? WRITES_STAGED : WRITES_TO_END));
        store->only_checkpoints &= !is_of_staged;
        store->only_staged = is_of_staged;
    }
    snapshots_of(port)->id = id;
    submit(snapshots_of(port), NULL, id);
}

static void take(struct snapshot_port *port, struct blob *chunk)
{
    submit(snapshots_of(port), blob_take(chunk), snapshots_of(port)->id);
}

static void drop(struct snapshot_port *port)
{
    sim.coverage.installs_dropped++;
    submit(snapshots_of(port), NULL, 0);
}

static const struct snapshot_port_ops port_ops = {
    .open = open_source,
    .read = read_source,
    .close = close_source,
    .begin = begin,
    .take = take,
    .drop = drop,
};

/* ---- adoption ---------------------------------------------------------------------- */

static void leave(struct sim_node *node, void *data)
{
    struct snapshot_adoption adoption;
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, leave, data);
        return;
    }
    node->snapshots->is_leaving = false;
    if (replica_may_adopt(node->replica, &adoption))
        sim_node_adopt(node, &adoption);
}

void sim_snapshots_look(struct sim_node *node)
{
    struct snapshot_adoption adoption;
    if (node->snapshots->is_leaving || !replica_may_adopt(node->replica, &adoption))
        return;
    node->snapshots->is_leaving = true;
    if (sim_chance(300)) /* it may just have become due */
        db_checkpoint(node->db);
    sim_checkpoint_look(node);
    sim_schedule((int64_t)sim_below(LEAVE_US), node, leave, NULL);
}

void sim_snapshots_adopt(struct sim_node *node, const struct raft_log_members *members)
{
    struct db_install *install = node->snapshots->install;
    check(install && db_install_is_whole(install));
    if (sim_fault_on(FAULT_CRASH) && sim_chance(300))
        sim_store_break(node->store, BREAK_POWER, 1 + sim_below(WRITES_OF_ADOPTION));
    db_install_adopt(install, node->log, members, SIM_HASH_SEED);
}

/* ---- life -------------------------------------------------------------------------- */

struct snapshot_port *sim_snapshots_new(struct sim_node *node)
{
    node->snapshots = memory_new(sizeof *node->snapshots);
    node->snapshots->port.ops = &port_ops;
    node->snapshots->node = node;
    return &node->snapshots->port;
}

/* After replica_free(), before db_close(): the state that is sent is read no more. */
void sim_snapshots_stop(struct sim_node *node)
{
    struct sim_snapshots *snapshots = node->snapshots;
    for (uint32_t i = 0; i < SOURCES_MAX; i++)
        if (snapshots->sources[i].snapshot)
            forget(&snapshots->sources[i]);
    for (uint32_t i = 0; i < snapshots->queued; i++)
        blob_release(snapshots->queue[i].chunk);
    snapshots->queued = 0;
}

void sim_snapshots_free(struct sim_node *node)
{
    db_install_free(node->snapshots->install);
    memory_free(node->snapshots);
    node->snapshots = NULL;
}
