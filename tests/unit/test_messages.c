/* PUBLISH and SUBSCRIBE on socket pairs, through the log of a cluster of one: who hears what, in
 * which order and form, and what becomes of one who does not read.  See test_clients.h. */
#include "command/channels_internal.h"
#include "test_clients.h"

#include "command/command.h"
#include "command/exec_form.h"

#define TO_A "$7\r\nmessage\r\n$1\r\na\r\n"

static void a_message_comes_before_the_reply_to_it(void **state)
{
    (void)state;
    int a = dial();
    house.clients->all->connection.protocol = 3; /* HELLO asks who leads */
    say(a, "SUBSCRIBE a\r\n");
    assert_hears(a, ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    say(a, "SET k 1\r\nPUBLISH a x\r\nGET k\r\nPUBLISH b x\r\n");
    assert_hears(a, "+OK\r\n>3\r\n" TO_A "$1\r\nx\r\n:1\r\n$1\r\n1\r\n:0\r\n");
    close(a);
}

static void many_hear_the_same(void **state)
{
    (void)state;
    int publisher = dial(), plain = dial(), pattern = dial(), both = dial(), sharded = dial();
    say(plain, "SUBSCRIBE a b\r\n");
    assert_hears(plain, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
                        "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n");
    say(pattern, "PSUBSCRIBE [a]*\r\n");
    assert_hears(pattern, "*3\r\n$10\r\npsubscribe\r\n$4\r\n[a]*\r\n:1\r\n");
    say(both, "SUBSCRIBE a\r\nPSUBSCRIBE ?\r\n");
    assert_hears(both, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
                       "*3\r\n$10\r\npsubscribe\r\n$1\r\n?\r\n:2\r\n");
    say(sharded, "SSUBSCRIBE a\r\n");
    assert_hears(sharded, "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    say(publisher, "PUBLISH a x\r\nSPUBLISH a y\r\nPUBLISH b z\r\n");
    assert_hears(publisher, ":4\r\n:1\r\n:2\r\n");
    assert_hears(plain, "*3\r\n" TO_A "$1\r\nx\r\n*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\nz\r\n");
    assert_hears(pattern, "*4\r\n$8\r\npmessage\r\n$4\r\n[a]*\r\n$1\r\na\r\n$1\r\nx\r\n");
    assert_hears(both, "*3\r\n" TO_A "$1\r\nx\r\n"
                       "*4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\na\r\n$1\r\nx\r\n"
                       "*4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\nb\r\n$1\r\nz\r\n");
    assert_hears(sharded, "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\ny\r\n");
    close(plain);
    close(both);
    turns();
    say(publisher, "PUBSUB CHANNELS\r\nPUBSUB NUMPAT\r\nPUBSUB SHARDNUMSUB a b\r\n");
    assert_hears(publisher, "*0\r\n:1\r\n*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:0\r\n");
    close(publisher);
    close(pattern);
    close(sharded);
}

/* Inside EXEC and ONCE: the order is that of the commands, and of an ONCE sent again it is one. */
static void messages_of_carried_commands(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(b, "SUBSCRIBE a\r\n");
    assert_hears(b, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    say(a, "MULTI\r\nPUBLISH a 1\r\nSET k 1\r\nPUBLISH a 2\r\nPUBLISH a 2\r\nEXEC\r\n");
    struct buffer heard = {0};
    assert_true(hear_all(a, &heard));
    assert_non_null(strstr(heard.data, "+OK\r\n:"));
    buffer_deinit(&heard);
    assert_hears(b, "*3\r\n" TO_A "$1\r\n1\r\n*3\r\n" TO_A "$1\r\n2\r\n*3\r\n" TO_A "$1\r\n2\r\n");
    say(a, "ONCE c 1 PUBLISH a 3\r\nONCE c 1 PUBLISH a 3\r\nMULTI\r\nPUBLISH a 4\r\nDISCARD\r\n");
    turns();
    assert_hears(b, "*3\r\n" TO_A "$1\r\n3\r\n");
    close(a);
    close(b);
}

/* Each PUBLISH of EXEC says who got its message here; a script does not, nor does ONCE. */
static void receivers_of_carried_messages(void **state)
{
    (void)state;
    int a = dial(), b = dial(), c = dial();
    struct buffer heard = {0};
    say(b, "SUBSCRIBE a\r\n");
    say(c, "PSUBSCRIBE *\r\n");
    (void)hear_all(b, &heard);
    (void)hear_all(c, &heard);
    buffer_deinit(&heard);
    say(a, "MULTI\r\nPUBLISH a 1\r\nPING\r\nEVAL \"redis.call('publish', 'a', 'x') return "
           "redis.call('publish', 'b', 'y')\" 0\r\nPUBLISH none x\r\nGET k\r\nPUBLISH a 2\r\n"
           "SPUBLISH a 3\r\nEXEC\r\n");
    assert_hears(a, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
                    "+QUEUED\r\n*7\r\n:2\r\n+PONG\r\n:0\r\n:1\r\n$-1\r\n:2\r\n:0\r\n");
    say(a, "MULTI\r\nPUBLISH a 1\r\nONCE c 1 EXEC\r\nMULTI\r\nPUBLISH a 1\r\nONCE c 1 EXEC\r\n");
    assert_hears(a, "+OK\r\n+QUEUED\r\n*1\r\n:0\r\n+OK\r\n+QUEUED\r\n*1\r\n:0\r\n");
    say(a, "WATCH k\r\nSET k 1\r\nMULTI\r\nPUBLISH a 1\r\nEXEC\r\nPUBLISH a 1\r\n");
    assert_hears(a, "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n:2\r\n");
    close(a);
    close(b);
    close(c);
}

/* The leader's answer is another node's words: of fewer commands, or of none. */
static void receivers_of_a_reply_that_is_none(void **state)
{
    const struct bytes get[] = {bytes_from_string("get"), bytes_from_string("k")};
    const char *replies[] = {"*2\r\n", "*2\r\n:0\r\n", "*2\r\n:0\r\n$9\r\nx\r\n", "*2\r\n?"};
    struct blob *words = command_encode(get, 2);
    struct buffer element = {0};
    (void)state;
    buffer_append_byte(&element, EXEC_COMMAND);
    buffer_append_byte(&element, 0);
    buffer_append_bytes(&element, blob_bytes(words));
    const struct bytes argv[] = {bytes_from_string(EXEC_NAME), bytes_from_string(""),
                                 buffer_bytes(&element), buffer_bytes(&element)};
    struct blob *request = command_encode(argv, 4);
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct buffer text = {0};
        struct bytes reply = bytes_from_string(replies[i]);
        struct bytes counted = command_count_receivers(NULL, blob_bytes(request), 1, reply, &text);
        assert_true(bytes_equal(counted, reply));
        buffer_deinit(&text);
    }
    buffer_deinit(&element);
    blob_release(words);
    blob_release(request);
}

static void what_a_subscriber_may_say(void **state)
{
    (void)state;
    int a = dial();
    say(a, "SUBSCRIBE a\r\nGET k\r\nPING\r\nPING x\r\nMULTI\r\nRESET\r\nGET k\r\n");
    assert_hears(a, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
                    "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                    "QUIT / RESET are allowed in this context\r\n"
                    "*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$1\r\nx\r\n"
                    "-ERR Can't execute 'multi': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                    "QUIT / RESET are allowed in this context\r\n"
                    "+RESET\r\n$-1\r\n");
    say(a, "UNSUBSCRIBE\r\nSUBSCRIBE a\r\nUNSUBSCRIBE a\r\nGET k\r\nSUBSCRIBE a\r\nQUIT\r\n");
    assert_hears_last(a, "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"
                         "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
                         "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n$-1\r\n"
                         "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+OK\r\n");
}

/* Also while CLIENT REPLY is off. */
static void silence_is_not_for_messages(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "CLIENT REPLY OFF\r\nSUBSCRIBE a\r\n");
    assert_hears(a, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    say(b, "PUBLISH a x\r\n");
    assert_hears(b, ":1\r\n");
    assert_hears(a, "*3\r\n" TO_A "$1\r\nx\r\n");
    close(a);
    close(b);
}

static void say_publish(int fd, size_t size)
{
    struct buffer text = {0};
    buffer_printf(&text, "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$%zu\r\n", size);
    while (size-- > 0)
        buffer_append_byte(&text, 'm');
    buffer_append(&text, "\r\n", 2);
    say_bytes(fd, text.data, text.size);
    buffer_deinit(&text);
}

/* Who does not read is closed; the others, and whoever publishes, notice nothing of it. */
static void a_subscriber_that_does_not_read(void **state)
{
    (void)state;
    int publisher = dial(), slow = dial(), reader = dial();
    struct buffer heard = {0};
    set("client-output-buffer-limit", "pubsub 1000000 0 0");
    say(slow, "SUBSCRIBE a\r\n");
    say(reader, "SUBSCRIBE a\r\n");
    turns();
    for (int i = 0; i < 30; i++) {
        say_publish(publisher, 100000);
        assert_true(hear_all(reader, &heard));
        assert_true(hear_all(publisher, &heard));
    }
    assert_int_equal(clients_count(house.clients), 2);
    assert_int_equal(clients_stats(house.clients)->closed_for_output, 1);
    assert_false(hear_all(slow, &heard));
    buffer_deinit(&heard);
    say(publisher, "PUBLISH a x\r\n");
    assert_hears(publisher, ":1\r\n");
    close(slow);
    close(reader);
    close(publisher);
}

static void a_subscriber_that_reads_too_slowly_for_too_long(void **state)
{
    (void)state;
    int publisher = dial(), slow = dial();
    struct buffer heard = {0};
    set("client-output-buffer-limit", "pubsub 0 300000 3");
    say(slow, "SUBSCRIBE a\r\n");
    turns();
    for (int i = 0; i < 10; i++)
        say_publish(publisher, 100000);
    pass(2000);
    assert_int_equal(clients_count(house.clients), 2);
    assert_true(hear_all(slow, &heard)); /* just in time */
    for (int i = 0; i < 10; i++)
        say_publish(publisher, 100000);
    pass(4000);
    assert_int_equal(clients_count(house.clients), 1);
    close(slow);
    close(publisher);
    buffer_deinit(&heard);
}

/* One message in the memory of the node, however many wait for it. */
static void a_large_message_is_shared(void **state)
{
    enum { SUBSCRIBERS = 40, SIZE = 1 << 20 };
    (void)state;
    int publisher = dial(), subscribers[SUBSCRIBERS];
    for (int i = 0; i < SUBSCRIBERS; i++) {
        subscribers[i] = dial();
        say(subscribers[i], "SUBSCRIBE a\r\n");
        assert_hears(subscribers[i], "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    }
    say_publish(publisher, SIZE);
    assert_hears(publisher, ":40\r\n");
    size_t copied = 0;
    const struct blob *shared = NULL;
    for (const struct client *client = house.clients->all; client; client = client->next) {
        const struct outbox *out = &client->connection.out;
        copied += out->bytes.capacity;
        if (out->count == out->first)
            continue;
        if (!shared)
            shared = out->references[out->first].blob;
        assert_ptr_equal(out->references[out->first].blob, shared);
    }
    assert_true(copied < SIZE);
    struct buffer heard = {0};
    for (int i = 0; i < SUBSCRIBERS; i++) {
        assert_true(hear_all(subscribers[i], &heard));
        assert_true(heard.size > SIZE);
        buffer_clear(&heard);
        close(subscribers[i]);
    }
    buffer_deinit(&heard);
    close(publisher);
}

/* The position that SUBSCRIBE begins behind: what was published before is not for it, however late
 * it is applied here. */
static void what_was_published_before(void **state)
{
    (void)state;
    int a = dial();
    struct channels *channels = house.server.channels;
    struct command_listener *listener = channels_listener(channels);
    say(a, "SUBSCRIBE a\r\n");
    assert_hears(a, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    uint64_t applied = db_applied_index(house.db);
    struct db_effect effect = {.type = DB_EFFECT_MESSAGE,
                               .key = bytes_from_string("a"),
                               .message = bytes_from_string("old")};
    listener->effect(listener, applied, &effect);
    assert_hears(a, "");
    assert_int_equal(channels_receivers(channels, applied, 0), 0);
    effect.message = bytes_from_string("new");
    listener->effect(listener, applied + 1, &effect);
    listener->effect(listener, applied + 1, &effect);
    assert_hears(a, "*3\r\n" TO_A "$3\r\nnew\r\n*3\r\n" TO_A "$3\r\nnew\r\n");
    assert_int_equal(channels_receivers(channels, applied + 1, 0), 1);
    assert_int_equal(channels_receivers(channels, applied + 1, 1), 1);
    assert_int_equal(channels_receivers(channels, applied + 1, 2), 0);
    assert_int_equal(channels_receivers(channels, applied + 2, 0), 0);
    close(a);
}

#define EVENT(channel, size, message)                                                              \
    "*4\r\n$8\r\npmessage\r\n$6\r\n__key*\r\n$" size "\r\n" channel "\r\n" message "\r\n"

static void changes_are_published_where_it_is_wanted(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "PSUBSCRIBE __key*\r\n");
    turns();
    struct buffer heard = {0};
    assert_true(hear_all(a, &heard));
    buffer_deinit(&heard);
    say(b, "SET k 1\r\n");
    assert_hears(b, "+OK\r\n");
    assert_hears(a, "");
    set("notify-keyspace-events", "KElg");
    say(b, "SET k 1\r\nLPUSH l 1\r\nLPOP l\r\nDEL k k\r\n");
    turns();
    assert_hears(a, EVENT("__keyspace@0__:l", "16", "$5\r\nlpush")
                        EVENT("__keyevent@0__:lpush", "20", "$1\r\nl")
                            EVENT("__keyspace@0__:l", "16", "$4\r\nlpop")
                                EVENT("__keyevent@0__:lpop", "19", "$1\r\nl")
                                    EVENT("__keyspace@0__:l", "16", "$3\r\ndel")
                                        EVENT("__keyevent@0__:del", "18", "$1\r\nl")
                                            EVENT("__keyspace@0__:k", "16", "$3\r\ndel")
                                                EVENT("__keyevent@0__:del", "18", "$1\r\nk"));
    set("notify-keyspace-events", "Ex");
    say(b, "SET k 1 PX 100\r\n");
    pass(1000);
    assert_hears(a, EVENT("__keyevent@0__:expired", "22", "$1\r\nk"));
    close(a);
    close(b);
}

/* How many got it is remembered of the last only, and never mistaken for another's. */
static void receivers_are_forgotten(void **state)
{
    (void)state;
    int a = dial();
    struct channels *channels = house.server.channels;
    struct command_listener *listener = channels_listener(channels);
    say(a, "SUBSCRIBE a\r\n");
    turns();
    uint64_t first = db_applied_index(house.db) + 1;
    struct buffer heard = {0};
    struct db_effect effect = {.type = DB_EFFECT_MESSAGE, .key = bytes_from_string("a")};
    for (uint64_t i = 0; i < 20000; i++) {
        listener->effect(listener, first + i, &effect);
        if (i % 1000 == 0)
            assert_true(hear_all(a, &heard));
        buffer_clear(&heard);
    }
    assert_int_equal(channels_receivers(channels, first, 0), 0);
    assert_int_equal(channels_receivers(channels, first + 19999 - 16383, 0), 1);
    assert_int_equal(channels_receivers(channels, first + 19999, 0), 1);
    assert_int_equal(channels_receivers(channels, first + 20000, 0), 0);
    buffer_deinit(&heard);
    close(a);
}

/* Their names are such that one bucket would have all of them. */
static void who_chooses_names_does_not_choose_their_buckets(void **state)
{
    (void)state;
    const struct channels *channels = house.server.channels;
    int a = dial();
    struct buffer heard = {0};
    say_colliding(a, "SUBSCRIBE", 0, COLLIDING_MAX, "");
    say_colliding(a, "PSUBSCRIBE", 0, COLLIDING_MAX, "");
    assert_true(hear_all(a, &heard));
    assert_int_equal(channels->names[CHANNEL_PLAIN].count, COLLIDING_MAX);
    assert_int_equal(channels->names[CHANNEL_PATTERN].count, COLLIDING_MAX);
    assert_in_range(longest_chain(&channels->names[CHANNEL_PLAIN]), 1, CHAIN_MAX);
    assert_in_range(longest_chain(&channels->names[CHANNEL_PATTERN]), 1, CHAIN_MAX);
    assert_in_range(longest_chain(&channels->subscriptions), 1, CHAIN_MAX);
    buffer_deinit(&heard);
    close(a);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    log_set_level(LOG_LEVEL_WARNING);
    const struct CMUnitTest tests[] = {
        TEST(a_message_comes_before_the_reply_to_it),
        TEST(many_hear_the_same),
        TEST(messages_of_carried_commands),
        TEST(what_a_subscriber_may_say),
        TEST(silence_is_not_for_messages),
        TEST(a_subscriber_that_does_not_read),
        TEST(a_subscriber_that_reads_too_slowly_for_too_long),
        TEST(a_large_message_is_shared),
        TEST(what_was_published_before),
        TEST(changes_are_published_where_it_is_wanted),
        TEST(receivers_are_forgotten),
        TEST(who_chooses_names_does_not_choose_their_buckets),
        TEST(receivers_of_carried_messages),
        TEST(receivers_of_a_reply_that_is_none),
    };
    return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
