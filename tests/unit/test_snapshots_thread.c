/* The thread that reads a leader's view and stages what a member gets: each chunk comes once and in
 * order, of what is closed nothing is told, and a stop leaves nothing.  The replica is a
 * notebook. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/blob.h"
#include "kv_memory.h"
#include "server/snapshots.h"

enum { KEYS = 80, VALUE = 20000, CHUNKS_MAX = 32, TOLD_MAX = 64 };

static struct {
    struct kv *kv, *stage;
    struct db *db;
    struct server_snapshots *leader, *member;
    struct snapshot_port *from, *to;
    atomic_uint woken;
    unsigned polled; /* of them */
    struct blob *chunks[CHUNKS_MAX];
    unsigned count; /* that were read */
    bool is_last;
    const void *source; /* whose the last one was */
    struct snapshot_staged staged[TOLD_MAX];
    unsigned told;
} world;

/* ---- the replica ----------------------------------------------------------------------------- */

void replica_snapshot_read(struct replica *replica, void *source, struct blob *chunk, bool is_last)
{
    assert_ptr_equal(replica, &world);
    assert_true(world.count < CHUNKS_MAX);
    world.chunks[world.count++] = chunk;
    world.is_last = is_last;
    world.source = source;
}

void replica_snapshot_staged(struct replica *replica, const struct snapshot_staged *staged)
{
    assert_ptr_equal(replica, &world);
    assert_true(world.told < TOLD_MAX);
    world.staged[world.told++] = *staged;
}

/* ---- the world ------------------------------------------------------------------------------- */

static void on_wake(void *context)
{
    (void)context;
    world.woken++;
}

static int set_up(void **state)
{
    static char value[VALUE];
    struct db_options options = {.cluster = 7, .checkpoint_bytes = UINT64_MAX};
    (void)state;
    memset(&world, 0, sizeof world);
    world.kv = kv_memory_open();
    world.stage = kv_memory_open();
    world.db = db_open(world.kv, &options);
    for (uint64_t i = 1; i <= KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%d", (int)i);
        memset(value, (int)('a' + i % 26), sizeof value);
        db_begin(world.db, i);
        db_at(world.db, 0, true);
        db_put(world.db, 0, bytes_of(key, strlen(key)), DB_STRING, bytes_of(value, sizeof value),
               0);
        db_applied(world.db, i, 3, (int64_t)i);
    }
    struct server_snapshots_options leader = {.kv = world.kv, .db = world.db, .wake = on_wake};
    struct server_snapshots_options member = {.kv = world.stage, .wake = on_wake};
    world.leader = server_snapshots_start(&leader);
    world.member = server_snapshots_start(&member);
    world.from = server_snapshots_port(world.leader);
    world.to = server_snapshots_port(world.member);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (world.leader) {
        server_snapshots_stop(world.leader);
        server_snapshots_free(world.leader);
    }
    if (world.member) {
        server_snapshots_stop(world.member);
        server_snapshots_free(world.member);
    }
    for (unsigned i = 0; i < world.count; i++) {
        assert_int_equal(world.chunks[i]->references, 1);
        blob_release(world.chunks[i]);
    }
    db_close(world.db);
    world.kv->ops->close(world.kv);
    world.stage->ops->close(world.stage);
    return 0;
}

static void poll_both(void)
{
    server_snapshots_poll(world.leader, (struct replica *)&world);
    server_snapshots_poll(world.member, (struct replica *)&world);
}

/* Until the thread has done so many jobs more. */
static void wait_for(unsigned jobs)
{
    world.polled += jobs;
    while (world.woken < world.polled)
        usleep(500);
    poll_both();
}

static void *open_source(void)
{
    struct raft_pos pos = {0, 0};
    uint64_t bytes;
    void *source = world.from->ops->open(world.from, &pos, &bytes);
    assert_non_null(source);
    assert_int_equal(pos.index, KEYS);
    assert_int_equal(pos.term, 3);
    return source;
}

