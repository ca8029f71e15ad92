/* Clients whose connection stays in a state: that wait in BLPOP, watch, monitor; and those of a
 * node that does not lead.  See test_clients.h. */
#include "test_clients.h"

#include <poll.h>

#include "command/waiting.h"
#include "net/peer_internal.h"

/* The timers of clients that wait run in real time. */
static void pass_really(int fd, int ms)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < ms; i += 10) {
        turns();
        if (poll(&look, 1, 10) > 0)
            return;
    }
}

static void pass_until_nobody_waits(int ms)
{
    for (int i = 0; i < ms && clients_blocked(house.clients) > 0; i += 10) {
        poll(NULL, 0, 10);
        turns();
    }
}

/* ---- waiting ------------------------------------------------------------------------------- */

static void who_waits_is_served_and_goes_on(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "BLPOP k 0\r\nPING\r\n");
    assert_hears(a, "");
    assert_int_equal(clients_blocked(house.clients), 1);
    assert_int_equal(clients_timed(house.clients), 0);
    say(b, "RPUSH k v w\r\n");
    assert_hears(b, ":2\r\n");
    assert_hears(a, "*2\r\n$1\r\nk\r\n$1\r\nv\r\n+PONG\r\n");
    assert_int_equal(clients_blocked(house.clients), 0);
    say(a, "BLPOP k 0\r\n"); /* there is one */
    assert_hears(a, "*2\r\n$1\r\nk\r\n$1\r\nw\r\n");
    say(a, "BLPOP k 100\r\n");
    assert_hears(a, "");
    assert_int_equal(clients_timed(house.clients), 1);
    say(b, "RPUSH k x\r\n");
    assert_hears(b, ":1\r\n");
    assert_hears(a, "*2\r\n$1\r\nk\r\n$1\r\nx\r\n");
    assert_int_equal(clients_timed(house.clients), 0);
    close(a);
    close(b);
}

/* Named twice it is one key: a push of several wakes it once, and the next is woken as well. */
/* Their names are such that one bucket would have all of them. */
static void who_chooses_keys_does_not_choose_their_buckets(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say_colliding(a, "BLPOP", 0, COLLIDING_MAX, "$1\r\n0\r\n");
    assert_hears(a, "");
    assert_int_equal(house.replica->parking_by_name.count, COLLIDING_MAX);
    assert_in_range(longest_chain(&house.replica->parking_by_name), 1, CHAIN_MAX);
    say_colliding(b, "LPUSH", 7, 1, "$1\r\nv\r\n");
    assert_hears(b, ":1\r\n");
    assert_int_equal(house.replica->parking_by_name.count, 0);
    close(a);
    close(b);
}

static void who_names_a_key_twice_waits_once(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    for (int i = 0; i < 2; i++) {
        say(a, "BLPOP k other k k 0\r\n");
        assert_hears(a, "");
        say(b, "RPUSH k 1 2 3\r\n");
        assert_hears(b, ":3\r\n");
        assert_hears(a, "*2\r\n$1\r\nk\r\n$1\r\n1\r\n");
        say(b, "DEL k\r\n");
        assert_hears(b, ":1\r\n");
    }
    say(a, "XREAD BLOCK 0 STREAMS s s $ $\r\n");
    assert_hears(a, "");
    say(b, "XADD s 1-1 f v\r\n");
    assert_hears(b, "$3\r\n1-1\r\n");
    struct buffer heard = {0};
    assert_true(hear_all(a, &heard));
    assert_memory_equal(heard.data, "*2\r\n*2\r\n$1\r\ns\r\n", 15);
    assert_int_equal(clients_blocked(house.clients), 0);
    buffer_deinit(&heard);
    close(a);
    close(b);
}

