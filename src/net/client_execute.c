/* From a client's bytes to executed commands.
 *
 * A command that must wait (for an empty pipeline, or one that is less full) is not kept: its
 * bytes stay where they are until its time has come.  So there is one place
 * that holds unexecuted commands, the input buffer, and one rule that bounds it.  (A large one is
 * copied before it is executed, some of it in each turn: that begins when it would not wait.)
 * Classifying has side effects on the connection (CLIENT REPLY SKIP); they are undone for a command
 * that waits. */
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "command/channels.h"
#include "command/command.h"
#include "command/observer.h"
#include "command/tracking.h"
#include "net/address.h"
#include "net/client_internal.h"
#include "replica/stamp.h"
#include "resp/writer.h"

enum {
    ATTACK_LOG_MS = 60000,     /* at most one line in this time, as Redis does */
    WHOLE_WORDS_MAX = 1 << 16, /* of a command that is executed in the turn in which it is whole, */
    WHOLE_BYTES_MAX = 4 << 20  /* and bytes */
};

/* The first byte of a reply says whether it is an error. */
static void count_error(struct client *client, struct bytes reply)
{
    struct command_observer *observer = client->clients->options.server->observer;
    if (reply.size == 0 || *(const char *)reply.data != '-')
        return;
    client->clients->stats.errors++;
    if (observer)
        observer->answered_error(observer, reply);
}

static struct bytes reply_since(const struct client *client, size_t before)
{
    const struct buffer *out = &client->connection.out.bytes;
    return out->size > before ? bytes_of(out->data + before, out->size - before)
                              : bytes_of(NULL, 0);
}

static size_t bytes_of_words(const struct bytes *argv, uint32_t argc)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < argc; i++)
        bytes += argv[i].size;
    return bytes;
}

/* ---- reads and writes ------------------------------------------------------------ */

static struct bytes failure_text(enum request_outcome outcome)
{
    /* Definite only when it is certain: a client may repeat what was not executed, but must not
     * repeat blindly what may have been. */
    return outcome == REQUEST_NOT_DONE
               ? bytes_from_string("-CLUSTERDOWN No leader within request-timeout; the command was "
                                   "not executed\r\n")
               : bytes_from_string("-TIMEOUT No answer from the cluster; the command may or may "
                                   "not have been executed\r\n");
}

/* The end of a client whose reply is over the limit, and was not made any longer. */
static void refuse_reply(struct client *client)
{
    log_warning("closing client %s (id %llu): a reply passed client-output-buffer-limit",
                client->connection.address, (unsigned long long)client->connection.id);
    client->clients->stats.closed_for_output += client->doom == NULL;
    client_doom(client, "client-output-buffer-limit");
}

static uint32_t reply_max(const struct client *client)
{
    uint64_t limit =
        client->clients->options.config->client_output_buffer_limits[CONFIG_CLASS_NORMAL]
            .hard_bytes;
    return limit < UINT32_MAX ? (uint32_t)limit : 0;
}

/* What waits for replies that are there now: invalidations. */
static void note_answers(struct client *client)
{
    struct connection_tracking *tracking = &client->connection.tracking;
    check(client->pipeline.count <= tracking->asked);
    tracking->answered = tracking->asked - client->pipeline.count;
    if (tracking->held)
        tracking_release(client->clients->options.server->channels, &client->connection);
}

static struct request *make_request(struct client *client, enum request_kind kind,
                                    struct blob *command);

/* A read that waits on, asked with other words.  False: it does not, or no longer. */
static bool wait_on(struct client *client, struct request *request, struct bytes reply)
{
    struct clients *clients = client->clients;
    struct blob *words = command_ask_again(blob_bytes(request->command), reply);
    if (!words)
        return false;
    struct request *again = make_request(client, REQUEST_READ, words);
    again->may_wait = !client->wait_is_cancelled;
    again->database = request->database;
    pipeline_replace(&client->pipeline, request, again);
    client->awaited = again;
    clients->submitted = true;
    replica_submit(clients->options.replica, again);
    return true;
}

