/* Whom this node is connected to: the members of the list in force, and guests.
 *
 * A guest is a node that is not in that list, or not with that life, but whose own list is the
 * newer (replica/members.c: who is let in).  It said where it can be dialed, so it can be answered:
 * a node that was away while the others were replaced learns from them who they are.  Once our list
 * is the newer it is a member, or goes.
 *
 * A member that is taken out of the list stays a moment: what it forwarded is answered. */
#include <inttypes.h>
#include <stdio.h>

#include "base/fatal.h"
#include "base/log.h"
#include "net/peer_internal.h"

enum { GUEST_MS = 5000, LEAVING_MS = 1000 };

static int64_t now_of(const struct peers *peers)
{
    return loop_now_ms(peers->options.loop);
}

struct handshake_node peers_own_node(const struct peers *peers)
{
    struct handshake_node node = {.life = peers->options.life.life,
                                  .starts = peers->options.life.starts,
                                  .name = peers->options.name};
    (void)replica_members(peers->replica, &node.list);
    return node;
}

bool peers_are_of_another(const struct peers *peers, const struct handshake_node *said)
{
    uint64_t name = peers->options.name;
    return name != 0 && said->name != 0 && said->name != name;
}

const char *peers_judge(const struct peers *peers, raft_node_id node,
                        const struct handshake_node *said, char *text, size_t size)
{
    if (peers_are_of_another(peers, said))
        return SAID_OTHER_NAME;
    switch (replica_judge(peers->replica, node, said->life, said->list)) {
    case REPLICA_MEMBER:
    case REPLICA_GUEST: return NULL;
    case REPLICA_NO_MEMBER:
        snprintf(text, size,
                 "node %" PRIu64 " is " SAID_NO_MEMBER ": it was removed, or never taken in", node);
        return text;
    case REPLICA_NOT_KNOWN: return "this node has to hear who the members are first";
    case REPLICA_OTHER_LIFE: break;
    }
    snprintf(text, size,
             "node %" PRIu64 " has " SAID_OTHER_LIFE " than the member of that name: if that was "
             "lost, say RAFT.NODE REPLACE %" PRIu64 ", and start it with an empty directory and "
             "--join",
             node, node);
    return text;
}

const char *peers_remember(const struct peers *peers, raft_node_id node,
                           const struct handshake_node *said)
{
    const struct peers_options *options = &peers->options;
    struct raft_log_life life = {.life = said->life, .starts = said->starts};
    if (!options->remember || life.life == 0 ||
        options->remember(options->remember_context, node, &life))
        return NULL;
    return "the other side's data directory is an old copy: it was started more often before";
}

/* ---- the cluster's name ------------------------------------------------------------------ */

static void part(struct peer *peer)
{
    for (unsigned channel = 0; channel < CHANNELS; channel++) {
        struct inbound *inbound = peer->inbounds[channel];
        struct link *link = &peer->links[channel];
        if (inbound && peers_are_of_another(peer->peers, &inbound->handshake.dialer_node))
            inbound_close(inbound, SAID_OTHER_NAME);
        if (peers_are_of_another(peer->peers, &link->handshake.acceptor_node))
            link_close(link, SAID_OTHER_NAME);
    }
}

void peers_set_name(struct peers *peers, uint64_t name)
{
    peers->options.name = name;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (peers->list[i].member)
            part(&peers->list[i]);
}

/* ---- places ---------------------------------------------------------------------------- */

static void hang_up(struct peer *peer, const char *why)
{
    for (unsigned channel = 0; channel < CHANNELS; channel++) {
        if (peer->inbounds[channel])
            inbound_close(peer->inbounds[channel], why);
        link_deinit(&peer->links[channel]);
    }
    replica_disconnected(peer->peers->replica, peer->member->id, true, true);
}

static void drop(struct peer *peer, const char *why)
{
    log_notice("node %" PRIu64 " (%s): %s", peer->member->id, peer->member->address, why);
    hang_up(peer, why);
    peer->member = NULL;
}

/* If all are taken, the one that would go first goes now. */
static struct peer *free_place(struct peers *peers)
{
    struct peer *first = NULL;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &peers->list[i];
        if (!peer->member)
            return peer;
        if (peer->until_ms != 0 && (!first || peer->until_ms < first->until_ms))
            first = peer;
    }
    check(first); /* no list is so long */
    drop(first, "others need its place");
    return first;
}

static void add(struct peers *peers, const struct raft_member *member, int64_t until_ms)
{
    struct peer *peer = free_place(peers);
    check(member->id != (raft_node_id)peers->options.config->me);
    peer->held = *member;
    peer->member = &peer->held;
    peer->until_ms = until_ms;
    peer->client_address[0] = '\0';
    peer->lost_entries = false;
    for (unsigned channel = 0; channel < CHANNELS; channel++)
        link_init(&peer->links[channel], peer, (enum channel)channel);
}

