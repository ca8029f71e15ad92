/* A store that dies when it is told to, for the tests of the db.
 *
 * It passes everything on to another kv.  After `lives` more writes (a bulk, a commit, a dropping
 * of files) it is dead: what is written later is lost, as if the machine had stopped there,
 * whatever the db does until it is closed.  It can also hold up bulks, to keep a checkpoint under
 * way. */
#ifndef TEST_DB_H
#define TEST_DB_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "data/db.h"
#include "storage/kv.h"

struct mortal_kv {
    struct kv base;
    struct kv_ops ops; /* the inner store's, but for those below */
    struct kv *inner;  /* owned */
    pthread_mutex_t mutex;
    pthread_cond_t released;
    bool is_held; /* bulks wait */
    int puts;     /* into bulks that still go through; negative: all of them */
    int lives;    /* writes that still succeed; negative: immortal */
    uint64_t gets;
    uint64_t gets_at_once;  /* most of one get_heads */
    uint64_t bytes_at_once; /* the same, of what they found */
    uint64_t reclaims;      /* asked for */
    uint64_t stored;        /* bytes that it says it has */
};

/* What a bulk will do, until it is known whether the store lives. */
struct kv_bulk {
    struct mortal_kv *kv;
    enum kv_family family;
    struct buffer changes; /* struct bulk_change, key, value; again and again */
};

struct bulk_change {
    bool is_delete;
    size_t key_size, value_size;
};

static inline struct mortal_kv *mortal_of(struct kv *kv)
{
    return (struct mortal_kv *)kv;
}

static inline bool mortal_survives(struct mortal_kv *kv)
{
    pthread_mutex_lock(&kv->mutex);
    while (kv->is_held)
        pthread_cond_wait(&kv->released, &kv->mutex);
    bool is_alive = kv->lives != 0;
    if (kv->lives > 0)
        kv->lives--;
    pthread_mutex_unlock(&kv->mutex);
    return is_alive;
}

static inline bool mortal_get(struct kv *kv, enum kv_family family, struct bytes key,
                              struct buffer *value)
{
    struct kv *inner = mortal_of(kv)->inner;
    __atomic_add_fetch(&mortal_of(kv)->gets, 1, __ATOMIC_RELAXED);
    return inner->ops->get(inner, family, key, value);
}

static inline bool mortal_get_head(struct kv *kv, enum kv_family family, struct bytes key,
                                   size_t head_max, struct buffer *head, size_t *size)
{
    struct kv *inner = mortal_of(kv)->inner;
    __atomic_add_fetch(&mortal_of(kv)->gets, 1, __ATOMIC_RELAXED);
    return inner->ops->get_head(inner, family, key, head_max, head, size);
}

static inline void mortal_get_heads(struct kv *kv, enum kv_family family, struct kv_head *heads,
                                    size_t count, size_t head_max, bool keeps)
{
    struct kv *inner = mortal_of(kv)->inner;
    __atomic_add_fetch(&mortal_of(kv)->gets, count, __ATOMIC_RELAXED);
    if (count > mortal_of(kv)->gets_at_once)
        mortal_of(kv)->gets_at_once = count;
    inner->ops->get_heads(inner, family, heads, count, head_max, keeps);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += heads[i].is_there ? heads[i].size : 0;
    if (bytes > mortal_of(kv)->bytes_at_once)
        mortal_of(kv)->bytes_at_once = bytes;
}

static inline struct kv_batch *mortal_batch_new(struct kv *kv)
{
    struct kv *inner = mortal_of(kv)->inner;
    return inner->ops->batch_new(inner);
}

static inline void mortal_commit(struct kv *kv, struct kv_batch *batch, bool sync)
{
    struct kv *inner = mortal_of(kv)->inner;
    if (mortal_survives(mortal_of(kv)))
        inner->ops->commit(inner, batch, sync);
}

static inline void mortal_drop_files(struct kv *kv, enum kv_family family, struct bytes from,
                                     struct bytes to)
{
    struct kv *inner = mortal_of(kv)->inner;
    if (mortal_survives(mortal_of(kv)))
        inner->ops->drop_files(inner, family, from, to);
}

