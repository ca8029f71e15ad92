/* Disk writes under way: more of them than the core has places for, and whether anything waits for
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "raft/raft.h"

enum { MORE = 100, WRITES = RAFT_WRITES_MAX + MORE };

static struct raft *follower_new(void)
{
    const struct raft_config config = {
        .id = 0,
        .election_ticks = 10,
        .heartbeat_ticks = 2,
        .inflight_max = 4,
        .inflight_bytes_max = 1000,
        .append_entries_max = 4,
        .append_bytes_max = 1000,
        .uncommitted_bytes_max = 1000,
    };
    struct raft_saved saved = {.voted_for = RAFT_NOBODY, .members.count = 3};
    for (uint32_t i = 0; i < saved.members.count; i++)
        saved.members.list[i] = (struct raft_member){.id = i, .voter = true};
    return raft_new(&config, &saved);
}

static raft_index durable(const struct raft *raft)
{
    struct raft_status status;
    raft_status(raft, &status);
    return status.durable;
}

/* One entry from node 1, which leads term 1: the first write holds the term as well. */
static uint64_t append(struct raft *raft, raft_index index)
{
    const struct raft_entry entry = {.pos = {1, index}, .size = 1};
    const struct raft_message message = {
        .type = RAFT_APPEND_REQUEST,
        .from = 1,
        .to = 0,
        .term = 1,
        .append_request = {.prev = {index > 1, index - 1}, .count = 1, .entries = &entry}};
    const struct raft_input input = {.type = RAFT_INPUT_MESSAGE, .message = &message};
    struct raft_output output;
    assert_int_equal(raft_step(raft, &input, &output), RAFT_OK);
    assert_int_equal(output.messages_count, 0); /* it is not durable */
    return output.write.seq;
}

/* The highest index that it acknowledges then. */
static raft_index persist(struct raft *raft, uint64_t seq)
{
    const struct raft_input input = {.type = RAFT_INPUT_PERSISTED, .persisted = {seq}};
    struct raft_output output;
    raft_index acknowledged = 0;
    assert_int_equal(raft_step(raft, &input, &output), RAFT_OK);
    for (uint32_t i = 0; i < output.messages_count; i++)
        if (output.messages[i].append_response.hint.index > acknowledged)
            acknowledged = output.messages[i].append_response.hint.index;
    return acknowledged;
}

/* The newest place stands for several, and none of them counts before the last of them is done. */
static void more_writes_than_there_are_places(void **state)
{
    struct raft *raft = follower_new();
    (void)state;
    for (raft_index index = 1; index <= WRITES; index++)
        assert_int_equal(append(raft, index), index);
    assert_int_equal(durable(raft), 0);
    assert_int_equal(persist(raft, 10), 0); /* their answers had to make room for later ones */
    assert_int_equal(durable(raft), 10);
    for (uint64_t seq = 11; seq < RAFT_WRITES_MAX; seq++)
        assert_true(persist(raft, seq) <= seq);
    assert_int_equal(durable(raft), RAFT_WRITES_MAX - 1);
    for (uint64_t seq = RAFT_WRITES_MAX; seq < WRITES; seq++) {
        assert_true(persist(raft, seq) <= seq);
        assert_int_equal(durable(raft), RAFT_WRITES_MAX - 1); /* they share the last place */
    }
    assert_int_equal(persist(raft, WRITES), WRITES);
    assert_int_equal(durable(raft), WRITES);
    raft_free(raft);
}

static uint64_t step(struct raft *raft, const struct raft_input *input)
{
    struct raft_output output;
    assert_int_equal(raft_step(raft, input, &output), RAFT_OK);
    return output.write.seq;
}

static uint64_t hear(struct raft *raft, const struct raft_message *message)
{
    const struct raft_input input = {.type = RAFT_INPUT_MESSAGE, .message = message};
    return step(raft, &input);
}

static void hear_vote(struct raft *raft, bool pre_vote)
{
    const struct raft_message vote = {
        .type = RAFT_VOTE_RESPONSE,
        .from = 1,
        .to = 0,
        .term = 1,
        .vote_response = {.pre_vote = pre_vote, .granted = true},
    };
    hear(raft, &vote);
}

static void hear_match(struct raft *raft, raft_node_id from, raft_index index)
{
    const struct raft_message answer = {
        .type = RAFT_APPEND_RESPONSE,
        .from = from,
        .to = 0,
        .term = 1,
        .append_response = {.matched = true, .hint = {1, index}},
    };
    hear(raft, &answer);
}

static struct raft_status status(const struct raft *raft)
{
    struct raft_status status;
    raft_status(raft, &status);
    return status;
}

static uint64_t propose(struct raft *raft)
{
    struct raft_entry entry = {.type = RAFT_ENTRY_COMMAND, .size = 1};
    const struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {&entry, 1}};
    return step(raft, &input);
}

/* Of term 1; its first write holds its vote, the second its no-op. */
static struct raft *leader_new(void)
{
    const struct raft_input tick = {.type = RAFT_INPUT_TICK};
    struct raft *raft = follower_new();
    while (status(raft).role == RAFT_FOLLOWER)
        step(raft, &tick);
    hear_vote(raft, true);
    assert_int_equal(status(raft).role, RAFT_CANDIDATE);
    assert_true(raft_awaits_disk(raft, false)); /* its own vote */
    persist(raft, 1);
    hear_vote(raft, false);
    assert_int_equal(status(raft).role, RAFT_LEADER);
    return raft;
}

