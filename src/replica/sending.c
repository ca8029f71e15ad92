/* A leader's part in bringing back a member that fell off the log: see snapshots.h.
 *
 * A sending is a session with one member: a source, which is a view of the state that the port
 * reads chunk by chunk in its own time, and the chunks that the member has not staged yet, so that
 * they can be sent again when a connection breaks.  The log behind the state's position is kept
 * until the member goes on from there, and then behind that until it has caught up (holding.c),
 * within SENDING_LOG_FACTOR times its bounds.
 *
 * A session is begun by a leader.  Once something of it is staged it outlives the leadership: the
 * state is true whoever leads, and to begin anew would cost the time of all that is there already.
 * Then it is the member that says when it is of no use (install.c), and the log is held by the
 * leader of then, as far as that still has it, and here, since this node may lead again. */
#include <inttypes.h>

#include "base/fatal.h"
#include "base/log.h"
#include "base/prng.h"
#include "replica/replica_internal.h"
#include "replica/stamp.h"

enum {
    OFFER_MS = 500,
    STALLED_MS = 60000,  /* nothing was staged: the member is given up, until it asks again */
    AWAY_MS = 10000,     /* the same where this node does not lead: it may have another's */
    PACE_BURST_MS = 100, /* so much of the pace may be sent at once */
    SAY_PARTS = 10,      /* progress is logged so many times, about, */
    SAY_BYTES = 64 << 20 /* and no oftener than at each so many bytes */
};

static struct replica_sending *sending_to(struct replica *replica, raft_node_id node)
{
    for (unsigned i = 0; i < SENDINGS_MAX; i++)
        if (replica->sendings[i].id != 0 && replica->sendings[i].to == node)
            return &replica->sendings[i];
    return NULL;
}

/* What each side has of it, and what is here of it. */
static void check_order(const struct replica_sending *sending)
{
    check(sending->acked <= sending->sent);
    check(sending->sent <= sending->made);
    check(sending->made <= sending->acked + SENDING_CHUNKS_MAX);
    check(sending->made > sending->acked || sending->ring_bytes == 0);
    check(!sending->is_reading || sending->source);
    check(!sending->is_reading || !sending->is_all);
}

/* ---- ends -------------------------------------------------------------------------- */

static void close_source(struct replica *replica, struct replica_sending *sending)
{
    if (sending->source)
        replica->options.snapshots->ops->close(replica->options.snapshots, sending->source);
    sending->source = NULL;
    sending->is_reading = false;
}

static void end(struct replica *replica, struct replica_sending *sending)
{
    check(sending->id != 0);
    close_source(replica, sending);
    for (unsigned i = 0; i < SENDING_CHUNKS_MAX; i++)
        blob_release(sending->ring[i]);
    blob_release(sending->members);
    *sending = (struct replica_sending){0};
}

static void give_up(struct replica *replica, struct replica_sending *sending, const char *why)
{
    if (sending->source)
        log_warning("snapshot to node %" PRIu64 ": given up after %" PRIu64 " chunks: %s",
                    sending->to, sending->acked, why);
    else
        log_notice("snapshot to node %" PRIu64 ": delivered, and waited for no longer: %s",
                   sending->to, why);
    end(replica, sending);
}

/* It is to go on from there, with this leader or another. */
static void end_delivered(struct replica *replica, struct replica_sending *sending)
{
    replica_hold(replica, sending->to, sending->pos.index);
    end(replica, sending);
}

void replica_sendings_give_up(struct replica *replica, raft_index up_to, const char *why)
{
    for (unsigned i = 0; i < SENDINGS_MAX; i++)
        if (replica->sendings[i].id != 0 && replica->sendings[i].pos.index <= up_to)
            give_up(replica, &replica->sendings[i], why);
}

void replica_sendings_office_lost(struct replica *replica)
{
    for (unsigned i = 0; i < SENDINGS_MAX; i++) {
        struct replica_sending *sending = &replica->sendings[i];
        if (sending->id != 0 && sending->acked == 0)
            give_up(replica, sending, "this node does not lead any more");
        else if (sending->id != 0 && !sending->source)
            end_delivered(replica, sending);
        else if (sending->id != 0)
            log_notice("snapshot to node %" PRIu64 ": goes on, though this node does not lead "
                       "any more",
                       sending->to);
    }
}

/* ---- messages ---------------------------------------------------------------------- */