static void on_done(void *context, struct request *request, enum request_outcome outcome,
                    struct bytes reply)
{
    struct client *client = context;
    bool is_waiting_read = client->connection.waits && request->kind == REQUEST_READ;
    client_wants_turn(client);
    if (is_waiting_read && outcome == REQUEST_DONE && wait_on(client, request, reply))
        return;
    if (outcome == REQUEST_TOO_LARGE) {
        if (!pipeline_put_off(&client->pipeline, request))
            refuse_reply(client);
        return;
    }
    client_wait_over(client);
    if (outcome == REQUEST_CANCELLED)
        reply = client_wait_text(client);
    else if (outcome != REQUEST_DONE)
        reply = failure_text(outcome);
    if (is_waiting_read)
        reply = client_wait_reply(client, reply);
    if (client->awaited == request) {
        client->awaited = NULL;
        client->piece_failed = outcome != REQUEST_DONE;
        reply = command_reply_came(&client->connection, client->clients->options.server,
                                   outcome == REQUEST_DONE, reply);
    }
    struct buffer text = {0};
    if (request->told && outcome == REQUEST_DONE)
        reply = command_count_receivers(client->clients->options.server,
                                        blob_bytes(request->command), request->told, reply, &text);
    count_error(client, reply);
    pipeline_finish(&client->pipeline, request, reply, &client->connection.out);
    client->answered_ms = loop_now_ms(client->clients->options.loop);
    buffer_deinit(&text);
    note_answers(client);
}

/* Takes the command. */
static struct request *make_request(struct client *client, enum request_kind kind,
                                    struct blob *command)
{
    struct clients *clients = client->clients;
    struct request *request = request_new(kind, client->connection.protocol, client->connection.id,
                                          command, on_done, client);
    request->database = client->connection.database;
    request->deadline_ms =
        loop_now_ms(clients->options.loop) + clients->options.config->request_timeout;
    client->pipeline.reply_max = reply_max(client);
    return request;
}

static int64_t wait_of(const struct command *command, const struct bytes *argv, uint32_t argc)
{
    return command->flags & CMD_BLOCKING ? command_wait_ms(command, argv, argc) : COMMAND_AT_ONCE;
}

static void submit(struct client *client, enum request_kind kind, const struct command *command,
                   const struct bytes *argv, uint32_t argc)
{
    struct clients *clients = client->clients;
    struct connection *connection = &client->connection;
    connection->tracking.asked++; /* first: what is told from now on comes behind its reply */
    tracking_remember(clients->options.server->channels, connection, command, argv, argc);
    struct blob *words =
        command_take_request(connection, command, argv, argc, client->encoding.blob);
    struct request *request = make_request(client, kind, words);
    int64_t wait_ms = wait_of(command, argv, argc);
    request->may_wait = wait_ms != COMMAND_AT_ONCE;
    if (request->may_wait)
        client_wait_begin(client, wait_ms);
    if (connection->transaction.awaits != AWAITS_NOTHING || request->may_wait)
        client->awaited = request;
    pipeline_add(&client->pipeline, request, connection_is_silent(&client->connection),
                 clients->turn_number);
    if (kind == REQUEST_READ)
        clients->stats.reads++;
    else
        clients->stats.writes++;
    clients->submitted = true;
    replica_submit(clients->options.replica, request);
}

/* Reads whose replies were too large to be taken before the client fetched others. */
void client_execute_put_off(struct client *client)
{
    struct clients *clients = client->clients;
    struct blob *command;
    while (!client_is_full(client) && (command = pipeline_next(&client->pipeline))) {
        struct request *request = make_request(client, REQUEST_READ, blob_take(command));
        pipeline_ask_again(&client->pipeline, request);
        clients->submitted = true;
        replica_submit(clients->options.replica, request);
    }
}

/* ---- follower-mode ----------------------------------------------------------------- */

static const struct raft_status *raft_now(struct clients *clients)
{
    if (!clients->status_known)
        replica_status(clients->options.replica, &clients->status);
    clients->status_known = true;
    return &clients->status.raft;
}

static bool is_refused_by_mode(struct clients *clients, enum request_kind kind)
{
    int mode = clients->options.config->follower_mode;
    if (mode == FOLLOWER_PROXY || (mode == FOLLOWER_READONLY && kind == REQUEST_READ))
        return false;
    return raft_now(clients)->role != RAFT_LEADER;
}

