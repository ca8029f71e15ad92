/* See check_round.h.  Whose data differ is said of those alone that a majority of the voters stands
 * against: what that has is what the cluster has answered with, and will. */
#include "server/check_round.h"

#include <string.h>

void server_check_round_begin(struct check_round *round, uint64_t id, raft_index index,
                              const struct raft_members *members)
{
    *round = (struct check_round){.id = id, .index = index};
    for (uint32_t i = 0; i < members->count; i++) {
        const struct raft_member *member = &members->list[i];
        if (member->life == 0 && !member->voter)
            continue; /* nobody has come for that place yet */
        round->members[round->count++] = (struct check_round_member){
            .id = member->id, .life = member->life, .is_voter = member->voter};
    }
}

static const struct check_round_member *find(const struct check_round *round, raft_node_id node)
{
    for (uint32_t i = 0; i < round->count; i++)
        if (round->members[i].id == node)
            return &round->members[i];
    return NULL;
}

bool server_check_round_take(struct check_round *round, const struct command_check_notice *notice)
{
    if (round->id == 0 || notice->id != round->id)
        return false;
    for (uint32_t i = 0; i < round->count; i++) {
        struct check_round_member *member = &round->members[i];
        if (member->id != notice->node || member->has_answered ||
            (member->life != 0 && member->life != notice->life))
            continue;
        member->has_answered = true;
        member->found = notice->found;
        member->hash = notice->hash;
        member->rows = notice->rows;
        member->bytes = notice->bytes;
        return true;
    }
    return false;
}

bool server_check_round_is_asked(const struct check_round *round, raft_node_id node)
{
    return find(round, node) != NULL;
}

bool server_check_round_has_answered(const struct check_round *round, raft_node_id node)
{
    const struct check_round_member *member = find(round, node);
    return member && member->has_answered;
}

bool server_check_round_is_over(const struct check_round *round)
{
    for (uint32_t i = 0; i < round->count; i++)
        if (!round->members[i].has_answered)
            return false;
    return true;
}

static bool has_hash(const struct check_round_member *member)
{
    return member->has_answered && member->found == CHECK_HASHED;
}

bool server_check_round_majority(const struct check_round *round, uint64_t *hash)
{
    uint32_t voters = 0;
    for (uint32_t i = 0; i < round->count; i++)
        voters += round->members[i].is_voter;
    for (uint32_t i = 0; i < round->count; i++) {
        const struct check_round_member *member = &round->members[i];
        uint32_t same = 0;
        for (uint32_t j = 0; j < round->count && has_hash(member); j++)
            same += round->members[j].is_voter && has_hash(&round->members[j]) &&
                    round->members[j].hash == member->hash;
        *hash = member->hash;
        if (same > voters / 2)
            return true;
    }
    return false;
}

/* Of members that have a hash, whether two have not the same. */
static bool is_split(const struct check_round *round)
{
    const struct check_round_member *first = NULL;
    for (uint32_t i = 0; i < round->count; i++) {
        const struct check_round_member *member = &round->members[i];
        if (!has_hash(member))
            continue;
        if (first && first->hash != member->hash)
            return true;
        first = member;
    }
    return false;
}

static bool is_any_busy(const struct check_round *round)
{
    for (uint32_t i = 0; i < round->count; i++)
        if (round->members[i].has_answered && !has_hash(&round->members[i]))
            return true;
    return false;
}

enum server_check_verdict server_check_round_verdict(const struct check_round *round)
{
    uint64_t hash;
    if (is_split(round) && server_check_round_majority(round, &hash))
        return SERVER_CHECK_DIFFERENT;
    if (!server_check_round_is_over(round))
        return SERVER_CHECK_RUNNING;
    if (is_split(round))
        return SERVER_CHECK_UNDECIDED;
    return is_any_busy(round) ? SERVER_CHECK_INCOMPLETE : SERVER_CHECK_EQUAL;
}

enum server_check_state server_check_round_state(const struct check_round *round, raft_node_id node)
{
    const struct check_round_member *member = find(round, node);
    uint64_t hash;
    if (!member || !member->has_answered)
        return SERVER_CHECK_MEMBER_WAITING;
    if (!has_hash(member))
        return SERVER_CHECK_MEMBER_BUSY;
    if (!server_check_round_majority(round, &hash))
        return SERVER_CHECK_MEMBER_ANSWERED;
    return member->hash == hash ? SERVER_CHECK_MEMBER_EQUAL : SERVER_CHECK_MEMBER_DIFFERS;
}
