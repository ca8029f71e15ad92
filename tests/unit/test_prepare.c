/* Writes that are prepared before their entry comes: whatever was prepared, and whatever came in
 * between, they do and answer what they do without.
 *
 * Two worlds get the same entries; in the one what comes next is prepared.  That the preparation
 * was used shows by the slices of the entry: none but the last. */
#include "command/commands.h"
#include "command/hyperloglog.h"
#include "script/script.h"
#include "two_worlds.h"

/* A sanitizer makes all of it some five times slower. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { ROUNDS = 2, SLICES_BETWEEN = 5 };
#else
enum { ROUNDS = 4, SLICES_BETWEEN = 2 };
#endif
enum { MEMBERS = 3000, LONG = 2000, BATCH = 1000 };

/* ---- both worlds -------------------------------------------------------------------------- */

/* The words of what a line cannot say: RESTORE of what DUMP gave, and others. */
static const char words[] = "words";
static struct bytes restore[5];
static struct buffer payload;
static const struct bytes *said = restore;
static uint32_t said_count = sizeof restore / sizeof restore[0];

static struct bytes type_words(struct world *world)
{
    buffer_clear(&world->connection.out.bytes);
    world_run(world, said, said_count);
    return buffer_bytes(&world->connection.out.bytes);
}

/* In both; the reply is that of both. */
static struct bytes type(const char *line)
{
    if (line == words) {
        struct bytes reply = type_words(&one);
        assert_true(bytes_equal(reply, type_words(&other)));
        return reply;
    }
    struct bytes reply = world_type(&one, line);
    world_expect(&other, line, reply);
    return reply;
}

/* Numbers from..to as they are, or after a key of the format. */
static void add(const char *command, const char *format, int from, int to)
{
    for (int first = from; first < to; first += BATCH) {
        struct buffer line = {0};
        buffer_printf(&line, "%s", command);
        for (int i = first; i < to && i < first + BATCH; i++)
            buffer_printf(&line, format, i, i);
        buffer_append_byte(&line, '\0');
        type(line.data);
        buffer_deinit(&line);
    }
}

/* Collections that are long enough, and none that is. */
static void fill(void)
{
    add("SADD a", " a:%d", 0, MEMBERS);
    add("SADD b", " a:%d", MEMBERS / 2, 2 * MEMBERS);
    type("SADD small x y z");
}

static void fill_more(void)
{
    add("ZADD z", " %d a:%d", 0, MEMBERS);
    add("ZADD y", " %d.5 a:%d", MEMBERS / 2, 2 * MEMBERS);
    add("RPUSH l", " %d", 0, MEMBERS);
    add("HSET h", " f:%d %d", 0, MEMBERS);
    for (int i = 0; i < 20; i++) {
        char line[64];
        snprintf(line, sizeof line, "HSET w:%d x value:%d", i * 7, i);
        type(line);
    }
    add("MSET", " v:%d %d.5", 10, MEMBERS / 2);
    add("GEOADD g", " 1.%d 2 a:%d", 0, MEMBERS);
    type("HPEXPIRE h 5000 FIELDS 2 f:1 f:7");
    type("SETBIT s 82000000 1");
    type("SETRANGE bits 70000 abcdef");
}

/* ---- preparing ---------------------------------------------------------------------------- */

static struct blob *encode(const char *line)
{
    struct buffer input = {0};
    size_t consumed;
    uint32_t argc;
    if (line == words)
        return command_encode(said, said_count);
    buffer_printf(&input, "%s\r\n", line);
    assert_int_equal(resp_parse(one.parser, input.data, input.size, &consumed), RESP_COMMAND);
    const struct bytes *argv = resp_argv(one.parser, &argc);
    bool is_exec = bytes_is(argv[argc - 1], "exec");
    struct blob *encoded = is_exec ? transaction_encode(&one.connection.transaction, argv, argc - 1)
                                   : command_encode(argv, argc);
    buffer_deinit(&input);
    return encoded;
}

static bool is_wanted(const char *line)
{
    struct apply_context context = context_now();
    struct blob *encoded = encode(line);
    bool is_long = one.machine->ops->prepares(one.machine, &context, blob_bytes(encoded));
    bool may_be = one.machine->ops->may_prepare(one.machine, blob_bytes(encoded));
    assert_true(may_be || !is_long);
    blob_release(encoded);
    return is_long;
}

static enum preparing prepare_slices(const char *line, unsigned most)
{
    struct apply_context context = context_now();
    struct blob *encoded = encode(line);
    enum preparing step = PREPARING_MORE;
    /* Not now: there was no room for a view, and a checkpoint was made. */
    while ((step == PREPARING_MORE || step == PREPARING_NOT_NOW) && most-- > 0)
        step = one.machine->ops->prepare(one.machine, &context, encoded);
    blob_release(encoded);
    return step;
}

static void prepare(const char *line)
{
    if (!is_wanted(line))
        fail_msg("%.60s is not prepared", line);
    if (prepare_slices(line, PREPARE_CALLS_MAX) != PREPARING_ENDED)
        fail_msg("%.60s was not prepared", line);
}

static int64_t asked_ms; /* what was prepared before is not restated */
static struct buffer restated;
static struct bytes *restated_words;
static uint32_t restated_capacity;

/* As it is proposed: the line, or `words`. */
static const char *as_proposed(const char *line)
{
    struct command_parts parts;
    if (!one.machine->ops->prepared_as(one.machine, asked_ms, one.now_ms, &parts))
        return line;
    buffer_clear(&restated);
    for (uint32_t i = 0; i < parts.count; i++)
        buffer_append_bytes(&restated, parts.list[i]);
    bool is_right =
        command_decode(buffer_bytes(&restated), &restated_words, &said_count, &restated_capacity);
    assert_true(is_right);
    said = restated_words;
    return words;
}

/* In both; `holds`: what was prepared is used.  goes_on: it may have slices all the same. */
static void execute_begun(const char *line, bool holds, bool goes_on)
{
    unsigned slices = one.pauses;
    uint64_t prepared = command_machine_prepared(one.machine);
    one.seed = other.seed = SEED;
    struct bytes reply = type(as_proposed(line));
    one.seed = other.seed = 0;
    bool is_used = command_machine_prepared(one.machine) > prepared;
    if (is_used != holds || (is_used && !goes_on && one.pauses > slices))
        fail_msg("%.60s: what was prepared is %s", line, holds ? "not used" : "used");
    assert_true(reply.size > 0);
    assert_equal_worlds(line);
}

static void execute(const char *line, bool holds)
{
    execute_begun(line, holds, false);
}

static void check_that(const char *line, const char *between, bool holds)
{
    prepare(line);
    one.now_ms = other.now_ms += 2; /* its entry has another time */
    if (between)
        type(between);
    execute(line, holds);
}

/* ---- tests -------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    worlds_init();
    command_machine_prepare_from(one.machine, LONG);
    fill();
    assert_equal_worlds("the beginning");
    return 0;
}

static int tear_down(void **state)
{
    buffer_deinit(&restated);
    memory_free(restated_words);
    restated_words = NULL;
    restated_capacity = 0;
    return worlds_tear_down(state);
}

static const char *const lines[] = {
    "SINTERSTORE to a b",
    "SUNIONSTORE to a b small no",
    "SDIFFSTORE to a b",
    "SUNIONSTORE a b a",
    "SINTERSTORE small b a",
    "ZUNIONSTORE y 2 z y WEIGHTS 2 3",
    "ZUNIONSTORE to 3 z a small AGGREGATE MAX",
    "ZINTERSTORE zi 2 z y",
    "ZDIFFSTORE to 2 z y",
    "ZRANGESTORE to y 0 -1",
    "ZRANGESTORE y y -inf +inf BYSCORE LIMIT 100 2500",
    "SORT l DESC STORE to",
    "SORT l ALPHA STORE l",
    "SORT a ALPHA STORE a",
    "COPY h to REPLACE",
    "COPY a nowhere",
    "COPY z z DB 3",
    "COPY l to REPLACE",
    "COPY s to REPLACE",
    "COPY x to REPLACE",
    "COPY x x DB 5",
    "GEOSEARCHSTORE to g FROMMEMBER a:7 BYRADIUS 9000 km DESC",
    "GEOSEARCHSTORE g g FROMLONLAT 1 2 BYBOX 900 900 km STOREDIST",
    "GEORADIUS g 1 2 9000 km STORE g",
    "GEORADIUSBYMEMBER z a:5 90000 km COUNT 2 STOREDIST small",
    "SORT l BY v:* GET # GET w:*->x STORE to",
    "SORT l BY nosort GET v:* STORE to",
    "BITOP NOT to s",
    "BITOP XOR bits s bits no",
};

/* Those that change a large value. */
static const char *const changing[] = {"LINSERT l BEFORE 2999 x",
                                       "LINSERT l AFTER 2999 y",
                                       "LINSERT l AFTER none y",
                                       "XTRIM x MAXLEN = 2500",
                                       "XTRIM x MAXLEN ~ 1000",
                                       "XTRIM x MAXLEN 0",
                                       "LREM l 0 7",
                                       "LREM l -1 y",
                                       "LREM l 5 none",
                                       "LTRIM l 40 -40",
                                       "LTRIM l 400 -300",
                                       "LTRIM l 1500 1900",
                                       "LTRIM l 500 0",
                                       "ZREMRANGEBYRANK z 5 9",
                                       "ZREMRANGEBYSCORE z 1000 1999",
                                       "ZREMRANGEBYRANK z 1 -2",
                                       "ZREMRANGEBYLEX same [a:1 [a:2",
                                       "ZREMRANGEBYLEX same - +",
                                       "ZREMRANGEBYSCORE y -inf +inf",
                                       "ZREMRANGEBYRANK tiny 0 0",
                                       "ZREMRANGEBYRANK tiny 0 -1",
                                       "LREM short 1 2",
                                       "LTRIM short 20 -20",
                                       "LTRIM short 1 0",
                                       "XREADGROUP GROUP later c COUNT 1200 STREAMS long >",
                                       "XREADGROUP GROUP later d COUNT 300 STREAMS long >",
                                       "XAUTOCLAIM long later e 0 0 COUNT 1000",
                                       "XAUTOCLAIM long later d 0 500 COUNT 1000 JUSTID",
                                       "XREADGROUP GROUP later d NOACK COUNT 700 STREAMS long >",
                                       "XDEL long 12-1 600-1 610-1",
                                       "XAUTOCLAIM long later f 0 0 COUNT 10000",
                                       "XREADGROUP GROUP later g STREAMS long >",
                                       "XREADGROUP GROUP later f STREAMS long 0",
                                       "XDEL long 1000-1 1001-1 2000-1",
                                       "XREADGROUP GROUP later f COUNT 400 STREAMS long 899-1",
                                       "XREADGROUP GROUP later g NOACK STREAMS long 2500",
                                       "XAUTOCLAIM long later h 0 500 COUNT 700",
                                       "XREADGROUP GROUP later h COUNT 600 STREAMS long 1",
                                       "XGROUP DELCONSUMER long later h",
                                       "XGROUP DESTROY long later",
                                       "XGROUP DESTROY x group",
                                       "ZPOPMIN w 1200",
                                       "ZPOPMAX w 1100",
                                       "ZMPOP 2 none w MAX COUNT 1500",
                                       "ZMPOP 1 w MIN COUNT 6000",
                                       "LPOP k 2500",
                                       "RPOP k 2200",
                                       "LMPOP 3 none nothing k LEFT COUNT 3000",
                                       "LMPOP 3 none nothing k RIGHT COUNT 9000",
                                       "SPOP b 600",
                                       "SPOP b 2000",
                                       "SPOP b 900000",
                                       "SPOP timed 3000"};

static void what_is_prepared_is_what_the_entry_makes(void **state)
{
    (void)state;
    fill_more();
    for (int i = 0; i < MEMBERS; i++)
        type("XADD x * f v");
    type("XGROUP CREATE x group 0");
    type("XREADGROUP GROUP group consumer COUNT 1000 STREAMS x >");
    type("ZADD tiny 1 a 2 b 3 c");
    add("SADD b", " b:%d", 0, MEMBERS);
    add("SADD timed", " b:%d", 0, MEMBERS);
    add("ZADD w", " %d w:%d", 0, 2 * MEMBERS);
    for (int i = 1; i <= MEMBERS; i++) {
        char line[64];
        snprintf(line, sizeof line, "XADD long %d-1 f v", i);
        type(line);
    }
    type("XGROUP CREATE long later 0");
    add("RPUSH k", " %d", 0, 3 * MEMBERS);
    type("EXPIRE timed 100000");
    add("RPUSH short", " %d", 0, 60);
    add("ZADD same", " 1 a:%d", 0, MEMBERS);
    command_machine_prepare_from(one.machine, 1);
    check_that("XTRIM x MAXLEN = 2900", "XACK x group 5-5", true); /* which acknowledges nothing */
    command_machine_prepare_from(one.machine, 100);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        bool is_checked = i % 3 == 0;
        if (is_checked) /* what is looked at lies in the store, and so does what was made last */
            db_checkpoint(one.db);
        else
            db_checkpoint(other.db);
        check_that(lines[i], "INCR others", true);
    }
    command_machine_prepare_from(one.machine, 1);
    for (size_t i = 0; i < sizeof changing / sizeof changing[0]; i++) {
        db_checkpoint(i % 2 ? one.db : other.db);
        if (strncmp(changing[i], "XDEL", 4) == 0) {
            type(changing[i]);
            continue;
        }
        check_that(changing[i], i % 2 ? "SADD small 1 2 3" : "COPY small other", true);
    }
    type("XPENDING long later - + 10000");
    type("HGETALL to");
    one.now_ms = other.now_ms += 10000; /* fields that were copied with their deadlines end */
    type("HLEN h");
    type("FLUSHALL");
    assert_equal_worlds("the end");
}

static void restore_from(const char *key, const char *ttl, const char *option)
{
    struct buffer line = {0};
    buffer_printf(&line, "DUMP %s", key);
    buffer_append_byte(&line, '\0');
    struct bytes reply = type(line.data);
    const char *begin = memchr(reply.data, '\n', reply.size);
    assert_non_null(begin);
    buffer_clear(&payload);
    buffer_append(&payload, begin + 1, strtoul((const char *)reply.data + 1, NULL, 10));
    const char *texts[] = {"RESTORE", "restored", ttl, NULL, option};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        restore[i] = texts[i] ? bytes_from_string(texts[i]) : buffer_bytes(&payload);
    buffer_deinit(&line);
}

