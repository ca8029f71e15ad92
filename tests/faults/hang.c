/* Preloaded into a node: while the file named in HANG_FILE exists, nothing that was written reaches
 * the disk; while the one named in HANG_READS_FILE does, no read comes back; and no error says so.
 * If HANG_READS_OF is set, only reads of the thread of that name hang; the first one is "loop".
 * The tests of a disk that hangs (tcl-tests/disk.tcl, nemesis.py) need no privileges this way. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_US = 5000, NAME_SIZE = 16 };

static void wait_while(const char *variable)
{
    const char *file = getenv(variable);
    while (file && access(file, F_OK) == 0)
        usleep(LOOK_US);
}

static void wait_to_write(void)
{
    wait_while("HANG_FILE");
}

static void wait_to_read(void)
{
    const char *only = getenv("HANG_READS_OF");
    char name[NAME_SIZE] = "loop";
    if (gettid() != getpid() && pthread_getname_np(pthread_self(), name, sizeof name) != 0)
        return;
    if (!only || strcmp(name, only) == 0)
        wait_while("HANG_READS_FILE");
}

int fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_to_write();
    return real(fd);
}

int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_to_write();
    return real(fd);
}

int sync_file_range(int fd, off64_t offset, off64_t size, unsigned int flags)
{
    int (*real)(int, off64_t, off64_t, unsigned int) =
        (int (*)(int, off64_t, off64_t, unsigned int))dlsym(RTLD_NEXT, "sync_file_range");
    wait_to_write();
    return real(fd, offset, size, flags);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset)
{
    ssize_t (*real)(int, void *, size_t, off64_t) =
        (ssize_t(*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT, "pread64");
    wait_to_read();
    return real(fd, bytes, size, offset);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    return pread64(fd, bytes, size, offset);
}
