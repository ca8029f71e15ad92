/* BITFIELD, BITFIELD_RO (Redis 7.2 bitops.c): integers of any width at any bit of a string.
 *
 * The words are looked at as a whole before anything is done; then one operation after the other,
 * in slices of many.  The string first gets the length that the furthest write needs, even if that
 * write then fails for its overflow.
 *
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "base/memory.h"
#include "command/bits.h"
#include "command/preparing.h"
#include "command/string_parts.h"
#include "resp/number.h"

enum overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

enum action { FIELD_GET, FIELD_SET, FIELD_INCRBY, FIELD_OVERFLOW };

struct operation {
    enum action action;
    enum overflow overflow; /* of FIELD_OVERFLOW */
    bool is_signed;
    unsigned bits;
    uint64_t offset;
    int64_t operand; /* of SET and INCRBY */
};

/* ---- words --------------------------------------------------------------------------- */

static uint32_t words_of(enum action action)
{
    switch (action) {
    case FIELD_GET: return 3;
    case FIELD_SET: return 4;
    case FIELD_INCRBY: return 4;
    case FIELD_OVERFLOW: return 2;
    }
    return 0;
}

static bool read_action(struct call *call, uint32_t i, enum action *action)
{
    static const char *const names[] = {"get", "set", "incrby", "overflow"};
    for (*action = FIELD_GET; *action <= FIELD_OVERFLOW; ++*action)
        if (bytes_is(call->argv[i], names[*action]) && call->argc - i >= words_of(*action))
            return true;
    return call_refuse(call, ERROR_SYNTAX);
}

static bool read_overflow(struct call *call, uint32_t i, enum overflow *overflow)
{
    static const char *const names[] = {"wrap", "sat", "fail"};
    for (*overflow = OVERFLOW_WRAP; *overflow <= OVERFLOW_FAIL; ++*overflow)
        if (bytes_is(call->argv[i], names[*overflow]))
            return true;
    return call_refuse(call, "ERR Invalid OVERFLOW type specified");
}

/* u1 to u63, i1 to i64. */
static bool read_type(struct call *call, uint32_t i, struct operation *operation)
{
    struct bytes word = call->argv[i];
    const char *text = word.data;
    int64_t bits = 0;
    operation->is_signed = word.size > 0 && text[0] == 'i';
    bool is_type = operation->is_signed || (word.size > 0 && text[0] == 'u');
    is_type = is_type && number_parse_i64(bytes_of(text + 1, word.size - 1), &bits) && bits >= 1 &&
              bits <= (operation->is_signed ? 64 : 63);
    operation->bits = (unsigned)bits;
    return is_type ||
           call_refuse(call, "ERR Invalid bitfield type. Use something like i16 u8. Note "
                             "that u64 is not supported but i64 is.");
}

/* The one at argv[i]; false: answered. */
static bool read_operation(struct call *call, uint32_t i, struct operation *operation)
{
    if (!read_action(call, i, &operation->action))
        return false;
    if (operation->action == FIELD_OVERFLOW)
        return read_overflow(call, i + 1, &operation->overflow);
    if (!read_type(call, i + 1, operation) ||
        !call_bit_offset(call, i + 2, true, operation->bits, &operation->offset))
        return false;
    return operation->action == FIELD_GET || call_integer(call, i + 3, &operation->operand);
}

/* All of them.  *size: of the string that has room for what is written; 0: nothing is. */
static bool read_operations(struct call *call, uint64_t *size)
{
    struct operation operation = {.action = FIELD_GET};
    *size = 0;
    for (uint32_t i = 2; i < call->argc; i += words_of(operation.action)) {
        if (!read_operation(call, i, &operation))
            return false;
        bool writes = operation.action == FIELD_SET || operation.action == FIELD_INCRBY;
        uint64_t end = (operation.offset + operation.bits + 7) / 8;
        if (writes && end > *size)
            *size = end;
    }
    return true;
}

bool words_bitfield(struct call *call)
{
    uint64_t size;
    return read_operations(call, &size);
}

