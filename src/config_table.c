/* The directives: what they are called, what values they take, and what they are when left out.
 *
 * A row names the kind of value (config_value.c), what CONFIG SET may do, limits, default (as text,
 * parsed like any other) and one line of explanation.
 *
 * Redis's own directives that mean nothing here (INERT) are taken, kept and shown, so that a
 * redis.conf of 7.2 is a configuration and a client that reads or sets one finds what it expects;
 * one line of the log names those that the file holds.  Where that would give less safety or less
 * security than whoever wrote the line counts on, any other value than the harmless one is refused
 * with the reason (ONLY). */
#include <inttypes.h>

#include "config_value.h"

static const char *const loglevels[] = {"debug", "verbose", "notice", "warning", NULL};
static const char *const follower_modes[] = {"proxy", "redirect", "readonly", NULL};

_Static_assert(LOG_LEVEL_DEBUG == 0 && LOG_LEVEL_WARNING == 3, "the order of loglevels");
static const char *const debug_modes[] = {"no", "yes", "local", NULL};

static const char *const check_differences[] = {"report", "stop", NULL};

_Static_assert(CHECK_DIFFERENCE_REPORT == 0 && CHECK_DIFFERENCE_STOP == 1,
               "the order of check_differences");
_Static_assert(DEBUG_NO == 0 && DEBUG_LOCAL == 2, "the order of debug_modes");
_Static_assert(FOLLOWER_PROXY == 0 && FOLLOWER_READONLY == 2, "the order of follower_modes");

#define CHOICES(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define AT(field) offsetof(struct config, field)

/* clang-format off */
#define BOOL(name, field, flags, fallback, summary) \
    {name, NULL, VALUE_BOOL, flags, AT(field), 0, 0, fallback, NULL, summary}
#define INTEGER(name, field, flags, min, max, fallback, summary) \
    {name, NULL, VALUE_INTEGER, flags, AT(field), min, max, fallback, NULL, summary}
#define SIZE(name, field, flags, min, max, fallback, summary) \
    {name, NULL, VALUE_SIZE, flags, AT(field), min, max, fallback, NULL, summary}
#define ENUM(name, field, flags, fallback, choices, summary) \
    {name, NULL, VALUE_ENUM, flags, AT(field), 0, 0, fallback, choices, summary}
#define STRING(name, alias, field, flags, fallback, summary) \
    {name, alias, VALUE_STRING, flags, AT(field), 0, 0, fallback, NULL, summary}
#define SPECIAL(name, kind, field, flags, fallback, summary) \
    {name, NULL, kind, flags, AT(field), 0, 0, fallback, NULL, summary}
/* Redis's, without effect: S may be set, F is fixed. */
#define S (INERT | SETTABLE)
#define F (INERT | FIXED)
#define I_BOOL(name, alias, flags, fallback) \
    {name, alias, VALUE_BOOL, flags, 0, 0, 0, fallback, NULL, NULL}
#define I_INTEGER(name, alias, flags, min, max, fallback) \
    {name, alias, VALUE_INTEGER, flags, 0, min, max, fallback, NULL, NULL}
#define I_SIZE(name, alias, flags, min, fallback) \
    {name, alias, VALUE_SIZE, flags, 0, min, INT64_MAX, fallback, NULL, NULL}
#define I_ENUM(name, flags, fallback, ...) \
    {name, NULL, VALUE_ENUM, flags, 0, 0, 0, fallback, CHOICES(__VA_ARGS__), NULL}
#define I_STRING(name, alias, flags, fallback) \
    {name, alias, VALUE_STRING, flags, 0, 0, 0, fallback, NULL, NULL}
#define I_SPECIAL(name, kind, flags, fallback) \
    {name, NULL, kind, flags, 0, 0, 0, fallback, NULL, NULL}
/* Redis's, with so few values; `why` tells of the others. */
#define ONLY(name, alias, flags, fallback, why, ...) \
    {name, alias, VALUE_CONSTANT, INERT | (flags), 0, 0, 0, fallback, CHOICES(__VA_ARGS__), why}

