/* The network of a node as a whole: it binds, serves, and leaves on a signal.  Alone, with its data
 * in memory; the test is a client of its port, and says its lines from the node's own tick. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/large.h"
#include "command/channels.h"
#include "command/command.h"
#include "command/history.h"
#include "kv_memory.h"
#include "net/client.h"
#include "net/net.h"
#include "net/peer.h"
#include "server/server_port.h"
#include "storage/kv.h"

#include "test_log_lines.h"
#include "test_ports.h"

enum { TICKS_MAX = 1000 };

static struct {
    struct server server; /* first: the port's handle */
    struct config config;
    struct net *net;
    struct kv *kv;
    struct raft_log *log;
    struct raft_log_writer writer;
    struct db *db;
    struct state_machine *machine;
    struct replica *replica;
    struct history *history;
    uint64_t written;
    bool disk_hangs;
    int client, stranger; /* the test's ends; -1: none */
    int ticks, signals, woken;
    void *waker;
    char heard[256];
    const char *wanted; /* to be heard before it stops */
    int stop_with;      /* a signal */
} world;

static void submit(struct raft_log_writer *writer, const struct raft_write *write)
{
    (void)writer;
    raft_log_write(world.log, write, 1);
    world.written = write->seq;
}

static const struct raft_log_writer_ops writer_ops = {submit};

static int64_t now_ms(struct server *server)
{
    (void)server;
    return net_unix_ms(world.net);
}

static int64_t now_us(struct server *server)
{
    return 1000 * now_ms(server);
}

static struct bytes password(struct server *server)
{
    (void)server;
    return bytes_of(world.config.requirepass.data, world.config.requirepass.size);
}

static const struct server_ops server_ops = {
    .now_ms = now_ms, .now_us = now_us, .password = password};