/* Each command that waits: what wakes it, and what it answers then. */
static void each_command_waits_and_is_woken(void **state)
{
    static const struct {
        const char *waits, *wakes, *woken, *gets;
    } rows[] = {
        {"BLPOP none a 0", "RPUSH a x y", ":2", "*2\r\n$1\r\na\r\n$1\r\nx\r\n"},
        {"BRPOP b none 0", "LPUSH b x y", ":2", "*2\r\n$1\r\nb\r\n$1\r\nx\r\n"},
        {"BLMOVE c d LEFT RIGHT 0", "LPUSH c x", ":1", "$1\r\nx\r\n"},
        {"BRPOPLPUSH e f 0", "RPUSHX d y\r\nRPUSH e y", ":2\r\n:1", "$1\r\ny\r\n"},
        {"BLMPOP 0 2 none g RIGHT COUNT 2", "RPUSH g x y z", ":3",
         "*2\r\n$1\r\ng\r\n*2\r\n$1\r\nz\r\n$1\r\ny\r\n"},
        {"BZPOPMIN h 0", "ZADD h 2 x 1 y", ":2", "*3\r\n$1\r\nh\r\n$1\r\ny\r\n$1\r\n1\r\n"},
        {"BZPOPMAX i 0", "ZADD i 2 x 1 y", ":2", "*3\r\n$1\r\ni\r\n$1\r\nx\r\n$1\r\n2\r\n"},
        {"BZMPOP 0 1 j MIN", "ZADD j 2 x", ":1",
         "*2\r\n$1\r\nj\r\n*1\r\n*2\r\n$1\r\nx\r\n$1\r\n2\r\n"},
        {"XREAD BLOCK 0 STREAMS k $", "XADD k 1-1 f v", "$3\r\n1-1",
         "*1\r\n*2\r\n$1\r\nk\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"},
        {"XREADGROUP GROUP m me BLOCK 0 STREAMS l >", "XADD l 1-1 f v", "$3\r\n1-1",
         "*1\r\n*2\r\n$1\r\nl\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"},
        {"BLPOP n 0", "RENAME d n", "+OK", "*2\r\n$1\r\nn\r\n$1\r\nx\r\n"},
    };
    (void)state;
    int a = dial(), b = dial();
    say(b, "XGROUP CREATE l m $ MKSTREAM\r\n");
    assert_hears(b, "+OK\r\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char woken[64];
        say(a, rows[i].waits);
        say(a, "\r\n");
        assert_hears(a, "");
        assert_int_equal(clients_blocked(house.clients), 1);
        say(b, rows[i].wakes);
        say(b, "\r\n");
        snprintf(woken, sizeof woken, "%s\r\n", rows[i].woken);
        assert_hears(b, woken);
        assert_hears(a, rows[i].gets);
        assert_int_equal(clients_blocked(house.clients), 0);
    }
    close(a);
    close(b);
}

/* Wrong words are refused once, and nobody waits. */
static void what_is_no_wait_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"BLPOP k x", "-ERR timeout is not a float or out of range\r\n"},
        {"BLPOP k -1", "-ERR timeout is negative\r\n"},
        {"BLPOP k 1e30", "-ERR timeout is out of range\r\n"},
        {"BLMOVE k l LEFT RIGHT x", "-ERR timeout is not a float or out of range\r\n"},
        {"BLMOVE k l LEFT UP 0", "-ERR syntax error\r\n"},
        {"BRPOPLPUSH k l -1", "-ERR timeout is negative\r\n"},
        {"BLMPOP x 1 k LEFT", "-ERR timeout is not a float or out of range\r\n"},
        {"BLMPOP 0 0 k LEFT", "-ERR numkeys should be greater than 0\r\n"},
        {"BLMPOP 0 1 k UP", "-ERR syntax error\r\n"},
        {"BZMPOP 0 1 k UP", "-ERR syntax error\r\n"},
        {"BZPOPMIN k -1", "-ERR timeout is negative\r\n"},
        {"WAIT x 0", "-ERR value is not an integer or out of range\r\n"},
        {"WAIT 1 x", "-ERR timeout is not an integer or out of range\r\n"},
        {"WAIT 1 -1", "-ERR timeout is negative\r\n"},
        {"WAITAOF 2 0 0", "-ERR value is out of range, value must between 0 and 1\r\n"},
        {"WAITAOF 0 -1 0", "-ERR value is out of range, must be positive\r\n"},
        {"WAITAOF 0 1 -1", "-ERR timeout is negative\r\n"},
        {"WAIT 0 0", ":0\r\n"}, /* as many as there are */
        {"WAITAOF 1 0 0", "*2\r\n:1\r\n:0\r\n"},
    };
    (void)state;
    int a = dial();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        say(a, rows[i][0]);
        say(a, "\r\n");
        assert_hears(a, rows[i][1]);
        assert_int_equal(clients_blocked(house.clients), 0);
    }
    close(a);
}

