/* Lookups and changes through the layers: see layers.h for what holds between them.  Loop thread.
 *
 * A put of a key does not look at what is below: that would cost a get from the kv the first time a
 * name is written after a freeze, and is all that a SET costs in a store larger than memory.  What
 * it would have told is found out by the checkpoint's thread, or when somebody asks how many keys
 * there are (L6). */
#include "data/layers.h"

#include <Judy.h>

#include "base/fatal.h"
#include "base/memory.h"

enum { ROOM_FRACTION = 4 }; /* of a record that grows: so much of it is added for the next times */

_Static_assert((int)RECORD_HEADER_MAX <= (int)LAYERS_HEAD_MAX, "a head has the whole header");

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
        Judy1FreeArray(&layer->looked, PJE0);
        Judy1FreeArray(&layer->heard, PJE0);
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

void layers_made_at_once(struct db *db, uint64_t bytes)
{
    if (bytes > db->largest_bytes)
        db->largest_bytes = bytes;
}

void layers_discard(struct db *db, struct layer *layer)
{
    check(!layer->next);
    layer->next = db->discarded;
    db->discarded = layer;
    db->discarded_bytes += sizeof *layer + layer_bytes(layer);
}

void layers_cut(struct db *db, enum table table, uint64_t space)
{
    struct overlay *overlay = &db->active->tables[table];
    if (overlay_entries(overlay, space) == 0)
        return;
    struct layer *cut = layer_new();
    cut->tables[table] = overlay_cut(overlay, space);
    if (db->savepoint)
        layers_keep_cut(db, table, space, cut);
    else
        layers_discard(db, cut);
}

/* What is given up is memory that was there before: it counts from now on, but at once, since
 * nobody has less of it by waiting (db_ready()). */
void layers_release(struct db *db, struct layer *const *layers, unsigned count)
{
    uint64_t before = db->discarded_bytes;
    for (unsigned i = 0; i < count; i++) {
        check(layers[i]->references > 0);
        if (--layers[i]->references == 0)
            layers_discard(db, layers[i]);
    }
    layers_made_at_once(db, db->discarded_bytes - before);
}

bool layers_is_empty(const struct layer *layer)
{
    for (int table = 0; table < TABLES; table++)
        if (layer->tables[table].entries > 0)
            return false;
    return true;
}

void layers_freeze(struct db *db)
{
    check(db->count < LAYERS_MAX);
    check(!db->is_in_entry);
    memmove(db->layers + 1, db->layers, db->count * sizeof *db->layers);
    db->layers[0] = db->active;
    layers_forget_read(db); /* it spoke of what was below active */
    db->count++;
    db->active = layer_new();
    db->active_bytes = 0;
}

/* While a checkpoint is under way the kv may be ahead of db->persisted, but only by what the layers
 * have too. */
bool layers_kv_counts(const struct state *persisted, enum table table, uint64_t space)
{
    if (table == TABLE_SPACES)
        return true;
    if (table == TABLE_ROWS || table == TABLE_PAGES || table == TABLE_DEADLINES)
        return space < persisted->space_next;
    if (table != TABLE_KEYS)
        return persisted->receipts > 0;
    for (int i = 0; i < DB_DATABASES; i++)
        if (persisted->databases[i].space == space)
            return persisted->databases[i].keys > 0;
    return false;
}

static void take_ahead(struct db *db, const struct kv_head *head)
{
    buffer_clear(&db->value);
    db->is_found = head->is_there;
    if (!head->is_there)
        return;
    buffer_append_bytes(&db->value, buffer_bytes(&head->head));
    db->whole = head->size;
}

/* Reads the key in db->sought, of a large value only the head if that is enough. */
static void read_from_kv(struct db *db, size_t head_max)
{
    struct buffer key = db->key;
    db->key = db->sought;
    db->sought = key;
    if (db->value.capacity > LAYERS_SCRATCH_MAX)
        buffer_deinit(&db->value);
    db->whole = 0;
    const struct kv_head *ahead = layers_ahead_find(db->ahead, buffer_bytes(&db->key), head_max);
    if (ahead) {
        take_ahead(db, ahead);
    } else {
        db->is_found = db->kv->ops->get_head(db->kv, KV_DATA, buffer_bytes(&db->key), head_max,
                                             &db->value, &db->whole);
        db->work += LAYERS_FETCH_WORK + db->whole; /* all of it was fetched, though not copied */
    }
    db->is_read = true;
}

