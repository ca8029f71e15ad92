/* CLIENT PAUSE: what waits, what does not, and how it ends. */
#include "test_clients.h"

#include "base/log.h"

static int boss; /* who pauses; while all is paused the test does it */

static int set_up_pause(void **state)
{
    set_up(state);
    boss = dial();
    return 0;
}

static int tear_down_pause(void **state)
{
    close(boss);
    return tear_down(state);
}

static void what_writes_waits_in_its_place(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(boss, "CLIENT PAUSE 100000 WRITE\r\n");
    assert_hears(boss, "+OK\r\n");
    say(a, "GET k\r\nSET k 1\r\nGET k\r\n");
    assert_hears(a, "$-1\r\n");
    say(b, "MULTI\r\nGET k\r\nEXEC\r\nMULTI\r\nSET j 2\r\nEXEC\r\n");
    assert_hears(b, "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n+OK\r\n");
    assert_int_equal(clients_blocked(house.clients), 2);
    say(boss, "SCRIPT FLUSH\r\nNOSUCH\r\n");
    assert_hears(boss, "+OK\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    say(boss, "CLIENT UNPAUSE\r\n");
    assert_hears(boss, "+OK\r\n");
    assert_hears(a, "+OK\r\n$1\r\n1\r\n");
    assert_hears(b, "+QUEUED\r\n*1\r\n+OK\r\n");
    assert_int_equal(clients_blocked(house.clients), 0);
    close(a);
    close(b);
}

static void all_waits(void **state)
{
    (void)state;
    int a = dial();
    clients_pause(house.clients, 100000, true);
    clients_pause(house.clients, 10, false); /* neither less nor sooner */
    usleep(30000);
    say(a, "PING\r\n");
    say(boss, "CLIENT UNPAUSE\r\n");
    assert_hears(a, "");
    assert_hears(boss, "");
    assert_int_equal(clients_blocked(house.clients), 2);
    clients_unpause(house.clients);
    assert_hears(a, "+PONG\r\n");
    assert_hears(boss, "+OK\r\n");
    close(a);
}

static void it_ends_in_time(void **state)
{
    (void)state;
    clients_pause(house.clients, 300, true); /* longer than a busy machine takes to look */
    say(boss, "PING\r\n");
    assert_hears(boss, "");
    usleep(310000);
    assert_hears(boss, "+PONG\r\n");
    say(boss, "CLIENT PAUSE 0\r\nPING\r\n");
    turns();
    usleep(1000);
    assert_hears(boss, "+OK\r\n+PONG\r\n");
}

/* What a client wanted that has left is not done after the pause. */
static void who_leaves_is_forgotten(void **state)
{
    (void)state;
    int a = dial();
    clients_pause(house.clients, 100000, false);
    say(a, "SET k 1\r\n");
    assert_hears(a, "");
    uint32_t count = clients_count(house.clients);
    close(a);
    turns();
    assert_int_equal(clients_count(house.clients), count - 1);
    assert_int_equal(clients_blocked(house.clients), 0);
    clients_unpause(house.clients);
    say(boss, "GET k\r\n");
    assert_hears(boss, "$-1\r\n");
}

static void who_waits_is_served(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "BLPOP q 0\r\n");
    turns();
    clients_pause(house.clients, 100000, false);
    say(b, "BLPOP q 0.01\r\n");
    turns();
    assert_int_equal(clients_blocked(house.clients), 2);
    say(boss, "CLIENT UNBLOCK 3\r\nCLIENT UNBLOCK 2\r\n"); /* b is not in BLPOP yet */
    assert_hears(boss, ":0\r\n:1\r\n");
    assert_hears(a, "*-1\r\n");
    clients_unpause(house.clients);
    turns();
    usleep(20000);
    assert_hears(b, "*-1\r\n");
    close(a);
    close(b);
}

static void who_sleeps_is_alone_with_that(void **state)
{
    (void)state;
    house.config.enable_debug = DEBUG_YES;
    int a = dial();
    say(a, "SET k 1\r\nDEBUG SLEEP 0.3\r\nGET k\r\n");
    assert_hears(a, "+OK\r\n");
    assert_int_equal(clients_blocked(house.clients), 1);
    say(boss, "PING\r\n");
    assert_hears(boss, "+PONG\r\n");
    usleep(310000);
    assert_hears(a, "+OK\r\n$1\r\n1\r\n");
    assert_int_equal(clients_blocked(house.clients), 0);
    say(a, "DEBUG SLEEP 1000\r\n");
    turns();
    close(a); /* its end is seen */
    uint32_t count = clients_count(house.clients);
    turns();
    assert_int_equal(clients_count(house.clients), count - 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_pause, tear_down_pause)

int main(void)
{
    log_set_level(LOG_LEVEL_WARNING);
    const struct CMUnitTest tests[] = {
        TEST(what_writes_waits_in_its_place),
        TEST(all_waits),
        TEST(it_ends_in_time),
        TEST(who_leaves_is_forgotten),
        TEST(who_waits_is_served),
        TEST(who_sleeps_is_alone_with_that),
    };
    return cmocka_run_group_tests_name("pause", tests, NULL, NULL);
}
