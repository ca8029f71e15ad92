/* Connections to other members: dialing again, what is lost and who hears of it, and that nothing
 * is told to one who has not proved himself.  The other member's port is a socket of the test's,
 * which plays the acceptor with the shipped handshake; the replica is a notebook. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
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
} world;

/* ---- the replica, as far as peers know it ---------------------------------------------- */

void replica_disconnected(struct replica *replica, raft_node_id node, bool raft, bool forwards)
{
    (void)replica;
    assert_int_equal(node, 1);
    world.raft_losses += raft;
    world.forward_losses += forwards;
}

void replica_receive(struct replica *replica, const struct raft_message *message, int64_t clock_ms)
{
    (void)replica;
    (void)message;
    (void)clock_ms;
}

void replica_announced(struct replica *replica, raft_node_id node, uint8_t meaning)
{
    (void)replica;
    (void)node;
    (void)meaning;
}

void replica_receive_forward(struct replica *replica, raft_node_id from,
                             const struct forward *forward)
{
    (void)replica;
    (void)from;
    (void)forward;
}

void replica_receive_forward_reply(struct replica *replica, raft_node_id from,
                                   const struct forward_reply *reply)
{
    (void)replica;
    (void)from;
    (void)reply;
}

/* ---- the world ------------------------------------------------------------------------------ */

static void tick(void *context)
{
    (void)context;
    peers_tick(world.peers);
}

static bool turn(void *context)
{
    (void)context;
    peers_flush(world.peers);
    return false;
}

static void turns(void)
{
    static const struct loop_hooks hooks = {.tick = tick, .turn = turn};
    for (int i = 0; i < TURNS; i++)
        (void)loop_turn(world.loop, &hooks);
}

static void pass(int64_t ms)
{
    world.ahead_ms += ms;
    loop_set_ahead(world.loop, world.ahead_ms);
    turns();
}

