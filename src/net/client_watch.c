/* RAFT.WATCH: changes go to those who watch as far as they read.  What each is told, and from
 * where, is command/watch.h. */
#include <utlist.h>

#include "base/log.h"
#include "command/watch.h"
#include "net/client_internal.h"

static void set_watching(struct client *client, bool is_watching)
{
    struct clients *clients = client->clients;
    if (is_watching == client->is_watching)
        return;
    client->is_watching = is_watching;
    if (is_watching)
        DL_APPEND2(clients->watching, client, watch_prev, watch_next);
    else
        DL_DELETE2(clients->watching, client, watch_prev, watch_next);
}

void client_watch_close(struct client *client)
{
    set_watching(client, false);
}

/* It is told so if it reads at all. */
static void close_lost(struct client *client)
{
    log_verbose("closing client %s (id %llu): RAFT.WATCH was too slow", client->connection.address,
                (unsigned long long)client->connection.id);
    client->connection.close_after_reply = true;
    if (client->stream.full)
        client_doom(client, "RAFT.WATCH was too slow");
}

void client_watch_feed(struct client *client)
{
    struct connection *connection = &client->connection;
    set_watching(client, connection->watch != NULL);
    if (!client->is_watching || client->doom || connection->close_after_reply)
        return;
    const struct history *history = client->clients->options.server->history;
    switch (command_watch_feed(connection->watch, history, client->says_position,
                               connection->protocol, &connection->out)) {
    case WATCH_IDLE: client->says_position = false; break;
    case WATCH_MORE:
        if (!client->stream.full) /* else it wakes us */
            client_wants_turn(client);
        break;
    case WATCH_LOST: close_lost(client); break;
    }
}

void clients_wake_watching(struct clients *clients)
{
    struct client *client;
    if (!clients->watching)
        return;
    uint64_t count = command_history_count(clients->options.server->history);
    if (count == clients->watched)
        return;
    clients->watched = count;
    DL_FOREACH2(clients->watching, client, watch_next)
    {
        client_wants_turn(client);
    }
}
