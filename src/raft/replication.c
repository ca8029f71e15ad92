/* A leader's work, and a follower's answer to it (3.5, 3.6.2).
 *
 * Entries flow to a follower that is known to agree with us, several requests ahead of its answers.
 * When one is refused, or the connection breaks, or nothing comes back for long, the leader goes
 * back to asking where the logs agree, with heartbeats, by whole terms at a time. */
#include "base/fatal.h"
#include "raft/raft_internal.h"

enum { RESEND_ELECTIONS = 2, RESEND_DOUBLINGS_MAX = 64 };

static uint32_t resend_ticks_first(const struct raft *raft)
{
    return RESEND_ELECTIONS * raft->config.election_ticks;
}

/* ---- leading -------------------------------------------------------------------------- */

static void append_noop(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    raft_trail_append(&raft->trail, state->term, 0);
    raft->noop = (struct raft_entry){
        .pos = raft_trail_last(&raft->trail),
        .type = RAFT_ENTRY_NOOP,
    };
    raft->write_entries = &raft->noop;
    raft->write_count = 1;
    state->term_start = raft->trail.last;
}

void raft_progress_begin(struct raft *raft, uint32_t place)
{
    check(place < RAFT_MEMBERS_MAX);
    raft_progress_reset(&raft->state.progress[place], raft->trail.last + 1,
                        resend_ticks_first(raft));
}

void raft_become_leader(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    check(state->role == RAFT_CANDIDATE);
    check(state->votes[raft->self] == VOTE_GRANTED);
    check(state->durable_seq >= state->campaign_seq);        /* our vote among them (3.4) */
    check(raft_trail_last(&raft->trail).term < state->term); /* nobody led this term before us */
    check(state->reads_count == 0);                          /* I8 */
    check(raft->write_count == 0);
    state->role = RAFT_LEADER;
    state->leader = raft->config.id;
    state->round = 0;
    state->round_confirmed = 0;
    state->round_ticks = 0;
    state->next_round_asks_all = false;
    state->uncommitted_bytes = 0;
    for (raft_index i = state->commit + 1; i <= raft->trail.last; i++)
        state->uncommitted_bytes += raft_trail_size_at(&raft->trail, i);
    for (uint32_t place = 0; place < raft->members.count; place++)
        raft_progress_begin(raft, place);
    raft->role_changed = true;
    append_noop(raft);
    raft_send_heartbeats(raft);
}

void raft_send_heartbeat(struct raft *raft, uint32_t place)
{
    struct raft_state *state = &raft->state;
    struct progress *progress = &state->progress[place];
    check(state->role == RAFT_LEADER);
    check(place < raft->members.count);
    check(place != raft->self);
    raft_index at = progress->replicating ? progress->match : progress->next - 1;
    check(at <= raft->trail.last); /* we ask about what we have */
    struct raft_message message =
        raft_message_to(raft, raft->members.list[place].id, RAFT_APPEND_REQUEST);
    if (at < raft->trail.first.index) {
        /* It needs what we no longer hold, unless it has more than it could tell us. */
        at = raft->trail.first.index;
        progress->fell_off = true;
    }
    message.append_request.prev = (struct raft_pos){raft_trail_term_at(&raft->trail, at), at};
    message.append_request.commit = state->commit;
    message.append_request.round = state->round;
    raft_send_now(raft, &message);
}

void raft_send_heartbeats(struct raft *raft)
{
    raft->state.heartbeat_elapsed = 0;
    for (uint32_t place = 0; place < raft->members.count; place++)
        if (place != raft->self)
            raft_send_heartbeat(raft, place);
}

/* How many entries from `next` on fit one request: at least one; and their bytes. */
static uint32_t count_that_fits(const struct raft *raft, raft_index next, uint64_t *bytes)
{
    uint32_t count = 0;
    *bytes = 0;
    check(next > raft->trail.first.index);
    check(next <= raft->trail.last);
    while (next + count <= raft->trail.last && count < raft->config.append_entries_max) {
        uint32_t size = raft_trail_size_at(&raft->trail, next + count);
        if (count > 0 && *bytes + size > raft->config.append_bytes_max)
            break;
        *bytes += size;
        count++;
    }
    check(count > 0); /* none would be a heartbeat that counts as under way */
    return count;
}

/* A member that is behind gets no more ahead of its answers than it can take in a while. */
static bool window_is_open(const struct raft *raft, const struct progress *progress)
{
    return progress->inflight_count < raft->config.inflight_max &&
           (progress->inflight_count == 0 ||
            progress->inflight_bytes < raft->config.inflight_bytes_max);
}

