/* The lines of a trace.  Where a state stands by itself (S and E) a core is brought into each role,
 * and its line has what raft/trace.h says, section by section; and lists of members, wherever a log
 * is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/blob.h"
#include "base/buffer.h"
#include "raft/trace.h"

/* A cluster of three, of which this is node 0, and a learner.  On its disk are entries of the terms
 * 1 1 2, all applied, and term 2. */
static struct raft *core_new(void)
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
    static const struct raft_entry entries[] = {
        {.pos = {1, 1}, .size = 1}, {.pos = {1, 2}, .size = 1}, {.pos = {2, 3}, .size = 1}};
    struct raft_saved saved = {.term = 2,
                               .voted_for = RAFT_NOBODY,
                               .members.count = 4,
                               .entries = entries,
                               .entries_count = 3,
                               .applied = 3};
    for (uint32_t i = 0; i < saved.members.count; i++)
        saved.members.list[i] = (struct raft_member){.id = i, .voter = i < 3};
    return raft_new(&config, &saved);
}

static void step(struct raft *raft, const struct raft_input *input)
{
    struct raft_output output;
    assert_int_equal(raft_step(raft, input, &output), RAFT_OK);
}

static void hear(struct raft *raft, struct raft_message message)
{
    step(raft, &(struct raft_input){.type = RAFT_INPUT_MESSAGE, .message = &message});
}

static void persist(struct raft *raft, uint64_t seq)
{
    step(raft, &(struct raft_input){.type = RAFT_INPUT_PERSISTED, .persisted = {seq}});
}

/* Ticks until it asks for pre-votes, which are granted: it stands in term 3, and its vote is on its
 * way to the disk (write 1). */
static void campaign(struct raft *raft)
{
    struct raft_status status;
    do {
        step(raft, &(struct raft_input){.type = RAFT_INPUT_TICK});
        raft_status(raft, &status);
    } while (status.role == RAFT_FOLLOWER);
    hear(raft, (struct raft_message){.type = RAFT_VOTE_RESPONSE,
                                     .from = 1,
                                     .to = 0,
                                     .term = 3,
                                     .vote_response = {.granted = true, .pre_vote = true}});
}

static void lead(struct raft *raft)
{
    campaign(raft);
    persist(raft, 1);
    hear(raft, (struct raft_message){.type = RAFT_VOTE_RESPONSE,
                                     .from = 2,
                                     .to = 0,
                                     .term = 3,
                                     .vote_response = {.granted = true}});
}

/* What the disk has, and then would have after the one write under way. */
static void assert_line(const struct raft *raft, const struct raft_trace_image *images,
                        uint32_t count, const char *expected)
{
    struct buffer out = {0};
    raft_trace_state(&out, raft, images, count);
    assert_int_equal(out.data[0], 'S');
    size_t first = out.size;
    raft_trace_expect(&out, raft, images, count);
    assert_int_equal(out.data[first], 'E'); /* the same but for that */
    assert_int_equal(out.size, 2 * first);
    assert_memory_equal(out.data + 1, out.data + first + 1, first - 1);
    buffer_clear(&out);
    raft_trace_state(&out, raft, images, count);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    buffer_deinit(&out);
}

static const raft_term terms[] = {1, 1, 2, 3, 3, 3};
static const struct raft_trace_image at_boot = {
    .term = 2, .voted_for = RAFT_NOBODY, .commit = 3, .terms = terms, .count = 3};

static void a_candidate(void **state)
{
    struct raft *raft = core_new();
    const struct raft_trace_image images[] = {
        at_boot, {.seq = 1, .term = 3, .voted_for = 0, .commit = 3, .terms = terms, .count = 3}};
    (void)state;
    campaign(raft);
    /* Its vote requests wait for the write; it counts no vote yet. */
    assert_line(raft, images, 2,
                "S 0 2 3 0 3 3 3 -1 1 0 0 3 2 | 2 1 1 2 | 0 0 1 1 0 1 2 0 1 3 0 0 | |"
                " 0 3 2 0 0 | | | 0 2 -1 3 2 1 1 2 ; 1 3 0 3 2 1 1 2\n");
    persist(raft, 1);
    assert_line(raft, images + 1, 1,
                "S 0 2 3 0 3 3 3 -1 1 0 0 3 2 | 2 1 1 2 | 0 0 1 1 0 1 2 0 1 3 0 0 | 0 |"
                " 0 0 0 0 0 | | | 1 3 0 3 2 1 1 2\n");
    raft_free(raft);
}

