/* FUNCTION (Redis 7.2 functions.c).  Loop thread only. */
#include "base/fatal.h"
#include "base/limits.h"
#include "command/function_store.h"
#include "command/functions.h"

/* FUNCTION LOAD [REPLACE] code */
static bool read_load(struct call *call, bool *replaces)
{
    *replaces = false;
    for (uint32_t i = 2; i + 1 < call->argc; i++) {
        if (!bytes_is(call->argv[i], "replace")) {
            reply_error(call->reply, "ERR Unknown option given: %.*s",
                        call_printed_size(call->argv[i]), (const char *)call->argv[i].data);
            return false;
        }
        *replaces = true;
    }
    return true;
}

bool words_function_load(struct call *call)
{
    struct function_metadata metadata;
    struct bytes code = call->argv[call->argc - 1];
    bool replaces;
    if (!read_load(call, &replaces))
        return false;
    if (code.size > SCRIPT_BODY_MAX)
        return call_refuse(call, "ERR the library is too large");
    return function_metadata_of(call, code, &metadata);
}

void cmd_function_load(struct call *call)
{
    struct function_metadata metadata;
    bool replaces;
    if (read_load(call, &replaces) &&
        function_load(call, call->argv[call->argc - 1], replaces ? NULL : "'", &metadata))
        reply_bulk(call->reply, bytes_of(metadata.name, metadata.size));
}

void cmd_function_delete(struct call *call)
{
    if (function_store_delete(call, call->argv[2]))
        call_reply_ok(call->reply);
    else
        call_refuse(call, "ERR Library not found");
}

bool words_function_flush(struct call *call)
{
    if (call->argc > 3) {
        reply_error(call->reply,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. "
                    "Try FUNCTION HELP.",
                    call_printed_size(call->argv[1]), (const char *)call->argv[1].data);
        return false;
    }
    return call->argc == 2 || bytes_is(call->argv[2], "sync") || bytes_is(call->argv[2], "async") ||
           call_refuse(call, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
}

void cmd_function_flush(struct call *call)
{
    if (!words_function_flush(call))
        return;
    function_store_flush(call);
    call_reply_ok(call->reply);
}

/* ---- what there is --------------------------------------------------------------------------- */

struct listing {
    struct bytes pattern; /* NULL data: all */
    bool has_code;
};

static bool read_list(struct call *call, struct listing *listing)
{
    *listing = (struct listing){.has_code = false};
    for (uint32_t i = 2; i < call->argc; i++) {
        if (!listing->has_code && bytes_is(call->argv[i], "withcode")) {
            listing->has_code = true;
        } else if (!listing->pattern.data && bytes_is(call->argv[i], "libraryname")) {
            if (i + 1 == call->argc)
                return call_refuse(call, "ERR library name argument was not given");
            listing->pattern = call->argv[++i];
        } else {
            reply_error(call->reply, "ERR Unknown argument %.*s", call_printed_size(call->argv[i]),
                        (const char *)call->argv[i].data);
            return false;
        }
    }
    return true;
}

static bool is_listed(const struct listing *listing, struct bytes name)
{
    return !listing->pattern.data || command_glob_match(listing->pattern, name, true);
}

static void reply_text(struct reply *reply, const char *text)
{
    reply_bulk(reply, bytes_from_string(text));
}

static void reply_flags(struct reply *reply, unsigned flags)
{
    static const unsigned all[] = {SCRIPT_NO_WRITES, SCRIPT_ALLOW_OOM, SCRIPT_ALLOW_STALE,
                                   SCRIPT_NO_CLUSTER, SCRIPT_CROSS_SLOT};
    uint64_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        count += (flags & all[i]) != 0;
    reply_set(reply, count);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (flags & all[i])
            reply_simple(reply, script_flag_name(all[i]));
}

static void reply_functions(struct reply *reply, struct bytes registered)
{
    struct script_function function;
    uint64_t count = 0;
    for (size_t at = 0; function_store_next(registered, &at, &function);)
        count++;
    reply_array(reply, count);
    for (size_t at = 0; function_store_next(registered, &at, &function);) {
        reply_map(reply, 3);
        reply_text(reply, "name");
        reply_bulk(reply, function.name);
        reply_text(reply, "description");
        call_reply_value(reply, function.description, function.description.size > 0);
        reply_text(reply, "flags");
        reply_flags(reply, function.flags);
    }
}

static void reply_library(struct call *call, struct bytes name, bool has_code)
{
    struct reply *reply = call->reply;
    struct function_library library;
    bool is_there = function_store_get(call, name, &library);
    check(is_there);
    reply_map(reply, has_code ? 4 : 3);
    reply_text(reply, "library_name");
    reply_bulk(reply, name);
    reply_text(reply, "engine");
    reply_text(reply, "LUA");
    reply_text(reply, "functions");
    reply_functions(reply, library.registered);
    if (!has_code)
        return;
    reply_text(reply, "library_code");
    reply_bulk(reply, library.code);
}

bool words_function_list(struct call *call)
{
    struct listing listing;
    return read_list(call, &listing);
}

void cmd_function_list(struct call *call)
{
    struct listing listing;
    struct buffer names = {0};
    struct bytes name;
    uint64_t count = 0;
    if (!read_list(call, &listing))
        return;
    function_store_names(call, &names);
    for (size_t at = 0; function_store_next_name(&names, &at, &name);)
        count += is_listed(&listing, name);
    reply_array(call->reply, count);
    for (size_t at = 0; function_store_next_name(&names, &at, &name);)
        if (is_listed(&listing, name))
            reply_library(call, name, listing.has_code);
    buffer_deinit(&names);
}

/* A function that runs is over before another command of its node is answered. */
void cmd_function_stats(struct call *call)
{
    struct reply *reply = call->reply;
    struct function_counts counts = function_store_counts(call);
    reply_map(reply, 2);
    reply_text(reply, "running_script");
    reply_null(reply);
    reply_text(reply, "engines");
    reply_map(reply, 1);
    reply_text(reply, "LUA");
    reply_map(reply, 2);
    reply_text(reply, "libraries_count");
    reply_integer(reply, (int64_t)counts.libraries);
    reply_text(reply, "functions_count");
    reply_integer(reply, (int64_t)counts.functions);
}

/* As SCRIPT KILL. */
void cmd_function_kill(struct call *call)
{
    reply_error(call->reply, "NOTBUSY No scripts in execution right now.");
}

void cmd_function_help(struct call *call)
{
    // clang-format off
    static const char *const lines[] = {
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Create a new library with the given library name and code.",
        "DELETE <LIBRARY NAME>",
        "    Delete the given library.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return general information on all the libraries:",
        "    * Library name",
        "    * The engine used to run the Library",
        "    * Library description",
        "    * Functions list",
        "    * Library code (if WITHCODE is given)",
        "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
        "STATS",
        "    Return information about the current function running:",
        "    * Function name",
        "    * Command used to run the function",
        "    * Duration in MS that the function is running",
        "    If no function is running, return nil",
        "    In addition, returns a list of available engines.",
        "KILL",
        "    Kill the current running function.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all the libraries.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the libraries.",
        "    * SYNC: Synchronously flush the libraries.",
        "DUMP",
        "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
        "    control how to handle existing libraries (default APPEND):",
        "    * FLUSH: delete all existing libraries.",
        "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
        "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
        "      libraries with the new libraries (notice that even on this option there is a chance of failure",
        "      in case of functions name collision with another library).",
        NULL};
    // clang-format on
    call_reply_help(call, lines);
}