static void restored_values_are_prepared(void **state)
{
    static const char *const keys[] = {"a", "z", "l", "plain", "x", "s"};
    (void)state;
    fill_more();
    command_machine_prepare_from(one.machine, 1);
    type("SETRANGE text 5000 x");
    add("HSET plain", " f:%d %d", 0, MEMBERS);
    add("XADD x *", " %d %d", 0, 1000);
    type("XGROUP CREATE x group 0");
    type("XREADGROUP GROUP group consumer COUNT 3 STREAMS x >");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        restore_from(keys[i], i % 2 ? "0" : "100000", "REPLACE");
        check_that(words, "INCR others", true);
    }
    restore_from("a", "1", "ABSTTL"); /* there is one */
    assert_int_equal(prepare_slices(words, PREPARE_CALLS_MAX), PREPARING_ENDED);
    execute(words, false);
    type("DEL restored");
    prepare(words); /* over at once */
    execute(words, true);
    restore_from("z", "0", "ABSTTL");
    prepare(words);
    type("SET restored x"); /* now there is one */
    execute(words, true);
    assert_true(type("GET restored").size == 7);
    type("DEL restored");
    payload.data[payload.size / 2] ^= 1;
    payload.data[payload.size - 1] ^= 1;
    assert_int_equal(prepare_slices(words, PREPARE_CALLS_MAX), PREPARING_ENDED);
    execute(words, false);
    buffer_deinit(&payload);
}

static void what_changes_in_between_is_not_used(void **state)
{
    static const char *const changes[] = {"SADD a more",      "SREM b a:2000", "RENAME a small",
                                          "COPY b a REPLACE", "EXPIRE b 100",  "SWAPDB 0 1",
                                          "FLUSHALL"};
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (!is_wanted("SUNIONSTORE to a b"))
            type("COPY b a REPLACE");
        check_that("SUNIONSTORE to a b", changes[i], false);
        if (changes[i][1] == 'W')
            type(changes[i]); /* back again */
    }
}

/* Keys that nobody named, whether they are there or not. */
static void what_elements_name_is_looked_at(void **state)
{
    static const char line[] = "SORT l BY w:* GET v:*->f GET v:* STORE to";
    static const struct {
        const char *between;
        int64_t passes_ms;
        bool holds;
    } cases[] = {
        {"SET w:17 9", 0, false},    {"SET w:17 8", 0, false},
        {"DEL w:17", 0, false},      {"SET w:3001 9", 0, true},
        {"HSET v:5 f 1", 0, false},  {"HSET v:5 other 1", 0, false},
        {"RPUSH v:6 x", 0, false},   {"EXPIRE w:18 100", 0, true}, /* there is none */
        {"SELECT 1", 0, false},      {"SET w:17 9", 0, true},      /* and that is another */
        {"FLUSHDB", 0, true},        {"SELECT 0", 0, true},
        {"PUBLISH w:17 x", 0, true}, {"PSETEX w:19 100 5", 0, false},
        {"INCR others", 99, true},   {"INCR others", 1, false},
        {"INCR others", 1, true},    {"HPEXPIRE v:5 50 FIELDS 1 f", 0, false},
        {"INCR others", 49, true},   {"INCR others", 1, false},
        {"INCR others", 0, false}, /* when the next of its fields ends is not known */
        {"DEL v:5", 0, false},       {"SWAPDB 3 4", 0, true},
        {"SWAPDB 3 0", 0, false},    {"SWAPDB 0 3", 0, false},
        {"FLUSHALL", 0, false},
    };
    (void)state;
    fill_more();
    prepare(line);
    type("SWAPDB 3 0"); /* for a while the keys are in another database */
    type("SELECT 3");
    type("SET w:17 7");
    type("SELECT 0");
    type("SWAPDB 3 0");
    execute(line, false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        db_checkpoint(i % 2 ? one.db : other.db);
        if (is_wanted(line))
            prepare(line);
        type(cases[i].between);
        one.now_ms = other.now_ms += cases[i].passes_ms;
        if (one.connection.database == 0)
            execute(line, cases[i].holds);
    }
}

/* All of them are looked at as they were when it began. */
static void what_changes_before_it_is_looked_at_counts(void **state)
{
    static const char *const sorts[] = {"SORT l BY v:* STORE to", "SORT l GET v:* STORE to"};
    static const char *const changes[] = {"SET v:1400 -5", "DEL v:1400", "INCR others"};
    enum { CHANGES = sizeof changes / sizeof changes[0] };
    (void)state;
    fill_more();
    for (unsigned slices = 1; slices < 12; slices += SLICES_BETWEEN) {
        for (unsigned i = 0; i < 2 * CHANGES; i++) {
            const char *line = sorts[i % 2], *change = changes[i / 2];
            db_checkpoint(one.db);
            db_checkpoint(other.db);
            type("SET v:1400 1400.5");
            if (!is_wanted(line))
                fail_msg("%s is not prepared", line);
            (void)prepare_slices(line, slices);
            type(change);
            (void)prepare_slices(line, PREPARE_CALLS_MAX);
            execute(line, i / 2 == CHANGES - 1);
        }
    }
    db_checkpoint(one.db);
    db_checkpoint(other.db);
    assert_true(is_wanted(sorts[0]));
    assert_int_equal(prepare_slices(sorts[0], 1), PREPARING_MORE);
    type("SWAPDB 3 0");
    type("SELECT 3");
    type("SET v:1400 -7");
    type("SELECT 0");
    type("SWAPDB 3 0");
    (void)prepare_slices(sorts[0], PREPARE_CALLS_MAX);
    execute(sorts[0], false);
}

/* The first entry of all chooses how keys are hashed. */
static void nothing_is_prepared_before_the_first_entry(void **state)
{
    (void)state;
    struct world fresh;
    world_init(&fresh);
    assert_null(db_beside_new(fresh.db, NULL));
    world_deinit(&fresh);
}

/* In its place there is one of the same contents, or the key is in another database. */
static void what_was_there_before_does_not_count(void **state)
{
    (void)state;
    type("COPY a kept");
    prepare("SUNIONSTORE to a b");
    type("DEL a");
    type("RENAME kept a");
    execute("SUNIONSTORE to a b", false);
    type("COPY a a DB 1");
    type("COPY b b DB 1");
    prepare("SUNIONSTORE to a b");
    type("SELECT 1");
    type("SADD a other");
    execute("SUNIONSTORE to a b", false);
    type("SELECT 0");
    one.machine->ops->prepare_drop(one.machine);
    prepare("SUNIONSTORE to a b");
    type("SWAPDB 0 1");
    execute("SUNIONSTORE to a b", false);
    prepare("SUNIONSTORE to a b");
    type("SWAPDB 0 1");
    type("SWAPDB 0 1");
    execute("SUNIONSTORE to a b", true); /* these are they */
}

/* Two keys that one entry wrote have one version, and may take each other's place. */
static void equal_versions_are_told_apart(void **state)
{
    (void)state;
    type("MULTI");
    type("COPY a key");
    type("COPY b key DB 1");
    type("EXEC");
    prepare("SUNIONSTORE to key");
    type("SWAPDB 0 1");
    execute("SUNIONSTORE to key", false);
}

static void what_expires_in_between_is_not_used(void **state)
{
    (void)state;
    type("PEXPIRE b 1000");
    prepare("SUNIONSTORE to a b");
    one.now_ms = other.now_ms += 999;
    execute("SUNIONSTORE to a b", true);
    prepare("SUNIONSTORE to a b");
    one.now_ms = other.now_ms += 1;
    execute("SUNIONSTORE to a b", false);
    assert_int_equal(type("EXISTS b").size, 4);
}

/* What is at the destination when the entry comes counts, not what was there. */
static void the_destination_is_that_of_the_entry(void **state)
{
    (void)state;
    fill_more();
    check_that("COPY a to", "SET to x", true);
    EXPECT(&one, "GET to", "$1\r\nx\r\n");
    world_type(&other, "GET to");
    check_that("SUNIONSTORE to a b", "HSET to f v", true);
    check_that("COPY h new REPLACE", "COPY z new", true);
}

static void another_command_is_not_what_was_prepared(void **state)
{
    (void)state;
    prepare("SUNIONSTORE to a b");
    execute("SUNIONSTORE to b a", false);
    execute("SINTERSTORE to a b", false);
    type("SELECT 1");
    execute("SUNIONSTORE to a b", false);
    type("SELECT 0");
    one.meaning = other.meaning = 4;
    execute("SUNIONSTORE to a b", false);
    one.meaning = other.meaning = command_meaning_newest;
    one.value_max = other.value_max = 1 << 20;
    execute("SUNIONSTORE to a b", false);
    one.value_max = other.value_max = 0;
    execute("SUNIONSTORE to a b", true);
    execute("SUNIONSTORE to a b", false); /* once */
}

/* What is not long, what cannot be told to be what it was, and what looks at keys that nobody
 * named. */
static void what_is_not_prepared(void **state)
{
    static const char *const short_ones[] = {
        "SINTERSTORE to a small",
        "SDIFFSTORE to small a",
        "SUNIONSTORE to small",
        "SUNIONSTORE to no",
        "ZINTERSTORE to 2 z small",
        "ZUNIONSTORE to 1 small",
        "ZRANGESTORE to z 0 9",
        "ZRANGESTORE to z 5 1 BYSCORE",
        "ZRANGESTORE to a 0 -1",
        "SORT l BY w_* GET w_*",
        "COPY small to",
        "COPY no to",
        "SUNION a b",
        "SET a x",
        "GEOSEARCHSTORE to no FROMLONLAT 1 1 BYRADIUS 1 km",
        "EVAL \"return 1\" 1 a",
    };
    (void)state;
    fill_more();
    for (size_t i = 0; i < sizeof short_ones / sizeof short_ones[0]; i++)
        if (is_wanted(short_ones[i]))
            fail_msg("%s is prepared", short_ones[i]);
    one.meaning = 1; /* such entries give no version */
    world_type(&one, "SADD other 1");
    one.meaning = command_meaning_newest;
}

/* While an entry is half done nobody can look how long it would be, but for what its name says. */
static void what_may_be_prepared_waits_for_an_entry(void **state)
{
    (void)state;
    struct apply_context context = context_now();
    struct buffer reply = {0};
    struct blob *encoded = encode("SUNIONSTORE to a b");
    context.pos = (struct raft_pos){.term = 1, .index = ++one.index};
    assert_false(one.machine->ops->apply(one.machine, &context, blob_bytes(encoded), 2, &reply));
    assert_false(is_wanted("LTRIM l 0 0")); /* which comes often, and is short as a rule */
    assert_false(is_wanted("ZREMRANGEBYSCORE z 0 1"));
    assert_false(is_wanted("RESTORE k 0 x"));
    assert_true(is_wanted("sinterSTORE to a b"));
    assert_false(is_wanted("GEOADD g 1 1 x"));
    assert_false(is_wanted("SET to x"));
    assert_false(is_wanted("tore to x"));
    while (!one.machine->ops->apply(one.machine, &context, blob_bytes(encoded), 2, &reply)) {
    }
    one.machine->ops->applied(one.machine, context.pos, context.now_ms, context.meaning);
    blob_release(encoded);
    buffer_deinit(&reply);
}

/* An error is answered by the entry. */
static void what_fails_is_not_used(void **state)
{
    (void)state;
    fill_more();
    type("SET text x");
    assert_true(is_wanted("SUNIONSTORE to a text"));
    assert_int_equal(prepare_slices("SUNIONSTORE to a text", PREPARE_CALLS_MAX), PREPARING_ENDED);
    execute("SUNIONSTORE to a text", false);
    type("RPUSH l x");
    assert_int_equal(prepare_slices("SORT l STORE to", PREPARE_CALLS_MAX), PREPARING_ENDED);
    execute("SORT l STORE to", false);
}

static void it_ends_where_an_entry_changes_its_sources(void **state)
{
    (void)state;
    assert_int_equal(prepare_slices("SUNIONSTORE to a b a b", 1), PREPARING_MORE);
    type("INCR others");
    assert_int_equal(prepare_slices("SUNIONSTORE to a b a b", 1), PREPARING_MORE);
    type("SADD a more");
    assert_int_equal(prepare_slices("SUNIONSTORE to a b a b", 1), PREPARING_CHANGED);
    prepare("SUNIONSTORE to a b a b");
    execute("SUNIONSTORE to a b a b", true);
}

/* While it is under way, and when it is done: nothing of it is there. */
static void what_is_dropped_leaves_nothing(void **state)
{
    (void)state;
    fill_more();
    assert_int_equal(prepare_slices("COPY h to", 2), PREPARING_MORE);
    assert_equal_worlds("half of a preparation");
    one.machine->ops->prepare_drop(one.machine);
    one.machine->ops->prepare_drop(one.machine);
    prepare("COPY h to");
    assert_equal_worlds("a preparation");
    one.machine->ops->prepare_drop(one.machine);
    execute("COPY h to", false);
    assert_int_equal(prepare_slices("COPY h new", 2), PREPARING_MORE); /* and at the end */
}

/* ---- many words --------------------------------------------------------------------------- */

/* `command`, and the words of the format for each of the numbers; good until the next but one. */
static const char *line_of(const char *command, const char *format, int from, int to)
{
    static char texts[2][1 << 16];
    static unsigned turn;
    char *line = texts[turn++ % 2];
    size_t size = (size_t)snprintf(line, sizeof texts[0], "%s", command);
    for (int i = from; i < to; i++) {
        size += (size_t)snprintf(line + size, sizeof texts[0] - size, format, i, i, i);
        assert_in_range(size, 1, sizeof texts[0] - 1);
    }
    return line;
}

