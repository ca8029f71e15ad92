/* Changes of members on one node: what members say of themselves gets into the list, who is let in,
 * what clients may ask for and when it is answered, and what happens to what is kept of each. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_replica.h"

enum { LIFE = 100 }; /* of node 0; of node N: N more */

static struct raft_member said_by(raft_node_id node)
{
    struct raft_member member = {.id = node, .life = LIFE + node, .voter = true};
    snprintf(member.address, sizeof member.address, "10.0.0.%d:1", (int)node);
    snprintf(member.client, sizeof member.client, "10.0.0.%d:2", (int)node);
    return member;
}

static int set_up_with_life(void **state)
{
    set_up(state);
    stop();
    world.self = said_by(0);
    world.meaning_known = 5;
    start();
    return 0;
}

static void introduce(raft_node_id node)
{
    struct raft_member member = said_by(node);
    replica_announced(world.replica, node, 5);
    replica_introduced(world.replica, &member);
}

static const struct raft_members *members(void)
{
    return replica_members(world.replica, NULL);
}

static raft_index list(void)
{
    raft_index index;
    (void)replica_members(world.replica, &index);
    return index;
}

/* "0 1 2l 3j": ids, a learner, one that is to become a voter. */
static const char *names(void)
{
    static char text[100];
    text[0] = '\0';
    for (uint32_t place = 0; place < members()->count; place++) {
        const struct raft_member *member = &members()->list[place];
        size_t size = strlen(text);
        snprintf(text + size, sizeof text - size, "%s%d%s", place ? " " : "", (int)member->id,
                 member->voter     ? ""
                 : member->joining ? "j"
                                   : "l");
    }
    return text;
}

static void answer_from(raft_node_id node)
{
    receive(matched(node, status().last));
}

/* Nodes 1 and 2 have everything. */
static void all_acknowledge(void)
{
    persist();
    answer_from(1);
    answer_from(2);
}

/* Node 0 leads, the lives of all are in a list that is committed. */
static void lead_with_lives(void)
{
    lead();
    introduce(1);
    introduce(2);
    pass(TICK_MS);
    all_acknowledge();
    assert_true(list() > 0);
    assert_int_equal(status().commit, status().last.index);
}

static void ask_for(struct result *result, struct replica_change change)
{
    world.change = change;
    ask(result, REQUEST_WRITE, 1, "!");
    run();
}

static void ask_and_commit_change(struct result *result, struct replica_change change)
{
    ask_for(result, change);
    all_acknowledge();
    all_acknowledge();
}

static struct replica_change join_of(raft_node_id node)
{
    struct raft_member said = said_by(node);
    struct replica_change change = {.kind = REPLICA_JOIN, .life = said.life, .meaning = 5};
    memcpy(change.address, said.address, sizeof change.address);
    memcpy(change.client, said.client, sizeof change.client);
    return change;
}

/* ---- what members say --------------------------------------------------------------------- */

static void lives_get_into_the_list_when_all_know_of_it(void **state)
{
    (void)state;
    lead();
    raft_index last = status().last.index;
    introduce(1);
    pass(3 * TICK_MS);
    replica_announced(world.replica, 2, 4); /* an older build would not understand the entry */
    pass(TICK_MS);
    answer_from(1);
    assert_int_equal(list(), 0);
    assert_int_equal(status().last.index, last);
    introduce(2);
    pass(TICK_MS);
    assert_int_equal(list(), last + 1);
    for (uint32_t place = 0; place < 3; place++) {
        struct raft_member said = said_by(place);
        assert_memory_equal(&members()->list[place], &said, sizeof said);
    }
    all_acknowledge();
    pass(5 * TICK_MS); /* and that was all */
    assert_int_equal(status().last.index, last + 1);
}

