/* sim --seed N [--nodes 3|5] [--seconds S] [--clients N] [--keys N] [--verbose]
 *     --seeds FROM TO      runs each seed in a process of its own
 *
 * A run: faults for S simulated seconds, then all faults heal and the cluster must make progress
 * within a bounded time; then all histories are checked.  The same seed gives the same transcript. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "base/memory.h"
#include "sim.h"

enum { HEAL_US = 10000000, SETTLE_US = 2000000, DATA_CHECK_EVENTS = 500 };

/* ---- faults -------------------------------------------------------------------------------- */

static void inject(struct sim_node *unused, void *data);

static void restart(struct sim_node *unused, void *data)
{
    raft_node_id id = *(raft_node_id *)data;
    (void)unused;
    memory_free(data);
    if (!sim.nodes[id].alive) {
        sim.coverage.restarts++;
        sim_node_start(&sim.nodes[id]);
    }
}

static void crash_some(void)
{
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    if (!node->alive)
        return;
    sim_node_crash(node);
    raft_node_id *id = memory_new(sizeof *id);
    *id = node->id;
    sim_schedule(1000 + (int64_t)sim_below(1500000), NULL, restart, id);
}

static void resume(struct sim_node *node, void *data)
{
    (void)data;
    node->paused = false;
    sim_say("node %" PRIu64 " goes on", node->id);
}

static void pause_some(void)
{
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    if (!node->alive || node->paused)
        return;
    sim.coverage.pauses++;
    sim_say("node %" PRIu64 " is paused", node->id);
    node->paused = true;
    sim_schedule(1000 + (int64_t)sim_below(2000000), node, resume, NULL);
}

static void heal_network(struct sim_node *unused, void *data)
{
    (void)unused;
    (void)data;
    sim_network_heal();
    sim_say("the network heals");
}

static void partition_some(void)
{
    uint32_t nodes = sim.options.nodes;
    uint32_t a = (uint32_t)sim_below(nodes), b = (uint32_t)sim_below(nodes);
    sim.coverage.partitions++;
    switch (sim_below(3)) {
    case 0: /* one node against all */
        sim_say("node %u is cut off", a);
        for (uint32_t other = 0; other < nodes; other++)
            if (other != a) {
                sim_network_cut(a, other, true);
                sim_network_cut(other, a, true);
            }
        break;
    case 1: /* one line */
        if (a == b)
            return;
        sim_say("nodes %u and %u are cut from each other", a, b);
        sim_network_cut(a, b, true);
        sim_network_cut(b, a, true);
        break;
    default: /* one direction */
        if (a == b)
            return;
        sim.coverage.one_way++;
        sim_say("nothing goes from %u to %u", a, b);
        sim_network_cut(a, b, true);
        break;
    }
    sim_schedule(1000 + (int64_t)sim_below(3000000), NULL, heal_network, NULL);
}

static void transfer_some(void)
{
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    if (!node->alive || node->paused)
        return;
    sim.coverage.transfers++;
    replica_transfer(node->replica);
    sim_node_run(node);
}

static void skew_some(void)
{
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    node->clock_skew_us = (int64_t)sim_below(20000000) - 10000000;
}

static void inject(struct sim_node *unused, void *data)
{
    (void)unused;
    (void)data;
    if (sim.healing)
        return;
    switch (sim_below(6)) {
    case 0:
    case 1:
        if (sim.options.crashes)
            crash_some();
        break;
    case 2:
        if (sim.options.pauses)
            pause_some();
        break;
    case 3:
        if (sim.options.partitions)
            partition_some();
        break;
    case 4: transfer_some(); break;
    default:
        if (sim.options.skew)
            skew_some();
        break;
    }
    sim_schedule(1000 + (int64_t)sim_below(600000), NULL, inject, NULL);
}

/* ---- one run --------------------------------------------------------------------------------- */

static void run_until(int64_t until_us)
{
    while (sim.now_us < until_us && sim_step()) {
        sim_check_world();
        if (sim.coverage.events % DATA_CHECK_EVENTS == 0)
            sim_check_data();
    }
}

static void heal_everything(void)
{
    sim.healing = true;
    sim_network_heal();
    sim_say("everything heals");
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        sim.nodes[i].paused = false;
        sim.nodes[i].clock_rate = 1;
        if (!sim.nodes[i].alive)
            sim_node_start(&sim.nodes[i]);
    }
}

