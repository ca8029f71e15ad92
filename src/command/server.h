/* What local commands (INFO, CONFIG, CLIENT, RAFT.STATUS) may ask of the rest of the process:
 * a port, filled in by server/, faked in unit tests. */
#ifndef COMMAND_SERVER_H
#define COMMAND_SERVER_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "command/connection.h"
#include "data/db.h"
#include "raft/raft.h"
#include "replica/snapshots.h"

/* Counters that net/ keeps, and facts that only the process knows; INFO prints them. */
struct server_stats {
    int64_t start_ms; /* Unix time of the start */
    uint64_t connections_received, connections_rejected;
    uint64_t commands_processed, reads, writes, forwarded;
    uint64_t net_input_bytes, net_output_bytes;
    uint64_t net_reads, net_writes; /* system calls on clients' sockets */
    double input_kb_per_second, output_kb_per_second;
    uint64_t peer_input_bytes, peer_output_bytes; /* with the other members */
    double peer_input_kb_per_second, peer_output_kb_per_second;
    uint64_t closed_for_input, closed_for_output;   /* clients over a limit of their buffers */
    uint64_t out_shrinks, out_expands;              /* of clients' buffers of replies */
    uint64_t loop_cycles_per_second, loop_cycle_us; /* of late; the mean of a cycle */
    uint64_t clients_connected, clients_max, clients_blocked;
    uint64_t clients_timed; /* in BLPOP and the like, not for ever */
    uint64_t blocking_keys; /* that clients of any node wait for, if this one leads */
    uint64_t client_biggest_input, client_biggest_output;
    uint64_t errors_replied;
    uint64_t ops_per_second;
    uint64_t keyspace_hits, keyspace_misses;
    uint64_t loop_cycles, loop_busy_us, commands_us; /* since the start */
    uint64_t memory_used, memory_peak, memory_rss;   /* bytes, as all of memory */
    uint64_t memory_startup, memory_system, memory_clients;
    uint64_t memory_heap; /* of malloc's pages that are in use, and large blocks */
    double cpu_user_s, cpu_system_s;
    double cpu_user_loop_s, cpu_system_loop_s; /* of the loop's thread */
    char system[160];                          /* uname: name, release, machine */
};

/* Everything RAFT.STATUS and INFO raft/replication/persistence say. */
struct server_raft_peer {
    raft_node_id id;
    uint64_t life;                          /* 0: not known */
    char client_address[RAFT_ADDRESS_SIZE]; /* host:port for clients; "" if not known yet */
    char peer_address[RAFT_ADDRESS_SIZE];
    bool voter, joining, active, fell_off, connected;
    raft_index match;
    int64_t idle_ms;         /* on a leader: since the member last answered, or since we lead */
    bool clock_known;        /* on a leader */
    int64_t clock_offset_ms; /* of its wall clock from the middle of a majority's */
    struct replica_sending_status sending; /* on a leader: index 0: it is sent no snapshot */
    raft_index held; /* the log behind it is kept for the member; 0: none is */
};

/* What EVALSHA and FCALL know. */
struct server_scripts {
    uint64_t scripts, scripts_bytes;
    uint64_t libraries, functions, functions_bytes;
    uint64_t machines_bytes; /* of Lua, while no script is under way */
};

/* RAFT.BACKUP: the one under way, or the last. */
struct server_backup {
    char name[256]; /* "": there was none since the start */
    bool is_under_way;
    char error[256];  /* why the last one is not there; "": it is */
    uint64_t bytes;   /* written */
    uint64_t index;   /* the entry whose state it has */
    uint32_t streams; /* RAFT.SNAPSHOT: clients that read one */
};

/* RAFT.CHECK: of the newest check, what this node has heard. */
enum server_check_verdict {
    SERVER_CHECK_RUNNING,
    SERVER_CHECK_EQUAL,
    SERVER_CHECK_DIFFERENT,  /* a majority of the voters has the same, and some other data */
    SERVER_CHECK_UNDECIDED,  /* there are differences, and no majority has the same */
    SERVER_CHECK_INCOMPLETE, /* all answered, some of them that they could not look */
};

