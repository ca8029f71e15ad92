/* The db: opening, keys, flushing, effects, and the rhythm of checkpoints.  Loop thread.
 *
 * A checkpoint takes whole log entries: it starts in db_applied() or db_poll(), never between the
 * changes of one entry.  To freeze is to move one pointer; the layers stored before are freed by
 * the checkpoint's thread, as is what FLUSHALL discards.
 *
 * A space is named by a number that is given out once, and is part of every stored key.  Each
 * database is one: to flush it is to give it another, and what was there becomes invisible at once
 * and is deleted from the kv after the next checkpoint. */
#include <xxhash.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "data/checkpoint.h"
#include "data/convert.h"
#include "data/ranges.h"

enum {
    CHANGED_BYTES_FACTOR = 4, /* a checkpoint also after this much was overwritten in place, or */
    ENTRIES_MAX = 1000000     /* after so many entries: the log to replay must not grow for ever */
};

static uint64_t hash_name(struct bytes name, uint64_t seed)
{
    return XXH3_64bits_withSeed(name.data, name.size, seed);
}

/* ---- the end of a checkpoint ------------------------------------------------- */

/* Keys of a space that were counted as new and were not. */
static void take_off(struct db *db, uint64_t space, const struct slots *surplus)
{
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (surplus->slots[slot] > 0)
            layers_count_in(db, space, slot, -(int64_t)surplus->slots[slot]);
}

static void finish(struct db *db)
{
    struct checkpoint_result result;
    checkpoint_finish(db->checkpoint, &result);
    db->checkpoint = NULL;
    db->checkpoints++;
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        if (result.surplus[i])
            take_off(db, result.state.databases[i].space, result.surplus[i]); /* L6 */
        memory_free(result.surplus[i]);
    }
    layers_stored_one(&db->stored_sizes, result.stored_sizes.largest);
    db->stored_sizes.found = result.stored_sizes.found;
    db->has_dead |= result.has_dead;
    db->is_dead_stored |= result.has_dead && db->dead_bytes >= db->options.checkpoint_bytes;
    if (result.is_reclaiming)
        db->freed_bytes -= db->freeing_bytes;
    if (db->freeing_bytes > 0)
        db->freed_due_bytes = db->freed_bytes + db->options.checkpoint_bytes;
    db->freeing_bytes = 0;
    db->persisted = result.state; /* L1 */
    layers_forget_read(db);       /* by now the kv may say something else */
    for (unsigned i = db->count - db->storing; i < db->count; i++)
        db->layers[i]->tables[TABLE_KEYS].unresolved = 0;
    db->stored = db->storing;
    db->storing = 0;
    db->checkpointed = (struct state){0};
    layers_settle_begin(db);
}

/* ---- open and close -------------------------------------------------------- */

static void load_slots(struct db *db)
{
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        uint64_t expected = db->persisted.databases[i].keys, keys = 0;
        if (expected > 0)
            db->slots[i] = layers_slots_load(db->kv, layers_space(db, i), &keys);
        if (keys != expected)
            fatal("data: database %u has %llu keys by its slots, %llu by the state record", i,
                  (unsigned long long)keys, (unsigned long long)expected);
    }
}

static void load_stored_state(struct db *db)
{
    bool is_old;
    db->persisted = record_state_decode(buffer_bytes(&db->value), db->options.cluster, &is_old);
    if (is_old)
        db_convert_keys(db->kv, &db->persisted, db->options.cluster, CONVERT_BYTES_MAX);
    else
        db_convert_sweep(db->kv);
}

static void load_state(struct db *db)
{
    struct bytes key = record_state_key();
    if (db->kv->ops->get(db->kv, KV_DATA, key, &db->value)) {
        load_stored_state(db);
    } else {
        db->persisted = record_state_first();
        db->stored_sizes.found = db->row_sizes.found =
            UINT64_MAX; /* nobody stored anything before */
        struct kv_iter *iter = db->kv->ops->iter_new(db->kv, KV_DATA, key, kv_family_end());
        struct bytes first, value;
        if (db->kv->ops->iter_next(iter, &first, &value))
            fatal("data: there are keys, but no state record");
        db->kv->ops->iter_free(iter);
    }
    db->state = db->persisted;
    load_slots(db);
}

static bool is_living(const struct db *db, uint64_t space)
{
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (layers_space(db, i) == space)
            return true;
    return false;
}

