/* Whole states, the steps between them, and what must hold across nodes. */
#include <string.h>

#include "base/memory.h"
#include "explorer.h"
#include "raft/raft_internal.h"

static struct interned histories;

static struct history history_of(const struct state *state)
{
    struct history history;
    memcpy(&history, interned_at(&histories, state->history), sizeof history);
    return history;
}

void first_state(struct state *state)
{
    memset(state, 0, sizeof *state);
    for (uint8_t i = 0; i < NODES; i++)
        state->node[i] = first_node(i);
    struct history history;
    memset(&history, 0, sizeof history);
    if (histories.size == 0)
        interned_init(&histories, sizeof history);
    state->history = intern(&histories, &history);
}

void steps_add(struct steps *steps, struct step step)
{
    if (steps->count == steps->capacity) {
        steps->capacity = steps->capacity ? steps->capacity * 2 : 64;
        steps->list = memory_resize(steps->list, steps->capacity * sizeof step);
    }
    steps->list[steps->count++] = step;
}

/* ---- what must hold across nodes ------------------------------------------------------------ */

static bool on_disk(const struct node *node, uint8_t entry, uint8_t index)
{
    return image_holds(node->writes_count > 0 ? &node->disk[0] : &node->now, entry, index);
}

/* Of the voters by the list that is in force for who commits it. */
static bool on_most_disks(const struct state *state, uint8_t list, uint8_t entry, uint8_t index)
{
    int holders = 0, voters = 0;
    for (int i = 0; i < NODES; i++)
        if (list >> i & 1) {
            voters++;
            holders += on_disk(node_at(state->node[i]), entry, index);
        }
    return 2 * holders > voters;
}

/* What this node now knows to be committed: as everybody ever thought, or new and on most disks. */
static enum verdict check_committed(const struct state *state, const struct node *node,
                                    struct history *history)
{
    for (uint8_t index = 1; index <= node->commit; index++) {
        uint8_t entry = node->now.log[index - 1];
        if (index <= history->committed_count) {
            if (!image_holds(&node->now, history->entry[index - 1], index))
                return COMMITTED_ELSEWHERE;
            continue;
        }
        if (index <= node->now.first)
            return COMMITTED_ELSEWHERE;
        if (!on_most_disks(state, list_in_force(&node->now), entry, index))
            return COMMITTED_ON_FEW_DISKS;
        history->committed_count = index;
        history->entry[index - 1] = entry;
        history->commit_term[index - 1] = node->now.term;
    }
    return FINE;
}

static enum verdict check_completeness(const struct node *node, const struct history *history)
{
    if (node->role != RAFT_LEADER)
        return FINE;
    for (uint8_t i = 0; i < history->committed_count; i++)
        if (history->commit_term[i] < node->now.term &&
            !image_holds(&node->now, history->entry[i], i + 1))
            return LEADER_LACKS_COMMITTED;
    return FINE;
}

/* Two logs with the same term at an index agree up to it. */
static enum verdict check_matching(const struct image *a, const struct image *b)
{
    bool agree = true;
    int first = a->first > b->first ? a->first : b->first;
    if (first > 0 && first <= a->last && first <= b->last)
        agree = term_of(a->log[first - 1]) == term_of(b->log[first - 1]);
    for (int i = first; i < LOG_MAX && i < a->last && i < b->last; i++) {
        if (term_of(a->log[i]) != term_of(b->log[i]))
            agree = false;
        else if (!agree || a->log[i] != b->log[i])
            return LOGS_DO_NOT_MATCH;
    }
    return FINE;
}

static bool has_led(struct state *state, uint32_t from, uint32_t to, uint8_t term)
{
    struct packet_set set = set_at(*channel_to(state, from, to));
    for (uint32_t j = 0; j < set.count; j++) {
        const struct packet *packet = packet_at(set.packets[j]);
        if (packet->type == RAFT_APPEND_REQUEST && packet->term == term && !(packet->flags & STALE))
            return true;
    }
    return false;
}

/* Another who leads, or has led, in the term of this leader: its appends were sent to us, or to
 * those whom it took for members. */
static enum verdict check_one_leader(struct state *state, const struct node *node)
{
    if (node->role != RAFT_LEADER)
        return FINE;
    for (uint32_t i = 0; i < NODES; i++) {
        if (i == node->self)
            continue;
        const struct node *other = node_at(state->node[i]);
        if (other->role == RAFT_LEADER && other->now.term == node->now.term)
            return TWO_LEADERS;
        for (uint32_t to = 0; to < NODES; to++)
            if (to != i && (to == node->self || bounds.changes > 0) &&
                has_led(state, i, to, node->now.term))
                return TWO_LEADERS;
    }
    return FINE;
}

