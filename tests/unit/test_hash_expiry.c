/* Deadlines of the fields of hashes: replies in both protocols and both forms, effects, ticks in
 * bounded work, what an old hash becomes, and random steps against a plain array, with time moving,
 * checkpoints, long reads, copies and new names. */
#include "test_command.h"

#include "base/fatal.h"
#include "data/packed.h"

#define INVALID(name) "-ERR invalid expire time in '" name "' command\r\n"
#define ONLY_ONE(last)                                                                             \
    "-ERR Only one of EX, PX, EXAT, PXAT or " last " arguments can be specified\r\n"
#define NO_FIELDS "-ERR Mandatory argument FIELDS is missing or not at the right position\r\n"
#define NO_MATCH "-ERR The `numfields` parameter must match the number of arguments\r\n"
#define NO_NUMBER "-ERR Number of fields must be a positive integer\r\n"
#define ONE(n) "*1\r\n:" #n "\r\n"
#define TWO(a, b) "*2\r\n:" #a "\r\n:" #b "\r\n"
#define THREE(a, b, c) "*3\r\n:" #a "\r\n:" #b "\r\n:" #c "\r\n"
#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

/* The examples of Redis's documentation, command by command. */
static const struct typed examples[] = {
    {"HEXPIRE no-key 20 NX FIELDS 2 field1 field2", TWO(-2, -2), NULL},
    {"HSET mykey field1 hello field2 world", ":2\r\n", NULL},
    {"HEXPIRE mykey 10 FIELDS 3 field1 field2 field3", THREE(1, 1, -2), NULL},
    {"HTTL mykey FIELDS 3 field1 field2 field3", THREE(10, 10, -2), NULL},
    {"10000", NULL, NULL},
    {"HGETALL mykey", "*0\r\n", "%0\r\n"},
    {"HSET mykey field1 hello field2 world", ":2\r\n", NULL},
    {"HPEXPIRE mykey 2000 FIELDS 2 field1 field2", TWO(1, 1), NULL},
    {"HPTTL mykey FIELDS 2 field1 field2", TWO(2000, 2000), NULL},
    {"HPEXPIREAT mykey 1700000315000 FIELDS 2 field1 field2", TWO(1, 1), NULL},
    {"HPEXPIRETIME mykey FIELDS 2 field1 field2", TWO(1700000315000, 1700000315000), NULL},
    {"HEXPIREAT mykey 1700000317 FIELDS 2 field1 field2", TWO(1, 1), NULL},
    {"HEXPIRETIME mykey FIELDS 2 field1 field2", TWO(1700000317, 1700000317), NULL},
    {"HPERSIST mykey FIELDS 1 field2", ONE(1), NULL},
    {"HPERSIST mykey FIELDS 2 field2 none", TWO(-1, -2), NULL},
    {"HPERSIST none FIELDS 1 field", ONE(-2), NULL},
    {"HTTL none FIELDS 1 field", ONE(-2), NULL},
    {"HTTL mykey FIELDS 2 field2 none", TWO(-1, -2), NULL},
    {"DEL mykey", ":1\r\n", NULL},
    {"HSETEX mykey EX 60 FIELDS 2 field1 Hello field2 World", ":1\r\n", NULL},
    {"HTTL mykey FIELDS 2 field1 field2", TWO(60, 60), NULL},
    {"HSETEX mykey FNX EX 60 FIELDS 2 field1 Hello field2 World", ":0\r\n", NULL},
    {"HSETEX mykey FXX EX 60 KEEPTTL FIELDS 2 field1 a field2 b", ONLY_ONE("KEEPTTL"), NULL},
    {"HSETEX mykey FXX KEEPTTL FIELDS 2 field1 hello field2 world", ":1\r\n", NULL},
    {"HGET mykey field1", "$5\r\nhello\r\n", NULL},
    {"HTTL mykey FIELDS 2 field1 field2", TWO(60, 60), NULL},
    {"HSET mykey field1 Hello field2 World field3 !", ":1\r\n", NULL},
    {"HTTL mykey FIELDS 2 field1 field2", TWO(-1, -1), NULL},
    {"HGETDEL mykey FIELDS 2 field3 field4", "*2\r\n$1\r\n!\r\n$-1\r\n", "*2\r\n$1\r\n!\r\n_\r\n"},
    {"HGETDEL none FIELDS 1 field", "*1\r\n$-1\r\n", "*1\r\n_\r\n"},
    {"HGETALL mykey", "*4\r\n$6\r\nfield1\r\n$5\r\nHello\r\n$6\r\nfield2\r\n$5\r\nWorld\r\n",
     "%2\r\n$6\r\nfield1\r\n$5\r\nHello\r\n$6\r\nfield2\r\n$5\r\nWorld\r\n"},
    {"HGETEX mykey EX 120 FIELDS 1 field1", "*1\r\n$5\r\nHello\r\n", NULL},
    {"HGETEX mykey EX 100 FIELDS 1 field3", "*1\r\n$-1\r\n", "*1\r\n_\r\n"},
    {"HTTL mykey FIELDS 2 field1 field2", TWO(120, -1), NULL},
    {"HGETEX mykey PERSIST FIELDS 1 field1", "*1\r\n$5\r\nHello\r\n", NULL},
    {"HTTL mykey FIELDS 2 field1 field2", TWO(-1, -1), NULL},
    {"HGETEX none FIELDS 1 field1", "*1\r\n$-1\r\n", "*1\r\n_\r\n"},
    {"HGETEX mykey EXAT 1 FIELDS 2 field1 field2", "*2\r\n$5\r\nHello\r\n$5\r\nWorld\r\n", NULL},
    {"EXISTS mykey", ":0\r\n", NULL},
};