enum { COLLECTION_MAX = 256 }; /* bytes of such a record: a header and a root */

static void note_collection(struct db *db, const struct place *place)
{
    struct header header;
    bool is_whole = db->is_found && db->value.size == db->whole;
    if (place->table != TABLE_KEYS || !is_whole || db->whole > COLLECTION_MAX)
        return;
    record_header_parse(buffer_bytes(&db->value), &header);
    if (header.space == 0)
        return;
    buffer_clear(&db->collection_key);
    buffer_append_bytes(&db->collection_key, buffer_bytes(&db->key));
    buffer_clear(&db->collection);
    buffer_append_bytes(&db->collection, buffer_bytes(&db->value));
    db->is_collection_read = true;
}

static bool is_collection(struct db *db, const struct place *place)
{
    if (place->table != TABLE_KEYS || !db->is_collection_read)
        return false;
    record_key(&db->sought, place);
    return bytes_equal(buffer_bytes(&db->collection_key), buffer_bytes(&db->sought));
}

/* Is the last read one of this place, and has at least so much of its record? */
static bool is_at_hand(struct db *db, const struct place *place, size_t head_max)
{
    record_key(&db->sought, place);
    return db->is_read && bytes_equal(buffer_bytes(&db->key), buffer_bytes(&db->sought)) &&
           (db->value.size == db->whole || db->value.size >= head_max);
}

/* Keys are not cached: a put that does not look below knows what is there by the last read alone
 * (guess_below). */
static bool is_cacheable(const struct place *place)
{
    return place->table == TABLE_ROWS || place->table == TABLE_PAGES;
}

/* The one in db->sought. */
static bool is_cached(struct db *db, const struct place *place, struct bytes *record)
{
    return db->cache && is_cacheable(place) &&
           layers_cache_find(db->cache, buffer_bytes(&db->sought), record);
}

/* Of who asked for the whole: else it is about to be written over. */
static void cache_read(struct db *db, const struct place *place, size_t head_max)
{
    if (db->cache && is_cacheable(place) && db->is_found && head_max == SIZE_MAX)
        layers_cache_keep(db->cache, buffer_bytes(&db->key), buffer_bytes(&db->value));
}

void layers_note_read(struct db *db, const struct place *place, struct bytes record)
{
    if (record.size > LAYERS_HEAD_MAX)
        return;
    record_key(&db->key, place);
    buffer_clear(&db->value);
    buffer_append_bytes(&db->value, record);
    db->whole = record.size;
    db->is_read = db->is_found = true;
}

/* What was read stays true until a checkpoint is done: what the kv learns while one is under way is
 * hidden by the layers. */
static bool get_from_kv(struct db *db, const struct place *place, size_t head_max,
                        struct bytes *record)
{
    if (!layers_kv_counts(&db->persisted, place->table, place->space))
        return false;
    if (is_collection(db, place)) {
        *record = buffer_bytes(&db->collection);
        return true;
    }
    if (!is_at_hand(db, place, head_max)) {
        if (is_cached(db, place, record))
            return true;
        read_from_kv(db, head_max);
        note_collection(db, place);
        cache_read(db, place, head_max);
        if (place->table == TABLE_KEYS)
            layers_stored_one(&db->stored_sizes, db->whole);
        else if (place->table == TABLE_ROWS)
            layers_stored_one(&db->row_sizes, db->whole);
    }
    *record = buffer_bytes(&db->value);
    return db->is_found;
}

static struct entry *find_in(const struct layer *layer, const struct place *place)
{
    return overlay_find(&layer->tables[place->table], place->space, place->word, place->name);
}

/* Below layers[from - 1]; 0: below active. */
static bool get_below(struct db *db, unsigned from, const struct place *place, size_t head_max,
                      struct bytes *record)
{
    const struct entry *entry = NULL;
    for (unsigned i = from; !entry && i < db->count; i++)
        entry = find_in(db->layers[i], place);
    if (!entry)
        return db->on ? layers_view_row(db->on, place, record)
                      : get_from_kv(db, place, head_max, record);
    *record = entry_record(entry);
    return !entry->is_tombstone;
}