/* ---- numbers -------------------------------------------------------------------------- */

static uint64_t mask_of(unsigned bits)
{
    return bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
}

/* The lower bits as a number of that type. */
static int64_t cut(const struct operation *operation, uint64_t number)
{
    check(operation->bits >= 1);
    check(operation->bits <= 64);
    uint64_t mask = mask_of(operation->bits), sign = 1ull << (operation->bits - 1);
    number &= mask;
    if (operation->is_signed && number & sign)
        number |= ~mask;
    return (int64_t)number;
}

/* Of value + increment: 1 too large for the type, -1 too small, 0 neither. */
static int overflow_of(const struct operation *operation, int64_t value, int64_t increment)
{
    int64_t max = (int64_t)(mask_of(operation->bits) >> operation->is_signed);
    int64_t min = operation->is_signed ? -max - 1 : 0;
    __int128 sum = (__int128)value + increment;
    /* What is further below the top than an int64_t can say counts as above it, as in Redis. */
    bool is_far = operation->is_signed && operation->bits < 64 && value < max - INT64_MAX;
    if (sum > max || is_far)
        return 1;
    return sum < min ? -1 : 0;
}

/* False: it fails for its overflow. */
static bool new_value(const struct operation *operation, enum overflow overflow, int64_t before,
                      int64_t *value)
{
    bool adds = operation->action == FIELD_INCRBY;
    int64_t base = adds ? before : operation->operand, more = adds ? operation->operand : 0;
    int64_t max = (int64_t)(mask_of(operation->bits) >> operation->is_signed);
    *value = cut(operation, (uint64_t)base + (uint64_t)more);
    /* An unsigned field takes what is set for unsigned. */
    bool is_huge = !operation->is_signed && !adds && base < 0;
    int beyond = is_huge ? 1 : overflow_of(operation, base, more);
    if (beyond == 0 || overflow == OVERFLOW_WRAP)
        return true;
    if (beyond > 0)
        *value = max;
    else
        *value = operation->is_signed ? -max - 1 : 0;
    return overflow == OVERFLOW_SAT;
}

/* ---- fields ----------------------------------------------------------------------------- */

enum { WINDOW = 9 }; /* bytes that a field can touch */

static int64_t get_field(const struct operation *operation, const unsigned char *window)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < operation->bits; i++) {
        unsigned bit = (unsigned)(operation->offset % 8) + i;
        number = number << 1 | (window[bit / 8] >> (7 - bit % 8) & 1);
    }
    return cut(operation, number);
}

static void set_field(const struct operation *operation, unsigned char *window, int64_t value)
{
    for (unsigned i = 0; i < operation->bits; i++) {
        unsigned bit = (unsigned)(operation->offset % 8) + i;
        unsigned mask = 0x80u >> (bit % 8);
        bool is_set = (uint64_t)value >> (operation->bits - 1 - i) & 1;
        window[bit / 8] =
            (unsigned char)(is_set ? window[bit / 8] | mask : window[bit / 8] & ~mask);
    }
}

/* True: it was written. */
static bool execute(struct call *call, const struct operation *operation, enum overflow overflow)
{
    struct walk_state *walk = call->walk;
    struct reply found = {&walk->found, call->reply->protocol};
    unsigned char window[WINDOW] = {0};
    size_t size = (size_t)(operation->offset % 8 + operation->bits + 7) / 8;
    struct string string;
    int64_t value;
    bool is_string = string_open(call, call->argv[1], &string);
    check(is_string);
    struct bytes part = string_part(call, &string, operation->offset / 8, size);
    if (part.size > 0)
        memcpy(window, part.data, part.size);
    int64_t before = get_field(operation, window);
    bool writes = operation->action != FIELD_GET;
    bool is_valid = !writes || new_value(operation, overflow, before, &value);
    if (!is_valid)
        reply_null(&found);
    else
        reply_integer(&found, operation->action == FIELD_INCRBY ? value : before);
    if (!writes || !is_valid || value == before)
        return false;
    set_field(operation, window, value);
    string_write(call, call->argv[1], &string, operation->offset / 8, bytes_of(window, size), NULL);
    return true;
}

