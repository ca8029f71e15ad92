/* Traces: plain numbers, as trace.h says, written without the C library's formatting, because every
 * transition of an exhaustive search passes here. */
#include "raft/trace.h"

#include "base/fatal.h"
#include "raft/raft_internal.h"

static void put(struct buffer *out, uint64_t number)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    digits[--at] = ' ';
    buffer_append(out, digits + at, sizeof digits - at);
}

static void put_node(struct buffer *out, raft_node_id id)
{
    if (id == RAFT_NOBODY)
        buffer_append(out, " -1", 3);
    else
        put(out, id);
}

static void put_pos(struct buffer *out, struct raft_pos pos)
{
    put(out, pos.index);
    put(out, pos.term);
}

static void kind(struct buffer *out, char letter, const struct raft *raft)
{
    buffer_append_byte(out, letter);
    put_node(out, raft->config.id);
}

static void next_section(struct buffer *out)
{
    buffer_append(out, " |", 2);
}

static void end_line(struct buffer *out)
{
    buffer_append_byte(out, '\n');
}

/* Between the members of a list. */
static void separate(struct buffer *out, uint32_t place)
{
    if (place > 0)
        buffer_append(out, " ;", 2);
}

/* ---- lists of members -------------------------------------------------------------- */

/* So many bits of a life are printed: its reader's numbers have 62. */
static uint64_t life_shown(uint64_t life)
{
    return life & (UINT64_MAX >> 4);
}

static void put_members(struct buffer *out, const struct raft_members *members)
{
    for (uint32_t place = 0; place < members->count; place++) {
        put_node(out, members->list[place].id);
        put(out, life_shown(members->list[place].life));
        put(out, members->list[place].voter);
    }
}

/* ---- logs, as runs of equal terms --------------------------------------------------- */

static void put_run(struct buffer *out, uint64_t count, raft_term term)
{
    if (count == 0)
        return;
    put(out, count);
    put(out, term);
}

static void put_list(struct buffer *out, raft_term term, const struct raft_members *members)
{
    put(out, 0);
    put(out, term);
    put(out, members->count);
    put_members(out, members);
}

static void put_image_log(struct buffer *out, const struct raft_trace_image *image)
{
    uint64_t start = 0;
    for (uint64_t i = 0; i < image->count; i++) {
        const struct raft_members *list = image->lists ? image->lists[i] : NULL;
        if (list || image->terms[i] != image->terms[start]) {
            put_run(out, i - start, image->terms[start]);
            start = i;
        }
        if (list) {
            put_list(out, image->terms[i], list);
            start = i + 1;
        }
    }
    if (start < image->count)
        put_run(out, image->count - start, image->terms[start]);
}

/* False: it is none, or what it says of itself is not true (of a message, before it is refused). */
static bool put_entry_as_list(struct buffer *out, const struct raft_entry *entry)
{
    struct raft_members members;
    if (!raft_members_of_entry(entry, &members))
        return false;
    put_list(out, entry->pos.term, &members);
    return true;
}

static void put_entries(struct buffer *out, const struct raft_entry *entries, uint32_t count)
{
    uint32_t start = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].pos.term != entries[start].pos.term ||
            entries[i].type == RAFT_ENTRY_MEMBERS) {
            put_run(out, i - start, entries[start].pos.term);
            start = i;
        }
        if (entries[i].type == RAFT_ENTRY_MEMBERS && put_entry_as_list(out, &entries[i]))
            start = i + 1;
    }
    if (start < count)
        put_run(out, count - start, entries[start].pos.term);
}

/* Commands from `from` to `to`. */
static void put_terms_held(struct buffer *out, const struct raft *raft, raft_index from,
                           raft_index to)
{
    raft_index start = from;
    for (raft_index i = from; i <= to; i++) {
        raft_term term = raft_trail_term_at(&raft->trail, i);
        if (i == to || raft_trail_term_at(&raft->trail, i + 1) != term) {
            put_run(out, i + 1 - start, term);
            start = i + 1;
        }
    }
}

/* The core's own log from `from` on. */
static void put_log(struct buffer *out, const struct raft *raft, raft_index from)
{
    const struct raft_history *history = &raft->history;
    raft_index start = from;
    check(from > raft->trail.first.index);
    for (uint32_t i = 0; i < history->count; i++) {
        const struct raft_members_change *change = &history->changes[i];
        if (change->index < from)
            continue;
        put_terms_held(out, raft, start, change->index - 1);
        put_list(out, raft_trail_term_at(&raft->trail, change->index), &change->members);
        start = change->index + 1;
    }
    put_terms_held(out, raft, start, raft->trail.last);
}

/* ---- parts of a line ---------------------------------------------------------------------- */

