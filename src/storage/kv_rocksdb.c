/* The store on RocksDB: one database, a column family for each kv_family.  The only file that
 * includes <rocksdb/c.h>.  Any thread may call it; RocksDB orders the writes.
 *
 * What keeps the promises of kv.h:
 *
 *   1. What changes the log, meta and default families is a record of the journal (journal.h)
 *      before it is told to RocksDB, which keeps no write-ahead log of it.  It is told of many at a
 *      time, in their order; of all before anybody looks at these families, and before the mark of
 *      3 is put.  At a start the records
 *      are told again, from before anything that RocksDB may not have stored up to the last: what
 *      it did store is written over by the same, so the state is that behind the last, whatever
 *      was stored when.  Nothing else may change these families, therefore; bulk runs are for the
 *      data.  Behind each segment of the journal the families are flushed, in a thread, and the
 *      segment is released.
 *   2. What was told again is flushed before the store is open: it may have been in the page cache
 *      alone, and there even if its sync failed.  That can be of the last record alone, which the
 *      journal writes again, for what stays in it.
 *   3. Before each flush a mark is put into the default family, which is flushed last, and the
 *      journal keeps it with what it releases: where the mark is not found again, RocksDB has lost
 *      some of that.
 *   4. What changes the data family by itself (deletes of what nobody sees any more) goes into
 *      RocksDB's write-ahead log.  A batch that changes both (tools that make a directory) does so
 *      between two flushes: nothing is left in the journal that would be told again after it, and
 *      nothing of it depends on that log, whose loss nobody would notice.
 *   5. Of the log RocksDB has rows that say where in the journal a value is, but for small ones
 *      (journal_rows.h), and a segment with such rows is held: until a record that deletes the last
 *      of them is durable.  So whatever a start tells again or finds in tables, a row that it
 *      shows is of a segment that is there.  A batch with data has its values itself.
 *   6. Any error after opening is fatal(), background errors included: they are asked for after
 *      synced commits, so that RocksDB's own retries do not hide a failing disk.  After one that
 *      is in the journal, which is as safe whatever RocksDB says, no sooner than ASK_AGAIN_MS
 *      after the last time: it costs 3 us, and a leader is waiting.
 *
 * Debian's library has its asserts compiled in: column family handles, iterators and pinned values
 * must be gone before rocksdb_close, or the process aborts.
 *
 * The data family and the staging place are two families, "data" and "data-2", which change places
 * when a batch adopts what was staged: the key DATA_AT of the family "default", in the same batch,
 * says which is which (there is none: "data" is the data family).  The staging one is made when it
 * is needed, and dropped when it is not, so a store that never had one has none.
 *
 * Bulk runs are written to DIRECTORY/ingest, then moved into the data family in one step; what a
 * crash left there is removed when the store opens, under RocksDB's lock.  Deletes of a sweep may
 * be in memory meanwhile, some older and some newer than the runs.  RocksDB 7.8 takes that for
 * damage if it has merged such runs with each other alone; merging by levels, it does not while
 * older changes are in memory. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "storage/durable.h"
#include "storage/journal.h"
#include "storage/journal_rows.h"
#include "storage/kv.h"
#include "storage/level_size.h"
#include "storage/rocksdb_assert.h"
#include "storage/rocksdb_cached.h"

enum {
    /* RocksDB insists on a family named "default"; ours come after it. */
    FAMILIES_ON_DISK = KV_FAMILIES + 1,
    PATH_SIZE = 4096,
    RECOVER_TO_POINT_IN_TIME = 2, /* WALRecoveryMode::kPointInTimeRecovery */
    INFO_LOG_WARN = 2,
    BLOOM_BITS = 10,
    /* Of level 0 at a time: every other pass over the next level, for a look in 4 more. */
    RUNS_MERGED = LEVEL_SIZE_RUNS,
    SEGMENT_LEAST = 256 << 10, /* of the journal, */
    SEGMENT_MOST = 1 << 30,    /* and for the sake of what is kept of the log */
    GIVING_BACK_TRIES = 3,
    SEGMENTS_KEPT = 16, /* so many at most hold what is kept of the log as a rule */
    LOG_TABLES_SMALL = 16 << 20,
    UNTOLD_MAX = 64 << 10,
    ASK_AGAIN_MS = 100
};

/* The last two change places. */
static const char *const family_names[FAMILIES_ON_DISK] = {"default", "log", "meta", "data",
                                                           "data-2"};
/* Keys of the default family: */
static const char data_at[] = "data";     /* 0 or 1 */
static const char stored_at[] = "stored"; /* a record of the journal: all up to it is stored */

/* In the file SYNCED: there is a journal, and RocksDB may point into it.  No number of a change is
 * so high.  Before it did, it was the number above, so builds of then take this for a change that
 * is missing. */
#define JOURNALED (UINT64_MAX - 1)
#define JOURNALED_BEFORE UINT64_MAX

/* The range of the data family whose space is to be given back; of several, what holds them all. */
struct reclaiming {
    pthread_mutex_t mutex;
    pthread_t thread;
    bool has_thread; /* to be joined */
    bool is_running; /* it will look again whether something is wanted */
    bool is_wanted;
    bool is_closing;
    struct buffer from, to;
};

/* The flush behind a segment of the journal, the zeros ahead of it, files that are not needed. */
struct storing {
    pthread_mutex_t mutex; /* of the journal, and the order of what is told to RocksDB */
    pthread_cond_t stored; /* something was, or a step of zeros is written */
    pthread_t thread;
    bool has_thread; /* to be joined */
    bool is_running;
    bool is_wanted;  /* a flush */
    bool is_merging; /* the log's tables, and does nothing else meanwhile */
    bool is_closing;
    bool is_full;     /* the disk: no more zeros */
    unsigned awaited; /* by so many, the end of what it does: likewise */
};

/* What the journal has and RocksDB was not told yet: to tell it of one commit takes 10 us, of many
 * at once hardly longer. */
struct untold {
    pthread_mutex_t mutex; /* taken behind that of `storing` */
    rocksdb_writebatch_t *batch;
    size_t bytes; /* of it */
};

struct rocksdb_kv {
    struct kv base;
    char *directory; /* owned */
    rocksdb_t *db;
    rocksdb_column_family_handle_t *families[FAMILIES_ON_DISK]; /* NULL: there is none such */
    bool is_swapped; /* the data family is the last one, the staging place the one before */
    rocksdb_options_t *db_options;
    rocksdb_options_t *family_options[FAMILIES_ON_DISK];
    rocksdb_cache_t *cache;
    rocksdb_writeoptions_t *write_synced;
    rocksdb_writeoptions_t *write_unsynced;
    rocksdb_writeoptions_t *write_journaled;
    rocksdb_flushoptions_t *flush;
    rocksdb_readoptions_t *read;
    rocksdb_readoptions_t *read_once; /* leaves the block cache to those who come again */
    rocksdb_envoptions_t *env;
    rocksdb_ingestexternalfileoptions_t *ingest;
    struct reclaiming reclaiming;
    struct journal *journal;
    uint64_t journal_bytes;      /* of a segment */
    struct journal_rows rows;    /* of the log; with the mutex of `storing` */
    struct buffer large_in_rows; /* the last key of a large value that a build of before put into
                                  * RocksDB itself; empty: there is none */
    bool is_large_deleted;       /* all of those, and their tables may go */
    unsigned giving_back_tries;
    bool is_replayed;
    struct storing storing;
    struct untold untold;
    uint64_t *synced;             /* the mapped file SYNCED */
    pthread_mutex_t sizing;       /* of the next one */
    struct level_size level_size; /* of the data */
    uint64_t bulks;               /* names of files in ingest/; atomic */
    atomic_llong asked_ms;        /* when background errors were asked for last */
};

struct kv_batch {
    struct rocksdb_kv *kv;       /* borrowed */
    struct buffer record;        /* for the journal: all but changes of data */
    rocksdb_writebatch_t *batch; /* those; NULL: there are none yet */
    bool has_data;
    bool is_adopting;
};

/* Its options are its own, because they say where it ends; RocksDB looks there as long as it scans,
 * so behind a seek that is another place. */
struct kv_iter {
    struct rocksdb_kv *kv; /* borrowed */
    rocksdb_iterator_t *iterator;
    rocksdb_readoptions_t *read;
    struct buffer to;
    bool started;
    enum kv_family family;
    bool gives_up, gave_up;
    struct buffer from; /* of one that gives up: where it would go on */
    bool is_of_log;
    struct buffer value; /* that stands in the journal */
};

struct kv_snapshot {
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *read; /* from it */
};

struct kv_bulk {
    struct rocksdb_kv *kv; /* borrowed */
    enum kv_family family;
    rocksdb_sstfilewriter_t *writer; /* NULL until the first key: RocksDB has no empty files */
    char path[PATH_SIZE];
};

static struct rocksdb_kv *rocksdb_kv_of(struct kv *kv)
{
    return (struct rocksdb_kv *)kv;
}

/* Its place among the families on disk. */
static unsigned place_of(const struct rocksdb_kv *kv, enum kv_family family)
{
    check((unsigned)family < KV_FAMILIES);
    if (kv->is_swapped && family >= KV_DATA)
        return (family == KV_DATA ? KV_STAGE : KV_DATA) + 1;
    return family + 1;
}

