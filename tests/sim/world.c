/* The world: events in the order of time, one source of randomness, one transcript. */
#include <Judy.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "raft/print.h"
#include "sim.h"

enum { RECENT_BYTES = 16384 };

struct sim_world sim;

struct sim_event {
    struct sim_node *node;
    uint64_t life;
    sim_event_fn *fn;
    void *data;
};

uint64_t sim_below(uint64_t bound)
{
    return prng_below(&sim.prng, bound);
}

bool sim_chance(uint32_t of_1000)
{
    return prng_below(&sim.prng, 1000) < of_1000;
}

void sim_schedule(int64_t delay_us, struct sim_node *node, sim_event_fn *fn, void *data)
{
    struct sim_event *event = memory_new(sizeof *event);
    PPvoid_t slot;
    *event = (struct sim_event){node, node ? node->life : 0, fn, data};
    /* Time first; within a microsecond, the order of scheduling. */
    Word_t key = (Word_t)(sim.now_us + delay_us) << 22 | (Word_t)(sim.order++ & ((1u << 22) - 1));
    for (;;) {
        JLI(slot, sim.events, key);
        check(slot != PPJERR);
        if (!*slot)
            break;
        key++;
    }
    *slot = event;
}

static void run_event(struct sim_event *event)
{
    sim.touched = event->node;
    if (setjmp(sim.death) == 0)
        event->fn(event->node, event->data);
    else
        sim_node_died(sim.failing);
    sim.failing = NULL;
}

bool sim_step(void)
{
    Word_t key = 0;
    PPvoid_t slot;
    int removed;
    JLF(slot, sim.events, key);
    if (!slot)
        return false;
    struct sim_event *event = *slot;
    JLD(removed, sim.events, key);
    check(removed == 1);
    sim.now_us = (int64_t)(key >> 22);
    struct sim_node *node = event->node;
    if (node && (event->life != node->life || !node->alive))
        memory_free(event->data);
    else
        run_event(event);
    memory_free(event);
    sim.coverage.events++;
    return true;
}

void sim_drop_events(void)
{
    Word_t key = 0;
    PPvoid_t slot;
    JLF(slot, sim.events, key);
    while (slot) {
        struct sim_event *event = *slot;
        memory_free(event->data);
        memory_free(event);
        JLN(slot, sim.events, key);
    }
    Word_t freed;
    JLFA(freed, sim.events);
    (void)freed;
}

void sim_say(const char *format, ...)
{
    char line[512];
    int used = snprintf(line, sizeof line, "%10.3f ", (double)sim.now_us / 1000);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    va_end(arguments);
    size_t size = strlen(line);
    sim.transcript_hash = XXH3_64bits_withSeed(line, size, sim.transcript_hash);
    if (sim.options.verbose)
        printf("%s\n", line);
    if (sim.recent.size > 2 * RECENT_BYTES)
        buffer_consume(&sim.recent, RECENT_BYTES);
    buffer_append(&sim.recent, line, size);
    buffer_append_byte(&sim.recent, '\n');
}

static void print_node(const struct sim_node *node)
{
    struct replica_status status;
    struct buffer text = {0};
    if (!node->alive || !node->replica) {
        printf("node %" PRIu64 " is down\n", node->id);
        return;
    }
    replica_status(node->replica, &status);
    raft_print_status(&text, &status.raft);
    printf("node %" PRIu64 " %.*s\n", node->id, (int)text.size, text.data);
    buffer_deinit(&text);
    for (uint32_t i = 0; status.raft.role == RAFT_LEADER && i < status.peers_count; i++) {
        const struct raft_peer_status *peer = &status.peers[i];
        printf("    of node %" PRIu64 ": match %" PRIu64 " next %" PRIu64 "%s%s%s\n", peer->id,
               peer->match, peer->next, peer->active ? " active" : "",
               peer->replicating ? " replicating" : "", peer->fell_off ? " fell off" : "");
    }
}

void sim_fail(const char *format, ...)
{
    va_list arguments;
    printf("...%.*s", (int)sim.recent.size, sim.recent.data ? sim.recent.data : "");
    printf("FAILED seed %" PRIu64 " at %.3f ms, event %" PRIu64 ": ", sim.options.seed,
           (double)sim.now_us / 1000, sim.coverage.events);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    for (uint32_t i = 0; sim.nodes && i < sim.options.nodes; i++)
        print_node(&sim.nodes[i]);
    sim_ended();
    printf("commit %s; again: ", sim_commit());
    sim_print_command(&sim.options);
    printf(" --verbose\n");
    fflush(stdout);
    _Exit(1);
}
