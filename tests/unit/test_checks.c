/* RAFT.CHECK: what follows from what members say, and the whole of it on a node that is the only
 * voter, beside learners for whom the test speaks. */
#include "test_clients.h"

#include <stdatomic.h>

#include "command/check.h"
#include "data/content.h"
#include "server/check_reader.h"
#include "server/check_round.h"
#include "server/checks.h"

#include "test_log_lines.h"

/* ---- a round ------------------------------------------------------------------------- */

enum { ROUND = 7, LIFE = 100 };

/* What members 0, 1, ... said: 'a' to 'y' a hash, 'z' that it could not look, ' ' nothing; a
 * capital letter says it of a learner. */
static struct check_round round_of(const char *said)
{
    struct raft_members members = {.count = (uint32_t)strlen(said)};
    struct check_round round;
    for (uint32_t i = 0; i < members.count; i++)
        members.list[i] = (struct raft_member){
            .id = i, .life = LIFE + i, .voter = said[i] == ' ' || said[i] >= 'a'};
    server_check_round_begin(&round, ROUND, 50, &members);
    for (uint32_t i = 0; i < members.count; i++) {
        char letter = (char)(said[i] | 0x20);
        struct command_check_notice notice = {.kind = CHECK_FOUND,
                                              .id = ROUND,
                                              .node = i,
                                              .life = LIFE + i,
                                              .found = letter == 'z' ? CHECK_BUSY : CHECK_HASHED,
                                              .hash = (uint64_t)letter};
        if (said[i] != ' ')
            assert_true(server_check_round_take(&round, &notice));
    }
    return round;
}

/* `states`, by member: '=' equal, '!' differs, '?' answered, 'b' busy, ' ' waiting. */
static void expect_round(const char *said, enum server_check_verdict verdict, const char *states)
{
    static const char letters[] = {[SERVER_CHECK_MEMBER_WAITING] = ' ',
                                   [SERVER_CHECK_MEMBER_BUSY] = 'b',
                                   [SERVER_CHECK_MEMBER_ANSWERED] = '?',
                                   [SERVER_CHECK_MEMBER_EQUAL] = '=',
                                   [SERVER_CHECK_MEMBER_DIFFERS] = '!'};
    struct check_round round = round_of(said);
    char found[RAFT_MEMBERS_MAX + 1] = "";
    for (uint32_t i = 0; i < round.count; i++)
        found[i] = letters[server_check_round_state(&round, i)];
    assert_string_equal(found, states);
    if (server_check_round_verdict(&round) != verdict)
        fail_msg("'%s' gives %s", said, command_check_verdict(server_check_round_verdict(&round)));
}

static void test_verdicts(void **state)
{
    (void)state;
    expect_round("   ", SERVER_CHECK_RUNNING, "   ");
    expect_round("a  ", SERVER_CHECK_RUNNING, "?  ");
    expect_round("aa ", SERVER_CHECK_RUNNING, "== ");
    expect_round("aaa", SERVER_CHECK_EQUAL, "===");
    expect_round("ab ", SERVER_CHECK_RUNNING, "?? ");
    expect_round("aba", SERVER_CHECK_DIFFERENT, "=!=");
    expect_round("abc", SERVER_CHECK_UNDECIDED, "???");
    expect_round("ab", SERVER_CHECK_UNDECIDED, "??"); /* one of two is no majority */
    expect_round("a", SERVER_CHECK_EQUAL, "=");
    expect_round("zaa", SERVER_CHECK_INCOMPLETE, "b==");
    expect_round("zab", SERVER_CHECK_UNDECIDED, "b??");
    expect_round("zzz", SERVER_CHECK_INCOMPLETE, "bbb");
    expect_round("ab a", SERVER_CHECK_RUNNING, "?? ?"); /* two of four */
    expect_round("abba", SERVER_CHECK_UNDECIDED, "????");
    expect_round("aaab", SERVER_CHECK_DIFFERENT, "===!");
    expect_round("abb  ", SERVER_CHECK_RUNNING, "???  ");
    expect_round("abbb ", SERVER_CHECK_DIFFERENT, "!=== ");
    /* A learner is named, and counts for nothing. */
    expect_round("aaB", SERVER_CHECK_DIFFERENT, "==!");
    expect_round("aBB", SERVER_CHECK_DIFFERENT, "=!!");
    expect_round("abBB", SERVER_CHECK_UNDECIDED, "????");
    expect_round(" BB", SERVER_CHECK_RUNNING, " ??");
}

