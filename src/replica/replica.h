/* A replica joins the consensus core to a log, a transport and a state machine, and carries client
 * requests to an outcome: here when this node leads, through the leader when another does, later
 * when nobody does.  It knows nothing of Redis, RocksDB or sockets, reads no clock and draws no
 * random number: the ports below are all it asks of the world, so the simulator runs it unchanged.
 *
 * Nothing here calls back into the caller from replica_submit() or replica_receive(): inputs queue,
 * and replica_run(), called once at the end of each turn of the event loop, does all the work, so
 * that one log write, one message a peer and one read round serve everything that came in a
 * turn. */
#ifndef REPLICA_REPLICA_H
#define REPLICA_REPLICA_H

#include <stdint.h>
#include <uthash.h>

#include "base/blob.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/rope.h"
#include "raft/raft.h"
#include "replica/snapshots.h"
#include "storage/raft_log.h"
#include "storage/raft_log_reader.h"
#include "storage/raft_log_writer.h"

struct replica;
struct state_machine;
struct transport;

/* ---- requests ------------------------------------------------------------- */

enum request_kind { REQUEST_READ, REQUEST_WRITE };

enum request_outcome {
    REQUEST_DONE,      /* `reply` holds the RESP reply */
    REQUEST_NOT_DONE,  /* certainly not executed, now or later: no leader within the time allowed */
    REQUEST_UNKNOWN,   /* may or may not have been, or be yet, executed */
    REQUEST_TOO_LARGE, /* a read whose reply is larger than its reply_max: ask again with more */
    REQUEST_CANCELLED  /* of a write that may wait: replica_cancel() came first, it was not done */
};

/* Where a request is: replica_internal.h. */
enum request_place {
    REQUEST_NOWHERE,
    REQUEST_WAITING,
    REQUEST_RETURNED,
    REQUEST_PROPOSED,
    REQUEST_FORWARDED,
    REQUEST_READING,
    REQUEST_TIED,
    REQUEST_BETWEEN,
    REQUEST_SERVED,
    REQUEST_TELLING,
    REQUEST_HANDING_OVER,
    REQUEST_PARKED,
    REQUEST_WOKEN,
    REQUEST_AWAY
};

struct read_batch;
struct request;
struct request_line;
struct waiter;
/* Called from replica_run() or replica_tick(), exactly once.  `reply` is borrowed for the call;
 * what is in request->rest comes behind it, and may be taken from there. */
typedef void request_done(void *context, struct request *request, enum request_outcome outcome,
                          struct bytes reply);

