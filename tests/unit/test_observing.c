/* What a node notes of its own executions, and how SLOWLOG and LATENCY show it. */
#include "test_command.h"

#include "command/monitor.h"

static const struct slowlog_client somebody = {.address = "10.0.0.1:99", .name = "me"};

static void add(struct world *world, const struct bytes *argv, uint32_t argc, int64_t took_us,
                uint64_t max)
{
    struct call call = {.command = command_find(argv, argc), .argv = argv, .argc = argc};
    command_slowlog_add(&world->slowlog, &call, &somebody, took_us, 1700, max);
}

/* `line`: words with blanks between. */
static void add_line(struct world *world, const char *line, int64_t took_us, uint64_t max)
{
    struct bytes argv[32];
    uint32_t argc = 0;
    while (*line) {
        size_t size = strcspn(line, " ");
        argv[argc++] = bytes_of(line, size);
        line += size + (line[size] == ' ');
    }
    add(world, argv, argc, took_us, max);
}

/* ---- SLOWLOG ------------------------------------------------------------------------------- */

#define CLIENT "$11\r\n10.0.0.1:99\r\n$2\r\nme\r\n"

static void test_newest_first_and_so_many(void **state)
{
    struct world *world = *state;
    EXPECT(world, "SLOWLOG GET", "*0\r\n");
    add_line(world, "GET a", 10, 2);
    add_line(world, "GET b", 20, 2);
    add_line(world, "GET c", 30, 2);
    EXPECT(world, "SLOWLOG LEN", ":2\r\n");
    EXPECT(world, "SLOWLOG GET",
           "*2\r\n*6\r\n:2\r\n:1700\r\n:30\r\n*2\r\n$3\r\nGET\r\n$1\r\nc\r\n" CLIENT
           "*6\r\n:1\r\n:1700\r\n:20\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n" CLIENT);
    EXPECT(world, "SLOWLOG GET 1",
           "*1\r\n*6\r\n:2\r\n:1700\r\n:30\r\n*2\r\n$3\r\nGET\r\n$1\r\nc\r\n" CLIENT);
    EXPECT(world, "SLOWLOG GET 0", "*0\r\n");
    EXPECT(world, "SLOWLOG get 1 2",
           "-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.\r\n");
    EXPECT(world, "SLOWLOG GET -2", "-ERR count should be greater than or equal to -1\r\n");
    EXPECT(world, "SLOWLOG GET x", "-ERR count should be greater than or equal to -1\r\n");
    EXPECT(world, "SLOWLOG NO", "-ERR unknown subcommand 'NO'. Try SLOWLOG HELP.\r\n");
    add_line(world, "GET d", 1, 0); /* none is kept */
    EXPECT(world, "SLOWLOG GET -1", "*0\r\n");
    add_line(world, "GET e", 1, 9);
    EXPECT(world, "SLOWLOG RESET", OK);
    EXPECT(world, "SLOWLOG LEN", ":0\r\n");
    add_line(world, "GET f", 1, 9); /* numbers go on */
    EXPECT(world, "SLOWLOG GET",
           "*1\r\n*6\r\n:5\r\n:1700\r\n:1\r\n*2\r\n$3\r\nGET\r\n$1\r\nf\r\n" CLIENT);
    world->connection.protocol = 3;
    EXPECT(world, "SLOWLOG GET",
           "*1\r\n*6\r\n:5\r\n:1700\r\n:1\r\n*2\r\n$3\r\nGET\r\n$1\r\nf\r\n" CLIENT);
}

/* 32 words at most, of 128 bytes at most. */
static void test_words_are_cut(void **state)
{
    struct world *world = *state;
    static char letters[200];
    memset(letters, 'x', sizeof letters);
    struct bytes argv[40] = {bytes_of("MGET", 4)};
    for (int i = 1; i < 40; i++)
        argv[i] = bytes_of(letters, i <= 2 ? 127 + (size_t)i : 1);
    add(world, argv, 32, 1, 10);
    struct buffer wanted = {0};
    buffer_printf(&wanted, "*1\r\n*6\r\n:0\r\n:1700\r\n:1\r\n*32\r\n$4\r\nMGET\r\n");
    buffer_printf(&wanted, "$128\r\n%.128s\r\n$146\r\n%.128s... (1 more bytes)\r\n", letters,
                  letters);
    for (int i = 3; i < 32; i++)
        buffer_printf(&wanted, "$1\r\nx\r\n");
    buffer_printf(&wanted, CLIENT);
    world_expect(world, "SLOWLOG GET 1", buffer_bytes(&wanted));
    buffer_deinit(&wanted);
    add(world, argv, 40, 1, 10);
    struct bytes got = world_type(world, "SLOWLOG GET 1");
    assert_non_null(memmem(got.data, got.size, "*32\r\n$4\r\nMGET", 12));
    assert_non_null(memmem(got.data, got.size, "$22\r\n... (9 more arguments)", 26));
}