static void test_who_is_heard(void **state)
{
    (void)state;
    struct check_round round = round_of("a  "), none = {0};
    struct command_check_notice notice = {
        .kind = CHECK_FOUND, .id = ROUND, .node = 1, .life = LIFE + 1, .hash = 'a'};
    struct command_check_notice other = notice;
    assert_true(server_check_round_is_asked(&round, 2));
    assert_false(server_check_round_is_asked(&round, 3));
    assert_false(server_check_round_has_answered(&round, 1));
    other.id = ROUND + 1; /* another check's */
    assert_false(server_check_round_take(&round, &other));
    other = notice;
    other.node = 3; /* no member */
    assert_false(server_check_round_take(&round, &other));
    other = notice;
    other.life = LIFE; /* who had its place before */
    assert_false(server_check_round_take(&round, &other));
    other = notice;
    other.node = 0; /* who has answered */
    other.life = LIFE;
    other.hash = 'b';
    assert_false(server_check_round_take(&round, &other));
    assert_false(server_check_round_is_over(&round));
    assert_true(server_check_round_take(&round, &notice));
    assert_true(server_check_round_has_answered(&round, 1));
    notice.id = 0;
    assert_false(server_check_round_take(&none, &notice));
}

static void test_an_empty_place_is_not_waited_for(void **state)
{
    (void)state;
    struct raft_members members = {
        .count = 3, .list = {{.id = 0, .voter = true}, {.id = 1}, {.id = 2, .life = 9}}};
    struct check_round round;
    server_check_round_begin(&round, ROUND, 50, &members);
    assert_int_equal(round.count, 2);
    assert_true(server_check_round_is_asked(&round, 0)); /* its life is not in the list yet */
    assert_false(server_check_round_is_asked(&round, 1));
    assert_true(server_check_round_is_asked(&round, 2));
}

/* ---- a node ---------------------------------------------------------------------------- */

static struct {
    struct server_checks *checks;
    struct server_ops ops;
    atomic_uint woken;
    unsigned left;
    uint64_t drawn;
} node;

enum { TRIES = 20000, TRY_US = 500 };

static void on_wake(void *context)
{
    (void)context;
    node.woken++;
}

static void on_told(void *context)
{
    (void)context;
    clients_check_told(house.clients);
}

static void on_leave(void *context)
{
    (void)context;
    node.left++;
}

static int64_t on_now(void *context)
{
    (void)context;
    return loop_now_ms(house.loop);
}

static uint64_t on_draw(void *context)
{
    (void)context;
    return ++node.drawn;
}

static uint64_t check_begin(struct server *server)
{
    (void)server;
    return server_checks_begin(node.checks);
}

static bool check_is_over(struct server *server, uint64_t id)
{
    (void)server;
    return server_checks_is_over(node.checks, id);
}

static void check_describe(struct server *server, struct server_check *check)
{
    (void)server;
    server_checks_describe(node.checks, check);
}

static int set_up_as(void **state, int64_t me, bool second_votes, uint8_t known)
{
    house_open(state);
    memset(&node, 0, sizeof node);
    house.config.nodes.count = 3;
    house.config.nodes.list[1] =
        (struct raft_member){.id = 1, .life = LIFE + 1, .voter = second_votes};
    house.config.nodes.list[2] = (struct raft_member){.id = 2, .life = LIFE + 2};
    house.config.me = me;
    house.config.check_interval = 0;
    house_start_replica(0, 256 << 20);
    for (raft_node_id id = 1; id < house.config.nodes.count; id++)
        replica_announced(house.replica, id, known);
    node.ops = house_server_ops;
    node.ops.check_begin = check_begin;
    node.ops.check_is_over = check_is_over;
    node.ops.check = check_describe;
    house.server.ops = &node.ops;
    struct server_checks_options options = {.kv = house.kv,
                                            .db = house.db,
                                            .config = &house.config,
                                            .life = LIFE + (uint64_t)me,
                                            .now_ms = on_now,
                                            .draw = on_draw,
                                            .wake = on_wake,
                                            .told = on_told,
                                            .leave = on_leave};
    node.checks = server_checks_new(&options);
    server_checks_connect(node.checks, house.machine, house.replica);
    return 0;
}

