/* The stack of frames: commands that carry others, several of them, in slices, one within
 * another. */
#include "base/memory.h"
#include "command/execution.h"
#include "command/observer.h"
#include "test_command.h"

enum { CARRIED = 3000 };

/* ---- commands that carry, made for this test ------------------------------------------------ */

static struct bytes incr[2];      /* INCR n */
static const struct command *row; /* of INCR */

/* As EXEC will: argv[1] says how often INCR; the reply is an array of the replies. */
static void cmd_many(struct call *call)
{
    struct walk_state *walk = call->walk;
    struct reply found = {&walk->found, call->reply->protocol};
    assert_true((call->carried != NULL) == (walk->count > 0));
    if (call->carried)
        reply_raw(&found, *call->carried);
    if (walk->count++ < CARRIED) {
        call_carry(call, row, incr, 2, call->reply->protocol);
        return;
    }
    reply_array(call->reply, CARRIED);
    reply_raw(call->reply, buffer_bytes(&walk->found));
}

static const struct command many = {
    .name = "many", .arity = 1, .flags = CMD_WRITE, .execute = cmd_many};

/* As ONCE over EXEC over a script: its words behind its name are what it carries. */
static void cmd_deep(struct call *call);
static const struct command deep = {
    .name = "deep", .arity = -1, .flags = CMD_WRITE, .execute = cmd_deep};

static void cmd_deep(struct call *call)
{
    if (call->carried)
        reply_raw(call->reply, *call->carried);
    else
        call_carry(call, call->argc == 3 ? row : &deep, call->argv + 1, call->argc - 1, 2);
}

/* Has an inner command first, and then slices of its own. */
static void cmd_slow(struct call *call)
{
    if (call->walk->count == 0) {
        call->walk->count++;
        call_carry(call, row, incr, 2, 2);
        return;
    }
    assert_true((call->carried != NULL) == (call->walk->count == 1));
    call->walk->unfinished = call->walk->count++ < 5;
    if (!call->walk->unfinished)
        reply_integer(call->reply, (int64_t)call->walk->count);
}

static const struct command slow = {
    .name = "slow", .arity = 1, .flags = CMD_WRITE, .execute = cmd_slow};

/* ---- who counts ------------------------------------------------------------------------------ */

struct counts {
    struct command_observer observer; /* first */
    unsigned begun, ended, finished, failed;
    unsigned incrs; /* that finished */
    uint64_t took;  /* of the last that finished */
};

static void begin(struct command_observer *observer)
{
    struct counts *counts = (struct counts *)observer;
    assert_int_equal(counts->begun++, counts->ended);
}

/* Each slice takes 1. */
static void end(struct command_observer *observer, const struct call *call, uint64_t *took,
                bool finished, bool failed)
{
    struct counts *counts = (struct counts *)observer;
    counts->ended++;
    ++*took;
    counts->finished += finished;
    counts->failed += failed;
    counts->incrs += finished && call->command == row;
    if (finished)
        counts->took = *took;
}

/* ---- running --------------------------------------------------------------------------------- */

static struct counts counts;

/* How many slices it took.  The words: "deep" as often as there is room before "incr n". */
static unsigned run(struct world *world, const struct command *command, uint32_t argc,
                    struct buffer *out)
{
    struct reply reply = {out, 2};
    struct call call = {.reply = &reply,
                        .db = world->db,
                        .meaning = command_meaning_newest,
                        .value_max = VALUE_SIZE_MAX,
                        .observer = &counts.observer};
    struct execution execution = {.argv = memory_new(argc * sizeof(struct bytes)),
                                  .argv_capacity = argc};
    unsigned slices = 1;
    for (uint32_t i = 0; i < argc; i++)
        execution.argv[i] = argc - i <= 2 ? incr[2 - (argc - i)] : bytes_from_string("deep");
    execution_begin(&execution, command, argc, CMD_READ | CMD_WRITE);
    for (; !execution_go_on(&execution, &call); slices++)
        assert_int_equal(out->size, 0);
    assert_true(call.reply == &reply);
    execution_deinit(&execution);
    return slices;
}

