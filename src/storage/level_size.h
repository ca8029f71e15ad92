/* How large the first level of the data is, below level 0: as all runs together that are merged
 * into it at a time.
 *
 * Such a merge reads and writes the level as a whole.  One that is much larger than what comes is
 * written again for little; one that is much smaller is all pushed at once into the next, of which
 * several bytes are written again for each.  How large a run is depends on the values: what a
 * checkpoint has in memory, or a small part of that where they can be compressed.
 *
 * RocksDB gets it as max_bytes_for_level_base, for data with dynamic levels alone: there it is the
 * least that any level may have, and while the last one has no more, there is no other.  Bytes of
 * files everywhere. */
#ifndef STORAGE_LEVEL_SIZE_H
#define STORAGE_LEVEL_SIZE_H

#include <stdint.h>

enum { LEVEL_SIZE_RUNS = 8 }; /* merged at a time */

#define LEVEL_SIZE_LEAST (256ull << 20) /* RocksDB's default, for all who write little */
#define LEVEL_SIZE_MOST (2ull << 30)    /* a merge needs as much room again until it is done */

struct level_size {
    uint64_t runs[LEVEL_SIZE_RUNS]; /* the last ones */
    unsigned next;                  /* the oldest of them, which the next one replaces */
    uint64_t target;                /* that was said last */
};

/* Of runs before nothing is known but what they left in the level: that is kept until there are
 * others.  Returns the target. */
uint64_t kv_level_size_begin(struct level_size *size, uint64_t level_bytes);

/* A run came.  Returns the target, which stays while it is right by a quarter, since each change is
 * a file that RocksDB writes. */
uint64_t kv_level_size_after(struct level_size *size, uint64_t run_bytes);

#endif
