/* See ticks.h. */
#include "server/ticks.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

/* The counter goes on at one rate, whatever the processor's clock does and while it sleeps. */
static bool counter_is_even(void)
{
#ifdef __x86_64__
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && d & 1u << 8;
#else
    return false;
#endif
}

void server_ticks_start(struct ticks *ticks)
{
    ticks->is_counter = counter_is_even();
    ticks->start = server_ticks_now(ticks);
    ticks->start_ns = server_ticks_clock_ns();
}

double server_ticks_ns(const struct ticks *ticks)
{
    uint64_t passed = server_ticks_since(ticks, ticks->start);
    int64_t passed_ns = server_ticks_clock_ns() - ticks->start_ns;
    return ticks->is_counter && passed > 0 ? (double)passed_ns / (double)passed : 1;
}
