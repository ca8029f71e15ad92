/* Commands of very many words, or over large values: what one slice of them does is bounded, and
 * all slices together do no more than the words are worth. */
#include "data/layers.h"
#include "test_command.h"

#include "resp/number.h"

enum { MANY = 20000, STEP = 500, LOOKS_A_WORD = 12, LOOKING = 4 };

struct said {
    struct world world;
    struct buffer line;
    struct bytes argv[2 * MANY + 8];
    size_t at[2 * MANY + 8]; /* of the words, in the line */
    uint32_t argc;
};

static void say(struct said *said, const char *form, int i)
{
    size_t before = said->line.size;
    buffer_printf(&said->line, form, i);
    said->at[said->argc] = before;
    said->argv[said->argc++].size = said->line.size - before;
}

static void begin(struct said *said, const char *words)
{
    char copy[64], *rest = copy;
    snprintf(copy, sizeof copy, "%s", words);
    buffer_clear(&said->line);
    said->argc = 0;
    for (const char *word; (word = strsep(&rest, " "));) {
        size_t before = said->line.size;
        buffer_append(&said->line, word, strlen(word));
        said->at[said->argc] = before;
        said->argv[said->argc++].size = said->line.size - before;
    }
}

static void say_many(struct said *said, const char *form)
{
    for (int i = 0; i < MANY; i++)
        say(said, form, i);
}

static const struct bytes *words_of(struct said *said)
{
    for (uint32_t i = 0; i < said->argc; i++)
        said->argv[i].data = said->line.data + said->at[i];
    return said->argv;
}

/* The reply is borrowed until the next. */
static struct bytes answer(struct said *said)
{
    buffer_clear(&said->world.connection.out.bytes);
    said->world.pauses = 0;
    said->world.work_most = 0;
    world_run(&said->world, words_of(said), said->argc);
    return buffer_bytes(&said->world.connection.out.bytes);
}

/* What is stored is read from the kv, so each look there counts. */
static void expect(struct said *said, const char *reply)
{
    db_checkpoint(said->world.db);
    uint64_t before = db_work(said->world.db);
    struct bytes found = answer(said);
    uint64_t all = db_work(said->world.db) - before;
    assert_int_equal(found.size, strlen(reply));
    assert_memory_equal(found.data, reply, found.size);
    assert_true(said->world.pauses > 8);
    assert_in_range(said->world.work_most, 1, TURN_WORK_MAX / 2);
    assert_in_range(all, 1, (uint64_t)said->argc * LOOKS_A_WORD * LAYERS_FETCH_WORK);
}

static struct said *said_new(void)
{
    struct said *said = calloc(1, sizeof *said);
    world_init(&said->world);
    return said;
}

static void said_free(struct said *said)
{
    world_deinit(&said->world);
    buffer_deinit(&said->line);
    free(said);
}

/* ---- bounded ------------------------------------------------------------------------------ */

static void test_sorted_sets(void **state)
{
    struct said *said = said_new();
    (void)state;
    world_type(&said->world, "ZADD z 1 a 2 b 3 c");
    world_type(&said->world, "SADD s a b");
    begin(said, "ZUNIONSTORE to 20002");
    say_many(said, "none:%d");
    say(said, "z", 0);
    say(said, "s", 0);
    expect(said, ":3\r\n");
    EXPECT(&said->world, "ZSCORE to a", "$1\r\n2\r\n");
    begin(said, "ZINTERCARD 20000");
    for (int i = 0; i < MANY; i++)
        say(said, i % 2 ? "z" : "s", i);
    expect(said, ":2\r\n");
    world_type(&said->world, "ZADD q 1 a 2 x 3 y 4 w"); /* the largest is asked last */
    begin(said, "ZINTERCARD 20001 q");
    for (int i = 0; i < MANY; i++)
        say(said, "z", i);
    expect(said, ":1\r\n");
    begin(said, "ZDIFFSTORE to 20001 z");
    say_many(said, "none:%d");
    expect(said, ":3\r\n");
    begin(said, "ZUNIONSTORE to 20001");
    say_many(said, "none:%d");
    say(said, "a%d", 0);
    say(said, "WEIGHTS", 0);
    for (int i = 0; i <= MANY; i++)
        say(said, "%d", i);
    world_type(&said->world, "ZADD a0 2 m");
    expect(said, ":1\r\n");
    EXPECT(&said->world, "ZSCORE to m", "$5\r\n40000\r\n");
    said_free(said);
}

