#include "replica/stamp.h"

/*@ requires \valid(at + (4 .. 23)) && \valid_read(stamp);
    requires \separated(at + (0 .. 23), stamp);
    assigns at[4 .. 23];
    ensures little_u32(at + 4) == stamp->value_max;
    ensures little_u64(at + 8) == stamp->unix_ms;
    ensures little_u64(at + 16) == stamp->seed;
*/
static void put_behind_head(unsigned char *at, const struct stamp *stamp)
{
    put_u32(at + 4, stamp->value_max);
    put_u64(at + 8, stamp->unix_ms);
    put_u64(at + 16, stamp->seed);
}

void stamp_put(unsigned char *at, const struct stamp *stamp)
{
    at[0] = STAMP_VERSION;
    at[1] = (unsigned char)stamp->meaning;
    at[2] = (unsigned char)stamp->database;
    at[3] = 0;
    put_behind_head(at, stamp);
}

/*@ requires \valid_read(at + (0 .. 23));
    assigns \nothing;
    ensures \result <==> stamp_old(at);
*/
static bool is_old(const unsigned char *at)
{
    if (at[1] != 0 || at[2] != 0 || at[3] != 0)
        return false;
    return at[0] == STAMP_VERSION_LIMITED || (at[0] == STAMP_VERSION_FIRST && get_u32(at + 4) == 0);
}

bool stamp_get(const unsigned char *at, size_t size, struct stamp *stamp)
{
    if (size < STAMP_SIZE)
        return false;
    bool old = is_old(at);
    stamp->meaning = old ? STAMP_MEANING_OLD : at[1];
    stamp->database = at[2];
    stamp->value_max = get_u32(at + 4);
    stamp->unix_ms = get_u64(at + 8);
    stamp->seed = get_u64(at + 16);
    return old || (at[0] == STAMP_VERSION && at[1] >= 1 && at[3] == 0);
}
