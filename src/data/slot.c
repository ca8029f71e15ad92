/* See slot.h.  No state. */
#include "data/slot.h"

#include <stdint.h>
#include <string.h>

/* Polynomial 0x1021, most significant bit first.  crc_tables[n] has of each byte what it makes with
 * n bytes of zeros behind it; that of several bits is the sum of theirs. */
#define BIT(x, bit, sum) ((x) & (bit) ? (sum) : 0)
#define SUM(x, a, b, c, d, e, f, g, h)                                                             \
    (BIT(x, 1, a) ^ BIT(x, 2, b) ^ BIT(x, 4, c) ^ BIT(x, 8, d) ^ BIT(x, 16, e) ^ BIT(x, 32, f) ^   \
     BIT(x, 64, g) ^ BIT(x, 128, h))
#define FOUR(x, ...)                                                                               \
    SUM(x, __VA_ARGS__), SUM((x) + 1, __VA_ARGS__), SUM((x) + 2, __VA_ARGS__),                     \
        SUM((x) + 3, __VA_ARGS__)
#define SIXTEEN(x, ...)                                                                            \
    FOUR(x, __VA_ARGS__), FOUR((x) + 4, __VA_ARGS__), FOUR((x) + 8, __VA_ARGS__),                  \
        FOUR((x) + 12, __VA_ARGS__)
#define SIXTY_FOUR(x, ...)                                                                         \
    SIXTEEN(x, __VA_ARGS__), SIXTEEN((x) + 16, __VA_ARGS__), SIXTEEN((x) + 32, __VA_ARGS__),       \
        SIXTEEN((x) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
    {                                                                                              \
        SIXTY_FOUR(0, __VA_ARGS__), SIXTY_FOUR(64, __VA_ARGS__), SIXTY_FOUR(128, __VA_ARGS__),     \
            SIXTY_FOUR(192, __VA_ARGS__)                                                           \
    }

static const uint16_t crc_tables[4][256] = {
    TABLE(0x1021, 0x2042, 0x4084, 0x8108, 0x1231, 0x2462, 0x48c4, 0x9188),
    TABLE(0x3331, 0x6662, 0xccc4, 0x89a9, 0x0373, 0x06e6, 0x0dcc, 0x1b98),
    TABLE(0x3730, 0x6e60, 0xdcc0, 0xa9a1, 0x4363, 0x86c6, 0x1dad, 0x3b5a),
    TABLE(0x76b4, 0xed68, 0xcaf1, 0x85c3, 0x1ba7, 0x374e, 0x6e9c, 0xdd38),
};

/* Four bytes at a time, since each step waits for the one before. */
static unsigned crc16(struct bytes bytes)
{
    const unsigned char *at = bytes.data;
    size_t left = bytes.size;
    uint16_t crc = 0;
    for (; left >= 4; left -= 4, at += 4)
        crc = crc_tables[3][crc >> 8 ^ at[0]] ^ crc_tables[2][(crc & 0xff) ^ at[1]] ^
              crc_tables[1][at[2]] ^ crc_tables[0][at[3]];
    for (; left > 0; left--, at++)
        crc = (uint16_t)(crc << 8 ^ crc_tables[0][crc >> 8 ^ *at]);
    return crc;
}

unsigned record_slot(struct bytes key)
{
    const char *from = key.size ? memchr(key.data, '{', key.size) : NULL;
    const char *end = (const char *)key.data + key.size;
    const char *to = from ? memchr(from + 1, '}', (size_t)(end - from - 1)) : NULL;
    if (to && to > from + 1)
        key = bytes_of(from + 1, (size_t)(to - from - 1));
    return crc16(key) & (SLOTS - 1);
}