/* Of one member of one set. */
static void test_sets(void **state)
{
    struct said *said = said_new();
    (void)state;
    world_type(&said->world, "SADD s a");
    world_type(&said->world, "SADD o b");
    begin(said, "SINTERSTORE to");
    for (int i = 0; i < MANY; i++)
        say(said, "s", i);
    expect(said, ":1\r\n");
    begin(said, "SDIFF s");
    for (int i = 0; i < MANY; i++)
        say(said, "o", i);
    expect(said, "*1\r\n$1\r\na\r\n");
    said_free(said);
}

static void test_streams(void **state)
{
    struct said *said = said_new();
    (void)state;
    world_type(&said->world, "XADD x 1-1 f v");
    begin(said, "XREAD STREAMS");
    for (int i = 0; i < MANY - 1; i++)
        say(said, "none:%d", i);
    say(said, "x", 0);
    for (int i = 0; i < MANY; i++)
        say(said, "0", i);
    expect(said, "*1\r\n*2\r\n$1\r\nx\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    said_free(said);
}

static void test_sort(void **state)
{
    struct said *said = said_new();
    (void)state;
    world_type(&said->world, "RPUSH l a");
    world_type(&said->world, "SET k:a v");
    begin(said, "SORT l ALPHA STORE to");
    for (int i = 0; i < MANY; i++) {
        say(said, "GET", i);
        say(said, "k:*", i);
    }
    expect(said, ":20000\r\n");
    EXPECT(&said->world, "LRANGE to -2 -1", "*2\r\n$1\r\nv\r\n$1\r\nv\r\n");
    EXPECT(&said->world, "LRANGE to 0 0", "*1\r\n$1\r\nv\r\n");
    said_free(said);
}

static void set_fields(struct said *said)
{
    for (int i = 0; i < MANY; i += STEP) {
        begin(said, "HSET h");
        for (int k = i; k < i + STEP; k++) {
            say(said, "f%d", k);
            say(said, "v", 0);
        }
        answer(said);
    }
}

static void set_if(struct said *said, const char *first, const char *field)
{
    begin(said, first);
    for (int i = 0; i < MANY; i++) {
        say(said, field, i);
        say(said, "w", 0);
    }
}

static void test_fields(void **state)
{
    struct said *said = said_new();
    (void)state;
    set_fields(said);
    set_if(said, "HSETEX h FNX FIELDS 20000", "g%d");
    said->argc -= 2;
    say(said, "f1", 0); /* the last one is there */
    say(said, "w", 0);
    expect(said, ":0\r\n");
    EXPECT(&said->world, "HGET h g0", NIL2);
    set_if(said, "HSETEX h FXX FIELDS 20000", "f%d");
    expect(said, ":1\r\n");
    EXPECT(&said->world, "HMGET h f0 f19999", "*2\r\n$1\r\nw\r\n$1\r\nw\r\n");
    EXPECT(&said->world, "HLEN h", ":20000\r\n");
    said_free(said);
}

static void watch_many(struct said *said)
{
    begin(said, "WATCH");
    say_many(said, "w:%d");
    answer(said);
    world_type(&said->world, "MULTI");
    world_type(&said->world, "SET done 1");
}

static void test_watches(void **state)
{
    struct said *said = said_new();
    (void)state;
    watch_many(said);
    begin(said, "EXEC");
    said->world.work_most = 0;
    db_checkpoint(said->world.db);
    struct bytes found = answer(said);
    assert_memory_equal(found.data, "*1\r\n+OK\r\n", found.size);
    assert_true(said->world.pauses > 8);
    assert_in_range(said->world.work_most, 1, TURN_WORK_MAX / 2);
    EXPECT(&said->world, "GET done", "$1\r\n1\r\n");
    said_free(said);
}

static void test_last_watch_counts(void **state)
{
    struct said *said = said_new();
    (void)state;
    begin(said, "WATCH");
    say_many(said, "w:%d");
    answer(said);
    world_type(&said->world, "MULTI");
    world_type(&said->world, "SET done 1");
    struct bytes argv[] = {bytes_from_string("SET"), bytes_from_string("w:19999"),
                           bytes_from_string("x")};
    struct blob *blob = command_encode(argv, 3); /* by another client */
    struct buffer nobody = {0};
    world_apply(&said->world, blob_bytes(blob), &nobody);
    blob_release(blob);
    buffer_deinit(&nobody);
    begin(said, "EXEC");
    struct bytes found = answer(said);
    assert_memory_equal(found.data, "*-1\r\n", found.size);
    EXPECT(&said->world, "GET done", NIL2);
    said_free(said);
}

static void expect_answer(struct said *said, const char *reply)
{
    struct bytes found = answer(said);
    assert_in_range(found.size, strlen(reply), SIZE_MAX);
    assert_memory_equal(found.data, reply, strlen(reply));
}

/* COMMAND of one word more than are looked at in one go. */
static void expect_too_many(struct said *said, const char *word)
{
    struct bytes *argv = memory_new((KEYS_WORDS_MAX + 1) * sizeof *argv);
    argv[0] = bytes_from_string("COMMAND");
    argv[1] = bytes_from_string(word);
    for (uint32_t i = 2; i <= KEYS_WORDS_MAX; i++)
        argv[i] = bytes_from_string("DEL");
    for (uint32_t more = 0; more <= 1; more++) {
        struct buffer *out = &said->world.connection.out.bytes;
        buffer_clear(out);
        world_run(&said->world, argv, KEYS_WORDS_MAX + more);
        assert_memory_equal(out->data, more ? "-ERR command is too large\r\n" : "*65533\r\n",
                            more ? 27 : 8);
    }
    memory_free(argv);
}

/* What is executed at once takes only so many. */
static void test_local(void **state)
{
    struct said *said = said_new();
    (void)state;
    begin(said, "COMMAND INFO");
    while (said->argc < LOCAL_WORDS_MAX)
        say(said, "x", 0);
    expect_answer(said, "*2046\r\n$-1\r\n");
    say(said, "x", 0);
    expect_answer(said, "-ERR command is too large\r\n");
    begin(said, "SCRIPT EXISTS"); /* of the state, and in one go, too */
    while (said->argc < LOCAL_WORDS_MAX)
        say(said, "x", 0);
    expect_answer(said, "*2046\r\n:0\r\n");
    say(said, "x", 0);
    expect_answer(said, "-ERR command is too large\r\n");
    begin(said, "COMMAND GETKEYS DEL"); /* which is quick */
    say_many(said, "%d");
    expect_answer(said, "*20000\r\n");
    expect_too_many(said, "GETKEYS");
    expect_too_many(said, "GETKEYSANDFLAGS");
    said_free(said);
}

static void say_prefixes(struct said *said, int first, int count)
{
    begin(said, "CLIENT TRACKING ON BCAST");
    for (int i = first; i < first + count; i++) {
        say(said, "PREFIX", 0);
        say(said, "%04d", i);
    }
}

static void test_prefixes(void **state)
{
    struct said *said = said_new();
    (void)state;
    world_type(&said->world, "HELLO 3");
    say_prefixes(said, 0, 1000);
    expect_answer(said, "+OK\r\n");
    say_prefixes(said, 1000, 25);
    expect_answer(said, "-ERR too many prefixes\r\n");
    say_prefixes(said, 1000, 24);
    expect_answer(said, "+OK\r\n");
    say_prefixes(said, 1024, 1);
    expect_answer(said, "-ERR too many prefixes\r\n");
    said_free(said);
}

/* ---- large values ------------------------------------------------------------------------- */

enum { VALUES = 300, VALUE_BYTES = 60000 };

/* The values lie beside the names, and are read with them. */
static void test_walks(void **state)
{
    struct said *said = said_new();
    (void)state;
    for (int i = 0; i < VALUES; i++) {
        begin(said, "SET");
        say(said, "k%d", i);
        say(said, "%060000d", i);
        answer(said);
    }
    db_checkpoint(said->world.db);
    const char *lines[] = {"KEYS *", "KEYS *x*", "SCAN 0 COUNT 2500"};
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        begin(said, lines[i]);
        struct bytes found = answer(said);
        const char *head = i == 0 ? "*300\r\n" : i == 1 ? "*0\r\n" : "*2\r\n$1\r\n0\r\n*300\r\n";
        assert_memory_equal(found.data, head, strlen(head));
        assert_in_range(said->world.pauses, VALUES * VALUE_BYTES / (2 << 20), VALUES);
    }
    said_free(said);
}

