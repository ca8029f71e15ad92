/* RAFT.WATCH: what is told from which position, and that nothing is missing or twice. */
#include "test_command.h"

#include <inttypes.h>

#include "command/watch.h"

static enum watch_fed feed_some(struct world *world, bool says_position)
{
    struct connection *connection = &world->connection;
    return command_watch_feed(connection->watch, world->history, says_position,
                              connection->protocol, &connection->out);
}

/* What is told now, borrowed. */
static struct bytes feed(struct world *world, bool says_position)
{
    buffer_clear(&world->connection.out.bytes);
    while (feed_some(world, says_position) == WATCH_MORE)
        ;
    return buffer_bytes(&world->connection.out.bytes);
}

static void expect_fed(struct world *world, const char *wanted)
{
    struct bytes got = feed(world, false);
    if (!bytes_equal(got, bytes_from_string(wanted)))
        fail_msg("got %.*s\nwanted %s", (int)got.size, (const char *)got.data, wanted);
}

/* One change: `position` and the rest, with lengths as in RESP. */
#define CHANGE5 "*5\r\n$11\r\nraft.change\r\n"
#define CHANGE7 "*7\r\n$11\r\nraft.change\r\n"

static void test_changes_are_told(void **state)
{
    struct world *world = *state;
    EXPECT(world, "SET a 1", OK); /* 1 */
    EXPECT(world, "RAFT.WATCH FROM 0", "$1\r\n0\r\n");
    expect_fed(world, CHANGE5 "$1\r\n1\r\n:0\r\n$3\r\nset\r\n$1\r\na\r\n");
    expect_fed(world, "");
    world->connection.protocol = 3;
    EXPECT(world, "MSET a 2 b 2", OK); /* 2: two changes */
    expect_fed(world, ">5\r\n$11\r\nraft.change\r\n$3\r\n2-1\r\n:0\r\n$3\r\nset\r\n$1\r\na\r\n"
                      ">5\r\n$11\r\nraft.change\r\n$1\r\n2\r\n:0\r\n$3\r\nset\r\n$1\r\nb\r\n");
    EXPECT(world, "SELECT 3", OK);
    EXPECT(world, "SET c 1 EX 100", OK); /* 3: set and expire */
    EXPECT(world, "DEL nothing", ":0\r\n");
    EXPECT(world, "DEL c", ":1\r\n"); /* 5 */
    expect_fed(world, ">5\r\n$11\r\nraft.change\r\n$3\r\n3-1\r\n:3\r\n$3\r\nset\r\n$1\r\nc\r\n"
                      ">5\r\n$11\r\nraft.change\r\n$1\r\n3\r\n:3\r\n$6\r\nexpire\r\n$1\r\nc\r\n"
                      ">5\r\n$11\r\nraft.change\r\n$1\r\n5\r\n:3\r\n$3\r\ndel\r\n$1\r\nc\r\n");
    EXPECT(world, "SWAPDB 0 3", OK);
    EXPECT(world, "FLUSHDB", OK);
    expect_fed(world, ">5\r\n$11\r\nraft.change\r\n$1\r\n6\r\n:0\r\n$6\r\nswapdb\r\n:3\r\n"
                      ">5\r\n$11\r\nraft.change\r\n$1\r\n7\r\n:3\r\n$7\r\nflushdb\r\n_\r\n");
    world_type(world, "PUBLISH c x"); /* a message is no change */
    expect_fed(world, "");
}

static void test_filters(void **state)
{
    struct world *world = *state;
    EXPECT(world, "RAFT.WATCH FROM $ KEY one PREFIX p:", "$1\r\n0\r\n");
    EXPECT(world, "MSET on 1 one 1 ones 1 p 1 p: 1 p:x 1 P: 1",
           "-ERR Can't execute 'mset': only RAFT.WATCH / RAFT.UNWATCH / PING / QUIT / RESET are "
           "allowed in this context\r\n");
    world->connection.protocol = 3;
    EXPECT(world, "MSET on 1 one 1 ones 1 p 1 p: 1 p:x 1 P: 1", OK);
    world->connection.protocol = 2;
    expect_fed(world, CHANGE5 "$3\r\n1-2\r\n:0\r\n$3\r\nset\r\n$3\r\none\r\n" CHANGE5
                              "$3\r\n1-5\r\n:0\r\n$3\r\nset\r\n$2\r\np:\r\n" CHANGE5
                              "$3\r\n1-6\r\n:0\r\n$3\r\nset\r\n$3\r\np:x\r\n");
    /* Where it is, once a while; whom a flush concerns is not asked. */
    struct bytes got = feed(world, true);
    assert_true(bytes_equal(got, bytes_from_string("*2\r\n$13\r\nraft.position\r\n$1\r\n1\r\n")));
    assert_int_equal(feed(world, true).size, 0);
    EXPECT(world, "PING", "+PONG\r\n");
    EXPECT(world, "RAFT.UNWATCH", OK);
    EXPECT(world, "FLUSHDB", OK);
    EXPECT(world, "RAFT.WATCH FROM 1 KEY no", "$1\r\n1\r\n");
    expect_fed(world, CHANGE5 "$1\r\n2\r\n:0\r\n$7\r\nflushdb\r\n$-1\r\n");
    EXPECT(world, "RESET", "+RESET\r\n");
    assert_null(world->connection.watch);
}

