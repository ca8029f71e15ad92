/* An ordered map in memory with the contract of kv.h, for tests and the simulator.  Any thread; one
 * mutex.
 *
 * Every family is kept twice: as it looks, and as it would look after a power cut.  Batches are
 * applied to the first at once and queue as changes for the second, until a synced commit (or a
 * crash, which throws them away).  Keys and values are shared by both through a counter, so the
 * second costs a pointer an item.
 *
 * It behaves as badly as a disk may: drop_files takes effect at once, for open snapshots too, and
 * survives a crash even when the batch before it does not; a bulk run is durable before earlier
 * batches are, unless they touch the same family; and what is synced of the log and meta makes
 * nothing of the data durable, nor the other way round. */
#include <pthread.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "kv_memory.h"

struct item {
    uint32_t references; /* under the store's mutex */
    size_t key_size;
    size_t value_size;
    unsigned char data[]; /* key, value */
};

/* Sorted by key. */
struct map {
    struct item **items; /* owned */
    size_t count;
    size_t capacity;
};

enum change_type { CHANGE_PUT, CHANGE_DELETE, CHANGE_DELETE_RANGE, CHANGE_ADOPT };

struct change {
    enum change_type type;
    enum kv_family family;
    /* DELETE: no value; DELETE_RANGE: from is the key, to the value; ADOPT: empty. */
    struct item *item;
};

/* What becomes durable by itself. */
enum { OF_LOG_AND_META = 1, OF_DATA = 2, OF_ALL = OF_LOG_AND_META | OF_DATA };

struct changes {
    struct change *list; /* owned */
    size_t count;
    size_t capacity;
};

struct memory_kv {
    struct kv base;
    pthread_mutex_t mutex; /* guards everything below and all reference counters */
    struct map present[KV_FAMILIES];
    struct map durable[KV_FAMILIES];
    struct changes unsynced;
    struct kv_snapshot *snapshots; /* open */
    struct kv_iter *sharing;       /* iterators that have no copy yet */
    unsigned patience;             /* walks give up each time that they were asked so often; */
    unsigned asked;                /* 0: never */
};

struct kv_batch {
    struct memory_kv *kv; /* borrowed */
    struct changes changes;
};

struct kv_bulk {
    struct memory_kv *kv; /* borrowed */
    enum kv_family family;
    struct changes changes;
};

/* Most are over before anything changes, so it walks the map itself, and has a copy of it from the
 * first change on. */
struct kv_iter {
    struct memory_kv *kv;     /* borrowed */
    const struct map *shared; /* NULL: it has a copy, */
    struct map map;           /* this one */
    size_t next;
    bool gives_up, gave_up;
    struct item *to; /* its key is where it ends; NULL: where the family does */
    struct kv_iter *next_sharing;
};

struct kv_snapshot {
    struct map maps[KV_FAMILIES];
    struct kv_snapshot *next; /* of those that are open */
};

static struct memory_kv *memory_kv_of(struct kv *kv)
{
    return (struct memory_kv *)kv;
}

/* ---- items and maps ------------------------------------------------------------ */

static struct item *item_new(struct bytes key, struct bytes value)
{
    struct item *item = memory_resize(NULL, sizeof *item + key.size + value.size);
    *item = (struct item){.references = 1, .key_size = key.size, .value_size = value.size};
    if (key.size)
        memcpy(item->data, key.data, key.size);
    if (value.size)
        memcpy(item->data + key.size, value.data, value.size);
    return item;
}

static struct item *item_take(struct item *item)
{
    item->references++;
    return item;
}

static void item_release(struct item *item)
{
    if (--item->references == 0)
        memory_free(item);
}

static struct bytes item_key(const struct item *item)
{
    return bytes_of(item->data, item->key_size);
}

static struct bytes item_value(const struct item *item)
{
    return bytes_of(item->data + item->key_size, item->value_size);
}