/* Owned by the replica from replica_submit() on, until after `done`. */
struct request {
    enum request_kind kind;
    int protocol; /* RESP version of the reply: 2 or 3 */
    uint8_t database;
    uint64_t client;      /* requests of one client keep their order: never 0 */
    struct blob *command; /* command_encode(); owned */
    request_done *done;
    void *context;       /* set to NULL with replica_abandon() when the client went away */
    int64_t deadline_ms; /* replica time; of one that may wait: not used before it is cancelled */
    /* One that, finding nothing, waits until there is something, as long as its client likes: a
     * write (waiters.c) or a read (readers.c).  Nothing else of its client may be under way. */
    bool may_wait;
    /* Of a read: a larger reply is not wanted now; 0: any size.  May be changed until the next
     * replica_run().  Who means to ask again with more must not let a write of its client follow
     * before it is finished: asked again, it would see that. */
    uint32_t reply_max;
    /* The rest is the replica's. */
    enum request_place place;
    struct request *prev, *next;             /* in the queue of its place */
    struct request_line *line;               /* of its client */
    struct request *line_prev, *line_next;   /* in that, by id */
    struct request *timed_prev, *timed_next; /* while `timed`: those submitted here, by deadline */
    bool timed;
    void *reading;            /* SERVED: how far, as the state machine has it; owned */
    bool is_followed;         /* SERVED: a write of its client behind it may be applied since */
    struct rope rest;         /* of a read that is done: of its reply what comes behind `reply` */
    struct read_batch *batch; /* READING, TIED: whose confirmation it shares */
    raft_index no_earlier;    /* of a read: it cannot be served from the state before this entry */
    struct request *behind;   /* TIED: the write of its client before it */
    struct request *tied;     /* of a proposed write: the reads behind it */
    raft_index read_index;    /* of a read that may wait: what was confirmed by its leader */
    struct waiter *waiter;    /* of one that may wait: what it has besides, owned; else NULL */
    UT_hash_handle hh;        /* by id, while forwarded */
    uint64_t id;              /* rises with the order of arrival */
    struct raft_pos pos;      /* proposed: where its entry stands */
    raft_node_id sent_to;     /* forwarded: to whom */
    uint8_t preparation;      /* of a write, while this node leads: preparing.c */
    uint8_t preparations;     /* how many were begun */
    struct blob *payload;     /* of a large write: its entry's, as far as it is made; owned */
    size_t payload_made;      /* bytes of the command that are in it, */
    bool payload_is_restated; /* as preparing.c has it: state_machine_ops.prepared_as */
    raft_index told; /* of a write that is done: its entry, if that told something; else 0 */
    /* TELLING: it came before this node applied the entry; of a change of members that is proposed:
     * what is answered then; owned */
    struct blob *reply;
    raft_node_id origin; /* RAFT_NOBODY: submitted here; else forwarded by that node */
    uint8_t admitted;    /* the meaning under which its words may be proposed; 0: not asked */
    uint64_t origin_id;
    uint64_t origin_run_id;
    uint64_t origin_life; /* forwarded here: its origin's, as it said; 0: it did not */
    raft_term sent_term;  /* forwarded here: in which its origin was when it sent this; else 0 */
};

struct request *request_new(enum request_kind kind, int protocol, uint64_t client,
                            struct blob *command, request_done *done, void *context);

/* ---- ports ------------------------------------------------------------------ */

/* Whose request it is: in the entry of one that may wait, so that its node knows it there. */
struct request_owner {
    uint64_t run_id; /* of its node; 0: of any other request */
    raft_node_id node;
    uint64_t waiter_id; /* its number there */
};

/* A change of members that a client asks for. */
enum replica_change_kind {
    REPLICA_ADD,     /* a place at `address`, for one that joins: a learner */
    REPLICA_JOIN,    /* a node of this `life` at this address asks for its place */
    REPLICA_REMOVE,  /* `node`, like the next three */
    REPLICA_PROMOTE, /* it becomes a voter when it has caught up */
    REPLICA_DEMOTE,
    REPLICA_REPLACE, /* its directory is lost: its place is for one that joins, at `address` */
    REPLICA_TRANSFER /* of the leadership, to `node`; RAFT_NOBODY: to the best */
};

struct replica_change {
    enum replica_change_kind kind;
    raft_node_id node;
    bool stays_learner; /* of ADD: it is not to become a voter by itself */
    bool is_forced;     /* whoever answers */
    uint64_t life;      /* of JOIN: the node's; else only if `node` has this one; 0: any */
    uint8_t meaning;    /* that the joining node knows */
    char address[RAFT_ADDRESS_SIZE], client[RAFT_ADDRESS_SIZE];
};

/* What a command is executed with; of a committed one equal on every node. */
struct apply_context {
    struct raft_pos pos;
    /* The rest is stamped by the leader, never taken from this node's clock or configuration. */
    uint8_t meaning;  /* the version of the commands: see meaning.c */
    uint8_t database; /* of the client */
    int64_t now_ms;   /* never falls */
    uint64_t seed;
    uint32_t value_max; /* the largest string that the command may make; 0: not limited by it */
    uint32_t reply_max; /* of a read: a reply that is found to be larger may end anywhere; 0: not */
    /* For who observes, not stamped: of this node; 0: of another one, or nobody. */
    uint64_t client;
    /* Of an entry.  A command with an owner may wait: it says where it finds nothing. */
    struct request_owner owner;
    bool may_wait; /* the same of a read */
    int protocol;  /* of a write that is to be prepared: of its reply */
    /* Of a request that may wait, and reads: on how many other members' disks is all that was
     * acknowledged to anybody before it came. */
    uint32_t holders;
    struct rope *rest; /* of an entry: gets what of a long reply comes behind it; NULL: none does */
    /* Of an entry, in its first slice: reads are to be served from the state before it, if it takes
     * long. */
    bool is_read_before;
    /* Of a read that goes on: a write of its client behind it may be applied since, so that nothing
     * may be seen in it that is later than what it began with. */
    bool is_followed;
    /* Of a read while an entry is half done: it has to be as right at this time as at now_ms; 0:
     * nothing became due in between. */
    int64_t until_ms;
};

