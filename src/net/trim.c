/* See trim.h. */
#include "net/trim.h"

/* A second in which nothing was done, no oftener than that. */
enum { TRIM_MS = 30000, TRIM_IDLE_MS = 1000 };

bool trim_is_due(struct trim *trim, int64_t now_ms, uint64_t done)
{
    if (now_ms < trim->next_ms)
        return false;
    bool is_idle = done == trim->done && !trim->is_busy;
    bool is_due = is_idle && trim->is_wanted;
    trim->is_wanted = !is_idle;
    trim->done = done;
    trim->is_busy = false;
    trim->next_ms = now_ms + (is_due ? TRIM_MS : TRIM_IDLE_MS);
    return is_due;
}