/* Of the first stored row from this space on; false: there is none. */
static bool next_stored_space(struct db *db, enum table table, uint64_t *space)
{
    struct bytes key, value;
    struct buffer to = {0};
    record_key_first(&db->sought, table, *space);
    record_table_end(&to, table);
    struct kv_iter *iter =
        db->kv->ops->iter_new(db->kv, KV_DATA, buffer_bytes(&db->sought), buffer_bytes(&to));
    bool is_found =
        db->kv->ops->iter_next(iter, &key, &value) && record_key_space(key, table, space);
    db->kv->ops->iter_free(iter);
    buffer_deinit(&to);
    return is_found;
}

/* Does the table have rows whose space is not that of a database? */
static bool has_dead(struct db *db, enum table table)
{
    uint64_t space = 0;
    while (next_stored_space(db, table, &space) && is_living(db, space))
        space++;
    return next_stored_space(db, table, &space) && !is_living(db, space);
}

/* Is something left of dead spaces, because a crash came before it was deleted? */
static bool has_dead_rows(struct db *db)
{
    return has_dead(db, TABLE_KEYS) || has_dead(db, TABLE_SPACES) || has_dead(db, TABLE_DEADLINES);
}

struct db *db_open(struct kv *kv, const struct db_options *options)
{
    struct db *db = memory_new(sizeof *db);
    db->kv = kv;
    db->options = *options;
    db->hash = hash_name;
    db->word = record_key_word;
    db->active = layer_new();
    db->seen = &db->state;
    db->changes_max = SAVEPOINT_BYTES_MAX;
    db->freed_due_bytes = db->dead_due_bytes = options->checkpoint_bytes;
    if (options->cache_bytes > 0)
        db->cache = layers_cache_new(options->cache_bytes);
    if (db->cache)
        db->ranges = layers_ranges_new(db->cache);
    load_state(db);
    layers_deadlines_load(db);
    db->has_dead = db->is_dead_stored = has_dead_rows(db);
    return db;
}

void layers_handle_free(struct db *db)
{
    for (unsigned i = 0; i < DB_DATABASES; i++)
        memory_free(db->slots[i]);
    effects_noted_deinit(&db->effects.noted);
    buffer_deinit(&db->key);
    buffer_deinit(&db->value);
    buffer_deinit(&db->sought);
    buffer_deinit(&db->collection_key);
    buffer_deinit(&db->collection);
    buffer_deinit(&db->collected);
    layers_ranges_free(db->ranges);
    layers_cache_free(db->cache);
    layers_ahead_free(db->ahead);
    memory_free(db);
}

void db_close(struct db *db)
{
    if (db->checkpoint)
        finish(db);
    check(db->views == 0);
    layers_keep_free(db);
    layer_free(db->active);
    for (unsigned i = 0; i < db->count; i++)
        layer_free(db->layers[i]);
    layer_free(db->discarded);
    layers_handle_free(db);
}

/* ---- keys -------------------------------------------------------------------- */

static struct place key_place(const struct db *db, unsigned database, struct bytes key)
{
    return layers_key(db, layers_space(db, database), key);
}

/* The looks one behind the other, with nothing between them: the processor begins the next while it
 * waits for what the one before needs from memory. */
void db_foresee(struct db *db, const struct db_foreseen *keys, uint32_t count)
{
    struct place places[DB_FORESEEN_MAX];
    void **slots[DB_FORESEEN_MAX];
    check(count <= DB_FORESEEN_MAX);
    for (uint32_t i = 0; i < count; i++)
        places[i] = key_place(db, keys[i].database, keys[i].key);
    for (uint32_t i = 0; i < count; i++)
        slots[i] =
            overlay_foresee(&db->active->tables[TABLE_KEYS], places[i].space, places[i].word);
    layers_ahead_look(db, keys, slots, count);
}

void db_at(struct db *db, int64_t now_ms, bool may_drop)
{
    db->now_ms = now_ms;
    db->may_drop = may_drop;
}

int64_t db_now_ms(const struct db *db)
{
    return db->now_ms;
}

/* An element may be over by when a look has to be right. */
static void note_elements(const struct db *db, const struct db_record *found)
{
    if (db->look)
        (void)layers_is_over(db, found->elements_due_ms);
}

/* False: its deadline has come, there is no such key. */
static bool is_still_there(struct db *db, unsigned database, const struct place *place,
                           struct db_record *found)
{
    if (!layers_is_over(db, found->deadline_ms))
        return true;
    layers_expired_drop(db, database, place);
    *found = (struct db_record){.type = DB_NONE};
    return false;
}

