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
#include "command/info.h"

void command_info_number(struct info *info, const char *name, uint64_t value)
{
    buffer_printf(info->out, "%s:%" PRIu64 "\r\n", name, value);
}

void command_info_text(struct info *info, const char *name, const char *value)
{
    buffer_printf(info->out, "%s:%s\r\n", name, value ? value : "");
}

void command_info_zeros(struct info *info, const char *names)
{
    while (*names) {
        size_t size = strcspn(names, " ");
        buffer_printf(info->out, "%.*s:0\r\n", (int)size, names);
        names += size + strspn(names + size, " ");
    }
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
    command_info_number(info, "connected_slaves", count);
    buffer_append(info->out, lines.data, lines.size);
    buffer_deinit(&lines);
}

static void replication_leader(struct info *info)
{
    command_info_text(info, "role", "master");
    replication_slaves(info);
}

static void replication_follower(struct info *info)
{
    struct command_raft_client_address leader;
    bool known = command_raft_leader_address(&info->raft, &leader);
    command_info_text(info, "role", "slave");
    command_info_text(info, "master_host", leader.host);
    command_info_number(info, "master_port", (uint64_t)leader.port);
    command_info_text(info, "master_link_status", known ? "up" : "down");
    command_info_number(info, "master_sync_in_progress", 0);
    command_info_number(info, "slave_repl_offset", info->raft.status.applied);
    command_info_number(info, "slave_read_repl_offset", info->raft.status.applied);
    command_info_number(info, "slave_priority", 100);
    /* unless follower-mode says otherwise, it passes writes on */
    command_info_number(info, "slave_read_only", info->server->ops->is_read_only(info->server));
    command_info_number(info, "replica_announced", 1);
    command_info_number(info, "connected_slaves", 0);
}

static void section_replication(struct info *info)
{
    if (info->raft.status.role == RAFT_LEADER)
        replication_leader(info);
    else
        replication_follower(info);
    command_info_text(info, "master_failover_state",
                      info->raft.status.transferring ? "failover-in-progress" : "no-failover");
    /* 40 digits that all members share and no other cluster has */
    buffer_printf(info->out, "master_replid:%040" PRIx64 "\r\n", info->raft.cluster);
    buffer_printf(info->out, "master_replid2:%040d\r\n", 0);
    command_info_number(info, "master_repl_offset", info->raft.status.commit);
    buffer_printf(info->out, "second_repl_offset:-1\r\n");
    command_info_zeros(info, "repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset "
                             "repl_backlog_histlen");
}

static void section_cluster(struct info *info)
{
    command_info_number(info, "cluster_enabled", 0);
}

static void section_keyspace(struct info *info)
{
    uint64_t keys[DB_DATABASES];
    struct server_deadlines deadlines[DB_DATABASES];
    info->server->ops->keys(info->server, keys);
    info->server->ops->deadlines(info->server, deadlines);
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (keys[i])
            buffer_printf(info->out,
                          "db%u:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=%" PRIu64 "\r\n", i,
                          keys[i], deadlines[i].keys, deadlines[i].avg_ttl_ms);
}

/* There are none. */
static void section_modules(struct info *info)
{
    (void)info;
}

static void section_raft(struct info *info)
{
    command_raft_info_lines(&info->raft, info->out);
}

/* ---- the command ------------------------------------------------------------------------ */

static const struct section {
    const char *name, *title;
    bool by_default; /* INFO without a word, INFO default */
    command_info_fn *print;
} sections[] = {
    {"server", "Server", true, command_info_server},
    {"clients", "Clients", true, command_info_clients},
    {"memory", "Memory", true, command_info_memory},
    {"persistence", "Persistence", true, command_info_persistence},
    {"stats", "Stats", true, command_info_stats},
    {"replication", "Replication", true, section_replication},
    {"cpu", "CPU", true, command_info_cpu},
    {"modules", "Modules", true, section_modules},
    {"commandstats", "Commandstats", false, command_info_commandstats},
    {"errorstats", "Errorstats", true, command_info_errorstats},
    {"latencystats", "Latencystats", false, command_info_latencystats},
    {"cluster", "Cluster", true, section_cluster},
    {"keyspace", "Keyspace", true, section_keyspace},
    {"raft", "Raft", true, section_raft},
};

static bool is_wanted(const struct call *call, const struct section *section)
{
    bool wanted = call->argc == 1 && section->by_default;
    for (uint32_t i = 1; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        wanted |= bytes_is(word, section->name) || bytes_is(word, "all") ||
                  bytes_is(word, "everything") ||
                  (bytes_is(word, "default") && section->by_default);
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
        if (!is_wanted(call, &sections[i]))
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
