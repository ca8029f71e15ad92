/* Who leads: timers, pre-votes, votes (3.4, 3.6, 9.6).
 *
 * A node asks first whether it could win (pre-vote) and only then raises its term, so that a node
 * which comes back from a partition does not depose a working leader.  Members that hear a leader
 * grant neither (4.2.3), unless that leader itself asked for the change.
 *
 * The timer restarts only when the leader of our term spoke or a vote was given away.
 *
 * Nobody waits for a leader whose process has ended (RAFT_INPUT_GONE): the voters stand one after
 * the other, in the order of their places behind it, so that the first is not in the next one's
 * way.  Whoever is wrong about the end asks for pre-votes in vain, as the others hold to it. */
#include "base/fatal.h"
#include "base/prng.h"
#include "raft/raft_internal.h"

/* Drawn anew each time, so that two that stand at once rarely do so twice (3.4). */
static void restart_timer(struct raft *raft)
{
    uint32_t base = raft->config.election_ticks;
    raft->state.election_elapsed = 0;
    raft->state.election_timeout = base + (uint32_t)prng_below(&raft->state.prng, base);
}

void raft_become_follower(struct raft *raft, raft_node_id leader)
{
    struct raft_state *state = &raft->state;
    bool was_leader = state->role == RAFT_LEADER;
    check(leader != raft->config.id);
    if (was_leader)
        raft_fail_reads(raft);
    check(state->reads_count == 0); /* I8 */
    state->transfer_to = RAFT_NOBODY;
    state->role = RAFT_FOLLOWER;
    state->leader = leader;
    raft->role_changed = true;
    if (was_leader || leader != RAFT_NOBODY || state->election_timeout == 0)
        restart_timer(raft);
}

bool raft_holds_to_leader(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    if (state->role == RAFT_LEADER)
        return true;
    return state->leader != RAFT_NOBODY && state->election_elapsed < raft->config.election_ticks;
}

static uint32_t votes_of(const struct raft *raft, enum vote_state vote)
{
    uint32_t count = 0;
    for (uint32_t place = 0; place < raft->members.count; place++)
        count += raft_is_voter(raft, place) && raft->state.votes[place] == vote;
    return count;
}

static bool has_majority(const struct raft *raft, enum vote_state vote)
{
    return votes_of(raft, vote) >= raft_quorum_size(raft_voters_count(raft));
}

static void begin_votes(struct raft *raft, enum raft_role role)
{
    struct raft_state *state = &raft->state;
    check(state->role != RAFT_LEADER);
    check(raft->self < RAFT_MEMBERS_MAX);
    state->role = role;
    state->leader = RAFT_NOBODY;
    for (uint32_t place = 0; place < RAFT_MEMBERS_MAX; place++)
        state->votes[place] = VOTE_NONE;
    restart_timer(raft);
    raft->role_changed = true;
}

/* Calls `send` for a vote request to every other voter. */
static void ask_for_votes(struct raft *raft, bool pre_vote,
                          void (*send)(struct raft *raft, const struct raft_message *message))
{
    check(raft->state.role == (pre_vote ? RAFT_PRE_CANDIDATE : RAFT_CANDIDATE));
    check(pre_vote || raft->hard_state_changed); /* it waits for the write of our own vote */
    for (uint32_t place = 0; place < raft->members.count; place++) {
        if (place == raft->self || !raft_is_voter(raft, place))
            continue;
        struct raft_message message =
            raft_message_to(raft, raft->members.list[place].id, RAFT_VOTE_REQUEST);
        message.vote_request.last = raft_trail_last(&raft->trail);
        message.vote_request.pre_vote = pre_vote;
        message.vote_request.transfer = !pre_vote && raft->state.campaign_transfer;
        if (pre_vote)
            message.term = raft->state.term + 1;
        send(raft, &message);
    }
}

/* Our own vote counts, and the others are asked, only once it is on disk: after a crash in between
 * we could raft_campaign again in this very term with a shorter log, and collect votes that were
 * given to the longer one. */
void raft_campaign(struct raft *raft, bool transfer)
{
    raft_set_term(raft, raft->state.term + 1, raft->config.id);
    begin_votes(raft, RAFT_CANDIDATE);
    raft->state.campaign_seq = raft->state.write_seq + 1; /* this step's write */
    raft->state.campaign_transfer = transfer;
    ask_for_votes(raft, false, raft_send_after_hard_state);
}

static void campaign_pre(struct raft *raft)
{
    begin_votes(raft, RAFT_PRE_CANDIDATE);
    raft->state.votes[raft->self] = VOTE_GRANTED;
    if (has_majority(raft, VOTE_GRANTED))
        raft_campaign(raft, false);
    else
        ask_for_votes(raft, true, raft_send_now);
}

void raft_own_vote_durable(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    if (state->role != RAFT_CANDIDATE || state->durable_seq < state->campaign_seq)
        return;
    check(state->hard_state_seq == state->campaign_seq); /* nothing has replaced the vote since */
    state->votes[raft->self] = VOTE_GRANTED;
    if (has_majority(raft, VOTE_GRANTED))
        raft_become_leader(raft);
}

/* A node whose disk hangs could not keep the office (disk.c). */
static bool may_campaign(const struct raft *raft)
{
    return raft_members_may_stand(raft) && !raft_disk_hangs(raft);
}

void raft_tick_follower(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    state->election_elapsed++;
    if (state->election_elapsed >= state->election_timeout && may_campaign(raft))
        campaign_pre(raft);
}

