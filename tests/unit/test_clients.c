/* Connections of clients: who gets in, who waits, who is closed, and that every reply comes, in
 * order.  See test_clients.h. */
#include "test_clients.h"

#include <utlist.h>

#include "base/large.h"
#include "base/limits.h"
#include "test_log_lines.h"

/* ---- who gets in ------------------------------------------------------------------------ */

static void only_so_many_clients(void **state)
{
    (void)state;
    set("maxclients", "2");
    int a = dial(), b = dial(), c = dial();
    assert_hears_last(c, "-ERR max number of clients reached\r\n");
    assert_int_equal(clients_stats(house.clients)->connections_rejected, 1);
    close(a);
    turns();
    assert_int_equal(clients_count(house.clients), 1);
    int d = dial();
    say(d, "PING\r\n");
    assert_hears(d, "+PONG\r\n");
    close(b);
    close(d);
}

static void strangers_without_a_password(void **state)
{
    struct buffer heard = {0};
    (void)state;
    set("protected-mode", "yes");
    int a = dial();
    assert_false(hear_all(a, &heard));
    assert_memory_equal(heard.data, "-DENIED", 7);
    close(a);
    set("requirepass", "secret");
    a = dial();
    say(a, "PING\r\nAUTH secret\r\nPING\r\n");
    assert_hears(a, "-NOAUTH Authentication required.\r\n+OK\r\n+PONG\r\n");
    close(a);
    buffer_deinit(&heard);
}

/* A stranger may not send large words, not even after somebody was known on the connection. */
static void limits_after_reset(void **state)
{
    (void)state;
    set("requirepass", "secret");
    int a = dial(), b = dial();
    say(a, "AUTH secret\r\n");
    say_set(a, "k", 20000, 'x');
    assert_hears(a, "+OK\r\n+OK\r\n");
    say(a, "RESET\r\n");
    assert_hears(a, "+RESET\r\n");
    say(a, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n");
    assert_hears_last(a, "-ERR Protocol error: unauthenticated bulk length\r\n");
    say(b, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n");
    assert_hears_last(b, "-ERR Protocol error: unauthenticated bulk length\r\n");
}

static void what_a_web_page_sends(void **state)
{
    (void)state;
    int a = dial(), b = dial(), c = dial();
    say(a, "POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k 1\r\n");
    assert_hears_last(a, "");
    say(b, "GET k HTTP/1.1\r\nhost: x\r\n\r\nSET k 1\r\n");
    assert_hears_last(b, "");
    say(c, "EXISTS k\r\n");
    assert_hears(c, ":0\r\n");
    close(c);
}

/* Whoever sends such things may send many: the log does not grow by each. */
static void an_attack_is_logged_once_a_minute(void **state)
{
    static const char attack[] = "Possible SECURITY ATTACK";
    (void)state;
    log_lines_begin();
    for (int i = 0; i < 5; i++) {
        int a = dial();
        say(a, i % 2 ? "POST / HTTP/1.1\r\n" : "Host: x\r\n");
        assert_hears_last(a, "");
    }
    assert_int_equal(log_lines_with(attack), 1);
    pass(61000);
    int a = dial();
    say(a, "POST / HTTP/1.1\r\n");
    assert_hears_last(a, "");
    assert_int_equal(log_lines_with(attack), 2);
    log_lines_end();
}

/* ---- order ------------------------------------------------------------------------------ */

/* The versions that WATCH asks for have to come before what depends on them is made. */
static void transactions_in_one_pipeline(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "WATCH k\r\nMULTI\r\nINCR k\r\nGET k\r\nEXEC\r\nGET k\r\nWATCH k\r\nSET k 5\r\nMULTI\r\n"
           "INCR k\r\nEXEC\r\nGET k\r\n");
    assert_hears(a, "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n$1\r\n1\r\n$1\r\n1\r\n"
                    "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n$1\r\n5\r\n");
    /* Another client's change counts as well. */
    say(a, "WATCH k\r\n");
    assert_hears(a, "+OK\r\n");
    say(b, "INCR k\r\n");
    assert_hears(b, ":6\r\n");
    say(a, "MULTI\r\nINCR k\r\nEXEC\r\n");
    assert_hears(a, "+OK\r\n+QUEUED\r\n*-1\r\n");
    close(a);
    close(b);
}

/* In which database a command runs may depend on whether EXEC was done. */
static void select_in_a_transaction(void **state)
{
    (void)state;
    int a = dial();
    say(a,
        "SET k zero\r\nMULTI\r\nSELECT 4\r\nSET k four\r\nEXEC\r\nGET k\r\nSELECT 0\r\nGET k\r\n");
    assert_hears(a, "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n$4\r\nfour\r\n+OK\r\n"
                    "$4\r\nzero\r\n");
    say(a, "WATCH k\r\nSET k x\r\nMULTI\r\nSELECT 4\r\nGET k\r\nEXEC\r\nGET k\r\n");
    assert_hears(a, "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n$1\r\nx\r\n");
    close(a);
}

static void what_was_queued_goes_with_its_client(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "MULTI\r\nSET k v\r\n");
    assert_hears(a, "+OK\r\n+QUEUED\r\n");
    close(a);
    say(b, "GET k\r\n");
    assert_hears(b, "$-1\r\n");
    close(b);
}