static const struct {
    const char *command, *format;
    int from, to;
    bool fails; /* the entry has nothing to take */
} of_words[] = {
    {"SADD snew", " m:%d", 0, 600, false},
    {"SADD snew", " m:%d", 300, 900, false},
    {"SADD snew", " m:%d", 300, 900, false}, /* nothing is new */
    {"SADD small", " %d", 0, 300, false},
    {"SADD ints", " %d", 0, 400, false},
    {"SADD ints", " %d", 100, 500, false},
    {"SADD ints", " %d", 100, 900, false},
    {"SADD once", " x", 0, 300, false},
    {"SREM tiny", " x", 0, 300, false},
    {"SREM tiny", " no", 0, 300, false},
    {"SREM tiny y z", " x", 0, 300, false},
    {"SREM snew", " m:%d", 100, 500, false},
    {"SREM snew", " m:%d", 100, 500, false},
    {"SREM snew", " m:%d", 0, 900, false},
    {"SREM snew", " m:%d", 0, 900, false},
    {"HSET hnew", " f:%d %d", 0, 300, false},
    {"HSET hnew", " f:%d x%d", 200, 500, false},
    {"HMSET hnew", " f:%d y%d", 100, 300, false},
    {"HSET htiny", " f:%d y%d", 0, 300, false},
    {"HSET timed", " f:%d y%d", 2, 300, false},
    {"HDEL hnew", " f:%d", 100, 400, false},
    {"HDEL hnew", " f:%d", 100, 400, false},
    {"HDEL hnew", " f:%d", 0, 500, false},
    {"HDEL timed", " f:%d", 5, 300, false},
    {"HPEXPIREAT timed 9000000000000 FIELDS 298", " f:%d", 2, 300, false},
    {"HPEXPIREAT timed 9000000000001 GT FIELDS 298", " f:%d", 102, 400, false},
    {"HEXPIREAT timed 9000000000 NX FIELDS 298", " f:%d", 2, 300, false},
    {"HSETEX timed EXAT 9000000010 FIELDS 300", " f:%d z%d", 200, 500, false},
    {"HSETEX timed KEEPTTL FXX FIELDS 300", " f:%d zz%d", 200, 500, false},
    {"HSETEX hfresh PXAT 5000000 FIELDS 300", " f:%d z%d", 0, 300, false},
    {"HSETEX htiny FNX FIELDS 300", " f:%d y%d", 400, 700, false},
    {"HPERSIST timed FIELDS 298", " f:%d", 102, 400, false},
    {"HPERSIST timed FIELDS 298", " f:%d", 102, 400, false},
    {"HPEXPIREAT timed 1 FIELDS 298", " f:%d", 2, 300, false}, /* deletes them */
    {"HSETEX timed PXAT 1 FIELDS 300", " f:%d y%d", 400, 700, false},
    {"HEXPIREAT hnone 9000000000 FIELDS 300", " f:%d", 0, 300, false},
    {"HEXPIRE timed 60 FIELDS 298", " f:%d", 102, 400, false},
    {"hexpire timed 70 GT FIELDS 298", " f:%d", 202, 500, false},
    {"HPEXPIRE timed 50000 LT FIELDS 298", " f:%d", 202, 500, false},
    {"HPEXPIRE timed 0 FIELDS 268", " f:%d", 232, 500, false}, /* deletes them */
    {"HSETEX timed EX 50 FIELDS 300", " f:%d y%d", 400, 700, false},
    {"HSETEX timed FNX px 50 FIELDS 300", " f:%d y%d", 900, 1200, false},
    {"HGETEX timed FIELDS 298", " f:%d", 402, 700, false},
    {"HGETEX timed EX 80 FIELDS 298", " f:%d", 302, 600, false},
    {"HGETEX timed px 90 FIELDS 298", " f:%d", 302, 600, false},
    {"HGETEX timed PXAT 9000000000000 FIELDS 298", " f:%d", 302, 600, false},
    {"HGETEX timed PERSIST FIELDS 298", " f:%d", 302, 600, false},
    {"HGETEX hnone PERSIST FIELDS 298", " f:%d", 302, 600, false},
    {"HGETDEL timed FIELDS 298", " f:%d", 302, 600, false},
    {"HGETDEL timed FIELDS 298", " f:%d", 302, 600, false},
    {"HGETDEL hnone FIELDS 298", " f:%d", 302, 600, false},
    {"HGETDEL htiny FIELDS 298", " f:%d", 302, 600, false},
    {"HEXPIRE hnone 9000000000 FIELDS 300", " f:%d", 0, 300, false},
    {"HEXPIRE timed -1 FIELDS 300", " f:%d", 0, 300, true},
    {"HEXPIRE timed 9000000000000000 FIELDS 300", " f:%d", 0, 300, true},
    {"HGETEX timed EX 90 PX 5 FIELDS 300", " f:%d", 0, 300, true},
    {"HGETEX small EX 90 FIELDS 300", " f:%d", 0, 300, true},
    {"HGETDEL small FIELDS 300", " f:%d", 0, 300, true},
    {"HSET timed", " f:%d y%d", 200, 500, false},
    {"ZADD znew", " %d m:%d", 0, 300, false},
    {"ZADD znew NX", " 7 m:%d", 200, 400, false},
    {"ZADD znew XX", " 8 m:%d", 350, 500, false},
    {"ZADD znew XX CH", " 9.5 m:%d", 350, 500, false},
    {"ZADD znew GT CH", " %d m:%d", 0, 300, false},
    {"ZADD znew LT", " -%d m:%d", 0, 300, false},
    {"ZADD znew XX", " %d none:%d", 0, 300, false},
    {"ZADD ztiny", " %d m:%d", 0, 300, false},
    {"ZADD zsmall NX CH", " 1 m", 0, 300, false},
    {"ZREM zsmall", " no", 0, 300, false},
    {"ZREM zsmall", " m", 0, 300, false},
    {"ZREM znew", " m:%d", 100, 400, false},
    {"ZREM znew", " m:%d", 100, 400, false},
    {"ZREM znew no", " m:%d", 0, 500, false},
    {"GEOADD gnew", " 1.%d 2 m:%d", 0, 300, false},
    {"GEOADD gnew NX", " 1.%d 3 m:%d", 200, 400, false},
    {"GEOADD gnew XX CH", " 1.%d 3 m:%d", 300, 500, false},
    {"RPUSH lnew", " element:%d", 0, 900, false},
    {"LPUSH lnew", " element:%d", 0, 900, false},
    {"RPUSH short", " %d", 0, 300, false},
    {"LPUSH ltiny", " %d", 0, 900, false},
    {"RPUSHX lnew", " %d", 0, 300, false},
    {"LPUSHX ltiny", " %d", 0, 300, false},
    {"PFADD pnew", " %d", 0, 300, false},
    {"PFADD pnew", " %d", 0, 300, false},
    {"PFADD pnew", " %d", 300, 1200, false}, /* and dense */
    {"PFADD pnew", " %d", 900, 1500, false},
    {"PFADD pnew", " %d", 900, 1500, false},
    {"XADD xnew *", " f:%d %d", 0, 300, false},
    {"XADD x NOMKSTREAM 99-1", " f:%d %d", 0, 300, false},
    {"XACK x group", " %d-1", 1, 300, false},
    {"XACK x group", " %d-1", 1, 400, false},
    {"XCLAIM x group other 0", " %d-1", 1, 400, false},
    {"XCLAIM x group fresh 5", " %d-1", 1, 400, false}, /* which nobody has had for so long */
    {"XCLAIM x group fresh 0", " %d-1", 20, 400, false},
    {"XCLAIM x group third 0 FORCE JUSTID", " 1-%d", 1, 400, true}, /* no options but behind ids */
    {"XDEL x", " %d-1", 20, 400, false},
    {"XCLAIM x group third 0", " %d-1", 1, 400, false}, /* what is no more is deleted */
    {"XCLAIM none group third 0", " %d-1", 1, 400, true},
    {"XCLAIM x none third 0", " %d-1", 1, 400, true},
    {"XCLAIM x group third x", " %d-1", 1, 400, true},
    {"XDEL x", " %d-1", 20, 400, false},
    {"XDEL x", " %d-1", 1, 400, false},
    {"RPUSHX none", " %d", 0, 300, true},
    {"XADD none NOMKSTREAM *", " f:%d %d", 0, 300, true},
    {"XADD xnew 5-5", " f:%d %d", 0, 300, true},
    {"XADD small *", " f:%d %d", 0, 300, true},
    {"XDEL none", " %d-1", 1, 300, true},
    {"XDEL x", " %dx", 1, 300, true},
    {"XACK none group", " %d-1", 1, 300, true},
    {"XACK x group 1-1", " %dx", 1, 300, true},
    {"ZADD small", " %d m:%d", 0, 300, true},
    {"RPUSH small", " %d", 0, 300, true},
    {"HSET small", " f:%d %d", 0, 300, true},
    {"HPERSIST small FIELDS 300", " f:%d", 0, 300, true},
    {"HPERSIST timed FIELDS 299", " f:%d", 0, 300, true},
    {"HSETEX timed FNX FIELDS 300", " f:%d y%d", 200, 500, true},
    {"SADD htiny", " %d", 0, 300, true},
    {"PFADD small", " %d", 0, 300, true},
};
enum { OF_WORDS = sizeof of_words / sizeof of_words[0] };

static void fill_for_words(void)
{
    type("SADD ints 1 2 3");
    type("SADD tiny x y z");
    type("HSET htiny f:1 x g y");
    type("HSET timed f:1 x f:2 y g z");
    type("HPEXPIRE timed 50000 FIELDS 2 f:1 f:2");
    type("ZADD ztiny 1 m:1 2 x");
    add("RPUSH short", " %d", 0, 60);
    type("RPUSH ltiny a");
    for (int i = 1; i < 60; i++) {
        char line[64];
        snprintf(line, sizeof line, "XADD x %d-1 f v", i);
        type(line);
    }
    type("XGROUP CREATE x group 0");
    type("XREADGROUP GROUP group consumer COUNT 30 STREAMS x >");
    type("XREADGROUP GROUP group other COUNT 5 STREAMS x >");
}

static const char *words_line(size_t i)
{
    return line_of(of_words[i].command, of_words[i].format, of_words[i].from, of_words[i].to);
}

static void writes_of_many_words_are_prepared(void **state)
{
    (void)state;
    fill_for_words();
    command_machine_prepare_from(one.machine, 1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < OF_WORDS; i++) {
            if ((i + round) % 3 < 2)
                db_checkpoint((i + round) % 3 ? one.db : other.db);
            check_that(words_line(i), "INCR others", !of_words[i].fails);
        }
        one.now_ms = other.now_ms += 100000; /* fields end that have kept their deadlines */
        type("HLEN timed");
        type("EXISTS ints");
        assert_equal_worlds("the end");
        type("FLUSHALL");
        fill();
        fill_for_words();
        if (round % 2)
            type("EXPIRE ints 50"); /* and it stays */
        one.connection.protocol = other.connection.protocol = round + 2 < ROUNDS ? 2 : 3;
    }
}

/* The key is not what it was: it is there, is gone, or has changed. */
static void what_words_change_changes_in_between(void **state)
{
    static const struct {
        const char *command, *format, *between;
        bool holds;
    } cases[] = {
        {"SADD a", " n:%d", "SADD a more", false},
        {"SADD a", " n:%d", "SMOVE a a a:1", true}, /* which is there */
        {"SADD a", " o:%d", "SREM a a:5", false},
        {"SADD nothing", " n:%d", "SADD nothing x", false},
        {"SADD nothing", " p:%d", "DEL nothing", false},
        {"SREM a", " a:%d", "SPOP a", false},
        {"SADD small", " n:%d", "SADD small other", false},
        {"HSET h", " g:%d %d", "HSET h f v", false},
        {"HSET h", " i:%d %d", "EXPIRE h 1000", false},
        {"HDEL h", " g:%d", "HDEL h f", false},
        {"ZADD z", " 1 n:%d", "ZADD z 5 a:5", true}, /* as it was */
        {"ZADD z", " 2 n:%d", "ZINCRBY z 1 a:5", false},
        {"ZREM z", " n:%d", "COPY y z REPLACE", false},
        {"GEOADD g", " 1 1 n:%d", "ZREM g a:0", false},
        {"RPUSH l", " x%d", "LPOP l", false},
        {"LPUSH l", " x%d", "SET l x", false},
        {"PFADD p", " %d", "PFADD p x", false},
        {"PFADD p", " x%d", "DEL p", false},
        {"XDEL x", " %d-1", "XADD x * f v", false},
        {"XDEL x", " 5-%d", "XADD others * f v", true},
        {"XACK x group", " %d-1", "XACK x group 3-1", false},
        {"XADD x *", " %d %d", "XADD x * f v", true}, /* whose id is another */
    };
    (void)state;
    fill_more();
    fill_for_words();
    command_machine_prepare_from(one.machine, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        db_checkpoint(one.db);
        db_checkpoint(other.db);
        check_that(line_of(cases[i].command, cases[i].format, 1, 300), cases[i].between,
                   cases[i].holds);
    }
    prepare(line_of("XADD x *", " %d %d", 1, 300));
    type("SET x y");
    type("SET x2 y");
    execute(line_of("XADD x *", " %d %d", 1, 300), true); /* an error now, and no more */
}

/* What the entry's meaning does not know yet, it refuses. */
static void what_is_refused_is_not_prepared(void **state)
{
    (void)state;
    const char *line = line_of("XADD xnew *", " f:%d %d", 0, 300);
    command_machine_prepare_from(one.machine, 1);
    one.meaning = other.meaning = 3;
    assert_int_equal(prepare_slices(line, PREPARE_CALLS_MAX), PREPARING_ENDED);
    execute(line, false);
    one.meaning = other.meaning = command_meaning_newest;
}

/* What is done with the deadline that is given depends on whether it has come. */
static void a_given_deadline_comes_in_between(void **state)
{
    static const char *const commands[] = {"HPEXPIREAT timed %lld FIELDS 298",
                                           "HSETEX timed PXAT %lld FIELDS 298"};
    (void)state;
    fill_for_words();
    command_machine_prepare_from(one.machine, 1);
    for (unsigned i = 0; i < 4; i++) {
        char command[64];
        bool comes = i / 2;
        snprintf(command, sizeof command, commands[i % 2], (long long)one.now_ms + 1000);
        const char *line = line_of(command, i % 2 ? " f:%d x%d" : " f:%d", 2, 300);
        prepare(line);
        one.now_ms = other.now_ms += comes ? 1000 : 999;
        execute(line, !comes);
        one.now_ms = other.now_ms += 100;
        type("HSET timed f:1 x f:2 y");
    }
    char command[64];
    one.now_ms++; /* the leader's clock is ahead of the log's */
    snprintf(command, sizeof command, "HPEXPIREAT timed %lld FIELDS 298", (long long)one.now_ms);
    const char *past = line_of(command, " f:%d", 2, 300);
    prepare(past);
    one.now_ms--;
    execute(past, false);
}

/* What is restated, or depends on more than the state, is not prepared where ONCE carries it. */
static void once_carries_what_does_not_depend_on_its_entry(void **state)
{
    (void)state;
    fill_for_words();
    command_machine_prepare_from(one.machine, 1);
    assert_true(is_wanted(
        line_of("ONCE client 1 HPEXPIREAT timed 9000000000000 FIELDS 298", " f:%d", 2, 300)));
    assert_false(
        is_wanted(line_of("ONCE client 1 HPEXPIRE timed 50000 FIELDS 298", " f:%d", 2, 300)));
    assert_false(
        is_wanted(line_of("ONCE client 1 HSETEX timed EX 50 FIELDS 298", " f:%d y%d", 2, 300)));
    assert_false(is_wanted(line_of("ONCE client 1 HGETDEL timed FIELDS 298", " f:%d", 2, 300)));
    assert_false(is_wanted(line_of("ONCE client 1 XCLAIM x group other 0", " %d-1", 1, 400)));
}

