/* Who is connected to whom: net/peer_members.c as it is shipped decides, on links and inbounds that
 * are the simulator's.  One dials where the list, or a guest, says that a node is, and the four
 * lines of the handshake (net/handshake.h) are four events: the hello is judged, the welcome is
 * judged, with the proof the acceptor takes the dialer in, with the answer the dialer is connected.
 * The proof itself and the bytes of these lines are not simulated.
 *
 * Left out against net/link.c and net/inbound.c: the secret, limits of time and size, and that a
 * dialer tries ever more seldom. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "pipes.h"
#include "replica/stamp.h"

enum { AGAIN_MS = 20, AGAIN_SPREAD_MS = 80, REFUSED_MS = 300 };

/* One line on its way. */
struct greeting {
    uint32_t from, to; /* machines: the dialer's, the acceptor's */
    enum channel channel;
    uint64_t connection;
    uint32_t directory; /* of the one who says it */
    struct handshake handshake;
    char why[256]; /* a refusal */
};

static const enum channel used[] = {CHANNEL_CONTROL, CHANNEL_COMMANDS};

/* What peer_members.c asks of the loop: the time. */
int64_t loop_now_ms(struct loop *loop)
{
    return sim_node_now_ms((const struct sim_node *)loop);
}

struct peer *peer_find(struct peers *peers, raft_node_id node)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (peers->list[i].member && peers->list[i].member->id == node)
            return &peers->list[i];
    return NULL;
}

static struct sim_node *node_of(const struct peers *peers)
{
    return (struct sim_node *)peers->options.loop;
}

/* ---- addresses ----------------------------------------------------------------------- */

void sim_address(uint32_t machine, bool clients, char text[RAFT_ADDRESS_SIZE])
{
    memset(text, 0, RAFT_ADDRESS_SIZE);
    snprintf(text, RAFT_ADDRESS_SIZE, "machine%u:%d", machine, clients ? 2 : 1);
}

/* False: there is none yet. */
static bool machine_at(const char *address, uint32_t *machine)
{
    unsigned number;
    if (sscanf(address, "machine%u:1", &number) != 1)
        return false;
    *machine = number;
    return *machine < sim.options.nodes;
}

/* ---- ends ---------------------------------------------------------------------------- */

static void retry(struct link *link, int64_t after_ms)
{
    link->retry_ms = loop_now_ms(link->peer->peers->options.loop) + after_ms +
                     (int64_t)sim_below(AGAIN_SPREAD_MS);
}

/* The dialer's. */
static struct pipe *pipe_of_link(const struct link *link)
{
    uint32_t from = (uint32_t)node_of(link->peer->peers)->id;
    for (uint32_t to = 0; to < sim.options.nodes; to++)
        if (sim_pipe(link->channel, from, to)->link == link)
            return sim_pipe(link->channel, from, to);
    return NULL;
}

static struct pipe *pipe_of_inbound(const struct inbound *inbound, uint32_t *from)
{
    uint32_t to = (uint32_t)node_of(inbound->peers)->id;
    for (*from = 0; *from < sim.options.nodes; ++*from)
        if (sim_pipe(inbound->handshake.channel, *from, to)->heard == inbound)
            return sim_pipe(inbound->handshake.channel, *from, to);
    sim_fail("a connection of nobody");
}

static void close_end(struct link *link)
{
    struct pipe *pipe = pipe_of_link(link);
    link->state = LINK_DOWN;
    if (!pipe)
        return;
    pipe->link = NULL;
    if (pipe->dialed == pipe->connection)
        pipe->connection++; /* the other end hears nothing more */
}

void link_init(struct link *link, struct peer *peer, enum channel channel)
{
    memset(link, 0, sizeof *link);
    link->peer = peer;
    link->channel = channel;
}

static void notice_end(struct sim_node *node, void *data)
{
    uint32_t other = *(uint32_t *)data;
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, notice_end, data);
        return;
    }
    memory_free(data);
    sim_links_broken(node, other);
    sim_node_run(node);
}

/* The other end's process sees it after a while. */
static void tell_of_end(uint32_t machine, uint32_t other)
{
    uint32_t *data = memory_new(sizeof *data);
    *data = other;
    if (sim.nodes[machine].alive)
        sim_schedule(sim_network_delay(), &sim.nodes[machine], notice_end, data);
    else
        memory_free(data);
}

