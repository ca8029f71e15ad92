/* Strings that are put as a whole, by whatever command: which of them are in pages, what that
 * costs, and what is left of the pages when something takes their place. */
#include "base/codec.h"
#include "data/layers.h"
#include "test_command.h"

enum {
    PLAIN = 1 << 20, /* the largest that is no large one */
    GOLDEN_PLAIN = 64 * 1024,
    SLICED = 3 * (1 << 20) + 5, /* put there in several slices */
    WORDS = 16,
    GOLDEN_SPACES = 20,
    OLD = 5 /* the last meaning of before */
};

static const uint64_t GOLDEN = 0xb5ea60740c5458a2, GOLDEN_PARTS = 0xe5889052986f5c18;

static struct world world;
static char large[SLICED];

static int set_up(void **state)
{
    (void)state;
    world_init(&world);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(1 + i % 251);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_deinit(&world);
    return 0;
}

static struct bytes value_of(size_t size)
{
    assert_true(size <= sizeof large);
    return bytes_of(large, size);
}

/* The words of the line, with this value in place of each '$'. */
static uint32_t words_of(const char *line, struct bytes value, struct bytes argv[WORDS])
{
    uint32_t argc = 0;
    while (*line) {
        size_t size = strcspn(line, " ");
        assert_true(argc < WORDS);
        argv[argc++] = size == 1 && *line == '$' ? value : bytes_of(line, size);
        line += size + (line[size] == ' ');
    }
    return argc;
}

static struct bytes say(const char *line, struct bytes value)
{
    struct bytes argv[WORDS];
    uint32_t argc = words_of(line, value, argv);
    buffer_clear(&world.connection.out.bytes);
    world_run(&world, argv, argc);
    return buffer_bytes(&world.connection.out.bytes);
}

static struct db_record found_at(const char *key)
{
    struct db_record found;
    if (!db_lookup(world.db, world.connection.database, bytes_from_string(key), &found))
        fail_msg("there is no %s", key);
    return found;
}

static void assert_value(const char *key, struct bytes wanted)
{
    struct bytes value;
    enum db_type type = db_get(world.db, world.connection.database, bytes_from_string(key), &value);
    assert_int_equal(type, DB_STRING);
    if (!bytes_equal(value, wanted))
        fail_msg("%s has %zu bytes that are not the %zu wanted", key, value.size, wanted.size);
}

/* What the store has of all pages, when the dead are swept. */
static size_t stored_pages(void)
{
    struct bytes key, value;
    size_t pages = 0;
    for (int i = 0; i < 3; i++) {
        EXPECT(&world, "INCR others", ":1\r\n");
        EXPECT(&world, "DEL others", ":1\r\n");
        db_checkpoint(world.db);
    }
    struct kv_iter *iter =
        world.kv->ops->iter_new(world.kv, KV_DATA, bytes_from_string("x"), kv_family_end());
    while (world.kv->ops->iter_next(iter, &key, &value) && *(const char *)key.data == 'x')
        pages += get_u64_ordered((const unsigned char *)key.data + 1) != DB_SPACE_SERVER;
    world.kv->ops->iter_free(iter);
    return pages;
}

static size_t pages_of(size_t size)
{
    return (size + DB_STRING_PAGE - 1) / DB_STRING_PAGE;
}

/* ---- which are in pages ------------------------------------------------------------------ */

struct form {
    const char *before, *line;
    bool has_deadline;
};

static const struct form forms[] = {
    {NULL, "SET k $", false},
    {"SET k x EX 100", "SET k $", false},
    {"SET k x EX 100", "SET k $ KEEPTTL", true},
    {NULL, "SET k $ PX 1000 GET", true},
    {"SET k old", "SET k $ IFEQ old", false},
    {"RPUSH k old", "SET k $ XX", false},
    {NULL, "SETNX k $", false},
    {NULL, "SETEX k 100 $", true},
    {NULL, "PSETEX k 100000 $", true},
    {"SET k old EX 100", "GETSET k $", false},
    {NULL, "MSET a 1 k $ b 2", false},
    {NULL, "MSET k 1 k $", false},
    {NULL, "MSETNX a 1 k $", false},
    {NULL, "MSETEX 2 k $ b 2 EX 100", true},
    {"SET k old EX 100", "MSETEX 1 k $ KEEPTTL", true},
    {"SET k old", "CAS k old $", false},
    {"SET k old", "CAS k old $ EX 100", true},
    {NULL, "APPEND k $", false},
    {NULL, "ONCE c 1 SET k $", false},
    {NULL, "EVAL return(redis.call('set',KEYS[1],ARGV[1],'EX','100')) 1 k $", true},
};

