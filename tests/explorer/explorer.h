/* Every reachable state of three real cores (src/raft, linked unchanged) within small bounds; of
 * four in build/explore-four, since two lists of members that two leaders append on top of the same
 * one have majorities that do not meet only if that one has four voters.
 *
 * A state is the nodes, the packets ever sent on each channel between two, and what the
 * properties need to remember (`history`).  A node is a core's raft_state and log, packed, and what
 * its disk may hold.  The core runs once for every distinct (node, input): what came out is kept,
 * so the search over whole states is made of table look-ups.  Nodes, packets, sets of packets and
 * histories are interned: equal ones have one number, so a state is a few numbers and is compared
 * exactly, not by a fingerprint.
 *
 * What is left out of a state, and why no violation of safety can hide there:
 *   timers        each may fire at any time: its counter is set to the last tick before it fires,
 *                 and set back afterwards.  Real clocks allow some of these times only.
 *   leases        a follower that heard a leader is asked for votes twice, once as if that was just
 *                 now and once as if an election timeout had passed.  The same reason.
 *   heartbeats    sent at any time: a tick of the leader.
 *   resending     given up at any time: as an UNREACHABLE, and as a silence.
 *   hanging disks a leader's is a STEP_DOWN, with the TIMEOUT_NOW that a transfer could have sent;
 *                 one who does not campaign because of it does less.
 *   successors    a leader that is removed tells all voters to campaign, not the first of the best.
 *   applying      at once, as far as the core allows.  It decides only from where a restart goes
 *                 on; a crash picks every index up to there.
 *   numbers       of writes: counted from the last acknowledged, the core only compares them.
 *   old fields    what a core does not look at before it sets it anew (the progress of one that
 *                 does not lead, say) is zero.  Every step is run once more with garbage there, and
 *                 must do the same.
 *   sizes         all entries are empty, but for lists of members; no other payload ever comes into
 *                 the core.
 *   compaction    reaches the disk at once; up to where a node applied, and stored that it did.
 *   snapshots     are whole at once; a leader offers one to whom it finds fallen off, of what it
 *                 has applied then, and that may be taken at any later time, or never.
 *   members       have no addresses and no lives.
 *   names         states that differ by a renaming of nodes are one.  Every step is run once
 *                 more for each renaming, and must do the same.
 *
 * The network is the set of all packets ever sent, each delivered any number of times in any order:
 * loss, duplication and reordering are choices of what to deliver.  More packets only mean more
 * behaviours, so
 *   - a step that changes no node and only sends is taken at once (unless --plain): the state with
 *     more packets is reachable, and can do all that the one with fewer can;
 *   - a packet that its receiver will never do anything with is dropped, and those that differ in
 *     what it will never look at are one (unless --plain; see reactions.c);
 *   - a message that would be withheld a second time is not delivered.
 * Anything else is a bound, and is printed as one. */
#ifndef EXPLORER_H
#define EXPLORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "raft/raft.h"

#ifndef EXPLORER_NODES
#define EXPLORER_NODES 3
#endif

enum {
    NODES = EXPLORER_NODES,
    RENAMINGS = NODES == 3 ? 6 : 24,
    LISTS = 1 << NODES, /* of members, by their voters */
    LOG_MAX = 6,
    WRITES_MAX = 3,
    WITHHELD_MAX = 6,
    INFLIGHT_MAX = 2,
    READS_MAX = 3,
    SENT_MAX = 32,
    NONE = 0xff /* no node */
};

/* What bounds the search; a step that would go beyond is not taken. */
struct bounds {
    uint8_t terms;
    uint8_t log;      /* entries */
    uint8_t crashes;  /* in all */
    uint8_t reads;    /* in all */
    uint8_t forwards; /* reads that come from another node, in all */
    uint8_t writes;   /* under way on one disk */
    uint8_t withheld; /* messages waiting for one disk */
    uint8_t inflight; /* append requests on their way to one follower */
    uint8_t batch;    /* entries in one of them */
    uint8_t voters;   /* of the list that the first nodes begin with; the others know of nobody */
    uint8_t changes;  /* of members, in all */
    uint8_t compactions; /* of logs, in all */
    bool learners;       /* who has no vote is a member all the same */
    bool transfers;
    bool plain; /* none of the reductions that speak of packets */
};
extern struct bounds bounds;

