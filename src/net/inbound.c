/* One incoming connection on the peer port: a handshake, then messages.
 *
 * Before the handshake is complete it is a stranger: short limits on what it may send and for how
 * long, and a bound on how many there may be.  A newcomer always gets in: if there are too many the
 * oldest stranger goes, so that a member, who needs milliseconds, finds a place however many there
 * are who only hold theirs.  Whatever is wrong closes this connection, with a line in the log that
 * says why, and touches nothing else. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "base/fatal.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/listener.h"
#include "net/peer_internal.h"

enum {
    STRANGER_BYTES = 2048,   /* largest command before the handshake is complete */
    STRANGER_LINES_MAX = 20, /* in the log, in a second */
    REFUSED_AGAIN_MS = 60000,
    KEEPALIVE_S = 5,
    READ_MIN = 64 * 1024,
    READ_MAX = 256 * 1024, /* of one turn: see client.c */
    IN_KEEP = 1024 * 1024  /* capacity kept while empty */
};

void inbound_free(struct inbound *inbound)
{
    struct peers *peers = inbound->peers;
    inbound_join_forget(inbound);
    DL_DELETE(peers->inbounds, inbound);
    stream_close(&inbound->stream);
    resp_parser_free(inbound->parser);
    buffer_deinit(&inbound->in);
    wire_input_deinit(&inbound->input);
    memory_free(inbound);
}

/* A stranger must not fill the disk by what is logged about him. */
static bool may_complain(struct peers *peers)
{
    int64_t now_ms = loop_now_ms(peers->options.loop);
    if (now_ms - peers->complaints_ms >= 1000) {
        if (peers->complaints > STRANGER_LINES_MAX)
            log_warning("%u more connections to the peer port were closed before they had proved "
                        "anything",
                        peers->complaints - STRANGER_LINES_MAX);
        peers->complaints = 0;
        peers->complaints_ms = now_ms;
    }
    return ++peers->complaints <= STRANGER_LINES_MAX;
}

/* The inbound is gone afterwards. */
static void hang_up(struct inbound *inbound)
{
    struct peer *peer = inbound->peer;
    enum channel channel = inbound->handshake.channel;
    bool current = peer && peer->inbounds[channel] == inbound;
    if (current)
        peer->inbounds[channel] = NULL;
    inbound_free(inbound);
    if (current)
        peer_inbound_lost(peer, channel);
}

static void close_for(struct inbound *inbound, enum log_level level, const char *why)
{
    if (inbound->peer)
        log_at(level, "closing the %s connection of node %llu (%s): %s",
               wire_channel_name(inbound->handshake.channel),
               (unsigned long long)inbound->peer->member->id, inbound->address, why);
    else if (may_complain(inbound->peers))
        log_at(level, "closing a connection to the peer port (%s): %s", inbound->address, why);
    hang_up(inbound);
}

void inbound_close(struct inbound *inbound, const char *why)
{
    close_for(inbound, LOG_LEVEL_VERBOSE, why);
}

/* ---- places for strangers ------------------------------------------------------------------ */

/* Whom a connection comes from, as far as places are shared out: an IPv4 address, or the first half
 * of an IPv6 address, since the second half is free to choose in most networks. */
static uint64_t origin_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    uint64_t origin = 0;
    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
    if (address.ss_family == AF_INET)
        origin = in->sin_addr.s_addr;
    else if (address.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        memcpy(&origin, in6->sin6_addr.s6_addr + 12, 4);
    else if (address.ss_family == AF_INET6)
        memcpy(&origin, in6->sin6_addr.s6_addr, sizeof origin);
    return origin;
}

/* For one more stranger, greeted or silent, from `origin`.  If that one has its share, its own
 * oldest goes: one address cannot push out the others'.  To be silent costs a stranger nothing; so
 * those who said a proper hello have places of their own. */
