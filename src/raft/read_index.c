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
 * later, which can only be answered later.
 *
 * Asked are those whose answers confirmed the round before, so no more than are needed, and the
 * quickest of then: a read costs the others nothing.  The heartbeats, and entries, ask the others
 * as well, so that one that has become quicker takes the place.  All are asked where those are not
 * enough, and when one of them is silent or not reachable.
 *
 * A read that a member forwarded brings what a round asks for: the member was in our term when it
 * sent it, which was after the read was asked, and as we are in that term now, we were in no later
 * one then.  Where the two of us are a majority, "there could not have existed a leader for a
 * greater term at the moment" (6.4) that the member sent it: so what was committed by then is in
 * our log, up to the commit index that we have now, or below our no-op.  How late it comes does not
 * matter, nor what the list of members was when it was sent (proofs/coq/Reads.v).  It says nothing
 * of any other read, which may have been asked behind it. */
#include "base/fatal.h"
#include "raft/raft_internal.h"

enum { PATIENCE_TICKS = 2 }; /* with those that are asked and do not answer */

static bool is_under_way(const struct raft *raft)
{
    return raft->state.round != raft->state.round_confirmed;
}

static bool is_asked(const struct raft *raft, uint32_t place)
{
    return raft_is_voter(raft, place) &&
           (place == raft->self || raft->state.progress[place].is_quick);
}

static bool quick_are_enough(const struct raft *raft)
{
    uint32_t count = 0;
    for (uint32_t place = 0; place < raft->members.count; place++)
        count += is_asked(raft, place);
    return count >= raft_quorum_size(raft_voters_count(raft));
}

static void begin_round(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    check(state->role == RAFT_LEADER);
    check(!is_under_way(raft));
    check(state->reads_count > 0);
    state->round++;
    state->round_ticks = 0;
    if (state->next_round_asks_all || !quick_are_enough(raft)) {
        raft_send_heartbeats(raft);
    } else {
        for (uint32_t place = 0; place < raft->members.count; place++)
            if (place != raft->self && is_asked(raft, place))
                raft_send_heartbeat(raft, place);
    }
    state->next_round_asks_all = false;
}

bool raft_ack_suffices(const struct raft *raft, struct raft_ack ack)
{
    uint32_t place = raft_member_place(raft, ack.from);
    if (raft->state.role != RAFT_LEADER || ack.term != raft->state.term)
        return false;
    uint32_t count = 0;
    count += raft_is_voter(raft, raft->self);
    count += place != raft->self && raft_is_voter(raft, place);
    return count >= raft_quorum_size(raft_voters_count(raft));
}

static void give_read(struct raft *raft, uint64_t id, raft_index index)
{
    check(raft->reads_out_count < RAFT_READS_MAX);
    check(index >= raft->state.term_start); /* all that earlier leaders committed is below (6.4) */
    check(index <= raft->trail.last);
    raft->reads_out[raft->reads_out_count++] = (struct raft_read){id, index};
}

enum raft_result raft_on_read(struct raft *raft, uint64_t id, bool asks_all, struct raft_ack ack)
{
    struct raft_state *state = &raft->state;
    check(id != 0);
    if (state->role != RAFT_LEADER)
        return RAFT_NOT_LEADER;
    raft_index index = state->commit > state->term_start ? state->commit : state->term_start;
    if (raft_ack_suffices(raft, ack)) {
        give_read(raft, id, index);
        return RAFT_OK;
    }
    if (state->reads_count == RAFT_READS_MAX)
        return RAFT_BUSY;
    bool idle = !is_under_way(raft);
    uint32_t at = (state->reads_start + state->reads_count) % RAFT_READS_MAX;
    state->reads[at] = (struct pending_read){
        .id = id,
        .index = index,
        .round = state->round + 1,
    };
    state->reads_count++;
    state->next_round_asks_all |= asks_all;
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
    check(state->role == RAFT_LEADER);
    check(reached <= state->round); /* nobody answers what was not asked */
    if (reached <= state->round_confirmed)
        return;
    state->round_confirmed = reached;
    for (uint32_t place = 0; place < raft->members.count; place++)
        state->progress[place].is_quick = state->progress[place].round_acked >= reached;
    while (state->reads_count > 0 && state->reads[state->reads_start].round <= reached) {
        const struct pending_read *read = &state->reads[state->reads_start];
        give_read(raft, read->id, read->index);
        state->reads_start = (state->reads_start + 1) % RAFT_READS_MAX;
        state->reads_count--;
    }
    if (state->reads_count > 0 && !is_under_way(raft)) {
        begin_round(raft);
        raft_confirm_reads(raft);
    }
}

void raft_tick_round(struct raft *raft)
{
    bool was_silent = false;
    if (!is_under_way(raft) || ++raft->state.round_ticks < PATIENCE_TICKS)
        return;
    for (uint32_t place = 0; place < raft->members.count; place++) {
        struct progress *progress = &raft->state.progress[place];
        bool is_silent = progress->is_quick && progress->round_acked < raft->state.round;
        progress->is_quick &= !is_silent;
        was_silent |= is_silent;
    }
    if (was_silent)
        raft_send_heartbeats(raft);
}

void raft_ask_instead(struct raft *raft, uint32_t place)
{
    check(place < raft->members.count);
    check(place != raft->self);
    bool was_quick = raft->state.progress[place].is_quick;
    raft->state.progress[place].is_quick = false;
    if (was_quick && is_under_way(raft))
        raft_send_heartbeats(raft);
}

void raft_fail_reads(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    while (state->reads_count > 0) {
        check(raft->reads_failed_count < RAFT_READS_MAX);
        raft->reads_failed[raft->reads_failed_count++] = state->reads[state->reads_start].id;
        state->reads_start = (state->reads_start + 1) % RAFT_READS_MAX;
        state->reads_count--;
    }
}
