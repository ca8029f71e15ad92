/* One node's connections to another member: the other one's port is a socket of the test's, which
 * plays the acceptor with the shipped handshake; the replica is a notebook. */
#ifndef TEST_PEERS_H
#define TEST_PEERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "command/change.h"
#include "net/peer_internal.h"

enum { TURNS = 40, LARGE = 1 << 20 };

static struct {
    struct loop *loop;
    struct config config;
    struct peers *peers;
    struct peer *other;
    int listening;
    int64_t ahead_ms;
    int raft_losses, forward_losses; /* that the replica was told of */
    int gone;                        /* times that it was told the node is */
    size_t forwarded;                /* bytes of the last command that came */
    raft_index list;                 /* where the list of members stands */
    enum replica_verdict verdict;    /* of the other node, or `guest` */
    raft_node_id guest;
    uint64_t judged_life, heard_life, forwarded_life;
    raft_index judged_list;
    struct raft_member introduced;
    uint8_t announced; /* the meaning that it knows */
    struct raft_log_life remembered;
    bool forgets, any_loss;
    int disowned;
    struct request *request; /* of a node that joins */
    bool abandoned;
    int messages, replies, cancels; /* that came */
} world;

/* ---- the replica, as far as peers know it ---------------------------------------------- */

void replica_disconnected(struct replica *replica, raft_node_id node, bool raft, bool forwards)
{
    (void)replica;
    assert_true(node == 1 || node == world.guest || world.any_loss);
    world.raft_losses += raft;
    world.forward_losses += forwards;
}

void replica_gone(struct replica *replica, raft_node_id node)
{
    (void)replica;
    assert_true(node == 1 || world.any_loss);
    world.gone++;
}

void replica_receive(struct replica *replica, const struct raft_message *message, uint64_t life,
                     int64_t clock_ms)
{
    world.heard_life = life;
    (void)replica;
    (void)message;
    (void)clock_ms;
    world.messages++;
}

void replica_announced(struct replica *replica, raft_node_id node, uint8_t meaning)
{
    (void)replica;
    assert_true(node == 1 || world.any_loss || node == world.guest);
    world.announced = meaning;
}

const struct raft_members *replica_members(const struct replica *replica, raft_index *index)
{
    (void)replica;
    if (index)
        *index = world.list;
    return &world.config.nodes;
}

void replica_disowned(const struct replica *replica)
{
    (void)replica;
    world.disowned++;
}

void replica_introduced(struct replica *replica, const struct raft_member *member)
{
    (void)replica;
    world.introduced = *member;
}

struct request *request_new(enum request_kind kind, int protocol, uint64_t client,
                            struct blob *command, request_done *done, void *context)
{
    struct request *request = memory_new(sizeof *request);
    assert_int_equal(kind, REQUEST_WRITE);
    assert_int_equal(protocol, 2);
    request->client = client;
    request->command = command;
    request->done = done;
    request->context = context;
    return request;
}

void replica_submit(struct replica *replica, struct request *request)
{
    (void)replica;
    assert_null(world.request);
    world.request = request;
}

void replica_abandon(struct replica *replica, uint64_t client)
{
    (void)replica;
    assert_int_equal(client, world.request->client);
    world.abandoned = true;
}

/* What the replica would say of the other node, if that says what it should. */
enum replica_verdict replica_judge(const struct replica *replica, raft_node_id node, uint64_t life,
                                   raft_index list)
{
    (void)replica;
    world.judged_life = life;
    world.judged_list = list;
    return node == 1 || node == world.guest ? world.verdict : REPLICA_NO_MEMBER;
}

void replica_receive_forward(struct replica *replica, raft_node_id from, uint64_t life,
                             const struct forward *forward)
{
    (void)replica;
    assert_int_equal(from, 1);
    world.forwarded = forward->command->size;
    world.forwarded_life = life;
}

void replica_receive_forward_reply(struct replica *replica, raft_node_id from,
                                   const struct forward_reply *reply)
{
    (void)replica;
    (void)from;
    (void)reply;
    world.replies++;
}