static inline void mortal_stage_clear(struct kv *kv)
{
    struct kv *inner = mortal_of(kv)->inner;
    if (mortal_survives(mortal_of(kv)))
        inner->ops->stage_clear(inner);
}

static inline uint64_t mortal_property(struct kv *kv, enum kv_family family, const char *name)
{
    (void)family;
    assert_string_equal(name, "rocksdb.total-sst-files-size");
    return mortal_of(kv)->stored;
}

static inline void mortal_reclaim(struct kv *kv, enum kv_family family, struct bytes from,
                                  struct bytes to)
{
    struct kv *inner = mortal_of(kv)->inner;
    mortal_of(kv)->reclaims++;
    inner->ops->reclaim(inner, family, from, to);
}

static inline struct kv_iter *mortal_iter_new(struct kv *kv, enum kv_family family,
                                              struct bytes from, struct bytes to)
{
    struct kv *inner = mortal_of(kv)->inner;
    return inner->ops->iter_new(inner, family, from, to);
}

static inline struct kv_snapshot *mortal_snapshot_new(struct kv *kv)
{
    return mortal_of(kv)->inner->ops->snapshot_new(mortal_of(kv)->inner);
}

static inline void mortal_snapshot_free(struct kv *kv, struct kv_snapshot *snapshot)
{
    mortal_of(kv)->inner->ops->snapshot_free(mortal_of(kv)->inner, snapshot);
}

static inline bool mortal_snapshot_get(struct kv *kv, const struct kv_snapshot *snapshot,
                                       enum kv_family family, struct bytes key,
                                       struct buffer *value)
{
    struct kv *inner = mortal_of(kv)->inner;
    return inner->ops->snapshot_get(inner, snapshot, family, key, value);
}

static inline struct kv_iter *mortal_walk_new(struct kv *kv, const struct kv_snapshot *snapshot,
                                              enum kv_family family, struct bytes from,
                                              struct bytes to, bool gives_up)
{
    struct kv *inner = mortal_of(kv)->inner;
    return inner->ops->walk_new(inner, snapshot, family, from, to, gives_up);
}

static inline struct kv_bulk *mortal_bulk_new(struct kv *kv, enum kv_family family)
{
    struct kv_bulk *bulk = memory_new(sizeof *bulk);
    bulk->kv = mortal_of(kv);
    bulk->family = family;
    return bulk;
}

static inline void mortal_bulk_add(struct kv_bulk *bulk, bool is_delete, struct bytes key,
                                   struct bytes value)
{
    struct bulk_change change = {is_delete, key.size, value.size};
    buffer_append(&bulk->changes, &change, sizeof change);
    buffer_append_bytes(&bulk->changes, key);
    buffer_append_bytes(&bulk->changes, value);
}

static inline void mortal_bulk_put(struct kv_bulk *bulk, struct bytes key, struct bytes value)
{
    struct mortal_kv *kv = bulk->kv;
    pthread_mutex_lock(&kv->mutex);
    while (kv->puts == 0)
        pthread_cond_wait(&kv->released, &kv->mutex);
    if (kv->puts > 0)
        kv->puts--;
    pthread_mutex_unlock(&kv->mutex);
    mortal_bulk_add(bulk, false, key, value);
}

static inline void mortal_bulk_delete(struct kv_bulk *bulk, struct bytes key)
{
    mortal_bulk_add(bulk, true, key, (struct bytes){0});
}

static inline void mortal_bulk_pass_on(struct kv_bulk *bulk)
{
    struct kv *inner = bulk->kv->inner;
    struct kv_bulk *real = inner->ops->bulk_new(inner, bulk->family);
    for (size_t at = 0; at < bulk->changes.size;) {
        struct bulk_change change;
        memcpy(&change, bulk->changes.data + at, sizeof change);
        const char *key = bulk->changes.data + at + sizeof change;
        if (change.is_delete)
            inner->ops->bulk_delete(real, bytes_of(key, change.key_size));
        else
            inner->ops->bulk_put(real, bytes_of(key, change.key_size),
                                 bytes_of(key + change.key_size, change.value_size));
        at += sizeof change + change.key_size + change.value_size;
    }
    inner->ops->bulk_commit(real);
}