/* ---- scans in entries --------------------------------------------------------------------- */

/* Keys and elements that are stored, and nearly all deleted: the rows that say so are there until
 * the next checkpoint. */
static void leave_few(struct said *said)
{
    said->world.db->options.checkpoint_bytes = 64 << 20; /* only those that are asked for */
    static const char *const adds[][2] = {
        {"MSET", "k%d"}, {"HSET h", "f%d"}, {"SADD s", "m%d"}, {"ZADD y", "m%d"}};
    static const char *const deletes[][2] = {
        {"DEL", "k%d"}, {"HDEL h", "f%d"}, {"SREM s", "m%d"}, {"ZREM y", "m%d"}};
    for (size_t i = 0; i < 4; i++) {
        begin(said, adds[i][0]);
        for (int number = 0; number < MANY / 2; number++) {
            if (i == 3)
                say(said, "%d", number);
            say(said, adds[i][1], number);
            if (i < 2)
                say(said, "v", 0);
        }
        answer(said);
    }
    db_checkpoint(said->world.db);
    for (size_t i = 0; i < 4; i++) {
        begin(said, deletes[i][0]);
        for (int number = 20; number < MANY / 2; number++)
            say(said, deletes[i][1], number);
        answer(said);
    }
}

/* A checkpoint's layer is dropped when the next one begins. */
static void store_all(struct said *said)
{
    db_checkpoint(said->world.db);
    world_type(&said->world, "SET z x");
    db_checkpoint(said->world.db);
}