static void put_by(const struct form *form, size_t size, uint8_t meaning)
{
    struct bytes value = value_of(size);
    bool is_large = size > PLAIN && meaning > OLD;
    world_deinit(&world);
    world_init(&world);
    world.meaning = meaning;
    if (form->before)
        world_type(&world, form->before);
    struct bytes reply = say(form->line, value);
    if (*(const char *)reply.data == '-')
        fail_msg("%s: %.*s", form->line, (int)reply.size, (const char *)reply.data);
    struct db_record found = found_at("k");
    if ((found.space != 0) != is_large || found.size != size)
        fail_msg("%s of %zu bytes, meaning %u: space %llu, %llu bytes", form->line, size, meaning,
                 (unsigned long long)found.space, (unsigned long long)found.size);
    assert_true((found.deadline_ms != 0) == form->has_deadline);
    assert_value("k", value);
    assert_int_equal(stored_pages(), is_large ? pages_of(size) : 0);
    assert_value("k", value);
}

static void what_puts_a_large_string_makes_pages(void **state)
{
    static const size_t sizes[] = {PLAIN, PLAIN + 1, SLICED};
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        for (size_t size = 0; size < 3; size++) {
            put_by(&forms[i], sizes[size], OLD);
            put_by(&forms[i], sizes[size], OLD + 1);
        }
}

static void transactions_make_pages(void **state)
{
    (void)state;
    EXPECT(&world, "MULTI", "+OK\r\n");
    say("SET k $", value_of(SLICED));
    say("SETNX k $", value_of(SLICED));
    say("MSET l $ m $ l 1", value_of(SLICED));
    EXPECT(&world, "EXEC", "*3\r\n+OK\r\n:0\r\n+OK\r\n");
    assert_value("k", value_of(SLICED));
    assert_value("m", value_of(SLICED));
    assert_value("l", bytes_from_string("1"));
    assert_int_equal(stored_pages(), 2 * pages_of(SLICED));
}

/* Each word has pages of its own, though the words are equal. */
static void many_words_are_placed(void **state)
{
    (void)state;
    EXPECT(&world, "SET a x", "+OK\r\n");
    say("MSET a $ b $ c $", value_of(SLICED));
    say("SETRANGE b 0 $", value_of(1));
    EXPECT(&world, "SETRANGE b 5 zzz", ":3145733\r\n");
    assert_value("a", value_of(SLICED));
    assert_value("c", value_of(SLICED));
    assert_true(found_at("a").space != found_at("b").space);
    assert_int_equal(stored_pages(), 3 * pages_of(SLICED));
}

static void restore(const char *key, const char *line)
{
    struct buffer dump = {0};
    buffer_printf(&dump, "DUMP %s", key);
    buffer_append_byte(&dump, 0);
    struct bytes reply = world_type(&world, dump.data);
    const char *begin = memchr(reply.data, '\n', reply.size);
    buffer_clear(&dump);
    buffer_append(&dump, begin + 1, strtoul((const char *)reply.data + 1, NULL, 10));
    assert_true(bytes_equal(say(line, buffer_bytes(&dump)), bytes_from_string("+OK\r\n")));
    buffer_deinit(&dump);
}