const struct directive directive_rows[] = {
    /* The cluster. */
    INTEGER("me", me, FIXED, 0, INT32_MAX, "0", "NAME: which node this is; needed if there are several"),
    SPECIAL("node", VALUE_NODE, nodes, FIXED, "",
            "NAME IP:PORT or NAME,IP:PORT: a member and its peer address; once a member"),

    STRING("join", NULL, join, FIXED, "",
           "HOST:PORT,...: peer addresses of members to ask, for a node with an empty directory"),

    /* Clients. */
    SPECIAL("bind", VALUE_BIND, bind, AT_START, "127.0.0.1 -::1",
            "addresses that clients connect to; *: all; -address: may be missing"),
    INTEGER("port", port, AT_START, 1, 65535, "6379", "client port"),
    INTEGER("tcp-backlog", tcp_backlog, FIXED, 1, INT32_MAX, "511", "connections not yet accepted"),
    SPECIAL("announce-client", VALUE_ADDRESS, announce_client, FIXED, "",
            "host:port that redirects name for this node"),
    SPECIAL("requirepass", VALUE_SECRET, requirepass, SETTABLE, "", "password of the clients; \"\": none"),
    BOOL("protected-mode", protected_mode, SETTABLE, "yes",
         "without a password, serve clients on this machine only"),
    INTEGER("maxclients", maxclients, SETTABLE, 1, UINT32_MAX, "10000", "client connections at a time"),
    INTEGER("timeout", timeout, SETTABLE, 0, INT32_MAX, "0", "seconds a client may idle; 0: for ever"),
    INTEGER("tcp-keepalive", tcp_keepalive, SETTABLE, 0, INT32_MAX, "300",
            "seconds of silence before a connection is probed; 0: never"),
    SIZE("proto-max-bulk-len", proto_max_bulk_len, SETTABLE, MB, GB / 2, "64mb", "largest key or value"),
    SIZE("client-query-buffer-limit", client_query_buffer_limit, SETTABLE, MB, INT64_MAX, "1gb",
         "most bytes of unanswered commands a client may have sent"),
    SPECIAL("client-output-buffer-limit", VALUE_OUTPUT_LIMITS, client_output_buffer_limits, SETTABLE,
            "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60",
            "CLASS HARD SOFT SECONDS ...: replies not fetched; 0: no limit"),
    SPECIAL("notify-keyspace-events", VALUE_EVENTS, keyspace_events, SETTABLE, "",
            "classes of changes that are published, with K or E; \"\": none"),
    INTEGER("tracking-table-max-keys", tracking_keys_max, SETTABLE, 0, INT64_MAX, "1000000",
            "keys remembered for CLIENT TRACKING; 0: no limit"),
    ENUM("enable-debug-command", enable_debug, FIXED, "no", debug_modes,
         "who may say DEBUG: no, yes, or local: from this machine"),
    ENUM("follower-mode", follower_mode, SETTABLE, "proxy", follower_modes,
         "what a node that does not lead does with commands"),
    INTEGER("request-timeout", request_timeout, SETTABLE, 10, 3600000, "5000",
            "ms a command may wait for a leader and a majority"),

    BOOL("latency-tracking", latency_tracking, SETTABLE, "yes",
         "keep the latencies of each command, for INFO latencystats"),
    SPECIAL("latency-tracking-info-percentiles", VALUE_PERCENTILES, latency_percentiles, SETTABLE,
            "50 99 99.9", "which of them INFO latencystats shows"),
    INTEGER("latency-monitor-threshold", latency_threshold, SETTABLE, 0, INT64_MAX, "0",
            "ms that LATENCY takes for a spike; 0: nothing is noted"),
    INTEGER("slowlog-log-slower-than", slowlog_slower_than, SETTABLE, -1, INT64_MAX, "10000",
            "us of execution that bring a command into the SLOWLOG; -1: none"),
    INTEGER("slowlog-max-len", slowlog_max_len, SETTABLE, 0, INT64_MAX, "128",
            "commands that the SLOWLOG keeps"),
    SIZE("watch-history-size", watch_history_size, FIXED, 64 * KB, 16 * GB, "16mb",
         "newest changes kept in memory for RAFT.WATCH"),

    /* Peers. */
    SPECIAL("peer-bind", VALUE_BIND, peer_bind, FIXED, "",
            "addresses that peers connect to; \"\": the one in this node's own node line"),
    SPECIAL("announce-peer", VALUE_ADDRESS, announce_peer, FIXED, "",
            "HOST:PORT where the other members reach this node"),
    STRING("peer-secret", NULL, peer_secret, FIXED | HIDDEN, "",
           "what nodes must know to join; the same on all; \"\": nothing"),

    /* Consensus. */
    INTEGER("election-timeout", election_timeout, FIXED, 20, 600000, "400",
            "ms without a leader before an election; drawn from one to two times this"),
    INTEGER("heartbeat-interval", heartbeat_interval, FIXED, 5, 60000, "50",
            "ms between the leader's signs of life"),

    /* Storage. */
    STRING("dir", "dbpath", dir, FIXED | PROTECTED, "./data", "data directory"),
    STRING("backup-dir", NULL, backup_dir, FIXED | PROTECTED, "",
           "directory that RAFT.BACKUP writes into; \"\": none"),
    SIZE("snapshot-bandwidth", snapshot_bandwidth, SETTABLE, 0, INT64_MAX, "64mb",
         "bytes a second that a backup or a snapshot may take; 0: any number"),
    INTEGER("check-interval", check_interval, SETTABLE, 0, 10 * 365 * 86400, "86400",
            "seconds after which the leader has all members compare their data; 0: never"),
    ENUM("check-difference", check_difference, SETTABLE, "report", check_differences,
         "what a node does whose data differ from the majority's: report, or stop"),
    SIZE("rocksdb-cache-size", rocksdb_cache_size, FIXED, MB, INT64_MAX, "128mb", "cache of what is not in memory"),
    SIZE("rocksdb-memtable-size", rocksdb_memtable_size, FIXED, MB, 4 * GB, "128mb",
         "log in memory before it is written as a sorted file"),
    SIZE("rocksdb-wal-size", rocksdb_wal_size, FIXED, 16 * MB, INT64_MAX, "512mb",
         "journal on disk, files of a quarter, and RocksDB's own log"),
    SIZE("checkpoint-size", checkpoint_size, FIXED, 64 * KB, 16 * GB, "128mb",
         "changed data in memory that starts a checkpoint"),
    SIZE("log-retention-bytes", log_retention_bytes, FIXED, MB, INT64_MAX, "256mb",
         "most log that is kept for a member that is behind"),
    INTEGER("log-retention-entries", log_retention_entries, FIXED, 1000, INT64_MAX, "10000000",
            "the same in entries; what is reached first counts"),
    INTEGER("log-keep-entries", log_keep_entries, FIXED, 0, INT64_MAX, "10000",
            "log entries that are kept whatever log-retention-bytes says"),

    /* Logging. */
    ENUM("loglevel", loglevel, SETTABLE, "notice", loglevels, "least severity that is logged"),
    STRING("logfile", NULL, logfile, FIXED, "", "\"\": standard output"),
    STRING("raft-trace", NULL, raft_trace, FIXED, "", "file for a line a step of the core; \"\": none"),
    SPECIAL("debug", VALUE_FLAG, loglevel, FIXED, "", "same as loglevel debug"),

    /* Redis's: what they ask for is done in another way, or is not there to be done. */
    I_BOOL("activedefrag", NULL, S, "no"),
    I_BOOL("activerehashing", NULL, S, "yes"),
    I_BOOL("always-show-logo", NULL, F, "no"),
    I_BOOL("aof-disable-auto-gc", NULL, S, "no"),
    I_BOOL("aof-load-truncated", NULL, S, "yes"),
    I_BOOL("aof-rewrite-incremental-fsync", NULL, S, "yes"),
    I_BOOL("aof-timestamp-enabled", NULL, S, "no"),
    I_BOOL("aof-use-rdb-preamble", NULL, S, "yes"),
    I_BOOL("appendonly", NULL, S, "yes"),
    I_BOOL("cluster-allow-pubsubshard-when-down", NULL, S, "yes"),
    I_BOOL("cluster-allow-reads-when-down", NULL, S, "no"),
    I_BOOL("cluster-allow-replica-migration", NULL, S, "yes"),
    I_BOOL("cluster-replica-no-failover", "cluster-slave-no-failover", S, "no"),
    I_BOOL("cluster-require-full-coverage", NULL, S, "yes"),
    I_BOOL("crash-log-enabled", NULL, S, "yes"),
    I_BOOL("crash-memcheck-enabled", NULL, S, "yes"),
    I_BOOL("daemonize", NULL, F, "no"),
    I_BOOL("disable-thp", NULL, F, "yes"),
    I_BOOL("dynamic-hz", NULL, S, "yes"),
    I_BOOL("io-threads-do-reads", NULL, F, "no"),
    I_BOOL("jemalloc-bg-thread", NULL, S, "yes"),
    I_BOOL("lazyfree-lazy-eviction", NULL, S, "no"),
    I_BOOL("lazyfree-lazy-expire", NULL, S, "no"),
    I_BOOL("lazyfree-lazy-server-del", NULL, S, "no"),
    I_BOOL("lazyfree-lazy-user-del", NULL, S, "no"),
    I_BOOL("lazyfree-lazy-user-flush", NULL, S, "no"),
    I_BOOL("no-appendfsync-on-rewrite", NULL, S, "no"),
    I_BOOL("rdb-del-sync-files", NULL, S, "no"),
    I_BOOL("rdb-save-incremental-fsync", NULL, S, "yes"),
    I_BOOL("rdbchecksum", NULL, F, "yes"),
    I_BOOL("rdbcompression", NULL, S, "yes"),
    I_BOOL("repl-disable-tcp-nodelay", NULL, S, "no"),
    I_BOOL("repl-diskless-sync", NULL, S, "yes"),
    I_BOOL("replica-announced", NULL, S, "yes"),
    I_BOOL("replica-ignore-disk-write-errors", NULL, S, "no"),
    I_BOOL("replica-ignore-maxmemory", "slave-ignore-maxmemory", S, "yes"),
    I_BOOL("replica-lazy-flush", "slave-lazy-flush", S, "no"),
    I_BOOL("replica-serve-stale-data", "slave-serve-stale-data", S, "yes"),
    I_BOOL("set-proc-title", NULL, F, "yes"),
    I_BOOL("stop-writes-on-bgsave-error", NULL, S, "yes"),
    I_BOOL("syslog-enabled", NULL, F, "no"),
    I_BOOL("tls-prefer-server-ciphers", NULL, S, "no"),
    I_BOOL("tls-session-caching", NULL, S, "yes"),

    I_INTEGER("acllog-max-len", NULL, S, 0, INT64_MAX, "128"),
    I_INTEGER("active-defrag-cycle-max", NULL, S, 1, 99, "25"),
    I_INTEGER("active-defrag-cycle-min", NULL, S, 1, 99, "1"),
    I_INTEGER("active-defrag-max-scan-fields", NULL, S, 1, INT64_MAX, "1000"),
    I_INTEGER("active-defrag-threshold-lower", NULL, S, 0, 1000, "10"),
    I_INTEGER("active-defrag-threshold-upper", NULL, S, 0, 1000, "100"),
    I_INTEGER("active-expire-effort", NULL, S, 1, 10, "1"),
    I_INTEGER("auto-aof-rewrite-percentage", NULL, S, 0, INT32_MAX, "100"),
    I_INTEGER("busy-reply-threshold", "lua-time-limit", S, 0, INT64_MAX, "5000"),
    I_INTEGER("cluster-announce-bus-port", NULL, S, 0, 65535, "0"),
    I_INTEGER("cluster-announce-port", NULL, S, 0, 65535, "0"),
    I_INTEGER("cluster-announce-tls-port", NULL, S, 0, 65535, "0"),
    I_INTEGER("cluster-migration-barrier", NULL, S, 0, INT32_MAX, "1"),
    I_INTEGER("cluster-node-timeout", NULL, S, 0, INT64_MAX, "15000"),
    I_INTEGER("cluster-port", NULL, F, 0, 65535, "0"),
    I_INTEGER("cluster-replica-validity-factor", "cluster-slave-validity-factor", S, 0, INT32_MAX, "10"),
    {"databases", NULL, VALUE_INTEGER, F, 0, 1, 16, "16", NULL, "there are 16 databases"},
    I_INTEGER("hash-max-listpack-entries", "hash-max-ziplist-entries", S, 0, INT64_MAX, "512"),
    I_INTEGER("hz", NULL, S, 0, INT32_MAX, "10"),
    I_INTEGER("io-threads", NULL, F, 1, 128, "1"),
    I_INTEGER("lfu-decay-time", NULL, S, 0, INT32_MAX, "1"),
    I_INTEGER("lfu-log-factor", NULL, S, 0, INT32_MAX, "10"),
    I_INTEGER("list-compress-depth", NULL, S, 0, INT32_MAX, "0"),
    I_INTEGER("list-max-listpack-size", "list-max-ziplist-size", S, INT32_MIN, INT32_MAX, "-2"),
    I_INTEGER("maxmemory-eviction-tenacity", NULL, S, 0, 100, "10"),
    I_INTEGER("maxmemory-samples", NULL, S, 1, INT32_MAX, "5"),
    I_INTEGER("min-replicas-max-lag", "min-slaves-max-lag", S, 0, INT32_MAX, "10"),
    I_INTEGER("repl-backlog-ttl", NULL, S, 0, INT64_MAX, "3600"),
    I_INTEGER("repl-diskless-sync-delay", NULL, S, 0, INT32_MAX, "5"),
    I_INTEGER("repl-diskless-sync-max-replicas", NULL, S, 0, INT32_MAX, "0"),
    I_INTEGER("repl-ping-replica-period", "repl-ping-slave-period", S, 1, INT32_MAX, "10"),
    I_INTEGER("repl-timeout", NULL, S, 1, INT32_MAX, "60"),
    I_INTEGER("replica-announce-port", "slave-announce-port", S, 0, 65535, "0"),
    I_INTEGER("replica-priority", "slave-priority", S, 0, INT32_MAX, "100"),
    I_INTEGER("set-max-intset-entries", NULL, S, 0, INT64_MAX, "512"),
    I_INTEGER("set-max-listpack-entries", NULL, S, 0, INT64_MAX, "128"),
    I_INTEGER("shutdown-timeout", NULL, S, 0, INT32_MAX, "10"),
    I_INTEGER("socket-mark-id", NULL, F, 0, UINT32_MAX, "0"),
    I_INTEGER("stream-node-max-entries", NULL, S, 0, INT64_MAX, "100"),
    I_INTEGER("tls-session-cache-size", NULL, S, 0, INT32_MAX, "20480"),
    I_INTEGER("tls-session-cache-timeout", NULL, S, 0, INT32_MAX, "300"),
    I_INTEGER("zset-max-listpack-entries", "zset-max-ziplist-entries", S, 0, INT64_MAX, "128"),

    I_SIZE("active-defrag-ignore-bytes", NULL, S, 1, "100mb"),
    I_SIZE("auto-aof-rewrite-min-size", NULL, S, 0, "64mb"),
    I_SIZE("cluster-link-sendbuf-limit", NULL, S, 0, "0"),
    I_SIZE("hash-max-listpack-value", "hash-max-ziplist-value", S, 0, "64"),
    I_SIZE("hll-sparse-max-bytes", NULL, S, 0, "3000"),
    I_SIZE("maxmemory", NULL, S, 0, "0"),
    I_SPECIAL("maxmemory-clients", VALUE_SIZE_OR_PERCENT, S, "0"),
    I_SIZE("repl-backlog-size", NULL, S, 1, "1mb"),
    I_SIZE("set-max-listpack-value", NULL, S, 0, "64"),
    I_SIZE("stream-node-max-bytes", NULL, S, 0, "4096"),
    I_SIZE("zset-max-listpack-value", "zset-max-ziplist-value", S, 0, "64"),

    I_ENUM("acl-pubsub-default", S, "resetchannels", "allchannels", "resetchannels"),
    I_ENUM("appendfsync", S, "always", "everysec", "always", "no"),
    I_ENUM("cluster-preferred-endpoint-type", S, "ip", "ip", "hostname", "unknown-endpoint"),
    I_ENUM("enable-module-command", F, "no", "no", "yes", "local"),
    I_ENUM("enable-protected-configs", F, "no", "no", "yes", "local"),
    I_ENUM("maxmemory-policy", S, "noeviction", "volatile-lru", "volatile-lfu", "volatile-random",
           "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"),
    I_ENUM("oom-score-adj", S, "no", "no", "yes", "relative", "absolute"),
    I_ENUM("propagation-error-behavior", S, "ignore", "ignore", "panic", "panic-on-replicas"),
    I_ENUM("repl-diskless-load", S, "disabled", "disabled", "on-empty-db", "swapdb"),
    I_ENUM("sanitize-dump-payload", S, "no", "no", "yes", "clients"),
    I_ENUM("shutdown-on-sigint", S, "default", "default", "save", "nosave", "now", "force"),
    I_ENUM("shutdown-on-sigterm", S, "default", "default", "save", "nosave", "now", "force"),
    I_ENUM("supervised", F, "no", "upstart", "systemd", "auto", "no"),
    I_ENUM("syslog-facility", F, "local0", "user", "local0", "local1", "local2", "local3", "local4",
           "local5", "local6", "local7"),
    I_ENUM("tls-auth-clients", S, "yes", "no", "yes", "optional"),

    I_STRING("aof_rewrite_cpulist", "aof-rewrite-cpulist", F, ""),
    I_STRING("appenddirname", NULL, F, "appendonlydir"),
    I_STRING("appendfilename", NULL, F, "appendonly.aof"),
    I_STRING("bgsave_cpulist", "bgsave-cpulist", F, ""),
    I_STRING("bind-source-addr", NULL, S, ""),
    I_STRING("bio_cpulist", "bio-cpulist", F, ""),
    I_STRING("cluster-announce-hostname", NULL, S, ""),
    I_STRING("cluster-announce-human-nodename", NULL, S, ""),
    I_STRING("cluster-announce-ip", NULL, S, ""),
    I_STRING("cluster-config-file", NULL, F, "nodes.conf"),
    I_STRING("dbfilename", NULL, F | PROTECTED, "dump.rdb"),
    I_STRING("ignore-warnings", NULL, S, ""),
    I_STRING("locale-collate", NULL, S, ""),
    I_STRING("masterauth", NULL, S, ""),
    I_STRING("masteruser", NULL, S, ""),
    I_STRING("pidfile", NULL, F, ""),
    I_STRING("proc-title-template", NULL, S, "{title} {listen-addr} {server-mode}"),
    I_STRING("replica-announce-ip", "slave-announce-ip", S, ""),
    I_STRING("server_cpulist", "server-cpulist", F, ""),
    I_STRING("syslog-ident", NULL, F, "redis"),
    I_STRING("tls-ca-cert-dir", NULL, S, ""),
    I_STRING("tls-ca-cert-file", NULL, S, ""),
    I_STRING("tls-cert-file", NULL, S, ""),
    I_STRING("tls-ciphers", NULL, S, ""),
    I_STRING("tls-ciphersuites", NULL, S, ""),
    I_STRING("tls-client-cert-file", NULL, S, ""),
    I_STRING("tls-client-key-file", NULL, S, ""),
    I_STRING("tls-client-key-file-pass", NULL, S, ""),
    I_STRING("tls-dh-params-file", NULL, S, ""),
    I_STRING("tls-key-file", NULL, S, ""),
    I_STRING("tls-key-file-pass", NULL, S, ""),
    I_STRING("tls-protocols", NULL, S, ""),
    I_STRING("unixsocket", NULL, F, ""),
    I_SPECIAL("unixsocketperm", VALUE_OCTAL, F, "0"),

    I_SPECIAL("oom-score-adj-values", VALUE_SCORES, S, "0 200 800"),
    I_SPECIAL("save", VALUE_SAVE, S, ""),
    {"replica-read-only", "slave-read-only", VALUE_READ_ONLY, S, 0, 0, 0, "no", NULL, NULL},

    /* Redis's: whoever writes another value counts on what is not done here. */
    ONLY("aclfile", NULL, FIXED, "", "there are no users but `default`: use requirepass", ""),
    ONLY("cluster-enabled", NULL, FIXED, "no", "every node holds all keys", "no"),
    ONLY("loadmodule", NULL, FIXED | HIDDEN, "", "there are no modules", ""),
    ONLY("min-replicas-to-write", "min-slaves-to-write", SETTABLE, "0",
         "a write is on a majority's disks before it is answered, never on more by order", "0", "1"),
    ONLY("rename-command", NULL, FIXED | HIDDEN, "",
         "commands keep their names: a password (requirepass) keeps strangers from them", ""),
    ONLY("replicaof", "slaveof", FIXED, "", "the members are given by `node`, the leader is elected", ""),
    ONLY("tls-cluster", NULL, SETTABLE, "no", "there is no encryption", "no"),
    ONLY("tls-port", NULL, SETTABLE, "0", "there is no encryption", "0"),
    ONLY("tls-replication", NULL, SETTABLE, "no", "there is no encryption", "no"),
    ONLY("user", NULL, FIXED | HIDDEN, "", "there are no users but `default`: use requirepass", ""),
};
/* clang-format on */

const uint32_t directive_rows_count = sizeof directive_rows / sizeof directive_rows[0];
_Static_assert(sizeof directive_rows / sizeof directive_rows[0] <= CONFIG_ROWS_MAX,
               "CONFIG_ROWS_MAX");
