/* Raft messages may be lost, doubled, delayed and reordered at will.  Forwards and their replies ride
 * on TCP: in order, never doubled, lost only together with the connection, which both ends notice. */
#include <inttypes.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "sim.h"

enum { DELAY_US_MIN = 30, DELAY_US_SPREAD = 300, LATE_US = 80000, NOTICE_US = 200000 };

static bool cut[SIM_NODES_MAX][SIM_NODES_MAX];
static uint64_t connection[SIM_NODES_MAX][SIM_NODES_MAX]; /* number; rises when it breaks */
static int64_t last_arrival[SIM_NODES_MAX][SIM_NODES_MAX];

struct parcel {
    uint32_t from, to;
    uint64_t connection;
    size_t size;
    char bytes[]; /* one message as net/wire.c writes it */
};

/* The shipped codec in between: what is not encoded is not delivered. */
static void deliver(struct parcel *parcel)
{
    struct sim_node *node = &sim.nodes[parcel->to];
    struct resp_limits limits = wire_limits();
    struct resp_parser *parser = resp_parser_new(&limits);
    struct wire_input input = {0};
    size_t at = 0, consumed;
    while (at < parcel->size) {
        uint32_t argc;
        if (resp_parse(parser, parcel->bytes + at, parcel->size - at, &consumed) != RESP_COMMAND)
            sim_fail("a message does not parse: %s", resp_error(parser));
        const struct bytes *argv = resp_argv(parser, &argc);
        switch (wire_decode(&input, argv, argc, parcel->from, parcel->to)) {
        case WIRE_MESSAGE: replica_receive(node->replica, &input.message); break;
        case WIRE_FORWARD:
            replica_receive_forward(node->replica, parcel->from, &input.forward);
            break;
        case WIRE_FORWARD_REPLY:
            sim.coverage.refused_forwards += input.forward_reply.refused;
            replica_receive_forward_reply(node->replica, parcel->from, &input.forward_reply);
            break;
        case WIRE_INVALID: sim_fail("a message is refused: %s", input.error);
        }
        wire_release(&input);
        at += consumed;
    }
    wire_input_deinit(&input);
    resp_parser_free(parser);
    sim_node_run(node);
}

static void arrive_message(struct sim_node *node, void *data)
{
    struct parcel *parcel = data;
    if (node->paused) { /* it waits in the socket */
        sim_schedule(5000, node, arrive_message, parcel);
        return;
    }
    if (!cut[parcel->from][parcel->to])
        deliver(parcel);
    memory_free(parcel);
}

/* What arrived on a connection and was not read yet: a paused process reads it later, in order. */
struct inbox {
    struct parcel **parcels; /* owned */
    uint32_t count, capacity;
    bool polled; /* an event comes back to it */
};

static struct inbox inboxes[SIM_NODES_MAX][SIM_NODES_MAX];

static void read_inbox(struct sim_node *node, uint32_t from)
{
    struct inbox *inbox = &inboxes[from][node->id];
    for (uint32_t i = 0; i < inbox->count; i++) {
        struct parcel *parcel = inbox->parcels[i];
        if (parcel->connection == connection[from][node->id]) /* else it broke meanwhile */
            deliver(parcel);
        memory_free(parcel);
    }
    inbox->count = 0;
}

static void poll_inbox(struct sim_node *node, void *data)
{
    uint32_t from = *(uint32_t *)data;
    if (node->paused) {
        sim_schedule(5000, node, poll_inbox, data);
        return;
    }
    memory_free(data);
    inboxes[from][node->id].polled = false;
    read_inbox(node, from);
}

static void arrive_in_order(struct sim_node *node, void *data)
{
    struct parcel *parcel = data;
    uint32_t from = parcel->from;
    struct inbox *inbox = &inboxes[from][node->id];
    if (inbox->count == inbox->capacity) {
        inbox->capacity = inbox->capacity ? inbox->capacity * 2 : 16;
        inbox->parcels = memory_resize(inbox->parcels, inbox->capacity * sizeof(struct parcel *));
    }
    inbox->parcels[inbox->count++] = parcel;
    if (!node->paused) {
        read_inbox(node, from);
    } else if (!inbox->polled) {
        uint32_t *poll = memory_new(sizeof *poll);
        *poll = from;
        inbox->polled = true;
        sim_schedule(5000, node, poll_inbox, poll);
    }
}

static void empty_inboxes(const struct sim_node *node)
{
    for (uint32_t from = 0; from < sim.options.nodes; from++) {
        struct inbox *inbox = &inboxes[from][node->id];
        for (uint32_t i = 0; i < inbox->count; i++)
            memory_free(inbox->parcels[i]);
        memory_free(inbox->parcels);
        *inbox = (struct inbox){0};
    }
}

static void flatten(const struct outbox *box, struct buffer *out)
{
    size_t at = 0;
    for (uint32_t i = box->first; i < box->count; i++) {
        const struct outbox_reference *reference = &box->references[i];
        buffer_append(out, box->bytes.data + at, reference->at - at);
        buffer_append_bytes(out, blob_bytes(reference->blob));
        at = reference->at;
    }
    buffer_append(out, box->bytes.data + at, box->bytes.size - at);
}

