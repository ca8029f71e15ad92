/* Strings in pages: against a plain array of bytes, in every form, with checkpoints in between;
 * what a change and a look cost; entries of before. */
#include "test_command.h"

enum { SIZE_MAX_BYTES = 400 * 1024, STEPS = 3000 };

struct model {
    struct world world;
    uint64_t seed;
    char *bytes; /* of the key "k", zeros behind them */
    size_t size;
};

static size_t below(struct model *model, size_t bound)
{
    return (size_t)prng_below(&model->seed, bound);
}

static struct bytes run(struct model *model, uint32_t argc, const struct bytes *argv)
{
    buffer_clear(&model->world.connection.out.bytes);
    world_run(&model->world, argv, argc);
    return buffer_bytes(&model->world.connection.out.bytes);
}

static void expect_number(struct model *model, uint32_t argc, const struct bytes *argv,
                          size_t number)
{
    char wanted[32];
    snprintf(wanted, sizeof wanted, ":%zu\r\n", number);
    struct bytes got = run(model, argc, argv);
    if (!bytes_equal(got, bytes_from_string(wanted)))
        fail_msg("%.*s: got %.*s, wanted %s", (int)argv[0].size, (const char *)argv[0].data,
                 (int)got.size, (const char *)got.data, wanted);
}

static void expect_bulk(struct model *model, const char *line, struct bytes wanted)
{
    struct buffer reply = {0};
    buffer_printf(&reply, "$%zu\r\n", wanted.size);
    buffer_append_bytes(&reply, wanted);
    buffer_append(&reply, "\r\n", 2);
    struct bytes got = world_type(&model->world, line);
    if (!bytes_equal(got, buffer_bytes(&reply)))
        fail_msg("%s: %zu bytes are not the %zu wanted", line, got.size, reply.size);
    buffer_deinit(&reply);
}

/* Some bytes, of any value, often zeros; at most `most`. */
static struct bytes draw(struct model *model, char *into, size_t most)
{
    size_t size = 1 + below(model, below(model, 3) ? 40 : most);
    memset(into, below(model, 3) ? (int)below(model, 256) : 0, size);
    return bytes_of(into, size);
}

static void set(struct model *model)
{
    static char part[SIZE_MAX_BYTES];
    struct bytes value = draw(model, part, below(model, 2) ? 100 : sizeof part);
    struct bytes argv[] = {bytes_from_string("SET"), bytes_from_string("k"), value};
    assert_true(bytes_equal(run(model, 3, argv), bytes_from_string(OK)));
    memset(model->bytes, 0, SIZE_MAX_BYTES);
    memcpy(model->bytes, value.data, value.size);
    model->size = value.size;
}

static void write_at(struct model *model, bool appends)
{
    static char part[20000];
    struct bytes value = draw(model, part, sizeof part);
    size_t offset = appends ? model->size : below(model, SIZE_MAX_BYTES - sizeof part);
    char text[32];
    if (offset + value.size > SIZE_MAX_BYTES)
        return;
    snprintf(text, sizeof text, "%zu", offset);
    memcpy(model->bytes + offset, value.data, value.size);
    if (offset + value.size > model->size)
        model->size = offset + value.size;
    struct bytes append[] = {bytes_from_string("APPEND"), bytes_from_string("k"), value};
    struct bytes setrange[] = {bytes_from_string("SETRANGE"), bytes_from_string("k"),
                               bytes_from_string(text), value};
    expect_number(model, appends ? 3 : 4, appends ? append : setrange, model->size);
}

static void set_bit(struct model *model)
{
    size_t offset = below(model, SIZE_MAX_BYTES);
    unsigned bit = (unsigned)below(model, 8), value = (unsigned)below(model, 2);
    unsigned mask = 0x80u >> bit, before = (unsigned char)model->bytes[offset];
    char line[64], wanted[16];
    snprintf(line, sizeof line, "SETBIT k %zu %u", 8 * offset + bit, value);
    snprintf(wanted, sizeof wanted, ":%d\r\n", (before & mask) != 0);
    EXPECT(&model->world, line, wanted);
    model->bytes[offset] = (char)(value ? before | mask : before & ~mask);
    if (offset >= model->size)
        model->size = offset + 1;
}

