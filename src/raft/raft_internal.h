/* The state of one core, and what its files share.  Outside src/raft only the explorer and the
 * invariant tests may look in here.
 *
 * Roles, with the function of each transition:
 *
 *                 timer: campaign_pre()            majority: raft_campaign()
 *   FOLLOWER ---------------------------> PRE_CANDIDATE ---------------> CANDIDATE
 *      ^  ^                                    |                            |  majority,
 *      |  +------------------------------------+                            |  vote durable:
 *      |     a leader, a higher term, refused by a majority                 |  raft_become_leader()
 *      +------------------------ raft_become_follower() <--- LEADER <------------+
 *                    a higher term, no majority heard: check_quorum(),
 *                    or our disk hangs: raft_check_disk()
 *
 * Invariants, checked by raft_check_invariants() after every step:
 *   I1  first.index <= applied <= apply_to <= min(commit, durable) <= last.index
 *       (applied <= commit; a restart begins with commit = applied)
 *   I2  first.index <= durable <= last.index
 *   I3  terms never fall along the log; none is above our term
 *   I4  a leader or candidate voted for itself
 *   I5  a leader knows match < next <= last + 1 for every other member, and match <= last
 *   I6  writes under way are numbered durable_seq < seq <= write_seq, rising, and none counts for
 *       more than the log holds
 *   I7  a leader's term_start entry is of its term; what it commits by counting is of its term
 *   I8  reads wait only on a leader, and only for answers: none waits when a majority of the list
 *       in force has answered its round
 *   I9  what is in flight to a member is what was sent and not answered: each request begins where
 *       the one before it ends, the first behind match or across it, the last before next; nothing
 *       while probing
 *   I10 a leader's uncommitted_bytes is the sum of the entries above commit
 *   I11 only a leader hands its office over
 *   I12 the list in force is that of the last members entry held, else the one of the log's
 *       beginning; self is our place in it
 *   I13 the list that a leader appended follows a committed one
 *
 * And of the step itself, checked by raft_check_step():
 *   S1  neither term nor commit falls
 *   S2  a vote stays as long as its term; a new term or vote is in the step's write
 *   S3  who leads was a candidate before, and led no other term; a leader's log only grows
 *   S4  role_changed says so where role, term or leader did
 */
#ifndef RAFT_RAFT_INTERNAL_H
#define RAFT_RAFT_INTERNAL_H

#include "raft/raft.h"

/* ---- trail.c: what the core keeps of the log ------------------------------------- */

struct raft_trail_run { /* entries from `start` to the next run have this term */
    raft_index start;
    raft_term term;
};

struct raft_trail {
    struct raft_pos first; /* the position before the first entry held */
    raft_index last;
    struct raft_trail_run *runs; /* owned */
    uint32_t runs_count, runs_capacity;
    uint32_t *sizes; /* owned; of entry i at sizes[i - sizes_base] */
    raft_index sizes_base;
    uint64_t sizes_capacity;
    uint64_t bytes; /* sum of the sizes held */
};

void raft_trail_init(struct raft_trail *trail, struct raft_pos first);
void raft_trail_deinit(struct raft_trail *trail);
raft_term raft_trail_term_at(const struct raft_trail *trail, raft_index index); /* 0: not held */
struct raft_pos raft_trail_last(const struct raft_trail *trail);
uint32_t raft_trail_size_at(const struct raft_trail *trail, raft_index index);
void raft_trail_append(struct raft_trail *trail, raft_term term, uint32_t size);
void raft_trail_cut(struct raft_trail *trail, raft_index from); /* forget `from` and all after it */
void raft_trail_compact(struct raft_trail *trail, raft_index up_to);
/* The last position not after `limit` whose term is not above limit.term: where two logs that
 * disagree at `limit` may agree (5.3 of the paper, by whole terms). */
struct raft_pos raft_trail_probe_below(const struct raft_trail *trail, struct raft_pos limit);

/* ---- the lists of members that the log holds: members.c ------------------------------ */

struct raft_members_change {
    raft_index index;
    struct raft_members members;
};

struct raft_history {
    struct raft_members base;            /* in force at the log's beginning */
    raft_index base_index;               /* where it stood; 0: in no entry */
    struct raft_members_change *changes; /* owned; indices rising */
    uint32_t count, capacity;
};

/* ---- what a leader knows of another member: progress.c ----------------------------- */

/*   probing ----- matched: raft_progress_replicate() -----> replicating
 *      ^                                                   |
 *      +-- rejected, unreachable, silent: raft_progress_probe() +
 *
 * Probing, the heartbeat itself asks whether the log agrees at next - 1, and no entry is sent.
 * Replicating, entries are sent ahead of the answers, a bounded number of requests at a time. */
