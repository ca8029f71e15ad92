/* EVAL and its like: scripts on the data, what is undone of one that fails, the store of scripts,
 * scripts within EXEC and ONCE, and that slices and checkpoints change nothing. */
#include "test_command.h"

#include "command/script_store.h"
#include "script/script.h"

#define SHA_RETURN_1 "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
#define SHA_RETURN_FIRST "574022e9b83fa212f9769fb7cec9e794ff23342b"
#define SHA_RETURN_1001 "a1260c993d3148c1a618953eddcc505db76a52b4"
#define NOSCRIPT "-NOSCRIPT No matching script. Please use EVAL.\r\n"

static const struct typed plain[] = {
    {"EVAL 'return 1' 0", ":1\r\n", NULL},
    {"EVALSHA " SHA_RETURN_1 " 0", ":1\r\n", NULL},
    {"EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 0", ":1\r\n", NULL},
    {"EVALSHA x 0", NOSCRIPT, NULL},
    {"EVAL 'return 1' x", "-ERR value is not an integer or out of range\r\n", NULL},
    {"EVAL 'return 1' 1", "-ERR Number of keys can't be greater than number of args\r\n", NULL},
    {"EVAL 'return 1' -1", "-ERR Number of keys can't be negative\r\n", NULL},
    {"EVAL \"return {KEYS[1], ARGV[1], #KEYS, #ARGV}\" 1 a b c",
     "*4\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n:2\r\n", NULL},
    {"EVAL \"redis.call('set', KEYS[1], ARGV[1]); return redis.call('get', KEYS[1])\" 1 k v",
     "$1\r\nv\r\n", NULL},
    {"EVAL \"return redis.call('incr', 'n') + redis.call('incr', 'n')\" 0", ":3\r\n", NULL},
    {"EVAL \"return redis.call('get', 'nothing')\" 0", NIL2, NIL3},
    {"EVAL \"redis.call('hset', 'h', 'a', 1); redis.setresp(3); return redis.call('hgetall', "
     "'h')\" "
     "0",
     "*2\r\n$1\r\na\r\n$1\r\n1\r\n", "%1\r\n$1\r\na\r\n$1\r\n1\r\n"},
    {"EVAL \"return redis.pcall('incr', 'k')\" 0", NOT_INTEGER, NULL},
    {"EVAL_RO \"return redis.call('get', 'k')\" 0", "$1\r\nv\r\n", NULL},
    {"EVALSHA_RO " SHA_RETURN_1 " 0", ":1\r\n", NULL},
    {"EVAL_RO \"return redis.pcall('set', 'k', 1)\" 0",
     "-ERR Write commands are not allowed from read-only scripts.\r\n", NULL},
    {"EVAL \"return redis.pcall('eval', 'return 1', 0)\" 0",
     "-ERR This Redis command is not allowed from script\r\n", NULL},
    {"EVAL \"return redis.pcall('nosuch')\" 0", "-ERR Unknown Redis command called from script\r\n",
     NULL},
    {"EVAL \"return redis.pcall('get')\" 0",
     "-ERR Wrong number of args calling Redis command from script\r\n", NULL},
    {"EVAL \"return redis.pcall('client', 'id')\" 0",
     "-ERR This Redis command is not allowed from script\r\n", NULL},
    {"EVAL \"return redis.pcall('info')\" 0",
     "-ERR This Redis command is not allowed from script\r\n", NULL},
    {"EVAL \"return {redis.call('ping'), redis.call('echo', 'x'), redis.call('time')[1]}\" 0",
     "*3\r\n+PONG\r\n$1\r\nx\r\n$10\r\n1700000000\r\n", NULL},
    {"EVAL \"return redis.acl_check_cmd('set', 'k', 'v')\" 0", ":1\r\n", NULL},
    /* SELECT is the script's alone. */
    {"EVAL \"redis.call('select', 3); redis.call('set', 'in3', 1); return redis.call('dbsize')\" 0",
     ":1\r\n", NULL},
    {"EXISTS in3", ":0\r\n", NULL},
    {"EVAL \"return redis.pcall('select', 99)\" 0", "-ERR DB index is out of range\r\n", NULL},
    /* In EXEC and ONCE. */
    {"MULTI", OK, NULL},
    {"INCR n", "+QUEUED\r\n", NULL},
    {"EVAL \"return redis.call('incr', 'n')\" 0", "+QUEUED\r\n", NULL},
    {"EVAL \"redis.call('incr', 'n'); error('x')\" 0", "+QUEUED\r\n", NULL},
    {"EVALSHA " SHA_RETURN_1 " 0", "+QUEUED\r\n", NULL},
    {"EXEC",
     "*4\r\n:3\r\n:4\r\n-ERR user_script:1: x script: "
     "849e97d4be728261b0b1593eb6c149f42c573bf8, on @user_script:1.\r\n:1\r\n",
     NULL},
    {"GET n", "$1\r\n4\r\n", NULL},
    {"SCRIPT KILL", "-NOTBUSY No scripts in execution right now.\r\n", NULL},
    {"SCRIPT DEBUG NO", OK, NULL},
    {"SCRIPT FLUSH now", "-ERR SCRIPT FLUSH only support SYNC|ASYNC option\r\n", NULL},
    {"SCRIPT FLUSH", OK, NULL},
    {"SCRIPT EXISTS " SHA_RETURN_1 " x", "*2\r\n:0\r\n:0\r\n", NULL},
    {"SCRIPT LOAD 'return 1'", "$40\r\n" SHA_RETURN_1 "\r\n", NULL},
    {"SCRIPT EXISTS " SHA_RETURN_1 " x", "*2\r\n:1\r\n:0\r\n", NULL},
    {"SCRIPT FLUSH SYNC", OK, NULL},
};

