/* Bits of strings: SETBIT and its like against a plain array of bits, values that take slices, and
 * what Redis's documentation shows. */
#include "test_command.h"

static const struct typed documented[] = {
    {"SETBIT bit 7 1", ":0\r\n", NULL},
    {"SETBIT bit 7 1", ":1\r\n", NULL},
    {"GET bit", "$1\r\n\1\r\n", NULL},
    {"SET mykey foobar", OK, NULL},
    {"BITCOUNT mykey", ":26\r\n", NULL},
    {"BITCOUNT mykey 0 0", ":4\r\n", NULL},
    {"BITCOUNT mykey 1 1 BYTE", ":6\r\n", NULL},
    {"BITCOUNT mykey 5 30 BIT", ":17\r\n", NULL},
    {"BITCOUNT mykey 5", SYNTAX, NULL},
    {"BITCOUNT no 0 x", NOT_INTEGER, NULL},
    {"BITCOUNT no 0 1 X", SYNTAX, NULL},
    {"BITCOUNT no", ":0\r\n", NULL},
    {"SET a abcdef", OK, NULL},
    {"BITOP AND dest mykey a", ":6\r\n", NULL},
    {"GET dest", "$6\r\n`bc`ab\r\n", NULL},
    {"SET ones \"\\xff\\xff\\xff\"", OK, NULL},
    {"SETBIT one 0 1", ":0\r\n", NULL},
    {"BITOP AND dest ones one", ":3\r\n", NULL},
    {"BITCOUNT dest", ":1\r\n", NULL},
    {"BITOP AND dest one ones", ":3\r\n", NULL},
    {"BITCOUNT dest", ":1\r\n", NULL},
    {"BITOP XOR dest one ones", ":3\r\n", NULL},
    {"BITCOUNT dest", ":23\r\n", NULL},
    {"BITOP NOT dest no", ":0\r\n", NULL},
    {"EXISTS dest", ":0\r\n", NULL},
    {"BITOP NOT dest a mykey", "-ERR BITOP NOT must be called with a single source key.\r\n", NULL},
    {"BITOP NAND dest a", SYNTAX, NULL},
    {"BITFIELD m INCRBY i5 100 1 GET u4 0", "*2\r\n:1\r\n:0\r\n", NULL},
    {"BITFIELD n incrby u2 100 1 OVERFLOW SAT incrby u2 102 1", "*2\r\n:1\r\n:1\r\n", NULL},
    {"BITFIELD n incrby u2 100 1 OVERFLOW SAT incrby u2 102 1", "*2\r\n:2\r\n:2\r\n", NULL},
    {"BITFIELD n incrby u2 100 1 OVERFLOW SAT incrby u2 102 1", "*2\r\n:3\r\n:3\r\n", NULL},
    {"BITFIELD n incrby u2 100 1 OVERFLOW SAT incrby u2 102 1", "*2\r\n:0\r\n:3\r\n", NULL},
    {"BITFIELD n OVERFLOW FAIL incrby u2 102 1", "*1\r\n$-1\r\n", "*1\r\n_\r\n"},
    {"BITFIELD n", "*0\r\n", NULL},
    {"BITFIELD_RO n GET u2 100", "*1\r\n:0\r\n", NULL},
    {"BITFIELD_RO n SET u2 100 1", "-ERR BITFIELD_RO only supports the GET subcommand\r\n", NULL},
    {"BITFIELD n OVERFLOW x", "-ERR Invalid OVERFLOW type specified\r\n", NULL},
    {"BITFIELD n GET u64 0",
     "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
     "i64 is.\r\n",
     NULL},
    {"RPUSH l x", ":1\r\n", NULL},
    {"SETBIT l 0 1", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
     NULL},
    {"BITOP OR dest a l", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
     NULL},
};

#define OFFSET_ERROR "-ERR bit offset is not an integer or out of range\r\n"