static int set_up_node(void **state)
{
    return set_up_as(state, 0, false, 5);
}

/* To the checks this is member 1, of which the test says what it found. */
static int set_up_other(void **state)
{
    return set_up_as(state, 1, false, 5);
}

/* Beside members of an older build. */
static int set_up_mixed(void **state)
{
    return set_up_as(state, 0, false, 4);
}

/* It never leads. */
static int set_up_second(void **state)
{
    return set_up_as(state, 0, true, 5);
}

static int tear_down_node(void **state)
{
    server_checks_free(node.checks);
    return tear_down(state);
}

/* As the node does it: what the thread is done with, and the time. */
static void go_on(void)
{
    if (node.woken > 0) {
        node.woken--;
        server_checks_poll(node.checks);
    }
    server_checks_tick(node.checks);
    turns();
}

static enum server_check_verdict verdict(void)
{
    struct server_check check;
    server_checks_describe(node.checks, &check);
    return check.verdict;
}

static enum server_check_state state_of(raft_node_id id)
{
    struct server_check check;
    server_checks_describe(node.checks, &check);
    for (uint32_t i = 0; i < check.members_count; i++)
        if (check.members[i].id == id)
            return check.members[i].state;
    return SERVER_CHECK_MEMBER_WAITING;
}

/* This node's thread reads in its own time. */
static void wait_until_answered(raft_node_id id)
{
    for (int tries = 0; state_of(id) == SERVER_CHECK_MEMBER_WAITING; tries++) {
        if (tries == TRIES)
            fail_msg("node %d does not answer", (int)id);
        usleep(TRY_US);
        go_on();
    }
}

/* The id and the hash of the newest check, as this node has it. */
static uint64_t newest(uint64_t *hash)
{
    struct server_check check;
    server_checks_describe(node.checks, &check);
    *hash = check.members_count > 0 ? check.members[0].hash : 0;
    return check.id;
}

static void on_entered(void *context, struct request *request, enum request_outcome outcome,
                       struct bytes reply)
{
    (void)request;
    assert_int_equal(outcome, REQUEST_DONE);
    buffer_append_bytes(context, reply);
}

/* An entry of another node's; takes the words. */
static void enter_words(struct blob *words, const char *reply)
{
    struct buffer heard = {0};
    struct request *request = request_new(REQUEST_WRITE, 2, 99, words, on_entered, &heard);
    request->deadline_ms = loop_now_ms(house.loop) + 5000;
    replica_submit(house.replica, request);
    turns();
    buffer_append_byte(&heard, '\0');
    assert_string_equal(heard.data, reply);
    buffer_deinit(&heard);
}

static void enter(const struct command_check_notice *notice, const char *reply)
{
    enter_words(command_check_encode(notice), reply);
}

static void answer_for(raft_node_id id, uint64_t hash)
{
    uint64_t mine;
    struct command_check_notice notice = {.kind = CHECK_FOUND,
                                          .id = newest(&mine),
                                          .node = id,
                                          .life = LIFE + id,
                                          .found = hash ? CHECK_HASHED : CHECK_BUSY,
                                          .hash = hash};
    enter(&notice, "+OK\r\n");
}

static void expect_in(int fd, const char *part)
{
    struct buffer heard = {0};
    assert_true(hear_all(fd, &heard));
    buffer_append_byte(&heard, '\0');
    if (!strstr(heard.data, part))
        fail_msg("there is no %s in %s", part, heard.data);
    buffer_deinit(&heard);
}