/* What reckons with the time of its entry is proposed as what says when, from its preparation
 * on. */
static void what_is_proposed_says_when(void **state)
{
    (void)state;
    char expected[64];
    fill_for_words();
    command_machine_prepare_from(one.machine, 1);
    const char *line = line_of("HEXPIRE timed 60 FIELDS 298", " f:%d", 2, 300);
    int64_t end_ms = one.now_ms + 60000;
    prepare(line);
    type("INCR others");
    one.now_ms = other.now_ms += 5000;
    assert_true(as_proposed(line) == words);
    assert_int_equal(said_count, 5 + 298);
    assert_true(bytes_is(said[0], "hpexpireat"));
    snprintf(expected, sizeof expected, "%lld", (long long)end_ms);
    assert_true(bytes_is(said[2], expected));
    assert_true(bytes_is(said[3], "fields"));
    execute(line, true);
    snprintf(expected, sizeof expected, "*1\r\n:%lld\r\n", (long long)end_ms);
    world_expect(&one, "HPEXPIRETIME timed FIELDS 1 f:2", bytes_from_string(expected));
    line = line_of("HEXPIRE timed 60 FIELDS 298", " f:%d", 2, 300);
    prepare(line);
    asked_ms = one.now_ms + 1; /* the time stood still while it was asked */
    one.now_ms = other.now_ms += 5;
    assert_true(as_proposed(line) == line);
    asked_ms = 0;
    one.machine->ops->prepare_drop(one.machine);
    line = line_of("HPEXPIRE timed 1000 FIELDS 298", " f:%d", 2, 300);
    prepare(line);
    one.now_ms = other.now_ms += 1000; /* then all of them would be over */
    assert_true(as_proposed(line) == line);
    execute(line, false);
    line = line_of("HSETEX timed FXX ex 70 FIELDS 2", " f:%d x%d", 2, 4);
    assert_false(is_wanted(line)); /* of so few words */
}

/* Who is not idle for long enough, is so later. */
static void what_is_pending_gets_idle_in_between(void **state)
{
    (void)state;
    fill_for_words();
    command_machine_prepare_from(one.machine, 1);
    one.now_ms = other.now_ms += 100;
    type("XCLAIM x group other 0 3-1");
    const char *line = line_of("XCLAIM x group third 50", " %d-1", 1, 300);
    for (unsigned i = 0; i < 2; i++) {
        prepare(line); /* all but 3-1, or what it got a while ago */
        one.now_ms = other.now_ms += i ? 50 : 49;
        execute(line, i == 0);
    }
    type("XPENDING x group - + 100");
    type("XINFO CONSUMERS x group");
}

/* A group of three consumers, where the last has nothing. */
static void fill_group(void)
{
    type("DEL x");
    for (int i = 1; i <= 500; i++) {
        char line[64];
        snprintf(line, sizeof line, "XADD x %d-1 f v", i);
        type(line);
    }
    type("XGROUP CREATE x group 0");
    type("XGROUP CREATE x second 0");
    type("XREADGROUP GROUP second c COUNT 7 STREAMS x >");
    type("XREADGROUP GROUP group c COUNT 300 STREAMS x >");
    type("XREADGROUP GROUP group d COUNT 150 STREAMS x >");
    type("XGROUP CREATECONSUMER x group idle");
}

static void compare_groups(void)
{
    type("XINFO GROUPS x");
    type("XINFO CONSUMERS x group");
    type("XPENDING x group - + 1000");
    type("XPENDING x second - + 1000");
}

/* What takes away one, or all. */
static void groups_and_consumers_are_taken_away(void **state)
{
    static const char *const taken[] = {"XGROUP DELCONSUMER x group c", "XGROUP DESTROY x group",
                                        "xgroup delconsumer x group c", "xGroup Destroy x group"};
    static const char *const changes[] = {"XACK x group 7-1",
                                          "XREADGROUP GROUP group c COUNT 1 STREAMS x >",
                                          "XGROUP CREATECONSUMER x group e",
                                          "XCLAIM x group d 0 3-1",
                                          "XADD x 501-1 f v",
                                          "XGROUP DELCONSUMER x group c",
                                          "XGROUP SETID x second 3-1",
                                          "DEL x"};
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        bool is_last = i % 2; /* of the group all is gone */
        command_machine_prepare_from(one.machine, is_last ? 28 : 300);
        fill_group();
        db_checkpoint(i > 1 ? one.db : other.db);
        check_that(taken[i], "INCR others", true);
        compare_groups();
        for (size_t j = 0; j < sizeof changes / sizeof changes[0]; j++) {
            fill_group();
            check_that(taken[i], changes[j], false);
            compare_groups();
        }
    }
}

static void what_takes_little_away_is_not_prepared(void **state)
{
    (void)state;
    fill_group();
    command_machine_prepare_from(one.machine, 301);
    assert_false(is_wanted("XGROUP DELCONSUMER x group c"));
    command_machine_prepare_from(one.machine, 32);
    assert_false(is_wanted("XGROUP DESTROY x group")); /* 450 are pending, with three */
    command_machine_prepare_from(one.machine, 31);
    assert_true(is_wanted("XGROUP DESTROY x group"));
    command_machine_prepare_from(one.machine, 1);
    assert_false(is_wanted("XGROUP DELCONSUMER x group idle"));
    assert_false(is_wanted("XGROUP DELCONSUMER x group none"));
    assert_false(is_wanted("XGROUP DELCONSUMER x none c"));
    assert_false(is_wanted("XGROUP DELCONSUMER none group c"));
    assert_false(is_wanted("XGROUP DELCONSUMER small group c"));
    assert_false(is_wanted("XGROUP DESTROY x none"));
    assert_false(is_wanted("XGROUP DESTROY none group"));
    assert_false(is_wanted("XGROUP CREATE x third 0"));
}

static void once_takes_a_group_away(void **state)
{
    (void)state;
    fill_group();
    command_machine_prepare_from(one.machine, 1);
    check_that("ONCE client 1 XGROUP DELCONSUMER x group c", "ONCE other 1 INCR others", true);
    compare_groups();
    check_that("ONCE client 2 XGROUP DESTROY x group", "ONCE other 2 INCR others", true);
    compare_groups();
}

static void another_seed_or_protocol_is_not_what_was_prepared(void **state)
{
    (void)state;
    fill_for_words();
    add("SADD b", " b:%d", 0, MEMBERS);
    command_machine_prepare_from(one.machine, 1);
    prepare("SPOP b 600");
    uint64_t prepared = command_machine_prepared(one.machine);
    type("SPOP b 600"); /* of an entry with a seed of its own */
    assert_int_equal(command_machine_prepared(one.machine), prepared);
    assert_equal_worlds("SPOP");
    one.machine->ops->prepare_drop(one.machine);
    const char *line = line_of("HGETDEL htiny FIELDS 300", " f:%d", 0, 300);
    prepare(line);
    one.connection.protocol = other.connection.protocol = 3;
    execute(line, false);
    one.machine->ops->prepare_drop(one.machine);
    assert_false(is_wanted("SPOP b"));
    assert_false(is_wanted("SPOP b 255"));
    assert_true(is_wanted("spop b 256"));
    assert_false(is_wanted("LPOP b 1000"));
    assert_false(is_wanted("ONCE client 1 SPOP b 600"));
    assert_true(is_wanted("ONCE client 1 SUNIONSTORE to a b"));
}

/* A field whose deadline comes in between, and those whose next deadline nobody knows. */
static void fields_end_in_between(void **state)
{
    (void)state;
    const char *line = line_of("HSET timed", " f:%d x%d", 2, 300);
    fill_for_words();
    command_machine_prepare_from(one.machine, 1);
    prepare(line);
    one.now_ms = other.now_ms += 49999;
    execute(line, true);
    type("HPEXPIRE timed 1000 FIELDS 1 f:7");
    prepare(line);
    one.now_ms = other.now_ms += 1;
    execute(line, false);
    type("HPEXPIRE timed 1000 FIELDS 2 f:7 f:8");
    one.now_ms = other.now_ms += 1000;
    (void)prepare_slices(line, PREPARE_CALLS_MAX);
    execute(line, false);
}

/* Of all types, some of them large, one twice, and many that are not there. */
static const char keys_deleted[] = "DEL a b small h z l g s bits x a text timed";

static void fill_keys(void)
{
    type("FLUSHALL");
    fill();
    fill_more();
    fill_for_words();
    type("SETRANGE text 2000000 x");
    type("SET kept x");
    type("PEXPIRE v:11 50000");
}

static void deleted_keys_are_prepared(void **state)
{
    static const struct {
        const char *between;
        int64_t passes_ms;
        bool holds;
    } cases[] = {
        {"INCR others", 0, true},      {"SET kept y", 0, true},
        {"SET v:20 y", 0, false},      {"DEL v:20", 0, false},
        {"SET v:1 y", 0, false}, /* which was not there */
        {"SADD a more", 0, false},     {"EXPIRE a 7", 0, false},
        {"EXPIRE none 7", 0, true},    {"RENAME kept v:15", 0, false},
        {"SWAPDB 1 2", 0, true},       {"SWAPDB 0 1", 0, false},
        {"FLUSHALL", 0, false},        {"XACK x group 3-1", 0, true}, /* untold */
        {"PUBLISH v:20 x", 0, true},   {"INCR others", 49999, true},
        {"INCR others", 5000, false}, /* a field of h */
        {"INCR others", 50000, false},
    };
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *line = line_of(i % 2 ? keys_deleted : "UNLINK a", " v:%d", 0, 300);
        fill_keys();
        if (i % 4 < 2)
            db_checkpoint(one.db);
        if (i % 4 > 0)
            db_checkpoint(other.db);
        prepare(line);
        type(cases[i].between);
        one.now_ms = other.now_ms += cases[i].passes_ms;
        execute(line, cases[i].holds);
        type("DBSIZE");
        type("SET a again");
        type("SET v:20 again");
        type(line);
        db_checkpoint(one.db);
        type("DBSIZE");
        assert_equal_worlds(line);
    }
}

/* New ones, two twice, one of them where it is, and over what is there: strings and collections,
 * large ones and small. */
static const char keys_put[] =
    "MSET a 1 b 2 small 3 h 4 z 5 x 6 a 7 text 8 b "
    "two-two-two-two-two-two-two-two-two-two-two-two-two-two-two-two-two-two-two-two-two-two";

static void put_keys_are_prepared(void **state)
{
    static const char *const between[] = {"INCR others",  "SET v:20 y",  "DEL a",
                                          "SADD b more",  "SET v:299 y", "RENAME a z",
                                          "EXPIRE v:20 5"};
    (void)state;
    enum { BETWEEN = sizeof between / sizeof between[0] };
    command_machine_prepare_from(one.machine, 1);
    for (size_t i = 0; i < 2 * BETWEEN; i++) {
        const char *line = line_of(keys_put, " v:%d value:%d", 0, 300);
        const char *deletes = line_of("DEL a x small", " v:%d", 100, 400);
        fill_keys();
        if (i % 4 < 2)
            db_checkpoint(one.db);
        if (i % 4 > 0)
            db_checkpoint(other.db);
        check_that(line, between[i % BETWEEN], true);
        type("WATCH v:20 a"); /* which tells versions */
        type("DBSIZE");
        type("GET a");
        if (i >= BETWEEN)
            check_that(line_of("MSET a 1", " v:%d other:%d", 0, 300), "INCR others", true);
        check_that(deletes, "INCR others", true);
        db_checkpoint(one.db);
        type("DBSIZE");
        type("EXISTS a v:1 v:350");
        db_checkpoint(other.db);
        assert_equal_worlds("the end");
    }
    const char *line = line_of("MSET", " v:%d value:%d", 0, 300);
    prepare(line);
    type("SWAPDB 0 1");
    execute(line, false);
    prepare(line);
    type("FLUSHDB");
    execute(line, false);
}

/* Slices that it takes to prepare an MSET of so many keys, the last as often as it is said. */
static unsigned slices_of_puts(unsigned keys, unsigned times, const char *last)
{
    static char names[20000][8];
    static struct bytes argv[2 * 20000 + 1];
    unsigned slices = 1;
    assert_in_range(keys, 1, sizeof names / sizeof names[0]);
    argv[0] = bytes_from_string("MSET");
    for (unsigned i = 0; i < keys; i++) {
        snprintf(names[i], sizeof names[i], "%u", i < keys - times ? i : 0);
        argv[2 * i + 1] = bytes_from_string(names[i]);
        argv[2 * i + 2] = bytes_from_string(i < keys - times ? "x" : last);
    }
    said = argv;
    said_count = 2 * keys + 1;
    while (prepare_slices(words, 1) != PREPARING_ENDED)
        slices++;
    execute(words, true);
    assert_equal_worlds("puts");
    return slices;
}

/* That some came twice costs the entry nothing: they are listed anew before it, some thousands in a
 * slice, where one became another. */
static void keys_that_are_put_twice_are_listed_before(void **state)
{
    enum { KEYS = 20000 };
    char longer[200] = "";
    (void)state;
    memset(longer, 'l', sizeof longer - 1);
    command_machine_prepare_from(one.machine, 1);
    unsigned once = slices_of_puts(KEYS, 1, "x"), in_place = slices_of_puts(KEYS, 9, "y");
    assert_in_range(in_place, once - 1, once);
    assert_int_equal(slices_of_puts(KEYS, 9, longer), once + 1); /* the first with the last */
    said = restore;
    said_count = sizeof restore / sizeof restore[0];
}

static void keys_that_are_put_if_none_is_there(void **state)
{
    static const struct {
        const char *between;
        bool holds;
    } cases[] = {{"INCR others", true},
                 {"SET n:7 x", false},
                 {"DEL n:7", true},
                 {"SADD n:299 x", false},
                 {"DEL n:299", true}};
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *line = line_of("MSETNX", " n:%d value:%d", 0, 300);
        db_checkpoint(i % 2 ? one.db : other.db);
        check_that(line, cases[i].between, cases[i].holds);
        check_that(line, "DEL others", false); /* one is there, where it was done */
        type(line_of("DEL", " n:%d", 0, 300));
        assert_equal_worlds(line);
    }
}

/* Its entry deletes it, and tells that it was over. */
static void a_key_that_is_over_is_not_taken_for_absent(void **state)
{
    (void)state;
    const char *line = line_of("MSETNX", " n:%d value:%d", 0, 300);
    command_machine_prepare_from(one.machine, 1);
    type("SET n:299 x PX 10");
    one.now_ms = other.now_ms += 20;
    (void)prepare_slices(line, PREPARE_CALLS_MAX);
    execute(line, false);
}

