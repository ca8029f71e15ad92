/* The commands on keys and strings, reply by reply, in both protocols. */
#include "test_command.h"

#include "command/commands.h"

static const struct typed gets_and_sets[] = {
    {"GET k", NIL2, NIL3},
    {"SET k v", OK, NULL},
    {"get K", NIL2, NIL3},
    {"GET k", "$1\r\nv\r\n", NULL},
    {"SET k \"\"", OK, NULL},
    {"GET k", "$0\r\n\r\n", NULL},
    {"SET k w NX", NIL2, NIL3},
    {"SET k w XX", OK, NULL},
    {"SET no w XX", NIL2, NIL3},
    {"SET new w nx", OK, NULL},
    {"SET k x GET", "$1\r\nw\r\n", NULL},
    {"SET other x GET", NIL2, NIL3},
    {"SET k y NX GET", "$1\r\nx\r\n", NULL},
    {"GET k", "$1\r\nx\r\n", NULL},
    {"SET third y GET NX", NIL2, NIL3},
    {"GET third", "$1\r\ny\r\n", NULL},
    {"SET fourth y XX GET", NIL2, NIL3},
    {"EXISTS fourth", ":0\r\n", NULL},
    {"SET k z KEEPTTL", OK, NULL},
    {"SET k z NX XX", SYNTAX, NULL},
    {"SET k z XX NX", SYNTAX, NULL},
    {"SET k z NX NX", NIL2, NIL3},
    {"SET k z BAD", SYNTAX, NULL},
    {"SET k z EX", SYNTAX, NULL},
    {"SET k z EX 10 PX 10", SYNTAX, NULL},
    {"SET k z EX 10 KEEPTTL", SYNTAX, NULL},
    {"SET k z KEEPTTL EX 10", SYNTAX, NULL},
    {"GET k", "$1\r\nz\r\n", NULL},
    {"SET k", "-ERR wrong number of arguments for 'set' command\r\n", NULL},
    {"GET", "-ERR wrong number of arguments for 'get' command\r\n", NULL},
    {"GET a b", "-ERR wrong number of arguments for 'get' command\r\n", NULL},
    {"SETNX k a", ":0\r\n", NULL},
    {"SETNX fifth a", ":1\r\n", NULL},
    {"GETSET k a", "$1\r\nz\r\n", NULL},
    {"GETSET sixth a", NIL2, NIL3},
    {"GETDEL k", "$1\r\na\r\n", NULL},
    {"GETDEL k", NIL2, NIL3},
    {"EXISTS k sixth sixth", ":2\r\n", NULL},
};

static const struct typed conditions[] = {
    {"SET k v IFEQ v", NIL2, NIL3},
    {"EXISTS k", ":0\r\n", NULL},
    {"SET k v IFNE v", OK, NULL},
    {"SET k w IFNE v", NIL2, NIL3},
    {"SET k w IFEQ x", NIL2, NIL3},
    {"SET k w IFEQ v", OK, NULL},
    {"GET k", "$1\r\nw\r\n", NULL},
    {"SET k x IFEQ w GET", "$1\r\nw\r\n", NULL},
    {"SET k y GET IFEQ w", "$1\r\nx\r\n", NULL},
    {"GET k", "$1\r\nx\r\n", NULL},
    {"SET k y IFNE w", OK, NULL},
    {"SET k y IFEQ", SYNTAX, NULL},
    {"SET k y IFEQ y NX", SYNTAX, NULL},
    {"SET k y XX IFEQ y", SYNTAX, NULL},
    {"SET k y IFEQ a IFEQ y", SYNTAX, NULL},
    {"SET k y IFEQ a IFNE y", SYNTAX, NULL},
    {"CAS no a b", ":-1\r\n", NULL},
    {"CAS k a b", ":0\r\n", NULL},
    {"CAS k y b", ":1\r\n", NULL},
    {"GET k", "$1\r\nb\r\n", NULL},
    {"CAS k b", "-ERR wrong number of arguments for 'cas' command\r\n", NULL},
    {"CAD no a", ":-1\r\n", NULL},
    {"CAD k a", ":0\r\n", NULL},
    {"CAD k b", ":1\r\n", NULL},
    {"EXISTS k", ":0\r\n", NULL},
    {"SET k v", OK, NULL},
    {"DELIFEQ no v", ":0\r\n", NULL},
    {"DELIFEQ k a", ":0\r\n", NULL},
    {"DELIFEQ k v", ":1\r\n", NULL},
    {"DELIFEQ k v", ":0\r\n", NULL},
    {"SET k v", OK, NULL},
    {"DELEX no", ":0\r\n", NULL},
    {"DELEX k IFEQ a", ":0\r\n", NULL},
    {"DELEX k IFNE v", ":0\r\n", NULL},
    {"DELEX no IFNE v", ":0\r\n", NULL},
    {"DELEX k ifeq v", ":1\r\n", NULL},
    {"SET k v", OK, NULL},
    {"DELEX k IFNE w", ":1\r\n", NULL},
    {"SET k v", OK, NULL},
    {"DELEX k", ":1\r\n", NULL},
    {"DELEX k IFEQ", "-ERR wrong number of arguments for 'delex' command\r\n", NULL},
    {"DELEX k IFEQ a b", "-ERR wrong number of arguments for 'delex' command\r\n", NULL},
    {"DELEX k WHEN a", "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE\r\n", NULL},
};

