/* Facts about the consensus as INFO, ROLE and RAFT.STATUS print them. */
#ifndef COMMAND_RAFT_INFO_H
#define COMMAND_RAFT_INFO_H

#include "base/buffer.h"
#include "command/server.h"

struct command_raft_client_address {
    char host[RAFT_ADDRESS_SIZE]; /* "" if not known */
    int port;
};

void command_raft_client_address(const struct server_raft_peer *member,
                                 struct command_raft_client_address *address);
/* False: no leader is known; host "" and port 0. */
bool command_raft_leader_address(const struct server_raft *raft,
                                 struct command_raft_client_address *address);
/* Redis's word for how a leader's follower is; NULL: it is not connected, or is this node itself,
 * and Redis would not list it. */
const char *command_raft_follower_state(const struct server_raft *raft,
                                        const struct server_raft_peer *member);
/* INFO's section raft. */
void command_raft_info_lines(const struct server_raft *raft, struct buffer *out);

#endif
