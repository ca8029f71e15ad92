#include "replica/stamp.h"

void stamp_put(unsigned char *at, const struct stamp *stamp)
{
    put_u32(at, STAMP_VERSION); /* and the three zeros */
    put_u32(at + 4, stamp->value_max);
    put_u64(at + 8, stamp->unix_ms);
    put_u64(at + 16, stamp->seed);
}

bool stamp_get(const unsigned char *at, size_t size, struct stamp *stamp)
{
    if (size < STAMP_SIZE)
        return false;
    uint32_t version = get_u32(at);
    stamp->value_max = get_u32(at + 4);
    stamp->unix_ms = get_u64(at + 8);
    stamp->seed = get_u64(at + 16);
    return version == STAMP_VERSION || (version == STAMP_VERSION_OLDEST && stamp->value_max == 0);
}
