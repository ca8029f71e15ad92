#include "storage/rocksdb_cached.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fatal.h"
#include "storage/durable.h"

static atomic_bool stays;

void rocksdb_cached_stays(void)
{
    stays = true;
}

/* Definitions in the program come before the C library's own. */

/* RocksDB does not look at what became of this, and the file's sync need not tell an error
 * again. */
int posix_fadvise(int fd, off_t offset, off_t size, int advice)
{
    struct stat status;
    if (advice != POSIX_FADV_DONTNEED || !stays)
        return syscall(SYS_fadvise64, fd, offset, size, advice) == 0 ? 0 : errno;
    if (fstat(fd, &status) != 0 || !durable_begin(fd, (uint64_t)status.st_size, 0))
        fatal("cannot write a sorted file for the store: %s", strerror(errno));
    return 0;
}

int sync_file_range(int fd, off_t offset, off_t size, unsigned flags)
{
    if (flags != SYNC_FILE_RANGE_WRITE || size <= 0 || !stays)
        return (int)syscall(SYS_sync_file_range, fd, offset, size, flags);
    return durable_begin(fd, (uint64_t)offset, (uint64_t)size) ? 0 : -1;
}
