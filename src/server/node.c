/* See node.h.  Ports are bound before the disk is touched, so that a second start by mistake
 * changes nothing. */
#include "server/node.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buffer.h"
#include "base/fatal.h"
#include "base/limits.h"
#include "base/log.h"
#include "command/channels.h"
#include "command/command.h"
#include "command/history.h"
#include "data/db.h"
#include "data/snapshot.h"
#include "net/client.h"
#include "net/net.h"
#include "raft/trace.h"
#include "replica/replica.h"
#include "server/backups.h"
#include "server/changes.h"
#include "server/checks.h"
#include "server/deadlines.h"
#include "server/join.h"
#include "server/naming.h"
#include "server/server_port.h"
#include "server/snapshots.h"
#include "server/ticks.h"
#include "storage/kv.h"
#include "storage/raft_log.h"
#include "storage/raft_log_reader.h"
#include "storage/raft_log_writer.h"

enum { CACHE_ROWS_FRACTION = 2 }; /* of the cache: rows as commands take them; the rest: blocks */

struct node {
    struct config *config; /* borrowed */
    uint64_t cluster;
    struct raft_log_members members; /* in force at the log's beginning */
    bool has_members;                /* by the log, not by the configuration */
    struct raft_log_life life;
    struct server_descriptors descriptors;
    struct server_port *port;
    struct server_deadlines_seen deadlines;
    struct net *net;
    struct kv *kv;
    struct raft_log *log;
    struct raft_log_writer *writer;
    struct raft_log_reader *reader;
    struct db *db;
    struct state_machine *machine;
    struct server_changes *changes;
    struct server_backups *backups;
    struct server_checks *checks;
    struct server_naming *naming;
    bool differs; /* from a majority, by a check: it stops */
    struct server_snapshots *snapshots;
    struct history *history;
    struct replica *replica;
    int trace; /* descriptor; -1: none */
};

/* ---- what the parts tell each other ------------------------------------------------------ */

static void on_written(void *context)
{
    struct node *node = context;
    replica_persisted(node->replica, raft_log_writer_poll(node->writer));
}

static void on_read(void *context)
{
    struct node *node = context;
    struct raft_log_reading *reading;
    while ((reading = raft_log_reader_poll(node->reader)))
        replica_log_read(node->replica, reading);
}

static void on_checkpoint(void *context)
{
    struct node *node = context;
    db_poll(node->db);
}

static void on_backup(void *context)
{
    struct node *node = context;
    server_backups_poll(node->backups);
}

static void on_check(void *context)
{
    struct node *node = context;
    server_checks_poll(node->checks);
}

static void on_check_told(void *context)
{
    struct node *node = context;
    clients_check_told(net_clients(node->net));
}

static void on_named(void *context, uint64_t name)
{
    const struct node *node = context;
    log_notice("cluster %016" PRIx64 " is named %016" PRIx64, node->cluster, name);
    net_set_name(node->net, name);
}

static int64_t now_ms(void *context)
{
    const struct node *node = context;
    return net_now_ms(node->net);
}

static void on_difference(void *context)
{
    struct node *node = context;
    node->differs = true;
    net_leave(node->net);
}

static void on_snapshot(void *context)
{
    struct node *node = context;
    server_snapshots_poll(node->snapshots, node->replica);
}

static void on_tick(void *context)
{
    struct node *node = context;
    struct snapshot_adoption adoption;
    server_backups_tick(node->backups);
    server_checks_tick(node->checks);
    server_naming_tick(node->naming);
    if (replica_may_adopt(node->replica, &adoption))
        net_leave(node->net);
}

static bool on_heard(void *context, raft_node_id other, const struct raft_log_life *life)
{
    struct node *node = context;
    return raft_log_remember(node->log, other, life);
}

