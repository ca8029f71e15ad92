/* One step: adopt a higher term first, then handle the input at equal terms, one function for each
 * kind, then number the disk write and collect the output.  The same micro-steps as the model in
 * proofs/: every path through here is a sequence of them. */
#include "raft/raft.h"

#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "base/prng.h"
#include "raft/raft_internal.h"

/* A peer that has proved who it is can still be broken: terms beyond this are not believed, so that
 * term + 1 never wraps. */
#define RAFT_TERM_MAX (UINT64_MAX / 4)

uint32_t raft_member_place(const struct raft *raft, raft_node_id id)
{
    return raft_members_place(&raft->members, id);
}

bool raft_is_active(const struct raft *raft, uint32_t place)
{
    check(place < raft->members.count);
    return raft->state.progress[place].idle_ticks < raft->config.election_ticks;
}

uint32_t raft_voters_count(const struct raft *raft)
{
    return raft_members_voters(&raft->members);
}

struct raft_message raft_message_to(const struct raft *raft, raft_node_id to,
                                    enum raft_message_type type)
{
    struct raft_message message;
    check(to != raft->config.id);
    memset(&message, 0, sizeof message);
    message.type = type;
    message.from = raft->config.id;
    message.to = to;
    message.term = raft->state.term;
    return message;
}

void raft_send_now(struct raft *raft, const struct raft_message *message)
{
    check(raft->messages_count < RAFT_MESSAGES_MAX);
    check(message->from == raft->config.id);
    check(message->term >= raft->state.term); /* what was withheld, too */
    check(message->type != RAFT_APPEND_REQUEST || raft->state.role == RAFT_LEADER);
    check(message->type != RAFT_TIMEOUT_NOW || raft->state.role == RAFT_LEADER);
    raft->messages[raft->messages_count++] = *message;
}

static void send_after(struct raft *raft, const struct raft_message *message, uint64_t seq)
{
    struct raft_state *state = &raft->state;
    if (seq <= state->durable_seq) {
        raft_send_now(raft, message);
        return;
    }
    check(seq <= state->write_seq + 1);          /* a write that there is, or will be */
    check(message->type != RAFT_APPEND_REQUEST); /* what it says of commit would be old by then */
    check(state->withheld_count <= RAFT_WITHHELD_MAX);
    if (state->withheld_count == RAFT_WITHHELD_MAX) {
        /* The oldest goes: to the others it is a lost message. */
        state->withheld_count--;
        memmove(state->withheld, state->withheld + 1,
                state->withheld_count * sizeof state->withheld[0]);
    }
    state->withheld[state->withheld_count++] = (struct withheld){seq, *message};
}

/* The number that this step's write will get. */
static uint64_t next_seq(const struct raft *raft)
{
    return raft->state.write_seq + 1;
}

void raft_send_after_hard_state(struct raft *raft, const struct raft_message *message)
{
    send_after(raft, message,
               raft->hard_state_changed ? next_seq(raft) : raft->state.hard_state_seq);
}

void raft_send_after_writes(struct raft *raft, const struct raft_message *message)
{
    bool writing = raft->hard_state_changed || raft->write_count > 0;
    send_after(raft, message, writing ? next_seq(raft) : raft->state.write_seq);
}

void raft_set_term(struct raft *raft, raft_term term, raft_node_id voted_for)
{
    check(term >= raft->state.term);
    check(term > raft->state.term || raft->state.voted_for == RAFT_NOBODY); /* a vote stays (3.4) */
    if (term > raft->state.term)
        raft->state.withheld_count = 0; /* what was promised in an earlier one is of no use */
    raft->state.term = term;
    raft->state.voted_for = voted_for;
    raft->hard_state_changed = true;
}

/* Writes under way from now on count only for what they share with the new log: a late
 * acknowledgement of the old entry 7 must not count for the new entry 7. */
void raft_cut_log(struct raft *raft, raft_index from)
{
    struct raft_state *state = &raft->state;
    check(from > state->commit);
    check(from <= raft->trail.last);
    check(state->role != RAFT_LEADER); /* it only appends (3.4) */
    raft_trail_cut(&raft->trail, from);
    raft_members_cut(raft, from);
    if (state->durable >= from)
        state->durable = from - 1;
    for (uint32_t i = 0; i < state->writes_count; i++) {
        struct write_under_way *write = &state->writes[(state->writes_start + i) % RAFT_WRITES_MAX];
        if (write->end >= from)
            write->end = from - 1;
    }
}

/* ---- inputs ------------------------------------------------------------------- */

