/* Bits of strings (Redis 7.2 bitops.c): one, how many, where, and whole strings with each other.
 *
 * A count or a search goes in slices: of a large value some MB at a time, and of a plain one in no
 * more than eight, since each may have to fetch the value anew.  BITOP takes a plain source a
 * slice, a MB of one in pages, and puts aside what it has so far.
 *
 * Deterministic; loop thread only. */
#include "command/bits.h"

#include "base/fatal.h"
#include "command/preparing.h"
#include "command/string_parts.h"
#include "resp/number.h"

enum {
    SLICE_BYTES = 4 << 20, /* looked at; */
    COMBINED_BYTES = 1 << 20,
    SLICES_MAX = 8
};

bool call_bit_offset(struct call *call, uint32_t i, bool may_count, unsigned bits, uint64_t *offset)
{
    struct bytes word = call->argv[i];
    int64_t number;
    bool counts = may_count && word.size > 0 && *(const char *)word.data == '#';
    if (counts)
        word = bytes_of((const char *)word.data + 1, word.size - 1);
    uint64_t max = call->value_max ? call->value_max : VALUE_SIZE_MAX;
    bool is_number = number_parse_i64(word, &number) && number >= 0;
    if (is_number && counts)
        is_number = !__builtin_mul_overflow(number, (int64_t)bits, &number);
    if (is_number && (uint64_t)number / 8 < max) {
        *offset = (uint64_t)number;
        return true;
    }
    reply_error(call->reply, "ERR bit offset is not an integer or out of range");
    return false;
}

/* ---- one bit ------------------------------------------------------------------------ */

/* The byte that a bit is in; what is behind the string is 0. */
static unsigned byte_at(struct call *call, const struct string *string, uint64_t bit)
{
    struct bytes part = string_part(call, string, bit / 8, 1);
    return part.size ? *(const unsigned char *)part.data : 0;
}

static unsigned mask_of(uint64_t bit)
{
    return 0x80u >> (bit % 8);
}

static bool read_setbit(struct call *call, uint64_t *offset, int64_t *bit)
{
    if (!call_bit_offset(call, 2, false, 0, offset))
        return false;
    if (number_parse_i64(call->argv[3], bit) && (*bit == 0 || *bit == 1))
        return true;
    reply_error(call->reply, "ERR bit is not an integer or out of range");
    return false;
}

bool words_setbit(struct call *call)
{
    uint64_t offset;
    int64_t bit;
    return read_setbit(call, &offset, &bit);
}

void cmd_setbit(struct call *call)
{
    struct string string;
    uint64_t offset;
    int64_t bit;
    if (!read_setbit(call, &offset, &bit) || !string_open(call, call->argv[1], &string))
        return;
    unsigned before = byte_at(call, &string, offset), mask = mask_of(offset);
    unsigned char byte = (unsigned char)(bit ? before | mask : before & ~mask);
    uint64_t end = offset / 8 + 1;
    if (byte != before || end > string.found.size) {
        if (!string_make_room(call, call->argv[1], &string, end))
            return;
        string_write(call, call->argv[1], &string, end - 1, bytes_of(&byte, 1), "setbit");
    }
    reply_integer(call->reply, (before & mask) != 0);
}

void cmd_getbit(struct call *call)
{
    struct string string;
    uint64_t offset;
    if (!call_bit_offset(call, 2, false, 0, &offset) || !string_open(call, call->argv[1], &string))
        return;
    reply_integer(call->reply, (byte_at(call, &string, offset) & mask_of(offset)) != 0);
}

/* ---- ranges ------------------------------------------------------------------------- */

/* First as the words have it, then, of a string of known size, bits. */
struct range {
    int64_t from, to; /* both of it; from > to: nothing */
    bool has_end, is_of_bits;
};

/* BYTE or BIT at argv[i]. */
static bool read_unit(struct call *call, uint32_t i, struct range *range)
{
    range->is_of_bits = bytes_is(call->argv[i], "bit");
    if (range->is_of_bits || bytes_is(call->argv[i], "byte"))
        return true;
    reply_error(call->reply, ERROR_SYNTAX);
    return false;
}

static bool is_reversed(const struct range *range)
{
    return range->from < 0 && range->to < 0 && range->from > range->to;
}

static int64_t from_the_end(int64_t place, int64_t size)
{
    if (place < 0)
        place += size;
    return place < 0 ? 0 : place;
}

static void fit(struct range *range, uint64_t string_size)
{
    int64_t size = (int64_t)(range->is_of_bits ? 8 * string_size : string_size);
    range->from = from_the_end(range->from, size);
    range->to = from_the_end(range->to, size);
    if (range->to >= size)
        range->to = size - 1;
    if (range->is_of_bits || range->from > range->to)
        return;
    range->from *= 8;
    range->to = 8 * range->to + 7;
}

static uint64_t word_at(const unsigned char *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof word);
    return word;
}

static unsigned ones(uint64_t word)
{
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)(word * 0x0101010101010101u >> 56);
}

