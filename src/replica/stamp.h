/* What stands before the command in the payload of a COMMAND entry: see entry.c. */
#ifndef REPLICA_STAMP_H
#define REPLICA_STAMP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/codec.h"

enum { STAMP_VERSION = 3, STAMP_VERSION_LIMITED = 2, STAMP_VERSION_FIRST = 1, STAMP_SIZE = 24 };

/* Under which the entries were written whose stamp does not say. */
enum { STAMP_MEANING_OLD = 1 };

/* The first with requests that may wait, whose entries say whose they are. */
enum { STAMP_MEANING_WAITS = 5 };

/* The first that knows of states sent to members that fell off the log. */
enum { STAMP_MEANING_SNAPSHOTS = 5 };

/* The first that knows lists of members in the log. */
enum { STAMP_MEANING_MEMBERS = 5 };

/* The first with clusters that have names. */
enum { STAMP_MEANING_NAMES = 5 };

/* The first whose entries have members compare their data. */
enum { STAMP_MEANING_CHECKS = 5 };

/* The first whose entries members execute only when their leader has: see shown.c. */
enum { STAMP_MEANING_SHOWN = 5 };

struct stamp {
    uint32_t meaning;  /* a byte, never 0 */
    uint32_t database; /* a byte; which are there, the state machine knows */
    uint32_t value_max;
    uint64_t unix_ms; /* as bits: it is signed */
    uint64_t seed;
};

/*@ predicate stamp_present(unsigned char *at) =
      at[0] == STAMP_VERSION && at[1] >= 1 && at[3] == 0;
    predicate stamp_old(unsigned char *at) =
      at[1] == 0 && at[2] == 0 && at[3] == 0 &&
      (at[0] == STAMP_VERSION_LIMITED ||
       (at[0] == STAMP_VERSION_FIRST && little_u32(at + 4) == 0));
*/

/*@ requires \valid(at + (0 .. 23)) && \valid_read(stamp) && \separated(at + (0 .. 23), stamp);
    requires 1 <= stamp->meaning <= 255 && stamp->database <= 255;
    assigns at[0 .. 23];
    ensures version: stamp_present(at);
    ensures meaning: at[1] == stamp->meaning;
    ensures database: at[2] == stamp->database;
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
    ensures version: \result ==> stamp_present(at) || stamp_old(at);
    ensures meaning: \result ==>
              stamp->meaning == (at[0] == STAMP_VERSION ? at[1] : STAMP_MEANING_OLD);
    ensures database: \result ==> stamp->database == at[2];
    ensures value_max: \result ==> stamp->value_max == little_u32(at + 4);
    ensures time: \result ==> stamp->unix_ms == little_u64(at + 8);
    ensures seed: \result ==> stamp->seed == little_u64(at + 16);
    ensures refused: !\result ==> size < STAMP_SIZE ||
                       !(stamp_present(at) || stamp_old(at));
*/
bool stamp_get(const unsigned char *at, size_t size, struct stamp *stamp);

#endif
