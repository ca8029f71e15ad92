/* Lookups and changes through the layers: see layers.h for what holds between them.  Loop thread.
 *
 * Whether a name exists below costs a get from the kv the first time a name is changed after a
 * freeze: the price of an exact DBSIZE.  A miss is cheap (bloom filters), and an overwritten key
 * that was written lately is found in frozen. */
#include "data/layers.h"

#include "base/fatal.h"
#include "base/memory.h"

enum { SCRATCH_MAX = 1 << 20 }; /* a larger buffer is given back at the next use */

struct layer *layer_new(void)
{
    return memory_new(sizeof(struct layer));
}

void layer_free(struct layer *layer)
{
    while (layer) {
        struct layer *next = layer->next;
        for (int table = 0; table < TABLES; table++)
            overlay_deinit(&layer->tables[table]);
        memory_free(layer);
        layer = next;
    }
}

uint64_t layer_bytes(const struct layer *layer)
{
    uint64_t bytes = 0;
    for (int table = 0; table < TABLES; table++)
        bytes += layer->tables[table].bytes;
    return bytes;
}

const struct overlay *layers_frozen(const struct db *db, enum table table)
{
    if (!db->frozen)
        return NULL;
    if (table == TABLE_KEYS && db->frozen->state.epoch != db->state.epoch)
        return NULL; /* L4 */
    return &db->frozen->tables[table];
}

/* While a checkpoint is under way the kv may be ahead of db->persisted, but only by what frozen
 * has too. */
bool layers_kv_counts(const struct db *db, enum table table)
{
    if (table == TABLE_KEYS)
        return db->persisted.epoch == db->state.epoch && db->persisted.keys > 0;
    return db->persisted.receipts > 0;
}

/* Reads the key in db->place. */
static void read_from_kv(struct db *db)
{
    struct buffer key = db->key;
    db->key = db->place;
    db->place = key;
    if (db->value.capacity > SCRATCH_MAX)
        buffer_deinit(&db->value);
    db->is_found = db->kv->ops->get(db->kv, KV_DATA, buffer_bytes(&db->key), &db->value);
    db->is_read = true;
}

/* What was read stays true until a checkpoint is done: what the kv learns while one is under way is
 * hidden by frozen. */
static bool get_from_kv(struct db *db, enum table table, uint64_t word, struct bytes name,
                        struct bytes *record)
{
    if (!layers_kv_counts(db, table))
        return false;
    record_key(&db->place, table, db->state.epoch, word, name);
    if (!db->is_read || !bytes_equal(buffer_bytes(&db->key), buffer_bytes(&db->place)))
        read_from_kv(db);
    *record = buffer_bytes(&db->value);
    return db->is_found;
}

static bool get_below(struct db *db, enum table table, uint64_t word, struct bytes name,
                      struct bytes *record)
{
    const struct overlay *frozen = layers_frozen(db, table);
    const struct entry *entry = frozen ? overlay_find(frozen, word, name) : NULL;
    if (!entry)
        return get_from_kv(db, table, word, name, record);
    *record = entry_record(entry);
    return !entry->is_tombstone;
}

bool layers_get(struct db *db, enum table table, uint64_t word, struct bytes name,
                struct bytes *record)
{
    const struct entry *entry = overlay_find(&db->active->tables[table], word, name);
    if (!entry)
        return get_below(db, table, word, name, record);
    *record = entry_record(entry);
    return !entry->is_tombstone;
}

static void note_change(struct db *db, size_t bytes)
{
    db->is_in_entry = true;
    db->changed_bytes += bytes;
}

bool layers_put(struct db *db, enum table table, uint64_t word, struct bytes name,
                struct bytes header, struct bytes payload)
{
    enum overlay_before before;
    /* First the put, then the look below: that may overwrite the scratch buffer, and with it a
     * payload that came from there. */
    struct entry *entry =
        overlay_put(&db->active->tables[table], word, name, header, payload, &before);
    note_change(db, name.size + entry->record_size);
    if (before == OVERLAY_ABSENT) {
        struct bytes record;
        entry->is_below = get_below(db, table, word, name, &record); /* L3 */
        return entry->is_below;
    }
    return before == OVERLAY_LIVE;
}

bool layers_delete(struct db *db, enum table table, uint64_t word, struct bytes name)
{
    struct overlay *active = &db->active->tables[table];
    struct entry *entry = overlay_find(active, word, name);
    struct bytes record;
    if (entry ? entry->is_tombstone : !get_below(db, table, word, name, &record))
        return false;
    note_change(db, name.size);
    if (entry && !entry->is_below)
        overlay_remove(active, word, name);
    else
        overlay_bury(active, word, name)->is_below = true; /* L3 */
    return true;
}
