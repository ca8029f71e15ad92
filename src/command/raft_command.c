/* RAFT.STATUS and what INFO, ROLE and HELLO say of the consensus, and the commands of Redis
 * Cluster, which this is not: clients that ask must hear Redis's refusal, or they would shard their
 * keys.
 *
 * Local, loop thread only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "command/commands.h"
#include "command/raft_info.h"

void command_raft_client_address(const struct server_raft_peer *member,
                                 struct command_raft_client_address *address)
{
    *address = (struct command_raft_client_address){0};
    const char *colon = strrchr(member->client_address, ':');
    if (!colon)
        return;
    const char *host = member->client_address;
    size_t size = (size_t)(colon - host);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    }
    memcpy(address->host, host, size);
    address->port = (int)strtol(colon + 1, NULL, 10);
}

bool command_raft_leader_address(const struct server_raft *raft,
                                 struct command_raft_client_address *address)
{
    *address = (struct command_raft_client_address){0};
    if (raft->status.leader == RAFT_NOBODY)
        return false;
    for (uint32_t i = 0; i < raft->members_count; i++)
        if (raft->members[i].id == raft->status.leader)
            command_raft_client_address(&raft->members[i], address);
    return true;
}

/* A member that needs what our log no longer holds waits for a snapshot, which Redis calls so. */
const char *command_raft_follower_state(const struct server_raft *raft,
                                        const struct server_raft_peer *member)
{
    if (member->id == raft->id || !member->connected || member->client_address[0] == '\0')
        return NULL;
    return member->fell_off ? "wait_bgsave" : "online";
}

/* How far a member is behind the leader's log; 0 where it is not known. */
static raft_index lag_of(const struct server_raft *raft, const struct server_raft_peer *member)
{
    if (raft->status.role != RAFT_LEADER || member->id == raft->id)
        return 0;
    raft_index last = raft->status.last.index;
    return last > member->match ? last - member->match : 0;
}

static raft_index match_of(const struct server_raft *raft, const struct server_raft_peer *member)
{
    return member->id == raft->id ? raft->status.durable : member->match;
}

/* ---- INFO raft ------------------------------------------------------------------- */

static void line(struct buffer *out, const char *name, uint64_t value)
{
    buffer_printf(out, "raft_%s:%" PRIu64 "\r\n", name, value);
}

/* Behind a member that a leader sends a snapshot. */
static void info_sending(const struct replica_sending_status *sending, struct buffer *out)
{
    if (sending->index == 0)
        return;
    buffer_printf(out,
                  ",snapshot_index=%" PRIu64 ",snapshot_chunks=%" PRIu64 ",snapshot_bytes=%" PRIu64
                  ",snapshot_bytes_expected=%" PRIu64 ",snapshot_delivered=%d",
                  sending->index, sending->chunks, sending->bytes, sending->bytes_expected,
                  sending->is_delivered);
}

static void info_members(const struct server_raft *raft, struct buffer *out)
{
    for (uint32_t i = 0; i < raft->members_count; i++) {
        const struct server_raft_peer *member = &raft->members[i];
        buffer_printf(out,
                      "raft_member%" PRIu32 ":id=%" PRIu64 ",client=%s,peer=%s,voter=%d,active=%d,"
                      "connected=%d,fell_off=%d,match=%" PRIu64 ",lag=%" PRIu64,
                      i, member->id, member->client_address, member->peer_address, member->voter,
                      member->active, member->connected, member->fell_off, match_of(raft, member),
                      lag_of(raft, member));
        if (member->clock_known)
            buffer_printf(out, ",clock_offset_ms=%" PRId64, member->clock_offset_ms);
        buffer_printf(out, ",joining=%d,life=%016" PRIx64, member->joining, member->life);
        info_sending(&member->sending, out);
        if (member->held > 0)
            buffer_printf(out, ",log_kept_from=%" PRIu64, member->held);
        buffer_printf(out, "\r\n");
    }
}

