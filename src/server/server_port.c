/* See server_port.h.  Nothing is kept here but the peak of memory and where counters stood at
 * CONFIG RESETSTAT; everything else is asked for when a command asks. */
#include "server/server_port.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/heap.h"
#include "base/large.h"
#include "base/log.h"
#include "base/memory.h"
#include "command/channels.h"
#include "net/client.h"
#include "net/peer.h"
#include "server/build_id.h"
#include "server/command_stats.h"

struct server_port {
    struct server server; /* first */
    struct server_port_options options;
    struct clients *clients;
    struct peers *peers;
    struct replica *replica;
    struct server_backups *backups; /* borrowed, like checks */
    struct server_checks *checks;
    uint64_t cluster;
    struct command_stats *commands;
    int64_t start_ms;
    uint64_t memory_startup, memory_peak; /* bytes */
    struct peers_traffic traffic_before;  /* at the last CONFIG RESETSTAT */
};

static struct server_port *port_of(struct server *server)
{
    return (struct server_port *)server;
}

/* ---- time --------------------------------------------------------------------------- */

static int64_t now_ms(struct server *server)
{
    return net_unix_ms(port_of(server)->options.net);
}

static int64_t now_us(struct server *server)
{
    struct timespec now;
    (void)server;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- numbers ------------------------------------------------------------------------- */

/* Resident memory in bytes; 0 if /proc does not say. */
static uint64_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static uint64_t system_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

static void get_memory(struct server *server, struct server_stats *stats)
{
    struct server_port *port = port_of(server);
    struct heap_status heap = heap_status();
    struct large_status large = large_status();
    stats->memory_used = heap.used + large.used;
    stats->memory_heap = heap.held + large.used + large.kept;
    if (stats->memory_used > port->memory_peak)
        port->memory_peak = stats->memory_used;
    stats->memory_peak = port->memory_peak;
    stats->memory_startup = port->memory_startup;
    stats->memory_rss = resident_bytes();
    stats->memory_system = system_memory();
    stats->memory_clients = clients_memory(port->clients);
}

static void fill_machine(struct server_stats *stats)
{
    struct rusage usage = {0};
    struct utsname name;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        stats->cpu_user_s = seconds_of(usage.ru_utime);
        stats->cpu_system_s = seconds_of(usage.ru_stime);
    }
    if (getrusage(RUSAGE_THREAD, &usage) == 0) {
        stats->cpu_user_loop_s = seconds_of(usage.ru_utime);
        stats->cpu_system_loop_s = seconds_of(usage.ru_stime);
    }
    if (uname(&name) == 0)
        snprintf(stats->system, sizeof stats->system, "%.50s %.50s %.50s", name.sysname,
                 name.release, name.machine);
}

static void fill_network(struct server_port *port, struct server_stats *stats)
{
    const struct clients_stats *counted = clients_stats(port->clients);
    struct peers_traffic traffic = peers_traffic(port->peers);
    stats->net_input_bytes = counted->input_bytes;
    stats->net_output_bytes = counted->output_bytes;
    stats->net_reads = counted->read_calls;
    stats->net_writes = counted->write_calls;
    stats->input_kb_per_second = (double)counted->input_per_second / 1024;
    stats->output_kb_per_second = (double)counted->output_per_second / 1024;
    stats->peer_input_bytes = traffic.input - port->traffic_before.input;
    stats->peer_output_bytes = traffic.output - port->traffic_before.output;
    stats->peer_input_kb_per_second = (double)counted->peer_input_per_second / 1024;
    stats->peer_output_kb_per_second = (double)counted->peer_output_per_second / 1024;
    stats->closed_for_input = counted->closed_for_input;
    stats->closed_for_output = counted->closed_for_output;
    stats->out_shrinks = counted->out_shrinks;
    stats->out_expands = counted->out_expands;
}

static void fill_loop(struct server_port *port, struct server_stats *stats)
{
    const struct clients_stats *counted = clients_stats(port->clients);
    net_loop_stats(port->options.net, &stats->loop_cycles, &stats->loop_busy_us);
    stats->loop_cycles_per_second = counted->cycles_per_second;
    if (counted->cycles_per_second)
        stats->loop_cycle_us = counted->busy_us_per_second / counted->cycles_per_second;
}

