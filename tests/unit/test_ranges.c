/* Ranges that are kept: what is found is what was kept; a row that changes takes along the range of
 * each size where it is, and no other; a row that comes is counted; and what nobody tells of is
 * forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/ranges.h"

enum { SPACE = 7, SAME_PLACE = SPACE + 1024, SHIFT = 60 };

struct fixture {
    struct layers_cache *cache;
    struct ranges *ranges;
};

static void setup(struct fixture *f)
{
    f->cache = layers_cache_new(1 << 20);
    f->ranges = layers_ranges_new(f->cache);
}

static void teardown(struct fixture *f)
{
    layers_ranges_free(f->ranges);
    layers_cache_free(f->cache);
}

static struct merge_range range_of(enum table table, uint64_t space, uint64_t number,
                                   unsigned shift)
{
    return (struct merge_range){table, space, shift < 64 ? number << shift : 0, shift};
}

static void keep(struct fixture *f, struct merge_range range, const char *rows, uint64_t names)
{
    layers_ranges_keep(f->ranges, &range, bytes_from_string(rows));
    layers_ranges_note_names(f->ranges, &range, names);
}

static void expect(struct fixture *f, struct merge_range range, const char *rows, uint64_t names)
{
    struct bytes found;
    assert_int_equal(layers_ranges_find(f->ranges, &range, &found), rows != NULL);
    if (rows)
        assert_true(bytes_equal(found, bytes_from_string(rows)));
    assert_true(layers_ranges_names(f->ranges, &range) == names);
}

static void test_a_change_takes_along_its_ranges(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < 16; i++)
        keep(&f, range_of(TABLE_ROWS, SPACE, i, SHIFT), "narrow", i);
    keep(&f, range_of(TABLE_ROWS, SPACE, 0, 64), "all", 120);
    for (unsigned i = 0; i < 8; i++)
        keep(&f, range_of(TABLE_ROWS, SPACE, i, SHIFT + 1), "wide", 2 * i);
    layers_ranges_change(f.ranges, SPACE, ((uint64_t)5 << SHIFT) + 12345, true);
    layers_ranges_change(f.ranges, SPACE, UINT64_MAX, false);
    layers_ranges_change(f.ranges, SPACE + 1, 0, true);
    for (unsigned i = 0; i < 16; i++)
        expect(&f, range_of(TABLE_ROWS, SPACE, i, SHIFT), i == 5 || i == 15 ? NULL : "narrow",
               i + (i == 5));
    for (unsigned i = 0; i < 8; i++)
        expect(&f, range_of(TABLE_ROWS, SPACE, i, SHIFT + 1), i == 2 || i == 7 ? NULL : "wide",
               2 * i + (i == 2));
    expect(&f, range_of(TABLE_ROWS, SPACE, 0, 64), NULL, 121);
    teardown(&f);
}

static void test_too_many_names_are_not_known(void **state)
{
    struct fixture f;
    struct merge_range range = range_of(TABLE_ROWS, SPACE, 3, SHIFT);
    (void)state;
    setup(&f);
    expect(&f, range, NULL, UINT64_MAX);
    keep(&f, range, "", 254);
    expect(&f, range, "", 254);
    layers_ranges_change(f.ranges, SPACE, range.first, true);
    expect(&f, range, NULL, UINT64_MAX);
    layers_ranges_note_names(f.ranges, &range, 0);
    expect(&f, range, NULL, 0);
    teardown(&f);
}

static void test_what_nobody_tells_of_is_forgotten(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    keep(&f, range_of(TABLE_ROWS, SPACE, 1, SHIFT), "rows", 1);
    keep(&f, range_of(TABLE_KEYS, SPACE, 1, SHIFT), "keys", 2);
    layers_ranges_forget_untold(f.ranges);
    expect(&f, range_of(TABLE_ROWS, SPACE, 1, SHIFT), "rows", 1);
    expect(&f, range_of(TABLE_KEYS, SPACE, 1, SHIFT), NULL, UINT64_MAX);
    keep(&f, range_of(TABLE_ROWS, SAME_PLACE, 1, SHIFT), "others", 3);
    expect(&f, range_of(TABLE_ROWS, SPACE, 1, SHIFT), "rows", 1);
    expect(&f, range_of(TABLE_ROWS, SAME_PLACE, 1, SHIFT), "others", 3);
    layers_ranges_change(f.ranges, SPACE, (uint64_t)1 << SHIFT, true);
    layers_ranges_forget_untold(f.ranges);
    expect(&f, range_of(TABLE_ROWS, SPACE, 1, SHIFT), NULL, UINT64_MAX);
    expect(&f, range_of(TABLE_ROWS, SAME_PLACE, 1, SHIFT), NULL, UINT64_MAX);
    keep(&f, range_of(TABLE_ROWS, SPACE, 1, SHIFT), "again", 1);
    layers_ranges_forget_untold(f.ranges);
    expect(&f, range_of(TABLE_ROWS, SPACE, 1, SHIFT), "again", 1);
    teardown(&f);
    layers_ranges_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change_takes_along_its_ranges),
        cmocka_unit_test(test_too_many_names_are_not_known),
        cmocka_unit_test(test_what_nobody_tells_of_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
