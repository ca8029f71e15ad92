/* A checkpoint: one bulk with the state record and all changes of some layers, in key order.
 *
 * Everything in here runs in the checkpoint's own thread (in the caller's, without `wake`), except
 * checkpoint_start, _is_done and _finish, which are the loop's.  The two threads share the layers,
 * read-only, `is_done`, and how much is `done`; a thread lives for one checkpoint, and joining it
 * is all the synchronisation there is.
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

enum {
    RECLAIM_FRACTION = 4, /* of what is stored has to be freed */
    PROGRESS_STEPS = 64,  /* so often the loop is told how far it is */
    HEAD_SIZE = 64        /* of a record */
};
_Static_assert((int)RECORD_HEADER_MAX <= (int)HEAD_SIZE, "a head has the whole header");

/* A name that is to be resolved.  Its word and entries are good until the checkpoint ends. */
struct name {
    uint64_t word;
    struct entry *entries[LAYERS_MAX + 1]; /* by source; NULL: it says nothing of the name */
    const struct kv_head *stored;          /* NULL: the kv does not have it, or was not asked */
};

struct checkpoint {
    struct checkpoint_job job;
    struct checkpoint_result result;
    struct slots *change[RECORD_DATABASES]; /* keys that come and go in the kv; owned */
    struct layer *found;                    /* spaces that are dead by unresolved names; owned */
    struct buffer key;                      /* scratch */
    struct name names[KV_HEADS_MAX];        /* resolved together */
    struct kv_head heads[KV_HEADS_MAX];     /* of those that the kv is asked for */
    struct buffer keys[KV_HEADS_MAX];       /* of the heads */
    unsigned names_count, heads_count, names_at_once;
    uint64_t steps, steps_max; /* names resolved and rows written, and how many there can be */
    pthread_t thread;
    atomic_uint_fast64_t done; /* of the steps, as far as the loop is told */
    atomic_bool is_done;
};

static bool is_living(const struct state *state, uint64_t space)
{
    for (int i = 0; i < RECORD_DATABASES; i++)
        if (state->databases[i].space == space)
            return true;
    return false;
}

/* ---- progress ------------------------------------------------------------------------ */

static uint64_t count_steps(const struct checkpoint_job *job)
{
    uint64_t steps = 0;
    for (unsigned i = 0; i < job->sources.count; i++) {
        const struct layer *layer = job->sources.layers[i];
        steps += layer->tables[TABLE_KEYS].entries; /* to be resolved */
        for (int table = 0; table < TABLES; table++)
            steps += layer->tables[table].entries;
    }
    return steps;
}

static void tell(struct checkpoint *checkpoint, uint64_t done)
{
    atomic_store(&checkpoint->done, done);
    if (checkpoint->job.wake)
        checkpoint->job.wake(checkpoint->job.wake_context);
}

static void advance(struct checkpoint *checkpoint)
{
    uint64_t steps = ++checkpoint->steps;
    if (steps < checkpoint->steps_max && steps % (checkpoint->steps_max / PROGRESS_STEPS + 1) == 0)
        tell(checkpoint, steps);
}

/* ---- resolving ----------------------------------------------------------------------- */

static void count(struct slots **slots, uint64_t word, int64_t keys)
{
    if (keys == 0)
        return;
    if (!*slots)
        *slots = memory_new(sizeof **slots);
    layers_slots_add(*slots, record_word_slot(word), keys);
}

/* What was said of an entry without a look below turns out. */
static void resolve_entry(struct checkpoint *checkpoint, unsigned database, uint64_t word,
                          struct entry *entry, bool is_there, uint64_t space)
{
    if (entry->below != BELOW_UNKNOWN)
        return;
    count(&checkpoint->result.surplus[database], word, is_there);
    entry->below = is_there ? BELOW_YES : BELOW_NO;
    if (is_there && space) {
        uint64_t owner = checkpoint->result.state.databases[database].space;
        layers_space_bury(checkpoint->found, owner, space); /* L7 */
    }
}

/* Says of each entry of the name what is below it, from the oldest layer up, and counts those that
 * were counted as new and were not (L6). */
