/* Committed entries that are no longer in memory, read back to be applied: after a restart, or
 * where applying is slower than the log grows.  Some at a time, by the reader's thread; meanwhile
 * the loop does other things. */
#include "base/fatal.h"
#include "replica/replica_internal.h"

void replica_replay_forget(struct replica *replica)
{
    raft_log_reading_free(replica->replay);
    replica->replay = NULL;
}

static void ask(struct replica *replica, raft_index first)
{
    struct raft_log_reader *reader = replica->options.reader;
    uint64_t wanted = replica->apply_to - first + 1;
    check(first <= replica->apply_to); /* N3 */
    check(first > replica->status.applied);
    if (wanted > replica->cache.first - first)
        wanted = replica->cache.first - first;
    replica->replay_asked = true;
    reader->ops->submit(reader, raft_log_reading_new(replica->options.raft.id, first,
                                                     wanted < REPLAY_ENTRIES_MAX
                                                         ? (uint32_t)wanted
                                                         : (uint32_t)REPLAY_ENTRIES_MAX,
                                                     REPLAY_BYTES_MAX));
}

const struct raft_entry *replica_replay_get(struct replica *replica, raft_index index)
{
    const struct raft_log_reading *replay = replica->replay;
    check(index < replica->cache.first);
    if (replay && index >= replay->first && index - replay->first < replay->done)
        return &replay->entries[index - replay->first];
    replica_replay_forget(replica);
    if (!replica->replay_asked)
        ask(replica, index);
    return NULL;
}

void replica_replay_read(struct replica *replica, struct raft_log_reading *reading)
{
    check(replica->replay_asked);
    /* Committed, durable, and kept until it is applied. */
    check(reading->done > 0);
    check(reading->done <= reading->count);
    check(reading->first + reading->count <= replica->status.commit + 1); /* N3 */
    for (uint32_t i = 0; i < reading->done; i++) {
        check(reading->entries[i].pos.index == reading->first + i);
        check(reading->entries[i].pos.term == raft_term_at(replica->raft, reading->first + i));
    }
    replica->replay_asked = false;
    replica_replay_forget(replica);
    replica->replay = reading;
}
