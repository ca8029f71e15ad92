/* The cluster's clock: one replica that leads three or five, whose members' clocks the test
 * plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include "base/memory.h"
#include "replica/replica_internal.h"

enum { TICK_MS = 10 };
static const int64_t year_ms = 365LL * 86400 * 1000;
static const int64_t start_ms = 1700000000000; /* the right time when the test begins */

static struct {
    struct replica *replica;
    struct state_machine machine;
    int64_t applied_ms;             /* the highest log time */
    int64_t skew[RAFT_MEMBERS_MAX]; /* how wrong each member's clock is; 0 is our own */
    bool silent[RAFT_MEMBERS_MAX];  /* does not answer */
} world;

static int64_t time_ms(struct state_machine *machine)
{
    (void)machine;
    return world.applied_ms;
}

static const struct state_machine_ops machine_ops = {.time_ms = time_ms};

static int64_t right_ms(void)
{
    return start_ms + world.replica->now_ms;
}

static void begin_with(uint32_t voters, uint32_t learners)
{
    uint32_t members = voters + learners;
    struct raft_config config = {.election_ticks = 10,
                                 .heartbeat_ticks = 2,
                                 .inflight_max = 1,
                                 .inflight_bytes_max = UINT64_MAX,
                                 .append_entries_max = 1,
                                 .append_bytes_max = 1};
    struct raft_saved saved = {.voted_for = RAFT_NOBODY, .members = {.count = members}};
    for (uint32_t i = 0; i < members; i++)
        saved.members.list[i] = (struct raft_member){.id = i, .voter = i < voters};
    memset(&world, 0, sizeof world);
    world.machine.ops = &machine_ops;
    world.replica = memory_new(sizeof *world.replica);
    world.replica->raft = raft_new(&config, &saved);
    world.replica->options.machine = &world.machine;
    world.replica->status.role = RAFT_LEADER;
}

static void begin(uint32_t voters)
{
    begin_with(voters, 0);
}

static void end(void)
{
    raft_free(world.replica->raft);
    memory_free(world.replica);
}

static void hear(void)
{
    for (uint32_t i = 1; i < raft_members(world.replica->raft)->count; i++)
        if (!world.silent[i])
            replica_clock_heard(world.replica, i, right_ms() + world.skew[i]);
    world.replica->unix_ms = right_ms() + world.skew[0];
}

/* Elected by votes that say what time it is. */
static void elected(void)
{
    hear();
    replica_log_time_begin(world.replica);
}

static void pass(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += TICK_MS) {
        world.replica->now_ms += TICK_MS;
        hear();
        replica_log_time_tick(world.replica);
        assert_true(world.replica->log_time_ms >= world.applied_ms);
        world.applied_ms = world.replica->log_time_ms; /* a write each tick */
    }
}

/* Log time, as it differs from the right time. */
static int64_t wrong_ms(void)
{
    return world.replica->log_time_ms - right_ms();
}

#define assert_wrong_by(ms, tolerance)                                                             \
    assert_in_range(wrong_ms() - (ms) + (tolerance), 0, 2 * (tolerance))

static void alone_it_is_our_own_clock(void **state)
{
    (void)state;
    begin(1);
    elected();
    assert_wrong_by(0, 0);
    pass(1000);
    assert_wrong_by(0, 0);
    world.skew[0] = 5000;
    pass(TICK_MS);
    assert_wrong_by(5000, 0);
    end();
}

static void one_wrong_clock_of_three_moves_nothing(void **state)
{
    static const int64_t wrong[] = {3700000, -3700000, year_ms * 10, -year_ms * 10};
    (void)state;
    for (int i = 0; i < 4; i++)
        for (uint32_t liar = 0; liar < 3; liar++) {
            begin(3);
            elected();
            pass(1000);
            world.skew[liar] = wrong[i];
            pass(60000);
            assert_wrong_by(0, TICK_MS);
            world.skew[liar] = 0;
            pass(1000);
            assert_wrong_by(0, TICK_MS);
            end();
        }
}

/* Two are heard, and one of them is wrong: nobody can say which.  Time goes on as it did. */
static void of_two_that_differ_neither_pulls(void **state)
{
    static const int64_t wrong[] = {3700000, -3700000, year_ms * 10, -year_ms * 10};
    (void)state;
    for (int i = 0; i < 4; i++)
        for (uint32_t liar = 0; liar < 2; liar++) {
            begin(3);
            world.silent[2] = true;
            elected();
            pass(1000);
            world.skew[liar] = wrong[i];
            pass(600000);
            assert_wrong_by(0, TICK_MS);
            end();
        }
}

/* Three of five are heard, two of them wrong in the same way: a minority all the same. */
static void a_minority_is_wrong_and_others_are_silent(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        begin(5);
        elected();
        pass(1000);
        world.silent[3] = world.silent[4] = true;
        world.skew[1] = world.skew[2] = sign * 3700000;
        pass(60000);
        assert_wrong_by(0, TICK_MS);
        world.silent[3] = world.silent[4] = false;
        pass(60000);
        assert_wrong_by(0, TICK_MS);
        end();
    }
}