static void refuse_by_mode(struct client *client)
{
    struct clients *clients = client->clients;
    struct connection *connection = &client->connection;
    struct reply reply = {connection_is_silent(connection) ? NULL : &connection->out.bytes,
                          connection->protocol};
    const struct raft_status *raft = raft_now(clients);
    char host[RAFT_ADDRESS_SIZE];
    int port;
    if (clients->options.config->follower_mode == FOLLOWER_READONLY)
        reply_error(&reply, "READONLY You can't write against a read only replica.");
    else if (raft->leader != RAFT_NOBODY &&
             socket_address_split(peers_client_address(clients->options.peers, raft->leader), host,
                                  sizeof host, &port))
        reply_error(&reply, "MOVED 0 %s:%d", host, port); /* no brackets: so does Redis */
    else
        reply_error(&reply, "CLUSTERDOWN No leader is known; the command was not executed");
}

/* ---- one command ---------------------------------------------------------------------- */

/* A node that was given our client port for our peer port is told so. */
static bool refuse_peer(struct client *client, struct bytes name)
{
    if (!bytes_is(name, "RR.HELLO") || client->pipeline.count)
        return false;
    struct reply reply = {&client->connection.out.bytes, 2};
    reply_error(&reply, "ERR this is a redis-raft client port, not a peer port");
    log_warning("%s speaks the peer protocol to our client port", client->connection.address);
    client->connection.close_after_reply = true;
    return true;
}

/* A browser or a webhook that somebody led here: its body must not be taken for commands.  Redis's
 * rule, and Redis's words. */
static bool refuse_http(struct client *client, struct bytes name)
{
    struct clients *clients = client->clients;
    int64_t now_ms = loop_now_ms(clients->options.loop);
    if (!bytes_is(name, "POST") && !bytes_is(name, "Host:"))
        return false;
    client_doom(client, "POST or Host:");
    if (clients->attack_logged_ms && now_ms - clients->attack_logged_ms <= ATTACK_LOG_MS)
        return true;
    clients->attack_logged_ms = now_ms;
    log_warning("Possible SECURITY ATTACK detected. It looks like somebody is sending POST or "
                "Host: commands to Redis. This is likely due to an attacker attempting to use "
                "Cross Protocol Scripting to compromise your Redis instance. Connection from %s "
                "aborted.",
                client->connection.address);
    return true;
}

static void stall(struct client *client)
{
    if (!client->stalled)
        client->clients->stalled_count++;
    client->stalled = true;
}

/* What a command would end all of, if that is much, is ended before, some in each turn. */
static bool leaves_first(struct client *client, const struct command *command,
                         const struct bytes *argv, uint32_t argc)
{
    struct channels *channels = client->clients->options.server->channels;
    enum channel_kind from = channels_ended_by(command, argv, argc);
    if (channels_leave_some(channels, &client->connection, from, &client->clients->leaves_left))
        return false;
    client_wants_turn(client);
    return true;
}

static bool must_wait(struct client *client, enum command_class class,
                      const struct command *command, const struct bytes *argv, uint32_t argc)
{
    enum request_kind kind = class == COMMAND_WRITE ? REQUEST_WRITE : REQUEST_READ;
    bool is_local = class != COMMAND_READ && class != COMMAND_WRITE;
    if (client_is_paused(client, class, command))
        return true;
    if (!is_local && replica_congested(client->clients->options.replica)) {
        stall(client);
        return true;
    }
    if (client_sleeps(client, class, command, argv, argc))
        return true;
    if (client->pipeline.count == 0)
        return client_waits_for_check(client, class, command, argv, argc) ||
               (class == COMMAND_LOCAL && leaves_first(client, command, argv, argc));
    if (is_local || client->awaited || wait_of(command, argv, argc) != COMMAND_AT_ONCE ||
        command_needs_reply(&client->connection, command, argv, argc))
        return true;
    return !pipeline_takes(&client->pipeline, kind, client->clients->turn_number) ||
           is_refused_by_mode(client->clients, kind);
}

