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
/* Other members heard from of late; only a leader knows. */
uint32_t command_raft_active_followers(const struct server_raft *raft);
/* INFO's section raft. */
void command_raft_info_lines(const struct server_raft *raft, struct buffer *out);

#endif