/* The hash has a field more, which makes it small, or large. */
static const struct typed in_either_form[] = {
    {"HSET h a 1 b 2 c 3", ":3\r\n", NULL},
    {"HEXPIRE h 10 XX FIELDS 1 a", ONE(0), NULL},
    {"HEXPIRE h 10 GT FIELDS 1 a", ONE(0), NULL},
    {"HEXPIRE h 10 LT FIELDS 1 a", ONE(1), NULL},
    {"HEXPIRE h 10 LT FIELDS 1 a", ONE(0), NULL},
    {"HEXPIRE h 9 lt FIELDS 1 a", ONE(1), NULL},
    {"HEXPIRE h 10 NX FIELDS 2 a b", TWO(0, 1), NULL},
    {"HEXPIRE h 10 GT FIELDS 2 a b", TWO(1, 0), NULL},
    {"HEXPIRE h 11 XX FIELDS 3 a b c", THREE(1, 1, 0), NULL},
    {"HPEXPIRE h 1001 FIELDS 1 a", ONE(1), NULL},
    {"HTTL h FIELDS 3 a b c", THREE(2, 11, -1), NULL},
    {"HINCRBY h a 1", ":2\r\n", NULL},
    {"HINCRBYFLOAT h a 0.5", "$3\r\n2.5\r\n", NULL},
    {"HPTTL h FIELDS 1 a", ONE(1001), NULL},
    {"HSETNX h a 5", ":0\r\n", NULL},
    {"HPTTL h FIELDS 1 a", ONE(1001), NULL},
    {"HSET h a 7", ":0\r\n", NULL},
    {"HTTL h FIELDS 1 a", ONE(-1), NULL},
    {"HPEXPIRE h 100 FIELDS 2 a b", TWO(1, 1), NULL},
    {"99", NULL, NULL},
    {"HMGET h a b c", "*3\r\n$1\r\n7\r\n$1\r\n2\r\n$1\r\n3\r\n", NULL},
    {"1", NULL, NULL},
    {"HMGET h a b c", "*3\r\n$-1\r\n$-1\r\n$1\r\n3\r\n", "*3\r\n_\r\n_\r\n$1\r\n3\r\n"},
    {"HGET h a", NIL2, NIL3},
    {"HLEN h", ":2\r\n", NULL},
    {"HEXISTS h a", ":0\r\n", NULL},
    {"HSTRLEN h a", ":0\r\n", NULL},
    {"HTTL h FIELDS 2 a c", TWO(-2, -1), NULL},
    {"HEXPIRE h 10 FIELDS 2 a c", TWO(-2, 1), NULL},
    {"HPERSIST h FIELDS 2 a c", TWO(-2, 1), NULL},
    {"HSCAN h 0 MATCH a", "*2\r\n$1\r\n0\r\n*0\r\n", NULL},
    {"HDEL h a", ":0\r\n", NULL},
    {"HINCRBY h b 5", ":5\r\n", NULL},
    {"HTTL h FIELDS 1 b", ONE(-1), NULL},
    {"HSETEX h PX 100 FIELDS 2 a 1 b 2", ":1\r\n", NULL},
    {"100", NULL, NULL},
    {"HSET h a 3", ":1\r\n", NULL},
    {"HSETNX h b 3", ":1\r\n", NULL},
    {"HSETEX h PX 100 FIELDS 2 a 1 b 2", ":1\r\n", NULL},
    {"100", NULL, NULL},
    {"HSETEX h FXX FIELDS 1 a 1", ":0\r\n", NULL},
    {"HSETEX h FNX FIELDS 1 a 1", ":1\r\n", NULL},
    {"HSETEX h KEEPTTL FIELDS 1 b 1", ":1\r\n", NULL},
    {"HTTL h FIELDS 2 a b", TWO(-1, -1), NULL},
    {"HEXPIRE h 0 FIELDS 2 a none", TWO(2, -2), NULL},
    {"HEXPIREAT h 1 FIELDS 1 b", ONE(2), NULL},
    {"HSETEX h EXAT 1 FIELDS 1 b 1", ":1\r\n", NULL},
    {"HGETDEL h FIELDS 2 b c", "*2\r\n$-1\r\n$1\r\n3\r\n", "*2\r\n_\r\n$1\r\n3\r\n"},
    {"HLEN h", ":1\r\n", NULL},
    {"HSETEX h PX 100 FIELDS 1 a 1", ":1\r\n", NULL},
    {"RENAME h i", OK, NULL},
    {"COPY i h", ":1\r\n", NULL},
    {"MOVE i 1", ":1\r\n", NULL},
    {"HPTTL h FIELDS 1 a", ONE(100), NULL},
    {"100", NULL, NULL},
    {"HLEN h", ":1\r\n", NULL},
    {"SELECT 1", OK, NULL},
    {"HLEN i", ":1\r\n", NULL},
    {"SELECT 0", OK, NULL},
};

