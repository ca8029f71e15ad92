/* A node's kv: kv_memory behind a disk that can fail.
 *
 * Something breaks at the operation that counts the fuse down to zero, as kv_rocksdb.c would tell
 * it: by fatal().  A write that fails may be there all the same, whole (a batch is one record of
 * the journal, or of RocksDB's write-ahead log, with a checksum, so a torn one is dropped at the
 * next start), and nothing that is told after it can be relied on.  A disk that is full fails every
 * write until it has room again, also after a restart. */
#include "base/fatal.h"
#include "base/memory.h"
#include "kv_memory.h"
#include "sim.h"

enum { PATIENCE = 16 }; /* of walks: what they ask until one gives up */

static struct sim_store *store_of(struct kv *kv)
{
    return (struct sim_store *)kv;
}

_Noreturn static void fail(const struct sim_store *store, const char *what, const char *why)
{
    sim.failing = store->node;
    fatal("cannot %s the store: %s", what, why);
}

/* What a dead process still has on its way (disk.c) was decided when it died. */
static bool burns_down(struct sim_store *store)
{
    return store->node->alive && store->fuse > 0 && --store->fuse == 0;
}

static void count_break(const struct sim_store *store, enum kv_family family)
{
    if (store->how == BREAK_WRITE)
        sim.coverage.disk_errors++;
    else if (store->node->adopting)
        sim.coverage.crashes_in_adoption++;
    else if (family == KV_STAGE)
        sim.coverage.crashes_in_install++;
    else if (family == KV_DATA)
        sim.coverage.crashes_in_checkpoint++;
    else
        sim.coverage.crashes_in_write++;
}

/* Before a write.  True: it fails, but only after it was done. */
static bool fails_after(struct sim_store *store, enum kv_family family)
{
    if (sim.now_us < store->full_until_us && store->node->alive) {
        sim.coverage.disk_full++;
        fail(store, "write", "No space left on device");
    }
    if (store->how != BREAK_POWER && store->how != BREAK_WRITE)
        return false;
    if ((store->only_checkpoints && family != KV_DATA) ||
        (store->only_staged && family != KV_STAGE) || !burns_down(store))
        return false;
    count_break(store, family);
    if (sim_chance(500))
        return true;
    sim.coverage.writes_torn_off++;
    fail(store, "write", store->how == BREAK_POWER ? "the power is cut" : "Input/output error");
}

/* Before a change of the store.  False: a checkpoint of a dead process wants it. */
static bool may_change(struct sim_store *store)
{
    return !sim_checkpoint_is_caller() || sim_checkpoint_stop(store->node, true);
}

static void check_read(struct sim_store *store)
{
    if (sim_checkpoint_is_caller() && !sim_checkpoint_stop(store->node, false))
        return;
    if (store->how != BREAK_READ || !burns_down(store))
        return;
    sim.coverage.disk_read_errors++;
    fail(store, "read", "Input/output error");
}

static bool get(struct kv *kv, enum kv_family family, struct bytes key, struct buffer *value)
{
    struct sim_store *store = store_of(kv);
    check_read(store);
    return store->inner->ops->get(store->inner, family, key, value);
}

static bool get_head(struct kv *kv, enum kv_family family, struct bytes key, size_t head_max,
                     struct buffer *head, size_t *size)
{
    struct sim_store *store = store_of(kv);
    check_read(store);
    return store->inner->ops->get_head(store->inner, family, key, head_max, head, size);
}

static void get_heads(struct kv *kv, enum kv_family family, struct kv_head *heads, size_t count,
                      size_t head_max, bool keeps)
{
    struct sim_store *store = store_of(kv);
    check_read(store);
    store->inner->ops->get_heads(store->inner, family, heads, count, head_max, keeps);
}

static struct kv_batch *batch_new(struct kv *kv)
{
    return store_of(kv)->inner->ops->batch_new(store_of(kv)->inner);
}

static void commit(struct kv *kv, struct kv_batch *batch, bool sync)
{
    struct sim_store *store = store_of(kv);
    if (!may_change(store))
        return;
    bool fails = fails_after(store, KV_LOG);
    store->inner->ops->commit(store->inner, batch, sync);
    if (sync)
        sim_disk_committed(&store->node->disk);
    if (fails)
        fail(store, "write", "the answer to the sync does not come");
}

static void drop_files(struct kv *kv, enum kv_family family, struct bytes from, struct bytes to)
{
    struct sim_store *store = store_of(kv);
    if (!may_change(store))
        return;
    bool fails = fails_after(store, family);
    store->inner->ops->drop_files(store->inner, family, from, to);
    if (fails)
        fail(store, "write", "the power is cut after files were dropped");
}

static void stage_clear(struct kv *kv)
{
    struct sim_store *store = store_of(kv);
    bool fails = fails_after(store, KV_STAGE);
    store->inner->ops->stage_clear(store->inner);
    if (fails)
        fail(store, "write", "the power is cut after the staging place was emptied");
}

