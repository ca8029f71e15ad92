/* The nodes of a cluster as the command-line tools see them: addresses as the user types them, a
 * connection with a password and time limits, and what a node says about itself in RAFT.STATUS.
 *
 * Blocking, for the tools' main threads only; the load threads of the benchmark have their own
 * connections (bench/service_redis.c). */
#ifndef UTILS_NODES_H
#define UTILS_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

enum { NODES_MAX = 64, NODE_HOST_SIZE = 256, NODE_ERROR_SIZE = 256 };

struct node_address {
    char host[NODE_HOST_SIZE]; /* a name or a numeric address, without brackets */
    int port;
};

/* One "host:port" or "[v6]:port"; false with a reason in `error` (NODE_ERROR_SIZE bytes). */
bool node_address_parse(struct node_address *address, const char *text, char *error);
/* "host:port,host:port,...", 1..NODES_MAX of them. */
bool node_addresses_parse(struct node_address *addresses, uint32_t *count, const char *text,
                          char *error);

/* Connects within `connect_ms` and authenticates unless `password` is NULL; every later command
 * on the connection is given up after `reply_ms`.  NULL with a reason in `error`: nothing but AUTH
 * was sent.  Freed by the caller with redisFree(). */
redisContext *node_connect(const struct node_address *address, const char *password, int connect_ms,
                           int reply_ms, char *error);

/* What to add to an error of a node, "" or a hint at what to do. */
const char *node_advice(const char *error);

/* What RAFT.STATUS says; -1 where it says nothing. */
struct node_status {
    int64_t node;
    char role[24]; /* "leader", "follower", "candidate", ... */
    int64_t term;
    int64_t leader; /* -1: it knows none */
    int64_t commit;
    int64_t applied;
    redisReply *reply; /* owned: the whole answer, for what the fields above leave out */
};

bool node_status_read(redisContext *connection, struct node_status *status, char *error);
void node_status_deinit(struct node_status *status);

/* The value of `name` in a flat array of names and values; NULL if it is not there. */
const redisReply *node_field(const redisReply *map, const char *name);
/* Integers come as :n or as text; `otherwise` when the reply is NULL or neither. */
int64_t node_integer(const redisReply *reply, int64_t otherwise);

#endif
