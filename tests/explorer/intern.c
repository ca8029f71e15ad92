/* Equal things get equal numbers; maps of numbers. */
#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "explorer.h"

enum { FIRST_SLOTS = 1024, EMPTY = 0 };

uint64_t hash_bytes(const void *data, size_t size)
{
    const uint8_t *byte = data;
    uint64_t hash = size * 0x9E3779B97F4A7C15u;
    while (size > 0) {
        uint64_t word = 0;
        size_t part = size < sizeof word ? size : sizeof word;
        memcpy(&word, byte, part);
        hash = (hash ^ word) * 0x9FB21C651E98DF25u;
        hash ^= hash >> 32;
        byte += part;
        size -= part;
    }
    hash *= 0xD6E8FEB86659FD93u;
    return hash ^ (hash >> 32);
}

void interned_init(struct interned *table, size_t size)
{
    *table = (struct interned){.size = size, .slots_mask = FIRST_SLOTS - 1};
    table->slots = memory_new(FIRST_SLOTS * sizeof *table->slots);
}

/* A slot holds a number + 1. */
static uint32_t *slot_of(struct interned *table, const void *thing)
{
    uint32_t at = (uint32_t)hash_bytes(thing, table->size) & table->slots_mask;
    while (table->slots[at] != EMPTY &&
           memcmp(interned_at(table, table->slots[at] - 1), thing, table->size) != 0)
        at = (at + 1) & table->slots_mask;
    return &table->slots[at];
}

static void more_slots(struct interned *table)
{
    memory_free(table->slots);
    table->slots_mask = table->slots_mask * 2 + 1;
    table->slots = memory_new(((size_t)table->slots_mask + 1) * sizeof *table->slots);
    for (uint32_t number = 0; number < table->count; number++)
        *slot_of(table, interned_at(table, number)) = number + 1;
}

uint32_t intern(struct interned *table, const void *thing)
{
    uint32_t *slot = slot_of(table, thing);
    if (*slot != EMPTY)
        return *slot - 1;
    check(table->count < UINT32_MAX / 4);
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity + table->capacity / 2 : FIRST_SLOTS;
        table->things = memory_resize(table->things, table->capacity * table->size);
    }
    memcpy(table->things + (size_t)table->count * table->size, thing, table->size);
    *slot = ++table->count;
    uint32_t number = table->count - 1;
    if (table->count > table->slots_mask - table->slots_mask / 4)
        more_slots(table);
    return number;
}

static uint64_t map_slot(const struct map *map, uint64_t key)
{
    uint64_t at = hash_bytes(&key, sizeof key) & map->mask;
    while (map->keys[at] != EMPTY && map->keys[at] != key)
        at = (at + 1) & map->mask;
    return at;
}

static void map_grow(struct map *map)
{
    struct map old = *map;
    uint64_t size = old.keys ? (old.mask + 1) * 2 : FIRST_SLOTS;
    map->mask = size - 1;
    map->keys = memory_new(size * sizeof *map->keys);
    map->values = memory_new(size * sizeof *map->values);
    for (uint64_t i = 0; old.keys && i <= old.mask; i++) {
        if (old.keys[i] == EMPTY)
            continue;
        uint64_t at = map_slot(map, old.keys[i]);
        map->keys[at] = old.keys[i];
        map->values[at] = old.values[i];
    }
    memory_free(old.keys);
    memory_free(old.values);
}

uint32_t *map_at(struct map *map, uint64_t key, bool *is_new)
{
    if (!map->keys || map->count > map->mask - map->mask / 4)
        map_grow(map);
    uint64_t at = map_slot(map, key);
    *is_new = map->keys[at] == EMPTY;
    if (*is_new) {
        map->keys[at] = key;
        map->count++;
    }
    return &map->values[at];
}
