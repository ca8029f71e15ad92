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
/* The life of a member's data directory, as RAFT.NODE takes it; "" where it has none, or nobody
 * leads. */
enum { MEMBERS_LIFE_SIZE = 17 };
void members_life(const struct members_cluster *cluster, int64_t id, char life[MEMBERS_LIFE_SIZE]);
/* Until the member is a voter, or a learner that is to stay one has caught up; prints what is on
 * the way.  False: it is no member any more. */
bool members_follow(const struct members_cluster *cluster, int64_t id);

#endif