static void get_stats(struct server *server, struct server_stats *stats)
{
    struct server_port *port = port_of(server);
    const struct clients_stats *counted = clients_stats(port->clients);
    struct replica_status replica;
    replica_status(port->replica, &replica);
    *stats = (struct server_stats){
        .start_ms = port->start_ms,
        .connections_received = counted->connections_received,
        .connections_rejected = counted->connections_rejected,
        .commands_processed = counted->commands,
        .reads = counted->reads,
        .writes = counted->writes,
        .forwarded = replica.requests_forwarded,
        .clients_connected = clients_count(port->clients),
        .clients_max = (uint64_t)port->options.config->maxclients,
        .clients_blocked = clients_blocked(port->clients),
        .clients_timed = clients_timed(port->clients),
        .blocking_keys = replica.parked_keys,
        .errors_replied = counted->errors,
        .ops_per_second = counted->ops_per_second,
        .keyspace_hits = port->server.observer->keyspace_hits,
        .keyspace_misses = port->server.observer->keyspace_misses,
        .commands_us = server_command_stats_total_us(port->commands),
    };
    clients_biggest(port->clients, &stats->client_biggest_input, &stats->client_biggest_output);
    fill_network(port, stats);
    fill_loop(port, stats);
    fill_machine(stats);
}

static void each_command(struct server *server, server_command_fn *each, void *context)
{
    server_command_stats_each(port_of(server)->commands, each, context);
}

static void each_error(struct server *server, server_error_fn *each, void *context)
{
    server_command_stats_errors(port_of(server)->commands, each, context);
}

struct naming {
    uint64_t id;
    struct slowlog_client *client;
};

static bool name_client(void *context, struct connection *connection)
{
    struct naming *naming = context;
    if (connection->id != naming->id)
        return true;
    *naming->client = (struct slowlog_client){connection->address, connection->name};
    return false;
}

/* Every client is looked at: only what was slow asks. */
static void client_names(void *context, uint64_t id, struct slowlog_client *client)
{
    struct server_port *port = context;
    struct naming naming = {id, client};
    clients_each(port->clients, name_client, &naming);
}

static void reset_stats(struct server *server)
{
    clients_reset_stats(port_of(server)->clients);
    port_of(server)->traffic_before = peers_traffic(port_of(server)->peers);
    server_command_stats_reset(port_of(server)->commands);
}

/* ---- the cluster ----------------------------------------------------------------------- */

static void fill_member(const struct server_port *port, const struct replica_status *status,
                        uint32_t place, struct server_raft_peer *peer)
{
    const struct raft_member *member = &replica_members(port->replica, NULL)->list[place];
    bool is_self = member->id == (raft_node_id)port->options.config->me;
    const char *client_address = is_self ? port->options.config->announce_client
                                         : peers_client_address(port->peers, member->id);
    *peer = (struct server_raft_peer){
        .id = member->id, .life = member->life, .voter = member->voter, .joining = member->joining};
    snprintf(peer->client_address, sizeof peer->client_address, "%s", client_address);
    snprintf(peer->peer_address, sizeof peer->peer_address, "%s", member->address);
    peer->connected = is_self || peers_is_connected(port->peers, member->id);
    peer->active = peer->connected;
    peer->clock_known = status->clock_known[place];
    peer->clock_offset_ms = status->clock_offset_ms[place];
    peer->held = status->held[place];
    if (is_self)
        peer->match = status->raft.durable;
    for (uint32_t i = 0; i < status->sendings_count; i++)
        if (status->sendings[i].to == member->id)
            peer->sending = status->sendings[i];
    for (uint32_t i = 0; i < status->peers_count && status->raft.role == RAFT_LEADER; i++) {
        if (status->peers[i].id != member->id)
            continue;
        peer->match = status->peers[i].match;
        peer->active = status->peers[i].active;
        peer->fell_off = status->peers[i].fell_off;
        peer->idle_ms = (int64_t)status->peers[i].idle_ticks * NET_TICK_MS;
    }
}

