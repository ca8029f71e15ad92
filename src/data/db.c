/* The db: opening, keys, flushing, and the rhythm of checkpoints.  Loop thread.
 *
 * A checkpoint takes whole log entries: it starts in db_applied() or db_poll(), never between the
 * changes of one entry.  To freeze is to move one pointer; the layers stored before are freed by the
 * checkpoint's thread, as is what FLUSHALL discards.
 *
 * A space is named by a number that is given out once, and is part of every stored key.  Each
 * database is one: to flush it is to give it another, and what was there becomes invisible at once and
 * is deleted from the kv after the next checkpoint. */
#include <xxhash.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "data/checkpoint.h"

enum {
    ACTIVE_BYTES_FACTOR = 2,  /* of checkpoint_bytes: the bound of db_ready() */
    CHANGED_BYTES_FACTOR = 8, /* a checkpoint also after this much was overwritten in place, or */
    ENTRIES_MAX = 1000000     /* after so many entries: the log to replay must not grow for ever */
};

static uint64_t hash_name(struct bytes name, uint64_t seed)
{
    return XXH3_64bits_withSeed(name.data, name.size, seed);
}

/* ---- open and close -------------------------------------------------------- */

static void load_state(struct db *db)
{
    struct bytes key = record_state_key();
    if (db->kv->ops->get(db->kv, KV_DATA, key, &db->value)) {
        db->persisted = record_state_decode(buffer_bytes(&db->value), db->options.hash_seed);
    } else {
        db->persisted = record_state_first();
        struct kv_iter *iter = db->kv->ops->iter_new(db->kv, KV_DATA, key);
        struct bytes first, value;
        if (db->kv->ops->iter_next(iter, &first, &value))
            fatal("data: there are keys, but no state record");
        db->kv->ops->iter_free(iter);
    }
    db->state = db->persisted;
}

static bool is_living(const struct db *db, uint64_t space)
{
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (layers_space(db, i) == space)
            return true;
    return false;
}

/* Of the first stored key from this space on; false: there is none. */
static bool next_stored_space(struct db *db, uint64_t *space)
{
    struct bytes key, value;
    record_key_first(&db->sought, TABLE_KEYS, *space);
    struct kv_iter *iter = db->kv->ops->iter_new(db->kv, KV_DATA, buffer_bytes(&db->sought));
    bool is_found =
        db->kv->ops->iter_next(iter, &key, &value) && record_key_space(key, TABLE_KEYS, space);
    db->kv->ops->iter_free(iter);
    return is_found;
}

/* Are there keys of dead spaces, because a crash came before they were deleted? */
static bool has_dead_keys(struct db *db)
{
    uint64_t space = 0;
    while (next_stored_space(db, &space) && is_living(db, space))
        space++;
    return next_stored_space(db, &space) && !is_living(db, space);
}

struct db *db_open(struct kv *kv, const struct db_options *options)
{
    struct db *db = memory_new(sizeof *db);
    db->kv = kv;
    db->options = *options;
    db->hash = hash_name;
    db->active = layer_new();
    load_state(db);
    db->has_dead = db->is_dead_stored = has_dead_keys(db);
    return db;
}

void db_close(struct db *db)
{
    if (db->checkpoint)
        checkpoint_finish(db->checkpoint);
    check(db->views == 0);
    layer_free(db->active);
    for (unsigned i = 0; i < db->count; i++)
        layer_free(db->layers[i]);
    layer_free(db->discarded);
    buffer_deinit(&db->key);
    buffer_deinit(&db->value);
    buffer_deinit(&db->sought);
    memory_free(db);
}

/* ---- keys -------------------------------------------------------------------- */

static struct place key_place(const struct db *db, unsigned database, struct bytes key)
{
    return (struct place){TABLE_KEYS, layers_space(db, database), layers_hash(db, key), key};
}

enum db_type db_get(struct db *db, unsigned database, struct bytes key, struct bytes *value)
{
    struct place place = key_place(db, database, key);
    struct bytes record, payload;
    if (!layers_get(db, &place, &record))
        return DB_NONE;
    enum db_type type = (enum db_type)record_value_parse(record, &payload);
    if (value)
        *value = payload;
    return type;
}

void db_put(struct db *db, unsigned database, struct bytes key, enum db_type type,
            struct bytes value)
{
    struct place place = key_place(db, database, key);
    unsigned char header[RECORD_VALUE_HEADER];
    record_value_header(header, type);
    bool was_there = layers_put(db, &place, bytes_of(header, sizeof header), value);
    if (!was_there)
        db->state.databases[database].keys++;
}

bool db_delete(struct db *db, unsigned database, struct bytes key)
{
    struct place place = key_place(db, database, key);
    if (!layers_delete(db, &place))
        return false;
    check(db->state.databases[database].keys > 0);
    db->state.databases[database].keys--;
    return true;
}

uint64_t db_size(const struct db *db, unsigned database)
{
    check(database < DB_DATABASES);
    return db->state.databases[database].keys;
}

void db_flush(struct db *db, unsigned database)
{
    uint64_t space = layers_space(db, database);
    if (overlay_entries(&db->active->tables[TABLE_KEYS], space) > 0) {
        struct layer *flushed = layer_new();
        flushed->tables[TABLE_KEYS] = overlay_cut(&db->active->tables[TABLE_KEYS], space);
        layers_discard(db, flushed);
    }
    db->state.databases[database].space = db->state.space_next++;
    db->state.databases[database].keys = 0;
    db->has_dead = true;
    db->is_dead_stored |= layers_kv_counts(&db->persisted, TABLE_KEYS, space) ||
                          layers_kv_counts(&db->checkpointed, TABLE_KEYS, space);
    db->is_in_entry = true;
}

