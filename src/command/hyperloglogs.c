/* PFADD, PFCOUNT, PFMERGE (Redis 7.2 hyperloglog.c).
 *
 * PFCOUNT of one key is a read that Redis lets write the estimate into the value.  Here a read
 * changes nothing: the estimate is computed each time, some 20 us, until Redis, or whoever wrote
 * the value, kept one in it.
 *
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "command/hyperloglog.h"
#include "command/preparing.h"
#include "command/string_parts.h"

#define ERROR_INVALID "WRONGTYPE Key is not a valid HyperLogLog string value."
#define ERROR_DAMAGED "INVALIDOBJ Corrupted HLL object detected"

static bool refuse(struct call *call, const char *error)
{
    reply_error(call->reply, "%s", error);
    call->walk->unfinished = false;
    return false;
}

/* The HyperLogLog at a key, or none; false: it is something else, answered. */
static bool look_at(struct call *call, struct bytes key, struct string *string)
{
    if (!string_open(call, key, string)) {
        call->walk->unfinished = false;
        return false;
    }
    if (string->found.space) /* too long for any: its header says which error that is */
        string->value = string_part(call, string, 0, HYPERLOGLOG_HEADER);
    return string->found.type == DB_NONE || hyperloglog_is_valid(string->value) ||
           refuse(call, ERROR_INVALID);
}

/* ---- changes ------------------------------------------------------------------------- */

/* A copy, or one without elements. */
static void copy(struct buffer *value, const struct string *string)
{
    if (string->found.type == DB_NONE)
        hyperloglog_init(value);
    else
        buffer_append_bytes(value, string->value);
}

static void put(struct call *call, const struct db_record *found, struct buffer *value)
{
    struct bytes key = call->argv[1];
    hyperloglog_forget_kept(value);
    if (found->type == DB_NONE)
        call_put_string(call, key, buffer_bytes(value), db_effect_untold);
    else
        call_change_string(call, key, found, buffer_bytes(value), db_effect_untold);
}

/* Elements of a slice, into a copy.  False: it is damaged. */
static bool add_to_copy(struct call *call, const struct string *string)
{
    struct walk_state *walk = call->walk;
    struct buffer value = {0};
    struct db_record found = string->found;
    enum hyperloglog_change change = HYPERLOGLOG_SAME;
    bool is_changed = found.type == DB_NONE;
    copy(&value, string);
    for (uint32_t i = call_slice(call, 2); change != HYPERLOGLOG_DAMAGED && call_takes(call, i);
         i++) {
        unsigned number, count = hyperloglog_register_of(call->argv[i], &number);
        change = hyperloglog_raise(&value, number, count);
        is_changed |= change == HYPERLOGLOG_CHANGED;
    }
    if (is_changed && change != HYPERLOGLOG_DAMAGED)
        put(call, &found, &value);
    walk->second_round |= is_changed;
    buffer_deinit(&value);
    return change != HYPERLOGLOG_DAMAGED;
}

/* The same where it is: a dense one is large, and a change of it is small. */
static void add_in_place(struct call *call, struct string *string)
{
    struct bytes key = call->argv[1];
    for (uint32_t i = call_slice(call, 2); call_takes(call, i); i++) {
        unsigned number, count = hyperloglog_register_of(call->argv[i], &number);
        struct hyperloglog_patch patches[2];
        if (!hyperloglog_dense_patch(string->value, number, count, patches))
            continue;
        for (int j = 0; j < 2; j++) {
            string_write(call, key, string, patches[j].at,
                         bytes_of(patches[j].bytes, patches[j].size), NULL);
            bool is_there = string_open(call, key, string);
            check(is_there);
        }
        call->walk->second_round = true;
    }
}

/* The value for the entry, if it was changed. */
static void put_aside(struct call *call)
{
    struct string string;
    bool is_there = call->walk->second_round && string_open(call, call->argv[1], &string);
    if (is_there)
        buffer_append_bytes(&call->walk->found, string.value);
}

