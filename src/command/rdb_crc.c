/* CRC-64 as in RDB (Redis 7.2 crc64.c): Jones's polynomial, reflected, nothing inverted.
 * Eight bytes a step, from eight tables, since a payload can have 64 MB. */
#include "base/codec.h"
#include "command/rdb.h"

enum { TABLES = 8 };

static uint64_t tables[TABLES][256]; /* made at the first use, always the same */

static void make_tables(void)
{
    const uint64_t polynomial = 0x95ac9329ac4bc9b5; /* 0xad93d23594c935a9, its bits reversed */
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
        tables[0][byte] = crc;
    }
    for (unsigned byte = 0; byte < 256; byte++)
        for (int i = 1; i < TABLES; i++)
            tables[i][byte] = tables[i - 1][byte] >> 8 ^ tables[0][tables[i - 1][byte] & 0xff];
}

static uint64_t eight_bytes(uint64_t word)
{
    uint64_t crc = 0;
    for (int i = 0; i < TABLES; i++)
        crc ^= tables[TABLES - 1 - i][word >> (8 * i) & 0xff];
    return crc;
}

uint64_t rdb_crc(uint64_t crc, struct bytes bytes)
{
    const unsigned char *at = bytes.data, *end = at + bytes.size;
    if (tables[0][1] == 0)
        make_tables();
    for (; end - at >= TABLES; at += TABLES)
        crc = eight_bytes(crc ^ get_u64(at));
    for (; at < end; at++)
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 0xff];
    return crc;
}
