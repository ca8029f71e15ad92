/* What many commands do with their words.  Loop thread only. */
#include "base/buffer.h"
#include "command/commands.h"
#include "resp/number.h"

bool call_integer(struct call *call, uint32_t i, int64_t *value)
{
    if (number_parse_i64(call->argv[i], value))
        return true;
    reply_error(call->reply, ERROR_NOT_INTEGER);
    return false;
}

void call_wrong_arity(struct call *call)
{
    reply_error(call->reply, "ERR wrong number of arguments for '%s' command", call->command->name);
}

bool call_get_string(struct call *call, struct bytes key, struct bytes *value, bool *exists)
{
    enum db_type type = db_get(call->db, key, value);
    if (type != DB_NONE && type != DB_STRING) {
        reply_error(call->reply, ERROR_WRONG_TYPE);
        return false;
    }
    *exists = type == DB_STRING;
    if (!*exists)
        *value = bytes_of(NULL, 0);
    return true;
}

void call_put_string(struct call *call, struct bytes key, struct bytes value)
{
    db_put(call->db, key, DB_STRING, value);
}

void reply_value(struct reply *reply, struct bytes value, bool exists)
{
    if (exists)
        reply_bulk(reply, value);
    else
        reply_null(reply);
}

void reply_ok(struct reply *reply)
{
    reply_simple(reply, "OK");
}
