/* A clock for short times, read twice for each command: the processor's counter where it runs
 * evenly (a read of CLOCK_MONOTONIC costs three times as much, under kvm-clock, a tenth of a GET),
 * else that clock.  What a tick is turns out only when the time is shown: by how both went on since
 * the start. */
#ifndef SERVER_TICKS_H
#define SERVER_TICKS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct ticks {
    bool is_counter;
    uint64_t start;
    int64_t start_ns;
};

void server_ticks_start(struct ticks *ticks);
double server_ticks_ns(const struct ticks *ticks); /* of one tick */

static inline int64_t server_ticks_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline uint64_t server_ticks_now(const struct ticks *ticks)
{
#ifdef __x86_64__
    if (ticks->is_counter)
        return __builtin_ia32_rdtsc();
#endif
    (void)ticks;
    return (uint64_t)server_ticks_clock_ns();
}

/* A processor whose counter stands behind another's must not make an age of it. */
static inline uint64_t server_ticks_since(const struct ticks *ticks, uint64_t then)
{
    uint64_t now = server_ticks_now(ticks);
    return now > then ? now - then : 0;
}

#endif
