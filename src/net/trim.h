/* When the system gets back the large blocks that are kept and nobody uses (base/memory_trim.h):
 * when all that was to do is done, and once more.  Loop thread. */
#ifndef NET_TRIM_H
#define NET_TRIM_H

#include <stdbool.h>
#include <stdint.h>

/* {0} is a node that has done nothing yet. */
struct net_trim {
    int64_t next_ms;     /* not before this, by the loop's clock */
    uint64_t done;       /* at the last tick */
    bool is_busy;        /* a turn since then left something to do */
    uint32_t looks_left; /* since something was done */
    uint32_t quiet_ticks;
    bool is_idle; /* nothing was done since it was due */
};

/* A turn of the loop left something to do: a long entry, or one that is prepared, is no request
 * that is done. */
static inline void net_trim_busy(struct net_trim *trim, bool is_busy)
{
    trim->is_busy |= is_busy;
}

/* At every tick.  `done` rises with every request.  True: now. */
bool net_trim_is_due(struct net_trim *trim, int64_t now_ms, uint64_t done);

#endif