void raft_send_entries(struct raft *raft, uint32_t place)
{
    struct raft_state *state = &raft->state;
    struct progress *progress = &state->progress[place];
    check(state->role == RAFT_LEADER);
    check(place < raft->members.count);
    if (place == raft->self)
        return;
    while (progress->replicating && progress->next <= raft->trail.last &&
           window_is_open(raft, progress)) {
        raft_index prev = progress->next - 1;
        progress->fell_off = prev < raft->trail.first.index;
        if (progress->fell_off)
            return;
        uint64_t bytes;
        uint32_t count = count_that_fits(raft, progress->next, &bytes);
        struct raft_message message =
            raft_message_to(raft, raft->members.list[place].id, RAFT_APPEND_REQUEST);
        message.append_request.prev =
            (struct raft_pos){raft_trail_term_at(&raft->trail, prev), prev};
        message.append_request.commit = state->commit;
        message.append_request.round = state->round;
        message.append_request.count = count;
        raft_send_now(raft, &message);
        raft_progress_sent(progress, prev + count, bytes);
    }
}

bool raft_takes_proposals(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    return state->role == RAFT_LEADER && state->transfer_to == RAFT_NOBODY &&
           state->writes_count < RAFT_WRITES_MAX / 2 &&
           state->uncommitted_bytes < raft->config.uncommitted_bytes_max;
}

enum raft_result raft_on_propose(struct raft *raft, struct raft_entry *entries, uint32_t count)
{
    struct raft_state *state = &raft->state;
    check(count > 0);
    if (state->role != RAFT_LEADER)
        return RAFT_NOT_LEADER;
    if (!raft_takes_proposals(raft))
        return RAFT_BUSY;
    check(raft->write_count == 0);
    check(raft->trail.last >= state->term_start); /* our no-op stands before all of them (6.4) */
    enum raft_result result = raft_members_proposed(raft, entries, count);
    if (result != RAFT_OK)
        return result;
    for (uint32_t i = 0; i < count; i++) {
        raft_trail_append(&raft->trail, state->term, entries[i].size);
        entries[i].pos = raft_trail_last(&raft->trail);
        state->uncommitted_bytes += entries[i].size;
    }
    raft_members_appended(raft, entries, count);
    raft->write_entries = entries;
    raft->write_count = count;
    for (uint32_t place = 0; place < raft->members.count; place++)
        raft_send_entries(raft, place);
    if (entries[0].type == RAFT_ENTRY_MEMBERS) {
        raft_send_heartbeats(raft); /* a new one is asked at once where it is */
        raft_confirm_reads(raft);   /* left alone, it waits for nobody */
    }
    return RAFT_OK;
}

/* Where the commit index would stand if our own log were durable up to `durable`. Only an entry of
 * our own term is committed by counting; what lies below it follows (3.6.2). */
static raft_index commit_with(const struct raft *raft, raft_index durable)
{
    const struct raft_state *state = &raft->state;
    raft_index matches[RAFT_MEMBERS_MAX];
    uint32_t count = 0;
    for (uint32_t place = 0; place < raft->members.count; place++)
        if (raft_is_voter(raft, place))
            matches[count++] = place == raft->self ? durable : state->progress[place].match;
    raft_index reached = raft_quorum_reached(matches, count);
    check(durable <= raft->trail.last);
    check(reached <= raft->trail.last); /* no majority has what its leader lacks (3.4) */
    if (reached <= state->commit || raft_trail_term_at(&raft->trail, reached) != state->term)
        return state->commit;
    return reached;
}

bool raft_own_disk_commits(const struct raft *raft)
{
    return commit_with(raft, raft->trail.last) > raft->state.commit;
}

/* Our own part counts as far as our disk has it. */
void raft_advance_commit(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    raft_index reached = commit_with(raft, state->durable);
    check(state->role == RAFT_LEADER);
    check(reached >= state->commit);
    for (raft_index i = state->commit + 1; i <= reached; i++)
        state->uncommitted_bytes -= raft_trail_size_at(&raft->trail, i);
    check(state->uncommitted_bytes == 0 || reached < raft->trail.last); /* I10 */
    state->commit = reached;
}

/* A leader that no majority answered for two election timeouts steps down, so that its clients look
 * elsewhere (6.2).  One would do, but is needless where the others only got no processor, or no
 * disk, for so long: they still follow us when they go on.  Where they do not hear us either, they
 * have elected another by then. */
enum { SILENT_ELECTIONS = 2 };

static bool answers_at_times(const struct raft *raft, uint32_t place)
{
    uint32_t idle_ticks = raft->state.progress[place].idle_ticks;
    return idle_ticks / SILENT_ELECTIONS < raft->config.election_ticks;
}

