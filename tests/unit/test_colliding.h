/* Words that have one hash where the hash has no secret, and how far a table is from bad ones.
 *
 * XXH3 multiplies, of the last 16 of 17 to 32 bytes, the first 8 by the others, each by way of a
 * part of a table that everybody knows: where the first 8 are that part they count as 0, and
 * nothing is left of the others. */
#ifndef TEST_COLLIDING_H
#define TEST_COLLIDING_H

#include <string.h>
#include <xxhash.h>

#include "base/hash_table.h"

enum { COLLIDING_SIZE = 31, COLLIDING_MAX = 1000, CHAIN_MAX = 16 };

static inline void colliding_word(unsigned char word[COLLIDING_SIZE], uint64_t number)
{
    static const unsigned char known[8] = {0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb};
    memset(word, 'x', COLLIDING_SIZE);
    memcpy(word + COLLIDING_SIZE - 16, known, sizeof known);
    memcpy(word + COLLIDING_SIZE - 8, &number, sizeof number);
}

static inline uint64_t longest_chain(const struct hash_table *table)
{
    uint64_t longest = 0;
    for (uint64_t i = 0; i < table->bucket_count; i++) {
        uint64_t length = 0;
        for (const struct hash_link *link = table->buckets[i]; link; link = link->next)
            length++;
        longest = length > longest ? length : longest;
    }
    return longest;
}

#endif
