/* DUMP and RESTORE over the types there are, small and large; payloads that a Redis made, and
 * damaged ones. */
#include "test_command.h"

#include "base/codec.h"
#include "command/rdb.h"

static const struct typed replies[] = {
    {"DUMP no", NIL2, NIL3},
    {"SET k 10", OK, NULL},
    {"RESTORE k 0 x", "-ERR DUMP payload version or checksum are wrong\r\n", NULL},
    {"RESTORE n 0 xxxxxxxxxxxx", "-ERR DUMP payload version or checksum are wrong\r\n", NULL},
    {"RESTORE n -1 x", "-ERR Invalid TTL value, must be >= 0\r\n", NULL},
    {"RESTORE n x x", NOT_INTEGER, NULL},
    {"RESTORE n 0 x FOO", SYNTAX, NULL},
    {"RESTORE n 0 x IDLETIME", SYNTAX, NULL},
    {"RESTORE n 0 x IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0\r\n", NULL},
    {"RESTORE n 0 x FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n", NULL},
    {"RESTORE n 0 x FREQ 5 IDLETIME 5", SYNTAX, NULL},
    {"RESTORE n 9223372036854775807 x", "-ERR invalid expire time in 'restore' command\r\n", NULL},
    {"EXISTS n", ":0\r\n", NULL},
    {"HSET h a 1", ":1\r\n", NULL},
    {"HEXPIRE h 100 FIELDS 1 a", "*1\r\n:1\r\n", NULL},
    {"DUMP h",
     "-ERR fields of the hash have deadlines, for which there is no form in DUMP's version 11\r\n",
     NULL},
    {"GET k", "$2\r\n10\r\n", NULL},
};

static void test_replies(void **state)
{
    (void)state;
    world_expect_rows(replies, sizeof replies / sizeof replies[0]);
}

static void test_checksum(void **state)
{
    (void)state;
    struct bytes digits = bytes_from_string("123456789");
    assert_true(rdb_crc(0, digits) == 0xe9c6d914c4b8d9ca);
    for (size_t i = 0; i <= digits.size; i++) {
        struct bytes behind = bytes_of((const char *)digits.data + i, digits.size - i);
        assert_true(rdb_crc(rdb_crc(0, bytes_of(digits.data, i)), behind) == 0xe9c6d914c4b8d9ca);
    }
}

/* ---- helpers ----------------------------------------------------------------------------- */

/* The payload of a key, owned. */
static struct buffer dump(struct world *world, const char *key)
{
    struct buffer line = {0}, payload = {0};
    buffer_printf(&line, "DUMP %s", key);
    buffer_append_byte(&line, '\0');
    struct bytes reply = world_type(world, line.data);
    const char *text = reply.data, *begin = memchr(text, '\n', reply.size);
    assert_int_equal(text[0], '$');
    assert_non_null(begin);
    size_t size = strtoul(text + 1, NULL, 10);
    assert_int_equal(size, reply.size - (size_t)(begin + 1 - text) - 2);
    buffer_append(&payload, begin + 1, size);
    buffer_deinit(&line);
    return payload;
}

/* The reply is borrowed until the next line. */
static struct bytes restore(struct world *world, const char *key, struct bytes payload,
                            const char *ttl)
{
    struct bytes argv[] = {bytes_from_string("RESTORE"), bytes_from_string(key),
                           bytes_from_string(ttl), payload, bytes_from_string("REPLACE")};
    buffer_clear(&world->connection.out.bytes);
    world_run(world, argv, 5);
    return buffer_bytes(&world->connection.out.bytes);
}

static void expect_restored(struct world *world, const char *key, struct bytes payload)
{
    struct bytes reply = restore(world, key, payload, "0");
    if (!bytes_equal(reply, bytes_from_string(OK)))
        fail_msg("%s: %.*s", key, (int)reply.size, (const char *)reply.data);
}

static void seal(struct buffer *payload)
{
    unsigned char crc[8];
    uint64_t sum = rdb_crc(0, bytes_of(payload->data, payload->size - sizeof crc));
    put_u64(crc, sum);
    memcpy(payload->data + payload->size - sizeof crc, crc, sizeof crc);
}

static struct buffer with_footer(struct bytes body)
{
    struct buffer payload = {0};
    buffer_append_bytes(&payload, body);
    rdb_write_footer(&payload, rdb_crc(0, body));
    return payload;
}

