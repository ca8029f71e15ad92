/* A server without network and consensus, for the tests of the commands: what a client types runs
 * through parser, classification, the encoded form and the state machine, on a db in memory. */
#ifndef TEST_COMMAND_H
#define TEST_COMMAND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "command/channels.h"
#include "command/command.h"
#include "command/connection.h"
#include "command/history.h"
#include "command/latency.h"
#include "command/server.h"
#include "command/slowlog.h"
#include "command/tracking.h"
#include "data/db.h"
#include "kv_memory.h"
#include "replica/replica.h"
#include "resp/parser.h"
#include "storage/kv.h"

enum { WORLD_CLIENTS_MAX = 4, WORLD_DIRECTIVES = 5, WORLD_HISTORY = 128 * 1024 };

struct world {
    struct server server; /* first: the port's handle */
    struct kv *kv;
    struct db *db;
    struct state_machine *machine;
    struct resp_parser *parser;
    struct connection connection; /* the client that types */
    uint64_t index;
    uint64_t seed; /* of all entries; 0: each has another */
    int64_t now_ms;
    uint32_t value_max; /* of the entries */
    uint8_t meaning;    /* likewise */
    unsigned pauses;    /* slices of long commands that were not the last */
    uint64_t work_most; /* db_work() in one of them */
    enum command_class last_class;

    /* What the fake server answers. */
    char password[32];
    struct server_stats stats;
    int memory_looks;
    struct server_raft raft;
    uint64_t keys[DB_DATABASES];
    struct server_deadlines deadlines[DB_DATABASES];
    struct server_scripts scripts;
    struct connection *clients[WORLD_CLIENTS_MAX];
    uint32_t clients_count;
    uint64_t killed; /* bit i: clients[i] */
    uint32_t stats_resets;
    struct {
        const char *name;
        char value[32];
        bool fixed;
    } directives[WORLD_DIRECTIVES];
    bool disk_is_full; /* for CONFIG REWRITE */
    struct slowlog slowlog;
    struct latency latency;
    struct history *history;
};

/* ---- the fake server --------------------------------------------------------------- */

static inline struct world *world_of(struct server *server)
{
    return (struct world *)server;
}

static inline int64_t world_now_ms(struct server *server)
{
    return world_of(server)->now_ms;
}

static inline int64_t world_now_us(struct server *server)
{
    return world_of(server)->now_ms * 1000 + 7;
}

static inline void world_stats(struct server *server, struct server_stats *stats)
{
    *stats = world_of(server)->stats;
}

/* What it says is in world->stats. */
static inline void world_memory(struct server *server, struct server_stats *stats)
{
    (void)stats;
    world_of(server)->memory_looks++;
}

static inline void world_stats_reset(struct server *server)
{
    world_of(server)->stats_resets++;
}

static inline void world_each_command(struct server *server, server_command_fn *each, void *context)
{
    struct server_command_stats command = {.name = "get",
                                           .calls = 4,
                                           .us = 10,
                                           .rejected = 1,
                                           .failed = 2,
                                           .buckets_count = 2,
                                           .buckets = {{1, 3}, {4, 4}},
                                           .percentiles_count = 2,
                                           .percentiles = {{50, 1.5}, {99.9, 7}}};
    (void)server;
    each(context, &command);
}

static inline void world_each_error(struct server *server, server_error_fn *each, void *context)
{
    (void)server;
    each(context, "ERR", 3);
    each(context, "WRONGPASS", 7);
    each(context, "WRONGTYPE", 1);
}

static inline void world_raft(struct server *server, struct server_raft *raft)
{
    *raft = world_of(server)->raft;
}

static inline void world_keys(struct server *server, uint64_t keys[DB_DATABASES])
{
    memcpy(keys, world_of(server)->keys, sizeof world_of(server)->keys);
}

static inline void world_scripts(struct server *server, struct server_scripts *scripts)
{
    *scripts = world_of(server)->scripts;
}

static inline void world_deadlines(struct server *server,
                                   struct server_deadlines deadlines[DB_DATABASES])
{
    memcpy(deadlines, world_of(server)->deadlines, sizeof world_of(server)->deadlines);
}

static inline void world_each_client(struct server *server, server_client_fn *each, void *context)
{
    struct world *world = world_of(server);
    for (uint32_t i = 0; i < world->clients_count; i++)
        if (!each(context, world->clients[i]))
            return;
}

static inline void world_pause_clients(struct server *server, int64_t ms, bool is_all)
{
    (void)server;
    (void)ms;
    (void)is_all;
}