/* Whose pre-vote was refused because its term is lower asks again at once in the one that it
 * learns: else it would sit out its timer, and another election timeout would pass without a
 * leader.  It may do so as often as it learns of a higher term. */
void raft_adopt_term(struct raft *raft, const struct raft_message *message)
{
    bool asked = raft->state.role == RAFT_PRE_CANDIDATE && message->type == RAFT_VOTE_RESPONSE &&
                 message->vote_response.pre_vote;
    check(message->term > raft->state.term);
    raft_set_term(raft, message->term, RAFT_NOBODY);
    raft_become_follower(raft, RAFT_NOBODY);
    if (asked && may_campaign(raft))
        campaign_pre(raft);
}

/* The vote goes to nobody whose log is older than ours: the later last term wins, at equal terms
 * the longer log.  A committed entry is on a majority, so whoever wins has it (3.6.1, 3.6.3). */
static bool up_to_date(const struct raft *raft, struct raft_pos last)
{
    struct raft_pos ours = raft_trail_last(&raft->trail);
    return last.term > ours.term || (last.term == ours.term && last.index >= ours.index);
}

static void on_pre_vote_request(struct raft *raft, const struct raft_message *message)
{
    bool grant = message->term > raft->state.term && !raft_holds_to_leader(raft) &&
                 up_to_date(raft, message->vote_request.last);
    struct raft_message answer = raft_message_to(raft, message->from, RAFT_VOTE_RESPONSE);
    check(!grant || raft->state.role != RAFT_LEADER);
    answer.vote_response.pre_vote = true;
    answer.vote_response.granted = grant;
    if (grant)
        answer.term = message->term; /* says which question it answers */
    raft_send_after_hard_state(raft, &answer);
}

/* One vote a term, to whoever asks first, and kept over restarts: so a term has one leader at most
 * (3.4). */
void raft_on_vote_request(struct raft *raft, const struct raft_message *message)
{
    struct raft_state *state = &raft->state;
    if (message->vote_request.pre_vote) {
        on_pre_vote_request(raft, message);
        return;
    }
    check(message->term == state->term);
    bool free = state->voted_for == RAFT_NOBODY || state->voted_for == message->from;
    bool grant = free && up_to_date(raft, message->vote_request.last);
    if (grant && state->voted_for == RAFT_NOBODY) {
        check(state->role != RAFT_LEADER); /* it voted for itself, as a candidate did: I4 */
        check(state->role != RAFT_CANDIDATE);
        raft_set_term(raft, state->term, message->from);
        if (state->role == RAFT_PRE_CANDIDATE)
            raft_become_follower(raft, RAFT_NOBODY);
        restart_timer(raft);
    }
    struct raft_message answer = raft_message_to(raft, message->from, RAFT_VOTE_RESPONSE);
    check(!grant || state->voted_for == message->from); /* what we say is what the disk will have */
    answer.vote_response.granted = grant;
    raft_send_after_hard_state(raft, &answer);
}

void raft_on_vote_response(struct raft *raft, const struct raft_message *message)
{
    struct raft_state *state = &raft->state;
    bool pre_vote = message->vote_response.pre_vote;
    bool granted = message->vote_response.granted;
    raft_term asked = pre_vote && granted ? state->term + 1 : state->term;
    if (state->role != (pre_vote ? RAFT_PRE_CANDIDATE : RAFT_CANDIDATE) || message->term != asked)
        return;
    uint32_t place = raft_member_place(raft, message->from);
    check(place < raft->members.count); /* may_say() */
    check(place != raft->self);
    enum vote_state *vote = &state->votes[place];
    /* Nor can a refused pre-vote be told from the answer to an older question: its term is all that
     * it says. */
    if (pre_vote && !granted)
        return;
    /* A vote that was given is given; a refusal may be the answer to an older question. */
    if (granted || *vote == VOTE_NONE)
        *vote = granted ? VOTE_GRANTED : VOTE_REFUSED;
    if (has_majority(raft, VOTE_GRANTED)) {
        if (pre_vote)
            raft_campaign(raft, false);
        else if (state->votes[raft->self] == VOTE_GRANTED)
            raft_become_leader(raft);
    } else if (has_majority(raft, VOTE_REFUSED)) {
        raft_become_follower(raft, RAFT_NOBODY);
    }
}

/* How many voters stand before us where the one at `place` is gone. */
static uint32_t turn_after(const struct raft *raft, uint32_t place)
{
    uint32_t before = 0, count = raft->members.count;
    check(raft->self < count); /* else the round never comes to its end */
    check(place != raft->self);
    for (uint32_t next = (place + 1) % count; next != raft->self; next = (next + 1) % count)
        before += raft_is_voter(raft, next) && next != place;
    return before;
}

/* What the timer says then counts from now. */
void raft_on_gone(struct raft *raft, raft_node_id node)
{
    struct raft_state *state = &raft->state;
    uint32_t place = raft_member_place(raft, node);
    if (state->role != RAFT_FOLLOWER || state->leader != node || place == raft->members.count ||
        !raft_is_voter(raft, raft->self))
        return;
    raft_become_follower(raft, RAFT_NOBODY);
    state->election_elapsed = 0;
    state->election_timeout = 1 + turn_after(raft, place) * RAFT_TURN_TICKS;
}

void raft_on_timeout_now(struct raft *raft, const struct raft_message *message)
{
    if (raft->state.role != RAFT_FOLLOWER || raft->state.leader != message->from)
        return;
    if (may_campaign(raft))
        raft_campaign(raft, true);
}