/* ---- what a Redis made --------------------------------------------------------------------- */

#define BODY(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

#define GROUP(name, consumers, pending, last, read, lag)                                           \
    "*12\r\n$4\r\nname\r\n$1\r\n" name "\r\n$9\r\nconsumers\r\n" consumers                         \
    "\r\n$7\r\npending\r\n" pending "\r\n$17\r\nlast-delivered-id\r\n$3\r\n" last                  \
    "\r\n$12\r\nentries-read\r\n" read "\r\n$3\r\nlag\r\n" lag "\r\n"
#define CONSUMER(name, pending, inactive)                                                          \
    "*8\r\n$4\r\nname\r\n" name "\r\n$7\r\npending\r\n" pending                                    \
    "\r\n$4\r\nidle\r\n:0\r\n$8\r\ninactive\r\n" inactive "\r\n"

/* The streams: 1-1 and 5-0, two deleted; of 1-1 is pending in g, with alice; another group, h. */
static const struct {
    struct bytes body;
    const char *line, *wanted;
} old[] = {
    {BODY("\001\002\001\141\301\000\020"), "LRANGE k 0 -1", "*2\r\n$1\r\na\r\n$4\r\n4096\r\n"},
    {BODY("\003\003\001\141\376\001\142\377\001\143\003\061\056\065"), "ZRANGE k 0 -1 WITHSCORES",
     "*6\r\n$1\r\nb\r\n$4\r\n-inf\r\n$1\r\nc\r\n$3\r\n1.5\r\n$1\r\na\r\n$3\r\ninf\r\n"},
    {BODY("\011\024\002\001\141\001\002\061\000\000\001\142\005\002\067\060\060\060\060\000\000"
          "\377"),
     "HMGET k a b", "*2\r\n$1\r\n1\r\n$5\r\n70000\r\n"},
    {BODY("\012\043\043\000\000\000\030\000\000\000\005\000\000\001\141\003\362\002\300\177\377\004"
          "\360\160\021\001\005\340\000\000\000\000\000\000\000\200\377"),
     "LRANGE k 0 -1",
     "*5\r\n$1\r\na\r\n$1\r\n1\r\n$4\r\n-129\r\n$5\r\n70000\r\n$20\r\n-9223372036854775808\r\n"},
    {BODY("\013\016\002\000\000\000\003\000\000\000\375\377\005\000\274\002"),
     "SMISMEMBER k -3 700 4", "*3\r\n:1\r\n:1\r\n:0\r\n"},
    {BODY("\014\030\030\000\000\000\022\000\000\000\004\000\000\001\141\003\362\002\001\142\003\003"
          "\062\056\065\377"),
     "ZRANGE k 0 -1 WITHSCORES", "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\n2.5\r\n"},
    {BODY("\015\030\030\000\000\000\022\000\000\000\004\000\000\001\141\003\362\002\001\142\003\360"
          "\160\021\001\377"),
     "HMGET k a b", "*2\r\n$1\r\n1\r\n$5\r\n70000\r\n"},
    {BODY("\016\002\016\016\000\000\000\012\000\000\000\001\000\000\001\141\377\016\016\000\000\000"
          "\012\000\000\000\001\000\000\001\142\377"),
     "LRANGE k 0 -1", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
    {BODY("\000\303\011\100\144\001\170\170\340\127\000\001\170\170"), "STRLEN k", ":100\r\n"},
    {BODY("\020\024\024\000\000\000\004\000\201\141\002\001\001\201\142\002\362\160\021\001\004"
          "\377"),
     "HMGET k a b", "*2\r\n$1\r\n1\r\n$5\r\n70000\r\n"},
    {BODY("\021\025\025\000\000\000\004\000\201\142\002\204\055\062\056\065\005\201\141\002\001\001"
          "\377"),
     "ZRANGE k 0 -1 WITHSCORES", "*4\r\n$1\r\nb\r\n$4\r\n-2.5\r\n$1\r\na\r\n$1\r\n1\r\n"},
    {BODY("\022\003\002\016\016\000\000\000\002\000\201\141\002\361\170\354\003\377\002\017\017\000"
          "\000\000\002\000\201\142\002\362\100\342\001\004\377\002\303\020\100\120\010\120\000\000"
          "\000\001\000\340\106\171\340\074\000\001\110\377"),
     "LRANGE k 0 -2", "*4\r\n$1\r\na\r\n$5\r\n-5000\r\n$1\r\nb\r\n$6\r\n123456\r\n"},
    {BODY("\024\015\015\000\000\000\002\000\201\141\002\302\144\002\377"), "SMISMEMBER k a 612",
     "*2\r\n:1\r\n:1\r\n"},
    {BODY("\017\001\020\000\000\000\000\000\000\000\001\000\000\000\000\000\000\000\001\100\111\111"
          "\000"
          "\000\000\035\000\002\001\002\001\001\001\201\141\002\000\001\002\001\000\001\000\001\001"
          "\001"
          "\004\001\003\001\000\001\001\001\336\324\002\004\001\000\001\004\001\337\377\002\001\001"
          "\201"
          "\142\002\201\170\002\006\001\001\001\006\001\337\377\002\001\001\201\142\002\201\171\002"
          "\006"
          "\001\377\002\007\000\002\001\147\007\000\001\000\000\000\000\000\000\000\001\000\000\000"
          "\000"
          "\000\000\000\001\000\150\345\317\213\001\000\000\002\002\005\141\154\151\143\145\005\150"
          "\345"
          "\317\213\001\000\000\001\000\000\000\000\000\000\000\001\000\000\000\000\000\000\000\001"
          "\003"
          "\142\157\142\000\150\345\317\213\001\000\000\000\001\150\005\000\000\000"),
     "XINFO GROUPS k",
     "*2\r\n" GROUP("g", ":2", ":1", "7-0", ":2", ":0")
         GROUP("h", ":0", ":0", "5-0", "$-1", "$-1")},
    {BODY("\023\001\020\000\000\000\000\000\000\000\001\000\000\000\000\000\000\000\001\100\111\111"
          "\000"
          "\000\000\035\000\002\001\002\001\001\001\201\141\002\000\001\002\001\000\001\000\001\001"
          "\001"
          "\004\001\003\001\000\001\001\001\336\324\002\004\001\000\001\004\001\337\377\002\001\001"
          "\201"
          "\142\002\201\170\002\006\001\001\001\006\001\337\377\002\001\001\201\142\002\201\171\002"
          "\006"
          "\001\377\002\007\000\001\001\007\000\004\002\001\147\007\000\003\001\000\000\000\000\000"
          "\000"
          "\000\001\000\000\000\000\000\000\000\001\000\150\345\317\213\001\000\000\002\002\005\141"
          "\154"
          "\151\143\145\005\150\345\317\213\001\000\000\001\000\000\000\000\000\000\000\001\000\000"
          "\000"
          "\000\000\000\000\001\003\142\157\142\000\150\345\317\213\001\000\000\000\001\150\005\000"
          "\201"
          "\377\377\377\377\377\377\377\377\000\000"),
     "XRANGE k - +",
     "*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\nb\r\n$"
     "1\r\nx\r\n"},
    {BODY("\025\001\020\000\000\000\000\000\000\000\001\000\000\000\000\000\000\000\001\100\111\111"
          "\000"
          "\000\000\035\000\002\001\002\001\001\001\201\141\002\000\001\002\001\000\001\000\001\001"
          "\001"
          "\004\001\003\001\000\001\001\001\336\324\002\004\001\000\001\004\001\337\377\002\001\001"
          "\201"
          "\142\002\201\170\002\006\001\001\001\006\001\337\377\002\001\001\201\142\002\201\171\002"
          "\006"
          "\001\377\002\007\000\001\001\007\000\004\002\001\147\007\000\003\001\000\000\000\000\000"
          "\000"
          "\000\001\000\000\000\000\000\000\000\001\000\150\345\317\213\001\000\000\002\002\005\141"
          "\154"
          "\151\143\145\005\150\345\317\213\001\000\000\000\150\345\317\213\001\000\000\001\000\000"
          "\000"
          "\000\000\000\000\001\000\000\000\000\000\000\000\001\003\142\157\142\000\150\345\317\213"
          "\001"
          "\000\000\377\377\377\377\377\377\377\377\000\001\150\005\000\201\377\377\377\377\377\377"
          "\377"
          "\377\000\000"),
     "XINFO CONSUMERS k g",
     "*2\r\n" CONSUMER("$5\r\nalice", ":1", ":0") CONSUMER("$3\r\nbob", ":0", ":-1")},
};
enum { OLD = sizeof old / sizeof old[0], STREAM_7_0 = OLD - 2 };

static void test_what_a_redis_made(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    for (int i = 0; i < OLD; i++) {
        struct buffer payload = with_footer(old[i].body);
        expect_restored(&world, "k", buffer_bytes(&payload));
        EXPECT(&world, old[i].line, old[i].wanted);
        buffer_deinit(&payload);
    }
    world_deinit(&world);
}

/* Version and checksum are those of Redis 7.0 for these bytes. */
static void test_a_whole_payload_of_a_redis(void **state)
{
    static const char payload[] = "\000\303\011\100\144\001\170\170\340\127\000\001\170\170\012\000"
                                  "\135\267\366\143\273\010\142\137";
    struct world world;
    (void)state;
    world_init(&world);
    expect_restored(&world, "k", bytes_of(payload, sizeof payload - 1));
    EXPECT(&world, "STRLEN k", ":100\r\n");
    world_deinit(&world);
}

/* ---- there and back -------------------------------------------------------------------------- */

static void expect_round_trip(struct world *world, const char *key)
{
    struct buffer payload = dump(world, key);
    assert_memory_equal(payload.data + payload.size - RDB_FOOTER, "\013\000", 2);
    expect_restored(world, "copy", buffer_bytes(&payload));
    db_checkpoint(world->db);
    struct buffer again = dump(world, "copy");
    assert_true(bytes_equal(buffer_bytes(&again), buffer_bytes(&payload)));
    buffer_deinit(&again);
    buffer_deinit(&payload);
}

static void test_there_and_back(void **state)
{
    static const char *const lines[] = {
        "SET k 10",     "SET k -70000", "SET k 9999999999", "HSET k a 1 b 2",
        "SADD k 1 2 3", "SADD k a 1",   "RPUSH k a b a",    "ZADD k 1 a -0 b -inf c"};
    struct world world;
    (void)state;
    world_init(&world);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        world_type(&world, "FLUSHALL");
        world_type(&world, lines[i]);
        expect_round_trip(&world, "k");
    }
    world_deinit(&world);
}

