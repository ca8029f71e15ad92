/* Which entries may take long: a guess that decides nothing but whether reads go on meanwhile
 * (db_part()).  One that is wrong costs others a wait, or this one a layer. */
#include "command/commands.h"
#include "command/string_parts.h"

enum { LONG_WORDS = 2048 };

static bool carried_may_take_long(const struct call *once)
{
    struct call inner = {.argv = once->argv + 3, .argc = once->argc - 3, .meaning = once->meaning};
    inner.command = command_find(inner.argv, inner.argc);
    return inner.command && inner.command->execute != cmd_once && command_may_take_long(&inner);
}

/* What only pops or draws one element is as short as it is common. */
static bool is_of_one(const struct call *call)
{
    return call->command->flags & CMD_FAST && call->argc <= 2;
}

bool command_may_take_long(const struct call *call)
{
    const struct command *command = call->command;
    if (call->argc >= LONG_WORDS)
        return true;
    if (command->flags & CMD_LONG)
        return !is_of_one(call);
    if (command->flags & CMD_PUTS || command->execute == cmd_append ||
        command->execute == cmd_setrange)
        return string_words_take_long(call);
    if (command->execute == cmd_once)
        return carried_may_take_long(call);
    return command->execute == cmd_exec && command_exec_may_take_long(call);
}