static void make_place(struct peers *peers, bool greeted, uint64_t origin)
{
    struct inbound *other, *oldest = NULL, *oldest_there = NULL;
    uint32_t all = 0, there = 0;
    DL_FOREACH(peers->inbounds, other) /* in the order in which they came */
    {
        if (other->peer || other->greeted != greeted)
            continue;
        oldest = oldest ? oldest : other;
        all++;
        if (other->origin != origin)
            continue;
        oldest_there = oldest_there ? oldest_there : other;
        there++;
    }
    if (there >= (greeted ? GREETED_SHARE_MAX : SILENT_SHARE_MAX))
        oldest = oldest_there;
    else if (all < (greeted ? GREETED_MAX : SILENT_MAX))
        return;
    close_for(oldest, LOG_LEVEL_NOTICE, "too many have not proved anything yet, it is the oldest");
}

/* ---- the handshake ------------------------------------------------------------------------ */

/* A fresh connection has room for a line; if not, it is not one of ours. */
static bool say(struct inbound *inbound, struct buffer *text)
{
    size_t taken;
    bool said = stream_write(&inbound->stream, text->data, text->size, &taken) == STREAM_SOME;
    inbound->peers->traffic.output += taken;
    buffer_deinit(text);
    return said;
}

void inbound_say(struct inbound *inbound, struct buffer *text)
{
    (void)say(inbound, text);
    close_for(inbound, LOG_LEVEL_VERBOSE, "it was told what has come of its request");
}

/* A node that is refused tries again every second. */
static bool was_said(struct peers *peers, const char *why)
{
    int64_t now_ms = loop_now_ms(peers->options.loop);
    if (strcmp(peers->refused, why) == 0 && now_ms - peers->refused_ms < REFUSED_AGAIN_MS)
        return true;
    snprintf(peers->refused, sizeof peers->refused, "%s", why);
    peers->refused_ms = now_ms;
    return false;
}

/* The log says why; the other side is told so, or less. */
static void refuse_and_tell(struct inbound *inbound, enum log_level level, const char *why,
                            const char *told)
{
    struct buffer text = {0};
    buffer_printf(&text, "-ERR %s\r\n", told);
    (void)say(inbound, &text);
    close_for(inbound, level, why);
}

static void refuse(struct inbound *inbound, const char *why)
{
    refuse_and_tell(inbound, LOG_LEVEL_WARNING, why, why);
}

/* NULL, or why this hello is not for us.  `told`: what of that one may know who has not proved
 * himself, enough to look at his configuration: he might only want to know what cluster this is. */
static const char *check_hello(struct inbound *inbound, char *text, size_t size, const char **told)
{
    const struct peers *peers = inbound->peers;
    const struct handshake *hello = &inbound->handshake;
    raft_node_id me = (raft_node_id)peers->options.config->me;
    if (hello->channel == CHANNEL_JOIN)
        return hello->dialer_node.life == 0 || hello->peer_address[0] == '\0'
                   ? "RR.HELLO of a node that joins, without a life or an address"
                   : NULL;
    *told = "this is another cluster (" SAID_WHY_ANOTHER ")";
    if (hello->cluster != peers->options.cluster) {
        snprintf(text, size,
                 "node %llu belongs to cluster %016llx, this is cluster %016llx "
                 "(" SAID_WHY_ANOTHER ")",
                 (unsigned long long)hello->dialer, (unsigned long long)hello->cluster,
                 (unsigned long long)peers->options.cluster);
        return text;
    }
    if (peers_are_of_another(peers, &hello->dialer_node)) {
        snprintf(text, size,
                 "node %llu belongs to a cluster named %016llx, this one is named "
                 "%016llx: " SAID_OTHER_NAME,
                 (unsigned long long)hello->dialer, (unsigned long long)hello->dialer_node.name,
                 (unsigned long long)peers->options.name);
        return text;
    }
    /* Who is none of us hears it, whomever he looks for: all he knows may have other names now. */
    const char *error = peers_judge(peers, hello->dialer, &hello->dialer_node, text, size);
    bool is_disowned = error == text;
    *told = "this is another node";
    if (hello->acceptor != me && !is_disowned) {
        snprintf(text, size, "this is node %llu, not node %llu", (unsigned long long)me,
                 (unsigned long long)hello->acceptor);
        return text;
    }
    *told = "the other side is " SAID_NO_MEMBER " under that number";
    if (hello->dialer == me)
        return "the other side calls itself what this node is called";
    if (error && !is_disowned)
        *told = error;
    return error;
}