enum { ELEMENTS = 5000 };

static void make(struct world *world, const char *format)
{
    char line[128];
    for (unsigned i = 0; i < ELEMENTS; i++) {
        snprintf(line, sizeof line, format, i, i * 7 % ELEMENTS);
        world_type(world, line);
        if (i == ELEMENTS / 2)
            db_checkpoint(world->db);
    }
}

static void test_large_ones_go_in_slices(void **state)
{
    static const char *const formats[] = {"HSET k f%u %u", "SADD k m%u", "RPUSH k e%u",
                                          "ZADD k %2$u m%1$u", "XADD k 7-%u a %u"};
    struct world world;
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        world_init(&world);
        make(&world, formats[i]);
        world.pauses = 0;
        expect_round_trip(&world, "k");
        assert_in_range(world.pauses, 6, 40); /* two dumps, and what restores one */
        world_deinit(&world);
    }
}

/* What XINFO says of it, owned. */
static struct buffer info(struct world *world, const char *line)
{
    struct buffer text = {0};
    buffer_append_bytes(&text, world_type(world, line));
    assert_memory_equal(text.data, "*18\r\n", 5);
    return text;
}

static void expect_stream_round_trip(struct world *world)
{
    expect_round_trip(world, "k");
    struct buffer one = info(world, "XINFO STREAM k FULL COUNT 0");
    struct buffer other = info(world, "XINFO STREAM copy FULL COUNT 0");
    assert_true(bytes_equal(buffer_bytes(&one), buffer_bytes(&other)));
    buffer_deinit(&one);
    buffer_deinit(&other);
}

