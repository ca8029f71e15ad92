/* All other members: the replica's transport on top of links and inbounds.
 *
 * What is dropped and who hears of it:
 *   a Raft message without a connection, or over the bound: lost, as on any network; the core sends
 *     again.  A dropped append with entries is reported (replica_disconnected), so that it asks
 *     where the follower is instead of waiting for an answer that will not come;
 *   a forward: refused, so certainly not sent;
 *   a reply to a forward: must not be lost in silence.  Without room for it the connection is
 *     closed, and its loss tells the other side that outcomes are unknown. */
#include "net/peer.h"

#include <openssl/rand.h>
#include <utlist.h>

#include "base/fatal.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/peer_internal.h"

static const size_t queued_max[CHANNELS] = {
    [CHANNEL_CONTROL] = QUEUED_CONTROL_MAX,
    [CHANNEL_ENTRIES] = QUEUED_ENTRIES_MAX,
    [CHANNEL_COMMANDS] = QUEUED_COMMANDS_MAX,
};

struct peer *peer_find(struct peers *peers, raft_node_id node)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (peers->list[i].member && peers->list[i].member->id == node)
            return &peers->list[i];
    }
    return NULL;
}

/* ---- losses ----------------------------------------------------------------------------- */

void peer_link_lost(struct link *link)
{
    struct peer *peer = link->peer;
    bool is_commands = link->channel == CHANNEL_COMMANDS;
    if (peer->peers->replica)
        replica_disconnected(peer->peers->replica, peer->member->id, !is_commands, is_commands);
}

/* Replies to our forwards came on it. */
void peer_inbound_lost(struct peer *peer, enum channel channel)
{
    if (channel == CHANNEL_COMMANDS && peer->peers->replica)
        replica_disconnected(peer->peers->replica, peer->member->id, false, true);
}

/* Where a process ends its kernel breaks all its connections at once, and refuses new ones: nobody
 * has to wait for its silence.  A cut network does neither. */
void peer_refuses(struct peer *peer)
{
    bool is_heard = false;
    for (unsigned channel = 0; channel < CHANNELS; channel++)
        is_heard |= peer->inbounds[channel] || peer->links[channel].state == LINK_UP;
    if (!is_heard && peer->peers->replica)
        replica_gone(peer->peers->replica, peer->member->id);
}

/* ---- the transport ------------------------------------------------------------------------ */

static struct peers *peers_of(struct transport *transport)
{
    return (struct peers *)transport;
}

static bool has_room(const struct link *link)
{
    return link->state == LINK_UP && outbox_size(&link->out) <= queued_max[link->channel];
}

static void send_message(struct transport *transport, const struct raft_message *message,
                         const struct raft_entry *entries)
{
    struct peer *peer = peer_find(peers_of(transport), message->to);
    bool has_entries = message->type == RAFT_APPEND_REQUEST && message->append_request.count > 0;
    check(message->from == (raft_node_id)peers_of(transport)->options.config->me);
    check(!has_entries || entries);
    if (!peer)
        return;
    struct link *link = &peer->links[has_entries ? CHANNEL_ENTRIES : CHANNEL_CONTROL];
    if (has_room(link))
        wire_encode_message(&link->out, message, entries, loop_unix_ms(peer->peers->options.loop));
    else if (has_entries)
        peer->lost_entries = true;
}

static bool promise(struct transport *transport, const struct raft_message *message, uint64_t seq)
{
    struct peer *peer = peer_find(peers_of(transport), message->to);
    return peer && peer->links[CHANNEL_CONTROL].state == LINK_UP &&
           peers_promise(peer->peers, &peer->links[CHANNEL_CONTROL], message, seq);
}

static void take_back(struct transport *transport)
{
    peers_take_back(peers_of(transport));
}

static bool has_said(struct transport *transport, const struct raft_message *message)
{
    return peers_has_said(peers_of(transport), message);
}

static bool send_forward(struct transport *transport, raft_node_id to,
                         const struct forward *forward)
{
    struct peer *peer = peer_find(peers_of(transport), to);
    /* Without the way back an answer could not come, and nobody would say so. */
    if (!peer || !peer->inbounds[CHANNEL_COMMANDS] || !has_room(&peer->links[CHANNEL_COMMANDS]))
        return false;
    wire_encode_forward(&peer->links[CHANNEL_COMMANDS].out, forward);
    return true;
}

static void send_forward_reply(struct transport *transport, raft_node_id to,
                               const struct forward_reply *reply)
{
    struct peer *peer = peer_find(peers_of(transport), to);
    if (!peer)
        return;
    struct link *link = &peer->links[CHANNEL_COMMANDS];
    /* From the proof on the other side takes it for connected and may have forwarded something.
     * Before, the loss of the last connection told it what this reply would have. */
    if (link->state < LINK_PROVE)
        return;
    if (outbox_size(&link->out) > REPLIES_QUEUED_MAX) {
        link_close(link, "too many replies wait for it");
        return;
    }
    struct forward_reply sent = *reply;
    if (sent.reply.size + (sent.rest ? sent.rest->size : 0) > WIRE_PAYLOAD_MAX) {
        sent.reply = bytes_from_string("-ERR the reply is too large to be passed on\r\n");
        sent.rest = NULL;
    }
    wire_encode_forward_reply(&link->out, &sent);
}

