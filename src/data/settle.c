/* Before layers that a checkpoint stored are released, the cache is told what they have: each row
 * is kept as it is now, and what is deleted is not (L9).  So who asks for it when the layers are
 * gone finds it, and what they did not change stays.
 *
 * It is done behind the entries, each doing some of it for what it changed: so much that it is over
 * before the next checkpoint, and where it is not, all is forgotten.  Loop thread. */
#include "base/fatal.h"
#include "data/merge.h"

enum {
    PACE = 4,             /* bytes that are told for one that is changed */
    BYTES_AT_ONCE = 4096, /* before that it is not worth to go on */
    ROWS_AT_ONCE = 1024,  /* behind one entry; a space counts as one, it may have none */
    ROW_WORK = 4096,      /* of telling one, beside its bytes: see db_work() */
    NEW_MAX = 2048        /* what is larger is kept only if it was: pages of strings, values */
};

static bool has_rows(const struct db *db)
{
    for (unsigned i = db->count - db->stored; i < db->count; i++)
        if (db->layers[i]->tables[TABLE_ROWS].entries + db->layers[i]->tables[TABLE_PAGES].entries)
            return true;
    return false;
}

void layers_settle_begin(struct db *db)
{
    db->settling = (struct settling){
        .is_under_way = db->cache && has_rows(db), .table = TABLE_ROWS, .since = db->changed_bytes};
}

void layers_settle_end(struct db *db)
{
    if (!db->cache || db->stored == 0)
        return;
    if (db->settling.is_under_way)
        layers_cache_forget(db->cache);
    layers_ranges_forget_untold(db->ranges);
    db->settling.is_under_way = false;
}

static struct sources stored_layers(const struct db *db)
{
    struct sources sources = {.count = db->stored};
    for (unsigned i = 0; i < db->stored; i++)
        sources.layers[i] = db->layers[db->count - db->stored + i];
    return sources;
}

/* The kv has it now, and did not before. */
static bool is_new(const struct merge *merge)
{
    const struct entry *oldest = NULL;
    for (unsigned i = 0; i < merge->sources->count; i++)
        if (merge->spent & 1u << i)
            oldest = merge->iters[i].entry;
    return merge_is_live(merge) && oldest && oldest->below != BELOW_YES;
}

static void tell(struct db *db, const struct merge *merge)
{
    struct place place = {merge->table, merge->space, merge->word, merge->name};
    record_key(&db->sought, &place);
    struct bytes key = buffer_bytes(&db->sought), kept;
    if (!merge_is_live(merge))
        layers_cache_drop(db->cache, key);
    else if (merge->record.size <= NEW_MAX || layers_cache_find(db->cache, key, &kept))
        layers_cache_renew(db->cache, key, merge->record);
    if (merge->table == TABLE_ROWS)
        layers_ranges_change(db->ranges, merge->space, merge->word, is_new(merge));
}

/* Bytes that are to be told by now. */
static uint64_t due(const struct db *db)
{
    return PACE * (db->changed_bytes - db->settling.since);
}

static bool is_enough(const struct db *db, unsigned rows)
{
    return rows >= ROWS_AT_ONCE || db->settling.bytes >= due(db);
}

/* Goes on in a space.  False: there is more of it; but rows of one word are told together. */
static bool tell_space(struct db *db, const struct sources *sources, unsigned *rows)
{
    struct settling *settling = &db->settling;
    struct merge merge;
    merge_open(&merge, sources, settling->table, settling->space, settling->word);
    bool is_there;
    while ((is_there = merge_next(&merge))) {
        if (merge.word != settling->word && is_enough(db, *rows))
            break;
        settling->word = merge.word;
        settling->bytes += merge.name.size + merge.record.size;
        db->work += ROW_WORK + merge.name.size + merge.record.size;
        ++*rows;
        tell(db, &merge);
    }
    if (is_there)
        settling->word = merge.word;
    merge_close(&merge);
    return !is_there;
}

/* The first space from settling->space on that some layer has; false: there is none. */
static bool next_space(struct settling *settling, const struct sources *sources)
{
    bool is_found = false;
    uint64_t first = 0;
    for (unsigned i = 0; i < sources->count; i++) {
        uint64_t next = settling->space;
        if (!overlay_next_space(&sources->layers[i]->tables[settling->table], &next))
            continue;
        first = !is_found || next < first ? next : first;
        is_found = true;
    }
    if (is_found && first != settling->space) {
        settling->space = first;
        settling->word = 0;
    }
    return is_found;
}

/* False: that is all. */
static bool go_on(struct db *db, const struct sources *sources, unsigned *rows)
{
    struct settling *settling = &db->settling;
    while (next_space(settling, sources)) {
        if (is_enough(db, *rows) || !tell_space(db, sources, rows))
            return true;
        db->work += ROW_WORK;
        ++*rows;
        settling->space++;
        settling->word = 0;
    }
    return false;
}

void layers_settle(struct db *db)
{
    struct settling *settling = &db->settling;
    unsigned rows = 0;
    if (!settling->is_under_way || settling->bytes + BYTES_AT_ONCE > due(db))
        return;
    struct sources sources = stored_layers(db);
    if (go_on(db, &sources, &rows))
        return;
    settling->is_under_way = settling->table == TABLE_ROWS;
    settling->table = TABLE_PAGES;
    settling->space = settling->word = 0;
}