static void info_install(const struct replica_install_status *install, struct buffer *out)
{
    line(out, "install_in_progress", install->is_under_way);
    line(out, "install_index", install->index);
    line(out, "install_chunks", install->chunks);
    line(out, "install_bytes", install->bytes);
    line(out, "install_bytes_expected", install->bytes_expected);
}

static void info_backup(const struct server_backup *backup, struct buffer *out)
{
    line(out, "backup_in_progress", backup->is_under_way);
    buffer_printf(out, "raft_backup_name:%s\r\n", backup->name);
    buffer_printf(out, "raft_backup_status:%s\r\n", backup->error[0] ? backup->error : "ok");
    line(out, "backup_index", backup->index);
    line(out, "backup_bytes", backup->bytes);
    line(out, "snapshots_read", backup->streams);
}

/* What the members have of what is checked, as far as this node has heard. */
static void info_check(const struct server_check *check, struct buffer *out)
{
    line(out, "check_in_progress", check->id != 0 && check->verdict == SERVER_CHECK_RUNNING);
    line(out, "check_index", check->index);
    buffer_printf(out, "raft_check_verdict:%s\r\n",
                  check->error[0] ? check->error
                  : check->id     ? command_check_verdict(check->verdict)
                                  : "none");
    line(out, "check_bytes", check->bytes);
    line(out, "check_bytes_expected", check->bytes_expected);
    for (uint32_t i = 0; i < check->members_count; i++) {
        const struct server_check_member *member = &check->members[i];
        buffer_printf(out,
                      "raft_check_member%" PRIu32 ":id=%" PRIu64 ",state=%s,hash=%016" PRIx64
                      ",rows=%" PRIu64 ",bytes=%" PRIu64 "\r\n",
                      i, member->id, command_check_state(member->state), member->hash, member->rows,
                      member->bytes);
    }
}

void command_raft_info_lines(const struct server_raft *raft, struct buffer *out)
{
    const struct raft_status *status = &raft->status;
    line(out, "node_id", raft->id);
    buffer_printf(out, "raft_cluster_id:%016" PRIx64 "\r\n", raft->cluster);
    if (raft->cluster_name)
        buffer_printf(out, "raft_cluster_name:%016" PRIx64 "\r\n", raft->cluster_name);
    buffer_printf(out, "raft_role:%s\r\n", raft_role_name(status->role));
    line(out, "current_term", status->term);
    if (status->leader == RAFT_NOBODY)
        buffer_printf(out, "raft_leader_id:-1\r\n");
    else
        line(out, "leader_id", status->leader);
    line(out, "num_nodes", raft->members_count);
    info_members(raft, out);
    line(out, "members_index", raft->members_index);
    line(out, "commit_index", status->commit);
    line(out, "last_applied_index", status->applied);
    line(out, "durable_index", status->durable);
    line(out, "persisted_index", raft->persisted_index);
    line(out, "log_first_index", status->first.index + 1);
    line(out, "log_last_index", status->last.index);
    line(out, "log_entries", raft->log_entries);
    line(out, "log_bytes", status->log_bytes);
    line(out, "fsync_count", raft->syncs);
    line(out, "fsync_avg_microseconds", raft->syncs ? raft->sync_us_total / raft->syncs : 0);
    line(out, "fsync_max_microseconds", raft->sync_us_max);
    line(out, "oldest_write_ms", raft->oldest_write_ms);
    line(out, "checkpoints", raft->checkpoints);
    line(out, "checkpoint_in_progress", raft->checkpoint_under_way);
    line(out, "dirty_bytes", raft->dirty_bytes);
    line(out, "cached_bytes", raft->cached_bytes);
    line(out, "once_clients", raft->receipts);
    line(out, "elections_won", raft->elections);
    line(out, "requests_waiting", raft->requests_waiting);
    line(out, "requests_parked", raft->requests_parked);
    line(out, "requests_forwarded", raft->requests_forwarded);
    line(out, "writes_prepared", raft->writes_prepared);
    info_backup(&raft->backup, out);
    info_install(&raft->install, out);
    info_check(&raft->check, out);
}