static struct snapshot_message message_to(const struct replica *replica, raft_node_id to,
                                          enum snapshot_message_type type)
{
    return (struct snapshot_message){
        .type = type, .from = replica->options.raft.id, .to = to, .term = replica->status.term};
}

static void send(struct replica *replica, const struct snapshot_message *message)
{
    replica->options.transport->ops->snapshot(replica->options.transport, message);
}

static void say_gone(struct replica *replica, raft_node_id to, uint64_t id)
{
    struct snapshot_message message = message_to(replica, to, SNAPSHOT_GONE);
    message.id = id;
    send(replica, &message);
}

static void send_begin(struct replica *replica, struct replica_sending *sending)
{
    struct snapshot_message message = message_to(replica, sending->to, SNAPSHOT_BEGIN);
    check(sending->members);
    message.id = sending->id;
    message.pos = sending->pos;
    message.bytes = sending->bytes_expected;
    message.number = sending->members_index;
    message.payload = sending->members;
    send(replica, &message);
    sending->is_begun = true;
}

static void send_chunk(struct replica *replica, struct replica_sending *sending)
{
    struct snapshot_message message = message_to(replica, sending->to, SNAPSHOT_CHUNK);
    message.id = sending->id;
    message.number = sending->sent;
    message.payload = sending->ring[sending->sent % SENDING_CHUNKS_MAX];
    check(message.payload);
    check(sending->sent < sending->made);
    send(replica, &message);
    sending->sent++;
    if (replica->snapshot_pace > 0) /* else nothing would make up for it */
        replica->snapshot_bytes -= (int64_t)message.payload->size;
}

/* ---- chunks ------------------------------------------------------------------------ */

static bool may_send(const struct replica *replica, const struct replica_sending *sending)
{
    struct transport *transport = replica->options.transport;
    return (replica->snapshot_pace == 0 || replica->snapshot_bytes > 0) &&
           transport->ops->has_room_for_entries(transport, sending->to);
}

static bool may_read(const struct replica_sending *sending)
{
    return sending->source && !sending->is_reading && !sending->is_all &&
           sending->made - sending->acked < SENDING_CHUNKS_MAX &&
           (sending->made == sending->acked || sending->ring_bytes < SENDING_BYTES_MAX);
}

static void go_on(struct replica *replica, struct replica_sending *sending)
{
    struct snapshot_port *port = replica->options.snapshots;
    check_order(sending);
    if (!sending->is_begun && may_send(replica, sending))
        send_begin(replica, sending);
    while (sending->is_begun && sending->sent < sending->made && may_send(replica, sending))
        send_chunk(replica, sending);
    if (!may_read(sending))
        return;
    sending->is_reading = true;
    port->ops->read(port, sending->source);
}

void replica_sendings_run(struct replica *replica)
{
    for (unsigned i = 0; i < SENDINGS_MAX; i++)
        if (replica->sendings[i].id != 0)
            go_on(replica, &replica->sendings[i]);
}

void replica_snapshot_read(struct replica *replica, void *source, struct blob *chunk, bool is_last)
{
    for (unsigned i = 0; i < SENDINGS_MAX; i++) {
        struct replica_sending *sending = &replica->sendings[i];
        if (sending->id == 0 || sending->source != source)
            continue;
        struct blob **place = &sending->ring[sending->made % SENDING_CHUNKS_MAX];
        check(sending->is_reading);
        check(!*place);
        check(!sending->is_all);
        sending->is_reading = false;
        sending->is_all = is_last;
        *place = chunk;
        sending->made++;
        sending->ring_bytes += chunk->size;
        return;
    }
    blob_release(chunk);
}

static void say_progress(struct replica_sending *sending)
{
    uint64_t step = sending->bytes_expected / SAY_PARTS;
    if (sending->bytes - sending->bytes_said < (step > SAY_BYTES ? step : SAY_BYTES))
        return;
    sending->bytes_said = sending->bytes;
    log_notice("snapshot to node %" PRIu64 ": %" PRIu64 " of about %" PRIu64 " bytes", sending->to,
               sending->bytes, sending->bytes_expected);
}