static inline void world_unpause_clients(struct server *server)
{
    (void)server;
}

/* Of two clients the second one waits. */
static inline bool world_unblock_client(struct server *server, uint64_t id, bool is_error)
{
    (void)server;
    (void)is_error;
    return id == 2;
}

static inline void world_kill_client(struct server *server, struct connection *connection)
{
    struct world *world = world_of(server);
    for (uint32_t i = 0; i < world->clients_count; i++)
        if (world->clients[i] == connection)
            world->killed |= 1u << i;
}

static inline void
world_config_each(struct server *server,
                  void (*each)(void *context, const char *name, struct bytes value), void *context)
{
    struct world *world = world_of(server);
    for (int i = 0; i < WORLD_DIRECTIVES; i++)
        each(context, world->directives[i].name, bytes_from_string(world->directives[i].value));
}

static inline bool world_config_may_set(struct server *server, struct bytes name, char *error,
                                        size_t error_size)
{
    struct world *world = world_of(server);
    for (int i = 0; i < WORLD_DIRECTIVES; i++) {
        if (!bytes_is(name, world->directives[i].name))
            continue;
        if (world->directives[i].fixed)
            snprintf(error, error_size, "CONFIG SET failed (%s)", world->directives[i].name);
        return !world->directives[i].fixed;
    }
    snprintf(error, error_size, "Unknown option");
    return false;
}

static inline bool world_config_set(struct server *server, struct bytes name, struct bytes value,
                                    char *error, size_t error_size)
{
    struct world *world = world_of(server);
    for (int i = 0; i < WORLD_DIRECTIVES; i++) {
        if (!bytes_is(name, world->directives[i].name))
            continue;
        if (world->directives[i].fixed || value.size >= sizeof(world->directives[i].value)) {
            snprintf(error, error_size, "CONFIG SET failed (%s)", world->directives[i].name);
            return false;
        }
        memcpy(world->directives[i].value, value.data, value.size);
        world->directives[i].value[value.size] = '\0';
        return true;
    }
    snprintf(error, error_size, "Unknown option");
    return false;
}

static inline struct bytes world_password(struct server *server)
{
    return bytes_from_string(world_of(server)->password);
}

static inline bool world_is_read_only(struct server *server)
{
    (void)server;
    return false;
}

static inline bool world_config_rewrite(struct server *server, char *error, size_t error_size)
{
    snprintf(error, error_size, "No space left on device");
    return !world_of(server)->disk_is_full;
}

/* "night" is no name that is taken; one snapshot, 5, of two chunks, of which the second is late. */
static inline bool world_backup(struct server *server, struct bytes name, char *error,
                                size_t error_size)
{
    (void)server;
    snprintf(error, error_size, "ERR there is a file of this name");
    return bytes_equal(name, bytes_from_string("night"));
}

static inline bool world_snapshot_begin(struct server *server, uint64_t *id, char *error,
                                        size_t error_size)
{
    snprintf(error, error_size, "TRYAGAIN later");
    *id = 5;
    return !world_of(server)->disk_is_full;
}

static inline enum server_chunk world_snapshot_chunk(struct server *server, uint64_t id,
                                                     uint64_t number, struct bytes *chunk)
{
    (void)server;
    *chunk = bytes_from_string("chunk");
    if (id != 5 || number > 1)
        return SERVER_CHUNK_UNKNOWN;
    return number == 0 ? SERVER_CHUNK_OK : SERVER_CHUNK_LATER;
}

static inline bool world_snapshot_end(struct server *server, uint64_t id)
{
    (void)server;
    return id == 5;
}

static inline void world_check(struct server *server, struct server_check *check)
{
    *check = ((struct world *)server)->raft.check;
}

static const struct server_ops world_ops = {.now_ms = world_now_ms,
                                            .now_us = world_now_us,
                                            .stats = world_stats,
                                            .memory = world_memory,
                                            .stats_reset = world_stats_reset,
                                            .each_command = world_each_command,
                                            .each_error = world_each_error,
                                            .raft = world_raft,
                                            .keys = world_keys,
                                            .deadlines = world_deadlines,
                                            .scripts = world_scripts,
                                            .each_client = world_each_client,
                                            .kill_client = world_kill_client,
                                            .unblock_client = world_unblock_client,
                                            .pause_clients = world_pause_clients,
                                            .unpause_clients = world_unpause_clients,
                                            .config_each = world_config_each,
                                            .config_may_set = world_config_may_set,
                                            .config_set = world_config_set,
                                            .config_rewrite = world_config_rewrite,
                                            .password = world_password,
                                            .is_read_only = world_is_read_only,
                                            .backup = world_backup,
                                            .snapshot_begin = world_snapshot_begin,
                                            .snapshot_chunk = world_snapshot_chunk,
                                            .snapshot_end = world_snapshot_end,
                                            .check = world_check};

