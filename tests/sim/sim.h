/* The simulator: a deterministic, single-threaded world that runs the shipped replica, log, core,
 * commands and data over simulated disks, network and clocks.
 *
 *   main.c     options (seeds.c: many, shrinking) node.c     one process: the shipped parts
 *   world.c    time, randomness, the transcript   store.c    its disk: loses, tears, fails, is full
 *   run.c      one run from start to verdict      disk.c     its log writer, with delays
 *   faults.c   what goes wrong, and when          death.c    what fatal() and check() mean here
 *   client.c   one operation at a time            network.c  messages, streams, pieces, cuts
 *   stream.c   pipelines, for order               coverage.c what a run came by
 *   types.c    all types, with deadlines          transactions.c appends and reads of lists
 *   queues.c   BLPOP and pushes                    scripts.c all or nothing
 *   snapshots.c   members that fell off the log    checkpoint.c  its thread, one step at a time
 *   links.c    who is let in, connections          directories.c  whose disk is whose
 *
 *   history.c         ghosts: what the world has seen, which no node may contradict later
 *   checks_step.c     each write and each message of a core against the ghosts
 *   checks_state.c    each node's state after every event
 *   checks_going_on.c members that were sent a state, until they have caught up
 *   checks_data.c     what is applied: the same on all nodes, in one order, as it was asked for
 *
 * proofs/invariants.md names, for each invariant, the function that checks it. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include "appends.h"
#include "base/buffer.h"
#include "base/prng.h"
#include "command/command.h"
#include "config.h"
#include "data/db.h"
#include "linear.h"
#include "net/wire.h"
#include "replica/replica.h"
#include "storage/kv.h"
#include "storage/raft_log.h"
#include "storage/raft_log_writer.h"

enum {
    SIM_NODES_MAX = 5,
    SIM_CLIENTS_MAX = 16,
    SIM_KEYS_MAX = 64,
    SIM_STREAMS_MAX = 8,
    SIM_DIRECTORIES_MAX = 48,
    SIM_NO_DIRECTORY = SIM_DIRECTORIES_MAX,
    SIM_LISTS = 3, /* of transactions and scripts: list0 and so on */
    SIM_TICK_US = 10000
};
enum { SIM_HASH_SEED = 42 };
enum { SIM_PAUSED_US = 5000 }; /* what comes to a paused process looks again so much later */
enum { SIM_FAULTS_BEGIN_US = 500000 };

struct sim_node;

/* ---- coverage.c ---------------------------------------------------------------------- */