/* As of the position, or "changed": then it comes later. */
static void test_values(void **state)
{
    struct world *world = *state;
    EXPECT(world, "SET a old", OK);      /* 1 */
    EXPECT(world, "SET a new", OK);      /* 2 */
    EXPECT(world, "SADD s x", ":1\r\n"); /* 3 */
    EXPECT(world, "SET d x", OK);        /* 4 */
    EXPECT(world, "DEL d", ":1\r\n");    /* 5 */
    EXPECT(world, "SET e x", OK);        /* 6 */
    EXPECT(world, "DEL e", ":1\r\n");    /* 7 */
    EXPECT(world, "SET e y", OK);        /* 8 */
    EXPECT(world, "RAFT.WATCH FROM 0 VALUES", "$1\r\n0\r\n");
    expect_fed(world, CHANGE7
               "$1\r\n1\r\n:0\r\n$3\r\nset\r\n$1\r\na\r\n$7\r\nchanged\r\n$-1\r\n" CHANGE7
               "$1\r\n2\r\n:0\r\n$3\r\nset\r\n$1\r\na\r\n$6\r\nstring\r\n$3\r\nnew\r\n" CHANGE7
               "$1\r\n3\r\n:0\r\n$4\r\nsadd\r\n$1\r\ns\r\n$3\r\nset\r\n$-1\r\n" CHANGE7
               "$1\r\n4\r\n:0\r\n$3\r\nset\r\n$1\r\nd\r\n$7\r\nchanged\r\n$-1\r\n" CHANGE7
               "$1\r\n5\r\n:0\r\n$3\r\ndel\r\n$1\r\nd\r\n$4\r\nnone\r\n$-1\r\n" CHANGE7
               "$1\r\n6\r\n:0\r\n$3\r\nset\r\n$1\r\ne\r\n$7\r\nchanged\r\n$-1\r\n" CHANGE7
               "$1\r\n7\r\n:0\r\n$3\r\ndel\r\n$1\r\ne\r\n$7\r\nchanged\r\n$-1\r\n" CHANGE7
               "$1\r\n8\r\n:0\r\n$3\r\nset\r\n$1\r\ne\r\n$6\r\nstring\r\n$1\r\ny\r\n");
}

static const struct typed refused[] = {
    {"RAFT.WATCH", "-ERR wrong number of arguments for 'raft.watch' command\r\n", NULL},
    {"RAFT.WATCH to 1", SYNTAX, NULL},
    {"RAFT.WATCH from x", "-ERR a position is INDEX, INDEX-CHANGE or $\r\n", NULL},
    {"RAFT.WATCH from 1-", "-ERR a position is INDEX, INDEX-CHANGE or $\r\n", NULL},
    {"RAFT.WATCH from 1-0", "-ERR a position is INDEX, INDEX-CHANGE or $\r\n", NULL},
    {"RAFT.WATCH from -1", "-ERR a position is INDEX, INDEX-CHANGE or $\r\n", NULL},
    {"RAFT.WATCH from ''", "-ERR a position is INDEX, INDEX-CHANGE or $\r\n", NULL},
    {"RAFT.WATCH from 1 KEY", SYNTAX, NULL},
    {"RAFT.WATCH from 1 PREFIX", SYNTAX, NULL},
    {"RAFT.WATCH from 1 VALUES x", SYNTAX, NULL},
    {"RAFT.UNWATCH", OK, NULL},
};

static void test_refused(void **state)
{
    (void)state;
    world_expect_rows(refused, sizeof refused / sizeof refused[0]);
}

/* ---- none is missing, none comes twice ------------------------------------------------------ */

enum { STEPS = 1500, TOLD_MAX = 40 * 1024, TOLD_SIZE = 24 };

/* What happened, in order: "INDEX event key". */
struct told {
    struct command_listener listener; /* first */
    uint32_t count;
    char list[TOLD_MAX][TOLD_SIZE];
};