static void run(void)
{
    static const uint64_t log_bounds[] = {10, 60, 500, 1 << 20};
    sim.prng = sim.options.seed;
    if (sim.options.log_entries_max == 0)
        sim.options.log_entries_max = log_bounds[sim_below(4)];
    sim.nodes = memory_new(sim.options.nodes * sizeof *sim.nodes);
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        sim.nodes[i].id = i;
        sim.nodes[i].clock_rate = sim.options.skew ? 0.9 + 0.2 * (double)sim_below(100) / 100 : 1;
    }
    for (uint32_t i = 0; i < sim.options.nodes; i++)
        sim_node_start(&sim.nodes[i]);
    sim_clients_start();
    sim_streams_start();
    sim_schedule(500000, NULL, inject, NULL);
    run_until(sim.options.fault_us);
    heal_everything();
    uint64_t before = sim_clients_done();
    run_until(sim.options.fault_us + HEAL_US);
    if (sim_clients_done() < before + 10 * sim.options.clients)
        sim_fail("no progress: %" PRIu64 " operations in %d s after everything healed",
                 sim_clients_done() - before, HEAL_US / 1000000);
    sim_clients_stop();
    sim_streams_stop();
    run_until(sim.now_us + SETTLE_US);
    for (uint32_t i = 1; i < sim.options.nodes; i++)
        if (db_applied_index(sim.nodes[i].db) != db_applied_index(sim.nodes[0].db))
            sim_fail("node %u has applied %" PRIu64 ", node 0 %" PRIu64, i,
                     db_applied_index(sim.nodes[i].db), db_applied_index(sim.nodes[0].db));
    sim_check_data();
    sim_streams_check();
    sim_clients_check();
}

static void end_run(void)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        sim_node_crash(&sim.nodes[i]);
        sim.nodes[i].kv->ops->close(sim.nodes[i].kv);
        memory_free(sim.nodes[i].disk.writes);
    }
    sim_drop_events();
    sim_checks_free();
    sim_clients_free();
    sim_streams_free();
    memory_free(sim.nodes);
    buffer_deinit(&sim.recent);
}

static void print_coverage(void)
{
    const struct sim_coverage *c = &sim.coverage;
    printf("seed %" PRIu64 " nodes %u transcript %016" PRIx64 " events %" PRIu64 " writes %" PRIu64
           " reads %" PRIu64 " unknown %" PRIu64 " not-done %" PRIu64 " elections %" PRIu64
           " crashes %" PRIu64 " in-write %" PRIu64 " partitions %" PRIu64 " one-way %" PRIu64
           " pauses %" PRIu64 " transfers %" PRIu64 " lost %" PRIu64 " doubled %" PRIu64
           " refused %" PRIu64 " once-repeats %" PRIu64 " trims %" PRIu64 "\n",
           sim.options.seed, sim.options.nodes, sim.transcript_hash, c->events, c->writes_done,
           c->reads_done, c->unknown, c->not_done, c->elections, c->crashes, c->crashes_in_write,
           c->partitions, c->one_way, c->pauses, c->transfers, c->lost, c->duplicated,
           c->refused_forwards, c->once_repeats, c->trims);
}

static int run_seeds(uint64_t from, uint64_t to)
{
    unsigned passed = 0, failed = 0;
    for (uint64_t seed = from; seed <= to; seed++) {
        fflush(stdout);
        pid_t child = fork();
        check(child >= 0);
        if (child == 0) {
            sim.options.seed = seed;
            sim.options.nodes = seed % 4 == 3 ? 5 : 3;
            run();
            print_coverage();
            exit(0);
        }
        int status;
        check(waitpid(child, &status, 0) == child);
        bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (!good && WIFSIGNALED(status))
            printf("FAILED seed %" PRIu64 ": signal %d; again: sim --seed %" PRIu64 " --nodes %u\n",
                   seed, WTERMSIG(status), seed, seed % 4 == 3 ? 5 : 3);
        *(good ? &passed : &failed) += 1;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}

int main(int argc, char **argv)
{
    uint64_t from = 0, to = 0;
    sim.options = (struct sim_options){
        .seed = 1,
        .nodes = 3,
        .clients = 8,
        .keys = 4,
        .fault_us = 30000000,
        .loss = 0.02,
        .duplication = 0.02,
        .crashes = true,
        .partitions = true,
        .pauses = true,
        .skew = true,
    };
    log_set_level(LOG_LEVEL_WARNING);
    for (int i = 1; i < argc; i++) {
        bool value = i + 1 < argc;
        if (strcmp(argv[i], "--verbose") == 0)
            sim.options.verbose = true;
        else if (value && strcmp(argv[i], "--seed") == 0)
            sim.options.seed = strtoull(argv[++i], NULL, 10);
        else if (value && strcmp(argv[i], "--nodes") == 0)
            sim.options.nodes = (uint32_t)atoi(argv[++i]);
        else if (value && strcmp(argv[i], "--clients") == 0)
            sim.options.clients = (uint32_t)atoi(argv[++i]);
        else if (value && strcmp(argv[i], "--keys") == 0)
            sim.options.keys = (uint32_t)atoi(argv[++i]);
        else if (value && strcmp(argv[i], "--seconds") == 0)
            sim.options.fault_us = (int64_t)atoi(argv[++i]) * 1000000;
        else if (i + 2 < argc && strcmp(argv[i], "--seeds") == 0) {
            from = strtoull(argv[++i], NULL, 10);
            to = strtoull(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "what is %s?\n", argv[i]);
            return 2;
        }
    }
    if (sim.options.nodes > SIM_NODES_MAX || sim.options.clients > SIM_CLIENTS_MAX) {
        fprintf(stderr, "at most %d nodes, %d clients\n", SIM_NODES_MAX, SIM_CLIENTS_MAX);
        return 2;
    }
    if (to > 0)
        return run_seeds(from, to);
    run();
    print_coverage();
    end_run();
    return 0;
}
