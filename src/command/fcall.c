/* FCALL and FCALL_RO (Redis 7.2 functions.c): a function runs as a script does (eval.c), behind the
 * code of its library.  Deterministic; loop thread only. */
#include "base/fatal.h"
#include "command/eval.h"
#include "command/function_store.h"
#include "command/functions.h"
#include "resp/number.h"

/* False: answered. */
static bool may_run(struct call *call, unsigned flags, bool is_read_only)
{
    int64_t keys;
    if (!number_parse_i64(call->argv[2], &keys))
        return call_refuse(call, "ERR Bad number of keys provided");
    if (keys > (int64_t)call->argc - 3)
        return call_refuse(call, "ERR Number of keys can't be greater than number of args");
    if (keys < 0)
        return call_refuse(call, "ERR Number of keys can't be negative");
    if (is_read_only && !(flags & SCRIPT_NO_WRITES))
        return call_refuse(call,
                           "ERR Can not execute a script with write flag using *_ro command.");
    return true;
}

bool command_function_is(struct call *call, struct bytes sha)
{
    struct buffer name = {0};
    struct function_library library;
    unsigned flags;
    bool is_it = function_store_find(call, call->argv[1], &flags, &name) &&
                 function_store_get(call, buffer_bytes(&name), &library) &&
                 bytes_equal(library.sha, sha);
    buffer_deinit(&name);
    return is_it;
}

static void call_function(struct call *call, bool is_read_only)
{
    struct buffer name = {0};
    unsigned flags;
    if (call_goes_on(call))
        return;
    if (!function_store_find(call, call->argv[1], &flags, &name)) {
        call_refuse(call, "ERR Function not found");
    } else if (may_run(call, flags, is_read_only)) {
        struct function_library library;
        bool is_there = function_store_get(call, buffer_bytes(&name), &library);
        check(is_there);
        call_run_function(call, library.sha, library.code, !(flags & SCRIPT_NO_WRITES));
    }
    buffer_deinit(&name);
}

void cmd_fcall(struct call *call)
{
    call_function(call, false);
}

void cmd_fcall_ro(struct call *call)
{
    call_function(call, true);
}