/* What an entry gives is the same on all nodes, whatever is deleted and still in the way on one:
 * before what it gives, in between, and behind the last, where nothing follows. */
static void test_scans_in_entries(void **state)
{
    static const char *const scans[] = {
        "SCAN 0 COUNT 5",     "HSCAN h 0 COUNT 5",  "SSCAN s 0 COUNT 5",  "ZSCAN y 0 COUNT 5",
        "SCAN 0 COUNT 5000",  "HSCAN h 0 COUNT 50", "SSCAN s 0 COUNT 50", "ZSCAN y 0 COUNT 50",
        "SCAN 0 COUNT 24",    "HSCAN h 0 COUNT 20", "SSCAN s 0 COUNT 20", "ZSCAN y 0 COUNT 20",
        "HSCAN h 0 COUNT 19", "SCAN 0 COUNT 23"};
    struct said *one = said_new(), *other = said_new();
    char line[64];
    unsigned pauses = 0;
    (void)state;
    leave_few(one);
    leave_few(other);
    world_type(&one->world, "SET z x");
    store_all(other);
    for (unsigned i = 0; i < sizeof scans / sizeof scans[0]; i++) {
        struct buffer wanted = {0};
        snprintf(line, sizeof line, "ONCE c %u %s", i + 1, scans[i]);
        one->world.pauses = other->world.pauses = 0;
        buffer_append_bytes(&wanted, world_type(&one->world, line));
        struct bytes found = world_type(&other->world, line);
        if (!bytes_equal(found, buffer_bytes(&wanted)))
            fail_msg("%s: %.*s\nand %.*s", line, (int)wanted.size, wanted.data, (int)found.size,
                     (const char *)found.data);
        assert_true(wanted.size > 60);                /* it gives some */
        assert_int_equal(other->world.pauses, 0);     /* there is nothing in the way, */
        assert_true(one->world.pauses > 0 || i == 0); /* and here there is */
        pauses += one->world.pauses;
        buffer_deinit(&wanted);
    }
    assert_true(pauses > 30);
    assert_int_equal(db_hash(one->world.db), db_hash(other->world.db));
    one->world.pauses = 0;
    world_type(&one->world, "HSCAN h 0 COUNT 5"); /* a read ends sooner */
    world_type(&one->world, "SCAN 0 COUNT 5");
    assert_int_equal(one->world.pauses, 0);
    struct bytes found = world_type(&one->world, "SCAN 0 COUNT 20000"); /* if that is asked for */
    assert_memory_equal(found.data, "*2\r\n$1\r\n0\r\n*24\r\n", 16);
    said_free(one);
    said_free(other);
}

