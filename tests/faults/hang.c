/* Preloaded into a node: while the file named in HANG_FILE exists, nothing that was written reaches
 * the disk, and no error says so.  The tests of a disk that hangs (tcl-tests/disk.tcl) need no
 * privileges this way. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_US = 5000 };

static void wait_while_hanging(void)
{
    const char *file = getenv("HANG_FILE");
    while (file && access(file, F_OK) == 0)
        usleep(LOOK_US);
}

int fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_while_hanging();
    return real(fd);
}

int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_while_hanging();
    return real(fd);
}

int sync_file_range(int fd, off64_t offset, off64_t size, unsigned int flags)
{
    int (*real)(int, off64_t, off64_t, unsigned int) =
        (int (*)(int, off64_t, off64_t, unsigned int))dlsym(RTLD_NEXT, "sync_file_range");
    wait_while_hanging();
    return real(fd, offset, size, flags);
}