/* What was put in an earlier meaning stays plain until it is made anew. */
static void plain_ones_of_before_are_copied_into_pages(void **state)
{
    static const size_t sizes[] = {PLAIN + 1, SLICED};
    (void)state;
    for (int i = 0; i < 2; i++) {
        world.meaning = OLD;
        say("SET k $ EX 100", value_of(sizes[i]));
        restore("k", "RESTORE r 0 $ REPLACE");
        EXPECT(&world, "COPY k c REPLACE", ":1\r\n");
        assert_true(found_at("c").space == 0 && found_at("r").space == 0);
        world.meaning = OLD + 1;
        restore("k", "RESTORE r 5000 $ REPLACE");
        EXPECT(&world, "COPY k c REPLACE", ":1\r\n");
        EXPECT(&world, "COPY k c DB 3", i ? ":0\r\n" : ":1\r\n");
        EXPECT(&world, "EXPIRE k 200", ":1\r\n");
        assert_true(found_at("c").space != 0 && found_at("r").space != 0);
        assert_true(found_at("c").deadline_ms == world.now_ms + 100000);
        assert_true(found_at("r").deadline_ms == world.now_ms + 5000);
        assert_true(found_at("k").space == 0);
        assert_value("c", value_of(sizes[i]));
        assert_value("r", value_of(sizes[i]));
        EXPECT(&world, "RENAME c r", "+OK\r\n");
        assert_value("r", value_of(sizes[i]));
        assert_int_equal(stored_pages(), pages_of(sizes[i]) + pages_of(sizes[0]));
    }
    EXPECT(&world, "SELECT 3", "+OK\r\n");
    assert_value("c", value_of(PLAIN + 1));
    assert_true(found_at("c").space != 0);
}

/* What entries of before leave is what it was when they were made: the number is of the build that
 * knew no more. */
static void entries_of_before_leave_what_they_left(void **state)
{
    (void)state;
    world.meaning = OLD;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        say(forms[i].line, value_of(i % 2 ? SLICED : GOLDEN_PLAIN + i));
    restore("k", "RESTORE r 0 $ REPLACE");
    EXPECT(&world, "COPY k c", ":1\r\n");
    world_type(&world, "BITOP NOT d k");
    assert_int_equal(db_hash(world.db), GOLDEN);
    db_checkpoint(world.db);
    assert_int_equal(db_hash(world.db), GOLDEN);
}

/* ---- what becomes of the pages ------------------------------------------------------------ */

static uint64_t unresolved(void)
{
    struct db_stats stats;
    db_stats(world.db, &stats);
    return stats.unresolved;
}

/* A put that looks at nothing ends the pages of before, when it is found out that they were there:
 * by a checkpoint, or by who asks for the count of keys. */
static void pages_end_with_what_is_put_over_them(void **state)
{
    static const char *const lines[] = {"SET k $",
                                        "SET k x",
                                        "DEL k",
                                        "SET k $ GET",
                                        "EVAL return(redis.call('set','k',ARGV[1])) 0 $",
                                        "SETEX k 100 $",
                                        "RENAME other k",
                                        "FLUSHALL",
                                        "SET k $ XX",
                                        "SET k $ KEEPTTL"};
    (void)state;
    world.db->options.checkpoint_bytes = 64 << 20; /* only those that are asked for */
    for (size_t i = 0; i < 4 * sizeof lines / sizeof lines[0]; i++) {
        const char *line = lines[i / 4];
        bool is_stored = i % 2, is_counted = i / 2 % 2;
        size_t size = strchr(line, '$') ? PLAIN + 10000 : 0;
        say("SET k $", value_of(SLICED));
        EXPECT(&world, "SET other x", "+OK\r\n");
        if (is_stored)
            db_checkpoint(world.db);
        say(line, value_of(size));
        if (i / 4 == 0 && is_stored)
            assert_int_equal(unresolved(), 1); /* it looked at nothing */
        if (is_counted)
            world_type(&world, "DBSIZE");
        if (size > 0)
            assert_value("k", value_of(size));
        size_t pages = stored_pages();
        if (pages != pages_of(size))
            fail_msg("%s: %zu pages are left", line, pages);
        if (size > 0)
            assert_value("k", value_of(size));
    }
}