static void note(struct told *told, uint64_t index, const char *event, struct bytes key)
{
    assert_true(told->count < TOLD_MAX);
    snprintf(told->list[told->count++], TOLD_SIZE, "%" PRIu64 " %s %.*s", index, event,
             (int)key.size, (const char *)key.data);
}

static void on_effect(struct command_listener *listener, uint64_t index,
                      const struct db_effect *effect)
{
    note((struct told *)listener, index, effect->event, effect->key);
}

/* A client that keeps what it was told last, and goes from node to node. */
struct follower {
    struct told *told;
    char position[POSITION_SIZE];
};

static char *line_of(char **at)
{
    char *line = *at, *end = strstr(line, "\r\n");
    assert_non_null(end);
    *end = '\0';
    *at = end + 2;
    return line;
}

/* Takes the frames of `text`, which ends with a NUL. */
static void take_frames(struct follower *follower, char *at)
{
    while (*at) {
        char *words[5] = {0};
        int count = line_of(&at)[1] - '0';
        for (int i = 0; i < count; i++) {
            char *head = line_of(&at);
            words[i] = head[0] == ':' ? head + 1 : line_of(&at);
        }
        snprintf(follower->position, sizeof follower->position, "%s", words[1]);
        assert_true(count == 2 || count == 5);
        if (count == 5)
            note(follower->told, strtoull(words[1], NULL, 10), words[3],
                 bytes_from_string(words[4]));
    }
}

/* Is told some, perhaps only a part of what there is, and leaves. */
static void visit(struct world *world, struct follower *follower, uint64_t *random)
{
    char line[100];
    snprintf(line, sizeof line, "RAFT.WATCH FROM %s", follower->position);
    struct bytes reply = world_type(world, line);
    if (*(const char *)reply.data != (char)36)
        fail_msg("%s: %.*s", line, (int)reply.size, (const char *)reply.data);
    buffer_clear(&world->connection.out.bytes);
    if (prng_next(random) % 2) /* the client reads so slowly that there is little room */
        world->connection.out.referenced = WATCH_UNSENT_MAX - 1500;
    for (int turns = 0; turns < 4; turns++)
        feed_some(world, prng_next(random) % 2);
    world->connection.out.referenced = 0;
    buffer_append_byte(&world->connection.out.bytes, '\0');
    take_frames(follower, world->connection.out.bytes.data);
    buffer_clear(&world->connection.out.bytes);
    world_type(world, "RAFT.UNWATCH");
}

static void change(struct world *world, uint64_t seed)
{
    char line[200];
    unsigned keys = 1 + (unsigned)(prng_next(&seed) % 5);
    int size = snprintf(line, sizeof line, prng_next(&seed) % 4 ? "MSET" : "DEL");
    bool is_set = line[0] == 'M';
    for (unsigned i = 0; i < keys; i++)
        size += snprintf(line + size, sizeof line - (size_t)size, " key:%u%s",
                         (unsigned)(prng_next(&seed) % 20), is_set ? " x" : "");
    world_type(world, line);
}

static void test_nothing_is_missing_or_twice(void **state)
{
    static struct told wanted, got;
    struct world *one = *state, other;
    struct follower follower = {.told = &got, .position = "0"};
    uint64_t random = 7;
    wanted = got = (struct told){.listener.effect = on_effect};
    world_init(&other);
    one->connection.protocol = other.connection.protocol = 3;
    command_machine_listen(one->machine, &wanted.listener);
    for (uint64_t i = 1, behind = 1; i <= STEPS; i++) {
        change(one, i);
        while (behind <= i && prng_next(&random) % 3) /* the other node is behind */
            change(&other, behind++);
        if (prng_next(&random) % 4 == 0)
            visit(prng_next(&random) % 2 ? one : &other, &follower, &random);
    }
    for (int i = 0; i < 1000 && got.count < wanted.count; i++)
        visit(one, &follower, &random);
    assert_int_equal(got.count, wanted.count);
    for (uint32_t i = 0; i < wanted.count; i++)
        assert_string_equal(got.list[i], wanted.list[i]);
    world_deinit(&other);
}

/* ---- what is no longer there ----------------------------------------------------------------- */

static void fill(struct world *world)
{
    for (int i = 0; i < 3 * WORLD_HISTORY / 64; i++)
        world_type(world, "MSET a 1 b 2 c 3");
}