static int compare(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Place of the first key >= `key`. */
static size_t map_find(const struct map *map, struct bytes key)
{
    size_t low = 0, high = map->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(item_key(map->items[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool map_has(const struct map *map, size_t place, struct bytes key)
{
    return place < map->count && bytes_equal(item_key(map->items[place]), key);
}

static void map_put(struct map *map, struct item *item)
{
    size_t place = map_find(map, item_key(item));
    if (map_has(map, place, item_key(item))) {
        item_release(map->items[place]);
        map->items[place] = item_take(item);
        return;
    }
    if (map->count == map->capacity) {
        map->capacity = map->capacity ? 2 * map->capacity : 16;
        map->items = memory_resize(map->items, map->capacity * sizeof *map->items);
    }
    memmove(map->items + place + 1, map->items + place, (map->count - place) * sizeof *map->items);
    map->items[place] = item_take(item);
    map->count++;
}

static void map_remove(struct map *map, size_t from, size_t to)
{
    if (from >= to)
        return;
    for (size_t i = from; i < to; i++)
        item_release(map->items[i]);
    memmove(map->items + from, map->items + to, (map->count - to) * sizeof *map->items);
    map->count -= to - from;
}

static void map_copy(struct map *map, const struct map *from)
{
    map->count = map->capacity = from->count;
    map->items = memory_resize(NULL, map->count * sizeof *map->items);
    for (size_t i = 0; i < map->count; i++)
        map->items[i] = item_take(from->items[i]);
}

static void map_deinit(struct map *map)
{
    map_remove(map, 0, map->count);
    memory_free(map->items);
    *map = (struct map){0};
}

/* Before any of these maps, of all families, changes.  What an iterator gave last stays with it. */
static void end_sharing(struct memory_kv *kv, const struct map *maps)
{
    for (struct kv_iter **link = &kv->sharing, *iter; (iter = *link);) {
        if (iter->shared < maps || iter->shared >= maps + KV_FAMILIES) {
            link = &iter->next_sharing;
            continue;
        }
        map_copy(&iter->map, iter->shared);
        iter->shared = NULL;
        *link = iter->next_sharing;
    }
}

static struct item *end_of(struct bytes from, struct bytes to)
{
    if (to.size == 0)
        return NULL;
    check(compare(from, to) <= 0);
    return item_new(to, bytes_of(NULL, 0));
}

/* Stands at the first key >= `from` of that map. */
static struct kv_iter *iter_of(struct memory_kv *kv, const struct map *map, struct bytes from,
                               struct bytes to)
{
    struct kv_iter *iter = memory_new(sizeof *iter);
    struct item *end = end_of(from, to);
    pthread_mutex_lock(&kv->mutex);
    *iter = (struct kv_iter){.kv = kv,
                             .shared = map,
                             .next = map_find(map, from),
                             .to = end,
                             .next_sharing = kv->sharing};
    kv->sharing = iter;
    pthread_mutex_unlock(&kv->mutex);
    return iter;
}

/* ---- changes --------------------------------------------------------------------- */

static void changes_add(struct changes *changes, struct change change)
{
    check((unsigned)change.family < KV_FAMILIES);
    if (changes->count == changes->capacity) {
        changes->capacity = changes->capacity ? 2 * changes->capacity : 16;
        changes->list = memory_resize(changes->list, changes->capacity * sizeof *changes->list);
    }
    changes->list[changes->count++] = change;
}

static void changes_clear(struct changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        item_release(changes->list[i].item);
    changes->count = 0;
}

static void changes_deinit(struct changes *changes)
{
    changes_clear(changes);
    memory_free(changes->list);
}

static void adopt(struct map *maps)
{
    map_deinit(&maps[KV_DATA]);
    maps[KV_DATA] = maps[KV_STAGE];
    maps[KV_STAGE] = (struct map){0};
}

static void apply(struct map *maps, const struct change *change)
{
    struct map *map = &maps[change->family];
    struct bytes key = item_key(change->item);
    size_t place = map_find(map, key);
    switch (change->type) {
    case CHANGE_PUT: map_put(map, change->item); break;
    case CHANGE_DELETE: map_remove(map, place, place + map_has(map, place, key)); break;
    case CHANGE_DELETE_RANGE:
        map_remove(map, place, map_find(map, item_value(change->item)));
        break;
    case CHANGE_ADOPT: adopt(maps); break;
    }
}

static unsigned kind_of(enum kv_family family)
{
    return family < KV_DATA ? OF_LOG_AND_META : OF_DATA;
}

/* Of the batches so far what they changed of these kinds. */
static void sync_changes(struct memory_kv *kv, unsigned kinds)
{
    struct changes *unsynced = &kv->unsynced;
    size_t kept = 0;
    for (size_t i = 0; i < unsynced->count; i++) {
        struct change change = unsynced->list[i];
        if (kind_of(change.family) & kinds) {
            apply(kv->durable, &change);
            item_release(change.item);
        } else {
            unsynced->list[kept++] = change;
        }
    }
    unsynced->count = kept;
}

/* ---- the port ---------------------------------------------------------------------- */

static bool get_from(struct memory_kv *kv, const struct map *map, struct bytes key,
                     struct buffer *value)
{
    buffer_clear(value);
    pthread_mutex_lock(&kv->mutex);
    size_t place = map_find(map, key);
    bool found = map_has(map, place, key);
    if (found)
        buffer_append_bytes(value, item_value(map->items[place]));
    pthread_mutex_unlock(&kv->mutex);
    return found;
}

static bool get(struct kv *base, enum kv_family family, struct bytes key, struct buffer *value)
{
    struct memory_kv *kv = memory_kv_of(base);
    return get_from(kv, &kv->present[family], key, value);
}

static bool get_head(struct kv *base, enum kv_family family, struct bytes key, size_t head_max,
                     struct buffer *head, size_t *size)
{
    if (!get(base, family, key, head))
        return false;
    *size = head->size;
    if (head->size > head_max)
        head->size = head_max;
    return true;
}

static void get_heads(struct kv *base, enum kv_family family, struct kv_head *heads, size_t count,
                      size_t head_max, bool keeps)
{
    (void)keeps;
    check(count <= KV_HEADS_MAX && family >= KV_DATA);
    for (size_t i = 0; i < count; i++)
        heads[i].is_there =
            get_head(base, family, heads[i].key, head_max, &heads[i].head, &heads[i].size);
}

static struct kv_batch *batch_new(struct kv *base)
{
    struct kv_batch *batch = memory_new(sizeof *batch);
    batch->kv = memory_kv_of(base);
    return batch;
}

static void batch_put(struct kv_batch *batch, enum kv_family family, struct bytes key,
                      struct bytes value)
{
    changes_add(&batch->changes, (struct change){CHANGE_PUT, family, item_new(key, value)});
}

static void batch_delete(struct kv_batch *batch, enum kv_family family, struct bytes key)
{
    changes_add(&batch->changes,
                (struct change){CHANGE_DELETE, family, item_new(key, bytes_of(NULL, 0))});
}

static void batch_delete_range(struct kv_batch *batch, enum kv_family family, struct bytes from,
                               struct bytes to)
{
    changes_add(&batch->changes, (struct change){CHANGE_DELETE_RANGE, family, item_new(from, to)});
}

static void batch_adopt(struct kv_batch *batch)
{
    struct bytes nothing = {0};
    changes_add(&batch->changes,
                (struct change){CHANGE_ADOPT, KV_STAGE, item_new(nothing, nothing)});
}

static void batch_free(struct kv_batch *batch)
{
    pthread_mutex_lock(&batch->kv->mutex);
    changes_deinit(&batch->changes);
    pthread_mutex_unlock(&batch->kv->mutex);
    memory_free(batch);
}

static void commit(struct kv *base, struct kv_batch *batch, bool sync)
{
    struct memory_kv *kv = memory_kv_of(base);
    unsigned kinds = 0;
    pthread_mutex_lock(&kv->mutex);
    end_sharing(kv, kv->present);
    for (size_t i = 0; i < batch->changes.count; i++) {
        struct change change = batch->changes.list[i];
        kinds |= change.type == CHANGE_ADOPT ? OF_ALL : kind_of(change.family);
        apply(kv->present, &change);
        item_take(change.item);
        changes_add(&kv->unsynced, change);
    }
    if (sync || kinds == OF_ALL) /* which is whole or not there */
        sync_changes(kv, kinds);
    pthread_mutex_unlock(&kv->mutex);
}

static void drop_files(struct kv *base, enum kv_family family, struct bytes from, struct bytes to)
{
    struct memory_kv *kv = memory_kv_of(base);
    pthread_mutex_lock(&kv->mutex);
    end_sharing(kv, kv->present);
    struct change change = {CHANGE_DELETE_RANGE, family, item_new(from, to)};
    apply(kv->present, &change);
    apply(kv->durable, &change);
    for (struct kv_snapshot *snapshot = kv->snapshots; snapshot; snapshot = snapshot->next) {
        end_sharing(kv, snapshot->maps);
        apply(snapshot->maps, &change);
    }
    item_release(change.item);
    pthread_mutex_unlock(&kv->mutex);
}

/* At once and for good, as a disk does it. */
static void stage_clear(struct kv *base)
{
    struct memory_kv *kv = memory_kv_of(base);
    pthread_mutex_lock(&kv->mutex);
    end_sharing(kv, kv->present);
    map_deinit(&kv->present[KV_STAGE]);
    map_deinit(&kv->durable[KV_STAGE]);
    pthread_mutex_unlock(&kv->mutex);
}

static void reclaim(struct kv *base, enum kv_family family, struct bytes from, struct bytes to)
{
    (void)base; /* what is deleted here is gone */
    (void)family;
    (void)from;
    (void)to;
}

static struct kv_iter *iter_new(struct kv *base, enum kv_family family, struct bytes from,
                                struct bytes to)
{
    struct memory_kv *kv = memory_kv_of(base);
    return iter_of(kv, &kv->present[family], from, to);
}

static bool is_impatient(struct memory_kv *kv)
{
    return kv->patience > 0 && ++kv->asked % kv->patience == 0;
}

static bool iter_next(struct kv_iter *iter, struct bytes *key, struct bytes *value)
{
    check(!iter->gave_up);
    pthread_mutex_lock(&iter->kv->mutex);
    const struct map *map = iter->shared ? iter->shared : &iter->map;
    bool is_there =
        iter->next < map->count &&
        (!iter->to || compare(item_key(map->items[iter->next]), item_key(iter->to)) < 0);
    iter->gave_up = is_there && iter->gives_up && is_impatient(iter->kv);
    is_there = is_there && !iter->gave_up;
    if (is_there) {
        const struct item *item = map->items[iter->next++];
        *key = item_key(item);
        *value = item_value(item);
    }
    pthread_mutex_unlock(&iter->kv->mutex);
    return is_there;
}

static void iter_seek(struct kv_iter *iter, struct bytes from, struct bytes to)
{
    check(to.size > 0 && iter->to);
    struct item *end = end_of(from, to);
    pthread_mutex_lock(&iter->kv->mutex);
    item_release(iter->to);
    iter->to = end;
    iter->gave_up = false;
    iter->next = map_find(iter->shared ? iter->shared : &iter->map, from);
    pthread_mutex_unlock(&iter->kv->mutex);
}

static void iter_free(struct kv_iter *iter)
{
    pthread_mutex_lock(&iter->kv->mutex);
    struct kv_iter **link = &iter->kv->sharing;
    while (*link && *link != iter)
        link = &(*link)->next_sharing;
    if (*link)
        *link = iter->next_sharing;
    if (iter->to)
        item_release(iter->to);
    map_deinit(&iter->map);
    pthread_mutex_unlock(&iter->kv->mutex);
    memory_free(iter);
}

static struct kv_snapshot *snapshot_new(struct kv *base)
{
    struct memory_kv *kv = memory_kv_of(base);
    struct kv_snapshot *snapshot = memory_new(sizeof *snapshot);
    pthread_mutex_lock(&kv->mutex);
    for (int i = 0; i < KV_FAMILIES; i++)
        map_copy(&snapshot->maps[i], &kv->present[i]);
    snapshot->next = kv->snapshots;
    kv->snapshots = snapshot;
    pthread_mutex_unlock(&kv->mutex);
    return snapshot;
}

static void snapshot_free(struct kv *base, struct kv_snapshot *snapshot)
{
    struct memory_kv *kv = memory_kv_of(base);
    pthread_mutex_lock(&kv->mutex);
    struct kv_snapshot **link = &kv->snapshots;
    while (*link != snapshot)
        link = &(*link)->next;
    *link = snapshot->next;
    end_sharing(kv, snapshot->maps);
    for (int i = 0; i < KV_FAMILIES; i++)
        map_deinit(&snapshot->maps[i]);
    pthread_mutex_unlock(&kv->mutex);
    memory_free(snapshot);
}

static bool snapshot_get(struct kv *base, const struct kv_snapshot *snapshot, enum kv_family family,
                         struct bytes key, struct buffer *value)
{
    return get_from(memory_kv_of(base), &snapshot->maps[family], key, value);
}

static struct kv_iter *walk_new(struct kv *base, const struct kv_snapshot *snapshot,
                                enum kv_family family, struct bytes from, struct bytes to,
                                bool gives_up)
{
    struct memory_kv *kv = memory_kv_of(base);
    struct kv_iter *iter =
        iter_of(kv, snapshot ? &snapshot->maps[family] : &kv->present[family], from, to);
    iter->gives_up = gives_up;
    return iter;
}

static bool walk_gave_up(const struct kv_iter *iter)
{
    return iter->gave_up;
}

static void walk_on(struct kv_iter *iter, struct bytes to)
{
    check(iter->gave_up && to.size > 0 && iter->to);
    struct item *end = item_new(to, bytes_of(NULL, 0));
    pthread_mutex_lock(&iter->kv->mutex);
    int order = compare(to, item_key(iter->to));
    check(order <= 0);
    iter->gives_up = order < 0;
    iter->gave_up = false;
    item_release(iter->to);
    iter->to = end;
    pthread_mutex_unlock(&iter->kv->mutex);
}

static struct kv_bulk *bulk_new(struct kv *base, enum kv_family family)
{
    struct kv_bulk *bulk = memory_new(sizeof *bulk);
    check(family >= KV_DATA);
    bulk->kv = memory_kv_of(base);
    bulk->family = family;
    return bulk;
}

static void bulk_add(struct kv_bulk *bulk, enum change_type type, struct item *item)
{
    const struct changes *changes = &bulk->changes;
    if (changes->count)
        check(compare(item_key(changes->list[changes->count - 1].item), item_key(item)) < 0);
    changes_add(&bulk->changes, (struct change){type, bulk->family, item});
}

static void bulk_put(struct kv_bulk *bulk, struct bytes key, struct bytes value)
{
    bulk_add(bulk, CHANGE_PUT, item_new(key, value));
}

static void bulk_delete(struct kv_bulk *bulk, struct bytes key)
{
    bulk_add(bulk, CHANGE_DELETE, item_new(key, bytes_of(NULL, 0)));
}

static void bulk_commit(struct kv_bulk *bulk)
{
    struct memory_kv *kv = bulk->kv;
    pthread_mutex_lock(&kv->mutex);
    end_sharing(kv, kv->present);
    /* A later change must not become durable before an earlier one of the same key. */
    for (size_t i = 0; i < kv->unsynced.count; i++)
        if (kv->unsynced.list[i].family == bulk->family) {
            sync_changes(kv, OF_DATA);
            break;
        }
    for (size_t i = 0; i < bulk->changes.count; i++) {
        apply(kv->present, &bulk->changes.list[i]);
        apply(kv->durable, &bulk->changes.list[i]);
    }
    changes_deinit(&bulk->changes);
    pthread_mutex_unlock(&kv->mutex);
    memory_free(bulk);
}

struct kv *kv_memory_bulk_kv(const struct kv_bulk *bulk)
{
    return &bulk->kv->base;
}

enum kv_family kv_memory_bulk_family(const struct kv_bulk *bulk)
{
    return bulk->family;
}

void kv_memory_bulk_drop(struct kv_bulk *bulk)
{
    struct memory_kv *kv = bulk->kv;
    pthread_mutex_lock(&kv->mutex); /* of the counters */
    changes_deinit(&bulk->changes);
    pthread_mutex_unlock(&kv->mutex);
    memory_free(bulk);
}

static uint64_t property(struct kv *kv, enum kv_family family, const char *name)
{
    (void)kv;
    (void)family;
    (void)name;
    return 0;
}

static void close_kv(struct kv *base)
{
    struct memory_kv *kv = memory_kv_of(base);
    for (int i = 0; i < KV_FAMILIES; i++) {
        map_deinit(&kv->present[i]);
        map_deinit(&kv->durable[i]);
    }
    changes_deinit(&kv->unsynced);
    pthread_mutex_destroy(&kv->mutex);
    memory_free(kv);
}

static const struct kv_ops memory_ops = {
    .get = get,
    .get_head = get_head,
    .get_heads = get_heads,
    .batch_new = batch_new,
    .batch_put = batch_put,
    .batch_delete = batch_delete,
    .batch_delete_range = batch_delete_range,
    .batch_adopt = batch_adopt,
    .stage_clear = stage_clear,
    .batch_free = batch_free,
    .commit = commit,
    .drop_files = drop_files,
    .reclaim = reclaim,
    .iter_new = iter_new,
    .iter_next = iter_next,
    .iter_seek = iter_seek,
    .iter_free = iter_free,
    .walk_new = walk_new,
    .walk_gave_up = walk_gave_up,
    .walk_on = walk_on,
    .snapshot_new = snapshot_new,
    .snapshot_free = snapshot_free,
    .snapshot_get = snapshot_get,
    .bulk_new = bulk_new,
    .bulk_put = bulk_put,
    .bulk_delete = bulk_delete,
    .bulk_commit = bulk_commit,
    .property = property,
    .close = close_kv,
};

struct kv *kv_memory_open(void)
{
    struct memory_kv *kv = memory_new(sizeof *kv);
    kv->base.ops = &memory_ops;
    pthread_mutex_init(&kv->mutex, NULL);
    return &kv->base;
}

void kv_memory_gives_up(struct kv *base, unsigned patience)
{
    memory_kv_of(base)->patience = patience;
}

/* Items of the copy are its own: their counters are under its mutex. */
static void map_copy_items(struct map *map, const struct map *from)
{
    map_copy(map, from);
    for (size_t i = 0; i < map->count; i++) {
        struct item *item = map->items[i];
        item_release(item);
        map->items[i] = item_new(item_key(item), item_value(item));
    }
}

struct kv *kv_memory_copy(struct kv *base)
{
    struct memory_kv *kv = memory_kv_of(base), *copy = memory_kv_of(kv_memory_open());
    pthread_mutex_lock(&kv->mutex);
    copy->patience = kv->patience;
    for (int i = 0; i < KV_FAMILIES; i++) {
        map_copy_items(&copy->durable[i], &kv->durable[i]);
        map_copy(&copy->present[i], &copy->durable[i]);
    }
    pthread_mutex_unlock(&kv->mutex);
    return &copy->base;
}

void kv_memory_sync(struct kv *base)
{
    struct memory_kv *kv = memory_kv_of(base);
    pthread_mutex_lock(&kv->mutex);
    sync_changes(kv, OF_ALL);
    pthread_mutex_unlock(&kv->mutex);
}

void kv_memory_crash(struct kv *base)
{
    struct memory_kv *kv = memory_kv_of(base);
    pthread_mutex_lock(&kv->mutex);
    end_sharing(kv, kv->present);
    changes_clear(&kv->unsynced);
    for (int i = 0; i < KV_FAMILIES; i++) {
        map_deinit(&kv->present[i]);
        map_copy(&kv->present[i], &kv->durable[i]);
    }
    pthread_mutex_unlock(&kv->mutex);
}
