/* The name of a cluster: a random number that its first leader draws, part of the replicated state.
 *
 * The cluster's id, which every node computes from the list of members that it was given, lets
 * those meet that are to begin together; so two clusters that were made of the same list, or of the
 * same backup, have the same.  The name tells them apart from the moment on that there is one.
 *
 *     raft.name  id name    both decimal: the cluster with this id has this name, unless it has one
 *
 * It belongs to the id: a state that becomes that of another cluster, by a backup or by
 * force-new-cluster, has no name there until that has drawn its own.  Made by leaders alone.
 *
 * In DB_SPACE_SERVER, beside scripts and functions:
 *
 *     row "n"            u64 id, u64 name */
#ifndef COMMAND_NAMING_H
#define COMMAND_NAMING_H

#include <stdint.h>

#include "base/blob.h"
#include "data/db.h"

#define NAME_NAME "raft.name"

/* 0: it has none.  Loop thread. */
uint64_t command_cluster_name(struct db *db, uint64_t cluster);
struct blob *command_name_cluster(uint64_t cluster, uint64_t name);

#endif
