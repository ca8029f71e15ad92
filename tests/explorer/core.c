/* Runs the real core on a packed node: unpack, raft_step(), pack, and what must hold of any single
 * step.  Every distinct (node, input) is run once, and kept. */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "core.h"
#include "raft/print.h"

static sigjmp_buf core_aborted;

/* Sets the timers as the input wants them and says what to hand to the core. */
static struct raft_input prepare(struct raft *raft, struct input input,
                                 struct raft_message *message, struct raft_entry *entries)
{
    struct raft_state *state = &raft->state;
    struct raft_input result = {.type = RAFT_INPUT_TICK};
    switch (input.kind) {
    case DELIVER_LATE: state->election_elapsed = ELECTION_TICKS; /* fall through */
    case DELIVER:
        *message = unpack_message(packet_at(input.argument), entries);
        result.type = RAFT_INPUT_MESSAGE;
        result.message = message;
        break;
    case FIRE: state->election_elapsed = state->election_timeout - 1; break;
    case HEARTBEAT: state->heartbeat_elapsed = HEARTBEAT_TICKS - 1; break;
    case STEP_DOWN:
        for (uint32_t i = 0; i < NODES; i++)
            state->progress[i].idle_ticks = UINT32_MAX;
        break;
    case PROPOSE:
    case CHANGE:
        entries[0] = input.kind == CHANGE
                         ? list_entry((struct raft_pos){0, 0}, (uint8_t)input.argument)
                         : (struct raft_entry){.type = RAFT_ENTRY_COMMAND};
        result.type = RAFT_INPUT_PROPOSE;
        result.propose.entries = entries;
        result.propose.count = 1;
        break;
    case READ:
        result.type = RAFT_INPUT_READ;
        result.read.id = input.argument;
        break;
    case READ_FORWARDED:
        result.type = RAFT_INPUT_READ;
        result.read.id = read_of(input.argument);
        result.read.ack = (struct raft_ack){sender_of(input.argument), sent_in(input.argument)};
        break;
    case PERSIST:
        result.type = RAFT_INPUT_PERSISTED;
        result.persisted.seq = state->durable_seq + input.argument;
        break;
    case UNREACHABLE:
        result.type = RAFT_INPUT_UNREACHABLE;
        result.node = input.argument;
        break;
    case SILENCE:
        state->progress[raft_member_place(raft, input.argument)].silent_ticks = RESEND_TICKS - 1;
        break;
    case TRANSFER:
        result.type = RAFT_INPUT_TRANSFER;
        result.node = input.argument;
        break;
    case TRANSFER_ENDS: state->transfer_elapsed = ELECTION_TICKS - 1; break;
    case COMPACT:
        result.type = RAFT_INPUT_COMPACTED;
        result.index = input.argument;
        break;
    case FORWARD:
    case CRASH: check(!"no step of the core");
    }
    return result;
}

/* ---- what came out --------------------------------------------------------------------- */

static int compare_packets(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void add_packet(struct outcome *outcome, const struct packet *packet)
{
    check(outcome->sent_count < SENT_MAX);
    outcome->sent[outcome->sent_count++] = packet_number(packet);
}

/* As a set: sorted, each once. */
static void sort_packets(struct outcome *outcome)
{
    uint16_t *sent = outcome->sent;
    uint16_t count = outcome->sent_count;
    qsort(sent, count, sizeof *sent, compare_packets);
    outcome->sent_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || sent[i] != sent[outcome->sent_count - 1])
            sent[outcome->sent_count++] = sent[i];
    memset(sent + outcome->sent_count, 0, (SENT_MAX - outcome->sent_count) * sizeof *sent);
}

/* A leader that is removed hands its office to the first of the best: to all of them here, since
 * names do not matter. */
static void hand_over_to_all(struct outcome *outcome, const struct raft *raft, struct packet packet)
{
    for (uint32_t place = 0; place < raft->members.count; place++) {
        packet.to = (uint8_t)raft->members.list[place].id;
        if (packet.to != packet.from && raft->members.list[place].voter)
            add_packet(outcome, &packet);
    }
}

