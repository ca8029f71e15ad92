/* What must hold of one core after every step; numbered as in raft_internal.h.  What spans several
 * nodes is checked by the simulator.  Cheap enough to be always on. */
#include "base/fatal.h"
#include "raft/raft_internal.h"

static void check_leader(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    check(state->voted_for == raft->config.id); /* I4 */
    check(state->leader == raft->config.id);
    check(raft_trail_term_at(&raft->trail, state->term_start) == state->term ||
          state->term_start <= raft->trail.first.index); /* I7 */
    check(state->round_confirmed <= state->round);
    for (uint32_t place = 0; place < raft->members.count; place++) {
        const struct progress *progress = &state->progress[place];
        if (place == raft->self)
            continue;
        check(progress->match < progress->next); /* I5 */
        check(progress->next <= raft->trail.last + 1);
        check(progress->round_acked <= state->round);
    }
}

static void check_writes(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    check(state->durable_seq <= state->write_seq);
    check(state->hard_state_seq <= state->write_seq);
    if (state->writes_count == 0)
        return;
    const struct write_under_way *oldest = &state->writes[state->writes_start];
    uint32_t at = (state->writes_start + state->writes_count - 1) % RAFT_WRITES_MAX;
    const struct write_under_way *newest = &state->writes[at];
    check(oldest->seq > state->durable_seq); /* I6 */
    check(newest->seq == state->write_seq);
    check(oldest->end <= raft->trail.last);
    check(newest->end == raft->trail.last);
}

void raft_check_invariants(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    check(raft->trail.first.index <= state->applied); /* I1 */
    check(state->applied <= state->commit);
    check(state->applied <= state->durable);
    check(state->commit <= raft->trail.last);
    check(state->durable <= raft->trail.last); /* I2 */
    check(raft->trail.first.index <= state->durable);
    check(raft_trail_last(&raft->trail).term <= state->term); /* I3 */
    check_writes(raft);
    if (state->role == RAFT_CANDIDATE)
        check(state->voted_for == raft->config.id); /* I4 */
    if (state->role == RAFT_LEADER)
        check_leader(raft);
    else
        check(state->reads_count == 0); /* I8 */
}