/* Of bits `from` to `to`. */
static uint64_t count_ones(const unsigned char *data, uint64_t from, uint64_t to)
{
    uint64_t count = 0, first = from / 8, last = to / 8;
    unsigned head = 0xffu >> (from % 8), tail = 0xff00u >> (to % 8 + 1) & 0xff;
    if (first == last)
        return ones(data[first] & head & tail);
    count = ones(data[first] & head) + ones(data[last] & tail);
    uint64_t at = first + 1;
    for (; at + sizeof(uint64_t) <= last; at += sizeof(uint64_t))
        count += ones(word_at(data + at));
    for (; at < last; at++)
        count += ones(data[at]);
    return count;
}

/* The first bit of this value among those; to + 1: there is none. */
static uint64_t find_bit(const unsigned char *data, uint64_t from, uint64_t to, bool bit)
{
    unsigned other = bit ? 0 : 0xff; /* a byte in which there is none */
    uint64_t nothing = bit ? 0 : UINT64_MAX;
    while (from <= to) {
        unsigned byte = (data[from / 8] ^ other) & 0xffu >> (from % 8);
        if (byte) {
            uint64_t found = from / 8 * 8 + (unsigned)__builtin_clz(byte) - 24;
            return found <= to ? found : to + 1;
        }
        from = from / 8 * 8 + 8;
        while (from + 64 <= to + 1 && word_at(data + from / 8) == nothing)
            from += 64;
    }
    return to + 1;
}

/* A slice of a walk over a range. */
struct stretch {
    const unsigned char *data;
    uint64_t base;     /* of data[0], bits */
    uint64_t from, to; /* bits, from there */
};

/* False: there is nothing of the range; or all of it was given before. */
static bool take_stretch(struct call *call, const struct string *string, const struct range *range,
                         struct stretch *stretch)
{
    struct walk_state *walk = call->walk;
    uint64_t from = walk->unfinished ? walk->cursor : (uint64_t)range->from;
    uint64_t to = (uint64_t)range->to, bytes = string->found.size / SLICES_MAX;
    walk->unfinished = false;
    if (string->found.size == 0 || range->from > range->to)
        return false;
    if (bytes < SLICE_BYTES || string->found.space)
        bytes = SLICE_BYTES;
    struct bytes part = string_part(call, string, from / 8, bytes);
    *stretch = (struct stretch){part.data, from / 8 * 8, from % 8, 8 * part.size - 1};
    check(part.size > 0);
    walk->unfinished = stretch->base + stretch->to < to;
    walk->cursor = stretch->base + stretch->to + 1;
    if (!walk->unfinished)
        stretch->to = to - stretch->base;
    db_spend(call->db, part.size);
    return true;
}

/* ---- BITCOUNT ------------------------------------------------------------------------ */

static bool read_bitcount(struct call *call, struct range *range)
{
    *range = (struct range){.from = 0, .to = -1};
    if (call->argc == 2)
        return true;
    if (call->argc == 4 || call->argc == 5)
        return call_integer(call, 2, &range->from) && call_integer(call, 3, &range->to) &&
               (call->argc == 4 || read_unit(call, 4, range));
    reply_error(call->reply, ERROR_SYNTAX);
    return false;
}

void cmd_bitcount(struct call *call)
{
    struct range range;
    struct string string;
    struct stretch stretch;
    if (!read_bitcount(call, &range) || !string_open(call, call->argv[1], &string))
        return;
    bool is_nothing = is_reversed(&range);
    fit(&range, string.found.size);
    if (!is_nothing && take_stretch(call, &string, &range, &stretch))
        call->walk->count += count_ones(stretch.data, stretch.from, stretch.to);
    if (!call->walk->unfinished)
        reply_integer(call->reply, (int64_t)call->walk->count);
}

/* ---- BITPOS --------------------------------------------------------------------------- */

static bool read_bitpos(struct call *call, int64_t *bit, struct range *range)
{
    *range = (struct range){.from = 0, .to = -1, .has_end = call->argc > 4};
    if (!call_integer(call, 2, bit))
        return false;
    if (*bit != 0 && *bit != 1) {
        reply_error(call->reply, "ERR The bit argument must be 1 or 0.");
        return false;
    }
    if (call->argc > 6) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    return (call->argc < 4 || call_integer(call, 3, &range->from)) &&
           (call->argc < 6 || read_unit(call, 5, range)) &&
           (call->argc < 5 || call_integer(call, 4, &range->to));
}