/* 2^32 bits are the largest string. */
static const struct typed ends[] = {
    {"SETBIT k 4294967296 1", OFFSET_ERROR, NULL},
    {"SETBIT k -1 1", OFFSET_ERROR, NULL},
    {"SETBIT k x 1", OFFSET_ERROR, NULL},
    {"SETBIT k 0 2", "-ERR bit is not an integer or out of range\r\n", NULL},
    {"GETBIT k 4294967296", OFFSET_ERROR, NULL},
    {"GETBIT k 4294967295", ":0\r\n", NULL},
    {"BITFIELD k SET u8 4294967296 1", OFFSET_ERROR, NULL},
    {"BITFIELD k SET u8 #536870912 1", OFFSET_ERROR, NULL},
    {"BITFIELD k SET i64 #9223372036854775807 1", OFFSET_ERROR, NULL},
    {"BITFIELD k SET u8 4294967295 1",
     "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n", NULL},
    {"EXISTS k", ":0\r\n", NULL},
    /* Whatever is asked for, numbers do not run over. */
    {"BITFIELD k SET i64 0 9223372036854775807 INCRBY i64 0 1",
     "*2\r\n:0\r\n:-9223372036854775808\r\n", NULL},
    {"BITFIELD k OVERFLOW SAT INCRBY i64 0 -1", "*1\r\n:-9223372036854775808\r\n", NULL},
    {"BITFIELD k SET u63 0 -1 GET u63 0", "*2\r\n:4611686018427387904\r\n:9223372036854775807\r\n",
     NULL},
    {"BITFIELD k OVERFLOW SAT SET u8 0 -1 GET u8 0", "*2\r\n:255\r\n:255\r\n", NULL},
    {"BITFIELD k OVERFLOW FAIL SET i8 0 128 GET i8 0", "*2\r\n$-1\r\n:-1\r\n",
     "*2\r\n_\r\n:-1\r\n"},
};

static void test_replies(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    world_expect_all(&world, documented, sizeof documented / sizeof documented[0]);
    world_expect_all(&world, ends, sizeof ends / sizeof ends[0]);
    world_deinit(&world);
}

/* ---- against a plain array -------------------------------------------------------------- */

enum { BITS = 2000, STEPS = 20000 };

struct model {
    struct world world;
    uint64_t seed;
    bool bits[BITS + 80]; /* of the key k */
    unsigned size;        /* of the string, bits */
};

static void expect_number(struct model *model, const char *line, long long wanted)
{
    char reply[32];
    snprintf(reply, sizeof reply, ":%lld\r\n", wanted);
    EXPECT(&model->world, line, reply);
}

static unsigned below(struct model *model, unsigned bound)
{
    return (unsigned)prng_below(&model->seed, bound);
}

static void grow(struct model *model, unsigned bits)
{
    bits = (bits + 7) / 8 * 8;
    if (bits > model->size)
        model->size = bits;
}

static void set_bits(struct model *model)
{
    char line[64];
    unsigned at = below(model, BITS), bit = below(model, 2);
    snprintf(line, sizeof line, "SETBIT k %u %u", at, bit);
    expect_number(model, line, model->bits[at]);
    model->bits[at] = bit;
    grow(model, at + 1);
}

static void count_bits(struct model *model)
{
    char line[64];
    unsigned from = below(model, BITS), to = below(model, BITS), count = 0;
    for (unsigned i = from; i <= to && i < model->size; i++)
        count += model->bits[i];
    snprintf(line, sizeof line, "BITCOUNT k %u %u BIT", from, to);
    expect_number(model, line, count);
}

static void find_bit(struct model *model)
{
    char line[64];
    unsigned from = below(model, BITS), to = below(model, BITS), bit = below(model, 2);
    long long found = -1;
    for (unsigned i = from; i <= to && i < model->size && found < 0; i++)
        if (model->bits[i] == bit)
            found = i;
    snprintf(line, sizeof line, "BITPOS k %u %u %u BIT", bit, from, to);
    if (model->size > 0)
        expect_number(model, line, found);
}

static long long field_at(const struct model *model, unsigned at, unsigned bits, bool is_signed)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < bits; i++)
        number = number << 1 | model->bits[at + i];
    if (is_signed && bits < 64 && model->bits[at])
        number |= UINT64_MAX << bits;
    return (long long)number;
}