enum server_check_state {
    SERVER_CHECK_MEMBER_WAITING, /* it has not answered */
    SERVER_CHECK_MEMBER_BUSY,    /* it could not look at that index */
    /* The rest have a hash. */
    SERVER_CHECK_MEMBER_ANSWERED, /* no majority has the same, so far */
    SERVER_CHECK_MEMBER_EQUAL,    /* to that of a majority */
    SERVER_CHECK_MEMBER_DIFFERS
};

struct server_check_member {
    raft_node_id id;
    enum server_check_state state;
    uint64_t hash, rows, bytes;
};

struct server_check {
    uint64_t id;      /* 0: there was none since the start */
    char error[256];  /* why the one that was asked for last did not begin; "": it did, or will */
    raft_index index; /* whose state is compared; 0: it has not begun */
    enum server_check_verdict verdict;
    uint64_t bytes, bytes_expected; /* that this node has read, of about so many */
    uint32_t members_count;
    struct server_check_member members[RAFT_MEMBERS_MAX];
};

/* check.c */
const char *command_check_verdict(enum server_check_verdict verdict);
const char *command_check_state(enum server_check_state state);

struct server_raft {
    struct raft_status status;
    raft_node_id id;
    uint64_t cluster;
    uint64_t cluster_name;                             /* 0: it has none yet */
    struct server_raft_peer members[RAFT_MEMBERS_MAX]; /* all, this node too */
    uint32_t members_count;
    raft_index members_index; /* where the list stands; 0: it is the configured one */
    uint64_t log_entries, syncs, sync_us_total, sync_us_max;
    uint64_t checkpoints, persisted_index, dirty_bytes, cached_bytes;
    uint64_t changes_since_checkpoint; /* of keys: server/changes.h */
    bool checkpoint_under_way;
    uint64_t receipts;        /* exactly-once clients */
    uint64_t writes_prepared; /* long ones that were computed beforehand, since the start */
    uint64_t expired;         /* keys whose deadline had come, since the start */
    uint64_t oldest_write_ms; /* how long the disk has kept a write waiting */
    uint64_t elections, requests_waiting, requests_forwarded;
    struct server_backup backup;
    struct server_check check;
    struct replica_install_status install; /* a snapshot that comes */
    uint64_t requests_parked;              /* if it leads: that wait in BLPOP or its like */
};

enum { SERVER_PERCENTILES_MAX = 16, SERVER_BUCKETS_MAX = 32 };

/* Of one command: what was executed here, and how long the fastest so many percent took. */
struct server_command_stats {
    const char *name;
    uint64_t calls, us, rejected, failed;
    uint32_t percentiles_count;
    struct {
        double percent, us;
    } percentiles[SERVER_PERCENTILES_MAX];
    /* How many executions took at most so long; rising, without those that add none. */
    uint32_t buckets_count;
    struct {
        uint64_t us, calls;
    } buckets[SERVER_BUCKETS_MAX];
};

/* What RAFT.SNAPSHOT CHUNK finds. */
enum server_chunk {
    SERVER_CHUNK_OK,
    SERVER_CHUNK_LATER,  /* it is not made yet, or would come too fast: to be asked for again */
    SERVER_CHUNK_UNKNOWN /* no such snapshot is being read here, or another of its chunks is next */
};

typedef void server_command_fn(void *context, const struct server_command_stats *command);
typedef void server_error_fn(void *context, const char *name, uint64_t count);

/* One client in CLIENT LIST order; return false to stop. */
typedef bool server_client_fn(void *context, struct connection *connection);

struct channels;
struct history;
struct server;

struct server_deadlines {
    uint64_t keys;       /* that have one */
    uint64_t avg_ttl_ms; /* of these */
};

