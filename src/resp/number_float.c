/* Numbers with a fraction as text, through the C library, whose long double has the same 64-bit
 * mantissa on every machine of one architecture; a cluster must therefore not mix architectures
 * (INCRBYFLOAT would drift apart).
 *
 * Pure functions, any thread. */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "resp/number.h"

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

/* The fewest digits that read back as the value, which is not 0 and finite; *exponent: of the
 * first. */
static int shortest_digits(double value, char *digits, int *exponent)
{
    char text[NUMBER_DOUBLE_SIZE];
    int precision = value < DBL_MIN ? 0 : 14; /* 15 digits are exact, unless it is subnormal */
    do
        snprintf(text, sizeof text, "%.*e", precision, value);
    while (strtod(text, NULL) != value && ++precision < 17);
    int count = 0;
    const char *at = text;
    for (; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9')
            digits[count++] = *at;
    *exponent = (int)strtol(at + 1, NULL, 10);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

/* Redis's choice between the forms (7.2 fpconv_dtoa.c, emit_digits). */
static int print_digits(const char *digits, int count, int exponent, char *out)
{
    int behind = exponent - count + 1; /* zeros, or below 0 digits behind the point */
    int size = exponent < 0 ? -exponent : exponent;
    if (behind >= 0 && size < count + 7)
        return snprintf(out, NUMBER_DOUBLE_SIZE - 1, "%.*s%.*s", count, digits, behind, "0000000");
    if (behind < 0 && (behind > -7 || size < 4)) {
        int before = count + behind;
        if (before > 0)
            return snprintf(out, NUMBER_DOUBLE_SIZE - 1, "%.*s.%.*s", before, digits, -behind,
                            digits + before);
        return snprintf(out, NUMBER_DOUBLE_SIZE - 1, "0.%.*s%.*s", -before, "0000000", count,
                        digits);
    }
    char sign = exponent < 0 ? '-' : '+';
    if (count == 1)
        return snprintf(out, NUMBER_DOUBLE_SIZE - 1, "%.1se%c%d", digits, sign, size);
    return snprintf(out, NUMBER_DOUBLE_SIZE - 1, "%.1s.%.*se%c%d", digits, count - 1, digits + 1,
                    sign, size);
}

/* As a whole number, where Redis writes it so (7.2 util.c, double2ll). */
static bool is_whole(double value)
{
    return value >= -(double)(INT64_MAX / 2) && value <= (double)(INT64_MAX / 2) &&
           (double)(int64_t)value == value;
}

size_t number_format_double(double value, char *out)
{
    char digits[NUMBER_DOUBLE_SIZE];
    int exponent;
    if (isnan(value))
        return (size_t)snprintf(out, NUMBER_DOUBLE_SIZE, "nan");
    if (isinf(value))
        return (size_t)snprintf(out, NUMBER_DOUBLE_SIZE, value > 0 ? "inf" : "-inf");
    if (value == 0)
        return (size_t)snprintf(out, NUMBER_DOUBLE_SIZE, signbit(value) ? "-0" : "0");
    if (is_whole(value))
        return number_format_i64((int64_t)value, out);
    int count = shortest_digits(fabs(value), digits, &exponent);
    bool is_negative = value < 0;
    out[0] = '-';
    return is_negative + (size_t)print_digits(digits, count, exponent, out + is_negative);
}
