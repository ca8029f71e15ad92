/* See descriptors.h. */
#include "server/descriptors.h"

#include <sys/resource.h>

enum { DESCRIPTORS_RESERVED = 256 }; /* besides clients: peers, listeners, logs, RocksDB's files */

int64_t server_descriptors_clients(int64_t wanted)
{
    struct rlimit limit;
    rlim_t needed = (rlim_t)wanted + DESCRIPTORS_RESERVED;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    if (limit.rlim_cur < needed) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur =
            limit.rlim_max == RLIM_INFINITY || limit.rlim_max > needed ? needed : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            limit.rlim_cur = before;
    }
    if (limit.rlim_cur >= needed)
        return wanted;
    return limit.rlim_cur > DESCRIPTORS_RESERVED ? (int64_t)(limit.rlim_cur - DESCRIPTORS_RESERVED)
                                                 : 0;
}
