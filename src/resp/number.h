/* Numbers as the protocol and the commands write them, in Redis's strict form (7.2 util.c
 * string2ll, string2ld, ld2string): no blanks, no "+", no leading zeros, nothing left over. */
#ifndef RESP_NUMBER_H
#define RESP_NUMBER_H

#include <stdint.h>

#include "base/bytes.h"

enum {
    NUMBER_I64_SIZE = 21,          /* "-9223372036854775808" and a NUL */
    NUMBER_DOUBLE_SIZE = 40,       /* any double, and a NUL */
    NUMBER_LONG_DOUBLE_SIZE = 5120 /* any long double as %.17Lf, and a NUL */
};

bool number_parse_i64(struct bytes text, int64_t *value);
bool number_parse_u64(struct bytes text, uint64_t *value);
/* The text's length; `out` has NUMBER_I64_SIZE bytes and gets a NUL. */
size_t number_format_i64(int64_t value, char *out);

/* "3.0", "1e5", "-inf", as strtold takes them; not NaN, not beyond the range. */
bool number_parse_long_double(struct bytes text, long double *value);
/* 17 digits behind the point, trailing zeros dropped; `out` has NUMBER_LONG_DOUBLE_SIZE bytes. */
size_t number_format_long_double(long double value, char *out);
/* The shortest decimal that reads back as `value`; `out` has NUMBER_DOUBLE_SIZE bytes. */
size_t number_format_double(double value, char *out);

#endif
