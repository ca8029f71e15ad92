/* What a follower promises its leader behind a write, and when it takes that back. */
#include "test_replica.h"

static int set_up_promises(void **state)
{
    set_up(state);
    world.takes_promises = true;
    return 0;
}

/* The leader of `term` appends a command; nothing of it is known to be committed. */
static void append_without_running(raft_node_id leader, raft_term term)
{
    struct blob *command = blob_copy(bytes_from_string("a"));
    struct apply_context context = {.meaning = 1, .now_ms = 1, .seed = 2};
    struct blob *payload = entry_stamp(&context, command);
    struct raft_entry entry = {.pos = {term, status().last.index + 1},
                               .type = RAFT_ENTRY_COMMAND,
                               .size = (uint32_t)payload->size,
                               .payload = payload};
    receive_without_running((struct raft_message){
        .type = RAFT_APPEND_REQUEST,
        .from = leader,
        .term = term,
        .append_request = {.prev = status().last, .count = 1, .entries = &entry}});
    blob_release(command);
    blob_release(payload);
}

/* Node 1 leads, has appended one entry, and was answered. */
static void follow_with_one(void)
{
    follow(1, 3);
    append_without_running(1, 3);
    persist();
    world.answers = world.promises = world.taken_back = 0;
}

static void what_is_promised_is_what_the_core_would_say(void **state)
{
    (void)state;
    follow_with_one();
    append_without_running(1, 3);
    assert_int_equal(world.promises, 1);
    assert_int_equal(world.promised_behind, world.written);
    assert_int_equal(world.promised.to, 1);
    assert_int_equal(world.promised.term, 3);
    assert_int_equal(world.promised.append_response.hint.index, status().last.index);
    assert_false(replica_awaits_disk(world.replica));
    world.has_said = true;
    persist();
    assert_int_equal(world.answers, 0); /* it is not said twice */
    append_without_running(1, 3);
    world.has_said = false; /* it could not leave */
    persist();
    assert_int_equal(world.answers, 1);
    assert_int_equal(world.taken_back, 0);
}

static void who_is_promised_nothing_waits_for_the_disk(void **state)
{
    (void)state;
    follow_with_one();
    world.takes_promises = false;
    append_without_running(1, 3);
    assert_true(replica_awaits_disk(world.replica));
    world.takes_promises = true;
    append_without_running(1, 3);
    assert_int_equal(world.promises, 1);
    assert_true(replica_awaits_disk(world.replica)); /* still, for the first */
    persist();
    assert_int_equal(world.answers, 1);
    append_without_running(1, 3);
    assert_false(replica_awaits_disk(world.replica));
}

/* A heartbeat that comes before the loop has heard of the disk. */
static void a_later_answer_behind_the_same_write_is_promised_too(void **state)
{
    (void)state;
    follow_with_one();
    append_without_running(1, 3);
    struct raft_message later = heartbeat(1, 3);
    later.append_request.prev = status().last;
    later.append_request.round = 9;
    receive_without_running(later);
    assert_int_equal(world.promises, 2);
    assert_int_equal(world.promised.append_response.round, 9);
    receive_without_running(later);
    assert_int_equal(world.promises, 2); /* it says nothing new */
    assert_false(replica_awaits_disk(world.replica));
}

static void a_later_term_takes_back_what_was_promised(void **state)
{
    (void)state;
    follow_with_one();
    append_without_running(1, 3);
    assert_int_equal(world.taken_back, 0);
    receive_without_running(heartbeat(2, 4));
    assert_int_equal(world.taken_back, 1);
    assert_true(replica_awaits_disk(world.replica));
    persist();
    assert_int_equal(status().term, 4);
}

/* What was said in a step that no disk let go on is said again where it is asked again. */
static void a_question_that_comes_again_is_answered_again(void **state)
{
    (void)state;
    follow_with_one();
    append_without_running(1, 3);
    world.has_said = true;
    persist();
    struct raft_message again = heartbeat(1, 3);
    again.append_request.prev = status().last;
    receive(again);
    assert_int_equal(world.answers, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_promises, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_promised_is_what_the_core_would_say),
        TEST(who_is_promised_nothing_waits_for_the_disk),
        TEST(a_later_answer_behind_the_same_write_is_promised_too),
        TEST(a_later_term_takes_back_what_was_promised),
        TEST(a_question_that_comes_again_is_answered_again),
    };
    return cmocka_run_group_tests_name("early answers", tests, NULL, NULL);
}
