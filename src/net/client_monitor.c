/* MONITOR: each line is made once, and put behind what waits for each who monitors.  Nothing is
 * done where nobody does. */
#include <utlist.h>

#include "command/monitor.h"
#include "net/client_internal.h"

void client_monitor_set(struct client *client, bool is_monitoring)
{
    struct clients *clients = client->clients;
    if (is_monitoring == client->is_monitoring)
        return;
    client->is_monitoring = is_monitoring;
    if (is_monitoring)
        DL_APPEND2(clients->monitoring, client, monitor_prev, monitor_next);
    else
        DL_DELETE2(clients->monitoring, client, monitor_prev, monitor_next);
}

void client_monitor_tell(struct client *client, const struct command *command,
                         const struct bytes *argv, uint32_t argc)
{
    struct clients *clients = client->clients;
    const struct connection *connection = &client->connection;
    const struct transaction *transaction = &connection->transaction;
    struct server *server = clients->options.server;
    struct client *monitor;
    if (!clients->monitoring || !command_is_monitored(command))
        return;
    struct monitored said = {.now_us = server->ops->now_us(server),
                             .database = transaction->is_open ? transaction->database
                                                              : connection->database,
                             .address = connection->address,
                             .command = command,
                             .argv = argv,
                             .argc = argc};
    struct buffer line = {0};
    command_monitor_line(&said, &line);
    struct blob *blob = blob_copy(buffer_bytes(&line));
    buffer_deinit(&line);
    DL_FOREACH2(clients->monitoring, monitor, monitor_next)
    {
        if (monitor->doom)
            continue;
        outbox_append_blob(&monitor->connection.out, blob);
        client_check_output_limit(monitor);
        client_wants_turn(monitor);
    }
    blob_release(blob);
}