/* COUNT is of keys that are there, as ever: those whose time has come and that no tick has ended
 * yet are among them. */
static void test_scans_count_what_is_over(void **state)
{
    struct said *said = said_new();
    struct world *world = &said->world;
    char cursor[64], line[64];
    (void)state;
    for (int i = 0; i < 20; i++) {
        snprintf(line, sizeof line, "SET k%d v PX %d", i, i < 8 ? 100 : 100000);
        world_type(world, line);
    }
    struct bytes found = world_type(world, "ONCE c 1 SCAN 0 COUNT 10");
    snprintf(cursor, sizeof cursor, "%.*s", 20, (const char *)found.data);
    assert_non_null(memmem(found.data, found.size, "*10\r\n", 5));
    world->now_ms += 1000;
    found = world_type(world, "ONCE c 2 SCAN 0 COUNT 10");
    assert_memory_equal(found.data, cursor, strlen(cursor)); /* so far, and no further */
    assert_null(memmem(found.data, found.size, "*10\r\n", 5));
    said_free(said);
}

/* ---- read once ---------------------------------------------------------------------------- */

/* The words from `first` to `last` are made something else when all were looked at. */
static void expect_read_once(struct said *said, uint32_t first, uint32_t last, const char *reply)
{
    struct world *world = &said->world;
    struct blob *blob = command_encode(words_of(said), said->argc);
    struct bytes encoded = blob_bytes(blob), *argv = NULL;
    uint32_t argc, capacity = 0;
    struct buffer out = {0};
    struct apply_context context = {.pos = {.term = 1, .index = ++world->index},
                                    .meaning = world->meaning,
                                    .now_ms = world->now_ms,
                                    .value_max = world->value_max};
    const struct state_machine_ops *ops = world->machine->ops;
    assert_true(command_decode(encoded, &argv, &argc, &capacity));
    unsigned slices = 0;
    for (; slices < LOOKING; slices++)
        assert_false(ops->apply(world->machine, &context, encoded, 2, &out));
    for (uint32_t i = first; i <= last; i++)
        memset((char *)(uintptr_t)argv[i].data, 'x', argv[i].size);
    while (!ops->apply(world->machine, &context, encoded, 2, &out))
        assert_true(++slices < MANY);
    ops->applied(world->machine, context.pos, context.now_ms, context.meaning);
    assert_int_equal(out.size, strlen(reply));
    assert_memory_equal(out.data, reply, out.size);
    memory_free(argv);
    buffer_deinit(&out);
    blob_release(blob);
}

