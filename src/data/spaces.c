/* Spaces of large collections: made, given to another database, dropped.  Loop thread.
 *
 * To drop one is O(1) whatever it holds: its rows are taken out of active in one piece, and a
 * row in TABLE_SPACES says that it is dead (L7).  What lower layers and the kv have of it nobody
 * looks for any more; the sweep of a checkpoint deletes it. */
#include "base/fatal.h"
#include "data/layers.h"

static void say(struct layer *layer, uint64_t owner, uint64_t space, enum overlay_below below)
{
    struct overlay *spaces = &layer->tables[TABLE_SPACES];
    struct bytes nothing = {0};
    struct overlay_spot spot = overlay_locate(spaces, owner, space, nothing);
    overlay_put(spaces, &spot, nothing, nothing, nothing, below);
}

static void unsay(struct layer *layer, uint64_t owner, uint64_t space)
{
    struct overlay *spaces = &layer->tables[TABLE_SPACES];
    struct bytes nothing = {0};
    const struct entry *entry = overlay_find(spaces, owner, space, nothing);
    if (entry && entry->below == BELOW_NO) {
        overlay_remove(spaces, owner, space, nothing);
        return;
    }
    struct overlay_spot spot = overlay_locate(spaces, owner, space, nothing);
    overlay_bury(spaces, &spot, nothing, BELOW_YES);
}

/* What is said of the space under this owner is about to change. */
static void keep(struct db *db, uint64_t owner, uint64_t space)
{
    struct place place = {.table = TABLE_SPACES, .space = owner, .word = space};
    if (db->savepoint)
        layers_keep_mark(db, &place);
}

uint64_t layers_space_new(struct db *db, uint64_t owner)
{
    uint64_t space = db->state.space_next++;
    check(owner > 0);
    keep(db, owner, space);
    say(db->active, owner, space, BELOW_NO);
    return space;
}

static void cut_rows(struct db *db, uint64_t space)
{
    layers_cut(db, TABLE_ROWS, space);
    layers_cut(db, TABLE_PAGES, space);
}

void layers_space_bury(struct layer *layer, uint64_t owner, uint64_t space)
{
    check(owner > 0);
    unsay(layer, owner, space);
    say(layer, 0, space, BELOW_YES);
}

static void rename_row(struct layer *layer, uint64_t owner, uint64_t space, uint64_t to)
{
    struct overlay *spaces = &layer->tables[TABLE_SPACES];
    struct bytes nothing = {0};
    const struct entry *entry = overlay_find(spaces, owner, space, nothing);
    if (!entry)
        return;
    check(!entry->is_tombstone);
    enum overlay_below below = (enum overlay_below)entry->below;
    overlay_remove(spaces, owner, space, nothing);
    say(layer, owner, to, below);
}

void layers_space_rename(struct layer *layer, uint64_t owner, uint64_t space, uint64_t to)
{
    struct overlay *rows = &layer->tables[TABLE_ROWS], *pages = &layer->tables[TABLE_PAGES];
    (void)overlay_move(rows, to, rows, space);
    (void)overlay_move(pages, to, pages, space);
    rename_row(layer, owner, space, to);
    rename_row(layer, 0, space, to); /* it was dropped again */
}

void layers_space_drop(struct db *db, uint64_t owner, uint64_t space)
{
    check(space < db->state.space_next);
    cut_rows(db, space);
    keep(db, owner, space);
    keep(db, 0, space);
    layers_space_bury(db->active, owner, space);
    db->has_dead = true;
}

void layers_space_move(struct db *db, uint64_t owner, uint64_t to, uint64_t space)
{
    check(owner > 0 && to > 0);
    check(space < db->state.space_next);
    keep(db, owner, space);
    keep(db, to, space);
    unsay(db->active, owner, space);
    say(db->active, to, space, BELOW_YES);
}

void layers_spaces_cut(struct db *db, uint64_t owner)
{
    struct overlay_iter iter;
    overlay_seek(&iter, &db->active->tables[TABLE_SPACES], owner, 0);
    for (; iter.entry; overlay_step(&iter))
        if (!iter.entry->is_tombstone) /* else it went to another */
            cut_rows(db, iter.word);
}
