/* Merge of layers and kv: the least name of all heads is next; where several have it the newest
 * counts.  The sources are few, so the least is looked for among all of them.  Any thread that may
 * read the sources. */
#include "data/merge.h"

struct sources merge_sources(const struct db *db)
{
    if (db->look)
        return *layers_view_sources(db->look->view);
    struct sources sources = {.kv = db->kv, .persisted = &db->persisted};
    sources.layers[sources.count++] = db->active;
    for (unsigned i = 0; i < db->count; i++)
        sources.layers[sources.count++] = db->layers[i];
    return sources;
}

static void advance_kv(struct merge *merge)
{
    struct bytes key;
    merge->kv_has_more =
        merge->sources->kv->ops->iter_next(merge->kv_iter, &key, &merge->kv_record) &&
        record_key_parse(key, merge->table, merge->space, &merge->kv_place);
}

static void seek_kv(struct merge *merge, uint64_t word_from)
{
    const struct sources *sources = merge->sources;
    struct kv *kv = sources->kv;
    struct place place = {.table = merge->table, .space = merge->space, .word = word_from};
    struct buffer from = {0};
    record_key(&from, &place);
    if (merge->kv_iter)
        kv->ops->iter_seek(merge->kv_iter, buffer_bytes(&from));
    else if (sources->snapshot)
        merge->kv_iter =
            kv->ops->snapshot_iter(kv, sources->snapshot, KV_DATA, buffer_bytes(&from));
    else
        merge->kv_iter = kv->ops->iter_new(kv, KV_DATA, buffer_bytes(&from));
    buffer_deinit(&from);
    advance_kv(merge);
}

static void seek_layers(struct merge *merge, uint64_t word_from)
{
    const struct sources *sources = merge->sources;
    merge->spent = 0;
    for (unsigned i = 0; i < sources->count; i++)
        overlay_seek(&merge->iters[i], &sources->layers[i]->tables[merge->table], merge->space,
                     word_from);
}

void merge_open(struct merge *merge, const struct sources *sources, enum table table,
                uint64_t space, uint64_t word_from)
{
    check(sources->count <= LAYERS_MAX + 1);
    merge->sources = sources;
    merge->table = table;
    merge->space = space;
    merge->kv_iter = NULL;
    merge->kv_has_more = false;
    seek_layers(merge, word_from);
    if (sources->kv && layers_kv_counts(sources->persisted, table, space))
        seek_kv(merge, word_from);
}

void merge_seek(struct merge *merge, uint64_t word_from)
{
    seek_layers(merge, word_from);
    if (merge->kv_iter)
        seek_kv(merge, word_from);
}

void merge_close(struct merge *merge)
{
    if (merge->kv_iter)
        merge->sources->kv->ops->iter_free(merge->kv_iter);
    merge->kv_iter = NULL;
}

/* Takes (word, name) as the present one if it is before it, true; joins `source` to the sources of
 * the present one if it is the same. */
static bool offer(struct merge *merge, unsigned source, uint64_t word, struct bytes name)
{
    int order = -1;
    if (merge->spent && word != merge->word)
        order = word < merge->word ? -1 : 1;
    else if (merge->spent)
        order = overlay_name_compare(name, merge->name);
    if (order == 0)
        merge->spent |= 1u << source;
    if (order >= 0)
        return false;
    merge->spent = 1u << source;
    merge->word = word;
    merge->name = name;
    return true;
}

static void leave(struct merge *merge)
{
    unsigned count = merge->sources->count;
    for (unsigned i = 0; i < count; i++)
        if (merge->spent & 1u << i)
            overlay_step(&merge->iters[i]);
    if (merge->spent & 1u << count)
        advance_kv(merge);
    merge->spent = 0;
}

bool merge_next(struct merge *merge)
{
    unsigned count = merge->sources->count;
    leave(merge);
    for (unsigned i = 0; i < count; i++) {
        const struct entry *entry = merge->iters[i].entry;
        if (entry && offer(merge, i, merge->iters[i].word, entry_name(entry)))
            merge->entry = entry;
    }
    if (merge->kv_has_more && offer(merge, count, merge->kv_place.word, merge->kv_place.name))
        merge->entry = NULL;
    if (!merge->spent)
        return false;
    merge->record = merge->entry ? entry_record(merge->entry) : merge->kv_record;
    return true;
}

bool merge_next_live(struct merge *merge)
{
    while (merge_next(merge))
        if (merge_is_live(merge))
            return true;
    return false;
}
