/* Reads while an entry is half done: whatever it has changed, they see the state before it; and the
 * layer that it had for that is one with the one below again. */
#include <stdio.h>

#include "command/commands.h"
#include "command/watch.h"
#include "data/layers.h"
#include "test_command.h"

/* ---- reads beside a script --------------------------------------------------------------- */

/* Changes all there is, for longer than a slice, and comes to nothing. */
static const char destroyer[] =
    "EVAL \"redis.call('flushall') for i = 0, 15 do redis.call('select', i) "
    "redis.call('set', 'string', 'new') redis.call('sadd', 'hash', 'new') "
    "redis.call('set', 'added', 1) redis.call('swapdb', 0, 1) end "
    "for i = 1, 2000000 do end error('undone')\" 0";

/* The same, of what is there. */
static const char changer[] =
    "EVAL \"redis.call('set', 'added', 1) redis.call('del', 'string', 'list', 'zset') "
    "redis.call('sadd', 'large', 'new') redis.call('srem', 'large', 77) "
    "redis.call('hset', 'largehash', 'new', 1, 77, 'new') redis.call('zadd', 'largezset', 0, "
    "'new') "
    "redis.call('sadd', 'set', 'new') redis.call('xadd', 'stream', '*', 'c', 'd') "
    "redis.call('setrange', 'pages', 99995, 'new') redis.call('persist', 'timed') "
    "for i = 1, 2000000 do end error('undone')\" 0";

struct entry_under_way {
    struct apply_context context;
    struct blob *command;
    struct buffer reply;
};

static struct blob *encode(struct world *world, const char *line)
{
    struct buffer input = {0};
    const struct command *command;
    size_t consumed;
    uint32_t argc;
    buffer_printf(&input, "%s\r\n", line);
    assert_int_equal(resp_parse(world->parser, input.data, input.size, &consumed), RESP_COMMAND);
    const struct bytes *argv = resp_argv(world->parser, &argc);
    enum command_class class = command_classify(&world->connection, argv, argc, &command);
    assert_true(class == COMMAND_READ || class == COMMAND_WRITE);
    struct blob *blob = command_take_request(&world->connection, command, argv, argc, NULL);
    buffer_deinit(&input);
    return blob;
}

static bool slice(struct world *world, struct entry_under_way *entry)
{
    return world->machine->ops->apply(world->machine, &entry->context, blob_bytes(entry->command),
                                      2, &entry->reply);
}

static void begin_entry(struct world *world, struct entry_under_way *entry, const char *line,
                        bool is_read_before)
{
    *entry = (struct entry_under_way){.context = {.pos = {.term = 1, .index = ++world->index},
                                                  .meaning = world->meaning,
                                                  .now_ms = world->now_ms,
                                                  .seed = world->index,
                                                  .is_read_before = is_read_before},
                                      .command = encode(world, line)};
    assert_false(slice(world, entry));
}

static void end_entry(struct world *world, struct entry_under_way *entry, bool is_finished)
{
    while (!is_finished && !slice(world, entry))
        ;
    world->machine->ops->applied(world->machine, entry->context.pos, world->now_ms, world->meaning);
    blob_release(entry->command);
    buffer_deinit(&entry->reply);
}

/* False: not now. */
static bool read_line(struct world *world, const char *line, int64_t until_ms, struct buffer *out)
{
    struct apply_context context = {.meaning = command_meaning_newest,
                                    .database = world->connection.database,
                                    .now_ms = world->now_ms,
                                    .until_ms = until_ms};
    struct blob *command = encode(world, line);
    void *reading = NULL;
    bool is_done;
    buffer_clear(out);
    do
        is_done = world->machine->ops->read(world->machine, &reading, &context, blob_bytes(command),
                                            3, out, NULL);
    while (!is_done && reading);
    blob_release(command);
    return is_done;
}

