/* SCAN, RANDOMKEY and the hash of everything: walks over all layers in order of words.  Loop
 * thread.
 *
 * A cursor is a place in hash order: the upper 53 bits of the first hash not yet looked at, and
 * keys that share those are given together.  53, because some client libraries hold the cursor in
 * a double, others in a signed integer: all of them can hold these. */
#include <xxhash.h>

#include "base/fatal.h"
#include "base/prng.h"
#include "data/merge.h"

enum { CURSOR_BITS = 53, CURSOR_SHIFT = 64 - CURSOR_BITS };

uint64_t merge_scan(const struct sources *sources, uint64_t space, uint64_t cursor,
                    struct db_scan_limit limit, db_scan_fn *each, void *context)
{
    if (cursor >> CURSOR_BITS) /* none of ours: behind the end */
        return 0;
    uint64_t given = 0, rows = 0, place = 0, next = 0;
    struct merge merge;
    merge_open(&merge, sources, TABLE_KEYS, space, cursor << CURSOR_SHIFT);
    while (merge_next(&merge)) {
        uint64_t here = merge.word >> CURSOR_SHIFT;
        bool is_enough = (given > 0 && given >= limit.keys) || rows >= limit.rows;
        if (rows > 0 && is_enough && here != place) {
            next = place + 1; /* <= here: neither 0 nor too large */
            break;
        }
        place = here;
        rows++;
        if (!merge_is_live(&merge))
            continue;
        struct bytes payload;
        each(context, merge.name, layers_parse(merge.record, &payload));
        given++;
    }
    merge_close(&merge);
    return next;
}

uint64_t db_scan(struct db *db, unsigned database, uint64_t cursor, struct db_scan_limit limit,
                 db_scan_fn *each, void *context)
{
    struct sources sources = merge_sources(db);
    return merge_scan(&sources, layers_space(db, database), cursor, limit, each, context);
}

/* ---- RANDOMKEY ------------------------------------------------------------------------- */

enum {
    BUCKET_KEYS = 4,   /* on average */
    BUCKET_SEATS = 16, /* one in half a million buckets has more keys */
    TRIES_MAX = 1000   /* 4 are needed on average */
};

/* The slot of the key that is number `rank` in the order of slots, and its number there. */
static unsigned slot_of_rank(const struct slots *slots, uint64_t *rank)
{
    unsigned group = 0;
    for (; *rank >= slots->groups[group]; group++)
        *rank -= slots->groups[group];
    unsigned slot = group * RECORD_GROUP_SLOTS;
    for (; *rank >= slots->slots[slot]; slot++)
        *rank -= slots->slots[slot];
    return slot;
}

/* The key at a seat of a bucket, which are the words from `word` on that share `shift` bits fewer
 * than all.  False: the seat is empty. */
static bool key_at(struct db *db, uint64_t space, uint64_t word, unsigned shift, uint64_t seat,
                   struct buffer *key)
{
    struct sources sources = merge_sources(db);
    struct merge merge;
    merge_open(&merge, &sources, TABLE_KEYS, space, word);
    bool is_there;
    do
        is_there = merge_next_live(&merge) && merge.word >> shift == word >> shift;
    while (is_there && seat-- > 0);
    if (is_there)
        buffer_append_bytes(key, merge.name);
    merge_close(&merge);
    return is_there;
}

/* Every key has the same chance: the slot by its number of keys; in there a bucket, all of the same
 * size, and a seat in it, again and again until somebody sits there. */
bool db_random(struct db *db, unsigned database, uint64_t seed, struct buffer *key)
{
    uint64_t space = layers_space(db, database);
    const struct slots *slots = db->slots[database];
    check(layers_unresolved(db) == 0);
    buffer_clear(key);
    if (db->state.databases[database].keys == 0)
        return false;
    uint64_t rank = prng_below(&seed, db->state.databases[database].keys);
    unsigned slot = slot_of_rank(slots, &rank);
    uint64_t first = (uint64_t)slot << (64 - SLOT_BITS);
    unsigned bits = 0; /* of the number of a bucket */
    while (slots->slots[slot] >> bits > BUCKET_KEYS)
        bits++;
    unsigned shift = 64 - SLOT_BITS - bits;
    for (int i = 0; i < TRIES_MAX; i++) {
        uint64_t bucket = prng_below(&seed, (uint64_t)1 << bits);
        uint64_t seat = prng_below(&seed, BUCKET_SEATS);
        if (key_at(db, space, first + (bucket << shift), shift, seat, key))
            return true;
    }
    /* Keys of one word, more than a bucket has seats: the first of the slot will do. */
    bool is_there = key_at(db, space, first, 64 - SLOT_BITS, 0, key);
    check(is_there);
    return true;
}

/* ---- the hash of everything ------------------------------------------------------------ */

/* Sum over the records of a space: independent of their order.  `salt` tells spaces apart. */
static uint64_t space_hash(struct db *db, enum table table, uint64_t space, uint64_t salt,
                           uint64_t *count)
{
    uint64_t sum = 0;
    struct sources sources = merge_sources(db);
    struct merge merge;
    merge_open(&merge, &sources, table, space, 0);
    for (*count = 0; merge_next_live(&merge); ++*count) {
        uint64_t name = XXH3_64bits_withSeed(merge.name.data, merge.name.size, merge.word);
        sum += XXH3_64bits_withSeed(merge.record.data, merge.record.size, name + salt);
    }
    merge_close(&merge);
    return sum;
}

uint64_t db_hash(struct db *db)
{
    uint64_t sum = 0, keys, receipts, due;
    while (!db_resolve(db, UINT64_MAX))
        db_wait(db);
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        sum += space_hash(db, TABLE_KEYS, layers_space(db, i), TABLES + i, &keys);
        check(keys == db->state.databases[i].keys);
    }
    sum += space_hash(db, TABLE_RECEIPTS, 0, TABLE_RECEIPTS, &receipts);
    sum += space_hash(db, TABLE_DUE, 0, TABLE_DUE, &due);
    check(receipts == db->state.receipts);
    check(due == receipts); /* L5 */
    return sum;
}