/* Of any number of pages, with holes too. */
static void dead_pages_are_swept(void **state)
{
    static const size_t pages[] = {17, 255, 256, 257, 600};
    char line[64];
    (void)state;
    for (size_t i = 0; i < 2 * sizeof pages / sizeof pages[0]; i++) {
        size_t size = pages[i / 2] * DB_STRING_PAGE;
        say("SET living $", value_of(PLAIN + 1));
        say("SETRANGE k 0 $", value_of(size)); /* in pages, though some have no more than PLAIN */
        say("SET beside $", value_of(PLAIN + 1));
        if (i % 2) {
            EXPECT(&world, "DEL k", ":1\r\n");
            snprintf(line, sizeof line, "SETBIT k %zu 1", 8 * size - 1);
            EXPECT(&world, line, ":0\r\n");
            EXPECT(&world, "SETBIT k 99999 1", ":0\r\n");
        }
        assert_int_equal(stored_pages(), 2 * pages_of(PLAIN + 1) + (i % 2 ? 2 : pages[i / 2]));
        EXPECT(&world, "DEL k", ":1\r\n");
        assert_int_equal(stored_pages(), 2 * pages_of(PLAIN + 1));
        assert_value("living", value_of(PLAIN + 1));
        assert_value("beside", value_of(PLAIN + 1));
    }
}

static void words_that_are_not_put_leave_nothing(void **state)
{
    static const struct {
        const char *line, *reply;
    } rows[] = {
        {"SETNX k $", ":0\r\n"},
        {"SET k $ NX", "$-1\r\n"},
        {"SET l $ XX", "$-1\r\n"},
        {"SET k $ IFEQ y", "$-1\r\n"},
        {"CAS k y $", ":0\r\n"},
        {"CAS k $ y", ":0\r\n"},
        {"MSETNX a $ k $", ":0\r\n"},
        {"MSETEX 2 a $ k $ NX", ":0\r\n"},
        {"GETSET list $", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
    };
    (void)state;
    EXPECT(&world, "SET k x", "+OK\r\n");
    EXPECT(&world, "RPUSH list x", ":1\r\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bytes reply = say(rows[i].line, value_of(SLICED));
        if (!bytes_equal(reply, bytes_from_string(rows[i].reply)))
            fail_msg("%s: %.*s", rows[i].line, (int)reply.size, (const char *)reply.data);
        assert_int_equal(world.db->active->tables[TABLE_PAGES].entries, 0);
    }
    assert_int_equal(stored_pages(), 0);
    assert_value("k", bytes_from_string("x"));
}

/* Undone with its script, in the state that was before. */
static void undone_puts_leave_what_was(void **state)
{
    static const char script[] = "EVAL redis.call('set','k',ARGV[1])"
                                 "redis.call('mset','l',ARGV[1],'k','x')error('x') 0 $";
    (void)state;
    say(script, value_of(1)); /* which is kept */
    say("SET k $", value_of(PLAIN + 1));
    uint64_t before = db_hash(world.db);
    struct bytes reply = say(script, value_of(SLICED));
    assert_true(*(const char *)reply.data == '-');
    assert_int_equal(db_hash(world.db), before);
    assert_value("k", value_of(PLAIN + 1));
    assert_int_equal(stored_pages(), pages_of(PLAIN + 1));
}

/* ---- costs -------------------------------------------------------------------------------- */

static uint64_t work_of(const char *line, const char *wanted)
{
    uint64_t before = db_work(world.db);
    EXPECT(&world, line, wanted);
    return db_work(world.db) - before;
}

static void the_key_of_a_large_string_costs_a_look(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) { /* in memory, and stored */
        say("SET k $", value_of(SLICED));
        if (i == 1)
            db_checkpoint(world.db);
        assert_true(work_of("STRLEN k", ":3145733\r\n") < 20000);
        assert_true(work_of("TTL k", ":-1\r\n") < 20000);
        assert_true(work_of("EXPIRE k 100", ":1\r\n") < 20000);
        assert_true(work_of("EXISTS k", ":1\r\n") < 20000);
        assert_true(work_of("GETRANGE k 5 6", "$2\r\n\x06\x07\r\n") < 20000);
        assert_true(work_of("SETRANGE k 3145732 x", ":3145733\r\n") < 20000);
        assert_true(work_of("INCR k", "-ERR value is not an integer or out of range\r\n") < 20000);
        assert_true(work_of("INCRBYFLOAT k 1", "-ERR value is not a valid float\r\n") < 20000);
        assert_true(work_of("SET k v IFEQ x", "$-1\r\n") < 20000);
        assert_true(work_of("DELEX k IFEQ x", ":0\r\n") < 20000);
        assert_true(work_of("RENAME k l", "+OK\r\n") < 20000);
        assert_true(work_of(i ? "SET l x" : "DEL l", i ? "+OK\r\n" : ":1\r\n") < 20000);
    }
}

