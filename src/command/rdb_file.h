/* A whole RDB file of Redis, item by item.
 *
 *      0  9  "REDIS" and the version in four digits
 *      9     items, each behind a byte that says what it is: an `rdb_mark`, or the kind of a value
 *            (rdb.h), behind which its name and itself stand
 *      n-9 1  RDB_MARK_END
 *      n-8 8  CRC-64 of all before, little endian; 0: it was written without
 *
 * A value has no size in front, so it has to be read to find where it ends.  What is read comes
 * from strangers, as in rdb.h.
 *
 * Deterministic, without the keyspace; any thread. */
#ifndef COMMAND_RDB_FILE_H
#define COMMAND_RDB_FILE_H

#include "command/rdb.h"

enum {
    RDB_FILE_OLDEST = 6,   /* of Redis 2.6 */
    RDB_FILE_NEWEST = 11,  /* of Redis 7.2 */
    RDB_FILE_WRITTEN = 10, /* of Redis 7.0: nothing that we write is newer */
    RDB_FILE_HEADER = 9,
    RDB_FILE_SUM = 8,
    RDB_MODULE_NAME = 10 /* nine letters and the end of a string */
};

enum rdb_mark {
    RDB_MARK_LIBRARY = 245,       /* the code of a library of functions */
    RDB_MARK_EARLY_LIBRARY = 246, /* of a release candidate of 7.0 */
    RDB_MARK_MODULE_AUX = 247,    /* what a module keeps beside the keys */
    RDB_MARK_IDLE = 248,
    RDB_MARK_FREQUENCY = 249,
    RDB_MARK_AUX = 250, /* a name and a value */
    RDB_MARK_SIZES = 251,
    RDB_MARK_DEADLINE_MS = 252,
    RDB_MARK_DEADLINE = 253, /* seconds, in four bytes */
    RDB_MARK_DATABASE = 254,
    RDB_MARK_END = 255
};

enum rdb_file_step {
    RDB_FILE_KEY,     /* database, name, value, elements, and its deadline if it has one */
    RDB_FILE_LIBRARY, /* value: its code */
    RDB_FILE_MODULE,  /* module: whose data stands there, which nobody here understands */
    RDB_FILE_END,     /* well formed, to the last byte, and the checksum is right */
    RDB_FILE_REFUSED  /* `refusal` says why, `item` where */
};

struct rdb_file {
    struct rdb_reader words; /* over the whole, borrowed; words.at: so much is read */
    size_t item;             /* where what was given last begins */
    size_t summed;           /* bytes, */
    uint64_t crc;            /* of which this is the sum */
    const char *refusal;     /* static */
    bool has_no_sum;         /* at the end: there was none to compare */

    /* Of the item given last; names and codes borrowed until the next one. */
    unsigned database;
    struct bytes name, value; /* of a key: what stands behind its kind in a payload of DUMP */
    unsigned char kind;
    uint64_t elements; /* of a value; 0: an empty collection, which Redis leaves out */
    bool has_deadline;
    int64_t deadline_ms; /* Unix time */
    char module[RDB_MODULE_NAME];
};

void rdb_file_open(struct rdb_file *file, struct bytes bytes);
void rdb_file_close(struct rdb_file *file);
/* The next item; not after END or REFUSED. */
enum rdb_file_step rdb_file_next(struct rdb_file *file);

/* ---- writing -------------------------------------------------------------------------- */

void rdb_file_write_header(struct buffer *out);
void rdb_file_write_aux(struct buffer *out, const char *name, struct bytes value);
void rdb_file_write_database(struct buffer *out, unsigned database, uint64_t keys);
/* What a DUMP gave, with its name; deadline_ms 0: none. */
void rdb_file_write_key(struct buffer *out, struct bytes name, struct bytes payload,
                        int64_t deadline_ms);
/* crc: of all before. */
void rdb_file_write_end(struct buffer *out, uint64_t crc);

#endif