static void resolve_name(struct checkpoint *checkpoint, unsigned database, const struct name *name)
{
    bool is_known = false, was_stored = false, is_there = false;
    uint64_t space = 0; /* of the collection that was there */
    for (unsigned i = checkpoint->job.sources.count; i-- > 0;) {
        struct entry *entry = name->entries[i];
        if (!entry)
            continue;
        if (!is_known && entry->below == BELOW_UNKNOWN) {
            is_there = was_stored = name->stored && name->stored->is_there;
            if (is_there)
                space = record_space(buffer_bytes(&name->stored->head));
        } else if (!is_known) {
            is_there = was_stored = entry->below == BELOW_YES;
        }
        is_known = true;
        resolve_entry(checkpoint, database, name->word, entry, is_there, space);
        check((entry->below == BELOW_YES) == is_there); /* L3 */
        is_there = !entry->is_tombstone;
        space = is_there ? record_space(entry_record(entry)) : 0;
    }
    count(&checkpoint->change[database], name->word, is_there - was_stored);
}

/* Takes the merge's present name to those that are resolved next.  The kv has nothing of this
 * checkpoint yet. */
static void gather_name(struct checkpoint *checkpoint, const struct merge *merge)
{
    struct name *name = &checkpoint->names[checkpoint->names_count++];
    const struct entry *oldest = NULL;
    *name = (struct name){.word = merge->word};
    for (unsigned i = 0; i < checkpoint->job.sources.count; i++)
        if (merge->spent & 1u << i)
            oldest = name->entries[i] = merge->iters[i].entry;
    if (!oldest || oldest->below != BELOW_UNKNOWN ||
        !layers_kv_counts(&checkpoint->job.persisted, TABLE_KEYS, merge->space))
        return;
    struct place place = {TABLE_KEYS, merge->space, merge->word, merge->name};
    struct buffer *key = &checkpoint->keys[checkpoint->heads_count];
    struct kv_head *head = &checkpoint->heads[checkpoint->heads_count++];
    record_key(key, &place);
    head->key = buffer_bytes(key);
    name->stored = head;
}

static void look_below(struct checkpoint *checkpoint)
{
    struct kv *kv = checkpoint->job.kv;
    struct stored_sizes *sizes = &checkpoint->result.stored_sizes;
    if (checkpoint->heads_count == 0)
        return;
    kv->ops->get_heads(kv, KV_DATA, checkpoint->heads, checkpoint->heads_count, HEAD_SIZE, false);
    for (unsigned i = 0; i < checkpoint->heads_count; i++) {
        if (!checkpoint->heads[i].is_there)
            continue;
        layers_found_one(sizes, checkpoint->heads[i].size);
    }
    checkpoint->names_at_once = layers_looks_at_once(sizes);
}

static void resolve_names(struct checkpoint *checkpoint, unsigned database)
{
    look_below(checkpoint);
    for (unsigned i = 0; i < checkpoint->names_count; i++) {
        resolve_name(checkpoint, database, &checkpoint->names[i]);
        advance(checkpoint);
    }
    checkpoint->names_count = checkpoint->heads_count = 0;
}

static uint64_t stored_keys(const struct state *persisted, uint64_t space)
{
    for (int i = 0; i < RECORD_DATABASES; i++)
        if (persisted->databases[i].space == space)
            return persisted->databases[i].keys;
    return 0;
}

static uint64_t slots_sum(const struct slots *slots)
{
    uint64_t sum = 0;
    for (unsigned i = 0; slots && i < RECORD_GROUPS; i++)
        sum += slots->groups[i];
    return sum;
}

static void resolve_database(struct checkpoint *checkpoint, unsigned database)
{
    struct checkpoint_job *job = &checkpoint->job;
    struct state *state = &checkpoint->result.state;
    uint64_t space = state->databases[database].space;
    struct merge merge;
    merge_open(&merge, &job->sources, TABLE_KEYS, space, 0);
    while (merge_next(&merge)) {
        gather_name(checkpoint, &merge);
        if (checkpoint->names_count == checkpoint->names_at_once)
            resolve_names(checkpoint, database);
    }
    resolve_names(checkpoint, database);
    merge_close(&merge);
    uint64_t keys = stored_keys(&job->persisted, space) + slots_sum(checkpoint->change[database]);
    state->databases[database].keys -= slots_sum(checkpoint->result.surplus[database]);
    check(state->databases[database].keys == keys);
}

