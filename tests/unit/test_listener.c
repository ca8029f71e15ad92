/* Listening sockets: the names of who comes, addresses to bind, and what happens when the process
 * has no descriptor left.  Whom a socket belongs to is said by the test where it says so: machines
 * without IPv6 run this as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/address.h"
#include "net/listener.h"

#include "test_log_lines.h"
#include "test_names.h"
#include "test_ports.h"

enum { TAKEN_MAX = 16 };

static struct {
    struct loop *loop;
    struct listener *listener;
    int taken[TAKEN_MAX];
    unsigned count, refused;
    int port;
} world;

static void take(void *context, int fd)
{
    (void)context;
    assert_true(world.count < TAKEN_MAX);
    world.taken[world.count++] = fd;
}

static void refuse(void *context, int fd)
{
    (void)context;
    world.refused++;
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.loop = loop_new();
    struct listener_options options = {world.loop, "test", take, refuse, NULL};
    world.listener = listener_new(&options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < world.count; i++)
        close(world.taken[i]);
    listener_free(world.listener);
    loop_free(world.loop);
    return 0;
}

static void tick(void *context)
{
    (void)context;
}

static bool turn(void *context)
{
    (void)context;
    return false;
}

static void turns(void)
{
    static const struct loop_hooks hooks = {.tick = tick, .turn = turn};
    for (int i = 0; i < 20; i++)
        (void)loop_turn(world.loop, &hooks);
}

/* In real time: a pause is a timer. */
static void wait_for_taken(unsigned count)
{
    for (int i = 0; i < 500 && world.count < count; i++) {
        turns();
        usleep(10000);
    }
    assert_int_equal(world.count, count);
}

static struct config_bind_list list_of(const char *first, const char *second)
{
    struct config_bind_list list = {.count = second ? 2 : 1};
    snprintf(list.list[0].host, sizeof list.list[0].host, "%s", first);
    snprintf(list.list[1].host, sizeof list.list[1].host, "%s", second ? second : "");
    return list;
}

static enum listener_bound try_bind(struct config_bind_list list, char error[200])
{
    world.port = free_port();
    error[0] = '\0';
    return listener_bind(world.listener, &list, world.port, 16, error, 200);
}

static void bind_here(void)
{
    char error[200];
    assert_int_equal(try_bind(list_of("127.0.0.1", NULL), error), LISTENER_BOUND);
    listener_start(world.listener);
}

static int dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)world.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* ---- names --------------------------------------------------------------------------------- */

static void assert_named(const char *address, int port, const char *name, bool is_here)
{
    char text[64];
    names_say(address, port);
    socket_peer_name(0, text, sizeof text);
    assert_string_equal(text, name);
    assert_int_equal(socket_is_loopback(0), is_here);
    names_say_no_more();
}

static void who_comes_has_a_name(void **state)
{
    char text[64];
    int pair[2];
    (void)state;
    assert_named("10.1.2.3", 4567, "10.1.2.3:4567", false);
    assert_named("127.0.0.2", 1, "127.0.0.2:1", true);
    assert_named("2001:db8::7", 65535, "[2001:db8::7]:65535", false);
    assert_named("::1", 80, "[::1]:80", true);
    assert_named("::ffff:127.0.0.1", 81, "[::ffff:127.0.0.1]:81", true);
    assert_named("::ffff:10.0.0.1", 82, "[::ffff:10.0.0.1]:82", false);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    socket_peer_name(pair[0], text, sizeof text);
    assert_string_equal(text, "?:0");
    socket_local_name(pair[0], text, sizeof text);
    assert_string_equal(text, "?:0");
    assert_false(socket_is_loopback(pair[0]));
    close(pair[0]);
    close(pair[1]);
    socket_peer_name(pair[0], text, sizeof text); /* no socket any more */
    assert_string_equal(text, "?:0");
    socket_local_name(pair[0], text, sizeof text);
    assert_string_equal(text, "?:0");
    assert_false(socket_is_loopback(pair[0]));
}

