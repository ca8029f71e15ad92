/* Connections to other members: dialing again, what is lost and who hears of it, and that nothing
 * is told to one who has not proved himself.  See test_peers.h. */
#include "test_peers.h"

#include "test_log_lines.h"

/* ---- tests ----------------------------------------------------------------------------------- */

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

/* A chunk goes where entries go, so that no heartbeat waits for it; what is asked, where heartbeats
 * go. */
static void a_snapshot_holds_up_no_heartbeat(void **state)
{
    struct transport *transport = peers_transport(world.peers);
    struct link *links = world.other->links;
    struct snapshot_message message = {
        .type = SNAPSHOT_FETCH, .from = 0, .to = 1, .term = 3, .id = 4};
    int fds[CHANNELS];
    (void)state;
    transport->ops->snapshot(transport, &message); /* nobody is there: dropped */
    connect_all(fds);
    transport->ops->snapshot(transport, &message);
    assert_true(outbox_size(&links[CHANNEL_CONTROL].out) > 0);
    assert_int_equal(outbox_size(&links[CHANNEL_ENTRIES].out), 0);
    size_t before = outbox_size(&links[CHANNEL_CONTROL].out);
    message.type = SNAPSHOT_CHUNK;
    message.payload = blob_new(LARGE);
    transport->ops->snapshot(transport, &message);
    assert_int_equal(outbox_size(&links[CHANNEL_CONTROL].out), before);
    assert_true(outbox_size(&links[CHANNEL_ENTRIES].out) > LARGE);
    message.to = 2; /* no member */
    transport->ops->snapshot(transport, &message);
    blob_release(message.payload);
    close_all(fds);
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

/* ---- the other member's calls ---------------------------------------------------------------- */

/* One who talks on without end is no member, and costs no memory. */
static void an_answer_without_an_end_is_given_up(void **state)
{
    const struct link *link = &world.other->links[CHANNEL_CONTROL];
    char much[1024];
    (void)state;
    memset(much, 'x', sizeof much);
    let_dial();
    int fd = answer_call();
    for (int i = 0; i < 8; i++) {
        (void)send(fd, much, sizeof much, MSG_NOSIGNAL);
        turns();
        for (unsigned channel = 0; channel < CHANNELS; channel++)
            assert_true(world.other->links[channel].in.size <= 2 * HANDSHAKE_LINE_MAX);
    }
    unsigned given_up = 0;
    for (unsigned channel = 0; channel < CHANNELS; channel++)
        given_up +=
            strcmp(world.other->links[channel].complaint, "it answers at too great a length") == 0;
    assert_int_equal(given_up, 1);
    assert_true(link->state != LINK_UP);
    close(fd);
}

/* Says a hello on a connection to our port; its end of it, and what is answered. */
static int dial_with(struct handshake *handshake, char answer[512])
{
    struct buffer text = {0};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    handshake_nonce(handshake->dialer_nonce);
    handshake_write_hello(&text, handshake);
    peers_accept(world.peers, pair[0]);
    say(pair[1], &text);
    assert_true(hear(pair[1], answer, 512) > 2);
    buffer_deinit(&text);
    return pair[1];
}

static void prove_as_dialer(int fd, struct handshake *handshake, char answer[512])
{
    struct buffer text = {0};
    assert_null(handshake_read_welcome(handshake, bytes_of(answer, strlen(answer) - 2)));
    handshake_write_proof(&text, handshake, "");
    say(fd, &text);
    assert_true(hear(fd, answer, 512) > 2);
    buffer_deinit(&text);
}

static struct handshake handshake_of(raft_node_id node)
{
    return (struct handshake){.version = WIRE_VERSION,
                              .cluster = 7,
                              .dialer = node,
                              .acceptor = 0,
                              .channel = CHANNEL_CONTROL,
                              .meaning = 5,
                              .dialer_node = {.life = 0x77, .starts = 9, .list = 41},
                              .client_address = "10.2.2.2:6379",
                              .peer_address = "127.0.0.1:9"};
}

/* Its life is what the members know of it, or it is not let in, and told why. */
static void another_life_is_refused(void **state)
{
    static const struct {
        enum replica_verdict verdict;
        const char *told;
    } cases[] = {{REPLICA_OTHER_LIFE, "-ERR node 1 has another data directory"},
                 {REPLICA_NO_MEMBER, "-ERR node 1 is not a member"},
                 {REPLICA_NOT_KNOWN, "-ERR this node has to hear who the members are first"}};
    char *configured = world.config.peer_secret, none[] = "", some[] = "some";
    char answer[512];
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct handshake hello = handshake_of(1);
        bool is_secret = i >= 3;
        world.config.peer_secret = is_secret ? some : none;
        world.verdict = cases[i % 3].verdict;
        int fd = dial_with(&hello, answer);
        assert_int_equal(world.judged_life, 0x77);
        assert_int_equal(world.judged_list, 41);
        if (is_secret && world.verdict != REPLICA_NOT_KNOWN)
            assert_non_null(strstr(answer, SAID_NO_MEMBER));
        else
            assert_memory_equal(answer, cases[i % 3].told, strlen(cases[i % 3].told));
        assert_null(world.peers->inbounds);
        close(fd);
    }
    world.config.peer_secret = configured;
}

