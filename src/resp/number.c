/* Integers as text.  The strict form matters beyond taste: INCR may store only what GET gives back
 * byte for byte, and every node must agree on what counts as a number.
 *
 * Pure functions, any thread. */
#include "resp/number.h"

/*@ requires \valid_read(text + (0 .. size - 1)) && \valid(value);
    requires \separated(value, text + (0 .. size - 1));
    assigns *value;
    ensures exact: \result ==> canonical(text, size) && *value == decimal(text, size);
    ensures refused: !\result ==> !canonical(text, size) || too_large(text, size);
*/
static bool parse_digits(const char *text, size_t size, uint64_t *value)
{
    if (size == 0 || size > 20)
        return false;
    if (text[0] == '0' && size > 1)
        return false;
    uint64_t sum = 0;
    /*@ loop invariant 0 <= i <= size;
        loop invariant \forall integer j; 0 <= j < i ==> '0' <= text[j] <= '9';
        loop invariant sum == decimal(text, i);
        loop assigns i, sum;
        loop variant size - i;
    */
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        //@ assert decimal(text, i + 1) == 10 * sum + digit;
        if (sum > UINT64_MAX / 10 || 10 * sum > UINT64_MAX - digit)
            return false;
        sum = 10 * sum + digit;
    }
    *value = sum;
    return true;
}

bool number_read_i64(const char *text, size_t size, int64_t *value)
{
    uint64_t magnitude;
    if (size == 0 || text[0] != '-') {
        if (!parse_digits(text, size, &magnitude) || magnitude > INT64_MAX)
            return false;
        *value = (int64_t)magnitude;
        return true;
    }
    if (!parse_digits(text + 1, size - 1, &magnitude))
        return false;
    if (magnitude == 0 || magnitude > (uint64_t)INT64_MAX + 1)
        return false;
    *value = -(int64_t)(magnitude - 1) - 1; /* the lowest has no positive counterpart */
    return true;
}

bool number_parse_u64(struct bytes text, uint64_t *value)
{
    return parse_digits(text.data, text.size, value);
}

bool number_parse_i64(struct bytes text, int64_t *value)
{
    return number_read_i64(text.data, text.size, value);
}

size_t number_format_i64(int64_t value, char *out)
{
    if (value >= 0)
        return number_format_u64((uint64_t)value, out);
    out[0] = '-';
    return 1 + number_format_u64(0 - (uint64_t)value, out + 1);
}

size_t number_format_u64(uint64_t value, char *out)
{
    char digits[NUMBER_I64_SIZE];
    size_t count = 0, size = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (count)
        out[size++] = digits[--count];
    out[size] = '\0';
    return size;
}