static void type_all(struct world *world, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes reply = world_type(world, lines[i]);
        assert_true(*(const char *)reply.data != '-');
    }
}

static const char *const small_stream[] = {"XADD k 1-5 a 1 a -70000",
                                           "XADD k 1-6 a 127 a 128",
                                           "XADD k 2-0 b x",
                                           "XADD k 2-1 a 4095 c -4097",
                                           "XADD k 99999999999-7 a 9223372036854775807 a 8388608",
                                           "XDEL k 1-6",
                                           "XGROUP CREATE k g 1-5",
                                           "XGROUP CREATE k 12 $ ENTRIESREAD 3",
                                           "XREADGROUP GROUP g alice COUNT 2 STREAMS k >",
                                           "XREADGROUP GROUP g bob STREAMS k >",
                                           "XCLAIM k g carol 0 2-0 RETRYCOUNT 70",
                                           "XDEL k 2-0"};
static const char *const empty_stream[] = {"XGROUP CREATE k g $ MKSTREAM", "XADD k 5-5 a 1",
                                           "XDEL k 5-5"};

static void test_streams(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    type_all(&world, empty_stream, 1);
    expect_stream_round_trip(&world);
    type_all(&world, empty_stream + 1, 2);
    expect_stream_round_trip(&world);
    world_type(&world, "FLUSHALL");
    type_all(&world, small_stream, sizeof small_stream / sizeof small_stream[0]);
    expect_stream_round_trip(&world);
    EXPECT(&world, "XACK copy g 2-0 2-1", ":2\r\n");
    EXPECT(&world, "XADD copy 99999999999-* z 1", "$13\r\n99999999999-8\r\n");
    world_deinit(&world);
}