static rocksdb_column_family_handle_t *family_of(const struct rocksdb_kv *kv, enum kv_family family)
{
    rocksdb_column_family_handle_t *handle = kv->families[place_of(kv, family)];
    check(handle);
    return handle;
}

static void must(char *error, const struct rocksdb_kv *kv, const char *what)
{
    if (error)
        fatal("cannot %s the store in %s: %s", what, kv->directory, error);
}

/* RocksDB's C API wants a pointer even for no bytes. */
static const char *data_of(struct bytes bytes)
{
    return bytes.data ? bytes.data : "";
}

static bool is_before(struct bytes a, struct bytes b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order < 0 || (order == 0 && a.size < b.size);
}

static void write_batch(struct rocksdb_kv *kv, const rocksdb_writeoptions_t *how,
                        rocksdb_writebatch_t *batch)
{
    char *error = NULL;
    rocksdb_write(kv->db, how, batch, &error);
    must(error, kv, "write");
}

/* ---- what RocksDB was not told yet ------------------------------------------ */

/* A batch that is cleared keeps its room, so a large one is given back. */
static void forget_told(struct untold *untold)
{
    if (untold->bytes > KEEP_BYTES_MAX) {
        rocksdb_writebatch_destroy(untold->batch);
        untold->batch = rocksdb_writebatch_create();
    } else {
        rocksdb_writebatch_clear(untold->batch);
    }
    untold->bytes = 0;
}

/* With its mutex. */
static void tell_some(struct rocksdb_kv *kv)
{
    struct untold *untold = &kv->untold;
    if (untold->bytes == 0)
        return;
    write_batch(kv, kv->write_journaled, untold->batch);
    forget_told(untold);
}

static void tell_all(struct rocksdb_kv *kv)
{
    pthread_mutex_lock(&kv->untold.mutex);
    tell_some(kv);
    pthread_mutex_unlock(&kv->untold.mutex);
}

/* ---- reading and writing ------------------------------------------------- */

/* Its first bytes, behind what is there; frees it.  Returns how many the whole has. */
static size_t take_head(rocksdb_pinnableslice_t *slice, size_t head_max, struct buffer *head)
{
    size_t size;
    const char *data = rocksdb_pinnableslice_value(slice, &size);
    buffer_append(head, data, size < head_max ? size : head_max);
    rocksdb_pinnableslice_destroy(slice);
    return size;
}

static bool get_with(struct rocksdb_kv *kv, const rocksdb_readoptions_t *read,
                     enum kv_family family, struct bytes key, size_t head_max, struct buffer *value,
                     size_t *whole)
{
    char *error = NULL;
    buffer_clear(value);
    if (family < KV_DATA)
        tell_all(kv);
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned_cf(kv->db, read, family_of(kv, family), data_of(key), key.size, &error);
    must(error, kv, "read");
    if (!slice)
        return false;
    *whole = take_head(slice, head_max, value);
    return true;
}

static void journal_damaged(const struct rocksdb_kv *kv)
{
    fatal("the store in %s is damaged: a part of the Raft log that is in its journal cannot be "
          "read; acknowledged writes are missing",
          kv->directory);
}

/* What RocksDB has under a key of the log is it, or says where it is in the journal.  False: it is
 * not there any more. */
static bool find_value(const struct rocksdb_kv *kv, struct bytes stored, struct buffer *value)
{
    struct journal_row row;
    if (!journal_row_decode(&row, stored)) {
        buffer_clear(value);
        buffer_append_bytes(value, stored);
        return true;
    }
    enum journal_row_result result = journal_row_read(kv->journal, &row, value);
    if (result == JOURNAL_ROW_DAMAGED)
        journal_damaged(kv);
    return result == JOURNAL_ROW_OK;
}

/* Where a value is not there any more, its row was deleted meanwhile: before a segment of the
 * journal is begun anew, whoever looks finds no row of it. */
static bool get_of_log(struct rocksdb_kv *kv, struct bytes key, struct buffer *value)
{
    struct buffer stored = {0}, before = {0};
    size_t size;
    bool is_there;
    while ((is_there = get_with(kv, kv->read, KV_LOG, key, SIZE_MAX, &stored, &size)) &&
           !find_value(kv, buffer_bytes(&stored), value)) {
        if (bytes_equal(buffer_bytes(&stored), buffer_bytes(&before)))
            journal_damaged(kv);
        buffer_clear(&before);
        buffer_append_bytes(&before, buffer_bytes(&stored));
    }
    if (!is_there)
        buffer_clear(value);
    buffer_deinit(&stored);
    buffer_deinit(&before);
    return is_there;
}

static bool get(struct kv *base, enum kv_family family, struct bytes key, struct buffer *value)
{
    struct rocksdb_kv *kv = rocksdb_kv_of(base);
    size_t size;
    if (family == KV_LOG)
        return get_of_log(kv, key, value);
    return get_with(kv, kv->read, family, key, SIZE_MAX, value, &size);
}

static bool get_head(struct kv *base, enum kv_family family, struct bytes key, size_t head_max,
                     struct buffer *head, size_t *size)
{
    struct rocksdb_kv *kv = rocksdb_kv_of(base);
    check(family != KV_LOG);
    return get_with(kv, kv->read, family, key, head_max, head, size);
}

static void get_heads(struct kv *base, enum kv_family family, struct kv_head *heads, size_t count,
                      size_t head_max, bool keeps)
{
    struct rocksdb_kv *kv = rocksdb_kv_of(base);
    const char *keys[KV_HEADS_MAX];
    size_t sizes[KV_HEADS_MAX];
    rocksdb_pinnableslice_t *slices[KV_HEADS_MAX];
    char *errors[KV_HEADS_MAX] = {NULL};
    check(count <= KV_HEADS_MAX && family >= KV_DATA);
    for (size_t i = 0; i < count; i++) {
        keys[i] = data_of(heads[i].key);
        sizes[i] = heads[i].key.size;
    }
    rocksdb_batched_multi_get_cf(kv->db, keeps ? kv->read : kv->read_once, family_of(kv, family),
                                 count, keys, sizes, slices, errors, true);
    for (size_t i = 0; i < count; i++) {
        must(errors[i], kv, "read");
        buffer_clear(&heads[i].head);
        heads[i].is_there = slices[i] != NULL;
        if (slices[i])
            heads[i].size = take_head(slices[i], head_max, &heads[i].head);
    }
}

/* ---- records of the journal: changes, one behind the other ---------------
 *
 *     0   1  what: 0 put, 1 delete, 2 delete a range
 *     1   1  family: 0 default, 1 log, 2 meta
 *     2   4  size of the key
 *     6   4  size of the value, or of the key that ends the range
 *     10  .. the two */

enum change { CHANGE_PUT, CHANGE_DELETE, CHANGE_DELETE_RANGE };
enum { CHANGE_HEAD = 10 };

static void note_change(struct kv_batch *batch, enum change change, unsigned place,
                        struct bytes key, struct bytes value)
{
    unsigned char head[CHANGE_HEAD] = {(unsigned char)change, (unsigned char)place};
    if (place > KV_META + 1) {
        batch->has_data = true;
        return;
    }
    check(key.size <= UINT32_MAX && value.size <= UINT32_MAX);
    put_u32(head + 2, (uint32_t)key.size);
    put_u32(head + 6, (uint32_t)value.size);
    buffer_append(&batch->record, head, sizeof head);
    buffer_append_bytes(&batch->record, key);
    buffer_append_bytes(&batch->record, value);
}

static void do_change(const struct rocksdb_kv *kv, rocksdb_writebatch_t *batch, enum change change,
                      unsigned place, struct bytes key, struct bytes value)
{
    rocksdb_column_family_handle_t *family = kv->families[place];
    check(family);
    if (change == CHANGE_PUT)
        rocksdb_writebatch_put_cf(batch, family, data_of(key), key.size, data_of(value),
                                  value.size);
    else if (change == CHANGE_DELETE)
        rocksdb_writebatch_delete_cf(batch, family, data_of(key), key.size);
    else
        rocksdb_writebatch_delete_range_cf(batch, family, data_of(key), key.size, data_of(value),
                                           value.size);
}

struct noted {
    enum change change;
    unsigned place; /* of its family */
    struct bytes key, value;
};

/* The next change of a record; moves on. False: it makes no sense. */
static bool next_noted(struct bytes *left, struct noted *noted)
{
    const unsigned char *at = left->data;
    if (left->size < CHANGE_HEAD || at[0] > CHANGE_DELETE_RANGE || at[1] > KV_META + 1)
        return false;
    uint64_t key = get_u32(at + 2), value = get_u32(at + 6);
    if (key + value > left->size - CHANGE_HEAD)
        return false;
    *noted = (struct noted){.change = (enum change)at[0],
                            .place = at[1],
                            .key = bytes_of(at + CHANGE_HEAD, key),
                            .value = bytes_of(at + CHANGE_HEAD + key, value)};
    *left = bytes_of(at + CHANGE_HEAD + key + value, left->size - CHANGE_HEAD - key - value);
    return true;
}

static bool is_in_journal(const struct noted *noted)
{
    return noted->change == CHANGE_PUT && noted->place == KV_LOG + 1 &&
           journal_row_wanted(noted->value.size);
}

