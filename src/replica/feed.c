/* What a leader sends to a member, in order: each append request that the core wants out waits here
 * until its entries are in memory and the transport has room for them.
 *
 * What the cache does not hold is read by the reader's thread, one request of a member at a time,
 * and only when there is room for it; so a member that is a hundred large values behind costs the
 * loop nothing and holds no more than one of them here.  The core counts a request as under way
 * from the moment it asked for it, and bounds how many and how many bytes are.
 *
 * When the core asks for something that does not continue what waits, it has gone back to where the
 * member is: what waits is given up, like messages lost on the way. */
#include "base/fatal.h"
#include "base/memory.h"
#include "replica/replica_internal.h"

static struct raft_message *oldest(struct replica_feed *feed)
{
    check(feed->count > 0);
    return &feed->waiting[feed->start];
}

static void drop_oldest(struct replica_feed *feed)
{
    check(feed->count > 0);
    feed->start = (feed->start + 1) % RAFT_INFLIGHT_MAX;
    feed->count--;
}

void replica_feed_clear(struct replica_feed *feed)
{
    feed->count = 0;
    raft_log_reading_free(feed->read);
    feed->read = NULL;
}

static uint32_t place_of(const struct replica *replica, raft_node_id node)
{
    const struct raft_members *members = raft_members(replica->raft);
    uint32_t place = raft_members_place(members, node);
    check(place < members->count);
    check(node != replica->options.raft.id);
    return place;
}

static bool continues(struct replica_feed *feed, const struct raft_message *message)
{
    if (feed->count == 0)
        return true;
    const struct raft_message *last =
        &feed->waiting[(feed->start + feed->count - 1) % RAFT_INFLIGHT_MAX];
    return last->term == message->term &&
           last->append_request.prev.index + last->append_request.count ==
               message->append_request.prev.index;
}

void replica_feed_append(struct replica *replica, const struct raft_message *message)
{
    struct replica_feed *feed = &replica->feeds[place_of(replica, message->to)];
    check(message->append_request.count <= REPLICA_ENTRIES_MAX);
    check(message->append_request.count > 0); /* a heartbeat does not wait */
    check(message->append_request.prev.index + message->append_request.count <=
          replica->cache.last);
    check(message->append_request.prev.term <= message->term);
    check(feed->count <= RAFT_INFLIGHT_MAX);
    if (!continues(feed, message))
        replica_feed_clear(feed);
    if (feed->count == RAFT_INFLIGHT_MAX)
        drop_oldest(feed); /* the core counts it as answered: the member has that, from before */
    feed->waiting[(feed->start + feed->count++) % RAFT_INFLIGHT_MAX] = *message;
    replica_feed_send(replica, message->to);
}

/* ---- entries from disk ------------------------------------------------------------------ */

/* What was read is what the message is about: the log may have changed since. */
static bool is_wanted(const struct replica *replica, const struct raft_log_reading *read,
                      raft_index first)
{
    if (read->first != first || read->done == 0)
        return false;
    for (uint32_t i = 0; i < read->done; i++)
        if (raft_term_at(replica->raft, first + i) != read->entries[i].pos.term)
            return false;
    return true;
}

static void ask(struct replica *replica, struct replica_feed *feed, raft_index first,
                uint32_t count)
{
    const struct replica_options *options = &replica->options;
    raft_index before_cache = replica->cache.first - first;
    if (feed->reading)
        return; /* it comes back first, wanted or not */
    check(count > 0);
    check(first < replica->cache.first);
    check(first > replica->status.first.index);
    check(oldest(feed)->to != replica->options.raft.id); /* or it came back as a replay */
    feed->reading = true;
    options->reader->ops->submit(
        options->reader, raft_log_reading_new(oldest(feed)->to, first,
                                              before_cache < count ? (uint32_t)before_cache : count,
                                              options->raft.append_bytes_max));
}