static void a_new_address_gets_into_the_list(void **state)
{
    struct raft_member moved = said_by(2);
    (void)state;
    lead_with_lives();
    snprintf(moved.address, sizeof moved.address, "10.9.9.9:1");
    replica_introduced(world.replica, &moved);
    pass(TICK_MS);
    assert_string_equal(members()->list[2].address, "10.9.9.9:1");
    all_acknowledge();
    snprintf(moved.address, sizeof moved.address, "10.0.0.1:1"); /* which is node 1's */
    replica_introduced(world.replica, &moved);
    pass(TICK_MS);
    assert_string_equal(members()->list[2].address, "10.9.9.9:1");
    moved = said_by(1);
    moved.life++; /* another node, says so */
    snprintf(moved.address, sizeof moved.address, "10.9.9.8:1");
    replica_introduced(world.replica, &moved);
    pass(TICK_MS);
    assert_string_equal(members()->list[1].address, "10.0.0.1:1");
}

/* ---- who is let in -------------------------------------------------------------------------- */

static void the_configured_list_knows_no_lives(void **state)
{
    (void)state;
    assert_int_equal(replica_judge(world.replica, 1, 0, 0), REPLICA_MEMBER);
    assert_int_equal(replica_judge(world.replica, 1, 7, 0), REPLICA_MEMBER);
    assert_int_equal(replica_judge(world.replica, 7, 7, 0), REPLICA_NO_MEMBER);
    assert_int_equal(replica_judge(world.replica, 7, 7, 1), REPLICA_GUEST);
}

/* Ours decides where we know as committed what theirs stands at. */
static void the_newer_list_decides(void **state)
{
    (void)state;
    lead_with_lives();
    raft_index commit = status().commit;
    for (raft_index theirs = 0; theirs <= commit; theirs++) {
        assert_int_equal(replica_judge(world.replica, 1, LIFE + 1, theirs), REPLICA_MEMBER);
        assert_int_equal(replica_judge(world.replica, 1, LIFE + 9, theirs), REPLICA_OTHER_LIFE);
        assert_int_equal(replica_judge(world.replica, 1, 0, theirs), REPLICA_OTHER_LIFE);
        assert_int_equal(replica_judge(world.replica, 3, LIFE, theirs), REPLICA_NO_MEMBER);
    }
    assert_int_equal(replica_judge(world.replica, 1, LIFE + 9, commit + 1), REPLICA_GUEST);
    assert_int_equal(replica_judge(world.replica, 3, LIFE, commit + 1), REPLICA_GUEST);
}

/* What is in force may be taken back: until it is committed the one of before counts, too. */
static void a_list_that_is_not_committed_turns_nobody_away(void **state)
{
    static struct result a;
    (void)state;
    lead_with_lives();
    ask_for(&a, (struct replica_change){.kind = REPLICA_REMOVE, .node = 2});
    assert_string_equal(names(), "0 1");
    assert_int_equal(replica_judge(world.replica, 2, LIFE + 2, 0), REPLICA_GUEST);
    acknowledge();
    assert_int_equal(replica_judge(world.replica, 2, LIFE + 2, 0), REPLICA_NO_MEMBER);
}

/* A node whose disk was lost starts with the list of its log; the one that has its place now has a
 * newer one, and is no stranger. */
static void who_replays_an_old_list_refuses_nobody(void **state)
{
    (void)state;
    lead_with_lives();
    stop();
    world.applied_index = world.persisted_index = 0; /* what was not stored */
    start();
    raft_index commit = status().commit;
    assert_true(list() > commit);
    assert_int_equal(replica_judge(world.replica, 2, LIFE + 2, list()), REPLICA_MEMBER);
    assert_int_equal(replica_judge(world.replica, 2, LIFE + 77, list() + 30), REPLICA_GUEST);
    /* Of a directory without a list nothing else can be said than that it is another. */
    assert_int_equal(replica_judge(world.replica, 2, LIFE + 77, 0), REPLICA_GUEST);
}