/* What a run came by; over a minute's seeds each must be above zero. */
#define SIM_COUNTERS(X)                                                                            \
    X(events)                                                                                      \
    X(elections)                                                                                   \
    X(truncations)                                                                                 \
    X(crashes)                                                                                     \
    X(crashes_in_write)                                                                            \
    X(crashes_in_checkpoint)                                                                       \
    X(blackouts)                                                                                   \
    X(writes_torn_off)                                                                             \
    X(disk_errors)                                                                                 \
    X(disk_read_errors)                                                                            \
    X(disk_full)                                                                                   \
    X(disk_slow)                                                                                   \
    X(log_reads)                                                                                   \
    X(log_reads_in_vain)                                                                           \
    X(no_room)                                                                                     \
    X(gone)                                                                                        \
    X(disk_hung)                                                                                   \
    X(disk_told_late)                                                                              \
    X(promises_said)                                                                               \
    X(promises_taken_back)                                                                         \
    X(disk_unawaited)                                                                              \
    X(refused_nodes)                                                                               \
    X(members_added)                                                                               \
    X(members_joined)                                                                              \
    X(joined_again)                                                                                \
    X(members_removed)                                                                             \
    X(members_demoted)                                                                             \
    X(members_promoted)                                                                            \
    X(members_replaced)                                                                            \
    X(offices_handed_over)                                                                         \
    X(changes_refused)                                                                             \
    X(disks_lost)                                                                                  \
    X(new_disks_refused)                                                                           \
    X(old_disks)                                                                                   \
    X(old_disks_refused)                                                                           \
    X(office_left_for_the_disk)                                                                    \
    X(checkpoints)                                                                                 \
    X(applied_beside_checkpoints)                                                                  \
    X(read_beside_checkpoints)                                                                     \
    X(read_before_the_end)                                                                         \
    X(not_read_before_the_end)                                                                     \
    X(held_back)                                                                                   \
    X(preparations)                                                                                \
    X(preparations_changed)                                                                        \
    X(preparations_unused)                                                                         \
    X(preparations_restated)                                                                       \
    X(prepared)                                                                                    \
    X(checkpoints_cut_off)                                                                         \
    X(checkpoints_before_adoption)                                                                 \
    X(restarts)                                                                                    \
    X(partitions)                                                                                  \
    X(one_way)                                                                                     \
    X(partial)                                                                                     \
    X(reconnects)                                                                                  \
    X(lost)                                                                                        \
    X(duplicated)                                                                                  \
    X(delayed)                                                                                     \
    X(pieces)                                                                                      \
    X(pieces_cut_off)                                                                              \
    X(split_appends)                                                                               \
    X(pauses)                                                                                      \
    X(clock_jumps)                                                                                 \
    X(clock_jumps_back)                                                                            \
    X(log_time_held)                                                                               \
    X(trims)                                                                                       \
    X(transfers)                                                                                   \
    X(writes_done)                                                                                 \
    X(reads_done)                                                                                  \
    X(unknown)                                                                                     \
    X(not_done)                                                                                    \
    X(refused_by_meaning)                                                                          \
    X(noise)                                                                                       \
    X(refused_forwards)                                                                            \
    X(reads_acknowledged)                                                                          \
    X(once_repeats)                                                                                \
    X(types_done)                                                                                  \
    X(transactions)                                                                                \
    X(messages_told)                                                                               \
    X(messages_heard)                                                                              \
    X(messages_answered)                                                                           \
    X(transactions_changed)                                                                        \
    X(scripts_done)                                                                                \
    X(scripts_failed)                                                                              \
    X(scripts_ended)                                                                               \
    X(scripts_kept)                                                                                \
    X(scripts_undone)                                                                              \
    X(waits_served)                                                                                \
    X(reads_waited)                                                                                \
    X(waits_cancelled)                                                                             \
    X(ticks)                                                                                       \
    X(stream_reads)                                                                                \
    X(once_kept_replies)                                                                           \
    X(snapshots_begun)                                                                             \
    X(snapshot_chunks)                                                                             \
    X(installs_dropped)                                                                            \
    X(installs)                                                                                    \
    X(went_on_far_behind)                                                                          \
    X(caught_up)                                                                                   \
    X(crashes_in_install)                                                                          \
    X(crashes_in_adoption)                                                                         \
    X(histories_checked)                                                                           \
    X(data_compared)                                                                               \
    X(effects)

struct sim_coverage {
#define X(name) uint64_t name;
    SIM_COUNTERS(X)
#undef X
};

void sim_coverage_add(struct sim_coverage *sum, const struct sim_coverage *more);
void sim_coverage_print(const struct sim_coverage *coverage);
uint32_t sim_coverage_zeros(const struct sim_coverage *coverage); /* prints their names */

/* ---- faults.c ------------------------------------------------------------------------- */

#define SIM_FAULTS(X)                                                                              \
    X(CRASH, "crash")                                                                              \
    X(PAUSE, "pause")                                                                              \
    X(PARTITION, "partition")                                                                      \
    X(RESET, "reset")                                                                              \
    X(LOSS, "loss")                                                                                \
    X(DUPLICATE, "duplicate")                                                                      \
    X(DELAY, "delay")                                                                              \
    X(CLOCK, "clock")                                                                              \
    X(DISK_ERROR, "disk-error")                                                                    \
    X(DISK_FULL, "disk-full")                                                                      \
    X(DISK_SLOW, "disk-slow")                                                                      \
    X(DISK_HANG, "disk-hang")                                                                      \
    X(TRANSFER, "transfer")                                                                        \
    X(MEMBERS, "members")                                                                          \
    X(LOST_DISK, "lost-disk")                                                                      \
    X(OLD_DISK, "old-disk")

