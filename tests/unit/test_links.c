/* Connections to other members, see test_peers.h: members that are called by a name, false members
 * at their addresses, and connections that replace others.  The name server is a socket of the
 * test's. */
#include "test_peers.h"

#include <dlfcn.h>
#include <sys/un.h>

#include "test_log_lines.h"
#include "test_names.h"

enum { QUESTION_AT = 12, TYPE_A = 1, ANSWER_MAX = 600 };

/* ---- a name server ------------------------------------------------------------------------- */

enum answer { ANSWER_HERE, ANSWER_UNKNOWN, ANSWER_NOTHING };

static struct {
    int fd;
    char address[32];
    int bases;      /* that were made: each begins with no server and no name known */
    unsigned asked; /* questions for an IPv4 address */
    enum answer answer;
    bool is_missing; /* there is none configured */
    struct question {
        unsigned char text[ANSWER_MAX];
        size_t size;
        struct sockaddr_in from;
    } unanswered[2]; /* the first two: of one link, for either kind of address */
    unsigned unanswered_count;
} names;

/* Stands before libevent's: with this name server, and nothing of this machine's files. */
struct evdns_base *evdns_base_new(struct event_base *base, int flags)
{
    struct evdns_base *(*make)(struct event_base *, int);
    *(void **)&make = dlsym(RTLD_NEXT, "evdns_base_new");
    assert_non_null(make);
    assert_true(flags & EVDNS_BASE_INITIALIZE_NAMESERVERS);
    names.bases++;
    if (names.is_missing)
        return NULL;
    struct evdns_base *made = make(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    assert_int_equal(evdns_base_nameserver_ip_add(made, names.address), 0);
    return made;
}

/* The type of the question, behind its name. */
static int type_of(const unsigned char *question, size_t size)
{
    size_t at = QUESTION_AT;
    while (at < size && question[at] != 0)
        at += question[at] + 1u;
    assert_true(at + 5 <= size);
    return question[at + 1] << 8 | question[at + 2];
}

/* To a question: the address, that there is none of that kind, or that the name is unknown. */
static size_t make_answer(unsigned char answer[ANSWER_MAX], size_t size)
{
    static const unsigned char here[] = {0xc0, QUESTION_AT, 0, TYPE_A, 0,   1, 0, 0,
                                         0,    1,           0, 4,      127, 0, 0, 1};
    bool is_found = names.answer == ANSWER_HERE && type_of(answer, size) == TYPE_A;
    answer[2] = 0x85; /* an answer, with authority */
    answer[3] = names.answer == ANSWER_UNKNOWN ? 0x83 : 0x80;
    memset(answer + 6, 0, 6);
    answer[7] = is_found;
    if (!is_found)
        return size;
    memcpy(answer + size, here, sizeof here);
    return size + sizeof here;
}

static void answer(struct question *question)
{
    size_t size = make_answer(question->text, question->size);
    assert_int_equal(sendto(names.fd, question->text, size, 0, (struct sockaddr *)&question->from,
                            sizeof question->from),
                     size);
}

static void answer_questions(void)
{
    for (;;) {
        struct question question;
        socklen_t from_size = sizeof question.from;
        ssize_t size = recvfrom(names.fd, question.text, sizeof question.text - 16, MSG_DONTWAIT,
                                (struct sockaddr *)&question.from, &from_size);
        if (size <= QUESTION_AT)
            return;
        question.size = (size_t)size;
        names.asked += type_of(question.text, question.size) == TYPE_A;
        if (names.answer != ANSWER_NOTHING)
            answer(&question);
        else if (names.unanswered_count < 2)
            names.unanswered[names.unanswered_count++] = question;
    }
}

static int set_up_names(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    (void)state;
    memset(&names, 0, sizeof names);
    names.fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(names.fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(names.fd, (struct sockaddr *)&address, &size), 0);
    snprintf(names.address, sizeof names.address, "127.0.0.1:%u", ntohs(address.sin_port));
    open_world("node-1.test");
    return 0;
}

static int tear_down_names(void **state)
{
    tear_down(state);
    close(names.fd);
    return 0;
}

/* Turns, with answers, for `ms`. */
static void pass_with_names(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += LOOP_TICK_MS) {
        world.ahead_ms += LOOP_TICK_MS;
        loop_set_ahead(world.loop, world.ahead_ms);
        turn_once();
        answer_questions();
    }
}

