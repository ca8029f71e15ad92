/* Numbers as text, against arithmetic in 128 bits; what is read, written again, is the same
 * text. */
#include "fuzz.h"

#include "base/fatal.h"
#include "resp/number.h"

/* Digits without a leading zero; false also if it is beyond 2^64 by far. */
static bool naive(const uint8_t *text, size_t size, unsigned __int128 *value)
{
    *value = 0;
    if (size == 0 || size > 25 || (text[0] == '0' && size > 1))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *value = *value * 10 + (text[i] - '0');
    }
    return true;
}

static void check_integers(const uint8_t *data, size_t size)
{
    uint64_t plain;
    int64_t value;
    unsigned __int128 wanted;
    bool negative = size > 0 && data[0] == '-';
    bool legal = naive(data, size, &wanted) && wanted <= UINT64_MAX;
    check(number_parse_u64(bytes_of(data, size), &plain) == legal);
    if (legal)
        check(plain == wanted);
    legal = naive(data + negative, size - negative, &wanted) && !(negative && wanted == 0) &&
            wanted <= (unsigned __int128)INT64_MAX + negative;
    check(number_parse_i64(bytes_of(data, size), &value) == legal);
    if (!legal)
        return;
    check(value == (int64_t)(negative ? -(__int128)wanted : (__int128)wanted));
    char text[NUMBER_I64_SIZE];
    size_t written = number_format_i64(value, text);
    check(bytes_equal(bytes_of(text, written), bytes_of(data, size)));
}

static void check_bits(const uint8_t *data)
{
    char text[NUMBER_I64_SIZE];
    int64_t value, again;
    memcpy(&value, data, sizeof value);
    size_t size = number_format_i64(value, text);
    check(text[size] == '\0');
    check(number_parse_i64(bytes_of(text, size), &again));
    check(again == value);
}

static void check_fraction(const uint8_t *data, size_t size)
{
    static char text[NUMBER_LONG_DOUBLE_SIZE];
    long double value, again;
    if (!number_parse_long_double(bytes_of(data, size), &value) || value - value != 0)
        return;
    size_t written = number_format_long_double(value, text);
    check(written < sizeof text);
    check(number_parse_long_double(bytes_of(text, written), &again));
    long double difference = again > value ? again - value : value - again;
    check(difference <= 1e-17L || difference <= 1e-18L * (value < 0 ? -value : value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_integers(data, size);
    if (size >= 8)
        check_bits(data);
    check_fraction(data, size);
    return 0;
}