static const struct typed many_keys[] = {
    {"MSET a 1 b 2 a 3", OK, NULL},
    {"MGET a b c", "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n", "*3\r\n$1\r\n3\r\n$1\r\n2\r\n_\r\n"},
    {"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n", NULL},
    {"MSETNX c 1 a 2", ":0\r\n", NULL},
    {"MSETNX c 1 d 2", ":1\r\n", NULL},
    {"MSETNX c 1 d", "-ERR wrong number of arguments for 'msetnx' command\r\n", NULL},
    {"DBSIZE", ":4\r\n", NULL},
    {"EXISTS a b c d e a", ":5\r\n", NULL},
    {"TOUCH a e a", ":2\r\n", NULL},
    {"DEL a a e", ":1\r\n", NULL},
    {"UNLINK b c", ":2\r\n", NULL},
    {"DBSIZE", ":1\r\n", NULL},
    {"TYPE d", "+string\r\n", NULL},
    {"TYPE a", "+none\r\n", NULL},
    {"RENAME d e", OK, NULL},
    {"GET e", "$1\r\n2\r\n", NULL},
    {"RENAME d e", "-ERR no such key\r\n", NULL},
    {"RENAME e e", OK, NULL},
    {"RENAMENX e e", ":0\r\n", NULL},
    {"RENAMENX no e", "-ERR no such key\r\n", NULL},
    {"SET f 1", OK, NULL},
    {"RENAMENX e f", ":0\r\n", NULL},
    {"RENAMENX e g", ":1\r\n", NULL},
    {"RENAME g f", OK, NULL},
    {"GET f", "$1\r\n2\r\n", NULL},
    {"DBSIZE", ":1\r\n", NULL},
    {"RANDOMKEY", "$1\r\nf\r\n", NULL},
    {"FLUSHDB NOW", SYNTAX, NULL},
    {"FLUSHDB SYNC ASYNC", SYNTAX, NULL},
    {"FLUSHDB async", OK, NULL},
    {"RANDOMKEY", NIL2, NIL3},
    {"DBSIZE", ":0\r\n", NULL},
};

static const struct typed parts[] = {
    {"APPEND k ab", ":2\r\n", NULL},
    {"APPEND k cd", ":4\r\n", NULL},
    {"STRLEN k", ":4\r\n", NULL},
    {"STRLEN no", ":0\r\n", NULL},
    {"GETRANGE k 0 -1", "$4\r\nabcd\r\n", NULL},
    {"GETRANGE k 1 2", "$2\r\nbc\r\n", NULL},
    {"SUBSTR k -2 -1", "$2\r\ncd\r\n", NULL},
    {"GETRANGE k -1 -2", "$0\r\n\r\n", NULL},
    {"GETRANGE k -50 -100", "$0\r\n\r\n", NULL},
    {"GETRANGE k 3 1", "$0\r\n\r\n", NULL},
    {"GETRANGE k -100 100", "$4\r\nabcd\r\n", NULL},
    {"GETRANGE k -100 -50", "$1\r\na\r\n", NULL},
    {"GETRANGE k 4 10", "$0\r\n\r\n", NULL},
    {"GETRANGE k -9223372036854775808 9223372036854775807", "$4\r\nabcd\r\n", NULL},
    {"GETRANGE no 0 -1", "$0\r\n\r\n", NULL},
    {"GETRANGE k a 1", NOT_INTEGER, NULL},
    {"GETRANGE k 0 1.5", NOT_INTEGER, NULL},
    {"SETRANGE k 2 XYZ", ":5\r\n", NULL},
    {"GET k", "$5\r\nabXYZ\r\n", NULL},
    {"SETRANGE k 0 Q", ":5\r\n", NULL},
    {"GET k", "$5\r\nQbXYZ\r\n", NULL},
    {"SETRANGE k 0 \"\"", ":5\r\n", NULL},
    {"SETRANGE no 5 \"\"", ":0\r\n", NULL},
    {"EXISTS no", ":0\r\n", NULL},
    {"SETRANGE k -1 a", "-ERR offset is out of range\r\n", NULL},
    {"SETRANGE k x a", NOT_INTEGER, NULL},
    {"SETRANGE k 536870911 ab", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n",
     NULL},
    {"SETRANGE no 9223372036854775807 a",
     "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n", NULL},
    {"EXISTS no", ":0\r\n", NULL},
};