/* ---- members that have a name -------------------------------------------------------------- */

static void a_member_is_found_by_its_name(void **state)
{
    int fds[CHANNELS];
    (void)state;
    assert_int_equal(listen(world.listening, 16), 0);
    pass_with_names(1000);
    assert_true(names.asked >= 1);
    assert_int_equal(world.peers->lookups, 0);
    for (unsigned i = 0; i < CHANNELS; i++) {
        struct acceptor acceptor = greet();
        prove(&acceptor, "");
        fds[acceptor.handshake.channel] = acceptor.fd;
    }
    for (unsigned i = 0; i < CHANNELS; i++)
        assert_int_equal(world.other->links[i].state, LINK_UP);
    /* It may be another machine by now: asked afresh, of name servers that are read afresh. */
    unsigned asked = names.asked;
    int bases = names.bases;
    close(fds[CHANNEL_CONTROL]);
    pass_with_names(2000);
    assert_true(names.asked > asked);
    assert_true(names.bases > bases);
    assert_int_equal(world.other->links[CHANNEL_CONTROL].state, LINK_HELLO);
    close(fds[CHANNEL_ENTRIES]);
    close(fds[CHANNEL_COMMANDS]);
}

static void a_name_that_nobody_knows(void **state)
{
    const struct link *link = &world.other->links[CHANNEL_CONTROL];
    (void)state;
    names.answer = ANSWER_UNKNOWN;
    pass_with_names(1000);
    assert_string_equal(link->complaint, evutil_gai_strerror(EVUTIL_EAI_NONAME));
    assert_true(link->backoff_ms >= 2 * BACKOFF_FIRST_MS); /* tried again */
    assert_int_equal(link->state, LINK_DOWN);
    names.answer = ANSWER_HERE;
    assert_int_equal(listen(world.listening, 16), 0);
    pass_with_names(3000);
    assert_int_equal(link->state, LINK_HELLO);
}

/* It is the link that gives up, and a late answer meets nobody. */
static void a_name_server_that_says_nothing(void **state)
{
    const struct link *link = &world.other->links[CHANNEL_CONTROL];
    (void)state;
    names.answer = ANSWER_NOTHING;
    pass_with_names(PEER_HANDSHAKE_MS - 200);
    assert_int_equal(link->state, LINK_DIALING);
    assert_non_null(link->resolving);
    assert_true(names.asked >= 1);
    for (int i = 0; i < 40 && link->state != LINK_DOWN; i++)
        pass_with_names(LOOP_TICK_MS);
    assert_int_equal(link->state, LINK_DOWN);
    assert_string_equal(link->complaint, "no answer in time");
    assert_null(link->resolving);
    names.answer = ANSWER_HERE;
    answer(&names.unanswered[0]); /* late */
    answer(&names.unanswered[1]);
    pass_with_names(LOOP_TICK_MS);
    assert_int_equal(link->state, LINK_DOWN);
    assert_false(stream_is_open(&link->stream)); /* it waits before it dials again */
    assert_int_equal(listen(world.listening, 16), 0);
    pass_with_names(5000);
    assert_int_equal(link->state, LINK_HELLO);
}

static void without_a_name_server_it_is_said(void **state)
{
    const struct link *link = &world.other->links[CHANNEL_CONTROL];
    (void)state;
    names.is_missing = true;
    pass_with_names(6000); /* what was asked of the first one is given up */
    assert_string_equal(link->complaint, "no name server is configured");
    snprintf(world.config.nodes.list[1].address, RAFT_ADDRESS_SIZE, "no port");
    pass_with_names(3000);
    assert_string_equal(link->complaint, "its address is not host:port");
}

/* ---- false members at an address ----------------------------------------------------------- */

/* What one may say who has the address and not the secret. */
enum lie { LIE_GUESS, LIE_NO_PROOF, LIE_ITS_OWN, LIE_FORMER, LIE_MALFORMED, LIE_MESSAGE, LIES };

static const char *const complaint_of[LIES] = {
    [LIE_GUESS] = "the other side's peer-secret is not ours",
    [LIE_NO_PROOF] = "expected +OK and a proof",
    [LIE_ITS_OWN] = "the other side's peer-secret is not ours",
    [LIE_FORMER] = "the other side's peer-secret is not ours",
    [LIE_MALFORMED] = "a malformed proof",
    [LIE_MESSAGE] = "expected +OK and a proof",
};

