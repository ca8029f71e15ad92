/* SLOWLOG: what took long on this node (Redis 7.2 slowlog.c).  Local, loop thread only. */
#include "command/commands.h"
#include "command/server.h"
#include "command/slowlog.h"
#include "resp/number.h"

enum { SHOWN_USUALLY = 10 };

static void show(struct call *call, const struct slow_command *command)
{
    reply_array(call->reply, 6);
    reply_integer(call->reply, (int64_t)command->id);
    reply_integer(call->reply, command->at_s);
    reply_integer(call->reply, command->took_us);
    reply_raw(call->reply, buffer_bytes(&command->words));
    reply_bulk_string(call->reply, command->address);
    reply_bulk_string(call->reply, command->name ? command->name : "");
}

void cmd_slowlog_get(struct call *call)
{
    const struct slowlog *slowlog = call->server->slowlog;
    int64_t wanted = SHOWN_USUALLY;
    if (call->argc > 3) {
        reply_error(
            call->reply,
            "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try SLOWLOG HELP.",
            call_printed_size(call->argv[1]), (const char *)call->argv[1].data);
        return;
    }
    if (call->argc == 3 && (!number_parse_i64(call->argv[2], &wanted) || wanted < -1)) {
        reply_error(call->reply, "ERR count should be greater than or equal to -1");
        return;
    }
    uint64_t count = slowlog->count;
    if (wanted >= 0 && (uint64_t)wanted < count)
        count = (uint64_t)wanted;
    reply_array(call->reply, count);
    const struct slow_command *command = slowlog->newest;
    for (uint64_t i = 0; i < count; i++, command = command->next)
        show(call, command);
}

void cmd_slowlog_len(struct call *call)
{
    reply_integer(call->reply, (int64_t)call->server->slowlog->count);
}

void cmd_slowlog_reset(struct call *call)
{
    command_slowlog_clear(call->server->slowlog);
    call_reply_ok(call->reply);
}

void cmd_slowlog_help(struct call *call)
{
    static const char *const lines[] = {
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
        NULL};
    call_reply_help(call, lines);
}
