/* MEMORY, LOLWUT, WAIT and WAITAOF. */
#include "test_command.h"

static const struct typed replies[] = {
    {"MEMORY USAGE no", NIL2, NIL3},
    {"SET k v", OK, NULL},
    {"MEMORY USAGE k", ":28\r\n", NULL},
    {"MEMORY USAGE k SAMPLES -1", SYNTAX, NULL},
    {"MEMORY USAGE k SAMPLES x", NOT_INTEGER, NULL},
    {"MEMORY USAGE k SAMPLES", SYNTAX, NULL},
    {"MEMORY USAGE k FOO 1", SYNTAX, NULL},
    {"MEMORY PURGE", OK, NULL},
    {"LOLWUT VERSION x", NOT_INTEGER, NULL},
    {"WAIT x 0", NOT_INTEGER, NULL},
    {"WAIT 1 x", "-ERR timeout is not an integer or out of range\r\n", NULL},
    {"WAIT 1 -1", "-ERR timeout is negative\r\n", NULL},
    {"MULTI", OK, NULL},
    {"WAIT 2 0", "+QUEUED\r\n", NULL},
    {"WAITAOF 1 5 100", "+QUEUED\r\n", NULL},
    {"EXEC", "*2\r\n:1\r\n*2\r\n:1\r\n:1\r\n", NULL}, /* at once */
    {"WAITAOF 2 1 0", "-ERR value is out of range, value must between 0 and 1\r\n", NULL},
    {"WAITAOF 1 -1 0", "-ERR value is out of range, must be positive\r\n", NULL},
};

static void test_replies(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    world.raft.members_count = 3;
    for (uint32_t i = 0; i < 3; i++)
        world.raft.members[i].voter = true;
    world_expect_all(&world, replies, sizeof replies / sizeof replies[0]);
    world_deinit(&world);
}

static long usage(struct world *world, const char *line)
{
    struct bytes reply = world_type(world, line);
    char text[32] = "";
    assert_in_range(reply.size, 4, sizeof text - 1);
    memcpy(text, reply.data, reply.size);
    assert_int_equal(text[0], ':');
    return strtol(text + 1, NULL, 10);
}

enum { ELEMENTS = 5000 };

/* Elements of one size: samples say what all of them do. */
static void test_large_ones(void **state)
{
    static const char *const formats[] = {"HSET k f%05u vvvv", "SADD k mmmm%05u", "RPUSH k e%05u",
                                          "XADD k 1-%u f v"};
    struct world world;
    char line[64];
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        world_init(&world);
        for (unsigned k = 0; k < ELEMENTS; k++) {
            snprintf(line, sizeof line, formats[i], k);
            world_type(&world, line);
        }
        long sampled = usage(&world, "MEMORY USAGE k");
        world.pauses = 0;
        assert_int_equal(usage(&world, "MEMORY USAGE k SAMPLES 0"), sampled);
        assert_true(world.pauses > 0);
        assert_in_range(sampled, 20 * ELEMENTS, 60 * ELEMENTS);
        world_deinit(&world);
    }
}

static void test_lolwut(void **state)
{
    static const char version[] = "\nRedis ver. 7.2.4\n\r\n";
    struct world world;
    (void)state;
    world_init(&world);
    struct bytes reply = world_type(&world, "LOLWUT VERSION 5 1 2 3");
    assert_true(reply.size > 100);
    assert_memory_equal((const char *)reply.data + reply.size - strlen(version), version,
                        strlen(version));
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_large_ones),
        cmocka_unit_test(test_lolwut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