static const char *const data[] = {
    "SET string value",
    "SETRANGE pages 100000 x",
    "SET timed v PX 1000",
    "HSET hash a 1 b 2",
    "HSET timedhash a 1 b 2",
    "HPEXPIRE timedhash 1000 FIELDS 1 a",
    "SADD set 1 2 3",
    "SADD other 2 3 x",
    "ZADD zset 1 a 2 b 3 c",
    "RPUSH list a b c",
    "XADD stream 1-1 a b",
    "XGROUP CREATE stream group 0",
    "SETBIT bits 77 1",
    "PFADD hll a b c",
    "GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "EVAL \"for i = 1, 1000 do redis.call('sadd', 'large', i) redis.call('hset', 'largehash', i, "
    "i) "
    "redis.call('zadd', 'largezset', i, i) end\" 0",
    "SELECT 3",
    "SET string third",
    "SELECT 0",
};

/* At least one of each kind of look. */
static const char *const reads[] = {
    "GET string",
    "GET pages",
    "GETRANGE pages 99990 100010",
    "STRLEN pages",
    "MGET string timed no",
    "EXISTS string hash added",
    "TYPE hash",
    "TTL timed",
    "PTTL string",
    "EXPIRETIME timed",
    "OBJECT ENCODING large",
    "HGET hash a",
    "HGETALL hash",
    "HLEN largehash",
    "HGET largehash 77",
    "HTTL timedhash FIELDS 2 a b",
    "HGETALL timedhash",
    "HSCAN largehash 0 COUNT 2000",
    "SMEMBERS large",
    "SISMEMBER large 77",
    "SCARD large",
    "SINTER set other",
    "SUNION large other",
    "SDIFF set other",
    "SINTERCARD 2 set other",
    "SSCAN set 0",
    "ZRANGE largezset 0 -1",
    "ZSCORE zset b",
    "ZRANK largezset 500",
    "ZCOUNT largezset 10 200",
    "ZUNION 2 zset largezset",
    "LRANGE list 0 -1",
    "LINDEX list 1",
    "LLEN list",
    "LPOS list b",
    "XRANGE stream - +",
    "XLEN stream",
    "XINFO STREAM stream",
    "XINFO GROUPS stream",
    "XREAD STREAMS stream 0",
    "GETBIT bits 77",
    "BITCOUNT bits",
    "BITPOS bits 1",
    "PFCOUNT hll",
    "GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km ASC",
    "GEOPOS geo Palermo",
    "SORT_RO set DESC",
    "SORT_RO list BY nosort GET string",
    "DUMP large",
    "SCAN 0 COUNT 100",
    "KEYS *",
    "MEMORY USAGE large",
    "LCS string timed",
    "DIGEST string",
    "WATCH string no",
    "EVAL_RO \"return {redis.call('get', 'string'), redis.call('exists', 'hash', 'added')}\" 0",
    "SCRIPT EXISTS 0000000000000000000000000000000000000000",
    "FUNCTION LIST",
};

static void fill(struct world *world)
{
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        assert_int_not_equal(*(const char *)world_type(world, data[i]).data, '-');
}

static void expect_as_before(struct world *world, const char *line, struct buffer *wanted)
{
    struct buffer got = {0};
    assert_true(read_line(world, line, 0, &got));
    if (!bytes_equal(buffer_bytes(&got), buffer_bytes(wanted)))
        fail_msg("%s\n   got %.*s\nwanted %.*s", line, (int)got.size, got.data, (int)wanted->size,
                 wanted->data);
    buffer_deinit(&got);
}

