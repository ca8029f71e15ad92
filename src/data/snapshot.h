/* The whole state as a stream of chunks, for a backup or for a member that fell behind; and a store
 * made of such a stream.
 *
 * A snapshot is what a view shows: the state at one position of the log, whatever is applied while
 * it is read.  Its rows come in the order and the form in which the data family keeps them, without
 * what nobody can see any more (rows of dead collections, counts, which follow from the keys).
 *
 *   head    what is to come: position, time, meaning, seed, spaces
 *   rows    some rows, ascending; each chunk goes on behind the last row of the one before
 *   ...
 *   end     exact counts of keys and receipts, totals, and a sum over all chunks
 *
 * Each chunk has its number and a checksum that depends on the head, so that a damaged, a missing,
 * a repeated or a foreign one is noticed when it comes.  The bytes of a chunk stand in
 * snapshot_form.h; a file is the chunks, one behind the other. */
#ifndef DATA_SNAPSHOT_H
#define DATA_SNAPSHOT_H

#include <stdint.h>

#include "base/bytes.h"
#include "data/db.h"
#include "storage/kv.h"

struct raft_log;
struct raft_log_members;
struct raft_member;

enum {
    DB_SNAPSHOT_CHUNK = 256 << 10, /* bytes of a chunk, as a rule */
    DB_SNAPSHOT_HEADER = 24,       /* bytes of a chunk that tell its size */
    DB_INSTALL_RUN = 32 << 20      /* bytes of a sorted run, as a rule */
};

/* What a snapshot says of itself. */
struct db_snapshot_about {
    uint64_t cluster;     /* whose it is */
    uint64_t index, term; /* the state after this entry */
    int64_t time_ms;      /* log time then */
    uint8_t meaning;      /* the highest of the entries applied; 0: of none */
    /* Of the head alone: names that nobody looked for yet may make them too high. */
    uint64_t keys[DB_DATABASES];
    uint64_t receipts;
    /* So far; of a whole one, all there is. */
    uint64_t chunks, rows, bytes; /* bytes: of keys and records */
};

/* ---- sending ------------------------------------------------------------------- */

struct db_snapshot;

/* Of the state as it is.  NULL: not now, see db_view_new(), whose view it holds.  A chunk
 * ends with the row that makes it `chunk_bytes` or more.  Loop thread, as db_snapshot_free(); the
 * others may be called by any one thread at a time. */
struct db_snapshot *db_snapshot_new(struct db *db, uint32_t chunk_bytes);
void db_snapshot_free(struct db_snapshot *snapshot);
/* Goes on with the next chunk for as long as `work` (as db_work() counts) lasts.  True: it is
 * whole.  Not after the end. */
bool db_snapshot_next(struct db_snapshot *snapshot, uint64_t work);
/* The chunk that db_snapshot_next() made last: borrowed until it is called again, so that it can be
 * sent again, to a receiver that has `number` chunks before it. */
struct bytes db_snapshot_chunk(const struct db_snapshot *snapshot, uint64_t *number);
bool db_snapshot_is_made(const struct db_snapshot *snapshot); /* there is one */
bool db_snapshot_is_end(const struct db_snapshot *snapshot);  /* that was the last one */
void db_snapshot_about(const struct db_snapshot *snapshot, struct db_snapshot_about *about);
/* How many bytes one will have, about: what is stored, several times where it was not compacted
 * yet, and packed. */
uint64_t db_snapshot_expected(struct kv *kv);

/* ---- receiving ----------------------------------------------------------------- */

struct db_install;

enum db_install_result {
    DB_INSTALL_OK,
    DB_INSTALL_FOREIGN, /* no chunk of a snapshot, or of another than the head was */
    DB_INSTALL_NEWER,   /* in a format that this version does not know */
    DB_INSTALL_DAMAGED, /* its checksum, or what it says, is wrong */
    DB_INSTALL_ORDER    /* not the next one: db_install_about() tells how many there are */
};

const char *db_install_text(enum db_install_result result);

/* Rows go into KV_STAGE of `kv`, which is emptied first, in sorted runs of `run_bytes` or more.
 * `kv` NULL: they are looked at and counted, no more. */
struct db_install *db_install_new(struct kv *kv, uint64_t run_bytes);
void db_install_free(struct db_install *install);
/* Of a file or a stream that goes on here: how large the chunk is; 0: none begins here. */
uint64_t db_install_chunk_size(struct bytes header);
/* The next chunk.  Anything but OK leaves all as it was, and a right one may follow. */
enum db_install_result db_install_take(struct db_install *install, struct bytes chunk);
/* The end came, and all there is agrees with it. */
bool db_install_is_whole(const struct db_install *install);
void db_install_about(const struct db_install *install, struct db_snapshot_about *about);
/* Of a whole one: a number that is its own. */
uint64_t db_install_sum(const struct db_install *install);
/* Of a whole one: makes KV_STAGE a data family that db_open() can open, durable, and lets it take
 * the place of KV_DATA when the batch is committed (kv_ops.batch_adopt).  `cluster`: whose it
 * becomes; 0: of the first that opens it. */
void db_install_put(struct db_install *install, struct kv_batch *batch, uint64_t cluster);
/* The same of a member that fell behind, in one synced batch with a log that begins where the state
 * is (raft_log_replace(), which says what must hold).  db_close() and the ends of whoever else used
 * the kv come before. */
void db_install_adopt(struct db_install *install, struct raft_log *log,
                      const struct raft_log_members *members, uint64_t cluster);

/* ---- at rest ------------------------------------------------------------------- */

enum db_stored {
    DB_STORED_STATE,
    DB_STORED_NOTHING, /* no state yet: nothing was applied, or it was never stored */
    DB_STORED_UNSOUND  /* damaged, or in a format of before, which a start of the node converts */
};

/* What is stored in KV_DATA, where nobody has it open; the counts of rows are not known. */
enum db_stored db_stored_about(struct kv *kv, struct db_snapshot_about *about);
/* Log and state become those of a new cluster of this member alone, in one synced batch: see
 * raft_log_force(), which says what must hold.  Not of DB_STORED_UNSOUND. */
void db_stored_force(struct kv *kv, struct raft_log *log, uint64_t cluster,
                     const struct raft_member *member);

#endif
