/* One outgoing connection to a peer: dial, prove, then write what the outbox holds.
 *
 * Failures are met by dialing again, after 50 ms at first and then ever later up to a second: long
 * enough to cost nothing, short enough that a peer's return is noticed within an election timeout
 * or two.  Where a connection broke that had been up for a while, at once: if nobody listens there
 * any more, its process is gone.  Each new reason for a failure is logged once, not at every
 * attempt. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "base/prng.h"
#include "command/command.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/peer_internal.h"

enum {
    /* A connection on which nothing is sent would never notice that the other side has given it up
     * while the network was cut.  The other side then forwards nothing, because answers could not
     * come, so nothing would be sent, ever. */
    KEEPALIVE_S = 1,
    SETTLED_MS = 1000 /* a connection that was up so long is not one of a row of failures */
};

static const struct config *config_of(const struct link *link)
{
    return link->peer->peers->options.config;
}

static int64_t now_of(const struct link *link)
{
    return loop_now_ms(link->peer->peers->options.loop);
}

/* ---- failing ------------------------------------------------------------------------- */

static void complain(struct link *link, const char *why)
{
    if (strncmp(link->complaint, why, sizeof link->complaint - 1) == 0)
        return;
    snprintf(link->complaint, sizeof link->complaint, "%s", why);
    /* The three connections mostly fail together: one line is enough. */
    log_at(link->channel == CHANNEL_CONTROL ? LOG_LEVEL_NOTICE : LOG_LEVEL_VERBOSE,
           "node %llu (%s), %s connection: %s", (unsigned long long)link->peer->member->id,
           link->peer->member->address, wire_channel_name(link->channel), why);
}

static void retry_later(struct link *link)
{
    link->backoff_ms = link->backoff_ms ? link->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (link->backoff_ms > BACKOFF_MAX_MS)
        link->backoff_ms = BACKOFF_MAX_MS;
    uint64_t jitter = prng_below(&link->peer->peers->prng, link->backoff_ms / 4 + 1);
    link->retry_ms = now_of(link) + link->backoff_ms + (int64_t)jitter;
}

static void hang_up(struct link *link)
{
    if (link->resolving)
        evdns_getaddrinfo_cancel(link->resolving);
    link->resolving = NULL;
    link_forget_promises(link);
    if (stream_is_open(&link->stream))
        stream_close(&link->stream);
    link->state = LINK_DOWN;
    outbox_deinit(&link->out);
    buffer_deinit(&link->in);
}

void link_close(struct link *link, const char *why)
{
    bool was_up = link->state == LINK_UP;
    complain(link, why);
    hang_up(link);
    if (was_up && now_of(link) - link->up_ms >= SETTLED_MS)
        link->retry_ms = now_of(link);
    else
        retry_later(link);
    if (was_up)
        peer_link_lost(link);
}

/* ---- output ---------------------------------------------------------------------------- */

void link_flush(struct link *link)
{
    size_t taken;
    if (outbox_size(&link->out) == 0 || link->state != LINK_UP || link->stream.full)
        return;
    if (!link_hold(link)) {
        link_close(link, "it took half a message");
        return;
    }
    enum stream_result result = stream_send(&link->stream, &link->out, &taken);
    link_let_go(link);
    link->peer->peers->traffic.output += taken;
    if (result == STREAM_FAILED)
        link_close(link, strerror(errno));
    else if (result == STREAM_FULL)
        link->progress_ms = now_of(link);
}

/* ---- the handshake ------------------------------------------------------------------------ */

/* A fresh connection has room for a line; if not, it is not one of ours.  Not through the outbox:
 * what is in there is for one who has proved himself. */
static void say(struct link *link, struct buffer *text)
{
    size_t taken;
    bool said = stream_write(&link->stream, text->data, text->size, &taken) == STREAM_SOME;
    link->peer->peers->traffic.output += taken;
    buffer_deinit(text);
    if (!said)
        link_close(link, "it does not listen");
}

