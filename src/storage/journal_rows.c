/* See journal_rows.h.
 *
 * Of a segment only the first and the last key are known that rows of it may have.  What is cut off
 * the log's end, or written over, is no row of it any more, but counts as one until all between the
 * two is deleted, which a log that is trimmed comes to soon: a segment is held too long at most. */
#include "storage/journal_rows.h"

#include <string.h>
#include <xxhash.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"

enum { ROW_VERSION = 1 };

bool journal_row_wanted(size_t size)
{
    return size >= JOURNAL_ROW_LEAST || size == JOURNAL_ROW_SIZE;
}

void journal_row_encode(unsigned char *bytes, struct journal_place place, struct bytes value)
{
    check(value.size <= UINT32_MAX && place.segment > 0);
    bytes[0] = ROW_VERSION;
    put_u64(bytes + 1, place.segment);
    put_u64(bytes + 9, place.at);
    put_u32(bytes + 17, (uint32_t)value.size);
    put_u64(bytes + 21, XXH3_64bits(value.data, value.size));
}

bool journal_row_decode(struct journal_row *row, struct bytes stored)
{
    const unsigned char *bytes = stored.data;
    if (stored.size != JOURNAL_ROW_SIZE)
        return false;
    if (bytes[0] != ROW_VERSION)
        fatal("the store has a row of version %d, which is unknown here", bytes[0]);
    *row = (struct journal_row){.place = {.segment = get_u64(bytes + 1), .at = get_u64(bytes + 9)},
                                .size = get_u32(bytes + 17),
                                .checksum = get_u64(bytes + 21)};
    return true;
}

enum journal_row_result journal_row_read(struct journal *journal, const struct journal_row *row,
                                         struct buffer *value)
{
    buffer_clear(value);
    buffer_reserve(value, row->size);
    if (!journal_read(journal, row->place, value->data, row->size))
        return JOURNAL_ROW_GONE;
    if (XXH3_64bits(value->data, row->size) != row->checksum)
        return JOURNAL_ROW_DAMAGED;
    value->size = row->size;
    return JOURNAL_ROW_OK;
}

/* ---- which segments have rows --------------------------------------------------------- */

static bool is_before(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order < 0 || (order == 0 && a.size < b.size);
}

static void set(struct buffer *key, struct bytes to)
{
    buffer_clear(key);
    buffer_append_bytes(key, to);
}

/* The newest is the last. */
static struct journal_rows_held *held_of(struct journal_rows *rows, struct journal *journal,
                                         uint64_t segment, struct bytes key)
{
    for (size_t i = rows->count; i > 0; i--)
        if (rows->list[i - 1].segment == segment)
            return &rows->list[i - 1];
    rows->list = memory_resize(rows->list, (rows->count + 1) * sizeof *rows->list);
    struct journal_rows_held *held = &rows->list[rows->count++];
    *held = (struct journal_rows_held){.segment = segment};
    set(&held->first, key);
    set(&held->last, key);
    journal_hold(journal, segment);
    return held;
}

void journal_rows_note(struct journal_rows *rows, struct journal *journal, uint64_t segment,
                       struct bytes key)
{
    struct journal_rows_held *held = held_of(rows, journal, segment, key);
    if (is_before(key, buffer_bytes(&held->first)))
        set(&held->first, key);
    if (is_before(buffer_bytes(&held->last), key))
        set(&held->last, key);
}

static void drop(struct journal_rows *rows, size_t place)
{
    struct journal_rows_held *held = &rows->list[place];
    buffer_deinit(&held->first);
    buffer_deinit(&held->last);
    memmove(held, held + 1, (--rows->count - place) * sizeof *held);
}

void journal_rows_deleted(struct journal_rows *rows, struct journal *journal, struct bytes from,
                          struct bytes to)
{
    for (size_t i = rows->count; i > 0; i--) {
        struct journal_rows_held *held = &rows->list[i - 1];
        struct bytes first = buffer_bytes(&held->first);
        if (is_before(first, from) || !is_before(first, to))
            continue;
        if (!is_before(buffer_bytes(&held->last), to)) {
            set(&held->first, to);
            continue;
        }
        journal_let_go(journal, held->segment);
        drop(rows, i - 1);
    }
}

void journal_rows_deinit(struct journal_rows *rows)
{
    while (rows->count > 0)
        drop(rows, rows->count - 1);
    memory_free(rows->list);
    rows->list = NULL;
}