/* After `node` changed. */
static enum verdict check_state(struct state *state, const struct node *node,
                                struct history *history)
{
    enum verdict verdict = check_committed(state, node, history);
    if (verdict == FINE)
        verdict = check_one_leader(state, node);
    for (int i = 0; i < NODES && verdict == FINE; i++) {
        const struct node *other = node_at(state->node[i]);
        verdict = check_matching(&node->now, &other->now);
        if (verdict == FINE)
            verdict = check_completeness(other, history);
    }
    return verdict;
}

/* ---- a step ---------------------------------------------------------------------------------- */

static void send(struct state *state, uint16_t number)
{
    const struct packet *packet = packet_at(number);
    uint8_t to = packet->to;
    uint32_t *channel = channel_to(state, packet->from, to);
    *channel = seen_by(state->node[to], set_with(*channel, number));
}

static void forget_unseen(struct state *state)
{
    for (uint32_t from = 0; from < NODES; from++)
        for (uint32_t to = 0; to < NODES; to++)
            if (from != to) {
                uint32_t *channel = channel_to(state, from, to);
                *channel = seen_by(state->node[to], *channel);
            }
}

static bool send_silently(struct state *state, uint32_t from, const struct reaction *reaction)
{
    bool sent = false;
    for (uint32_t i = 0; i < NODES - 1; i++) {
        uint32_t to = (from + i + 1) % NODES;
        uint32_t more = seen_by(state->node[to], reaction->silent[i]);
        uint32_t all = set_union(state->channel[from][i], more);
        sent = sent || all != state->channel[from][i];
        state->channel[from][i] = all;
    }
    return sent;
}

/* All steps that change no node and only send. */
static void take_silent_steps(struct state *state)
{
    bool sent = true;
    while (sent) {
        sent = false;
        for (uint32_t node = 0; node < NODES; node++) {
            struct reaction alone = *reaction_alone(state->node[node]);
            sent = send_silently(state, node, &alone) || sent;
            for (uint32_t i = 1; i < NODES; i++) {
                uint32_t set = *channel_to(state, (node + i) % NODES, node);
                struct reaction reaction = *reaction_of(state->node[node], set);
                sent = send_silently(state, node, &reaction) || sent;
            }
        }
    }
}

/* The same one by one, to tell of them. */
static bool take_silent_step(struct state *state, struct step step, struct steps *silent)
{
    struct outcome outcome = *node_step(state->node[step.node], step.input);
    if (outcome.verdict != FINE || outcome.node != state->node[step.node] || outcome.reads_released)
        return false;
    struct state before = *state;
    for (uint32_t i = 0; i < outcome.sent_count; i++)
        send(state, outcome.sent[i]);
    if (memcmp(&before, state, sizeof before) == 0)
        return false;
    steps_add(silent, step);
    return true;
}

static bool tell_silent_deliveries(struct state *state, uint8_t from, uint8_t to,
                                   struct steps *silent)
{
    bool sent = false;
    struct packet_set set = set_at(*channel_to(state, from, to));
    for (uint32_t i = 0; i < set.count; i++) {
        struct step step = {to, {DELIVER, set.packets[i]}};
        sent = take_silent_step(state, step, silent) || sent;
        step.input.kind = DELIVER_LATE;
        if (packet_at(set.packets[i])->type == RAFT_VOTE_REQUEST &&
            node_at(state->node[to])->leader != NONE)
            sent = take_silent_step(state, step, silent) || sent;
    }
    return sent;
}

static void tell_silent_steps(struct state *state, struct steps *silent)
{
    bool sent = true;
    while (sent) {
        sent = false;
        for (uint8_t node = 0; node < NODES; node++) {
            if (node_at(state->node[node])->role == RAFT_LEADER)
                sent = take_silent_step(state, (struct step){node, {HEARTBEAT, 0}}, silent) || sent;
            for (uint8_t from = 0; from < NODES; from++)
                if (from != node)
                    sent = tell_silent_deliveries(state, from, node, silent) || sent;
        }
    }
}