/* Whom it looks for has another name now, as all may that it was configured with: it is told what
 * it is all the same, or it would never hear it. */
static void who_looks_for_another_is_told_what_it_is(void **state)
{
    static const struct {
        enum replica_verdict verdict;
        const char *open, *secret;
    } cases[] = {
        {REPLICA_OTHER_LIFE, "-ERR node 1 has " SAID_OTHER_LIFE, SAID_NO_MEMBER},
        {REPLICA_NO_MEMBER, "-ERR node 1 is " SAID_NO_MEMBER, SAID_NO_MEMBER},
        {REPLICA_NOT_KNOWN, "-ERR this is node 0, not node 5", "-ERR this is another node\r\n"},
        {REPLICA_GUEST, "-ERR this is node 0, not node 5", "-ERR this is another node\r\n"},
        {REPLICA_MEMBER, "-ERR this is node 0, not node 5", "-ERR this is another node\r\n"},
    };
    char *configured = world.config.peer_secret, none[] = "", some[] = "some";
    char answer[512];
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct handshake hello = handshake_of(1);
        bool is_secret = i % 2;
        hello.acceptor = 5;
        world.config.peer_secret = is_secret ? some : none;
        world.verdict = cases[i / 2].verdict;
        int fd = dial_with(&hello, answer);
        assert_int_equal(world.judged_list, 41);
        assert_non_null(strstr(answer, is_secret ? cases[i / 2].secret : cases[i / 2].open));
        assert_null(world.peers->inbounds);
        close(fd);
    }
    world.config.peer_secret = configured;
}

/* It dials, and says who it is; the connection. */
static int accept_hello(struct handshake *handshake)
{
    char bytes[2048];
    size_t consumed;
    uint32_t argc;
    struct resp_limits limits = {512, 64, 16, 2048, .allow_inline = false};
    struct resp_parser *parser = resp_parser_new(&limits);
    let_dial();
    int fd = accept4(world.listening, NULL, NULL, SOCK_NONBLOCK);
    size_t size = hear(fd, bytes, sizeof bytes);
    assert_int_equal(resp_parse(parser, bytes, size, &consumed), RESP_COMMAND);
    const struct bytes *argv = resp_argv(parser, &argc);
    assert_null(handshake_read_hello(handshake, argv, argc));
    resp_parser_free(parser);
    return fd;
}

/* One that is dialed is looked at likewise. */
static void another_life_is_not_spoken_to(void **state)
{
    char bytes[2048];
    struct handshake handshake;
    struct buffer welcome = {0};
    (void)state;
    int fd = accept_hello(&handshake);
    /* What we say of ourselves. */
    assert_int_equal(handshake.dialer_node.life, 0xabc);
    assert_int_equal(handshake.dialer_node.starts, 3);
    assert_int_equal(handshake.dialer_node.list, 40);
    assert_string_equal(handshake.peer_address, "10.1.1.1:1");
    handshake.acceptor_node = (struct handshake_node){.life = 0x88, .starts = 1, .list = 5};
    handshake_nonce(handshake.acceptor_nonce);
    handshake_write_welcome(&welcome, &handshake);
    world.verdict = REPLICA_OTHER_LIFE;
    say(fd, &welcome);
    assert_int_equal(world.judged_life, 0x88);
    assert_int_equal(world.judged_list, 5);
    assert_int_equal(hear(fd, bytes, sizeof bytes), 0);
    assert_non_null(strstr(world.other->links[handshake.channel].complaint, "REPLACE 1"));
    buffer_deinit(&welcome);
    close(fd);
}

static bool is_advised(void)
{
    bool is = false;
    for (int i = 0; i < CHANNELS; i++)
        is |= strstr(world.other->links[i].complaint, SAID_WAY_BACK) != NULL;
    return is;
}

/* Of the same id, but another cluster. */
static void who_has_another_name_is_refused(void **state)
{
    char answer[512], kept[] = "kept";
    (void)state;
    peers_set_name(world.peers, 5);
    for (unsigned i = 0; i < 4; i++) {
        struct handshake hello = handshake_of(1);
        char *configured = world.config.peer_secret;
        hello.dialer_node.name = i == 1 ? 5 : i == 2 ? 0 : 6;
        if (i == 3)
            world.config.peer_secret = kept;
        int fd = dial_with(&hello, answer);
        world.config.peer_secret = configured;
        bool is_refused = hello.dialer_node.name == 6;
        assert_int_equal(answer[0], is_refused ? '-' : '+');
        if (is_refused)
            assert_non_null(strstr(answer, "this is another cluster ("));
        else
            assert_null(handshake_read_welcome(&hello, bytes_of(answer, strlen(answer) - 2)));
        if (!is_refused)
            assert_int_equal(hello.acceptor_node.name, 5);
        assert_int_equal(strstr(answer, "0000000000000006") != NULL, i == 0);
        close(fd);
        turns();
    }
    assert_int_equal(world.disowned, 0);
}

