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
    assert_true(world->pauses > 3);
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_in_slices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
