/* CLIENT TRACKING on socket pairs: who is told of which change, and when: never before the reply
 * that the change makes worthless.  See test_clients.h. */
#include "test_clients.h"

#include "command/tracking.h"

#define OF_K ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
#define OF_ALL ">2\r\n$10\r\ninvalidate\r\n_\r\n"
#define NIL "_\r\n"

/* One that speaks RESP3 and has said `line`. */
static int dial_3(const char *line)
{
    int fd = dial();
    house.clients->all->prev->connection.protocol = 3; /* the newest; HELLO asks who leads */
    say(fd, line);
    assert_hears(fd, "+OK\r\n");
    return fd;
}

/* As an entry on another node would, which this one applies now. */
static void change(enum db_effect_type type, const char *key)
{
    struct command_listener *listener = channels_listener(house.server.channels);
    static uint64_t index = 1000000;
    struct db_effect effect = {.type = type, .event = "set", .key = bytes_from_string(key)};
    listener->author = 0;
    listener->effect(listener, ++index, &effect);
}

static void who_has_read_is_told_once(void **state)
{
    (void)state;
    int a = dial_3("CLIENT TRACKING ON\r\n"), b = dial();
    say(b, "SET k 1\r\n");
    assert_hears(b, "+OK\r\n");
    assert_hears(a, "");
    say(a, "GET k\r\nMGET j k\r\n");
    assert_hears(a, "$1\r\n1\r\n*2\r\n" NIL "$1\r\n1\r\n");
    say(b, "SET k 2\r\nSET k 3\r\nSET other 1\r\n");
    assert_hears(b, "+OK\r\n+OK\r\n+OK\r\n");
    assert_hears(a, OF_K);
    say(a, "CLIENT TRACKING OFF\r\nGET k\r\n");
    assert_hears(a, "+OK\r\n$1\r\n3\r\n");
    say(b, "SET k 4\r\n");
    assert_hears(b, "+OK\r\n");
    assert_hears(a, "");
    close(a);
    close(b);
}

/* The change is applied here while replies that may show the old value are still on their way. */
static void an_invalidation_waits_for_the_replies_before_it(void **state)
{
    (void)state;
    int a = dial_3("CLIENT TRACKING ON\r\n");
    house.disk_hangs = true;
    say(a, "SET k 1\r\nGET k\r\n");
    turns();
    change(DB_EFFECT_PUT, "k");
    assert_hears(a, "");
    house.disk_hangs = false;
    /* Its own SET is a change, too, before the read of it is noted as one of the past. */
    assert_hears(a, "+OK\r\n$1\r\n1\r\n" OF_K);
    say(a, "GET k\r\n");
    assert_hears(a, "$1\r\n1\r\n");
    change(DB_EFFECT_DELETED, "k");
    assert_hears(a, OF_K);
    close(a);
}

static void too_much_that_waits_is_everything(void **state)
{
    (void)state;
    static char key[100001];
    int a = dial_3("CLIENT TRACKING ON BCAST\r\n");
    house.disk_hangs = true;
    say(a, "SET k 1\r\n");
    turns();
    memset(key, 'k', sizeof key - 1);
    for (int i = 0; i < 30; i++) {
        key[0] = (char)('a' + i % 26);
        change(DB_EFFECT_PUT, key);
        assert_true(house.clients->all->connection.tracking.held_bytes < (1 << 20) + 200);
    }
    house.disk_hangs = false;
    struct buffer heard = {0};
    assert_true(hear_all(a, &heard));
    assert_memory_equal(heard.data, "+OK\r\n" OF_ALL, 5 + strlen(OF_ALL));
    buffer_deinit(&heard);
    close(a);
}

static void prefixes(void **state)
{
    (void)state;
    int a = dial_3("CLIENT TRACKING ON BCAST PREFIX k PREFIX l:\r\n"), b = dial();
    int all = dial_3("CLIENT TRACKING ON BCAST\r\n");
    say(b, "SET k 1\r\nSET j 1\r\nSET l 1\r\nLPUSH l:1 1\r\nLPOP l:1\r\n");
    turns();
    assert_hears(a, OF_K ">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nl:1\r\n"
                         ">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nl:1\r\n");
    struct buffer heard = {0};
    assert_true(hear_all(all, &heard));
    buffer_deinit(&heard);
    assert_int_equal(tracking_count(house.server.channels).prefixes, 3);
    close(a);
    close(all);
    turns();
    assert_int_equal(tracking_count(house.server.channels).prefixes, 0);
    assert_int_equal(tracking_count(house.server.channels).clients, 0);
    close(b);
}

