/* As malloc has it, but never NULL, and large blocks are mappings that grow without a copy
 * (large.h). */
#include "base/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/large.h"

enum { SMALL = 1024 /* up to this it is quicker to write zeros than to look who has some */ };

/* Who looks for errors in the use of memory sees each block in malloc. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const size_t large_min = SIZE_MAX;
#else
static const size_t large_min = LARGE_MIN;
#endif

static void *present(void *memory, size_t size)
{
    if (!memory)
        fatal("out of memory: %zu bytes", size);
    return memory;
}

/* Uninitialized. */
static void *allocate(size_t size)
{
    if (size >= large_min)
        return present(large_new(size), size);
    return present(malloc(size ? size : 1), size);
}

void *memory_new(size_t size)
{
    if (size <= SMALL)
        return memset(allocate(size), 0, size);
    return present(size >= large_min ? large_new_zeroed(size) : calloc(1, size), size);
}

/* Another block in place of one of `before` bytes. */
static void *moved(void *memory, size_t before, size_t size)
{
    void *other = allocate(size);
    memcpy(other, memory, before < size ? before : size);
    memory_free(memory);
    return other;
}

static void *resize_large(void *memory, size_t size)
{
    void *resized = size >= large_min ? large_resize(memory, size) : NULL;
    return resized ? resized : moved(memory, large_size(memory), size);
}

void *memory_resize(void *memory, size_t size)
{
    if (!memory)
        return allocate(size);
    if (large_has(memory))
        return resize_large(memory, size);
    if (size >= large_min)
        return moved(memory, malloc_usable_size(memory), size);
    return present(realloc(memory, size ? size : 1), size);
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
    if (large_has(memory))
        large_free(memory);
    else
        free(memory);
}