bool db_lookup(struct db *db, unsigned database, struct bytes key, struct db_record *found)
{
    struct place place = key_place(db, database, key);
    struct bytes head;
    size_t size;
    if (!layers_look(db, &place, &head, &size))
        return false;
    *found = layers_found(head, size, NULL);
    note_elements(db, found);
    return is_still_there(db, database, &place, found);
}

bool db_is_over(struct db *db, struct db_view *view, unsigned database, struct bytes key)
{
    struct place place = key_place(db, database, key);
    struct bytes record;
    size_t size;
    bool is_stored = view ? layers_view_get(view, database, key, &record)
                          : layers_look(db, &place, &record, &size);
    return is_stored && layers_is_over(db, layers_found(record, record.size, NULL).deadline_ms);
}

bool db_find_kept(struct db *db, struct db_view *view, unsigned database, struct bytes key,
                  struct db_record *found, struct bytes *payload)
{
    struct bytes record;
    if (view) {
        if (!layers_view_get(view, database, key, &record))
            return false;
        *found = layers_found(record, record.size, payload);
        return !layers_is_over(db, found->deadline_ms);
    }
    struct place place = key_place(db, database, key);
    if (!layers_get(db, &place, &record))
        return false;
    *found = layers_found(record, record.size, payload);
    note_elements(db, found);
    return is_still_there(db, database, &place, found);
}

bool db_find(struct db *db, struct db_view *view, unsigned database, struct bytes key,
             struct db_record *found, struct bytes *payload)
{
    if (!db_find_kept(db, view, database, key, found, payload))
        return false;
    if (payload && found->type == DB_STRING && found->space)
        *payload = db_string_part(db, view, found, 0, found->size);
    return true;
}

enum db_type db_get(struct db *db, unsigned database, struct bytes key, struct bytes *value)
{
    struct db_record found;
    bool is_there = value ? db_find(db, NULL, database, key, &found, value)
                          : db_lookup(db, database, key, &found);
    return is_there ? found.type : DB_NONE;
}

void layers_put_whole(struct db *db, unsigned database, struct bytes key,
                      const struct header *header, struct bytes payload)
{
    struct place place = key_place(db, database, key);
    unsigned char out[RECORD_HEADER_MAX];
    check(header->type != DB_NONE);
    check(header->deadline_ms >= 0);
    size_t size = record_header_encode(out, header);
    bool was_there = db->is_exact_wanted
                         ? layers_put(db, &place, bytes_of(out, size), payload)
                         : layers_put_blindly(db, &place, bytes_of(out, size), payload);
    if (!was_there)
        layers_count(db, database, record_word_slot(place.word), 1);
    if (header->deadline_ms != 0)
        layers_deadline_add(db, database, key, header->deadline_ms);
    layers_note_key(db, DB_EFFECT_PUT, database, key);
}

void db_put(struct db *db, unsigned database, struct bytes key, enum db_type type,
            struct bytes value, int64_t deadline_ms)
{
    struct header header = {.type = type, .version = db->version, .deadline_ms = deadline_ms};
    layers_put_whole(db, database, key, &header, value);
}

uint64_t db_space_new(struct db *db, unsigned database)
{
    return layers_space_new(db, layers_space(db, database));
}

void db_space_drop(struct db *db, unsigned database, uint64_t space)
{
    layers_space_drop(db, layers_space(db, database), space);
}

void db_put_collection(struct db *db, unsigned database, struct bytes key,
                       const struct db_record *record, struct bytes payload)
{
    struct place place = key_place(db, database, key);
    unsigned char out[RECORD_HEADER_MAX];
    struct header header = {.type = record->type,
                            .version = db->version,
                            .deadline_ms = record->deadline_ms,
                            .space = record->space,
                            .elements_due_ms = record->elements_due_ms};
    struct header before;
    check(record->type != DB_NONE);
    check(record->deadline_ms >= 0);
    check(record->space < db->state.space_next);
    size_t size = record_header_encode(out, &header);
    if (!layers_put_key(db, &place, bytes_of(out, size), payload, &before))
        layers_count(db, database, record_word_slot(place.word), 1);
    int64_t due_ms = layers_due_ms(header.deadline_ms, header.elements_due_ms);
    int64_t row_ms = layers_due_ms(before.deadline_ms, before.elements_due_ms);
    if (due_ms != 0 && !(row_ms != 0 && row_ms <= due_ms)) /* L8 */
        layers_deadline_add(db, database, key, due_ms);
    layers_note_key(db, DB_EFFECT_PUT, database, key);
}

