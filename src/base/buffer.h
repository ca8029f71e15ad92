/* A growing run of bytes, owned. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>
#include <stdint.h>

#include "base/bytes.h"

struct buffer {
    char *data; /* owned; NULL while capacity is 0 */
    size_t size;
    size_t capacity;
};

void buffer_deinit(struct buffer *buffer); /* and ready for use again; {0} is an empty buffer */
void buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_consume(struct buffer *buffer, size_t size); /* drop from the front */

static inline void buffer_append_bytes(struct buffer *buffer, struct bytes bytes)
{
    buffer_append(buffer, bytes.data, bytes.size);
}

static inline void buffer_append_byte(struct buffer *buffer, char byte)
{
    buffer_append(buffer, &byte, 1);
}

static inline struct bytes buffer_bytes(const struct buffer *buffer)
{
    return (struct bytes){buffer->data, buffer->size};
}

static inline void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
}

#endif