/* A script may say what a client may not any more, and so may an entry that is there: they do what
 * they did. */
static const struct typed said_twice[] = {
    {"ZADD z 1 a 2 b", ":2\r\n", NULL},
    {"ZRANGE z 0 -1 REV REV", SYNTAX, NULL},
    {"EVAL \"return redis.call('zrange', 'z', 0, -1, 'rev', 'rev')\" 0",
     "*2\r\n$1\r\nb\r\n$1\r\na\r\n", NULL},
    {"EVAL \"return redis.call('zrange', 'z', 2, 5, 'byscore', 'byscore')\" 0", "*1\r\n$1\r\nb\r\n",
     NULL},
    {"EVAL \"return redis.call('zrange', 'z', '-', '(b', 'byscore', 'bylex')\" 0",
     "*1\r\n$1\r\na\r\n", NULL},
    {"EVAL \"return redis.call('zrangestore', 'to', 'z', 0, 0, 'rev', 'rev')\" 0", ":1\r\n", NULL},
    {"ZSCORE to b", "$1\r\n2\r\n", ",2\r\n"},
    {"XGROUP CREATE s g $ MKSTREAM MKSTREAM ENTRIESREAD 1",
     "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.\r\n",
     NULL},
    {"EVAL \"return redis.call('xgroup', 'create', 's', 'g', '$', 'mkstream', 'mkstream', "
     "'entriesread', 1)\" 0",
     OK, NULL},
    {"EVAL \"return redis.call('xgroup', 'setid', 's', 'g', '5-0', 'entriesread', 1, "
     "'entriesread', 2)\" 0",
     OK, NULL},
    {"EVAL \"local group = redis.call('xinfo', 'groups', 's')[1]; return {group[8], group[10]}\" 0",
     "*2\r\n$3\r\n5-0\r\n:2\r\n", NULL},
};

static void test_plain(void **state)
{
    (void)state;
    world_expect_rows(plain, sizeof plain / sizeof *plain);
}

static void test_what_is_said_twice(void **state)
{
    (void)state;
    world_expect_rows(said_twice, sizeof said_twice / sizeof *said_twice);
}

static void expect_begins(struct world *world, const char *line, const char *prefix)
{
    struct bytes got = world_type(world, line);
    if (got.size < strlen(prefix) || memcmp(got.data, prefix, strlen(prefix)) != 0)
        fail_msg("%s\n   got %.*s\nwanted %s", line, (int)got.size, (const char *)got.data, prefix);
}

/* ---- what is undone -------------------------------------------------------------------------- */

static unsigned effects_told;

static void count_effect(struct command_listener *listener, uint64_t index,
                         const struct db_effect *effect)
{
    (void)listener, (void)index, (void)effect;
    effects_told++;
}

