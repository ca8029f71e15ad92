/* Compare, then set or delete: one step in the log, so no client can come in between.
 *
 *     CAS key old new [EX s | PX ms | EXAT s | PXAT ms]
 *     CAD key value                                 as in Tair and Kvrocks: 1 done, 0 the value
 *                                                   differs, -1 there is no such key
 *     DELEX key [IFEQ v | IFNE v]                   as in Redis 8.4: 1 deleted, 0 not
 *     DELIFEQ key v                                 as in Valkey 9: 1 deleted, 0 not
 *
 * SET's conditions are in strings.c.  Deterministic; loop thread only. */
#include "command/commands.h"
#include "command/set_options.h"

enum comparison { NO_KEY = -1, DIFFERS = 0, EQUAL = 1 };

/* False: wrong type, answered. */
static bool compare(struct call *call, struct bytes wanted, enum comparison *comparison)
{
    struct bytes value;
    bool exists;
    if (!call_get_string(call, call->argv[1], &value, &exists))
        return false;
    if (!exists)
        *comparison = NO_KEY;
    else
        *comparison = bytes_equal(value, wanted) ? EQUAL : DIFFERS;
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
    if (bytes_is(call->argv[2], "ifeq"))
        *condition = SET_IFEQ;
    else if (bytes_is(call->argv[2], "ifne"))
        *condition = SET_IFNE;
    else
        reply_error(call->reply, ERROR_SYNTAX);
    return *condition != SET_ALWAYS;
}

bool words_delex(struct call *call)
{
    enum set_condition condition;
    return read_condition(call, &condition);
}

void cmd_delex(struct call *call)
{
    enum set_condition condition;
    struct bytes value;
    bool exists;
    if (!read_condition(call, &condition))
        return;
    if (condition == SET_ALWAYS) {
        reply_integer(call->reply, call_delete(call, call->argv[1], "del"));
        return;
    }
    if (!call_get_string(call, call->argv[1], &value, &exists))
        return;
    bool deletes = exists && set_condition_holds(condition, call->argv[3], value, exists);
    if (deletes)
        call_delete(call, call->argv[1], "del");
    reply_integer(call->reply, deletes);
}
