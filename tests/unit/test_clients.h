/* The clients of one node, on socket pairs: net/, the commands, the replica and the core are those
 * that are shipped, in a cluster of one; the disk, the clock and the bounds belong to the test.
 *
 * A test dials, says bytes, lets turns of the loop pass, and hears bytes. */
#ifndef TEST_CLIENTS_H
#define TEST_CLIENTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "command/channels.h"
#include "command/command.h"
#include "command/history.h"
#include "data/db.h"
#include "kv_memory.h"
#include "net/client_internal.h"
#include "replica/replica_internal.h"
#include "storage/kv.h"
#include "test_colliding.h"

enum { TICK_MS = 10, ELECTION_TICKS = 10, TURNS_MAX = 3000, SOCKET_BYTES = 64 * 1024 };

struct house {
    struct server server; /* first: the port's handle */
    struct config config;
    struct loop *loop;
    struct kv *kv;
    struct raft_log *log;
    struct raft_log_writer writer;
    struct transport transport;
    struct db *db;
    struct state_machine *machine;
    struct replica *replica;
    struct clients *clients;
    struct history *history; /* of changes, for RAFT.WATCH */
    struct peers *peers;     /* NULL: alone */
    uint64_t written;        /* last write that was submitted */
    bool disk_hangs;         /* nothing is durable any more */
    int64_t ahead_ms;
};

static struct house house;

/* ---- the parts played ---------------------------------------------------------------- */

static inline void house_submit(struct raft_log_writer *writer, const struct raft_write *write)
{
    (void)writer;
    raft_log_write(house.log, write, 1);
    house.written = write->seq;
}

static const struct raft_log_writer_ops house_writer_ops = {house_submit};
/* Nobody is there to talk to. */
static inline void house_send(struct transport *transport, const struct raft_message *message,
                              const struct raft_entry *entries)
{
    (void)transport;
    (void)message;
    (void)entries;
}

static inline bool house_forward(struct transport *transport, raft_node_id to,
                                 const struct forward *forward)
{
    (void)transport;
    (void)to;
    (void)forward;
    return false;
}

static inline bool house_has_room(struct transport *transport, raft_node_id to)
{
    (void)transport;
    (void)to;
    return true;
}

static const struct transport_ops house_transport_ops = {.send = house_send,
                                                         .forward = house_forward,
                                                         .has_room_for_entries = house_has_room,
                                                         .has_room = house_has_room};

static inline int64_t house_now_ms(struct server *server)
{
    (void)server;
    return loop_unix_ms(house.loop);
}

static inline int64_t house_now_us(struct server *server)
{
    return 1000 * house_now_ms(server);
}

static inline void house_each_client(struct server *server, server_client_fn *each, void *context)
{
    (void)server;
    clients_each(house.clients, each, context);
}

static inline void house_kill_client(struct server *server, struct connection *connection)
{
    (void)server;
    clients_kill(house.clients, connection);
}

static inline bool house_unblock_client(struct server *server, uint64_t id, bool is_error)
{
    (void)server;
    return clients_unblock(house.clients, id, is_error);
}

static inline void house_pause_clients(struct server *server, int64_t ms, bool is_all)
{
    (void)server;
    clients_pause(house.clients, ms, is_all);
}

static inline void house_unpause_clients(struct server *server)
{
    (void)server;
    clients_unpause(house.clients);
}

static inline struct bytes house_password(struct server *server)
{
    (void)server;
    return bytes_of(house.config.requirepass.data, house.config.requirepass.size);
}

static const struct server_ops house_server_ops = {
    .now_ms = house_now_ms,
    .now_us = house_now_us,
    .each_client = house_each_client,
    .kill_client = house_kill_client,
    .unblock_client = house_unblock_client,
    .pause_clients = house_pause_clients,
    .unpause_clients = house_unpause_clients,
    .password = house_password,
};

/* ---- time ------------------------------------------------------------------------------ */

static inline void house_tick(void *context)
{
    (void)context;
    replica_tick(house.replica, loop_now_ms(house.loop), loop_unix_ms(house.loop));
    clients_tick(house.clients);
}