/* However many they are, and of one mind: they are of no majority. */
static void clocks_of_learners_do_not_count(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        begin_with(3, 4);
        for (uint32_t learner = 3; learner < 7; learner++)
            world.skew[learner] = sign * 3700000;
        elected();
        pass(60000);
        assert_wrong_by(0, TICK_MS);
        world.silent[1] = world.silent[2] = true; /* no majority of voters is heard */
        world.skew[0] = sign * 3700000;
        pass(60000);
        assert_wrong_by(0, TICK_MS);
        end();
    }
}

/* The next leader begins where the log stands, whatever its own clock says. */
static void a_new_leader_takes_over_the_time(void **state)
{
    (void)state;
    begin(3);
    world.applied_ms = start_ms;
    world.skew[0] = 62 * 60000;
    world.silent[2] = true;
    elected();
    assert_wrong_by(0, 0);
    pass(10000);
    assert_wrong_by(0, TICK_MS);
    world.silent[2] = false;
    pass(10000);
    assert_wrong_by(0, TICK_MS);
    end();
}

static void without_a_majority_our_monotonic_clock_counts(void **state)
{
    (void)state;
    begin(5);
    world.applied_ms = start_ms + 1000;
    for (uint32_t i = 2; i < 5; i++)
        world.silent[i] = true;
    elected();
    pass(5000);
    assert_wrong_by(1000, 0);
    world.silent[2] = false;
    world.skew[2] = world.skew[1] = world.skew[0] = 7000;
    pass(TICK_MS);
    assert_wrong_by(7000, TICK_MS);
    end();
}

/* What was heard long ago may be wrong by now. */
static void a_clock_that_is_silent_is_forgotten(void **state)
{
    (void)state;
    begin(3);
    elected();
    pass(1000);
    world.skew[1] = year_ms;
    pass(1000);
    world.silent[1] = true;
    pass(10000);
    world.skew[0] = year_ms; /* the first has been set right meanwhile, for all we know */
    pass(10000);
    assert_wrong_by(0, TICK_MS);
    end();
}

/* Ten years on and back: time does not stand still, and so what ends in an hour ends. */
static void time_that_ran_ahead_goes_on(void **state)
{
    (void)state;
    begin(1);
    elected();
    world.skew[0] = 10 * year_ms;
    pass(1000);
    world.skew[0] = 0;
    int64_t before_ms = world.replica->log_time_ms;
    pass(3600000);
    int64_t passed_ms = world.replica->log_time_ms - before_ms;
    assert_in_range(passed_ms, 3600000 / 16 * 15 - 1, 3600000 / 16 * 15 + 1);
    end();
}

/* A little ahead, it waits for the clocks to catch up, and does not fall. */
static void a_little_ahead_it_slows_down(void **state)
{
    (void)state;
    begin(3);
    world.applied_ms = start_ms + 500;
    elected();
    pass(4000);
    assert_wrong_by(250, TICK_MS + 2);
    pass(6000);
    assert_wrong_by(0, TICK_MS + 2);
    end();
}

static void the_distances_are_told(void **state)
{
    struct replica_status status = {.peers_count = 0};
    (void)state;
    begin(3);
    world.skew[1] = 62 * 60000;
    elected();
    pass(1000);
    assert_true(world.replica->clock_is_far[1]);
    assert_false(world.replica->clock_is_far[0] || world.replica->clock_is_far[2]);
    replica_clock_status(world.replica, &status);
    assert_true(status.clock_known[0] && status.clock_known[1] && status.clock_known[2]);
    assert_int_equal(status.clock_offset_ms[1], 62 * 60000);
    assert_int_equal(status.clock_offset_ms[0], 0);
    world.skew[1] = 700; /* not beyond a second, but not yet well */
    pass(1000);
    assert_true(world.replica->clock_is_far[1]);
    world.skew[1] = 0;
    pass(TICK_MS);
    assert_false(world.replica->clock_is_far[1]);
    end();
}

static void followers_know_nothing_of_it(void **state)
{
    struct replica_status status = {.peers_count = 0};
    (void)state;
    begin(3);
    world.replica->status.role = RAFT_FOLLOWER;
    pass(1000);
    assert_int_equal(world.replica->log_time_ms, 0);
    replica_clock_status(world.replica, &status);
    assert_false(status.clock_known[0] || status.clock_known[1]);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_it_is_our_own_clock),
        cmocka_unit_test(one_wrong_clock_of_three_moves_nothing),
        cmocka_unit_test(of_two_that_differ_neither_pulls),
        cmocka_unit_test(a_minority_is_wrong_and_others_are_silent),
        cmocka_unit_test(clocks_of_learners_do_not_count),
        cmocka_unit_test(a_new_leader_takes_over_the_time),
        cmocka_unit_test(without_a_majority_our_monotonic_clock_counts),
        cmocka_unit_test(a_clock_that_is_silent_is_forgotten),
        cmocka_unit_test(time_that_ran_ahead_goes_on),
        cmocka_unit_test(a_little_ahead_it_slows_down),
        cmocka_unit_test(the_distances_are_told),
        cmocka_unit_test(followers_know_nothing_of_it),
    };
    return cmocka_run_group_tests_name("log time", tests, NULL, NULL);
}