enum sim_fault {
#define X(name, word) FAULT_##name,
    SIM_FAULTS(X)
#undef X
        FAULTS
};

/* Without any of these the list of members is the configured one, and nobody says a life: so it is
 * for the trace check, whose model has fixed members. */
#define SIM_CHANGES (1u << FAULT_MEMBERS | 1u << FAULT_LOST_DISK | 1u << FAULT_OLD_DISK)
#define SIM_FAULTS_ALL ((1u << FAULTS) - 1)

/* True: faults of this kind may happen now. */
bool sim_fault_on(enum sim_fault fault);
const char *sim_fault_word(enum sim_fault fault);
void sim_faults_start(void);
bool sim_clock_may_lie(const struct sim_node *node);
void sim_restart_later(struct sim_node *node);

/* ---- world.c ------------------------------------------------------------------------- */

/* `data` is owned by the event: the function frees it, also when the node's life is over. */
typedef void sim_event_fn(struct sim_node *node, void *data);

struct sim_options {
    uint64_t seed;
    uint32_t nodes, clients, keys, streams;
    int64_t fault_us; /* how long faults go on */
    uint64_t steps;   /* end after so many events, whatever there is to be checked; 0: do not */
    unsigned faults;  /* 1 << enum sim_fault */
    bool verbose;
};

struct sim_world {
    struct sim_options options;
    uint64_t log_entries_max; /* the seed chose */
    uint32_t election_ticks;  /* likewise */
    int64_t latency_us;       /* likewise: a message takes up to so long */
    uint32_t clock_liar;      /* likewise: from this node on a minority may have any wall clock */
    bool raft_in_order;       /* likewise: Raft messages ride on TCP; else any order */
    bool upgrades;            /* likewise: nodes begin with the build before */
    bool falls_off;           /* likewise: who is away too long needs a snapshot */
    bool changes;             /* likewise: of members, and of their disks */
    uint64_t prng;
    int64_t now_us;
    void *events; /* JudyL: time and order -> struct sim_event */
    uint64_t order;
    struct sim_node *nodes;
    struct sim_coverage coverage;
    struct buffer recent; /* the last lines of the transcript */
    uint64_t transcript_hash;
    bool healing;             /* no more faults */
    struct sim_node *failing; /* its disk failed just now: fatal() is its end */
    struct sim_node *touched; /* what ran in this event */
    jmp_buf death;
    FILE *trace; /* NULL: nobody asked */
};

extern struct sim_world sim;

/* The first of the machines, at the start: of four, the last has a learner. */
static inline uint32_t sim_first_voters(void)
{
    return sim.options.nodes == 4 ? 3 : sim.options.nodes;
}

void sim_schedule(int64_t delay_us, struct sim_node *node, sim_event_fn *fn, void *data);
/* Runs the next event; false: there is none. */
bool sim_step(void);
void sim_drop_events(void); /* at the very end */
uint64_t sim_below(uint64_t bound);
bool sim_chance(uint32_t of_1000);
void sim_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- main.c, seeds.c, run.c ------------------------------------------------------------------ */

void sim_run(void);                                        /* returns if all is well */
void sim_run_end(void);                                    /* gives everything back */
void sim_print_command(const struct sim_options *options); /* what gives this run again */
const char *sim_commit(void);
void sim_watch(void); /* death.c: a signal, or no end, is a failure with words */
void sim_ended(void); /* well or badly: leaves the run's numbers to whoever started it */