static void look_at(struct model *model)
{
    char line[64];
    size_t from = below(model, SIZE_MAX_BYTES), size = 1 + below(model, 20000);
    size_t end = from + size > model->size ? model->size : from + size;
    snprintf(line, sizeof line, "GETRANGE k %zu %zu", from, from + size - 1);
    if (from < end)
        expect_bulk(model, line, bytes_of(model->bytes + from, end - from));
    else
        expect_bulk(model, line, bytes_of("", 0));
}

static void count_bits(struct model *model)
{
    size_t count = 0;
    struct bytes argv[] = {bytes_from_string("BITCOUNT"), bytes_from_string("k")};
    for (size_t i = 0; i < model->size; i++)
        count += (size_t)__builtin_popcount((unsigned char)model->bytes[i]);
    expect_number(model, 2, argv, count);
}

/* What goes on with the whole of it. */
static void move(struct model *model)
{
    struct world *world = &model->world;
    switch (below(model, 5)) {
    case 0:
        EXPECT(world, "RENAME k other", OK);
        EXPECT(world, "EXISTS k", ":0\r\n");
        EXPECT(world, "RENAME other k", OK);
        break;
    case 1:
        EXPECT(world, "COPY k other REPLACE", ":1\r\n");
        world_type(world, "SETRANGE k 70000 gone");
        EXPECT(world, "RENAME other k", OK);
        break;
    case 2:
        EXPECT(world, "EXPIRE k 100", ":1\r\n");
        EXPECT(world, "TTL k", ":100\r\n");
        EXPECT(world, "PERSIST k", ":1\r\n");
        break;
    case 3:
        EXPECT(world, "MOVE k 3", ":1\r\n");
        EXPECT(world, "SELECT 3", OK);
        EXPECT(world, "MOVE k 0", ":1\r\n");
        EXPECT(world, "SELECT 0", OK);
        break;
    case 4: expect_bulk(model, "GETEX k PX 5000", bytes_of(model->bytes, model->size)); break;
    }
}

static void step(struct model *model)
{
    switch (below(model, 24)) {
    case 0: set(model); break;
    case 1:
        world_type(&model->world, "DEL k");
        model->size = 0;
        memset(model->bytes, 0, SIZE_MAX_BYTES);
        set_bit(model);
        break;
    case 2:
    case 3: move(model); break;
    case 4: db_checkpoint(model->world.db); break;
    case 5: count_bits(model); break;
    case 6: expect_bulk(model, "GET k", bytes_of(model->bytes, model->size)); break;
    case 7:
    case 8:
    case 9:
    case 10: look_at(model); break;
    case 11:
    case 12:
    case 13:
    case 14: set_bit(model); break;
    case 15:
    case 16:
    case 17: write_at(model, true); break;
    default: write_at(model, false); break;
    }
}

static void test_model(void **state)
{
    static struct model model;
    (void)state;
    world_init(&model.world);
    model.seed = 1;
    model.bytes = memory_new(SIZE_MAX_BYTES + 1);
    set(&model);
    for (int i = 0; i < STEPS; i++) {
        step(&model);
        struct bytes argv[] = {bytes_from_string("STRLEN"), bytes_from_string("k")};
        expect_number(&model, 2, argv, model.size);
    }
    expect_bulk(&model, "GET k", bytes_of(model.bytes, model.size));
    memory_free(model.bytes);
    world_deinit(&model.world);
}

/* ---- costs -------------------------------------------------------------------------------- */

static uint64_t work_of(struct world *world, const char *line, const char *wanted)
{
    uint64_t before = db_work(world->db);
    EXPECT(world, line, wanted);
    return db_work(world->db) - before;
}