bool layers_find(struct db *db, const struct place *place, struct entry **found,
                 struct bytes *record)
{
    *found = NULL;
    if (db->look)
        return layers_view_row(db->look->view, place, record);
    struct entry *entry = find_in(db->active, place);
    if (!entry)
        return get_below(db, 0, place, SIZE_MAX, record);
    *record = entry_record(entry);
    if (!entry->is_tombstone)
        *found = entry;
    return !entry->is_tombstone;
}

bool layers_get(struct db *db, const struct place *place, struct bytes *record)
{
    struct entry *entry;
    return layers_find(db, place, &entry, record);
}

bool layers_look(struct db *db, const struct place *place, struct bytes *head, size_t *size)
{
    if (db->look) {
        bool is_there = layers_view_row(db->look->view, place, head);
        *size = head->size;
        return is_there;
    }
    const struct entry *entry = find_in(db->active, place);
    if (entry ? entry->is_tombstone : !get_below(db, 0, place, LAYERS_HEAD_MAX, head))
        return false;
    if (entry)
        *head = entry_record(entry);
    bool is_of_kv = head->data == db->value.data;
    *size = is_of_kv ? db->whole : head->size;
    return true;
}

static void note_change(struct db *db, size_t bytes)
{
    check(!db->look);
    db->is_in_entry = true;
    db->changed_bytes += bytes;
    db->work += bytes;
}

/* The same of one that is put, or a tombstone: to find its place, and memory for it, is more than
 * to copy a small record. */
static void note_row(struct db *db, size_t bytes)
{
    note_change(db, bytes);
    db->work += LAYERS_ROW_WORK;
}

/* What a record says, if it is a key's. */
static struct header head_of(const struct place *place, struct bytes record)
{
    struct header header = {.type = 0};
    if (place->table == TABLE_KEYS)
        record_header_parse(record, &header);
    return header;
}

/* The space of a collection in the record of a key; 0: none. */
static uint64_t space_in(const struct place *place, struct bytes record)
{
    return place->table == TABLE_KEYS ? record_space(record) : 0;
}

/* What stood there is written over or deleted (L7). */
static void leave_space(struct db *db, const struct place *place, uint64_t before, uint64_t now)
{
    if (before && before != now)
        layers_space_drop(db, place->space, before);
}

/* Of a place beside a db: what its entry has to say of keys it says faster in this order than in
 * that of names.  `before`: what there was; NULL: nothing. */
static void note_put(struct db *db, const struct place *place, const struct entry *before,
                     struct entry *entry)
{
    if (!db->puts || place->table != TABLE_KEYS || before == entry)
        return;
    if (before)
        db->is_put_stale = true;
    else
        buffer_append(&db->put, &entry, sizeof entry);
}

bool layers_put(struct db *db, const struct place *place, struct bytes header, struct bytes payload)
{
    struct header before;
    return layers_put_key(db, place, header, payload, &before);
}

bool layers_put_key(struct db *db, const struct place *place, struct bytes header,
                    struct bytes payload, struct header *before)
{
    struct overlay *active = &db->active->tables[place->table];
    struct overlay_spot spot = overlay_locate(active, place->space, place->word, place->name);
    bool is_known = spot.entry, was_there = is_known && !spot.entry->is_tombstone;
    *before = (struct header){.type = 0};
    if (was_there)
        *before = head_of(place, entry_record(spot.entry));
    if (db->savepoint)
        layers_keep(db, place, &spot, header.size + payload.size, header.size + payload.size);
    /* First the put, then the look below: that may overwrite the scratch buffer, and with it a
     * payload that came from there. */
    struct entry *entry = overlay_put(active, &spot, place->name, header, payload, BELOW_UNKNOWN);
    entry->is_kept = db->savepoint != NULL;
    note_put(db, place, spot.entry, entry);
    note_row(db, place->name.size + entry->record_size);
    if (place->table == TABLE_ROWS)
        layers_stored_one(&db->row_sizes, entry->record_size);
    if (!is_known) {
        struct bytes record;
        was_there = get_below(db, 0, place, LAYERS_HEAD_MAX, &record);
        overlay_resolve(active, place->space, entry, was_there ? BELOW_YES : BELOW_NO); /* L3 */
        if (was_there)
            *before = head_of(place, record);
    }
    leave_space(db, place, before->space, space_in(place, entry_record(entry)));
    return was_there;
}