/* Not kept back in a buffer: what a step did before a kill has to be in the file. */
static void on_trace(void *context, struct bytes line)
{
    const struct node *node = context;
    while (line.size > 0) {
        ssize_t written = write(node->trace, line.data, line.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            fatal("cannot write the trace %s: %s", node->config->raft_trace, strerror(errno));
        line = bytes_of(line.data + written, line.size - (size_t)written);
    }
}

/* The log writer's thread: the line stands before anything that others make of the answer, and
 * behind the steps that the core took before it.  It is not kept back either. */
static void on_saying(void *context, const struct raft_message *answer, uint64_t durable)
{
    struct buffer line = {0};
    raft_trace_promised(&line, answer, durable);
    on_trace(context, buffer_bytes(&line));
    buffer_deinit(&line);
}

/* Counts of keys are exact once every blindly written name was looked for: who shows them does some
 * of it, and takes what the checkpoints have left to do for new names.  Each may be a read of the
 * disk, and who polls INFO must not hold up the others: so the clock is looked at after each. */
enum { RESOLVE_US = 2000 };

static void resolve_some(struct db *db)
{
    int64_t end_us = server_ticks_clock_ns() / 1000 + RESOLVE_US;
    struct db_stats before, after;
    db_stats(db, &after);
    do {
        before = after;
        if (db_resolve_some(db, 1))
            return;
        db_stats(db, &after); /* the same: the rest is a checkpoint's */
    } while (after.unresolved < before.unresolved && server_ticks_clock_ns() / 1000 < end_us);
}

static void count_keys(void *context, uint64_t keys[DB_DATABASES])
{
    const struct node *node = context;
    resolve_some(node->db);
    for (unsigned i = 0; i < DB_DATABASES; i++)
        keys[i] = db_size(node->db, i);
}

static void count_scripts(void *context, struct server_scripts *scripts)
{
    const struct node *node = context;
    command_count_scripts(node->db, scripts);
}

static void describe_deadlines(void *context, struct server_deadlines deadlines[DB_DATABASES])
{
    struct node *node = context;
    server_deadlines_look(&node->deadlines, node->db, server_ticks_clock_ns);
    server_deadlines_describe(&node->deadlines, node->db, deadlines);
}

/* Asked for by whoever wants to know who leads: nothing here reads the disk. */
static void describe_storage(void *context, struct server_raft *raft)
{
    const struct node *node = context;
    struct raft_log_writer_stats writer;
    struct db_stats data;
    raft_log_writer_stats(node->writer, &writer);
    db_stats(node->db, &data);
    raft->syncs = writer.syncs;
    raft->sync_us_total = writer.sync_us_total;
    raft->sync_us_max = writer.sync_us_max;
    raft->checkpoints = data.checkpoints;
    raft->checkpoint_under_way = data.checkpoint_under_way;
    raft->dirty_bytes = data.dirty_bytes;
    raft->cached_bytes = data.cached_bytes;
    raft->receipts = data.receipts;
    raft->writes_prepared = command_machine_prepared(node->machine);
    raft->expired = data.expired;
    raft->changes_since_checkpoint = server_changes_count(node->changes);
    raft->persisted_index = db_persisted_index(node->db);
    server_backups_describe(node->backups, &raft->backup);
    raft->cluster_name = server_naming_name(node->naming);
}

/* ---- the start ------------------------------------------------------------------------------ */

static uint64_t random_number(void)
{
    uint64_t number;
    if (RAND_bytes((unsigned char *)&number, sizeof number) != 1)
        fatal("the system has no random bytes to give");
    return number;
}

/* Never 0. */
static uint64_t draw_id(void *context)
{
    (void)context;
    uint64_t id = random_number();
    return id ? id : 1;
}

/* Equal on all nodes that were given the same members, in whatever order, and begin with the same
 * state: with nothing (origin 0), or with the same backup. */
static uint64_t cluster_of(const struct raft_members *members, uint64_t origin)
{
    struct buffer text = {0};
    for (uint32_t i = 0; i < members->count; i++) /* config sorts them by id */
        buffer_printf(&text, "%" PRIu64 ",%s\n", members->list[i].id, members->list[i].address);
    uint64_t cluster = XXH3_64bits_withSeed(text.data, text.size, origin);
    buffer_deinit(&text);
    return cluster;
}

static bool joins(const struct node *node)
{
    return node->config->join[0] != '\0';
}

/* A new directory gets its name from those that take it in. */
static bool join_if_new(struct node *node)
{
    struct raft_log_identity identity;
    if (!joins(node) || raft_log_identity(node->kv, &identity))
        return true;
    if (raft_log_origin(node->kv) != 0) {
        log_warning("join: %s holds a restored state: only an empty directory can join",
                    node->config->dir);
        return false;
    }
    node->life = raft_log_start(node->kv, random_number() | 1);
    identity = server_join(node->config, &node->life);
    raft_log_join(node->kv, &identity);
    return true;
}

/* A directory belongs to one node of one cluster for ever: another node's votes and log in it would
 * be promises that were never made. */
static bool check_identity(struct node *node)
{
    const struct config *config = node->config;
    struct raft_log_identity mine = {.node = (raft_node_id)config->me, .cluster = node->cluster};
    struct raft_log_identity found;
    if (!raft_log_identity(node->kv, &found)) {
        raft_log_set_identity(node->kv, &mine);
        return true;
    }
    if (joins(node) && !node->has_members) {
        log_warning("join: %s belongs to node %" PRIu64 " of a cluster already: only an empty "
                    "directory can join one",
                    config->dir, found.node);
        return false;
    }
    if (joins(node)) {
        node->config->me = (int64_t)found.node;
        mine.node = found.node;
    }
    if (found.node != mine.node) {
        log_warning("%s belongs to node %" PRIu64 ", this is node %" PRIu64, config->dir,
                    found.node, mine.node);
        return false;
    }
    if (node->has_members) { /* the configured nodes say nothing any more */
        node->cluster = found.cluster;
        return true;
    }
    if (found.cluster != mine.cluster) {
        log_warning("%s belongs to cluster %016" PRIx64 ", which had other members: the given node "
                    "list makes cluster %016" PRIx64,
                    config->dir, found.cluster, mine.cluster);
        return false;
    }
    return true;
}

/* The configured list is the one that a log begins with, until one stands in it. */
static void take_members(struct node *node)
{
    struct raft_saved saved;
    node->has_members = raft_log_members(node->kv, &node->members);
    if (!node->has_members)
        node->members = (struct raft_log_members){.list = node->config->nodes};
    raft_log_saved(node->log, &saved);
    for (uint64_t i = 0; i < saved.entries_count; i++)
        node->has_members |= saved.entries[i].type == RAFT_ENTRY_MEMBERS;
}

static bool open_disk(struct node *node)
{
    const struct config *config = node->config;
    char error[512];
    struct kv_options options = {
        .cache_bytes =
            config->rocksdb_cache_size - config->rocksdb_cache_size / CACHE_ROWS_FRACTION,
        .log_memtable_bytes = config->rocksdb_memtable_size,
        .log_bytes_kept = config->log_retention_bytes,
        .wal_bytes_max = config->rocksdb_wal_size,
        .open_tables_max = node->descriptors.tables,
    };
    node->kv = kv_rocksdb_open(config->dir, &options, error, sizeof error);
    if (!node->kv) {
        log_warning("cannot open the data directory %s: %s", config->dir, error);
        return false;
    }
    node->cluster = cluster_of(&config->nodes, raft_log_origin(node->kv));
    if (!join_if_new(node))
        return false;
    node->log = raft_log_open(node->kv);
    take_members(node);
    if (!check_identity(node)) {
        raft_log_close(node->log);
        return false;
    }
    if (node->life.life == 0)
        node->life = raft_log_start(node->kv, random_number() | 1);
    return true;
}

static bool open_trace(struct node *node)
{
    const char *path = node->config->raft_trace;
    if (!path[0])
        return true;
    node->trace = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (node->trace < 0)
        log_warning("cannot open the trace %s: %s", path, strerror(errno));
    return node->trace >= 0;
}

static struct raft_member self_of(const struct node *node)
{
    const struct config *config = node->config;
    struct raft_member self = {.id = (raft_node_id)config->me, .life = node->life.life};
    snprintf(self.address, sizeof self.address, "%s", config->peer_announced);
    snprintf(self.client, sizeof self.client, "%s", config->announce_client);
    return self;
}

static struct replica_options replica_options_of(struct node *node)
{
    const struct config *config = node->config;
    uint32_t election_ticks = (uint32_t)(config->election_timeout / NET_TICK_MS);
    uint32_t heartbeat_ticks = (uint32_t)(config->heartbeat_interval / NET_TICK_MS);
    if (heartbeat_ticks == 0)
        heartbeat_ticks = 1;
    if (election_ticks <= heartbeat_ticks)
        election_ticks = heartbeat_ticks + 1;
    return (struct replica_options){
        .raft =
            {
                .id = (raft_node_id)config->me,
                .election_ticks = election_ticks,
                .heartbeat_ticks = heartbeat_ticks,
                .inflight_max = APPEND_INFLIGHT_MAX,
                .inflight_bytes_max = APPEND_INFLIGHT_BYTES_MAX,
                .append_entries_max = APPEND_ENTRIES_MAX,
                .append_bytes_max = APPEND_BYTES_MAX,
                .uncommitted_bytes_max = UNCOMMITTED_BYTES_MAX,
                .seed = random_number(),
            },
        .members = node->members,
        .self = self_of(node),
        .tick_ms = NET_TICK_MS,
        .run_id = random_number() | 1,
        .seed = random_number(),
        .secret = random_number(),
        .cache_bytes = ENTRY_CACHE_BYTES,
        .cache_calm_bytes = ENTRY_CACHE_CALM_BYTES,
        .log_bytes_max = config->log_retention_bytes,
        .log_entries_max = (uint64_t)config->log_retention_entries,
        .log_entries_min = (uint64_t)config->log_keep_entries,
        .log = node->log,
        .writer = node->writer,
        .reader = node->reader,
        .transport = net_transport(node->net),
        .machine = node->machine,
        .snapshots = server_snapshots_port(node->snapshots),
        .trace = node->trace >= 0 ? on_trace : NULL,
        .trace_context = node,
    };
}

static void wake(void *handle)
{
    net_wake(handle);
}

static void on_durable(void *context, uint64_t seq)
{
    struct node *node = context;
    net_durable(node->net, seq);
}

static void start_parts(struct node *node)
{
    struct db_options db = {
        .cluster = node->cluster,
        .checkpoint_bytes = node->config->checkpoint_size,
        .cache_bytes = node->config->rocksdb_cache_size / CACHE_ROWS_FRACTION,
        .wake = wake,
        .wake_context = net_waker(node->net, on_checkpoint, node),
    };
    (void)net_disk_waker(node->net, on_written, node);
    node->writer = raft_log_writer_start(node->log, on_durable, node);
    node->reader = raft_log_reader_start(node->log, wake, net_waker(node->net, on_read, node));
    node->db = db_open(node->kv, &db);
    node->machine = command_machine_new(node->db, command_meaning_newest);
    command_machine_observe(node->machine, server_port_server(node->port)->observer);
    node->changes = server_changes_new(node->db);
    command_machine_listen(node->machine, server_changes_listener(node->changes));
    command_machine_listen(node->machine,
                           channels_listener(server_port_server(node->port)->channels));
    node->history = command_history_new(node->db, node->config->watch_history_size);
    command_machine_listen(node->machine, command_history_listener(node->history));
    server_port_server(node->port)->history = node->history;
    struct server_snapshots_options snapshots = {
        .kv = node->kv,
        .db = node->db,
        .wake = wake,
        .wake_context = net_waker(node->net, on_snapshot, node),
    };
    node->snapshots = server_snapshots_start(&snapshots);
    struct replica_options replica = replica_options_of(node);
    node->replica = replica_new(&replica, net_now_ms(node->net), net_unix_ms(node->net));
    struct server_backups_options backups = {
        .db = node->db,
        .config = node->config,
        .wake = wake,
        .wake_context = net_waker(node->net, on_backup, node),
    };
    node->backups = server_backups_new(&backups);
    struct server_checks_options checks = {
        .kv = node->kv,
        .db = node->db,
        .config = node->config,
        .life = node->life.life,
        .now_ms = now_ms,
        .draw = draw_id,
        .wake = wake,
        .wake_context = net_waker(node->net, on_check, node),
        .told = on_check_told,
        .leave = on_difference,
        .context = node,
    };
    node->checks = server_checks_new(&checks);
    server_checks_connect(node->checks, node->machine, node->replica);
    net_connect(node->net, node->replica, server_port_server(node->port), node->cluster,
                &node->life);
    struct server_naming_options naming = {
        .db = node->db,
        .kv = node->kv,
        .log = node->log,
        .replica = node->replica,
        .cluster = node->cluster,
        .request_timeout_ms = node->config->request_timeout,
        .now_ms = now_ms,
        .draw = draw_id,
        .named = on_named,
        .context = node,
    };
    node->naming = server_naming_new(&naming);
    server_port_connect(node->port, node->replica, node->backups, node->checks, node->cluster);
}

static uint64_t keys_of(const struct node *node)
{
    struct db_stats stats;
    db_stats(node->db, &stats);
    return stats.keys;
}

static void announce(const struct node *node)
{
    const struct config *config = node->config;
    struct replica_status status;
    replica_status(node->replica, &status);
    log_notice("redis-raft %s, node %" PRId64 " of cluster %016" PRIx64
               ", clients on port %" PRId64,
               REDIS_RAFT_VERSION, config->me, node->cluster, config->port);
    const struct raft_members *members = replica_members(node->replica, NULL);
    for (uint32_t i = 0; i < members->count; i++)
        log_notice("member %" PRIu64 " %s%s%s", members->list[i].id, members->list[i].address,
                   members->list[i].voter ? "" : ", a learner",
                   members->list[i].id == (raft_node_id)config->me ? " (this node)" : "");
    log_notice("term %" PRIu64 ", log from %" PRIu64 " to %" PRIu64 ", applied up to %" PRIu64
               ", %" PRIu64 " keys",
               status.raft.term, status.raft.first.index + 1, status.raft.last.index,
               status.raft.applied, keys_of(node));
}

/* ---- the end --------------------------------------------------------------------------------- */

/* What was staged takes the place of data and log; a crash leaves the old ones or the new. */
static void adopt(struct node *node, const struct snapshot_adoption *adoption)
{
    struct db_snapshot_about about;
    struct db_install *install = server_snapshots_staged(node->snapshots);
    check(install && db_install_is_whole(install));
    db_install_about(install, &about);
    check(about.index == adoption->pos.index && about.term == adoption->pos.term);
    db_install_adopt(install, node->log, &adoption->members, node->cluster);
    log_notice("the snapshot of entry %" PRIu64 " has taken the place of what this node had",
               adoption->pos.index);
}

static void stop_parts(struct node *node)
{
    struct snapshot_adoption adoption;
    /* From here on nothing comes in that could change it. */
    bool is_adopting = replica_may_adopt(node->replica, &adoption);
    server_backups_free(node->backups);
    server_checks_free(node->checks);
    server_naming_free(node->naming);
    replica_free(node->replica);
    server_snapshots_stop(node->snapshots);
    raft_log_reader_stop(node->reader);
    raft_log_writer_stop(node->writer); /* all promises are durable */
    /* Not needed for safety: it makes the next start short. */
    if (!is_adopting)
        db_checkpoint(node->db);
    command_machine_free(node->machine);
    server_changes_free(node->changes);
    command_history_free(node->history);
    db_close(node->db);
    if (is_adopting)
        adopt(node, &adoption);
    server_snapshots_free(node->snapshots);
    raft_log_close(node->log);
}

static void make_net(struct node *node, const char *executable)
{
    struct net_options net = {.config = node->config,
                              .tick = on_tick,
                              .tick_context = node,
                              .remember = on_heard,
                              .remember_context = node,
                              .saying = node->config->raft_trace[0] ? on_saying : NULL,
                              .saying_context = node};
    node->net = net_new(&net);
    struct server_port_options port = {
        .net = node->net,
        .config = node->config,
        .descriptors = &node->descriptors,
        .executable = executable,
        .channels_secret = random_number(),
        .storage = describe_storage,
        .keys = count_keys,
        .deadlines = describe_deadlines,
        .scripts = count_scripts,
        .storage_context = node,
    };
    node->port = server_port_new(&port);
}

/* What may pass by itself is waited for: at the start of a machine an address may not be up, a name
 * not be known yet. */
static enum listener_bound take_ports(struct node *node)
{
    char error[256], said[256] = "";
    enum listener_bound bound;
    for (int64_t waited_ms = 0;; waited_ms += BIND_WAIT_MS) {
        bound = net_bind(node->net, error, sizeof error);
        if (bound != LISTENER_NOT_YET || waited_ms >= BIND_PATIENCE_MS)
            break;
        if (strcmp(error, said) != 0)
            log_warning("%s; trying again", error);
        memcpy(said, error, sizeof said);
        poll(NULL, 0, BIND_WAIT_MS);
    }
    if (bound != LISTENER_BOUND)
        log_warning("%s", error);
    return bound;
}

static enum server_node_end run(struct node *node, bool *again)
{
    enum listener_bound bound = take_ports(node);
    if (bound != LISTENER_BOUND)
        return bound == LISTENER_NOT_YET ? SERVER_NODE_NOT_YET : SERVER_NODE_REFUSED;
    if (!open_trace(node) || !open_disk(node))
        return SERVER_NODE_REFUSED;
    start_parts(node);
    announce(node);
    net_run(node->net);
    stop_parts(node);
    *again = !node->differs;
    return node->differs ? SERVER_NODE_DIFFERS : SERVER_NODE_STOPPED;
}

static enum server_node_end run_once(struct config *config, const char *executable, bool *again)
{
    struct node node = {.config = config, .trace = -1};
    if (!server_descriptors_reserve(config, &node.descriptors))
        return SERVER_NODE_REFUSED;
    make_net(&node, executable);
    enum server_node_end end = run(&node, again);
    *again = *again && !net_was_signalled(node.net);
    if (node.kv)
        node.kv->ops->close(node.kv);
    server_port_free(node.port);
    net_free(node.net);
    if (node.trace >= 0)
        close(node.trace);
    return end;
}

enum server_node_end server_node_run(struct config *config, const char *executable)
{
    enum server_node_end end;
    bool again;
    do {
        again = false;
        end = run_once(config, executable, &again);
    } while (again);
    if (end == SERVER_NODE_STOPPED)
        log_notice("stopped");
    return end;
}
