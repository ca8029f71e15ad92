/* MULTI, EXEC, WATCH: from the words of a client to the state machine, and what no honest node
 * would send. */
#include "test_command.h"

#include "command/exec_form.h"

#define QUEUED "+QUEUED\r\n"
#define ABORTED "-EXECABORT Transaction discarded because of previous errors.\r\n"
#define WRONG_EXEC                                                                                 \
    "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "           \
    "command\r\n"
#define NOT_INTEGER "-ERR value is not an integer or out of range\r\n"

static const struct typed plain[] = {
    {"EXEC", "-ERR EXEC without MULTI\r\n", NULL},
    {"DISCARD", "-ERR DISCARD without MULTI\r\n", NULL},
    {"MULTI x", "-ERR wrong number of arguments for 'multi' command\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"EXEC", "*0\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"SET k 1", QUEUED, NULL},
    {"INCR k", QUEUED, NULL},
    {"MULTI", "-ERR MULTI calls can not be nested\r\n", NULL},
    {"WATCH k", "-ERR WATCH inside MULTI is not allowed\r\n", NULL},
    {"GET no", QUEUED, NULL},
    {"PING", QUEUED, NULL},
    {"ECHO x", QUEUED, NULL},
    {"UNWATCH", QUEUED, NULL},
    {"EXEC", "*6\r\n+OK\r\n:2\r\n$-1\r\n+PONG\r\n$1\r\nx\r\n+OK\r\n",
     "*6\r\n+OK\r\n:2\r\n_\r\n+PONG\r\n$1\r\nx\r\n+OK\r\n"},
    {"GET k", "$1\r\n2\r\n", NULL},
    {"EXEC", "-ERR EXEC without MULTI\r\n", NULL},
    /* An EXEC that is wrong ends it all the same; one that ONCE carries is like any command. */
    {"EXEC x", WRONG_EXEC, NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"SET k 9", QUEUED, NULL},
    {"EXEC x", WRONG_EXEC, NULL},
    {"EXEC", "-ERR EXEC without MULTI\r\n", NULL},
    {"GET k", "$1\r\n2\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"ONCE c 1 EXEC x", QUEUED, NULL},
    {"EXEC", "*1\r\n-ERR wrong number of arguments for 'exec' command\r\n", NULL},
    /* One that fails, by its words or by the data, does not keep the others from being executed. */
    {"MULTI", "+OK\r\n", NULL},
    {"INCRBY k x", QUEUED, NULL},
    {"APPEND k y", QUEUED, NULL},
    {"INCR k", QUEUED, NULL},
    {"SET k 7", QUEUED, NULL},
    {"EXEC", "*4\r\n" NOT_INTEGER ":2\r\n" NOT_INTEGER "+OK\r\n", NULL},
    {"GET k", "$1\r\n7\r\n", NULL},
    /* The last instants that there are, which are no durations from now on. */
    {"MULTI", "+OK\r\n", NULL},
    {"EXPIREAT k 9223372036854775", QUEUED, NULL},
    {"PEXPIREAT k 9223372036854775807", QUEUED, NULL},
    {"EXPIRE k 9223372036854775", QUEUED, NULL},
    {"PERSIST k", QUEUED, NULL},
    {"EXEC", "*4\r\n:1\r\n:1\r\n-ERR invalid expire time in 'expire' command\r\n:1\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"HEXPIREAT no 70368744177 FIELDS 1 f", QUEUED, NULL},
    {"HPEXPIREAT no 70368744177663 FIELDS 1 f", QUEUED, NULL},
    {"HPEXPIRE no 70368744177663 FIELDS 1 f", QUEUED, NULL},
    {"EXEC", "*3\r\n*1\r\n:-2\r\n*1\r\n:-2\r\n-ERR invalid expire time in 'hpexpire' command\r\n",
     NULL},
    /* What is refused when it comes spoils all. */
    {"MULTI", "+OK\r\n", NULL},
    {"SET k 8", QUEUED, NULL},
    {"GET", "-ERR wrong number of arguments for 'get' command\r\n", NULL},
    {"EXEC", ABORTED, NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n", NULL},
    {"SET k 8", QUEUED, NULL},
    {"EXEC", ABORTED, NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"CONFIG SET maxclients 5", "-ERR Command not allowed inside a transaction\r\n", NULL},
    {"EXEC", ABORTED, NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"SET k 8", QUEUED, NULL},
    {"DISCARD", "+OK\r\n", NULL},
    {"GET k", "$1\r\n7\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"SET k 8", QUEUED, NULL},
    {"EXEC x", WRONG_EXEC, NULL},
    {"raft.exec \"\"", "-ERR unknown command 'raft.exec', with args beginning with: '' \r\n", NULL},
    {"ONCE a 1 raft.exec \"\"",
     "-ERR unknown command 'raft.exec', with args beginning with: '' \r\n", NULL},
};

static const struct typed watching[] = {
    {"WATCH a", "+OK\r\n", NULL},    {"MULTI", "+OK\r\n", NULL},
    {"INCR a", QUEUED, NULL},        {"EXEC", "*1\r\n:1\r\n", NULL}, /* nobody changed it */
    {"WATCH a", "+OK\r\n", NULL},    {"INCR a", ":2\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},      {"INCR a", QUEUED, NULL},
    {"EXEC", "*-1\r\n", "_\r\n"},    {"MULTI", "+OK\r\n", NULL}, /* EXEC has ended it */
    {"INCR a", QUEUED, NULL},        {"EXEC", "*1\r\n:3\r\n", NULL},
    {"WATCH a", "+OK\r\n", NULL},    {"SET a 3", "+OK\r\n", NULL}, /* the same value is a change */
    {"UNWATCH", "+OK\r\n", NULL},    {"MULTI", "+OK\r\n", NULL},
    {"INCR a", QUEUED, NULL},        {"EXEC", "*1\r\n:4\r\n", NULL},
    {"WATCH a", "+OK\r\n", NULL},    {"DEL a", ":1\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},      {"GET a", QUEUED, NULL},
    {"EXEC", "*-1\r\n", "_\r\n"}, /* a read of all, too */
    {"WATCH a b", "+OK\r\n", NULL},  {"WATCH c", "+OK\r\n", NULL},
    {"SET b x", "+OK\r\n", NULL},    {"MULTI", "+OK\r\n", NULL},
    {"DISCARD", "+OK\r\n", NULL}, /* unwatches */
    {"MULTI", "+OK\r\n", NULL},      {"SET d 1", QUEUED, NULL},
    {"EXEC", "*1\r\n+OK\r\n", NULL}, {"WATCH b", "+OK\r\n", NULL},
    {"FLUSHALL", "+OK\r\n", NULL},   {"MULTI", "+OK\r\n", NULL},
    {"SET d 2", QUEUED, NULL},       {"EXEC", "*-1\r\n", "_\r\n"},
};

static const struct typed databases[] = {
    {"WATCH k", "+OK\r\n", NULL},
    {"SELECT 2", "+OK\r\n", NULL},
    {"SET k other", "+OK\r\n", NULL}, /* not the k that is watched */
    {"MULTI", "+OK\r\n", NULL},
    {"GET k", QUEUED, NULL},
    {"SELECT 3", QUEUED, NULL},
    {"SET k three", QUEUED, NULL},
    {"SELECT 16", QUEUED, NULL},
    {"GET k", QUEUED, NULL},
    {"EXEC", "*5\r\n$5\r\nother\r\n+OK\r\n+OK\r\n-ERR DB index is out of range\r\n$5\r\nthree\r\n",
     NULL},
    {"GET k", "$5\r\nthree\r\n", NULL}, /* EXEC chose for what follows */
    {"WATCH k", "+OK\r\n", NULL},
    {"SET k x", "+OK\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"SELECT 2", QUEUED, NULL},
    {"EXEC", "*-1\r\n", "_\r\n"},
    {"GET k", "$1\r\nx\r\n", NULL}, /* it was not done */
    {"MULTI", "+OK\r\n", NULL},
    {"SELECT 2", QUEUED, NULL},
    {"DISCARD", "+OK\r\n", NULL},
    {"GET k", "$1\r\nx\r\n", NULL},
    {"SELECT 0", "+OK\r\n", NULL},
};

static const struct typed once[] = {
    {"ONCE c 1 EXEC", "-ERR EXEC without MULTI\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"INCR n", QUEUED, NULL},
    {"MGET n no", QUEUED, NULL},
    {"PING", QUEUED, NULL},
    {"ONCE c 1 EXEC", "*3\r\n:1\r\n*2\r\n$1\r\n1\r\n$-1\r\n+PONG\r\n",
     "*3\r\n:1\r\n*2\r\n$1\r\n1\r\n_\r\n+PONG\r\n"},
    {"MULTI", "+OK\r\n", NULL}, /* the answer did not come: the same again */
    {"INCR n", QUEUED, NULL},
    {"MGET n no", QUEUED, NULL},
    {"PING", QUEUED, NULL},
    {"ONCE c 1 EXEC", "*3\r\n:1\r\n*2\r\n$1\r\n1\r\n$-1\r\n+PONG\r\n",
     "*3\r\n:1\r\n*2\r\n$1\r\n1\r\n_\r\n+PONG\r\n"},
    {"GET n", "$1\r\n1\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"ONCE c 2 INCR n", QUEUED, NULL}, /* carried, not the end */
    {"ONCE c x EXEC", "-ERR ONCE request id is not an integer or out of range\r\n", NULL},
    {"EXEC", "*1\r\n:2\r\n", NULL},
    {"ONCE c 2 INCR n", ":2\r\n", NULL},
    {"MULTI", "+OK\r\n", NULL},
    {"GET", "-ERR wrong number of arguments for 'get' command\r\n", NULL},
    {"ONCE c 3 EXEC", ABORTED, NULL},
};

#define ALL(rows) world_expect_all(*state, rows, sizeof(rows) / sizeof(rows[0]))

static void test_plain(void **state)
{
    ALL(plain);
}

static void test_watching(void **state)
{
    ALL(watching);
}

static void test_databases(void **state)
{
    ALL(databases);
}

static void test_once(void **state)
{
    struct world *world = *state;
    for (int protocol = 2; protocol <= 3; protocol++) {
        world->connection.protocol = protocol;
        EXPECT(world, "FLUSHALL", "+OK\r\n");
        for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
            char line[128]; /* another client in the second round */
            snprintf(line, sizeof line, "%s", once[i].line);
            if (strncmp(line, "ONCE c", 6) == 0)
                line[5] = (char)('a' + protocol);
            EXPECT(world, line, protocol == 3 && once[i].resp3 ? once[i].resp3 : once[i].resp2);
        }
    }
}

static void test_reset_forgets(void **state)
{
    struct world *world = *state;
    EXPECT(world, "MULTI", "+OK\r\n");
    EXPECT(world, "SET k v", QUEUED);
    EXPECT(world, "RESET", "+RESET\r\n");
    EXPECT(world, "EXEC", "-ERR EXEC without MULTI\r\n");
    EXPECT(world, "GET k", "$-1\r\n");
}

/* EXEC carries all that is watched, so that is bounded, by number and by size. */
static void test_not_everything_is_watched(void **state)
{
    struct world *world = *state;
    struct bytes words[3] = {bytes_from_string("WATCH"), bytes_from_string("k")};
    for (unsigned i = 0; i < TRANSACTION_WATCH_MAX; i++) {
        world->connection.out.bytes.size = 0;
        world_run(world, words, 2);
    }
    assert_int_equal(world->connection.transaction.watched, TRANSACTION_WATCH_MAX);
    EXPECT(world, "WATCH k", "-ERR too much is watched\r\n");
    EXPECT(world, "UNWATCH", "+OK\r\n");
    char *key = memory_new(TRANSACTION_WATCH_BYTES_MAX / 2);
    words[1] = bytes_of(key, TRANSACTION_WATCH_BYTES_MAX / 2);
    words[2] = words[1];
    world_run(world, words, 3);
    assert_int_equal(world->last_class, COMMAND_REFUSED);
    world_run(world, words, 2);
    assert_int_equal(world->connection.transaction.watched, 1);
    EXPECT(world, "MULTI", "+OK\r\n");
    EXPECT(world, "EXEC", "*0\r\n");
    memory_free(key);
}

static void test_silent_client(void **state)
{
    struct world *world = *state;
    EXPECT(world, "CLIENT REPLY OFF", "");
    EXPECT(world, "MULTI", "");
    EXPECT(world, "SET k v", "");
    EXPECT(world, "EXEC", "");
    EXPECT(world, "CLIENT REPLY ON", "+OK\r\n");
    EXPECT(world, "GET k", "$1\r\nv\r\n");
}

/* A long command inside pauses, and a transaction of very many does. */
static void test_in_slices(void **state)
{
    enum { MANY = 3000 };
    struct world *world = *state;
    EXPECT(world, "MULTI", "+OK\r\n");
    for (int i = 0; i < MANY; i++)
        EXPECT(world, "INCR n", QUEUED);
    EXPECT(world, "KEYS *", QUEUED);
    world->pauses = 0;
    struct bytes reply = world_type(world, "EXEC");
    assert_true(world->pauses > 2);
    assert_memory_equal(reply.data, "*3001\r\n:1\r\n:2\r\n", 15);
    EXPECT(world, "GET n", "$4\r\n3000\r\n");
    EXPECT(world, "MULTI", "+OK\r\n");
    for (int i = 0; i < MANY; i++)
        EXPECT(world, "GET n", QUEUED);
    world->pauses = 0;
    reply = world_type(world, "EXEC");
    assert_int_equal(world->last_class, COMMAND_READ);
    assert_true(world->pauses > 2);
    assert_int_equal(reply.size, strlen("*3000\r\n") + MANY * strlen("$4\r\n3000\r\n"));
}

/* ---- what another node may send --------------------------------------------------------- */

static void apply_exec(struct world *world, const struct bytes *words, uint32_t count,
                       struct buffer *out)
{
    struct blob *blob = command_encode(words, count);
    buffer_clear(out);
    world_apply(world, blob_bytes(blob), out);
    blob_release(blob);
}

static void test_malformed_is_not_executed(void **state)
{
    static const char good[] = "\0\0\2\0\0\0\4\0\0\0INCR\1\0\0\0k";
    struct world *world = *state;
    struct buffer out = {0};
    struct bytes words[4] = {bytes_from_string(EXEC_NAME), bytes_of("", 0),
                             bytes_of(good, sizeof good - 1), bytes_of("", 0)};
    apply_exec(world, words, 3, &out);
    assert_true(bytes_equal(buffer_bytes(&out), bytes_from_string("*1\r\n:1\r\n")));
    static const struct bytes bad[] = {
        {"", 0},
        {"\0", 1},
        {"\0\0", 2},
        {"\2\0+OK\r\n", 7},                             /* no such kind */
        {"\0\20\1\0\0\0\4\0\0\0KEYS", 14},              /* no such database */
        {"\1\0+OK", 5},                                 /* no reply */
        {"\1\0+OK\r\n+OK\r\n", 12},                     /* two */
        {"\0\0\1\0\0\0\4\0\0\0PING", 14},               /* local */
        {"\0\0\1\0\0\0\4\0\0\0INCR", 14},               /* a word is missing */
        {"\0\0\2\0\0\0\11\0\0\0raft.exec\0\0\0\0", 23}, /* itself */
        {"\0\0\2\0\0\0\4\0\0\0INCR\2\0\0\0k", 19},      /* cut */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        words[3] = bad[i];
        apply_exec(world, words, 4, &out);
        assert_true(
            bytes_equal(buffer_bytes(&out), bytes_from_string("-ERR malformed transaction\r\n")));
    }
    words[1] = bytes_of("\0\0\0\0\0\0\0\0\0\2\0\0\0k", 14); /* a watch that is cut */
    apply_exec(world, words, 3, &out);
    assert_true(
        bytes_equal(buffer_bytes(&out), bytes_from_string("-ERR malformed transaction\r\n")));
    EXPECT(world, "GET k", "$1\r\n1\r\n");
    buffer_deinit(&out);
}

static void test_not_admitted(void **state)
{
    static const char wrong_words[] = "\0\0\3\0\0\0\6\0\0\0INCRBY\1\0\0\0k\1\0\0\0x";
    struct world *world = *state;
    struct buffer out = {0};
    struct apply_context context = {.meaning = command_meaning_newest};
    struct bytes words[3] = {bytes_from_string(EXEC_NAME), bytes_of("", 0),
                             bytes_of(wrong_words, sizeof wrong_words - 1)};
    struct blob *blob = command_encode(words, 3);
    assert_false(world->machine->ops->admit(world->machine, &context, blob_bytes(blob), 2, &out));
    assert_true(bytes_equal(buffer_bytes(&out), bytes_from_string(NOT_INTEGER)));
    blob_release(blob);
    words[2].size--; /* it is cut off */
    blob = command_encode(words, 3);
    buffer_clear(&out);
    assert_false(world->machine->ops->admit(world->machine, &context, blob_bytes(blob), 2, &out));
    assert_true(
        bytes_equal(buffer_bytes(&out), bytes_from_string("-ERR malformed transaction\r\n")));
    blob_release(blob);
    blob = command_encode(words, 2);
    buffer_clear(&out);
    assert_true(world->machine->ops->admit(world->machine, &context, blob_bytes(blob), 2, &out));
    assert_int_equal(out.size, 0);
    context.meaning = 2; /* what not all members know is not proposed */
    assert_false(world->machine->ops->admit(world->machine, &context, blob_bytes(blob), 2, &out));
    blob_release(blob);
    buffer_deinit(&out);
}

/* Inside of one nobody waits: what was acknowledged is with a majority of the voters, of whom the
 * leader is one. */
static void test_who_has_it_for_certain(void **state)
{
    struct world *world = *state;
    world->raft.members_count = 5;
    for (unsigned i = 0; i < 4; i++)
        world->raft.members[i].voter = true;
    EXPECT(world, "MULTI", OK);
    EXPECT(world, "WAIT 1 0", QUEUED);
    EXPECT(world, "WAITAOF 1 1 0", QUEUED);
    EXPECT(world, "EXEC", "*2\r\n:2\r\n*2\r\n:1\r\n:2\r\n");
}

static int make_world(void **state)
{
    world_set_up(state);
    return 0;
}

static int free_world(void **state)
{
    world_deinit(*state);
    memory_free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plain),
        TEST(test_watching),
        TEST(test_databases),
        TEST(test_once),
        TEST(test_reset_forgets),
        TEST(test_silent_client),
        TEST(test_in_slices),
        TEST(test_malformed_is_not_executed),
        TEST(test_not_admitted),
        TEST(test_who_has_it_for_certain),
        TEST(test_not_everything_is_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