/* Nor one that SORT looks at, nor a source. */
static void a_source_that_is_over_is_not_taken_for_absent(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"SET o:7 1 PX 10", "SORT l BY o:* STORE to"},
        {"SET o:7 1 PX 10", "SORT l BY o:*->x STORE to"},
        {"SET o:7 1 PX 10", "SORT l GET o:* STORE to"},
        {"SET over x PX 10", "SUNIONSTORE to a b over"},
        {"SET over x PX 10", "ZUNIONSTORE to 2 z over"},
        {"SET a x PX 10", "SORT a STORE to"},
    };
    fill_more();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        type(cases[i][0]);
        one.now_ms = other.now_ms += 20;
        (void)prepare_slices(cases[i][1], PREPARE_CALLS_MAX);
        execute(cases[i][1], false);
    }
}

static unsigned prepare_counted(const char *line)
{
    unsigned slices = 0;
    assert_true(is_wanted(line));
    while (prepare_slices(line, 1) != PREPARING_ENDED)
        slices++;
    return slices;
}

/* It has the id of its entry, and finds most of what it trims gone; whether its page is full. */
static void an_entry_that_trims_is_prepared(void **state)
{
    enum { LENGTH = 80000, TRIES = 12 };
    static const char *const trims[] = {"MAXLEN 1 *",
                                        "MINID 18446744073709551615 *",
                                        "MAXLEN = 3000 9999999999999-*",
                                        "MAXLEN ~ 700 LIMIT 70077 *",
                                        "NOMKSTREAM MINID ~ 9999999999998 LIMIT 0 *",
                                        "MAXLEN 0 *"};
    enum { TRIMS = sizeof trims / sizeof trims[0] };
    (void)state;
    command_machine_prepare_from(one.machine, 1000);
    for (int i = 0; i < LENGTH; i++)
        type("XADD long * f v");
    type("XGROUP CREATE long g 0");
    type("XREADGROUP GROUP g c COUNT 1000 STREAMS long >");
    for (unsigned i = 0; i < TRIES; i++) {
        char line[128];
        db_checkpoint(i % 2 ? one.db : other.db);
        type("COPY long x REPLACE");
        snprintf(line, sizeof line, "XADD x %s f %.*s", trims[i % TRIMS], (int)(1 + i * 4),
                 "a_value_that_leaves_its_page_more_room_or_less,_and_a_new_one_now_and_then,_as_"
                 "it_is_long");
        unsigned slices = prepare_counted(line);
        if (slices < 3)
            fail_msg("%s is prepared in %u slices", line, slices);
        one.now_ms = other.now_ms += 2;
        if (i == 7 || i == 9)
            type(i == 7 ? "XADD x * f v" : "XDEL x 1-1 1-2");
        execute(line, i != 7);
        for (unsigned j = 0; j < 5 + i % 3; j++)
            type("XADD long * f v");
    }
    type("XADD none MAXLEN 0 * f v");
    type("XINFO STREAM x FULL");
}

/* Where an append may change more than the end, nothing goes before it: then the entry trims in
 * slices, as one that was not prepared. */
static void an_entry_that_trims_all_by_itself_has_slices(void **state)
{
    enum { LENGTH = 12000, LARGE = 3000, TRIES = 120 };
    char value[LARGE + 1], line[LARGE + 64], longer[LARGE + 64];
    unsigned found = 0;
    (void)state;
    memset(value, 'v', LARGE);
    value[LARGE] = '\0';
    snprintf(line, sizeof line, "XADD x MAXLEN 1 * f %s", value);
    snprintf(longer, sizeof longer, "XADD long * f %s", value);
    command_machine_prepare_from(one.machine, 100);
    for (int i = 0; i < LENGTH; i++)
        type("XADD long * f v");
    for (unsigned i = 0; i < TRIES && found < 2; i++) {
        type(longer);
        type("COPY long x REPLACE");
        bool is_ahead = prepare_counted(line) >= 3;
        found += !is_ahead;
        execute(line, is_ahead);
    }
    assert_true(found > 0);
}

/* Of few entries nothing is trimmed ahead, and what the words are is prepared. */
static void an_entry_that_trims_little_is_prepared(void **state)
{
    (void)state;
    static const char *const commands[] = {"XADD x MAXLEN 1 *", "XADD x MINID ~ 7-1 LIMIT 9 *",
                                           "XADD none NOMKSTREAM MAXLEN 1 *"};
    command_machine_prepare_from(one.machine, 1);
    for (int i = 0; i < 1000; i++)
        type("XADD x * f v");
    assert_false(is_wanted("XADD x MAXLEN 990 * f v"));
    assert_false(is_wanted("XADD x * f v g w h u"));
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        check_that(line_of(commands[i], " f:%d %d", 0, 300), "INCR others", i < 2);
}

#define ANOTHER_FUNCTION                                                                           \
    "FUNCTION LOAD REPLACE \"#!lua name=l\\nredis.register_function('f',function(k,a) "            \
    "return 'another' end)\""
static const char *const load_function[] = {
    "FUNCTION LOAD REPLACE \"#!lua name=l\\nredis.register_function('f',function(k,a) "
    "redis.call('incr',k[1]) return {#k,a[#a]} end)\"",
    ANOTHER_FUNCTION};

/* The machine has the keys and arguments of a script before its entry comes. */
static void what_a_script_gets_is_prepared(void **state)
{
    static const struct {
        const char *command, *between;
        bool goes_on, fails;
    } cases[] = {
        {"EVAL \"return {#KEYS,#ARGV,KEYS[7],ARGV[3]}\" 200", "INCR others", false, false},
        {"EVAL \"return {#KEYS,#ARGV,KEYS[7],ARGV[3]}\" 200", "SCRIPT FLUSH", false, false},
        {"EVAL \"return redis.call('incr',KEYS[1])\" 1", "SET k:0 7", false, false},
        {"EVAL \"redis.call('incr',KEYS[1]) return nofunction()\" 1", "INCR others", false, false},
        {"EVAL \"for i=1,9000000 do end return redis.call('incr',KEYS[1])\" 200", NULL, true,
         false},
        {"EVAL \"for i,k in ipairs(KEYS) do redis.call('incr',k) end return 1\" 300", NULL, true,
         false},
        {"EVAL \"return {math.random(),redis.call('time')}\" 0", NULL, false, false},
        {"EVAL \"return +\" 1", "INCR others", false, true},
        {"EVALSHA 0123456789012345678901234567890123456789 1", NULL, false, true},
        {"EVALSHA d864a9d3ed7ff4a5c02d6fc4c5e6c5a5f5ad3fc8 1", NULL, false, true},
        {"FCALL f 200", "INCR others", false, false},
        {"FCALL f 200", load_function[1], false, false},
        {"FCALL f 200", "FUNCTION FLUSH", false, false},
        {"FCALL f 200", NULL, false, true},
    };
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    type(load_function[0]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *line = line_of(cases[i].command, " k:%d", 0, 300);
        db_checkpoint(i % 2 ? one.db : other.db);
        prepare(line);
        one.now_ms = other.now_ms += 2;
        if (cases[i].between)
            type(cases[i].between);
        execute_begun(line, !cases[i].fails, cases[i].goes_on);
        type("EVAL \"return #KEYS\" 1 a"); /* the machine is as it was */
    }
}

/* And one that was loaded may be gone. */
#define SETS "for i=1,3000 do redis.call('set','n:'..i,i) end return redis.call('get','n:7')"
#define MIXED                                                                                      \
    "local c=redis.call for i=1,700 do c('sadd','s1',i) c('hset','h1',i,i*2) c('zadd','z1',i,i) "  \
    "c('rpush','l1',i) c('del','n:'..i) end c('copy','s1','s2','replace') c('del','l1') "          \
    "return {c('scard','s2'),c('hget','h1','5'),c('copy','h','h2','replace'),c('del','h')}"
#define AGAIN                                                                                      \
    "for i=1,900 do redis.call('set','t',i) redis.call('del','t') redis.call('append','u','x') "   \
    "end return {redis.pcall('incr','u')['err'],redis.call('incr','t'),redis.call('strlen','u')}"

static const struct {
    const char *line, *between;
    bool holds;
} script_cases[] = {
    {"EVAL \"" SETS "\" 0", "INCR others", true},
    {"EVAL \"" SETS "\" 0", "SET n:8 other", true}, /* which it puts and does not look at */
    {"EVAL \"" SETS "\" 0", "SET n:7 other", false},
    {"EVAL \"" SETS "\" 0", "SCRIPT FLUSH", true},
    {"EVAL \"" SETS "\" 0", "FLUSHALL", false},
    {"EVAL \"" SETS "\" 0", "SWAPDB 0 1", false},
    {"EVAL \"" MIXED "\" 0", "INCR others", true},
    {"EVAL \"" MIXED "\" 0", "HSET h1 1 other", false},
    {"EVAL \"" MIXED "\" 0", "DEL a", true},
    {"EVAL \"" AGAIN "\" 0", "INCR others", true},
    {"EVAL \"" AGAIN "\" 0", "APPEND u y", false},
    {"EVAL \"for i=1,2000000 do end return math.random(1000)\" 0", "FLUSHDB", false},
    {"EVAL \"for i=1,2000000 do end return math.random(1000)\" 0", "INCR others", true},
    {"EVAL \"redis.setresp(3) return {redis.call('hget','h','none'),{double=0.5}}\" 0",
     "INCR others", true},
    {"EVAL \"local c=redis.call c('copy','bits','b2') c('append','b2','x') c('del','b2') "
     "return c('copy','s','b2','replace')\" 0",
     "INCR others", true},
    {"EVAL \"return redis.call('get',KEYS[1])\" 1 dies", NULL, true},
    {"EVAL \"return redis.call('get',KEYS[1])\" 1 due", NULL, false}, /* it comes */
    {"ONCE c 1 EVAL \"" MIXED "\" 0", "INCR others", true},
    {"ONCE c 1 EVAL \"" MIXED "\" 0", NULL, false}, /* once */
    {"ONCE c 4 EVAL \"" SETS "\" 0", "ONCE d 5 INCR others", true},
    {"EVALSHA SHA 1 k:1", "INCR others", true},
    {"EVALSHA SHA 1 k:1", "INCR k:1", false},
    {"EVALSHA SHA 1 k:1", "SCRIPT FLUSH", false},
    {"FCALL f 1 k:1", "INCR others", true},
    {"FCALL f 1 k:1", "FUNCTION FLUSH", false},
    {"FCALL f 1 k:1", ANOTHER_FUNCTION, false},
    /* What only its entry can do. */
    {"EVAL \"return redis.call('time')\" 0", NULL, false},
    {"EVAL \"redis.call('set','n','v') return redis.call('spop','a')\" 0", NULL, false},
    {"EVAL \"return redis.call('set','n','v','ex',5)\" 0", NULL, false},
    {"EVAL \"redis.call('select',1) return redis.call('set','n','v')\" 0", NULL, false},
    {"EVAL \"redis.call('set','n','w') return redis.call('publish','c','m')\" 0", NULL, false},
    {"EVAL \"redis.call('set','n','x') return redis.call('incr','n')\" 0", NULL, false},
    {"EVAL \"for i=1,3000 do redis.call('set','n:'..i,i) end error('no')\" 0", NULL, false},
    {"EVAL \"return +\" 0", NULL, false},
    {"EVAL \"return redis.call('scard','a')\" 0", NULL, true},
};

/* What EVAL ran is known, if it could be compiled. */
static void assert_same_scripts(const char *line)
{
    char exists[64] = "SCRIPT EXISTS ";
    const char *body = strchr(line, '"');
    if (!body || !strstr(line, "EVAL "))
        return;
    body++;
    script_sha(bytes_of(body, (size_t)(strrchr(body, '"') - body)), exists + strlen(exists));
    struct bytes reply = type(exists);
    bool is_known = bytes_equal(reply, bytes_from_string("*1\r\n:1\r\n"));
    assert_int_equal(is_known, !strstr(line, "return +"));
}

/* What a script does is done before its entry, if it looks at keys that it names alone. */
static void long_scripts_are_run_before(void **state)
{
    char line[1024];
    (void)state;
    command_machine_long_from(one.machine, 0);
    for (size_t i = 0; i < 2 * sizeof script_cases / sizeof script_cases[0]; i++) {
        size_t at = i / 2;
        one.connection.protocol = other.connection.protocol = i % 2 ? 3 : 2;
        if (one.connection.database == 0 && i % 8 == 0) {
            type("FLUSHALL");
            fill();
            fill_more();
        }
        type(load_function[0]);
        type("SET dies x PX 60000");
        type("SET due x PX 2");
        struct bytes sha = type("SCRIPT LOAD \"return redis.call('incr',KEYS[1])\"");
        snprintf(line, sizeof line, "%s", script_cases[at].line);
        if (strncmp(line, "ONCE", 4) == 0)
            line[5] = (char)(i % 2 ? 'b' : 'c');
        if (strncmp(line, "EVALSHA", 7) == 0)
            snprintf(line, sizeof line, "EVALSHA %.40s 1 k:1", (const char *)sha.data + 5);
        db_checkpoint(i % 2 ? one.db : other.db);
        check_that(line, script_cases[at].between, script_cases[at].holds);
        type("DBSIZE");
        assert_same_scripts(line);
        if (script_cases[at].between && strncmp(script_cases[at].between, "SWAPDB", 6) == 0)
            type(script_cases[at].between);
        one.machine->ops->prepare_drop(one.machine);
    }
}

/* On nothing, with a bound of what it may change. */
static bool is_done_within(const char *line, uint64_t most, bool is_prepared)
{
    type("FLUSHALL");
    one.db->changes_max = other.db->changes_max = most;
    if (is_prepared)
        prepare(line);
    uint64_t before = command_machine_prepared(one.machine);
    struct bytes reply = type(line);
    bool is_done = reply.size > 0 && *(const char *)reply.data != '-';
    assert_int_equal(command_machine_prepared(one.machine) - before, is_prepared && is_done);
    assert_equal_worlds(line);
    return is_done;
}

/* The bound of what a script may change is met in its preparation where its entry meets it. */
static void a_script_changes_too_much_in_its_preparation(void **state)
{
    static const char *const bounded[] = {"EVAL \"" SETS "\" 0", "EVAL \"" MIXED "\" 0",
                                          "EVAL \"" AGAIN "\" 0"};
    enum { AROUND = 8 };
    (void)state;
    command_machine_long_from(one.machine, 0);
    for (size_t i = 0; i < sizeof bounded / sizeof bounded[0]; i++) {
        uint64_t too_little = 0, enough = 1 << 20;
        assert_true(is_done_within(bounded[i], enough, true));
        while (enough - too_little > 1) {
            uint64_t most = (too_little + enough) / 2;
            if (is_done_within(bounded[i], most, false))
                enough = most;
            else
                too_little = most;
        }
        assert_true(enough > AROUND);
        for (uint64_t most = enough - AROUND; most < enough + AROUND; most++)
            assert_int_equal(is_done_within(bounded[i], most, true), most >= enough);
    }
}

