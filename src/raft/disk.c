/* A disk that hangs without an error: no write is finished for some election timeouts while one is
 * under way.  Such a leader answers heartbeats and commits what the others have, so that nothing in
 * the algorithm takes its office; but it applies nothing, and so none of its clients gets an
 * answer.
 *
 * The thesis knows only nodes that fail by stopping (2.1).  Here a leader whose disk hangs hands
 * over, if the others alone are a majority; else they could not elect anybody, and it stays.  It
 * then does not campaign, whether its timer or another leader tells it to, until its disk answers:
 * it would win, because its log is as good as any, and the office would be lost again.  A disk that
 * is slow, but finishes writes, is none that hangs; and a large write takes long on a good one, so
 * it is given longer. */
#include "base/fatal.h"
#include "raft/raft_internal.h"

enum { HANG_ELECTIONS = 5 };

static uint64_t bytes_under_way(const struct raft *raft)
{
    uint64_t bytes = 0;
    for (raft_index i = raft->state.durable + 1; i <= raft->trail.last; i++)
        bytes += raft_trail_size_at(&raft->trail, i);
    return bytes;
}

bool raft_disk_hangs(const struct raft *raft)
{
    uint64_t silent_elections = raft->state.disk_silent_ticks / raft->config.election_ticks;
    return silent_elections >= HANG_ELECTIONS &&
           silent_elections >= HANG_ELECTIONS + bytes_under_way(raft) / RAFT_BYTES_AN_ELECTION;
}

void raft_tick_disk(struct raft *raft)
{
    check(raft->state.writes_count > 0 || raft->state.disk_silent_ticks == 0);
    if (raft->state.writes_count > 0 && raft->state.disk_silent_ticks < UINT32_MAX)
        raft->state.disk_silent_ticks++;
}

/* A leader's own part of a majority mostly comes first, and then it is of no use yet: nothing in
 * the core changes but numbers.  So does nothing at a follower whose answer needs no core. */
bool raft_awaits_disk(const struct raft *raft, bool is_promised)
{
    const struct raft_state *state = &raft->state;
    if (state->durable_seq == state->write_seq)
        return false;
    check(state->writes_count > 0);
    struct raft_message answer;
    bool is_calm = state->role == RAFT_LEADER ? state->withheld_count == 0
                                              : is_promised && raft_promised(raft, &answer);
    return !is_calm || state->hard_state_seq > state->durable_seq ||
           state->commit > state->durable || state->writes_count >= RAFT_WRITES_MAX / 2 ||
           (state->role == RAFT_LEADER && raft_own_disk_commits(raft));
}

static bool others_are_a_majority(const struct raft *raft)
{
    uint32_t active = 0;
    for (uint32_t place = 0; place < raft->members.count; place++)
        active += place != raft->self && raft_is_voter(raft, place) && raft_is_active(raft, place);
    return active >= raft_quorum_size(raft_voters_count(raft));
}

/* The best of the others is told to campaign at once (3.10), which saves an election timeout.
 * Should it lose, because another has more, the timers decide as ever. */
void raft_check_disk(struct raft *raft)
{
    if (!raft_disk_hangs(raft) || !others_are_a_majority(raft))
        return;
    raft_hand_over(raft, raft_transfer_best(raft));
}
