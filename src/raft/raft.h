/* The consensus core.
 *
 * A `struct raft` is a deterministic state machine.  It owns no thread, file, socket, clock or
 * source of randomness.  All it learns arrives as an input, all it wants done leaves as an output:
 *
 *     raft_step(raft, &input, &output);
 *
 * The same inputs give the same outputs, so a seed is a bug report.
 *
 * Two rules make the caller's work small:
 *
 *   1. Whatever is in an output may be done at once and in any order.  The core itself withholds
 *      what depends on an unfinished disk write (a vote, a vote request, the answer to an append,
 *      the leader's own part of a majority) until the caller says that the write is durable.
 *
 *   2. Commands pass beside the core, not through it.  It keeps the term, type and size of every
 *      entry, never the bytes; an outgoing append names a range of indices and the caller fills it
 *      from the log.
 *
 * Section numbers (3.6.2) refer to Ongaro's thesis, "Consensus: Bridging Theory and Practice".
 */
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/limits.h"

typedef uint64_t raft_term;    /* 0: before the first election */
typedef uint64_t raft_index;   /* 0: before the first entry */
typedef uint64_t raft_node_id; /* from 0 */

#define RAFT_NOBODY UINT64_MAX /* no node: not voted, no leader known */

enum { RAFT_ADDRESS_SIZE = 64 };

/* A place in a log.  Term and index always travel together, because two bare integers side by side
 * will one day be swapped. */
struct raft_pos {
    raft_term term;
    raft_index index;
};

enum raft_entry_type {
    RAFT_ENTRY_COMMAND, /* for the state machine */
    RAFT_ENTRY_NOOP,    /* first entry of a leader's term (6.4) */
    RAFT_ENTRY_MEMBERS  /* who the members are from here on; in force once appended (4.1) */
};

struct raft_entry {
    struct raft_pos pos;
    enum raft_entry_type type;
    uint32_t size; /* of the payload, bytes */
    /* The caller's handle; the core only hands it through.  Of a members entry it must be a struct
     * blob with raft_members_encode()'s bytes, which the core reads. */
    void *payload;
};

struct raft_member {
    raft_node_id id;
    uint64_t life; /* of its data directory: the same id with another life is another node; 0: not
                      known yet */
    bool voter;    /* false: a learner, replicated to but not counted */
    bool joining;  /* a learner that is to become a voter; opaque to the core */
    /* Opaque to the core, like the next; host:port, printable, without blanks. */
    char address[RAFT_ADDRESS_SIZE]; /* of the peer channel */
    char client[RAFT_ADDRESS_SIZE];  /* of the port for clients; "": not known */
};

struct raft_members {
    uint32_t count;
    struct raft_member list[RAFT_MEMBERS_MAX]; /* ids rising */
};

enum raft_role { RAFT_FOLLOWER, RAFT_PRE_CANDIDATE, RAFT_CANDIDATE, RAFT_LEADER };

/* ---- messages between nodes ------------------------------------------- */

enum raft_message_type {
    RAFT_VOTE_REQUEST,
    RAFT_VOTE_RESPONSE,
    RAFT_APPEND_REQUEST, /* with count 0: a heartbeat */
    RAFT_APPEND_RESPONSE,
    RAFT_TIMEOUT_NOW /* leadership transfer (3.10) */
};

struct raft_vote_request {
    struct raft_pos last;
    bool pre_vote;
    bool transfer; /* the leader asked for it: do not hold to the leader (4.2.3) */
};

struct raft_vote_response {
    bool granted;
    bool pre_vote;
};

struct raft_append_request {
    struct raft_pos prev;
    raft_index commit;
    uint64_t round;                   /* echoed; confirms leadership for reads (6.4) */
    uint32_t count;                   /* entries prev.index + 1 .. prev.index + count */
    const struct raft_entry *entries; /* incoming only, borrowed; NULL in an output */
};

struct raft_append_response {
    bool matched;
    struct raft_pos hint; /* matched: agreed and durable up to here; else where to probe */
    uint64_t round;
};

struct raft_message {
    enum raft_message_type type;
    raft_node_id from;
    raft_node_id to;
    raft_term term; /* of the sender; a pre-vote request: the term it would raft_campaign in */
    /* Of an append request; the core leaves it alone: replica/shown.c. 0: nothing is said. */
    raft_index shown;
    union {
        struct raft_vote_request vote_request;
        struct raft_vote_response vote_response;
        struct raft_append_request append_request;
        struct raft_append_response append_response;
    };
};

/* ---- what happens: inputs ---------------------------------------------- */

