/* All clients: accepting, the end of a turn, limits and time. */
#include <utlist.h>

#include "base/fatal.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "command/channels.h"
#include "command/tracking.h"
#include "net/client_internal.h"
#include "net/listener.h"

enum { CRON_MS = 100, RATE_SAMPLES = 16, IDLE_SHRINK_MS = 2000 };
enum { LEFT_TIMEOUTS = 2 }; /* that long nothing was said and nothing answered */

static void on_told(struct connection *connection);

struct clients *clients_new(const struct clients_options *options)
{
    struct clients *clients = memory_new(sizeof *clients);
    clients->options = *options;
    channels_wake(options->server->channels, on_told);
    channels_set_events(options->server->channels, options->config->keyspace_events);
    tracking_set_max(options->server->channels, (uint64_t)options->config->tracking_keys_max);
    clients->unsent_max = CLIENT_UNSENT_MAX;
    clients->sampler.at_ms = clients->cron_ms = loop_now_ms(options->loop);
    return clients;
}

static void remove_client(struct client *client)
{
    struct clients *clients = client->clients;
    DL_DELETE(clients->all, client);
    if (client->in_turn && clients->turn)
        DL_DELETE2(clients->turn, client, turn_prev, turn_next);
    check(clients->count > 0);
    clients->count--;
    client_free(client);
}

void clients_free(struct clients *clients)
{
    struct client *client, *following;
    channels_wake(clients->options.server->channels, NULL);
    DL_FOREACH_SAFE(clients->all, client, following)
    {
        client_free(client);
    }
    clients->all = NULL;
    check(clients->stalled_count == 0);
    check(clients->waiting_count == 0);
    check(clients->paused_count == 0);
    clients_unpause(clients);
    memory_free(clients);
}

/* ---- accepting ------------------------------------------------------------------------ */

static void turn_away(struct clients *clients, int fd, const char *text)
{
    stream_turn_away(clients->options.loop, fd, text);
    clients->stats.connections_rejected++;
}

/* Redis's protected mode (7.2): without a password only this machine may connect. */
static bool is_protected_from(const struct config *config, int fd)
{
    return config->protected_mode && config->requirepass.size == 0 && !socket_is_loopback(fd);
}

void clients_refuse(void *context, int fd)
{
    struct clients *clients = context;
    clients->stats.connections_received++;
    turn_away(clients, fd, "-ERR max number of clients reached\r\n");
}

void clients_accept(void *context, int fd)
{
    struct clients *clients = context;
    const struct config *config = clients->options.config;
    if (clients->count >= (uint64_t)config->maxclients) {
        clients_refuse(clients, fd);
        return;
    }
    clients->stats.connections_received++;
    if (is_protected_from(config, fd)) {
        turn_away(clients, fd,
                  "-DENIED redis-raft is in protected mode: no password is set, so only "
                  "connections from this machine are accepted. Set requirepass, or turn "
                  "protected-mode off (CONFIG SET protected-mode no, from this machine) if the "
                  "network is trusted.\r\n");
        return;
    }
    struct client *client = client_new(clients, fd);
    DL_APPEND(clients->all, client);
    clients->count++;
}

/* ---- the end of a turn -------------------------------------------------------------------- */

/* Who gets what it has not asked for is bounded by the class of those that do.  Redis takes one who
 * monitors for a normal client, which has no bound unless one is set. */
static enum config_class class_of(const struct client *client)
{
    const struct connection *connection = &client->connection;
    bool is_told = connection->is_monitor || connection_is_subscribed(connection) ||
                   connection->tracking.flags & TRACKING_ON || connection->tracking.is_target;
    return is_told ? CONFIG_CLASS_PUBSUB : CONFIG_CLASS_NORMAL;
}

/* What waits to be sent and what waits for earlier replies; asked before anything of a turn is
 * sent, so that it is the same whether the client reads or not. */
