/* A client that waits in RAFT.CHECK until all members have answered, or its time is over.
 *
 * Like one that is paused: the command stays in the input, with all behind it, its client's end is
 * seen, and it is looked at again when there is something new. */
#include <utlist.h>

#include "base/fatal.h"
#include "command/check.h"
#include "net/client_internal.h"

static void begin(struct client *client, int64_t wait_ms)
{
    struct clients *clients = client->clients;
    struct server *server = clients->options.server;
    if (wait_ms > CLIENT_WAIT_LONGEST_MS)
        wait_ms = CLIENT_WAIT_LONGEST_MS;
    client->check_id = server->ops->check_begin(server);
    client->check_until_ms = loop_now_ms(clients->options.loop) + wait_ms;
    clients->checking_count++;
    clients->submitted = true; /* it may have asked for one */
    check(client->check_id != 0);
}

void client_check_end(struct client *client)
{
    if (client->check_id == 0)
        return;
    check(client->clients->checking_count > 0);
    client->clients->checking_count--;
    client->check_id = 0;
}

static bool is_over(const struct client *client)
{
    struct clients *clients = client->clients;
    struct server *server = clients->options.server;
    return loop_now_ms(clients->options.loop) >= client->check_until_ms ||
           server->ops->check_is_over(server, client->check_id);
}

bool client_waits_for_check(struct client *client, enum command_class class,
                            const struct command *command, const struct bytes *argv, uint32_t argc)
{
    int64_t wait_ms;
    if (class != COMMAND_LOCAL || !command_check_wait_ms(command, argv, argc, &wait_ms))
        return false;
    if (client->check_id == 0)
        begin(client, wait_ms);
    if (is_over(client)) {
        client_check_end(client);
        return false;
    }
    client_set_paused(client, true);
    return true;
}

void clients_check_told(struct clients *clients)
{
    struct client *client;
    if (clients->checking_count == 0)
        return;
    DL_FOREACH(clients->all, client)
    {
        if (client->check_id != 0)
            client_wants_turn(client);
    }
}

void clients_check_tick(struct clients *clients)
{
    int64_t now_ms = loop_now_ms(clients->options.loop);
    struct client *client;
    if (clients->checking_count == 0)
        return;
    DL_FOREACH(clients->all, client)
    {
        if (client->check_id != 0 && now_ms >= client->check_until_ms)
            client_wants_turn(client);
    }
}
