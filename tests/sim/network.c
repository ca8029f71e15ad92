/* Between the nodes, with the shipped codec on both ends: what is not encoded is not delivered.
 *
 * A connection is a stream of bytes: in order, never doubled, cut anywhere into segments, lost only
 * together with the connection, which both ends notice; a new one begins with a fresh reader, so
 * half a message, or some pieces of a payload, are lost with it.  Forwards and their replies ride
 * on one of their own.  Raft messages do so too in half of all runs; in the others they may be
 * doubled, delayed and overtake each other at will.  In both the sender may drop one. */
#include <inttypes.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "pipes.h"

enum { DELAY_US_MIN = 30, LATE_US = 80000, NOTICE_US = 200000 };
enum { SEGMENTS_MAX = 4, LOSS_OF_1000 = 20, DUPLICATE_OF_1000 = 20, NO_ROOM_OF_1000 = 50 };

static bool cut[SIM_NODES_MAX][SIM_NODES_MAX];
static struct pipe pipes[CHANNELS][SIM_NODES_MAX][SIM_NODES_MAX]; /* from, to */

struct pipe *sim_pipe(enum channel channel, uint32_t from, uint32_t to)
{
    return &pipes[channel][from][to];
}

bool sim_network_is_cut(uint32_t from, uint32_t to)
{
    return cut[from][to];
}

/* ---- reading ------------------------------------------------------------------------------ */

static void hear(struct sim_node *node, const struct inbound *inbound, struct wire_input *input,
                 const struct bytes *argv, uint32_t argc)
{
    raft_node_id from = inbound->peer->member->id;
    uint64_t life = inbound->handshake.dialer_node.life;
    switch (wire_decode(input, argv, argc, from, node->name)) {
    case WIRE_PIECE: sim.coverage.pieces++; break;
    case WIRE_MESSAGE:
        replica_receive(node->replica, &input->message, life, input->clock_ms);
        break;
    case WIRE_FORWARD: replica_receive_forward(node->replica, from, life, &input->forward); break;
    case WIRE_CANCEL: replica_receive_cancel(node->replica, from, &input->cancel); break;
    case WIRE_SNAPSHOT: replica_receive_snapshot(node->replica, &input->snapshot); break;
    case WIRE_FORWARD_REPLY:
        sim.coverage.refused_forwards += input->forward_reply.refused;
        replica_receive_forward_reply(node->replica, from, &input->forward_reply);
        break;
    case WIRE_INVALID: sim_fail("a message is refused: %s", input->error);
    }
    wire_release(input);
}

/* All complete messages in `in`; returns how many. */
static uint32_t hear_all(struct sim_node *node, const struct inbound *inbound,
                         struct resp_parser *parser, struct wire_input *input, struct buffer *in)
{
    size_t at = 0, consumed;
    uint32_t heard = 0;
    while (at < in->size) {
        uint32_t argc;
        enum resp_result result = resp_parse(parser, in->data + at, in->size - at, &consumed);
        if (result == RESP_INVALID)
            sim_fail("a message does not parse: %s", resp_error(parser));
        if (result == RESP_INCOMPLETE)
            break;
        const struct bytes *argv = resp_argv(parser, &argc);
        hear(node, inbound, input, argv, argc);
        at += consumed;
        heard++;
    }
    buffer_consume(in, at);
    sim_node_run(node);
    return heard;
}

static void pipe_forget(struct pipe *pipe)
{
    sim.coverage.pieces_cut_off += pipe->input.assembly != NULL;
    wire_input_deinit(&pipe->input);
    buffer_deinit(&pipe->in);
    if (pipe->parser)
        resp_parser_free(pipe->parser);
    pipe->parser = NULL;
}