/* Something was done to a key, so that it may have become what a command waits for; no key: to any
 * of the database. */
typedef void state_machine_touched(void *context, unsigned database, struct bytes key);

enum { WAIT_CLASS_BITS = 2 };

/* What has come of a slice of a preparation. */
enum preparing {
    PREPARING_MORE,
    PREPARING_NOT_NOW, /* nothing was done: there is no room for a view of the state */
    PREPARING_CHANGED, /* by an entry, so that it is of no use; it is dropped, and may begin anew */
    PREPARING_ENDED    /* the command may be proposed: what could be prepared is */
};

/* An encoded command in pieces, one behind the other. */
enum { COMMAND_PARTS_MAX = 4 };

struct command_parts {
    struct bytes list[COMMAND_PARTS_MAX];
    uint32_t count;
};

/* A command that is going to be executed soon. */
struct foreseen {
    uint8_t database;
    struct bytes command;
};

enum { FORESEEN_MAX = 8 };

struct state_machine_ops {
    /* Executes a committed command.  `reply` is NULL where nobody waits.  Called in log order for
     * every COMMAND entry; `applied` follows for every entry of any type.  False: as for `read`. */
    bool (*apply)(struct state_machine *machine, const struct apply_context *context,
                  struct bytes command, int protocol, struct buffer *reply);
    /* At most FORESEEN_MAX.  Changes nothing: what they are about may be brought near the
     * processor. */
    void (*foresee)(struct state_machine *machine, const struct foreseen *entries, uint32_t count);
    /* `meaning`: of the command; 0: of an entry without one. */
    void (*applied)(struct state_machine *machine, struct raft_pos pos, int64_t now_ms,
                    uint8_t meaning);
    /* Whether the entry that was applied last told somebody something that has to be with him
     * before its reply is with the client: a message. */
    bool (*told)(struct state_machine *machine);
    /* Takes some of the words of a command apart that admit() is to be asked about, so that this
     * need not take all of many at once.  False: there are more, or those of another come first.
     * NULL: it is not to be asked about that one any more. */
    bool (*decode)(struct state_machine *machine, struct blob *command);
    /* Whether the command may be proposed, or read, under context->meaning (which is known here) in
     * context->database: what would only be refused at its execution, for its words alone or
     * because the meaning lacks it, never gets into the log.  False: the refusal was written to
     * `reply`. */
    bool (*admit)(struct state_machine *machine, const struct apply_context *context,
                  struct bytes command, int protocol, struct buffer *reply);
    /* Whether the command, which was admitted, is no entry of its own, but a change of members. */
    bool (*change)(struct state_machine *machine, struct bytes command,
                   struct replica_change *change);
    /* False: `prepares` says no, whatever the state is; every write is asked this. */
    bool (*may_prepare)(struct state_machine *machine, struct bytes command);
    /* Whether the command, a write that was admitted, would take long on the present state, at
     * context->now_ms, and what comes of it can be prepared: computed beforehand, in slices, while
     * entries are applied.  What is prepared is used where such an entry comes and all that it
     * looks at is what it was; it changes nothing but how long that takes.  There is one at a time,
     * until its entry is applied or it is dropped.  While an entry is half done it may say so of a
     * command that does not take long, and nothing can be prepared. */
    bool (*prepares)(struct state_machine *machine, const struct apply_context *context,
                     struct bytes command);
    /* A slice; the same command until it has ended.  It may be taken: it may be large.  Its entry
     * is to have the seed of the first slice's context. */
    enum preparing (*prepare)(struct state_machine *machine, const struct apply_context *context,
                              struct blob *command);
    /* As what the command that was prepared is to be proposed, with this stamp: where it reckons
     * with the time of its entry, that of the preparation takes its place, but for one from
     * before `asked_ms` (it stands still while something is due).  False: as it is.  Borrowed
     * until the next call. */
    bool (*prepared_as)(struct state_machine *machine, int64_t asked_ms, int64_t now_ms,
                        struct command_parts *parts);
    void (*prepare_drop)(struct state_machine *machine); /* if there is one, half done or not */
    /* A read on the present state. `now_ms` is the cluster's clock (log_time.c), no earlier than
     * any entry's time, and such that nothing became due since; `pos`, `seed` and `value_max` say
     * nothing.  False: not finished, nothing is in `reply` yet.  Then `*reading`, NULL at the first
     * call, holds how far it has come; whatever is applied and read meanwhile, it goes on in the
     * state that it began with, by another call, or is dropped.  While an entry is half done it
     * begins in the state before that, if there is one.  False and still NULL: there is no room for
     * that now, or no such state; it begins again, later.  `rest`, empty at the call, gets what of
     * a long reply comes behind `reply`. */
    bool (*read)(struct state_machine *machine, void **reading, const struct apply_context *context,
                 struct bytes command, int protocol, struct buffer *reply, struct rope *rest);
    void (*read_drop)(struct state_machine *machine, void *reading);
    /* Rises with what was done: a byte copied counts one.  What a turn may do is bounded by it. */
    uint64_t (*work)(struct state_machine *machine);
    bool (*ready)(struct state_machine *machine);           /* false: stop applying for now, */
    bool (*ready_for_large)(struct state_machine *machine); /* or preparing */
    raft_index (*applied_index)(struct state_machine *machine);
    raft_index (*persisted_index)(struct state_machine *machine);
    /* The highest now_ms applied so far, part of the replicated state. */
    int64_t (*time_ms)(struct state_machine *machine);
    /* While an entry is half done: whether reads are served from the state before it. */
    bool (*is_read_before)(struct state_machine *machine);
    /* Something is to be done as soon as log time has come so far, and not before: by a tick, or
     * any entry, with such a stamp.  INT64_MAX: nothing is. */
    int64_t (*due_ms)(struct state_machine *machine);
    /* The command of a tick, which does some of what is due by its stamp; the caller's. */
    struct blob *(*tick)(struct state_machine *machine);
    /* The highest meaning applied so far; 1 before there was any. */
    uint8_t (*meaning)(struct state_machine *machine);
    /* The highest that this build can execute: a constant. */
    uint8_t (*meaning_known)(struct state_machine *machine);

