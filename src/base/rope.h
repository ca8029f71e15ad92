/* Bytes in pieces: a long reply, which is made, handed on and sent one piece after the other, so
 * that no step costs what the whole of it would, and none of it is there twice. */
#ifndef BASE_ROPE_H
#define BASE_ROPE_H

#include "base/blob.h"

struct rope {
    struct blob **pieces; /* owned, with a reference to each; none is empty */
    uint32_t first, count, capacity;
    size_t taken; /* bytes of the first piece that are gone */
    size_t size;  /* bytes that are left */
};

/* {0} is an empty rope. */
void rope_deinit(struct rope *rope);                         /* and ready for use again */
void rope_append(struct rope *rope, struct bytes bytes);     /* as one piece, a copy */
void rope_append_blob(struct rope *rope, struct blob *blob); /* takes it */
/* Moves all of `from` to the end of `rope`. */
void rope_join(struct rope *rope, struct rope *from);
/* As much of the beginning as lies in one piece; borrowed until that is dropped. */
struct bytes rope_front(const struct rope *rope);
void rope_drop(struct rope *rope, size_t size); /* from the front */
/* All of it, rope->size bytes. */
void rope_copy_to(const struct rope *rope, void *out);

#endif