static void reads_see_what_was_before(void **state)
{
    enum { READS = sizeof reads / sizeof *reads };
    static struct buffer wanted[READS];
    struct world *world = *state;
    struct entry_under_way entry;
    for (int turn = 0; turn < 4; turn++) {
        fill(world);
        if (turn % 2)
            db_checkpoint(world->db);
        for (int i = 0; i < READS; i++)
            assert_true(read_line(world, reads[i], 0, &wanted[i]));
        begin_entry(world, &entry, turn / 2 ? destroyer : changer, true);
        for (int i = 0; i < READS; i++)
            expect_as_before(world, reads[i], &wanted[i]);
        world->connection.database = 3;
        struct buffer third = {0};
        assert_true(read_line(world, "GET string", 0, &third));
        assert_memory_equal(third.data, "$5\r\nthird", 9);
        buffer_deinit(&third);
        world->connection.database = 0;
        end_entry(world, &entry, false);
        for (int i = 0; i < READS; i++)
            expect_as_before(world, reads[i], &wanted[i]); /* it was undone */
        world_type(world, "FLUSHALL");
    }
    for (int i = 0; i < READS; i++)
        buffer_deinit(&wanted[i]);
}

/* Counts of keys are the present ones alone. */
static void what_counts_keys_waits(void **state)
{
    static const char *const lines[] = {"DBSIZE", "RANDOMKEY"};
    struct world *world = *state;
    struct entry_under_way entry;
    struct buffer out = {0};
    fill(world);
    begin_entry(world, &entry, destroyer, true);
    for (size_t i = 0; i < 2; i++)
        assert_false(read_line(world, lines[i], 0, &out));
    assert_true(read_line(world, "GET string", 0, &out));
    end_entry(world, &entry, false);
    for (size_t i = 0; i < 2; i++)
        assert_true(read_line(world, lines[i], 0, &out));
    buffer_deinit(&out);
}

static void nothing_is_read_where_nobody_wanted_to(void **state)
{
    struct world *world = *state;
    struct entry_under_way entry;
    struct buffer out = {0};
    fill(world);
    begin_entry(world, &entry, destroyer, false);
    assert_false(world->machine->ops->is_read_before(world->machine));
    assert_false(read_line(world, "GET string", 0, &out));
    end_entry(world, &entry, false);
    assert_true(read_line(world, "GET string", 0, &out));
    buffer_deinit(&out);
}

/* A read comes a second later than the state is: what has a deadline in that second is in doubt,
 * and nothing else. */
static void deadlines_in_between_are_waited_for(void **state)
{
    struct world *world = *state;
    struct entry_under_way entry;
    struct buffer out = {0};
    int64_t until_ms = world->now_ms + 1000;
    fill(world);
    begin_entry(world, &entry, destroyer, true);
    assert_int_equal(world->machine->ops->due_ms(world->machine), until_ms);
    assert_true(read_line(world, "GET string", until_ms, &out));
    assert_true(read_line(world, "HGET hash a", until_ms, &out));
    assert_false(read_line(world, "GET timed", until_ms, &out));
    assert_false(read_line(world, "EXISTS string timed", until_ms, &out));
    assert_false(read_line(world, "HGET timedhash b", until_ms, &out));
    assert_false(read_line(world, "KEYS *", until_ms, &out));
    assert_true(read_line(world, "GET timed", until_ms - 1, &out));
    assert_true(read_line(world, "HGET timedhash a", until_ms - 1, &out));
    end_entry(world, &entry, false);
    buffer_deinit(&out);
}

/* What is repeated in several slices is told once, whether somebody reads in between or not. */
static uint64_t changes_of(struct world *world, const char *line, const char *read)
{
    struct entry_under_way entry;
    struct buffer out = {0};
    uint64_t before = command_history_count(world->history);
    unsigned slices = 1;
    begin_entry(world, &entry, line, true);
    do {
        slices++;
        if (read)
            assert_true(read_line(world, read, 0, &out));
    } while (!slice(world, &entry));
    assert_true(slices > 2);
    end_entry(world, &entry, true);
    buffer_deinit(&out);
    return command_history_count(world->history) - before;
}

static void what_reads_in_between_leaves_no_trace(void **state)
{
    static const char load[] =
        "EVAL \"for i = 1, 40000 do redis.call('rpush', 'long', i % 7) end\" 0";
    struct world *world = *state;
    world_type(world, load);
    uint64_t changes = changes_of(world, "LREM long 0 3", NULL);
    world_type(world, "DEL long");
    world_type(world, load);
    assert_int_equal(changes_of(world, "LREM long 0 3", "LLEN long"), changes);
}

