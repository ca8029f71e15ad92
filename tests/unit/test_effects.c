/* What entries do to keys is told: all of it, once, in order, with the names that Redis gives to
 * it. */
#include "base/memory.h"
#include "server/changes.h"
#include "test_command.h"

#include "command/events.h"

/* ---- who listens ----------------------------------------------------------------------------- */

struct heard {
    struct command_listener listener; /* first */
    struct buffer text;               /* "set k, del 1:j": event, database unless 0, key */
    uint64_t index;                   /* of the entry that was heard of last */
    uint64_t effects;
    struct world *world; /* whose entries they are */
};

static void hear(struct command_listener *listener, uint64_t index, const struct db_effect *effect)
{
    static const char *const without_event[] = {[DB_EFFECT_FLUSHED] = "flushed",
                                                [DB_EFFECT_SWAPPED] = "swapped",
                                                [DB_EFFECT_MESSAGE] = "message"};
    struct heard *heard = (struct heard *)listener;
    assert_int_equal(index, heard->world->index); /* of the entry under way */
    assert_true(index >= heard->index);
    assert_true(!effect->event || events_class(effect->event) != 0);
    heard->index = index;
    heard->effects++;
    const char *event = effect->event ? effect->event : without_event[effect->type];
    buffer_printf(&heard->text, "%s%s", heard->text.size ? ", " : "", event);
    if (effect->type == DB_EFFECT_SWAPPED)
        buffer_printf(&heard->text, " %u:%u", effect->database, effect->other);
    else if (effect->type == DB_EFFECT_FLUSHED)
        buffer_printf(&heard->text, " %u", effect->database);
    else if (effect->database > 0)
        buffer_printf(&heard->text, " %u:%.*s", effect->database, (int)effect->key.size,
                      (const char *)effect->key.data);
    else
        buffer_printf(&heard->text, " %.*s", (int)effect->key.size, (const char *)effect->key.data);
}

static struct heard heard;