static struct parcel *pack(struct outbox *box, uint32_t from, uint32_t to)
{
    struct buffer bytes = {0};
    flatten(box, &bytes);
    struct parcel *parcel = memory_new(sizeof *parcel + bytes.size);
    parcel->from = from;
    parcel->to = to;
    parcel->connection = connection[from][to];
    parcel->size = bytes.size;
    memcpy(parcel->bytes, bytes.data, bytes.size);
    buffer_deinit(&bytes);
    return parcel;
}

static int64_t some_delay(void)
{
    int64_t delay = DELAY_US_MIN + (int64_t)sim_below(DELAY_US_SPREAD);
    if (!sim.healing && sim_chance(0.01))
        delay += (int64_t)sim_below(LATE_US);
    return delay;
}

static struct sim_node *node_of(struct transport *transport)
{
    return (struct sim_node *)((char *)transport - offsetof(struct sim_node, transport));
}

static void send_message(struct transport *transport, const struct raft_message *message,
                         const struct raft_entry *entries)
{
    struct sim_node *node = node_of(transport);
    uint32_t from = (uint32_t)node->id, to = (uint32_t)message->to;
    if (!node->alive || cut[from][to])
        return;
    if (!sim.healing && sim_chance(sim.options.loss)) {
        sim.coverage.lost++;
        return;
    }
    struct outbox box = {0};
    wire_encode_message(&box, message, entries);
    sim_schedule(some_delay(), &sim.nodes[to], arrive_message, pack(&box, from, to));
    if (!sim.healing && sim_chance(sim.options.duplication)) {
        sim.coverage.duplicated++;
        sim_schedule(some_delay(), &sim.nodes[to], arrive_message, pack(&box, from, to));
    }
    outbox_deinit(&box);
}

static void send_in_order(uint32_t from, uint32_t to, struct outbox *box)
{
    int64_t arrival = sim.now_us + some_delay();
    if (arrival <= last_arrival[from][to])
        arrival = last_arrival[from][to] + 1;
    last_arrival[from][to] = arrival;
    sim_schedule(arrival - sim.now_us, &sim.nodes[to], arrive_in_order, pack(box, from, to));
}

static bool send_forward(struct transport *transport, raft_node_id to,
                         const struct forward *forward)
{
    struct sim_node *node = node_of(transport);
    if (!node->alive || cut[node->id][to] || !sim.nodes[to].alive)
        return false;
    struct outbox box = {0};
    wire_encode_forward(&box, forward);
    send_in_order((uint32_t)node->id, (uint32_t)to, &box);
    outbox_deinit(&box);
    return true;
}

static void send_forward_reply(struct transport *transport, raft_node_id to,
                               const struct forward_reply *reply)
{
    struct sim_node *node = node_of(transport);
    if (!node->alive || cut[node->id][to] || !sim.nodes[to].alive)
        return;
    struct outbox box = {0};
    wire_encode_forward_reply(&box, reply);
    send_in_order((uint32_t)node->id, (uint32_t)to, &box);
    outbox_deinit(&box);
}

static bool has_room(struct transport *transport, raft_node_id to)
{
    (void)transport;
    (void)to;
    return true;
}

static const struct transport_ops transport_ops = {
    .send = send_message,
    .forward = send_forward,
    .forward_reply = send_forward_reply,
    .has_room = has_room,
};

void sim_network_init(struct sim_node *node)
{
    node->transport.ops = &transport_ops;
}

struct notice {
    raft_node_id peer;
};

static void notice_break(struct sim_node *node, void *data)
{
    struct notice *notice = data;
    replica_disconnected(node->replica, notice->peer, true, true);
    memory_free(notice);
    sim_node_run(node);
}

/* Both directions of the pair are one matter to TCP: without acknowledgements neither lives. */
static void break_connection(uint32_t one, uint32_t other, int64_t notice_us)
{
    uint32_t ends[2] = {one, other};
    connection[one][other]++;
    connection[other][one]++;
    for (int i = 0; i < 2; i++) {
        if (!sim.nodes[ends[i]].alive)
            continue;
        struct notice *notice = memory_new(sizeof *notice);
        notice->peer = ends[1 - i];
        sim_schedule((int64_t)sim_below((uint64_t)notice_us) + 1, &sim.nodes[ends[i]], notice_break,
                     notice);
    }
}

void sim_network_cut(uint32_t from, uint32_t to, bool now_cut)
{
    if (now_cut && !cut[from][to])
        break_connection(from, to, NOTICE_US);
    cut[from][to] = now_cut;
}

void sim_network_heal(void)
{
    memset(cut, 0, sizeof cut);
}

void sim_network_node_gone(struct sim_node *node)
{
    empty_inboxes(node);
    for (uint32_t other = 0; other < sim.options.nodes; other++)
        if (other != node->id)
            break_connection((uint32_t)node->id, other, 1000);
}
