/* What is made beside a db, of a view, for an entry that comes later: see db.h.  Loop thread.
 *
 * The place is a db of its own: one layer, nothing below it, no databases' keys, and spaces whose
 * numbers no space of a state ever has.  Whoever makes something there is the code that makes it in
 * an entry: words and trees come out the same, since the seed of the hash is the same, and nothing
 * in a row or a page names its space.  So what is made in such a space of the same sources is, row
 * by row, what the entry would make; it gets its number from the state when the entry takes it, as
 * it would get one when the entry began to make it.
 *
 * Where something large is changed, the place stands on the view: what is changed is in its layer,
 * which says of each name whether the view has it below (L3).  To make the view, active was frozen
 * for good.  So if nothing of the space was changed since, active has nothing of it, what is below
 * that is what the view shows, and the layer's part of the space becomes active's.
 *
 * Where many keys are deleted or put, it stands on the view as well, and all of its layer becomes
 * the entry's: active is frozen below it, as for any view, and it is active from then on.  What it
 * says of what is below (L3) is true as long as nobody changed the keys that were looked at, which
 * is heard where records of keys are written, whatever is told of it; a put looks at none, and says
 * so (L6).  How many keys more or less there are, and what
 * the changes are to be told as, goes with it.  The entry's index is the version of what was put,
 * and known only then: it is written into each, and so are the numbers of spaces that are new.
 *
 * Nothing of it is in the state before: not in a hash, a view, a checkpoint or a snapshot. */
#include <Judy.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "data/layers.h"

enum { PUTS_AHEAD = 16 /* of memory, which is on its way for the next */ };

/* Above all that a state gives out. */
static const uint64_t first_space = (uint64_t)1 << 62;

struct db *db_beside_new(struct db *db, struct db_view *on)
{
    check(!db->beside);
    check(db->state.space_next < first_space);
    if (db->state.hash_seed == 0) /* the next entry chooses it */
        return NULL;
    struct db *beside = memory_new(sizeof *beside);
    beside->beside = db;
    beside->on = on;
    beside->options.cluster = db->options.cluster;
    beside->hash = db->hash;
    beside->word = db->word;
    beside->state = db->state;
    beside->state.space_next = first_space;
    beside->seen = &beside->state;
    beside->active = layer_new();
    beside->changes_max = db->changes_max;
    for (unsigned i = 0; i < DB_DATABASES; i++)
        beside->deadline_from_ms[i] = INT64_MAX;
    return beside;
}

void db_beside_free(struct db *beside)
{
    if (!beside)
        return;
    check(beside->beside && beside->count == 0);
    if (beside->beside->hearing == beside)
        beside->beside->hearing = NULL;
    layers_keep_forget(beside);
    beside->active->looked = beside->looked;
    beside->active->heard = beside->heard;
    struct db *db = beside->beside;
    uint64_t before = db->discarded_bytes;
    layers_discard(db, beside->active); /* freed where that does not take long */
    while (beside->discarded) {
        struct layer *layer = beside->discarded;
        beside->discarded = layer->next;
        layer->next = NULL;
        layers_discard(db, layer);
    }
    layers_made_at_once(db, db->discarded_bytes - before); /* if it was of no use */
    buffer_deinit(&beside->put);
    layers_handle_free(beside);
}

static void take(struct db *db, struct db *beside, uint64_t space, uint64_t taken)
{
    static const enum table tables[] = {TABLE_ROWS, TABLE_PAGES};
    check(beside->beside == db && !db->savepoint);
    for (unsigned i = 0; i < sizeof tables / sizeof tables[0]; i++)
        db->changed_bytes += overlay_move(&db->active->tables[tables[i]], taken,
                                          &beside->active->tables[tables[i]], space);
    layers_stored_one(&db->row_sizes, beside->row_sizes.largest);
    db->is_in_entry = true;
}

uint64_t db_beside_adopt(struct db *db, struct db *beside, unsigned database, uint64_t space)
{
    check(space >= first_space && space < beside->state.space_next);
    uint64_t taken = db_space_new(db, database);
    take(db, beside, space, taken);
    return taken;
}

