/* The state machine: exactly-once requests, the same state on every node, and input that no honest
 * node would send. */
#include <stdlib.h>

#include "test_command.h"

static const struct typed repeated[] = {
    {"ONCE c1 1 INCR n", ":1\r\n", NULL},
    {"ONCE c1 1 INCR n", ":1\r\n", NULL},
    {"GET n", "$1\r\n1\r\n", NULL},
    {"ONCE c1 2 INCR n", ":2\r\n", NULL},
    {"ONCE c1 1 INCR n", "-STALEREQ this client's request 2 came later\r\n", NULL},
    {"ONCE c1 2 INCR n", ":2\r\n", NULL},
    {"ONCE c2 1 INCR n", ":3\r\n", NULL},
    {"ONCE c1 2 INCR n", ":2\r\n", NULL},
    /* The identical id is what counts, not the words behind it. */
    {"ONCE c1 2 DEL n", ":2\r\n", NULL},
    {"GET n", "$1\r\n3\r\n", NULL},
    /* Gaps are allowed, and the largest id there is. */
    {"ONCE c1 10 GET n", "$1\r\n3\r\n", NULL},
    {"ONCE c1 10 SET n 7", "$1\r\n3\r\n", NULL},
    {"ONCE c1 18446744073709551615 SET k v GET", NIL2, NIL3},
    {"ONCE c1 18446744073709551615 SET k v GET", NIL2, NIL3},
    {"ONCE c1 11 GET n", "-STALEREQ this client's request 18446744073709551615 came later\r\n",
     NULL},
    /* An error of the command is its reply. */
    {"ONCE c2 2 INCR k", NOT_INTEGER, NULL},
    {"SET k 5", OK, NULL},
    {"ONCE c2 2 INCR k", NOT_INTEGER, NULL},
    {"ONCE c2 3 INCR k", ":6\r\n", NULL},
    {"ONCE c2 4 MGET k no", "*2\r\n$1\r\n6\r\n$-1\r\n", "*2\r\n$1\r\n6\r\n_\r\n"},
    {"ONCE c2 4 MGET k no", "*2\r\n$1\r\n6\r\n$-1\r\n", "*2\r\n$1\r\n6\r\n_\r\n"},
    {"ONCE \"c\\x00\" 1 INCR k", ":7\r\n", NULL},
    {"ONCE \"c\\x00\" 1 INCR k", ":7\r\n", NULL},
};

static const struct typed refused[] = {
    {"ONCE", "-ERR wrong number of arguments for 'once' command\r\n", NULL},
    {"ONCE c 1", "-ERR wrong number of arguments for 'once' command\r\n", NULL},
    {"ONCE c 1 NOSUCH a", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' \r\n",
     NULL},
    {"ONCE c 1 SET k", "-ERR wrong number of arguments for 'set' command\r\n", NULL},
    {"ONCE c 1 PING", "-ERR ONCE cannot carry 'ping'\r\n", NULL},
    {"ONCE c 1 CLIENT ID", "-ERR ONCE cannot carry 'client|id'\r\n", NULL},
    {"ONCE c 1 ONCE c 2 GET k", "-ERR ONCE cannot carry 'once'\r\n", NULL},
    {"ONCE c x SET k v", "-ERR ONCE request id is not an integer or out of range\r\n", NULL},
    {"ONCE c -1 SET k v", "-ERR ONCE request id is not an integer or out of range\r\n", NULL},
    {"ONCE \"\" 1 SET k v", "-ERR ONCE client id must have 1 to 128 bytes\r\n", NULL},
    /* None of these was a request: 1 is still free. */
    {"ONCE c 1 EXISTS k", ":0\r\n", NULL},
};

static void expect_rows(struct world *world, const struct typed *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        EXPECT(world, rows[i].line,
               world->connection.protocol == 3 && rows[i].resp3 ? rows[i].resp3 : rows[i].resp2);
}

static void test_once(void **state)
{
    expect_rows(*state, repeated, sizeof(repeated) / sizeof(repeated[0]));
}

static void test_once_resp3(void **state)
{
    struct world *world = *state;
    world->connection.protocol = 3;
    expect_rows(world, repeated, sizeof(repeated) / sizeof(repeated[0]));
}

static void test_once_refused(void **state)
{
    expect_rows(*state, refused, sizeof(refused) / sizeof(refused[0]));
}