bool db_rename(struct db *db, unsigned database, struct bytes key, unsigned to_database,
               struct bytes to, const char *to_event)
{
    struct place place = key_place(db, database, key);
    uint64_t owner = layers_space(db, database), heir = layers_space(db, to_database);
    struct db_record found;
    struct bytes payload;
    struct buffer copy = {0};
    if (!db_find_kept(db, NULL, database, key, &found, &payload))
        return false;
    if (database == to_database && bytes_equal(key, to))
        return true;
    buffer_append_bytes(&copy, payload);
    bool is_taken = layers_take(db, &place);
    check(is_taken);
    layers_count(db, database, record_word_slot(place.word), -1);
    layers_note_key(db, DB_EFFECT_DELETED, database, key);
    if (found.space && owner != heir)
        layers_space_move(db, owner, heir, found.space);
    db_effects_name(db, to_event);
    db_put_collection(db, to_database, to, &found, buffer_bytes(&copy));
    buffer_deinit(&copy);
    return true;
}

void db_splice(struct db *db, unsigned database, struct bytes key, uint64_t offset,
               struct bytes part)
{
    struct place place = key_place(db, database, key);
    unsigned char out[RECORD_HEADER_MAX];
    struct bytes record;
    struct header header;
    bool is_there = layers_get(db, &place, &record);
    check(is_there);
    size_t size = record_header_parse(record, &header);
    if (header.space) {
        struct db_record found = layers_found(record, record.size, NULL);
        db_string_write(db, database, key, &found, offset, part);
        return;
    }
    header.version = db->version;
    size_t new_size = record_header_encode(out, &header);
    check(new_size == size);
    layers_splice(db, &place, bytes_of(out, size), offset, part);
    layers_note_key(db, DB_EFFECT_PUT, database, key);
}

bool db_delete(struct db *db, unsigned database, struct bytes key)
{
    struct place place = key_place(db, database, key);
    struct header before;
    if (!layers_delete_key(db, &place, &before))
        return false;
    bool was_there = !layers_is_over(db, before.deadline_ms);
    if (!was_there)
        db_effects_name(db, "expired");
    db->expired += !was_there;
    layers_count(db, database, record_word_slot(place.word), -1);
    layers_note_key(db, DB_EFFECT_DELETED, database, key);
    return was_there;
}

static bool resolve(struct db *db, uint64_t names)
{
    if (layers_unresolved(db) == 0) {
        db->is_exact_wanted = false;
        return true;
    }
    bool is_done = layers_resolve(db, &names);
    layers_forget_read(db); /* it may say what is below a layer that has the name */
    db->is_exact_wanted = !is_done || layers_unresolved(db) > 0;
    return !db->is_exact_wanted;
}

bool db_resolve(struct db *db, uint64_t names)
{
    struct look *look = layers_look_away(db);
    if (look && look->begins)
        look->is_in_doubt = true; /* nobody has counted there */
    bool is_done = look && (look->begins || db->is_in_entry) ? look->begins : resolve(db, names);
    layers_look_back(db, look);
    return is_done;
}

bool db_resolve_some(struct db *db, uint64_t names)
{
    bool was_wanted = db->is_exact_wanted, is_done = db_resolve(db, names);
    if (!is_done)
        db->is_exact_wanted = was_wanted;
    return is_done;
}

uint64_t db_size(const struct db *db, unsigned database)
{
    check(database < DB_DATABASES);
    return db->state.databases[database].keys;
}

uint64_t db_slot_size(const struct db *db, unsigned database, unsigned slot)
{
    check(database < DB_DATABASES);
    check(slot < SLOTS);
    return db->slots[database] ? db->slots[database]->slots[slot] : 0;
}

/* What the kv holds of a database's space: its share by its keys. */
static uint64_t stored_share(const struct db *db, uint64_t space)
{
    uint64_t all = 0, keys = 0;
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        all += db->persisted.databases[i].keys;
        if (db->persisted.databases[i].space == space)
            keys = db->persisted.databases[i].keys;
    }
    if (keys == 0)
        return 0;
    double stored = (double)checkpoint_stored_bytes(db->kv);
    return (uint64_t)(stored * (double)keys / (double)all);
}