void client_check_output_limit(struct client *client)
{
    bool is_normal = class_of(client) == CONFIG_CLASS_NORMAL;
    const struct config_output_limit *limit =
        &client->clients->options.config->client_output_buffer_limits[class_of(client)];
    int64_t now_ms = loop_now_ms(client->clients->options.loop);
    size_t unsent = client_unsent(client) + client->pipeline.held_bytes;
    bool over_soft = limit->soft_bytes && unsent > limit->soft_bytes;
    if (!over_soft)
        client->soft_ms = 0;
    else if (client->soft_ms == 0)
        client->soft_ms = now_ms;
    bool over = limit->hard_bytes && unsent > limit->hard_bytes;
    if (over_soft && now_ms - client->soft_ms >= limit->soft_seconds * 1000)
        over = true;
    if (!over || client->doom)
        return;
    log_warning("closing client %s (id %llu): %zu bytes of %s wait for it, over "
                "client-output-buffer-limit",
                client->connection.address, (unsigned long long)client->connection.id, unsent,
                is_normal ? "replies" : "messages");
    client->clients->stats.closed_for_output++;
    client_doom(client, "client-output-buffer-limit");
}

/* A message came for it.  Who does not read is closed before the next one. */
static void on_told(struct connection *connection)
{
    struct client *client = (struct client *)connection; /* connection is the first member */
    client_check_output_limit(client);
    client_wants_turn(client);
}

static bool is_finished(const struct client *client)
{
    if (client->doom)
        return true;
    if (client->pipeline.count || client_unsent(client))
        return false;
    if (client->connection.close_after_reply)
        return true;
    /* What came before the end is executed, though it may have to wait: for a reply, for room in
     * the replica, or for room in the socket. */
    return client->ended && !client->blocked && !client->full;
}

/* Ends it, or as much of it as one turn may. */
static void remove_some(struct client *client)
{
    struct channels *channels = client->clients->options.server->channels;
    if (channels_leave_some(channels, &client->connection, CHANNEL_PLAIN,
                            &client->clients->leaves_left)) {
        remove_client(client);
        return;
    }
    client_doom(client, "it is left to be forgotten"); /* and is told nothing meanwhile */
    if (client->pipeline.count)                        /* nothing is taken for it any more */
        replica_abandon(client->clients->options.replica, client->connection.id);
    client_wants_turn(client);
}

static void take_turn(struct client *client)
{
    if (client->in.size > client->parsed) {
        client_execute(client);
        client_let_go_of_input(client);
    }
    client_watch_feed(client);
    client_check_output_limit(client);
    client_flush(client);
    if (!client->doom)
        client_execute_put_off(client);
    if (is_finished(client)) {
        if (client->doom)
            log_debug("closing client %s: %s", client->connection.address, client->doom);
        remove_some(client);
        return;
    }
    if (client_is_read(client) && !client->ended)
        stream_set_reading(&client->stream, true);
    if (client->full) /* the replies that were in the way are sent */
        client_wants_turn(client);
}

static void wake_stalled(struct clients *clients)
{
    struct client *client;
    if (clients->stalled_count == 0 || replica_congested(clients->options.replica))
        return;
    DL_FOREACH(clients->all, client)
    {
        if (!client->stalled)
            continue;
        client->stalled = false;
        clients->stalled_count--;
        client_wants_turn(client);
    }
}

void clients_given(struct clients *clients)
{
    clients->submitted = false;
}

bool clients_turn(struct clients *clients)
{
    clients->turn_number++;
    clients->leaves_left = CLIENT_LEAVES_MAX;
    clients->encode_left = CLIENT_ENCODE_MAX;
    wake_stalled(clients);
    clients_wake_watching(clients);
    /* Those who want another turn get the next one: nobody can keep the loop here. */
    struct client *list = clients->turn;
    clients->turn = NULL;
    while (list) {
        struct client *client = list;
        DL_DELETE2(list, client, turn_prev, turn_next);
        client->in_turn = false;
        take_turn(client);
    }
    clients->status_known = false;
    bool is_all_forgotten =
        channels_forget_some(clients->options.server->channels, &clients->leaves_left);
    return clients->submitted || clients->turn || !is_all_forgotten;
}

/* ---- time ------------------------------------------------------------------------------- */

