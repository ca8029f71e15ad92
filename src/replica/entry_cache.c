/* Payloads of recent entries: everything that is not durable yet, and as much before that as the
 * bound allows, so that peers that keep up are served, and entries applied, from memory.  What is
 * durable can be read back (feed.c, replay.c), so applying that is slow holds no more than the
 * bound. */
#include "base/fatal.h"
#include "base/memory.h"
#include "replica/replica_internal.h"

enum { CACHE_FIRST = 1024 };

void entry_cache_init(struct entry_cache *cache, raft_index last)
{
    *cache = (struct entry_cache){.first = last + 1, .last = last, .capacity = CACHE_FIRST};
    cache->entries = memory_new(cache->capacity * sizeof *cache->entries);
}

static struct raft_entry *slot(const struct entry_cache *cache, raft_index index)
{
    return &cache->entries[index & (cache->capacity - 1)];
}

static void drop(struct entry_cache *cache, raft_index index)
{
    struct raft_entry *entry = slot(cache, index);
    check(entry->pos.index == index);
    check(cache->bytes >= entry->size + ENTRY_OVERHEAD_BYTES);
    cache->bytes -= entry->size + ENTRY_OVERHEAD_BYTES;
    blob_release(entry->payload);
    entry->payload = NULL;
}

void entry_cache_deinit(struct entry_cache *cache)
{
    for (raft_index i = cache->first; i <= cache->last; i++)
        drop(cache, i);
    check(cache->bytes == 0);
    memory_free(cache->entries);
    *cache = (struct entry_cache){0};
}

static void grow(struct entry_cache *cache)
{
    struct entry_cache larger = *cache;
    larger.capacity = cache->capacity * 2;
    larger.entries = memory_new(larger.capacity * sizeof *larger.entries);
    for (raft_index i = cache->first; i <= cache->last; i++)
        *slot(&larger, i) = *slot(cache, i);
    memory_free(cache->entries);
    *cache = larger;
}

void entry_cache_put(struct entry_cache *cache, const struct raft_entry *entry)
{
    raft_index index = entry->pos.index;
    check(index <= cache->last + 1);
    check(entry->payload || entry->size == 0);
    check(!entry->payload || ((const struct blob *)entry->payload)->size == entry->size);
    while (cache->last >= index && cache->last >= cache->first)
        drop(cache, cache->last--);
    if (cache->last >= index) { /* cut below the window */
        cache->first = index;
        cache->last = index - 1;
    }
    bool is_empty = cache->first > cache->last;
    check(is_empty || slot(cache, cache->last)->pos.index == index - 1);
    check(is_empty || slot(cache, cache->last)->pos.term <= entry->pos.term);
    if (cache->last + 1 - cache->first == cache->capacity)
        grow(cache);
    cache->last = index;
    *slot(cache, index) = *entry;
    if (entry->payload)
        blob_take(entry->payload);
    cache->bytes += entry->size + ENTRY_OVERHEAD_BYTES;
}

const struct raft_entry *entry_cache_get(const struct entry_cache *cache, raft_index index)
{
    return index >= cache->first && index <= cache->last ? slot(cache, index) : NULL;
}

/* What is dropped was not touched for long: it is asked for ahead. */
void entry_cache_shrink(struct entry_cache *cache, raft_index keep_after, uint64_t bytes_max)
{
    enum { AHEAD = 8 };
    while (cache->bytes > bytes_max && cache->first <= cache->last && cache->first <= keep_after) {
        __builtin_prefetch(slot(cache, cache->first + AHEAD)->payload, 1);
        drop(cache, cache->first++);
    }
    check(cache->first <= cache->last + 1);
    check(cache->first <= cache->last || cache->bytes == 0);
}
