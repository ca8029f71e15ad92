/* Unions, intersections and differences of large sorted sets, in slices, against plain arrays. */
#include "test_command.h"

#include <math.h>

enum { MEMBERS = 4000, BATCH = 100, SETS = 3 };

/* NaN: not a member. */
static double scores[SETS][MEMBERS];

static void add_many(struct world *world, unsigned set, uint64_t *dice)
{
    for (int i = 0; i < MEMBERS; i += BATCH) {
        struct buffer line = {0};
        buffer_printf(&line, "ZADD z%u", set);
        for (int k = i; k < i + BATCH; k++) {
            bool is_member = prng_below(dice, set + 1) == 0 || k == i;
            scores[set][k] = is_member ? (double)prng_below(dice, 50) : (double)NAN;
            if (is_member)
                buffer_printf(&line, " %g m%d", scores[set][k], k);
        }
        buffer_append_byte(&line, '\0');
        world_type(world, line.data);
        buffer_deinit(&line);
    }
}

enum kind { UNION, INTER, DIFF };
enum aggregate { SUM, MIN, MAX };

static double aggregated(double one, double other, enum aggregate aggregate)
{
    if (aggregate == SUM)
        return one + other;
    return (other < one) == (aggregate == MIN) ? other : one;
}

/* What z0, z1 and z2 make of a member, with weights 1, 2 and 3. */
static double made_of(unsigned i, enum kind kind, enum aggregate aggregate)
{
    double made = (double)NAN;
    unsigned members = 0;
    for (unsigned set = 0; set < SETS; set++) {
        double score = scores[set][i];
        if (isnan(score))
            continue;
        members++;
        if (kind == DIFF)
            made = set == 0 ? score : (double)NAN;
        else if (isnan(made))
            made = score * (set + 1);
        else
            made = aggregated(made, score * (set + 1), aggregate);
        if (kind == DIFF && set > 0)
            return made;
    }
    return kind == INTER && members < SETS ? (double)NAN : made;
}

static void expect_stored(struct world *world, enum kind kind, enum aggregate aggregate)
{
    char line[64], wanted[64];
    unsigned count = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        double score = made_of(i, kind, aggregate);
        char text[32];
        snprintf(line, sizeof line, "ZSCORE d m%u", i);
        snprintf(text, sizeof text, "%g", score);
        snprintf(wanted, sizeof wanted, "$%zu\r\n%s\r\n", strlen(text), text);
        EXPECT(world, line, isnan(score) ? NIL2 : wanted);
        count += !isnan(score);
    }
    snprintf(wanted, sizeof wanted, ":%u\r\n", count);
    EXPECT(world, "ZCARD d", wanted);
}

/* The same reply as the range that was stored. */
static void expect_same(struct world *world, const char *line)
{
    struct buffer stored = {0};
    buffer_append_bytes(&stored, world_type(world, "ZRANGE d 0 -1 WITHSCORES"));
    world->pauses = 0;
    struct bytes given = world_type(world, line);
    assert_true(bytes_equal(given, buffer_bytes(&stored)));
    assert_true(world->pauses > 2); /* where all lies in memory */
    buffer_deinit(&stored);
}