/* ---- node.c, store.c, disk.c --------------------------------------------------------------- */

enum sim_break { BREAK_NONE, BREAK_POWER, BREAK_WRITE, BREAK_READ };

struct sim_store {  /* the node's kv, in front of kv_memory */
    struct kv base; /* first */
    struct kv *inner;
    struct sim_node *node;
    enum sim_break how; /* what breaks at the operation that counts `fuse` down to 0 */
    uint64_t fuse;
    bool only_checkpoints; /* count those alone */
    bool only_staged;      /* or these */
    int64_t full_until_us;
};

/* See checkpoint.c. */
enum sim_checkpoint_state {
    CHECKPOINT_BEGINNING, /* or there is none */
    CHECKPOINT_STOPPED,
    CHECKPOINT_GOING, /* the loop waits */
    CHECKPOINT_ENDED, /* and not noticed yet */
    CHECKPOINT_DIED
};

struct sim_checkpoint {
    enum sim_checkpoint_state state;
    pthread_cond_t turn; /* the thread waits for this */
    bool is_known;       /* to the world: one is under way */
    bool is_dead;        /* its process: nothing that it does has an effect */
    bool is_left;        /* likewise, and the thread ends at once */
    bool has_left;       /* it has */
    char why[512];       /* DIED: what fatal() said */
};

/* What the disk holds; a node that starts has to find it. */
struct sim_image {
    raft_term term;
    raft_node_id voted_for;
    struct raft_pos tip;
};

struct sim_disk {
    struct raft_log_writer port; /* first */
    struct raft_log_reader reader;
    struct sim_node *node;
    struct raft_write *writes; /* submitted, not written; entries owned */
    uint32_t count, capacity;
    bool busy; /* a DONE event is under way for the first `batch` of them */
    uint32_t batch;
    struct sim_image next; /* what is there once the batch is written */
    bool writing;          /* the next commit is of this batch */
    bool inside;           /* raft_log_write() has not come back */
    uint64_t durable;      /* what is written, */
    bool is_late;          /* and the loop is yet to be told, */
    bool hurries;          /* which it is to be soon */
    int64_t slow_until_us, hung_until_us;
};

enum { SIM_PROMISES_MAX = 16 };

struct sim_promise {
    uint64_t seq;
    struct raft_message message;
};

/* Answers that leave when the disk has what they wait for. */
struct sim_promises {
    struct sim_promise list[SIM_PROMISES_MAX]; /* seq rising */
    uint32_t count;
    uint64_t durable;
    bool has_said;
    struct raft_message said;
};

/* Hears what entries do to keys. */
struct sim_effects {
    struct command_listener listener; /* first */
    raft_index index;                 /* of the entry that it heard of last */
    uint64_t hash;                    /* of all its effects, in order */
};

/* From a state that it was sent. */
struct sim_going_on {
    raft_node_id sender; /* the machine, */
    uint64_t sender_life;
    raft_index index; /* of the state; 0: there is none */
    bool is_adopted;
    raft_index match; /* what the sender knows it to have; 0: it was not heard with the state */
    int64_t moved_us; /* when that rose, or it adopted */
    bool is_far;      /* it lacked more than the log's bounds when it was heard */
};