/* The answer of a member that was overheard, once. */
static struct buffer overheard;

static void lie_to(const struct acceptor *acceptor, enum lie lie)
{
    struct buffer answer = {0};
    char proof[256];
    struct handshake turned = acceptor->handshake;
    switch (lie) {
    case LIE_GUESS: handshake_write_answer(&answer, &acceptor->handshake, "a guess"); break;
    case LIE_NO_PROOF: buffer_printf(&answer, "+OK\r\n"); break;
    case LIE_ITS_OWN: /* what the dialer has proved, sent back to it */
        handshake_write_proof(&answer, &turned, "kept");
        snprintf(proof, sizeof proof, "+OK %.64s\r\n", (char *)answer.data + 4 + 4 + 10 + 5);
        buffer_clear(&answer);
        buffer_printf(&answer, "%s", proof);
        break;
    case LIE_FORMER: buffer_append(&answer, overheard.data, overheard.size); break;
    case LIE_MALFORMED: buffer_printf(&answer, "+OK secret\r\n"); break;
    case LIE_MESSAGE: buffer_printf(&answer, "*1\r\n$4\r\nPING\r\n"); break;
    case LIES: fail();
    }
    say(acceptor->fd, &answer);
    buffer_deinit(&answer);
}

/* Nothing waits for it, nothing is sent to it, and its connection is gone. */
static void assert_told_nothing(int fd, const struct link *link, const char *complaint)
{
    char bytes[2048];
    assert_int_equal(hear(fd, bytes, sizeof bytes), 0);
    assert_int_equal(link->state, LINK_DOWN);
    assert_int_equal(outbox_size(&link->out), 0);
    assert_string_equal(link->complaint, complaint);
    assert_true(link->backoff_ms > 0);
}

static void send_secrets(void)
{
    struct transport *transport = peers_transport(world.peers);
    struct forward_reply reply = {.run_id = 5, .id = 6, .reply = bytes_from_string("+secret\r\n")};
    struct raft_message heartbeat = {.type = RAFT_APPEND_REQUEST, .to = 1, .term = 1};
    struct blob *payload = blob_copy(bytes_from_string("secret"));
    transport->ops->send(transport, &heartbeat, NULL);
    transport->ops->forward_reply(transport, 1, &reply);
    send_append(payload);
    blob_release(payload);
    turns();
}

static void a_false_member_at_its_address_is_told_nothing(void **state)
{
    char kept[] = "kept", *configured = world.config.peer_secret;
    (void)state;
    world.config.peer_secret = kept;
    let_dial();
    struct acceptor member = greet();
    handshake_write_answer(&overheard, &member.handshake, "kept");
    prove(&member, "kept");
    assert_int_equal(world.other->links[member.handshake.channel].state, LINK_UP);
    close(member.fd);
    turns();
    for (unsigned i = 0; i < LIES * CHANNELS; i++) {
        struct acceptor acceptor = greet();
        struct link *link = &world.other->links[acceptor.handshake.channel];
        assert_int_equal(link->state, LINK_PROVE);
        send_secrets();
        lie_to(&acceptor, i / CHANNELS);
        send_secrets();
        assert_told_nothing(acceptor.fd, link, complaint_of[i / CHANNELS]);
        close(acceptor.fd);
        pass(BACKOFF_MAX_MS + BACKOFF_MAX_MS / 4 + LOOP_TICK_MS);
    }
    for (unsigned i = 0; i < CHANNELS; i++)
        assert_true(world.other->links[i].state != LINK_UP);
    buffer_deinit(&overheard);
    world.config.peer_secret = configured;
}

static void say_text(int fd, const char *text)
{
    struct buffer said = {0};
    buffer_printf(&said, "%s", text);
    say(fd, &said);
    buffer_deinit(&said);
}

/* Something else listens there, or a member that does not want us. */
static void what_is_answered_is_no_welcome(void **state)
{
    static const struct {
        const char *said, *complaint;
    } cases[] = {
        {"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not that of a redis-raft peer port"},
        {"+OK 12\n", "a malformed nonce"},
        {"-ERR this is another cluster\r\n", "refused: -ERR this is another cluster"},
    };
    (void)state;
    let_dial();
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[2048];
        int fds[CHANNELS];
        for (unsigned j = 0; j < CHANNELS; j++) {
            fds[j] = answer_call();
            assert_true(fds[j] >= 0);
            assert_true(hear(fds[j], bytes, sizeof bytes) > 0);
            say_text(fds[j], cases[i].said);
        }
        for (unsigned j = 0; j < CHANNELS; j++) {
            assert_string_equal(world.other->links[j].complaint, cases[i].complaint);
            close(fds[j]);
        }
        pass(BACKOFF_MAX_MS + BACKOFF_MAX_MS / 4 + LOOP_TICK_MS);
    }
}

