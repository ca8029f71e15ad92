/* The network of one node: its loop, its clients, its peers.  The only public header of this
 * directory besides wire.h and what unit tests look into.
 *
 * Order of use: net_new, net_bind, (storage, replica), net_connect, net_run, (replica, storage
 * end), net_free.
 * Everything runs in the thread that calls net_run(), except net_wake(). */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>

#include "command/server.h"
#include "config.h"
#include "net/listener.h"
#include "replica/replica.h"

struct clients;
struct net;
struct peers;

enum { NET_TICK_MS = 10 }; /* the replica's tick */

struct net_options {
    struct config *config;       /* borrowed; CONFIG SET changes it */
    void (*tick)(void *context); /* about every NET_TICK_MS, while net_run() runs */
    void *tick_context;
    /* See peers_options. */
    bool (*remember)(void *context, raft_node_id node, const struct raft_log_life *life);
    void *remember_context;
    void (*saying)(void *context, const struct raft_message *answer, uint64_t durable);
    void *saying_context;
};

struct net *net_new(const struct net_options *options);
void net_free(struct net *net);
/* Takes the ports; nobody is answered before net_run().  Not BOUND: `error` says why. */
enum listener_bound net_bind(struct net *net, char *error, size_t error_size)
    __attribute__((warn_unused_result));

struct transport *net_transport(struct net *net);
int64_t net_now_ms(struct net *net); /* monotonic */
int64_t net_unix_ms(struct net *net);
/* Since the start: turns of the loop, and microseconds in which it did not wait. */
void net_loop_stats(struct net *net, uint64_t *cycles, uint64_t *busy_us);

/* A handle for another thread: net_wake(handle) has `wake(context)` called in the loop thread. */
void *net_waker(struct net *net, void (*wake)(void *context), void *context);
void net_wake(void *handle);
/* That of the log's writer: it ends no wait of the loop while nothing waits for the disk
 * (replica_awaits_disk). */
void *net_disk_waker(struct net *net, void (*wake)(void *context), void *context);
/* It, from its thread: says what was promised behind that write, and wakes. */
void net_durable(struct net *net, uint64_t seq);

/* Whom clients are to be given to, both borrowed until net_run() returns; and the cluster whose
 * members are let in; `life` is this node's. */
void net_connect(struct net *net, struct replica *replica, struct server *server, uint64_t cluster,
                 const struct raft_log_life *life);
/* Of the cluster, once it has one: see peers_set_name(). */
void net_set_name(struct net *net, uint64_t name);
struct clients *net_clients(struct net *net); /* from net_connect() to the end of net_run() */
struct peers *net_peers(struct net *net);

/* Has net_run() come to its end as at a signal, for another reason: this node, a follower, starts
 * again. */
void net_leave(struct net *net);
bool net_was_signalled(const struct net *net); /* to stop for good */

/* Serves until SIGTERM or SIGINT, then hands leadership over, answers what is under way (about two
 * seconds at most; a second signal ends the wait), and closes all connections. */
void net_run(struct net *net);

#endif