/* All of a record that stands at `place`, in order: what of the log is not small stays there. */
static bool redo_record(const struct rocksdb_kv *kv, rocksdb_writebatch_t *batch,
                        struct bytes record, struct journal_place place)
{
    struct bytes left = record;
    struct noted noted;
    while (left.size > 0) {
        unsigned char row[JOURNAL_ROW_SIZE];
        if (!next_noted(&left, &noted))
            return false;
        if (is_in_journal(&noted)) {
            struct journal_place value = place;
            value.at += (uint64_t)((const char *)noted.value.data - (const char *)record.data);
            journal_row_encode(row, value, noted.value);
            noted.value = bytes_of(row, sizeof row);
        }
        do_change(kv, batch, noted.change, noted.place, noted.key, noted.value);
    }
    return true;
}

static bool redo(void *context, struct bytes record, struct journal_place place)
{
    struct rocksdb_kv *kv = context;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    bool makes_sense = redo_record(kv, batch, record, place);
    if (makes_sense)
        write_batch(kv, kv->write_journaled, batch);
    rocksdb_writebatch_destroy(batch);
    return makes_sense;
}

/* With its values, which is how a record is told that is in no journal. */
static void copy_record(const struct rocksdb_kv *kv, rocksdb_writebatch_t *batch,
                        struct bytes record)
{
    struct noted noted;
    while (record.size > 0) {
        check(next_noted(&record, &noted));
        check(!is_in_journal(&noted) || noted.value.size != JOURNAL_ROW_SIZE);
        do_change(kv, batch, noted.change, noted.place, noted.key, noted.value);
    }
}

static rocksdb_writebatch_t *batch_of(struct kv_batch *batch)
{
    if (!batch->batch)
        batch->batch = rocksdb_writebatch_create();
    return batch->batch;
}

/* RocksDB gets what is in a record from there. */
static void change(struct kv_batch *batch, enum change change, unsigned place, struct bytes key,
                   struct bytes value)
{
    note_change(batch, change, place, key, value);
    if (place > KV_META + 1)
        do_change(batch->kv, batch_of(batch), change, place, key, value);
}

/* ---- changing ------------------------------------------------------------- */

static struct kv_batch *batch_new(struct kv *base)
{
    struct kv_batch *batch = memory_new(sizeof *batch);
    batch->kv = rocksdb_kv_of(base);
    return batch;
}

static void batch_put(struct kv_batch *batch, enum kv_family family, struct bytes key,
                      struct bytes value)
{
    change(batch, CHANGE_PUT, place_of(batch->kv, family), key, value);
}

static void batch_delete(struct kv_batch *batch, enum kv_family family, struct bytes key)
{
    change(batch, CHANGE_DELETE, place_of(batch->kv, family), key, bytes_of(NULL, 0));
}

static void batch_delete_range(struct kv_batch *batch, enum kv_family family, struct bytes from,
                               struct bytes to)
{
    change(batch, CHANGE_DELETE_RANGE, place_of(batch->kv, family), from, to);
}

static void batch_adopt(struct kv_batch *batch)
{
    const char swapped = !batch->kv->is_swapped;
    change(batch, CHANGE_PUT, 0, bytes_from_string(data_at), bytes_of(&swapped, 1));
    batch->is_adopting = true;
}

static void batch_free(struct kv_batch *batch)
{
    if (batch->batch)
        rocksdb_writebatch_destroy(batch->batch);
    buffer_deinit(&batch->record);
    memory_free(batch);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* RocksDB counts them, so one that came meanwhile is there the next time. */
static void check_background(struct rocksdb_kv *kv)
{
    uint64_t errors = 0;
    atomic_store(&kv->asked_ms, now_ms());
    rocksdb_property_int_cf(kv->db, kv->families[0], "rocksdb.background-errors", &errors);
    if (errors)
        fatal("the store in %s failed to write in the background (see %s/LOG)", kv->directory,
              kv->directory);
}

static bool is_to_be_asked(struct rocksdb_kv *kv)
{
    return now_ms() - atomic_load(&kv->asked_ms) >= ASK_AGAIN_MS;
}

/* A family has as many levels as its data need (dynamic), or seven from the beginning (fixed), as
 * builds of before made it.  It keeps those that it was made with: with dynamic ones RocksDB would
 * take what fixed ones hold for far too much, and delay writes until it is merged, or stop them. */
static void set_levels(const struct rocksdb_kv *kv, unsigned place, bool are_dynamic)
{
    rocksdb_options_set_level_compaction_dynamic_level_bytes(kv->family_options[place],
                                                             are_dynamic);
}

static bool has_dynamic_levels(const struct rocksdb_kv *kv, unsigned place)
{
    return rocksdb_options_get_level_compaction_dynamic_level_bytes(kv->family_options[place]);
}

/* The staging place goes, with all it has. */
static void drop_stage(struct rocksdb_kv *kv)
{
    unsigned place = place_of(kv, KV_STAGE);
    char *error = NULL;
    if (!kv->families[place])
        return;
    rocksdb_drop_column_family(kv->db, kv->families[place], &error);
    must(error, kv, "empty the staging place of");
    rocksdb_column_family_handle_destroy(kv->families[place]);
    kv->families[place] = NULL;
}

static void stage_clear(struct kv *base)
{
    struct rocksdb_kv *kv = rocksdb_kv_of(base);
    unsigned place = place_of(kv, KV_STAGE);
    char *error = NULL;
    drop_stage(kv);
    set_levels(kv, place, true);
    kv->families[place] = rocksdb_create_column_family(kv->db, kv->family_options[place],
                                                       family_names[place], &error);
    must(error, kv, "make a staging place in");
}

/* ---- how large a level is --------------------------------------------------- */

/* RocksDB writes a file of options for it, and holds its queue of writes for some syncs, in which
 * the log writer waits with what it tells of the journal. */
static void tell_level_size(const struct rocksdb_kv *kv)
{
    char bytes[32];
    const char *const names[] = {"max_bytes_for_level_base"}, *const values[] = {bytes};
    char *error = NULL;
    snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)kv->level_size.target);
    rocksdb_set_options_cf(kv->db, family_of(kv, KV_DATA), 1, names, values, &error);
    must(error, kv, "say how large a level is in");
}

/* Of the first level below 0 that has any. */
static uint64_t first_level_bytes(const struct rocksdb_kv *kv)
{
    const char *data = family_names[place_of(kv, KV_DATA)];
    const rocksdb_livefiles_t *files = rocksdb_livefiles(kv->db);
    int first = INT_MAX;
    uint64_t bytes = 0;
    for (int i = 0; i < rocksdb_livefiles_count(files); i++) {
        int level = rocksdb_livefiles_level(files, i);
        if (level == 0 || level > first ||
            strcmp(rocksdb_livefiles_column_family_name(files, i), data) != 0)
            continue;
        bytes = rocksdb_livefiles_size(files, i) + (level == first ? bytes : 0);
        first = level;
    }
    rocksdb_livefiles_destroy(files);
    return bytes;
}

/* Fixed levels are ten times as large as the one above each, so with the first all would grow, and
 * shrink when runs are smaller, or in a build of before.  Writes would be delayed until what they
 * have too much of then is merged, for which 140 GB of data are enough, or stopped. */
static bool is_level_sized(const struct rocksdb_kv *kv)
{
    return has_dynamic_levels(kv, place_of(kv, KV_DATA));
}

/* The data are others, or this process has seen no run yet: what the level has is not pushed down
 * for that. */
static void begin_level_size(struct rocksdb_kv *kv)
{
    if (!is_level_sized(kv))
        return;
    uint64_t bytes = first_level_bytes(kv);
    pthread_mutex_lock(&kv->sizing);
    if (kv_level_size_begin(&kv->level_size, bytes) != LEVEL_SIZE_LEAST)
        tell_level_size(kv);
    pthread_mutex_unlock(&kv->sizing);
}

/* ---- the journal's families are stored ------------------------------------- */

/* With the mutex. In no record of the journal: it says what RocksDB has. */
static uint64_t put_mark(struct rocksdb_kv *kv)
{
    unsigned char value[8];
    char *error = NULL;
    uint64_t mark = journal_last(kv->journal);
    tell_all(kv);
    put_u64(value, mark);
    rocksdb_put_cf(kv->db, kv->write_journaled, kv->families[0], stored_at, sizeof stored_at - 1,
                   (const char *)value, sizeof value, &error);
    must(error, kv, "write");
    return mark;
}

static uint64_t get_mark(struct rocksdb_kv *kv)
{
    char *error = NULL;
    size_t size = 0;
    char *value = rocksdb_get_cf(kv->db, kv->read, kv->families[0], stored_at, sizeof stored_at - 1,
                                 &size, &error);
    must(error, kv, "read");
    uint64_t mark = size == 8 ? get_u64((const unsigned char *)value) : 0;
    rocksdb_free(value);
    return mark;
}

static void flush_family(struct rocksdb_kv *kv, unsigned place)
{
    char *error = NULL;
    rocksdb_flush_cf(kv->db, kv->flush, kv->families[place], &error);
    must(error, kv, "write");
}

/* The mark last. */
static void flush_families(struct rocksdb_kv *kv)
{
    flush_family(kv, KV_LOG + 1);
    flush_family(kv, KV_META + 1);
    flush_family(kv, 0);
}

/* With the mutex, and nobody else at it. */
static void store_all(struct rocksdb_kv *kv)
{
    uint64_t mark = put_mark(kv);
    flush_families(kv);
    journal_release_all(kv->journal, mark);
}

/* The same at a start and an end, but where little is told again at the next start, the segment is
 * gone on with: each one that is begun may have to be held for a few rows. */