void db_flush(struct db *db, unsigned database)
{
    uint64_t space = layers_space(db, database);
    db->dead_bytes += stored_share(db, space);
    layers_spaces_cut(db, space);
    layers_cut(db, TABLE_KEYS, space);
    layers_cut(db, TABLE_DEADLINES, space);
    db->active->resolved_space = db->active->resolved_word = 0;
    db->deadline_from_ms[database] = INT64_MAX;
    if (db->savepoint)
        layers_keep_flush(db, database);
    else
        memory_free(db->slots[database]);
    db->state.databases[database].space = db->state.space_next++;
    db->state.databases[database].keys = 0;
    db->slots[database] = NULL;
    db->has_dead = true;
    db->is_dead_stored |= layers_kv_counts(&db->persisted, TABLE_KEYS, space) ||
                          layers_kv_counts(&db->checkpointed, TABLE_KEYS, space);
    db->is_in_entry = true;
    if (db->hearing)
        layers_hear_all(db->hearing, database);
    effects_note(&db->effects, DB_EFFECT_FLUSHED, database, database, bytes_of(NULL, 0));
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
    if (db->savepoint)
        layers_keep_swap(db, one, other);
    struct state before = db->state;
    db->state.databases[one] = before.databases[other];
    db->state.databases[other] = before.databases[one];
    struct slots *slots = db->slots[one];
    db->slots[one] = db->slots[other];
    db->slots[other] = slots;
    int64_t due_ms = db->deadline_from_ms[one];
    db->deadline_from_ms[one] = db->deadline_from_ms[other];
    db->deadline_from_ms[other] = due_ms;
    db->is_in_entry = true;
    if (db->hearing)
        layers_hear_all(db->hearing, one);
    if (db->hearing)
        layers_hear_all(db->hearing, other);
    effects_note(&db->effects, DB_EFFECT_SWAPPED, one, other, bytes_of(NULL, 0));
}

/* ---- effects -------------------------------------------------------------------- */

void db_effects_want(struct db *db, bool is_wanted)
{
    check(!db->is_in_entry);
    check(db->effects.noted.size == 0);
    db->effects.is_wanted = is_wanted;
}

void db_effects_command(struct db *db)
{
    db->effects.latest = 0;
}

void db_effects_name(struct db *db, const char *event)
{
    db->effects.event = event;
}

void db_effects_also(struct db *db, unsigned database, struct bytes key, const char *event)
{
    const char *before = db->effects.event;
    db->effects.event = event;
    effects_note(&db->effects, DB_EFFECT_PUT, database, database, key);
    db->effects.event = before;
}

void db_effects_message(struct db *db, bool is_sharded, bool is_of_script, struct bytes channel,
                        struct bytes message)
{
    effects_message(&db->effects, is_sharded, is_of_script, channel, message);
}