static int set_up(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    (void)state;
    memset(&world, 0, sizeof world);
    world.listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(world.listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(world.listening, (struct sockaddr *)&address, &size), 0);
    config_init(&world.config);
    world.config.me = 0;
    world.config.nodes = (struct raft_members){.count = 2, .list = {{.id = 0}, {.id = 1}}};
    snprintf(world.config.nodes.list[1].address, RAFT_ADDRESS_SIZE, "127.0.0.1:%u",
             ntohs(address.sin_port));
    world.loop = loop_new();
    struct peers_options options = {.loop = world.loop, .config = &world.config, .cluster = 7};
    world.peers = peers_new(&options);
    world.other = peer_find(world.peers, 1);
    peers_start(world.peers, (struct replica *)&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    peers_free(world.peers);
    loop_free(world.loop);
    config_deinit(&world.config);
    close(world.listening);
    return 0;
}

/* The port is open, and those who were refused have tried again. */
static void let_dial(void)
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
static size_t hear(int fd, char *bytes, size_t size)
{
    turns();
    ssize_t taken = read(fd, bytes, size - 1);
    bytes[taken > 0 ? taken : 0] = '\0';
    return taken > 0 ? (size_t)taken : 0;
}

static void say(int fd, const struct buffer *text)
{
    assert_int_equal(write(fd, text->data, text->size), text->size);
    turns();
}

/* Its next caller, who has been welcomed and has sent his proof. */
static struct acceptor greet(void)
{
    struct acceptor acceptor = {.fd = -1};
    char bytes[2048];
    size_t consumed;
    uint32_t argc;
    struct buffer welcome = {0};
    struct resp_limits limits = {512, 64, 16, 2048, .allow_inline = false};
    for (int i = 0; i < 50 && acceptor.fd < 0; i++) {
        acceptor.fd = accept4(world.listening, NULL, NULL, SOCK_NONBLOCK);
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
    handshake_write_welcome(&welcome, &acceptor.handshake);
    say(acceptor.fd, &welcome);
    buffer_deinit(&welcome);
    assert_true(hear(acceptor.fd, bytes, sizeof bytes) > 0);
    assert_memory_equal(bytes, "*2\r\n$8\r\nRR.PROVE", 16);
    return acceptor;
}

static void prove(const struct acceptor *acceptor, const char *secret)
{
    struct buffer answer = {0};
    handshake_write_answer(&answer, &acceptor->handshake, secret);
    say(acceptor->fd, &answer);
    buffer_deinit(&answer);
}

/* All three channels are up; their sockets by channel. */
static void connect_all(int fds[CHANNELS])
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

static void close_all(const int fds[CHANNELS])
{
    for (unsigned i = 0; i < CHANNELS; i++)
        close(fds[i]);
}

/* ---- tests
 * -------------------------------------------------------------------------------------- */

/* Ever later, up to a second; never before its time, and not much after. */
static void who_is_away_is_dialed_ever_later(void **state)
{
    const struct link *link = &world.other->links[CHANNEL_CONTROL];
    int64_t expected = BACKOFF_FIRST_MS;
    (void)state;
    turns(); /* refused: nobody listens */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(link->state, LINK_DOWN);
        assert_int_equal(link->backoff_ms, expected);
        int64_t wait_ms = link->retry_ms - loop_now_ms(world.loop);
        assert_in_range(wait_ms, 1, expected + expected / 4);
        int64_t retry_ms = link->retry_ms;
        link_tick(&world.other->links[CHANNEL_CONTROL], retry_ms - 1);
        assert_int_equal(link->state, LINK_DOWN);
        pass(wait_ms + LOOP_TICK_MS);
        assert_true(link->retry_ms > retry_ms); /* tried again, and refused again */
        expected = expected * 2 < BACKOFF_MAX_MS ? expected * 2 : BACKOFF_MAX_MS;
    }
}

static void who_comes_back_is_new(void **state)
{
    int fds[CHANNELS];
    (void)state;
    pass(1000);
    pass(1000);
    connect_all(fds);
    close_all(fds);
    turns();
    for (unsigned i = 0; i < CHANNELS; i++) {
        assert_true(world.other->links[i].state != LINK_UP);
        assert_true(world.other->links[i].backoff_ms <= BACKOFF_FIRST_MS);
    }
}

static void a_lost_link_is_reported_as_what_it_carried(void **state)
{
    int fds[CHANNELS];
    (void)state;
    connect_all(fds);
    assert_int_equal(world.raft_losses + world.forward_losses, 0);
    close(fds[CHANNEL_CONTROL]);
    turns();
    assert_int_equal(world.raft_losses, 1);
    close(fds[CHANNEL_ENTRIES]);
    turns();
    assert_int_equal(world.raft_losses, 2);
    assert_int_equal(world.forward_losses, 0);
    close(fds[CHANNEL_COMMANDS]);
    turns();
    assert_int_equal(world.raft_losses, 2);
    assert_int_equal(world.forward_losses, 1);
}

/* It is told nothing but the proof; what waits is for a member. */
static void who_has_not_proved_himself_is_told_nothing(void **state)
{
    struct link *link = &world.other->links[CHANNEL_COMMANDS];
    struct transport *transport = peers_transport(world.peers);
    struct forward_reply reply = {.run_id = 5, .id = 6, .reply = bytes_from_string("+secret\r\n")};
    char bytes[2048];
    (void)state;
    let_dial();
    for (int i = 0; i < 3; i++) {
        struct acceptor acceptor = greet();
        if (acceptor.handshake.channel == CHANNEL_COMMANDS) {
            assert_int_equal(link->state, LINK_PROVE);
            transport->ops->forward_reply(transport, 1, &reply);
            assert_true(outbox_size(&link->out) > 0);
            assert_int_equal(hear(acceptor.fd, bytes, sizeof bytes), 0);
            prove(&acceptor, "a guess");
            assert_int_equal(hear(acceptor.fd, bytes, sizeof bytes), 0);
            assert_int_equal(link->state, LINK_DOWN);
            assert_int_equal(outbox_size(&link->out), 0);
        }
        close(acceptor.fd);
        turns();
    }
    assert_int_equal(world.forward_losses, 0); /* it never was connected */
}

static void what_waited_for_the_proof_comes_after_it(void **state)
{
    struct transport *transport = peers_transport(world.peers);
    struct forward_reply reply = {.run_id = 5, .id = 6, .reply = bytes_from_string("+reply\r\n")};
    char bytes[2048];
    (void)state;
    let_dial();
    for (int i = 0; i < 3; i++) {
        struct acceptor acceptor = greet();
        if (acceptor.handshake.channel == CHANNEL_COMMANDS) {
            transport->ops->forward_reply(transport, 1, &reply);
            prove(&acceptor, "");
            size_t size = hear(acceptor.fd, bytes, sizeof bytes);
            assert_true(size > 0 && memmem(bytes, size, "+reply", 6) != NULL);
        }
        close(acceptor.fd);
    }
}

static void send_append(struct blob *payload)
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

/* The follower does not read; what finds no room is dropped, and the core asks where it is. */
static void an_append_that_finds_no_room_is_reported(void **state)
{
    int fds[CHANNELS];
    struct blob *payload = blob_new(LARGE);
    const struct link *link = &world.other->links[CHANNEL_ENTRIES];
    (void)state;
    memset(payload->data, 'x', LARGE);
    connect_all(fds);
    while (outbox_size(&link->out) <= QUEUED_ENTRIES_MAX) {
        send_append(payload);
        assert_false(world.other->lost_entries);
        turns(); /* many: each writes a part of what the socket has room for */
    }
    size_t full = outbox_size(&link->out);
    assert_int_equal(world.raft_losses, 0);
    send_append(payload);
    send_append(payload);
    assert_int_equal(outbox_size(&link->out), full);
    peers_flush(world.peers);
    assert_int_equal(world.raft_losses, 1); /* once a turn */
    peers_flush(world.peers);
    assert_int_equal(world.raft_losses, 1);
    /* It takes nothing for too long. */
    pass(PEER_STALLED_MS + 100);
    assert_true(link->state != LINK_UP);
    assert_int_equal(world.raft_losses, 2);
    close_all(fds);
    blob_release(payload);
}

/* Without a connection likewise: the core must not wait for an answer. */
static void an_append_without_a_connection_is_reported(void **state)
{
    struct blob *payload = blob_copy(bytes_from_string("x"));
    struct transport *transport = peers_transport(world.peers);
    struct raft_message heartbeat = {.type = RAFT_APPEND_REQUEST, .to = 1, .term = 1};
    (void)state;
    transport->ops->send(transport, &heartbeat, NULL);
    peers_flush(world.peers);
    assert_int_equal(world.raft_losses, 0); /* the next one comes soon */
    send_append(payload);
    peers_flush(world.peers);
    assert_int_equal(world.raft_losses, 1);
    blob_release(payload);
}

/* The reply could not come back, and nobody would say so. */
static void nothing_is_forwarded_without_a_way_back(void **state)
{
    int fds[CHANNELS];
    struct transport *transport = peers_transport(world.peers);
    struct forward forward = {.run_id = 1, .id = 1, .term = 1, .protocol = 2, .client = 1};
    struct inbound way_back;
    (void)state;
    forward.command = blob_copy(bytes_from_string("x"));
    assert_false(transport->ops->forward(transport, 1, &forward));
    connect_all(fds);
    assert_false(transport->ops->forward(transport, 1, &forward));
    world.other->inbounds[CHANNEL_COMMANDS] = &way_back;
    assert_true(transport->ops->forward(transport, 1, &forward));
    world.other->inbounds[CHANNEL_COMMANDS] = NULL;
    blob_release(forward.command);
    close_all(fds);
}

static void a_handshake_that_does_not_end_is_given_up(void **state)
{
    const struct link *link = &world.other->links[CHANNEL_CONTROL];
    (void)state;
    let_dial();
    assert_int_equal(link->state, LINK_HELLO);
    pass(PEER_HANDSHAKE_MS - 100);
    assert_int_equal(link->state, LINK_HELLO);
    pass(200);
    assert_true(link->backoff_ms > 0);
    assert_string_equal(link->complaint, "no answer in time");
}

/* Says a hello to our port; what he is answered. */
static void hello_of(uint64_t cluster, raft_node_id dialer, raft_node_id acceptor, char *answer,
                     size_t size)
{
    struct handshake handshake = {.version = WIRE_VERSION,
                                  .cluster = cluster,
                                  .dialer = dialer,
                                  .acceptor = acceptor,
                                  .channel = CHANNEL_CONTROL,
                                  .meaning = 1};
    struct buffer text = {0};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    handshake_nonce(handshake.dialer_nonce);
    handshake_write_hello(&text, &handshake);
    peers_accept(world.peers, pair[0]);
    say(pair[1], &text);
    hear(pair[1], answer, size);
    assert_true(strlen(answer) > 2);
    buffer_deinit(&text);
    close(pair[1]);
    turns();
}

/* The cluster is 7, we are node 0, the other member is node 1. */
static void a_refused_hello_learns_nothing_of_us(void **state)
{
    char open[600], secret[600], none[] = "", kept[] = "kept";
    char *configured = world.config.peer_secret;
    static const struct {
        uint64_t cluster;
        raft_node_id dialer, acceptor;
        const char *open, *secret;
    } wrong[] = {
        {8, 1, 0, "this is cluster 0000000000000007", "this is another cluster"},
        {7, 1, 5, "this is node 0, not node 5", "-ERR this is another node\r\n"},
        {7, 3, 0, "is not a member", "is not a member under that number"},
        {7, 0, 0, "calls itself what this node is called", "is not a member under that number"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        world.config.peer_secret = none;
        hello_of(wrong[i].cluster, wrong[i].dialer, wrong[i].acceptor, open, sizeof open);
        assert_non_null(strstr(open, wrong[i].open));
        world.config.peer_secret = kept;
        hello_of(wrong[i].cluster, wrong[i].dialer, wrong[i].acceptor, secret, sizeof secret);
        assert_non_null(strstr(secret, wrong[i].secret));
        assert_null(strpbrk(secret, "0123456789"));
    }
    world.config.peer_secret = configured;
    assert_null(world.peers->inbounds); /* all of them are closed */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_is_away_is_dialed_ever_later),
        TEST(who_comes_back_is_new),
        TEST(a_lost_link_is_reported_as_what_it_carried),
        TEST(who_has_not_proved_himself_is_told_nothing),
        TEST(what_waited_for_the_proof_comes_after_it),
        TEST(an_append_that_finds_no_room_is_reported),
        TEST(an_append_without_a_connection_is_reported),
        TEST(nothing_is_forwarded_without_a_way_back),
        TEST(a_handshake_that_does_not_end_is_given_up),
        TEST(a_refused_hello_learns_nothing_of_us),
    };
    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
