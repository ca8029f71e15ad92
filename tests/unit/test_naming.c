/* The name of a cluster: drawn by its leader, once, kept with its id. */
#include "test_clients.h"

#include "command/naming.h"
#include "server/naming.h"
#include "storage/raft_log.h"

enum { CLUSTER = 70, OTHER = 71, FIRST = 500, SECOND = 600 };

static struct {
    struct server_naming *naming;
    uint64_t drawn, named;
    unsigned told;
} node;

static int64_t on_now(void *context)
{
    (void)context;
    return loop_now_ms(house.loop);
}

static uint64_t on_draw(void *context)
{
    (void)context;
    return FIRST + node.drawn++;
}

static void on_named(void *context, uint64_t name)
{
    (void)context;
    node.named = name;
    node.told++;
}

static void start_naming_within(uint64_t cluster, int64_t request_timeout_ms)
{
    memset(&node, 0, sizeof node);
    const struct server_naming_options options = {.db = house.db,
                                                  .kv = house.kv,
                                                  .log = house.log,
                                                  .replica = house.replica,
                                                  .cluster = cluster,
                                                  .request_timeout_ms = request_timeout_ms,
                                                  .now_ms = on_now,
                                                  .draw = on_draw,
                                                  .named = on_named};
    node.naming = server_naming_new(&options);
}

static void start_naming(uint64_t cluster)
{
    start_naming_within(cluster, 5000);
}

static void go_on(int64_t ms)
{
    for (int64_t passed = 0; passed < ms; passed += 50) {
        pass(50);
        server_naming_tick(node.naming);
        turns();
    }
}

static void on_entered(void *context, struct request *request, enum request_outcome outcome,
                       struct bytes reply)
{
    (void)request;
    assert_int_equal(outcome, REQUEST_DONE);
    buffer_append_bytes(context, reply);
}

/* By another leader. */
static void enter(uint64_t cluster, uint64_t name, const char *reply)
{
    struct buffer heard = {0};
    struct request *request =
        request_new(REQUEST_WRITE, 2, 99, command_name_cluster(cluster, name), on_entered, &heard);
    request->deadline_ms = loop_now_ms(house.loop) + 5000;
    replica_submit(house.replica, request);
    turns();
    buffer_append_byte(&heard, '\0');
    assert_string_equal(heard.data, reply);
    buffer_deinit(&heard);
}

static void test_the_leader_names_it_once(void **state)
{
    (void)state;
    start_naming(CLUSTER);
    assert_int_equal(node.named, 0);
    assert_int_equal(server_naming_name(node.naming), 0);
    go_on(1000);
    assert_int_equal(node.named, FIRST);
    assert_int_equal(node.drawn, 1);
    assert_int_equal(server_naming_name(node.naming), FIRST);
    go_on(5000);
    assert_int_equal(node.told, 1);
    server_naming_free(node.naming);
    /* A later start knows it before anything is applied, and another cluster's has none. */
    assert_int_equal(raft_log_name(house.kv, CLUSTER), 0); /* the loop waits for no disk */
    enter(CLUSTER, SECOND, "+OK\r\n");                     /* a group commit */
    assert_int_equal(raft_log_name(house.kv, CLUSTER), FIRST);
    assert_int_equal(raft_log_name(house.kv, OTHER), 0);
    start_naming(CLUSTER);
    assert_int_equal(node.named, FIRST);
    server_naming_free(node.naming);
    start_naming(OTHER);
    assert_int_equal(node.named, 0);
    server_naming_free(node.naming);
}

/* Two leaders may have drawn one: what the log has first. */
static void test_the_first_stays(void **state)
{
    (void)state;
    enter(CLUSTER, FIRST, "+OK\r\n");
    enter(CLUSTER, SECOND, "+OK\r\n");
    assert_int_equal(command_cluster_name(house.db, CLUSTER), FIRST);
    assert_int_equal(command_cluster_name(house.db, OTHER), 0);
    enter(CLUSTER, 0, "-ERR a cluster's id and its name are numbers\r\n");
    /* The state became another cluster's. */
    enter(OTHER, SECOND, "+OK\r\n");
    assert_int_equal(command_cluster_name(house.db, OTHER), SECOND);
    assert_int_equal(command_cluster_name(house.db, CLUSTER), 0);
    start_naming(OTHER);
    assert_int_equal(node.named, SECOND);
    go_on(500);
    assert_int_equal(node.drawn, 0);
    server_naming_free(node.naming);
}

/* It stays whatever scripts do in the same space. */
static void test_scripts_leave_it(void **state)
{
    (void)state;
    int a = dial();
    enter(CLUSTER, FIRST, "+OK\r\n");
    say(a, "SCRIPT LOAD \"return 1\"\r\nSCRIPT FLUSH\r\nFUNCTION FLUSH\r\nFLUSHALL\r\n");
    assert_hears(a, "$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_int_equal(command_cluster_name(house.db, CLUSTER), FIRST);
    say(a, "raft.name 70 5\r\n");
    turns();
    assert_int_equal(command_cluster_name(house.db, CLUSTER), FIRST);
    close(a);
}

/* Whose build knows of no names: nobody is asked for one, and nothing is refused. */
static void test_not_before_all_know(void **state)
{
    (void)state;
    start_naming(CLUSTER);
    go_on(3000);
    assert_int_equal(node.drawn, 0);
    replica_announced(house.replica, 1, 5);
    go_on(3000);
    assert_int_equal(node.named, FIRST);
    server_naming_free(node.naming);
}

/* What is asked for is done later, or never, and asked for again. */
static void test_no_majority(void **state)
{
    (void)state;
    start_naming(CLUSTER);
    house.disk_hangs = true;
    go_on(7000);
    assert_int_equal(node.named, 0);
    assert_true(node.drawn >= 1);
    house.disk_hangs = false;
    go_on(3000);
    assert_true(node.named >= FIRST);
    assert_int_equal(node.told, 1);
    assert_int_equal(command_cluster_name(house.db, CLUSTER), node.named);
    server_naming_free(node.naming);
}

/* Not in every look, however soon the answer comes. */
static void test_asked_again_after_a_while(void **state)
{
    (void)state;
    start_naming_within(CLUSTER, 50);
    house.disk_hangs = true;
    go_on(3500);
    assert_in_range(node.drawn, 2, 4);
    house.disk_hangs = false;
    go_on(3000);
    assert_int_equal(node.told, 1);
    server_naming_free(node.naming);
}

static int set_up_two(void **state)
{
    house_open(state);
    house.config.nodes.count = 2;
    house.config.nodes.list[1] = (struct raft_member){.id = 1, .life = 8};
    house_start_replica(0, 256 << 20);
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    log_set_level(LOG_LEVEL_WARNING);
    const struct CMUnitTest tests[] = {
        TEST(test_the_leader_names_it_once),
        TEST(test_the_first_stays),
        TEST(test_scripts_leave_it),
        TEST(test_no_majority),
        TEST(test_asked_again_after_a_while),
        cmocka_unit_test_setup_teardown(test_not_before_all_know, set_up_two, tear_down),
    };
    return cmocka_run_group_tests_name("naming", tests, NULL, NULL);
}
