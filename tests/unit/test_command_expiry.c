/* The commands on deadlines, reply by reply, in both protocols, and what becomes of keys as time
 * passes.  Rows of which the line is a number let so many milliseconds pass. */
#include "test_command.h"

#include "command/commands.h"

#define INVALID(name) "-ERR invalid expire time in '" name "' command\r\n"
#define HUGE "9223372036854775807"

static const struct typed given_and_asked[] = {
    {"TTL k", ":-2\r\n", NULL},
    {"EXPIRE k 10", ":0\r\n", NULL},
    {"SET k v", OK, NULL},
    {"TTL k", ":-1\r\n", NULL},
    {"PTTL k", ":-1\r\n", NULL},
    {"EXPIRETIME k", ":-1\r\n", NULL},
    {"PEXPIRETIME none", ":-2\r\n", NULL},
    {"EXPIRE k 10", ":1\r\n", NULL},
    {"TTL k", ":10\r\n", NULL},
    {"PTTL k", ":10000\r\n", NULL},
    {"EXPIRETIME k", ":1700000010\r\n", NULL},
    {"PEXPIRETIME k", ":1700000010000\r\n", NULL},
    {"PEXPIRE k 1499", ":1\r\n", NULL},
    {"TTL k", ":1\r\n", NULL},
    {"PEXPIRE k 1500", ":1\r\n", NULL},
    {"TTL k", ":2\r\n", NULL},
    {"EXPIREAT k 1700000100", ":1\r\n", NULL},
    {"PTTL k", ":100000\r\n", NULL},
    {"PEXPIREAT k 1700000100001", ":1\r\n", NULL},
    {"PTTL k", ":100001\r\n", NULL},
    {"PERSIST k", ":1\r\n", NULL},
    {"PERSIST k", ":0\r\n", NULL},
    {"PERSIST none", ":0\r\n", NULL},
    {"TTL k", ":-1\r\n", NULL},
    {"EXPIRE k 0", ":1\r\n", NULL},
    {"EXISTS k", ":0\r\n", NULL},
    {"SET k v", OK, NULL},
    {"PEXPIREAT k 1699999999999", ":1\r\n", NULL},
    {"DBSIZE", ":0\r\n", NULL},
    {"SET k v", OK, NULL},
    {"EXPIRE k -9223372036854775", ":1\r\n", NULL},
    {"GET k", NIL2, NIL3},
    {"SET k v", OK, NULL},
    {"EXPIRE k " HUGE, INVALID("expire"), NULL},
    {"EXPIRE k -" HUGE, INVALID("expire"), NULL},
    {"PEXPIRE k " HUGE, INVALID("pexpire"), NULL},
    {"EXPIREAT k " HUGE, INVALID("expireat"), NULL},
    {"PEXPIREAT k " HUGE, ":1\r\n", NULL},
    {"PEXPIRETIME k", ":" HUGE "\r\n", NULL},
    {"EXPIRE k x", NOT_INTEGER, NULL},
    {"EXPIRE k 1 YY", "-ERR Unsupported option YY\r\n", NULL},
    {"EXPIRE k x YY", "-ERR Unsupported option YY\r\n", NULL},
    {"EXPIRE k", "-ERR wrong number of arguments for 'expire' command\r\n", NULL},
};

static const struct typed conditions[] = {
    {"SET k v", OK, NULL},
    {"EXPIRE k 10 XX", ":0\r\n", NULL},
    {"EXPIRE k 10 GT", ":0\r\n", NULL},
    {"EXPIRE k 10 NX", ":1\r\n", NULL},
    {"EXPIRE k 20 NX", ":0\r\n", NULL},
    {"EXPIRE k 20 XX", ":1\r\n", NULL},
    {"EXPIRE k 20 GT", ":0\r\n", NULL},
    {"EXPIRE k 21 GT", ":1\r\n", NULL},
    {"EXPIRE k 21 LT", ":0\r\n", NULL},
    {"EXPIRE k 20 lt", ":1\r\n", NULL},
    {"EXPIRE k 5 XX LT", ":1\r\n", NULL},
    {"TTL k", ":5\r\n", NULL},
    {"PERSIST k", ":1\r\n", NULL},
    {"EXPIRE k 7 LT", ":1\r\n", NULL},
    {"EXPIRE k -1 GT", ":0\r\n", NULL},
    {"TTL k", ":7\r\n", NULL},
    {"EXPIRE k 1 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n",
     NULL},
    {"EXPIRE k 1 NX LT", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n",
     NULL},
    {"EXPIRE k 1 GT LT", "-ERR GT and LT options at the same time are not compatible\r\n", NULL},
};

