/* Numbers as text.
 *
 * The strict integer form matters beyond taste: INCR may store only what GET gives back byte for
 * byte, and every node must agree on what counts as a number.  The floating-point texts go through
 * the C library, whose long double has the same 64-bit mantissa on every machine of one
 * architecture; a cluster must therefore not mix architectures (INCRBYFLOAT would drift apart).
 *
 * Pure functions, any thread. */
#include "resp/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fatal.h"

bool number_parse_u64(struct bytes text, uint64_t *value)
{
    const char *digits = text.data;
    if (text.size == 0 || text.size > 20)
        return false;
    if (digits[0] == '0' && text.size > 1)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        if (__builtin_mul_overflow(sum, 10u, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(digits[i] - '0'), &sum))
            return false;
    }
    *value = sum;
    return true;
}

bool number_parse_i64(struct bytes text, int64_t *value)
{
    const char *first = text.data;
    bool negative = text.size > 0 && first[0] == '-';
    uint64_t magnitude;
    if (!number_parse_u64(bytes_of(first + negative, text.size - negative), &magnitude))
        return false;
    if (negative && magnitude == 0)
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

size_t number_format_i64(int64_t value, char *out)
{
    char digits[NUMBER_I64_SIZE];
    size_t count = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    size_t size = 0;
    if (value < 0)
        out[size++] = '-';
    while (count)
        out[size++] = digits[--count];
    out[size] = '\0';
    return size;
}

bool number_parse_long_double(struct bytes text, long double *value)
{
    char copy[NUMBER_LONG_DOUBLE_SIZE];
    if (text.size == 0 || text.size >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (isspace((unsigned char)copy[0]))
        return false;
    char *end;
    errno = 0;
    long double parsed = strtold(copy, &end);
    if ((size_t)(end - copy) != text.size || isnan(parsed))
        return false;
    if (errno == ERANGE && (isinf(parsed) || fpclassify(parsed) == FP_ZERO))
        return false;
    *value = parsed;
    return true;
}

size_t number_format_long_double(long double value, char *out)
{
    int printed = snprintf(out, NUMBER_LONG_DOUBLE_SIZE, "%.17Lf", value);
    check(printed > 0 && printed < NUMBER_LONG_DOUBLE_SIZE);
    size_t size = (size_t)printed;
    if (memchr(out, '.', size)) {
        while (out[size - 1] == '0')
            size--;
        if (out[size - 1] == '.')
            size--;
    }
    if (size == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        size = 1;
    }
    out[size] = '\0';
    return size;
}

size_t number_format_double(double value, char *out)
{
    if (isnan(value))
        return (size_t)snprintf(out, NUMBER_DOUBLE_SIZE, "nan");
    if (isinf(value))
        return (size_t)snprintf(out, NUMBER_DOUBLE_SIZE, value > 0 ? "inf" : "-inf");
    int size = 0;
    for (int digits = 1; digits <= 17; digits++) {
        size = snprintf(out, NUMBER_DOUBLE_SIZE, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    return (size_t)size;
}
