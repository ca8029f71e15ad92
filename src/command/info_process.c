/* INFO's sections about the process: server, clients, memory, persistence, stats, cpu.  Local, loop
 * thread only. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "command/channels.h"
#include "command/commands.h"
#include "command/info.h"
#include "command/tracking.h"

enum { TICKS_PER_SECOND = 100 };

static double ratio(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static uint64_t difference(uint64_t more, uint64_t less)
{
    return more > less ? more - less : 0;
}

/* ---- server and clients ------------------------------------------------------------ */

/* The addresses of `bind`, as the file has them. */
static void add_binds(void *context, const char *name, struct bytes value)
{
    struct info *info = context;
    const char *at = value.data, *end = at + value.size;
    if (strcmp(name, "bind") != 0)
        return;
    while (at < end) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        const char *stop = space ? space : end;
        buffer_printf(info->out, ",bind=%.*s", (int)(stop - at), at);
        at = stop + (space ? 1 : 0);
    }
}

static void line_listener(struct info *info)
{
    buffer_printf(info->out, "listener0:name=tcp");
    info->server->ops->config_each(info->server, add_binds, info);
    buffer_printf(info->out, ",port=%d\r\n", info->server->port);
}

void command_info_server(struct info *info)
{
    const struct server *server = info->server;
    int64_t uptime_s = (info->now_ms - info->stats.start_ms) / 1000;
    command_info_text(info, "redis_version", REDIS_VERSION);
    command_info_text(info, "redis_git_sha1", "00000000"); /* what Redis says of a release */
    command_info_zeros(info, "redis_git_dirty");
    buffer_printf(info->out, "redis_build_id:%llx\r\n", (unsigned long long)server->build_id);
    command_info_text(info, "redis_raft_version", server->version);
    command_info_text(info, "redis_mode", "standalone");
    command_info_text(info, "os", info->stats.system);
    command_info_text(info, "arch_bits", sizeof(void *) == 8 ? "64" : "32");
    command_info_text(info, "monotonic_clock", "POSIX clock_gettime");
    command_info_text(info, "multiplexing_api", "epoll");
    command_info_text(info, "atomicvar_api", "c11-builtin");
    buffer_printf(info->out, "gcc_version:%d.%d.%d\r\n", __GNUC__, __GNUC_MINOR__,
                  __GNUC_PATCHLEVEL__);
    command_info_number(info, "process_id", (uint64_t)server->process_id);
    command_info_text(info, "process_supervised", "no");
    command_info_text(info, "run_id", server->run_id);
    command_info_number(info, "tcp_port", (uint64_t)server->port);
    command_info_number(info, "server_time_usec", (uint64_t)server->ops->now_us(info->server));
    command_info_number(info, "uptime_in_seconds", (uint64_t)(uptime_s > 0 ? uptime_s : 0));
    command_info_number(info, "uptime_in_days", (uint64_t)(uptime_s > 0 ? uptime_s / 86400 : 0));
    command_info_number(info, "hz", TICKS_PER_SECOND);
    command_info_number(info, "configured_hz", TICKS_PER_SECOND);
    command_info_number(info, "lru_clock", (uint64_t)(info->now_ms / 1000) & 0xffffff);
    command_info_text(info, "executable", server->executable);
    command_info_text(info, "config_file", server->config_file);
    command_info_number(info, "io_threads_active", 0);
    line_listener(info);
}

void command_info_clients(struct info *info)
{
    command_info_number(info, "connected_clients", info->stats.clients_connected);
    command_info_zeros(info, "cluster_connections");
    command_info_number(info, "maxclients", info->stats.clients_max);
    command_info_number(info, "client_recent_max_input_buffer", info->stats.client_biggest_input);
    command_info_number(info, "client_recent_max_output_buffer", info->stats.client_biggest_output);
    command_info_number(info, "blocked_clients", info->stats.clients_blocked);
    command_info_number(info, "tracking_clients", tracking_count(info->server->channels).clients);
    command_info_number(info, "clients_in_timeout_table", info->stats.clients_timed);
    command_info_number(info, "total_blocking_keys", info->stats.blocking_keys);
    command_info_zeros(info, "total_blocking_keys_on_nokey");
}

/* ---- memory ------------------------------------------------------------------------- */

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