static void get_raft(struct server *server, struct server_raft *raft)
{
    struct server_port *port = port_of(server);
    const struct config *config = port->options.config;
    struct replica_status status;
    replica_status(port->replica, &status);
    *raft = (struct server_raft){
        .status = status.raft,
        .id = (raft_node_id)config->me,
        .cluster = port->cluster,
        .members_count = replica_members(port->replica, NULL)->count,
        .log_entries = status.raft.last.index - status.raft.first.index,
        .elections = status.elections,
        .oldest_write_ms = status.oldest_write_ms,
        .requests_waiting = status.requests_waiting,
        .requests_parked = status.parked,
        .requests_forwarded = status.requests_forwarded,
    };
    (void)replica_members(port->replica, &raft->members_index);
    for (uint32_t i = 0; i < raft->members_count; i++)
        fill_member(port, &status, i, &raft->members[i]);
    raft->install = status.install;
    server_checks_describe(port->checks, &raft->check);
    port->options.storage(port->options.storage_context, raft);
}

static void get_keys(struct server *server, uint64_t keys[DB_DATABASES])
{
    const struct server_port_options *options = &port_of(server)->options;
    options->keys(options->storage_context, keys);
}

static void get_scripts(struct server *server, struct server_scripts *scripts)
{
    const struct server_port_options *options = &port_of(server)->options;
    options->scripts(options->storage_context, scripts);
}

static void get_deadlines(struct server *server, struct server_deadlines deadlines[DB_DATABASES])
{
    const struct server_port_options *options = &port_of(server)->options;
    options->deadlines(options->storage_context, deadlines);
}

/* ---- clients and configuration ------------------------------------------------------------ */

static void each_client(struct server *server, server_client_fn *each, void *context)
{
    clients_each(port_of(server)->clients, each, context);
}

static bool unblock_client(struct server *server, uint64_t id, bool is_error)
{
    return clients_unblock(port_of(server)->clients, id, is_error);
}

static void pause_clients(struct server *server, int64_t ms, bool is_all)
{
    clients_pause(port_of(server)->clients, ms, is_all);
}

static void unpause_clients(struct server *server)
{
    clients_unpause(port_of(server)->clients);
}

static void kill_client(struct server *server, struct connection *connection)
{
    clients_kill(port_of(server)->clients, connection);
}

static void config_each_value(struct server *server,
                              void (*each)(void *context, const char *name, struct bytes value),
                              void *context)
{
    config_each(port_of(server)->options.config, each, context);
}

/* Redis's words (7.2, updateMaxclients). */
static bool check_maxclients(struct server_port *port, int64_t before, char *error,
                             size_t error_size)
{
    struct config *config = port->options.config;
    uint64_t asked = (uint64_t)config->maxclients;
    uint64_t fit = server_descriptors_fit(port->options.descriptors, asked);
    if (asked <= (uint64_t)before || fit >= asked)
        return true;
    config->maxclients = before;
    snprintf(error, error_size,
             "CONFIG SET failed (possibly related to argument 'maxclients') - The operating system "
             "is not able to handle the specified number of clients, try with %" PRIu64,
             fit);
    return false;
}

static bool set_config(struct server *server, struct bytes name, struct bytes value, char *error,
                       size_t error_size)
{
    struct server_port *port = port_of(server);
    struct config *config = port->options.config;
    int64_t maxclients = config->maxclients;
    if (config_set(config, name, value, error, error_size) != CONFIG_SET_OK)
        return false;
    if (!check_maxclients(port, maxclients, error, error_size))
        return false;
    log_set_level((enum log_level)config->loglevel);
    clients_config_changed(port->clients);
    replica_set_value_max(port->replica, (uint32_t)config->proto_max_bulk_len);
    replica_set_snapshot_pace(port->replica, config->snapshot_bandwidth);
    return true;
}

static bool may_set_config(struct server *server, struct bytes name, char *error, size_t error_size)
{
    (void)server;
    return config_may_set(name, error, error_size) == CONFIG_SET_OK;
}

static bool rewrite_config(struct server *server, char *error, size_t error_size)
{
    if (!config_rewrite(port_of(server)->options.config, error, error_size)) {
        log_warning("CONFIG REWRITE failed: %s", error);
        return false;
    }
    log_notice("CONFIG REWRITE executed with success.");
    return true;
}

static struct bytes get_password(struct server *server)
{
    const struct config_secret *secret = &port_of(server)->options.config->requirepass;
    return bytes_of(secret->data, secret->size);
}