bool db_beside_fits(const struct db *db, uint64_t space)
{
    return overlay_entries(&db->active->tables[TABLE_ROWS], space) == 0 &&
           overlay_entries(&db->active->tables[TABLE_PAGES], space) == 0;
}

void db_beside_adopt_changes(struct db *db, struct db *beside, uint64_t space)
{
    check(beside->on && space < first_space);
    check(db_beside_fits(db, space));
    take(db, beside, space, space);
    db->freed_bytes += beside->freed_bytes;
    beside->freed_bytes = 0;
}

/* ---- what is looked at ----------------------------------------------------------------- */

void db_beside_listen(struct db *beside, unsigned database)
{
    beside->heard_database = database;
    beside->beside->hearing = beside;
}

static uint64_t remember(const struct db *beside, void **keys, struct bytes key)
{
    int is_new = Judy1Set(keys, layers_hash(beside, key), PJE0);
    if (is_new == JERR)
        fatal("out of memory");
    return (uint64_t)is_new;
}

static bool is_among(const struct db *beside, const void *keys, struct bytes key)
{
    return Judy1Test(keys, layers_hash(beside, key), PJE0);
}

/* All looks are at the view, so what changes before a key is looked at counts as well. */
void db_beside_look(struct db *beside, struct bytes key)
{
    beside->is_changed |= is_among(beside, beside->heard, key);
    beside->looks += remember(beside, &beside->looked, key);
}

void layers_hear_key(struct db *beside, unsigned database, struct bytes key)
{
    if (database != beside->heard_database)
        return;
    if (is_among(beside, beside->looked, key))
        beside->is_changed = true;
    else if (!beside->is_deaf)
        beside->looks += remember(beside, &beside->heard, key);
}

void layers_hear_all(struct db *beside, unsigned database)
{
    beside->is_changed |= database == beside->heard_database;
}

void db_beside_end_looks(struct db *beside)
{
    beside->is_deaf = true;
}

bool db_beside_is_changed(const struct db *beside)
{
    return beside->is_changed;
}

uint64_t db_beside_looks(const struct db *beside)
{
    return beside->looks;
}

uint64_t db_beside_spaces(const struct db *beside)
{
    return beside->state.space_next - first_space;
}

bool db_identify(struct db *db, unsigned database, struct bytes key, struct db_identity *identity)
{
    struct db_record found;
    *identity = (struct db_identity){.database_space = layers_space(db, database)};
    if (!db_lookup(db, database, key, &found))
        return !db_is_over(db, NULL, database, key);
    identity->type = found.type;
    identity->version = found.version;
    identity->space = found.space;
    return found.version != 0;
}

/* ---- keys ------------------------------------------------------------------------------ */

void db_beside_keys(struct db *beside, bool puts)
{
    beside->puts = puts;
    beside->effects.is_wanted = beside->beside->effects.is_wanted;
}

/* The last place is the checkpoint's; what the kv has, makes room. */
static bool has_layers(const struct db *db, unsigned layers)
{
    return db->count - db->stored + layers <= LAYERS_MAX - 1;
}

static void freeze(struct db *db)
{
    if (layers_is_empty(db->active))
        return;
    if (db->count >= LAYERS_MAX - 1)
        layers_forget_stored(db);
    layers_freeze(db);
}

bool db_beside_is_taken(const struct db *beside)
{
    return beside->is_taken;
}

bool db_beside_has_layers(const struct db *db)
{
    return has_layers(db, 2);
}

bool db_beside_fits_keys(const struct db *db)
{
    return !db->is_in_entry && (has_layers(db, 1) || layers_is_empty(db->active));
}

static void take_counts(struct db *db, struct db *beside, unsigned database)
{
    const struct slots *change = beside->slots[database];
    for (unsigned slot = 0; change && slot < SLOTS; slot++)
        if (change->slots[slot] != 0)
            layers_count(db, database, slot, (int64_t)change->slots[slot]);
    memory_free(beside->slots[database]);
    beside->slots[database] = NULL;
}