/* The mean of the last samples, a second. */
static uint64_t sample(struct clients_rate *rate, uint32_t place, uint64_t counter,
                       int64_t passed_ms)
{
    uint64_t sum = 0;
    rate->samples[place] = (counter - rate->before) * 1000 / (uint64_t)passed_ms;
    rate->before = counter;
    for (unsigned i = 0; i < RATE_SAMPLES; i++)
        sum += rate->samples[i];
    return sum / RATE_SAMPLES;
}

/* What others count, sampled with the rest. */
static void sample_others(struct clients *clients, uint32_t place, int64_t passed_ms)
{
    struct clients_stats *stats = &clients->stats;
    struct peers_traffic traffic = {0};
    uint64_t cycles, busy_us;
    loop_stats(clients->options.loop, &cycles, &busy_us);
    if (clients->options.peers)
        traffic = peers_traffic(clients->options.peers);
    stats->cycles_per_second = sample(&clients->sampler.cycles, place, cycles, passed_ms);
    stats->busy_us_per_second = sample(&clients->sampler.busy_us, place, busy_us, passed_ms);
    stats->peer_input_per_second =
        sample(&clients->sampler.peer_input, place, traffic.input, passed_ms);
    stats->peer_output_per_second =
        sample(&clients->sampler.peer_output, place, traffic.output, passed_ms);
}

static void sample_rates(struct clients *clients, int64_t now_ms)
{
    struct clients_stats *stats = &clients->stats;
    int64_t passed_ms = now_ms - clients->sampler.at_ms;
    uint32_t place = clients->sampler.next++ % RATE_SAMPLES;
    if (passed_ms <= 0)
        return;
    clients->sampler.at_ms = now_ms;
    stats->ops_per_second = sample(&clients->sampler.commands, place, stats->commands, passed_ms);
    stats->input_per_second = sample(&clients->sampler.input, place, stats->input_bytes, passed_ms);
    stats->output_per_second =
        sample(&clients->sampler.output, place, stats->output_bytes, passed_ms);
    sample_others(clients, place, passed_ms);
}

/* What was said before the end of the input is executed.  But one that closed looks the same, until
 * something is sent to it; and what takes longer than requests may wait is a long read or write,
 * for which nobody has to be there.  One that something is being sent to may be slow to read it;
 * if it closed, the socket says so. */
static bool has_left(const struct client *client, int64_t now_ms)
{
    int64_t since_ms =
        client->answered_ms > client->active_ms ? client->answered_ms : client->active_ms;
    return client->ended && client->pipeline.count > 0 && client_unsent(client) == 0 &&
           now_ms - since_ms > LEFT_TIMEOUTS * client->clients->options.config->request_timeout;
}

static void look_after(struct client *client, int64_t now_ms)
{
    int64_t timeout_ms = client->clients->options.config->timeout * 1000;
    int64_t idle_ms = now_ms - client->active_ms;
    client_check_output_limit(client);
    bool waits = client->connection.waits || client->connection.is_paused;
    if (waits && client_wait_has_ended(client))
        client_doom(client, "it left while it waited");
    if (has_left(client, now_ms)) {
        client_doom(client, "it left before it was answered");
        return;
    }
    if (client->connection.waits && idle_ms > IDLE_SHRINK_MS)
        client_shrink(client);
    if (client->is_watching) {
        client->says_position = true;
        client_wants_turn(client);
        return;
    }
    if (client->pipeline.count || client_unsent(client) || client->connection.is_paused)
        return;
    if (timeout_ms > 0 && idle_ms > timeout_ms && class_of(client) == CONFIG_CLASS_NORMAL) {
        log_verbose("closing idle client %s", client->connection.address);
        client_doom(client, "idle");
    } else if (idle_ms > IDLE_SHRINK_MS) {
        client_shrink(client);
    }
}

void clients_tick(struct clients *clients)
{
    int64_t now_ms = loop_now_ms(clients->options.loop);
    struct client *client;
    if (now_ms - clients->sampler.at_ms >= CRON_MS)
        sample_rates(clients, now_ms);
    clients_check_tick(clients);
    if (now_ms - clients->cron_ms < 10 * CRON_MS)
        return;
    clients->cron_ms = now_ms;
    DL_FOREACH(clients->all, client)
    {
        look_after(client, now_ms);
    }
}

