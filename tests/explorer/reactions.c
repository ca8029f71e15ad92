/* What a node in some state does with each packet of a set, worked out once: what it only answers,
 * and what changes it.  And which packets it will never do anything with. */
#include <string.h>

#include "base/memory.h"
#include "explorer.h"
#include "raft/raft_internal.h"

enum { INPUTS_MAX = 4096, DEAD = UINT16_MAX };

static struct reaction *reactions;
static uint32_t reactions_count, reactions_capacity;

/* ---- what a receiver will yet look at -------------------------------------------------------- */

/* A crash can take a node back to what its disk holds, not further. */
static uint8_t lowest_term(const struct node *node)
{
    return node->mortal && node->writes_count > 0 ? node->disk[0].term : node->now.term;
}

/* All requests of earlier terms get the same answer, by kind and sender, so one of each kind stands
 * for all; term 1 is below any term that has an earlier one. */
static uint16_t stand_in(const struct packet *packet)
{
    struct packet result = {
        .type = packet->type, .from = packet->from, .to = packet->to, .term = 1};
    result.flags = STALE | (packet->flags & PRE_VOTE);
    return packet_number(&result);
}

/* An answer of term t counts for one who campaigns or leads in t, or raises the term of one below;
 * who is at t on disk and does neither never will in t.  A granted pre-vote counts in the term
 * before the one that it speaks of. */
static bool is_dead_answer(const struct node *node, uint8_t lowest, const struct packet *packet)
{
    if (packet->type == RAFT_VOTE_RESPONSE && (packet->flags & PRE_VOTE))
        return packet->flags & GRANTED ? packet->term <= lowest : packet->term < lowest;
    if (packet->term != lowest)
        return packet->term < lowest;
    if (node->now.term == lowest && node->role == RAFT_CANDIDATE)
        return false;
    if (packet->type == RAFT_APPEND_RESPONSE)
        return node->now.term != lowest || node->role != RAFT_LEADER;
    return true;
}

static uint16_t packet_seen_by(const struct node *node, uint16_t number)
{
    struct packet packet = *packet_at(number);
    uint8_t lowest = lowest_term(node);
    switch ((enum raft_message_type)packet.type) {
    case RAFT_VOTE_REQUEST:
        if (packet.term < lowest || ((packet.flags & PRE_VOTE) && packet.term == lowest))
            return stand_in(&packet);
        break;
    case RAFT_APPEND_REQUEST:
        if (packet.term < lowest)
            return stand_in(&packet);
        break;
    case RAFT_VOTE_RESPONSE:
    case RAFT_APPEND_RESPONSE: return is_dead_answer(node, lowest, &packet) ? DEAD : number;
    case RAFT_TIMEOUT_NOW: return packet.term < lowest ? DEAD : number;
    }
    return number;
}

uint32_t seen_by(uint32_t number, uint32_t set)
{
    static struct map known;
    if (bounds.plain || set == 0)
        return set;
    const struct node *node = node_at(number);
    uint8_t lowest = lowest_term(node);
    uint64_t view = (uint64_t)lowest << 3;
    if (node->now.term == lowest)
        view |= node->role == RAFT_CANDIDATE ? 1 : node->role == RAFT_LEADER ? 2 : 0;
    bool is_new;
    uint32_t *place = map_at(&known, (uint64_t)set << 16 | view << 1 | 1, &is_new);
    if (!is_new)
        return *place;
    uint32_t result = 0;
    struct packet_set packets = set_at(set);
    for (uint32_t i = 0; i < packets.count; i++) {
        uint16_t seen = packet_seen_by(node, packets.packets[i]);
        if (seen != DEAD)
            result = set_with(result, seen);
    }
    *place = result;
    return result;
}

/* ---- what it does -------------------------------------------------------------------------- */

/* What is being put together. */
static struct input inputs[INPUTS_MAX];
static struct outcome seen[INPUTS_MAX];
static uint32_t inputs_count;

