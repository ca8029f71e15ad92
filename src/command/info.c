/* INFO, TIME and ROLE: what monitoring and client libraries read.
 *
 * The names are Redis's (7.2 server.c genRedisInfoString), so that dashboards and libraries find
 * what they look for; a field that has no true value here is left out rather than made up.  A
 * follower shows itself as a replica of the leader, because libraries that look for the one master
 * (StackExchange.Redis, Sentinel clients) must not see two.  Local, loop thread only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "command/commands.h"
#include "command/connection.h"
#include "command/raft_info.h"
#include "command/server.h"

/* All that a section may print from. */
struct info {
    struct buffer *out;
    struct server *server;
    struct server_stats stats;
    struct server_raft raft;
    int64_t now_ms;
};

static void human_bytes(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "K", "M", "G", "T", "P"};
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1024 && unit < 5) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        snprintf(text, size, "%" PRIu64 "B", bytes);
    else
        snprintf(text, size, "%.2f%s", value, units[unit]);
}

static void line_u64(struct info *info, const char *name, uint64_t value)
{
    buffer_printf(info->out, "%s:%" PRIu64 "\r\n", name, value);
}

static void line_string(struct info *info, const char *name, const char *value)
{
    buffer_printf(info->out, "%s:%s\r\n", name, value ? value : "");
}

/* ---- sections -------------------------------------------------------------------- */

static void section_server(struct info *info)
{
    int64_t uptime_s = (info->now_ms - info->stats.start_ms) / 1000;
    line_string(info, "redis_version", REDIS_VERSION);
    line_string(info, "redis_raft_version", info->server->version);
    line_string(info, "redis_mode", "standalone");
    line_string(info, "arch_bits", sizeof(void *) == 8 ? "64" : "32");
    line_u64(info, "process_id", (uint64_t)info->server->process_id);
    line_string(info, "run_id", info->server->run_id);
    line_u64(info, "tcp_port", (uint64_t)info->server->port);
    line_u64(info, "server_time_usec", (uint64_t)info->server->ops->now_us(info->server));
    line_u64(info, "uptime_in_seconds", (uint64_t)(uptime_s > 0 ? uptime_s : 0));
    line_u64(info, "uptime_in_days", (uint64_t)(uptime_s > 0 ? uptime_s / 86400 : 0));
    line_string(info, "executable", info->server->executable);
    line_string(info, "config_file", info->server->config_file);
}

static void section_clients(struct info *info)
{
    line_u64(info, "connected_clients", info->stats.clients_connected);
    line_u64(info, "maxclients", info->stats.clients_max);
    line_u64(info, "client_recent_max_input_buffer", info->stats.client_biggest_input);
    line_u64(info, "client_recent_max_output_buffer", info->stats.client_biggest_output);
    line_u64(info, "blocked_clients", info->stats.clients_blocked);
    line_u64(info, "tracking_clients", 0);
}

static void line_memory(struct info *info, const char *name, uint64_t bytes)
{
    char text[32];
    human_bytes(bytes, text, sizeof(text));
    line_u64(info, name, bytes);
    buffer_printf(info->out, "%s_human:%s\r\n", name, text);
}

static void section_memory(struct info *info)
{
    line_memory(info, "used_memory", info->stats.memory_used);
    line_memory(info, "used_memory_rss", info->stats.memory_rss);
    line_memory(info, "used_memory_peak", info->stats.memory_peak);
    line_memory(info, "maxmemory", 0);
    line_string(info, "maxmemory_policy", "noeviction");
}

/* Every acknowledged write is durable in the log, so nothing is ever "unsaved" in Redis's sense. */
static void section_persistence(struct info *info)
{
    line_u64(info, "loading", 0);
    line_u64(info, "async_loading", 0);
    line_u64(info, "rdb_changes_since_last_save", 0);
    line_u64(info, "rdb_bgsave_in_progress", info->raft.checkpoint_under_way);
    line_string(info, "rdb_last_bgsave_status", "ok");
    line_u64(info, "aof_enabled", 1);
    line_u64(info, "aof_rewrite_in_progress", 0);
    line_string(info, "aof_last_write_status", "ok");
}

