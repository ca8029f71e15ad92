/* See packed.h. */
#include "data/packed.h"

#include "base/codec.h"
#include "base/fatal.h"

enum {
    STRINGS_HEADER = 5,
    INTEGERS_HEADER = 1,
    INTEGER_SIZE = 8,
    LENGTH_MAX = 5, /* bytes of an element's size */
    LENGTH_BITS = 7,
    LENGTH_MORE = 0x80
};

static _Noreturn void damaged(const char *what, struct bytes payload)
{
    fatal("data: the record of a collection is damaged (%s; %zu bytes)", what, payload.size);
}

enum packed_form packed_form(struct bytes payload)
{
    const unsigned char *at = payload.data;
    if (payload.size == 0)
        damaged("it is empty", payload);
    if (at[0] < PACKED_STRINGS || at[0] > PACKED_LARGE_TIMED)
        fatal("data: the record of a collection has form %u: written by a newer version?", at[0]);
    return (enum packed_form)at[0];
}

uint64_t packed_count(struct bytes payload)
{
    const unsigned char *at = payload.data;
    switch (packed_form(payload)) {
    case PACKED_NONE: break;
    case PACKED_STRINGS:
    case PACKED_TIMED:
        if (payload.size < STRINGS_HEADER)
            damaged("no count", payload);
        return get_u32(at + 1);
    case PACKED_INTEGERS:
        if ((payload.size - INTEGERS_HEADER) % INTEGER_SIZE != 0)
            damaged("half a number", payload);
        return (payload.size - INTEGERS_HEADER) / INTEGER_SIZE;
    case PACKED_LARGE:
        if (payload.size != PACKED_LARGE_SIZE)
            damaged("no count", payload);
        return get_u64(at + 1);
    case PACKED_LARGE_TIMED:
        if (payload.size != PACKED_LARGE_TIMED_SIZE)
            damaged("no count", payload);
        return get_u64(at + 1);
    }
    return 0;
}

/* ---- strings ------------------------------------------------------------------------- */

void packed_init(struct buffer *packed, enum packed_form form)
{
    unsigned char out[STRINGS_HEADER] = {(unsigned char)form};
    check(packed->size == 0);
    check(form == PACKED_STRINGS || form == PACKED_TIMED);
    buffer_append(packed, out, sizeof out);
}

void packed_walk(struct packed_walk *walk, struct bytes payload)
{
    check(packed_form(payload) == PACKED_STRINGS || packed_form(payload) == PACKED_TIMED);
    const unsigned char *begin = payload.data;
    *walk = (struct packed_walk){.begin = begin,
                                 .left = (uint32_t)packed_count(payload),
                                 .at = begin + STRINGS_HEADER,
                                 .end = begin + payload.size,
                                 .from = STRINGS_HEADER,
                                 .to = STRINGS_HEADER};
}

static struct bytes whole(const struct packed_walk *walk)
{
    return bytes_of(walk->begin, (size_t)(walk->end - walk->begin));
}

static size_t take_length(struct packed_walk *walk)
{
    uint64_t length = 0;
    for (unsigned i = 0; i < LENGTH_MAX && walk->at < walk->end; i++) {
        unsigned char byte = *walk->at++;
        length |= (uint64_t)(byte & (LENGTH_MORE - 1)) << (i * LENGTH_BITS);
        if (!(byte & LENGTH_MORE))
            return length;
    }
    damaged("the size of an element", whole(walk));
}

bool packed_next(struct packed_walk *walk, struct bytes *element)
{
    if (walk->left == 0) {
        if (walk->at != walk->end)
            damaged("more than its elements", whole(walk));
        return false;
    }
    walk->from = walk->to;
    size_t size = take_length(walk);
    if (size > (size_t)(walk->end - walk->at))
        damaged("an element is cut off", whole(walk));
    *element = bytes_of(walk->at, size);
    walk->at += size;
    walk->to = (size_t)(walk->at - walk->begin);
    walk->left--;
    return true;
}

static size_t put_length(unsigned char *out, size_t length)
{
    size_t size = 0;
    check((uint64_t)length >> (LENGTH_MAX * LENGTH_BITS) == 0);
    for (; length >= LENGTH_MORE; length >>= LENGTH_BITS)
        out[size++] = (unsigned char)(length | LENGTH_MORE);
    out[size++] = (unsigned char)length;
    return size;
}