    /* Of commands that may wait.  `found_nothing`: the one applied, or read, last did not change
     * what others wait for, its reply is none: it waits. */
    bool (*found_nothing)(struct state_machine *machine);
    /* Of writes: executed on the present state, at context->now_ms, it would find nothing. */
    bool (*would_wait)(struct state_machine *machine, const struct apply_context *context,
                       struct bytes command);
    /* The keys that it waits for, as argv has them: borrowed. */
    void (*wait_keys)(struct state_machine *machine, struct bytes command,
                      void (*each)(void *context, struct bytes key), void *context);
    /* Writes with the same number find, or find not, at a key the same.  Its lowest WAIT_CLASS_BITS
     * say what they look for: see feeds(). */
    uint64_t (*wait_kind)(struct state_machine *machine, struct bytes command);
    /* What the command puts under `key`, borrowed from it, should it do what it says: the class of
     * those who would find that; 0: nothing, or it is not known before it is executed. */
    uint64_t (*feeds)(struct state_machine *machine, struct bytes command, struct bytes *key);
    /* How many such commands in a row would find something at the key; an estimate, but 0 is
     * certain. */
    uint64_t (*wait_count)(struct state_machine *machine, const struct apply_context *context,
                           struct bytes command, struct bytes key);
    /* From now on told of each key that an entry touched, before the entry counts as applied. */
    void (*listen)(struct state_machine *machine, state_machine_touched *touched, void *context);
};