/* Alone there is no other member: how many there are is said when the time is over. */
static void who_waits_for_members_hears_how_many_there_are(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "SET k v\r\nWAIT 1 50\r\nPING\r\n");
    say(b, "WAITAOF 1 1 50\r\n");
    turns();
    assert_int_equal(clients_blocked(house.clients), 2);
    pass_until_nobody_waits(3000);
    assert_hears(a, "+OK\r\n:0\r\n+PONG\r\n");
    assert_hears(b, "*2\r\n:1\r\n:0\r\n");
    assert_int_equal(clients_blocked(house.clients), 0);
    close(a);
    close(b);
}

/* Of one group each entry is for one who waits; of two, for one of each. */
static void who_waits_in_groups_gets_an_entry_each(void **state)
{
    (void)state;
    int a[3], b = dial();
    struct buffer heard = {0};
    say(b, "XGROUP CREATE s one $ MKSTREAM\r\nXGROUP CREATE s two $\r\n");
    assert_hears(b, "+OK\r\n+OK\r\n");
    for (int i = 0; i < 3; i++) {
        a[i] = dial();
        say(a[i], i < 2 ? "XREADGROUP GROUP one me BLOCK 0 STREAMS s >\r\n"
                        : "XREADGROUP GROUP two me BLOCK 0 STREAMS s >\r\n");
        assert_hears(a[i], "");
    }
    say(b, "XADD s 1-1 f v\r\n");
    assert_hears(b, "$3\r\n1-1\r\n");
    assert_int_equal(clients_blocked(house.clients), 1);
    for (int i = 0; i < 3; i++) {
        buffer_clear(&heard);
        assert_true(hear_all(a[i], &heard));
        assert_int_equal(heard.size > 0, i != 1);
    }
    say(b, "XADD s 1-2 f v\r\n");
    assert_hears(b, "$3\r\n1-2\r\n");
    assert_int_equal(clients_blocked(house.clients), 0);
    buffer_deinit(&heard);
    for (int i = 0; i < 3; i++)
        close(a[i]);
    close(b);
}

/* Whose words say what they give; the others wake when they are applied. */
static void who_feeds_a_key_is_known_by_its_words(void **state)
{
    static const char *const rows[] = {"LPUSH", "RPUSH", "ZADD", "XADD", "GET", "LPOP", "SET"};
    uint64_t classes[sizeof rows / sizeof rows[0]];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct bytes words[] = {bytes_from_string(rows[i]), bytes_from_string("key"),
                                      bytes_from_string("1"), bytes_from_string("v")};
        struct blob *request = command_encode(words, 4);
        struct bytes key = {NULL, 0};
        classes[i] = command_feeds(blob_bytes(request), &key);
        if (classes[i] != 0)
            assert_true(bytes_equal(key, words[1]));
        blob_release(request);
    }
    assert_true(classes[0] != 0 && classes[2] != 0 && classes[3] != 0);
    assert_int_equal(classes[0], classes[1]);
    assert_true(classes[0] != classes[2] && classes[2] != classes[3] && classes[3] != classes[0]);
    assert_true(classes[4] == 0 && classes[5] == 0 && classes[6] == 0);
}

