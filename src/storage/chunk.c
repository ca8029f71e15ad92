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
 * together so that opening a log and skipping to an entry touch few cache lines.  The numbers of
 * the types are the disk's own: the core may reorder its enum. */
#include "storage/chunk.h"

#include <xxhash.h>

#include "base/blob.h"
#include "base/codec.h"
#include "base/fatal.h"

enum { CHUNK_VERSION = 1, CHUNK_HEAD = 16, ENTRY_HEAD = 16, CHECKSUM = 8 };

enum { TYPE_COMMAND = 0, TYPE_NOOP = 1, TYPE_MEMBERS = 2 };

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

/*@ predicate known_type(integer type) =
      type == RAFT_ENTRY_COMMAND || type == RAFT_ENTRY_NOOP || type == RAFT_ENTRY_MEMBERS;
    logic integer stored_type(integer type) =
      type == RAFT_ENTRY_COMMAND ? TYPE_COMMAND
                                 : type == RAFT_ENTRY_NOOP ? TYPE_NOOP : TYPE_MEMBERS;
*/

/*@ requires known_type(type);
    assigns \nothing;
    ensures \result == stored_type(type);
*/
static unsigned char type_to(enum raft_entry_type type)
{
    switch (type) {
    case RAFT_ENTRY_COMMAND: return TYPE_COMMAND;
    case RAFT_ENTRY_NOOP: return TYPE_NOOP;
    case RAFT_ENTRY_MEMBERS: return TYPE_MEMBERS;
    }
    check(!"a raft_entry_type");
    return 0;
}

/*@ requires \valid(type);
    assigns *type;
    ensures \result ==> known_type(*type) && stored_type(*type) == byte;
    ensures !\result ==> byte != TYPE_COMMAND && byte != TYPE_NOOP && byte != TYPE_MEMBERS;
*/
static bool type_from(unsigned char byte, enum raft_entry_type *type)
{
    switch (byte) {
    case TYPE_COMMAND: *type = RAFT_ENTRY_COMMAND; return true;
    case TYPE_NOOP: *type = RAFT_ENTRY_NOOP; return true;
    case TYPE_MEMBERS: *type = RAFT_ENTRY_MEMBERS; return true;
    default: return false;
    }
}

uint64_t chunk_entry_bytes(const struct raft_entry *entry)
{
    return (uint64_t)ENTRY_HEAD + entry->size;
}

/*@ logic integer stored_term(unsigned char *header) = little_u64(header);
    logic integer stored_size(unsigned char *header) = little_u32(header + 8);
    predicate stored_head(unsigned char *header, integer type) =
      header[12] == stored_type(type) && header[13] == header[14] == header[15] == 0;
*/

/*@ requires \valid(at + (0 .. 15)) && \valid_read(entry);
    requires \separated(at + (0 .. 15), entry) && known_type(entry->type);
    assigns at[0 .. 15];
    ensures stored_term(at) == entry->pos.term;
    ensures stored_size(at) == entry->size;
    ensures stored_head(at, entry->type);
*/
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

/*@ logic integer term_of(unsigned char *headers, integer i) =
      stored_term(headers + ENTRY_HEAD * i);
    logic integer size_of(unsigned char *headers, integer i) =
      stored_size(headers + ENTRY_HEAD * i);

    axiomatic Payloads { // bytes of the payloads of the first `count` entries
      logic integer payload_bytes{L}(unsigned char *headers, integer count)
        reads headers[0 .. ENTRY_HEAD * count - 1];
      axiom payload_bytes_none{L}: \forall unsigned char *headers; payload_bytes(headers, 0) == 0;
      axiom payload_bytes_one_more{L}: \forall unsigned char *headers, integer count; count > 0 ==>
        payload_bytes(headers, count) ==
          payload_bytes(headers, count - 1) + size_of(headers, count - 1);
    }

    predicate sound_entry(unsigned char *headers, integer i) =
      term_of(headers, i) > 0 && (i > 0 ==> term_of(headers, i - 1) <= term_of(headers, i)) &&
      \exists integer type; known_type(type) && stored_head(headers + ENTRY_HEAD * i, type);
    predicate sound_entries(unsigned char *headers, integer count) =
      \forall integer i; 0 <= i < count ==> sound_entry(headers, i);
*/

/* Entries make sense and their payloads fill the room exactly. */
/*@ requires \valid_read(headers + (0 .. ENTRY_HEAD * count - 1));
    assigns \nothing;
    ensures sound: \result ==> sound_entries(headers, count);
    ensures exact: \result ==> payload_bytes(headers, count) == room;
*/
static bool entries_add_up(const unsigned char *headers, uint32_t count, uint64_t room)
{
    raft_term term = 1;
    uint64_t sum = 0;
    /*@ loop invariant 0 <= i <= count && sum <= i * UINT32_MAX;
        loop invariant sum == payload_bytes(headers, i);
        loop invariant sound_entries(headers, i) && term > 0;
        loop invariant i > 0 ==> term == term_of(headers, i - 1);
        loop assigns i, term, sum;
        loop variant count - i;
    */
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *header = headers + (size_t)i * ENTRY_HEAD;
        enum raft_entry_type type;
        if (get_u64(header) < term || !type_from(header[12], &type))
            return false;
        if (header[13] || header[14] || header[15])
            return false;
        //@ assert header == headers + ENTRY_HEAD * i;
        //@ assert stored_head(header, type);
        //@ assert term <= term_of(headers, i) && sound_entry(headers, i);
        //@ assert payload_bytes(headers, i + 1) == sum + size_of(headers, i);
        term = get_u64(header);
        sum += get_u32(header + 8);
    }
    return sum == room;
}