static void test_costs(void **state)
{
    struct world world;
    struct db_stats stats;
    (void)state;
    world_init(&world);
    world.value_max = 512 << 20;
    /* The largest there is, of which nothing was written: one page. */
    assert_true(work_of(&world, "SETBIT k 4294967295 1", ":0\r\n") < 20000);
    EXPECT(&world, "STRLEN k", ":536870912\r\n");
    EXPECT(&world, "SETRANGE k 536870912 x",
           "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    EXPECT(&world, "APPEND k x",
           "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    db_stats(world.db, &stats);
    assert_true(stats.dirty_bytes < 100000);
    /* Before a checkpoint and after it, when it comes from the kv. */
    for (int i = 0; i < 2; i++) {
        assert_true(work_of(&world, "SETBIT k 2000000000 1", i ? ":1\r\n" : ":0\r\n") < 20000);
        assert_true(work_of(&world, "SETRANGE k 100000 abc", ":536870912\r\n") < 40000);
        assert_true(work_of(&world, "GETBIT k 2000000001", ":0\r\n") < 20000);
        assert_true(work_of(&world, "STRLEN k", ":536870912\r\n") < 20000);
        assert_true(work_of(&world, "EXPIRE k 1000", ":1\r\n") < 20000);
        db_checkpoint(world.db);
    }
    assert_true(work_of(&world, "RENAME k l", OK) < 40000);
    assert_true(work_of(&world, "DEL l", ":1\r\n") < 40000);
    world_deinit(&world);
}

/* To put a plain one into pages takes slices, to read one takes slices; BITOP makes one. */
static void test_slices(void **state)
{
    enum { SIZE = 5 << 20 };
    struct world world;
    (void)state;
    world_init(&world);
    char *ones = memory_resize(NULL, SIZE);
    memset(ones, 0xff, SIZE);
    struct bytes argv[] = {bytes_from_string("SET"), bytes_from_string("k"), bytes_of(ones, SIZE)};
    world.meaning = 5; /* it leaves a plain one */
    world_run(&world, argv, 3);
    world.meaning = command_meaning_newest;
    EXPECT(&world, "EXPIRE k 1000", ":1\r\n");
    world.pauses = 0;
    EXPECT(&world, "SETBIT k 9 0", ":1\r\n");
    assert_int_equal(world.pauses, 4);
    EXPECT(&world, "TTL k", ":1000\r\n");
    world.pauses = 0;
    EXPECT(&world, "SETBIT k 8 0", ":1\r\n");
    assert_int_equal(world.pauses, 0);
    EXPECT(&world, "BITFIELD k SET u2 8 3", "*1\r\n:0\r\n");
    world.pauses = 0;
    struct bytes reply = world_type(&world, "GET k");
    assert_int_equal(world.pauses, 4);
    assert_int_equal(reply.size, SIZE + 12);
    assert_memory_equal((const char *)reply.data + 10, ones, SIZE);
    world.pauses = 0;
    EXPECT(&world, "BITOP NOT d k", ":5242880\r\n");
    assert_int_equal(world.pauses, 8); /* five of the source, the last with the first of five of
                                          the result, whose last is no pause */
    EXPECT(&world, "BITCOUNT d", ":0\r\n");
    EXPECT(&world, "BITOP OR d d k d", ":5242880\r\n");
    EXPECT(&world, "BITCOUNT d", ":41943040\r\n");
    EXPECT(&world, "TTL d", ":-1\r\n");
    memory_free(ones);
    world_deinit(&world);
}

/* ---- entries of before ---------------------------------------------------------------------- */

/* They leave a plain value, whatever its size, and the same data as before. */
static void test_old_entries(void **state)
{
    struct world world;
    struct db_record found;
    (void)state;
    world_init(&world);
    world.meaning = 3;
    EXPECT(&world, "SETRANGE k 100000 x", ":100001\r\n");
    EXPECT(&world, "APPEND k y", ":100002\r\n");
    assert_true(db_lookup(world.db, 0, bytes_from_string("k"), &found));
    assert_int_equal(found.space, 0);
    assert_int_equal(found.size, 100002);
    world.meaning = 4;
    EXPECT(&world, "SETRANGE k 100001 z", ":100002\r\n");
    assert_true(db_lookup(world.db, 0, bytes_from_string("k"), &found));
    assert_int_not_equal(found.space, 0);
    assert_int_equal(found.size, 100002);
    EXPECT(&world, "GETRANGE k -2 -1", "$2\r\nxz\r\n");
    world_deinit(&world);
}

/* A change in place is a change for WATCH, and one event. */
static void test_versions(void **state)
{
    struct world world;
    struct db_record before, after;
    (void)state;
    world_init(&world);
    EXPECT(&world, "SETBIT k 800000 1", ":0\r\n");
    assert_true(db_lookup(world.db, 0, bytes_from_string("k"), &before));
    EXPECT(&world, "SETBIT k 800000 1", ":1\r\n"); /* none */
    assert_true(db_lookup(world.db, 0, bytes_from_string("k"), &after));
    assert_int_equal(before.version, after.version);
    EXPECT(&world, "SETBIT k 800001 1", ":0\r\n");
    assert_true(db_lookup(world.db, 0, bytes_from_string("k"), &after));
    assert_true(after.version > before.version);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),    cmocka_unit_test(test_costs),
        cmocka_unit_test(test_slices),   cmocka_unit_test(test_old_entries),
        cmocka_unit_test(test_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
