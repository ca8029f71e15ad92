/* SCRIPT (Redis 7.2 eval.c). */
#include <ctype.h>

#include "command/eval.h"
#include "command/function_store.h"
#include "command/script_store.h"
#include "command/server.h"
#include "script/script.h"

bool words_script_load(struct call *call)
{
    return call->argv[2].size <= SCRIPT_BODY_MAX ||
           call_refuse(call, "ERR the script is too large");
}

void cmd_script_load(struct call *call)
{
    char sha[SCRIPT_SHA_SIZE + 1];
    struct bytes body = call->argv[2], name = bytes_of(sha, SCRIPT_SHA_SIZE);
    struct buffer error = {0};
    unsigned flags;
    script_sha(body, sha);
    bool is_right = script_flags_of(body, &flags, &error);
    struct script *script = is_right ? script_pool_take(call) : NULL;
    if (!is_right)
        reply_error(call->reply, "%.*s", (int)error.size, error.data);
    else if (!script)
        reply_error(call->reply, "BUSY too many scripts that read are under way");
    else if (!script_compiles(script, name, body, &error))
        reply_raw(call->reply, buffer_bytes(&error));
    else if (!script_store_put(call, name, body, true))
        reply_error(call->reply, "ERR too many scripts are loaded: SCRIPT FLUSH forgets them");
    else
        reply_bulk(call->reply, name);
    if (script)
        script_pool_give_back(script);
    buffer_deinit(&error);
}

void cmd_script_exists(struct call *call)
{
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct bytes given = call->argv[i], body;
        char sha[SCRIPT_SHA_SIZE];
        bool is_name = given.size == sizeof sha;
        for (size_t k = 0; is_name && k < sizeof sha; k++)
            sha[k] = (char)tolower(((const unsigned char *)given.data)[k]);
        reply_integer(call->reply,
                      is_name && script_store_get(call, bytes_of(sha, sizeof sha), &body));
    }
}

bool words_script_flush(struct call *call)
{
    bool is_right =
        call->argc == 2 ||
        (call->argc == 3 && (bytes_is(call->argv[2], "sync") || bytes_is(call->argv[2], "async")));
    return is_right || call_refuse(call, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
}

void cmd_script_flush(struct call *call)
{
    if (!words_script_flush(call))
        return;
    script_store_flush(call);
    call_reply_ok(call->reply);
}

/* A script has a bound, which is the same on all nodes; one that is under way cannot be ended on
 * some of them. */
void cmd_script_kill(struct call *call)
{
    reply_error(call->reply, "NOTBUSY No scripts in execution right now.");
}

void cmd_script_debug(struct call *call)
{
    if (bytes_is(call->argv[2], "no"))
        call_reply_ok(call->reply);
    else if (bytes_is(call->argv[2], "yes") || bytes_is(call->argv[2], "sync"))
        reply_error(call->reply, "ERR there is no debugger for scripts");
    else
        reply_error(call->reply, "ERR Use SCRIPT DEBUG YES/SYNC/NO");
}

void cmd_script_help(struct call *call)
{
    static const char *const lines[] = {
        "DEBUG (YES|SYNC|NO)",
        "    Set the debug mode for subsequent scripts executed.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Return information about the existence of the scripts in the script cache.",
        "FLUSH [ASYNC|SYNC]",
        "    Flush the Lua scripts cache. Very dangerous on replicas.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the scripts cache.",
        "    * SYNC: Synchronously flush the scripts cache.",
        "KILL",
        "    Kill the currently executing Lua script.",
        "LOAD <script>",
        "    Load a script into the scripts cache without executing it.",
        NULL};
    call_reply_help(call, lines);
}

/* They change what is kept for scripts, and no data. */
bool command_is_unpaused(const struct command *command)
{
    return command->execute == cmd_script_load || command->execute == cmd_script_flush;
}

void command_count_scripts(struct db *db, struct server_scripts *counted)
{
    struct call call = {.db = db};
    struct script_counts scripts = script_store_counts(&call);
    struct function_counts functions = function_store_counts(&call);
    *counted = (struct server_scripts){.scripts = scripts.scripts,
                                       .scripts_bytes = scripts.bytes,
                                       .libraries = functions.libraries,
                                       .functions = functions.functions,
                                       .functions_bytes = functions.bytes,
                                       .machines_bytes = script_pool_memory()};
}
