/* Rows of an ordered map whose values stay in the journal: what the map holds instead says where a
 * value stands there, and proves it.  And which of the journal's segments have such rows: those are
 * held (journal_hold), and let go when no row of theirs is left.
 *
 *     a row:  0   1  version: 1
 *             1   8  number of the segment
 *             9   8  where the value begins in its file
 *             17  4  size of the value
 *             21  8  XXH3-64 of the value
 *
 * A value that stands in the map itself is never of that size: whoever puts one there makes a row
 * of what would be. */
#ifndef STORAGE_JOURNAL_ROWS_H
#define STORAGE_JOURNAL_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "storage/journal.h"

enum {
    JOURNAL_ROW_SIZE = 29,
    JOURNAL_ROW_LEAST = 100 /* a smaller value costs no more where it is */
};

struct journal_row {
    struct journal_place place; /* of the value */
    uint32_t size;
    uint64_t checksum;
};

/* Whether a value of that size stays in the journal. */
bool journal_row_wanted(size_t size);
void journal_row_encode(unsigned char *bytes, struct journal_place place, struct bytes value);
/* False: it is a value. */
bool journal_row_decode(struct journal_row *row, struct bytes stored);

enum journal_row_result {
    JOURNAL_ROW_OK,
    JOURNAL_ROW_GONE, /* its segment was begun anew */
    JOURNAL_ROW_DAMAGED
};
/* Replaces the contents of `value`.  Any thread. */
enum journal_row_result journal_row_read(struct journal *journal, const struct journal_row *row,
                                         struct buffer *value);

/* Of one segment: its rows are between these keys, both included. */
struct journal_rows_held {
    uint64_t segment;
    struct buffer first, last;
};

/* One thread at a time; zeros are an empty one. */
struct journal_rows {
    struct journal_rows_held *list; /* owned */
    size_t count;
};

/* There is a row of the segment at `key`. */
void journal_rows_note(struct journal_rows *rows, struct journal *journal, uint64_t segment,
                       struct bytes key);
/* No row is left, from <= key < to: durably, and who looks from now on finds none. */
void journal_rows_deleted(struct journal_rows *rows, struct journal *journal, struct bytes from,
                          struct bytes to);
void journal_rows_deinit(struct journal_rows *rows);

#endif
