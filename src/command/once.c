/* ONCE client-id request-id command ...: execute a command at most once, however often it is sent.
 *
 * The replicated state keeps, for each client id, the last request id and its reply.  A client that
 * got no answer (a failover, a broken connection) sends the same bytes again, to any node: if the
 * first sending was executed, its reply comes back and nothing happens twice.
 *
 *     request-id   greater than the last: executed, reply kept
 *                  equal:                 the kept reply
 *                  less:                  STALEREQ, not executed
 *
 * A client therefore waits for the reply of one request before it sends the next.  Replies are kept
 * as RESP3, whatever the client speaks, so that the state is the same on every node and a client
 * may come back in the other protocol.  A client not heard of for ONCE_RECEIPT_MS of the log's time
 * is forgotten, on every node at the same entry.
 *
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "command/commands.h"
#include "resp/number.h"

/* NULL: not a call that can be executed here; answered. */
static const struct command *find_carried(struct call *call)
{
    struct call inner = {.reply = call->reply,
                         .argv = call->argv + 3,
                         .argc = call->argc - 3,
                         .meaning = call->meaning};
    inner.command = command_find(inner.argv, inner.argc);
    if (!inner.command || inner.command->execute == cmd_once ||
        !(inner.command->flags & call->allows) || command_since(inner.command) > call->meaning) {
        reply_error(call->reply, "ERR ONCE cannot carry this command");
        return NULL;
    }
    if (call_has_arity(&inner))
        return inner.command;
    call_wrong_arity(&inner);
    return NULL;
}

/* What was carried has ended. */
static void keep(struct call *call)
{
    uint64_t request_id;
    bool is_number = number_parse_u64(call->argv[2], &request_id);
    check(is_number); /* it was, when this began */
    check(call->carried->size > 0);
    db_receipt_put(call->db, call->argv[1], request_id, *call->carried, call->now_ms);
    call_reply_resp3(call->reply, *call->carried);
}

/* A repetition shows that the client is there: it counts as use. */
static void repeat(struct call *call, uint64_t request_id, struct bytes kept)
{
    struct buffer copy = {0};
    check(kept.size > 0); /* keep() stored it */
    buffer_append_bytes(&copy, kept);
    db_receipt_put(call->db, call->argv[1], request_id, buffer_bytes(&copy), call->now_ms);
    call_reply_resp3(call->reply, buffer_bytes(&copy));
    buffer_deinit(&copy);
}

/* False: answered. */
static bool read_request(struct call *call, uint64_t *request_id)
{
    struct bytes client = call->argv[1];
    if (client.size == 0 || client.size > ONCE_CLIENT_MAX) {
        reply_error(call->reply, "ERR ONCE client id must have 1 to %d bytes", ONCE_CLIENT_MAX);
        return false;
    }
    if (number_parse_u64(call->argv[2], request_id))
        return true;
    reply_error(call->reply, "ERR ONCE request id is not an integer or out of range");
    return false;
}

bool words_once(struct call *call)
{
    uint64_t request_id;
    return read_request(call, &request_id);
}

bool command_once_carries(struct db *db, const struct bytes *argv)
{
    uint64_t request_id, last_id;
    struct bytes kept;
    return argv[1].size > 0 && argv[1].size <= ONCE_CLIENT_MAX &&
           number_parse_u64(argv[2], &request_id) &&
           (!db_receipt_get(db, argv[1], &last_id, &kept) || request_id > last_id);
}

void cmd_once(struct call *call)
{
    struct bytes client = call->argv[1];
    uint64_t request_id, last_id;
    struct bytes kept;
    if (call->carried) {
        keep(call);
        return;
    }
    if (!read_request(call, &request_id))
        return;
    const struct command *carried = find_carried(call);
    if (!carried)
        return;
    db_receipt_expire(call->db, call->now_ms - ONCE_RECEIPT_MS, ONCE_EXPIRE_SLICE);
    if (!db_receipt_get(call->db, client, &last_id, &kept) || request_id > last_id)
        call_carry(call, carried, call->argv + 3, call->argc - 3, 3);
    else if (request_id == last_id)
        repeat(call, request_id, kept);
    else
        reply_error(call->reply, "STALEREQ this client's request %llu came later",
                    (unsigned long long)last_id);
}