/* The member has staged those. */
static void release(struct replica *replica, struct replica_sending *sending, uint64_t acked)
{
    check(acked <= sending->made);
    if (acked > sending->acked)
        sending->moved_ms = replica->now_ms;
    while (sending->acked < acked) {
        struct blob **place = &sending->ring[sending->acked++ % SENDING_CHUNKS_MAX];
        check(*place);
        check(sending->ring_bytes >= (*place)->size);
        sending->bytes += (*place)->size;
        sending->ring_bytes -= (*place)->size;
        blob_release(*place);
        *place = NULL;
    }
    if (sending->sent < acked)
        sending->sent = acked;
    check_order(sending);
    say_progress(sending);
    if (!sending->is_all || sending->acked < sending->made || !sending->source)
        return;
    close_source(replica, sending);
    log_notice("snapshot to node %" PRIu64 ": delivered, %" PRIu64 " chunks, %" PRIu64
               " bytes in %" PRId64 " ms",
               sending->to, sending->acked, sending->bytes, replica->now_ms - sending->began_ms);
    if (!replica_leads(replica))
        end_delivered(replica, sending);
}

/* ---- what a member asks for -------------------------------------------------------- */

static uint64_t new_id(struct replica *replica)
{
    uint64_t id;
    do
        id = prng_next(&replica->prng);
    while (id == 0);
    return id;
}

static struct replica_sending *free_place(struct replica *replica)
{
    for (unsigned i = 0; i < SENDINGS_MAX; i++)
        if (replica->sendings[i].id == 0)
            return &replica->sendings[i];
    return NULL;
}

/* A member that gets no answer asks again. */
static void open(struct replica *replica, raft_node_id to)
{
    struct snapshot_port *port = replica->options.snapshots;
    struct replica_sending *sending = free_place(replica);
    struct raft_pos pos;
    uint64_t bytes;
    if (!sending) {
        log_verbose("node %" PRIu64 " has to wait for its snapshot: others are sent one", to);
        return;
    }
    void *source = port->ops->open(port, &pos, &bytes);
    if (!source) {
        log_verbose("node %" PRIu64 " has to wait for its snapshot: no view can be had now", to);
        return;
    }
    check(pos.index <= replica->status.applied);
    check(pos.index >= replica->status.first.index); /* so that the log goes on from there */
    check(pos.term == raft_term_at(replica->raft, pos.index));
    check(replica_leads(replica));
    check(!sending_to(replica, to));
    *sending = (struct replica_sending){
        .id = new_id(replica),
        .to = to,
        .pos = pos,
        .members = raft_members_blob(raft_members_at(replica->raft, pos.index)),
        .members_index = raft_members_index_at(replica->raft, pos.index),
        .source = source,
        .bytes_expected = bytes,
        .began_ms = replica->now_ms,
        .moved_ms = replica->now_ms};
    log_notice("snapshot to node %" PRIu64 ": begins, of entry %" PRIu64 ", about %" PRIu64
               " bytes",
               to, pos.index, bytes);
}

static bool is_member(const struct replica *replica, raft_node_id node)
{
    const struct raft_members *members = raft_members(replica->raft);
    return raft_members_place(members, node) < members->count;
}

static void begin(struct replica *replica, raft_node_id to)
{
    struct replica_sending *sending = sending_to(replica, to);
    if (sending && sending->acked == 0) { /* its first answer was lost, or is on its way */
        sending->is_begun = false;
        sending->sent = 0;
        return;
    }
    if (sending)
        give_up(replica, sending, "the member begins again");
    replica_hold_end(replica, to);
    open(replica, to);
}

/* A member says that it gets a state from one who led before. */
static void keep_for_it(struct replica *replica, const struct snapshot_message *message)
{
    if (replica_leads(replica))
        replica_hold(replica, message->from, message->pos.index);
}

void replica_fetched(struct replica *replica, const struct snapshot_message *message)
{
    struct replica_sending *sending = sending_to(replica, message->from);
    if (!is_member(replica, message->from))
        return;
    if (message->pos.index > 0) {
        keep_for_it(replica, message);
        return;
    }
    if (message->id == 0) {
        if (replica_leads(replica))
            begin(replica, message->from);
        return;
    }
    if (!sending || sending->id != message->id) {
        say_gone(replica, message->from, message->id);
        return;
    }
    if (message->number < sending->acked)
        return; /* an older one, overtaken */
    if (message->number > sending->made) {
        give_up(replica, sending, "the member says that it has what was not sent");
        return;
    }
    release(replica, sending, message->number);
    if (message->again) {
        sending->sent = sending->acked;
        sending->is_begun = sending->acked > 0;
    }
}

