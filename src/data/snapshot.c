/* Sending a snapshot: see snapshot.h.
 *
 * A walk over a view's rows, table by table and space by space.  The keys come first, and say which
 * collections there are: only of these the rows and pages follow, so what is dead is left behind
 * whether it was swept or not, and what unresolved names hide too (L7).  They also give the exact
 * counts.  Nothing but the view is looked at, so any thread may do it. */
#include <Judy.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "data/merge.h"
#include "data/snapshot_form.h"

enum { ROW_WORK = 64 }; /* to come to a row, in bytes copied */

struct db_snapshot {
    struct db_view *view;          /* owned */
    const struct sources *sources; /* of it */
    uint32_t chunk_bytes;
    struct db_snapshot_about about;
    struct state state; /* what the end says: counts become exact on the way */

    /* Where the walk is. */
    enum table table;                /* TABLES: behind all */
    unsigned step;                   /* spaces of the table that were begun, where they are few */
    uint64_t space;                  /* the present one */
    unsigned database;               /* whose it is, where it is a database's */
    uint64_t collection;             /* TABLE_SPACES: the last one */
    bool is_open;                    /* the space has begun */
    struct merge merge;              /* of it, but in TABLE_SPACES */
    unsigned order[DB_DATABASES];    /* databases, by their spaces */
    void *collections[DB_DATABASES]; /* Judy1: spaces of the large collections; owned */

    struct buffer chunk, key; /* the one under way, or made; scratch */
    bool is_made;
    bool is_end;     /* the one made is the last */
    uint64_t number; /* of the one made, or under way */
    uint64_t id;     /* of the snapshot: the head's checksum */
    uint64_t sum;
};

/* ---- which spaces, in order -------------------------------------------------------- */

static void sort_databases(struct db_snapshot *snapshot)
{
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        unsigned at = i;
        for (; at > 0 && snapshot->state.databases[snapshot->order[at - 1]].space >
                             snapshot->state.databases[i].space;
             at--)
            snapshot->order[at] = snapshot->order[at - 1];
        snapshot->order[at] = i;
    }
}

/* The first collection behind the present space, whoever has it. */
static bool next_collection(struct db_snapshot *snapshot)
{
    bool is_found = false;
    Word_t first = 0;
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        Word_t space = snapshot->space;
        if (!Judy1Next(snapshot->collections[i], &space, PJE0) || (is_found && space > first))
            continue;
        first = space;
        is_found = true;
    }
    snapshot->space = first;
    return is_found;
}

static bool next_database(struct db_snapshot *snapshot)
{
    if (snapshot->step == DB_DATABASES)
        return false;
    snapshot->database = snapshot->order[snapshot->step++];
    snapshot->space = snapshot->state.databases[snapshot->database].space;
    snapshot->collection = 0;
    return true;
}

/* Before the collections: it is nobody's, and always there. */
static bool next_server_space(struct db_snapshot *snapshot)
{
    if (snapshot->step > 0)
        return false;
    snapshot->step = 1;
    snapshot->space = DB_SPACE_SERVER;
    return true;
}

static bool next_space(struct db_snapshot *snapshot)
{
    if (snapshot->table == TABLE_ROWS || snapshot->table == TABLE_PAGES)
        return next_server_space(snapshot) || next_collection(snapshot);
    if (snapshot->table == TABLE_RECEIPTS || snapshot->table == TABLE_DUE)
        return snapshot->step++ == 0;
    return next_database(snapshot);
}

/* False: there is none. */
static bool open_next(struct db_snapshot *snapshot)
{
    while (snapshot->table < TABLES && !next_space(snapshot)) {
        snapshot->table++;
        snapshot->step = 0;
        snapshot->space = 0;
    }
    if (snapshot->table == TABLES)
        return false;
    if (snapshot->table != TABLE_SPACES)
        merge_open(&snapshot->merge, snapshot->sources, snapshot->table, snapshot->space, 0);
    snapshot->is_open = true;
    return true;
}

/* ---- rows -------------------------------------------------------------------------- */

static uint64_t put_row(struct db_snapshot *snapshot, const struct place *place,
                        struct bytes record)
{
    record_key(&snapshot->key, place);
    db_snapshot_chunk_row(&snapshot->chunk, buffer_bytes(&snapshot->key), record);
    uint64_t bytes = snapshot->key.size + record.size;
    snapshot->about.rows++;
    snapshot->about.bytes += bytes;
    return bytes;
}

static void note_key(struct db_snapshot *snapshot, struct bytes record)
{
    uint64_t space = record_space(record);
    snapshot->state.databases[snapshot->database].keys++;
    if (space && Judy1Set(&snapshot->collections[snapshot->database], space, PJE0) != 1)
        fatal("data: two keys name the collection %llu", (unsigned long long)space);
}

/* Of the present space; returns the work. */
static uint64_t take_row(struct db_snapshot *snapshot)
{
    struct merge *merge = &snapshot->merge;
    if (!merge_next(merge)) {
        merge_close(merge);
        snapshot->is_open = false;
        return LAYERS_FETCH_WORK; /* to seek the next */
    }
    if (merge->is_passed)
        return (uint64_t)MERGE_PASSED * ROW_WORK;
    if (!merge_is_live(merge))
        return ROW_WORK;
    if (snapshot->table == TABLE_KEYS)
        note_key(snapshot, merge->record);
    struct place place = {snapshot->table, snapshot->space, merge->word, merge->name};
    return ROW_WORK + put_row(snapshot, &place, merge->record);
}

