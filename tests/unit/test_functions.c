/* FUNCTION and FCALL: libraries on the data, what loads and what does not, that all of a library is
 * there or nothing, that it outlives a restart, and its payload. */
#include "test_command.h"

#include "command/eval.h"
#include "command/function_store.h"
#include "command/rdb.h"
#include "script/script.h"

#define LOADED(name) "$1\r\n" name "\r\n"
#define LOAD "FUNCTION LOAD \"#!lua name="
#define FAILED "-ERR Error registering functions: ERR "
#define NOT_FOUND "-ERR Function not found\r\n"
#define NO_WORD                                                                                    \
    "-ERR Library names can only contain letters, numbers, or underscores(_) and must be at least" \
    " one character long\r\n"

static const struct typed plain[] = {
    {LOAD "a\\nredis.register_function('f', function(k, a) return {k[1], a[1], #k, #a} end)\"",
     LOADED("a"), NULL},
    {"FCALL f 1 x y z", "*4\r\n$1\r\nx\r\n$1\r\ny\r\n:1\r\n:2\r\n", NULL},
    {"FCALL F 0", "*0\r\n", NULL},
    {"FCALL f x", "-ERR Bad number of keys provided\r\n", NULL},
    {"FCALL f 1", "-ERR Number of keys can't be greater than number of args\r\n", NULL},
    {"FCALL f -1", "-ERR Number of keys can't be negative\r\n", NULL},
    {"FCALL g 0", NOT_FOUND, NULL},
    {"FCALL_RO f 0", "-ERR Can not execute a script with write flag using *_ro command.\r\n", NULL},
    {LOAD "a\\nredis.register_function('g', function() end)\"",
     "-ERR Library 'a' already exists\r\n", NULL},
    {LOAD "b\\nredis.register_function('F', function() end)\"",
     "-ERR Function F already exists\r\n", NULL},
    {"FUNCTION LOAD replace \"#!lua name=a\\nx y\"",
     "-ERR Error compiling function: user_function:2: '=' expected near 'y'\r\n", NULL},
    {"FUNCTION LOAD REPLACE \"#!lua name=a\\nredis.register_function{function_name='g', "
     "description='d', callback=function(k) return redis.call('get', k[1]) end, "
     "flags={'no-writes'}}\"",
     LOADED("a"), NULL},
    {"FCALL f 0", NOT_FOUND, NULL},
    {"FCALL_RO g 1 nothing", NIL2, NIL3},
    {"FUNCTION LIST LIBRARYNAME A WITHCODE",
     "*1\r\n*8\r\n$12\r\nlibrary_name\r\n$1\r\na\r\n$6\r\nengine\r\n$3\r\nLUA\r\n$"
     "9\r\nfunctions\r\n"
     "*1\r\n*6\r\n$4\r\nname\r\n$1\r\ng\r\n$11\r\ndescription\r\n$1\r\nd\r\n$5\r\nflags\r\n*1\r\n"
     "+no-writes\r\n$12\r\nlibrary_code\r\n$150\r\n#!lua name=a\nredis.register_function{"
     "function_name='g', description='d', callback=function(k) return redis.call('get', k[1]) end, "
     "flags={'no-writes'}}\r\n",
     "*1\r\n%4\r\n$12\r\nlibrary_name\r\n$1\r\na\r\n$6\r\nengine\r\n$3\r\nLUA\r\n$"
     "9\r\nfunctions\r\n"
     "*1\r\n%3\r\n$4\r\nname\r\n$1\r\ng\r\n$11\r\ndescription\r\n$1\r\nd\r\n$5\r\nflags\r\n~1\r\n"
     "+no-writes\r\n$12\r\nlibrary_code\r\n$150\r\n#!lua name=a\nredis.register_function{"
     "function_name='g', description='d', callback=function(k) return redis.call('get', k[1]) end, "
     "flags={'no-writes'}}\r\n"},
    {"FUNCTION LIST LIBRARYNAME z*", "*0\r\n", NULL},
    {"FUNCTION LIST x", "-ERR Unknown argument x\r\n", NULL},
    {"FUNCTION LIST LIBRARYNAME", "-ERR library name argument was not given\r\n", NULL},
    {"FUNCTION DELETE z", "-ERR Library not found\r\n", NULL},
    {"FUNCTION DELETE a", OK, NULL},
    {"FCALL g 0", NOT_FOUND, NULL},
    {"FUNCTION KILL", "-NOTBUSY No scripts in execution right now.\r\n", NULL},
    {"FUNCTION FLUSH x", "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option\r\n", NULL},
    {"FUNCTION RESTORE x", "-ERR DUMP payload version or checksum are wrong\r\n", NULL},
    {"FUNCTION RESTORE x y",
     "-ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.\r\n", NULL},
    /* The line before the code. */
    {"FUNCTION LOAD x", "-ERR Missing library metadata\r\n", NULL},
    {"FUNCTION LOAD \"#!lua name=a\"", "-ERR Invalid library metadata\r\n", NULL},
    {"FUNCTION LOAD \"#!lua\\nx\"", "-ERR Library name was not given\r\n", NULL},
    {LOAD "a name=b\\n\"",
     "-ERR Invalid metadata value, name argument was given multiple times\r\n", NULL},
    {LOAD "a b\\n\"", "-ERR Invalid metadata value given: b\r\n", NULL},
    {LOAD "a-b\\n\"", NO_WORD, NULL},
    {"FUNCTION LOAD \"#!py name=a\\n\"", "-ERR Engine 'py' not found\r\n", NULL},
    {"FUNCTION LOAD x y", "-ERR Unknown option given: x\r\n", NULL},
    /* The code, when it is loaded. */
    {LOAD "a\\nreturn 1\"", "-ERR No functions registered\r\n", NULL},
    {LOAD "a\\nredis.call('get', 'x')\"",
     FAILED "user_function:2: Script attempted to access nonexistent global variable 'call'\r\n",
     NULL},
    {LOAD "a\\nx = 1\"", FAILED "user_function:2: Attempt to modify a readonly table\r\n", NULL},
    {LOAD "a\\nreturn math\"",
     FAILED "user_function:2: Script attempted to access nonexistent global variable 'math'\r\n",
     NULL},
    {LOAD "a\\nwhile true do end\"", FAILED "FUNCTION LOAD timeout\r\n", NULL},
    {LOAD "a\\nredis.register_function('a', function() end, 1)\"",
     FAILED "wrong number of arguments to redis.register_function\r\n", NULL},
    {LOAD "a\\nredis.register_function{function_name='f'}\"",
     FAILED "redis.register_function must get a callback argument\r\n", NULL},
    {LOAD "a\\nredis.register_function{function_name='f', callback=function() end, flags={'x'}}\"",
     FAILED "unknown flag given\r\n", NULL},
    {LOAD
     "a\\nredis.register_function('f', function() end) redis.register_function('F', function() "
     "end)\"",
     FAILED "Function already exists in the library\r\n", NULL},
    {"FUNCTION STATS",
     "*4\r\n$14\r\nrunning_script\r\n$-1\r\n$7\r\nengines\r\n*2\r\n$3\r\nLUA\r\n*4\r\n$15\r\n"
     "libraries_count\r\n:0\r\n$15\r\nfunctions_count\r\n:0\r\n",
     "%2\r\n$14\r\nrunning_script\r\n_\r\n$7\r\nengines\r\n%1\r\n$3\r\nLUA\r\n%2\r\n$15\r\n"
     "libraries_count\r\n:0\r\n$15\r\nfunctions_count\r\n:0\r\n"},
};