void db_effects_drain(struct db *db, db_effect_fn *each, void *context)
{
    effects_drain(&db->effects, each, context);
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

void layers_forget_stored(struct db *db)
{
    layers_settle_end(db); /* L9 */
    db->count -= db->stored;
    layers_release(db, db->layers + db->count, db->stored);
    db->stored = 0;
}

/* Deletes freed much of the kv: see whether it is to be given back now. */
static bool is_freed_due(const struct db *db)
{
    return db->freed_bytes >= db->freed_due_bytes && db->freed_bytes > 0;
}

static void start(struct db *db)
{
    check(!db->checkpoint);
    check(!db->is_in_entry);
    layers_forget_stored(db); /* it makes room */
    layers_freeze(db);
    db->storing = db->count;
    db->checkpointed = db->state;
    db->changed_bytes = 0;
    db->largest_bytes = 0;
    db->is_exact_wanted = false; /* who still wants it says so again */
    bool is_sweeping = db->has_dead && db->views == 0;
    if (is_sweeping) {
        db->freed_bytes += db->dead_bytes;
        db->dead_bytes = 0;
    }
    db->dead_due_bytes = db->dead_bytes + db->options.checkpoint_bytes;
    db->freeing_bytes = is_freed_due(db) ? db->freed_bytes : 0;
    struct checkpoint_job job = {.kv = db->kv,
                                 .sources.count = db->count,
                                 .persisted = db->persisted,
                                 .state = db->state,
                                 .discarded = db->discarded,
                                 .cluster = db->options.cluster,
                                 .stored_sizes = db->stored_sizes,
                                 .sweep = is_sweeping,
                                 .freed_bytes = db->freeing_bytes,
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

/* What the dead hold of the disk is given back soon, not with the next changes (but a view may look
 * at it). */
static bool is_sweep_due(const struct db *db)
{
    return db->has_dead && db->is_dead_stored && db->views == 0;
}

/* One checkpoint finds what is dead, the next one sweeps it. */
static bool is_dead_due(const struct db *db)
{
    return db->dead_bytes >= db->dead_due_bytes && db->views == 0;
}

static bool is_due(const struct db *db)
{
    if (is_sweep_due(db) || is_freed_due(db) || is_dead_due(db))
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

void db_wait(struct db *db)
{
    if (db->checkpoint)
        finish(db);
}

bool db_checkpoint_has_ended(const struct db *db)
{
    return db->checkpoint && checkpoint_is_done(db->checkpoint);
}

void db_poll(struct db *db)
{
    if (db_checkpoint_has_ended(db))
        finish(db);
    if (!db->checkpoint && !db->is_in_entry && is_due(db))
        db_checkpoint(db);
}

void db_begin(struct db *db, uint64_t seed)
{
    db->version = db->state.index + 1;
    if (db->state.hash_seed == 0)
        db->state.hash_seed = seed ? seed : 1;
}

/* Of the entry that ends; where it came with a layer of its own, all of that. */
static void note_largest(struct db *db)
{
    uint64_t bytes = layer_bytes(db->active);
    if (bytes > db->active_bytes)
        layers_made_at_once(db, bytes - db->active_bytes);
}

void db_applied(struct db *db, uint64_t index, uint64_t term, int64_t now_ms)
{
    check(index > db->state.index);
    check(term >= db->state.term);
    check(db->effects.noted.size == 0); /* drained */
    check(!db->savepoint);
    db->changes = db->effects.counted = 0;
    db->state.index = index;
    db->state.term = term;
    if (now_ms > db->state.time_ms)
        db->state.time_ms = now_ms;
    if (now_ms > 0 && db->state.hash_seed == 0)
        db->state.hash_seed = db->options.cluster; /* an entry of before there was a choice */
    db->version = 0;
    note_largest(db);
    layers_part_end(db);
    db->active_bytes = layer_bytes(db->active);
    db->is_in_entry = false;
    layers_settle(db);
    if (!db->checkpoint && is_due(db))
        db_checkpoint(db);
}

uint64_t db_applied_index(const struct db *db)
{
    return db->state.index;
}

uint64_t db_work(const struct db *db)
{
    return db->work + (db->beside ? db->beside->work : 0); /* of reading there */
}

void db_spend(struct db *db, uint64_t work)
{
    db->work += work;
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

uint64_t db_checkpoint_index(const struct db *db)
{
    return db->checkpoint ? db->checkpointed.index : db->persisted.index;
}

/* While changes come faster than they can be stored, they are taken at the rate of the storing: the
 * room for them grows with what the checkpoint has done.  So a writer waits for a part of it, not
 * for all of it; an eighth is left for when its last one, the commit, is under way. */
static bool is_room_for(const struct db *db, uint64_t dirty)
{
    uint64_t bytes = db->options.checkpoint_bytes;
    return !db->checkpoint || dirty < bytes + checkpoint_done_of(db->checkpoint, bytes - bytes / 8);
}

/* What one entry makes it makes at once, however much that is: there is no less memory with it for
 * all others to wait until a checkpoint takes it.  It is for the next large one to wait. */
bool db_ready(const struct db *db)
{
    uint64_t dirty = dirty_bytes(db);
    return is_room_for(db, dirty - (db->largest_bytes < dirty ? db->largest_bytes : dirty));
}

/* What comes of it is added to all that there is, which counts but for the largest. */
bool db_ready_for_large(const struct db *db)
{
    return !db->checkpoint || dirty_bytes(db) < db->options.checkpoint_bytes / 2;
}

void db_stats(const struct db *db, struct db_stats *stats)
{
    *stats = (struct db_stats){.dirty_bytes = dirty_bytes(db),
                               .checkpoints = db->checkpoints,
                               .receipts = db->state.receipts,
                               .expired = db->expired,
                               .checkpoint_under_way = db->checkpoint != NULL};
    for (unsigned i = 0; i < DB_DATABASES; i++)
        stats->keys += db->state.databases[i].keys;
    stats->views = db->views;
    stats->cached_bytes = db->cache ? layers_cache_bytes(db->cache) : 0;
    stats->unresolved = layers_unresolved(db);
    stats->dirty_keys = db->active->tables[TABLE_KEYS].entries;
}