/* A leader's own part of a majority is of no use before another's. */
static void a_leader_waits_for_its_disk_where_that_decides(void **state)
{
    struct raft *raft = leader_new();
    (void)state;
    assert_false(raft_awaits_disk(raft, false)); /* the others do not have its no-op either */
    hear_match(raft, 1, 1);
    assert_int_equal(status(raft).commit, 0);
    assert_true(raft_awaits_disk(raft, false)); /* one has */
    persist(raft, 2);
    assert_int_equal(status(raft).commit, 1);
    assert_false(raft_awaits_disk(raft, false)); /* nothing is under way */
    assert_int_equal(propose(raft), 3);
    assert_int_equal(propose(raft), 4);
    assert_false(raft_awaits_disk(raft, false));
    hear_match(raft, 1, 2);
    assert_true(raft_awaits_disk(raft, false));
    hear_match(raft, 2, 2);
    assert_int_equal(status(raft).commit, 2);   /* without ours */
    assert_true(raft_awaits_disk(raft, false)); /* to be applied */
    persist(raft, 3);
    assert_false(raft_awaits_disk(raft, false));
    hear_match(raft, 1, 3);
    assert_int_equal(status(raft).commit, 2);
    assert_true(raft_awaits_disk(raft, false));
    persist(raft, 4);
    assert_int_equal(status(raft).commit, 3);
    assert_false(raft_awaits_disk(raft, false));
    raft_free(raft);
}

static void a_leader_that_takes_no_more_waits_for_its_disk(void **state)
{
    struct raft *raft = leader_new();
    (void)state;
    while (raft_takes_proposals(raft)) {
        assert_false(raft_awaits_disk(raft, false));
        propose(raft);
    }
    assert_true(raft_awaits_disk(raft, false));
    raft_free(raft);
}

static void a_follower_waits_for_its_disk(void **state)
{
    struct raft *raft = follower_new();
    (void)state;
    assert_false(raft_awaits_disk(raft, false));
    append(raft, 1);
    assert_true(raft_awaits_disk(raft, false));
    persist(raft, 1);
    assert_false(raft_awaits_disk(raft, false));
    raft_free(raft);
}

/* What it would answer, told that all is durable; 0: nothing, or nothing alone. */
static raft_index promised(const struct raft *raft)
{
    struct raft_message answer;
    if (!raft_promised(raft, &answer))
        return 0;
    assert_int_equal(answer.type, RAFT_APPEND_RESPONSE);
    assert_true(answer.append_response.matched);
    assert_int_equal(answer.append_response.hint.term, 1);
    return answer.append_response.hint.index;
}

static void an_answer_is_promised_behind_its_write(void **state)
{
    struct raft *raft = follower_new();
    (void)state;
    assert_int_equal(promised(raft), 0);
    assert_int_equal(append(raft, 1), 1);
    assert_int_equal(append(raft, 2), 2);
    assert_int_equal(promised(raft), 2);
    assert_true(raft_awaits_disk(raft, true)); /* the term is under way with the first */
    assert_int_equal(persist(raft, 1), 1);
    assert_int_equal(promised(raft), 2);
    assert_false(raft_awaits_disk(raft, true));
    assert_true(raft_awaits_disk(raft, false));
    assert_int_equal(persist(raft, 2), 2);
    assert_int_equal(promised(raft), 0);
    raft_free(raft);
}

/* In a later term nothing of it is said any more. */
static void a_later_term_ends_what_is_promised(void **state)
{
    struct raft *raft = follower_new();
    const struct raft_message later = {.type = RAFT_APPEND_REQUEST,
                                       .from = 2,
                                       .to = 0,
                                       .term = 2,
                                       .append_request = {.prev = {1, 9}}};
    (void)state;
    append(raft, 1);
    assert_int_equal(promised(raft), 1);
    hear(raft, &later);
    assert_int_equal(promised(raft), 0);
    assert_true(raft_awaits_disk(raft, true));
    raft_free(raft);
}

static struct raft_message answer_of(raft_term term, raft_index index, uint64_t round)
{
    return (struct raft_message){
        .type = RAFT_APPEND_RESPONSE,
        .from = 0,
        .to = 1,
        .term = term,
        .append_response = {.matched = true, .hint = {1, index}, .round = round}};
}

static void an_answer_covers_what_says_no_more(void **state)
{
    const struct raft_message said = answer_of(3, 7, 5);
    struct raft_message other = answer_of(3, 7, 5);
    (void)state;
    assert_true(raft_answer_covers(&said, &other));
    other = answer_of(3, 6, 4);
    assert_true(raft_answer_covers(&said, &other));
    other = answer_of(3, 8, 5);
    assert_false(raft_answer_covers(&said, &other));
    other = answer_of(3, 7, 6);
    assert_false(raft_answer_covers(&said, &other));
    other = answer_of(4, 7, 5);
    assert_false(raft_answer_covers(&said, &other));
    other = answer_of(3, 7, 5);
    other.to = 2;
    assert_false(raft_answer_covers(&said, &other));
    other = answer_of(3, 7, 5);
    other.append_response.matched = false;
    assert_false(raft_answer_covers(&said, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_writes_than_there_are_places),
        cmocka_unit_test(a_leader_waits_for_its_disk_where_that_decides),
        cmocka_unit_test(a_leader_that_takes_no_more_waits_for_its_disk),
        cmocka_unit_test(a_follower_waits_for_its_disk),
        cmocka_unit_test(an_answer_is_promised_behind_its_write),
        cmocka_unit_test(a_later_term_ends_what_is_promised),
        cmocka_unit_test(an_answer_covers_what_says_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