static void store_what_is_there(struct rocksdb_kv *kv)
{
    if (!journal_is_short(kv->journal)) {
        store_all(kv);
        return;
    }
    uint64_t mark = put_mark(kv);
    flush_families(kv);
    journal_release(kv->journal, journal_segment(kv->journal), mark);
}

/* Large values of the log that a build of before put into RocksDB are all deleted, and too little
 * is written behind them for RocksDB to come to their tables by itself.  False: a snapshot keeps
 * them, or what is there is small values. */
static bool give_log_tables_back(struct rocksdb_kv *kv)
{
    uint64_t bytes = 0;
    rocksdb_compactoptions_t *options = rocksdb_compactoptions_create();
    rocksdb_compactoptions_set_exclusive_manual_compaction(options, 0);
    rocksdb_compact_range_cf_opt(kv->db, kv->families[KV_LOG + 1], options, NULL, 0, NULL, 0);
    rocksdb_compactoptions_destroy(options);
    rocksdb_property_int_cf(kv->db, kv->families[KV_LOG + 1], "rocksdb.total-sst-files-size",
                            &bytes);
    return bytes <= LOG_TABLES_SMALL;
}

/* With the mutex, which it gives up meanwhile. */
static void store_segments(struct rocksdb_kv *kv)
{
    struct storing *storing = &kv->storing;
    uint64_t segment = journal_segment(kv->journal), mark = put_mark(kv);
    bool is_large_deleted = kv->is_large_deleted;
    storing->is_wanted = false;
    pthread_mutex_unlock(&storing->mutex);
    flush_families(kv);
    pthread_mutex_lock(&storing->mutex);
    journal_release(kv->journal, segment, mark);
    pthread_cond_broadcast(&storing->stored);
    if (!is_large_deleted || storing->is_closing)
        return;
    storing->is_merging = true;
    pthread_mutex_unlock(&storing->mutex);
    bool are_given_back = give_log_tables_back(kv);
    pthread_mutex_lock(&storing->mutex);
    storing->is_merging = false;
    if (are_given_back || ++kv->giving_back_tries == GIVING_BACK_TRIES)
        kv->is_large_deleted = false;
}

/* Likewise. */
static void fill_some(struct rocksdb_kv *kv)
{
    struct storing *storing = &kv->storing;
    struct journal_filling filling;
    journal_fill_begin(kv->journal, &filling);
    pthread_mutex_unlock(&storing->mutex);
    bool is_filled = journal_fill(&filling);
    pthread_mutex_lock(&storing->mutex);
    journal_fill_end(kv->journal, &filling, is_filled);
    storing->is_full |= !is_filled;
}

/* Likewise. */
static void remove_file(struct rocksdb_kv *kv)
{
    struct storing *storing = &kv->storing;
    struct journal_removal removal;
    journal_remove_begin(kv->journal, &removal);
    pthread_mutex_unlock(&storing->mutex);
    journal_remove(&removal);
    pthread_mutex_lock(&storing->mutex);
}

static bool wants_zeros(const struct rocksdb_kv *kv)
{
    const struct storing *storing = &kv->storing;
    return storing->awaited == 0 && !storing->is_full && journal_wants_filling(kv->journal);
}

static void *store_main(void *context)
{
    struct rocksdb_kv *kv = context;
    struct storing *storing = &kv->storing;
    pthread_mutex_lock(&storing->mutex);
    while (storing->is_running) {
        if (storing->is_closing) /* the end has waited, or stores what is there itself */
            storing->is_running = false;
        else if (storing->is_wanted)
            store_segments(kv);
        else if (journal_wants_removal(kv->journal))
            remove_file(kv);
        else if (wants_zeros(kv))
            fill_some(kv);
        else
            storing->is_running = false;
        pthread_cond_broadcast(&storing->stored);
    }
    pthread_mutex_unlock(&storing->mutex);
    return NULL;
}

static void join_storing(struct storing *storing)
{
    if (storing->has_thread && pthread_join(storing->thread, NULL) != 0)
        fatal("cannot join the thread that stores what the journal holds");
    storing->has_thread = false;
}

/* With the mutex. */
static void start_storing(struct rocksdb_kv *kv)
{
    struct storing *storing = &kv->storing;
    if (storing->is_running)
        return;
    join_storing(storing);
    if (pthread_create(&storing->thread, NULL, store_main, kv) != 0)
        fatal("cannot start a thread that stores what the journal holds");
    storing->has_thread = storing->is_running = true;
}

/* With the mutex. */
static void await_storing(struct storing *storing)
{
    storing->awaited++;
    while (storing->is_running && !storing->is_merging)
        pthread_cond_wait(&storing->stored, &storing->mutex);
    storing->awaited--;
}

/* ---- committing ------------------------------------------------------------- */

static void note_untold(struct rocksdb_kv *kv, struct bytes record, struct journal_place place)
{
    struct untold *untold = &kv->untold;
    pthread_mutex_lock(&untold->mutex);
    check(redo_record(kv, untold->batch, record, place));
    (void)rocksdb_writebatch_data(untold->batch, &untold->bytes);
    if (untold->bytes >= UNTOLD_MAX)
        tell_some(kv);
    pthread_mutex_unlock(&untold->mutex);
}

static void note_deleted(struct rocksdb_kv *kv, struct bytes from, struct bytes to)
{
    struct bytes large = buffer_bytes(&kv->large_in_rows);
    journal_rows_deleted(&kv->rows, kv->journal, from, to);
    if (large.size == 0 || !is_before(large, to))
        return;
    kv->is_large_deleted = true;
    buffer_deinit(&kv->large_in_rows);
}

static bool is_trim(const struct noted *noted)
{
    return noted->change == CHANGE_DELETE_RANGE && noted->place == KV_LOG + 1;
}

/* Which segments of the journal are held for the log, behind a record that is durable: no start
 * finds rows again that it deletes, nor does anybody else, since RocksDB is told of it before
 * anybody looks.  With the mutex. */
static void note_rows(struct rocksdb_kv *kv, struct bytes record, struct journal_place place)
{
    struct noted noted;
    while (record.size > 0 && next_noted(&record, &noted))
        if (is_in_journal(&noted))
            journal_rows_note(&kv->rows, kv->journal, place.segment, noted.key);
        else if (is_trim(&noted))
            note_deleted(kv, noted.key, noted.value);
}

/* The same of a record whose values are RocksDB's. */
static void note_deletes(struct rocksdb_kv *kv, struct bytes record)
{
    struct noted noted;
    while (record.size > 0 && next_noted(&record, &noted))
        if (is_trim(&noted))
            note_deleted(kv, noted.key, noted.value);
}

/* Into the journal, and in the same order, some time later, to RocksDB. */
static void commit_journaled(struct rocksdb_kv *kv, struct kv_batch *batch)
{
    struct storing *storing = &kv->storing;
    struct bytes record = buffer_bytes(&batch->record);
    pthread_mutex_lock(&storing->mutex);
    storing->awaited++; /* or all zeros of the next segment would be waited for */
    while (!journal_has_room(kv->journal, record.size)) {
        storing->is_wanted |= !storing->is_running;
        start_storing(kv);
        pthread_cond_wait(&storing->stored, &storing->mutex);
    }
    storing->awaited--;
    uint64_t segment = journal_segment(kv->journal);
    struct journal_place place = journal_append(kv->journal, record);
    note_untold(kv, record, place);
    note_rows(kv, record, place);
    if (journal_segment(kv->journal) != segment) {
        storing->is_wanted = true;
        storing->is_full = false;
    }
    if (storing->is_wanted || journal_wants_removal(kv->journal) || wants_zeros(kv))
        start_storing(kv);
    pthread_mutex_unlock(&storing->mutex);
}

/* One batch of RocksDB's log: no record of before may be told again after it. */
static void commit_with_data(struct rocksdb_kv *kv, struct kv_batch *batch)
{
    pthread_mutex_lock(&kv->storing.mutex);
    await_storing(&kv->storing);
    store_all(kv);
    copy_record(kv, batch_of(batch), buffer_bytes(&batch->record));
    write_batch(kv, kv->write_synced, batch_of(batch));
    note_deletes(kv, buffer_bytes(&batch->record));
    flush_family(kv, place_of(kv, KV_DATA));
    flush_families(kv);
    pthread_mutex_unlock(&kv->storing.mutex);
}

static void join_reclaiming(struct reclaiming *reclaiming)
{
    if (reclaiming->has_thread && pthread_join(reclaiming->thread, NULL) != 0)
        fatal("cannot join the thread that gives space back");
    reclaiming->has_thread = false;
}

/* The data are about to be others.  RocksDB looks at a family for which a merge by hand waits, also
 * when it was dropped meanwhile. */
static void end_reclaiming(struct rocksdb_kv *kv)
{
    struct reclaiming *reclaiming = &kv->reclaiming;
    pthread_mutex_lock(&reclaiming->mutex);
    reclaiming->is_wanted = false;
    pthread_mutex_unlock(&reclaiming->mutex);
    rocksdb_disable_manual_compaction(kv->db);
    join_reclaiming(reclaiming);
    rocksdb_enable_manual_compaction(kv->db);
}