static void a_watch_tells_what_was_before(void **state)
{
    static const char told[] = "string\r\n$5\r\nvalue\r\n";
    struct world *world = *state;
    struct entry_under_way entry;
    world->connection.protocol = 3;
    EXPECT(world, "SET string value", OK);
    EXPECT(world, "RAFT.WATCH FROM 0 VALUES", "$1\r\n0\r\n");
    begin_entry(world, &entry, destroyer, true);
    struct buffer *out = &world->connection.out.bytes;
    buffer_clear(out);
    assert_int_equal(command_watch_feed(world->connection.watch, world->history, false, 3,
                                        &world->connection.out),
                     WATCH_IDLE);
    assert_non_null(memmem(out->data, out->size, told, strlen(told)));
    end_entry(world, &entry, false);
}

static void a_transaction_is_as_long_as_what_it_carries(void **state)
{
    struct world *world = *state;
    struct entry_under_way entry;
    struct buffer out = {0};
    EXPECT(world, "SET string value", OK);
    EXPECT(world, "MULTI", OK);
    EXPECT(world, "SET string new", "+QUEUED\r\n");
    EXPECT(world, destroyer, "+QUEUED\r\n");
    begin_entry(world, &entry, "EXEC", true);
    assert_true(read_line(world, "GET string", 0, &out));
    assert_memory_equal(out.data, "$5\r\nvalue", 9);
    end_entry(world, &entry, false);
    assert_true(read_line(world, "GET string", 0, &out));
    assert_memory_equal(out.data, "$3\r\nnew", 7);
    buffer_deinit(&out);
}

/* Which commands are worth it. */
static void what_may_take_long(void **state)
{
    static const struct {
        const char *line;
        bool may;
    } cases[] = {
        {"SET k v", false},
        {"LPOP k", false},
        {"LPOP k 100000", true},
        {"SUNIONSTORE k a b", true},
        {"EVAL x 0", true},
        {"ONCE c 1 SET k v", false},
        {"ONCE c 1 SUNIONSTORE k a b", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes argv[8];
        char text[64];
        struct call call = {.argv = argv};
        snprintf(text, sizeof text, "%s", cases[i].line);
        for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
            argv[call.argc++] = bytes_from_string(word);
        call.command = command_find(argv, call.argc);
        assert_int_equal(command_may_take_long(&call), cases[i].may);
        call.argc = 5000;
        assert_true(command_may_take_long(&call));
    }
}

/* ---- layers ------------------------------------------------------------------------------ */

static void put(struct db *db, const char *key, const char *value)
{
    db_effects_name(db, "set");
    db_put(db, 0, bytes_from_string(key), DB_STRING, bytes_from_string(value), 0);
}

static void apply(struct db *db)
{
    db_applied(db, db_applied_index(db) + 1, 1, 1);
}

/* An entry that changes something, and has a layer of its own for it. */
static void begin(struct db *db)
{
    assert_true(db_part(db));
    put(db, "k", "new");
}

static struct db *open_db(struct kv **kv)
{
    static const struct db_options options = {.cluster = 1, .checkpoint_bytes = 64 << 20};
    *kv = kv_memory_open();
    struct db *db = db_open(*kv, &options);
    put(db, "k", "old");
    apply(db);
    return db;
}

static void close_db(struct db *db, struct kv *kv)
{
    db_close(db);
    kv->ops->close(kv);
}

static void small_layers_are_joined(void **state)
{
    struct kv *kv;
    struct db *db = open_db(&kv);
    (void)state;
    for (int i = 0; i < 3 * LAYERS_MAX; i++) {
        begin(db);
        assert_int_equal(db->count, 1);
        apply(db);
        assert_int_equal(db->count, 0);
    }
    assert_true(db_resolve(db, 100));
    assert_int_equal(db_size(db, 0), 1);
    /* Below an empty one there is nothing to keep apart. */
    db_checkpoint(db);
    unsigned count = db->count;
    begin(db);
    assert_int_equal(db->count, count);
    apply(db);
    close_db(db, kv);
}

static void a_view_keeps_them_apart(void **state)
{
    struct kv *kv;
    struct db *db = open_db(&kv);
    struct bytes value;
    (void)state;
    begin(db);
    struct db_view *view = db_view_new(db);
    assert_non_null(view);
    apply(db);
    assert_int_equal(db->count, 1);
    assert_int_equal(db_view_get(view, 0, bytes_from_string("k"), &value), DB_STRING);
    assert_true(bytes_equal(value, bytes_from_string("old")));
    db_view_release(view);
    close_db(db, kv);
}

static void many_changes_and_other_spaces_stay_apart(void **state)
{
    struct kv *kv;
    struct db *db = open_db(&kv);
    char key[16];
    (void)state;
    begin(db);
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "%d", i);
        put(db, key, "v");
    }
    apply(db);
    assert_int_equal(db->count, 1);
    begin(db);
    db_flush(db, 0);
    apply(db);
    assert_int_equal(db->count, 2);
    assert_int_equal(db_size(db, 0), 0);
    close_db(db, kv);
}