/* A member's word, given after a read was asked, that it is in this term.  It may come as late as
 * it likes. */
struct raft_ack {
    raft_node_id from;
    raft_term term; /* 0: nobody's */
};

enum raft_input_type {
    RAFT_INPUT_TICK,        /* one tick of time passed */
    RAFT_INPUT_MESSAGE,     /* another node spoke */
    RAFT_INPUT_PROPOSE,     /* append commands */
    RAFT_INPUT_READ,        /* a linearizable read, or many at once */
    RAFT_INPUT_PERSISTED,   /* write `seq`, and all before it, is durable */
    RAFT_INPUT_APPLIED,     /* the state machine reached `index` */
    RAFT_INPUT_COMPACTED,   /* the log below and up to `index` is gone from disk */
    RAFT_INPUT_UNREACHABLE, /* the connection to `node` broke: messages may be lost */
    RAFT_INPUT_TRANSFER,    /* hand the leadership to `node`, or to the best if RAFT_NOBODY */
    RAFT_INPUT_GONE         /* the process of `node` has ended, by all that can be seen from here */
};

struct raft_input {
    enum raft_input_type type;
    union {
        const struct raft_message *message;
        struct {
            struct raft_entry *entries; /* type, size, payload given; pos assigned by the core */
            uint32_t count;             /* a members entry comes alone */
        } propose;
        struct {
            uint64_t id;   /* given back in raft_output.reads or .reads_failed; never 0 */
            bool asks_all; /* members hear of it, not only as many as confirm it */
            /* Given after the read, or the last of those that it stands for, was asked. */
            struct raft_ack ack;
        } read;
        struct {
            uint64_t seq;
        } persisted;
        raft_index index;  /* APPLIED, COMPACTED */
        raft_node_id node; /* UNREACHABLE, TRANSFER, GONE */
    };
};

/* ---- what to do about it: outputs -------------------------------------- */

/* One atomic durable write.  Writes are numbered from 1, and acknowledged by number and not by
 * index, so that an old acknowledgement can never be mistaken for one of a later entry at the same
 * index. */
struct raft_write {
    uint64_t seq; /* 0: nothing to write */
    raft_term term;
    raft_node_id voted_for;
    const struct raft_entry *entries; /* cut the log at entries[0].pos.index, then append */
    uint32_t count;
};

struct raft_read {
    uint64_t id;
    raft_index index; /* serve once applied >= index */
};

/* Everything here is borrowed from the raft (write.entries: from the input or the raft), valid
 * until the next step. */
struct raft_output {
    struct raft_write write;
    const struct raft_message *messages;
    uint32_t messages_count;
    const struct raft_read *reads;
    uint32_t reads_count;
    const uint64_t *reads_failed; /* leadership was lost before they were confirmed */
    uint32_t reads_failed_count;
    raft_index apply_to; /* committed and durable here: safe to apply */
    bool role_changed;   /* role, term or leader changed: see raft_status() */
};

/* The fate of the caller's own request.  Inputs that are no request (a tick, a message, an
 * acknowledgement) always give RAFT_OK. */
enum raft_result {
    RAFT_OK,
    RAFT_NOT_LEADER, /* nothing was appended */
    RAFT_BUSY,       /* nothing was appended; try again later: window full, a transfer is on, or
                        another change of members is */
    RAFT_REFUSED /* nothing was appended: that list of members must not follow the present one */
};

struct raft_status {
    enum raft_role role;
    raft_term term;
    raft_node_id voted_for;
    raft_node_id leader;
    raft_index commit;
    raft_index applied;
    raft_index durable;    /* our own log is durable up to here */
    struct raft_pos first; /* the position before the first entry we still hold */
    struct raft_pos last;
    uint64_t log_bytes;         /* payload of the entries we hold */
    uint32_t disk_silent_ticks; /* with writes under way, since one was finished */
    bool disk_hangs;            /* for so long that this node must not lead */
    bool transferring;
};

/* What a leader knows of another member. */
struct raft_peer_status {
    raft_node_id id;
    raft_index match;
    raft_index next;
    uint32_t idle_ticks; /* since it last answered, or since we lead */
    bool active;         /* heard from within the last election timeout */
    bool replicating;    /* false: probing */
    bool fell_off;       /* needs entries that our log no longer holds */
};

struct raft_config {
    raft_node_id id;
    uint32_t election_ticks;     /* randomised between one and two times this */
    uint32_t heartbeat_ticks;    /* less than election_ticks */
    uint32_t inflight_max;       /* append requests under way per follower, <= RAFT_INFLIGHT_MAX */
    uint64_t inflight_bytes_max; /* payload in them: beyond it no more is sent; always one */
    uint32_t append_entries_max; /* entries in one append request */
    uint64_t append_bytes_max;   /* payload in one append request; always at least one entry */
    uint64_t uncommitted_bytes_max; /* proposals beyond it are refused with RAFT_BUSY */
    uint64_t seed;
};

