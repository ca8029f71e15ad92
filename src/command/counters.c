/* Counters: strings that are numbers (Redis 7.2 t_string.c).
 *
 * INCRBYFLOAT adds long doubles and keeps 17 digits behind the point, as Redis does; every node
 * computes the sum itself, which is the same sum on machines of one architecture.
 *
 * Deterministic; loop thread only. */
#include <math.h>

#include "base/fatal.h"
#include "command/commands.h"
#include "command/string_parts.h"
#include "resp/number.h"

/* Its text; nothing of one in pages that is too long for any, which need not be collected. */
static struct bytes number_in(struct call *call, const struct string *string)
{
    bool is_too_long = string->found.space && string->found.size > NUMBER_LONG_DOUBLE_SIZE;
    return string_part(call, string, 0, is_too_long ? 0 : string->found.size);
}

static void add(struct call *call, int64_t increment)
{
    struct string string;
    int64_t number = 0;
    if (!string_open(call, call->argv[1], &string))
        return;
    if (string.found.type != DB_NONE && !number_parse_i64(number_in(call, &string), &number)) {
        reply_error(call->reply, ERROR_NOT_INTEGER);
        return;
    }
    if (__builtin_add_overflow(number, increment, &number)) {
        reply_error(call->reply, ERROR_OVERFLOW);
        return;
    }
    char text[NUMBER_I64_SIZE];
    struct bytes digits = bytes_of(text, number_format_i64(number, text));
    check(digits.size > 0 && digits.size <= sizeof text);
    call_change_string(call, call->argv[1], &string.found, digits, "incrby");
    reply_integer(call->reply, number);
}

void cmd_incr(struct call *call)
{
    add(call, 1);
}

void cmd_decr(struct call *call)
{
    add(call, -1);
}

bool words_incrby(struct call *call)
{
    int64_t increment;
    return call_integer(call, 2, &increment);
}

void cmd_incrby(struct call *call)
{
    int64_t increment;
    if (call_integer(call, 2, &increment))
        add(call, increment);
}

/* False: answered. */
static bool read_decrement(struct call *call, int64_t *decrement)
{
    if (!call_integer(call, 2, decrement))
        return false;
    if (*decrement == INT64_MIN)
        reply_error(call->reply, "ERR decrement would overflow");
    return *decrement != INT64_MIN;
}

bool words_decrby(struct call *call)
{
    int64_t decrement;
    return read_decrement(call, &decrement);
}

void cmd_decrby(struct call *call)
{
    int64_t decrement;
    if (read_decrement(call, &decrement))
        add(call, -decrement);
}

void cmd_incrbyfloat(struct call *call)
{
    struct string string;
    long double number = 0, increment;
    if (!string_open(call, call->argv[1], &string))
        return;
    if ((string.found.type != DB_NONE &&
         !number_parse_long_double(number_in(call, &string), &number)) ||
        !number_parse_long_double(call->argv[2], &increment)) {
        reply_error(call->reply, "ERR value is not a valid float");
        return;
    }
    number += increment;
    if (isnan(number) || isinf(number)) {
        reply_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[NUMBER_LONG_DOUBLE_SIZE];
    struct bytes sum = bytes_of(text, number_format_long_double(number, text));
    check(sum.size > 0 && sum.size <= sizeof text);
    call_change_string(call, call->argv[1], &string.found, sum, "incrbyfloat");
    reply_bulk(call->reply, sum);
}