static const struct typed wrong_words[] = {
    {"HSET h a 1 b 2", ":2\r\n", NULL},
    {"HEXPIRE h x FIELDS 1 a", NOT_INTEGER, NULL},
    {"HEXPIRE h -1 FIELDS 1 a", "-ERR invalid expire time, must be >= 0\r\n", NULL},
    {"HEXPIRE h 9223372036854775807 FIELDS 1 a", INVALID("hexpire"), NULL},
    {"HPEXPIRE h 70368744177663 FIELDS 1 a", INVALID("hpexpire"), NULL},
    {"HPEXPIREAT h 70368744177664 FIELDS 1 a", INVALID("hpexpireat"), NULL},
    {"HPEXPIREAT h 70368744177663 FIELDS 1 a", ONE(1), NULL},
    {"HEXPIREAT h 70368744178 FIELDS 1 a", INVALID("hexpireat"), NULL},
    {"HEXPIRE h 1 FIELD 1 a", NO_FIELDS, NULL},
    {"HEXPIRE h 1 NX XX FIELDS 1 a", NO_FIELDS, NULL},
    {"HEXPIRE h 1 FIELDS 0 a", "-ERR Parameter `numFields` should be greater than 0\r\n", NULL},
    {"HEXPIRE h 1 FIELDS x a", "-ERR Parameter `numFields` should be greater than 0\r\n", NULL},
    {"HEXPIRE h 1 FIELDS 2 a", NO_MATCH, NULL},
    {"HEXPIRE h 1 FIELDS 1 a b", NO_MATCH, NULL},
    {"HEXPIRE h 1 FIELDS 1", "-ERR wrong number of arguments for 'hexpire' command\r\n", NULL},
    {"HTTL h FIELD 1 a", NO_FIELDS, NULL},
    {"HTTL h FIELDS 0 a", NO_NUMBER, NULL},
    {"HTTL h FIELDS 3 a", NO_MATCH, NULL},
    {"HPERSIST h FOO 1 a", NO_FIELDS, NULL},
    {"HGETDEL h FIELDS -1 a", NO_NUMBER, NULL},
    {"HGETDEL h FIELDS 2 a", NO_MATCH, NULL},
    {"HGETEX h FIELDS 0 a", "-ERR invalid number of fields\r\n", NULL},
    {"HGETEX h FIELDS 2 a", "-ERR wrong number of arguments for 'hgetex' command\r\n", NULL},
    {"HGETEX h EX 1 PERSIST FIELDS 1 a", ONLY_ONE("PERSIST"), NULL},
    {"HGETEX h KEEPTTL FIELDS 1 a", "-ERR unknown argument: KEEPTTL\r\n", NULL},
    {"HGETEX h PERSIST EX 1", ONLY_ONE("PERSIST"), NULL},
    {"HGETEX h EX -1 FIELDS 1 a", "-ERR invalid expire time, must be >= 0\r\n", NULL},
    {"HSETEX h FXX FNX FIELDS 1 a 1", "-ERR Only one of FXX or FNX arguments can be specified\r\n",
     NULL},
    {"HSETEX h FIELDS 2 a 1 b", "-ERR wrong number of arguments for 'hsetex' command\r\n", NULL},
    {"HSETEX h FIELDS x a 1", "-ERR invalid number of fields\r\n", NULL},
    {"HSETEX h FIELDS 3 a 1 b 2", "-ERR wrong number of arguments for 'hsetex' command\r\n", NULL},
    {"HSETEX h FXX FNX KEEPTTL EX", "-ERR Only one of FXX or FNX arguments can be specified\r\n",
     NULL},
    {"HSETEX h EX 5 FXX PX", ONLY_ONE("KEEPTTL"), NULL},
    {"HSETEX h FXX KEEPTTL FIELDS 1", "-ERR wrong number of arguments for 'hsetex' command\r\n",
     NULL},
    {"SET s x", OK, NULL},
    {"HEXPIRE s 1 FIELDS 1 a", WRONG_TYPE, NULL},
    {"HTTL s FIELDS 1 a", WRONG_TYPE, NULL},
    {"HPERSIST s FIELDS 1 a", WRONG_TYPE, NULL},
    {"HGETEX s FIELDS 1 a", WRONG_TYPE, NULL},
    {"HSETEX s FIELDS 1 a 1", WRONG_TYPE, NULL},
    {"HGETDEL s FIELDS 1 a", WRONG_TYPE, NULL},
};

