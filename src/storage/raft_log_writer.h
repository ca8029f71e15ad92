/* Group commit.  One thread takes every write queued since its last sync, commits them as one
 * synced batch, and reports the highest number.  A port, because the simulator does the same
 * without a thread and with faults. */
#ifndef STORAGE_LOG_WRITER_H
#define STORAGE_LOG_WRITER_H

#include <stdint.h>

#include "raft/raft.h"
#include "storage/raft_log.h"

struct raft_log_writer;

struct raft_log_writer_ops {
    /* Takes the write: copies the entry array; the payload blobs are taken (blob_take) and released
     * in the loop thread, from poll. */
    void (*submit)(struct raft_log_writer *writer, const struct raft_write *write);
};

struct raft_log_writer {
    const struct raft_log_writer_ops *ops;
};

/* `wake` runs in the writer's thread after a commit, which made all writes up to `durable` durable:
 * it must make the loop thread call raft_log_writer_poll() soon (an eventfd). */
struct raft_log_writer *raft_log_writer_start(struct raft_log *log,
                                              void (*wake)(void *context, uint64_t durable),
                                              void *context);
/* Highest durable seq so far, 0 if none; also releases blobs.  Loop thread. */
uint64_t raft_log_writer_poll(struct raft_log_writer *writer);
void raft_log_writer_stop(struct raft_log_writer *writer); /* drains first, joins, frees */

struct raft_log_writer_stats {
    uint64_t syncs;
    uint64_t sync_us_total;
    uint64_t sync_us_max;
    uint64_t queued_bytes; /* submitted and not yet durable */
};
void raft_log_writer_stats(struct raft_log_writer *writer, struct raft_log_writer_stats *stats);

#endif
