/* See rdb.h (Redis 7.2 rdb.c).  Strings are not compressed. */
#include "base/codec.h"
#include "base/fatal.h"
#include "command/rdb.h"

enum { SIZE_14 = 0x40, SIZE_32 = 0x80, SIZE_64 = 0x81, INTEGER = 0xc0, INTEGER_MAX = 11 };

void rdb_write_kind(struct buffer *out, enum rdb_kind kind)
{
    buffer_append_byte(out, (char)kind);
}

void rdb_write_size(struct buffer *out, uint64_t size)
{
    unsigned char bytes[9];
    size_t count;
    if (size < 1 << 6) {
        bytes[0] = (unsigned char)size;
        count = 1;
    } else if (size < 1 << 14) {
        bytes[0] = (unsigned char)(SIZE_14 | size >> 8);
        bytes[1] = (unsigned char)size;
        count = 2;
    } else if (size <= UINT32_MAX) {
        bytes[0] = SIZE_32;
        put_u32_ordered(bytes + 1, (uint32_t)size);
        count = 5;
    } else {
        bytes[0] = SIZE_64;
        put_u64_ordered(bytes + 1, size);
        count = 9;
    }
    buffer_append(out, bytes, count);
}

/* One of up to 32 bits, as Redis would print it.  False: it is none. */
static bool write_integer(struct buffer *out, struct bytes string)
{
    unsigned char bytes[9];
    int64_t number;
    if (string.size > INTEGER_MAX || !number_parse_i64(string, &number) || number < INT32_MIN ||
        number > INT32_MAX)
        return false;
    int form = number >= INT8_MIN && number <= INT8_MAX     ? 0
               : number >= INT16_MIN && number <= INT16_MAX ? 1
                                                            : 2;
    bytes[0] = (unsigned char)(INTEGER | form);
    put_u64(bytes + 1, (uint64_t)number);
    buffer_append(out, bytes, 1 + ((size_t)1 << form));
    return true;
}

void rdb_write_string(struct buffer *out, struct bytes string)
{
    if (write_integer(out, string))
        return;
    rdb_write_size(out, string.size);
    buffer_append_bytes(out, string);
}

void rdb_write_double(struct buffer *out, double value)
{
    unsigned char bytes[8];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_u64(bytes, bits);
    buffer_append(out, bytes, sizeof bytes);
}

void rdb_write_time(struct buffer *out, int64_t ms)
{
    unsigned char bytes[8];
    put_u64(bytes, (uint64_t)ms);
    buffer_append(out, bytes, sizeof bytes);
}

/* ---- listpacks (Redis 7.2 listpack.c) ---------------------------------------------------- */

enum { LISTPACK_END = 0xff, LISTPACK_MANY = 0xffff };

void rdb_listpack_begin(struct buffer *pack)
{
    unsigned char header[RDB_LISTPACK_HEADER] = {0};
    check(pack->size == 0);
    buffer_append(pack, header, sizeof header);
}

/* What stands behind an element of so many bytes, see rdb_pack.c; and counts it. */
static void end_element(struct buffer *pack, size_t size)
{
    unsigned count = rdb_size_behind(size);
    for (unsigned i = count; i > 0; i--) {
        unsigned mark = i < count ? 0x80 : 0;
        buffer_append_byte(pack, (char)((size >> (7 * (i - 1)) & 0x7f) | mark));
    }
    unsigned char *header = (unsigned char *)pack->data;
    unsigned elements = header[4] | header[5] << 8;
    elements += elements < LISTPACK_MANY;
    header[4] = (unsigned char)elements;
    header[5] = (unsigned char)(elements >> 8);
}

static bool fits(int64_t number, unsigned bits)
{
    int64_t end = (int64_t)1 << (bits - 1);
    return number >= -end && number < end;
}

void rdb_listpack_add_number(struct buffer *pack, int64_t number)
{
    unsigned char bytes[9];
    size_t size;
    put_u64(bytes + 1, (uint64_t)number);
    if (number >= 0 && number <= 127) {
        bytes[0] = (unsigned char)number;
        size = 1;
    } else if (fits(number, 13)) {
        bytes[0] = (unsigned char)(0xc0 | ((uint64_t)number >> 8 & 0x1f));
        size = 2;
    } else {
        size = fits(number, 16) ? 3 : fits(number, 24) ? 4 : fits(number, 32) ? 5 : 9;
        bytes[0] = (unsigned char)(size == 9 ? 0xf4 : 0xf1 + (size - 3));
    }
    buffer_append(pack, bytes, size);
    end_element(pack, size);
}

static void add_text(struct buffer *pack, struct bytes string)
{
    unsigned char head[5] = {0xf0};
    size_t size;
    if (string.size < 64) {
        head[0] = (unsigned char)(0x80 | string.size);
        size = 1;
    } else if (string.size < 4096) {
        head[0] = (unsigned char)(0xe0 | string.size >> 8);
        head[1] = (unsigned char)string.size;
        size = 2;
    } else {
        check(string.size <= UINT32_MAX);
        put_u32(head + 1, (uint32_t)string.size);
        size = 5;
    }
    buffer_append(pack, head, size);
    buffer_append_bytes(pack, string);
    end_element(pack, size + string.size);
}

void rdb_listpack_add(struct buffer *pack, struct bytes string)
{
    int64_t number;
    if (string.size < NUMBER_I64_SIZE && number_parse_i64(string, &number))
        rdb_listpack_add_number(pack, number);
    else
        add_text(pack, string);
}

void rdb_listpack_end(struct buffer *pack)
{
    buffer_append_byte(pack, (char)LISTPACK_END);
    check(pack->size <= UINT32_MAX);
    put_u32((unsigned char *)pack->data, (uint32_t)pack->size);
}

/* ---- the end ----------------------------------------------------------------------------- */

void rdb_write_footer(struct buffer *out, uint64_t crc)
{
    unsigned char bytes[RDB_FOOTER] = {RDB_VERSION & 0xff, RDB_VERSION >> 8};
    crc = rdb_crc(crc, bytes_of(bytes, 2));
    put_u64(bytes + 2, crc);
    buffer_append(out, bytes, sizeof bytes);
}