static void pipe_read(struct sim_node *node, struct pipe *pipe, const struct segment *segment)
{
    if (segment->connection != pipe->connection || segment->connection != pipe->accepted ||
        !pipe->heard)
        return; /* it broke meanwhile */
    if (pipe->reading != pipe->connection || !pipe->parser) {
        struct resp_limits limits = wire_limits();
        pipe_forget(pipe);
        pipe->parser = resp_parser_new(&limits);
        pipe->reading = pipe->connection;
    }
    buffer_append(&pipe->in, segment->bytes, segment->size);
    hear_all(node, pipe->heard, pipe->parser, &pipe->input, &pipe->in);
    if (pipe->fragile && pipe->input.assembly) {
        pipe->fragile = false;
        sim_say("a connection breaks between pieces");
        sim_pipes_break(segment->from, segment->to, segment->channel == CHANNEL_CONTROL,
                        segment->channel == CHANNEL_COMMANDS, 1000);
    }
}

/* The process may die of what it reads: nothing is left in two places then. */
static void read_inbox(struct sim_node *node, struct pipe *pipe)
{
    while (pipe->count > 0) {
        struct segment *segment = pipe->inbox[0];
        memmove(pipe->inbox, pipe->inbox + 1, --pipe->count * sizeof(struct segment *));
        pipe_read(node, pipe, segment);
        memory_free(segment);
    }
}

static void poll_inbox(struct sim_node *node, void *data)
{
    struct pipe *pipe = *(struct pipe **)data;
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, poll_inbox, data);
        return;
    }
    memory_free(data);
    pipe->polled = false;
    read_inbox(node, pipe);
}

static void arrive_in_order(struct sim_node *node, void *data)
{
    struct segment *segment = data;
    struct pipe *pipe = &pipes[segment->channel][segment->from][node->id];
    if (pipe->count == pipe->capacity) {
        pipe->capacity = pipe->capacity ? pipe->capacity * 2 : 16;
        pipe->inbox = memory_resize(pipe->inbox, pipe->capacity * sizeof(struct segment *));
    }
    pipe->inbox[pipe->count++] = segment;
    if (!node->paused) {
        read_inbox(node, pipe);
    } else if (!pipe->polled) {
        struct pipe **poll = memory_new(sizeof(struct pipe *));
        *poll = pipe;
        pipe->polled = true;
        sim_schedule(SIM_PAUSED_US, node, poll_inbox, poll);
    }
}

static void empty_inbox(struct pipe *pipe)
{
    for (uint32_t i = 0; i < pipe->count; i++)
        memory_free(pipe->inbox[i]);
    pipe->count = 0;
    pipe->polled = false;
}

/* As connections keep it: nothing of a directory that another has taken the place of, at either
 * end, and nothing of a node that is not connected. */
static bool is_heard(const struct segment *segment, const struct sim_node *node)
{
    const struct pipe *pipe = &pipes[CHANNEL_CONTROL][segment->from][segment->to];
    return !cut[segment->from][segment->to] && pipe->heard && pipe->dialer == segment->sender &&
           node->directory == segment->receiver;
}

/* A message by itself, outside of any stream. */
static void arrive_alone(struct sim_node *node, void *data)
{
    struct segment *segment = data;
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, arrive_alone, segment);
        return;
    }
    if (is_heard(segment, node)) {
        const struct pipe *pipe = &pipes[CHANNEL_CONTROL][segment->from][segment->to];
        struct resp_limits limits = wire_limits();
        struct resp_parser *parser = resp_parser_new(&limits);
        struct wire_input input = {0};
        struct buffer in = {0};
        buffer_append(&in, segment->bytes, segment->size);
        uint64_t pieces = sim.coverage.pieces;
        uint32_t heard = hear_all(node, pipe->heard, parser, &input, &in);
        sim.coverage.split_appends += heard > 1 + sim.coverage.pieces - pieces;
        check(in.size == 0);
        wire_input_deinit(&input);
        buffer_deinit(&in);
        resp_parser_free(parser);
    }
    memory_free(segment);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void flatten(const struct outbox *box, struct buffer *out)
{
    size_t at = 0;
    for (uint32_t i = box->first; i < box->count; i++) {
        const struct outbox_reference *reference = &box->references[i];
        buffer_append(out, box->bytes.data + at, reference->at - at);
        buffer_append(out, reference->data, reference->size);
        at = reference->at;
    }
    buffer_append(out, box->bytes.data + at, box->bytes.size - at);
}