/* What can be said without looking far; `record` (its head) if it is there. */
static enum overlay_below guess_below(struct db *db, const struct place *place,
                                      struct bytes *record)
{
    const struct entry *entry = db->joins ? find_in(db->joins, place) : NULL;
    *record = entry ? entry_record(entry) : buffer_bytes(&db->value);
    if (entry) /* before.c */
        return entry->is_tombstone ? BELOW_NO : BELOW_YES;
    if (db->is_read && is_at_hand(db, place, 0)) /* then no layer has it */
        return db->is_found ? BELOW_YES : BELOW_NO;
    bool is_certain =
        !db->on && db->count == 0 && !layers_kv_counts(&db->persisted, place->table, place->space);
    return is_certain ? BELOW_NO : BELOW_UNKNOWN;
}

bool layers_put_blindly(struct db *db, const struct place *place, struct bytes header,
                        struct bytes payload)
{
    struct layer *active = db->active;
    struct overlay *overlay = &active->tables[place->table];
    struct overlay_spot spot = overlay_locate(overlay, place->space, place->word, place->name);
    bool is_known = spot.entry, was_there = is_known && !spot.entry->is_tombstone;
    struct bytes record;
    enum overlay_below below = is_known ? BELOW_UNKNOWN : guess_below(db, place, &record);
    uint64_t before = 0;
    if (was_there)
        before = space_in(place, entry_record(spot.entry));
    else if (below == BELOW_YES)
        before = space_in(place, record);
    if (db->savepoint)
        layers_keep(db, place, &spot, header.size + payload.size, header.size + payload.size);
    struct entry *entry = overlay_put(overlay, &spot, place->name, header, payload, below);
    entry->is_kept = db->savepoint != NULL;
    note_put(db, place, spot.entry, entry);
    note_row(db, place->name.size + entry->record_size);
    leave_space(db, place, before, space_in(place, entry_record(entry)));
    if (is_known)
        return was_there;
    if (below == BELOW_UNKNOWN)
        active->resolved_space = active->resolved_word = 0;
    return below == BELOW_YES;
}

/* The record that is to be changed, which is there, and its entry in active; NULL: it is below. */
static struct entry *find_there(struct db *db, const struct place *place, struct bytes *record)
{
    struct entry *entry;
    check(!db->look);
    bool is_there = layers_find(db, place, &entry, record);
    check(is_there);
    return entry;
}

/* The record in active, as it is, with room for the `size` bytes that it will have; where it is not
 * there yet, it is below. */
static struct entry *take_up(struct db *db, const struct place *place, struct bytes record,
                             size_t size)
{
    struct overlay *active = &db->active->tables[place->table];
    struct overlay_spot spot = overlay_locate(active, place->space, place->word, place->name);
    size_t least = size > record.size ? size : record.size;
    bool is_growing = spot.entry && size > record.size;
    size_t capacity = is_growing ? size + size / ROOM_FRACTION : least;
    capacity = capacity < UINT32_MAX ? capacity : least;
    check(!spot.entry || !spot.entry->is_tombstone);
    if (db->savepoint)
        layers_keep(db, place, &spot, size, capacity);
    note_row(db, record.size);
    struct entry *entry = overlay_put_roomy(active, &spot, place->name, bytes_of(NULL, 0), record,
                                            capacity, BELOW_YES); /* L3 */
    entry->is_kept = db->savepoint != NULL;
    note_put(db, place, spot.entry, entry);
    return entry;
}

/* Can the entry of active be written into as it is? */
static bool has_room(const struct db *db, const struct entry *entry, size_t size)
{
    return entry && entry->record_capacity >= size && !(db->savepoint && !entry->is_kept);
}

