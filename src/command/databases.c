/* Sixteen databases: choose one, exchange two, move a key (Redis 7.2 db.c).
 *
 * The choice is the connection's; it travels with each request, in forwards and in the log.
 * SELECT is local, the rest deterministic; loop thread only. */
#include "command/commands.h"
#include "command/connection.h"
#include "resp/number.h"

/* Reads argv[i] as a C int, as Redis does; `error` (may be NULL) says what is wrong with it. */
static bool read_int(struct call *call, uint32_t i, const char *error, int64_t *number)
{
    if (!number_parse_i64(call->argv[i], number)) {
        reply_error(call->reply, "%s", error ? error : ERROR_NOT_INTEGER);
        return false;
    }
    if (*number >= INT32_MIN && *number <= INT32_MAX)
        return true;
    if (error)
        reply_error(call->reply, "%s", error);
    else
        reply_error(call->reply, "ERR value is out of range, value must between %d and %d",
                    INT32_MIN, INT32_MAX);
    return false;
}

static bool exists(struct call *call, int64_t number, unsigned *database)
{
    int64_t count = command_meaning_newest < COMMAND_MEANING_DATABASES ? 1 : DB_DATABASES;
    *database = (unsigned)number;
    if (number >= 0 && number < count)
        return true;
    reply_error(call->reply, ERROR_DATABASE);
    return false;
}

void cmd_select(struct call *call)
{
    int64_t number;
    unsigned database;
    if (!read_int(call, 1, NULL, &number) || !exists(call, number, &database))
        return;
    call->connection->database = (uint8_t)database;
    call_reply_ok(call->reply);
}

/* False: answered. */
static bool read_pair(struct call *call, unsigned *one, unsigned *other)
{
    int64_t first, second;
    return read_int(call, 1, "ERR invalid first DB index", &first) &&
           read_int(call, 2, "ERR invalid second DB index", &second) && exists(call, first, one) &&
           exists(call, second, other);
}

bool words_swapdb(struct call *call)
{
    unsigned one, other;
    return read_pair(call, &one, &other);
}

void cmd_swapdb(struct call *call)
{
    unsigned one, other;
    if (!read_pair(call, &one, &other))
        return;
    db_swap(call->db, one, other);
    call_reply_ok(call->reply);
}

/* False: answered. */
static bool read_target(struct call *call, unsigned *target)
{
    int64_t number;
    if (!read_int(call, 2, NULL, &number) || !exists(call, number, target))
        return false;
    if (*target == call->database)
        reply_error(call->reply, "ERR source and destination objects are the same");
    return *target != call->database;
}

bool words_move(struct call *call)
{
    unsigned target;
    return read_target(call, &target);
}

void cmd_move(struct call *call)
{
    unsigned target;
    struct bytes key = call->argv[1];
    if (!read_target(call, &target))
        return;
    bool is_free = db_get(call->db, target, key, NULL) == DB_NONE;
    db_effects_name(call->db, "move_from");
    bool is_moved = is_free && db_rename(call->db, call->database, key, target, key, "move_to");
    reply_integer(call->reply, is_moved);
}