static void type_all(struct world *world, const char *first, const struct typed *rows, size_t count)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        world->connection.protocol = protocol;
        EXPECT(world, "FLUSHALL", OK);
        if (first)
            EXPECT(world, first, ":1\r\n");
        for (size_t i = 0; i < count; i++) {
            const char *wanted = protocol == 3 && rows[i].resp3 ? rows[i].resp3 : rows[i].resp2;
            if (wanted)
                EXPECT(world, rows[i].line, wanted);
            else
                world->now_ms += strtol(rows[i].line, NULL, 10);
        }
    }
}

static void test_replies(void **state)
{
    struct world world;
    char large[128], value[66];
    (void)state;
    world_init(&world);
    memset(value, 'x', sizeof value);
    snprintf(large, sizeof large, "HSET h more %.*s", 65, value);
    type_all(&world, NULL, examples, sizeof examples / sizeof examples[0]);
    type_all(&world, NULL, wrong_words, sizeof wrong_words / sizeof wrong_words[0]);
    type_all(&world, "HSET h more v", in_either_form,
             sizeof in_either_form / sizeof in_either_form[0]);
    EXPECT(&world, "OBJECT ENCODING h", "$10\r\nlistpackex\r\n");
    type_all(&world, large, in_either_form, sizeof in_either_form / sizeof in_either_form[0]);
    EXPECT(&world, "OBJECT ENCODING h", "$9\r\nhashtable\r\n");
    world_deinit(&world);
}

/* ---- effects ----------------------------------------------------------------------------- */

struct listening {
    struct command_listener base;
    char told[256];
};

static void listen(struct command_listener *base, uint64_t index, const struct db_effect *effect)
{
    struct listening *listening = (struct listening *)base;
    (void)index;
    strcat(listening->told, effect->event);
    strcat(listening->told, " ");
}

static void tick(struct world *world)
{
    const struct state_machine_ops *ops = world->machine->ops;
    struct blob *command = ops->tick(world->machine);
    world_apply(world, blob_bytes(command), NULL);
    blob_release(command);
}

static void expect_told(struct world *world, struct listening *listening, const char *line,
                        const char *wanted)
{
    listening->told[0] = '\0';
    if (line)
        world_type(world, line);
    else
        tick(world);
    assert_string_equal(listening->told, wanted);
}