static void run(struct client *client, enum command_class class, const struct command *command,
                const struct bytes *argv, uint32_t argc)
{
    struct clients *clients = client->clients;
    enum request_kind kind = class == COMMAND_WRITE ? REQUEST_WRITE : REQUEST_READ;
    switch (class) {
    case COMMAND_REFUSED:
        client->piece_failed = true;
        if (command && clients->options.server->observer)
            clients->options.server->observer->rejected(clients->options.server->observer, command);
        break;
    case COMMAND_LOCAL:
        client->connection.argv_bytes = bytes_of_words(argv, argc);
        command_run_local(&client->connection, clients->options.server, command, argv, argc);
        client->connection.argv_bytes = 0;
        client_monitor_set(client, client->connection.is_monitor);
        client_monitor_tell(client, command, argv, argc);
        break;
    case COMMAND_QUEUED:
        command_queue(&client->connection, clients->options.server, command, argv, argc,
                      client->encoding.blob);
        client_monitor_tell(client, command, argv, argc);
        break;
    case COMMAND_OTHER: check(false); break;
    case COMMAND_READ:
    case COMMAND_WRITE:
        if (is_refused_by_mode(clients, kind)) {
            client->piece_failed = true;
            refuse_by_mode(client);
            break;
        }
        client_monitor_tell(client, command, argv, argc);
        submit(client, kind, command, argv, argc);
        break;
    }
}

/* Whether the members do, as far as this node has heard. */
static bool knows_of_waiting(struct clients *clients)
{
    (void)raft_now(clients);
    return clients->status.meaning >= STAMP_MEANING_WAITS;
}

/* What a large one is asked for with is made before that, when nothing else keeps it waiting: the
 * copy of one that waits would be memory that nothing bounds. */
static bool must_be_encoded(struct client *client, enum command_class class,
                            const struct command *command, uint32_t argc)
{
    if ((argc <= WHOLE_WORDS_MAX && client->command_size <= WHOLE_BYTES_MAX) ||
        client->encoding.blob || !command_will_be_encoded(command, class))
        return false;
    client->to_encode = true;
    client_wants_turn(client);
    return true;
}

/* A pause may be long. */
static void drop_encoded(struct client *client)
{
    if (client->connection.is_paused)
        command_encoding_drop(&client->encoding);
}

/* False: it has to wait, and nothing happened. */
static bool execute(struct client *client, const struct bytes *argv, uint32_t argc)
{
    struct connection *connection = &client->connection;
    enum connection_reply_mode mode = connection->reply_mode;
    const char *last_command = connection->last_command;
    size_t before = connection->out.bytes.size;
    const struct command *command;
    if (refuse_peer(client, argv[0]) || refuse_http(client, argv[0]))
        return true;
    enum command_class class = command_classify(connection, argv, argc, &command);
    if (class == COMMAND_READ && command_is_wait(command) && !knows_of_waiting(client->clients))
        class = COMMAND_LOCAL;
    if (must_wait(client, class, command, argv, argc) ||
        must_be_encoded(client, class, command, argc)) {
        drop_encoded(client);
        connection->reply_mode = mode;
        connection->last_command = last_command;
        connection->out.bytes.size = before;
        return false;
    }
    connection->commands++;
    client->clients->stats.commands++;
    run(client, class, command, argv, argc);
    command_caching_ends(connection, command);
    count_error(client, reply_since(client, before));
    return true;
}

static bool is_divided(const struct client *client, const struct bytes *argv, uint32_t argc)
{
    if (argc <= DIVIDED_WORDS_MAX || client->connection.transaction.is_open)
        return false;
    const struct command *command = command_find(argv, argc);
    return command && command_is_divided(command);
}

/* UNSUBSCRIBE without words, of one that is subscribed to very much. */
static bool ends_many(const struct client *client, const struct bytes *argv, uint32_t argc)
{
    const struct connection *connection = &client->connection;
    uint64_t count = 0;
    for (int kind = CHANNEL_PLAIN; kind <= CHANNEL_SHARDED; kind++)
        count += connection->subscribed[kind];
    if (argc > 1 || count <= DIVIDED_WORDS_MAX || connection->transaction.is_open)
        return false;
    const struct command *command = command_find(argv, argc);
    return command && command_is_divided(command);
}

/* A share of them, and the same again in the next turn. */
static bool execute_again(struct client *client, const struct bytes *argv, uint32_t argc)
{
    client->piece_failed = false;
    if (!execute(client, argv, argc))
        return false;
    if (client->piece_failed || !command_leaves_some(&client->connection, command_find(argv, argc)))
        return true;
    client_wants_turn(client);
    return false;
}

/* The same of one that may be divided: some of its words in this turn, others in the next.  A
 * failure is the only answer to all that are left. */
