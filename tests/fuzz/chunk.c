/* Chunks of the log.  The input is taken as it is, and once more with the checksum made right,
 * since nothing that fuzzes guesses one.  What is accepted, encoded again, is the same bytes. */
#include "fuzz.h"

#include <xxhash.h>

#include "base/blob.h"
#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "storage/chunk.h"

enum { CHECKSUM = 8 };

static void check_again(const struct chunk *chunk, struct bytes bytes)
{
    struct raft_entry *entries = memory_new(chunk->count * sizeof *entries);
    const unsigned char *payload = chunk->payloads;
    raft_term term = 1;
    for (uint32_t i = 0; i < chunk->count; i++) {
        entries[i] = chunk_entry(chunk, i);
        check(entries[i].pos.index == chunk->first + i);
        check(entries[i].pos.term >= term);
        term = entries[i].pos.term;
        if (entries[i].size)
            entries[i].payload = blob_copy(bytes_of(payload, entries[i].size));
        payload += entries[i].size;
    }
    check(payload + CHECKSUM == (const unsigned char *)bytes.data + bytes.size);
    struct buffer again = {0};
    chunk_encode(&again, entries, chunk->count);
    check(bytes_equal(buffer_bytes(&again), bytes));
    buffer_deinit(&again);
    for (uint32_t i = 0; i < chunk->count; i++)
        blob_release(entries[i].payload);
    memory_free(entries);
}

static enum chunk_result decode(struct bytes bytes)
{
    struct chunk chunk;
    raft_index first = bytes.size >= 16 ? get_u64((const unsigned char *)bytes.data + 8) : 1;
    enum chunk_result result = chunk_decode(&chunk, first, bytes);
    check(chunk_result_text(result));
    if (result == CHUNK_OK) {
        check_again(&chunk, bytes);
        check(chunk_decode(&chunk, first + 1, bytes) == CHUNK_BAD_INDEX);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(bytes_of(data, size));
    unsigned char *right = memory_copy(data, size + 0);
    right = memory_resize(right, size + CHECKSUM);
    put_u64(right + size, XXH3_64bits(right, size));
    if (decode(bytes_of(right, size + CHECKSUM)) == CHUNK_OK) {
        right[data[size - 1] % (size + CHECKSUM)] ^= 1; /* any byte, any change */
        check(decode(bytes_of(right, size + CHECKSUM)) != CHUNK_OK);
    }
    memory_free(right);
    return 0;
}
