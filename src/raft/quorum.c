/* Majorities.  Nothing here knows what is counted: match indices, read rounds. */
#include "base/fatal.h"
#include "raft/raft_internal.h"

uint32_t quorum_size(uint32_t voters)
{
    return voters / 2 + 1;
}

uint64_t quorum_reached(const uint64_t *values, uint32_t count)
{
    check(count > 0);
    uint64_t best = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t holders = 0;
        for (uint32_t j = 0; j < count; j++)
            holders += values[j] >= values[i];
        if (holders >= quorum_size(count) && values[i] > best)
            best = values[i];
    }
    return best;
}