static void test_read_once(void **state)
{
    struct said *said = said_new();
    (void)state;
    begin(said, "ZADD z CH");
    for (int i = 0; i < MANY; i++) {
        say(said, "%d", i);
        say(said, "m%d", i);
    }
    expect_read_once(said, 3, 3, ":20000\r\n");
    begin(said, "GEOADD g CH");
    for (int i = 0; i < MANY / 2; i++) {
        say(said, "%d", i % 180);
        say(said, "%d", i % 80);
        say(said, "m%d", i);
    }
    expect_read_once(said, 3, 4, ":10000\r\n");
    world_type(&said->world, "XGROUP CREATE x g $ MKSTREAM");
    begin(said, "XCLAIM x g c 0");
    say_many(said, "%d-1");
    expect_read_once(said, 5, 9, "*0\r\n");
    begin(said, "ZUNIONSTORE z 10001 z");
    for (int i = 0; i < MANY / 2; i++)
        say(said, "none:%d", i);
    say(said, "WEIGHTS", 0);
    for (int i = 0; i <= MANY / 2; i++)
        say(said, "%d", i);
    expect_read_once(said, 3 + MANY / 2 + 10, 3 + MANY / 2 + 20, ":20000\r\n");
    said_free(said);
}

/* The last of them is wrong, and nothing was done. */
static void test_checked_first(void **state)
{
    struct said *said = said_new();
    (void)state;
    world_type(&said->world, "XADD x 1-1 f v");
    world_type(&said->world, "XGROUP CREATE x g 0");
    world_type(&said->world, "XREADGROUP GROUP g c STREAMS x >");
    begin(said, "XDEL x");
    say_many(said, "%d-1");
    say_many(said, "%d-2");
    say(said, "wrong", 0);
    static const char refusal[] = "-ERR Invalid stream ID specified as stream command argument\r\n";
    struct bytes found = answer(said);
    assert_int_equal(found.size, strlen(refusal));
    assert_memory_equal(found.data, refusal, found.size);
    EXPECT(&said->world, "XLEN x", ":1\r\n");
    begin(said, "XACK x g");
    say_many(said, "%d-1");
    say_many(said, "%d-2");
    say(said, "wrong", 0);
    found = answer(said);
    assert_memory_equal(found.data, refusal, strlen(refusal));
    EXPECT(&said->world, "XACK x g 1-1", ":1\r\n");
    said_free(said);
}

/* Its admission looks at the first of them alone, since that is one turn. */
static void test_admitted_by_its_first_words(void **state)
{
    static const char refusal[] = "-ERR value is not a valid float\r\n";
    static const struct {
        const char *numbers, *command;
        int step;
    } said_of[] = {{"%d", "ZADD z", 2}, {"1", "GEOADD g", 3}};
    struct said *said = said_new();
    (void)state;
    for (unsigned k = 0; k < 2; k++)
        for (int wrong = 0; wrong < 2; wrong++) {
            int members = 2 * MANY / said_of[k].step, at = wrong ? 0 : members - 1;
            begin(said, said_of[k].command);
            for (int i = 0; i < members; i++) {
                say(said, i == at ? "wrong" : said_of[k].numbers, i);
                if (said_of[k].step == 3)
                    say(said, "1", i);
                say(said, "m%d", i);
            }
            struct bytes found = answer(said);
            assert_int_equal(said->world.last_class, wrong ? COMMAND_REFUSED : COMMAND_WRITE);
            assert_int_equal(found.size, strlen(refusal));
            assert_memory_equal(found.data, refusal, found.size);
        }
    EXPECT(&said->world, "EXISTS z g", ":0\r\n");
    said_free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorted_sets),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_watches),
        cmocka_unit_test(test_last_watch_counts),
        cmocka_unit_test(test_read_once),
        cmocka_unit_test(test_checked_first),
        cmocka_unit_test(test_admitted_by_its_first_words),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_scans_in_entries),
        cmocka_unit_test(test_scans_count_what_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
