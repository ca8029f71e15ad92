/* CLIENT: who is connected, and what they call themselves (Redis 7.2 networking.c).
 *
 * A client's own state is in its connection; other clients are reached through the server port.
 * Local commands, loop thread only. */
#include <inttypes.h>

#include "base/memory.h"
#include "command/channels.h"
#include "command/commands.h"
#include "command/connection.h"
#include "command/server.h"
#include "command/tracking.h"
#include "resp/number.h"

void cmd_client_id(struct call *call)
{
    reply_integer(call->reply, (int64_t)call->connection->id);
}

void cmd_client_setname(struct call *call)
{
    if (!connection_is_word(call->argv[2])) {
        reply_error(call->reply, ERROR_CLIENT_NAME);
        return;
    }
    connection_set_word(&call->connection->name, call->argv[2]);
    call_reply_ok(call->reply);
}

void cmd_client_getname(struct call *call)
{
    if (call->connection->name)
        reply_bulk_string(call->reply, call->connection->name);
    else
        reply_null(call->reply);
}

void cmd_client_setinfo(struct call *call)
{
    struct bytes attribute = call->argv[2];
    int size = (int)(attribute.size < 128 ? attribute.size : 128);
    char **field = NULL;
    if (bytes_is(attribute, "lib-name"))
        field = &call->connection->lib_name;
    else if (bytes_is(attribute, "lib-ver"))
        field = &call->connection->lib_version;
    if (!field) {
        reply_error(call->reply, "ERR Unrecognized option '%.*s'", size,
                    (const char *)attribute.data);
        return;
    }
    if (!connection_is_word(call->argv[3])) {
        reply_error(call->reply, "ERR %.*s cannot contain spaces, newlines or special characters.",
                    size, (const char *)attribute.data);
        return;
    }
    connection_set_word(field, call->argv[3]);
    call_reply_ok(call->reply);
}

/* ---- switches ------------------------------------------------------------------- */

static void set_switch(struct call *call, bool *field)
{
    bool on = bytes_is(call->argv[2], "on");
    if (!on && !bytes_is(call->argv[2], "off")) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    *field = on;
    call_reply_ok(call->reply);
}

void cmd_client_no_evict(struct call *call)
{
    set_switch(call, &call->connection->no_evict);
}

void cmd_client_no_touch(struct call *call)
{
    set_switch(call, &call->connection->no_touch);
}

void cmd_client_reply(struct call *call)
{
    struct connection *connection = call->connection;
    if (bytes_is(call->argv[2], "on")) {
        connection->reply_mode = CONNECTION_REPLY_ON;
        call->reply->out = &connection->out.bytes; /* this very command is answered again */
        call_reply_ok(call->reply);
    } else if (bytes_is(call->argv[2], "off")) {
        connection->reply_mode = CONNECTION_REPLY_OFF;
    } else if (bytes_is(call->argv[2], "skip")) {
        if (connection->reply_mode != CONNECTION_REPLY_OFF)
            connection->reply_mode = CONNECTION_REPLY_SKIP_NEXT;
    } else {
        reply_error(call->reply, ERROR_SYNTAX);
    }
}

/* ---- INFO and LIST ------------------------------------------------------------------- */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static int64_t seconds_since(int64_t then_ms, int64_t now_ms)
{
    return now_ms > then_ms ? (now_ms - then_ms) / 1000 : 0;
}

enum { FLAGS_SIZE = 17 };

/* Redis's flags that can be true here, in Redis's order; N: none. */
static void print_flags(const struct connection *connection, char flags[FLAGS_SIZE])
{
    const struct transaction *transaction = &connection->transaction;
    const struct {
        char letter;
        bool is_set;
    } all[] = {{'O', connection->is_monitor},
               {'P', connection_is_subscribed(connection)},
               {'x', transaction->is_open},
               {'b', connection->waits || connection->is_paused},
               {'t', (connection->tracking.flags & TRACKING_ON) != 0},
               {'R', (connection->tracking.flags & TRACKING_BROKEN) != 0},
               {'B', (connection->tracking.flags & TRACKING_BCAST) != 0},
               {'c', connection->close_after_reply},
               {'e', connection->no_evict},
               {'T', connection->no_touch}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].is_set)
            flags[count++] = all[i].letter;
    if (count == 0)
        flags[count++] = 'N';
    flags[count] = '\0';
}

