/* Lookups and changes through the layers: see layers.h for what holds between them.  Loop thread.
 *
 * Whether a name exists below costs a get from the kv the first time a name is changed after a
 * freeze: the price of an exact DBSIZE.  A miss is cheap (bloom filters), and an overwritten key
 * that was written lately is found in a layer. */
#include "data/layers.h"

#include "base/fatal.h"
#include "base/memory.h"

enum { SCRATCH_MAX = 1 << 20 }; /* a larger buffer is given back at the next use */

struct layer *layer_new(void)
{
    struct layer *layer = memory_new(sizeof *layer);
    layer->references = 1;
    return layer;
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

void layers_discard(struct db *db, struct layer *layer)
{
    check(!layer->next);
    layer->next = db->discarded;
    db->discarded = layer;
    db->discarded_bytes += sizeof *layer + layer_bytes(layer);
}

void layers_release(struct db *db, struct layer *layer)
{
    check(layer->references > 0);
    if (--layer->references == 0)
        layers_discard(db, layer);
}

void layers_freeze(struct db *db)
{
    check(db->count < LAYERS_MAX);
    check(!db->is_in_entry);
    memmove(db->layers + 1, db->layers, db->count * sizeof *db->layers);
    db->layers[0] = db->active;
    db->count++;
    db->active = layer_new();
}

/* While a checkpoint is under way the kv may be ahead of db->persisted, but only by what the layers
 * have too. */
bool layers_kv_counts(const struct state *persisted, enum table table, uint64_t space)
{
    if (table != TABLE_KEYS)
        return persisted->receipts > 0;
    for (int i = 0; i < DB_DATABASES; i++)
        if (persisted->databases[i].space == space)
            return persisted->databases[i].keys > 0;
    return false;
}

/* Reads the key in db->sought. */
static void read_from_kv(struct db *db)
{
    struct buffer key = db->key;
    db->key = db->sought;
    db->sought = key;
    if (db->value.capacity > SCRATCH_MAX)
        buffer_deinit(&db->value);
    db->is_found = db->kv->ops->get(db->kv, KV_DATA, buffer_bytes(&db->key), &db->value);
    db->is_read = true;
}

/* What was read stays true until a checkpoint is done: what the kv learns while one is under way is
 * hidden by the layers. */
static bool get_from_kv(struct db *db, const struct place *place, struct bytes *record)
{
    if (!layers_kv_counts(&db->persisted, place->table, place->space))
        return false;
    record_key(&db->sought, place);
    if (!db->is_read || !bytes_equal(buffer_bytes(&db->key), buffer_bytes(&db->sought)))
        read_from_kv(db);
    *record = buffer_bytes(&db->value);
    return db->is_found;
}

static const struct entry *find_in(const struct layer *layer, const struct place *place)
{
    return overlay_find(&layer->tables[place->table], place->space, place->word, place->name);
}

static bool get_below(struct db *db, const struct place *place, struct bytes *record)
{
    const struct entry *entry = NULL;
    for (unsigned i = 0; !entry && i < db->count; i++)
        entry = find_in(db->layers[i], place);
    if (!entry)
        return get_from_kv(db, place, record);
    *record = entry_record(entry);
    return !entry->is_tombstone;
}

bool layers_get(struct db *db, const struct place *place, struct bytes *record)
{
    const struct entry *entry = find_in(db->active, place);
    if (!entry)
        return get_below(db, place, record);
    *record = entry_record(entry);
    return !entry->is_tombstone;
}

static void note_change(struct db *db, size_t bytes)
{
    db->is_in_entry = true;
    db->changed_bytes += bytes;
}

bool layers_put(struct db *db, const struct place *place, struct bytes header, struct bytes payload)
{
    enum overlay_before before;
    /* First the put, then the look below: that may overwrite the scratch buffer, and with it a
     * payload that came from there. */
    struct entry *entry = overlay_put(&db->active->tables[place->table], place->space, place->word,
                                      place->name, header, payload, &before);
    note_change(db, place->name.size + entry->record_size);
    if (before == OVERLAY_ABSENT) {
        struct bytes record;
        entry->is_below = get_below(db, place, &record); /* L3 */
        return entry->is_below;
    }
    return before == OVERLAY_LIVE;
}

bool layers_delete(struct db *db, const struct place *place)
{
    struct overlay *active = &db->active->tables[place->table];
    struct entry *entry = overlay_find(active, place->space, place->word, place->name);
    struct bytes record;
    if (entry ? entry->is_tombstone : !get_below(db, place, &record))
        return false;
    note_change(db, place->name.size);
    if (entry && !entry->is_below)
        overlay_remove(active, place->space, place->word, place->name);
    else
        overlay_bury(active, place->space, place->word, place->name)->is_below = true; /* L3 */
    return true;
}