static void test_a_client_waits_for_all(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    uint64_t hash;
    say(a, "RAFT.CHECK STATUS\r\n");
    assert_hears(a, "$-1\r\n");
    say(a, "SET k v\r\nRAFT.CHECK\r\nPING\r\n");
    say(b, "RAFT.CHECK\r\n");
    assert_hears(a, "+OK\r\n");
    assert_hears(b, "");
    assert_int_equal(clients_blocked(house.clients), 2);
    wait_until_answered(0);
    assert_int_equal(verdict(), SERVER_CHECK_RUNNING);
    assert_int_equal(newest(&hash), 1); /* b joined a's */
    assert_true(hash != 0);
    answer_for(1, hash);
    assert_hears(a, "");
    answer_for(2, hash);
    assert_int_equal(verdict(), SERVER_CHECK_EQUAL);
    expect_in(a, "$7\r\nverdict\r\n$5\r\nequal\r\n");
    expect_in(b, "$5\r\nstate\r\n$5\r\nequal\r\n");
    say(a, "RAFT.CHECK STATUS\r\nGET k\r\n");
    expect_in(a, "$7\r\nmembers\r\n*3\r\n*12\r\n");
    assert_int_equal(clients_blocked(house.clients), 0);
    assert_int_equal(house.clients->checking_count, 0);
    assert_int_equal(node.left, 0);
    close(a);
    close(b);
}

static void test_time_is_over(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "RAFT.CHECK TIMEOUT 0\r\nRAFT.CHECK TIMEOUT 300\r\n");
    say(b, "RAFT.CHECK\r\n");
    expect_in(a, "$7\r\nverdict\r\n$7\r\nrunning\r\n");
    wait_until_answered(0);
    close(b); /* nobody waits for the rest */
    turns();
    assert_int_equal(clients_blocked(house.clients), 1);
    pass(400);
    expect_in(a, "$5\r\nstate\r\n$7\r\nwaiting\r\n");
    assert_int_equal(clients_blocked(house.clients), 0);
    /* Members that are not heard for long are given up, and another check may begin. */
    assert_int_equal(verdict(), SERVER_CHECK_RUNNING);
    pass(40000);
    go_on();
    assert_int_equal(verdict(), SERVER_CHECK_INCOMPLETE);
    assert_int_equal(server_checks_begin(node.checks), 2);
    turns();
    assert_int_equal(verdict(), SERVER_CHECK_RUNNING); /* it has an end of its own */
    wait_until_answered(0);
    close(a);
}

/* Who differs is named; only this node's own look at what it has lets it leave. */
static void test_who_differs(void **state)
{
    (void)state;
    uint64_t hash;
    house.config.check_difference = CHECK_DIFFERENCE_STOP;
    (void)server_checks_begin(node.checks);
    turns();
    wait_until_answered(0);
    (void)newest(&hash);
    answer_for(1, hash + 1);
    assert_int_equal(verdict(), SERVER_CHECK_DIFFERENT);
    assert_int_equal(state_of(1), SERVER_CHECK_MEMBER_DIFFERS);
    answer_for(2, 0);
    assert_int_equal(state_of(2), SERVER_CHECK_MEMBER_BUSY);
    assert_int_equal(node.left, 0);
    /* The directory that node 1 had before. */
    struct command_check_notice begins = {.kind = CHECK_BEGINS, .id = 1000};
    enter(&begins, "+OK\r\n");
    struct command_check_notice before = {
        .kind = CHECK_FOUND, .id = 1000, .node = 1, .life = LIFE, .hash = 1};
    enter(&before, "+OK\r\n");
    assert_int_equal(state_of(1), SERVER_CHECK_MEMBER_WAITING);
    wait_until_answered(0);
}

/* In a replay this node hears what a process before it said. */
static void test_what_was_said_before(void **state)
{
    (void)state;
    house.config.check_difference = CHECK_DIFFERENCE_STOP;
    house.config.snapshot_bandwidth = 1; /* its thread comes to no end */
    int a = dial();
    say(a, "SET k v\r\n");
    assert_hears(a, "+OK\r\n");
    (void)server_checks_begin(node.checks);
    turns();
    answer_for(0, 5);
    assert_int_equal(state_of(0), SERVER_CHECK_MEMBER_EQUAL); /* the only voter */
    go_on();
    assert_int_equal(node.left, 0);
    (void)server_checks_begin(node.checks); /* joined, as long as the others may answer */
    assert_int_equal(node.drawn, 1);
    answer_for(1, 5);
    answer_for(2, 5);
    assert_int_equal(verdict(), SERVER_CHECK_EQUAL);
    assert_int_equal(server_checks_begin(node.checks), 2);
    turns(); /* ended in the midst of it */
    close(a);
}