static size_t client_memory(const struct client *client)
{
    const struct outbox *out = &client->connection.out;
    const struct blob *encoded = client->encoding.blob;
    return sizeof *client + client->in.capacity + (encoded ? encoded->size : 0) +
           out->bytes.capacity + out->referenced +
           client->pipeline.capacity * sizeof client->pipeline.ring[0] +
           client->pipeline.held_bytes;
}

/* ---- asked by others --------------------------------------------------------------------- */

void clients_quiesce(struct clients *clients)
{
    struct client *client;
    clients->quiet = true;
    DL_FOREACH(clients->all, client)
    {
        if (client->connection.waits)
            client_wait_cancel(client, WAIT_STOPPED);
    }
}

uint64_t clients_unanswered(const struct clients *clients)
{
    uint64_t count = 0;
    struct client *client;
    DL_FOREACH(clients->all, client)
    {
        count += client->pipeline.count + (client_unsent(client) ? 1 : 0);
    }
    return count;
}

void clients_config_changed(struct clients *clients)
{
    struct client *client;
    channels_set_events(clients->options.server->channels,
                        clients->options.config->keyspace_events);
    tracking_set_max(clients->options.server->channels,
                     (uint64_t)clients->options.config->tracking_keys_max);
    DL_FOREACH(clients->all, client)
    {
        client_update_limits(client);
    }
}

/* What CLIENT LIST tells of buffers. */
static void describe(struct client *client)
{
    struct connection *connection = &client->connection;
    connection->query_bytes = client->in.size - client->parsed;
    connection->query_free_bytes = client->in.capacity - client->in.size;
    connection->memory_bytes = client_memory(client);
    connection->writing = client->stream.full;
}

void clients_each(struct clients *clients, server_client_fn *each, void *context)
{
    struct client *client;
    DL_FOREACH(clients->all, client)
    {
        describe(client);
        if (!each(context, &client->connection))
            return;
    }
}

void clients_kill(struct clients *clients, struct connection *connection)
{
    (void)clients;
    client_doom((struct client *)connection, "killed"); /* connection is the first member */
}

uint32_t clients_count(const struct clients *clients)
{
    return clients->count;
}

uint32_t clients_waiting(const struct clients *clients)
{
    uint32_t waiting = 0;
    struct client *client;
    DL_FOREACH(clients->all, client)
    {
        waiting += client->pipeline.count > 0;
    }
    return waiting;
}

uint32_t clients_blocked(const struct clients *clients)
{
    return clients->waiting_count + clients->paused_count;
}

uint32_t clients_timed(const struct clients *clients)
{
    return clients->timed_count;
}

bool clients_unblock(struct clients *clients, uint64_t id, bool is_error)
{
    struct client *client;
    DL_FOREACH(clients->all, client)
    {
        if (client->connection.id != id || !client->connection.waits || client->wait_is_cancelled)
            continue;
        client_wait_cancel(client, is_error ? WAIT_UNBLOCKED : WAIT_TIMED_OUT);
        return true;
    }
    return false;
}

uint64_t clients_memory(const struct clients *clients)
{
    uint64_t bytes = 0;
    struct client *client;
    DL_FOREACH(clients->all, client)
    {
        bytes += client_memory(client);
    }
    return bytes;
}

void clients_biggest(const struct clients *clients, uint64_t *input, uint64_t *output)
{
    struct client *client;
    *input = *output = 0;
    DL_FOREACH(clients->all, client)
    {
        if (client->in.size > *input)
            *input = client->in.size;
        if (client_unsent(client) > *output)
            *output = client_unsent(client);
    }
}

const struct clients_stats *clients_stats(const struct clients *clients)
{
    return &clients->stats;
}

void clients_reset_stats(struct clients *clients)
{
    clients->stats = (struct clients_stats){0};
    clients->sampler.commands.before = 0;
    clients->sampler.input.before = clients->sampler.output.before = 0;
}
