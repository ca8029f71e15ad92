/* Reads while the leader executes a long entry: they are served from the state before it.
 *
 * Such a read is linearizable if nobody had seen the entry, or one behind it, when the read came.
 * Let N be the entry under way at the leader L of term T.  L shows nothing of it before it has
 * finished: replies, messages and events come then.  But the entry is committed, and others may
 * execute it sooner.  So:
 *
 *  - N is of term T, so no earlier leader ever showed it.
 *  - A member executes an entry of its leader's term only when the leader said that it has executed
 *    it (`shown`, in append requests), or when it has heard of a leader of a later term, or is one.
 *    What a member shows by itself, messages, events, answers to those who waited, comes behind
 *    that.  One that has voted in a later term, but heard of nobody who won, waits.
 *  - A leader of a later term may execute, show and serve what it likes: the read is confirmed by a
 *    round that began after it came, or by the word of the member that sent it on then, so when it
 *    came a majority had not voted in a later term.
 *
 * Hence whoever has seen N when the read comes has seen it from L, which then serves a state that
 * has it.  The states that L serves never go back.  What L itself goes on executing when it leads
 * no more is held back by nobody: it serves no reads then, and N is of no term that it leads later.
 *
 * That N has a meaning of which all members know this rule stands in its stamp: a build that does
 * not know it cannot execute N, nor anything behind.  An entry of an earlier meaning is executed as
 * soon as it is committed, and reads wait for its end.
 *
 * A read behind a write of its own client waits for that as ever (TIED), and one that was sent
 * before another of its client is served before it, so what cannot be served from the state before
 * (counts of keys, deadlines that are just passing) holds up its own client alone. */
#include "base/fatal.h"
#include "replica/replica_internal.h"
#include "replica/stamp.h"

void replica_shown_led(struct replica *replica)
{
    check(replica_leads(replica));
    check(replica->shown_term < replica->status.term); /* who was heard in it led it */
    replica->shown_term = replica->status.term;
    replica->shown = UINT64_MAX;
}

void replica_shown_heard(struct replica *replica, const struct raft_message *message)
{
    const struct raft_status *status = &replica->status;
    if (message->type != RAFT_APPEND_REQUEST || status->term != message->term ||
        status->leader != message->from)
        return;
    if (message->term > replica->shown_term) {
        replica->shown_term = message->term;
        replica->shown = 0;
    }
    if (message->shown > replica->shown)
        replica->shown = message->shown;
}

struct raft_message replica_shown_say(const struct replica *replica,
                                      const struct raft_message *message)
{
    struct raft_message said = *message;
    if (message->type == RAFT_APPEND_REQUEST &&
        replica_announced_by(replica, message->to) >= STAMP_MEANING_SHOWN)
        said.shown = replica->status.applied;
    return said;
}

bool replica_shown_binds(const struct raft_entry *entry)
{
    struct apply_context context;
    struct bytes command;
    return entry->type == RAFT_ENTRY_COMMAND && entry->payload &&
           entry_unstamp(blob_bytes(entry->payload), &context, &command) &&
           context.meaning >= STAMP_MEANING_SHOWN;
}

bool replica_shown_holds(const struct replica *replica, const struct raft_entry *entry)
{
    check(entry->pos.index > replica->status.applied);
    check(entry->pos.term <= replica->status.term);
    if (replica_leads(replica) || entry->pos.term < replica->shown_term)
        return false;
    if (entry->pos.term == replica->shown_term && entry->pos.index <= replica->shown)
        return false;
    return replica_shown_binds(entry);
}

bool replica_reads_go_on(const struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    const struct raft_entry *entry = &replica->applying;
    check(entry->payload);
    return replica_leads(replica) && entry->pos.term == replica->status.term &&
           replica_shown_binds(entry) && machine->ops->is_read_before(machine);
}