static bool is_read_only(struct server *server)
{
    return port_of(server)->options.config->follower_mode != FOLLOWER_PROXY;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

static bool start_backup(struct server *server, struct bytes name, char *error, size_t error_size)
{
    return server_backups_start(port_of(server)->backups, name, error, error_size);
}

static bool begin_snapshot(struct server *server, uint64_t *id, char *error, size_t error_size)
{
    return server_backups_begin(port_of(server)->backups, id, error, error_size);
}

static enum server_chunk take_chunk(struct server *server, uint64_t id, uint64_t number,
                                    struct bytes *chunk)
{
    return server_backups_chunk(port_of(server)->backups, id, number, chunk);
}

static bool end_snapshot(struct server *server, uint64_t id)
{
    return server_backups_end(port_of(server)->backups, id);
}

static uint64_t begin_check(struct server *server)
{
    return server_checks_begin(port_of(server)->checks);
}

static bool is_check_over(struct server *server, uint64_t id)
{
    return server_checks_is_over(port_of(server)->checks, id);
}

static void get_check(struct server *server, struct server_check *check)
{
    server_checks_describe(port_of(server)->checks, check);
}

static const struct server_ops server_port_ops = {
    .now_ms = now_ms,
    .now_us = now_us,
    .stats = get_stats,
    .memory = get_memory,
    .stats_reset = reset_stats,
    .each_command = each_command,
    .each_error = each_error,
    .raft = get_raft,
    .keys = get_keys,
    .deadlines = get_deadlines,
    .scripts = get_scripts,
    .each_client = each_client,
    .kill_client = kill_client,
    .unblock_client = unblock_client,
    .pause_clients = pause_clients,
    .unpause_clients = unpause_clients,
    .config_each = config_each_value,
    .config_may_set = may_set_config,
    .config_set = set_config,
    .config_rewrite = rewrite_config,
    .password = get_password,
    .is_read_only = is_read_only,
    .backup = start_backup,
    .snapshot_begin = begin_snapshot,
    .snapshot_chunk = take_chunk,
    .snapshot_end = end_snapshot,
    .check_begin = begin_check,
    .check_is_over = is_check_over,
    .check = get_check,
};

/* ---- life ------------------------------------------------------------------------------------ */

static void draw_run_id(char run_id[41])
{
    unsigned char random[20];
    if (RAND_bytes(random, sizeof random) != 1)
        fatal("the system has no random bytes to give");
    for (unsigned i = 0; i < sizeof random; i++)
        snprintf(run_id + 2 * i, 3, "%02x", random[i]);
}

struct server_port *server_port_new(const struct server_port_options *options)
{
    struct server_port *port = memory_new(sizeof *port);
    port->options = *options;
    port->start_ms = net_unix_ms(options->net);
    port->commands = server_command_stats_new(options->config);
    port->server = (struct server){
        .ops = &server_port_ops,
        .observer = server_command_stats_observer(port->commands),
        .slowlog = server_command_stats_slowlog(port->commands),
        .latency = server_command_stats_latency(port->commands),
        .channels = channels_new(options->channels_secret),
        .port = (int)options->config->port,
        .config_file = options->config->file,
        .executable = options->executable,
        .directory = options->config->dir,
        .version = REDIS_RAFT_VERSION,
        .build_id = server_build_id(),
        .process_id = getpid(),
    };
    draw_run_id(port->server.run_id);
    return port;
}

void server_port_free(struct server_port *port)
{
    server_command_stats_free(port->commands);
    channels_free(port->server.channels);
    memory_free(port);
}

struct server *server_port_server(struct server_port *port)
{
    return &port->server;
}

void server_port_connect(struct server_port *port, struct replica *replica,
                         struct server_backups *backups, struct server_checks *checks,
                         uint64_t cluster)
{
    port->backups = backups;
    port->checks = checks;
    port->cluster = cluster;
    port->clients = net_clients(port->options.net);
    port->peers = net_peers(port->options.net);
    port->replica = replica;
    server_command_stats_names(port->commands, client_names, port);
    port->memory_startup = port->memory_peak = heap_status().used + large_status().used;
    replica_set_value_max(replica, (uint32_t)port->options.config->proto_max_bulk_len);
    replica_set_snapshot_pace(replica, port->options.config->snapshot_bandwidth);
}