static const struct typed strings[] = {
    {"SET k v EX 10", OK, NULL},
    {"TTL k", ":10\r\n", NULL},
    {"SET k v PX 1500 NX", NIL2, NIL3},
    {"SET k v PX 1500 XX GET", "$1\r\nv\r\n", NULL},
    {"PTTL k", ":1500\r\n", NULL},
    {"SET k v EXAT 1700000020", OK, NULL},
    {"TTL k", ":20\r\n", NULL},
    {"SET k v PXAT 1700000020001", OK, NULL},
    {"PTTL k", ":20001\r\n", NULL},
    {"SET k w KEEPTTL", OK, NULL},
    {"PTTL k", ":20001\r\n", NULL},
    {"SET k w XX GET KEEPTTL", "$1\r\nw\r\n", NULL},
    {"PTTL k", ":20001\r\n", NULL},
    {"SET k x IFEQ w PX 5000", OK, NULL},
    {"APPEND k y", ":2\r\n", NULL},
    {"SETRANGE k 0 z", ":2\r\n", NULL},
    {"PTTL k", ":5000\r\n", NULL},
    {"GET k", "$2\r\nzy\r\n", NULL},
    {"SET k 5", OK, NULL},
    {"TTL k", ":-1\r\n", NULL},
    {"SET k 5 EX 1 EX 2", OK, NULL},
    {"INCR k", ":6\r\n", NULL},
    {"INCRBYFLOAT k 0.5", "$3\r\n6.5\r\n", NULL},
    {"PTTL k", ":2000\r\n", NULL},
    {"GETSET k 5", "$3\r\n6.5\r\n", NULL},
    {"TTL k", ":-1\r\n", NULL},
    {"SET k 5 EX 9", OK, NULL},
    {"MSET k 5 l 6", OK, NULL},
    {"TTL k", ":-1\r\n", NULL},
    {"SETEX k 7 v", OK, NULL},
    {"TTL k", ":7\r\n", NULL},
    {"PSETEX k 700 v", OK, NULL},
    {"PTTL k", ":700\r\n", NULL},
    {"CAS k v w EX 3", ":1\r\n", NULL},
    {"TTL k", ":3\r\n", NULL},
    {"CAS k v w EX 4", ":0\r\n", NULL},
    {"CAS k w v", ":1\r\n", NULL},
    {"TTL k", ":-1\r\n", NULL},
    {"CAS k v w EX 0", INVALID("cas"), NULL},
    {"CAS k v w KEEPTTL", SYNTAX, NULL},
    {"SET k v EX 0", INVALID("set"), NULL},
    {"SET k v PX -5", INVALID("set"), NULL},
    {"SET k v EX " HUGE, INVALID("set"), NULL},
    {"SET k v PX " HUGE, INVALID("set"), NULL},
    {"SET k v EX x", NOT_INTEGER, NULL},
    {"SET k v EX 1 PX 1", SYNTAX, NULL},
    {"SETEX k 0 v", INVALID("setex"), NULL},
    {"PSETEX k -1 v", INVALID("psetex"), NULL},
    {"SETEX k x v", NOT_INTEGER, NULL},
    {"SET k gone PXAT 5", OK, NULL},
    {"GET k", NIL2, NIL3},
    {"GETEX k EX 0", NIL2, NIL3},
    {"SET k v", OK, NULL},
    {"GETEX k EX 0", INVALID("getex"), NULL},
    {"GETEX k", "$1\r\nv\r\n", NULL},
    {"GETEX k EX 5", "$1\r\nv\r\n", NULL},
    {"TTL k", ":5\r\n", NULL},
    {"GETEX k", "$1\r\nv\r\n", NULL},
    {"TTL k", ":5\r\n", NULL},
    {"GETEX k PERSIST", "$1\r\nv\r\n", NULL},
    {"TTL k", ":-1\r\n", NULL},
    {"GETEX k EX 5 PERSIST", SYNTAX, NULL},
    {"GETEX k PERSIST PX 5", SYNTAX, NULL},
    {"GETEX k EX", SYNTAX, NULL},
    {"GETEX k PXAT 5", "$1\r\nv\r\n", NULL},
    {"EXISTS k", ":0\r\n", NULL},
};