static void pack_messages(struct outcome *outcome, const struct raft *raft,
                          const struct raft_output *output)
{
    for (uint32_t i = 0; i < output->messages_count; i++) {
        struct packet packet = pack_message(&output->messages[i]);
        for (uint32_t j = 0; j < packet.count; j++)
            packet.entries[j] = entry_of_core(raft, packet.pos_index + 1u + j);
        if (packet.type == RAFT_TIMEOUT_NOW && !raft_is_voter(raft, raft->self))
            hand_over_to_all(outcome, raft, packet);
        else
            add_packet(outcome, &packet);
    }
}

/* What replica/ would offer: of what is applied now. */
static void offer_snapshots(struct outcome *outcome, const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    if (state->role != RAFT_LEADER || bounds.compactions == 0)
        return;
    for (uint32_t place = 0; place < raft->members.count; place++) {
        if (place == raft->self || !state->progress[place].fell_off)
            continue;
        struct packet packet = {.type = SNAPSHOT,
                                .from = (uint8_t)raft->config.id,
                                .to = (uint8_t)raft->members.list[place].id,
                                .term = (uint8_t)state->term,
                                .pos_index = (uint8_t)state->applied,
                                .count = 1};
        packet.pos_term = (uint8_t)raft_trail_term_at(&raft->trail, state->applied);
        packet.entries[0] = entry_of(0, list_of_members(raft_members_at(raft, state->applied)));
        packet.round = (uint8_t)raft_members_index_at(raft, state->applied);
        add_packet(outcome, &packet);
    }
}

static void pack_reads(struct outcome *outcome, const struct node *before, struct input input,
                       const struct raft_output *output)
{
    for (uint32_t i = 0; i < output->reads_count; i++) {
        uint64_t id = output->reads[i].id;
        bool known = (input.kind == READ && input.argument == id) ||
                     (input.kind == READ_FORWARDED && read_of(input.argument) == id);
        if (known)
            outcome->read_at_once = (uint8_t)output->reads[i].index;
        for (uint32_t j = 0; j < before->reads_count; j++)
            known = known ||
                    (before->reads_id[j] == id && output->reads[i].index >= before->reads_index[j]);
        if (!known)
            outcome->verdict = READ_FOR_NOBODY;
        outcome->reads_released |= (uint8_t)(1u << id);
    }
}

/* The disk after the step: what was acknowledged is behind, what was asked for comes last. */
static void carry_disk(struct node *after, const struct node *before, uint32_t acknowledged,
                       bool wrote)
{
    struct image images[WRITES_MAX + 1];
    uint32_t count = 0;
    for (uint32_t i = acknowledged; i < before->writes_count; i++)
        images[count++] = before->disk[i];
    if (wrote)
        images[count++] = before->now;
    check(count == after->writes_count);
    memcpy(after->disk, images, count * sizeof images[0]);
    after->mortal = before->mortal;
}

static void say(struct buffer *out, const struct raft *raft, const struct raft_output *output)
{
    if (output->write.seq != 0) {
        buffer_printf(out, "#     ");
        raft_print_write(out, &output->write);
        buffer_printf(out, "\n");
    }
    for (uint32_t i = 0; i < output->messages_count; i++) {
        buffer_printf(out, "#     ");
        raft_print_message(out, &output->messages[i]);
        buffer_printf(out, "\n");
    }
    for (uint32_t i = 0; i < output->reads_count; i++)
        buffer_printf(out, "#     read %d may be served at %d\n", (int)output->reads[i].id,
                      (int)output->reads[i].index);
    if (output->apply_to > raft->state.applied)
        buffer_printf(out, "#     applies up to %d\n", (int)output->apply_to);
}

/* ---- a step ----------------------------------------------------------------------------- */