/* Behind the proof the acceptor says nothing on this connection; its messages come on its own. */
static void a_member_that_speaks_out_of_turn_is_left(void **state)
{
    int fds[CHANNELS];
    (void)state;
    connect_all(fds);
    say_text(fds[CHANNEL_CONTROL], "+OK again\r\n");
    assert_string_equal(world.other->links[CHANNEL_CONTROL].complaint, "it speaks out of turn");
    assert_int_equal(world.raft_losses, 1);
    close_all(fds);
}

/* ---- the other member's connections -------------------------------------------------------- */

/* Its machine was away, and this end of the former one does not know. */
static void a_newer_connection_replaces_one(void **state)
{
    char byte;
    (void)state;
    int first = dial_as_member(CHANNEL_COMMANDS);
    struct inbound *former = world.other->inbounds[CHANNEL_COMMANDS];
    int second = dial_as_member(CHANNEL_COMMANDS);
    assert_non_null(world.other->inbounds[CHANNEL_COMMANDS]);
    assert_ptr_not_equal(world.other->inbounds[CHANNEL_COMMANDS], former);
    assert_int_equal(world.forward_losses, 1); /* replies to what was forwarded are lost */
    assert_int_equal(recv(first, &byte, 1, 0), 0);
    close(first);
    turns();
    assert_int_equal(world.forward_losses, 1);
    assert_non_null(world.other->inbounds[CHANNEL_COMMANDS]); /* not ended by the former's end */
    int control = dial_as_member(CHANNEL_CONTROL);
    assert_int_equal(world.forward_losses, 1);
    close(second);
    turns();
    assert_int_equal(world.forward_losses, 2);
    close(control);
}

