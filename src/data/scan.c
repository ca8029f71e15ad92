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

static bool is_enough(const struct db_scan_met *met, const struct db_scan_limit *limit)
{
    return (met->keys > 0 && met->keys >= limit->keys) ||
           (limit->bytes > 0 && met->bytes >= limit->bytes);
}

static void meet(struct db_scan_met *met, const struct merge *merge, uint64_t place)
{
    met->keys++;
    met->bytes += merge->name.size + merge->record.size;
    met->end = place + 1; /* at most the next place: neither 0 nor too large */
}

uint64_t merge_scan(const struct sources *sources, enum table table, uint64_t space,
                    uint64_t cursor, struct db_scan_limit limit, db_row_fn *each, void *context)
{
    struct db_scan_met here = {0}, *met = limit.met ? limit.met : &here;
    uint64_t rows = 0, place = 0, next = 0;
    struct merge merge;
    met->is_open = false;
    if (cursor >> CURSOR_BITS) /* none of ours: behind the end */
        return 0;
    merge_open(&merge, sources, table, space, cursor << CURSOR_SHIFT);
    while (next == 0 && merge_next(&merge)) {
        uint64_t at = merge.word >> CURSOR_SHIFT;
        bool is_live = merge_is_live(&merge);
        if (merge.is_passed) {
            if (at > cursor && at > place) { /* all before it was looked at */
                rows += merge_rows(&merge);
                place = at - 1;
                next = rows >= limit.rows ? at : 0;
                met->is_open = next != 0 && is_enough(met, &limit);
            }
            continue;
        }
        if (is_live && is_enough(met, &limit) && at + 1 != met->end) {
            next = met->end;
        } else if (rows > 0 && rows >= limit.rows && at != place) {
            next = place + 1;
            met->is_open = is_enough(met, &limit);
        } else if (is_live) {
            each(context, merge.name, merge.record);
            meet(met, &merge, at);
        }
        place = at;
        rows += merge_rows(&merge);
    }
    merge_close(&merge);
    return next;
}

static void give_key(void *context, struct bytes name, struct bytes record)
{
    const struct merge_keys *keys = context;
    struct db_record found = layers_found(record, record.size, NULL);
    if (!layers_is_over(keys->db, found.deadline_ms))
        keys->each(keys->context, name, found.type);
}

uint64_t merge_scan_keys(const struct sources *sources, const struct merge_keys *keys,
                         uint64_t cursor, struct db_scan_limit limit)
{
    struct merge_keys copy = *keys;
    return merge_scan(sources, TABLE_KEYS, keys->space, cursor, limit, give_key, &copy);
}

uint64_t db_scan(struct db *db, unsigned database, uint64_t cursor, struct db_scan_limit limit,
                 db_scan_fn *each, void *context)
{
    struct sources sources = merge_sources(db);
    struct merge_keys keys = {layers_space(db, database), db, each, context};
    return merge_scan_keys(&sources, &keys, cursor, limit);
}

/* ---- a sample -------------------------------------------------------------------------- */

enum { SAMPLE_BYTES = 256 << 10, SAMPLE_ROWS_A_KEY = 4 };

struct sampling {
    struct db_sample *sample;
    uint64_t keys; /* wanted */
    uint64_t rows, bytes;
    int64_t now_ms;
};

static bool is_sampled(const struct sampling *sampling)
{
    return sampling->sample->keys >= sampling->keys || sampling->bytes >= SAMPLE_BYTES ||
           sampling->rows >= SAMPLE_ROWS_A_KEY * sampling->keys;
}

static void sample_key(struct sampling *sampling, int64_t deadline_ms)
{
    if (deadline_ms != 0 && deadline_ms <= sampling->now_ms)
        return;
    sampling->sample->keys++;
    if (deadline_ms == 0)
        return;
    sampling->sample->timed++;
    sampling->sample->left_ms += (double)(deadline_ms - sampling->now_ms);
}

/* From a word on to another.  False: there are more, but enough was looked at. */
static bool sample_words(struct sampling *sampling, struct merge *merge, uint64_t first,
                         uint64_t last)
{
    for (uint64_t word = first; merge_next(merge) && merge->word <= last; word = merge->word) {
        if (is_sampled(sampling))
            return false;
        if (merge->is_passed)
            sampling->rows += merge->word != word ? MERGE_PASSED : 0; /* else it came no further */
        else
            sampling->rows++;
        if (!merge_is_live(merge))
            continue;
        sampling->bytes += merge->name.size + merge->record.size;
        sample_key(sampling, layers_found(merge->record, merge->record.size, NULL).deadline_ms);
    }
    return true;
}