static void expect_shown(struct world *world, const char *line, const char *wanted)
{
    struct bytes got;
    command_slowlog_clear(&world->slowlog);
    add_line(world, line, 1, 1);
    got = buffer_bytes(&world->slowlog.newest->words);
    assert_non_null(memmem(got.data, got.size, wanted, strlen(wanted)));
    assert_null(memmem(got.data, got.size, "secret", 6));
}

static void test_secrets_are_not_shown(void **state)
{
    expect_shown(*state, "AUTH secret", "*2\r\n$4\r\nAUTH\r\n$10\r\n(redacted)\r\n");
    expect_shown(*state, "AUTH secret secret",
                 "*3\r\n$4\r\nAUTH\r\n$10\r\n(redacted)\r\n$10\r\n(red");
    expect_shown(*state, "HELLO 3 AUTH secret secret SETNAME x",
                 "AUTH\r\n$10\r\n(redacted)\r\n$10\r\n(redacted)\r\n$7\r\nSETNAME\r\n$1\r\nx");
    expect_shown(*state, "HELLO 3 SETNAME AUTH AUTH secret secret",
                 "$4\r\nAUTH\r\n$4\r\nAUTH\r\n$10\r\n(redacted)\r\n$10\r\n(redacted)\r\n");
    expect_shown(*state, "CONFIG SET timeout 5 RequirePass secret port 1",
                 "$1\r\n5\r\n$11\r\nRequirePass\r\n$10\r\n(redacted)\r\n$4\r\nport\r\n$1\r\n1\r\n");
    expect_shown(*state, "CONFIG GET requirepass", "requirepass");
    expect_shown(*state, "GET auth", "$4\r\nauth\r\n");
}

/* ---- LATENCY --------------------------------------------------------------------------------- */

static void test_a_sample_a_second(void **state)
{
    struct world *world = *state;
    EXPECT(world, "LATENCY LATEST", "*0\r\n");
    EXPECT(world, "LATENCY HISTORY command", "*0\r\n");
    EXPECT(world, "LATENCY GRAPH command", "-ERR No samples available for event 'command'\r\n");
    command_latency_add(&world->latency, LATENCY_COMMAND, 100, 7);
    command_latency_add(&world->latency, LATENCY_COMMAND, 100, 9);
    command_latency_add(&world->latency, LATENCY_COMMAND, 100, 8);
    command_latency_add(&world->latency, LATENCY_COMMAND, 102, 3);
    command_latency_add(&world->latency, LATENCY_FAST_COMMAND, 103, 1);
    EXPECT(world, "LATENCY LATEST",
           "*2\r\n*4\r\n$7\r\ncommand\r\n:102\r\n:3\r\n:9\r\n"
           "*4\r\n$12\r\nfast-command\r\n:103\r\n:1\r\n:1\r\n");
    EXPECT(world, "LATENCY HISTORY command", "*2\r\n*2\r\n:100\r\n:9\r\n*2\r\n:102\r\n:3\r\n");
    EXPECT(world, "LATENCY RESET nothing command", ":1\r\n");
    EXPECT(world, "LATENCY HISTORY command", "*0\r\n");
    EXPECT(world, "LATENCY RESET", ":1\r\n");
    EXPECT(world, "LATENCY LATEST", "*0\r\n");
}

static void test_the_newest_samples_stay(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 3 * LATENCY_SAMPLES + 5; i++)
        command_latency_add(&world->latency, LATENCY_COMMAND, 1000 + i, i);
    const struct latency_event *event =
        command_latency_find(&world->latency, bytes_from_string("command"));
    for (uint32_t i = 0; i < LATENCY_SAMPLES; i++) {
        const struct latency_sample *sample = command_latency_sample(event, i);
        assert_int_equal(sample->at_s, 1000 + 2 * LATENCY_SAMPLES + 5 + i);
        assert_int_equal(sample->ms, 2 * LATENCY_SAMPLES + 5 + i);
    }
    assert_null(command_latency_sample(event, LATENCY_SAMPLES));
}

static void test_graph_and_doctor(void **state)
{
    struct world *world = *state;
    struct bytes text = world_type(world, "LATENCY DOCTOR");
    assert_non_null(memmem(text.data, text.size, "No spike", 8));
    world->now_ms = 1000 * 1000;
    command_latency_add(&world->latency, LATENCY_COMMAND, 990, 10);
    command_latency_add(&world->latency, LATENCY_COMMAND, 995, 110);
    text = world_type(world, "LATENCY GRAPH command");
    const char *head = "command - high 110 ms, low 10 ms (all time high 110 ms)\n";
    assert_non_null(memmem(text.data, text.size, head, strlen(head)));
    const char *picture = "-\n #\n |\n |\n_|\n\n15\n0s\ns \n  \n";
    assert_non_null(memmem(text.data, text.size, picture, strlen(picture)));
    text = world_type(world, "LATENCY DOCTOR");
    const char *words = "command: 2 latency spikes (average 60ms, mean deviation 50ms, period "
                        "5.00 sec). Worst all time event 110ms.";
    assert_non_null(memmem(text.data, text.size, words, strlen(words)));
}