/* Who was let in before there was a name here, too. */
static void who_has_another_name_goes_when_there_is_one(void **state)
{
    char answer[512];
    (void)state;
    for (uint64_t name = 5; name < 7; name++) {
        struct handshake hello = handshake_of(1);
        hello.dialer_node.name = 5;
        int fd = dial_with(&hello, answer);
        prove_as_dialer(fd, &hello, answer);
        assert_memory_equal(answer, "+OK ", 4);
        peers_set_name(world.peers, name);
        turns();
        assert_int_equal(world.other->inbounds[CHANNEL_CONTROL] != NULL, name == 5);
        peers_set_name(world.peers, 0);
        close(fd);
        turns();
    }
}

/* And who was dialed. */
static void who_was_dialed_goes_when_there_is_another_name(void **state)
{
    (void)state;
    let_dial();
    for (unsigned i = 0; i < CHANNELS; i++) {
        struct acceptor acceptor = greet_as((struct handshake_node){.life = 0x88, .name = 6});
        prove(&acceptor, "");
        assert_int_equal(world.other->links[acceptor.handshake.channel].state, LINK_UP);
    }
    peers_set_name(world.peers, 6);
    for (unsigned i = 0; i < CHANNELS; i++)
        assert_int_equal(world.other->links[i].state, LINK_UP);
    assert_int_equal(world.raft_losses + world.forward_losses, 0);
    peers_set_name(world.peers, 5);
    for (unsigned i = 0; i < CHANNELS; i++) {
        assert_int_equal(world.other->links[i].state, LINK_DOWN);
        assert_string_equal(world.other->links[i].complaint, SAID_OTHER_NAME);
    }
    assert_int_equal(world.raft_losses, 2);
    assert_int_equal(world.forward_losses, 1);
}

static void who_has_another_name_is_not_spoken_to(void **state)
{
    char bytes[2048];
    struct handshake handshake;
    struct buffer welcome = {0};
    (void)state;
    peers_set_name(world.peers, 5);
    int fd = accept_hello(&handshake);
    assert_int_equal(handshake.dialer_node.name, 5);
    handshake.acceptor_node =
        (struct handshake_node){.life = 0x88, .starts = 1, .list = 5, .name = 6};
    handshake_nonce(handshake.acceptor_nonce);
    handshake_write_welcome(&welcome, &handshake);
    say(fd, &welcome);
    assert_int_equal(hear(fd, bytes, sizeof bytes), 0);
    assert_non_null(
        strstr(world.other->links[handshake.channel].complaint, "this is another cluster"));
    buffer_deinit(&welcome);
    close(fd);
}

/* What a link is told when it is refused. */
static void who_is_told_that_it_is_none_knows(void **state)
{
    static const char *const told[] = {"-ERR node 0 is not a member: it was removed\r\n",
                                       "-ERR the other side is not a member under that number\r\n",
                                       "-ERR node 0 has another data directory than\r\n"};
    (void)state;
    let_dial();
    for (int i = 0; i < 3; i++) {
        struct buffer text = {0};
        int fd = accept4(world.listening, NULL, NULL, SOCK_NONBLOCK);
        assert_true(fd >= 0);
        buffer_printf(&text, "%s", told[i]);
        assert_int_equal(world.disowned, i);
        say(fd, &text);
        assert_int_equal(world.disowned, i + 1);
        assert_true(is_advised());
        buffer_deinit(&text);
        close(fd);
    }
}

/* A proper hello costs a stranger nothing: the proof has to come in the same time. */
static void who_is_greeted_has_no_more_time(void **state)
{
    struct handshake hello = handshake_of(1);
    char answer[512];
    (void)state;
    int fd = dial_with(&hello, answer);
    assert_non_null(world.peers->inbounds);
    assert_true(world.peers->inbounds->greeted);
    pass(PEER_HANDSHAKE_MS - 200);
    assert_non_null(world.peers->inbounds);
    pass(400);
    assert_null(world.peers->inbounds);
    close(fd);
}

static void an_old_copy_is_refused(void **state)
{
    struct handshake hello = handshake_of(1);
    char answer[512];
    (void)state;
    world.forgets = true;
    int fd = dial_with(&hello, answer);
    prove_as_dialer(fd, &hello, answer);
    assert_int_equal(world.remembered.life, 0x77);
    assert_int_equal(world.remembered.starts, 9);
    assert_memory_equal(answer, "-ERR the other side's data directory is an old copy", 51);
    assert_null(world.other->inbounds[CHANNEL_CONTROL]);
    close(fd);
}