static void test_effects(void **state)
{
    struct world world;
    struct listening listening = {.base.effect = listen};
    (void)state;
    world_init(&world);
    command_machine_listen(world.machine, &listening.base);
    for (int size = 1; size <= 65; size += 64) { /* small, large */
        char line[128];
        snprintf(line, sizeof line, "HSET h a %0*d b 1 c 1 d 1", size, 0);
        expect_told(&world, &listening, line, "hset ");
        expect_told(&world, &listening, "HEXPIRE h 1 FIELDS 2 a b", "hexpire ");
        expect_told(&world, &listening, "HEXPIRE h 0 FIELDS 2 a b", "hdel ");
        expect_told(&world, &listening, "HPERSIST h FIELDS 2 a b", "");
        expect_told(&world, &listening, "HSETEX h EX 1 FIELDS 1 a 1", "hset hexpire ");
        expect_told(&world, &listening, "HPERSIST h FIELDS 1 a", "hpersist ");
        expect_told(&world, &listening, "HGETEX h EX 1 FIELDS 1 a", "hexpire ");
        expect_told(&world, &listening, "HGETDEL h FIELDS 2 a x", "hdel ");
        expect_told(&world, &listening, "HSETEX h EXAT 1 FIELDS 1 a 1", "hset hdel ");
        expect_told(&world, &listening, "HSETEX h PX 5 FIELDS 1 a 1", "hset hexpire ");
        expect_told(&world, &listening, "HPEXPIRE h 9 FIELDS 1 b", "");
        world.now_ms += 5;
        expect_told(&world, &listening, "HSET h a 1", "hexpired hset ");
        expect_told(&world, &listening, "HPEXPIRE h 5 FIELDS 1 a", "hexpire ");
        expect_told(&world, &listening, NULL, "");
        world.now_ms += 5;
        expect_told(&world, &listening, NULL, "hexpired ");
        expect_told(&world, &listening, "HPEXPIRE h 5 FIELDS 2 c d", "hexpire ");
        world.now_ms += 5;
        expect_told(&world, &listening, NULL, "hexpired del ");
        EXPECT(&world, "DBSIZE", ":0\r\n");
    }
    /* All are over, and a write comes first: it is another hash. */
    world_type(&world, "HSETEX h PX 5 FIELDS 1 a 1");
    world_type(&world, "EXPIRE h 100");
    world.now_ms += 5;
    expect_told(&world, &listening, "HSET h b 1", "hexpired del hset ");
    EXPECT(&world, "TTL h", ":-1\r\n");
    EXPECT(&world, "DBSIZE", ":1\r\n");
    EXPECT(&world, "OBJECT ENCODING h", "$8\r\nlistpack\r\n");
    world_deinit(&world);
}

/* ---- many --------------------------------------------------------------------------------- */

static struct db_record found_at(struct world *world, const char *key)
{
    struct db_record found = {0};
    db_find(world->db, NULL, 0, bytes_from_string(key), &found, NULL);
    return found;
}

enum { MANY = 5000 };

static void set_many(struct world *world, const char *options)
{
    struct buffer line = {0};
    buffer_printf(&line, "HSETEX h %s FIELDS %d", options, MANY);
    for (int i = 0; i < MANY; i++)
        buffer_printf(&line, " f%d %d", i, i);
    buffer_append_byte(&line, '\0');
    EXPECT(world, line.data, ":1\r\n");
    buffer_deinit(&line);
}

/* A hash whose fields are all over at once: nobody sees them, and a tick deletes some. */
static void test_ticks_are_bounded(void **state)
{
    struct world world;
    char length[32];
    (void)state;
    world_init(&world);
    const struct state_machine_ops *ops = world.machine->ops;
    world.pauses = 0;
    set_many(&world, "PX 1000");
    assert_true(world.pauses > 5); /* in slices */
    EXPECT(&world, "HSET h stays 1", ":1\r\n");
    db_checkpoint(world.db);
    assert_int_equal(ops->due_ms(world.machine), world.now_ms + 1000);
    world.now_ms += 1000;
    EXPECT(&world, "HLEN h", ":1\r\n");
    EXPECT(&world, "HGETALL h", "*2\r\n$5\r\nstays\r\n$1\r\n1\r\n");
    EXPECT(&world, "HRANDFIELD h", "$5\r\nstays\r\n");
    EXPECT(&world, "HRANDFIELD h 3", "*1\r\n$5\r\nstays\r\n");
    EXPECT(&world, "HRANDFIELD h -2", "*2\r\n$5\r\nstays\r\n$5\r\nstays\r\n");
    uint64_t left = MANY;
    for (int ticks = 0; ops->due_ms(world.machine) <= world.now_ms; ticks++) {
        struct bytes payload;
        struct db_record found;
        tick(&world);
        assert_true(ticks < 5);
        assert_true(db_find(world.db, NULL, 0, bytes_from_string("h"), &found, &payload));
        assert_true(left + 1 - packed_count(payload) <= 2048 + 64);
        left = packed_count(payload) - 1;
        EXPECT(&world, "HLEN h", ":1\r\n");
    }
    assert_int_equal(left, 0);
    assert_int_equal(found_at(&world, "h").elements_due_ms, 0);
    snprintf(length, sizeof length, ":%d\r\n", MANY + 1);
    set_many(&world, "PX 1000");
    EXPECT(&world, "HLEN h", length);
    world.now_ms += 1000;
    EXPECT(&world, "HDEL h stays", ":1\r\n");
    EXPECT(&world, "HLEN h", ":0\r\n");
    EXPECT(&world, "HRANDFIELD h", NIL2);
    while (ops->due_ms(world.machine) <= world.now_ms)
        tick(&world);
    EXPECT(&world, "DBSIZE", ":0\r\n");
    world_deinit(&world);
}

