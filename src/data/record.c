/* Formats of the data family.  Numbers in keys are big endian, so that they sort; numbers in values
 * are little endian.  Loop and checkpoint thread; no state.
 *
 *   state record, first of all keys      keys                        receipts, due
 *   key    00                            0  1  'r'                   0  1  's', 't'
 *   value  0  1  version, 3              1  8  space                 1  8  word
 *          1  1  highest meaning
 *          2  2  zero
 *          4  8  cluster id              9  8  word: slot, hash      9     client id
 *         12  8  applied index          17     key
 *         20  8  applied term
 *         28  8  highest stamp, ms       0  1  format, 1             0  1  version, 1
 *         36  8  hash seed               1  1  type                  1  1  flags, 0
 *         44  8  next space              2  1  flags                 2  8  request id
 *         52  8  receipts                3  1  0                    10  8  last use, ms
 *         60     for each database:      4  8  version              18  8  time in its 't' record
 *             8  space                     8  deadline, ms, if     26     reply
 *             8  keys                          flag 1 is set
 *                                          8  space of the rows,    ('t' has no value)
 *                                              if flag 2 is set
 *                                          8  earliest deadline of
 *                                              its elements, if
 *                                              flag 4 is set
 *                                              value
 *   counts                              rows of a collection        spaces
 *   key    0  1  'c'                     0  1  'u'                   0  1  'v'
 *          1  8  space                   1  8  space                 1  8  space of the database,
 *          9  2  group                   9  8  word                        0: nobody's
 *   value  64 times 8  keys of a slot   17     name                  9  8  space of a collection
 *                                        value: as its type has it   no value
 *   deadlines of keys
 *   key    0  1  'w'
 *          1  8  space of the database
 *          9  8  word
 *         17     key
 *   no value
 *
 * The pages of trees stand as rows of a collection do, under 'x', with no name (page.h).
 *
 * A type and flags that this version does not know are refused rather than misread.
 *
 * Earlier: in versions 1 and 2 of the state record keys were {'k', space, hash, key} and their
 * records {type, 0, value}, and the cluster id was the seed.  Version 2 had no seed at 36, what
 * follows it 8 bytes earlier; version 1 knew one database: 36 8 space; 44 8 keys; 52 8 receipts; no
 * more.
 *
 * The word of a 't' or 'w' record is 44 bits of time (until the year 2527) and the upper 20 of the
 * hash: in order of time, and those of one millisecond do not pile up on one word. */
#include "data/record.h"

#include "base/codec.h"
#include "base/fatal.h"

enum {
    STATE_VERSION = 3,
    STATE_SIZE_1 = 60, /* of version 1 */
    STATE_SIZE_2 = 308,
    RECORD_FORMAT = 1,
    FLAG_DEADLINE = 1,
    FLAG_SPACE = 2,
    FLAG_ELEMENTS_DUE = 4,
    FLAGS = FLAG_DEADLINE | FLAG_SPACE | FLAG_ELEMENTS_DUE,
    OLD_HEADER = 2,
    RECEIPT_VERSION = 1,
    DUE_HASH_BITS = 20,
    PREFIX_MAX = 17
};

static const int64_t due_time_max = ((int64_t)1 << (64 - DUE_HASH_BITS)) - 1;
static const char table_kind[TABLES] = {'r', 's', 't', 'u', 'v', 'w', 'x'};
static const bool table_has_spaces[TABLES] = {[TABLE_KEYS] = true,
                                              [TABLE_ROWS] = true,
                                              [TABLE_SPACES] = true,
                                              [TABLE_DEADLINES] = true,
                                              [TABLE_PAGES] = true};