static void section_stats(struct info *info)
{
    const struct server_stats *stats = &info->stats;
    line_u64(info, "total_connections_received", stats->connections_received);
    line_u64(info, "total_commands_processed", stats->commands_processed);
    line_u64(info, "instantaneous_ops_per_sec", stats->ops_per_second);
    line_u64(info, "total_net_input_bytes", stats->net_input_bytes);
    line_u64(info, "total_net_output_bytes", stats->net_output_bytes);
    line_u64(info, "rejected_connections", stats->connections_rejected);
    line_u64(info, "expired_keys", 0);
    line_u64(info, "evicted_keys", 0);
    line_u64(info, "pubsub_channels", 0);
    line_u64(info, "pubsub_patterns", 0);
    line_u64(info, "total_error_replies", stats->errors_replied);
    line_u64(info, "total_reads_processed", stats->reads);
    line_u64(info, "total_writes_processed", stats->writes);
    line_u64(info, "total_forwarded", stats->forwarded);
}

/* ---- replication -------------------------------------------------------------------- */

static void replication_slaves(struct info *info)
{
    const struct server_raft *raft = &info->raft;
    struct buffer lines = {0};
    uint64_t count = 0;
    for (uint32_t i = 0; i < raft->members_count; i++) {
        const struct server_raft_peer *member = &raft->members[i];
        const char *state = command_raft_follower_state(raft, member);
        struct command_raft_client_address address;
        if (!state)
            continue;
        command_raft_client_address(member, &address);
        buffer_printf(
            &lines,
            "slave%" PRIu64 ":ip=%s,port=%d,state=%s,offset=%" PRIu64 ",lag=%" PRId64 "\r\n",
            count++, address.host, address.port, state, member->match, member->idle_ms / 1000);
    }
    line_u64(info, "connected_slaves", count);
    buffer_append(info->out, lines.data, lines.size);
    buffer_deinit(&lines);
}

static void replication_leader(struct info *info)
{
    line_string(info, "role", "master");
    replication_slaves(info);
}

static void replication_follower(struct info *info)
{
    struct command_raft_client_address leader;
    bool known = command_raft_leader_address(&info->raft, &leader);
    line_string(info, "role", "slave");
    line_string(info, "master_host", leader.host);
    line_u64(info, "master_port", (uint64_t)leader.port);
    line_string(info, "master_link_status", known ? "up" : "down");
    line_u64(info, "master_sync_in_progress", 0);
    line_u64(info, "slave_repl_offset", info->raft.status.applied);
    line_u64(info, "slave_priority", 100);
    /* unless follower-mode says otherwise, it passes writes on */
    line_u64(info, "slave_read_only", info->server->ops->is_read_only(info->server));
    line_u64(info, "connected_slaves", 0);
}

static void section_replication(struct info *info)
{
    if (info->raft.status.role == RAFT_LEADER)
        replication_leader(info);
    else
        replication_follower(info);
    line_string(info, "master_failover_state",
                info->raft.status.transferring ? "failover-in-progress" : "no-failover");
    /* 40 digits that all members share and no other cluster has */
    buffer_printf(info->out, "master_replid:%040" PRIx64 "\r\n", info->raft.cluster);
    line_u64(info, "master_repl_offset", info->raft.status.commit);
}

static void section_cpu(struct info *info)
{
    buffer_printf(info->out, "used_cpu_sys:%.6f\r\nused_cpu_user:%.6f\r\n",
                  info->stats.cpu_system_s, info->stats.cpu_user_s);
}

static void section_cluster(struct info *info)
{
    line_u64(info, "cluster_enabled", 0);
}