static void check_quorum(struct raft *raft)
{
    uint32_t active = 0;
    for (uint32_t place = 0; place < raft->members.count; place++)
        active +=
            raft_is_voter(raft, place) && (place == raft->self || answers_at_times(raft, place));
    if (active < raft_quorum_size(raft_voters_count(raft)))
        raft_become_follower(raft, RAFT_NOBODY);
}

/* A large value takes its time to be sent and written; to send it again meanwhile would double
 * that. */
static uint64_t patience_ticks(const struct raft *raft, const struct progress *progress)
{
    uint64_t elections = progress->inflight_bytes / RAFT_BYTES_AN_ELECTION;
    return progress->resend_ticks + elections * raft->config.election_ticks;
}

/* The transport reports broken connections; this is for messages that vanish without a word.  The
 * wait doubles, because what is on a slow line is not lost. */
static void tick_progress(struct raft *raft, struct progress *progress)
{
    if (progress->idle_ticks < UINT32_MAX)
        progress->idle_ticks++;
    if (progress->inflight_count == 0)
        return;
    check(progress->replicating); /* I9 */
    if (++progress->silent_ticks < patience_ticks(raft, progress))
        return;
    uint32_t longest = resend_ticks_first(raft) * RESEND_DOUBLINGS_MAX;
    if (progress->resend_ticks < longest)
        progress->resend_ticks *= 2;
    raft_progress_probe(progress, progress->match + 1);
}

void raft_tick_leader(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    check(state->role == RAFT_LEADER);
    for (uint32_t place = 0; place < raft->members.count; place++)
        tick_progress(raft, &state->progress[place]);
    check_quorum(raft);
    if (state->role != RAFT_LEADER)
        return;
    raft_check_disk(raft);
    if (state->role != RAFT_LEADER)
        return;
    raft_tick_round(raft);
    raft_tick_transfer(raft);
    if (++state->heartbeat_elapsed >= raft->config.heartbeat_ticks)
        raft_send_heartbeats(raft);
}

void raft_on_unreachable(struct raft *raft, raft_node_id node)
{
    uint32_t place = raft_member_place(raft, node);
    if (raft->state.role != RAFT_LEADER || place == raft->members.count || place == raft->self)
        return;
    struct progress *progress = &raft->state.progress[place];
    if (progress->replicating)
        raft_progress_probe(progress, progress->match + 1);
    raft_ask_instead(raft, place);
}

static void on_matched(struct raft *raft, uint32_t place, struct raft_pos hint)
{
    struct progress *progress = &raft->state.progress[place];
    if (hint.index >= raft->trail.first.index &&
        raft_trail_term_at(&raft->trail, hint.index) != hint.term)
        return; /* not an answer to anything we asked */
    bool rose = raft_progress_matched(progress, hint.index, resend_ticks_first(raft));
    if (!progress->replicating)
        raft_progress_replicate(progress);
    check(progress->match >= hint.index);
    check(progress->next <= raft->trail.last + 1); /* I5 */
    progress->fell_off = progress->next <= raft->trail.first.index;
    if (rose)
        raft_advance_commit(raft);
    raft_send_entries(raft, place);
}

static void on_rejected(struct raft *raft, uint32_t place, struct raft_pos hint)
{
    struct progress *progress = &raft->state.progress[place];
    /* An answer to an earlier question: what it says is known, or was overtaken. */
    if (progress->replicating ? hint.index < progress->match : hint.index + 1 >= progress->next)
        return;
    struct raft_pos probe = raft_trail_probe_below(&raft->trail, hint);
    raft_index next = probe.index > progress->match ? probe.index + 1 : progress->match + 1;
    check(next <= raft->trail.last + 1); /* I5 */
    raft_progress_probe(progress, next);
    /* It does not have even the first position that we hold: asking at once would give the same. */
    progress->fell_off =
        next == raft->trail.first.index + 1 && hint.index < raft->trail.first.index;
    if (!progress->fell_off)
        raft_send_heartbeat(raft, place);
}

void raft_on_append_response(struct raft *raft, const struct raft_message *message)
{
    struct raft_state *state = &raft->state;
    if (state->role != RAFT_LEADER)
        return;
    struct raft_pos hint = message->append_response.hint;
    uint64_t round = message->append_response.round;
    if (hint.index > raft->trail.last || round > state->round)
        return; /* not an answer to anything we asked */
    uint32_t place = raft_member_place(raft, message->from);
    check(place < raft->members.count); /* may_say() */
    check(place != raft->self);
    struct progress *progress = &state->progress[place];
    progress->idle_ticks = 0;
    if (message->append_response.matched)
        on_matched(raft, place, hint);
    else
        on_rejected(raft, place, hint);
    if (round > progress->round_acked) {
        progress->round_acked = round;
        raft_confirm_reads(raft);
    }
    raft_continue_transfer(raft);
}

