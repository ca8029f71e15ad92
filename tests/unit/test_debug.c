/* DEBUG's harmless part, and who may say it.  The digests are those of redis-server 7.0.15. */
#include "test_command.h"

static const struct typed replies[] = {
    {"DEBUG OBJECT no", "-ERR no such key\r\n", NULL},
    {"DEBUG DIGEST", "+0000000000000000000000000000000000000000\r\n", NULL},
    {"DEBUG DIGEST-VALUE no", "*1\r\n+0000000000000000000000000000000000000000\r\n", NULL},
    {"SET k v", OK, NULL},
    {"DEBUG OBJECT k",
     "+Value at:0x0 refcount:1 encoding:embstr serializedlength:1 lru:0 lru_seconds_idle:0\r\n",
     NULL},
    {"DEBUG DIGEST-VALUE k no",
     "*2\r\n+d79ee9fe5d5ad902d7f6620efc3b07b75ddd742f\r\n"
     "+0000000000000000000000000000000000000000\r\n",
     NULL},
    {"DEBUG LISTPACK k", "-ERR Not a listpack encoded object.\r\n", NULL},
    {"DEBUG RELOAD NOSAVE", OK, NULL},
    {"DEBUG QUICKLIST-PACKED-THRESHOLD 100b", OK, NULL},
    {"DEBUG SET-ACTIVE-EXPIRE 0", OK, NULL},
    {"DEBUG PROTOCOL map", "*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n",
     "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"},
    {"DEBUG PROTOCOL push", "-ERR RESP2 is not supported by this command\r\n",
     ">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"
     "$40\r\nSome real reply following the push reply\r\n"},
    {"DEBUG PROTOCOL bignum", "$37\r\n1234567999999999999999999999999999999\r\n",
     "(1234567999999999999999999999999999999\r\n"},
    {"DEBUG JMAP",
     "-ERR unknown subcommand or wrong number of arguments for 'JMAP'. Try DEBUG HELP.\r\n", NULL},
    {"ONCE me 1 DEBUG RELOAD", "-ERR ONCE cannot carry 'debug'\r\n", NULL},
    {"MULTI", OK, NULL},
    {"DEBUG RELOAD", "-ERR Command not allowed inside a transaction\r\n", NULL},
    {"DISCARD", OK, NULL},
};

static void test_replies(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    world.connection.may_debug = true;
    world_expect_all(&world, replies, sizeof replies / sizeof replies[0]);
    world_deinit(&world);
}

static void test_who_may(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    struct bytes reply = world_type(&world, "DEBUG OBJECT k");
    assert_memory_equal(reply.data, "-ERR DEBUG command not allowed. If", 34);
    world_deinit(&world);
}

static void make(struct world *world)
{
    char line[64];
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(line, sizeof line, "HSET h f%u %u", i, i);
        world_type(world, line);
        snprintf(line, sizeof line, "ZADD z %u.5 m%u", i * 7 % 3000, i);
        world_type(world, line);
        snprintf(line, sizeof line, "RPUSH l e%u", i);
        world_type(world, line);
        snprintf(line, sizeof line, "SADD s e%u", i);
        world_type(world, line);
    }
}

/* The same as redis-server gave after the same commands. */
static void test_large_ones(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    world.connection.may_debug = true;
    make(&world);
    world_type(&world, "SELECT 3");
    world_type(&world, "SET k v PXAT 9999999999999");
    world_type(&world, "SADD s 1 2 3");
    world_type(&world, "XADD x 5-1 a b c 10");
    world_type(&world, "XADD x 5-18446744073709551615 a -7");
    world.pauses = 0;
    EXPECT(&world, "DEBUG DIGEST", "+9725d2144d0a713de40e71c9dac01a0df588c6fb\r\n");
    assert_true(world.pauses > 0);
    EXPECT(&world, "SELECT 0", OK);
    EXPECT(
        &world, "DEBUG DIGEST-VALUE h z l s",
        "*4\r\n+c6fb15b1dabda3ff8cfdc64e4cf5b0a9a39b1269\r\n+"
        "9e62f2a2f37338cfef274ab5362f4ccfe23f5dd3\r\n+775da397c479d43dc85a2e3938f7f9f998b0e6d2\r\n+"
        "2e6b890f3e523c31b2ca3c7efb8d1038f123db41\r\n");
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_who_may),
        cmocka_unit_test(test_large_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
