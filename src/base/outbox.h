/* Bytes on their way out, in order.
 *
 * Small pieces are copied into one contiguous run; a large payload (a blob) is only referenced at
 * its place in that run, so that a 64 MB value is sent to two followers, or one message to a
 * thousand clients, without being copied once.  Whoever writes them out takes pieces from the
 * front, and says how much of them is gone (net/stream.c).  Loop thread only (blob counters are not
 * atomic). */
#ifndef BASE_OUTBOX_H
#define BASE_OUTBOX_H

#include <stdint.h>
#include <sys/uio.h>

#include "base/blob.h"
#include "base/buffer.h"
#include "base/rope.h"

struct outbox_reference {
    size_t at;         /* these bytes come before bytes.data[at] */
    struct blob *blob; /* one reference of ours */
    const unsigned char *data;
    size_t size; /* never 0 */
};

struct outbox {
    struct buffer bytes; /* anyone may append to it; what was not given out may be taken back */
    struct outbox_reference *references; /* owned; ascending `at` */
    uint32_t first, count, capacity;     /* references[first .. count) are not yet sent */
    size_t sent;                         /* of bytes.data */
    size_t sent_of_reference;            /* of references[first] */
    size_t referenced;                   /* bytes of references still to send */
};

/* {0} is an empty outbox. */
void outbox_deinit(struct outbox *outbox); /* and ready for use again */
void outbox_append(struct outbox *outbox, const void *data, size_t size);
/* The same; but a large one is copied into a blob of its own, beside the run. */
void outbox_append_copy(struct outbox *outbox, struct bytes bytes);
/* Copies a small blob, references (blob_take) a large one. */
void outbox_append_blob(struct outbox *outbox, struct blob *blob);
void outbox_append_part(struct outbox *outbox, struct blob *blob, size_t offset, size_t size);
/* The same of the first `size` bytes of a rope, from which they are taken. */
void outbox_append_rope(struct outbox *outbox, struct rope *rope, size_t size);

/* Bytes still to send, blobs included. */
static inline size_t outbox_size(const struct outbox *outbox)
{
    return outbox->bytes.size - outbox->sent + outbox->referenced;
}

enum { OUTBOX_PIECES_MAX = 64 };
/* The next pieces, borrowed until it is changed; how many: 0 only if it is empty. */
int outbox_pieces(const struct outbox *outbox, struct iovec pieces[OUTBOX_PIECES_MAX]);
/* So many bytes of them are gone. */
void outbox_advance(struct outbox *outbox, size_t size);

#endif
