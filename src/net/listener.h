/* Listening sockets: one port on several addresses, or all of one kind. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "config.h"
#include "net/loop.h"

/* A new connection: non-blocking, close-on-exec, TCP_NODELAY.  The callback owns `fd`. */
typedef void listener_accept(void *context, int fd);

struct listener_options {
    struct loop *loop;
    const char *name; /* for the log: "client", "peer" */
    listener_accept *accept;
    listener_accept *refuse; /* the process has no descriptor to spare: close it, soon */
    void *context;
};

enum listener_bound {
    LISTENER_BOUND,
    LISTENER_NOT_YET, /* no such address here, or the name is not known: that may pass by itself */
    LISTENER_REFUSED
};

struct listener;

struct listener *listener_new(const struct listener_options *options);
void listener_free(struct listener *listener); /* NULL allowed; closes the sockets */
/* Bind and listen on each address of the list; connections wait in the backlog until
 * listener_start().  If not BOUND, `error` says which address and why, nothing is bound, and it may
 * be tried again.  Names are looked up here, which may take seconds: not while the loop runs. */
enum listener_bound listener_bind(struct listener *listener, const struct config_bind_list *bind,
                                  int64_t port, int64_t backlog, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void listener_start(struct listener *listener);

/* Keep-alive probes after `seconds` of silence, so that the other end's death is noticed after
 * about twice as long; 0: none. */
void socket_keepalive(int fd, int64_t seconds);
/* ip:port of the other or of our own end; "?:0" if the socket does not know. */
void socket_peer_name(int fd, char *text, size_t size);
void socket_local_name(int fd, char *text, size_t size);
bool socket_is_loopback(int fd); /* the other end is this machine */

#endif