/* ---- life ------------------------------------------------------------------------------ */

static inline void world_init(struct world *world)
{
    static const struct db_options db_options = {.cluster = 1, .checkpoint_bytes = 1 << 20};
    static const struct resp_limits limits = {.bulk_max = 512 << 20,
                                              .inline_max = 64 << 10,
                                              .argc_max = 1 << 20,
                                              .command_max = 1 << 30,
                                              .allow_inline = true};
    memset(world, 0, sizeof(*world));
    command_latency_init(&world->latency);
    world->server = (struct server){.ops = &world_ops,
                                    .slowlog = &world->slowlog,
                                    .latency = &world->latency,
                                    .port = 7001,
                                    .config_file = "",
                                    .executable = "redis-raft",
                                    .directory = "/data",
                                    .version = "0.1.0",
                                    .process_id = 42,
                                    .run_id = "0123456789012345678901234567890123456789"};
    world->server.channels = channels_new(0x5ec4e7);
    world->kv = kv_memory_open();
    world->db = db_open(world->kv, &db_options);
    world->machine = command_machine_new(world->db, command_meaning_newest);
    command_machine_listen(world->machine, channels_listener(world->server.channels));
    world->parser = resp_parser_new(&limits);
    world->history = command_history_new(world->db, WORLD_HISTORY);
    command_machine_listen(world->machine, command_history_listener(world->history));
    world->server.history = world->history;
    world->meaning = command_meaning_newest;
    world->now_ms = 1700000000000;
    connection_init(&world->connection);
    world->connection.id = 5;
    world->connection.fd = 8;
    world->connection.authenticated = true;
    world->connection.created_ms = world->now_ms - 3500;
    world->connection.last_active_ms = world->now_ms;
    strcpy(world->connection.address, "127.0.0.1:4000");
    strcpy(world->connection.local_address, "127.0.0.1:7001");
    world->clients[world->clients_count++] = &world->connection;
    world->directives[0].name = "maxclients";
    strcpy(world->directives[0].value, "100");
    world->directives[1].name = "timeout";
    strcpy(world->directives[1].value, "0");
    world->directives[2].name = "port";
    strcpy(world->directives[2].value, "7001");
    world->directives[2].fixed = true;
    world->directives[3].name = "save";
    world->directives[3].fixed = true;
    world->directives[4].name = "bind";
    strcpy(world->directives[4].value, "127.0.0.1 -::1");
    world->directives[4].fixed = true;
}

static inline void world_deinit(struct world *world)
{
    command_slowlog_clear(&world->slowlog);
    tracking_leave(world->server.channels, &world->connection);
    connection_deinit(&world->connection);
    resp_parser_free(world->parser);
    command_machine_free(world->machine);
    channels_free(world->server.channels);
    command_history_free(world->history);
    db_close(world->db);
    world->kv->ops->close(world->kv);
}

/* For a test of cmocka's: a world in *state. */
static inline int world_set_up(void **state)
{
    *state = memory_new(sizeof(struct world));
    world_init(*state);
    return 0;
}

static inline int world_tear_down(void **state)
{
    world_deinit(*state);
    memory_free(*state);
    return 0;
}

static inline void world_weigh(struct world *world, uint64_t before)
{
    uint64_t work = db_work(world->db) - before;
    if (work > world->work_most)
        world->work_most = work;
}

/* ---- typing ----------------------------------------------------------------------------- */

static inline void world_apply(struct world *world, struct bytes encoded, struct buffer *out)
{
    struct apply_context context = {.pos = {.term = 1, .index = ++world->index},
                                    .meaning = world->meaning,
                                    .database = world->connection.database,
                                    .now_ms = world->now_ms,
                                    .seed = world->seed ? world->seed : world->index * 77,
                                    .value_max = world->value_max,
                                    .is_read_before = world->index % 2}; /* whatever it is */
    const struct state_machine_ops *ops = world->machine->ops;
    for (bool is_last = false; !is_last; world->pauses += !is_last) {
        uint64_t before = db_work(world->db);
        is_last = ops->apply(world->machine, &context, encoded, world->connection.protocol, out);
        world_weigh(world, before);
    }
    world->machine->ops->applied(world->machine, context.pos, context.now_ms, context.meaning);
}