static void line_memory(struct info *info, const char *name, uint64_t bytes)
{
    char text[32];
    human_bytes(bytes, text, sizeof(text));
    command_info_number(info, name, bytes);
    buffer_printf(info->out, "%s_human:%s\r\n", name, text);
}

static void line_ratio(struct info *info, const char *name, uint64_t part, uint64_t whole)
{
    buffer_printf(info->out, "%s:%.2f\r\n", name, ratio(part, whole));
}

static void line_percent(struct info *info, const char *name, uint64_t part, uint64_t whole)
{
    buffer_printf(info->out, "%s:%.2f%%\r\n", name, 100 * ratio(part, whole));
}

/* Redis takes what is neither the bare server's nor its clients' for data; here RocksDB's memory
 * and the recent log are among it. */
static void memory_used(struct info *info)
{
    const struct server_stats *stats = &info->stats;
    uint64_t overhead = stats->memory_startup + stats->memory_clients;
    uint64_t dataset = difference(stats->memory_used, overhead);
    line_memory(info, "used_memory", stats->memory_used);
    line_memory(info, "used_memory_rss", stats->memory_rss);
    line_memory(info, "used_memory_peak", stats->memory_peak);
    line_percent(info, "used_memory_peak_perc", stats->memory_used, stats->memory_peak);
    command_info_number(info, "used_memory_overhead", overhead);
    command_info_number(info, "used_memory_startup", stats->memory_startup);
    command_info_number(info, "used_memory_dataset", dataset);
    line_percent(info, "used_memory_dataset_perc", dataset,
                 difference(stats->memory_used, stats->memory_startup));
}

/* One kind of machine runs scripts and functions. */
static void memory_scripts(struct info *info)
{
    struct server_scripts counted;
    info->server->ops->scripts(info->server, &counted);
    command_info_number(info, "used_memory_vm_eval", counted.machines_bytes);
    line_memory(info, "used_memory_lua", counted.machines_bytes);
    command_info_number(info, "used_memory_scripts_eval", counted.scripts_bytes);
    command_info_number(info, "number_of_cached_scripts", counted.scripts);
    command_info_number(info, "number_of_functions", counted.functions);
    command_info_number(info, "number_of_libraries", counted.libraries);
    command_info_zeros(info, "used_memory_vm_functions");
    line_memory(info, "used_memory_vm_total", counted.machines_bytes);
    command_info_number(info, "used_memory_functions", counted.functions_bytes);
    line_memory(info, "used_memory_scripts", counted.scripts_bytes + counted.functions_bytes);
}

static void memory_allocator(struct info *info)
{
    const struct server_stats *stats = &info->stats;
    uint64_t used = stats->memory_used, heap = stats->memory_heap, rss = stats->memory_rss;
    line_ratio(info, "allocator_frag_ratio", heap, used);
    command_info_number(info, "allocator_frag_bytes", difference(heap, used));
    line_ratio(info, "allocator_rss_ratio", rss, heap);
    command_info_number(info, "allocator_rss_bytes", difference(rss, heap));
    /* What is resident is all taken for the allocator's. */
    line_ratio(info, "rss_overhead_ratio", rss, rss);
    command_info_zeros(info, "rss_overhead_bytes");
    line_ratio(info, "mem_fragmentation_ratio", rss, used);
    buffer_printf(info->out, "mem_fragmentation_bytes:%" PRId64 "\r\n",
                  (int64_t)rss - (int64_t)used);
}

void command_info_memory(struct info *info)
{
    const struct server_stats *stats = &info->stats;
    info->server->ops->memory(info->server, &info->stats);
    memory_used(info);
    command_info_number(info, "allocator_allocated", stats->memory_used);
    command_info_number(info, "allocator_active", stats->memory_heap);
    command_info_number(info, "allocator_resident", stats->memory_rss);
    line_memory(info, "total_system_memory", stats->memory_system);
    memory_scripts(info);
    line_memory(info, "maxmemory", 0);
    command_info_text(info, "maxmemory_policy", "noeviction");
    memory_allocator(info);
    command_info_zeros(info, "mem_not_counted_for_evict mem_replication_backlog "
                             "mem_total_replication_buffers mem_clients_slaves");
    command_info_number(info, "mem_clients_normal", stats->memory_clients);
    command_info_zeros(info, "mem_cluster_links mem_aof_buffer");
    command_info_text(info, "mem_allocator", heap_name());
    command_info_zeros(info, "active_defrag_running lazyfree_pending_objects lazyfreed_objects");
}