static void a_leader(void **state)
{
    struct raft *raft = core_new();
    const struct raft_trace_image images[] = {
        {.seq = 1, .term = 3, .voted_for = 0, .commit = 3, .terms = terms, .count = 3},
        {.seq = 2, .term = 3, .voted_for = 0, .commit = 3, .terms = terms, .count = 4}};
    (void)state;
    lead(raft);
    step(raft, &(struct raft_input){.type = RAFT_INPUT_READ, .read = {.id = 7}});
    step(raft, &(struct raft_input){.type = RAFT_INPUT_READ, .read = {.id = 8}});
    hear(raft, (struct raft_message){.type = RAFT_APPEND_RESPONSE,
                                     .from = 2,
                                     .to = 0,
                                     .term = 3,
                                     .append_response = {.matched = true, .hint = {2, 3}}});
    /* Both reads wait for its opening entry, the second for a round of its own. */
    assert_line(raft, images, 2,
                "S 0 3 3 0 3 3 3 -1 2 0 0 4 3 | 2 1 1 2 1 3 | 0 0 1 1 0 1 2 0 1 3 0 0 | |"
                " 1 0 0 0 0 | 1 0 0 ; 2 3 0 ; 3 0 0 | 7 4 1 ; 8 4 2 |"
                " 1 3 0 3 2 1 1 2 ; 2 3 0 3 2 1 1 2 1 3\n");
    raft_free(raft);
}

static void a_follower(void **state)
{
    struct raft *raft = core_new();
    const struct raft_entry entries[] = {{.pos = {3, 4}, .size = 1}, {.pos = {3, 5}, .size = 1}};
    const struct raft_trace_image images[] = {
        at_boot,
        {.seq = 1, .term = 3, .voted_for = RAFT_NOBODY, .commit = 3, .terms = terms, .count = 5}};
    (void)state;
    hear(raft, (struct raft_message){
                   .type = RAFT_APPEND_REQUEST,
                   .from = 1,
                   .to = 0,
                   .term = 3,
                   .append_request = {
                       .prev = {2, 3}, .commit = 3, .round = 6, .count = 2, .entries = entries}});
    /* What it will answer waits for the write: up to entry 5, round 6. */
    assert_line(raft, images, 2,
                "S 0 0 3 -1 3 3 3 -1 1 0 0 5 3 | 2 1 1 2 2 3 | 0 0 1 1 0 1 2 0 1 3 0 0 | |"
                " 0 0 0 6 5 | | | 0 2 -1 3 2 1 1 2 ; 1 3 -1 3 2 1 1 2 2 3\n");
    raft_free(raft);
}

/* ---- lists of members ------------------------------------------------------------------------ */

static void assert_text(struct buffer *out, const char *expected)
{
    buffer_append_byte(out, '\0');
    assert_string_equal(out->data, expected);
    buffer_clear(out);
}

#define LIST " 0 3 4 0 0 1 1 0 1 2 0 1 3 1152921504606846975 1"
#define LIST_AMONG " 1 3" LIST " 1 3"

/* Node 3 becomes a voter, with a life that has more bits than are shown. */
static struct blob *with_a_fourth(void)
{
    struct raft_members members = {.count = 4};
    for (uint32_t i = 0; i < members.count; i++)
        members.list[i] =
            (struct raft_member){.id = i, .life = i == 3 ? UINT64_MAX : 0, .voter = true};
    return raft_members_blob(&members);
}