/* Read in slices by whoever gives them out as they are. */
static void large_strings_are_read_in_slices(void **state)
{
    struct buffer wanted = {0};
    (void)state;
    say("SET k $", value_of(SLICED));
    say("SET l $", value_of(PLAIN + 1));
    EXPECT(&world, "SET m x", "+OK\r\n");
    EXPECT(&world, "RPUSH list x", ":1\r\n");
    buffer_printf(&wanted, "*6\r\n$1\r\nx\r\n");
    for (int i = 0; i < 2; i++) {
        buffer_printf(&wanted, "$%d\r\n", SLICED);
        buffer_append(&wanted, large, SLICED);
        buffer_printf(&wanted, "\r\n$-1\r\n");
    }
    buffer_printf(&wanted, "$%d\r\n", PLAIN + 1);
    buffer_append(&wanted, large, PLAIN + 1);
    buffer_printf(&wanted, "\r\n");
    for (int i = 0; i < 2; i++) { /* in memory, and stored */
        world.pauses = 0;
        struct bytes reply = world_type(&world, "MGET m k none k list l");
        assert_int_equal(reply.size, wanted.size);
        assert_memory_equal(reply.data, wanted.data, wanted.size);
        assert_true(world.pauses >= 6);
        world.pauses = 0;
        restore("k", "RESTORE k 0 $ REPLACE");
        assert_true(world.pauses >= 6); /* of both */
        db_checkpoint(world.db);
    }
    buffer_deinit(&wanted);
}

/* A write that answers with what was there does so in slices, where somebody hears it. */
static void replies_of_writes_are_made_in_slices(void **state)
{
    enum { SIZE = 9 << 20 };
    static const struct {
        const char *line;
        bool is_kept; /* the value, by the key */
    } rows[] = {{"GETSET k $", false},        {"SET k $ GET", false},   {"GETEX k PX 5000", true},
                {"SET k $ IFEQ x GET", true}, {"SET k $ NX GET", true}, {"GETDEL k", false}};
    char *value = memory_new(SIZE);
    struct buffer wanted = {0};
    (void)state;
    memset(value, 'v', SIZE);
    buffer_printf(&wanted, "$%d\r\n", SIZE);
    buffer_append(&wanted, value, SIZE);
    buffer_printf(&wanted, "\r\n");
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        const char *line = rows[i / 2].line;
        say("SET k $", bytes_of(value, SIZE));
        if (i % 2)
            db_checkpoint(world.db);
        world.pauses = 0;
        struct bytes reply = say(line, bytes_from_string("new"));
        if (!bytes_equal(reply, buffer_bytes(&wanted)))
            fail_msg("%s: %zu bytes of %zu", line, reply.size, wanted.size);
        assert_int_equal(world.pauses, 8);
        if (rows[i / 2].is_kept)
            assert_value("k", bytes_of(value, SIZE));
        else if (strchr(line, '$'))
            assert_value("k", bytes_from_string("new"));
        else
            EXPECT(&world, "EXISTS k", ":0\r\n");
    }
    buffer_deinit(&wanted);
    memory_free(value);
}

