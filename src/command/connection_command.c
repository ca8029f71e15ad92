/* The connection itself: protocol version, authentication, life signs (Redis 7.2 networking.c,
 * acl.c).  Local commands, loop thread only. */
#include "base/memory.h"
#include "command/channels.h"
#include "command/commands.h"
#include "command/connection.h"
#include "command/server.h"
#include "command/tracking.h"
#include "resp/number.h"

void cmd_ping(struct call *call)
{
    struct bytes text = call->argc == 2 ? call->argv[1] : bytes_of("", 0);
    if (call->argc > 2) {
        call_wrong_arity(call);
    } else if (call->connection && call->connection->protocol == 2 &&
               connection_is_subscribed(call->connection)) {
        reply_array(call->reply, 2);
        reply_bulk_string(call->reply, "pong");
        reply_bulk(call->reply, text);
    } else if (call->argc == 2) {
        reply_bulk(call->reply, text);
    } else {
        reply_simple(call->reply, "PONG");
    }
}

void cmd_echo(struct call *call)
{
    reply_bulk(call->reply, call->argv[1]);
}

void cmd_quit(struct call *call)
{
    call_reply_ok(call->reply);
    call->connection->close_after_reply = true;
}

static bool needs_password(struct call *call)
{
    return call->server->ops->password(call->server).size != 0;
}

void cmd_reset(struct call *call)
{
    tracking_end(call->server->channels, call->connection);
    channels_leave(call->server->channels, call->connection);
    connection_reset(call->connection, needs_password(call));
    call->reply->protocol = call->connection->protocol;
    call->reply->out = &call->connection->out.bytes; /* CLIENT REPLY OFF is reset, too */
    reply_simple(call->reply, "RESET");
}

/* ---- names -------------------------------------------------------------------- */

bool connection_is_word(struct bytes word)
{
    const char *letters = word.data;
    for (size_t i = 0; i < word.size; i++)
        if (letters[i] < '!' || letters[i] > '~')
            return false;
    return true;
}

void connection_set_word(char **field, struct bytes word)
{
    memory_free(*field);
    *field = NULL;
    if (word.size == 0)
        return;
    *field = memory_new(word.size + 1);
    memcpy(*field, word.data, word.size);
}

/* ---- authentication ------------------------------------------------------------ */

/* Takes as long for a near miss as for a far one. */
static bool equal_secret(struct bytes given, struct bytes secret)
{
    const unsigned char *letters = given.data, *wanted = secret.data;
    unsigned difference = given.size != secret.size;
    for (size_t i = 0; i < given.size; i++)
        difference |= letters[i] ^ wanted[i % secret.size];
    return difference == 0;
}

/* One user, "default".  Without a password configured any will do, as in Redis. */
static bool authenticate(struct call *call, struct bytes user, struct bytes password)
{
    struct bytes secret = call->server->ops->password(call->server);
    bool known = bytes_equal(user, bytes_from_string("default"));
    if (known && (secret.size == 0 || equal_secret(password, secret))) {
        call->connection->authenticated = true;
        return true;
    }
    reply_error(call->reply, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

void cmd_auth(struct call *call)
{
    if (call->argc > 3) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    if (call->argc == 2 && !needs_password(call)) {
        reply_error(call->reply,
                    "ERR AUTH <password> called without any password configured for the default "
                    "user. Are you sure your configuration is correct?");
        return;
    }
    struct bytes user = call->argc == 3 ? call->argv[1] : bytes_from_string("default");
    if (authenticate(call, user, call->argv[call->argc - 1]))
        call_reply_ok(call->reply);
}

/* ---- HELLO ---------------------------------------------------------------------- */

struct hello {
    int64_t protocol; /* 0: as it is */
    struct bytes user, password, name;
    bool has_auth, has_name;
};

/* False: answered with the error. */
static bool hello_protocol(struct call *call, struct hello *hello)
{
    if (call->argc == 1)
        return true;
    if (!number_parse_i64(call->argv[1], &hello->protocol)) {
        reply_error(call->reply, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (hello->protocol < 2 || hello->protocol > 3) {
        reply_error(call->reply, "NOPROTO unsupported protocol version");
        return false;
    }
    return true;
}

static bool hello_options(struct call *call, struct hello *hello)
{
    for (uint32_t i = 2; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        uint32_t operands = call->argc - 1 - i;
        if (bytes_is(word, "auth") && operands >= 2) {
            hello->user = call->argv[++i];
            hello->password = call->argv[++i];
            hello->has_auth = true;
        } else if (bytes_is(word, "setname") && operands >= 1) {
            hello->name = call->argv[++i];
            hello->has_name = true;
            if (!connection_is_word(hello->name)) {
                reply_error(call->reply, ERROR_CLIENT_NAME);
                return false;
            }
        } else {
            reply_error(call->reply, "ERR Syntax error in HELLO option '%.*s'",
                        (int)(word.size < 128 ? word.size : 128), (const char *)word.data);
            return false;
        }
    }
    return true;
}

static bool is_leader(struct server *server)
{
    struct server_raft raft;
    server->ops->raft(server, &raft);
    return raft.status.role == RAFT_LEADER;
}

static void reply_hello(struct call *call)
{
    struct reply *reply = call->reply;
    reply_map(reply, 7);
    reply_bulk_string(reply, "server");
    reply_bulk_string(reply, "redis");
    reply_bulk_string(reply, "version");
    reply_bulk_string(reply, REDIS_VERSION);
    reply_bulk_string(reply, "proto");
    reply_integer(reply, call->connection->protocol);
    reply_bulk_string(reply, "id");
    reply_integer(reply, (int64_t)call->connection->id);
    reply_bulk_string(reply, "mode");
    reply_bulk_string(reply, "standalone");
    reply_bulk_string(reply, "role");
    reply_bulk_string(reply, is_leader(call->server) ? "master" : "replica");
    reply_bulk_string(reply, "modules");
    reply_array(reply, 0);
}

void cmd_hello(struct call *call)
{
    struct hello hello = {0};
    if (!hello_protocol(call, &hello) || !hello_options(call, &hello))
        return;
    if (hello.has_auth && !authenticate(call, hello.user, hello.password))
        return;
    if (!call->connection->authenticated) {
        reply_error(call->reply,
                    "NOAUTH HELLO must be called with the client already authenticated, otherwise "
                    "the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
                    "client and select the RESP protocol version at the same time");
        return;
    }
    if (hello.has_name)
        connection_set_word(&call->connection->name, hello.name);
    if (hello.protocol) {
        call->connection->protocol = (int)hello.protocol;
        call->reply->protocol = (int)hello.protocol;
    }
    reply_hello(call);
}