static void addresses_are_taken_apart(void **state)
{
    static const struct {
        const char *address, *host; /* NULL: it is none */
        int port;
    } cases[] = {
        {"10.0.0.1:7000", "10.0.0.1", 7000},
        {"node-1.example:65535", "node-1.example", 65535},
        {"[2001:db8::7]:7000", "2001:db8::7", 7000},
        {"[]:7000", NULL, 0},
        {"[::1:7000", NULL, 0},
        {"host", NULL, 0},
        {":7000", NULL, 0},
        {"host:", NULL, 0},
        {"host:0", NULL, 0},
        {"host:65536", NULL, 0},
        {"host:70x", NULL, 0},
        {"a-name-that-is-too-long-for-its-place:1", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char host[20];
        int port = 0;
        bool split = socket_address_split(cases[i].address, host, sizeof host, &port);
        assert_int_equal(split, cases[i].host != NULL);
        if (!split)
            continue;
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
}

/* ---- binding ------------------------------------------------------------------------------- */

static void what_can_be_bound_is(void **state)
{
    char error[200], name[64];
    (void)state;
    assert_int_equal(try_bind(list_of("127.0.0.1", "127.0.0.2"), error), LISTENER_BOUND);
    assert_int_equal(try_bind(list_of("*", NULL), error), LISTENER_BOUND);
    listener_start(world.listener);
    int fd = dial();
    turns();
    assert_int_equal(world.count, 1);
    socket_local_name(world.taken[0], name, sizeof name);
    assert_memory_equal(name, "127.0.0.1:", 10);
    assert_int_equal(fcntl(world.taken[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    socket_keepalive(world.taken[0], 0);
    socket_keepalive(world.taken[0], 1);
    close(fd);
}

static void what_cannot_be_bound_is_said(void **state)
{
    struct config_bind_list none = {0}, list;
    char error[200];
    (void)state;
    assert_int_equal(try_bind(none, error), LISTENER_REFUSED);
    assert_string_equal(error, "no address to listen on for test connections");
    /* TEST-NET-1: no machine has it.  It may come up later. */
    list = list_of("127.0.0.1", "192.0.2.1");
    assert_int_equal(try_bind(list, error), LISTENER_NOT_YET);
    assert_non_null(strstr(error, "cannot listen on 192.0.2.1:"));
    list.list[1].optional = true;
    assert_int_equal(try_bind(list, error), LISTENER_BOUND);
    bind_here();
    struct loop *loop = world.loop;
    struct listener_options options = {loop, "second", take, refuse, NULL};
    struct listener *second = listener_new(&options);
    list = list_of("127.0.0.1", NULL);
    assert_int_equal(listener_bind(second, &list, world.port, 16, error, sizeof error),
                     LISTENER_REFUSED);
    assert_non_null(strstr(error, "Address already in use"));
    listener_free(second);
    list = list_of("not a name", NULL);
    assert_int_equal(try_bind(list, error), LISTENER_NOT_YET);
    assert_memory_equal(error, "cannot resolve not a name: ", 27);
    list.list[0].optional = true;
    assert_int_equal(try_bind(list, error), LISTENER_REFUSED); /* nothing is left */
}

/* ---- descriptors --------------------------------------------------------------------------- */

static void allow_descriptors(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The first that is not in use. */
static int next_descriptor(void)
{
    int fd = dup(0);
    assert_true(fd >= 0);
    close(fd);
    return fd;
}

static void who_comes_when_none_is_left_is_refused(void **state)
{
    struct rlimit before;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    bind_here();
    int first = dial(), second = dial();
    log_lines_begin();
    allow_descriptors((rlim_t)next_descriptor());
    turns();
    allow_descriptors(before.rlim_cur);
    assert_int_equal(world.refused, 2);
    assert_int_equal(world.count, 0);
    assert_int_equal(log_lines_with("turning test connections away: Too many open files"), 1);
    int third = dial();
    wait_for_taken(1);
    assert_int_equal(world.refused, 2);
    log_lines_end();
    close(first);
    close(second);
    close(third);
}

/* Not even one to refuse with: who comes waits, the loop does not spin, and it goes on by
 * itself. */
static void accepting_is_paused_and_resumed(void **state)
{
    struct rlimit before;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    bind_here();
    int first = dial(), second = dial();
    log_lines_begin();
    allow_descriptors(0);
    turns();
    turns();
    allow_descriptors(before.rlim_cur);
    assert_int_equal(log_lines_with("cannot accept test connections: Too many open files"), 1);
    turns();
    assert_int_equal(world.count + world.refused, 0); /* it is not looked at */
    wait_for_taken(2);
    assert_int_equal(world.refused, 0);
    log_lines_end();
    close(first);
    close(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_comes_has_a_name),
        TEST(addresses_are_taken_apart),
        TEST(what_can_be_bound_is),
        TEST(what_cannot_be_bound_is_said),
        TEST(who_comes_when_none_is_left_is_refused),
        TEST(accepting_is_paused_and_resumed),
    };
    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
