/* Clients that send many commands ahead of the answers on one connection, as pipelines do.  Each
 * connection appends rising numbers to a key of its own, and reads it in between: a read must see
 * every number that was acknowledged before it, and none that its connection sent after it.  At the
 * end the key must hold the numbers in order, none twice, and every one that was acknowledged.  A
 * broken connection begins a new key, because order is promised only on one connection. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "sim.h"

enum { AHEAD_MAX = 8, PAUSE_US = 30000, DEADLINE_MS = 1500 };

struct connection {
    uint32_t stream, number;
    struct sim_node *node;
    bool open;
    uint32_t sent, outstanding;
    bool *acknowledged; /* owned, by number sent */
    uint32_t capacity;
};

static struct connection **connections; /* all there ever were */
static uint32_t connections_count;
static struct connection *current[SIM_STREAMS_MAX];
static bool stopped;

struct slot {
    struct connection *connection;
    uint32_t number; /* of a read: how many were sent before it */
};

static void send_some(struct sim_node *unused, void *data);

static void later(uint32_t stream)
{
    uint32_t *data = memory_new(sizeof *data);
    *data = stream;
    sim_schedule(1 + (int64_t)sim_below(PAUSE_US), NULL, send_some, data);
}

/* The numbers in `text` rise, stay below `end`, and leave out none that was acknowledged. */
static void check_numbers(const struct connection *connection, const char *text, uint32_t end,
                          const char *where)
{
    uint32_t next = 0;
    while (*text) {
        char *behind;
        uint32_t number = (uint32_t)strtoul(text, &behind, 10);
        check(*behind == ',');
        text = behind + 1;
        if (number < next)
            sim_fail("stream%u.%u, %s: %u comes after %u", connection->stream, connection->number,
                     where, number, next - 1);
        if (number >= end)
            sim_fail("stream%u.%u, %s: %u was sent later", connection->stream, connection->number,
                     where, number);
        for (; next < number; next++)
            if (connection->acknowledged[next])
                sim_fail("stream%u.%u, %s: %u was acknowledged and does not come before %u",
                         connection->stream, connection->number, where, next, number);
        next = number + 1;
    }
    for (; next < end; next++)
        if (connection->acknowledged[next])
            sim_fail("stream%u.%u, %s: %u was acknowledged and is not there", connection->stream,
                     connection->number, where, next);
}

static void check_read(const struct slot *slot, struct bytes reply)
{
    char *text = memory_new(reply.size + 1), *at = text, *end;
    memcpy(text, reply.data, reply.size);
    if (strcmp(text, "$-1\r\n") != 0) {
        at = strchr(text, '\n');
        end = text + reply.size - 2;
        check(at && at < end);
        at++;
        *end = '\0';
    } else {
        at += reply.size;
    }
    check_numbers(slot->connection, at, slot->number, "a read");
    memory_free(text);
}

static void answered(void *context, struct request *request, enum request_outcome outcome,
                     struct bytes reply)
{
    struct slot *slot = context;
    bool done = outcome == REQUEST_DONE;
    slot->connection->outstanding--;
    if (request->kind == REQUEST_READ) {
        if (done)
            check_read(slot, reply);
        sim.coverage.stream_reads += done;
    } else if (done) {
        sim_note_answered(blob_bytes(request->command));
        slot->connection->acknowledged[slot->number] = true;
    }
    memory_free(slot);
}

static void submit(struct connection *connection, enum request_kind kind, uint32_t number,
                   const struct bytes *argv, uint32_t argc)
{
    struct slot *slot = memory_new(sizeof *slot);
    *slot = (struct slot){connection, number};
    struct request *request = request_new(kind, 2, 1000000 + connection->stream,
                                          command_encode(argv, argc), answered, slot);
    request->deadline_ms = sim_node_now_ms(connection->node) + DEADLINE_MS;
    connection->outstanding++;
    if (kind == REQUEST_WRITE)
        sim_note_submitted(blob_bytes(request->command));
    replica_submit(connection->node->replica, request);
}

static void append_one(struct connection *connection, struct bytes key)
{
    char text[16];
    uint32_t number = connection->sent++;
    if (number == connection->capacity) {
        uint32_t capacity = connection->capacity ? connection->capacity * 2 : 64;
        connection->acknowledged = memory_resize(connection->acknowledged, capacity);
        memset(connection->acknowledged + connection->capacity, 0, capacity - connection->capacity);
        connection->capacity = capacity;
    }
    snprintf(text, sizeof text, "%u,", number);
    struct bytes argv[] = {bytes_from_string("APPEND"), key, bytes_from_string(text)};
    submit(connection, REQUEST_WRITE, number, argv, 3);
}

static void send_one(struct connection *connection)
{
    char name[32];
    snprintf(name, sizeof name, "stream%u.%u", connection->stream, connection->number);
    struct bytes key = bytes_from_string(name);
    struct bytes argv[] = {bytes_from_string("GET"), key};
    if (sim_chance(400))
        submit(connection, REQUEST_READ, connection->sent, argv, 2);
    else
        append_one(connection, key);
}

static struct connection *connect_to(struct sim_node *node, uint32_t stream)
{
    struct connection *connection = memory_new(sizeof *connection);
    *connection = (struct connection){
        .stream = stream, .number = connections_count, .node = node, .open = true};
    connections = memory_resize(connections, (connections_count + 1) * sizeof(struct connection *));
    connections[connections_count++] = connection;
    return connection;
}

static void send_some(struct sim_node *unused, void *data)
{
    uint32_t stream = *(uint32_t *)data;
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    (void)unused;
    memory_free(data);
    if (stopped)
        return;
    later(stream); /* first, because the process may die of what we send */
    if ((!current[stream] || !current[stream]->open) && node->alive && !node->paused)
        current[stream] = connect_to(node, stream);
    struct connection *connection = current[stream];
    if (connection && connection->open && !connection->node->paused) {
        /* In one turn or in several: what gathers makes one proposal. */
        bool together = sim_chance(500);
        while (connection->outstanding < AHEAD_MAX && sim_chance(800)) {
            send_one(connection);
            if (!together)
                sim_node_run(connection->node);
        }
        sim_node_run(connection->node);
    }
}

void sim_streams_start(void)
{
    for (uint32_t stream = 0; stream < sim.options.streams; stream++)
        later(stream);
}

void sim_streams_node_gone(struct sim_node *node)
{
    for (uint32_t stream = 0; stream < sim.options.streams; stream++)
        if (current[stream] && current[stream]->node == node)
            current[stream]->open = false;
}

void sim_streams_stop(void)
{
    stopped = true;
}

static void check_connection(const struct connection *connection)
{
    char key[32];
    struct bytes value;
    snprintf(key, sizeof key, "stream%u.%u", connection->stream, connection->number);
    if (db_get(sim.nodes[0].db, 0, bytes_from_string(key), &value) == DB_NONE)
        value = bytes_of("", 0);
    char *text = memory_new(value.size + 1);
    memcpy(text, value.data, value.size);
    check_numbers(connection, text, connection->sent, "at the end");
    memory_free(text);
}

void sim_streams_check(void)
{
    for (uint32_t i = 0; i < connections_count; i++)
        check_connection(connections[i]);
}

void sim_streams_free(void)
{
    for (uint32_t i = 0; i < connections_count; i++) {
        memory_free(connections[i]->acknowledged);
        memory_free(connections[i]);
    }
    memory_free(connections);
}