/* ---- draws ------------------------------------------------------------------------------- */

/* Of `h`: `living` fields that stay, and 1000 that are over. */
static void make_half_over(struct world *world, int living)
{
    struct buffer line = {0};
    buffer_printf(&line, "HSET h");
    for (int i = 0; i < living; i++)
        buffer_printf(&line, " stays%d %d", i, i);
    buffer_append_byte(&line, '\0');
    world_type(world, line.data);
    buffer_clear(&line);
    buffer_printf(&line, "HSETEX h PX 1000 FIELDS 1000");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&line, " over%d %d", i, i);
    buffer_append_byte(&line, '\0');
    EXPECT(world, line.data, ":1\r\n");
    world->now_ms += 1000;
    buffer_deinit(&line);
}

static void store(struct world *world)
{
    for (int i = 0; i < 2; i++) { /* the second releases what the first stored */
        db_checkpoint(world->db);
        world_type(world, "SET k v");
    }
}

/* Those that are over are met and passed over, wherever slices end. */
static void expect_same_draws(int living, const char *count)
{
    struct world world;
    struct buffer drawn = {0};
    char line[64];
    world_init(&world);
    world.seed = 5;
    make_half_over(&world, living);
    snprintf(line, sizeof line, "ONCE a 1 HRANDFIELD h %s", count);
    world.pauses = 0;
    buffer_append_bytes(&drawn, world_type(&world, line));
    unsigned pauses = world.pauses;
    store(&world);
    snprintf(line, sizeof line, "ONCE a 2 HRANDFIELD h %s", count);
    world.pauses = 0;
    struct bytes again = world_type(&world, line);
    assert_true(bytes_equal(buffer_bytes(&drawn), again));
    assert_null(memmem(again.data, again.size, "over", 4));
    assert_true(world.pauses > 2 * pauses);
    buffer_deinit(&drawn);
    world_deinit(&world);
}

static void test_draws_among_those_that_are_over(void **state)
{
    (void)state;
    expect_same_draws(500, "-1500");
    expect_same_draws(2000, "-1500");
    expect_same_draws(2000, "256"); /* different ones */
}

static void apply_as(struct world *world, uint8_t meaning, const struct bytes *argv, uint32_t argc)
{
    struct buffer out = {0};
    struct blob *blob = command_encode(argv, argc);
    struct apply_context context = {.pos = {.term = 1, .index = ++world->index},
                                    .meaning = meaning,
                                    .now_ms = world->now_ms,
                                    .seed = world->index * 77};
    while (!world->machine->ops->apply(world->machine, &context, blob_bytes(blob), 2, &out))
        world->pauses++;
    world->machine->ops->applied(world->machine, context.pos, context.now_ms, meaning);
    blob_release(blob);
    buffer_deinit(&out);
}

static enum packed_form form_of(struct world *world)
{
    struct bytes payload;
    struct db_record found;
    assert_true(db_find(world->db, NULL, 0, bytes_from_string("h"), &found, &payload));
    return packed_form(payload);
}