struct server_ops {
    int64_t (*now_ms)(struct server *server); /* Unix time */
    int64_t (*now_us)(struct server *server);
    void (*stats)(struct server *server, struct server_stats *stats); /* but for memory_*, */
    /* which take tens of ms where much memory was given back. */
    void (*memory)(struct server *server, struct server_stats *stats);
    void (*stats_reset)(struct server *server); /* CONFIG RESETSTAT */
    /* Commands that were executed or rejected, and kinds of errors that clients got. */
    void (*each_command)(struct server *server, server_command_fn *each, void *context);
    void (*each_error)(struct server *server, server_error_fn *each, void *context);
    void (*raft)(struct server *server, struct server_raft *raft); /* never reads the disk */
    /* Keys of each database in this node's applied state, or a little more.  May read the disk for
     * a moment, to come closer: only who shows them asks. */
    void (*keys)(struct server *server, uint64_t keys[DB_DATABASES]);
    /* Which of them have deadlines, likewise: estimated from some, where there are many. */
    void (*deadlines)(struct server *server, struct server_deadlines deadlines[DB_DATABASES]);
    /* The scripts and functions of this node's applied state.  May read the disk for a moment. */
    void (*scripts)(struct server *server, struct server_scripts *scripts);
    void (*each_client)(struct server *server, server_client_fn *each, void *context);
    void (*kill_client)(struct server *server, struct connection *connection);
    /* False: no client with that id waits in BLPOP or its like. */
    bool (*unblock_client)(struct server *server, uint64_t id, bool is_error);
    /* For so long what clients say is not executed, or what writes of it. */
    void (*pause_clients)(struct server *server, int64_t ms, bool is_all);
    void (*unpause_clients)(struct server *server);
    /* CONFIG: each directive's name and present value in the form the file would have. */
    void (*config_each)(struct server *server,
                        void (*each)(void *context, const char *name, struct bytes value),
                        void *context);
    /* False with a reason in `error` when the directive is not known or fixed. */
    bool (*config_may_set)(struct server *server, struct bytes name, char *error,
                           size_t error_size);
    /* False with a reason in `error` when the directive is not known, fixed, or the value is
     * bad. */
    bool (*config_set)(struct server *server, struct bytes name, struct bytes value, char *error,
                       size_t error_size);
    /* CONFIG REWRITE of config_file, which is not "".  False with a reason in `error`. */
    bool (*config_rewrite)(struct server *server, char *error, size_t error_size);
    struct bytes (*password)(struct server *server); /* size 0 when none is required */
    /* Whether this node, while it does not lead, refuses writes (follower-mode). */
    bool (*is_read_only)(struct server *server);
    /* RAFT.BACKUP and RAFT.SNAPSHOT: server/backups.h.  False: `error` is the reply. */
    bool (*backup)(struct server *server, struct bytes name, char *error, size_t error_size);
    bool (*snapshot_begin)(struct server *server, uint64_t *id, char *error, size_t error_size);
    /* The chunk is borrowed until the next call. */
    enum server_chunk (*snapshot_chunk)(struct server *server, uint64_t id, uint64_t number,
                                        struct bytes *chunk);
    bool (*snapshot_end)(struct server *server, uint64_t id); /* false: there is none such */
    /* RAFT.CHECK: server/checks.h.  The one that is under way, or is begun by this: its id. */
    uint64_t (*check_begin)(struct server *server);
    /* Nothing more is to be heard of it. */
    bool (*check_is_over)(struct server *server, uint64_t id);
    void (*check)(struct server *server, struct server_check *check);
};

struct server {
    const struct server_ops *ops;
    struct command_observer *observer; /* NULL: nobody counts */
    struct slowlog *slowlog;           /* slowlog.h */
    struct latency *latency;           /* latency.h */
    struct channels *channels;         /* who is subscribed here; borrowed */
    const struct history *history;     /* history.h; there before clients are */
    int port;
    const char *config_file; /* "" if none */
    const char *executable;
    const char *directory;
    const char *version; /* of redis-raft */
    uint64_t build_id;   /* 0: it is not known */
    int64_t process_id;
    char run_id[41]; /* 40 hex digits, new at each start */
};

#endif