/* ---- interned things: intern.c ------------------------------------------------------ */

/* Things of one size, each kept once; the first is number 0. */
struct interned {
    size_t size;
    uint8_t *things;
    uint32_t count, capacity;
    uint32_t *slots, slots_mask;
};

void interned_init(struct interned *table, size_t size);
uint32_t intern(struct interned *table, const void *thing);
static inline const void *interned_at(const struct interned *table, uint32_t number)
{
    return table->things + (size_t)number * table->size;
}
uint64_t hash_bytes(const void *data, size_t size);

/* A map from 64 bits, never 0, to 32. */
struct map {
    uint64_t *keys;
    uint32_t *values;
    uint64_t count, mask;
};

uint32_t *map_at(struct map *map, uint64_t key, bool *is_new); /* valid until the next call */

/* ---- entries and lists of members: lists.c ------------------------------------------- */

/* An entry is its term, and the voters of the list that it holds, a bit for each; no voters: a
 * command. */
enum { TERM_BITS = 4 };
static inline uint8_t entry_of(uint8_t term, uint8_t list)
{
    return (uint8_t)(term | list << TERM_BITS);
}
static inline uint8_t term_of(uint8_t entry)
{
    return entry & ((1 << TERM_BITS) - 1);
}
static inline uint8_t list_of(uint8_t entry)
{
    return entry >> TERM_BITS;
}

struct image { /* of a disk */
    uint8_t term, voted_for, last;
    uint8_t first;            /* the position before the first entry held */
    uint8_t base, base_index; /* the list in force there, and where it stood */
    uint8_t log[LOG_MAX];     /* of what is below `first` nothing, of `first` the term */
};

uint8_t first_list(void); /* that the nodes begin with */
uint8_t list_at(const struct image *image, uint8_t index, uint8_t *stands_at);
uint8_t list_in_force(const struct image *image);
/* Once the log up to `index` is gone. */
struct image image_compacted(const struct image *image, uint8_t index);
/* The entry, or that and more, where the log begins. */
bool image_holds(const struct image *image, uint8_t entry, uint8_t index);
/* Up to `count`, as far as both hold it. */
bool image_has_prefix(const struct image *image, const struct image *prefix, uint8_t count);
const struct raft_members *members_of_list(uint8_t list);
struct raft_entry list_entry(struct raft_pos pos, uint8_t list);
uint8_t list_of_members(const struct raft_members *members);
void list_print(struct buffer *out, uint8_t list);

/* ---- packets and sets of them: packets.c ----------------------------------------------- */

/* A raft_message in bytes. */
struct packet {
    uint8_t type, from, to, term;
    uint8_t pos_term, pos_index; /* last, prev or hint */
    uint8_t flags;
    uint8_t commit, round, count;
    uint8_t entries[LOG_MAX];
};
/* What a leader offers to one that fell off its log: the state at a position, with the list in
 * force there (`entries`) and where it stood (`round`).  No message of the core. */
enum { SNAPSHOT = RAFT_TIMEOUT_NOW + 1 };
/* STALE: stands for all requests of earlier terms, see reactions.c. */
enum { PRE_VOTE = 1, BY_TRANSFER = 2, GRANTED = 4, MATCHED = 8, STALE = 16 };

uint16_t packet_number(const struct packet *packet);
const struct packet *packet_at(uint16_t number);
uint32_t packets_count(void);
struct packet pack_message(const struct raft_message *message);
/* `entries`: LOG_MAX places. */
struct raft_message unpack_message(const struct packet *packet, struct raft_entry *entries);

/* A set of packets, number 0 is empty. */
struct packet_set {
    uint32_t count;
    uint64_t shadow;         /* a bit for each packet, several share one */
    const uint16_t *packets; /* rising */
};
struct packet_set set_at(uint32_t set);
uint32_t set_with(uint32_t set, uint16_t packet);
uint32_t set_union(uint32_t a, uint32_t b);
bool set_includes(uint32_t set, uint32_t other);
bool set_has(uint32_t set, uint16_t packet);
uint32_t sets_count(void);

/* ---- one node: node.c ---------------------------------------------------------------- */

struct packed_progress {
    uint8_t match, next, replicating, round_acked, is_quick;
    uint8_t inflight_count, inflight[INFLIGHT_MAX];
};