static inline void mortal_bulk_commit(struct kv_bulk *bulk)
{
    if (mortal_survives(bulk->kv))
        mortal_bulk_pass_on(bulk);
    buffer_deinit(&bulk->changes);
    memory_free(bulk);
}

static inline void mortal_close(struct kv *kv)
{
    struct mortal_kv *mortal = mortal_of(kv);
    mortal->inner->ops->close(mortal->inner);
    pthread_mutex_destroy(&mortal->mutex);
    pthread_cond_destroy(&mortal->released);
    memory_free(mortal);
}

/* Takes `inner`. */
static inline struct kv *mortal_open(struct kv *inner)
{
    struct mortal_kv *mortal = memory_new(sizeof *mortal);
    struct kv_ops *ops = &mortal->ops;
    *ops = *inner->ops;
    ops->get = mortal_get;
    ops->get_head = mortal_get_head;
    ops->get_heads = mortal_get_heads;
    ops->batch_new = mortal_batch_new; /* batches are the inner store's own */
    ops->commit = mortal_commit;
    ops->drop_files = mortal_drop_files;
    ops->stage_clear = mortal_stage_clear;
    ops->reclaim = mortal_reclaim;
    ops->iter_new = mortal_iter_new;
    ops->snapshot_new = mortal_snapshot_new;
    ops->snapshot_free = mortal_snapshot_free;
    ops->snapshot_get = mortal_snapshot_get;
    ops->walk_new = mortal_walk_new;
    ops->bulk_new = mortal_bulk_new;
    ops->bulk_put = mortal_bulk_put;
    ops->bulk_delete = mortal_bulk_delete;
    ops->bulk_commit = mortal_bulk_commit;
    ops->property = mortal_property;
    ops->close = mortal_close;
    mortal->base.ops = ops;
    mortal->inner = inner;
    mortal->lives = -1;
    mortal->puts = -1;
    pthread_mutex_init(&mortal->mutex, NULL);
    pthread_cond_init(&mortal->released, NULL);
    return &mortal->base;
}

static inline void mortal_set_lives(struct kv *kv, int lives)
{
    struct mortal_kv *mortal = mortal_of(kv);
    pthread_mutex_lock(&mortal->mutex);
    mortal->lives = lives;
    pthread_mutex_unlock(&mortal->mutex);
}

static inline bool mortal_is_dead(struct kv *kv)
{
    struct mortal_kv *mortal = mortal_of(kv);
    pthread_mutex_lock(&mortal->mutex);
    bool is_dead = mortal->lives == 0;
    pthread_mutex_unlock(&mortal->mutex);
    return is_dead;
}

static inline void mortal_hold(struct kv *kv, bool is_held)
{
    struct mortal_kv *mortal = mortal_of(kv);
    pthread_mutex_lock(&mortal->mutex);
    mortal->is_held = is_held;
    pthread_cond_broadcast(&mortal->released);
    pthread_mutex_unlock(&mortal->mutex);
}

/* Bulks wait after so many more puts; negative: they do not. */
static inline void mortal_hold_puts(struct kv *kv, int puts)
{
    struct mortal_kv *mortal = mortal_of(kv);
    pthread_mutex_lock(&mortal->mutex);
    mortal->puts = puts;
    pthread_cond_broadcast(&mortal->released);
    pthread_mutex_unlock(&mortal->mutex);
}

/* How many keys of the data family start with these bytes. */
static inline uint64_t stored_keys(struct kv *kv, struct bytes prefix)
{
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, prefix, kv_family_end());
    struct bytes key, value;
    uint64_t count = 0;
    while (kv->ops->iter_next(iter, &key, &value) && key.size >= prefix.size &&
           memcmp(key.data, prefix.data, prefix.size) == 0)
        count++;
    kv->ops->iter_free(iter);
    return count;
}

#endif
