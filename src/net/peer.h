/* The other members, as this node talks to them.
 *
 *                 this node                      that member
 *     links    control  entries  commands  --->  inbounds        what we say; we dial
 *     inbounds control  entries  commands  <---  links           what it says; it dials
 *
 * Six connections a pair, each one way after the handshake: neither a large value nor a queue of
 * commands can delay a heartbeat, and a message needs no thought about who dialed.  This is the
 * transport of the replica: messages may be lost with a connection (the core sends again),
 * forwarded commands may not (the replica is told). */
#ifndef NET_PEER_H
#define NET_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "net/loop.h"
#include "replica/replica.h"

struct peers;

struct peers_options {
    struct loop *loop;
    const struct config *config;
    uint64_t cluster; /* or peers_set_identity(), like the next */
    uint64_t name;    /* of the cluster; 0: peers_set_name() has not come yet */
    struct raft_log_life life;
    /* A node was heard with so many starts of its data directory.  False: it was heard with more
     * before.  NULL: nobody remembers. */
    bool (*remember)(void *context, raft_node_id node, const struct raft_log_life *life);
    void *remember_context;
    /* The log writer's thread: writes up to `durable` are on the disk, and behind this call that
     * answer leaves, which was promised, or finds no room.  NULL: nobody asks. */
    void (*saying)(void *context, const struct raft_message *answer, uint64_t durable);
    void *saying_context;
};

struct peers *peers_new(const struct peers_options *options);
void peers_free(struct peers *peers);
struct transport *peers_transport(struct peers *peers);
/* Before peers_start(). */
void peers_set_identity(struct peers *peers, uint64_t cluster, const struct raft_log_life *life);
/* Whoever says that its cluster has another is not spoken to any more. */
void peers_set_name(struct peers *peers, uint64_t name);
/* From now on: dial, and hand over what comes in. */
void peers_start(struct peers *peers, struct replica *replica);
void peers_accept(void *peers, int fd); /* a listener_accept */
void peers_tick(struct peers *peers);   /* every LOOP_TICK_MS: dialing, time limits */
/* The log writer's thread: that write is durable.  False: what was promised behind it is
 * not said, so the loop has to hurry. */
bool peers_durable(struct peers *peers, uint64_t seq);
void peers_flush(struct peers *peers); /* the end of a turn: write out what was said */

/* host:port where clients reach that member, "" if it did not say yet. */
const char *peers_client_address(const struct peers *peers, raft_node_id node);
/* Bytes that went over all connections with them, since the start. */
struct peers_traffic {
    uint64_t input, output;
};
struct peers_traffic peers_traffic(const struct peers *peers);
bool peers_is_connected(const struct peers *peers, raft_node_id node);

#endif
