/* When large blocks are given back: when nothing was done for a second, once more behind
 * that, and never while anything is under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include "net/trim.h"

enum { TICK_MS = 50, LONG_MS = 120000 };

static struct net_trim trim;
static int64_t now_ms;

static int set_up(void **state)
{
    (void)state;
    trim = (struct net_trim){0};
    now_ms = 0;
    return 0;
}

/* For so long, with a turn at every tick; how often it was due. */
static int pass(int64_t ms, uint64_t done, bool is_busy)
{
    int asked = 0;
    for (int64_t end_ms = now_ms + ms; now_ms < end_ms; now_ms += TICK_MS) {
        net_trim_busy(&trim, is_busy);
        asked += net_trim_is_due(&trim, now_ms, done);
    }
    return asked;
}

static void it_is_due_twice_when_nothing_is_done_any_more(void **state)
{
    (void)state;
    assert_int_equal(pass(LONG_MS, 0, false), 0); /* a node that has done nothing */
    for (uint64_t done = 1; done < 100; done++)
        assert_int_equal(pass(500, done, false), 0);
    assert_int_equal(pass(2500, 99, false), 1);
    assert_int_equal(pass(25000, 99, false), 0); /* no sooner than after half a minute */
    assert_int_equal(pass(LONG_MS, 99, false), 1);
    assert_int_equal(pass(LONG_MS, 99, false), 0);
    assert_int_equal(pass(2500, 100, false), 1);
    assert_int_equal(pass(2500, 101, false), 0);
    assert_int_equal(pass(LONG_MS, 101, false), 2);
}

/* An entry that takes minutes. */
static void it_is_not_due_while_something_is_under_way(void **state)
{
    (void)state;
    assert_int_equal(pass(500, 1, false), 0);
    assert_int_equal(pass(LONG_MS, 1, true), 0);
    assert_int_equal(pass(2500, 2, false), 1);
}

/* A turn between two looks left something to do. */
static void what_ended_before_the_look_counts(void **state)
{
    (void)state;
    assert_int_equal(pass(1000, 1, false), 0);
    net_trim_busy(&trim, true);
    assert_int_equal(pass(1000, 1, false), 0);
    assert_int_equal(pass(1500, 1, false), 1);
}

/* The loop gets no processor: seconds pass from one tick to the next. */
static void seconds_without_ticks_are_not_idle(void **state)
{
    (void)state;
    assert_int_equal(pass(TICK_MS, 1, false), 0);
    for (int i = 0; i < 15; i++, now_ms += 2000)
        assert_false(net_trim_is_due(&trim, now_ms, 1));
    assert_int_equal(pass(500, 1, false), 1);
}

/* What is kept of large blocks is of use then. */
static void it_is_idle_until_something_is_done(void **state)
{
    (void)state;
    assert_int_equal(pass(1500, 1, false), 1);
    assert_true(trim.is_idle);
    pass(500, 1, false);
    assert_true(trim.is_idle);
    pass(TICK_MS, 2, false);
    assert_false(trim.is_idle);
    assert_int_equal(pass(LONG_MS, 2, false), 2);
    assert_true(trim.is_idle);
    pass(TICK_MS, 2, true);
    assert_false(trim.is_idle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_is_due_twice_when_nothing_is_done_any_more, set_up),
        cmocka_unit_test_setup(it_is_not_due_while_something_is_under_way, set_up),
        cmocka_unit_test_setup(what_ended_before_the_look_counts, set_up),
        cmocka_unit_test_setup(seconds_without_ticks_are_not_idle, set_up),
        cmocka_unit_test_setup(it_is_idle_until_something_is_done, set_up),
    };
    return cmocka_run_group_tests_name("trim", tests, NULL, NULL);
}
