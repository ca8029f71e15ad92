/* driver [--states] [SEED [RUNS]]: drives the core through random schedules and prints its trace, a
 * world for each seed from SEED on, for build/trace-check.  With --states each step stands by
 * itself, behind the state that it was taken in.
 *
 * Messages are delivered in any order, any number of times or never; writes become durable late, in
 * their order, the core hears of it later still, and what it promised may leave in between; a crash
 * keeps the durable writes and any number of those under way; what was
 * applied is on the disk at once or never; now and then a node is cut off or compacts its log; some
 * worlds have a learner; reads are asked at any node, and forwarded ones come late.  Of entries
 * there are only the terms. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/prng.h"
#include "raft/trace.h"

enum { NODES_MAX = 5, NET = 256, LOG = 512, WRITES = 4096, BATCH = 3, STEPS_A_NODE = 2000 };
enum { ACKS = 8 };

struct packet {
    struct raft_message message;
    struct raft_entry entries[BATCH];
};

struct image {
    raft_term term;
    raft_node_id vote;
    uint32_t last;
    raft_term terms[LOG]; /* by index */
};

struct node {
    struct raft *raft;
    struct image now;               /* with all writes, durable or not */
    struct image kept[WRITES];      /* by number of write since the start; [0]: at the start */
    uint64_t issued, durable, told; /* writes; durable up to here the core knows */
    struct raft_message promised[WRITES]; /* behind this write; of term 0: nothing is */
    raft_index applied, first;            /* on the disk as well */
    raft_index apply_to;                  /* the highest so far */
};

static struct {
    uint32_t count;
    struct raft_members members;
    struct node nodes[NODES_MAX];
    struct packet net[NET]; /* the last that were sent: a ring */
    uint32_t sent;
    uint32_t cut_off; /* this node's messages are lost; `count`: nobody's */
    uint64_t next_read;
    struct raft_ack acks[ACKS]; /* with reads that are on their way; term 0: none is there */
    uint64_t prng;
    bool states;
    FILE *out;
    struct buffer trace;
} world;

static uint32_t below(uint64_t bound)
{
    return (uint32_t)prng_below(&world.prng, bound);
}

static void take_back(struct node *node)
{
    for (uint64_t seq = node->durable + 1; seq <= node->issued; seq++)
        node->promised[seq].term = 0;
}

static void start(uint32_t id)
{
    struct node *node = &world.nodes[id];
    struct raft_entry entries[LOG];
    struct raft_config config = {
        .id = id,
        .election_ticks = 10,
        .heartbeat_ticks = 3,
        .inflight_max = 4,
        .inflight_bytes_max = UINT64_MAX,
        .append_entries_max = BATCH,
        .append_bytes_max = 1000,
        .uncommitted_bytes_max = 1000000,
        .seed = prng_next(&world.prng),
    };
    struct raft_saved saved = {
        .term = node->now.term,
        .voted_for = node->now.vote,
        .applied = node->applied,
        .first = {node->now.terms[node->first], node->first},
        .members = world.members,
        .entries = entries,
        .entries_count = node->now.last - node->first,
    };
    for (raft_index i = node->first + 1; i <= node->now.last; i++)
        entries[i - node->first - 1] = (struct raft_entry){.pos = {node->now.terms[i], i}};
    node->raft = raft_new(&config, &saved);
    raft_trace_boot(&world.trace, node->raft, 0);
    node->kept[0] = node->now;
    take_back(node);
    node->issued = node->durable = node->told = 0;
    node->apply_to = node->applied;
}

static void send(const struct node *node, const struct raft_message *message)
{
    struct packet *packet = &world.net[world.sent++ % NET];
    packet->message = *message;
    if (message->type != RAFT_APPEND_REQUEST)
        return;
    for (uint32_t i = 0; i < message->append_request.count; i++) {
        raft_index index = message->append_request.prev.index + 1 + i;
        packet->entries[i] = (struct raft_entry){.pos = {node->now.terms[index], index}};
    }
}

static void keep_write(struct node *node, const struct raft_write *write)
{
    node->now.term = write->term;
    node->now.vote = write->voted_for;
    for (uint32_t i = 0; i < write->count; i++) {
        node->now.last = (uint32_t)write->entries[i].pos.index;
        node->now.terms[node->now.last] = write->entries[i].pos.term;
    }
    node->issued = write->seq;
    node->kept[node->issued] = node->now;
}

