/* The Raft log and the node's promises (term, vote, identity) on a kv.
 *
 * Family log: key = big-endian index of a chunk's first entry; value = one chunk: all entries of
 * one group commit, with a checksum.  A chunk holds up to the next chunk's first index - 1 (a cut
 * may leave a longer chunk behind).  Family meta: term and vote, identity, membership, the position
 * before the first entry.  Byte tables are in raft_log.c and chunk.c. */
#ifndef STORAGE_RAFT_LOG_H
#define STORAGE_RAFT_LOG_H

#include <stdint.h>

#include "base/blob.h"
#include "raft/raft.h"
#include "storage/kv.h"

/* Who this directory belongs to; written once. */
struct raft_log_identity {
    raft_node_id node;
    uint64_t cluster; /* hash of the member list at the first start */
};

/* A list of members, and where it stood in the log; 0: in no entry. */
struct raft_log_members {
    raft_index index;
    struct raft_members list;
};

/* A data directory is made once, and opened many times. */
struct raft_log_life {
    uint64_t life;   /* random, drawn when it was made; never 0 */
    uint64_t starts; /* how often it was opened by a node, this time too */
};

struct raft_log;

/* Reads everything but the payloads; those of lists of members too.  Dies on a log that does not
 * check out (bad checksum, hole): what was acknowledged must be there. */
struct raft_log *raft_log_open(struct kv *kv);
void raft_log_close(struct raft_log *log);

/* False if this is a fresh directory. */
bool raft_log_identity(struct kv *kv, struct raft_log_identity *identity);
void raft_log_set_identity(struct kv *kv, const struct raft_log_identity *identity); /* synced */
/* The same of a directory that was made to join a cluster: the list at its log's beginning, which
 * no configuration says, is none. */
void raft_log_join(struct kv *kv, const struct raft_log_identity *identity);

/* The name that the state gives the cluster (command/naming.h), for a start, when the state may be
 * older than that; 0: none is known.  It is the identity's: a directory that becomes another
 * cluster's has none. */
uint64_t raft_log_name(struct kv *kv, uint64_t cluster);

/* Which members were in force at the log's beginning.  False: those that are configured. */
bool raft_log_members(struct kv *kv, struct raft_log_members *members);

/* Counts one more start, synced; a directory without a life gets `drawn`. */
struct raft_log_life raft_log_start(struct kv *kv, uint64_t drawn);

/* A directory that begins with a restored state has an origin, a number that follows from what was
 * restored and is part of its cluster's id; 0: it began with nothing. */
uint64_t raft_log_origin(struct kv *kv);
/* Into the batch, for a kv without log, vote and identity: an empty log that begins at `pos`, whose
 * term is the present one, and the origin. */
void raft_log_begin(struct kv *kv, struct kv_batch *batch, struct raft_pos pos, uint64_t origin);

/* Into the batch, which must be synced, with a state of `pos` that the store adopts: the log is
 * empty and begins there, where `members` are in force, vote and term stay.  Loop thread, once the
 * writer and the reader have stopped; of the log only raft_log_close() may follow.  What
 * raft_may_adopt() asks for must hold. */
void raft_log_replace(struct raft_log *log, struct kv_batch *batch, struct raft_pos pos,
                      const struct raft_log_members *members);

/* A majority is lost for good.  Into the batch, which must be synced: the directory, whose node is
 * `member`, becomes that of a new cluster, in which it is the only member, a voter, with a new
 * life.  The log begins at `applied`, where the stored state is, and keeps all behind it, committed
 * or not: its only voter will commit it.  But no list in it names the others any more: who joins
 * may be given the id of one that was a voter once, and would have a vote while it reads the old
 * list.  For a log just opened, that was not told to forget what it saved; only raft_log_close()
 * may follow. */
void raft_log_force(struct raft_log *log, struct kv_batch *batch, struct raft_pos applied,
                    uint64_t cluster, const struct raft_member *member);

/* Fills what raft_new() needs but members and applied; borrowed from `log` until the first append,
 * cut or raft_log_forget_saved(). */
void raft_log_saved(const struct raft_log *log, struct raft_saved *saved);
void raft_log_forget_saved(struct raft_log *log);

/* One group commit, synced: `writes` in the order the core numbered them.  Each payload is a
 * struct blob.  Called by the log writer's thread (or at once, in the simulator); at most one call
 * at a time.  Later writes may cut what earlier ones appended: only the final outcome is stored. */
void raft_log_write(struct raft_log *log, const struct raft_write *writes, uint32_t count);

/* Entries first .. first+count-1 as far as bytes_max allows (always at least one), appended to
 * `entries` (caller's array of `count`), each payload a new blob (NULL if size 0).  Returns how
 * many; 0: they were trimmed or cut meanwhile.  All of them must have been durable when they were
 * asked for; what was cut since may come as it is now, so look at the terms.  One thread at a time,
 * the reader's; safe beside raft_log_write and raft_log_trim. */
uint32_t raft_log_read(struct raft_log *log, raft_index first, uint32_t count, uint64_t bytes_max,
                       struct raft_entry *entries);

/* Another node was heard with this life, and so many starts.  False: it was heard with more before,
 * so it has an old copy of its directory.  Loop thread; the next group commit stores it. */
bool raft_log_remember(struct raft_log *log, raft_node_id node, const struct raft_log_life *life);

/* It is known now.  Loop thread, which no disk may hold up: the next group commit stores it. */
void raft_log_set_name(struct raft_log *log, uint64_t cluster, uint64_t name);

/* Forget entries up to and including `pos`, which is committed and durable.  Loop thread; does not
 * touch the disk: the next group commit carries it out, and a crash before it brings them back.
 * `members` were in force there; NULL: the same as at the log's beginning so far. */
void raft_log_trim(struct raft_log *log, struct raft_pos pos,
                   const struct raft_log_members *members);

#endif