/* A large hash of meaning 3 is as it always was, and gets room when a deadline is wanted. */
static void test_old_hashes(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    for (int i = 0; i < MANY; i++) {
        char field[16];
        snprintf(field, sizeof field, "f%d", i);
        struct bytes argv[] = {bytes_from_string("HSET"), bytes_from_string("h"),
                               bytes_from_string(field), bytes_from_string("value")};
        apply_as(&world, 3, argv, 4);
    }
    assert_int_equal(form_of(&world), PACKED_LARGE);
    db_checkpoint(world.db);
    uint64_t space = found_at(&world, "h").space;
    EXPECT(&world, "HLEN h", ":5000\r\n");
    EXPECT(&world, "HGET h f7", "$5\r\nvalue\r\n");
    EXPECT(&world, "HGETEX h FIELDS 1 f7", "*1\r\n$5\r\nvalue\r\n");
    assert_int_equal(form_of(&world), PACKED_LARGE);
    world.pauses = 0;
    EXPECT(&world, "HPEXPIRE h 10 FIELDS 3 f7 none f8", "*3\r\n:1\r\n:-2\r\n:1\r\n");
    assert_true(world.pauses >= 4);
    assert_int_equal(form_of(&world), PACKED_LARGE_TIMED);
    assert_true(found_at(&world, "h").space != space);
    EXPECT(&world, "HLEN h", ":5000\r\n");
    world.now_ms += 10;
    tick(&world);
    EXPECT(&world, "HLEN h", ":4998\r\n");
    EXPECT(&world, "HGET h f9", "$5\r\nvalue\r\n");
    EXPECT(&world, "HGET h f7", NIL2);
    world_deinit(&world);
}

/* ---- random steps --------------------------------------------------------------------------- */

enum { FIELDS = 300, STEPS = 4000 };

struct model {
    int values[FIELDS]; /* 0: none */
    int64_t deadlines[FIELDS];
};

/* The second world never checkpoints, and applies the same. */
struct twins {
    struct world one, other;
    struct model model;
    uint64_t dice;
};

static bool is_living(const struct twins *twins, unsigned i)
{
    const struct model *model = &twins->model;
    bool is_over = model->deadlines[i] != 0 && model->deadlines[i] <= twins->one.now_ms;
    return model->values[i] != 0 && !is_over;
}

static void type_both(struct twins *twins, const char *line, const char *wanted)
{
    EXPECT(&twins->one, line, wanted);
    EXPECT(&twins->other, line, wanted);
}

static void put(struct twins *twins, unsigned i, int value, int64_t deadline_ms)
{
    twins->model.values[i] = value;
    twins->model.deadlines[i] = value ? deadline_ms : 0;
}

static void set_deadline(struct twins *twins, unsigned i)
{
    static const char *const conditions[] = {"", "NX ", "XX ", "GT ", "LT "};
    char line[96], wanted[32];
    struct model *model = &twins->model;
    unsigned condition = (unsigned)prng_below(&twins->dice, 5);
    int64_t ms = (int64_t)prng_below(&twins->dice, 60), now = model->deadlines[i],
            then = twins->one.now_ms + ms;
    bool is_there = is_living(twins, i);
    bool holds = condition == 0 || (condition == 1 && now == 0) || (condition == 2 && now != 0) ||
                 (condition == 3 && now != 0 && then > now) ||
                 (condition == 4 && (now == 0 || then < now));
    int answer = !is_there ? -2 : !holds ? 0 : ms == 0 ? 2 : 1;
    snprintf(line, sizeof line, "HPEXPIRE h %d %sFIELDS 1 f%u", (int)ms, conditions[condition], i);
    snprintf(wanted, sizeof wanted, "*1\r\n:%d\r\n", answer);
    type_both(twins, line, wanted);
    if (answer == 1)
        model->deadlines[i] = then;
    if (answer == 2)
        put(twins, i, 0, 0);
}

static void change(struct twins *twins, unsigned i, int step)
{
    char line[96], wanted[32];
    struct model *model = &twins->model;
    bool is_there = is_living(twins, i);
    int64_t deadline = is_there ? model->deadlines[i] : 0, ms;
    switch (prng_below(&twins->dice, 6)) {
    case 0:
        snprintf(line, sizeof line, "HSET h f%u %d", i, step);
        type_both(twins, line, is_there ? ":0\r\n" : ":1\r\n");
        put(twins, i, step, 0);
        break;
    case 1:
        snprintf(line, sizeof line, "HDEL h f%u", i);
        type_both(twins, line, is_there ? ":1\r\n" : ":0\r\n");
        put(twins, i, 0, 0);
        break;
    case 2:
        snprintf(line, sizeof line, "HINCRBY h f%u 1", i);
        snprintf(wanted, sizeof wanted, ":%d\r\n", is_there ? model->values[i] + 1 : 1);
        type_both(twins, line, wanted);
        put(twins, i, is_there ? model->values[i] + 1 : 1, deadline);
        break;
    case 3:
        ms = 1 + (int64_t)prng_below(&twins->dice, 60);
        snprintf(line, sizeof line, "HSETEX h PX %d FIELDS 1 f%u %d", (int)ms, i, step);
        type_both(twins, line, ":1\r\n");
        put(twins, i, step, twins->one.now_ms + ms);
        break;
    case 4:
        snprintf(line, sizeof line, "HPERSIST h FIELDS 1 f%u", i);
        snprintf(wanted, sizeof wanted, "*1\r\n:%d\r\n", !is_there ? -2 : deadline ? 1 : -1);
        type_both(twins, line, wanted);
        if (is_there)
            model->deadlines[i] = 0;
        break;
    default: set_deadline(twins, i);
    }
}

