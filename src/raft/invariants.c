/* What must hold of one core after every step, and of the step itself; numbered as in
 * raft_internal.h.  What spans several nodes is checked by the simulator.  Cheap enough to be
 * always on. */
#include "base/fatal.h"
#include "raft/raft_internal.h"

enum { LOOK_AT_MAX = 16 }; /* of what may be many: so many are looked at */

/* What is in flight is what was sent and not answered: it ends where the next begins. */
static void check_progress(const struct raft *raft, const struct progress *progress)
{
    check(progress->match < progress->next); /* I5 */
    check(progress->next <= raft->trail.last + 1);
    check(progress->match <= raft->trail.last);
    check(progress->round_acked <= raft->state.round);
    check(progress->inflight_count <= RAFT_INFLIGHT_MAX); /* I9 */
    if (progress->inflight_count == 0) {
        check(!progress->replicating || progress->next == progress->match + 1);
        check(progress->inflight_bytes == 0);
        return;
    }
    uint32_t end = progress->inflight_start + progress->inflight_count - 1;
    check(progress->replicating);
    check(progress->inflight[progress->inflight_start] > progress->match);
    check(progress->inflight[end % RAFT_INFLIGHT_MAX] == progress->next - 1);
}

/* Added up where that is cheap; the simulator does it always. */
static void check_uncommitted(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    if (raft->trail.last - state->commit > LOOK_AT_MAX)
        return;
    uint64_t bytes = 0;
    for (raft_index i = state->commit + 1; i <= raft->trail.last; i++)
        bytes += raft_trail_size_at(&raft->trail, i);
    check(bytes == state->uncommitted_bytes); /* I10 */
}

static void check_members(const struct raft *raft)
{
    const struct raft_history *history = &raft->history;
    const struct raft_members *newest =
        history->count > 0 ? &history->changes[history->count - 1].members : &history->base;
    check(raft->members.count == newest->count); /* I12 */
    check(raft->self == raft_member_place(raft, raft->config.id));
    check(raft_members_index(raft) <= raft->trail.last);
    check(history->count == 0 || history->changes[0].index > raft->trail.first.index);
    if (raft->state.role == RAFT_LEADER && history->count > 1 &&
        raft_members_index(raft) > raft->state.term_start)
        check(history->changes[history->count - 2].index <= raft->state.commit); /* I13 */
}

static void check_leader(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    check(state->voted_for == raft->config.id); /* I4 */
    check(state->leader == raft->config.id);
    check(raft_trail_term_at(&raft->trail, state->term_start) == state->term ||
          state->term_start <= raft->trail.first.index); /* I7 */
    check(state->term_start <= raft->trail.last);
    check(state->round_confirmed <= state->round);
    check(raft_round_reached(raft) <= state->round_confirmed); /* I8 */
    check(state->reads_count <= RAFT_READS_MAX);
    check(state->reads_count == 0 ||
          state->reads[state->reads_start].round > state->round_confirmed);
    for (uint32_t place = 0; place < raft->members.count; place++) {
        if (place != raft->self)
            check_progress(raft, &state->progress[place]);
    }
    check_uncommitted(raft);
}

static void check_writes(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    check(state->durable_seq <= state->write_seq);
    check(state->hard_state_seq <= state->write_seq);
    check(state->withheld_count == 0 || state->durable_seq < state->write_seq);
    check(state->writes_count <= RAFT_WRITES_MAX);
    if (state->writes_count == 0)
        return;
    uint32_t at = (state->writes_start + state->writes_count - 1) % RAFT_WRITES_MAX;
    const struct write_under_way *newest = &state->writes[at];
    check(newest->seq == state->write_seq); /* I6 */
    check(newest->end == raft->trail.last);
    uint64_t before = state->durable_seq;
    for (uint32_t i = 0; i < state->writes_count && i < LOOK_AT_MAX; i++) {
        const struct write_under_way *write =
            &state->writes[(state->writes_start + i) % RAFT_WRITES_MAX];
        check(write->seq > before);
        check(write->end <= raft->trail.last);
        before = write->seq;
    }
}

static void check_terms(const struct raft *raft)
{
    const struct raft_trail *trail = &raft->trail;
    check(raft_trail_last(trail).term <= raft->state.term); /* I3 */
    uint32_t from = trail->runs_count > LOOK_AT_MAX ? trail->runs_count - LOOK_AT_MAX : 0;
    for (uint32_t i = from + 1; i < trail->runs_count; i++) {
        check(trail->runs[i - 1].term < trail->runs[i].term);
        check(trail->runs[i - 1].start < trail->runs[i].start);
    }
}

static void check_no_office(const struct raft_state *state)
{
    check(state->reads_count == 0);           /* I8 */
    check(state->transfer_to == RAFT_NOBODY); /* I11 */
    check(state->role == RAFT_FOLLOWER || state->leader == RAFT_NOBODY);
}

void raft_check_invariants(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    raft_index apply_to = raft_apply_to(raft);
    check(raft->trail.first.index <= state->applied); /* I1 */
    check(state->applied <= apply_to);
    check(apply_to <= state->commit);
    check(apply_to <= state->durable);
    check(state->commit <= raft->trail.last);
    check(state->durable <= raft->trail.last); /* I2 */
    check(raft->trail.first.index <= state->durable);
    check_terms(raft);
    check_members(raft);
    check_writes(raft);
    if (state->role == RAFT_CANDIDATE)
        check(state->voted_for == raft->config.id); /* I4 */
    if (state->role == RAFT_LEADER)
        check_leader(raft);
    else
        check_no_office(state);
}

/* ---- the step ---------------------------------------------------------------------------- */

static void check_promises(const struct raft *raft, const struct raft_before *before)
{
    const struct raft_state *state = &raft->state;
    if (raft->hard_state_changed) {
        check(state->term > before->term || before->voted_for == RAFT_NOBODY ||
              state->voted_for == before->voted_for); /* S2 */
        return;
    }
    check(state->term == before->term);
    check(state->voted_for == before->voted_for);
}

static void check_office(const struct raft *raft, const struct raft_before *before)
{
    const struct raft_state *state = &raft->state;
    if (state->role == RAFT_LEADER) {
        check(before->role == RAFT_LEADER || before->role == RAFT_CANDIDATE); /* S3 */
        check(state->term == before->term);
        check(raft->trail.last >= before->last);
    }
    if (raft->role_changed)
        return;
    check(state->role == before->role); /* S4 */
    check(state->term == before->term);
    check(state->leader == before->leader);
}

void raft_check_step(const struct raft *raft, const struct raft_before *before)
{
    check(raft->state.term >= before->term); /* S1 */
    check(raft->state.commit >= before->commit);
    check_promises(raft, before);
    check_office(raft, before);
}