static void add_to_field(struct model *model)
{
    char line[128], reply[32];
    bool is_signed = below(model, 2);
    unsigned bits = 1 + below(model, is_signed ? 64 : 63), at = below(model, BITS);
    long long more = (long long)(prng_next(&model->seed) >> below(model, 64));
    uint64_t sum = (uint64_t)field_at(model, at, bits, is_signed) + (uint64_t)more;
    for (unsigned i = 0; i < bits; i++)
        model->bits[at + i] = sum >> (bits - 1 - i) & 1;
    grow(model, at + bits);
    snprintf(line, sizeof line, "BITFIELD k INCRBY %c%u %u %lld", is_signed ? 'i' : 'u', bits, at,
             more);
    snprintf(reply, sizeof reply, "*1\r\n:%lld\r\n", field_at(model, at, bits, is_signed));
    EXPECT(&model->world, line, reply);
}

static void turn_all(struct model *model)
{
    expect_number(model, "BITOP NOT k k", model->size / 8);
    for (unsigned i = 0; i < model->size; i++)
        model->bits[i] = !model->bits[i];
}

static void test_model(void **state)
{
    static struct model model;
    (void)state;
    world_init(&model.world);
    model.seed = 7;
    for (unsigned i = 0; i < STEPS; i++) {
        switch (below(&model, 9)) {
        case 0: count_bits(&model); break;
        case 1: find_bit(&model); break;
        case 2: add_to_field(&model); break;
        case 3: below(&model, 20) ? (void)0 : turn_all(&model); break;
        default: set_bits(&model); break;
        }
    }
    world_deinit(&model.world);
}

/* ---- slices ------------------------------------------------------------------------------- */

static void set_ones(struct world *world, const char *key, size_t size)
{
    char *ones = memory_resize(NULL, size);
    memset(ones, 0xff, size);
    struct bytes argv[] = {bytes_from_string("SET"), bytes_from_string(key), bytes_of(ones, size)};
    buffer_clear(&world->connection.out.bytes);
    world_run(world, argv, 3);
    memory_free(ones);
}

/* A large value is counted, and looked through, a part at a time. */
static void test_slices(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    set_ones(&world, "k", 9 << 20);
    unsigned pauses = world.pauses;
    EXPECT(&world, "BITCOUNT k", ":75497472\r\n");
    assert_int_equal(world.pauses - pauses, 2);
    EXPECT(&world, "BITPOS k 0", ":75497472\r\n");
    EXPECT(&world, "BITPOS k 0 0 -1", ":-1\r\n");
    EXPECT(&world, "SETBIT k 75497470 0", ":1\r\n");
    EXPECT(&world, "BITPOS k 0", ":75497470\r\n");
    EXPECT(&world, "BITCOUNT k 3 75497470 BIT", ":75497467\r\n");
    pauses = world.pauses;
    EXPECT(&world, "BITOP XOR d k k k k k", ":9437184\r\n");
    assert_true(world.pauses - pauses >= 4); /* a source a slice */
    EXPECT(&world, "BITOP XOR d d k", ":9437184\r\n");
    EXPECT(&world, "BITPOS d 1", ":-1\r\n");
    world_deinit(&world);
}

/* Many operations of one BITFIELD: slices, too, and one array. */
static void test_many_fields(void **state)
{
    enum { FIELDS = 2000 };
    struct world world;
    struct bytes argv[2 + 4 * FIELDS] = {bytes_from_string("BITFIELD"), bytes_from_string("k")};
    struct buffer wanted = {0};
    (void)state;
    world_init(&world);
    buffer_printf(&wanted, "*%d\r\n", FIELDS);
    for (int i = 0; i < FIELDS; i++) {
        const char *words[] = {"INCRBY", "u8", i % 3 ? "0" : "#1", "1"};
        for (int j = 0; j < 4; j++)
            argv[2 + 4 * i + j] = bytes_from_string(words[j]);
        buffer_printf(&wanted, ":%d\r\n", (i % 3 ? i - i / 3 : i / 3 + 1) % 256);
    }
    world_run(&world, argv, 2 + 4 * FIELDS);
    assert_true(world.pauses > 3);
    assert_true(bytes_equal(buffer_bytes(&world.connection.out.bytes), buffer_bytes(&wanted)));
    buffer_deinit(&wanted);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_many_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