/* What one says at our port who is no member: he learns nothing, and is nobody. */
static void a_false_member_that_calls_is_refused(void **state)
{
    static const struct {
        const char *said, *answer; /* NULL: the proof of another secret */
    } cases[] = {
        {NULL, "-ERR the other side's peer-secret is not ours\r\n"},
        {"*1\r\n$8\r\nRR.PROVE\r\n", "-ERR expected RR.PROVE\r\n"},
        {"*2\r\n$8\r\nRR.PROVE\r\n$1\r\nx\r\n", "-ERR a malformed proof\r\n"},
        {"*2\r\n$9\r\nFORWARDED\r\n$1\r\nx\r\n", "-ERR expected RR.PROVE\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct handshake handshake = member_handshake(CHANNEL_COMMANDS);
        struct buffer text = {0};
        char answer[256];
        int fd = call_as_member(&handshake);
        if (cases[i].said)
            buffer_printf(&text, "%s", cases[i].said);
        else
            handshake_write_proof(&text, &handshake, "a guess");
        say(fd, &text);
        assert_true(hear(fd, answer, sizeof answer) > 0);
        assert_string_equal(answer, cases[i].answer);
        assert_int_equal(recv(fd, answer, 1, 0), 0);
        assert_null(world.other->inbounds[CHANNEL_COMMANDS]);
        assert_null(world.peers->inbounds);
        buffer_deinit(&text);
        close(fd);
    }
}

static void who_proves_nothing_in_time_is_closed(void **state)
{
    int pair[2];
    char byte;
    (void)state;
    int member = dial_as_member(CHANNEL_CONTROL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    peers_accept(world.peers, pair[0]);
    pass(PEER_HANDSHAKE_MS - 100);
    assert_true(recv(pair[1], &byte, 1, 0) < 0);
    pass(200);
    assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
    assert_non_null(world.other->inbounds[CHANNEL_CONTROL]); /* the member stays */
    close(pair[1]);
    close(member);
}

/* The second half of an IPv6 address is free to choose, so it makes nobody another. */
static void places_are_shared_by_the_first_half_of_an_address(void **state)
{
    static const struct {
        const char *address;
        unsigned of; /* equal: one place to share */
    } from[] = {
        {"2001:db8:1:2:3:4:5:6", 0}, {"2001:db8:1:2::9", 0}, {"2001:db8:1:3:3:4:5:6", 2},
        {"::ffff:10.0.0.1", 3},      {"10.0.0.1", 3},        {"10.0.0.2", 5},
    };
    enum { ALL = sizeof from / sizeof *from };
    uint64_t origins[ALL];
    int fds[ALL];
    (void)state;
    for (unsigned i = 0; i < ALL; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        names_say(from[i].address, 1000 + (int)i);
        peers_accept(world.peers, pair[0]);
        names_say_no_more();
        origins[i] = world.peers->inbounds->prev->origin; /* the last */
        fds[i] = pair[1];
    }
    for (unsigned i = 0; i < ALL; i++) {
        for (unsigned j = 0; j < ALL; j++)
            assert_int_equal(origins[i] == origins[j], from[i].of == from[j].of);
        close(fds[i]);
    }
}

static void say_out(int fd, struct outbox *out)
{
    struct iovec pieces[OUTBOX_PIECES_MAX];
    while (outbox_size(out) > 0) {
        assert_true(outbox_pieces(out, pieces) > 0);
        assert_int_equal(send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL),
                         pieces[0].iov_len);
        outbox_advance(out, pieces[0].iov_len);
        turns();
    }
    outbox_deinit(out);
}

static int dial_as_life(enum channel channel, uint64_t life)
{
    struct handshake handshake = member_handshake(channel);
    handshake.dialer_node = (struct handshake_node){.life = life, .starts = 1};
    return dial_as(&handshake);
}

static void each_message_has_its_channel(void **state)
{
    struct forward_cancel cancel = {.run_id = 1, .id = 2, .client = 3};
    struct forward_reply reply = {.run_id = 1, .id = 2, .reply = bytes_from_string("+x\r\n")};
    struct raft_message vote = {.type = RAFT_VOTE_RESPONSE, .from = 1, .to = 0, .term = 1};
    struct forward forward = {.run_id = 1, .id = 1, .term = 1, .protocol = 2, .client = 1};
    struct outbox out = {0};
    (void)state;
    int control = dial_as_life(CHANNEL_CONTROL, 0x55);
    int commands = dial_as_life(CHANNEL_COMMANDS, 0x55);
    wire_encode_message(&out, &vote, NULL, 1);
    say_out(control, &out);
    wire_encode_cancel(&out, &cancel);
    say_out(commands, &out);
    wire_encode_forward_reply(&out, &reply);
    say_out(commands, &out);
    forward.command = blob_copy(bytes_from_string("x"));
    wire_encode_forward(&out, &forward);
    say_out(commands, &out);
    blob_release(forward.command);
    assert_int_equal(world.messages, 1);
    assert_int_equal(world.heard_life, 0x55);
    assert_int_equal(world.forwarded, 1);
    assert_int_equal(world.forwarded_life, 0x55);
    assert_int_equal(world.cancels, 1);
    assert_int_equal(world.replies, 1);
    log_lines_begin();
    wire_encode_cancel(&out, &cancel);
    say_out(control, &out);
    assert_int_equal(log_lines_with("a message on the wrong channel"), 1);
    assert_null(world.other->inbounds[CHANNEL_CONTROL]);
    wire_encode_message(&out, &vote, NULL, 1);
    say_out(commands, &out);
    assert_int_equal(log_lines_with("a message on the wrong channel"), 2);
    assert_null(world.other->inbounds[CHANNEL_COMMANDS]);
    log_lines_end();
    assert_int_equal(world.messages + world.cancels + world.replies, 3);
    close(control);
    close(commands);
}

/* ---- what is sent -------------------------------------------------------------------------- */

static void what_a_member_takes(void **state)
{
    struct transport *transport = peers_transport(world.peers);
    struct forward_cancel cancel = {.run_id = 1, .id = 2, .client = 3};
    struct forward_reply reply = {.run_id = 5, .id = 6, .reply = bytes_from_string("+x\r\n")};
    int fds[CHANNELS];
    char bytes[2048];
    (void)state;
    assert_false(transport->ops->has_room_for_entries(transport, 1));
    assert_false(transport->ops->has_room_for_entries(transport, 9)); /* no member */
    transport->ops->cancel(transport, 1, &cancel);                    /* goes nowhere */
    transport->ops->forward_reply(transport, 1, &reply);
    transport->ops->forward_reply(transport, 9, &reply);
    connect_all(fds);
    assert_true(transport->ops->has_room_for_entries(transport, 1));
    assert_int_equal(hear(fds[CHANNEL_COMMANDS], bytes, sizeof bytes), 0);
    transport->ops->cancel(transport, 1, &cancel);
    size_t size = hear(fds[CHANNEL_COMMANDS], bytes, sizeof bytes);
    assert_non_null(memmem(bytes, size, "CANCEL", 6));
    assert_string_equal(peers_client_address(world.peers, 9), "");
    assert_string_equal(peers_client_address(world.peers, 1), "");
    assert_true(peers_traffic(world.peers).output > 0);
    close_all(fds);
}

/* It must not be lost in silence: the loss of the connection tells the other side. */
static void a_reply_that_finds_no_room_ends_the_connection(void **state)
{
    struct transport *transport = peers_transport(world.peers);
    struct blob *large = blob_new(64 << 20);
    struct rope rest = {0};
    const struct link *link = &world.other->links[CHANNEL_COMMANDS];
    int fds[CHANNELS];
    (void)state;
    memset(large->data, 'x', large->size);
    connect_all(fds);
    for (int i = 0; i < 8 && link->state == LINK_UP; i++) {
        rope_append_blob(&rest, blob_take(large));
        struct forward_reply reply = {
            .run_id = 5, .id = 6, .reply = bytes_from_string("$67108864\r\n"), .rest = &rest};
        transport->ops->forward_reply(transport, 1, &reply);
        rope_deinit(&rest);
    }
    assert_int_equal(link->state, LINK_DOWN);
    assert_string_equal(link->complaint, "too many replies wait for it");
    assert_int_equal(world.forward_losses, 1);
    close_all(fds);
    blob_release(large);
}

/* So many bytes wait, none of them copied. */
static void let_wait(struct link *link, size_t size)
{
    struct blob *part = blob_new(1 << 20);
    memset(part->data, 'x', part->size);
    while (outbox_size(&link->out) < size) {
        size_t left = size - outbox_size(&link->out);
        outbox_append_part(&link->out, part, 0, left < part->size ? left : part->size);
    }
    assert_int_equal(outbox_size(&link->out), size);
    blob_release(part);
}

/* What waits for a member is bounded, to the byte, by what limits.h relates to each other. */
static void what_may_wait_for_a_member_is_exact(void **state)
{
    struct transport *transport = peers_transport(world.peers);
    struct link *links = world.other->links;
    struct raft_message heartbeat = {.type = RAFT_APPEND_REQUEST, .to = 1, .term = 1};
    struct forward forward = {.run_id = 1, .id = 1, .term = 1, .protocol = 2, .client = 1};
    struct forward_reply reply = {.run_id = 5, .id = 6, .reply = bytes_from_string("+x\r\n")};
    struct blob *payload = blob_copy(bytes_from_string("x"));
    struct inbound way_back;
    int fds[CHANNELS];
    (void)state;
    forward.command = payload;
    connect_all(fds);
    world.other->inbounds[CHANNEL_COMMANDS] = &way_back;
    for (size_t over = 0; over < 2; over++) {
        struct link *link = &links[CHANNEL_CONTROL];
        let_wait(link, QUEUED_CONTROL_MAX + over);
        transport->ops->send(transport, &heartbeat, NULL);
        assert_int_equal(outbox_size(&link->out) == QUEUED_CONTROL_MAX + over, over);
        outbox_deinit(&link->out);
        link = &links[CHANNEL_ENTRIES];
        let_wait(link, ENTRIES_AHEAD_MAX + over);
        assert_int_equal(transport->ops->has_room_for_entries(transport, 1), !over);
        let_wait(link, QUEUED_ENTRIES_MAX + over);
        send_append(payload);
        assert_int_equal(world.other->lost_entries, over);
        outbox_deinit(&link->out);
        link = &links[CHANNEL_COMMANDS];
        let_wait(link, REPLIES_AHEAD_MAX - 1 + over);
        assert_int_equal(transport->ops->has_room(transport, 1), !over);
        let_wait(link, QUEUED_COMMANDS_MAX + over);
        assert_int_equal(transport->ops->forward(transport, 1, &forward), !over);
        let_wait(link, REPLIES_QUEUED_MAX + over);
        transport->ops->forward_reply(transport, 1, &reply);
        assert_int_equal(link->state == LINK_UP, !over);
        outbox_deinit(&link->out);
        assert_int_equal(world.forward_losses, over);
    }
    world.other->inbounds[CHANNEL_COMMANDS] = NULL;
    assert_int_equal(payload->references, 1);
    blob_release(payload);
    close_all(fds);
}

/* Nobody gets it, and who asked is told so: the line to the other node stays. */
static void a_reply_too_large_to_be_passed_on_is_an_error(void **state)
{
    struct transport *transport = peers_transport(world.peers);
    struct rope large = {.size = WIRE_PAYLOAD_MAX - 3};
    struct forward_reply reply = {
        .run_id = 5, .id = 6, .reply = bytes_from_string("+x\r\n"), .rest = &large};
    int fds[CHANNELS];
    char bytes[2048];
    (void)state;
    connect_all(fds);
    transport->ops->forward_reply(transport, 1, &reply);
    size_t size = hear(fds[CHANNEL_COMMANDS], bytes, sizeof bytes);
    assert_non_null(memmem(bytes, size, "-ERR the reply is too large to be passed on\r\n", 45));
    assert_int_equal(world.other->links[CHANNEL_COMMANDS].state, LINK_UP);
    close_all(fds);
}

/* What INFO shows of it is what passed: handshakes and messages, in both directions. */
static void traffic_is_what_passed(void **state)
{
    struct transport *transport = peers_transport(world.peers);
    struct forward_cancel cancel = {.run_id = 1, .id = 2, .client = 3};
    struct outbox out = {0};
    struct buffer text = {0};
    struct handshake handshake = member_handshake(CHANNEL_COMMANDS);
    char bytes[2048];
    int pair[2], fds[CHANNELS];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    peers_accept(world.peers, pair[0]);
    handshake_write_hello(&text, &handshake);
    size_t said = text.size, heard;
    say(pair[1], &text);
    heard = hear(pair[1], bytes, sizeof bytes);
    assert_null(handshake_read_welcome(&handshake, bytes_of(bytes, heard - 2)));
    buffer_clear(&text);
    handshake_write_proof(&text, &handshake, "");
    said += text.size;
    say(pair[1], &text);
    heard += hear(pair[1], bytes, sizeof bytes);
    wire_encode_cancel(&out, &cancel);
    said += outbox_size(&out);
    say_out(pair[1], &out);
    assert_int_equal(world.cancels, 1);
    assert_int_equal(peers_traffic(world.peers).input, said);
    assert_int_equal(peers_traffic(world.peers).output, heard);
    connect_all(fds);
    struct peers_traffic before = peers_traffic(world.peers);
    assert_true(before.input > said && before.output > heard);
    for (int i = 1; i < 4; i++) {
        transport->ops->cancel(transport, 1, &cancel);
        heard = hear(fds[CHANNEL_COMMANDS], bytes, sizeof bytes);
        assert_true(heard > 0);
        assert_int_equal(peers_traffic(world.peers).output, before.output + i * heard);
    }
    assert_int_equal(peers_traffic(world.peers).input, before.input);
    say_text(fds[CHANNEL_CONTROL], "+OK again\r\n");
    assert_int_equal(peers_traffic(world.peers).input, before.input + 11);
    buffer_deinit(&text);
    close_all(fds);
    close(pair[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define NAMED(name) cmocka_unit_test_setup_teardown(name, set_up_names, tear_down_names)
    const struct CMUnitTest tests[] = {
        NAMED(a_member_is_found_by_its_name),
        NAMED(a_name_that_nobody_knows),
        NAMED(a_name_server_that_says_nothing),
        NAMED(without_a_name_server_it_is_said),
        TEST(a_false_member_at_its_address_is_told_nothing),
        TEST(what_is_answered_is_no_welcome),
        TEST(a_member_that_speaks_out_of_turn_is_left),
        TEST(a_newer_connection_replaces_one),
        TEST(a_false_member_that_calls_is_refused),
        TEST(who_proves_nothing_in_time_is_closed),
        TEST(places_are_shared_by_the_first_half_of_an_address),
        TEST(each_message_has_its_channel),
        TEST(what_a_member_takes),
        TEST(a_reply_that_finds_no_room_ends_the_connection),
        TEST(what_may_wait_for_a_member_is_exact),
        TEST(a_reply_too_large_to_be_passed_on_is_an_error),
        TEST(traffic_is_what_passed),
    };
    return cmocka_run_group_tests_name("links", tests, NULL, NULL);
}