/* Then a checkpoint makes room, and until then nothing is read meanwhile. */
static void too_many_layers_are_not_made(void **state)
{
    struct kv *kv;
    struct db *db = open_db(&kv);
    struct db_view *views[LAYERS_MAX] = {0};
    unsigned parted = 0, kept = 0;
    (void)state;
    for (; parted < LAYERS_MAX / 2; parted++) {
        begin(db);
        views[kept++] = db_view_new(db);
        apply(db);
    }
    assert_int_equal(db->count, LAYERS_MAX / 2); /* other views have places left */
    assert_true(db_part(db)); /* by a checkpoint: what is written below is empty */
    assert_int_equal(db_persisted_index(db), db_applied_index(db));
    put(db, "k", "newest");
    apply(db);
    while (kept > 0)
        db_view_release(views[--kept]);
    close_db(db, kv);
}

/* What is written without a look is counted as new, but for what the layer right below says; a
 * collection that it is written over is gone with its rows. */
static void joining_leaves_nothing_behind(void **state)
{
    struct kv *kv;
    struct db *db = open_db(&kv);
    struct bytes key = bytes_from_string("collection"), field = bytes_from_string("f"), value;
    (void)state;
    struct db_record record = {.type = DB_HASH, .space = db_space_new(db, 0)};
    db_effects_name(db, "hset");
    db_row_put(db, record.space, db_row_word(db, field), field, field);
    db_put_collection(db, 0, key, &record, key);
    apply(db);
    begin(db);
    put(db, "collection", "string");
    put(db, "other", "string");
    assert_true(db_delete(db, 0, bytes_from_string("other")));
    apply(db);
    assert_int_equal(db->count, 0);
    assert_int_equal(db_size(db, 0), 2);
    assert_false(db_row_get(db, NULL, record.space, db_row_word(db, field), field, &value));
    assert_int_equal(overlay_entries(&db->active->tables[TABLE_ROWS], record.space), 0);
    db_hash(db); /* dies if a count is wrong */
    close_db(db, kv);
}

#define in_world(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(reads_see_what_was_before),
        in_world(what_counts_keys_waits),
        in_world(nothing_is_read_where_nobody_wanted_to),
        in_world(deadlines_in_between_are_waited_for),
        in_world(what_reads_in_between_leaves_no_trace),
        in_world(a_watch_tells_what_was_before),
        in_world(a_transaction_is_as_long_as_what_it_carries),
        cmocka_unit_test(what_may_take_long),
        cmocka_unit_test(small_layers_are_joined),
        cmocka_unit_test(a_view_keeps_them_apart),
        cmocka_unit_test(many_changes_and_other_spaces_stay_apart),
        cmocka_unit_test(too_many_layers_are_not_made),
        cmocka_unit_test(joining_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
