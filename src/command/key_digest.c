/* See key_digest.h. */
#include <stdio.h>

#include <openssl/sha.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "command/key_digest.h"
#include "command/ordered.h"
#include "command/series.h"
#include "command/sorted.h"
#include "command/walk.h"

_Static_assert((int)DIGEST_SIZE == (int)SHA_DIGEST_LENGTH, "a digest is a SHA-1");

void digest_xor(struct digest *digest, struct bytes bytes)
{
    unsigned char hash[DIGEST_SIZE];
    SHA1(bytes.size ? bytes.data : (const void *)"", bytes.size, hash);
    for (int i = 0; i < DIGEST_SIZE; i++)
        digest->bytes[i] ^= hash[i];
}

void digest_mix(struct digest *digest, struct bytes bytes)
{
    unsigned char hash[DIGEST_SIZE];
    digest_xor(digest, bytes);
    SHA1(digest->bytes, DIGEST_SIZE, hash);
    memcpy(digest->bytes, hash, DIGEST_SIZE);
}

void digest_mix_number(struct digest *digest, uint32_t number)
{
    unsigned char bytes[4];
    put_u32_ordered(bytes, number);
    digest_mix(digest, bytes_of(bytes, sizeof bytes));
}

static void xor_digest(struct digest *digest, const struct digest *element)
{
    digest_xor(digest, bytes_of(element->bytes, DIGEST_SIZE));
}

/* ---- elements ------------------------------------------------------------------------------ */

static void add_field(void *context, struct bytes name, struct bytes value)
{
    struct digest element = {0};
    digest_mix(&element, name);
    digest_mix(&element, value);
    xor_digest(context, &element);
}

static void add_name(void *context, struct bytes name, struct bytes value)
{
    (void)value;
    digest_xor(context, name);
}

static bool add_element(void *context, struct bytes key, struct bytes value)
{
    (void)key;
    digest_mix(context, value);
    return true;
}

static bool add_member(void *context, struct bytes key, struct bytes value)
{
    struct digest element = {0};
    char score[64];
    int size = snprintf(score, sizeof score, "%.17g", sorted_score(key, value));
    digest_mix(&element, sorted_member(key));
    digest_mix(&element, bytes_of(score, (size_t)size));
    xor_digest(context, &element);
    return true;
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* False: not all of it yet. */
static bool add_fields(struct call *call, struct bytes key, enum db_type type,
                       struct key_digest *state)
{
    struct fields fields;
    struct db_scan_limit limit = {
        .keys = WALK_SLICE, .rows = WALK_SLICE, .bytes = WALK_SLICE_BYTES};
    bool is_of_type = call_fields(call, key, type, &fields);
    check(is_of_type);
    state->at = fields_scan(&fields, state->at, limit, type == DB_HASH ? add_field : add_name,
                            &state->digest);
    fields_close(&fields);
    return state->at == 0;
}

static bool add_ordered(struct call *call, struct bytes key, enum db_type type,
                        struct key_digest *state)
{
    struct ordered ordered;
    bool is_of_type = ordered_open(&ordered, call, key, type);
    check(is_of_type);
    uint64_t end = state->at + WALK_SLICE, work_end = db_work(call->db) + WALK_SLICE_BYTES;
    if (end > ordered.count)
        end = ordered.count;
    while (state->at < end && db_work(call->db) < work_end)
        state->at += ordered_walk(&ordered, state->at, end - state->at, false,
                                  type == DB_LIST ? add_element : add_member, &state->digest);
    bool is_all = state->at == ordered.count;
    ordered_close(&ordered);
    return is_all;
}

static bool add_entry(void *context, struct bytes key, struct bytes value)
{
    char id[SERIES_TEXT_SIZE], *dash;
    struct packed_walk walk;
    struct bytes element, text = series_id_text(id, series_id_of(key));
    dash = strchr(id, '-');
    *dash = '.';
    digest_mix(context, text);
    packed_walk(&walk, value);
    while (packed_next(&walk, &element))
        digest_mix(context, element);
    return true;
}

static bool add_stream(struct call *call, struct bytes key, struct key_digest *state)
{
    struct series stream;
    void *kept = call->walk->kept; /* is ours, and no stream that was put aside */
    call->walk->kept = NULL;
    bool is_stream = series_open(&stream, call, key);
    call->walk->kept = kept;
    check(is_stream);
    uint64_t count = stream.entries.root.count, end = state->at + WALK_SLICE;
    uint64_t work_end = db_work(call->db) + WALK_SLICE_BYTES;
    if (end > count)
        end = count;
    while (state->at < end && db_work(call->db) < work_end)
        state->at += db_tree_walk(&stream.entries, state->at, end - state->at, false, add_entry,
                                  &state->digest);
    return state->at == count;
}

static void add_string(struct call *call, struct bytes key, struct key_digest *state)
{
    struct bytes value;
    bool exists;
    bool is_string = call_get_string(call, key, &value, &exists);
    check(is_string && exists);
    digest_mix(&state->digest, value);
}

/* Redis's number of a type. */
static uint32_t number_of(enum db_type type)
{
    switch (type) {
    case DB_LIST: return 1;
    case DB_SET: return 2;
    case DB_ZSET: return 3;
    case DB_HASH: return 4;
    case DB_STREAM: return 6;
    case DB_STRING:
    case DB_NONE: break;
    }
    return 0;
}

static bool add_elements(struct call *call, struct bytes key, enum db_type type,
                         struct key_digest *state)
{
    switch (type) {
    case DB_STRING: add_string(call, key, state); return true;
    case DB_HASH:
    case DB_SET: return add_fields(call, key, type, state);
    case DB_LIST:
    case DB_ZSET: return add_ordered(call, key, type, state);
    case DB_STREAM: return add_stream(call, key, state);
    case DB_NONE: break;
    }
    return true;
}

bool digest_key(struct call *call, struct bytes key, struct key_digest *state)
{
    struct db_record found;
    if (!db_find(call->db, call->view, call->database, key, &found, NULL))
        return true;
    if (!state->has_begun)
        digest_mix_number(&state->digest, number_of(found.type));
    state->has_begun = true;
    if (!add_elements(call, key, found.type, state))
        return false;
    if (found.deadline_ms != 0)
        digest_xor(&state->digest, bytes_from_string("!!expire!!"));
    return true;
}
