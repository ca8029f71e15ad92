/* The one door to the disk: an ordered map in four families with atomic batches.  kv_rocksdb.c is
 * the only file that includes <rocksdb/c.h>; the simulator's store forgets unsynced batches when it
 * is told to crash.
 *
 * There are no error codes after opening: a node that cannot read or write its disk must stop
 * (fatal()), because to go on would be to forget a promise to its peers.  A failed sync is never
 * retried. */
#ifndef STORAGE_KV_H
#define STORAGE_KV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/* KV_STAGE is where a state is gathered that is to replace that of KV_DATA. */
enum kv_family { KV_LOG, KV_META, KV_DATA, KV_STAGE, KV_FAMILIES };

struct kv;          /* an open store */
struct kv_batch;    /* puts and deletes that happen together or not at all */
struct kv_iter;     /* scan of one family, as of its creation */
struct kv_bulk;     /* a sorted run on its way into one family */
struct kv_snapshot; /* the store as it was at one moment */

enum {
    KV_HEADS_MAX = 32,   /* of one get_heads */
    KV_PASSED_MAX = 2000 /* at once, by a walk: some 0.4 ms */
};

/* What get_heads looks for, and what it finds. */
struct kv_head {
    struct bytes key; /* borrowed */
    bool is_there;
    struct buffer head; /* the caller's; cleared */
    size_t size;        /* of the whole, if it is there */
};

struct kv_ops {
    /* Any thread.  False: no such key.  The value is appended to the cleared `value`. */
    bool (*get)(struct kv *kv, enum kv_family family, struct bytes key, struct buffer *value);

    /* As get, but of a large value no more than the first `head_max` bytes are copied; *size is
     * that of the whole. */
    bool (*get_head)(struct kv *kv, enum kv_family family, struct bytes key, size_t head_max,
                     struct buffer *head, size_t *size);

    /* get_head for many keys, which rise, of KV_DATA or KV_STAGE: cheaper than one after the other,
     * but all of the values are in memory at once.  keeps: what it reads is kept for the next look;
     * over very many keys that one comes late, and keeping costs more than reading. */
    void (*get_heads)(struct kv *kv, enum kv_family family, struct kv_head *heads, size_t count,
                      size_t head_max, bool keeps);

    struct kv_batch *(*batch_new)(struct kv *kv);
    void (*batch_put)(struct kv_batch *batch, enum kv_family family, struct bytes key,
                      struct bytes value);
    void (*batch_delete)(struct kv_batch *batch, enum kv_family family, struct bytes key);
    /* Deletes from <= key < to. */
    void (*batch_delete_range)(struct kv_batch *batch, enum kv_family family, struct bytes from,
                               struct bytes to);
    void (*batch_free)(struct kv_batch *batch);
    /* Any thread.  When `sync`, returns once the batch survives a power cut, and what batches
     * committed before it changed, of the log and meta, or of the data, whichever it changes.  One
     * that changes both is rare and slow: it waits until everything before it is stored. */
    void (*commit)(struct kv *kv, struct kv_batch *batch, bool sync);

    /* A hint after batch_delete_range of KV_DATA: give the space of whole files in [from, to)
     * back now.  Takes effect at once and for good, so the batch must be durable before. */
    void (*drop_files)(struct kv *kv, enum kv_family family, struct bytes from, struct bytes to);

    /* A hint: much of [from, to) was deleted, whose space may be given back now, in the background,
     * without waiting for more to be written.  Costs to read and write what is left of the
     * range. */
    void (*reclaim)(struct kv *kv, enum kv_family family, struct bytes from, struct bytes to);

    /* from <= key < to, in order.  From `to` on nothing is looked at: there may be millions of rows
     * that are deleted, or that came later, and all of them would be passed over before the scan
     * could say that it has ended.  Where it goes to the family's end, to: kv_family_end().  Key
     * and value are borrowed until the next call on the iterator, which must be freed before
     * close. */
    struct kv_iter *(*iter_new)(struct kv *kv, enum kv_family family, struct bytes from,
                                struct bytes to);
    bool (*iter_next)(struct kv_iter *iter, struct bytes *key, struct bytes *value);
    /* It goes on with any other range, in the same state; cheaper than a new one.  Not where one of
     * its ends is the family's. */
    void (*iter_seek)(struct kv_iter *iter, struct bytes from, struct bytes to);
    void (*iter_free)(struct kv_iter *iter);