static void set_k(void)
{
    int a = dial();
    say(a, "SET k v\r\n");
    assert_hears(a, "+OK\r\n");
    close(a);
}

static void test_a_node_leaves(void **state)
{
    (void)state;
    uint64_t hash;
    set_k();
    log_lines_begin();
    log_set_level(LOG_LEVEL_NOTICE);
    (void)server_checks_begin(node.checks);
    turns();
    wait_until_answered(1);
    (void)newest(&hash);
    answer_for(0, 5); /* the only voter has something else */
    assert_int_equal(state_of(1), SERVER_CHECK_MEMBER_DIFFERS);
    assert_int_equal(node.left, 0); /* report */
    answer_for(2, 5);
    assert_int_equal(log_lines_with("the data of node 1 differ"), 1);
    house.config.check_difference = CHECK_DIFFERENCE_STOP;
    (void)server_checks_begin(node.checks);
    turns();
    wait_until_answered(1);
    assert_int_equal(node.left, 0);
    answer_for(0, 5);
    assert_int_equal(node.left, 1);
    answer_for(2, 5);
    assert_int_equal(node.left, 1);                                   /* once */
    assert_int_equal(log_lines_with("the data of node 1 differ"), 2); /* once a check */
    assert_int_equal(log_lines_with("3 of 3 members have answered: different"), 2);
    log_set_level(LOG_LEVEL_WARNING);
    log_lines_end();
}

/* In a replay: another directory, or another process, may have been meant. */
static void test_a_node_stays_for_what_was_said_before(void **state)
{
    (void)state;
    struct server_check check;
    set_k();
    (void)server_checks_begin(node.checks);
    turns();
    wait_until_answered(1); /* what it saw then says nothing of the next */
    server_checks_describe(node.checks, &check);
    answer_for(0, check.members[1].hash);
    answer_for(2, check.members[1].hash);
    assert_int_equal(verdict(), SERVER_CHECK_EQUAL);
    house.config.check_difference = CHECK_DIFFERENCE_STOP;
    house.config.snapshot_bandwidth = 1; /* it comes to no end */
    (void)server_checks_begin(node.checks);
    turns();
    answer_for(1, 6);
    answer_for(0, 5);
    assert_int_equal(state_of(1), SERVER_CHECK_MEMBER_DIFFERS);
    assert_int_equal(node.left, 0);
}

static void test_who_does_not_lead_begins_none(void **state)
{
    (void)state;
    house.config.check_interval = 1;
    pass(3000);
    go_on();
    assert_int_equal(node.drawn, 0);
}

static void test_a_check_in_the_midst_of_one(void **state)
{
    (void)state;
    house.config.snapshot_bandwidth = 1;
    int a = dial();
    say(a, "SET k v\r\n");
    assert_hears(a, "+OK\r\n");
    for (uint64_t id = 1000; id < 1005; id++) {
        struct command_check_notice begins = {.kind = CHECK_BEGINS, .id = id};
        enter(&begins, "+OK\r\n");
    }
    house.config.snapshot_bandwidth = 0;
    struct command_check_notice last = {.kind = CHECK_BEGINS, .id = 1005};
    enter(&last, "+OK\r\n");
    wait_until_answered(0);
    uint64_t hash;
    assert_int_equal(newest(&hash), 1005);
    close(a);
}

static void test_no_leader(void **state)
{
    (void)state;
    int a = dial();
    house.disk_hangs = true;
    say(a, "RAFT.CHECK\r\n");
    assert_hears(a, "");
    pass(house.config.request_timeout + 100);
    expect_in(a, "-TRYAGAIN the cluster has no leader, or does not answer\r\n");
    house.disk_hangs = false;
    pass(1000);
    say(a, "RAFT.CHECK TIMEOUT 0\r\n");
    expect_in(a, "$7\r\nverdict\r\n$7\r\nrunning\r\n");
    wait_until_answered(0);
    close(a);
}

