/* One run: faults for a while, then all of them heal and the cluster must make progress within a
 * bounded time; then nobody asks any more, all nodes come to the same, and everything that was seen
 * is checked. */
#include <inttypes.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "sim.h"

enum {
    HEAL_US = 10000000,
    SETTLE_US = 2000000,
    SNAPSHOT_US = 10000000,
    WHOLE_US = 30000000,
    LOG_OF_CHANGES = 60,
    PROGRESS_EACH = 10
};

/* True: that many steps were asked for, and are done. */
static bool is_enough(void)
{
    return sim.options.steps > 0 && sim.coverage.events >= sim.options.steps;
}

static void run_until(int64_t until_us)
{
    while (sim.now_us < until_us && !is_enough() && sim_step())
        if (sim.touched && sim.touched->alive)
            sim_check_node(sim.touched);
}

static void heal_everything(void)
{
    sim.healing = true;
    sim_network_heal();
    sim_say("everything heals");
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        struct sim_node *node = &sim.nodes[i];
        node->paused = false;
        sim_node_set_rate(node, 0);
        node->clock_skew_us = 0;
        sim_store_break(node->store, BREAK_NONE, 0);
        node->store->full_until_us = 0;
        if (node->alive)
            replica_set_snapshot_pace(node->replica, 0);
        else
            sim_node_start(node);
    }
}

static void begin(void)
{
    static const uint64_t log_bounds[] = {10, 60, 500, 1 << 20};
    static const uint32_t election_ticks[] = {10, 20, 40};
    static const int64_t latencies_us[] = {300, 300, 3000, 20000};
    sim.prng = sim.options.seed;
    sim.log_entries_max = log_bounds[sim_below(4)];
    sim.election_ticks = election_ticks[sim_below(3)];
    sim.latency_us = latencies_us[sim_below(4)];
    sim.raft_in_order = sim_chance(500);
    sim.clock_liar = (uint32_t)sim_below(sim.options.nodes);
    sim.upgrades = sim_chance(500);
    sim.falls_off = !sim.upgrades && sim.log_entries_max < (1 << 20);
    /* A few voters may be faster than any state can be sent, so the log is not all too short. */
    sim.changes = sim_chance(750) && (sim.options.faults & SIM_CHANGES) != 0;
    if (sim.changes && sim.log_entries_max < LOG_OF_CHANGES)
        sim.log_entries_max = LOG_OF_CHANGES;
    sim.nodes = memory_new(sim.options.nodes * sizeof *sim.nodes);
    for (uint32_t i = 0; i < sim.options.nodes; i++)
        sim.nodes[i].id = sim.nodes[i].name = i;
    for (uint32_t i = 0; i < sim.options.nodes; i++)
        sim_node_start(&sim.nodes[i]);
    sim_clients_start();
    sim_streams_start();
    sim_types_start();
    sim_transactions_start();
    sim_scripts_start();
    sim_queues_start();
    sim_readers_start();
    sim_messages_start();
    sim_members_start();
    sim_faults_start();
}

static void check_progress(uint64_t before)
{
    if (sim_clients_done() < before + PROGRESS_EACH * sim.options.clients)
        sim_fail("no progress: %" PRIu64 " operations in %d s after everything healed",
                 sim_clients_done() - before, HEAL_US / 1000000);
}

static bool is_applied_everywhere(void)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++)
        if (db_applied_index(sim.nodes[i].db) != sim_committed().index)
            return false;
    return true;
}

/* Nobody asks any more; but a leader's tick may just be on its way, or a snapshot. */
static void settle(void)
{
    run_until(sim.now_us + SETTLE_US);
    int64_t more_us = sim.falls_off ? SNAPSHOT_US : SETTLE_US / 2;
    for (int64_t us = 0; us < more_us && !is_enough() && !is_applied_everywhere(); us += 10000)
        run_until(sim.now_us + 10000);
}

void sim_run(void)
{
    begin();
    run_until(sim.options.fault_us);
    if (is_enough())
        return;
    heal_everything();
    uint64_t before = sim_clients_done();
    run_until(sim.now_us + HEAL_US);
    if (is_enough())
        return;
    check_progress(before);
    for (int64_t us = 0; us < WHOLE_US && !is_enough() && !sim_members_are_whole(); us += 100000)
        run_until(sim.now_us + 100000);
    if (is_enough())
        return;
    sim_clients_stop();
    sim_streams_stop();
    sim_types_stop();
    sim_transactions_stop();
    sim_scripts_stop();
    sim_queues_stop();
    sim_readers_stop();
    sim_messages_stop();
    settle();
    if (is_enough())
        return;
    sim_members_check();
    sim_check_settled();
    sim_streams_check();
    sim_scripts_end();
    sim_transactions_check();
    sim_queues_check();
    sim_readers_check();
    sim_messages_check();
    sim_clients_check();
}

void sim_run_end(void)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        if (sim.nodes[i].alive)
            sim_node_crash(&sim.nodes[i]);
        sim_store_free(sim.nodes[i].store);
        memory_free(sim.nodes[i].disk.writes);
    }
    sim_drop_events();
    sim_network_free();
    sim_history_free();
    sim_members_free();
    sim_directories_free();
    sim_data_free();
    sim_clients_free();
    sim_streams_free();
    sim_transactions_free();
    sim_queues_free();
    sim_readers_free();
    sim_messages_free();
    memory_free(sim.nodes);
    buffer_deinit(&sim.recent);
}
