/* Conversion of the keys: see convert.h.  Loop thread, before anything else has the db.
 *
 * The order of keys is another (a key's word begins with its slot), so what is read in the old
 * order is sorted in memory, a batch at a time, and goes to the kv as sorted runs.  Nobody looks at
 * them before the state record says so; what an earlier attempt left is deleted first. */
#include "data/convert.h"

#include <xxhash.h>

#include "base/log.h"
#include "base/memory.h"

struct conversion {
    struct kv *kv;
    const struct state *state;
    uint64_t cluster;
    uint64_t batch_bytes;
    uint64_t space; /* of the database under way */
    struct overlay batch;
    struct slots *slots;
    uint64_t keys; /* done, of all databases */
    struct buffer key;
};

static void delete_kind(struct kv *kv, char kind)
{
    const char next = (char)(kind + 1);
    struct bytes from = bytes_of(&kind, 1), to = bytes_of(&next, 1);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_delete_range(batch, KV_DATA, from, to);
    kv->ops->commit(kv, batch, true); /* drop_files asks for it */
    kv->ops->batch_free(batch);
    kv->ops->drop_files(kv, KV_DATA, from, to);
}

static void write_batch(struct conversion *c)
{
    const struct kv_ops *ops = c->kv->ops;
    struct kv_bulk *bulk = ops->bulk_new(c->kv, KV_DATA);
    struct overlay_iter iter;
    for (overlay_seek(&iter, &c->batch, c->space, 0); iter.entry; overlay_step(&iter)) {
        struct place place = {TABLE_KEYS, c->space, iter.word, entry_name(iter.entry)};
        record_key(&c->key, &place);
        ops->bulk_put(bulk, buffer_bytes(&c->key), entry_record(iter.entry));
    }
    ops->bulk_commit(bulk);
    c->keys += c->batch.entries;
    log_notice("data: %llu keys are in the present format", (unsigned long long)c->keys);
    overlay_deinit(&c->batch);
}

static void take_key(struct conversion *c, struct bytes name, struct bytes record)
{
    struct bytes payload;
    unsigned char out[RECORD_HEADER_MAX];
    struct header header = {.type = record_old_value_parse(record, &payload)};
    size_t size = record_header_encode(out, &header);
    uint64_t hash = XXH3_64bits_withSeed(name.data, name.size, c->state->hash_seed);
    uint64_t word = record_key_word(name, hash);
    struct overlay_spot spot = overlay_locate(&c->batch, c->space, word, name);
    overlay_put(&c->batch, &spot, name, bytes_of(out, size), payload, BELOW_NO);
    layers_slots_add(c->slots, record_word_slot(word), 1);
    if (c->batch.bytes >= c->batch_bytes)
        write_batch(c);
}

static void write_counts(struct conversion *c)
{
    struct kv_bulk *bulk = c->kv->ops->bulk_new(c->kv, KV_DATA);
    unsigned char record[RECORD_GROUP_SIZE];
    for (unsigned group = 0; group < RECORD_GROUPS; group++) {
        if (c->slots->groups[group] == 0)
            continue;
        record_group_key(&c->key, c->space, group);
        layers_slots_encode(c->slots, group, record);
        c->kv->ops->bulk_put(bulk, buffer_bytes(&c->key), bytes_of(record, sizeof record));
    }
    c->kv->ops->bulk_commit(bulk);
}

static void convert_database(struct conversion *c, unsigned database)
{
    uint64_t before = c->keys;
    struct bytes key, record, name;
    struct buffer to = {0};
    c->space = c->state->databases[database].space;
    c->slots = memory_new(sizeof *c->slots);
    record_old_key_first(&c->key, c->space);
    record_old_key_end(&to, c->space);
    struct kv_iter *iter =
        c->kv->ops->iter_new(c->kv, KV_DATA, buffer_bytes(&c->key), buffer_bytes(&to));
    buffer_deinit(&to);
    while (c->kv->ops->iter_next(iter, &key, &record) && record_old_key_parse(key, c->space, &name))
        take_key(c, name, record);
    c->kv->ops->iter_free(iter);
    if (c->batch.entries > 0)
        write_batch(c);
    if (c->keys > before)
        write_counts(c);
    memory_free(c->slots);
    if (c->keys - before != c->state->databases[database].keys)
        fatal("data: database %u has %llu keys, not %llu as its state says", database,
              (unsigned long long)(c->keys - before),
              (unsigned long long)c->state->databases[database].keys);
}

static void write_state(struct conversion *c)
{
    unsigned char out[RECORD_STATE_SIZE];
    struct kv_bulk *bulk = c->kv->ops->bulk_new(c->kv, KV_DATA);
    record_state_encode(out, c->state, c->cluster);
    c->kv->ops->bulk_put(bulk, record_state_key(), bytes_of(out, sizeof out));
    c->kv->ops->bulk_commit(bulk);
}

void db_convert_keys(struct kv *kv, const struct state *state, uint64_t cluster,
                     uint64_t batch_bytes)
{
    struct conversion c = {
        .kv = kv, .state = state, .cluster = cluster, .batch_bytes = batch_bytes};
    log_notice("data: the keys are in an earlier format and are written anew");
    delete_kind(kv, 'c');
    delete_kind(kv, 'r');
    for (unsigned i = 0; i < RECORD_DATABASES; i++)
        convert_database(&c, i);
    write_state(&c);
    db_convert_sweep(kv);
    log_notice("data: all keys are in the present format");
    buffer_deinit(&c.key);
}

void db_convert_sweep(struct kv *kv)
{
    struct bytes key, value;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, bytes_of("k", 1), bytes_of("l", 1));
    bool is_left = kv->ops->iter_next(iter, &key, &value);
    kv->ops->iter_free(iter);
    if (is_left)
        delete_kind(kv, 'k');
}
