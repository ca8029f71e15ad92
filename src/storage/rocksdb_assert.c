#include "storage/rocksdb_assert.h"

#include <stdio.h>
#include <sys/statvfs.h>

#include "base/fatal.h"

enum { PATH_SIZE = 4096, ROOM_MIN = 4 << 20 };

static char directory_of_store[PATH_SIZE];

void rocksdb_assert_concerns(const char *directory)
{
    snprintf(directory_of_store, sizeof directory_of_store, "%s", directory);
}

/* What assert() calls.  A definition in the program comes before the C library's own. */
_Noreturn void assert_failed(const char *assertion, const char *file, unsigned line,
                             const char *function) __asm__("__assert_fail");

_Noreturn void assert_failed(const char *assertion, const char *file, unsigned line,
                             const char *function)
{
    struct statvfs disk;
    (void)function;
    if (statvfs(directory_of_store, &disk) == 0 && disk.f_bavail * disk.f_frsize < ROOM_MIN)
        fatal("no space left on the disk of %s (RocksDB stopped at %s:%u: %s)", directory_of_store,
              file, line, assertion);
    check_failed(assertion, file, (int)line);
}