static void test_a_failing_script_leaves_nothing(void **state)
{
    struct world *world = *state;
    struct command_listener listener = {.effect = count_effect};
    command_machine_listen(world->machine, &listener);
    EXPECT(world, "SET k v", OK);
    EXPECT(world, "RPUSH l a b c", ":3\r\n");
    EXPECT(world, "EVAL 'return 1' 0", ":1\r\n");
    uint64_t before = db_hash(world->db);
    effects_told = 0;
    static const char *const ends[] = {"error('x')", "redis.call('incr', 'h')", "while true do end",
                                       "local t = {}; while true do t = {t} end"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char line[512];
        snprintf(
            line, sizeof line,
            "EVAL \"redis.call('set', 'k', 2); redis.call('del', 'l'); redis.call('sadd', 's', "
            "1, 2); redis.call('flushall'); for i = 1, 300 do redis.call('hset', 'h', i, i) "
            "end; %s\" 0",
            ends[i]);
        expect_begins(world, line, "-");
        EXPECT(world, "SCRIPT FLUSH", OK);
        EXPECT(world, "EVAL 'return 1' 0", ":1\r\n");
        assert_int_equal(db_hash(world->db), before);
    }
    assert_int_equal(effects_told, 0);
    EXPECT(world, "EVAL \"redis.call('set', 'k', 3); return redis.error_reply('MY own')\" 0",
           "-MY own\r\n");
    EXPECT(world, "GET k", "$1\r\n3\r\n");
}

/* ---- the store ------------------------------------------------------------------------------- */

static void test_scripts_outlive_a_restart(void **state)
{
    struct world *world = *state;
    EXPECT(world, "EVAL 'return 1' 0", ":1\r\n");
    EXPECT(world, "SCRIPT LOAD 'return 2'", "$40\r\n7f923f79fe76194c868d7e1d0820de36700eb649\r\n");
    uint64_t hash = db_hash(world->db);
    db_checkpoint(world->db);
    db_wait(world->db);
    assert_int_equal(db_hash(world->db), hash);
    command_machine_free(world->machine);
    db_close(world->db);
    static const struct db_options options = {.cluster = 1, .checkpoint_bytes = 1 << 20};
    world->db = db_open(world->kv, &options);
    world->machine = command_machine_new(world->db, command_meaning_newest);
    assert_int_equal(db_hash(world->db), hash);
    EXPECT(world, "EVALSHA " SHA_RETURN_1 " 0", ":1\r\n");
    EXPECT(world, "EVALSHA 7f923f79fe76194c868d7e1d0820de36700eb649 0", ":2\r\n");
    EXPECT(world, "FLUSHALL", OK);
    EXPECT(world, "EVALSHA_RO " SHA_RETURN_1 " 0", ":1\r\n");
    EXPECT(world, "SCRIPT FLUSH", OK);
    EXPECT(world, "EVALSHA " SHA_RETURN_1 " 0", NOSCRIPT);
}

/* What EVAL leaves makes room for what comes after it; what was loaded stays. */
static void test_the_store_is_bounded(void **state)
{
    struct world *world = *state;
    char line[64];
    EXPECT(world, "EVAL 'return 1' 0", ":1\r\n");
    EXPECT(world, "EVAL 'return 2' 0", ":2\r\n");
    EXPECT(world, "SCRIPT LOAD 'return 1'", "$40\r\n" SHA_RETURN_1 "\r\n");
    for (int i = 0; i < SCRIPTS_EVALED_MAX + 5; i++) {
        snprintf(line, sizeof line, "EVAL 'return 1000 + %d' 0", i);
        world_type(world, line);
    }
    EXPECT(world, "SCRIPT EXISTS " SHA_RETURN_1 " 7f923f79fe76194c868d7e1d0820de36700eb649",
           "*2\r\n:1\r\n:0\r\n");
    snprintf(line, sizeof line, "EVAL 'return 1000 + %d' 0", SCRIPTS_EVALED_MAX + 4);
    uint64_t hash = db_hash(world->db);
    world_type(world, line);
    assert_int_equal(db_hash(world->db), hash);
    EXPECT(world, "SCRIPT FLUSH", OK);
    expect_begins(world, "EVAL 'return (' 0",
                  "-ERR Error compiling script (new function): user_script:1: ");
    expect_begins(world, "SCRIPT LOAD 'return ('",
                  "-ERR Error compiling script (new function): user_script:1: ");
}