static void commit(struct kv *base, struct kv_batch *batch, bool sync)
{
    struct rocksdb_kv *kv = rocksdb_kv_of(base);
    check(!batch->is_adopting || (sync && kv->families[place_of(kv, KV_STAGE)]));
    if (batch->is_adopting)
        end_reclaiming(kv);
    bool has_record = batch->record.size > 0;
    if (has_record && batch->has_data)
        commit_with_data(kv, batch);
    else if (has_record)
        commit_journaled(kv, batch);
    else
        write_batch(kv, sync ? kv->write_synced : kv->write_unsynced, batch_of(batch));
    if (!sync)
        return;
    bool is_journaled = has_record && !batch->has_data;
    if (!is_journaled || is_to_be_asked(kv))
        check_background(kv);
    if (batch->is_adopting) {
        kv->is_swapped = !kv->is_swapped;
        drop_stage(kv);
        begin_level_size(kv);
    }
}

/* RocksDB deletes files that lie within a range whose end belongs to it; ours does not.  The key
 * just before `to`, or some key still before it but behind all that are likely to exist. */
static void key_before(struct bytes to, struct buffer *key)
{
    static const char tail[16] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    buffer_append_bytes(key, to);
    if (key->data[key->size - 1] == 0) {
        key->size--;
    } else {
        key->data[key->size - 1]--;
        buffer_append(key, tail, sizeof tail - 1);
    }
}

static void drop_files(struct kv *base, enum kv_family family, struct bytes from, struct bytes to)
{
    struct rocksdb_kv *kv = rocksdb_kv_of(base);
    if (to.size == 0)
        return;
    struct buffer last = {0};
    key_before(to, &last);
    char *error = NULL;
    rocksdb_delete_file_in_range_cf(kv->db, family_of(kv, family), data_of(from), from.size,
                                    last.data, last.size, &error);
    buffer_deinit(&last);
    must(error, kv, "delete from");
}

/* ---- giving space back -------------------------------------------------------- */

static bool take_wanted(struct reclaiming *reclaiming, struct buffer *from, struct buffer *to)
{
    pthread_mutex_lock(&reclaiming->mutex);
    bool is_wanted = reclaiming->is_wanted && !reclaiming->is_closing;
    reclaiming->is_wanted = false;
    reclaiming->is_running = is_wanted;
    *from = reclaiming->from;
    *to = reclaiming->to;
    reclaiming->from = reclaiming->to = (struct buffer){0};
    pthread_mutex_unlock(&reclaiming->mutex);
    return is_wanted;
}

/* A thread of its own, because a compaction by hand returns when it is done. */
static void *reclaim_main(void *context)
{
    struct rocksdb_kv *kv = context;
    struct buffer from, to;
    rocksdb_compactoptions_t *options = rocksdb_compactoptions_create();
    rocksdb_compactoptions_set_exclusive_manual_compaction(options, 0);
    while (take_wanted(&kv->reclaiming, &from, &to)) {
        rocksdb_compact_range_cf_opt(kv->db, family_of(kv, KV_DATA), options, from.data, from.size,
                                     to.data, to.size);
        buffer_deinit(&from);
        buffer_deinit(&to);
    }
    buffer_deinit(&from);
    buffer_deinit(&to);
    rocksdb_compactoptions_destroy(options);
    return NULL;
}

static void widen(struct reclaiming *reclaiming, struct bytes from, struct bytes to)
{
    bool is_first = !reclaiming->is_wanted;
    if (is_first || is_before(from, buffer_bytes(&reclaiming->from))) {
        buffer_clear(&reclaiming->from);
        buffer_append_bytes(&reclaiming->from, from);
    }
    if (is_first || is_before(buffer_bytes(&reclaiming->to), to)) {
        buffer_clear(&reclaiming->to);
        buffer_append_bytes(&reclaiming->to, to);
    }
    reclaiming->is_wanted = true;
}

static void reclaim(struct kv *base, enum kv_family family, struct bytes from, struct bytes to)
{
    struct rocksdb_kv *kv = rocksdb_kv_of(base);
    struct reclaiming *reclaiming = &kv->reclaiming;
    check(family == KV_DATA);
    pthread_mutex_lock(&reclaiming->mutex);
    widen(reclaiming, from, to);
    if (!reclaiming->is_running) {
        join_reclaiming(reclaiming);
        if (pthread_create(&reclaiming->thread, NULL, reclaim_main, kv) != 0)
            fatal("cannot start a thread that gives space back");
        reclaiming->has_thread = reclaiming->is_running = true;
    }
    pthread_mutex_unlock(&reclaiming->mutex);
}

static void stop_reclaiming(struct rocksdb_kv *kv)
{
    struct reclaiming *reclaiming = &kv->reclaiming;
    pthread_mutex_lock(&reclaiming->mutex);
    reclaiming->is_closing = true;
    pthread_mutex_unlock(&reclaiming->mutex);
    join_reclaiming(reclaiming);
    buffer_deinit(&reclaiming->from);
    buffer_deinit(&reclaiming->to);
    pthread_mutex_destroy(&reclaiming->mutex);
}

/* ---- scanning --------------------------------------------------------------- */

static void bound(struct kv_iter *iter, struct bytes to)
{
    buffer_clear(&iter->to);
    buffer_append_bytes(&iter->to, to);
    rocksdb_readoptions_set_iterate_upper_bound(iter->read, iter->to.data, iter->to.size);
}

static void start(struct kv_iter *iter, struct bytes from)
{
    check(iter->to.size == 0 || !is_before(buffer_bytes(&iter->to), from));
    rocksdb_iter_seek(iter->iterator, data_of(from), from.size);
    iter->started = iter->gave_up = false;
}

static void note_from(struct kv_iter *iter, struct bytes from)
{
    buffer_clear(&iter->from);
    buffer_append_bytes(&iter->from, from);
}

static void iter_seek(struct kv_iter *iter, struct bytes from, struct bytes to)
{
    check(to.size > 0 && iter->to.size > 0);
    bound(iter, to);
    if (iter->gives_up)
        note_from(iter, from);
    start(iter, from);
}

/* The options become the iterator's. */
static struct kv_iter *iter_with(struct rocksdb_kv *kv, rocksdb_readoptions_t *read,
                                 enum kv_family family, struct bytes from, struct bytes to)
{
    struct kv_iter *iter = memory_new(sizeof *iter);
    iter->kv = kv;
    iter->read = read;
    iter->family = family;
    iter->is_of_log = family == KV_LOG;
    if (to.size > 0)
        bound(iter, to);
    if (iter->is_of_log) /* before it looks */
        journal_hold_all(kv->journal);
    if (family < KV_DATA)
        tell_all(kv);
    iter->iterator = rocksdb_create_iterator_cf(kv->db, read, family_of(kv, family));
    start(iter, from);
    return iter;
}

static struct kv_iter *iter_new(struct kv *base, enum kv_family family, struct bytes from,
                                struct bytes to)
{
    rocksdb_readoptions_t *read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_fill_cache(read, family != KV_LOG);
    return iter_with(rocksdb_kv_of(base), read, family, from, to);
}

/* RocksDB says so as an error, and nothing of where it stands. */
static void end_next(struct kv_iter *iter)
{
    static const char gave_up[] = "Result incomplete";
    char *error = NULL;
    rocksdb_iter_get_error(iter->iterator, &error);
    iter->gave_up = iter->gives_up && error && strncmp(error, gave_up, sizeof gave_up - 1) == 0;
    if (error && !iter->gave_up)
        fatal("cannot scan the store: %s", error);
    rocksdb_free(error);
}

static bool iter_next(struct kv_iter *iter, struct bytes *key, struct bytes *value)
{
    check(!iter->gave_up);
    if (iter->started && rocksdb_iter_valid(iter->iterator))
        rocksdb_iter_next(iter->iterator);
    iter->started = true;
    if (rocksdb_iter_valid(iter->iterator)) {
        key->data = rocksdb_iter_key(iter->iterator, &key->size);
        value->data = rocksdb_iter_value(iter->iterator, &value->size);
        if (iter->gives_up) {
            note_from(iter, *key);
            buffer_append_byte(&iter->from, '\0'); /* behind it */
        }
        if (iter->is_of_log) {
            if (!find_value(iter->kv, *value, &iter->value))
                journal_damaged(iter->kv);
            *value = buffer_bytes(&iter->value);
        }
        return true;
    }
    end_next(iter);
    return false;
}

static void iter_free(struct kv_iter *iter)
{
    rocksdb_iter_destroy(iter->iterator);
    rocksdb_readoptions_destroy(iter->read);
    if (iter->is_of_log)
        journal_let_all_go(iter->kv->journal);
    buffer_deinit(&iter->to);
    buffer_deinit(&iter->from);
    buffer_deinit(&iter->value);
    memory_free(iter);
}

static struct kv_iter *walk_new(struct kv *base, const struct kv_snapshot *snapshot,
                                enum kv_family family, struct bytes from, struct bytes to,
                                bool gives_up)
{
    rocksdb_readoptions_t *read = rocksdb_readoptions_create();
    check(family >= KV_DATA);
    if (snapshot)
        rocksdb_readoptions_set_snapshot(read, snapshot->snapshot);
    rocksdb_readoptions_set_fill_cache(read, !snapshot);
    if (gives_up)
        rocksdb_readoptions_set_max_skippable_internal_keys(read, KV_PASSED_MAX);
    struct kv_iter *iter = iter_with(rocksdb_kv_of(base), read, family, from, to);
    iter->gives_up = gives_up;
    if (gives_up)
        note_from(iter, from);
    return iter;
}