static bool same(const struct outcome *a, const struct outcome *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* It only made a message wait for the disk.  When the disk is done, the same packet can come again,
 * and is answered at once: so nothing is lost by leaving it out; nor by the order in which messages
 * wait, nor by the merging of acknowledgements that are released together. */
static bool only_withholds(uint32_t number, const struct outcome *outcome)
{
    if (outcome->verdict != FINE || outcome->sent_count > 0 || outcome->reads_released)
        return false;
    const struct node *before = node_at(number);
    struct node after = *node_at(outcome->node);
    memcpy(after.withheld, before->withheld, sizeof after.withheld);
    memcpy(after.withheld_seq, before->withheld_seq, sizeof after.withheld_seq);
    after.withheld_count = before->withheld_count;
    return memcmp(&after, before, sizeof after) == 0;
}

/* It only noted a refusal.  That can do no more than end a raft_campaign, and a vote that comes
 * later counts all the same; a raft_campaign that is not ended can do whatever a follower without a
 * leader can. */
static bool only_notes_refusal(uint32_t number, const struct outcome *outcome)
{
    if (outcome->verdict != FINE || outcome->sent_count > 0 || outcome->reads_released)
        return false;
    const struct node *before = node_at(number);
    struct node after = *node_at(outcome->node);
    for (int i = 0; i < NODES; i++)
        if (before->votes[i] == VOTE_NONE && after.votes[i] == VOTE_REFUSED)
            after.votes[i] = VOTE_NONE;
    return memcmp(&after, before, sizeof after) == 0;
}

static void try_input(struct reaction *reaction, uint32_t node, struct input input)
{
    struct outcome outcome = *node_step(node, input);
    if (outcome.verdict == BEYOND)
        return;
    bool unchanged = outcome.verdict == FINE && outcome.node == node && !outcome.reads_released;
    if (unchanged && outcome.sent_count == 0)
        return;
    if (!bounds.plain && (only_withholds(node, &outcome) || only_notes_refusal(node, &outcome)))
        return;
    if (unchanged && !bounds.plain) {
        for (uint32_t i = 0; i < outcome.sent_count; i++) {
            const struct packet *packet = packet_at(outcome.sent[i]);
            uint32_t *set = &reaction->silent[(packet->to + NODES - packet->from) % NODES - 1];
            *set = set_with(*set, outcome.sent[i]);
        }
        return;
    }
    for (uint32_t i = 0; i < inputs_count; i++)
        if (same(&seen[i], &outcome))
            return;
    seen[inputs_count] = outcome;
    inputs[inputs_count++] = input;
}

static uint32_t add_reaction(struct reaction *reaction)
{
    reaction->active.count = inputs_count;
    reaction->active.list = memory_copy(inputs, inputs_count * sizeof inputs[0]);
    if (reactions_count == reactions_capacity) {
        reactions_capacity = reactions_capacity ? reactions_capacity * 2 : 1024;
        reactions = memory_resize(reactions, reactions_capacity * sizeof *reactions);
    }
    reactions[reactions_count] = *reaction;
    return reactions_count++;
}

const struct reaction *reaction_of(uint32_t node, uint32_t set)
{
    static struct map known;
    bool is_new;
    uint32_t *place = map_at(&known, ((uint64_t)node << 32 | set) + 1, &is_new);
    if (!is_new)
        return &reactions[*place];
    struct reaction reaction = {0};
    inputs_count = 0;
    struct packet_set packets = set_at(set);
    for (uint32_t i = 0; i < packets.count; i++) {
        uint16_t number = packets.packets[i];
        try_input(&reaction, node, (struct input){DELIVER, number});
        if (packet_at(number)->type == RAFT_VOTE_REQUEST && node_at(node)->leader != NONE)
            try_input(&reaction, node, (struct input){DELIVER_LATE, number});
    }
    *place = add_reaction(&reaction);
    return &reactions[*place];
}

static void try_leader(struct reaction *reaction, uint32_t number, const struct node *node)
{
    try_input(reaction, number, (struct input){HEARTBEAT, 0});
    try_input(reaction, number, (struct input){STEP_DOWN, 0});
    try_input(reaction, number, (struct input){PROPOSE, 0});
    if (node->transfer_to != NONE)
        try_input(reaction, number, (struct input){TRANSFER_ENDS, 0});
    for (uint16_t peer = 0; peer < NODES; peer++) {
        if (peer == node->self)
            continue;
        try_input(reaction, number, (struct input){UNREACHABLE, peer});
        if (node->progress[peer].inflight_count > 0)
            try_input(reaction, number, (struct input){SILENCE, peer});
        if (bounds.transfers)
            try_input(reaction, number, (struct input){TRANSFER, peer});
    }
}

const struct reaction *reaction_alone(uint32_t number)
{
    static struct map known;
    bool is_new;
    uint32_t *place = map_at(&known, (uint64_t)number + 1, &is_new);
    if (!is_new)
        return &reactions[*place];
    struct reaction reaction = {0};
    inputs_count = 0;
    struct node node = *node_at(number);
    if (node.role == RAFT_LEADER)
        try_leader(&reaction, number, &node);
    else if (node.now.term < bounds.terms)
        try_input(&reaction, number, (struct input){FIRE, 0});
    for (uint16_t count = 1; count <= node.writes_count; count++)
        try_input(&reaction, number, (struct input){PERSIST, count});
    for (uint16_t kept = 0; node.mortal && kept <= node.writes_count; kept++)
        for (uint16_t applied = node.now.first; applied <= node.applied; applied++)
            try_input(&reaction, number, (struct input){CRASH, (uint16_t)(kept * 16 + applied)});
    *place = add_reaction(&reaction);
    return &reactions[*place];
}
