/* Each write and each message of a core, at the moment of the step that made it, against the
 * ghosts.  What holds of the writes holds of every log, because a log is what its writes made
 * it. */
#include <inttypes.h>
#include <xxhash.h>

#include "base/blob.h"
#include "base/codec.h"
#include "raft/raft_internal.h"
#include "sim.h"

bool sim_same(struct raft_pos one, struct raft_pos other)
{
    return one.term == other.term && one.index == other.index;
}

uint64_t sim_entry_hash(const struct raft_entry *entry)
{
    struct bytes payload = {0};
    if (entry->payload)
        payload = blob_bytes(entry->payload);
    return XXH3_64bits_withSeed(payload.data, payload.size, entry->type);
}

static bool up_to_date(struct raft_pos last, struct raft_pos than)
{
    return last.term > than.term || (last.term == than.term && last.index >= than.index);
}

/* ---- votes -------------------------------------------------------------------------- */

/* Who stood under that name. */
static uint32_t candidate_of(const struct sim_term *term, raft_node_id name)
{
    for (uint32_t i = 0; i < SIM_DIRECTORIES_MAX; i++)
        if (term->stood[i] && sim_directory(i)->name == name)
            return i;
    return SIM_NO_DIRECTORY;
}

/* VotesCorrect, VotedForTermSanity, VotedForMoreUpToDate, CandidatesVoteForSelves. */
static void check_vote(const struct sim_node *node, const struct raft_write *write,
                       const struct raft_status *status)
{
    struct sim_term *term = sim_term(write->term);
    struct sim_vote *vote = &term->votes[node->directory];
    raft_node_id to = write->voted_for;
    if (vote->given && vote->to != to)
        sim_fail("votes: node %" PRIu64 " votes twice in term %" PRIu64, node->id, write->term);
    if (to == RAFT_NOBODY || vote->given)
        return;
    if (status->last.index > 0 && !sim_created_at(status->last))
        sim_fail("votes: node %" PRIu64 " votes with a log that nobody made", node->id);
    *vote = (struct sim_vote){true, to, status->last};
    if (to == node->name) {
        term->stood[node->directory] = true;
        term->stood_with[node->directory] = status->last;
        return;
    }
    uint32_t candidate = candidate_of(term, to);
    if (candidate == SIM_NO_DIRECTORY)
        sim_fail("votes: node %" PRIu64 " votes for %" PRIu64
                 ", who did not stand in term %" PRIu64,
                 node->id, to, write->term);
    if (!up_to_date(term->stood_with[candidate], status->last))
        sim_fail("votes: node %" PRIu64 " votes for %" PRIu64 ", whose log lacks what it has",
                 node->id, to);
}

static bool has_vote(const struct sim_vote *vote, const struct sim_node *node, struct raft_pos base)
{
    return vote->given && vote->to == node->name && up_to_date(base, vote->last);
}

/* OneLeaderPerTerm, LeaderLogsVotesWithLog, CroniesCorrect, LeaderCompleteness. */
static void check_election(const struct sim_node *node, raft_term number, struct raft_pos base)
{
    struct sim_term *term = sim_term(number);
    uint32_t votes = 0;
    if (term->led)
        sim_fail("election safety: nodes %u and %" PRIu64 " lead term %" PRIu64,
                 sim_directory(term->leader)->machine, node->id, number);
    if (!term->stood[node->directory] || !sim_same(term->stood_with[node->directory], base) ||
        base.term >= number)
        sim_fail("election: node %" PRIu64 " leads term %" PRIu64
                 " with another log than it stood with",
                 node->id, number);
    struct sim_voters voters = sim_voters_of(raft_members(sim_raft_of(node->replica)));
    for (uint32_t i = 0; i < voters.count; i++)
        votes += voters.directories[i] != SIM_NO_DIRECTORY &&
                 has_vote(&term->votes[voters.directories[i]], node, base);
    if (votes < sim_majority_of(&voters))
        sim_fail("election: node %" PRIu64 " leads term %" PRIu64 " with %u votes", node->id,
                 number, votes);
    if (node->image.term != number || node->image.voted_for != node->name)
        sim_fail("election: node %" PRIu64 " leads before its own vote is on disk", node->id);
    for (raft_term earlier = 1; earlier < number; earlier++) {
        struct raft_pos pos = {earlier, sim_term(earlier)->committed};
        if (pos.index > 0 && !sim_log_has(base, pos))
            sim_fail("leader completeness: node %" PRIu64 " leads term %" PRIu64
                     " without entry %" PRIu64 ", committed in term %" PRIu64,
                     node->id, number, pos.index, earlier);
    }
    sim.coverage.elections++;
    sim_say("node %" PRIu64 " leads term %" PRIu64, node->id, number);
    term = sim_term(number);
    term->led = true;
    term->leader = node->directory;
    term->base = base;
    term->last = base.index;
}