static void test_plain(void **state)
{
    (void)state;
    world_expect_rows(plain, sizeof plain / sizeof *plain);
}

/* What a function leaves in a variable is not there the next time; what it wrote before it failed
 * is undone. */
static void test_nothing_is_left(void **state)
{
    struct world *world = *state;
    EXPECT(world,
           LOAD "a\\nlocal n = 0 redis.register_function('next', function() n = n + 1 return n end)"
                " redis.register_function('fail', function(k) redis.call('set', k[1], 1) error('x')"
                " end)\"",
           LOADED("a"));
    uint64_t before = db_hash(world->db);
    EXPECT(world, "FCALL next 0", ":1\r\n");
    EXPECT(world, "FCALL next 0", ":1\r\n");
    EXPECT(world, "FCALL fail 1 k",
           "-ERR user_function:2: x script: fail, on @user_function:2.\r\n");
    assert_int_equal(db_hash(world->db), before);
    /* A load that fails changes nothing. */
    world_type(world, "FUNCTION LOAD REPLACE \"#!lua name=a\\nredis.register_function('y', "
                      "function() end) redis.register_function(1)\"");
    assert_int_equal(db_hash(world->db), before);
}

static void open_again(struct world *world)
{
    static const struct db_options options = {.cluster = 1, .checkpoint_bytes = 1 << 20};
    uint64_t hash = db_hash(world->db);
    db_checkpoint(world->db);
    db_wait(world->db);
    command_machine_free(world->machine);
    db_close(world->db);
    world->db = db_open(world->kv, &options);
    world->machine = command_machine_new(world->db, command_meaning_newest);
    assert_int_equal(db_hash(world->db), hash);
}

static void test_libraries_outlive_a_restart(void **state)
{
    struct world *world = *state;
    EXPECT(world, LOAD "b\\nredis.register_function('g', function() return 2 end)\"", LOADED("b"));
    EXPECT(world, LOAD "a\\nredis.register_function('f', function() return 1 end)\"", LOADED("a"));
    EXPECT(world, "EVAL 'return 1' 0", ":1\r\n");
    open_again(world);
    EXPECT(world, "FCALL g 0", ":2\r\n");
    EXPECT(world, "FLUSHALL", OK);
    EXPECT(world, "SCRIPT FLUSH", OK);
    EXPECT(world, "FCALL f 0", ":1\r\n");
    EXPECT(world, "FUNCTION FLUSH", OK);
    open_again(world);
    EXPECT(world, "FCALL g 0", NOT_FOUND);
    EXPECT(world, "FUNCTION LIST", "*0\r\n");
}