static void reclaim(struct kv *kv, enum kv_family family, struct bytes from, struct bytes to)
{
    if (may_change(store_of(kv)))
        store_of(kv)->inner->ops->reclaim(store_of(kv)->inner, family, from, to);
}

static struct kv_iter *iter_new(struct kv *kv, enum kv_family family, struct bytes from,
                                struct bytes to)
{
    struct sim_store *store = store_of(kv);
    check_read(store);
    return store->inner->ops->iter_new(store->inner, family, from, to);
}

static struct kv_snapshot *snapshot_new(struct kv *kv)
{
    return store_of(kv)->inner->ops->snapshot_new(store_of(kv)->inner);
}

static void snapshot_free(struct kv *kv, struct kv_snapshot *snapshot)
{
    store_of(kv)->inner->ops->snapshot_free(store_of(kv)->inner, snapshot);
}

static bool snapshot_get(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family family,
                         struct bytes key, struct buffer *value)
{
    struct sim_store *store = store_of(kv);
    check_read(store);
    return store->inner->ops->snapshot_get(store->inner, snapshot, family, key, value);
}

static struct kv_iter *walk_new(struct kv *kv, const struct kv_snapshot *snapshot,
                                enum kv_family family, struct bytes from, struct bytes to,
                                bool gives_up)
{
    struct sim_store *store = store_of(kv);
    check_read(store);
    return store->inner->ops->walk_new(store->inner, snapshot, family, from, to, gives_up);
}

static struct kv_bulk *bulk_new(struct kv *kv, enum kv_family family)
{
    return store_of(kv)->inner->ops->bulk_new(store_of(kv)->inner, family);
}

/* A bulk carries no store. */
static struct sim_store *store_of_bulk(const struct kv_bulk *bulk)
{
    const struct kv *inner = kv_memory_bulk_kv(bulk);
    for (uint32_t i = 0; i < sim.options.nodes; i++)
        if (sim.nodes[i].store && sim.nodes[i].store->inner == inner)
            return sim.nodes[i].store;
    sim_fail("a bulk of nobody");
}

static void bulk_commit(struct kv_bulk *bulk)
{
    struct sim_store *store = store_of_bulk(bulk);
    enum kv_family family = kv_memory_bulk_family(bulk);
    if (!may_change(store)) {
        kv_memory_bulk_drop(bulk);
        return;
    }
    bool fails = fails_after(store, family);
    store->inner->ops->bulk_commit(bulk);
    sim.coverage.checkpoints += family == KV_DATA;
    if (fails)
        fail(store, "write", "the answer to the checkpoint does not come");
}

static uint64_t property(struct kv *kv, enum kv_family family, const char *name)
{
    return store_of(kv)->inner->ops->property(store_of(kv)->inner, family, name);
}

/* Batches, iterators and bulks are kv_memory's own. */
static struct kv_ops store_ops;

struct sim_store *sim_store_new(struct sim_node *node)
{
    struct sim_store *store = memory_new(sizeof *store);
    store->inner = kv_memory_open();
    kv_memory_gives_up(store->inner, PATIENCE);
    store->node = node;
    store_ops = *store->inner->ops;
    store_ops.get = get;
    store_ops.get_head = get_head;
    store_ops.get_heads = get_heads;
    store_ops.batch_new = batch_new;
    store_ops.commit = commit;
    store_ops.drop_files = drop_files;
    store_ops.stage_clear = stage_clear;
    store_ops.reclaim = reclaim;
    store_ops.iter_new = iter_new;
    store_ops.snapshot_new = snapshot_new;
    store_ops.snapshot_free = snapshot_free;
    store_ops.snapshot_get = snapshot_get;
    store_ops.walk_new = walk_new;
    store_ops.bulk_new = bulk_new;
    store_ops.bulk_commit = bulk_commit;
    store_ops.property = property;
    store->base.ops = &store_ops;
    return store;
}

void sim_store_break(struct sim_store *store, enum sim_break how, uint64_t fuse)
{
    store->how = how;
    store->fuse = fuse;
    store->only_checkpoints = sim_chance(300);
    store->only_staged = false;
}

/* Power lost: what was not synced is gone.  A killed process only loses what it had not written. */
void sim_store_crash(struct sim_store *store)
{
    store->how = BREAK_NONE;
    if (sim_chance(500))
        kv_memory_sync(store->inner);
    else
        kv_memory_crash(store->inner);
}

/* What a dead process has left there may not be closed. */
struct kv *sim_store_exchange(struct sim_store *store, struct kv *inner)
{
    struct kv *before = store->inner;
    store->inner = inner;
    return before;
}

void sim_store_free(struct sim_store *store)
{
    store->inner->ops->close(store->inner);
    memory_free(store);
}