static void say_hello(struct link *link)
{
    const struct config *config = config_of(link);
    struct buffer text = {0};
    link->handshake = (struct handshake){
        .version = WIRE_VERSION,
        .cluster = link->peer->peers->options.cluster,
        .dialer = (raft_node_id)config->me,
        .acceptor = link->peer->member->id,
        .channel = link->channel,
        .meaning = command_meaning_newest,
    };
    link->handshake.dialer_node = peers_own_node(link->peer->peers);
    snprintf(link->handshake.client_address, sizeof link->handshake.client_address, "%s",
             config->announce_client);
    snprintf(link->handshake.peer_address, sizeof link->handshake.peer_address, "%s",
             config->peer_announced);
    handshake_nonce(link->handshake.dialer_nonce);
    handshake_write_hello(&text, &link->handshake);
    link->state = LINK_HELLO;
    say(link, &text);
}

static void go_up(struct link *link)
{
    check(link->state == LINK_PROVE);
    check(!link->stream.full);
    link->state = LINK_UP;
    link->up_ms = now_of(link);
    link->backoff_ms = 0;
    link->complaint[0] = '\0';
    log_at(link->channel == CHANNEL_CONTROL ? LOG_LEVEL_NOTICE : LOG_LEVEL_VERBOSE,
           "node %llu (%s): %s connection is up", (unsigned long long)link->peer->member->id,
           link->peer->member->address, wire_channel_name(link->channel));
}

static void on_refusal(struct link *link, struct bytes line)
{
    char why[sizeof link->complaint];
    snprintf(why, sizeof why, "refused: %.*s", line.size > 240 ? 240 : (int)line.size,
             (const char *)line.data);
    bool is_disowned = strstr(why, SAID_NO_MEMBER) || strstr(why, SAID_OTHER_LIFE);
    if (strstr(why, SAID_NO_MEMBER))
        snprintf(why, sizeof why,
                 "refused: %.*s; if this node was removed, or replaced, stop it: " SAID_WAY_BACK,
                 line.size > 110 ? 110 : (int)line.size, (const char *)line.data);
    link_close(link, why);
    if (is_disowned)
        replica_disowned(link->peer->peers->replica);
}

static void on_welcome(struct link *link, struct bytes line)
{
    struct buffer text = {0};
    char why[256];
    const char *error = handshake_read_welcome(&link->handshake, line);
    if (!error)
        error = peers_judge(link->peer->peers, link->peer->member->id,
                            &link->handshake.acceptor_node, why, sizeof why);
    if (error) {
        link_close(link, error);
        return;
    }
    handshake_write_proof(&text, &link->handshake, config_of(link)->peer_secret);
    link->state = LINK_PROVE;
    say(link, &text);
}

static void on_answer(struct link *link, struct bytes line)
{
    const char *error = handshake_read_answer(&link->handshake, line, config_of(link)->peer_secret);
    if (!error)
        error = peers_remember(link->peer->peers, link->peer->member->id,
                               &link->handshake.acceptor_node);
    if (error)
        link_close(link, error);
    else
        go_up(link);
}

static void on_line(struct link *link, struct bytes line)
{
    if (line.size && *(const char *)line.data == '-')
        on_refusal(link, line);
    else if (link->state == LINK_HELLO)
        on_welcome(link, line);
    else if (link->state == LINK_PROVE)
        on_answer(link, line);
    else
        link_close(link, "it speaks out of turn");
}

/* Each complete line, as long as the link lives. */
static void read_lines(struct link *link)
{
    while (link->in.size) {
        char *end = memchr(link->in.data, '\n', link->in.size);
        if (!end) {
            if (link->in.size > HANDSHAKE_LINE_MAX)
                link_close(link, "it answers at too great a length");
            return;
        }
        size_t size = (size_t)(end - link->in.data);
        size_t text = size > 0 && end[-1] == '\r' ? size - 1 : size;
        on_line(link, bytes_of(link->in.data, text));
        if (link->state == LINK_DOWN)
            return;
        buffer_consume(&link->in, size + 1);
    }
    buffer_deinit(&link->in);
}

static void on_readable(void *context)
{
    struct link *link = context;
    char bytes[HANDSHAKE_LINE_MAX];
    size_t taken;
    enum stream_result result = stream_read(&link->stream, bytes, sizeof bytes, &taken);
    link->peer->peers->traffic.input += taken;
    if (result == STREAM_ENDED) {
        link_close(link, "closed by the other side");
    } else if (result == STREAM_FAILED) {
        link_close(link, strerror(errno));
    } else if (taken > 0) {
        buffer_append(&link->in, bytes, taken);
        read_lines(link);
    }
}