struct progress {
    raft_index match; /* agreed with us and durable there */
    raft_index next;  /* first index not sent */
    bool replicating;
    uint32_t idle_ticks; /* since it last answered */
    bool fell_off;       /* needs what our log no longer holds */
    uint64_t round_acked;
    bool is_quick; /* its answer was one of those that confirmed the last round */
    raft_index inflight[RAFT_INFLIGHT_MAX];     /* last index of each request under way, a ring */
    uint64_t inflight_sizes[RAFT_INFLIGHT_MAX]; /* payload bytes of each */
    uint64_t inflight_bytes;                    /* their sum */
    uint32_t inflight_start, inflight_count;
    uint32_t silent_ticks; /* since match last rose while requests were under way */
    uint32_t resend_ticks; /* then give them up as lost; doubles each time */
};

void raft_progress_reset(struct progress *progress, raft_index next, uint32_t resend_ticks);
void raft_progress_probe(struct progress *progress, raft_index next);
void raft_progress_replicate(struct progress *progress);
void raft_progress_sent(struct progress *progress, raft_index last, uint64_t bytes);
/* True if match rose. */
bool raft_progress_matched(struct progress *progress, raft_index index, uint32_t resend_ticks);

/* ---- the whole ------------------------------------------------------------------------ */

enum vote_state { VOTE_NONE, VOTE_GRANTED, VOTE_REFUSED };

struct write_under_way {
    uint64_t seq;
    raft_index end; /* our log is durable up to here when it is done */
};

struct withheld {
    uint64_t after_seq;
    struct raft_message message;
};

struct pending_read {
    uint64_t id;
    raft_index index;
    uint64_t round;
};

/* Flat: no pointers, so that it can be copied, compared and hashed. */
struct raft_state {
    enum raft_role role;
    raft_term term;
    raft_node_id voted_for;
    raft_node_id leader;
    raft_index commit;
    raft_index applied;
    raft_index durable;

    /* disk writes */
    uint64_t write_seq;                             /* last number given */
    uint64_t durable_seq;                           /* last number acknowledged */
    uint64_t hard_state_seq;                        /* the last write that changed term or vote */
    struct write_under_way writes[RAFT_WRITES_MAX]; /* a ring */
    uint32_t writes_start, writes_count;
    uint32_t disk_silent_ticks;                  /* with writes under way, since one was finished */
    struct withheld withheld[RAFT_WITHHELD_MAX]; /* as they were made; after_seq need not rise */
    uint32_t withheld_count;

    /* time, in ticks */
    uint32_t
        election_elapsed; /* followers: since a leader spoke; leaders: since the quorum check */
    uint32_t election_timeout; /* drawn anew for each wait */
    uint32_t heartbeat_elapsed;
    uint64_t prng;

    /* candidates */
    enum vote_state votes[RAFT_MEMBERS_MAX]; /* by place in members */
    uint64_t campaign_seq;                   /* the write that holds our own vote */
    bool campaign_transfer;

    /* leaders */
    struct progress progress[RAFT_MEMBERS_MAX]; /* by place in members; own place unused */
    raft_index term_start;                      /* our no-op */
    uint64_t uncommitted_bytes;
    uint64_t round; /* last confirmation round begun */
    uint64_t round_confirmed;
    uint32_t round_ticks; /* since it began */
    bool next_round_asks_all;
    struct pending_read reads[RAFT_READS_MAX]; /* a ring, rounds rising */
    uint32_t reads_start, reads_count;
    raft_node_id transfer_to;
    uint32_t transfer_elapsed;
};

struct raft {
    struct raft_config config;
    struct raft_members members; /* in force */
    uint32_t self;               /* our place in members; members.count: we are none of them */
    struct raft_state state;
    struct raft_trail trail;
    struct raft_history history;

    /* the output under construction */
    bool hard_state_changed;
    const struct raft_entry *write_entries;
    uint32_t write_count;
    struct raft_entry noop;
    struct raft_message messages[RAFT_MESSAGES_MAX];
    uint32_t messages_count;
    struct raft_read reads_out[RAFT_READS_MAX];
    uint32_t reads_out_count;
    uint64_t reads_failed[RAFT_READS_MAX];
    uint32_t reads_failed_count;
    bool role_changed;
};

/* ---- between the files ----------------------------------------------------------------- */

/* raft.c */
raft_index raft_apply_to(const struct raft *raft); /* as raft_output has it */
bool raft_is_active(const struct raft *raft,
                    uint32_t place); /* answered within an election timeout */
uint32_t raft_member_place(const struct raft *raft, raft_node_id id); /* members.count: none */
struct raft_message raft_message_to(const struct raft *raft, raft_node_id to,
                                    enum raft_message_type type);
void raft_send_now(struct raft *raft, const struct raft_message *message);
/* After our term and vote, as they are now, are durable. */
void raft_send_after_hard_state(struct raft *raft, const struct raft_message *message);
/* After everything written so far, this step's write included, is durable. */
void raft_send_after_writes(struct raft *raft, const struct raft_message *message);
void raft_set_term(struct raft *raft, raft_term term, raft_node_id voted_for);
void raft_cut_log(struct raft *raft, raft_index from);