static void describe(const struct connection *connection, int64_t now_ms, struct buffer *out)
{
    char flags[FLAGS_SIZE];
    print_flags(connection, flags);
    buffer_printf(out, "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%s", connection->id,
                  connection->address, connection->local_address, connection->fd,
                  or_empty(connection->name));
    buffer_printf(
        out, " age=%" PRId64 " idle=%" PRId64 " flags=%s db=%u sub=%u psub=%u ssub=%u multi=%d",
        seconds_since(connection->created_ms, now_ms),
        seconds_since(connection->last_active_ms, now_ms), flags, connection->database,
        connection->subscribed[CHANNEL_PLAIN], connection->subscribed[CHANNEL_PATTERN],
        connection->subscribed[CHANNEL_SHARDED],
        connection->transaction.is_open ? (int)connection->transaction.count : -1);
    buffer_printf(out, " qbuf=%zu qbuf-free=%zu argv-mem=%zu multi-mem=%zu",
                  connection->query_bytes, connection->query_free_bytes, connection->argv_bytes,
                  connection->transaction.elements.size + connection->transaction.watches.size);
    /* Small replies are in one buffer; the list is that of large ones. */
    const struct outbox *replies = &connection->out;
    buffer_printf(out, " rbs=%zu rbp=%zu obl=%zu oll=%u omem=%zu tot-mem=%zu events=%s",
                  replies->bytes.capacity, replies->bytes.capacity,
                  replies->bytes.size - replies->sent, replies->count - replies->first,
                  replies->referenced, connection->memory_bytes, connection->writing ? "rw" : "r");
    buffer_printf(out, " cmd=%s user=default redir=%" PRId64 " resp=%d lib-name=%s lib-ver=%s\n",
                  connection->last_command ? connection->last_command : "NULL",
                  tracking_redirect(connection), connection->protocol,
                  or_empty(connection->lib_name), or_empty(connection->lib_version));
}

/* Redis's other kinds are known, and have no clients. */
enum client_type { CLIENT_ANY, CLIENT_NORMAL, CLIENT_PUBSUB, CLIENT_OTHER };

static bool parse_client_type(struct call *call, struct bytes word, enum client_type *type)
{
    if (bytes_is(word, "normal"))
        *type = CLIENT_NORMAL;
    else if (bytes_is(word, "pubsub"))
        *type = CLIENT_PUBSUB;
    else if (bytes_is(word, "replica") || bytes_is(word, "slave") || bytes_is(word, "master"))
        *type = CLIENT_OTHER;
    else {
        reply_error(call->reply, "ERR Unknown client type '%.*s'",
                    (int)(word.size < 128 ? word.size : 128), (const char *)word.data);
        return false;
    }
    return true;
}

static bool is_of_type(const struct connection *connection, enum client_type type)
{
    bool is_subscribed = connection_is_subscribed(connection);
    return type == CLIENT_ANY || type == (is_subscribed ? CLIENT_PUBSUB : CLIENT_NORMAL);
}

struct listing {
    struct buffer text;
    int64_t now_ms;
    uint64_t id; /* 0: all */
    enum client_type type;
};

static bool list_client(void *context, struct connection *connection)
{
    struct listing *listing = context;
    if ((listing->id == 0 || listing->id == connection->id) &&
        is_of_type(connection, listing->type))
        describe(connection, listing->now_ms, &listing->text);
    return true;
}