void replica_receive_cancel(struct replica *replica, raft_node_id from,
                            const struct forward_cancel *cancel)
{
    (void)replica;
    (void)from;
    (void)cancel;
    world.cancels++;
}

static inline bool remember(void *context, raft_node_id node, const struct raft_log_life *life)
{
    (void)context;
    assert_true(node == 1 || node == world.guest);
    world.remembered = *life;
    return !world.forgets;
}

void replica_receive_snapshot(struct replica *replica, const struct snapshot_message *message)
{
    (void)replica;
    (void)message;
}

/* ---- the world ------------------------------------------------------------------------------ */

static inline void tick(void *context)
{
    (void)context;
    peers_tick(world.peers);
}

static inline bool turn(void *context)
{
    (void)context;
    peers_flush(world.peers);
    return false;
}

static inline void turn_once(void)
{
    static const struct loop_hooks hooks = {.tick = tick, .turn = turn};
    (void)loop_turn(world.loop, &hooks);
}

static inline void turns(void)
{
    for (int i = 0; i < TURNS; i++)
        turn_once();
}

static inline void pass(int64_t ms)
{
    world.ahead_ms += ms;
    loop_set_ahead(world.loop, world.ahead_ms);
    turns();
}

/* The other member is at `host`, which means this machine. */
static inline void open_world(const char *host)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    memset(&world, 0, sizeof world);
    world.listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(world.listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(world.listening, (struct sockaddr *)&address, &size), 0);
    config_init(&world.config);
    world.config.me = 0;
    world.config.nodes = (struct raft_members){.count = 2, .list = {{.id = 0}, {.id = 1}}};
    snprintf(world.config.nodes.list[1].address, RAFT_ADDRESS_SIZE, "%s:%u", host,
             ntohs(address.sin_port));
    world.loop = loop_new();
    strcpy(world.config.peer_announced, "10.1.1.1:1");
    world.list = 40;
    world.guest = RAFT_NOBODY;
    struct peers_options options = {.loop = world.loop,
                                    .config = &world.config,
                                    .cluster = 7,
                                    .life = {.life = 0xabc, .starts = 3},
                                    .remember = remember};
    world.peers = peers_new(&options);
    peers_start(world.peers, (struct replica *)&world);
    world.other = peer_find(world.peers, 1);
}

static inline int set_up(void **state)
{
    (void)state;
    open_world("127.0.0.1");
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    peers_free(world.peers);
    loop_free(world.loop);
    config_deinit(&world.config);
    close(world.listening);
    return 0;
}

/* The port is open, and those who were refused have tried again. */
static inline void let_dial(void)
{
    turns();
    assert_int_equal(listen(world.listening, 16), 0);
    pass(BACKOFF_MAX_MS + BACKOFF_MAX_MS / 4 + LOOP_TICK_MS);
}

/* ---- the other member ------------------------------------------------------------------------ */

struct acceptor {
    int fd;
    struct handshake handshake;
};

/* All that has come, and what it is up to. */
static inline size_t hear(int fd, char *bytes, size_t size)
{
    turns();
    ssize_t taken = read(fd, bytes, size - 1);
    bytes[taken > 0 ? taken : 0] = '\0';
    return taken > 0 ? (size_t)taken : 0;
}

static inline void say(int fd, const struct buffer *text)
{
    assert_int_equal(write(fd, text->data, text->size), text->size);
    turns();
}

/* Its next caller; -1: nobody calls.  What is said to him is there at once. */
static inline int answer_call(void)
{
    int on = 1, fd = accept4(world.listening, NULL, NULL, SOCK_NONBLOCK);
    if (fd >= 0)
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    return fd;
}