/* Where it is now: dialed there from the next tick on. */
static void move(struct peer *peer, const char *address)
{
    if (address[0] == '\0' || strcmp(peer->held.address, address) == 0)
        return;
    for (unsigned channel = 0; channel < CHANNELS; channel++) {
        link_close(&peer->links[channel], "it has another address now");
        peer->links[channel].retry_ms = 0;
    }
    memcpy(peer->held.address, address, RAFT_ADDRESS_SIZE);
}

/* ---- the list in force ------------------------------------------------------------------ */

/* The one of that name is another node now. */
static bool is_replaced(const struct peer *peer, const struct raft_member *member)
{
    bool is_left = member->life == 0 && !member->voter; /* its place, for one that joins */
    return peer->held.life != 0 && peer->held.life != member->life &&
           (member->life != 0 || is_left);
}

static void keep_up(struct peer *peer, const struct raft_members *members)
{
    uint32_t place = raft_members_place(members, peer->member->id);
    if (place == members->count) {
        if (peer->until_ms == 0)
            peer->until_ms = now_of(peer->peers) + LEAVING_MS;
        return;
    }
    const struct raft_member *member = &members->list[place];
    if (is_replaced(peer, member)) {
        drop(peer, "another node has its place");
        return;
    }
    move(peer, member->address);
    peer->held = *member;
    peer->until_ms = 0;
}

void peer_introduce(struct peer *peer, const struct handshake *hello)
{
    struct replica *replica = peer->peers->replica;
    struct raft_member member = {.id = hello->dialer, .life = hello->dialer_node.life};
    memcpy(member.address, hello->peer_address, sizeof member.address);
    memcpy(member.client, hello->client_address, sizeof member.client);
    replica_announced(replica, hello->dialer, hello->meaning);
    if (member.life != 0)
        replica_introduced(replica, &member);
}

/* Its place is new, or was a guest's. */
static void introduce_again(struct peer *peer)
{
    for (unsigned channel = 0; peer->member && channel < CHANNELS; channel++)
        if (peer->inbounds[channel])
            peer_introduce(peer, &peer->inbounds[channel]->handshake);
}

static void follow_list(struct peers *peers, const struct raft_members *members)
{
    peers->followed = *members;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (peers->list[i].member)
            keep_up(&peers->list[i], members);
    for (uint32_t place = 0; place < members->count; place++) {
        const struct raft_member *member = &members->list[place];
        if (member->id != (raft_node_id)peers->options.config->me && !peer_find(peers, member->id))
            add(peers, member, 0);
    }
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        introduce_again(&peers->list[i]);
}

/* Whether a connection of it would be let in now. */
static bool is_welcome(const struct peer *peer)
{
    char text[256];
    for (unsigned channel = 0; channel < CHANNELS; channel++) {
        const struct inbound *inbound = peer->inbounds[channel];
        if (inbound && !peers_judge(peer->peers, peer->member->id, &inbound->handshake.dialer_node,
                                    text, sizeof text))
            return true;
    }
    return false;
}

static void look_at_guest(struct peer *peer)
{
    int64_t now_ms = now_of(peer->peers);
    if (is_welcome(peer))
        peer->until_ms = now_ms + GUEST_MS;
    else if (now_ms >= peer->until_ms)
        drop(peer, "it is not a member any more");
}

void peers_follow(struct peers *peers)
{
    const struct raft_members *members = replica_members(peers->replica, NULL);
    if (!raft_members_equal(members, &peers->followed))
        follow_list(peers, members);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (peers->list[i].member && peers->list[i].until_ms != 0)
            look_at_guest(&peers->list[i]);
}

/* ---- guests ------------------------------------------------------------------------------- */

static uint32_t count_guests(const struct peers *peers)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        count += peers->list[i].member && peers->list[i].until_ms != 0;
    return count;
}

struct peer *peers_take_in(struct peers *peers, const struct handshake *hello, const char **error)
{
    peers_follow(peers);
    *error = peers_remember(peers, hello->dialer, &hello->dialer_node);
    if (*error)
        return NULL;
    struct peer *peer = peer_find(peers, hello->dialer);
    if (!peer) {
        struct raft_member guest = {.id = hello->dialer, .life = hello->dialer_node.life};
        if (count_guests(peers) == GUESTS_MAX) {
            *error = "there is no place for one more that is not a member yet";
            return NULL;
        }
        memcpy(guest.address, hello->peer_address, sizeof guest.address);
        add(peers, &guest, now_of(peers) + GUEST_MS);
        peer = peer_find(peers, hello->dialer);
        check(peer);
    } else if (peer->held.life == 0 || peer->held.life != hello->dialer_node.life) {
        move(peer, hello->peer_address); /* our list is an old one, or does not know */
    }
    return peer;
}