static void an_old_copy_is_not_spoken_to(void **state)
{
    (void)state;
    let_dial();
    struct acceptor acceptor = greet_as((struct handshake_node){.life = 0x88, .starts = 1});
    world.forgets = true;
    prove(&acceptor, "");
    assert_int_equal(world.remembered.life, 0x88);
    assert_true(world.other->links[acceptor.handshake.channel].state != LINK_UP);
    close(acceptor.fd);
}

/* Our list may be an old one: who has a newer is heard, and answered where it says that it is; once
 * ours is the newer it goes. */
static void a_guest_is_answered_and_goes(void **state)
{
    struct handshake hello = handshake_of(5);
    char answer[512];
    (void)state;
    world.guest = 5;
    world.verdict = REPLICA_GUEST;
    int fd = dial_with(&hello, answer);
    assert_null(peer_find(world.peers, 5)); /* nothing is proved yet */
    prove_as_dialer(fd, &hello, answer);
    assert_memory_equal(answer, "+OK ", 4);
    struct peer *guest = peer_find(world.peers, 5);
    assert_non_null(guest);
    assert_string_equal(guest->member->address, "127.0.0.1:9");
    assert_int_equal(world.introduced.id, 5);
    assert_int_equal(world.introduced.life, 0x77);
    assert_string_equal(world.introduced.client, "10.2.2.2:6379");
    pass(LOOP_TICK_MS);
    assert_string_equal(guest->links[CHANNEL_CONTROL].complaint, "Connection refused");
    pass(60000);
    assert_ptr_equal(peer_find(world.peers, 5), guest);
    world.verdict = REPLICA_NO_MEMBER;
    pass(60000);
    assert_null(peer_find(world.peers, 5));
    assert_true(hear(fd, answer, 512) == 0 && recv(fd, answer, 1, 0) == 0);
    close(fd);
}

/* What it said of itself is told; an older build says nothing, so there is nothing to tell. */
static void what_a_member_says_of_itself_is_told(void **state)
{
    struct handshake hello = handshake_of(1);
    char answer[512];
    (void)state;
    int older = dial_as_member(CHANNEL_CONTROL);
    assert_int_equal(world.announced, 1);
    assert_int_equal(world.introduced.id, 0);
    assert_int_equal(world.remembered.life, 0);
    int fd = dial_with(&hello, answer);
    prove_as_dialer(fd, &hello, answer);
    assert_int_equal(world.announced, 5);
    assert_int_equal(world.introduced.id, 1);
    assert_int_equal(world.introduced.life, 0x77);
    assert_string_equal(world.introduced.address, "127.0.0.1:9");
    close(older);
    close(fd);
}

/* Guests are strangers to the list: so many at a time, and nobody who is there makes room. */
static void guests_are_so_many_at_a_time(void **state)
{
    enum { FIRST = 5 };
    int fds[GUESTS_MAX + 1];
    char answer[512];
    (void)state;
    world.any_loss = true;
    world.verdict = REPLICA_GUEST;
    for (unsigned i = 0; i <= GUESTS_MAX; i++) {
        struct handshake hello = handshake_of(FIRST + i);
        world.guest = FIRST + i;
        fds[i] = dial_with(&hello, answer);
        prove_as_dialer(fds[i], &hello, answer);
        if (i < GUESTS_MAX)
            assert_memory_equal(answer, "+OK ", 4);
    }
    assert_string_equal(answer, "-ERR there is no place for one more that is not a member yet\r\n");
    assert_null(peer_find(world.peers, FIRST + GUESTS_MAX));
    for (unsigned i = 0; i <= GUESTS_MAX; i++) {
        assert_int_equal(peer_find(world.peers, FIRST + i) != NULL, i < GUESTS_MAX);
        close(fds[i]);
    }
}

/* From then on it is dialed for as long as it is in the list, heard or not. */
static void a_guest_that_is_taken_in_stays(void **state)
{
    struct handshake hello = handshake_of(5);
    char answer[512];
    (void)state;
    world.guest = 5;
    world.verdict = REPLICA_GUEST;
    int fd = dial_with(&hello, answer);
    prove_as_dialer(fd, &hello, answer);
    struct peer *guest = peer_find(world.peers, 5);
    assert_non_null(guest);
    world.config.nodes.list[2] =
        (struct raft_member){.id = 5, .life = 0x77, .address = "127.0.0.1:9"};
    world.config.nodes.count = 3;
    world.verdict = REPLICA_MEMBER;
    world.any_loss = true;
    pass(LOOP_TICK_MS);
    close(fd);
    pass(60000);
    pass(60000);
    assert_ptr_equal(peer_find(world.peers, 5), guest);
}