/* A directory with a configured list alone ends: with one more such it would be a majority. */
/* Who was replaced may be connected for a moment, and a guest may have a member's name. */
static void another_life_answers_for_nobody(void **state)
{
    static struct result a;
    (void)state;
    lead_with_lives();
    raft_index commit = status().commit;
    ask(&a, REQUEST_WRITE, 2, "x");
    run();
    persist();
    world.other_life = LIFE + 77;
    answer_from(1);
    answer_from(2);
    assert_int_equal(status().commit, commit);
    world.other_life = 0;
    answer_from(1);
    assert_int_equal(status().commit, commit + 1);
}

/* It refuses those that it cannot know, but does not say that they are none. */
static void who_is_to_be_taken_in_disowns_nobody(void **state)
{
    (void)state;
    stop();
    world.is_to_join = true;
    start();
    assert_int_equal(members()->count, 0);
    assert_int_equal(replica_judge(world.replica, 1, LIFE + 1, 0), REPLICA_NOT_KNOWN);
    assert_int_equal(replica_judge(world.replica, 1, LIFE + 1, 3), REPLICA_GUEST);
}

static void a_new_directory_that_is_disowned_ends(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        replica_disowned(world.replica);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    lead_with_lives();
    replica_disowned(world.replica); /* its log knows */
}

/* ---- taking in ------------------------------------------------------------------------------- */

static void who_joins_is_answered_when_it_is_in_the_list(void **state)
{
    static struct result a;
    (void)state;
    lead_with_lives();
    ask_for(&a, join_of(3));
    assert_string_equal(names(), "0 1 2 3j");
    assert_int_equal(members()->list[3].life, LIFE + 3);
    assert_string_equal(members()->list[3].client, "10.0.0.3:2");
    assert_int_equal(a.calls, 0);
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, ":3\r\n");
    raft_index last = status().last.index;
    ask_for(&a, join_of(3)); /* it did not hear that */
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, ":3\r\n");
    assert_int_equal(status().last.index, last);
}

/* A wiped node under its old address would be a second one of that name. */
static void an_address_is_one_members(void **state)
{
    static struct result a;
    struct replica_change change = join_of(2);
    (void)state;
    lead_with_lives();
    change.life = 55;
    ask_for(&a, change);
    assert_ended(a, REQUEST_DONE);
    assert_memory_equal(a.reply, "-ERR node 2 has the address", 27);
    change.kind = REPLICA_ADD;
    ask_for(&a, change);
    assert_memory_equal(a.reply, "-ERR node 2 has the address", 27);
    assert_string_equal(names(), "0 1 2");
}

/* A voter whose life nobody knows yet is no place that is kept for somebody. */
static void a_voter_without_a_life_keeps_its_place(void **state)
{
    static struct result a;
    struct replica_change change = join_of(2);
    (void)state;
    lead();
    introduce(1);
    replica_announced(world.replica, 2, 5);
    pass(TICK_MS);
    all_acknowledge();
    assert_int_equal(members()->list[2].life, 0);
    memcpy(change.address, members()->list[2].address, sizeof change.address);
    ask_for(&a, change);
    assert_ended(a, REQUEST_DONE);
    assert_memory_equal(a.reply, "-ERR node 2 has the address", 27);
    assert_int_equal(members()->list[2].life, 0);
}

static void a_kept_place_is_for_who_asks(void **state)
{
    static struct result a;
    struct replica_change add = join_of(3);
    (void)state;
    lead_with_lives();
    add.kind = REPLICA_ADD;
    add.life = 0;
    add.stays_learner = true;
    ask_and_commit_change(&a, add);
    assert_string_equal(a.reply, ":3\r\n");
    assert_string_equal(names(), "0 1 2 3l");
    assert_int_equal(replica_judge(world.replica, 3, LIFE + 3, 0), REPLICA_OTHER_LIFE);
    introduce(3); /* it may say what it likes */
    pass(TICK_MS);
    assert_int_equal(members()->list[3].life, 0);
    ask_and_commit_change(&a, join_of(3));
    assert_string_equal(a.reply, ":3\r\n");
    assert_string_equal(names(), "0 1 2 3l");
    assert_int_equal(replica_judge(world.replica, 3, LIFE + 3, 0), REPLICA_MEMBER);
}

