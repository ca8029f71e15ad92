/* A kind of store that can be measured: how to find its leader, and one connection ("link") that
 * carries PUTs and GETs.  A row of services[] is all that is needed for another store.
 *
 * A link belongs to the event base, and so to the thread, that it was opened with.  Its callbacks
 * are called from that base's loop only, never from within put() or get(). */
#ifndef BENCH_SERVICE_H
#define BENCH_SERVICE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "nodes.h"

struct link;

enum link_result {
    LINK_OK,    /* the PUT was acknowledged; the GET found a value */
    LINK_MISS,  /* the GET found none */
    LINK_ERROR, /* the store answered with an error: `text` */
    LINK_LOST   /* no answer: the connection broke or timed out; on_closed follows */
};

struct link_events {
    /* Answers come in the order of the requests.  `request` is what put() or get() was given. */
    void (*on_reply)(void *context, void *request, enum link_result result, const char *text);
    /* The link is gone, with the reason in `text`, and must not be used or closed any more. */
    void (*on_closed)(void *context, const char *text);
};

/* What one node says of itself before the load begins. */
struct node_facts {
    bool is_reachable;
    bool is_leader;
    bool is_local; /* it runs on this machine */
    pid_t pid;     /* 0: not known */
    char error[NODE_ERROR_SIZE];
};

struct service {
    const char *name;
    bool is_pipelined; /* a link takes more than one request at a time */
    void (*probe)(const struct node_address *node, const char *password, struct node_facts *facts);
    /* Never NULL: a failure to connect arrives as on_closed.  `password` may be NULL. */
    struct link *(*open)(struct event_base *base, const struct node_address *node,
                         const char *password, const struct link_events *events, void *context);
    void (*put)(struct link *link, struct bytes key, struct bytes value, void *request);
    void (*get)(struct link *link, struct bytes key, void *request);
    void (*close)(struct link *link); /* no callback comes after it */
};

extern const struct service service_redis_raft, service_redis, service_bits, service_etcd;

#endif