static void a_timeout_ends_the_waiting(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "BLPOP k 0.05\r\n");
    house.clients->all->prev->connection.protocol = 3; /* of b */
    say(b, "BLPOP k 0.05\r\n");
    turns();
    assert_int_equal(clients_blocked(house.clients), 2);
    pass_really(a, 3000);
    pass_really(b, 3000);
    assert_hears(a, "*-1\r\n");
    assert_hears(b, "_\r\n");
    assert_int_equal(clients_blocked(house.clients), 0);
    say(b, "RPUSH k v\r\n");
    assert_hears(b, ":1\r\n");                                 /* nobody took it */
    say(a, "BLPOP k 9000000000000\r\nBLPOP k 9000000000\r\n"); /* longer than timers know */
    assert_hears(a, "*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
    assert_int_equal(clients_blocked(house.clients), 1);
    close(a);
    close(b);
}

/* One wait that ended by its time says nothing of the next: XREAD asks a second time, with what "$"
 * meant, and waits. */
static void a_timeout_is_of_one_wait_alone(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "BLPOP k 0.05\r\n");
    pass_really(a, 3000);
    assert_hears(a, "*-1\r\n");
    say(a, "XREAD BLOCK 0 STREAMS s $\r\n");
    assert_hears(a, "");
    assert_int_equal(clients_blocked(house.clients), 1);
    say(b, "XADD s 1-1 f v\r\n");
    assert_hears(b, "$3\r\n1-1\r\n");
    assert_hears(a, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    close(a);
    close(b);
}

/* What ended it first is what it is told, and it is not unblocked twice: while what it finds is on
 * its way to the disk its time may come, too. */