/*@ axiomatic Checksum {
      logic integer checksum_of{L}(unsigned char *start, integer size) reads start[0 .. size - 1];
    }
*/
/*@ requires \valid_read(start + (0 .. size - 1));
    assigns \nothing;
    ensures \result == checksum_of(start, size);
*/
static uint64_t checksum(const unsigned char *start, size_t size)
{
    return XXH3_64bits(start, size);
}

/*@ requires \valid(chunk) && \valid_read(start + (0 .. size - 1));
    requires \separated(chunk, start + (0 .. size - 1));
    assigns *chunk;
    ensures whole: \result == CHUNK_OK ==> size >= CHUNK_HEAD + ENTRY_HEAD + CHECKSUM &&
      start[0] == CHUNK_VERSION && start[1] == start[2] == start[3] == 0 &&
      little_u64(start + size - CHECKSUM) == checksum_of(start, size - CHECKSUM);
    ensures named: \result == CHUNK_OK ==> chunk->first == first == little_u64(start + 8) &&
      chunk->count == little_u32(start + 4) && chunk->count > 0;
    ensures inside: \result == CHUNK_OK ==> chunk->headers == start + CHUNK_HEAD &&
      chunk->payloads == chunk->headers + ENTRY_HEAD * chunk->count &&
      \valid_read(chunk->headers + (0 .. ENTRY_HEAD * chunk->count - 1));
    ensures sound: \result == CHUNK_OK ==> sound_entries(chunk->headers, chunk->count);
    ensures exact: \result == CHUNK_OK ==>
      CHUNK_HEAD + ENTRY_HEAD * chunk->count + payload_bytes(chunk->headers, chunk->count) +
        CHECKSUM == size;
*/
static enum chunk_result decode(struct chunk *chunk, raft_index first, const unsigned char *start,
                                size_t size)
{
    if (size < 1)
        return CHUNK_CUT_SHORT;
    if (start[0] != CHUNK_VERSION)
        return CHUNK_OTHER_VERSION;
    if (size < CHUNK_HEAD + ENTRY_HEAD + CHECKSUM)
        return CHUNK_CUT_SHORT;
    size_t covered = size - CHECKSUM;
    if (get_u64(start + covered) != checksum(start, covered))
        return CHUNK_BAD_CHECKSUM;
    if (start[1] || start[2] || start[3])
        return CHUNK_OTHER_VERSION;
    uint32_t count = get_u32(start + 4);
    size_t room = covered - CHUNK_HEAD;
    if (count == 0 || count > room / ENTRY_HEAD)
        return CHUNK_BAD_ENTRY;
    if (get_u64(start + 8) != first)
        return CHUNK_BAD_INDEX;
    const unsigned char *headers = start + CHUNK_HEAD;
    size_t headers_size = (size_t)count * ENTRY_HEAD;
    if (!entries_add_up(headers, count, room - headers_size))
        return CHUNK_BAD_ENTRY;
    *chunk = (struct chunk){
        .first = first, .count = count, .headers = headers, .payloads = headers + headers_size};
    return CHUNK_OK;
}

enum chunk_result chunk_decode(struct chunk *chunk, raft_index first, struct bytes bytes)
{
    return decode(chunk, first, bytes.data, bytes.size);
}

/*@ requires \valid_read(chunk) && number < chunk->count;
    requires \valid_read(chunk->headers + (0 .. ENTRY_HEAD * chunk->count - 1));
    requires sound_entries(chunk->headers, chunk->count);
    requires chunk->first + chunk->count <= UINT64_MAX;
    assigns \nothing;
    ensures \result.pos.index == chunk->first + number;
    ensures \result.pos.term == stored_term(chunk->headers + ENTRY_HEAD * number);
    ensures \result.size == stored_size(chunk->headers + ENTRY_HEAD * number);
    ensures stored_head(chunk->headers + ENTRY_HEAD * number, \result.type);
*/
struct raft_entry chunk_entry(const struct chunk *chunk, uint32_t number)
{
    check(number < chunk->count);
    const unsigned char *header = chunk->headers + (size_t)number * ENTRY_HEAD;
    //@ assert sound_entry(chunk->headers, number);
    struct raft_entry entry = {
        .pos = {.term = get_u64(header), .index = chunk->first + number},
        .size = get_u32(header + 8),
    };
    bool known = type_from(header[12], &entry.type);
    check(known); /* chunk_decode saw to it */
    return entry;
}