/* It has the time to be answered. */
static void who_is_taken_out_goes_after_a_moment(void **state)
{
    int fds[CHANNELS];
    (void)state;
    connect_all(fds);
    world.config.nodes.count = 1;
    world.verdict = REPLICA_NO_MEMBER;
    pass(500);
    assert_int_equal(world.other->links[CHANNEL_CONTROL].state, LINK_UP);
    assert_int_equal(world.forward_losses, 0);
    pass(1000 + LOOP_TICK_MS);
    assert_null(peer_find(world.peers, 1));
    assert_int_equal(world.forward_losses, 1);
    world.config.nodes.count = 2; /* and is taken in again */
    pass(LOOP_TICK_MS);
    assert_non_null(peer_find(world.peers, 1));
    close_all(fds);
}

/* What the one before said of itself is not the next one's. */
static void a_place_forgets_who_had_it(void **state)
{
    struct raft_member *member = &world.config.nodes.list[1];
    struct handshake hello = handshake_of(1);
    char answer[512];
    (void)state;
    int fd = dial_with(&hello, answer);
    prove_as_dialer(fd, &hello, answer);
    assert_string_equal(peers_client_address(world.peers, 1), "10.2.2.2:6379");
    world.any_loss = true;
    world.verdict = REPLICA_NO_MEMBER;
    world.config.nodes.count = 1;
    pass(LOOP_TICK_MS);
    pass(2000);
    assert_null(peer_find(world.peers, 1));
    *member = (struct raft_member){.id = 5, .address = "127.0.0.1:9", .client = "10.5.5.5:1"};
    world.config.nodes.count = 2;
    pass(LOOP_TICK_MS);
    assert_ptr_equal(peer_find(world.peers, 5), world.other);
    assert_string_equal(peers_client_address(world.peers, 5), "10.5.5.5:1");
    close(fd);
}

/* Members come and go faster than those that are taken out go. */
static void there_is_a_place_for_each_member(void **state)
{
    struct raft_member *last = &world.config.nodes.list[2];
    (void)state;
    world.verdict = REPLICA_NO_MEMBER;
    world.any_loss = true;
    world.config.nodes.count = 3;
    for (raft_node_id node = 5; node < 5 + 3 * PEERS_MAX; node++) {
        *last = (struct raft_member){.id = node, .address = "127.0.0.1:9"};
        pass(LOOP_TICK_MS);
        peers_tick(world.peers);
        assert_non_null(peer_find(world.peers, 1));
        assert_non_null(peer_find(world.peers, node));
    }
    pass(2000);
    uint32_t left = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        left += world.peers->list[i].member != NULL;
    assert_int_equal(left, 2);
}

