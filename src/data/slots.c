/* See slots.h.  A group is stored as one record, written anew when one of its slots changed: few
 * rows to load at the start, and a small checkpoint writes few of them. */
#include "data/slots.h"

#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "storage/kv.h"

void layers_slots_encode(const struct slots *slots, unsigned group, unsigned char *out)
{
    for (unsigned i = 0; i < RECORD_GROUP_SLOTS; i++)
        put_u64(out + 8 * i, slots->slots[group * RECORD_GROUP_SLOTS + i]);
}

static void decode_group(struct slots *slots, unsigned group, const unsigned char *at)
{
    for (unsigned i = 0; i < RECORD_GROUP_SLOTS; i++)
        layers_slots_add(slots, group * RECORD_GROUP_SLOTS + i, (int64_t)get_u64(at + 8 * i));
}

struct slots *layers_slots_load(struct kv *kv, uint64_t space, uint64_t *keys)
{
    struct slots *slots = NULL;
    struct buffer key = {0}, value = {0};
    *keys = 0;
    for (unsigned group = 0; group < RECORD_GROUPS; group++) {
        record_group_key(&key, space, group);
        if (!kv->ops->get(kv, KV_DATA, buffer_bytes(&key), &value))
            continue;
        if (value.size != RECORD_GROUP_SIZE)
            fatal("data: a record of counts is damaged (%zu bytes)", value.size);
        if (!slots)
            slots = memory_new(sizeof *slots);
        decode_group(slots, group, (const unsigned char *)value.data);
        *keys += slots->groups[group];
    }
    buffer_deinit(&key);
    buffer_deinit(&value);
    return slots;
}
