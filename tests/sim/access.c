/* The one look inside the replica: the checks need the core's own view. */
#include "replica/replica_internal.h"

struct raft *sim_raft_of(const struct replica *replica);

struct raft *sim_raft_of(const struct replica *replica)
{
    return replica->raft;
}
