/* The one look inside the replica: the checks need the core's own view. */
#include "replica/replica_internal.h"
#include "sim.h"

struct raft *sim_raft_of(const struct replica *replica)
{
    return replica->raft;
}

uint64_t sim_reads_acknowledged(const struct replica *replica)
{
    return replica->reads_acknowledged;
}

bool sim_is_held_back(const struct replica *replica)
{
    return replica->held_back;
}