/* members.c */
void raft_members_boot(struct raft *raft, const struct raft_saved *saved); /* behind the trail */
void raft_history_deinit(struct raft_history *history);
/* False: it is no members entry, or not a list with a voter. */
bool raft_members_of_entry(const struct raft_entry *entry, struct raft_members *members);
/* The log has got these, or lost what was from `from` on, or its beginning. */
void raft_members_appended(struct raft *raft, const struct raft_entry *entries, uint32_t count);
void raft_members_cut(struct raft *raft, raft_index from);
void raft_members_compact(struct raft *raft, raft_index up_to);
/* Whether a leader may append these. */
enum raft_result raft_members_proposed(const struct raft *raft, const struct raft_entry *entries,
                                       uint32_t count);
bool raft_members_may_stand(const struct raft *raft); /* for election */
void raft_leave_when_removed(struct raft *raft);

/* election.c */
void raft_become_follower(struct raft *raft, raft_node_id leader);
void raft_tick_follower(struct raft *raft);
bool raft_holds_to_leader(const struct raft *raft); /* 4.2.3 */
void raft_campaign(struct raft *raft, bool transfer);
void raft_adopt_term(struct raft *raft, const struct raft_message *message);
void raft_on_vote_request(struct raft *raft, const struct raft_message *message);
void raft_on_vote_response(struct raft *raft, const struct raft_message *message);
void raft_on_timeout_now(struct raft *raft, const struct raft_message *message);
void raft_on_gone(struct raft *raft, raft_node_id node);
void raft_own_vote_durable(struct raft *raft);

/* replication.c */
void raft_become_leader(struct raft *raft);
void raft_progress_begin(struct raft *raft, uint32_t place); /* nothing is known of it */
void raft_tick_leader(struct raft *raft);
void raft_send_entries(struct raft *raft, uint32_t place);
void raft_send_heartbeats(struct raft *raft); /* to all */
void raft_send_heartbeat(struct raft *raft, uint32_t place);
void raft_advance_commit(struct raft *raft);
/* Whether what our disk does not have yet would be committed if it had it. */
bool raft_own_disk_commits(const struct raft *raft);
void raft_on_append_request(struct raft *raft, const struct raft_message *message);
void raft_on_append_response(struct raft *raft, const struct raft_message *message);
enum raft_result raft_on_propose(struct raft *raft, struct raft_entry *entries, uint32_t count);
void raft_on_unreachable(struct raft *raft, raft_node_id node);

/* read_index.c */
enum raft_result raft_on_read(struct raft *raft, uint64_t id, bool asks_all, struct raft_ack ack);
void raft_confirm_reads(struct raft *raft);
uint64_t raft_round_reached(const struct raft *raft); /* the highest that a majority answered */
void raft_tick_round(struct raft *raft);
/* Nothing reaches the member: others are asked what it was. */
void raft_ask_instead(struct raft *raft, uint32_t place);
void raft_fail_reads(struct raft *raft);

/* transfer.c */
enum raft_result raft_on_transfer(struct raft *raft, raft_node_id to);
void raft_tick_transfer(struct raft *raft);
void raft_continue_transfer(struct raft *raft); /* once all is applied here and matched there */
void raft_hand_over(struct raft *raft, uint32_t place); /* tells it to campaign, and steps down */
uint32_t raft_transfer_best(const struct raft *raft);   /* place; members.count: nobody is active */

/* disk.c */
void raft_tick_disk(struct raft *raft);
void raft_check_disk(struct raft *raft); /* leaders, at each tick */
bool raft_disk_hangs(const struct raft *raft);

/* quorum.c: pure arithmetic */
uint32_t raft_quorum_size(uint32_t voters);
/* The largest value that at least raft_quorum_size(count) of the values reach; count > 0. */
uint64_t raft_quorum_reached(const uint64_t *values, uint32_t count);

/* members that count */
uint32_t raft_voters_count(const struct raft *raft);
static inline bool raft_is_voter(const struct raft *raft, uint32_t place)
{
    return place < raft->members.count && raft->members.list[place].voter;
}

/* invariants.c */
struct raft_before { /* what the end of a step is compared with */
    enum raft_role role;
    raft_term term;
    raft_node_id voted_for;
    raft_node_id leader;
    raft_index commit;
    raft_index last;
};

void raft_check_invariants(const struct raft *raft);
static inline struct raft_before raft_note_before(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    return (struct raft_before){.role = state->role,
                                .term = state->term,
                                .voted_for = state->voted_for,
                                .leader = state->leader,
                                .commit = state->commit,
                                .last = raft->trail.last};
}
void raft_check_step(const struct raft *raft, const struct raft_before *before);

#endif