static bool execute_some(struct client *client, const struct bytes *argv, uint32_t argc)
{
    struct bytes piece[1 + DIVIDED_WORDS_MAX];
    uint32_t left = argc - 1 - client->words_done;
    uint32_t count = left < DIVIDED_WORDS_MAX ? left : DIVIDED_WORDS_MAX;
    if (ends_many(client, argv, argc))
        return execute_again(client, argv, argc);
    if (client->words_done == 0 && !is_divided(client, argv, argc))
        return execute(client, argv, argc);
    client->piece_failed &= client->words_done > 0;
    if (!client->piece_failed) {
        piece[0] = argv[0];
        memcpy(piece + 1, argv + 1 + client->words_done, count * sizeof *piece);
        if (!execute(client, piece, 1 + count))
            return false;
        client->words_done += count;
        client_wants_turn(client);
    }
    if (!client->piece_failed && client->words_done < argc - 1)
        return false;
    client->words_done = 0;
    return true;
}

/* To take apart a command of very many words, and to execute it, are two turns: the last words came
 * in this one.  (The clients' turn of a reading is the next number already.) */
static bool waits_a_turn(struct client *client, uint32_t argc)
{
    uint64_t turn = client->clients->turn_number + 1;
    if (argc <= WHOLE_WORDS_MAX)
        return false;
    if (client->whole_turn == 0)
        client->whole_turn = turn;
    if (turn - client->whole_turn >= 2)
        return false;
    client_wants_turn(client);
    return true;
}

/* Some of a large one in each turn, without looking at what it is again; of those of several
 * clients the first, as they stand in line for their turns.  True: it is not whole, or whole too
 * late for this turn. */
static bool encodes(struct client *client, const struct bytes *argv, uint32_t argc)
{
    size_t *left = &client->clients->encode_left;
    if (!client->to_encode)
        return false;
    if (*left > 0)
        client->to_encode = !command_encode_some(&client->encoding, argv, argc, left);
    client_wants_turn(client);
    return true;
}

static void give_up(struct client *client, const char *error)
{
    /* client-query-buffer-limit, met before the bytes are there */
    if (strcmp(error, "Protocol error: too big command") == 0)
        client->clients->stats.closed_for_input++;
    snprintf(client->invalid, sizeof client->invalid, "%s", error);
    log_verbose("closing client %s: %s", client->connection.address, error);
}

/* What is to be said last, once every reply before it is there. */
static void finish_invalid(struct client *client)
{
    if (client->invalid[0] == '\0' || client->pipeline.count ||
        client->connection.close_after_reply)
        return;
    struct reply reply = {&client->connection.out.bytes, client->connection.protocol};
    size_t before = client->connection.out.bytes.size;
    reply_error(&reply, "ERR %s", client->invalid);
    count_error(client, reply_since(client, before));
    client->connection.close_after_reply = true;
}

/* A command that waited is not taken apart again, unless something was read meanwhile. */
static enum resp_result parse(struct client *client)
{
    if (client->command_size)
        return RESP_COMMAND;
    if (client->connection.authenticated != client->limits_authenticated)
        client_update_limits(client);
    return resp_parse(client->parser, client->in.data + client->parsed,
                      client->in.size - client->parsed, &client->command_size);
}

void client_execute(struct client *client)
{
    client->blocked = false;
    client_set_paused(client, false);
    client->full = false;
    while (client_is_open(client) && client->in.size > client->parsed) {
        uint32_t argc;
        enum resp_result result = parse(client);
        if (result == RESP_INCOMPLETE)
            break;
        if (result == RESP_INVALID) {
            give_up(client, resp_error(client->parser));
            break;
        }
        const struct bytes *argv = resp_argv(client->parser, &argc);
        if (argc > 0 && (waits_a_turn(client, argc) || encodes(client, argv, argc) ||
                         !execute_some(client, argv, argc))) {
            client->blocked = true;
            break;
        }
        client->whole_turn = 0;
        if (client->encoding.blob)
            command_encoding_drop(&client->encoding);
        check(client->command_size <= client->in.size - client->parsed);
        client->parsed += client->command_size;
        client->command_size = 0;
    }
    client->full = client->in.size > client->parsed && client_is_full(client);
    finish_invalid(client);
}
