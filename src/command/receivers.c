/* How many got a message of PUBLISH on the node whose client sent it.
 *
 * The entry tells its messages, in order, before its reply is given here (channels.h); the reply
 * came from the leader and says 0 for each.  So the numbers are put into it: of a PUBLISH, and of
 * those that EXEC carries, in order; what scripts publish has no number.  Of what ONCE carries the
 * reply stays as it is, since it has to be the same when it is asked for again. */
#include <stdio.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/channels.h"
#include "command/commands.h"
#include "command/exec_form.h"
#include "command/server.h"
#include "resp/writer.h"

bool command_is_publish(const struct command *command)
{
    return command->execute == cmd_publish || command->execute == cmd_spublish;
}

/* Of an element of EXEC. */
static bool publishes(struct bytes element)
{
    struct bytes *argv = NULL;
    uint32_t argc, capacity = 0;
    const unsigned char *kind = element.data;
    struct bytes encoded = bytes_of(kind + EXEC_HEAD_SIZE, element.size - EXEC_HEAD_SIZE);
    const struct command *command = NULL;
    if (kind[0] == EXEC_COMMAND && command_decode(encoded, &argv, &argc, &capacity))
        command = command_find(argv, argc);
    memory_free(argv);
    return command && command_is_publish(command);
}

static bool is_zero(struct bytes reply)
{
    return bytes_equal(reply, bytes_from_string(":0\r\n"));
}

/* "*<count>\r\n" in front of the elements' replies; 0: it is another reply. */
static size_t head_size(struct bytes reply, uint32_t count)
{
    char head[16];
    int size = snprintf(head, sizeof head, "*%u\r\n", count);
    bool is_array = reply.size >= (size_t)size && memcmp(reply.data, head, (size_t)size) == 0;
    return is_array ? (size_t)size : 0;
}

/* Of EXEC, which has `count` elements behind the words before them. */
static struct bytes count_all(const struct server *server, const struct bytes *elements,
                              uint32_t count, uint64_t index, struct bytes reply,
                              struct buffer *text)
{
    size_t at = head_size(reply, count);
    uint32_t nth = 0;
    if (at == 0)
        return reply;
    buffer_append(text, reply.data, at);
    for (uint32_t i = 0; i < count; i++) {
        struct bytes rest = bytes_of((const char *)reply.data + at, reply.size - at);
        struct bytes part = bytes_of(rest.data, resp_reply_size(rest));
        if (part.size == 0) /* the leader's: not what this node's state machine would say */
            return reply;
        if (publishes(elements[i]) && is_zero(part))
            buffer_printf(text, ":%u\r\n", channels_receivers(server->channels, index, nth++));
        else
            buffer_append_bytes(text, part);
        at += part.size;
    }
    return buffer_bytes(text);
}

struct bytes command_count_receivers(const struct server *server, struct bytes request,
                                     uint64_t index, struct bytes reply, struct buffer *text)
{
    struct bytes *argv = NULL;
    uint32_t argc, capacity = 0;
    const struct command *command =
        command_decode(request, &argv, &argc, &capacity) ? command_find(argv, argc) : NULL;
    if (command && command_is_publish(command) && is_zero(reply)) {
        buffer_printf(text, ":%u\r\n", channels_receivers(server->channels, index, 0));
        reply = buffer_bytes(text);
    } else if (command && command->execute == cmd_exec && argc >= EXEC_WORDS_BEFORE) {
        reply = count_all(server, argv + EXEC_WORDS_BEFORE, argc - EXEC_WORDS_BEFORE, index, reply,
                          text);
    }
    memory_free(argv);
    return reply;
}
