/* Who the members are, as far as the replica has to know beside the core: what is kept of each
 * moves with its place, what they said of themselves when they connected, and who is let in.
 *
 * Who is let in.  A node that connects says its life and where its list of members stands.  Ours
 * decides only where it is the newer: where we know as committed the entry that theirs stands at,
 * or a later one.  Else the other may be right: a node that starts and replays an old list must not
 * refuse one that was taken in, or whose disk was replaced, since.  Such a guest may speak; what it
 * answers counts for nothing, whatever its name (replica_is_member()): the core knows names, and
 * takes what is said under one for the member's.  The same goes for what comes from one that was
 * replaced, while its connections are not closed yet. */
#include <stdio.h>

#include "base/fatal.h"
#include "base/log.h"
#include "base/memory.h"
#include "replica/replica_internal.h"

/* ---- who is let in --------------------------------------------------------------------- */

/* The place of a learner without a life is kept for one that asks to be taken in. */
static bool lists(const struct raft_members *members, raft_node_id node, uint64_t life)
{
    uint32_t place = raft_members_place(members, node);
    if (place == members->count)
        return false;
    const struct raft_member *member = &members->list[place];
    return member->life == life || (member->life == 0 && member->voter);
}

bool replica_is_member(const struct replica *replica, raft_node_id node, uint64_t life)
{
    return lists(raft_members(replica->raft), node, life);
}

enum replica_verdict replica_judge(const struct replica *replica, raft_node_id node, uint64_t life,
                                   raft_index list)
{
    const struct raft_members *decided = raft_members_at(replica->raft, replica->status.commit);
    if (lists(raft_members(replica->raft), node, life))
        return REPLICA_MEMBER;
    if (replica->status.commit < list || lists(decided, node, life))
        return REPLICA_GUEST;
    if (decided->count == 0)
        return REPLICA_NOT_KNOWN;
    return raft_members_place(decided, node) < decided->count ? REPLICA_OTHER_LIFE
                                                              : REPLICA_NO_MEMBER;
}

const struct raft_members *replica_members(const struct replica *replica, raft_index *index)
{
    if (index)
        *index = raft_members_index(replica->raft);
    return raft_members(replica->raft);
}

/* With a configured list alone it was made when the others knew another: with one more such node, a
 * majority by that list, it would begin a second cluster. */
void replica_disowned(const struct replica *replica)
{
    const struct raft_members *members = raft_members(replica->raft);
    unsigned long long self = replica->options.raft.id;
    if (raft_members_index(replica->raft) > 0 ||
        raft_members_place(members, self) == members->count)
        return;
    fatal_for_good(
        "the other members know another data directory as node %llu's: this one was made "
        "anew, or the node was removed.  If its disk was lost, say RAFT.NODE REPLACE "
        "%llu, and start it with an empty directory and --join",
        self, self);
}

bool replica_peer_status(const struct replica *replica, raft_node_id node,
                         struct raft_peer_status *peer)
{
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
    uint32_t count = raft_peers(replica->raft, peers);
    for (uint32_t i = 0; i < count; i++) {
        *peer = peers[i];
        if (peer->id == node)
            return true;
    }
    return false;
}

uint32_t replica_have(const struct replica *replica, raft_index index)
{
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
    uint32_t count = raft_peers(replica->raft, peers), have = 0;
    for (uint32_t i = 0; i < count; i++)
        have += peers[i].match >= index;
    return have;
}

void replica_introduced(struct replica *replica, const struct raft_member *member)
{
    const struct raft_members *members = raft_members(replica->raft);
    uint32_t place = raft_members_place(members, member->id);
    if (place < members->count && lists(members, member->id, member->life))
        replica->introduced[place] = *member;
}

/* ---- what is kept by place --------------------------------------------------------------- */

/* Another life is another node; none, after one, a place that was left. */
static uint32_t place_before(const struct raft_members *before, const struct raft_member *member)
{
    uint32_t place = raft_members_place(before, member->id);
    bool same = place < before->count &&
                (before->list[place].life == 0 || before->list[place].life == member->life);
    return same ? place : before->count;
}