void link_close(struct link *link, const char *why)
{
    (void)why;
    uint32_t from = (uint32_t)node_of(link->peer->peers)->id;
    struct pipe *pipe = pipe_of_link(link);
    bool was_up = link->state == LINK_UP;
    if (pipe)
        tell_of_end((uint32_t)((pipe - sim_pipe(link->channel, from, 0))), from);
    close_end(link);
    retry(link, AGAIN_MS);
    if (was_up && link->peer->peers->replica)
        replica_disconnected(link->peer->peers->replica, link->peer->member->id,
                             link->channel != CHANNEL_COMMANDS, link->channel == CHANNEL_COMMANDS);
}

void link_deinit(struct link *link)
{
    uint32_t from = (uint32_t)node_of(link->peer->peers)->id;
    struct pipe *pipe = pipe_of_link(link);
    if (pipe)
        tell_of_end((uint32_t)((pipe - sim_pipe(link->channel, from, 0))), from);
    close_end(link);
}

static void forget_inbound(struct inbound *inbound, struct pipe *pipe)
{
    struct peer *peer = inbound->peer;
    enum channel channel = inbound->handshake.channel;
    pipe->heard = NULL;
    peer->inbounds[channel] = NULL;
    memory_free(inbound);
    if (channel == CHANNEL_COMMANDS) /* replies to our forwards came on it */
        replica_disconnected(peer->peers->replica, peer->member->id, false, true);
}

void inbound_close(struct inbound *inbound, const char *why)
{
    uint32_t from;
    struct pipe *pipe = pipe_of_inbound(inbound, &from);
    uint32_t to = (uint32_t)node_of(inbound->peers)->id;
    (void)why;
    if (pipe->accepted == pipe->connection)
        pipe->connection++;
    forget_inbound(inbound, pipe);
    tell_of_end(from, to);
}

void sim_links_broken(struct sim_node *node, uint32_t other)
{
    for (uint32_t i = 0; i < sizeof used / sizeof *used; i++) {
        struct pipe *out = sim_pipe(used[i], (uint32_t)node->id, other);
        struct pipe *in = sim_pipe(used[i], other, (uint32_t)node->id);
        if (out->link && out->dialed != out->connection)
            link_close(out->link, "it broke");
        if (in->heard && in->accepted != in->connection)
            forget_inbound(in->heard, in);
    }
}

void sim_links_gone(struct sim_node *node, uint32_t other)
{
    uint32_t machine;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *peer = &node->peers->list[i];
        if (peer->member && machine_at(peer->member->address, &machine) && machine == other)
            replica_gone(node->replica, peer->member->id);
    }
}

static struct pipe *pipe_to(const struct sim_node *node, raft_node_id to, enum channel channel,
                            enum link_state least, uint32_t *machine)
{
    struct peer *peer = node->peers ? peer_find(node->peers, to) : NULL;
    struct pipe *pipe =
        peer && peer->links[channel].state >= least ? pipe_of_link(&peer->links[channel]) : NULL;
    if (pipe)
        *machine = (uint32_t)(pipe - sim_pipe(channel, (uint32_t)node->id, 0));
    return pipe;
}

struct pipe *sim_link_up(const struct sim_node *node, raft_node_id to, enum channel channel,
                         uint32_t *machine)
{
    return pipe_to(node, to, channel, LINK_UP, machine);
}

struct pipe *sim_link_proved(const struct sim_node *node, raft_node_id to, enum channel channel,
                             uint32_t *machine)
{
    return pipe_to(node, to, channel, LINK_PROVE, machine);
}

/* ---- the handshake -------------------------------------------------------------------- */

static struct link *link_of(const struct greeting *greeting)
{
    struct pipe *pipe = sim_pipe(greeting->channel, greeting->from, greeting->to);
    return pipe->dialed == greeting->connection ? pipe->link : NULL;
}

/* A build before these said nothing of itself. */
static struct handshake_node self_of(const struct sim_node *node)
{
    struct handshake_node silent = {0};
    return node->meaning_known < STAMP_MEANING_MEMBERS ? silent : peers_own_node(node->peers);
}

/* True: it goes on here, and now. */
static bool is_said(struct sim_node *node, struct greeting *greeting, sim_event_fn *again)
{
    const struct pipe *pipe = sim_pipe(greeting->channel, greeting->from, greeting->to);
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, again, greeting);
        return false;
    }
    if (pipe->connection == greeting->connection && pipe->dialed == greeting->connection)
        return true;
    memory_free(greeting);
    return false;
}

