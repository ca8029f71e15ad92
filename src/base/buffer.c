#include "base/buffer.h"

#include <stdio.h>

#include "base/fatal.h"
#include "base/memory.h"

enum { BUFFER_FIRST = 64 };

void buffer_deinit(struct buffer *buffer)
{
    memory_free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_reserve(struct buffer *buffer, size_t more)
{
    size_t needed = buffer->size + more;
    check(needed >= buffer->size);
    if (needed <= buffer->capacity)
        return;
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST;
    while (capacity < needed)
        capacity *= 2;
    buffer->data = memory_resize(buffer->data, capacity);
    buffer->capacity = capacity;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    buffer_reserve(buffer, size);
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    check(length >= 0);
    buffer_reserve(buffer, (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->size += (size_t)length;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    check(size <= buffer->size);
    buffer->size -= size;
    if (buffer->size && size)
        memmove(buffer->data, buffer->data + size, buffer->size);
}