static void not_connected(struct link *link, int failure)
{
    link_close(link, strerror(failure));
    if (failure == ECONNREFUSED)
        peer_refuses(link->peer);
}

static void on_connected(struct link *link)
{
    int failure = stream_connected(&link->stream);
    if (failure) {
        not_connected(link, failure);
        return;
    }
    stream_set_reading(&link->stream, true);
    say_hello(link);
}

static void on_writable(void *context)
{
    struct link *link = context;
    if (link->state == LINK_DIALING)
        on_connected(link);
    else
        link_flush(link);
}

static const struct stream_hooks stream_hooks = {.readable = on_readable, .writable = on_writable};

/* ---- dialing ------------------------------------------------------------------------------- */

static void connect_to(struct link *link, const struct sockaddr *address, socklen_t size)
{
    int on = 1;
    int stalled_ms = PEER_STALLED_MS;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        link_close(link, strerror(errno));
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stalled_ms, sizeof stalled_ms);
    socket_keepalive(fd, KEEPALIVE_S);
    stream_open(&link->stream, link->peer->peers->options.loop, fd, &stream_hooks, link);
    if (connect(fd, address, size) != 0 && errno != EINPROGRESS)
        not_connected(link, errno);
    else
        stream_connecting(&link->stream);
}

static void on_resolved(int result, struct evutil_addrinfo *found, void *context)
{
    struct link *link = context;
    link->peer->peers->lookups--;
    if (result == EVUTIL_EAI_CANCEL)
        return;
    link->resolving = NULL;
    if (result != 0 || !found)
        link_close(link, evutil_gai_strerror(result));
    else
        connect_to(link, found->ai_addr, found->ai_addrlen);
    if (found)
        evutil_freeaddrinfo(found);
}

/* Afresh when nobody looks up a name: the name servers and the hosts file, which libevent reads
 * once, may be others by now. */
static struct evdns_base *dns_of(struct peers *peers)
{
    if (peers->dns && peers->lookups == 0) {
        evdns_base_free(peers->dns, 0);
        peers->dns = NULL;
    }
    if (!peers->dns)
        peers->dns =
            evdns_base_new(loop_base(peers->options.loop),
                           EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    return peers->dns;
}

/* A name is looked up without blocking the loop; it may mean another machine each time. */
static void resolve(struct link *link)
{
    struct peers *peers = link->peer->peers;
    char host[CONFIG_HOST_SIZE], service[8];
    int port;
    if (!socket_address_split(link->peer->member->address, host, sizeof host, &port)) {
        link_close(link, "its address is not host:port");
        return;
    }
    if (!dns_of(peers)) {
        link_close(link, "no name server is configured");
        return;
    }
    snprintf(service, sizeof service, "%d", port);
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    peers->lookups++;
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(peers->dns, host, service, &hints, on_resolved, link);
    /* NULL: answered at once, in on_resolved(). */
    if (request)
        link->resolving = request;
}

static void dial(struct link *link)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    check(link->state == LINK_DOWN);
    check(!stream_is_open(&link->stream));
    check(outbox_size(&link->out) == 0); /* nothing of the connection before goes into this one */
    link->state = LINK_DIALING;
    link->dialed_ms = now_of(link);
    if (evutil_parse_sockaddr_port(link->peer->member->address, (struct sockaddr *)&address,
                                   &size) == 0)
        connect_to(link, (struct sockaddr *)&address, (socklen_t)size);
    else
        resolve(link);
}

/* ---- life ------------------------------------------------------------------------------------ */

void link_init(struct link *link, struct peer *peer, enum channel channel)
{
    *link = (struct link){.peer = peer, .channel = channel, .stream.fd = -1};
}

void link_deinit(struct link *link)
{
    hang_up(link);
}

void link_tick(struct link *link, int64_t now_ms)
{
    switch (link->state) {
    case LINK_DOWN:
        if (now_ms >= link->retry_ms)
            dial(link);
        break;
    case LINK_DIALING:
    case LINK_HELLO:
    case LINK_PROVE:
        if (now_ms - link->dialed_ms > PEER_HANDSHAKE_MS)
            link_close(link, "no answer in time");
        break;
    case LINK_UP:
        if (link->stream.full && now_ms - link->progress_ms > PEER_STALLED_MS)
            link_close(link, "it takes no more bytes");
        break;
    }
}
