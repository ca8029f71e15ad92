/* The name of the cluster (command/naming.h) on its way into the state and out of it: where it has
 * none, the leader draws one, once all members know of names.  Every node looks for it in its
 * state, keeps it where the next start finds it before anybody is let in, and tells who lets them
 * in.  Loop thread. */
#ifndef SERVER_NAMING_H
#define SERVER_NAMING_H

#include "data/db.h"
#include "replica/replica.h"

struct server_naming;

struct server_naming_options {
    struct db *db; /* borrowed, like kv and the replica */
    struct kv *kv;
    struct raft_log *log;
    struct replica *replica;
    uint64_t cluster; /* its id */
    int64_t request_timeout_ms;
    int64_t (*now_ms)(void *context);            /* the replica's time */
    uint64_t (*draw)(void *context);             /* random, never 0 */
    void (*named)(void *context, uint64_t name); /* once, when it is known */
    void *context;
};

/* May call `named`. */
struct server_naming *server_naming_new(const struct server_naming_options *options);
void server_naming_free(struct server_naming *naming);           /* before replica_free() */
void server_naming_tick(struct server_naming *naming);           /* now and then */
uint64_t server_naming_name(const struct server_naming *naming); /* 0: none yet */

#endif