static inline void world_read(struct world *world, struct bytes encoded, struct buffer *out)
{
    struct apply_context context = {.meaning = command_meaning_newest,
                                    .database = world->connection.database,
                                    .now_ms = world->now_ms};
    const struct state_machine_ops *ops = world->machine->ops;
    void *reading = NULL;
    for (bool is_last = false; !is_last; world->pauses += !is_last) {
        uint64_t before = db_work(world->db);
        is_last = ops->read(world->machine, &reading, &context, encoded, world->connection.protocol,
                            out, NULL);
        world_weigh(world, before);
    }
}

/* As net/ does with a read or a write, and with its reply. */
static inline void world_ask(struct world *world, enum command_class class,
                             const struct command *command, const struct bytes *argv, uint32_t argc)
{
    struct connection *connection = &world->connection;
    struct blob *blob = command_take_request(connection, command, argv, argc, NULL);
    struct buffer reply = {0};
    if (class == COMMAND_WRITE)
        world_apply(world, blob_bytes(blob), &reply);
    else
        world_read(world, blob_bytes(blob), &reply);
    blob_release(blob);
    struct bytes answer =
        command_reply_came(connection, &world->server, true, buffer_bytes(&reply));
    if (!connection_is_silent(connection))
        buffer_append_bytes(&connection->out.bytes, answer);
    buffer_deinit(&reply);
}

/* Runs one command; its reply is appended to connection.out. */
static inline void world_run(struct world *world, const struct bytes *argv, uint32_t argc)
{
    const struct command *command;
    struct connection *connection = &world->connection;
    world->last_class = command_classify(connection, argv, argc, &command);
    switch (world->last_class) {
    case COMMAND_LOCAL: command_run_local(connection, &world->server, command, argv, argc); break;
    case COMMAND_QUEUED:
        command_queue(connection, &world->server, command, argv, argc, NULL);
        break;
    case COMMAND_READ:
    case COMMAND_WRITE: world_ask(world, world->last_class, command, argv, argc); break;
    case COMMAND_REFUSED: break;
    case COMMAND_OTHER: fail_msg("no class");
    }
}

/* Types a line, in the inline form; the reply is borrowed until the next line. */
static inline struct bytes world_type(struct world *world, const char *line)
{
    struct buffer input = {0};
    size_t consumed;
    uint32_t argc;
    buffer_printf(&input, "%s\r\n", line);
    assert_int_equal(resp_parse(world->parser, input.data, input.size, &consumed), RESP_COMMAND);
    assert_int_equal(consumed, input.size);
    const struct bytes *argv = resp_argv(world->parser, &argc);
    buffer_clear(&world->connection.out.bytes);
    world_run(world, argv, argc);
    buffer_deinit(&input);
    return buffer_bytes(&world->connection.out.bytes);
}

static inline void world_expect(struct world *world, const char *line, struct bytes wanted)
{
    struct bytes got = world_type(world, line);
    if (!bytes_equal(got, wanted))
        fail_msg("%s\n   got %.*s\nwanted %.*s", line, (int)got.size, (const char *)got.data,
                 (int)wanted.size, (const char *)wanted.data);
}

#define EXPECT(world, line, wanted) world_expect((world), (line), bytes_from_string(wanted))

/* A row of a table of commands typed one after the other. */
struct typed {
    const char *line;
    const char *resp2;
    const char *resp3; /* NULL: the same */
};

/* The table twice, in both protocols, each time on an empty keyspace. */
static inline void world_expect_all(struct world *world, const struct typed *rows, size_t count)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        world->connection.protocol = protocol;
        EXPECT(world, "FLUSHALL", "+OK\r\n");
        for (size_t i = 0; i < count; i++)
            EXPECT(world, rows[i].line,
                   protocol == 3 && rows[i].resp3 ? rows[i].resp3 : rows[i].resp2);
    }
}

/* The same, in a world of their own. */
static inline void world_expect_rows(const struct typed *rows, size_t count)
{
    struct world world;
    world_init(&world);
    world_expect_all(&world, rows, count);
    world_deinit(&world);
}

#define NIL2 "$-1\r\n"
#define NIL3 "_\r\n"
#define OK "+OK\r\n"
#define SYNTAX "-ERR syntax error\r\n"
#define NOT_INTEGER "-ERR value is not an integer or out of range\r\n"

#endif