struct sim_node {                   /* a machine, and what runs on it */
    raft_node_id id;                /* of the machine */
    raft_node_id name;              /* of the node, to the others */
    uint32_t directory;             /* of sim_directories */
    struct raft_log_life disk_life; /* of this process's directory */
    struct peers *peers;            /* net/peer_members.c's; NULL: no process */
    struct config config;           /* of that, only `me` */
    uint64_t life;                  /* rises with each start; events of an earlier life are void */
    bool alive, paused;
    bool asks;             /* its directory is empty: it asks to be taken in, and is no node yet */
    bool is_new;           /* its directory is, under an old name */
    bool is_old;           /* its directory is an old copy */
    uint8_t meaning_known; /* of its build: a restart may be an upgrade */
    int64_t clock_skew_us; /* of the wall clock */
    int64_t clock_ppm;     /* how fast the monotonic clock goes wrong */
    int64_t clock_base_us, clock_at_us; /* what it showed at a time of the world's */
    struct sim_store *store;            /* survives, as does the image */
    struct sim_image image;
    struct raft_log *log;
    struct db *db;                 /* NULL: closed, or its process died */
    struct state_machine *machine; /* the shipped one, behind ours */
    struct state_machine port;     /* ours: records what is applied */
    struct replica *replica;
    struct sim_disk disk;
    struct sim_snapshots *snapshots;
    bool adopting;
    struct sim_checkpoint checkpoint;
    struct transport transport;
    struct sim_promises promises;
    struct sim_going_on going_on;
    raft_index applied_seen; /* the highest of all its lives: durable and committed */
    raft_index stored_seen;  /* the highest that it said to have stored, in any life */

    /* of this life, for the checks */
    struct raft_pos tip; /* of its log, as its writes made it */
    raft_index applied_last;
    bool is_half_done;             /* an entry of which some slices are done */
    bool is_preparing;             /* the same of a preparation */
    bool has_preparation;          /* under way, or ready */
    struct blob *prepared_command; /* the last; owned, or NULL */
    uint64_t prepared;             /* entries of this life that were */
    uint64_t acknowledged;         /* reads of this life that needed no round */
    struct sim_effects effects;
    int64_t log_time_ms;
    struct raft_status before; /* after the last event */
    raft_index list_seen;      /* likewise: where the list in force stood */
    uint64_t sent;             /* messages */
};

void sim_node_start(struct sim_node *node);
/* The rest of a dead machine: an empty directory, which is to join, or has the name of before. */
void sim_node_lose_disk(struct sim_node *node, bool joins);
void sim_node_put_old_disk(struct sim_node *node, struct kv *copy, const struct sim_image *image);
void sim_trace_promised(const struct raft_message *answer, uint64_t durable);
void sim_trace_open(const char *path); /* "-": standard output, and all else to standard error */
void sim_node_crash(struct sim_node *node);
void sim_node_died(struct sim_node *node); /* by fatal(): its memory is left as it is */
void sim_node_run(struct sim_node *node);
/* What it staged, of that position, takes the place of what it has; then it starts again. */
void sim_node_adopt(struct sim_node *node, const struct snapshot_adoption *adoption);
int64_t sim_node_now_ms(const struct sim_node *node);
int64_t sim_true_ms(void); /* the wall clock that is right */
int64_t sim_node_unix_ms(const struct sim_node *node);
void sim_node_set_rate(struct sim_node *node, int64_t ppm);
struct raft *sim_raft_of(const struct replica *replica); /* access.c */
uint64_t sim_reads_acknowledged(const struct replica *replica);
bool sim_is_held_back(const struct replica *replica);
/* Of the node with that directory it was found that it is an old copy; or it was let in. */
void sim_node_turns_away(struct sim_node *node, uint32_t directory, const char *why);
void sim_node_lets_in(struct sim_node *node, uint32_t directory);
/* It was told so, when it dialed. */
void sim_node_refused(struct sim_node *node, bool is_disowned);

struct sim_store *sim_store_new(struct sim_node *node);
void sim_store_break(struct sim_store *store, enum sim_break how, uint64_t fuse);
void sim_store_crash(struct sim_store *store);
struct kv *sim_store_exchange(struct sim_store *store, struct kv *inner); /* gives what was there */
void sim_store_free(struct sim_store *store);

/* ---- checkpoint.c --------------------------------------------------------------------------- */

