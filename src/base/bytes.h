/* A borrowed run of bytes: never freed through this struct. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct bytes {
    const void *data;
    size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){data, size};
}

static inline struct bytes bytes_from_string(const char *string)
{
    return (struct bytes){string, strlen(string)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* As memcmp() orders them, a beginning before what it begins.  Eight bytes are compared at once:
 * keys of trees differ there, mostly. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    if (size >= sizeof(uint64_t)) {
        uint64_t one, other;
        memcpy(&one, a.data, sizeof one);
        memcpy(&other, b.data, sizeof other);
        if (one != other)
            return be64toh(one) < be64toh(other) ? -1 : 1;
    }
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Compares with a C string, ignoring ASCII case: command and option names. */
static inline bool bytes_is(struct bytes a, const char *word)
{
    return a.size == strlen(word) && strncasecmp(a.data, word, a.size) == 0;
}

#endif
