/* Preloaded into a node: how long each turn of its event loop takes, from the return of
 * epoll_wait to the next call of it.  Of each that takes TURNS_MS (default 5) or longer a line
 * "unix-ms wall-us cpu-us faults" comes at the end of the file TURNS_FILE, which may be emptied
 * meanwhile.
 *
 * The processor's time beside the wall's, because a busy machine makes every turn long. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static long long clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

/* One system call, so that lines of a reader who empties the file stay whole. */
static void note(long long wall_us, long long cpu_us, long pages)
{
    static int fd = -1;
    const char *path = getenv("TURNS_FILE");
    if (fd < 0 && path)
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0)
        dprintf(fd, "%lld %lld %lld %ld\n", clock_us(CLOCK_REALTIME) / 1000, wall_us, cpu_us,
                pages);
}

int epoll_wait(int epoll, struct epoll_event *events, int events_max, int timeout)
{
    static int (*real)(int, struct epoll_event *, int, int);
    static long long began_us, began_cpu_us, least_us;
    static long began_faults;
    static pid_t thread;
    if (!real) {
        const char *least = getenv("TURNS_MS");
        real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
        least_us = 1000 * (least ? atoll(least) : 5);
        thread = gettid();
    }
    if (gettid() != thread)
        return real(epoll, events, events_max, timeout);
    long long wall_us = clock_us(CLOCK_MONOTONIC) - began_us;
    if (began_us && wall_us >= least_us)
        note(wall_us, clock_us(CLOCK_THREAD_CPUTIME_ID) - began_cpu_us, faults() - began_faults);
    int count = real(epoll, events, events_max, timeout);
    began_us = clock_us(CLOCK_MONOTONIC);
    began_cpu_us = clock_us(CLOCK_THREAD_CPUTIME_ID);
    began_faults = faults();
    return count;
}