void sim_checkpoint_init(struct sim_node *node);
void sim_checkpoint_wake(void *node);            /* db_options.wake */
void sim_checkpoint_look(struct sim_node *node); /* after whatever may have started one */
bool sim_checkpoint_is_under_way(const struct sim_node *node);
void sim_checkpoint_hurry(struct sim_node *node); /* at the end of a run */
void sim_checkpoint_kill(struct sim_node *node);  /* before db_close() */
void sim_checkpoint_leave(struct sim_node *node); /* of a process that died */
/* In its thread. */
bool sim_checkpoint_is_caller(void);
bool sim_checkpoint_stop(struct sim_node *node, bool always); /* false: do nothing */
_Noreturn void sim_checkpoint_die(const char *why);

void sim_disk_init(struct sim_disk *disk, struct sim_node *node);
void sim_disk_committed(struct sim_disk *disk); /* the store did it */
void sim_disk_crash(struct sim_disk *disk);
void sim_disk_expect(struct sim_disk *disk, struct raft_pos pos); /* an adoption */
void sim_disk_look(struct sim_node *node);
void sim_disk_drain(struct sim_disk *disk); /* writes all that was submitted */

/* ---- snapshots.c -------------------------------------------------------------------------- */

struct snapshot_port *sim_snapshots_new(struct sim_node *node);
void sim_snapshots_look(struct sim_node *node); /* whether the node is to adopt something */
void sim_snapshots_adopt(struct sim_node *node, const struct raft_log_members *members);
void sim_snapshots_stop(struct sim_node *node);
void sim_snapshots_free(struct sim_node *node);

/* ---- checks_going_on.c -------------------------------------------------------------------- */

void sim_check_begun(const struct sim_node *from, struct sim_node *to, raft_index index);
void sim_check_goes_on(struct sim_node *node, raft_index index); /* it has adopted that */
/* After an event of any node. */
void sim_check_cut(const struct sim_node *node, const struct raft *raft,
                   const struct raft_status *status);

/* ---- directories.c ------------------------------------------------------------------------ */

/* A data directory is a node for as long as it lives: what it promised nobody else has promised.
 * Of one that is lost what it had stays here; it can never speak again. */
struct sim_directory {
    raft_node_id name;
    uint64_t life;
    uint32_t machine;
    bool is_lost;
    struct sim_image image; /* of one that is lost */
};

/* The voters of a list; SIM_NO_DIRECTORY: nobody knows which that is. */
struct sim_voters {
    uint32_t count;
    uint32_t directories[RAFT_MEMBERS_MAX];
};

uint32_t sim_directory_new(raft_node_id name, uint64_t life, uint32_t machine);
struct sim_directory *sim_directory(uint32_t number);
const struct sim_image *sim_directory_image(uint32_t number);
uint32_t sim_directory_of(const struct raft_member *member);
struct sim_voters sim_voters_of(const struct raft_members *members);
uint32_t sim_majority_of(const struct sim_voters *voters);
/* On how many of these voters' disks it is. */
uint32_t sim_images_with(struct raft_pos pos, const struct sim_voters *voters);
uint32_t sim_directories(void); /* how many there have been */
void sim_directories_free(void);

/* ---- links.c ------------------------------------------------------------------------------ */

void sim_address(uint32_t machine, bool clients, char text[RAFT_ADDRESS_SIZE]);
void sim_links_start(struct sim_node *node); /* its replica is there */
void sim_links_tick(struct sim_node *node);

/* ---- members.c ---------------------------------------------------------------------------- */

void sim_members_start(void);
void sim_members_change(struct sim_node *node);    /* faults.c: now, if it can be */
void sim_members_lose_disk(struct sim_node *node); /* likewise */
void sim_members_old_disk(struct sim_node *node);  /* likewise */
void sim_members_node_asks(struct sim_node *node); /* from now on */
bool sim_members_may_start(const struct sim_node *node);
/* Its directory is no member's any more, or never was. */
bool sim_members_may_disown(const struct sim_node *node);
/* Whoever knows the log as committed up to here knows the lives of the voters. */
bool sim_members_are_known_at(raft_index index);
/* A list stands in the log of a leader. */
void sim_members_created(const struct raft_entry *entry);
/* All machines are members again, and all have the same list. */
bool sim_members_are_whole(void);
void sim_members_check(void);
void sim_members_free(void);