static void there_is_room_for_so_many(void **state)
{
    static struct result a;
    (void)state;
    lead_with_lives();
    for (raft_node_id node = 3; node < RAFT_MEMBERS_MAX; node++)
        ask_and_commit_change(&a, join_of(node));
    ask_and_commit_change(&a, join_of(RAFT_MEMBERS_MAX));
    assert_memory_equal(a.reply, "-ERR there are 9 members already", 32);
}

static void one_change_at_a_time(void **state)
{
    static struct result a, b;
    (void)state;
    lead_with_lives();
    ask_for(&a, join_of(3));
    ask_for(&b, join_of(4));
    assert_ended(b, REQUEST_DONE);
    assert_string_equal(b.reply, "-TRYAGAIN another change of members is under way\r\n");
    all_acknowledge();
    assert_ended(a, REQUEST_DONE);
    ask_for(&b, join_of(4));
    assert_string_equal(names(), "0 1 2 3j 4j");
}

/* Before that, it does not know what an earlier leader appended. */
static void a_new_leader_waits_for_its_own_entry(void **state)
{
    static struct result a;
    (void)state;
    win_election();
    introduce(1);
    introduce(2);
    ask_for(&a, join_of(3));
    assert_int_equal(a.calls, 0);
    assert_string_equal(names(), "0 1 2");
    all_acknowledge();
    pass(TICK_MS);
    all_acknowledge();
    pass(TICK_MS);
    all_acknowledge();
    assert_ended(a, REQUEST_DONE);
}

static void a_cluster_with_older_builds_is_not_changed(void **state)
{
    static struct result a;
    (void)state;
    lead();
    introduce(1);
    replica_announced(world.replica, 2, 4);
    ask_for(&a, join_of(3));
    assert_ended(a, REQUEST_DONE);
    assert_memory_equal(a.reply, "-ERR not every member", 21);
}

/* ---- promotion --------------------------------------------------------------------------------
 * */

static void take_in(raft_node_id node)
{
    static struct result a;
    ask_and_commit_change(&a, join_of(node));
    assert_ended(a, REQUEST_DONE);
}

static void grow(void)
{
    static struct result a;
    ask(&a, REQUEST_WRITE, 2, "x");
    run();
    all_acknowledge();
}

/* It has what the log held when the round began, but that was long ago. */
static void a_learner_is_a_voter_after_a_short_round(void **state)
{
    (void)state;
    lead_with_lives();
    take_in(3);
    pass(TICK_MS);
    assert_string_equal(names(), "0 1 2 3j"); /* it has not answered */
    receive(matched(3, (struct raft_pos){1, 1}));
    all_acknowledge();
    pass(TICK_MS);
    struct raft_pos then = status().last;
    for (int i = 0; i < 2 * ELECTION_TICKS; i++) {
        if (i == 0)
            grow();
        all_acknowledge();
        receive(matched(3, (struct raft_pos){1, 1}));
        pass(TICK_MS);
    }
    receive(matched(3, then));
    pass(TICK_MS);
    assert_string_equal(names(), "0 1 2 3j"); /* that took twenty ticks */
    all_acknowledge();
    answer_from(3);
    pass(TICK_MS);
    assert_string_equal(names(), "0 1 2 3");
}