static const struct typed passing[] = {
    {"SET a 1 PX 100", OK, NULL},
    {"SET b 1 PX 101", OK, NULL},
    {"99", NULL, NULL},
    {"PTTL a", ":1\r\n", NULL},
    {"GET a", "$1\r\n1\r\n", NULL},
    {"1", NULL, NULL},
    {"GET a", NIL2, NIL3},
    {"EXISTS a b", ":1\r\n", NULL},
    {"KEYS *", "*1\r\n$1\r\nb\r\n", NULL},
    {"SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb\r\n", NULL},
    {"MGET a b", "*2\r\n$-1\r\n$1\r\n1\r\n", "*2\r\n_\r\n$1\r\n1\r\n"},
    {"TYPE a", "+none\r\n", NULL},
    {"DBSIZE", ":2\r\n", NULL}, /* until a tick, or somebody who changes it */
    {"DEL a", ":0\r\n", NULL},
    {"DBSIZE", ":1\r\n", NULL},
    {"1", NULL, NULL},
    {"RANDOMKEY", NIL2, NIL3},
    {"RENAME b c", "-ERR no such key\r\n", NULL},
    {"DBSIZE", ":0\r\n", NULL},
    {"SET a 1 PX 100", OK, NULL},
    {"100", NULL, NULL},
    {"INCR a", ":1\r\n", NULL},
    {"PTTL a", ":-1\r\n", NULL},
    {"SET a 1 PX 100", OK, NULL},
    {"100", NULL, NULL},
    {"SET a 2 XX", NIL2, NIL3},
    {"SETNX a 3", ":1\r\n", NULL},
    {"SET a 1 PX 100", OK, NULL},
    {"100", NULL, NULL},
    {"SET a 4 KEEPTTL", OK, NULL},
    {"PTTL a", ":-1\r\n", NULL},
    {"SET a 1 PX 100", OK, NULL},
    {"RENAME a b", OK, NULL},
    {"PTTL b", ":100\r\n", NULL},
    {"SET a 1", OK, NULL},
    {"RENAME a b", OK, NULL},
    {"PTTL b", ":-1\r\n", NULL},
    {"PEXPIRE b 100", ":1\r\n", NULL},
    {"MOVE b 1", ":1\r\n", NULL},
    {"SELECT 1", OK, NULL},
    {"PTTL b", ":100\r\n", NULL},
    {"100", NULL, NULL},
    {"GET b", NIL2, NIL3},
    {"EXPIRE b 10", ":0\r\n", NULL},
    {"DBSIZE", ":0\r\n", NULL},
    {"SELECT 0", OK, NULL},
};

static void type_all(struct world *world, const struct typed *rows, size_t count)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        world->connection.protocol = protocol;
        EXPECT(world, "FLUSHALL", "+OK\r\n");
        for (size_t i = 0; i < count; i++) {
            const char *wanted = protocol == 3 && rows[i].resp3 ? rows[i].resp3 : rows[i].resp2;
            if (wanted)
                EXPECT(world, rows[i].line, wanted);
            else
                world->now_ms += strtol(rows[i].line, NULL, 10);
        }
    }
}

#define TYPE_ALL(rows) type_all(*state, rows, sizeof(rows) / sizeof(rows)[0])

static void test_given_and_asked(void **state)
{
    TYPE_ALL(given_and_asked);
}

static void test_conditions(void **state)
{
    TYPE_ALL(conditions);
}

static void test_strings(void **state)
{
    TYPE_ALL(strings);
}

static void test_passing(void **state)
{
    TYPE_ALL(passing);
}

static void tick(struct world *world)
{
    const struct state_machine_ops *ops = world->machine->ops;
    struct blob *command = ops->tick(world->machine);
    world_apply(world, blob_bytes(command), NULL);
    blob_release(command);
}

/* Some at a time, and nobody is told of them in the statistics. */
static void test_ticks(void **state)
{
    struct world *world = *state;
    const struct state_machine_ops *ops = world->machine->ops;
    char line[64];
    assert_true(ops->due_ms(world->machine) == INT64_MAX);
    for (int i = 0; i < 3000; i++) {
        snprintf(line, sizeof line, "SET key%d v PX %d", i, 1000 + i);
        EXPECT(world, line, OK);
    }
    EXPECT(world, "SET k v", OK);
    assert_int_equal(ops->due_ms(world->machine), world->now_ms + 1000);
    tick(world);
    EXPECT(world, "DBSIZE", ":3001\r\n");
    world->now_ms += 1100;
    tick(world);
    EXPECT(world, "DBSIZE", ":2900\r\n");
    assert_int_equal(ops->due_ms(world->machine), world->now_ms + 1);
    world->now_ms += 10000;
    tick(world);
    EXPECT(world, "DBSIZE", ":852\r\n"); /* 2048 fewer */
    EXPECT(world, "KEYS *", "*1\r\n$1\r\nk\r\n");
    tick(world);
    EXPECT(world, "DBSIZE", ":1\r\n");
    assert_true(ops->due_ms(world->machine) == INT64_MAX);
}