/* Keys lie by their slots, so behind any place there may be none: then all are before it. */
void db_sample(struct db *db, unsigned database, uint64_t place, uint64_t keys, int64_t now_ms,
               struct db_sample *sample)
{
    struct sources sources = merge_sources(db);
    struct sampling sampling = {.sample = sample, .keys = keys, .now_ms = now_ms};
    struct merge merge;
    *sample = (struct db_sample){0};
    merge_open(&merge, &sources, TABLE_KEYS, layers_space(db, database), place);
    sample->is_all = sample_words(&sampling, &merge, place, UINT64_MAX);
    merge_close(&merge);
    if (!sample->is_all || place == 0)
        return;
    merge_open(&merge, &sources, TABLE_KEYS, layers_space(db, database), 0);
    sample->is_all = sample_words(&sampling, &merge, 0, place - 1);
    merge_close(&merge);
}

/* ---- RANDOMKEY ------------------------------------------------------------------------- */

enum {
    BUCKET_KEYS = 4,   /* on average */
    BUCKET_SEATS = 16, /* one in half a million buckets has more keys */
    TRIES_MAX = 1000,  /* 4 are needed on average */
    /* As Redis does where it may not delete: what is over is deleted within moments. */
    LIVE_TRIES_MAX = 100
};

_Static_assert(BUCKET_KEYS<BUCKET_SEATS && TRIES_MAX> 16 * BUCKET_SEATS / BUCKET_KEYS,
               "a bucket has a seat for each, and one of them is found");

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

/* Stands at the name at a seat of a bucket, if anybody sits there.  It ends with the bucket: behind
 * it may be as many tombstones as were deleted since they were stored. */
static bool sit(struct merge *merge, const struct merge_range *bucket, uint64_t seat)
{
    while (merge_next(merge) && merge_is_in_range(bucket, merge->word))
        if (merge_is_live(merge) && seat-- == 0)
            return true;
    return false;
}

/* Of the kv, at most. */
static uint64_t names_below(const struct sources *sources, const struct merge_range *bucket)
{
    if (!sources->kv || !layers_kv_counts(sources->persisted, bucket->table, bucket->space))
        return 0;
    return sources->ranges ? layers_ranges_names(sources->ranges, bucket) : UINT64_MAX;
}

/* False: certainly nobody sits there, for so few names lie in the bucket; most seats are empty, and
 * where that is known this costs no look at an entry. */
static bool may_sit(const struct sources *sources, const struct merge_range *bucket, uint64_t seat)
{
    uint64_t names = names_below(sources, bucket);
    for (unsigned i = 0; i < sources->count && names <= seat; i++)
        names += overlay_names(&sources->layers[i]->tables[bucket->table], bucket->space,
                               bucket->first, merge_range_last(bucket), seat + 1 - names);
    return names > seat;
}

/* A bucket, all of the same size, and a seat in it, again and again until somebody sits there. */
void merge_random(struct merge *merge, const struct sources *sources,
                  const struct merge_range *range, uint64_t count, uint64_t *seed)
{
    struct merge_range bucket = *range;
    unsigned bits = 0; /* of the number of a bucket */
    check(count > 0);
    while (count >> bits > BUCKET_KEYS && bits < range->shift)
        bits++;
    bucket.shift = range->shift - bits;
    merge_begin(merge, sources, range->table, range->space);
    for (int i = 0; i < TRIES_MAX; i++) {
        uint64_t number = prng_below(seed, (uint64_t)1 << bits);
        uint64_t seat = prng_below(seed, BUCKET_SEATS);
        bucket.first = range->first + (bits > 0 ? number << bucket.shift : 0);
        if (!may_sit(sources, &bucket, seat))
            continue;
        merge_seek_range(merge, &bucket, merge_range_last(range));
        if (sit(merge, &bucket, seat))
            return;
    }
    /* Names of one word, more than a bucket has seats: the first of the range will do. */
    merge_seek_range(merge, range, range->first);
    bool is_there = sit(merge, range, 0);
    check(is_there);
}

/* Every key has the same chance: the slot by its number of keys, then any key in there.  False:
 * its deadline has come. */