static void crash(const struct node *before, struct input input, struct outcome *outcome)
{
    uint32_t kept = input.argument / 16, applied = input.argument % 16;
    const struct image *image = kept < before->writes_count ? &before->disk[kept] : &before->now;
    trace_before(unpack_core(before), before);
    struct raft *raft = new_core(before->self, image, (uint8_t)applied);
    trace_boot(raft);
    struct node after;
    check(pack_core(&after, raft));
    after.mortal = before->mortal;
    trace_after(raft, &after);
    outcome->verdict = check_list(raft, &after);
    raft_free(raft);
    outcome->node = node_number(&after);
}

/* As server/node.c and replica/install.c do it: what is under way on the disk is waited for, then
 * the log is what the snapshot says, and the node starts again; term and vote stay. */
static void adopt(const struct node *before, const struct packet *packet, struct outcome *outcome)
{
    struct raft *raft = unpack_core(before);
    struct raft_pos pos = {packet->pos_term, packet->pos_index};
    outcome->node = node_number(before);
    if (before->now.term < packet->term || !raft_may_adopt(raft, pos))
        return;
    struct image image = {.term = before->now.term,
                          .voted_for = before->now.voted_for,
                          .first = packet->pos_index,
                          .last = packet->pos_index,
                          .base = list_of(packet->entries[0]),
                          .base_index = packet->round};
    image.log[pos.index - 1] = packet->pos_term;
    raft = new_core(before->self, &image, packet->pos_index);
    struct node after;
    check(pack_core(&after, raft));
    after.mortal = before->mortal;
    outcome->node = node_number(&after);
    outcome->verdict = check_change(before, &after);
    if (outcome->verdict == FINE)
        outcome->verdict = check_list(raft, &after);
    raft_free(raft);
}

static void apply(struct raft *raft, raft_index up_to)
{
    struct raft_input input = {.type = RAFT_INPUT_APPLIED, .index = up_to};
    struct raft_output output;
    raft_step(raft, &input, &output);
    trace_step(raft, &input, &output);
}

static void compact_disk(struct node *node, uint8_t index)
{
    node->now = image_compacted(&node->now, index);
    for (uint32_t i = 0; i < node->writes_count; i++)
        node->disk[i] = image_compacted(&node->disk[i], index);
}

static void check_all(struct outcome *outcome, const struct raft *raft, const struct node *before,
                      const struct node *after, const struct raft_write *write)
{
    if (outcome->verdict == FINE)
        outcome->verdict = check_write(before, after, write);
    if (outcome->verdict == FINE)
        outcome->verdict = check_list(raft, after);
    if (outcome->verdict == FINE)
        outcome->verdict = check_change(before, after);
    if (outcome->verdict == FINE)
        outcome->verdict = check_promises(after, outcome);
}

/* What its disk may let go on, see raft_awaits_disk(), and what may be said as soon as it is there,
 * before the core hears of it, see raft_promised(). */
struct held_up {
    bool is_awaited, is_awaited_yet; /* if nothing is promised, or what may be */
    bool takes_proposals, is_promised;
    raft_index commit, apply_to;
    uint64_t write_seq;
    struct raft_message promised;
};

static struct held_up held_up(const struct raft *raft)
{
    struct held_up held = {.is_awaited = raft_awaits_disk(raft, false),
                           .is_awaited_yet = raft_awaits_disk(raft, true),
                           .takes_proposals = raft_takes_proposals(raft),
                           .commit = raft->state.commit,
                           .apply_to = raft_apply_to(raft),
                           .write_seq = raft->state.write_seq};
    held.is_promised = raft_promised(raft, &held.promised);
    return held;
}

/* Messages beside those that would say no more than what was promised. */
static uint32_t messages_beside(const struct held_up *before, const struct raft_output *output)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < output->messages_count; i++)
        count +=
            !before->is_promised || !raft_answer_covers(&before->promised, &output->messages[i]);
    return count;
}

