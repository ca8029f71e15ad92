/* See rdb.h: the packed forms of small collections (Redis 7.2 listpack.c, intset.c, ziplist.c;
 * zipmap.c of 2.4).  All of their numbers are little endian but the sizes of a ziplist's
 * strings. */
#include "base/codec.h"
#include "base/fatal.h"
#include "command/rdb.h"

enum {
    END = 0xff, /* the last byte of all but an intset */
    ZIPMAP_HEADER = 1,
    ZIPMAP_WIDE = 254, /* a size of four bytes follows */
    ZIPLIST_HEADER = 10,
    ZIPLIST_WIDE = 254,
    INTSET_HEADER = 8,
    LISTPACK_HEADER = 6,
    COUNT_UNKNOWN = 0xffff
};

static const unsigned char *at_of(const struct rdb_pack *pack)
{
    return (const unsigned char *)pack->bytes.data + pack->at;
}

/* Bytes that are there from `at` on. */
static size_t rest(const struct rdb_pack *pack)
{
    return pack->bytes.size - pack->at;
}

static uint64_t get_little(const unsigned char *at, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = count; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

/* Of `bits` bits, the uppermost being the sign. */
static int64_t with_sign(uint64_t value, unsigned bits)
{
    check(bits > 0 && bits <= 64);
    uint64_t sign = (uint64_t)1 << (bits - 1);
    return (int64_t)((value ^ sign) - sign);
}

static void take_number(struct rdb_item *item, int64_t number)
{
    item->text = bytes_of(item->digits, number_format_i64(number, item->digits));
}

static bool is_end(const struct rdb_pack *pack)
{
    return rest(pack) == 1 && *at_of(pack) == END;
}

static enum rdb_step end_of(bool is_well_formed)
{
    return is_well_formed ? RDB_END : RDB_DAMAGED;
}

/* What the element at `at` is: a string or a number behind a head. */
struct shape {
    size_t head, size; /* bytes; a number in the head itself has none */
    bool is_number;
    int64_t number; /* of none */
};

/* Of `count` bytes behind a head of one. */
static struct shape number_of(const unsigned char *at, size_t left, unsigned count)
{
    struct shape shape = {.head = 1, .size = count, .is_number = true};
    if (left > count)
        shape.number = with_sign(get_little(at + 1, count), 8 * count);
    return shape;
}

/* False: it is not all there. */
static bool take(struct rdb_pack *pack, const struct shape *shape, struct rdb_item *item)
{
    if (shape->head > rest(pack) || shape->size > rest(pack) - shape->head)
        return false;
    if (shape->is_number)
        take_number(item, shape->number);
    else
        item->text = bytes_of(at_of(pack) + shape->head, shape->size);
    pack->at += shape->head + shape->size;
    pack->given++;
    return true;
}

/* ---- zipmap: names and values by turns --------------------------------------------------- */

static bool zipmap_size(struct rdb_pack *pack, size_t *size)
{
    if (rest(pack) < 1 || *at_of(pack) == END)
        return false;
    *size = *at_of(pack);
    pack->at++;
    if (*size < ZIPMAP_WIDE)
        return true;
    if (rest(pack) < 4)
        return false;
    *size = get_u32(at_of(pack));
    pack->at += 4;
    return true;
}

static enum rdb_step zipmap_next(struct rdb_pack *pack, struct rdb_item *item)
{
    bool is_value = pack->given % 2 == 1;
    size_t size, unused = 0, count = *(const unsigned char *)pack->bytes.data;
    if (is_end(pack))
        return end_of(!is_value && (count == ZIPMAP_WIDE || count * 2 == pack->given));
    if (!zipmap_size(pack, &size))
        return RDB_DAMAGED;
    if (is_value && rest(pack) > 0) {
        unused = *at_of(pack);
        pack->at++;
    }
    struct shape shape = {.size = size};
    if (!take(pack, &shape, item) || unused > rest(pack))
        return RDB_DAMAGED;
    pack->at += unused;
    return RDB_GIVEN;
}

/* ---- ziplist ----------------------------------------------------------------------------- */

static struct shape ziplist_string(const unsigned char *at, size_t left)
{
    struct shape shape = {.head = 1, .size = *at & 0x3f};
    if (*at >> 6 == 1) {
        shape.head = 2;
        shape.size = left < 2 ? 0 : (size_t)(*at & 0x3f) << 8 | at[1];
    } else if (*at >> 6 == 2) {
        shape.head = 5;
        shape.size = left < 5 ? 0 : get_u32_ordered(at + 1);
    }
    return shape;
}

/* False: there is no such form. */
static bool ziplist_shape(const unsigned char *at, size_t left, struct shape *shape)
{
    switch (*at) {
    case 0xc0: *shape = number_of(at, left, 2); return true;
    case 0xd0: *shape = number_of(at, left, 4); return true;
    case 0xe0: *shape = number_of(at, left, 8); return true;
    case 0xf0: *shape = number_of(at, left, 3); return true;
    case 0xfe: *shape = number_of(at, left, 1); return true;
    default: break;
    }
    if (*at >> 6 < 3) {
        *shape = ziplist_string(at, left);
        return true;
    }
    *shape = (struct shape){.head = 1, .is_number = true, .number = (*at & 0xf) - 1};
    return *at >= 0xf1 && *at <= 0xfd;
}

/* Each entry says how large the one before it is. */
static bool ziplist_before(struct rdb_pack *pack)
{
    size_t before = *at_of(pack);
    pack->at++;
    if (before == ZIPLIST_WIDE) {
        if (rest(pack) < 4)
            return false;
        before = get_u32(at_of(pack));
        pack->at += 4;
    }
    return before == pack->before && rest(pack) > 0;
}

static enum rdb_step ziplist_next(struct rdb_pack *pack, struct rdb_item *item)
{
    const unsigned char *header = pack->bytes.data;
    unsigned count = header[8] | header[9] << 8;
    size_t from = pack->at;
    struct shape shape;
    if (is_end(pack))
        return end_of((count == COUNT_UNKNOWN || count == pack->given) &&
                      get_u32(header + 4) == pack->at - pack->before);
    if (rest(pack) < 2 || !ziplist_before(pack) ||
        !ziplist_shape(at_of(pack), rest(pack), &shape) || !take(pack, &shape, item))
        return RDB_DAMAGED;
    pack->before = pack->at - from;
    return RDB_GIVEN;
}

/* ---- intset: rising ---------------------------------------------------------------------- */

static enum rdb_step intset_next(struct rdb_pack *pack, struct rdb_item *item)
{
    unsigned width = get_u32(pack->bytes.data);
    if (rest(pack) == 0)
        return RDB_END;
    int64_t number = with_sign(get_little(at_of(pack), width), 8 * width);
    if (pack->given > 0 && number <= pack->last)
        return RDB_DAMAGED;
    take_number(item, number);
    pack->last = number;
    pack->at += width;
    pack->given++;
    return RDB_GIVEN;
}

static bool intset_open(const struct rdb_pack *pack)
{
    const unsigned char *header = pack->bytes.data;
    uint32_t width = get_u32(header), count = get_u32(header + 4);
    return (width == 2 || width == 4 || width == 8) &&
           pack->bytes.size - INTSET_HEADER == (uint64_t)width * count;
}

/* ---- listpack ---------------------------------------------------------------------------- */

/* False: there is no such form. */
static bool listpack_wide(const unsigned char *at, size_t left, struct shape *shape)
{
    switch (*at) {
    case 0xf0: *shape = (struct shape){.head = 5, .size = left < 5 ? 0 : get_u32(at + 1)}; break;
    case 0xf1: *shape = number_of(at, left, 2); break;
    case 0xf2: *shape = number_of(at, left, 3); break;
    case 0xf3: *shape = number_of(at, left, 4); break;
    case 0xf4: *shape = number_of(at, left, 8); break;
    default: return false;
    }
    return true;
}

static bool listpack_shape(const unsigned char *at, size_t left, struct shape *shape)
{
    unsigned second = left < 2 ? 0 : at[1];
    if (*at < 0x80) {
        *shape = (struct shape){.head = 1, .is_number = true, .number = *at};
    } else if (*at < 0xc0) {
        *shape = (struct shape){.head = 1, .size = *at & 0x3f};
    } else if (*at < 0xe0) {
        int64_t number = with_sign((*at & 0x1fu) << 8 | second, 13);
        *shape = (struct shape){.head = 2, .is_number = true, .number = number};
    } else if (*at < 0xf0) {
        *shape = (struct shape){.head = 2, .size = (*at & 0xfu) << 8 | second};
    } else {
        return listpack_wide(at, left, shape);
    }
    return true;
}

unsigned rdb_size_behind(size_t size)
{
    return size <= 127 ? 1 : size < 16383 ? 2 : size < 2097151 ? 3 : size < 268435455 ? 4 : 5;
}

static bool listpack_size_behind(struct rdb_pack *pack, size_t size)
{
    unsigned count = rdb_size_behind(size);
    if (rest(pack) < count)
        return false;
    for (unsigned i = count; i > 0; i--, size >>= 7) {
        unsigned mark = i > 1 ? 0x80 : 0;
        if (at_of(pack)[i - 1] != ((size & 0x7f) | mark))
            return false;
    }
    pack->at += count;
    return true;
}

static enum rdb_step listpack_next(struct rdb_pack *pack, struct rdb_item *item)
{
    const unsigned char *header = pack->bytes.data;
    unsigned count = header[4] | header[5] << 8;
    size_t from = pack->at;
    struct shape shape;
    if (is_end(pack))
        return end_of(count == COUNT_UNKNOWN || count == pack->given);
    if (rest(pack) < 2 || !listpack_shape(at_of(pack), rest(pack), &shape) ||
        !take(pack, &shape, item) || !listpack_size_behind(pack, pack->at - from))
        return RDB_DAMAGED;
    return RDB_GIVEN;
}

/* ---- any --------------------------------------------------------------------------------- */

static size_t header_of(enum rdb_form form)
{
    switch (form) {
    case RDB_ZIPMAP: return ZIPMAP_HEADER;
    case RDB_ZIPLIST: return ZIPLIST_HEADER;
    case RDB_INTSET: return INTSET_HEADER;
    case RDB_LISTPACK: return LISTPACK_HEADER;
    case RDB_UNPACKED: break;
    }
    return 0;
}

bool rdb_pack_open(struct rdb_pack *pack, enum rdb_form form, struct bytes bytes)
{
    size_t header = header_of(form);
    *pack = (struct rdb_pack){.form = form, .bytes = bytes, .at = header};
    if (bytes.size < header)
        return false;
    if (form == RDB_INTSET)
        return intset_open(pack);
    if (bytes.size == header)
        return false; /* its end is missing */
    return form == RDB_ZIPMAP || get_u32(bytes.data) == bytes.size;
}

enum rdb_step rdb_pack_next(struct rdb_pack *pack, struct rdb_item *item)
{
    switch (pack->form) {
    case RDB_ZIPMAP: return zipmap_next(pack, item);
    case RDB_ZIPLIST: return ziplist_next(pack, item);
    case RDB_INTSET: return intset_next(pack, item);
    case RDB_LISTPACK: return listpack_next(pack, item);
    case RDB_UNPACKED: break;
    }
    return RDB_END;
}
