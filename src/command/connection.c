/* The state of one client connection.  Loop thread only. */
#include "command/connection.h"

#include "base/memory.h"
#include "command/watch.h"

void connection_init(struct connection *connection)
{
    *connection = (struct connection){.protocol = 2, .fd = -1};
}

static void forget_names(struct connection *connection)
{
    memory_free(connection->name);
    memory_free(connection->lib_name);
    memory_free(connection->lib_version);
    connection->name = NULL;
    connection->lib_name = NULL;
    connection->lib_version = NULL;
}

void connection_deinit(struct connection *connection)
{
    forget_names(connection);
    transaction_end(&connection->transaction);
    command_watch_free(connection->watch);
    outbox_deinit(&connection->out);
}

/* As Redis's clientReset (7.2 networking.c): the library's name and version stay. */
void connection_reset(struct connection *connection, bool needs_password)
{
    connection->protocol = 2;
    connection->database = 0;
    transaction_end(&connection->transaction);
    command_watch_free(connection->watch);
    connection->watch = NULL;
    connection->authenticated = !needs_password;
    connection->no_evict = false;
    connection->no_touch = false;
    connection->is_monitor = false;
    connection->reply_mode = CONNECTION_REPLY_ON;
    memory_free(connection->name);
    connection->name = NULL;
}