static void a_new_address_is_dialed(void **state)
{
    int fds[CHANNELS];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    (void)state;
    connect_all(fds);
    close(world.listening);
    world.listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(world.listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(world.listening, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(listen(world.listening, 16), 0);
    snprintf(world.config.nodes.list[1].address, RAFT_ADDRESS_SIZE, "127.0.0.1:%u",
             ntohs(address.sin_port));
    pass(LOOP_TICK_MS);
    assert_true(world.other->links[CHANNEL_CONTROL].state != LINK_UP);
    close_all(fds);
    connect_all(fds);
    close_all(fds);
}

/* ---- one that asks to be taken in --------------------------------------------------------- */

static struct handshake hello_to_join(void)
{
    struct handshake hello = handshake_of(RAFT_NOBODY);
    hello.cluster = 0;
    hello.acceptor = RAFT_NOBODY;
    hello.channel = CHANNEL_JOIN;
    return hello;
}

static void end_request(enum request_outcome outcome, const char *reply)
{
    struct request *request = world.request;
    if (!world.abandoned)
        request->done(request->context, request, outcome, bytes_from_string(reply));
    blob_release(request->command);
    memory_free(request);
    world.request = NULL;
    turns();
}

static void who_joins_is_told_what_comes_of_it(void **state)
{
    static const struct {
        enum request_outcome outcome;
        const char *reply, *told;
    } cases[] = {
        {REQUEST_DONE, ":12\r\n", "+JOINED 0000000000000007 12\r\n"},
        {REQUEST_DONE, "-ERR no room\r\n", "-ERR no room\r\n"},
        {REQUEST_NOT_DONE, "", "-TRYAGAIN the cluster has no leader, or does not answer\r\n"},
        {REQUEST_UNKNOWN, "", "-TRYAGAIN the cluster has no leader, or does not answer\r\n"}};
    char answer[512];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct replica_change asked;
        struct handshake hello = hello_to_join();
        int fd = dial_with(&hello, answer);
        assert_null(world.request);
        prove_as_dialer(fd, &hello, answer);
        assert_memory_equal(answer, "+OK ", 4);
        assert_non_null(world.request);
        assert_true(command_change(blob_bytes(world.request->command), &asked));
        assert_int_equal(asked.kind, REPLICA_JOIN);
        assert_int_equal(asked.life, 0x77);
        assert_int_equal(asked.meaning, 5);
        assert_string_equal(asked.address, "127.0.0.1:9");
        assert_string_equal(asked.client, "10.2.2.2:6379");
        assert_null(peer_find(world.peers, RAFT_NOBODY));
        end_request(cases[i].outcome, cases[i].reply);
        assert_true(hear(fd, answer, sizeof answer) > 0);
        assert_string_equal(answer, cases[i].told);
        assert_null(world.peers->inbounds);
        close(fd);
    }
}

static void who_joins_proves_itself(void **state)
{
    struct handshake hello = hello_to_join();
    struct buffer text = {0};
    char answer[512];
    (void)state;
    int fd = dial_with(&hello, answer);
    assert_null(handshake_read_welcome(&hello, bytes_of(answer, strlen(answer) - 2)));
    handshake_write_proof(&text, &hello, "a guess");
    say(fd, &text);
    assert_true(hear(fd, answer, sizeof answer) > 0);
    assert_memory_equal(answer, "-ERR", 4);
    assert_null(world.request);
    close(fd);
    hello = hello_to_join();
    hello.dialer_node.life = 0;
    fd = dial_with(&hello, answer);
    assert_memory_equal(answer, "-ERR RR.HELLO of a node that joins, without a life", 50);
    buffer_deinit(&text);
    close(fd);
}

/* Nothing is told to one that has gone, nor heard of one that waits. */
static void who_joins_and_goes_is_forgotten(void **state)
{
    struct handshake hello = hello_to_join();
    char answer[512];
    (void)state;
    int fd = dial_with(&hello, answer);
    prove_as_dialer(fd, &hello, answer);
    pass(PEER_HANDSHAKE_MS + 100);
    assert_false(world.abandoned); /* it waits for us */
    close(fd);
    turns();
    assert_true(world.abandoned);
    end_request(REQUEST_DONE, ":1\r\n");
    world.abandoned = false;
    hello = hello_to_join();
    fd = dial_with(&hello, answer);
    prove_as_dialer(fd, &hello, answer);
    struct buffer more = {0};
    buffer_printf(&more, "*1\r\n$4\r\nPING\r\n");
    say(fd, &more);
    assert_true(hear(fd, answer, sizeof answer) > 0);
    assert_string_equal(answer, "-ERR a node that joins has no more to say\r\n");
    assert_true(world.abandoned);
    end_request(REQUEST_DONE, ":1\r\n");
    buffer_deinit(&more);
    close(fd);
}

/* Its connections broke, and it listens no more. */
static void whose_process_ended_is_gone_at_once(void **state)
{
    int fds[CHANNELS];
    (void)state;
    connect_all(fds);
    int control = dial_as_member(CHANNEL_CONTROL);
    world.gone = 0;
    pass(2000);
    shutdown(world.listening, SHUT_RDWR);
    close_all(fds);
    turns();
    pass(2 * LOOP_TICK_MS);
    assert_int_equal(world.gone, 0); /* it may speak yet */
    close(control);
    turns();
    pass(BACKOFF_FIRST_MS * 2);
    assert_true(world.gone > 0);
}

static void who_only_loses_connections_is_not_gone(void **state)
{
    int fds[CHANNELS];
    (void)state;
    connect_all(fds);
    world.gone = 0;
    pass(2000);
    close_all(fds);
    turns();
    pass(2 * LOOP_TICK_MS);
    assert_int_equal(world.gone, 0);
    for (unsigned i = 0; i < CHANNELS; i++)
        assert_true(world.other->links[i].state != LINK_DOWN); /* dialed at once */
}

/* Not at once each time, where connections break as soon as they are made. */
static void a_row_of_failures_is_not_dialed_at_once(void **state)
{
    int fds[CHANNELS];
    (void)state;
    connect_all(fds);
    close_all(fds);
    turns();
    for (unsigned i = 0; i < CHANNELS; i++)
        assert_int_equal(world.other->links[i].backoff_ms, BACKOFF_FIRST_MS);
}

static void say_forward(int fd, size_t size)
{
    struct forward forward = {.run_id = 1, .id = 1, .term = 1, .protocol = 2, .client = 1};
    struct outbox out = {0};
    struct iovec pieces[OUTBOX_PIECES_MAX];
    forward.command = blob_new(size);
    memset(forward.command->data, 'x', size);
    wire_encode_forward(&out, &forward);
    while (outbox_size(&out) > 0) {
        assert_true(outbox_pieces(&out, pieces) > 0);
        ssize_t sent = send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
        assert_true(sent > 0 || errno == EAGAIN);
        if (sent > 0)
            outbox_advance(&out, (size_t)sent);
        turns();
    }
    outbox_deinit(&out);
    blob_release(forward.command);
}

/* What a stranger may send is a line; what a member may, a command of any size. */
static void the_proof_lifts_a_strangers_limits(void **state)
{
    (void)state;
    int fd = dial_as_member(CHANNEL_COMMANDS);
    say_forward(fd, 100);
    assert_int_equal(world.forwarded, 100);
    say_forward(fd, 300000);
    assert_int_equal(world.forwarded, 300000);
    assert_non_null(world.other->inbounds[CHANNEL_COMMANDS]);
    close(fd);
    turns();
    assert_null(world.other->inbounds[CHANNEL_COMMANDS]);
}

static void a_stranger_may_send_a_line(void **state)
{
    static const char large[] = "*2\r\n$8\r\nRR.HELLO\r\n$4000\r\n";
    struct buffer text = {0};
    int pair[2];
    char answer[256];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    peers_accept(world.peers, pair[0]);
    buffer_append(&text, large, sizeof large - 1);
    say(pair[1], &text);
    assert_true(hear(pair[1], answer, sizeof answer) > 0);
    assert_memory_equal(answer, "-ERR", 4);
    assert_null(world.peers->inbounds);
    buffer_deinit(&text);
    close(pair[1]);
}

/* ---- strangers ------------------------------------------------------------------------------- */

/* To our port, from an address of this machine; both ends. */
static int dial_from(const char *address, int *other_end)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    socklen_t size = sizeof to;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&to, &size), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    *other_end = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    assert_true(*other_end >= 0);
    close(listening);
    return fd;
}

