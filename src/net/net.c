/* See net.h.  The stop, step by step:
 *
 *   SERVING --SIGTERM, SIGINT--> LEAVING: no new connection, no new command; a leader with live
 *           or net_leave()       peers hands over
 *   LEAVING --all answered, another node leads (or 2 s, or a second signal)--> the loop ends
 *
 * A stop that waits for the handover costs the cluster no election timeout. */
#include "net/net.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/large.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/memory_trim.h"
#include "net/address.h"
#include "net/client.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/peer.h"
#include "net/trim.h"

/* STAY_MS: after another leads, so that those who have not heard of it, and still send us what is
 * for the leader, are told that we did not take it. */
enum { LEAVE_MS = 2000, STAY_MS = 100 };
enum { TRIM_BYTES = 32 << 20 }; /* that nobody uses are let be */
_Static_assert((int)NET_TICK_MS == (int)LOOP_TICK_MS, "one tick");

struct net {
    struct net_options options;
    struct loop *loop;
    struct listener *client_listener, *peer_listener;
    struct clients *clients;
    struct peers *peers;
    struct replica *replica;
    struct waker *disk_waker; /* borrowed; NULL: none */
    struct event *term, *interrupt, *hangup;
    bool leaving, handed_over, signalled;
    int64_t leave_by_ms;
    int64_t stay_until_ms; /* 0: nobody else leads yet */
    struct net_trim trim;
    struct memory_trim memory_trim;
};

/* ---- a planned stop -------------------------------------------------------------------- */

/* Someone to hand over to, as far as we know. */
static bool has_live_peer(const struct net *net, const struct replica_status *status)
{
    for (uint32_t i = 0; i < status->peers_count; i++) {
        const struct raft_peer_status *peer = &status->peers[i];
        const struct raft_members *members = replica_members(net->replica, NULL);
        uint32_t place = raft_members_place(members, peer->id);
        if (place < members->count && members->list[place].voter && peer->active &&
            peers_is_connected(net->peers, peer->id))
            return true;
    }
    return false;
}

static void leave(struct net *net)
{
    struct replica_status status;
    replica_status(net->replica, &status);
    net->leaving = true;
    net->leave_by_ms = loop_now_ms(net->loop) + LEAVE_MS;
    listener_free(net->client_listener);
    net->client_listener = NULL;
    clients_quiesce(net->clients);
    if (status.raft.role == RAFT_LEADER && has_live_peer(net, &status)) {
        net->handed_over = true;
        log_notice("handing the leadership over");
        replica_transfer(net->replica);
    }
}

static bool may_end(struct net *net)
{
    struct replica_status status;
    if (loop_now_ms(net->loop) >= net->leave_by_ms)
        return true;
    if (clients_unanswered(net->clients))
        return false;
    replica_status(net->replica, &status);
    if (status.raft.role == RAFT_LEADER)
        return !has_live_peer(net, &status);
    if (status.raft.leader == RAFT_NOBODY)
        return replica_members(net->replica, NULL)->count <= 1;
    if (net->stay_until_ms == 0)
        net->stay_until_ms = loop_now_ms(net->loop) + (net->handed_over ? STAY_MS : 0);
    return loop_now_ms(net->loop) >= net->stay_until_ms;
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    struct net *net = context;
    bool is_second = net->signalled;
    (void)what;
    net->signalled = true;
    if (net->leaving && !is_second)
        return; /* for another reason; then it stops */
    if (net->leaving) {
        log_warning("a second signal: not waiting any longer");
        net->leave_by_ms = 0;
        return;
    }
    log_notice("stopping: %s", number == SIGINT ? "SIGINT" : "SIGTERM");
    leave(net);
}

void net_leave(struct net *net)
{
    if (!net->leaving)
        leave(net);
}

bool net_was_signalled(const struct net *net)
{
    return net->signalled;
}

/* Whoever rotates logs sends it; and a closed terminal is no reason to stop. */
static void on_hangup(evutil_socket_t number, short what, void *context)
{
    (void)number;
    (void)what;
    (void)context;
    if (log_reopen())
        log_notice("SIGHUP: the log file is open anew");
    else
        log_warning("SIGHUP: the log file cannot be opened anew: %s", strerror(errno));
}

static void watch_signals(struct net *net)
{
    struct event_base *base = loop_base(net->loop);
    signal(SIGPIPE, SIG_IGN); /* a write to a closed connection is an error like any other */
    net->term = evsignal_new(base, SIGTERM, on_signal, net);
    net->interrupt = evsignal_new(base, SIGINT, on_signal, net);
    net->hangup = evsignal_new(base, SIGHUP, on_hangup, net);
    if (!net->term || !net->interrupt || !net->hangup || evsignal_add(net->term, NULL) != 0 ||
        evsignal_add(net->interrupt, NULL) != 0 || evsignal_add(net->hangup, NULL) != 0)
        fatal("cannot watch signals");
}

/* ---- the turn ----------------------------------------------------------------------------- */

static void trim_memory(struct net *net)
{
    struct replica_status status;
    replica_status(net->replica, &status);
    uint64_t done = status.raft.applied + status.reads_done;
    if (net_trim_is_due(&net->trim, loop_now_ms(net->loop), done) &&
        large_status().kept > TRIM_BYTES)
        memory_trim_begin(&net->memory_trim);
    if (!net->trim.is_idle)
        memory_trim_keep_blocks(&net->memory_trim);
}

