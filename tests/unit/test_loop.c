/* The event loop: what other threads say to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "net/loop.h"

static struct {
    struct loop *loop;
    struct waker *waker;
    int turns, ticks, heard;
    atomic_int said;
    atomic_bool ends;
    pthread_t thread;
} world;

static void on_wake(void *context)
{
    (void)context;
    world.heard++;
}

static void on_tick(void *context)
{
    (void)context;
    world.ticks++;
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.loop = loop_new();
    world.waker = loop_waker(world.loop, on_wake, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(world.loop);
    return 0;
}

static void run(bool (*turn)(void *context))
{
    const struct loop_hooks hooks = {.tick = on_tick, .turn = turn};
    loop_run(world.loop, &hooks);
}

static void *say_once(void *context)
{
    (void)context;
    waker_wake(world.waker);
    return NULL;
}

static bool stop_when_heard(void *context)
{
    (void)context;
    if (world.heard == 1)
        loop_stop(world.loop);
    return false;
}

static void what_another_thread_says_is_heard_once(void **state)
{
    (void)state;
    assert_int_equal(pthread_create(&world.thread, NULL, say_once, NULL), 0);
    run(stop_when_heard);
    assert_int_equal(pthread_join(world.thread, NULL), 0);
    const struct loop_hooks hooks = {.tick = on_tick, .turn = stop_when_heard};
    for (int i = 0; i < 3; i++)
        (void)loop_turn(world.loop, &hooks);
    assert_int_equal(world.heard, 1);
}

enum { TRIALS = 100 };

/* Only ticks end a wait in which nothing else is said. */
static bool say_before_the_wait(void *context)
{
    (void)context;
    waker_wake(world.waker);
    if (++world.turns == TRIALS)
        loop_stop(world.loop);
    return false;
}

static void what_is_said_while_it_runs_is_not_waited_for(void **state)
{
    (void)state;
    run(say_before_the_wait);
    assert_int_equal(world.heard, TRIALS - 1);
    assert_true(world.ticks < TRIALS / 3);
}

static void *say_until_it_ends(void *context)
{
    struct timespec pause = {.tv_nsec = 50 * 1000};
    (void)context;
    while (!atomic_load(&world.ends)) {
        waker_wake(world.waker);
        atomic_fetch_add(&world.said, 1);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static bool stop_when_much_was_said(void *context)
{
    (void)context;
    world.turns++;
    if (atomic_load(&world.said) >= 200 && world.ticks >= 5)
        loop_stop(world.loop);
    return false;
}

/* Each tick begins a wait and ends one. */
static void what_may_be_late_ends_no_wait_and_is_heard(void **state)
{
    (void)state;
    waker_may_be_late(world.waker, true);
    assert_int_equal(pthread_create(&world.thread, NULL, say_until_it_ends, NULL), 0);
    run(stop_when_much_was_said);
    atomic_store(&world.ends, true);
    assert_int_equal(pthread_join(world.thread, NULL), 0);
    assert_true(world.turns <= 3 * world.ticks);
    assert_in_range(world.heard, 4, world.turns);
}

static void what_may_be_late_no_longer_ends_the_next_wait(void **state)
{
    (void)state;
    waker_may_be_late(world.waker, true);
    waker_wake(world.waker);
    waker_may_be_late(world.waker, false);
    run(say_before_the_wait);
    assert_int_equal(world.heard, TRIALS);
    assert_true(world.ticks < TRIALS / 3);
}

/* Urgent, it ends a wait though it may be late. */
static bool hurry_before_the_wait(void *context)
{
    (void)context;
    waker_hurry(world.waker);
    if (++world.turns == TRIALS)
        loop_stop(world.loop);
    return false;
}

static void what_is_urgent_is_not_waited_for(void **state)
{
    (void)state;
    waker_may_be_late(world.waker, true);
    run(hurry_before_the_wait);
    assert_int_equal(world.heard, TRIALS - 1);
    assert_true(world.ticks < TRIALS / 3);
}

static void *hurry_until_it_ends(void *context)
{
    struct timespec pause = {.tv_nsec = 50 * 1000};
    (void)context;
    while (!atomic_load(&world.ends)) {
        waker_hurry(world.waker);
        atomic_fetch_add(&world.said, 1);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void what_is_urgent_ends_a_wait(void **state)
{
    (void)state;
    waker_may_be_late(world.waker, true);
    assert_int_equal(pthread_create(&world.thread, NULL, hurry_until_it_ends, NULL), 0);
    run(stop_when_much_was_said);
    atomic_store(&world.ends, true);
    assert_int_equal(pthread_join(world.thread, NULL), 0);
    assert_true(world.heard > 3 * world.ticks);
}

/* The other thread says more as soon as it was answered: at any moment of the loop. */
enum { EXCHANGES = 10000 };

static void *say_when_heard(void *context)
{
    (void)context;
    for (int i = 0; i < EXCHANGES; i++) {
        while (atomic_load(&world.said) < i)
            ;
        waker_wake(world.waker);
    }
    return NULL;
}

static bool answer(void *context)
{
    (void)context;
    atomic_store(&world.said, world.heard);
    if (world.heard == EXCHANGES)
        loop_stop(world.loop);
    return false;
}

static void each_is_heard_once_whenever_it_comes(void **state)
{
    (void)state;
    assert_int_equal(pthread_create(&world.thread, NULL, say_when_heard, NULL), 0);
    run(answer);
    assert_int_equal(pthread_join(world.thread, NULL), 0);
    assert_int_equal(world.heard, EXCHANGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_another_thread_says_is_heard_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_said_while_it_runs_is_not_waited_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_may_be_late_ends_no_wait_and_is_heard, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_may_be_late_no_longer_ends_the_next_wait, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_urgent_is_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_urgent_ends_a_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_is_heard_once_whenever_it_comes, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