static void on_stale_message(struct raft *raft, const struct raft_message *message)
{
    struct raft_message answer;
    check(message->term < raft->state.term);
    if (message->type == RAFT_APPEND_REQUEST) {
        /* A leader of an earlier term learns ours, so that it cannot hold us out for ever. */
        answer = raft_message_to(raft, message->from, RAFT_APPEND_RESPONSE);
        raft_send_after_hard_state(raft, &answer);
    } else if (message->type == RAFT_VOTE_REQUEST) {
        answer = raft_message_to(raft, message->from, RAFT_VOTE_RESPONSE);
        raft_send_after_hard_state(raft, &answer);
    }
}

static void on_current_message(struct raft *raft, const struct raft_message *message)
{
    check(message->term == raft->state.term);
    switch (message->type) {
    case RAFT_VOTE_REQUEST: raft_on_vote_request(raft, message); break;
    case RAFT_VOTE_RESPONSE: raft_on_vote_response(raft, message); break;
    case RAFT_APPEND_REQUEST: raft_on_append_request(raft, message); break;
    case RAFT_APPEND_RESPONSE: raft_on_append_response(raft, message); break;
    case RAFT_TIMEOUT_NOW: raft_on_timeout_now(raft, message); break;
    }
}

/* A stranger may ask: who was away for long knows none of those that lead now, or want to (4.1).
 * What it answers counts for nothing. */
static bool may_say(const struct raft *raft, const struct raft_message *message)
{
    bool answers = message->type == RAFT_VOTE_RESPONSE || message->type == RAFT_APPEND_RESPONSE;
    return !answers || raft_member_place(raft, message->from) < raft->members.count;
}

static void on_message(struct raft *raft, const struct raft_message *message)
{
    if (message->to != raft->config.id || message->from == raft->config.id)
        return;
    if (!may_say(raft, message))
        return;
    if (message->term > RAFT_TERM_MAX)
        return;
    /* Pre-votes speak of a term that nobody is in yet. */
    if (message->type == RAFT_VOTE_REQUEST && message->vote_request.pre_vote) {
        raft_on_vote_request(raft, message);
        return;
    }
    if (message->type == RAFT_VOTE_RESPONSE && message->vote_response.pre_vote &&
        message->vote_response.granted) {
        raft_on_vote_response(raft, message);
        return;
    }
    /* Whoever hears of a later term is a follower in it; what comes from an earlier one is not
     * heard (3.3). */
    if (message->term > raft->state.term) {
        if (message->type == RAFT_VOTE_REQUEST && !message->vote_request.transfer &&
            raft_holds_to_leader(raft))
            return;
        raft_adopt_term(raft, message);
    }
    if (message->term < raft->state.term)
        on_stale_message(raft, message);
    else
        on_current_message(raft, message);
}

static bool is_matched(const struct raft_message *message)
{
    return message->type == RAFT_APPEND_RESPONSE && message->append_response.matched;
}

/* Both are true: the higher answer says all. */
static void merge_answer(struct raft_message *answer, const struct raft_message *other)
{
    check(answer->to == other->to);
    check(answer->term == other->term);
    if (other->append_response.hint.index > answer->append_response.hint.index)
        answer->append_response.hint = other->append_response.hint;
    if (other->append_response.round > answer->append_response.round)
        answer->append_response.round = other->append_response.round;
}

static void release_withheld(struct raft *raft)
{
    struct raft_state *state = &raft->state;
    uint32_t kept = 0;
    struct raft_message *last = NULL; /* the newest released answer to an append */
    for (uint32_t i = 0; i < state->withheld_count; i++) {
        const struct withheld *held = &state->withheld[i];
        const struct raft_message *message = &held->message;
        if (held->after_seq > state->durable_seq) {
            state->withheld[kept++] = *held;
            continue;
        }
        bool matched = is_matched(message);
        if (matched && last && last->to == message->to) {
            merge_answer(last, message);
            continue;
        }
        raft_send_now(raft, message);
        last = matched ? &raft->messages[raft->messages_count - 1] : NULL;
    }
    state->withheld_count = kept;
}

bool raft_answer_covers(const struct raft_message *said, const struct raft_message *other)
{
    const struct raft_append_response *most = &said->append_response,
                                      *less = &other->append_response;
    return is_matched(said) && is_matched(other) && said->to == other->to &&
           said->term == other->term && less->hint.index <= most->hint.index &&
           less->round <= most->round;
}

bool raft_promised(const struct raft *raft, struct raft_message *answer)
{
    const struct raft_state *state = &raft->state;
    if (state->withheld_count == 0 ||
        state->withheld[state->withheld_count - 1].after_seq != state->write_seq)
        return false;
    *answer = state->withheld[0].message;
    for (uint32_t i = 0; i < state->withheld_count; i++) {
        const struct raft_message *message = &state->withheld[i].message;
        if (!is_matched(message) || message->to != answer->to)
            return false;
        merge_answer(answer, message);
    }
    return true;
}

