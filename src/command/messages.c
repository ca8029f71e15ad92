/* PUBLISH and its subscribers (Redis 7.2 pubsub.c).
 *
 * PUBLISH is a write that changes nothing: its entry tells a message (channels.h).  How many got it
 * is a matter of the node that the client is connected to, so the entry's reply says 0, and that
 * node puts the number in its place (receivers.c).  A script goes on with the reply, alike on all
 * nodes, so there it stays 0.
 *
 * SUBSCRIBE is executed on the connection, but asks the leader first, as a read does, where the log
 * stands: what is published later is for the subscriber, what was published before is not, however
 * far behind this node is.  So it is refused where there is no majority, like any command that
 * could not keep what it promises.
 *
 * Loop thread only. */
#include "base/fatal.h"
#include "base/memory.h"
#include "command/channels.h"
#include "command/commands.h"
#include "command/connection.h"
#include "command/server.h"

enum {
    SUBSCRIPTIONS_MAX = 1 << 20,                   /* of one connection, */
    SUBSCRIBED_BYTES_MAX = COMMAND_ENCODED_MAX / 4 /* and the bytes of their names */
};

/* ---- publishing ----------------------------------------------------------------------- */

void cmd_publish(struct call *call)
{
    db_effects_message(call->db, false, call->is_of_script, call->argv[1], call->argv[2]);
    reply_integer(call->reply, 0);
}

void cmd_spublish(struct call *call)
{
    db_effects_message(call->db, true, call->is_of_script, call->argv[1], call->argv[2]);
    reply_integer(call->reply, 0);
}

/* ---- subscribing ------------------------------------------------------------------------ */

/* What RESP3 says in between, and RESP2 too where it is subscribed; also while CLIENT REPLY is
 * off. */
static struct reply push_to(struct connection *connection)
{
    return (struct reply){&connection->out.bytes, connection->protocol};
}

static uint32_t count_of(const struct connection *connection, enum channel_kind kind)
{
    return kind == CHANNEL_SHARDED
               ? connection->subscribed[CHANNEL_SHARDED]
               : connection->subscribed[CHANNEL_PLAIN] + connection->subscribed[CHANNEL_PATTERN];
}

static void say(struct connection *connection, const char *what, struct bytes name, bool is_null,
                enum channel_kind kind)
{
    struct reply push = push_to(connection);
    reply_push(&push, 3);
    reply_bulk_string(&push, what);
    call_reply_value(&push, name, !is_null);
    reply_integer(&push, count_of(connection, kind));
}

/* Behind the position that the leader gave. */
static void subscribe(struct call *call, enum channel_kind kind, const char *what)
{
    struct connection *connection = call->connection;
    for (uint32_t i = 1; i < call->argc; i++) {
        (void)channels_subscribe(call->server->channels, connection, kind, call->argv[i],
                                 connection->position);
        say(connection, what, call->argv[i], false, kind);
    }
}

void cmd_subscribe(struct call *call)
{
    subscribe(call, CHANNEL_PLAIN, "subscribe");
}

void cmd_psubscribe(struct call *call)
{
    subscribe(call, CHANNEL_PATTERN, "psubscribe");
}

void cmd_ssubscribe(struct call *call)
{
    subscribe(call, CHANNEL_SHARDED, "ssubscribe");
}

bool command_is_subscribe(const struct command *command)
{
    return command->execute == cmd_subscribe || command->execute == cmd_psubscribe ||
           command->execute == cmd_ssubscribe;
}

bool command_is_divided(const struct command *command)
{
    return command_is_subscribe(command) || command->execute == cmd_unsubscribe ||
           command->execute == cmd_punsubscribe || command->execute == cmd_sunsubscribe;
}

bool words_subscribe(struct call *call)
{
    const struct connection *connection = call->connection;
    uint64_t count = call->argc;
    size_t bytes = connection->subscribed_bytes;
    for (int kind = 0; kind <= CHANNEL_SHARDED; kind++)
        count += connection->subscribed[kind];
    for (uint32_t i = 1; i < call->argc; i++)
        bytes += call->argv[i].size;
    if (count <= SUBSCRIPTIONS_MAX && bytes <= SUBSCRIBED_BYTES_MAX)
        return true;
    reply_error(call->reply, "ERR too much is subscribed to");
    return false;
}

/* What stands in the place of SUBSCRIBE on its way to the leader. */
void cmd_position(struct call *call)
{
    reply_integer(call->reply, (int64_t)db_applied_index(call->db));
}

/* ---- unsubscribing ---------------------------------------------------------------------- */

static void unsubscribe_from(struct call *call, enum channel_kind kind, const char *what,
                             struct bytes name)
{
    struct bytes copy = name; /* it may be the channel's own, which ends */
    copy.data = name.size ? memory_copy(name.data, name.size) : "";
    (void)channels_unsubscribe(call->server->channels, call->connection, kind, copy);
    say(call->connection, what, copy, false, kind);
    if (name.size)
        memory_free((void *)(uintptr_t)copy.data);
}

