/* See outbox.h.  Invariants:
 *   O1  references ascend by `at`, and every unsent one has at >= sent;
 *   O2  `referenced` is the sum of the unsent bytes of the unsent references;
 *   O3  size 0 means everything is reset: no reference is held, no byte kept. */
#include "base/outbox.h"

#include "base/fatal.h"
#include "base/memory.h"

enum {
    OUTBOX_REFERENCE_MIN = 8 * 1024, /* below it a copy is cheaper than another piece */
    OUTBOX_COPY_MIN = 64 * 1024,     /* the run is not to grow by more at once */
    OUTBOX_COMPACT_MIN = 64 * 1024,
    OUTBOX_KEEP = 256 * 1024 /* capacity kept while empty */
};

static void reset(struct outbox *outbox)
{
    check(outbox->first == outbox->count); /* O3 */
    check(outbox->referenced == 0);        /* O2 */
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
    outbox->referenced += size;
}

void outbox_append_copy(struct outbox *outbox, struct bytes bytes)
{
    if (bytes.size < OUTBOX_COPY_MIN) {
        outbox_append(outbox, bytes.data, bytes.size);
        return;
    }
    struct blob *blob = blob_copy(bytes);
    outbox_append_blob(outbox, blob);
    blob_release(blob);
}

void outbox_append_rope(struct outbox *outbox, struct rope *rope, size_t size)
{
    for (size_t step; size > 0; size -= step) {
        step = rope_front(rope).size;
        step = step < size ? step : size;
        outbox_append_part(outbox, rope->pieces[rope->first], rope->taken, step);
        rope_drop(rope, step);
    }
}

void outbox_append_blob(struct outbox *outbox, struct blob *blob)
{
    outbox_append_part(outbox, blob, 0, blob->size);
}

/* Each turn takes at most two places and leaves one for the end. */
int outbox_pieces(const struct outbox *outbox, struct iovec pieces[OUTBOX_PIECES_MAX])
{
    int used = 0;
    size_t at = outbox->sent;
    size_t skip = outbox->sent_of_reference;
    uint32_t i = outbox->first;
    for (; i < outbox->count && used + 2 < OUTBOX_PIECES_MAX; i++) {
        const struct outbox_reference *reference = &outbox->references[i];
        check(reference->at >= at); /* O1 */
        if (reference->at > at)
            pieces[used++] = (struct iovec){outbox->bytes.data + at, reference->at - at};
        pieces[used++] =
            (struct iovec){(void *)(uintptr_t)(reference->data + skip), reference->size - skip};
        at = reference->at;
        skip = 0;
    }
    if (i == outbox->count && outbox->bytes.size > at)
        pieces[used++] = (struct iovec){outbox->bytes.data + at, outbox->bytes.size - at};
    return used;
}

/* Up to `size` of the first reference.  Returns how many. */
static size_t advance_reference(struct outbox *outbox, size_t size)
{
    struct outbox_reference *reference = &outbox->references[outbox->first];
    size_t left = reference->size - outbox->sent_of_reference;
    size_t step = left < size ? left : size;
    check(left > 0);
    outbox->sent_of_reference += step;
    outbox->referenced -= step;
    if (step == left) {
        blob_release(reference->blob);
        outbox->sent_of_reference = 0;
        outbox->first++;
    }
    return step;
}

/* Up to `size` of the bytes before the next reference.  Returns how many. */
static size_t advance_bytes(struct outbox *outbox, size_t size)
{
    size_t end =
        outbox->first < outbox->count ? outbox->references[outbox->first].at : outbox->bytes.size;
    size_t step = end - outbox->sent < size ? end - outbox->sent : size;
    outbox->sent += step;
    return step;
}

/* Drops what was sent from the front once it is the larger half: each byte is moved at most
 * once. */
static void compact(struct outbox *outbox)
{
    if (outbox->sent < OUTBOX_COMPACT_MIN || outbox->sent < outbox->bytes.size / 2)
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

void outbox_advance(struct outbox *outbox, size_t size)
{
    check(size <= outbox_size(outbox));
    while (size) {
        bool at_reference =
            outbox->first < outbox->count && outbox->references[outbox->first].at == outbox->sent;
        size -= at_reference ? advance_reference(outbox, size) : advance_bytes(outbox, size);
    }
    if (outbox_size(outbox) == 0)
        reset(outbox);
    else
        compact(outbox);
}
