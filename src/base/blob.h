/* Reference-counted immutable bytes: one command on its way from the socket to the log, the peers
 * and the state machine.  The counter is not atomic: blobs are taken and released in the loop
 * thread only; another thread may read one that the loop holds for it. */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include <stdint.h>

#include "base/bytes.h"

struct blob {
    uint32_t references;
    size_t size;
    unsigned char data[];
};

struct blob *blob_new(size_t size); /* one reference, contents to be filled in by the caller */
struct blob *blob_copy(struct bytes bytes);
/* Of a blob that nobody else holds; a larger one's new part is to be filled in. */
struct blob *blob_resize(struct blob *blob, size_t size);
struct blob *blob_take(struct blob *blob);
void blob_release(struct blob *blob); /* NULL allowed */

static inline struct bytes blob_bytes(const struct blob *blob)
{
    return (struct bytes){blob->data, blob->size};
}

#endif
