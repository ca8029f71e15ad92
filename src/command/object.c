/* OBJECT: how a value is held, in Redis's words (Redis 7.2 object.c).  Here a value has one owner,
 * and nobody notes when a key was used.  Loop thread only. */
#include "command/commands.h"
#include "data/packed.h"
#include "resp/number.h"

enum {
    EMBEDDED_MAX = 44,      /* bytes of a string that Redis holds in one piece with its header */
    SHARED_INTEGERS = 10000 /* those below have one object in Redis, of which nobody counts uses */
};

/* False: there is no such key; answered. */
static bool find(struct call *call, struct db_record *found)
{
    bool is_there = db_lookup(call->db, call->database, call->argv[2], found);
    if (!is_there)
        reply_null(call->reply);
    return is_there;
}

static bool is_integer(struct call *call, const struct db_record *found, int64_t *number)
{
    struct bytes value;
    if (found->type != DB_STRING || found->size >= NUMBER_I64_SIZE)
        return false;
    db_get(call->db, call->database, call->argv[2], &value);
    return number_parse_i64(value, number);
}

static const char *fields_encoding(struct call *call)
{
    struct bytes payload;
    db_get(call->db, call->database, call->argv[2], &payload);
    switch (packed_form(payload)) {
    case PACKED_INTEGERS: return "intset";
    case PACKED_LARGE:
    case PACKED_LARGE_TIMED: return "hashtable";
    case PACKED_TIMED: return "listpackex";
    case PACKED_NONE:
    case PACKED_STRINGS: break;
    }
    return "listpack";
}

const char *call_encoding(struct call *call, const struct db_record *found)
{
    int64_t number;
    bool is_large = found->space != 0;
    switch (found->type) {
    case DB_STRING:
        if (is_integer(call, found, &number))
            return "int";
        return found->size <= EMBEDDED_MAX ? "embstr" : "raw";
    case DB_LIST: return is_large ? "quicklist" : "listpack";
    case DB_SET:
    case DB_HASH: return fields_encoding(call);
    case DB_ZSET: return is_large ? "skiplist" : "listpack";
    case DB_STREAM: return "stream";
    case DB_NONE: break;
    }
    return "unknown";
}

void cmd_object_encoding(struct call *call)
{
    struct db_record found;
    if (find(call, &found))
        reply_bulk_string(call->reply, call_encoding(call, &found));
}

void cmd_object_refcount(struct call *call)
{
    struct db_record found;
    int64_t number;
    if (!find(call, &found))
        return;
    bool is_shared = is_integer(call, &found, &number) && number >= 0 && number < SHARED_INTEGERS;
    reply_integer(call->reply, is_shared ? INT32_MAX : 1);
}

void cmd_object_idletime(struct call *call)
{
    struct db_record found;
    if (find(call, &found))
        reply_integer(call->reply, 0);
}

void cmd_object_freq(struct call *call)
{
    struct db_record found;
    if (find(call, &found))
        reply_error(call->reply,
                    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                    "Please note that when switching between policies at runtime LRU and LFU data "
                    "will take some time to adjust.");
}

void cmd_object_help(struct call *call)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        NULL};
    call_reply_help(call, lines);
}