static void test_by_itself(void **state)
{
    (void)state;
    uint64_t hash;
    pass(100000);
    go_on();
    assert_int_equal(newest(&hash), 0); /* never */
    house.config.check_interval = 150;
    go_on();
    assert_int_equal(newest(&hash), 0);
    pass(60000);
    go_on();
    assert_int_equal(newest(&hash), 1);
    wait_until_answered(0);
    answer_for(1, 0); /* who cannot look is asked again before long */
    (void)newest(&hash);
    answer_for(2, hash);
    assert_int_equal(verdict(), SERVER_CHECK_INCOMPLETE);
    pass(50000);
    go_on();
    assert_int_equal(newest(&hash), 1);
    pass(20000);
    go_on();
    assert_int_equal(newest(&hash), 2);
    wait_until_answered(0);
}

static void test_not_before_all_know(void **state)
{
    (void)state;
    int a = dial();
    say(a, "RAFT.CHECK\r\n");
    expect_in(a, "-ERR RAFT.CHECK needs meaning 5, and not every member");
    assert_int_equal(clients_blocked(house.clients), 0);
    replica_announced(house.replica, 1, 5);
    replica_announced(house.replica, 2, 5);
    say(a, "RAFT.CHECK TIMEOUT 0\r\n");
    expect_in(a, "$7\r\nverdict\r\n$7\r\nrunning\r\n");
    wait_until_answered(0);
    close(a);
}

/* What does not come from a member, or not from this build. */
static void test_words(void **state)
{
    (void)state;
    int a = dial();
    say(a, "raft.compare 1\r\n");
    expect_in(a, "-ERR unknown command");
    say(a, "ONCE c 1 raft.compare 1\r\nONCE c 2 raft.compared 1 0 1 0 1 1 1\r\n");
    expect_in(a, "-ERR unknown command 'raft.compared'");
    say(a, "RAFT.CHECK STATUS X\r\nRAFT.CHECK TIMEOUT x\r\nRAFT.CHECK TIMEOUT -1\r\n");
    assert_hears(a, "-ERR syntax error\r\n-ERR timeout is not an integer or out of range\r\n"
                    "-ERR timeout is negative\r\n");
    /* A member that does not look lets it pass. */
    const struct bytes carried[] = {bytes_from_string("once"), bytes_from_string("c"),
                                    bytes_from_string("1"), bytes_from_string(COMPARE_NAME),
                                    bytes_from_string("5")};
    enter_words(command_encode(carried, sizeof carried / sizeof carried[0]),
                "-ERR this command cannot be carried by another one\r\n");
    struct command_check_notice notice = {.kind = CHECK_BEGINS};
    enter(&notice, "-ERR a check has a number\r\n");
    notice = (struct command_check_notice){.kind = CHECK_FOUND, .id = 1, .found = 2};
    enter(&notice, "-ERR a finding has numbers\r\n");
    say(a, "RAFT.CHECK STATUS\r\n");
    assert_hears(a, "$-1\r\n");
    close(a);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_node, tear_down_node)

int main(void)
{
    log_set_level(LOG_LEVEL_WARNING);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_who_is_heard),
        cmocka_unit_test(test_an_empty_place_is_not_waited_for),
        TEST(test_a_client_waits_for_all),
        TEST(test_time_is_over),
        TEST(test_who_differs),
        TEST(test_what_was_said_before),
        TEST(test_a_check_in_the_midst_of_one),
        TEST(test_no_leader),
        TEST(test_by_itself),
        TEST(test_words),
        cmocka_unit_test_setup_teardown(test_a_node_leaves, set_up_other, tear_down_node),
        cmocka_unit_test_setup_teardown(test_a_node_stays_for_what_was_said_before, set_up_other,
                                        tear_down_node),
        cmocka_unit_test_setup_teardown(test_not_before_all_know, set_up_mixed, tear_down_node),
        cmocka_unit_test_setup_teardown(test_who_does_not_lead_begins_none, set_up_second,
                                        tear_down_node),
    };
    return cmocka_run_group_tests_name("checks", tests, NULL, NULL);
}