static struct segment *segment_new(uint32_t from, uint32_t to, enum channel channel,
                                   struct bytes bytes)
{
    const struct pipe *pipe = &pipes[channel][from][to];
    struct segment *segment = memory_new(sizeof *segment + bytes.size);
    segment->from = from;
    segment->to = to;
    segment->channel = channel;
    segment->sender = sim.nodes[from].directory;
    segment->receiver = pipe->acceptor;
    segment->connection = pipe->dialed;
    segment->size = bytes.size;
    memcpy(segment->bytes, bytes.data, bytes.size);
    return segment;
}

int64_t sim_network_delay(void)
{
    int64_t delay = DELAY_US_MIN + (int64_t)sim_below((uint64_t)sim.latency_us);
    if (sim_fault_on(FAULT_DELAY) && sim_chance(10)) {
        delay += (int64_t)sim_below(LATE_US);
        sim.coverage.delayed++;
    }
    return delay;
}

int64_t sim_pipe_delay(struct pipe *pipe)
{
    int64_t arrival_us = sim.now_us + sim_network_delay();
    if (arrival_us <= pipe->last_arrival_us)
        arrival_us = pipe->last_arrival_us + 1;
    pipe->last_arrival_us = arrival_us;
    return arrival_us - sim.now_us;
}

static void send_in_order(uint32_t from, uint32_t to, enum channel channel, struct bytes bytes)
{
    struct pipe *pipe = &pipes[channel][from][to];
    uint64_t segments = sim_chance(200) ? 1 + sim_below(SEGMENTS_MAX) : 1;
    const char *at = bytes.data;
    size_t left = bytes.size;
    for (; segments > 0 && left > 0; segments--) {
        size_t size = segments == 1 ? left : 1 + sim_below(left);
        sim_schedule(sim_pipe_delay(pipe), &sim.nodes[to], arrive_in_order,
                     segment_new(from, to, channel, bytes_of(at, size)));
        at += size;
        left -= size;
    }
}

static void send_alone(uint32_t from, uint32_t to, struct bytes bytes)
{
    int copies = 1;
    if (sim_fault_on(FAULT_DUPLICATE) && sim_chance(DUPLICATE_OF_1000)) {
        sim.coverage.duplicated++;
        copies = 2;
    }
    for (; copies > 0; copies--)
        sim_schedule(sim_network_delay(), &sim.nodes[to], arrive_alone,
                     segment_new(from, to, CHANNEL_CONTROL, bytes));
}

static struct sim_node *node_of(struct transport *transport)
{
    return (struct sim_node *)((char *)transport - offsetof(struct sim_node, transport));
}

static void say(struct sim_node *node, const struct raft_message *message,
                const struct raft_entry *entries, int64_t clock_ms)
{
    uint32_t from = (uint32_t)node->id, to;
    if (!node->alive)
        return;
    const struct pipe *pipe = sim_link_up(node, message->to, CHANNEL_CONTROL, &to);
    sim_check_sent(node, message, entries, pipe ? pipe->acceptor : SIM_NO_DIRECTORY);
    if (!pipe || cut[from][to])
        return;
    if (sim_fault_on(FAULT_LOSS) && sim_chance(LOSS_OF_1000)) {
        sim.coverage.lost++;
        return;
    }
    struct outbox box = {0};
    struct buffer bytes = {0};
    wire_encode_message(&box, message, entries, clock_ms);
    flatten(&box, &bytes);
    if (sim.raft_in_order)
        send_in_order(from, to, CHANNEL_CONTROL, buffer_bytes(&bytes));
    else
        send_alone(from, to, buffer_bytes(&bytes));
    buffer_deinit(&bytes);
    outbox_deinit(&box);
}

static void send_message(struct transport *transport, const struct raft_message *message,
                         const struct raft_entry *entries)
{
    struct sim_node *node = node_of(transport);
    say(node, message, entries, sim_node_unix_ms(node));
}

/* ---- what is said before the loop hears of the disk (net/promises.c) ------------------------- */

static bool promise(struct transport *transport, const struct raft_message *message, uint64_t seq)
{
    struct sim_node *node = node_of(transport);
    struct sim_promises *promises = &node->promises;
    uint32_t to;
    if (seq <= promises->durable || promises->count == SIM_PROMISES_MAX ||
        !sim_link_up(node, message->to, CHANNEL_CONTROL, &to))
        return false;
    promises->list[promises->count++] = (struct sim_promise){seq, *message};
    return true;
}