/* The replies of all, in order; the loop has its turn in between; each one is counted. */
static void test_many_are_carried(void **state)
{
    struct buffer out = {0}, wanted = {0};
    unsigned slices = run(*state, &many, 1, &out);
    buffer_printf(&wanted, "*%d\r\n", CARRIED);
    for (int i = 1; i <= CARRIED; i++)
        buffer_printf(&wanted, ":%d\r\n", i);
    assert_true(bytes_equal(buffer_bytes(&out), buffer_bytes(&wanted)));
    assert_true(slices >= 2 * CARRIED / 512);
    assert_int_equal(counts.incrs, CARRIED);
    assert_int_equal(counts.finished, CARRIED + 1);
    assert_int_equal(counts.ended, 2 * CARRIED + 1);
    assert_int_equal(counts.took, 2 * CARRIED + 1); /* what it carried is part of its time */
    assert_int_equal(counts.failed, 0);
    buffer_deinit(&out);
    buffer_deinit(&wanted);
}

static void test_as_deep_as_may_be(void **state)
{
    struct buffer out = {0};
    EXPECT(*state, "SET n 6", OK);
    assert_int_equal(run(*state, &deep, FRAMES_MAX + 1, &out), 1);
    assert_true(bytes_equal(buffer_bytes(&out), bytes_from_string(":7\r\n")));
    assert_int_equal(counts.finished, FRAMES_MAX);
    assert_int_equal(counts.took, 2 * FRAMES_MAX - 1);

    /* An error at the bottom is the reply of all above it, who pass it on. */
    buffer_clear(&out);
    EXPECT(*state, "SET n x", OK);
    run(*state, &deep, FRAMES_MAX + 1, &out);
    assert_true(out.size > 0 && out.data[0] == '-');
    assert_int_equal(counts.failed, FRAMES_MAX);
    buffer_deinit(&out);
}

static void test_slices_after_what_was_carried(void **state)
{
    struct buffer out = {0};
    assert_int_equal(run(*state, &slow, 1, &out), 5);
    assert_true(bytes_equal(buffer_bytes(&out), bytes_from_string(":6\r\n")));
    assert_int_equal(counts.took, 7);
    buffer_deinit(&out);
}

/* Dropped in the middle, whatever is under way at whatever depth. */
static void test_forgotten_in_between(void **state)
{
    struct world *world = *state;
    struct buffer out = {0};
    struct reply reply = {&out, 2};
    struct call call = {.reply = &reply, .db = world->db, .value_max = VALUE_SIZE_MAX};
    struct execution execution = {0};
    execution_begin(&execution, &many, 1, CMD_WRITE);
    assert_false(execution_go_on(&execution, &call));
    assert_true(execution.depth > 0);
    execution_forget(&execution);
    assert_int_equal(execution.depth, 0);
    execution_begin(&execution, &slow, 1, CMD_WRITE);
    while (!execution_go_on(&execution, &call))
        ;
    assert_true(bytes_equal(buffer_bytes(&out), bytes_from_string(":6\r\n")));
    execution_deinit(&execution);
    buffer_deinit(&out);
}

/* ONCE's command has a line of its own in the statistics, in slices too; a repetition executes
 * none. */
static void test_once_and_its_command_are_counted(void **state)
{
    struct world *world = *state;
    command_machine_observe(world->machine, &counts.observer);
    EXPECT(world, "ONCE c 1 INCR n", ":1\r\n");
    assert_int_equal(counts.incrs, 1);
    assert_int_equal(counts.finished, 2);
    assert_int_equal(counts.took, 3); /* ONCE twice, INCR */
    EXPECT(world, "ONCE c 1 INCR n", ":1\r\n");
    assert_int_equal(counts.incrs, 1);
    assert_int_equal(counts.finished, 3);
    assert_int_equal(counts.took, 1);
    EXPECT(world, "SET n x", OK);
    EXPECT(world, "ONCE c 2 INCR n", "-ERR value is not an integer or out of range\r\n");
    assert_int_equal(counts.failed, 2);
    command_machine_observe(world->machine, NULL);
}

static int setup(void **state)
{
    incr[0] = bytes_from_string("incr");
    incr[1] = bytes_from_string("n");
    row = command_lookup(incr[0]);
    counts = (struct counts){.observer = {.begin = begin, .end = end}};
    world_set_up(state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_many_are_carried),
        TEST(test_as_deep_as_may_be),
        TEST(test_slices_after_what_was_carried),
        TEST(test_forgotten_in_between),
        TEST(test_once_and_its_command_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
