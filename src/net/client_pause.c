/* CLIENT PAUSE (Redis 7.2 networking.c): what the clients of this node say is not executed for a
 * while, all of it or what writes.  And DEBUG SLEEP, which pauses its own client, as if it were the
 * only one of a server that sleeps.
 *
 * The command that has to wait stays in the input, with all behind it, as any that must wait; it
 * counts as blocked, and its client's end is seen.  What is under way goes on, and who waits in
 * BLPOP or its like is served, times out and is told as ever. */
#include <utlist.h>

#include "base/fatal.h"
#include "net/client_internal.h"

enum { MS_A_SECOND = 1000, US_A_MS = 1000 };

static void start_timer(struct event *timer, int64_t after_ms)
{
    struct timeval after = {.tv_sec = after_ms / MS_A_SECOND,
                            .tv_usec = after_ms % MS_A_SECOND * US_A_MS};
    if (!timer || evtimer_add(timer, &after) != 0)
        fatal("no timer for the end of a pause");
}

static void on_end(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    clients_unpause(context);
}

static void wake_paused(struct clients *clients)
{
    struct client *client;
    DL_FOREACH(clients->all, client)
    {
        if (client->connection.is_paused)
            client_wants_turn(client);
    }
}

/* As in Redis: the later end holds, and all is not made less by what writes. */
void clients_pause(struct clients *clients, int64_t ms, bool is_all)
{
    struct clients_pause *pause = &clients->pause;
    int64_t now_ms = loop_now_ms(clients->options.loop);
    if (ms > CLIENT_WAIT_LONGEST_MS)
        ms = CLIENT_WAIT_LONGEST_MS;
    pause->what = is_all || pause->what == PAUSE_ALL ? PAUSE_ALL : PAUSE_WRITES;
    if (now_ms + ms > pause->end_ms)
        pause->end_ms = now_ms + ms;
    if (!pause->timer)
        pause->timer = evtimer_new(loop_base(clients->options.loop), on_end, clients);
    start_timer(pause->timer, pause->end_ms - now_ms);
}

void clients_unpause(struct clients *clients)
{
    struct clients_pause *pause = &clients->pause;
    if (pause->timer)
        event_free(pause->timer);
    *pause = (struct clients_pause){.what = PAUSE_NOTHING};
    wake_paused(clients);
}

/* What of a command that may be executed now. */
bool client_is_paused(struct client *client, enum command_class class,
                      const struct command *command)
{
    struct clients *clients = client->clients;
    if (clients->pause.what == PAUSE_NOTHING || class == COMMAND_REFUSED)
        return false;
    bool writes = class == COMMAND_WRITE || (class == COMMAND_QUEUED && command->flags & CMD_WRITE);
    if (clients->pause.what == PAUSE_WRITES && (!writes || command_is_unpaused(command)))
        return false;
    client_set_paused(client, true);
    return true;
}

void client_set_paused(struct client *client, bool is_paused)
{
    struct clients *clients = client->clients;
    if (client->connection.is_paused == is_paused)
        return;
    client->connection.is_paused = is_paused;
    check(is_paused || clients->paused_count > 0);
    clients->paused_count += is_paused ? 1 : -1;
}

/* ---- DEBUG SLEEP ---------------------------------------------------------------------- */

void client_sleep_over(struct client *client)
{
    if (client->sleep_timer)
        event_free(client->sleep_timer);
    client->sleep_timer = NULL;
}

static void on_slept(evutil_socket_t fd, short what, void *context)
{
    struct client *client = context;
    (void)fd;
    (void)what;
    client_sleep_over(client);
    client->has_slept = true;
    client_wants_turn(client);
}

bool client_sleeps(struct client *client, enum command_class class, const struct command *command,
                   const struct bytes *argv, uint32_t argc)
{
    bool is_executed = class == COMMAND_READ && !client->has_slept;
    int64_t ms = is_executed ? command_sleep_ms(command, argv, argc) : 0;
    client->has_slept = false;
    if (ms == 0)
        return false;
    if (client->pipeline.count > 0) /* what came before it is answered first */
        return true;
    if (!client->sleep_timer) {
        client->sleep_timer =
            evtimer_new(loop_base(client->clients->options.loop), on_slept, client);
        start_timer(client->sleep_timer, ms);
    }
    client_set_paused(client, true);
    return true;
}
