/* MONITOR: what the clients of this node say, as it is accepted here.
 *
 * Redis shows what the server executes.  Here reads are executed by the leader and writes by every
 * node, whoever was asked; so a node shows what its own clients said that is local, sent on or
 * queued behind MULTI, in the order in which each client's commands take effect.  Who wants to see
 * all of the cluster monitors each node.  Loop thread only. */
#include "command/monitor.h"

#include <inttypes.h>

#include "command/commands.h"
#include "command/redact.h"

void cmd_monitor(struct call *call)
{
    if (call->connection->is_monitor) /* Redis says nothing */
        return;
    call->connection->is_monitor = true;
    call_reply_ok(call->reply);
}

/* Redis takes it for a replica.  False: answered. */
bool command_monitor_lets(const struct connection *connection, struct call *call)
{
    if (!connection->is_monitor || !(call->command->flags & (CMD_READ | CMD_WRITE)))
        return true;
    return call_refuse(call, "ERR Replica can't interact with the keyspace");
}

bool command_is_monitored(const struct command *command)
{
    return !(command->flags & (CMD_ADMIN | CMD_INTERNAL)) && command->execute != cmd_monitor;
}

static void append_letter(struct buffer *out, unsigned char letter)
{
    static const char plain[] = "\\\"\n\r\t\a\b", names[] = "\\\"nrtab";
    const char *special = letter ? strchr(plain, letter) : NULL;
    if (special)
        buffer_printf(out, "\\%c", names[special - plain]);
    else if (letter >= ' ' && letter <= '~')
        buffer_append_byte(out, (char)letter);
    else
        buffer_printf(out, "\\x%02x", letter);
}

static void append_word(struct buffer *out, struct bytes word)
{
    const unsigned char *letters = word.data;
    size_t shown = out->size < MONITOR_LINE_MAX ? MONITOR_LINE_MAX - out->size : 0;
    bool is_cut = word.size > shown;
    buffer_append(out, " \"", 2);
    for (size_t i = 0; i < (is_cut ? shown : word.size); i++)
        append_letter(out, letters[i]);
    if (is_cut)
        buffer_printf(out, "... (%zu more bytes)", word.size - shown);
    buffer_append_byte(out, '"');
}

void command_monitor_line(const struct monitored *said, struct buffer *out)
{
    buffer_clear(out);
    buffer_printf(out, "+%" PRId64 ".%06d [%u %s]", said->now_us / 1000000,
                  (int)(said->now_us % 1000000), said->database, said->address);
    uint32_t i = 0;
    for (; i < said->argc && out->size < MONITOR_LINE_MAX; i++)
        append_word(out, command_shown_word(said->command, said->argv, i));
    if (i < said->argc)
        buffer_printf(out, " \"... (%" PRIu32 " more arguments)\"", said->argc - i);
    buffer_append(out, "\r\n", 2);
}