static void move(void *array, size_t size, const struct raft_members *before,
                 const struct raft_members *now)
{
    char *old = memory_new(RAFT_MEMBERS_MAX * size), *to = array;
    memcpy(old, array, RAFT_MEMBERS_MAX * size);
    memset(array, 0, RAFT_MEMBERS_MAX * size);
    for (uint32_t place = 0; place < now->count; place++) {
        uint32_t from = place_before(before, &now->list[place]);
        if (from < before->count)
            memcpy(to + place * size, old + from * size, size);
    }
    memory_free(old);
}

static void clear_feeds_of_the_gone(struct replica *replica, const struct raft_members *now)
{
    const struct raft_members *before = &replica->members;
    for (uint32_t place = 0; place < before->count; place++) {
        uint32_t at = raft_members_place(now, before->list[place].id);
        if (at == now->count || place_before(before, &now->list[at]) == before->count)
            replica_feed_clear(&replica->feeds[place]);
    }
}

static void tell_the_log(const struct replica *replica)
{
    struct buffer text = {0};
    for (uint32_t place = 0; place < replica->members.count; place++) {
        const struct raft_member *member = &replica->members.list[place];
        buffer_printf(&text, "%s%llu (%s%s)", place ? ", " : "", (unsigned long long)member->id,
                      member->address, member->voter ? "" : ", learner");
    }
    log_notice("the members from entry %llu on: %.*s",
               (unsigned long long)raft_members_index(replica->raft), (int)text.size,
               text.size ? text.data : "");
    buffer_deinit(&text);
}

void replica_members_follow(struct replica *replica)
{
    const struct raft_members *now = raft_members(replica->raft);
    const struct raft_members *before = &replica->members;
    if (raft_members_equal(now, before))
        return;
    check(now->count == 0 || raft_members_voters(now) > 0);
    clear_feeds_of_the_gone(replica, now);
    move(replica->feeds, sizeof replica->feeds[0], before, now);
    move(replica->owed, sizeof replica->owed[0], before, now);
    move(replica->clock_is_far, sizeof replica->clock_is_far[0], before, now);
    move(replica->announced, sizeof replica->announced[0], before, now);
    move(replica->clocks, sizeof replica->clocks[0], before, now);
    move(replica->introduced, sizeof replica->introduced[0], before, now);
    move(replica->rounds, sizeof replica->rounds[0], before, now);
    move(replica->holds, sizeof replica->holds[0], before, now);
    replica->members = *now;
    replica_meaning_follow(replica);
    tell_the_log(replica);
}

/* ---- losses -------------------------------------------------------------------------------- */

/* Noted, not yet told to the core: it may be in the middle of a step.  Of any node: requests may be
 * with one that is no member any more. */
static struct replica_loss *loss_of(struct replica *replica, raft_node_id node)
{
    uint32_t at = 0;
    while (at < replica->losses_count && replica->losses[at].node != node)
        at++;
    if (at == replica->losses_count) {
        size_t size = (replica->losses_count + 1) * sizeof replica->losses[0];
        replica->losses = memory_resize(replica->losses, size);
        replica->losses[replica->losses_count++] = (struct replica_loss){.node = node};
    }
    return &replica->losses[at];
}

void replica_disconnected(struct replica *replica, raft_node_id node, bool raft, bool forwards)
{
    struct replica_loss *loss = loss_of(replica, node);
    loss->raft |= raft;
    loss->forwards |= forwards;
}

void replica_gone(struct replica *replica, raft_node_id node)
{
    loss_of(replica, node)->gone = true;
}

static void unreachable(struct replica *replica, raft_node_id node)
{
    uint32_t place = raft_members_place(raft_members(replica->raft), node);
    struct raft_input input = {.type = RAFT_INPUT_UNREACHABLE, .node = node};
    replica_sending_lost(replica, node);
    if (place == raft_members(replica->raft)->count)
        return;
    replica_feed_clear(&replica->feeds[place]);
    replica_step(replica, &input);
}

void replica_handle_losses(struct replica *replica)
{
    struct replica_loss *losses = replica->losses;
    uint32_t count = replica->losses_count;
    replica->losses = NULL;
    replica->losses_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (losses[i].raft)
            unreachable(replica, losses[i].node);
        if (losses[i].forwards)
            replica_forwards_lost_to(replica, losses[i].node);
        struct raft_input gone = {.type = RAFT_INPUT_GONE, .node = losses[i].node};
        if (losses[i].gone)
            replica_step(replica, &gone);
    }
    memory_free(losses);
}
