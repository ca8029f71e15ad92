/* A node that asks to be taken in: each member in turn, until one says yes.  The members are a
 * thread that plays them on one port, a connection after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "net/handshake.h"
#include "net/wire.h"
#include "resp/parser.h"
#include "server/join.h"
#include "test_log_lines.h"

enum { LINE = 4096 };

/* What the member says at each connection in place of what it should; NULL: that. */
struct answer {
    const char *welcome, *proof, *outcome;
    bool is_in_pieces;
};

static struct {
    int listening;
    char address[32];
    const struct answer *answers;
    unsigned count, calls;
    struct handshake heard; /* at the last call */
} member;

/* ---- the member ------------------------------------------------------------------------------ */

static void say(int fd, const void *data, size_t size, bool is_in_pieces)
{
    const char *at = data;
    for (size_t i = 0; i < size; i += is_in_pieces ? 1 : size)
        (void)send(fd, at + i, is_in_pieces ? 1 : size, MSG_NOSIGNAL);
}

static void say_or(int fd, const char *text, const struct buffer *right,
                   const struct answer *answer)
{
    if (text)
        say(fd, text, strlen(text), answer->is_in_pieces);
    else
        say(fd, right->data, right->size, answer->is_in_pieces);
}

/* False: it hung up. */
static bool hear_command(int fd, struct resp_parser *parser, const struct bytes **argv,
                         uint32_t *argc)
{
    static char bytes[LINE];
    size_t consumed, size = 0;
    do {
        ssize_t taken = recv(fd, bytes + size, sizeof bytes - size, 0);
        if (taken <= 0)
            return false;
        size += (size_t)taken;
    } while (resp_parse(parser, bytes, size, &consumed) != RESP_COMMAND);
    *argv = resp_argv(parser, argc);
    return true;
}

static void meet(int fd, const struct answer *answer)
{
    struct resp_limits limits = {512, 64, 16, 2048, .allow_inline = false};
    struct resp_parser *parser = resp_parser_new(&limits);
    struct handshake *handshake = &member.heard;
    struct buffer text = {0};
    const struct bytes *argv;
    uint32_t argc;
    *handshake = (struct handshake){0};
    if (hear_command(fd, parser, &argv, &argc) && !handshake_read_hello(handshake, argv, argc)) {
        handshake_nonce(handshake->acceptor_nonce);
        handshake_write_welcome(&text, handshake);
        say_or(fd, answer->welcome, &text, answer);
        if (hear_command(fd, parser, &argv, &argc) &&
            !handshake_read_proof(handshake, argv, argc, "secret")) {
            buffer_clear(&text);
            handshake_write_answer(&text, handshake, "secret");
            say_or(fd, answer->proof, &text, answer);
            buffer_clear(&text);
            buffer_printf(&text, "+JOINED 00000000feedface 7\r\n");
            say_or(fd, answer->outcome, &text, answer);
        }
    }
    shutdown(fd, SHUT_WR);
    while (recv(fd, (char[64]){0}, 64, 0) > 0)
        ; /* its end is its own */
    buffer_deinit(&text);
    resp_parser_free(parser);
}

static void *play(void *context)
{
    for (unsigned i = 0; i < member.count; i++) {
        int fd = accept(member.listening, NULL, NULL);
        if (fd < 0)
            break; /* it asks no more */
        member.calls++;
        meet(fd, &member.answers[i]);
        close(fd);
    }
    return context;
}

/* ---- the node that asks -------------------------------------------------------------------- */

