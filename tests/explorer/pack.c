/* A real core from a packed node, and back. */
#include <string.h>

#include "base/fatal.h"
#include "base/prng.h"
#include "core.h"

uint64_t garbage_seed;
static struct raft *cores[NODES];

static raft_node_id id_of(uint8_t name)
{
    return name == NONE ? RAFT_NOBODY : name;
}

static uint8_t name_of(raft_node_id id)
{
    return id == RAFT_NOBODY ? NONE : (uint8_t)id;
}

static uint64_t garbage(uint64_t below)
{
    return prng_below(&garbage_seed, below);
}

/* ---- a core from a packed node ---------------------------------------------------------- */

struct raft *new_core(uint8_t self, const struct image *image, uint8_t applied)
{
    struct raft_entry entries[LOG_MAX];
    memset(entries, 0, sizeof entries);
    for (uint32_t i = 0; i < image->last; i++)
        entries[i].pos = (struct raft_pos){image->log[i], i + 1};
    struct raft_config config = {.id = self,
                                 .election_ticks = ELECTION_TICKS,
                                 .heartbeat_ticks = HEARTBEAT_TICKS,
                                 .inflight_max = bounds.inflight,
                                 .inflight_bytes_max = UINT64_MAX,
                                 .append_entries_max = bounds.batch,
                                 .append_bytes_max = UINT32_MAX,
                                 .uncommitted_bytes_max = UINT32_MAX};
    struct raft_saved saved = {.term = image->term,
                               .voted_for = id_of(image->voted_for),
                               .members = {.count = NODES},
                               .entries = entries,
                               .entries_count = image->last,
                               .applied = applied};
    for (uint32_t i = 0; i < NODES; i++)
        saved.members.list[i] = (struct raft_member){.id = i, .voter = true};
    return raft_new(&config, &saved);
}

static void unpack_disk(struct raft_state *state, const struct node *node, uint64_t seq)
{
    state->durable_seq = seq;
    state->write_seq = seq + node->writes_count;
    state->hard_state_seq = seq + node->hard_state_seq;
    state->campaign_seq = node->campaign_seq ? seq + node->campaign_seq : 0;
    state->writes_start = 0;
    state->disk_silent_ticks = 0;
    state->writes_count = node->writes_count;
    for (uint32_t i = 0; i < node->writes_count; i++)
        state->writes[i] = (struct write_under_way){seq + i + 1, node->writes_end[i]};
    state->withheld_count = node->withheld_count;
    for (uint32_t i = 0; i < node->withheld_count; i++) {
        struct raft_entry unused[LOG_MAX];
        struct raft_message message = unpack_message(packet_at(node->withheld[i]), unused);
        state->withheld[i] =
            (struct withheld){node->withheld_seq[i] ? seq + node->withheld_seq[i] : 0, message};
    }
}

static void unpack_leader(struct raft_state *state, const struct node *node)
{
    state->term_start = node->term_start;
    state->round = node->round;
    state->round_confirmed = node->round_confirmed;
    state->uncommitted_bytes = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        const struct packed_progress *from = &node->progress[i];
        struct progress *to = &state->progress[i];
        *to = (struct progress){.match = from->match,
                                .next = from->next,
                                .replicating = from->replicating,
                                .round_acked = from->round_acked,
                                .inflight_count = from->inflight_count,
                                .resend_ticks = RESEND_TICKS};
        for (uint32_t j = 0; j < from->inflight_count; j++)
            to->inflight[j] = from->inflight[j];
    }
    state->reads_start = 0;
    state->reads_count = node->reads_count;
    for (uint32_t i = 0; i < node->reads_count; i++)
        state->reads[i] =
            (struct pending_read){node->reads_id[i], node->reads_index[i], node->reads_round[i]};
    state->transfer_to = id_of(node->transfer_to);
    state->transfer_elapsed = 0;
}

/* What no step may look at, for the second run of each step. */
static void fill_dead_fields(struct raft_state *state, const struct node *node)
{
    state->prng = garbage(UINT32_MAX);
    if (node->role != RAFT_LEADER) {
        state->term_start = garbage(LOG_MAX);
        state->round = garbage(READS_MAX);
        state->round_confirmed = garbage(READS_MAX);
        state->uncommitted_bytes = garbage(1000);
        state->heartbeat_elapsed = (uint32_t)garbage(HEARTBEAT_TICKS);
        for (uint32_t i = 0; i < NODES; i++)
            state->progress[i] = (struct progress){.match = garbage(LOG_MAX),
                                                   .next = garbage(LOG_MAX),
                                                   .replicating = garbage(2),
                                                   .round_acked = garbage(READS_MAX),
                                                   .inflight_count = (uint32_t)garbage(3),
                                                   .idle_ticks = (uint32_t)garbage(9)};
        state->transfer_elapsed = (uint32_t)garbage(ELECTION_TICKS);
    } else {
        for (uint32_t i = 0; i < NODES; i++)
            state->progress[i].inflight_start = (uint32_t)garbage(RAFT_INFLIGHT_MAX);
        for (uint32_t i = 0; i < NODES; i++)
            for (uint32_t j = 0; j < node->progress[i].inflight_count; j++)
                state->progress[i]
                    .inflight[(state->progress[i].inflight_start + j) % RAFT_INFLIGHT_MAX] =
                    node->progress[i].inflight[j];
    }
    if (node->role != RAFT_CANDIDATE) {
        state->campaign_seq = garbage(2) ? state->durable_seq : 0;
        state->campaign_transfer = garbage(2);
    }
    if (node->role != RAFT_CANDIDATE && node->role != RAFT_PRE_CANDIDATE)
        for (uint32_t i = 0; i < NODES; i++)
            state->votes[i] = (enum vote_state)garbage(3);
}