/* ---- network.c --------------------------------------------------------------------------- */

void sim_network_init(struct sim_node *node);
/* The writer's thread: what is promised behind that write is said; false: the loop has to hurry. */
bool sim_network_durable(struct sim_node *node, uint64_t seq);
void sim_network_node_gone(struct sim_node *node);
void sim_network_cut(uint32_t from, uint32_t to, bool cut);
void sim_network_reset(uint32_t one, uint32_t other, bool raft, bool commands);
void sim_network_heal(void);
void sim_network_free(void);

/* ---- client.c, stream.c, types.c ------------------------------------------------------------- */

void sim_clients_start(void);
void sim_clients_node_gone(struct sim_node *node);
void sim_clients_stop(void); /* no new operations */
uint64_t sim_clients_done(void);
void sim_clients_check(void); /* linearizability of all histories */
void sim_clients_free(void);
/* Not all members have the build that knows the command or its database. */
bool sim_is_refused(enum request_outcome outcome, struct bytes reply);

void sim_streams_start(void);
void sim_streams_node_gone(struct sim_node *node);
void sim_streams_stop(void);
void sim_streams_check(void); /* order and completeness of every connection's writes */
void sim_streams_free(void);

void sim_types_start(void);
void sim_types_node_gone(struct sim_node *node);
void sim_types_stop(void);
struct blob *sim_types_write(void); /* some command on data of any type */

/* ---- transactions.c -------------------------------------------------------------------------- */

void sim_transactions_start(void);
void sim_transactions_node_gone(struct sim_node *node);
void sim_transactions_stop(void);
void sim_transactions_check(void); /* strict serializability */
void sim_transactions_free(void);
uint32_t sim_transactions_number(void); /* that nobody else appends */
/* `is_known`: it was answered now, and all of `steps`, whose lists become the history's, says
 * what it did. */
void sim_transactions_record(int64_t called, bool is_known, const struct appends_step *steps,
                             uint32_t count);
/* Takes a line "*3" or ":7" or "$1" of this type off `rest`; false: it is another. */
bool sim_reply_line(struct bytes *rest, char type, int64_t *value);
bool sim_reply_list(struct bytes *rest, struct appends_list *list);

/* ---- scripts.c ------------------------------------------------------------------------------ */

void sim_scripts_start(void);
void sim_scripts_node_gone(struct sim_node *node);
void sim_scripts_stop(void);
void sim_scripts_end(void); /* before sim_transactions_check() */
/* This reply says that the command, a script, did nothing. */
bool sim_script_is_undone(struct bytes command, struct bytes reply);

/* ---- queues.c ------------------------------------------------------------------------------- */

void sim_queues_start(void);
void sim_queues_node_gone(struct sim_node *node);
void sim_queues_stop(void);
void sim_queues_check(void); /* each number is got once, or is still there */
void sim_queues_free(void);

/* ---- readers.c ------------------------------------------------------------------------------ */

void sim_readers_start(void);
void sim_readers_node_gone(struct sim_node *node);
void sim_readers_stop(void);
void sim_readers_check(void); /* nobody waits for what is there */
void sim_readers_free(void);

/* ---- messages.c ----------------------------------------------------------------------------- */

void sim_messages_start(void);
void sim_messages_node_started(struct sim_node *node);
void sim_messages_node_gone(struct sim_node *node);
void sim_messages_stop(void);
void sim_messages_check(void); /* one order, nothing missing, nothing twice */
void sim_messages_free(void);

/* ---- history.c ------------------------------------------------------------------------------ */

struct sim_vote {
    bool given;
    raft_node_id to;
    struct raft_pos last; /* of the voter's log when it gave it */
};

