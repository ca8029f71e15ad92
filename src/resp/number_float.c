/* Numbers with a fraction as text, through the C library, whose long double has the same 64-bit
 * mantissa on every machine of one architecture; a cluster must therefore not mix architectures
 * (INCRBYFLOAT would drift apart).
 *
 * Pure functions, any thread. */
#include <ctype.h>
#include <errno.h>
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
