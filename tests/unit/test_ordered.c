/* Sorted sets and lists through the commands, small and large, against plain arrays, with
 * checkpoints between; and what redis-server 7.0, with which tests/compare_collections.py compares,
 * has not. */
#include "test_command.h"

enum { MEMBERS = 400, ROUNDS = 3000 };

struct model {
    int score[MEMBERS]; /* INT32_MIN: no member */
    int list[ROUNDS * 4];
    unsigned list_count;
    unsigned count;
};

static const struct model *sorted_model;

static int compare_members(const void *one, const void *other)
{
    const int *a = one, *b = other;
    int x = sorted_model->score[*a], y = sorted_model->score[*b];
    return x != y ? (x > y) - (x < y) : (*a > *b) - (*a < *b);
}

/* Members by score and name; their names sort as their numbers do. */
static unsigned sort_members(const struct model *model, int *members)
{
    unsigned count = 0;
    for (int i = 0; i < MEMBERS; i++)
        if (model->score[i] != INT32_MIN)
            members[count++] = i;
    sorted_model = model;
    qsort(members, count, sizeof *members, compare_members);
    return count;
}

static void expect_text(struct world *world, const char *line, const struct buffer *wanted)
{
    world_expect(world, line, buffer_bytes(wanted));
}

static void compare_all(struct world *world, const struct model *model)
{
    int members[MEMBERS];
    unsigned count = sort_members(model, members);
    struct buffer wanted = {0};
    struct reply reply = {&wanted, 2};
    char text[64];
    reply_array(&reply, 2 * count);
    for (unsigned i = 0; i < count; i++) {
        snprintf(text, sizeof text, "member%03d", members[i]);
        reply_bulk_string(&reply, text);
        snprintf(text, sizeof text, "%d", model->score[members[i]]);
        reply_bulk_string(&reply, text);
    }
    expect_text(world, "ZRANGE z 0 -1 WITHSCORES", &wanted);
    for (unsigned i = 0; i < count; i += 1 + count / 20) {
        snprintf(text, sizeof text, "ZRANK z member%03d", members[i]);
        buffer_clear(&wanted);
        reply_integer(&reply, i);
        expect_text(world, text, &wanted);
    }
    buffer_clear(&wanted);
    reply_array(&reply, model->list_count);
    for (unsigned i = 0; i < model->list_count; i++) {
        snprintf(text, sizeof text, "%d", model->list[i]);
        reply_bulk_string(&reply, text);
    }
    expect_text(world, "LRANGE l 0 -1", &wanted);
    buffer_deinit(&wanted);
}

static void change_set(struct world *world, struct model *model, uint64_t *dice, bool grows)
{
    char line[128];
    int member = (int)prng_below(dice, MEMBERS), score = (int)prng_below(dice, 50) - 10;
    bool is_there = model->score[member] != INT32_MIN;
    if (prng_below(dice, 10) < (grows ? 8 : 3)) {
        snprintf(line, sizeof line, "ZADD z %d member%03d", score, member);
        world_expect(world, line, bytes_from_string(is_there ? ":0\r\n" : ":1\r\n"));
        model->score[member] = score;
    } else {
        snprintf(line, sizeof line, "ZREM z member%03d", member);
        world_expect(world, line, bytes_from_string(is_there ? ":1\r\n" : ":0\r\n"));
        model->score[member] = INT32_MIN;
    }
}

static void list_insert(struct model *model, unsigned at, int value)
{
    memmove(model->list + at + 1, model->list + at, (model->list_count - at) * sizeof *model->list);
    model->list[at] = value;
    model->list_count++;
}

static void change_list(struct world *world, struct model *model, uint64_t *dice, bool grows)
{
    char line[128];
    int value = (int)prng_next(dice) / 2;
    bool is_left = prng_below(dice, 2);
    if (prng_below(dice, 10) < (grows ? 8 : 3)) {
        snprintf(line, sizeof line, "%s l %d", is_left ? "LPUSH" : "RPUSH", value);
        list_insert(model, is_left ? 0 : model->list_count, value);
        world_type(world, line);
    } else if (model->list_count > 0) {
        unsigned at = (unsigned)prng_below(dice, model->list_count);
        snprintf(line, sizeof line, "LSET l %u %d", at, value);
        model->list[at] = value;
        EXPECT(world, line, OK);
        if (model->list_count > 4) {
            EXPECT(world, "LTRIM l 1 -2", OK);
            memmove(model->list, model->list + 1, (model->list_count - 2) * sizeof *model->list);
            model->list_count -= 2;
        }
    }
}

