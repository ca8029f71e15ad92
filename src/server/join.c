/* See join.h; net/peer_join.c is the other side. */
#include "server/join.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "command/command.h"
#include "net/address.h"
#include "net/handshake.h"
#include "net/wire.h"

enum { STEP_S = 10, AGAIN_MS = 1000, ERROR_SIZE = HANDSHAKE_LINE_MAX + 1 };

struct asking {
    const struct config *config;
    struct handshake handshake;
    int fd;
    struct buffer in;                  /* what came behind that */
    char line[HANDSHAKE_LINE_MAX + 1]; /* what was said last, without its end */
    char error[ERROR_SIZE];
    struct raft_log_identity identity; /* what was told */
};

static bool fail(struct asking *asking, const char *why)
{
    snprintf(asking->error, sizeof asking->error, "%s", why);
    return false;
}

/* ---- a connection -------------------------------------------------------------------------- */

static bool connect_to(struct asking *asking, const char *address)
{
    char host[CONFIG_HOST_SIZE], service[8];
    int port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    struct timeval limit = {.tv_sec = STEP_S};
    if (!socket_address_split(address, host, sizeof host, &port))
        return fail(asking, "it is not host:port");
    snprintf(service, sizeof service, "%d", port);
    int problem = getaddrinfo(host, service, &hints, &found);
    if (problem != 0)
        return fail(asking, gai_strerror(problem));
    asking->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_there = asking->fd >= 0 &&
                    setsockopt(asking->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
                    setsockopt(asking->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
                    connect(asking->fd, found->ai_addr, found->ai_addrlen) == 0;
    int failure = errno;
    freeaddrinfo(found);
    return is_there || fail(asking, strerror(failure));
}

static bool say(struct asking *asking, struct buffer *text)
{
    ssize_t sent = send(asking->fd, text->data, text->size, MSG_NOSIGNAL);
    bool is_said = sent == (ssize_t)text->size;
    buffer_deinit(text);
    return is_said || fail(asking, "it does not listen");
}

/* False: none is there yet. */
static bool take_line(struct asking *asking)
{
    struct buffer *in = &asking->in;
    const char *end = in->size ? memchr(in->data, '\n', in->size) : NULL;
    if (!end || end - in->data > HANDSHAKE_LINE_MAX)
        return false;
    size_t size = (size_t)(end - in->data);
    size_t text = size > 0 && end[-1] == '\r' ? size - 1 : size;
    memcpy(asking->line, in->data, text);
    asking->line[text] = '\0';
    buffer_consume(in, size + 1);
    return true;
}

static bool hear(struct asking *asking)
{
    char bytes[HANDSHAKE_LINE_MAX];
    while (!take_line(asking)) {
        ssize_t taken = recv(asking->fd, bytes, sizeof bytes, 0);
        if (taken <= 0)
            return fail(asking, taken < 0 ? "no answer in time" : "closed by the other side");
        if (asking->in.size > HANDSHAKE_LINE_MAX)
            return fail(asking, "it answers at too great a length");
        buffer_append(&asking->in, bytes, (size_t)taken);
    }
    return asking->line[0] != '-' || fail(asking, asking->line);
}

/* ---- what is said -------------------------------------------------------------------------- */

static bool greet(struct asking *asking)
{
    struct handshake *handshake = &asking->handshake;
    struct buffer text = {0};
    handshake_nonce(handshake->dialer_nonce);
    handshake_write_hello(&text, handshake);
    if (!say(asking, &text) || !hear(asking))
        return false;
    const char *error = handshake_read_welcome(handshake, bytes_from_string(asking->line));
    if (error)
        return fail(asking, error);
    handshake_write_proof(&text, handshake, asking->config->peer_secret);
    if (!say(asking, &text) || !hear(asking))
        return false;
    error = handshake_read_answer(handshake, bytes_from_string(asking->line),
                                  asking->config->peer_secret);
    return !error || fail(asking, error);
}

static bool hear_outcome(struct asking *asking)
{
    char rest;
    if (!hear(asking))
        return false;
    return sscanf(asking->line, "+JOINED %" SCNx64 " %" SCNu64 "%c", &asking->identity.cluster,
                  &asking->identity.node, &rest) == 2 ||
           fail(asking, "it says something else than +JOINED");
}

static bool ask(struct asking *asking, const char *address)
{
    asking->fd = -1;
    bool is_taken_in = connect_to(asking, address) && greet(asking) && hear_outcome(asking);
    if (asking->fd >= 0)
        close(asking->fd);
    buffer_deinit(&asking->in);
    return is_taken_in;
}

static struct handshake hello_of(const struct config *config, const struct raft_log_life *life)
{
    struct handshake hello = {.version = WIRE_VERSION,
                              .dialer = RAFT_NOBODY,
                              .acceptor = RAFT_NOBODY,
                              .channel = CHANNEL_JOIN,
                              .meaning = command_meaning_newest,
                              .dialer_node = {.life = life->life, .starts = life->starts}};
    snprintf(hello.client_address, sizeof hello.client_address, "%s", config->announce_client);
    snprintf(hello.peer_address, sizeof hello.peer_address, "%s", config->peer_announced);
    return hello;
}

/* Each in turn; each new reason is logged once. */
static bool ask_all(struct asking *asking, char said[ERROR_SIZE])
{
    char *list = memory_string(asking->config->join), *rest = list, *address;
    bool is_taken_in = false;
    while (!is_taken_in && (address = strsep(&rest, ","))) {
        is_taken_in = ask(asking, address);
        if (!is_taken_in && strcmp(asking->error, said) != 0)
            log_warning("%s does not take this node in: %s; asking again", address, asking->error);
        snprintf(said, ERROR_SIZE, "%s", asking->error);
    }
    memory_free(list);
    return is_taken_in;
}

struct raft_log_identity server_join(const struct config *config, const struct raft_log_life *life)
{
    char said[ERROR_SIZE] = "";
    struct asking asking = {.config = config, .handshake = hello_of(config, life)};
    const struct handshake hello = asking.handshake;
    log_notice("asking %s to take this node (%s) in", config->join, config->peer_announced);
    while (!ask_all(&asking, said)) {
        poll(NULL, 0, AGAIN_MS);
        asking.handshake = hello;
    }
    log_notice("taken in as node %" PRIu64 " of cluster %016" PRIx64, asking.identity.node,
               asking.identity.cluster);
    return asking.identity;
}