static void the_first_end_of_a_wait_holds(void **state)
{
    (void)state;
    int a = dial(), b = dial(), c = dial();
    say(a, "CLIENT ID\r\n");
    assert_hears(a, ":1\r\n");
    say(b, "RPUSH k v\r\n");
    assert_hears(b, ":1\r\n");
    house.disk_hangs = true;
    say(b, "LPOP k\r\n");
    turns();
    say(a, "BLPOP k 0\r\n"); /* there is one yet */
    say(c, "CLIENT UNBLOCK 1 ERROR\r\n");
    assert_hears(c, ":1\r\n");
    say(c, "CLIENT UNBLOCK 1\r\n");
    assert_hears(c, ":0\r\n");
    client_wait_cancel(house.clients->all, WAIT_TIMED_OUT); /* as its timer would */
    assert_hears(a, "");
    house.disk_hangs = false;
    assert_hears(b, "$1\r\nv\r\n");
    assert_hears(a, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    close(a);
    close(b);
    close(c);
}

static void who_waits_is_unblocked_by_others(void **state)
{
    (void)state;
    int a = dial(), b = dial();
    say(a, "CLIENT ID\r\n");
    assert_hears(a, ":1\r\n");
    say(a, "BLPOP k 0\r\n");
    turns();
    say(b, "CLIENT UNBLOCK 2\r\nCLIENT UNBLOCK 1 ERROR\r\n"); /* 2 does not wait */
    assert_hears(b, ":0\r\n:1\r\n");
    assert_hears(a, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    say(a, "BLPOP k 0\r\n");
    turns();
    say(b, "CLIENT UNBLOCK 1\r\n");
    assert_hears(b, ":1\r\n");
    assert_hears(a, "*-1\r\n");
    close(a);
    close(b);
}

/* Nothing is taken for it, whether it closes or only says nothing more. */
static void who_leaves_while_it_waits_gets_nothing(void **state)
{
    (void)state;
    int a = dial(), b = dial(), c = dial(), d = dial();
    char *much = memory_new(2 * CLIENT_WAITING_IN_MAX);
    say(a, "BLPOP k 0\r\n");
    say(b, "BLPOP k 0\r\n");
    say(c, "BLPOP k 0\r\n");
    turns();
    memset(much, 'x', 2 * CLIENT_WAITING_IN_MAX);
    say_bytes(c, much, 2 * CLIENT_WAITING_IN_MAX); /* it is read no more */
    turns();
    assert_int_equal(clients_blocked(house.clients), 3);
    close(a);
    shutdown(b, SHUT_WR);
    turns();
    assert_int_equal(clients_blocked(house.clients), 1);
    close(c);
    turns();
    assert_int_equal(clients_blocked(house.clients), 1);
    pass(1100); /* looked at once a second */
    assert_int_equal(clients_blocked(house.clients), 0);
    say(d, "RPUSH k v\r\nLLEN k\r\n");
    assert_hears(d, ":1\r\n:1\r\n");
    memory_free(much);
    close(b);
    close(d);
}

/* It waits for long, and holds no more memory than it must. */
static void who_waits_gives_its_buffers_back(void **state)
{
    (void)state;
    int a = dial();
    say_set(a, "k", 30000, 'x');
    assert_hears(a, "+OK\r\n");
    say(a, "BLPOP l 0\r\n");
    turns();
    uint64_t before = clients_memory(house.clients);
    pass(6000);
    assert_true(clients_memory(house.clients) + 16 * 1024 < before);
    assert_int_equal(clients_blocked(house.clients), 1);
    close(a);
}

static void a_stop_ends_the_waiting(void **state)
{
    (void)state;
    int a = dial();
    say(a, "BLPOP k 0\r\n");
    turns();
    clients_quiesce(house.clients);
    turns();
    assert_int_equal(clients_blocked(house.clients), 0);
    assert_hears_last(a, "");
}

/* ---- watching ------------------------------------------------------------------------------ */

static void changes_are_told_as_they_come(void **state)
{
    struct buffer heard = {0};
    (void)state;
    int a = dial(), b = dial();
    say(a, "RAFT.WATCH FROM $ PREFIX k VALUES\r\n");
    assert_true(hear_all(a, &heard));
    assert_int_equal(*(char *)heard.data, '$');
    buffer_clear(&heard);
    say(b, "MSET k1 one other two\r\n");
    assert_hears(b, "+OK\r\n");
    assert_true(hear_all(a, &heard));
    assert_non_null(
        strstr((char *)heard.data, "$3\r\nset\r\n$2\r\nk1\r\n$6\r\nstring\r\n$3\r\none\r\n"));
    assert_null(strstr((char *)heard.data, "other"));
    buffer_clear(&heard);
    pass(1100);
    assert_true(hear_all(a, &heard));
    assert_non_null(strstr((char *)heard.data, "raft.position"));
    say(a, "RAFT.UNWATCH\r\n");
    buffer_clear(&heard);
    assert_true(hear_all(a, &heard));
    say(b, "SET k1 two\r\n");
    assert_hears(b, "+OK\r\n");
    assert_hears(a, "");
    close(a);
    close(b);
    buffer_deinit(&heard);
}

/* It reads nothing, and what comes next for it has gone: it is told so and closed. */
static void who_watches_too_slowly_is_told_so(void **state)
{
    struct buffer heard = {0};
    (void)state;
    int a = dial(), b = dial();
    say(a, "RAFT.WATCH FROM $\r\n");
    turns();
    for (int i = 0; i < 400; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        buffer_clear(&heard);
        buffer_printf(&heard, "*3\r\n$3\r\nSET\r\n$20000\r\n%020000d\r\n$1\r\nx\r\n", i);
        say_bytes(b, heard.data, heard.size);
        assert_hears(b, "+OK\r\n");
    }
    assert_int_equal(clients_count(house.clients), 1); /* though it has not read that yet */
    buffer_clear(&heard);
    assert_false(hear_all(a, &heard));
    close(a);
    close(b);
    buffer_deinit(&heard);
}

/* It reads all that it is told, but one entry changed more than is kept. */
static void who_is_lost_is_told_from_where_and_closed(void **state)
{
    enum { NAMES = 3000, SIZE = 600 };
    struct buffer command = {0}, heard = {0};
    (void)state;
    int a = dial(), b = dial();
    say(a, "RAFT.WATCH FROM $\r\n");
    assert_true(hear_all(a, &heard));
    buffer_clear(&heard);
    buffer_printf(&command, "*%d\r\n$4\r\nMSET\r\n", 1 + 2 * NAMES);
    for (int i = 0; i < NAMES; i++)
        buffer_printf(&command, "$%d\r\n%0*d\r\n$1\r\nx\r\n", SIZE, SIZE, i);
    say_bytes(b, command.data, command.size);
    assert_hears(b, "+OK\r\n");
    assert_false(hear_all(a, &heard));
    assert_non_null(strstr((char *)heard.data, "raft.lost"));
    assert_int_equal(clients_count(house.clients), 1);
    close(a);
    close(b);
    buffer_deinit(&command);
    buffer_deinit(&heard);
}

/* ---- monitoring ---------------------------------------------------------------------------- */

static void who_monitors_sees_commands(void **state)
{
    struct buffer heard = {0};
    (void)state;
    int a = dial(), b = dial();
    say(a, "MONITOR\r\n");
    assert_hears(a, "+OK\r\n");
    say(b, "SELECT 3\r\nSET k v\r\nMULTI\r\nSELECT 4\r\nGET k\r\nEXEC\r\n");
    turns();
    assert_true(hear_all(a, &heard));
    assert_non_null(strstr((char *)heard.data, "[3 ?:0] \"SET\" \"k\" \"v\"\r\n"));
    assert_non_null(strstr((char *)heard.data, "[4 ?:0] \"GET\" \"k\"\r\n"));
    close(a);
    turns();
    say(b, "SET k w\r\n"); /* nobody monitors any more */
    turns();
    assert_int_equal(clients_count(house.clients), 1);
    close(b);
    buffer_deinit(&heard);
}

/* ---- an EXEC that is wrong ------------------------------------------------------------------ */

/* It ends its own transaction, behind what is under way, and nothing of that. */
static void a_wrong_exec_ends_nothing_under_way(void **state)
{
    (void)state;
    int a = dial();
    say(a, "MULTI\r\nSELECT 1\r\nSET k v\r\nEXEC\r\nEXEC x\r\nEXISTS k\r\n"
           "WATCH k\r\nEXEC x\r\nSUBSCRIBE c\r\n");
    turns();
    assert_hears(a, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n"
                    "-EXECABORT Transaction discarded because of: wrong number of arguments for "
                    "'exec' command\r\n:1\r\n+OK\r\n"
                    "-EXECABORT Transaction discarded because of: wrong number of arguments for "
                    "'exec' command\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    close(a);
}

/* ---- strangers and counters ---------------------------------------------------------------- */

static void a_member_at_the_clients_port_is_told_so(void **state)
{
    (void)state;
    int a = dial();
    say(a, "*2\r\n$8\r\nRR.HELLO\r\n$1\r\n1\r\n");
    assert_hears_last(a, "-ERR this is a redis-raft client port, not a peer port\r\n");
}

static void counters_begin_anew(void **state)
{
    (void)state;
    int a = dial();
    say(a, "PING\r\n");
    assert_hears(a, "+PONG\r\n");
    pass(1000);
    assert_true(clients_stats(house.clients)->commands > 0);
    assert_true(clients_memory(house.clients) > sizeof(struct client));
    clients_reset_stats(house.clients);
    assert_int_equal(clients_stats(house.clients)->commands, 0);
    close(a);
}

/* ---- a node that does not lead ------------------------------------------------------------- */

static int one_of_three(void **state)
{
    house_open(state);
    house.config.nodes = (struct raft_members){
        .count = 3,
        .list = {{.id = 0, .voter = true}, {.id = 1, .voter = true}, {.id = 2, .voter = true}}};
    house.config.me = 0;
    struct peers_options options = {.loop = house.loop, .config = &house.config, .cluster = 7};
    house.peers = peers_new(&options);
    house_start_replica(0, 256 << 20);
    house.peers->replica = house.replica; /* it dials nobody */
    peers_follow(house.peers);
    return 0;
}

static int tear_down_one_of_three(void **state)
{
    peers_free(house.peers);
    house.peers = NULL;
    return tear_down(state);
}

/* Node 1 says that it leads. */
static void hear_leader(void)
{
    struct replica_status status;
    replica_status(house.replica, &status);
    struct raft_message heartbeat = {
        .type = RAFT_APPEND_REQUEST, .from = 1, .to = 0, .term = status.raft.term + 1};
    replica_receive(house.replica, &heartbeat, 0, 0);
    turns();
    replica_status(house.replica, &status);
    assert_int_equal(status.raft.leader, 1);
}

static void who_does_not_lead_answers_as_it_is_configured(void **state)
{
    (void)state;
    int a = dial();
    set("follower-mode", "redirect");
    say(a, "GET k\r\nCLIENT REPLY SKIP\r\nGET k\r\nPING\r\n");
    assert_hears(a, "-CLUSTERDOWN No leader is known; the command was not executed\r\n+PONG\r\n");
    hear_leader();
    say(a, "SET k v\r\n"); /* its clients' address is not known yet */
    assert_hears(a, "-CLUSTERDOWN No leader is known; the command was not executed\r\n");
    snprintf(peer_find(house.peers, 1)->client_address, RAFT_ADDRESS_SIZE, "[2001:db8::7]:7001");
    say(a, "SET k v\r\nGET k\r\n");
    assert_hears(a, "-MOVED 0 2001:db8::7:7001\r\n-MOVED 0 2001:db8::7:7001\r\n");
    set("follower-mode", "readonly");
    say(a, "SET k v\r\n");
    assert_hears(a, "-READONLY You can't write against a read only replica.\r\n");
    say(a, "GET k\r\nSET k v\r\n");
    assert_hears(a, ""); /* it waits for the leader, and what is refused waits behind it */
    assert_int_equal(clients_waiting(house.clients), 1);
    close(a);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    log_set_level(LOG_LEVEL_WARNING);
    const struct CMUnitTest tests[] = {
        TEST(who_waits_is_served_and_goes_on),
        TEST(who_chooses_keys_does_not_choose_their_buckets),
        TEST(who_names_a_key_twice_waits_once),
        TEST(each_command_waits_and_is_woken),
        TEST(what_is_no_wait_is_refused),
        TEST(who_waits_for_members_hears_how_many_there_are),
        TEST(who_waits_in_groups_gets_an_entry_each),
        TEST(who_feeds_a_key_is_known_by_its_words),
        TEST(a_timeout_ends_the_waiting),
        TEST(a_timeout_is_of_one_wait_alone),
        TEST(the_first_end_of_a_wait_holds),
        TEST(who_waits_is_unblocked_by_others),
        TEST(who_leaves_while_it_waits_gets_nothing),
        TEST(who_waits_gives_its_buffers_back),
        TEST(a_stop_ends_the_waiting),
        TEST(changes_are_told_as_they_come),
        TEST(who_watches_too_slowly_is_told_so),
        TEST(who_is_lost_is_told_from_where_and_closed),
        TEST(who_monitors_sees_commands),
        TEST(a_wrong_exec_ends_nothing_under_way),
        TEST(a_member_at_the_clients_port_is_told_so),
        TEST(counters_begin_anew),
        cmocka_unit_test_setup_teardown(who_does_not_lead_answers_as_it_is_configured, one_of_three,
                                        tear_down_one_of_three),
    };
    return cmocka_run_group_tests_name("client waits", tests, NULL, NULL);
}
