/* Hashes (Redis 7.2 t_hash.c).
 *
 * Small or large is fields.c's affair.  What changes any number of fields goes in slices and saves
 * the key at its end, once: so what an entry says it did does not depend on where slices ended.
 *
 * Deterministic; loop thread only. */
#include <math.h>

#include "base/fatal.h"
#include "command/commands.h"
#include "command/preparing.h"
#include "command/walk.h"
#include "resp/number.h"

static bool open_hash(struct call *call, struct fields *fields)
{
    return call_fields(call, call->argv[1], DB_HASH, fields);
}

/* ---- writing ----------------------------------------------------------------------- */

bool words_hset(struct call *call)
{
    if (call->argc % 2 != 0)
        call_wrong_arity(call);
    return call->argc % 2 == 0;
}

/* False: not finished, or answered with an error.  *added: fields that are new. */
static bool set_fields(struct call *call, uint64_t *added)
{
    struct fields fields;
    if (!words_hset(call) || !open_hash(call, &fields))
        return false;
    walk_take_back(call, &fields);
    fields_expect(&fields, call->argv[2], (call->argc - 2) / 2);
    for (uint32_t i = call_slice_prepared(call, 2); call_takes(call, i); i += 2)
        call->walk->seen += !fields_put(&fields, call->argv[i], call->argv[i + 1]);
    *added = call->walk->seen;
    if (call->walk->unfinished || call_stops(call))
        walk_put_aside(call, &fields);
    else
        fields_save(&fields, "hset");
    fields_close(&fields);
    return !call->walk->unfinished;
}

void cmd_hset(struct call *call)
{
    uint64_t added;
    if (set_fields(call, &added))
        reply_integer(call->reply, (int64_t)added);
}

void cmd_hmset(struct call *call)
{
    uint64_t added;
    if (set_fields(call, &added))
        call_reply_ok(call->reply);
}

void cmd_hsetnx(struct call *call)
{
    struct fields fields;
    struct bytes value;
    if (!open_hash(call, &fields))
        return;
    bool is_free = !fields_get(&fields, call->argv[2], &value);
    if (is_free) {
        fields_put(&fields, call->argv[2], call->argv[3]);
        fields_save(&fields, "hset");
    }
    fields_close(&fields);
    reply_integer(call->reply, is_free);
}

void cmd_hdel(struct call *call)
{
    struct fields fields;
    if (!open_hash(call, &fields))
        return;
    walk_take_back(call, &fields);
    for (uint32_t i = call_slice_prepared(call, 2); fields.count > 0 && call_takes(call, i); i++)
        call->walk->seen += fields_delete(&fields, call->argv[i]);
    if (call->walk->unfinished || call_stops(call)) {
        walk_put_aside(call, &fields);
    } else {
        if (fields.is_changed)
            fields_save(&fields, "hdel");
        reply_integer(call->reply, (int64_t)call->walk->seen);
    }
    fields_close(&fields);
}

/* ---- counting ---------------------------------------------------------------------- */

/* It keeps its deadline. */
static void put_number(struct call *call, struct fields *fields, struct bytes text,
                       int64_t deadline_ms, const char *event)
{
    fields_put_until(fields, call->argv[2], text, deadline_ms);
    fields_save(fields, event);
}

bool words_hincrby(struct call *call)
{
    int64_t increment;
    return call_integer(call, 3, &increment);
}

static void add_integer(struct call *call, struct fields *fields, int64_t increment)
{
    struct bytes value;
    int64_t number = 0, deadline_ms;
    if (fields_find(fields, call->argv[2], &value, &deadline_ms) &&
        !number_parse_i64(value, &number)) {
        reply_error(call->reply, "ERR hash value is not an integer");
        return;
    }
    if (__builtin_add_overflow(number, increment, &number)) {
        reply_error(call->reply, ERROR_OVERFLOW);
        return;
    }
    char text[NUMBER_I64_SIZE];
    put_number(call, fields, bytes_of(text, number_format_i64(number, text)), deadline_ms,
               "hincrby");
    reply_integer(call->reply, number);
}

void cmd_hincrby(struct call *call)
{
    struct fields fields;
    int64_t increment;
    if (!call_integer(call, 3, &increment) || !open_hash(call, &fields))
        return;
    add_integer(call, &fields, increment);
    fields_close(&fields);
}

/* False: answered. */
static bool read_float(struct call *call, long double *increment)
{
    if (!number_parse_long_double(call->argv[3], increment)) {
        reply_error(call->reply, ERROR_NOT_FLOAT);
        return false;
    }
    if (isinf(*increment))
        reply_error(call->reply, "ERR value is NaN or Infinity");
    return !isinf(*increment);
}

bool words_hincrbyfloat(struct call *call)
{
    long double increment;
    return read_float(call, &increment);
}