/* Its client left between two slices. */
static void a_reply_may_be_heard_no_more(void **state)
{
    enum { SIZE = 9 << 20 };
    static const char *const words[] = {"GETDEL", "k"};
    struct bytes argv[] = {bytes_from_string(words[0]), bytes_from_string(words[1])};
    struct buffer out = {0};
    char *value = memory_new(SIZE);
    (void)state;
    say("SET k $", bytes_of(value, SIZE));
    struct blob *encoded = command_encode(argv, 2);
    struct apply_context context = {.pos = {.term = 1, .index = ++world.index},
                                    .meaning = world.meaning,
                                    .now_ms = world.now_ms,
                                    .seed = 1,
                                    .value_max = world.value_max};
    const struct state_machine_ops *ops = world.machine->ops;
    assert_false(ops->apply(world.machine, &context, blob_bytes(encoded), 2, &out));
    assert_true(ops->apply(world.machine, &context, blob_bytes(encoded), 2, NULL));
    ops->applied(world.machine, context.pos, context.now_ms, context.meaning);
    EXPECT(&world, "EXISTS k", ":0\r\n");
    blob_release(encoded);
    buffer_deinit(&out);
    memory_free(value);
}

/* The process ends, or takes over another state, between two slices. */
static void what_is_half_done_is_given_up(void **state)
{
    static const char *const lines[] = {"SET k $", "MSET a 1 k $", "ONCE c 1 SET k $",
                                        "EVAL return(redis.call('set',KEYS[1],ARGV[1])) 1 k $"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct bytes argv[WORDS];
        struct buffer out = {0};
        uint32_t argc = words_of(lines[i], value_of(SLICED), argv);
        struct blob *encoded = command_encode(argv, argc);
        struct apply_context context = {.pos = {.term = 1, .index = ++world.index},
                                        .meaning = world.meaning,
                                        .now_ms = world.now_ms,
                                        .seed = 1,
                                        .value_max = world.value_max};
        assert_false(
            world.machine->ops->apply(world.machine, &context, blob_bytes(encoded), 2, &out));
        world_deinit(&world);
        blob_release(encoded);
        buffer_deinit(&out);
        world_init(&world);
    }
}

static uint64_t counted(void)
{
    return world.db->dead_bytes + world.db->freed_bytes;
}

/* So the store knows when much can be given back: not what goes on under another name, nor what
 * was undone; and not before it is swept. */
static void deleted_pages_count_as_dead(void **state)
{
    (void)state;
    world.db->options.checkpoint_bytes = 64 << 20; /* only those that are asked for */
    say("SET k $", value_of(SLICED));
    db_checkpoint(world.db);
    EXPECT(&world, "RENAME k l", "+OK\r\n");
    EXPECT(&world, "MOVE l 3", ":1\r\n");
    EXPECT(&world, "SELECT 3", "+OK\r\n");
    struct bytes reply = say("EVAL redis.call('del','l')error('x') 0", value_of(0));
    assert_true(*(const char *)reply.data == '-');
    assert_in_range(counted(), 0, 1000);
    world.db->dead_due_bytes = UINT64_MAX;
    db_checkpoint(world.db);
    EXPECT(&world, "DEL l", ":1\r\n");
    assert_in_range(world.db->dead_bytes, SLICED, SLICED + 1000);
    assert_in_range(world.db->freed_bytes, 0, 1000);
    world.db->freed_due_bytes = UINT64_MAX;
    db_checkpoint(world.db); /* finds that they are dead, */
    EXPECT(&world, "SET x x", "+OK\r\n");
    db_checkpoint(world.db); /* or sweeps them */
    assert_int_equal(world.db->dead_bytes, 0);
    assert_in_range(world.db->freed_bytes, SLICED, SLICED + 2000);
}

/* Without further writes. */
static void much_that_is_dead_is_swept_soon(void **state)
{
    (void)state;
    world.db->options.checkpoint_bytes = 2 << 20;
    say("SET k $", value_of(SLICED));
    EXPECT(&world, "SET other x", "+OK\r\n");
    db_checkpoint(world.db);
    world.db->dead_due_bytes = 2 << 20;
    EXPECT(&world, "DEL k", ":1\r\n");
    EXPECT(&world, "GET other", "$1\r\nx\r\n");
    for (int i = 0; i < 3; i++)
        db_poll(world.db);
    assert_int_equal(world.db->dead_bytes, 0);
}