/* Of the ids that are pending, too. */
static void make_large_stream(struct world *world)
{
    make(world, "XADD k 7-%u a %u");
    world_type(world, "XADD k 8-1 b x");
    world_type(world, "XDEL k 7-17");
    world_type(world, "XGROUP CREATE k g 0");
    world_type(world, "XREADGROUP GROUP g alice COUNT 2500 STREAMS k >");
    world_type(world, "XREADGROUP GROUP g bob COUNT 1000 STREAMS k >");
}

static void test_a_large_stream_with_a_group(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    make_large_stream(&world);
    expect_stream_round_trip(&world);
    world_deinit(&world);
}

static void test_a_large_string(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    EXPECT(&world, "SETRANGE k 5000000 x", ":5000001\r\n");
    expect_round_trip(&world, "k");
    struct buffer payload = dump(&world, "k");
    payload.data[1000] ^= 1;
    struct bytes reply = restore(&world, "l", buffer_bytes(&payload), "0");
    assert_int_equal(world.last_class, COMMAND_WRITE); /* its sum is not for classification */
    assert_true(bytes_equal(
        reply, bytes_from_string("-ERR DUMP payload version or checksum are wrong\r\n")));
    EXPECT(&world, "EXISTS l", ":0\r\n");
    buffer_deinit(&payload);
    world_deinit(&world);
}

static void test_deadlines(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    EXPECT(&world, "HSET k a 1", ":1\r\n");
    struct buffer payload = dump(&world, "k");
    struct bytes bytes = buffer_bytes(&payload);
    restore(&world, "l", bytes, "5000");
    EXPECT(&world, "PTTL l", ":5000\r\n");
    struct bytes argv[] = {bytes_from_string("RESTORE"), bytes_from_string("m"),
                           bytes_from_string("1700000001000"), bytes, bytes_from_string("ABSTTL")};
    buffer_clear(&world.connection.out.bytes);
    world_run(&world, argv, 5);
    EXPECT(&world, "PTTL m", ":1000\r\n");
    buffer_clear(&world.connection.out.bytes);
    world_run(&world, argv, 4); /* it is there */
    assert_true(bytes_equal(buffer_bytes(&world.connection.out.bytes),
                            bytes_from_string("-BUSYKEY Target key name already exists.\r\n")));
    argv[2] = bytes_from_string("1");
    argv[1] = bytes_from_string("n");
    world_run(&world, argv, 5); /* it has passed */
    EXPECT(&world, "EXISTS n", ":0\r\n");
    buffer_deinit(&payload);
    world_deinit(&world);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static uint64_t rows_of(struct kv *kv)
{
    struct bytes key, value;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, bytes_of("", 0), kv_family_end());
    uint64_t count = 0;
    while (kv->ops->iter_next(iter, &key, &value))
        count++;
    kv->ops->iter_free(iter);
    return count;
}

/* The last of many fields is there twice. */
static void test_a_failed_restore_leaves_nothing(void **state)
{
    struct world world;
    struct buffer body = {0};
    char name[16];
    (void)state;
    world_init(&world);
    EXPECT(&world, "SET k before", OK);
    db_checkpoint(world.db);
    uint64_t rows = rows_of(world.kv);
    rdb_write_kind(&body, RDB_HASH);
    rdb_write_size(&body, ELEMENTS);
    for (unsigned i = 0; i < ELEMENTS; i++) {
        snprintf(name, sizeof name, "f%u", i == ELEMENTS - 1 ? 0 : i);
        rdb_write_string(&body, bytes_from_string(name));
        rdb_write_string(&body, bytes_from_string("v"));
    }
    struct buffer payload = with_footer(buffer_bytes(&body));
    struct bytes reply = restore(&world, "k", buffer_bytes(&payload), "0");
    assert_true(bytes_equal(reply, bytes_from_string("-ERR Bad data format\r\n")));
    assert_true(world.pauses > 2);
    EXPECT(&world, "GET k", "$6\r\nbefore\r\n");
    for (int i = 0; i < 3; i++) {
        EXPECT(&world, "SET k before", OK);
        db_checkpoint(world.db);
    }
    assert_int_equal(rows_of(world.kv), rows);
    buffer_deinit(&payload);
    buffer_deinit(&body);
    world_deinit(&world);
}