typedef void print_fn(struct buffer *out, const struct raft *raft,
                      const struct raft_trace_image *images, uint32_t count);

static void print_state(const struct node *node, print_fn *print)
{
    struct raft_trace_image images[WRITES];
    struct raft_status status;
    uint32_t count = 0;
    raft_status(node->raft, &status);
    for (uint64_t seq = node->told; seq <= node->issued; seq++) {
        const struct image *image = &node->kept[seq];
        images[count++] = (struct raft_trace_image){
            .seq = seq,
            .term = image->term,
            .voted_for = image->vote,
            .commit = node->apply_to,
            .terms = image->terms + status.first.index + 1,
            .count = image->last - status.first.index,
        };
    }
    print(&world.trace, node->raft, images, count);
}

/* As a replica does. */
static void promise(struct node *node, const struct raft_output *output)
{
    struct raft_message answer;
    if (output->role_changed)
        take_back(node);
    if (node->issued > node->durable && raft_promised(node->raft, &answer))
        node->promised[node->issued] = answer;
}

static void step(uint32_t id, const struct raft_input *input)
{
    struct node *node = &world.nodes[id];
    struct raft_output output;
    struct raft_status status;
    if (world.states)
        print_state(node, raft_trace_state);
    raft_step(node->raft, input, &output);
    raft_trace_step(&world.trace, node->raft, input, &output);
    if (output.write.seq)
        keep_write(node, &output.write);
    promise(node, &output);
    if (output.apply_to > node->apply_to)
        node->apply_to = output.apply_to;
    if (world.states)
        print_state(node, raft_trace_expect);
    for (uint32_t i = 0; i < output.messages_count; i++)
        send(node, &output.messages[i]);
    raft_status(node->raft, &status);
    if (output.apply_to > status.applied && below(2)) {
        struct raft_input applied = {.type = RAFT_INPUT_APPLIED, .index = output.apply_to};
        if (below(2))
            node->applied = output.apply_to;
        step(id, &applied);
    }
}

static void crash(uint32_t id)
{
    struct node *node = &world.nodes[id];
    if (world.states)
        print_state(node, raft_trace_state);
    node->now = node->kept[node->durable + below(node->issued - node->durable + 1)];
    raft_free(node->raft);
    start(id);
}

static void compact(uint32_t id)
{
    struct node *node = &world.nodes[id];
    if (node->applied <= node->first)
        return;
    struct raft_input input = {.type = RAFT_INPUT_COMPACTED};
    input.index = node->first = node->first + 1 + below(node->applied - node->first);
    step(id, &input);
}

static void deliver(void)
{
    uint32_t old = below(3) ? 8 : NET;
    uint32_t age = below(world.sent < old ? world.sent : old);
    struct packet packet = world.net[(world.sent - 1 - age) % NET];
    if (packet.message.type == RAFT_APPEND_REQUEST)
        packet.message.append_request.entries = packet.entries;
    if (packet.message.to == world.cut_off || packet.message.from == world.cut_off)
        return;
    struct raft_input input = {.type = RAFT_INPUT_MESSAGE, .message = &packet.message};
    step((uint32_t)packet.message.to, &input);
}

/* The newest answer that is true now leaves, or finds no room.  The states of --states do not say
 * what of a log that of the leader is, so there no line does either. */
static void write_some(struct node *node)
{
    struct raft_message said = {.term = 0};
    for (uint64_t end = node->durable + 1 + below(node->issued - node->durable);
         node->durable < end;) {
        struct raft_message *promised = &node->promised[++node->durable];
        if (promised->term > 0)
            said = *promised;
        promised->term = 0;
    }
    if (said.term == 0 || below(4) == 0)
        return;
    if (!world.states)
        raft_trace_promised(&world.trace, &said, node->durable);
    send(node, &said);
}

static void persist(uint32_t id)
{
    struct node *node = &world.nodes[id];
    if (node->issued > node->durable)
        write_some(node);
    if (node->durable == node->told || below(3) == 0)
        return;
    node->told = node->durable;
    struct raft_input input = {.type = RAFT_INPUT_PERSISTED, .persisted = {node->told}};
    step(id, &input);
}