/* Who is in force now, where the log has changed; and how far each is, to a leader. */
static void put_in_force(struct buffer *out, const struct raft *raft,
                         const struct raft_write *write)
{
    bool leads = raft->state.role == RAFT_LEADER;
    next_section(out);
    for (uint32_t place = 0; place < raft->members.count && write->count > 0; place++) {
        separate(out, place);
        put_node(out, raft->members.list[place].id);
        put(out, raft_is_voter(raft, place));
        put(out, leads && place != raft->self ? raft->state.progress[place].match : 0);
    }
}

/* In force where the log begins. */
static void put_first_list(struct buffer *out, const struct raft *raft)
{
    next_section(out);
    put_members(out, &raft->history.base);
}

static void put_message(struct buffer *out, const struct raft_message *message)
{
    put(out, message->type);
    put_node(out, message->from);
    put_node(out, message->to);
    put(out, message->term);
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        put_pos(out, message->vote_request.last);
        put(out, message->vote_request.pre_vote);
        break;
    case RAFT_VOTE_RESPONSE:
        put(out, message->vote_response.granted);
        put(out, message->vote_response.pre_vote);
        break;
    case RAFT_APPEND_REQUEST:
        put_pos(out, message->append_request.prev);
        put(out, message->append_request.commit);
        put(out, message->append_request.round);
        put(out, message->append_request.count);
        break;
    case RAFT_APPEND_RESPONSE:
        put(out, message->append_response.matched);
        put_pos(out, message->append_response.hint);
        put(out, message->append_response.round);
        break;
    case RAFT_TIMEOUT_NOW: break;
    }
}

static void put_input(struct buffer *out, const struct raft_input *input)
{
    put(out, input->type);
    switch (input->type) {
    case RAFT_INPUT_TICK: break;
    case RAFT_INPUT_MESSAGE:
        put_message(out, input->message);
        if (input->message->type == RAFT_APPEND_REQUEST)
            put_entries(out, input->message->append_request.entries,
                        input->message->append_request.count);
        break;
    case RAFT_INPUT_PROPOSE: put(out, input->propose.count); break;
    case RAFT_INPUT_READ:
        put(out, input->read.id);
        if (input->read.ack.term > 0) {
            put_node(out, input->read.ack.from);
            put(out, input->read.ack.term);
        }
        break;
    case RAFT_INPUT_PERSISTED: put(out, input->persisted.seq); break;
    case RAFT_INPUT_APPLIED:
    case RAFT_INPUT_COMPACTED: put(out, input->index); break;
    case RAFT_INPUT_UNREACHABLE:
    case RAFT_INPUT_TRANSFER:
    case RAFT_INPUT_GONE: put_node(out, input->node); break;
    }
}

/* `output`: NULL where there was no step. */
static void put_state(struct buffer *out, const struct raft *raft, const struct raft_output *output)
{
    const struct raft_state *state = &raft->state;
    put(out, state->role);
    put(out, state->term);
    put_node(out, state->voted_for);
    put(out, state->commit);
    put(out, state->durable);
    put(out, state->applied);
    put_node(out, output ? output->apply_to : RAFT_NOBODY);
    put(out, state->write_seq);
    put_pos(out, raft->trail.first);
    put_pos(out, raft_trail_last(&raft->trail));
}

static void put_write(struct buffer *out, const struct raft_write *write)
{
    next_section(out);
    if (write->seq == 0)
        return;
    put(out, write->seq);
    put(out, write->term);
    put_node(out, write->voted_for);
    if (write->count == 0)
        return;
    put(out, write->entries[0].pos.index);
    put_entries(out, write->entries, write->count);
}

/* The log as it is now, where a write says that it changed. */
static void put_change(struct buffer *out, const struct raft *raft, const struct raft_write *write)
{
    next_section(out);
    if (write->seq == 0 || write->count == 0)
        return;
    check(write->entries[write->count - 1].pos.index == raft->trail.last);
    put(out, write->entries[0].pos.index);
    put_log(out, raft, write->entries[0].pos.index);
}

static void put_results(struct buffer *out, const struct raft_output *output)
{
    next_section(out);
    for (uint32_t i = 0; i < output->messages_count; i++) {
        separate(out, i);
        put_message(out, &output->messages[i]);
    }
    next_section(out);
    for (uint32_t i = 0; i < output->reads_count; i++) {
        separate(out, i);
        put(out, output->reads[i].id);
        put(out, output->reads[i].index);
    }
    next_section(out);
    for (uint32_t i = 0; i < output->reads_failed_count; i++)
        put(out, output->reads_failed[i]);
}

/* ---- lines -------------------------------------------------------------------------------- */

void raft_trace_world(struct buffer *out, enum raft_trace_world world)
{
    buffer_append_byte(out, 'I');
    put(out, world);
    end_line(out);
}

void raft_trace_old_disk(struct buffer *out, raft_node_id node)
{
    buffer_append_byte(out, 'O');
    put_node(out, node);
    end_line(out);
}