static void on_persisted(struct raft *raft, uint64_t seq)
{
    struct raft_state *state = &raft->state;
    check(seq <= state->write_seq);
    if (seq <= state->durable_seq)
        return;
    state->durable_seq = seq;
    while (state->writes_count > 0 && state->writes[state->writes_start].seq <= seq) {
        check(state->writes[state->writes_start].end >= state->durable);
        state->durable = state->writes[state->writes_start].end;
        state->writes_start = (state->writes_start + 1) % RAFT_WRITES_MAX;
        state->writes_count--;
    }
    check((state->writes_count == 0) == (seq == state->write_seq));
    state->disk_silent_ticks = 0;
    release_withheld(raft);
    raft_own_vote_durable(raft);
    if (state->role == RAFT_LEADER)
        raft_advance_commit(raft);
}

static void on_applied(struct raft *raft, raft_index index)
{
    struct raft_state *state = &raft->state;
    check(index >= state->applied);
    check(index <= state->commit);
    check(index <= state->durable);
    state->applied = index;
    raft_continue_transfer(raft);
}

static void on_compacted(struct raft *raft, raft_index index)
{
    check(index <= raft->state.applied);
    raft_trail_compact(&raft->trail, index);
    raft_members_compact(raft, index);
    check(raft->history.base_index <= raft->trail.first.index);
}

static void on_tick(struct raft *raft)
{
    raft_tick_disk(raft);
    if (raft->state.role == RAFT_LEADER)
        raft_tick_leader(raft);
    else
        raft_tick_follower(raft);
}

static enum raft_result dispatch(struct raft *raft, const struct raft_input *input)
{
    switch (input->type) {
    case RAFT_INPUT_TICK: on_tick(raft); break;
    case RAFT_INPUT_MESSAGE: on_message(raft, input->message); break;
    case RAFT_INPUT_PROPOSE:
        return raft_on_propose(raft, input->propose.entries, input->propose.count);
    case RAFT_INPUT_READ:
        return raft_on_read(raft, input->read.id, input->read.asks_all, input->read.ack);
    case RAFT_INPUT_PERSISTED: on_persisted(raft, input->persisted.seq); break;
    case RAFT_INPUT_APPLIED: on_applied(raft, input->index); break;
    case RAFT_INPUT_COMPACTED: on_compacted(raft, input->index); break;
    case RAFT_INPUT_UNREACHABLE: raft_on_unreachable(raft, input->node); break;
    case RAFT_INPUT_TRANSFER: return raft_on_transfer(raft, input->node);
    case RAFT_INPUT_GONE: raft_on_gone(raft, input->node); break;
    }
    return RAFT_OK;
}

/* ---- output -------------------------------------------------------------------- */

static void begin_output(struct raft *raft)
{
    raft->hard_state_changed = false;
    raft->write_entries = NULL;
    raft->write_count = 0;
    raft->messages_count = 0;
    raft->reads_out_count = 0;
    raft->reads_failed_count = 0;
    raft->role_changed = false;
}

static void number_write(struct raft *raft, struct raft_write *write)
{
    struct raft_state *state = &raft->state;
    if (!raft->hard_state_changed && raft->write_count == 0)
        return;
    check(raft->write_count == 0 || raft->write_entries[0].pos.index > state->durable);
    check(raft->write_count == 0 ||
          raft->write_entries[raft->write_count - 1].pos.index == raft->trail.last);
    state->write_seq++;
    if (raft->hard_state_changed)
        state->hard_state_seq = state->write_seq;
    *write = (struct raft_write){
        .seq = state->write_seq,
        .term = state->term,
        .voted_for = state->voted_for,
        .entries = raft->write_entries,
        .count = raft->write_count,
    };
    /* Full: the newest place stands for both, and is acknowledged with the later one. */
    if (state->writes_count < RAFT_WRITES_MAX)
        state->writes_count++;
    uint32_t at = (state->writes_start + state->writes_count - 1) % RAFT_WRITES_MAX;
    state->writes[at] = (struct write_under_way){state->write_seq, raft->trail.last};
}

/* Nothing while our term is on its way to the disk: the applied index that is stored with the data
 * must not be there before the term in which it was learned (see proofs/README.md, Disk). */
raft_index raft_apply_to(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    if (state->hard_state_seq > state->durable_seq)
        return state->applied;
    return state->commit < state->durable ? state->commit : state->durable;
}

static void finish_output(struct raft *raft, struct raft_output *output)
{
    struct raft_write write = {0};
    number_write(raft, &write);
    *output = (struct raft_output){
        .write = write,
        .messages = raft->messages,
        .messages_count = raft->messages_count,
        .reads = raft->reads_out,
        .reads_count = raft->reads_out_count,
        .reads_failed = raft->reads_failed,
        .reads_failed_count = raft->reads_failed_count,
        .apply_to = raft_apply_to(raft),
        .role_changed = raft->role_changed,
    };
}

