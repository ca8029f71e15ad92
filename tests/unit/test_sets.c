/* Sets: replies, forms and their bounds, slices, and random steps against bit sets with checkpoints
 * between. */
#include "test_collections.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/fatal.h"
#include "base/memory.h"

static const struct typed replies[] = {
    {"SADD s 3 1 2 1", ":3\r\n", NULL},
    {"SADD s 1 2", ":0\r\n", NULL},
    {"SMEMBERS s", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n",
     "~3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"},
    {"SMEMBERS no", "*0\r\n", "~0\r\n"},
    {"SISMEMBER s 1", ":1\r\n", NULL},
    {"SISMEMBER s 01", ":0\r\n", NULL},
    {"SISMEMBER no 1", ":0\r\n", NULL},
    {"SMISMEMBER s 1 x 3", "*3\r\n:1\r\n:0\r\n:1\r\n", NULL},
    {"SMISMEMBER no 1 x", "*2\r\n:0\r\n:0\r\n", NULL},
    {"SCARD s", ":3\r\n", NULL},
    {"SCARD no", ":0\r\n", NULL},
    {"SREM s 1 x 3", ":2\r\n", NULL},
    {"SADD s a", ":1\r\n", NULL},
    {"SMEMBERS s", "*2\r\n$1\r\n2\r\n$1\r\na\r\n", "~2\r\n$1\r\n2\r\n$1\r\na\r\n"},
    {"SMOVE s t a", ":1\r\n", NULL},
    {"SMOVE s t a", ":0\r\n", NULL},
    {"SMOVE t t a", ":1\r\n", NULL},
    {"SMOVE t t x", ":0\r\n", NULL},
    {"SMOVE no t a", ":0\r\n", NULL},
    {"SMOVE s t 2", ":1\r\n", NULL},
    {"EXISTS s", ":0\r\n", NULL},
    {"SSCAN t 0", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n", NULL},
    {"SSCAN t 9 MATCH a", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n", NULL},
    {"SSCAN no 0", "*2\r\n$1\r\n0\r\n*0\r\n", NULL},
    {"SADD u a b c", ":3\r\n", NULL},
    {"SINTER t u", "*1\r\n$1\r\na\r\n", "~1\r\n$1\r\na\r\n"},
    {"SINTER t no", "*0\r\n", "~0\r\n"},
    {"SUNION t u", "*4\r\n$1\r\na\r\n$1\r\n2\r\n$1\r\nb\r\n$1\r\nc\r\n",
     "~4\r\n$1\r\na\r\n$1\r\n2\r\n$1\r\nb\r\n$1\r\nc\r\n"},
    {"SDIFF u t", "*2\r\n$1\r\nb\r\n$1\r\nc\r\n", "~2\r\n$1\r\nb\r\n$1\r\nc\r\n"},
    {"SDIFF u u", "*0\r\n", "~0\r\n"},
    {"SDIFF no u", "*0\r\n", "~0\r\n"},
    {"SINTERSTORE d t u", ":1\r\n", NULL},
    {"SMEMBERS d", "*1\r\n$1\r\na\r\n", "~1\r\n$1\r\na\r\n"},
    {"SUNIONSTORE u t u", ":4\r\n", NULL},
    {"SCARD u", ":4\r\n", NULL},
    {"SDIFFSTORE d u u", ":0\r\n", NULL},
    {"EXISTS d", ":0\r\n", NULL},
    {"SINTERCARD 2 t u", ":2\r\n", NULL},
    {"SINTERCARD 2 t u LIMIT 1", ":1\r\n", NULL},
    {"SINTERCARD 2 t u LIMIT 0", ":2\r\n", NULL},
    {"SINTERCARD 0 t", "-ERR numkeys should be greater than 0\r\n", NULL},
    {"SINTERCARD x t", "-ERR numkeys should be greater than 0\r\n", NULL},
    {"SINTERCARD 3 t u", "-ERR Number of keys can't be greater than number of args\r\n", NULL},
    {"SINTERCARD 1 t LIMIT -1", "-ERR LIMIT can't be negative\r\n", NULL},
    {"SINTERCARD 1 t LIMIT", SYNTAX, NULL},
    {"SINTERCARD 1 t FOO 1", SYNTAX, NULL},
    {"COMMAND GETKEYS SINTERCARD 2 t u LIMIT 1", "*2\r\n$1\r\nt\r\n$1\r\nu\r\n", NULL},
    {"COMMAND GETKEYS SINTERCARD 3 t u", "-ERR Invalid arguments specified for command\r\n", NULL},
    {"COMMAND GETKEYS SINTERSTORE d t u", "*3\r\n$1\r\nd\r\n$1\r\nt\r\n$1\r\nu\r\n", NULL},
    {"SPOP no", NIL2, NIL3},
    {"SPOP no 1", "*0\r\n", "~0\r\n"},
    {"SPOP t -1", "-ERR value is out of range, must be positive\r\n", NULL},
    {"SPOP t x", "-ERR value is out of range, must be positive\r\n", NULL},
    {"SPOP t 1 2", SYNTAX, NULL},
    {"SPOP t 0", "*0\r\n", "~0\r\n"},
    {"SPOP t 9", "*2\r\n$1\r\na\r\n$1\r\n2\r\n", "~2\r\n$1\r\na\r\n$1\r\n2\r\n"},
    {"EXISTS t", ":0\r\n", NULL},
    {"SADD t \"\"", ":1\r\n", NULL},
    {"SPOP t", "$0\r\n\r\n", NULL},
    {"EXISTS t", ":0\r\n", NULL},
    {"SADD t 5", ":1\r\n", NULL},
    {"SRANDMEMBER t", "$1\r\n5\r\n", NULL},
    {"SRANDMEMBER no", NIL2, NIL3},
    {"SRANDMEMBER no 2", "*0\r\n", NULL},
    {"SRANDMEMBER t 2", "*1\r\n$1\r\n5\r\n", NULL},
    {"SRANDMEMBER t -2", "*2\r\n$1\r\n5\r\n$1\r\n5\r\n", NULL},
    {"SRANDMEMBER t x", NOT_INTEGER, NULL},
    {"SRANDMEMBER t 1 2", SYNTAX, NULL},
    {"HSET h a 1", ":1\r\n", NULL},
    {"SADD h a", WRONG_TYPE, NULL},
    {"SMOVE h t a", WRONG_TYPE, NULL},
    {"SMOVE t h 5", WRONG_TYPE, NULL},
    {"SISMEMBER t 5", ":1\r\n", NULL},
    {"SINTER no h", WRONG_TYPE, NULL},
    {"SUNION t h", WRONG_TYPE, NULL},
    {"SDIFFSTORE d t h", WRONG_TYPE, NULL},
    {"SUNIONSTORE h t", ":1\r\n", NULL},
    {"TYPE h", "+set\r\n", NULL},
};

static void test_replies(void **state)
{
    (void)state;
    world_expect_rows(replies, sizeof replies / sizeof replies[0]);
}

/* ---- forms ------------------------------------------------------------------------------- */

/* What %u is in `form` goes from `from` up to `to`. */
static void add_many(struct world *world, const char *form, unsigned from, unsigned to)
{
    char line[128];
    for (unsigned i = from; i < to; i++) {
        snprintf(line, sizeof line, form, i);
        EXPECT(world, line, ":1\r\n");
    }
}

static void test_bounds_of_a_small_one(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    add_many(&world, "SADD i %u", 0, 512);
    assert_int_equal(form_of(&world, "i"), PACKED_INTEGERS);
    add_many(&world, "SADD i %u", 512, 513);
    assert_int_equal(form_of(&world, "i"), PACKED_LARGE);
    EXPECT(&world, "SREM i 5 6 7", ":3\r\n");
    assert_int_equal(form_of(&world, "i"), PACKED_LARGE); /* for ever */
    add_many(&world, "SADD s m%u", 0, 128);
    assert_int_equal(form_of(&world, "s"), PACKED_STRINGS);
    EXPECT(&world, "SADD s m5", ":0\r\n");
    assert_int_equal(form_of(&world, "s"), PACKED_STRINGS);
    add_many(&world, "SADD s m%u", 128, 129);
    assert_int_equal(form_of(&world, "s"), PACKED_LARGE);
    EXPECT(&world, "SISMEMBER s m0", ":1\r\n");
    /* Integers and something else: few enough, or not. */
    add_many(&world, "SADD few %u", 0, 127);
    EXPECT(&world, "SADD few x", ":1\r\n");
    assert_int_equal(form_of(&world, "few"), PACKED_STRINGS);
    add_many(&world, "SADD many %u", 0, 128);
    EXPECT(&world, "SADD many x", ":1\r\n");
    assert_int_equal(form_of(&world, "many"), PACKED_LARGE);
    EXPECT(&world, "SCARD many", ":129\r\n");
    world_deinit(&world);
}

static void test_a_long_member_makes_it_large(void **state)
{
    struct world world;
    char line[128], text[66];
    (void)state;
    world_init(&world);
    memset(text, 'x', sizeof text);
    for (int size = 64; size <= 65; size++) {
        snprintf(line, sizeof line, "SADD l%d %.*s", size, size, text);
        EXPECT(&world, line, ":1\r\n");
        snprintf(line, sizeof line, "SADD i%d 1", size);
        EXPECT(&world, line, ":1\r\n");
        snprintf(line, sizeof line, "SADD i%d %.*s", size, size, text);
        EXPECT(&world, line, ":1\r\n");
        EXPECT(&world, line, ":0\r\n");
    }
    assert_int_equal(form_of(&world, "l64"), PACKED_STRINGS);
    assert_int_equal(form_of(&world, "l65"), PACKED_LARGE);
    assert_int_equal(form_of(&world, "i64"), PACKED_STRINGS);
    assert_int_equal(form_of(&world, "i65"), PACKED_LARGE);
    world_deinit(&world);
}

/* ---- long ones in slices ------------------------------------------------------------------ */

static void test_long_ones_go_in_slices(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    run_on_many(&world, "SADD", "s", "m", false);
    expect_paused(&world);
    expect_out(&world, ":16000\r\n");
    static const char *const readers[] = {"SMEMBERS s",          "SINTER s s",
                                          "SUNION s s",          "SDIFF s none",
                                          "SRANDMEMBER s 15999", "SRANDMEMBER s -16000"};
    static const uint64_t parts[] = {MANY, MANY, MANY, MANY, MANY - 1, MANY};
    for (unsigned i = 0; i < 6; i++) {
        struct bytes reply = world_type(&world, readers[i]);
        assert_int_equal(lines_of(reply), 1 + 2 * parts[i]);
        expect_paused(&world);
    }
    run_on_many(&world, "SMISMEMBER", "s", "m", false);
    expect_paused(&world);
    assert_int_equal(lines_of(buffer_bytes(&world.connection.out.bytes)), 1 + MANY);
    expect_slow(&world, "SINTERCARD 2 s s", ":16000\r\n");
    expect_slow(&world, "SUNIONSTORE s s s", ":16000\r\n"); /* over itself */
    expect_slow(&world, "SINTERSTORE t s s", ":16000\r\n");
    expect_slow(&world, "SDIFFSTORE u s none", ":16000\r\n");
    expect_slow(&world, "SDIFFSTORE d s t", ":0\r\n");
    EXPECT(&world, "SCARD t", ":16000\r\n");
    assert_int_equal(lines_of(world_type(&world, "SPOP t 3000")), 1 + 2 * 3000);
    expect_paused(&world);
    EXPECT(&world, "SCARD t", ":13000\r\n");
    assert_int_equal(lines_of(world_type(&world, "SMEMBERS t")), 1 + 2 * 13000);
    assert_int_equal(lines_of(world_type(&world, "SPOP u 16000")), 1 + 2 * MANY);
    expect_paused(&world);
    EXPECT(&world, "EXISTS u", ":0\r\n");
    run_on_many(&world, "SREM", "s", "m", false);
    expect_paused(&world);
    expect_out(&world, ":16000\r\n");
    EXPECT(&world, "EXISTS s", ":0\r\n");
    world_deinit(&world);
}

static void test_many_keys_go_in_slices(void **state)
{
    struct world world;
    struct buffer line = {0};
    (void)state;
    world_init(&world);
    EXPECT(&world, "SADD m1 x y", ":2\r\n");
    buffer_printf(&line, "SUNIONSTORE d");
    for (unsigned i = 0; i < 5000; i++)
        buffer_printf(&line, " m%u", i);
    buffer_append_byte(&line, '\0');
    EXPECT(&world, line.data, ":2\r\n");
    expect_paused(&world);
    buffer_deinit(&line);
    world_deinit(&world);
}

/* ---- chance -------------------------------------------------------------------------------- */

/* Chi-square with 199 degrees of freedom: above 270 once in two thousand seeds; this is one
 * seed. */
static void expect_uniform(const unsigned *drawn, unsigned count, unsigned total)
{
    double chi = 0;
    for (unsigned i = 0; i < count; i++) {
        double expected = (double)total / count, off = drawn[i] - expected;
        chi += off * off / expected;
    }
    assert_true(chi < 270);
}

static void test_spop_is_uniform(void **state)
{
    enum { MEMBERS = 200, ROUNDS = 100 };
    struct world world;
    unsigned drawn[MEMBERS] = {0}, member;
    (void)state;
    world_init(&world);
    add_many(&world, "SADD s m%u", 0, MEMBERS);
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_int_equal(lines_of(world_type(&world, "SUNIONSTORE t s")), 1);
        assert_int_equal(lines_of(world_type(&world, "SPOP t 100")), 201);
        buffer_append_byte(&world.connection.out.bytes, '\0');
        for (const char *at = world.connection.out.bytes.data; (at = strchr(at, 'm')); at++) {
            assert_int_equal(sscanf(at, "m%u", &member), 1);
            assert_in_range(member, 0, MEMBERS - 1);
            drawn[member]++;
        }
        EXPECT(&world, "SCARD t", ":100\r\n");
    }
    expect_uniform(drawn, MEMBERS, 100 * ROUNDS);
    world_deinit(&world);
}

/* ---- random steps ---------------------------------------------------------------------------- */

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { STEPS = 500 };
#else
enum { STEPS = 2500 };
#endif
enum { SETS = 4, MEMBERS = 700 };

struct model {
    bool has[SETS][MEMBERS];
};

static unsigned size_of(const bool *has)
{
    unsigned size = 0;
    for (unsigned i = 0; i < MEMBERS; i++)
        size += has[i];
    return size;
}

/* Half of the members are integers. */
static const char *member_name(unsigned i)
{
    static char name[16];
    snprintf(name, sizeof name, i % 2 ? "m%u" : "%u", i);
    return name;
}

static void expect_number(struct world *world, const char *line, unsigned wanted)
{
    char text[32];
    snprintf(text, sizeof text, ":%u\r\n", wanted);
    EXPECT(world, line, text);
}

/* The members of the reply to `line` are those of `has`. */
static void expect_members(struct world *world, const char *line, const bool *has)
{
    struct bytes reply = world_type(world, line);
    assert_int_equal(lines_of(reply), 1 + 2 * size_of(has));
    buffer_append_byte(&world->connection.out.bytes, '\0');
    const char *at = strchr(world->connection.out.bytes.data, '\n') + 1;
    for (; *at; at = strchr(strchr(at, '\n') + 1, '\n') + 1) {
        const char *text = strchr(at, '\n') + 1;
        unsigned i = (unsigned)atoi(*text == 'm' ? text + 1 : text);
        assert_in_range(i, 0, MEMBERS - 1);
        assert_int_equal(strncmp(text, member_name(i), strlen(member_name(i))), 0);
        assert_true(has[i]);
    }
}

static void change(struct world *world, struct model *model, unsigned set, unsigned i, bool adds)
{
    char line[64];
    snprintf(line, sizeof line, "%s s%u %s", adds ? "SADD" : "SREM", set, member_name(i));
    expect_number(world, line, model->has[set][i] != adds);
    model->has[set][i] = adds;
}

static void move(struct world *world, struct model *model, unsigned set, unsigned to, unsigned i)
{
    char line[64];
    snprintf(line, sizeof line, "SMOVE s%u s%u %s", set, to, member_name(i));
    expect_number(world, line, model->has[set][i]);
    if (model->has[set][i]) {
        model->has[set][i] = false;
        model->has[to][i] = true;
    }
}

/* Of two sets, stored in a third, or only asked for. */
static void operate(struct world *world, struct model *model, uint64_t *dice)
{
    static const char *const names[] = {"SINTER", "SUNION", "SDIFF"};
    unsigned kind = (unsigned)prng_below(dice, 3), a = (unsigned)prng_below(dice, SETS);
    unsigned b = (unsigned)prng_below(dice, SETS), to = (unsigned)prng_below(dice, SETS);
    bool result[MEMBERS];
    char line[64];
    for (unsigned i = 0; i < MEMBERS; i++) {
        bool in_a = model->has[a][i], in_b = model->has[b][i];
        result[i] = kind == 0 ? in_a && in_b : kind == 1 ? in_a || in_b : in_a && !in_b;
    }
    snprintf(line, sizeof line, "%s s%u s%u", names[kind], a, b);
    expect_members(world, line, result);
    if (prng_below(dice, 2))
        return;
    snprintf(line, sizeof line, "%sSTORE s%u s%u s%u", names[kind], to, a, b);
    expect_number(world, line, size_of(result));
    memcpy(model->has[to], result, sizeof result);
}

static void pop(struct world *world, struct model *model, unsigned set, unsigned count)
{
    char line[64];
    snprintf(line, sizeof line, "SPOP s%u %u", set, count);
    unsigned size = size_of(model->has[set]);
    assert_int_equal(lines_of(world_type(world, line)), 1 + 2 * (count < size ? count : size));
    buffer_append_byte(&world->connection.out.bytes, '\0');
    const char *at = strchr(world->connection.out.bytes.data, '\n') + 1;
    for (; *at; at = strchr(strchr(at, '\n') + 1, '\n') + 1) {
        const char *text = strchr(at, '\n') + 1;
        unsigned i = (unsigned)atoi(*text == 'm' ? text + 1 : text);
        assert_true(model->has[set][i]);
        model->has[set][i] = false;
    }
}

static void test_random_steps(void **state)
{
    struct world world;
    struct model *model = memory_new(sizeof *model);
    unsigned wide = MEMBERS;
    bool only_integers = false;
    uint64_t dice = 1;
    char line[64];
    (void)state;
    world_init(&world);
    for (int step = 1; step <= STEPS; step++) {
        unsigned set = (unsigned)prng_below(&dice, SETS), i = (unsigned)prng_below(&dice, wide);
        uint64_t what = prng_below(&dice, 100);
        if (only_integers)
            i = i / 2 * 2;
        if (what < 80)
            change(&world, model, set, i, what < 50);
        else if (what < 88)
            move(&world, model, set, (unsigned)prng_below(&dice, SETS), i);
        else if (what < 95)
            operate(&world, model, &dice);
        else if (what < 97)
            pop(&world, model, set, (unsigned)prng_below(&dice, 20));
        else if (what < 99)
            db_checkpoint(world.db);
        else
            only_integers = !only_integers, wide = 2 + (unsigned)prng_below(&dice, MEMBERS - 1);
        if (step % 100 != 0)
            continue;
        snprintf(line, sizeof line, "SMEMBERS s%u", set);
        expect_members(&world, line, model->has[set]);
    }
    memory_free(model);
    world_deinit(&world);
}

/* The slices of a write have one seed, and draw on. */
static void test_draws_in_slices(void **state)
{
    enum { IN_SET = 2000, SLICE = 256 };
    struct world *world = *state;
    struct buffer line = {0};
    buffer_printf(&line, "SADD s");
    for (int i = 0; i < IN_SET; i++)
        buffer_printf(&line, " %04d", i);
    buffer_append_byte(&line, '\0');
    world_type(world, line.data);
    struct bytes reply = world_type(world, "ONCE c 1 SRANDMEMBER s -512");
    const size_t head = strlen("*512\r\n"), each = strlen("$4\r\n0000\r\n");
    assert_int_equal(reply.size, head + 2 * SLICE * each);
    const char *first = (const char *)reply.data + head;
    unsigned same = 0;
    for (unsigned i = 0; i < SLICE; i++)
        same += memcmp(first + i * each, first + (i + SLICE) * each, each) == 0;
    assert_true(same < 10);
    buffer_deinit(&line);
}

/* A draw of a view costs some 80 us, so that a slice of them is short, but for the first, which is
 * of what is there.  How long those of a write are, an entry's outcome depends on. */
static void test_draws_of_a_view_have_short_slices(void **state)
{
    enum { SLICE = 256, VIEW_SLICE = 32, SLICES = 5 };
    struct world *world = *state;
    world_type(world, "SADD s a b c d e f g h i j k l");
    world->pauses = 0;
    world_type(world, "SRANDMEMBER s -1280"); /* SLICES of 256 */
    assert_int_equal(world->pauses, (SLICES - 1) * SLICE / VIEW_SLICE);
    world->pauses = 0;
    world_type(world, "ONCE c 1 SRANDMEMBER s -1280");
    assert_int_equal(world->pauses, SLICES - 1);
}

static void make_set(struct world *world)
{
    enum { IN_SET = 2000 };
    struct buffer line = {0};
    world_type(world, "DEL s");
    buffer_printf(&line, "SADD s");
    for (int i = 0; i < IN_SET; i++)
        buffer_printf(&line, " %04d", i);
    buffer_append_byte(&line, '\0');
    world_type(world, line.data);
    buffer_deinit(&line);
}

/* From now on it has to be fetched. */
static void release_set(struct world *world)
{
    for (int i = 0; i < 2; i++) { /* the second releases what the first stored */
        db_checkpoint(world->db);
        world_type(world, "SET k v");
    }
}

/* Where what is drawn has to be fetched slices are shorter, and what is drawn is the same, and what
 * is left. */
static void expect_shorter_slices(struct world *world, const char *line, const char *line_again)
{
    enum { SLICE_WORK = 1 << 20, DRAW_WORK = 1 << 18 };
    struct buffer drawn = {0}, left = {0};
    world->seed = 5;
    make_set(world);
    world->pauses = 0;
    buffer_append_bytes(&drawn, world_type(world, line));
    unsigned pauses = world->pauses;
    buffer_append_bytes(&left, world_type(world, "SMEMBERS s"));
    make_set(world);
    release_set(world);
    world->pauses = 0;
    world->work_most = 0;
    struct bytes again = world_type(world, line_again);
    assert_true(bytes_equal(buffer_bytes(&drawn), again));
    assert_true(world->pauses > 2 * pauses);
    assert_in_range(world->work_most, SLICE_WORK, SLICE_WORK + DRAW_WORK);
    assert_true(bytes_equal(buffer_bytes(&left), world_type(world, "SMEMBERS s")));
    buffer_deinit(&drawn);
    buffer_deinit(&left);
}

static void test_draws_that_are_much_work(void **state)
{
    struct world *world = *state;
    expect_shorter_slices(world, "ONCE a 1 SRANDMEMBER s -2000", "ONCE a 2 SRANDMEMBER s -2000");
    expect_shorter_slices(world, "ONCE b 1 SRANDMEMBER s 256", "ONCE b 2 SRANDMEMBER s 256");
    expect_shorter_slices(world, "SPOP s 1500", "SPOP s 1500");
}

/* Of a set of which some of what was first is deleted. */
static void make_set_with_gaps(struct world *world)
{
    enum { IN_SET = 6000, HALVED = 1000 };
    struct buffer line = {0};
    buffer_printf(&line, "SADD s");
    for (int i = 0; i < IN_SET; i++)
        buffer_printf(&line, " %04d", i);
    buffer_append_byte(&line, '\0');
    world_type(world, line.data);
    release_set(world);
    buffer_clear(&line);
    buffer_printf(&line, "SREM s");
    for (int i = 0; i < HALVED; i += 2)
        buffer_printf(&line, " %04d", i);
    buffer_append_byte(&line, '\0');
    world_type(world, line.data);
    buffer_deinit(&line);
    world->seed = 5;
    world->pauses = 0;
}

/* What an entry chooses is the same whatever a node has in its way that is deleted, and what the
 * meaning says: the seed begins anew behind 2,000 that are there. */
static void test_choice_of_an_entry(void **state)
{
    static const char line[] = "ONCE c 1 SRANDMEMBER s 3000";
    const uint64_t chosen = 0x8d48beeed078d15d;
    struct world *clean = *state, *kept = memory_new(sizeof *kept);
    struct world *impatient = memory_new(sizeof *impatient);
    world_init(kept);
    world_init(impatient);
    make_set_with_gaps(clean);
    make_set_with_gaps(kept);
    make_set_with_gaps(impatient);
    release_set(clean);
    release_set(impatient);
    kv_memory_gives_up(impatient->kv, 50);
    clean->pauses = kept->pauses = impatient->pauses = 0;
    struct bytes reply = world_type(clean, line);
    assert_int_equal(XXH3_64bits(reply.data, reply.size), chosen);
    assert_true(bytes_equal(reply, world_type(kept, line)));
    assert_true(bytes_equal(reply, world_type(impatient, line)));
    assert_int_equal(clean->pauses, 2);
    assert_true(impatient->pauses > 3);
    world_deinit(kept);
    world_deinit(impatient);
    memory_free(kept);
    memory_free(impatient);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_bounds_of_a_small_one),
        cmocka_unit_test(test_a_long_member_makes_it_large),
        cmocka_unit_test(test_long_ones_go_in_slices),
        cmocka_unit_test(test_many_keys_go_in_slices),
        cmocka_unit_test(test_spop_is_uniform),
        cmocka_unit_test_setup_teardown(test_draws_in_slices, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(test_draws_of_a_view_have_short_slices, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(test_draws_that_are_much_work, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(test_choice_of_an_entry, world_set_up, world_tear_down),
        cmocka_unit_test(test_random_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