void layers_splice(struct db *db, const struct place *place, struct bytes header, size_t offset,
                   struct bytes part)
{
    struct bytes record;
    struct entry *entry = find_there(db, place, &record);
    check(offset <= VALUE_SIZE_MAX && part.size <= VALUE_SIZE_MAX - offset);
    size_t end = header.size + offset + part.size;
    size_t size = end > record.size ? end : record.size;
    if (has_room(db, entry, size))
        db->changes += size - record.size; /* counts with a savepoint */
    else
        entry = take_up(db, place, record, size);
    overlay_splice(entry, 0, header);
    note_change(db, overlay_splice(entry, header.size + offset, part));
}

struct entry *layers_edit(struct db *db, const struct place *place, struct entry *entry,
                          size_t from, size_t to, const struct bytes *parts, unsigned count)
{
    struct bytes record;
    if (entry)
        record = entry_record(entry);
    else
        entry = find_there(db, place, &record);
    size_t size = record.size;
    check(from <= to && to <= size);
    size -= to - from;
    for (unsigned i = 0; i < count; i++)
        size += parts[i].size;
    if (!entry || !overlay_fits(entry, size) || (db->savepoint && !entry->is_kept))
        entry = take_up(db, place, record, size);
    else if (db->savepoint)
        db->changes += size > record.size ? size - record.size : 0;
    note_change(db, overlay_edit(entry, from, to, parts, count));
    return entry;
}

/* What the kv holds of a record that is deleted, as far as this tells; the record was found below
 * active where `entry` is NULL. */
static void note_freed(struct db *db, const struct entry *entry, struct bytes record)
{
    if (entry)
        db->freed_bytes += entry->below == BELOW_NO ? 0 : entry->record_size;
    else
        db->freed_bytes += record.data == db->value.data ? db->whole : record.size;
}

/* Of a string in pages, about: what the kv has of them. */
static uint64_t pages_stored(const struct place *place, const struct entry *entry,
                             struct bytes record)
{
    if (place->table != TABLE_KEYS || (entry && entry->below == BELOW_NO))
        return 0;
    struct bytes all = entry ? entry_record(entry) : record;
    struct db_record found = layers_found(all, all.size, NULL);
    return found.type == DB_STRING && found.space ? found.size : 0;
}

/* False: there was none.  pages: see pages_stored(). */
static bool bury(struct db *db, const struct place *place, struct header *before, uint64_t *pages)
{
    struct overlay *active = &db->active->tables[place->table];
    struct entry *entry = find_in(db->active, place);
    struct bytes record;
    if (entry ? entry->is_tombstone : !get_below(db, 0, place, LAYERS_HEAD_MAX, &record))
        return false;
    *before = head_of(place, entry ? entry_record(entry) : record);
    note_row(db, place->name.size);
    note_freed(db, entry, record);
    *pages = pages_stored(place, entry, record);
    if (entry)
        note_put(db, place, entry, NULL);
    if (entry && entry->below == BELOW_NO && !db->savepoint) {
        overlay_remove(active, place->space, place->word, place->name);
        return true;
    }
    struct overlay_spot spot = overlay_locate(active, place->space, place->word, place->name);
    if (db->savepoint)
        layers_keep(db, place, &spot, 0, 0);
    entry = overlay_bury(active, &spot, place->name, BELOW_YES); /* L3 */
    entry->is_kept = db->savepoint != NULL;
    return true;
}

bool layers_delete(struct db *db, const struct place *place)
{
    struct header before;
    return layers_delete_key(db, place, &before);
}

bool layers_delete_key(struct db *db, const struct place *place, struct header *before)
{
    uint64_t pages;
    if (!bury(db, place, before, &pages))
        return false;
    db->dead_bytes += pages;
    leave_space(db, place, before->space, 0);
    return true;
}

bool layers_take(struct db *db, const struct place *place)
{
    struct header before;
    uint64_t pages; /* which go on to belong to somebody */
    return bury(db, place, &before, &pages);
}

void layers_say(struct db *db, const struct place *place)
{
    struct overlay *active = &db->active->tables[place->table];
    struct bytes nothing = {0};
    if (db->savepoint) {
        db->changes += SAVEPOINT_NAME_COST + place->name.size;
        layers_keep_mark(db, place);
    }
    struct overlay_spot spot = overlay_locate(active, place->space, place->word, place->name);
    overlay_put(active, &spot, place->name, nothing, nothing, BELOW_YES);
    note_row(db, place->name.size);
}