struct node {
    uint8_t self, role, leader, commit, applied, durable;
    struct image now; /* as the core sees it; on disk once all writes are */
    uint8_t mortal;   /* may still crash */
    uint8_t writes_count;
    uint8_t writes_end[WRITES_MAX];
    struct image disk[WRITES_MAX]; /* acknowledged, and what the writes under way make of it */
    uint8_t hard_state_seq, campaign_seq; /* of the writes under way, from 1; 0: done */
    uint8_t withheld_count, withheld_seq[WITHHELD_MAX];
    uint8_t votes[NODES];
    uint8_t term_start, round, round_confirmed, transfer_to;
    struct packed_progress progress[NODES];
    uint8_t reads_count, reads_id[READS_MAX], reads_index[READS_MAX], reads_round[READS_MAX];
    uint16_t withheld[WITHHELD_MAX]; /* packets */
};

enum input_kind {
    DELIVER,
    DELIVER_LATE, /* an election timeout after the leader was heard */
    FIRE,         /* the election timer */
    HEARTBEAT,
    STEP_DOWN, /* no majority was heard */
    PROPOSE,
    READ,
    FORWARD,        /* a read is asked here, and is on its way: no step of the core */
    READ_FORWARDED, /* it comes; argument: see forwarded() */
    PERSIST,        /* the first `argument` writes under way */
    CRASH,          /* argument: images kept * 16 + applied */
    UNREACHABLE,    /* argument: peer */
    SILENCE,        /* nothing from peer for long */
    TRANSFER,       /* to peer */
    TRANSFER_ENDS,
    CHANGE, /* of members; argument: the list */
    COMPACT /* argument: up to there */
};

struct input {
    enum input_kind kind;
    uint16_t argument;
};

/* The read `id`, sent by that node when it was in that term. */
static inline uint16_t forwarded(uint8_t id, uint8_t from, uint8_t term)
{
    return (uint16_t)(id | from << 4 | term << 8);
}
static inline uint8_t read_of(uint16_t forwarded)
{
    return forwarded & 15;
}
static inline uint8_t sender_of(uint16_t forwarded)
{
    return forwarded >> 4 & 15;
}
static inline uint8_t sent_in(uint16_t forwarded)
{
    return (uint8_t)(forwarded >> 8);
}

enum verdict {
    FINE,
    BEYOND, /* the bounds: not a step */
    CORE_ABORTED,
    LEADER_CHANGED_ITS_LOG,
    COMMIT_FELL,
    COMMITTED_CHANGED,
    CHANGED_WITHOUT_WRITE,
    WRITE_DIFFERS,
    VOTE_NOT_DURABLE,
    CANDIDACY_NOT_DURABLE,
    MATCH_NOT_DURABLE,
    DISK_NOT_AWAITED,
    PROMISE_NOT_KEPT,
    READ_FOR_NOBODY,
    LIST_IS_NOT_THE_LAST,
    DEAD_FIELD_READ,
    NAMES_MATTER,
    /* what spans nodes */
    TWO_LEADERS,
    LOGS_DO_NOT_MATCH,
    COMMITTED_ELSEWHERE,
    COMMITTED_ON_FEW_DISKS,
    LEADER_LACKS_COMMITTED,
    READ_IS_STALE
};
const char *verdict_words(enum verdict verdict);

struct outcome {
    uint32_t node;
    enum verdict verdict;
    uint16_t sent_count;
    uint16_t sent[SENT_MAX];
    uint8_t reads_released; /* a bit for each id */
    uint8_t read_at_once;   /* the index of a read that was released in the step that took it */
};

uint32_t first_node(uint8_t self);
/* The order in which they wait does not matter, see reactions.c. */
void sort_withheld(struct node *node);
uint32_t node_number(const struct node *node);
const struct node *node_at(uint32_t number);
uint32_t nodes_count(void);
void image_print(struct buffer *out, const struct image *image);
void node_print(struct buffer *out, const struct node *node);

/* core.c: what the real core makes of it, each (node, input) once; valid until the next call. */
const struct outcome *node_step(uint32_t node, struct input input);
uint32_t core_steps(void);
/* The same once more, with a line for each thing that the core gives out. */
void node_step_aloud(uint32_t node, struct input input, struct buffer *out);

/* traces.c: a trace of every step of a core (raft/trace.h), for build/trace-check. */
void traces_to(const char *path);
void traces_pause(bool pause);
void traces_end(void);

