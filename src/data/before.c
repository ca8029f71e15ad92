/* What was before a long entry, while that is half done: see db.h.  Loop thread.
 *
 * Before the entry begins, active is frozen, so that what the entry changes is in a layer of its
 * own, and the layers below are the state before it: a view of them is made whenever somebody wants
 * to read.  When it has ended, and its layer is small, and nobody has a view of the one below, the
 * two become one again; so entries that could have been long and were not use up no layers, of
 * which there are few.  Else the layer stays, as behind any other view.
 *
 * While the entry is under way nothing else is frozen and no checkpoint begins (is_in_entry).  What
 * it writes blindly it looks for in the layer right below (layers.c: guess_below), so that joining
 * them resolves nothing (L6).
 *
 * None of this changes what the entry does: a freeze may come before any entry. */
#include "base/fatal.h"
#include "base/memory.h"
#include "data/merge.h"

enum {
    JOIN_ENTRIES = 8192, /* more than these stay in their layer: joining is done at once */
    JOIN_BYTES = 2 << 20,
    PARTED_LAYERS = LAYERS_MAX / 2
};

/* The last places are for views that somebody asks for; a checkpoint makes room. */
static bool freeze(struct db *db)
{
    if (db->count < PARTED_LAYERS)
        return layers_freeze_for_view(db);
    db_checkpoint(db);
    return false;
}

bool db_part(struct db *db)
{
    check(!db->is_in_entry && !db->is_parted);
    bool is_empty = layers_is_empty(db->active);
    if (!is_empty && !freeze(db)) {
        is_empty = layers_is_empty(db->active); /* by a checkpoint that began just now */
        if (!is_empty)
            return false;
    }
    db->joins = is_empty ? NULL : db->layers[0];
    db->before = db->state;
    db->before_due_ms = db_due_ms(db);
    db->is_parted = db->is_in_entry = true;
    return true;
}

bool db_is_parted(const struct db *db)
{
    return db->is_parted;
}

int64_t db_before_due_ms(const struct db *db)
{
    check(db->is_parted);
    return db->before_due_ms;
}

/* ---- joining ------------------------------------------------------------------------------- */

static bool has_other_spaces(const struct db *db)
{
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (db->before.databases[i].space != db->state.databases[i].space)
            return true;
    return false;
}

static uint64_t entries_of(const struct layer *layer)
{
    uint64_t entries = 0;
    for (int table = 0; table < TABLES; table++)
        entries += layer->tables[table].entries;
    return entries;
}

/* A name that `from` says something of is said the same of by `to`, which lies right below. */
static void join_entry(struct overlay *to, uint64_t space, uint64_t word, const struct entry *entry)
{
    struct bytes name = entry_name(entry);
    const struct entry *there = overlay_find(to, space, word, name);
    enum overlay_below below = (enum overlay_below)(there ? there->below : entry->below);
    check(!entry->is_kept);
    check(!there || entry->below != BELOW_UNKNOWN);
    if (entry->is_tombstone && below == BELOW_NO) {
        if (there)
            overlay_remove(to, space, word, name);
        return;
    }
    struct overlay_spot spot = overlay_locate(to, space, word, name);
    if (entry->is_tombstone)
        overlay_bury(to, &spot, name, below);
    else
        overlay_put(to, &spot, name, (struct bytes){0}, entry_record(entry), below);
}

static void join_table(struct db *db, struct overlay *to, const struct overlay *from)
{
    for (uint64_t space = 0; overlay_next_space(from, &space); space++) {
        struct overlay_iter iter;
        overlay_seek(&iter, from, space, 0);
        for (; iter.entry; overlay_step(&iter)) {
            join_entry(to, space, iter.word, iter.entry);
            db->work += LAYERS_ROW_WORK + iter.entry->name_size + iter.entry->record_size;
        }
    }
}

/* What the lower layer has of collections that the upper one says are nobody's (L7). */
static void cut_dead(struct db *db, const struct layer *from)
{
    struct overlay_iter iter;
    overlay_seek(&iter, &from->tables[TABLE_SPACES], 0, 0);
    for (; iter.entry; overlay_step(&iter)) {
        layers_cut(db, TABLE_ROWS, iter.word);
        layers_cut(db, TABLE_PAGES, iter.word);
    }
}

static void join(struct db *db, struct layer *below)
{
    struct layer *above = db->active;
    check(db->count > 0 && db->layers[0] == below);
    check(db->stored + db->storing < db->count);
    db->count--;
    memmove(db->layers, db->layers + 1, db->count * sizeof *db->layers);
    db->active = below;
    for (int table = 0; table < TABLES; table++)
        join_table(db, &below->tables[table], &above->tables[table]);
    cut_dead(db, above);
    if (above->tables[TABLE_KEYS].unresolved > 0)
        below->resolved_space = below->resolved_word = 0;
    layers_forget_read(db);
    layer_free(above);
}

void layers_part_end(struct db *db)
{
    struct layer *below = db->joins;
    if (!db->is_parted)
        return;
    check(!db->savepoint);
    db->is_parted = false;
    db->joins = NULL;
    if (below && below->references == 1 && !has_other_spaces(db) &&
        entries_of(db->active) <= JOIN_ENTRIES && layer_bytes(db->active) <= JOIN_BYTES)
        join(db, below);
}

/* ---- looking ------------------------------------------------------------------------------- */

void db_look_at(struct db *db, struct db_view *view, int64_t until_ms, bool begins)
{
    check(!db->look);
    db->looking = (struct look){.view = view, .until_ms = until_ms, .begins = begins};
    layers_look_back(db, &db->looking);
}

bool db_look_end(struct db *db)
{
    check(db->look);
    (void)layers_look_away(db);
    return !db->looking.is_in_doubt;
}

struct look *layers_look_away(struct db *db)
{
    struct look *look = db->look;
    db->look = NULL;
    db->seen = &db->state;
    return look;
}

void layers_look_back(struct db *db, struct look *look)
{
    db->look = look;
    if (look)
        db->seen = layers_view_state(look->view);
}