static void add_float(struct call *call, struct fields *fields, long double increment)
{
    struct bytes value;
    long double number = 0;
    int64_t deadline_ms;
    if (fields_find(fields, call->argv[2], &value, &deadline_ms) &&
        !number_parse_long_double(value, &number)) {
        reply_error(call->reply, "ERR hash value is not a float");
        return;
    }
    number += increment;
    if (isnan(number) || isinf(number)) {
        reply_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[NUMBER_LONG_DOUBLE_SIZE];
    struct bytes sum = bytes_of(text, number_format_long_double(number, text));
    put_number(call, fields, sum, deadline_ms, "hincrbyfloat");
    reply_bulk(call->reply, sum);
}

void cmd_hincrbyfloat(struct call *call)
{
    struct fields fields;
    long double increment;
    if (!read_float(call, &increment) || !open_hash(call, &fields))
        return;
    add_float(call, &fields, increment);
    fields_close(&fields);
}

/* ---- reading ----------------------------------------------------------------------- */

/* False: answered with the error. */
static bool get_field(struct call *call, struct bytes *value, bool *exists)
{
    struct fields fields;
    if (!open_hash(call, &fields))
        return false;
    *exists = fields_get(&fields, call->argv[2], value);
    fields_close(&fields);
    return true;
}

void cmd_hget(struct call *call)
{
    struct bytes value;
    bool exists;
    if (get_field(call, &value, &exists))
        call_reply_value(call->reply, value, exists);
}

void cmd_hexists(struct call *call)
{
    struct bytes value;
    bool exists;
    if (get_field(call, &value, &exists))
        reply_integer(call->reply, exists);
}

void cmd_hstrlen(struct call *call)
{
    struct bytes value;
    bool exists;
    if (get_field(call, &value, &exists))
        reply_integer(call->reply, exists ? (int64_t)value.size : 0);
}

void cmd_hlen(struct call *call)
{
    struct fields fields;
    if (!open_hash(call, &fields))
        return;
    reply_integer(call->reply, (int64_t)fields_living(&fields));
    fields_close(&fields);
}

void cmd_hmget(struct call *call)
{
    struct fields fields;
    if (!open_hash(call, &fields))
        return;
    for (uint32_t i = call_slice(call, 2); call_takes(call, i); i++) {
        struct bytes value;
        bool exists = fields_get(&fields, call->argv[i], &value);
        if (!call_keeps_parts(call, exists ? value.size : 0))
            return;
        call_add_part(call, value, exists);
        call->walk->budget -= exists ? (int64_t)value.size : 0;
    }
    if (!call->walk->unfinished)
        call_reply_parts(call, call->argc - 2);
}

/* ---- all of it ----------------------------------------------------------------------- */

void cmd_hkeys(struct call *call)
{
    struct fields fields;
    if (open_hash(call, &fields) && walk_all(call, &fields, WALK_NAMES))
        call_reply_parts(call, call->walk->count);
}

void cmd_hvals(struct call *call)
{
    struct fields fields;
    if (open_hash(call, &fields) && walk_all(call, &fields, WALK_VALUES))
        call_reply_parts(call, call->walk->count);
}

void cmd_hgetall(struct call *call)
{
    struct fields fields;
    if (!open_hash(call, &fields) || !walk_all(call, &fields, WALK_NAMES | WALK_VALUES))
        return;
    reply_map(call->reply, call->walk->count / 2);
    call_end_parts(call);
}

void cmd_hscan(struct call *call)
{
    walk_scan(call, DB_HASH, WALK_NAMES | WALK_VALUES);
}

/* ---- HRANDFIELD ------------------------------------------------------------------------ */

static bool read_draw(struct call *call, int64_t *count, bool *with_values)
{
    *with_values = call->argc == 4 && bytes_is(call->argv[3], "withvalues");
    if (!walk_draw_count(call, count))
        return false;
    if (call->argc > 4 || (call->argc == 4 && !*with_values)) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    bool is_small = *count >= -INT64_MAX / 2 && *count <= INT64_MAX / 2;
    if (*with_values && !is_small)
        reply_error(call->reply, ERROR_OUT_OF_RANGE);
    return !*with_values || is_small;
}

void cmd_hrandfield(struct call *call)
{
    struct fields fields;
    int64_t count;
    bool with_values;
    if (call->argc == 2) {
        if (open_hash(call, &fields))
            walk_draw_one(call, &fields);
        return;
    }
    if (!read_draw(call, &count, &with_values) || !open_hash(call, &fields))
        return;
    unsigned what = with_values ? WALK_NAMES | WALK_VALUES : WALK_NAMES;
    if (with_values && call->reply->protocol == 3)
        what |= WALK_PAIRS;
    if (walk_draw(call, &fields, count, what))
        call_reply_parts(call, call->walk->count);
}