static struct blob *encoded(const char *line)
{
    struct bytes argv[8];
    uint32_t argc = 0;
    for (const char *at = line; *at; at += strspn(at, " ")) {
        argv[argc++] = bytes_of(at, strcspn(at, " "));
        at += argv[argc - 1].size;
    }
    return command_encode(argv, argc);
}

/* A leader looks before there is an entry: whether a request would wait, how many of them find
 * something, whether one is long.  What is over by then is over for it, and stays for the log. */
static void test_looks_delete_nothing(void **state)
{
    struct world *world = *state;
    const struct state_machine_ops *ops = world->machine->ops;
    struct db_stats before, after;
    EXPECT(world, "RPUSH k a b", ":2\r\n");
    EXPECT(world, "PEXPIRE k 100", ":1\r\n");
    struct apply_context now = {.meaning = world->meaning, .now_ms = world->now_ms};
    struct apply_context later = {.meaning = world->meaning, .now_ms = world->now_ms + 100};
    struct blob *waits = encoded("BLPOP k 0"), *is_long = encoded("SUNIONSTORE s k k");
    struct bytes key = bytes_from_string("k");
    db_stats(world->db, &before);
    uint64_t hash = db_hash(world->db);
    assert_false(ops->would_wait(world->machine, &now, blob_bytes(waits)));
    assert_int_equal(ops->wait_count(world->machine, &now, blob_bytes(waits), key), 2);
    assert_true(ops->would_wait(world->machine, &later, blob_bytes(waits)));
    db_stats(world->db, &after);
    assert_int_equal(after.expired, before.expired);
    assert_int_equal(ops->wait_count(world->machine, &later, blob_bytes(waits), key), 0);
    db_stats(world->db, &after);
    assert_int_equal(after.expired, before.expired);
    assert_false(ops->prepares(world->machine, &later, blob_bytes(is_long)));
    db_stats(world->db, &after);
    assert_int_equal(after.expired, before.expired);
    assert_true(db_hash(world->db) == hash);
    assert_int_equal(ops->due_ms(world->machine), later.now_ms);
    blob_release(waits);
    blob_release(is_long);
}

/* Neither when it begins to prepare, nor when it looks whether that still holds. */
static void test_preparing_deletes_nothing(void **state)
{
    struct world *world = *state;
    const struct state_machine_ops *ops = world->machine->ops;
    struct apply_context now = {.meaning = world->meaning, .now_ms = world->now_ms};
    struct apply_context later = {.meaning = world->meaning, .now_ms = world->now_ms + 100};
    struct db_stats before, after;
    EXPECT(world, "SADD stays a b c", ":3\r\n");
    EXPECT(world, "SADD k d e f", ":3\r\n");
    EXPECT(world, "PEXPIRE k 100", ":1\r\n");
    db_stats(world->db, &before);
    struct blob *is_long = encoded("SUNIONSTORE s stays k");
    (void)ops->prepare(world->machine, &later, is_long);
    ops->prepare_drop(world->machine);
    db_stats(world->db, &after);
    assert_int_equal(after.expired, before.expired);
    (void)ops->prepare(world->machine, &now, is_long);
    EXPECT(world, "SET other v", OK);
    (void)ops->prepare(world->machine, &later, is_long);
    ops->prepare_drop(world->machine);
    db_stats(world->db, &after);
    assert_int_equal(after.expired, before.expired);
    assert_int_equal(ops->due_ms(world->machine), later.now_ms);
    blob_release(is_long);
}

static void test_nobody_can_say_it(void **state)
{
    struct world *world = *state;
    EXPECT(world, "raft|tick", "-ERR unknown command 'raft|tick', with args beginning with: \r\n");
    assert_int_equal(world->last_class, COMMAND_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_given_and_asked, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(test_conditions, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(test_strings, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(test_passing, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(test_ticks, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(test_looks_delete_nothing, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(test_preparing_deletes_nothing, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_can_say_it, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
