/* Bytes on their way to a socket.
 *
 * Small pieces are copied into one contiguous run; a large payload (a blob) is only referenced at
 * its place in that run, so that a 64 MB value is sent to two followers without being copied once.
 * The socket is written with writev(); what it does not take stays, in order.  Holds no file
 * descriptor of its own, knows no event loop.  Loop thread only (blob counters are not atomic). */
#ifndef NET_OUTBOX_H
#define NET_OUTBOX_H

#include <stdint.h>

#include "base/blob.h"
#include "base/buffer.h"

struct outbox_reference {
    size_t at;         /* these bytes come before bytes.data[at] */
    struct blob *blob; /* one reference of ours */
    const unsigned char *data;
    size_t size; /* never 0 */
};

struct outbox {
    struct buffer bytes;
    struct outbox_reference *references; /* owned; ascending `at` */
    uint32_t first, count, capacity;     /* references[first .. count) are not yet sent */
    size_t sent;                         /* of bytes.data */
    size_t sent_of_reference;            /* of references[first] */
    size_t size;                         /* bytes still to send, blobs included */
};

/* {0} is an empty outbox. */
void outbox_deinit(struct outbox *outbox); /* and ready for use again */
void outbox_append(struct outbox *outbox, const void *data, size_t size);
/* Copies a small blob, references (blob_take) a large one. */
void outbox_append_blob(struct outbox *outbox, struct blob *blob);
void outbox_append_part(struct outbox *outbox, struct blob *blob, size_t offset, size_t size);
void outbox_append_bulk_header(struct outbox *outbox, size_t size); /* $<size>\r\n */
void outbox_append_array_header(struct outbox *outbox, uint32_t count);

enum outbox_result { OUTBOX_EMPTY, OUTBOX_MORE, OUTBOX_FAILED };
/* Writes what the socket takes now, at most half a MB: a large value is many turns' work.  FAILED: errno
 * says why.  `written` counts the bytes. */
enum outbox_result outbox_write(struct outbox *outbox, int fd, size_t *written);

#endif
