/* The stored state of a directory that no node has open (snapshot.h): whose it is, and to whom it
 * is given.
 *
 * The seed of the hash stays.  Where no entry chose one yet, no key was written either, and the
 * next entry of before there was a choice takes the new cluster's id, here and on all that join.
 * Whoever joins begins with what is stored, since the log begins there: it never replays an entry
 * that took the old cluster's id as seed. */
#include "base/fatal.h"
#include "data/record.h"
#include "data/snapshot.h"
#include "data/snapshot_form.h"
#include "storage/raft_log.h"

static enum db_stored load(struct kv *kv, uint64_t *cluster, struct state *state)
{
    struct buffer record = {0};
    enum db_stored stored = DB_STORED_NOTHING;
    if (kv->ops->get(kv, KV_DATA, record_state_key(), &record))
        stored = record_state_parse(buffer_bytes(&record), cluster, state) ? DB_STORED_STATE
                                                                           : DB_STORED_UNSOUND;
    buffer_deinit(&record);
    return stored;
}

static bool has_rows(struct kv *kv)
{
    struct bytes key, value;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, bytes_from_string(""), kv_family_end());
    bool found = kv->ops->iter_next(iter, &key, &value);
    kv->ops->iter_free(iter);
    return found;
}

enum db_stored db_stored_about(struct kv *kv, struct db_snapshot_about *about)
{
    struct state state;
    uint64_t cluster;
    enum db_stored stored = load(kv, &cluster, &state);
    *about = (struct db_snapshot_about){.index = 0};
    if (stored == DB_STORED_STATE)
        *about = db_snapshot_about_state(&state, cluster);
    else if (has_rows(kv))
        return DB_STORED_UNSOUND;
    return stored;
}

static void put_cluster(struct kv *kv, struct kv_batch *batch, const struct state *state,
                        uint64_t cluster)
{
    unsigned char record[RECORD_STATE_SIZE];
    record_state_encode(record, state, cluster);
    kv->ops->batch_put(batch, KV_DATA, record_state_key(), bytes_of(record, sizeof record));
}

void db_stored_force(struct kv *kv, struct raft_log *log, uint64_t cluster,
                     const struct raft_member *member)
{
    struct state state = {.index = 0};
    uint64_t before;
    enum db_stored stored = load(kv, &before, &state);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    check(stored != DB_STORED_UNSOUND);
    raft_log_force(log, batch, (struct raft_pos){state.term, state.index}, cluster, member);
    if (stored == DB_STORED_STATE)
        put_cluster(kv, batch, &state, cluster);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}