static bool is_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

static unsigned count_closed(const int *fds, unsigned count)
{
    unsigned closed = 0;
    for (unsigned i = 0; i < count; i++)
        closed += is_closed(fds[i]);
    return closed;
}

static void close_fds(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    turns();
}

/* Silent strangers from `address`, `say_hello` or not. */
static void crowd(const char *address, const struct buffer *hello, int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int accepted;
        fds[i] = dial_from(address, &accepted);
        peers_accept(world.peers, accepted);
        if (hello)
            say(fds[i], hello);
    }
    turns();
}

/* Of one address its own oldest goes; the other's, who was first of all, stays. */
static void one_address_does_not_push_out_another(void **state)
{
    enum { CROWD = SILENT_MAX + 8 };
    int first, fds[CROWD];
    (void)state;
    crowd("127.0.0.2", NULL, &first, 1);
    crowd("127.0.0.1", NULL, fds, CROWD);
    assert_false(is_closed(first));
    assert_int_equal(count_closed(fds, CROWD), CROWD - SILENT_SHARE_MAX);
    assert_false(is_closed(fds[CROWD - 1]));
    assert_false(is_closed(fds[CROWD - SILENT_SHARE_MAX]));
    assert_true(is_closed(fds[CROWD - SILENT_SHARE_MAX - 1]));
    close(first);
    close_fds(fds, CROWD);
}

/* Those who are greeted have places of their own, shared out likewise. */
static void greeted_strangers_have_their_own_places(void **state)
{
    enum { CROWD = GREETED_MAX + 4 };
    struct handshake handshake = {.version = WIRE_VERSION,
                                  .cluster = 7,
                                  .dialer = 1,
                                  .acceptor = 0,
                                  .channel = CHANNEL_CONTROL,
                                  .meaning = 1};
    struct buffer hello = {0};
    int silent, first, fds[CROWD];
    (void)state;
    handshake_nonce(handshake.dialer_nonce);
    handshake_write_hello(&hello, &handshake);
    crowd("127.0.0.1", NULL, &silent, 1);
    crowd("127.0.0.2", &hello, &first, 1);
    crowd("127.0.0.1", &hello, fds, CROWD);
    assert_false(is_closed(silent));
    assert_false(is_closed(first)); /* it has its welcome to read */
    unsigned greeted = 0;
    for (const struct inbound *inbound = world.peers->inbounds; inbound; inbound = inbound->next)
        greeted += inbound->greeted;
    assert_int_equal(greeted, GREETED_SHARE_MAX + 1);
    buffer_deinit(&hello);
    close(silent);
    close(first);
    close_fds(fds, CROWD);
}

static void stranger_speaks(void)
{
    struct buffer text = {0};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    peers_accept(world.peers, pair[0]);
    buffer_printf(&text, "*1\r\n$4\r\nPING\r\n");
    assert_int_equal(write(pair[1], text.data, text.size), text.size);
    while (world.peers->inbounds)
        turn_once();
    buffer_deinit(&text);
    close(pair[1]);
}

/* Twenty lines a second at most, and one that says how many more there were.  Once more where the
 * machine took longer than a second. */