/* Puts into scratch what there is in memory of `count` entries from `first` on. */
static uint32_t gather(struct replica *replica, struct replica_feed *feed, raft_index first,
                       uint32_t count)
{
    struct raft_log_reading *read = feed->read;
    uint32_t filled = 0;
    check(count <= REPLICA_ENTRIES_MAX);
    if (read && is_wanted(replica, read, first))
        for (; filled < read->done && filled < count; filled++)
            replica->scratch[filled] = read->entries[filled];
    for (; filled < count; filled++) {
        const struct raft_entry *entry = entry_cache_get(&replica->cache, first + filled);
        if (!entry)
            break;
        replica->scratch[filled] = *entry;
    }
    return filled;
}

/* Sends what is there of the oldest request.  False: nothing is. */
static bool send_oldest(struct replica *replica, struct replica_feed *feed)
{
    struct transport *transport = replica->options.transport;
    struct raft_message *message = oldest(feed);
    struct raft_append_request *request = &message->append_request;
    raft_index first = request->prev.index + 1;
    uint32_t filled = gather(replica, feed, first, request->count);
    if (filled == 0)
        return false;
    for (uint32_t i = 0; i < filled; i++)
        check(replica->scratch[i].pos.index == first + i);
    check(replica->scratch[0].pos.term >= request->prev.term);
    check(replica->scratch[filled - 1].pos.term <= message->term);
    check(request->commit <= replica->cache.last);
    struct raft_message sent = replica_shown_say(replica, message);
    sent.append_request.count = filled;
    transport->ops->send(transport, &sent, replica->scratch);
    request->prev = replica->scratch[filled - 1].pos;
    request->count -= filled;
    if (request->count == 0)
        drop_oldest(feed);
    raft_log_reading_free(feed->read);
    feed->read = NULL;
    return true;
}

/* ---- sending ------------------------------------------------------------------------------- */

static bool is_current(const struct replica *replica, const struct raft_message *message)
{
    return replica_leads(replica) && message->term == replica->status.term;
}

void replica_feed_send(struct replica *replica, raft_node_id to)
{
    struct replica_feed *feed = &replica->feeds[place_of(replica, to)];
    struct transport *transport = replica->options.transport;
    while (feed->count > 0 && transport->ops->has_room_for_entries(transport, to)) {
        if (send_oldest(replica, feed))
            continue;
        const struct raft_append_request *request = &oldest(feed)->append_request;
        raft_index first = request->prev.index + 1;
        if (first > replica->cache.last || first <= replica->status.first.index)
            replica_feed_clear(feed); /* the log was cut, or trimmed, under it */
        else
            ask(replica, feed, first, request->count);
        return;
    }
}

void replica_feed_all(struct replica *replica)
{
    const struct raft_members *members = raft_members(replica->raft);
    for (uint32_t place = 0; place < members->count; place++) {
        struct replica_feed *feed = &replica->feeds[place];
        if (feed->count == 0)
            continue;
        check(oldest(feed)->to == members->list[place].id); /* it moves with the place */
        if (is_current(replica, oldest(feed)))
            replica_feed_send(replica, members->list[place].id);
        else
            replica_feed_clear(feed);
    }
}

void replica_feed_read(struct replica *replica, struct raft_log_reading *reading)
{
    const struct raft_members *members = raft_members(replica->raft);
    uint32_t place = raft_members_place(members, reading->owner);
    struct replica_feed *feed = &replica->feeds[place];
    check(reading->done <= reading->count);
    /* It was removed since; or taken in again, which has asked nothing yet. */
    if (place == members->count || !feed->reading) {
        raft_log_reading_free(reading);
        return;
    }
    feed->reading = false;
    raft_log_reading_free(feed->read);
    feed->read = reading;
    check(reading->count > 0);
    check(feed->count == 0 || oldest(feed)->to == reading->owner);
    if (feed->count > 0 && is_current(replica, oldest(feed)))
        replica_feed_send(replica, reading->owner);
    else
        replica_feed_clear(feed);
}
