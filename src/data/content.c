/* See content.h.  What a snapshot's chunks carry is hashed row by row, so that it does not depend
 * on where they end, nor on what else they say. */
#include "data/content.h"

#include <xxhash.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "data/snapshot_form.h"

struct db_content {
    struct db_snapshot *snapshot; /* owned */
    uint64_t hash;
    bool is_whole;
};

static void add(struct db_content *content, const void *bytes, size_t size)
{
    content->hash = XXH3_64bits_withSeed(bytes, size, content->hash);
}

/* With the sizes in front: what is one row is not two. */
static void add_rows(struct db_content *content, struct bytes body)
{
    struct bytes key, value;
    while (body.size > 0) {
        const void *row = body.data;
        size_t left = body.size;
        bool is_row = db_snapshot_row_take(&body, &key, &value);
        check(is_row);
        add(content, row, left - body.size);
    }
}

/* The state record stands in it, of whatever cluster, and how many rows and bytes there were. */
static void add_end(struct db_content *content, struct bytes body)
{
    unsigned char bytes[RECORD_STATE_SIZE];
    const unsigned char *at = body.data;
    struct state state;
    uint64_t cluster;
    bool is_sound = body.size == SNAPSHOT_END_SIZE &&
                    record_state_parse(bytes_of(at, RECORD_STATE_SIZE), &cluster, &state);
    check(is_sound);
    record_state_encode(bytes, &state, RECORD_NO_CLUSTER);
    add(content, bytes, sizeof bytes);
    add(content, at + RECORD_STATE_SIZE, 16);
    content->is_whole = true;
}

static void add_chunk(struct db_content *content)
{
    uint64_t number;
    struct bytes chunk = db_snapshot_chunk(content->snapshot, &number);
    const char *at = chunk.data;
    struct bytes body =
        bytes_of(at + DB_SNAPSHOT_HEADER, chunk.size - DB_SNAPSHOT_HEADER - SNAPSHOT_TAIL);
    if (db_snapshot_is_end(content->snapshot))
        add_end(content, body);
    else if (number > 0) /* the head says what the end says better */
        add_rows(content, body);
}

bool db_content_next(struct db_content *content, uint64_t work)
{
    check(!content->is_whole);
    if (db_snapshot_next(content->snapshot, work))
        add_chunk(content);
    return content->is_whole;
}

void db_content_about(const struct db_content *content, struct db_snapshot_about *about)
{
    db_snapshot_about(content->snapshot, about);
}

uint64_t db_content_hash(const struct db_content *content)
{
    check(content->is_whole);
    return content->hash;
}

struct db_content *db_content_new(struct db *db)
{
    struct db_snapshot *snapshot = db_snapshot_new(db, DB_SNAPSHOT_CHUNK);
    if (!snapshot)
        return NULL;
    struct db_content *content = memory_new(sizeof *content);
    content->snapshot = snapshot;
    return content;
}

void db_content_free(struct db_content *content)
{
    if (!content)
        return;
    db_snapshot_free(content->snapshot);
    memory_free(content);
}