/* What is counted is what is there. */
static inline void house_check_counts(void)
{
    uint32_t all = 0, stalled = 0, paused = 0, waiting = 0;
    for (const struct client *client = house.clients->all; client; client = client->next) {
        all++;
        stalled += client->stalled;
        paused += client->connection.is_paused;
        waiting += client->connection.waits;
        const struct connection_tracking *tracking = &client->connection.tracking;
        assert_int_equal(tracking->held_bytes > 0, tracking->held != NULL);
    }
    assert_int_equal(house.clients->count, all);
    assert_int_equal(house.clients->stalled_count, stalled);
    assert_int_equal(house.clients->paused_count, paused);
    assert_int_equal(house.clients->waiting_count, waiting);
}

static inline bool house_turn(void *context)
{
    (void)context;
    if (!house.disk_hangs)
        replica_persisted(house.replica, house.written);
    clients_given(house.clients);
    bool more = replica_run(house.replica);
    more = clients_turn(house.clients) || more;
    house_check_counts();
    return more;
}

static const struct loop_hooks house_hooks = {.tick = house_tick, .turn = house_turn};

static inline void turn(void)
{
    (void)loop_turn(house.loop, &house_hooks);
}

/* Turns until nothing is left to do at once: several, since sockets are not asked whether there is
 * more, and a large value comes in pieces. */
enum { QUIET_TURNS = 8 };

static inline void turns(void)
{
    int quiet = 0;
    for (int i = 0; i < TURNS_MAX && quiet < QUIET_TURNS; i++)
        quiet = loop_turn(house.loop, &house_hooks) ? 0 : quiet + 1;
}

static inline void pass(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += 5 * TICK_MS) {
        house.ahead_ms += 5 * TICK_MS;
        loop_set_ahead(house.loop, house.ahead_ms);
        turns();
    }
}

/* ---- life ------------------------------------------------------------------------------ */

static inline void house_start_replica(uint64_t waiting_max, uint64_t uncommitted_max)
{
    struct replica_options options = {
        .raft = {.id = 0,
                 .election_ticks = ELECTION_TICKS,
                 .heartbeat_ticks = 2,
                 .inflight_max = 8,
                 .inflight_bytes_max = 64 << 20,
                 .append_entries_max = 64,
                 .append_bytes_max = 1 << 20,
                 .uncommitted_bytes_max = uncommitted_max,
                 .seed = 1},
        .members.list = house.config.nodes,
        .tick_ms = TICK_MS,
        .run_id = 77,
        .secret = 0x5ec4e7,
        .cache_bytes = 64 << 20,
        .cache_calm_bytes = 64 << 20,
        .log_bytes_max = 1 << 30,
        .log_entries_max = 1 << 20,
        .waiting_max = waiting_max,
        .log = house.log,
        .writer = &house.writer,
        .transport = &house.transport,
        .machine = house.machine,
    };
    house.replica = replica_new(&options, loop_now_ms(house.loop), loop_unix_ms(house.loop));
    struct clients_options clients = {.loop = house.loop,
                                      .config = &house.config,
                                      .replica = house.replica,
                                      .server = &house.server,
                                      .peers = house.peers};
    house.clients = clients_new(&clients);
    pass(3 * ELECTION_TICKS * TICK_MS); /* alone, it elects itself */
}

static inline int house_open(void **state)
{
    (void)state;
    memset(&house, 0, sizeof house);
    signal(SIGPIPE, SIG_IGN); /* as net_run() does */
    config_init(&house.config);
    house.config.protected_mode = false; /* to it a socket pair is another machine */
    house.config.nodes = (struct raft_members){.count = 1, .list = {{.id = 0, .voter = true}}};
    house.server.ops = &house_server_ops;
    house.writer.ops = &house_writer_ops;
    house.transport.ops = &house_transport_ops;
    house.loop = loop_new();
    house.kv = kv_memory_open();
    house.log = raft_log_open(house.kv);
    struct db_options db = {.cluster = 1, .checkpoint_bytes = 1 << 30};
    house.db = db_open(house.kv, &db);
    house.machine = command_machine_new(house.db, command_meaning_newest);
    house.server.channels = channels_new(0x5ec4e7);
    command_machine_listen(house.machine, channels_listener(house.server.channels));
    house.history = command_history_new(house.db, 1 << 20);
    command_machine_listen(house.machine, command_history_listener(house.history));
    house.server.history = house.history;
    return 0;
}