struct raft *unpack_core(const struct node *node)
{
    if (!cores[node->self])
        cores[node->self] = new_core(node->self, &(struct image){.voted_for = NONE}, 0);
    struct raft *raft = cores[node->self];
    struct raft_state *state = &raft->state;
    if (raft->trail.last > 0)
        raft_trail_cut(&raft->trail, 1);
    for (uint32_t i = 0; i < node->now.last; i++)
        raft_trail_append(&raft->trail, node->now.log[i], 0);
    state->role = (enum raft_role)node->role;
    state->term = node->now.term;
    state->voted_for = id_of(node->now.voted_for);
    state->leader = id_of(node->leader);
    state->commit = node->commit;
    state->applied = node->applied;
    state->durable = node->durable;
    state->election_elapsed = 0;
    state->election_timeout = TIMEOUT_TICKS;
    state->heartbeat_elapsed = 0;
    state->prng = 0;
    state->campaign_transfer = false;
    for (uint32_t i = 0; i < NODES; i++)
        state->votes[i] = (enum vote_state)node->votes[i];
    unpack_disk(state, node, garbage_seed ? garbage(100) : 0);
    unpack_leader(state, node);
    if (garbage_seed)
        fill_dead_fields(state, node);
    return raft;
}

/* ---- a packed node from a core ------------------------------------------------------------ */

static uint8_t under_way(const struct raft_state *state, uint64_t seq)
{
    return seq > state->durable_seq ? (uint8_t)(seq - state->durable_seq) : 0;
}

static void pack_image(struct image *image, const struct raft *raft)
{
    image->term = (uint8_t)raft->state.term;
    image->voted_for = name_of(raft->state.voted_for);
    image->last = (uint8_t)raft->trail.last;
    for (raft_index i = 1; i <= raft->trail.last; i++)
        image->log[i - 1] = (uint8_t)raft_trail_term_at(&raft->trail, i);
}

static void pack_disk(struct node *node, const struct raft_state *state)
{
    node->writes_count = (uint8_t)state->writes_count;
    for (uint32_t i = 0; i < state->writes_count; i++)
        node->writes_end[i] =
            (uint8_t)state->writes[(state->writes_start + i) % RAFT_WRITES_MAX].end;
    node->hard_state_seq = under_way(state, state->hard_state_seq);
    if (state->role == RAFT_CANDIDATE)
        node->campaign_seq = under_way(state, state->campaign_seq);
}

/* What was promised in an earlier term never leaves: not kept.  False: more than the bounds allow,
 * or the same once more. */
static bool pack_withheld(struct node *node, const struct raft_state *state)
{
    for (uint32_t i = 0; i < state->withheld_count; i++) {
        const struct withheld *held = &state->withheld[i];
        if (held->message.term < state->term)
            continue;
        struct packet packet = pack_message(&held->message);
        uint16_t number = packet_number(&packet);
        uint8_t seq = under_way(state, held->after_seq);
        for (uint32_t j = 0; j < node->withheld_count; j++)
            if (node->withheld[j] == number && node->withheld_seq[j] == seq)
                return false;
        if (node->withheld_count == bounds.withheld)
            return false;
        node->withheld[node->withheld_count] = number;
        node->withheld_seq[node->withheld_count++] = seq;
    }
    sort_withheld(node);
    return true;
}

static void pack_leader(struct node *node, const struct raft_state *state)
{
    node->term_start = (uint8_t)state->term_start;
    node->round = (uint8_t)state->round;
    node->round_confirmed = (uint8_t)state->round_confirmed;
    for (uint32_t i = 0; i < NODES; i++) {
        const struct progress *from = &state->progress[i];
        struct packed_progress *to = &node->progress[i];
        if (i == node->self)
            continue;
        to->match = (uint8_t)from->match;
        to->next = (uint8_t)from->next;
        to->replicating = from->replicating;
        to->round_acked = (uint8_t)from->round_acked;
        check(from->inflight_count <= bounds.inflight);
        to->inflight_count = (uint8_t)from->inflight_count;
        for (uint32_t j = 0; j < from->inflight_count; j++)
            to->inflight[j] =
                (uint8_t)from->inflight[(from->inflight_start + j) % RAFT_INFLIGHT_MAX];
    }
    node->reads_count = (uint8_t)state->reads_count;
    for (uint32_t i = 0; i < state->reads_count; i++) {
        const struct pending_read *read = &state->reads[(state->reads_start + i) % RAFT_READS_MAX];
        node->reads_id[i] = (uint8_t)read->id;
        node->reads_index[i] = (uint8_t)read->index;
        node->reads_round[i] = (uint8_t)read->round;
    }
    node->transfer_to = name_of(state->transfer_to);
}

bool within_bounds(const struct raft *raft)
{
    return raft->state.term <= bounds.terms && raft->trail.last <= bounds.log &&
           raft->state.writes_count <= bounds.writes;
}

bool pack_core(struct node *node, const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    memset(node, 0, sizeof *node);
    node->self = (uint8_t)raft->self;
    node->role = (uint8_t)state->role;
    node->leader = name_of(state->leader);
    node->commit = (uint8_t)state->commit;
    node->applied = (uint8_t)state->applied;
    node->durable = (uint8_t)state->durable;
    node->transfer_to = NONE;
    pack_image(&node->now, raft);
    pack_disk(node, state);
    if (state->role == RAFT_PRE_CANDIDATE || state->role == RAFT_CANDIDATE)
        for (uint32_t i = 0; i < NODES; i++)
            node->votes[i] = (uint8_t)state->votes[i];
    if (state->role == RAFT_LEADER)
        pack_leader(node, state);
    return pack_withheld(node, state);
}