static void a_learner_that_is_to_stay_one_stays(void **state)
{
    static struct result a;
    struct replica_change add = join_of(3);
    (void)state;
    lead_with_lives();
    add.kind = REPLICA_ADD;
    add.stays_learner = true;
    ask_and_commit_change(&a, add);
    take_in(3);
    for (int i = 0; i < 5; i++) {
        answer_from(3);
        all_acknowledge();
        pass(TICK_MS);
    }
    assert_string_equal(names(), "0 1 2 3l");
    ask_and_commit_change(&a, (struct replica_change){.kind = REPLICA_PROMOTE, .node = 3});
    assert_string_equal(a.reply, "+OK\r\n");
    raft_index last = status().last.index;
    ask_for(&a, (struct replica_change){.kind = REPLICA_PROMOTE, .node = 3});
    assert_string_equal(a.reply, "+OK\r\n"); /* that is so already */
    assert_int_equal(status().last.index, last);
    for (int i = 0; i < 5; i++) {
        answer_from(3);
        all_acknowledge();
        pass(TICK_MS);
    }
    assert_string_equal(names(), "0 1 2 3");
}

/* ---- taking out ---------------------------------------------------------------------------------
 * */

static void go_silent(raft_node_id but)
{
    for (int i = 0; i < 2 * ELECTION_TICKS; i++) {
        answer_from(but);
        pass(TICK_MS);
    }
    persist();
    answer_from(but);
}

/* Of 0 and 2, that one does not answer. */
static void what_leaves_no_majority_is_refused(void **state)
{
    static struct result a;
    static const enum replica_change_kind kinds[] = {REPLICA_REMOVE, REPLICA_DEMOTE,
                                                     REPLICA_REPLACE};
    (void)state;
    lead_with_lives();
    go_silent(1);
    for (size_t i = 0; i < 3; i++) {
        ask_for(&a, (struct replica_change){.kind = kinds[i], .node = 1});
        assert_ended(a, REQUEST_DONE);
        assert_memory_equal(a.reply, "-ERR 1 of the 2 voters that would be left answer", 48);
        assert_string_equal(names(), "0 1 2");
    }
    ask_for(&a, (struct replica_change){.kind = REPLICA_REMOVE, .node = 2});
    assert_string_equal(names(), "0 1");
    acknowledge();
    assert_string_equal(a.reply, "+OK\r\n");
}

static void force_does_it(void **state)
{
    static struct result a;
    (void)state;
    lead_with_lives();
    go_silent(1);
    ask_for(&a, (struct replica_change){.kind = REPLICA_REMOVE, .node = 1, .is_forced = true});
    assert_string_equal(names(), "0 2");
}

static void the_last_voter_stays(void **state)
{
    static struct result a;
    (void)state;
    lead_with_lives();
    ask_and_commit_change(&a, (struct replica_change){.kind = REPLICA_DEMOTE, .node = 1});
    ask_and_commit_change(&a, (struct replica_change){.kind = REPLICA_DEMOTE, .node = 2});
    assert_string_equal(names(), "0 1l 2l");
    ask_and_commit_change(
        &a, (struct replica_change){.kind = REPLICA_REMOVE, .node = 0, .is_forced = true});
    assert_string_equal(a.reply, "-ERR it is the last voter\r\n");
    ask_for(&a, (struct replica_change){.kind = REPLICA_REMOVE, .node = 5});
    assert_string_equal(a.reply, "-ERR there is no node 5\r\n");
}

/* The one of before cannot come back into its place. */
static void a_lost_disk_is_replaced(void **state)
{
    static struct result a;
    struct replica_change join = join_of(2);
    struct raft_member before = said_by(2);
    (void)state;
    lead_with_lives();
    assert_string_equal(members()->list[2].client, "10.0.0.2:2");
    ask_and_commit_change(&a, (struct replica_change){.kind = REPLICA_REPLACE, .node = 2});
    assert_string_equal(a.reply, "+OK\r\n");
    assert_string_equal(names(), "0 1 2j");
    assert_string_equal(members()->list[2].client, ""); /* nobody is sent there any more */
    assert_int_equal(replica_judge(world.replica, 2, LIFE + 2, 0), REPLICA_OTHER_LIFE);
    replica_introduced(world.replica, &before);
    pass(3 * TICK_MS);
    answer_from(2);
    pass(3 * TICK_MS);
    assert_int_equal(members()->list[2].life, 0);
    join.life = 555;
    ask_and_commit_change(&a, join);
    assert_string_equal(a.reply, ":2\r\n");
    assert_int_equal(members()->list[2].life, 555);
    assert_string_equal(members()->list[2].client, join.client);
    assert_int_equal(replica_judge(world.replica, 2, LIFE + 2, 0), REPLICA_OTHER_LIFE);
    assert_int_equal(replica_judge(world.replica, 2, 555, 0), REPLICA_MEMBER);
    answer_from(2);
    pass(TICK_MS);
    answer_from(2);
    all_acknowledge();
    pass(TICK_MS);
    assert_string_equal(names(), "0 1 2");
}

