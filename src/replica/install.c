/* A member that fell off the log: a state on its way in.  See snapshots.h.
 *
 * Chunks are staged beside the data, which stays as it is, and so does everything else: this node
 * votes, answers and forwards as before, and if its log comes to hold the position after all, the
 * state is not needed.  Once all of it is there, raft_may_adopt() decides, and the node stops and
 * starts again with it (replica_may_adopt()).
 *
 * What comes belongs to the session that a leader began with us, or is not heard.  Its state is
 * true whoever leads, so it is gone on with when another does, as long as who began it is heard,
 * and the log of who leads now reaches back to where the state is. */
#include <inttypes.h>

#include "base/fatal.h"
#include "base/log.h"
#include "replica/replica_internal.h"

enum {
    AGAIN_MS = 1000,    /* nothing comes: it is asked for again */
    AWAY_MS = 5000,     /* nothing comes of one who does not lead: it is given up */
    STALLED_MS = 60000, /* given up, until the leader offers another */
    SAY_PARTS = 10,     /* as in sending.c */
    SAY_BYTES = 64 << 20
};

static void drop(struct replica *replica, const char *why)
{
    struct replica_install *install = &replica->install;
    struct snapshot_port *port = replica->options.snapshots;
    check(install->state != INSTALL_NONE);
    log_warning("snapshot from node %" PRIu64 ": given up after %" PRIu64 " chunks: %s",
                install->from, install->staged, why);
    if (install->state >= INSTALL_TAKING)
        port->ops->drop(port);
    *install = (struct replica_install){0};
}

/* ---- asking ------------------------------------------------------------------------ */

static void fetch(struct replica *replica, bool again)
{
    struct replica_install *install = &replica->install;
    struct transport *transport = replica->options.transport;
    struct snapshot_message message = {.type = SNAPSHOT_FETCH,
                                       .from = replica->options.raft.id,
                                       .to = install->from,
                                       .term = replica->status.term,
                                       .id = install->id,
                                       .number = install->staged,
                                       .again = again};
    check(install->state != INSTALL_NONE);
    check(install->from != replica->options.raft.id);
    check(install->staged <= install->given);
    install->asked_ms = replica->now_ms;
    transport->ops->snapshot(transport, &message);
}

/* Of who leads now: a state is on its way from another.  If his log does not reach back to it, it
 * is of no use, and else he is to know of it. */
static void on_offer_of_another(struct replica *replica, const struct snapshot_message *message)
{
    struct replica_install *install = &replica->install;
    struct transport *transport = replica->options.transport;
    struct snapshot_message held = {.type = SNAPSHOT_FETCH,
                                    .from = replica->options.raft.id,
                                    .to = message->from,
                                    .term = replica->status.term,
                                    .id = install->id,
                                    .number = install->staged,
                                    .pos = install->pos};
    if (message->pos.index > install->pos.index && install->state == INSTALL_TAKING)
        drop(replica, "the log of who leads now begins behind it");
    else
        transport->ops->snapshot(transport, &held);
}

static void on_offer(struct replica *replica, const struct snapshot_message *message)
{
    struct replica_install *install = &replica->install;
    if (install->state >= INSTALL_TAKING && message->from != install->from)
        on_offer_of_another(replica, message);
    if (install->state != INSTALL_NONE || !raft_may_adopt(replica->raft, message->pos))
        return;
    check(install->id == 0); /* nothing is left of the one before */
    check(install->given == 0);
    check(install->staged == 0);
    log_notice("what this node needs is not in the leader's log, which begins behind entry %" PRIu64
               ": asking node %" PRIu64 " for a snapshot",
               message->pos.index, message->from);
    *install = (struct replica_install){.state = INSTALL_ASKED,
                                        .from = message->from,
                                        .term = message->term,
                                        .began_ms = replica->now_ms,
                                        .heard_ms = replica->now_ms};
    fetch(replica, false);
}