void cmd_client_info(struct call *call)
{
    struct listing listing = {.now_ms = call->now_ms, .id = call->connection->id};
    call->server->ops->each_client(call->server, list_client, &listing);
    reply_verbatim(call->reply, buffer_bytes(&listing.text));
    buffer_deinit(&listing.text);
}

/* False: answered with the error. */
static bool list_ids(struct call *call, struct listing *listing)
{
    for (uint32_t i = 3; i < call->argc; i++) {
        int64_t id;
        if (!number_parse_i64(call->argv[i], &id)) {
            reply_error(call->reply, "ERR Invalid client ID");
            return false;
        }
        if (id <= 0)
            continue;
        listing->id = (uint64_t)id;
        call->server->ops->each_client(call->server, list_client, listing);
    }
    return true;
}

/* False: answered with the error. */
static bool list_clients(struct call *call, struct listing *listing)
{
    if (call->argc == 4 && bytes_is(call->argv[2], "type")) {
        if (!parse_client_type(call, call->argv[3], &listing->type))
            return false;
    } else if (call->argc > 3 && bytes_is(call->argv[2], "id")) {
        return list_ids(call, listing);
    } else if (call->argc != 2) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    call->server->ops->each_client(call->server, list_client, listing);
    return true;
}

void cmd_client_list(struct call *call)
{
    struct listing listing = {.now_ms = call->now_ms};
    if (list_clients(call, &listing))
        reply_verbatim(call->reply, buffer_bytes(&listing.text));
    buffer_deinit(&listing.text);
}

/* ---- KILL --------------------------------------------------------------------------- */

/* Which clients to kill, and those found: killing waits until the list is no longer walked. */
struct kill {
    struct call *call;
    uint64_t id;                         /* 0: any */
    int64_t age_s;                       /* at least; 0: any */
    struct bytes address, local_address; /* data NULL: any */
    enum client_type type;
    bool skip_me;
    struct connection **found;
    uint32_t found_count;
};

static bool is_other_text(struct bytes wanted, const char *text)
{
    return wanted.data && !bytes_equal(wanted, bytes_from_string(text));
}

static bool find_client(void *context, struct connection *connection)
{
    struct kill *kill = context;
    if (kill->id && kill->id != connection->id)
        return true;
    if (is_other_text(kill->address, connection->address) ||
        is_other_text(kill->local_address, connection->local_address))
        return true;
    if (kill->age_s && seconds_since(connection->created_ms, kill->call->now_ms) < kill->age_s)
        return true;
    if (!is_of_type(connection, kill->type))
        return true;
    if (kill->skip_me && connection == kill->call->connection)
        return true;
    kill->found = memory_resize(kill->found, (kill->found_count + 1) * sizeof(kill->found[0]));
    kill->found[kill->found_count++] = connection;
    return true;
}

static void kill_clients(struct kill *kill)
{
    struct call *call = kill->call;
    call->server->ops->each_client(call->server, find_client, kill);
    for (uint32_t i = 0; i < kill->found_count; i++) {
        if (kill->found[i] == call->connection)
            call->connection->close_after_reply = true;
        else
            call->server->ops->kill_client(call->server, kill->found[i]);
    }
    memory_free(kill->found);
}

/* Newer: of Redis 7.4.  False: answered with the error. */
static bool kill_age(struct call *call, struct kill *kill, struct bytes value)
{
    if (!number_parse_i64(value, &kill->age_s))
        return call_refuse(call, "ERR maxage is not an integer or out of range");
    if (kill->age_s <= 0)
        return call_refuse(call, "ERR maxage should be greater than 0");
    return true;
}

