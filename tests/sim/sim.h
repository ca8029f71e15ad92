/* A deterministic world for the shipped replica, log, data and command code: simulated disk, network,
 * clocks and clients, one thread, one seed.
 *
 *   world.c    events in time order, the random numbers, the transcript
 *   node.c     one process: what main.c builds, on simulated parts; crash, restart, pause
 *   disk.c     the log writer's port: delay, loss of what was not synced, a crash in mid-write
 *   network.c  messages: delay, loss, duplication, reordering, partitions; forwards as TCP carries them
 *   client.c   clients that record what they saw
 *   stream.c   clients that send ahead of the answers, for the order of one connection
 *   checks.c   what must hold across nodes after every event
 *   main.c     options, faults, the end: heal, progress, linearizability
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/prng.h"
#include "command/command.h"
#include "data/db.h"
#include "linear.h"
#include "net/wire.h"
#include "replica/replica.h"
#include "storage/kv.h"
#include "storage/log_writer.h"
#include "storage/raft_log.h"

enum { SIM_NODES_MAX = 5, SIM_CLIENTS_MAX = 16, SIM_TICK_US = 10000 };

struct sim_node;

/* ---- world.c ------------------------------------------------------------------------- */

/* `data` is owned by the event: the function frees it, also when the node's life is over. */
typedef void sim_event_fn(struct sim_node *node, void *data);

struct sim_options {
    uint64_t seed;
    uint32_t nodes, clients, keys;
    int64_t fault_us;         /* how long faults go on */
    uint64_t log_entries_max; /* 0: the seed chooses */
    double loss, duplication;
    bool crashes, partitions, pauses, skew;
    bool verbose;
};

/* What a run came by; a soak must see all of it. */
struct sim_coverage {
    uint64_t events, elections, truncations, crashes, crashes_in_write, restarts, partitions;
    uint64_t one_way, pauses, lost, duplicated, writes_done, reads_done, unknown, not_done;
    uint64_t trims, refused_forwards, once_repeats, transfers;
};

struct sim_world {
    struct sim_options options;
    uint64_t prng;
    int64_t now_us;
    void *events; /* JudyL: time and order -> struct sim_event */
    uint64_t order;
    struct sim_node *nodes;
    struct sim_coverage coverage;
    struct buffer recent; /* the last lines of the transcript */
    uint64_t transcript_hash;
    bool healing; /* no more faults */
};

extern struct sim_world sim;

void sim_schedule(int64_t delay_us, struct sim_node *node, sim_event_fn *fn, void *data);
/* Runs the next event; false: there is none. */
bool sim_step(void);
void sim_drop_events(void); /* at the very end */
uint64_t sim_below(uint64_t bound);
bool sim_chance(double probability);
void sim_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- node.c, disk.c -------------------------------------------------------------------- */

struct sim_disk {
    struct log_writer port; /* first */
    struct sim_node *node;
    struct raft_write *writes; /* submitted, not written; entries owned */
    uint32_t count, capacity;
    bool busy; /* a DONE event is under way for the first `batch` of them */
    uint32_t batch;
};

struct sim_applied { /* what the node applied: index -> term and hash of the payload */
    raft_index index;
    raft_term term;
    uint64_t hash;
};

struct sim_node {
    raft_node_id id;
    uint64_t life; /* rises with each start; events of an earlier life are void */
    bool alive, paused;
    int64_t clock_skew_us; /* of the wall clock */
    double clock_rate;     /* of the monotonic one */
    struct kv *kv;         /* survives */
    struct raft_log *log;
    struct db *db;
    struct state_machine *machine; /* the shipped one, behind ours */
    struct state_machine port;     /* ours: records what is applied */
    struct replica *replica;
    struct sim_disk disk;
    struct transport transport;
    raft_index applied_seen; /* the highest of all its lives: durable and committed */
    raft_index first_seen;   /* of this life: rises when the log is cut */
};

void sim_node_start(struct sim_node *node);
void sim_node_crash(struct sim_node *node);
void sim_node_run(struct sim_node *node);
int64_t sim_node_now_ms(const struct sim_node *node);
int64_t sim_node_unix_ms(const struct sim_node *node);
void sim_disk_init(struct sim_disk *disk, struct sim_node *node);
void sim_disk_crash(struct sim_disk *disk);

/* ---- network.c --------------------------------------------------------------------------- */

void sim_network_init(struct sim_node *node);
void sim_network_node_gone(struct sim_node *node);
void sim_network_cut(uint32_t from, uint32_t to, bool cut);
void sim_network_heal(void);

/* ---- client.c ---------------------------------------------------------------------------- */

void sim_clients_start(void);
void sim_clients_node_gone(struct sim_node *node);
void sim_clients_stop(void); /* no new operations */
uint64_t sim_clients_done(void);
void sim_clients_check(void); /* linearizability of all histories */
void sim_clients_free(void);

/* ---- stream.c ---------------------------------------------------------------------------- */

void sim_streams_start(void);
void sim_streams_node_gone(struct sim_node *node);
void sim_streams_stop(void);
void sim_streams_check(void); /* order and completeness of every connection's writes */
void sim_streams_free(void);

/* ---- checks.c -------------------------------------------------------------------------------- */

void sim_check_applied(struct sim_node *node, struct raft_pos pos, struct bytes payload);
void sim_check_world(void);
void sim_check_data(void); /* equal data at equal applied index */
void sim_checks_free(void);

#endif