static enum verdict check_awaited(const struct held_up *before, const struct raft *raft,
                                  const struct raft_output *output)
{
    struct held_up after = held_up(raft);
    bool goes_on = output->reads_count > 0 || after.commit != before->commit ||
                   after.apply_to != before->apply_to ||
                   after.takes_proposals != before->takes_proposals;
    bool says = output->messages_count > 0;
    bool says_more = messages_beside(before, output) > 0;
    return ((goes_on || says) && !before->is_awaited) ||
                   ((goes_on || says_more) && !before->is_awaited_yet)
               ? DISK_NOT_AWAITED
               : FINE;
}

/* It is among what is withheld behind that write, or before. */
static bool is_withheld(const struct raft *raft, const struct raft_message *answer, uint64_t seq)
{
    const struct raft_state *state = &raft->state;
    struct raft_message most = {0};
    for (uint32_t i = 0; i < state->withheld_count; i++) {
        const struct raft_message *message = &state->withheld[i].message;
        bool is_answer = raft_answer_covers(message, message);
        if (!is_answer || state->withheld[i].after_seq > seq || message->to != answer->to)
            continue;
        struct raft_pos hint = most.append_response.hint;
        uint64_t round = most.append_response.round;
        most = *message;
        if (hint.index > most.append_response.hint.index)
            most.append_response.hint = hint;
        if (round > most.append_response.round)
            most.append_response.round = round;
    }
    return raft_answer_covers(&most, answer);
}

static bool is_said(const struct raft_output *output, const struct raft_message *answer)
{
    for (uint32_t i = 0; i < output->messages_count; i++)
        if (raft_answer_covers(&output->messages[i], answer))
            return true;
    return false;
}

/* Told that all its writes are durable, the core says what it promised; and it would at any time
 * until then, if its role did not change. */
static enum verdict check_promised(const struct held_up *before, struct input input,
                                   const struct node *node, const struct raft *raft,
                                   const struct raft_output *output)
{
    if (!before->is_promised)
        return FINE;
    if (input.kind != PERSIST)
        return output->role_changed || is_withheld(raft, &before->promised, before->write_seq)
                   ? FINE
                   : PROMISE_NOT_KEPT;
    return input.argument < node->writes_count || is_said(output, &before->promised)
               ? FINE
               : PROMISE_NOT_KEPT;
}

static void step_core(const struct node *before, struct input input, struct outcome *outcome,
                      struct buffer *aloud)
{
    struct raft *raft = unpack_core(before);
    struct raft_message message;
    struct raft_entry entries[LOG_MAX], written[LOG_MAX];
    memset(entries, 0, sizeof entries);
    struct raft_input step = prepare(raft, input, &message, entries);
    trace_before(raft, before);
    struct held_up held = held_up(raft);
    struct raft_output output;
    raft_step(raft, &step, &output);
    if (input.kind == PERSIST)
        outcome->verdict = check_awaited(&held, raft, &output);
    if (outcome->verdict == FINE)
        outcome->verdict = check_promised(&held, input, before, raft, &output);
    check(input.kind != STEP_DOWN || raft->state.role != RAFT_LEADER ||
          raft_voters_count(raft) == 1); /* else it would be a tick and nothing else */
    if (!within_bounds(raft)) {
        outcome->verdict = BEYOND;
        return;
    }
    trace_step(raft, &step, &output);
    if (aloud)
        say(aloud, raft, &output);
    pack_messages(outcome, raft, &output);
    offer_snapshots(outcome, raft);
    pack_reads(outcome, before, input, &output);
    struct raft_write write = output.write; /* what it points to lives until the next step */
    check(write.count <= LOG_MAX);
    if (write.count > 0)
        memcpy(written, write.entries, write.count * sizeof written[0]);
    write.entries = written;
    if (output.apply_to > raft->state.applied)
        apply(raft, output.apply_to);
    sort_packets(outcome);
    struct node after;
    if (!pack_core(&after, raft)) {
        outcome->verdict = BEYOND;
        return;
    }
    struct node as_before = *before;
    if (input.kind == COMPACT)
        compact_disk(&as_before, (uint8_t)input.argument);
    carry_disk(&after, &as_before, input.kind == PERSIST ? input.argument : 0, write.seq != 0);
    outcome->node = node_number(&after);
    trace_after(raft, &after);
    check_all(outcome, raft, &as_before, &after, &write);
}