static void a_script_is_dropped_half_run(void **state)
{
    static const char line[] = "EVAL \"" MIXED "\" 0";
    (void)state;
    fill_more();
    command_machine_long_from(one.machine, 0);
    for (unsigned slices = 1; slices < 16; slices += 2) {
        assert_int_equal(prepare_slices(line, slices), PREPARING_MORE);
        one.machine->ops->prepare_drop(one.machine);
        type("EVAL \"return redis.call('scard','a')\" 0");
        assert_equal_worlds("what was dropped");
    }
    check_that(line, "INCR others", true);
}

/* Nobody knows before how long one takes, but that it was long. */
static void which_scripts_are_run_before(void **state)
{
    static const char line[] = "EVAL \"for i=1,ARGV[1] do redis.call('set',i,i) end\" 0 4000";
    static const char same[] = "EVAL \"for i=1,ARGV[1] do redis.call('set',i,i) end\" 0 5";
    static const char beyond[] = "EVAL \"for i=1,4000 do redis.call('time') end return 1\" 0";
    static const char spins[] = "EVAL \"for i=1,4000000 do end return redis.call('time')\" 0";
    (void)state;
    assert_false(is_wanted(line));
    type(same);
    assert_false(is_wanted(line)); /* it was short */
    type(line);
    assert_true(is_wanted(line) && is_wanted(same));
    assert_false(is_wanted("EVAL \"for i=1,ARGV[1] do redis.call('set',i,1) end\" 0 4000"));
    assert_false(is_wanted("GET \"for i=1,ARGV[1] do redis.call('set',i,i) end\""));
    assert_false(is_wanted(beyond));
    check_that(line, "INCR others", true);
    for (unsigned i = 0; i < 3; i++)
        check_that(same, "INCR others", true);
    assert_true(is_wanted(line));
    check_that(line, "INCR others", true); /* it may be short again */
    for (unsigned i = 0; i < 4; i++)
        check_that(same, "INCR others", true);
    assert_false(is_wanted(line));
    type(spins);
    for (unsigned i = 0; i < 3; i++)
        check_that(spins, NULL, false); /* of no use, and so it stays */
    assert_false(is_wanted(spins));
}

/* A script, in both worlds, that sets so many keys, and then fails if there is another word. */
static const char *script_of(const char *before, const char *body, const char *arguments)
{
    static char texts[4][256];
    static unsigned next;
    char *line = texts[next++ % 4];
    snprintf(line, sizeof texts[0],
             "%sEVAL \"for i=1,ARGV[1] do redis.call('set',i,i) end "
             "if ARGV[2] then error('no') end return '%s'\" 0 %s",
             before, body, arguments);
    return line;
}

static void try_and_drop(const char *line)
{
    assert_int_equal(prepare_slices(line, PREPARE_CALLS_MAX), PREPARING_ENDED);
    one.machine->ops->prepare_drop(one.machine);
}

static void others_fail(void)
{
    for (unsigned i = 0; i < 4; i++)
        try_and_drop(script_of("", "fails", "4000 no"));
}

static void others_are_short(void)
{
    for (unsigned i = 0; i < 4; i++)
        try_and_drop(script_of("", "is short", "5"));
}

/* Until one takes its place. */
static void others_are_noted(void)
{
    char body[16];
    command_machine_long_from(one.machine, 1);
    for (unsigned i = 0; i < 5000 && is_wanted(script_of("", "is forgotten", "4000")); i++) {
        snprintf(body, sizeof body, "%u", i);
        type(script_of("", body, "1"));
    }
}

/* Whether to prepare it is asked some turns before it begins. */
static void a_script_is_long_no_more_when_its_turn_comes(void **state)
{
    static const struct {
        const char *body;
        void (*meanwhile)(void);
    } cases[] = {
        {"fails", others_fail}, {"is short", others_are_short}, {"is forgotten", others_are_noted}};
    static const char *const before[] = {"ONCE b 1 ", "ONCE c 2 ", ""};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *body = cases[i].body;
        type(script_of("", body, "4000"));
        for (size_t j = 0; j < sizeof before / sizeof before[0]; j++)
            assert_true(is_wanted(script_of(before[j], body, "4000")));
        cases[i].meanwhile();
        for (size_t j = 0; j < sizeof before / sizeof before[0]; j++) {
            assert_false(is_wanted(script_of(before[j], body, "4000")));
            assert_int_equal(prepare_slices(script_of(before[j], body, "4000"), 1),
                             PREPARING_ENDED);
        }
        execute(script_of(before[i], body, "4000"), false);
    }
}

/* Others change what it looks at while it is run. */
static enum preparing prepare_as_others_write(const char *line)
{
    enum preparing step = prepare_slices(line, 4); /* it has looked at it by then */
    type("INCR looked-at");
    return step == PREPARING_MORE ? prepare_slices(line, PREPARE_CALLS_MAX) : step;
}

/* It is run in vain; after some times its entry runs it, and it is tried again later. */
static void a_script_is_in_the_way_of_others(void **state)
{
    static const char line[] = "EVAL \"local n=redis.call('get','looked-at') for i=1,4000 do "
                               "redis.call('set',i,i) end return n\" 0";
    (void)state;
    type("INCR looked-at");
    type(line);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(is_wanted(line));
        assert_int_equal(prepare_as_others_write(line), PREPARING_CHANGED);
    }
    check_that(line, "INCR others", true); /* it is of use: nothing is held against it */
    for (unsigned i = 0; i < 3; i++) {
        assert_true(is_wanted(line));
        if (i == 1) /* or they do when it is ready */
            check_that(line, "INCR looked-at", false);
        else
            assert_int_equal(prepare_as_others_write(line), PREPARING_CHANGED);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 16; i++) {
            assert_false(is_wanted(line));
            assert_int_equal(prepare_slices(line, 1), PREPARING_ENDED);
            execute(line, false);
        }
        assert_true(is_wanted(line));
        assert_int_equal(prepare_as_others_write(line), PREPARING_CHANGED);
    }
    for (unsigned i = 0; i < 16; i++)
        type(line);
    check_that(line, "INCR others", true);
    assert_int_equal(prepare_as_others_write(line), PREPARING_CHANGED);
    assert_true(is_wanted(line));
}

/* Of whatever kind: the next may be right. */
static void a_script_that_failed_is_tried_again(void **state)
{
    static const char load[] = "SCRIPT LOAD \"for i=1,ARGV[1] do redis.call('set',i,i) end "
                               "if ARGV[2] then error('no') end return 1\"";
    char line[128], fails[160], wrong[128];
    (void)state;
    struct bytes sha = type(load);
    snprintf(line, sizeof line, "EVALSHA %.40s 0 4000", (const char *)sha.data + 5);
    snprintf(fails, sizeof fails, "%s no", line);
    snprintf(wrong, sizeof wrong, "EVALSHA %.40s 3 4000", (const char *)sha.data + 5);
    type(line);
    type("SCRIPT FLUSH");
    check_that(line, NULL, false); /* NOSCRIPT */
    type(load);
    check_that(line, "INCR others", true);
    for (unsigned i = 0; i < 2; i++) {
        check_that(fails, NULL, false);
        check_that(wrong, NULL, false);
        check_that(line, "INCR others", true);
    }
    for (unsigned i = 0; i < 3; i++)
        check_that(fails, NULL, false);
    for (unsigned i = 0; i < 15; i++) {
        assert_false(is_wanted(line));
        type(line);
    }
    check_that(line, "INCR others", true);
}

static void a_script_is_flushed_in_between(void **state)
{
    (void)state;
    char command[64];
    struct bytes reply = type("SCRIPT LOAD \"return {#KEYS,KEYS[1]}\"");
    snprintf(command, sizeof command, "EVALSHA %.40s 300", (const char *)reply.data + 5);
    command_machine_prepare_from(one.machine, 1);
    check_that(line_of(command, " k:%d", 0, 300), "INCR others", true);
    assert_false(one.connection.out.bytes.data[0] == '-');
    check_that(line_of(command, " k:%d", 0, 300), "SCRIPT FLUSH", true);
    assert_true(one.connection.out.bytes.data[0] == '-');
    type("EVAL \"return {#KEYS,KEYS[1]}\" 0");
    check_that(line_of(command, " k:%d", 0, 300), NULL, true);
}

/* Where its ids end is looked for in slices, too. */
static void very_many_ids_are_claimed(void **state)
{
    enum { IDS = 70000, BEFORE = 5, WORDS = BEFORE + IDS + 1, LOOKS = IDS / 32768 };
    static struct bytes argv[WORDS];
    static const char *const first[] = {"XCLAIM", "x", "group", "other", "0"};
    (void)state;
    fill_for_words();
    for (size_t i = 0; i < WORDS; i++)
        argv[i] = bytes_from_string(i < BEFORE ? first[i] : i % 7 ? "5-1" : "7-1");
    argv[WORDS - 1] = bytes_from_string("NOTHING");
    said = argv;
    said_count = WORDS;
    unsigned pauses = one.pauses;
    struct bytes reply = type(words);
    assert_true(((const char *)reply.data)[0] == '-');
    assert_int_equal(one.pauses - pauses, 2 * LOOKS); /* and to take it apart */
    argv[WORDS - 1] = bytes_from_string("JUSTID");
    check_that(words, "INCR others", true);
}

/* Strings of all forms, and none; what fails for its overflow, and nothing that is written. */
static void bit_fields_are_prepared(void **state)
{
    static const struct {
        const char *command, *format;
        bool fails;
    } cases[] = {
        {"BITFIELD fnew", " SET u8 #%d %d", false},
        {"BITFIELD fnew", " SET u8 #%d %d", false}, /* as it was: nothing is written */
        {"BITFIELD fnew OVERFLOW FAIL", " INCRBY u4 #%d 9", false},
        {"BITFIELD fnew", " GET u16 %d", false},
        {"BITFIELD fnone", " GET u16 %d", false},
        {"BITFIELD flarge SET u8 900000 7", " SET i64 %d%03d 5", false},
        {"BITFIELD flarge", " INCRBY i13 %d%d 5", false},
        {"BITFIELD s OVERFLOW SAT", " INCRBY u8 %d0000 200", false}, /* in pages */
        {"BITFIELD s", " GET u8 %d0001", false},
        {"BITFIELD s SET u8 99999999 1", " INCRBY u8 %d0000 200", false}, /* and longer */
        {"BITFIELD timed", " SET u8 #%d %d", false},
        {"BITFIELD plain", " SET u8 #%d %d", true}, /* which goes into pages */
        {"BITFIELD plain", " INCRBY u8 #%d %d", false},
        {"BITFIELD a", " SET u8 #%d %d", true},
        {"BITFIELD fnew", " SET u8 #%d x", true},
    };
    static char text[100000];
    const struct bytes set[] = {bytes_from_string("SET"), bytes_from_string("plain"),
                                bytes_of(text, sizeof text)};
    (void)state;
    fill_more();
    for (unsigned round = 0; round < 3; round++) {
        type("SET timed xyz PX 100000");
        said = set;
        said_count = sizeof set / sizeof set[0];
        type(words);
        command_machine_prepare_from(one.machine, 1);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            const char *line = line_of(cases[i].command, cases[i].format, 1, 300);
            if ((i + round) % 3 < 2)
                db_checkpoint((i + round) % 3 ? one.db : other.db);
            check_that(line, "INCR others", !cases[i].fails);
        }
        check_that(line_of("BITFIELD fnew", " SET u8 #%d 1", 1, 300), "SETBIT fnew 3 1", false);
        check_that(line_of("BITFIELD s", " SET u8 #%d 1", 1, 300), "SETBIT s 3 1", false);
        check_that(line_of("BITFIELD fno", " SET u8 #%d 1", 1, 300), "SET fno x", false);
        type("GET fnew");
        type("PTTL timed");
        type("GETRANGE flarge 0 -1");
        type("DEL fnew flarge fno s");
        type("SETBIT s 82000000 1");
    }
}

/* A word of more than a megabyte is placed in pages, a key too. */
static void large_keys_are_not_put_by_a_preparation(void **state)
{
    (void)state;
    enum { WORDS = 301, LARGE = (1 << 20) + 1 };
    struct bytes argv[WORDS] = {bytes_from_string("MSET")};
    char *large = memory_new(LARGE);
    command_machine_prepare_from(one.machine, 1);
    said = argv;
    said_count = WORDS;
    for (size_t large_at = 0; large_at <= 2; large_at++) {
        for (size_t i = 1; i < WORDS; i++)
            argv[i] = bytes_from_string("word");
        if (large_at > 0)
            argv[large_at] = bytes_of(large, LARGE);
        assert_int_equal(prepare_slices(words, PREPARE_CALLS_MAX), PREPARING_ENDED);
        execute(words, large_at == 0);
    }
    said = restore;
    said_count = sizeof restore / sizeof restore[0];
    memory_free(large);
}

/* Before the slice that looks at it. */
static void a_deleted_key_changes_before_it_is_looked_at(void **state)
{
    (void)state;
    const char *line = line_of("DEL", " v:%d", 0, 900);
    command_machine_prepare_from(one.machine, 1);
    for (unsigned slices = 1; slices < 5; slices++) {
        fill_keys();
        assert_true(is_wanted(line));
        assert_int_equal(prepare_slices(line, slices), PREPARING_MORE);
        type("SET v:880 y");
        (void)prepare_slices(line, PREPARE_CALLS_MAX);
        execute(line, false);
    }
}

/* Its changes need a layer, which there may be no room for; what is stored makes some. */
static void deleted_keys_need_a_layer(void **state)
{
    (void)state;
    struct db_view *views[LAYERS_MAX];
    const char *line = line_of("DEL", " v:%d", 0, 300);
    command_machine_prepare_from(one.machine, 1);
    for (unsigned round = 0; round < 2; round++) {
        unsigned count = 0;
        bool has_room = round > 0;
        fill_keys();
        db_checkpoint(one.db);
        prepare(line);
        if (!has_room)
            layers_forget_stored(one.db);
        while (one.db->count < LAYERS_MAX - 1) {
            type("INCR others");
            views[count++] = db_view_new(one.db);
            assert_non_null(views[count - 1]);
        }
        type("INCR others");
        uint64_t prepared = command_machine_prepared(one.machine);
        type(line);
        uint64_t used = command_machine_prepared(one.machine) - prepared;
        while (count > 0)
            db_view_release(views[--count]);
        assert_int_equal(used, has_room);
        assert_equal_worlds(line);
    }
}