static void a_list_that_is_proposed(void **state)
{
    struct raft *raft = core_new();
    struct raft_output output;
    struct buffer out = {0};
    struct raft_entry entry = {.type = RAFT_ENTRY_MEMBERS, .size = 1, .payload = with_a_fourth()};
    struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {&entry, 1}};
    (void)state;
    lead(raft);
    persist(raft, 2);
    hear(raft, (struct raft_message){.type = RAFT_APPEND_RESPONSE,
                                     .from = 2,
                                     .to = 0,
                                     .term = 3,
                                     .append_response = {.matched = true, .hint = {3, 4}}});
    assert_int_equal(raft_step(raft, &input, &output), RAFT_OK);
    raft_trace_step(&out, raft, &input, &output);
    /* It stands at 5; node 2 has acknowledged 4, node 3 is another than the one that was there. */
    assert_text(&out,
                "X 0 2 1 | 3 3 0 4 4 3 4 3 0 0 5 3 | 5" LIST " | 0 1 0 ; 1 1 0 ; 2 1 4 ; 3 1 0 |"
                " 3 3 0 5" LIST " | 2 0 2 3 4 3 4 0 1 ; 2 0 1 3 3 2 4 0 0 ; 2 0 2 3 4 3 4 0 0 ;"
                " 2 0 3 3 5 3 4 0 0 | |\n");
    buffer_deinit(&out);
    blob_release(entry.payload);
    raft_free(raft);
}

/* In what is told, between commands; and in the log, behind them and before. */
static void a_list_that_is_told(void **state)
{
    struct raft *raft = core_new();
    struct raft_output output;
    struct buffer out = {0};
    struct blob *list = with_a_fourth();
    const struct raft_entry entries[] = {
        {.pos = {3, 4}, .size = 1},
        {.pos = {3, 5}, .type = RAFT_ENTRY_MEMBERS, .size = 1, .payload = list},
        {.pos = {3, 6}, .size = 1}};
    struct raft_message message = {
        .type = RAFT_APPEND_REQUEST,
        .from = 1,
        .to = 0,
        .term = 3,
        .append_request = {
            .prev = {2, 3}, .commit = 3, .round = 6, .count = 3, .entries = entries}};
    struct raft_input input = {.type = RAFT_INPUT_MESSAGE, .message = &message};
    (void)state;
    assert_int_equal(raft_step(raft, &input, &output), RAFT_OK);
    raft_trace_step(&out, raft, &input, &output);
    assert_text(&out, "X 0 1 2 1 0 3 3 2 3 6 3" LIST_AMONG " | 0 3 -1 3 3 3 3 1 0 0 6 3 |"
                      " 4" LIST_AMONG " | 0 1 0 ; 1 1 0 ; 2 1 0 ; 3 1 0 | 1 3 -1 4" LIST_AMONG
                      " | | |\n");
    raft_trace_boot(&out, raft, 7);
    assert_text(&out, "B 0 7 3 -1 3 0 0 | 2 1 1 2" LIST_AMONG " | 0 0 1 1 0 1 2 0 1 3 0 0\n");
    raft_trace_old_disk(&out, 2);
    assert_text(&out, "O 2\n");
    buffer_deinit(&out);
    blob_release(list);
    raft_free(raft);
}

static void an_answer_that_leaves_without_its_core(void **state)
{
    struct buffer out = {0};
    const struct raft_message answer = {
        .type = RAFT_APPEND_RESPONSE,
        .from = 2,
        .to = 1,
        .term = 3,
        .append_response = {.matched = true, .hint = {3, 40}, .round = 7}};
    (void)state;
    raft_trace_promised(&out, &answer, 12);
    assert_text(&out, "P 2 12 | 3 2 1 3 1 40 3 7\n");
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_leaves_without_its_core),
        cmocka_unit_test(a_list_that_is_proposed),
        cmocka_unit_test(a_list_that_is_told),
        cmocka_unit_test(a_candidate),
        cmocka_unit_test(a_leader),
        cmocka_unit_test(a_follower),
    };
    return cmocka_run_group_tests_name("raft_trace", tests, NULL, NULL);
}