static void unsubscribe(struct call *call, enum channel_kind kind, const char *what)
{
    struct connection *connection = call->connection;
    for (uint32_t i = 1; i < call->argc; i++)
        unsubscribe_from(call, kind, what, call->argv[i]);
    if (call->argc > 1)
        return;
    if (connection->subscribed[kind] == 0)
        say(connection, what, bytes_of(NULL, 0), true, kind);
    for (int i = 0; i < DIVIDED_WORDS_MAX && connection->subscribed[kind] > 0; i++)
        unsubscribe_from(call, kind, what, channels_first(connection, kind));
}

void cmd_unsubscribe(struct call *call)
{
    unsubscribe(call, CHANNEL_PLAIN, "unsubscribe");
}

void cmd_punsubscribe(struct call *call)
{
    unsubscribe(call, CHANNEL_PATTERN, "punsubscribe");
}

void cmd_sunsubscribe(struct call *call)
{
    unsubscribe(call, CHANNEL_SHARDED, "sunsubscribe");
}

bool command_leaves_some(const struct connection *connection, const struct command *command)
{
    command_fn *execute = command->execute;
    return (execute == cmd_unsubscribe && connection->subscribed[CHANNEL_PLAIN] > 0) ||
           (execute == cmd_punsubscribe && connection->subscribed[CHANNEL_PATTERN] > 0) ||
           (execute == cmd_sunsubscribe && connection->subscribed[CHANNEL_SHARDED] > 0);
}

enum channel_kind channels_ended_by(const struct command *command, const struct bytes *argv,
                                    uint32_t argc)
{
    if (command->execute == cmd_reset)
        return CHANNEL_PLAIN;
    if (command->execute == cmd_client_tracking && argc == 3 && bytes_is(argv[2], "off"))
        return CHANNEL_TRACKED;
    return CHANNEL_KINDS;
}

/* ---- what a subscriber may say ------------------------------------------------------------ */

bool connection_is_subscribed(const struct connection *connection)
{
    return connection->subscribed[CHANNEL_PLAIN] || connection->subscribed[CHANNEL_PATTERN] ||
           connection->subscribed[CHANNEL_SHARDED];
}

/* In RESP2 a reply could not be told from a message. */
bool command_may_be_said(const struct connection *connection, struct call *call)
{
    command_fn *execute = call->command->execute;
    if (connection->protocol != 2 || !connection_is_subscribed(connection))
        return true;
    if (command_is_subscribe(call->command) || execute == cmd_unsubscribe ||
        execute == cmd_punsubscribe || execute == cmd_sunsubscribe || execute == cmd_ping ||
        execute == cmd_quit || execute == cmd_reset)
        return true;
    reply_error(call->reply,
                "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
                "RESET are allowed in this context",
                call->command->name);
    return false;
}

/* ---- PUBSUB ------------------------------------------------------------------------------- */

struct listing {
    struct reply names; /* into `text` */
    struct buffer text;
    struct bytes pattern; /* data NULL: all */
    uint64_t count;
};

static void list(void *context, struct bytes name)
{
    struct listing *listing = context;
    if (listing->pattern.data && !command_glob_match(listing->pattern, name, false))
        return;
    reply_bulk(&listing->names, name);
    listing->count++;
}

static void list_channels(struct call *call, enum channel_kind kind)
{
    struct listing listing = {.pattern = call->argc == 3 ? call->argv[2] : bytes_of(NULL, 0)};
    listing.names = (struct reply){&listing.text, call->reply->protocol};
    if (call->argc > 3) {
        reply_error(call->reply,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try PUBSUB "
                    "HELP.",
                    call_printed_size(call->argv[1]), (const char *)call->argv[1].data);
        return;
    }
    channels_each(call->server->channels, kind, list, &listing);
    reply_array(call->reply, listing.count);
    reply_raw(call->reply, buffer_bytes(&listing.text));
    buffer_deinit(&listing.text);
}

static void count_subscribers(struct call *call, enum channel_kind kind)
{
    reply_array(call->reply, 2 * ((uint64_t)call->argc - 2));
    for (uint32_t i = 2; i < call->argc; i++) {
        reply_bulk(call->reply, call->argv[i]);
        reply_integer(call->reply,
                      channels_subscribers(call->server->channels, kind, call->argv[i]));
    }
}

void cmd_pubsub_channels(struct call *call)
{
    list_channels(call, CHANNEL_PLAIN);
}

void cmd_pubsub_shardchannels(struct call *call)
{
    list_channels(call, CHANNEL_SHARDED);
}

void cmd_pubsub_numsub(struct call *call)
{
    count_subscribers(call, CHANNEL_PLAIN);
}

void cmd_pubsub_shardnumsub(struct call *call)
{
    count_subscribers(call, CHANNEL_SHARDED);
}

void cmd_pubsub_numpat(struct call *call)
{
    reply_integer(call->reply, channels_count(call->server->channels, CHANNEL_PATTERN));
}

void cmd_pubsub_help(struct call *call)
{
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    The channels that have subscribers on this node.",
        "NUMPAT",
        "    The number of patterns that are subscribed to on this node.",
        "NUMSUB [<channel> ...]",
        "    The number of subscribers of channels on this node, without patterns.",
        "SHARDCHANNELS [<pattern>]",
        "    The channels of SSUBSCRIBE that have subscribers on this node.",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    The number of their subscribers on this node.",
        NULL};
    call_reply_help(call, lines);
}