static void few_words_are_not_prepared(void **state)
{
    (void)state;
    assert_false(is_wanted(line_of("SADD s", " %d", 0, 900))); /* as many as are quick */
    command_machine_prepare_from(one.machine, 1);
    assert_false(is_wanted(line_of("SADD s", " %d", 0, 200)));
    assert_true(is_wanted(line_of("SADD s", " %d", 0, 300)));
    assert_false(is_wanted(line_of("MSETEX 300", " %d %d", 0, 300)));
    assert_false(is_wanted(line_of("SMISMEMBER s", " %d", 0, 300)));
}

/* ---- many sources ------------------------------------------------------------------------- */

/* Sets, some with much the same members, one that ends, sorted sets, strings, HyperLogLogs; and
 * most of them are not there. */
static void fill_sources(void)
{
    type("FLUSHALL");
    fill();
    for (int i = 0; i < 45; i += 3) {
        char line[128];
        snprintf(line, sizeof line, "SADD s:%d all x:%d y:%d %d", i, i, i / 7, i);
        type(line);
        snprintf(line, sizeof line, "ZADD z:%d %d all %d.5 x:%d 1 y:%d", i, i, i, i, i / 7);
        type(line);
        snprintf(line, sizeof line, "SETRANGE b:%d %d x:%d", i, i, i);
        type(line);
        snprintf(line, sizeof line, "PFADD p:%d all x:%d y:%d", i, i, i / 7);
        type(line);
    }
    add("PFADD p:1", " %d", 0, MEMBERS); /* dense */
    type("SETRANGE large 70000 abcdef");
    type("SADD single all x");
    type("ZADD zsingle 5 all 6 x");
    type("PEXPIRE s:6 50000");
}

static const struct {
    const char *command, *format;
    bool fails;
} of_sources[] = {
    {"SUNIONSTORE to", " s:%d", false},
    {"SUNIONSTORE s:6 a", " s:%d", false},
    {"SINTERSTORE to single", " single", false},
    {"SINTERSTORE to single", " s:%d", false}, /* nothing is in all */
    {"SDIFFSTORE to a", " s:%d", false},
    {"SDIFFSTORE to none", " s:%d", false},
    {"ZUNIONSTORE to 300", " z:%d", false},
    {"ZUNIONSTORE to 300", " s:%d", false},
    {"ZINTERSTORE z:3 301 zsingle", " zsingle", false},
    {"ZDIFFSTORE to 301 zsingle", " s:%d", false},
    {"BITOP OR to", " b:%d", false},
    {"BITOP AND to", " b:%d", false},
    {"BITOP XOR to large", " b:%d", false}, /* it is put in pages */
    {"BITOP XOR b:3 none", " none:%d", false},
    {"PFMERGE p:1", " p:%d", false},
    {"PFMERGE p:0", " none:%d", false},
    {"PFMERGE new", " p:%d", false},
    {"PFMERGE new", " none:%d", false},
    {"SUNIONSTORE to b:0", " s:%d", true},
    {"ZUNIONSTORE to 301 b:0", " s:%d", true},
    {"BITOP OR to a", " b:%d", true},
    {"PFMERGE a", " p:%d", true},
    {"PFMERGE new b:0", " p:%d", true},
};
enum { OF_SOURCES = sizeof of_sources / sizeof of_sources[0] };

static const char *sources_line(size_t i)
{
    return line_of(of_sources[i].command, of_sources[i].format, 0, 300);
}

static void many_sources_are_prepared(void **state)
{
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    for (unsigned round = 0; round < 3; round++) {
        fill_sources();
        for (size_t i = 0; i < OF_SOURCES; i++) {
            if ((i + round) % 3 < 2)
                db_checkpoint((i + round) % 3 ? one.db : other.db);
            check_that(sources_line(i), "INCR others", !of_sources[i].fails);
        }
    }
}

static void one_of_many_sources_changes_in_between(void **state)
{
    static const struct {
        const char *between;
        int64_t passes_ms;
        bool holds;
    } cases[] = {
        {"INCR others", 0, true},
        {"SADD s:9 x", 0, false},
        {"ZADD z:9 7 x", 0, false},
        {"SETRANGE b:9 7 y", 0, false},
        {"PFADD p:9 z", 0, false},
        {"SADD s:9 all", 0, true},                      /* which is there */
        {"MSET s:10 x z:10 x b:10 x p:10 x", 0, false}, /* which were not */
        {"DEL s:9 z:9 b:9 p:9", 0, false},
        {"DEL s:10 z:10 b:10 p:10", 0, true},
        {"SET to x", 0, true}, /* what is there does not matter */
        {"EXPIRE s:9 7", 0, false},
        {"SWAPDB 1 2", 0, true},
        {"SWAPDB 1 0", 0, false},
        {"FLUSHALL", 0, false},
        {"INCR others", 49999, true},
        {"INCR others", 50000, false},
    };
    static const struct {
        const char *command, *format;
        char kind; /* of its sources: s, z, b, p */
    } lines_of[] = {{"SUNIONSTORE to", " s:%d", 's'},     {"ZUNIONSTORE to 300", " z:%d", 'z'},
                    {"BITOP OR to", " b:%d", 'b'},        {"PFMERGE p:3", " p:%d", 'p'},
                    {"ZINTERSTORE to 300", " s:%d", 's'}, {"SDIFFSTORE to a", " s:%d", 's'}};
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    for (size_t i = 0; i < sizeof lines_of / sizeof lines_of[0]; i++) {
        char kind = lines_of[i].kind;
        const char *line = line_of(lines_of[i].command, lines_of[i].format, 0, 300);
        for (size_t j = 0; j < sizeof cases / sizeof cases[0]; j++) {
            const char *between = cases[j].between;
            char name[8];
            snprintf(name, sizeof name, "%c:", kind);
            bool is_of_all = strstr(between, "SWAPDB") || strstr(between, "FLUSHALL");
            bool is_met =
                strstr(between, name) || is_of_all || (kind == 's' && cases[j].passes_ms > 0);
            fill_sources();
            prepare(line);
            type(between);
            one.now_ms = other.now_ms += cases[j].passes_ms;
            execute(line, cases[j].holds || !is_met);
        }
    }
}

/* Before the slice that looks at it, and behind it. */
static void one_of_many_sources_changes_meanwhile(void **state)
{
    (void)state;
    static const char *const commands[][2] = {
        {"SUNIONSTORE to", " s:%d"}, {"BITOP OR to", " b:%d"}, {"PFMERGE to", " p:%d"}};
    static const char *const between[] = {"MSET s:890 x b:890 x p:890 x", "DEL s:0 b:0 p:0"};
    command_machine_prepare_from(one.machine, 1);
    for (size_t i = 0; i < 6; i++) {
        const char *line = line_of(commands[i / 2][0], commands[i / 2][1], 0, 900);
        fill_sources();
        assert_int_equal(prepare_slices(line, 2), PREPARING_MORE);
        type(between[i % 2]);
        (void)prepare_slices(line, PREPARE_CALLS_MAX);
        execute(line, false);
    }
}

static void one_of_many_sources_is_over(void **state)
{
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    fill_sources();
    type("SET s:10 x PX 10");
    one.now_ms = other.now_ms += 20;
    const char *line = line_of("SUNIONSTORE to", " s:%d", 0, 300);
    (void)prepare_slices(line, PREPARE_CALLS_MAX);
    execute(line, false);
}

/* How long a look at each takes counts, and of very many nobody looks before. */
static void many_sources_take_long(void **state)
{
    (void)state;
    fill_sources();
    assert_false(is_wanted(line_of("SUNIONSTORE to", " none:%d", 0, 70)));
    assert_false(is_wanted(line_of("BITOP OR to", " none:%d", 0, 400)));
    assert_true(is_wanted(line_of("BITOP OR to", " none:%d", 0, 501)));
    assert_true(is_wanted(line_of("SUNIONSTORE to a", " none:%d", 0, 70)));
    assert_true(is_wanted(line_of("ZINTERSTORE to 1100", " none:%d", 0, 1100)));
    command_machine_prepare_from(one.machine, 10000);
    assert_false(is_wanted(line_of("SUNIONSTORE to", " none:%d", 0, 1000)));
    assert_true(is_wanted(line_of("SUNIONSTORE to", " none:%d", 0, 1100)));
    assert_false(is_wanted(line_of("PFMERGE to", " none:%d", 0, 400)));
    assert_true(is_wanted(line_of("PFMERGE to", " none:%d", 0, 600)));
}

/* Nothing of its value is another one, but it is in pages now, which the deleted key's entry has to
 * end. */
static void a_key_that_moves_into_pages_is_heard(void **state)
{
    (void)state;
    static char value[100000];
    const struct bytes put[] = {bytes_from_string("SET"), bytes_from_string("v:20"),
                                bytes_of(value, sizeof value)};
    command_machine_prepare_from(one.machine, 1);
    type("FLUSHALL");
    world_run(&one, put, 3); /* a line is shorter */
    world_run(&other, put, 3);
    check_that(line_of("DEL v:20", " v:%d", 30, 300), "BITFIELD v:20 INCRBY u8 0 0", false);
    assert_equal_worlds("the end");
}

/* A HyperLogLog that is damaged behind its 16,369th register: what fits in is added, and the rest
 * refused, a slice later. */
static void a_key_that_is_changed_and_refused_is_heard(void **state)
{
    (void)state;
    enum { COVERED = 16369, FITTING = 299 };
    static const unsigned bits[] = {39, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139};
    struct buffer line = {0};
    char word[64];
    int fitting = 0, refused = 0;
    command_machine_prepare_from(one.machine, 1);
    fill_sources();
    type("SETRANGE b:10 0 HYLL");
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        snprintf(word, sizeof word, "SETBIT b:10 %u 1", bits[i]);
        type(word);
    }
    buffer_printf(&line, "PFADD b:10");
    for (int i = 0; fitting < FITTING || refused == 0; i++) {
        unsigned number;
        int length = snprintf(word, sizeof word, "%d", i);
        (void)hyperloglog_register_of(bytes_of(word, (size_t)length), &number);
        if (number < COVERED ? fitting == FITTING : fitting < FITTING)
            continue;
        buffer_printf(&line, " %s", word);
        fitting += number < COVERED;
        refused += number >= COVERED;
    }
    buffer_append(&line, "", 1);
    check_that(line_of("BITOP OR to", " b:%d", 0, 300), (const char *)line.data, false);
    buffer_deinit(&line);
}

/* ---- transactions, and what ONCE carries ---------------------------------------------------- */

/* Lines, each of which is queued in both worlds. */
static void queue(const char *text)
{
    type("MULTI");
    while (*text) {
        size_t size = strcspn(text, "\n");
        char line[1024];
        snprintf(line, sizeof line, "%.*s", (int)size, text);
        assert_true(bytes_equal(type(line), bytes_from_string("+QUEUED\r\n")));
        text += text[size] ? size + 1 : size;
    }
}

/* As another client: this one's transaction stays open. */
static void type_aside(const char *line)
{
    struct transaction kept = one.connection.transaction, kept_there = other.connection.transaction;
    one.connection.transaction = other.connection.transaction = (struct transaction){0};
    type(line);
    one.connection.transaction = kept;
    other.connection.transaction = kept_there;
}

static void check_transaction(const char *text, const char *exec, const char *between, bool holds)
{
    queue(text);
    prepare(exec);
    type_aside(between);
    execute(exec, holds);
}

static const char *const transactions[] = {
    "SET n1 x\nSET n2 y\nGET n1\nDEL n1\nINCR n3\nINCR n3\nGET n2\nGET none\nPING",
    "SUNIONSTORE to a b\nSCARD to\nSADD to more\nDEL to",
    "SUNIONSTORE to a b\nCOPY to to2\nSREM to a:1 a:2\nSINTERSTORE a to to2\nLPOP l\nLTRIM l 5 -5",
    "COPY h hcopy\nHSET hcopy f:1 other\nHGET hcopy f:1\nHDEL hcopy f:2\nCOPY hcopy h REPLACE",
    "ZUNIONSTORE zto 2 z y\nZADD zto 5 a:1\nZINCRBY zto 1.5 a:2\nZSCORE zto a:2\nCOPY zto zto2",
    "ZREMRANGEBYRANK zto 0 9\nSDIFFSTORE a b small\nZRANGESTORE zto zto 5 -5\nZADD z 1 more",
    "BITOP NOT to s\nSTRLEN to\nAPPEND bits xyz\nCOPY s s2\nSET s small\nGET s2",
    "APPEND s xyz\nSTRLEN s\nAPPEND bits q\nCOPY bits bits2\nDEL s\nAPPEND s again",
    "SADD l x\nINCR a\nSET n1 y\nHGET h f:1\nHGET h none",
    "MSET a 1 b 2 small 3\nDEL a z none\nMSETNX n8 1 n9 2\nMSETNX n8 3 n7 4\nGET b\nSADD a x",
    "INCR due\nCOPY due due2\nCOPY timed timed2\nHSET timed f:1 new\nPFADD pf x y z",
    "RPUSH l a b c\nLREM l 1 b\nLINSERT l AFTER a q\nLPOP l\nCOPY l lto\nDEL l\nRPUSH l z",
};

static void transactions_are_prepared(void **state)
{
    unsigned request = 1;
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    for (unsigned round = 0; round < 4; round++) { /* both protocols, alone and in ONCE */
        one.connection.protocol = other.connection.protocol = round % 2 ? 3 : 2;
        type("FLUSHALL");
        fill();
        fill_more();
        fill_for_words();
        type("SET due 5");
        type("PEXPIRE due 50000");
        for (size_t i = 0; i < sizeof transactions / sizeof transactions[0]; i++) {
            char once[64];
            snprintf(once, sizeof once, "ONCE client %u EXEC", request++);
            if ((i + round) % 4 < 2)
                db_checkpoint(one.db);
            if ((i + round) % 4 > 0)
                db_checkpoint(other.db);
            check_transaction(transactions[i], round % 4 < 2 ? "EXEC" : once, "INCR others", true);
            type("WATCH n1 a to"); /* which tells versions */
            type("UNWATCH");
            type("DBSIZE");
        }
        if (round % 2)
            db_checkpoint(one.db);
        type("DBSIZE");
        type("SMEMBERS to2");
        one.now_ms = other.now_ms += 100000;
        type("HLEN timed2");
        type("EXISTS due due2");
        type("DBSIZE");
        assert_equal_worlds("the end");
    }
}

