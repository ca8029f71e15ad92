/* What stands before the command in the payload of a COMMAND entry: see entry.c. */
#ifndef REPLICA_STAMP_H
#define REPLICA_STAMP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/codec.h"

enum { STAMP_VERSION = 2, STAMP_VERSION_OLDEST = 1, STAMP_SIZE = 24 };

struct stamp {
    uint32_t value_max;
    uint64_t unix_ms; /* as bits: it is signed */
    uint64_t seed;
};

/*@ predicate stamp_version(integer version, integer value_max) =
      version == STAMP_VERSION || (version == STAMP_VERSION_OLDEST && value_max == 0);
*/

/*@ requires \valid(at + (0 .. 23)) && \valid_read(stamp) && \separated(at + (0 .. 23), stamp);
    assigns at[0 .. 23];
    ensures version: little_u32(at) == STAMP_VERSION;
    ensures value_max: little_u32(at + 4) == stamp->value_max;
    ensures time: little_u64(at + 8) == stamp->unix_ms;
    ensures seed: little_u64(at + 16) == stamp->seed;
*/
void stamp_put(unsigned char *at, const struct stamp *stamp);

/* False: no stamp of a known version is at[0 .. size). */
/*@ requires \valid_read(at + (0 .. size - 1)) && \valid(stamp);
    requires \separated(stamp, at + (0 .. size - 1));
    assigns *stamp;
    ensures inside: \result ==> size >= STAMP_SIZE;
    ensures version: \result ==> stamp_version(little_u32(at), stamp->value_max);
    ensures value_max: \result ==> stamp->value_max == little_u32(at + 4);
    ensures time: \result ==> stamp->unix_ms == little_u64(at + 8);
    ensures seed: \result ==> stamp->seed == little_u64(at + 16);
    ensures refused: !\result ==> size < STAMP_SIZE ||
                       !stamp_version(little_u32(at), little_u32(at + 4));
*/
bool stamp_get(const unsigned char *at, size_t size, struct stamp *stamp);

#endif
