/* What goes wrong, and when: one fault after the other, at random, until everything heals. */
#include <inttypes.h>

#include "base/memory.h"
#include "sim.h"

enum {
    GAP_US = 400000,
    DOWN_US = 1500000,
    PAUSE_US = 2000000,
    CUT_US = 3000000,
    DISK_US = 2000000,
    HANG_US = 6000000
};
/* The clocks of a minority are wrong by anything, up to years; those of the others by no more than
 * people would notice. */
enum { CLOCK_NEAR_MS = 200, CLOCK_FAR_S = 10 * 365 * 86400, RATE_PPM_MAX = 100000 };
enum { WRITES_TO_BREAK = 40, READS_TO_BREAK = 20, READS_AT_START = 6 };

bool sim_fault_on(enum sim_fault fault)
{
    return !sim.healing && sim.now_us >= SIM_FAULTS_BEGIN_US &&
           (sim.options.faults & (1u << fault)) != 0;
}

const char *sim_fault_word(enum sim_fault fault)
{
    static const char *words[] = {
#define X(name, word) word,
        SIM_FAULTS(X)
#undef X
    };
    return words[fault];
}

static struct sim_node *some_node(void)
{
    return &sim.nodes[sim_below(sim.options.nodes)];
}

/* ---- processes ------------------------------------------------------------------------ */

static void restart(struct sim_node *unused, void *data)
{
    struct sim_node *node = &sim.nodes[*(raft_node_id *)data];
    (void)unused;
    memory_free(data);
    if (node->alive)
        return;
    sim.coverage.restarts++;
    if (sim_fault_on(FAULT_DISK_ERROR) && sim_chance(50))
        sim_store_break(node->store, BREAK_READ, 1 + sim_below(READS_AT_START));
    sim_node_start(node);
}

void sim_restart_later(struct sim_node *node)
{
    raft_node_id *id = memory_new(sizeof *id);
    *id = node->id;
    sim_schedule(1000 + (int64_t)sim_below(DOWN_US), NULL, restart, id);
}

static void crash_all(void)
{
    sim.coverage.blackouts++;
    sim_say("the power fails everywhere");
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        if (!sim.nodes[i].alive)
            continue;
        sim_node_crash(&sim.nodes[i]);
        sim_restart_later(&sim.nodes[i]);
    }
}

static void crash(struct sim_node *node)
{
    if (sim_chance(50)) {
        crash_all();
        return;
    }
    if (!node->alive)
        return;
    if (sim_chance(500)) { /* within a write that is still to come */
        sim_store_break(node->store, BREAK_POWER, 1 + sim_below(WRITES_TO_BREAK));
        return;
    }
    sim_node_crash(node);
    sim_restart_later(node);
}

static void resume(struct sim_node *node, void *data)
{
    (void)data;
    node->paused = false;
    sim_say("node %" PRIu64 " goes on", node->id);
}

static void pause_process(struct sim_node *node)
{
    if (!node->alive || node->paused)
        return;
    sim.coverage.pauses++;
    sim_say("node %" PRIu64 " is paused", node->id);
    node->paused = true;
    sim_schedule(1000 + (int64_t)sim_below(PAUSE_US), node, resume, NULL);
}

static void transfer(struct sim_node *node)
{
    if (!node->alive || node->paused)
        return;
    struct replica_status status;
    replica_status(node->replica, &status);
    if (status.raft.role == RAFT_LEADER) {
        sim_say("node %" PRIu64 " is to hand over", node->id);
        sim.coverage.transfers++;
    }
    replica_transfer(node->replica);
    sim_node_run(node);
}

/* ---- clocks --------------------------------------------------------------------------------- */

bool sim_clock_may_lie(const struct sim_node *node)
{
    uint32_t nodes = sim.options.nodes;
    uint32_t after = ((uint32_t)node->id + nodes - sim.clock_liar) % nodes;
    /* Where members are taken out, as many must not be a majority of those who are left. */
    uint32_t liars = sim.changes ? nodes / SIM_NODES_MAX : (nodes - 1) / 2;
    return after < liars;
}

static void turn_clock(struct sim_node *node)
{
    int64_t before_us = node->clock_skew_us;
    if (sim_chance(300)) {
        sim_node_set_rate(node, (int64_t)sim_below(2 * RATE_PPM_MAX) - RATE_PPM_MAX);
        return;
    }
    /* Of two clocks that a first leader has heard nobody could say which one lies: what is checked
     * begins when there is a log time to hold on to. */
    if (sim_clock_may_lie(node) && sim_check_time_began()) {
        int64_t far_s = sim_chance(500) ? CLOCK_FAR_S : 2 * 3600;
        node->clock_skew_us = ((int64_t)sim_below(2 * (uint64_t)far_s) - far_s) * 1000000;
    } else {
        node->clock_skew_us = ((int64_t)sim_below(2 * CLOCK_NEAR_MS) - CLOCK_NEAR_MS) * 1000;
    }
    sim.coverage.clock_jumps++;
    sim.coverage.clock_jumps_back += node->clock_skew_us < before_us;
    sim_say("the clock of node %" PRIu64 " jumps by %" PRId64 " s", node->id,
            (node->clock_skew_us - before_us) / 1000000);
}

/* ---- disks ----------------------------------------------------------------------------------- */

