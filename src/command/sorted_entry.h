/* The bytes of a sorted set's entries and rows.
 *
 *      entry   key: the score, 8 bytes that sort as the numbers do; member
 *              value: nothing, or "-": the score is -0, which sorts as 0 does
 *      row     of a member in a large one: the score as a little-endian double */
#ifndef COMMAND_SORTED_ENTRY_H
#define COMMAND_SORTED_ENTRY_H

#include <math.h>

#include "base/buffer.h"
#include "base/codec.h"
#include "base/fatal.h"

enum { SORTED_SCORE_SIZE = 8 };

#define SORTED_SIGN ((uint64_t)1 << 63)

static inline uint64_t sorted_bits_of(double score)
{
    uint64_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits;
}

static inline double sorted_double_of(uint64_t bits)
{
    double score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

/* What sorts as the score does; the numbers between those of two scores belong to none. */
static inline uint64_t sorted_bits(double score)
{
    if (score == 0)
        return SORTED_SIGN; /* -0 too */
    uint64_t bits = sorted_bits_of(score);
    return bits & SORTED_SIGN ? ~bits : bits | SORTED_SIGN;
}

/* Appends the key of an entry. */
static inline void sorted_key(struct buffer *key, uint64_t bits, struct bytes member)
{
    unsigned char head[SORTED_SCORE_SIZE];
    put_u64_ordered(head, bits);
    buffer_append(key, head, sizeof head);
    buffer_append_bytes(key, member);
}

static inline struct bytes sorted_value(double score)
{
    return score == 0 && signbit(score) ? bytes_of("-", 1) : bytes_of("", 0);
}

static inline struct bytes sorted_member(struct bytes key)
{
    if (key.size < SORTED_SCORE_SIZE)
        fatal("data: an entry of a sorted set is damaged (%zu bytes)", key.size);
    return bytes_of((const char *)key.data + SORTED_SCORE_SIZE, key.size - SORTED_SCORE_SIZE);
}

static inline double sorted_score(struct bytes key, struct bytes value)
{
    check(key.size >= SORTED_SCORE_SIZE);
    if (value.size > 0)
        return -0.0;
    uint64_t bits = get_u64_ordered(key.data);
    return sorted_double_of(bits & SORTED_SIGN ? bits & ~SORTED_SIGN : ~bits);
}

/* row: SORTED_SCORE_SIZE bytes. */
static inline struct bytes sorted_row(unsigned char *row, double score)
{
    put_u64(row, sorted_bits_of(score));
    return bytes_of(row, SORTED_SCORE_SIZE);
}

static inline double sorted_row_score(struct bytes row)
{
    if (row.size != SORTED_SCORE_SIZE)
        fatal("data: the score of a member is damaged (%zu bytes)", row.size);
    return sorted_double_of(get_u64(row.data));
}

#endif
