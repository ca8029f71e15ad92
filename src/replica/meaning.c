/* Versions of meaning: under which semantics of the commands an entry is executed, for ever.
 *
 * Builds differ in what they know.  Each member announces the highest meaning that it can execute
 * when it connects; the leader stamps what all members have in common, so no entry means one thing
 * on one node and another elsewhere, during a rolling upgrade or at a replay after it.  A member
 * never heard of counts as the oldest.  What is in the log already was agreed on once: the meaning
 * does not fall when a leader starts anew while a member is down.
 *
 * A member that was replaced by an older build finds entries that it does not know: it ends. */
#include "base/fatal.h"
#include "base/log.h"
#include "replica/replica_internal.h"
#include "replica/stamp.h"

static uint8_t known(const struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    return machine->ops->meaning_known(machine);
}

/* Which all members can execute, as far as they said so. */
static uint8_t in_common(const struct replica *replica)
{
    const struct raft_members *members = raft_members(replica->raft);
    uint8_t common = known(replica);
    for (uint32_t place = 0; place < members->count; place++) {
        const struct raft_member *member = &members->list[place];
        uint8_t announced = replica->announced[place];
        bool is_vacant = member->life == 0 && !member->voter; /* nobody has come for it yet */
        if (member->id == replica->options.raft.id || is_vacant)
            continue;
        if (announced == 0)
            announced = STAMP_MEANING_OLD;
        if (announced < common)
            common = announced;
    }
    check(common >= STAMP_MEANING_OLD);
    return common;
}

uint8_t replica_announced_by(const struct replica *replica, raft_node_id node)
{
    const struct raft_members *members = raft_members(replica->raft);
    uint32_t place = raft_members_place(members, node);
    if (node == replica->options.raft.id)
        return known(replica);
    return place < members->count ? replica->announced[place] : 0;
}

void replica_meaning_follow(struct replica *replica)
{
    replica->meaning_in_common = in_common(replica);
}

uint8_t replica_meaning(const struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    uint8_t common = replica->meaning_in_common;
    uint8_t applied = machine->ops->meaning(machine);
    check(common > 0); /* it was followed from the start */
    return applied > common ? applied : common;
}

void replica_announced(struct replica *replica, raft_node_id node, uint8_t meaning)
{
    const struct raft_members *members = raft_members(replica->raft);
    uint8_t before = replica->meaning_in_common;
    uint32_t place = raft_members_place(members, node);
    if (place < members->count)
        replica->announced[place] = meaning;
    replica_meaning_follow(replica);
    if (replica->meaning_in_common != before)
        log_notice("all members know the commands of meaning %u", replica->meaning_in_common);
    replica->try_waiting = true;
}

void replica_meaning_met(const struct replica *replica, raft_index index, uint8_t meaning)
{
    if (meaning <= known(replica))
        return;
    fatal_for_good(
        "entry %llu needs a version of redis-raft that knows meaning %u; this one knows %u: "
        "upgrade this node",
        (unsigned long long)index, meaning, known(replica));
}
