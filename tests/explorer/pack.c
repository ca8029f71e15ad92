/* A real core from a packed node, and back. */
#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"
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

static struct raft_pos first_pos(const struct image *image)
{
    raft_term term = image->first > 0 ? term_of(image->log[image->first - 1]) : 0;
    return (struct raft_pos){term, image->first};
}

static struct raft_entry entry_at(const struct image *image, uint32_t index)
{
    uint8_t entry = image->log[index - 1];
    return list_entry((struct raft_pos){term_of(entry), index}, list_of(entry));
}

struct raft *new_core(uint8_t self, const struct image *image, uint8_t applied)
{
    struct raft_entry entries[LOG_MAX];
    memset(entries, 0, sizeof entries);
    uint32_t count = image->last - image->first;
    for (uint32_t i = 0; i < count; i++)
        entries[i] = entry_at(image, image->first + 1u + i);
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
                               .first = first_pos(image),
                               .members = *members_of_list(image->base),
                               .members_index = image->base_index,
                               .entries = entries,
                               .entries_count = count,
                               .applied = applied};
    return raft_new(&config, &saved);
}

/* Not the places that are not used: every step of a core passes here. */
static void copy_members(struct raft_members *to, const struct raft_members *from)
{
    to->count = from->count;
    memcpy(to->list, from->list, from->count * sizeof from->list[0]);
}

