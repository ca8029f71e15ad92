/* The state of one replica, and what its files share.
 *
 *   replica.c      life, inputs from outside, one core step and its output
 *   request.c      requests: life, places, their client's line, deadlines
 *   routing.c      waiting requests: propose, read, or forward
 *   apply.c        committed entries and confirmed reads to the state machine
 *   entry_cache.c  payloads of recent entries
 *   feed.c         append requests on their way to a member, with entries from memory or disk
 *   replay.c       entries that are applied from disk
 *   entry.c        the stamp in front of a command
 *   members.c      who the members are, and who is let in
 *   changes.c      changes of the list that a leader makes by itself
 *   change_requests.c  those that clients ask for
 *   meaning.c      the version of the commands that the members have in common
 *   retention.c    cutting the log
 *   sending.c      a leader's states on their way to members that fell off the log
 *   holding.c      what it keeps its log for until they have caught up
 *   install.c      such a member: a state on its way in
 *   preparing.c    a leader's long writes, computed before they are proposed
 *   shown.c        reads while an entry is half done, and what members wait for
 *   log_time.c     the clock that entries are stamped with
 *   ticks.c        what is to be done when that clock has come so far
 *   waiters.c      requests that may wait: what they are to their node, and to the leader
 *   readers.c      those of them that only read
 *   parking.c      a leader's waiting ones, by key
 *
 * A request is in one place:
 *
 *   WAITING --propose--> PROPOSED --applied--> done
 *      | \----read----> READING  --confirmed, applied--> done
 *      |  \---read----> TIED, behind a write of its client --that is applied--> READING
 *      |   \--read----> BETWEEN two writes of its client --before the second is applied--> done
 *      |    \-forward-> FORWARDED --reply--> done
 *      ^-- RETURNED: not leader, reads failed, refused --'
 *
 * A request to hand the leadership over is HANDING_OVER until that has come to an end.
 *
 * and one that may wait besides:
 *
 *   WAITING --finds nothing--> PARKED --a key is touched--> WOKEN --propose--> PROPOSED
 *      |                         ^-------------------------finds nothing--------'
 *       \-send-> AWAY, parked or proposed at the leader --reply, or applied here--> done
 *
 * A read that may wait becomes PARKED when it was READING and found nothing, and is READING again
 * when there seems to be something.
 *
 * SERVED are the long reads under way.  Reads leave READING, TIED and BETWEEN at the latest when a
 * later write of their client is applied.  What leaves PROPOSED or (a write) FORWARDED otherwise
 * ends as unknown; what ends in WAITING or is a read was certainly not done.
 */
#ifndef REPLICA_REPLICA_INTERNAL_H
#define REPLICA_REPLICA_INTERNAL_H

#include "base/hash_table.h"
#include "replica/replica.h"

/* ---- entry_cache.c ---------------------------------------------------------------- */

/* Payloads of the entries first .. last, contiguous, as the core knows them: a window on the
 * log. */
struct entry_cache {
    struct raft_entry *entries; /* owned ring; payload: an owned struct blob reference or NULL */
    uint64_t capacity;          /* a power of two */
    raft_index first, last;     /* empty: first == last + 1 */
    uint64_t bytes;
};

void entry_cache_init(struct entry_cache *cache, raft_index last);
void entry_cache_deinit(struct entry_cache *cache);
/* Replaces what was at and after entry->pos.index; takes a reference to the payload. */
void entry_cache_put(struct entry_cache *cache, const struct raft_entry *entry);
/* NULL: not in the window. */
const struct raft_entry *entry_cache_get(const struct entry_cache *cache, raft_index index);
/* Forget the oldest, but none after `keep_after`, until at most `bytes_max` are held. */
void entry_cache_shrink(struct entry_cache *cache, raft_index keep_after, uint64_t bytes_max);

/* ---- entry.c ------------------------------------------------------------------------ */

struct blob *entry_stamp(const struct apply_context *context, const struct blob *command);
struct blob *entry_stamp_parts(const struct apply_context *context,
                               const struct command_parts *command);
/* The same of a large one that has no owner: some of the command at a time (NULL and 0 at first),
 * which is true when all of it is there, and the stamp at the end. */
