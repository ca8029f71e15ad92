/* One RAFT.CHECK as a node hears of it: what the members say they found, and what follows from
 * that.  Pure. */
#ifndef SERVER_CHECK_ROUND_H
#define SERVER_CHECK_ROUND_H

#include "command/check.h"
#include "command/server.h"

struct check_round_member {
    raft_node_id id;
    uint64_t life; /* 0: not known */
    bool is_voter, has_answered;
    enum command_check_found found;
    uint64_t hash, rows, bytes;
};

struct check_round {
    uint64_t id; /* 0: there was none */
    raft_index index;
    uint32_t count;
    struct check_round_member members[RAFT_MEMBERS_MAX];
};

/* Of those members, behind the entry `index`. */
void server_check_round_begin(struct check_round *round, uint64_t id, raft_index index,
                              const struct raft_members *members);
/* False: it says nothing about this round, or nothing new. */
bool server_check_round_take(struct check_round *round, const struct command_check_notice *notice);
bool server_check_round_is_asked(const struct check_round *round, raft_node_id node);
bool server_check_round_has_answered(const struct check_round *round, raft_node_id node);
/* All have answered. */
bool server_check_round_is_over(const struct check_round *round);

/* More than half of the voters, whoever answers, have found `hash`. */
bool server_check_round_majority(const struct check_round *round, uint64_t *hash);
enum server_check_verdict server_check_round_verdict(const struct check_round *round);
enum server_check_state server_check_round_state(const struct check_round *round,
                                                 raft_node_id node);

#endif