struct state_machine {
    const struct state_machine_ops *ops;
};

/* A client's command on its way to the leader. */
struct forward {
    uint64_t run_id; /* of the sending replica: new at each start */
    uint64_t id;
    raft_term term; /* the sender's: the receiver refuses unless it leads in that very term */
    enum request_kind kind;
    int protocol;
    uint8_t database;
    uint64_t client;
    uint32_t reply_max;
    struct blob *command;
    /* Of one that may wait: */
    bool may_wait;
    uint64_t waiter_id; /* the request's, the same however often it is sent; `id` is new */
    raft_index seen;    /* up to there the sender has applied, and it was not executed */
    uint64_t waited_ms; /* since it came from its client */
};

/* A client waits no longer. */
struct forward_cancel {
    uint64_t run_id, id; /* of the forward */
    uint64_t client;
    bool is_gone; /* nobody is there to take anything */
};

/* What became of it. */
struct forward_reply {
    uint64_t run_id; /* the one of the forward: a reply to an earlier life is dropped */
    uint64_t id;
    bool refused; /* not this term's leader: certainly not executed */
    enum request_outcome outcome;
    raft_index told; /* of a write: its entry, if that told something; else 0 */
    struct bytes reply;
    struct rope *rest; /* what comes behind it, may be taken; NULL: nothing, as in those received */
};

struct transport_ops {
    /* With an append goes message->shown, if it is not 0.
     * With an answer (to an append, a vote, a pre-vote) goes this node's wall clock, as it is now:
     * the receiver gives it to replica_receive().
     * `entries`: the count entries of an append request, payloads are blobs (NULL if size 0);
     * borrowed for the call. May drop the message. */
    void (*send)(struct transport *transport, const struct raft_message *message,
                 const struct raft_entry *entries);
    /* False: not connected to that node or too much is queued; certainly not sent. */
    bool (*forward)(struct transport *transport, raft_node_id to, const struct forward *forward);
    void (*forward_reply)(struct transport *transport, raft_node_id to,
                          const struct forward_reply *reply);
    /* Behind the forward that it names; may drop it, if the connection is lost. */
    void (*cancel)(struct transport *transport, raft_node_id to,
                   const struct forward_cancel *cancel);
    /* False: not connected, or so much waits to be sent that no append should be given to send()
     * now. */
    bool (*has_room_for_entries)(struct transport *transport, raft_node_id to);
    /* False: so much waits to be sent to that node that its reads should not be served now. */
    bool (*has_room)(struct transport *transport, raft_node_id to);
    /* NULL, like the next two: never.  An answer to an append, which leaves as soon as write `seq`
     * is durable, before this node's loop has heard of it; without a clock.  False: not this one,
     * which comes to send() when the core gives it; so does what was promised and could not leave.
     * In a trace the transport sees to its line (raft_trace_promised()). */
    bool (*promise)(struct transport *transport, const struct raft_message *message, uint64_t seq);
    /* From now on none of those promised leaves that has not yet. */
    void (*take_back)(struct transport *transport);
    /* Whether one that was promised has left, on the connection that there is, and says as much as
     * this one.  It may have left before the leader asked again: the answer to a heartbeat that
     * repeats a question, withheld meanwhile and released by the same write, is then not given, and
     * a leader that has not had the one that left asks again an interval of heartbeats later. */
    bool (*has_said)(struct transport *transport, const struct raft_message *message);
    /* May drop it.  A BEGIN and a CHUNK only where there is room for entries, with which they
     * share a connection: a member that is sent the one has no use for the others. */
    void (*snapshot)(struct transport *transport, const struct snapshot_message *message);
};

