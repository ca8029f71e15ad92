/* What the two ways to end at once mean in a world of many processes; these two replace those of
 * base/fatal.c.
 *
 * fatal() after a fault that we injected is the end of that one process: control goes back to the
 * world, and what the process had in memory is left as it is, as a kernel would find it.  Any other
 * fatal(), and every check() that does not hold, is what we are looking for. */
#include "base/fatal.h"

#include <stdarg.h>

#include "sim.h"

/* A process that dies leaves its memory, so there is nothing for the leak checker to see. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

void fatal(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!sim.failing)
        sim_fail("a process ends without a fault: %s", text);
    sim_say("node %u: fatal: %s", (unsigned)sim.failing->id, text);
    longjmp(sim.death, 1);
}

void check_failed(const char *expression, const char *file, int line)
{
    sim_fail("bug: %s:%d: %s does not hold", file, line, expression);
}