static void opting_in_and_out(void **state)
{
    (void)state;
    int in = dial_3("CLIENT TRACKING ON OPTIN\r\n"), out = dial_3("CLIENT TRACKING ON OPTOUT\r\n");
    say(in, "GET k\r\nCLIENT CACHING YES\r\nGET j\r\nGET l\r\n");
    assert_hears(in, NIL "+OK\r\n" NIL NIL);
    say(out, "GET k\r\nCLIENT CACHING NO\r\nGET j\r\nGET l\r\n");
    assert_hears(out, NIL "+OK\r\n" NIL NIL);
    change(DB_EFFECT_PUT, "j");
    change(DB_EFFECT_PUT, "k");
    change(DB_EFFECT_PUT, "l");
    assert_hears(in, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nj\r\n");
    assert_hears(out, OF_K ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nl\r\n");
    say(in, "CLIENT CACHING YES\r\nMULTI\r\nGET k\r\nGET j\r\nEXEC\r\nGET l\r\n");
    assert_hears(in, "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" NIL NIL NIL);
    assert_int_equal(tracking_count(house.server.channels).items, 2);
    close(in);
    close(out);
}

static void ones_own_changes(void **state)
{
    (void)state;
    int a = dial_3("CLIENT TRACKING ON NOLOOP\r\n"), b = dial_3("CLIENT TRACKING ON\r\n");
    say(a, "GET k\r\nSET k 1\r\n");
    assert_hears(a, NIL "+OK\r\n");
    say(b, "GET k\r\nSET k 2\r\n");
    assert_hears(b, "$1\r\n1\r\n+OK\r\n" OF_K);
    assert_hears(a, OF_K); /* that was another's */
    say(a, "GET k\r\nFLUSHALL\r\n");
    assert_hears(a, "$1\r\n2\r\n+OK\r\n" OF_ALL); /* as in Redis */
    assert_hears(b, OF_ALL);
    say(a, "SET k 1 PX 1000\r\nGET k\r\n");
    assert_hears(a, "+OK\r\n$1\r\n1\r\n");
    pass(2000);
    assert_hears(a, OF_K); /* its end is nobody's */
    close(a);
    close(b);
}

static void everything_at_once(void **state)
{
    (void)state;
    int a = dial_3("CLIENT TRACKING ON\r\n"), b = dial();
    say(b, "SET k 1\r\nSELECT 1\r\nSET k 1\r\n");
    turns();
    say(a, "GET k\r\n");
    assert_hears(a, "$1\r\n1\r\n");
    say(b, "FLUSHALL\r\n");
    turns();
    assert_hears(a, OF_ALL);
    assert_int_equal(tracking_count(house.server.channels).keys, 0);
    say(b, "SET k 1\r\nSWAPDB 0 1\r\nFLUSHDB\r\n");
    turns();
    assert_hears(a, OF_ALL OF_ALL);
    close(a);
    close(b);
}

static void a_key_that_ends_by_its_time(void **state)
{
    (void)state;
    int a = dial_3("CLIENT TRACKING ON\r\n"), b = dial();
    say(b, "SET k 1 PX 1000\r\n");
    assert_hears(b, "+OK\r\n");
    say(a, "GET k\r\n");
    assert_hears(a, "$1\r\n1\r\n");
    pass(2000);
    assert_hears(a, OF_K);
    close(a);
    close(b);
}

static void only_so_many_keys(void **state)
{
    (void)state;
    set("tracking-table-max-keys", "2");
    int a = dial_3("CLIENT TRACKING ON\r\n");
    say(a, "GET k\r\nGET l\r\n");
    assert_hears(a, NIL NIL);
    say(a, "GET m\r\n");
    assert_hears(a, NIL OF_K); /* the oldest, behind the reply */
    assert_int_equal(tracking_count(house.server.channels).keys, 2);
    close(a);
}

static void hear_something(int fd)
{
    struct buffer heard = {0};
    assert_true(hear_all(fd, &heard));
    assert_true(heard.size > 0);
    buffer_deinit(&heard);
}

/* From k0 on. */
static void read_keys(int fd, int count)
{
    char line[32];
    for (int i = 0; i < count; i++) {
        snprintf(line, sizeof line, "GET k%d\r\n", i);
        say(fd, line);
        assert_hears(fd, NIL);
    }
}

static void a_lowered_bound_holds_soon(void **state)
{
    (void)state;
    int a = dial_3("CLIENT TRACKING ON\r\n");
    read_keys(a, 310);
    set("tracking-table-max-keys", "200");
    say(a, "GET k309\r\n");
    hear_something(a);
    assert_int_equal(tracking_count(house.server.channels).keys, 209); /* no longer at a time */
    say(a, "GET new\r\n");
    hear_something(a);
    assert_int_equal(tracking_count(house.server.channels).keys, 200);
    close(a);
}

/* However many keys it names. */
static void a_command_evicts_so_many_at_most(void **state)
{
    (void)state;
    enum { READ = 310, NAMED = 50 };
    struct buffer line = {0};
    int a = dial_3("CLIENT TRACKING ON\r\n");
    read_keys(a, READ);
    set("tracking-table-max-keys", "1");
    buffer_printf(&line, "MGET");
    for (int i = READ - NAMED; i < READ; i++)
        buffer_printf(&line, " k%d", i);
    buffer_append(&line, "\r\n", sizeof "\r\n");
    say(a, line.data);
    hear_something(a);
    assert_int_equal(tracking_count(house.server.channels).keys, READ - NAMED - 100);
    buffer_deinit(&line);
    close(a);
}

/* Else it would keep them, and nobody would tell it of their changes. */
static void what_is_evicted_is_news_to_who_wrote_last(void **state)
{
    (void)state;
    set("tracking-table-max-keys", "1");
    int a = dial_3("CLIENT TRACKING ON NOLOOP\r\n");
    say(a, "GET k\r\nSET other 1\r\n");
    assert_hears(a, NIL "+OK\r\n");
    say(a, "GET l\r\n");
    assert_hears(a, NIL OF_K);
    assert_int_equal(tracking_count(house.server.channels).keys, 1);
    close(a);
}

/* What CLIENT INFO says of it. */
static void assert_redirects(int fd, const char *wanted)
{
    struct buffer heard = {0};
    say(fd, "CLIENT INFO\r\n");
    assert_true(hear_all(fd, &heard));
    assert_non_null(strstr(heard.data, wanted));
    buffer_deinit(&heard);
}

static void in_the_place_of_another(void **state)
{
    (void)state;
    int teller = dial(), a = dial();
    struct buffer line = {0};
    say(teller, "SUBSCRIBE __redis__:invalidate\r\n");
    turns();
    struct buffer heard = {0};
    assert_true(hear_all(teller, &heard));
    assert_redirects(a, " redir=-1 ");
    say(a, "CLIENT TRACKING ON\r\n");
    assert_hears(a, "+OK\r\n");
    assert_redirects(a, " redir=0 ");
    say(a, "CLIENT TRACKING OFF\r\n");
    assert_hears(a, "+OK\r\n");
    buffer_printf(&line, "CLIENT TRACKING ON REDIRECT %u\r\nGET k\r\nCLIENT GETREDIR\r\n", 1);
    buffer_append_byte(&line, '\0');
    say(a, line.data);
    assert_hears(a, "+OK\r\n$-1\r\n:1\r\n");
    assert_redirects(a, " redir=1 ");
    change(DB_EFFECT_PUT, "k");
    assert_hears(teller, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n");
    assert_hears(a, "");
    close(teller);
    turns();
    say(a, "GET k\r\n");
    assert_hears(a, "$-1\r\n");
    change(DB_EFFECT_PUT, "k");
    say(a, "CLIENT TRACKINGINFO\r\n");
    assert_hears(a, "*6\r\n$5\r\nflags\r\n*2\r\n$2\r\non\r\n$15\r\nbroken_redirect\r\n"
                    "$8\r\nredirect\r\n:1\r\n$8\r\nprefixes\r\n*0\r\n");
    buffer_deinit(&heard);
    buffer_deinit(&line);
    close(a);
}

enum { VERY_MANY = 8192 + 1 };

static void exists_of_very_many(struct buffer *words)
{
    buffer_printf(words, "*%d\r\n$6\r\nEXISTS\r\n", VERY_MANY + 1);
    for (int i = 0; i < VERY_MANY; i++)
        buffer_printf(words, "$5\r\nk%04d\r\n", i);
}

/* Of so many not each is noted: its client forgets all it has, behind the reply. */
static void one_that_reads_very_many_keys(void **state)
{
    (void)state;
    struct buffer words = {0};
    int a = dial_3("CLIENT TRACKING ON\r\n");
    say(a, "GET first\r\n");
    assert_hears(a, NIL);
    exists_of_very_many(&words);
    say_bytes(a, words.data, words.size);
    turns();
    assert_hears(a, ":0\r\n" OF_ALL);
    assert_true(tracking_count(house.server.channels).keys <= VERY_MANY);
    say(a, "GET last\r\n");
    assert_hears(a, NIL);
    change(DB_EFFECT_PUT, "last");
    assert_hears(a, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\nlast\r\n");
    buffer_deinit(&words);
    close(a);
}

/* It always has a request out; what is behind one reply comes behind that, not behind the last. */
static void reads_of_very_many_keys_do_not_put_off_what_is_held(void **state)
{
    (void)state;
    struct buffer words = {0};
    int a = dial_3("CLIENT TRACKING ON\r\n");
    exists_of_very_many(&words);
    exists_of_very_many(&words);
    house.disk_hangs = true;
    say(a, "SET other 1\r\n");
    say_bytes(a, words.data, words.size);
    turns();
    house.disk_hangs = false;
    turns();
    assert_hears(a, "+OK\r\n:0\r\n" OF_ALL ":0\r\n" OF_ALL);
    buffer_deinit(&words);
    close(a);
}

/* Who does not read what it is told is closed. */
static void invalidations_are_bounded(void **state)
{
    (void)state;
    static char key[100001];
    int a = dial_3("CLIENT TRACKING ON BCAST\r\n");
    set("client-output-buffer-limit", "pubsub 1000000 0 0");
    memset(key, 'k', sizeof key - 1);
    for (int i = 0; i < 30; i++) {
        key[0] = (char)('a' + i % 26);
        change(DB_EFFECT_PUT, key);
    }
    turns();
    assert_int_equal(clients_count(house.clients), 0);
    close(a);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* Who reads and flushes in turns, quicker than what was flushed is freed, has no more in memory
 * than there was at some time. */
static void what_a_flush_left_ends_when_others_come(void **state)
{
    (void)state;
    static const struct bytes reads[] = {{"GET", 3}, {"j", 1}, {"GET", 3}, {"k", 1}};
    int a = dial_3("CLIENT TRACKING ON\r\n");
    struct channels *channels = house.server.channels;
    struct connection *connection = &house.clients->all->connection;
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < sizeof reads / sizeof *reads; i += 2)
            tracking_remember(channels, connection, command_find(reads + i, 2), reads + i, 2);
        assert_int_equal(tracking_count(channels).items, 2);
        assert_int_equal(connection->subscribed[CHANNEL_TRACKED], 2);
        change(DB_EFFECT_FLUSHED, "");
    }
    close(a);
}

/* What was read before a flush is forgotten with it, though it may be there a while longer. */
static void what_a_flush_forgets_is_told_no_more(void **state)
{
    (void)state;
    int a = dial_3("CLIENT TRACKING ON\r\n"), b = dial_3("CLIENT TRACKING ON\r\n");
    struct channels *channels = house.server.channels;
    struct connection *connection = &house.clients->all->connection;
    say(a, "GET j\r\nGET k\r\n");
    say(b, "GET k\r\n");
    assert_hears(a, NIL NIL);
    assert_hears(b, NIL);
    assert_int_equal(tracking_count(channels).items, 3);
    change(DB_EFFECT_FLUSHED, "");
    assert_int_equal(tracking_count(channels).items, 0);
    assert_int_equal(tracking_count(channels).keys, 0);
    change(DB_EFFECT_PUT, "k");
    assert_true(channels_subscribe(channels, connection, CHANNEL_TRACKED, bytes_of("k", 1), 0));
    assert_int_equal(connection->subscribed[CHANNEL_TRACKED], 3);
    assert_int_equal(tracking_count(channels).items, 1);
    change(DB_EFFECT_PUT, "j");
    change(DB_EFFECT_PUT, "k");
    assert_int_equal(connection->subscribed[CHANNEL_TRACKED], 2);
    change(DB_EFFECT_FLUSHED, "");
    uint32_t left = 1;
    assert_false(channels_forget_some(channels, &left));
    assert_int_equal(left, 0);
    left = 3;
    assert_true(channels_forget_some(channels, &left));
    assert_int_equal(left, 1);
    assert_int_equal(connection->subscribed[CHANNEL_TRACKED], 0);
    assert_int_equal(tracking_count(channels).items, 0);
    assert_hears(a, OF_ALL OF_K OF_ALL);
    assert_hears(b, OF_ALL OF_ALL);
    close(a);
    close(b);
}

int main(void)
{
    log_set_level(LOG_LEVEL_WARNING);
    const struct CMUnitTest tests[] = {
        TEST(who_has_read_is_told_once),
        TEST(an_invalidation_waits_for_the_replies_before_it),
        TEST(too_much_that_waits_is_everything),
        TEST(prefixes),
        TEST(opting_in_and_out),
        TEST(ones_own_changes),
        TEST(everything_at_once),
        TEST(what_a_flush_forgets_is_told_no_more),
        TEST(what_a_flush_left_ends_when_others_come),
        TEST(a_key_that_ends_by_its_time),
        TEST(only_so_many_keys),
        TEST(a_lowered_bound_holds_soon),
        TEST(a_command_evicts_so_many_at_most),
        TEST(what_is_evicted_is_news_to_who_wrote_last),
        TEST(in_the_place_of_another),
        TEST(one_that_reads_very_many_keys),
        TEST(reads_of_very_many_keys_do_not_put_off_what_is_held),
        TEST(invalidations_are_bounded),
    };
    return cmocka_run_group_tests_name("tracking", tests, NULL, NULL);
}
