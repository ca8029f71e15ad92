/* Streams through the commands: replies, one by one; and random changes against a plain array, with
 * checkpoints between. */
#include "test_command.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static int setup(void **state)
{
    struct world *world = memory_new(sizeof *world);
    world_init(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    world_deinit(*state);
    memory_free(*state);
    return 0;
}

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define BAD_ID "-ERR Invalid stream ID specified as stream command argument\r\n"
#define ONE "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
#define TWO "*2\r\n$3\r\n2-0\r\n*4\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\nc\r\n$1\r\ne\r\n"
#define BELOW                                                                                      \
    "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n"

static void test_adding(void **state)
{
    static const struct typed rows[] = {
        {"XADD s NOMKSTREAM 1-1 a b", NIL2, NIL3},
        {"XADD s 0-0 a b", "-ERR The ID specified in XADD must be greater than 0-0\r\n"},
        {"EXISTS s", ":0\r\n"},
        {"XADD s 1-1 a b", "$3\r\n1-1\r\n"},
        {"XADD s 1-1 a b", BELOW},
        {"XADD s 1-* a", "-ERR wrong number of arguments for 'xadd' command\r\n"},
        {"XADD s 2 c d c e", "$3\r\n2-0\r\n"},
        {"XADD s 1-* a b", BELOW},
        {"TYPE s", "+stream\r\n"},
        {"OBJECT ENCODING s", "$6\r\nstream\r\n"},
        {"SCAN 0 TYPE stream", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\ns\r\n"},
        {"XLEN s", ":2\r\n"},
        {"XRANGE s - +", "*2\r\n" ONE TWO},
        {"XREVRANGE s + -", "*2\r\n" TWO ONE},
        {"XRANGE s (1-1 +", "*1\r\n" TWO},
        {"XRANGE s 1 (2-0", "*1\r\n" ONE},
        {"XRANGE s 1 1", "*1\r\n" ONE},
        {"XREVRANGE s 2 1 COUNT 1", "*1\r\n" TWO},
        {"XRANGE s - + COUNT 0", "*-1\r\n", NIL3},
        {"XRANGE s (18446744073709551615-18446744073709551615 +",
         "-ERR invalid start ID for the interval\r\n"},
        {"XRANGE s - (0-0", "-ERR invalid end ID for the interval\r\n"},
        {"XRANGE s (- +", BAD_ID},
        {"XRANGE none - +", "*0\r\n"},
        {"XRANGE s 3 2", "*0\r\n"},
        {"XADD s 2-* x y", "$3\r\n2-1\r\n"},
        {"XADD s 2-18446744073709551615 x y", "$22\r\n2-18446744073709551615\r\n"},
        {"XADD s 2-* x y", BELOW},
        {"XADD s 1-1 x", "-ERR wrong number of arguments for 'xadd' command\r\n"},
        {"XADD s 18446744073709551615-18446744073709551614 x y",
         "$41\r\n18446744073709551615-18446744073709551614\r\n"},
        {"XADD s * x y", "$41\r\n18446744073709551615-18446744073709551615\r\n"},
        {"XADD s * x y",
         "-ERR The stream has exhausted the last possible ID, unable to add more items\r\n"},
        {"XADD s 18446744073709551616-1 x y", BAD_ID},
        {"XLEN s", ":6\r\n"},
        {"SET t x", OK},
        {"XADD t 1-1 a b",
         "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
    };
    world_expect_all(*state, rows, COUNT(rows));
}

/* The time is the log's, and does not take the ids back. */
static void test_ids_follow_the_time(void **state)
{
    struct world *world = *state;
    world->now_ms = 1000;
    EXPECT(world, "XADD s * a b", "$6\r\n1000-0\r\n");
    EXPECT(world, "XADD s * a b", "$6\r\n1000-1\r\n");
    world->now_ms = 2000;
    EXPECT(world, "XADD s * a b", "$6\r\n2000-0\r\n");
    EXPECT(world, "XADD s 3000-5 a b", "$6\r\n3000-5\r\n");
    EXPECT(world, "XADD s * a b", "$6\r\n3000-6\r\n");
    EXPECT(world, "XDEL s 3000-6", ":1\r\n");
    EXPECT(world, "XADD s * a b", "$6\r\n3000-7\r\n");
}

static void test_trimming(void **state)
{
    struct world *world = *state;
    char line[64];
    for (int i = 1; i <= 1050; i++) {
        snprintf(line, sizeof line, "XADD s %d-0 a b", i);
        world_type(world, line);
    }
    EXPECT(world, "XTRIM s MAXLEN ~ 1000", ":0\r\n");
    EXPECT(world, "XTRIM s MAXLEN ~ 900", ":100\r\n");
    EXPECT(world, "XTRIM s MAXLEN ~ 100 LIMIT 250", ":200\r\n");
    EXPECT(world, "XTRIM s MINID ~ 450", ":100\r\n");
    EXPECT(world, "XTRIM s MINID 451", ":50\r\n");
    EXPECT(world, "XLEN s", ":600\r\n");
    EXPECT(world, "XADD s MAXLEN 10 1051-0 a b", "$6\r\n1051-0\r\n");
    EXPECT(world, "XLEN s", ":10\r\n");
    EXPECT(world, "XRANGE s - + COUNT 1",
           "*1\r\n*2\r\n$6\r\n1042-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    EXPECT(world, "XTRIM s MAXLEN = 0", ":10\r\n");
    EXPECT(world, "EXISTS s", ":1\r\n");
    EXPECT(world, "XADD s 1051-0 a b", BELOW);
    EXPECT(world, "XTRIM none MAXLEN 1", ":0\r\n");
    EXPECT(world, "XTRIM s MAXLEN 1 MINID 1",
           "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible\r\n");
    EXPECT(world, "XTRIM s MAXLEN -1", "-ERR The MAXLEN argument must be >= 0.\r\n");
    EXPECT(world, "XTRIM s MAXLEN ~ 1 LIMIT -1", "-ERR The LIMIT argument must be >= 0.\r\n");
    EXPECT(world, "XTRIM s MAXLEN 1 LIMIT 1",
           "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n");
    EXPECT(world, "XTRIM s LIMIT 1 LIMIT 1",
           "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy\r\n");
    EXPECT(world, "XTRIM s LIMIT 0",
           "-ERR syntax error, XTRIM must be called with a trimming strategy\r\n");
    EXPECT(world, "XTRIM s FOO 1", SYNTAX);
}

static void test_deleting_and_setting(void **state)
{
    static const struct typed rows[] = {
        {"XDEL none x", ":0\r\n"},
        {"XADD s 1-1 a b", "$3\r\n1-1\r\n"},
        {"XADD s 2-0 c d c e", "$3\r\n2-0\r\n"},
        {"XDEL s 1-1 x", BAD_ID},
        {"XDEL s 1-1 1-1 5", ":1\r\n"},
        {"XRANGE s - +", "*1\r\n" TWO},
        {"XSETID none 1-1", "-ERR no such key\r\n"},
        {"XSETID s 1-5",
         "-ERR The ID specified in XSETID is smaller than the target stream top item\r\n"},
        {"XSETID s 1-0",
         "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id\r\n"},
        {"XSETID s 5-0 ENTRIESADDED 0",
         "-ERR The entries_added specified in XSETID is smaller than the target stream length\r\n"},
        {"XSETID s 5-0 ENTRIESADDED -1", "-ERR entries_added must be positive\r\n"},
        {"XSETID s 5-0 MAXDELETEDID 6-0",
         "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id\r\n"},
        {"XSETID s 5-0 FOO", SYNTAX},
        {"XSETID s 5-0 ENTRIESADDED 9 MAXDELETEDID 4-0", OK},
        {"XADD s 5-0 a b", BELOW},
        {"XSETID s 3-0",
         "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id\r\n"},
    };
    world_expect_all(*state, rows, COUNT(rows));
}

static void test_reading(void **state)
{
    static const struct typed rows[] = {
        {"XREAD STREAMS s 0", "*-1\r\n", NIL3},
        {"XADD s 1-1 a b", "$3\r\n1-1\r\n"},
        {"XADD s 2-0 c d c e", "$3\r\n2-0\r\n"},
        {"XADD t 1-1 a b", "$3\r\n1-1\r\n"},
        {"XREAD BLOCK 0 STREAMS s $", "*-1\r\n", NIL3},
        {"XREAD STREAMS s 0", "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n" ONE TWO,
         "%1\r\n$1\r\ns\r\n*2\r\n" ONE TWO},
        {"XREAD COUNT 1 BLOCK 5 STREAMS s t u 0 0 0",
         "*2\r\n*2\r\n$1\r\ns\r\n*1\r\n" ONE "*2\r\n$1\r\nt\r\n*1\r\n" ONE,
         "%2\r\n$1\r\ns\r\n*1\r\n" ONE "$1\r\nt\r\n*1\r\n" ONE},
        {"XREAD COUNT -1 STREAMS s t 1-1 1-1", "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" TWO,
         "%1\r\n$1\r\ns\r\n*1\r\n" TWO},
        {"XREAD STREAMS s 18446744073709551615-18446744073709551615", "*-1\r\n", NIL3},
        {"XREAD STREAMS s t 0",
         "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be "
         "specified.\r\n"},
        {"XREAD STREAMS s >",
         "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
         "<consumer> option.\r\n"},
        {"XREAD NOACK STREAMS s 0", "-ERR The NOACK option is only supported by XREADGROUP. You "
                                    "called XREAD instead.\r\n"},
        {"XREAD BLOCK -1 STREAMS s 0", "-ERR timeout is negative\r\n"},
        {"XREAD BLOCK x STREAMS s 0", "-ERR timeout is not an integer or out of range\r\n"},
        {"XREAD COUNT 1 FOO s 0", SYNTAX},
        {"XREAD STREAMS s x", BAD_ID},
        {"COMMAND GETKEYS XREAD COUNT 1 STREAMS s t 0 0", "*2\r\n$1\r\ns\r\n$1\r\nt\r\n"},
        {"COMMAND GETKEYS XREAD COUNT 1 STREAMS s t 0",
         "-ERR Invalid arguments specified for command\r\n"},
    };
    world_expect_all(*state, rows, COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_adding, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_follow_the_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trimming, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleting_and_setting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
    };
    return cmocka_run_group_tests_name("streams", tests, NULL, NULL);
}
