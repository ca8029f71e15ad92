/* See listener.h.  When the process has no file descriptor left, whoever comes is still told so:
 * one descriptor is kept for that, given up for the moment of the refusal.  If even that fails,
 * accepting stops for a while: the socket would be reported readable again and again, and the loop
 * would spin. */
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"

enum { LISTENER_SOCKETS_MAX = 2 * CONFIG_BIND_MAX, LISTENER_PAUSE_MS = 100 };

struct listener {
    struct listener_options options;
    struct {
        int fd;
        struct event *event;
    } sockets[LISTENER_SOCKETS_MAX];
    uint32_t count;
    struct event *pause; /* ends a pause */
    int spare;           /* a descriptor for refusals; -1: given up */
    bool complained;     /* about the present lack of descriptors */
};

/* ---- facts about sockets ---------------------------------------------------------- */

static void set_option(int fd, int level, int option, int value)
{
    /* Best effort: the connection works without it, and EINVAL means that it is gone already. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

void socket_keepalive(int fd, int64_t seconds)
{
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
    if (seconds <= 0)
        return;
    int interval = (int)(seconds / 3 > 0 ? seconds / 3 : 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)seconds);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

static void name_of(const struct sockaddr_storage *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%u", host, ntohs(in->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        snprintf(text, size, "?:0");
    }
}

void socket_peer_name(int fd, char *text, size_t size)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &length) != 0)
        address.ss_family = AF_UNSPEC;
    name_of(&address, text, size);
}

void socket_local_name(int fd, char *text, size_t size)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        address.ss_family = AF_UNSPEC;
    name_of(&address, text, size);
}

bool socket_is_loopback(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &length) != 0)
        return false;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    if (address.ss_family != AF_INET6)
        return false;
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)&address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

/* ---- accepting ---------------------------------------------------------------------- */

static void pause_accepting(struct listener *listener)
{
    if (!listener->complained)
        log_warning("cannot accept %s connections: %s", listener->options.name, strerror(errno));
    listener->complained = true;
    for (uint32_t i = 0; i < listener->count; i++)
        event_del(listener->sockets[i].event);
    struct timeval pause = {.tv_usec = LISTENER_PAUSE_MS * 1000};
    event_add(listener->pause, &pause);
}

static void on_pause_over(evutil_socket_t fd, short what, void *context)
{
    struct listener *listener = context;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < listener->count; i++)
        event_add(listener->sockets[i].event, NULL);
}

static void take_spare(struct listener *listener)
{
    if (listener->spare < 0)
        listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* The next in the queue, in the place of the spare descriptor.  False: there is none for it. */
static bool refuse_one(struct listener *listener, int listening)
{
    int reason = errno;
    if (listener->spare >= 0)
        close(listener->spare);
    listener->spare = -1;
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (!listener->complained)
            log_warning("turning %s connections away: %s", listener->options.name,
                        strerror(reason));
        listener->complained = true;
        listener->options.refuse(listener->options.context, fd);
    }
    take_spare(listener);
    errno = reason;
    return fd >= 0;
}

static void on_acceptable(evutil_socket_t listening, short what, void *context)
{
    struct listener *listener = context;
    (void)what;
    for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->complained = false;
            set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
            listener->options.accept(listener->options.context, fd);
            continue;
        }
        if ((errno == EMFILE || errno == ENFILE) && refuse_one(listener, listening))
            continue;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(listener);
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

/* ---- binding ------------------------------------------------------------------------- */

struct listener *listener_new(const struct listener_options *options)
{
    struct listener *listener = memory_new(sizeof *listener);
    listener->options = *options;
    listener->spare = -1;
    take_spare(listener);
    listener->pause = event_new(loop_base(options->loop), -1, 0, on_pause_over, listener);
    if (!listener->pause)
        fatal("cannot create a timer");
    return listener;
}

static void unbind(struct listener *listener)
{
    for (uint32_t i = 0; i < listener->count; i++) {
        event_free(listener->sockets[i].event);
        close(listener->sockets[i].fd);
    }
    listener->count = 0;
}

void listener_free(struct listener *listener)
{
    if (!listener)
        return;
    unbind(listener);
    event_free(listener->pause);
    if (listener->spare >= 0)
        close(listener->spare);
    memory_free(listener);
}

/* A listening socket on one address, or -1 with errno. */
static int listen_on(const struct addrinfo *address, int backlog)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address->ai_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1); /* "*" binds IPv4 separately */
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, backlog) == 0)
        return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

static bool add_socket(struct listener *listener, int fd)
{
    if (listener->count == LISTENER_SOCKETS_MAX) {
        close(fd);
        return false;
    }
    struct event *event = event_new(loop_base(listener->options.loop), fd, EV_READ | EV_PERSIST,
                                    on_acceptable, listener);
    if (!event)
        fatal("cannot watch a socket");
    listener->sockets[listener->count].fd = fd;
    listener->sockets[listener->count++].event = event;
    return true;
}

/* An interface that is not up, a name server that does not answer: at the start of a machine. */
static enum listener_bound bind_one(struct listener *listener, const struct config_bind *bind,
                                    const char *port, int backlog, char *error, size_t error_size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    const char *host = bind->host;
    if (strcmp(host, "*") == 0 || strcmp(host, "::*") == 0) {
        hints.ai_family = host[0] == '*' ? AF_INET : AF_INET6;
        host = NULL;
    }
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure != 0) {
        snprintf(error, error_size, "cannot resolve %s: %s", bind->host, gai_strerror(failure));
        return bind->optional ? LISTENER_BOUND : LISTENER_NOT_YET;
    }
    int fd = listen_on(found, backlog);
    freeaddrinfo(found);
    if (fd < 0) {
        bool missing = errno == EADDRNOTAVAIL;
        bool optional = bind->optional && (missing || errno == EAFNOSUPPORT);
        snprintf(error, error_size, "cannot listen on %s:%s: %s", bind->host, port,
                 strerror(errno));
        return optional ? LISTENER_BOUND : missing ? LISTENER_NOT_YET : LISTENER_REFUSED;
    }
    if (!add_socket(listener, fd)) {
        snprintf(error, error_size, "too many addresses to listen on");
        return LISTENER_REFUSED;
    }
    return LISTENER_BOUND;
}

enum listener_bound listener_bind(struct listener *listener, const struct config_bind_list *bind,
                                  int64_t port, int64_t backlog, char *error, size_t error_size)
{
    char service[8];
    enum listener_bound bound = LISTENER_BOUND;
    snprintf(service, sizeof service, "%u", (unsigned)port % 65536);
    unbind(listener);
    for (uint32_t i = 0; i < bind->count && bound == LISTENER_BOUND; i++)
        bound = bind_one(listener, &bind->list[i], service, (int)backlog, error, error_size);
    if (bound == LISTENER_BOUND && listener->count == 0) {
        snprintf(error, error_size, "no address to listen on for %s connections",
                 listener->options.name);
        bound = LISTENER_REFUSED;
    }
    if (bound != LISTENER_BOUND)
        unbind(listener);
    return bound;
}

void listener_start(struct listener *listener)
{
    for (uint32_t i = 0; i < listener->count; i++)
        event_add(listener->sockets[i].event, NULL);
}