static void say(struct sim_node *node, struct greeting *greeting, sim_event_fn *heard)
{
    bool dials = node->id == greeting->from;
    uint32_t to = dials ? greeting->to : greeting->from;
    struct pipe *pipe = sim_pipe(greeting->channel, greeting->from, greeting->to);
    greeting->directory = node->directory;
    sim_schedule(dials ? sim_pipe_delay(pipe) : sim_network_delay(), &sim.nodes[to], heard,
                 greeting);
}

/* Only a new directory under an old name ends by this. */
static void on_refusal(struct sim_node *node, void *data)
{
    struct greeting *greeting = data;
    if (!is_said(node, greeting, on_refusal))
        return;
    struct link *link = link_of(greeting);
    bool is_disowned =
        strstr(greeting->why, SAID_NO_MEMBER) || strstr(greeting->why, SAID_OTHER_LIFE);
    if (link) {
        close_end(link);
        retry(link, REFUSED_MS);
    }
    memory_free(greeting);
    sim_node_refused(node, is_disowned);
}

static void refuse(struct sim_node *node, struct greeting *greeting, const char *why)
{
    if (why != greeting->why)
        snprintf(greeting->why, sizeof greeting->why, "%s", why);
    sim_say("node %" PRIu64 " refuses node %u: %s", node->id, greeting->from, greeting->why);
    sim.coverage.refused_nodes++;
    say(node, greeting, on_refusal);
}

static void on_answer(struct sim_node *node, void *data)
{
    struct greeting *greeting = data;
    if (!is_said(node, greeting, on_answer))
        return;
    struct link *link = link_of(greeting);
    const char *error = link ? peers_remember(node->peers, link->peer->member->id,
                                              &greeting->handshake.acceptor_node)
                             : NULL;
    if (error) {
        sim_node_turns_away(node, greeting->directory, error);
        link_close(link, error);
        retry(link, REFUSED_MS);
    } else if (link) {
        sim_node_lets_in(node, greeting->directory);
        link->state = LINK_UP;
    }
    memory_free(greeting);
}

static void take_in(struct sim_node *node, struct peer *peer, const struct greeting *greeting)
{
    struct pipe *pipe = sim_pipe(greeting->channel, greeting->from, greeting->to);
    struct inbound *old = peer->inbounds[greeting->channel];
    uint32_t from;
    if (old && pipe_of_inbound(old, &from) == pipe) /* it broke, which is not noticed yet */
        forget_inbound(old, pipe);
    else if (old)
        inbound_close(old, "replaced by a newer one");
    if (pipe->heard) /* of another name, and not noticed yet */
        forget_inbound(pipe->heard, pipe);
    struct inbound *inbound = memory_new(sizeof *inbound);
    inbound->peers = node->peers;
    inbound->peer = peer;
    inbound->handshake = greeting->handshake;
    peer->inbounds[greeting->channel] = inbound;
    pipe->heard = inbound;
    pipe->accepted = greeting->connection;
    pipe->dialer = greeting->directory;
    peer_introduce(peer, &inbound->handshake);
}

static void on_proof(struct sim_node *node, void *data)
{
    struct greeting *greeting = data;
    const char *error;
    if (!is_said(node, greeting, on_proof))
        return;
    uint64_t connection = greeting->connection;
    struct peer *peer = peers_take_in(node->peers, &greeting->handshake, &error);
    if (error) {
        sim_node_turns_away(node, greeting->directory, error);
        refuse(node, greeting, error);
        return;
    }
    if (sim_pipe(greeting->channel, greeting->from, greeting->to)->connection != connection) {
        memory_free(greeting); /* it was hung up meanwhile */
        return;
    }
    sim_node_lets_in(node, greeting->directory);
    take_in(node, peer, greeting);
    say(node, greeting, on_answer);
    sim_node_run(node);
}

static void on_welcome(struct sim_node *node, void *data)
{
    struct greeting *greeting = data;
    if (!is_said(node, greeting, on_welcome))
        return;
    struct link *link = link_of(greeting);
    struct pipe *pipe = sim_pipe(greeting->channel, greeting->from, greeting->to);
    bool is_old_build = node->meaning_known < STAMP_MEANING_MEMBERS;
    if (link && !is_old_build &&
        peers_judge(node->peers, link->peer->member->id, &greeting->handshake.acceptor_node,
                    greeting->why, sizeof greeting->why)) {
        sim_say("node %" PRIu64 " hangs up on node %u: %s", node->id, greeting->to, greeting->why);
        sim.coverage.refused_nodes++;
        link_close(link, greeting->why);
        retry(link, REFUSED_MS);
        link = NULL;
    }
    if (!link) {
        memory_free(greeting);
        return;
    }
    pipe->acceptor = greeting->directory;
    link->state = LINK_PROVE;
    say(node, greeting, on_proof);
}

