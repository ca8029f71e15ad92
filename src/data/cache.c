/* See cache.h.  A table of sets of a few rows each: what comes into a full set takes the place of
 * one that was not asked for since the last that came.  Where there are too many bytes, a hand goes
 * round the sets and takes out what was not asked for since it came by.  All steps are bounded. */
#include "data/cache.h"

#include <stddef.h>
#include <xxhash.h>

#include "base/fatal.h"
#include "base/memory.h"

enum {
    WAYS = 8,          /* so that few sets are full before all bytes are in use */
    ROW_BYTES = 64,    /* a place for so many bytes: what a row of a short field and value has */
    ROW_OVERHEAD = 8,  /* of the allocator, */
    ROW_UNIT = 16,     /* which rounds up to these */
    ROW_FRACTION = 64, /* no row may have more of all bytes */
    HAND_STEPS = 64    /* sets that are looked at for one row that comes */
};

struct row {
    uint32_t generation; /* another than that of the cache: it is forgotten */
    uint32_t key_size;
    uint32_t record_size : 31;
    uint32_t is_asked_for : 1; /* since it came, or the hand did */
    unsigned char data[];      /* key, record */
};

struct set {
    uint16_t tags[WAYS];    /* of the hash */
    struct row *rows[WAYS]; /* owned; NULL: none */
};

struct layers_cache {
    struct set *sets;     /* owned */
    uint64_t count, hand; /* of sets, less than 2^32; the next that the hand looks at */
    uint64_t bytes, bytes_max;
    uint32_t generation; /* one a checkpoint: it does not come round while a process lives */
};

struct layers_cache *layers_cache_new(uint64_t bytes_max)
{
    struct layers_cache *cache = memory_new(sizeof *cache);
    uint64_t sets = bytes_max / (WAYS * ROW_BYTES) + 1;
    cache->count = sets < UINT32_MAX ? sets : UINT32_MAX;
    cache->sets = memory_new(cache->count * sizeof *cache->sets);
    cache->bytes = cache->count * sizeof *cache->sets;
    cache->bytes_max = bytes_max;
    return cache;
}

void layers_cache_free(struct layers_cache *cache)
{
    if (!cache)
        return;
    for (uint64_t i = 0; i < cache->count; i++)
        for (unsigned way = 0; way < WAYS; way++)
            memory_free(cache->sets[i].rows[way]);
    memory_free(cache->sets);
    memory_free(cache);
}

void layers_cache_forget(struct layers_cache *cache)
{
    cache->generation++;
}

uint64_t layers_cache_bytes(const struct layers_cache *cache)
{
    return cache->bytes;
}

uint64_t layers_cache_bytes_max(const struct layers_cache *cache)
{
    return cache->bytes_max;
}

static struct set *set_of(const struct layers_cache *cache, struct bytes key, uint16_t *tag)
{
    uint64_t hash = XXH3_64bits(key.data, key.size);
    *tag = (uint16_t)hash;
    return &cache->sets[(hash >> 32) * cache->count >> 32];
}