/* ---- following --------------------------------------------------------------------------- */

/* A leader's entries continue its prev without a gap, no term falls or exceeds the leader's, and
 * what is called a list of members is one. */
static bool well_formed(const struct raft_message *message)
{
    struct raft_members members;
    struct raft_pos at = message->append_request.prev;
    if (at.term > message->term || at.index > UINT64_MAX / 2)
        return false;
    for (uint32_t i = 0; i < message->append_request.count; i++) {
        const struct raft_entry *entry = &message->append_request.entries[i];
        if (entry->pos.index != at.index + 1 || entry->pos.term < at.term ||
            entry->pos.term > message->term)
            return false;
        if (entry->type == RAFT_ENTRY_MEMBERS && !raft_members_of_entry(entry, &members))
            return false;
        at = entry->pos;
    }
    return true;
}

/* A follower takes entries only behind a place where it agrees with the leader; so logs that agree
 * at one index and term agree everywhere below (3.5).  What lies at or below `first` was committed:
 * every later leader has the same there. */
static bool agrees_at(const struct raft *raft, struct raft_pos pos)
{
    if (pos.index < raft->trail.first.index)
        return true;
    return pos.index <= raft->trail.last && raft_trail_term_at(&raft->trail, pos.index) == pos.term;
}

/* Takes over what we lack.  What conflicts goes, and all behind it; what agrees stays, even if it
 * is more than the leader sent: an old request that comes late must not cut what a newer one
 * brought (3.5).  False if that would change what we know to be committed: the sender is not of our
 * cluster's history, and must not be obeyed. */
static bool take_entries(struct raft *raft, const struct raft_message *message)
{
    const struct raft_entry *entries = message->append_request.entries;
    uint32_t count = message->append_request.count;
    uint32_t known = 0;
    while (known < count && agrees_at(raft, entries[known].pos))
        known++;
    if (known == count)
        return true;
    if (entries[known].pos.index <= raft->state.commit)
        return false;
    if (entries[known].pos.index <= raft->trail.last)
        raft_cut_log(raft, entries[known].pos.index);
    check(raft->write_count == 0);
    check(entries[known].pos.index == raft->trail.last + 1); /* the trail counts by itself */
    for (uint32_t i = known; i < count; i++)
        raft_trail_append(&raft->trail, entries[i].pos.term, entries[i].size);
    check(raft->trail.last == entries[count - 1].pos.index);
    raft_members_appended(raft, entries + known, count - known);
    raft->write_entries = entries + known;
    raft->write_count = count - known;
    return true;
}

static void answer_matched(struct raft *raft, const struct raft_message *message,
                           struct raft_pos hint)
{
    struct raft_message answer = raft_message_to(raft, message->from, RAFT_APPEND_RESPONSE);
    check(hint.index <= raft->trail.last);
    answer.append_response.matched = true;
    answer.append_response.hint = hint;
    answer.append_response.round = message->append_request.round;
    if (hint.index <= raft->state.durable)
        raft_send_after_hard_state(raft, &answer);
    else
        raft_send_after_writes(raft, &answer);
}

static void answer_rejected(struct raft *raft, const struct raft_message *message)
{
    struct raft_pos prev = message->append_request.prev;
    struct raft_message answer = raft_message_to(raft, message->from, RAFT_APPEND_RESPONSE);
    answer.append_response.hint =
        raft_trail_probe_below(&raft->trail, (struct raft_pos){prev.term, prev.index - 1});
    answer.append_response.round = message->append_request.round;
    raft_send_after_hard_state(raft, &answer);
}

void raft_on_append_request(struct raft *raft, const struct raft_message *message)
{
    struct raft_state *state = &raft->state;
    if (state->role == RAFT_LEADER || !well_formed(message))
        return;
    if (state->role != RAFT_FOLLOWER || state->leader != message->from)
        raft_become_follower(raft, message->from);
    state->election_elapsed = 0;
    struct raft_pos prev = message->append_request.prev;
    if (!agrees_at(raft, prev)) {
        answer_rejected(raft, message);
        return;
    }
    if (!take_entries(raft, message))
        return;
    uint32_t count = message->append_request.count;
    struct raft_pos end = count > 0 ? message->append_request.entries[count - 1].pos : prev;
    raft_index commit = message->append_request.commit;
    if (commit > end.index)
        commit = end.index;
    if (commit > state->commit)
        state->commit = commit;
    answer_matched(raft, message, end);
}
