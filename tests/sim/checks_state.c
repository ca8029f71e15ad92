/* Each node's state after every event in which it ran, against the ghosts and its state before. */
#include <inttypes.h>

#include "raft/raft_internal.h"
#include "sim.h"

/* ---- what is committed --------------------------------------------------------------------- */

/* CommitRecordedCommitted, and LeaderCompleteness of the leaders that there are already. */
static void check_new_commit(const struct sim_node *node, const struct raft_status *status,
                             struct raft_pos pos, const struct raft_members *members)
{
    if (!sim_log_has(pos, sim_committed()))
        sim_fail("state machine safety: node %" PRIu64 " commits %" PRIu64 ":%" PRIu64
                 ", which lacks %" PRIu64 ":%" PRIu64,
                 node->id, pos.term, pos.index, sim_committed().term, sim_committed().index);
    if (status->role == RAFT_LEADER && pos.term != status->term)
        sim_fail("node %" PRIu64 " commits entry %" PRIu64 " of term %" PRIu64
                 " by counting in term %" PRIu64,
                 node->id, pos.index, pos.term, status->term);
    struct sim_voters voters = sim_voters_of(members);
    if (sim_images_with(pos, &voters) < sim_majority_of(&voters))
        sim_fail("node %" PRIu64 " commits entry %" PRIu64 ", which is on %u disks", node->id,
                 pos.index, sim_images_with(pos, &voters));
    for (raft_term later = pos.term + 1; later < sim_terms(); later++)
        if (sim_term(later)->led && !sim_log_has(sim_leader_tip(later), pos))
            sim_fail("leader completeness: the leader of term %" PRIu64 " lacks entry %" PRIu64
                     ", committed in term %" PRIu64,
                     later, pos.index, pos.term);
    sim_term(pos.term)->committed = pos.index;
    sim_set_committed(pos, &voters);
}

/* LastAppliedCommitIndexMatching, TransitiveCommit: all commit indices lie on one log. */
static void check_commit(struct sim_node *node, const struct raft_members *members)
{
    struct raft_status status;
    const struct raft *raft = sim_raft_of(node->replica);
    raft_status(raft, &status);
    if (status.commit == node->before.commit)
        return;
    if (status.commit < node->before.commit)
        sim_fail("the commit index of node %" PRIu64 " falls", node->id);
    node->before.commit = status.commit;
    struct raft_pos pos = {raft_term_at(raft, status.commit), status.commit};
    if (pos.index > sim_committed().index)
        check_new_commit(node, &status, pos, members);
    else if (!sim_log_has(sim_committed(), pos))
        sim_fail("state machine safety: node %" PRIu64 " takes %" PRIu64 ":%" PRIu64
                 " for committed",
                 node->id, pos.term, pos.index);
}

void sim_check_commit(struct sim_node *node)
{
    check_commit(node, raft_members(sim_raft_of(node->replica)));
}

void sim_check_commit_before(struct sim_node *node, raft_index list)
{
    check_commit(node, raft_members_at(sim_raft_of(node->replica), list - 1));
}

/* ---- the log --------------------------------------------------------------------------------- */

/* Log Matching, LogsLeaderLogs, PrefixWithinTerm: run by run, the log is the one that its last
 * position names. */
static void check_log(const struct sim_node *node, const struct raft *raft)
{
    const struct raft_trail *log = &raft->trail;
    struct raft_pos at = raft_trail_last(log);
    if (!sim_same(at, node->tip))
        sim_fail("node %" PRIu64 " has a log that it did not write", node->id);
    for (uint32_t run = log->runs_count; run > 0 && at.index > log->first.index; run--) {
        struct raft_pos base = sim_term(at.term)->base;
        raft_index start = log->runs[run - 1].start;
        bool whole = base.index >= log->first.index;
        if (log->runs[run - 1].term != at.term || !sim_created_at(at) ||
            (whole ? start != base.index + 1 : start <= base.index))
            sim_fail("log matching: node %" PRIu64 " at %" PRIu64
                     " has not what the leader of term "
                     "%" PRIu64 " has",
                     node->id, at.index, at.term);
        at = whole ? base : (struct raft_pos){at.term, log->first.index};
    }
    if (!sim_same(at, log->first))
        sim_fail("log matching: the log of node %" PRIu64 " begins behind %" PRIu64 ":%" PRIu64
                 ", not %" PRIu64 ":%" PRIu64,
                 node->id, log->first.term, log->first.index, at.term, at.index);
}

