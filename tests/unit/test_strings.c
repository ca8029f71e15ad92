/* LCS, and what Redis 8.4 has for strings: digests, MSETEX. */
#include "test_command.h"

#define DIGEST_ERROR "-ERR digest must be exactly 16 hexadecimal characters\r\n"
#define HELLO "9555e8555c62dcfd" /* of "hello" */
#define NOTHING "2d06800538d394c2"

static const struct typed digests[] = {
    {"DIGEST k", NIL2, NIL3},
    {"SET k hello", OK, NULL},
    {"DIGEST k", "$16\r\n" HELLO "\r\n", NULL},
    {"SET e ''", OK, NULL},
    {"DIGEST e", "$16\r\n" NOTHING "\r\n", NULL},
    {"SET k a IFDEQ " NOTHING, NIL2, NIL3},
    {"SET k a IFDEQ " HELLO " GET", "$5\r\nhello\r\n", NULL},
    {"GET k", "$1\r\na\r\n", NULL},
    {"SET k hello IFDNE " HELLO, OK, NULL},
    {"SET k b IFDNE 9555E8555C62DCFD", NIL2, NIL3},
    {"SET k hello ifdeq 9555E8555C62dcfd EX 10", OK, NULL},
    {"TTL k", ":10\r\n", NULL},
    {"SET no v IFDEQ " HELLO, NIL2, NIL3},
    {"SET no v IFDNE " HELLO, OK, NULL},
    {"SET k v IFDEQ 9555e8555c62dcf", DIGEST_ERROR, NULL},
    {"SET k v IFDEQ 9555e8555c62dcfx", DIGEST_ERROR, NULL},
    {"SET k v IFDEQ " HELLO " NX", SYNTAX, NULL},
    {"SET k v IFDEQ", SYNTAX, NULL},
    {"DELEX k IFDEQ " NOTHING, ":0\r\n", NULL},
    {"DELEX k IFDNE " HELLO, ":0\r\n", NULL},
    {"DELEX k IFDEQ " HELLO, ":1\r\n", NULL},
    {"EXISTS k", ":0\r\n", NULL},
    {"DELEX k IFDNE " HELLO, ":0\r\n", NULL},
    {"DELEX e IFDNE " HELLO, ":1\r\n", NULL},
    {"DELEX no IFDEQ 1", DIGEST_ERROR, NULL},
    {"DELEX no FOO v", "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE\r\n", NULL},
    {"RPUSH l x", ":1\r\n", NULL},
    {"DIGEST l", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", NULL},
    {"SET l v IFDNE " HELLO,
     "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", NULL},
    {"DELEX l IFNE v", "-ERR Key should be of string type if conditions are specified\r\n", NULL},
    {"DELEX l", ":1\r\n", NULL},
};

static const struct typed many[] = {
    {"MSETEX 2 a 1 b 2", ":1\r\n", NULL},
    {"MGET a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n", NULL},
    {"MSETEX 2 c 1 b 3 NX", ":0\r\n", NULL},
    {"EXISTS c", ":0\r\n", NULL},
    {"MSETEX 2 a 3 c 4 XX", ":0\r\n", NULL},
    {"GET a", "$1\r\n1\r\n", NULL},
    {"MSETEX 2 a 3 b 4 XX EX 100", ":1\r\n", NULL},
    {"TTL a", ":100\r\n", NULL},
    {"MSETEX 2 a 5 c 6 KEEPTTL", ":1\r\n", NULL},
    {"TTL a", ":100\r\n", NULL},
    {"TTL c", ":-1\r\n", NULL},
    {"MSETEX 1 d 1 px 5000 nx", ":1\r\n", NULL},
    {"PTTL d", ":5000\r\n", NULL},
    {"MSETEX 1 a 5", ":1\r\n", NULL},
    {"TTL a", ":-1\r\n", NULL},
    {"MSETEX 2 x 1 x 2", ":1\r\n", NULL},
    {"GET x", "$1\r\n2\r\n", NULL},
    {"RPUSH l x", ":1\r\n", NULL},
    {"MSETEX 1 l v KEEPTTL XX", ":1\r\n", NULL},
    {"GET l", "$1\r\nv\r\n", NULL},
    {"MSETEX 0 a 1", "-ERR invalid numkeys value\r\n", NULL},
    {"MSETEX x a 1", "-ERR invalid numkeys value\r\n", NULL},
    {"MSETEX 2147483648 a 1", "-ERR invalid numkeys value\r\n", NULL},
    {"MSETEX 2147483647 a 1", "-ERR wrong number of key-value pairs\r\n", NULL},
    {"MSETEX 2 a 1 b", "-ERR wrong number of key-value pairs\r\n", NULL},
    {"MSETEX 1 a 1 b", SYNTAX, NULL},
    {"MSETEX 1 a 1 NX XX", SYNTAX, NULL},
    {"MSETEX 1 a 1 EX 5 KEEPTTL", SYNTAX, NULL},
    {"MSETEX 1 a 1 EX 0", "-ERR invalid expire time in 'msetex' command\r\n", NULL},
    {"MSETEX 1 a 1 EX x", NOT_INTEGER, NULL},
    {"MSETEX 1 a 1 EX", SYNTAX, NULL},
};

/* The first of Redis's documentation, then ends. */
static const struct typed common[] = {
    {"MSET a ohmytext b mynewtext", OK, NULL},
    {"LCS a b", "$6\r\nmytext\r\n", NULL},
    {"LCS a b LEN", ":6\r\n", NULL},
    {"LCS a b IDX",
     "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n"
     "*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n",
     "%2\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n"
     "*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n"},
    {"LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
     "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
     "$3\r\nlen\r\n:6\r\n",
     "%2\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
     "$3\r\nlen\r\n:6\r\n"},
    {"MSET c ab d ba", OK, NULL}, /* of two, Redis's */
    {"LCS c d", "$1\r\nb\r\n", NULL},
    {"LCS d c", "$1\r\na\r\n", NULL},
    {"LCS a no", "$0\r\n\r\n", NULL},
    {"LCS no no LEN", ":0\r\n", NULL},
    {"LCS a b IDX LEN", "-ERR If you want both the length and indexes, please just use IDX.\r\n",
     NULL},
    {"LCS a b FOO", SYNTAX, NULL},
    {"LCS a b MINMATCHLEN", SYNTAX, NULL},
    {"LCS a b MINMATCHLEN x", NOT_INTEGER, NULL},
    {"RPUSH l x", ":1\r\n", NULL},
    {"LCS a l FOO", "-ERR The specified keys must contain string values\r\n", NULL},
    {"SETRANGE a 12000 x", ":12001\r\n", NULL},
    {"SETRANGE b 12000 x", ":12001\r\n", NULL},
    {"LCS a b", "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n",
     NULL},
};

static void test_replies(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    world_expect_all(&world, digests, sizeof digests / sizeof digests[0]);
    world_expect_all(&world, many, sizeof many / sizeof many[0]);
    world_expect_all(&world, common, sizeof common / sizeof common[0]);
    world_deinit(&world);
}

/* An entry of before 8.4's words keeps its errors, and changes nothing. */
static void test_old_entries(void **state)
{
    struct world world;
    struct bytes set[] = {bytes_from_string("SET"), bytes_from_string("k"), bytes_from_string("v"),
                          bytes_from_string("IFDNE"), bytes_from_string(HELLO)};
    struct bytes delex[] = {bytes_from_string("DELEX"), bytes_from_string("k"),
                            bytes_from_string("FOO"), bytes_from_string("v")};
    struct buffer out = {0};
    (void)state;
    world_init(&world);
    world.meaning = 3;
    struct blob *commands[] = {command_encode(set, 5), command_encode(delex, 4)};
    for (int i = 0; i < 2; i++) {
        buffer_clear(&out);
        world_apply(&world, blob_bytes(commands[i]), &out);
        assert_true(bytes_equal(buffer_bytes(&out), bytes_from_string(SYNTAX)));
        blob_release(commands[i]);
    }
    buffer_deinit(&out);
    EXPECT(&world, "EXISTS k", ":0\r\n");
    world_deinit(&world);
}

/* By the definition; the recursion is over all pairs of ends. */
static unsigned length_by_definition(const char *a, unsigned a_size, const char *b, unsigned b_size)
{
    unsigned lengths[41][41] = {{0}};
    for (unsigned i = 1; i <= a_size; i++)
        for (unsigned j = 1; j <= b_size; j++) {
            unsigned up = lengths[i - 1][j], left = lengths[i][j - 1];
            lengths[i][j] = up > left ? up : left;
            if (a[i - 1] == b[j - 1])
                lengths[i][j] = lengths[i - 1][j - 1] + 1;
        }
    return lengths[a_size][b_size];
}

static bool is_within(const char *part, unsigned part_size, const char *text, unsigned size)
{
    unsigned at = 0;
    for (unsigned i = 0; i < size && at < part_size; i++)
        at += text[i] == part[at];
    return at == part_size;
}

static unsigned draw_text(uint64_t *seed, char *text)
{
    unsigned size = (unsigned)prng_below(seed, 40) + 1;
    for (unsigned i = 0; i < size; i++)
        text[i] = (char)('a' + prng_below(seed, 3));
    text[size] = '\0';
    return size;
}

/* What is common is in both, and as long as can be; the longer one may be either. */
static void test_random_texts(void **state)
{
    struct world world;
    uint64_t seed = 5;
    (void)state;
    world_init(&world);
    for (int i = 0; i < 500; i++) {
        char a[48], b[48], line[128];
        unsigned a_size = draw_text(&seed, a), b_size = draw_text(&seed, b);
        unsigned length = length_by_definition(a, a_size, b, b_size);
        snprintf(line, sizeof line, "MSET a %s b %s", a, b);
        EXPECT(&world, line, OK);
        struct bytes reply = world_type(&world, "LCS a b");
        const char *text = (const char *)reply.data;
        unsigned size = (unsigned)strtoul(text + 1, NULL, 10);
        text = strchr(text, '\n') + 1;
        assert_int_equal(size, length);
        assert_true(is_within(text, size, a, a_size));
        assert_true(is_within(text, size, b, b_size));
    }
    world_deinit(&world);
}

static void test_slices(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    EXPECT(&world, "SETRANGE a 3000 x", ":3001\r\n");
    EXPECT(&world, "SETRANGE b 2000 x", ":2001\r\n");
    world.pauses = 0;
    EXPECT(&world, "LCS a b LEN", ":2001\r\n"); /* zeros, and x at the end */
    assert_true(world.pauses >= 5);
    char line[16384] = "MSETEX 1000";
    for (int i = 0; i < 1000; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), " k%d %d", i, i);
    strcat(line, " NX");
    world.pauses = 0;
    EXPECT(&world, line, ":1\r\n");
    assert_int_equal(world.pauses, 7); /* once to ask and once to set, the last of each no pause */
    EXPECT(&world, "GET k999", "$3\r\n999\r\n");
    EXPECT(&world, line, ":0\r\n");
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_old_entries),
        cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