/* The list of members, "ADDRESS," and so on; the port is the member's where it says %s. */
static struct raft_log_identity join(const char *list, const struct answer *answers, unsigned count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct config config;
    pthread_t thread;
    char members[256];
    const struct raft_log_life life = {.life = 0xabc, .starts = 4};
    member.listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(member.listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(member.listening, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(listen(member.listening, 16), 0);
    member.answers = answers;
    member.count = count;
    member.calls = 0;
    config_init(&config);
    size_t end = 0;
    for (; *list && end + 32 < sizeof members; list++)
        if (*list == '@')
            end += (size_t)snprintf(members + end, 32, "127.0.0.1:%u", ntohs(address.sin_port));
        else
            members[end++] = *list;
    members[end] = '\0';
    memory_free(config.join);
    memory_free(config.peer_secret);
    config.join = memory_string(members);
    config.peer_secret = memory_string("secret");
    strcpy(config.peer_announced, "10.1.1.1:1");
    memory_free(config.announce_client);
    config.announce_client = memory_string("10.1.1.1:2");
    assert_int_equal(pthread_create(&thread, NULL, play, NULL), 0);
    struct raft_log_identity identity = server_join(&config, &life);
    shutdown(member.listening, SHUT_RDWR);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(member.listening);
    config_deinit(&config);
    return identity;
}

static void who_is_taken_in_knows_its_name(void **state)
{
    static const struct answer answers[] = {{.is_in_pieces = false}, {.is_in_pieces = true}};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct raft_log_identity identity = join("@", &answers[i], 1);
        assert_int_equal(identity.cluster, 0xfeedface);
        assert_int_equal(identity.node, 7);
        assert_int_equal(member.calls, 1);
        assert_int_equal(member.heard.channel, CHANNEL_JOIN);
        assert_int_equal(member.heard.dialer_node.life, 0xabc);
        assert_int_equal(member.heard.dialer_node.starts, 4);
        assert_string_equal(member.heard.peer_address, "10.1.1.1:1");
        assert_string_equal(member.heard.client_address, "10.1.1.1:2");
    }
}

/* One after the other in a round; each new reason is said. */
static void each_member_is_asked_until_one_says_yes(void **state)
{
    static char endless[3000];
    static const struct answer answers[] = {
        {.welcome = "SSH-2.0-OpenSSH_9.2\r\n"},
        {.welcome = "-ERR this is another cluster\r\n"},
        {.welcome = endless},
        {.outcome = "+JOINED 1 2"}, /* half a line */
        {.proof = "-ERR the other side's peer-secret is not ours\r\n"},
        {.proof = "+OK 00\r\n"},
        {.outcome = "-TRYAGAIN the cluster has no leader, or does not answer\n"},
        {.outcome = "+JOINED 1\r\n"},
        {.outcome = "+JOINED 1 2 3\r\n"},
        {.outcome = ""},
        {.outcome = NULL},
    };
    static const char *const reasons[] = {
        "the answer is not that of a redis-raft peer port",
        ": -ERR this is another cluster;",
        "it answers at too great a length",
        "a malformed proof",
        "peer-secret is not ours",
        ": -TRYAGAIN the cluster has no leader, or does not answer;",
        "it is not host:port",
    };
    (void)state;
    memset(endless, 'x', sizeof endless - 1);
    log_lines_begin();
    struct raft_log_identity identity =
        join("nowhere,@,@,@,@,@,@,@,@,@,@,@", answers, sizeof answers / sizeof *answers);
    assert_int_equal(identity.node, 7);
    assert_int_equal(member.calls, sizeof answers / sizeof *answers);
    for (unsigned i = 0; i < sizeof reasons / sizeof *reasons; i++)
        assert_int_equal(log_lines_with(reasons[i]), 1);
    assert_int_equal(log_lines_with("closed by the other side"), 2);
    assert_int_equal(log_lines_with("it says something else than +JOINED"), 1); /* once for both */
    assert_int_equal(log_lines_with("asking again"), 10);
    assert_int_equal(log_lines_with("taken in as node 7 of cluster 00000000feedface"), 1);
    log_lines_end();
}

/* And asked again, with a hello of its own, a second later. */
static void all_of_them_are_asked_again(void **state)
{
    static const struct answer answers[] = {
        {.outcome = "-TRYAGAIN\r\n"}, {.outcome = "-TRYAGAIN\r\n"}, {.outcome = NULL}};
    (void)state;
    log_lines_begin();
    struct raft_log_identity identity = join("@", answers, 3);
    assert_int_equal(identity.node, 7);
    assert_int_equal(member.calls, 3);
    assert_int_equal(log_lines_with("-TRYAGAIN; asking again"), 1);
    log_lines_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_taken_in_knows_its_name),
        cmocka_unit_test(each_member_is_asked_until_one_says_yes),
        cmocka_unit_test(all_of_them_are_asked_again),
    };
    return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