static void strangers_do_not_fill_the_log(void **state)
{
    enum { TRIES = 20, TIMES = 2 };
    (void)state;
    log_lines_begin();
    int seen = 0;
    for (int i = 0; i < TRIES && seen < TIMES; i++) {
        int before = log_lines_with("closing a connection to the peer port");
        int said = log_lines_with("13 more connections to the peer port");
        int64_t begun_ms = loop_now_ms(world.loop);
        for (int stranger = 0; stranger < 33; stranger++)
            stranger_speaks();
        bool is_in_time = loop_now_ms(world.loop) - begun_ms < 900;
        int then = log_lines_with("closing a connection to the peer port");
        pass(1001);
        stranger_speaks();
        if (is_in_time) {
            assert_int_equal(then, before + 20);
            assert_int_equal(log_lines_with("closing a connection to the peer port"), before + 21);
            assert_int_equal(log_lines_with("13 more connections to the peer port"), said + 1);
            seen++;
        }
        pass(1001);
    }
    assert_int_equal(seen, TIMES);
    log_lines_end();
}

/* ---- what others are told of the lines ----------------------------------------------------- */

/* A node is there when what keeps it in office is. */
static void connected_is_who_has_the_control_channel(void **state)
{
    int fds[CHANNELS];
    (void)state;
    assert_false(peers_is_connected(world.peers, 1));
    connect_all(fds);
    assert_true(peers_is_connected(world.peers, 1));
    assert_false(peers_is_connected(world.peers, 5)); /* no member */
    close(fds[CHANNEL_COMMANDS]);
    close(fds[CHANNEL_ENTRIES]);
    turns();
    assert_true(peers_is_connected(world.peers, 1));
    close(fds[CHANNEL_CONTROL]);
    turns();
    assert_false(peers_is_connected(world.peers, 1));
}

/* Reads are served for a node as long as their replies leave. */
static void replies_that_wait_take_the_room(void **state)
{
    struct transport *transport = peers_transport(world.peers);
    struct link *link = &world.other->links[CHANNEL_COMMANDS];
    char *text = memory_new(LARGE);
    struct forward_reply reply = {.run_id = 5, .id = 6, .reply = bytes_of(text, LARGE)};
    int fds[CHANNELS];
    (void)state;
    memset(text, '+', LARGE);
    assert_true(transport->ops->has_room(transport, 1)); /* what is lost needs no room */
    assert_true(transport->ops->has_room(transport, 5));
    connect_all(fds);
    size_t before;
    for (int i = 0; i < 64 && outbox_size(&link->out) < REPLIES_AHEAD_MAX; i++) {
        assert_true(transport->ops->has_room(transport, 1));
        transport->ops->forward_reply(transport, 1, &reply);
        turns(); /* nobody reads: only what the socket has room for is gone */
    }
    before = outbox_size(&link->out);
    assert_true(before >= REPLIES_AHEAD_MAX);
    assert_false(transport->ops->has_room(transport, 1));
    memory_free(text);
    close_all(fds);
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
        TEST(a_snapshot_holds_up_no_heartbeat),
        TEST(who_has_not_proved_himself_is_told_nothing),
        TEST(what_waited_for_the_proof_comes_after_it),
        TEST(an_append_that_finds_no_room_is_reported),
        TEST(an_append_without_a_connection_is_reported),
        TEST(nothing_is_forwarded_without_a_way_back),
        TEST(a_handshake_that_does_not_end_is_given_up),
        TEST(a_refused_hello_learns_nothing_of_us),
        TEST(an_answer_without_an_end_is_given_up),
        TEST(another_life_is_refused),
        TEST(who_looks_for_another_is_told_what_it_is),
        TEST(another_life_is_not_spoken_to),
        TEST(who_has_another_name_is_refused),
        TEST(who_has_another_name_goes_when_there_is_one),
        TEST(who_was_dialed_goes_when_there_is_another_name),
        TEST(who_has_another_name_is_not_spoken_to),
        TEST(who_is_told_that_it_is_none_knows),
        TEST(who_is_greeted_has_no_more_time),
        TEST(an_old_copy_is_refused),
        TEST(an_old_copy_is_not_spoken_to),
        TEST(a_guest_is_answered_and_goes),
        TEST(what_a_member_says_of_itself_is_told),
        TEST(guests_are_so_many_at_a_time),
        TEST(a_guest_that_is_taken_in_stays),
        TEST(who_is_taken_out_goes_after_a_moment),
        TEST(a_new_address_is_dialed),
        TEST(a_place_forgets_who_had_it),
        TEST(there_is_a_place_for_each_member),
        TEST(who_joins_is_told_what_comes_of_it),
        TEST(who_joins_proves_itself),
        TEST(who_joins_and_goes_is_forgotten),
        TEST(the_proof_lifts_a_strangers_limits),
        TEST(whose_process_ended_is_gone_at_once),
        TEST(who_only_loses_connections_is_not_gone),
        TEST(a_row_of_failures_is_not_dialed_at_once),
        TEST(a_stranger_may_send_a_line),
        TEST(one_address_does_not_push_out_another),
        TEST(greeted_strangers_have_their_own_places),
        TEST(strangers_do_not_fill_the_log),
        TEST(connected_is_who_has_the_control_channel),
        TEST(replies_that_wait_take_the_room),
    };
    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
