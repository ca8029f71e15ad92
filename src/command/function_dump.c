/* FUNCTION DUMP and RESTORE (Redis 7.2 functions.c, rdb.c): for each library the byte 245 and its
 * code as a string, then the footer that payloads have (rdb.h).  Loop thread only. */
#include "base/fatal.h"
#include "base/limits.h"
#include "command/function_store.h"
#include "command/functions.h"
#include "command/rdb.h"

enum { MARK_LIBRARY = 245, MARK_EARLY_LIBRARY = 246, FOOTER_SIZE = 10 };

enum policy { POLICY_APPEND, POLICY_FLUSH, POLICY_REPLACE };

void cmd_function_dump(struct call *call)
{
    struct buffer names = {0}, out = {0};
    struct function_library library;
    struct bytes name;
    size_t at = 0;
    function_store_names(call, &names);
    while (function_store_next_name(&names, &at, &name)) {
        bool is_there = function_store_get(call, name, &library);
        check(is_there);
        buffer_append_byte(&out, (char)MARK_LIBRARY);
        rdb_write_string(&out, library.code);
    }
    rdb_write_footer(&out, rdb_crc(0, buffer_bytes(&out)));
    reply_bulk(call->reply, buffer_bytes(&out));
    buffer_deinit(&names);
    buffer_deinit(&out);
}

/* FUNCTION RESTORE payload [FLUSH|APPEND|REPLACE] */
static bool read_restore(struct call *call, enum policy *policy)
{
    *policy = POLICY_APPEND;
    if (call->argc > 4) {
        reply_error(call->reply,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. "
                    "Try FUNCTION HELP.",
                    call_printed_size(call->argv[1]), (const char *)call->argv[1].data);
        return false;
    }
    if (call->argc == 3 || bytes_is(call->argv[3], "append"))
        return true;
    *policy = bytes_is(call->argv[3], "flush") ? POLICY_FLUSH : POLICY_REPLACE;
    return *policy == POLICY_FLUSH || bytes_is(call->argv[3], "replace") ||
           call_refuse(call, "ERR Wrong restore policy given, value should be either FLUSH, APPEND "
                             "or REPLACE.");
}

bool words_function_restore(struct call *call)
{
    enum policy policy;
    struct bytes payload = call->argv[2];
    if (!read_restore(call, &policy))
        return false;
    bool is_whole = payload.size >= FOOTER_SIZE && rdb_knows_version(payload) &&
                    rdb_footer_crc(payload) == rdb_crc(0, bytes_of(payload.data, payload.size - 8));
    return is_whole || call_refuse(call, "ERR DUMP payload version or checksum are wrong");
}

/* The next library; false: there is none, or it was answered with what is wrong. */
static bool restore_next(struct call *call, struct rdb_reader *reader, bool replaces)
{
    struct function_metadata metadata;
    struct rdb_item code;
    const unsigned char *mark;
    bool is_there = rdb_take(reader, 1, &mark);
    check(is_there);
    if (*mark == MARK_EARLY_LIBRARY)
        return call_refuse(call, "ERR Pre-GA function format not supported");
    if (*mark != MARK_LIBRARY)
        return call_refuse(call, "ERR given type is not a function");
    if (rdb_take_string(reader, &reader->strings[0], &code) != RDB_GIVEN)
        return call_refuse(call, "ERR Failed loading library data");
    return function_load(call, code.text, replaces ? NULL : "", &metadata);
}

/* All, or none. */
void cmd_function_restore(struct call *call)
{
    enum policy policy;
    struct bytes payload = call->argv[2];
    if (!read_restore(call, &policy) || !words_function_restore(call))
        return;
    struct rdb_reader reader = {.body = bytes_of(payload.data, payload.size - FOOTER_SIZE),
                                .unpacked_left = LIBRARIES_BYTES_MAX};
    bool is_right = true;
    db_savepoint(call->db);
    if (policy == POLICY_FLUSH)
        function_store_flush(call);
    while (is_right && reader.at < reader.body.size)
        is_right = restore_next(call, &reader, policy == POLICY_REPLACE);
    while (!(is_right ? db_release(call->db) : db_rollback(call->db)))
        continue;
    buffer_deinit(&reader.strings[0]);
    if (is_right)
        call_reply_ok(call->reply);
}
