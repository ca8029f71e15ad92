/* One value in the form in which Redis stores it and DUMP gives it (RDB).
 *
 *      0  1  what follows, `rdb_kind`
 *      1     elements, or packed nodes of them, as the kind lays down
 *      n-10  2  version of the form, little endian
 *      n-8   8  CRC-64 of all before, little endian
 *
 * Sizes have one to nine bytes, in big endian, with the kind of size in the upper bits of the
 * first: 00 6 bits, 01 14 bits, 0x80 32 bits, 0x81 64 bits, 11 a string that is an integer or
 * compressed.
 *
 * What is read comes from strangers: every size is held against what is there, and what is unpacked
 * is bounded.  Written are the plain kinds, which every Redis since 4.0 reads and packs by itself.
 *
 * Deterministic, without the keyspace; any thread. */
#ifndef COMMAND_RDB_H
#define COMMAND_RDB_H

#include "base/buffer.h"
#include "data/db.h"
#include "resp/number.h"

enum { RDB_VERSION = 11, RDB_FOOTER = 10 }; /* of Redis 7.2 */

enum rdb_kind {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET_TEXT = 3, /* scores as text */
    RDB_HASH = 4,
    RDB_ZSET = 5,
    RDB_HASH_ZIPMAP = 9, /* from here on packed; in one string, */
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14, /* in several */
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18,
    RDB_SET_LISTPACK = 20
};

/* ---- checksum: rdb_crc.c ------------------------------------------------------------- */

/* Of what was summed up before, 0 of nothing, with `bytes` behind it. */
uint64_t rdb_crc(uint64_t crc, struct bytes bytes);

/* ---- writing: rdb_write.c ------------------------------------------------------------ */

void rdb_write_kind(struct buffer *out, enum rdb_kind kind);
void rdb_write_size(struct buffer *out, uint64_t size);
void rdb_write_string(struct buffer *out, struct bytes string); /* numbers as such */
void rdb_write_double(struct buffer *out, double value);
/* crc: of all before. */
void rdb_write_footer(struct buffer *out, uint64_t crc);

/* ---- packed nodes: rdb_pack.c ---------------------------------------------------------- */

enum rdb_form { RDB_UNPACKED, RDB_ZIPMAP, RDB_ZIPLIST, RDB_INTSET, RDB_LISTPACK };

struct rdb_pack {
    enum rdb_form form; /* RDB_UNPACKED: there is none under way */
    struct bytes bytes; /* borrowed */
    size_t at;          /* of the next element */
    uint64_t given;     /* elements so far */
    size_t before;      /* of a ziplist: size of the last element given */
    int64_t last;       /* of an intset */
};

/* A string of a packed node; a number is formatted into `digits`. */
struct rdb_item {
    struct bytes text; /* borrowed from the node, or from `digits` */
    char digits[NUMBER_I64_SIZE];
};

enum rdb_step {
    RDB_GIVEN,
    RDB_NOTHING, /* yet: it goes on, with the next step */
    RDB_END,
    RDB_DAMAGED,
    RDB_TOO_LARGE
};

bool rdb_pack_open(struct rdb_pack *pack, enum rdb_form form, struct bytes bytes);
/* END: there are no more, and all of the node was well formed. */
enum rdb_step rdb_pack_next(struct rdb_pack *pack, struct rdb_item *item);

/* ---- reading: rdb_read.c --------------------------------------------------------------- */

struct rdb_reader {
    enum rdb_kind kind;
    enum db_type type;
    struct bytes body; /* borrowed: the payload without its footer */
    size_t at;
    uint64_t left;        /* elements, or packed nodes, that are to come from the body */
    size_t unpacked_left; /* bytes that may still be unpacked, in all */
    struct rdb_pack pack; /* the node under way */
    struct buffer node;   /* owned: it, if it was compressed */
    struct rdb_item items[2];
    struct buffer strings[2]; /* owned: those that were compressed */
};

/* What a hash, a set or a sorted set has of an element; of a string or a list the value alone.
 * Borrowed until the next one is given. */
struct rdb_element {
    struct bytes name, value;
    double score;
};

/* Of a whole payload.  False: its version is one that we do not know. */
bool rdb_knows_version(struct bytes payload);
/* What its CRC says, to be compared with rdb_crc() of all before. */
uint64_t rdb_footer_crc(struct bytes payload);

/* Of a payload that has a footer, borrowed until the end.  unpacked_max: what its compressed parts
 * may have in all, bytes.  False: it is not a value. */
bool rdb_open(struct rdb_reader *reader, struct bytes payload, size_t unpacked_max);
void rdb_close(struct rdb_reader *reader);
/* END: that was all, and nothing is left over. */
enum rdb_step rdb_next(struct rdb_reader *reader, struct rdb_element *element);

#endif
