#include "base/rope.h"

#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"

void rope_deinit(struct rope *rope)
{
    for (uint32_t i = rope->first; i < rope->count; i++)
        blob_release(rope->pieces[i]);
    memory_free(rope->pieces);
    *rope = (struct rope){0};
}

void rope_append(struct rope *rope, struct bytes bytes)
{
    if (bytes.size)
        rope_append_blob(rope, blob_copy(bytes));
}

void rope_append_blob(struct rope *rope, struct blob *blob)
{
    check(blob->size > 0);
    if (rope->count == rope->capacity) {
        rope->capacity = rope->capacity ? rope->capacity * 2 : 8;
        rope->pieces = memory_resize(rope->pieces, rope->capacity * sizeof *rope->pieces);
    }
    rope->pieces[rope->count++] = blob;
    rope->size += blob->size;
}

void rope_join(struct rope *rope, struct rope *from)
{
    check(from->taken == 0);
    if (rope->count == 0) {
        struct rope empty = *rope;
        *rope = *from;
        *from = empty;
    }
    for (; from->first < from->count; from->first++)
        rope_append_blob(rope, from->pieces[from->first]);
    rope_deinit(from);
}

struct bytes rope_front(const struct rope *rope)
{
    if (rope->size == 0)
        return bytes_of(NULL, 0);
    const struct blob *piece = rope->pieces[rope->first];
    check(rope->taken < piece->size);
    return bytes_of(piece->data + rope->taken, piece->size - rope->taken);
}

void rope_drop(struct rope *rope, size_t size)
{
    check(size <= rope->size);
    rope->size -= size;
    while (size > 0) {
        struct blob *piece = rope->pieces[rope->first];
        size_t left = piece->size - rope->taken;
        if (size < left) {
            rope->taken += size;
            return;
        }
        size -= left;
        rope->taken = 0;
        rope->first++;
        blob_release(piece);
    }
    if (rope->size == 0)
        rope_deinit(rope);
}

void rope_copy_to(const struct rope *rope, void *out)
{
    char *at = out;
    size_t skip = rope->taken;
    for (uint32_t i = rope->first; i < rope->count; i++) {
        const struct blob *piece = rope->pieces[i];
        memcpy(at, piece->data + skip, piece->size - skip);
        at += piece->size - skip;
        skip = 0;
    }
    check(at == (char *)out + rope->size);
}