/* ---- entries ------------------------------------------------------------------------- */

/* A stamp behind the time of the log: its time has to be held. */
static void note_stamp(const struct raft_entry *entry)
{
    static int64_t latest_ms;
    if (entry->type != RAFT_ENTRY_COMMAND)
        return;
    int64_t stamp_ms = (int64_t)get_u64(((const struct blob *)entry->payload)->data + 8);
    if (stamp_ms < latest_ms)
        sim.coverage.log_time_held++;
    else
        latest_ms = stamp_ms;
}

/* EveryEntryWasCreated, Leader Append-Only. */
static void check_created(struct sim_node *node, const struct raft_write *write)
{
    const struct raft_entry *first = &write->entries[0];
    if (first->pos.index != node->tip.index + 1)
        sim_fail("leader append-only: node %" PRIu64 " overwrites %" PRIu64 " while it leads",
                 node->id, first->pos.index);
    if (first->type == RAFT_ENTRY_NOOP)
        check_election(node, write->term, node->tip);
    struct sim_term *term = sim_term(write->term);
    if (!term->led || term->leader != node->directory)
        sim_fail("node %" PRIu64 " creates entries without an election", node->id);
    if (first->type == RAFT_ENTRY_MEMBERS)
        sim_check_commit_before(node, first->pos.index);
    for (uint32_t i = 0; i < write->count; i++) {
        const struct raft_entry *entry = &write->entries[i];
        if (entry->pos.term != write->term || entry->pos.index != term->last + 1)
            sim_fail("node %" PRIu64 " creates entry %" PRIu64 ":%" PRIu64 " out of order",
                     node->id, entry->pos.term, entry->pos.index);
        note_stamp(entry);
        sim_term_append(term, entry);
    }
}

/* A run of entries of the log that ends with `tip`, as they were created. */
static void check_run(const char *what, const struct sim_node *node, struct raft_pos tip,
                      struct raft_pos prev, const struct raft_entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_created *created = sim_created_at(entries[i].pos);
        if (entries[i].pos.index != prev.index + 1 || entries[i].pos.term < prev.term)
            sim_fail("%s of node %" PRIu64 " is not in order at %" PRIu64, what, node->id,
                     entries[i].pos.index);
        if (!created || created->hash != sim_entry_hash(&entries[i]) ||
            created->type != entries[i].type)
            sim_fail("%s of node %" PRIu64 ": entry %" PRIu64 ":%" PRIu64
                     " is not as a leader created it",
                     what, node->id, entries[i].pos.term, entries[i].pos.index);
        if (!sim_log_has(tip, entries[i].pos))
            sim_fail("%s of node %" PRIu64 ": entry %" PRIu64 ":%" PRIu64
                     " is not in the leader's log",
                     what, node->id, entries[i].pos.term, entries[i].pos.index);
        prev = entries[i].pos;
    }
}

