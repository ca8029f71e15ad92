/* What redis-raft.conf and the command line say.
 *
 * One table in config_table.c (a row a directive) serves the parser, CONFIG GET, CONFIG SET, --help
 * and the test that redis-raft.conf documents every directive.  To add a directive: a field here, a
 * row there, a paragraph in redis-raft.conf.
 *
 * config_load() only reads: it opens no socket, creates no file and starts nothing, so that a bad
 * option leaves everything as it was.  All functions belong to the loop thread.  A pointer to a
 * field stays valid as long as the config; the value of a changeable field (and what a string field
 * points to) only until the next config_set(). */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/log.h"
#include "raft/raft.h"

#define REDIS_RAFT_VERSION "0.1.0"

enum {
    CONFIG_ERROR_SIZE = 512,
    CONFIG_BIND_MAX = 16,
    CONFIG_HOST_SIZE = 64,
    CONFIG_ROWS_MAX = 256
};

enum debug_mode { DEBUG_NO, DEBUG_YES, DEBUG_LOCAL }; /* who may say DEBUG: local, this machine */

enum follower_mode {
    FOLLOWER_PROXY,    /* forward commands to the leader (default) */
    FOLLOWER_REDIRECT, /* answer -MOVED 0 host:port */
    FOLLOWER_READONLY  /* answer -READONLY to writes; forward reads */
};

/* What a node does whose data differ from those of a majority. */
enum check_difference { CHECK_DIFFERENCE_REPORT, CHECK_DIFFERENCE_STOP };

/* One word of `bind`: "127.0.0.1", "*", "::1", and "-::1" gives optional = true. */
struct config_bind {
    char host[CONFIG_HOST_SIZE]; /* "*" and "::*": all IPv4, all IPv6 addresses */
    bool optional;               /* no error when the address is not available */
};

struct config_bind_list {
    uint32_t count;
    struct config_bind list[CONFIG_BIND_MAX];
};

/* Redis's classes of clients; here all are normal. */
enum config_class {
    CONFIG_CLASS_NORMAL,
    CONFIG_CLASS_REPLICA,
    CONFIG_CLASS_PUBSUB,
    CONFIG_CLASSES
};

/* client-output-buffer-limit CLASS HARD SOFT SECONDS; 0: no limit. */
struct config_output_limit {
    uint64_t hard_bytes;
    uint64_t soft_bytes;
    int64_t soft_seconds;
};

/* May hold any byte; a NUL stands behind it. */
struct config_secret {
    char *data; /* owned */
    size_t size;
};

/* Strings are never NULL.  "(set)": CONFIG SET can change it. */
struct config {
    /* The cluster. */
    int64_t me;                /* name of this node; one of nodes */
    struct raft_members nodes; /* sorted by id; address: host:port of the peer channel */
    char *join; /* host:port,... of members' peer ports; "": this node is among `nodes` */
    char *announce_peer;
    char peer_address[RAFT_ADDRESS_SIZE];   /* host:port where this node listens for members */
    char peer_announced[RAFT_ADDRESS_SIZE]; /* and where they dial it */

    /* Clients. */
    struct config_bind_list bind; /* where clients connect */
    int64_t port;
    int64_t tcp_backlog;
    char *announce_client; /* host:port that redirects name; after config_load() never "" */
    struct config_secret requirepass; /* size 0: none (set) */
    bool protected_mode;   /* refuse clients of other machines while requirepass is "" (set) */
    int64_t maxclients;    /* (set) */
    int64_t timeout;       /* seconds a client may idle; 0: for ever (set) */
    int64_t tcp_keepalive; /* seconds; 0: off (set) */
    uint64_t proto_max_bulk_len;        /* bytes of the largest argument (set) */
    uint64_t client_query_buffer_limit; /* bytes (set) */
    struct config_output_limit client_output_buffer_limits[CONFIG_CLASSES]; /* (set) */
    int enable_debug;                                                       /* enum debug_mode */
    int follower_mode;       /* enum follower_mode (set) */
    int64_t request_timeout; /* ms a request waits for a leader and a majority (set) */

    char *keyspace_events;     /* letters of notify-keyspace-events (set) */
    int64_t tracking_keys_max; /* 0: no limit (set) */

    bool latency_tracking;       /* INFO latencystats (set) */
    char *latency_percentiles;   /* numbers from 0 to 100, blanks between (set) */
    int64_t latency_threshold;   /* ms; LATENCY notes what takes so long; 0: nothing (set) */
    int64_t slowlog_slower_than; /* us; SLOWLOG keeps what takes so long; < 0: nothing (set) */
    int64_t slowlog_max_len;     /* commands (set) */
    uint64_t watch_history_size; /* bytes of changes kept for RAFT.WATCH */