/* Takes one option of the new form.  False: answered with the error. */
static bool kill_option(struct call *call, struct kill *kill, struct bytes name, struct bytes value)
{
    int64_t id;
    if (bytes_is(name, "id")) {
        bool valid = number_parse_i64(value, &id) && id > 0;
        if (!valid)
            reply_error(call->reply, "ERR client-id should be greater than 0");
        else
            kill->id = (uint64_t)id;
        return valid;
    }
    if (bytes_is(name, "maxage"))
        return kill_age(call, kill, value);
    if (bytes_is(name, "type"))
        return parse_client_type(call, value, &kill->type);
    if (bytes_is(name, "addr")) {
        kill->address = value;
    } else if (bytes_is(name, "laddr")) {
        kill->local_address = value;
    } else if (bytes_is(name, "user")) {
        if (!bytes_equal(value, bytes_from_string("default"))) {
            reply_error(call->reply, "ERR No such user '%.*s'",
                        (int)(value.size < 128 ? value.size : 128), (const char *)value.data);
            return false;
        }
    } else if (bytes_is(name, "skipme") && (bytes_is(value, "yes") || bytes_is(value, "no"))) {
        kill->skip_me = bytes_is(value, "yes");
    } else {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

void cmd_client_kill(struct call *call)
{
    struct kill kill = {.call = call, .skip_me = true};
    if (call->argc == 3) { /* the old form, in which one may kill oneself */
        kill.address = call->argv[2];
        kill.skip_me = false;
        kill_clients(&kill);
        if (kill.found_count)
            call_reply_ok(call->reply);
        else
            reply_error(call->reply, "ERR No such client");
        return;
    }
    for (uint32_t i = 2; i < call->argc; i += 2) {
        if (i + 1 == call->argc) {
            reply_error(call->reply, ERROR_SYNTAX);
            return;
        }
        if (!kill_option(call, &kill, call->argv[i], call->argv[i + 1]))
            return;
    }
    kill_clients(&kill);
    reply_integer(call->reply, kill.found_count);
}

void cmd_client_unblock(struct call *call)
{
    int64_t id;
    bool is_error = call->argc == 4 && bytes_is(call->argv[3], "error");
    if (call->argc > 4 || (call->argc == 4 && !is_error && !bytes_is(call->argv[3], "timeout")))
        reply_error(call->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    else if (call_integer(call, 2, &id))
        reply_integer(call->reply, id > 0 && call->server->ops->unblock_client(
                                                 call->server, (uint64_t)id, is_error));
}

void cmd_client_pause(struct call *call)
{
    int64_t ms;
    bool is_all = call->argc == 3 || bytes_is(call->argv[3], "all");
    if (call->argc > 4)
        call_refuse(call, "ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try "
                          "CLIENT HELP.");
    else if (!is_all && !bytes_is(call->argv[3], "write"))
        call_refuse(call, "ERR CLIENT PAUSE mode must be WRITE or ALL");
    else if (!number_parse_i64(call->argv[2], &ms))
        call_refuse(call, "ERR timeout is not an integer or out of range");
    else if (ms < 0)
        call_refuse(call, "ERR timeout is negative");
    else {
        call->server->ops->pause_clients(call->server, ms, is_all);
        call_reply_ok(call->reply);
    }
}

void cmd_client_unpause(struct call *call)
{
    call->server->ops->unpause_clients(call->server);
    call_reply_ok(call->reply);
}

void cmd_client_help(struct call *call)
{
    static const char *const lines[] = {
        "GETNAME",
        "    The name given with SETNAME.",
        "ID",
        "    The number of this connection.",
        "INFO",
        "    The line that LIST prints for this connection.",
        "KILL (<ip:port> | <option> <value> [<option> <value> [...]])",
        "    Close connections. Options: ID, ADDR, LADDR, TYPE, USER, SKIPME (YES|NO), MAXAGE.",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <id> [<id> [...]]]",
        "    One line for each connection.",
        "NO-EVICT (ON|OFF)",
        "    Accepted; no client is ever evicted.",
        "NO-TOUCH (ON|OFF)",
        "    Accepted; keys have no access time.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend the clients of this node, for so many milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Whether this connection gets replies.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    Tell which library this client uses.",
        "SETNAME <name>",
        "    Give this connection a name.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    End the waiting of a client of this node.",
        "UNPAUSE",
        "    End a pause.",
        NULL};
    call_reply_help(call, lines);
}