/* What it says to have stored only rises: after a crash, too (sim_check_recovered()). */
static void check_stored(struct sim_node *node)
{
    raft_index stored = db_persisted_index(node->db);
    if (stored < node->stored_seen)
        sim_fail("node %" PRIu64 " has stored %" PRIu64 ", and had stored %" PRIu64, node->id,
                 stored, node->stored_seen);
    node->stored_seen = stored;
}

/* What was applied is on disk before the log below it goes. */
static void check_trim(const struct sim_node *node, const struct raft_status *status)
{
    if (status->first.index == node->before.first.index)
        return;
    sim.coverage.trims++;
    if (status->first.index > db_persisted_index(node->db))
        sim_fail("node %" PRIu64 " cuts its log up to %" PRIu64 ", above what it stored", node->id,
                 status->first.index);
}

/* ---- roles ----------------------------------------------------------------------------------- */

/* LeadersHaveLeaderLogsStrong, MatchIndexAllEntries, MatchIndexSanity. */
static void check_leader(const struct sim_node *node, const struct raft *raft,
                         const struct raft_status *status)
{
    const struct sim_term *term = sim_term(status->term);
    if (!term->led || term->leader != node->directory || term->last != status->last.index)
        sim_fail("node %" PRIu64 " leads term %" PRIu64 " with a log that it did not make",
                 node->id, status->term);
    for (uint32_t place = 0; place < raft->members.count; place++) {
        raft_index match = raft->state.progress[place].match;
        uint32_t other = sim_directory_of(&raft->members.list[place]);
        raft_index said = other == SIM_NO_DIRECTORY ? 0 : term->acknowledged[other];
        bool is_nobodys = other == SIM_NO_DIRECTORY && !raft_is_voter(raft, place);
        if (place != raft->self && !is_nobodys && match > said)
            sim_fail("node %" PRIu64 " believes member %" PRIu64 " to have %" PRIu64
                     ", which acknowledged %" PRIu64,
                     node->id, raft->members.list[place].id, match, said);
    }
}

/* CroniesCorrect, CroniesTerm, CandidateTermGtLog, CandidatesVoteForSelves. */
static void check_candidate(const struct sim_node *node, const struct raft *raft,
                            const struct raft_status *status)
{
    const struct sim_term *term = sim_term(status->term);
    if (term->led && term->leader == node->directory)
        sim_fail("node %" PRIu64 " stands again in term %" PRIu64 ", which it has led", node->id,
                 status->term);
    if (status->last.term >= status->term || status->voted_for != node->name ||
        !sim_same(term->stood_with[node->directory], status->last))
        sim_fail("node %" PRIu64 " stands with another log than it began with", node->id);
    for (uint32_t place = 0; place < raft->members.count; place++) {
        uint32_t other = sim_directory_of(&raft->members.list[place]);
        if (raft->state.votes[place] == VOTE_GRANTED &&
            (other == SIM_NO_DIRECTORY || !term->votes[other].given ||
             term->votes[other].to != node->name))
            sim_fail("node %" PRIu64 " counts a vote of member %" PRIu64 ", which gave none",
                     node->id, raft->members.list[place].id);
    }
}

