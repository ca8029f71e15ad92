/* SORT and SORT_RO. */
#include "test_command.h"

#include "command/sort_order.h"

#define NUMBERS_UP "*4\r\n$2\r\n-1\r\n$1\r\n2\r\n$1\r\n3\r\n$2\r\n10\r\n"

static const struct typed replies[] = {
    {"SORT no", "*0\r\n", NULL},
    {"RPUSH l 10 2 -1 3", ":4\r\n", NULL},
    {"SORT l", NUMBERS_UP, NULL},
    {"SORT_RO l", NUMBERS_UP, NULL},
    {"SORT l DESC LIMIT 0 2", "*2\r\n$2\r\n10\r\n$1\r\n3\r\n", NULL},
    {"SORT l ALPHA LIMIT 1 2", "*2\r\n$2\r\n10\r\n$1\r\n2\r\n", NULL},
    {"SORT l LIMIT 1 -1", "*3\r\n$1\r\n2\r\n$1\r\n3\r\n$2\r\n10\r\n", NULL},
    {"SORT l LIMIT -5 1", "*1\r\n$2\r\n-1\r\n", NULL},
    {"SORT l LIMIT 9 1", "*0\r\n", NULL},
    {"SORT l LIMIT 1", SYNTAX, NULL},
    {"SORT l LIMIT x 1", NOT_INTEGER, NULL},
    {"SORT l FOO", SYNTAX, NULL},
    {"SORT_RO l STORE x", SYNTAX, NULL},
    {"SORT l BY nosort", "*4\r\n$2\r\n10\r\n$1\r\n2\r\n$2\r\n-1\r\n$1\r\n3\r\n", NULL},
    {"SORT l BY nosort DESC LIMIT 0 2", "*2\r\n$1\r\n3\r\n$2\r\n-1\r\n", NULL},
    {"MSET w10 1 w2 4 w-1 3 n2 two", OK, NULL},
    {"SORT l BY w*", "*4\r\n$1\r\n3\r\n$2\r\n10\r\n$2\r\n-1\r\n$1\r\n2\r\n", NULL},
    {"SORT l BY w* GET n* GET # LIMIT 2 2", "*4\r\n$-1\r\n$2\r\n-1\r\n$3\r\ntwo\r\n$1\r\n2\r\n",
     "*4\r\n_\r\n$2\r\n-1\r\n$3\r\ntwo\r\n$1\r\n2\r\n"},
    {"SORT l GET fixed LIMIT 0 1", "*1\r\n$-1\r\n", "*1\r\n_\r\n"},
    {"HSET h10 f a", ":1\r\n", NULL},
    {"HSET h2 f b", ":1\r\n", NULL},
    {"SORT l BY h*->f ALPHA GET h*->f", "*4\r\n$-1\r\n$-1\r\n$1\r\na\r\n$1\r\nb\r\n",
     "*4\r\n_\r\n_\r\n$1\r\na\r\n$1\r\nb\r\n"},
    {"SORT l BY h*->", "*4\r\n$2\r\n-1\r\n$2\r\n10\r\n$1\r\n2\r\n$1\r\n3\r\n", NULL},
    {"SORT l GET n* STORE d", ":4\r\n", NULL},
    {"LRANGE d 0 -1", "*4\r\n$0\r\n\r\n$3\r\ntwo\r\n$0\r\n\r\n$0\r\n\r\n", NULL},
    {"SORT no STORE d", ":0\r\n", NULL},
    {"EXISTS d", ":0\r\n", NULL},
    {"SORT l STORE l", ":4\r\n", NULL},
    {"LRANGE l 0 -1", NUMBERS_UP, NULL},
    {"SADD s b c a", ":3\r\n", NULL},
    {"SORT s", "-ERR One or more scores can't be converted into double\r\n", NULL},
    {"SORT s ALPHA DESC", "*3\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\na\r\n", NULL},
    {"SORT s BY nosort GET none LIMIT 1 9", "*2\r\n$-1\r\n$-1\r\n", "*2\r\n_\r\n_\r\n"},
    {"SORT s BY nosort LIMIT 3 1", "*0\r\n", NULL},
    {"SORT s BY nosort STORE d", ":3\r\n", NULL},
    {"LRANGE d 0 -1", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n", NULL},
    {"ZADD z 1 5 2 4 3 6", ":3\r\n", NULL},
    {"SORT z", "*3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n", NULL},
    {"SORT z BY nosort", "*3\r\n$1\r\n5\r\n$1\r\n4\r\n$1\r\n6\r\n", NULL},
    {"SORT z BY nosort DESC LIMIT 0 1", "*1\r\n$1\r\n6\r\n", NULL},
    {"RPUSH e  inf", ":1\r\n", NULL},
    {"SORT w10", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", NULL},
    {"ONCE me 1 SORT l LIMIT 0 1", "*1\r\n$2\r\n-1\r\n", NULL},
};

static void test_replies(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    for (int protocol = 2; protocol <= 3; protocol++) {
        world.connection.protocol = protocol;
        world_type(&world, "FLUSHALL");
        for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
            EXPECT(&world, replies[i].line,
                   protocol == 3 && replies[i].resp3 ? replies[i].resp3 : replies[i].resp2);
    }
    world_deinit(&world);
}

static void test_without_store_it_is_a_read(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    world_type(&world, "RPUSH l 1");
    uint64_t before = world.index;
    world_type(&world, "SORT l GET store BY store");
    assert_int_equal(world.last_class, COMMAND_READ);
    assert_int_equal(world.index, before);
    world_type(&world, "SORT l STORE by");
    assert_int_equal(world.last_class, COMMAND_WRITE);
    EXPECT(&world, "MULTI", OK);
    EXPECT(&world, "SORT l", "+QUEUED\r\n");
    EXPECT(&world, "EXEC", "*1\r\n*1\r\n$1\r\n1\r\n");
    world_deinit(&world);
}

/* Against an array that is sorted one after the other. */
static void test_order(void **state)
{
    enum { COUNT = 3000 };
    uint64_t seed = 3;
    (void)state;
    for (int run = 0; run < 6; run++) {
        struct sort_order order = {.weight = SORT_BY_NUMBER, .is_descending = run % 2};
        for (int i = 0; i < COUNT >> run; i++) {
            char text[24];
            uint64_t number = prng_below(&seed, COUNT / 2);
            snprintf(text, sizeof text, "%llu", (unsigned long long)number);
            sort_order_add(&order, bytes_from_string(text));
            sort_order_set_number(&order, (uint64_t)i, (double)number);
        }
        while (!sort_order_go_on(&order))
            ;
        assert_int_equal(sort_order_count(&order), COUNT >> run);
        long last = run % 2 ? COUNT : -1;
        for (int i = 0; i < COUNT >> run; i++) {
            char text[24] = "";
            struct bytes bytes = sort_order_text(&order, (uint64_t)i);
            memcpy(text, bytes.data, bytes.size);
            long number = atol(text);
            assert_true(run % 2 ? number <= last : number >= last);
            last = number;
        }
        sort_order_deinit(&order);
    }
}

static void test_equal_ones_stay_in_their_order(void **state)
{
    struct sort_order order = {.weight = SORT_BY_TEXT};
    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        char text[8];
        snprintf(text, sizeof text, "%02u", (unsigned)i);
        sort_order_add(&order, bytes_from_string(text));
        sort_order_set_text(&order, i, i % 3 ? bytes_from_string("x") : bytes_of(NULL, 0));
    }
    while (!sort_order_go_on(&order))
        ;
    for (uint64_t i = 1; i < 100; i++) {
        struct bytes one = sort_order_text(&order, i - 1), next = sort_order_text(&order, i);
        if (i != 34)
            assert_true(memcmp(one.data, next.data, 2) < 0);
    }
    assert_memory_equal(sort_order_text(&order, 34).data, "01", 2);
    sort_order_deinit(&order);
}

enum { ELEMENTS = 30000 };

static void test_a_large_one_goes_in_slices(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    for (unsigned i = 0; i < ELEMENTS / 10; i++) {
        struct buffer line = {0};
        buffer_printf(&line, "RPUSH l");
        for (unsigned k = 0; k < 10; k++)
            buffer_printf(&line, " %u", (i * 10 + k) * 7 % ELEMENTS);
        buffer_append_byte(&line, '\0');
        world_type(&world, line.data);
        buffer_deinit(&line);
    }
    world.pauses = 0;
    EXPECT(&world, "SORT l DESC LIMIT 29997 3", "*3\r\n$1\r\n2\r\n$1\r\n1\r\n$1\r\n0\r\n");
    assert_true(world.pauses > 20);
    EXPECT(&world, "SORT l STORE m", ":30000\r\n");
    EXPECT(&world, "LINDEX m 12345", "$5\r\n12345\r\n");
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_without_store_it_is_a_read),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_equal_ones_stay_in_their_order),
        cmocka_unit_test(test_a_large_one_goes_in_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
