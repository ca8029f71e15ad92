/* What the ways to end at once mean in a world of many processes; these replace those of
 * base/fatal.c.
 *
 * fatal() after a fault that we injected is the end of that one process: control goes back to the
 * world, and what the process had in memory is left as it is, as a kernel would find it.  Any other
 * fatal(), and every check() that does not hold, is what we are looking for.  So is a signal, and a
 * run that does not end. */
#include "base/fatal.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/time.h>

#include "sim.h"

enum { CPU_SECONDS_MIN = 100 };

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
    if (sim_checkpoint_is_caller())
        sim_checkpoint_die(text);
    sim_say("node %u: fatal: %s", (unsigned)sim.failing->id, text);
    longjmp(sim.death, 1);
}

void fatal_for_good(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!sim.failing || !sim_members_may_disown(sim.failing))
        sim_fail("a process ends for good: %s", text);
    sim_say("node %u ends for good: %s", (unsigned)sim.failing->id, text);
    longjmp(sim.death, 1);
}

static void on_signal(int number)
{
    signal(number, SIG_DFL);
    sim_fail("%s", number == SIGPROF ? "no end" : strsignal(number));
}

void sim_watch(void)
{
    static const int bad[] = {SIGPROF, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    /* A run takes a small part of its simulated time; with the sanitizers, about as long. */
    const struct itimerval limit = {
        .it_value = {.tv_sec = CPU_SECONDS_MIN + sim.options.fault_us / 1000000 * 2}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void (*before)(int) = signal(bad[i], on_signal);
        if (before != SIG_DFL) /* a sanitizer's */
            signal(bad[i], before);
    }
    if (setitimer(ITIMER_PROF, &limit, NULL) != 0)
        sim_fail("cannot set a timer");
}

void check_failed(const char *expression, const char *file, int line)
{
    sim_fail("bug: %s:%d: %s does not hold", file, line, expression);
}
