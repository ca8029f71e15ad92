/* What the kv has of ranges of words, each kept as one row of the cache, and how many names it has
 * of more of them, a byte each: a draw tries some buckets of a space until somebody sits there, and
 * a seek of the kv costs thirty times as much as a look in here.
 *
 * Which spaces were drawn from is remembered, so that a row that changes takes along the range
 * where its word is, and no other.  Loop thread. */
#ifndef DATA_RANGES_H
#define DATA_RANGES_H

#include "base/bytes.h"
#include "data/cache.h"
#include "data/record.h"

/* Words from `first` on that have all bits but the lowest `shift` in common with it. */
struct merge_range {
    enum table table;
    uint64_t space;
    uint64_t first;
    unsigned shift; /* 64: all words */
};

static inline uint64_t merge_range_last(const struct merge_range *range)
{
    return range->shift == 64 ? UINT64_MAX : range->first | (((uint64_t)1 << range->shift) - 1);
}

static inline bool merge_is_in_range(const struct merge_range *range, uint64_t word)
{
    return range->shift == 64 || word >> range->shift == range->first >> range->shift;
}

struct ranges;

struct ranges *layers_ranges_new(struct layers_cache *cache); /* borrowed */
void layers_ranges_free(struct ranges *ranges);               /* NULL allowed */
/* False: it is not kept.  What is found is what was kept, lent until something is. */
bool layers_ranges_find(struct ranges *ranges, const struct merge_range *range, struct bytes *rows);
/* What is not kept, if there is room. */
void layers_ranges_keep(struct ranges *ranges, const struct merge_range *range, struct bytes rows);
/* It has no more names than these; UINT64_MAX: nothing is known. */
uint64_t layers_ranges_names(struct ranges *ranges, const struct merge_range *range);
void layers_ranges_note_names(struct ranges *ranges, const struct merge_range *range,
                              uint64_t names);
/* In the kv a row of a collection with this word is another now, or is new, or there is none any
 * more. */
void layers_ranges_change(struct ranges *ranges, uint64_t space, uint64_t word, bool is_new);
/* All that is not told of: of keys, and of spaces that came to have one place here. */
void layers_ranges_forget_untold(struct ranges *ranges);

#endif