/* ---- taking ------------------------------------------------------------------------ */

static void on_begin(struct replica *replica, const struct snapshot_message *message)
{
    struct replica_install *install = &replica->install;
    struct snapshot_port *port = replica->options.snapshots;
    if (install->state != INSTALL_ASKED)
        return;
    if (!raft_may_adopt(replica->raft, message->pos)) {
        drop(replica, "this node is as far by now");
        return;
    }
    if (message->number > message->pos.index ||
        !raft_members_decode(&install->members.list, blob_bytes(message->payload)) ||
        raft_members_voters(&install->members.list) == 0) {
        drop(replica, "its list of members is none");
        return;
    }
    check(install->given == 0);
    check(install->term == replica->status.term);
    install->members.index = message->number;
    install->state = INSTALL_TAKING;
    install->id = message->id;
    install->pos = message->pos;
    install->bytes_expected = message->bytes;
    install->heard_ms = replica->now_ms;
    port->ops->begin(port, install->id);
    log_notice("snapshot from node %" PRIu64 ": begins, of entry %" PRIu64 ", about %" PRIu64
               " bytes",
               install->from, install->pos.index, install->bytes_expected);
}

static void on_chunk(struct replica *replica, const struct snapshot_message *message)
{
    struct replica_install *install = &replica->install;
    struct snapshot_port *port = replica->options.snapshots;
    if (install->state != INSTALL_TAKING || message->id != install->id ||
        message->number != install->given ||
        message->number >= install->staged + SENDING_CHUNKS_MAX)
        return; /* of another, or there already, or one before it was lost, or not asked for */
    check(message->payload);
    check(install->given >= install->staged);
    install->given++;
    install->heard_ms = replica->now_ms;
    port->ops->take(port, message->payload);
}

static void on_gone(struct replica *replica, const struct snapshot_message *message)
{
    struct replica_install *install = &replica->install;
    if (install->state == INSTALL_TAKING && message->id == install->id)
        drop(replica, "the leader has it no more");
}

static bool is_another_leader(const struct replica *replica)
{
    const struct replica_install *install = &replica->install;
    raft_node_id leader = replica->status.leader;
    return leader != install->from && leader != RAFT_NOBODY;
}

/* Who is heard: the leader, and who began what is under way. */
static bool is_heard(const struct replica *replica, const struct snapshot_message *message)
{
    const struct replica_install *install = &replica->install;
    bool leads = message->from == replica->status.leader;
    switch (message->type) {
    case SNAPSHOT_OFFER: return leads;
    case SNAPSHOT_BEGIN:
        return leads && message->from == install->from && message->term == install->term;
    case SNAPSHOT_CHUNK:
    case SNAPSHOT_GONE: return install->state != INSTALL_NONE && message->from == install->from;
    case SNAPSHOT_FETCH:
    case SNAPSHOT_MESSAGES: break;
    }
    return false;
}

void replica_install_receive(struct replica *replica, const struct snapshot_message *message)
{
    if (!is_heard(replica, message))
        return;
    switch (message->type) {
    case SNAPSHOT_OFFER: on_offer(replica, message); break;
    case SNAPSHOT_BEGIN: on_begin(replica, message); break;
    case SNAPSHOT_CHUNK: on_chunk(replica, message); break;
    case SNAPSHOT_GONE: on_gone(replica, message); break;
    case SNAPSHOT_FETCH:
    case SNAPSHOT_MESSAGES: break;
    }
}

void replica_receive_snapshot(struct replica *replica, const struct snapshot_message *message)
{
    check(message->to == replica->options.raft.id);
    check(message->from != message->to);
    /* Of another term: one of us has not heard of the other's yet, or it is late. */
    if (!replica->options.snapshots || message->term != replica->status.term)
        return;
    if (message->type == SNAPSHOT_FETCH)
        replica_fetched(replica, message);
    else
        replica_install_receive(replica, message);
}

