/* See arena.h.  An address of that kind is found by reserving more than is wanted. */
#include "base/arena.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/fatal.h"

enum { PAGE = 65536 }; /* a multiple of any machine's */
static const size_t alignment = (size_t)1 << 32;

void arena_init(struct arena *arena, size_t size)
{
    check(size > 0 && size % PAGE == 0 && size <= alignment);
    size_t reserved = alignment + size;
    char *mapping =
        mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED)
        fatal("no room for an arena of %zu bytes", size);
    size_t before = (alignment - (uintptr_t)mapping % alignment) % alignment;
    char *base = mapping + before;
    if (before > 0)
        munmap(mapping, before);
    if (reserved - before > size)
        munmap(base + size, reserved - before - size);
    if (mprotect(base, size, PROT_READ | PROT_WRITE) != 0)
        fatal("no memory for an arena of %zu bytes", size);
    *arena = (struct arena){base, size};
}

void arena_deinit(struct arena *arena)
{
    if (arena->base)
        munmap(arena->base, arena->size);
    *arena = (struct arena){0};
}

void arena_trim(struct arena *arena, size_t used)
{
    size_t from = (used + PAGE - 1) / PAGE * PAGE;
    if (from < arena->size)
        madvise(arena->base + from, arena->size - from, MADV_DONTNEED);
}
