/* See heap.h. */
#include "base/heap.h"

#ifdef HEAP_OF_SANITIZER

struct heap_status heap_status(void)
{
    return (struct heap_status){0};
}

const char *heap_name(void)
{
    return "libc";
}

#else

#include <jemalloc/jemalloc.h>
#include <stdint.h>

#define TEXT_OF(number) #number
#define VERSION(major, minor, bugfix)                                                              \
    "jemalloc-" TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(bugfix)

/* 0: this jemalloc was built without statistics. */
static size_t counter(const char *name)
{
    size_t value = 0, size = sizeof value;
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

struct heap_status heap_status(void)
{
    uint64_t epoch = 1; /* what it counted until now is added up when this is written */
    (void)mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    return (struct heap_status){.used = counter("stats.allocated"),
                                .held = counter("stats.active")};
}

const char *heap_name(void)
{
    return VERSION(JEMALLOC_VERSION_MAJOR, JEMALLOC_VERSION_MINOR, JEMALLOC_VERSION_BUGFIX);
}

#endif
