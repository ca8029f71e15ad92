/* Who gets how many file descriptors: the store and the peers first, whatever the clients ask
 * for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "server/descriptors.h"

static struct config config_of(uint32_t nodes, int64_t maxclients)
{
    struct config config = {.maxclients = maxclients};
    config.nodes.count = nodes;
    config.bind.count = 2;
    return config;
}

static void with_many_everybody_gets_what_he_asks_for(void **state)
{
    struct config config = config_of(3, 10000);
    struct server_descriptors descriptors;
    (void)state;
    assert_true(server_descriptors_divide(&config, 65536, &descriptors));
    assert_int_equal(descriptors.clients, 10000);
    assert_int_equal(descriptors.tables, DESCRIPTORS_TABLES_WANTED);
}

static void with_few_clients_get_what_is_left(void **state)
{
    struct config config = config_of(3, 10000);
    struct server_descriptors descriptors;
    uint64_t before = 0;
    (void)state;
    for (uint64_t limit = 360; limit < 30000; limit += 7) {
        assert_true(server_descriptors_divide(&config, limit, &descriptors));
        assert_true(descriptors.reserved + descriptors.tables + descriptors.clients <= limit);
        assert_true(descriptors.tables >= DESCRIPTORS_TABLES_MIN);
        assert_true(descriptors.clients >= before);
        before = descriptors.clients;
    }
    assert_int_equal(before, 10000);
}

/* To the last one: tables have what they want before clients are cut off, and a quarter of the rest
 * where there are not enough. */
static void each_has_its_share(void **state)
{
    struct config config = config_of(3, 1000);
    struct server_descriptors descriptors;
    (void)state;
    assert_true(server_descriptors_divide(&config, 1 << 20, &descriptors));
    uint64_t reserved = descriptors.reserved;
    assert_int_equal(reserved, DESCRIPTORS_OWN + 2 * 3 + SILENT_MAX + GREETED_MAX +
                                   DESCRIPTORS_PER_PEER * (RAFT_MEMBERS_MAX - 1) +
                                   DESCRIPTORS_STORE);
    static const struct {
        uint64_t rest, tables, clients;
    } cases[] = {
        {DESCRIPTORS_TABLES_WANTED + 1001, DESCRIPTORS_TABLES_WANTED, 1000},
        {DESCRIPTORS_TABLES_WANTED + 1000, DESCRIPTORS_TABLES_WANTED, 1000},
        {DESCRIPTORS_TABLES_WANTED + 999, DESCRIPTORS_TABLES_WANTED - 1, 1000},
        {2000, 1000, 1000},
        {1400, 400, 1000},
        {1200, 300, 900},
        {400, 100, 300},
        {DESCRIPTORS_TABLES_MIN * 4, DESCRIPTORS_TABLES_MIN, DESCRIPTORS_TABLES_MIN * 3},
        {200, DESCRIPTORS_TABLES_MIN, 200 - DESCRIPTORS_TABLES_MIN},
        {DESCRIPTORS_TABLES_MIN + DESCRIPTORS_CLIENTS_MIN, DESCRIPTORS_TABLES_MIN,
         DESCRIPTORS_CLIENTS_MIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(server_descriptors_divide(&config, reserved + cases[i].rest, &descriptors));
        assert_int_equal(descriptors.tables, cases[i].tables);
        assert_int_equal(descriptors.clients, cases[i].clients);
    }
    config.maxclients = 3; /* fewer than there would have to be */
    uint64_t least = reserved + DESCRIPTORS_TABLES_MIN + 3;
    assert_true(server_descriptors_divide(&config, least, &descriptors));
    assert_int_equal(descriptors.clients, 3);
    assert_false(server_descriptors_divide(&config, least - 1, &descriptors));
}

/* All that there may ever be, however few it begins with. */
static void the_members_are_reserved_for(void **state)
{
    struct config one = config_of(1, 100), seven = config_of(7, 100);
    struct server_descriptors a, b;
    (void)state;
    assert_true(server_descriptors_divide(&one, 1024, &a));
    assert_true(server_descriptors_divide(&seven, 1024, &b));
    assert_int_equal(b.reserved, a.reserved);
    assert_true(a.reserved >
                SILENT_MAX + GREETED_MAX + (RAFT_MEMBERS_MAX - 1) * DESCRIPTORS_PER_PEER);
}

static void with_too_few_there_is_no_start(void **state)
{
    struct config config = config_of(3, 10000);
    struct server_descriptors descriptors;
    (void)state;
    assert_false(server_descriptors_divide(&config, 64, &descriptors));
    uint64_t enough = descriptors.reserved + descriptors.tables + descriptors.clients;
    assert_false(server_descriptors_divide(&config, enough - 1, &descriptors));
    assert_true(server_descriptors_divide(&config, enough, &descriptors));
    assert_int_equal(descriptors.clients, DESCRIPTORS_CLIENTS_MIN);
}

/* In a process of its own, whose limit is not given back. */
static int fits_under(rlim_t most, const struct server_descriptors *descriptors, uint64_t asked,
                      uint64_t wanted)
{
    struct rlimit limit = {most, most};
    pid_t child = fork();
    int status = -1;
    if (child == 0) {
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            _exit(2);
        _exit(server_descriptors_fit(descriptors, asked) == wanted ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* What CONFIG SET maxclients asks for later leaves the store its files. */
static void what_is_asked_for_later_leaves_the_store_its_files(void **state)
{
    struct config config = config_of(3, 100);
    struct server_descriptors descriptors;
    struct rlimit limit;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t most = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
    assert_true(server_descriptors_divide(&config, most, &descriptors));
    uint64_t room = most - descriptors.reserved - descriptors.tables;
    assert_int_equal(fits_under(most, &descriptors, 100000, room), 0);
    assert_int_equal(fits_under(most, &descriptors, room + 1, room), 0);
    assert_int_equal(fits_under(most, &descriptors, room, room), 0);
    assert_int_equal(fits_under(most, &descriptors, 10, 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_many_everybody_gets_what_he_asks_for),
        cmocka_unit_test(with_few_clients_get_what_is_left),
        cmocka_unit_test(each_has_its_share),
        cmocka_unit_test(the_members_are_reserved_for),
        cmocka_unit_test(with_too_few_there_is_no_start),
        cmocka_unit_test(what_is_asked_for_later_leaves_the_store_its_files),
    };
    return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