bool entry_make_some(struct blob **payload, size_t *made, const struct command_parts *command,
                     size_t most);
void entry_stamp_made(const struct apply_context *context, struct blob *payload);
/* False if malformed. `command` is borrowed from `payload`. */
bool entry_unstamp(struct bytes payload, struct apply_context *context, struct bytes *command);

/* ---- the whole ------------------------------------------------------------------------ */

/* Reads that were confirmed, or are being confirmed, together. */
struct read_batch {
    struct read_batch *prev, *next; /* while `listed` */
    uint64_t id;
    bool listed; /* it is asked for, or has requests */
    bool confirmed, failed;
    bool is_acked;            /* the step that confirms it is still to come, in the same look */
    bool is_again;            /* of those that were confirmed before, and waited: readers.c */
    int64_t time_ms;          /* log time when it was asked for */
    raft_index index;         /* confirmed: serve once applied */
    struct request *requests; /* in order */
    uint32_t count;           /* those, and the TIED */
};

/* What one client has under way here. */
struct request_line_key {
    raft_node_id origin; /* the node that it is connected to; RAFT_NOBODY: this one */
    uint64_t client;
};

struct request_line {
    struct hash_link link; /* by key; first */
    struct request_line_key key;
    struct request_line *prev, *next; /* of all, oldest first */
    struct request *requests;         /* in order */
    struct request *last_write;       /* taken up and not applied yet; NULL: none */
    uint32_t out_count;               /* FORWARDED, all of them in one term: */
    raft_term out_term;
    uint64_t sent_write;  /* id of the newest write that was forwarded; 0: none */
    uint64_t held_in;     /* number of the pass in which one of them was left waiting */
    uint64_t foreseen_to; /* id up to which the reads before writes were foreseen */
};

/* What a member's wall clock said. */
struct replica_clock {
    int64_t said_ms; /* since the last tick; 0: nothing */
    bool known;
    int64_t ahead_ms; /* of our monotonic clock */
    int64_t heard_ms; /* by our monotonic clock */
};

/* Of a request that may wait. */
struct waiter {
    struct request *request;
    uint64_t id;            /* the request's at its node, in entries and forwards */
    UT_hash_handle hh;      /* by it, of those submitted here */
    uint64_t sent_id;       /* AWAY: of the forward */
    UT_hash_handle sent_hh; /* by it, while AWAY */
    raft_term sent_term;    /* AWAY: of the leader that it was sent to */
    raft_term doubt;        /* entries of this term and before may execute it; 0: none */
    raft_term doubt_before; /* AWAY: the same, if it is refused */
    raft_index seen;        /* of another node's: see struct forward */
    int64_t since_ms;       /* by our monotonic clock: when it came from its client */
    int64_t refused_ms;     /* when it was refused last, and 1 more; 0: never */
    bool is_cancelled;
    bool is_gone;                 /* cancelled, and nobody is there to take anything */
    bool is_looked_at;            /* there was nothing, for a write, or it was sent to be */
    bool is_disowned;             /* PROPOSED: its node sends it again, if it waits on */
    uint64_t kind;                /* of the command: state_machine_ops.wait_kind */
    struct parking_place *places; /* PARKED: a place at each of its keys; owned */
    uint32_t places_count;
    struct parking_key *woken_for; /* WOKEN, and PROPOSED then */
    /* PARKED without a key, for members: in replica->counting; and how many there were. */
    struct waiter *counting_prev, *counting_next;
    uint32_t holders;
};

/* Append requests that the core asked for and that are not yet sent: contiguous, oldest first. */
struct replica_feed {
    struct raft_message waiting[RAFT_INFLIGHT_MAX]; /* a ring */
    uint32_t start, count;
    bool reading;                  /* something is asked of the reader */
    struct raft_log_reading *read; /* owned; what it gave, or NULL */
};

/* What is brought to a learner in one go: see changes.c. */
struct replica_round {
    raft_index end; /* 0: none is under way */
    int64_t began_ms;
};

/* Connections to a node that broke. */
struct replica_loss {
    raft_node_id node;
    bool raft, forwards; /* see replica_disconnected() */
    bool gone;           /* see replica_gone() */
};

