/* See snapshot_form.h.  Any thread; no state. */
#include "data/snapshot_form.h"

#include <xxhash.h>

#include "base/codec.h"
#include "base/fatal.h"

enum { FORMAT = 1, AT_FORMAT = 4, AT_KIND = 5, AT_SIZE = 8, AT_NUMBER = 16 };

static const unsigned char magic[4] = {'R', 'R', 's', 'n'};

void db_snapshot_chunk_begin(struct buffer *chunk)
{
    static const unsigned char zeros[DB_SNAPSHOT_HEADER];
    buffer_clear(chunk);
    buffer_append(chunk, zeros, sizeof zeros);
}

void db_snapshot_chunk_row(struct buffer *chunk, struct bytes key, struct bytes value)
{
    unsigned char sizes[SNAPSHOT_ROW_HEADER];
    check(key.size <= UINT32_MAX && value.size <= UINT32_MAX);
    put_u32(sizes, (uint32_t)key.size);
    put_u32(sizes + 4, (uint32_t)value.size);
    buffer_append(chunk, sizes, sizeof sizes);
    buffer_append_bytes(chunk, key);
    buffer_append_bytes(chunk, value);
}

uint64_t db_snapshot_chunk_end(struct buffer *chunk, enum snapshot_kind kind, uint64_t number,
                               uint64_t seed)
{
    unsigned char *at = (unsigned char *)chunk->data;
    unsigned char tail[SNAPSHOT_TAIL];
    size_t size = chunk->size - DB_SNAPSHOT_HEADER;
    check(size <= UINT32_MAX);
    memcpy(at, magic, sizeof magic);
    at[AT_FORMAT] = FORMAT;
    at[AT_KIND] = (unsigned char)kind;
    put_u32(at + AT_SIZE, (uint32_t)size);
    put_u64(at + AT_NUMBER, number);
    uint64_t checksum = XXH3_64bits_withSeed(chunk->data, chunk->size, seed);
    put_u64(tail, checksum);
    buffer_append(chunk, tail, sizeof tail);
    return checksum;
}

uint64_t db_install_chunk_size(struct bytes header)
{
    const unsigned char *at = header.data;
    if (header.size < DB_SNAPSHOT_HEADER || memcmp(at, magic, sizeof magic) != 0)
        return 0;
    return (uint64_t)DB_SNAPSHOT_HEADER + get_u32(at + AT_SIZE) + SNAPSHOT_TAIL;
}

enum db_install_result db_snapshot_chunk_parse(struct bytes bytes, uint64_t seed,
                                               struct snapshot_chunk *chunk)
{
    const unsigned char *at = bytes.data;
    uint64_t size = db_install_chunk_size(bytes);
    if (size == 0)
        return DB_INSTALL_FOREIGN;
    if (at[AT_FORMAT] > FORMAT)
        return DB_INSTALL_NEWER;
    if (size != bytes.size || at[AT_KIND] >= SNAPSHOT_KINDS)
        return DB_INSTALL_DAMAGED;
    *chunk = (struct snapshot_chunk){
        .kind = (enum snapshot_kind)at[AT_KIND],
        .number = get_u64(at + AT_NUMBER),
        .body = bytes_of(at + DB_SNAPSHOT_HEADER, get_u32(at + AT_SIZE)),
        .checksum = get_u64(at + bytes.size - SNAPSHOT_TAIL),
    };
    if (chunk->kind == SNAPSHOT_HEAD)
        seed = 0;
    uint64_t checksum = XXH3_64bits_withSeed(at, bytes.size - SNAPSHOT_TAIL, seed);
    return checksum == chunk->checksum ? DB_INSTALL_OK : DB_INSTALL_DAMAGED;
}

bool db_snapshot_row_take(struct bytes *body, struct bytes *key, struct bytes *value)
{
    const unsigned char *at = body->data;
    if (body->size < SNAPSHOT_ROW_HEADER)
        return false;
    uint64_t key_size = get_u32(at), value_size = get_u32(at + 4);
    if (key_size + value_size > body->size - SNAPSHOT_ROW_HEADER)
        return false;
    *key = bytes_of(at + SNAPSHOT_ROW_HEADER, key_size);
    *value = bytes_of(at + SNAPSHOT_ROW_HEADER + key_size, value_size);
    size_t taken = SNAPSHOT_ROW_HEADER + key_size + value_size;
    *body = bytes_of(at + taken, body->size - taken);
    return true;
}

uint64_t db_snapshot_sum(uint64_t sum, uint64_t checksum)
{
    unsigned char bytes[8];
    put_u64(bytes, checksum);
    return XXH3_64bits_withSeed(bytes, sizeof bytes, sum);
}

struct db_snapshot_about db_snapshot_about_state(const struct state *state, uint64_t cluster)
{
    struct db_snapshot_about about = {.cluster = cluster,
                                      .index = state->index,
                                      .term = state->term,
                                      .time_ms = state->time_ms,
                                      .meaning = state->meaning,
                                      .receipts = state->receipts};
    for (unsigned i = 0; i < DB_DATABASES; i++)
        about.keys[i] = state->databases[i].keys;
    return about;
}