/* No answer comes: the client is told so, and may go on. */
static void transaction_without_an_answer(void **state)
{
    (void)state;
    int a = dial();
    say(a, "SELECT 1\r\n");
    assert_hears(a, "+OK\r\n");
    house.disk_hangs = true;
    say(a, "MULTI\r\nSELECT 4\r\nINCR k\r\nEXEC\r\nCLIENT GETNAME\r\n");
    assert_hears(a, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    pass(12000);
    assert_hears(a, "-TIMEOUT No answer from the cluster; the command may or may not have been "
                    "executed\r\n$-1\r\n");
    say(a, "CLIENT INFO\r\n");
    struct buffer heard = {0};
    assert_true(hear_all(a, &heard));
    assert_non_null(strstr(heard.data, " db=1 "));
    buffer_deinit(&heard);
    close(a);
}

static void one_pipeline_of_everything(void **state)
{
    (void)state;
    int a = dial();
    say(a, "SET k 1\r\nGET k\r\nINCR k\r\nGET k\r\nPING\r\nNOSUCH\r\nINCR k\r\nGET k\r\nECHO x\r\n"
           "DEL k\r\nGET k\r\n");
    assert_hears(a, "+OK\r\n$1\r\n1\r\n:2\r\n$1\r\n2\r\n+PONG\r\n"
                    "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"
                    ":3\r\n$1\r\n3\r\n$1\r\nx\r\n:1\r\n$-1\r\n");
    close(a);
}

/* In one turn: one write of the disk carries a whole pipeline of changes and reads between them. */
static void reads_and_writes_go_together(void **state)
{
    struct buffer said = {0}, expected = {0}, heard = {0};
    (void)state;
    int a = dial();
    for (int i = 1; i <= 16; i++) {
        buffer_printf(&said, "INCR n\r\nGET n\r\n");
        buffer_printf(&expected, ":%d\r\n$%d\r\n%d\r\n", i, i < 10 ? 1 : 2, i);
    }
    buffer_append(&expected, "", 1);
    say_bytes(a, said.data, said.size);
    uint64_t written = house.written;
    turn();
    turn();
    turn();
    hear(a, &heard);
    assert_string_equal((char *)heard.data, (char *)expected.data);
    assert_true(house.written - written <= 2);
    close(a);
    buffer_deinit(&said);
    buffer_deinit(&expected);
    buffer_deinit(&heard);
}

static void silence_that_was_asked_for(void **state)
{
    (void)state;
    int a = dial();
    say(a,
        "SET k 1\r\nCLIENT REPLY SKIP\r\nGET k\r\nGET k\r\nCLIENT REPLY OFF\r\nINCR k\r\nGET k\r\n"
        "CLIENT REPLY ON\r\nGET k\r\n");
    assert_hears(a, "+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n");
    close(a);
}

/* Values that come to more than may be held for one client, read slowly: all come, in order, and no
 * more is held than a few of them. */
static void large_replies_through_a_slow_reader(void **state)
{
    enum { SIZE = 600 * 1024, READS = 40 };
    struct buffer heard = {0};
    uint64_t input, output;
    (void)state;
    int a = dial();
    say_set(a, "a", SIZE, 'a');
    say_set(a, "b", SIZE, 'b');
    assert_hears(a, "+OK\r\n+OK\r\n");
    for (int i = 0; i < READS; i++)
        say(a, i % 3 ? "GET a\r\n" : "GET b\r\n");
    size_t whole = READS * (size_t)(SIZE + 11); /* $614400 and two line ends */
    for (int i = 0; i < 4000 && heard.size < whole; i++) {
        char some[32 * 1024];
        turn();
        clients_biggest(house.clients, &input, &output);
        assert_true(output < 12 * SIZE);
        ssize_t taken = recv(a, some, sizeof some, 0);
        if (taken > 0)
            buffer_append(&heard, some, (size_t)taken);
    }
    assert_int_equal(heard.size, whole);
    for (int i = 0; i < READS; i++)
        assert_int_equal(heard.data[(size_t)i * (SIZE + 11) + 9], i % 3 ? 'a' : 'b');
    close(a);
    buffer_deinit(&heard);
}

/* Large replies to small commands that need no log: they are executed as the client reads. */
static void commands_wait_for_a_slow_reader(void **state)
{
    enum { COMMANDS = 1000 };
    struct buffer said = {0}, heard = {0};
    uint64_t input, output;
    (void)state;
    int a = dial();
    say(a, "COMMAND\r\n");
    assert_true(hear_all(a, &heard));
    size_t one = heard.size, whole = COMMANDS * one;
    assert_true(whole > 2 * CLIENT_UNSENT_MAX);
    buffer_clear(&heard);
    for (int i = 0; i < COMMANDS; i++)
        buffer_printf(&said, "COMMAND\r\n");
    say_bytes(a, said.data, said.size);
    for (int i = 0; i < 4000 && heard.size < whole; i++) {
        turn();
        clients_biggest(house.clients, &input, &output);
        assert_true(output <= CLIENT_UNSENT_MAX + one);
        if (i % 4 == 0)
            assert_true(hear(a, &heard));
    }
    assert_int_equal(heard.size, whole);
    close(a);
    buffer_deinit(&said);
    buffer_deinit(&heard);
}

/* And with a bound that the socket always has room for. */
static void commands_wait_for_their_turn(void **state)
{
    (void)state;
    house.clients->unsent_max = 10;
    int a = dial();
    say(a, "ECHO 0123456789\r\nECHO 0123456789\r\nECHO 0123456789\r\nPING\r\n");
    assert_hears(a, "$10\r\n0123456789\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n+PONG\r\n");
    close(a);
}

/* What waits is not taken apart again, as long as it stays where it is. */
static void a_waiting_command_and_what_comes_behind_it(void **state)
{
    (void)state;
    house.clients->unsent_max = 10;
    int a = dial();
    say_set(a, "room", 30000, 'x'); /* for all that follows: nothing is moved by chance */
    assert_hears(a, "+OK\r\n");
    house.disk_hangs = true;
    say(a, "SET k 0123456789\r\nGET k\r\n*2\r\n$4\r\nECHO\r\n$1\r\n1\r\n");
    turns();
    say(a, "ECHO two\r\nECHO three\r\nECHO four\r\nECHO five\r\n");
    turns();
    house.disk_hangs = false;
    assert_hears(a, "+OK\r\n$10\r\n0123456789\r\n$1\r\n1\r\n$3\r\ntwo\r\n$5\r\nthree\r\n"
                    "$4\r\nfour\r\n$4\r\nfive\r\n");
    close(a);
}

/* Nothing more comes, and all that came is still executed. */
static void the_last_commands_wait_for_their_turn(void **state)
{
    (void)state;
    house.clients->unsent_max = 10;
    int a = dial();
    say(a, "ECHO 0123456789\r\nECHO 0123456789\r\nSET k v\r\nPING\r\nGET k\r\n");
    shutdown(a, SHUT_WR);
    assert_hears_last(a, "$10\r\n0123456789\r\n$10\r\n0123456789\r\n+OK\r\n+PONG\r\n$1\r\nv\r\n");
}

/* ---- input ------------------------------------------------------------------------------ */

/* To announce a large value costs nothing, so it gets nothing; what has come of it earns room. */
static void what_is_only_announced_gets_no_room(void **state)
{
    enum { SIZE = 16 << 20, STEP = 256 * 1024 };
    const struct buffer *in;
    char *some = memory_new(STEP);
    (void)state;
    int a = dial();
    memset(some, 'x', STEP);
    say(a, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16777217\r\n");
    turns();
    say(a, "x"); /* the first read that knows what is announced */
    turns();
    in = &house.clients->all->in;
    for (size_t sent = 0; sent < SIZE; sent += STEP) {
        size_t proven = in->size > CLIENT_READ_MIN ? in->size : CLIENT_READ_MIN;
        assert_true(in->capacity <= 2 * (CLIENT_ROOM_FACTOR + 1) * proven);
        say_bytes(a, some, STEP);
        turns();
    }
    say(a, "\r\nSTRLEN k\r\n");
    assert_hears(a, "+OK\r\n:16777217\r\n");
    close(a);
    memory_free(some);
}

/* Once it is executed, whether at once or after it waited. */
static void room_for_a_large_command_is_given_back(void **state)
{
    enum { SIZE = 1 << 20 };
    const struct buffer *in;
    (void)state;
    int a = dial();
    in = &house.clients->all->in;
    say_set(a, "k", SIZE, 'x');
    assert_hears(a, "+OK\r\n");
    assert_in_range(in->capacity, 0, CLIENT_IN_KEEP);
    house.disk_hangs = true;
    say(a, "INCR n\r\n*2\r\n$4\r\nPING\r\n$500000\r\n");
    char *word = memory_new(500002);
    memset(word, 'y', 500000);
    memcpy(word + 500000, "\r\n", 2);
    say_bytes(a, word, 500002); /* behind a write, so it waits */
    turns();
    assert_true(in->size > 500000);
    house.disk_hangs = false;
    struct buffer heard = {0};
    assert_true(hear_all(a, &heard));
    assert_int_equal(heard.size, 4 + 9 + 500000 + 2);
    assert_in_range(in->capacity, 0, CLIENT_IN_KEEP);
    memory_free(word);
    buffer_deinit(&heard);
    close(a);
}

/* Bytes of large writes that wait, as far as their entries are made. */
static size_t made_of_waiting(void)
{
    size_t made = 0;
    const struct request *request;
    DL_FOREACH(house.replica->waiting, request)
    {
        made += request->payload_made;
    }
    return made;
}

static const struct client *client_of(uint64_t id)
{
    const struct client *client;
    DL_FOREACH(house.clients->all, client)
    {
        if (client->connection.id == id)
            return client;
    }
    fail();
    return NULL;
}

/* Large writes of two clients, a and c, that stand encoded, since the replica has no room. `b` is
 * another's. */
static void encode_two(int a, int b, int c, size_t size)
{
    enum { SOME = CLIENT_ENCODE_MAX, TURNS = 60 };
    const struct client *first = client_of(1), *second = client_of(3);
    uint64_t room = house.replica->options.waiting_max;
    size_t before = 0;
    int encoding = 0;
    say(b, "CLIENT PAUSE 1000000 WRITE\r\n");
    say_set(a, "large", size, 'l');
    say_set(c, "other", size, 'o');
    turns();
    assert_true(!first->encoding.blob && !second->encoding.blob); /* what waits has no copy */
    house.replica->options.waiting_max = 0;                       /* congested */
    say(b, "CLIENT UNPAUSE\r\n");
    turns();
    assert_true(first->stalled && second->stalled);
    assert_true(!first->encoding.blob && !second->encoding.blob);
    house.replica->options.waiting_max = room;
    for (int i = 0; i < TURNS && !second->to_encode; i++)
        turn();
    house.replica->options.waiting_max = 0;
    for (int i = 0; i < TURNS && second->encoding.words < 3; i++) {
        size_t done = first->encoding.at + second->encoding.at;
        encoding += done > before;
        assert_in_range(done - before, 0, SOME);
        assert_true(!second->encoding.blob || first->encoding.words == 3);
        before = done;
        turn();
    }
    assert_in_range(encoding, 2 * size / SOME, 2 * size / SOME + 2);
    turns();
    size_t input = first->in.capacity + second->in.capacity, memory = clients_memory(house.clients);
    assert_in_range(memory, input + 2 * size, input + 2 * size + (1 << 20));
    house.replica->options.waiting_max = room;
}

/* A large write is copied twice, some of it in each turn; a turn copies no more of several. */
static void large_writes_are_copied_some_in_each_turn(void **state)
{
    enum { SIZE = 17 << 20, TURNS = 60 };
    int making = 0;
    size_t made = 0;
    (void)state;
    int a = dial();
    turns();
    int b = dial();
    turns();
    int c = dial();
    turns();
    encode_two(a, b, c, SIZE);
    say(b, "SET small value\r\n");
    for (int i = 0; i < TURNS && (i < 3 || house.replica->made_bytes > 0); i++) {
        size_t before = made;
        turn();
        made = made_of_waiting();
        making += made > before;
        assert_true(made <= before + ENTRY_MADE_BYTES_MAX);
        if (making == 3) { /* they hold up nobody else */
            struct buffer heard = {0};
            assert_true(hear(b, &heard));
            assert_string_equal((char *)heard.data, "+OK\r\n+OK\r\n+OK\r\n");
            buffer_deinit(&heard);
            making++;
        }
    }
    assert_in_range(making, 8, 12);
    assert_hears(a, "+OK\r\n");
    assert_hears(c, "+OK\r\n");
    say(a, "STRLEN large\r\nGETRANGE large 0 1\r\nGETRANGE other -2 -1\r\nSTRLEN other\r\n");
    assert_hears(a, ":17825792\r\n$2\r\nll\r\n$2\r\noo\r\n:17825792\r\n");
    say_set(a, "large", SIZE - 1, 'm'); /* the next has words of its own */
    assert_hears(a, "+OK\r\n");
    say(a, "STRLEN large\r\nGETRANGE large 0 1\r\n");
    assert_hears(a, ":17825791\r\n$2\r\nmm\r\n");
    close(a);
    close(b);
    close(c);
}

/* What was made for it goes with it. */
static void a_large_write_of_one_that_leaves(void **state)
{
    enum { SIZE = 9 << 20, TURNS = 60 };
    (void)state;
    int a = dial();
    say_set(a, "large", SIZE, 'l');
    for (int i = 0; i < TURNS && made_of_waiting() == 0; i++)
        turn();
    assert_in_range(made_of_waiting(), 1, SIZE - 1);
    assert_int_equal(house.replica->made_bytes, house.replica->waiting->command->size);
    close(a);
    turns();
    assert_int_equal(house.replica->made_bytes, 0);
}

/* What was encoded goes with it, too; and it goes when a pause begins. */
static void a_large_command_half_encoded(void **state)
{
    enum { SIZE = 9 << 20, TURNS = 60 };
    (void)state;
    size_t used = large_status().used;
    int a = dial(), b = dial();
    say_set(a, "large", SIZE, 'l');
    for (int i = 0; i < TURNS && client_of(1)->encoding.at == 0; i++)
        turn();
    size_t more = large_status().used - used; /* nothing, with sanitizers */
    assert_true(more == 0 || more >= 2 * SIZE);
    say(b, "CLIENT PAUSE 1000000 WRITE\r\n");
    turns();
    assert_null(client_of(1)->encoding.blob);
    assert_true(large_status().used < used + 2 * SIZE);
    say(b, "CLIENT UNPAUSE\r\n");
    assert_hears(a, "+OK\r\n");
    turns();
    used = large_status().used;
    say_set(a, "large", SIZE, 'm');
    for (int i = 0; i < TURNS && client_of(1)->encoding.at == 0; i++)
        turn();
    assert_in_range(client_of(1)->encoding.at, 1, SIZE - 1);
    say(b, "CLIENT KILL ID 1\r\n"); /* what was said before its own end would be executed */
    turns();
    assert_int_equal(clients_count(house.clients), 1);
    assert_int_equal(large_status().used, used);
    close(a);
    close(b);
}

/* Such a command is copied into its entry at once, behind its owner. */
static void a_large_command_that_may_wait(void **state)
{
    enum { KEY = 1 << 20, KEYS = 6 };
    (void)state;
    int a = dial();
    char *key = memory_new(KEY + 2);
    say(a, "RPUSH list value\r\n*9\r\n$5\r\nBLPOP\r\n");
    memset(key, 'k', KEY);
    memcpy(key + KEY, "\r\n", 2);
    for (int i = 0; i < KEYS; i++) {
        say(a, "$1048576\r\n");
        say_bytes(a, key, KEY + 2);
    }
    say(a, "$4\r\nlist\r\n$1\r\n0\r\n");
    assert_hears(a, ":1\r\n*2\r\n$4\r\nlist\r\n$5\r\nvalue\r\n");
    memory_free(key);
    close(a);
}

/* As much as the socket takes, unless it is less. */
static void fill_socket(int fd, const char *bytes, size_t size)
{
    ssize_t sent = 1;
    while (sent > 0 && size > 0) {
        sent = send(fd, bytes, size, MSG_NOSIGNAL);
        assert_true(sent > 0 || errno == EAGAIN);
        size -= sent > 0 ? (size_t)sent : 0;
    }
}

/* What it sends behind a command that waits is bounded by client-query-buffer-limit, and so is one
 * command. */
static void too_much_input_ends_the_client(void **state)
{
    enum { PART = 1047000, MORE = 1 << 20 };
    char *word = memory_new(MORE);
    (void)state;
    memset(word, 'x', MORE);
    int b = dial(); /* before */
    set("client-query-buffer-limit", "1mb");
    int a = dial();
    house.disk_hangs = true;
    log_lines_begin();
    say(a, "INCR n\r\n*2\r\n$4\r\nPING\r\n$1048000\r\n");
    say_bytes(a, word, PART);
    turns();
    assert_int_equal(clients_stats(house.clients)->closed_for_input, 0);
    fill_socket(a, word, MORE);
    turns();
    assert_hears_last(a, "");
    assert_int_equal(clients_stats(house.clients)->closed_for_input, 1);
    assert_int_equal(log_lines_with("passed client-query-buffer-limit"), 1);
    log_lines_end();
    say(b, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\n"); /* it is only announced */
    assert_hears_last(b, "-ERR Protocol error: too big command\r\n");
    assert_int_equal(clients_stats(house.clients)->closed_for_input, 2);
    memory_free(word);
}

/* ---- waiting ---------------------------------------------------------------------------- */

static void a_write_that_is_not_durable_in_time(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    house.disk_hangs = true;
    say(a, "SET k 1\r\nGET k\r\n");
    say(b, "GET k\r\n");
    assert_hears(b, "$-1\r\n"); /* waits for nobody's write */
    pass(house.config.request_timeout - 500);
    assert_hears(a, "");
    pass(1000);
    assert_hears(a,
                 "-TIMEOUT No answer from the cluster; the command may or may not have been "
                 "executed\r\n-CLUSTERDOWN No leader within request-timeout; the command was not "
                 "executed\r\n");
    house.disk_hangs = false;
    say(a, "GET k\r\n");
    assert_hears(a, "$1\r\n1\r\n");
    close(a);
    close(b);
}

/* The core takes no more: clients are not read from, and all are served when it does again. */
static int congested(void **state)
{
    house_open(state);
    house_start_replica(50, 2000);
    return 0;
}

static void a_full_replica_stalls_clients_and_wakes_them(void **state)
{
    enum { CLIENTS = 8, WRITES = 40 };
    int clients[CLIENTS];
    (void)state;
    house.disk_hangs = true;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = dial();
        for (int j = 0; j < WRITES; j++)
            say(clients[i], "INCR n\r\n");
        if (i == 3)
            shutdown(clients[i], SHUT_WR);
        turns();
    }
    struct replica_status status;
    replica_status(house.replica, &status);
    assert_true(replica_congested(house.replica));
    assert_true(status.requests_waiting < 50 + 2 * WRITES); /* the rest is with the clients */
    say(clients[0], "PING\r\n");
    int silent = dial();
    say(silent, "CLIENT REPLY SKIP\r\nINCR m\r\nPING\r\n");
    assert_hears(silent, "");
    house.disk_hangs = false;
    pass(100);
    assert_hears(silent, "+PONG\r\n");
    close(silent);
    for (int i = 0; i < CLIENTS; i++) {
        struct buffer heard = {0};
        assert_true(hear_all(clients[i], &heard) == (i != 3));
        int lines = 0;
        for (size_t at = 0; at < heard.size; at++)
            lines += heard.data[at] == '\n';
        assert_int_equal(lines, WRITES + (i == 0));
        buffer_deinit(&heard);
        close(clients[i]);
    }
    int last = dial();
    say(last, "GET n\r\n");
    assert_hears(last, "$3\r\n320\r\n");
    close(last);
}

/* It was stalled, and is killed, or leaves: nobody is woken in its place, the others are. */
static void a_stalled_client_that_goes(void **state)
{
    enum { CLIENTS = 12, WRITES = 40, STAYS = CLIENTS - 1 };
    int clients[CLIENTS];
    (void)state;
    house.disk_hangs = true;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = dial();
        for (int j = 0; j < WRITES; j++)
            say(clients[i], "INCR n\r\n");
        turns();
    }
    uint32_t stalled = house.clients->stalled_count;
    assert_true(stalled >= 3);
    for (struct client *client = house.clients->all; client; client = client->next) {
        if (client->stalled && client->connection.fd >= 0 && client->next)
            clients_kill(house.clients, &client->connection);
    }
    turns();
    assert_int_equal(house.clients->stalled_count, 1); /* the last one */
    house.disk_hangs = false;
    pass(100);
    struct buffer heard = {0};
    assert_true(hear_all(clients[STAYS], &heard));
    int lines = 0;
    for (size_t at = 0; at < heard.size; at++)
        lines += heard.data[at] == '\n';
    assert_int_equal(lines, WRITES);
    assert_int_equal(house.clients->stalled_count, 0);
    buffer_deinit(&heard);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
}

/* The end of its input is known before its last command finds no room in the replica. */
static void the_last_command_waits_for_the_replica(void **state)
{
    (void)state;
    int crowd[8], b = dial();
    house.clients->unsent_max = 10;
    house.disk_hangs = true;
    for (int i = 0; i < 8 * 40; i++) {
        crowd[i / 40] = i % 40 ? crowd[i / 40] : dial();
        say(crowd[i / 40], "INCR n\r\n");
    }
    turns();
    assert_true(replica_congested(house.replica));
    say(b, "ECHO 0123456789\r\nECHO 0123456789\r\nINCR m\r\n");
    shutdown(b, SHUT_WR);
    assert_hears(b, "$10\r\n0123456789\r\n$10\r\n0123456789\r\n");
    house.disk_hangs = false;
    pass(100);
    assert_hears_last(b, ":1\r\n");
    for (int i = 0; i < 8; i++)
        close(crowd[i]);
}

static void a_client_that_idles(void **state)
{
    (void)state;
    set("timeout", "2");
    int idle = dial(), busy = dial(), waiting = dial();
    say(idle, "PING\r\n");
    assert_hears(idle, "+PONG\r\n");
    house.disk_hangs = true;
    say(waiting, "SET k 1\r\n");
    for (int i = 0; i < 4; i++) {
        pass(1000);
        say(busy, "PING\r\n");
        assert_hears(busy, "+PONG\r\n");
    }
    assert_hears_last(idle, "");
    house.disk_hangs = false;
    assert_hears(waiting, "+OK\r\n"); /* for its write, not idle */
    close(busy);
    close(waiting);
}

/* ---- output --------------------------------------------------------------------------------- */

static void say_gets(int fd, int count)
{
    for (int i = 0; i < count; i++)
        say(fd, "GET k\r\n");
}

static void too_much_output_at_once(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say_set(a, "k", 100000, 'x');
    assert_hears(a, "+OK\r\n");
    set("client-output-buffer-limit", "normal 300000 0 0");
    say_gets(b, 2);
    struct buffer heard = {0};
    assert_true(hear_all(b, &heard)); /* it reads */
    say_gets(a, 20);
    turns();
    assert_int_equal(clients_count(house.clients), 1);
    assert_int_equal(clients_stats(house.clients)->closed_for_output, 1);
    assert_false(hear_all(a, &heard));
    close(a);
    close(b);
    buffer_deinit(&heard);
}

/* Whether it reads or not. */
static void too_much_output_in_one_turn(void **state)
{
    (void)state;
    int a = dial();
    say_set(a, "k", 100000, 'x');
    assert_hears(a, "+OK\r\n");
    set("client-output-buffer-limit", "normal 380000 0 0");
    struct buffer heard = {0};
    say_gets(a, 3);
    assert_true(hear_all(a, &heard));
    say_gets(a, 4);
    assert_false(hear_all(a, &heard));
    close(a);
    buffer_deinit(&heard);
}

/* KEYS gives 100 names of 40,000 bytes. */
static void set_long_names(int fd)
{
    enum { SIZE = 40000 };
    struct buffer command = {0};
    for (int i = 0; i < 100; i++) {
        buffer_clear(&command);
        buffer_printf(&command, "*3\r\n$3\r\nSET\r\n$%d\r\n%0*d\r\n$1\r\nx\r\n", SIZE, SIZE, i);
        say_bytes(fd, command.data, command.size);
        assert_hears(fd, "+OK\r\n");
    }
    buffer_deinit(&command);
}

static void a_long_reply_comes_whole_and_in_its_place(void **state)
{
    (void)state;
    int a = dial();
    struct buffer heard = {0};
    set_long_names(a);
    say(a, "ECHO before\r\nKEYS *\r\nGET none\r\nECHO after\r\n");
    assert_true(hear_all(a, &heard));
    assert_int_equal(heard.size, 12 + 6 + 100 * (8 + 40000 + 2) + 5 + 11);
    assert_memory_equal(heard.data, "$6\r\nbefore\r\n*100\r\n$40000\r\n", 26);
    assert_memory_equal(heard.data + heard.size - 18, "\r\n$-1\r\n$5\r\nafter\r\n", 18);
    close(a);
    buffer_deinit(&heard);
}

static void a_long_reply_over_the_limit_is_not_made(void **state)
{
    (void)state;
    int a = dial();
    struct buffer heard = {0};
    set_long_names(a);
    set("client-output-buffer-limit", "normal 3000000 0 0");
    say(a, "KEYS *\r\n");
    assert_false(hear_all(a, &heard));
    assert_int_equal(heard.size, 0);
    assert_int_equal(clients_stats(house.clients)->closed_for_output, 1);
    close(a);
    buffer_deinit(&heard);
}

/* The buffer of small replies grows, is given back when its client is idle, and each is counted; a
 * large reply is not in it. */
static void buffers_that_grow_and_shrink_are_counted(void **state)
{
    const struct clients_stats *stats = clients_stats(house.clients);
    struct buffer heard = {0};
    (void)state;
    int a = dial();
    say(a, "PING\r\n");
    assert_hears(a, "+PONG\r\n");
    assert_int_equal(stats->out_expands, 1);
    say(a, "PING\r\n");
    assert_hears(a, "+PONG\r\n");
    assert_int_equal(stats->out_expands, 1);
    say_set(a, "k", 200000, 'x');
    say_gets(a, 1);
    assert_true(hear_all(a, &heard));
    assert_int_equal(heard.size, 5 + 9 + 200000 + 2);
    assert_int_equal(stats->out_expands, 1);
    say(a, "ECHO 01234567890123456789012345678901234567890123456789012345678901234567890123\r\n");
    assert_true(hear_all(a, &heard));
    assert_int_equal(stats->out_expands, 2);
    assert_int_equal(stats->out_shrinks, 0);
    pass(5000);
    assert_int_equal(stats->out_shrinks, 1);
    close(a);
    buffer_deinit(&heard);
}

/* What INFO shows of clients is what they said and heard, to the byte. */
static void what_passes_is_counted(void **state)
{
    static const char said[] = "SET k v\r\nGET k\r\nMGET k none\r\nDEL k\r\nPING\r\nNOSUCH\r\n"
                               "HSET k\r\nCLIENT GETNAME\r\nSETRANGE k x y\r\n";
    const struct clients_stats *stats = clients_stats(house.clients);
    struct buffer heard = {0};
    (void)state;
    int a = dial();
    say(a, said);
    assert_true(hear_all(a, &heard));
    assert_int_equal(stats->connections_received, 1);
    assert_int_equal(stats->connections_rejected, 0);
    assert_int_equal(stats->commands, 9);
    assert_int_equal(stats->reads, 2);
    assert_int_equal(stats->writes, 2); /* the last is refused for its words */
    assert_int_equal(stats->errors, 3);
    assert_int_equal(stats->input_bytes, sizeof said - 1);
    assert_int_equal(stats->output_bytes, heard.size);
    assert_int_equal(stats->read_calls, 1);
    assert_in_range(stats->write_calls, 1, heard.size);
    uint64_t writes = stats->write_calls;
    say(a, "PING\r\n");
    assert_hears(a, "+PONG\r\n");
    assert_int_equal(stats->read_calls, 2);
    assert_int_equal(stats->write_calls, writes + 1);
    assert_int_equal(stats->output_bytes, heard.size + 7);
    close(a);
    buffer_deinit(&heard);
}

/* Of the last second: what was counted in the time that passed, whoever counted it. */
static void a_rate_is_what_was_counted_in_the_time(void **state)
{
    enum { STEPS = 60 };
    const struct clients_stats *stats = clients_stats(house.clients);
    (void)state;
    int a = dial();
    int64_t began_ms = loop_now_ms(house.loop);
    for (int i = 0; i < STEPS; i++) {
        say(a, "PING\r\nPING\r\nPING\r\nPING\r\n");
        assert_hears(a, "+PONG\r\n+PONG\r\n+PONG\r\n+PONG\r\n");
        pass(50);
    }
    /* The machine may have been slow at any time: so slow, or not at all. */
    uint64_t slow = 4 * STEPS * 1000 / (uint64_t)(loop_now_ms(house.loop) - began_ms);
    uint64_t fast = 4 * 1000 / 50;
    assert_in_range(stats->ops_per_second, slow / 4, fast + fast / 4);
    assert_in_range(stats->input_per_second, slow * 6 / 4, (fast + fast / 4) * 6);
    assert_in_range(stats->output_per_second, slow * 7 / 4, (fast + fast / 4) * 7);
    assert_in_range(stats->cycles_per_second, 1, 100000);
    pass(4000); /* more than the samples */
    assert_int_equal(stats->ops_per_second, 0);
    assert_int_equal(stats->input_per_second, 0);
    assert_int_equal(stats->output_per_second, 0);
    close(a);
}

/* CLIENT LIST and INFO show what waits in buffers. */
static void what_waits_is_shown(void **state)
{
    uint64_t input, output;
    struct buffer heard = {0};
    (void)state;
    int a = dial(), b = dial();
    uint64_t before = clients_memory(house.clients);
    house.disk_hangs = true;
    say(a, "SET k v\r\nPING\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$5\r\nab");
    turns();
    clients_biggest(house.clients, &input, &output);
    assert_in_range(input, 12 + 20, 9 + 12 + 20); /* from the first that waits on */
    assert_int_equal(output, 0);
    assert_true(clients_memory(house.clients) >= before + CLIENT_READ_MIN);
    say(b, "CLIENT LIST ID 1\r\n");
    assert_true(hear_all(b, &heard));
    assert_non_null(strstr((char *)heard.data, " qbuf=32 "));
    assert_null(strstr((char *)heard.data, " qbuf-free=0 "));
    house.disk_hangs = false;
    say(a, "cde\r\n");
    assert_hears(a, "+OK\r\n+PONG\r\n+PONG\r\n$5\r\nabcde\r\n");
    clients_biggest(house.clients, &input, &output);
    assert_int_equal(input, 0);
    say_set(a, "k", 300000, 'x');
    say(a, "GET k\r\n");
    turns(); /* a part is in the socket */
    clients_biggest(house.clients, &input, &output);
    assert_in_range(output, 50000, 300000);
    assert_true(clients_memory(house.clients) >= before + output);
    close(a);
    close(b);
    buffer_deinit(&heard);
}

/* The end of its input is heard once, not at every turn for as long as something is under way. */
static void an_end_is_heard_once(void **state)
{
    (void)state;
    int a = dial();
    house.disk_hangs = true;
    say(a, "SET k v\r\n");
    shutdown(a, SHUT_WR);
    turns();
    assert_int_equal(clients_count(house.clients), 1);
    assert_true(house.clients->all->ended);
    for (int i = 0; i < 3; i++) {
        client_wants_turn(house.clients->all);
        turns();
        assert_false(house.clients->all->stream.reading);
    }
    house.disk_hangs = false;
    assert_hears_last(a, "+OK\r\n");
}

static void pass_turns(int64_t ms, int count)
{
    house.ahead_ms += ms;
    loop_set_ahead(house.loop, house.ahead_ms);
    for (int i = 0; i < count; i++)
        loop_turn(house.loop, &house_hooks);
}

/* A long read goes on for one that waits, and not for one that closed; what is answered at once is
 * answered though nothing more will be said. */
static void who_left_is_not_read_for(void **state)
{
    (void)state;
    int64_t left_ms = 2 * house.config.request_timeout;
    int a = dial(), b = dial();
    say(a, "SADD s x\r\n");
    assert_hears(a, ":1\r\n");
    say(a, "SRANDMEMBER s -1000000000000\r\n");
    say(b, "SRANDMEMBER s -1000000000000\r\n");
    close(b);
    pass_turns(0, 20); /* all of that is heard */
    pass_turns(left_ms - 1000, 20);
    assert_int_equal(clients_count(house.clients), 2);
    pass_turns(2000, 20);
    assert_int_equal(clients_count(house.clients), 1);
    pass_turns(10 * left_ms, 20);
    assert_int_equal(clients_count(house.clients), 1);
    close(a);
    pass_turns(0, 20); /* its end is heard */
    pass_turns(left_ms + 1000, 20);
    assert_int_equal(clients_count(house.clients), 0);
}

/* Who has no more to say, which is heard before anything is answered, may be slow to read it. */
static void who_reads_slowly_has_not_left(void **state)
{
    enum { MANY = 100000 };
    struct buffer heard = {0};
    (void)state;
    int64_t left_ms = 2 * house.config.request_timeout;
    int a = dial();
    say(a, "SADD s x\r\n");
    assert_hears(a, ":1\r\n");
    say(a, "SRANDMEMBER s -100000\r\nSRANDMEMBER s -1000000000000\r\n");
    assert_int_equal(shutdown(a, SHUT_WR), 0);
    char first;
    for (int i = 0; i < 100000 && recv(a, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1; i++)
        pass_turns(0, 1);
    pass_turns(2 * left_ms, 20);
    assert_int_equal(clients_count(house.clients), 1);
    assert_true(hear_all(a, &heard));
    assert_true(heard.size >= MANY * strlen("$1\r\nx\r\n"));
    pass_turns(left_ms + 1000, 20);
    assert_int_equal(clients_count(house.clients), 0);
    buffer_deinit(&heard);
    close(a);
}

/* A mean of what is counted: it counts from nothing behind a reset, and not from what was. */
static void rates_after_a_reset(void **state)
{
    const struct clients_stats *stats = clients_stats(house.clients);
    (void)state;
    int a = dial();
    for (int i = 0; i < 3; i++) {
        say_set(a, "k", 20000, 'x');
        say(a, "GET k\r\n");
        struct buffer heard = {0};
        assert_true(hear_all(a, &heard));
        assert_int_equal(heard.size, 5 + 8 + 20000 + 2);
        buffer_deinit(&heard);
        pass(200);
    }
    assert_true(stats->input_per_second > 0);
    assert_true(stats->output_per_second > 0);
    clients_reset_stats(house.clients);
    say(a, "PING\r\n");
    assert_hears(a, "+PONG\r\n");
    pass(200);
    assert_in_range(stats->ops_per_second, 0, 1000);
    assert_in_range(stats->input_per_second, 1, 1000 * 1000);
    assert_in_range(stats->output_per_second, 1, 1000 * 1000);
    close(a);
}

static void too_much_output_for_too_long(void **state)
{
    struct buffer heard = {0};
    (void)state;
    int a = dial(), b = dial();
    say_set(a, "k", 100000, 'x');
    assert_hears(a, "+OK\r\n");
    set("client-output-buffer-limit", "normal 0 300000 3");
    say_gets(a, 9);
    say_gets(b, 9);
    pass(2000);
    assert_int_equal(clients_count(house.clients), 2);
    assert_true(hear_all(b, &heard)); /* just in time */
    say_gets(b, 9);
    pass(2000);
    assert_int_equal(clients_count(house.clients), 1);
    assert_false(hear_all(a, &heard));
    assert_true(hear_all(b, &heard));
    close(a);
    close(b);
    buffer_deinit(&heard);
}

/* ---- leaving --------------------------------------------------------------------------------- */

static void a_client_that_says_its_last(void **state)
{
    (void)state;
    int a = dial(), b = dial(), c = dial();
    say(a, "SET k 1\r\nGET k\r\nPING\r\n");
    shutdown(a, SHUT_WR);
    assert_hears_last(a, "+OK\r\n$1\r\n1\r\n+PONG\r\n");
    say(b, "SET k 2\r\nGET k\r\nQUIT\r\nSET k 3\r\n");
    assert_hears_last(b, "+OK\r\n$1\r\n2\r\n+OK\r\n");
    say(c, "GET k\r\n*1\r\n:\r\nSET k 4\r\n");
    assert_hears_last(c, "$1\r\n2\r\n-ERR Protocol error: expected '$', got ':'\r\n");
}

/* Its requests are under way: the write is done, nobody is answered, nothing is left. */
static void a_client_that_is_killed(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    house.disk_hangs = true;
    say(a, "SET k 1\r\nGET k\r\nSET k 2\r\nGET k\r\n");
    turns();
    assert_int_equal(clients_waiting(house.clients), 1);
    say(b, "CLIENT KILL ID 1\r\n");
    assert_hears(b, ":1\r\n");
    assert_hears_last(a, "");
    assert_int_equal(clients_count(house.clients), 1);
    house.disk_hangs = false;
    say(b, "GET k\r\n");
    assert_hears(b, "$1\r\n2\r\n");
    struct replica_status status;
    replica_status(house.replica, &status);
    assert_int_equal(status.requests_under_way, 0);
    close(b);
}

static void set_many_names(int fd, int count)
{
    struct buffer command = {0};
    buffer_printf(&command, "*%d\r\n$4\r\nMSET\r\n", 1 + 2 * count);
    for (int i = 0; i < count; i++)
        buffer_printf(&command, "$6\r\n%06d\r\n$1\r\nx\r\n", i);
    say_bytes(fd, command.data, command.size);
    buffer_clear(&command);
    for (int i = 0; i < 100 && command.size == 0; i++)
        assert_true(hear_all(fd, &command));
    assert_string_equal(command.data, "+OK\r\n");
    buffer_deinit(&command);
}

/* Its read goes on in slices, with a view of the state: both end with it. */
static void a_client_that_leaves_while_its_read_is_half_done(void **state)
{
    (void)state;
    int b = dial(), a = dial();
    set_many_names(b, 20000);
    for (int i = 0; i < 2; i++) {
        say(a, "KEYS *\r\n");
        for (int j = 0; j < 50 && !house.replica->reading; j++)
            turn();
        assert_non_null(house.replica->reading);
        assert_int_equal(clients_waiting(house.clients), 1);
        if (i == 0) { /* killed by another, in the same turn */
            struct client *client = house.clients->all->prev; /* the last who came */
            clients_kill(house.clients, &client->connection);
            turn();
            assert_null(house.replica->reading);
            assert_hears_last(a, "");
            a = dial();
        }
    }
    close(a); /* the first bytes that are sent to it say so */
    turns();
    assert_null(house.replica->reading);
    assert_int_equal(clients_count(house.clients), 1);
    struct replica_status status;
    replica_status(house.replica, &status);
    assert_int_equal(status.requests_under_way, 0);
    say(b, "DBSIZE\r\n");
    assert_hears(b, ":20000\r\n");
    close(b);
}

/* Many names, most of them written over without a look at what is below. */
static void leave_names_unresolved(int fd, int count)
{
    struct buffer heard = {0}, sets = {0};
    set_many_names(fd, count);
    say(fd, "KEYS *\r\n"); /* a view, so that there are two layers */
    while (heard.size < (size_t)count * 12)
        assert_true(hear_all(fd, &heard));
    buffer_clear(&heard);
    for (int i = 0; i < count; i++)
        buffer_printf(&sets, "SET %06d x\r\n", i);
    for (size_t at = 0; at < sets.size; at += sets.size / 20) {
        say_bytes(fd, sets.data + at, sets.size / 20);
        assert_true(hear_all(fd, &heard));
    }
    while (heard.size < (size_t)count * 5)
        assert_true(hear_all(fd, &heard));
    buffer_deinit(&heard);
    buffer_deinit(&sets);
}

/* Names are resolved before they are counted, in slices; what the client sent behind is executed
 * meanwhile, and neither counted nor drawn. */
static void counts_see_no_later_write(void **state)
{
    static const char *const said[] = {"DBSIZE\r\n", "RANDOMKEY\r\n",
                                       "MULTI\r\nGET 000000\r\nDBSIZE\r\nEXEC\r\n"};
    static const char *const expected[] = {
        ":20000\r\n", "$6\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\nx\r\n:20000\r\n"};
    (void)state;
    int b = dial();
    for (int i = 0; i < 3; i++) {
        struct buffer heard = {0}, line = {0};
        leave_names_unresolved(b, 20000);
        buffer_printf(&line, "%sFLUSHALL\r\nSET k x\r\nDBSIZE\r\n", said[i]);
        say_bytes(b, line.data, line.size);
        for (int j = 0; j < 100; j++) {
            assert_true(hear_all(b, &heard));
            if (heard.size > 0 && memmem(heard.data, heard.size, ":1\r\n", 4))
                break;
        }
        assert_memory_equal(heard.data, expected[i], strlen(expected[i]));
        assert_non_null(strstr((char *)heard.data, "\r\n+OK\r\n+OK\r\n:1\r\n"));
        say(b, "FLUSHALL\r\n");
        assert_hears(b, "+OK\r\n");
        buffer_deinit(&heard);
        buffer_deinit(&line);
    }
    close(b);
}

/* All that a transaction reads is of one state, whoever writes meanwhile. */
static void counts_within_a_transaction(void **state)
{
    (void)state;
    struct buffer heard = {0};
    int a = dial(), b = dial();
    leave_names_unresolved(b, 20000);
    say(b, "MULTI\r\nGET 000000\r\nDBSIZE\r\nEXEC\r\n");
    for (int i = 0; i < 50 && !house.replica->reading; i++)
        turn();
    assert_non_null(house.replica->reading);
    say(a, "FLUSHALL\r\n");
    assert_hears(a, "+OK\r\n");
    for (int i = 0; i < 100; i++) {
        assert_true(hear_all(b, &heard));
        if (heard.size > 0 && memmem(heard.data, heard.size, "x\r\n:", 4))
            break;
    }
    assert_string_equal(heard.data, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\nx\r\n:20000\r\n");
    buffer_deinit(&heard);
    close(a);
    close(b);
}

/* Its reads wait for the disk, behind a write of its own. */
static void a_client_that_leaves_while_its_reads_wait(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    house.disk_hangs = true;
    say(a, "SET k 1\r\nGET k\r\nGET k\r\n");
    turns();
    assert_int_equal(clients_waiting(house.clients), 1);
    clients_kill(house.clients, &house.clients->all->connection);
    turns();
    assert_int_equal(clients_count(house.clients), 1);
    struct replica_status status;
    replica_status(house.replica, &status);
    assert_int_equal(status.requests_under_way, 1); /* the write */
    house.disk_hangs = false;
    say(b, "GET k\r\n");
    assert_hears(b, "$1\r\n1\r\n");
    replica_status(house.replica, &status);
    assert_int_equal(status.requests_under_way, 0);
    close(a);
    close(b);
}

static void many_clients_that_leave_at_once(void **state)
{
    enum { CLIENTS = 200 };
    int clients[CLIENTS];
    (void)state;
    house.disk_hangs = true;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = dial();
        say(clients[i], "INCR n\r\nGET n\r\nINCR n\r\nGET n\r\n");
    }
    turns();
    for (int i = 0; i < CLIENTS / 2; i++)
        close(clients[i]); /* it may only have said its last */
    turns();
    assert_int_equal(clients_count(house.clients), CLIENTS);
    int last = dial();
    say(last, "CLIENT KILL TYPE normal\r\n");
    assert_hears(last, ":200\r\n");
    assert_int_equal(clients_count(house.clients), 1);
    for (int i = CLIENTS / 2; i < CLIENTS; i++)
        close(clients[i]);
    house.disk_hangs = false;
    say(last, "GET n\r\n");
    assert_hears(last, "$3\r\n400\r\n");
    close(last);
}

static void a_stop_reads_no_more(void **state)
{
    (void)state;
    int a = dial();
    house.disk_hangs = true;
    say(a, "SET k 1\r\n");
    turns();
    clients_quiesce(house.clients);
    say(a, "SET k 2\r\n");
    turns();
    assert_int_equal(clients_unanswered(house.clients), 1);
    house.disk_hangs = false;
    assert_hears(a, "+OK\r\n");
    assert_int_equal(clients_unanswered(house.clients), 0);
    close(a);
}

/* A stop waits for replies that a client has not read yet. */
static void what_is_not_sent_is_unanswered(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say_set(a, "k", 1 << 20, 'x');
    assert_hears(a, "+OK\r\n");
    assert_int_equal(clients_unanswered(house.clients), 0);
    say(b, "GET k\r\n");
    turns();
    assert_int_equal(clients_waiting(house.clients), 0); /* it is executed */
    assert_int_equal(clients_unanswered(house.clients), 1);
    struct buffer heard = {0};
    assert_true(hear_all(b, &heard));
    assert_int_equal(heard.size, 10 + (1 << 20) + 2);
    assert_int_equal(clients_unanswered(house.clients), 0);
    buffer_deinit(&heard);
    close(a);
    close(b);
}

/* ---- commands that are divided --------------------------------------------------------------- */

enum { CHANNELS = 3 * DIVIDED_WORDS_MAX + 7 };

static void say_channels(int fd, const char *name)
{
    struct buffer words = {0};
    buffer_printf(&words, "*%d\r\n$%zu\r\n%s\r\n", CHANNELS + 1, strlen(name), name);
    for (int i = 0; i < CHANNELS; i++)
        buffer_printf(&words, "$5\r\nc%04d\r\n", i);
    say_bytes(fd, words.data, words.size);
    buffer_deinit(&words);
}

/* Each channel once, in order, and then what was said behind it. */
static void hear_channels(int fd, const char *what, int first, int step, const char *last)
{
    struct buffer heard = {0}, wanted = {0};
    for (int i = 0; i < CHANNELS; i++)
        buffer_printf(&wanted, "*3\r\n$%zu\r\n%s\r\n$5\r\nc%04d\r\n:%d\r\n", strlen(what), what, i,
                      first + step * i);
    buffer_printf(&wanted, "%s", last);
    assert_true(hear_all(fd, &heard));
    assert_int_equal(heard.size, wanted.size);
    assert_memory_equal(heard.data, wanted.data, wanted.size);
    buffer_deinit(&heard);
    buffer_deinit(&wanted);
}

/* Turns until it is subscribed to `count` channels, by no more than a share of them in each. */
static void turns_until(const struct client *client, uint32_t count)
{
    const uint32_t *subscribed = &client->connection.subscribed[CHANNEL_PLAIN];
    for (int i = 0; i < TURNS_MAX && *subscribed != count; i++) {
        uint32_t before = *subscribed;
        turn();
        uint32_t change = *subscribed > before ? *subscribed - before : before - *subscribed;
        assert_in_range(change, 0, 2 * DIVIDED_WORDS_MAX); /* when it is read, and at the end */
    }
    assert_int_equal(*subscribed, count);
}

static void many_channels_take_several_turns(void **state)
{
    int fd = dial();
    (void)state;
    const struct client *client = house.clients->all;
    say_channels(fd, "SUBSCRIBE");
    say(fd, "PING\r\n");
    turns_until(client, CHANNELS);
    hear_channels(fd, "subscribe", 1, 1, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    say_channels(fd, "UNSUBSCRIBE");
    say(fd, "PING\r\n");
    turns_until(client, 0);
    hear_channels(fd, "unsubscribe", CHANNELS - 1, -1, "+PONG\r\n");
    close(fd);
    turns();
}

enum { VERY_MANY = 2 * CLIENT_LEAVES_MAX + 5 };

/* As if it had said SUBSCRIBE, or read keys. */
static struct client *with_very_many(enum channel_kind kind)
{
    struct client *client = house.clients->all->prev; /* the newest */
    char name[16];
    for (int i = 0; i < VERY_MANY; i++) {
        int size = snprintf(name, sizeof name, "n%07d", i);
        channels_subscribe(house.server.channels, &client->connection, kind,
                           bytes_of(name, (size_t)size), 0);
    }
    return client;
}

/* Turns until nobody has any, of which none ends more than `most`. */
static void turns_until_all_are_left(enum channel_kind kind, uint32_t most)
{
    uint32_t left = channels_count(house.server.channels, kind);
    for (int i = 0; i < TURNS_MAX && left > 0; i++) {
        uint32_t before = left;
        turn();
        left = channels_count(house.server.channels, kind);
        assert_in_range(before - left, 0, most);
    }
    assert_int_equal(left, 0);
}

static void very_many_that_end_take_several_turns(void **state)
{
    (void)state;
    int fd = dial();
    with_very_many(CHANNEL_PLAIN);
    say(fd, "UNSUBSCRIBE\r\nUNSUBSCRIBE\r\nPING\r\n");
    turns_until_all_are_left(CHANNEL_PLAIN, 2 * DIVIDED_WORDS_MAX);
    struct buffer heard = {0};
    static const char last[] = "*3\r\n$11\r\nunsubscribe\r\n$8\r\nn0016388\r\n:0\r\n"
                               "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n+PONG\r\n";
    assert_true(hear_all(fd, &heard));
    assert_memory_equal(heard.data + heard.size - strlen(last), last, strlen(last));
    buffer_deinit(&heard);
    with_very_many(CHANNEL_SHARDED);
    say(fd, "RESET\r\nPING\r\n");
    turns_until_all_are_left(CHANNEL_SHARDED, 2 * CLIENT_LEAVES_MAX);
    assert_hears(fd, "+RESET\r\n+PONG\r\n");
    say(fd, "CLIENT TRACKING ON\r\n");
    turns();
    with_very_many(CHANNEL_TRACKED);
    say(fd, "CLIENT TRACKING OFF\r\nPING\r\n");
    turns_until_all_are_left(CHANNEL_TRACKED, 2 * CLIENT_LEAVES_MAX);
    assert_hears(fd, "+OK\r\n+OK\r\n+PONG\r\n");
    close(fd);
    turns();
}

static void one_with_very_many_takes_several_turns_to_leave(void **state)
{
    (void)state;
    int fd = dial();
    with_very_many(CHANNEL_PATTERN);
    int other = dial();
    close(fd);
    turns_until_all_are_left(CHANNEL_PATTERN, CLIENT_LEAVES_MAX);
    turns();
    assert_int_equal(clients_count(house.clients), 1);
    close(other);
    turns();
}

/* An application's host is gone, and with it all of its connections. */
static void several_with_very_many_share_the_turns(void **state)
{
    (void)state;
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial();
        with_very_many(CHANNEL_PATTERN);
    }
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    for (uint32_t left = 3 * VERY_MANY, before; left > 0;) {
        before = left;
        turn();
        left = 0;
        for (const struct client *client = house.clients->all; client; client = client->next)
            left += client->connection.subscribed[CHANNEL_PATTERN];
        assert_in_range(before - left, 0, CLIENT_LEAVES_MAX);
    }
    turns();
    assert_int_equal(clients_count(house.clients), 0);
}

/* The keys that they had read are nobody's at once; what is known of them goes in several turns,
 * and sooner with one that leaves. */
static void what_a_flush_forgets_takes_several_turns(void **state)
{
    struct command_listener *listener = channels_listener(house.server.channels);
    struct db_effect effect = {.type = DB_EFFECT_FLUSHED, .event = "flushall"};
    (void)state;
    int fd = dial(), other = dial();
    const struct client *client = house.clients->all;
    say(fd, "CLIENT TRACKING ON\r\n");
    say(other, "CLIENT TRACKING ON\r\n");
    turns();
    with_very_many(CHANNEL_TRACKED); /* the other's */
    for (int i = 0; i < 2 * VERY_MANY; i++) {
        char name[16];
        int size = snprintf(name, sizeof name, "o%07d", i);
        channels_subscribe(house.server.channels, &house.clients->all->connection, CHANNEL_TRACKED,
                           bytes_of(name, (size_t)size), 0);
    }
    listener->effect(listener, 1000000, &effect);
    assert_int_equal(channels_count(house.server.channels, CHANNEL_TRACKED), 0);
    assert_int_equal(client->connection.subscribed[CHANNEL_TRACKED], 2 * VERY_MANY);
    turn();
    close(other);
    uint32_t left = client->connection.subscribed[CHANNEL_TRACKED];
    assert_in_range(left, 2 * VERY_MANY - CLIENT_LEAVES_MAX, 2 * VERY_MANY);
    for (int i = 0; i < TURNS_MAX && left > 0; i++) {
        uint32_t before = left;
        bool goes_on = loop_turn(house.loop, &house_hooks);
        left = client->connection.subscribed[CHANNEL_TRACKED];
        assert_true(goes_on || left == 0);
        assert_in_range(before - left, 0, CLIENT_LEAVES_MAX);
    }
    assert_int_equal(left, 0);
    assert_hears(fd, "+OK\r\n");
    close(fd);
    turns();
}

static void a_divided_command_fails_once(void **state)
{
    int fd = dial();
    (void)state;
    house.disk_hangs = true; /* nothing is confirmed behind the write */
    say(fd, "SET a 1\r\n");
    turns();
    say_channels(fd, "SUBSCRIBE");
    say(fd, "PING\r\n");
    pass(2 * house.config.request_timeout + 1000);
    assert_hears(fd,
                 "-TIMEOUT No answer from the cluster; the command may or may not have been "
                 "executed\r\n-CLUSTERDOWN No leader within request-timeout; the command was not "
                 "executed\r\n+PONG\r\n");
    house.disk_hangs = false;
    turns();
    close(fd);
    turns();
}

/* Whatever its client said before: refused at once, or not answered in time. */
static void a_divided_command_begins_without_a_failure(void **state)
{
    int fd = dial();
    (void)state;
    say(fd, "GET\r\n");
    turns();
    assert_hears(fd, "-ERR wrong number of arguments for 'get' command\r\n");
    say_channels(fd, "SUBSCRIBE");
    turns_until(house.clients->all, CHANNELS);
    hear_channels(fd, "subscribe", 1, 1, "");
    close(fd);
    turns();
    fd = dial();
    house.disk_hangs = true;
    say(fd, "SET a 1\r\n");
    turns();
    say(fd, "SUBSCRIBE a\r\n");
    pass(2 * house.config.request_timeout + 1000);
    assert_hears(fd,
                 "-TIMEOUT No answer from the cluster; the command may or may not have been "
                 "executed\r\n-CLUSTERDOWN No leader within request-timeout; the command was not "
                 "executed\r\n");
    house.disk_hangs = false;
    turns();
    say_channels(fd, "SUBSCRIBE");
    turns_until(house.clients->all, CHANNELS);
    hear_channels(fd, "subscribe", 1, 1, "");
    close(fd);
    turns();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    log_set_level(LOG_LEVEL_WARNING);
    const struct CMUnitTest tests[] = {
        TEST(only_so_many_clients),
        TEST(strangers_without_a_password),
        TEST(limits_after_reset),
        TEST(what_a_web_page_sends),
        TEST(an_attack_is_logged_once_a_minute),
        TEST(one_pipeline_of_everything),
        TEST(transactions_in_one_pipeline),
        TEST(select_in_a_transaction),
        TEST(what_was_queued_goes_with_its_client),
        TEST(transaction_without_an_answer),
        TEST(reads_and_writes_go_together),
        TEST(silence_that_was_asked_for),
        TEST(large_replies_through_a_slow_reader),
        TEST(commands_wait_for_a_slow_reader),
        TEST(commands_wait_for_their_turn),
        TEST(the_last_commands_wait_for_their_turn),
        TEST(a_waiting_command_and_what_comes_behind_it),
        TEST(what_is_only_announced_gets_no_room),
        TEST(room_for_a_large_command_is_given_back),
        TEST(too_much_input_ends_the_client),
        TEST(a_write_that_is_not_durable_in_time),
        cmocka_unit_test_setup_teardown(a_full_replica_stalls_clients_and_wakes_them, congested,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_stalled_client_that_goes, congested, tear_down),
        cmocka_unit_test_setup_teardown(the_last_command_waits_for_the_replica, congested,
                                        tear_down),
        TEST(a_client_that_idles),
        TEST(too_much_output_at_once),
        TEST(too_much_output_in_one_turn),
        TEST(large_writes_are_copied_some_in_each_turn),
        TEST(a_large_write_of_one_that_leaves),
        TEST(a_large_command_half_encoded),
        TEST(a_large_command_that_may_wait),
        TEST(a_long_reply_comes_whole_and_in_its_place),
        TEST(a_long_reply_over_the_limit_is_not_made),
        TEST(buffers_that_grow_and_shrink_are_counted),
        TEST(what_passes_is_counted),
        TEST(a_rate_is_what_was_counted_in_the_time),
        TEST(what_waits_is_shown),
        TEST(rates_after_a_reset),
        TEST(too_much_output_for_too_long),
        TEST(a_client_that_says_its_last),
        TEST(an_end_is_heard_once),
        TEST(who_left_is_not_read_for),
        TEST(who_reads_slowly_has_not_left),
        TEST(a_client_that_is_killed),
        TEST(a_client_that_leaves_while_its_read_is_half_done),
        TEST(counts_see_no_later_write),
        TEST(counts_within_a_transaction),
        TEST(a_client_that_leaves_while_its_reads_wait),
        TEST(many_clients_that_leave_at_once),
        TEST(a_stop_reads_no_more),
        TEST(what_is_not_sent_is_unanswered),
        TEST(many_channels_take_several_turns),
        TEST(very_many_that_end_take_several_turns),
        TEST(one_with_very_many_takes_several_turns_to_leave),
        TEST(several_with_very_many_share_the_turns),
        TEST(what_a_flush_forgets_takes_several_turns),
        TEST(a_divided_command_fails_once),
        TEST(a_divided_command_begins_without_a_failure),
    };
    return cmocka_run_group_tests_name("clients", tests, NULL, NULL);
}