enum raft_result raft_step(struct raft *raft, const struct raft_input *input,
                           struct raft_output *output)
{
    struct raft_before before = raft_note_before(raft);
    begin_output(raft);
    enum raft_result result = dispatch(raft, input);
    raft_leave_when_removed(raft);
    finish_output(raft, output);
    raft_check_invariants(raft);
    raft_check_step(raft, &before);
    return result;
}

/* ---- life and status --------------------------------------------------------------- */

struct raft *raft_new(const struct raft_config *config, const struct raft_saved *saved)
{
    check(config->heartbeat_ticks > 0);
    check(config->heartbeat_ticks < config->election_ticks);
    check(config->inflight_max > 0);
    check(config->inflight_max <= RAFT_INFLIGHT_MAX);
    check(config->append_entries_max > 0);
    check(config->inflight_bytes_max > 0);
    check(config->id != RAFT_NOBODY);
    struct raft *raft = memory_new(sizeof *raft);
    raft->config = *config;
    raft_trail_init(&raft->trail, saved->first);
    for (uint64_t i = 0; i < saved->entries_count; i++) {
        check(saved->entries[i].pos.index == raft->trail.last + 1);
        raft_trail_append(&raft->trail, saved->entries[i].pos.term, saved->entries[i].size);
    }
    raft_members_boot(raft, saved);
    struct raft_state *state = &raft->state;
    state->term = saved->term;
    state->voted_for = saved->voted_for;
    state->leader = RAFT_NOBODY;
    state->transfer_to = RAFT_NOBODY;
    state->applied = state->commit = saved->applied;
    state->durable = raft->trail.last;
    state->prng = config->seed;
    check(saved->applied >= saved->first.index);
    check(saved->applied <= raft->trail.last);
    check(state->term >= raft_trail_last(&raft->trail).term);
    raft_become_follower(raft, RAFT_NOBODY);
    raft_check_invariants(raft);
    return raft;
}

void raft_free(struct raft *raft)
{
    raft_trail_deinit(&raft->trail);
    raft_history_deinit(&raft->history);
    memory_free(raft);
}

void raft_status(const struct raft *raft, struct raft_status *status)
{
    const struct raft_state *state = &raft->state;
    *status = (struct raft_status){
        .role = state->role,
        .term = state->term,
        .voted_for = state->voted_for,
        .leader = state->leader,
        .commit = state->commit,
        .applied = state->applied,
        .durable = state->durable,
        .first = raft->trail.first,
        .last = raft_trail_last(&raft->trail),
        .log_bytes = raft->trail.bytes,
        .disk_silent_ticks = state->disk_silent_ticks,
        .disk_hangs = raft_disk_hangs(raft),
        .transferring = state->transfer_to != RAFT_NOBODY,
    };
}

uint32_t raft_peers(const struct raft *raft, struct raft_peer_status *peers)
{
    uint32_t count = 0;
    for (uint32_t place = 0; place < raft->members.count; place++) {
        if (place == raft->self)
            continue;
        const struct progress *progress = &raft->state.progress[place];
        peers[count++] = (struct raft_peer_status){
            .id = raft->members.list[place].id,
            .match = progress->match,
            .next = progress->next,
            .idle_ticks = progress->idle_ticks,
            .active = raft_is_active(raft, place),
            .replicating = progress->replicating,
            .fell_off = progress->fell_off,
        };
    }
    return count;
}

const struct raft_members *raft_members(const struct raft *raft)
{
    return &raft->members;
}

raft_term raft_term_at(const struct raft *raft, raft_index index)
{
    return raft_trail_term_at(&raft->trail, index);
}

/* Where it holds another entry than the committed one, or none, nothing behind that place is
 * committed: a majority that had it would have all before it as well.  Where it holds that entry,
 * what follows may be what makes a majority, so it must stay. */
bool raft_may_adopt(const struct raft *raft, struct raft_pos pos)
{
    const struct raft_state *state = &raft->state;
    return state->role != RAFT_LEADER && pos.term <= state->term && pos.index > state->commit &&
           pos.term >= raft_trail_term_at(&raft->trail, state->commit) && /* terms never fall */
           raft_trail_term_at(&raft->trail, pos.index) != pos.term;
}

uint32_t raft_size_at(const struct raft *raft, raft_index index)
{
    return raft_trail_size_at(&raft->trail, index);
}

const char *raft_role_name(enum raft_role role)
{
    switch (role) {
    case RAFT_FOLLOWER: return "follower";
    case RAFT_PRE_CANDIDATE: return "pre-candidate";
    case RAFT_CANDIDATE: return "candidate";
    case RAFT_LEADER: return "leader";
    }
    return "?";
}