static void expect_refused(struct world *world, struct bytes body)
{
    struct buffer payload = with_footer(body);
    struct bytes reply = restore(world, "k", buffer_bytes(&payload), "0");
    if (!bytes_equal(reply, bytes_from_string("-ERR Bad data format\r\n")))
        fail_msg("%.*s", (int)reply.size, (const char *)reply.data);
    EXPECT(world, "GET k", "$6\r\nbefore\r\n");
    buffer_deinit(&payload);
}

/* Refused at its last byte; what was built of it goes with its space. */
static void test_a_failed_stream_leaves_nothing(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    make_large_stream(&world);
    struct buffer payload = dump(&world, "k");
    world_deinit(&world);
    world_init(&world);
    EXPECT(&world, "SET k before", OK);
    db_checkpoint(world.db);
    uint64_t rows = rows_of(world.kv);
    world.pauses = 0;
    expect_refused(&world, bytes_of(payload.data, payload.size - RDB_FOOTER - 1));
    assert_true(world.pauses > 2);
    for (int i = 0; i < 8; i++) {
        EXPECT(&world, "SET k before", OK);
        db_checkpoint(world.db);
    }
    assert_int_equal(rows_of(world.kv), rows);
    buffer_deinit(&payload);
    world_deinit(&world);
}

/* Bytes of the stream of 7.0 above: where, and what it says instead. */
static void test_streams_that_say_what_cannot_be(void **state)
{
    static const struct {
        size_t at;
        unsigned char value;
    } damages[] = {
        {2, 15},     /* size of the node's key, and the key: not the first entry's */
        {18, 9},     /* */
        {27, 3},     /* entries of the node */
        {29, 3},     /* deleted ones */
        {94, 3},     /* length */
        {95, 4},     /* last id, below an entry's */
        {98, 2},     /* first id */
        {101, 1},    /* entries added, fewer than there are */
        {108, 2},    /* pending ones */
        {132, 0x80}, /* time, negative */
        {165, 2},    /* pending with alice what is not pending */
        {180, 'g'},  /* a second group of this name */
        {191, 0xfe}, /* entries read: -2 */
    };
    struct world world;
    struct buffer body = {0};
    (void)state;
    world_init(&world);
    EXPECT(&world, "SET k before", OK);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        buffer_clear(&body);
        buffer_append_bytes(&body, old[STREAM_7_0].body);
        body.data[damages[i].at] = (char)damages[i].value;
        expect_refused(&world, buffer_bytes(&body));
    }
    buffer_deinit(&body);
    world_deinit(&world);
}

/* Of one number, and says that it has more: so many that their bytes do not fit into 32 bits. */
static void test_an_intset_says_how_many_it_has(void **state)
{
    static const char two[] =
        "\013\020\010\000\000\000\002\000\000\000\007\000\000\000\000\000\000\000";
    static const char many[] =
        "\013\020\010\000\000\000\001\000\000\040\007\000\000\000\000\000\000\000";
    struct world world;
    (void)state;
    world_init(&world);
    EXPECT(&world, "SET k before", OK);
    expect_refused(&world, bytes_of(two, sizeof two - 1));
    expect_refused(&world, bytes_of(many, sizeof many - 1));
    world_deinit(&world);
}

