/* What this node executed: calls, time, failures, by command; and the errors that its clients got.
 * INFO's sections commandstats, latencystats and errorstats.
 *
 * Time is that of the execution, as Redis means it, on the node that executes: of writes every
 * node, of reads the leader, of local commands the client's node.  Waiting for the log is not in
 * it. */
#ifndef SERVER_COMMAND_STATS_H
#define SERVER_COMMAND_STATS_H

#include "command/observer.h"
#include "command/server.h"
#include "config.h"

struct command_stats;

struct command_stats *server_command_stats_new(const struct config *config); /* borrowed */
void server_command_stats_free(struct command_stats *stats);
struct command_observer *server_command_stats_observer(struct command_stats *stats);
void server_command_stats_reset(struct command_stats *stats);
uint64_t server_command_stats_total_us(const struct command_stats *stats);
void server_command_stats_each(const struct command_stats *stats, server_command_fn *each,
                               void *context);
void server_command_stats_errors(const struct command_stats *stats, server_error_fn *each,
                                 void *context);

#endif