static bool walk_gave_up(const struct kv_iter *iter)
{
    return iter->gave_up;
}

/* RocksDB's iterator keeps the bound that it was made with.  One of the present is of a later
 * present then: it shows what was stored meanwhile. */
static void give_up_no_more(struct kv_iter *iter)
{
    rocksdb_iter_destroy(iter->iterator);
    rocksdb_readoptions_set_max_skippable_internal_keys(iter->read, 0);
    iter->iterator =
        rocksdb_create_iterator_cf(iter->kv->db, iter->read, family_of(iter->kv, iter->family));
    iter->gives_up = false;
}

static void walk_on(struct kv_iter *iter, struct bytes to)
{
    check(iter->gave_up && to.size > 0 && iter->to.size > 0);
    if (bytes_equal(to, buffer_bytes(&iter->to)))
        give_up_no_more(iter);
    else
        bound(iter, to);
    start(iter, buffer_bytes(&iter->from));
}

/* ---- snapshots ---------------------------------------------------------------- */

static struct kv_snapshot *snapshot_new(struct kv *base)
{
    struct kv_snapshot *snapshot = memory_new(sizeof *snapshot);
    snapshot->snapshot = rocksdb_create_snapshot(rocksdb_kv_of(base)->db);
    snapshot->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(snapshot->read, snapshot->snapshot);
    return snapshot;
}

static void snapshot_free(struct kv *base, struct kv_snapshot *snapshot)
{
    rocksdb_readoptions_destroy(snapshot->read);
    rocksdb_release_snapshot(rocksdb_kv_of(base)->db, snapshot->snapshot);
    memory_free(snapshot);
}

static bool snapshot_get(struct kv *base, const struct kv_snapshot *snapshot, enum kv_family family,
                         struct bytes key, struct buffer *value)
{
    size_t size;
    check(family >= KV_DATA);
    return get_with(rocksdb_kv_of(base), snapshot->read, family, key, SIZE_MAX, value, &size);
}

/* ---- bulk ------------------------------------------------------------------- */

static struct kv_bulk *bulk_new(struct kv *base, enum kv_family family)
{
    struct rocksdb_kv *kv = rocksdb_kv_of(base);
    struct kv_bulk *bulk = memory_new(sizeof *bulk);
    check(family >= KV_DATA);
    bulk->kv = kv;
    bulk->family = family;
    uint64_t number = __atomic_add_fetch(&kv->bulks, 1, __ATOMIC_RELAXED);
    int length = snprintf(bulk->path, sizeof bulk->path, "%s/ingest/%llu.sst", kv->directory,
                          (unsigned long long)number);
    check(length > 0 && (size_t)length < sizeof bulk->path);
    return bulk;
}

static rocksdb_sstfilewriter_t *bulk_writer(struct kv_bulk *bulk)
{
    if (bulk->writer)
        return bulk->writer;
    bulk->writer = rocksdb_sstfilewriter_create(
        bulk->kv->env, bulk->kv->family_options[place_of(bulk->kv, bulk->family)]);
    char *error = NULL;
    rocksdb_sstfilewriter_open(bulk->writer, bulk->path, &error);
    must(error, bulk->kv, "write a sorted file for");
    return bulk->writer;
}

static void bulk_put(struct kv_bulk *bulk, struct bytes key, struct bytes value)
{
    char *error = NULL;
    rocksdb_sstfilewriter_put(bulk_writer(bulk), data_of(key), key.size, data_of(value), value.size,
                              &error);
    must(error, bulk->kv, "write a sorted file for");
}

static void bulk_delete(struct kv_bulk *bulk, struct bytes key)
{
    char *error = NULL;
    rocksdb_sstfilewriter_delete(bulk_writer(bulk), data_of(key), key.size, &error);
    must(error, bulk->kv, "write a sorted file for");
}

/* Before the run is there, so that a merge which begins with it knows. */
static void expect_run(struct rocksdb_kv *kv, struct kv_bulk *bulk)
{
    uint64_t bytes = 0;
    if (bulk->family != KV_DATA || !is_level_sized(kv))
        return;
    rocksdb_sstfilewriter_file_size(bulk->writer, &bytes);
    pthread_mutex_lock(&kv->sizing);
    uint64_t before = kv->level_size.target;
    if (kv_level_size_after(&kv->level_size, bytes) != before)
        tell_level_size(kv);
    pthread_mutex_unlock(&kv->sizing);
}

/* finish() syncs the file, ingest syncs the directory and the manifest. */
static void bulk_commit(struct kv_bulk *bulk)
{
    if (bulk->writer) {
        struct rocksdb_kv *kv = bulk->kv;
        const char *const paths[] = {bulk->path};
        char *error = NULL;
        rocksdb_sstfilewriter_finish(bulk->writer, &error);
        must(error, kv, "write a sorted file for");
        expect_run(kv, bulk);
        rocksdb_ingest_external_file_cf(kv->db, family_of(kv, bulk->family), paths, 1, kv->ingest,
                                        &error);
        must(error, kv, "take a sorted file into");
        rocksdb_sstfilewriter_destroy(bulk->writer);
    }
    memory_free(bulk);
}

/* ---- opening and closing ----------------------------------------------------- */

static uint64_t property(struct kv *base, enum kv_family family, const char *name)
{
    struct rocksdb_kv *kv = rocksdb_kv_of(base);
    uint64_t value = 0;
    if (rocksdb_property_int_cf(kv->db, family_of(kv, family), name, &value) != 0)
        return 0;
    return value;
}

/* So that the next start has nothing to replay. */
static void store_for_the_end(struct rocksdb_kv *kv)
{
    struct storing *storing = &kv->storing;
    pthread_mutex_lock(&storing->mutex);
    storing->is_closing = true;
    await_storing(storing);
    if (kv->journal && kv->is_replayed)
        store_what_is_there(kv);
    pthread_mutex_unlock(&storing->mutex);
}

/* Behind the last flush, since nothing is stored any more: no merge is waited for, whoever began
 * it.  To end merges by hand alone would wait for one that RocksDB began and that is in their way.
 * Tables of the log that are not given back are found by the next start. */
static void end_merges(struct rocksdb_kv *kv)
{
    if (kv->db)
        rocksdb_cancel_all_background_work(kv->db, 0);
}

static void stop_storing(struct rocksdb_kv *kv)
{
    struct storing *storing = &kv->storing;
    join_storing(storing);
    journal_rows_deinit(&kv->rows);
    buffer_deinit(&kv->large_in_rows);
    if (kv->journal)
        journal_close(kv->journal);
    pthread_cond_destroy(&storing->stored);
    pthread_mutex_destroy(&storing->mutex);
    pthread_mutex_destroy(&kv->untold.mutex);
    pthread_mutex_destroy(&kv->sizing);
    rocksdb_writebatch_destroy(kv->untold.batch);
}

/* Also undoes a half-done open. */
static void close_kv(struct kv *base)
{
    struct rocksdb_kv *kv = rocksdb_kv_of(base);
    store_for_the_end(kv);
    end_merges(kv);
    stop_storing(kv);
    stop_reclaiming(kv);
    for (int i = 0; i < FAMILIES_ON_DISK; i++)
        if (kv->families[i])
            rocksdb_column_family_handle_destroy(kv->families[i]);
    if (kv->db)
        rocksdb_close(kv->db);
    durable_number_unmap(kv->synced);
    for (int i = 0; i < FAMILIES_ON_DISK; i++)
        rocksdb_options_destroy(kv->family_options[i]);
    rocksdb_options_destroy(kv->db_options);
    rocksdb_cache_destroy(kv->cache);
    rocksdb_writeoptions_destroy(kv->write_synced);
    rocksdb_writeoptions_destroy(kv->write_unsynced);
    rocksdb_writeoptions_destroy(kv->write_journaled);
    rocksdb_flushoptions_destroy(kv->flush);
    rocksdb_readoptions_destroy(kv->read);
    rocksdb_readoptions_destroy(kv->read_once);
    rocksdb_envoptions_destroy(kv->env);
    rocksdb_ingestexternalfileoptions_destroy(kv->ingest);
    memory_free(kv->directory);
    memory_free(kv);
}