    /* An iterator, of KV_DATA or KV_STAGE, of the present (NULL) or of a snapshot, which leaves the
     * cache to those who come again.  gives_up: for who must not wait. */
    struct kv_iter *(*walk_new)(struct kv *kv, const struct kv_snapshot *snapshot,
                                enum kv_family family, struct bytes from, struct bytes to,
                                bool gives_up);
    /* iter_next said false, but that is not the end: it would have had to pass over more than
     * KV_PASSED_MAX rows that are deleted, or that came later. */
    bool (*walk_gave_up)(const struct kv_iter *iter);
    /* After that: it goes on behind the last key that it gave, or where it was to begin, to a
     * nearer end.  To the same one it goes however long that takes, and gives up no more. */
    void (*walk_on)(struct kv_iter *iter, struct bytes to);

    /* Of KV_DATA and KV_STAGE.  What a snapshot shows does not change, but where files are dropped:
     * nobody may look there any more.  It holds back disk space.  Must be freed before close, after
     * its iterators.  Any thread. */
    struct kv_snapshot *(*snapshot_new)(struct kv *kv);
    void (*snapshot_free)(struct kv *kv, struct kv_snapshot *snapshot);
    bool (*snapshot_get)(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family family,
                         struct bytes key, struct buffer *value);

    /* A checkpoint's way into KV_DATA, or KV_STAGE: keys strictly ascending, puts and deletes;
     * nothing is visible before bulk_commit, which returns once all of it is durable, atomically
     * (earlier unsynced batches of other families need not be).  Meant for another thread than the
     * loop; does not hold up readers.  (RocksDB: an SST file, ingested.) */
    struct kv_bulk *(*bulk_new)(struct kv *kv, enum kv_family family);
    void (*bulk_put)(struct kv_bulk *bulk, struct bytes key, struct bytes value);
    void (*bulk_delete)(struct kv_bulk *bulk, struct bytes key);
    void (*bulk_commit)(struct kv_bulk *bulk); /* also frees it */

    /* Empties KV_STAGE.  Needed before it is used: what an earlier process left there may be gone,
     * or not.  Nobody may be reading it. */
    void (*stage_clear)(struct kv *kv);
    /* When the batch is committed, which must be synced, what KV_STAGE has becomes what KV_DATA
     * has, together with all else in the batch; what that had is gone, and KV_STAGE to be cleared.
     * By then nobody else may have an iterator, a snapshot or a bulk of the two, and the batch has
     * no changes of them. */
    void (*batch_adopt)(struct kv_batch *batch);

    /* One number of the engine's, for INFO; 0 if it is not known. */
    uint64_t (*property)(struct kv *kv, enum kv_family family, const char *name);
    void (*close)(struct kv *kv);
};

struct kv {
    const struct kv_ops *ops;
};

/* The end of a range that goes on to the last key there is. */
static inline struct bytes kv_family_end(void)
{
    return bytes_of(NULL, 0);
}

struct kv_options {
    uint64_t cache_bytes;        /* block cache, shared by the families */
    uint64_t log_memtable_bytes; /* memtable of the log family, which has few bytes an entry */
    uint64_t log_bytes_kept;     /* so much of the log is kept as a rule; 0: it is trimmed soon */
    uint64_t wal_bytes_max;   /* a start may replay three quarters; one is for RocksDB's own log */
    uint32_t open_tables_max; /* table files kept open; 0: all of them */
};

/* NULL on failure, with a message for the user in `error` (size bytes).  Creates the directory (but
 * not the one above it) and takes RocksDB's lock on it: a second process is refused.  What an open
 * store shows is durable, also what a killed process had not synced. */
struct kv *kv_rocksdb_open(const char *directory, const struct kv_options *options, char *error,
                           size_t size);

#endif