static void on_tick(void *context)
{
    struct net *net = context;
    replica_tick(net->replica, loop_now_ms(net->loop), loop_unix_ms(net->loop));
    peers_tick(net->peers);
    /* A heartbeat does not wait for what this turn brought, which may be a large value. */
    peers_flush(net->peers);
    clients_tick(net->clients);
    net->options.tick(net->options.tick_context);
    trim_memory(net);
}

static bool on_turn(void *context)
{
    struct net *net = context;
    clients_given(net->clients);
    bool more = replica_run(net->replica);
    peers_flush(net->peers);
    if (clients_turn(net->clients))
        more = true;
    net_trim_busy(&net->trim, more);
    if (net->leaving && may_end(net))
        loop_stop(net->loop);
    if (net->disk_waker)
        waker_may_be_late(net->disk_waker, !replica_awaits_disk(net->replica));
    return more;
}

void net_connect(struct net *net, struct replica *replica, struct server *server, uint64_t cluster,
                 const struct raft_log_life *life)
{
    peers_set_identity(net->peers, cluster, life);
    net->replica = replica;
    struct clients_options options = {
        .loop = net->loop,
        .config = net->options.config,
        .replica = replica,
        .server = server,
        .peers = net->peers,
    };
    net->clients = clients_new(&options);
}

void net_set_name(struct net *net, uint64_t name)
{
    peers_set_name(net->peers, name);
}

struct clients *net_clients(struct net *net)
{
    return net->clients;
}

struct peers *net_peers(struct net *net)
{
    return net->peers;
}

void net_run(struct net *net)
{
    struct loop_hooks hooks = {.tick = on_tick, .turn = on_turn, .context = net};
    watch_signals(net);
    peers_start(net->peers, net->replica);
    listener_start(net->peer_listener);
    listener_start(net->client_listener);
    loop_run(net->loop, &hooks);
    peers_flush(net->peers);
    clients_free(net->clients);
    net->clients = NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void accept_client(void *context, int fd)
{
    struct net *net = context;
    clients_accept(net->clients, fd);
}

static void refuse_client(void *context, int fd)
{
    struct net *net = context;
    clients_refuse(net->clients, fd);
}

static void refuse_peer(void *context, int fd)
{
    (void)context;
    close(fd);
}

static void accept_peer(void *context, int fd)
{
    struct net *net = context;
    peers_accept(net->peers, fd);
}

struct net *net_new(const struct net_options *options)
{
    struct net *net = memory_new(sizeof *net);
    net->options = *options;
    signal(SIGHUP, SIG_IGN); /* until net_run() */
    net->loop = loop_new();
    struct listener_options clients = {net->loop, "client", accept_client, refuse_client, net};
    struct listener_options strangers = {net->loop, "peer", accept_peer, refuse_peer, net};
    net->client_listener = listener_new(&clients);
    net->peer_listener = listener_new(&strangers);
    struct peers_options peers = {.loop = net->loop,
                                  .config = options->config,
                                  .remember = options->remember,
                                  .remember_context = options->remember_context,
                                  .saying = options->saying,
                                  .saying_context = options->saying_context};
    net->peers = peers_new(&peers);
    return net;
}

void net_free(struct net *net)
{
    listener_free(net->client_listener);
    listener_free(net->peer_listener);
    peers_free(net->peers);
    if (net->term)
        event_free(net->term);
    if (net->interrupt)
        event_free(net->interrupt);
    if (net->hangup)
        event_free(net->hangup);
    loop_free(net->loop);
    memory_trim_end(&net->memory_trim);
    memory_free(net);
}

/* Where peers connect: peer-bind, or the host of our own address. */
static enum listener_bound bind_peers(struct net *net, char *error, size_t error_size)
{
    const struct config *config = net->options.config;
    struct config_bind_list hosts = config->peer_bind;
    char host[CONFIG_HOST_SIZE];
    int port;
    if (!socket_address_split(config->peer_address, host, sizeof host, &port)) {
        snprintf(error, error_size, "this node has no usable address: %s", config->peer_address);
        return LISTENER_REFUSED;
    }
    if (hosts.count == 0) {
        hosts.count = 1;
        memcpy(hosts.list[0].host, host, sizeof host);
    }
    return listener_bind(net->peer_listener, &hosts, port, config->tcp_backlog, error, error_size);
}

enum listener_bound net_bind(struct net *net, char *error, size_t error_size)
{
    const struct config *config = net->options.config;
    enum listener_bound bound = listener_bind(net->client_listener, &config->bind, config->port,
                                              config->tcp_backlog, error, error_size);
    return bound == LISTENER_BOUND ? bind_peers(net, error, error_size) : bound;
}

struct transport *net_transport(struct net *net)
{
    return peers_transport(net->peers);
}

int64_t net_now_ms(struct net *net)
{
    return loop_now_ms(net->loop);
}

int64_t net_unix_ms(struct net *net)
{
    return loop_unix_ms(net->loop);
}

void net_loop_stats(struct net *net, uint64_t *cycles, uint64_t *busy_us)
{
    loop_stats(net->loop, cycles, busy_us);
}

void *net_waker(struct net *net, void (*wake)(void *context), void *context)
{
    return loop_waker(net->loop, wake, context);
}

void *net_disk_waker(struct net *net, void (*wake)(void *context), void *context)
{
    return net->disk_waker = loop_waker(net->loop, wake, context);
}

void net_durable(struct net *net, uint64_t seq)
{
    if (peers_durable(net->peers, seq))
        waker_wake(net->disk_waker);
    else
        waker_hurry(net->disk_waker);
}

void net_wake(void *handle)
{
    waker_wake(handle);
}