/* ---- RAFT.STATUS ------------------------------------------------------------------- */

static void pair_u64(struct reply *reply, const char *name, uint64_t value)
{
    reply_bulk_string(reply, name);
    reply_integer(reply, (int64_t)value);
}

static void pair_string(struct reply *reply, const char *name, const char *value)
{
    reply_bulk_string(reply, name);
    reply_bulk_string(reply, value);
}

static void pair_bool(struct reply *reply, const char *name, bool value)
{
    reply_bulk_string(reply, name);
    reply_bool(reply, value);
}

static void reply_sending(struct reply *reply, const struct replica_sending_status *sending)
{
    reply_bulk_string(reply, "snapshot");
    if (sending->index == 0) {
        reply_null(reply);
        return;
    }
    reply_map(reply, 5);
    pair_u64(reply, "index", sending->index);
    pair_u64(reply, "chunks", sending->chunks);
    pair_u64(reply, "bytes", sending->bytes);
    pair_u64(reply, "bytes-expected", sending->bytes_expected);
    pair_bool(reply, "delivered", sending->is_delivered);
}

static void reply_install(struct reply *reply, const struct replica_install_status *install)
{
    reply_bulk_string(reply, "install");
    if (!install->is_under_way) {
        reply_null(reply);
        return;
    }
    reply_map(reply, 5);
    pair_u64(reply, "from", install->from);
    pair_u64(reply, "index", install->index);
    pair_u64(reply, "chunks", install->chunks);
    pair_u64(reply, "bytes", install->bytes);
    pair_u64(reply, "bytes-expected", install->bytes_expected);
}

static void reply_member(struct reply *reply, const struct server_raft *raft,
                         const struct server_raft_peer *member)
{
    char life[20];
    snprintf(life, sizeof life, "%016" PRIx64, member->life);
    reply_map(reply, 13);
    pair_u64(reply, "id", member->id);
    pair_string(reply, "client", member->client_address);
    pair_string(reply, "peer", member->peer_address);
    pair_bool(reply, "voter", member->voter);
    pair_bool(reply, "active", member->active);
    pair_bool(reply, "connected", member->connected);
    pair_bool(reply, "fell-off", member->fell_off);
    pair_u64(reply, "match", match_of(raft, member));
    pair_u64(reply, "lag", lag_of(raft, member));
    reply_bulk_string(reply, "clock-offset-ms");
    if (member->clock_known)
        reply_integer(reply, member->clock_offset_ms);
    else
        reply_null(reply);
    pair_bool(reply, "joining", member->joining);
    pair_string(reply, "life", life);
    reply_sending(reply, &member->sending);
}

void cmd_raft_status(struct call *call)
{
    struct reply *reply = call->reply;
    struct server_raft raft;
    call->server->ops->raft(call->server, &raft);
    const struct raft_status *status = &raft.status;
    reply_map(reply, 14);
    pair_u64(reply, "node", raft.id);
    pair_string(reply, "role", raft_role_name(status->role));
    pair_u64(reply, "term", status->term);
    reply_bulk_string(reply, "leader");
    if (status->leader == RAFT_NOBODY)
        reply_null(reply);
    else
        reply_integer(reply, (int64_t)status->leader);
    pair_u64(reply, "commit", status->commit);
    pair_u64(reply, "applied", status->applied);
    pair_u64(reply, "durable", status->durable);
    pair_u64(reply, "persisted", raft.persisted_index);
    pair_u64(reply, "log-first", status->first.index + 1);
    pair_u64(reply, "log-last", status->last.index);
    pair_u64(reply, "oldest-write-ms", raft.oldest_write_ms);
    pair_u64(reply, "members-index", raft.members_index);
    reply_install(reply, &raft.install);
    reply_bulk_string(reply, "members");
    reply_array(reply, raft.members_count);
    for (uint32_t i = 0; i < raft.members_count; i++)
        reply_member(reply, &raft, &raft.members[i]);
}

void cmd_cluster(struct call *call)
{
    reply_error(call->reply, "ERR This instance has cluster support disabled");
}