static void spoil_disk(struct sim_node *node)
{
    if (!node->alive)
        return;
    if (sim_chance(600))
        sim_store_break(node->store, BREAK_WRITE, 1 + sim_below(WRITES_TO_BREAK));
    else
        sim_store_break(node->store, BREAK_READ, 1 + sim_below(READS_TO_BREAK));
}

static void fill_disk(struct sim_node *node)
{
    sim_say("the disk of node %" PRIu64 " is full", node->id);
    node->store->full_until_us = sim.now_us + (int64_t)sim_below(DISK_US);
}

static void slow_disk(struct sim_node *node)
{
    sim.coverage.disk_slow++;
    sim_say("the disk of node %" PRIu64 " is slow", node->id);
    node->disk.slow_until_us = sim.now_us + (int64_t)sim_below(DISK_US);
}

/* Without an error: nothing more is finished, for longer than a leader may wait for it. */
static void hang_disk(struct sim_node *node)
{
    sim.coverage.disk_hung++;
    sim_say("the disk of node %" PRIu64 " hangs", node->id);
    node->disk.hung_until_us = sim.now_us + (int64_t)sim_below(HANG_US);
}

/* ---- the network ----------------------------------------------------------------------------- */

static void heal_network(struct sim_node *unused, void *data)
{
    (void)unused;
    (void)data;
    sim_network_heal();
    sim_say("the network heals");
}

static void cut_both(uint32_t one, uint32_t other)
{
    if (one == other)
        return;
    sim_network_cut(one, other, true);
    sim_network_cut(other, one, true);
}

static void cut_off(uint32_t one)
{
    sim_say("node %u is cut off", one);
    for (uint32_t other = 0; other < sim.options.nodes; other++)
        cut_both(one, other);
}

/* Two sides that only the bridge sees both of. */
static void cut_bridge(uint32_t bridge)
{
    sim_say("node %u alone sees all others", bridge);
    sim.coverage.partial++;
    uint32_t nodes = sim.options.nodes;
    for (uint32_t one = 0; one < nodes; one++)
        for (uint32_t other = 0; other < nodes; other++)
            if (one != bridge && other != bridge && (one + nodes - bridge) % nodes <= nodes / 2 &&
                (other + nodes - bridge) % nodes > nodes / 2)
                cut_both(one, other);
}

/* Each direction of each line by itself. */
static void cut_at_random(void)
{
    sim_say("directions are cut at random");
    sim.coverage.partial++;
    for (uint32_t from = 0; from < sim.options.nodes; from++)
        for (uint32_t to = 0; to < sim.options.nodes; to++)
            if (from != to && sim_chance(300))
                sim_network_cut(from, to, true);
}

static void cut_one_way(uint32_t from, uint32_t to)
{
    if (from == to)
        return;
    sim.coverage.one_way++;
    sim_say("nothing goes from %u to %u", from, to);
    sim_network_cut(from, to, true);
}

static void partition(void)
{
    uint32_t one = (uint32_t)sim_below(sim.options.nodes);
    uint32_t other = (uint32_t)sim_below(sim.options.nodes);
    sim.coverage.partitions++;
    switch (sim_below(5)) {
    case 0: cut_off(one); break;
    case 1: cut_both(one, other); break;
    case 2: cut_bridge(one); break;
    case 3: cut_at_random(); break;
    default: cut_one_way(one, other); break;
    }
    sim_schedule(1000 + (int64_t)sim_below(CUT_US), NULL, heal_network, NULL);
}

static void reset(uint32_t one)
{
    uint32_t other = (one + 1 + (uint32_t)sim_below(sim.options.nodes - 1)) % sim.options.nodes;
    bool raft = sim_chance(700);
    sim_say("connections of nodes %u and %u break", one, other);
    sim_network_reset(one, other, raft, !raft || sim_chance(500));
}

/* ---- one after the other --------------------------------------------------------------------- */

static void inject(struct sim_node *unused, void *data)
{
    enum sim_fault fault = (enum sim_fault)sim_below(FAULTS);
    struct sim_node *node = some_node();
    (void)unused;
    (void)data;
    if (sim.healing)
        return;
    sim_schedule(1000 + (int64_t)sim_below(GAP_US), NULL, inject, NULL);
    if (!sim_fault_on(fault))
        return;
    switch (fault) {
    case FAULT_CRASH: crash(node); break;
    case FAULT_PAUSE: pause_process(node); break;
    case FAULT_PARTITION: partition(); break;
    case FAULT_RESET: reset((uint32_t)node->id); break;
    case FAULT_CLOCK: turn_clock(node); break;
    case FAULT_DISK_ERROR: spoil_disk(node); break;
    case FAULT_DISK_FULL: fill_disk(node); break;
    case FAULT_DISK_SLOW: slow_disk(node); break;
    case FAULT_DISK_HANG: hang_disk(node); break;
    case FAULT_TRANSFER: transfer(node); break;
    case FAULT_MEMBERS: sim_members_change(node); break;
    case FAULT_LOST_DISK: sim_members_lose_disk(node); break;
    case FAULT_OLD_DISK: sim_members_old_disk(node); break;
    case FAULT_LOSS: /* of each message by itself: network.c */
    case FAULT_DUPLICATE:
    case FAULT_DELAY:
    case FAULTS: break;
    }
}

void sim_faults_start(void)
{
    sim_schedule(SIM_FAULTS_BEGIN_US, NULL, inject, NULL);
}
