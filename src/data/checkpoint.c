/* A checkpoint: one bulk with the state record and all changes of some layers, in key order.
 *
 * Everything in here runs in the checkpoint's own thread (in the caller's, without `wake`), except
 * checkpoint_start, _is_done and _finish, which are the loop's.  The two threads share the layers,
 * read-only, and the flag `is_done`; a thread lives for one checkpoint, and joining it is all the
 * synchronisation there is.
 *
 * The state record goes into the same bulk as the changes that it speaks of: after a crash either
 * both are there or neither.  Keys of dead spaces are deleted only after the bulk that made their
 * space dead for good; nothing depends on that deletion, and a crash may come before it: db_open()
 * looks for such keys and has them deleted. */
#include "data/checkpoint.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"

struct checkpoint {
    struct checkpoint_job job;
    pthread_t thread;
    atomic_bool is_done;
};

static bool is_living(const struct state *state, uint64_t space)
{
    for (int i = 0; i < RECORD_DATABASES; i++)
        if (state->databases[i].space == space)
            return true;
    return false;
}

static void write_space(struct kv_bulk *bulk, const struct checkpoint_job *job, enum table table,
                        uint64_t space, struct buffer *key)
{
    const struct kv_ops *ops = job->kv->ops;
    struct merge merge;
    merge_open(&merge, &job->sources, table, space, 0);
    while (merge_next(&merge)) {
        struct place place = {table, space, merge.word, merge.name};
        record_key(key, &place);
        if (merge_is_live(&merge))
            ops->bulk_put(bulk, buffer_bytes(key), merge.record);
        else
            ops->bulk_delete(bulk, buffer_bytes(key));
    }
    merge_close(&merge);
}

/* The first space >= *space that some layer has; false: there is none. */
static bool next_space(const struct checkpoint_job *job, enum table table, uint64_t *space)
{
    bool is_found = false;
    uint64_t first = 0;
    for (unsigned i = 0; i < job->sources.count; i++) {
        uint64_t next = *space;
        if (!overlay_next_space(&job->sources.layers[i]->tables[table], &next))
            continue;
        if (!is_found || next < first)
            first = next;
        is_found = true;
    }
    *space = first;
    return is_found;
}

static void write_table(struct kv_bulk *bulk, const struct checkpoint_job *job, enum table table,
                        struct buffer *key)
{
    for (uint64_t space = 0; next_space(job, table, &space); space++)
        if (table != TABLE_KEYS || is_living(&job->state, space))
            write_space(bulk, job, table, space, key);
}

static void write_layers(const struct checkpoint_job *job)
{
    const struct kv_ops *ops = job->kv->ops;
    struct kv_bulk *bulk = ops->bulk_new(job->kv, KV_DATA);
    unsigned char state[RECORD_STATE_SIZE];
    record_state_encode(state, &job->state, job->hash_seed);
    ops->bulk_put(bulk, record_state_key(), bytes_of(state, sizeof state));
    struct buffer key = {0};
    for (int table = 0; table < TABLES; table++)
        write_table(bulk, job, (enum table)table, &key);
    buffer_deinit(&key);
    ops->bulk_commit(bulk);
}

static int compare_spaces(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

/* Deletes the keys of from <= space < to. */
static void delete_spaces(const struct checkpoint_job *job, uint64_t space_from, uint64_t space_to)
{
    const struct kv_ops *ops = job->kv->ops;
    struct buffer from = {0}, to = {0};
    record_key_first(&from, TABLE_KEYS, space_from);
    record_key_first(&to, TABLE_KEYS, space_to);
    struct kv_batch *batch = ops->batch_new(job->kv);
    ops->batch_delete_range(batch, KV_DATA, buffer_bytes(&from), buffer_bytes(&to));
    ops->commit(job->kv, batch, true); /* drop_files asks for it */
    ops->batch_free(batch);
    ops->drop_files(job->kv, KV_DATA, buffer_bytes(&from), buffer_bytes(&to));
    buffer_deinit(&from);
    buffer_deinit(&to);
}

/* Spaces are given out once, and only databases live: whatever lies between two living ones is
 * dead. */
static void sweep(const struct checkpoint_job *job)
{
    uint64_t spaces[RECORD_DATABASES + 1];
    for (int i = 0; i < RECORD_DATABASES; i++)
        spaces[i] = job->state.databases[i].space;
    spaces[RECORD_DATABASES] = job->state.space_next;
    qsort(spaces, RECORD_DATABASES + 1, sizeof *spaces, compare_spaces);
    uint64_t from = 0;
    for (int i = 0; i <= RECORD_DATABASES; i++) {
        if (from < spaces[i])
            delete_spaces(job, from, spaces[i]);
        from = spaces[i] + 1;
    }
}

static void run(struct checkpoint *checkpoint)
{
    struct checkpoint_job *job = &checkpoint->job;
    layer_free(job->discarded);
    job->discarded = NULL;
    write_layers(job);
    if (job->sweep)
        sweep(job);
    atomic_store(&checkpoint->is_done, true);
}

static void *thread_main(void *context)
{
    struct checkpoint *checkpoint = context;
    run(checkpoint);
    checkpoint->job.wake(checkpoint->job.wake_context);
    return NULL;
}

struct checkpoint *checkpoint_start(const struct checkpoint_job *job)
{
    struct checkpoint *checkpoint = memory_new(sizeof *checkpoint);
    checkpoint->job = *job;
    if (!job->wake)
        run(checkpoint);
    else if (pthread_create(&checkpoint->thread, NULL, thread_main, checkpoint) != 0)
        fatal("cannot start a thread for a checkpoint");
    return checkpoint;
}

bool checkpoint_is_done(const struct checkpoint *checkpoint)
{
    return atomic_load(&checkpoint->is_done);
}

void checkpoint_finish(struct checkpoint *checkpoint)
{
    if (checkpoint->job.wake && pthread_join(checkpoint->thread, NULL) != 0)
        fatal("cannot join the thread of a checkpoint");
    check(checkpoint_is_done(checkpoint));
    memory_free(checkpoint);
}