/* A collection of the present database: what TABLE_SPACES has of the living, and no more. */
static uint64_t take_collection(struct db_snapshot *snapshot)
{
    struct bytes nothing = {0};
    Word_t space = snapshot->collection;
    if (!Judy1Next(snapshot->collections[snapshot->database], &space, PJE0)) {
        snapshot->is_open = false;
        return ROW_WORK;
    }
    snapshot->collection = space;
    struct place place = {TABLE_SPACES, snapshot->space, space, nothing};
    return ROW_WORK + put_row(snapshot, &place, nothing);
}

/* ---- chunks ------------------------------------------------------------------------ */

static void finish(struct db_snapshot *snapshot, enum snapshot_kind kind)
{
    uint64_t checksum =
        db_snapshot_chunk_end(&snapshot->chunk, kind, snapshot->number, snapshot->id);
    if (kind == SNAPSHOT_HEAD)
        snapshot->id = checksum;
    snapshot->sum = db_snapshot_sum(snapshot->sum, checksum);
    snapshot->is_end = kind == SNAPSHOT_END;
    snapshot->is_made = true;
    snapshot->about.chunks = snapshot->number + 1;
}

static void put_state(struct db_snapshot *snapshot)
{
    unsigned char state[RECORD_STATE_SIZE];
    record_state_encode(state, &snapshot->state, snapshot->about.cluster);
    buffer_append(&snapshot->chunk, state, sizeof state);
}

static void make_head(struct db_snapshot *snapshot)
{
    put_state(snapshot);
    finish(snapshot, SNAPSHOT_HEAD);
    for (unsigned i = 0; i < DB_DATABASES; i++)
        snapshot->state.databases[i].keys = 0; /* from here on they are counted */
}

static void make_end(struct db_snapshot *snapshot)
{
    unsigned char totals[SNAPSHOT_END_SIZE - RECORD_STATE_SIZE];
    for (unsigned i = 0; i < DB_DATABASES; i++)
        check(snapshot->state.databases[i].keys <= snapshot->about.keys[i]);
    put_state(snapshot);
    put_u64(totals, snapshot->about.rows);
    put_u64(totals + 8, snapshot->about.bytes);
    put_u64(totals + 16, snapshot->sum);
    buffer_append(&snapshot->chunk, totals, sizeof totals);
    finish(snapshot, SNAPSHOT_END);
}

static void begin(struct db_snapshot *snapshot)
{
    snapshot->number += snapshot->is_made;
    snapshot->is_made = false;
    db_snapshot_chunk_begin(&snapshot->chunk);
}

bool db_snapshot_next(struct db_snapshot *snapshot, uint64_t work)
{
    check(!snapshot->is_end);
    if (snapshot->is_made || snapshot->chunk.size == 0)
        begin(snapshot);
    if (snapshot->number == 0) {
        make_head(snapshot);
        return true;
    }
    for (uint64_t done = 0; done < work;) {
        bool is_more = snapshot->is_open || open_next(snapshot);
        bool is_empty = snapshot->chunk.size == DB_SNAPSHOT_HEADER;
        if (!is_more && is_empty)
            make_end(snapshot);
        else if (!is_more || snapshot->chunk.size >= snapshot->chunk_bytes)
            finish(snapshot, SNAPSHOT_ROWS);
        if (snapshot->is_made)
            return true;
        done += snapshot->table == TABLE_SPACES ? take_collection(snapshot) : take_row(snapshot);
    }
    return false;
}

struct bytes db_snapshot_chunk(const struct db_snapshot *snapshot, uint64_t *number)
{
    check(snapshot->is_made);
    *number = snapshot->number;
    return buffer_bytes(&snapshot->chunk);
}

bool db_snapshot_is_made(const struct db_snapshot *snapshot)
{
    return snapshot->is_made;
}

bool db_snapshot_is_end(const struct db_snapshot *snapshot)
{
    return snapshot->is_end;
}

/* ---- life -------------------------------------------------------------------------- */

void db_snapshot_about(const struct db_snapshot *snapshot, struct db_snapshot_about *about)
{
    *about = snapshot->about;
}

/* (RocksDB's own estimate of live data leaves out nearly all of what was never compacted.) */
uint64_t db_snapshot_expected(struct kv *kv)
{
    return kv->ops->property(kv, KV_DATA, "rocksdb.live-sst-files-size");
}

struct db_snapshot *db_snapshot_new(struct db *db, uint32_t chunk_bytes)
{
    struct db_view *view = db_view_new(db);
    if (!view)
        return NULL;
    struct db_snapshot *snapshot = memory_new(sizeof *snapshot);
    snapshot->view = view;
    snapshot->chunk_bytes = chunk_bytes;
    snapshot->sources = layers_view_sources(view);
    snapshot->state = *layers_view_state(view);
    snapshot->about = db_snapshot_about_state(&snapshot->state, db->options.cluster);
    sort_databases(snapshot);
    return snapshot;
}

void db_snapshot_free(struct db_snapshot *snapshot)
{
    if (!snapshot)
        return;
    if (snapshot->is_open && snapshot->table != TABLE_SPACES)
        merge_close(&snapshot->merge);
    for (unsigned i = 0; i < DB_DATABASES; i++)
        Judy1FreeArray(&snapshot->collections[i], PJE0);
    db_view_release(snapshot->view);
    buffer_deinit(&snapshot->chunk);
    buffer_deinit(&snapshot->key);
    memory_free(snapshot);
}