static bool on_hello(struct inbound *inbound, const struct bytes *argv, uint32_t argc)
{
    char text[256];
    bool is_secret = inbound->peers->options.config->peer_secret[0] != '\0';
    const char *told = NULL;
    const char *error = handshake_read_hello(&inbound->handshake, argv, argc);
    if (!error)
        error = check_hello(inbound, text, sizeof text, &told);
    if (error) {
        bool again = told && was_said(inbound->peers, error);
        refuse_and_tell(inbound, again ? LOG_LEVEL_VERBOSE : LOG_LEVEL_WARNING, error,
                        told && is_secret ? told : error);
        return false;
    }
    make_place(inbound->peers, true, inbound->origin);
    inbound->greeted = true;
    struct buffer welcome = {0};
    handshake_nonce(inbound->handshake.acceptor_nonce);
    inbound->handshake.acceptor_node = peers_own_node(inbound->peers);
    handshake_write_welcome(&welcome, &inbound->handshake);
    if (say(inbound, &welcome))
        return true;
    close_for(inbound, LOG_LEVEL_VERBOSE, "it does not listen");
    return false;
}

static bool on_proof(struct inbound *inbound, const struct bytes *argv, uint32_t argc)
{
    struct peers *peers = inbound->peers;
    enum channel channel = inbound->handshake.channel;
    const char *secret = peers->options.config->peer_secret;
    bool joins = channel == CHANNEL_JOIN;
    struct peer *peer = NULL;
    const char *error = handshake_read_proof(&inbound->handshake, argv, argc, secret);
    if (!error && !joins)
        peer = peers_take_in(peers, &inbound->handshake, &error);
    if (error) {
        refuse(inbound, error);
        return false;
    }
    struct buffer text = {0};
    handshake_write_answer(&text, &inbound->handshake, secret);
    if (!say(inbound, &text)) {
        close_for(inbound, LOG_LEVEL_VERBOSE, "it does not listen");
        return false;
    }
    if (joins) {
        inbound_join(inbound);
        return true;
    }
    check(inbound->greeted);
    if (peer->inbounds[channel])
        close_for(peer->inbounds[channel], LOG_LEVEL_VERBOSE, "replaced by a newer one");
    check(!peer->inbounds[channel]);
    inbound->peer = peer;
    peer->inbounds[channel] = inbound;
    memcpy(peer->client_address, inbound->handshake.client_address, sizeof peer->client_address);
    peer_introduce(peer, &inbound->handshake);
    struct resp_limits limits = wire_limits();
    resp_parser_set_limits(inbound->parser, &limits);
    return true;
}

/* ---- messages ------------------------------------------------------------------------------ */

static bool belongs(enum wire_kind kind, enum channel channel)
{
    if (kind == WIRE_PIECE)
        return channel != CHANNEL_CONTROL;
    bool is_command = kind != WIRE_MESSAGE && kind != WIRE_SNAPSHOT;
    return is_command == (channel == CHANNEL_COMMANDS);
}

/* False: it is closed. */
static bool on_message(struct inbound *inbound, const struct bytes *argv, uint32_t argc)
{
    struct peers *peers = inbound->peers;
    struct wire_input *input = &inbound->input;
    raft_node_id node = inbound->peer->member->id;
    const char *error = NULL;
    check(inbound->peer->inbounds[inbound->handshake.channel] == inbound);
    enum wire_kind kind =
        wire_decode(input, argv, argc, node, (raft_node_id)peers->options.config->me);
    if (kind == WIRE_INVALID)
        error = input->error;
    else if (!belongs(kind, inbound->handshake.channel))
        error = "a message on the wrong channel";
    else if (kind == WIRE_MESSAGE)
        replica_receive(peers->replica, &input->message, inbound->handshake.dialer_node.life,
                        input->clock_ms);
    else if (kind == WIRE_FORWARD)
        replica_receive_forward(peers->replica, node, inbound->handshake.dialer_node.life,
                                &input->forward);
    else if (kind == WIRE_CANCEL)
        replica_receive_cancel(peers->replica, node, &input->cancel);
    else if (kind == WIRE_SNAPSHOT)
        replica_receive_snapshot(peers->replica, &input->snapshot);
    else if (kind == WIRE_FORWARD_REPLY)
        replica_receive_forward_reply(peers->replica, node, &input->forward_reply);
    wire_release(input);
    if (error)
        close_for(inbound, LOG_LEVEL_WARNING, error);
    return error == NULL;
}