/* AllEntriesLog: what was accepted stays until a later leader lacks it. */
static void check_cut(const struct sim_node *node, struct raft_pos taken)
{
    struct raft_pos cut = sim_place_on(node->tip, taken.index);
    sim.coverage.truncations++;
    sim_say("node %" PRIu64 " cuts its log from %" PRIu64 ":%" PRIu64, node->id, cut.term,
            cut.index);
    if (cut.term == taken.term)
        sim_fail("node %" PRIu64 " cuts entry %" PRIu64 " that its leader has too", node->id,
                 cut.index);
    if (sim_log_has(sim_committed(), cut))
        sim_fail("node %" PRIu64 " cuts entry %" PRIu64 ":%" PRIu64 ", which is committed",
                 node->id, cut.term, cut.index);
}

/* Log Matching: what is kept below, and what comes, are one log with the leader's. */
static void check_accepted(const struct sim_node *node, const struct raft_write *write)
{
    struct raft_pos taken = write->entries[0].pos, leader = sim_leader_tip(write->term);
    if (!sim_term(write->term)->led)
        sim_fail("node %" PRIu64 " takes entries in term %" PRIu64 ", which has no leader",
                 node->id, write->term);
    if (taken.index > node->tip.index + 1)
        sim_fail("node %" PRIu64 " takes entry %" PRIu64 " and leaves a hole", node->id,
                 taken.index);
    struct raft_pos prev = sim_place_on(node->tip, taken.index - 1);
    if (!sim_log_has(leader, prev))
        sim_fail("log matching: node %" PRIu64 " takes entry %" PRIu64 " behind another than its "
                 "leader has there",
                 node->id, taken.index);
    check_run("the log", node, leader, prev, write->entries, write->count);
    if (taken.index <= node->tip.index)
        check_cut(node, taken);
}

void sim_check_write(struct sim_node *node, const struct raft_write *write)
{
    struct raft_status status;
    raft_status(sim_raft_of(node->replica), &status);
    if (write->term != status.term)
        sim_fail("node %" PRIu64 " stores another term than it is in", node->id);
    check_vote(node, write, &status);
    if (write->count == 0)
        return;
    if (status.role == RAFT_LEADER)
        check_created(node, write);
    else
        check_accepted(node, write);
    node->tip = write->entries[write->count - 1].pos;
}

/* ---- messages --------------------------------------------------------------------------- */

/* RequestVoteTermSanity, RequestVoteMaxIndexMaxTerm. */
static void check_vote_request(const struct sim_node *node, const struct raft_message *message)
{
    const struct sim_term *term = sim_term(message->term);
    if (!sim_same(message->vote_request.last, node->tip))
        sim_fail("node %" PRIu64 " asks for votes with another log than it has", node->id);
    if (message->vote_request.pre_vote)
        return;
    if (!term->stood[node->directory] ||
        !sim_same(term->stood_with[node->directory], message->vote_request.last))
        sim_fail("node %" PRIu64 " asks for votes with another log than it stood with", node->id);
    if (node->image.term != message->term || node->image.voted_for != node->name)
        sim_fail("node %" PRIu64 " asks for votes before its own is on disk", node->id);
}

/* RequestVoteReplyTermSanity, RequestVoteReplyMoreUpToDate (at the vote), CroniesCorrect. */
static void check_vote_response(const struct sim_node *node, const struct raft_message *message,
                                uint32_t receiver)
{
    const struct sim_term *term = sim_term(message->term);
    if (message->vote_response.pre_vote)
        return;
    if (node->image.term < message->term)
        sim_fail("node %" PRIu64 " answers in a term that is not on its disk", node->id);
    if (!message->vote_response.granted)
        return;
    const struct sim_vote *vote = &term->votes[node->directory];
    if (!vote->given || vote->to != message->to)
        sim_fail("node %" PRIu64 " sends a vote that it did not give", node->id);
    if (node->image.term == message->term && node->image.voted_for != message->to)
        sim_fail("node %" PRIu64 " sends its vote before it is on disk", node->id);
    if (receiver != SIM_NO_DIRECTORY && sim_directory_image(receiver)->term < message->term)
        sim_fail("node %" PRIu64 " votes for one that is not in term %" PRIu64, node->id,
                 message->term);
}

