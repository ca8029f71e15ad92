/* Preloaded into a node: when it was in the hands of the disk, or waited for a processor.
 *
 * Of each call that writes, syncs or reads a file and takes DISK_MS (default 1) or longer a line
 * "thread call began ended" comes at the end of the file DISK_FILE, which may be emptied meanwhile;
 * times are Unix microseconds.  "processor" in the place of a call: so long the thread could have
 * run, and no processor was free, at the latest up to the time that is said (looked at behind those
 * calls, and at both ends of a turn of the loop).
 *
 * waits.py joins them with the answers that were slow.  What RocksDB's threads do comes under their
 * names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { NAME_SIZE = 16 };

static long long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* One system call, so that lines of several threads stay whole. */
static void write_line(const char *call, long long began_us, long long ended_us)
{
    static int fd = -1;
    static long long least_us = -1;
    static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
    char name[NAME_SIZE] = "loop";
    pthread_mutex_lock(&opening);
    if (least_us < 0) {
        const char *least = getenv("DISK_MS"), *path = getenv("DISK_FILE");
        least_us = 1000 * (least ? atoll(least) : 1);
        fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    }
    pthread_mutex_unlock(&opening);
    if (fd >= 0 && ended_us - began_us >= least_us) {
        if (gettid() != getpid())
            pthread_getname_np(pthread_self(), name, sizeof name);
        dprintf(fd, "%s %s %lld %lld\n", name, call, began_us, ended_us);
    }
}

/* How long this thread has waited for a processor since it was asked last. */
static long long waited_us(void)
{
    static __thread int fd = -2;
    static __thread unsigned long long before_ns;
    char text[64];
    unsigned long long ran_ns, waits_ns;
    if (fd == -2)
        fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : syscall(SYS_pread64, fd, text, sizeof text - 1, (off_t)0);
    if (size <= 0)
        return 0;
    text[size] = '\0';
    if (sscanf(text, "%llu %llu", &ran_ns, &waits_ns) != 2)
        return 0;
    long long waited = (long long)(waits_ns - before_ns) / 1000;
    before_ns = waits_ns;
    return waited;
}

static void note_wait(void)
{
    long long waited = waited_us(), now = now_us();
    write_line("processor", now - waited, now);
}

static void note(const char *call, long long began_us)
{
    int error = errno;
    write_line(call, began_us, now_us());
    note_wait();
    errno = error;
}

/* turns.c may be behind this one. */
int epoll_wait(int epoll, struct epoll_event *events, int events_max, int timeout)
{
    static int (*real)(int, struct epoll_event *, int, int);
    if (!real)
        real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
    note_wait();
    int count = real(epoll, events, events_max, timeout);
    int error = errno;
    note_wait();
    errno = error;
    return count;
}

#define TIMED(type, name, parameters, arguments)                                                   \
    type name parameters                                                                           \
    {                                                                                              \
        static type(*real) parameters;                                                             \
        if (!real)                                                                                 \
            real = (type(*) parameters)dlsym(RTLD_NEXT, #name);                                    \
        long long began_us = now_us();                                                             \
        type result = real arguments;                                                              \
        note(#name, began_us);                                                                     \
        return result;                                                                             \
    }

TIMED(int, fsync, (int fd), (fd))
TIMED(int, fdatasync, (int fd), (fd))
TIMED(ssize_t, pwritev, (int fd, const struct iovec *pieces, int count, off_t at),
      (fd, pieces, count, at))
TIMED(ssize_t, pwrite, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at))
TIMED(ssize_t, pwrite64, (int fd, const void *bytes, size_t size, off64_t at),
      (fd, bytes, size, at))
TIMED(ssize_t, pread, (int fd, void *bytes, size_t size, off_t at), (fd, bytes, size, at))
TIMED(ssize_t, pread64, (int fd, void *bytes, size_t size, off64_t at), (fd, bytes, size, at))
