/* redis-raft-bench: the same load on redis-raft, redis-server and etcd, with one client, so that
 * their figures can stand side by side.
 *
 * Finds the leader, writes every key once so that GETs hit, runs the load, and reports throughput,
 * latencies, and what the servers' processes spent in CPU time.  The main thread only starts and
 * waits; the load is in load.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "bench/load.h"
#include "bench/options.h"
#include "bench/process.h"
#include "bench/report.h"

enum { FILL_CONNECTIONS = 64, FILL_PIPELINE = 16 };

/* The nodes that get the load, and the processes whose time is counted. */
struct cluster {
    struct node_address leader;
    struct node_address targets[NODES_MAX];
    uint32_t targets_count;
    pid_t pids[NODES_MAX];
    uint32_t pids_count;
    bool has_all_pids;
};

static void add_pid(struct cluster *cluster, pid_t pid)
{
    for (uint32_t i = 0; i < cluster->pids_count; i++)
        if (cluster->pids[i] == pid)
            return;
    if (pid > 0)
        cluster->pids[cluster->pids_count++] = pid;
    else
        cluster->has_all_pids = false;
}

static void cluster_find(struct cluster *cluster, const struct options *options)
{
    bool has_leader = false;
    *cluster = (struct cluster){.has_all_pids = true};
    for (uint32_t i = 0; i < options->nodes_count; i++) {
        const struct node_address *node = &options->nodes[i];
        struct node_facts facts;
        options->service->probe(node, options->password, &facts);
        if (facts.error[0])
            fprintf(stderr, "%s:%d: %s\n", node->host, node->port, facts.error);
        if (!facts.is_reachable)
            continue;
        if (facts.is_leader) {
            cluster->leader = *node;
            has_leader = true;
        }
        if (options->target == TARGET_ALL || facts.is_leader == (options->target == TARGET_LEADER))
            cluster->targets[cluster->targets_count++] = *node;
        if (options->pids_count == 0)
            add_pid(cluster, facts.pid);
    }
    for (uint32_t i = 0; i < options->pids_count; i++)
        add_pid(cluster, options->pids[i]);
    if (!has_leader || cluster->targets_count == 0) {
        fprintf(stderr, "redis-raft-bench: %s\n",
                has_leader ? "no follower answers" : "no node leads");
        exit(1);
    }
}

/* False unless the time of every server is known: a sum that lacks one would mislead. */
static bool servers_cpu(const struct cluster *cluster, double *seconds)
{
    *seconds = 0;
    if (!cluster->has_all_pids || cluster->pids_count == 0)
        return false;
    for (uint32_t i = 0; i < cluster->pids_count; i++) {
        double one;
        if (!process_cpu_seconds(cluster->pids[i], &one))
            return false;
        *seconds += one;
    }
    return true;
}

static struct load load_of(const struct options *options, const struct cluster *cluster)
{
    return (struct load){.service = options->service,
                         .nodes = cluster->targets,
                         .nodes_count = cluster->targets_count,
                         .password = options->password,
                         .kind = LOAD_MIX,
                         .keys = options->keys,
                         .requests = options->requests,
                         .seconds = options->seconds,
                         .rate = options->rate,
                         .threads = options->threads,
                         .connections = options->connections,
                         .pipeline = options->pipeline,
                         .put_percentage = options->put_percentage,
                         .value_size = options->value_size,
                         .seed = options->seed,
                         .keeps_going = options->keeps_going};
}

/* With enough connections that the time does not depend on how few the measurement uses. */
static void fill(const struct options *options, const struct cluster *cluster,
                 struct load_result *result)
{
    struct load load = load_of(options, cluster);
    load.nodes = &cluster->leader;
    load.nodes_count = 1;
    load.kind = LOAD_FILL;
    load.requests = options->keys;
    load.seconds = load.rate = 0;
    load.keeps_going = false;
    load.threads = 1;
    load.connections = FILL_CONNECTIONS;
    load.pipeline = options->service->is_pipelined ? FILL_PIPELINE : 1;
    load_run(&load, result);
    if (!result->is_complete || result->errors > 0) {
        fprintf(stderr, "redis-raft-bench: cannot write the keys: %s\n", result->first_error);
        exit(1);
    }
}

static void measure(const struct options *options, const struct cluster *cluster,
                    struct report *report, struct load_result *result)
{
    struct load load = load_of(options, cluster);
    double servers_before, servers_after;
    bool has_before = servers_cpu(cluster, &servers_before);
    double client_before = process_own_cpu_seconds();
    load_run(&load, result);
    report->client_cpu_seconds = process_own_cpu_seconds() - client_before;
    report->has_servers_cpu = servers_cpu(cluster, &servers_after) && has_before;
    report->servers_cpu_seconds = servers_after - servers_before;
}

int main(int argc, char **argv)
{
    static struct options options;
    static struct cluster cluster;
    static struct load_result result;
    signal(SIGPIPE, SIG_IGN);
    options_parse(&options, argc, argv);
    cluster_find(&cluster, &options);
    if (options.is_preloaded)
        fill(&options, &cluster, &result);
    struct report report = {.options = &options, .result = &result, .leader = cluster.leader};
    measure(&options, &cluster, &report, &result);
    report_print(&report);
    if (!result.is_complete)
        fprintf(stderr, "redis-raft-bench: broke off: %s\n", result.first_error);
    bool is_clean = result.errors == 0 && result.lost == 0;
    return result.is_complete && (is_clean || options.keeps_going) ? 0 : 1;
}