/* A client may come back in the other protocol. */
static void test_once_changes_protocol(void **state)
{
    struct world *world = *state;
    EXPECT(world, "ONCE c 1 GETSET k v", NIL2);
    world->connection.protocol = 3;
    EXPECT(world, "ONCE c 1 GETSET k v", NIL3);
    EXPECT(world, "ONCE c 2 GETSET l v", NIL3);
    world->connection.protocol = 2;
    EXPECT(world, "ONCE c 2 GETSET l v", NIL2);
}

/* What FLUSHALL deletes is the keys: a repeated FLUSHALL must not delete what came after it. */
static void test_once_survives_flushall(void **state)
{
    struct world *world = *state;
    EXPECT(world, "ONCE c 1 FLUSHALL", OK);
    EXPECT(world, "SET k v", OK);
    EXPECT(world, "ONCE c 1 FLUSHALL", OK);
    EXPECT(world, "GET k", "$1\r\nv\r\n");
}

static void test_once_receipts_end(void **state)
{
    struct world *world = *state;
    struct db_stats stats;
    const int64_t hour_ms = 3600 * 1000;
    EXPECT(world, "ONCE quiet 5 INCR n", ":1\r\n");
    EXPECT(world, "ONCE busy 5 INCR n", ":2\r\n");
    world->now_ms += hour_ms - 1;
    EXPECT(world, "ONCE busy 5 INCR n", ":2\r\n");
    EXPECT(world, "ONCE quiet 5 INCR n", ":1\r\n");
    world->now_ms += hour_ms - 1;
    EXPECT(world, "ONCE busy 6 INCR n", ":3\r\n");
    db_stats(world->db, &stats);
    assert_int_equal(stats.receipts, 2);
    world->now_ms += 2;
    EXPECT(world, "ONCE busy 6 INCR n", ":3\r\n");
    db_stats(world->db, &stats);
    assert_int_equal(stats.receipts, 1);
    EXPECT(world, "ONCE quiet 1 INCR n", ":4\r\n");
}

/* A crowd that left is forgotten in slices, not by one unlucky request. */
static void test_once_receipts_end_in_slices(void **state)
{
    struct world *world = *state;
    struct db_stats before, after;
    for (int i = 0; i < 100; i++) {
        char line[64];
        snprintf(line, sizeof(line), "ONCE client:%d 1 GET k", i);
        EXPECT(world, line, NIL2);
    }
    world->now_ms += 2 * 3600 * 1000;
    db_stats(world->db, &before);
    EXPECT(world, "ONCE late 1 GET k", NIL2);
    db_stats(world->db, &after);
    assert_in_range(before.receipts - after.receipts, 1, 20);
    for (int i = 0; i < 20; i++) {
        EXPECT(world, "ONCE late 1 GET k", NIL2);
    }
    db_stats(world->db, &after);
    assert_int_equal(after.receipts, 1);
}

/* ---- the same on every node ---------------------------------------------------------- */

static const char *const words[] = {"a",
                                    "b",
                                    "c",
                                    "d",
                                    "",
                                    "1",
                                    "-7",
                                    "2.5",
                                    "nx",
                                    "xx",
                                    "get",
                                    "ifeq",
                                    "ifne",
                                    "ex",
                                    "*",
                                    "0",
                                    "9223372036854775807",
                                    "match",
                                    "count",
                                    "once",
                                    "x",
                                    "3"};

/* A command of the table with random words, now and then one too many or too few. */
static uint32_t random_command(uint64_t *seed, struct bytes *argv)
{
    uint32_t rows, argc = 0;
    const struct command *table = command_table(&rows, NULL);
    const struct command *command;
    do
        command = &table[prng_below(seed, rows)];
    while (command->flags & CMD_LOCAL);
    if (prng_below(seed, 4) == 0) {
        argv[argc++] = bytes_from_string("once");
        argv[argc++] = bytes_from_string(words[prng_below(seed, 4)]);
        argv[argc++] = bytes_from_string(words[prng_below(seed, 2) ? 5 : 21]);
    }
    argv[argc++] = bytes_from_string(command->name);
    uint32_t wanted = (uint32_t)abs(command->arity) - 1;
    if (command->arity < 0 || prng_below(seed, 10) == 0)
        wanted += (uint32_t)prng_below(seed, 4);
    for (uint32_t i = 0; i < wanted; i++) {
        uint64_t word = prng_below(seed, i ? sizeof(words) / sizeof(words[0]) : 4);
        argv[argc++] = bytes_from_string(words[word]);
    }
    return argc;
}