/* Behind what was forwarded, or nowhere: then the connection is lost, and so is that. */
static void send_cancel(struct transport *transport, raft_node_id to,
                        const struct forward_cancel *cancel)
{
    struct peer *peer = peer_find(peers_of(transport), to);
    if (peer && peer->links[CHANNEL_COMMANDS].state == LINK_UP)
        wire_encode_cancel(&peer->links[CHANNEL_COMMANDS].out, cancel);
}

static bool has_room_for_entries(struct transport *transport, raft_node_id to)
{
    struct peer *peer = peer_find(peers_of(transport), to);
    const struct link *link = peer ? &peer->links[CHANNEL_ENTRIES] : NULL;
    return link && link->state == LINK_UP && outbox_size(&link->out) <= ENTRIES_AHEAD_MAX;
}

/* Of a node that is not there the replies are dropped: there is room for them. */
static bool has_room_for_replies(struct transport *transport, raft_node_id to)
{
    struct peer *peer = peer_find(peers_of(transport), to);
    return !peer || outbox_size(&peer->links[CHANNEL_COMMANDS].out) < REPLIES_AHEAD_MAX;
}

/* The connection for entries is a snapshot's own: who is sent one has no use for entries. */
static void send_snapshot(struct transport *transport, const struct snapshot_message *message)
{
    struct peer *peer = peer_find(peers_of(transport), message->to);
    struct link *link =
        peer ? &peer->links[message->payload ? CHANNEL_ENTRIES : CHANNEL_CONTROL] : NULL;
    if (link && has_room(link))
        wire_encode_snapshot(&link->out, message);
}

static const struct transport_ops transport_ops = {
    .snapshot = send_snapshot,
    .send = send_message,
    .promise = promise,
    .take_back = take_back,
    .has_said = has_said,
    .forward = send_forward,
    .forward_reply = send_forward_reply,
    .cancel = send_cancel,
    .has_room_for_entries = has_room_for_entries,
    .has_room = has_room_for_replies,
};

/* ---- life ------------------------------------------------------------------------------------ */

void peers_set_identity(struct peers *peers, uint64_t cluster, const struct raft_log_life *life)
{
    peers->options.cluster = cluster;
    peers->options.life = *life;
}

struct peers *peers_new(const struct peers_options *options)
{
    struct peers *peers = memory_new(sizeof *peers);
    peers->transport.ops = &transport_ops;
    peers->options = *options;
    if (RAND_bytes((unsigned char *)&peers->prng, sizeof peers->prng) != 1)
        fatal("the system has no random bytes to give");
    peers->promises = peers_promises_new();
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &peers->list[i];
        peer->peers = peers;
        for (unsigned channel = 0; channel < CHANNELS; channel++)
            link_init(&peer->links[channel], peer, (enum channel)channel);
    }
    return peers;
}

void peers_free(struct peers *peers)
{
    struct inbound *inbound, *following;
    DL_FOREACH_SAFE(peers->inbounds, inbound, following)
    {
        inbound_free(inbound);
    }
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        for (unsigned channel = 0; channel < CHANNELS; channel++)
            link_deinit(&peers->list[i].links[channel]);
    }
    peers_promises_free(peers->promises);
    if (peers->dns)
        evdns_base_free(peers->dns, 0);
    memory_free(peers);
}

struct transport *peers_transport(struct peers *peers)
{
    return &peers->transport;
}

void peers_start(struct peers *peers, struct replica *replica)
{
    peers->replica = replica;
    peers_tick(peers);
}

void peers_accept(void *context, int fd)
{
    inbound_accept(context, fd);
}

void peers_tick(struct peers *peers)
{
    int64_t now_ms = loop_now_ms(peers->options.loop);
    struct inbound *inbound, *following;
    peers_follow(peers);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        for (unsigned channel = 0; peers->list[i].member && channel < CHANNELS; channel++)
            link_tick(&peers->list[i].links[channel], now_ms);
    }
    DL_FOREACH_SAFE(peers->inbounds, inbound, following)
    {
        inbound_tick(inbound, now_ms);
    }
}

void peers_flush(struct peers *peers)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &peers->list[i];
        if (!peer->member)
            continue;
        for (unsigned channel = 0; channel < CHANNELS; channel++)
            link_flush(&peer->links[channel]);
        if (!peer->lost_entries)
            continue;
        peer->lost_entries = false;
        log_debug("an append to node %llu was dropped", (unsigned long long)peer->member->id);
        replica_disconnected(peers->replica, peer->member->id, true, false);
    }
}

static const struct peer *find(const struct peers *peers, raft_node_id node)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (peers->list[i].member && peers->list[i].member->id == node)
            return &peers->list[i];
    }
    return NULL;
}

/* What it said itself, else what the list says. */
const char *peers_client_address(const struct peers *peers, raft_node_id node)
{
    const struct peer *peer = find(peers, node);
    if (!peer)
        return "";
    return peer->client_address[0] ? peer->client_address : peer->member->client;
}

struct peers_traffic peers_traffic(const struct peers *peers)
{
    struct peers_traffic traffic = peers->traffic;
    traffic.output += peers_said_bytes(peers);
    return traffic;
}

bool peers_is_connected(const struct peers *peers, raft_node_id node)
{
    const struct peer *peer = find(peers, node);
    return peer && peer->links[CHANNEL_CONTROL].state == LINK_UP;
}
