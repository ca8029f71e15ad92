/* The benchmark's histogram: percentiles against the sorted values themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/prng.h"
#include "bench/histogram.h"

static void empty_is_zero(void **state)
{
    (void)state;
    static struct histogram histogram;
    assert_int_equal(histogram_percentile_ns(&histogram, 50), 0);
    assert_int_equal(histogram_percentile_ns(&histogram, 100), 0);
    assert_true(histogram_mean_ns(&histogram) == 0.0);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    static struct histogram histogram;
    for (uint64_t value = 1; value <= 50; value++)
        histogram_add(&histogram, value);
    assert_int_equal(histogram_percentile_ns(&histogram, 50), 25);
    assert_int_equal(histogram_percentile_ns(&histogram, 98), 49);
    assert_int_equal(histogram_percentile_ns(&histogram, 100), 50);
    assert_int_equal(histogram_percentile_ns(&histogram, 0), 1);
}

static int compare(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* Values of every size from 1 ns to hours: never below the true percentile, at most 1.6 % above. */
static void percentiles_are_near(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static struct histogram histogram;
    static uint64_t values[COUNT];
    uint64_t prng = 7;
    for (int i = 0; i < COUNT; i++) {
        values[i] = prng_next(&prng) >> prng_below(&prng, 64);
        values[i] >>= 4;
        histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof values[0], compare);
    for (int percent = 1; percent <= 100; percent++) {
        uint64_t truth = values[COUNT / 100 * percent - 1];
        uint64_t found = histogram_percentile_ns(&histogram, percent);
        assert_true(found >= truth);
        assert_true(found - truth <= truth / 60);
    }
    assert_int_equal(histogram.max_ns, values[COUNT - 1]);
}

static void largest_value_fits(void **state)
{
    (void)state;
    static struct histogram histogram;
    histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram_percentile_ns(&histogram, 99), UINT64_MAX);
}

static void merging_adds(void **state)
{
    (void)state;
    static struct histogram both, one, other;
    uint64_t prng = 9;
    for (int i = 0; i < 1000; i++) {
        uint64_t value = prng_below(&prng, 1000000);
        histogram_add(&both, value);
        histogram_add(i % 3 ? &one : &other, value);
    }
    histogram_merge(&one, &other);
    assert_memory_equal(&one, &both, sizeof both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_is_zero),        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(percentiles_are_near), cmocka_unit_test(largest_value_fits),
        cmocka_unit_test(merging_adds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