/* One entry, as it is applied on a node where somebody waits (in some protocol) or nobody does. */
static void apply_on(struct world *world, int protocol, bool waits, struct bytes entry,
                     struct buffer *out)
{
    world->connection.protocol = protocol;
    buffer_clear(out);
    world_apply(world, entry, waits ? out : NULL);
}

/* Whose replies have another shape in RESP2, which cannot be told from that in RESP3: pairs in a
 * row, an array that is null. */
static bool has_two_shapes(struct bytes name)
{
    static const char *const names[] = {"zpopmin", "zpopmax", "lpop",     "rpop",       "zmpop",
                                        "lmpop",   "geopos",  "xread",    "xreadgroup", "blpop",
                                        "brpop",   "blmpop",  "bzpopmin", "bzpopmax",   "bzmpop"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (bytes_is(name, names[i]))
            return true;
    return false;
}

static void test_deterministic(void **state)
{
    struct world *here = *state;
    struct world there;
    struct buffer resp2 = {0}, resp3 = {0}, converted = {0}, read = {0};
    struct blob *random = command_encode((struct bytes[]){bytes_from_string("randomkey")}, 1);
    uint64_t filled = 0;
    world_init(&there);
    for (uint64_t round = 0; round < 6000; round++) {
        uint64_t seed = round;
        struct bytes argv[16];
        uint32_t argc = random_command(&seed, argv);
        struct blob *entry = command_encode(argv, argc);
        here->now_ms = there.now_ms = here->now_ms + (int64_t)prng_below(&seed, 900000);
        bool waits = prng_below(&seed, 2);
        /* What one node was asked meanwhile is nothing to the log. */
        buffer_clear(&read);
        world_read(here, blob_bytes(random), &read);
        apply_on(here, 3, true, blob_bytes(entry), &resp3);
        apply_on(&there, 2, waits, blob_bytes(entry), &resp2);
        /* Exactly one well-formed reply, the same in both protocols. */
        buffer_clear(&converted);
        assert_true(resp_3_to_2(buffer_bytes(&resp3), &converted));
        if (waits && !has_two_shapes(argv[0]))
            assert_true(bytes_equal(buffer_bytes(&converted), buffer_bytes(&resp2)));
        if (round % 500 == 0)
            assert_true(db_hash(here->db) == db_hash(there.db));
        filled += db_size(here->db, 0) > 0;
        blob_release(entry);
    }
    assert_true(filled > 0); /* it may end with a FLUSHALL */
    assert_true(db_hash(here->db) == db_hash(there.db));
    buffer_deinit(&resp2);
    buffer_deinit(&resp3);
    buffer_deinit(&converted);
    buffer_deinit(&read);
    blob_release(random);
    world_deinit(&there);
}

/* A read through the read path gives what a read through the log gives, and changes nothing. */
static void test_reads_change_nothing(void **state)
{
    struct world *world = *state;
    struct buffer out = {0};
    EXPECT(world, "MSET a 1 b 2", OK);
    uint64_t hash = db_hash(world->db);
    for (uint64_t round = 0; round < 3000; round++) {
        uint64_t seed = round;
        struct bytes argv[16];
        uint32_t argc = random_command(&seed, argv);
        struct blob *entry = command_encode(argv, argc);
        buffer_clear(&out);
        world_read(world, blob_bytes(entry), &out);
        assert_true(out.size > 0);
        blob_release(entry);
    }
    assert_true(db_hash(world->db) == hash);
    buffer_deinit(&out);
}

/* ---- what no honest node would send ---------------------------------------------------- */

static void assert_applies_to(struct world *world, struct bytes entry, const char *wanted)
{
    struct buffer out = {0};
    world_apply(world, entry, &out);
    if (!bytes_equal(buffer_bytes(&out), bytes_from_string(wanted)))
        fail_msg("got %.*s", (int)out.size, out.data);
    buffer_deinit(&out);
}

static void assert_words_apply_to(struct world *world, const char *word, const char *wanted)
{
    struct bytes argv[] = {bytes_from_string(word)};
    struct blob *entry = command_encode(argv, 1);
    assert_applies_to(world, blob_bytes(entry), wanted);
    blob_release(entry);
}

static struct blob *encode_line(const char *line)
{
    struct bytes argv[16];
    uint32_t argc = 0;
    for (const char *at = line; *at; at += strspn(at, " ")) {
        argv[argc++] = bytes_of(at, strcspn(at, " "));
        at += strcspn(at, " ");
    }
    return command_encode(argv, argc);
}

/* Words as another node sends them, under a meaning; NULL: admitted. */
static void assert_admits(struct world *world, uint8_t meaning, uint8_t database, const char *line,
                          const char *wanted)
{
    struct buffer out = {0};
    struct blob *command = encode_line(line);
    struct apply_context context = {.meaning = meaning, .database = database};
    bool admitted =
        world->machine->ops->admit(world->machine, &context, blob_bytes(command), 2, &out);
    blob_release(command);
    assert_int_equal(admitted, wanted == NULL);
    if (!admitted && !bytes_equal(buffer_bytes(&out), bytes_from_string(wanted)))
        fail_msg("%s: got %.*s", line, (int)out.size, out.data);
    if (admitted)
        assert_int_equal(out.size, 0);
    buffer_deinit(&out);
}

static bool decode(struct world *world, struct blob *command)
{
    return world->machine->ops->decode(world->machine, command);
}

/* Of very many words some at a time, of one command; then it is what it would be at once. */
static void test_words_are_taken_apart_before_they_are_admitted(void **state)
{
    enum { WORDS = 2 * COMMAND_DECODED_WORDS + 10 };
    static struct bytes argv[WORDS];
    struct world *world = *state;
    struct apply_context context = {.meaning = command_meaning_newest};
    struct buffer out = {0};
    for (uint32_t i = 0; i < WORDS; i++)
        argv[i] = bytes_from_string(i ? "x" : "DEL");
    struct blob *many = command_encode(argv, WORDS), *few = command_encode(argv, 3);
    struct blob *other = command_encode(argv, WORDS - 1);
    for (int i = 0; i < 3; i++) {
        assert_false(decode(world, many));
        assert_false(decode(world, other)); /* is not begun */
        assert_true(decode(world, few));
        assert_true(world->machine->ops->admit(world->machine, &context, blob_bytes(few), 2, &out));
    }
    assert_true(decode(world, many));
    assert_true(world->machine->ops->admit(world->machine, &context, blob_bytes(many), 2, &out));
    for (int i = 0; i < 3; i++)
        assert_false(decode(world, other));
    assert_true(decode(world, other));
    assert_true(decode(world, NULL)); /* it was left */
    assert_int_equal(other->references, 1);
    assert_false(decode(world, many));
    assert_true(decode(world, NULL));
    other->data[other->size - 5] = 9; /* the last word is not whole */
    while (!decode(world, other))
        ;
    assert_false(world->machine->ops->admit(world->machine, &context, blob_bytes(other), 2, &out));
    assert_int_equal(other->references, 1);
    argv[0] = bytes_from_string("MSET");
    struct blob *wrong = command_encode(argv, WORDS); /* an even number */
    while (!decode(world, wrong))
        ;
    buffer_clear(&out);
    assert_false(world->machine->ops->admit(world->machine, &context, blob_bytes(wrong), 2, &out));
    assert_true(out.size > 0);
    assert_int_equal(wrong->references, 1);
    blob_release(many);
    blob_release(few);
    blob_release(other);
    blob_release(wrong);
    buffer_deinit(&out);
}

#define WRONG "-ERR syntax error\r\n"
#define NOT_INTEGER "-ERR value is not an integer or out of range\r\n"

/* What could only become an error is not proposed: a later version would execute it. */
static void test_wrong_words_are_not_admitted(void **state)
{
    static const struct {
        const char *line, *error;
    } rows[] = {
        {"set k v ex 10", "-ERR expiry options are not supported yet\r\n"},
        {"set k v ex", WRONG},
        {"set k v nx xx", WRONG},
        {"once c 1 set k v px 10", "-ERR expiry options are not supported yet\r\n"},
        {"once c 1 set k v foo", WRONG},
        {"once c x get k", "-ERR ONCE request id is not an integer or out of range\r\n"},
        {"once c 1 once c 2 get k", "-ERR ONCE cannot carry 'once'\r\n"},
        {"once c 1 ping", "-ERR ONCE cannot carry 'ping'\r\n"},
        {"mset a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"},
        {"msetnx a 1 b", "-ERR wrong number of arguments for 'msetnx' command\r\n"},
        {"setrange k x v", NOT_INTEGER},
        {"setrange k -1 v", "-ERR offset is out of range\r\n"},
        {"incrby k x", NOT_INTEGER},
        {"decrby k x", NOT_INTEGER},
        {"decrby k -9223372036854775808", "-ERR decrement would overflow\r\n"},
        {"delex k ifeq", "-ERR wrong number of arguments for 'delex' command\r\n"},
        {"delex k ifxx v", WRONG},
        {"flushall now", WRONG},
        {"flushdb sync async", WRONG},
        {"get", "-ERR wrong number of arguments for 'get' command\r\n"},
        {"nosuch k", "-ERR unknown command 'nosuch', with args beginning with: 'k' \r\n"},
        {"ping", "-ERR this command cannot be executed through the log\r\n"},
        {"raft|tick", "-ERR unknown command 'raft|tick', with args beginning with: \r\n"},
        {"once c 1 raft|tick", "-ERR unknown command 'raft|tick', with args beginning with: \r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_admits(*state, 1, 0, rows[i].line, rows[i].error);
        assert_admits(*state, 2, 0, rows[i].line, rows[i].error);
    }
    assert_admits(*state, 1, 0, "set k v nx get", NULL);
    assert_admits(*state, 1, 0, "once c 1 incrby k 5", NULL);
    assert_admits(*state, 1, 0, "get k", NULL);
}

static void test_databases_are_of_a_later_meaning(void **state)
{
    assert_admits(*state, 2, 3, "set k v", NULL);
    assert_admits(*state, 2, 16, "set k v", "-ERR DB index is out of range\r\n");
    assert_admits(*state, 1, 3, "set k v",
                  "-ERR set in a database other than 0 needs meaning 2, and not every member has "
                  "said that it knows more than 1: start each of them once, upgrade the older\r\n");
    assert_admits(*state, 1, 3, "once c 1 get k",
                  "-ERR once in a database other than 0 needs meaning 2, and not every member has "
                  "said that it knows more than 1: start each of them once, upgrade the older\r\n");
}

/* Old logs hold it: it stays the error that it was, and the receipt of ONCE with it. */
static void test_old_entries_keep_their_errors(void **state)
{
    static const struct {
        const char *line, *reply;
    } rows[] = {
        {"set k v ex 10", "-ERR expiry options are not supported yet\r\n"},
        {"once c 1 set k v px 10", "-ERR expiry options are not supported yet\r\n"},
        {"cas k a b ex 10", "-ERR wrong number of arguments for 'cas' command\r\n"},
        {"once c 2 cas k a b ex 10", "-ERR wrong number of arguments for 'cas' command\r\n"},
        {"raft|tick", "-ERR this command cannot be executed through the log\r\n"},
        {"expire k 10", "-ERR this command cannot be executed through the log\r\n"},
        {"swapdb 0 1", "-ERR this command cannot be executed through the log\r\n"},
        {"once c 2 swapdb 0 1", "-ERR ONCE cannot carry this command\r\n"},
        {"once c 2 nosuch", "-ERR ONCE cannot carry this command\r\n"},
    };
    struct world *world = *state;
    struct buffer out = {0};
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct apply_context context = {.pos = {1, i + 1}, .meaning = 1, .now_ms = 5};
        struct blob *entry = encode_line(rows[i].line);
        buffer_clear(&out);
        assert_true(
            world->machine->ops->apply(world->machine, &context, blob_bytes(entry), 2, &out));
        assert_true(bytes_equal(buffer_bytes(&out), bytes_from_string(rows[i].reply)));
        world->machine->ops->applied(world->machine, context.pos, 5, 1);
        blob_release(entry);
    }
    assert_int_equal(db_size(world->db, 0), 0);
    buffer_deinit(&out);
}

static void test_strange_entries(void **state)
{
    struct world *world = *state;
    uint64_t hash = db_hash(world->db);
    const char *cannot = "-ERR this command cannot be executed through the log\r\n";
    assert_words_apply_to(world, "ping", cannot);
    assert_words_apply_to(world, "client", cannot);
    assert_words_apply_to(world, "nosuch", cannot);
    assert_words_apply_to(world, "", cannot);
    assert_words_apply_to(world, "config|set", cannot);
    assert_words_apply_to(world, "set", "-ERR wrong number of arguments for 'set' command\r\n");
    assert_applies_to(world, bytes_of("", 0), "-ERR malformed command\r\n");
    assert_true(db_hash(world->db) == hash);

    struct buffer out = {0};
    struct bytes argv[] = {bytes_from_string("set"), bytes_from_string("k"),
                           bytes_from_string("v")};
    struct blob *write = command_encode(argv, 3);
    world_read(world, blob_bytes(write), &out);
    assert_memory_equal(out.data, "-ERR", 4);
    assert_int_equal(db_size(world->db, 0), 0);
    buffer_deinit(&out);
    blob_release(write);
}

/* Every cut and every changed byte of an encoded command is refused or read as another command; no
 * byte outside is read (the copy is exact, for the address sanitizer). */
static void test_encoding(void **state)
{
    (void)state;
    struct bytes words_in[] = {bytes_from_string("set"), bytes_of("", 0), bytes_of("\0\xff", 2)};
    struct blob *blob = command_encode(words_in, 3);
    struct bytes *argv = NULL;
    uint32_t argc, capacity = 0;
    assert_true(command_decode(blob_bytes(blob), &argv, &argc, &capacity));
    assert_int_equal(argc, 3);
    for (uint32_t i = 0; i < argc; i++)
        assert_true(bytes_equal(argv[i], words_in[i]));
    for (size_t size = 0; size < blob->size; size++) {
        void *copy = memory_copy(blob->data, size);
        assert_false(command_decode(bytes_of(copy, size), &argv, &argc, &capacity));
        memory_free(copy);
    }
    for (size_t place = 0; place < blob->size; place++)
        for (int value = 0; value < 256; value++) {
            unsigned char *copy = memory_copy(blob->data, blob->size);
            copy[place] = (unsigned char)value;
            if (command_decode(bytes_of(copy, blob->size), &argv, &argc, &capacity))
                for (uint32_t i = 0; i < argc; i++)
                    assert_true((const unsigned char *)argv[i].data + argv[i].size <=
                                copy + blob->size);
            memory_free(copy);
        }
    /* a count that nothing backs must not make room for itself */
    assert_false(command_decode(bytes_of("\xff\xff\xff\xff\0\0\0\0", 8), &argv, &argc, &capacity));
    assert_true(capacity < 100);
    memory_free(argv);
    blob_release(blob);
}

/* The same, whatever is done at a time, and wherever the words lie. */
static void test_encoding_some(void **state)
{
    char text[] = "a word of some length, and others", other[sizeof text];
    struct bytes said[] = {bytes_from_string("set"), bytes_of(text, 33), bytes_of("", 0),
                           bytes_of(text, 7), bytes_of("", 0)};
    struct blob *whole = command_encode(said, 5);
    (void)state;
    for (size_t most = 1; most < 200; most++) {
        struct command_encoding encoding = {0};
        int calls = 1;
        size_t left = most;
        memcpy(text, "a word of some length, and others", sizeof text);
        said[1].data = said[3].data = text;
        while (!command_encode_some(&encoding, said, 5, &left)) {
            assert_int_equal(left, 0);
            left = most;
            bool is_here = said[1].data == text;
            memcpy(is_here ? other : text, is_here ? text : other, sizeof text);
            memset(is_here ? text : other, '!', sizeof text);
            said[1].data = said[3].data = is_here ? other : text;
            calls++;
        }
        assert_true(bytes_equal(blob_bytes(encoding.blob), blob_bytes(whole)));
        size_t work = 3 + 33 + 7 + 5 * COMMAND_ENCODED_WORD;
        assert_in_range(calls, work / (2 * most + COMMAND_ENCODED_WORD), work);
        command_encoding_drop(&encoding);
        assert_null(encoding.blob);
    }
    blob_release(whole);
}

static void test_indices(void **state)
{
    struct world *world = *state;
    const struct state_machine_ops *ops = world->machine->ops;
    EXPECT(world, "SET a 1", OK);
    EXPECT(world, "SET b 1", OK);
    assert_int_equal(ops->applied_index(world->machine), 2);
    assert_int_equal(ops->persisted_index(world->machine), 0);
    assert_true(ops->ready(world->machine));
    db_checkpoint(world->db);
    db_poll(world->db);
    assert_int_equal(ops->persisted_index(world->machine), 2);
    ops->applied(world->machine, (struct raft_pos){.term = 2, .index = 3}, world->now_ms + 5, 0);
    assert_int_equal(ops->applied_index(world->machine), 3);
    assert_int_equal(db_time_ms(world->db), world->now_ms + 5);
}

/* As many words as there may be, and one more, in a row and behind ONCE. */
static void test_word_bound(void **state)
{
    struct world *world = *state;
    const struct command *command;
    const char *too_large = "-ERR command is too large\r\n";
    struct bytes *argv = memory_new((COMMAND_WORDS_MAX + 1) * sizeof *argv);
    for (uint32_t i = 0; i <= COMMAND_WORDS_MAX; i++)
        argv[i] = bytes_from_string("1");
    argv[0] = bytes_from_string("del");
    buffer_clear(&world->connection.out.bytes);
    assert_int_equal(command_classify(&world->connection, argv, COMMAND_WORDS_MAX, &command),
                     COMMAND_WRITE);
    assert_int_equal(command_classify(&world->connection, argv, COMMAND_WORDS_MAX + 1, &command),
                     COMMAND_REFUSED);
    assert_true(
        bytes_equal(buffer_bytes(&world->connection.out.bytes), bytes_from_string(too_large)));
    argv[0] = bytes_from_string("once");
    argv[3] = bytes_from_string("del");
    buffer_clear(&world->connection.out.bytes);
    assert_int_equal(command_classify(&world->connection, argv, COMMAND_WORDS_MAX, &command),
                     COMMAND_WRITE);
    assert_int_equal(command_classify(&world->connection, argv, COMMAND_WORDS_MAX + 1, &command),
                     COMMAND_REFUSED);
    assert_true(
        bytes_equal(buffer_bytes(&world->connection.out.bytes), bytes_from_string(too_large)));

    /* What another node forwards is held to the same. */
    struct blob *entry = command_encode(argv, COMMAND_WORDS_MAX + 1);
    struct apply_context context = {.meaning = command_meaning_newest};
    struct buffer out = {0};
    assert_false(world->machine->ops->admit(world->machine, &context, blob_bytes(entry), 2, &out));
    assert_true(bytes_equal(buffer_bytes(&out), bytes_from_string(too_large)));
    blob_release(entry);
    buffer_deinit(&out);

    /* And the largest is executed, in slices. */
    EXPECT(world, "SET 1 x", OK);
    buffer_clear(&world->connection.out.bytes);
    world_run(world, argv, COMMAND_WORDS_MAX);
    assert_true(world->pauses > 1000);
    assert_true(
        bytes_equal(buffer_bytes(&world->connection.out.bytes), bytes_from_string(":1\r\n")));
    memory_free(argv);
}

static void count_touched(void *context, unsigned database, struct bytes key)
{
    unsigned *counts = context;
    counts[database] += key.size > 0 ? 1 : 100;
}

/* Who waits for keys is looked at for each that an entry touched, and for whole databases. */
static void test_touched(void **state)
{
    struct world *world = *state;
    unsigned counts[DB_DATABASES] = {0};
    world->machine->ops->listen(world->machine, count_touched, counts);
    world_type(world, "MSET a 1 b 2");
    world_type(world, "DEL a no");
    assert_int_equal(counts[0], 3);
    world_type(world, "PUBLISH b x"); /* no key of that name */
    assert_int_equal(counts[0], 3);
    world_type(world, "SWAPDB 0 1");
    assert_int_equal(counts[0], 103);
    assert_int_equal(counts[1], 100);
    world_type(world, "FLUSHDB");
    assert_int_equal(counts[0], 203);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_once),
                                       TEST(test_once_resp3),
                                       TEST(test_once_refused),
                                       TEST(test_once_changes_protocol),
                                       TEST(test_once_survives_flushall),
                                       TEST(test_once_receipts_end),
                                       TEST(test_once_receipts_end_in_slices),
                                       TEST(test_deterministic),
                                       TEST(test_reads_change_nothing),
                                       TEST(test_wrong_words_are_not_admitted),
                                       TEST(test_words_are_taken_apart_before_they_are_admitted),
                                       TEST(test_databases_are_of_a_later_meaning),
                                       TEST(test_old_entries_keep_their_errors),
                                       TEST(test_strange_entries),
                                       TEST(test_word_bound),
                                       TEST(test_encoding),
                                       TEST(test_encoding_some),
                                       TEST(test_indices),
                                       TEST(test_touched)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