/* To some leader, if there is one. */
static void propose(uint32_t id)
{
    struct raft_entry entries[2] = {{.size = 1}, {.size = 1}};
    struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {entries, 1 + below(2)}};
    for (uint32_t i = 0; i < world.count; i++) {
        uint32_t at = (id + i) % world.count;
        struct raft_status status;
        raft_status(world.nodes[at].raft, &status);
        if (status.role != RAFT_LEADER || status.last.index > LOG - 8)
            continue;
        step(at, &input);
        return;
    }
}

/* One is asked at this node, and comes to any, sooner or later, but once. */
static void read_forwarded(uint32_t id)
{
    struct raft_status status;
    struct raft_ack *ack = &world.acks[below(ACKS)];
    raft_status(world.nodes[id].raft, &status);
    if (ack->term > 0) {
        struct raft_input read = {.type = RAFT_INPUT_READ,
                                  .read = {.id = ++world.next_read, .ack = *ack}};
        step(below(world.count), &read);
    }
    *ack = (struct raft_ack){id, status.term};
}

static void anything(void)
{
    uint32_t id = below(world.count), what = below(1000);
    struct raft_input tick = {.type = RAFT_INPUT_TICK};
    struct raft_input read = {.type = RAFT_INPUT_READ,
                              .read = {.id = world.next_read + 1, .asks_all = below(4) == 0}};
    struct raft_input transfer = {.type = RAFT_INPUT_TRANSFER, .node = below(world.count)};
    struct raft_input unreachable = {.type = RAFT_INPUT_UNREACHABLE, .node = below(world.count)};
    struct raft_input gone = {.type = RAFT_INPUT_GONE, .node = below(world.count)};
    if (below(800) == 0)
        world.cut_off = below(world.count + 1);
    if (what < 500 && world.sent > 0) {
        deliver();
    } else if (what < 700) {
        persist(id);
    } else if (what < 900) {
        step(id, &tick);
    } else if (what < 940) {
        propose(id);
    } else if (what < 960) {
        read_forwarded(id);
    } else if (what < 975) {
        world.next_read++;
        step(id, &read);
    } else if (what < 985) {
        step(id, &transfer);
    } else if (what < 990) {
        step(id, below(2) ? &unreachable : &gone);
    } else if (what < 992) {
        crash(id);
    } else {
        compact(id);
    }
}

static void begin_world(uint64_t seed)
{
    world.prng = seed;
    world.count = seed % 4 == 3 ? 5 : 3;
    world.cut_off = world.count;
    world.sent = 0;
    memset(world.acks, 0, sizeof world.acks);
    world.members.count = world.count;
    for (uint32_t id = 0; id < world.count; id++)
        world.members.list[id] = (struct raft_member){.id = id, .voter = id < 4 || seed % 8 == 3};
    buffer_printf(&world.trace, "# build/tests/raft/driver %s%" PRIu64 " 1 | build/trace-check\n",
                  world.states ? "--states " : "", seed);
    raft_trace_world(&world.trace, world.states ? RAFT_TRACE_STATES : RAFT_TRACE_CLOSED);
    for (uint32_t id = 0; id < world.count; id++) {
        struct node *node = &world.nodes[id];
        memset(&node->now, 0, sizeof node->now);
        node->now.vote = RAFT_NOBODY;
        node->applied = node->first = 0;
        start(id);
    }
}

static void write_trace(void)
{
    fwrite(world.trace.data, 1, world.trace.size, world.out);
    buffer_clear(&world.trace);
}

int main(int argc, char **argv)
{
    world.states = argc > 1 && strcmp(argv[1], "--states") == 0;
    argv += world.states;
    argc -= world.states;
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t runs = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
    /* What a dying core says goes elsewhere, and it leaves whole lines. */
    world.out = fdopen(dup(STDOUT_FILENO), "w");
    check(world.out && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0);
    setvbuf(world.out, NULL, _IOLBF, BUFSIZ);
    for (uint64_t end = seed + runs; seed < end; seed++) {
        begin_world(seed);
        for (uint32_t i = 0; i < STEPS_A_NODE * world.count; i++) {
            anything();
            write_trace();
        }
        for (uint32_t id = 0; id < world.count; id++)
            raft_free(world.nodes[id].raft);
    }
    buffer_deinit(&world.trace);
    return fclose(world.out) != 0;
}