static void add_to_count(struct buffer *packed, int64_t more)
{
    unsigned char *at = (unsigned char *)packed->data;
    int64_t count = (int64_t)packed_count(buffer_bytes(packed)) + more;
    check(count >= 0 && count <= UINT32_MAX);
    put_u32(at + 1, (uint32_t)count);
}

static void append(struct buffer *packed, struct bytes element)
{
    unsigned char length[LENGTH_MAX];
    buffer_append(packed, length, put_length(length, element.size));
    buffer_append_bytes(packed, element);
}

void packed_append(struct buffer *packed, struct bytes element)
{
    append(packed, element);
    add_to_count(packed, 1);
}

void packed_splice(struct buffer *packed, size_t from, size_t to, uint32_t removed,
                   const struct bytes *elements, uint32_t count)
{
    struct buffer added = {0};
    check(STRINGS_HEADER <= from && from <= to && to <= packed->size);
    for (uint32_t i = 0; i < count; i++)
        append(&added, elements[i]);
    size_t behind = packed->size - to;
    buffer_reserve(packed, added.size);
    if (behind)
        memmove(packed->data + from + added.size, packed->data + to, behind);
    if (added.size)
        memcpy(packed->data + from, added.data, added.size);
    packed->size = from + added.size + behind;
    buffer_deinit(&added);
    add_to_count(packed, (int64_t)count - removed);
}

/* ---- integers ------------------------------------------------------------------------ */

void packed_integers_init(struct buffer *packed)
{
    check(packed->size == 0);
    buffer_append_byte(packed, PACKED_INTEGERS);
}

static size_t place_of(uint32_t i)
{
    return INTEGERS_HEADER + (size_t)i * INTEGER_SIZE;
}

int64_t packed_integer(struct bytes payload, uint32_t i)
{
    const unsigned char *at = payload.data;
    check(place_of(i) + INTEGER_SIZE <= payload.size);
    return (int64_t)get_u64(at + place_of(i));
}

bool packed_integer_find(struct bytes payload, int64_t value, uint32_t *i)
{
    uint32_t from = 0, to = (uint32_t)packed_count(payload);
    check(packed_form(payload) == PACKED_INTEGERS);
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (packed_integer(payload, middle) < value)
            from = middle + 1;
        else
            to = middle;
    }
    *i = from;
    return from < packed_count(payload) && packed_integer(payload, from) == value;
}

void packed_integer_insert(struct buffer *packed, uint32_t i, int64_t value)
{
    size_t at = place_of(i);
    unsigned char out[INTEGER_SIZE];
    check(at <= packed->size);
    put_u64(out, (uint64_t)value);
    buffer_reserve(packed, INTEGER_SIZE);
    memmove(packed->data + at + INTEGER_SIZE, packed->data + at, packed->size - at);
    memcpy(packed->data + at, out, INTEGER_SIZE);
    packed->size += INTEGER_SIZE;
}

void packed_integer_remove(struct buffer *packed, uint32_t i)
{
    size_t at = place_of(i), behind = at + INTEGER_SIZE;
    check(behind <= packed->size);
    memmove(packed->data + at, packed->data + behind, packed->size - behind);
    packed->size -= INTEGER_SIZE;
}

/* ---- large --------------------------------------------------------------------------- */

struct bytes packed_large(unsigned char *out, uint64_t count)
{
    out[0] = PACKED_LARGE;
    put_u64(out + 1, count);
    return bytes_of(out, PACKED_LARGE_SIZE);
}

struct bytes packed_large_timed(unsigned char *out, uint64_t count, const struct db_tree_root *due)
{
    out[0] = PACKED_LARGE_TIMED;
    put_u64(out + 1, count);
    db_tree_root_encode(out + PACKED_LARGE_SIZE, due);
    return bytes_of(out, PACKED_LARGE_TIMED_SIZE);
}

struct db_tree_root packed_due(struct bytes payload)
{
    struct db_tree_root due;
    const char *at = payload.data;
    check(packed_form(payload) == PACKED_LARGE_TIMED);
    check(payload.size == PACKED_LARGE_TIMED_SIZE);
    if (!db_tree_root_decode(bytes_of(at + PACKED_LARGE_SIZE, DB_TREE_ROOT_SIZE), &due))
        damaged("no root", payload);
    return due;
}
