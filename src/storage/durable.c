/* See durable.h. */
#include "storage/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

static void close_keeping_errno(int fd)
{
    int reason = errno;
    close(fd);
    errno = reason;
}

bool durable_sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_synced = fsync(fd) == 0;
    close_keeping_errno(fd);
    return is_synced;
}

/* Where the kernel has no such call the sync does it all. */
static bool begin_to(int fd, uint64_t end)
{
    const unsigned how = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE;
    return sync_file_range(fd, 0, (off_t)end, how) == 0 || errno == ENOSYS;
}

bool durable_begin(int fd, uint64_t at, uint64_t size)
{
    uint64_t end = at + size;
    for (at += DURABLE_PIECE; at < end; at += DURABLE_PIECE)
        if (!begin_to(fd, at))
            return false;
    return begin_to(fd, end);
}

/* With its block allocated: a write to a mapped hole would kill the process when the disk is
 * full. */
static bool begin(int fd, const char *directory)
{
    const uint64_t zero = 0;
    return pwrite(fd, &zero, sizeof zero, 0) == sizeof zero && ftruncate(fd, sizeof zero) == 0 &&
           fsync(fd) == 0 && durable_sync_directory(directory);
}

uint64_t *durable_number_map(const char *directory, const char *name)
{
    char path[PATH_SIZE];
    struct stat status;
    void *map = MAP_FAILED;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && (status.st_size == sizeof(uint64_t) || begin(fd, directory)))
        map = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close_keeping_errno(fd);
    return map == MAP_FAILED ? NULL : map;
}

void durable_number_unmap(uint64_t *number)
{
    if (number)
        munmap(number, sizeof *number);
}