static const struct typed counters[] = {
    {"INCR n", ":1\r\n", NULL},
    {"INCRBY n 41", ":42\r\n", NULL},
    {"DECR n", ":41\r\n", NULL},
    {"DECRBY n 50", ":-9\r\n", NULL},
    {"GET n", "$2\r\n-9\r\n", NULL},
    {"INCRBY n x", NOT_INTEGER, NULL},
    {"INCRBY n 1.5", NOT_INTEGER, NULL},
    {"SET n 9223372036854775807", OK, NULL},
    {"INCR n", "-ERR increment or decrement would overflow\r\n", NULL},
    {"DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n", NULL},
    {"SET n -9223372036854775808", OK, NULL},
    {"DECR n", "-ERR increment or decrement would overflow\r\n", NULL},
    {"INCRBY n 9223372036854775807", ":-1\r\n", NULL},
    {"SET n \" 1\"", OK, NULL},
    {"INCR n", NOT_INTEGER, NULL},
    {"SET n \"\"", OK, NULL},
    {"INCR n", NOT_INTEGER, NULL},
    {"GET n", "$0\r\n\r\n", NULL},
    {"INCRBYFLOAT f 10.5", "$4\r\n10.5\r\n", NULL},
    {"INCRBYFLOAT f 0.1", "$4\r\n10.6\r\n", NULL},
    {"INCRBYFLOAT f -5", "$3\r\n5.6\r\n", NULL},
    {"INCRBYFLOAT f 5.0e3", "$22\r\n5005.60000000000000009\r\n", NULL},
    {"SET f 3.0", OK, NULL},
    {"INCRBYFLOAT f 0", "$1\r\n3\r\n", NULL},
    {"INCRBYFLOAT f x", "-ERR value is not a valid float\r\n", NULL},
    {"INCRBYFLOAT f nan", "-ERR value is not a valid float\r\n", NULL},
    {"INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity\r\n", NULL},
    {"SET f abc", OK, NULL},
    {"INCRBYFLOAT f 1", "-ERR value is not a valid float\r\n", NULL},
    {"SET f -0.5", OK, NULL},
    {"INCRBYFLOAT f 0.5", "$1\r\n0\r\n", NULL},
};

