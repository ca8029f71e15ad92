/* Changes of the list of members that a leader makes by itself: what members said of themselves
 * goes into the list, and a learner that has caught up becomes a voter.
 *
 * The first list to stand in the log is the configured one with the lives in it, once all members
 * have said that they know of such entries.
 *
 * A learner has caught up when a round was short: what the log held at its beginning was there
 * within an election timeout, so that what has come meanwhile will not take longer (4.2.1). */
#include "base/fatal.h"
#include "base/log.h"
#include "replica/replica_internal.h"
#include "replica/stamp.h"

/* An older build would not understand the entry. */
bool replica_all_know_lists(const struct replica *replica)
{
    const struct raft_members *members = raft_members(replica->raft);
    if (raft_members_index(replica->raft) > 0)
        return true;
    for (uint32_t place = 0; place < members->count; place++)
        if (replica_announced_by(replica, members->list[place].id) < STAMP_MEANING_MEMBERS)
            return false;
    return true;
}

/* ---- what members said ------------------------------------------------------------------ */

static bool differs(const char *now, const char *said)
{
    return said[0] != '\0' && strcmp(now, said) != 0;
}

static bool address_is_taken(const struct raft_members *members, raft_node_id by_other_than,
                             const char *address)
{
    for (uint32_t place = 0; place < members->count; place++)
        if (members->list[place].id != by_other_than &&
            strcmp(members->list[place].address, address) == 0)
            return true;
    return false;
}

/* True: something is new. */
static bool take_over(struct raft_members *members, uint32_t place, const struct raft_member *said)
{
    struct raft_member *member = &members->list[place];
    bool is_new = false;
    bool is_known = member->life == said->life || (member->life == 0 && member->voter);
    if (said->life == 0 || !is_known)
        return false;
    check(said->id == member->id); /* what is said moves with the place */
    if (member->life == 0) {
        member->life = said->life;
        is_new = true;
    }
    if (differs(member->address, said->address) &&
        !address_is_taken(members, member->id, said->address)) {
        memcpy(member->address, said->address, sizeof member->address);
        is_new = true;
    }
    if (differs(member->client, said->client)) {
        memcpy(member->client, said->client, sizeof member->client);
        is_new = true;
    }
    return is_new;
}

static bool take_what_was_said(const struct replica *replica, struct raft_members *members)
{
    bool is_new = false;
    for (uint32_t place = 0; place < members->count; place++) {
        const struct raft_member *said = members->list[place].id == replica->options.raft.id
                                             ? &replica->options.self
                                             : &replica->introduced[place];
        is_new |= take_over(members, place, said);
    }
    return is_new;
}

/* ---- learners --------------------------------------------------------------------------- */

/* Whether it is over, and was short; one that is over is followed by the next. */
static bool round_was_short(struct replica *replica, struct replica_round *round,
                            const struct raft_peer_status *peer)
{
    const struct raft_config *config = &replica->options.raft;
    check(round->end <= replica->status.last.index);
    check(round->began_ms <= replica->now_ms);
    int64_t short_ms = (int64_t)config->election_ticks * replica->options.tick_ms;
    if (!peer->active || peer->fell_off) {
        round->end = 0;
        return false;
    }
    bool is_over = round->end > 0 && peer->match >= round->end;
    bool was_short = is_over && replica->now_ms - round->began_ms <= short_ms;
    if (round->end == 0 || is_over)
        *round = (struct replica_round){replica->status.last.index, replica->now_ms};
    return was_short;
}

static bool promote_one(struct replica *replica, struct raft_members *members)
{
    struct raft_peer_status peer;
    for (uint32_t place = 0; place < members->count; place++) {
        struct raft_member *member = &members->list[place];
        if (member->voter || !member->joining || member->life == 0 ||
            !replica_peer_status(replica, member->id, &peer))
            continue;
        if (!round_was_short(replica, &replica->rounds[place], &peer))
            continue;
        member->voter = true;
        member->joining = false;
        return true;
    }
    return false;
}

/* ---- proposing ----------------------------------------------------------------------------- */

enum raft_result replica_propose_members(struct replica *replica,
                                         const struct raft_members *members, struct raft_pos *pos)
{
    struct blob *list = raft_members_blob(members);
    struct raft_entry entry = {
        .type = RAFT_ENTRY_MEMBERS, .size = (uint32_t)list->size, .payload = list};
    struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {&entry, 1}};
    enum raft_result result = replica_step(replica, &input);
    check(result != RAFT_OK || entry.pos.index == replica->status.last.index);
    check(result != RAFT_OK || entry.pos.term == replica->status.term);
    check(result != RAFT_OK || raft_members_index(replica->raft) == entry.pos.index); /* in force */
    if (pos)
        *pos = entry.pos;
    blob_release(list);
    return result;
}

void replica_members_tick(struct replica *replica)
{
    if (!raft_takes_members(replica->raft) || !replica_all_know_lists(replica))
        return;
    struct raft_members members = *raft_members(replica->raft);
    if (!take_what_was_said(replica, &members) && !promote_one(replica, &members))
        return;
    enum raft_result result = replica_propose_members(replica, &members, NULL);
    check(result == RAFT_OK); /* it was asked before, and is one step */
}