static void test_in_slices(void **state)
{
    static const char *const aggregates[] = {"SUM", "MIN", "MAX"};
    struct world world;
    char line[128];
    uint64_t dice = 1;
    (void)state;
    world_init(&world);
    for (unsigned set = 0; set < SETS; set++)
        add_many(&world, set, &dice);
    db_checkpoint(world.db);
    for (enum aggregate aggregate = SUM; aggregate <= MAX; aggregate++) {
        const char *name = aggregates[aggregate];
        world.pauses = 0;
        snprintf(line, sizeof line, "ZUNIONSTORE d 3 z0 z1 z2 WEIGHTS 1 2 3 AGGREGATE %s", name);
        EXPECT(&world, line, ":4000\r\n");
        assert_true(world.pauses > 8);
        expect_stored(&world, UNION, aggregate);
        snprintf(line, sizeof line, "ZUNION 3 z0 z1 z2 WEIGHTS 1 2 3 AGGREGATE %s WITHSCORES",
                 name);
        expect_same(&world, line);
        snprintf(line, sizeof line, "ZINTERSTORE d 3 z0 z1 z2 WEIGHTS 1 2 3 AGGREGATE %s", name);
        world_type(&world, line);
        expect_stored(&world, INTER, aggregate);
        snprintf(line, sizeof line, "ZINTER 3 z0 z1 z2 WEIGHTS 1 2 3 AGGREGATE %s WITHSCORES",
                 name);
        expect_same(&world, line);
    }
    world_type(&world, "ZDIFFSTORE d 3 z0 z1 z2");
    expect_stored(&world, DIFF, SUM);
    expect_same(&world, "ZDIFF 3 z0 z1 z2 WITHSCORES");
    EXPECT(&world, "ZINTERCARD 2 z0 z1 LIMIT 7", ":7\r\n");
    world.pauses = 0;
    EXPECT(&world, "ZRANGESTORE d z0 0 -1", ":4000\r\n");
    assert_true(world.pauses > 5);
    struct buffer copied = {0};
    buffer_append_bytes(&copied, world_type(&world, "ZRANGE d 0 -1 WITHSCORES"));
    struct bytes from = world_type(&world, "ZRANGE z0 0 -1 WITHSCORES");
    assert_true(bytes_equal(from, buffer_bytes(&copied)));
    EXPECT(&world, "ZUNIONSTORE z0 2 z0 z1", ":4000\r\n"); /* over a source */
    buffer_deinit(&copied);
    world_deinit(&world);
}

/* To find a member in a table takes as long as half a kilobyte, however small it is. */
static void test_members_are_work(void **state)
{
    enum { FOUND_AS_BYTES = 512 };
    struct world world;
    uint64_t dice = 1;
    (void)state;
    world_init(&world);
    add_many(&world, 0, &dice); /* all of them */
    uint64_t before = db_work(world.db);
    EXPECT(&world, "ZUNIONSTORE d 1 z0", ":4000\r\n");
    assert_true(db_work(world.db) - before > MEMBERS * FOUND_AS_BYTES);
    world_deinit(&world);
}

/* 0 times infinity: answered so by a redis-server 7.0. */
static void test_weights_that_make_no_number(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    world_type(&world, "ZADD a 5 m -5 n");
    world_type(&world, "ZADD b inf m inf n inf o");
    EXPECT(&world, "ZINTER 2 a b WEIGHTS 1 0 AGGREGATE MIN WITHSCORES",
           "*4\r\n$1\r\nn\r\n$2\r\n-5\r\n$1\r\nm\r\n$1\r\n5\r\n");
    EXPECT(&world, "ZINTER 2 a b WEIGHTS 1 0 AGGREGATE MAX WITHSCORES",
           "*4\r\n$1\r\nn\r\n$2\r\n-5\r\n$1\r\nm\r\n$1\r\n5\r\n");
    EXPECT(&world, "ZINTER 2 a b WEIGHTS 1 0 WITHSCORES",
           "*4\r\n$1\r\nm\r\n$1\r\n0\r\n$1\r\nn\r\n$1\r\n0\r\n");
    EXPECT(&world, "ZINTERSTORE d 2 a b WEIGHTS 1 0 AGGREGATE MIN", ":2\r\n");
    EXPECT(&world, "ZSCORE d m", "$1\r\n5\r\n");
    EXPECT(&world, "ZUNIONSTORE d 2 a b WEIGHTS 1 0 AGGREGATE MIN", ":3\r\n"); /* 0 in a union */
    EXPECT(&world, "ZSCORE d m", "$1\r\n0\r\n");
    world.meaning = 5; /* an entry of then does what it did */
    EXPECT(&world, "ZINTERSTORE d 2 a b WEIGHTS 1 0 AGGREGATE MIN", ":2\r\n");
    EXPECT(&world, "ZSCORE d m", "$1\r\n0\r\n");
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_in_slices),
                                       cmocka_unit_test(test_members_are_work),
                                       cmocka_unit_test(test_weights_that_make_no_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