/* sending.c: acked <= sent <= made <= acked + SENDING_CHUNKS_MAX. */
struct replica_sending {
    uint64_t id; /* 0: a free place */
    raft_node_id to;
    struct raft_pos pos;
    struct blob *members; /* in force there, encoded; owned */
    raft_index members_index;
    void *source;                          /* the port's; NULL: all is delivered */
    struct blob *ring[SENDING_CHUNKS_MAX]; /* acked .. made - 1, chunk i at i % MAX; owned */
    uint64_t ring_bytes;
    uint64_t acked, sent, made; /* chunks: staged there, sent, read */
    bool is_reading;            /* one is asked of the port */
    bool is_all;                /* the last one is read */
    bool is_begun;              /* BEGIN was sent */
    uint64_t bytes, bytes_expected, bytes_said;
    int64_t began_ms, moved_ms; /* moved: when acked last rose */
};

/* holding.c */
struct replica_hold {
    raft_index index; /* the log behind it is kept for the member; 0: nothing is */
    raft_index end;   /* of the log, at the last look; 0: the member was not heard at `index` yet */
    int64_t until_ms; /* unless it gets further */
};

/* install.c */
enum install_state { INSTALL_NONE, INSTALL_ASKED, INSTALL_TAKING, INSTALL_WHOLE };

struct replica_install {
    enum install_state state;
    raft_node_id from; /* the leader of `term`: who else does not count */
    raft_term term;    /* in which it was asked */
    uint64_t id;
    struct raft_pos pos;
    struct raft_log_members members; /* in force there */
    uint64_t given, staged;          /* chunks: to the port, and done with there */
    uint64_t bytes, bytes_expected, bytes_said;
    int64_t began_ms;
    int64_t heard_ms; /* when something of it came last, or was staged */
    int64_t asked_ms; /* when something was asked for last */
};

struct replica {
    struct replica_options options;
    struct raft *raft;
    struct raft_status status; /* after the last step */
    int64_t now_ms, unix_ms;
    int64_t last_tick_ms;
    uint64_t prng;
    uint32_t value_max;
    bool stepping;
    uint64_t written; /* the newest write */
    /* Of answers to appends: the newest that the transport was asked to promise, behind this write;
     * and behind which write one may wait that is not promised, 0: none does. */
    struct raft_append_response promised;
    uint64_t promised_behind, unpromised;
    bool is_told_durable; /* by the step that is under way */
    bool replay_asked;    /* of the reader, for `replay` */

    struct entry_cache cache;
    struct raft_entry scratch[REPLICA_ENTRIES_MAX]; /* for one outgoing append or proposal */
    raft_index apply_to;
    struct replica_feed feeds[RAFT_MEMBERS_MAX]; /* by place in members */
    struct raft_log_reading *replay;             /* owned; read back to be applied, or NULL */
    struct buffer reply;
    struct buffer trace;

