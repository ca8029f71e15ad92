/* A plain model of what a Raft log on disk must be: an array of entries, a term, a vote.  It also
 * invents the next write as the core might (appends, cuts above the committed index, new terms),
 * from a seed, so that a parent process can follow what its child wrote. */
#ifndef TEST_RAFT_LOG_MODEL_H
#define TEST_RAFT_LOG_MODEL_H

#include "test_storage.h"

#include "base/blob.h"
#include "base/memory.h"
#include "base/prng.h"
#include "storage/raft_log.h"

enum { MODEL_ENTRIES_MAX = 1 << 17, MODEL_WRITE_MAX = 20 };

struct model_entry {
    raft_term term;
    enum raft_entry_type type;
    uint32_t size;
    uint64_t seed; /* of the payload */
};

struct model {
    uint64_t prng;
    raft_term term;
    raft_node_id voted_for;
    struct raft_pos first;
    raft_index last;
    raft_index committed;
    struct model_entry entries[MODEL_ENTRIES_MAX]; /* [index] */
};

/* A write with what it points at. */
struct model_write {
    struct raft_write write;
    struct raft_entry entries[MODEL_WRITE_MAX];
};

static inline struct model *model_new(uint64_t seed)
{
    struct model *model = memory_new(sizeof *model);
    model->prng = seed;
    model->voted_for = RAFT_NOBODY;
    return model;
}

static inline void payload_fill(unsigned char *data, uint32_t size, uint64_t seed)
{
    for (uint32_t i = 0; i < size; i++) {
        if (i % 8 == 0)
            prng_next(&seed);
        data[i] = (unsigned char)(seed >> (8 * (i % 8)));
    }
}

static inline uint32_t model_size(struct model *model)
{
    switch (prng_below(&model->prng, 40)) {
    case 0: return (uint32_t)prng_below(&model->prng, 20000);
    case 1:
    case 2:
    case 3:
    case 4: return 0;
    case 5: /* at times one that the journal writes in pieces */
        return (uint32_t)prng_below(&model->prng, prng_below(&model->prng, 100) ? 60 : 3 << 20);
    default: return 1 + (uint32_t)prng_below(&model->prng, 60);
    }
}

static inline void model_append(struct model *model, struct raft_entry *entry)
{
    raft_index index = ++model->last;
    assert_true(index < MODEL_ENTRIES_MAX);
    raft_term term = index == 1 ? 1 : model->entries[index - 1].term;
    if (prng_below(&model->prng, 4) == 0 && term < model->term)
        term += 1 + prng_below(&model->prng, model->term - term);
    model->entries[index] = (struct model_entry){
        .term = term,
        .type = (enum raft_entry_type)prng_below(&model->prng, 3),
        .size = model_size(model),
        .seed = prng_next(&model->prng),
    };
    const struct model_entry *known = &model->entries[index];
    *entry = (struct raft_entry){
        .pos = {.term = known->term, .index = index}, .type = known->type, .size = known->size};
    if (known->size) {
        struct blob *blob = blob_new(known->size);
        payload_fill(blob->data, known->size, known->seed);
        entry->payload = blob;
    }
}

static inline void model_write(struct model *model, struct model_write *out)
{
    bool vote = prng_below(&model->prng, 10) == 0;
    if (model->term == 0 || prng_below(&model->prng, 8) == 0) {
        model->term += 1 + prng_below(&model->prng, 3);
        model->voted_for = RAFT_NOBODY;
        vote = vote || prng_below(&model->prng, 2);
    }
    if (vote && model->voted_for == RAFT_NOBODY)
        model->voted_for = prng_below(&model->prng, 3);
    out->write = (struct raft_write){.term = model->term, .voted_for = model->voted_for};
    if (prng_below(&model->prng, 10) == 0)
        return;
    if (prng_below(&model->prng, 6) == 0)
        model->last -= prng_below(&model->prng, model->last - model->committed + 1);
    out->write.count = 1 + (uint32_t)prng_below(&model->prng, MODEL_WRITE_MAX);
    for (uint32_t i = 0; i < out->write.count; i++)
        model_append(model, &out->entries[i]);
    out->write.entries = out->entries;
}

static inline void model_write_release(struct model_write *write)
{
    for (uint32_t i = 0; i < write->write.count; i++)
        blob_release(write->entries[i].payload);
}

/* Some of what is there becomes committed. */
static inline void model_commit(struct model *model)
{
    model->committed += prng_below(&model->prng, model->last - model->committed + 1);
}

/* A position that may be trimmed to. */
static inline struct raft_pos model_trim(struct model *model)
{
    raft_index index =
        model->first.index + prng_below(&model->prng, model->committed - model->first.index + 1);
    if (index > model->first.index)
        model->first = (struct raft_pos){.term = model->entries[index].term, .index = index};
    return model->first;
}

static inline bool entry_matches(const struct model *model, const struct raft_entry *entry,
                                 raft_index index)
{
    const struct model_entry *known = &model->entries[index];
    return entry->pos.index == index && entry->pos.term == known->term &&
           entry->type == known->type && entry->size == known->size;
}

/* What open found is what the model holds. */
static inline bool saved_matches(const struct model *model, const struct raft_saved *saved)
{
    if (saved->term != model->term || saved->voted_for != model->voted_for)
        return false;
    if (saved->first.index != model->first.index || saved->first.term != model->first.term)
        return false;
    if (saved->entries_count != model->last - model->first.index)
        return false;
    for (uint64_t i = 0; i < saved->entries_count; i++)
        if (!entry_matches(model, &saved->entries[i], model->first.index + 1 + i))
            return false;
    return true;
}

static inline void assert_saved(const struct model *model, const struct raft_log *log)
{
    struct raft_saved saved = {0};
    raft_log_saved(log, &saved);
    assert_int_equal(saved.term, model->term);
    assert_int_equal(saved.voted_for, model->voted_for);
    assert_int_equal(saved.first.index, model->first.index);
    assert_int_equal(saved.first.term, model->first.term);
    assert_int_equal(saved.first.index + saved.entries_count, model->last);
    assert_true(saved_matches(model, &saved));
}

/* Reads count entries from `first` on and compares them, payloads too. */
static inline void assert_read(const struct model *model, struct raft_log *log, raft_index first,
                               uint32_t count, uint64_t bytes_max)
{
    struct raft_entry *entries = memory_new((count + 1) * sizeof *entries);
    uint32_t got = raft_log_read(log, first, count, bytes_max, entries);
    uint64_t bytes = 0;
    assert_true(got <= count);
    assert_true(got > 0 || count == 0);
    for (uint32_t i = 0; i < got; i++) {
        const struct model_entry *known = &model->entries[first + i];
        if (!entry_matches(model, &entries[i], first + i))
            fail_msg("entry %llu is not what was written", (unsigned long long)first + i);
        bytes += known->size;
        if (known->size == 0) {
            assert_null(entries[i].payload);
            continue;
        }
        struct blob *blob = entries[i].payload;
        unsigned char *expected = memory_new(known->size);
        payload_fill(expected, known->size, known->seed);
        assert_int_equal(blob->size, known->size);
        assert_int_equal(blob->references, 1);
        if (memcmp(blob->data, expected, known->size) != 0)
            fail_msg("the payload of entry %llu is wrong", (unsigned long long)first + i);
        memory_free(expected);
        blob_release(blob);
    }
    assert_true(got <= 1 || bytes <= bytes_max);
    if (got < count) /* the next one really did not fit */
        assert_true(bytes + model->entries[first + got].size > bytes_max);
    memory_free(entries);
}

#endif