/* The read `id` was just taken: too early, if it may miss what was committed when it was asked. */
static void note_read(struct history *history, const struct node *node,
                      const struct outcome *outcome, uint8_t id, uint8_t committed)
{
    if ((outcome->reads_released >> id & 1) && outcome->read_at_once < committed)
        history->reads_too_early |= (uint8_t)(1u << id);
    for (uint32_t i = 0; i < node->reads_count; i++)
        if (node->reads_id[i] == id && node->reads_index[i] < committed)
            history->reads_too_early |= (uint8_t)(1u << id);
}

static void note_read_here(struct history *history, const struct node *node,
                           const struct outcome *outcome, uint8_t id)
{
    history->reads_taken = id;
    note_read(history, node, outcome, id, history->committed_count);
}

static void note_read_forwarded(struct history *history, const struct node *node,
                                const struct outcome *outcome)
{
    note_read(history, node, outcome, read_of(history->on_its_way), history->sent_committed);
    history->on_its_way = 0;
    history->sent_committed = 0;
}

/* It may come to any leader, however late, or to none. */
static void forward_read(struct state *state, uint8_t from)
{
    struct history history = history_of(state);
    uint8_t term = node_at(state->node[from])->now.term;
    history.forwards++;
    history.on_its_way = forwarded(++history.reads_taken, from, term);
    history.sent_committed = history.committed_count;
    state->history = intern(&histories, &history);
}

static void note_crash(struct state *state, struct history *history)
{
    if (++history->crashes < bounds.crashes)
        return;
    for (uint32_t i = 0; i < NODES; i++) {
        struct node node = *node_at(state->node[i]);
        node.mortal = false;
        state->node[i] = node_number(&node);
    }
}

static bool was_sent(const struct state *state, uint8_t to, uint16_t number)
{
    struct state same = *state;
    const struct packet *packet = packet_at(number);
    return packet->to == to && set_has(*channel_to(&same, packet->from, to), number);
}

static bool may_compact(const struct node *node, uint16_t index)
{
    return index > node->now.first && index <= node->applied;
}

static bool is_possible(const struct state *state, struct step step)
{
    struct history history = history_of(state);
    const struct node *node = node_at(state->node[step.node]);
    uint16_t argument = step.input.argument;
    bool leads = node->role == RAFT_LEADER;
    switch (step.input.kind) {
    case DELIVER:
    case DELIVER_LATE: return was_sent(state, step.node, argument);
    case FIRE: return !leads && node->now.term < bounds.terms;
    case HEARTBEAT:
    case STEP_DOWN:
    case PROPOSE:
    case UNREACHABLE:
    case TRANSFER: return leads;
    case CHANGE: return leads && history.changes < bounds.changes;
    case COMPACT: return history.compactions < bounds.compactions && may_compact(node, argument);
    case READ:
        return leads && history.reads_taken - history.forwards < bounds.reads &&
               argument == history.reads_taken + 1;
    case FORWARD:
        return !leads && history.forwards < bounds.forwards && history.on_its_way == 0 &&
               node->now.term > 0;
    case READ_FORWARDED: return leads && argument != 0 && argument == history.on_its_way;
    case PERSIST: return argument <= node->writes_count;
    case SILENCE: return leads && node->progress[argument].inflight_count > 0;
    case TRANSFER_ENDS: return node->transfer_to != NONE;
    case CRASH:
        return history.crashes < bounds.crashes && argument / 16 <= node->writes_count &&
               argument % 16 >= node->now.first && argument % 16 <= node->applied;
    }
    return false;
}

