/* See string_parts.h.  Deterministic; loop thread only. */
#include "command/string_parts.h"

#include "base/fatal.h"

bool string_open(struct call *call, struct bytes key, struct string *string)
{
    return call_find_string(call, key, &string->found, &string->value);
}

struct bytes string_part(const struct string *string, uint64_t offset, uint64_t size)
{
    struct bytes value = string->value;
    if (offset >= value.size)
        return bytes_of(NULL, 0);
    uint64_t left = value.size - offset;
    return bytes_of((const char *)value.data + offset, (size_t)(size < left ? size : left));
}

static void put_behind_zeros(struct call *call, struct bytes key, uint64_t zeros, struct bytes part)
{
    struct buffer value = {0};
    buffer_reserve(&value, (size_t)zeros + part.size);
    memset(value.data, 0, (size_t)zeros);
    value.size = (size_t)zeros;
    buffer_append_bytes(&value, part);
    db_put(call->db, call->database, key, DB_STRING, buffer_bytes(&value), 0);
    buffer_deinit(&value);
}

void string_write(struct call *call, struct bytes key, const struct string *string, uint64_t offset,
                  struct bytes part, const char *event)
{
    check(call->allows & CMD_WRITE);
    check(part.size > 0);
    check(offset + part.size <= VALUE_SIZE_MAX);
    db_effects_name(call->db, event ? event : db_effect_untold);
    if (string->found.type == DB_NONE)
        put_behind_zeros(call, key, offset, part);
    else
        db_splice(call->db, call->database, key, offset, part);
}

void string_tell(struct call *call, struct bytes key, const char *event)
{
    struct db_record found;
    if (db_lookup(call->db, call->database, key, &found))
        db_effects_also(call->db, call->database, key, event);
}
