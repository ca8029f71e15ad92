/* See rdb.h (Redis 7.2 rdb.c).  Strings are not compressed. */
#include "base/codec.h"
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

void rdb_write_footer(struct buffer *out, uint64_t crc)
{
    unsigned char bytes[RDB_FOOTER] = {RDB_VERSION & 0xff, RDB_VERSION >> 8};
    crc = rdb_crc(crc, bytes_of(bytes, 2));
    put_u64(bytes + 2, crc);
    buffer_append(out, bytes, sizeof bytes);
}
