/* Compare, then set or delete: one step in the log, so no client can come in between.
 *
 *     CAS key old new [EX s | PX ms | EXAT s | PXAT ms]
 *     CAD key value                                 as in Tair and Kvrocks: 1 done, 0 the value
 *                                                   differs, -1 there is no such key
 *     DELEX key [IFEQ v | IFNE v | IFDEQ d | IFDNE d]
 *                                                   as in Redis 8.4: 1 deleted, 0 not
 *     DELIFEQ key v                                 as in Valkey 9: 1 deleted, 0 not
 *
 * SET's conditions are in strings.c.  Deterministic; loop thread only. */
#include "command/commands.h"
#include "command/set_options.h"
#include "command/string_parts.h"

enum comparison { NO_KEY = -1, DIFFERS = 0, EQUAL = 1 };

/* False: wrong type, answered. */
static bool compare(struct call *call, struct bytes wanted, enum comparison *comparison)
{
    struct string string;
    if (!string_open(call, call->argv[1], &string))
        return false;
    if (string.found.type == DB_NONE)
        *comparison = NO_KEY;
    else
        *comparison = string_equals(call, &string, wanted) ? EQUAL : DIFFERS;
    return true;
}

/* False: answered. */
static bool read_cas(struct call *call, int64_t *deadline_ms)
{
    struct expiry expiry = {EXPIRY_NONE, 0};
    for (uint32_t i = 4; i < call->argc; i++)
        if (!call_take_expiry(call, &expiry, &i)) {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    return call_deadline(call, &expiry, deadline_ms);
}

bool words_cas(struct call *call)
{
    int64_t deadline_ms;
    return read_cas(call, &deadline_ms);
}

void cmd_cas(struct call *call)
{
    enum comparison comparison;
    int64_t deadline_ms;
    if (!read_cas(call, &deadline_ms) || !compare(call, call->argv[2], &comparison))
        return;
    if (comparison == EQUAL)
        call_put_until(call, call->argv[1], call->argv[3], deadline_ms);
    reply_integer(call->reply, comparison);
}

void cmd_cad(struct call *call)
{
    enum comparison comparison;
    if (!compare(call, call->argv[2], &comparison))
        return;
    if (comparison == EQUAL)
        call_delete(call, call->argv[1], "del");
    reply_integer(call->reply, comparison);
}

void cmd_delifeq(struct call *call)
{
    enum comparison comparison;
    if (!compare(call, call->argv[2], &comparison))
        return;
    if (comparison == EQUAL)
        call_delete(call, call->argv[1], "del");
    reply_integer(call->reply, comparison == EQUAL);
}

#define ERROR_CONDITION "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"
#define ERROR_NO_STRING "ERR Key should be of string type if conditions are specified"

/* The errors were our own before. */
static bool is_of_8_4(const struct call *call)
{
    return call->meaning >= COMMAND_MEANING_DIGEST;
}

/* False: answered. */
static bool read_condition(struct call *call, enum set_condition *condition)
{
    *condition = SET_ALWAYS;
    if (call->argc == 2)
        return true;
    if (call->argc != 4) {
        call_wrong_arity(call);
        return false;
    }
    *condition = set_condition_named(call->argv[2], call->meaning);
    if (*condition == SET_ALWAYS)
        reply_error(call->reply, "%s", is_of_8_4(call) ? ERROR_CONDITION : ERROR_SYNTAX);
    return *condition != SET_ALWAYS && set_operand_fits(call, *condition, call->argv[3]);
}

bool words_delex(struct call *call)
{
    enum set_condition condition;
    return read_condition(call, &condition);
}

void cmd_delex(struct call *call)
{
    enum set_condition condition;
    struct string string;
    if (!read_condition(call, &condition))
        return;
    if (condition == SET_ALWAYS) {
        reply_integer(call->reply, call_delete(call, call->argv[1], "del"));
        return;
    }
    bool exists = call_look_kept(call, call->argv[1], false, &string.found, &string.value);
    if (exists && string.found.type != DB_STRING) {
        reply_error(call->reply, "%s", is_of_8_4(call) ? ERROR_NO_STRING : ERROR_WRONG_TYPE);
        return;
    }
    bool deletes = exists && set_condition_holds(call, condition, call->argv[3], &string);
    if (deletes)
        call_delete(call, call->argv[1], "del");
    reply_integer(call->reply, deletes);
}
