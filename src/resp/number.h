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

/*@ axiomatic Decimal { // what text[0 .. size) says as decimal digits
      logic integer decimal{L}(char *text, integer size) reads text[0 .. size - 1];
      axiom decimal_none{L}: \forall char *text; decimal(text, 0) == 0;
      axiom decimal_one_more{L}: \forall char *text, integer size; size >= 0 ==>
        decimal(text, size + 1) == 10 * decimal(text, size) + text[size] - '0';
    }

    // Digits and nothing else, no leading zero.
    predicate canonical{L}(char *text, integer size) =
      0 < size && (text[0] == '0' ==> size == 1) &&
      \forall integer i; 0 <= i < size ==> '0' <= text[i] <= '9';
    predicate too_large{L}(char *text, integer size) =
      size > 20 || \exists integer i; 0 <= i <= size && decimal(text, i) > UINT64_MAX;

    // What is read as a signed number, and what is not: no "-0".
    predicate i64_read{L}(char *text, integer size, integer value) =
      size > 0 && text[0] == '-'
        ? canonical(text + 1, size - 1) && value == -decimal(text + 1, size - 1) && value < 0
        : canonical(text, size) && value == decimal(text, size);
    predicate i64_refused{L}(char *text, integer size) =
      size > 0 && text[0] == '-'
        ? !canonical(text + 1, size - 1) || too_large(text + 1, size - 1) ||
          decimal(text + 1, size - 1) == 0 || -decimal(text + 1, size - 1) < INT64_MIN
        : !canonical(text, size) || too_large(text, size) || decimal(text, size) > INT64_MAX;
*/

/*@ requires \valid_read(text + (0 .. size - 1)) && \valid(value);
    requires \separated(value, text + (0 .. size - 1));
    assigns *value;
    ensures read: \result ==> i64_read(text, size, *value);
    ensures refused: !\result ==> i64_refused(text, size);
*/
bool number_read_i64(const char *text, size_t size, int64_t *value);
bool number_parse_i64(struct bytes text, int64_t *value);
bool number_parse_u64(struct bytes text, uint64_t *value);
/* The text's length; `out` has NUMBER_I64_SIZE bytes and gets a NUL. */
size_t number_format_i64(int64_t value, char *out);
size_t number_format_u64(uint64_t value, char *out);

/* "3.0", "1e5", "-inf", as strtold takes them; not NaN, not beyond the range. */
bool number_parse_long_double(struct bytes text, long double *value);
/* 17 digits behind the point, trailing zeros dropped; `out` has NUMBER_LONG_DOUBLE_SIZE bytes. */
size_t number_format_long_double(long double value, char *out);
/* The shortest decimal that reads back as `value`, in Redis's form (7.2 util.c d2string); `out` has
 * NUMBER_DOUBLE_SIZE bytes. */
size_t number_format_double(double value, char *out);

#endif