/* How much a script or a function may do does not depend on whether it was compiled already: that
 * is not the same on all nodes. */
static void test_compiling_does_not_count(void **state)
{
    struct script *script = script_new();
    char sha[SCRIPT_SHA_SIZE + 1];
    uint64_t spent[2];
    (void)state;
    for (int is_library = 0; is_library < 2; is_library++) {
        struct bytes body = bytes_from_string(
            is_library ? "for i = 1, 9000 do end redis.register_function('f', function() end)"
                       : "local t = {1, 2, 3} return #t");
        script_sha(body, sha);
        struct script_run run = {.sha = bytes_from_string(sha),
                                 .body = body,
                                 .protocol = 2,
                                 .is_library = is_library,
                                 .function = bytes_from_string("f")};
        for (int i = 0; i < 2; i++) {
            script_begin(script, &run);
            while (script_go_on(script) != SCRIPT_ENDS)
                continue;
            spent[i] = script_spent(script);
        }
        assert_int_equal(spent[0], spent[1]);
    }
    script_free(script);
}

/* However many scripts read on this node, an entry finds a machine. */
static void test_entries_find_a_machine(void **state)
{
    struct call reads = {.allows = CMD_READ}, writes = {.allows = CMD_READ | CMD_WRITE};
    struct script *taken[64];
    unsigned count = 0;
    (void)state;
    while (count < 63 && (taken[count] = script_pool_take(&reads)))
        count++;
    assert_in_range(count, 2, 62);
    taken[count++] = script_pool_take(&writes);
    assert_non_null(taken[count - 1]);
    while (count > 0)
        script_pool_give_back(taken[--count]);
}

/* ---- payloads ---------------------------------------------------------------------------- */

static struct bytes restore(struct world *world, struct bytes payload, const char *policy)
{
    struct bytes argv[] = {bytes_from_string("FUNCTION"), bytes_from_string("RESTORE"), payload,
                           bytes_from_string(policy)};
    buffer_clear(&world->connection.out.bytes);
    world_run(world, argv, 4);
    return buffer_bytes(&world->connection.out.bytes);
}

static void expect_restore(struct world *world, struct bytes payload, const char *policy,
                           const char *reply)
{
    struct bytes got = restore(world, payload, policy);
    if (!bytes_equal(got, bytes_from_string(reply)))
        fail_msg("RESTORE %s gave %.*s", policy, (int)got.size, (const char *)got.data);
}

/* The payload in the reply to FUNCTION DUMP. */
static void dump(struct world *world, struct buffer *payload)
{
    struct bytes reply = world_type(world, "FUNCTION DUMP");
    const char *from = memchr(reply.data, '\n', reply.size);
    assert_non_null(from);
    size_t head = (size_t)(from + 1 - (const char *)reply.data);
    buffer_append(payload, from + 1, reply.size - head - 2);
}

static void test_payloads(void **state)
{
    struct world *world = *state;
    struct buffer payload = {0}, mixed = {0};
    EXPECT(world, LOAD "a\\nredis.register_function('f', function() return 1 end)\"", LOADED("a"));
    EXPECT(world, LOAD "b\\nredis.register_function('g', function() return 2 end)\"", LOADED("b"));
    dump(world, &payload);
    uint64_t both = db_hash(world->db);
    expect_restore(world, buffer_bytes(&payload), "APPEND", "-ERR Library a already exists\r\n");
    expect_restore(world, buffer_bytes(&payload), "REPLACE", OK);
    assert_int_equal(db_hash(world->db), both);
    /* The second cannot be loaded: the first is not either, and what was flushed is back. */
    buffer_append_byte(&mixed, (char)245);
    rdb_write_string(&mixed,
                     bytes_from_string("#!lua name=c\nredis.register_function('h', function() "
                                       "end)"));
    buffer_append_byte(&mixed, (char)245);
    rdb_write_string(&mixed, bytes_from_string("#!lua name=d\nx"));
    rdb_write_footer(&mixed, rdb_crc(0, buffer_bytes(&mixed)));
    struct bytes reply = restore(world, buffer_bytes(&mixed), "FLUSH");
    assert_int_equal(((const char *)reply.data)[0], '-');
    assert_int_equal(db_hash(world->db), both);
    EXPECT(world, "FUNCTION FLUSH", OK);
    expect_restore(world, buffer_bytes(&payload), "FLUSH", OK);
    assert_int_equal(db_hash(world->db), both);
    for (size_t at = 0; at < payload.size; at++) { /* damaged anywhere */
        payload.data[at] ^= 1;
        expect_restore(world, buffer_bytes(&payload), "REPLACE",
                       "-ERR DUMP payload version or checksum are wrong\r\n");
        payload.data[at] ^= 1;
    }
    buffer_deinit(&payload);
    buffer_deinit(&mixed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test_setup_teardown(test_nothing_is_left, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(test_libraries_outlive_a_restart, world_set_up,
                                        world_tear_down),
        cmocka_unit_test(test_compiling_does_not_count),
        cmocka_unit_test(test_entries_find_a_machine),
        cmocka_unit_test_setup_teardown(test_payloads, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
