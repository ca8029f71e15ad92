/* What local commands may ask of the process: struct server (command/server.h), filled in here from
 * the clients, the peers, the replica and the configuration. */
#ifndef SERVER_SERVER_PORT_H
#define SERVER_SERVER_PORT_H

#include "command/server.h"
#include "config.h"
#include "net/net.h"
#include "replica/replica.h"
#include "server/backups.h"
#include "server/checks.h"
#include "server/descriptors.h"

struct server_port;

struct server_port_options {
    struct net *net; /* borrowed, like config; CONFIG SET changes that */
    struct config *config;
    const struct server_descriptors *descriptors; /* borrowed */
    const char *executable;
    uint64_t channels_secret; /* random: see channels_new() */
    /* What only node.c knows: the disk and the data. */
    void (*storage)(void *context, struct server_raft *raft); /* fills in */
    void (*keys)(void *context, uint64_t keys[DB_DATABASES]); /* as server_ops.keys */
    void (*deadlines)(void *context, struct server_deadlines deadlines[DB_DATABASES]);
    void (*scripts)(void *context, struct server_scripts *scripts);
    void *storage_context;
};

struct server_port *server_port_new(const struct server_port_options *options);
void server_port_free(struct server_port *port);
struct server *server_port_server(struct server_port *port);
/* After net_connect() and before the first command. */
void server_port_connect(struct server_port *port, struct replica *replica,
                         struct server_backups *backups, struct server_checks *checks,
                         uint64_t cluster);

#endif