void layers_unsay(struct db *db, const struct place *place)
{
    struct overlay *active = &db->active->tables[place->table];
    if (db->savepoint)
        layers_keep_mark(db, place);
    struct overlay_spot spot = overlay_locate(active, place->space, place->word, place->name);
    overlay_bury(active, &spot, place->name, BELOW_YES);
    note_row(db, place->name.size);
}

/* ---- counts ------------------------------------------------------------------------ */

void layers_count(struct db *db, unsigned database, unsigned slot, int64_t keys)
{
    check(database < DB_DATABASES);
    if (!db->slots[database])
        db->slots[database] = memory_new(sizeof *db->slots[database]);
    layers_slots_add(db->slots[database], slot, keys);
    check(keys >= 0 || db->state.databases[database].keys >= (uint64_t)-keys);
    db->state.databases[database].keys += (uint64_t)keys;
}

/* Of the layers that the loop resolves: active, and those behind it that no checkpoint has. */
static unsigned resolvable(const struct db *db)
{
    return db->count - db->stored - db->storing;
}

uint64_t layers_unresolved(const struct db *db)
{
    uint64_t names = db->active->tables[TABLE_KEYS].unresolved;
    for (unsigned i = 0; i < db->count - db->stored; i++)
        names += db->layers[i]->tables[TABLE_KEYS].unresolved;
    return names;
}

void layers_count_in(struct db *db, uint64_t space, unsigned slot, int64_t keys)
{
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (layers_space(db, i) == space) {
            layers_count(db, i, slot, keys);
            return;
        }
    if (db->savepoint)
        layers_keep_count(db, space, slot, keys);
}

/* What was in the space of a collection is dead, and was before any savepoint, unless that has what
 * to say of the key. */
static void drop_found(struct db *db, uint64_t owner, uint64_t space, const struct entry *entry)
{
    if (db->savepoint && !entry->is_kept)
        layers_keep_dead(db, owner, space);
    layers_space_drop(db, owner, space);
}

/* Resolves what is left of a space in a layer, below which is layers[below].  True: all of it. */
static bool resolve_space(struct db *db, struct layer *layer, unsigned below, uint64_t *rows)
{
    struct overlay *overlay = &layer->tables[TABLE_KEYS];
    uint64_t space = layer->resolved_space;
    struct overlay_iter iter;
    overlay_seek(&iter, overlay, space, layer->resolved_word);
    for (; iter.entry && *rows > 0; overlay_step(&iter)) {
        if (iter.entry->below != BELOW_UNKNOWN)
            continue;
        struct place place = {TABLE_KEYS, space, iter.word, entry_name(iter.entry)};
        struct bytes record;
        bool is_below = get_below(db, below, &place, LAYERS_HEAD_MAX, &record);
        overlay_resolve(overlay, space, iter.entry, is_below ? BELOW_YES : BELOW_NO);
        if (is_below)
            layers_count_in(db, space, record_word_slot(iter.word), -1); /* L6 */
        if (is_below && record_space(record))
            drop_found(db, space, record_space(record), iter.entry);
        --*rows;
    }
    layer->resolved_word = iter.word;
    return !iter.entry;
}

static bool resolve_layer(struct db *db, struct layer *layer, unsigned below, uint64_t *rows)
{
    const struct overlay *overlay = &layer->tables[TABLE_KEYS];
    while (overlay->unresolved > 0 && overlay_next_space(overlay, &layer->resolved_space)) {
        if (!resolve_space(db, layer, below, rows))
            return false;
        layer->resolved_space++;
        layer->resolved_word = 0;
    }
    check(overlay->unresolved == 0);
    return true;
}

bool layers_resolve(struct db *db, uint64_t *rows)
{
    if (!resolve_layer(db, db->active, 0, rows))
        return false;
    for (unsigned i = 0; i < resolvable(db); i++)
        if (!resolve_layer(db, db->layers[i], i + 1, rows))
            return false;
    return true;
}