static void test_too_old_is_said(void **state)
{
    struct world *world = *state;
    world->connection.protocol = 3;
    EXPECT(world, "RAFT.WATCH FROM 0", "$1\r\n0\r\n");
    struct watch *slow = world->connection.watch;
    world->connection.watch = NULL;
    fill(world);
    struct position floor = command_history_floor(world->history);
    assert_in_range(floor.index, 1, world->index - 1);
    struct buffer wanted = {0};
    buffer_printf(&wanted,
                  "-WATCHTOOOLD what follows this position is not kept on this node any more: the "
                  "oldest from which one can watch is %" PRIu64 "\r\n",
                  floor.index);
    world_expect(world, "RAFT.WATCH FROM 0", buffer_bytes(&wanted));
    char line[64];
    snprintf(line, sizeof line, "RAFT.WATCH FROM %" PRIu64 "-2", floor.index);
    world_expect(world, line, buffer_bytes(&wanted)); /* a part of that entry has gone */
    assert_null(world->connection.watch);

    /* From the oldest on all is there. */
    snprintf(line, sizeof line, "RAFT.WATCH FROM %" PRIu64, floor.index);
    world_type(world, line);
    feed(world, false);
    uint32_t frames = 0;
    const struct buffer *out = &world->connection.out.bytes;
    for (size_t i = 0; i + 3 < out->size; i++)
        frames += memcmp(out->data + i, "\n>5", 3) == 0 || (i == 0 && out->data[0] == '>');
    assert_int_equal(frames, 3 * (world->index - floor.index));
    assert_int_equal(feed_some(world, false), WATCH_IDLE);

    /* Who was too slow is told, and closed. */
    command_watch_free(world->connection.watch);
    world->connection.watch = slow;
    buffer_clear(&world->connection.out.bytes);
    assert_int_equal(feed_some(world, false), WATCH_LOST);
    buffer_clear(&wanted);
    snprintf(line, sizeof line, "%" PRIu64, floor.index);
    buffer_printf(&wanted, ">2\r\n$9\r\nraft.lost\r\n$%zu\r\n%s\r\n", strlen(line), line);
    assert_true(bytes_equal(buffer_bytes(&world->connection.out.bytes), buffer_bytes(&wanted)));
    buffer_deinit(&wanted);
}

/* How often `what` is told from `position` on. */
static unsigned count_fed_from(struct world *world, const char *position, const char *what)
{
    char line[64];
    unsigned count = 0;
    snprintf(line, sizeof line, "RAFT.WATCH FROM %s", position);
    world_type(world, line);
    struct bytes fed = feed(world, false);
    const char *at = fed.data, *end = at + fed.size;
    while ((at = memmem(at, (size_t)(end - at), what, strlen(what))) != NULL) {
        count++;
        at++;
    }
    EXPECT(world, "RAFT.UNWATCH", OK);
    return count;
}

/* An entry whose changes lie in more than one chunk, gone on with in its midst. */
static void test_the_rest_of_a_large_entry(void **state)
{
    enum { NAME_SIZE = 30000, NAMES = 4 }; /* two in a chunk */
    static char names[NAMES][NAME_SIZE];
    struct bytes argv[1 + 2 * NAMES] = {bytes_from_string("MSET")};
    struct world *world = *state;
    for (int i = 0; i < NAMES; i++) {
        memset(names[i], 'a' + i, NAME_SIZE);
        argv[1 + 2 * i] = bytes_of(names[i], NAME_SIZE);
        argv[2 + 2 * i] = bytes_from_string("1");
    }
    world_run(world, argv, 1 + 2 * NAMES); /* entry 1 */
    EXPECT(world, "SET a 1", OK);
    for (unsigned i = 1; i < NAMES; i++) {
        char position[16];
        snprintf(position, sizeof position, "1-%u", i);
        assert_int_equal(count_fed_from(world, position, "raft.change"), NAMES - i + 1);
    }
    assert_int_equal(count_fed_from(world, "0", "raft.change"), NAMES + 1);
    assert_int_equal(count_fed_from(world, "1", "raft.change"), 1);
}

/* A node's memory of changes begins where its replay does. */
static void test_begins_at_the_start(void **state)
{
    struct world *world = *state;
    EXPECT(world, "SET a 1", OK);
    struct history *later = command_history_new(world->db, WORLD_HISTORY);
    world->server.history = later;
    EXPECT(world, "RAFT.WATCH FROM 0",
           "-WATCHTOOOLD what follows this position is not kept on this node any more: the oldest "
           "from which one can watch is 1\r\n");
    EXPECT(world, "RAFT.WATCH FROM 1", "$1\r\n1\r\n");
    world->server.history = world->history;
    command_history_free(later);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_changes_are_told),
        TEST(test_filters),
        TEST(test_values),
        TEST(test_refused),
        TEST(test_nothing_is_missing_or_twice),
        TEST(test_too_old_is_said),
        TEST(test_the_rest_of_a_large_entry),
        TEST(test_begins_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
