/* Random runs of the db against a model: entries that depend on the seed and their number alone, so
 * that they can be applied again after a crash; checkpoints, views and the end of the machine at
 * random places; and beside it a second db that never checkpoints, whose hash has to be the
 * same. */
#ifndef TEST_DB_RUN_H
#define TEST_DB_RUN_H

#include <stdio.h>

#include "kv_memory.h"
#include "test_db.h"

enum { DB_RUN_VIEWS = 2, DB_RUN_CLUSTER = 7 };

/* What a test has to say of its entries. */
struct db_run_kind {
    size_t model_size; /* of a model of nothing, which is all zeros */
    uint64_t entries;
    void (*apply)(struct db *db, void *model, uint64_t seed, uint64_t index);
    /* The db, or a view of it, has what the model has after entry `index`. */
    void (*compare)(struct db *db, struct db_view *view, const void *model, uint64_t index);
};

struct db_run {
    const struct db_run_kind *kind;
    uint64_t seed, dice, index; /* the last entry */
    struct kv *kv, *reference_kv;
    struct db *db, *reference;
    struct db_options options;
    void *model; /* owned, like those of views */
    struct {
        struct db_view *view; /* NULL: none */
        void *model;
        uint64_t index;
    } views[DB_RUN_VIEWS];
};

struct text {
    char bytes[32];
    size_t size;
};

static inline struct bytes name(struct text *text, const char *kind, unsigned number)
{
    text->size = (size_t)snprintf(text->bytes, sizeof text->bytes, "%s%u", kind, number);
    return bytes_of(text->bytes, text->size);
}

static inline void db_run_wake(void *context)
{
    (void)context; /* it is polled at random */
}

static inline struct db_run *db_run_new(const struct db_run_kind *kind, uint64_t seed,
                                        uint64_t checkpoint_bytes, bool has_thread)
{
    struct db_options never = {.cluster = DB_RUN_CLUSTER, .checkpoint_bytes = UINT64_MAX};
    struct db_run *run = memory_new(sizeof *run);
    run->kind = kind;
    run->seed = seed;
    run->dice = seed + 1;
    run->options = (struct db_options){.cluster = DB_RUN_CLUSTER,
                                       .checkpoint_bytes = checkpoint_bytes,
                                       .cache_bytes = seed % 3 * 50000,
                                       .wake = has_thread ? db_run_wake : NULL};
    struct kv *kv = kv_memory_open();
    kv_memory_gives_up(kv, seed % 4 == 0 ? 0 : (unsigned)(1 + seed % 4));
    run->kv = mortal_open(kv);
    run->db = db_open(run->kv, &run->options);
    run->reference_kv = kv_memory_open();
    run->reference = db_open(run->reference_kv, &never);
    run->model = memory_new(kind->model_size);
    for (unsigned i = 0; i < DB_RUN_VIEWS; i++)
        run->views[i].model = memory_new(kind->model_size);
    return run;
}

static inline void db_run_release_views(struct db_run *run)
{
    for (unsigned i = 0; i < DB_RUN_VIEWS; i++) {
        if (run->views[i].view)
            db_view_release(run->views[i].view);
        run->views[i].view = NULL;
    }
}

static inline void db_run_free(struct db_run *run)
{
    db_run_release_views(run);
    db_close(run->db);
    db_close(run->reference);
    run->kv->ops->close(run->kv);
    run->reference_kv->ops->close(run->reference_kv);
    for (unsigned i = 0; i < DB_RUN_VIEWS; i++)
        memory_free(run->views[i].model);
    memory_free(run->model);
    memory_free(run);
}

/* The model has no past: it is made again by a db that is thrown away. */
static inline void db_run_remodel(struct db_run *run, uint64_t index)
{
    struct kv *kv = kv_memory_open();
    struct db *db = db_open(kv, &run->options);
    memset(run->model, 0, run->kind->model_size);
    for (uint64_t i = 1; i <= index; i++)
        run->kind->apply(db, run->model, run->seed, i);
    db_close(db);
    kv->ops->close(kv);
}

/* The machine ends, and what was not stored is applied again. */
static inline void db_run_crash(struct db_run *run)
{
    db_run_release_views(run);
    db_close(run->db);
    kv_memory_crash(mortal_of(run->kv)->inner);
    mortal_set_lives(run->kv, -1);
    run->db = db_open(run->kv, &run->options);
    db_run_remodel(run, db_applied_index(run->db));
    for (uint64_t i = db_applied_index(run->db) + 1; i <= run->index; i++)
        run->kind->apply(run->db, run->model, run->seed, i);
}

/* Takes one, or looks at the one that was taken. */
static inline void db_run_view(struct db_run *run, unsigned i)
{
    if (run->views[i].view) {
        run->kind->compare(run->db, run->views[i].view, run->views[i].model, run->views[i].index);
        db_view_release(run->views[i].view);
        run->views[i].view = NULL;
        return;
    }
    run->views[i].view = db_view_new(run->db);
    run->views[i].index = run->index;
    memcpy(run->views[i].model, run->model, run->kind->model_size);
}

static inline void db_run_disturb(struct db_run *run)
{
    uint64_t what = prng_below(&run->dice, 300);
    if (what < 5)
        db_checkpoint(run->db);
    else if (what < 15)
        db_resolve(run->db, prng_below(&run->dice, 20));
    else if (what < 25)
        db_run_view(run, (unsigned)prng_below(&run->dice, DB_RUN_VIEWS));
    else if (what < 30)
        run->kind->compare(run->db, NULL, run->model, run->index);
    else if (what < 60)
        db_poll(run->db);
    else if (what == 60)
        mortal_set_lives(run->kv, (int)prng_below(&run->dice, 6));
    if (mortal_is_dead(run->kv)) /* what it reads from now on may be anything */
        db_run_crash(run);
}

/* All entries; afterwards both have the same, and the machine lives. */
static inline void db_run_all(struct db_run *run)
{
    void *unused = memory_new(run->kind->model_size);
    while (run->index < run->kind->entries) {
        run->index++;
        run->kind->apply(run->reference, unused, run->seed, run->index);
        run->kind->apply(run->db, run->model, run->seed, run->index);
        db_run_disturb(run);
    }
    mortal_set_lives(run->kv, -1);
    db_run_release_views(run);
    run->kind->compare(run->db, NULL, run->model, run->index);
    assert_int_equal(db_hash(run->db), db_hash(run->reference));
    memory_free(unused);
}

/* What was changed behind the entries is one more, and stored: no checkpoint is under way then, and
 * none is due. */
static inline void db_run_store(struct db_run *run)
{
    run->index++;
    db_applied(run->db, run->index, 1, (int64_t)run->index);
    db_wait(run->db);
    db_checkpoint(run->db);
    db_wait(run->db);
}

/* Rows of a kind of key in the kv. */
static inline uint64_t db_run_rows(const struct db_run *run, const char *kind)
{
    return stored_keys(run->kv, bytes_from_string(kind));
}

#endif
