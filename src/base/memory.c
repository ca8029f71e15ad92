/* As malloc has it, but never NULL, and large blocks of huge pages where the kernel has them. */
#include "base/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fatal.h"

enum {
    HUGE_PAGE = 2 << 20,
    LARGE = 4 << 20,      /* has a huge page inside, wherever it begins */
    REMAPPED = 256 << 20, /* above it blocks grow without a copy: main.c asks malloc for that */
    SMALL = 1024          /* malloc has such blocks at hand in each thread, and calloc does not */
};

/* To fault in 64 MB of ordinary pages takes 50 to 350 ms, whichever thread comes first, and 12 ms
 * to give them back; of huge pages 8 and 1.  A kernel that has none of those says no, which is all
 * the same. */
static void *advised(void *memory, size_t size)
{
    if (size < LARGE)
        return memory;
    uintptr_t begin = ((uintptr_t)memory + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)(HUGE_PAGE - 1);
    (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
    return memory;
}

static void *present(void *memory, size_t size)
{
    if (!memory)
        fatal("out of memory: %zu bytes", size);
    return memory;
}

/* Uninitialized. */
static void *allocate(size_t size)
{
    return advised(present(malloc(size ? size : 1), size), size);
}

void *memory_new(size_t size)
{
    if (size <= SMALL)
        return memset(allocate(size), 0, size);
    return advised(present(calloc(1, size), size), size);
}

/* A larger block in place of a large one, advised before it is touched. */
static void *grown(void *memory, size_t size)
{
    size_t before = malloc_usable_size(memory);
    void *larger = allocate(size);
    if (memory)
        memcpy(larger, memory, before);
    free(memory);
    return larger;
}

void *memory_resize(void *memory, size_t size)
{
    if (!memory)
        return allocate(size);
    if (size >= LARGE && size < REMAPPED && size > malloc_usable_size(memory))
        return grown(memory, size);
    return advised(present(realloc(memory, size ? size : 1), size), size);
}

void *memory_copy(const void *data, size_t size)
{
    void *copy = allocate(size);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

char *memory_string(const char *string)
{
    return memory_copy(string, strlen(string) + 1);
}

void memory_free(void *memory)
{
    free(memory);
}