    struct request *waiting, *proposed, *forwarded; /* queues, ids rising */
    struct request *returned;                       /* to be merged into `waiting` */
    struct request *forwarded_by_id;                /* hash */
    struct request *handing_over;                   /* queue */
    struct request *telling;                        /* queue, by arrival of their replies */
    struct request *timed;                          /* by deadline */
    struct request_line *lines;                     /* utlist, */
    struct hash_table lines_by_key;                 /* and by whose they are */
    struct request_line *recent_line;               /* looked for last; or NULL */
    uint64_t pass;                                  /* number of looks at `waiting` */
    struct read_batch *batches;                     /* oldest first: by id */
    struct request *reading;                        /* SERVED: long reads, a slice each in turn */
    struct request *away, *parked, *woken;          /* queues of those that may wait */
    struct waiter *waiters, *waiters_sent;          /* hashes: by id, and by sent_id */
    struct parking_key *parking;                    /* utlist: keys that are waited for, */
    struct hash_table parking_by_name;              /* and by database and key */
    struct parking_key *touched;                    /* those of them to be looked at */
    struct parking_key *fed;                        /* by this turn's proposals */
    struct buffer parking_name;                     /* of the key that was looked for last */
    uint64_t parked_count, parked_bytes, parked_places;
    struct waiter *counting; /* of those that wait for members, not for keys */
    raft_index counted;      /* the sum of what the members had when they were looked at */
    raft_term outlived; /* of the entry applied last, when it was looked whose leader is gone */
    struct {            /* of a leader: where its log ended when it lost its connection to a node */
        raft_node_id node;
        raft_index last;
    } disowned[RAFT_MEMBERS_MAX];
    uint32_t disowned_count;
    raft_index disowned_any; /* of any node that has found no room there */
    struct raft_entry
        applying; /* a long write, done in slices; a reference to its payload or NULL */
    /* What is prepared, until it has ended, one way or another; or NULL.  Behind this entry it can
     * begin; when it was begun, and when it went on last. */
    struct request *preparing;
    raft_index preparing_behind;
    int64_t preparing_since_ms, preparing_went_on_ms;
    int64_t preparing_from_ms; /* of the log's time: it was asked before */
    uint64_t preparing_seed;   /* of its entry */
    uint64_t made_bytes;       /* of commands whose entries are made, and not proposed yet */
    struct request *decoding;  /* whose words are being taken apart to be admitted; NULL: none */
    uint64_t waiting_count, waiting_bytes, waiting_reads, waiting_foreign, under_way_count;
    uint64_t forwarded_bytes;
    uint64_t owed[RAFT_MEMBERS_MAX]; /* by place in members: replies beyond its room */
    uint64_t work_end;               /* of the state machine: no more is done in this turn */
    uint64_t served_bytes;           /* of replies to reads, in this turn */
    bool has_told;                   /* an entry applied in this turn told something */
    raft_index told_last;            /* leaders: the newest that did; 0: none yet */
    uint32_t told_holders;           /* how many others had it when that was last spread */
    bool held_up;                    /* a write waits for the reads before it */
    bool lacks_view;                 /* a read wants a view, and the end of a checkpoint makes room:
                                      * that wakes the loop, and so does the next tick */
    bool held_back;                  /* an entry waits until the leader has executed it */
    raft_term shown_term;            /* the newest whose leader this node heard, or was */
    raft_index shown;                /* so far that leader has executed the log; see shown.c */
    uint64_t next_request_id, next_read_id;
    bool try_waiting; /* something changed that may let waiting requests go */

    bool was_leader;
    raft_term leader_term;       /* of was_leader */
    struct raft_members members; /* those in force, by whose places the arrays here go */
    struct raft_member introduced[RAFT_MEMBERS_MAX]; /* what each said of itself; address "": not */
    struct replica_round rounds[RAFT_MEMBERS_MAX];   /* of a leader */
    struct replica_loss *losses;                     /* owned: noted, not yet told to the core */
    uint32_t losses_count;
    bool clock_is_far[RAFT_MEMBERS_MAX]; /* and it was logged */
    uint8_t announced[RAFT_MEMBERS_MAX]; /* meanings, by place in members; 0: not heard of yet */
    uint8_t meaning_in_common;           /* by the two above; asked for each request */

    struct replica_clock clocks[RAFT_MEMBERS_MAX]; /* by place in members */
    int64_t log_time_ms, log_time_at_ms;           /* leaders: the estimate, and when it was made */
    int64_t slowed_ms;    /* of the time ahead of the middle: what was not yet taken off */
    struct raft_pos tick; /* leaders: where the last one stands */
    int64_t tick_time_ms; /* and its stamp */

    struct replica_sending sendings[SENDINGS_MAX];
    struct replica_hold holds[RAFT_MEMBERS_MAX]; /* by place in members */
    struct replica_install install;
    uint64_t snapshot_pace;    /* bytes a second; 0: any number */
    int64_t snapshot_bytes;    /* may be sent now; below 0: too many were */
    int64_t snapshot_paced_ms; /* when that was brought up to now */
    int64_t offered_ms;        /* when members that fell off were looked for last */

    uint64_t elections, requests_forwarded, reads_done, reads_acknowledged;
};

/* replica.c */
enum raft_result replica_step(struct replica *replica, const struct raft_input *input);
bool replica_leads(const struct replica *replica);
/* It leads and has applied an entry of its term: all that was committed before it. */
bool replica_serves(const struct replica *replica);

