/* RAFT.WATCH and RAFT.UNWATCH; see watch.h.  Local, loop thread only. */
#include "base/fatal.h"
#include "base/memory.h"
#include "command/commands.h"
#include "command/server.h"
#include "command/watch.h"

/* RAFT.WATCH FROM position [PREFIX prefix | KEY key]... [VALUES] */
enum { FIRST_FILTER = 3 };

bool words_raft_watch(struct call *call)
{
    struct position from;
    uint32_t filters = 0;
    size_t bytes = 0;
    if (!bytes_is(call->argv[1], "from"))
        return call_refuse(call, ERROR_SYNTAX);
    if (!bytes_is(call->argv[2], "$") && !command_position_parse(call->argv[2], &from))
        return call_refuse(call, "ERR a position is INDEX, INDEX-CHANGE or $");
    for (uint32_t i = FIRST_FILTER; i < call->argc; i++) {
        bool is_filter = bytes_is(call->argv[i], "prefix") || bytes_is(call->argv[i], "key");
        if (is_filter && i + 1 < call->argc) {
            filters++;
            bytes += call->argv[++i].size;
        } else if (is_filter || !bytes_is(call->argv[i], "values")) {
            return call_refuse(call, ERROR_SYNTAX);
        }
    }
    if (filters > WATCH_FILTERS_MAX || bytes > WATCH_FILTERS_BYTES_MAX)
        return call_refuse(call, "ERR at most 128 keys and prefixes of 1 MB in all can be watched");
    return true;
}

static void add_filter(struct watch *watch, bool is_prefix, struct bytes text)
{
    struct watch_filter *filter = &watch->filters[watch->filters_count++];
    check(watch->filters_count <= WATCH_FILTERS_MAX);
    filter->is_prefix = is_prefix;
    filter->size = text.size;
    filter->data = memory_copy(text.data, text.size);
}

static struct watch *make(const struct call *call, struct position from)
{
    uint32_t filters_max = (call->argc - FIRST_FILTER) / 2;
    struct watch *watch = memory_new(sizeof *watch + filters_max * sizeof(struct watch_filter));
    watch->told = watch->said = from;
    for (uint32_t i = FIRST_FILTER; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "values"))
            watch->has_values = true;
        else
            add_filter(watch, bytes_is(call->argv[i], "prefix"), call->argv[i + 1]);
        i += !bytes_is(call->argv[i], "values");
    }
    return watch;
}

void cmd_raft_watch(struct call *call)
{
    const struct history *history = call->server->history;
    char oldest[POSITION_SIZE], begins[POSITION_SIZE];
    struct position from = {db_applied_index(command_history_db(history)), POSITION_WHOLE};
    bool is_now = bytes_is(call->argv[2], "$");
    bool is_parsed = is_now || command_position_parse(call->argv[2], &from);
    check(is_parsed); /* words_raft_watch() */
    if (!command_history_has(history, from)) {
        command_position_print(command_history_floor(history), oldest);
        reply_error(call->reply,
                    "WATCHTOOOLD what follows this position is not kept on this node "
                    "any more: the oldest from which one can watch is %s",
                    oldest);
        return;
    }
    command_watch_free(call->connection->watch);
    call->connection->watch = make(call, from);
    call->connection->watch->cursor = command_history_find(history, from);
    command_position_print(from, begins);
    reply_bulk_string(call->reply, begins);
}

void cmd_raft_unwatch(struct call *call)
{
    command_watch_free(call->connection->watch);
    call->connection->watch = NULL;
    call_reply_ok(call->reply);
}

/* In RESP2 a reply could not be told from a frame. */
bool command_watch_lets(const struct connection *connection, struct call *call)
{
    command_fn *const others[] = {cmd_ping, cmd_quit, cmd_reset, cmd_raft_watch, cmd_raft_unwatch};
    if (!connection->watch || connection->protocol > 2)
        return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (call->command->execute == others[i])
            return true;
    reply_error(call->reply,
                "ERR Can't execute '%s': only RAFT.WATCH / RAFT.UNWATCH / PING / QUIT / RESET are "
                "allowed in this context",
                call->command->name);
    return false;
}