static const struct kv_ops rocksdb_ops = {
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

/* Rows that say where entries are in the journal, and entries that are smaller than that.  A trim
 * deletes a range, and so binds tables to each other that are merged then: they are small. */
static rocksdb_options_t *log_family_options(const struct kv_options *options)
{
    rocksdb_options_t *family = rocksdb_options_create();
    rocksdb_options_set_write_buffer_size(family, options->log_memtable_bytes);
    rocksdb_options_set_max_write_buffer_number(family, 4);
    rocksdb_options_set_compression(family, rocksdb_no_compression);
    rocksdb_options_set_level0_slowdown_writes_trigger(family, 64);
    rocksdb_options_set_level0_stop_writes_trigger(family, 128);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_no_block_cache(table, 1);
    rocksdb_options_set_block_based_table_factory(family, table);
    rocksdb_block_based_options_destroy(table);
    return family;
}

/* Data is filled by bulk runs, so its memtable stays empty; but write stalls concern the whole
 * database, hence the wide triggers: ingested files that overlap land in level 0.  With dynamic
 * levels (set_levels) they are merged into the last one, or the last but one when that has as much
 * as the runs together: a run goes into the deepest level where nothing overlaps it, so of fixed
 * ones the first six runs get one each, for long, which every look asks.  The small families are
 * the same without filter and compression, and have fixed levels. */
static rocksdb_options_t *data_family_options(rocksdb_cache_t *cache, bool data)
{
    rocksdb_options_t *family = rocksdb_options_create();
    rocksdb_options_set_write_buffer_size(family, 16u << 20);
    rocksdb_options_set_max_write_buffer_number(family, 6);
    rocksdb_options_set_compression(family,
                                    data ? rocksdb_lz4_compression : rocksdb_no_compression);
    rocksdb_options_set_level0_file_num_compaction_trigger(family, RUNS_MERGED);
    rocksdb_options_set_max_bytes_for_level_base(family, LEVEL_SIZE_LEAST);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(family, 0);
    rocksdb_options_set_level0_slowdown_writes_trigger(family, 40);
    rocksdb_options_set_level0_stop_writes_trigger(family, 60);
    /* These would hold up the log's writes, and not what they are there for: the data, which comes
     * in whole runs and is not waited for by RocksDB however much is to be merged. */
    rocksdb_options_set_soft_pending_compaction_bytes_limit(family, 0);
    rocksdb_options_set_hard_pending_compaction_bytes_limit(family, 0);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, cache);
    if (data) { /* single rows are found in a block by their hash */
        rocksdb_block_based_options_set_data_block_index_type(
            table, rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
        rocksdb_block_based_options_set_data_block_hash_ratio(table, 0.75);
    }
    if (data)
        rocksdb_block_based_options_set_filter_policy(
            table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_options_set_block_based_table_factory(family, table);
    rocksdb_block_based_options_destroy(table);
    return family;
}

static rocksdb_options_t *db_options_new(const struct kv_options *options, bool fresh)
{
    rocksdb_options_t *db = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(db, fresh);
    rocksdb_options_set_create_missing_column_families(db, fresh);
    rocksdb_options_set_paranoid_checks(db, 1);
    rocksdb_options_set_max_background_jobs(db, 2);
    rocksdb_options_set_max_total_wal_size(db, options->wal_bytes_max / (JOURNAL_SEGMENTS + 1));
    /* Where the process has few descriptors, reading is slower rather than impossible. */
    rocksdb_options_set_max_open_files(db, options->open_tables_max ? (int)options->open_tables_max
                                                                    : -1);
    rocksdb_options_set_wal_recovery_mode(db, RECOVER_TO_POINT_IN_TIME);
    rocksdb_options_set_bytes_per_sync(db, 1u << 20);
    rocksdb_options_set_info_log_level(db, INFO_LOG_WARN);
    rocksdb_options_set_max_log_file_size(db, 16u << 20);
    rocksdb_options_set_keep_log_file_num(db, 4);
    rocksdb_options_set_stats_dump_period_sec(db, 0);
    rocksdb_options_set_stats_persist_period_sec(db, 0);
    /* Whoever frees the last iterator on files that were compacted away would delete them: the
     * loop, and gigabytes behind a backup. */
    rocksdb_options_set_avoid_unnecessary_blocking_io(db, 1);
    return db;
}

/* Of the journal.  A start replays up to three of them, so what is kept of the log does not make
 * them as large as it likes: more of them it may. */
static uint64_t segment_bytes(const struct kv_options *options)
{
    uint64_t bytes = options->wal_bytes_max / (JOURNAL_SEGMENTS + 1);
    uint64_t kept = options->log_bytes_kept / SEGMENTS_KEPT;
    if (kept > SEGMENT_MOST)
        kept = SEGMENT_MOST;
    if (bytes < kept)
        bytes = kept;
    return bytes < SEGMENT_LEAST ? SEGMENT_LEAST : bytes;
}

static struct rocksdb_kv *options_new(const char *directory, const struct kv_options *options,
                                      bool fresh)
{
    struct rocksdb_kv *kv = memory_new(sizeof *kv);
    kv->base.ops = &rocksdb_ops;
    kv->directory = memory_string(directory);
    kv->cache = rocksdb_cache_create_lru(options->cache_bytes);
    kv->db_options = db_options_new(options, fresh);
    kv->family_options[0] = data_family_options(kv->cache, false);
    kv->family_options[KV_LOG + 1] = log_family_options(options);
    kv->family_options[KV_META + 1] = data_family_options(kv->cache, false);
    kv->family_options[KV_DATA + 1] = data_family_options(kv->cache, true);
    kv->family_options[KV_STAGE + 1] = data_family_options(kv->cache, true);
    kv->write_synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(kv->write_synced, 1);
    kv->write_unsynced = rocksdb_writeoptions_create();
    kv->write_journaled = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(kv->write_journaled, 1);
    kv->flush = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(kv->flush, 1);
    kv->journal_bytes = segment_bytes(options);
    pthread_mutex_init(&kv->storing.mutex, NULL);
    pthread_cond_init(&kv->storing.stored, NULL);
    pthread_mutex_init(&kv->untold.mutex, NULL);
    pthread_mutex_init(&kv->sizing, NULL);
    kv->untold.batch = rocksdb_writebatch_create();
    kv->read = rocksdb_readoptions_create();
    kv->read_once = rocksdb_readoptions_create();
    rocksdb_readoptions_set_fill_cache(kv->read_once, 0);
    kv->env = rocksdb_envoptions_create();
    kv->ingest = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(kv->ingest, 1);
    return kv;
}

/* At every start: whoever made the directory may have died before it was durable in its parent, and
 * a power cut would take all of it away.  Where we may neither look nor write, it was not us. */
static bool sync_parent(const char *directory, char *error, size_t size)
{
    char parent[PATH_SIZE];
    snprintf(parent, sizeof parent, "%s/..", directory);
    if (durable_sync_directory(parent))
        return true;
    int reason = errno;
    if (reason == EACCES && access(parent, W_OK) != 0)
        return true;
    snprintf(error, size, "cannot sync the directory above %s: %s", directory, strerror(reason));
    return false;
}

/* False, with a message, unless the directory is there, durably, and may be written. */
static bool directory_ready(const char *directory, char *error, size_t size)
{
    struct stat status;
    if (mkdir(directory, 0750) == 0)
        return sync_parent(directory, error, size);
    if (errno != EEXIST)
        snprintf(error, size, "cannot create the data directory %s: %s", directory,
                 strerror(errno));
    else if (stat(directory, &status) != 0)
        snprintf(error, size, "cannot use the data directory %s: %s", directory, strerror(errno));
    else if (!S_ISDIR(status.st_mode))
        snprintf(error, size, "%s is not a directory", directory);
    else if (access(directory, R_OK | W_OK | X_OK) != 0)
        snprintf(error, size, "cannot write in the data directory %s: %s", directory,
                 strerror(errno));
    else
        return sync_parent(directory, error, size);
    return false;
}

static bool file_exists(const char *directory, const char *name)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

static bool map_synced(struct rocksdb_kv *kv, char *error, size_t size)
{
    kv->synced = durable_number_map(kv->directory, "SYNCED");
    if (!kv->synced)
        snprintf(error, size, "cannot use %s/SYNCED: %s", kv->directory, strerror(errno));
    return kv->synced;
}

static bool ingest_directory_ready(struct rocksdb_kv *kv, char *error, size_t size)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/ingest", kv->directory);
    DIR *stream = NULL;
    if ((mkdir(path, 0750) != 0 && errno != EEXIST) || !(stream = opendir(path))) {
        snprintf(error, size, "cannot use %s: %s", path, strerror(errno));
        return false;
    }
    bool emptied = true;
    for (struct dirent *entry; emptied && (entry = readdir(stream));)
        if (entry->d_name[0] != '.' && unlinkat(dirfd(stream), entry->d_name, 0) != 0) {
            snprintf(error, size, "cannot remove %s/%s: %s", path, entry->d_name, strerror(errno));
            emptied = false;
        }
    closedir(stream);
    return emptied;
}

/* Which families the store has: the two that change places may be there or not. */
static unsigned list_families(const struct rocksdb_kv *kv, bool fresh, unsigned *places)
{
    unsigned count = 0;
    size_t found = 0;
    char *reason = NULL;
    char **names = NULL;
    if (!fresh)
        names = rocksdb_list_column_families(kv->db_options, kv->directory, &found, &reason);
    rocksdb_free(reason); /* opening will tell */
    for (unsigned i = 0; i < FAMILIES_ON_DISK; i++) {
        bool is_there = i < KV_DATA + 1 || (names == NULL && i == KV_DATA + 1);
        for (size_t j = 0; j < found; j++)
            is_there |= strcmp(names[j], family_names[i]) == 0;
        if (is_there)
            places[count++] = i;
    }
    if (names)
        rocksdb_list_column_families_destroy(names, found);
    return count;
}

/* As the newest file of options says.  Whatever cannot be read there, or is not there, is no reason
 * to refuse: fixed levels are right for all data, RocksDB only merges more. */
static bool was_made_dynamic(const struct rocksdb_kv *kv, const char *family)
{
    rocksdb_env_t *env = rocksdb_create_default_env();
    rocksdb_options_t *db = NULL, **families = NULL;
    char **names = NULL, *reason = NULL;
    size_t count = 0;
    bool is_dynamic = false;
    rocksdb_load_latest_options(kv->directory, env, true, kv->cache, &db, &count, &names, &families,
                                &reason);
    rocksdb_env_destroy(env);
    if (reason) {
        log_warning("The data keep fixed levels, since the options of the store in %s cannot be "
                    "read: %s",
                    kv->directory, reason);
        rocksdb_free(reason);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], family) == 0)
            is_dynamic = rocksdb_options_get_level_compaction_dynamic_level_bytes(families[i]);
    rocksdb_load_latest_options_destroy(db, names, families, count);
    return is_dynamic;
}

