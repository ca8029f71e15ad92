#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

void *memory_new(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        fatal("out of memory: %zu bytes", size);
    return memory;
}

void *memory_resize(void *memory, size_t size)
{
    void *resized = realloc(memory, size ? size : 1);
    if (!resized)
        fatal("out of memory: %zu bytes", size);
    return resized;
}

void *memory_copy(const void *data, size_t size)
{
    void *copy = malloc(size ? size : 1);
    if (!copy)
        fatal("out of memory: %zu bytes", size);
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
