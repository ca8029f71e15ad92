/* See ranges.h. */
#include "data/ranges.h"

#include <stddef.h>

#include "base/codec.h"
#include "base/memory.h"

enum {
    PLACES = 1024,     /* for spaces that are told apart */
    SHIFTS = 65,       /* of a range */
    KIND_ROWS = 0xff,  /* of a row in the cache: unlike that of any table; of one range, */
    KIND_NAMES = 0xfe, /* or of so many, */
    GROUP = 64,        /* in a byte each how many names, and one more; 0: that is not known */
    GROUP_BITS = 6,
    NAMES_MAX = 254,
    KEY_SIZE = 23 /* kind, table, shift; epoch; space; word */
};

/* A place for spaces that were drawn from.  While it is one that has it, it is known by ranges of
 * which sizes; several, or those of keys, are not told of changes. */
struct drawn {
    uint64_t space;
    uint64_t sizes[2]; /* bits, by shift */
    uint32_t epoch;    /* stands in the keys: what was kept before it rose is found no more */
    bool is_used, is_shared;
};

struct ranges {
    struct layers_cache *cache; /* borrowed */
    struct drawn keys, rows[PLACES];
};

struct ranges *layers_ranges_new(struct layers_cache *cache)
{
    struct ranges *ranges = memory_new(sizeof *ranges);
    ranges->cache = cache;
    return ranges;
}

void layers_ranges_free(struct ranges *ranges)
{
    memory_free(ranges);
}

static struct drawn *place_of(struct ranges *ranges, enum table table, uint64_t space)
{
    return table == TABLE_ROWS ? &ranges->rows[space % PLACES] : &ranges->keys;
}

static struct bytes key_of(const struct drawn *drawn, unsigned kind,
                           const struct merge_range *range, unsigned char out[KEY_SIZE])
{
    out[0] = (unsigned char)kind;
    out[1] = (unsigned char)range->table;
    out[2] = (unsigned char)range->shift;
    put_u32(out + 3, drawn->epoch);
    put_u64(out + 7, range->space);
    put_u64(out + 15, range->first);
    return bytes_of(out, KEY_SIZE);
}

bool layers_ranges_find(struct ranges *ranges, const struct merge_range *range, struct bytes *rows)
{
    const struct drawn *drawn = place_of(ranges, range->table, range->space);
    unsigned char key[KEY_SIZE];
    return layers_cache_find(ranges->cache, key_of(drawn, KIND_ROWS, range, key), rows);
}

static void note(struct drawn *drawn, const struct merge_range *range)
{
    drawn->is_shared |= range->table != TABLE_ROWS;
    drawn->is_shared |= drawn->is_used && drawn->space != range->space;
    drawn->is_used = true;
    drawn->space = range->space;
    drawn->sizes[range->shift / 64] |= (uint64_t)1 << range->shift % 64;
}

void layers_ranges_keep(struct ranges *ranges, const struct merge_range *range, struct bytes rows)
{
    struct drawn *drawn = place_of(ranges, range->table, range->space);
    unsigned char key[KEY_SIZE];
    note(drawn, range);
    layers_cache_keep(ranges->cache, key_of(drawn, KIND_ROWS, range, key), rows);
}

/* ---- how many names ------------------------------------------------------------------- */

/* Of the row that has it, and where there. */
static struct bytes group_of(const struct drawn *drawn, const struct merge_range *range,
                             unsigned char out[KEY_SIZE], unsigned *at)
{
    struct merge_range group = *range;
    unsigned shift = range->shift + GROUP_BITS;
    *at = range->shift < 64 ? range->first >> range->shift & (GROUP - 1) : 0;
    group.first = shift < 64 ? range->first >> shift << shift : 0;
    return key_of(drawn, KIND_NAMES, &group, out);
}

uint64_t layers_ranges_names(struct ranges *ranges, const struct merge_range *range)
{
    const struct drawn *drawn = place_of(ranges, range->table, range->space);
    unsigned char key[KEY_SIZE];
    struct bytes group;
    unsigned at;
    if (!layers_cache_find(ranges->cache, group_of(drawn, range, key, &at), &group))
        return UINT64_MAX;
    unsigned names = ((const unsigned char *)group.data)[at];
    return names > 0 ? names - 1 : UINT64_MAX;
}

void layers_ranges_note_names(struct ranges *ranges, const struct merge_range *range,
                              uint64_t names)
{
    struct drawn *drawn = place_of(ranges, range->table, range->space);
    unsigned char key[KEY_SIZE], group[GROUP] = {0};
    struct bytes kept;
    unsigned at;
    note(drawn, range);
    struct bytes row = group_of(drawn, range, key, &at);
    if (layers_cache_find(ranges->cache, row, &kept))
        memcpy(group, kept.data, sizeof group);
    group[at] = names <= NAMES_MAX ? (unsigned char)(names + 1) : 0;
    layers_cache_renew(ranges->cache, row, bytes_of(group, sizeof group));
}

/* ---- changes ------------------------------------------------------------------------ */

/* One that is gone is left counted: there are no more than that. */
static void change(struct ranges *ranges, const struct drawn *drawn,
                   const struct merge_range *range, bool is_new)
{
    unsigned char key[KEY_SIZE];
    layers_cache_drop(ranges->cache, key_of(drawn, KIND_ROWS, range, key));
    uint64_t names = is_new ? layers_ranges_names(ranges, range) : UINT64_MAX;
    if (names < UINT64_MAX)
        layers_ranges_note_names(ranges, range, names + 1);
}

void layers_ranges_change(struct ranges *ranges, uint64_t space, uint64_t word, bool is_new)
{
    const struct drawn *drawn = place_of(ranges, TABLE_ROWS, space);
    if (!drawn->is_used || drawn->is_shared || drawn->space != space)
        return;
    for (unsigned shift = 0; shift < SHIFTS; shift++) {
        if (!(drawn->sizes[shift / 64] >> shift % 64 & 1))
            continue;
        uint64_t first = shift < 64 ? word >> shift << shift : 0;
        struct merge_range range = {TABLE_ROWS, space, first, shift};
        change(ranges, drawn, &range, is_new);
    }
}

static void forget(struct drawn *drawn)
{
    *drawn = (struct drawn){.epoch = drawn->epoch + 1};
}

void layers_ranges_forget_untold(struct ranges *ranges)
{
    if (ranges->keys.is_used)
        forget(&ranges->keys);
    for (unsigned i = 0; i < PLACES; i++)
        if (ranges->rows[i].is_shared)
            forget(&ranges->rows[i]);
}