static void test_against_arrays(void **state)
{
    struct world *world = *state;
    struct model *model = memory_new(sizeof *model);
    uint64_t dice = 1;
    for (int i = 0; i < MEMBERS; i++)
        model->score[i] = INT32_MIN;
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool grows = round / 1000 % 2 == 0;
        change_set(world, model, &dice, grows);
        change_list(world, model, &dice, grows);
        if (round % 50 == 0)
            compare_all(world, model);
        if (prng_below(&dice, 30) == 0)
            db_checkpoint(world->db);
    }
    compare_all(world, model);
    EXPECT(world, "COPY z z2", ":1\r\n");
    EXPECT(world, "DEL z", ":1\r\n");
    EXPECT(world, "RENAME z2 z", OK);
    compare_all(world, model);
    memory_free(model);
}

/* At Redis's bounds, and not back. */
static void test_bounds(void **state)
{
    struct world *world = *state;
    char line[128];
    for (int i = 0; i < 128; i++) {
        snprintf(line, sizeof line, "ZADD z %d m%d", i, i);
        EXPECT(world, line, ":1\r\n");
    }
    EXPECT(world, "OBJECT ENCODING z", "$8\r\nlistpack\r\n");
    EXPECT(world, "ZADD z 128 m128", ":1\r\n");
    EXPECT(world, "OBJECT ENCODING z", "$8\r\nskiplist\r\n");
    EXPECT(world, "ZREMRANGEBYRANK z 1 -1", ":128\r\n");
    EXPECT(world, "OBJECT ENCODING z", "$8\r\nskiplist\r\n");
    EXPECT(world, "ZREM z m0", ":1\r\n");
    EXPECT(world, "EXISTS z", ":0\r\n");
    memset(line, 'x', sizeof line);
    memcpy(line, "ZADD z 1 ", 9);
    line[9 + 64] = '\0';
    EXPECT(world, line, ":1\r\n");
    EXPECT(world, "OBJECT ENCODING z", "$8\r\nlistpack\r\n");
    line[9 + 64] = 'x';
    line[9 + 65] = '\0';
    EXPECT(world, line, ":1\r\n");
    EXPECT(world, "OBJECT ENCODING z", "$8\r\nskiplist\r\n");
}

static void test_replies_of_7_2(void **state)
{
    static const struct typed rows[] = {
        {"ZADD z 1 a 2.5 b", ":2\r\n", NULL},
        {"ZRANK z b WITHSCORE", "*2\r\n:1\r\n$3\r\n2.5\r\n", "*2\r\n:1\r\n,2.5\r\n"},
        {"ZREVRANK z b WITHSCORE", "*2\r\n:0\r\n$3\r\n2.5\r\n", "*2\r\n:0\r\n,2.5\r\n"},
        {"ZRANK z c WITHSCORE", "*-1\r\n", NIL3},
        {"ZRANK z c", NIL2, NIL3},
        {"ZRANK z b x", SYNTAX, NULL},
        {"ZADD z 0.1 c 1e17 d", ":2\r\n", NULL},
        {"ZSCORE z c", "$3\r\n0.1\r\n", ",0.1\r\n"},
        {"ZSCORE z d", "$18\r\n100000000000000000\r\n", ",100000000000000000\r\n"},
        {"ZADD y inf a -inf b 5 c", ":3\r\n", NULL},
        {"ZCOUNT y -inf +inf", ":3\r\n", NULL},
        {"ZCOUNT y -inf (inf", ":2\r\n", NULL},
        {"ZCOUNT y (-inf inf", ":2\r\n", NULL},
        {"ZCOUNT y (-inf (inf", ":1\r\n", NULL},
        {"ZCOUNT y inf inf", ":1\r\n", NULL},
        {"ZCOUNT y -inf -inf", ":1\r\n", NULL},
        {"ZCOUNT y (4 5", ":1\r\n", NULL},
        {"ZCOUNT y 4 (5", ":0\r\n", NULL},
        {"ZRANGE y 0 -1 REV REV", SYNTAX, NULL},
        {"ZRANGE y - + BYLEX BYLEX", SYNTAX, NULL},
        {"ZRANGE y 0 5 BYLEX BYSCORE", SYNTAX, NULL},
        {"ZRANGE y 4 5 BYSCORE LIMIT 0 9 LIMIT 0 1", "*1\r\n$1\r\nc\r\n", NULL},
        {"ZRANGESTORE to y 0 -1 REV REV", SYNTAX, NULL},
        {"ZRANGESTORE to y 0 5 BYSCORE BYSCORE", SYNTAX, NULL},
        {"ZRANGESTORE to y 5 0 REV BYSCORE", ":1\r\n", NULL}};
    world_expect_all(*state, rows, sizeof rows / sizeof *rows);
}