/* One who calls, has been welcomed, and has sent his proof; what the welcome says. */
static inline struct acceptor greet_as(struct handshake_node node)
{
    struct acceptor acceptor = {.fd = -1};
    char bytes[2048];
    size_t consumed;
    uint32_t argc;
    struct buffer welcome = {0};
    struct resp_limits limits = {512, 64, 16, 2048, .allow_inline = false};
    for (int i = 0; i < 50 && acceptor.fd < 0; i++) {
        acceptor.fd = answer_call();
        turns();
    }
    assert_true(acceptor.fd >= 0);
    size_t size = hear(acceptor.fd, bytes, sizeof bytes);
    struct resp_parser *parser = resp_parser_new(&limits);
    assert_int_equal(resp_parse(parser, bytes, size, &consumed), RESP_COMMAND);
    const struct bytes *argv = resp_argv(parser, &argc);
    assert_null(handshake_read_hello(&acceptor.handshake, argv, argc));
    resp_parser_free(parser);
    handshake_nonce(acceptor.handshake.acceptor_nonce);
    acceptor.handshake.acceptor_node = node;
    handshake_write_welcome(&welcome, &acceptor.handshake);
    say(acceptor.fd, &welcome);
    buffer_deinit(&welcome);
    assert_true(hear(acceptor.fd, bytes, sizeof bytes) > 0);
    assert_memory_equal(bytes, "*2\r\n$8\r\nRR.PROVE", 16);
    return acceptor;
}

/* An older build says nothing of itself. */
static inline struct acceptor greet(void)
{
    return greet_as((struct handshake_node){.life = 0});
}

static inline void prove(const struct acceptor *acceptor, const char *secret)
{
    struct buffer answer = {0};
    handshake_write_answer(&answer, &acceptor->handshake, secret);
    say(acceptor->fd, &answer);
    buffer_deinit(&answer);
}

/* All three channels are up; their sockets by channel. */
static inline void connect_all(int fds[CHANNELS])
{
    let_dial();
    for (unsigned i = 0; i < CHANNELS; i++) {
        struct acceptor acceptor = greet();
        prove(&acceptor, "");
        fds[acceptor.handshake.channel] = acceptor.fd;
    }
    for (unsigned i = 0; i < CHANNELS; i++)
        assert_int_equal(world.other->links[i].state, LINK_UP);
}

static inline void close_all(const int fds[CHANNELS])
{
    for (unsigned i = 0; i < CHANNELS; i++)
        close(fds[i]);
}

static inline void send_append(struct blob *payload)
{
    struct transport *transport = peers_transport(world.peers);
    struct raft_entry entry = {.pos = {1, 1},
                               .type = RAFT_ENTRY_COMMAND,
                               .size = (uint32_t)payload->size,
                               .payload = payload};
    struct raft_message message = {.type = RAFT_APPEND_REQUEST,
                                   .from = 0,
                                   .to = 1,
                                   .term = 1,
                                   .append_request = {.count = 1, .entries = &entry}};
    transport->ops->send(transport, &message, &entry);
}

static inline struct handshake member_handshake(enum channel channel)
{
    struct handshake handshake = {.version = WIRE_VERSION,
                                  .cluster = 7,
                                  .dialer = 1,
                                  .acceptor = 0,
                                  .channel = channel,
                                  .meaning = 1};
    handshake_nonce(handshake.dialer_nonce);
    return handshake;
}

/* A hello on a connection to our port, as node 1 would, and the welcome; its end of it. */
static inline int call_as_member(struct handshake *handshake)
{
    struct buffer text = {0};
    char answer[256];
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    handshake_write_hello(&text, handshake);
    peers_accept(world.peers, pair[0]);
    say(pair[1], &text);
    size_t size = hear(pair[1], answer, sizeof answer);
    assert_true(size > 2);
    assert_null(handshake_read_welcome(handshake, bytes_of(answer, size - 2)));
    buffer_deinit(&text);
    return pair[1];
}

/* And the proof: a member from here on. */
static inline int dial_as(struct handshake *handshake)
{
    struct buffer text = {0};
    char answer[256];
    int fd = call_as_member(handshake);
    handshake_write_proof(&text, handshake, "");
    say(fd, &text);
    assert_true(hear(fd, answer, sizeof answer) > 2);
    assert_memory_equal(answer, "+OK ", 4);
    buffer_deinit(&text);
    return fd;
}

static inline int dial_as_member(enum channel channel)
{
    struct handshake handshake = member_handshake(channel);
    return dial_as(&handshake);
}

#endif