/* What the command that is typed does to keys. */
static void assert_effects(struct world *world, const char *line, const char *wanted)
{
    buffer_clear(&heard.text);
    world_type(world, line);
    if (!bytes_equal(buffer_bytes(&heard.text), bytes_from_string(wanted)))
        fail_msg("%s\n   did %.*s\nwanted %s", line, (int)heard.text.size, heard.text.data, wanted);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static const struct {
    const char *line, *effects;
} rows[] = {
    {"SET k 1", "set k"},
    {"SET k 1 NX", ""},
    {"SET no 1 XX", ""},
    {"SET k 2 GET", "set k"},
    {"SET k 2 IFEQ 3", ""},
    {"SET k 3 IFEQ 2", "set k"},
    {"SETNX k 1", ""},
    {"SETNX j 1", "set j"},
    {"GETSET j 2", "set j"},
    {"GETDEL j", "del j"},
    {"GETDEL j", ""},
    {"MSET a 1 b 2 a 3", "set a, set b, set a"},
    {"MSETNX c 1 a 2", ""},
    {"MSETNX c 1 d 2", "set c, set d"},
    {"APPEND k 0", "append k"},
    {"SETRANGE s 2 x", "setrange s"},
    {"SETRANGE s 2 \"\"", ""},
    {"INCR k", "incrby k"},
    {"DECR k", "incrby k"},
    {"INCRBY k 5", "incrby k"},
    {"DECRBY k 5", "incrby k"},
    {"INCRBYFLOAT k 1", "incrbyfloat k"},
    {"INCR s", ""}, /* an error */
    {"INCRBYFLOAT s 1", ""},
    {"CAS k 31 x", "set k"},
    {"CAS k 31 x", ""},
    {"CAD k y", ""},
    {"CAD k x", "del k"},
    {"DELEX a IFEQ 1", ""},
    {"DELEX a IFEQ 3", "del a"},
    {"DELEX b", "del b"},
    {"DELEX b", ""},
    {"DELIFEQ c 2", ""},
    {"DELIFEQ c 1", "del c"},
    {"DEL no d no s d", "del d, del s"},
    {"UNLINK no", ""},
    {"SET k 1", "set k"},
    {"RENAME k j", "rename_from k, rename_to j"},
    {"RENAME j j", ""},
    {"RENAME k j", ""},
    {"SET k 1", "set k"},
    {"RENAMENX k j", ""},
    {"RENAMENX k i", "rename_from k, rename_to i"},
    {"MOVE i 1", "move_from i, move_to 1:i"},
    {"MOVE i 1", ""},
    {"SWAPDB 0 1", "swapped 0:1"},
    {"GET i", ""},
    {"MGET i j", ""},
    {"SCAN 0", ""},
    {"SETBIT b 7 1", "setbit b"},
    {"SETBIT b 7 1", ""},
    {"GETBIT b 7", ""},
    {"BITFIELD b SET u8 0 1 GET u8 0", ""},
    {"BITFIELD b SET u8 0 7 INCRBY u8 8 1 SET u8 #2 3", "setbit b"},
    {"BITFIELD b OVERFLOW FAIL SET u2 0 5", ""},
    {"SETBIT b 600000 1", "setbit b"}, /* into pages */
    {"SETRANGE b 100000 x", "setrange b"},
    {"APPEND b x", "append b"},
    {"BITOP NOT d b", "set d"},
    {"BITOP AND d no no", "del d"},
    {"PFADD p a b c", "pfadd p"},
    {"PFADD p a", ""},
    {"PFCOUNT p", ""},
    {"PFMERGE q p", "pfadd q"},
    {"MSETEX 2 x 1 y 2 NX PX 100", "set x, expire x, set y, expire y"},
    {"MSETEX 2 x 1 y 2 NX", ""},
    {"DEL b p q x y", "del b, del p, del q, del x, del y"},
    {"ONCE c 1 SET k v", "set k"},
    {"ONCE c 1 SET k v", ""},
    {"ONCE c 2 GET k", ""},
    {"ONCE c 1 DEL k", ""},
    {"ONCE c 3 INCR k", ""},
    {"FLUSHDB", "flushed 0"},
    {"FLUSHALL", "flushed 0, flushed 1, flushed 2, flushed 3, flushed 4, flushed 5, flushed 6, "
                 "flushed 7, flushed 8, flushed 9, flushed 10, flushed 11, flushed 12, flushed 13, "
                 "flushed 14, flushed 15"},
};

static void test_each_command(void **state)
{
    struct world *world = *state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_effects(world, rows[i].line, rows[i].effects);
    assert_int_equal(world->last_class, COMMAND_WRITE);
    EXPECT(world, "SELECT 7", OK);
    assert_effects(world, "SET k 1", "set 7:k");
    assert_effects(world, "ONCE c 4 DEL k", "del 7:k");
}

/* A long command's are told when it ends; nothing of it stays. */
static void test_slices(void **state)
{
    struct world *world = *state;
    struct buffer line = {0}, wanted = {0};
    buffer_printf(&line, "UNLINK");
    for (int i = 0; i < 3000; i++) {
        char set[32];
        snprintf(set, sizeof set, "SET key:%d v", i);
        world_type(world, set);
        buffer_printf(&line, " key:%d", i);
        buffer_printf(&wanted, "%sdel key:%d", i ? ", " : "", i);
    }
    buffer_append_byte(&line, '\0');
    buffer_append_byte(&wanted, '\0');
    world->pauses = 0;
    assert_effects(world, line.data, wanted.data);
    assert_true(world->pauses > 0);
    assert_effects(world, "SET k v", "set k");
    buffer_deinit(&line);
    buffer_deinit(&wanted);
}

/* However many slices it takes; but two commands are two. */
static void test_one_key_in_slices(void **state)
{
    struct world *world = *state;
    struct buffer line = {0};
    static const char *const begin[] = {"SADD s", "ZADD z", "RPUSH l"};
    static const char *const wanted[] = {"sadd s", "zadd z", "rpush l"};
    for (unsigned i = 0; i < sizeof begin / sizeof *begin; i++) {
        buffer_clear(&line);
        buffer_printf(&line, "%s", begin[i]);
        for (int j = 0; j < 3000; j++)
            buffer_printf(&line, i == 1 ? " %d member:%d" : " %d:%d", j, j);
        buffer_append_byte(&line, '\0');
        world->pauses = 0;
        assert_effects(world, line.data, wanted[i]);
        assert_true(world->pauses > 0);
    }
    assert_effects(world, "INCR k", "incrby k");
    assert_effects(world, "INCR k", "incrby k");
    buffer_deinit(&line);
}

static void test_nobody_listens(void **state)
{
    struct world *world = *state;
    command_machine_listen(world->machine, NULL);
    assert_effects(world, "SET k v", "");
    command_machine_listen(world->machine, &heard.listener);
    assert_effects(world, "SET k v", "set k");
}

/* ---- the effects are the difference ---------------------------------------------------------- */

static const char *const keys[] = {"a", "b", "{a}c", "", "other"};
enum { KEYS = sizeof keys / sizeof keys[0], KEY_DATABASES = 3 };

/* Versions tell of every put, even of the same value. */
struct picture {
    bool exists[KEY_DATABASES][KEYS];
    uint64_t versions[KEY_DATABASES][KEYS];
};

static void take_picture(struct world *world, struct picture *picture)
{
    struct db_record found;
    *picture = (struct picture){0};
    for (unsigned i = 0; i < KEY_DATABASES; i++)
        for (unsigned k = 0; k < KEYS; k++) {
            picture->exists[i][k] = db_lookup(world->db, i, bytes_from_string(keys[k]), &found);
            picture->versions[i][k] = picture->exists[i][k] ? found.version : 0;
        }
}

struct follower {
    struct command_listener listener; /* first */
    struct picture picture;
};

static void follow(struct command_listener *listener, uint64_t index,
                   const struct db_effect *effect)
{
    struct picture *picture = &((struct follower *)listener)->picture;
    struct picture before = *picture;
    unsigned key = 0, database = effect->database, other = effect->other;
    switch (effect->type) {
    case DB_EFFECT_PUT:
    case DB_EFFECT_DELETED:
        while (!bytes_equal(effect->key, bytes_from_string(keys[key])))
            assert_true(++key < KEYS);
        assert_true(effect->type == DB_EFFECT_PUT || before.exists[database][key]);
        picture->exists[database][key] = effect->type == DB_EFFECT_PUT;
        picture->versions[database][key] = effect->type == DB_EFFECT_PUT ? index : 0;
        return;
    case DB_EFFECT_FLUSHED:
        memset(picture->exists[database], 0, sizeof before.exists[0]);
        memset(picture->versions[database], 0, sizeof before.versions[0]);
        return;
    case DB_EFFECT_MESSAGE: break;
    case DB_EFFECT_SWAPPED:
        memcpy(picture->exists[database], before.exists[other], sizeof before.exists[0]);
        memcpy(picture->exists[other], before.exists[database], sizeof before.exists[0]);
        memcpy(picture->versions[database], before.versions[other], sizeof before.versions[0]);
        memcpy(picture->versions[other], before.versions[database], sizeof before.versions[0]);
    }
}

static void type_something(struct world *world, uint64_t *seed)
{
    static const char *const lines[] = {
        "SET %s 1",     "INCR %s",         "APPEND %s x",     "DEL %s %s",
        "RENAME %s %s", "RENAMENX %s %s",  "MSET %s 1 %s 2",  "MSETNX %s 1 %s 2",
        "GETDEL %s",    "SET %s 1 XX",     "SETRANGE %s 1 x", "MOVE %s 2",
        "CAD %s 1",     "DELEX %s IFNE 1", "GETSET %s 7",     "ONCE c 1 SET %s v"};
    char line[128], one[16], other[16];
    snprintf(one, sizeof one, "\"%s\"", keys[prng_below(seed, KEYS)]);
    snprintf(other, sizeof other, "\"%s\"", keys[prng_below(seed, KEYS)]);
    switch (prng_below(seed, 40)) {
    case 0: snprintf(line, sizeof line, "FLUSHDB"); break;
    case 1:
        snprintf(line, sizeof line, "SWAPDB %d %d", (int)prng_below(seed, 3),
                 (int)prng_below(seed, 3));
        break;
    case 2:
    case 3: snprintf(line, sizeof line, "SELECT %d", (int)prng_below(seed, 3)); break;
    default: {
        const char *form = lines[prng_below(seed, sizeof lines / sizeof lines[0])];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(line, sizeof line, form, one, other);
#pragma GCC diagnostic pop
    }
    }
    world_type(world, line);
}

/* Who only follows the effects knows at every moment which keys there are, and when each was
 * changed. */
static void test_effects_are_the_difference(void **state)
{
    struct world *world = *state;
    struct follower follower = {.listener.effect = follow};
    struct picture picture;
    uint64_t seed = 7;
    command_machine_listen(world->machine, &follower.listener);
    for (int round = 0; round < 20000; round++) {
        type_something(world, &seed);
        if (prng_below(&seed, 50) == 0)
            db_checkpoint(world->db);
        take_picture(world, &picture);
        assert_memory_equal(&picture.versions, &follower.picture.versions, sizeof picture.versions);
        assert_memory_equal(&picture.exists, &follower.picture.exists, sizeof picture.exists);
    }
    command_machine_listen(world->machine, NULL);
}

/* ---- what INFO makes of them ----------------------------------------------------------------- */

static void test_changes_since_the_checkpoint(void **state)
{
    struct world *world = *state;
    struct server_changes *changes = server_changes_new(world->db);
    command_machine_listen(world->machine, server_changes_listener(changes));
    assert_int_equal(server_changes_count(changes), 0);
    world_type(world, "MSET a 1 b 2 c 3");
    world_type(world, "DEL a no");
    world_type(world, "INCR a x");
    assert_int_equal(server_changes_count(changes), 4);
    db_checkpoint(world->db);
    assert_int_equal(server_changes_count(changes), 0);
    world_type(world, "SET a 1");
    world_type(world, "SET a 1");
    assert_int_equal(server_changes_count(changes), 2);
    world_type(world, "PUBLISH a b"); /* which changes nothing */
    assert_int_equal(server_changes_count(changes), 2);
    /* A checkpoint without a change before it, and one behind it. */
    world_type(world, "DEL no");
    db_checkpoint(world->db);
    world_type(world, "DEL no");
    db_checkpoint(world->db);
    assert_int_equal(server_changes_count(changes), 0);
    world_type(world, "SET a 1");
    assert_int_equal(server_changes_count(changes), 1);
    command_machine_listen(world->machine, NULL);
    server_changes_free(changes);
}

static void wake(void *context)
{
    (void)context;
}

/* While a checkpoint is under way, what it will store counts as well. */
static void test_changes_beside_a_checkpoint(void **state)
{
    struct world *world = *state;
    static const struct db_options options = {
        .cluster = 1, .checkpoint_bytes = 1 << 20, .wake = wake};
    command_machine_free(world->machine);
    db_close(world->db);
    world->db = db_open(world->kv, &options);
    world->machine = command_machine_new(world->db, command_meaning_newest);
    struct server_changes *changes = server_changes_new(world->db);
    command_machine_listen(world->machine, server_changes_listener(changes));
    world_type(world, "MSET a 1 b 2 c 3");
    for (uint64_t stored = 3; stored < 6; stored++) {
        db_checkpoint(world->db);
        assert_int_equal(server_changes_count(changes), stored);
        for (uint64_t i = 0; i < stored + 1; i++)
            world_type(world, "SET a 1");
        assert_int_equal(server_changes_count(changes), 2 * stored + 1);
        db_wait(world->db);
        assert_int_equal(server_changes_count(changes), stored + 1);
    }
    /* All is stored, and that was not noticed before the next began. */
    db_checkpoint(world->db);
    db_wait(world->db);
    world_type(world, "DEL no");
    db_checkpoint(world->db);
    assert_int_equal(server_changes_count(changes), 0);
    db_wait(world->db);
    command_machine_listen(world->machine, NULL);
    server_changes_free(changes);
}

static int setup(void **state)
{
    world_set_up(state);
    heard = (struct heard){.listener.effect = hear, .world = *state};
    command_machine_listen(((struct world *)*state)->machine, &heard.listener);
    return 0;
}

static int teardown(void **state)
{
    world_tear_down(state);
    buffer_deinit(&heard.text);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_command),
        TEST(test_slices),
        TEST(test_one_key_in_slices),
        TEST(test_nobody_listens),
        TEST(test_effects_are_the_difference),
        TEST(test_changes_since_the_checkpoint),
        TEST(test_changes_beside_a_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