/* It becomes what the lost one was to become, or stays what that was to stay. */
static void a_lost_learner_is_replaced(void **state)
{
    static struct result a;
    struct replica_change replace = {.kind = REPLICA_REPLACE, .node = 3};
    (void)state;
    lead_with_lives();
    take_in(3);
    all_acknowledge();
    ask_and_commit_change(&a, replace);
    assert_string_equal(a.reply, "+OK\r\n");
    assert_string_equal(names(), "0 1 2 3j");
    assert_int_equal(members()->list[3].life, 0);
    ask_and_commit_change(&a, (struct replica_change){.kind = REPLICA_DEMOTE, .node = 3});
    ask_and_commit_change(&a, replace);
    assert_string_equal(names(), "0 1 2 3l");
    /* At another address, or at its own, and at nobody else's. */
    memcpy(replace.address, members()->list[2].address, sizeof replace.address);
    ask_for(&a, replace);
    assert_memory_equal(a.reply, "-ERR node 2 has the address", 27);
    memcpy(replace.address, members()->list[3].address, sizeof replace.address);
    ask_and_commit_change(&a, replace);
    assert_string_equal(a.reply, "+OK\r\n");
    snprintf(replace.address, sizeof replace.address, "10.9.9.9:1");
    ask_and_commit_change(&a, replace);
    assert_string_equal(a.reply, "+OK\r\n");
    assert_string_equal(members()->list[3].address, "10.9.9.9:1");
}

/* What was sent late, or once more, is about the node that was meant. */
static void another_life_is_not_meant(void **state)
{
    static struct result a;
    static const enum replica_change_kind kinds[] = {REPLICA_REMOVE, REPLICA_DEMOTE,
                                                     REPLICA_REPLACE};
    struct replica_change replace = {.kind = REPLICA_REPLACE, .node = 2, .life = LIFE + 2};
    struct replica_change join = join_of(2);
    (void)state;
    lead_with_lives();
    ask_and_commit_change(&a, replace);
    assert_string_equal(a.reply, "+OK\r\n");
    join.life = 0xabc;
    ask_and_commit_change(&a, join);
    for (size_t i = 0; i < 3; i++) {
        char expected[96];
        replace.kind = kinds[i];
        ask_for(&a, replace);
        snprintf(expected, sizeof expected,
                 "-ERR node 2 has the life 0000000000000abc, not %016x\r\n", LIFE + 2);
        assert_string_equal(a.reply, expected);
        assert_int_equal(members()->list[2].life, 0xabc);
    }
    replace.life = 0xabc;
    ask_and_commit_change(&a, replace);
    assert_string_equal(a.reply, "+OK\r\n");
    assert_int_equal(members()->list[2].life, 0);
}

/* ---- handing over -------------------------------------------------------------------------------
 * */

/* Its request goes to the next leader. */
static void a_leader_that_is_taken_out_hands_over_first(void **state)
{
    static struct result a;
    (void)state;
    lead_with_lives();
    all_acknowledge();
    raft_term term = status().term;
    raft_index at = list();
    ask_for(&a, (struct replica_change){.kind = REPLICA_REMOVE, .node = 0});
    assert_int_equal(a.calls, 0);
    assert_int_equal(list(), at);
    assert_int_equal(status().role, RAFT_FOLLOWER); /* all was there: it left at once */
    assert_int_equal(world.forwards_count, 0);
    follow(1, term + 1);
    pass(TICK_MS);
    assert_int_equal(world.forwards_count, 1);
    assert_int_equal(world.forwarded_to, 1);
    assert_string_equal(world.forwarded, "!");
}