/* ---- staged ------------------------------------------------------------------------ */

static void say_progress(struct replica_install *install)
{
    uint64_t step = install->bytes_expected / SAY_PARTS;
    if (install->bytes - install->bytes_said < (step > SAY_BYTES ? step : SAY_BYTES))
        return;
    install->bytes_said = install->bytes;
    log_notice("snapshot from node %" PRIu64 ": %" PRIu64 " of about %" PRIu64 " bytes",
               install->from, install->bytes, install->bytes_expected);
}

static void on_whole(struct replica *replica, struct raft_pos pos)
{
    struct replica_install *install = &replica->install;
    check(install->state == INSTALL_TAKING);
    if (pos.index != install->pos.index || pos.term != install->pos.term) {
        drop(replica, "it is of another entry than was said");
        return;
    }
    install->state = INSTALL_WHOLE;
    log_notice("snapshot from node %" PRIu64 ": here, %" PRIu64 " chunks, %" PRIu64
               " bytes in %" PRId64 " ms",
               install->from, install->staged, install->bytes, replica->now_ms - install->began_ms);
}

void replica_snapshot_staged(struct replica *replica, const struct snapshot_staged *staged)
{
    struct replica_install *install = &replica->install;
    if (install->state != INSTALL_TAKING || staged->id != install->id)
        return;
    if (staged->error) {
        drop(replica, staged->error);
        return;
    }
    check(staged->chunks <= install->given);
    check(staged->chunks >= install->staged);
    check(staged->bytes >= install->bytes);
    install->staged = staged->chunks;
    install->bytes = staged->bytes;
    install->heard_ms = replica->now_ms;
    say_progress(install);
    fetch(replica, false);
    if (staged->is_whole)
        on_whole(replica, staged->pos);
}

bool replica_may_adopt(const struct replica *replica, struct snapshot_adoption *adoption)
{
    const struct replica_install *install = &replica->install;
    *adoption = (struct snapshot_adoption){.pos = install->pos, .members = install->members};
    return install->state == INSTALL_WHOLE && raft_may_adopt(replica->raft, install->pos);
}

/* ---- time -------------------------------------------------------------------------- */

void replica_install_tick(struct replica *replica)
{
    struct replica_install *install = &replica->install;
    if (install->state == INSTALL_NONE)
        return;
    check(install->staged <= install->given);
    check(install->heard_ms <= replica->now_ms);
    check(install->asked_ms <= replica->now_ms);
    check(install->term <= replica->status.term);
    if (install->state == INSTALL_ASKED &&
        (replica->status.term != install->term || is_another_leader(replica))) {
        drop(replica, "the leader is another one now");
        return;
    }
    if (install->state >= INSTALL_TAKING && !raft_may_adopt(replica->raft, install->pos)) {
        drop(replica, "this node is as far by now");
        return;
    }
    if (install->state == INSTALL_WHOLE || install->staged < install->given)
        return; /* nothing is missing, or it is our own disk that is waited for */
    int64_t silent_ms = replica->now_ms - install->heard_ms;
    if (silent_ms >= STALLED_MS)
        drop(replica, "nothing came for a minute");
    else if (silent_ms >= AWAY_MS && is_another_leader(replica))
        drop(replica, "its sender is not heard, and another node leads");
    else if (silent_ms >= AGAIN_MS && replica->now_ms - install->asked_ms >= AGAIN_MS)
        fetch(replica, true);
}

void replica_install_status(const struct replica *replica, struct replica_status *status)
{
    const struct replica_install *install = &replica->install;
    status->install =
        (struct replica_install_status){.is_under_way = install->state != INSTALL_NONE,
                                        .is_whole = install->state == INSTALL_WHOLE,
                                        .from = install->from,
                                        .index = install->pos.index,
                                        .chunks = install->staged,
                                        .bytes = install->bytes,
                                        .bytes_expected = install->bytes_expected};
}
