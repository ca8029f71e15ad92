/* The clients of this node: connections that speak Redis's protocol.
 *
 * A client's bytes are parsed into commands; local ones are executed at once, reads and writes are
 * given to the replica, and their replies come back through pipeline.h in order.  Output is written
 * once a turn. */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include <stdint.h>

#include "command/connection.h"
#include "command/server.h"
#include "config.h"
#include "net/loop.h"
#include "net/peer.h"
#include "replica/replica.h"

struct clients; /* all of them */

struct clients_stats {
    uint64_t connections_received, connections_rejected;
    uint64_t commands, reads, writes, errors;
    uint64_t input_bytes, output_bytes;
    uint64_t read_calls, write_calls;                             /* of clients' sockets */
    uint64_t ops_per_second, input_per_second, output_per_second; /* commands, bytes */
    uint64_t closed_for_input, closed_for_output; /* over client-query-, -output-buffer-limit */
    uint64_t out_shrinks, out_expands;            /* of the buffers of small replies */
    /* Of the loop and of the members' connections: here is who samples. */
    uint64_t cycles_per_second, busy_us_per_second;
    uint64_t peer_input_per_second, peer_output_per_second;
};

struct clients_options {
    struct loop *loop;
    const struct config *config;
    struct replica *replica;
    struct server *server;
    const struct peers *peers; /* for follower-mode redirect: who is where */
};

struct clients *clients_new(const struct clients_options *options);
void clients_free(struct clients *clients); /* closes all; their requests are abandoned */
void clients_accept(void *clients, int fd); /* a listener_accept */
void clients_refuse(void *clients, int fd); /* the same: there are too many */
/* replica_run() comes next, and does what it was given so far. */
void clients_given(struct clients *clients);
/* The end of a turn, after replica_run(): go on with commands that waited, write what is to be
 * written.  True if the replica was given something since clients_given(). */
bool clients_turn(struct clients *clients);
void clients_tick(struct clients *clients); /* every LOOP_TICK_MS */
/* From now on nothing is read: a stop is under way. */
void clients_quiesce(struct clients *clients);
/* Requests under way, and replies that wait for a socket. */
uint64_t clients_unanswered(const struct clients *clients);
void clients_config_changed(struct clients *clients);

void clients_each(struct clients *clients, server_client_fn *each, void *context);
void clients_kill(struct clients *clients, struct connection *connection); /* soon */
uint32_t clients_count(const struct clients *clients);
uint32_t clients_waiting(const struct clients *clients); /* with a request under way */
uint32_t clients_blocked(const struct clients *clients); /* in BLPOP or its like, or paused */
uint32_t clients_timed(const struct clients *clients);   /* in BLPOP or its like, not for ever */
/* For so long no client's commands are executed, or none that writes: client_pause.c. */
void clients_pause(struct clients *clients, int64_t ms, bool is_all);
void clients_unpause(struct clients *clients);
/* Of a check that clients wait for in RAFT.CHECK there is something new: client_check.c. */
void clients_check_told(struct clients *clients);
/* False: no client with that id waits. */
bool clients_unblock(struct clients *clients, uint64_t id, bool is_error);
uint64_t clients_memory(const struct clients *clients); /* bytes of their buffers */
void clients_biggest(const struct clients *clients, uint64_t *input, uint64_t *output);
const struct clients_stats *clients_stats(const struct clients *clients);
void clients_reset_stats(struct clients *clients);

#endif
