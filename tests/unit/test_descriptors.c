/* Who gets how many file descriptors: the store and the peers first, whatever the clients ask
 * for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_many_everybody_gets_what_he_asks_for),
        cmocka_unit_test(with_few_clients_get_what_is_left),
        cmocka_unit_test(the_members_are_reserved_for),
        cmocka_unit_test(with_too_few_there_is_no_start),
    };
    return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