static void take_back(struct transport *transport)
{
    struct sim_promises *promises = &node_of(transport)->promises;
    sim.coverage.promises_taken_back += promises->count > 0;
    promises->count = 0;
    promises->has_said = false;
}

static bool has_said(struct transport *transport, const struct raft_message *message)
{
    const struct sim_promises *promises = &node_of(transport)->promises;
    return promises->has_said && raft_answer_covers(&promises->said, message);
}

bool sim_network_durable(struct sim_node *node, uint64_t seq)
{
    struct sim_promises *promises = &node->promises;
    uint32_t ripe = 0;
    while (ripe < promises->count && promises->list[ripe].seq <= seq)
        ripe++;
    bool may_say = ripe > 0 && !sim_chance(NO_ROOM_OF_1000);
    promises->durable = seq;
    if (may_say) {
        promises->said = promises->list[ripe - 1].message;
        promises->has_said = true;
        sim.coverage.promises_said++;
        sim_trace_promised(&promises->said, seq);
        say(node, &promises->said, NULL, 0);
    }
    promises->count -= ripe;
    memmove(promises->list, promises->list + ripe, promises->count * sizeof promises->list[0]);
    return ripe == 0 || may_say;
}

/* In order always, as on the connection that it shares with entries; but any may be dropped, and is
 * asked for again. */
static void send_snapshot(struct transport *transport, const struct snapshot_message *message)
{
    struct sim_node *node = node_of(transport);
    struct outbox box = {0};
    struct buffer bytes = {0};
    uint32_t from = (uint32_t)node->id, to;
    if (!node->alive || !sim_link_up(node, message->to, CHANNEL_CONTROL, &to) || cut[from][to])
        return;
    if (sim_fault_on(FAULT_LOSS) && sim_chance(LOSS_OF_1000)) {
        sim.coverage.lost++;
        return;
    }
    if (message->type == SNAPSHOT_BEGIN)
        sim_check_begun(node, &sim.nodes[to], message->pos.index);
    wire_encode_snapshot(&box, message);
    flatten(&box, &bytes);
    send_in_order(from, to, CHANNEL_CONTROL, buffer_bytes(&bytes));
    buffer_deinit(&bytes);
    outbox_deinit(&box);
}

static bool is_connected(const struct sim_node *node, uint32_t machine)
{
    return node->alive && !cut[node->id][machine] && sim.nodes[machine].alive;
}

static void send_command(const struct sim_node *node, uint32_t machine, struct outbox *box)
{
    struct buffer bytes = {0};
    flatten(box, &bytes);
    send_in_order((uint32_t)node->id, machine, CHANNEL_COMMANDS, buffer_bytes(&bytes));
    buffer_deinit(&bytes);
    outbox_deinit(box);
}

/* Without the way back an answer could not come, and nobody would say so. */
static bool send_forward(struct transport *transport, raft_node_id to,
                         const struct forward *forward)
{
    struct outbox box = {0};
    struct sim_node *node = node_of(transport);
    uint32_t machine;
    if (!sim_link_up(node, to, CHANNEL_COMMANDS, &machine) || !is_connected(node, machine) ||
        !pipes[CHANNEL_COMMANDS][machine][node->id].heard)
        return false;
    wire_encode_forward(&box, forward);
    send_command(node, machine, &box);
    return true;
}

static void send_forward_reply(struct transport *transport, raft_node_id to,
                               const struct forward_reply *reply)
{
    struct outbox box = {0};
    uint32_t machine;
    /* The other side may have forwarded something from the proof on. */
    if (!sim_link_proved(node_of(transport), to, CHANNEL_COMMANDS, &machine) ||
        !is_connected(node_of(transport), machine))
        return;
    wire_encode_forward_reply(&box, reply);
    send_command(node_of(transport), machine, &box);
}

static void send_cancel(struct transport *transport, raft_node_id to,
                        const struct forward_cancel *cancel)
{
    struct outbox box = {0};
    uint32_t machine;
    if (!sim_link_up(node_of(transport), to, CHANNEL_COMMANDS, &machine) ||
        !is_connected(node_of(transport), machine))
        return;
    wire_encode_cancel(&box, cancel);
    send_command(node_of(transport), machine, &box);
}

