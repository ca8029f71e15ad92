/* Ghosts: what the world has seen.  No node reads any of it.
 *
 * The logs of all terms make a tree: the log of a term's leader is the one it was elected with (its
 * base) and the entries that it made.  An entry is known by its position, so a log is known by its
 * last position, and one log contains another's end exactly if that end lies on its way down. */
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "sim.h"

static struct sim_term *terms; /* owned; by term */
static raft_term terms_count;
static struct raft_pos committed;
static struct sim_voters committed_by;

raft_term sim_terms(void)
{
    return terms_count;
}

struct sim_term *sim_term(raft_term term)
{
    if (term >= terms_count) {
        raft_term count = term + 16;
        terms = memory_resize(terms, count * sizeof *terms);
        memset(terms + terms_count, 0, (count - terms_count) * sizeof *terms);
        terms_count = count;
    }
    return &terms[term];
}

struct raft_pos sim_leader_tip(raft_term term)
{
    const struct sim_term *seen = sim_term(term);
    return seen->last > seen->base.index ? (struct raft_pos){term, seen->last} : seen->base;
}

const struct sim_created *sim_created_at(struct raft_pos pos)
{
    if (pos.term >= terms_count)
        return NULL;
    const struct sim_term *term = &terms[pos.term];
    if (!term->led || pos.index <= term->base.index || pos.index > term->last)
        return NULL;
    return &term->created[pos.index - term->base.index - 1];
}

bool sim_log_has(struct raft_pos tip, struct raft_pos pos)
{
    if (pos.index == 0)
        return true;
    while (tip.term > pos.term)
        tip = sim_term(tip.term)->base;
    return tip.term == pos.term && pos.index <= tip.index && sim_created_at(pos);
}

struct raft_pos sim_place_on(struct raft_pos tip, raft_index index)
{
    while (tip.index > index && index <= sim_term(tip.term)->base.index)
        tip = sim_term(tip.term)->base;
    check(index <= tip.index);
    return index == 0 ? (struct raft_pos){0} : (struct raft_pos){tip.term, index};
}

void sim_term_append(struct sim_term *term, const struct raft_entry *entry)
{
    uint64_t at = term->last - term->base.index;
    if (at == term->capacity) {
        term->capacity = term->capacity ? term->capacity * 2 : 64;
        term->created = memory_resize(term->created, term->capacity * sizeof *term->created);
    }
    term->created[at] = (struct sim_created){sim_entry_hash(entry), entry->type};
    term->last++;
    if (entry->type == RAFT_ENTRY_MEMBERS)
        sim_members_created(entry);
}

/* A vote that was not on disk was not given: nobody had heard of it. */
void sim_forget_lost_votes(const struct sim_node *node)
{
    bool kept = node->image.voted_for != RAFT_NOBODY;
    for (raft_term term = node->image.term + kept; term < terms_count; term++) {
        terms[term].votes[node->directory] = (struct sim_vote){0};
        terms[term].stood[node->directory] = false;
    }
}

struct raft_pos sim_committed(void)
{
    return committed;
}

const struct sim_voters *sim_committed_by(void)
{
    return &committed_by;
}

void sim_set_committed(struct raft_pos pos, const struct sim_voters *by)
{
    committed = pos;
    committed_by = *by;
}

void sim_history_free(void)
{
    for (raft_term term = 0; term < terms_count; term++)
        memory_free(terms[term].created);
    memory_free(terms);
    terms = NULL;
    terms_count = 0;
}
