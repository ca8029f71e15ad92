/* Views: the db as it was at one applied index, while it goes on.  Loop thread.
 *
 * A view holds the layers that were there, which nobody changes, and a snapshot of the kv below
 * them.  That the kv may have been in the midst of a checkpoint does not matter: whatever the
 * checkpoint brings, the layers have too, and hide (L1).  A dead space is not swept while there are
 * views, because a snapshot does not keep files that are dropped. */
#include "base/fatal.h"
#include "base/memory.h"
#include "data/merge.h"

struct db_view {
    struct db *db; /* borrowed */
    unsigned references;
    struct layer *layers[LAYERS_MAX];
    struct kv_snapshot *snapshot;
    struct state state;     /* what it shows */
    struct state persisted; /* of the kv then */
    struct sources sources;
    struct buffer sought, value; /* a key of the kv to look for, and what was found */
};

bool layers_freeze_for_view(struct db *db)
{
    if (layers_is_empty(db->active))
        return true;
    if (db->count >= LAYERS_MAX - 1) { /* the last place is the checkpoint's */
        db_checkpoint(db);
        return false;
    }
    layers_freeze(db);
    return true;
}

static struct db_view *view_make(struct db *db, const struct state *state)
{
    struct db_view *view = memory_new(sizeof *view);
    view->db = db;
    view->state = *state;
    view->persisted = db->persisted;
    view->snapshot = db->kv->ops->snapshot_new(db->kv);
    view->sources = (struct sources){.kv = db->kv,
                                     .snapshot = view->snapshot,
                                     .persisted = &view->persisted,
                                     .count = db->count};
    for (unsigned i = 0; i < db->count; i++) {
        view->layers[i] = db->layers[i];
        view->layers[i]->references++;
        view->sources.layers[i] = db->layers[i];
    }
    return view;
}

struct db_view *db_view_new(struct db *db)
{
    const struct state *state = db->is_parted ? &db->before : &db->state;
    if (db->is_in_entry && !db->is_parted)
        return NULL;
    if (db->view && db->view->state.index == state->index) {
        db->view->references++;
        return db->view;
    }
    if (!db->is_parted && !layers_freeze_for_view(db))
        return NULL;
    db->view = view_make(db, state);
    db->view->references = 1;
    db->views++;
    return db->view;
}

void db_view_release(struct db_view *view)
{
    struct db *db = view->db;
    check(view->references > 0);
    if (--view->references > 0)
        return;
    layers_release(db, view->layers, view->sources.count);
    db->kv->ops->snapshot_free(db->kv, view->snapshot);
    if (db->view == view)
        db->view = NULL;
    check(db->views > 0);
    db->views--;
    buffer_deinit(&view->sought);
    buffer_deinit(&view->value);
    memory_free(view);
}

uint64_t db_view_index(const struct db_view *view)
{
    return view->state.index;
}

bool layers_view_row(struct db_view *view, const struct place *place, struct bytes *record)
{
    for (unsigned i = 0; i < view->sources.count; i++) {
        const struct entry *entry = overlay_find(&view->layers[i]->tables[place->table],
                                                 place->space, place->word, place->name);
        if (!entry)
            continue;
        *record = entry_record(entry);
        return !entry->is_tombstone;
    }
    if (!layers_kv_counts(&view->persisted, place->table, place->space))
        return false;
    struct kv *kv = view->db->kv;
    record_key(&view->sought, place);
    bool is_found = kv->ops->snapshot_get(kv, view->snapshot, KV_DATA, buffer_bytes(&view->sought),
                                          &view->value);
    view->db->work += LAYERS_FETCH_WORK + (is_found ? view->value.size : 0);
    *record = buffer_bytes(&view->value);
    return is_found;
}

bool layers_view_get(struct db_view *view, unsigned database, struct bytes key,
                     struct bytes *record)
{
    check(database < DB_DATABASES);
    struct place place = layers_key(view->db, view->state.databases[database].space, key);
    return layers_view_row(view, &place, record);
}

const struct sources *layers_view_sources(const struct db_view *view)
{
    return &view->sources;
}

const struct state *layers_view_state(const struct db_view *view)
{
    return &view->state;
}

enum db_type db_view_get(struct db_view *view, unsigned database, struct bytes key,
                         struct bytes *value)
{
    struct db_record found;
    return db_find(view->db, view, database, key, &found, value) ? found.type : DB_NONE;
}

uint64_t db_view_scan(struct db_view *view, unsigned database, uint64_t cursor,
                      struct db_scan_limit limit, db_scan_fn *each, void *context)
{
    check(database < DB_DATABASES);
    struct merge_keys keys = {view->state.databases[database].space, view->db, each, context};
    return merge_scan_keys(&view->sources, &keys, cursor, limit);
}