static bool on_command(struct inbound *inbound, const struct bytes *argv, uint32_t argc)
{
    if (inbound->peer)
        return on_message(inbound, argv, argc);
    if (inbound->joining) {
        refuse(inbound, "a node that joins has no more to say");
        return false;
    }
    return inbound->greeted ? on_proof(inbound, argv, argc) : on_hello(inbound, argv, argc);
}

/* Everything complete in the buffer.  False: the connection is closed. */
static bool read_commands(struct inbound *inbound)
{
    while (inbound->in.size > inbound->parsed) {
        size_t consumed;
        uint32_t argc;
        switch (resp_parse(inbound->parser, inbound->in.data + inbound->parsed,
                           inbound->in.size - inbound->parsed, &consumed)) {
        case RESP_INCOMPLETE: return true;
        case RESP_INVALID:
            if (inbound->peer)
                close_for(inbound, LOG_LEVEL_WARNING, resp_error(inbound->parser));
            else
                refuse(inbound, "this is a redis-raft peer port, clients connect to another");
            return false;
        case RESP_COMMAND: break;
        }
        const struct bytes *argv = resp_argv(inbound->parser, &argc);
        if (!on_command(inbound, argv, argc))
            return false;
        inbound->parsed += consumed;
    }
    inbound->parsed = 0;
    if (inbound->in.capacity > IN_KEEP)
        buffer_deinit(&inbound->in);
    else
        buffer_clear(&inbound->in);
    return true;
}

/* As in client.c. */
static size_t make_room(struct inbound *inbound)
{
    buffer_consume(&inbound->in, inbound->parsed);
    inbound->parsed = 0;
    size_t have = inbound->in.size;
    size_t wanted = resp_wanted(inbound->parser);
    size_t room = wanted > have ? wanted - have : 0;
    size_t least = inbound->peer ? READ_MIN : STRANGER_BYTES;
    buffer_reserve(&inbound->in, room > least ? room : least);
    room = inbound->in.capacity - have;
    return room < READ_MAX ? room : READ_MAX;
}

static void on_readable(void *context)
{
    struct inbound *inbound = context;
    size_t room = make_room(inbound), taken;
    struct buffer *in = &inbound->in;
    enum stream_result result = stream_read(&inbound->stream, in->data + in->size, room, &taken);
    inbound->peers->traffic.input += taken;
    if (result == STREAM_ENDED) {
        close_for(inbound, LOG_LEVEL_VERBOSE, "closed by the other side");
    } else if (result == STREAM_FAILED) {
        close_for(inbound, LOG_LEVEL_VERBOSE, strerror(errno));
    } else if (taken > 0) {
        in->size += taken;
        read_commands(inbound);
    }
}

/* Never full: what is said here is lines, and who has no room for one is closed. */
static const struct stream_hooks stream_hooks = {.readable = on_readable};

/* ---- life ------------------------------------------------------------------------------------ */

void inbound_accept(struct peers *peers, int fd)
{
    struct loop *loop = peers->options.loop;
    uint64_t origin = origin_of(fd);
    make_place(peers, false, origin);
    struct inbound *inbound = memory_new(sizeof *inbound);
    struct resp_limits limits = {.bulk_max = STRANGER_BYTES,
                                 .inline_max = 64,
                                 .argc_max = 16,
                                 .command_max = STRANGER_BYTES,
                                 .allow_inline = false};
    inbound->peers = peers;
    inbound->origin = origin;
    inbound->accepted_ms = loop_now_ms(loop);
    inbound->parser = resp_parser_new(&limits);
    socket_peer_name(fd, inbound->address, sizeof inbound->address);
    socket_keepalive(fd, KEEPALIVE_S);
    stream_open(&inbound->stream, loop, fd, &stream_hooks, inbound);
    stream_set_reading(&inbound->stream, true);
    DL_APPEND(peers->inbounds, inbound);
}

void inbound_tick(struct inbound *inbound, int64_t now_ms)
{
    if (!inbound->peer && !inbound->joining && now_ms - inbound->accepted_ms > PEER_HANDSHAKE_MS)
        close_for(inbound, LOG_LEVEL_NOTICE, "no handshake in time");
}