/* members.c */
void replica_members_follow(struct replica *replica); /* after a step of the core */
void replica_handle_losses(struct replica *replica);
/* Of a leader.  False: it knows of no other member of that name. */
bool replica_peer_status(const struct replica *replica, raft_node_id node,
                         struct raft_peer_status *peer);
/* Of a leader: how many other members have the entry on their disks, as far as they said. */
uint32_t replica_have(const struct replica *replica, raft_index index);

/* changes.c */
void replica_members_tick(struct replica *replica);
enum raft_result replica_propose_members(struct replica *replica,
                                         const struct raft_members *members, struct raft_pos *pos);
bool replica_all_know_lists(const struct replica *replica);

/* change_requests.c */
/* Of a leader that takes proposals.  False: it has to wait. */
bool replica_change_take(struct replica *replica, struct request *request,
                         const struct replica_change *change);
void replica_handing_over_ended(struct replica *replica); /* if it did */

/* request.c */
void request_enter(struct replica *replica, struct request *request); /* from outside */
void request_wait(struct replica *replica, struct request *request);
void request_merge_returned(struct replica *replica);
void request_leave_place(struct replica *replica, struct request *request);
/* Its words need not be known, or are nobody's any more. */
void request_end_decoding(struct replica *replica);
/* It has no READING requests; freed with the last TIED one. */
void request_batch_unlist(struct replica *replica, struct read_batch *batch);
/* Ends the request with its outcome, here or at its origin; frees it. */
void request_finish(struct replica *replica, struct request *request, enum request_outcome outcome,
                    struct bytes reply);
/* Certainly not executed here: its origin may try elsewhere. */
/* A write of this node's that the leader did, and whose entry, request->told, told something: it is
 * finished when that is applied here, */
void request_tell(struct replica *replica, struct request *request, struct bytes reply);
void request_told(struct replica *replica, raft_index applied); /* which is now. */
void request_refuse(struct replica *replica, struct request *request);
/* The one whose turn is next, in the queue of its place, or NULL.  It came a while ago, and is
 * asked for from memory while the present one is answered: what it points to now, itself when the
 * one before it was. */
void request_foresee(const struct request *request);
/* What is known of a request that leaves without a reply after it was sent or proposed. */
enum request_outcome request_outcome_unanswered(const struct request *request);
/* What a leader's answer to it says. */
enum request_outcome request_outcome_said(const struct request *request,
                                          enum request_outcome outcome);
void replica_expire_requests(struct replica *replica);
/* The newest that a client of that node has under way here; NULL: none. */
struct request *request_of_client(struct replica *replica, raft_node_id origin, uint64_t client);
/* Forgets what was made of its entry. */
void request_drop_payload(struct replica *replica, struct request *request);
void request_begin_timing(struct replica *replica, struct request *request, int64_t deadline_ms);
/* It gets so much more time, as if it had come later. */
void request_put_off(struct replica *replica, struct request *request, int64_t by_ms);
void replica_finish_everything(struct replica *replica);

/* routing.c */
void replica_spread_commit(struct replica *replica); /* if something was told */
bool replica_route_waiting(struct replica *replica); /* true: it goes on in the next turn */
void replica_leadership_lost(struct replica *replica);
void replica_forwards_lost_to(struct replica *replica, raft_node_id node);
/* Confirmation of these reads failed. */
void replica_reads_failed(struct replica *replica, uint64_t batch_id);
/* The write is applied, or gone: the reads behind it wait for it no longer. */
void replica_release_tied(struct replica *replica, struct request *write);
/* A read that is in no place joins those that a round confirms, or has confirmed, together. */
void replica_join_batch(struct read_batch *batch, struct request *request);

/* apply.c */
void replica_begin_turn(struct replica *replica);  /* of work: there may be so much of it again */
bool replica_apply_some(struct replica *replica);  /* true: there is more to apply now */
bool replica_serve_reads(struct replica *replica); /* true: it goes on in the next turn */
void replica_reads_confirmed(struct replica *replica, const struct raft_read *read);

/* waiters.c */
void replica_waiter_enter(struct replica *replica, struct request *request);
void replica_waiter_arrived(struct replica *replica, struct request *request,
                            const struct forward *forward);
