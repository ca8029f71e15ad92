/* Rows that the next entries are going to change are looked for together: to ask the kv for eight
 * costs half as much each as one after the other, since what it needs from memory for one is on its
 * way while it looks for another.
 *
 * What was found is what the kv has, and so true as long as the last read is (layers_forget_read).
 * Nobody has to be told right: what is not here is read when it is wanted, what is here and is not
 * wanted is lost work.  Loop thread. */
#include "base/fatal.h"
#include "base/memory.h"
#include "data/layers.h"

enum { BATCHES = 2 }; /* the entries of the last time may not all have come yet */

struct batch {
    uint32_t count;
    struct kv_head heads[DB_FORESEEN_MAX]; /* their keys rise */
    struct buffer keys[DB_FORESEEN_MAX];
};

struct layers_ahead {
    struct batch batches[BATCHES];
    uint32_t last;
};

void layers_ahead_free(struct layers_ahead *ahead)
{
    for (unsigned i = 0; ahead && i < BATCHES; i++)
        for (unsigned j = 0; j < DB_FORESEEN_MAX; j++) {
            buffer_deinit(&ahead->batches[i].heads[j].head);
            buffer_deinit(&ahead->batches[i].keys[j]);
        }
    memory_free(ahead);
}

void layers_ahead_forget(struct layers_ahead *ahead)
{
    for (unsigned i = 0; i < BATCHES; i++)
        ahead->batches[i].count = 0;
}

static const struct kv_head *find(const struct layers_ahead *ahead, struct bytes key)
{
    for (unsigned i = 0; i < BATCHES; i++)
        for (unsigned j = 0; j < ahead->batches[i].count; j++)
            if (bytes_equal(ahead->batches[i].heads[j].key, key))
                return &ahead->batches[i].heads[j];
    return NULL;
}

const struct kv_head *layers_ahead_find(const struct layers_ahead *ahead, struct bytes key,
                                        size_t head_max)
{
    const struct kv_head *head = ahead ? find(ahead, key) : NULL;
    bool is_enough =
        head && (!head->is_there || head->head.size == head->size || head->head.size >= head_max);
    return is_enough ? head : NULL;
}

/* ---- what to look for ----------------------------------------------------------------- */

/* The row that a command on this key may change; false: none. */
static bool row_of(const struct db *db, const struct db_foreseen *foreseen, void **slot,
                   struct place *place)
{
    const struct entry *entry = slot ? overlay_at(slot, foreseen->key) : NULL;
    struct header header;
    if (!entry || entry->is_tombstone)
        return false;
    record_header_parse(entry_record(entry), &header);
    bool is_of_fields = header.type == DB_HASH || header.type == DB_SET;
    if (!header.space || (!is_of_fields && header.type != DB_ZSET))
        return false;
    struct bytes name = foreseen->elements[is_of_fields ? 0 : 1];
    if (!name.data || name.size > LAYERS_HEAD_MAX) /* it is hashed, and stays in memory */
        return false;
    *place = (struct place){TABLE_ROWS, header.space, layers_hash(db, name), name};
    return layers_kv_counts(&db->persisted, TABLE_ROWS, header.space);
}

static bool is_in_layers(const struct db *db, const struct place *place)
{
    if (overlay_find(&db->active->tables[place->table], place->space, place->word, place->name))
        return true;
    for (unsigned i = 0; i < db->count; i++)
        if (overlay_find(&db->layers[i]->tables[place->table], place->space, place->word,
                         place->name))
            return true;
    return false;
}

/* It was read before. */
static bool was_read(struct db *db, const struct place *place)
{
    struct bytes record;
    record_key(&db->sought, place);
    struct bytes key = buffer_bytes(&db->sought);
    return (db->cache && layers_cache_find(db->cache, key, &record)) || find(db->ahead, key);
}

/* In order; once. */
static void add(struct batch *batch, const struct place *place)
{
    struct buffer key = batch->keys[batch->count];
    uint32_t at = batch->count;
    record_key(&key, place);
    while (at > 0 && bytes_compare(buffer_bytes(&batch->keys[at - 1]), buffer_bytes(&key)) > 0)
        at--;
    bool is_there = at > 0 && bytes_equal(buffer_bytes(&batch->keys[at - 1]), buffer_bytes(&key));
    if (is_there)
        at = batch->count;
    memmove(batch->keys + at + 1, batch->keys + at, (batch->count - at) * sizeof *batch->keys);
    batch->keys[at] = key;
    batch->count += !is_there;
}

static void look(struct db *db, struct batch *batch)
{
    struct kv *kv = db->kv;
    for (uint32_t i = 0; i < batch->count; i++)
        batch->heads[i].key = buffer_bytes(&batch->keys[i]);
    kv->ops->get_heads(kv, KV_DATA, batch->heads, batch->count, LAYERS_HEAD_MAX, true);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct kv_head *head = &batch->heads[i];
        db->work += LAYERS_FETCH_WORK + (head->is_there ? head->size : 0);
        if (head->is_there)
            layers_found_one(&db->row_sizes, head->size);
    }
}

void layers_ahead_look(struct db *db, const struct db_foreseen *keys, void **const *slots,
                       uint32_t count)
{
    struct place place;
    check(count <= DB_FORESEEN_MAX);
    if (!db->ahead)
        db->ahead = memory_new(sizeof *db->ahead);
    struct layers_ahead *ahead = db->ahead;
    ahead->last = (ahead->last + 1) % BATCHES;
    struct batch *batch = &ahead->batches[ahead->last];
    batch->count = 0;
    for (unsigned i = 0; i < DB_FORESEEN_MAX; i++) /* they are of what its keys held before */
        batch->heads[i].key = bytes_of(NULL, 0);
    uint32_t most = layers_looks_at_once(&db->row_sizes);
    for (uint32_t i = 0; i < count && batch->count < most; i++)
        if (row_of(db, &keys[i], slots[i], &place) && !is_in_layers(db, &place) &&
            !was_read(db, &place))
            add(batch, &place);
    if (batch->count > 1)
        look(db, batch);
    else
        batch->count = 0; /* it is read when it is wanted */
}