struct transport {
    const struct transport_ops *ops;
};

/* ---- the replica --------------------------------------------------------------- */

struct replica_options {
    struct raft_config raft;
    struct raft_log_members members; /* in force at the log's beginning */
    struct raft_member self;         /* what the others hear of us: life and addresses */
    uint32_t tick_ms;
    uint64_t run_id;      /* random, new at each start: tells our forwards from an earlier life's */
    uint64_t seed;        /* for the seeds stamped into entries */
    uint64_t secret;      /* random: of the tables of what clients and members name */
    uint64_t cache_bytes; /* payloads of recent entries kept in memory */
    uint64_t cache_calm_bytes; /* the same of those that nobody lacks or has to apply */
    uint64_t log_bytes_max;    /* retention: keep at most this much for a slow member */
    uint64_t log_entries_max;
    uint64_t log_entries_min; /* keep at least this many behind the persisted applied index */
    uint64_t waiting_max;     /* requests for a leader; beyond, replica_congested(); 0: the usual */
    struct raft_log *log;     /* borrowed, like all below */
    struct raft_log_writer *writer;
    struct raft_log_reader *reader;
    struct transport *transport;
    struct state_machine *machine;
    struct snapshot_port *snapshots; /* NULL: who falls off the log stays away */
    /* Gets each start and step of the core as a line (raft/trace.h), before anything of it is done;
     * NULL: nobody asks. */
    void (*trace)(void *context, struct bytes line);
    void *trace_context;
};

struct replica *replica_new(const struct replica_options *options, int64_t now_ms, int64_t unix_ms);
void replica_free(struct replica *replica); /* every request left ends with its outcome first */

/* All times: `now_ms` is monotonic, `unix_ms` is this node's wall clock.  tick: call every
 * tick_ms; late calls are caught up with at most a few ticks, so that a process that was stopped
 * reads its messages before it calls an election. */
void replica_tick(struct replica *replica, int64_t now_ms, int64_t unix_ms);
/* Takes the payload blobs it keeps (blob_take).  `life`: the sender's, as it said when it
 * connected; 0: it did not.  `clock_ms`: of an answer, its sender's wall clock when it was sent; 0:
 * not known. */
void replica_receive(struct replica *replica, const struct raft_message *message, uint64_t life,
                     int64_t clock_ms);
void replica_receive_forward(struct replica *replica, raft_node_id from, uint64_t life,
                             const struct forward *forward);
void replica_receive_forward_reply(struct replica *replica, raft_node_id from,
                                   const struct forward_reply *reply);
void replica_receive_cancel(struct replica *replica, raft_node_id from,
                            const struct forward_cancel *cancel);
/* The connections to a node broke: `raft`: messages to it may be lost; `forwards`: forwarded
 * commands without a reply end as unknown (writes) or are tried again (reads). */
void replica_disconnected(struct replica *replica, raft_node_id node, bool raft, bool forwards);
/* The process of a node has ended: the rest of its connections broke, and it refuses new ones. */
void replica_gone(struct replica *replica, raft_node_id node);
void replica_persisted(struct replica *replica, uint64_t seq);
/* Whether anything waits for that; else it may come as late as the next tick. */
bool replica_awaits_disk(const struct replica *replica);
/* What the reader was asked for is there.  Takes the reading. */
void replica_log_read(struct replica *replica, struct raft_log_reading *reading);
/* Takes a reference to the payload, if it keeps it. */
void replica_receive_snapshot(struct replica *replica, const struct snapshot_message *message);
/* What snapshots->ops->read() was asked for: `chunk`, taken, and whether it is the last. */
void replica_snapshot_read(struct replica *replica, void *source, struct blob *chunk, bool is_last);
void replica_snapshot_staged(struct replica *replica, const struct snapshot_staged *staged);
/* A whole state is staged and may take the place of what this node has: it is to stop, let the
 * store adopt it, and start again.  To be asked again once nothing comes in any more. */