/* ---- writing --------------------------------------------------------------------------- */

static bool is_changed(const struct slots *change, unsigned group)
{
    for (unsigned i = 0; i < RECORD_GROUP_SLOTS; i++)
        if (change->slots[group * RECORD_GROUP_SLOTS + i] != 0)
            return true;
    return false;
}

static void write_groups(struct checkpoint *checkpoint, struct kv_bulk *bulk, uint64_t space,
                         const struct slots *change)
{
    const struct kv_ops *ops = checkpoint->job.kv->ops;
    unsigned char record[RECORD_GROUP_SIZE];
    uint64_t keys;
    struct slots *slots = layers_slots_load(checkpoint->job.kv, space, &keys);
    if (!slots)
        slots = memory_new(sizeof *slots);
    for (unsigned i = 0; i < SLOTS; i++)
        layers_slots_add(slots, i, (int64_t)change->slots[i]);
    for (unsigned group = 0; group < RECORD_GROUPS; group++) {
        if (!is_changed(change, group))
            continue;
        record_group_key(&checkpoint->key, space, group);
        layers_slots_encode(slots, group, record);
        ops->bulk_put(bulk, buffer_bytes(&checkpoint->key), bytes_of(record, sizeof record));
    }
    memory_free(slots);
}

/* In order of their spaces. */
static void write_counts(struct checkpoint *checkpoint, struct kv_bulk *bulk)
{
    const struct state *state = &checkpoint->job.state;
    uint64_t from = 0;
    for (int round = 0; round < RECORD_DATABASES; round++) {
        int next = -1;
        for (int i = 0; i < RECORD_DATABASES; i++)
            if (state->databases[i].space >= from &&
                (next < 0 || state->databases[i].space < state->databases[next].space))
                next = i;
        from = state->databases[next].space + 1;
        if (checkpoint->change[next])
            write_groups(checkpoint, bulk, from - 1, checkpoint->change[next]);
    }
}

/* Made and dropped since the last checkpoint: there are no rows to be swept (is_dropped). */
static bool was_never_stored(const struct checkpoint_job *job, const struct merge *merge)
{
    return merge->table == TABLE_SPACES && merge->space == 0 &&
           merge->word >= job->persisted.space_next;
}

/* A name that the kv has not need not be deleted there. */
static bool is_worth_a_tombstone(const struct checkpoint_job *job, const struct merge *merge)
{
    const struct entry *oldest = NULL;
    for (unsigned i = 0; i < job->sources.count; i++)
        if (merge->spent & 1u << i)
            oldest = merge->iters[i].entry;
    return oldest && oldest->below != BELOW_NO;
}