/* The kind of table, and the space where there are spaces. */
static size_t put_space(unsigned char *out, enum table table, uint64_t space)
{
    out[0] = (unsigned char)table_kind[table];
    if (!table_has_spaces[table])
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

void record_table_end(struct buffer *key, enum table table)
{
    buffer_clear(key);
    buffer_append_byte(key, (char)(table_kind[table] + 1));
}

void record_key_end(struct buffer *key, enum table table, uint64_t space)
{
    if (table_has_spaces[table] && space < UINT64_MAX)
        record_key_first(key, table, space + 1);
    else
        record_table_end(key, table);
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

bool record_key_any(struct bytes key, struct place *place)
{
    const unsigned char *at = key.data;
    for (int table = 0; key.size > 0 && table < TABLES; table++) {
        if (at[0] != (unsigned char)table_kind[table])
            continue;
        uint64_t space = 0;
        bool has_space = !table_has_spaces[table] || record_key_space(key, table, &space);
        return has_space && record_key_parse(key, (enum table)table, space, place);
    }
    return false;
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

static void put_databases(unsigned char *out, const struct state *state)
{
    for (int i = 0; i < RECORD_DATABASES; i++) {
        put_u64(out + 16 * i, state->databases[i].space);
        put_u64(out + 16 * i + 8, state->databases[i].keys);
    }
}

static void get_databases(const unsigned char *at, struct state *state)
{
    for (int i = 0; i < RECORD_DATABASES; i++) {
        state->databases[i].space = get_u64(at + 16 * i);
        state->databases[i].keys = get_u64(at + 16 * i + 8);
        if (state->databases[i].space >= state->space_next)
            fatal("data: the state record is damaged (space of database %d)", i);
    }
}

void record_state_encode(unsigned char *out, const struct state *state, uint64_t cluster)
{
    put_u32(out, STATE_VERSION);
    out[1] = state->meaning;
    put_u64(out + 4, cluster);
    put_u64(out + 12, state->index);
    put_u64(out + 20, state->term);
    put_u64(out + 28, (uint64_t)state->time_ms);
    put_u64(out + 36, state->hash_seed);
    put_u64(out + 44, state->space_next);
    put_u64(out + 52, state->receipts);
    put_databases(out + 60, state);
}

/* The one database's number becomes its space; the others get numbers above all there were. */
static void decode_1(const unsigned char *at, struct state *state)
{
    uint64_t space = get_u64(at + 36);
    state->receipts = get_u64(at + 52);
    state->databases[0].space = space;
    state->databases[0].keys = get_u64(at + 44);
    state->space_next = space + 1;
    for (int i = 1; i < RECORD_DATABASES; i++)
        state->databases[i].space = state->space_next++;
}

static void decode_2(const unsigned char *at, struct state *state)
{
    state->space_next = get_u64(at + 36);
    state->receipts = get_u64(at + 44);
    get_databases(at + 52, state);
}

static void decode_3(const unsigned char *at, struct state *state)
{
    state->hash_seed = get_u64(at + 36);
    state->space_next = get_u64(at + 44);
    state->receipts = get_u64(at + 52);
    get_databases(at + 60, state);
}

static uint32_t get_version(const unsigned char *at)
{
    return get_u32(at) & 0xffff00ff; /* but for the meaning */
}

static void check_state(struct bytes record, uint64_t cluster)
{
    static const size_t sizes[] = {0, STATE_SIZE_1, STATE_SIZE_2, RECORD_STATE_SIZE};
    if (record.size < 4)
        fatal("data: the state record is damaged (%zu bytes)", record.size);
    uint32_t version = get_version(record.data);
    if (version < 1 || version > STATE_VERSION)
        fatal("data: written in format %u, this version reads formats 1 to %u", version,
              STATE_VERSION);
    if (record.size != sizes[version])
        fatal("data: the state record is damaged (%zu bytes)", record.size);
    uint64_t found = get_u64((const unsigned char *)record.data + 4);
    if (found != cluster && found != RECORD_NO_CLUSTER)
        fatal("data: belongs to another cluster (%016llx, not %016llx)", (unsigned long long)found,
              (unsigned long long)cluster);
}

struct state record_state_decode(struct bytes record, uint64_t cluster, bool *is_old)
{
    const unsigned char *at = record.data;
    check_state(record, cluster);
    uint32_t version = get_version(at);
    struct state state = {.meaning = at[1],

                          .index = get_u64(at + 12),
                          .term = get_u64(at + 20),
                          .time_ms = (int64_t)get_u64(at + 28)};
    *is_old = version < 3;
    if (version == 1)
        decode_1(at, &state);
    else if (version == 2)
        decode_2(at, &state);
    else
        decode_3(at, &state);
    if (*is_old && state.time_ms > 0)
        state.hash_seed = cluster; /* see db_begin() */
    return state;
}

/* Each database has a space of its own, one that was given out. */
static bool has_sound_spaces(const unsigned char *at, uint64_t space_next)
{
    for (int i = 0; i < RECORD_DATABASES; i++) {
        uint64_t space = get_u64(at + 16 * i);
        if (space == 0 || space >= space_next)
            return false;
        for (int other = 0; other < i; other++)
            if (get_u64(at + 16 * other) == space)
                return false;
    }
    return true;
}

bool record_state_parse(struct bytes record, uint64_t *cluster, struct state *state)
{
    const unsigned char *at = record.data;
    bool is_old;
    if (record.size != RECORD_STATE_SIZE || get_version(at) != STATE_VERSION ||
        !has_sound_spaces(at + 60, get_u64(at + 44)))
        return false;
    *cluster = get_u64(at + 4);
    *state = record_state_decode(record, *cluster, &is_old);
    return true;
}

/* ---- keys ------------------------------------------------------------------------ */

uint64_t record_key_word(struct bytes key, uint64_t hash)
{
    return (uint64_t)record_slot(key) << (64 - SLOT_BITS) | hash >> SLOT_BITS;
}

unsigned record_word_slot(uint64_t word)
{
    return (unsigned)(word >> (64 - SLOT_BITS));
}

void record_group_key(struct buffer *key, uint64_t space, unsigned group)
{
    unsigned char out[11] = {'c'};
    check(group < RECORD_GROUPS);
    put_u64_ordered(out + 1, space);
    out[9] = (unsigned char)(group >> 8);
    out[10] = (unsigned char)group;
    buffer_clear(key);
    buffer_append(key, out, sizeof out);
}

size_t record_header_encode(unsigned char *out, const struct header *header)
{
    size_t size = RECORD_HEADER_MIN;
    check(header->type > 0);
    check(header->type < 256);
    out[0] = RECORD_FORMAT;
    out[1] = (unsigned char)header->type;
    out[2] = (header->deadline_ms ? FLAG_DEADLINE : 0) | (header->space ? FLAG_SPACE : 0) |
             (header->elements_due_ms ? FLAG_ELEMENTS_DUE : 0);
    out[3] = 0;
    put_u64(out + 4, header->version);
    if (header->deadline_ms) {
        put_u64(out + size, (uint64_t)header->deadline_ms);
        size += 8;
    }
    if (header->space) {
        put_u64(out + size, header->space);
        size += 8;
    }
    if (header->elements_due_ms) {
        put_u64(out + size, (uint64_t)header->elements_due_ms);
        size += 8;
    }
    return size;
}

void record_set_version(unsigned char *record, uint64_t version)
{
    put_u64(record + 4, version);
}

void record_set_space(unsigned char *record, uint64_t space)
{
    check(record[2] & FLAG_SPACE);
    put_u64(record + RECORD_HEADER_MIN + (record[2] & FLAG_DEADLINE ? 8 : 0), space);
}

/* A field that a flag says is there, and then is not 0. */
static uint64_t take_field(struct bytes record, size_t *size)
{
    const unsigned char *at = record.data;
    if (record.size < *size + 8)
        fatal("data: the record of a key is damaged (%zu bytes)", record.size);
    uint64_t field = get_u64(at + *size);
    if (field == 0)
        fatal("data: the record of a key is damaged (an empty field)");
    *size += 8;
    return field;
}

size_t record_header_parse(struct bytes record, struct header *header)
{
    const unsigned char *at = record.data;
    size_t size = RECORD_HEADER_MIN;
    if (record.size < RECORD_HEADER_MIN || at[1] == 0)
        fatal("data: the record of a key is damaged (%zu bytes)", record.size);
    if (at[0] != RECORD_FORMAT || (at[2] & ~FLAGS) != 0 || at[3] != 0)
        fatal("data: the record of a key has format %u, flags %u: written by a newer version?",
              at[0], at[2]);
    *header = (struct header){.type = at[1], .version = get_u64(at + 4)};
    if (at[2] & FLAG_DEADLINE)
        header->deadline_ms = (int64_t)take_field(record, &size);
    if (at[2] & FLAG_SPACE)
        header->space = take_field(record, &size);
    if (at[2] & FLAG_ELEMENTS_DUE)
        header->elements_due_ms = (int64_t)take_field(record, &size);
    return size;
}

bool record_header_is_sound(struct bytes record)
{
    const unsigned char *at = record.data;
    if (record.size < RECORD_HEADER_MIN || at[0] != RECORD_FORMAT || at[1] == 0 ||
        (at[2] & ~FLAGS) != 0 || at[3] != 0)
        return false;
    size_t fields = 0;
    for (unsigned flags = at[2]; flags; flags >>= 1)
        fields += flags & 1;
    if (record.size < RECORD_HEADER_MIN + 8 * fields)
        return false;
    for (size_t i = 0; i < fields; i++)
        if (get_u64(at + RECORD_HEADER_MIN + 8 * i) == 0)
            return false;
    return true;
}

uint64_t record_space(struct bytes record)
{
    const unsigned char *at = record.data;
    check(record.size >= RECORD_HEADER_MIN);
    if (!(at[2] & FLAG_SPACE))
        return 0;
    size_t offset = at[2] & FLAG_DEADLINE ? RECORD_HEADER_MIN + 8 : RECORD_HEADER_MIN;
    check(record.size >= offset + 8);
    return get_u64(at + offset);
}

/* ---- keys of the earlier format ------------------------------------------------------ */

void record_old_key_first(struct buffer *key, uint64_t space)
{
    unsigned char out[9] = {'k'};
    put_u64_ordered(out + 1, space);
    buffer_clear(key);
    buffer_append(key, out, sizeof out);
}

void record_old_key_end(struct buffer *key, uint64_t space)
{
    if (space < UINT64_MAX) {
        record_old_key_first(key, space + 1);
        return;
    }
    buffer_clear(key);
    buffer_append_byte(key, 'k' + 1);
}

bool record_old_key_parse(struct bytes key, uint64_t space, struct bytes *name)
{
    const unsigned char *at = key.data;
    if (key.size < PREFIX_MAX || at[0] != 'k' || get_u64_ordered(at + 1) != space)
        return false;
    *name = bytes_of(at + PREFIX_MAX, key.size - PREFIX_MAX);
    return true;
}

unsigned record_old_value_parse(struct bytes record, struct bytes *payload)
{
    const unsigned char *at = record.data;
    if (record.size < OLD_HEADER || at[0] == 0 || at[1] != 0)
        fatal("data: the record of a key is damaged (%zu bytes)", record.size);
    *payload = bytes_of(at + OLD_HEADER, record.size - OLD_HEADER);
    return at[0];
}

/* ---- receipts ------------------------------------------------------------------------ */

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