static int dial(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void on_wake(void *context)
{
    (void)context;
    world.woken++;
}

static void *wake(void *waker)
{
    net_wake(waker);
    return NULL;
}

static void hear(void)
{
    size_t size = strlen(world.heard);
    ssize_t taken =
        recv(world.client, world.heard + size, sizeof world.heard - 1 - size, MSG_DONTWAIT);
    if (taken > 0)
        world.heard[size + (size_t)taken] = '\0';
}

static bool is_done(void)
{
    return world.ticks >= TICKS_MAX || (world.wanted && strstr(world.heard, world.wanted));
}

/* The test's side: what the client hears, and then the signal. */
static void on_tick(void *context)
{
    (void)context;
    world.ticks++;
    if (!world.disk_hangs)
        replica_persisted(world.replica, world.written);
    if (world.client >= 0)
        hear();
    if (is_done() && world.signals == 0) {
        world.signals++;
        raise(world.stop_with);
    }
}

static void make_node(void)
{
    static const struct raft_log_life life = {.life = 0xabc, .starts = 1};
    struct replica_options options = {
        .raft = {.id = 0,
                 .election_ticks = 10,
                 .heartbeat_ticks = 2,
                 .inflight_max = 8,
                 .inflight_bytes_max = 64 << 20,
                 .append_entries_max = 64,
                 .append_bytes_max = 1 << 20,
                 .uncommitted_bytes_max = 64 << 20,
                 .seed = 1},
        .members.list = world.config.nodes,
        .tick_ms = NET_TICK_MS,
        .run_id = 77,
        .secret = 0x5ec4e7,
        .cache_bytes = 64 << 20,
        .cache_calm_bytes = 64 << 20,
        .log_bytes_max = 1 << 30,
        .log_entries_max = 1 << 20,
        .log = world.log,
        .writer = &world.writer,
        .transport = net_transport(world.net),
        .machine = world.machine,
    };
    world.replica = replica_new(&options, net_now_ms(world.net), net_unix_ms(world.net));
    net_connect(world.net, world.replica, &world.server, 7, &life);
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.client = world.stranger = -1;
    world.stop_with = SIGTERM;
    config_init(&world.config);
    world.config.me = 0;
    world.config.port = free_port();
    world.config.nodes = (struct raft_members){.count = 1, .list = {{.id = 0, .voter = true}}};
    snprintf(world.config.nodes.list[0].address, RAFT_ADDRESS_SIZE, "127.0.0.1:%d", free_port());
    memcpy(world.config.peer_address, world.config.nodes.list[0].address, RAFT_ADDRESS_SIZE);
    world.config.bind.count = 1;
    snprintf(world.config.bind.list[0].host, sizeof world.config.bind.list[0].host, "127.0.0.1");
    world.server.ops = &server_ops;
    world.writer.ops = &writer_ops;
    struct net_options options = {.config = &world.config, .tick = on_tick};
    world.net = net_new(&options);
    world.kv = kv_memory_open();
    world.log = raft_log_open(world.kv);
    struct db_options db = {.cluster = 1, .checkpoint_bytes = 1 << 30};
    world.db = db_open(world.kv, &db);
    world.machine = command_machine_new(world.db, command_meaning_newest);
    world.server.channels = channels_new(0x5ec4e7);
    command_machine_listen(world.machine, channels_listener(world.server.channels));
    world.history = command_history_new(world.db, 1 << 20);
    command_machine_listen(world.machine, command_history_listener(world.history));
    world.server.history = world.history;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (world.replica)
        replica_free(world.replica);
    net_free(world.net);
    command_machine_free(world.machine);
    command_history_free(world.history);
    channels_free(world.server.channels);
    db_close(world.db);
    raft_log_close(world.log);
    world.kv->ops->close(world.kv);
    config_deinit(&world.config);
    if (world.client >= 0)
        close(world.client);
    if (world.stranger >= 0)
        close(world.stranger);
    return 0;
}

static void say(const char *text)
{
    assert_int_equal(send(world.client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void begin(void)
{
    char error[200] = "";
    assert_int_equal(net_bind(world.net, error, sizeof error), LISTENER_BOUND);
    make_node();
    world.client = dial((int)world.config.port);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void it_serves_until_the_signal(void **state)
{
    uint64_t cycles, busy_us;
    pthread_t thread;
    (void)state;
    begin();
    const char *colon = strrchr(world.config.nodes.list[0].address, ':');
    world.stranger = dial(atoi(colon + 1));
    world.waker = net_waker(world.net, on_wake, NULL);
    assert_int_equal(pthread_create(&thread, NULL, wake, world.waker), 0);
    say("SET k v\r\nGET k\r\n");
    world.wanted = "+OK\r\n$1\r\nv\r\n";
    log_lines_begin();
    raise(SIGHUP); /* before it runs: nothing is lost by it */
    net_run(world.net);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(world.heard, world.wanted);
    assert_int_equal(world.woken, 1);
    assert_int_equal(log_lines_with("stopping: SIGTERM"), 1);
    log_lines_end();
    net_loop_stats(world.net, &cycles, &busy_us);
    assert_true(cycles > 0);
    assert_int_equal(recv(world.client, world.heard, 1, 0), 0); /* closed */
    assert_null(net_clients(world.net));
    assert_non_null(net_peers(world.net));
}

/* The write is under way when it is to stop: it is answered first. */
static void what_is_under_way_is_answered_at_a_stop(void **state)
{
    (void)state;
    begin();
    say("SET k v\r\n");
    world.wanted = "+OK\r\n";
    world.stop_with = SIGINT;
    net_run(world.net);
    assert_string_equal(world.heard, "+OK\r\n");
}

/* Nothing becomes durable; who will not wait for that says so again. */
static int second_after;

static void on_tick_of_two_signals(void *context)
{
    (void)context;
    world.ticks++;
    world.disk_hangs = world.ticks > 60; /* it has elected itself */
    if (!world.disk_hangs)
        replica_persisted(world.replica, world.written);
    if (world.ticks == 70)
        say("SET k v\r\n");
    if (world.ticks == 80 || world.ticks == 80 + second_after)
        raise(SIGTERM);
}

static int64_t run_with_two_signals(int after)
{
    second_after = after;
    int64_t began_ms = net_now_ms(world.net);
    log_lines_begin();
    net_run(world.net);
    hear();
    assert_string_equal(world.heard, "");
    return net_now_ms(world.net) - began_ms;
}

static int set_up_two_signals(void **state)
{
    set_up(state);
    net_free(world.net);
    struct net_options options = {.config = &world.config, .tick = on_tick_of_two_signals};
    world.net = net_new(&options);
    begin();
    return 0;
}

static void a_second_signal_ends_the_wait(void **state)
{
    (void)state;
    (void)run_with_two_signals(10);
    assert_int_equal(log_lines_with("a second signal: not waiting any longer"), 1);
    assert_true(world.ticks < 200);
    log_lines_end();
}

static void a_stop_does_not_wait_for_ever(void **state)
{
    (void)state;
    assert_in_range(run_with_two_signals(100000), 2000, 20000);
    log_lines_end();
}

/* ---- the disk ------------------------------------------------------------------------------ */

/* A thread writes: it takes longer than the loop, which waits by then, and says so.  Another one is
 * the client.  Cycles and ticks tell whether the loop waited for the next tick. */
enum { SETS = 60, WAKES = 200, WRITE_US = 500, PAUSE_US = 100 };

static struct {
    sem_t submitted;
    pthread_t disk, client;
    atomic_uint ticks, cycles; /* as of the last tick */
    atomic_bool ends;
    unsigned sets_done, ticks_of_sets, ticks_of_wakes, cycles_of_wakes;
} writing;

static void submit_to_thread(struct raft_log_writer *writer, const struct raft_write *write)
{
    submit(writer, write);
    sem_post(&writing.submitted);
}

static const struct raft_log_writer_ops thread_ops = {submit_to_thread};

static void on_written(void *context)
{
    (void)context;
    replica_persisted(world.replica, world.written);
}

static void *write_until_it_ends(void *context)
{
    (void)context;
    while (sem_wait(&writing.submitted) == 0 && !atomic_load(&writing.ends)) {
        usleep(WRITE_US);
        net_wake(world.waker);
    }
    return NULL;
}

static bool set_one(void)
{
    static const char command[] = "SET k v\r\n", ok[] = "+OK\r\n";
    char heard[sizeof ok] = "";
    return send(world.client, command, sizeof command - 1, MSG_NOSIGNAL) == sizeof command - 1 &&
           recv(world.client, heard, sizeof ok - 1, MSG_WAITALL) == sizeof ok - 1 &&
           strcmp(heard, ok) == 0;
}

static void *set_one_by_one(void *context)
{
    (void)context;
    bool is_done = set_one(); /* it leads */
    unsigned began = atomic_load(&writing.ticks);
    while (is_done && writing.sets_done < SETS && (is_done = set_one()))
        writing.sets_done++;
    writing.ticks_of_sets = atomic_load(&writing.ticks) - began;
    atomic_store(&writing.ends, true);
    return NULL;
}

static void on_tick_of_writing(void *context)
{
    uint64_t cycles, busy_us;
    (void)context;
    net_loop_stats(world.net, &cycles, &busy_us);
    atomic_store(&writing.cycles, (unsigned)cycles);
    if (atomic_fetch_add(&writing.ticks, 1) == TICKS_MAX)
        shutdown(world.client, SHUT_RDWR);
    if (atomic_load(&writing.ends) && world.signals++ == 0)
        raise(SIGTERM);
}

static int set_up_writing(void **state)
{
    set_up(state);
    memset(&writing, 0, sizeof writing);
    net_free(world.net);
    struct net_options options = {.config = &world.config, .tick = on_tick_of_writing};
    world.net = net_new(&options);
    world.writer.ops = &thread_ops;
    world.waker = net_disk_waker(world.net, on_written, NULL);
    assert_int_equal(sem_init(&writing.submitted, 0, 0), 0);
    begin();
    return 0;
}

static void run_writing(void *(*client)(void *))
{
    assert_int_equal(pthread_create(&writing.disk, NULL, write_until_it_ends, NULL), 0);
    assert_int_equal(pthread_create(&writing.client, NULL, client, NULL), 0);
    net_run(world.net);
    assert_int_equal(pthread_join(writing.client, NULL), 0);
    sem_post(&writing.submitted);
    assert_int_equal(pthread_join(writing.disk, NULL), 0);
    sem_destroy(&writing.submitted);
}

static void a_write_does_not_wait_for_the_next_tick(void **state)
{
    (void)state;
    run_writing(set_one_by_one);
    assert_int_equal(writing.sets_done, SETS);
    assert_true(writing.ticks_of_sets < SETS / 2);
}

/* Nothing is under way. */
static void *wake_for_nothing(void *context)
{
    (void)context;
    bool is_done = set_one();
    usleep(10 * WRITE_US); /* what the loop knew before it waited is that all is written */
    unsigned ticks = atomic_load(&writing.ticks), cycles = atomic_load(&writing.cycles);
    for (int i = 0; is_done && i < WAKES; i++) {
        usleep(PAUSE_US);
        net_wake(world.waker);
        writing.sets_done++;
    }
    writing.cycles_of_wakes = atomic_load(&writing.cycles) - cycles;
    writing.ticks_of_wakes = atomic_load(&writing.ticks) - ticks;
    atomic_store(&writing.ends, true);
    return NULL;
}

static void a_disk_that_nobody_awaits_ends_no_wait(void **state)
{
    (void)state;
    run_writing(wake_for_nothing);
    assert_int_equal(writing.sets_done, WAKES);
    assert_true(writing.cycles_of_wakes <= 2 * writing.ticks_of_wakes + 10);
}

/* ---- without descriptors ------------------------------------------------------------------- */

enum { DESCRIPTORS = 256, TAKEN_AT = 20, GIVEN_BACK_AT = 40 };

static int taken[DESCRIPTORS], taken_count;

/* One more connects when the process has no descriptor left, and says nothing. */
static void on_tick_without_descriptors(void *context)
{
    (void)context;
    world.ticks++;
    if (world.ticks == TAKEN_AT) {
        world.stranger = dial((int)world.config.port);
        while (taken_count < DESCRIPTORS && (taken[taken_count] = dup(world.stranger)) >= 0)
            taken_count++;
        assert_int_equal(errno, EMFILE);
    }
    if (world.ticks != GIVEN_BACK_AT)
        return;
    const struct clients_stats *stats = clients_stats(net_clients(world.net));
    assert_int_equal(stats->connections_received, 2);
    assert_int_equal(stats->connections_rejected, 1);
    assert_int_equal(clients_count(net_clients(world.net)), 1);
    while (taken_count > 0)
        close(taken[--taken_count]);
    raise(SIGTERM);
}

static void who_finds_no_descriptor_is_told_so(void **state)
{
    struct rlimit before, few;
    struct net_options options = {.config = &world.config, .tick = on_tick_without_descriptors};
    char heard[64] = "";
    (void)state;
    net_free(world.net);
    world.net = net_new(&options);
    begin();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){DESCRIPTORS, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    net_run(world.net);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(recv(world.stranger, heard, sizeof heard - 1, 0) > 0);
    assert_string_equal(heard, "-ERR max number of clients reached\r\n");
    assert_int_equal(recv(world.stranger, heard, 1, 0), 0);
}

/* ---- memory -------------------------------------------------------------------------------- */

enum { BLOCKS = 20, BLOCK = 8 << 20, TICKS_OF_TRIM = 600, TICKS_MEANWHILE = 20 };

/* Of the first large block that is given back: it takes as long as the test wants. */
static struct {
    atomic_bool is_awaited;
    atomic_int asked;
    sem_t may_end;
    pthread_t thread;
} unmapping;

/* In place of the C library's. */
int munmap(void *begin, size_t size)
{
    if (size == BLOCK && atomic_exchange(&unmapping.is_awaited, false)) {
        struct timespec until;
        unmapping.thread = pthread_self();
        atomic_fetch_add(&unmapping.asked, 1);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 5;
        (void)sem_timedwait(&unmapping.may_end, &until);
    }
    return (int)syscall(SYS_munmap, begin, size);
}

static struct {
    int ticks, ticks_meanwhile; /* in which it took its time */
    bool is_busy;               /* something is done meanwhile */
} trimming;

static bool is_enough_of_trim(void)
{
    if (world.ticks == TICKS_OF_TRIM)
        return true;
    if (trimming.is_busy)
        return trimming.ticks_meanwhile == TICKS_MEANWHILE && strstr(world.heard, "+OK");
    return large_status().kept == 0;
}

static void on_tick_of_trim(void *context)
{
    (void)context;
    replica_persisted(world.replica, world.written);
    hear();
    world.ticks++;
    if (atomic_load(&unmapping.asked) && trimming.ticks_meanwhile < TICKS_MEANWHILE &&
        ++trimming.ticks_meanwhile == TICKS_MEANWHILE)
        sem_post(&unmapping.may_end);
    if (trimming.is_busy && trimming.ticks_meanwhile == 1)
        say("SET k v\r\n");
    if (is_enough_of_trim() && world.signals == 0) {
        world.signals++;
        raise(SIGTERM);
    }
}

static void trim(bool is_busy)
{
    struct net_options options = {.config = &world.config, .tick = on_tick_of_trim};
    void *blocks[BLOCKS];
    net_free(world.net);
    world.net = net_new(&options);
    memset(&trimming, 0, sizeof trimming);
    trimming.is_busy = is_busy;
    atomic_store(&unmapping.asked, 0);
    assert_int_equal(sem_init(&unmapping.may_end, 0, 0), 0);
    begin();
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = large_new(BLOCK);
    for (int i = 0; i < BLOCKS; i++)
        large_free(blocks[i]);
    atomic_store(&unmapping.is_awaited, true);
    net_run(world.net);
    atomic_store(&unmapping.is_awaited, false);
    assert_true(world.ticks < TICKS_OF_TRIM);
}

/* The node was busy with large values, and is not any more.  It hears and speaks while the
 * kernel takes a block back. */
static void what_nobody_uses_is_given_back_beside_the_loop(void **state)
{
    (void)state;
    trim(false);
    assert_int_equal(trimming.ticks_meanwhile, TICKS_MEANWHILE);
    assert_false(pthread_equal(unmapping.thread, pthread_self()));
    assert_int_equal(large_status().kept, 0);
}

/* Something is done again: then what is kept of large blocks stays. */
static void what_is_of_use_again_is_not_given_back(void **state)
{
    (void)state;
    trim(true);
    assert_int_equal(trimming.ticks_meanwhile, TICKS_MEANWHILE);
    net_free(world.net); /* and its thread has ended */
    struct net_options options = {.config = &world.config};
    world.net = net_new(&options);
    replica_free(world.replica);
    world.replica = NULL;
    assert_int_equal(large_status().kept, (size_t)(BLOCKS - 1) * BLOCK);
    while (large_trim())
        ;
}

/* Large blocks that a node has from its start on are not data. */
static void what_was_there_at_the_start_is_counted_so(void **state)
{
    struct net_options of_trim = {.config = &world.config, .tick = on_tick_of_trim};
    struct server_stats stats = {0};
    (void)state;
    net_free(world.net);
    world.net = net_new(&of_trim);
    begin();
    void *block = large_new(BLOCK);
    struct server_port_options options = {.net = world.net, .config = &world.config};
    struct server_port *port = server_port_new(&options);
    server_port_connect(port, world.replica, NULL, NULL, 7);
    struct server *server = server_port_server(port);
    server->ops->memory(server, &stats);
    assert_true(stats.memory_startup >= BLOCK);
    assert_in_range(stats.memory_used, stats.memory_startup, stats.memory_startup + BLOCK / 2);
    assert_true(stats.memory_peak == stats.memory_used);
    server_port_free(port);
    large_free(block);
    while (large_trim())
        ;
    world.signals = 0;
    net_run(world.net); /* until the first tick: then all is given back */
}

static void what_cannot_be_bound_is_said(void **state)
{
    char error[200];
    (void)state;
    snprintf(world.config.peer_address, sizeof world.config.peer_address, "nowhere");
    assert_int_equal(net_bind(world.net, error, sizeof error), LISTENER_REFUSED);
    assert_string_equal(error, "this node has no usable address: nowhere");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TWICE(name) cmocka_unit_test_setup_teardown(name, set_up_two_signals, tear_down)
#define WRITING(name) cmocka_unit_test_setup_teardown(name, set_up_writing, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_serves_until_the_signal),
        TEST(what_is_under_way_is_answered_at_a_stop),
        TWICE(a_second_signal_ends_the_wait),
        TWICE(a_stop_does_not_wait_for_ever),
        WRITING(a_write_does_not_wait_for_the_next_tick),
        WRITING(a_disk_that_nobody_awaits_ends_no_wait),
        TEST(who_finds_no_descriptor_is_told_so),
        TEST(what_nobody_uses_is_given_back_beside_the_loop),
        TEST(what_is_of_use_again_is_not_given_back),
        TEST(what_was_there_at_the_start_is_counted_so),
        TEST(what_cannot_be_bound_is_said),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