bool take_step(struct state *state, struct step step, enum verdict *verdict, struct steps *silent)
{
    *verdict = FINE;
    if (!is_possible(state, step))
        return false;
    if (step.input.kind == FORWARD) {
        forward_read(state, step.node);
        return true;
    }
    struct outcome outcome = *node_step(state->node[step.node], step.input);
    if (outcome.verdict == BEYOND)
        return false;
    *verdict = outcome.verdict;
    if (outcome.verdict != FINE)
        return true;
    struct history history = history_of(state);
    struct node node = *node_at(outcome.node);
    bool changed = state->node[step.node] != outcome.node || step.input.kind == CRASH;
    state->node[step.node] = outcome.node;
    if (step.input.kind == READ)
        note_read_here(&history, &node, &outcome, (uint8_t)step.input.argument);
    if (step.input.kind == READ_FORWARDED)
        note_read_forwarded(&history, &node, &outcome);
    if (outcome.reads_released & history.reads_too_early)
        *verdict = READ_IS_STALE;
    if (step.input.kind == CRASH)
        note_crash(state, &history);
    if (step.input.kind == CHANGE && changed)
        history.changes++;
    if (step.input.kind == COMPACT)
        history.compactions++;
    if (changed && *verdict == FINE)
        *verdict = check_state(state, &node, &history);
    state->history = intern(&histories, &history);
    if (*verdict != FINE)
        return true;
    for (uint32_t i = 0; i < outcome.sent_count; i++)
        send(state, outcome.sent[i]);
    if (changed)
        forget_unseen(state);
    if (silent)
        tell_silent_steps(state, silent);
    else if (!bounds.plain)
        take_silent_steps(state);
    return true;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* It knows lists of members, and who sent a read, and nothing else that has a name. */
static uint32_t rename_history(uint32_t number, int renaming)
{
    struct history history;
    if (bounds.changes == 0 && bounds.forwards == 0)
        return number;
    memcpy(&history, interned_at(&histories, number), sizeof history);
    rename_entries(history.entry, renaming);
    if (history.on_its_way != 0)
        history.on_its_way = rename_forwarded(history.on_its_way, renaming);
    return intern(&histories, &history);
}

static struct state renamed(const struct state *state, int renaming)
{
    struct state result = {.history = rename_history(state->history, renaming)};
    const uint8_t *name = renamings[renaming];
    for (uint32_t i = 0; i < NODES; i++) {
        result.node[name[i]] = rename_node(state->node[i], renaming);
        for (uint32_t j = 0; j < NODES - 1; j++)
            *channel_to(&result, name[i], name[(i + j + 1) % NODES]) =
                rename_set(state->channel[i][j], renaming);
    }
    return result;
}

/* The order is any; it is the same in one run. */
struct state canonical(const struct state *state)
{
    struct state best = *state;
    for (int renaming = 1; renaming < RENAMINGS; renaming++) {
        uint32_t nodes[NODES];
        for (uint32_t i = 0; i < NODES; i++)
            nodes[renamings[renaming][i]] = rename_node(state->node[i], renaming);
        if (memcmp(nodes, best.node, sizeof nodes) > 0)
            continue;
        struct state other = renamed(state, renaming);
        if (memcmp(&other, &best, sizeof other) < 0)
            best = other;
    }
    return best;
}

/* ---- what may come next ---------------------------------------------------------------------- */

static void visit_step(const struct state *state, struct step step, visitor visit, void *context)
{
    struct state next = *state;
    enum verdict verdict;
    if (!take_step(&next, step, &verdict, NULL))
        return;
    if (verdict != FINE || memcmp(&next, state, sizeof next) != 0)
        visit(context, &next, step, verdict);
}

/* What is bounded in all, for all nodes together. */
static void visit_bounded(const struct state *state, uint8_t node, visitor visit, void *context)
{
    struct history history = history_of(state);
    const struct node *self = node_at(state->node[node]);
    bool leads = self->role == RAFT_LEADER;
    uint8_t first = self->now.first, applied = self->applied;
    visit_step(state, (struct step){node, {FORWARD, 0}}, visit, context);
    visit_step(state, (struct step){node, {READ_FORWARDED, history.on_its_way}}, visit, context);
    if (history.reads_taken - history.forwards < bounds.reads && leads)
        visit_step(state, (struct step){node, {READ, (uint16_t)(history.reads_taken + 1)}}, visit,
                   context);
    for (uint16_t list = 1; history.changes < bounds.changes && leads && list < LISTS; list++)
        visit_step(state, (struct step){node, {CHANGE, list}}, visit, context);
    for (uint16_t to = first + 1u; history.compactions < bounds.compactions && to <= applied; to++)
        visit_step(state, (struct step){node, {COMPACT, to}}, visit, context);
}

void successors(const struct state *state, visitor visit, void *context)
{
    for (uint8_t node = 0; node < NODES; node++) {
        struct inputs active = reaction_alone(state->node[node])->active;
        for (uint32_t i = 0; i < active.count; i++)
            visit_step(state, (struct step){node, active.list[i]}, visit, context);
        visit_bounded(state, node, visit, context);
        for (uint32_t i = 1; i < NODES; i++) {
            struct state same = *state;
            uint32_t set = *channel_to(&same, (node + i) % NODES, node);
            active = reaction_of(state->node[node], set)->active;
            for (uint32_t j = 0; j < active.count; j++)
                visit_step(state, (struct step){node, active.list[j]}, visit, context);
        }
    }
}
