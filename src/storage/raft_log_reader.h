/* Reads entries back from disk in a thread of its own, so that neither a member that is far behind
 * nor a replay holds up the loop: one value may take 50 ms.  A port, because the simulator does the
 * same without a thread. */
#ifndef STORAGE_LOG_READER_H
#define STORAGE_LOG_READER_H

#include <stdint.h>

#include "raft/raft.h"
#include "storage/raft_log.h"

/* One request, and what came of it. */
struct raft_log_reading {
    struct raft_log_reading *next; /* the reader's */
    raft_node_id owner;            /* the caller's: for whom */
    raft_index first;
    uint32_t count; /* asked for */
    uint64_t bytes_max;
    uint32_t done;               /* entries read: as in raft_log_read() */
    struct raft_entry entries[]; /* room for `count`; payloads are owned */
};

struct raft_log_reading *raft_log_reading_new(raft_node_id owner, raft_index first, uint32_t count,
                                              uint64_t bytes_max);
void raft_log_reading_free(struct raft_log_reading *reading); /* and its payloads; NULL is fine */

struct raft_log_reader;

struct raft_log_reader_ops {
    /* Takes the reading; it comes back, done, in the order of submission, by another way than this
     * call (replica_log_read). */
    void (*submit)(struct raft_log_reader *reader, struct raft_log_reading *reading);
};

struct raft_log_reader {
    const struct raft_log_reader_ops *ops;
};

/* `wake` runs in the reader's thread after each reading: it must make the loop thread call
 * raft_log_reader_poll() soon. */
struct raft_log_reader *raft_log_reader_start(struct raft_log *log, void (*wake)(void *context),
                                              void *context);
/* The next that is done, the caller's from now on; NULL: none.  Loop thread. */
struct raft_log_reading *raft_log_reader_poll(struct raft_log_reader *reader);
void raft_log_reader_stop(struct raft_log_reader *reader); /* joins, frees what is left */

#endif
