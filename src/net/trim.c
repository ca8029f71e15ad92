/* See trim.h. */
#include "net/trim.h"

/* A second of ticks in which nothing was done, no oftener than that.  Ticks: of a node that gets no
 * processor a second that passed says nothing.  Twice, since a checkpoint that is under way when
 * the last request is done frees what it stored, or what was flushed, behind it. */
enum { TRIM_MS = 30000, TRIM_QUIET_TICKS = 20, TRIM_LOOKS = 2 };

bool net_trim_is_due(struct net_trim *trim, int64_t now_ms, uint64_t done)
{
    if (done != trim->done || trim->is_busy) {
        *trim = (struct net_trim){.next_ms = trim->next_ms, .done = done, .looks_left = TRIM_LOOKS};
        return false;
    }
    trim->quiet_ticks++;
    if (trim->looks_left == 0 || trim->quiet_ticks < TRIM_QUIET_TICKS || now_ms < trim->next_ms)
        return false;
    trim->looks_left--;
    trim->next_ms = now_ms + TRIM_MS;
    trim->is_idle = true;
    return true;
}