/* Of the first slice, or those that make room.  False: answered, or not finished. */
static bool begin(struct call *call)
{
    struct walk_state *walk = call->walk;
    struct string string;
    uint64_t size;
    bool is_read = call->command->flags & CMD_READ;
    if (!read_operations(call, &size))
        return false;
    if (is_read && size > 0)
        return call_refuse(call, "ERR BITFIELD_RO only supports the GET subcommand");
    if (!string_open(call, call->argv[1], &string))
        return false;
    if (!is_read && size > call->value_max)
        return call_refuse(call, ERROR_TOO_LARGE);
    if (call->preparing && size > 0 && string_would_move(call, &string, size))
        return false; /* that is not prepared */
    uint64_t space = string.found.space;
    if (size > 0 && !string_make_room(call, call->argv[1], &string, size))
        return false;
    /* What it is stored as counts for those that hear of it, who may be about to delete it. */
    walk->second_round |= string.found.space != space;
    if (size > string.found.size) {
        string_write(call, call->argv[1], &string, size - 1, bytes_of("", 1), NULL);
        walk->second_round = true;
    }
    return true;
}

/* ---- what was prepared ------------------------------------------------------------------ */

/* The string as it is to be, of a preparation that wrote something. */
struct written {
    struct db_record found;
    struct buffer value; /* owned: all of it, if it is plain */
};

static void written_free(void *kept)
{
    struct written *written = kept;
    buffer_deinit(&written->value);
    memory_free(written);
}

static void keep_written(struct call *call)
{
    struct walk_state *walk = call->walk;
    struct written *written;
    struct string string;
    if (!walk->second_round)
        return;
    bool is_string = string_open(call, call->argv[1], &string);
    check(is_string);
    written = memory_new(sizeof *written);
    written->found = string.found;
    if (!string.found.space)
        buffer_append_bytes(&written->value, string.value);
    walk->kept = written;
    walk->kept_free = written_free;
}

/* In the entry: the string becomes that. */
static void put_written(struct call *call)
{
    const struct written *written = call->walk->kept;
    struct bytes key = call->argv[1];
    struct string string;
    if (!written)
        return;
    bool is_string = string_open(call, key, &string);
    check(is_string);
    if (!written->found.space) {
        string_write(call, key, &string, 0, buffer_bytes(&written->value), NULL);
        return;
    }
    struct db_record record = written->found;
    if (string.found.space)
        call_take_changes(call, record.space);
    else
        record.space = call_take_space(call, call->database, record.space);
    db_effects_name(call->db, db_effect_untold);
    db_string_put(call->db, call->database, key, &record, record.size);
}

/* walk->seen is the overflow that is asked for now, second_round whether anything was written. */
void cmd_bitfield(struct call *call)
{
    struct walk_state *walk = call->walk;
    struct operation operation;
    bool is_prepared = call_is_prepared(call);
    if (is_prepared)
        put_written(call);
    else if ((!walk->unfinished || string_is_moving(call)) && !begin(call))
        return;
    uint32_t i = call_slice_prepared(call, 2);
    for (; call_takes(call, i); i += words_of(operation.action)) {
        bool is_read = read_operation(call, i, &operation);
        check(is_read);
        if (operation.action == FIELD_OVERFLOW) {
            walk->seen = operation.overflow;
            continue;
        }
        if (!call_keeps_parts(call, 0))
            return;
        walk->second_round |= execute(call, &operation, (enum overflow)walk->seen);
        walk->count++;
    }
    if (walk->unfinished)
        return;
    if (call_stops(call)) {
        keep_written(call);
        return;
    }
    if (walk->second_round)
        string_tell(call, call->argv[1], "setbit");
    call_reply_parts(call, walk->count);
}

void cmd_bitfield_ro(struct call *call)
{
    cmd_bitfield(call);
}
