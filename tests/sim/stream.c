/* Clients that send many writes ahead of the answers on one connection, as pipelines do.  Each
 * connection appends rising numbers to a key of its own: at the end the key must hold them in order,
 * none twice, and every one that was acknowledged.  A broken connection begins a new key, because
 * order is promised only on one connection. */
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
    uint32_t number;
};

static void send_some(struct sim_node *unused, void *data);

static void later(uint32_t stream)
{
    uint32_t *data = memory_new(sizeof *data);
    *data = stream;
    sim_schedule(1 + (int64_t)sim_below(PAUSE_US), NULL, send_some, data);
}

static void answered(void *context, struct request *request, enum request_outcome outcome,
                     struct bytes reply)
{
    struct slot *slot = context;
    (void)reply;
    if (outcome == REQUEST_DONE)
        sim_note_answered(blob_bytes(request->command));
    slot->connection->outstanding--;
    if (outcome == REQUEST_DONE)
        slot->connection->acknowledged[slot->number] = true;
    memory_free(slot);
}

static void send_one(struct connection *connection)
{
    char key[32], text[16];
    struct slot *slot = memory_new(sizeof *slot);
    if (connection->sent == connection->capacity) {
        uint32_t capacity = connection->capacity ? connection->capacity * 2 : 64;
        connection->acknowledged = memory_resize(connection->acknowledged, capacity);
        memset(connection->acknowledged + connection->capacity, 0, capacity - connection->capacity);
        connection->capacity = capacity;
    }
    *slot = (struct slot){connection, connection->sent++};
    snprintf(key, sizeof key, "stream%u.%u", connection->stream, connection->number);
    snprintf(text, sizeof text, "%u,", slot->number);
    struct bytes argv[] = {bytes_from_string("APPEND"), bytes_from_string(key),
                           bytes_from_string(text)};
    struct request *request = request_new(REQUEST_WRITE, 2, 1000000 + connection->stream,
                                          command_encode(argv, 3), answered, slot);
    request->deadline_ms = sim_node_now_ms(connection->node) + DEADLINE_MS;
    connection->outstanding++;
    sim_note_submitted(blob_bytes(request->command));
    replica_submit(connection->node->replica, request);
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
    char *text = memory_new(value.size + 1), *at = text;
    memcpy(text, value.data, value.size);
    uint32_t next = 0;
    while (*at) {
        uint32_t number = (uint32_t)strtoul(at, &at, 10);
        check(*at == ',');
        at++;
        if (number < next)
            sim_fail("%s: %u comes after %u", key, number, next - 1);
        for (; next < number; next++)
            if (connection->acknowledged[next])
                sim_fail("%s: %u was acknowledged and does not come before %u", key, next, number);
        next = number + 1;
    }
    for (; next < connection->sent; next++)
        if (connection->acknowledged[next])
            sim_fail("%s: %u was acknowledged and is not there", key, next);
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
