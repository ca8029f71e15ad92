/* Ticks: entries that let the state machine do what is due by log time, on every node alike.
 *
 * When something is due by the stamp that this leader would give now, a tick is proposed, and reads
 * that came by then wait until an entry with such a stamp is applied: then what they see is what
 * the log says, whoever leads next and whatever his clock says.  A read that came while a tick was
 * under way waits for that or for one more, never longer, since what becomes due later does not
 * concern it: it is served at a time at which that has not come yet.
 *
 * A tick does no more than some of it; while more is due, the next follows as soon as it is
 * applied. */
#include "base/fatal.h"
#include "replica/replica_internal.h"

static int64_t due_ms(const struct replica *replica)
{
    return replica->options.machine->ops->due_ms(replica->options.machine);
}

static bool is_under_way(const struct replica *replica)
{
    return replica->tick.term == replica->status.term &&
           replica->tick.index > replica->status.applied;
}

bool replica_tick_is_wanted(const struct replica *replica)
{
    if (!replica_serves(replica) || due_ms(replica) > replica->log_time_ms)
        return false;
    bool covers_now = replica->tick_time_ms >= replica->log_time_ms;
    return !(is_under_way(replica) && covers_now) && !replica->applying.payload &&
           raft_takes_proposals(replica->raft);
}

void replica_tick_propose(struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    if (!replica_tick_is_wanted(replica))
        return;
    struct apply_context context = {.meaning = replica_meaning(replica),
                                    .now_ms = replica->log_time_ms,
                                    .value_max = replica->value_max};
    struct blob *command = machine->ops->tick(machine);
    struct blob *payload = entry_stamp(&context, command);
    struct raft_entry entry = {
        .type = RAFT_ENTRY_COMMAND, .size = (uint32_t)payload->size, .payload = payload};
    struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {&entry, 1}};
    enum raft_result result = replica_step(replica, &input);
    check(result == RAFT_OK); /* it was asked before */
    check(entry.pos.term == replica->status.term);
    check(entry.pos.index == replica->status.last.index);
    replica->tick = entry.pos;
    replica->tick_time_ms = context.now_ms;
    blob_release(payload);
    blob_release(command);
}

bool replica_tick_was_seen(const struct replica *replica, const struct read_batch *batch)
{
    struct state_machine *machine = replica->options.machine;
    return due_ms(replica) > batch->time_ms || machine->ops->time_ms(machine) >= batch->time_ms;
}

/* Not so late that something would be due that no entry has done. */
int64_t replica_read_time_ms(const struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    int64_t latest_ms = machine->ops->time_ms(machine), next_ms = due_ms(replica);
    int64_t now_ms = replica->log_time_ms < next_ms ? replica->log_time_ms : next_ms - 1;
    return now_ms > latest_ms ? now_ms : latest_ms;
}