static const struct typed walks[] = {
    {"KEYS *", "*0\r\n", NULL},
    {"SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n", NULL},
    {"SET foo 1", OK, NULL},
    {"KEYS *", "*1\r\n$3\r\nfoo\r\n", NULL},
    {"KEYS f?o", "*1\r\n$3\r\nfoo\r\n", NULL},
    {"KEYS F*", "*0\r\n", NULL},
    {"SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nfoo\r\n", NULL},
    {"SCAN 0 MATCH b* COUNT 100", "*2\r\n$1\r\n0\r\n*0\r\n", NULL},
    {"SCAN 0 TYPE string", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nfoo\r\n", NULL},
    {"SCAN 0 TYPE STRING match foo", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nfoo\r\n", NULL},
    {"SCAN 0 TYPE hash", "*2\r\n$1\r\n0\r\n*0\r\n", NULL},
    {"SCAN x", "-ERR invalid cursor\r\n", NULL},
    {"SCAN \" 1\"", "-ERR invalid cursor\r\n", NULL},
    {"SCAN 18446744073709551616", "-ERR invalid cursor\r\n", NULL},
    {"SCAN 18446744073709551615", "*2\r\n$1\r\n0\r\n*0\r\n", NULL},
    {"SCAN 0 COUNT 0", SYNTAX, NULL},
    {"SCAN 0 COUNT x", NOT_INTEGER, NULL},
    {"SCAN 0 COUNT", SYNTAX, NULL},
    {"SCAN 0 FOO bar", SYNTAX, NULL},
    {"DBSIZE x", "-ERR wrong number of arguments for 'dbsize' command\r\n", NULL},
};

#define EXPECT_ALL(state, rows) world_expect_all(*(state), rows, sizeof(rows) / sizeof((rows)[0]))

/* By ranks from both ends, to the borders and beyond. */
static const struct typed lists[] = {
    {"RPUSH l a b c d", ":4\r\n", NULL},
    {"LPUSH l z", ":5\r\n", NULL},
    {"LLEN l", ":5\r\n", NULL},
    {"LRANGE l 0 -1", "*5\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n", NULL},
    {"LRANGE l -2 -1", "*2\r\n$1\r\nc\r\n$1\r\nd\r\n", NULL},
    {"LRANGE l -100 0", "*1\r\n$1\r\nz\r\n", NULL},
    {"LRANGE l 4 100", "*1\r\n$1\r\nd\r\n", NULL},
    {"LRANGE l 5 100", "*0\r\n", NULL},
    {"LRANGE l 3 2", "*0\r\n", NULL},
    {"LRANGE none 0 -1", "*0\r\n", NULL},
    {"LINDEX l 0", "$1\r\nz\r\n", NULL},
    {"LINDEX l 4", "$1\r\nd\r\n", NULL},
    {"LINDEX l 5", NIL2, NIL3},
    {"LINDEX l -1", "$1\r\nd\r\n", NULL},
    {"LINDEX l -5", "$1\r\nz\r\n", NULL},
    {"LINDEX l -6", NIL2, NIL3},
    {"LINDEX l x", NOT_INTEGER, NULL},
    {"LSET l -1 D", "+OK\r\n", NULL},
    {"LSET l 0 Z", "+OK\r\n", NULL},
    {"LSET l 5 x", "-ERR index out of range\r\n", NULL},
    {"LSET l -6 x", "-ERR index out of range\r\n", NULL},
    {"LSET none 0 x", "-ERR no such key\r\n", NULL},
    {"LRANGE l 0 -1", "*5\r\n$1\r\nZ\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nD\r\n", NULL},
    {"LINSERT l BEFORE a y", ":6\r\n", NULL},
    {"LINSERT l AFTER D E", ":7\r\n", NULL},
    {"LINSERT l AFTER none x", ":-1\r\n", NULL},
    {"LINSERT none AFTER a x", ":0\r\n", NULL},
    {"LRANGE l 0 -1",
     "*7\r\n$1\r\nZ\r\n$1\r\ny\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nD\r\n$1\r\nE\r\n", NULL},
    {"RPUSH l a a", ":9\r\n", NULL},
    {"LPOS l a", ":2\r\n", NULL},
    {"LPOS l a RANK -1", ":8\r\n", NULL},
    {"LPOS l a RANK 2", ":7\r\n", NULL},
    {"LPOS l a COUNT 0", "*3\r\n:2\r\n:7\r\n:8\r\n", NULL},
    {"LPOS l a COUNT 2 RANK -1", "*2\r\n:8\r\n:7\r\n", NULL},
    {"LPOS l a COUNT 0 MAXLEN 3", "*1\r\n:2\r\n", NULL},
    {"LPOS l none", NIL2, NIL3},
    {"LPOS l none COUNT 1", "*0\r\n", NULL},
    {"LREM l 1 a", ":1\r\n", NULL},
    {"LRANGE l 0 -1",
     "*8\r\n$1\r\nZ\r\n$1\r\ny\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nD\r\n$1\r\nE\r\n$1\r\na\r\n$"
     "1\r\na\r\n",
     NULL},
    {"LREM l -1 a", ":1\r\n", NULL},
    {"LREM l 0 a", ":1\r\n", NULL},
    {"LREM l 0 a", ":0\r\n", NULL},
    {"LRANGE l 0 -1", "*6\r\n$1\r\nZ\r\n$1\r\ny\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nD\r\n$1\r\nE\r\n",
     NULL},
    {"LTRIM l 1 -2", "+OK\r\n", NULL},
    {"LRANGE l 0 -1", "*4\r\n$1\r\ny\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nD\r\n", NULL},
    {"LPOP l", "$1\r\ny\r\n", NULL},
    {"RPOP l", "$1\r\nD\r\n", NULL},
    {"RPUSH l x", ":3\r\n", NULL},
    {"LPOP l 0", "*0\r\n", NULL},
    {"RPOP l 2", "*2\r\n$1\r\nx\r\n$1\r\nc\r\n", NULL},
    {"LPOP l 10", "*1\r\n$1\r\nb\r\n", NULL},
    {"EXISTS l", ":0\r\n", NULL},
    {"LPOP l", NIL2, NIL3},
    {"LPOP l 2", "*-1\r\n", "_\r\n"},
    {"LPOP l -1", "-ERR value is out of range, must be positive\r\n", NULL},
    {"RPUSHX l x", ":0\r\n", NULL},
    {"RPUSH l 1 2 3", ":3\r\n", NULL},
    {"LPUSHX l 0", ":4\r\n", NULL},
    {"RPUSHX l 4", ":5\r\n", NULL},
    {"LMOVE l m LEFT RIGHT", "$1\r\n0\r\n", NULL},
    {"LMOVE l m RIGHT LEFT", "$1\r\n4\r\n", NULL},
    {"LRANGE m 0 -1", "*2\r\n$1\r\n4\r\n$1\r\n0\r\n", NULL},
    {"LRANGE l 0 -1", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n", NULL},
    {"LMOVE l l LEFT RIGHT", "$1\r\n1\r\n", NULL},
    {"RPOPLPUSH l l", "$1\r\n1\r\n", NULL},
    {"LRANGE l 0 -1", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n", NULL},
    {"RPOPLPUSH none l", NIL2, NIL3},
    {"LMPOP 2 none l LEFT COUNT 2", "*2\r\n$1\r\nl\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n", NULL},
    {"LMPOP 1 l RIGHT", "*2\r\n$1\r\nl\r\n*1\r\n$1\r\n3\r\n", NULL},
    {"LMPOP 1 l RIGHT", "*-1\r\n", "_\r\n"},
    {"LTRIM m 5 9", "+OK\r\n", NULL},
    {"EXISTS m", ":0\r\n", NULL},
    {"SET s v", "+OK\r\n", NULL},
    {"LPUSH s x", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", NULL},
    {"LLEN s", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", NULL},
    {"LMOVE l s LEFT LEFT", NIL2, NIL3},
};

static const struct typed databases[] = {
    {"SET k zero", OK, NULL},
    {"SELECT 3", OK, NULL},
    {"GET k", "$-1\r\n", "_\r\n"},
    {"SET k three", OK, NULL},
    {"SET only three", OK, NULL},
    {"DBSIZE", ":2\r\n", NULL},
    {"APPEND k !", ":6\r\n", NULL},
    {"RENAME only other", OK, NULL},
    {"SELECT 0", OK, NULL},
    {"GET k", "$4\r\nzero\r\n", NULL},
    {"EXISTS only other", ":0\r\n", NULL},
    {"DBSIZE", ":1\r\n", NULL},
    {"MOVE k 3", ":0\r\n", NULL}, /* there is one */
    {"MOVE nosuch 3", ":0\r\n", NULL},
    {"MOVE k 0", "-ERR source and destination objects are the same\r\n", NULL},
    {"MOVE k 16", "-ERR DB index is out of range\r\n", NULL},
    {"MOVE k x", NOT_INTEGER, NULL},
    {"MOVE k 15", ":1\r\n", NULL},
    {"DBSIZE", ":0\r\n", NULL},
    {"SWAPDB 0 3", OK, NULL},
    {"GET k", "$6\r\nthree!\r\n", NULL},
    {"SWAPDB 0 0", OK, NULL},
    {"SWAPDB x 0", "-ERR invalid first DB index\r\n", NULL},
    {"SWAPDB 0 x", "-ERR invalid second DB index\r\n", NULL},
    {"SWAPDB 0 16", "-ERR DB index is out of range\r\n", NULL},
    {"SELECT 15", OK, NULL},
    {"GET k", "$4\r\nzero\r\n", NULL},
    {"RANDOMKEY", "$1\r\nk\r\n", NULL},
    {"KEYS *", "*1\r\n$1\r\nk\r\n", NULL},
    {"FLUSHDB", OK, NULL},
    {"DBSIZE", ":0\r\n", NULL},
    {"SELECT 0", OK, NULL},
    {"DBSIZE", ":2\r\n", NULL},
    {"SELECT 7", OK, NULL},
    {"SET k v", OK, NULL},
    {"FLUSHALL", OK, NULL},
    {"DBSIZE", ":0\r\n", NULL},
    {"RESET", "+RESET\r\n", NULL},
    {"DBSIZE", ":0\r\n", NULL},
};

static void test_databases(void **state)
{
    struct world *world = *state;
    world_expect_all(world, databases, sizeof(databases) / sizeof(databases[0]));
    EXPECT(world, "SELECT 3", OK);
    EXPECT(world, "ONCE c 1 SET k v", OK);
    EXPECT(world, "GET k", "$1\r\nv\r\n");
    EXPECT(world, "SELECT 0", OK);
    EXPECT(world, "GET k", "$-1\r\n");
}

static void test_gets_and_sets(void **state)
{
    EXPECT_ALL(state, gets_and_sets);
}

static void test_conditions(void **state)
{
    EXPECT_ALL(state, conditions);
}

static void test_many_keys(void **state)
{
    EXPECT_ALL(state, many_keys);
}

static void test_parts(void **state)
{
    EXPECT_ALL(state, parts);
}

static void test_counters(void **state)
{
    EXPECT_ALL(state, counters);
}

static void test_lists(void **state)
{
    world_expect_all(*state, lists, sizeof lists / sizeof lists[0]);
}

/* What was never written is zeros. */
static void test_zeros_come_before_a_part(void **state)
{
    struct world *world = *state;
    EXPECT(world, "SETRANGE k 3 x", ":4\r\n");
    world_expect(world, "GET k", bytes_of("$4\r\n\0\0\0x\r\n", 10));
    EXPECT(world, "SETRANGE k 5 y", ":6\r\n");
    world_expect(world, "GET k", bytes_of("$6\r\n\0\0\0x\0y\r\n", 12));
}

static void test_walks(void **state)
{
    EXPECT_ALL(state, walks);
}

static bool stars_match(uint32_t stars, const char *end)
{
    static char text[3000];
    struct buffer pattern = {0};
    memset(text, 'a', sizeof text);
    for (uint32_t i = 0; i < stars; i++)
        buffer_printf(&pattern, "*?");
    buffer_printf(&pattern, "%s", end);
    bool match = command_glob_match(buffer_bytes(&pattern), bytes_of(text, sizeof text), false);
    buffer_deinit(&pattern);
    return match;
}

/* As many stars as Redis tries; runs of them are one, and one at the end does not count. */
static void test_many_stars(void **state)
{
    (void)state;
    assert_true(stars_match(1000, ""));
    assert_true(stars_match(1000, "***"));
    assert_true(stars_match(999, "***a"));
    assert_false(stars_match(1000, "***a"));
    assert_false(stars_match(1001, ""));
}

/* Binary keys and values go through as they are. */
static void test_binary(void **state)
{
    struct world *world = *state;
    EXPECT(world, "SET \"a\\x00\\r\\n\" \"\\x00\\xff\\r\\n\"", OK);
    world_expect(world, "GET \"a\\x00\\r\\n\"", bytes_of("$4\r\n\0\xff\r\n\r\n", 10));
    EXPECT(world, "EXISTS a", ":0\r\n");
    world_expect(world, "KEYS *", bytes_of("*1\r\n$4\r\na\0\r\n\r\n", 14));
    EXPECT(world, "SETRANGE \"a\\x00\\r\\n\" 5 x", ":6\r\n");
    world_expect(world, "GET \"a\\x00\\r\\n\"", bytes_of("$6\r\n\0\xff\r\n\0x\r\n", 12));
}

/* The limit that the entry carries, and the state machine's own. */
static void test_too_large(void **state)
{
    struct world *world = *state;
    const char *error = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
    EXPECT(world, "SETRANGE k 536870912 x", error);
    world->value_max = 1000;
    EXPECT(world, "SETRANGE k 1000 x", error);
    EXPECT(world, "ONCE c 1 SETRANGE k 1000 x", error);
    EXPECT(world, "SETRANGE k 999 x", ":1000\r\n");
    EXPECT(world, "APPEND k x", error);
    EXPECT(world, "APPEND k \"\"", ":1000\r\n");
    EXPECT(world, "SETRANGE k 998 xyz", error);
    EXPECT(world, "STRLEN k", ":1000\r\n");
    world->value_max = UINT32_MAX;
    EXPECT(world, "SETRANGE k 536870912 x", error);
}

/* The words of `head`, then key:0 and so on, with a value each for `pairs`. */
static struct bytes run_on_many(struct world *world, const char *head, bool pairs, uint32_t keys)
{
    struct buffer line = {0};
    buffer_printf(&line, "%s", head);
    for (uint32_t i = 0; i < keys; i++)
        buffer_printf(&line, pairs ? " key:%u %u" : " key:%u", i, i);
    buffer_append_byte(&line, '\0');
    world->pauses = 0;
    struct bytes reply = world_type(world, line.data);
    buffer_deinit(&line);
    return reply;
}

#define EXPECT_MANY(world, head, pairs, keys, reply)                                               \
    do {                                                                                           \
        struct bytes got = run_on_many(world, head, pairs, keys);                                  \
        assert_true(bytes_equal(got, bytes_from_string(reply)));                                   \
        assert_in_range((world)->pauses, ((keys)-1) / 256, ((keys)-1) / 220);                      \
    } while (0)

/* About 220 keys that are put at a time, or 250 others; what is replied and left behind is as if it
 * were all at once. */
static void test_many_keys_are_done_in_slices(void **state)
{
    struct world *world = *state;
    struct buffer values = {0};
    EXPECT_MANY(world, "MSET", true, 250, OK);
    EXPECT_MANY(world, "DEL", false, 251, ":250\r\n");
    EXPECT_MANY(world, "MSET", true, 3500, OK);
    EXPECT(world, "DBSIZE", ":3500\r\n");
    EXPECT_MANY(world, "EXISTS", false, 3600, ":3500\r\n");
    EXPECT_MANY(world, "TOUCH", false, 3500, ":3500\r\n");
    buffer_printf(&values, "*3501\r\n");
    for (int i = 0; i < 3500; i++)
        buffer_printf(&values, "$%d\r\n%d\r\n", snprintf(NULL, 0, "%d", i), i);
    buffer_printf(&values, "$-1\r\n");
    assert_true(bytes_equal(run_on_many(world, "MGET", false, 3501), buffer_bytes(&values)));
    assert_int_equal(world->pauses, 3500 / 256);
    buffer_deinit(&values);

    /* Exactly once: the whole of it, and its reply. */
    EXPECT_MANY(world, "ONCE c 1 UNLINK", false, 2500, ":2500\r\n");
    EXPECT(world, "DBSIZE", ":1000\r\n");
    EXPECT(world, "SET key:0 0", OK);
    assert_true(bytes_equal(run_on_many(world, "ONCE c 1 UNLINK", false, 2500),
                            bytes_from_string(":2500\r\n")));
    assert_int_equal(world->pauses, 0);
    EXPECT(world, "EXISTS key:0", ":1\r\n");

    /* MSETNX looks at all of them before it sets one. */
    EXPECT(world, "FLUSHALL", OK);
    EXPECT(world, "SET key:2999 x", OK);
    EXPECT_MANY(world, "MSETNX", true, 3000, ":0\r\n");
    EXPECT(world, "DBSIZE", ":1\r\n");
    EXPECT(world, "DEL key:2999", ":1\r\n");
    assert_true(bytes_equal(run_on_many(world, "MSETNX", true, 3000), bytes_from_string(":1\r\n")));
    assert_int_equal(world->pauses, 3000 / 256 + 3000 / 224); /* to look is less than to put */
    EXPECT(world, "DBSIZE", ":3000\r\n");
    EXPECT(world, "GET key:2999", "$4\r\n2999\r\n");

    /* Few keys with much data are a long command, too. */
    world->meaning = 3; /* a plain value */
    EXPECT(world, "SETRANGE big 600000 x", ":600001\r\n");
    world->meaning = command_meaning_newest;
    world->pauses = 0;
    assert_int_equal(world_type(world, "MGET big big big big big").size, 5 * (600001 + 11) + 4);
    assert_int_equal(world->pauses, 2);
}

/* Every key exactly once when nothing changes, whatever the step. */
/* One slice.  False: not the last. */
static bool read_slice(struct world *world, void **reading, const struct blob *command,
                       struct buffer *out)
{
    struct apply_context context = {.meaning = 1, .now_ms = world->now_ms};
    return world->machine->ops->read(world->machine, reading, &context, blob_bytes(command), 2, out,
                                     NULL);
}

/* The same command, with a place for what comes behind the beginning of a long reply. */
static void read_in_pieces(struct world *world, const struct blob *command, uint32_t reply_max,
                           struct buffer *out, struct rope *rest)
{
    struct apply_context context = {
        .meaning = command_meaning_newest, .now_ms = world->now_ms, .reply_max = reply_max};
    void *reading = NULL;
    while (!world->machine->ops->read(world->machine, &reading, &context, blob_bytes(command), 2,
                                      out, rest))
        continue;
}

static struct blob *encode_mget(uint32_t keys)
{
    struct bytes *argv = memory_new((keys + 1) * sizeof *argv);
    argv[0] = bytes_from_string("MGET");
    for (uint32_t i = 1; i <= keys; i++)
        argv[i] = bytes_from_string("key0");
    struct blob *command = command_encode(argv, keys + 1);
    memory_free(argv);
    return command;
}

static void push_many(struct world *world, const char *key, uint32_t count)
{
    struct bytes argv[1002] = {bytes_from_string("RPUSH"), bytes_from_string(key)};
    for (uint32_t i = 0; i < 1000; i++)
        argv[2 + i] = bytes_from_string("x");
    for (uint32_t i = 0; i < count; i += 1000)
        world_run(world, argv, 1002);
}

/* Whoever takes a long reply in pieces gets the same bytes. */
static void test_long_replies_come_in_pieces(void **state)
{
    enum { KEYS = 9000 };
    struct world *world = *state;
    struct bytes argv[] = {bytes_from_string("KEYS"), bytes_from_string("*")};
    struct bytes lpos[] = {bytes_from_string("LPOS"), bytes_from_string("list"),
                           bytes_from_string("x"), bytes_from_string("COUNT"),
                           bytes_from_string("0")};
    struct blob *commands[] = {command_encode(argv, 2), encode_mget(300), command_encode(lpos, 5)};
    struct buffer line = {0};
    for (int i = 0; i < KEYS; i++) {
        buffer_clear(&line);
        buffer_printf(&line, "SET key%d %0*d", i, i ? 8 : 40000, i);
        EXPECT(world, line.data, OK);
    }
    push_many(world, "list", 60000);
    for (int i = 0; i < 3; i++) {
        struct buffer whole = {0}, out = {0};
        struct rope rest = {0};
        read_in_pieces(world, commands[i], 0, &whole, NULL);
        read_in_pieces(world, commands[i], 0, &out, &rest);
        assert_true(out.size <= 8); /* the number of parts */
        assert_true(rest.count > 2);
        for (struct bytes part; (part = rope_front(&rest)).size; rope_drop(&rest, part.size))
            buffer_append_bytes(&out, part);
        assert_true(bytes_equal(buffer_bytes(&out), buffer_bytes(&whole)));
        buffer_clear(&out);
        /* One that is too long is not made to its end. */
        read_in_pieces(world, commands[i], 50000, &out, &rest);
        assert_true(out.size + rest.size > 50000 && out.size + rest.size < 250000);
        rope_deinit(&rest);
        buffer_deinit(&out);
        buffer_deinit(&whole);
        blob_release(commands[i]);
    }
    buffer_deinit(&line);
}

/* As many as the client asks for, however many slices that takes. */
static void test_scan_takes_any_count(void **state)
{
    enum { KEYS = 5000 };
    struct world *world = *state;
    struct buffer line = {0};
    for (int i = 0; i < KEYS; i++) {
        buffer_clear(&line);
        buffer_printf(&line, "SET key%d x", i);
        EXPECT(world, line.data, OK);
    }
    struct bytes all = world_type(world, "SCAN 0 COUNT 1000000000000");
    assert_memory_equal(all.data, "*2\r\n$1\r\n0\r\n*5000\r\n", 18);
    assert_true(world->pauses >= 2);
    struct bytes some = world_type(world, "SCAN 0 COUNT 4321");
    assert_non_null(memmem(some.data, some.size, "\r\n*4321\r\n", 9));
    buffer_deinit(&line);
}

/* What goes on in later slices sees the state of the first, and hinders nobody. */
static void test_long_reads_see_one_state(void **state)
{
    enum { KEYS = 5000 };
    struct world *world = *state;
    struct bytes argv[] = {bytes_from_string("KEYS"), bytes_from_string("*")};
    struct blob *commands[] = {command_encode(argv, 2), encode_mget(KEYS)};
    struct buffer out[2] = {{0}}, line = {0};
    void *readings[2] = {NULL}, *dropped = NULL;
    for (int i = 0; i < KEYS; i++) {
        buffer_clear(&line);
        buffer_printf(&line, "SET key%d old%c", i, 0);
        EXPECT(world, line.data, OK);
    }
    for (int i = 0; i < 2; i++)
        assert_false(read_slice(world, &readings[i], commands[i], &out[i]));
    assert_non_null(readings[0]);
    assert_false(read_slice(world, &dropped, commands[0], &out[0]));
    EXPECT(world, "SET key0 new", OK);
    EXPECT(world, "SET another x", OK);
    assert_false(read_slice(world, &readings[0], commands[0], &out[0]));
    world->machine->ops->read_drop(world->machine, dropped);
    EXPECT(world, "FLUSHALL", OK);
    EXPECT(world, "SET key0 newer", OK);
    for (int i = 0; i < 2; i++)
        while (!read_slice(world, &readings[i], commands[i], &out[i]))
            continue;
    assert_memory_equal(out[0].data, "*5000\r\n", 7);
    assert_null(memmem(out[0].data, out[0].size, "another", 7));
    assert_memory_equal(out[1].data, "*5000\r\n$3\r\nold\r\n", 16);
    assert_int_equal(out[1].size, 7 + KEYS * 9);
    for (int i = 0; i < 2; i++) {
        assert_null(readings[i]);
        blob_release(commands[i]);
        buffer_deinit(&out[i]);
    }
    buffer_deinit(&line);
}

/* Large values that are written or fetched count, not only the words. */
static void test_work_is_counted(void **state)
{
    struct world *world = *state;
    const struct state_machine_ops *ops = world->machine->ops;
    uint64_t before = ops->work(world->machine);
    world->meaning = 3; /* plain values: those in pages cost what is touched */
    EXPECT(world, "SETRANGE big 4000000 x", ":4000001\r\n");
    assert_in_range(ops->work(world->machine) - before, 4000000, 4100000);
    before = ops->work(world->machine);
    EXPECT(world, "SETRANGE big 0 x", ":4000001\r\n");
    assert_in_range(ops->work(world->machine) - before, 4000000, 4100000);
    world->meaning = command_meaning_newest;
}

static void test_scan_is_complete(void **state)
{
    struct world *world = *state;
    enum { KEYS = 300 };
    for (int i = 0; i < KEYS; i++) {
        char line[64];
        snprintf(line, sizeof(line), "SET key:%d v", i);
        EXPECT(world, line, OK);
    }
    unsigned char seen[KEYS] = {0};
    char cursor[32] = "0";
    int steps = 0;
    do {
        char line[64];
        int offset, number;
        snprintf(line, sizeof(line), "SCAN %s COUNT 7", cursor);
        struct bytes reply = world_type(world, line);
        buffer_append(&world->connection.out.bytes, "", 1);
        const char *text = reply.data;
        assert_int_equal(sscanf(text, "*2\r\n$%*d\r\n%31[0-9]\r\n*%*d\r\n%n", cursor, &offset), 1);
        for (text += offset; sscanf(text, "$%*d\r\nkey:%d\r\n%n", &number, &offset) == 1;
             text += offset)
            seen[number]++;
        assert_int_equal(*text, '\0');
        assert_true(++steps < KEYS);
    } while (strcmp(cursor, "0") != 0);
    assert_true(steps > KEYS / 20);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(seen[i], 1);
}

static const struct typed patterns[] = {
    {"MSET abc 1 a]c 1 a-c 1 \"a\\xe9c\" 1 a*c 1", OK, NULL},
    {"KEYS a[b]c", "*1\r\n$3\r\nabc\r\n", NULL},
    {"KEYS a[^b]?x", "*0\r\n", NULL},
    {"KEYS a\\*c", "*1\r\n$3\r\na*c\r\n", NULL},
    {"KEYS a[\\]]c", "*1\r\n$3\r\na]c\r\n", NULL},
    {"KEYS a[c-a]c", "*1\r\n$3\r\nabc\r\n", NULL},
    {"KEYS *[-]*", "*1\r\n$3\r\na-c\r\n", NULL},
    {"KEYS \"a[\\x80-\\xff]c\"",
     "*1\r\n$3\r\na\xe9"
     "c\r\n",
     NULL},
    {"KEYS [a", "*0\r\n", NULL},
    {"KEYS **b*c**", "*1\r\n$3\r\nabc\r\n", NULL},
    {"KEYS ABC", "*0\r\n", NULL},
    {"KEYS \"\"", "*0\r\n", NULL},
};

static void test_patterns(void **state)
{
    EXPECT_ALL(state, patterns);
}

/* A matcher that tries every star in turn would still be at it when the sun goes out. */
static void test_patterns_take_no_time(void **state)
{
    struct world *world = *state;
    char key[201], line[400] = "KEYS ";
    memset(key, 'a', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    for (int i = 0; i < 60; i++)
        strcat(line, "a*");
    struct buffer set = {0};
    buffer_printf(&set, "SET %s v%c", key, 0);
    EXPECT(world, set.data, OK);
    buffer_deinit(&set);
    assert_int_equal(world_type(world, line).size, 4 + 6 + 202);
    strcat(line, "b");
    EXPECT(world, line, "*0\r\n");
}

static void test_randomkey_varies(void **state)
{
    struct world *world = *state;
    EXPECT(world, "MSET a 1 b 1 c 1 d 1 e 1 f 1 g 1 h 1", OK);
    unsigned seen = 0;
    for (int i = 0; i < 200; i++) {
        struct bytes reply = world_type(world, "RANDOMKEY");
        assert_int_equal(reply.size, 7);
        seen |= 1u << (((const char *)reply.data)[4] - 'a');
    }
    assert_true(__builtin_popcount(seen) > 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_gets_and_sets),
                                       TEST(test_conditions),
                                       TEST(test_databases),
                                       TEST(test_many_keys),
                                       TEST(test_many_keys_are_done_in_slices),
                                       TEST(test_parts),
                                       TEST(test_counters),
                                       TEST(test_lists),
                                       TEST(test_zeros_come_before_a_part),
                                       TEST(test_walks),
                                       TEST(test_many_stars),
                                       TEST(test_binary),
                                       TEST(test_too_large),
                                       TEST(test_long_replies_come_in_pieces),
                                       TEST(test_scan_takes_any_count),
                                       TEST(test_long_reads_see_one_state),
                                       TEST(test_work_is_counted),
                                       TEST(test_scan_is_complete),
                                       TEST(test_randomkey_varies),
                                       TEST(test_patterns),
                                       TEST(test_patterns_take_no_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