    /* Peers. */
    struct config_bind_list peer_bind; /* where peers connect; count 0: the host of our own node */
    char *peer_secret;                 /* "": none */

    /* Consensus. */
    int64_t election_timeout;   /* ms; elections start after one to two times this */
    int64_t heartbeat_interval; /* ms; less than election_timeout */

    /* Storage. */
    char *dir;
    char *backup_dir;            /* "": RAFT.BACKUP is refused */
    uint64_t snapshot_bandwidth; /* bytes a second that a snapshot may take; 0: any number */
    int64_t check_interval;      /* seconds from one check to the next; 0: none by itself (set) */
    int check_difference;        /* enum check_difference (set) */
    uint64_t rocksdb_cache_size; /* bytes */
    uint64_t rocksdb_memtable_size; /* bytes; of the log family */
    uint64_t rocksdb_wal_size;      /* bytes */
    uint64_t checkpoint_size;       /* bytes of changes in memory that start a checkpoint */
    uint64_t log_retention_bytes;   /* most that is kept for a member that is behind */
    int64_t log_retention_entries;  /* the same in entries */
    int64_t log_keep_entries;       /* kept whatever log_retention_bytes says */

    /* Logging. */
    int loglevel;     /* enum log_level (set); who sets it calls log_set_level() */
    char *logfile;    /* "": standard output */
    char *raft_trace; /* file, appended to; "": none */

    char *kept[CONFIG_ROWS_MAX]; /* by row: texts of directives without effect; owned */
    bool save_given;             /* `save` came: what comes next adds to it */
    char *ignored; /* the names of those that were given, blanks between; "" if none */
    char *file;    /* the configuration file, absolute; "" if none.  Not a directive. */
};

enum config_load_result {
    CONFIG_LOADED,
    CONFIG_STOP,  /* --help or --version was answered on standard output: exit 0 */
    CONFIG_FAILED /* `error` says "FILE:LINE: what" or "command line: what": exit 1 */
};

enum config_set_result {
    CONFIG_SET_OK,
    CONFIG_SET_UNKNOWN, /* no such directive */
    CONFIG_SET_REFUSED  /* fixed at the start, or a bad value */
};

void config_init(struct config *config); /* every default; a node 0 alone is not yet filled in */
void config_deinit(struct config *config);

/* On a config fresh from config_init(); config_deinit() is due whatever the result.
 *     redis-raft [FILE] [--directive value ...]
 * and vard's options with one dash or two: -me -port -dbpath -node -debug. */
enum config_load_result config_load(struct config *config, int argc, char **argv, char *error,
                                    size_t error_size) __attribute__((warn_unused_result));

/* CONFIG GET: every directive in the table's order, `value` as CONFIG SET or the file would take
 * it (sizes in bytes).  peer-secret is left out: no client may learn it. */
void config_each(const struct config *config,
                 void (*each)(void *context, const char *name, struct bytes value), void *context);

/* Whether CONFIG SET may set that directive at all: unknown and immutable ones it may not.  On
 * failure as config_set(). */
enum config_set_result config_may_set(struct bytes name, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* CONFIG SET of one directive.  On failure nothing changed and `error` is Redis 7.2's error text
 * without "ERR " in front, complete: "Unknown option or number of arguments for CONFIG SET - 'x'"
 * or "CONFIG SET failed (possibly related to argument 'x') - can't set immutable config". */
enum config_set_result config_set(struct config *config, struct bytes name, struct bytes value,
                                  char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* CONFIG REWRITE: config->file, which is not "", says afterwards what holds now; its comments and
 * its order stay.  The new file replaces the old one at once and is on the disk.  False with a
 * reason in `error`: the old one is as it was (but after a failed sync of the directory). */
bool config_rewrite(const struct config *config, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* ---- for config_load.c, config_rewrite.c and tests ---------------------------- */

/* One directive as words, each with a NUL behind it, words[0] its name.  On failure `error` says
 * what is wrong, without the place. */
bool config_apply(struct config *config, const struct bytes *words, uint32_t count, char *error,
                  size_t error_size) __attribute__((warn_unused_result));
/* What no single directive can know: fills in what was left out, checks one against another.  On
 * failure `*culprit` is the directive to blame. */
bool config_finish(struct config *config, const char **culprit, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* On a config fresh from config_init(): what the file gives by itself, whether or not a node could
 * start with that.  False: `error` says "FILE:LINE: what". */
bool config_load_file(struct config *config, const char *file, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The directive of that name or alias in the table's spelling, NULL if there is none. */
const char *config_find(const char *name);
bool config_is_inert(const char *name);       /* it has no effect here */
const char *config_nearest(const char *name); /* for "did you mean"; NULL: nothing is near */
void config_print_help(void);

#endif