void cmd_bitpos(struct call *call)
{
    struct range range;
    struct string string;
    struct stretch stretch;
    int64_t bit;
    if (!read_bitpos(call, &bit, &range) || !string_open(call, call->argv[1], &string))
        return;
    if (string.found.type == DB_NONE) { /* zeros without an end */
        reply_integer(call->reply, bit ? -1 : 0);
        return;
    }
    fit(&range, string.found.size);
    if (take_stretch(call, &string, &range, &stretch)) {
        uint64_t found = find_bit(stretch.data, stretch.from, stretch.to, bit);
        if (found <= stretch.to) {
            call->walk->unfinished = false;
            reply_integer(call->reply, (int64_t)(stretch.base + found));
            return;
        }
    }
    if (call->walk->unfinished)
        return;
    /* Behind a string of ones come zeros, unless its end was given. */
    bool is_behind = !bit && !range.has_end && range.from <= range.to;
    reply_integer(call->reply, is_behind ? (int64_t)(8 * string.found.size) : -1);
}

/* ---- BITOP ---------------------------------------------------------------------------- */

enum operation { BITOP_AND, BITOP_OR, BITOP_XOR, BITOP_NOT };

static bool read_operation(struct call *call, enum operation *operation)
{
    static const char *const names[] = {"and", "or", "xor", "not"};
    for (*operation = BITOP_AND; *operation <= BITOP_NOT; ++*operation)
        if (bytes_is(call->argv[1], names[*operation]))
            break;
    if (*operation == BITOP_NOT && call->argc != 4)
        reply_error(call->reply, "ERR BITOP NOT must be called with a single source key.");
    else if (*operation > BITOP_NOT)
        reply_error(call->reply, ERROR_SYNTAX);
    else
        return true;
    return false;
}

bool words_bitop(struct call *call)
{
    enum operation operation;
    return read_operation(call, &operation);
}

static uint64_t combine(enum operation operation, uint64_t a, uint64_t b)
{
    switch (operation) {
    case BITOP_AND: return a & b;
    case BITOP_OR: return a | b;
    case BITOP_XOR: return a ^ b;
    case BITOP_NOT: return ~b;
    }
    return 0;
}

/* Into the bytes that were found so far, of as many as both have. */
static void combine_bytes(enum operation operation, char *into, const char *with, size_t size)
{
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
        uint64_t a, b;
        memcpy(&a, into + at, sizeof a);
        memcpy(&b, with + at, sizeof b);
        a = combine(operation, a, b);
        memcpy(into + at, &a, sizeof a);
    }
    for (; at < size; at++)
        into[at] = (char)combine(operation, (unsigned char)into[at], (unsigned char)with[at]);
}

/* The next stretch of a source; the shorter of two counts as if zeros followed it.  What it makes
 * `found` longer is work: memory is touched for the first time. */
static void take_part(struct call *call, enum operation operation, uint64_t offset,
                      struct bytes part)
{
    struct buffer *found = &call->walk->found;
    size_t end = (size_t)offset + part.size;
    if (found->size < end) {
        buffer_reserve(found, end - found->size);
        memset(found->data + found->size, 0, end - found->size);
        db_spend(call->db, end - found->size);
        found->size = end;
    }
    combine_bytes(operation, found->data + offset, part.data, part.size);
}

/* Behind the end of a source that was taken. */
static void take_end(struct buffer *found, enum operation operation, uint64_t size)
{
    if (operation == BITOP_AND && found->size > size)
        memset(found->data + size, 0, found->size - (size_t)size);
}

/* The source at argv[i], or a slice of it, of which walk->seen bytes were taken.  False: answered,
 * or there is more of it. */
static bool take_source(struct call *call, uint32_t i, enum operation operation)
{
    struct walk_state *walk = call->walk;
    struct string string;
    if (!string_open(call, call->argv[i], &string))
        return false;
    uint64_t size = string.found.size;
    struct bytes part =
        string_part(call, &string, walk->seen, string.found.space ? COMBINED_BYTES : size);
    bool is_copied = i == 3 && operation != BITOP_NOT;
    if (part.size > 0)
        take_part(call, is_copied ? BITOP_OR : operation, walk->seen, part);
    db_spend(call->db, part.size);
    walk->seen += part.size;
    walk->unfinished = walk->seen < size;
    if (walk->unfinished) {
        walk->cursor = i;
        return false;
    }
    if (!is_copied)
        take_end(&walk->found, operation, size);
    walk->seen = 0;
    return true;
}

static void put_found(struct call *call)
{
    struct bytes found = buffer_bytes(&call->walk->found);
    bool is_large = string_is_large(found.size); /* and stops when it is placed */
    if (!is_large && call_stops(call))
        return;
    call->walk->unfinished = false;
    if (found.size == 0)
        call_delete(call, call->argv[2], "del");
    else if (!is_large)
        call_put_string(call, call->argv[2], found, "set");
    else if (!string_put_slice(call, call->argv[2], found, 0, "set"))
        return;
    reply_integer(call->reply, (int64_t)found.size);
}

void cmd_bitop(struct call *call)
{
    enum operation operation;
    if (!read_operation(call, &operation))
        return;
    if (!string_is_moving(call) && !call_is_prepared(call)) {
        for (uint32_t i = call_slice(call, 3); call_takes(call, i); i++)
            if (!take_source(call, i, operation))
                return;
        if (call->walk->unfinished)
            return;
    }
    put_found(call);
}
