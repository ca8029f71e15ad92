/* Formats of the data family.  Numbers in keys are big endian, so that they sort; numbers in values
 * are little endian.  Loop and checkpoint thread; no state.
 *
 *   state record, first of all keys      keys                        receipts, due
 *   key    00                            0  1  'k'                   0  1  's', 't'
 *   value  0  1  version, 2              1  8  space                 1  8  word
 *          1  1  highest meaning
 *          2  2  zero
 *          4  8  hash seed               9  8  word = hash           9     client id
 *         12  8  applied index          17     key
 *         20  8  applied term
 *         28  8  highest stamp, ms       0  1  type                  0  1  version, 1
 *         36  8  next space              1  1  flags, 0              1  1  flags, 0
 *         44  8  receipts                2     value                 2  8  request id
 *         52     for each database:                                 10  8  last use, ms
 *             8  space                                              18  8  time in its 't' record
 *             8  keys                                               26     reply
 *                                        ('t' has no value)
 *
 * In version 1 of the state record there was one database, and no spaces but a number of the same
 * place in its keys: 36 8 that number; 44 8 keys; 52 8 receipts; no more.
 *
 * A flag set is a field more between header and payload in a version to come (a deadline, the
 * version of a collection); this version refuses to read such a record rather than misread it.
 *
 * The word of a 't' record is 44 bits of time (until the year 2527) and the upper 20 of the hash:
 * in order of time, and receipts of one millisecond do not pile up on one word. */
#include "data/record.h"

#include "base/codec.h"
#include "base/fatal.h"

enum {
    STATE_VERSION = 2,
    STATE_SIZE_1 = 60, /* of version 1 */
    RECEIPT_VERSION = 1,
    DUE_HASH_BITS = 20,
    PREFIX_MAX = 17
};

static const int64_t due_time_max = ((int64_t)1 << (64 - DUE_HASH_BITS)) - 1;
static const char table_kind[TABLES] = {'k', 's', 't'};

/* The kind of table, and the space where there are spaces. */
static size_t put_space(unsigned char *out, enum table table, uint64_t space)
{
    out[0] = (unsigned char)table_kind[table];
    if (table != TABLE_KEYS)
        return 1;
    put_u64_ordered(out + 1, space);
    return 9;
}

void record_key_first(struct buffer *key, enum table table, uint64_t space)
{
    unsigned char prefix[PREFIX_MAX];
    buffer_clear(key);
    buffer_append(key, prefix, put_space(prefix, table, space));
}

void record_key(struct buffer *key, const struct place *place)
{
    unsigned char prefix[PREFIX_MAX];
    size_t size = put_space(prefix, place->table, place->space);
    put_u64_ordered(prefix + size, place->word);
    buffer_clear(key);
    buffer_append(key, prefix, size + 8);
    buffer_append_bytes(key, place->name);
}

bool record_key_parse(struct bytes key, enum table table, uint64_t space, struct place *place)
{
    unsigned char prefix[PREFIX_MAX];
    size_t size = put_space(prefix, table, space);
    const unsigned char *at = key.data;
    if (key.size < size + 8 || memcmp(at, prefix, size) != 0)
        return false;
    *place = (struct place){.table = table,
                            .space = space,
                            .word = get_u64_ordered(at + size),
                            .name = bytes_of(at + size + 8, key.size - size - 8)};
    return true;
}

bool record_key_space(struct bytes key, enum table table, uint64_t *space)
{
    const unsigned char *at = key.data;
    if (key.size < 9 || at[0] != (unsigned char)table_kind[table])
        return false;
    *space = get_u64_ordered(at + 1);
    return true;
}

struct bytes record_state_key(void)
{
    return bytes_of("\0", 1);
}

struct state record_state_first(void)
{
    struct state state = {.space_next = 1};
    for (int i = 0; i < RECORD_DATABASES; i++)
        state.databases[i].space = state.space_next++;
    return state;
}

void record_state_encode(unsigned char *out, const struct state *state, uint64_t hash_seed)
{
    put_u32(out, STATE_VERSION);
    out[1] = state->meaning;
    put_u64(out + 4, hash_seed);
    put_u64(out + 12, state->index);
    put_u64(out + 20, state->term);
    put_u64(out + 28, (uint64_t)state->time_ms);
    put_u64(out + 36, state->space_next);
    put_u64(out + 44, state->receipts);
    for (int i = 0; i < RECORD_DATABASES; i++) {
        put_u64(out + 52 + 16 * i, state->databases[i].space);
        put_u64(out + 60 + 16 * i, state->databases[i].keys);
    }
}