static void on_abort(int number)
{
    (void)number;
    siglongjmp(core_aborted, 1);
}

/* A failed check in the core ends the step, not the search. */
static void run_core(struct node before, struct input input, struct outcome *outcome,
                     struct buffer *aloud)
{
    memset(outcome, 0, sizeof *outcome);
    struct sigaction action = {.sa_handler = on_abort, .sa_flags = SA_NODEFER}, old;
    sigaction(SIGABRT, &action, &old);
    if (sigsetjmp(core_aborted, 0) != 0)
        outcome->verdict = CORE_ABORTED;
    else if (input.kind == CRASH)
        crash(&before, input, outcome);
    else if (input.kind == DELIVER && packet_at(input.argument)->type == SNAPSHOT)
        adopt(&before, packet_at(input.argument), outcome);
    else
        step_core(&before, input, outcome, aloud);
    sigaction(SIGABRT, &old, NULL);
}

void node_step_aloud(uint32_t node, struct input input, struct buffer *out)
{
    struct outcome outcome;
    run_core(*node_at(node), input, &outcome, out);
}

/* ---- each once ---------------------------------------------------------------------------- */

static struct map known;
static struct outcome *outcomes;
static uint32_t outcomes_count, outcomes_capacity;

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
    if (a->verdict != b->verdict || a->verdict != FINE)
        return a->verdict == b->verdict;
    return a->node == b->node && a->reads_released == b->reads_released &&
           a->read_at_once == b->read_at_once && a->sent_count == b->sent_count &&
           memcmp(a->sent, b->sent, a->sent_count * sizeof a->sent[0]) == 0;
}

static void rename_outcome(struct outcome *outcome, int renaming)
{
    if (outcome->verdict != FINE)
        return;
    outcome->node = rename_node(outcome->node, renaming);
    for (uint32_t i = 0; i < outcome->sent_count; i++)
        outcome->sent[i] = rename_packet(outcome->sent[i], renaming);
    qsort(outcome->sent, outcome->sent_count, sizeof outcome->sent[0], compare_packets);
}

/* What `explorer.h` says of old fields and of names, on this very step. */
static enum verdict check_abstraction(uint32_t node, struct input input,
                                      const struct outcome *outcome)
{
    struct outcome again, renamed;
    traces_pause(true);
    garbage_seed = hash_bytes(node_at(node), sizeof(struct node)) | 1;
    run_core(*node_at(node), input, &again, NULL);
    garbage_seed = 0;
    enum verdict verdict = same_outcome(outcome, &again) ? FINE : DEAD_FIELD_READ;
    for (int renaming = 1; renaming < RENAMINGS; renaming++) {
        uint32_t other = rename_node(node, renaming);
        run_core(*node_at(other), rename_input(input, renaming), &again, NULL);
        renamed = *outcome;
        rename_outcome(&renamed, renaming);
        if (!same_outcome(&renamed, &again))
            verdict = NAMES_MATTER;
    }
    traces_pause(false);
    return verdict;
}

const struct outcome *node_step(uint32_t node, struct input input)
{
    bool is_new;
    uint64_t key = ((uint64_t)node << 32 | (uint64_t)input.kind << 16 | input.argument) + 1;
    uint32_t *place = map_at(&known, key, &is_new);
    if (!is_new)
        return &outcomes[*place];
    *place = outcomes_count;
    if (outcomes_count == outcomes_capacity) {
        outcomes_capacity = outcomes_capacity ? outcomes_capacity * 2 : 1024;
        outcomes = memory_resize(outcomes, outcomes_capacity * sizeof *outcomes);
    }
    struct outcome *outcome = &outcomes[outcomes_count++];
    run_core(*node_at(node), input, outcome, NULL);
    if (outcome->verdict == FINE)
        outcome->verdict = check_abstraction(node, input, outcome);
    return outcome;
}

uint32_t core_steps(void)
{
    return outcomes_count;
}