void db_flush_all(struct db *db)
{
    for (unsigned i = 0; i < DB_DATABASES; i++)
        db_flush(db, i);
}

void db_swap(struct db *db, unsigned one, unsigned other)
{
    check(one < DB_DATABASES);
    check(other < DB_DATABASES);
    struct state before = db->state;
    db->state.databases[one] = before.databases[other];
    db->state.databases[other] = before.databases[one];
    db->is_in_entry = true;
}

/* ---- log position and checkpoints ----------------------------------------------- */

/* Of changes that no checkpoint has taken yet. */
static uint64_t dirty_bytes(const struct db *db)
{
    uint64_t bytes = layer_bytes(db->active) + db->discarded_bytes;
    for (unsigned i = 0; i < db->count - db->stored - db->storing; i++)
        bytes += layer_bytes(db->layers[i]);
    return bytes;
}

/* What is stored makes room. */
static void freeze(struct db *db)
{
    for (; db->stored > 0; db->stored--)
        layers_release(db, db->layers[--db->count]);
    if (db->count < LAYERS_MAX)
        layers_freeze(db);
}

static void start(struct db *db)
{
    check(!db->checkpoint);
    check(!db->is_in_entry);
    freeze(db);
    db->storing = db->count;
    db->checkpointed = db->state;
    db->changed_bytes = 0;
    struct checkpoint_job job = {.kv = db->kv,
                                 .sources.count = db->count,
                                 .state = db->state,
                                 .discarded = db->discarded,
                                 .hash_seed = db->options.hash_seed,
                                 .sweep = db->has_dead && db->views == 0,
                                 .wake = db->options.wake,
                                 .wake_context = db->options.wake_context};
    for (unsigned i = 0; i < db->count; i++)
        job.sources.layers[i] = db->layers[i];
    db->discarded = NULL;
    db->discarded_bytes = 0;
    if (job.sweep)
        db->has_dead = db->is_dead_stored = false;
    db->checkpoint = checkpoint_start(&job);
}

static void finish(struct db *db)
{
    checkpoint_finish(db->checkpoint);
    db->checkpoint = NULL;
    db->checkpoints++;
    db->persisted = db->checkpointed; /* L1 */
    db->is_read = false;              /* by now the kv may say something else */
    db->stored = db->storing;
    db->storing = 0;
    db->checkpointed = (struct state){0};
}

/* What the dead hold of the disk is given back soon, not with the next changes (but a view may look
 * at it). */
static bool is_sweep_due(const struct db *db)
{
    return db->has_dead && db->is_dead_stored && db->views == 0;
}

static bool is_due(const struct db *db)
{
    if (is_sweep_due(db))
        return true;
    uint64_t bytes = db->options.checkpoint_bytes;
    return dirty_bytes(db) >= bytes || db->changed_bytes / CHANGED_BYTES_FACTOR >= bytes ||
           db->state.index - db->persisted.index >= ENTRIES_MAX;
}

void db_checkpoint(struct db *db)
{
    if (db->checkpoint || db->is_in_entry)
        return;
    if (db->state.index == db->persisted.index && !is_sweep_due(db))
        return;
    start(db);
    if (!db->options.wake)
        finish(db);
}

void db_poll(struct db *db)
{
    if (db->checkpoint && checkpoint_is_done(db->checkpoint))
        finish(db);
    if (!db->checkpoint && !db->is_in_entry && is_due(db))
        db_checkpoint(db);
}

void db_applied(struct db *db, uint64_t index, uint64_t term, int64_t now_ms)
{
    check(index > db->state.index);
    check(term >= db->state.term);
    db->state.index = index;
    db->state.term = term;
    if (now_ms > db->state.time_ms)
        db->state.time_ms = now_ms;
    db->is_in_entry = false;
    if (!db->checkpoint && is_due(db))
        db_checkpoint(db);
}

uint64_t db_applied_index(const struct db *db)
{
    return db->state.index;
}

void db_note_meaning(struct db *db, uint8_t meaning)
{
    if (meaning > db->state.meaning)
        db->state.meaning = meaning;
}

uint8_t db_meaning(const struct db *db)
{
    return db->state.meaning;
}

int64_t db_time_ms(const struct db *db)
{
    return db->state.time_ms;
}

uint64_t db_persisted_index(const struct db *db)
{
    return db->persisted.index;
}

bool db_ready(const struct db *db)
{
    return !db->checkpoint || dirty_bytes(db) < ACTIVE_BYTES_FACTOR * db->options.checkpoint_bytes;
}

void db_stats(const struct db *db, struct db_stats *stats)
{
    *stats = (struct db_stats){.dirty_bytes = dirty_bytes(db),
                               .checkpoints = db->checkpoints,
                               .receipts = db->state.receipts,
                               .checkpoint_under_way = db->checkpoint != NULL};
    for (unsigned i = 0; i < DB_DATABASES; i++)
        stats->keys += db->state.databases[i].keys;
    stats->views = db->views;
    stats->dirty_keys = db->active->tables[TABLE_KEYS].entries;
}
