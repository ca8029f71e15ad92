/* Linearizable reads without a log entry (6.4).
 *
 * A read notes the commit index when it arrives, or the leader's own no-op if that is still under
 * way (every entry committed by an earlier leader stands below it).  Then a majority has to
 * confirm, in a round begun after that moment, that no newer leader exists; then the read may be
 * served from any state that has applied the noted index.
 *
 * A round is a number, never used twice in a term, which every request to a follower carries and
 * every answer echoes.  One round is under way at a time; reads that come meanwhile share the next.
 * A lost round needs no retry: the next heartbeats carry the same number and ask the same question
 * later, which can only be answered later. */
#include "base/fatal.h"
#include "raft/raft_internal.h"

static void begin_round(struct raft *raft)
{
    raft->state.round++;
    raft_send_heartbeats(raft);
}

enum raft_result raft_on_read(struct raft *raft, uint64_t id)
{
    struct raft_state *state = &raft->state;
    check(id != 0);
    if (state->role != RAFT_LEADER)
        return RAFT_NOT_LEADER;
    if (state->reads_count == RAFT_READS_MAX)
        return RAFT_BUSY;
    bool idle = state->round == state->round_confirmed;
    uint32_t at = (state->reads_start + state->reads_count) % RAFT_READS_MAX;
    state->reads[at] = (struct pending_read){
        .id = id,
        .index = state->commit > state->term_start ? state->commit : state->term_start,
        .round = state->round + 1,
    };
    state->reads_count++;
    if (idle)
        begin_round(raft);
    raft_confirm_reads(raft); /* alone, we are the majority */
    return RAFT_OK;
}

uint64_t raft_round_reached(const struct raft *raft)
{
    uint64_t acked[RAFT_MEMBERS_MAX];
    uint32_t count = 0;
    for (uint32_t place = 0; place < raft->members.count; place++)
        if (raft_is_voter(raft, place))
            acked[count++] =
                place == raft->self ? raft->state.round : raft->state.progress[place].round_acked;
    return raft_quorum_reached(acked, count);
}

void raft_confirm_reads(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    uint64_t reached = raft_round_reached(raft);
    if (reached <= state->round_confirmed)
        return;
    state->round_confirmed = reached;
    while (state->reads_count > 0 && state->reads[state->reads_start].round <= reached) {
        const struct pending_read *read = &state->reads[state->reads_start];
        raft->reads_out[raft->reads_out_count++] = (struct raft_read){read->id, read->index};
        state->reads_start = (state->reads_start + 1) % RAFT_READS_MAX;
        state->reads_count--;
    }
    if (state->reads_count > 0 && state->round == state->round_confirmed) {
        begin_round(raft);
        raft_confirm_reads(raft);
    }
}

void raft_fail_reads(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    while (state->reads_count > 0) {
        raft->reads_failed[raft->reads_failed_count++] = state->reads[state->reads_start].id;
        state->reads_start = (state->reads_start + 1) % RAFT_READS_MAX;
        state->reads_count--;
    }
}
