/* How many keys each slot of a database has: 16384 counters, and sums of groups of them. */
#ifndef DATA_SLOTS_H
#define DATA_SLOTS_H

#include <stdint.h>

#include "base/fatal.h"
#include "data/record.h"
#include "storage/kv.h"

struct slots {
    uint64_t groups[RECORD_GROUPS];
    uint64_t slots[SLOTS];
};

static inline void layers_slots_add(struct slots *slots, unsigned slot, int64_t keys)
{
    check(slot < SLOTS);
    slots->slots[slot] += (uint64_t)keys;
    slots->groups[slot / RECORD_GROUP_SLOTS] += (uint64_t)keys;
}

/* Those that are stored of a space; NULL if it has none.  Owned by the caller. */
struct slots *layers_slots_load(struct kv *kv, uint64_t space, uint64_t *keys);
/* The record of one group. */
void layers_slots_encode(const struct slots *slots, unsigned group, unsigned char *out);

#endif
