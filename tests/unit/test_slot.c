/* The slot of a key: what Redis Cluster's clients compute themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "data/slot.h"

enum { KEY_SIZE_MAX = 70 };

/* As the standard has it, a bit at a time. */
static unsigned crc16(const unsigned char *at, size_t size)
{
    unsigned crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned)at[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
    }
    return crc;
}

static void test_known(void **state)
{
    (void)state;
    assert_int_equal(record_slot(bytes_from_string("123456789")), 0x31c3);
    assert_int_equal(record_slot(bytes_from_string("foo")), 12182);
    assert_int_equal(record_slot(bytes_from_string("")), 0);
}

static void test_any_bytes(void **state)
{
    uint64_t dice = 1;
    unsigned char key[KEY_SIZE_MAX];
    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t size = prng_below(&dice, sizeof key + 1);
        for (size_t i = 0; i < size; i++) {
            uint64_t byte = prng_below(&dice, 255);
            key[i] = (unsigned char)(byte + (byte >= '{')); /* which might begin a tag */
        }
        assert_int_equal(record_slot(bytes_of(key, size)), crc16(key, size) & (SLOTS - 1));
    }
}

static void test_tags(void **state)
{
    (void)state;
    unsigned tag = record_slot(bytes_from_string("user"));
    assert_int_equal(record_slot(bytes_from_string("a{user}b")), tag);
    assert_int_equal(record_slot(bytes_from_string("{user}{b}")), tag);
    assert_int_equal(record_slot(bytes_from_string("a{}user")),
                     crc16((const unsigned char *)"a{}user", 7) & (SLOTS - 1));
    assert_int_equal(record_slot(bytes_from_string("a{user")),
                     crc16((const unsigned char *)"a{user", 6) & (SLOTS - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