static void write_space(struct checkpoint *checkpoint, struct kv_bulk *bulk, enum table table,
                        uint64_t space)
{
    const struct checkpoint_job *job = &checkpoint->job;
    const struct kv_ops *ops = job->kv->ops;
    struct buffer *key = &checkpoint->key;
    struct merge merge;
    merge_open(&merge, &job->sources, table, space, 0);
    while (merge_next(&merge)) {
        struct place place = {table, space, merge.word, merge.name};
        record_key(key, &place);
        advance(checkpoint);
        if (was_never_stored(job, &merge))
            continue;
        if (table == TABLE_KEYS && merge_is_live(&merge))
            layers_stored_one(&checkpoint->result.stored_sizes, merge.record.size);
        if (merge_is_live(&merge))
            ops->bulk_put(bulk, buffer_bytes(key), merge.record);
        else if (is_worth_a_tombstone(job, &merge))
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

/* Was the space dropped in one of the layers? */
static bool is_dropped(const struct checkpoint_job *job, uint64_t space)
{
    for (unsigned i = 0; i < job->sources.count; i++)
        if (overlay_find(&job->sources.layers[i]->tables[TABLE_SPACES], 0, space,
                         bytes_of(NULL, 0)))
            return true;
    return false;
}

static bool is_worth_writing(const struct checkpoint_job *job, enum table table, uint64_t space)
{
    if (table == TABLE_KEYS || table == TABLE_DEADLINES)
        return is_living(&job->state, space);
    return (table != TABLE_ROWS && table != TABLE_PAGES) || !is_dropped(job, space);
}

static void write_table(struct checkpoint *checkpoint, struct kv_bulk *bulk, enum table table)
{
    const struct checkpoint_job *job = &checkpoint->job;
    for (uint64_t space = 0; next_space(job, table, &space); space++)
        if (is_worth_writing(job, table, space))
            write_space(checkpoint, bulk, table, space);
}

static void write_layers(struct checkpoint *checkpoint)
{
    const struct checkpoint_job *job = &checkpoint->job;
    const struct kv_ops *ops = job->kv->ops;
    struct kv_bulk *bulk = ops->bulk_new(job->kv, KV_DATA);
    unsigned char state[RECORD_STATE_SIZE];
    record_state_encode(state, &checkpoint->result.state, job->cluster);
    ops->bulk_put(bulk, record_state_key(), bytes_of(state, sizeof state));
    write_counts(checkpoint, bulk);
    for (int table = 0; table < TABLES; table++)
        write_table(checkpoint, bulk, (enum table)table);
    tell(checkpoint, checkpoint->steps_max); /* a name in several layers was one step */
    ops->bulk_commit(bulk);
}

/* ---- sweeping ---------------------------------------------------------------------------- */

static int compare_spaces(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

static void delete_range(const struct checkpoint_job *job, const struct buffer *from,
                         const struct buffer *to)
{
    const struct kv_ops *ops = job->kv->ops;
    struct kv_batch *batch = ops->batch_new(job->kv);
    ops->batch_delete_range(batch, KV_DATA, buffer_bytes(from), buffer_bytes(to));
    ops->commit(job->kv, batch, true); /* drop_files asks for it */
    ops->batch_free(batch);
    ops->drop_files(job->kv, KV_DATA, buffer_bytes(from), buffer_bytes(to));
}

static void delete_deadlines(const struct checkpoint_job *job, uint64_t space_from,
                             uint64_t space_to)
{
    const struct kv_ops *ops = job->kv->ops;
    struct buffer from = {0}, to = {0};
    struct bytes key, value;
    record_key_first(&from, TABLE_DEADLINES, space_from);
    record_key_first(&to, TABLE_DEADLINES, space_to);
    struct kv_iter *iter = ops->iter_new(job->kv, KV_DATA, buffer_bytes(&from), buffer_bytes(&to));
    bool is_there = ops->iter_next(iter, &key, &value);
    ops->iter_free(iter);
    if (is_there)
        delete_range(job, &from, &to);
    buffer_deinit(&from);
    buffer_deinit(&to);
}

/* Deletes keys and counts of from <= space < to; the keys last, because a start looks for them. */
static void delete_spaces(const struct checkpoint_job *job, uint64_t space_from, uint64_t space_to)
{
    struct buffer from = {0}, to = {0};
    record_group_key(&from, space_from, 0);
    record_group_key(&to, space_to, 0);
    delete_range(job, &from, &to);
    record_key_first(&from, TABLE_KEYS, space_from);
    record_key_first(&to, TABLE_KEYS, space_to);
    delete_range(job, &from, &to);
    buffer_deinit(&from);
    buffer_deinit(&to);
}

/* ---- the rows of dead collections ---------------------------------------------------------- */

enum {
    SWEEP_SPACES = 512, /* at a time */
    SWEEP_SINGLY = 256, /* so many rows are deleted one by one, more as a range */
    SWEEP_READ = 8      /* pages that are read for that: they are the large rows */
};

/* Whether the space has a page of this number, or a higher one. */
static bool has_pages_from(const struct checkpoint_job *job, uint64_t space, uint64_t number)
{
    const struct kv_ops *ops = job->kv->ops;
    struct place place = {.table = TABLE_PAGES, .space = space, .word = number};
    struct buffer from = {0}, to = {0};
    struct bytes key, value;
    record_key(&from, &place);
    record_key_end(&to, TABLE_PAGES, space);
    struct kv_iter *iter = ops->iter_new(job->kv, KV_DATA, buffer_bytes(&from), buffer_bytes(&to));
    bool is_there = ops->iter_next(iter, &key, &value);
    ops->iter_free(iter);
    buffer_deinit(&from);
    buffer_deinit(&to);
    return is_there;
}

/* Deletes the pages from a number on without reading them, which has to find the last alone; that
 * some are not there does no harm.  False: there may be too many. */
static bool delete_pages_unread(const struct checkpoint_job *job, struct kv_batch *batch,
                                uint64_t space, uint64_t from)
{
    uint64_t low = from, high = SWEEP_SINGLY; /* none from `high` on */
    struct buffer key = {0};
    if (from >= high || has_pages_from(job, space, high))
        return false;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (has_pages_from(job, space, middle))
            low = middle + 1;
        else
            high = middle;
    }
    for (uint64_t number = from; number < high; number++) {
        struct place place = {.table = TABLE_PAGES, .space = space, .word = number};
        record_key(&key, &place);
        job->kv->ops->batch_delete(batch, KV_DATA, buffer_bytes(&key));
    }
    buffer_deinit(&key);
    return true;
}

/* Into the batch, so that it takes effect together with what the caller puts there.  A range
 * tombstone for each of many small collections would cost every reader. */
static void delete_rows(const struct checkpoint_job *job, struct kv_batch *batch, enum table table,
                        uint64_t space)
{
    const struct kv_ops *ops = job->kv->ops;
    struct buffer from = {0}, to = {0};
    struct bytes key, value;
    struct place place;
    unsigned rows = 0;
    record_key_first(&from, table, space);
    record_key_end(&to, table, space);
    struct kv_iter *iter = ops->iter_new(job->kv, KV_DATA, buffer_bytes(&from), buffer_bytes(&to));
    while (rows <= SWEEP_SINGLY && ops->iter_next(iter, &key, &value) &&
           record_key_parse(key, table, space, &place)) {
        if (rows == SWEEP_READ && table == TABLE_PAGES &&
            delete_pages_unread(job, batch, space, place.word))
            break;
        if (rows < SWEEP_SINGLY)
            ops->batch_delete(batch, KV_DATA, key);
        rows++;
    }
    ops->iter_free(iter);
    if (rows > SWEEP_SINGLY)
        delete_range(job, &from, &to);
    buffer_deinit(&from);
    buffer_deinit(&to);
}

/* Some of the collections from `at`, which it moves on, to before `to`; 0: none is left. */
static unsigned sweep_some(const struct checkpoint_job *job, struct buffer *at,
                           const struct buffer *to)
{
    const struct kv_ops *ops = job->kv->ops;
    struct kv_batch *batch = ops->batch_new(job->kv);
    struct bytes key, value;
    struct place place;
    uint64_t owner;
    unsigned spaces = 0;
    struct kv_iter *iter = ops->iter_new(job->kv, KV_DATA, buffer_bytes(at), buffer_bytes(to));
    while (spaces < SWEEP_SPACES && ops->iter_next(iter, &key, &value) &&
           record_key_space(key, TABLE_SPACES, &owner) &&
           record_key_parse(key, TABLE_SPACES, owner, &place)) {
        ops->batch_delete(batch, KV_DATA, key);
        delete_rows(job, batch, TABLE_ROWS, place.word);
        delete_rows(job, batch, TABLE_PAGES, place.word);
        record_key(at, &place);
        buffer_append_byte(at, 0); /* behind it */
        spaces++;
    }
    ops->iter_free(iter);
    if (spaces > 0)
        ops->commit(job->kv, batch, false);
    ops->batch_free(batch);
    return spaces;
}

static void delete_collections(const struct checkpoint_job *job, uint64_t from, uint64_t to)
{
    struct buffer at = {0}, end = {0};
    record_key_first(&at, TABLE_SPACES, from);
    record_key_first(&end, TABLE_SPACES, to);
    while (sweep_some(job, &at, &end) > 0)
        ;
    buffer_deinit(&at);
    buffer_deinit(&end);
}

/* Spaces are given out once, and of databases only those of the state live: whatever lies
 * between two of them is dead, or a collection's, which has neither keys nor collections of its
 * own.  Collections of 0 are dead too. */
static void sweep(const struct checkpoint_job *job)
{
    uint64_t spaces[RECORD_DATABASES + 1];
    for (int i = 0; i < RECORD_DATABASES; i++)
        spaces[i] = job->state.databases[i].space;
    spaces[RECORD_DATABASES] = job->state.space_next;
    qsort(spaces, RECORD_DATABASES + 1, sizeof *spaces, compare_spaces);
    uint64_t from = 0;
    for (int i = 0; i <= RECORD_DATABASES; i++) {
        if (from < spaces[i]) {
            delete_collections(job, from, spaces[i]);
            delete_deadlines(job, from, spaces[i]);
            delete_spaces(job, from, spaces[i]);
        }
        from = spaces[i] + 1;
    }
}

/* What was found dead is written with the layers, as if it were the newest of them. */
static void take_found(struct checkpoint *checkpoint)
{
    struct sources *sources = &checkpoint->job.sources;
    memmove(sources->layers + 1, sources->layers, sources->count * sizeof *sources->layers);
    sources->layers[0] = checkpoint->found;
    sources->count++;
    check(sources->count <= LAYERS_MAX + 1);
}

uint64_t checkpoint_stored_bytes(struct kv *kv)
{
    return kv->ops->property(kv, KV_DATA, "rocksdb.total-sst-files-size");
}

/* Deletes leave tombstones, and a sweep parts of files: the space comes back when others write
 * much, or now, at the price of reading and writing all that is left.  So it has to be a good part
 * of that. */
static bool reclaim(const struct checkpoint_job *job)
{
    const struct kv_ops *ops = job->kv->ops;
    uint64_t stored = checkpoint_stored_bytes(job->kv);
    if (job->freed_bytes == 0 || job->freed_bytes < stored / RECLAIM_FRACTION)
        return false;
    ops->reclaim(job->kv, KV_DATA, bytes_of("\0", 1), bytes_of("\xff", 1)); /* all of it */
    return true;
}

static void run(struct checkpoint *checkpoint)
{
    struct checkpoint_job *job = &checkpoint->job;
    layer_free(job->discarded);
    job->discarded = NULL;
    checkpoint->result.state = job->state;
    for (unsigned i = 0; i < RECORD_DATABASES; i++)
        resolve_database(checkpoint, i);
    take_found(checkpoint);
    write_layers(checkpoint);
    if (job->sweep)
        sweep(job);
    checkpoint->result.is_reclaiming = reclaim(job);
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
    checkpoint->found = layer_new();
    checkpoint->result.stored_sizes = job->stored_sizes;
    checkpoint->names_at_once = layers_looks_at_once(&job->stored_sizes);
    checkpoint->steps_max = count_steps(job);
    if (!job->wake)
        run(checkpoint);
    else if (pthread_create(&checkpoint->thread, NULL, thread_main, checkpoint) != 0)
        fatal("cannot start a thread for a checkpoint");
    return checkpoint;
}

uint64_t checkpoint_done_of(const struct checkpoint *checkpoint, uint64_t whole)
{
    uint64_t done = atomic_load(&checkpoint->done);
    check(done <= checkpoint->steps_max);
    return done == checkpoint->steps_max
               ? whole
               : (uint64_t)((double)whole * (double)done / (double)checkpoint->steps_max);
}

bool checkpoint_is_done(const struct checkpoint *checkpoint)
{
    return atomic_load(&checkpoint->is_done);
}

void checkpoint_finish(struct checkpoint *checkpoint, struct checkpoint_result *result)
{
    if (checkpoint->job.wake && pthread_join(checkpoint->thread, NULL) != 0)
        fatal("cannot join the thread of a checkpoint");
    check(checkpoint_is_done(checkpoint));
    *result = checkpoint->result;
    result->has_dead = checkpoint->found->tables[TABLE_SPACES].entries > 0;
    layer_free(checkpoint->found);
    for (int i = 0; i < RECORD_DATABASES; i++)
        memory_free(checkpoint->change[i]);
    buffer_deinit(&checkpoint->key);
    for (unsigned i = 0; i < KV_HEADS_MAX; i++) {
        buffer_deinit(&checkpoint->keys[i]);
        buffer_deinit(&checkpoint->heads[i].head);
    }
    memory_free(checkpoint);
}
