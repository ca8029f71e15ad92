/* One client connection: reading, writing, closing.  See client_internal.h for its states. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "base/fatal.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "command/tracking.h"
#include "net/client_internal.h"
#include "net/listener.h"

/* ---- life --------------------------------------------------------------------------- */

static struct resp_limits limits_of(const struct client *client)
{
    const struct config *config = client->clients->options.config;
    size_t command_max = config->client_query_buffer_limit;
    if (command_max == 0 || command_max > COMMAND_ENCODED_MAX)
        command_max = COMMAND_ENCODED_MAX; /* encoded it is not longer */
    return (struct resp_limits){.bulk_max = config->proto_max_bulk_len,
                                .inline_max = CLIENT_INLINE_MAX,
                                .argc_max = CLIENT_ARGC_MAX,
                                .command_max = command_max,
                                .allow_inline = true,
                                .unauthenticated = !client->connection.authenticated};
}

void client_update_limits(struct client *client)
{
    struct resp_limits limits = limits_of(client);
    resp_parser_set_limits(client->parser, &limits);
    client->limits_authenticated = client->connection.authenticated;
}

static void on_readable(void *context);
static void on_writable(void *context);
static const struct stream_hooks stream_hooks = {.readable = on_readable, .writable = on_writable};

static bool may_debug(const struct config *config, int fd)
{
    return config->enable_debug == DEBUG_YES ||
           (config->enable_debug == DEBUG_LOCAL && socket_is_loopback(fd));
}

struct client *client_new(struct clients *clients, int fd)
{
    struct client *client = memory_new(sizeof *client);
    struct connection *connection = &client->connection;
    connection_init(connection);
    client->clients = clients;
    connection->id = ++clients->next_id;
    connection->fd = fd;
    connection->authenticated = clients->options.config->requirepass.size == 0;
    connection->may_debug = may_debug(clients->options.config, fd);
    connection->created_ms = connection->last_active_ms = loop_unix_ms(clients->options.loop);
    socket_peer_name(fd, connection->address, sizeof connection->address);
    socket_local_name(fd, connection->local_address, sizeof connection->local_address);
    client->active_ms = loop_now_ms(clients->options.loop);
    struct resp_limits limits = limits_of(client);
    client->parser = resp_parser_new(&limits);
    client_update_limits(client);
    socket_keepalive(fd, clients->options.config->tcp_keepalive);
    stream_open(&client->stream, clients->options.loop, fd, &stream_hooks, client);
    stream_set_reading(&client->stream, true);
    return client;
}

void client_free(struct client *client)
{
    struct clients *clients = client->clients;
    if (client->pipeline.count)
        replica_abandon(clients->options.replica, client->connection.id);
    check(!client->stalled || clients->stalled_count > 0);
    if (client->stalled)
        clients->stalled_count--;
    tracking_leave(clients->options.server->channels, &client->connection);
    client_wait_over(client);
    client_sleep_over(client);
    client_check_end(client);
    client_set_paused(client, false);
    client_watch_close(client);
    client_monitor_set(client, false);
    stream_close(&client->stream);
    pipeline_deinit(&client->pipeline);
    resp_parser_free(client->parser);
    command_encoding_drop(&client->encoding);
    buffer_deinit(&client->in);
    connection_deinit(&client->connection);
    memory_free(client);
}

void client_doom(struct client *client, const char *why)
{
    if (client->doom)
        return;
    client->doom = why;
    client->connection.is_doomed = true;
    client_wants_turn(client);
}

void client_wants_turn(struct client *client)
{
    if (client->in_turn)
        return;
    client->in_turn = true;
    DL_APPEND2(client->clients->turn, client, turn_prev, turn_next);
}

bool client_is_open(const struct client *client)
{
    return !client->blocked && !client->doom && !client->invalid[0] &&
           !client->connection.close_after_reply && !client->clients->quiet &&
           !client_is_full(client);
}

bool client_is_read(const struct client *client)
{
    if (!client->connection.waits && !client->connection.is_paused)
        return client_is_open(client);
    return !client->doom && client->in.size - client->parsed < CLIENT_WAITING_IN_MAX;
}

/* ---- reading --------------------------------------------------------------------------- */