/* The one database's number becomes its space; the others get numbers above all there were. */
static void decode_databases_1(const unsigned char *at, struct state *state)
{
    uint64_t space = get_u64(at + 36);
    state->receipts = get_u64(at + 52);
    state->databases[0].space = space;
    state->databases[0].keys = get_u64(at + 44);
    state->space_next = space + 1;
    for (int i = 1; i < RECORD_DATABASES; i++)
        state->databases[i].space = state->space_next++;
}

static void decode_databases(const unsigned char *at, struct state *state)
{
    state->space_next = get_u64(at + 36);
    state->receipts = get_u64(at + 44);
    for (int i = 0; i < RECORD_DATABASES; i++) {
        state->databases[i].space = get_u64(at + 52 + 16 * i);
        state->databases[i].keys = get_u64(at + 60 + 16 * i);
        if (state->databases[i].space >= state->space_next)
            fatal("data: the state record is damaged (space of database %d)", i);
    }
}

struct state record_state_decode(struct bytes record, uint64_t hash_seed)
{
    const unsigned char *at = record.data;
    if (record.size < 4)
        fatal("data: the state record is damaged (%zu bytes)", record.size);
    uint32_t version = get_u32(at) & 0xffff00ff; /* but for the meaning */
    if (version != 1 && version != STATE_VERSION)
        fatal("data: written in format %u, this version reads formats 1 to %u", version,
              STATE_VERSION);
    if (record.size != (version == 1 ? STATE_SIZE_1 : RECORD_STATE_SIZE))
        fatal("data: the state record is damaged (%zu bytes)", record.size);
    if (get_u64(at + 4) != hash_seed)
        fatal("data: belongs to another cluster (%016llx, not %016llx)",
              (unsigned long long)get_u64(at + 4), (unsigned long long)hash_seed);
    struct state state = {.index = get_u64(at + 12),
                          .term = get_u64(at + 20),
                          .time_ms = (int64_t)get_u64(at + 28),
                          .meaning = at[1]};
    if (version == 1)
        decode_databases_1(at, &state);
    else
        decode_databases(at, &state);
    return state;
}

void record_value_header(unsigned char *out, unsigned type)
{
    check(type > 0);
    check(type < 256);
    out[0] = (unsigned char)type;
    out[1] = 0;
}

unsigned record_value_parse(struct bytes record, struct bytes *payload)
{
    const unsigned char *at = record.data;
    if (record.size < RECORD_VALUE_HEADER || at[0] == 0)
        fatal("data: the record of a key is damaged (%zu bytes)", record.size);
    if (at[1] != 0)
        fatal("data: the record of a key has unknown flags %u: written by a newer version?", at[1]);
    *payload = bytes_of(at + RECORD_VALUE_HEADER, record.size - RECORD_VALUE_HEADER);
    return at[0];
}

void record_receipt_header(unsigned char *out, const struct receipt_record *receipt)
{
    out[0] = RECEIPT_VERSION;
    out[1] = 0;
    put_u64(out + 2, receipt->request_id);
    put_u64(out + 10, (uint64_t)receipt->used_ms);
    put_u64(out + 18, (uint64_t)receipt->due_ms);
}

void record_receipt_parse(struct bytes record, struct receipt_record *receipt)
{
    const unsigned char *at = record.data;
    if (record.size < RECORD_RECEIPT_HEADER || at[0] != RECEIPT_VERSION || at[1] != 0)
        fatal("data: the record of a receipt is damaged or of a newer version (%zu bytes)",
              record.size);
    *receipt = (struct receipt_record){
        .request_id = get_u64(at + 2),
        .used_ms = (int64_t)get_u64(at + 10),
        .due_ms = (int64_t)get_u64(at + 18),
        .reply = bytes_of(at + RECORD_RECEIPT_HEADER, record.size - RECORD_RECEIPT_HEADER)};
}

int64_t record_due_clamp(int64_t time_ms)
{
    if (time_ms < 0)
        return 0;
    return time_ms < due_time_max ? time_ms : due_time_max;
}

uint64_t record_due_word(int64_t time_ms, uint64_t hash)
{
    check(time_ms == record_due_clamp(time_ms));
    return (uint64_t)time_ms << DUE_HASH_BITS | hash >> (64 - DUE_HASH_BITS);
}

int64_t record_due_time(uint64_t word)
{
    return (int64_t)(word >> DUE_HASH_BITS);
}
