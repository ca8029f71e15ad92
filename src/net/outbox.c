/* See outbox.h.  Invariants:
 *   O1  references ascend by `at`, and every unsent one has at >= sent;
 *   O2  size = bytes.size - sent + the unsent bytes of the unsent references;
 *   O3  size 0 means everything is reset: no reference is held, no byte kept. */
#include "net/outbox.h"

#include <errno.h>
#include <sys/uio.h>

#include "base/fatal.h"
#include "base/memory.h"

enum {
    OUTBOX_REFERENCE_MIN = 8 * 1024, /* below it a copy is cheaper than another iovec */
    OUTBOX_IOVEC_MAX = 64,
    /* Bytes of one write, about: the kernel copies them in our turn of the loop, and takes 4 MB and more
     * of a large value at once. */
    OUTBOX_WRITE_MAX = 512 * 1024,
    OUTBOX_KEEP = 256 * 1024 /* capacity kept while empty */
};

static void reset(struct outbox *outbox)
{
    check(outbox->first == outbox->count);
    outbox->first = outbox->count = 0;
    outbox->sent = 0;
    if (outbox->bytes.capacity > OUTBOX_KEEP)
        buffer_deinit(&outbox->bytes);
    else
        buffer_clear(&outbox->bytes);
}

void outbox_deinit(struct outbox *outbox)
{
    for (uint32_t i = outbox->first; i < outbox->count; i++)
        blob_release(outbox->references[i].blob);
    memory_free(outbox->references);
    buffer_deinit(&outbox->bytes);
    *outbox = (struct outbox){0};
}

void outbox_append(struct outbox *outbox, const void *data, size_t size)
{
    buffer_append(&outbox->bytes, data, size);
    outbox->size += size;
}

void outbox_append_part(struct outbox *outbox, struct blob *blob, size_t offset, size_t size)
{
    check(offset <= blob->size);
    check(size <= blob->size - offset);
    if (size < OUTBOX_REFERENCE_MIN) {
        outbox_append(outbox, blob->data + offset, size);
        return;
    }
    if (outbox->count == outbox->capacity) {
        outbox->capacity = outbox->capacity ? outbox->capacity * 2 : 8;
        outbox->references =
            memory_resize(outbox->references, outbox->capacity * sizeof *outbox->references);
    }
    outbox->references[outbox->count++] = (struct outbox_reference){.at = outbox->bytes.size,
                                                                    .blob = blob_take(blob),
                                                                    .data = blob->data + offset,
                                                                    .size = size};
    outbox->size += size;
}

void outbox_append_blob(struct outbox *outbox, struct blob *blob)
{
    outbox_append_part(outbox, blob, 0, blob->size);
}

static void append_header(struct outbox *outbox, char sign, uint64_t value)
{
    char text[24];
    char *end = text + sizeof text;
    char *at = end;
    *--at = '\n';
    *--at = '\r';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    *--at = sign;
    outbox_append(outbox, at, (size_t)(end - at));
}

void outbox_append_bulk_header(struct outbox *outbox, size_t size)
{
    append_header(outbox, '$', size);
}

void outbox_append_array_header(struct outbox *outbox, uint32_t count)
{
    append_header(outbox, '*', count);
}

/* The places that hold the first OUTBOX_WRITE_MAX bytes; the last of them is cut short. */
static int cut_to_write(struct iovec *vector, int used)
{
    size_t room = OUTBOX_WRITE_MAX;
    for (int i = 0; i < used; i++) {
        if (vector[i].iov_len >= room) {
            vector[i].iov_len = room;
            return i + 1;
        }
        room -= vector[i].iov_len;
    }
    return used;
}

/* The next pieces in order: the bytes up to a reference, the reference, ..., the bytes behind the
 * last one.  Each turn takes at most two places and leaves one for the end. */
static int gather(const struct outbox *outbox, struct iovec *vector)
{
    int used = 0;
    size_t at = outbox->sent;
    size_t skip = outbox->sent_of_reference;
    uint32_t i = outbox->first;
    for (; i < outbox->count && used + 2 < OUTBOX_IOVEC_MAX; i++) {
        const struct outbox_reference *reference = &outbox->references[i];
        if (reference->at > at)
            vector[used++] = (struct iovec){outbox->bytes.data + at, reference->at - at};
        vector[used++] =
            (struct iovec){(void *)(uintptr_t)(reference->data + skip), reference->size - skip};
        at = reference->at;
        skip = 0;
    }
    if (i == outbox->count && outbox->bytes.size > at)
        vector[used++] = (struct iovec){outbox->bytes.data + at, outbox->bytes.size - at};
    return cut_to_write(vector, used);
}

static void advance(struct outbox *outbox, size_t written)
{
    check(written <= outbox->size);
    outbox->size -= written;
    while (written) {
        bool at_reference =
            outbox->first < outbox->count && outbox->references[outbox->first].at == outbox->sent;
        if (!at_reference) {
            size_t end = outbox->first < outbox->count ? outbox->references[outbox->first].at
                                                       : outbox->bytes.size;
            size_t step = end - outbox->sent < written ? end - outbox->sent : written;
            outbox->sent += step;
            written -= step;
            continue;
        }
        struct outbox_reference *reference = &outbox->references[outbox->first];
        size_t left = reference->size - outbox->sent_of_reference;
        if (written < left) {
            outbox->sent_of_reference += written;
            return;
        }
        written -= left;
        outbox->sent_of_reference = 0;
        blob_release(reference->blob);
        outbox->first++;
    }
}

/* Drops what was sent from the front once it is the larger half: each byte is moved at most
 * once. */
static void compact(struct outbox *outbox)
{
    if (outbox->sent < 64 * 1024 || outbox->sent < outbox->bytes.size / 2)
        return;
    buffer_consume(&outbox->bytes, outbox->sent);
    uint32_t left = outbox->count - outbox->first;
    for (uint32_t i = 0; i < left; i++) {
        outbox->references[i] = outbox->references[outbox->first + i];
        outbox->references[i].at -= outbox->sent;
    }
    outbox->first = 0;
    outbox->count = left;
    outbox->sent = 0;
}

enum outbox_result outbox_write(struct outbox *outbox, int fd, size_t *written)
{
    *written = 0;
    while (outbox->size && *written < OUTBOX_WRITE_MAX) {
        struct iovec vector[OUTBOX_IOVEC_MAX];
        int pieces = gather(outbox, vector);
        check(pieces > 0);
        size_t offered = 0;
        for (int i = 0; i < pieces; i++)
            offered += vector[i].iov_len;
        ssize_t taken = writev(fd, vector, pieces);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0 && errno != EAGAIN)
            return OUTBOX_FAILED;
        if (taken <= 0)
            break;
        advance(outbox, (size_t)taken);
        *written += (size_t)taken;
        if ((size_t)taken < offered)
            break; /* the socket is full: asking again would only cost a call */
    }
    if (outbox->size == 0) {
        reset(outbox);
        return OUTBOX_EMPTY;
    }
    compact(outbox);
    return OUTBOX_MORE;
}