/* Room for the next read.  Of a large command for some times what has come of it, so that it is
 * moved seldom, and so that to announce one without sending it gets nobody anything. */
static void make_room(struct client *client)
{
    buffer_consume(&client->in, client->parsed);
    client->parsed = 0;
    client->command_size = 0; /* its bytes may move */
    size_t have = client->in.size;
    size_t wanted = resp_wanted(client->parser);
    size_t room = wanted > have ? wanted - have : 0;
    if (room > CLIENT_ROOM_FACTOR * have)
        room = CLIENT_ROOM_FACTOR * have;
    buffer_reserve(&client->in, room > CLIENT_READ_MIN ? room : CLIENT_READ_MIN);
}

/* Bytes read; 0: nothing now; the end or an error shows in the client's state. */
static size_t fill(struct client *client)
{
    make_room(client);
    size_t room = client->in.capacity - client->in.size;
    if (room > CLIENT_READ_MAX)
        room = CLIENT_READ_MAX;
    size_t taken;
    enum stream_result result =
        stream_read(&client->stream, client->in.data + client->in.size, room, &taken);
    if (result == STREAM_FAILED)
        client_doom(client, strerror(errno));
    client->ended = result == STREAM_ENDED;
    client->in.size += taken;
    client->clients->stats.input_bytes += taken;
    client->clients->stats.read_calls += result == STREAM_SOME;
    return taken;
}

static void check_input_limit(struct client *client)
{
    uint64_t limit = client->clients->options.config->client_query_buffer_limit;
    if (limit == 0 || client->in.size - client->parsed <= limit || client->doom)
        return;
    log_warning("closing client %s (id %llu): its unexecuted input passed "
                "client-query-buffer-limit",
                client->connection.address, (unsigned long long)client->connection.id);
    client->clients->stats.closed_for_input++;
    client_doom(client, "client-query-buffer-limit");
}

void client_let_go_of_input(struct client *client)
{
    check(client->parsed <= client->in.size);
    if (client->parsed < client->in.size)
        return;
    client->parsed = 0;
    if (client->in.capacity > CLIENT_IN_KEEP)
        buffer_deinit(&client->in);
    else
        buffer_clear(&client->in);
}

static void on_readable(void *context)
{
    struct client *client = context;
    struct clients *clients = client->clients;
    if (!client_is_read(client)) {
        stream_set_reading(&client->stream, false); /* clients_turn() reads again when it is open */
        return;
    }
    size_t size = fill(client);
    if (client->ended)
        stream_set_reading(&client->stream, false);
    if (client->ended && (client->connection.waits || client->connection.is_paused))
        client_doom(client, "it left while it waited");
    if (size) {
        client->active_ms = loop_now_ms(clients->options.loop);
        client->connection.last_active_ms = loop_unix_ms(clients->options.loop);
        client_execute(client);
        check_input_limit(client);
    }
    client_let_go_of_input(client);
    if (client->ended || client_unsent(client) || client->doom || client->connection.watch ||
        client->connection.close_after_reply)
        client_wants_turn(client);
}

/* ---- writing --------------------------------------------------------------------------- */

static void on_writable(void *context)
{
    client_wants_turn(context);
}

static void note_capacity(struct client *client)
{
    size_t capacity = client->connection.out.bytes.capacity;
    if (capacity > client->out_capacity)
        client->clients->stats.out_expands++;
    if (capacity < client->out_capacity)
        client->clients->stats.out_shrinks++;
    client->out_capacity = capacity;
}

void client_flush(struct client *client)
{
    size_t taken;
    if (client_unsent(client) == 0 || client->stream.full || client->doom)
        return;
    note_capacity(client);
    if (stream_send(&client->stream, &client->connection.out, &taken) == STREAM_FAILED)
        client_doom(client, strerror(errno));
    client->clients->stats.output_bytes += taken;
    client->clients->stats.write_calls += taken > 0;
    note_capacity(client);
}

void client_shrink(struct client *client)
{
    if (client->in.size == 0)
        buffer_deinit(&client->in);
    if (client_unsent(client) == 0)
        outbox_deinit(&client->connection.out);
    note_capacity(client);
    if (client->pipeline.count == 0)
        pipeline_deinit(&client->pipeline);
}