/* What stands behind it in the same look at the queue is the next leader's. */
static void a_leader_that_left_at_once_takes_nothing_more(void **state)
{
    static struct result change, write, read;
    (void)state;
    lead_with_lives();
    all_acknowledge();
    world.long_write = "long";
    world.change = (struct replica_change){.kind = REPLICA_REMOVE, .node = 0};
    ask(&change, REQUEST_WRITE, 1, "!");
    ask(&write, REQUEST_WRITE, 2, "long");
    ask(&read, REQUEST_READ, 3, "r");
    run();
    assert_int_equal(status().role, RAFT_FOLLOWER);
    assert_int_equal(change.calls + write.calls + read.calls, 0);
    assert_false(world.is_preparing);
    assert_int_equal(world.prepare_calls, 0);
}

static void a_transfer_is_answered_at_its_end(void **state)
{
    static struct result a;
    (void)state;
    lead_with_lives();
    persist();
    grow();
    static struct result w;
    ask(&w, REQUEST_WRITE, 3, "y"); /* node 2 does not have it yet */
    run();
    ask_for(&a, (struct replica_change){.kind = REPLICA_TRANSFER, .node = 2});
    assert_int_equal(a.calls, 0);
    assert_true(status().transferring);
    acknowledge();
    assert_int_equal(a.calls, 0);
    answer_from(2);
    run();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "+OK\r\n");
    assert_int_equal(status().role, RAFT_FOLLOWER);
}

static void a_transfer_that_does_not_end_is_answered(void **state)
{
    static struct result a, w;
    (void)state;
    lead_with_lives();
    ask(&w, REQUEST_WRITE, 3, "y");
    run();
    ask_for(&a, (struct replica_change){.kind = REPLICA_TRANSFER, .node = 2});
    for (int i = 0; i < 2 * ELECTION_TICKS && a.calls == 0; i++) {
        acknowledge();
        pass(TICK_MS);
    }
    assert_ended(a, REQUEST_DONE);
    assert_memory_equal(a.reply, "-ERR the other did not catch up", 31);
    assert_int_equal(status().role, RAFT_LEADER);
    ask_for(&a, (struct replica_change){.kind = REPLICA_TRANSFER, .node = 0});
    assert_string_equal(a.reply, "+OK\r\n");
    ask_for(&a, (struct replica_change){.kind = REPLICA_TRANSFER, .node = 8});
    assert_string_equal(a.reply, "-ERR there is no node 8\r\n");
}

/* ---- what is kept of each ----------------------------------------------------------------------
 * */

static void what_is_kept_moves_with_the_place(void **state)
{
    static struct result a;
    (void)state;
    lead_with_lives();
    replica_announced(world.replica, 2, 7);
    world.replica->owed[1] = 11;
    world.replica->owed[2] = 22;
    ask_and_commit_change(&a, (struct replica_change){.kind = REPLICA_REMOVE, .node = 1});
    assert_string_equal(names(), "0 2");
    assert_int_equal(world.replica->announced[1], 7);
    assert_int_equal(world.replica->owed[1], 22);
    assert_int_equal(world.replica->introduced[1].life, LIFE + 2);
    assert_int_equal(world.replica->introduced[2].life, 0);
}