static void check_role(const struct sim_node *node, const struct raft *raft,
                       const struct raft_status *status)
{
    if (status->role == RAFT_LEADER)
        check_leader(node, raft, status);
    else if (status->role == RAFT_CANDIDATE)
        check_candidate(node, raft, status);
    if (status->role != RAFT_FOLLOWER && status->role != RAFT_PRE_CANDIDATE && status->term == 0)
        sim_fail("CurrentTermGtZero: node %" PRIu64, node->id);
    if (status->leader != RAFT_NOBODY &&
        (!sim_term(status->term)->led ||
         sim_directory(sim_term(status->term)->leader)->name != status->leader))
        sim_fail("node %" PRIu64 " obeys node %" PRIu64 ", who does not lead term %" PRIu64,
                 node->id, status->leader, status->term);
}

static bool others_are_a_majority(const struct sim_node *node)
{
    const struct raft *raft = sim_raft_of(node->replica);
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
    uint32_t count = raft_peers(raft, peers), active = 0;
    for (uint32_t i = 0; i < count; i++)
        active += peers[i].active && raft_is_voter(raft, raft_member_place(raft, peers[i].id));
    return active >= raft_quorum_size(raft_voters_count(raft));
}

/* Who waits for a disk that hangs neither leads nor wants to, if that helps. */
static void check_disk(const struct sim_node *node, const struct raft *raft,
                       const struct raft_status *status)
{
    uint32_t patience = 5 * sim.election_ticks;
    const struct raft_status *before = &node->before;
    if (before->disk_silent_ticks < patience || status->disk_silent_ticks < patience) {
        sim.coverage.office_left_for_the_disk +=
            before->role == RAFT_LEADER && status->role == RAFT_FOLLOWER &&
            before->term == status->term && status->disk_silent_ticks >= patience;
        return;
    }
    if (before->role == RAFT_FOLLOWER && status->role != RAFT_FOLLOWER)
        sim_fail("node %" PRIu64 " campaigns, and its disk hangs", node->id);
    if (before->role == RAFT_LEADER && status->role == RAFT_LEADER &&
        status->disk_silent_ticks > before->disk_silent_ticks &&
        raft_members_index(raft) == node->list_seen && others_are_a_majority(node))
        sim_fail("node %" PRIu64 " leads on, and its disk hangs", node->id);
}

/* What a leader counts as uncommitted, added up anew. */
static void check_uncommitted(const struct sim_node *node, const struct raft *raft,
                              const struct raft_status *status)
{
    uint64_t bytes = 0;
    for (raft_index i = status->commit + 1; i <= status->last.index; i++)
        bytes += raft_size_at(raft, i);
    if (status->role == RAFT_LEADER && bytes != raft->state.uncommitted_bytes)
        sim_fail("node %" PRIu64 " counts %" PRIu64 " bytes as uncommitted, there are %" PRIu64,
                 node->id, raft->state.uncommitted_bytes, bytes);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* What a core calls durable is on its disk; what it applied is committed; nothing falls. */
static void check_marks(const struct sim_node *node, const struct raft *raft,
                        const struct raft_status *status)
{
    struct raft_pos durable = {raft_term_at(raft, status->durable), status->durable};
    if (!sim_log_has(node->image.tip, durable))
        sim_fail("node %" PRIu64 " calls entry %" PRIu64 " durable, which is not on its disk",
                 node->id, status->durable);
    if (status->applied > sim_committed().index || status->applied < node->before.applied)
        sim_fail("node %" PRIu64 " applied %" PRIu64 " of %" PRIu64 ", after %" PRIu64, node->id,
                 status->applied, sim_committed().index, node->before.applied);
    if (status->term < node->before.term)
        sim_fail("the term of node %" PRIu64 " falls", node->id);
}

void sim_check_node(struct sim_node *node)
{
    struct raft_status status;
    const struct raft *raft = sim_raft_of(node->replica);
    raft_status(raft, &status);
    sim_check_commit(node);
    if (!sim_same(status.last, node->before.last) || !sim_same(status.first, node->before.first))
        check_log(node, raft);
    check_stored(node);
    check_trim(node, &status);
    sim_check_cut(node, raft, &status);
    check_role(node, raft, &status);
    check_marks(node, raft, &status);
    check_disk(node, raft, &status);
    check_uncommitted(node, raft, &status);
    node->before = status;
    node->list_seen = raft_members_index(raft);
}
