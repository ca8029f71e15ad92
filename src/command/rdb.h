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
 * is bounded.  Written are the plain kinds, which every Redis since 4.0 reads and packs by itself;
 * a stream has none, and is written as Redis 7.0 does it, which 7.2 reads too.
 *
 * Deterministic, without the keyspace; any thread. */
#ifndef COMMAND_RDB_H
#define COMMAND_RDB_H

#include "base/buffer.h"
#include "command/series.h"
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
    RDB_STREAM_5_0 = 15,     /* a stream, as that Redis has it; */
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18,
    RDB_STREAM_7_0 = 19, /* with counters of entries; */
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_7_2 = 21 /* and when consumers last got something */
};

/* ---- checksum: rdb_crc.c ------------------------------------------------------------- */

/* Of what was summed up before, 0 of nothing, with `bytes` behind it. */
uint64_t rdb_crc(uint64_t crc, struct bytes bytes);

/* ---- writing: rdb_write.c ------------------------------------------------------------ */

void rdb_write_kind(struct buffer *out, enum rdb_kind kind);
void rdb_write_size(struct buffer *out, uint64_t size);
void rdb_write_string(struct buffer *out, struct bytes string); /* numbers as such */
void rdb_write_double(struct buffer *out, double value);
void rdb_write_time(struct buffer *out, int64_t ms);

/* A listpack, in a buffer of its own that is clear.  Its first element, if that is a number up to
 * 127, is the byte at RDB_LISTPACK_HEADER. */
enum { RDB_LISTPACK_HEADER = 6 };
void rdb_listpack_begin(struct buffer *pack);
void rdb_listpack_add(struct buffer *pack, struct bytes string); /* numbers as such */
void rdb_listpack_add_number(struct buffer *pack, int64_t number);
void rdb_listpack_end(struct buffer *pack);

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
/* Behind an entry of a listpack stands its size, for who comes from the end: 7 bits a byte, the
 * uppermost first, all but the first with the upper bit set.  In so many bytes. */
unsigned rdb_size_behind(size_t size);

/* ---- reading: rdb_read.c --------------------------------------------------------------- */

/* What comes of a stream, in this order. */
enum rdb_part {
    RDB_ENTRY,    /* id, count: of its pairs, > 0.  Ids rise, from 0-1 at least. */
    RDB_PAIR,     /* name, value */
    RDB_STREAM,   /* id: the last that was given, not below any; deleted, count: ever added */
    RDB_GROUP,    /* name, id: the last that it delivered, read: -1 if not known, or not said */
    RDB_PENDING,  /* in the group: id, ms, count: deliveries */
    RDB_CONSUMER, /* of the group: name, ms: seen, active_ms: -1 never */
    RDB_OWNED     /* id: pending with the consumer */
};

enum { RDB_NOT_SAID = -2 };

struct rdb_stream {
    enum { RDB_NODES, RDB_GROUPS, RDB_PENDINGS, RDB_CONSUMERS, RDB_OWNEDS } stage;
    struct series_id node, first, last; /* of the node under way; the first and the last given */
    uint64_t given;                     /* entries, in all */
    uint64_t live, dead;                /* entries to come of the node, */
    uint64_t pairs, words;              /* pairs to come of the entry; and elements that it has */
    bool is_dead, has_names;            /* it is deleted; has other names than the node's */
    uint64_t name_count, skips;         /* the node's names; and elements until its entries */
    struct rdb_pack names, next_name;
    uint64_t groups, pendings, consumers, owneds; /* that are to come */
};

struct rdb_reader {
    enum rdb_kind kind;
    enum db_type type;
    struct bytes body; /* borrowed: the payload without its footer */
    bool is_within;    /* behind the value stands something else */
    size_t at;
    uint64_t left;        /* elements, or packed nodes, that are to come from the body */
    size_t unpacked_left; /* bytes that may still be unpacked, in all */
    struct rdb_pack pack; /* the node under way */
    struct buffer node;   /* owned: it, if it was compressed */
    struct rdb_item items[2];
    struct buffer strings[2]; /* owned: those that were compressed */
    struct rdb_stream stream;
};

/* What a hash, a set or a sorted set has of an element; of a string or a list the value alone.
 * Borrowed until the next one is given. */
struct rdb_element {
    struct bytes name, value;
    double score;
    enum rdb_part part; /* of a stream, which has the rest too */
    struct series_id id, deleted;
    uint64_t count;
    int64_t read, ms, active_ms;
};

/* Of a whole payload.  False: its version is one that we do not know. */
bool rdb_knows_version(struct bytes payload);
/* What its CRC says, to be compared with rdb_crc() of all before. */
uint64_t rdb_footer_crc(struct bytes payload);

/* Of a payload that has a footer, borrowed until the end.  unpacked_max: what its compressed parts
 * may have in all, bytes.  False: it is not a value. */
bool rdb_open(struct rdb_reader *reader, struct bytes payload, size_t unpacked_max);
/* The same of a value whose kind stood elsewhere, without a footer, and perhaps with something else
 * behind it: at the END it has reader->at bytes.  False: it is none; reader->type is DB_NONE if we
 * do not know its kind. */
bool rdb_open_within(struct rdb_reader *reader, unsigned char kind, struct bytes bytes,
                     size_t unpacked_max);
void rdb_close(struct rdb_reader *reader);
/* END: that was all, and nothing is left over. */
enum rdb_step rdb_next(struct rdb_reader *reader, struct rdb_element *element);

/* Of a stream: rdb_stream.c.  Names that a node has once count as unpacked for each entry. */
enum rdb_step rdb_stream_next(struct rdb_reader *reader, struct rdb_element *element);

/* What rdb_stream.c reads with.  False: it is not there. */
bool rdb_take(struct rdb_reader *reader, uint64_t count, const unsigned char **bytes);
bool rdb_take_count(struct rdb_reader *reader, uint64_t *count);
/* Where the value ends: END, or DAMAGED if something is left over. */
enum rdb_step rdb_end(const struct rdb_reader *reader);
/* Into `out` if it is compressed, item->digits if it is a number. */
enum rdb_step rdb_take_string(struct rdb_reader *reader, struct buffer *out, struct rdb_item *item);

#endif
