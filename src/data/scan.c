/* SCAN, RANDOMKEY and the hash of everything: walks over all layers in hash order.  Loop thread.
 *
 * A cursor is a place in hash order: the upper 53 bits of the first hash not yet looked at, and
 * keys that share those are given together.  53, because some client libraries hold the cursor in
 * a double, others in a signed integer: all of them can hold these. */
#include <xxhash.h>

#include "base/fatal.h"
#include "base/prng.h"
#include "data/merge.h"

enum { CURSOR_BITS = 53, CURSOR_SHIFT = 64 - CURSOR_BITS };

uint64_t scan_sources(const struct sources *sources, uint64_t space, uint64_t cursor,
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
        each(context, merge.name, (enum db_type)record_value_parse(merge.record, &payload));
        given++;
    }
    merge_close(&merge);
    return next;
}

uint64_t db_scan(struct db *db, unsigned database, uint64_t cursor, struct db_scan_limit limit,
                 db_scan_fn *each, void *context)
{
    struct sources sources = sources_of(db);
    return scan_sources(&sources, layers_space(db, database), cursor, limit, each, context);
}

static bool first_key_from(struct db *db, uint64_t space, uint64_t word_from, struct buffer *key)
{
    struct sources sources = sources_of(db);
    struct merge merge;
    merge_open(&merge, &sources, TABLE_KEYS, space, word_from);
    bool is_found = merge_next_live(&merge);
    if (is_found)
        buffer_append_bytes(key, merge.name);
    merge_close(&merge);
    return is_found;
}

bool db_random(struct db *db, unsigned database, uint64_t seed, struct buffer *key)
{
    uint64_t space = layers_space(db, database);
    buffer_clear(key);
    if (db->state.databases[database].keys == 0)
        return false;
    bool is_found =
        first_key_from(db, space, prng_next(&seed), key) || first_key_from(db, space, 0, key);
    check(is_found);
    return true;
}

/* Sum over the records of a space: independent of their order.  `salt` tells spaces apart. */
static uint64_t space_hash(struct db *db, enum table table, uint64_t space, uint64_t salt,
                           uint64_t *count)
{
    uint64_t sum = 0;
    struct sources sources = sources_of(db);
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
