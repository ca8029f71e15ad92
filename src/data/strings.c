/* Strings in pages: see db.h.  Their record's payload is the size, u64 little endian; a page has
 * DB_STRING_PAGE bytes or fewer, and what is missing of it, or of all of it, is zeros.
 *
 * Which pages there are follows from the entries alone, so it is the same on every node, and may
 * differ for equal strings that were made in different ways: db_hash() tells such apart.  Loop
 * thread. */
#include "base/codec.h"
#include "base/fatal.h"
#include "data/merge.h"

enum {
    PAGES_FEW = 4,           /* looked for one by one; more are gone through in order */
    COLLECTED_MAX = 1 << 20, /* a larger buffer is given back at the next use */
    SIZE_SIZE = 8
};

uint64_t layers_string_size(struct bytes payload)
{
    if (payload.size != SIZE_SIZE)
        fatal("data: the record of a string in pages is damaged");
    return get_u64(payload.data);
}

static size_t lesser(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

/* Adds `size` bytes of a page to what is collected. */
static void collect(struct buffer *out, struct bytes page, uint64_t offset, size_t size)
{
    size_t there = offset < page.size ? lesser(page.size - offset, size) : 0;
    if (there > 0)
        memcpy(out->data + out->size, (const char *)page.data + offset, there);
    if (size > there)
        memset(out->data + out->size + there, 0, size - there);
    out->size += size;
}

static void collect_few(struct db *db, struct db_view *view, uint64_t space, uint64_t offset,
                        uint64_t end)
{
    while (offset < end) {
        struct bytes page;
        uint64_t within = offset % DB_STRING_PAGE;
        size_t taken = lesser(DB_STRING_PAGE - within, end - offset);
        if (!db_page_get(db, view, space, offset / DB_STRING_PAGE, &page))
            page = bytes_of(NULL, 0);
        collect(&db->collected, page, within, taken);
        offset += taken;
    }
}

/* From the kv too, of which that is a fraction of the work. */
static void collect_many(struct db *db, struct db_view *view, uint64_t space, uint64_t offset,
                         uint64_t end)
{
    struct sources now = view ? (struct sources){0} : merge_sources(db);
    struct merge merge;
    merge_open_whole(&merge, view ? layers_view_sources(view) : &now, TABLE_PAGES, space,
                     offset / DB_STRING_PAGE);
    db->work += LAYERS_FETCH_WORK;
    while (offset < end && merge_next_live(&merge)) {
        uint64_t from = merge.word * DB_STRING_PAGE;
        if (from > offset) { /* what lies between has no page */
            size_t zeros = lesser(from - offset, end - offset);
            collect(&db->collected, bytes_of(NULL, 0), 0, zeros);
            offset += zeros;
            if (offset == end)
                break;
        }
        uint64_t within = offset - from;
        size_t taken = lesser(DB_STRING_PAGE - within, end - offset);
        collect(&db->collected, merge.record, within, taken);
        offset += taken;
    }
    merge_close(&merge);
    collect(&db->collected, bytes_of(NULL, 0), 0, (size_t)(end - offset));
}

struct bytes db_string_part(struct db *db, struct db_view *view, const struct db_record *found,
                            uint64_t offset, uint64_t size)
{
    struct buffer *out = &db->collected;
    check(found->space);
    if (offset >= found->size)
        return bytes_of(NULL, 0);
    uint64_t end = offset + lesser(size, found->size - offset);
    if (out->capacity > COLLECTED_MAX)
        buffer_deinit(out);
    buffer_clear(out);
    buffer_reserve(out, (size_t)(end - offset) + 1);
    db->work += end - offset;
    bool is_of_few = (end - offset) / DB_STRING_PAGE < PAGES_FEW;
    if (is_of_few || db->on) /* what is below that is a view */
        collect_few(db, view, found->space, offset, end);
    else
        collect_many(db, view, found->space, offset, end);
    return buffer_bytes(out);
}

void db_string_put(struct db *db, unsigned database, struct bytes key,
                   const struct db_record *record, uint64_t size)
{
    unsigned char payload[SIZE_SIZE];
    struct db_record kept = {
        .type = DB_STRING, .deadline_ms = record->deadline_ms, .space = record->space};
    check(record->space);
    put_u64(payload, size);
    db_put_collection(db, database, key, &kept, bytes_of(payload, sizeof payload));
}

void db_string_set(struct db *db, unsigned database, struct bytes key,
                   const struct db_record *record, uint64_t size)
{
    unsigned char payload[SIZE_SIZE];
    struct header header = {.type = DB_STRING,
                            .version = db->version,
                            .deadline_ms = record->deadline_ms,
                            .space = record->space};
    check(record->space);
    put_u64(payload, size);
    layers_put_whole(db, database, key, &header, bytes_of(payload, sizeof payload));
}

static bool is_zeros(struct bytes part)
{
    const char *data = part.data;
    return part.size == 0 || (data[0] == 0 && memcmp(data, data + 1, part.size - 1) == 0);
}

void db_string_fill(struct db *db, uint64_t space, uint64_t offset, struct bytes part)
{
    check(offset % DB_STRING_PAGE == 0);
    for (size_t at = 0; at < part.size; at += DB_STRING_PAGE) {
        struct bytes page =
            bytes_of((const char *)part.data + at, lesser(DB_STRING_PAGE, part.size - at));
        if (!is_zeros(page))
            db_page_put(db, space, (offset + at) / DB_STRING_PAGE, page);
    }
}

void db_string_write_pages(struct db *db, uint64_t space, uint64_t offset, struct bytes part)
{
    for (size_t at = 0; at < part.size;) {
        uint64_t within = (offset + at) % DB_STRING_PAGE;
        size_t taken = lesser(DB_STRING_PAGE - within, part.size - at);
        db_page_splice(db, space, (offset + at) / DB_STRING_PAGE, within,
                       bytes_of((const char *)part.data + at, taken));
        at += taken;
    }
}

void db_string_write(struct db *db, unsigned database, struct bytes key,
                     const struct db_record *found, uint64_t offset, struct bytes part)
{
    struct db_record record = *found;
    uint64_t end = offset + part.size;
    check(found->space || found->type == DB_NONE);
    if (found->type == DB_NONE)
        record = (struct db_record){.space = db_space_new(db, database)};
    db_string_write_pages(db, record.space, offset, part);
    db_string_put(db, database, key, &record, end > record.size ? end : record.size);
}
