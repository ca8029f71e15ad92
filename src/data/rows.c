/* Rows and pages of large collections: single ones, scans, and draws.  Loop thread. */
#include "data/merge.h"

/* It was given out, to a collection, or is the server's own. */
static void check_space(const struct db *db, uint64_t space)
{
    check(space < db->state.space_next);
    check(db->state.space_next > 0);
}

static struct place row_place(const struct db *db, uint64_t space, uint64_t word, struct bytes name)
{
    check_space(db, space);
    return (struct place){.table = TABLE_ROWS, .space = space, .word = word, .name = name};
}

uint64_t db_row_word(const struct db *db, struct bytes name)
{
    return layers_hash(db, name);
}

bool db_row_get(struct db *db, struct db_view *view, uint64_t space, uint64_t word,
                struct bytes name, struct bytes *value)
{
    struct place place = row_place(db, space, word, name);
    return view ? layers_view_row(view, &place, value) : layers_get(db, &place, value);
}

bool db_row_put_parts(struct db *db, uint64_t space, uint64_t word, struct bytes name,
                      struct bytes head, struct bytes value)
{
    struct place place = row_place(db, space, word, name);
    return layers_put(db, &place, head, value);
}

bool db_row_put(struct db *db, uint64_t space, uint64_t word, struct bytes name, struct bytes value)
{
    return db_row_put_parts(db, space, word, name, (struct bytes){0}, value);
}

bool db_row_delete(struct db *db, uint64_t space, uint64_t word, struct bytes name)
{
    struct place place = row_place(db, space, word, name);
    return layers_delete(db, &place);
}

/* ---- pages ------------------------------------------------------------------------ */

static struct place page_place(const struct db *db, uint64_t space, uint64_t number)
{
    check_space(db, space);
    return (struct place){.table = TABLE_PAGES, .space = space, .word = number};
}

bool db_page_get(struct db *db, struct db_view *view, uint64_t space, uint64_t number,
                 struct bytes *page)
{
    struct place place = page_place(db, space, number);
    return view ? layers_view_row(view, &place, page) : layers_get(db, &place, page);
}

void db_page_put(struct db *db, uint64_t space, uint64_t number, struct bytes page)
{
    struct place place = page_place(db, space, number);
    struct bytes nothing = {0};
    layers_put(db, &place, nothing, page);
}

bool db_page_look(struct db *db, struct db_view *view, uint64_t space, uint64_t number,
                  struct db_page *page)
{
    struct place place = page_place(db, space, number);
    page->entry = NULL;
    return view ? layers_view_row(view, &place, &page->bytes)
                : layers_find(db, &place, &page->entry, &page->bytes);
}

void db_page_edit(struct db *db, uint64_t space, uint64_t number, struct db_page *page, size_t from,
                  size_t to, const struct bytes *parts, unsigned count)
{
    struct place place = page_place(db, space, number);
    page->entry = layers_edit(db, &place, page->entry, from, to, parts, count);
    page->bytes = entry_record(page->entry);
}

void db_page_splice(struct db *db, uint64_t space, uint64_t number, uint64_t offset,
                    struct bytes part)
{
    static const char zeros[DB_STRING_PAGE];
    struct place place = page_place(db, space, number);
    struct bytes page, nothing = {0};
    check(offset <= sizeof zeros);
    if (!layers_get(db, &place, &page))
        layers_put(db, &place, bytes_of(zeros, (size_t)offset), part);
    else if (offset == 0 && part.size >= page.size)
        layers_put(db, &place, nothing, part);
    else
        layers_splice(db, &place, nothing, (size_t)offset, part);
}

bool db_page_delete(struct db *db, uint64_t space, uint64_t number)
{
    struct place place = page_place(db, space, number);
    return layers_delete(db, &place);
}

/* ---- many rows -------------------------------------------------------------------- */

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
    db->work += (uint64_t)merge.seeks * LAYERS_FETCH_WORK;
    each(context, merge.name, merge.record);
    if (!view && !db->look && !merge.entry) { /* who draws may take it out next */
        struct place place = row_place(db, space, merge.word, merge.name);
        layers_note_read(db, &place, merge.record);
    }
    merge_close(&merge);
}

/* ---- copies ---------------------------------------------------------------------------- */

/* Before the bytes of a name and a value. */
struct row {
    uint64_t word;
    size_t name_size, value_size;
};

/* Into `rows`, because the tables must not change while they are walked over. */
static bool collect(const struct sources *sources, enum table table, uint64_t space, uint64_t *word,
                    struct db_scan_limit limit, struct buffer *rows)
{
    uint64_t looked = 0, last = *word;
    struct merge merge;
    merge_open(&merge, sources, table, space, *word);
    bool is_there;
    for (; (is_there = merge_next(&merge)); last = merge.word) {
        bool is_enough = looked > 0 && (looked >= limit.rows || rows->size >= limit.bytes);
        if (is_enough && merge.word != last)
            break;
        if (!merge.is_passed || merge.word != last) /* else it came no further */
            looked += merge_rows(&merge);
        if (!merge_is_live(&merge))
            continue;
        struct row row = {merge.word, merge.name.size, merge.record.size};
        buffer_append(rows, &row, sizeof row);
        buffer_append_bytes(rows, merge.name);
        buffer_append_bytes(rows, merge.record);
    }
    if (is_there)
        *word = merge.word;
    merge_close(&merge);
    return is_there;
}

bool db_space_copy(struct db *db, struct db_view *view, uint64_t space, uint64_t to,
                   bool is_of_pages, uint64_t *word, struct db_scan_limit limit)
{
    struct sources now = view ? (struct sources){0} : merge_sources(db);
    enum table table = is_of_pages ? TABLE_PAGES : TABLE_ROWS;
    struct buffer rows = {0};
    check_space(db, space);
    check_space(db, to);
    check(space != to);
    bool has_more =
        collect(view ? layers_view_sources(view) : &now, table, space, word, limit, &rows);
    for (size_t at = 0; at < rows.size;) {
        struct row row;
        memcpy(&row, rows.data + at, sizeof row);
        struct bytes name = bytes_of(rows.data + at + sizeof row, row.name_size);
        struct bytes value = bytes_of((const char *)name.data + row.name_size, row.value_size);
        struct place place = {table, to, row.word, name};
        layers_put(db, &place, (struct bytes){0}, value);
        at += sizeof row + row.name_size + row.value_size;
    }
    buffer_deinit(&rows);
    return has_more;
}
