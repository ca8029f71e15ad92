/* HyperLogLogs: the bytes are Redis's (those here came out of redis-server 7.0), registers against
 * a plain array of them, and values that only begin like one. */
#include "command/hyperloglog.h"
#include "test_command.h"

#define INVALID "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n"
#define DAMAGED "-INVALIDOBJ Corrupted HLL object detected\r\n"

static const struct typed replies[] = {
    {"PFADD hll a b c d e f g", ":1\r\n", NULL},
    {"PFCOUNT hll", ":7\r\n", NULL},
    {"PFADD hll a", ":0\r\n", NULL},
    {"PFADD one foo bar zap", ":1\r\n", NULL},
    {"PFADD one zap zap zap", ":0\r\n", NULL},
    {"PFADD one foo bar", ":0\r\n", NULL},
    {"PFCOUNT one", ":3\r\n", NULL},
    {"PFADD other 1 2 3", ":1\r\n", NULL},
    {"PFCOUNT one other no", ":6\r\n", NULL},
    {"PFADD h1 foo bar zap a", ":1\r\n", NULL},
    {"PFADD h2 a b c foo", ":1\r\n", NULL},
    {"EXPIRE h1 100", ":1\r\n", NULL},
    {"PFMERGE h1 h2 no", OK, NULL},
    {"PFCOUNT h1", ":6\r\n", NULL},
    {"TTL h1", ":100\r\n", NULL},
    {"PFADD h1 new", ":1\r\n", NULL},
    {"TTL h1", ":100\r\n", NULL},
    {"PFCOUNT no", ":0\r\n", NULL},
    {"PFADD empty", ":1\r\n", NULL},
    {"PFADD empty", ":0\r\n", NULL},
    {"PFCOUNT empty", ":0\r\n", NULL},
    {"PFMERGE made", OK, NULL},
    {"STRLEN made", ":18\r\n", NULL},
    {"SET s HYLL", OK, NULL},
    {"PFADD s a", INVALID, NULL},
    {"PFCOUNT one s", INVALID, NULL},
    {"PFMERGE one s", INVALID, NULL},
    {"RPUSH l x", ":1\r\n", NULL},
    {"PFCOUNT l", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", NULL},
};

static void test_replies(void **state)
{
    (void)state;
    world_expect_rows(replies, sizeof replies / sizeof replies[0]);
}

/* ---- the bytes -------------------------------------------------------------------------- */

/* The numbers below `count`, a hundred at a time; as many commands as changed something. */
static void add_numbers(struct world *world, const char *key, int count)
{
    for (int i = 0; i < count; i += 100) {
        char line[1024];
        snprintf(line, sizeof line, "PFADD %s", key);
        for (int j = i; j < i + 100; j++)
            snprintf(line + strlen(line), sizeof line - strlen(line), " %d", j);
        world_type(world, line);
    }
}

static void test_bytes(void **state)
{
    static const char three[] = "$27\r\nHYLL\1\0\0\0\0\0\0\0\0\0\0\x80`\xf3\x80P\xb1\x84K\xfb\x80"
                                "BZ\r\n";
    struct world world;
    (void)state;
    world_init(&world);
    EXPECT(&world, "PFADD k a b c", ":1\r\n");
    world_expect(&world, "GET k", bytes_of(three, sizeof three - 1));
    add_numbers(&world, "sparse", 100);
    EXPECT(&world, "DIGEST sparse", "$16\r\n57e72720e6b8672c\r\n");
    EXPECT(&world, "PFCOUNT sparse", ":100\r\n");
    add_numbers(&world, "full", 700);
    EXPECT(&world, "DIGEST full", "$16\r\n3616290d74e39668\r\n");
    EXPECT(&world, "PFCOUNT full", ":706\r\n");
    add_numbers(&world, "dense", 5000);
    EXPECT(&world, "STRLEN dense", ":12304\r\n");
    EXPECT(&world, "DIGEST dense", "$16\r\nb67f31e7dde4daae\r\n");
    EXPECT(&world, "PFCOUNT dense", ":4985\r\n");
    EXPECT(&world, "PFMERGE k sparse", OK);
    EXPECT(&world, "DIGEST k", "$16\r\nb08659d4de31a71f\r\n");
    EXPECT(&world, "PFCOUNT k dense", ":4989\r\n");
    world_deinit(&world);
}

/* An estimate that Redis kept in the value is answered, until an element changes something. */
static void test_kept_estimate(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    EXPECT(&world, "PFADD k a b c", ":1\r\n");
    EXPECT(&world, "SETRANGE k 8 \"\\x39\\x30\\x00\\x00\\x00\\x00\\x00\\x00\"", ":27\r\n");
    EXPECT(&world, "PFCOUNT k", ":12345\r\n");
    EXPECT(&world, "PFADD k a", ":0\r\n");
    EXPECT(&world, "PFCOUNT k", ":12345\r\n");
    EXPECT(&world, "PFCOUNT k no", ":3\r\n");
    EXPECT(&world, "PFADD k d", ":1\r\n");
    EXPECT(&world, "PFCOUNT k", ":4\r\n");
    add_numbers(&world, "k", 5000);
    EXPECT(&world, "SETRANGE k 8 \"\\x39\\x30\\x00\\x00\\x00\\x00\\x00\\x00\"", ":12304\r\n");
    EXPECT(&world, "PFCOUNT k", ":12345\r\n");
    add_numbers(&world, "k", 20000); /* where it is */
    assert_false(bytes_equal(world_type(&world, "PFCOUNT k"), bytes_from_string(":12345\r\n")));
    world_deinit(&world);
}

/* ---- registers ----------------------------------------------------------------------------- */

static void expect_registers(const uint8_t *model, const struct buffer *value)
{
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    assert_true(hyperloglog_merge(registers, buffer_bytes(value)));
    assert_memory_equal(registers, model, sizeof registers);
}

/* Raised at random, more often to small counts and near each other, so that runs join. */
static void test_model(void **state)
{
    uint64_t seed = 3;
    (void)state;
    for (int round = 0; round < 6; round++) {
        uint8_t model[HYPERLOGLOG_REGISTERS] = {0};
        struct buffer value = {0};
        unsigned most = round < 5 ? 32 : 51;
        hyperloglog_init(&value);
        for (int i = 0; i < 2500; i++) {
            unsigned number = (unsigned)prng_below(&seed, round % 2 ? 300 : HYPERLOGLOG_REGISTERS);
            unsigned count = 1 + (unsigned)prng_below(&seed, prng_below(&seed, 8) ? 2 : most);
            bool is_more = model[number] < count;
            assert_int_equal(hyperloglog_raise(&value, number, count),
                             is_more ? HYPERLOGLOG_CHANGED : HYPERLOGLOG_SAME);
            if (is_more)
                model[number] = (uint8_t)count;
            if (!hyperloglog_is_dense(buffer_bytes(&value)))
                assert_true(value.size <= HYPERLOGLOG_SPARSE_MAX);
            if (i % 50 == 0)
                expect_registers(model, &value);
        }
        expect_registers(model, &value);
        assert_true(hyperloglog_make_dense(&value));
        expect_registers(model, &value);
        buffer_deinit(&value);
    }
}

/* A patch of a dense one does what raising it does, the last register included. */
static void test_patches(void **state)
{
    struct buffer value = {0}, patched = {0};
    struct hyperloglog_patch patches[2];
    uint64_t seed = 4;
    (void)state;
    hyperloglog_init(&value);
    assert_true(hyperloglog_make_dense(&value));
    buffer_append_bytes(&patched, buffer_bytes(&value));
    for (int i = 0; i < 3000; i++) {
        unsigned number = i % 100 ? (unsigned)prng_below(&seed, HYPERLOGLOG_REGISTERS)
                                  : HYPERLOGLOG_REGISTERS - 1 - (unsigned)i / 100 % 4;
        unsigned count = 1 + (unsigned)prng_below(&seed, 51);
        bool changes = hyperloglog_dense_patch(buffer_bytes(&patched), number, count, patches);
        assert_int_equal(hyperloglog_raise(&value, number, count) == HYPERLOGLOG_CHANGED, changes);
        hyperloglog_forget_kept(&value);
        for (int j = 0; changes && j < 2; j++)
            memcpy(patched.data + patches[j].at, patches[j].bytes, patches[j].size);
        if (i > 0 || changes)
            assert_true(bytes_equal(buffer_bytes(&value), buffer_bytes(&patched)));
    }
    buffer_deinit(&value);
    buffer_deinit(&patched);
}

/* ---- damage --------------------------------------------------------------------------------- */

/* Bytes of exactly their size, so that a sanitizer sees who reads behind them. */
static void try_value(const char *data, size_t size, unsigned number)
{
    struct buffer value = {0};
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    value.data = memory_resize(NULL, size ? size : 1);
    value.capacity = size ? size : 1;
    value.size = size;
    if (size > 0)
        memcpy(value.data, data, size);
    if (hyperloglog_is_valid(buffer_bytes(&value))) {
        bool is_whole = hyperloglog_merge(registers, buffer_bytes(&value));
        enum hyperloglog_change change = hyperloglog_raise(&value, number, 1 + number % 51);
        if (is_whole)
            assert_true(change != HYPERLOGLOG_DAMAGED);
        if (is_whole)
            assert_true(hyperloglog_make_dense(&value));
        else
            (void)!hyperloglog_make_dense(&value);
        (void)hyperloglog_estimate(registers);
    }
    buffer_deinit(&value);
}

static void test_random_bytes(void **state)
{
    uint64_t seed = 9;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char data[80] = "HYLL\1";
        size_t size = prng_below(&seed, sizeof data);
        for (size_t j = HYPERLOGLOG_HEADER; j < size; j++)
            data[j] = (char)prng_next(&seed);
        data[4] = (char)prng_below(&seed, 3);
        try_value(data, size, (unsigned)prng_below(&seed, HYPERLOGLOG_REGISTERS));
    }
}