void replica_sending_lost(struct replica *replica, raft_node_id node)
{
    struct replica_sending *sending = sending_to(replica, node);
    if (!sending)
        return;
    sending->sent = sending->acked;
    sending->is_begun = sending->acked > 0;
}

/* ---- time -------------------------------------------------------------------------- */

void replica_set_snapshot_pace(struct replica *replica, uint64_t bytes_per_second)
{
    replica->snapshot_pace = bytes_per_second;
}

static void keep_pace(struct replica *replica)
{
    check(replica->now_ms >= replica->snapshot_paced_ms);
    double pace = (double)replica->snapshot_pace;
    double passed_ms = (double)(replica->now_ms - replica->snapshot_paced_ms);
    double most = pace * PACE_BURST_MS / 1000 + 1;
    double now = (double)replica->snapshot_bytes + pace * passed_ms / 1000;
    replica->snapshot_bytes = (int64_t)(now < most ? now : most);
    replica->snapshot_paced_ms = replica->now_ms;
}

static void look_at(struct replica *replica, const struct raft_peer_status *peer)
{
    check(replica_leads(replica));
    struct replica_sending *sending = sending_to(replica, peer->id);
    if (sending && peer->match >= sending->pos.index) {
        log_notice("snapshot to node %" PRIu64 ": it goes on from entry %" PRIu64, peer->id,
                   sending->pos.index);
        end_delivered(replica, sending);
        return;
    }
    if (sending && sending->pos.index < replica->status.first.index) {
        give_up(replica, sending, "the log begins behind it"); /* it was another's to hold it */
        return;
    }
    if (sending && replica->now_ms - sending->moved_ms >= STALLED_MS) {
        give_up(replica, sending, "nothing was taken for a minute");
        return;
    }
    if (!peer->fell_off || !peer->active ||
        replica_announced_by(replica, peer->id) < STAMP_MEANING_SNAPSHOTS)
        return;
    struct snapshot_message message = message_to(replica, peer->id, SNAPSHOT_OFFER);
    message.pos = replica->status.first;
    send(replica, &message);
}

static void end_those_of_the_gone(struct replica *replica)
{
    for (unsigned i = 0; i < SENDINGS_MAX; i++)
        if (replica->sendings[i].id != 0 && !is_member(replica, replica->sendings[i].to))
            give_up(replica, &replica->sendings[i], "it is no member any more");
}

/* Of a node that does not lead. */
static void end_those_away(struct replica *replica)
{
    for (unsigned i = 0; i < SENDINGS_MAX; i++) {
        struct replica_sending *sending = &replica->sendings[i];
        if (sending->id != 0 && replica->now_ms - sending->moved_ms >= AWAY_MS)
            give_up(replica, sending, "this node does not lead, and the member takes no more");
    }
}

void replica_sendings_tick(struct replica *replica)
{
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
    if (!replica->options.snapshots)
        return;
    keep_pace(replica);
    replica_sendings_run(replica);
    if (replica->now_ms - replica->offered_ms < OFFER_MS)
        return;
    replica->offered_ms = replica->now_ms;
    end_those_of_the_gone(replica);
    uint32_t count = replica_leads(replica) ? raft_peers(replica->raft, peers) : 0;
    for (uint32_t i = 0; i < count; i++)
        look_at(replica, &peers[i]);
    if (!replica_leads(replica))
        end_those_away(replica);
    replica_holds_tick(replica);
}

raft_index replica_sendings_hold(const struct replica *replica)
{
    raft_index least = UINT64_MAX;
    for (unsigned i = 0; i < SENDINGS_MAX; i++) {
        const struct replica_sending *sending = &replica->sendings[i];
        if (sending->id != 0 && sending->pos.index < least)
            least = sending->pos.index;
    }
    return least;
}

void replica_sendings_status(const struct replica *replica, struct replica_status *status)
{
    for (unsigned i = 0; i < SENDINGS_MAX; i++) {
        const struct replica_sending *sending = &replica->sendings[i];
        if (sending->id == 0)
            continue;
        status->sendings[status->sendings_count++] =
            (struct replica_sending_status){.to = sending->to,
                                            .index = sending->pos.index,
                                            .chunks = sending->acked,
                                            .bytes = sending->bytes,
                                            .bytes_expected = sending->bytes_expected,
                                            .is_delivered = !sending->source};
    }
}
