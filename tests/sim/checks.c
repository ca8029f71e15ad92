/* What must hold across nodes (Figure 3.2 of the thesis), on concrete states. */
#include <Judy.h>
#include <inttypes.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "sim.h"

/* Ghosts: what the world has seen, which no node may contradict later. */
static void *leader_of_term; /* JudyL: term -> node id + 1 */
static struct sim_applied *applied;
static raft_index applied_count, applied_capacity;

/* State machine safety: every node applies the same command at an index, ever. */
void sim_check_applied(struct sim_node *node, struct raft_pos pos, struct bytes payload)
{
    struct sim_applied now = {pos.index, pos.term, XXH3_64bits(payload.data, payload.size)};
    while (applied_count <= pos.index) {
        if (applied_count == applied_capacity) {
            applied_capacity = applied_capacity ? applied_capacity * 2 : 1024;
            applied = memory_resize(applied, applied_capacity * sizeof *applied);
        }
        applied[applied_count++] = (struct sim_applied){0};
    }
    struct sim_applied *known = &applied[pos.index];
    if (known->index == 0)
        *known = now;
    else if (known->term != now.term || known->hash != now.hash)
        sim_fail("state machine safety: node %" PRIu64 " applies another command at %" PRIu64,
                 node->id, pos.index);
}

static void check_leader(const struct sim_node *node, const struct raft_status *status)
{
    PPvoid_t slot;
    JLI(slot, leader_of_term, status->term);
    check(slot != PPJERR);
    uintptr_t leader = (uintptr_t)*slot;
    if (leader == 0) {
        sim.coverage.elections++;
        sim_say("node %" PRIu64 " leads term %" PRIu64, node->id, status->term);
    } else if (leader != node->id + 1) {
        sim_fail("election safety: nodes %" PRIu64 " and %" PRIu64 " lead term %" PRIu64,
                 (uint64_t)leader - 1, node->id, status->term);
    }
    *slot = (void *)(uintptr_t)(node->id + 1);
}

/* Logs of two nodes agree wherever one entry of theirs agrees (log matching), and up to the smaller
 * commit index.  A window at the end is enough at each event: the rest was checked before. */
enum { LOG_WINDOW = 24 };

struct raft *sim_raft_of(const struct replica *replica);

static void check_pair(const struct sim_node *a, const struct sim_node *b)
{
    const struct raft *left = sim_raft_of(a->replica), *right = sim_raft_of(b->replica);
    struct raft_status l, r;
    raft_status(left, &l);
    raft_status(right, &r);
    raft_index last = l.last.index < r.last.index ? l.last.index : r.last.index;
    raft_index first = l.first.index > r.first.index ? l.first.index : r.first.index;
    raft_index commit = l.commit < r.commit ? l.commit : r.commit;
    bool agreed = false; /* at a later index */
    if (last > first + LOG_WINDOW)
        first = last - LOG_WINDOW;
    for (raft_index i = last; i > first; i--) {
        bool agree = raft_term_at(left, i) == raft_term_at(right, i);
        if (agreed && !agree)
            sim_fail("log matching: nodes %" PRIu64 " and %" PRIu64 " differ at %" PRIu64
                     " below an entry they share",
                     a->id, b->id, i);
        if (!agree && i <= commit)
            sim_fail("committed entries differ on nodes %" PRIu64 " and %" PRIu64 " at %" PRIu64,
                     a->id, b->id, i);
        agreed |= agree;
    }
}

/* A leader holds whatever any node knows to be committed from its term or an earlier one. */
static void check_completeness(const struct sim_node *leader, const struct raft_status *status)
{
    const struct raft *raft = sim_raft_of(leader->replica);
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        struct raft_status other;
        if (!sim.nodes[i].alive)
            continue;
        raft_status(sim_raft_of(sim.nodes[i].replica), &other);
        raft_term term = raft_term_at(sim_raft_of(sim.nodes[i].replica), other.commit);
        if (term > status->term || other.commit <= status->first.index)
            continue;
        if (raft_term_at(raft, other.commit) != term)
            sim_fail("leader completeness: node %" PRIu64 " leads term %" PRIu64
                     " without entry %" PRIu64 " that node %u knows to be committed",
                     leader->id, status->term, other.commit, i);
    }
}

static void note_trim(struct sim_node *node, const struct raft_status *status)
{
    if (status->first.index > node->first_seen)
        sim.coverage.trims++;
    node->first_seen = status->first.index;
}

void sim_check_world(void)
{
    struct raft_status status;
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        if (!sim.nodes[i].alive)
            continue;
        raft_status(sim_raft_of(sim.nodes[i].replica), &status);
        note_trim(&sim.nodes[i], &status);
        if (status.role == RAFT_LEADER) {
            check_leader(&sim.nodes[i], &status);
            check_completeness(&sim.nodes[i], &status);
        }
        for (uint32_t j = i + 1; j < sim.options.nodes; j++)
            if (sim.nodes[j].alive)
                check_pair(&sim.nodes[i], &sim.nodes[j]);
    }
}

void sim_check_data(void)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        for (uint32_t j = i + 1; j < sim.options.nodes; j++) {
            struct sim_node *a = &sim.nodes[i], *b = &sim.nodes[j];
            if (!a->alive || !b->alive || db_applied_index(a->db) != db_applied_index(b->db))
                continue;
            if (db_hash(a->db) != db_hash(b->db))
                sim_fail("nodes %" PRIu64 " and %" PRIu64 " differ in data at index %" PRIu64,
                         a->id, b->id, db_applied_index(a->db));
        }
    }
}

void sim_checks_free(void)
{
    Word_t freed;
    JLFA(freed, leader_of_term);
    (void)freed;
    memory_free(applied);
}