/* Nothing can be there.  Where a look fails, something may. */
static bool is_without_database(const struct rocksdb_kv *kv, bool fresh)
{
    return fresh && !file_exists(kv->directory, "CURRENT") && errno == ENOENT;
}

static void open_families(struct rocksdb_kv *kv, bool fresh, char **reason)
{
    bool is_made = is_without_database(kv, fresh);
    unsigned places[FAMILIES_ON_DISK];
    const char *names[FAMILIES_ON_DISK];
    const rocksdb_options_t *options[FAMILIES_ON_DISK];
    rocksdb_column_family_handle_t *handles[FAMILIES_ON_DISK];
    unsigned count = list_families(kv, fresh, places);
    for (unsigned i = 0; i < count; i++) {
        names[i] = family_names[places[i]];
        if (places[i] >= KV_DATA + 1)
            set_levels(kv, places[i], is_made || was_made_dynamic(kv, names[i]));
        options[i] = kv->family_options[places[i]];
    }
    kv->db = rocksdb_open_column_families(kv->db_options, kv->directory, (int)count, names, options,
                                          handles, reason);
    for (unsigned i = 0; i < count && !*reason; i++)
        kv->families[places[i]] = handles[i];
}

/* Which of the two is the data family; what was staged is of no use to a new process. */
static bool find_data(struct rocksdb_kv *kv, char *error, size_t size)
{
    char *reason = NULL;
    size_t length = 0;
    char *value = rocksdb_get_cf(kv->db, kv->read, kv->families[0], data_at, sizeof data_at - 1,
                                 &length, &reason);
    must(reason, kv, "read");
    kv->is_swapped = value && length == 1 && value[0] == 1;
    rocksdb_free(value);
    if (!kv->families[place_of(kv, KV_DATA)]) {
        snprintf(error, size, "the store in %s is damaged: its data family is missing",
                 kv->directory);
        return false;
    }
    drop_stage(kv);
    begin_level_size(kv);
    return true;
}

static bool open_db(struct rocksdb_kv *kv, bool fresh, char *error, size_t size)
{
    char *reason = NULL;
    open_families(kv, fresh, &reason);
    if (!reason)
        return true;
    kv->db = NULL;
    if (strstr(reason, strerror(EACCES)) || strstr(reason, strerror(EPERM)))
        snprintf(
            error, size,
            "the data directory %s, or a file in it, belongs to another user: this one may not "
            "write there (%s)",
            kv->directory, reason);
    else if (strstr(reason, "/LOCK"))
        snprintf(error, size, "the data directory %s is in use by another process (%s)",
                 kv->directory, reason);
    else
        snprintf(error, size, "cannot open the store in %s: %s", kv->directory, reason);
    rocksdb_free(reason);
    return false;
}

/* Of a directory of before there was a journal: SYNCED has a number of RocksDB's, which was in its
 * write-ahead log. */
static bool nothing_lost(struct rocksdb_kv *kv, char *error, size_t size)
{
    uint64_t found = rocksdb_get_latest_sequence_number(kv->db);
    uint64_t synced = *kv->synced;
    if (found >= synced)
        return true;
    snprintf(error, size,
             "the store in %s is damaged: it ends at change %llu, but had synced change %llu; "
             "acknowledged writes are missing",
             kv->directory, (unsigned long long)found, (unsigned long long)synced);
    return false;
}

static bool has_mark(struct rocksdb_kv *kv, uint64_t found, char *error, size_t size)
{
    uint64_t mark = journal_mark(kv->journal), last = journal_last(kv->journal);
    if (found > last) {
        snprintf(error, size,
                 "the store in %s is damaged: its journal ends at record %llu, but record %llu was "
                 "stored; acknowledged writes are missing",
                 kv->directory, (unsigned long long)last, (unsigned long long)found);
        return false;
    }
    if (found >= mark)
        return true;
    snprintf(error, size,
             "the store in %s is damaged: it has stored record %llu of its journal, but had stored "
             "record %llu; acknowledged writes are missing",
             kv->directory, (unsigned long long)found, (unsigned long long)mark);
    return false;
}

/* From now on; a build that knows no journal finds that changes are missing, and refuses. */
static bool begin_journal(struct rocksdb_kv *kv, char *error, size_t size)
{
    *kv->synced = JOURNALED;
    if (msync(kv->synced, sizeof *kv->synced, MS_SYNC) == 0)
        return true;
    snprintf(error, size, "cannot write %s/SYNCED: %s", kv->directory, strerror(errno));
    return false;
}

static bool journal_ready(struct rocksdb_kv *kv, char *error, size_t size)
{
    char path[PATH_SIZE];
    uint64_t mark = get_mark(kv); /* before anything is replayed */
    bool is_of_before = *kv->synced == JOURNALED_BEFORE;
    bool is_new = *kv->synced != JOURNALED && !is_of_before;
    snprintf(path, sizeof path, "%s/journal", kv->directory);
    if (is_new && !nothing_lost(kv, error, size))
        return false;
    struct journal_options options = {.directory = path,
                                      .segment_bytes = kv->journal_bytes,
                                      .is_new = is_new,
                                      .replay = redo,
                                      .context = kv};
    kv->journal = journal_open(&options, error, size);
    return kv->journal && has_mark(kv, mark, error, size) &&
           ((!is_new && !is_of_before) || begin_journal(kv, error, size));
}

static bool note_stored_row(struct rocksdb_kv *kv, struct bytes key, struct bytes stored)
{
    struct journal_row row;
    if (!journal_row_decode(&row, stored)) {
        if (stored.size >= JOURNAL_ROW_LEAST) {
            buffer_clear(&kv->large_in_rows);
            buffer_append_bytes(&kv->large_in_rows, key);
        }
        return true;
    }
    if (!journal_has(kv->journal, row.place.segment))
        return false;
    journal_rows_note(&kv->rows, kv->journal, row.place.segment, key);
    return true;
}

/* Tables of the log that are so much larger than what is in them have large values that are all
 * deleted: the process ended before they were given back. */
static bool are_mostly_deleted(struct rocksdb_kv *kv, uint64_t bytes_there)
{
    uint64_t bytes = 0;
    rocksdb_property_int_cf(kv->db, kv->families[KV_LOG + 1], "rocksdb.total-sst-files-size",
                            &bytes);
    return bytes > 2 * bytes_there + LOG_TABLES_SMALL;
}

/* Before a segment is begun: which of them the log says values of. */
static bool rows_noted(struct rocksdb_kv *kv, char *error, size_t size)
{
    bool is_there = true;
    uint64_t bytes = 0;
    char *reason = NULL;
    rocksdb_iterator_t *rows =
        rocksdb_create_iterator_cf(kv->db, kv->read_once, kv->families[KV_LOG + 1]);
    for (rocksdb_iter_seek_to_first(rows); is_there && rocksdb_iter_valid(rows);
         rocksdb_iter_next(rows)) {
        struct bytes key, stored;
        key.data = rocksdb_iter_key(rows, &key.size);
        stored.data = rocksdb_iter_value(rows, &stored.size);
        is_there = note_stored_row(kv, key, stored);
        bytes += key.size + stored.size;
    }
    rocksdb_iter_get_error(rows, &reason);
    rocksdb_iter_destroy(rows);
    must(reason, kv, "read");
    kv->is_large_deleted = kv->large_in_rows.size == 0 && are_mostly_deleted(kv, bytes);
    if (!is_there)
        snprintf(error, size,
                 "the store in %s is damaged: a part of its journal is missing that holds the Raft "
                 "log; acknowledged writes are missing",
                 kv->directory);
    return is_there;
}

/* Nothing depends any more on that what was told again is in the journal, but what it holds. */
static bool store_replayed(struct rocksdb_kv *kv)
{
    pthread_mutex_lock(&kv->storing.mutex);
    store_what_is_there(kv);
    kv->is_replayed = true;
    pthread_mutex_unlock(&kv->storing.mutex);
    return true;
}

struct kv *kv_rocksdb_open(const char *directory, const struct kv_options *options, char *error,
                           size_t size)
{
    if (strlen(directory) > PATH_SIZE - 64) {
        snprintf(error, size, "the name of the data directory is too long");
        return NULL;
    }
    if (!directory_ready(directory, error, size))
        return NULL;
    /* SYNCED is made once all families exist.  Without this RocksDB would begin anew over what is
     * left when its own files are missing or cut short. */
    bool fresh = !file_exists(directory, "SYNCED");
    if (!fresh && !file_exists(directory, "CURRENT")) {
        snprintf(error, size, "the store in %s is damaged: the file CURRENT is missing", directory);
        return NULL;
    }
    struct rocksdb_kv *kv = options_new(directory, options, fresh);
    rocksdb_assert_concerns(directory);
    rocksdb_cached_stays();
    if (open_db(kv, fresh, error, size) && map_synced(kv, error, size) &&
        journal_ready(kv, error, size) && rows_noted(kv, error, size) && store_replayed(kv) &&
        find_data(kv, error, size) && ingest_directory_ready(kv, error, size))
        return &kv->base;
    close_kv(&kv->base);
    return NULL;
}
