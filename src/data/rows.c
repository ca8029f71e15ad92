/* Rows of large collections: single ones, scans, and draws.  Loop thread. */
#include "data/merge.h"

static struct place row_place(uint64_t space, uint64_t word, struct bytes name)
{
    check(space > 0);
    return (struct place){.table = TABLE_ROWS, .space = space, .word = word, .name = name};
}

uint64_t db_row_word(const struct db *db, struct bytes name)
{
    return layers_hash(db, name);
}

bool db_row_get(struct db *db, struct db_view *view, uint64_t space, uint64_t word,
                struct bytes name, struct bytes *value)
{
    struct place place = row_place(space, word, name);
    return view ? layers_view_row(view, &place, value) : layers_get(db, &place, value);
}

bool db_row_put(struct db *db, uint64_t space, uint64_t word, struct bytes name, struct bytes value)
{
    struct place place = row_place(space, word, name);
    struct bytes nothing = {0};
    return layers_put(db, &place, nothing, value);
}

bool db_row_delete(struct db *db, uint64_t space, uint64_t word, struct bytes name)
{
    struct place place = row_place(space, word, name);
    return layers_delete(db, &place);
}

uint64_t db_row_scan(struct db *db, struct db_view *view, uint64_t space, uint64_t cursor,
                     struct db_scan_limit limit, db_row_fn *each, void *context)
{
    struct sources now = view ? (struct sources){0} : merge_sources(db);
    const struct sources *sources = view ? layers_view_sources(view) : &now;
    return merge_scan(sources, TABLE_ROWS, space, cursor, limit, each, context);
}

void db_row_random(struct db *db, struct db_view *view, uint64_t space, uint64_t count,
                   uint64_t *seed, db_row_fn *each, void *context)
{
    struct sources now = view ? (struct sources){0} : merge_sources(db);
    const struct sources *sources = view ? layers_view_sources(view) : &now;
    struct merge_range range = {.table = TABLE_ROWS, .space = space, .shift = 64};
    struct merge merge;
    merge_random(&merge, sources, &range, count, seed);
    each(context, merge.name, merge.record);
    merge_close(&merge);
}