/* What is pending in a group is so with one consumer. */
static void test_what_is_pending_with_nobody_or_twice(void **state)
{
    enum { CONSUMERS = 134, OWNED = 149, BOB = 166, OTHER_GROUP = 179 };
    const char *bytes = old[STREAM_7_0].body.data;
    size_t size = old[STREAM_7_0].body.size;
    struct world world;
    struct buffer body = {0};
    (void)state;
    world_init(&world);
    EXPECT(&world, "SET k before", OK);
    buffer_append(&body, bytes, CONSUMERS);
    buffer_append_byte(&body, 0);
    buffer_append(&body, bytes + OTHER_GROUP, size - OTHER_GROUP);
    expect_refused(&world, buffer_bytes(&body));
    buffer_clear(&body);
    buffer_append(&body, bytes, OWNED);
    buffer_append_byte(&body, 2);
    buffer_append(&body, bytes + OWNED + 1, SERIES_KEY_SIZE);
    buffer_append(&body, bytes + OWNED + 1, SERIES_KEY_SIZE);
    buffer_append(&body, bytes + BOB, size - BOB);
    expect_refused(&world, buffer_bytes(&body));
    buffer_deinit(&body);
    world_deinit(&world);
}

/* A node has the names of its entries once: what becomes of them is bounded. */
static void test_names_of_entries_are_bounded(void **state)
{
    enum { ENTRIES = 50, NAME = 20 };
    struct world world;
    char line[64];
    (void)state;
    world_init(&world);
    for (int i = 1; i <= ENTRIES; i++) {
        snprintf(line, sizeof line, "XADD k 1-%d %0*d x", i, NAME, 7);
        world_type(&world, line);
    }
    struct buffer payload = dump(&world, "k");
    world.value_max = ENTRIES * NAME - 1;
    struct bytes reply = restore(&world, "l", buffer_bytes(&payload), "0");
    assert_true(bytes_equal(
        reply,
        bytes_from_string("-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n")));
    EXPECT(&world, "EXISTS l", ":0\r\n");
    world.value_max = ENTRIES * NAME;
    expect_restored(&world, "l", buffer_bytes(&payload));
    EXPECT(&world, "XLEN l", ":50\r\n");
    buffer_deinit(&payload);
    world_deinit(&world);
}

static void test_what_is_unpacked_is_bounded(void **state)
{
    struct world world;
    struct buffer payload = with_footer(old[8].body); /* 100 bytes, compressed */
    (void)state;
    world_init(&world);
    world.value_max = 99;
    struct bytes reply = restore(&world, "k", buffer_bytes(&payload), "0");
    assert_true(bytes_equal(
        reply,
        bytes_from_string("-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n")));
    world.value_max = 100;
    expect_restored(&world, "k", buffer_bytes(&payload));
    buffer_deinit(&payload);
    world_deinit(&world);
}

/* Bits flipped, the checksum right again: an error and the key as it was, or a key. */
static void test_damage(void **state)
{
    enum { DAMAGES = 400 };
    struct world world;
    uint64_t seed = 1;
    (void)state;
    world_init(&world);
    unsigned refused = 0;
    for (int i = 0; i < OLD; i++)
        for (int n = 0; n < DAMAGES; n++) {
            struct buffer payload = with_footer(old[i].body);
            size_t size = payload.size - RDB_FOOTER;
            for (uint64_t k = prng_below(&seed, 3); k < 3; k++)
                payload.data[prng_below(&seed, size)] ^= (char)(1 << prng_below(&seed, 8));
            seal(&payload);
            EXPECT(&world, "SET k before", OK);
            struct bytes reply = restore(&world, "k", buffer_bytes(&payload), "0");
            bool is_ok = bytes_equal(reply, bytes_from_string(OK));
            refused += !is_ok;
            if (!is_ok) {
                assert_memory_equal(reply.data, "-ERR ", 5);
                EXPECT(&world, "GET k", "$6\r\nbefore\r\n");
            }
            EXPECT(&world, "EXISTS k", ":1\r\n");
            buffer_deinit(&payload);
        }
    assert_in_range(refused, OLD * DAMAGES / 4, OLD * DAMAGES);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_what_a_redis_made),
        cmocka_unit_test(test_a_whole_payload_of_a_redis),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_large_ones_go_in_slices),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_a_large_stream_with_a_group),
        cmocka_unit_test(test_a_large_string),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_a_failed_restore_leaves_nothing),
        cmocka_unit_test(test_a_failed_stream_leaves_nothing),
        cmocka_unit_test(test_streams_that_say_what_cannot_be),
        cmocka_unit_test(test_an_intset_says_how_many_it_has),
        cmocka_unit_test(test_what_is_pending_with_nobody_or_twice),
        cmocka_unit_test(test_names_of_entries_are_bounded),
        cmocka_unit_test(test_what_is_unpacked_is_bounded),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
