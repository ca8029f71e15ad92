/* Rows that are kept: what is found is what was kept, nothing of before they were forgotten, no
 * more bytes than were given; and who is asked for often stays among many who are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/prng.h"
#include "data/cache.h"

enum { ROWS = 4000, RECORD_MAX = 700, BYTES_MAX = 300000 };

static struct bytes key_of(unsigned number, char text[16])
{
    int size = snprintf(text, 16, "row %u", number);
    return bytes_of(text, (size_t)size);
}

/* Of a row as it is after so many changes. */
static struct bytes record_of(unsigned number, unsigned changes, char text[RECORD_MAX])
{
    uint64_t dice = number * 1000003 + changes;
    memset(text, 'a' + (int)(changes % 26), RECORD_MAX);
    return bytes_of(text, (size_t)prng_below(&dice, RECORD_MAX));
}

static void test_what_is_found_was_kept(void **state)
{
    (void)state;
    struct layers_cache *cache = layers_cache_new(BYTES_MAX);
    unsigned changes = 0, found = 0;
    uint64_t dice = 1;
    char name[16], text[RECORD_MAX];
    struct bytes record;
    for (unsigned i = 0; i < 200000; i++) {
        unsigned number = (unsigned)prng_below(&dice, prng_below(&dice, 2) ? ROWS : ROWS / 100);
        struct bytes key = key_of(number, name), expected = record_of(number, changes, text);
        bool is_there = layers_cache_find(cache, key, &record);
        found += is_there;
        if (is_there)
            assert_true(bytes_equal(record, expected));
        else
            layers_cache_keep(cache, key, expected);
        assert_true(layers_cache_bytes(cache) <= BYTES_MAX);
        unsigned gone = (unsigned)prng_below(&dice, ROWS);
        key = key_of(gone, name);
        if (i % 10 == 0)
            layers_cache_drop(cache, key);
        if (i % 20 == 0)
            assert_false(layers_cache_find(cache, key, &record));
        if (i % 10 == 5) {
            layers_cache_renew(cache, key, bytes_from_string("for a moment"));
            layers_cache_renew(cache, key, record_of(gone, changes, text));
        }
        if (prng_below(&dice, 5000) == 0) {
            layers_cache_forget(cache);
            changes++;
            assert_false(layers_cache_find(cache, key_of(number, name), &record));
        }
    }
    assert_true(found > 90000); /* nearly half of the looks are at a hundredth of the rows */
    layers_cache_free(cache);
}

static void test_who_is_asked_for_stays(void **state)
{
    enum { WANTED = 50 };
    (void)state;
    struct layers_cache *cache = layers_cache_new(BYTES_MAX);
    uint64_t dice = 2, missed = 0;
    char name[16], text[RECORD_MAX];
    struct bytes record;
    for (unsigned i = 0; i < 100000; i++) {
        unsigned number = i % 2 ? (unsigned)prng_below(&dice, WANTED) : 1000 + i;
        struct bytes key = key_of(number, name);
        if (layers_cache_find(cache, key, &record))
            continue;
        missed += number < WANTED;
        layers_cache_keep(cache, key, record_of(number, 0, text));
    }
    assert_true(missed < 1000);
    layers_cache_free(cache);
}

/* Nobody gives way to another while there is room. */
static void test_what_has_room_stays(void **state)
{
    enum { MANY = 2000 }; /* of some 80 bytes each */
    (void)state;
    struct layers_cache *cache = layers_cache_new(BYTES_MAX);
    unsigned found = 0;
    char name[16];
    struct bytes record;
    for (unsigned i = 0; i < MANY; i++)
        layers_cache_keep(cache, key_of(i, name), bytes_from_string("twenty bytes or more"));
    for (unsigned i = 0; i < MANY; i++)
        found += layers_cache_find(cache, key_of(i, name), &record);
    assert_true(found > MANY * 95 / 100); /* some sets are full */
    layers_cache_free(cache);
}

static void test_a_row_that_is_renewed_is_another(void **state)
{
    (void)state;
    struct layers_cache *cache = layers_cache_new(BYTES_MAX);
    struct bytes key = bytes_from_string("k"), record;
    const char *const values[] = {"one", "two", "", "another size", "two"};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        layers_cache_renew(cache, key, bytes_from_string(values[i]));
        assert_true(layers_cache_find(cache, key, &record));
        assert_true(bytes_equal(record, bytes_from_string(values[i])));
    }
    layers_cache_drop(cache, key);
    assert_false(layers_cache_find(cache, key, &record));
    layers_cache_drop(cache, key);
    layers_cache_free(cache);
}

static void test_large_ones_are_not_kept(void **state)
{
    (void)state;
    static char large[BYTES_MAX / 4];
    struct layers_cache *cache = layers_cache_new(BYTES_MAX);
    struct bytes key = bytes_from_string("k"), record;
    layers_cache_keep(cache, key, bytes_of(large, sizeof large));
    assert_false(layers_cache_find(cache, key, &record));
    layers_cache_keep(cache, key, bytes_of(NULL, 0));
    assert_true(layers_cache_find(cache, key, &record));
    assert_int_equal(record.size, 0);
    layers_cache_free(cache);
    layers_cache_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_found_was_kept),
        cmocka_unit_test(test_who_is_asked_for_stays),
        cmocka_unit_test(test_what_has_room_stays),
        cmocka_unit_test(test_a_row_that_is_renewed_is_another),
        cmocka_unit_test(test_large_ones_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
