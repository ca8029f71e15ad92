/* What a node keeps its log for beyond the bounds, besides the states that it sends (sending.c):
 * members that are sent one by another node, and members that go on from one.
 *
 * A member that goes on lacks what was written while its state was on its way, which may be more
 * than the bounds allow.  Were the log cut down to them at once, it would begin behind that member
 * again, and the next state would find the same.  So it is kept behind where the member is, until
 * the member has caught up: until it has what the log held at the look before, half a second ago,
 * and lacks no more than the bounds would keep for it anyway.
 *
 * Not without end.  Who gets no further for a minute is not waited for, and the log is not kept
 * beyond SENDING_LOG_FACTOR times its bounds (retention.c), where the one that is furthest behind
 * goes first.  Who takes less than is written falls off again.
 *
 * Who loses the office keeps it for ten seconds: often the same node leads again at once.  Another
 * that leads then has cut its log to the bounds, like every node. */
#include <inttypes.h>

#include "base/fatal.h"
#include "base/log.h"
#include "replica/replica_internal.h"

enum {
    HOLD_MS = 60000, /* without a sign that the member gets further */
    AWAY_MS = 10000  /* the same where this node does not lead */
};

/* NULL: it is no member. */
static struct replica_hold *hold_of(struct replica *replica, raft_node_id member)
{
    uint32_t place = raft_members_place(&replica->members, member);
    return place < replica->members.count ? &replica->holds[place] : NULL;
}

static int64_t until_ms(const struct replica *replica)
{
    return replica->now_ms + (replica_leads(replica) ? HOLD_MS : AWAY_MS);
}

void replica_hold(struct replica *replica, raft_node_id member, raft_index index)
{
    struct replica_hold *hold = hold_of(replica, member);
    if (hold && index >= replica->status.first.index) /* else it is of no use */
        *hold = (struct replica_hold){.index = index, .until_ms = until_ms(replica)};
}

void replica_holds_office_lost(struct replica *replica)
{
    for (uint32_t place = 0; place < replica->members.count; place++)
        replica->holds[place].until_ms = until_ms(replica);
}

static void end(struct replica_hold *hold)
{
    *hold = (struct replica_hold){.index = 0};
}

void replica_hold_end(struct replica *replica, raft_node_id member)
{
    struct replica_hold *hold = hold_of(replica, member);
    if (hold)
        end(hold);
}

static void give_up(struct replica *replica, uint32_t place, const char *why)
{
    check(place < replica->members.count);
    check(replica->holds[place].index > 0);
    log_warning("node %" PRIu64 ": the log behind entry %" PRIu64 " is kept for it no longer: %s",
                replica->members.list[place].id, replica->holds[place].index, why);
    end(&replica->holds[place]);
}

void replica_holds_give_up(struct replica *replica, raft_index up_to, const char *why)
{
    for (uint32_t place = 0; place < replica->members.count; place++)
        if (replica->holds[place].index > 0 && replica->holds[place].index <= up_to)
            give_up(replica, place, why);
}

raft_index replica_held(const struct replica *replica)
{
    raft_index least = UINT64_MAX;
    for (uint32_t place = 0; place < replica->members.count; place++)
        if (replica->holds[place].index > 0 && replica->holds[place].index < least)
            least = replica->holds[place].index;
    return least;
}

/* ---- time -------------------------------------------------------------------------- */

/* What is behind `index` would be kept for any member.  It is walked over: for one that lacks
 * little. */
static bool is_within_bounds(const struct replica *replica, raft_index index)
{
    const struct replica_options *options = &replica->options;
    raft_index last = replica->status.last.index;
    check(index <= last);
    check(index >= replica->status.first.index);
    uint64_t bytes = (last - index) * ENTRY_OVERHEAD_BYTES;
    for (raft_index i = index + 1; i <= last; i++)
        bytes += raft_size_at(replica->raft, i);
    return bytes <= options->log_bytes_max && last - index <= options->log_entries_max;
}

static void follow(struct replica *replica, const struct raft_peer_status *peer)
{
    struct replica_hold *hold = hold_of(replica, peer->id);
    if (!hold || hold->index == 0 || peer->match < hold->index)
        return; /* it was not heard with what is held for it yet */
    check(peer->match <= replica->status.last.index);
    if (peer->match > hold->index)
        hold->until_ms = until_ms(replica);
    hold->index = peer->match;
    if (hold->end > 0 && hold->index >= hold->end && is_within_bounds(replica, hold->index)) {
        log_notice("node %" PRIu64 ": has caught up, at entry %" PRIu64, peer->id, hold->index);
        end(hold);
        return;
    }
    hold->end = replica->status.last.index;
}

/* Where another leads, whether it gets further is not known here. */
static void end_late(struct replica *replica, uint32_t place)
{
    if (replica_leads(replica))
        give_up(replica, place, "it was not heard to get any further");
    else
        end(&replica->holds[place]);
}

void replica_holds_tick(struct replica *replica)
{
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
    uint32_t count = replica_leads(replica) ? raft_peers(replica->raft, peers) : 0;
    for (uint32_t i = 0; i < count; i++)
        follow(replica, &peers[i]);
    for (uint32_t place = 0; place < replica->members.count; place++)
        if (replica->holds[place].index > 0 && replica->holds[place].until_ms <= replica->now_ms)
            end_late(replica, place);
}