static bool has_room_for_entries(struct transport *transport, raft_node_id to)
{
    uint32_t machine;
    if (!sim_link_up(node_of(transport), to, CHANNEL_CONTROL, &machine))
        return false;
    bool is_full = sim_fault_on(FAULT_DELAY) && sim_chance(NO_ROOM_OF_1000);
    sim.coverage.no_room += is_full;
    return !is_full;
}

static bool has_room(struct transport *transport, raft_node_id to)
{
    (void)transport;
    (void)to;
    return true;
}

static const struct transport_ops transport_ops = {
    .snapshot = send_snapshot,
    .send = send_message,
    .promise = promise,
    .take_back = take_back,
    .has_said = has_said,
    .forward = send_forward,
    .forward_reply = send_forward_reply,
    .cancel = send_cancel,
    .has_room_for_entries = has_room_for_entries,
    .has_room = has_room,
};

void sim_network_init(struct sim_node *node)
{
    node->transport.ops = &transport_ops;
    node->promises = (struct sim_promises){0};
}

/* ---- breaking -------------------------------------------------------------------------------- */

struct notice {
    uint32_t other;
    bool gone;
};

static void notice_break(struct sim_node *node, void *data)
{
    struct notice *notice = data;
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, notice_break, notice);
        return;
    }
    if (notice->gone)
        sim_links_gone(node, notice->other);
    sim_links_broken(node, notice->other);
    sim.coverage.gone += notice->gone;
    memory_free(notice);
    sim_node_run(node);
}

/* Both directions of the pair are one matter to TCP: without acknowledgements neither lives. */
void sim_pipes_break(uint32_t one, uint32_t other, bool raft, bool commands, int64_t notice_us)
{
    uint32_t ends[2] = {one, other};
    for (int i = 0; i < 2; i++) {
        uint32_t from = ends[i], to = ends[1 - i];
        pipes[CHANNEL_CONTROL][from][to].connection += raft;
        pipes[CHANNEL_COMMANDS][from][to].connection += commands;
        if (!sim.nodes[from].alive)
            continue;
        struct notice *notice = memory_new(sizeof *notice);
        /* Of those that live a few seem to be gone, of the others most. */
        bool gone = raft && commands && sim_chance(sim.nodes[to].alive ? 100 : 800);
        *notice = (struct notice){to, gone};
        sim_schedule((int64_t)sim_below((uint64_t)notice_us) + 1, &sim.nodes[from], notice_break,
                     notice);
    }
}

void sim_network_cut(uint32_t from, uint32_t to, bool now_cut)
{
    if (now_cut && !cut[from][to])
        sim_pipes_break(from, to, true, true, NOTICE_US);
    cut[from][to] = now_cut;
}

void sim_network_reset(uint32_t one, uint32_t other, bool raft, bool commands)
{
    sim.coverage.reconnects++;
    pipes[CHANNEL_CONTROL][one][other].fragile = raft;
    pipes[CHANNEL_COMMANDS][one][other].fragile = commands;
    sim_pipes_break(one, other, raft, commands, 1000);
}

void sim_network_heal(void)
{
    memset(cut, 0, sizeof cut);
}

void sim_network_node_gone(struct sim_node *node)
{
    sim_links_end(node);
    for (uint32_t other = 0; other < sim.options.nodes; other++) {
        if (other == node->id)
            continue;
        for (int channel = 0; channel < CHANNELS; channel++)
            empty_inbox(&pipes[channel][other][node->id]);
        sim_pipes_break((uint32_t)node->id, other, true, true, 1000);
    }
}

void sim_network_free(void)
{
    for (int channel = 0; channel < CHANNELS; channel++)
        for (uint32_t from = 0; from < SIM_NODES_MAX; from++)
            for (uint32_t to = 0; to < SIM_NODES_MAX; to++) {
                struct pipe *pipe = &pipes[channel][from][to];
                empty_inbox(pipe);
                memory_free(pipe->inbox);
                pipe_forget(pipe);
            }
}
