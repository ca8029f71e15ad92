/* Changes of members as commands: RAFT.NODE, RAFT.TRANSFER_LEADER, and what a node says for one
 * that asks to be taken in.  They go to the leader like writes, but no entry of theirs gets into
 * the log: replica/change_requests.c. */
#ifndef COMMAND_CHANGE_H
#define COMMAND_CHANGE_H

#include "base/blob.h"
#include "command/command.h"
#include "replica/replica.h"

#define JOIN_NAME "raft.join"

/* Of encoded words that were admitted; false: it is another command. */
bool command_change(struct bytes encoded, struct replica_change *change);
/* The words of a node that asks to be taken in: life, addresses and meaning. */
struct blob *command_join(const struct replica_change *change);
#endif