/* Each as often as the others, within what chance allows; different ones are different. */
static void test_draws(void **state)
{
    struct world *world = *state;
    unsigned seen[10] = {0};
    EXPECT(world, "ZADD z 0 0 1 1 2 2 3 3 4 4 5 5 6 6 7 7 8 8 9 9", ":10\r\n");
    for (unsigned i = 0; i < 2000; i++) {
        struct bytes reply = world_type(world, "ZRANDMEMBER z 3");
        const char *at = reply.data;
        assert_int_equal(reply.size, 4 + 3 * 7);
        char a = at[8], b = at[15], c = at[22];
        assert_true(a != b && b != c && a != c);
        seen[a - '0']++;
        seen[b - '0']++;
        seen[c - '0']++;
    }
    for (unsigned i = 0; i < 10; i++)
        assert_in_range(seen[i], 500, 700);
}

enum { LONG = 70000 }; /* elements, of more than one slice */

/* In slices: pauses.  The reply: `count` elements, each the number it stands at times `step`, from
 * `first` on. */
static void expect_numbers(struct world *world, const char *line, int first, int step,
                           unsigned count)
{
    struct buffer wanted = {0};
    struct reply reply = {&wanted, 2};
    char text[32];
    reply_array(&reply, count);
    for (unsigned i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%06d", first + step * (int)i);
        reply_bulk_string(&reply, text);
    }
    world->pauses = 0;
    expect_text(world, line, &wanted);
    if (world->pauses == 0)
        fail_msg("%s was done at once", line);
    buffer_deinit(&wanted);
}

static void expect_in_slices(struct world *world, const char *line, const char *wanted)
{
    world->pauses = 0;
    EXPECT(world, line, wanted);
    if (world->pauses == 0)
        fail_msg("%s was done at once", line);
}

static void fill(struct world *world)
{
    char set[2000], list[1000];
    for (int i = 0; i < LONG; i += 50) {
        int set_at = snprintf(set, sizeof set, "ZADD z");
        int list_at = snprintf(list, sizeof list, "RPUSH l");
        for (int j = i; j < i + 50; j++) {
            set_at += snprintf(set + set_at, sizeof set - (size_t)set_at, " %d %06d", j, j);
            list_at += snprintf(list + list_at, sizeof list - (size_t)list_at, " %06d", j);
        }
        EXPECT(world, set, ":50\r\n");
        world_type(world, list);
    }
}

static void test_long_ones_are_done_in_slices(void **state)
{
    struct world *world = *state;
    fill(world);
    expect_numbers(world, "ZRANGE z 0 -1", 0, 1, LONG);
    expect_numbers(world, "ZREVRANGE z 0 -1", LONG - 1, -1, LONG);
    expect_numbers(world, "ZRANGEBYSCORE z 10 +inf", 10, 1, LONG - 10);
    expect_numbers(world, "LRANGE l 0 -1", 0, 1, LONG);
    expect_numbers(world, "LRANGE l 5 -6", 5, 1, LONG - 10);
    expect_in_slices(world, "LPOS l 069999", ":69999\r\n");
    expect_in_slices(world, "LPOS l 000000 RANK -1", ":0\r\n");
    expect_in_slices(world, "LINSERT l AFTER 069998 between", ":70001\r\n");
    EXPECT(world, "LINDEX l 69999", "$7\r\nbetween\r\n");
    expect_in_slices(world, "LREM l 0 between", ":1\r\n");
    expect_in_slices(world, "LREM l -1 000000", ":1\r\n");
    EXPECT(world, "LINSERT l BEFORE 000001 000000", ":70000\r\n");
    expect_numbers(world, "LPOP l 60000", 0, 1, 60000);
    expect_numbers(world, "RPOP l 9999", LONG - 1, -1, 9999);
    EXPECT(world, "LRANGE l 0 -1", "*1\r\n$6\r\n060000\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_against_arrays), TEST(test_bounds),
                                       TEST(test_replies_of_7_2), TEST(test_draws),
                                       TEST(test_long_ones_are_done_in_slices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
