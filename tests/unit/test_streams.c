/* Streams through the commands: replies, one by one; and random changes against a plain array, with
 * checkpoints between. */
#include "test_command.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define BAD_ID "-ERR Invalid stream ID specified as stream command argument\r\n"
#define ONE "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
#define TWO "*2\r\n$3\r\n2-0\r\n*4\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\nc\r\n$1\r\ne\r\n"
#define BELOW                                                                                      \
    "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n"

static void test_adding(void **state)
{
    static const struct typed rows[] = {
        {"XADD s NOMKSTREAM 1-1 a b", NIL2, NIL3},
        {"XADD s 0-0 a b", "-ERR The ID specified in XADD must be greater than 0-0\r\n"},
        {"EXISTS s", ":0\r\n"},
        {"XADD s 1-1 a b", "$3\r\n1-1\r\n"},
        {"XADD s 1-1 a b", BELOW},
        {"XADD s 1-* a", "-ERR wrong number of arguments for 'xadd' command\r\n"},
        {"XADD s 2 c d c e", "$3\r\n2-0\r\n"},
        {"XADD s 1-* a b", BELOW},
        {"TYPE s", "+stream\r\n"},
        {"OBJECT ENCODING s", "$6\r\nstream\r\n"},
        {"SCAN 0 TYPE stream", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\ns\r\n"},
        {"XLEN s", ":2\r\n"},
        {"XRANGE s - +", "*2\r\n" ONE TWO},
        {"XREVRANGE s + -", "*2\r\n" TWO ONE},
        {"XRANGE s (1-1 +", "*1\r\n" TWO},
        {"XRANGE s 1 (2-0", "*1\r\n" ONE},
        {"XRANGE s 1 1", "*1\r\n" ONE},
        {"XREVRANGE s 2 1 COUNT 1", "*1\r\n" TWO},
        {"XRANGE s - + COUNT 0", "*-1\r\n", NIL3},
        {"XRANGE s (18446744073709551615-18446744073709551615 +",
         "-ERR invalid start ID for the interval\r\n"},
        {"XRANGE s - (0-0", "-ERR invalid end ID for the interval\r\n"},
        {"XRANGE s (- +", BAD_ID},
        {"XRANGE none - +", "*0\r\n"},
        {"XRANGE s 3 2", "*0\r\n"},
        {"XADD s 2-* x y", "$3\r\n2-1\r\n"},
        {"XADD s 2-18446744073709551615 x y", "$22\r\n2-18446744073709551615\r\n"},
        {"XADD s 2-* x y", BELOW},
        {"XADD s 1-1 x", "-ERR wrong number of arguments for 'xadd' command\r\n"},
        {"XADD s 18446744073709551615-18446744073709551614 x y",
         "$41\r\n18446744073709551615-18446744073709551614\r\n"},
        {"XADD s * x y", "$41\r\n18446744073709551615-18446744073709551615\r\n"},
        {"XADD s * x y",
         "-ERR The stream has exhausted the last possible ID, unable to add more items\r\n"},
        {"XADD s 18446744073709551616-1 x y", BAD_ID},
        {"XLEN s", ":6\r\n"},
        {"SET t x", OK},
        {"XADD t 1-1 a b",
         "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
    };
    world_expect_all(*state, rows, COUNT(rows));
}

/* The time is the log's, and does not take the ids back. */
static void test_ids_follow_the_time(void **state)
{
    struct world *world = *state;
    world->now_ms = 1000;
    EXPECT(world, "XADD s * a b", "$6\r\n1000-0\r\n");
    EXPECT(world, "XADD s * a b", "$6\r\n1000-1\r\n");
    world->now_ms = 2000;
    EXPECT(world, "XADD s * a b", "$6\r\n2000-0\r\n");
    EXPECT(world, "XADD s 3000-5 a b", "$6\r\n3000-5\r\n");
    EXPECT(world, "XADD s * a b", "$6\r\n3000-6\r\n");
    EXPECT(world, "XDEL s 3000-6", ":1\r\n");
    EXPECT(world, "XADD s * a b", "$6\r\n3000-7\r\n");
}

static void test_trimming(void **state)
{
    struct world *world = *state;
    char line[64];
    for (int i = 1; i <= 1050; i++) {
        snprintf(line, sizeof line, "XADD s %d-0 a b", i);
        world_type(world, line);
    }
    EXPECT(world, "XTRIM s MAXLEN ~ 1000", ":0\r\n");
    EXPECT(world, "XTRIM s MAXLEN ~ 900", ":100\r\n");
    EXPECT(world, "XTRIM s MAXLEN ~ 100 LIMIT 250", ":200\r\n");
    EXPECT(world, "XTRIM s MINID ~ 450", ":100\r\n");
    EXPECT(world, "XTRIM s MINID 451", ":50\r\n");
    EXPECT(world, "XLEN s", ":600\r\n");
    EXPECT(world, "XADD s MAXLEN 10 1051-0 a b", "$6\r\n1051-0\r\n");
    EXPECT(world, "XLEN s", ":10\r\n");
    EXPECT(world, "XRANGE s - + COUNT 1",
           "*1\r\n*2\r\n$6\r\n1042-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    EXPECT(world, "XTRIM s MAXLEN = 0", ":10\r\n");
    EXPECT(world, "EXISTS s", ":1\r\n");
    EXPECT(world, "XADD s 1051-0 a b", BELOW);
    EXPECT(world, "XTRIM none MAXLEN 1", ":0\r\n");
    EXPECT(world, "XTRIM s MAXLEN 1 MINID 1",
           "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible\r\n");
    EXPECT(world, "XTRIM s MAXLEN -1", "-ERR The MAXLEN argument must be >= 0.\r\n");
    EXPECT(world, "XTRIM s MAXLEN ~ 1 LIMIT -1", "-ERR The LIMIT argument must be >= 0.\r\n");
    EXPECT(world, "XTRIM s MAXLEN 1 LIMIT 1",
           "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n");
    EXPECT(world, "XTRIM s LIMIT 1 LIMIT 1",
           "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy\r\n");
    EXPECT(world, "XTRIM s LIMIT 0",
           "-ERR syntax error, XTRIM must be called with a trimming strategy\r\n");
    EXPECT(world, "XTRIM s FOO 1", SYNTAX);
}

static void test_deleting_and_setting(void **state)
{
    static const struct typed rows[] = {
        {"XDEL none x", ":0\r\n"},
        {"XADD s 1-1 a b", "$3\r\n1-1\r\n"},
        {"XADD s 2-0 c d c e", "$3\r\n2-0\r\n"},
        {"XDEL s 1-1 x", BAD_ID},
        {"XDEL s 1-1 1-1 5", ":1\r\n"},
        {"XRANGE s - +", "*1\r\n" TWO},
        {"XSETID none 1-1", "-ERR no such key\r\n"},
        {"XSETID s 1-5",
         "-ERR The ID specified in XSETID is smaller than the target stream top item\r\n"},
        {"XSETID s 1-0",
         "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id\r\n"},
        {"XSETID s 5-0 ENTRIESADDED 0",
         "-ERR The entries_added specified in XSETID is smaller than the target stream length\r\n"},
        {"XSETID s 5-0 ENTRIESADDED -1", "-ERR entries_added must be positive\r\n"},
        {"XSETID s 5-0 MAXDELETEDID 6-0",
         "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id\r\n"},
        {"XSETID s 5-0 FOO", SYNTAX},
        {"XSETID s 5-0 ENTRIESADDED 9 MAXDELETEDID 4-0", OK},
        {"XADD s 5-0 a b", BELOW},
        {"XSETID s 3-0",
         "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id\r\n"},
    };
    world_expect_all(*state, rows, COUNT(rows));
}

static void test_reading(void **state)
{
    static const struct typed rows[] = {
        {"XREAD STREAMS s 0", "*-1\r\n", NIL3},
        {"XADD s 1-1 a b", "$3\r\n1-1\r\n"},
        {"XADD s 2-0 c d c e", "$3\r\n2-0\r\n"},
        {"XADD t 1-1 a b", "$3\r\n1-1\r\n"},
        {"XREAD BLOCK 0 STREAMS s $", "*-1\r\n", NIL3},
        {"XREAD STREAMS s 0", "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n" ONE TWO,
         "%1\r\n$1\r\ns\r\n*2\r\n" ONE TWO},
        {"XREAD COUNT 1 BLOCK 5 STREAMS s t u 0 0 0",
         "*2\r\n*2\r\n$1\r\ns\r\n*1\r\n" ONE "*2\r\n$1\r\nt\r\n*1\r\n" ONE,
         "%2\r\n$1\r\ns\r\n*1\r\n" ONE "$1\r\nt\r\n*1\r\n" ONE},
        {"XREAD COUNT -1 STREAMS s t 1-1 1-1", "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" TWO,
         "%1\r\n$1\r\ns\r\n*1\r\n" TWO},
        {"XREAD STREAMS s 18446744073709551615-18446744073709551615", "*-1\r\n", NIL3},
        {"XREAD STREAMS s t 0",
         "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be "
         "specified.\r\n"},
        {"XREAD STREAMS s >",
         "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
         "<consumer> option.\r\n"},
        {"XREAD NOACK STREAMS s 0", "-ERR The NOACK option is only supported by XREADGROUP. You "
                                    "called XREAD instead.\r\n"},
        {"XREAD BLOCK -1 STREAMS s 0", "-ERR timeout is negative\r\n"},
        {"XREAD BLOCK x STREAMS s 0", "-ERR timeout is not an integer or out of range\r\n"},
        {"XREAD COUNT 1 FOO s 0", SYNTAX},
        {"XREAD STREAMS s x", BAD_ID},
        {"COMMAND GETKEYS XREAD COUNT 1 STREAMS s t 0 0", "*2\r\n$1\r\ns\r\n$1\r\nt\r\n"},
        {"COMMAND GETKEYS XREAD COUNT 1 STREAMS s t 0", "*1\r\n$1\r\ns\r\n"},
        {"COMMAND GETKEYS XREAD COUNT 1 STREAMS s",
         "-ERR Invalid arguments specified for command\r\n"},
    };
    world_expect_all(*state, rows, COUNT(rows));
}

#define DONE ":1\r\n"
#define NOGROUP "-NOGROUP No such key 's' or consumer group 'g'"

static void test_options_of_groups(void **state)
{
    static const struct typed rows[] = {
        {"XGROUP CREATE s g $ MKSTREAM ENTRIESREAD 1 MKSTREAM",
         "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.\r\n"},
        {"XGROUP CREATE s g $ MKSTREAM ENTRIESREAD 1", OK},
        {"XGROUP SETID s g $ ENTRIESREAD 1 ENTRIESREAD 1",
         "-ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.\r\n"},
        {"XGROUP SETID s g $ ENTRIESREAD 1", OK},
    };
    world_expect_all(*state, rows, COUNT(rows));
}

static void test_groups(void **state)
{
    static const struct typed rows[] = {
        {"XGROUP CREATE s g $",
         "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want "
         "to use the MKSTREAM option to create an empty stream automatically.\r\n"},
        {"XGROUP CREATE s g $ MKSTREAM ENTRIESREAD -2",
         "-ERR value for ENTRIESREAD must be positive or -1\r\n"},
        {"XREADGROUP GROUP g c STREAMS s >", NOGROUP " in XREADGROUP with GROUP option\r\n"},
        {"XPENDING s g", NOGROUP "\r\n"},
        {"XCLAIM s g c 0 1-1", NOGROUP "\r\n"},
        {"XACK s g 1-1", ":0\r\n"},
        {"XGROUP CREATE s g $ MKSTREAM", OK},
        {"XGROUP CREATE s g $ MKSTREAM", "-BUSYGROUP Consumer Group name already exists\r\n"},
        {"XLEN s", ":0\r\n"},
        {"XPENDING s g", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n", "*4\r\n:0\r\n_\r\n_\r\n_\r\n"},
        {"XREADGROUP GROUP g c STREAMS s >", "*-1\r\n", NIL3},
        {"XADD s 1-1 a b", "$3\r\n1-1\r\n"},
        {"XADD s 2-0 c d c e", "$3\r\n2-0\r\n"},
        {"XREADGROUP GROUP g c COUNT 1 STREAMS s >", "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" ONE,
         "%1\r\n$1\r\ns\r\n*1\r\n" ONE},
        {"XREADGROUP GROUP g d NOACK STREAMS s >", "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" TWO,
         "%1\r\n$1\r\ns\r\n*1\r\n" TWO},
        {"XREADGROUP GROUP g d STREAMS s 0", "*1\r\n*2\r\n$1\r\ns\r\n*0\r\n",
         "%1\r\n$1\r\ns\r\n*0\r\n"},
        {"XREADGROUP GROUP g c STREAMS s 0", "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" ONE,
         "%1\r\n$1\r\ns\r\n*1\r\n" ONE},
        {"XPENDING s g",
         "*4\r\n:1\r\n$3\r\n1-1\r\n$3\r\n1-1\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n"},
        {"XPENDING s g - + 10", "*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nc\r\n:0\r\n:2\r\n"},
        {"XPENDING s g - + 10 d", "*0\r\n"},
        {"XPENDING s g IDLE 1 - + 10", "*0\r\n"},
        {"XCLAIM s g d 1 1-1", "*0\r\n"},
        {"XCLAIM s g d 0 1-1 2-0 IDLE 100 RETRYCOUNT 7", "*1\r\n" ONE},
        {"XPENDING s g - + 10 d", "*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nd\r\n:100\r\n:7\r\n"},
        {"XCLAIM s g e 0 2-0 FORCE JUSTID", "*1\r\n$3\r\n2-0\r\n"},
        {"XDEL s 1-1", DONE},
        {"XREADGROUP GROUP g d STREAMS s 0",
         "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n",
         "%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n_\r\n"},
        {"XAUTOCLAIM s g f 0 - COUNT 1", "*3\r\n$3\r\n2-0\r\n*0\r\n*1\r\n$3\r\n1-1\r\n"},
        {"XAUTOCLAIM s g f 0 -", "*3\r\n$3\r\n0-0\r\n*1\r\n" TWO "*0\r\n"},
        {"XAUTOCLAIM s g f 0 - COUNT 0", "-ERR COUNT must be > 0\r\n"},
        {"XINFO GROUPS s",
         "*1\r\n*12\r\n$4\r\nname\r\n$1\r\ng\r\n$9\r\nconsumers\r\n:4\r\n$7\r\npending\r\n:1\r\n"
         "$17\r\nlast-delivered-id\r\n$3\r\n2-0\r\n$12\r\nentries-read\r\n:2\r\n$3\r\nlag\r\n:"
         "0\r\n",
         "*1\r\n%6\r\n$4\r\nname\r\n$1\r\ng\r\n$9\r\nconsumers\r\n:4\r\n$7\r\npending\r\n:1\r\n"
         "$17\r\nlast-delivered-id\r\n$3\r\n2-0\r\n$12\r\nentries-read\r\n:2\r\n$3\r\nlag\r\n:"
         "0\r\n"},
        {"XACK s g 2-0 2-0 9", DONE},
        {"XGROUP CREATECONSUMER s g f", ":0\r\n"},
        {"XGROUP CREATECONSUMER s g z", DONE},
        {"XREADGROUP GROUP g f STREAMS s $",
         "-ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history "
         "of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ "
         "ID would just return an empty result set.\r\n"},
        {"XGROUP SETID s g 0 ENTRIESREAD 9223372036854775807", OK}, /* its bound */
        {"XREADGROUP GROUP g f STREAMS s >", "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" TWO,
         "%1\r\n$1\r\ns\r\n*1\r\n" TWO},
        {"XGROUP DELCONSUMER s g f", DONE},
        {"XPENDING s g - + 10", "*0\r\n"},
        {"XGROUP DESTROY s g", DONE},
        {"XGROUP DESTROY s g", ":0\r\n"},
        {"COMMAND GETKEYS XREADGROUP GROUP streams c STREAMS s t 0 >",
         "*2\r\n$1\r\ns\r\n$1\r\nt\r\n"},
    };
    world_expect_all(*state, rows, COUNT(rows));
}

/* ---- against plain arrays ---------------------------------------------------------------- */

enum { ENTRIES = 3000, CONSUMERS = 3, ROUNDS = 4000 };

/* Entry i has the id i-0. */
struct model {
    unsigned next, first; /* of what is there: [first, next) but for the deleted */
    bool is_deleted[ENTRIES];
    unsigned delivered;      /* below it */
    int owner[ENTRIES];      /* -1: not pending */
    unsigned times[ENTRIES]; /* deliveries */
};

static bool model_has(const struct model *model, unsigned i)
{
    return i >= model->first && i < model->next && !model->is_deleted[i];
}

static unsigned model_count(const struct model *model)
{
    unsigned count = 0;
    for (unsigned i = model->first; i < model->next; i++)
        count += model_has(model, i);
    return count;
}

static void add_field(struct reply *reply, unsigned i)
{
    char text[16];
    snprintf(text, sizeof text, "%u-0", i);
    reply_array(reply, 2);
    reply_bulk_string(reply, text);
    reply_array(reply, 2);
    reply_bulk_string(reply, "i");
    snprintf(text, sizeof text, "%u", i);
    reply_bulk_string(reply, text);
}

static void expect_entries(struct world *world, const struct model *model)
{
    struct buffer wanted = {0};
    struct reply reply = {&wanted, 2};
    reply_array(&reply, model_count(model));
    for (unsigned i = model->first; i < model->next; i++)
        if (model_has(model, i))
            add_field(&reply, i);
    world_expect(world, "XRANGE s - +", buffer_bytes(&wanted));
    buffer_deinit(&wanted);
}

static void expect_pending(struct world *world, const struct model *model)
{
    struct buffer wanted = {0};
    struct reply reply = {&wanted, 2};
    unsigned count = 0, of[CONSUMERS] = {0};
    char text[48];
    for (unsigned i = 0; i < model->next; i++) {
        count += model->owner[i] >= 0;
        if (model->owner[i] >= 0)
            of[model->owner[i]]++;
    }
    reply_array(&reply, count);
    for (unsigned i = 0; i < model->next; i++) {
        if (model->owner[i] < 0)
            continue;
        reply_array(&reply, 4);
        snprintf(text, sizeof text, "%u-0", i);
        reply_bulk_string(&reply, text);
        snprintf(text, sizeof text, "c%d", model->owner[i]);
        reply_bulk_string(&reply, text);
        reply_integer(&reply, 0);
        reply_integer(&reply, model->times[i]);
    }
    world_expect(world, "XPENDING s g - + 10000", buffer_bytes(&wanted));
    for (int c = 0; c < CONSUMERS; c++) { /* what is in the consumer's own tree */
        snprintf(text, sizeof text, "XPENDING s g - + 9999 c%d", c);
        struct bytes got = world_type(world, text);
        assert_int_equal(atoi((const char *)got.data + 1), of[c]);
    }
    buffer_deinit(&wanted);
}

static void read_some(struct world *world, struct model *model, int consumer, unsigned count)
{
    char line[96];
    snprintf(line, sizeof line, "XREADGROUP GROUP g c%d COUNT %u STREAMS s >", consumer, count);
    world_type(world, line);
    for (; model->delivered < model->next && count > 0; model->delivered++) {
        if (!model_has(model, model->delivered))
            continue;
        model->owner[model->delivered] = consumer;
        model->times[model->delivered] = 1;
        count--;
    }
}

static void claim_one(struct world *world, struct model *model, int consumer, unsigned i)
{
    char line[96];
    snprintf(line, sizeof line, "XCLAIM s g c%d 0 %u-0", consumer, i);
    world_type(world, line);
    if (model->owner[i] < 0)
        return;
    model->owner[i] = model_has(model, i) ? consumer : -1;
    model->times[i] += model_has(model, i);
}

static void trim_to(struct world *world, struct model *model, unsigned length)
{
    char line[64];
    snprintf(line, sizeof line, "XTRIM s MAXLEN %u", length);
    world_type(world, line);
    for (unsigned count = model_count(model); count > length; model->first++)
        count -= model_has(model, model->first);
}

static void step(struct world *world, struct model *model, uint64_t *dice)
{
    char line[96];
    int consumer = (int)prng_below(dice, CONSUMERS);
    unsigned i = (unsigned)prng_below(dice, model->next);
    unsigned what = (unsigned)prng_below(dice, 20);
    if (what < 12 && model->next < ENTRIES) {
        snprintf(line, sizeof line, "XADD s %u i %u", model->next, model->next);
        world_type(world, line);
        model->owner[model->next++] = -1;
    } else if (what < 14) {
        read_some(world, model, consumer, 1 + (unsigned)prng_below(dice, 20));
    } else if (what < 16) {
        snprintf(line, sizeof line, "XACK s g %u", i);
        world_expect(world, line, bytes_from_string(model->owner[i] >= 0 ? ":1\r\n" : ":0\r\n"));
        model->owner[i] = -1;
    } else if (what < 18) {
        claim_one(world, model, consumer, i);
    } else if (what < 19) {
        snprintf(line, sizeof line, "XDEL s %u", i);
        world_expect(world, line, bytes_from_string(model_has(model, i) ? ":1\r\n" : ":0\r\n"));
        model->is_deleted[i] = true;
    } else if (prng_below(dice, 20) == 0) {
        trim_to(world, model, (unsigned)prng_below(dice, 900));
    }
}

static void test_against_arrays(void **state)
{
    struct world *world = *state;
    struct model *model = memory_new(sizeof *model);
    uint64_t dice = 3;
    model->next = model->first = 1;
    model->owner[0] = -1;
    EXPECT(world, "XGROUP CREATE s g 0 MKSTREAM", OK);
    EXPECT(world, "XGROUP CREATECONSUMER s g c0", DONE);
    EXPECT(world, "XGROUP CREATECONSUMER s g c1", DONE);
    EXPECT(world, "XGROUP CREATECONSUMER s g c2", DONE);
    for (unsigned round = 0; round < ROUNDS; round++) {
        step(world, model, &dice);
        if (round % 100 == 0) {
            expect_entries(world, model);
            expect_pending(world, model);
        }
        if (prng_below(&dice, 40) == 0)
            db_checkpoint(world->db);
    }
    EXPECT(world, "COPY s t", DONE);
    EXPECT(world, "DEL s", DONE);
    EXPECT(world, "RENAME t s", OK);
    expect_entries(world, model);
    expect_pending(world, model);
    memory_free(model);
}

/* Long ones go in slices, and say and leave the same. */
static void test_long_ones(void **state)
{
    struct world *world = *state;
    char line[64];
    EXPECT(world, "XGROUP CREATE s g 0 MKSTREAM", OK);
    for (int i = 1; i <= 20000; i++) {
        snprintf(line, sizeof line, "XADD s %d i %d", i, i);
        world_type(world, line);
    }
    world->pauses = 0;
    world_type(world, "XREADGROUP GROUP g c STREAMS s >");
    assert_true(world->pauses > 5);
    EXPECT(world, "XPENDING s g",
           "*4\r\n:20000\r\n$3\r\n1-0\r\n$7\r\n20000-0\r\n*1\r\n*2\r\n$1\r\nc\r\n$5\r\n20000\r\n");
    world->pauses = 0;
    struct bytes all = world_type(world, "XAUTOCLAIM s g d 0 - COUNT 20000 JUSTID");
    assert_true(world->pauses > 5);
    assert_memory_equal(all.data, "*3\r\n$3\r\n0-0\r\n*20000\r\n", 21);
    world->pauses = 0;
    EXPECT(world, "XGROUP DELCONSUMER s g d", ":20000\r\n");
    assert_true(world->pauses > 5);
    EXPECT(world, "XGROUP SETID s g 0", OK);
    world_type(world, "XREADGROUP GROUP g c STREAMS s >");
    world->pauses = 0;
    EXPECT(world, "XGROUP DESTROY s g", DONE);
    assert_true(world->pauses > 0);
    world->pauses = 0;
    EXPECT(world, "XTRIM s MAXLEN 1", ":19999\r\n");
    assert_true(world->pauses > 0);
    EXPECT(world, "XRANGE s - +", "*1\r\n*2\r\n$7\r\n20000-0\r\n*2\r\n$1\r\ni\r\n$5\r\n20000\r\n");
}

/* As one that may wait is read; in `waits` whether it does, else its reply. */
static struct bytes read_waiting(struct world *world, struct blob *request, bool *waits)
{
    static struct buffer reply;
    struct apply_context context = {
        .meaning = command_meaning_newest, .now_ms = world->now_ms, .may_wait = true};
    void *reading = NULL;
    buffer_clear(&reply);
    assert_true(world->machine->ops->read(world->machine, &reading, &context, blob_bytes(request),
                                          2, &reply, NULL));
    *waits = world->machine->ops->found_nothing(world->machine);
    return buffer_bytes(&reply);
}

static uint64_t finds(struct world *world, struct blob *request, const char *key)
{
    struct apply_context context = {.meaning = command_meaning_newest, .now_ms = world->now_ms};
    return world->machine->ops->wait_count(world->machine, &context, blob_bytes(request),
                                           bytes_from_string(key));
}

/* `$` means what it meant when the command came. */
static void test_reading_that_waits(void **state)
{
    struct world *world = *state;
    struct bytes argv[8];
    bool waits;
    const char *words[] = {"XREAD", "BLOCK", "0", "STREAMS", "s", "none", "$", "$"};
    for (int i = 0; i < 8; i++)
        argv[i] = bytes_from_string(words[i]);
    struct blob *request = command_encode(argv, 8);
    EXPECT(world, "XADD s 5-1 a b", "$3\r\n5-1\r\n");
    struct bytes reply = read_waiting(world, request, &waits);
    assert_false(waits);
    assert_true(bytes_equal(reply, bytes_from_string("$8\r\n5-1 0-0 \r\n")));
    struct blob *again = command_ask_again(blob_bytes(request), reply);
    assert_non_null(again);
    (void)read_waiting(world, again, &waits);
    assert_true(waits);
    assert_int_equal(finds(world, again, "s"), 0);
    EXPECT(world, "SET none x", OK);
    assert_int_equal(finds(world, again, "none"), 0); /* of another type: nobody is woken */
    EXPECT(world, "DEL none", DONE);
    EXPECT(world, "XADD s 5-2 c d", "$3\r\n5-2\r\n");
    assert_int_equal(finds(world, again, "s"), 1);
    assert_int_equal(finds(world, again, "none"), 0);
    reply = read_waiting(world, again, &waits);
    assert_false(waits);
    assert_memory_equal(reply.data, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n5-2\r\n", 32);
    assert_null(command_ask_again(blob_bytes(again), reply));
    blob_release(request);
    blob_release(again);
    EXPECT(world, "XREAD STREAMS s none + +",
           "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n5-2\r\n"
           "*2\r\n$1\r\nc\r\n$1\r\nd\r\n");
}

/* The leader's answer is another node's words. */
static void test_ids_of_another_command(void **state)
{
    struct bytes argv[8];
    const char *words[] = {"XREAD", "BLOCK", "0", "STREAMS", "s", "none", "$", "$"};
    const char *answers[] = {
        "$",       "$8",        "$8\r", "$8\r\n", "$8\n", "$4\r\n5-1 \r\n", "$7\r\n5-1 0-0\r\n",
        "$-1\r\n", "$0\r\n\r\n"};
    (void)state;
    for (int i = 0; i < 8; i++)
        argv[i] = bytes_from_string(words[i]);
    struct blob *request = command_encode(argv, 8);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        assert_null(command_ask_again(blob_bytes(request), bytes_from_string(answers[i])));
    blob_release(request);
}

/* A look at what waits before its entry. */
static void test_groups_that_wait(void **state)
{
    struct world *world = *state;
    struct bytes argv[9];
    const char *words[] = {"XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"};
    for (int i = 0; i < 9; i++)
        argv[i] = bytes_from_string(words[i]);
    struct blob *request = command_encode(argv, 9);
    struct apply_context context = {.meaning = command_meaning_newest, .now_ms = world->now_ms};
    const struct state_machine_ops *ops = world->machine->ops;
    assert_false(ops->would_wait(world->machine, &context, blob_bytes(request))); /* an error */
    EXPECT(world, "XGROUP CREATE s g 0 MKSTREAM", OK);
    EXPECT(world, "XGROUP CREATECONSUMER s g c", DONE);
    assert_true(ops->would_wait(world->machine, &context, blob_bytes(request)));
    assert_int_equal(finds(world, request, "s"), 0);
    EXPECT(world, "XADD s 1-1 a b", "$3\r\n1-1\r\n");
    assert_false(ops->would_wait(world->machine, &context, blob_bytes(request)));
    assert_int_equal(finds(world, request, "s"), 1);
    blob_release(request);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

#define CONSUMER(name, pending, idle, inactive)                                                    \
    "*8\r\n$4\r\nname\r\n$1\r\n" name "\r\n$7\r\npending\r\n:" pending "\r\n$4\r\nidle\r\n:" idle  \
    "\r\n$8\r\ninactive\r\n:" inactive "\r\n"

/* Idle since it asked for anything, inactive since it got something. */
static void test_when_consumers_were_there(void **state)
{
    struct world *world = *state;
    world->now_ms = 1000;
    EXPECT(world, "XGROUP CREATE s g 0 MKSTREAM", OK);
    EXPECT(world, "XADD s 1-1 a b", "$3\r\n1-1\r\n");
    EXPECT(world, "XADD s 2-0 c d c e", "$3\r\n2-0\r\n");
    world_type(world, "XREADGROUP GROUP g c STREAMS s >");
    world->now_ms = 2000;
    EXPECT(world, "XCLAIM s g d 5000 1-1", "*0\r\n");
    EXPECT(world, "XINFO CONSUMERS s g",
           "*2\r\n" CONSUMER("c", "2", "1000", "1000") CONSUMER("d", "0", "0", "-1"));
    world->now_ms = 3000;
    EXPECT(world, "XCLAIM s g d 0 1-1", "*1\r\n" ONE);
    world->now_ms = 4000;
    EXPECT(world, "XAUTOCLAIM s g d 5000 0 JUSTID", "*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n");
    EXPECT(world, "XINFO CONSUMERS s g",
           "*2\r\n" CONSUMER("c", "1", "3000", "3000") CONSUMER("d", "1", "0", "1000"));
    EXPECT(world, "XAUTOCLAIM s g d 0 0 JUSTID",
           "*3\r\n$3\r\n0-0\r\n*2\r\n$3\r\n1-1\r\n$3\r\n2-0\r\n*0\r\n");
    world->now_ms = 5000;
    EXPECT(world, "XINFO CONSUMERS s g",
           "*2\r\n" CONSUMER("c", "0", "4000", "4000") CONSUMER("d", "2", "1000", "1000"));
}

/* Pending entry 1-1 of d, as XPENDING tells it. */
#define PENDING(idle, deliveries)                                                                  \
    "*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nd\r\n:" idle "\r\n:" deliveries "\r\n"

/* What is claimed as of a time to come is of now, and so is what was idle for less than nothing. */
static void test_claimed_as_of_another_time(void **state)
{
    struct world *world = *state;
    world->now_ms = 1000;
    EXPECT(world, "XGROUP CREATE s g 0 MKSTREAM", OK);
    EXPECT(world, "XADD s 1-1 a b", "$3\r\n1-1\r\n");
    world_type(world, "XREADGROUP GROUP g c STREAMS s >");
    EXPECT(world, "XCLAIM s g d 0 1-1 TIME 400", "*1\r\n" ONE);
    EXPECT(world, "XPENDING s g - + 10", PENDING("600", "2"));
    EXPECT(world, "XCLAIM s g d 0 1-1 TIME 1000", "*1\r\n" ONE);
    EXPECT(world, "XPENDING s g - + 10", PENDING("0", "3"));
    EXPECT(world, "XCLAIM s g d 0 1-1 IDLE 1001", "*1\r\n" ONE); /* before there was any time */
    EXPECT(world, "XPENDING s g - + 10", PENDING("0", "4"));
    EXPECT(world, "XCLAIM s g d 0 1-1 TIME 1001", "*1\r\n" ONE);
    world->now_ms = 2000;
    EXPECT(world, "XPENDING s g - + 10", PENDING("1000", "5"));
    EXPECT(world, "XCLAIM s g d 0 1-1 IDLE -5000", "*1\r\n" ONE);
    world->now_ms = 2500;
    EXPECT(world, "XPENDING s g - + 10", PENDING("500", "6"));
    EXPECT(world, "XAUTOCLAIM s g c 500 -", "*3\r\n$3\r\n0-0\r\n*1\r\n" ONE "*0\r\n");
}

/* LASTID moves the group on, never back; a RETRYCOUNT below 0 is none. */
static void test_claiming_moves_the_group_on(void **state)
{
    struct world *world = *state;
    EXPECT(world, "XGROUP CREATE s g 0 MKSTREAM", OK);
    EXPECT(world, "XADD s 1-1 a b", "$3\r\n1-1\r\n");
    world_type(world, "XREADGROUP GROUP g c STREAMS s >");
    EXPECT(world, "XADD s 2-0 c d c e", "$3\r\n2-0\r\n");
    EXPECT(world, "XCLAIM s g d 0 1-1 LASTID 2-0 RETRYCOUNT 7", "*1\r\n" ONE);
    EXPECT(world, "XREADGROUP GROUP g c STREAMS s >", "*-1\r\n");
    EXPECT(world, "XCLAIM s g d 0 1-1 LASTID 1-1 RETRYCOUNT -1", "*1\r\n" ONE);
    EXPECT(world, "XREADGROUP GROUP g c STREAMS s >", "*-1\r\n");
    EXPECT(world, "XPENDING s g - + 10", PENDING("0", "8"));
}

enum { LONG_LIST = 1500 };

static void print_pending(struct buffer *text, bool has_name, int64_t now_ms)
{
    buffer_printf(text, "*%d\r\n", LONG_LIST);
    for (int i = 1; i <= LONG_LIST; i++) {
        char id[32];
        int size = snprintf(id, sizeof id, "%d-1", i);
        buffer_printf(text, "*%d\r\n$%d\r\n%s\r\n", has_name ? 4 : 3, size, id);
        buffer_printf(text, "%s:%lld\r\n:1\r\n", has_name ? "$1\r\nc\r\n" : "", (long long)now_ms);
    }
}

static struct bytes end_of(struct bytes reply, size_t size)
{
    assert_true(reply.size > size);
    return bytes_of((const char *)reply.data + reply.size - size, size);
}

/* What a group has is told in slices, as are groups and consumers, however many. */
static void test_telling_in_slices(void **state)
{
    struct world *world = *state;
    struct buffer expected = {0};
    char line[64];
    EXPECT(world, "XGROUP CREATE s g 0 MKSTREAM", OK);
    EXPECT(world, "XGROUP CREATE s h 0", OK);
    for (int i = 1; i <= LONG_LIST; i++) {
        snprintf(line, sizeof line, "XADD s %d-1 f v", i);
        world_type(world, line);
    }
    world_type(world, "XREADGROUP GROUP g c STREAMS s >");
    long long now = world->now_ms;
    unsigned pauses = world->pauses;
    buffer_printf(&expected, "$9\r\npel-count\r\n:%d\r\n$7\r\npending\r\n", LONG_LIST);
    print_pending(&expected, true, now);
    buffer_printf(&expected, "$9\r\nconsumers\r\n*1\r\n*10\r\n$4\r\nname\r\n$1\r\nc\r\n");
    buffer_printf(&expected, "$9\r\nseen-time\r\n:%lld\r\n$11\r\nactive-time\r\n:%lld\r\n", now,
                  now);
    buffer_printf(&expected, "$9\r\npel-count\r\n:%d\r\n$7\r\npending\r\n", LONG_LIST);
    print_pending(&expected, false, now);
    buffer_printf(&expected,
                  "*14\r\n$4\r\nname\r\n$1\r\nh\r\n$17\r\nlast-delivered-id\r\n$3\r\n0-0\r\n"
                  "$12\r\nentries-read\r\n$-1\r\n$3\r\nlag\r\n:%d\r\n"
                  "$9\r\npel-count\r\n:0\r\n$7\r\npending\r\n*0\r\n"
                  "$9\r\nconsumers\r\n*0\r\n",
                  LONG_LIST);
    struct bytes reply = world_type(world, "XINFO STREAM s FULL COUNT 0");
    assert_true(bytes_equal(end_of(reply, expected.size), buffer_bytes(&expected)));
    assert_in_range(world->pauses - pauses, 2, LONG_LIST);
    for (int i = 0; i < LONG_LIST; i++) {
        snprintf(line, sizeof line, "XGROUP CREATECONSUMER s h c%d", i);
        EXPECT(world, line, ":1\r\n");
        snprintf(line, sizeof line, "XGROUP CREATE s g%d 0", i);
        EXPECT(world, line, OK);
    }
    static const char *const looks[] = {"XINFO GROUPS s", "XINFO CONSUMERS s h", "XPENDING s h",
                                        "XINFO STREAM s FULL"};
    world_type(world, "XREADGROUP GROUP h c STREAMS s >");
    for (unsigned i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        pauses = world->pauses;
        reply = world_type(world, looks[i]);
        assert_in_range(world->pauses - pauses, LONG_LIST / 1024, LONG_LIST);
    }
    buffer_clear(&expected);
    buffer_printf(&expected,
                  "*4\r\n:%d\r\n$3\r\n1-1\r\n$6\r\n%d-1\r\n*1\r\n*2\r\n$1\r\nc\r\n$4\r\n%d\r\n",
                  LONG_LIST, LONG_LIST, LONG_LIST);
    world_expect(world, "XPENDING s h", buffer_bytes(&expected));
    buffer_deinit(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_adding),
                                       TEST(test_telling_in_slices),
                                       TEST(test_ids_follow_the_time),
                                       TEST(test_trimming),
                                       TEST(test_deleting_and_setting),
                                       TEST(test_reading),
                                       TEST(test_options_of_groups),
                                       TEST(test_groups),
                                       TEST(test_when_consumers_were_there),
                                       TEST(test_claimed_as_of_another_time),
                                       TEST(test_claiming_moves_the_group_on),
                                       TEST(test_against_arrays),
                                       TEST(test_long_ones),
                                       TEST(test_reading_that_waits),
                                       TEST(test_ids_of_another_command),
                                       TEST(test_groups_that_wait)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