/* AppendEntriesRequestsCameFromLeaders, AppendEntriesLeader, PrevLogLeaderSublog,
 * AppendEntriesRequestTermSanity, NoAppendEntriesToLeader, StateMachineSafetyPrime. */
static void check_append_request(struct sim_node *node, const struct raft_message *message,
                                 const struct raft_entry *entries, uint32_t receiver)
{
    struct sim_term *term = sim_term(message->term);
    struct raft_pos prev = message->append_request.prev;
    uint32_t count = message->append_request.count;
    if (!term->led || term->leader != node->directory)
        sim_fail("node %" PRIu64 " sends entries in term %" PRIu64 ", which it does not lead",
                 node->id, message->term);
    if (!sim_log_has(sim_leader_tip(message->term), prev))
        sim_fail("an append of node %" PRIu64 " begins where its log is not", node->id);
    if (term->leader == receiver)
        sim_fail("NoAppendEntriesToLeader: node %" PRIu64, message->to);
    check_run("an append", node, sim_leader_tip(message->term), prev, entries, count);
    sim_check_commit(node);
    if (message->term > sim_committed().term &&
        !sim_log_has(sim_leader_tip(message->term), sim_committed()))
        sim_fail("StateMachineSafetyPrime: an append of term %" PRIu64
                 " contradicts committed entry %" PRIu64,
                 message->term, sim_committed().index);
    if (message->append_request.commit > sim_committed().index)
        sim_fail("node %" PRIu64 " tells of a commit that is none", node->id);
    if (receiver != SIM_NO_DIRECTORY && term->asked_to[receiver] < prev.index + count)
        term->asked_to[receiver] = prev.index + count;
}

/* AppendEntriesReplySublog, AppendEntriesRequestReplyCorrespondence, MatchIndexAllEntries. */
static void check_append_response(const struct sim_node *node, const struct raft_message *message)
{
    struct sim_term *term = sim_term(message->term);
    struct raft_pos hint = message->append_response.hint;
    if (node->image.term < message->term)
        sim_fail("node %" PRIu64 " answers in a term that is not on its disk", node->id);
    if (!message->append_response.matched)
        return;
    if (!sim_log_has(sim_leader_tip(message->term), hint))
        sim_fail("node %" PRIu64 " acknowledges what its leader does not have", node->id);
    if (!sim_log_has(node->image.tip, hint))
        sim_fail("node %" PRIu64 " acknowledges entry %" PRIu64 " before it is on disk", node->id,
                 hint.index);
    if (hint.index > term->asked_to[node->directory])
        sim_fail("node %" PRIu64 " acknowledges entry %" PRIu64 " without having been sent it",
                 node->id, hint.index);
    if (term->acknowledged[node->directory] < hint.index)
        term->acknowledged[node->directory] = hint.index;
}

void sim_check_sent(struct sim_node *node, const struct raft_message *message,
                    const struct raft_entry *entries, uint32_t receiver)
{
    node->sent++;
    if (message->from != node->name || message->to == node->name)
        sim_fail("node %" PRIu64 " sends a message to itself or to nobody", node->id);
    switch (message->type) {
    case RAFT_VOTE_REQUEST: check_vote_request(node, message); break;
    case RAFT_VOTE_RESPONSE: check_vote_response(node, message, receiver); break;
    case RAFT_APPEND_REQUEST: check_append_request(node, message, entries, receiver); break;
    case RAFT_APPEND_RESPONSE: check_append_response(node, message); break;
    case RAFT_TIMEOUT_NOW:
        if (!sim_term(message->term)->led || sim_term(message->term)->leader != node->directory)
            sim_fail("node %" PRIu64 " hands over what it does not have", node->id);
        break;
    }
}

