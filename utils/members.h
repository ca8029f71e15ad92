/* Members of a cluster as redis-raft-ctl shows them: the leader's list, and how far one that was
 * taken in has come. */
#ifndef UTILS_MEMBERS_H
#define UTILS_MEMBERS_H

#include "nodes.h"

struct members_cluster {
    const struct node_address *nodes;
    uint32_t nodes_count;
    const char *password; /* NULL: none */
    int connect_ms, reply_ms;
};

/* False: nobody leads, or nobody answers; it was said on stderr. */
bool members_print(const struct members_cluster *cluster);
/* Until the member is a voter, or a learner that is to stay one has caught up; prints what is on
 * the way.  False: it is no member any more. */
bool members_follow(const struct members_cluster *cluster, int64_t id);

#endif
