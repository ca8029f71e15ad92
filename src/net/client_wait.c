/* A client that waits in BLPOP or its like: until it is served, times out, is unblocked, or leaves.
 *
 * The time is kept here, on the node that the client is connected to; what waits and in which order
 * is the replica's affair.  A client that is cancelled may be served all the same, if that was
 * under way: then it gets what it was served, once. */
#include <poll.h>

#include "base/fatal.h"
#include "net/client_internal.h"

enum { MS_A_SECOND = 1000, US_A_MS = 1000 };

static void on_timeout(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    client_wait_cancel(context, WAIT_TIMED_OUT);
}

void client_wait_begin(struct client *client, int64_t wait_ms)
{
    check(!client->connection.waits);
    client->connection.waits = true;
    client->clients->waiting_count++;
    client->wait_end = WAIT_TIMED_OUT;
    client->wait_is_cancelled = false;
    if (wait_ms == 0)
        return;
    if (wait_ms > CLIENT_WAIT_LONGEST_MS)
        wait_ms = CLIENT_WAIT_LONGEST_MS;
    struct timeval after = {.tv_sec = wait_ms / MS_A_SECOND,
                            .tv_usec = wait_ms % MS_A_SECOND * US_A_MS};
    client->wait_timer = evtimer_new(loop_base(client->clients->options.loop), on_timeout, client);
    if (!client->wait_timer || evtimer_add(client->wait_timer, &after) != 0)
        fatal("no timer for a client that waits");
    client->clients->timed_count++;
}

void client_wait_cancel(struct client *client, enum client_wait_end end)
{
    struct clients *clients = client->clients;
    check(client->connection.waits);
    if (client->wait_is_cancelled) /* the first end holds, until it is known what has come of it */
        return;
    client->wait_end = end;
    client->wait_is_cancelled = true;
    replica_cancel(clients->options.replica, client->connection.id,
                   loop_now_ms(clients->options.loop) + clients->options.config->request_timeout);
}

void client_wait_over(struct client *client)
{
    if (!client->connection.waits)
        return;
    check(client->clients->waiting_count > 0);
    client->connection.waits = false;
    client->clients->waiting_count--;
    if (!client->wait_timer)
        return;
    check(client->clients->timed_count > 0);
    client->clients->timed_count--;
    event_free(client->wait_timer);
    client->wait_timer = NULL;
}

/* The same for all commands, as in Redis. */
struct bytes client_wait_text(struct client *client)
{
    if (client->wait_end == WAIT_STOPPED)
        client_doom(client, "this node stops");
    if (client->wait_end == WAIT_UNBLOCKED)
        return bytes_from_string("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    return bytes_from_string(client->connection.protocol == 3 ? "_\r\n" : "*-1\r\n");
}

struct bytes client_wait_reply(struct client *client, struct bytes reply)
{
    bool is_told_else = client->wait_is_cancelled && client->wait_end != WAIT_TIMED_OUT;
    return is_told_else ? client_wait_text(client) : reply;
}

bool client_wait_has_ended(const struct client *client)
{
    struct pollfd look = {.fd = client->connection.fd, .events = POLLRDHUP};
    return !client_is_read(client) && poll(&look, 1, 0) == 1;
}
