/* The bytes of a snapshot's chunk.  Numbers are little endian.
 *
 *   0   4  "RRsn"
 *   4   1  format, 1
 *   5   1  kind
 *   6   2  zero
 *   8   4  size of the body
 *  12   4  zero
 *  16   8  number: 0 for the head, then one more each
 *  24      body
 *  ..   8  XXH3-64 of all before; its seed is the head's checksum, 0 for the head
 *
 *   head    a state record (record.c), its counts may be too high
 *   rows    each: 4 size of the key, 4 of the value, key, value; as in the data family, ascending
 *   end     a state record, 8 rows, 8 bytes of their keys and values, 8 sum of the chunks before
 *
 * The sum is that of their checksums: each is hashed with the sum of those before as seed. */
#ifndef DATA_SNAPSHOT_FORM_H
#define DATA_SNAPSHOT_FORM_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "data/record.h"
#include "data/snapshot.h"

enum snapshot_kind { SNAPSHOT_HEAD, SNAPSHOT_ROWS, SNAPSHOT_END, SNAPSHOT_KINDS };

enum {
    SNAPSHOT_TAIL = 8,       /* the checksum */
    SNAPSHOT_ROW_HEADER = 8, /* two sizes */
    SNAPSHOT_END_SIZE = RECORD_STATE_SIZE + 24
};

struct snapshot_chunk {
    enum snapshot_kind kind;
    uint64_t number;
    struct bytes body; /* borrowed */
    uint64_t checksum;
};

/* Clears the buffer and leaves room for what is known at the end. */
void db_snapshot_chunk_begin(struct buffer *chunk);
void db_snapshot_chunk_row(struct buffer *chunk, struct bytes key, struct bytes value);
/* Returns the checksum. */
uint64_t db_snapshot_chunk_end(struct buffer *chunk, enum snapshot_kind kind, uint64_t number,
                               uint64_t seed);
enum db_install_result db_snapshot_chunk_parse(struct bytes bytes, uint64_t seed,
                                               struct snapshot_chunk *chunk);
/* Takes the next row off the front of a body; false: there is none, or `body` is not empty after
 * it, which is damage. */
bool db_snapshot_row_take(struct bytes *body, struct bytes *key, struct bytes *value);
uint64_t db_snapshot_sum(uint64_t sum, uint64_t checksum);
/* What a state record tells; nothing of rows yet. */
struct db_snapshot_about db_snapshot_about_state(const struct state *state, uint64_t cluster);

#endif