static uint64_t row_bytes(size_t key, size_t record)
{
    uint64_t bytes = offsetof(struct row, data) + key + record + ROW_OVERHEAD;
    return (bytes + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT;
}

/* WAYS: it is not there. */
static unsigned way_of(const struct layers_cache *cache, const struct set *set, uint16_t tag,
                       struct bytes key)
{
    for (unsigned way = 0; way < WAYS; way++) {
        const struct row *row = set->rows[way];
        if (row && set->tags[way] == tag && row->generation == cache->generation &&
            bytes_equal(bytes_of(row->data, row->key_size), key))
            return way;
    }
    return WAYS;
}

bool layers_cache_find(struct layers_cache *cache, struct bytes key, struct bytes *record)
{
    uint16_t tag;
    struct set *set = set_of(cache, key, &tag);
    unsigned way = way_of(cache, set, tag, key);
    if (way == WAYS)
        return false;
    struct row *row = set->rows[way];
    row->is_asked_for = 1;
    *record = bytes_of(row->data + row->key_size, row->record_size);
    return true;
}

/* ---- making room --------------------------------------------------------------------- */

static void take_out(struct layers_cache *cache, struct set *set, unsigned way)
{
    struct row *row = set->rows[way];
    if (!row)
        return;
    cache->bytes -= row_bytes(row->key_size, row->record_size);
    memory_free(row);
    set->rows[way] = NULL;
}

static bool is_wanted(const struct layers_cache *cache, const struct row *row)
{
    return row && row->generation == cache->generation && row->is_asked_for;
}

/* Is taken out, or, asked for since the last time, spared until the next. */
static void pass(struct layers_cache *cache, struct set *set, unsigned way)
{
    if (is_wanted(cache, set->rows[way]))
        set->rows[way]->is_asked_for = 0;
    else
        take_out(cache, set, way);
}

static bool make_room(struct layers_cache *cache, uint64_t bytes)
{
    for (unsigned i = 0; i < HAND_STEPS && cache->bytes + bytes > cache->bytes_max; i++) {
        struct set *set = &cache->sets[cache->hand];
        cache->hand = cache->hand + 1 < cache->count ? cache->hand + 1 : 0;
        for (unsigned way = 0; way < WAYS; way++)
            pass(cache, set, way);
    }
    return cache->bytes + bytes <= cache->bytes_max;
}

/* Where nobody is, else where nobody is who is wanted; if all are, they have had their time. */
static unsigned free_way(struct layers_cache *cache, struct set *set)
{
    for (unsigned way = 0; way < WAYS; way++)
        if (!set->rows[way])
            return way;
    for (unsigned way = 0; way < WAYS; way++)
        if (!is_wanted(cache, set->rows[way])) {
            take_out(cache, set, way);
            return way;
        }
    for (unsigned way = 0; way < WAYS; way++)
        pass(cache, set, way);
    take_out(cache, set, 0);
    return 0;
}

/* ---- what comes, and what changes ------------------------------------------------------ */

static void keep_in(struct layers_cache *cache, struct set *set, uint16_t tag, struct bytes key,
                    struct bytes record)
{
    uint64_t bytes = row_bytes(key.size, record.size);
    if (bytes > cache->bytes_max / ROW_FRACTION || bytes > INT32_MAX || !make_room(cache, bytes))
        return;
    unsigned way = free_way(cache, set);
    struct row *row = memory_resize(NULL, offsetof(struct row, data) + key.size + record.size);
    *row = (struct row){.generation = cache->generation,
                        .key_size = (uint32_t)key.size,
                        .record_size = (uint32_t)record.size & INT32_MAX};
    memcpy(row->data, key.data, key.size);
    if (record.size)
        memcpy(row->data + key.size, record.data, record.size);
    set->tags[way] = tag;
    set->rows[way] = row;
    cache->bytes += bytes;
}

void layers_cache_keep(struct layers_cache *cache, struct bytes key, struct bytes record)
{
    uint16_t tag;
    struct set *set = set_of(cache, key, &tag);
    keep_in(cache, set, tag, key, record);
}

void layers_cache_renew(struct layers_cache *cache, struct bytes key, struct bytes record)
{
    uint16_t tag;
    struct set *set = set_of(cache, key, &tag);
    unsigned way = way_of(cache, set, tag, key);
    struct row *row = way < WAYS ? set->rows[way] : NULL;
    if (!row) {
        keep_in(cache, set, tag, key, record);
    } else if (row->record_size == record.size) {
        if (record.size)
            memcpy(row->data + row->key_size, record.data, record.size);
    } else {
        take_out(cache, set, way);
        keep_in(cache, set, tag, key, record);
    }
}

void layers_cache_drop(struct layers_cache *cache, struct bytes key)
{
    uint16_t tag;
    struct set *set = set_of(cache, key, &tag);
    unsigned way = way_of(cache, set, tag, key);
    if (way < WAYS)
        take_out(cache, set, way);
}