static void test_damaged_values(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    EXPECT(&world, "PFADD k a", ":1\r\n");
    /* A run too few, and one too many. */
    EXPECT(&world,
           "SETRANGE short 0 "
           "\"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x00\"",
           ":17\r\n");
    EXPECT(&world, "PFCOUNT short", DAMAGED);
    EXPECT(&world, "PFCOUNT k short", DAMAGED);
    EXPECT(&world, "PFMERGE k short", DAMAGED);
    EXPECT(&world, "PFADD short a", DAMAGED);
    EXPECT(&world, "STRLEN short", ":17\r\n");
    EXPECT(&world, "PFCOUNT k", ":1\r\n");
    EXPECT(&world,
           "SETRANGE long 0 "
           "\"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff\\x00\"",
           ":19\r\n");
    EXPECT(&world, "PFCOUNT long", DAMAGED);
    world_deinit(&world);
}

/* Thousands of elements, and many keys, take slices. */
static void test_slices(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    char line[40000] = "PFADD k";
    for (int i = 0; i < 5000; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), " %d", i);
    EXPECT(&world, line, ":1\r\n");
    assert_true(world.pauses >= 19);
    EXPECT(&world, "DIGEST k", "$16\r\nb67f31e7dde4daae\r\n");
    world.pauses = 0;
    strcpy(line, "PFCOUNT");
    for (int i = 0; i < 200; i++)
        strcat(line, " k");
    EXPECT(&world, line, ":4985\r\n");
    assert_true(world.pauses >= 2);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_kept_estimate),  cmocka_unit_test(test_model),
        cmocka_unit_test(test_patches),        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_damaged_values), cmocka_unit_test(test_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