/* Its row is in the layer that the entry takes. */
static void a_deadline_that_was_copied_comes(void **state)
{
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    type("SET due 5 PX 50000");
    check_transaction("COPY due due2\nSET n x", "EXEC", "INCR others", true);
    assert_int_equal(db_due_ms(one.db), db_due_ms(other.db));
    type("PERSIST due");
    one.now_ms = other.now_ms += 60000;
    type("DBSIZE");
    assert_int_equal(db_due_ms(one.db), db_due_ms(other.db));
    assert_equal_worlds("the end");
}

static void what_a_transaction_looks_at_changes(void **state)
{
    static const char lines_of_it[] = "SUNIONSTORE to a b\nSET blind x\nGET looked\nDEL none v:7\n"
                                      "MSET blind2 y small 1\nSTRLEN soon\nSADD own x";
    static const struct {
        const char *between;
        int64_t passes_ms;
        bool holds;
    } cases[] = {
        {"INCR others", 0, true},      {"SET blind y", 0, true},   {"SET looked y", 0, false},
        {"SET none x", 0, false},      {"DEL v:7", 0, false},      {"SADD a q", 0, false},
        {"SREM b q", 0, true}, /* which does nothing */
        {"SET to x", 0, false},        {"SADD own x", 0, false},   {"SADD small q", 0, true},
        {"SWAPDB 1 2", 0, true},       {"SWAPDB 0 1", 0, false},   {"FLUSHALL", 0, false},
        {"INCR others", 700, true},    {"PERSIST soon", 0, false}, {"INCR others", 1000, false},
        {"RENAME b looked", 0, false},
    };
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        type("FLUSHALL");
        fill();
        type("SET v:7 x");
        type("SET soon x PX 1000");
        db_checkpoint(i % 2 ? one.db : other.db);
        queue(lines_of_it);
        prepare("EXEC");
        type_aside(cases[i].between);
        one.now_ms = other.now_ms += cases[i].passes_ms;
        execute("EXEC", cases[i].holds);
        type("DBSIZE");
        db_checkpoint(one.db);
        type("DBSIZE");
        assert_equal_worlds(cases[i].between);
    }
}

/* As SET puts one of that size; a part of it is not written, since that goes into pages. */
static void put_plain(const char *key)
{
    char line[64];
    uint8_t meaning = one.meaning;
    one.meaning = other.meaning = COMMAND_MEANING_PAGES - 1;
    snprintf(line, sizeof line, "SETRANGE %s 70000 x", key);
    type(line);
    one.meaning = other.meaning = meaning;
}

static void watched_keys_are_looked_at(void **state)
{
    static const char carried[] = "SUNIONSTORE to b small\nSET n x";
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    type("WATCH a none");
    check_transaction(carried, "EXEC", "INCR others", true);
    type("WATCH a none");
    check_transaction(carried, "EXEC", "SADD a more", false);
    type("WATCH a none");
    check_transaction(carried, "ONCE client 1 EXEC", "SET none x", false);
    type("WATCH a");
    type_aside("SADD a other");
    queue(carried);
    assert_int_equal(prepare_slices("EXEC", PREPARE_CALLS_MAX), PREPARING_ENDED);
    execute("EXEC", false);
    type("SELECT 1");
    type("WATCH a");
    type("SELECT 0");
    queue(carried);
    assert_int_equal(prepare_slices("EXEC", PREPARE_CALLS_MAX), PREPARING_ENDED);
    execute("EXEC", false);
}

/* What groups have of it changes its version, and nobody hears. */
static void a_stream_is_watched(void **state)
{
    static const char *const between[] = {"XREADGROUP GROUP g c STREAMS st >", "XACK st g 1-0",
                                          "XCLAIM st g c 0 2-0"};
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    for (size_t i = 0; i < sizeof between / sizeof between[0]; i++) {
        type("DEL st");
        type("XADD st 1-0 f v");
        type("XADD st 2-0 f v");
        type("XGROUP CREATE st g 0");
        type("XREADGROUP GROUP g c COUNT 1 STREAMS st >");
        type("XREADGROUP GROUP g other COUNT 1 STREAMS st >");
        type("XADD st 3-0 f v");
        type("WATCH st");
        queue("SUNIONSTORE to a b\nSET n x");
        (void)prepare_slices("EXEC", PREPARE_CALLS_MAX);
        type_aside(between[i]);
        execute("EXEC", false);
    }
}

/* A BITFIELD that sets nothing moves it, and nobody hears. */
static void a_string_goes_into_pages_unheard(void **state)
{
    static const char moves[] = "BITFIELD plain SET u8 0 0";
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    for (unsigned i = 0; i < 3; i++) {
        type("SET plain x");
        type("DEL plain");
        put_plain("plain");
        if (i == 0)
            type("WATCH plain");
        queue(i == 1 ? "COPY plain to REPLACE\nSUNIONSTORE to2 a b" : "SUNIONSTORE to a b");
        const char *line = i == 2 ? line_of("DEL plain", " k%d", 0, 300) : "EXEC";
        if (i == 2)
            type("DISCARD");
        (void)prepare_slices(line, PREPARE_CALLS_MAX);
        type_aside(moves);
        execute(line, false);
    }
}

/* More than are looked at in one slice, before the first is executed; the last of them changes what
 * the first put. */
static void very_many_short_commands_are_prepared(void **state)
{
    enum { COMMANDS = 40000 };
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        type("MULTI");
        for (int i = 0; i < COMMANDS; i++) {
            char line[64];
            snprintf(line, sizeof line, "SET m:%d v", i);
            assert_true(bytes_equal(type(line), bytes_from_string("+QUEUED\r\n")));
        }
        if (round == 1)
            type("INCR m:7");
        else if (round == 2)
            type("SET m:7 again");
        prepare("EXEC");
        type_aside("INCR others");
        execute("EXEC", true);
        type("WATCH m:0 m:1 m:7 m:39999");
        struct buffer *mine = &one.connection.transaction.watches;
        assert_true(
            bytes_equal(buffer_bytes(mine), buffer_bytes(&other.connection.transaction.watches)));
        type("UNWATCH");
        type("DBSIZE");
    }
}

/* The entry renumbers each, in one turn. */
static void very_many_new_spaces_are_not_prepared(void **state)
{
    enum { FEW = 4000, MANY = 4200 };
    (void)state;
    for (int count = FEW; count <= MANY; count += MANY - FEW) {
        type("MULTI");
        for (int i = 0; i < count; i++) {
            char line[128];
            snprintf(line, sizeof line, "HSET n:%d:%d f %065d", count, i, i);
            assert_true(bytes_equal(type(line), bytes_from_string("+QUEUED\r\n")));
        }
        assert_int_equal(prepare_slices("EXEC", PREPARE_CALLS_MAX), PREPARING_ENDED);
        execute("EXEC", count == FEW);
    }
}

/* Its time, its seed, another database, and what is not known to look at its keys alone. */
static void what_carries_something_else_is_not_prepared(void **state)
{
    static const char *const lines_of_it[] = {"SET n x EX 5",
                                              "EXPIRE a 5",
                                              "SPOP a",
                                              "SELECT 1\nSET n x",
                                              "COPY a n DB 1",
                                              "XADD s * f v",
                                              "SORT l STORE to",
                                              "EVAL return 0",
                                              "MOVE a 1",
                                              "SCAN 0",
                                              "SRANDMEMBER a",
                                              "SWAPDB 0 1",
                                              "FLUSHALL",
                                              "HEXPIRE h 5 FIELDS 1 f:1",
                                              "LPOP l 3",
                                              "RPOP l 1",
                                              "SPOP a 2",
                                              "ZPOPMIN z 2",
                                              "HGETDEL h FIELDS 1 f:1",
                                              "HGETEX h EX 5 FIELDS 1 f:1"};
    (void)state;
    fill_more();
    fill_for_words();
    command_machine_prepare_from(one.machine, 1);
    for (size_t i = 0; i < sizeof lines_of_it / sizeof lines_of_it[0]; i++) {
        char text[128];
        bool is_script = !strncmp(lines_of_it[i], "EVAL", 4);
        snprintf(text, sizeof text, "SET n before\n%s%s\nSET n behind", lines_of_it[i],
                 is_script ? " 0" : "");
        if (is_script)
            snprintf(text, sizeof text, "SET n before\nEVAL \"return 0\" 0\nSET n behind");
        queue(text);
        assert_int_equal(prepare_slices("EXEC", PREPARE_CALLS_MAX), PREPARING_ENDED);
        execute("EXEC", false);
        type("SELECT 0");
    }
}

static void another_protocol_is_another_reply(void **state)
{
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    queue("SUNIONSTORE to a b\nGET none");
    prepare("EXEC");
    one.connection.protocol = other.connection.protocol = 3;
    execute("EXEC", false);
}

/* ONCE's own record says that it was done, or came too late. */
static void check_not_carried(const char *line)
{
    if (is_wanted(line)) /* by what its keys are now */
        prepare(line);
    execute(line, false);
}

static void what_once_carries_is_prepared(void **state)
{
    static const char *const carried[] = {"SUNIONSTORE to a b", "LTRIM l 50 -50",
                                          "COPY h to REPLACE",  "ZREMRANGEBYRANK z 5 -5",
                                          "BITOP NOT to s",     "ZUNIONSTORE z 2 z y"};
    unsigned request = 0;
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    for (unsigned round = 0; round < 4; round++) {
        type("FLUSHALL");
        fill();
        fill_more();
        for (size_t i = 0; i < sizeof carried / sizeof carried[0]; i++) {
            char line[128];
            snprintf(line, sizeof line, "ONCE client %u %s", ++request, carried[i]);
            db_checkpoint((i + round) % 2 ? one.db : other.db);
            check_that(line, "ONCE other 1 INCR others", true);
            check_not_carried(line);
            snprintf(line, sizeof line, "ONCE client %u %s", request - 1, carried[i]);
            check_not_carried(line);
        }
        static const char *const of_keys[] = {"MSET", "DEL", "MSETNX", "SADD words"};
        for (size_t i = 0; i < sizeof of_keys / sizeof of_keys[0]; i++) {
            char begin[64];
            snprintf(begin, sizeof begin, "ONCE client %u %s", ++request, of_keys[i]);
            const char *line = line_of(begin, " n:%d n:%d", 0, 300);
            check_that(line, "INCR others", true);
            check_not_carried(line);
            type("DBSIZE");
        }
        one.now_ms = other.now_ms += ONCE_RECEIPT_MS / 2; /* clients are forgotten on the way */
    }
}

/* The same client's later request comes before what was prepared. */
static void what_once_carries_may_be_too_late(void **state)
{
    (void)state;
    command_machine_prepare_from(one.machine, 1);
    check_that("ONCE client 5 SUNIONSTORE to a b", "ONCE client 6 INCR others", false);
    check_that(line_of("ONCE client 7 MSET", " n:%d n:%d", 0, 300), "ONCE client 7 INCR n:1",
               false);
    type("GET n:1");
    check_that("ONCE client 8 SUNIONSTORE to a b", "ONCE client 7 INCR n:1", true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static int run_scripts(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_script_gets_is_prepared),
        TEST(long_scripts_are_run_before),
        TEST(a_script_changes_too_much_in_its_preparation),
        TEST(a_script_is_dropped_half_run),
        TEST(which_scripts_are_run_before),
        TEST(a_script_is_long_no_more_when_its_turn_comes),
        TEST(a_script_is_in_the_way_of_others),
        TEST(a_script_that_failed_is_tried_again),
        TEST(a_script_is_flushed_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    int of_scripts = run_scripts();
    const struct CMUnitTest tests[] = {
        TEST(what_is_prepared_is_what_the_entry_makes),
        TEST(restored_values_are_prepared),
        TEST(what_changes_in_between_is_not_used),
        TEST(what_elements_name_is_looked_at),
        TEST(what_changes_before_it_is_looked_at_counts),
        TEST(nothing_is_prepared_before_the_first_entry),
        TEST(what_was_there_before_does_not_count),
        TEST(equal_versions_are_told_apart),
        TEST(what_expires_in_between_is_not_used),
        TEST(the_destination_is_that_of_the_entry),
        TEST(another_command_is_not_what_was_prepared),
        TEST(what_is_not_prepared),
        TEST(what_may_be_prepared_waits_for_an_entry),
        TEST(what_fails_is_not_used),
        TEST(it_ends_where_an_entry_changes_its_sources),
        TEST(what_is_dropped_leaves_nothing),
        TEST(writes_of_many_words_are_prepared),
        TEST(what_words_change_changes_in_between),
        TEST(what_is_refused_is_not_prepared),
        TEST(a_given_deadline_comes_in_between),
        TEST(once_carries_what_does_not_depend_on_its_entry),
        TEST(what_is_proposed_says_when),
        TEST(what_is_pending_gets_idle_in_between),
        TEST(groups_and_consumers_are_taken_away),
        TEST(what_takes_little_away_is_not_prepared),
        TEST(once_takes_a_group_away),
        TEST(another_seed_or_protocol_is_not_what_was_prepared),
        TEST(fields_end_in_between),
        TEST(deleted_keys_are_prepared),
        TEST(put_keys_are_prepared),
        TEST(keys_that_are_put_twice_are_listed_before),
        TEST(keys_that_are_put_if_none_is_there),
        TEST(a_key_that_is_over_is_not_taken_for_absent),
        TEST(a_source_that_is_over_is_not_taken_for_absent),
        TEST(an_entry_that_trims_is_prepared),
        TEST(an_entry_that_trims_all_by_itself_has_slices),
        TEST(an_entry_that_trims_little_is_prepared),
        TEST(very_many_ids_are_claimed),
        TEST(bit_fields_are_prepared),
        TEST(large_keys_are_not_put_by_a_preparation),
        TEST(a_deleted_key_changes_before_it_is_looked_at),
        TEST(deleted_keys_need_a_layer),
        TEST(few_words_are_not_prepared),
        TEST(a_key_that_moves_into_pages_is_heard),
        TEST(a_key_that_is_changed_and_refused_is_heard),
        TEST(many_sources_are_prepared),
        TEST(one_of_many_sources_changes_in_between),
        TEST(one_of_many_sources_changes_meanwhile),
        TEST(one_of_many_sources_is_over),
        TEST(many_sources_take_long),
        TEST(transactions_are_prepared),
        TEST(a_deadline_that_was_copied_comes),
        TEST(what_a_transaction_looks_at_changes),
        TEST(watched_keys_are_looked_at),
        TEST(a_stream_is_watched),
        TEST(a_string_goes_into_pages_unheard),
        TEST(very_many_short_commands_are_prepared),
        TEST(very_many_new_spaces_are_not_prepared),
        TEST(what_carries_something_else_is_not_prepared),
        TEST(another_protocol_is_another_reply),
        TEST(what_once_carries_is_prepared),
        TEST(what_once_carries_may_be_too_late),
    };
    return of_scripts + cmocka_run_group_tests(tests, NULL, NULL);
}