static void compare(struct twins *twins)
{
    char line[96], wanted[64], number[16];
    unsigned living = 0;
    for (unsigned i = 0; i < FIELDS; i++) {
        bool is_there = is_living(twins, i);
        int64_t left = twins->model.deadlines[i] - twins->one.now_ms;
        snprintf(line, sizeof line, "HGET h f%u", i);
        snprintf(number, sizeof number, "%d", twins->model.values[i]);
        snprintf(wanted, sizeof wanted, "$%zu\r\n%s\r\n", strlen(number), number);
        EXPECT(&twins->one, line, is_there ? wanted : NIL2);
        snprintf(line, sizeof line, "HPTTL h FIELDS 1 f%u", i);
        snprintf(wanted, sizeof wanted, "*1\r\n:%d\r\n",
                 !is_there                   ? -2
                 : twins->model.deadlines[i] ? (int)left
                                             : -1);
        EXPECT(&twins->one, line, wanted);
        living += is_there;
    }
    snprintf(wanted, sizeof wanted, ":%u\r\n", living);
    EXPECT(&twins->one, "HLEN h", wanted);
    snprintf(wanted, sizeof wanted, "*%u\r\n", living);
    struct bytes all = world_type(&twins->one, "HKEYS h");
    assert_true(all.size >= strlen(wanted) && memcmp(all.data, wanted, strlen(wanted)) == 0);
}

static void tick_both(struct twins *twins)
{
    const struct state_machine_ops *ops = twins->one.machine->ops;
    unsigned living = 0;
    char wanted[16];
    while (ops->due_ms(twins->one.machine) <= twins->one.now_ms) {
        tick(&twins->one);
        tick(&twins->other);
    }
    for (unsigned i = 0; i < FIELDS; i++) {
        if (!is_living(twins, i))
            put(twins, i, 0, 0);
        living += is_living(twins, i);
    }
    snprintf(wanted, sizeof wanted, ":%d\r\n", living > 0);
    EXPECT(&twins->one, "DBSIZE", wanted); /* nothing is left of what is over */
}

/* Under another name and back; and a copy with all it has. */
static void rename_both(struct twins *twins)
{
    bool is_there = world_type(&twins->one, "EXISTS h").size && found_at(&twins->one, "h").type;
    world_type(&twins->other, "EXISTS h");
    if (!is_there)
        return;
    type_both(twins, "RENAME h i", OK);
    type_both(twins, "COPY i h", ":1\r\n");
    type_both(twins, "DEL i", ":1\r\n");
}

static void test_random_steps(void **state)
{
    struct twins twins = {.dice = 3};
    unsigned wide = FIELDS;
    (void)state;
    world_init(&twins.one);
    world_init(&twins.other);
    for (int step = 1; step <= STEPS; step++) {
        change(&twins, (unsigned)prng_below(&twins.dice, wide), step);
        twins.one.now_ms += (int64_t)prng_below(&twins.dice, 3);
        twins.other.now_ms = twins.one.now_ms;
        if (prng_below(&twins.dice, 10) == 0)
            tick_both(&twins);
        if (prng_below(&twins.dice, 50) == 0)
            db_checkpoint(twins.one.db);
        if (prng_below(&twins.dice, 100) == 0)
            wide = 1 + (unsigned)prng_below(&twins.dice, prng_below(&twins.dice, 2) ? 10 : FIELDS);
        if (prng_below(&twins.dice, 200) == 0)
            rename_both(&twins);
        if (step % 200 == 0)
            compare(&twins);
    }
    assert_int_equal(db_hash(twins.one.db), db_hash(twins.other.db));
    world_deinit(&twins.one);
    world_deinit(&twins.other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_effects),
        cmocka_unit_test(test_ticks_are_bounded),
        cmocka_unit_test(test_draws_among_those_that_are_over),
        cmocka_unit_test(test_old_hashes),
        cmocka_unit_test(test_random_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