bool replica_may_adopt(const struct replica *replica, struct snapshot_adoption *adoption);
/* A member said, when it connected, that it can execute entries up to this meaning. */
void replica_announced(struct replica *replica, raft_node_id node, uint8_t meaning);

/* Those in force, until the next call; where that list stands in the log, 0: in no entry. */
const struct raft_members *replica_members(const struct replica *replica, raft_index *index);
/* A member said its life and addresses when it connected. */
void replica_introduced(struct replica *replica, const struct raft_member *member);

/* A member said that this node is none, or another than the one of its name.  Ends the process,
 * unless its log says who the members are: then others have learned, or will, what it is. */
void replica_disowned(const struct replica *replica);

/* What a node is that says this of itself: life (0: it does not say), and where its list stands. */
enum replica_verdict {
    REPLICA_MEMBER,
    REPLICA_GUEST,      /* not by the list in force here, but that may be an old one */
    REPLICA_NO_MEMBER,  /* it was removed, or never was one */
    REPLICA_OTHER_LIFE, /* the member of that name is another: its data directory was */
    REPLICA_NOT_KNOWN   /* this node, which is to be taken in, knows of no members yet */
};
enum replica_verdict replica_judge(const struct replica *replica, raft_node_id node, uint64_t life,
                                   raft_index list);

/* deadline_ms is monotonic, like now_ms.  Takes the request. */
void replica_submit(struct replica *replica, struct request *request);
/* The client's request that may wait is to wait no longer: a write ends as cancelled, unless it was
 * executed, or no leader has looked yet and there is something; a read with what it finds now, or
 * with whatever outcome is known at the deadline.
 * Nothing if it has none. */
void replica_cancel(struct replica *replica, uint64_t client, int64_t deadline_ms);
/* This client is gone: its writes run on, its reads are dropped, what waits is cancelled; `done` is
 * not called for any of them. */
void replica_abandon(struct replica *replica, uint64_t client);
/* True while there is so much under way that clients should not be read from. */
bool replica_congested(const struct replica *replica);

/* Do everything that came in since the last call.  Returns true if there is more to do at once
 * (a long replay is done in slices). */
bool replica_run(struct replica *replica);

/* From now on stamped into what is proposed here. */
void replica_set_value_max(struct replica *replica, uint32_t value_max);

/* Of snapshots that are sent, all together; 0: any number. */
void replica_set_snapshot_pace(struct replica *replica, uint64_t bytes_per_second);

/* Hand the leadership over, for a planned stop; poll replica_status() to see it happen. */
void replica_transfer(struct replica *replica);

struct replica_status {
    struct raft_status raft;
    uint32_t peers_count;
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
    bool serving;                 /* this node leads and has applied an entry of its term */
    uint64_t requests_waiting;    /* for a leader */
    uint64_t requests_under_way;  /* all that were not answered yet, those that wait too */
    uint64_t requests_forwarded;  /* since the start */
    uint64_t elections;           /* terms in which this node became leader */
    uint64_t reads_done;          /* on this node, likewise */
    uint64_t reads_acknowledged;  /* members' reads that needed no round here, likewise */
    uint64_t parked, parked_keys; /* of a leader: requests that wait, and for how many keys */
    uint64_t oldest_write_ms;     /* how long the disk has kept its oldest write waiting; 0: none */
    /* Of a leader that knows a majority's clocks: by how much each member's is ahead of the middle,
     * by place in the members. */
    bool clock_known[RAFT_MEMBERS_MAX];
    int64_t clock_offset_ms[RAFT_MEMBERS_MAX];
    uint8_t meaning; /* which a leader stamps now, as far as this node has heard */
    struct replica_sending_status sendings[SENDINGS_MAX];
    uint32_t sendings_count;
    struct replica_install_status install;
    /* By place in the members: the log behind that entry is kept for the member, which goes on from
     * a state; 0: it needs nothing beyond the bounds. */
    raft_index held[RAFT_MEMBERS_MAX];
};
void replica_status(const struct replica *replica, struct replica_status *status);

#endif
