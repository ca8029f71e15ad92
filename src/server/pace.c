/* See pace.h. */
#include "server/pace.h"

#include <time.h>

#include "server/ticks.h"

enum { PAUSE_MS_MAX = 50, NS_A_MS = 1000000 };

void server_keep_pace(int64_t began_ns, uint64_t bytes, uint64_t bandwidth,
                      const atomic_bool *is_stopping)
{
    while (bandwidth > 0 && !*is_stopping) {
        int64_t due_ns = began_ns + (int64_t)((double)bytes / (double)bandwidth * 1e9);
        int64_t left_ms = (due_ns - server_ticks_clock_ns()) / NS_A_MS;
        if (left_ms <= 0)
            return;
        if (left_ms > PAUSE_MS_MAX)
            left_ms = PAUSE_MS_MAX;
        struct timespec pause = {.tv_nsec = left_ms * NS_A_MS};
        nanosleep(&pause, NULL);
    }
}