struct sim_created { /* an entry, as its leader made it */
    uint64_t hash;
    enum raft_entry_type type;
};

/* One term.  The log of its leader is `base`, with all below it, and then its own entries up to
 * `last`: since every entry has one creator, a position names everything below it too, and the
 * logs of all terms make a tree. */
struct sim_term {
    bool led;
    uint32_t leader; /* directory */
    struct raft_pos base;
    raft_index last;
    struct sim_created *created; /* owned; of base.index + 1 and following */
    uint64_t capacity;
    raft_index committed; /* the highest that its leader committed by counting */
    /* By directory. */
    struct sim_vote votes[SIM_DIRECTORIES_MAX];
    bool stood[SIM_DIRECTORIES_MAX];                 /* was a candidate, */
    struct raft_pos stood_with[SIM_DIRECTORIES_MAX]; /* with this log */
    raft_index asked_to[SIM_DIRECTORIES_MAX];        /* the end of what its leader sent to each */
    raft_index acknowledged[SIM_DIRECTORIES_MAX];    /* and what each answered to have */
};

struct sim_term *sim_term(raft_term term); /* valid until the next call with a higher term */
raft_term sim_terms(void);                 /* all below this have been seen */
const struct sim_created *sim_created_at(struct raft_pos pos); /* NULL: nobody created it */
/* Is `pos` a place in the log that ends with `tip`? */
bool sim_log_has(struct raft_pos tip, struct raft_pos pos);
struct raft_pos sim_place_on(struct raft_pos tip, raft_index index); /* index <= tip.index */
struct raft_pos sim_leader_tip(raft_term term); /* the end of the log of that term's leader */
uint64_t sim_entry_hash(const struct raft_entry *entry); /* of its type and payload */
void sim_term_append(struct sim_term *term, const struct raft_entry *entry);
void sim_forget_lost_votes(const struct sim_node *node);
struct raft_pos sim_committed(void); /* the highest that any node knew to be committed, */
const struct sim_voters *sim_committed_by(void); /* and the voters that its leader counted */
void sim_set_committed(struct raft_pos pos, const struct sim_voters *by);
void sim_history_free(void);

/* ---- checks_step.c, checks_state.c, checks_data.c -------------------------------------------- */

void sim_check_write(struct sim_node *node, const struct raft_write *write);
void sim_check_sent(struct sim_node *node, const struct raft_message *message,
                    const struct raft_entry *entries, uint32_t receiver);
void sim_persisted(struct sim_node *node, uint64_t seq); /* replica_persisted(), and what it does */
void sim_check_recovered(struct sim_node *node);
void sim_check_image(const struct sim_node *node, const struct sim_image *before);
void sim_check_commit(struct sim_node *node);
/* It appends a list there: what it has committed by now others were counted for. */
void sim_check_commit_before(struct sim_node *node, raft_index list);
void sim_check_node(struct sim_node *node);
bool sim_same(struct raft_pos one, struct raft_pos other);

void sim_note_submitted(struct bytes command);
void sim_note_answered(struct bytes command); /* a write was acknowledged */
/* A leader is about to propose this command, once, as these words. */
void sim_note_restated(struct bytes command, struct bytes words);
void sim_effects_listen(struct sim_effects *effects, struct state_machine *machine);
int64_t sim_log_time_ms(void);   /* the highest at which a command was applied anywhere */
bool sim_check_time_began(void); /* an entry with a stamp was applied somewhere */
void sim_check_applied(struct sim_node *node, const struct apply_context *context,
                       struct bytes command, struct bytes reply);
/* Every entry, of any type; also equal data at equal index. */
void sim_check_data(struct sim_node *node, struct raft_pos pos, int64_t now_ms);
void sim_check_read_before(const struct sim_node *node);
void sim_check_adopted(struct sim_node *node, struct raft_pos pos);
void sim_check_settled(void); /* at the end: all have all, and recomputing gives the same */
void sim_data_free(void);

#endif