/* ---- the disk ------------------------------------------------------------------------------ */

static void check_quorum_has_committed(void)
{
    const struct sim_voters *voters = sim_committed_by();
    if (sim_committed().index > 0 &&
        sim_images_with(sim_committed(), voters) < sim_majority_of(voters))
        sim_fail("entry %" PRIu64 " was committed and is on %u disks", sim_committed().index,
                 sim_images_with(sim_committed(), voters));
}

/* No acknowledged write is lost: what is committed stays on every disk that has it. */
void sim_check_image(const struct sim_node *node, const struct sim_image *before)
{
    const struct sim_image *now = &node->image;
    struct raft_pos committed = sim_committed();
    if (now->term < before->term ||
        (now->term == before->term && before->voted_for != RAFT_NOBODY &&
         now->voted_for != before->voted_for))
        sim_fail("the disk of node %" PRIu64 " takes back a term or a vote", node->id);
    if (before->tip.index < committed.index)
        committed = sim_place_on(committed, before->tip.index);
    if (sim_log_has(before->tip, committed) && !sim_log_has(now->tip, committed))
        sim_fail("the disk of node %" PRIu64 " loses committed entry %" PRIu64, node->id,
                 committed.index);
    check_quorum_has_committed();
}

struct going_on {
    uint64_t sent;
    raft_index commit, apply_to;
    bool takes_proposals;
};

static struct going_on going_on(const struct sim_node *node)
{
    const struct raft *raft = sim_raft_of(node->replica);
    return (struct going_on){.sent = node->sent,
                             .commit = raft->state.commit,
                             .apply_to = raft_apply_to(raft),
                             .takes_proposals = raft_takes_proposals(raft)};
}

/* The loop hears late of a disk that nobody awaits: nothing may go on by it. */
void sim_persisted(struct sim_node *node, uint64_t seq)
{
    bool is_awaited = replica_awaits_disk(node->replica) || node->disk.hurries;
    node->disk.hurries = false;
    struct going_on before = going_on(node);
    replica_persisted(node->replica, seq);
    struct going_on after = going_on(node);
    if (is_awaited)
        return;
    sim.coverage.disk_unawaited++;
    if (after.sent != before.sent || after.commit != before.commit ||
        after.apply_to != before.apply_to || after.takes_proposals != before.takes_proposals)
        sim_fail("node %" PRIu64 " did not await its disk, and goes on by it", node->id);
}

/* A process that starts finds what its disk had, no more and no less. */
void sim_check_recovered(struct sim_node *node)
{
    struct raft_status status;
    raft_status(sim_raft_of(node->replica), &status);
    if (status.term != node->image.term || status.voted_for != node->image.voted_for)
        sim_fail("node %" PRIu64 " starts in term %" PRIu64 " with vote %" PRId64
                 ", its disk had %" PRIu64 " and %" PRId64,
                 node->id, status.term, (int64_t)status.voted_for, node->image.term,
                 (int64_t)node->image.voted_for);
    if (!sim_same(status.last, node->image.tip))
        sim_fail("node %" PRIu64 " starts with a log up to %" PRIu64 ":%" PRIu64
                 ", its disk had %" PRIu64 ":%" PRIu64,
                 node->id, status.last.term, status.last.index, node->image.tip.term,
                 node->image.tip.index);
    if (db_applied_index(node->db) < node->stored_seen)
        sim_fail("node %" PRIu64 " starts with entries up to %" PRIu64
                 " applied, it had said to have stored %" PRIu64,
                 node->id, db_applied_index(node->db), node->stored_seen);
    sim_forget_lost_votes(node);
    node->tip = status.last;
    node->before = status;
    check_quorum_has_committed();
}
