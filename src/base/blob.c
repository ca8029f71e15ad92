#include "base/blob.h"

#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"

struct blob *blob_new(size_t size)
{
    /* Not memory_new(): zeroing 64 MB that are about to be overwritten costs milliseconds. */
    struct blob *blob = memory_resize(NULL, sizeof *blob + size);
    blob->references = 1;
    blob->size = size;
    return blob;
}

struct blob *blob_copy(struct bytes bytes)
{
    struct blob *blob = blob_new(bytes.size);
    if (bytes.size)
        memcpy(blob->data, bytes.data, bytes.size);
    return blob;
}

struct blob *blob_resize(struct blob *blob, size_t size)
{
    check(blob->references == 1);
    blob = memory_resize(blob, sizeof *blob + size);
    blob->size = size;
    return blob;
}

struct blob *blob_take(struct blob *blob)
{
    check(blob->references > 0);
    blob->references++;
    return blob;
}

void blob_release(struct blob *blob)
{
    if (!blob)
        return;
    check(blob->references > 0);
    if (--blob->references == 0)
        memory_free(blob);
}