/* ---- the other names: symmetry.c -------------------------------------------------------- */

extern uint8_t renamings[RENAMINGS][NODES];
void renamings_init(void);
void rename_entries(uint8_t entries[LOG_MAX], int renaming);
struct image rename_image(const struct image *image, int renaming);
uint16_t rename_packet(uint16_t packet, int renaming);
uint16_t rename_forwarded(uint16_t number, int renaming);
struct input rename_input(struct input input, int renaming);
uint32_t rename_node(uint32_t node, int renaming);
uint32_t rename_set(uint32_t set, int renaming);

/* ---- what a node does with what it is sent: reactions.c ------------------------------- */

struct inputs {
    uint32_t count;
    const struct input *list;
};

/* What a node in this state makes of the packets of a set. */
struct reaction {
    uint32_t silent[NODES - 1]; /* sets: sent to the next two nodes by steps that do nothing else */
    struct inputs active;       /* the others, one for each outcome */
};
/* Valid until the next call. */
const struct reaction *reaction_of(uint32_t node, uint32_t set);
/* The same without a packet: timers, the disk, clients, crashes. */
const struct reaction *reaction_alone(uint32_t node);
/* Of what is sent to a node, what it may yet look at; see there. */
uint32_t seen_by(uint32_t node, uint32_t set);

/* ---- whole states: state.c ------------------------------------------------------------------ */

struct history {
    uint8_t committed_count;
    uint8_t entry[LOG_MAX];       /* what some node once knew to be committed */
    uint8_t commit_term[LOG_MAX]; /* the term in which it was first */
    uint8_t reads_taken;          /* or sent */
    uint8_t reads_too_early;      /* a bit for each: taken at an index below the committed */
    uint8_t forwards;             /* of them */
    uint16_t on_its_way;          /* of those the last, until it comes: see forwarded(); 0: none */
    uint8_t sent_committed;       /* committed_count when it was sent */
    uint8_t crashes, changes, compactions;
};

struct state {
    uint32_t node[NODES];
    uint32_t channel[NODES][NODES - 1]; /* sets: from i to i + 1 and i + 2 (modulo NODES) */
    uint32_t history;
};

struct step {
    uint8_t node;
    struct input input;
};

/* A list of steps that grows. */
struct steps {
    struct step *list; /* owned */
    uint32_t count, capacity;
};
void steps_add(struct steps *steps, struct step step);

static inline uint32_t *channel_to(struct state *state, uint32_t from, uint32_t to)
{
    return &state->channel[from][(to + NODES - from) % NODES - 1];
}

void first_state(struct state *state);
/* False: beyond the bounds, or not possible here.  What was sent on the way by steps that change
 * nothing is added to `silent`, if that is given. */
bool take_step(struct state *state, struct step step, enum verdict *verdict, struct steps *silent);
/* The same under the name that all renamings of it share. */
struct state canonical(const struct state *state);

/* Calls `visit` for each state one step away. */
typedef void (*visitor)(void *context, const struct state *next, struct step step,
                        enum verdict verdict);
void successors(const struct state *state, visitor visit, void *context);

/* ---- to compare searches: essence.c ---------------------------------------------------------- */

void essence_add(const uint32_t *nodes);
uint32_t essences_count(void);

/* ---- runs in words: script.c, story.c ---------------------------------------------------- */

/* "1 deliver 0->1 vote_request term=1 last=0:0", "0 propose", "2 crash keeps=0 applied=1",
 * "0 change {0,1}" ... */
void step_print(struct buffer *out, struct step step);
/* Takes the steps of a file, and adds them to `steps`; dies where one is not possible. */
enum verdict script_run(const char *path, struct state *state, struct steps *steps, bool aloud);
enum verdict steps_run(const struct steps *steps, struct state *state, bool aloud);
/* From the first state to a violation: makes it shorter and prints it as a script. */
void story_print(const struct steps *steps);

/* ---- search.c ------------------------------------------------------------------------------ */

struct limits {
    uint64_t states;
    uint32_t seconds; /* of this process, not of the clock on the wall */
    bool breadth_first;
    bool keep_all; /* also states that another has all the packets of */
    bool essences; /* count them */
};

/* From the state after `prefix`.  False: something is wrong, and was printed. */
bool search(const struct state *start, const struct steps *prefix, const struct limits *limits);

#endif