/* ---- persistence ----------------------------------------------------------------------- */

/* Every acknowledged write is durable in the log, so the last save is now; the changes since the
 * last one are those that the data family does not have yet: a start takes them from the log. */
void command_info_persistence(struct info *info)
{
    command_info_zeros(info, "loading async_loading current_cow_peak current_cow_size "
                             "current_cow_size_age");
    command_info_text(info, "current_fork_perc", "0.00");
    command_info_zeros(info, "current_save_keys_processed current_save_keys_total");
    command_info_number(info, "rdb_changes_since_last_save", info->raft.changes_since_checkpoint);
    command_info_number(info, "rdb_bgsave_in_progress", info->raft.checkpoint_under_way);
    command_info_number(info, "rdb_last_save_time", (uint64_t)(info->now_ms / 1000));
    command_info_text(info, "rdb_last_bgsave_status", "ok");
    command_info_text(info, "rdb_last_bgsave_time_sec", "-1"); /* -1: Redis's "there was none" */
    command_info_text(info, "rdb_current_bgsave_time_sec", "-1");
    command_info_number(info, "rdb_saves", info->raft.checkpoints);
    command_info_zeros(info, "rdb_last_cow_size rdb_last_load_keys_expired "
                             "rdb_last_load_keys_loaded");
    command_info_number(info, "aof_enabled", 1);
    command_info_zeros(info, "aof_rewrite_in_progress aof_rewrite_scheduled");
    command_info_text(info, "aof_last_rewrite_time_sec", "-1");
    command_info_text(info, "aof_current_rewrite_time_sec", "-1");
    command_info_text(info, "aof_last_bgrewrite_status", "ok");
    command_info_zeros(info, "aof_rewrites aof_rewrites_consecutive_failures");
    command_info_text(info, "aof_last_write_status", "ok");
    command_info_zeros(info, "aof_last_cow_size module_fork_in_progress "
                             "module_fork_last_cow_size");
    command_info_number(info, "aof_current_size", info->raft.status.log_bytes);
    /* All that was acknowledged is synced: nothing of it waits for a disk. */
    command_info_zeros(info, "aof_base_size aof_pending_rewrite aof_buffer_length "
                             "aof_pending_bio_fsync aof_delayed_fsync");
}

/* ---- stats and CPU ----------------------------------------------------------------------- */

static void line_kbps(struct info *info, const char *name, double value)
{
    buffer_printf(info->out, "%s:%.2f\r\n", name, value);
}

static void stats_traffic(struct info *info)
{
    const struct server_stats *stats = &info->stats;
    command_info_number(info, "total_connections_received", stats->connections_received);
    command_info_number(info, "total_commands_processed", stats->commands_processed);
    command_info_number(info, "instantaneous_ops_per_sec", stats->ops_per_second);
    /* As in Redis the totals are of clients and members ("repl") together. */
    command_info_number(info, "total_net_input_bytes",
                        stats->net_input_bytes + stats->peer_input_bytes);
    command_info_number(info, "total_net_output_bytes",
                        stats->net_output_bytes + stats->peer_output_bytes);
    command_info_number(info, "total_net_repl_input_bytes", stats->peer_input_bytes);
    command_info_number(info, "total_net_repl_output_bytes", stats->peer_output_bytes);
    line_kbps(info, "instantaneous_input_kbps",
              stats->input_kb_per_second + stats->peer_input_kb_per_second);
    line_kbps(info, "instantaneous_output_kbps",
              stats->output_kb_per_second + stats->peer_output_kb_per_second);
    line_kbps(info, "instantaneous_input_repl_kbps", stats->peer_input_kb_per_second);
    line_kbps(info, "instantaneous_output_repl_kbps", stats->peer_output_kb_per_second);
    command_info_number(info, "rejected_connections", stats->connections_rejected);
}

static void stats_clients(struct info *info)
{
    const struct server_stats *stats = &info->stats;
    command_info_number(info, "total_reads_processed", stats->net_reads);
    command_info_number(info, "total_writes_processed", stats->net_writes);
    command_info_zeros(info, "io_threaded_reads_processed io_threaded_writes_processed");
    command_info_number(info, "client_query_buffer_limit_disconnections", stats->closed_for_input);
    command_info_number(info, "client_output_buffer_limit_disconnections",
                        stats->closed_for_output);
    command_info_number(info, "reply_buffer_shrinks", stats->out_shrinks);
    command_info_number(info, "reply_buffer_expands", stats->out_expands);
}

