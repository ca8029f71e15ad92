/* What this node executed: calls, time, failures, by command, and what took long; and the errors
 * that its clients got.  INFO's sections commandstats, latencystats and errorstats, SLOWLOG,
 * LATENCY.
 *
 * Time is that of the execution, as Redis means it, on the node that executes: of writes every
 * node, of reads the leader, of local commands the client's node.  Waiting for the log is not in
 * it. */
#ifndef SERVER_COMMAND_STATS_H
#define SERVER_COMMAND_STATS_H

#include "command/latency.h"
#include "command/observer.h"
#include "command/server.h"
#include "command/slowlog.h"
#include "config.h"

struct command_stats;

struct command_stats *server_command_stats_new(const struct config *config); /* borrowed */
void server_command_stats_free(struct command_stats *stats);
struct command_observer *server_command_stats_observer(struct command_stats *stats);
/* Borrowed. */
struct slowlog *server_command_stats_slowlog(struct command_stats *stats);
struct latency *server_command_stats_latency(struct command_stats *stats);
/* Says who a client of this node is, borrowed; leaves `client` alone if it is gone. */
typedef void server_client_names_fn(void *context, uint64_t id, struct slowlog_client *client);
void server_command_stats_names(struct command_stats *stats, server_client_names_fn *names,
                                void *context);
void server_command_stats_reset(struct command_stats *stats);
uint64_t server_command_stats_total_us(const struct command_stats *stats);
void server_command_stats_each(const struct command_stats *stats, server_command_fn *each,
                               void *context);
void server_command_stats_errors(const struct command_stats *stats, server_error_fn *each,
                                 void *context);

#endif
