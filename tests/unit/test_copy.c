/* COPY and OBJECT over the types there are, small and large. */
#include "test_command.h"

static const struct typed copies[] = {
    {"COPY no k", ":0\r\n", NULL},
    {"SET k v", OK, NULL},
    {"COPY k l", ":1\r\n", NULL},
    {"GET l", "$1\r\nv\r\n", NULL},
    {"HSET h a 1", ":1\r\n", NULL},
    {"COPY h l", ":0\r\n", NULL},
    {"COPY h l REPLACE", ":1\r\n", NULL},
    {"HGET l a", "$1\r\n1\r\n", NULL},
    {"HSET l a 2", ":0\r\n", NULL},
    {"HGET h a", "$1\r\n1\r\n", NULL},
    {"COPY h h", "-ERR source and destination objects are the same\r\n", NULL},
    {"COPY h h DB 3 REPLACE", ":1\r\n", NULL},
    {"COPY h h DB 0", "-ERR source and destination objects are the same\r\n", NULL},
    {"COPY h x DB 16", "-ERR DB index is out of range\r\n", NULL},
    {"COPY h x DB x", NOT_INTEGER, NULL},
    {"COPY h x DB 2147483648",
     "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n", NULL},
    {"COPY h x DB 9223372036854775808", NOT_INTEGER, NULL},
    {"COPY h x DB", SYNTAX, NULL},
    {"COPY h x FOO", SYNTAX, NULL},
    {"SADD s 1", ":1\r\n", NULL},
    {"COPY s t", ":1\r\n", NULL},
    {"SMEMBERS t", "*1\r\n$1\r\n1\r\n", "~1\r\n$1\r\n1\r\n"},
};

static const struct typed objects[] = {
    {"OBJECT ENCODING no", NIL2, NIL3},
    {"OBJECT REFCOUNT no", NIL2, NIL3},
    {"OBJECT IDLETIME no", NIL2, NIL3},
    {"OBJECT FREQ no", NIL2, NIL3},
    {"SET k 12", OK, NULL},
    {"OBJECT ENCODING k", "$3\r\nint\r\n", NULL},
    {"OBJECT REFCOUNT k", ":2147483647\r\n", NULL},
    {"OBJECT IDLETIME k", ":0\r\n", NULL},
    {"SET k 10000", OK, NULL},
    {"OBJECT REFCOUNT k", ":1\r\n", NULL},
    {"SET k 012", OK, NULL},
    {"OBJECT ENCODING k", "$6\r\nembstr\r\n", NULL},
    {"SET k 01234567890123456789012345678901234567890123", OK, NULL},
    {"OBJECT ENCODING k", "$6\r\nembstr\r\n", NULL},
    {"APPEND k x", ":45\r\n", NULL},
    {"OBJECT ENCODING k", "$3\r\nraw\r\n", NULL},
    {"HSET h a 1", ":1\r\n", NULL},
    {"OBJECT ENCODING h", "$8\r\nlistpack\r\n", NULL},
    {"SADD s 1", ":1\r\n", NULL},
    {"OBJECT ENCODING s", "$6\r\nintset\r\n", NULL},
    {"SADD s x", ":1\r\n", NULL},
    {"OBJECT ENCODING s", "$8\r\nlistpack\r\n", NULL},
    {"OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command\r\n", NULL},
};

static void test_replies(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    world_expect_all(&world, copies, sizeof copies / sizeof copies[0]);
    world_expect_all(&world, objects, sizeof objects / sizeof objects[0]);
    world_deinit(&world);
}

enum { FIELDS = 5000 };

static void make(struct world *world)
{
    char line[64];
    for (unsigned i = 0; i < FIELDS; i++) {
        snprintf(line, sizeof line, "HSET h f%u %u", i, i);
        EXPECT(world, line, ":1\r\n");
        if (i == FIELDS / 2)
            db_checkpoint(world->db);
    }
}

static void expect_all(struct world *world, const char *key)
{
    char line[64], wanted[64], value[16];
    snprintf(line, sizeof line, "HLEN %s", key);
    snprintf(wanted, sizeof wanted, ":%u\r\n", FIELDS);
    EXPECT(world, line, wanted);
    for (unsigned i = 0; i < FIELDS; i++) {
        snprintf(line, sizeof line, "HGET %s f%u", key, i);
        snprintf(value, sizeof value, "%u", i);
        snprintf(wanted, sizeof wanted, "$%zu\r\n%s\r\n", strlen(value), value);
        EXPECT(world, line, wanted);
    }
}

static void test_a_large_one_is_copied_in_slices(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    make(&world);
    EXPECT(&world, "OBJECT ENCODING h", "$9\r\nhashtable\r\n");
    world.pauses = 0;
    EXPECT(&world, "COPY h g", ":1\r\n");
    assert_in_range(world.pauses, 1, 10);
    EXPECT(&world, "COPY h h DB 5", ":1\r\n");
    EXPECT(&world, "DEL h", ":1\r\n");
    EXPECT(&world, "FLUSHDB", OK);
    EXPECT(&world, "SELECT 5", OK);
    db_checkpoint(world.db);
    expect_all(&world, "h"); /* it is its own, in its own database */
    EXPECT(&world, "COPY h g DB 5", ":1\r\n");
    EXPECT(&world, "DEL h", ":1\r\n");
    db_checkpoint(world.db);
    expect_all(&world, "g");
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_a_large_one_is_copied_in_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