/* It counts with those that EVAL left no more: these are as many as before it. */
static void test_what_is_loaded_leaves_those_of_eval(void **state)
{
    enum { LOADED = 20 };
    struct world *world = *state;
    char line[64];
    for (int i = 0; i < LOADED; i++) {
        snprintf(line, sizeof line, "EVAL 'return %d' 0", i);
        world_type(world, line);
        snprintf(line, sizeof line, "SCRIPT LOAD 'return %d'", i);
        world_type(world, line);
    }
    EXPECT(world, "EVAL 'return \"first\"' 0", "$5\r\nfirst\r\n");
    for (int i = 1; i < SCRIPTS_EVALED_MAX; i++) {
        snprintf(line, sizeof line, "EVAL 'return 1000 + %d' 0", i);
        world_type(world, line);
    }
    EXPECT(world, "SCRIPT EXISTS " SHA_RETURN_1 " " SHA_RETURN_FIRST, "*2\r\n:1\r\n:1\r\n");
    EXPECT(world, "EVAL 'return 1000' 0", ":1000\r\n");
    EXPECT(world, "SCRIPT EXISTS " SHA_RETURN_1 " " SHA_RETURN_FIRST, "*2\r\n:1\r\n:0\r\n");
    for (int i = 1; i < SCRIPTS_EVALED_MAX; i++) { /* all are, and there is room for another */
        snprintf(line, sizeof line, "SCRIPT LOAD 'return 1000 + %d'", i);
        world_type(world, line);
    }
    EXPECT(world, "EVAL 'return 1' 0", ":1\r\n");
    EXPECT(world, "EVAL 'return 2000' 0", ":2000\r\n");
}

/* One of as many bytes as a script may have. */
static struct bytes run_large(struct world *world, const char *name, const char *sub,
                              unsigned number)
{
    struct buffer body = {0};
    buffer_printf(&body, "return %u --", number);
    size_t head = body.size;
    buffer_reserve(&body, SCRIPT_BODY_MAX - head);
    memset(body.data + head, 'x', SCRIPT_BODY_MAX - head);
    body.size = SCRIPT_BODY_MAX;
    struct bytes text = buffer_bytes(&body), last = bytes_from_string("0");
    struct bytes eval[] = {bytes_from_string(name), text, last};
    struct bytes load[] = {bytes_from_string(name), bytes_from_string(sub ? sub : ""), text};
    buffer_clear(&world->connection.out.bytes);
    world_run(world, sub ? load : eval, 3);
    buffer_deinit(&body);
    return buffer_bytes(&world->connection.out.bytes);
}

/* Of all bodies together: those of EVAL make room by their bytes; those that are loaded stay. */
static void test_the_bytes_of_the_store_are_bounded(void **state)
{
    enum { MANY = SCRIPTS_BYTES_MAX / SCRIPT_BODY_MAX };
    static const char full[] = "-ERR too many scripts are loaded: SCRIPT FLUSH forgets them\r\n";
    struct world *world = *state;
    for (unsigned i = 0; i < 2 * MANY; i++)
        assert_int_equal(run_large(world, "EVAL", NULL, i).size, i < 10 ? 4 : 5);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(run_large(world, "SCRIPT", "LOAD", 1000 + i).size, 47);
    EXPECT(world, "SCRIPT LOAD 'return 1'", full);
    assert_int_equal(run_large(world, "EVAL", NULL, 1).size, 4); /* and is not kept */
    EXPECT(world, "SCRIPT FLUSH", OK);
    assert_int_equal(run_large(world, "SCRIPT", "LOAD", 1).size, 47);
}

/* Of those that are loaded: EVAL does what it does all the same. */
static void test_the_number_of_scripts_is_bounded(void **state)
{
    struct world *world = *state;
    char line[64];
    EXPECT(world, "EVAL 'return 1' 0", ":1\r\n");
    for (int i = 0; i < SCRIPTS_COUNT_MAX; i++) {
        snprintf(line, sizeof line, "SCRIPT LOAD 'return 1000 + %d'", i);
        assert_int_equal(world_type(world, line).size, 47);
    }
    EXPECT(world, "SCRIPT LOAD 'return 1'",
           "-ERR too many scripts are loaded: SCRIPT FLUSH forgets them\r\n");
    EXPECT(world, "SCRIPT LOAD 'return 1000 + 1'", "$40\r\n" SHA_RETURN_1001 "\r\n");
    EXPECT(world, "EVAL 'return 1' 0", ":1\r\n");
    EXPECT(world, "EVALSHA " SHA_RETURN_1 " 0", NOSCRIPT);
}

