/* Handing the leadership over (3.10): stop taking proposals, apply what was taken, bring the target
 * up to date, tell it to raft_campaign at once.  If that takes longer than an election timeout, go
 * on leading.
 *
 * The thesis does not ask for the second: but a leader that steps down with an entry unapplied can
 * tell nobody what became of it, and a planned stop should leave no client in doubt. */
#include "base/fatal.h"
#include "raft/raft_internal.h"

uint32_t raft_transfer_best(const struct raft *raft)
{
    uint32_t best = raft->members.count;
    for (uint32_t place = 0; place < raft->members.count; place++) {
        const struct progress *progress = &raft->state.progress[place];
        if (place == raft->self || !raft_is_voter(raft, place) || !raft_is_active(raft, place))
            continue;
        if (best == raft->members.count || progress->match > raft->state.progress[best].match)
            best = place;
    }
    return best;
}

enum raft_result raft_on_transfer(struct raft *raft, raft_node_id to)
{
    struct raft_state *state = &raft->state;
    if (state->role != RAFT_LEADER)
        return RAFT_NOT_LEADER;
    uint32_t place = to == RAFT_NOBODY ? raft_transfer_best(raft) : raft_member_place(raft, to);
    if (place == raft->members.count || place == raft->self || !raft_is_voter(raft, place))
        return RAFT_BUSY;
    state->transfer_to = raft->members.list[place].id;
    state->transfer_elapsed = 0;
    state->transfer_sent = false;
    raft_continue_transfer(raft);
    return RAFT_OK;
}

void raft_continue_transfer(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    if (state->transfer_to == RAFT_NOBODY || state->transfer_sent)
        return;
    const struct progress *target = &state->progress[raft_member_place(raft, state->transfer_to)];
    if (target->match != raft->trail.last || state->applied != raft->trail.last)
        return;
    struct raft_message message = raft_message_to(raft, state->transfer_to, RAFT_TIMEOUT_NOW);
    raft_send_now(raft, &message);
    state->transfer_sent = true;
}

void raft_tick_transfer(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    if (state->transfer_to == RAFT_NOBODY)
        return;
    if (++state->transfer_elapsed >= raft->config.election_ticks) {
        state->transfer_to = RAFT_NOBODY;
        raft->role_changed = true; /* proposals that waited may go on */
    }
}
