/* Merge of the three layers: the least name of the three heads is next; where several layers have
 * it the upper one counts, and a tombstone hides it.  Loop thread. */
#include "data/merge.h"

enum source { ACTIVE = 1, FROZEN = 2, KV = 4 };

static void advance_kv(struct merge *merge)
{
    const struct kv_ops *ops = merge->db->kv->ops;
    struct bytes key;
    if (ops->iter_next(merge->kv_iter, &key, &merge->kv_record) &&
        record_key_parse(key, merge->table, merge->space, &merge->kv_place))
        return;
    ops->iter_free(merge->kv_iter);
    merge->kv_iter = NULL;
}

void merge_open(struct merge *merge, struct db *db, enum table table, uint64_t space,
                uint64_t word_from)
{
    *merge = (struct merge){.db = db, .table = table, .space = space};
    overlay_seek(&merge->active, &db->active->tables[table], space, word_from);
    if (db->frozen)
        overlay_seek(&merge->frozen, &db->frozen->tables[table], space, word_from);
    if (!layers_kv_counts(db, table, space))
        return;
    struct place from = {.table = table, .space = space, .word = word_from};
    record_key(&db->sought, &from);
    merge->kv_iter = db->kv->ops->iter_new(db->kv, KV_DATA, buffer_bytes(&db->sought));
    advance_kv(merge);
}

void merge_close(struct merge *merge)
{
    if (merge->kv_iter)
        merge->db->kv->ops->iter_free(merge->kv_iter);
    merge->kv_iter = NULL;
}

/* Takes (word, name) as the present one if it is before it; joins `sources` if it is the same. */
static void offer(struct merge *merge, enum source source, uint64_t word, struct bytes name)
{
    int order = -1;
    if (merge->spent && word != merge->word)
        order = word < merge->word ? -1 : 1;
    else if (merge->spent)
        order = overlay_name_compare(name, merge->name);
    if (order > 0)
        return;
    merge->spent = order < 0 ? source : merge->spent | source;
    merge->word = word;
    merge->name = name;
}

static void leave(struct merge *merge)
{
    if (merge->spent & ACTIVE)
        overlay_step(&merge->active);
    if (merge->spent & FROZEN)
        overlay_step(&merge->frozen);
    if (merge->spent & KV)
        advance_kv(merge);
    merge->spent = 0;
}

bool merge_next(struct merge *merge)
{
    for (;;) {
        leave(merge);
        const struct entry *active = merge->active.entry;
        const struct entry *frozen = merge->frozen.entry;
        if (active)
            offer(merge, ACTIVE, merge->active.word, entry_name(active));
        if (frozen)
            offer(merge, FROZEN, merge->frozen.word, entry_name(frozen));
        if (merge->kv_iter)
            offer(merge, KV, merge->kv_place.word, merge->kv_place.name);
        if (!merge->spent)
            return false;
        const struct entry *top = merge->spent & ACTIVE   ? active
                                  : merge->spent & FROZEN ? frozen
                                                          : NULL;
        if (top && top->is_tombstone)
            continue;
        merge->record = top ? entry_record(top) : merge->kv_record;
        return true;
    }
}