static void test_histogram(void **state)
{
    struct world *world = *state;
    const char *get2 = "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:4\r\n$14\r\nhistogram_usec\r\n"
                       "*4\r\n:1\r\n:3\r\n:4\r\n:4\r\n";
    EXPECT(world, "LATENCY HISTOGRAM", get2);
    EXPECT(world, "LATENCY HISTOGRAM GET", get2);
    EXPECT(world, "LATENCY HISTOGRAM set config", "*0\r\n");
    world->connection.protocol = 3;
    EXPECT(world, "LATENCY HISTOGRAM get",
           "%1\r\n$3\r\nget\r\n%2\r\n$5\r\ncalls\r\n:4\r\n$14\r\nhistogram_usec\r\n"
           "%2\r\n:1\r\n:3\r\n:4\r\n:4\r\n");
}

/* ---- MONITOR --------------------------------------------------------------------------------- */

static void expect_line(const struct bytes *argv, uint32_t argc, const char *wanted)
{
    struct monitored said = {.now_us = 1339518083000042,
                             .database = 3,
                             .address = "127.0.0.1:60866",
                             .command = command_find(argv, argc),
                             .argv = argv,
                             .argc = argc};
    struct buffer line = {0};
    command_monitor_line(&said, &line);
    buffer_append_byte(&line, '\0');
    assert_string_equal(line.data, wanted);
    buffer_deinit(&line);
}

static void test_monitor_line(void **state)
{
    (void)state;
    struct bytes keys[] = {bytes_from_string("keys"), bytes_from_string("*")};
    expect_line(keys, 2, "+1339518083.000042 [3 127.0.0.1:60866] \"keys\" \"*\"\r\n");
    struct bytes set[] = {bytes_from_string("SET"), bytes_of("\n\r\t\a\b\\\"\x01\xff\0~ ", 12),
                          bytes_of("", 0)};
    expect_line(set, 3,
                "+1339518083.000042 [3 127.0.0.1:60866] \"SET\" "
                "\"\\n\\r\\t\\a\\b\\\\\\\"\\x01\\xff\\x00~ \" \"\"\r\n");
    struct bytes auth[] = {bytes_from_string("auth"), bytes_from_string("secret")};
    expect_line(auth, 2, "+1339518083.000042 [3 127.0.0.1:60866] \"auth\" \"(redacted)\"\r\n");
}

/* A line is not much longer than it may be, whatever is said. */
static void test_monitor_line_is_bounded(void **state)
{
    (void)state;
    enum { SIZE = 3 * MONITOR_LINE_MAX };
    char *large = memory_new(SIZE);
    struct bytes set[] = {bytes_from_string("set"), bytes_of(large, SIZE), bytes_of(large, SIZE)};
    struct monitored said = {
        .address = "a", .command = command_find(set, 3), .argv = set, .argc = 3};
    struct buffer line = {0};
    command_monitor_line(&said, &line);
    assert_in_range(line.size, MONITOR_LINE_MAX, 4 * MONITOR_LINE_MAX + 1000);
    assert_non_null(
        memmem(line.data, line.size, " more bytes)\" \"... (1 more arguments)\"\r\n", 40));
    buffer_deinit(&line);
    memory_free(large);
}

static void test_who_monitors_may_say_little(void **state)
{
    struct world *world = *state;
    EXPECT(world, "MONITOR", OK);
    assert_true(world->connection.is_monitor);
    EXPECT(world, "MONITOR", "");
    EXPECT(world, "GET a", "-ERR Replica can't interact with the keyspace\r\n");
    EXPECT(world, "SET a b", "-ERR Replica can't interact with the keyspace\r\n");
    EXPECT(world, "PING", "+PONG\r\n");
    EXPECT(world, "RESET", "+RESET\r\n");
    EXPECT(world, "GET a", NIL2);
    const char *hidden[] = {"monitor", "config|set", "client|kill", "slowlog|get"};
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        assert_false(command_is_monitored(command_lookup(bytes_from_string(hidden[i]))));
    assert_true(command_is_monitored(command_lookup(bytes_from_string("get"))));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_newest_first_and_so_many),
        TEST(test_words_are_cut),
        TEST(test_secrets_are_not_shown),
        TEST(test_a_sample_a_second),
        TEST(test_the_newest_samples_stay),
        TEST(test_graph_and_doctor),
        TEST(test_histogram),
        TEST(test_monitor_line),
        TEST(test_monitor_line_is_bounded),
        TEST(test_who_monitors_may_say_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