static void section_keyspace(struct info *info)
{
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (info->raft.keys[i])
            buffer_printf(info->out, "db%u:keys=%" PRIu64 ",expires=0,avg_ttl=0\r\n", i,
                          info->raft.keys[i]);
}

static void section_raft(struct info *info)
{
    command_raft_info_lines(&info->raft, info->out);
}

/* ---- the command ------------------------------------------------------------------------ */

static const struct section {
    const char *name, *title;
    void (*print)(struct info *info);
} sections[] = {
    {"server", "Server", section_server},
    {"clients", "Clients", section_clients},
    {"memory", "Memory", section_memory},
    {"persistence", "Persistence", section_persistence},
    {"stats", "Stats", section_stats},
    {"replication", "Replication", section_replication},
    {"cpu", "CPU", section_cpu},
    {"cluster", "Cluster", section_cluster},
    {"keyspace", "Keyspace", section_keyspace},
    {"raft", "Raft", section_raft},
};

static bool is_wanted(const struct call *call, const char *section)
{
    bool wanted = call->argc == 1;
    for (uint32_t i = 1; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        wanted |= bytes_is(word, section) || bytes_is(word, "default") || bytes_is(word, "all") ||
                  bytes_is(word, "everything");
    }
    return wanted;
}

void cmd_info(struct call *call)
{
    struct buffer text = {0};
    struct server *server = call->server;
    struct info info = {.out = &text, .server = server, .now_ms = call->now_ms};
    server->ops->stats(server, &info.stats);
    server->ops->raft(server, &info.raft);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (!is_wanted(call, sections[i].name))
            continue;
        buffer_printf(&text, "%s# %s\r\n", text.size ? "\r\n" : "", sections[i].title);
        sections[i].print(&info);
    }
    reply_verbatim(call->reply, buffer_bytes(&text));
    buffer_deinit(&text);
}

static void reply_bulk_integer(struct reply *reply, int64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64, value);
    reply_bulk_string(reply, text);
}

void cmd_time(struct call *call)
{
    int64_t now_us = call->server->ops->now_us(call->server);
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, now_us / 1000000);
    reply_bulk_integer(call->reply, now_us % 1000000);
}

/* As Redis, only those that are online. */
static bool is_online(const struct server_raft *raft, uint32_t i)
{
    const char *state = command_raft_follower_state(raft, &raft->members[i]);
    return state && strcmp(state, "online") == 0;
}

static void role_leader(struct call *call, const struct server_raft *raft)
{
    struct reply *reply = call->reply;
    uint32_t online = 0;
    for (uint32_t i = 0; i < raft->members_count; i++)
        online += is_online(raft, i);
    reply_array(reply, 3);
    reply_bulk_string(reply, "master");
    reply_integer(reply, (int64_t)raft->status.commit);
    reply_array(reply, online);
    for (uint32_t i = 0; i < raft->members_count; i++) {
        const struct server_raft_peer *member = &raft->members[i];
        struct command_raft_client_address address;
        if (!is_online(raft, i))
            continue;
        command_raft_client_address(member, &address);
        reply_array(reply, 3);
        reply_bulk_string(reply, address.host);
        reply_bulk_integer(reply, address.port);
        reply_bulk_integer(reply, (int64_t)member->match);
    }
}

static void role_follower(struct call *call, const struct server_raft *raft)
{
    struct command_raft_client_address leader;
    bool known = command_raft_leader_address(raft, &leader);
    reply_array(call->reply, 5);
    reply_bulk_string(call->reply, "slave");
    reply_bulk_string(call->reply, leader.host);
    reply_integer(call->reply, leader.port);
    reply_bulk_string(call->reply, known ? "connected" : "connect");
    reply_integer(call->reply, (int64_t)raft->status.applied);
}

void cmd_role(struct call *call)
{
    struct server_raft raft;
    call->server->ops->raft(call->server, &raft);
    if (raft.status.role == RAFT_LEADER)
        role_leader(call, &raft);
    else
        role_follower(call, &raft);
}
