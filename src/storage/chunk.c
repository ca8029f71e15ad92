/* The format of a chunk.  Integers are little endian.
 *
 *     offset   size  what
 *     0        1     version of the format: 1
 *     1        3     zero
 *     4        4     n: number of entries, at least 1
 *     8        8     index of the first entry, as in the key
 *     16       16 n  entry headers, in order:
 *                      0   8  term, not below the one before it, never 0
 *                      8   4  size of the payload
 *                      12  1  type: 0 command, 1 no-op, 2 membership
 *                      13  3  zero
 *     16+16n   ...   payloads, in order, without gaps
 *     end-8    8     XXH3-64 of all bytes before
 *
 * The checksum stands at the end so that one pass over one run of bytes makes it.  Headers stand
 * together so that opening a log and skipping to an entry touch few cache lines.  The numbers of the
 * types are the disk's own: the core may reorder its enum. */
#include "storage/chunk.h"

#include <xxhash.h>

#include "base/blob.h"
#include "base/codec.h"
#include "base/fatal.h"

enum { CHUNK_VERSION = 1, CHUNK_HEAD = 16, ENTRY_HEAD = 16, CHECKSUM = 8 };

enum { TYPE_COMMAND = 0, TYPE_NOOP = 1, TYPE_CONFIG = 2 };

const char *chunk_result_text(enum chunk_result result)
{
    switch (result) {
    case CHUNK_OK: return "in order";
    case CHUNK_CUT_SHORT: return "cut short";
    case CHUNK_OTHER_VERSION: return "of an unknown version";
    case CHUNK_BAD_CHECKSUM: return "damaged (wrong checksum)";
    case CHUNK_BAD_INDEX: return "another one than its key says";
    case CHUNK_BAD_ENTRY: return "damaged (impossible entry)";
    }
    check(!"a chunk_result");
    return "";
}

static unsigned char type_to(enum raft_entry_type type)
{
    switch (type) {
    case RAFT_ENTRY_COMMAND: return TYPE_COMMAND;
    case RAFT_ENTRY_NOOP: return TYPE_NOOP;
    case RAFT_ENTRY_CONFIG: return TYPE_CONFIG;
    }
    check(!"a raft_entry_type");
    return 0;
}

static bool type_from(unsigned char byte, enum raft_entry_type *type)
{
    switch (byte) {
    case TYPE_COMMAND: *type = RAFT_ENTRY_COMMAND; return true;
    case TYPE_NOOP: *type = RAFT_ENTRY_NOOP; return true;
    case TYPE_CONFIG: *type = RAFT_ENTRY_CONFIG; return true;
    default: return false;
    }
}

uint64_t chunk_entry_bytes(const struct raft_entry *entry)
{
    return (uint64_t)ENTRY_HEAD + entry->size;
}

static void encode_header(unsigned char *at, const struct raft_entry *entry)
{
    put_u64(at, entry->pos.term);
    put_u32(at + 8, entry->size);
    put_u32(at + 12, type_to(entry->type)); /* and the three zeros */
}

void chunk_encode(struct buffer *buffer, const struct raft_entry *entries, uint32_t count)
{
    check(count > 0);
    uint64_t size = CHUNK_HEAD + CHECKSUM;
    for (uint32_t i = 0; i < count; i++)
        size += chunk_entry_bytes(&entries[i]);
    buffer_clear(buffer);
    buffer_reserve(buffer, size);
    unsigned char *start = (unsigned char *)buffer->data;
    put_u32(start, CHUNK_VERSION); /* and the three zeros */
    put_u32(start + 4, count);
    put_u64(start + 8, entries[0].pos.index);
    unsigned char *header = start + CHUNK_HEAD;
    unsigned char *payload = header + (size_t)count * ENTRY_HEAD;
    for (uint32_t i = 0; i < count; i++) {
        const struct raft_entry *entry = &entries[i];
        check(entry->pos.index == entries[0].pos.index + i);
        encode_header(header, entry);
        header += ENTRY_HEAD;
        if (entry->size == 0)
            continue;
        const struct blob *blob = entry->payload;
        check(blob->size == entry->size);
        memcpy(payload, blob->data, entry->size);
        payload += entry->size;
    }
    put_u64(payload, XXH3_64bits(start, (size_t)(payload - start)));
    buffer->size = size;
    check((uint64_t)(payload - start) + CHECKSUM == size);
}

/* Entries make sense and their payloads fill the room exactly. */
static bool entries_add_up(const struct chunk *chunk, uint64_t room)
{
    raft_term term = 1;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < chunk->count; i++) {
        const unsigned char *header = chunk->headers + (size_t)i * ENTRY_HEAD;
        enum raft_entry_type type;
        if (get_u64(header) < term || !type_from(header[12], &type))
            return false;
        if (header[13] || header[14] || header[15])
            return false;
        term = get_u64(header);
        sum += get_u32(header + 8);
    }
    return sum == room;
}

enum chunk_result chunk_decode(struct chunk *chunk, raft_index first, struct bytes bytes)
{
    const unsigned char *start = bytes.data;
    if (bytes.size < 1)
        return CHUNK_CUT_SHORT;
    if (start[0] != CHUNK_VERSION)
        return CHUNK_OTHER_VERSION;
    if (bytes.size < CHUNK_HEAD + ENTRY_HEAD + CHECKSUM)
        return CHUNK_CUT_SHORT;
    size_t covered = bytes.size - CHECKSUM;
    if (get_u64(start + covered) != XXH3_64bits(start, covered))
        return CHUNK_BAD_CHECKSUM;
    uint32_t count = get_u32(start + 4);
    size_t room = covered - CHUNK_HEAD;
    if (count == 0 || count > room / ENTRY_HEAD)
        return CHUNK_BAD_ENTRY;
    if (get_u64(start + 8) != first)
        return CHUNK_BAD_INDEX;
    chunk->first = first;
    chunk->count = count;
    chunk->headers = start + CHUNK_HEAD;
    chunk->payloads = chunk->headers + (size_t)count * ENTRY_HEAD;
    return entries_add_up(chunk, room - (size_t)count * ENTRY_HEAD) ? CHUNK_OK : CHUNK_BAD_ENTRY;
}

struct raft_entry chunk_entry(const struct chunk *chunk, uint32_t number)
{
    check(number < chunk->count);
    const unsigned char *header = chunk->headers + (size_t)number * ENTRY_HEAD;
    struct raft_entry entry = {
        .pos = {.term = get_u64(header), .index = chunk->first + number},
        .size = get_u32(header + 8),
    };
    bool known = type_from(header[12], &entry.type);
    check(known); /* chunk_decode saw to it */
    return entry;
}