/* They get the numbers that the entry would have given out, in the same order. */
static void take_spaces(struct db *db, struct db *beside, unsigned database, uint64_t first)
{
    uint64_t owner = layers_space(db, database), count = db_beside_spaces(beside);
    for (uint64_t i = 0; i < count; i++)
        layers_space_rename(beside->active, owner, first_space + i, first + i);
    db->state.space_next += count;
}

/* What only the entry says of a key that was put: `first` is the number of the first new space. */
static void set_header(const struct db *db, struct entry *entry, uint64_t first)
{
    unsigned char *record = entry->data + entry->name_size;
    if (entry->is_tombstone)
        return;
    record_set_version(record, db->version);
    uint64_t space = record_space(entry_record(entry));
    if (space >= first_space)
        record_set_space(record, first + space - first_space);
}

static uint64_t puts_of(const struct db *beside)
{
    return beside->put.size / sizeof(struct entry *);
}

/* All of them, and nothing that is another by now. */
static bool are_all_put(const struct db *beside, unsigned database)
{
    const struct overlay *keys = &beside->active->tables[TABLE_KEYS];
    return !beside->is_put_stale &&
           overlay_entries(keys, layers_space(beside, database)) == puts_of(beside);
}

/* In the order in which they came, which is much that of memory, where each came once and all that
 * is said of keys is that; else they were listed anew, in that of names. */
static void set_headers(struct db *db, const struct db *beside, uint64_t first)
{
    struct entry **put = (struct entry **)(void *)beside->put.data;
    uint64_t count = puts_of(beside);
    for (uint64_t i = 0; i < count; i++) {
        if (i + PUTS_AHEAD < count)
            __builtin_prefetch(put[i + PUTS_AHEAD]->data, 1);
        set_header(db, put[i], first);
    }
}

bool db_beside_list_puts(struct db *beside, unsigned database, uint64_t most)
{
    const struct overlay *keys = &beside->active->tables[TABLE_KEYS];
    struct overlay_iter iter;
    if (!beside->is_listing && (!beside->puts || are_all_put(beside, database)))
        return true;
    if (!beside->is_listing)
        buffer_clear(&beside->put);
    overlay_seek(&iter, keys, layers_space(beside, database), beside->listed);
    while (iter.entry && (most > 0 || iter.word == beside->listed)) { /* whole words */
        buffer_append(&beside->put, &iter.entry, sizeof(struct entry *));
        beside->listed = iter.word;
        most -= most > 0;
        overlay_step(&iter);
    }
    beside->listed = iter.word;
    beside->is_listing = iter.entry != NULL;
    beside->is_put_stale &= beside->is_listing;
    check(beside->is_listing || are_all_put(beside, database));
    return !beside->is_listing;
}

void db_beside_adopt_keys(struct db *db, struct db *beside, unsigned database)
{
    struct layer *empty;
    check(beside->beside == db && beside->on && db_beside_fits_keys(db) && !db->savepoint);
    check(!beside->savepoint);
    check(db->effects.noted.size == 0);
    check(!beside->is_taken);
    beside->is_taken = true;
    uint64_t first = db->state.space_next;
    freeze(db);
    check(!beside->puts || are_all_put(beside, database));
    take_spaces(db, beside, database, first);
    empty = db->active;
    db->active = beside->active;
    beside->active = empty;
    take_counts(db, beside, database);
    if (beside->puts)
        set_headers(db, beside, first);
    if (beside->deadline_from_ms[database] < db->deadline_from_ms[database])
        db->deadline_from_ms[database] = beside->deadline_from_ms[database];
    layers_stored_one(&db->row_sizes, beside->row_sizes.largest);
    struct noted noted = db->effects.noted;
    db->effects.noted = beside->effects.noted;
    beside->effects.noted = noted;
    db->effects.latest = 0;
    db->changed_bytes += beside->changed_bytes;
    db->freed_bytes += beside->freed_bytes;
    db->dead_bytes += beside->dead_bytes;
    db->has_dead |= beside->has_dead;
    db->expired += beside->expired;
    db->is_in_entry = true;
}
