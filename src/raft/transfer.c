/* Handing the leadership over (3.10): stop taking proposals, apply what was taken, bring the target
 * up to date, then tell it to campaign at once, and lead no longer.  If it does not come so far
 * within an election timeout, go on leading.
 *
 * Two things differ from the thesis.  All is applied first: a leader that steps down with an entry
 * unapplied can tell nobody what became of it, and a planned stop should leave no client in doubt.
 * And the office leaves with the message: one that arrives late, after its transfer was given up,
 * would depose a healthy leader.  So a transfer can only be given up before the message was sent;
 * should the message be lost, the timers decide, as after any other loss of a leader. */
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
    raft_continue_transfer(raft);
    return RAFT_OK;
}

void raft_continue_transfer(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    if (state->transfer_to == RAFT_NOBODY)
        return;
    uint32_t place = raft_member_place(raft, state->transfer_to);
    check(state->role == RAFT_LEADER);  /* I11 */
    check(place < raft->members.count); /* no list is taken meanwhile */
    if (raft->state.progress[place].match != raft->trail.last ||
        state->applied != raft->trail.last || !raft_is_active(raft, place))
        return;
    raft_hand_over(raft, place);
}

void raft_hand_over(struct raft *raft, uint32_t place)
{
    check(place < raft->members.count);
    check(raft_is_voter(raft, place));
    struct raft_message message =
        raft_message_to(raft, raft->members.list[place].id, RAFT_TIMEOUT_NOW);
    raft_send_now(raft, &message);
    raft_become_follower(raft, RAFT_NOBODY);
}

void raft_tick_transfer(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    if (state->transfer_to == RAFT_NOBODY)
        return;
    check(state->role == RAFT_LEADER); /* I11 */
    if (++state->transfer_elapsed >= raft->config.election_ticks) {
        state->transfer_to = RAFT_NOBODY;
        raft->role_changed = true; /* proposals that waited may go on */
    }
}