/* What INFO says, on every node: of what is applied. */
static void test_scripts_and_functions_are_counted(void **state)
{
    struct world *world = *state;
    struct server_scripts counted;
    command_count_scripts(world->db, &counted);
    assert_int_equal(counted.scripts + counted.libraries, 0);
    EXPECT(world, "SCRIPT LOAD 'return 1000 + 1'", "$40\r\n" SHA_RETURN_1001 "\r\n");
    EXPECT(world, "EVAL 'return 1' 0", ":1\r\n");
    EXPECT(world,
           "FUNCTION LOAD \"#!lua name=l\\nredis.register_function('f', function() return 1 end) "
           "redis.register_function('g', function() return 2 end)\"",
           "$1\r\nl\r\n");
    command_count_scripts(world->db, &counted);
    assert_int_equal(counted.scripts, 2);
    assert_int_equal(counted.scripts_bytes, strlen("return 1000 + 1") + strlen("return 1"));
    assert_int_equal(counted.libraries, 1);
    assert_int_equal(counted.functions, 2);
    assert_true(counted.functions_bytes > 100);
    assert_true(counted.machines_bytes > 10000);
    EXPECT(world, "SCRIPT FLUSH", "+OK\r\n");
    EXPECT(world, "FUNCTION DELETE l", "+OK\r\n");
    command_count_scripts(world->db, &counted);
    assert_int_equal(counted.scripts + counted.scripts_bytes, 0);
    assert_int_equal(counted.libraries + counted.functions + counted.functions_bytes, 0);
}

/* ---- slices ---------------------------------------------------------------------------------- */

static void test_long_ones_go_in_slices(void **state)
{
    struct world *world = *state;
    world->pauses = 0;
    EXPECT(world, "EVAL \"for i = 1, 5e6 do end; return 1\" 0", ":1\r\n");
    assert_true(world->pauses > 10);
    world->pauses = 0;
    EXPECT(world,
           "EVAL \"for i = 1, 5000 do redis.call('hset', 'h', i, i) end; return "
           "#redis.call('hkeys', 'h')\" 0",
           ":5000\r\n");
    assert_true(world->pauses > 3);
    world->pauses = 0;
    EXPECT(world, "EVAL_RO \"for i = 1, 5e6 do end; return redis.call('hlen', 'h')\" 0",
           ":5000\r\n");
    assert_true(world->pauses > 10);
    world->pauses = 0;
    EXPECT(world, "EVAL \"for i = 1, 50000 do redis.pcall('no') end; return 1\" 0", ":1\r\n");
    assert_true(world->pauses > 10);
    EXPECT(world, "ONCE me 1 EVAL \"return redis.call('incr', 'once')\" 0", ":1\r\n");
    EXPECT(world, "ONCE me 1 EVAL \"return redis.call('incr', 'once')\" 0", ":1\r\n");
}

static void test_words_of_the_line(void **state)
{
    struct world *world = *state;
    EXPECT(world, "EVAL \"#!lua flags=no-writes\\nreturn redis.pcall('set', 'k', 1)\" 0",
           "-ERR Write commands are not allowed from read-only scripts.\r\n");
    EXPECT(world, "EVAL_RO \"#!lua\\nreturn 1\" 0",
           "-ERR Can not execute a script with write flag using *_ro command.\r\n");
    EXPECT(world, "EVAL_RO \"#!lua flags=no-writes\\nreturn 1\" 0", ":1\r\n");
    EXPECT(world, "EVAL \"#!lua flags=x\\nreturn 1\" 0",
           "-ERR Unexpected flag in script shebang: x\r\n");
    EXPECT(world, "EVAL \"#!js\\nreturn 1\" 0",
           "-ERR Unexpected engine in script shebang: #!js\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_what_is_said_twice),
        cmocka_unit_test_setup_teardown(test_a_failing_script_leaves_nothing, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(test_scripts_outlive_a_restart, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(test_the_store_is_bounded, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_loaded_leaves_those_of_eval, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(test_scripts_and_functions_are_counted, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(test_the_number_of_scripts_is_bounded, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(test_the_bytes_of_the_store_are_bounded, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(test_long_ones_go_in_slices, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(test_words_of_the_line, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