/* walk->second_round: something was changed. */
void cmd_pfadd(struct call *call)
{
    struct string string;
    struct walk_state *walk = call->walk;
    if (!look_at(call, call->argv[1], &string))
        return;
    if (call_is_prepared(call)) {
        walk->unfinished = false;
        if (walk->second_round)
            put(call, &string.found, &walk->found);
    } else if (string.found.type != DB_NONE && hyperloglog_is_dense(string.value))
        add_in_place(call, &string);
    else {
        bool is_put = walk->second_round;
        if (!add_to_copy(call, &string)) {
            if (is_put) /* by a slice before; what nobody hears of would be prepared upon */
                string_tell(call, call->argv[1], "pfadd");
            refuse(call, ERROR_DAMAGED);
            return;
        }
    }
    if (walk->unfinished)
        return;
    if (call_stops(call)) {
        put_aside(call);
        return;
    }
    if (walk->second_round)
        string_tell(call, call->argv[1], "pfadd");
    reply_integer(call->reply, walk->second_round);
}

/* ---- unions ----------------------------------------------------------------------------- */

/* Raises the registers in walk->found to those of the keys from argv[1] on, some in a slice.
 * walk->second_round: one of them is dense.  False: not all yet, or answered. */
static bool merge_keys(struct call *call)
{
    struct walk_state *walk = call->walk;
    struct buffer *registers = &walk->found;
    if (registers->size == 0) {
        buffer_reserve(registers, HYPERLOGLOG_REGISTERS);
        memset(registers->data, 0, HYPERLOGLOG_REGISTERS);
        registers->size = HYPERLOGLOG_REGISTERS;
    }
    for (uint32_t i = call_slice(call, 1); call_takes(call, i); i++) {
        struct string string;
        if (!look_at(call, call->argv[i], &string))
            return false;
        if (string.found.type == DB_NONE)
            continue;
        walk->second_round |= hyperloglog_is_dense(string.value);
        if (!hyperloglog_merge((uint8_t *)registers->data, string.value))
            return refuse(call, ERROR_DAMAGED);
        db_spend(call->db, HYPERLOGLOG_REGISTERS);
    }
    return !walk->unfinished;
}

void cmd_pfcount(struct call *call)
{
    uint64_t estimate;
    if (call->argc == 2) {
        struct string string;
        if (!look_at(call, call->argv[1], &string))
            return;
        if (string.found.type != DB_NONE && hyperloglog_kept(string.value, &estimate)) {
            reply_integer(call->reply, (int64_t)estimate);
            return;
        }
    }
    if (!merge_keys(call))
        return;
    estimate = hyperloglog_estimate((const uint8_t *)call->walk->found.data);
    reply_integer(call->reply, (int64_t)estimate);
}

/* False: what is there is damaged. */
static bool raise_all(struct buffer *value, const uint8_t *registers)
{
    for (unsigned i = 0; i < HYPERLOGLOG_REGISTERS; i++)
        if (registers[i] > 0 && hyperloglog_raise(value, i, registers[i]) == HYPERLOGLOG_DAMAGED)
            return false;
    return true;
}

void cmd_pfmerge(struct call *call)
{
    struct string string;
    struct buffer value = {0};
    struct walk_state *walk = call->walk;
    if (call_is_prepared(call))
        walk->unfinished = false;
    else if (!merge_keys(call) || call_stops(call))
        return;
    if (!look_at(call, call->argv[1], &string))
        return;
    struct db_record found = string.found;
    copy(&value, &string);
    bool is_whole = !walk->second_round || hyperloglog_make_dense(&value);
    if (is_whole && raise_all(&value, (const uint8_t *)walk->found.data)) {
        put(call, &found, &value);
        string_tell(call, call->argv[1], "pfadd");
        call_reply_ok(call->reply);
    } else {
        refuse(call, ERROR_DAMAGED);
    }
    buffer_deinit(&value);
}
