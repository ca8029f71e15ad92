/* Cutting the log (architecture: storage).
 *
 * Only below the persisted applied index, which is where a restart begins to replay; and of that
 * only what exceeds the bounds: the rest is kept for members that are behind.  Every node keeps
 * it, because any of them may lead next.
 *
 * Where a member is being sent a state, the log behind its position stays, so that the member can
 * go on from there, and then what it lacks stays until it has caught up (holding.c); not without
 * end: see SENDING_LOG_FACTOR.  Where nothing could be cut anyway nobody is given up: what is not
 * committed, however much, may wait for that very member. */
#include "base/fatal.h"
#include "replica/replica_internal.h"

/* In pieces, so that one pass stays short: it is called on every tick. */
enum { TRIM_ENTRIES_MAX = 1 << 16 };

static bool is_far_too_long(const struct replica_options *options, uint64_t bytes, uint64_t entries)
{
    return bytes / SENDING_LOG_FACTOR > options->log_bytes_max ||
           entries / SENDING_LOG_FACTOR > options->log_entries_max;
}

/* UINT64_MAX: it may be cut anywhere. */
static raft_index kept_from(const struct replica *replica)
{
    raft_index sent = replica_sendings_hold(replica), held = replica_held(replica);
    return sent < held ? sent : held;
}

static void give_up_the_last(struct replica *replica)
{
    static const char why[] = "it took too long: the log cannot be kept any longer";
    replica_sendings_give_up(replica, replica->status.first.index, why);
    replica_holds_give_up(replica, replica->status.first.index, why);
}

void replica_trim_log(struct replica *replica)
{
    const struct replica_options *options = &replica->options;
    raft_index persisted = options->machine->ops->persisted_index(options->machine);
    raft_index first = replica->status.first.index;
    raft_index last = replica->status.last.index;
    check(persisted <= replica->status.applied); /* N4 */
    uint64_t bytes = replica->status.log_bytes + (last - first) * ENTRY_OVERHEAD_BYTES;
    if (bytes <= options->log_bytes_max && last - first <= options->log_entries_max)
        return;
    if (kept_from(replica) <= first && persisted > first &&
        is_far_too_long(options, bytes, last - first))
        give_up_the_last(replica);
    raft_index cut = first, end = kept_from(replica);
    if (end > persisted)
        end = persisted;
    while (cut < end && last - cut > options->log_entries_min && cut - first < TRIM_ENTRIES_MAX &&
           (bytes > options->log_bytes_max || last - cut > options->log_entries_max)) {
        cut++;
        bytes -= raft_size_at(replica->raft, cut) + ENTRY_OVERHEAD_BYTES;
    }
    if (cut == first)
        return;
    struct raft_log_members members = {raft_members_index_at(replica->raft, cut),
                                       *raft_members_at(replica->raft, cut)};
    check(cut <= persisted); /* N4 */
    check(members.index <= cut);
    raft_log_trim(options->log, (struct raft_pos){raft_term_at(replica->raft, cut), cut},
                  members.index > 0 ? &members : NULL);
    struct raft_input input = {.type = RAFT_INPUT_COMPACTED, .index = cut};
    replica_step(replica, &input);
    check(replica->status.first.index == cut);
}
