/* One value of the log family: the entries of a group commit, one after the other.  Pure: bytes in,
 * bytes out.  The byte table is in chunk.c. */
#ifndef STORAGE_CHUNK_H
#define STORAGE_CHUNK_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "raft/raft.h"

/* A chunk that has been checked; borrows the bytes it was decoded from. */
struct chunk {
    raft_index first;
    uint32_t count;
    const unsigned char *headers;
    const unsigned char *payloads;
};

enum chunk_result {
    CHUNK_OK,
    CHUNK_CUT_SHORT,
    CHUNK_OTHER_VERSION,
    CHUNK_BAD_CHECKSUM,
    CHUNK_BAD_INDEX, /* it is some other chunk */
    CHUNK_BAD_ENTRY  /* the checksum is right, what it covers is not */
};

const char *chunk_result_text(enum chunk_result result);

/* Bytes that `entry` adds to a chunk. */
uint64_t chunk_entry_bytes(const struct raft_entry *entry);

/* Replaces the contents of `buffer`.  Entries are contiguous, count >= 1, payloads are blobs. */
void chunk_encode(struct buffer *buffer, const struct raft_entry *entries, uint32_t count);

/* Checks everything: afterwards every entry can be read without further checks.  `first` is the
 * index that the key says. */
enum chunk_result chunk_decode(struct chunk *chunk, raft_index first, struct bytes bytes)
    __attribute__((warn_unused_result));

/* Entry number `number` (from 0), without its payload. */
struct raft_entry chunk_entry(const struct chunk *chunk, uint32_t number);

#endif