/* NULL, or why this hello is not for us: as net/inbound.c has it. */
static const char *check_hello(const struct sim_node *node, struct greeting *greeting)
{
    const struct handshake *hello = &greeting->handshake;
    bool is_old_build = node->meaning_known < STAMP_MEANING_MEMBERS;
    const char *why = is_old_build ? NULL
                                   : peers_judge(node->peers, hello->dialer, &hello->dialer_node,
                                                 greeting->why, sizeof greeting->why);
    bool is_disowned = why == greeting->why;
    if (hello->acceptor != node->name && !is_disowned)
        return "this is another node";
    if (hello->dialer == node->name)
        return "the other side calls itself what this node is called";
    return why;
}

static void on_hello(struct sim_node *node, void *data)
{
    struct greeting *greeting = data;
    if (!is_said(node, greeting, on_hello))
        return;
    const char *why = check_hello(node, greeting);
    if (why) {
        refuse(node, greeting, why);
        return;
    }
    greeting->handshake.acceptor_node = self_of(node);
    say(node, greeting, on_welcome);
}

/* ---- dialing -------------------------------------------------------------------------- */

static void dial(struct sim_node *node, struct link *link)
{
    uint32_t from = (uint32_t)node->id, to;
    if (!machine_at(link->peer->member->address, &to) || to == from ||
        sim_network_is_cut(from, to) || sim_network_is_cut(to, from) || !sim.nodes[to].alive) {
        retry(link, AGAIN_MS);
        return;
    }
    struct pipe *pipe = sim_pipe(link->channel, from, to);
    if (pipe->link) /* another name there */
        link_close(pipe->link, "it is dialed under another name");
    struct greeting *greeting = memory_new(sizeof *greeting);
    pipe->dialed = ++pipe->connection;
    pipe->link = link;
    link->state = LINK_HELLO;
    *greeting = (struct greeting){.from = from,
                                  .to = to,
                                  .channel = link->channel,
                                  .connection = pipe->connection,
                                  .handshake = {.dialer = node->name,
                                                .acceptor = link->peer->member->id,
                                                .channel = link->channel,
                                                .meaning = node->meaning_known,
                                                .dialer_node = self_of(node)}};
    if (node->meaning_known >= STAMP_MEANING_MEMBERS) {
        sim_address(from, false, greeting->handshake.peer_address);
        sim_address(from, true, greeting->handshake.client_address);
    }
    say(node, greeting, on_hello);
}

void sim_links_tick(struct sim_node *node)
{
    int64_t now_ms = sim_node_now_ms(node);
    peers_follow(node->peers);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &node->peers->list[i];
        for (uint32_t k = 0; peer->member && k < sizeof used / sizeof *used; k++) {
            struct link *link = &peer->links[used[k]];
            if (link->state == LINK_DOWN && now_ms >= link->retry_ms)
                dial(node, link);
        }
    }
}

/* ---- life ------------------------------------------------------------------------------ */

static bool remember(void *context, raft_node_id node, const struct raft_log_life *life)
{
    return raft_log_remember(((struct sim_node *)context)->log, node, life);
}

void sim_links_start(struct sim_node *node)
{
    struct peers *peers = memory_new(sizeof *peers);
    node->config.me = (int64_t)node->name;
    peers->options = (struct peers_options){.loop = (struct loop *)node,
                                            .config = &node->config,
                                            .cluster = SIM_HASH_SEED,
                                            .life = node->disk_life,
                                            .remember = remember,
                                            .remember_context = node};
    peers->replica = node->replica;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        peers->list[i].peers = peers;
    node->peers = peers;
    peers_follow(peers);
}

void sim_links_end(struct sim_node *node)
{
    for (uint32_t other = 0; node->peers && other < sim.options.nodes; other++)
        for (uint32_t i = 0; i < sizeof used / sizeof *used; i++) {
            struct pipe *out = sim_pipe(used[i], (uint32_t)node->id, other);
            struct pipe *in = sim_pipe(used[i], other, (uint32_t)node->id);
            out->link = NULL;
            memory_free(in->heard);
            in->heard = NULL;
        }
    memory_free(node->peers);
    node->peers = NULL;
}