static inline int set_up(void **state)
{
    house_open(state);
    house_start_replica(0, 256 << 20);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    clients_free(house.clients);
    replica_free(house.replica);
    command_machine_free(house.machine);
    command_history_free(house.history);
    channels_free(house.server.channels);
    db_close(house.db);
    raft_log_close(house.log);
    house.kv->ops->close(house.kv);
    loop_free(house.loop);
    config_deinit(&house.config);
    return 0;
}

static inline void set(const char *directive, const char *value)
{
    char error[CONFIG_ERROR_SIZE];
    assert_int_equal(config_set(&house.config, bytes_from_string(directive),
                                bytes_from_string(value), error, sizeof error),
                     CONFIG_SET_OK);
    clients_config_changed(house.clients);
}

/* ---- a client's side --------------------------------------------------------------------- */

static inline int dial(void)
{
    int pair[2], size = SOCKET_BYTES;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    clients_accept(house.clients, pair[0]);
    return pair[1];
}

/* All of it; the loop turns when the socket is full. */
static inline void say_bytes(int fd, const void *data, size_t size)
{
    const char *at = data;
    for (int tries = 0; size > 0; tries++) {
        assert_true(tries < TURNS_MAX);
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            turn();
            continue;
        }
        at += sent;
        size -= (size_t)sent;
    }
}

static inline void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* What is there to be heard now.  False: and then the connection is closed. */
static inline bool hear(int fd, struct buffer *heard)
{
    for (;;) {
        buffer_reserve(heard, 64 * 1024 + 1);
        ssize_t taken = recv(fd, heard->data + heard->size, 64 * 1024, 0);
        if (taken > 0)
            heard->size += (size_t)taken;
        heard->data[heard->size] = '\0'; /* within what is reserved */
        if (taken <= 0)
            return taken < 0 && errno == EAGAIN;
    }
}

/* Turns, and hears until nothing more comes. */
static inline bool hear_all(int fd, struct buffer *heard)
{
    size_t before;
    bool open;
    do {
        before = heard->size;
        turns();
        open = hear(fd, heard);
    } while (open && heard->size > before);
    return open;
}

#define assert_hears(fd, text)                                                                     \
    do {                                                                                           \
        struct buffer heard_ = {0};                                                                \
        assert_true(hear_all(fd, &heard_));                                                        \
        assert_string_equal((char *)heard_.data, text);                                            \
        buffer_deinit(&heard_);                                                                    \
    } while (0)

#define assert_hears_last(fd, text)                                                                \
    do {                                                                                           \
        struct buffer heard_ = {0};                                                                \
        assert_false(hear_all(fd, &heard_));                                                       \
        assert_string_equal((char *)heard_.data, text);                                            \
        buffer_deinit(&heard_);                                                                    \
        close(fd);                                                                                 \
    } while (0)

/* A command of so many words that collide, and what stands behind them, as RESP. */
static inline void say_colliding(int fd, const char *command, uint64_t first, uint64_t count,
                                 const char *tail)
{
    char text[64];
    unsigned char word[COLLIDING_SIZE];
    snprintf(text, sizeof text, "*%llu\r\n$%zu\r\n%s\r\n",
             (unsigned long long)(1 + count + (*tail != 0)), strlen(command), command);
    say(fd, text);
    for (uint64_t i = first; i < first + count; i++) {
        colliding_word(word, i);
        say(fd, "$31\r\n");
        say_bytes(fd, word, sizeof word);
        say(fd, "\r\n");
    }
    say(fd, tail);
}

/* SET of `size` bytes, as RESP. */
static inline void say_set(int fd, const char *key, size_t size, char fill)
{
    char head[64];
    char *value = memory_new(size + 2);
    snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(key), key,
             size);
    say(fd, head);
    memset(value, fill, size);
    memcpy(value + size, "\r\n", 2);
    say_bytes(fd, value, size + 2);
    memory_free(value);
}

#endif
