/* Who gets how many of the process's file descriptors.  The store, the peers and what the process
 * itself needs come first: a node that cannot open a table file has to stop, and one whose peers
 * cannot connect is no member; a client that finds no place is told so and comes again.
 *
 * `ulimit -n` is raised as far as it is allowed and needed. */
#ifndef SERVER_DESCRIPTORS_H
#define SERVER_DESCRIPTORS_H

#include "config.h"

struct server_descriptors {
    uint64_t reserved; /* for all but tables and clients */
    uint32_t tables;   /* table files that the store may keep open */
    uint64_t clients;  /* most clients at a time */
};

/* How `limit` descriptors are divided for this configuration.  False: they are not enough, and
 * reserved + tables + clients says how many would be. */
bool server_descriptors_divide(const struct config *config, uint64_t limit,
                               struct server_descriptors *descriptors)
    __attribute__((warn_unused_result));

/* At the start: raises the limit, divides it, and lowers config->maxclients to what fits.  False:
 * the node cannot run with so few; the log says how many it takes. */
bool server_descriptors_reserve(struct config *config, struct server_descriptors *descriptors)
    __attribute__((warn_unused_result));

/* How many of `clients` at a time fit, after raising the limit for them if that is possible: for
 * CONFIG SET maxclients. */
uint64_t server_descriptors_fit(const struct server_descriptors *descriptors, uint64_t clients);

#endif