/* Another node's client has sent it: what it has given up by that is not done any more. */
void replica_waiters_give_way(struct replica *replica, struct request *request);
void replica_waiter_give_back(struct replica *replica, struct request *request);
void replica_waiter_free(struct replica *replica, struct waiter *waiter);
/* The request of a client of this node in whose name an entry was proposed; NULL: none. */
struct request *replica_waiter_of(struct replica *replica, const struct request_owner *owner);
struct request_owner replica_waiter_owner(const struct replica *replica,
                                          const struct request *request);
/* On the present state: executed, it would find something, be it an error. */
bool replica_waiter_finds(struct replica *replica, const struct request *request);
/* Its entry was applied and found nothing. */
void replica_waiter_found_nothing(struct replica *replica, struct request *request);
enum waiter_take {
    WAITER_GOES_ON, /* it is taken like any write */
    WAITER_STAYS,   /* waiting, until it can be said where it goes */
    WAITER_TAKEN    /* it is parked, or has ended */
};
enum waiter_take replica_waiter_take(struct replica *replica, struct request *request);
/* To the leader.  False: nothing can be sent now. */
bool replica_waiter_send(struct replica *replica, struct request *request);
/* An answer to one of them: */
void replica_waiter_answered(struct replica *replica, raft_node_id from,
                             const struct forward_reply *reply);
void replica_waiters_outlive(struct replica *replica);
void replica_waiters_lost_to(struct replica *replica, raft_node_id node);
void replica_waiters_of_lost(struct replica *replica, raft_node_id node);
void replica_waiters_leadership_lost(struct replica *replica);
void replica_waiter_cancel(struct replica *replica, struct request *request);
bool replica_waiter_in_doubt(const struct replica *replica, const struct request *request);

/* readers.c.  The same of reads: */
enum waiter_take replica_reader_take(struct replica *replica, struct request *request);
/* It was served and found nothing; `is_present`: in the present state. */
void replica_reader_found_nothing(struct replica *replica, struct request *request,
                                  bool is_present);
void replica_reader_wake(struct replica *replica, struct request *request);
void replica_reader_cancel(struct replica *replica, struct request *request);
/* How many other members have on their disks what the read was confirmed with. */
uint32_t replica_holders(const struct replica *replica, const struct request *request);
void replica_readers_count(struct replica *replica); /* those that wait for more of them */
void replica_readers_of_lost(struct replica *replica, raft_node_id node);
void replica_waiter_send_cancel(struct replica *replica, const struct request *request);

/* parking.c */
uint64_t replica_parking_keys(const struct replica *replica);
bool replica_parking_has_others(struct replica *replica, struct request *request);
/* False: there was no room, and it ended. */
bool replica_park(struct replica *replica, struct request *request);
void replica_unpark(struct replica *replica, struct request *request);
/* What came of one that was woken for the key (NULL: for none) is known. */
void replica_parking_settle(struct replica *replica, struct parking_key *key);
void replica_parking_touched(void *replica, unsigned database, struct bytes key);
void replica_parking_touch_keys(struct replica *replica, const struct waiter *waiter);
void replica_parking_wake(struct replica *replica);
/* A write was taken into a proposal; then, behind all of them, who waits for what they give. */
void replica_parking_fed(struct replica *replica, const struct request *request);
void replica_parking_wake_fed(struct replica *replica);

/* feed.c */
void replica_feed_append(struct replica *replica, const struct raft_message *message);
void replica_feed_send(struct replica *replica, raft_node_id to); /* what can be sent now */
void replica_feed_all(struct replica *replica);
void replica_feed_read(struct replica *replica, struct raft_log_reading *reading);
void replica_feed_clear(struct replica_feed *feed);

/* replay.c */
/* An entry that the cache does not hold; NULL: it comes later (replica_log_read). */
const struct raft_entry *replica_replay_get(struct replica *replica, raft_index index);
void replica_replay_read(struct replica *replica, struct raft_log_reading *reading);
void replica_replay_forget(struct replica *replica);

/* preparing.c */
/* False: the write is not to be proposed yet. */
bool replica_prepare_take(struct replica *replica, struct request *request);
bool replica_prepare_some(struct replica *replica);        /* true: there is more to do at once */
bool replica_prepare_waits(const struct replica *replica); /* for nothing but the next turn */
void replica_prepare_office_lost(struct replica *replica);
/* As what it is to be proposed at context->now_ms, and with which seed; true: not as its command is
 * said, but with these parts in place of it. */