static bool draw(struct db *db, unsigned database, uint64_t *seed, struct buffer *key)
{
    const struct slots *slots = db->slots[database];
    uint64_t rank = prng_below(seed, db->state.databases[database].keys);
    unsigned slot = slot_of_rank(slots, &rank);
    struct merge_range range = {.table = TABLE_KEYS,
                                .space = layers_space(db, database),
                                .first = (uint64_t)slot << (64 - SLOT_BITS),
                                .shift = 64 - SLOT_BITS};
    struct sources sources = merge_sources(db);
    struct merge merge;
    merge_random(&merge, &sources, &range, slots->slots[slot], seed);
    db->work += (uint64_t)merge.seeks * LAYERS_FETCH_WORK;
    bool is_over =
        layers_is_over(db, layers_found(merge.record, merge.record.size, NULL).deadline_ms);
    if (!is_over)
        buffer_append_bytes(key, merge.name);
    merge_close(&merge);
    return !is_over;
}

bool db_random(struct db *db, unsigned database, uint64_t seed, struct buffer *key)
{
    bool is_found = false;
    buffer_clear(key);
    if (db->look && db->look->begins)
        return false; /* db_resolve() said that it is in doubt */
    struct look *look = layers_look_away(db);
    check(layers_unresolved(db) == 0);
    for (int i = 0; i < LIVE_TRIES_MAX && db->state.databases[database].keys > 0 && !is_found; i++)
        is_found = draw(db, database, &seed, key);
    layers_look_back(db, look);
    return is_found;
}

/* ---- the hash of everything ------------------------------------------------------------ */

enum {
    SALT_KEYS = 3,
    SALT_ROWS = SALT_KEYS + DB_DATABASES,
    SALT_PAGES,
    SALT_DEADLINES = 32,
    SALT_SERVER = SALT_DEADLINES + DB_DATABASES
};
_Static_assert((int)SALT_PAGES < (int)SALT_DEADLINES && (int)TABLE_DUE < (int)SALT_DEADLINES,
               "each table of each database has a salt of its own");

static uint64_t record_hash(const struct merge *merge, uint64_t salt)
{
    uint64_t name = XXH3_64bits_withSeed(merge->name.data, merge->name.size, merge->word);
    return XXH3_64bits_withSeed(merge->record.data, merge->record.size, name + salt);
}

/* Sum over the records of a space: independent of their order.  `salt` tells spaces apart. */
static uint64_t space_hash(const struct sources *sources, enum table table, uint64_t space,
                           uint64_t salt, uint64_t *count)
{
    uint64_t sum = 0;
    struct merge merge;
    merge_open_whole(&merge, sources, table, space, 0);
    for (*count = 0; merge_next_live(&merge); ++*count)
        sum += record_hash(&merge, salt);
    merge_close(&merge);
    return sum;
}

/* Keys, and the rows and pages of those that are large collections. */
static uint64_t database_hash(struct db *db, const struct sources *sources, unsigned database)
{
    uint64_t sum = 0, keys = 0, rows;
    struct merge merge;
    merge_open_whole(&merge, sources, TABLE_KEYS, layers_space(db, database), 0);
    for (; merge_next_live(&merge); keys++) {
        uint64_t key = record_hash(&merge, SALT_KEYS + database);
        uint64_t space = record_space(merge.record);
        sum += key;
        if (!space)
            continue;
        sum += space_hash(sources, TABLE_ROWS, space, key + SALT_ROWS, &rows);
        sum += space_hash(sources, TABLE_PAGES, space, key + SALT_PAGES, &rows);
    }
    merge_close(&merge);
    check(keys == db->state.databases[database].keys);
    return sum;
}

uint64_t db_hash(struct db *db)
{
    uint64_t sum = 0, receipts, due, deadlines, rows;
    while (!db_resolve(db, UINT64_MAX))
        db_wait(db);
    struct sources sources = merge_sources(db);
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        sum += database_hash(db, &sources, i);
        sum += space_hash(&sources, TABLE_DEADLINES, layers_space(db, i), SALT_DEADLINES + i,
                          &deadlines);
    }
    sum += space_hash(&sources, TABLE_ROWS, DB_SPACE_SERVER, SALT_SERVER, &rows);
    sum += space_hash(&sources, TABLE_PAGES, DB_SPACE_SERVER, SALT_SERVER + 1, &rows);
    sum += space_hash(&sources, TABLE_RECEIPTS, 0, TABLE_RECEIPTS, &receipts);
    sum += space_hash(&sources, TABLE_DUE, 0, TABLE_DUE, &due);
    check(receipts == db->state.receipts);
    check(due == receipts); /* L5 */
    return sum;
}