/* All chunks of the state. */
static void read_all(void)
{
    void *source = open_source();
    for (unsigned i = 0; !world.is_last; i++) {
        world.from->ops->read(world.from, source);
        wait_for(1);
        assert_int_equal(world.count, i + 1);
        assert_ptr_equal(world.source, source);
    }
    assert_true(world.count > 4);
    world.from->ops->close(world.from, source);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_state_is_delivered_whole(void **state)
{
    uint64_t bytes = 0;
    (void)state;
    read_all();
    world.to->ops->begin(world.to, 5);
    wait_for(1);
    assert_int_equal(world.told, 0);
    for (unsigned i = 0; i < world.count; i++) {
        world.to->ops->take(world.to, world.chunks[i]);
        wait_for(1);
        const struct snapshot_staged *staged = &world.staged[i];
        assert_int_equal(world.told, i + 1);
        assert_null(staged->error);
        assert_int_equal(staged->id, 5);
        assert_int_equal(staged->chunks, i + 1);
        assert_int_equal(staged->is_whole, i + 1 == world.count);
        assert_int_equal(staged->pos.index, KEYS);
        assert_int_equal(staged->pos.term, 3);
        assert_true(staged->bytes >= bytes);
        bytes = staged->bytes;
    }
    assert_true(bytes >= KEYS * VALUE);
    assert_true(world.staged[world.told - 1].rows >= KEYS);
    server_snapshots_stop(world.member);
    assert_true(db_install_is_whole(server_snapshots_staged(world.member)));
    server_snapshots_free(world.member);
    world.member = NULL;
}

/* A node that led a moment ago may send one state and be sent another. */
static void what_is_sent_leaves_what_is_staged(void **state)
{
    (void)state;
    read_all();
    world.from->ops->begin(world.from, 5);
    world.from->ops->take(world.from, world.chunks[0]);
    wait_for(2);
    void *source = open_source();
    world.from->ops->read(world.from, source);
    wait_for(1);
    world.from->ops->take(world.from, world.chunks[1]);
    wait_for(1);
    assert_int_equal(world.told, 2);
    assert_null(world.staged[1].error);
    assert_int_equal(world.staged[1].chunks, 2);
    world.from->ops->close(world.from, source);
}

/* Many at once: told one by one, as they came, of the session that they belong to. */
static void chunks_are_staged_in_their_order(void **state)
{
    (void)state;
    read_all();
    world.to->ops->begin(world.to, 5);
    for (unsigned i = 0; i < 3; i++)
        world.to->ops->take(world.to, world.chunks[i]);
    world.to->ops->begin(world.to, 6); /* from the start again */
    for (unsigned i = 0; i < 2; i++)
        world.to->ops->take(world.to, world.chunks[i]);
    world.to->ops->take(world.to, world.chunks[3]); /* one is left out */
    wait_for(8);
    assert_int_equal(world.told, 6);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(world.staged[i].id, i < 3 ? 5 : 6);
        assert_int_equal(world.staged[i].chunks, i < 3 ? i + 1 : i - 2);
        assert_null(world.staged[i].error);
    }
    assert_int_equal(world.staged[5].id, 6);
    assert_non_null(world.staged[5].error);
}

static void what_is_not_wanted_any_more_goes(void **state)
{
    (void)state;
    read_all();
    world.to->ops->drop(world.to); /* there is nothing */
    world.to->ops->begin(world.to, 5);
    world.to->ops->take(world.to, world.chunks[0]);
    world.to->ops->drop(world.to);
    wait_for(4);
    assert_int_equal(world.told, 1);
    server_snapshots_stop(world.member);
    assert_null(server_snapshots_staged(world.member));
    server_snapshots_free(world.member);
    world.member = NULL;
}

/* Whether the thread has it at that moment or not. */
static void of_what_is_closed_nothing_is_told(void **state)
{
    (void)state;
    void *first = open_source(), *second = open_source();
    world.from->ops->read(world.from, first);
    world.from->ops->close(world.from, first);
    world.from->ops->read(world.from, second);
    wait_for(2);
    assert_int_equal(world.count, 1);
    assert_ptr_equal(world.source, second);
    assert_false(world.is_last);
    world.from->ops->close(world.from, second); /* idle: it goes at once */
    poll_both();
    assert_int_equal(world.count, 1);
}

/* Before or after the thread has come to it; the rest is freed with nobody told. */
static void a_stop_leaves_nothing(void **state)
{
    (void)state;
    read_all();
    void *source = open_source(), *closed = open_source();
    unsigned count = world.count;
    world.from->ops->read(world.from, closed);
    world.from->ops->close(world.from, closed);
    world.to->ops->begin(world.to, 5);
    for (unsigned i = 0; i < count; i++)
        world.to->ops->take(world.to, world.chunks[i]);
    server_snapshots_stop(world.leader);
    server_snapshots_stop(world.member);
    poll_both();
    assert_int_equal(world.count, count);
    assert_int_equal(world.told, 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(world.chunks[i]->references, 1);
    world.from->ops->close(world.from, source);
    server_snapshots_free(world.leader);
    server_snapshots_free(world.member);
    world.leader = world.member = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_state_is_delivered_whole),        TEST(what_is_sent_leaves_what_is_staged),
        TEST(chunks_are_staged_in_their_order),  TEST(what_is_not_wanted_any_more_goes),
        TEST(of_what_is_closed_nothing_is_told), TEST(a_stop_leaves_nothing),
    };
    return cmocka_run_group_tests_name("snapshots thread", tests, NULL, NULL);
}