void raft_trace_boot(struct buffer *out, const struct raft *raft, uint64_t life)
{
    check(raft->state.role == RAFT_FOLLOWER);
    check(raft->state.commit == raft->state.applied);
    kind(out, 'B', raft);
    put(out, life_shown(life));
    put(out, raft->state.term);
    put_node(out, raft->state.voted_for);
    put(out, raft->state.applied);
    put_pos(out, raft->trail.first);
    next_section(out);
    put_log(out, raft, raft->trail.first.index + 1);
    put_first_list(out, raft);
    end_line(out);
}

void raft_trace_step(struct buffer *out, const struct raft *raft, const struct raft_input *input,
                     const struct raft_output *output)
{
    check(output->write.seq == 0 || output->write.seq == raft->state.write_seq); /* of this step */
    check(output->apply_to == raft_apply_to(raft));
    kind(out, 'X', raft);
    put_input(out, input);
    next_section(out);
    put_state(out, raft, output);
    put_change(out, raft, &output->write);
    put_in_force(out, raft, &output->write);
    put_write(out, &output->write);
    put_results(out, output);
    end_line(out);
}

void raft_trace_promised(struct buffer *out, const struct raft_message *answer, uint64_t durable)
{
    buffer_append_byte(out, 'P');
    put_node(out, answer->from);
    put(out, durable);
    next_section(out);
    put_message(out, answer);
    end_line(out);
}

/* ---- a state by itself ----------------------------------------------------------------------- */

/* What the messages that wait for the disk will say. */
struct promises {
    struct raft_pos raft_campaign;
    uint64_t answered;
    raft_index matched;
};

static struct promises promises_of(const struct raft_state *state)
{
    struct promises promises = {.answered = 0};
    for (uint32_t i = 0; i < state->withheld_count; i++) {
        const struct raft_message *message = &state->withheld[i].message;
        if (message->term != state->term)
            continue;
        if (message->type == RAFT_VOTE_REQUEST)
            promises.raft_campaign = message->vote_request.last;
        if (message->type != RAFT_APPEND_RESPONSE)
            continue;
        if (message->append_response.round > promises.answered)
            promises.answered = message->append_response.round;
        if (message->append_response.matched &&
            message->append_response.hint.index > promises.matched)
            promises.matched = message->append_response.hint.index;
    }
    return promises;
}

static void put_granted(struct buffer *out, const struct raft *raft)
{
    next_section(out);
    if (raft->state.role != RAFT_CANDIDATE)
        return;
    for (uint32_t place = 0; place < raft->members.count; place++)
        if (raft->state.votes[place] == VOTE_GRANTED && raft_is_voter(raft, place))
            put_node(out, raft->members.list[place].id);
}

static void put_progress(struct buffer *out, const struct raft *raft)
{
    uint32_t listed = 0;
    next_section(out);
    for (uint32_t place = 0; place < raft->members.count; place++) {
        if (place == raft->self || raft->state.role != RAFT_LEADER)
            continue;
        separate(out, listed++);
        put_node(out, raft->members.list[place].id);
        put(out, raft->state.progress[place].match);
        put(out, raft->state.progress[place].round_acked);
    }
}

static void put_reads(struct buffer *out, const struct raft_state *state)
{
    next_section(out);
    for (uint32_t i = 0; i < state->reads_count; i++) {
        const struct pending_read *read = &state->reads[(state->reads_start + i) % RAFT_READS_MAX];
        separate(out, i);
        put(out, read->id);
        put(out, read->index);
        put(out, read->round);
    }
}

static void put_images(struct buffer *out, const struct raft_trace_image *images, uint32_t count)
{
    next_section(out);
    for (uint32_t i = 0; i < count; i++) {
        check(i == 0 || images[i].seq > images[i - 1].seq);
        separate(out, i);
        put(out, images[i].seq);
        put(out, images[i].term);
        put_node(out, images[i].voted_for);
        put(out, images[i].commit);
        put_image_log(out, &images[i]);
    }
}

static void put_whole(struct buffer *out, char letter, const struct raft *raft,
                      const struct raft_trace_image *images, uint32_t count)
{
    struct promises promises = promises_of(&raft->state);
    kind(out, letter, raft);
    put_state(out, raft, NULL);
    next_section(out);
    put_log(out, raft, raft->trail.first.index + 1);
    put_first_list(out, raft);
    put_granted(out, raft);
    next_section(out);
    put(out, raft->state.role == RAFT_LEADER ? raft->state.round : 0);
    put_pos(out, promises.raft_campaign);
    put(out, promises.answered);
    put(out, promises.matched);
    put_progress(out, raft);
    put_reads(out, &raft->state);
    put_images(out, images, count);
    end_line(out);
}

void raft_trace_state(struct buffer *out, const struct raft *raft,
                      const struct raft_trace_image *images, uint32_t count)
{
    put_whole(out, 'S', raft, images, count);
}

void raft_trace_expect(struct buffer *out, const struct raft *raft,
                       const struct raft_trace_image *images, uint32_t count)
{
    put_whole(out, 'E', raft, images, count);
}