bool replica_prepare_propose(struct replica *replica, const struct request *request,
                             struct apply_context *context, struct command_parts *parts);
/* It is about to be freed. */
void replica_prepare_ends(struct replica *replica, const struct request *request);
/* It is being computed: its deadline does not end it. */
bool replica_prepare_is_under_way(const struct replica *replica, const struct request *request);

/* shown.c */
void replica_shown_led(struct replica *replica); /* this node leads from now on */
void replica_shown_heard(struct replica *replica, const struct raft_message *message);
/* The message with what this node shows, if its receiver knows of that. */
struct raft_message replica_shown_say(const struct replica *replica,
                                      const struct raft_message *message);
/* An entry for which the rule is. */
bool replica_shown_binds(const struct raft_entry *entry);
/* It may not be executed yet. */
bool replica_shown_holds(const struct replica *replica, const struct raft_entry *entry);
/* While an entry is half done: reads are served from the state before it. */
bool replica_reads_go_on(const struct replica *replica);

/* log_time.c */
void replica_clock_heard(struct replica *replica, raft_node_id from, int64_t clock_ms);
void replica_log_time_begin(struct replica *replica); /* this node leads from now on */
void replica_log_time_tick(struct replica *replica);  /* brings log_time_ms up to now */
void replica_clock_status(const struct replica *replica, struct replica_status *status);

/* ticks.c */
void replica_tick_propose(struct replica *replica); /* if one is wanted now */
bool replica_tick_is_wanted(const struct replica *replica);
/* What was due when the batch was asked for is done. */
bool replica_tick_was_seen(const struct replica *replica, const struct read_batch *batch);
/* For a read of the present state. */
int64_t replica_read_time_ms(const struct replica *replica);

/* members.c */
/* By the list in force, the member of that name has this life. */
bool replica_is_member(const struct replica *replica, raft_node_id node, uint64_t life);

/* meaning.c */
/* The members or what they announced changed. */
void replica_meaning_follow(struct replica *replica);
/* The highest meaning that the node knows; 0: it did not say yet, or is no member. */
uint8_t replica_announced_by(const struct replica *replica, raft_node_id node);
uint8_t replica_meaning(const struct replica *replica); /* what a leader stamps */
/* Ends the process if this build cannot execute an entry of that meaning. */
void replica_meaning_met(const struct replica *replica, raft_index index, uint8_t meaning);

/* sending.c */
void replica_sendings_tick(struct replica *replica);
void replica_sendings_run(struct replica *replica); /* what can be sent, and read, now */
/* Those of a position up to there; UINT64_MAX: all. */
void replica_sendings_give_up(struct replica *replica, raft_index up_to, const char *why);
/* This node does not lead any more: those that have come to something go on all the same. */
void replica_sendings_office_lost(struct replica *replica);
/* The log up to here may be cut: a member goes on behind it. */
raft_index replica_sendings_hold(const struct replica *replica);       /* UINT64_MAX: all of it */
void replica_sending_lost(struct replica *replica, raft_node_id node); /* the connection */
void replica_fetched(struct replica *replica, const struct snapshot_message *message);
void replica_sendings_status(const struct replica *replica, struct replica_status *status);

/* holding.c */
void replica_hold(struct replica *replica, raft_node_id member, raft_index index);
void replica_hold_end(struct replica *replica, raft_node_id member);
void replica_holds_office_lost(struct replica *replica);
raft_index replica_held(const struct replica *replica); /* as replica_sendings_hold() */
/* Those behind a position up to there. */
void replica_holds_give_up(struct replica *replica, raft_index up_to, const char *why);
void replica_holds_tick(struct replica *replica);

/* install.c */
void replica_install_receive(struct replica *replica, const struct snapshot_message *message);
void replica_install_tick(struct replica *replica);
void replica_install_status(const struct replica *replica, struct replica_status *status);

/* retention.c */
void replica_trim_log(struct replica *replica);
enum { ENTRY_OVERHEAD_BYTES = 32 }; /* what an entry costs beside its payload, about */

#endif
