/* Asks members of a cluster to take this node in: before it has a name, so before anything of it
 * runs.  Blocks, and asks again until one says yes: whoever waits longer than he likes reads the
 * log and stops it. */
#ifndef SERVER_JOIN_H
#define SERVER_JOIN_H

#include "config.h"
#include "storage/raft_log.h"

/* Of `config`: join, peer-secret, and the addresses.  `life`: of the data directory. */
struct raft_log_identity server_join(const struct config *config, const struct raft_log_life *life);

#endif