static unsigned pauses_of(const char *line, size_t size)
{
    world.pauses = 0;
    say(line, value_of(size));
    return world.pauses;
}

static void large_words_are_placed_in_slices(void **state)
{
    (void)state;
    assert_int_equal(pauses_of("SET k $", 1 << 20), 0);
    assert_int_equal(pauses_of("SET k $", SLICED), 3);
    assert_int_equal(pauses_of("MSET k $ l $", SLICED), 7);
    assert_int_equal(pauses_of("SET k $ NX", SLICED), 3);
    assert_int_equal(pauses_of("ONCE c 1 SET k $", SLICED), 3);
    world.meaning = OLD;
    assert_int_equal(pauses_of("SET k $", SLICED), 0);
}

/* In a slice of their own, whatever is there; and of each the key is told once. */
static void large_parts_are_written_in_slices(void **state)
{
    (void)state;
    assert_int_equal(pauses_of("APPEND k $", 1 << 20), 0);
    assert_int_equal(pauses_of("APPEND k $", SLICED), 3);
    assert_int_equal(pauses_of("APPEND new $", SLICED), 3);
    assert_int_equal(pauses_of("SETRANGE k 100 $", SLICED), 3);
    assert_int_equal(pauses_of("SETRANGE other 100 $", SLICED), 3);
    assert_int_equal(pauses_of("SETRANGE other 5000000 $", SLICED), 3);
    assert_int_equal(pauses_of("ONCE c 1 APPEND once $", SLICED), 3);
    assert_true(world.work_most < 5 << 20);
    world.meaning = OLD;
    assert_int_equal(pauses_of("SETRANGE k 0 $", SLICED), 3);
    assert_int_equal(pauses_of("APPEND plain $", SLICED), 0);
}

/* The same pages and records as of those that wrote all at once: the number is of the build that
 * did. */
static void large_parts_leave_what_they_left(void **state)
{
    static const char *const lines[] = {"APPEND k $",           "APPEND k $",
                                        "SETRANGE k 1000001 $", "SETRANGE l 100000 $",
                                        "SETRANGE l 7000000 $", "APPEND small $"};
    (void)state;
    EXPECT(&world, "SET small x EX 1000", "+OK\r\n");
    memset(large + 1500000, 0, 100000); /* whole pages of zeros among them */
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        say(lines[i], value_of(SLICED));
    EXPECT(&world, "STRLEN k", ":6291466\r\n");
    EXPECT(&world, "STRLEN l", ":10145733\r\n");
    EXPECT(&world, "STRLEN small", ":3145734\r\n");
    EXPECT(&world, "TTL small", ":1000\r\n");
    assert_int_equal(db_hash(world.db), GOLDEN_PARTS);
    db_checkpoint(world.db);
    assert_int_equal(db_hash(world.db), GOLDEN_PARTS);
    EXPECT(&world, "SET next x", "+OK\r\n"); /* and as many spaces are given out */
    assert_int_equal(world.db->state.space_next, GOLDEN_SPACES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_puts_a_large_string_makes_pages),
        TEST(transactions_make_pages),
        TEST(many_words_are_placed),
        TEST(plain_ones_of_before_are_copied_into_pages),
        TEST(entries_of_before_leave_what_they_left),
        TEST(pages_end_with_what_is_put_over_them),
        TEST(dead_pages_are_swept),
        TEST(words_that_are_not_put_leave_nothing),
        TEST(undone_puts_leave_what_was),
        TEST(the_key_of_a_large_string_costs_a_look),
        TEST(large_strings_are_read_in_slices),
        TEST(replies_of_writes_are_made_in_slices),
        TEST(a_reply_may_be_heard_no_more),
        TEST(what_is_half_done_is_given_up),
        TEST(deleted_pages_count_as_dead),
        TEST(much_that_is_dead_is_swept_soon),
        TEST(large_words_are_placed_in_slices),
        TEST(large_parts_are_written_in_slices),
        TEST(large_parts_leave_what_they_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