static void what_is_in_common_follows_the_list(void **state)
{
    static struct result a;
    (void)state;
    lead_with_lives();
    world.highest_meaning = 1; /* no entry says more */
    replica_announced(world.replica, 2, 4);
    assert_int_equal(replica_meaning(world.replica), 4);
    ask_and_commit_change(&a, (struct replica_change){.kind = REPLICA_REMOVE, .node = 2});
    assert_string_equal(names(), "0 1");
    assert_int_equal(replica_meaning(world.replica), 5);
    struct replica_change change = join_of(3);
    change.meaning = 0; /* it said nothing: it may know the least */
    ask_and_commit_change(&a, change);
    assert_string_equal(names(), "0 1 2j");
    assert_int_equal(replica_meaning(world.replica), 1);
    replica_announced(world.replica, 2, 4);
    assert_int_equal(replica_meaning(world.replica), 4);
    stop();
    start();
    assert_int_equal(replica_meaning(world.replica), 1); /* nobody said anything yet */
}

/* An entry that comes behind the reads of its client finds them served. */
static void reads_before_a_change_are_served(void **state)
{
    static struct result read, a;
    (void)state;
    lead_with_lives();
    world.change = join_of(3);
    ask(&read, REQUEST_READ, 1, "x");
    ask(&a, REQUEST_WRITE, 1, "!");
    run();
    all_acknowledge();
    all_acknowledge();
    assert_ended(read, REQUEST_DONE);
    assert_ended(a, REQUEST_DONE);
}

/* The leader of before is no member any more, and its connection breaks. */
static void what_is_with_a_removed_node_is_not_lost(void **state)
{
    static struct result a;
    (void)state;
    follow(1, 1);
    ask(&a, REQUEST_WRITE, 1, "x");
    run();
    assert_int_equal(world.forwards_count, 1);
    struct raft_members next = {.count = 2};
    next.list[0] = said_by(0);
    next.list[1] = said_by(2);
    struct raft_entry entry = {
        .pos = {2, 1}, .type = RAFT_ENTRY_MEMBERS, .payload = raft_members_blob(&next)};
    entry.size = (uint32_t)((struct blob *)entry.payload)->size;
    struct raft_message append = heartbeat(2, 2);
    append.append_request.count = 1;
    append.append_request.entries = &entry;
    receive(append);
    persist();
    assert_string_equal(names(), "0 2");
    assert_int_equal(a.calls, 0);
    replica_disconnected(world.replica, 1, true, true);
    run();
    assert_ended(a, REQUEST_UNKNOWN);
    blob_release(entry.payload);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_with_life, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(lives_get_into_the_list_when_all_know_of_it),
        TEST(a_new_address_gets_into_the_list),
        TEST(the_configured_list_knows_no_lives),
        TEST(the_newer_list_decides),
        TEST(a_list_that_is_not_committed_turns_nobody_away),
        TEST(who_replays_an_old_list_refuses_nobody),
        TEST(another_life_answers_for_nobody),
        TEST(who_is_to_be_taken_in_disowns_nobody),
        TEST(a_new_directory_that_is_disowned_ends),
        TEST(who_joins_is_answered_when_it_is_in_the_list),
        TEST(an_address_is_one_members),
        TEST(a_voter_without_a_life_keeps_its_place),
        TEST(a_kept_place_is_for_who_asks),
        TEST(there_is_room_for_so_many),
        TEST(one_change_at_a_time),
        TEST(a_new_leader_waits_for_its_own_entry),
        TEST(a_cluster_with_older_builds_is_not_changed),
        TEST(a_learner_is_a_voter_after_a_short_round),
        TEST(a_learner_that_is_to_stay_one_stays),
        TEST(what_leaves_no_majority_is_refused),
        TEST(force_does_it),
        TEST(the_last_voter_stays),
        TEST(a_lost_disk_is_replaced),
        TEST(a_lost_learner_is_replaced),
        TEST(another_life_is_not_meant),
        TEST(a_leader_that_is_taken_out_hands_over_first),
        TEST(a_leader_that_left_at_once_takes_nothing_more),
        TEST(a_transfer_is_answered_at_its_end),
        TEST(a_transfer_that_does_not_end_is_answered),
        TEST(what_is_kept_moves_with_the_place),
        TEST(what_is_in_common_follows_the_list),
        TEST(reads_before_a_change_are_served),
        TEST(what_is_with_a_removed_node_is_not_lost),
    };
    return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