static void add_wrong_password(void *context, const char *name, uint64_t count)
{
    if (strcmp(name, "WRONGPASS") == 0)
        *(uint64_t *)context += count;
}

/* There is one user, who may do everything: only a password can be wrong. */
static void stats_access(struct info *info)
{
    uint64_t wrong = 0;
    info->server->ops->each_error(info->server, add_wrong_password, &wrong);
    command_info_number(info, "acl_access_denied_auth", wrong);
    command_info_zeros(info,
                       "acl_access_denied_cmd acl_access_denied_key acl_access_denied_channel");
}

static void stats_tracking(struct info *info)
{
    struct tracking_counts counts = tracking_count(info->server->channels);
    command_info_number(info, "tracking_total_keys", counts.keys);
    command_info_number(info, "tracking_total_items", counts.items);
    command_info_number(info, "tracking_total_prefixes", counts.prefixes);
}

static void stats_messages(struct info *info)
{
    const struct channels *channels = info->server->channels;
    command_info_number(info, "pubsub_channels", channels_count(channels, CHANNEL_PLAIN));
    command_info_number(info, "pubsub_patterns", channels_count(channels, CHANNEL_PATTERN));
    command_info_number(info, "pubsubshard_channels", channels_count(channels, CHANNEL_SHARDED));
}

void command_info_stats(struct info *info)
{
    const struct server_stats *stats = &info->stats;
    stats_traffic(info);
    command_info_zeros(info, "sync_full sync_partial_ok sync_partial_err");
    command_info_number(info, "expired_keys", info->raft.expired);
    command_info_text(info, "expired_stale_perc", "0.00"); /* all are found by their time */
    command_info_zeros(info, "expired_time_cap_reached_count expire_cycle_cpu_milliseconds "
                             "evicted_keys evicted_clients total_eviction_exceeded_time "
                             "current_eviction_exceeded_time");
    command_info_number(info, "keyspace_hits", stats->keyspace_hits);
    command_info_number(info, "keyspace_misses", stats->keyspace_misses);
    stats_messages(info);
    command_info_zeros(info, "latest_fork_usec total_forks migrate_cached_sockets "
                             "slave_expires_tracked_keys active_defrag_hits active_defrag_misses "
                             "active_defrag_key_hits active_defrag_key_misses "
                             "total_active_defrag_time current_active_defrag_time");
    stats_tracking(info);
    command_info_zeros(info, "unexpected_error_replies");
    command_info_number(info, "total_error_replies", stats->errors_replied);
    command_info_zeros(info, "dump_payload_sanitizations");
    stats_clients(info);
    command_info_number(info, "eventloop_cycles", stats->loop_cycles);
    command_info_number(info, "eventloop_duration_sum", stats->loop_busy_us);
    command_info_number(info, "eventloop_duration_cmd_sum", stats->commands_us);
    command_info_number(info, "instantaneous_eventloop_cycles_per_sec",
                        stats->loop_cycles_per_second);
    command_info_number(info, "instantaneous_eventloop_duration_usec", stats->loop_cycle_us);
    stats_access(info);
    /* Ours: commands by kind, and those that went to another node. */
    command_info_number(info, "total_read_commands", stats->reads);
    command_info_number(info, "total_write_commands", stats->writes);
    command_info_number(info, "total_forwarded", stats->forwarded);
}

void command_info_cpu(struct info *info)
{
    const struct server_stats *stats = &info->stats;
    buffer_printf(info->out, "used_cpu_sys:%.6f\r\nused_cpu_user:%.6f\r\n", stats->cpu_system_s,
                  stats->cpu_user_s);
    buffer_printf(info->out, "used_cpu_sys_children:0.000000\r\n"
                             "used_cpu_user_children:0.000000\r\n");
    buffer_printf(info->out, "used_cpu_sys_main_thread:%.6f\r\nused_cpu_user_main_thread:%.6f\r\n",
                  stats->cpu_system_loop_s, stats->cpu_user_loop_s);
}