/* The log and its lists; no memory is taken anew. */
static void unpack_log(struct raft *raft, const struct image *image)
{
    struct raft_trail *trail = &raft->trail;
    struct raft_history *history = &raft->history;
    trail->first = first_pos(image);
    trail->last = image->first;
    trail->runs_count = 0;
    trail->sizes_base = image->first + 1u;
    trail->bytes = 0;
    if (!history->changes) {
        history->capacity = LOG_MAX;
        history->changes = memory_new(LOG_MAX * sizeof *history->changes);
    }
    copy_members(&history->base, members_of_list(image->base));
    history->base_index = image->base_index;
    history->count = 0;
    for (uint32_t i = image->first + 1u; i <= image->last; i++) {
        uint8_t entry = image->log[i - 1];
        raft_trail_append(trail, term_of(entry), 0);
        if (list_of(entry) != 0)
            history->changes[history->count++] =
                (struct raft_members_change){i, *members_of_list(list_of(entry))};
    }
    copy_members(&raft->members, members_of_list(list_in_force(image)));
    raft->self = raft_members_place(&raft->members, raft->config.id);
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

static void unpack_leader(struct raft *raft, const struct node *node)
{
    struct raft_state *state = &raft->state;
    state->term_start = node->term_start;
    state->round = node->round;
    state->round_confirmed = node->round_confirmed;
    state->next_round_asks_all = false; /* no read here wants it */
    state->round_ticks = 0;             /* the heartbeats ask all as well */
    state->uncommitted_bytes = 0;
    for (uint32_t place = 0; place < raft->members.count; place++) {
        const struct packed_progress *from = &node->progress[raft->members.list[place].id];
        struct progress *to = &state->progress[place];
        *to = (struct progress){.match = from->match,
                                .next = from->next,
                                .replicating = from->replicating,
                                .round_acked = from->round_acked,
                                .is_quick = from->is_quick,
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

static void fill_dead_progress(struct raft_state *state, uint32_t from)
{
    for (uint32_t place = from; place < NODES; place++)
        state->progress[place] = (struct progress){.match = garbage(LOG_MAX),
                                                   .next = garbage(LOG_MAX),
                                                   .replicating = garbage(2),
                                                   .round_acked = garbage(READS_MAX),
                                                   .is_quick = garbage(2),
                                                   .inflight_count = (uint32_t)garbage(3),
                                                   .idle_ticks = (uint32_t)garbage(9)};
}

/* What no step may look at, for the second run of each step. */
static void fill_dead_fields(struct raft *raft, const struct node *node)
{
    struct raft_state *state = &raft->state;
    state->prng = garbage(UINT32_MAX);
    if (node->role != RAFT_LEADER) {
        state->term_start = garbage(LOG_MAX);
        state->round = garbage(READS_MAX);
        state->round_confirmed = garbage(READS_MAX);
        state->next_round_asks_all = garbage(2);
        state->round_ticks = (uint32_t)garbage(9);
        state->uncommitted_bytes = garbage(1000);
        state->heartbeat_elapsed = (uint32_t)garbage(HEARTBEAT_TICKS);
        fill_dead_progress(state, 0);
        state->transfer_elapsed = (uint32_t)garbage(ELECTION_TICKS);
    } else {
        fill_dead_progress(state, raft->members.count);
        for (uint32_t i = 0; i < raft->members.count; i++)
            state->progress[i].inflight_start = (uint32_t)garbage(RAFT_INFLIGHT_MAX);
        for (uint32_t i = 0; i < raft->members.count; i++) {
            const struct packed_progress *from = &node->progress[raft->members.list[i].id];
            for (uint32_t j = 0; j < from->inflight_count; j++)
                state->progress[i]
                    .inflight[(state->progress[i].inflight_start + j) % RAFT_INFLIGHT_MAX] =
                    from->inflight[j];
        }
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
    unpack_log(raft, &node->now);
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
    for (uint32_t place = 0; place < raft->members.count; place++)
        state->votes[place] = (enum vote_state)node->votes[raft->members.list[place].id];
    state->votes[raft->self] = (enum vote_state)node->votes[node->self];
    unpack_disk(state, node, garbage_seed ? garbage(100) : 0);
    unpack_leader(raft, node);
    if (garbage_seed)
        fill_dead_fields(raft, node);
    return raft;
}

/* ---- a packed node from a core ------------------------------------------------------------ */

static uint8_t under_way(const struct raft_state *state, uint64_t seq)
{
    return seq > state->durable_seq ? (uint8_t)(seq - state->durable_seq) : 0;
}

uint8_t entry_of_core(const struct raft *raft, raft_index index)
{
    uint8_t list = 0;
    for (uint32_t i = 0; i < raft->history.count; i++)
        if (raft->history.changes[i].index == index)
            list = list_of_members(&raft->history.changes[i].members);
    return entry_of((uint8_t)raft_trail_term_at(&raft->trail, index), list);
}

static void pack_image(struct image *image, const struct raft *raft)
{
    image->term = (uint8_t)raft->state.term;
    image->voted_for = name_of(raft->state.voted_for);
    image->first = (uint8_t)raft->trail.first.index;
    image->last = (uint8_t)raft->trail.last;
    image->base = list_of_members(&raft->history.base);
    image->base_index = (uint8_t)raft->history.base_index;
    for (raft_index i = image->first; i <= raft->trail.last; i++)
        if (i > 0)
            image->log[i - 1] = entry_of_core(raft, i);
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

static void pack_leader(struct node *node, const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    node->term_start = (uint8_t)state->term_start;
    node->round = (uint8_t)state->round;
    node->round_confirmed = (uint8_t)state->round_confirmed;
    for (uint32_t place = 0; place < raft->members.count; place++) {
        const struct progress *from = &state->progress[place];
        struct packed_progress *to = &node->progress[raft->members.list[place].id];
        if (place == raft->self)
            continue;
        to->match = (uint8_t)from->match;
        to->next = (uint8_t)from->next;
        to->replicating = from->replicating;
        to->round_acked = (uint8_t)from->round_acked;
        to->is_quick = from->is_quick;
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

static void pack_votes(struct node *node, const struct raft *raft)
{
    for (uint32_t place = 0; place < raft->members.count; place++)
        node->votes[raft->members.list[place].id] = (uint8_t)raft->state.votes[place];
    node->votes[node->self] = (uint8_t)raft->state.votes[raft->self];
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
    node->self = (uint8_t)raft->config.id;
    node->role = (uint8_t)state->role;
    node->leader = name_of(state->leader);
    node->commit = (uint8_t)state->commit;
    node->applied = (uint8_t)state->applied;
    node->durable = (uint8_t)state->durable;
    node->transfer_to = NONE;
    pack_image(&node->now, raft);
    pack_disk(node, state);
    if (state->role == RAFT_PRE_CANDIDATE || state->role == RAFT_CANDIDATE)
        pack_votes(node, raft);
    if (state->role == RAFT_LEADER)
        pack_leader(node, raft);
    return pack_withheld(node, state);
}