/* What the disk remembered, for a restart; all zero but voted_for = RAFT_NOBODY and members for a
 * first start. */
struct raft_saved {
    raft_term term;
    raft_node_id voted_for;
    struct raft_pos first;            /* position before entries[0] */
    struct raft_members members;      /* in force there; none: of a node that is to be taken in */
    raft_index members_index;         /* where that list stood; 0: in no entry */
    const struct raft_entry *entries; /* all after `first`, contiguous; payload of members alone */
    uint64_t entries_count;
    raft_index applied; /* first.index <= applied <= last index */
};

struct raft;

struct raft *raft_new(const struct raft_config *config, const struct raft_saved *saved);
void raft_free(struct raft *raft);
enum raft_result raft_step(struct raft *raft, const struct raft_input *input,
                           struct raft_output *output);
void raft_status(const struct raft *raft, struct raft_status *status);
/* Fills at most RAFT_MEMBERS_MAX peers (not itself); returns how many.  Only meaningful on a
 * leader. */
uint32_t raft_peers(const struct raft *raft, struct raft_peer_status *peers);
/* Whether PROPOSE would now give RAFT_OK: whoever asks first needs to copy nothing in vain. */
bool raft_takes_proposals(const struct raft *raft);
/* Whether a read with this acknowledgement is confirmed by it: it needs no round. */
bool raft_ack_suffices(const struct raft *raft, struct raft_ack ack);
/* Whether PERSISTED for a write that is under way would let anything go on: a message, a commit, an
 * entry to be applied, or a proposal.  Else it may come late, with the next input or tick.
 * `is_promised`: what raft_promised() said leaves without it. */
bool raft_awaits_disk(const struct raft *raft, bool is_promised);
/* Whether nothing waits for the newest write, and those before it, but an answer to appends.  That
 * may be given as soon as the write is durable, before the core is told so, by whoever sees it
 * first, as long as no step in between has said role_changed: the core, told PERSISTED at that
 * moment, would give the same.  It gives it again when it is told. */
bool raft_promised(const struct raft *raft, struct raft_message *answer);
/* Both are answers to appends, and `said` tells the same leader all that the other would. */
bool raft_answer_covers(const struct raft_message *said, const struct raft_message *other);
/* Those in force; until the next step. */
const struct raft_members *raft_members(const struct raft *raft);
/* In force when the log ended at `index`, which we hold. */
const struct raft_members *raft_members_at(const struct raft *raft, raft_index index);
/* Where the list in force stands; 0: in no entry.  Above raft_status.commit: it may still be taken
 * back. */
raft_index raft_members_index(const struct raft *raft);
/* The same of raft_members_at(). */
raft_index raft_members_index_at(const struct raft *raft, raft_index index);
/* Whether this node leads and could append a list now. */
bool raft_takes_members(const struct raft *raft);
/* Term of an entry we hold (or of `first`); 0 when we do not hold it. */
raft_term raft_term_at(const struct raft *raft, raft_index index);
/* Whether the state of `pos`, which is committed, may take the place of this node's whole log and
 * of all that it applied: it has not come so far, and loses no entry that may be committed.  Then
 * the node starts again with `pos` as its log's beginning, its term and its vote as they are. */
bool raft_may_adopt(const struct raft *raft, struct raft_pos pos);
/* Payload size of an entry we hold. */
uint32_t raft_size_at(const struct raft *raft, raft_index index);

/* ---- lists of members, by themselves: members.c ------------------------------------------ */

void raft_members_encode(struct buffer *out, const struct raft_members *members);
/* The same bytes, as entries and snapshots carry them; to be released. */
struct blob *raft_members_blob(const struct raft_members *members);
/* False: these are no bytes of a list. */
bool raft_members_decode(struct raft_members *members, struct bytes bytes)
    __attribute__((warn_unused_result));
uint32_t raft_members_place(const struct raft_members *members, raft_node_id id); /* count: none */
uint32_t raft_members_voters(const struct raft_members *members);
bool raft_members_equal(const struct raft_members *one, const struct raft_members *other);
/* `now` may follow `old`: at most one voter comes, goes or becomes another node. */
bool raft_members_one_step(const struct raft_members *old, const struct raft_members *now);

const char *raft_role_name(enum raft_role role);

#endif
